// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/road"
	"onemap/people"
	"onemap/store"
	"onemap/track"
)

// adviceStand is field's county with categories, two more workers of grid 2 and an
// incident there.
//
//	107        107.5        108
//	 | grid 2    | grid 3    |      workers 1, 3, 4 at home in 2, worker 2 in 3
type adviceStand struct {
	*testing.T
	db     *store.DB
	live   *track.Live
	staff  *people.Directory
	now    time.Time
	advise *store.Adviser
	county auth.Scope
	in     store.Incident
}

func newAdviceStand(t *testing.T) *adviceStand {
	db, _ := field(t)
	exec(t, db, `INSERT INTO worker (badge) VALUES ('W0003'), ('W0004')`)
	exec(t, db, `INSERT INTO worker_grid (worker_id, grid_code) VALUES (3, 'g2'), (4, 'g2')`)
	exec(t, db, `DELETE FROM rota`)
	exec(t, db, `INSERT INTO rota SELECT w.id, d, 0, 1440 FROM worker w, generate_series(1, 7) d WHERE w.id < 4`) // 4 is never on duty
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	st := &adviceStand{T: t, db: db, now: monday, county: auth.System("test")}
	st.live = track.NewLive(func() time.Time { return st.now })
	cat, err := store.NewCatalogue(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	roads := road.Build([]road.Segment{{Line: orb.LineString{{107, 38.5}, {108, 38.5}}, Kmh: 60}}, road.DefaultRules())
	st.advise = &store.Adviser{
		Catalogue: cat, Near: st.live.Near, Roads: func() *road.Graph { return roads }, People: func() *people.Directory { return st.staff }, Now: func() time.Time { return st.now },
	}
	st.reload()
	st.in = st.incident("0301")
	return st
}

func (st *adviceStand) reload() {
	st.Helper()
	var err error
	if st.staff, err = st.db.Directory(st.Context(), auth.System("test"), st.now); err != nil {
		st.Fatal(err)
	}
	st.live.SetDuty(st.staff.OnDuty)
}

// incident is one in grid 2, read back.
func (st *adviceStand) incident(category string) store.Incident {
	st.Helper()
	var id int64
	err := st.db.Pool.QueryRow(st.Context(), `WITH made AS (INSERT INTO incident (state, category, priority, title, source, geom, raw_lon, raw_lat, raw_datum, place, grid_id, grid_no,
		cell6, cell7, cell8, cell9, owner_level, reported_at, received_at)
		VALUES ('routed', $1, 2, '测试', 'phone', ST_SetSRID(ST_MakePoint(107.2, 38.5), 4326), 107.2, 38.5, 'wgs84', 'in_grid', 2, 2, 1, 1, 1, 1, 2, $2, $2) RETURNING id, owner_level, reported_at),
		owned AS (INSERT INTO incident_stage (incident_id, n, level, started_at) SELECT id, 1, owner_level, reported_at FROM made) SELECT id FROM made`, category, monday).Scan(&id)
	if err != nil {
		st.Fatal(err)
	}
	in, err := st.db.Incident(st.Context(), st.county, auth.CaseView, id)
	if err != nil {
		st.Fatal(err)
	}
	return in
}

func (st *adviceStand) stands(worker uint32, lon float64, age time.Duration) {
	f := fixAt(int64(worker), st.now.Add(-age))
	f.Worker, f.ServerAt, f.P = worker, f.At, geo.WGS84{lon, 38.5}
	st.live.Accept(f, time.Minute)
}

// ask renders an answer: "3 1 | 2 stale_fix".
func (st *adviceStand) ask(scope auth.Scope) (string, store.Advised) {
	st.Helper()
	a, err := st.advise.Advise(st.Context(), st.db.Pool, scope, st.in, dispatch.MaxMeasured)
	if err != nil {
		st.Fatal(err)
	}
	var words []string
	for _, r := range a.Ranked {
		words = append(words, fmt.Sprint(r.Worker))
	}
	words = append(words, "|")
	for _, e := range a.Excluded {
		words = append(words, fmt.Sprintf("%d %s", e.Worker, e.Why))
	}
	return strings.Join(words, " "), a
}

func (st *adviceStand) want(want string) store.Advised {
	st.Helper()
	got, a := st.ask(st.county)
	if got != want {
		st.Errorf("advised %q, want %q", got, want)
	}
	return a
}

func TestAdviceLooksAtTheRecordTheRosterAndTheMap(t *testing.T) {
	t.Parallel()
	st := newAdviceStand(t)
	st.want("| 1 no_fix 3 no_fix 4 off_duty")
	st.stands(1, 107.40, 0)
	st.stands(2, 107.50, 0)
	st.stands(3, 107.25, 0)
	a := st.want("3 1 2 | 4 off_duty")
	if a.Of != 3 || a.ByRoad != 3 || a.Ranked[0].Relation != dispatch.OwnGrid || a.Ranked[2].Relation != dispatch.NoRelated || !a.At.Equal(st.now) {
		t.Errorf("%+v", a)
	}
	if a.Ranked[2].Covered || !a.Ranked[0].Covered { // nobody else serves grid 3
		t.Errorf("cover: %+v", a.Ranked)
	}

	exec(t, st.db, `INSERT INTO incident_worker (incident_id, worker_id, relation) VALUES ($1, 1, 'lead'), ($1, 2, 'reported')`, st.in.ID)
	st.want("3 2 | 1 assigned 4 off_duty")
	exec(t, st.db, `UPDATE incident_worker SET until = now() WHERE worker_id = 1`)
	st.want("3 2 | 1 declined 4 off_duty")
	exec(t, st.db, `DELETE FROM incident_worker`)

	for range 3 {
		other := st.incident("0501")
		exec(t, st.db, `INSERT INTO incident_worker (incident_id, worker_id, relation) VALUES ($1, 3, 'lead'), ($1, 3, 'assist')`, other.ID)
	}
	if a := st.want("1 2 | 3 overloaded 4 off_duty"); a.Left[dispatch.Overloaded] != 1 {
		t.Errorf("%v", a.Left)
	}
	save := func(category string, s dispatch.AdviceSetting) {
		t.Helper()
		if err := st.db.InTx(t.Context(), func(tx pgx.Tx) error { return store.SaveAdviceSetting(t.Context(), tx, category, s) }); err != nil {
			t.Fatal(err)
		}
	}
	four := 4
	save("03", dispatch.AdviceSetting{MaxLoad: &four, Skills: []string{"调解"}})
	st.want("1 | 3 no_skill 2 no_skill 4 off_duty") // by the top category
	save("0301", dispatch.AdviceSetting{Skills: []string{}, Weights: &dispatch.Weights{Load: 1}})
	if a := st.want("1 2 3 | 4 off_duty"); a.Ranked[2].Score != 25 { // 1 - 3/4
		t.Errorf("by the category's own weights, with the top category's limit: %+v", a.Ranked)
	}
	exec(t, st.db, `UPDATE incident SET state = 'transferred' WHERE category = '0501'`)
	if a := st.want("3 1 2 | 4 off_duty"); a.Ranked[0].Score != 100 {
		t.Errorf("the work is done: %+v", a.Ranked)
	}

	st.now = st.now.Add(3 * time.Minute)
	st.stands(2, 107.50, 0)
	st.want("2 | 3 stale_fix 1 stale_fix 4 off_duty")
	exec(t, st.db, `UPDATE worker SET active = false WHERE id IN (3, 4)`)
	st.reload()
	st.want("2 | 1 stale_fix")

	none := st.in
	none.Place.Point, none.Place.Kind = nil, dispatch.NoPlace
	if _, err := st.advise.Advise(t.Context(), st.db.Pool, st.county, none, 5); !errors.Is(err, store.ErrNoPlace) {
		t.Errorf("without a place: %v", err)
	}
}

// TestAdviceIsKeptWithTheChoice: what was advised, who was chosen, and how often
// that was somebody else.
func TestAdviceIsKeptWithTheChoice(t *testing.T) {
	t.Parallel()
	st := newAdviceStand(t)
	ctx := context.Background()
	choose := func(in store.Incident, at time.Duration, chosen ...uint32) (id int64) {
		t.Helper()
		st.now = monday.Add(at)
		for w, lon := range map[uint32]float64{1: 107.40, 2: 107.50, 3: 107.25} {
			st.stands(w, lon, 0)
		}
		a, err := st.advise.Advise(ctx, st.db.Pool, st.county, in, dispatch.MaxMeasured)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.db.InTx(ctx, func(tx pgx.Tx) error {
			id, err = store.SaveAdvice(ctx, tx, in.Incident, a, "token:7", chosen)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	hidden := st.incident("0102")
	id := choose(st.in, 0, 3)
	choose(st.in, time.Hour, 1)
	choose(st.in, 2*time.Hour, 4) // off duty: by hand
	choose(hidden, 3*time.Hour, 3)

	var chosen []int64
	var ranks []int
	var overridden bool
	var actor string
	var ranked []map[string]any
	var raw []byte
	if err := st.db.Pool.QueryRow(ctx, "SELECT actor, ranked, chosen, ranks, overridden FROM advice WHERE id = $1", id).Scan(&actor, &raw, &chosen, &ranks, &overridden); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &ranked); err != nil {
		t.Fatal(err)
	}
	if actor != "token:7" || !slices.Equal(chosen, []int64{3}) || !slices.Equal(ranks, []int{1}) || overridden || len(ranked) != 3 || ranked[0]["worker"] != 3.0 || ranked[0]["by"] != "road" || ranked[0]["score"].(float64) < 50 {
		t.Errorf("%s %v %v %t %s", actor, chosen, ranks, overridden, raw)
	}
	if n := count(t, st.db, "SELECT count(*) FROM advice WHERE overridden AND ranks[1] IN (0, 2)"); n != 2 {
		t.Errorf("%d overridden", n)
	}
	_, a := st.ask(st.county) // offers of the last day count
	for _, r := range a.Ranked {
		if want := map[uint32]int{1: 1, 2: 0, 3: 2}[r.Worker]; r.Record.Day != want || r.Record.Week != want {
			t.Errorf("worker %d: %+v, want %d", r.Worker, r.Record, want)
		}
	}
	st.now = monday.Add(26 * time.Hour)
	st.stands(3, 107.25, 0)
	if _, a = st.ask(st.county); a.Ranked[0].Record.Day != 1 || a.Ranked[0].Record.Week != 2 {
		t.Errorf("a day later: %+v", a.Ranked[0].Record)
	}

	figures := func(s auth.Scope, v auth.View, from, to time.Duration) string {
		t.Helper()
		f, err := st.db.AdviceFigures(ctx, s, v, monday.Add(from), monday.Add(to))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(f)
	}
	for _, c := range []struct {
		from, to time.Duration
		want     string
	}{
		{0, 24 * time.Hour, "[{0102 1 1 0} {0301 3 3 2}]"},
		{time.Minute, 2 * time.Hour, "[{0301 1 1 1}]"},
		{24 * time.Hour, 48 * time.Hour, "[]"},
	} {
		if got := figures(st.county, auth.CaseView, c.from, c.to); got != c.want {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if got := figures(auth.Scope{}, auth.CaseView, 0, 24*time.Hour); got != "[]" {
		t.Errorf("whoever sees nothing is told %s", got)
	}
	if got := figures(st.county, auth.SharedView, 0, 24*time.Hour); got != "[{0301 3 3 2}]" {
		t.Errorf("the shared view is told %s", got)
	}
	if _, err := st.db.Pool.Exec(ctx, "UPDATE advice SET overridden = false"); err == nil {
		t.Error("what was advised can be changed afterwards")
	}
}

// BenchmarkAdviser is the whole answer, facts of the record, live positions and
// roads: targets p99 below 5 ms for 474 workers and below 20 ms for 47,400.
func BenchmarkAdviser(b *testing.B) {
	db, _ := field(b)
	ctx := context.Background()
	if err := db.SaveCategories(ctx, dispatch.DefaultCategories()); err != nil {
		b.Fatal(err)
	}
	cat, err := store.NewCatalogue(ctx, db)
	if err != nil {
		b.Fatal(err)
	}
	roads := benchRoads()
	for _, workers := range []int{474, 47_400} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			r := rand.New(rand.NewPCG(9, 9))
			place := func() geo.WGS84 { return geo.WGS84{107 + 0.99*r.Float64(), 38 + 0.93*r.Float64()} }
			live := track.NewLive(func() time.Time { return monday })
			var staff []people.Worker
			for i := range workers {
				id := uint32(i + 1)
				rota := people.Rota{}
				for d := range 5 {
					rota = append(rota, people.Hours{Weekday: time.Weekday(d + 1), Start: 480, End: 1080})
				}
				staff = append(staff, people.Worker{ID: id, Active: true, Grid: 2 + int32(i%401), Served: []people.Service{{Grid: 2 + int32(i%401), Role: people.AsWorker}}, Rota: rota})
				f := fixAt(int64(id), monday)
				f.Worker, f.ServerAt, f.P = id, monday, place()
				live.Accept(f, time.Minute)
			}
			dir := people.NewDirectory(staff, nil)
			live.SetDuty(dir.OnDuty)
			v := &store.Adviser{
				Catalogue: cat, Near: live.Near, Roads: func() *road.Graph { return roads }, People: func() *people.Directory { return dir }, Now: func() time.Time { return monday },
			}
			in := store.Incident{Incident: dispatch.Incident{ID: 1, Priority: 2, Category: "0301"}, Place: dispatch.Place{Kind: dispatch.InGrid, GridNo: 2}}
			var took, busy []time.Duration
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				p := place()
				in.Place.Point = &p
				began, worked := time.Now(), threadTime(b)
				a, err := v.Advise(ctx, db.Pool, auth.System("test"), in, 10)
				if err != nil || a.Of != workers || a.Measured != dispatch.MaxMeasured {
					b.Fatalf("%d of %d, %v", a.Measured, a.Of, err)
				}
				took, busy = append(took, time.Since(began)), append(busy, threadTime(b)-worked)
			}
			for name, list := range map[string][]time.Duration{"ms": took, "cpu-ms": busy} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)*99/100].Seconds()*1000, "p99-"+name)
				b.ReportMetric(list[len(list)/2].Seconds()*1000, "p50-"+name)
			}
		})
	}
}

// benchRoads is a net of 67,600 crossings, as in the benchmark of geo/road.
func benchRoads() *road.Graph {
	r := rand.New(rand.NewPCG(7, 7))
	const side = 260
	at := func(i, j int) orb.Point { return orb.Point{107 + float64(i)*0.0045, 38 + float64(j)*0.0036} }
	var out []road.Segment
	for i := range side {
		for j := range side {
			for _, to := range []orb.Point{at(i+1, j), at(i, j+1)} {
				if r.IntN(10) > 0 {
					out = append(out, road.Segment{Line: orb.LineString{at(i, j), to}, Kmh: 15 + 25*r.Float64(), Oneway: r.IntN(10) == 0})
				}
			}
		}
	}
	return road.Build(out, road.DefaultRules())
}

// threadTime is the processor's time this thread has had.
func threadTime(b *testing.B) time.Duration {
	const clock = 3 // CLOCK_THREAD_CPUTIME_ID of Linux
	var at syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&at)), 0); errno != 0 {
		b.Fatal(errno)
	}
	return time.Duration(at.Nano())
}
