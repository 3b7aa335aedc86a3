// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/people"
)

// withoutRows is an answer without the queries that open its figures; bare takes away
// also what is open now.
func withoutRows(v any, bare bool) any {
	switch v := v.(type) {
	case []any:
		for i, one := range v {
			v[i] = withoutRows(one, bare)
		}
	case map[string]any:
		delete(v, "rows")
		delete(v, "of_rows")
		if bare {
			delete(v, "open")
			delete(v, "overdue")
		}
		for name, one := range v {
			v[name] = withoutRows(one, bare)
		}
	}
	return v
}

// weekOf is the period of the week that begins on this Monday, so many days earlier.
func weekOf(t testing.TB, monday string, earlier int) string {
	t.Helper()
	from, err := time.Parse(time.RFC3339, monday+"T00:00:00+08:00")
	if err != nil {
		t.Fatal(err)
	}
	from = from.AddDate(0, 0, -earlier)
	return url.Values{"from": {from.Format(time.RFC3339)}, "to": {from.AddDate(0, 0, 7).Format(time.RFC3339)}}.Encode()
}

// told is the text of what a bulletin tells.
func told(t testing.TB, a answer) []byte {
	t.Helper()
	var v struct{ Told json.RawMessage }
	if err := json.Unmarshal(a.body, &v); err != nil || len(v.Told) == 0 {
		t.Fatalf("%v: %.300s", err, a.body)
	}
	return v.Told
}

// TestABulletinIsTheFiguresOfItsWeekAndStaysSo makes the bulletin of a week, compares it
// with the figures, changes the incidents, and reads it again.
func TestABulletinIsTheFiguresOfItsWeekAndStaysSo(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	st.layByHand(t)
	hall, townA, townB := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B")
	fire := st.handler(fireDept)
	const week = "2026-09-28"
	const path = "/api/v1/bulletins"
	body := `{"grid":"C","week":"` + week + `"}`
	made := st.must(201, "POST", path, hall, body, "Idempotency-Key: w1")
	first := made.json(t)
	at := path + "/" + first["id"].(string)
	if first["corrects"] != nil || first["corrected_by"] != nil || first["week"] != week || first["grid"] != "C" {
		t.Errorf("%.400s", made.body)
	}
	if sum := sha256.Sum256(told(t, made)); first["sha256"] != hex.EncodeToString(sum[:]) {
		t.Errorf("the hash is not that of what is told")
	}

	// each figure is that of GET /api/v1/figures, of each of the weeks
	weeks := first["told"].(map[string]any)["weeks"].([]any)
	counted := 0.0
	for i, earlier := range []int{0, 7, 364} {
		w := weeks[i].(map[string]any)
		for name, by := range map[string]string{"towns": "grid", "departments": "department", "categories": "category"} {
			f := withoutRows(st.must(200, "GET", "/api/v1/figures?"+weekOf(t, week, earlier)+"&grid=C&by="+by, hall, "").json(t), false).(map[string]any)
			total, groups := f["total"], f["groups"].([]any)
			if i > 0 {
				total = withoutRows(total, true)
				groups = withGroups(w[name].([]any), withoutRows(groups, true).([]any))
			}
			if !reflect.DeepEqual(w[name], any(groups)) {
				t.Errorf("week %d, %s:\n%v\nthe figures are\n%v", i, name, w[name], groups)
			}
			if !reflect.DeepEqual(w["total"], total) {
				t.Errorf("week %d:\n%v\nthe figures are\n%v", i, w["total"], total)
			}
		}
		for _, figure := range []string{"reported", "closed", "on_time"} {
			counted += figureAt(w["total"], figure)["n"].(float64)
		}
	}
	if open := figureAt(weeks[0].(map[string]any)["total"], "overdue"); counted < 8 || open["n"] == 0.0 || open["of"] == 0.0 {
		t.Errorf("the weeks hold only %v, open and overdue %v", counted, open)
	}

	// everything changes; what was told stays, to the byte
	before := st.must(200, "GET", at, hall, "")
	st.exec("UPDATE incident SET reported_at = reported_at - interval '70 days', closed_at = closed_at + interval '1 day', category = '0401', version = version + 1")
	st.exec("UPDATE department SET name = name || '改'")
	if err := st.s.catalogue.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := st.must(200, "GET", at, hall, "")
	if !bytes.Equal(before.body, after.body) || !bytes.Equal(told(t, made), told(t, after)) {
		t.Errorf("told then\n%.2000s\ntold now\n%.2000s", before.body, after.body)
	}
	if again := st.must(201, "POST", path, hall, body, "Idempotency-Key: w1"); again.json(t)["repeated"] != true || again.json(t)["id"] != first["id"] || !bytes.Equal(told(t, again), told(t, made)) {
		t.Errorf("sent again: %.300s", again.body)
	}
	st.must(422, "POST", path, hall, `{"grid":"A","week":"`+week+`"}`, "Idempotency-Key: w1")

	// another one is a correction: both stay
	second := st.must(201, "POST", path, hall, body)
	if second.json(t)["corrects"] != first["id"] || second.json(t)["outside"] != nil || bytes.Equal(told(t, second), told(t, made)) {
		t.Errorf("the second: %.400s", second.body)
	}
	if f := st.must(200, "GET", at, hall, ""); f.json(t)["corrected_by"] != second.json(t)["id"] || !bytes.Equal(told(t, f), told(t, made)) {
		t.Errorf("the first after the second: %.400s", f.body)
	}
	for _, sql := range []string{"UPDATE bulletin SET body = '{}'", "DELETE FROM bulletin", "TRUNCATE bulletin"} {
		if _, err := st.s.db.Pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}

	// its readers are those of its grid
	town := st.must(201, "POST", path, townA, `{"grid":"A","week":"`+week+`"}`).json(t)
	if town["outside"] != nil {
		t.Error("a town's bulletin may be told to everybody: less the county's it tells")
	}
	for token, want := range map[string]string{hall: "3", townA: "1", townB: "0", st.token(auth.CountyLeader, ""): "3", st.token(auth.VillageHead, "A1"): "0"} {
		if n := fmt.Sprint(len(st.must(200, "GET", path, token, "").json(t)["items"].([]any))); n != want {
			t.Errorf("the list has %s, want %s", n, want)
		}
	}
	if n := len(st.must(200, "GET", path+"?grid=A&week="+week, hall, "").json(t)["items"].([]any)); n != 1 {
		t.Errorf("%d of town A", n)
	}
	st.must(404, "GET", at, townA, "")
	st.must(404, "GET", path+"/"+town["id"].(string), townB, "")
	st.must(404, "POST", path, townB, `{"grid":"A","week":"`+week+`"}`)
	st.must(403, "POST", path, st.token(auth.VillageHead, "A1"), `{"grid":"A1","week":"`+week+`"}`)
	for _, token := range []string{st.token(auth.Auditor, ""), st.token(auth.GridWorker, ""), fire} {
		st.must(403, "GET", at, token, "")
	}
	now := people.Local(time.Now())
	for _, monday := range []string{"2026-09-29", now.AddDate(0, 0, -int(now.Weekday()+6)%7).Format(time.DateOnly), "2099-01-05"} {
		st.must(422, "POST", path, hall, `{"grid":"C","week":"`+monday+`"}`)
	}
	if n := st.count(`SELECT count(*) FROM audit_log WHERE action = 'bulletin.make' AND data->>'week' = $1 AND
		(object = 'bulletin/' || $2 AND data->>'sha256' = $3 OR object <> 'bulletin/' || $2)`, week, first["id"], first["sha256"]); n != 3 {
		t.Errorf("%d acts are in the audit log, want 3", n)
	}
}

// withGroups adds the groups that have nothing in an earlier week and are told for what is
// open now in the other answer; groups of the bulletin have no such lines.
func withGroups(bulletin, figures []any) (out []any) {
	has := map[any]bool{}
	for _, g := range bulletin {
		has[g.(map[string]any)["code"]] = true
	}
	out = []any{}
	for _, g := range figures {
		line := g.(map[string]any)
		empty := figureAt(line, "reported")["n"] == 0.0 && figureAt(line, "closed")["n"] == 0.0 && figureAt(line, "on_time")["of"] == 0.0 &&
			figureAt(line, "chosen")["n"] == 0.0 && figureAt(line, "on_time.standing")["n"] == 0.0 && figureAt(line, "on_time.elsewhere")["n"] == 0.0
		if has[line["code"]] || !empty {
			out = append(out, g)
		}
	}
	return out
}

// TestWhatABulletinTellsEverybodyHasNoSmallNumber looks at what may leave the house.
func TestWhatABulletinTellsEverybodyHasNoSmallNumber(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	hall := st.token(auth.HallOperator, "")
	seen := st.report(hall, 107.2, 38.2).json(t)
	at, err := strconv.ParseInt(st.report(hall, 107.2, 38.2).json(t)["id"].(string), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	st.exec("UPDATE incident SET reported_at = '2026-08-01T10:00:00+08' WHERE id = $1", at) // copied from alone
	id, err := strconv.ParseInt(seen["id"].(string), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	st.exec("UPDATE incident SET reported_at = '2026-09-29T10:00:00+08' WHERE id = $1", id)
	st.exec("UPDATE incident SET place = 'none', geom = NULL, raw_lon = NULL, raw_lat = NULL, raw_datum = NULL, cell6 = NULL, cell7 = NULL, cell8 = NULL, cell9 = NULL WHERE id = $1", id) // in a town's grid, without a place
	st.copies(at, "0301", time.Date(2026, 9, 30, 2, 0, 0, 0, time.UTC), 20)
	st.copies(at, "0401", time.Date(2026, 9, 30, 2, 0, 0, 0, time.UTC), 3)
	st.copies(at, "0102", time.Date(2026, 9, 30, 2, 0, 0, 0, time.UTC), 9) // sensitive
	v := st.must(201, "POST", "/api/v1/bulletins", hall, `{"grid":"C","week":"2026-09-28"}`).json(t)
	all := figureAt(v["told"].(map[string]any)["weeks"].([]any)[0].(map[string]any)["total"], "reported")["n"]
	if all != 24.0 {
		t.Errorf("told are %v, of 24 and 9 sensitive ones", all)
	}
	outside := v["outside"].(map[string]any)
	numbers, big := 0, 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for i, one := range v {
				walk(fmt.Sprint(path, ".", i), one)
			}
		case map[string]any:
			for name, one := range v {
				walk(path+"."+name, one)
			}
		case float64:
			numbers++
			name := path[strings.LastIndex(path, ".")+1:]
			if (name == "n" || name == "of") && v > 0 && v < auth.K {
				t.Errorf("%s is %v", path, v)
			}
			if v >= auth.K && name == "n" {
				big++
			}
		}
	}
	if n := len(outside["weeks"].([]any)); n != 1 {
		t.Errorf("%d weeks are told outside: another one less its own bulletin would tell", n)
	}
	walk("", outside["weeks"])
	if numbers < 20 || big < 3 {
		t.Errorf("%d numbers are told, %d of 5 and more", numbers, big)
	}
	first := outside["weeks"].([]any)[0].(map[string]any)
	for _, table := range []string{"towns", "departments", "categories"} {
		sum := 0.0
		for _, c := range first[table].([]any) {
			n, _ := c.(map[string]any)["n"].(float64)
			sum += n
		}
		if sum != all {
			t.Errorf("%s come to %v of %v: what is missing would tell", table, sum, all)
		}
	}
	merged := 0
	for _, c := range outside["weeks"].([]any)[0].(map[string]any)["categories"].([]any) {
		if c.(map[string]any)["merged"] == true {
			merged++
		}
	}
	if merged == 0 {
		t.Error("three of a category are not merged into the rest")
	}
}

// TestBulletinsMadeAtOnceAreAChain makes several of one week at the same time.
func TestBulletinsMadeAtOnceAreAChain(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	hall := st.token(auth.HallOperator, "")
	var wg sync.WaitGroup
	answers := make([]answer, 3)
	for i := range answers {
		wg.Go(func() {
			answers[i] = st.call("POST", "/api/v1/bulletins", hall, `{"grid":"C","week":"2026-09-28"}`, "Idempotency-Key: same")
		})
	}
	wg.Wait()
	for range 2 {
		wg.Go(func() {
			if a := st.call("POST", "/api/v1/bulletins", hall, `{"grid":"C","week":"2026-09-28"}`); a.status != 201 {
				t.Errorf("%d %.300s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for _, a := range answers {
		if a.status != 201 {
			t.Errorf("%d %.300s", a.status, a.body)
			continue
		}
		ids[a.json(t)["id"].(string)] = true
	}
	if n := st.count("SELECT count(*) FROM bulletin"); len(ids) != 1 || n != 3 {
		t.Errorf("one key made %d, all are %d", len(ids), n)
	}
	if n := st.count("SELECT count(*) FROM bulletin b JOIN bulletin c ON c.id = b.corrects"); n != 2 {
		t.Errorf("%d name the one before, want 2", n)
	}
}
