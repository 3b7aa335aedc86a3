// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// handTable reads a table that was laid by hand for package analysis.
func handTable(t testing.TB, name string) [][]string {
	t.Helper()
	f, err := os.Open("../../analysis/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.FieldsPerRecord = '#', -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// layByHand puts the incidents of the table into the record. They are told as history,
// so that nothing sweeps them.
func (st *stand) layByHand(t testing.TB) {
	t.Helper()
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s %v: %v", sql, args, err)
		}
	}
	none := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	at := func(text string) any {
		if text == "" {
			return nil
		}
		return "2026-" + text + "+08"
	}
	dept := func(name string) any {
		if name == "" {
			return nil
		}
		return map[string]int64{"D1": 1, "D2": 2}[name]
	}
	var id string
	stage := 0
	for _, r := range handTable(t, "incidents.csv") {
		switch r[0] {
		case "incident":
			id, stage = r[1], 0
			exec(`INSERT INTO incident (id, state, category, priority, title, source, geom, raw_lon, raw_lat, raw_datum, place, grid_id, grid_no, cell6, cell7, cell8, cell9,
				owner_level, department_id, reported_at, acknowledged_at, resolved_at, closed_at, resolved_level, reopened, version, review_at, history)
				SELECT $1, $2, '0301', 2, '手排', 'hand', CASE WHEN $3 <> 'none' THEN ST_SetSRID(ST_MakePoint(107.2, 38.3), 4326) END, x, x, CASE WHEN $3 <> 'none' THEN 'wgs84' END, $3,
				g.id, g.no, x, x, x, x, 2, $4, $5, $6, $7, $8, $9::smallint, $10, $11, CASE WHEN $2 = 'suspended' THEN now() END, true
				FROM grid g, (SELECT CASE WHEN $3 <> 'none' THEN 1 END AS x) x WHERE g.code = CASE WHEN $3 = 'in_grid' THEN 'A1' ELSE 'C' END`,
				r[1], r[2], r[10], dept(r[3]), at(r[4]), at(r[5]), at(r[6]), at(r[7]), none(r[8]), r[9], r[11])
			for i, said := range strings.Fields(r[12]) {
				exec("INSERT INTO reporter (incident_id, n) VALUES ($1, $2)", id, i+1)
				if said == "owed" {
					said = ""
				}
				exec(`INSERT INTO call_back (incident_id, n, reporter_n, closes_id, owed_by, due, done_at, done_by, outcome)
					SELECT $1, $2, $2, $1, 'token:1', now(), CASE WHEN $3::text <> '' THEN now() END, CASE WHEN $3 <> '' THEN 'token:1' END, nullif($3, '')`, id, i+1, said)
			}
			advice := strings.Fields(r[13])
			for i := 0; i+1 < len(advice); i += 2 {
				mark := advice[i+1][len(advice[i+1])-1:]
				n := 3
				if mark == "?" {
					n = 0
				}
				exec(`INSERT INTO advice (incident_id, category, at, seq, actor, passed, measured, by_road, ranked, left_out, chosen, ranks, overridden)
					VALUES ($1, '0301', $2, 1, 'token:1', $3, $3, $3, '[]', '{}', '{1}', '{1}', $4)`, id, at(advice[i]+" "+strings.TrimRight(advice[i+1], "=!?")), n, mark == "!")
			}
		case "stage":
			stage++
			exec(`INSERT INTO incident_stage (incident_id, n, level, department_id, started_at, due, stopped_at, ended_at, paused_at, extensions, provisional)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
				id, stage, r[1], dept(r[2]), at(r[3]), at(r[4]), at(r[5]), at(r[6]), at(r[7]), strings.Count(r[8], "x"), strings.Contains(r[8], "p"))
			exec("UPDATE incident SET stage = $2, owner_level = $3, stage_due = $4 WHERE id = $1", id, stage, r[1], at(r[4]))
		case "limit":
			exec("UPDATE incident SET owner_level = $2, stage_due = $3 WHERE id = $1", id, r[1], at(r[2]))
		}
	}
	exec("SELECT setval('incident_id', 1000)")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// figureAt is one figure of a line of the answer by its path, such as on_time.late or
// solved.3; nil when there is none.
func figureAt(line any, path string) map[string]any {
	at := line
	for name := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			i := slices.IndexFunc(v, func(one any) bool { return fmt.Sprint(one.(map[string]any)["level"]) == name })
			if i < 0 {
				return nil
			}
			at = v[i]
		}
	}
	f, _ := at.(map[string]any)
	return f
}

// opened lists the incidents that a query of the list has, by their ids.
func (st *stand) opened(t testing.TB, token, query string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		a := st.get("/api/v1/incidents?limit=200&"+query+cursor, token)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", query, a.status, a.body)
		}
		var page struct {
			Items  []struct{ ID string }
			Cursor *string
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, in := range page.Items {
			ids = append(ids, in.ID)
		}
		if page.Cursor == nil {
			return ids
		}
		cursor = "&cursor=" + *page.Cursor
	}
}

// rowsEqual opens every figure below v into its rows and compares the counts; it
// returns how many it opened.
func (st *stand) rowsEqual(t testing.TB, token, path string, v any, seen map[string]int) (opened int) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for i, one := range v {
			opened += st.rowsEqual(t, token, fmt.Sprint(path, ".", i), one, seen)
		}
	case map[string]any:
		for query, n := range map[string]string{"rows": "n", "of_rows": "of"} {
			q, ok := v[query].(string)
			if !ok {
				continue
			}
			if _, known := seen[q]; !known {
				seen[q] = len(st.opened(t, token, q))
			}
			if opened++; float64(seen[q]) != v[n] {
				t.Errorf("%s: %s %v, and %d rows by %s", path, n, v[n], seen[q], q)
			}
		}
		for name, one := range v {
			opened += st.rowsEqual(t, token, path+"."+name, one, seen)
		}
	}
	return opened
}

// TestFiguresByHTTPAreThoseWorkedOutByHand puts the incidents that were laid by hand
// into the record and asks for their figures: they are those of the table, open into
// as many rows, and who reads no cases is told none from 1 to 4.
func TestFiguresByHTTPAreThoseWorkedOutByHand(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	st.layByHand(t)
	hall, auditor := st.token(auth.HallOperator, ""), st.token(auth.Auditor, "")
	var names [2]string
	for i := range names {
		if err := st.s.db.Pool.QueryRow(t.Context(), "SELECT name FROM department WHERE id = $1", i+1).Scan(&names[i]); err != nil {
			t.Fatal(err)
		}
	}
	period := url.Values{"from": {"2026-09-14T00:00:00+08:00"}, "to": {"2026-10-12T00:00:00+08:00"}}.Encode()
	ask := func(token, more string) map[string]any {
		t.Helper()
		a := st.get("/api/v1/figures?"+period+more, token)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", more, a.status, a.body)
		}
		return a.json(t)
	}
	lines := map[string]any{"total": ask(hall, "")["total"]}
	for by, rename := range map[string]map[string]string{"level": {}, "department": {names[0]: "D1", names[1]: "D2"}} {
		for _, g := range ask(hall, "&by="+by)["groups"].([]any) {
			code := g.(map[string]any)["code"].(string)
			if short, ok := rename[code]; ok {
				code = short
			}
			lines[by+" "+code] = g
		}
	}
	for _, r := range handTable(t, "figures.csv") {
		f := figureAt(lines[r[0]], r[1])
		want, err := strconv.ParseFloat(r[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		of, _ := strconv.ParseFloat(r[3], 64)
		switch {
		case r[1] == "working_days":
			if mean, _ := f["mean"].(float64); f["n"] != of || math.Abs(mean-want/of) > 0.5001e-4 {
				t.Errorf("%s, %s: %v, by hand %s of %s", r[0], r[1], f, r[2], r[3])
			}
		case f["n"] != want || r[3] != "" && f["of"] != of:
			t.Errorf("%s, %s: %v, by hand %s of %s", r[0], r[1], f, r[2], r[3])
		case r[3] != "":
			if rate, _ := f["rate"].(float64); math.Abs(rate-want/of) > 0.5001e-4 {
				t.Errorf("%s, %s: the rate is %v", r[0], r[1], rate)
			}
		}
	}
	late := st.opened(t, hall, figureAt(lines["total"], "on_time.late")["rows"].(string))
	if slices.Sort(late); !slices.Equal(late, []string{"11", "13", "14", "17", "24", "28", "4", "7"}) {
		t.Errorf("late by the list: %v", late)
	}

	if rows := figureAt(ask(hall, "&by=level")["total"], "solved.3")["rows"]; rows == nil {
		t.Error("told by level, what level 3 solved of all does not open")
	}
	opened, seen := 0, map[string]int{}
	for _, more := range []string{"", "&by=level", "&by=grid", "&by=category&grid=A&category=03&department=" + url.QueryEscape(names[0])} {
		v := ask(hall, more)
		opened += st.rowsEqual(t, hall, more, v["total"], seen) + st.rowsEqual(t, hall, more, v["groups"], seen)
	}
	// the periods before are those that are asked for alone, and open likewise
	both := ask(hall, "&by=level&before=weeks,year")
	for i, span := range []url.Values{
		{"from": {"2026-08-17T00:00:00+08:00"}, "to": {"2026-09-14T00:00:00+08:00"}}, {"from": {"2025-09-15T00:00:00+08:00"}, "to": {"2025-10-13T00:00:00+08:00"}},
	} {
		then := both["before"].([]any)[i].(map[string]any)
		alone := st.get("/api/v1/figures?by=level&"+span.Encode(), hall).json(t)
		opened += st.rowsEqual(t, hall, fmt.Sprint("before ", i), then, seen)
		for _, v := range append([]any{alone["total"]}, alone["groups"].([]any)...) {
			delete(v.(map[string]any), "open")
			delete(v.(map[string]any), "overdue")
		}
		if then["which"] != []string{"weeks", "year"}[i] || !reflect.DeepEqual(then["total"], alone["total"]) || !reflect.DeepEqual(then["groups"], alone["groups"]) {
			t.Errorf("before %d:\n%v\nalone\n%v", i, then, alone)
		}
	}
	if a := st.get("/api/v1/figures?"+period+"&before=weeks,weeks", hall); a.status != 422 {
		t.Errorf("the same twice: %d %s", a.status, a.body)
	}
	if figureAt(both["total"], "open")["n"].(float64) < 3 || figureAt(both["total"], "overdue")["n"] == 0.0 {
		t.Errorf("open %v, overdue %v", figureAt(both["total"], "open"), figureAt(both["total"], "overdue"))
	}
	if opened < 150 {
		t.Errorf("only %d figures were opened", opened)
	}
	if n := figureAt(ask(st.token(auth.TownOperator, "B"), "")["total"], "reported")["n"]; n != 0.0 {
		t.Errorf("the other town counts %v", n)
	}

	// A stage's clock stops when the incident is put aside or resolved in it, not when the stage ends.
	id := st.routed(hall)
	for i, act := range []string{`"suspend","reason":"待季节施工","until":"2099-01-01T00:00:00Z"`, `"escalate","reason":"超出权限"`, `"route"`, `"acknowledge"`, `"resolve"`, `"verify"`, `"close"`} {
		st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", hall, `{"action":`+act+`}`, fmt.Sprintf(`If-Match: "%d"`, i+3))
	}
	if n := st.count(`SELECT count(*) FROM incident_stage s JOIN incident i ON i.id = s.incident_id WHERE i.id = $1 AND s.stopped_at < s.ended_at AND
		CASE s.n WHEN 1 THEN s.stopped_at <= (SELECT at FROM incident_journal j WHERE j.incident_id = i.id AND j.kind = 'suspend') ELSE s.stopped_at = i.resolved_at END`, id); n != 2 {
		t.Errorf("%d stages stopped when they should", n)
	}

	const week = "from=2026-09-14T00:00:00%2B08:00&to=2026-09-21T00:00:00%2B08:00"
	told := 0
	for _, span := range []string{week, "from=2026-09-21T00:00:00%2B08:00&to=2026-09-28T00:00:00%2B08:00", "from=2026-09-28T00:00:00%2B08:00&to=2026-10-05T00:00:00%2B08:00"} {
		a, all := st.get("/api/v1/figures?"+span, auditor), st.get("/api/v1/figures?"+span, hall).json(t)["total"]
		if a.status != 200 {
			t.Fatalf("%s: %d %s", span, a.status, a.body)
		}
		for _, path := range []string{"reported", "closed", "not_located", "outside", "reopened", "on_time", "on_time.late", "on_time.extended", "satisfied", "chosen", "overridden", "working_days"} {
			f, known := figureAt(a.json(t)["total"], path), figureAt(all, path)
			n, some := f["n"].(float64)
			if some && (n != known["n"] || n > 0 && n < auth.K) || f["rows"] != nil {
				t.Errorf("the auditor is told %v of %s, which is %v", f, path, known)
			}
			if some {
				told++
			}
		}
	}
	if told == 0 {
		t.Error("the auditor is told nothing")
	}
	for token, paths := range map[string]map[string]int{
		auditor: {period: 422, week + "&by=level": 403, week + "&grid=A": 403, week + "&category=03": 403, "from=2026-09-15T00:00:00%2B08:00&to=2026-10-12T00:00:00%2B08:00": 422, "from=2026-09-14T00:00:00Z&to=2026-10-12T00:00:00Z": 422},
		hall: {
			"": 400, period + "&by=worker": 400, period + "&grid=nowhere": 404, period + "&department=nobody": 422, period + "&department=none": 422,
			"from=2026-10-12T00:00:00Z&to=2026-10-12T00:00:00Z": 422, "from=2026-10-12T00:00:00Z&to=2026-10-11T00:00:00Z": 422, "from=2025-01-01T00:00:00Z&to=2026-10-11T00:00:00Z": 422,
		},
	} {
		for query, want := range paths {
			if a := st.get("/api/v1/figures?"+query, token); a.status != want {
				t.Errorf("%s: %d %s, want %d", query, a.status, a.body, want)
			}
		}
	}
	for query, want := range map[string]int{
		"outcome=late": 422, "closed_from=2026-10-12T00:00:00Z": 422, "due_to=2026-10-12T00:00:00Z": 422, "due_from=2026-10-12T00:00:00Z&due_to=2026-10-12T00:00:00Z": 422,
		"level=7": 400, "place=somewhere": 400, "department=nobody": 422, "on_the_spot=maybe": 400,
	} {
		if a := st.get("/api/v1/incidents?"+query, hall); a.status != want {
			t.Errorf("%s: %d %s, want %d", query, a.status, a.body, want)
		}
	}
	if a := st.get("/api/v1/incidents?level=3", auditor); a.status != 403 {
		t.Errorf("the auditor's list by level: %d %s", a.status, a.body)
	}
}

// TestFiguresOfALongPeriodMayTakeLong holds the last of the counts up: two who ask for a
// year wait longer than other questions may, a third is told to come again.
func TestFiguresOfALongPeriodMayTakeLong(t *testing.T) {
	t.Parallel()
	st := newStand(t) // with the limits of every day
	leader := st.token(auth.CountyLeader, "")
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE advice IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	year := "/api/v1/figures?" + url.Values{"from": {"2025-10-01T00:00:00+08:00"}, "to": {"2026-10-01T00:00:00+08:00"}}.Encode()
	answers := make(chan answer, 3)
	for range 3 {
		go func() { answers <- st.get(year, leader) }()
	}
	if a := <-answers; a.status != 503 || !strings.Contains(string(a.body), "busy") {
		t.Errorf("the third: %d %s", a.status, a.body)
	}
	time.Sleep(3 * time.Second) // the time of other questions
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a := <-answers; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}
