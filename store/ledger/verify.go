// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
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

// track is a hash that the last seal may have had: the seals from that number on
// have other hashes stored, if it is the true one.
type track struct {
	hash []byte
	from int64
}

// sealed is one seal with its row.
type sealed struct {
	n, id int64
	hash  []byte
	at    time.Time
	row   *auditRow // nil when it is gone
}

// broken is a seal that does not fit after the hash prev.
type broken struct {
	sealed
	prev  []byte
	kind  AuditFaultKind
	sure  bool
	given []byte // what the row gives
}

// gap is a run of seals that are missing, with the ids of the rows beside it.
type gap struct {
	first, last int64
	low, high   int64
	rows        int64 // without a seal of their time, and not found yet
}

// anchored is an anchor and what was found of it.
type anchored struct {
	anchor
	held  bool
	there int64 // the place its hash stands at
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

// step takes in the next seal.
func (c *auditCheck) step(ctx context.Context, tx pgx.Tx, s *sealed) error {
	if s.n != c.last+1 {
		if err := c.missing(ctx, tx, s); err != nil {
			return err
		}
	}
	stored := track{s.hash, s.n + 1}
	switch {
	case s.row == nil:
		c.settle(math.MaxInt64)
		c.fault(RowDeleted, s.n, s.id, "audit row %d was deleted; it was sealed as number %d", s.id, s.n)
		c.tracks = []track{stored}
	case len(c.tracks) == 0: // after a gap: the next seal will prove this one's hash
		c.tracks = []track{stored}
	default:
		c.fit(s, stored)
	}
	c.compareAnchors(s)
	c.last, c.lastID = s.n, s.id
	c.maxSealedID = max(c.maxSealedID, s.id)
	if s.at.After(c.maxSealedAt) {
		c.maxSealedAt = s.at
	}
	return nil
}

// fit compares a seal with what may have been before it.
func (c *auditCheck) fit(s *sealed, stored track) {
	next := make([]track, 0, len(c.tracks)+1)
	for _, t := range c.tracks {
		h := c.seal(t.hash, s.row)
		if bytes.Equal(h, s.hash) {
			c.settle(t.from)
			c.tracks = []track{stored}
			c.fitting++
			c.late(s)
			return
		}
		next = append(next, track{h, t.from})
	}
	b := broken{sealed: *s, prev: c.tracks[len(c.tracks)-1].hash, given: next[len(next)-1].hash}
	if len(c.pending)+len(c.broken) >= mostBroken {
		b.row = nil
	}
	if len(c.pending) >= mostFaults { // no end of it: the first of them are enough
		c.settle(math.MaxInt64)
	}
	c.pending = append(c.pending, b)
	if c.tracks = append(next, stored); len(c.tracks) > mostTracks {
		c.tracks = slices.Delete(c.tracks, mostTracks/2, mostTracks/2+1)
	}
}

// settle says what the pending seals are: from this number on their hashes were
// altered, before it their rows. What is just before it is certain.
func (c *auditCheck) settle(from int64) {
	for _, b := range c.pending {
		b.kind, b.sure = RowAltered, b.n == from-1
		if b.n >= from {
			b.kind, b.sure = SealAltered, true
		}
		if b.row == nil {
			c.brokenFault(b)
		} else {
			c.broken = append(c.broken, b)
		}
	}
	c.pending = nil
}

func (c *auditCheck) brokenFault(b broken) {
	hashes := fmt.Sprintf("stored hash %.6x, the row gives %.6x", b.hash, b.given)
	switch {
	case b.kind == SealAltered:
		c.fault(SealAltered, b.n, b.id, "seal %d of audit row %d was altered; the row is as it was sealed (%s)", b.n, b.id, hashes)
	case b.sure:
		c.fault(RowAltered, b.n, b.id, "audit row %d was altered after it was sealed as number %d (%s)", b.id, b.n, hashes)
	default:
		c.fault(RowAltered, b.n, b.id, "audit row %d, or its seal %d, was altered; its neighbour does not say which (%s)", b.id, b.n, hashes)
	}
}

// late looks for rows that were put in afterwards and sealed then: their own time
// is long before that of a newer row sealed earlier.
func (c *auditCheck) late(s *sealed) {
	if s.row.at.InfinityModifier != pgtype.Finite {
		return
	}
	at := s.row.at.Time
	if s.id > c.maxID {
		c.maxID, c.maxAt = s.id, at
		return
	}
	if at.Before(c.maxAt.Add(-sealedLate)) && !c.ofGap(s.id) {
		c.fault(RowLate, s.n, s.id, "audit row %d of %s was sealed only after row %d of %s: it was put in afterwards, or lost its first seal",
			s.id, at.UTC().Format(time.DateTime), c.maxID, c.maxAt.UTC().Format(time.DateTime))
	}
}

// missing names the seals missing before s. When the rows between the neighbours
// that have no seal of that time give the hash of s, they are as they were sealed.
func (c *auditCheck) missing(ctx context.Context, tx pgx.Tx, s *sealed) error {
	c.settle(math.MaxInt64)
	first, last, count := c.last+1, s.n-1, s.n-1-c.last
	what := fmt.Sprintf("seals %d to %d are missing", first, last)
	if count == 1 {
		what = fmt.Sprintf("seal %d is missing", first)
	}
	high := s.id
	if high <= c.lastID {
		high = math.MaxInt64
	}
	whole, err := c.rebuild(ctx, tx, s, high, count)
	switch {
	case err != nil:
		return err
	case whole:
		c.fault(SealsMissing, first, 0, "%s; the rows they were of are as they were sealed", what)
	default:
		c.tracks = nil
		c.fault(SealsMissing, first, 0, "%s; what became of the rows they were of, and of row %d after them, can't be said", what, s.id)
	}
	if len(c.gaps) < mostFaults {
		c.gaps = append(c.gaps, gap{first, last, c.lastID, high, count})
	}
	return nil
}

// rebuild makes the missing seals again and leaves their last as the one track.
func (c *auditCheck) rebuild(ctx context.Context, tx pgx.Tx, s *sealed, high, count int64) (bool, error) {
	if count > checkBatch || s.row == nil || len(c.tracks) == 0 || len(c.faults) >= mostFaults {
		return false, nil
	}
	rows, err := tx.Query(ctx, "SELECT "+auditColumns+` FROM audit_log l WHERE l.id > $1 AND l.id < $2
		AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id AND s.n <= $3) ORDER BY l.id LIMIT $4`, c.lastID, high, s.n, count)
	if err != nil {
		return false, err
	}
	var r auditRow
	end, found := c.tracks[len(c.tracks)-1].hash, int64(0)
	_, err = pgx.ForEachRow(rows, r.fields(), func() error {
		found++
		end = c.seal(end, &r)
		return nil
	})
	if err != nil || found < count || !bytes.Equal(c.seal(end, s.row), s.hash) {
		return false, err
	}
	c.tracks = []track{{end, s.n}}
	return true, nil
}

// ofGap reports that the row lost its seal in a gap, which is named already.
func (c *auditCheck) ofGap(id int64) bool {
	for i := range c.gaps {
		if g := &c.gaps[i]; g.low < id && id < g.high && g.rows > 0 {
			g.rows--
			return true
		}
	}
	return false
}

// compareAnchors compares seal s with the anchors. An anchor proves a hash as the
// next seal would.
func (c *auditCheck) compareAnchors(s *sealed) {
	for _, a := range c.anchors {
		if bytes.Equal(a.Hash, s.hash) {
			a.there = s.n
		}
	}
	for _, a := range c.atAnchor[s.n] {
		stored := track{s.hash, s.n + 1}
		if a.held = bytes.Equal(a.Hash, s.hash); a.held {
			c.settle(s.n + 1)
			c.tracks = []track{stored}
			continue
		}
		for _, t := range c.tracks {
			if bytes.Equal(a.Hash, t.hash) { // the next seals may build on either
				a.held = true
				c.settle(t.from)
				c.tracks = []track{{t.hash, s.n + 1}, stored}
				break
			}
		}
	}
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

// checkAnchors names the ends that the chain once had and does not hold now. An
// end that fell to a fault named already is not named again.
func (c *auditCheck) checkAnchors() {
	named := map[int64]bool{}
	for _, b := range c.broken {
		named[b.n] = true
	}
	for _, f := range c.faults {
		named[f.N] = true
	}
	var beyond *anchored // of several the farthest
	for _, a := range c.anchors {
		at := a.At.UTC().Format(time.DateTime)
		switch {
		case a.held || named[a.N] || c.lacks(a.N):
		case a.there > 0 && a.there < a.N:
			c.fault(TailCut, a.N, a.AuditID, "seal %d of %s is number %d now: %d seals before it were taken out of the chain", a.N, at, a.there, a.N-a.there)
		case a.N > c.last:
			if beyond == nil || a.N > beyond.N {
				beyond = a
			}
		default:
			c.fault(TailCut, a.N, a.AuditID, "the chain was cut before seal %d (audit row %d), which stood there at %s, and went on with other rows", a.N, a.AuditID, at)
		}
	}
	if beyond != nil {
		c.fault(TailCut, beyond.N, beyond.AuditID, "the chain ends at seal %d; at %s it reached seal %d (audit row %d): its end was cut off",
			c.last, beyond.At.UTC().Format(time.DateTime), beyond.N, beyond.AuditID)
	}
}

// lacks reports that seal n is in a gap.
func (c *auditCheck) lacks(n int64) bool {
	return slices.ContainsFunc(c.gaps, func(g gap) bool { return g.first <= n && n <= g.last })
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

// moved finds the broken seals that are whole in another order: rows, seals or
// parts of them have changed places. They become one fault for each round of
// changes, and seals that broke only because of it are dropped.
func (c *auditCheck) moved() {
	to := map[int]int{}         // what belongs at the place of the first stands at the place of the second
	truth := map[int64][]byte{} // the hash that a place had
	dropped := map[int]bool{}
	for i, b := range c.broken {
		prevs := [][]byte{b.prev}
		if h := truth[b.n-1]; h != nil {
			prevs = append(prevs, h)
			if h = c.seal(h, b.row); bytes.Equal(h, b.hash) {
				truth[b.n], dropped[i] = h, true
				continue
			}
		}
		for k := 0; k < len(c.broken) && truth[b.n] == nil; k++ {
			if k == i {
				continue
			}
			for _, prev := range prevs {
				if h := c.atPlaceOf(prev, b, c.broken[k]); h != nil {
					to[i], truth[b.n] = k, h
					break
				}
			}
		}
	}
	for i := range c.broken {
		round := []int{i}
		for k, ok := to[i]; ok && len(round) <= len(to); k, ok = to[k] {
			if k == i {
				break
			}
			round = append(round, k)
		}
		if k, ok := to[round[len(round)-1]]; !ok || k != i {
			continue // not a closed round
		}
		var ids []string
		for _, k := range round {
			delete(to, k)
			dropped[k] = true
			ids = append(ids, fmt.Sprint(c.broken[k].id))
		}
		c.fault(RowsMoved, c.broken[i].n, c.broken[i].id, "audit rows %s, or their seals, have changed places", strings.Join(ids, " and "))
	}
	whole := c.broken[:0]
	for i, b := range c.broken {
		if !dropped[i] {
			whole = append(whole, b)
		}
	}
	c.broken = whole
}

// atPlaceOf returns the hash that the place of b had if something of other belongs
// there: its seal as a whole, the row it names, its row's content or its hash.
func (c *auditCheck) atPlaceOf(prev []byte, b, other broken) []byte {
	given := c.seal(prev, other.row)
	if bytes.Equal(given, other.hash) || bytes.Equal(given, b.hash) {
		return given
	}
	content := *other.row
	content.id = b.row.id
	if given = c.seal(prev, &content); bytes.Equal(given, b.hash) {
		return given
	}
	if given = c.seal(prev, b.row); bytes.Equal(given, other.hash) {
		return given
	}
	return nil
}
