// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
	"onemap/store/ledger"
)

// field puts n workers into the world, with ids 1 to n.
func (w *world) field(t testing.TB, n int) {
	t.Helper()
	if _, err := w.db.Pool.Exec(t.Context(), "INSERT INTO worker (badge) SELECT 'W' || n FROM generate_series(1, $1::int) n", n); err != nil {
		t.Fatal(err)
	}
}

// worker is the worker with this id as an actor.
func (w *world) worker(id uint32) auth.Actor {
	root := w.cat.Now().Tree.Nodes()[0]
	iv := []auth.Interval{{Lo: root.No, Hi: root.Last}}
	return auth.NewActor(auth.Grant{ID: fmt.Sprintf("token:w%d", id), Role: auth.GridWorker, Worker: id, Intervals: iv, County: iv})
}

// routed is an incident of this priority that waits for somebody to be sent.
func (w *world) routed(t testing.TB, priority int) store.Incident {
	t.Helper()
	r := w.placed(t, "0501", 0.5, 0.5)
	r.Priority = priority
	res, err := w.led.Do(t.Context(), w.operator, ledger.Command{Report: r})
	for _, a := range []dispatch.Action{dispatch.Accept, dispatch.Route} {
		if err == nil {
			res, err = w.act(res.Incident.ID, res.Incident.Version, a, "")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return res.Incident
}

func (w *world) offer(by auth.Actor, incident int64, version int, lead bool, workers ...uint32) (ledger.Result, error) {
	return w.led.Do(context.Background(), by, ledger.Command{Offer: &ledger.OfferCommand{
		Incident: incident, Version: version, Offering: dispatch.Offering{Workers: workers, Lead: lead},
	}})
}

// offered makes a lead offer that has to succeed.
func (w *world) offered(t testing.TB, in store.Incident, worker uint32) store.Offer {
	t.Helper()
	res, err := w.offer(w.operator, in.ID, 0, true, worker)
	if err != nil {
		t.Fatal(err)
	}
	return res.Offers[0]
}

func (w *world) say(o store.Offer, k dispatch.OfferKind, ref string, at *time.Time) (ledger.Result, error) {
	by := w.worker(o.Worker)
	if k == dispatch.WithdrawOffer {
		by = w.operator
	}
	return w.led.Do(context.Background(), by, ledger.Command{OfferAct: &ledger.OfferAct{
		Offer: o.ID, ClientRef: ref, OfferAct: dispatch.OfferAct{Kind: k, Reason: "because", DeviceAt: at},
	}})
}

func (w *world) sweep(t testing.TB) ledger.SweptOffers {
	t.Helper()
	out, err := w.led.SweepOffers(t.Context(), auth.SystemActor("test"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) offerState(t testing.TB, id int64) dispatch.OfferState {
	t.Helper()
	o, err := store.FindOffer(t.Context(), w.db.Pool, auth.System("test"), id)
	if err != nil {
		t.Fatal(err)
	}
	return o.State
}

func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 5))
}

// rounds is n of a full run, and one in a hundred otherwise.
func rounds(n int) int {
	if os.Getenv("ONEMAP_SOAK") == "1" {
		return n
	}
	return n / 100
}

// TestOfRacingDispatchersExactlyOneWins lets two to eight send at once: several workers
// to one incident, one worker to several incidents, or the same to the same. One is
// first, and every other is told which offer that was.
func TestOfRacingDispatchersExactlyOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rnd := seeded(t)
	const most = 8
	w.field(t, most)
	var incidents []store.Incident
	for range most {
		incidents = append(incidents, w.routed(t, 1+rnd.IntN(4)))
	}
	for round := range rounds(10_000) {
		k, mode := 2+rnd.IntN(most-1), rnd.IntN(3)
		first := rnd.IntN(most)
		results, errs := make([]ledger.Result, k), make([]error, k)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range k {
			in, worker := incidents[first], uint32(1+first)
			if mode == 0 {
				worker = uint32(1 + (first+i)%most)
			}
			if mode == 1 {
				in = incidents[(first+i)%most]
			}
			seen, err := w.db.Incident(t.Context(), w.county, auth.CaseView, in.ID)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				<-start
				results[i], errs[i] = w.offer(w.operator, in.ID, seen.Version, true, worker)
			})
		}
		close(start)
		wg.Wait()
		var won []store.Offer
		for i := range k {
			if errs[i] == nil {
				won = append(won, results[i].Offers[0])
			}
		}
		if len(won) != 1 {
			t.Fatalf("round %d, mode %d, %d dispatchers: %d winners: %v", round, mode, k, len(won), errs)
		}
		for _, err := range errs {
			var taken *ledger.TakenError
			if err != nil && (!errors.As(err, &taken) || taken.Winner == nil || taken.Winner.Offer != won[0].ID) {
				t.Fatalf("round %d, mode %d: a loser is told %v, the winner is offer %d", round, mode, err, won[0].ID)
			}
		}
		if _, err := w.say(won[0], dispatch.WithdrawOffer, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count(t, "incident", "state <> 'routed'"); n != 0 {
		t.Errorf("%d incidents are not routed again", n)
	}
}

func TestALoserIsNotToldOfAnOfferBeyondItsScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 1)
	west := w.townActor(t, "W")
	r := w.placed(t, "0501", 1.5, 0.5) // in the east
	east, err := w.led.Do(t.Context(), w.operator, ledger.Command{Report: r})
	for _, a := range []dispatch.Action{dispatch.Accept, dispatch.Route} {
		if err == nil {
			east, err = w.act(east.Incident.ID, east.Incident.Version, a, "")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	w.offered(t, east.Incident, 1)
	in := w.routed(t, 3)
	_, err = w.offer(west, in.ID, in.Version, true, 1)
	var taken *ledger.TakenError
	if !errors.As(err, &taken) || taken.Winner != nil {
		t.Errorf("the west is told %v", err)
	}
	_, err = w.offer(west, east.Incident.ID, 0, true, 1)
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an incident of the east: %v", err)
	}
}

func TestAYesSaidInTimeCountsUnlessSomebodyElseWasAskedSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 4)
	begin := w.now
	soon := begin.Add(time.Minute)
	expired := func(worker uint32) (store.Incident, store.Offer) {
		in := w.routed(t, 3)
		o := w.offered(t, in, worker)
		w.now = w.now.Add(3 * time.Minute)
		if got := w.sweep(t); got.Expired != 1 || w.offerState(t, o.ID) != dispatch.OfferExpired || w.state(t, in.ID) != dispatch.Routed {
			t.Fatalf("swept %+v, offer %s, incident %s", got, w.offerState(t, o.ID), w.state(t, in.ID))
		}
		return in, o
	}

	in, o := expired(1)
	var refused *ledger.OfferRefusal
	if _, err := w.say(o, dispatch.AcceptOffer, "", nil); !errors.As(err, &refused) || !errors.Is(err, dispatch.ErrOfferOver) || refused.Offer != dispatch.OfferExpired {
		t.Errorf("a yes after the end, on the air: %v", err)
	}
	if res, err := w.say(o, dispatch.AcceptOffer, "a", &soon); err != nil || res.Offers[0].State != dispatch.OfferAccepted || w.state(t, in.ID) != dispatch.Acknowledged {
		t.Errorf("a yes said in time: %v, incident %s", err, w.state(t, in.ID))
	}
	if res, err := w.say(o, dispatch.AcceptOffer, "a", &soon); err != nil || !res.Repeated {
		t.Errorf("the same yes again: %v", err)
	}
	if _, err := w.say(o, dispatch.AcceptOffer, "b", &soon); !errors.As(err, &refused) || refused.Offer != dispatch.OfferAccepted {
		t.Errorf("another yes: %v", err)
	}

	// Handed to another level since, it is nobody's from before.
	w.now = begin
	in, o = expired(4)
	if in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, in.ID); err != nil {
		t.Fatal(err)
	} else if _, err := w.led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{
		Incident: in.ID, Version: in.Version, Act: dispatch.Act{Action: dispatch.Reassign, Reason: "交旗里办", Level: 1},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.say(o, dispatch.AcceptOffer, "c", &soon); !errors.Is(err, dispatch.ErrLeadTaken) {
		t.Errorf("a yes to what another level has by now: %v", err)
	}

	w.now = begin
	in, o = expired(2)
	second := w.offered(t, in, 3)
	_, err := w.say(o, dispatch.AcceptOffer, "late", &soon)
	if !errors.Is(err, dispatch.ErrLeadTaken) {
		t.Errorf("a yes after somebody else was asked: %v", err)
	}
	first := err.Error()
	if _, err := w.say(second, dispatch.DeclineOffer, "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.say(o, dispatch.AcceptOffer, "late", &soon); err == nil || !errors.As(err, &refused) {
		t.Errorf("sent again it was first %q and then %v", first, err)
	}
	if n := w.count(t, "offer", fmt.Sprintf("incident_id = %d AND state IN ('accepted', 'arrived')", in.ID)); n != 0 {
		t.Errorf("%d workers are at it", n)
	}
	// A clock that is no clock: before the offer, far ahead, days ago.
	for _, at := range []time.Time{begin.Add(-time.Hour), w.now.Add(time.Hour), w.now.AddDate(0, 0, -3)} {
		if _, err := w.say(o, dispatch.AcceptOffer, "", &at); !errors.Is(err, dispatch.ErrOfferOver) {
			t.Errorf("a yes at %s: %v", at, err)
		}
	}
}

// nextWorker says who comes next, as the advice would: somebody who is free.
type nextWorker struct {
	db      *store.DB
	workers []uint32
	chosen  atomic.Int64
}

// Chosen counts who was asked, all of whom were free until then.
func (n *nextWorker) Chosen(ctx context.Context, tx pgx.Tx, _ auth.Actor, _ store.Incident, workers []uint32) error {
	theirs, err := store.LiveOffersOf(ctx, tx, auth.System("test"), []int64{int64(workers[0])})
	if err == nil && len(theirs) == 0 {
		n.chosen.Add(1)
	}
	return err
}

func (n *nextWorker) Next(ctx context.Context, _ int64, exclude []uint32) (uint32, bool, error) {
	for _, w := range n.workers {
		theirs, err := store.LiveOffersOf(ctx, n.db.Pool, auth.System("test"), []int64{int64(w)})
		if err != nil {
			return 0, false, err
		}
		if len(theirs) == 0 && !slices.Contains(exclude, w) {
			return w, true, nil
		}
	}
	return 0, false, nil
}

// TestAnOfferExpiresOnceWhoeverSweeps has two servers sweep at once, under the rule
// that the next candidate is asked.
func TestAnOfferExpiresOnceWhoeverSweeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 12
	w.field(t, 2*n)
	if err := w.db.SaveSetting(t.Context(), "offers", store.OfferSetting{OnExpiry: "next"}); err != nil {
		t.Fatal(err)
	}
	if err := w.cat.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := &nextWorker{db: w.db}
	for i := range n {
		w.offered(t, w.routed(t, 3), uint32(1+i))
		if i < n-1 { // one fewer than is needed
			next.workers = append(next.workers, uint32(1+n+i))
		}
	}
	if _, err := w.db.Pool.Exec(t.Context(), "UPDATE offer SET expires_at = made_at + interval '45 s'"); err != nil { // as if the desk had said so
		t.Fatal(err)
	}
	w.now = w.now.Add(dispatch.NotReachedAfter)
	if got := w.sweep(t); got.NotReached != n || got.Expired != 0 {
		t.Errorf("after half a minute: %+v", got)
	}
	if got := w.sweep(t); got.NotReached != 0 {
		t.Errorf("told again: %+v", got)
	}
	w.now = w.now.Add(5 * time.Minute)
	servers := []*ledger.Ledger{}
	for range 2 {
		servers = append(servers, ledger.New(ledger.Options{DB: w.db, Catalogue: w.cat, Sealer: w.seal, Now: func() time.Time { return w.now }, Advice: next}))
	}
	var expired, passed atomic.Int64
	for try := 0; try < 20 && w.count(t, "offer", "state = 'expired'") < n; try++ {
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() {
				got, err := s.SweepOffers(context.Background(), auth.SystemActor("test"))
				if err != nil {
					t.Error(err)
				}
				expired.Add(int64(got.Expired))
				passed.Add(int64(got.Passed))
			})
		}
		wg.Wait()
	}
	if expired.Load() != n || passed.Load() != n-1 {
		t.Errorf("%d expired, %d passed on, of %d", expired.Load(), passed.Load(), n)
	}
	if next.chosen.Load() != n-1 {
		t.Errorf("%d choices were told to the advice", next.chosen.Load())
	}
	if k := w.count(t, "offer", "state = 'offered' AND expires_at - made_at = interval '45 s'"); k != n-1 {
		t.Errorf("%d of those asked next have as long to answer as who was asked before", k)
	}
	if k := w.count(t, "offer_journal", "kind = 'expire'"); k != n {
		t.Errorf("%d expiries in the journal", k)
	}
	if k := w.count(t, "incident", "state = 'dispatched'"); k != n-1 || w.count(t, "incident", "state = 'routed'") != 1 {
		t.Errorf("%d incidents are with the next worker, %d with the desk", k, n-k)
	}
}

func TestWhatAnActOnTheIncidentMeansForItsOffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 3)
	// Of an urgent one several are asked, and one leads.
	in := w.routed(t, 1)
	res, err := w.offer(w.operator, in.ID, in.Version, true, 1, 2, 3)
	if err != nil || len(res.Offers) != 3 || !res.Offers[0].Lead || res.Offers[1].Lead || res.Incident.State != dispatch.Dispatched {
		t.Fatalf("%v %+v", err, res)
	}
	lead, assist, silent := res.Offers[0], res.Offers[1], res.Offers[2]
	for _, o := range []store.Offer{assist, lead} {
		if _, err := w.say(o, dispatch.AcceptOffer, "", nil); err != nil {
			t.Fatal(err)
		}
		if o.ID == assist.ID && w.state(t, in.ID) != dispatch.Dispatched {
			t.Error("an assistant moved the incident")
		}
	}
	if n := w.count(t, "incident_worker", fmt.Sprintf("incident_id = %d AND until IS NULL AND relation = CASE worker_id WHEN 1 THEN 'lead' ELSE 'assist' END", in.ID)); n != 2 {
		t.Errorf("%d workers are at it", n)
	}
	if _, err := w.say(lead, dispatch.FinishWork, "", nil); err != nil || w.state(t, in.ID) != dispatch.Resolved {
		t.Fatalf("%v, incident %s", err, w.state(t, in.ID))
	}
	if a, s := w.offerState(t, assist.ID), w.offerState(t, silent.ID); a != dispatch.OfferFinished || s != dispatch.OfferWithdrawn {
		t.Errorf("with the work done the assistant is %s, who never answered %s", a, s)
	}
	if n := w.count(t, "incident_worker", "until IS NULL"); n != 0 {
		t.Errorf("%d workers are still at it", n)
	}

	// Given back, it is the desk's again; sent up, whoever was asked is told.
	in = w.routed(t, 3)
	o := w.offered(t, in, 1)
	if _, err := w.say(o, dispatch.AcceptOffer, "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.say(o, dispatch.GiveBack, "", nil); err != nil || w.state(t, in.ID) != dispatch.Returned {
		t.Errorf("given back: %v, incident %s", err, w.state(t, in.ID))
	}
	in = w.routed(t, 3)
	o = w.offered(t, in, 1)
	if _, err := w.act(in.ID, in.Version+1, dispatch.Escalate, "because"); err != nil {
		t.Fatal(err)
	}
	if got := w.offerState(t, o.ID); got != dispatch.OfferWithdrawn {
		t.Errorf("of an escalated incident the offer is %s", got)
	}
	if n := w.count(t, "notification", fmt.Sprintf("offer_id = %d AND kind = 'offer.withdrawn'", o.ID)); n != 1 {
		t.Errorf("%d words of it", n)
	}
	// The limit of accepted work.
	for range dispatch.DefaultOfferRules().Work {
		if _, err := w.say(w.offered(t, w.routed(t, 3), 2), dispatch.AcceptOffer, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	in = w.routed(t, 3)
	if _, err := w.offer(w.operator, in.ID, in.Version, true, 2); !errors.Is(err, dispatch.ErrWorkLimit) {
		t.Errorf("one more: %v", err)
	}
}

// TestTheDatabaseRepeatsTheMachineOfOffers holds its trigger against the table.
func TestTheDatabaseRepeatsTheMachineOfOffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 1)
	in := w.routed(t, 3)
	for _, from := range dispatch.OfferStates {
		for _, to := range dispatch.OfferStates {
			tx, err := w.db.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			const all = `answered_at = now(), arrived_at = now(), reason = 'x', ended_at = CASE WHEN $2 IN ('declined', 'expired', 'withdrawn', 'finished') THEN now() END,
				finished_at = CASE WHEN $2 = 'finished' THEN now() END`
			var id int64
			err = tx.QueryRow(t.Context(), `INSERT INTO offer (incident_id, worker_id, lead, state, made_by, made_at, expires_at, answered_at, arrived_at, reason, ended_at, finished_at)
				VALUES ($1, 1, true, $2, 'test', now(), now() + interval '1 minute', now(), now(), 'x', CASE WHEN $2 IN ('declined', 'expired', 'withdrawn', 'finished') THEN now() END,
				CASE WHEN $2 = 'finished' THEN now() END) RETURNING id`, in.ID, string(from)).Scan(&id)
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), "UPDATE offer SET state = $2, "+all+" WHERE id = $1", id, string(to))
			if may := from == to || dispatch.OfferMayFollow(from, to); may != (err == nil) {
				t.Errorf("%s to %s: the machine says %t, the database %v", from, to, may, err)
			}
			_ = tx.Rollback(t.Context())
		}
	}
}

// BenchmarkTransitions moves incidents by offers, each move with its journal, audit and
// event, while the sequencer numbers them: offered, accepted, given back, routed.
func BenchmarkTransitions(b *testing.B) {
	w := newWorld(b)
	const hands = 8
	w.field(b, hands)
	var incidents []store.Incident
	for range hands {
		incidents = append(incidents, w.routed(b, 3))
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := w.sequencer(nil)
		s.Batch = 0
		s.Run(ctx)
	}()
	b.ResetTimer()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	for i := range hands {
		wg.Go(func() {
			in, worker := incidents[i], uint32(1+i)
			for left.Add(-4) > -4 {
				res, err := w.offer(w.operator, in.ID, in.Version, true, worker)
				for _, k := range []dispatch.OfferKind{dispatch.AcceptOffer, dispatch.GiveBack} {
					if err == nil {
						res, err = w.say(res.Offers[0], k, "", nil)
					}
				}
				if err == nil {
					res, err = w.act(in.ID, res.Incident.Version, dispatch.Route, "")
				}
				if err != nil {
					b.Error(err)
					return
				}
				in = res.Incident
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transitions/s")
	cancel()
	<-done
}

func TestARedrawTellsOffersToWhoeverSeesTheirIncidentThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 1)
	in := w.routed(t, 3)
	o := w.offered(t, in, 1)
	for _, sql := range []string{ // reports do not wait for that: what was open before is told of before they have to
		`CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid = 2 AND mode = 'ExclusiveLock' AND granted)
			THEN RAISE EXCEPTION 'reports wait while offers are told'; END IF; RETURN NEW; END $$`,
		"CREATE TRIGGER waits BEFORE INSERT ON outbox FOR EACH ROW WHEN (NEW.entity_kind = 'offer') EXECUTE FUNCTION waits()",
	} {
		if _, err := w.db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: w.draft(t, redrawn(0.25)), AcceptFaults: true}); err != nil {
		t.Fatal(err)
	}
	w.sequence(t)
	_, st, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	it, ok := st.Get(feed.Key{Kind: "offer", ID: fmt.Sprint(o.ID)})
	var no int32
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT grid_no FROM incident WHERE id = $1", in.ID).Scan(&no); err != nil {
		t.Fatal(err)
	}
	if !ok || it.Audience.Grid != no || no == in.Place.GridNo {
		t.Errorf("the offer is told to grid %d, its incident is in %d and was in %d", it.Audience.Grid, no, in.Place.GridNo)
	}
}
