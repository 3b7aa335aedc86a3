// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

// sealedRow is a row for rapid: short texts of few letters, so that borders
// between fields are crossed often.
func sealedRow(t *rapid.T, label string) auditRow {
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\x01\x00网")), 0, 3, -1)
	r := auditRow{
		id: rapid.Int64().Draw(t, label+" id"), actor: text.Draw(t, label+" actor"), requestID: text.Draw(t, label+" request"),
		action: text.Draw(t, label+" action"), object: text.Draw(t, label+" object"), reason: text.Draw(t, label+" reason"),
		at: pgtype.Timestamptz{Valid: true, Time: time.UnixMicro(rapid.Int64Range(-1<<60, 1<<60).Draw(t, label+" at"))},
	}
	switch rapid.IntRange(0, 5).Draw(t, label+" kind") {
	case 0:
		r.at = pgtype.Timestamptz{Valid: true, InfinityModifier: rapid.SampledFrom([]pgtype.InfinityModifier{pgtype.Infinity, pgtype.NegativeInfinity}).Draw(t, label+" end")}
	case 1, 2:
		data := text.Draw(t, label+" data")
		r.data = &data
	}
	return r
}

// read is the inverse of canonical: that there is one proves that no two rows
// have the same bytes.
func read(t *rapid.T, b []byte) (r auditRow) {
	number := func() int64 {
		if len(b) < 8 {
			t.Fatalf("%d bytes left for a number", len(b))
		}
		n := binary.BigEndian.Uint64(b)
		b = b[8:]
		return int64(n)
	}
	flag := func() byte {
		f := b[0]
		b = b[1:]
		return f
	}
	text := func() string {
		n := number()
		if n < 0 || n > int64(len(b)) {
			t.Fatalf("a text of %d bytes in %d", n, len(b))
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	r.id = number()
	r.at = pgtype.Timestamptz{Valid: true, InfinityModifier: pgtype.InfinityModifier(flag())}
	if at := number(); r.at.InfinityModifier == pgtype.Finite {
		r.at.Time = time.UnixMicro(at)
	}
	r.actor, r.requestID, r.action, r.object, r.reason = text(), text(), text(), text(), text()
	if flag() == 1 {
		data := text()
		r.data = &data
	}
	if len(b) > 0 {
		t.Fatalf("%d bytes are left", len(b))
	}
	return r
}

func TestNoTwoRowsHaveTheSameBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := sealedRow(t, "one")
		b := r.canonical(nil)
		back := read(t, b)
		if !same(r, back) {
			t.Fatalf("%+v is read back as %+v", r, back)
		}
		if other := sealedRow(t, "other"); bytes.Equal(other.canonical(nil), b) != same(other, r) {
			t.Fatalf("%+v and %+v", r, other)
		}
	})
}

func same(a, b auditRow) bool {
	if (a.data == nil) != (b.data == nil) || a.data != nil && *a.data != *b.data {
		return false
	}
	ends := a.at.InfinityModifier == b.at.InfinityModifier && a.at.Time.Equal(b.at.Time)
	a.data, b.data, a.at, b.at = nil, nil, pgtype.Timestamptz{}, pgtype.Timestamptz{}
	return ends && a == b
}

// The bytes never change: chains that exist were made of them.
func TestCanonicalBytes(t *testing.T) {
	t.Parallel()
	data := `{"k": 1}`
	r := auditRow{
		id: 258, at: pgtype.Timestamptz{Valid: true, Time: time.UnixMicro(3)}, actor: "a", action: "网", object: "o/1", data: &data,
	}
	want := "\x00\x00\x00\x00\x00\x00\x01\x02" + "\x00" + "\x00\x00\x00\x00\x00\x00\x00\x03" +
		"\x00\x00\x00\x00\x00\x00\x00\x01a" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x03网" +
		"\x00\x00\x00\x00\x00\x00\x00\x03o/1" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00\x08" + data
	if got := string(r.canonical(nil)); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}
