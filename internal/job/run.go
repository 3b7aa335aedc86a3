// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Run runs the job to its end, going on where an earlier run stopped. When ctx
// ends it stops after the batch it is in and returns ErrStopped; an error of the
// rows or of Commit is returned as it is, and the same command may be tried again.
func Run[R any](ctx context.Context, pool *pgxpool.Pool, o Options[R]) (Result, error) {
	if o.BatchRows <= 0 {
		o.BatchRows = DefaultBatch
	}
	work := context.WithoutCancel(ctx) // a batch that began is finished
	rec, err := claim(work, pool, o.Kind, o.Fingerprint, o.FileName)
	if err != nil {
		return Result{}, err
	}
	defer rec.release(work)
	anew := o.Whole
	if rec.state == "done" {
		anew = o.Again
	}
	if o.Anew || anew && rec.counts.Rejected > 0 {
		if err := rec.reset(work); err != nil {
			return Result{}, err
		}
	}
	res := Result{Job: rec.id, Counts: rec.counts, Skipped: rec.done}
	if rec.state == "done" {
		res.AlreadyDone = true
		return res, nil
	}
	rejects, lost, err := openRejects(o.Rejects, o.RejectHeader, rec.counts.Rejected)
	if err != nil {
		return res, rec.fail(work, fmt.Errorf("job: reject file: %w", err))
	}
	res.RejectsLost = lost
	r := runner[R]{o: o, rec: rec, res: &res, rejects: rejects, gauge: newGauge(o.Now, o.Read)}
	err = r.all(ctx, work)
	if cerr := rejects.close(); err == nil && cerr != nil {
		err = fmt.Errorf("job: reject file: %w", cerr)
	}
	if err != nil {
		return res, rec.fail(work, err)
	}
	return res, rec.finish(work)
}

// runner is one run of one job.
type runner[R any] struct {
	o       Options[R]
	rec     *record
	res     *Result
	rejects *rejectFile
	gauge   *gauge
}

// all commits the rows after the cursor, batch by batch.
func (r *runner[R]) all(ctx, work context.Context) error {
	var n int64
	rows := make([]R, 0, r.o.BatchRows)
	var ended error
	for row, err := range r.o.Rows {
		if err != nil {
			ended = err // the rows before it are good and are kept
			break
		}
		n++
		if n <= r.res.Skipped {
			if n%1024 == 0 && ctx.Err() != nil {
				return ErrStopped
			}
			continue
		}
		r.gauge.start()
		rows = append(rows, row)
		if len(rows) < r.o.BatchRows {
			continue
		}
		if err := r.commit(work, rows); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ErrStopped
		}
		rows = make([]R, 0, r.o.BatchRows)
	}
	if ctx.Err() != nil {
		return ErrStopped
	}
	if len(rows) > 0 {
		if err := r.commit(work, rows); err != nil {
			return err
		}
	}
	if ended == nil && n < r.res.Skipped {
		return fmt.Errorf("job: the file yields %d rows, an earlier run saw %d", n, r.res.Skipped)
	}
	return ended
}

// commit stores one batch and tells how far the job is.
func (r *runner[R]) commit(ctx context.Context, rows []R) error {
	before := r.res.Counts.Rows()
	b := &Batch[R]{Rows: rows, First: before + 1, job: r.rec.id, before: before, rejects: r.rejects}
	if err := r.o.Commit(ctx, b); err != nil {
		return fmt.Errorf("import rows %d to %d: %w", before+1, before+int64(len(rows)), err)
	}
	if !b.advanced {
		return errors.New("job: Commit returned without calling Advance")
	}
	r.res.Counts = r.res.Counts.plus(b.Counts)
	if r.o.Progress != nil {
		r.o.Progress(r.gauge.read(r.res.Counts, r.res.Skipped))
	}
	return nil
}
