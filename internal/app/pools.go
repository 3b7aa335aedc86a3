// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"

	"onemap/store"
)

// pools are the database connections by what they serve, so that one kind of work
// cannot take those of another: reports are the last to go short. All but the
// walls' are the app's role of the database, which owns nothing.
type pools struct {
	reports *store.DB // reports
	changes *store.DB // every other change
	reads   *store.DB // lists, figures
	walls   *store.DB // walls' reads, as a role that reaches no personal field
	care    *store.DB // configuration, positions, leases of sockets, the audit's seal
}

func (s *Server) openPools(ctx context.Context) error {
	for _, p := range []struct {
		to    **store.DB
		what  string
		role  string
		conns int32
		each  bool
	}{
		{&s.pools.reports, "reports", store.AppRole, 10, false},
		{&s.pools.changes, "changes", store.AppRole, 10, false},
		{&s.pools.reads, "reads", store.AppRole, 16, true},
		{&s.pools.walls, "walls", store.TilesRole, 8, true},
		{&s.pools.care, "care", store.AppRole, 8, false},
	} {
		db, err := store.Open(ctx, s.urlAs(p.role), store.Options{MaxConns: p.conns, Role: p.role, PlanEach: p.each})
		if err != nil {
			return fmt.Errorf("connections for %s: %w", p.what, err)
		}
		*p.to = db
		s.onStop("connections for "+p.what, func(context.Context) error { db.Close(); return nil })
	}
	return nil
}

// inUse counts the connections at work.
func (s *Server) inUse() (n int32) {
	for _, db := range []*store.DB{s.db, s.pools.reports, s.pools.changes, s.pools.reads, s.pools.walls, s.pools.care} {
		n += db.Pool.Stat().AcquiredConns()
	}
	return n
}
