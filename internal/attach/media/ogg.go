// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"bytes"
	"encoding/binary"
	"time"
)

// oggTable is the checksum's table of RFC 3533: polynomial 04c11db7, not reflected.
var oggTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

func oggSum(page []byte) (c uint32) {
	for i, x := range page {
		if i >= 22 && i < 26 { // the sum itself
			x = 0
		}
		c = c<<8 ^ oggTable[byte(c>>24)^x]
	}
	return c
}

// examineOgg reads one stream of Opus or Vorbis and blanks the texts of its comments,
// which may name a place, in the page they stand in.
func examineOgg(b []byte) (Info, Copy, error) {
	info := Info{Kind: Voice, Type: "audio/ogg"}
	var rate, skip int64
	var e edits
	var serial uint32
	var last uint64
	n := 0
	for at := 0; at < len(b); n++ {
		page, table, ok := oggPage(b[at:])
		if !ok || n > 0 && binary.LittleEndian.Uint32(page[14:]) != serial {
			return info, nil, refuse(brokenSound)
		}
		serial = binary.LittleEndian.Uint32(page[14:])
		if g := binary.LittleEndian.Uint64(page[6:]); g != 1<<64-1 {
			last = max(last, g)
		}
		body := page[27+len(table):]
		switch n {
		case 0:
			if rate, skip = oggHead(body); rate == 0 {
				return info, nil, refuse("this form of Ogg is not taken: record Opus or Vorbis")
			}
		case 1:
			blank := bytes.Clone(page)
			if !blankComments(blank[27+len(table):], table) {
				return info, nil, refuse("the recording has too much text in it: record it anew")
			}
			binary.LittleEndian.PutUint32(blank[22:], oggSum(blank))
			e.put(int64(at), blank)
		}
		at += len(page)
	}
	if n < 3 || int64(last) < 0 {
		return info, nil, refuse(brokenSound)
	}
	if seconds := (int64(last) - skip) / rate; seconds > 3600 {
		info.Duration = time.Hour
	} else {
		info.Duration = time.Duration(int64(last)-skip) * time.Second / time.Duration(rate)
	}
	return info, e.copyOf(int64(len(b))), nil
}

// oggPage is the page that begins here and its table of segments.
func oggPage(b []byte) (page, table []byte, ok bool) {
	if len(b) < 27 || string(b[:4]) != "OggS" || len(b) < 27+int(b[26]) {
		return nil, nil, false
	}
	table = b[27 : 27+int(b[26])]
	n := 27 + len(table)
	for _, x := range table {
		n += int(x)
	}
	if n > len(b) || oggSum(b[:n]) != binary.LittleEndian.Uint32(b[22:]) {
		return nil, nil, false
	}
	return b[:n], table, true
}

// oggHead reads the samples a second of the first packet, and how many at its start
// are not played.
func oggHead(body []byte) (rate, skip int64) {
	switch {
	case len(body) >= 19 && bytes.HasPrefix(body, []byte("OpusHead")):
		return 48000, int64(binary.LittleEndian.Uint16(body[10:]))
	case len(body) >= 30 && bytes.HasPrefix(body, []byte("\x01vorbis")):
		return int64(binary.LittleEndian.Uint32(body[12:])), 0
	}
	return 0, 0
}

// blankComments overwrites the texts of the comment packet that the page begins with;
// false when it does not end in this page, or is broken.
func blankComments(body, table []byte) bool {
	n, whole := 0, false
	for _, x := range table {
		n += int(x)
		if x < 255 {
			whole = true
			break
		}
	}
	at := 0
	for _, name := range []string{"OpusTags", "\x03vorbis"} {
		if bytes.HasPrefix(body, []byte(name)) {
			at = len(name)
		}
	}
	if !whole || at == 0 {
		return false
	}
	text := func() ([]byte, bool) {
		if at+4 > n {
			return nil, false
		}
		size := binary.LittleEndian.Uint32(body[at:])
		at += 4
		if uint64(size) > uint64(n-at) {
			return nil, false
		}
		t := body[at : at+int(size)]
		at += int(size)
		return t, true
	}
	if _, ok := text(); !ok || at+4 > n { // the encoder's name stays
		return false
	}
	count := binary.LittleEndian.Uint32(body[at:])
	at += 4
	for range count {
		t, ok := text()
		if !ok {
			return false
		}
		for i := range t {
			t[i] = ' '
		}
		if len(t) > 0 {
			t[min(1, len(t)-1)] = '='
		}
	}
	if string(body[:8]) == "OpusTags" { // what may follow has no form
		clear(body[at:n])
	}
	return true
}
