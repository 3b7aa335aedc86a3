// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"

	"onemap/auth"
	"onemap/track"
)

// dots is the newest position of every worker, with the beat it last changed in,
// so that a client far behind still gets the newest alone.
type dots struct {
	rev   uint64 // the last beat that changed anything
	since uint64 // where Options.Dots goes on
	order []uint32
	by    map[uint32]placed
	floor uint64 // who was told before this revision is given the full set
}

type placed struct {
	track.Dot
	rev uint64
}

// offKept is for how many revisions a worker gone from the map is remembered,
// for clients that have not been told yet.
const offKept = 120

func newDots() *dots { return &dots{rev: 1, by: map[uint32]placed{}} }

// fold takes in what changed since the last call.
func (d *dots) fold(changed []track.Dot) {
	if len(changed) == 0 {
		return
	}
	d.rev++
	for _, n := range changed {
		old, known := d.by[n.Worker]
		if !known {
			at, _ := slices.BinarySearch(d.order, n.Worker)
			d.order = slices.Insert(d.order, at, n.Worker)
		} else if old.Grid != n.Grid {
			d.floor = d.rev // some rooms lose sight of the worker: all start over
		}
		d.by[n.Worker] = placed{Dot: n, rev: d.rev}
	}
	d.forget()
}

// forget drops the workers that went off the map long ago.
func (d *dots) forget() {
	if d.rev%offKept != 0 {
		return
	}
	d.order = slices.DeleteFunc(d.order, func(w uint32) bool {
		p := d.by[w]
		old := p.State == track.StateOff && p.rev+offKept < d.rev
		if old {
			delete(d.by, w)
			d.floor = max(d.floor, p.rev)
		}
		return old
	})
}

// full reports whether somebody last told at revision rev needs the whole set.
func (d *dots) full(rev uint64) bool { return rev == 0 || rev < d.floor }

// collect returns the dots in scope, ordered by worker: those shown now when
// full, else those changed after rev.
func (d *dots) collect(s auth.Scope, rev uint64, full bool) []track.Dot {
	var out []track.Dot
	for _, w := range d.order {
		p := d.by[w]
		want := p.rev > rev
		if full {
			want = p.State != track.StateOff
		}
		if want && s.SeesWorker(p.Worker, p.Grid) {
			out = append(out, p.Dot)
		}
	}
	return out
}

// spotKey tells position frames of one room apart.
type spotKey struct {
	since  uint64 // 0 for the full set
	binary bool
}

// spotsSince returns the room's position frame for a client told at revision rev, or
// nil when nothing in its scope has changed.
func (r *room) spotsSince(d *dots, rev uint64, asBinary bool, now time.Time) *frame {
	full := d.full(rev)
	if full {
		rev = 0
	} else if rev == d.rev {
		return nil
	}
	k := spotKey{rev, asBinary}
	if f, ok := r.spots[k]; ok {
		return f
	}
	var f *frame
	if items := d.collect(r.Positions, rev, full); full || len(items) > 0 {
		f = encodeSpots(items, full, asBinary, now)
	}
	if r.spots == nil {
		r.spots = map[spotKey]*frame{}
	}
	r.spots[k] = f
	return f
}

func encodeSpots(items []track.Dot, full, asBinary bool, now time.Time) *frame {
	f := &frame{messages: 1, positions: true}
	b := make([]byte, headRoom, 64+64*len(items))
	if asBinary {
		f.wire = seal(appendBinarySpots(b, items, full, now), headRoom, opBinary)
	} else {
		f.wire = seal(appendSpots(b, items, full, now), headRoom, opText)
	}
	return f
}

func appendSpots(b []byte, items []track.Dot, full bool, now time.Time) []byte {
	b = append(b, `{"type":"positions","at":`...)
	b = appendTime(b, now)
	if full {
		b = append(b, `,"full":true`...)
	}
	b = append(b, `,"items":[`...)
	for i, d := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = strconv.AppendUint(b, uint64(d.Worker), 10)
		b = append(b, ',')
		b = strconv.AppendFloat(b, d.P.Lon(), 'f', 6, 64)
		b = append(b, ',')
		b = strconv.AppendFloat(b, d.P.Lat(), 'f', 6, 64)
		b = append(b, ',')
		b = strconv.AppendUint(b, uint64(ageSeconds(d.FixAt, now)), 10)
		b = appendMeasure(append(b, ','), d.AccuracyM)
		b = appendMeasure(append(b, ','), d.CourseDeg)
		b = append(b, ',')
		b = appendString(b, string(d.State))
		b = append(b, ']')
	}
	return append(b, "]}"...)
}

// appendMeasure appends a whole number, -1 when it is unknown.
func appendMeasure(b []byte, v float32) []byte {
	if !(v >= 0) || v > math.MaxInt32 {
		return append(b, "-1"...)
	}
	return strconv.AppendInt(b, int64(math.Round(float64(v))), 10)
}

// The binary form, little-endian: a byte 1 (changes) or 2 (the full set), u64
// milliseconds since 1970, then an item a worker:
//
//	u32 worker | i32 lon 1e-7 deg | i32 lat 1e-7 deg | u16 fix age s | u8 accuracy 4 m | u8 state<<5 | course
//
// Accuracy 255 and course 31 are unknown; a course step is 360/31 degrees.
const (
	binaryChanges = 1
	binaryFull    = 2
	binaryItem    = 16 // bytes
	courseSteps   = 31
)

func appendBinarySpots(b []byte, items []track.Dot, full bool, now time.Time) []byte {
	first := byte(binaryChanges)
	if full {
		first = binaryFull
	}
	b = append(b, first)
	b = binary.LittleEndian.AppendUint64(b, uint64(now.UnixMilli()))
	for _, d := range items {
		b = binary.LittleEndian.AppendUint32(b, d.Worker)
		b = binary.LittleEndian.AppendUint32(b, uint32(int32(math.Round(d.P.Lon()*1e7))))
		b = binary.LittleEndian.AppendUint32(b, uint32(int32(math.Round(d.P.Lat()*1e7))))
		b = binary.LittleEndian.AppendUint16(b, ageSeconds(d.FixAt, now))
		b = append(b, accuracyCode(d.AccuracyM), stateCode(d.State)<<5|courseCode(d.CourseDeg))
	}
	return b
}

// ageSeconds is how old a fix is by the server's clock, in 0..65535.
func ageSeconds(fix, now time.Time) uint16 {
	s := int64(now.Sub(fix) / time.Second)
	return uint16(min(max(s, 0), math.MaxUint16))
}

func accuracyCode(m float32) byte {
	if !(m >= 0) {
		return 255
	}
	return byte(min(math.Round(float64(m)/4), 254))
}

func courseCode(deg float32) byte {
	if !(deg >= 0 && deg <= 360) {
		return courseSteps
	}
	return byte(int(math.Round(float64(deg)*courseSteps/360)) % courseSteps)
}

func stateCode(s track.State) byte {
	switch s {
	case track.StateOn:
		return 0
	case track.StateTask:
		return 1
	case track.StateStale:
		return 2
	case track.StateSOS:
		return 3
	}
	return 7
}
