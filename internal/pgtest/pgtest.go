// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package pgtest gives each test a database of its own with the whole schema, on
// real PostGIS, in about a tenth of a second.
//
// All test processes of this machine's user share one private cluster, run by a
// keeper: the first test binary started again with another task. Every test
// process holds a shared lock on users.lock for its life; the keeper waits for the
// exclusive lock, which the kernel grants when the last of them has ended, however
// it ended. It lingers a little for the next package and stops the cluster. The
// cluster's folder stays for the next run: in memory where there is much of it, else in
// the temporary folder.
//
//	users.lock   shared: a test process lives; exclusive: nobody is left
//	start.lock   one process at a time looks for the keeper or starts it
//	data/        the cluster, see package localpg
//	keeper.log   what the keeper did
//
// Databases come from a template named by the hash of the migrations. Only test
// code may import this package.
package pgtest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onemap/internal/localpg"
)

// URL makes a database with all migrations applied and no rows, and returns its
// postgres URL. It is dropped at the end of t, or kept when t failed; its URL is
// then logged. Without PostGIS on the machine t is skipped, or fails when CI=true
// or ONEMAP_REQUIRE_DB=1.
func URL(t testing.TB) string {
	t.Helper()
	requirePostGIS(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := shared(ctx)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name, err := c.clone(ctx, t.Name())
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	url := c.url(name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pgtest: the database of the failed test is kept: psql %q (its cluster stops %v after the last test; set %s to keep it longer)",
				url, linger(), lingerVar)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.drop(ctx, name); err != nil {
			t.Errorf("pgtest: drop %s: %v", name, err)
		}
	})
	return url
}

// Pool is a plain pgx pool on a database like URL's, with UTC as its time zone;
// it is closed at the end of t. Tests that need the store's own geometry types
// call store.Open with URL.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(URL(t))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	cfg.MaxConns = 10
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close) // before the database is dropped
	return pool
}

// requirePostGIS skips at a desk without PostGIS and fails in the gate.
func requirePostGIS(t testing.TB) {
	t.Helper()
	err := localpg.Available()
	if err == nil {
		return
	}
	if required(os.Getenv) {
		t.Fatalf("pgtest: this run requires a database: %v", err)
	}
	t.Skipf("SKIPPED, NOTHING TESTED: %v", err)
}

func required(getenv func(string) string) bool {
	return strings.EqualFold(getenv("CI"), "true") || getenv("ONEMAP_REQUIRE_DB") == "1"
}
