// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package media_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/internal/attach/media"
)

// The canary place: as it stands in the samples, in every form it is written.
const canaryLon, canaryLat = 107.4884925, 38.1838368

// exifBlock is a TIFF directory with orientation, time and place, and a maker's note.
func exifBlock(order binary.AppendByteOrder, orientation uint16) []byte {
	var b []byte
	u16 := func(v uint16) { b = order.AppendUint16(b, v) }
	u32 := func(v uint32) { b = order.AppendUint32(b, v) }
	field := func(tag, kind uint16, n, value uint32) { u16(tag); u16(kind); u32(n); u32(value) }
	short := func(v uint16) uint32 {
		if order.String() == "BigEndian" {
			return uint32(v) << 16
		}
		return uint32(v)
	}
	text4 := func(s string) uint32 {
		p := append([]byte(s), 0, 0, 0, 0)[:4]
		if order.String() == "BigEndian" {
			return binary.BigEndian.Uint32(p)
		}
		return binary.LittleEndian.Uint32(p)
	}
	b = append(b, map[string]string{"BigEndian": "MM", "LittleEndian": "II"}[order.String()]...)
	u16(42)
	u32(8)
	const root, exposure, gps, data = 8, 50, 80, 150
	u16(3)
	field(0x0112, 3, 1, short(orientation))
	field(0x8769, 4, 1, exposure)
	field(0x8825, 4, 1, gps)
	u32(0)
	b = append(b, make([]byte, exposure-len(b))...)
	u16(2)
	field(0x9003, 2, 20, data)
	field(0x9011, 2, 7, data+20)
	u32(0)
	b = append(b, make([]byte, gps-len(b))...)
	u16(5)
	field(1, 2, 2, text4("N"))
	field(2, 5, 3, data+27)
	field(3, 2, 2, text4("E"))
	field(4, 5, 3, data+51)
	field(0x12, 2, 7, data+75)
	u32(0)
	b = append(b, make([]byte, data-len(b))...)
	b = append(b, "2026:11:22 15:04:05\x00+08:00\x00"...)
	for _, v := range []float64{canaryLat, canaryLon} {
		deg, frac := math.Modf(v)
		minutes, sec := math.Modf(frac * 60)
		for _, r := range [][2]uint32{{uint32(deg), 1}, {uint32(minutes), 1}, {uint32(math.Round(sec * 60 * 1e4)), 1e4}} {
			u32(r[0])
			u32(r[1])
		}
	}
	b = append(b, "WGS-84\x00"...)
	return append(b, "MAKERNOTE canary 38.1838368,107.4884925"...)
}

func segment(mark byte, body []byte) []byte {
	return append([]byte{0xff, mark, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
}

// picture is noise, so that nothing in it is alike.
func picture(r *rand.Rand, w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = byte(r.Uint32())
	}
	return img
}

// inserted is a JPEG with segments of metadata between its own.
func inserted(t testing.TB, r *rand.Rand, plain []byte, orientation uint16) []byte {
	t.Helper()
	kinds := [][]byte{
		segment(0xe1, append([]byte("Exif\x00\x00"), exifBlock(binary.BigEndian, orientation)...)),
		segment(0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta exif:GPSLatitude='38,11.0302N' canary='38.1838368'/>")),
		segment(0xe2, []byte("MPF\x00canary 107.4884925")),
		segment(0xed, []byte("Photoshop 3.0\x00canary 107.4884925")),
		segment(0xfe, []byte("taken at 38.1838368,107.4884925")),
		segment(0xef, bytes.Repeat([]byte{0xff, 0xd9, 0, 7}, int(r.Uint32N(500)))), // markers inside a body are none
	}
	out := append([]byte{}, plain[:2]...)
	out = append(out, kinds[0]...)
	for at := 2; at < len(plain); {
		if plain[at] != 0xff {
			t.Fatalf("byte %d of a plain JPEG is %x", at, plain[at])
		}
		mark := plain[at+1]
		for range r.Uint32N(3) {
			out = append(out, kinds[1+r.IntN(len(kinds)-1)]...)
		}
		if mark == 0xda {
			out = append(out, plain[at:]...)
			break
		}
		size := int(binary.BigEndian.Uint16(plain[at+2:])) + 2
		out = append(out, plain[at:at+size]...)
		at += size
	}
	return append(out, "MotionPhoto_Data ftypmp42 canary +38.1838+107.4884/ 38.1838368"...)
}

func served(t testing.TB, file []byte) (media.Info, []byte) {
	t.Helper()
	info, how, err := media.Examine(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := how.Write(&b, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != how.Size() {
		t.Fatalf("the copy says %d bytes and has %d", how.Size(), b.Len())
	}
	return info, b.Bytes()
}

// canaries are forms of the canary place that no served byte may hold.
func canaries() [][]byte {
	out := [][]byte{[]byte("38.1838"), []byte("107.4884"), []byte("canary"), []byte("MAKERNOTE"), []byte("GPSLatitude"), []byte("WGS-84")}
	for _, v := range []float64{canaryLat, canaryLon} {
		deg, frac := math.Modf(v)
		minutes, sec := math.Modf(frac * 60)
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			var b []byte
			for _, x := range []uint32{uint32(deg), 1, uint32(minutes), 1, uint32(math.Round(sec * 60 * 1e4))} {
				b = order.AppendUint32(b, x)
			}
			out = append(out, b)
		}
	}
	return out
}

func noCanary(t testing.TB, what string, b []byte) {
	t.Helper()
	for _, c := range canaries() {
		if i := bytes.Index(b, c); i >= 0 {
			t.Errorf("%s: the canary %q stands at byte %d of what is served", what, c, i)
		}
	}
}

func nearCanary(t *testing.T, what string, k media.Taken, within float64) {
	t.Helper()
	if !k.HasPlace || math.Abs(k.Lon-canaryLon) > within || math.Abs(k.Lat-canaryLat) > within {
		t.Errorf("%s: the place in the file is read as %+v", what, k)
	}
}

// TestAStrippedPhotoShowsTheSamePixels: random JPEGs of every sampling Go makes, with
// segments of every kind of metadata put in, are served without them and decode to the
// very same pixels.
func TestAStrippedPhotoShowsTheSamePixels(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for range 60 {
		w, h := 1+r.IntN(90), 1+r.IntN(90)
		img := picture(r, w, h)
		if r.IntN(3) == 0 {
			grey := image.NewGray(img.Bounds())
			for i := range grey.Pix {
				grey.Pix[i] = byte(r.Uint32())
			}
			img = grey
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 20 + r.IntN(80)}); err != nil {
			t.Fatal(err)
		}
		orientation := uint16(1 + r.IntN(8))
		file := inserted(t, r, b.Bytes(), orientation)
		info, out := served(t, file)
		noCanary(t, "jpeg", out)
		nearCanary(t, "jpeg", info.Taken, 1e-6)
		if info.Taken.Datum != "WGS-84" || !info.Taken.At.Equal(time.Date(2026, 11, 22, 7, 4, 5, 0, time.UTC)) {
			t.Errorf("taken %+v", info.Taken)
		}
		if info.Width != w || info.Height != h || info.Orientation != int(orientation) || info.Type != "image/jpeg" {
			t.Errorf("%+v of %d by %d, orientation %d", info, w, h, orientation)
		}
		want, err1 := jpeg.Decode(bytes.NewReader(b.Bytes()))
		got, err2 := jpeg.Decode(bytes.NewReader(out))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		samePixels(t, want, got)
		again, twice := served(t, out)
		if again.Orientation != info.Orientation || !bytes.Equal(out, twice) {
			t.Errorf("stripped twice it is another: orientation %d, then %d", info.Orientation, again.Orientation)
		}
	}
}

func samePixels(t *testing.T, want, got image.Image) {
	t.Helper()
	if want.Bounds() != got.Bounds() {
		t.Fatalf("%v, want %v", got.Bounds(), want.Bounds())
	}
	b := want.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if want.At(x, y) != got.At(x, y) {
				t.Fatalf("pixel %d,%d is %v, want %v", x, y, got.At(x, y), want.At(x, y))
			}
		}
	}
}

// TestEveryFormOfJPEGIsStrippedWhole: those that come with Go: progressive, with
// restarts, grey, CMYK, of every sampling.
func TestEveryFormOfJPEGIsStrippedWhole(t *testing.T) {
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("SKIPPED: no go command: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "src", "image", "testdata", "*.jpeg"))
	if err != nil || len(paths) < 10 {
		t.Skipf("SKIPPED: Go's own pictures are not here (%d, %v)", len(paths), err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	taken := 0
	for _, path := range paths {
		plain, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := jpeg.Decode(bytes.NewReader(plain))
		if err != nil {
			continue // cut off on purpose
		}
		info, out := served(t, inserted(t, r, plain, 6))
		noCanary(t, path, out)
		got, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		samePixels(t, want, got)
		small, err := media.Thumbnail(info, bytes.NewReader(out))
		if img, err2 := jpeg.Decode(bytes.NewReader(small)); err != nil || err2 != nil || img.Bounds().Dx() != want.Bounds().Dy() {
			t.Errorf("%s: the thumbnail: %v, %v", path, err, err2)
		}
		taken++
	}
	t.Logf("%d pictures", taken)
}

func chunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func TestAStrippedPNGShowsTheSamePixels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		img := picture(r, 1+r.IntN(60), 1+r.IntN(60))
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		file := append([]byte{}, b.Bytes()[:33]...)
		file = append(file, chunk("tEXt", []byte("Comment\x00canary 38.1838368"))...)
		file = append(file, chunk("eXIf", exifBlock(binary.LittleEndian, 6))...)
		file = append(file, chunk("iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00GPSLatitude"))...)
		file = append(file, chunk("prVt", []byte("canary"))...)
		file = append(append(file, b.Bytes()[33:]...), "canary 107.4884925"...)
		info, out := served(t, file)
		noCanary(t, "png", out)
		nearCanary(t, "png", info.Taken, 1e-6)
		want, err1 := png.Decode(bytes.NewReader(b.Bytes()))
		got, err2 := png.Decode(bytes.NewReader(out))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		samePixels(t, want, got)
	}
}

// TestAThumbnailStandsUpright: a picture whose left half is red, in every orientation.
func TestAThumbnailStandsUpright(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 800, 400))
	for y := range 400 {
		for x := range 800 {
			c := color.NRGBA{B: 255, A: 255}
			if x < 400 {
				c = color.NRGBA{R: 255, A: 255}
			}
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	// where red stands when the picture is shown
	for o, red := range map[int]string{1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"} {
		raw, err := media.Thumbnail(media.Info{Type: "image/jpeg", Orientation: o}, bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		small, err := jpeg.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		w, h := small.Bounds().Dx(), small.Bounds().Dy()
		if wantW, wantH := map[bool]int{true: 320, false: 160}[o < 5], map[bool]int{true: 160, false: 320}[o < 5]; w != wantW || h != wantH {
			t.Errorf("orientation %d: %d by %d", o, w, h)
		}
		for side, p := range map[string][2]int{"left": {w / 8, h / 2}, "right": {w * 7 / 8, h / 2}, "top": {w / 2, h / 8}, "bottom": {w / 2, h * 7 / 8}} {
			cr, _, cb, _ := small.At(p[0], p[1]).RGBA()
			across := (side == "left" || side == "right") == (red == "left" || red == "right")
			if across && (cr > cb) != (side == red) {
				t.Errorf("orientation %d: %s is red: %v", o, side, cr > cb)
			}
		}
	}
}

// refused expects a file not to be taken, with these words.
func refused(t *testing.T, what string, file []byte, says string) {
	t.Helper()
	_, _, err := media.Examine(bytes.NewReader(file), int64(len(file)))
	var no *media.Refusal
	if !errors.As(err, &no) || !strings.Contains(no.Text, says) {
		t.Errorf("%s: %v, want a refusal that says %q", what, err, says)
	}
}

func TestBombsAndStrangersAreRefused(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(rand.New(rand.NewPCG(1, 1)), 16, 16), nil); err != nil {
		t.Fatal(err)
	}
	plain := b.Bytes()
	frame := bytes.Index(plain, []byte{0xff, 0xc0})
	large := bytes.Clone(plain)
	copy(large[frame+5:], []byte{0xff, 0xff, 0xff, 0xff})
	refused(t, "a JPEG of 65,535 by 65,535", large, "million pixels")
	progressive := bytes.Clone(plain)
	progressive[frame+1] = 0xc2
	copy(progressive[frame+5:], []byte{0x18, 0x00, 0x20, 0x00}) // 8,192 by 6,144: bearable only when it is baseline
	refused(t, "a progressive JPEG of 50 million pixels", progressive, "million pixels")
	baseline := bytes.Clone(plain)
	copy(baseline[frame+5:], []byte{0x18, 0x00, 0x20, 0x00})
	if _, _, err := media.Examine(bytes.NewReader(baseline), int64(len(baseline))); err != nil {
		t.Errorf("a camera of 50 million pixels: %v", err)
	}
	refused(t, "half a JPEG", plain[:len(plain)/2], "broken")
	refused(t, "a JPEG without an end", plain[:len(plain)-2], "broken")

	head := binary.BigEndian.AppendUint32(nil, 60_000)
	head = append(binary.BigEndian.AppendUint32(head, 60_000), 1, 0, 0, 0, 0)
	bomb := append(append(append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head)...), chunk("IDAT", []byte{1, 2, 3})...), chunk("IEND", nil)...)
	refused(t, "a PNG bomb", bomb, "million pixels")
	broken := bytes.Clone(bomb)
	broken[20]++
	refused(t, "a PNG with a wrong sum", broken, "broken")

	pad := strings.Repeat(" ", 32)
	for what, text := range map[string]string{
		"HEIC": "\x00\x00\x00\x18ftypheic", "WebP": "RIFF\x00\x00\x00\x00WEBP", "a zip": "PK\x03\x04", "a program": "\x7fELF", "a page": "<!doctype html><script>", "SVG": "<svg xmlns=",
		"PDF": "%PDF-1.7", "GIF": "GIF89a", "zeros": strings.Repeat("\x00", 20),
	} {
		refused(t, what, []byte(text+pad), "is not taken: send a photo as JPEG")
	}
	refused(t, "nothing", nil, "empty")
	refused(t, "HEIC", []byte("\x00\x00\x00\x18ftypheic"+pad), "most compatible format")
	polyglot := append(bytes.Clone(plain), "PK\x03\x04<script>alert(1)</script>"...)
	if _, out := served(t, polyglot); bytes.Contains(out, []byte("script")) || !bytes.Equal(out[len(out)-2:], []byte{0xff, 0xd9}) {
		t.Error("what follows a JPEG's end is served")
	}
	if _, err := media.Thumbnail(media.Info{Type: "image/png", Orientation: 1}, bytes.NewReader(bomb)); err == nil {
		t.Error("a PNG without data decodes")
	}
}

// samples are a file of each kind, for the fuzzer to start from.
func samples(t testing.TB) [][]byte {
	var b, p bytes.Buffer
	r := rand.New(rand.NewPCG(1, 1))
	if err := jpeg.Encode(&b, picture(r, 9, 9), nil); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&p, picture(r, 5, 5)); err != nil {
		t.Fatal(err)
	}
	mp4, _ := film(3, true)
	return [][]byte{
		inserted(t, r, b.Bytes(), 6), p.Bytes(), mp4,
		append(ebml(0x1a45dfa3, false, ebml(0x4282, false, []byte("webm"))), ebml(0x18538067, true, ebml(0x1f43b675, true, ebml(0xe7, false, []byte{1})))...),
		append([]byte("#!AMR\n"), make([]byte, 39)...), []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00\x01\x02"),
		bytes.Repeat(append([]byte{0xff, 0xfb, 0x90, 0}, make([]byte, 413)...), 3), oggPage(0, 1, 0, []byte("OpusHead")),
	}
}

// FuzzExamine: whatever comes, it is refused or the copy can be made, is no longer than
// the file and a rewritten orientation, and stays as it is when it is examined again.
func FuzzExamine(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		info, how, err := media.Examine(bytes.NewReader(file), int64(len(file)))
		var no *media.Refusal
		if errors.As(err, &no) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := how.Write(&b, bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
		if b.Len() > len(file)+36 || int64(b.Len()) != how.Size() {
			t.Fatalf("%d bytes are served as %d (%d)", len(file), b.Len(), how.Size())
		}
		if info.Kind != media.Photo && info.Duration <= 0 {
			t.Fatalf("%+v", info)
		}
		again, _, err := media.Examine(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err == nil && again.Taken.HasPlace {
			t.Fatalf("a place is left: %+v", again)
		}
		if err != nil && info.Kind == media.Photo {
			t.Fatalf("what is served is refused: %v", err)
		}
		if info.Kind == media.Photo && info.Width*info.Height < 1<<16 {
			_, _ = media.Thumbnail(info, bytes.NewReader(b.Bytes()))
		}
	})
}

func BenchmarkThumbnail12MP(b *testing.B) {
	var buf bytes.Buffer
	img := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i * 7 >> 3)
	}
	if err := jpeg.Encode(&buf, img, nil); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		if _, err := media.Thumbnail(media.Info{Type: "image/jpeg", Orientation: 6}, bytes.NewReader(buf.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}
