// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
	"onemap/store/ledger"
)

// hand is a clock moved by hand, that servers and their database share.
type hand struct{ at atomic.Int64 }

func (h *hand) now() time.Time          { return time.UnixMicro(h.at.Load()).UTC() }
func (h *hand) set(t time.Time)         { h.at.Store(t.UnixMicro()) }
func (h *hand) advance(d time.Duration) { h.at.Add(d.Microseconds()) }

// server is one of several servers on w's database, by their common clock.
func (w *world) server(h *hand, node string) (*ledger.Ledger, *ledger.Sweeper) {
	l := ledger.New(ledger.Options{DB: w.db, Catalogue: w.cat, Sealer: w.seal, Now: h.now, ScopesKnow: time.Millisecond})
	return l, &ledger.Sweeper{
		Ledger: l, Pool: w.db.Pool, Now: h.now, Log: slog.New(slog.DiscardHandler), Node: node, Poll: 2 * time.Millisecond, Batch: 50,
		DatabaseNow: func(context.Context, *pgx.Conn) (time.Time, error) { return h.now(), nil },
	}
}

// run runs a sweeper until the function it returns is called.
func run(s *ledger.Sweeper) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	return func() { cancel(); <-done }
}

// watched is w for the test's own looks and acts, on connections that it can tell from
// those of the servers.
func (w *world) watched(t testing.TB) *world {
	t.Helper()
	cfg := w.db.Pool.Config()
	cfg.ConnConfig.RuntimeParams["application_name"] = "watch"
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	watch := *w
	watch.db = &store.DB{Pool: pool}
	return &watch
}

// nextTimer is when the next timer is due; ok is false without one.
func (w *world) nextTimer(t testing.TB) (at time.Time, ok bool) {
	t.Helper()
	var next *time.Time
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT min(at) FROM timer WHERE done_at IS NULL AND NOT held").Scan(&next); err != nil {
		t.Fatal(err)
	}
	if next == nil {
		return time.Time{}, false
	}
	return *next, true
}

// swept waits until nothing is due any more.
func (w *world) swept(t testing.TB, h *hand) {
	t.Helper()
	waitFor(t, "sweep of what is due", func() bool {
		at, ok := w.nextTimer(t)
		return !ok || at.After(h.now())
	})
}

// steps are an incident's journal entries of the ladder.
func (w *world) steps(t *testing.T, id int64) (out []string) {
	t.Helper()
	entries, err := w.db.Journal(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if c, ok := e.Data["clock"].(map[string]any); ok {
			out = append(out, fmt.Sprintf("%v %s %v", c["stage"], e.Kind, c["told"]))
		}
	}
	return out
}

func (w *world) find(t *testing.T, id int64) store.Incident {
	t.Helper()
	in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestAnUnhandledIncidentClimbsFromDueToTheCounty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hand{}
	h.set(w.now)
	_, s := w.server(h, "a")
	in := w.report(t, "0103", 0.5, 0.5, ledger.Command{}).Incident // owed by the town
	w.sequence(t)
	stop := run(s)
	defer stop()
	for range 50 {
		at, ok := w.nextTimer(t)
		if !ok {
			break
		}
		h.set(at.Add(-time.Second))
		before := w.count(t, "timer", "done_at IS NOT NULL")
		waitFor(t, "look", func() bool { return !s.State().At.Before(h.now()) })
		if n := w.count(t, "timer", "done_at IS NOT NULL"); n != before {
			t.Fatalf("%d timers fired before their time", n-before)
		}
		h.set(at)
		w.swept(t, h)
	}
	got := w.steps(t, in.ID)
	want := []string{
		"1 unsigned [2 1]", "1 remind [2]", "1 late [2 1]", "1 supervise [2 1]", "1 escalate [2 1]",
		"2 unsigned [1]", "2 remind [1]", "2 late [1]", "2 leader [1]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the ladder went\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	after := w.find(t, in.ID)
	if after.OwnerLevel != 1 || !after.Late || after.Version != in.Version+1 || after.State != dispatch.Reported {
		t.Errorf("afterwards %+v", after.Incident)
	}
	list, err := w.db.Supervisions(t.Context(), w.county, store.SupervisionFilter{Limit: 9})
	if err != nil || len(list) != 1 || *list[0].Outcome != "moved_up" || !slices.Equal(list[0].Skipped, []int{1}) || len(list[0].Officers) != 0 {
		t.Errorf("supervisions %+v, %v", list, err)
	}
	if n := w.count(t, "audit_log", "actor = 'system:sweep'"); n != len(want) {
		t.Errorf("%d audit entries for %d rungs", n, len(want))
	}
	w.sequence(t)
	kinds := map[string]int{}
	events, err := ledger.ReadFeed(t.Context(), w.db, auth.System("test"), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Entity == (feed.Key{Kind: "incident", ID: fmt.Sprint(in.ID)}) {
			kinds[e.Kind]++
		}
	}
	for kind, n := range map[string]int{"incident.opened": 1, "incident.reminded": 4, "incident.late": 2, "incident.supervised": 2, "incident.changed": 1} {
		if kinds[kind] != n {
			t.Errorf("%d events %s, want %d", kinds[kind], kind, n)
		}
	}
}

// TestAReviewDateWakesOnce: its owner and the county's desk are reminded on the date,
// once, whichever of two servers is up and however often they start; a date put in
// its place wakes again.
func TestAReviewDateWakesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hand{}
	h.set(w.now)
	led, a := w.server(h, "a")
	_, b := w.server(h, "b")
	id := w.report(t, "0103", 0.5, 0.5, ledger.Command{}).Incident.ID
	act := func(a dispatch.Act) {
		t.Helper()
		if _, err := led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: w.find(t, id).Version, Act: a}}); err != nil {
			t.Fatalf("%s: %v", a.Action, err)
		}
	}
	due := func() int {
		t.Helper()
		rows, err := w.db.DueReviews(t.Context(), w.county, h.now(), store.OpenFilter{Limit: 9})
		counts, err2 := w.db.CountOpen(t.Context(), w.county, h.now())
		if err != nil || err2 != nil || counts.Reviews != len(rows) {
			t.Fatalf("%v, %v %v, counted %d", rows, err, err2, counts.Reviews)
		}
		return len(rows)
	}
	act(dispatch.Act{Action: dispatch.Accept})
	act(dispatch.Act{Action: dispatch.Route})
	review := h.now().AddDate(0, 1, 0)
	act(dispatch.Act{Action: dispatch.Suspend, Reason: "汛期过后再办", Until: review})
	for range 2 { // corrected while it stands: another stage, the same date
		h.set(review.Add(-time.Second))
		stop := run(a)
		w.swept(t, h)
		if got := w.steps(t, id); w.count(t, "timer", "did = 'review'") == 0 && len(got) != 0 || due() != 0 {
			t.Fatalf("before the date: %v, %d due", got, due())
		}
		h.set(review)
		stopB := run(b)
		w.swept(t, h)
		stop()
		stopB()
		act(dispatch.Act{Action: dispatch.Correct, Reason: "类别有误", Category: ptr(w.cat.Now().Categories["0301"])})
	}
	for _, s := range []*ledger.Sweeper{a, b} {
		stop := run(s)
		w.swept(t, h)
		stop()
	}
	if got := w.steps(t, id); !slices.Equal(got, []string{"1 review [2 1]"}) || due() != 1 {
		t.Errorf("on the date: %v, %d due for review", got, due())
	}
	w.sequence(t)
	events, err := ledger.ReadFeed(t.Context(), w.db, auth.System("test"), 0, 1000)
	told := 0
	for _, e := range events {
		if e.Kind == "incident.reminded" {
			told++
		}
	}
	if err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
	act(dispatch.Act{Action: dispatch.Resume})
	if due() != 0 || w.count(t, "timer", "rung LIKE 'review.%' AND done_at IS NULL") != 0 {
		t.Error("what was taken up again is still due for review")
	}
	second := h.now().AddDate(0, 1, 0)
	act(dispatch.Act{Action: dispatch.Suspend, Reason: "再等一月", Until: second})
	// One that was suspended before there were reviews gets its timer when a server begins.
	if _, err := w.db.Pool.Exec(t.Context(), "DELETE FROM timer WHERE rung LIKE 'review.%' AND done_at IS NULL; ALTER TABLE timer DISABLE TRIGGER USER; DELETE FROM timer WHERE rung LIKE 'review.%'; ALTER TABLE timer ENABLE TRIGGER USER"); err != nil {
		t.Fatal(err)
	}
	h.set(second)
	stop := run(a)
	waitFor(t, "the second review", func() bool { return len(w.steps(t, id)) == 2 })
	stop()
}

// TestTheDutyOfficerOfTheTimeSupervises: whoever the roster of duties names when the
// limit runs out, and nobody who merely has a right to the grid.
func TestTheDutyOfficerOfTheTimeSupervises(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hand{}
	h.set(w.now)
	_, s := w.server(h, "a")
	in := w.report(t, "0103", 0.5, 0.5, ledger.Command{}).Incident // owed by the town
	if _, err := w.db.Pool.Exec(t.Context(), `WITH a AS (INSERT INTO account (login, state, password, created_by) VALUES ('early', 'active', 'none', 'test'), ('late', 'active', 'none', 'test') RETURNING id, login),
		g AS (INSERT INTO account_grant (account_id, role, grid_code, root_code, state, proposed_by, security_by, active_at) SELECT id, 'dispatcher', 'C', 'C', 'active', 'test', 'test', now() FROM a)
		INSERT INTO duty_officer (root_code, grid_code, account_id, from_at, to_at, made_by, made_at)
		SELECT 'C', 'C', id, CASE login WHEN 'early' THEN $1::timestamptz - interval '1 day' ELSE $1 END, CASE login WHEN 'early' THEN $1 ELSE $1 + interval '1 day' END, 'test', $1 FROM a`,
		*in.StageDue); err != nil {
		t.Fatal(err)
	}
	stop := run(s)
	defer stop()
	h.set(*in.StageDue)
	w.swept(t, h)
	list, err := w.db.Supervisions(t.Context(), w.county, store.SupervisionFilter{Limit: 9})
	var late string
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT 'account:' || id FROM account WHERE login = 'late'").Scan(&late); err != nil {
		t.Fatal(err)
	}
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Officers, []string{late}) || len(list[0].Skipped) != 0 {
		t.Errorf("supervisions %+v, %v; want one of %s", list, err, late)
	}
}

// TestADutyOfficerWithoutAnAccountDoesNotAnswerTheOwnSupervision: the roster names a
// worker, who signs in by another name.
func TestADutyOfficerWithoutAnAccountDoesNotAnswerTheOwnSupervision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 1)
	h := &hand{}
	h.set(w.now)
	desk, s := w.server(h, "a")
	in := w.report(t, "0103", 0.5, 0.5, ledger.Command{}).Incident // owed by the town
	if _, err := w.db.Pool.Exec(t.Context(), `INSERT INTO duty_officer (root_code, grid_code, worker_id, from_at, to_at, made_by, made_at)
		SELECT 'C', 'C', id, $1::timestamptz - interval '1 day', $1::timestamptz + interval '1 day', 'test', $1 FROM worker WHERE id = 1`, *in.StageDue); err != nil {
		t.Fatal(err)
	}
	stop := run(s)
	defer stop()
	h.set(*in.StageDue)
	w.swept(t, h)
	list, err := w.db.Supervisions(t.Context(), w.county, store.SupervisionFilter{Limit: 9})
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Officers, []string{"worker:1"}) {
		t.Fatalf("supervisions %+v, %v", list, err)
	}
	i, _ := w.cat.Now().Tree.ByCode("W")
	town := w.cat.Now().Tree.Nodes()[i]
	answer := func(worker uint32) error {
		a := auth.NewActor(auth.Grant{ID: "token:7", Role: auth.TownOperator, Worker: worker, Sensitive: true, Intervals: []auth.Interval{{Lo: town.No, Hi: town.Last}}})
		_, err := desk.Do(t.Context(), a, ledger.Command{Reply: &ledger.Reply{Supervision: list[0].ID, Text: "已派人"}})
		return err
	}
	if err := answer(1); !errors.Is(err, ledger.ErrOwnWord) {
		t.Errorf("by whose it is: %v", err)
	}
	if err := answer(0); err != nil {
		t.Errorf("by the town: %v", err)
	}
}

// TestEachRungFiresOnceOverRestartsAndTwoServers lets two servers come and go in the
// middle of their work, while the clock is moved on and now and then back: 6
// incidents, 600 with ONEMAP_SOAK=1, and n with ONEMAP_SOAK=n. One in five is suspended
// at first and taken up again once its review date has been told.
func TestEachRungFiresOnceOverRestartsAndTwoServers(t *testing.T) {
	t.Parallel()
	servers := newWorld(t)
	w := servers.watched(t)
	n := 6
	if soak, err := strconv.Atoi(os.Getenv("ONEMAP_SOAK")); err == nil && soak > 0 {
		if n = soak; soak == 1 {
			n = 600
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	h := &hand{}
	h.set(w.now)
	desk, _ := w.server(h, "desk")
	act := func(id int64, a dispatch.Act) {
		t.Helper()
		if _, err := desk.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: w.find(t, id).Version, Act: a}}); err != nil {
			t.Fatalf("%s: %v", a.Action, err)
		}
	}
	suspended := map[int64]bool{}
	for i := range n {
		id := w.report(t, []string{"0103", "0301", "0401", "0302"}[r.IntN(4)], 0.1+1.8*r.Float64(), 0.5, ledger.Command{}).Incident.ID
		if i%5 == 0 {
			act(id, dispatch.Act{Action: dispatch.Accept})
			act(id, dispatch.Act{Action: dispatch.Route})
			act(id, dispatch.Act{Action: dispatch.Suspend, Reason: "待查", Until: h.now().Add(time.Duration(1+r.IntN(500)) * time.Hour)})
			suspended[id] = true
		}
	}
	reviews := len(suspended)
	var running sync.WaitGroup
	finished := make(chan struct{})
	for _, node := range []string{"a", "b"} {
		seed := r.Uint64()
		running.Go(func() {
			mine := rand.New(rand.NewPCG(seed, 3))
			for {
				_, s := servers.server(h, node)
				stop := run(s)
				select {
				case <-finished:
					stop()
					return
				case <-time.After(time.Duration(mine.IntN(300)) * time.Millisecond):
					stop() // in the middle of whatever it does
				}
			}
		})
	}
	for end := time.Now().Add(time.Duration(n) * 20 * time.Second); ; {
		at, ok := w.nextTimer(t)
		if r.IntN(30) == 0 || !ok {
			for id := range suspended {
				if w.count(t, "timer", fmt.Sprintf("incident_id = %d AND did = 'review'", id)) > 0 {
					act(id, dispatch.Act{Action: dispatch.Resume})
					delete(suspended, id)
				}
			}
			if !ok && len(suspended) > 0 {
				t.Fatalf("%d incidents are suspended and were never told of", len(suspended))
			}
			if at, ok = w.nextTimer(t); !ok {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the ladder does not come to its end: %d timers fired, the next is due at %v, it is %v", w.count(t, "timer", "done_at IS NOT NULL"), at, h.now())
		}
		switch {
		case r.IntN(15) == 0: // a server dies in the middle of a transaction
			if _, err := w.db.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
				AND application_name <> 'watch' AND state <> 'idle' LIMIT 1`); err != nil {
				t.Fatal(err)
			}
		case r.IntN(20) == 0:
			h.advance(-time.Duration(r.IntN(7200)) * time.Second)
		case at.After(h.now()):
			h.set(at.Add(time.Duration(r.IntN(24)) * time.Hour))
		}
		<-time.After(time.Duration(r.IntN(20)) * time.Millisecond) // for the servers to be at any point of their work
	}
	close(finished)
	running.Wait()
	if m := w.count(t, "(SELECT incident_id, data -> 'clock' ->> 'stage', data -> 'clock' ->> 'rung' FROM incident_journal WHERE data ? 'clock' GROUP BY 1, 2, 3 HAVING count(*) <> 1) x", ""); m != 0 {
		t.Errorf("%d rungs did what they do more than once", m)
	}
	if a, b := w.count(t, "timer", "did <> ''"), w.count(t, "incident_journal", "data ? 'clock'"); a != b || a == 0 {
		t.Errorf("%d timers did something, %d journal entries tell of it", a, b)
	}
	if m := w.count(t, "incident", "owner_level <> 1 OR NOT late"); m != 0 {
		t.Errorf("%d incidents did not end at the county", m)
	}
	if m := w.count(t, "incident_journal", "kind = 'review'"); m != reviews {
		t.Errorf("%d review dates were told, %d times", reviews, m)
	}
	// However often servers came and went, each incident went the whole way.
	for _, kind := range []string{"escalate", "leader"} {
		if m := w.count(t, "incident_journal", "kind = '"+kind+"'"); m < n/2 || kind == "leader" && m != n {
			t.Errorf("%d times %s for %d incidents", m, kind, n)
		}
	}
	both := w.count(t, "timer", "node = 'a'") > 0 && w.count(t, "timer", "node = 'b'") > 0
	t.Logf("%d rungs; both servers fired some: %v", w.count(t, "timer", "done_at IS NOT NULL"), both)
}

func TestAServerWhoseClockIsOffFiresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hand{}
	h.set(w.now.AddDate(1, 0, 0))
	w.report(t, "0103", 0.5, 0.5, ledger.Command{})
	_, s := w.server(h, "a")
	var said atomic.Int64
	s.Log = slog.New(counting{slog.DiscardHandler, &said})
	ahead := atomic.Int64{}
	ahead.Store(int64(time.Hour))
	s.DatabaseNow = func(context.Context, *pgx.Conn) (time.Time, error) {
		return h.now().Add(-time.Duration(ahead.Load())), nil
	}
	stop := run(s)
	defer stop()
	waitFor(t, "refusal", func() bool { return s.State().Refuse })
	if st := s.State(); st.Owner || st.Off < 59*time.Minute || said.Load() != 1 {
		t.Errorf("%+v, said %d times", st, said.Load())
	}
	// Another one with a right clock sweeps meanwhile.
	_, good := w.server(h, "b")
	stopGood := run(good)
	w.swept(t, h)
	stopGood()
	if n := w.count(t, "timer", "node = 'a'"); n != 0 {
		t.Errorf("the server whose clock is off fired %d timers", n)
	}
	ahead.Store(int64(time.Second)) // within what is allowed
	waitFor(t, "sweep", func() bool { return s.State().Owner })
}

// counting counts errors that are logged.
type counting struct {
	slog.Handler
	n *atomic.Int64
}

func (c counting) Enabled(context.Context, slog.Level) bool { return true }

func (c counting) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		c.n.Add(1)
	}
	return nil
}

func TestTheClockStandsWhileSuspendedAndRunsOnAfterwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hand{}
	h.set(w.now)
	led, s := w.server(h, "a")
	id := w.report(t, "0103", 0.5, 0.5, ledger.Command{}).Incident.ID
	act := func(a dispatch.Act) store.Incident {
		t.Helper()
		in := w.find(t, id)
		res, err := led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: in.Version, Act: a}})
		if err != nil {
			t.Fatalf("%s: %v", a.Action, err)
		}
		return res.Incident
	}
	act(dispatch.Act{Action: dispatch.Accept})
	act(dispatch.Act{Action: dispatch.Route})
	before := act(dispatch.Act{Action: dispatch.Acknowledge})
	if n := w.count(t, "timer", "rung = 'sign'"); n != 0 {
		t.Error("somebody signed for it, and its timer stays")
	}
	act(dispatch.Act{Action: dispatch.Suspend, Reason: "汛期过后再办", Until: h.now().AddDate(0, 6, 0)})
	h.set(w.now.AddDate(0, 3, 0))
	stop := run(s)
	defer stop()
	waitFor(t, "look", func() bool { return !s.State().At.Before(h.now()) })
	if got := w.steps(t, id); len(got) != 0 || w.count(t, "timer", "rung LIKE 'review.%' AND NOT held") != 1 || w.count(t, "timer", "held") != 2 {
		t.Errorf("while it is suspended: %v, %d timers held", got, w.count(t, "timer", "held"))
	}
	after := act(dispatch.Act{Action: dispatch.Resume})
	if !after.StageDue.After(h.now().AddDate(0, 0, 5)) || !after.StageDue.After(*before.StageDue) || !strings.Contains(after.DueRule, "paused") {
		t.Errorf("resumed on %v it is due on %v by %q; before it was %v", h.now(), after.StageDue, after.DueRule, before.StageDue)
	}
	var due time.Time
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT at FROM timer WHERE rung = 'breach.1' AND NOT held AND incident_id = $1", id).Scan(&due); err != nil || !due.Equal(*after.StageDue) {
		t.Errorf("the breach is due %v, %v; want %v", due, err, after.StageDue)
	}
	act(dispatch.Act{Action: dispatch.Resolve, Reason: "已修复"})
	h.set(after.StageDue.AddDate(0, 0, 1))
	waitFor(t, "look", func() bool { return !s.State().At.Before(h.now()) })
	if in := w.find(t, id); in.Late {
		t.Error("what is done became late")
	}
	act(dispatch.Act{Action: dispatch.SendBack, Reason: "没有修好"})
	w.swept(t, h)
	if in := w.find(t, id); !in.Late {
		t.Error("what came back after its time is not late")
	}
	act(dispatch.Act{Action: dispatch.Resolve, Reason: "修好了"})
	act(dispatch.Act{Action: dispatch.Verify})
	act(dispatch.Act{Action: dispatch.Close})
	if n := w.count(t, "timer", "done_at IS NULL"); n != 0 {
		t.Errorf("a closed incident has %d timers", n)
	}
	if n := w.count(t, "supervision", "closed_at IS NULL"); n != 0 {
		t.Errorf("a closed incident has %d open supervisions", n)
	}
}

func TestFiredTimersCannotBeTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &hand{}
	h.set(w.now.AddDate(0, 0, 1))
	w.report(t, "0103", 0.5, 0.5, ledger.Command{})
	_, s := w.server(h, "a")
	stop := run(s)
	w.swept(t, h)
	stop()
	for _, sql := range []string{"UPDATE timer SET done_at = NULL, node = '' WHERE done_at IS NOT NULL", "DELETE FROM timer"} {
		if _, err := w.db.Pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: accepted", sql)
		}
	}
}
