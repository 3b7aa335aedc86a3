// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
	"time"
)

// Elements of WebM (RFC 9559) that are known here.
const (
	idEBML        = 0x1a45dfa3
	idDocType     = 0x4282
	idSegment     = 0x18538067
	idSeekHead    = 0x114d9b74
	idInfo        = 0x1549a966
	idTracks      = 0x1654ae6b
	idCluster     = 0x1f43b675
	idCues        = 0x1c53bb6b
	idVoid        = 0xec
	idScale       = 0x2ad7b1
	idDuration    = 0x4489
	idDateUTC     = 0x4461
	idMuxingApp   = 0x4d80
	idWritingApp  = 0x5741
	idTrackEntry  = 0xae
	idTrackType   = 0x83
	idTrackName   = 0x536e
	idTimestamp   = 0xe7
	idSimpleBlock = 0xa3
	idBlockGroup  = 0xa0
	idBlock       = 0xa1
	idPosition    = 0xa7
	idPrevSize    = 0xab
	maxElements   = 200_000
)

var (
	segmentParts = []uint32{idSeekHead, idInfo, idTracks, idCluster, idCues}
	clusterParts = []uint32{idTimestamp, idSimpleBlock, idBlockGroup, idPosition, idPrevSize}
)

// webm is a recording being looked at.
type webm struct {
	r        io.ReaderAt
	size     int64
	seen     int
	edits    edits
	video    bool
	sound    bool
	scale    uint64 // nanoseconds a tick
	declared float64
	cluster  uint64 // its time, in ticks
	last     uint64
	taken    Taken
}

// element is one of EBML: where it begins, its body, its end.
type element struct {
	id             uint32
	off, body, end int64
	open           bool // its end is not said
}

// examineWebM reads what browsers record. Tags, chapters, attached files, titles and
// everything else that playing does not need become void in place.
func examineWebM(r io.ReaderAt, size int64) (Info, Copy, error) {
	w := &webm{r: r, size: size, scale: 1_000_000}
	if err := w.top(); err != nil {
		return Info{}, nil, err
	}
	info := Info{Kind: Voice, Type: "audio/webm", Taken: w.taken}
	if w.video {
		info.Kind, info.Type = Video, "video/webm"
	}
	if !w.video && !w.sound {
		return Info{}, nil, refuse(brokenFilm)
	}
	ns := max(w.declared, float64(w.last)) * float64(w.scale)
	if !(ns < float64(time.Hour)) { // or no number
		ns = float64(time.Hour)
	}
	info.Duration = time.Duration(ns)
	return info, w.edits.copyOf(size), nil
}

func (w *webm) top() error {
	head, err := w.element(0, w.size)
	if err != nil {
		return err
	}
	if head.id != idEBML || head.open || head.end-head.body > 1000 {
		return refuse(brokenFilm)
	}
	known := false
	err = w.each(head.body, head.end, func(e element) error {
		if e.id == idDocType {
			name, err := w.bytes(e, 32)
			known = string(name) == "webm"
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !known {
		return refuse("this kind of Matroska file is not taken: %s", whichTypes)
	}
	seg, err := w.element(head.end, w.size)
	if err != nil {
		return err
	}
	if seg.id != idSegment {
		return refuse(brokenFilm)
	}
	if err := w.segment(seg.body, seg.end); err != nil {
		return err
	}
	w.edits.zero(seg.end, w.size-seg.end)
	return nil
}

// segment reads the parts of a segment. A cluster whose end is not said ends where
// the next part of the segment begins.
func (w *webm) segment(off, end int64) error {
	inCluster := false
	for off < end {
		e, err := w.element(off, end)
		if err != nil {
			return err
		}
		off = e.end
		switch {
		case slices.Contains(segmentParts, e.id):
			inCluster = e.id == idCluster && e.open
			if inCluster {
				off = e.body
				continue
			}
			if e.open {
				return refuse(brokenFilm)
			}
			err = w.part(e)
		case inCluster:
			err = w.inCluster(e)
		default:
			err = w.void(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *webm) part(e element) error {
	switch e.id {
	case idInfo:
		return w.each(e.body, e.end, w.inInfo)
	case idTracks:
		return w.each(e.body, e.end, w.inTracks)
	case idCluster:
		return w.each(e.body, e.end, w.inCluster)
	}
	return nil
}

func (w *webm) inInfo(e element) error {
	switch e.id {
	case idScale:
		n, err := w.number(e)
		if n == 0 || n > 1e9 {
			return refuse(brokenFilm)
		}
		w.scale = n
		return err
	case idDuration:
		b, err := w.bytes(e, 8)
		switch len(b) {
		case 4:
			w.declared = float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
		case 8:
			w.declared = math.Float64frombits(binary.BigEndian.Uint64(b))
		}
		return err
	case idDateUTC:
		if b, err := w.bytes(e, 8); err == nil && len(b) == 8 { // nanoseconds since 2001
			w.taken.At = sane(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(binary.BigEndian.Uint64(b))))
		}
		return w.void(e)
	case idMuxingApp, idWritingApp: // have to be there; their text has not
		w.edits.zero(e.body, e.end-e.body)
		return nil
	}
	return w.void(e)
}

func (w *webm) inTracks(e element) error {
	if e.id != idTrackEntry {
		return w.void(e)
	}
	return w.each(e.body, e.end, func(e element) error {
		switch e.id {
		case idTrackType:
			n, err := w.number(e)
			switch n {
			case 1:
				w.video = true
			case 2:
				w.sound = true
			default:
				return refuse("the film has a track of places or texts: record it with picture and sound alone")
			}
			return err
		case idTrackName:
			w.edits.zero(e.body, e.end-e.body)
		}
		return nil
	})
}

func (w *webm) inCluster(e element) error {
	if !slices.Contains(clusterParts, e.id) {
		return w.void(e)
	}
	switch e.id {
	case idTimestamp:
		n, err := w.number(e)
		w.cluster = n
		w.last = max(w.last, n)
		return err
	case idSimpleBlock:
		return w.block(e)
	case idBlockGroup:
		return w.each(e.body, e.end, func(e element) error {
			if e.id == idBlock {
				return w.block(e)
			}
			return nil
		})
	}
	return nil
}

// block reads when a block of picture or sound is played.
func (w *webm) block(e element) error {
	_, n, err := w.vint(e.body, e.end, false)
	if err != nil {
		return err
	}
	var b [2]byte
	if e.body+n+2 > e.end {
		return refuse(brokenFilm)
	}
	if _, err := w.r.ReadAt(b[:], e.body+n); err != nil {
		return err
	}
	if at := int64(w.cluster) + int64(int16(binary.BigEndian.Uint16(b[:]))); at > 0 {
		w.last = max(w.last, uint64(at))
	}
	return nil
}

// each reads the elements from off to end.
func (w *webm) each(off, end int64, f func(element) error) error {
	for off < end {
		e, err := w.element(off, end)
		if err != nil {
			return err
		}
		if e.open {
			return refuse(brokenFilm)
		}
		if err := f(e); err != nil {
			return err
		}
		off = e.end
	}
	return nil
}

// element reads the head of the element at off.
func (w *webm) element(off, end int64) (e element, err error) {
	if w.seen++; w.seen > maxElements {
		return e, refuse(brokenFilm)
	}
	id, n, err := w.vint(off, end, true)
	if err != nil {
		return e, err
	}
	if n > 4 {
		return e, refuse(brokenFilm)
	}
	size, m, err := w.vint(off+n, end, false)
	if err != nil {
		return e, err
	}
	e = element{id: uint32(id), off: off, body: off + n + m}
	switch {
	case size == 1<<(7*uint(m))-1:
		e.open, e.end = true, end
	case size > uint64(end-e.body):
		return e, refuse(brokenFilm)
	default:
		e.end = e.body + int64(size)
	}
	return e, nil
}

// vint reads a number of 1 to 8 bytes whose first bits say how many; an id keeps
// those bits.
func (w *webm) vint(off, end int64, id bool) (v uint64, n int64, err error) {
	var b [8]byte
	if off >= end {
		return 0, 0, refuse(brokenFilm)
	}
	got, err := w.r.ReadAt(b[:min(8, end-off)], off)
	if got == 0 {
		return 0, 0, err
	}
	for n = 1; n <= 8 && b[0]&(0x80>>(n-1)) == 0; n++ {
	}
	if n > int64(got) {
		return 0, 0, refuse(brokenFilm)
	}
	v = uint64(b[0])
	if !id {
		v &= 0xff >> n
	}
	for _, x := range b[1:n] {
		v = v<<8 | uint64(x)
	}
	return v, n, nil
}

func (w *webm) bytes(e element, most int64) ([]byte, error) {
	if e.end-e.body > most {
		return nil, refuse(brokenFilm)
	}
	b := make([]byte, e.end-e.body)
	if n, err := w.r.ReadAt(b, e.body); n < len(b) {
		return nil, err
	}
	return b, nil
}

func (w *webm) number(e element) (n uint64, err error) {
	b, err := w.bytes(e, 8)
	for _, x := range b {
		n = n<<8 | uint64(x)
	}
	return n, err
}

// void makes an element a void one of the same length.
func (w *webm) void(e element) error {
	if e.open {
		return refuse(brokenFilm)
	}
	room := e.end - e.off - 1 // for the size and the body
	n := min(8, room)
	if e.end-e.off < 2 {
		return refuse(brokenFilm)
	}
	size := make([]byte, 8)
	binary.BigEndian.PutUint64(size, uint64(room-n)|1<<(7*uint(n)))
	w.edits.put(e.off, append([]byte{idVoid}, size[8-n:]...))
	w.edits.zero(e.off+1+n, room-n)
	return nil
}
