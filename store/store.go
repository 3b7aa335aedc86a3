// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package store reads and writes the record in PostGIS: one file a topic. Every
// read takes an auth.Scope. Incidents are written by package store/ledger alone.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a pool of connections to the product's database.
type DB struct {
	Pool *pgxpool.Pool
}

// Kinds of failure a caller can act on; everything else is internal.
var (
	ErrNotFound    = errors.New("not found")
	ErrUnavailable = errors.New("database unavailable")
)

// Options bound a pool. Zero fields take the defaults.
type Options struct {
	MaxConns         int32         // default 20
	StatementTimeout time.Duration // default 30 s; -1 for none
	PlanEach         bool          // plan each query for its own parameters: for reads, whose boxes and periods differ much
	Role             string        // every connection works as this role; default the user of the URL
}

// Open connects to the database at url (a postgres URL; a unix socket works) and
// checks that it answers.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("store: database url: %w", err)
	}
	cfg.MaxConns = 20
	if o.MaxConns > 0 {
		cfg.MaxConns = o.MaxConns
	}
	timeout := 30 * time.Second
	if o.StatementTimeout != 0 {
		timeout = max(o.StatementTimeout, 0)
	}
	cfg.MaxConnIdleTime = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	p := cfg.ConnConfig.RuntimeParams
	p["application_name"] = "onemap"
	p["timezone"] = "UTC"
	p["statement_timeout"] = fmt.Sprint(timeout.Milliseconds())
	p["lock_timeout"] = "5000"
	p["idle_in_transaction_session_timeout"] = "60000"
	if o.PlanEach {
		// A plan kept for any box reads the whole county for a small one: ten times slower.
		p["plan_cache_mode"] = "force_custom_plan"
	}
	cfg.AfterConnect = registerGeometry
	if o.Role != "" {
		// Said as the session begins, so that RESET ROLE and DISCARD ALL lead back to
		// this role. Looked at too: a pooler in between may drop what it does not know.
		p["role"] = o.Role
		cfg.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			var role string
			if err := c.QueryRow(ctx, "SELECT current_user").Scan(&role); err != nil {
				return fmt.Errorf("store: step down to %s: %w", o.Role, err)
			}
			if role != o.Role {
				return fmt.Errorf("store: the connection works as %s, want %s: a pooler in between drops the setting role", role, o.Role)
			}
			return registerGeometry(ctx, c)
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("store: open: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("store: open: %w", err)
	}
	return &DB{Pool: pool}, nil
}

// Close waits for the connections in use and closes all.
func (db *DB) Close() { db.Pool.Close() }

// InTx runs f in one transaction and commits it when f returns nil.
func (db *DB) InTx(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, f)
}

// Together sends statements in one trip and carries out all of them or none.
func (db *DB) Together(ctx context.Context, b *pgx.Batch) error {
	return db.Pool.SendBatch(ctx, b).Close() // the database makes one transaction of a batch
}

// readOnly runs f in a transaction that cannot change anything.
func (db *DB) readOnly(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, f)
}

// Unkeepable reports whether err means that a text given cannot be kept at all:
// it has a NUL or bytes that are no UTF-8.
func Unkeepable(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "22021"
}

// Deadlocked reports whether err means that the database rolled a transaction back
// because it and another one waited for each other: it may be carried out again.
func Deadlocked(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "40P01"
}

// Unavailable reports whether err means that the database cannot be reached or
// is going away, so that the same request may succeed later.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code[:2] {
		case "08", "40", "53", "57": // connection, rolled back (a deadlock), resources, operator intervention
			return true
		}
		return pe.Code == "55P03" // lock not available in time
	}
	var ce *pgconn.ConnectError
	return errors.As(err, &ce) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) || connectionGone(err)
}
