// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	partitionPrefix = "worker_position_"
	partitionDay    = "20060102"
	sqlTime         = "2006-01-02 15:04:05+00"
	day             = 24 * time.Hour

	// partitionLock keeps nodes from making or dropping partitions at once.
	partitionLock = 0x6f6e656d6170
)

// EnsurePartitions makes the partitions of `days` UTC days from that of `from`,
// where they are missing. Fixes of such a day that fell into the default
// partition are moved. Which days there are follows from the server's clock
// alone, never from a fix.
func (p Positions) EnsurePartitions(ctx context.Context, from time.Time, days int) error {
	have, err := p.partitions(ctx)
	if err != nil {
		return err
	}
	first := from.UTC().Truncate(day)
	for i := range days {
		d := first.AddDate(0, 0, i)
		if have[d] {
			continue
		}
		if err := p.makePartition(ctx, d); err != nil {
			return fmt.Errorf("store: make the partition of %s: %w", d.Format(time.DateOnly), err)
		}
	}
	return nil
}

func (p Positions) makePartition(ctx context.Context, d time.Time) error {
	name := pgx.Identifier{partitionPrefix + d.Format(partitionDay)}.Sanitize()
	lo, hi := d.Format(sqlTime), d.Add(day).Format(sqlTime)
	return p.DB.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(partitionLock)); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil || there {
			return err
		}
		for _, sql := range []string{
			"LOCK TABLE worker_position_default IN ACCESS EXCLUSIVE MODE",
			"CREATE TABLE " + name + " (LIKE worker_position INCLUDING ALL)",
			"WITH moved AS (DELETE FROM worker_position_default WHERE fix_at >= '" + lo + "' AND fix_at < '" + hi + "' RETURNING *)" +
				" INSERT INTO " + name + " SELECT * FROM moved",
			"ALTER TABLE worker_position ATTACH PARTITION " + name + " FOR VALUES FROM ('" + lo + "') TO ('" + hi + "')",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// partitions returns the days that have a partition.
func (p Positions) partitions(ctx context.Context) (map[time.Time]bool, error) {
	rows, err := p.DB.Pool.Query(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'worker_position'::regclass`)
	if err != nil {
		return nil, fmt.Errorf("store: partitions: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("store: partitions: %w", err)
	}
	days := make(map[time.Time]bool, len(names))
	for _, n := range names {
		if d, err := time.Parse(partitionPrefix+partitionDay, n); err == nil { // all but the default
			days[d] = true
		}
	}
	return days, nil
}

// DropBefore drops every partition whose day had ended at t, and removes what is
// older than t from the default partition and the last known places. It returns
// how many partitions went. A partition that is being read stays for the next
// time: then the error is Unavailable.
func (p Positions) DropBefore(ctx context.Context, t time.Time) (dropped int, err error) {
	have, err := p.partitions(ctx)
	if err != nil {
		return 0, err
	}
	for d := range have {
		if d.Add(day).After(t) {
			continue
		}
		err := p.DB.InTx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+pgx.Identifier{partitionPrefix + d.Format(partitionDay)}.Sanitize())
			return err
		})
		if err != nil {
			return dropped, fmt.Errorf("store: drop the partition of %s: %w", d.Format(time.DateOnly), err)
		}
		dropped++
	}
	var old pgx.Batch
	old.Queue("DELETE FROM worker_position_default WHERE fix_at < $1", t)
	old.Queue("DELETE FROM worker_last WHERE fix_at < $1", t)
	if err := p.DB.Pool.SendBatch(ctx, &old).Close(); err != nil {
		return dropped, fmt.Errorf("store: remove fixes before %s: %w", t, err)
	}
	return dropped, nil
}

// Strays counts the fixes in the default partition: more than none for long
// means that partitions are missing.
func (p Positions) Strays(ctx context.Context) (n int64, err error) {
	if err := p.DB.Pool.QueryRow(ctx, "SELECT count(*) FROM worker_position_default").Scan(&n); err != nil {
		return 0, fmt.Errorf("store: count stray fixes: %w", err)
	}
	return n, nil
}
