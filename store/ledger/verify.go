// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onemap/store"
)

// AuditFaultKind says what was done to the audit log or to its chain.
type AuditFaultKind string

const (
	RowAltered   AuditFaultKind = "altered"       // a row is not what was sealed
	RowDeleted   AuditFaultKind = "deleted"       // a seal has no row
	RowsMoved    AuditFaultKind = "reordered"     // rows or seals have changed places
	RowUnsealed  AuditFaultKind = "unsealed"      // no seal, though newer rows have theirs for long
	RowLate      AuditFaultKind = "late"          // sealed long after newer rows
	SealAltered  AuditFaultKind = "seal_altered"  // a seal's own hash is not what was sealed
	SealsMissing AuditFaultKind = "seals_missing" // a gap in the chain
	TailCut      AuditFaultKind = "tail_cut"      // the chain does not hold its anchor
	NoAnchor     AuditFaultKind = "no_anchor"     // the anchor's file is gone or damaged
	WrongKey     AuditFaultKind = "wrong_key"     // nothing fits
	Unguarded    AuditFaultKind = "unguarded"     // a trigger or index that keeps the tables whole is off
	MoreFaults   AuditFaultKind = "more"          // faults that are not listed
	AnchorToCome AuditFaultKind = "anchor_later"  // no fault: the place was just restored and no server ran there yet
)

// AuditFault is one thing wrong with the audit log.
type AuditFault struct {
	Kind    AuditFaultKind
	N       int64 // place in the chain, 0 for none
	AuditID int64 // row of the audit log, 0 for none
	Text    string
}

func (f AuditFault) String() string { return string(f.Kind) + ": " + f.Text }

const (
	checkBatch  = 2000 // seals read at a time
	mostFaults  = 1000 // listed, besides mostBroken
	mostBroken  = 200  // seals whose rows are kept, to find out which have changed places
	mostTracks  = 8
	sealedLate  = time.Hour // a row without a seal for longer was not just written
	enoughSeals = 16        // so many that don't fit, and none that does, mean another key
)

// VerifyAudit walks the whole chain and names each fault once, in the order of the
// chain. It reads one state of the database beside a running server, in constant
// memory. progress may be nil.
//
// A seal fits when its hash is that of its row after the hash stored in the seal
// before it. Nobody makes a hash that fits without the key, so a seal that fits
// proves the one before it too. That is how the check goes on after a fault, and
// how it tells an altered row (the next seal builds on the stored hash) from an
// altered seal (the next one builds on the hash that the row gives).
func VerifyAudit(ctx context.Context, db *store.DB, key []byte, anchorPath string, progress func(done, total int64)) ([]AuditFault, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	c := &auditCheck{
		hasher: newHasher(key), most: mostFaults, tracks: []track{{chainStart, 1}}, maxID: math.MinInt64, lastID: math.MinInt64, atAnchor: map[int64][]*anchored{},
	}
	lines, anchorErr := readAnchors(anchorPath) // before the chain, which only grows
	for _, a := range lines {
		c.anchors = append(c.anchors, &anchored{anchor: a})
	}
	for _, a := range c.anchors {
		c.atAnchor[a.N] = append(c.atAnchor[a.N], a)
	}
	var restored bool
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := c.guards(ctx, tx); err != nil {
			return err
		}
		if err := c.walk(ctx, tx, progress); err != nil {
			return err
		}
		if err := c.unsealed(ctx, tx); err != nil {
			return err
		}
		return justRestored(ctx, tx, &restored)
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: check the audit log: %w", err)
	}
	c.checkAnchors()
	if anchorErr != nil {
		c.fault(NoAnchor, 0, 0, "the anchor can't be read: %v", anchorErr)
	} else if _, err := os.Stat(anchorPath); anchorPath != "" && c.last > 0 && err != nil {
		if restored && errors.Is(err, fs.ErrNotExist) && len(c.faults) == 0 && len(c.broken) == 0 {
			c.fault(AnchorToCome, 0, 0, "no anchor yet: this place was restored from a backup, and the server's next start makes %s", anchorPath)
		} else {
			c.fault(NoAnchor, 0, 0, "there is no anchor %s: a chain that was cut short can't be noticed", anchorPath)
		}
	}
	return c.result(), nil
}

// AuditRestore is the action of the row that a restore leaves.
const AuditRestore = "backup.restore"

// justRestored tells whether a restore is the newest act and no server has sealed
// it yet.
func justRestored(ctx context.Context, tx pgx.Tx, out *bool) error {
	return tx.QueryRow(ctx, `SELECT coalesce((SELECT action = $1 FROM audit_log
		WHERE id > coalesce((SELECT max(audit_id) FROM audit_seal), 0) ORDER BY id DESC LIMIT 1), false)`, AuditRestore).Scan(out)
}

// auditCheck is the state of one check.
type auditCheck struct {
	*hasher
	anchors  []*anchored
	atAnchor map[int64][]*anchored

	last    int64    // the seal just read
	lastID  int64    // its row
	tracks  []track  // what the hash of the last seal may have been; the stored one is last. None after a gap.
	pending []broken // seals that don't fit, just before the next
	fitting int64    // how many seals fit

	maxID, maxSealedID int64
	maxAt, maxSealedAt time.Time // of the row maxID; of the newest seal
	gaps               []gap

	broken []broken // settled, to be searched for changed places
	faults []AuditFault
	most   int   // of them
	more   int64 // beyond
}

func (c *auditCheck) fault(kind AuditFaultKind, n, id int64, format string, args ...any) {
	if len(c.faults) >= c.most {
		c.more++
		return
	}
	c.faults = append(c.faults, AuditFault{Kind: kind, N: n, AuditID: id, Text: fmt.Sprintf(format, args...)})
}

// guards looks for the triggers and indexes that keep the tables append-only and
// their numbers unique.
func (c *auditCheck) guards(ctx context.Context, tx pgx.Tx) error {
	var triggers, indexes int
	err := tx.QueryRow(ctx, `SELECT
		(SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('audit_log'::regclass, 'audit_seal'::regclass)
			AND tgfoid = 'refuse_change'::regproc AND tgenabled IN ('O', 'A')),
		(SELECT count(*) FROM pg_index WHERE indrelid IN ('audit_log'::regclass, 'audit_seal'::regclass)
			AND indisunique AND indisvalid AND indpred IS NULL AND indnkeyatts = 1)`).Scan(&triggers, &indexes)
	if err == nil && (triggers < 4 || indexes < 3) {
		c.fault(Unguarded, 0, 0, "audit_log and audit_seal have %d of 4 triggers against change and %d of 3 unique indexes", triggers, indexes)
	}
	return err
}

// walk reads the chain in its order.
func (c *auditCheck) walk(ctx context.Context, tx pgx.Tx, progress func(done, total int64)) error {
	var total, done int64
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(n), 0) FROM audit_seal").Scan(&total); err != nil {
		return err
	}
	// A batch is found by the index of its rows' ids, whatever the statistics say.
	if _, err := tx.Exec(ctx, "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL statement_timeout = '10min'"); err != nil {
		return err
	}
	for {
		batch, err := readSealed(ctx, tx, c.last)
		if err != nil {
			return err
		}
		for i := range batch {
			if err := c.step(ctx, tx, &batch[i]); err != nil {
				return err
			}
		}
		done += int64(len(batch))
		progress(done, max(total, done))
		if len(batch) < checkBatch {
			c.settle(math.MaxInt64)
			_, err := tx.Exec(ctx, "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on")
			return err
		}
	}
}

func readSealed(ctx context.Context, tx pgx.Tx, after int64) (batch []sealed, err error) {
	rows, err := tx.Query(ctx, `SELECT s.n, s.audit_id, s.hash, s.at, l.id IS NOT NULL, coalesce(l.id, 0), l.at, coalesce(l.actor, ''),
		coalesce(l.request_id, ''), coalesce(l.action, ''), coalesce(l.object, ''), coalesce(l.reason, ''), l.data::text
		FROM audit_seal s LEFT JOIN audit_log l ON l.id = s.audit_id WHERE s.n > $1 ORDER BY s.n LIMIT $2`, after, checkBatch)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sealed, err error) {
		var r auditRow
		var there bool
		var at pgtype.Timestamptz
		if err = row.Scan(append([]any{&s.n, &s.id, &s.hash, &at, &there}, r.fields()...)...); there {
			s.row = &r
		}
		s.at = at.Time
		return s, err
	})
}

// unsealed names rows that have no seal though rows after them have one for long.
func (c *auditCheck) unsealed(ctx context.Context, tx pgx.Tx) error {
	if c.last == 0 {
		return nil
	}
	newest := c.maxSealedAt
	if c.maxAt.After(newest) {
		newest = c.maxAt
	}
	rows, err := tx.Query(ctx, `SELECT l.id, l.at FROM audit_log l WHERE l.id < $1 AND l.at < $2
		AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id AND s.audit_id < $1) ORDER BY l.id`, c.maxSealedID, newest.Add(-sealedLate))
	if err != nil {
		return err
	}
	var id int64
	var at pgtype.Timestamptz
	_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error {
		if !c.ofGap(id) {
			c.fault(RowUnsealed, 0, id, "audit row %d of %s has no seal though later rows have theirs: it was put in afterwards, or never sealed", id, at.Time.UTC().Format(time.DateTime))
		}
		return nil
	})
	return err
}

// result is every fault in the order of the chain.
func (c *auditCheck) result() []AuditFault {
	if c.fitting == 0 && c.last >= enoughSeals {
		return []AuditFault{{Kind: WrongKey, Text: fmt.Sprintf("none of the %d seals fits: the key is another one, or the whole chain was made anew", c.last)}}
	}
	c.most += mostBroken
	c.moved()
	for _, b := range c.broken {
		c.brokenFault(b)
	}
	slices.SortStableFunc(c.faults, func(a, b AuditFault) int {
		if a.N == 0 || b.N == 0 { // those without a place come last
			return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.AuditID, b.AuditID))
		}
		return cmp.Compare(a.N, b.N)
	})
	if c.more > 0 {
		c.faults = append(c.faults, AuditFault{Kind: MoreFaults, Text: fmt.Sprintf("%d more faults are not listed", c.more)})
	}
	return c.faults
}
