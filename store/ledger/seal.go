// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onemap/store"
)

// AuditSealer chains the rows of the audit log: the n-th seal is a keyed hash of
// the seal before it and of one row, so that no row can be changed, removed or
// moved without the key, which is not in the database. VerifyAudit checks it.
//
// Ids come from a sequence and transactions commit in another order, so at any
// moment rows with low ids may still be to come. The chain does not wait for
// them. Its order is its own, n; it need not be that of the ids, and a seal once
// made never changes. All that is needed is that each committed row is sealed
// exactly once:
//   - never twice, because one sealer works at a time (an advisory lock that ends
//     with the commit, so the next one's reads see all its seals), and because
//     audit_id is unique;
//   - at least once, because rows without a seal are looked for behind the newest
//     sealed one too: sealReach ids back every reachEvery, and over the whole log
//     at the start and every lookBackEvery. A transaction would have to stay open
//     while 100,000 rows are written to wait for the latter.
//
// An AuditSealer is used by one goroutine.
type AuditSealer struct {
	DB     *store.DB
	Key    []byte
	Anchor string // file that remembers the chain's end outside of the database; "" for none
	Now    func() time.Time
	Log    *slog.Logger

	reached    time.Time // when rows behind the newest were last looked for
	lookedBack time.Time // and those far behind
	told       string    // the last complaint, told once
}

const (
	sealLock      = 0x6f6d7365616c // key of the advisory lock: "omseal"
	sealBatch     = 20_000         // rows a pass
	sealReach     = 100_000        // ids
	sealEvery     = 2 * time.Second
	reachEvery    = 10 * time.Second
	lookBackEvery = 30 * time.Minute
	passTime      = time.Minute
	lookBackTime  = 10 * time.Minute
)

// Run seals until ctx ends.
func (a *AuditSealer) Run(ctx context.Context) {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		n, err := a.Seal(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.Log.Warn("audit log not sealed; trying again", "err", err)
		case n >= sealBatch:
			continue // more are waiting
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Seal makes one pass and returns how many rows it sealed: none while another
// node is at it.
func (a *AuditSealer) Seal(ctx context.Context) (n int, err error) {
	pctx, cancel := context.WithTimeout(ctx, passTime)
	defer cancel()
	top, err := a.top(pctx)
	from, now := top, a.Now()
	if now.Sub(a.reached) >= reachEvery {
		from = behind(top)
	}
	if err == nil {
		n, err = a.pass(pctx, newRows, from)
	}
	if err == nil && n < sealBatch && from == behind(top) {
		a.reached = now
	}
	if err == nil && n < sealBatch && now.Sub(a.lookedBack) >= lookBackEvery {
		var late int
		late, err = a.lookBack(ctx, behind(top))
		n += late
	}
	if err != nil {
		return n, fmt.Errorf("ledger: seal the audit log: %w", err)
	}
	return n, nil
}

// top is the greatest id that has a seal. An id far ahead of the sequence can't
// push it up.
func (a *AuditSealer) top(ctx context.Context) (int64, error) {
	var sealed *int64
	var drawn int64
	err := a.DB.Pool.QueryRow(ctx, "SELECT (SELECT max(audit_id) FROM audit_seal), last_value FROM audit_log_id_seq").Scan(&sealed, &drawn)
	if err != nil || sealed == nil {
		return math.MinInt64, err
	}
	return min(*sealed, drawn), nil
}

func behind(id int64) int64 { return max(id, math.MinInt64+sealReach) - sealReach }

const auditColumns = "l.id, l.at, l.actor, l.request_id, l.action, l.object, l.reason, l.data::text"

// The rows of a pass: above an id, or of these ids; always without a seal and in
// the order of their ids. The second bound of the first is for the planner.
const (
	newRows = "SELECT " + auditColumns + ` FROM audit_log l WHERE l.id > $1
		AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id AND s.audit_id > $1) ORDER BY l.id LIMIT $2`
	lateRows = "SELECT " + auditColumns + ` FROM audit_log l WHERE l.id = ANY($1)
		AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id) ORDER BY l.id LIMIT $2`
)

// lookBack seals the rows far behind that a pass does not reach. They are looked
// for without the lock: on a log of many years that takes a while.
func (a *AuditSealer) lookBack(ctx context.Context, upTo int64) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookBackTime)
	defer cancel()
	for {
		var ids []int64
		err = a.DB.InTx(ctx, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'"); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, `SELECT l.id FROM audit_log l WHERE l.id <= $1
				AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id AND s.audit_id <= $1) ORDER BY l.id LIMIT $2`, upTo, sealBatch)
			if err == nil {
				ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			}
			return err
		})
		if err != nil {
			return n, err
		}
		if len(ids) > 0 {
			late, err := a.pass(ctx, lateRows, ids)
			if n += late; err != nil {
				return n, err
			}
			a.Log.Warn("audit rows far behind the newest had no seal: written very late, or put in afterwards", "rows", late, "first", ids[0])
		}
		if len(ids) < sealBatch {
			a.lookedBack = a.Now()
			return n, nil
		}
	}
}

// pass seals one batch in one transaction and moves the anchor after it.
func (a *AuditSealer) pass(ctx context.Context, rowsSQL string, arg any) (n int, err error) {
	lines, err := readAnchors(a.Anchor)
	if err != nil {
		a.complain("the anchor of the audit log can't be read, so it is left as it is; run onemap audit verify", err)
	}
	readable := err == nil
	var end anchor
	holds, mine := true, false
	err = pgx.BeginTxFunc(ctx, a.DB.Pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(sealLock)).Scan(&mine); err != nil || !mine {
			return err
		}
		if end, holds, err = chainEnd(ctx, tx, lines); err != nil {
			return err
		}
		n, err = a.chain(ctx, tx, &end, rowsSQL, arg)
		return err
	})
	if err != nil {
		return 0, err
	}
	if !holds {
		last := lines[len(lines)-1]
		a.complain("the audit log has lost seals, or they were made anew; run onemap audit verify", fmt.Errorf("seal %d of %s", last.N, last.At))
	}
	if !mine || !readable || a.Anchor == "" || end.N == 0 {
		return n, nil
	}
	// What the chain no longer holds stays in the file: it is the evidence.
	if holds && len(lines) > 0 {
		if lines[len(lines)-1].N == end.N {
			return n, nil
		}
		lines = lines[:len(lines)-1]
	}
	end.At = a.Now().UTC()
	return n, writeAnchors(a.Anchor, append(lines, end))
}

// complain logs a lasting trouble once.
func (a *AuditSealer) complain(what string, err error) {
	if text := fmt.Sprint(what, ": ", err); text != a.told {
		a.told = text
		a.Log.Error(what, "err", err)
	}
}

// chainEnd is the last seal, and whether the chain holds the newest anchor.
func chainEnd(ctx context.Context, tx pgx.Tx, lines []anchor) (end anchor, holds bool, err error) {
	var want anchor
	if len(lines) > 0 {
		want = lines[len(lines)-1]
	}
	var have []byte
	err = tx.QueryRow(ctx, `SELECT n, audit_id, hash, (SELECT hash FROM audit_seal WHERE n = $1)
		FROM audit_seal ORDER BY n DESC LIMIT 1`, want.N).Scan(&end.N, &end.AuditID, (*[]byte)(&end.Hash), &have)
	if errors.Is(err, pgx.ErrNoRows) {
		end, err = anchor{Hash: chainStart}, nil
	}
	return end, want.N == 0 || hmac.Equal(have, want.Hash), err
}

// chainStart stands for the seal before the first.
var chainStart = make([]byte, sha256.Size)

// chain seals the rows of a query and moves end on.
func (a *AuditSealer) chain(ctx context.Context, tx pgx.Tx, end *anchor, rowsSQL string, arg any) (int, error) {
	rows, err := tx.Query(ctx, rowsSQL, arg, sealBatch)
	if err != nil {
		return 0, err
	}
	var r auditRow
	var seals []anchor
	now, h := a.Now(), newHasher(a.Key)
	_, err = pgx.ForEachRow(rows, r.fields(), func() error {
		*end = anchor{N: end.N + 1, AuditID: r.id, Hash: h.seal(end.Hash, &r)}
		seals = append(seals, *end)
		return nil
	})
	if err != nil || len(seals) == 0 {
		return 0, err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"audit_seal"}, []string{"n", "audit_id", "hash", "at"}, pgx.CopyFromSlice(len(seals), func(i int) ([]any, error) {
		return []any{seals[i].N, seals[i].AuditID, []byte(seals[i].Hash), now}, nil
	}))
	return len(seals), err
}

// hasher makes the hashes of one chain.
type hasher struct {
	mac hash.Hash
	buf []byte
}

func newHasher(key []byte) *hasher { return &hasher{mac: hmac.New(sha256.New, key)} }

// seal is the hash of the seal over r that follows the one with hash prev.
func (h *hasher) seal(prev []byte, r *auditRow) []byte {
	h.buf = r.canonical(append(h.buf[:0], prev...))
	h.mac.Reset()
	h.mac.Write(h.buf)
	return h.mac.Sum(nil)
}

// auditRow is a row of audit_log as it is sealed.
type auditRow struct {
	id                                       int64
	at                                       pgtype.Timestamptz
	actor, requestID, action, object, reason string
	data                                     *string // as text; nil for none
}

// fields are where the values of auditColumns go.
func (r *auditRow) fields() []any {
	return []any{&r.id, &r.at, &r.actor, &r.requestID, &r.action, &r.object, &r.reason, &r.data}
}

// canonical appends the row as bytes that no other row has: numbers in eight
// bytes, each text after its length, and a byte wherever something may be absent.
func (r *auditRow) canonical(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.id))
	b = append(b, byte(r.at.InfinityModifier))
	var at int64
	if r.at.InfinityModifier == pgtype.Finite {
		at = r.at.Time.UnixMicro()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	for _, text := range []string{r.actor, r.requestID, r.action, r.object, r.reason} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	if r.data == nil {
		return append(b, 0)
	}
	b = binary.BigEndian.AppendUint64(append(b, 1), uint64(len(*r.data)))
	return append(b, *r.data...)
}
