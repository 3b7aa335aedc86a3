// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
)

// Who reported, made up; none of it may be seen where it is not revealed.
const (
	canaryName  = "欧阳试真"
	canaryPhone = "13800004321"
	canaryID    = "150626199001011239"
)

var canaries = []string{canaryName, canaryPhone, canaryID}

// sign makes a token that holds for three days.
func (st *stand) sign(c store.Credential) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(72*time.Hour)
	c.Kind, c.ExpiresAt = store.Token, &until
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, c); err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// told posts an incident that somebody reported, and returns its path.
func (st *stand) told(token, category string, lon, lat float64) string {
	st.t.Helper()
	a := st.call("POST", "/api/v1/incidents", token, fmt.Sprintf(`{"category":%q,"title":"有人上报","address":"测试路1号","location":{"lon":%v,"lat":%v,"crs":"wgs84"},
		"reporter":{"name":%q,"phone":%q,"id_number":%q}}`, category, lon, lat, canaryName, canaryPhone, canaryID))
	if a.status != 201 {
		st.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

func idOf(t *testing.T, path string) int64 {
	t.Helper()
	id, err := strconv.ParseInt(path[strings.LastIndex(path, "/")+1:], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func holdsCanary(a answer) bool {
	for _, c := range canaries {
		if bytes.Contains(a.body, []byte(c)) {
			return true
		}
	}
	return false
}

// crew has worker 1 at home in A1 and worker 2 in B1, each with a phone.
var crew = []string{
	"INSERT INTO worker (badge) VALUES ('W1'), ('W2')",
	"INSERT INTO worker_grid (worker_id, grid_code) VALUES (1, 'A1'), (2, 'B1')",
	"INSERT INTO rota SELECT id, d, 0, 1440 FROM worker, generate_series(1, 7) d",
	"INSERT INTO device (unique_id) VALUES ('p1'), ('p2')",
	"INSERT INTO device_binding (device_id, worker_id, valid_from) VALUES (1, 1, '2020-01-01'), (2, 2, '2020-01-01')",
}

func TestReportersAreMaskedForEverybodyWhoMayKnow(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{}, crew...)
	hall := st.token(auth.HallOperator, "")
	path := st.told(hall, "0301", 107.2, 38.3) // in A1
	id := idOf(t, path)
	dept := st.count("SELECT id FROM department ORDER BY id LIMIT 1")
	st.exec("UPDATE incident SET department_id = $2 WHERE id = $1", id, dept)
	st.exec("INSERT INTO incident_worker (incident_id, worker_id, relation) VALUES ($1, 1, 'lead')", id)
	worker := st.sign(store.Credential{Role: auth.GridWorker, GridCode: "A1", Worker: 1})
	handler := st.sign(store.Credential{Role: auth.DeptHandler, Department: int64(dept)})
	masked := `{"items":[{"n":1,"name":"欧**","phone":"138****4321","id_number":"150*************39"}]}`
	sensitive := st.told(st.sign(store.Credential{Role: auth.HallOperator, Sensitive: true}), "0102", 107.2, 38.3)
	for _, c := range []struct {
		who    string
		token  string
		path   string
		status int
	}{
		{"auditor", st.token(auth.Auditor, ""), path, 200},
		{"county leader", st.token(auth.CountyLeader, ""), path, 200},
		{"hall", hall, path, 200},
		{"dispatcher", st.token(auth.Dispatcher, "C"), path, 200},
		{"town", st.token(auth.TownOperator, "A"), path, 200},
		{"village", st.token(auth.VillageHead, "A1"), path, 200},
		{"its worker", worker, path, 200},
		{"its department", handler, path, 200},
		{"another town", st.token(auth.TownOperator, "B"), path, 404},
		{"another worker", st.sign(store.Credential{Role: auth.GridWorker, GridCode: "A1", Worker: 2}), path, 404},
		{"a worker of no name", st.token(auth.GridWorker, "A1"), path, 404},
		{"another department", st.sign(store.Credential{Role: auth.DeptHandler, Department: int64(dept) + 1}), path, 404},
		{"nothing there", hall, "/api/v1/incidents/999999", 404},
		{"the hall, a sensitive one", hall, sensitive, 404},
		{"the hall with the flag", st.sign(store.Credential{Role: auth.HallOperator, Sensitive: true}), sensitive, 200},
		{"system administrator", st.token(auth.SystemAdmin, ""), path, 403},
		{"security administrator", st.token(auth.SecurityAdmin, ""), path, 403},
		{"wall", st.token(auth.Wall, ""), path, 403},
		{"nobody", "", path, 401},
	} {
		a := st.get(c.path+"/reporters", c.token)
		if a.status != c.status || a.status == 200 && strings.TrimSpace(string(a.body)) != masked || holdsCanary(a) {
			t.Errorf("%s: %d %s", c.who, a.status, a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action LIKE 'reporter.%'"); n != 0 {
		t.Errorf("%d audit rows of masked reads", n)
	}
	plain := st.report(hall, 107.2, 38.3).header.Get("Location")
	if a := st.get(plain+"/reporters", hall); a.status != 200 || strings.TrimSpace(string(a.body)) != `{"items":[]}` {
		t.Errorf("nobody said who reported: %d %s", a.status, a.body)
	}

	// Once it is closed, those it was given to know of it no more.
	st.close("id = $1", id)
	for who, c := range map[string]struct {
		token  string
		status int
	}{"worker": {worker, 404}, "department": {handler, 404}, "hall": {hall, 200}} {
		if a := st.get(path, c.token); a.status != 200 {
			t.Errorf("%s reads the closed incident: %d", who, a.status)
		}
		if a := st.get(path+"/reporters", c.token); a.status != c.status {
			t.Errorf("%s reads its reporters: %d", who, a.status)
		}
		reveal := c.status
		if a := st.call("POST", path+"/reporters/1/reveal", c.token, `{"reason":"回访核实"}`); a.status != reveal || (a.status == 200) != holdsCanary(a) {
			t.Errorf("%s reveals: %d %s", who, a.status, a.body)
		}
	}
}

func TestAReporterIsRevealedWithAReasonAndWrittenDown(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: api.Limits{ChangesPerSecond: 1000}})
	hall, townA := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	path := st.told(hall, "0301", 107.2, 38.2)
	reveal := path + "/reporters/1/reveal"
	for _, c := range []struct {
		who, path, token, body string
		status                 int
	}{
		{"no reason", reveal, hall, `{}`, 422},
		{"a short reason", reveal, hall, `{"reason":"abc"}`, 422},
		{"blanks", reveal, hall, `{"reason":"       "}`, 422},
		{"what can't be seen", reveal, hall, `{"reason":"\u200b\u200b\u200b\u200b"}`, 422},
		{"a novel", reveal, hall, `{"reason":"` + strings.Repeat("因", 501) + `"}`, 422},
		{"NUL", reveal, hall, `{"reason":"abcd\u0000"}`, 400},
		{"no such reporter", path + "/reporters/2/reveal", hall, `{"reason":"回访核实"}`, 404},
		{"reporter 0", path + "/reporters/0/reveal", hall, `{"reason":"回访核实"}`, 400},
		{"no such incident", "/api/v1/incidents/99999/reporters/1/reveal", hall, `{"reason":"回访核实"}`, 404},
		{"another town", reveal, st.token(auth.TownOperator, "B"), `{"reason":"回访核实"}`, 404},
		{"leader", reveal, st.token(auth.CountyLeader, ""), `{"reason":"回访核实"}`, 403},
		{"auditor", reveal, st.token(auth.Auditor, ""), `{"reason":"回访核实"}`, 403},
		{"wall", reveal, st.token(auth.Wall, ""), `{"reason":"回访核实"}`, 403},
		{"administrator", reveal, st.token(auth.SystemAdmin, ""), `{"reason":"回访核实"}`, 403},
	} {
		if a := st.call("POST", c.path, c.token, c.body); a.status != c.status || holdsCanary(a) {
			t.Errorf("%s: %d %s", c.who, a.status, a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action LIKE 'reporter.%'"); n != 0 {
		t.Errorf("%d audit rows of what was not revealed", n)
	}
	a := st.call("POST", reveal, townA, `{"reason":" 回访核实 150626199001011239 "}`)
	want := map[string]any{"name": canaryName, "phone": canaryPhone, "id_number": canaryID}
	if got := a.json(t); a.status != 200 || fmt.Sprint(got) != fmt.Sprint(want) || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s %v", a.status, a.body, a.header)
	}
	var actor, object, reason, data string
	err := st.s.db.Pool.QueryRow(t.Context(), "SELECT actor, object, reason, data::text FROM audit_log WHERE action = 'reporter.reveal'").Scan(&actor, &object, &reason, &data)
	if err != nil || !strings.HasPrefix(actor, "token:") || object != fmt.Sprintf("incident/%d/reporter/1", idOf(t, path)) {
		t.Errorf("audit: %s %s, error %v", actor, object, err)
	}
	var said struct{ Fields []string }
	if err := json.Unmarshal([]byte(data), &said); err != nil || fmt.Sprint(said.Fields) != "[name phone id_number]" || !strings.HasPrefix(reason, "回访核实") {
		t.Errorf("audit: %q %s, error %v", reason, data, err)
	}

	// Nowhere else: not in any answer, nor in what the database keeps open.
	for _, p := range []string{
		path, path + "/journal", path + "/reporters", "/api/v1/incidents", "/api/v1/figures/today", "/api/v1/workers/live",
		"/api/v1/exports/incidents.csv?reason=" + url.QueryEscape("回访核实"),
	} {
		if a := st.get(p, hall); a.status != 200 || holdsCanary(a) {
			t.Errorf("%s: %d %.300s", p, a.status, a.body)
		}
	}
	for _, c := range canaries {
		if a := st.get("/api/v1/incidents?text="+url.QueryEscape(c), hall); a.status != 200 || strings.Contains(string(a.body), `"number"`) {
			t.Errorf("a search for %s finds it", c)
		}
		for _, table := range []string{"audit_log", "incident", "incident_journal", "outbox", "feed", "live_state", "reporter", "idempotency"} {
			if n := st.count("SELECT count(*) FROM "+table+" x WHERE x::text LIKE '%' || $1 || '%'", c); n != 0 {
				t.Errorf("%d rows of %s hold %s", n, table, c)
			}
		}
	}
}

func TestRevealsOfADayAreCounted(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now, Limits: api.Limits{ChangesPerSecond: 1000}})
	hall := st.sign(store.Credential{Role: auth.HallOperator})
	other := st.sign(store.Credential{Role: auth.HallOperator})
	reveal := st.told(hall, "0301", 107.2, 38.2) + "/reporters/1/reveal"
	ask := func(token string) answer { return st.call("POST", reveal, token, `{"reason":"回访核实"}`) }
	for i := range 50 {
		if a := ask(hall); a.status != 200 || !holdsCanary(a) {
			t.Fatalf("reveal %d: %d %s", i+1, a.status, a.body)
		}
	}
	for range 60 { // more refusals than are written down
		a := ask(hall)
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		until := clock.now().Add(time.Duration(wait) * time.Second).In(time.FixedZone("", 8*60*60))
		if a.status != 429 || holdsCanary(a) || err != nil || wait > 24*60*60 || until.Hour() != 0 || until.Minute() != 0 {
			t.Fatalf("reveal 51: %d %s, Retry-After %s", a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if a := ask(other); a.status != 200 {
		t.Errorf("somebody else: %d %s", a.status, a.body)
	}
	for action, want := range map[string]int{"reporter.reveal": 51, "reporter.reveal.refused": 50} {
		if n := st.count("SELECT count(*) FROM audit_log WHERE action = $1", action); n != want {
			t.Errorf("%d rows %s, want %d", n, action, want)
		}
	}
	clock.move(24 * time.Hour)
	if a := ask(hall); a.status != 200 {
		t.Errorf("the next day: %d %s", a.status, a.body)
	}
}

func TestRevealsAtOnceNeverPassTheLimit(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now, Limits: api.Limits{ChangesPerSecond: 10_000, RevealsPerDay: 7, Wait: 20 * time.Second}})
	hall := st.sign(store.Credential{Role: auth.HallOperator})
	reveal := st.told(hall, "0301", 107.2, 38.2) + "/reporters/1/reveal"
	n := 60
	if soak() {
		n = 1000
	}
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			a := st.call("POST", reveal, hall, `{"reason":"回访核实"}`)
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
			if (a.status == 200) != holdsCanary(a) {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if got[200] != 7 || got[429] != n-7 {
		t.Errorf("answers %v, want 7 of %d", got, n)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'reporter.reveal'"); n != 7 {
		t.Errorf("%d are written down", n)
	}
}

// TestWhatCannotBeWrittenDownIsNotDone takes the audit log away: no answer that
// has to be audited comes out.
func TestWhatCannotBeWrittenDownIsNotDone(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{}, crew...)
	hall := st.token(auth.HallOperator, "")
	path := st.told(hall, "0301", 107.2, 38.2)
	st.walk(1, 3, time.Now().Add(-time.Hour))
	why := "reason=" + url.QueryEscape("回访核实")
	period := "&from=" + url.QueryEscape(time.Now().Add(-2*time.Hour).Format(time.RFC3339)) + "&to=" + url.QueryEscape(time.Now().Format(time.RFC3339))
	acts := map[string]func() answer{
		"reveal":  func() answer { return st.call("POST", path+"/reporters/1/reveal", hall, `{"reason":"回访核实"}`) },
		"track":   func() answer { return st.get("/api/v1/workers/1/track?"+why+period, hall) },
		"rows":    func() answer { return st.get("/api/v1/exports/incidents.csv?"+why, hall) },
		"figures": func() answer { return st.get("/api/v1/exports/figures.csv?from=2026-01-05&to=2026-01-12&"+why, hall) },
	}
	for _, broken := range []struct{ how, breaks, mends string }{
		{"without the right", "REVOKE INSERT ON audit_log FROM onemap_app", "GRANT INSERT ON audit_log TO onemap_app"},
		{
			"as the transaction ends", // found out only by the commit
			`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
			CREATE CONSTRAINT TRIGGER full_disk AFTER INSERT ON audit_log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION full_disk()`,
			"DROP TRIGGER full_disk ON audit_log",
		},
	} {
		st.exec(broken.breaks)
		for what, do := range acts {
			a := do()
			if a.status != 500 && a.status != 503 || a.header.Get("Content-Type") != "application/problem+json" || holdsCanary(a) || bytes.Contains(a.body, []byte("107.")) || bytes.Contains(a.body, []byte("有人上报")) {
				t.Errorf("%s, %s: %d %s", what, broken.how, a.status, a.body)
			}
		}
		st.exec(broken.mends)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action ~ '^(reporter|track|export)'"); n != 0 {
		t.Fatalf("%d rows in a log that took none", n)
	}
	for what, do := range acts {
		if a := do(); a.status != 200 {
			t.Errorf("%s, with the log again: %d %s", what, a.status, a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action ~ '^(reporter|track|export)'"); n != len(acts) {
		t.Errorf("%d rows, want %d", n, len(acts))
	}
}

// walk keeps n fixes of a worker, one a second from a time on, newest first in.
func (st *stand) walk(worker, n int, from time.Time) {
	st.t.Helper()
	st.exec(`INSERT INTO worker_position (device_id, fix_at, worker_id, server_at, lon_e7, lat_e7, accuracy_m, speed_ms, verdict)
		SELECT $1, $2::timestamptz + k * interval '1 s', $1, now(), 1072000000 + k, 383000000, CASE WHEN k > 0 THEN 12 END, NULL, CASE k WHEN 1 THEN 'jump' ELSE '' END
		FROM generate_series($3::int - 1, 0, -1) k`, worker, from, n)
}

func TestATrackIsReadByWhoMayForAReason(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: api.Limits{ReadsPerSecond: 1000}}, crew...)
	start := time.Now().Add(-3 * time.Hour).Truncate(time.Second)
	st.walk(1, 10, start)
	st.walk(2, 10, start)
	period := func(from, to time.Time) string {
		return "?from=" + url.QueryEscape(from.Format(time.RFC3339)) + "&to=" + url.QueryEscape(to.Format(time.RFC3339))
	}
	track := func(worker int) string { return fmt.Sprintf("/api/v1/workers/%d/track", worker) }
	day, why := period(start, start.Add(24*time.Hour)), "&reason="+url.QueryEscape("核查出警经过")
	hall, auditor := st.token(auth.HallOperator, ""), st.token(auth.Auditor, "")
	townA := st.token(auth.Dispatcher, "A")
	own := st.sign(store.Credential{Role: auth.GridWorker, GridCode: "A1", Worker: 1})
	for _, c := range []struct {
		who, path, token string
		status           int
	}{
		{"hall without a reason", track(1) + day, hall, 422},
		{"hall with a short one", track(1) + day + "&reason=abc", hall, 422},
		{"hall", track(2) + day + why, hall, 200},
		{"dispatcher of the town", track(1) + day + why, townA, 200},
		{"... of the other town's worker", track(2) + day + why, townA, 404},
		{"... of nobody", track(999) + day + why, townA, 404},
		{"auditor without a case", track(1) + day + why, auditor, 422},
		{"auditor with words for a case", track(1) + day + why + "&case=the+one", auditor, 422},
		{"auditor", track(1) + day + why + "&case=SJ000000001", auditor, 200},
		{"worker, the own one", track(1) + day, own, 200},
		{"worker, another's", track(2) + day + why, own, 404},
		{"a worker of no name", track(1) + day, st.token(auth.GridWorker, "A1"), 404},
		{"town operator", track(1) + day + why, st.token(auth.TownOperator, "A"), 403},
		{"village head", track(1) + day + why, st.token(auth.VillageHead, "A1"), 403},
		{"leader", track(1) + day + why, st.token(auth.CountyLeader, ""), 403},
		{"wall", track(1) + day + why, st.token(auth.Wall, ""), 403},
		{"administrator", track(1) + day + why, st.token(auth.SystemAdmin, ""), 403},
		{"nobody", track(1) + day + why, "", 401},
		{"more than a day", track(1) + period(start, start.Add(25*time.Hour)) + why, hall, 422},
		{"backwards", track(1) + period(start, start.Add(-time.Hour)) + why, hall, 422},
		{"no period", track(1) + "?reason=abcd", hall, 400},
		{"worker 0", track(0) + day + why, hall, 400},
	} {
		a := st.get(c.path, c.token)
		if a.status != c.status || a.status != 200 && bytes.Contains(a.body, []byte("lon")) {
			t.Errorf("%s: %d %.300s", c.who, a.status, a.body)
		}
	}
	if a, b := st.get(track(2)+day+why, townA), st.get(track(999)+day+why, townA); !bytes.Equal(a.body, b.body) {
		t.Errorf("out of scope and unknown differ: %s, %s", a.body, b.body)
	}

	// The period holds its beginning and not its end; what a fix is, is said.
	var got struct {
		WorkerID string `json:"worker_id"`
		Badge    string
		Items    []api.TrackPoint
	}
	part := st.get(track(1)+period(start.Add(time.Second), start.Add(4*time.Second))+why, hall)
	if err := json.Unmarshal(part.body, &got); err != nil || got.WorkerID != "1" || got.Badge != "W1" || len(got.Items) != 3 {
		t.Fatalf("%d %s, error %v", part.status, part.body, err)
	}
	for i, p := range got.Items {
		if !p.At.Equal(start.Add(time.Duration(i+1)*time.Second)) || p.Lat != 38.3 || p.Lon != float64(1072000000+i+1)/1e7 ||
			p.AccuracyM == nil || *p.AccuracyM != 12 || p.SpeedMS != nil || p.CourseDeg != nil || (p.Verdict == "jump") != (i == 0) {
			t.Errorf("point %d: %+v", i, p)
		}
	}

	// Every track that was read is written down, nothing else is.
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'track.read'"); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
	for what, sql := range map[string]string{
		"the hall's part": `SELECT count(*) FROM audit_log WHERE action = 'track.read' AND object = 'worker/1' AND reason = '核查出警经过' AND (data ->> 'count')::int = 3
			AND (data ->> 'to')::timestamptz - (data ->> 'from')::timestamptz = interval '3 s'`,
		"the auditor's": `SELECT count(*) FROM audit_log WHERE action = 'track.read' AND data ->> 'case' = 'SJ000000001' AND (data ->> 'count')::int = 10`,
		"the own one":   `SELECT count(*) FROM audit_log WHERE action = 'track.read' AND object = 'worker/1' AND reason = ''`,
	} {
		if n := st.count(sql); n != 1 {
			t.Errorf("%s is written down %d times", what, n)
		}
	}

	// Never a part of what was asked for.
	st.walk(1, 20_001, start.Add(-20*time.Hour))
	if a := st.get(track(1)+period(start.Add(-20*time.Hour), start)+why, hall); a.status != http.StatusUnprocessableEntity || bytes.Contains(a.body, []byte("lon")) {
		t.Errorf("20,001 points: %d %.300s", a.status, a.body)
	}
	began := time.Now()
	all := st.get(track(1)+period(start.Add(-20*time.Hour), start.Add(-20*time.Hour+20_000*time.Second))+why, hall)
	if err := json.Unmarshal(all.body, &got); err != nil || len(got.Items) != 20_000 {
		t.Errorf("20,000 points: %d, %d, error %v", all.status, len(got.Items), err)
	}
	t.Logf("20,000 points in %s, %d bytes", time.Since(began).Round(time.Millisecond), len(all.body))
}
