// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// record is the job's row in import_job and the lock that makes this process its
// only runner.
type record struct {
	conn   *pgxpool.Conn
	id     int64
	state  string
	done   int64
	counts Counts
}

// lockClass tells the advisory locks of jobs from others.
const lockClass = 0x6a6f62 // "job"

// claim finds or makes the job's row and takes its lock.
func claim(ctx context.Context, pool *pgxpool.Pool, kind string, fingerprint []byte, fileName string) (*record, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	r := &record{conn: conn}
	if err := r.take(ctx, kind, fingerprint, fileName); err != nil {
		conn.Release()
		return nil, err
	}
	return r, nil
}

func (r *record) take(ctx context.Context, kind string, fingerprint []byte, fileName string) error {
	err := r.conn.QueryRow(ctx, `INSERT INTO import_job (kind, fingerprint, file_name) VALUES ($1, $2, $3)
		ON CONFLICT (kind, fingerprint) DO UPDATE SET file_name = excluded.file_name RETURNING id`,
		kind, fingerprint, fileName).Scan(&r.id)
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	var locked bool
	if err := r.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1, $2::integer)`, lockClass, r.id).Scan(&locked); err != nil {
		return fmt.Errorf("job %d: lock: %w", r.id, err)
	}
	if !locked {
		return fmt.Errorf("job %d: %w", r.id, ErrBusy)
	}
	c := &r.counts
	err = r.conn.QueryRow(ctx, `SELECT state, rows_done, in_grid, outside, unlocated, repeated, rejected FROM import_job WHERE id = $1`, r.id).
		Scan(&r.state, &r.done, &c.InGrid, &c.Outside, &c.Unlocated, &c.Repeated, &c.Rejected)
	if err == nil && r.state == "failed" {
		_, err = r.conn.Exec(ctx, `UPDATE import_job SET state = 'running', error = '', updated_at = now() WHERE id = $1`, r.id)
	}
	if err != nil {
		r.release(ctx)
		return fmt.Errorf("job %d: %w", r.id, err)
	}
	return nil
}

// release gives the lock back. A connection that can't do that is closed, which
// does it too.
func (r *record) release(ctx context.Context) {
	if r.conn == nil {
		return
	}
	if _, err := r.conn.Exec(ctx, `SELECT pg_advisory_unlock($1, $2::integer)`, lockClass, r.id); err != nil {
		_ = r.conn.Conn().Close(ctx)
	}
	r.conn.Release()
	r.conn = nil
}

// reset puts the job back before its first row.
func (r *record) reset(ctx context.Context) error {
	if _, err := r.conn.Exec(ctx, `UPDATE import_job SET state = 'running', rows_done = 0, in_grid = 0, outside = 0, unlocated = 0,
		repeated = 0, rejected = 0, started_at = now(), updated_at = now() WHERE id = $1`, r.id); err != nil {
		return fmt.Errorf("job %d: %w", r.id, err)
	}
	r.state, r.done, r.counts = "running", 0, Counts{}
	return nil
}

// finish marks the job done.
func (r *record) finish(ctx context.Context) error {
	if _, err := r.conn.Exec(ctx, `UPDATE import_job SET state = 'done', error = '', updated_at = now() WHERE id = $1`, r.id); err != nil {
		return fmt.Errorf("job %d: %w", r.id, err)
	}
	return nil
}

// fail notes why the job ended early and returns that reason.
func (r *record) fail(ctx context.Context, why error) error {
	_, err := r.conn.Exec(ctx, `UPDATE import_job SET state = 'failed', error = left($2, 2000), updated_at = now() WHERE id = $1`, r.id, why.Error())
	if err != nil {
		return errors.Join(why, fmt.Errorf("job %d: note the failure: %w", r.id, err))
	}
	return why
}

// MarkDead marks jobs whose process died without a word as failed, so that none
// looks as if it ran for ever. They go on with the same command like any other.
func MarkDead(ctx context.Context, db Tx) (int64, error) {
	tag, err := db.Exec(ctx, `UPDATE import_job SET state = 'failed', error = 'the importing process ended; the same command goes on'
		WHERE state = 'running' AND updated_at < now() - interval '10 seconds' AND NOT EXISTS (SELECT 1 FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND classid = $1 AND objid = import_job.id
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`, lockClass)
	if err != nil {
		return 0, fmt.Errorf("job: mark dead jobs: %w", err)
	}
	return tag.RowsAffected(), nil
}
