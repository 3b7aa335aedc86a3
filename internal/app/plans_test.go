// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/store"
	"onemap/store/ledger"
)

func TestAPlanThatHasToWaitHoldsUpNoneBehindItAndNotForEver(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now})
	first, second := st.draft(redraw()), st.draft(redraw())
	st.exec(fmt.Sprintf(`CREATE SEQUENCE tries MINVALUE 0 START 0;
		CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'away' USING ERRCODE = '57P01'; END $$;
		CREATE TRIGGER away BEFORE UPDATE ON grid_version FOR EACH ROW WHEN (NEW.id <> %d AND OLD.numbered_at IS NULL AND NEW.numbered_at IS NOT NULL) EXECUTE FUNCTION away()`, second))
	plan := func(in time.Duration, drafts ...int32) {
		t.Helper()
		err := st.s.pools.changes.InTx(t.Context(), func(tx pgx.Tx) (err error) {
			for _, v := range drafts {
				err = errors.Join(err, store.SavePlan(t.Context(), tx, v, store.GridPlan{At: clock.now().Add(in), By: "test", Reason: "x"}, clock.now()))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	plan(30*time.Minute, first, second)
	clock.move(2 * time.Hour) // as if no server had run when they became due
	st.wait("the second to be in force", func() bool {
		return st.count("SELECT count(*) FROM grid_version WHERE id = $1 AND state = 'enacted'", second) == 1
	})
	away := "the database was not available"
	if n := st.count("SELECT count(*) FROM grid_plan WHERE version_id = $1 AND failed <> $2", first, away); n != 1 {
		t.Error("the first is given up too early")
	}
	tries, third := st.count("SELECT last_value FROM tries"), st.draft(redraw())
	plan(time.Minute, third)
	clock.move(time.Hour)
	st.wait("the third to be tried", func() bool { return st.count("SELECT last_value FROM tries") > tries })
	clock.move(planTries)
	st.wait("the third to be given up", func() bool {
		return st.count("SELECT count(*) FROM grid_plan WHERE version_id = $1 AND failed = $2", third, away) == 1
	})

	runs, fault := t.Context(), errors.New("x")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		server, try context.Context
		err         error
		after       time.Duration
		again       bool
	}{
		"the server stops":         {over, over, fault, time.Hour, true},
		"a try was too long":       {runs, over, fault, 9 * time.Minute, true},
		"tries were too long":      {runs, over, fault, 10 * time.Minute, false},
		"the database is away":     {runs, runs, store.ErrUnavailable, time.Minute, true},
		"the database stays away":  {runs, runs, store.ErrUnavailable, 11 * time.Minute, false},
		"it can't ever be enacted": {runs, runs, store.ErrBase, 0, false},
	} {
		if got := planAgain(c.server, c.try, c.err, clock.now().Add(c.after), clock.now()); got != c.again {
			t.Errorf("%s: again %v", name, got)
		}
	}
}

func TestANumberedDraftWaitsUntilThisNodeHasFoldedTheNews(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), "SELECT FROM feed_head FOR UPDATE"); err != nil { // no event gets a number
		t.Fatal(err)
	}
	err = st.s.pools.care.InTx(t.Context(), func(tx pgx.Tx) error { return ledger.PlacesChanged(t.Context(), tx, time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := st.s.folded(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("passed what has no number: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.s.folded(t.Context()); err != nil {
		t.Error(err)
	}
	if st.count("SELECT count(*) FROM feed WHERE kind = 'places.changed'") != 1 || int(st.s.hub.Head()) < st.count("SELECT max(seq) FROM feed WHERE kind = 'places.changed'") {
		t.Error("the node has not folded it")
	}
}
