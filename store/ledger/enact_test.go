// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/grid"
	"onemap/store"
	"onemap/store/ledger"
)

// redrawn is the county with the border between the towns at x, and a third town
// below the equator.
func redrawn(x float64) []grid.Draft {
	square := func(x0, y0, x1, y1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
	}
	return []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: orb.MultiPolygon{{{{0, -0.1}, {2, -0.1}, {2, 0}, {2, 1}, {x, 1}, {0, 1}, {0, 0}, {0, -0.1}}}}},
		{Code: "W", Parent: "C", Level: 2, Name: "西镇", Geom: square(0, 0, x, 1)},
		{Code: "E", Parent: "C", Level: 2, Name: "东镇", Geom: square(x, 0, 2, 1)},
		{Code: "S", Parent: "C", Level: 2, Name: "南镇", Geom: orb.MultiPolygon{{{{0, -0.1}, {2, -0.1}, {2, 0}, {x, 0}, {0, 0}, {0, -0.1}}}}},
	}
}

func (w *world) draft(t *testing.T, ds []grid.Draft) int32 {
	t.Helper()
	v, err := w.db.SaveDraft(t.Context(), ds, false, "redrawn")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// stands is where an incident stands: its grid's code, its kind of place, its
// version and its grid's version.
type stands struct {
	code, place string
	version     int
	of          int32
	owner       int
}

func (w *world) stands(t *testing.T, where string) map[int64]stands {
	t.Helper()
	rows, err := w.db.Pool.Query(t.Context(), `SELECT i.id, g.code, i.place, i.version, g.version_id, i.owner_level FROM incident i
		JOIN grid g ON g.id = i.grid_id AND g.no = i.grid_no WHERE `+where)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[int64]stands{}
	for rows.Next() {
		var id int64
		var s stands
		if err := rows.Scan(&id, &s.code, &s.place, &s.version, &s.of, &s.owner); err != nil {
			t.Fatal(err)
		}
		out[id] = s
	}
	return out
}

// misplaced asks PostGIS which open incidents are not in the one leaf, by brute
// force, that covers their place in the version in force.
func (w *world) misplaced(t *testing.T) int {
	t.Helper()
	return w.count(t, `incident i JOIN grid g ON g.id = i.grid_id JOIN grid_version v ON v.id = g.version_id
		LEFT JOIN LATERAL (SELECT l.id FROM grid l JOIN grid_version lv ON lv.id = l.version_id AND lv.state = 'enacted'
			WHERE l.no = l.last_no AND ST_Covers(l.geom, i.geom) ORDER BY l.code COLLATE "C" LIMIT 1) leaf ON true`,
		`i.open AND (v.state <> 'enacted' OR i.grid_no <> g.no OR i.place = 'in_grid' AND leaf.id IS DISTINCT FROM g.id
			OR i.place <> 'in_grid' AND (leaf.id IS NOT NULL OR g.level <> 1))`)
}

func TestARedrawMovesWhatIsOpenAndItsUndoMovesItBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 5))
	t.Logf("seed %d", seed)
	categories := []string{"0301", "0101", "0102", "0401", "9901"}
	for i := range 80 {
		lon, lat := rnd.Float64()*2.4-0.2, rnd.Float64()*1.2-0.15
		if i%8 == 0 { // on the borders of then and now
			lon = []float64{1, 0.7}[i/8%2]
		}
		id := w.report(t, categories[i%5], lon, lat, ledger.Command{}).Incident.ID
		if i%4 == 0 {
			if _, err := w.act(id, 1, dispatch.Refuse, "because"); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, closed := w.stands(t, "i.open"), w.stands(t, "NOT i.open")
	for _, sql := range []string{
		"INSERT INTO worker (badge) VALUES ('here'), ('elsewhere'), ('nowhere')",
		"INSERT INTO worker_grid (worker_id, grid_code, root_code) SELECT id, CASE badge WHEN 'here' THEN 'W' ELSE 'D' END, CASE badge WHEN 'here' THEN 'C' ELSE 'D' END FROM worker WHERE badge <> 'nowhere'",
	} {
		if _, err := w.db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	other, err := w.db.SaveDraft(t.Context(), []grid.Draft{{Code: "D", Level: 1, Name: "邻县", Geom: orb.MultiPolygon{{{{5, 0}, {6, 0}, {6, 1}, {5, 1}, {5, 0}}}}}}, false, "other")
	if err == nil {
		err = w.db.Enact(t.Context(), other)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := w.draft(t, redrawn(0.7))
	stale := w.draft(t, redrawn(0.6))
	sys := auth.System("test")
	gv, err := store.FindGridVersion(t.Context(), w.db.Pool, store.Counties{Every: true}, v)
	if err != nil {
		t.Fatal(err)
	}
	diff, err := w.db.DiffGrids(t.Context(), gv.Base, v)
	if err != nil {
		t.Fatal(err)
	}
	said, err := w.db.PreviewGrids(t.Context(), sys, gv, gv.Base, diff, w.now)
	if err != nil {
		t.Fatal(err)
	}
	admin := auth.Actor{ID: "account:9"}
	done, err := w.led.Enact(t.Context(), admin, ledger.Enactment{Version: v, Reason: "merged", RequestID: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count(t, "outbox", "kind = 'worker.changed' AND live = 'put'"); n != 1 {
		t.Errorf("%d badges are told anew, one is in other grids", n)
	}
	if err := w.cat.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.stands(t, "i.open")
	moved := 0
	for id, b := range before {
		a := after[id]
		switch {
		case a.of != v:
			t.Errorf("incident %d stands in version %d", id, a.of)
		case a.code != b.code || a.place != b.place:
			moved++
			if a.version != b.version+1 {
				t.Errorf("incident %d moved from %s to %s at version %d, before %d", id, b.code, a.code, a.version, b.version)
			}
		case a.version != b.version || a.owner != b.owner:
			t.Errorf("incident %d stays in %s: version %d, before %d", id, b.code, a.version, b.version)
		}
	}
	if done.Open != len(before) || done.Moved != moved || moved == 0 || moved == len(before) {
		t.Errorf("%+v of %d open, %d moved", done, len(before), moved)
	}
	if said.Totals.OpenMoving != moved || said.Totals.Open != len(before) {
		t.Errorf("the preview said %+v; %d of %d moved", said.Totals, moved, len(before))
	}
	for _, g := range said.Changes {
		n := w.count(t, "incident i JOIN grid g ON g.id = i.grid_id JOIN grid o ON o.version_id = g.version_id AND g.no BETWEEN o.no AND o.last_no", fmt.Sprintf("i.open AND g.version_id = %d AND o.code = '%s'", v, g.Code))
		if g.Open != n {
			t.Errorf("the preview said %d open in %s, there are %d", g.Open, g.Code, n)
		}
	}
	if n := w.misplaced(t); n != 0 {
		t.Errorf("%d open incidents are not where PostGIS puts them", n)
	}
	if got := w.stands(t, "NOT i.open"); len(got) != len(closed) || !equalStands(got, closed) {
		t.Error("a closed incident was touched")
	}
	w.journalsTell(t, before, after, "merged")
	w.referee(t)

	if _, err := w.led.Enact(t.Context(), admin, ledger.Enactment{Version: stale}); !errors.Is(err, store.ErrBase) {
		t.Errorf("a draft over boundaries that are gone: %v", err)
	}
	if gv, err = store.FindGridVersion(t.Context(), w.db.Pool, store.Counties{Every: true}, v); err != nil || gv.State != "enacted" || gv.Replaced == 0 {
		t.Fatalf("%+v, %v", gv, err)
	}
	var back store.GridVersion
	err = w.db.InTx(t.Context(), func(tx pgx.Tx) error { // while a report is being stored
		if _, err := tx.Exec(t.Context(), "SELECT hold_grids($1)", v); err != nil {
			return err
		}
		back, err = w.db.CopyToUndo(t.Context(), gv)
		return err
	})
	if err != nil || back.Undoes != v || back.Grids != 3 {
		t.Fatalf("%+v, %v", back, err)
	}
	again, err := w.db.CopyToUndo(t.Context(), gv)
	if err != nil || again.ID != back.ID {
		t.Errorf("a second copy: %+v, %v", again, err)
	}
	if _, err := w.led.Enact(t.Context(), admin, ledger.Enactment{Version: back.ID, Reason: "a mistake"}); err != nil {
		t.Fatal(err)
	}
	if err := w.cat.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, a := range w.stands(t, "i.open") {
		if b := before[id]; a.code != b.code || a.place != b.place || a.owner != b.owner || a.of != back.ID {
			t.Errorf("incident %d is back as %+v, was %+v", id, a, b)
		}
	}
	if n := w.misplaced(t); n != 0 {
		t.Errorf("%d open incidents are not where PostGIS puts them after the undo", n)
	}
	w.referee(t)
	if _, err := w.db.CopyToUndo(t.Context(), gv); !errors.Is(err, store.ErrNotInForce) {
		t.Errorf("undo of what is retired: %v", err)
	}
	if n := w.count(t, "audit_log", "action = 'grids.enact' AND actor = 'account:9' AND (data->>'moved')::int > 0"); n != 2 {
		t.Errorf("%d rows of audit", n)
	}
}

func equalStands(a, b map[int64]stands) bool {
	for id, s := range a {
		if b[id] != s {
			return false
		}
	}
	return true
}

// journalsTell holds the journals of what moved against where it stood and stands.
func (w *world) journalsTell(t *testing.T, before, after map[int64]stands, reason string) {
	t.Helper()
	for id, b := range before {
		a := after[id]
		entries, err := w.db.Journal(t.Context(), auth.System("test"), auth.CaseView, id)
		if err != nil {
			t.Fatal(err)
		}
		e := entries[len(entries)-1]
		if a.code == b.code && a.place == b.place {
			if e.Kind == "regrid" {
				t.Errorf("incident %d stays and its journal says it moved", id)
			}
			continue
		}
		m := e.Moved
		if e.Kind != "regrid" || e.Reason != reason || e.Actor != "account:9" || e.Version != a.version || m == nil || m.From.Version != b.of || m.To.Version != a.of ||
			m.From.Path[len(m.From.Path)-1] != b.code || m.To.Path[len(m.To.Path)-1] != a.code || m.To.Path[0] != "C" || m.From.Place != b.place || m.To.Place != a.place {
			t.Errorf("incident %d from %+v to %+v: %+v %+v", id, b, a, e, m)
		}
	}
}

// referee holds the live state against the rows, audience included.
func (w *world) referee(t *testing.T) {
	t.Helper()
	w.sequence(t)
	_, st, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := w.db.Incidents(t.Context(), auth.System("test"), auth.CaseView, store.IncidentFilter{Limit: 1000, Open: ptr(true)})
	if err != nil {
		t.Fatal(err)
	}
	live := map[string]feedItem{}
	for _, it := range st.Items() {
		if it.Key.Kind == "incident" {
			live[it.Key.ID] = feedItem{it.Audience.Grid, it.Shared, it.Case, it.Ver}
		}
	}
	if len(live) != len(rows) {
		t.Errorf("%d live, %d open", len(live), len(rows))
	}
	for _, in := range rows {
		shared, full, err := w.cat.Payloads(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if got := live[fmt.Sprint(in.ID)]; got.grid != in.Place.GridNo || got.ver != in.Version || !same(t, got.shared, shared) || !same(t, got.full, full) {
			t.Errorf("incident %d at number %d: live state %d\n%s\n%s\nrow\n%s\n%s", in.ID, in.Place.GridNo, got.grid, got.shared, got.full, shared, full)
		}
	}
}

type feedItem struct {
	grid         int32
	shared, full json.RawMessage
	ver          int
}

func TestNoReportIsLostBetweenTwoVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop, ended := make(chan struct{}), make(chan error, 4)
	for i := range 4 {
		go func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 9))
			for {
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
				seen := w.cat.Now()
				c := ledger.Command{Report: w.placed(t, "0301", rnd.Float64()*2.2, rnd.Float64())}
				_, err := w.led.Do(t.Context(), w.operator, c)
				if errors.Is(err, ledger.ErrGridsChanged) {
					err = w.cat.Renew(t.Context(), seen)
				}
				if err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	reports := func(n int) {
		for want := w.count(t, "incident", "") + n; w.count(t, "incident", "") < want; {
			if len(ended) > 0 {
				t.Fatal(<-ended)
			}
		}
	}
	for _, x := range []float64{0.3, 1.7, 0.9} {
		reports(20)
		if _, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: w.draft(t, redrawn(x)), AcceptFaults: true}); err != nil {
			t.Error(err)
		}
		if n := w.misplaced(t); n != 0 {
			t.Errorf("border at %v: %d open incidents are not where PostGIS puts them", x, n)
		}
	}
	reports(20)
	close(stop)
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := w.misplaced(t); n != 0 {
		t.Errorf("%d open incidents are not where PostGIS puts them", n)
	}
}

func TestAPlanThatWasCancelledIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.draft(t, redrawn(0.5))
	_, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: v, Plan: &store.GridPlan{At: w.now, Made: w.now}})
	if !errors.Is(err, store.ErrNoPlan) || w.count(t, "grid_version", "state = 'draft'") != 1 {
		t.Errorf("got %v", err)
	}
	// One that was replaced neither, nor is the other one failed in its place.
	save := func(at time.Time) error {
		return w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			return store.SavePlan(t.Context(), tx, v, store.GridPlan{At: at, Reason: "later"}, w.now)
		})
	}
	if err := save(w.now); err != nil {
		t.Fatal(err)
	}
	due, err := w.db.DuePlans(t.Context(), w.now)
	if err != nil || len(due) != 1 {
		t.Fatalf("%+v, %v", due, err)
	}
	if err := save(w.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: v, Plan: &due[0].GridPlan}); !errors.Is(err, store.ErrNoPlan) {
		t.Errorf("a plan that was replaced: %v", err)
	}
	err = w.db.InTx(t.Context(), func(tx pgx.Tx) error { return store.FailPlan(t.Context(), tx, due[0], "x", w.now) })
	if n := w.count(t, "grid_plan", "failed_at IS NULL"); !errors.Is(err, store.ErrNoPlan) || n != 1 {
		t.Errorf("%d plans to come, %v", n, err)
	}
	if due, err = w.db.DuePlans(t.Context(), w.now.Add(time.Hour)); err != nil || len(due) != 1 {
		t.Fatalf("%+v, %v", due, err)
	}
	// Somebody presses again while it is carried out: no plan is left on what is in force.
	ended := make(chan error, 1)
	err = w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		if err := store.TakePlan(t.Context(), tx, v, due[0].GridPlan); err != nil {
			return err
		}
		go func() { ended <- save(w.now) }()
		w.blocked(t, "transactionid", 1)
		gv, err := store.HoldDraft(t.Context(), tx, v)
		if err != nil {
			return err
		}
		return store.PutInForce(t.Context(), tx, gv)
	})
	if second := <-ended; err != nil || !errors.Is(second, store.ErrNotDraft) || w.count(t, "grid_plan", "") != 0 {
		t.Errorf("%v; pressed again: %v", err, second)
	}
	v = w.draft(t, redrawn(0.5))
	ds := redrawn(0.5)
	ds[1].Geom = orb.MultiPolygon{{{{0, 0}, {0.4, 0}, {0.4, 1}, {0, 1}, {0, 0}}}}
	_, err = w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: w.draft(t, ds)})
	var faults *store.FaultsError
	if !errors.As(err, &faults) || !slices.ContainsFunc(faults.Faults, func(f grid.Fault) bool { return strings.Contains(f.Text, "uncovered") }) {
		t.Errorf("a gap: %v", err)
	}
	for i, e := range []ledger.Enactment{{Tolerance: 0.051}, {AcceptFaults: true}} { // the gap is 0.05 of the county, less the strip in the south
		e.Version = w.draft(t, ds)
		if _, err := w.led.Enact(t.Context(), w.operator, e); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// enactOnly puts a draft in force and moves nothing, as before schema 7.
func (w *world) enactOnly(t *testing.T, tx pgx.Tx, v int32) error {
	t.Helper()
	gv, err := store.HoldDraft(t.Context(), tx, v)
	if err == nil {
		err = store.NumberDraft(t.Context(), tx, gv)
	}
	if err != nil {
		return err
	}
	return store.PutInForce(t.Context(), tx, gv)
}

func TestWhatStandsInFormerGridsIsMovedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []int64
	for _, lon := range []float64{0.2, 0.9, 1.5, 3} {
		ids = append(ids, w.report(t, "0301", lon, 0.5, ledger.Command{}).Incident.ID)
	}
	if _, err := w.act(ids[0], 1, dispatch.Accept, ""); err != nil { // from then on it takes whistles
		t.Fatal(err)
	}
	v := w.draft(t, redrawn(0.7))
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error { return w.enactOnly(t, tx, v) })
	if err == nil {
		err = w.cat.Reload(t.Context())
	}
	if err != nil || w.misplaced(t) != 4 {
		t.Fatalf("%d misplaced, %v", w.misplaced(t), err)
	}
	start := auth.SystemActor("start")

	// A redraw that comes in between is no fault: it moves what is open by itself.
	type settled struct {
		n   int
		err error
	}
	ended := make(chan settled, 1)
	next := w.draft(t, redrawn(0.8))
	err = w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		if err := w.enactOnly(t, tx, next); err != nil {
			return err
		}
		go func() {
			n, err := w.led.Settle(t.Context(), start)
			ended <- settled{n, err}
		}()
		w.blocked(t, "advisory", 1)
		return nil
	})
	if got := <-ended; err != nil || got.err != nil || got.n != 0 {
		t.Errorf("%v; beside a redraw: %+v", err, got)
	}
	if err := w.cat.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}

	// A county that fails is named, and keeps no other from being looked at.
	for _, sql := range []string{
		"INSERT INTO grid_version (root_code, state, enacted_at, retired_at) VALUES ('A', 'retired', now(), now()), ('A', 'enacted', now(), NULL)",
		`INSERT INTO grid (version_id, level, code, name, geom, no, last_no)
			SELECT v.id, 1, 'A', '甲县', ST_GeomFromText('MULTIPOLYGON(((9 0,10 0,10 1,9 1,9 0)))', 4326), n, n FROM (SELECT id, nextval('grid_number')::integer AS n FROM grid_version WHERE root_code = 'A') v`,
		fmt.Sprintf("UPDATE incident SET (grid_id, grid_no) = (SELECT g.id, g.no FROM grid g JOIN grid_version v ON v.id = g.version_id WHERE v.root_code = 'A' AND v.state = 'retired') WHERE id = %d", ids[3]),
		"CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'away'; END $$",
		fmt.Sprintf("CREATE TRIGGER away BEFORE UPDATE ON incident FOR EACH ROW WHEN (NEW.id = %d) EXECUTE FUNCTION away()", ids[3]),
	} {
		if _, err := w.db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if n, err := w.led.Settle(t.Context(), start); n != 3 || err == nil || !strings.Contains(err.Error(), "former grids of A:") {
		t.Errorf("%d moved, %v", n, err)
	}
	if _, err := w.db.Pool.Exec(t.Context(), "DROP TRIGGER away ON incident"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if n, err := w.led.Settle(t.Context(), start); err != nil || n != want {
			t.Errorf("%d moved, %v; want %d", n, err, want)
		}
	}
	w.referee(t)
	if n := w.misplaced(t); n != 0 || w.count(t, "incident_journal", "kind = 'regrid'") != 1 || w.count(t, "audit_log", "action = 'grids.settle'") != 2 {
		t.Errorf("%d misplaced", n)
	}
}

// TestAReopenedIncidentStandsInTheGridsOfNow: closed it keeps the grid of its time;
// open again it lies where a redraw would have put it, and its journal says so.
func TestAReopenedIncidentStandsInTheGridsOfNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator = auth.NewActor(auth.Grant{ID: "token:1", Role: auth.HallOperator, Sensitive: true, Intervals: []auth.Interval{{Lo: 1, Hi: 1 << 30}}}) // of every redraw
	w.county = scopeOf(w.operator)
	var moved, same int64
	for _, v := range []struct {
		id  *int64
		lon float64
	}{{&moved, 0.8}, {&same, 0.5}} {
		*v.id = w.report(t, "0301", v.lon, 0.5, ledger.Command{}).Incident.ID
		for i, a := range []dispatch.Action{dispatch.Accept, dispatch.Route, dispatch.Acknowledge, dispatch.Resolve, dispatch.Verify, dispatch.Close} {
			if _, err := w.act(*v.id, i+1, a, "办结"); err != nil {
				t.Fatalf("%s: %v", a, err)
			}
		}
		if _, err := w.db.Pool.Exec(t.Context(), `WITH r AS (INSERT INTO reporter (incident_id, n) VALUES ($1, 1) RETURNING incident_id, n)
			INSERT INTO call_back (incident_id, n, reporter_n, closes_id, owed_by, due, done_at, done_by, outcome) SELECT incident_id, 1, n, incident_id, 'test', now(), now(), 'test', 'unsatisfied' FROM r`, *v.id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: w.draft(t, redrawn(0.7)), AcceptFaults: true}); err != nil {
		t.Fatal(err)
	}
	if at := w.stands(t, fmt.Sprintf("i.id = %d", moved))[moved]; at.code != "W" {
		t.Fatalf("closed it moved to %v", at)
	}
	if _, err := w.act(moved, 7, dispatch.Reopen, "不满意"); !errors.Is(err, ledger.ErrGridsChanged) {
		t.Errorf("by a server that does not know of the redraw yet: %v", err)
	}
	if err := w.cat.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{moved, same} {
		res, err := w.act(id, 7, dispatch.Reopen, "不满意")
		if err != nil || res.Incident.Version != 8 {
			t.Fatalf("%v, %+v", err, res.Incident.Incident)
		}
	}
	if n := w.misplaced(t); n != 0 {
		t.Errorf("%d reopened incidents are not where PostGIS puts them", n)
	}
	if a, b := w.stands(t, "i.open")[moved], w.stands(t, "i.open")[same]; a.code != "E" || b.code != "W" || a.of != b.of || a.owner != 2 {
		t.Errorf("reopened they stand in %v and %v", a, b)
	}
	journal, err := w.db.Journal(t.Context(), w.county, auth.CaseView, moved)
	if err != nil || len(journal) != 9 {
		t.Fatalf("%d entries, %v", len(journal), err)
	}
	if m := journal[7]; m.Kind != "regrid" || m.Moved == nil || !slices.Equal(m.Moved.From.Path, []string{"C", "W"}) || !slices.Equal(m.Moved.To.Path, []string{"C", "E"}) || journal[8].Kind != "reopen" {
		t.Errorf("%+v, then %s", m, journal[8].Kind)
	}
	if journal, err := w.db.Journal(t.Context(), w.county, auth.CaseView, same); err != nil || len(journal) != 8 {
		t.Errorf("what stayed in its grid has %d entries, %v", len(journal), err)
	}
}
