// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package job runs an import as a job that may be stopped at any moment, even by
// a power cut, and started again with the same command: every row of the file is
// then counted once, none is lost and none comes twice.
//
// What a batch writes and how far the job has come are one transaction of the
// caller's. The refused rows go to the reject file before that transaction
// commits; what a stopped run left there beyond the last commit is cut off again.
package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// DefaultBatch is the number of rows that are committed together.
const DefaultBatch = 5000

// Counts says what became of rows. Their sum is the number of rows.
type Counts struct {
	InGrid    int64 // stored, inside a grid
	Outside   int64 // stored, outside every grid
	Unlocated int64 // stored, without a place
	Repeated  int64 // already there from an earlier import; left as it is
	Rejected  int64 // refused; in the reject file
}

// Rows is the number of rows c accounts for.
func (c Counts) Rows() int64 { return c.InGrid + c.Outside + c.Unlocated + c.Repeated + c.Rejected }

func (c Counts) plus(d Counts) Counts {
	return Counts{
		InGrid: c.InGrid + d.InGrid, Outside: c.Outside + d.Outside, Unlocated: c.Unlocated + d.Unlocated,
		Repeated: c.Repeated + d.Repeated, Rejected: c.Rejected + d.Rejected,
	}
}

// Options describe one import. All fields are needed unless they say otherwise.
type Options[R any] struct {
	Kind        string // "incidents"
	Fingerprint []byte // see Fingerprint: the same bytes are the same job
	FileName    string // for people; no path
	// Rows yields the file's rows in order, always the same ones. An error ends
	// the job after the rows before it were committed.
	Rows iter.Seq2[R, error]
	// Commit stores b.Rows in one transaction, in which it also calls b.Advance,
	// last. It calls b.Reject for rows it refuses and fills b.Counts for the rest.
	Commit func(ctx context.Context, b *Batch[R]) error
	// Rejects is the path of the reject file and RejectHeader its first record.
	// The file is made when the first row is refused.
	Rejects      string
	RejectHeader []byte
	// Again runs a job anew, from its first row, that had finished with refused rows.
	Again bool
	// Whole runs a job anew also that stopped after it had refused rows: what becomes
	// of a row may hang on an earlier one that was refused.
	Whole bool
	// Anew runs a job from its first row, however it stands.
	Anew      bool
	BatchRows int                        // optional: DefaultBatch
	Read      func() (read, total int64) // optional: bytes of the file, for the time left
	Progress  func(Progress)             // optional: called after every batch
	Now       func() time.Time
}

// Result says how a job stands when Run returns.
type Result struct {
	Job     int64
	Counts  Counts // over all runs of the job
	Skipped int64  // rows that an earlier run had committed
	// AlreadyDone is set when the job had finished before; nothing was done.
	AlreadyDone bool
	// RejectsLost counts records that an earlier run wrote to the reject file and
	// that are no longer in it: somebody moved or emptied the file.
	RejectsLost int64
}

// Errors that a caller tells apart.
var (
	// ErrBusy says that another process is running this very job.
	ErrBusy = errors.New("this import is running in another process")
	// ErrStopped says that ctx ended. All rows before the stop are committed and
	// the same command goes on after them.
	ErrStopped = errors.New("the import was stopped; the same command goes on where it ended")
)

// Tx is what Advance needs of the caller's transaction; a pgx.Tx is one.
type Tx interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Batch is a run of rows that are stored together or not at all.
type Batch[R any] struct {
	Rows  []R
	First int64 // the number of Rows[0], from 1
	// Counts is filled by Commit, Rejected excepted: Reject counts those.
	Counts Counts

	job      int64
	before   int64
	rejects  *rejectFile
	pending  []byte
	advanced bool
}

// Job is the id of the job in table import_job, for audit rows.
func (b *Batch[R]) Job() int64 { return b.job }

// Reject takes a row out of the batch; record is its line in the reject file.
func (b *Batch[R]) Reject(record []byte) {
	b.pending = append(b.pending, record...)
	b.Counts.Rejected++
}

// Advance moves the job's cursor over the batch inside the transaction that
// stores it. It is the last statement before the commit: the refused rows are on
// the disk when it returns.
func (b *Batch[R]) Advance(ctx context.Context, tx Tx) error {
	if b.advanced {
		return errors.New("job: Advance was called twice for one batch")
	}
	if n := b.Counts.Rows(); n != int64(len(b.Rows)) {
		return fmt.Errorf("job: %d of the %d rows of a batch are accounted for", n, len(b.Rows))
	}
	if err := b.rejects.append(b.pending); err != nil {
		return fmt.Errorf("job: reject file: %w", err)
	}
	tag, err := tx.Exec(ctx, `UPDATE import_job SET rows_done = rows_done + $3, in_grid = in_grid + $4, outside = outside + $5,
		unlocated = unlocated + $6, repeated = repeated + $7, rejected = rejected + $8, updated_at = now()
		WHERE id = $1 AND rows_done = $2`,
		b.job, b.before, len(b.Rows), b.Counts.InGrid, b.Counts.Outside, b.Counts.Unlocated, b.Counts.Repeated, b.Counts.Rejected)
	switch {
	case err != nil:
		return fmt.Errorf("job %d: advance: %w", b.job, err)
	case tag.RowsAffected() != 1:
		return fmt.Errorf("job %d: advance: %w", b.job, ErrBusy)
	}
	b.advanced = true
	return nil
}
