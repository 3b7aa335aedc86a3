// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media

import (
	"bytes"
	"encoding/binary"
	"io"
	"time"
)

const brokenSound = "the recording is broken or cut off: record it anew"

// Bytes of a frame of AMR (RFC 4867) by its type, the first one included; 0 is no type.
var (
	amrNarrow = [16]int{13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1}
	amrWide   = [16]int{18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1}
)

// examineAMR counts the frames, of 20 ms each. The format has room for nothing else;
// half a frame at the end is left out.
func examineAMR(b []byte) (Info, Copy, error) {
	info := Info{Kind: Voice, Type: "audio/amr"}
	frame, at := amrNarrow, len("#!AMR\n")
	switch {
	case bytes.HasPrefix(b, []byte("#!AMR-WB\n")):
		info.Type, frame, at = "audio/amr-wb", amrWide, len("#!AMR-WB\n")
	case !bytes.HasPrefix(b, []byte("#!AMR\n")):
		return info, nil, refuse("this form of AMR is not taken: record one channel")
	}
	for at < len(b) {
		n := frame[b[at]>>3&15]
		if n == 0 || b[at]&0x83 != 0 {
			return info, nil, refuse(brokenSound)
		}
		if at+n > len(b) {
			break
		}
		at += n
		info.Duration += 20 * time.Millisecond
	}
	return info, Copy{{Off: 0, Len: int64(at)}}, nil
}

// examineWAV keeps format and samples; lists of titles, broadcast and other chunks
// are left out.
func examineWAV(r io.ReaderAt, size int64) (Info, Copy, error) {
	info := Info{Kind: Voice, Type: "audio/wav"}
	out := Copy{{}}
	var rate, bytesOf int64
	chunks := 0
	for at := int64(12); at+8 <= size; {
		var h [8]byte
		if chunks++; chunks > 1000 {
			return info, nil, refuse(brokenSound)
		}
		if _, err := r.ReadAt(h[:], at); err != nil {
			return info, nil, err
		}
		name, n := string(h[:4]), int64(binary.LittleEndian.Uint32(h[4:]))
		end := at + 8 + n + n&1
		if name == "data" && end > size { // a recorder that was cut off
			n = (size - at - 8) &^ 1
			end = at + 8 + n
			binary.LittleEndian.PutUint32(h[4:], uint32(n))
		}
		if end > size {
			return info, nil, refuse(brokenSound)
		}
		switch name {
		case "fmt ":
			var f [16]byte
			if n < 16 || n > 64 || rate != 0 {
				return info, nil, refuse(brokenSound)
			}
			if _, err := r.ReadAt(f[:], at+8); err != nil {
				return info, nil, err
			}
			rate = int64(binary.LittleEndian.Uint32(f[8:]))
		case "data":
			bytesOf += n
		}
		if name == "fmt " || name == "data" || name == "fact" {
			out = append(out, Piece{Text: bytes.Clone(h[:])}, Piece{Off: at + 8, Len: end - at - 8})
		}
		at = end
	}
	if rate == 0 || bytesOf == 0 {
		return info, nil, refuse(brokenSound)
	}
	riff := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(out.Size()+4))
	out[0] = Piece{Text: append(riff, "WAVE"...)}
	info.Duration = time.Duration(float64(bytesOf) / float64(rate) * float64(time.Second))
	return info, out, nil
}

// Kilobits a second of MPEG audio (ISO 11172-3, 13818-3) by version, layer and index.
var mp3Rates = map[[2]int][15]int{
	{1, 1}: {0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{1, 2}: {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{1, 3}: {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{2, 1}: {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{2, 2}: {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	{2, 3}: {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// examineMP3 keeps the frames of sound from the first to the last that follow each
// other; tags before and behind are left out.
func examineMP3(b []byte) (Info, Copy, error) {
	info := Info{Kind: Voice, Type: "audio/mpeg"}
	at := 0
	for bytes.HasPrefix(b[at:], []byte("ID3")) && at+10 <= len(b) {
		n := int(b[at+6]&0x7f)<<21 | int(b[at+7]&0x7f)<<14 | int(b[at+8]&0x7f)<<7 | int(b[at+9]&0x7f)
		if b[at+5]&0x10 != 0 {
			n += 10
		}
		if at += 10 + n; at > len(b) {
			return info, nil, refuse(brokenSound)
		}
	}
	for at < len(b) && b[at] == 0 { // padding
		at++
	}
	begin, frames := at, 0
	for at+4 <= len(b) {
		n, last := mp3Frame(b[at:])
		if n == 0 || at+n > len(b) {
			break
		}
		at, frames = at+n, frames+1
		info.Duration += last
	}
	if frames < 2 {
		return info, nil, refuse(brokenSound)
	}
	return info, Copy{{Off: int64(begin), Len: int64(at - begin)}}, nil
}

// mp3Frame is the length of the frame that begins here and how long it plays; 0 when
// none does.
func mp3Frame(b []byte) (int, time.Duration) {
	if b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return 0, 0
	}
	version := map[byte]int{3: 1, 2: 2, 0: 3}[b[1]>>3&3] // 3 is version 2.5
	layer := 4 - int(b[1]>>1&3)
	index, freq := int(b[2]>>4), int(b[2]>>2&3)
	if version == 0 || layer == 4 || index == 0 || index == 15 || freq == 3 {
		return 0, 0
	}
	hz := []int{44100, 48000, 32000}[freq] >> (version - 1)
	kbit := mp3Rates[[2]int{min(version, 2), layer}][index]
	pad := int(b[2] >> 1 & 1)
	samples := 1152
	switch {
	case layer == 1:
		samples = 384
	case layer == 3 && version > 1:
		samples = 576
	}
	n := samples/8*kbit*1000/hz + pad
	if layer == 1 {
		n = (12*kbit*1000/hz + pad) * 4
	}
	return n, time.Duration(samples) * time.Second / time.Duration(hz)
}
