// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"bytes"
	"encoding/binary"
)

// Markers of JPEG (ITU-T T.81).
const (
	markSOI   = 0xd8
	markEOI   = 0xd9
	markSOS   = 0xda
	markDQT   = 0xdb
	markDHT   = 0xc4
	markDNL   = 0xdc
	markDRI   = 0xdd
	markAPP0  = 0xe0
	markAPP1  = 0xe1
	markAPP2  = 0xe2
	markAPP14 = 0xee
)

const brokenPicture = "the picture is broken or cut off: take it anew"

// jpegFrame is what the frame header says of the picture.
type jpegFrame struct {
	w, h, parts int
	samples     int64 // in all parts
	progressive bool
}

// examineJPEG walks over the segments and keeps what a decoder needs: tables,
// frames, scans, the colour profile. EXIF, XMP, previews, comments, makers' own
// segments and whatever follows the end (the film of a "motion photo") are left out.
// Of EXIF the orientation alone is written anew.
func examineJPEG(b []byte) (Info, Copy, error) {
	info := Info{Type: "image/jpeg", Kind: Photo, Orientation: 1}
	out := Copy{{Off: 0, Len: 2}}
	var f jpegFrame
	var adobeRGB bool
	turned := -1 // where the orientation goes
	at := 2
	for {
		if at+1 >= len(b) || b[at] != 0xff {
			return info, nil, refuse(brokenPicture)
		}
		begin := at
		for at < len(b) && b[at] == 0xff { // more of them may fill
			at++
		}
		if at >= len(b) {
			return info, nil, refuse(brokenPicture)
		}
		mark := b[at]
		at++
		if mark == markEOI {
			out = append(out, Piece{Text: []byte{0xff, markEOI}})
			break
		}
		if mark == 0 || mark == 1 || mark >= 0xd0 && mark <= markSOI || at+2 > len(b) {
			return info, nil, refuse(brokenPicture)
		}
		size := int(binary.BigEndian.Uint16(b[at:]))
		if size < 2 || at+size > len(b) {
			return info, nil, refuse(brokenPicture)
		}
		body := b[at+2 : at+size]
		at += size
		keep := false
		switch {
		case mark == markAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")) && len(body) >= 14:
			plain := append([]byte{0xff, markAPP0, 0, 16}, body[:12]...) // without its preview
			out = append(out, Piece{Text: append(plain, 0, 0)})
		case mark == markAPP1 && bytes.HasPrefix(body, []byte("Exif\x00")) && len(body) > 6 && info.Taken == (Taken{}) && info.Orientation == 1:
			info.Orientation, info.Taken = readEXIF(body[6:])
		case mark == markAPP2:
			keep = bytes.HasPrefix(body, []byte("ICC_PROFILE\x00"))
		case mark == markAPP14:
			if keep = bytes.HasPrefix(body, []byte("Adobe")) && len(body) == 12; keep {
				adobeRGB = body[11] == 0
			}
		case mark == markDQT, mark == markDHT, mark == markDNL, mark == markDRI, mark == markSOS:
			keep = true
		case mark >= 0xc0 && mark <= 0xc2:
			if f.w != 0 {
				return info, nil, refuse(brokenPicture)
			}
			if err := f.read(mark, body); err != nil {
				return info, nil, err
			}
			keep = true
		case mark >= 0xc3 && mark <= 0xcf:
			return info, nil, refuse("this way of packing a JPEG is not taken: choose the camera's plain JPEG")
		}
		if turned < 0 && mark != markAPP0 {
			turned = len(out)
			out = append(out, Piece{Text: []byte{}})
		}
		if keep {
			out.keep(int64(begin), int64(at-begin))
		}
		if mark == markSOS {
			end := scanEnd(b, at)
			out.keep(int64(at), int64(end-at))
			at = end
		}
		if len(out) > maxPieces {
			return info, nil, refuse(brokenPicture)
		}
	}
	if f.w == 0 || turned < 0 {
		return info, nil, refuse(brokenPicture)
	}
	info.Width, info.Height = f.w, f.h
	if err := bearable(int64(f.w)*int64(f.h), f.room(adobeRGB)); err != nil {
		return info, nil, err
	}
	if info.Orientation > 1 {
		out[turned].Text = orientationSegment(info.Orientation)
	}
	return info, out, nil
}

// scanEnd is where the coded data after a scan's header end: at the next marker that
// is neither a stuffed byte nor a restart.
func scanEnd(b []byte, at int) int {
	for at+1 < len(b) {
		i := bytes.IndexByte(b[at:len(b)-1], 0xff)
		if i < 0 {
			break
		}
		at += i
		if m := b[at+1]; m != 0 && m != 0xff && (m < 0xd0 || m > 0xd7) {
			return at
		}
		at++
	}
	return len(b)
}

// read reads a frame header.
func (f *jpegFrame) read(mark byte, body []byte) error {
	if len(body) < 6 || len(body) < 6+3*int(body[5]) || body[5] == 0 || body[5] > 4 {
		return refuse(brokenPicture)
	}
	f.h, f.w, f.parts = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:])), int(body[5])
	if f.w == 0 || f.h == 0 {
		return refuse(brokenPicture)
	}
	f.progressive = mark == 0xc2
	var most, all int64
	for i := range f.parts {
		factors := body[6+3*i+1]
		n := int64(factors>>4) * int64(factors&15)
		if factors>>4 == 0 || factors>>4 > 4 || factors&15 == 0 || factors&15 > 4 {
			return refuse(brokenPicture)
		}
		most, all = max(most, n), all+n
	}
	f.samples = int64(f.w) * int64(f.h) * all / most
	return nil
}

// room is how many bytes decoding takes.
func (f *jpegFrame) room(rgb bool) int64 {
	n := f.samples
	if f.progressive {
		n += 4 * f.samples // coefficients of the whole picture
	}
	if f.parts == 4 || rgb {
		n += 4 * int64(f.w) * int64(f.h)
	}
	return n
}

// bearable refuses a picture that is small as a file and large in memory.
func bearable(pixels, room int64) error {
	if pixels > MaxPixels || room > MaxPictureRoom {
		return refuse("the picture has %d million pixels, more than is taken in this form: choose a smaller picture size in the camera", pixels/1_000_000)
	}
	return nil
}

// orientationSegment is EXIF with nothing in it but which side is up.
func orientationSegment(o int) []byte {
	return append([]byte{0xff, markAPP1, 0, 34}, "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"+string(rune(o))+"\x00\x00\x00\x00\x00\x00"...)
}
