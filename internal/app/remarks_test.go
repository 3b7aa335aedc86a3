// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// teller sends requests about one incident.
type teller struct {
	*stand
	t  *testing.T
	id string
}

func (st *stand) matter(t *testing.T, token, body string) *teller {
	t.Helper()
	a := st.call("POST", "/api/v1/incidents", token, body)
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return &teller{st, t, a.json(t)["id"].(string)}
}

// say sends a body to a route of the incident, and wants a status and a part of the answer.
func (x *teller) say(token, path, body string, status int, says string, headers ...string) map[string]any {
	x.t.Helper()
	method := http.MethodPost
	if strings.HasPrefix(path, "PUT ") {
		method, path = http.MethodPut, path[4:]
	}
	a := x.call(method, "/api/v1/incidents/"+x.id+"/"+path, token, body, headers...)
	if a.status != status || !strings.Contains(string(a.body), says) {
		x.t.Fatalf("%s %s: %d %s, want %d with %q", path, body, a.status, a.body, status, says)
	}
	return a.json(x.t)
}

func (x *teller) seen(token string) map[string]any {
	x.t.Helper()
	return x.get("/api/v1/incidents/"+x.id, token).json(x.t)
}

// act takes an act at the newest version.
func (x *teller) act(token, body string, status int, says string) map[string]any {
	x.t.Helper()
	return x.say(token, "actions", body, status, says, fmt.Sprintf(`If-Match: "%v"`, x.seen(x.any())["version"]))
}

func (x *teller) any() string { return x.token(auth.HallOperator, "") }

// walk takes acts without anything.
func (x *teller) walk(token string, acts ...string) {
	x.t.Helper()
	for _, a := range acts {
		x.act(token, `{"action":"`+a+`"}`, 200, "")
	}
}

const (
	quarrel = `{"category":"0101","title":"邻里纠纷","location":{"lon":107.2,"lat":38.3,"crs":"wgs84"},"reporter":{"name":"张某","phone":"13800001234"}}`
	lane    = `{"category":"0301","title":"通道占堵","location":{"lon":107.2,"lat":38.3,"crs":"wgs84"}}`
)

// TestTheGuardsAnswerThroughHTTP: each guard with its status and what to do.
func TestTheGuardsAnswerThroughHTTP(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, town, leader, worker := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.CountyLeader, ""), st.token(auth.GridWorker, "A1")
	x := st.matter(t, hall, lane)
	x.say(hall, "actions", `{"action":"accept"}`, 428, "If-Match")
	x.say(hall, "actions", `{"action":"accept"}`, 409, "version", `If-Match: "9"`)
	x.say(leader, "actions", `{"action":"accept"}`, 403, "", `If-Match: "1"`)
	x.act(hall, `{"action":"close"}`, 409, `"possible":["accept"`)
	x.act(hall, `{"action":"refuse"}`, 422, "reason")
	x.act(hall, `{"action":"resolve","reason":"done"}`, 403, "hall_operator")
	x.act(hall, `{"action":"merge"}`, 422, "into")
	x.act(hall, `{"action":"merge","into":"`+x.id+`"}`, 409, "another incident")
	x.act(hall, `{"action":"void","reason":"重复"}`, 409, "second person")
	x.walk(hall, "accept")
	x.act(hall, `{"action":"route","level":6}`, 409, "no grid at that level")
	x.walk(hall, "route")
	x.act(hall, `{"action":"reassign","reason":"no"}`, 409, "another level")
	x.act(hall, `{"action":"delegate","level":1}`, 409, "below")
	x.act(hall, `{"action":"suspend","reason":"冬季"}`, 422, "until")
	x.act(hall, `{"action":"suspend","reason":"冬季","until":"2020-01-01T00:00:00Z"}`, 409, "ahead")
	x.act(town, `{"action":"suspend","reason":"冬季","until":"2099-01-01T00:00:00Z"}`, 403, "town_operator")
	for range 2 {
		x.act(hall, `{"action":"escalate","reason":"超出权限"}`, 200, "")
		x.walk(hall, "route")
	}
	x.act(hall, `{"action":"escalate","reason":"超出权限"}`, 409, "nobody is above")
	if a := st.get("/api/v1/incidents/"+x.id, st.token(auth.VillageHead, "A1")); a.status != 200 {
		t.Errorf("the village does not see what moved up any more: %d", a.status)
	}
	x.walk(hall, "acknowledge", "resolve", "verify", "close")
	x.act(hall, `{"action":"reopen","reason":"不满意"}`, 409, "not satisfied")
	_ = worker
}

// TestAWorkerResolvesOnTheSpot what it reported itself in a grid it serves, where the
// category allows it.
func TestAWorkerResolvesOnTheSpot(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	st.exec("INSERT INTO worker (id, badge) OVERRIDING SYSTEM VALUE VALUES (1, 'W1'), (2, 'W2')")
	st.exec("INSERT INTO worker_grid (worker_id, grid_code) VALUES (1, 'A1')")
	as := func(worker uint32) string {
		secret, until := store.NewSecret(), time.Now().Add(tokenLife)
		_, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: auth.GridWorker, GridCode: "A1", Worker: worker, ExpiresAt: &until})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	w1, w2 := as(1), as(2)
	const done = `{"action":"resolve","reason":"当场调解"}`
	st.matter(t, w1, quarrel).act(w1, done, 200, "resolved")
	st.matter(t, w1, lane).act(w1, done, 409, "evidence")
	st.matter(t, w2, quarrel).act(w2, done, 409, "grid of their own")
	st.matter(t, w1, strings.Replace(quarrel, "38.3", "38.1", 1)).act(w1, done, 409, "grid of their own")
	st.matter(t, w1, strings.Replace(quarrel, "0101", "0401", 1)).act(w1, done, 409, "category")
}

// TestTwoPeopleDecide: never the same one; an approval carries out; extensions by whom
// and when.
func TestTwoPeopleDecide(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Date(2026, 11, 18, 2, 0, 0, 0, time.UTC)} // a Wednesday, 10:00 there
	st := newStandWith(t, Options{Now: clock.now})
	hall, other, town, leader := st.token(auth.HallOperator, ""), st.token(auth.Dispatcher, ""), st.token(auth.TownOperator, "A"), st.token(auth.CountyLeader, "")
	x := st.matter(t, hall, strings.Replace(quarrel, `"0101"`, `"0501"`, 1)) // 2 natural hours
	const extend = `{"kind":"extend","reason":"待料","value":1}`
	waits := func(who ...string) { // for these and for nobody else: the list of each is what each may decide
		t.Helper()
		for _, token := range []string{hall, other, town, leader} {
			items := st.get("/api/v1/remarks?kind=request&mine=true", token).json(t)["items"].([]any)
			if want := slices.Contains(who, token); len(items) == 1 != want || len(items) > 1 {
				t.Errorf("%s is told of %v that wait for a decision, want one: %v", st.get("/api/v1/session", token).json(t)["role"], items, want)
			}
		}
	}
	x.say(town, "requests", `{"kind":"extend","reason":"待料"}`, 422, "value")
	x.say(town, "requests", extend, 201, `"n":1`)
	waits(hall, other)
	x.say(town, "requests", extend, 409, "waits for a decision")
	x.say(town, "requests/1/decision", `{"decision":"approve"}`, 403, "")
	x.say(leader, "requests/1/decision", `{"decision":"approve"}`, 403, "county_leader")
	x.say(other, "requests/1/decision", `{"decision":"refuse"}`, 422, "reason")
	was := x.seen(hall)
	x.say(other, "requests/1/decision", `{"decision":"approve"}`, 200, "")
	is := x.seen(hall)
	if is["version"] != was["version"] || is["stage_due"] != "2026-11-19T09:30:00Z" {
		t.Errorf("extended from %v to %v, version %v to %v", was["stage_due"], is["stage_due"], was["version"], is["version"])
	}
	x.say(other, "requests/1/decision", `{"decision":"approve"}`, 409, "approved already")
	waits()
	x.say(hall, "requests", extend, 201, `"n":2`)
	waits(leader)
	x.say(other, "requests/2/decision", `{"decision":"approve"}`, 403, "")
	x.say(leader, "requests/2/decision", `{"decision":"approve"}`, 200, "")
	if due := x.seen(hall)["stage_due"]; due != "2026-11-20T09:30:00Z" {
		t.Errorf("due %v after the second extension", due)
	}
	x.say(hall, "requests", extend, 409, "twice")
	x.say(hall, "requests/7/decision", `{"decision":"approve"}`, 404, "")
	x.walk(hall, "accept", "route")
	x.say(hall, "requests", `{"kind":"suspend","reason":"冬季","until":"2027-04-01T00:00:00Z"}`, 409, "by itself")
	x.say(town, "requests", `{"kind":"suspend","reason":"冬季","until":"2027-04-01T00:00:00Z"}`, 201, `"n":3`)
	x.say(hall, "requests/3/decision", `{"decision":"approve"}`, 200, `"suspended"`)
	x.say(hall, "requests", `{"kind":"void","reason":"重复录入"}`, 201, `"n":4`)
	waits(other)
	x.say(hall, "requests/4/decision", `{"decision":"approve"}`, 409, "second person")
	x.say(other, "requests/4/decision", `{"decision":"approve"}`, 200, `"void"`)
	y := st.matter(t, hall, strings.Replace(quarrel, `"0101"`, `"0501"`, 1))
	y.say(hall, "requests", extend, 201, "")
	clock.move(3 * time.Hour)
	y.say(hall, "requests", extend, 409, "passed")
	y.say(other, "requests/1/decision", `{"decision":"approve"}`, 409, "passed")
	y.act(hall, `{"action":"refuse","reason":"不属受理范围","door":"人民法院"}`, 200, "")
	if n := st.count("SELECT count(*) FROM request WHERE state = 'lapsed'"); n != 1 {
		t.Errorf("%d requests have lapsed with their incident, want 1", n)
	}
}

// TestInstructionsSessionsAndAssistants leave version and owner alone.
func TestInstructionsSessionsAndAssistants(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, leader := st.token(auth.HallOperator, ""), st.token(auth.CountyLeader, "")
	x := st.matter(t, hall, lane)
	before := x.seen(hall)
	x.say(hall, "instructions", `{"text":"抓紧","due":"2099-01-01T00:00:00Z"}`, 403, "")
	x.say(leader, "instructions", `{"text":"抓紧","due":"2001-01-01T00:00:00Z"}`, 409, "ahead")
	x.say(leader, "instructions", `{"text":"抓紧","due":"2099-01-01T00:00:00Z"}`, 201, `"n":1`)
	open := func(kind string) map[string]any {
		return st.get("/api/v1/remarks?kind="+kind, hall).json(t)
	}
	if n := open("instruction")["counts"].(map[string]any)["instructions"]; n != float64(1) {
		t.Errorf("%v instructions are open", n)
	}
	x.say(hall, "instructions/1/reply", `{"text":"已派人"}`, 200, "")
	x.say(hall, "instructions/1/reply", `{"text":"已派人"}`, 409, "already")
	if items := open("instruction")["items"].([]any); len(items) != 0 {
		t.Errorf("answered and open: %v", items)
	}
	x.say(hall, "sessions", `{"at":"2026-12-01T01:00:00Z","place":"三楼","seats":[{"role":"院长","holder":"x"}]}`, 422, "值班领导")
	x.say(hall, "sessions", `{"at":"2026-12-01T01:00:00Z","place":"三楼","seats":[{"role":"值班领导","holder":"副主任"}]}`, 201, `"n":1`)
	x.say(hall, "sessions/1/confirm", `{}`, 400, "ver")
	x.say(hall, "sessions/1/confirm", `{"ver":1}`, 409, "属地主持, 专业人员一, 专业人员二, 专业人员三, 信访跟办")
	seats := `{"at":"2026-12-01T01:00:00Z","place":"三楼","follow_up":"信访局","seats":[`
	for i, r := range []string{"值班领导", "属地主持", "专业人员一", "专业人员二", "专业人员三", "信访跟办"} {
		seats += map[bool]string{true: ",", false: ""}[i > 0] + `{"role":"` + r + `","holder":"某岗"}`
	}
	x.say(hall, "PUT sessions/1", seats+"]}", 400, "ver")
	x.say(hall, "PUT sessions/1", seats+`],"ver":1}`, 200, `"ver":2`)
	x.say(hall, "sessions/1/confirm", `{"ver":2}`, 200, "")
	x.say(hall, "PUT sessions/1", seats+`],"ver":2}`, 409, "confirmed")
	dept := func(name string) string {
		secret, until := store.NewSecret(), time.Now().Add(tokenLife)
		id := int64(st.count("SELECT id FROM department WHERE name = $1", name))
		_, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: auth.DeptHandler, Department: id, ExpiresAt: &until})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	helper := dept("住房建设")
	x.say(helper, "notes", `{"text":"到了"}`, 404, "")
	x.say(hall, "assistants", `{"department":"消防救援"}`, 409, "leads")
	x.say(hall, "assistants", `{"department":"住房建设"}`, 200, "")
	l := st.live(helper, `{"type":"hello","topics":["events"]}`)
	for m := l.next(); m.ID != x.id && !strings.Contains(string(m.Items)+fmt.Sprint(m.Snapshot), x.id); m = l.next() { // in the snapshot, or just after
	}
	x.say(helper, "notes", `{"text":"到了"}`, 201, "")
	x.say(helper, "actions", `{"action":"acknowledge"}`, 403, "lead department", fmt.Sprintf(`If-Match: "%v"`, before["version"]))
	x.say(hall, "assistants", `{"department":"住房建设","release":true}`, 200, "")
	x.say(helper, "notes", `{"text":"到了"}`, 404, "")
	if after := x.seen(hall); after["version"] != before["version"] || after["stage_due"] != before["stage_due"] || after["owner_level"] != before["owner_level"] {
		t.Errorf("remarks moved %v to %v", before, after)
	}
}

// TestTwoWhoFillOneSessionDoNotOverwriteEachOther: who has not read what the other wrote
// is refused, told by whom, and confirms nothing either.
func TestTwoWhoFillOneSessionDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, other := st.token(auth.HallOperator, ""), st.token(auth.Dispatcher, "")
	x := st.matter(t, hall, lane)
	body := func(place, seen string) string {
		return `{"at":"2026-12-01T01:00:00Z","place":"` + place + `","seats":[{"role":"值班领导","holder":"副主任"}]` + seen + `}`
	}
	session := func() map[string]any {
		return x.get("/api/v1/incidents/"+x.id+"/remarks", hall).json(t)["sessions"].([]any)[0].(map[string]any)
	}
	x.say(hall, "sessions", body("三楼", ""), 201, `"ver":1`)
	if s := session(); s["ver"] != 1.0 || s["changed_by"] != nil {
		t.Errorf("as it was called: %v", s)
	}
	x.say(other, "PUT sessions/1", body("四楼", `,"ver":1`), 200, `"ver":2`, "Idempotency-Key: theirs")
	by := session()["changed_by"].(string)
	x.say(hall, "PUT sessions/1", body("五楼", `,"ver":1`), 409, by)
	x.say(hall, "sessions/1/confirm", `{"ver":1}`, 409, by)
	if s := session(); s["place"] != "四楼" || s["ver"] != 2.0 || s["confirmed_at"] != nil {
		t.Errorf("after the refusal: %v", s)
	}
	// Whose answer was lost sends the same again, and is no rival of the own change.
	x.say(other, "PUT sessions/1", body("四楼", `,"ver":1`), 200, `"ver":2`, "Idempotency-Key: theirs")
	x.say(hall, "PUT sessions/1", body("五楼", `,"ver":2`), 200, `"ver":3`)
	if s := session(); s["place"] != "五楼" || s["changed_by"] == by {
		t.Errorf("by who had read it: %v", s)
	}
}

// TestARepeatedRemarkAnswersWhatTheFirstDid: also the number of what it made.
func TestARepeatedRemarkAnswersWhatTheFirstDid(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, leader := st.token(auth.HallOperator, ""), st.token(auth.CountyLeader, "")
	x := st.matter(t, hall, lane)
	sit := `{"at":"2026-12-01T01:00:00Z","place":"三楼"}`
	x.say(hall, "sessions", sit, 201, `"n":1`)
	for _, c := range []struct{ token, path, body string }{
		{hall, "sessions", sit},
		{leader, "instructions", `{"text":"抓紧","due":"2099-01-01T00:00:00Z"}`},
		{hall, "notes", `{"text":"到了"}`},
	} {
		first := x.say(c.token, c.path, c.body, 201, "", "Idempotency-Key: "+c.path)
		again := x.say(c.token, c.path, c.body, 201, `"repeated":true`, "Idempotency-Key: "+c.path)
		if again["n"] != first["n"] || again["ver"] != first["ver"] {
			t.Errorf("%s: first %v %v, again %v %v", c.path, first["n"], first["ver"], again["n"], again["ver"])
		}
	}
	if n := st.count("SELECT count(*) FROM joint_session"); n != 2 {
		t.Errorf("%d sessions are called by two requests", n)
	}
}

// TestEveryReporterIsCalledBack: also of the incident that was merged, by who was asked
// first; who is not satisfied may have it reopened, once; the dossier stays as it was filed.
func TestEveryReporterIsCalledBack(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, second := st.token(auth.HallOperator, ""), st.token(auth.Dispatcher, "")
	x, y := st.matter(t, hall, quarrel), st.matter(t, second, strings.Replace(quarrel, "1234", "5678", 1))
	x.walk(hall, "accept", "route", "acknowledge")
	y.act(hall, `{"action":"merge","into":"`+x.id+`"}`, 200, "merged")
	mine := func(token string) (ids []string) {
		var v struct {
			Items []struct{ Incident string }
		}
		if err := json.Unmarshal(st.get("/api/v1/remarks?kind=call_back&mine=true", token).body, &v); err != nil {
			t.Fatal(err)
		}
		for _, i := range v.Items {
			ids = append(ids, i.Incident)
		}
		return ids
	}
	if got := mine(second); len(got) != 0 {
		t.Errorf("owed before the end: %v", got)
	}
	x.walk(hall, "resolve", "verify", "close")
	if a, b := mine(hall), mine(second); len(a) != 1 || len(b) != 1 || a[0] != x.id || b[0] != y.id {
		t.Fatalf("owed by the first %v, by the second %v", a, b)
	}
	x.say(hall, "callbacks/1/outcome", `{"outcome":"satisfied"}`, 200, "")
	x.say(hall, "callbacks/1/outcome", `{"outcome":"satisfied"}`, 409, "already")
	y.say(second, "callbacks/1/outcome", `{"outcome":"unsatisfied"}`, 422, "text")
	y.say(second, "callbacks/1/outcome", `{"outcome":"unsatisfied","text":"仍在争吵"}`, 200, "")
	x.act(hall, `{"action":"reopen","reason":"回访不满意"}`, 200, "reopened")
	x.walk(hall, "accept", "route", "acknowledge", "resolve", "verify", "close")
	if a, b := mine(hall), mine(second); len(a) != 1 || len(b) != 1 {
		t.Errorf("owed again by the first %v, by the second %v", a, b)
	}
	for range 3 {
		x.say(hall, "callbacks/2/outcome", `{"outcome":"unreached"}`, 200, "")
	}
	x.say(hall, "callbacks/2/outcome", `{"outcome":"satisfied"}`, 409, "already")
	x.act(hall, `{"action":"reopen","reason":"回访不满意"}`, 409, "once")
	path := "/api/v1/incidents/" + x.id + "/dossier"
	if d := st.get(path, hall).json(t); d["filed_at"] != nil || d["dossier"].(map[string]any)["incident"].(map[string]any)["state"] != "closed" {
		t.Errorf("before it is archived: %v", d)
	}
	x.walk(hall, "archive")
	x.say(hall, "notes", `{"text":"归档后的备注"}`, 201, "")
	var d struct {
		Dossier   json.RawMessage
		SHA256    string
		Unchanged *bool
	}
	a := st.get(path, hall)
	if err := json.Unmarshal(a.body, &d); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(d.Dossier)
	if d.Unchanged == nil || !*d.Unchanged || hex.EncodeToString(sum[:]) != d.SHA256 || strings.Contains(string(d.Dossier), "归档后") || strings.Contains(string(a.body), "13800001234") {
		t.Errorf("the filed dossier: %s", a.body)
	}
	page := st.call("GET", path, hall, "", "Accept: text/html")
	if page.status != 200 || page.header.Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(string(page.body), "<script") ||
		!strings.Contains(string(page.body), d.SHA256) || !strings.Contains(string(page.body), "与归档时一致") || len(page.header.Values("Content-Security-Policy")) != 1 ||
		!strings.Contains(page.header.Get("Content-Security-Policy"), "style-src 'sha256-") {
		t.Errorf("the page: %d %v %s", page.status, page.header, page.body)
	}
	st.exec("ALTER TABLE dossier DISABLE TRIGGER USER")
	st.exec("UPDATE dossier SET body = convert_to(replace(convert_from(body, 'UTF8'), '邻里纠纷', '没有纠纷'), 'UTF8')")
	if d := st.get(path, hall).json(t); d["unchanged"] != false {
		t.Errorf("a changed dossier is shown as unchanged: %v", d)
	}
}

// TestOpenRemarksAreReadPageByPage: each of them once, in order, whatever kind.
func TestOpenRemarksAreReadPageByPage(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	for range 2 {
		st.matter(t, hall, quarrel)
	}
	st.close("true")
	for _, sql := range []string{ // many at the same time
		"INSERT INTO reporter (incident_id, n) SELECT i.id, n FROM incident i, generate_series(2, 5) n",
		`INSERT INTO call_back (incident_id, n, reporter_n, closes_id, owed_by, due)
			SELECT i.id, n, n, i.id, 'token:1', date_trunc('hour', now()) - n % 3 * interval '1 hour' FROM incident i, generate_series(1, 5) n`,
		"INSERT INTO instruction (incident_id, n, body, due, given_by, given_at) SELECT i.id, n, '抓紧', '2026-12-01', 'token:1', now() FROM incident i, generate_series(1, 3) n",
		"INSERT INTO request (incident_id, n, kind, state, stage, reason, asked_by, asked_at) SELECT id, 1, 'void', 'open', 1, '重复录入', 'token:1', now() FROM incident",
		`INSERT INTO joint_session (incident_id, n, at, place, seats, called_by, called_at) SELECT i.id, n, '2026-12-01', '三楼', '[]', 'token:1', now() FROM incident i, generate_series(1, 2) n`,
	} {
		st.exec(sql)
	}
	for kind, n := range map[string]int{"call_back": 10, "instruction": 6, "request": 2, "session": 4, "review": 0} {
		whole := st.want(200, "GET", "/api/v1/remarks?limit=200&kind="+kind, hall, "").json(t)
		paged := []any{}
		for cursor := ""; len(paged) <= n; {
			page := st.want(200, "GET", "/api/v1/remarks?limit=2&kind="+kind+cursor, hall, "").json(t)
			paged = append(paged, page["items"].([]any)...)
			if page["cursor"] == nil {
				break
			}
			cursor = "&cursor=" + page["cursor"].(string)
		}
		if len(paged) != n || !reflect.DeepEqual(any(paged), whole["items"]) || whole["cursor"] != nil {
			t.Errorf("%s: page by page %v, at once %v", kind, paged, whole)
		}
	}
	for _, cursor := range []string{"x", "1.1.1", "1.1.99999", "9999999999999999999.1.1", "9000000000000000000.1.1"} {
		if i := strings.Index(cursor, "."); i > 0 {
			cursor = base64.RawURLEncoding.EncodeToString([]byte(cursor))
		}
		if a := st.get("/api/v1/remarks?kind=call_back&cursor="+cursor, hall); a.status != map[bool]int{true: 200, false: 400}[cursor == "MS4xLjE"] {
			t.Errorf("cursor %s: %d %s", cursor, a.status, a.body)
		}
	}
}

// TestACorrectionTakesGridDepartmentAndLimitAlong, and a letter's own limit wins.
func TestACorrectionTakesGridDepartmentAndLimitAlong(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Date(2026, 11, 18, 2, 0, 0, 0, time.UTC)}
	st := newStandWith(t, Options{Now: clock.now})
	hall := st.token(auth.HallOperator, "")
	x := st.matter(t, hall, lane)
	clock.move(time.Hour)
	x.act(hall, `{"action":"correct","reason":"登记有误"}`, 422, "edits")
	v := x.act(hall, `{"action":"correct","reason":"登记有误","category":"0501","priority":3,"location":{"lon":107.7,"lat":38.1,"crs":"wgs84"}}`, 200, "")
	path := v["grid"].(map[string]any)["path"].([]any)
	if v["category"] != "0501" || v["department"] != "住房建设" || v["priority"] != 3.0 || path[len(path)-1].(map[string]any)["code"] != "B2" ||
		v["owner_level"] != 2.0 || v["stage_due"] != "2026-11-18T04:00:00Z" { // two natural hours from the report
		t.Errorf("corrected: %v", v)
	}
	letter := strings.Replace(lane, `{`, `{"source":"petition","limit":{"value":15,"unit":"cd"},`, 1)
	y := st.matter(t, hall, letter)
	if due := y.seen(hall)["stage_due"]; due != "2026-12-03T16:00:00Z" {
		t.Errorf("a letter's own limit: due %v", due)
	}
	y.walk(hall, "accept")
	if v := y.act(hall, `{"action":"delegate","level":3}`, 409, "below"); v == nil {
		t.Error("no answer")
	}
	if v := y.act(hall, `{"action":"escalate","reason":"超出"}`, 200, ""); v["stage_due"] != "2026-12-03T16:00:00Z" {
		t.Errorf("the letter's limit at the next level: %v", v["stage_due"])
	}
	if a := st.call("POST", "/api/v1/incidents", hall, strings.Replace(letter, "petition", "phone", 1)); a.status != 422 {
		t.Errorf("a limit by telephone: %d %s", a.status, a.body)
	}
}

// TestStepsAreNamesOverTheSameStates in every preset.
func TestStepsAreNamesOverTheSameStates(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, admin := st.token(auth.HallOperator, ""), st.token(auth.SystemAdmin, "")
	var v struct {
		Preset  string
		Presets []struct {
			Preset string
			Steps  []struct {
				Step   int
				Label  string
				States []string
			}
		}
	}
	read := func() {
		t.Helper()
		if err := json.Unmarshal(st.get("/api/v1/steps", hall).body, &v); err != nil {
			t.Fatal(err)
		}
	}
	if read(); v.Preset != "states" || len(v.Presets) != 4 {
		t.Fatalf("%+v", v)
	}
	main := map[string]string{}
	for _, p := range v.Presets {
		named := map[string]bool{}
		for _, s := range p.Steps {
			main[p.Preset] += s.Label
			for _, state := range s.States {
				named[state] = true
			}
		}
		if len(named) != 19 {
			t.Errorf("%s names %d of 19 states", p.Preset, len(named))
		}
	}
	if main["shouyan"] != "收研转办结" || main["shouli"] != "受理分流处置反馈评价" || main["paijie"] != "排接调稳" {
		t.Errorf("labels %v", main)
	}
	if a := st.call("PUT", "/api/v1/steps", admin, `{"preset":"shouyan"}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if read(); v.Preset != "shouyan" {
		t.Errorf("chosen, and %q is in use", v.Preset)
	}
}
