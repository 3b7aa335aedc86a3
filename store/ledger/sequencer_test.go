// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/feed"
	"onemap/store/ledger"
)

// TestTheFeedMissesNothingAndHasNoGap lets writers commit out of order behind
// slow transactions, while sequencers come, go and fight for the lock.
func TestTheFeedMissesNothingAndHasNoGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	events := 1000 // one in a hundred of the full count
	if os.Getenv("ONEMAP_SOAK") == "1" {
		events = 100_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d events", seed, events)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seqs sync.WaitGroup
	for i := range 2 {
		seqs.Go(func() { // each gives up its lock now and then
			rnd := rand.New(rand.NewPCG(seed, uint64(100+i)))
			for ctx.Err() == nil {
				sctx, stop := context.WithTimeout(ctx, time.Duration(50+rnd.IntN(200))*time.Millisecond)
				w.sequencer(nil).Run(sctx)
				stop()
			}
		})
	}
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for k := range events / 8 {
				err := w.db.InTx(ctx, func(tx pgx.Tx) error {
					id := fmt.Sprintf("%d", rnd.IntN(20))
					live := feed.Put
					if rnd.IntN(4) == 0 {
						live = feed.End
					}
					body := json.RawMessage(fmt.Sprintf(`{"writer":%d,"k":%d}`, i, k))
					if err := ledger.Emit(ctx, tx, feed.Event{Kind: "thing.changed", Entity: feed.Key{Kind: "thing", ID: id}, Ver: k, Live: live, OccurredAt: time.Now(), After: feed.Audience{Grid: 1}, Shared: body, Case: body}); err != nil {
						return err
					}
					if rnd.IntN(20) == 0 { // a slow transaction in front of fast ones
						_, err := tx.Exec(ctx, "SELECT pg_sleep($1)", rnd.Float64()/20)
						return err
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	waitFor(t, "an empty outbox", func() bool { return w.count(t, "outbox", "") == 0 })
	cancel()
	seqs.Wait()

	all := readAll(t, w)
	if want := events / 8 * 8; len(all) != want {
		t.Fatalf("%d events in the feed, want %d", len(all), want)
	}
	st := feed.NewState(0, nil)
	seen := map[string]bool{}
	var last time.Time
	for _, e := range all {
		if err := feed.Apply(st, e); err != nil {
			t.Fatal(err)
		}
		if seen[string(e.Shared)] {
			t.Fatalf("event %s stands twice", e.Shared)
		}
		seen[string(e.Shared)] = true
		if e.At.Before(last) {
			t.Fatalf("event %d is stamped before the one in front of it", e.Seq)
		}
		last = e.At
	}
	// The database's own fold is the same as feed.Apply's.
	_, stored, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := render(st), render(stored); a != b {
		t.Errorf("folded\n%s\nstored\n%s", a, b)
	}
}

// TestTheFeedsEndHoldsWhatIsCommitted: also an event that is numbered after one that was
// put into the outbox first and commits later.
func TestTheFeedsEndHoldsWhatIsCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	emit := func(tx pgx.Tx, id string) error {
		return ledger.Emit(t.Context(), tx, feed.Event{Kind: "thing.changed", Entity: feed.Key{Kind: "thing", ID: id}, Ver: 1, Live: feed.Put, OccurredAt: time.Now(), After: feed.Audience{Grid: 1}})
	}
	slow, err := w.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(context.Background()) }()
	if err := emit(slow, "slow"); err != nil {
		t.Fatal(err)
	}
	if err := w.db.InTx(t.Context(), func(tx pgx.Tx) error { return emit(tx, "quick") }); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		end feed.Seq
		err error
	}
	asked := make(chan answer, 1)
	go func() {
		end, err := w.db.FeedEnd(t.Context())
		asked <- answer{end, err}
	}()
	time.Sleep(50 * time.Millisecond) // the question is to come before the commit
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.sequence(t)
	got := <-asked
	for _, e := range readAll(t, w) {
		if e.Entity.ID == "quick" && (got.err != nil || got.end < e.Seq) {
			t.Errorf("the feed ends at %d (%v), and what was committed before the question is event %d", got.end, got.err, e.Seq)
		}
	}
	if end, err := w.db.FeedEnd(t.Context()); err != nil || end != 2 {
		t.Errorf("the feed of two events ends at %d, %v", end, err)
	}
	if err := w.db.InTx(t.Context(), func(tx pgx.Tx) error { return emit(tx, "late") }); err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if end, err := w.db.FeedEnd(brief); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody numbers, and the feed ends at %d, %v", end, err)
	}
}

// TestAPartitionThatCannotBeMadeDoesNotStopTheFeed: the clock once ran ahead, and
// the default partition holds an event of a month that has none yet.
func TestAPartitionThatCannotBeMadeDoesNotStopTheFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.db.Pool.Exec(t.Context(), `INSERT INTO feed (seq, at, kind, entity_kind, entity_id, ver, live, occurred_at)
		VALUES (999999, $1, 'thing.changed', 'thing', '1', 1, 'none', $1)`, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	w.report(t, "0301", 0.5, 0.5, ledger.Command{})
	w.sequence(t)
	if n := w.count(t, "feed", "kind = 'incident.opened'"); n != 1 {
		t.Errorf("%d events in the feed, want 1", n)
	}
}

func TestALineageOfAnotherDatabaseStartsANewEpoch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.report(t, "0301", 0.5, 0.5, ledger.Command{})
	w.sequence(t)
	before, _, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	w.sequence(t)
	same, _, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil || same != before {
		t.Fatalf("a plain restart changed the epoch: %s, %s, %v", before, same, err)
	}
	if _, err := w.db.Pool.Exec(t.Context(), "UPDATE feed_head SET lineage = 'a dump of elsewhere'"); err != nil {
		t.Fatal(err)
	}
	w.report(t, "0301", 0.5, 0.5, ledger.Command{})
	w.sequenceUntil(t, "a new epoch with every event", func() bool {
		after, st, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
		return err == nil && after != before && st.Head == 2
	})
}

func readAll(t *testing.T, w *world) []feed.Event {
	t.Helper()
	var all []feed.Event
	for {
		var after feed.Seq
		if len(all) > 0 {
			after = all[len(all)-1].Seq
		}
		evs, err := ledger.ReadFeed(t.Context(), w.db, auth.System("test"), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(evs) == 0 {
			return all
		}
		all = append(all, evs...)
	}
}

func render(s *feed.State) string {
	out := fmt.Sprintln(s.Head)
	for _, it := range s.Items() {
		out += fmt.Sprintln(it.Key, it.Seq, it.Ver, it.Audience.Grid, string(it.Shared))
	}
	return out
}
