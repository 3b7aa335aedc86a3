// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// pngKept are the chunks of a PNG that its picture needs. Texts, times, EXIF,
// animation and chunks of anybody's own are left out.
var pngKept = []string{"IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "sBIT", "bKGD", "pHYs"}

func examinePNG(b []byte) (Info, Copy, error) {
	info := Info{Type: "image/png", Kind: Photo, Orientation: 1}
	out := Copy{{Off: 0, Len: 8}}
	data := false
	for at := 8; ; {
		if at+12 > len(b) {
			return info, nil, refuse(brokenPicture)
		}
		n := int64(binary.BigEndian.Uint32(b[at:]))
		name := string(b[at+4 : at+8])
		end := int64(at) + 12 + n
		if end > int64(len(b)) || crc32.ChecksumIEEE(b[at+4:end-4]) != binary.BigEndian.Uint32(b[end-4:]) {
			return info, nil, refuse(brokenPicture)
		}
		body := b[at+8 : end-4]
		switch {
		case (name == "IHDR") != (at == 8), name == "IHDR" && n != 13:
			return info, nil, refuse(brokenPicture)
		case name == "IHDR":
			w, h := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
			if w == 0 || h == 0 || w > 1<<20 || h > 1<<20 {
				return info, nil, refuse(brokenPicture)
			}
			info.Width, info.Height = int(w), int(h)
			if err := bearable(int64(w)*int64(h), pngRoom(int64(w)*int64(h), body)); err != nil {
				return info, nil, err
			}
		case name == "eXIf":
			_, info.Taken = readEXIF(body) // decoders show a PNG as it is stored
		case name == "IDAT":
			data = true
		}
		if slices.Contains(pngKept, name) {
			out.keep(int64(at), end-int64(at))
		}
		if len(out) > maxPieces {
			return info, nil, refuse(brokenPicture)
		}
		if name == "IEND" {
			break
		}
		at = int(end)
	}
	if !data {
		return info, nil, refuse(brokenPicture)
	}
	return info, out, nil
}

// pngRoom is how many bytes decoding takes, by the header.
func pngRoom(pixels int64, head []byte) int64 {
	each := map[byte]int64{0: 1, 2: 4, 3: 1, 4: 4, 6: 4}[head[9]]
	if each == 0 {
		each = 8
	}
	if head[8] == 16 {
		each = 8
	}
	if head[12] != 0 { // interlaced: the passes are held beside the whole
		each *= 2
	}
	return pixels * each
}
