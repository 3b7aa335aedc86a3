// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/feed"
	"onemap/store"
	"onemap/store/ledger"
)

// How planned enactments of boundary sets are carried out.
const (
	planLook  = time.Second      // between two looks at what is due
	planTries = 10 * time.Minute // an enactment that the database was not available for, or that took too long, is tried so long, from its first try on
	planFor   = 5 * time.Minute  // one try
	planLock  = 0x706c616e73     // one node at a time
)

// followPlans enacts what is due, until the end.
func (s *Server) followPlans(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.plansDue:
		case <-time.After(planLook):
		}
		if err := s.enactDue(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("planned boundaries", "err", err)
		}
	}
}

// enactDue enacts everything that is due, on one node at a time. A plan goes away in
// the transaction that carries it out: however often this runs, wherever it is cut
// off, each is carried out once.
func (s *Server) enactDue(ctx context.Context) error {
	if due, err := s.pools.care.DuePlans(ctx, s.o.Now()); err != nil || len(due) == 0 {
		if err == nil {
			clear(s.triedSince)
		}
		return err
	}
	conn, err := s.pools.care.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(planLock)).Scan(&mine); err != nil || !mine {
		return err
	}
	defer func() {
		uctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := conn.Exec(uctx, "SELECT pg_advisory_unlock($1)", int64(planLock)); err != nil {
			_ = conn.Conn().Close(uctx) // the lock ends with the connection
		}
	}()
	due, err := s.pools.care.DuePlans(ctx, s.o.Now()) // again: another node may have had the lock
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range due { // one that has to wait holds up none behind it
		if err := s.enactPlan(ctx, p); err != nil {
			failed = append(failed, fmt.Errorf("grid version %d: %w", p.Version, err))
		}
	}
	return errors.Join(failed...)
}

// enactPlan carries out one plan, or notes why it can't be. An error means that it
// is tried again.
func (s *Server) enactPlan(ctx context.Context, p store.DuePlan) error {
	try, cancel := context.WithTimeout(ctx, planFor)
	defer cancel()
	key := planKey{p.Version, p.Made.UnixMicro()}
	since, tried := s.triedSince[key]
	if !tried {
		since = s.o.Now()
		s.triedSince[key] = since
	}
	done, err := s.ledger.Enact(try, auth.Actor{ID: p.By}, ledger.Enactment{
		Version: p.Version, Reason: p.Reason, RequestID: p.RequestID, Tolerance: p.Tolerance, AcceptFaults: p.AcceptFaults, Plan: &p.GridPlan,
	})
	switch {
	case err == nil:
		s.o.Log.Info("grids enacted", "version", p.Version, "before", done.Before, "grids", done.Grids, "open", done.Open, "moved", done.Moved, "reports_waited", done.Held)
		return nil
	case errors.Is(err, store.ErrNoPlan):
		return nil // cancelled, or replaced by another
	case planAgain(ctx, try, err, s.o.Now(), since):
		return err
	}
	s.o.Log.Error("grids not enacted", "version", p.Version, "err", err)
	kept := context.WithoutCancel(ctx)
	return s.pools.changes.InTx(kept, func(tx pgx.Tx) error {
		err := store.FailPlan(kept, tx, p, planFault(err), s.o.Now())
		if errors.Is(err, store.ErrNoPlan) {
			return nil // cancelled, or replaced by another
		}
		if err != nil {
			return err
		}
		return ledger.Audit(kept, tx, auth.Actor{ID: p.By}, p.RequestID, "grids.plan_failed", ledger.VersionName(p.Version), p.Reason, map[string]any{"version": p.Version})
	})
}

// planKey tells one plan from another that takes its place.
type planKey struct {
	version int32
	made    int64 // microseconds
}

// planAgain reports whether a plan that was first tried at since is tried again after
// an error: whenever the server is being stopped, and else for planTries, where the
// database was not available or the try ran out of its own time. A plan that became
// due while no server ran has as long as any other.
func planAgain(server, try context.Context, err error, now, since time.Time) bool {
	return server.Err() != nil || (try.Err() != nil || store.Unavailable(err)) && now.Before(since.Add(planTries))
}

// planFault is what people are told of a plan that could not be carried out.
func planFault(err error) string {
	var faults *store.FaultsError
	for _, known := range []error{store.ErrNotDraft, store.ErrBase, store.ErrNotFound} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	switch {
	case errors.As(err, &faults):
		return faults.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("it takes longer than the %.0f minutes it may", planFor.Minutes())
	case store.Unavailable(err):
		return "the database was not available"
	}
	return "internal error; the server's log has it"
}

// folded waits until this node's pump has passed every event committed so far.
func (s *Server) folded(ctx context.Context) error {
	end, err := s.pools.care.FeedEnd(ctx)
	if err != nil {
		return err
	}
	for s.hub.Head() < end {
		select {
		case <-ctx.Done():
			return fmt.Errorf("events do not reach this node: %w", ctx.Err())
		case <-time.After(25 * time.Millisecond):
		}
	}
	return nil
}

// numbered prepares this node for a draft that is about to be enacted.
func (s *Server) numbered(e feed.Event) {
	s.hub.Recheck()
	select {
	case s.treeAhead <- int32(e.Ver):
	default: // then it is read when it is in force
	}
}

// followTrees reads trees before they are in force, so that the change itself takes
// no time.
func (s *Server) followTrees(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-s.treeAhead:
			if err := s.catalogue.Prepare(ctx, v); err != nil && ctx.Err() == nil {
				s.o.Log.Warn("the tree to come is not read ahead", "version", v, "err", err)
			}
		}
	}
}
