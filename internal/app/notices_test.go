// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
)

func TestANoticeIsReadAnsweredAndCounted(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now().UTC().Truncate(time.Second)}
	st := newStandWith(t, Options{Now: clock.now})
	desk, townA, townB, fire, women := st.token(auth.Dispatcher, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B"), st.handler(fireDept), st.handler(womenDept)
	begin, due := clock.now(), clock.now().Add(40*time.Minute).Format(time.RFC3339)
	hot, err := h3.At(geo.WGS84{107.2, 38.4}, 8)
	if err != nil {
		t.Fatal(err)
	}
	make1 := func(token, more string) string {
		t.Helper()
		return st.must(201, "POST", "/api/v1/notices", token, fmt.Sprintf(`{"title":"火灾多发","text":"请排查","due":%q,%s}`, due, more)).json(t)["id"].(string)
	}
	body := fmt.Sprintf(`{"title":"火灾多发","due":%q,"grid":"A1","cell":%q}`, due, hot)
	first := st.must(201, "POST", "/api/v1/notices", desk, body, "Idempotency-Key: n1").json(t)
	if again := st.must(201, "POST", "/api/v1/notices", desk, body, "Idempotency-Key: n1").json(t); again["id"] != first["id"] || again["repeated"] != true {
		t.Errorf("sent again: %v", again)
	}
	if first["cell"] != hot.String() || first["unit_grid"] != "A1" || first["state"] != "sent" || first["level"] != 3.0 {
		t.Errorf("%v", first)
	}
	toTown := make1(desk, `"grid":"A1","level":2`)
	toFire := make1(desk, `"grid":"C","department":"消防救援"`)
	make1(desk, `"grid":"A","department":"妇联"`)
	late := make1(townB, `"grid":"B"`)
	back := make1(desk, `"grid":"B","level":2`)
	st.must(404, "POST", "/api/v1/notices", townB, fmt.Sprintf(`{"title":"x","due":%q,"grid":"A1"}`, due))
	st.must(422, "POST", "/api/v1/notices", desk, fmt.Sprintf(`{"title":"x","due":%q,"grid":"A","level":3}`, due))
	st.must(422, "POST", "/api/v1/notices", desk, fmt.Sprintf(`{"title":"x","due":%q,"grid":"A","cell":"zz"}`, due))
	st.must(409, "POST", "/api/v1/notices", desk, fmt.Sprintf(`{"title":"x","due":%q,"grid":"A"}`, begin.Format(time.RFC3339)))
	st.must(403, "POST", "/api/v1/notices", fire, body)

	act := func(status int, token, id, what, text string) map[string]any {
		t.Helper()
		return st.must(status, "POST", "/api/v1/notices/"+id+"/"+what, token, fmt.Sprintf(`{"text":%q}`, text)).json(t)
	}
	// Its unit alone reads and answers it.
	act(404, townB, toTown, "read", "")
	act(409, desk, toTown, "read", "")
	act(404, women, toFire, "reply", "x")
	one := func(status int, token, id string) map[string]any {
		t.Helper()
		return st.must(status, "GET", "/api/v1/notices/"+id, token, "").json(t)
	}
	for _, c := range []struct {
		token, id         string
		own, withdrawable bool
	}{
		{townA, toTown, true, false},
		{desk, toTown, false, true},
		{desk, toFire, false, true},
		{fire, toFire, true, false},
		{townA, first["id"].(string), false, true},
		{townB, late, true, true}, // its own to itself
	} {
		if n := one(200, c.token, c.id); n["own"] != c.own || n["signed"] != false || n["withdrawable"] != c.withdrawable {
			t.Errorf("notice %s: own %v, signed %v, withdrawable %v; want %v, false, %v", c.id, n["own"], n["signed"], n["withdrawable"], c.own, c.withdrawable)
		}
	}
	one(404, townB, toTown)
	one(404, women, toFire)
	if n := act(200, townA, toTown, "read", ""); n["state"] != "read" || n["readers"] != 1.0 || n["own"] != true || n["signed"] != true {
		t.Errorf("%v", n)
	}
	if n := one(200, st.token(auth.TownOperator, "A"), toTown); n["own"] != true || n["signed"] != false {
		t.Errorf("a colleague: own %v, signed %v", n["own"], n["signed"]) // whose receipt is another
	}
	ver := act(200, townA, toTown, "read", "")["ver"]
	if n := act(200, townA, toTown, "reply", "已排查 12 户"); n["state"] != "replied" || n["in_time"] != true || n["ver"] != ver.(float64)+1 {
		t.Errorf("%v", n)
	}
	act(409, townA, toTown, "reply", "再答")
	act(409, townB, back, "withdraw", "与本镇无关") // that it does not answer would not be seen
	self := make1(townB, `"grid":"B"`)
	act(409, st.token(auth.TownOperator, "B"), self, "withdraw", "误发")
	if n := act(200, townB, self, "withdraw", "误发"); n["withdrawable"] != false {
		t.Errorf("withdrawn, and could be again: %v", n)
	}
	act(403, fire, toFire, "withdraw", "误发")
	act(422, desk, back, "withdraw", " ")
	act(200, desk, back, "withdraw", "误发")

	// Unread half way they are reminded of; without a reply they are supervised. Each
	// once, however many sweep.
	sweep := func() {
		t.Helper()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := st.s.ledger.SweepNotices(t.Context(), auth.SystemActor("test")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	acts := func(what string) int { return st.count("SELECT count(*) FROM audit_log WHERE action = $1", what) }
	act(200, fire, toFire, "read", "")
	clock.move(20 * time.Minute)
	sweep()
	st.wait("reminders", func() bool { return acts("notice.reminded") >= 3 })
	clock.move(25 * time.Minute)
	sweep()
	st.wait("supervisions", func() bool { return acts("notice.overdue") >= 4 })
	sweep()
	if r, o := acts("notice.reminded"), acts("notice.overdue"); r != 3 || o != 4 {
		t.Errorf("%d reminders, %d overdue; want 3 and 4", r, o)
	}
	if n := act(200, townB, late, "reply", "迟了"); n["in_time"] != false || n["supervised"] != true {
		t.Errorf("%v", n)
	}
	list := func(token, query string) int {
		t.Helper()
		return len(st.must(200, "GET", "/api/v1/notices"+query, token, "").json(t)["items"].([]any))
	}
	for _, c := range []struct {
		token, query string
		n            int
	}{{desk, "", 7}, {desk, "?overdue=true", 3}, {desk, "?grid=B", 3}, {desk, "?state=withdrawn", 2}, {townA, "", 3}, {townB, "", 3}, {fire, "", 1}, {women, "?state=sent", 1}} {
		if n := list(c.token, c.query); n != c.n {
			t.Errorf("%q: %d notices, want %d", c.query, n, c.n)
		}
	}
	var signed int
	for _, n := range st.must(200, "GET", "/api/v1/notices", townA, "").json(t)["items"].([]any) {
		if m := n.(map[string]any); m["signed"] == true && m["id"] == toTown {
			signed++
		} else if m["signed"] == true {
			t.Errorf("signed: %v", m)
		}
	}
	if signed != 1 {
		t.Errorf("%d signed in the list, want 1", signed)
	}
	page := st.must(200, "GET", "/api/v1/notices?limit=4", desk, "").json(t)
	if n := list(desk, "?limit=4&cursor="+page["cursor"].(string)); n != 3 {
		t.Errorf("second page of %d", n)
	}
	period := "?from=" + url.QueryEscape(begin.Format(time.RFC3339)) + "&to=" + url.QueryEscape(clock.now().Add(time.Hour).Format(time.RFC3339))
	figures := st.must(200, "GET", "/api/v1/notices/figures"+period, desk, "").json(t)
	total := figures["total"].(map[string]any)
	if total["due"] != 5.0 || total["in_time"] != 1.0 || total["late"] != 1.0 || total["rate"] != 0.2 || total["read"] != 3.0 || len(figures["units"].([]any)) != 5 {
		t.Errorf("%v", figures)
	}
	if own := st.must(200, "GET", "/api/v1/notices/figures"+period, fire, "").json(t)["total"].(map[string]any); own["due"] != 1.0 || own["rate"] != 0.0 {
		t.Errorf("%v", own)
	}
}

// BenchmarkNotices lists a page of 20,000 notices, from its middle, as the county and as
// a town.
func BenchmarkNotices(b *testing.B) {
	st := newStand(b)
	st.exec(`INSERT INTO notice (grid_id, grid_no, level, unit_id, unit_no, title, made_by, made_at, due, remind_at, read_at, replied_at, reply)
		SELECT g.id, g.no, g.level, g.id, g.no, '提示', 'token:1', now(), now() + interval '1 day', now() + interval '1 hour', CASE WHEN n % 60 = 0 THEN now() END,
		CASE WHEN n % 60 = 0 THEN now() END, CASE WHEN n % 60 = 0 THEN '已办' ELSE '' END
		FROM generate_series(1, 20000) n JOIN LATERAL (SELECT * FROM grid ORDER BY id OFFSET n % 7 LIMIT 1) g ON true`)
	st.exec("ANALYZE notice")
	for name, token := range map[string]string{"county": st.token(auth.Dispatcher, ""), "town": st.token(auth.TownOperator, "A")} {
		for _, path := range []string{"?limit=50&cursor=10000", "?limit=50&overdue=true", "/figures?from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z"} {
			b.Run(name+path, func(b *testing.B) {
				for b.Loop() {
					if a := st.get("/api/v1/notices"+path, token); a.status != 200 {
						b.Fatal(string(a.body))
					}
				}
			})
		}
	}
}
