// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
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
	planTries = 10 * time.Minute // while the database is not available an enactment is tried so long
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
	if _, _, err := s.pools.care.DuePlan(ctx, s.o.Now()); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
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
	for {
		version, plan, err := s.pools.care.DuePlan(ctx, s.o.Now())
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			err = s.enactPlan(ctx, version, plan)
		}
		if err != nil {
			return err
		}
	}
}

// enactPlan carries out one plan, or notes why it can't be. An error means that it
// is tried again.
func (s *Server) enactPlan(ctx context.Context, version int32, p store.GridPlan) error {
	ctx, cancel := context.WithTimeout(ctx, planFor)
	defer cancel()
	done, err := s.ledger.Enact(ctx, auth.Actor{ID: p.By}, ledger.Enactment{
		Version: version, Reason: p.Reason, RequestID: p.RequestID, Tolerance: p.Tolerance, AcceptFaults: p.AcceptFaults, Planned: true,
	})
	switch {
	case err == nil:
		s.o.Log.Info("grids enacted", "version", done.Version, "before", done.Before, "grids", done.Grids, "open", done.Open, "moved", done.Moved, "reports_waited", done.Held)
		return nil
	case errors.Is(err, store.ErrNoPlan):
		return nil // cancelled
	case ctx.Err() != nil || store.Unavailable(err) && s.o.Now().Before(p.At.Add(planTries)):
		return err
	}
	s.o.Log.Error("grids not enacted", "version", version, "err", err)
	return s.pools.changes.InTx(context.WithoutCancel(ctx), func(tx pgx.Tx) error {
		err := store.FailPlan(ctx, tx, version, planFault(err), s.o.Now())
		if errors.Is(err, store.ErrNotFound) {
			return nil // cancelled
		}
		if err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, auth.Actor{ID: p.By}, p.RequestID, "grids.plan_failed", ledger.VersionName(version), p.Reason, map[string]any{"version": version})
	})
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
	case store.Unavailable(err):
		return "the database was not available"
	}
	return "internal error; the server's log has it"
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
