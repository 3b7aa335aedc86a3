// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"onemap/internal/attach/media"
)

// box makes a box of MP4.
func box(name string, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(all))), name...), all...)
}

func words(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// track is a trak with one chunk of n samples of size bytes each, at off.
func track(id uint32, handler string, off, n, size, seconds uint32) []byte {
	return box("trak", box("tkhd", words(7, 0, 0, id, 0, seconds*1000, 0, 0, 0, 0)),
		box("mdia", box("mdhd", words(0, 0, 0, 1000, seconds*1000, 0)), box("hdlr", words(0, 0), []byte(handler), make([]byte, 13)),
			box("minf", box("gmhd", []byte("canary")), box("stbl", box("stsd", words(0, 0)), box("stts", words(0, 1, n, 1000)), box("stsc", words(0, 1, 1, n, 1)),
				box("stsz", words(0, size, n)), box("stco", words(0, 1, off))))),
		box("udta", box("name", []byte("canary"))))
}

// film is an MP4 with a picture, a sound and, with places, a track of places; its
// sample data, and where they begin.
func film(seconds uint32, places bool) (file, data []byte) {
	ftyp := box("ftyp", []byte("isom\x00\x00\x00\x01isommp42"))
	data = append(bytes.Repeat([]byte{0xa5}, 300), bytes.Repeat([]byte{0x5a}, 100)...)
	track3 := []byte("canary 38.1838368,107.4884925  and more   ")
	mdat := box("mdat", data, track3)
	at := uint32(len(ftyp) + 8)
	tracks := [][]byte{track(1, "vide", at, 3, 100, seconds), track(2, "soun", at+300, 1, 100, seconds)}
	if places {
		tracks = append(tracks, track(3, "meta", at+400, 2, uint32(len(track3)/2), seconds))
	} else {
		mdat = box("mdat", data)
	}
	moov := box("moov", box("mvhd", words(0, 3_847_000_000, 0, 1000, seconds*1000, 0)), bytes.Join(tracks, nil),
		box("udta", box("\xa9xyz", []byte("\x00\x12\x15\xc7+38.1838368+107.4884925/")), box("loci", []byte("canary"))),
		box("meta", words(0), box("keys", []byte("com.apple.quicktime.location.ISO6709 canary"))))
	free := box("free", []byte("freeGPS canary 38.1838368"))
	return bytes.Join([][]byte{ftyp, mdat, moov, free, box("uuid", []byte("canary")), box("gps ", []byte("canary 107.4884925"))}, nil), data
}

func TestAFilmIsServedWithoutItsPlaces(t *testing.T) {
	for _, places := range []bool{false, true} {
		file, data := film(42, places)
		info, out := served(t, file)
		noCanary(t, "mp4", out)
		nearCanary(t, "mp4", info.Taken, 1e-9)
		if info.Kind != media.Video || info.Type != "video/mp4" || info.Duration != 42*time.Second || info.Taken.At.Year() != 2025 {
			t.Errorf("%+v", info)
		}
		if len(out) != len(file) || !bytes.Contains(out, data) {
			t.Error("picture or sound have moved or changed")
		}
		again, twice := served(t, out)
		if again.Taken.HasPlace || !bytes.Equal(out, twice) {
			t.Error("stripped twice it is another")
		}
	}
	long, _ := film(75, false)
	refused(t, "a film of 75 s", long, "at most 60 s")
	none, _ := film(0, false)
	refused(t, "a film of no length", none, "how long")
	cut, _ := film(20, false)
	refused(t, "a film cut off", cut[:len(cut)-30], "broken")
	refused(t, "a film without a directory", box("ftyp", []byte("isom\x00\x00\x00\x01isommp42")), "broken")
}

// TestAFragmentedFilmIsMeasured: browsers write fragments, and no length in front.
func TestAFragmentedFilmIsMeasured(t *testing.T) {
	make1 := func(fragments uint32) []byte {
		tr := box("trak", box("tkhd", words(7, 0, 0, 1, 0, 0, 0, 0, 0, 0)), box("mdia", box("mdhd", words(0, 0, 0, 1000, 0, 0)), box("hdlr", words(0, 0), []byte("vide"), make([]byte, 13)),
			box("minf", box("stbl", box("stsz", words(0, 0, 0))))))
		parts := [][]byte{box("ftyp", []byte("iso5\x00\x00\x02\x00iso5iso6")), box("moov", box("mvhd", words(0, 0, 0, 1000, 0, 0)), tr, box("mvex", box("trex", words(0, 1, 1, 40, 0, 0))))}
		for i := range fragments {
			trun := box("trun", words(0, 25)) // 25 of the default 40 ms
			if i%2 == 1 {
				trun = box("trun", words(0x301, 2, 0, 600, 10, 400, 10)) // two with their own
			}
			parts = append(parts, box("moof", box("mfhd", words(0, i)), box("traf", box("tfhd", words(0, 1)), trun)), box("mdat", []byte("pictures")), box("emsg", []byte("canary")))
		}
		return bytes.Join(parts, nil)
	}
	info, out := served(t, make1(30))
	noCanary(t, "fragments", out)
	if info.Duration != 30*time.Second || info.Kind != media.Video {
		t.Errorf("%+v", info)
	}
	refused(t, "90 fragments of a second", make1(90), "lasts 90 s")
}

// ebml makes an element of WebM; size -1 for one whose end is not said.
func ebml(id uint32, open bool, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	b := bytes.TrimLeft(words(id), "\x00")
	if open {
		return append(append(b, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), all...)
	}
	return append(append(b, binary.BigEndian.AppendUint32([]byte{0x08, 0, 0, 0}[:1:1], uint32(len(all)))...), all...)
}

func TestAWebMOfABrowserIsServedWithoutItsTags(t *testing.T) {
	recording := func(kind byte, seconds int, open bool) []byte {
		parts := [][]byte{
			ebml(0x1549a966, false, ebml(0x2ad7b1, false, []byte{0x0f, 0x42, 0x40}), ebml(0x7ba9, false, []byte("canary title")), ebml(0x4d80, false, []byte("canary"))),
			ebml(0x1654ae6b, false, ebml(0xae, false, ebml(0x83, false, []byte{kind}), ebml(0x536e, false, []byte("canary")))),
		}
		for s := range seconds {
			parts = append(parts, ebml(0x1f43b675, open, ebml(0xe7, false, binary.BigEndian.AppendUint32(nil, uint32(s*1000))),
				ebml(0xa3, false, []byte{0x81, 0x03, 0xe8, 0x80}, []byte("pictures")), ebml(0xec, false, []byte("canary in a void"))))
		}
		parts = append(parts, ebml(0x1254c367, false, ebml(0x7373, false, []byte("LOCATION canary 38.1838368"))), ebml(0x1941a469, false, []byte("canary")))
		return append(ebml(0x1a45dfa3, false, ebml(0x4282, false, []byte("webm"))), ebml(0x18538067, open, parts...)...)
	}
	for _, open := range []bool{false, true} {
		file := recording(1, 12, open)
		info, out := served(t, file)
		noCanary(t, "webm", out)
		if info.Kind != media.Video || info.Type != "video/webm" || info.Duration != 12*time.Second {
			t.Errorf("%+v", info)
		}
		if len(out) != len(file) || bytes.Count(out, []byte("pictures")) != 12 {
			t.Error("pictures have moved or changed")
		}
		if again, twice := served(t, out); again.Duration != info.Duration || !bytes.Equal(out, twice) {
			t.Error("stripped twice it is another")
		}
	}
	if info, _ := served(t, recording(2, 70, true)); info.Kind != media.Voice || info.Type != "audio/webm" {
		t.Errorf("%+v", info)
	}
	refused(t, "a film of 70 s", recording(1, 70, true), "lasts 70 s")
	refused(t, "a track of texts", recording(0x11, 5, false), "picture and sound alone")
	refused(t, "a recording of hours", recording(2, 400, true), "at most 300 s")
}

func TestRecordingsAreMeasuredAndServedWithoutTheirTags(t *testing.T) {
	amr := append([]byte("#!AMR\n"), bytes.Repeat(append([]byte{0x3c}, make([]byte, 31)...), 100)...)
	info, out := served(t, append(bytes.Clone(amr), 0x3c, 1))
	if info.Duration != 2*time.Second || info.Type != "audio/amr" || !bytes.Equal(out, amr) {
		t.Errorf("amr: %+v", info)
	}
	refused(t, "AMR with something else in it", append(bytes.Clone(amr), "canary"...), "broken")

	riff := func(chunks ...[]byte) []byte {
		all := bytes.Join(chunks, nil)
		return append(append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(all))), "WAVE"...), all...)
	}
	part := func(name string, body []byte) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body))), body...)
	}
	format := []byte{1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0} // 8,000 a second, 16,000 bytes
	sound := bytes.Repeat([]byte{1, 2}, 24_000)
	info, out = served(t, riff(part("LIST", []byte("INFOcanary")), part("fmt ", format), part("data", sound), part("iXML", []byte("canary"))))
	noCanary(t, "wav", out)
	if info.Duration != 3*time.Second || !bytes.Equal(out, riff(part("fmt ", format), part("data", sound))) {
		t.Errorf("wav: %+v, %d bytes", info, len(out))
	}

	frame := append([]byte{0xff, 0xfb, 0x90, 0}, make([]byte, 413)...) // 128 kbit/s, 44,100 a second: 417 bytes
	frames := bytes.Repeat(frame, 100)
	id3 := append([]byte("ID3\x04\x00\x00\x00\x00\x00\x11"), "GEOBcanary38.1838"...)
	info, out = served(t, bytes.Join([][]byte{id3, frames, []byte("TAGcanary"), make([]byte, 119)}, nil))
	if info.Duration.Round(time.Millisecond) != 2612*time.Millisecond || !bytes.Equal(out, frames) {
		t.Errorf("mp3: %+v, %d bytes of %d", info, len(out), len(frames))
	}
}

// oggPage makes a page of Ogg whose sum is made bit by bit.
func oggPage(n, serial uint32, granule uint64, body []byte) []byte {
	b := append([]byte("OggS\x00\x00"), binary.LittleEndian.AppendUint64(nil, granule)...)
	b = binary.LittleEndian.AppendUint32(b, serial)
	b = binary.LittleEndian.AppendUint32(b, n)
	b = append(b, 0, 0, 0, 0, byte(len(body)/255+1))
	b = append(append(b, bytes.Repeat([]byte{255}, len(body)/255)...), byte(len(body)%255))
	b = append(b, body...)
	var c uint32
	for _, x := range b {
		for bit := 7; bit >= 0; bit-- {
			top := c>>31 ^ uint32(x>>bit)&1
			c <<= 1
			if top == 1 {
				c ^= 0x04c11db7
			}
		}
	}
	binary.LittleEndian.PutUint32(b[22:], c)
	return b
}

func TestAnOggIsServedWithoutItsComments(t *testing.T) {
	head := append([]byte("OpusHead\x01\x01"), 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, 0)
	text := func(s string) []byte { return append(binary.LittleEndian.AppendUint32(nil, uint32(len(s))), s...) }
	tags := bytes.Join([][]byte{[]byte("OpusTags"), text("libopus"), {2, 0, 0, 0}, text("LOCATION=canary 38.1838368"), text("TITLE=" + strings.Repeat("canary ", 60)), []byte("canary")}, nil)
	file := bytes.Join([][]byte{oggPage(0, 9, 0, head), oggPage(1, 9, 0, tags), oggPage(2, 9, 312+48_000*4, []byte("sound"))}, nil)
	info, out := served(t, file)
	noCanary(t, "ogg", out)
	if info.Duration != 4*time.Second || info.Type != "audio/ogg" || len(out) != len(file) || !bytes.HasSuffix(out, []byte("sound")) {
		t.Errorf("%+v", info)
	}
	if _, twice := served(t, out); !bytes.Equal(twice, out) { // its sums are right, too
		t.Error("stripped twice it is another")
	}
	file[len(file)-1]++
	refused(t, "an Ogg with a wrong sum", file, "broken")
}
