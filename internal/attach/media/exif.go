// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"encoding/binary"
	"strings"
	"time"
)

// Tags of EXIF (a TIFF directory) that are read; everything else is dropped unread.
const (
	tagOrientation  = 0x0112
	tagDateTime     = 0x0132
	tagExif         = 0x8769 // where the directory of the exposure stands
	tagGPS          = 0x8825 // and that of the place
	tagTakenAt      = 0x9003
	tagTakenZone    = 0x9011
	tagLatitudeRef  = 0x0001
	tagLatitude     = 0x0002
	tagLongitudeRef = 0x0003
	tagLongitude    = 0x0004
	tagMapDatum     = 0x0012
)

// maxEntries bounds one directory; cameras write below a hundred.
const maxEntries = 1000

// entry is one field of a TIFF directory.
type entry struct {
	kind  uint16
	count uint32
	value []byte // count times the size of kind
}

var kindSize = map[uint16]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}

// tiff is a block of EXIF: offsets count from its beginning.
type tiff struct {
	b     []byte
	order binary.ByteOrder
}

// readEXIF reads what concerns us of a TIFF block. What is broken is left out:
// nothing of it is served, so nothing has to be right.
func readEXIF(b []byte) (orientation int, taken Taken) {
	orientation = 1
	if len(b) < 8 {
		return orientation, taken
	}
	t := tiff{b: b, order: binary.ByteOrder(binary.BigEndian)}
	if string(b[:2]) == "II" {
		t.order = binary.LittleEndian
	}
	root := t.directory(t.order.Uint32(b[4:]))
	if e := root[tagOrientation]; e.kind == 3 && e.count == 1 {
		if o := int(t.order.Uint16(e.value)); o >= 1 && o <= 8 {
			orientation = o
		}
	}
	exposure := t.below(root, tagExif)
	when := exposure[tagTakenAt].text()
	if when == "" {
		when = root[tagDateTime].text()
	}
	taken.At = exifTime(when, exposure[tagTakenZone].text())
	t.place(t.below(root, tagGPS), &taken)
	return orientation, taken
}

// directory reads the fields of one directory.
func (t tiff) directory(off uint32) map[uint16]entry {
	out := map[uint16]entry{}
	if uint64(off)+2 > uint64(len(t.b)) {
		return out
	}
	n := min(int(t.order.Uint16(t.b[off:])), maxEntries)
	for i := range n {
		at := uint64(off) + 2 + 12*uint64(i)
		if at+12 > uint64(len(t.b)) {
			break
		}
		f := t.b[at : at+12]
		e := entry{kind: t.order.Uint16(f[2:]), count: t.order.Uint32(f[4:])}
		size := kindSize[e.kind] * uint64(e.count)
		where := at + 8
		if size > 4 {
			where = uint64(t.order.Uint32(f[8:]))
		}
		if size == 0 || where+size > uint64(len(t.b)) {
			continue
		}
		e.value = t.b[where : where+size]
		out[t.order.Uint16(f)] = e
	}
	return out
}

// below is the directory that a field of another one points to.
func (t tiff) below(dir map[uint16]entry, tag uint16) map[uint16]entry {
	if e := dir[tag]; e.kind == 4 && e.count == 1 {
		return t.directory(t.order.Uint32(e.value))
	}
	return nil
}

func (e entry) text() string {
	if e.kind != 2 {
		return ""
	}
	s, _, _ := strings.Cut(string(e.value), "\x00")
	return strings.TrimSpace(s)
}

// degrees is an angle of three fractions: degrees, minutes, seconds.
func (t tiff) degrees(e entry) (v float64, ok bool) {
	if e.kind != 5 || e.count != 3 {
		return 0, false
	}
	for i, part := range []float64{1, 60, 3600} {
		n, d := t.order.Uint32(e.value[8*i:]), t.order.Uint32(e.value[8*i+4:])
		if d == 0 {
			if n == 0 {
				continue
			}
			return 0, false
		}
		v += float64(n) / float64(d) / part
	}
	return v, true
}

func (t tiff) place(gps map[uint16]entry, to *Taken) {
	lat, okLat := t.degrees(gps[tagLatitude])
	lon, okLon := t.degrees(gps[tagLongitude])
	if !okLat || !okLon || lat > 90 || lon > 180 || lat == 0 && lon == 0 {
		return
	}
	if gps[tagLatitudeRef].text() == "S" {
		lat = -lat
	}
	if gps[tagLongitudeRef].text() == "W" {
		lon = -lon
	}
	to.HasPlace, to.Lon, to.Lat, to.Datum = true, lon, lat, short(gps[tagMapDatum].text())
}

// short is a text of a file as it may be kept: letters and digits, not many.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), 40)]
}

// exifTime reads "2026:11:22 15:04:05" with "+08:00", or without.
func exifTime(text, zone string) time.Time {
	if t, err := time.Parse("2006:01:02 15:04:05-07:00", text+zone); err == nil {
		return sane(t)
	}
	t, err := time.ParseInLocation("2006:01:02 15:04:05", text, china)
	if err != nil {
		return time.Time{}
	}
	return sane(t)
}

// sane drops a time that no camera of today wrote.
func sane(t time.Time) time.Time {
	if t.Year() < 1990 || t.Year() > 2200 {
		return time.Time{}
	}
	return t
}
