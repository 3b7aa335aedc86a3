// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/analysis"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/store"
)

// drawnLife is an incident of the test, with what figures are told by.
type drawnLife struct {
	analysis.Incident
	category string
	grid     int32
}

// drawIncident draws an incident's life of weeks around the holidays of 2026, every
// time at a quarter of a day, so that many fall together.
func drawIncident(r *rand.Rand, states []dispatch.State, categories []string) drawnLife {
	quarter := 6 * time.Hour
	at := time.Date(2026, 8, 20, 0, 0, 0, 0, calendar.Zone()).Add(time.Duration(r.IntN(240)) * quarter)
	later := func(most int) time.Time { return at.Add(time.Duration(r.IntN(most)) * quarter) }
	some := func(t time.Time) *time.Time { return &t }
	in := drawnLife{category: categories[r.IntN(len(categories))], grid: int32(1 + r.IntN(3))}
	in.State, in.ReportedAt, in.Reopened, in.Version = states[r.IntN(len(states))], at, r.IntN(4)/3, 1+r.IntN(3)
	in.Place = dispatch.InGrid
	if in.grid == 1 {
		in.Place = []dispatch.PlaceKind{dispatch.Outside, dispatch.NoPlace}[r.IntN(2)]
	}
	if r.IntN(3) > 0 {
		in.AcknowledgedAt = some(later(4))
	}
	if r.IntN(4) == 0 {
		in.OnSceneAt = some(later(4))
	}
	n := 1 + r.IntN(4)
	if !in.State.Open() && r.IntN(6) == 0 {
		n = 0
		in.OwnerLevel, in.Department = 1+r.IntN(4), int64(r.IntN(3))
		if r.IntN(3) > 0 {
			in.Due = some(later(60))
		}
	}
	for i := range n {
		s := analysis.Stage{Level: 1 + r.IntN(4), Department: int64(r.IntN(3)), StartedAt: at, Provisional: r.IntN(5) == 0, Extended: r.IntN(5) == 0}
		if i > 0 && r.IntN(6) == 0 {
			s.StartedAt = in.Stages[i-1].StartedAt // a correction
		}
		if r.IntN(8) > 0 {
			s.Due = some(s.StartedAt.Add(time.Duration(r.IntN(40)) * quarter))
		}
		if i < n-1 {
			s.StoppedAt = some(later(30))
			at = *s.StoppedAt
			if r.IntN(3) == 0 {
				at = later(8) // it was closed and opened again
			}
		}
		in.Stages = append(in.Stages, s)
		in.OwnerLevel, in.Department, in.Due = s.Level, s.Department, s.Due
	}
	switch in.State {
	case dispatch.Closed, dispatch.Archived, dispatch.Resolved, dispatch.Verified:
		if r.IntN(8) > 0 || in.State.Open() {
			at = later(30)
			in.ResolvedAt, in.ResolvedLevel = some(at), r.IntN(5)
		}
		if !in.State.Open() {
			in.ClosedAt = some(later(10))
		}
	case dispatch.Suspended:
		if r.IntN(5) > 0 {
			in.Stages[n-1].PausedAt = some(later(40))
		}
	}
	for range r.IntN(3) {
		in.CallBacks = append(in.CallBacks, []string{"satisfied", "basically", "unsatisfied", "unreached", ""}[r.IntN(5)])
	}
	for range r.IntN(3) {
		advised := r.IntN(4) > 0
		in.Advice = append(in.Advice, analysis.Choice{At: later(20), Advised: advised, Overridden: advised && r.IntN(3) == 0})
	}
	return in
}

// layDrawn puts drawn incidents into the record, the i-th with id i+1.
func layDrawn(t *testing.T, db *store.DB, all []drawnLife) {
	t.Helper()
	none := func(n int64) any {
		if n == 0 {
			return nil
		}
		return n
	}
	b := &pgx.Batch{}
	for i, in := range all {
		id := int64(i + 1)
		b.Queue(`INSERT INTO incident (id, state, category, priority, title, source, geom, raw_lon, raw_lat, raw_datum, place, grid_id, grid_no, cell6, cell7, cell8, cell9,
			owner_level, department_id, reported_at, acknowledged_at, on_scene_at, resolved_at, closed_at, resolved_level, reopened, version, stage, stage_due, review_at, history)
			SELECT $1, $2, $3, 2, 't', 'test', CASE WHEN $4 <> 'none' THEN ST_SetSRID(ST_MakePoint(107.2, 38.3), 4326) END, x, x, CASE WHEN $4 <> 'none' THEN 'wgs84' END, $4,
			g.id, g.no, x, x, x, x, $6, $7, $8, $9, $10, $11, $12, $13::smallint, $14, $15, $16, $17, CASE WHEN $2 = 'suspended' THEN now() END, true
			FROM grid g, (SELECT CASE WHEN $4 <> 'none' THEN 1 END AS x) x WHERE g.no = $5`,
			id, string(in.State), in.category, string(in.Place), in.grid, in.OwnerLevel, none(in.Department), in.ReportedAt, in.AcknowledgedAt, in.OnSceneAt,
			in.ResolvedAt, in.ClosedAt, none(int64(in.ResolvedLevel)), in.Reopened, in.Version, max(1, len(in.Stages)), in.Due)
		for n, s := range in.Stages {
			ended := s.StoppedAt
			if n == len(in.Stages)-1 && !in.State.Open() {
				end := in.ReportedAt.AddDate(1, 0, 0)
				ended = &end
			} else if ended != nil {
				end := ended.Add(time.Hour)
				ended = &end
			}
			extended := 0
			if s.Extended {
				extended = 1
			}
			b.Queue(`INSERT INTO incident_stage (incident_id, n, level, department_id, started_at, due, stopped_at, ended_at, paused_at, provisional, extensions)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, id, n+1, s.Level, none(s.Department), s.StartedAt, s.Due, s.StoppedAt, ended, s.PausedAt, s.Provisional, extended)
		}
		for n, outcome := range in.CallBacks {
			b.Queue("INSERT INTO reporter (incident_id, n) VALUES ($1, $2)", id, n+1)
			b.Queue(`INSERT INTO call_back (incident_id, n, reporter_n, closes_id, owed_by, due, done_at, done_by, outcome)
				SELECT $1, $2, $2, $1, 'token:1', now(), CASE WHEN $3::text <> '' THEN now() END, CASE WHEN $3 <> '' THEN 'token:1' END, nullif($3, '')`, id, n+1, outcome)
		}
		for _, a := range in.Advice {
			n := 0
			if a.Advised {
				n = 3
			}
			b.Queue(`INSERT INTO advice (incident_id, category, at, seq, actor, passed, measured, by_road, ranked, left_out, chosen, ranks, overridden)
				VALUES ($1, $2, $3, 1, 'token:1', $4, $4, $4, '[]', '{}', '{1}', '{1}', $5)`, id, in.category, a.At, n, a.Overridden)
		}
	}
	if err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error { return tx.SendBatch(t.Context(), b).Close() }); err != nil {
		t.Fatal(err)
	}
}

// TestFiguresAreThoseOfTheFormula holds what the database counts, and the list that
// opens it, against the formula over drawn incidents, for drawn periods, filters,
// scopes and keys.
func TestFiguresAreThoseOfTheFormula(t *testing.T) {
	t.Parallel()
	seed, many, rounds := uint64(21), 250, 25
	if os.Getenv("ONEMAP_SOAK") == "1" {
		seed, many, rounds = uint64(time.Now().UnixNano()), 10_000, 1000
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	db, _ := field(t)
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	states := append(slices.Clone(dispatch.States), dispatch.Closed, dispatch.Closed, dispatch.Closed, dispatch.Closed, dispatch.Archived, dispatch.Suspended)
	const sensitive = "0102"
	categories := []string{"0301", "0302", "0401", sensitive}
	if n := count(t, db, "SELECT count(*) FROM category WHERE code = ANY($1) AND (precision = 'none') = (code = $2)", categories, sensitive); n != len(categories) {
		t.Fatalf("%d categories as the test needs them", n)
	}
	all := make([]drawnLife, many)
	for i := range all {
		all[i] = drawIncident(r, states, categories)
	}
	layDrawn(t, db, all)
	clerk, err := auth.Decide(auth.NewActor(auth.Grant{ID: "token:1", Role: auth.TownOperator, Intervals: []auth.Interval{{Lo: 2, Hi: 2}}}), auth.Read, auth.Figures)
	if err != nil {
		t.Fatal(err)
	}
	cal := calendar.Calendar{Overrides: map[calendar.Date]bool{{Year: 2026, Month: 9, Day: 12}: true, {Year: 2026, Month: 9, Day: 22}: false}}
	judged := 0
	for round := range rounds {
		from := time.Date(2026, 8, 25, 0, 0, 0, 0, calendar.Zone()).Add(time.Duration(r.IntN(160)) * 6 * time.Hour)
		f := store.FigureFilter{Period: analysis.Period{From: from, To: from.Add(time.Duration(1+r.IntN(200)) * 6 * time.Hour)}}
		now := from.Add(time.Duration(r.IntN(300)) * 6 * time.Hour)
		f.By = []store.FiguresBy{store.ByNothing, store.ByLevel, store.ByGrid, store.ByDepartment, store.ByCategory}[round%5]
		f.Category = []string{"", "", "0301", "03"}[r.IntN(4)]
		f.Department = int64(max(0, r.IntN(6)-3))
		scope := auth.System("test")
		if r.IntN(2) == 0 {
			scope = clerk.Scope
		}
		if r.IntN(3) == 0 {
			f.Grids = []auth.Interval{{Lo: 2, Hi: 3}}
		}
		var seen []analysis.Incident
		var of []drawnLife
		for _, in := range all {
			inGrid := (len(f.Grids) == 0 || in.grid >= 2) && (scope.All() || in.grid == 2 && in.category != sensitive)
			if inGrid && (f.Category == "" || in.category[:len(f.Category)] == f.Category) {
				seen, of = append(seen, in.Incident), append(of, in)
			}
		}
		want := analysis.Of(f.Period, seen, cal, now, func(i int, s analysis.Side) string {
			switch {
			case f.Department != 0 && s.Department != f.Department:
				return "another's"
			case f.By == store.ByLevel:
				return fmt.Sprint(s.Level)
			case f.By == store.ByGrid:
				return fmt.Sprint(of[i].grid) // ids are numbers here
			case f.By == store.ByDepartment:
				return fmt.Sprint(s.Department)
			case f.By == store.ByCategory:
				return of[i].category
			}
			return ""
		})
		delete(want, "another's")
		earlier := analysis.Period{From: f.From.AddDate(0, 0, -14), To: f.To.AddDate(0, 0, -14)}
		got, err := db.PeriodFigures(t.Context(), scope, auth.CaseView, f, cal, now, earlier)
		if err != nil {
			t.Fatal(err)
		}
		alone := f
		alone.Period = earlier
		then, err := db.PeriodFigures(t.Context(), scope, auth.CaseView, alone, cal, now)
		if err != nil {
			t.Fatal(err)
		}
		for key, c := range then.Groups {
			c.Open, c.Overdue = 0, 0 // of now, and not of an earlier period
			b := got.Before[0][key]
			if math.Abs(b.WorkingDays-c.WorkingDays) > 1e-9 {
				t.Fatalf("round %d, %+v, %q before: %v working days, alone %v", round, f, key, b.WorkingDays, c.WorkingDays)
			}
			if c.WorkingDays = b.WorkingDays; b != c {
				t.Fatalf("round %d, %+v, %q before:\n%+v, alone\n%+v", round, f, key, b, c)
			}
		}
		if len(got.Groups) != len(want) {
			t.Fatalf("round %d, %+v: keys %v, by the formula %v", round, f, got.Groups, want)
		}
		due := map[analysis.Outcome]int{}
		for key, w := range want {
			g := got.Groups[key]
			if math.Abs(g.WorkingDays-w.WorkingDays) > 1e-5 {
				t.Fatalf("round %d, %+v, %q: %v working days, by the formula %v", round, f, key, g.WorkingDays, w.WorkingDays)
			}
			if g.WorkingDays = w.WorkingDays; g != w {
				t.Fatalf("round %d, %+v, now %s, %q:\n%+v, by the formula\n%+v", round, f, now, key, g, w)
			}
			judged += w.Due() + w.Standing + w.Elsewhere
			for o, n := range map[analysis.Outcome]int{analysis.InTime: w.InTime, analysis.Unchecked: w.Unchecked, analysis.Late: w.Late, analysis.Standing: w.Standing, analysis.Elsewhere: w.Elsewhere} {
				due[o] += n
			}
		}
		list := store.IncidentFilter{Due: &f.Period, Grids: f.Grids, Category: f.Category, At: now, Limit: many}
		if f.Department != 0 {
			list.Department = &f.Department
		}
		for _, o := range analysis.Outcomes {
			list.Outcomes = []string{string(o)}
			rows, err := db.Incidents(t.Context(), scope, auth.CaseView, list)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != due[o] {
				t.Fatalf("round %d, %+v: %d rows %s, the figure is %d", round, f, len(rows), o, due[o])
			}
		}
	}
	if judged < 10*rounds {
		t.Errorf("only %d limits were judged in %d rounds", judged, rounds)
	}
}

// BenchmarkPeriodFigures asks for a month's and a year's figures of half a million
// incidents of a year.
func BenchmarkPeriodFigures(b *testing.B) {
	const incidents = 500_000
	db := benchCounty(b, incidents)
	ctx := context.Background()
	for _, sql := range []string{
		`UPDATE incident SET reported_at = r, acknowledged_at = CASE WHEN id % 3 > 0 THEN r + interval '20 minutes' END, version = 6, resolved_level = 1 + id % 4,
			resolved_at = CASE WHEN NOT open THEN r + (id % 97) * interval '2 hours' END, closed_at = CASE WHEN NOT open THEN r + (id % 97) * interval '2 hours' + interval '5 hours' END,
			stage_due = r + (id % 11) * interval '1 day'
			FROM (SELECT id AS at, timestamptz '2025-10-01' + (id * 63 % 31536000) * interval '1 second' AS r FROM incident) x WHERE x.at = id`,
		"VACUUM ANALYZE incident",
	} {
		if _, err := db.Pool.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	year := analysis.Period{From: time.Date(2025, 10, 1, 0, 0, 0, 0, calendar.Zone()), To: time.Date(2026, 10, 1, 0, 0, 0, 0, calendar.Zone())}
	month := analysis.Period{From: time.Date(2026, 3, 1, 0, 0, 0, 0, calendar.Zone()), To: time.Date(2026, 4, 1, 0, 0, 0, 0, calendar.Zone())}
	week := analysis.Period{From: time.Date(2026, 9, 21, 0, 0, 0, 0, calendar.Zone()), To: time.Date(2026, 9, 28, 0, 0, 0, 0, calendar.Zone())}
	for _, c := range []struct {
		name string
		p    analysis.Period
		by   store.FiguresBy
	}{{"week", week, store.ByLevel}, {"month", month, store.ByGrid}, {"year", year, store.ByNothing}, {"year-by-grid", year, store.ByGrid}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.PeriodFigures(ctx, auth.System("bench"), auth.CaseView, store.FigureFilter{Period: c.p, By: c.by}, calendar.Default(), year.To); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
