// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

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

// lacks reports that seal n is in a gap.
func (c *auditCheck) lacks(n int64) bool {
	return slices.ContainsFunc(c.gaps, func(g gap) bool { return g.first <= n && n <= g.last })
}
