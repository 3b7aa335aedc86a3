// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch/calendar"
	"onemap/people"
)

// patrolStand is a stand at nine in the morning of the day before yesterday, with n
// workers who serve A1: every token is good until after the tests' days.
func patrolStand(t testing.TB, n int) (*stand, *testClock) {
	t.Helper()
	l := people.Local(time.Now())
	clock := &testClock{at: time.Date(l.Year(), l.Month(), l.Day()-2, 9, 0, 0, 0, l.Location()).UTC()}
	st := fieldStand(t, Options{Now: clock.now, Limits: plenty()}, n)
	st.exec("UPDATE device_binding SET valid_from = '2020-01-01'")
	if err := st.s.fixes.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st, clock
}

// second is another server on the same database, with the same key.
func (st *stand) second(clock *testClock) *stand {
	st.t.Helper()
	o := Options{
		Listen: "127.0.0.1:0", DeviceListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Data: st.t.TempDir(), DatabaseURL: st.s.o.DatabaseURL, Limits: plenty(),
		Now: clock.now, databaseNow: func(context.Context, *pgx.Conn) (time.Time, error) { return clock.now(), nil },
	}
	key, err := os.ReadFile(filepath.Join(st.s.o.Data, "seal.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(o.Data, "seal.key"), key, 0o600)
	}
	if err != nil {
		st.t.Fatal(err)
	}
	s, err := Start(st.t.Context(), o)
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return &stand{t: st.t, s: s, url: s.URL(), http: st.http}
}

// patrol makes a patrol, as a JSON object without its braces.
func (st *stand) patrol(token, body string) string {
	st.t.Helper()
	return st.want(201, "POST", "/api/v1/patrols", token, "{"+body+"}").json(st.t)["id"].(string)
}

// visits are the visits that a reader is shown, as "name state", in order.
func (st *stand) visits(token, query string) []string {
	st.t.Helper()
	var out []string
	for _, i := range st.want(200, "GET", "/api/v1/visits?"+query, token, "").json(st.t)["items"].([]any) {
		v := i.(map[string]any)
		out = append(out, v["name"].(string)+" "+v["state"].(string))
	}
	slices.Sort(out)
	return out
}

// visitOf is the newest visit of a patrol to a name.
func (st *stand) visitOf(token, patrol, name string) map[string]any {
	st.t.Helper()
	for _, i := range st.want(200, "GET", "/api/v1/visits?patrol="+patrol, token, "").json(st.t)["items"].([]any) {
		if v := i.(map[string]any); v["name"] == name {
			return v
		}
	}
	st.t.Fatalf("patrol %s has no visit to %s", patrol, name)
	return nil
}

// sweepAll has servers sweep at once, several times.
func sweepAll(t *testing.T, servers ...*Server) {
	t.Helper()
	var all sync.WaitGroup
	for _, s := range servers {
		all.Go(func() {
			for range 2 {
				if err := s.sweepPatrols(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestVisitsAreProvedMissedAndOpenedOnce goes through two days of patrols with two
// servers on one database, of which one stops in the middle.
func TestVisitsAreProvedMissedAndOpenedOnce(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 4)
	other := st.second(clock)
	desk, phone, fire := st.token(auth.Dispatcher, ""), st.phone(1), st.handler(fireDept)
	st.exec("INSERT INTO layer (code, name, geometry, root_code) VALUES ('wells', '水井', 'point', 'C')")
	st.exec(`INSERT INTO layer_feature (layer_id, external_id, name, geom, raw_lon, raw_lat, raw_datum) SELECT l.id, 'w1', '一号井', ST_SetSRID(ST_MakePoint(107.3, 38.3), 4326), 107.3, 38.3, 'wgs84' FROM layer l`)
	if err := st.s.reloadNamed(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	const window = `,"rhythm":"daily","from":"08:00","to":"10:00"`
	walk := st.patrol(desk, `"name":"日巡查","grid":"A","targets":"grids"`+window)
	dam := st.patrol(desk, `"name":"水库","grid":"A1","targets":"points","points":[{"name":"大坝","lon":107.2,"lat":38.4,"crs":"wgs84"}],"stay_min":5`+window)
	well := st.patrol(desk, `"name":"水井","grid":"C","targets":"layer","layer":"wells","radius_m":100`+window)
	hall := st.patrol(desk, `"name":"消防检查","grid":"B","targets":"grid","department":"消防救援"`+window)
	if n := st.count("SELECT count(*) FROM outbox WHERE kind LIKE 'patrol%' OR kind LIKE 'visit%'"); n != 0 {
		t.Errorf("%d events: the stream has none of these", n)
	}
	sweepAll(t, st.s, other.s)
	if got, want := st.visits(desk, ""), []string{"一号井 due", "乙镇 due", "大坝 due", "甲一 due", "甲二 due"}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Fatalf("%v", got)
	}
	if got := st.visits(phone, ""); !slices.Equal(got, slices.Sorted(slices.Values([]string{"一号井 due", "大坝 due", "甲一 due"}))) {
		t.Errorf("a worker of A1 sees %v", got)
	}
	if got := st.visits(fire, ""); !slices.Equal(got, []string{"乙镇 due"}) {
		t.Errorf("the department sees %v", got)
	}

	// Two fixes 40 s apart in A1 are a visit of the grid, and no stay of five minutes at
	// the dam.
	clock.move(time.Minute)
	for range 2 {
		clock.move(40 * time.Second)
		st.at(1, 107.2, 38.4, clock.now())
	}
	sweepAll(t, st.s, other.s)
	seen := st.visitOf(desk, walk, "甲一")
	if by, _ := seen["seen"].(map[string]any); seen["state"] != "done" || by == nil || by["badge"] != "W001" || by["off_m"] != nil || seen["said"] != nil {
		t.Fatalf("%v", seen)
	}
	if v := st.visitOf(desk, dam, "大坝"); v["state"] != "due" {
		t.Errorf("%v", v)
	}
	// One stops in the middle of the stay; the other knows how far the fixes are looked at.
	if err := st.s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	st = other
	for range 5 {
		clock.move(time.Minute)
		st.at(1, 107.20001, 38.4, clock.now())
	}
	sweepAll(t, st.s)
	stayed := st.visitOf(desk, dam, "大坝")
	if by, _ := stayed["seen"].(map[string]any); stayed["state"] != "done" || by == nil || by["off_m"].(float64) > 2 {
		t.Errorf("%v", stayed)
	}

	// Word is kept apart, with where its speaker is; the first counts.
	say := func(status int, token, id, text string) map[string]any {
		t.Helper()
		return st.want(status, "POST", "/api/v1/visits/"+id+"/word", token, fmt.Sprintf(`{"text":%q}`, text)).json(t)
	}
	id := func(patrol, name string) string { return st.visitOf(desk, patrol, name)["id"].(string) }
	said := say(200, phone, id(well, "一号井"), "水位正常")
	word, _ := said["said"].(map[string]any)
	if said["state"] != "done" || word == nil || said["seen"] != nil || word["there"] != false || word["off_m"].(float64) < 10_000 {
		t.Errorf("%v", said)
	}
	if again := say(200, phone, id(well, "一号井"), "再说一次"); again["repeated"] != true || again["said"].(map[string]any)["text"] != "水位正常" {
		t.Errorf("%v", again)
	}
	say(404, phone, id(walk, "甲二"), "x")
	say(403, desk, id(walk, "甲二"), "x")
	say(404, fire, id(walk, "甲二"), "x")
	if v := say(200, fire, id(hall, "乙镇"), "已查"); v["state"] != "done" || v["said"].(map[string]any)["there"] != nil {
		t.Errorf("%v", v)
	}

	// At the end what nothing proved is missed, once.
	clock.move(time.Hour)
	sweepAll(t, st.s)
	if got := st.visits(desk, "state=missed"); !slices.Equal(got, []string{"甲二 missed"}) || st.count("SELECT count(*) FROM audit_log WHERE action = 'patrol.missed'") != 1 {
		t.Errorf("missed: %v", got)
	}

	// The next day: opened once, missed, and then proved by fixes that were on their way.
	clock.move(22 * time.Hour) // 8:08
	sweepAll(t, st.s)
	if n := st.count("SELECT count(*) FROM visit WHERE patrol_id = $1::text::bigint", walk); n != 4 {
		t.Fatalf("%d visits of two days, want 4", n)
	}
	morning := clock.now()
	clock.move(3 * time.Hour)
	sweepAll(t, st.s)
	if got := st.visits(desk, "state=missed&patrol="+walk); len(got) != 3 {
		t.Fatalf("missed: %v", got)
	}
	st.at(2, 107.2, 38.4, morning.Add(time.Minute))
	st.at(2, 107.2, 38.4, morning.Add(3*time.Minute))
	sweepAll(t, st.s)
	found := st.visitOf(desk, walk, "甲一")
	if by, _ := found["seen"].(map[string]any); found["state"] != "done" || found["missed_at"] == nil || by["badge"] != "W002" {
		t.Errorf("%v", found)
	}
	if v := say(200, phone, id(dam, "大坝"), "补巡"); v["state"] != "late" || v["missed_at"] == nil {
		t.Errorf("%v", v)
	}
	period := "from=" + inQuery(clock.now().Add(-12*time.Hour)) + "&to=" + inQuery(clock.now())
	if got := st.visits(desk, period+"&grid=A&worker=2"); !slices.Equal(got, slices.Sorted(slices.Values([]string{"一号井 missed", "大坝 late", "甲一 done"}))) {
		t.Errorf("by period, grid and worker: %v", got)
	}
	page := st.want(200, "GET", "/api/v1/visits?limit=7", desk, "").json(t)
	if rest := st.visits(desk, "limit=7&cursor="+page["cursor"].(string)); len(rest) != 3 {
		t.Errorf("second page of %d", len(rest))
	}
}

func inQuery(at time.Time) string { return url.QueryEscape(at.UTC().Format(time.RFC3339)) }

// TestAPatrolIsMadeChangedAndEnded goes through its own life, and what is refused.
func TestAPatrolIsMadeChangedAndEnded(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 1)
	desk, town, worker := st.token(auth.Dispatcher, ""), st.token(auth.TownOperator, "A"), st.phone(1)
	const good = `"name":"周排查","grid":"A1","targets":"grid","rhythm":"weekly"`
	for body, status := range map[string]int{
		strings.Replace(good, "A1", "B1", 1):  404,
		good + `,"level":3`:                   422,
		good + `,"from":"18:00","to":"08:00"`: 409,
		good + `,"from":"8","to":"9"`:         422,
		good + `,"weekdays":[1,1]`:            409,
		good + `,"weekdays":[8]`:              409,
		good + `,"ahead":3`:                   409,
		good + `,"first":"2026-02-30"`:        422,
		good + `,"last":"2020-01-01"`:         409,
		good + `,"radius_m":5`:                400,
		good + `,"department":"没有的部门"`:        422,
		`"name":"x","grid":"A1","targets":"layer","layer":"nothing","rhythm":"daily"`:                                                422,
		`"name":"x","grid":"A1","targets":"grids","level":2,"rhythm":"daily"`:                                                        409,
		`"name":"x","grid":"A1","targets":"points","points":[{"name":"外","lon":107.7,"lat":38.4,"crs":"wgs84"}],"rhythm":"daily"`:    409,
		`"name":"x","grid":"A1","targets":"points","points":[{"name":"无基准","lon":107.2,"lat":38.4,"crs":"mars"}],"rhythm":"monthly"`: 400,
		`"name":" ","grid":"A1","targets":"grid","rhythm":"daily"`:                                                                   422,
	} {
		if a := st.call("POST", "/api/v1/patrols", town, "{"+body+"}"); a.status != status {
			t.Errorf("%s: %d, want %d: %s", body, a.status, status, a.body)
		}
	}
	st.want(403, "POST", "/api/v1/patrols", worker, "{"+good+"}")
	if n := st.count("SELECT count(*) FROM patrol"); n != 0 {
		t.Fatalf("%d patrols of refused ones", n)
	}
	first := st.want(201, "POST", "/api/v1/patrols", town, "{"+good+"}", "Idempotency-Key: p1").json(t)
	id := first["id"].(string)
	if again := st.want(201, "POST", "/api/v1/patrols", town, "{"+good+"}", "Idempotency-Key: p1").json(t); again["id"] != id || again["repeated"] != true {
		t.Errorf("sent again: %v", again)
	}
	if first["every"] != 1.0 || first["from"] != "00:00" || first["to"] != "24:00" || first["days"] != "all" || first["radius_m"] != 50.0 || first["first"] != calendar.DateOf(clock.now()).String() {
		t.Errorf("what was left out: %v", first)
	}
	sweepAll(t, st.s)
	path := "/api/v1/patrols/" + id
	const monthly = `{"name":"月度","rhythm":"monthly","from":"08:00","to":"18:00","radius_m":200}`
	st.want(428, "PUT", path, town, monthly)
	st.want(404, "PUT", path, st.token(auth.TownOperator, "B"), monthly, `If-Match: "1"`)
	if v := st.want(200, "PUT", path, desk, monthly, `If-Match: "1"`); v.json(t)["rhythm"] != "monthly" || v.header.Get("ETag") != `"2"` {
		t.Errorf("%s", v.body)
	}
	st.want(409, "PUT", path, town, monthly, `If-Match: "1"`)
	// The visit of the week keeps its terms; the month's comes with the next month.
	sweepAll(t, st.s)
	if v := st.visitOf(desk, id, "甲一"); v["radius_m"] != 50.0 || v["closes_at"] == nil || st.count("SELECT count(*) FROM visit") != 1 {
		t.Errorf("%v", v)
	}
	items := st.want(200, "GET", "/api/v1/patrols?state=running&grid=A", town, "").json(t)["items"].([]any)
	if len(items) != 1 || items[0].(map[string]any)["due"] != 1.0 {
		t.Errorf("%v", items)
	}
	if l := st.want(200, "GET", "/api/v1/patrols?grid=B", desk, "").json(t)["items"].([]any); len(l) != 0 {
		t.Errorf("%v", l)
	}
	st.want(422, "POST", path+"/end", town, `{"reason":" "}`)
	if v := st.want(200, "POST", path+"/end", town, `{"reason":"合并"}`).json(t); v["state"] != "ended" {
		t.Errorf("%v", v)
	}
	st.want(409, "POST", path+"/end", town, `{"reason":"再"}`)
	if v := st.visitOf(desk, id, "甲一"); v["state"] != "void" {
		t.Errorf("%v", v)
	}
	st.want(409, "POST", "/api/v1/visits/"+st.visitOf(desk, id, "甲一")["id"].(string)+"/word", worker, `{"text":"去过了"}`)

	// A redraw takes what is due along: a grid by its code, a point by where it lies now.
	// The visit of a grid that is gone is nobody's any more. What fixes may still prove goes
	// along too, also where it was missed or is known by word alone.
	st.patrol(desk, `"name":"月度","grid":"B","targets":"grids","rhythm":"monthly"`)
	st.patrol(desk, `"name":"边界","grid":"B","targets":"points","points":[{"name":"界碑","lon":107.55,"lat":38.4,"crs":"wgs84"}],"rhythm":"monthly"`)
	sweepAll(t, st.s)
	st.exec(`INSERT INTO visit (patrol_id, target, name, grid_id, grid_no, geom, rhythm, period, windows, opens_at, closes_at, radius_m, stay_min, state,
			missed_at, said_at, said_got_at, said_by, said_text, seen_from, seen_at, seen_by)
		SELECT v.patrol_id, v.target, v.name || x.name, v.grid_id, v.grid_no, v.geom, v.rhythm, v.period - x.n, tstzmultirange(tstzrange(e.at - interval '1 hour', e.at)),
			e.at - interval '1 hour', e.at, v.radius_m, v.stay_min, x.state, CASE WHEN x.missed THEN e.at + interval '2 minutes' END,
			s.at, s.at, CASE WHEN s.at IS NOT NULL THEN 'token:1' END, CASE WHEN s.at IS NOT NULL THEN '去过了' END, f.at, f.at, CASE WHEN f.at IS NOT NULL THEN 1 END
		FROM visit v, (VALUES (1, '漏', 'missed', true, interval '47 hours', NULL, false), (2, '补', 'late', true, '47 hours', interval '10 minutes', false),
			(3, '言', 'done', false, '47 hours', '-10 minutes', false), (4, '旧', 'missed', true, '49 hours', NULL, false), (5, '见', 'done', true, '47 hours', NULL, true))
			x (n, name, state, missed, ago, said, seen), LATERAL (SELECT $1::timestamptz - x.ago AS at) e, LATERAL (SELECT e.at + x.said AS at) s,
			LATERAL (SELECT CASE WHEN x.seen THEN e.at - interval '30 minutes' END AS at) f
		WHERE v.name IN ('乙一', '界碑')`, clock.now())
	if err := st.s.db.Enact(t.Context(), st.draft(redraw())); err != nil {
		t.Fatal(err)
	}
	if err := st.s.ledger.FollowGrids(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{
		"乙一 B1 enacted due": 1, "乙二 B2 retired void": 1, "界碑 A1 enacted due": 1, "乙一漏 B1 enacted missed": 1, "界碑漏 A1 enacted missed": 1,
		"乙一补 B1 enacted late": 1, "界碑补 A1 enacted late": 1, "乙一言 B1 enacted done": 1, "界碑言 A1 enacted done": 1,
		"乙一旧 B1 retired missed": 1, "界碑旧 B1 retired missed": 1, "乙一见 B1 retired done": 1, "界碑见 B1 retired done": 1,
	} {
		if got := st.count(`SELECT count(*) FROM visit v JOIN grid g ON g.id = v.grid_id AND g.no = v.grid_no JOIN grid_version gv ON gv.id = g.version_id
			WHERE v.name || ' ' || g.code || ' ' || gv.state || ' ' || v.state = $1`, what); got != n {
			t.Errorf("%s: %d, want %d", what, got, n)
		}
	}
	if n := st.count("SELECT count(*) FROM patrol p JOIN grid g ON g.no = p.grid_no JOIN grid_version gv ON gv.id = g.version_id AND gv.state = 'enacted' WHERE p.ended_at IS NULL"); n != 2 {
		t.Errorf("%d patrols went along, want 2", n)
	}
}
