// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"encoding/binary"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Bounds of what is read of a film's directory.
const (
	maxBoxes   = 20_000
	maxMoov    = 16 << 20 // the directory box itself is read into memory
	maxSamples = 100_000  // and runs of them, of a track that is neither picture nor sound
)

const brokenFilm = "the recording is broken or cut off: record it anew"

// Boxes of ISO 14496-12 that stay, by the box they lie in; every other one becomes
// free space of the same size, so that nothing moves. Makers keep places in udta,
// meta, uuid, in boxes of their own, and in free space.
var boxesKept = map[string][]string{
	"":     {"ftyp", "styp", "moov", "mdat", "moof", "mfra", "sidx", "pdin"},
	"moov": {"mvhd", "trak", "mvex", "iods"},
	"trak": {"tkhd", "edts", "mdia", "tref"},
	"edts": {"elst"},
	"mdia": {"mdhd", "hdlr", "minf"},
	"minf": {"vmhd", "smhd", "nmhd", "dinf", "stbl", "hdlr"},
	"dinf": {"dref"},
	"stbl": {"stsd", "stts", "ctts", "stsc", "stsz", "stz2", "stco", "co64", "stss", "sdtp", "sbgp", "sgpd", "cslg", "stps"},
	"mvex": {"mehd", "trex", "trep"},
	"moof": {"mfhd", "traf"},
	"traf": {"tfhd", "tfdt", "trun", "sdtp", "sbgp", "sgpd", "subs"},
	"mfra": {"tfra", "mfro"},
}

// mp4 is a film being looked at.
type mp4 struct {
	r      io.ReaderAt
	size   int64
	boxes  int
	edits  edits
	tracks []*mp4Track
	track  *mp4Track // whose trak is being read
	part   *mp4Track // whose traf is being read

	moovs      int
	fragmented bool
	scale      uint32 // of mvhd
	length     time.Duration
	taken      Taken
}

// mp4Track is one track: a picture, a sound, or what does not stay.
type mp4Track struct {
	id, scale uint32
	handler   string
	length    time.Duration
	each      uint32 // a sample of a fragment lasts, by default
	partEach  uint32 // and in the fragment being read
	parts     uint64 // what its fragments last in all
	box       mp4Box
	tables    map[string][]byte // stsc, stsz, stco, co64
}

// mp4Box is one box: where it begins, its body, its end.
type mp4Box struct {
	name           string
	off, body, end int64
}

// examineMP4 reads the boxes of a film or recording and frees those that are not
// needed to play it.
func examineMP4(r io.ReaderAt, size int64) (Info, Copy, error) {
	m := &mp4{r: r, size: size}
	brand := make([]byte, 4)
	if _, err := r.ReadAt(brand, 8); err != nil {
		return Info{}, nil, err
	}
	if err := m.walk("", 0, size); err != nil {
		return Info{}, nil, err
	}
	info := Info{Kind: Voice, Type: "audio/mp4", Duration: m.length, Taken: m.taken}
	for _, t := range m.tracks {
		d := t.length
		if t.scale > 0 && t.parts > 0 {
			d += ticks(t.parts, t.scale)
		}
		switch t.handler {
		case "vide":
			info.Kind, info.Type = Video, "video/mp4"
		case "soun":
		default:
			if err := m.silence(t); err != nil {
				return Info{}, nil, err
			}
			continue
		}
		info.Duration = max(info.Duration, d)
	}
	kept := slices.ContainsFunc(m.tracks, func(t *mp4Track) bool { return t.handler == "vide" || t.handler == "soun" })
	if m.moovs != 1 || !kept {
		return Info{}, nil, refuse(brokenFilm)
	}
	switch {
	case string(brand[:2]) == "3g":
		info.Type = info.Type[:5] + "/3gpp"
	case string(brand) == "qt  " && info.Kind == Video:
		info.Type = "video/quicktime"
	}
	return info, m.edits.copyOf(size), nil
}

// walk reads the boxes from off to end, which lie in a box called parent.
func (m *mp4) walk(parent string, off, end int64) error {
	for off < end {
		b, err := m.box(off, end)
		if err != nil {
			return err
		}
		if m.boxes++; m.boxes > maxBoxes {
			return refuse(brokenFilm)
		}
		if err := m.visit(parent, b); err != nil {
			return err
		}
		off = b.end
	}
	return nil
}

// box reads a box's head.
func (m *mp4) box(off, end int64) (mp4Box, error) {
	b := mp4Box{off: off}
	var h [16]byte
	if end-off < 8 {
		return b, refuse(brokenFilm)
	}
	if err := m.read(h[:min(16, end-off)], off); err != nil {
		return b, err
	}
	b.name, b.body = string(h[4:8]), off+8
	switch n := uint64(binary.BigEndian.Uint32(h[:])); {
	case n == 0:
		b.end = end
	case n == 1:
		n = binary.BigEndian.Uint64(h[8:])
		if end-off < 16 || n < 16 || n > uint64(end-off) {
			return b, refuse(brokenFilm)
		}
		b.body, b.end = off+16, off+int64(n)
	case n < 8 || n > uint64(end-off):
		return b, refuse(brokenFilm)
	default:
		b.end = off + int64(n)
	}
	return b, nil
}

func (m *mp4) read(to []byte, off int64) error {
	if n, err := m.r.ReadAt(to, off); n < len(to) {
		if err == io.EOF {
			return refuse(brokenFilm)
		}
		return err
	}
	return nil
}

// all reads a box's body.
func (m *mp4) all(b mp4Box, least int) ([]byte, error) {
	if b.end-b.body > maxMoov || b.end-b.body < int64(least) {
		return nil, refuse(brokenFilm)
	}
	out := make([]byte, b.end-b.body)
	return out, m.read(out, b.body)
}

// free makes a box free space.
func (m *mp4) free(b mp4Box) {
	m.edits.put(b.off+4, []byte("free"))
	m.edits.zero(b.body, b.end-b.body)
}

// visit looks at one box, and into it.
func (m *mp4) visit(parent string, b mp4Box) error {
	if !slices.Contains(boxesKept[parent], b.name) {
		if b.name == "udta" || b.name == "meta" {
			m.placeIn(b)
		}
		m.free(b)
		return nil
	}
	switch b.name {
	case "moov":
		if m.moovs++; b.end-b.body > maxMoov {
			return refuse(brokenFilm)
		}
	case "trak":
		m.track = &mp4Track{box: b, tables: map[string][]byte{}}
		m.tracks = append(m.tracks, m.track)
		defer func() { m.track = nil }()
	case "traf":
		m.part, m.fragmented = nil, true
	}
	if boxesKept[b.name] != nil {
		return m.walk(b.name, b.body, b.end)
	}
	if b.name == "mdat" {
		return nil
	}
	return m.leaf(b)
}

// leaf reads the boxes that say how long it lasts.
func (m *mp4) leaf(b mp4Box) error {
	switch b.name {
	case "mvhd", "mdhd":
		return m.header(b)
	case "hdlr":
		v, err := m.all(b, 12)
		if err == nil && m.track != nil && m.track.handler == "" {
			m.track.handler = string(v[8:12])
		}
		return err
	case "tkhd":
		v, err := m.all(b, 24)
		if err != nil || m.track == nil {
			return err
		}
		m.track.id = binary.BigEndian.Uint32(v[12:])
		if v[0] == 1 {
			m.track.id = binary.BigEndian.Uint32(v[20:])
		}
	case "stsc", "stsz", "stz2", "stco", "co64":
		v, err := m.all(b, 8)
		if err == nil && m.track != nil {
			m.track.tables[b.name] = v
		}
		return err
	case "trex", "tfhd", "trun":
		return m.fragment(b)
	}
	return nil
}

// header reads the scale and the length of mvhd or mdhd.
func (m *mp4) header(b mp4Box) error {
	v, err := m.all(b, 20)
	if err != nil {
		return err
	}
	made, scale, length := uint64(binary.BigEndian.Uint32(v[4:])), binary.BigEndian.Uint32(v[12:]), uint64(binary.BigEndian.Uint32(v[16:]))
	unknown := length == 1<<32-1
	if v[0] == 1 {
		if len(v) < 32 {
			return refuse(brokenFilm)
		}
		made, scale, length = binary.BigEndian.Uint64(v[4:]), binary.BigEndian.Uint32(v[20:]), binary.BigEndian.Uint64(v[24:])
		unknown = length == 1<<64-1
	}
	if unknown {
		length = 0
	}
	d := ticks(length, scale)
	switch {
	case b.name == "mdhd" && m.track != nil:
		m.track.scale, m.track.length = scale, d
	case b.name == "mvhd":
		m.scale, m.length = scale, d
		if made > 0 && made < 1<<33 { // seconds since 1904
			m.taken.At = sane(time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(made) * time.Second))
		}
	}
	return nil
}

// ticks is n units of which there are scale a second; an hour at most.
func ticks(n uint64, scale uint32) time.Duration {
	if scale == 0 {
		return 0
	}
	if n/uint64(scale) > 3600 {
		return time.Hour
	}
	return time.Duration(float64(n) / float64(scale) * float64(time.Second))
}

// fragment adds up what the samples of fragments last.
func (m *mp4) fragment(b mp4Box) error {
	v, err := m.all(b, 8)
	if err != nil {
		return err
	}
	u32 := func(i int) uint32 {
		if i+4 > len(v) {
			return 0
		}
		return binary.BigEndian.Uint32(v[i:])
	}
	flags := u32(0) & 0xffffff
	switch b.name {
	case "trex":
		if t := m.byID(u32(4)); t != nil {
			t.each = u32(12)
		}
	case "tfhd":
		if m.part = m.byID(u32(4)); m.part == nil {
			return nil
		}
		m.part.partEach = m.part.each
		at := 8
		for _, f := range []struct {
			flag uint32
			size int
		}{{0x1, 8}, {0x2, 4}} {
			if flags&f.flag != 0 {
				at += f.size
			}
		}
		if flags&0x8 != 0 {
			m.part.partEach = u32(at)
		}
	case "trun":
		if m.part == nil {
			return nil
		}
		n, at, step := int64(u32(4)), 8, 0
		for _, f := range []uint32{0x1, 0x4} {
			if flags&f != 0 {
				at += 4
			}
		}
		for _, f := range []uint32{0x100, 0x200, 0x400, 0x800} {
			if flags&f != 0 {
				step += 4
			}
		}
		if flags&0x100 == 0 {
			m.part.parts += uint64(n) * uint64(m.part.partEach)
			return nil
		}
		if int64(at)+n*int64(step) > int64(len(v)) {
			return refuse(brokenFilm)
		}
		for i := range int(n) {
			m.part.parts += uint64(u32(at + i*step))
		}
	}
	return nil
}

func (m *mp4) byID(id uint32) *mp4Track {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

// silence takes a track out that is neither picture nor sound: such tracks hold
// places second by second. Its samples, which lie among the others, become zeros.
func (m *mp4) silence(t *mp4Track) error {
	if m.fragmented {
		return refuse("the film has a track of places or texts: switch the camera's location off and record it anew")
	}
	sizes, err := t.sampleSizes()
	if err != nil {
		return err
	}
	chunks, err := t.chunks()
	if err != nil {
		return err
	}
	sc := t.tables["stsc"]
	runs := 0
	if sc != nil {
		runs = int(binary.BigEndian.Uint32(sc[4:]))
	}
	if sc == nil && len(sizes) > 0 || runs > (len(sc)-8)/12 {
		return refuse(brokenFilm)
	}
	next, run := 0, 0
	for i, off := range chunks {
		for run+1 < runs && uint32(i+1) >= binary.BigEndian.Uint32(sc[8+12*(run+1):]) {
			run++
		}
		if runs == 0 {
			break
		}
		n := int64(binary.BigEndian.Uint32(sc[8+12*run+4:]))
		length := int64(0)
		for ; n > 0 && next < len(sizes); n-- {
			length += int64(sizes[next])
			next++
		}
		if off < 0 || off > m.size || length > m.size-off {
			return refuse(brokenFilm)
		}
		m.edits.zero(off, length)
	}
	if next < len(sizes) {
		return refuse(brokenFilm)
	}
	m.free(t.box)
	return nil
}

// sampleSizes reads stsz, the size of every sample.
func (t *mp4Track) sampleSizes() ([]uint32, error) {
	v := t.tables["stsz"]
	if v == nil {
		if t.tables["stz2"] != nil {
			return nil, refuse(brokenFilm)
		}
		return nil, nil
	}
	if len(v) < 12 {
		return nil, refuse(brokenFilm)
	}
	same, n := binary.BigEndian.Uint32(v[4:]), binary.BigEndian.Uint32(v[8:])
	if n > maxSamples || same == 0 && int64(n)*4 > int64(len(v)-12) {
		return nil, refuse(brokenFilm)
	}
	out := make([]uint32, n)
	for i := range out {
		if out[i] = same; same == 0 {
			out[i] = binary.BigEndian.Uint32(v[12+4*i:])
		}
	}
	return out, nil
}

// chunks reads where the runs of samples begin.
func (t *mp4Track) chunks() ([]int64, error) {
	v, each := t.tables["stco"], 4
	if v == nil {
		v, each = t.tables["co64"], 8
	}
	if v == nil {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint32(v[4:]))
	if n > maxSamples || n > (len(v)-8)/each {
		return nil, refuse(brokenFilm)
	}
	out := make([]int64, n)
	for i := range out {
		if each == 8 {
			out[i] = int64(binary.BigEndian.Uint64(v[8+8*i:]))
		} else {
			out[i] = int64(binary.BigEndian.Uint32(v[8+4*i:]))
		}
	}
	return out, nil
}

// iso6709 is a place as phones write it into a film: +38.1838+107.4884/
var iso6709 = regexp.MustCompile(`([+-]\d{1,2}\.\d+)([+-]\d{1,3}\.\d+)(?:[+-]\d+(?:\.\d+)?)?(?:CRS([A-Za-z0-9_-]{1,20}))?/`)

// placeIn looks for a place in a box that will not be served.
func (m *mp4) placeIn(b mp4Box) {
	v, err := m.all(b, 0)
	if err != nil || m.taken.HasPlace {
		return
	}
	f := iso6709.FindSubmatch(v)
	if f == nil {
		return
	}
	lat, err1 := strconv.ParseFloat(string(f[1]), 64)
	lon, err2 := strconv.ParseFloat(string(f[2]), 64)
	if err1 == nil && err2 == nil && lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180 && (lat != 0 || lon != 0) {
		m.taken.HasPlace, m.taken.Lon, m.taken.Lat, m.taken.Datum = true, lon, lat, string(f[3])
	}
}
