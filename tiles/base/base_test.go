// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"

	"onemap/geo"
)

// A picture of size pixels whose every pixel is painted by f.
func picture(t testing.TB, size int, f func(px, py int) color.NRGBA) []byte {
	t.Helper()
	i := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			i.SetNRGBA(x, y, f(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, i); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func grey(t testing.TB) []byte {
	return picture(t, 256, func(int, int) color.NRGBA { return color.NRGBA{90, 90, 90, 255} })
}

func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// mustOpen opens a map. Nobody is sent away from it for having waited, on a machine however
// busy.
func mustOpen(t *testing.T, s Settings) *Map {
	t.Helper()
	m, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	if m.link != nil {
		m.link.wait = time.Minute
	}
	t.Cleanup(m.Close)
	return m
}

// TestAFolderOfVectorTilesNamesItsLayers by metadata.json as GDAL or a TileJSON writes it,
// and without one by what is in the tiles: a page draws what is named alone.
func TestAFolderOfVectorTilesNamesItsLayers(t *testing.T) {
	tile := func(names ...string) []byte {
		var layers mvt.Layers
		for _, n := range names {
			layers = append(layers, &mvt.Layer{Name: n, Version: 2, Extent: 4096, Features: []*geojson.Feature{geojson.NewFeature(orb.LineString{{0, 0}, {100, 100}})}})
		}
		raw, err := mvt.Marshal(layers)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for metadata, want := range map[string]string{
		"": "roads water buildings",
		`{"vector_layers":[{"id":"a"},{"id":"b"}]}`:           "a b",
		`{"json":"{\"vector_layers\":[{\"id\":\"roads\"}]}"}`: "roads",
		`{"json":"nothing"`: "roads water buildings",
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "3", "6", "2.pbf"), packed(tile("roads", "water")))
		put(t, filepath.Join(dir, "3", "6", "3.pbf"), []byte("no tile"))
		put(t, filepath.Join(dir, "7", "1", "1.pbf"), tile("water", "buildings"))
		if metadata != "" {
			put(t, filepath.Join(dir, "metadata.json"), []byte(metadata))
		}
		if i := mustOpen(t, Settings{Kind: Folder, Path: dir}).Info(); !i.Vector || strings.Join(i.Layers, " ") != want {
			t.Errorf("%s: layers %v, want %s", metadata, i.Layers, want)
		}
	}
}

func TestFolderAnswersItsTilesAndNothingOutside(t *testing.T) {
	dir := t.TempDir()
	want := grey(t)
	put(t, filepath.Join(dir, "3", "6", "2.png"), want)
	put(t, filepath.Join(dir, "5", "1", "1.png"), want)
	outside := filepath.Join(t.TempDir(), "secret")
	put(t, outside, []byte("not for anybody"))
	if err := os.Symlink(outside, filepath.Join(dir, "3", "6", "3.png")); err != nil {
		t.Fatal(err)
	}
	m := mustOpen(t, Settings{Kind: Folder, Path: dir})
	if i := m.Info(); i.MinZoom != 3 || i.MaxZoom != 5 || i.Vector || i.Away {
		t.Errorf("the folder is told as %+v", i)
	}
	got, err := m.Tile(t.Context(), 3, 6, 2)
	if err != nil || !bytes.Equal(got.Data, want) || got.Type != "image/png" || got.Gzip || got.ETag == "" {
		t.Errorf("the tile came as %d bytes of %s, %v", len(got.Data), got.Type, err)
	}
	for _, c := range []struct {
		z, x, y int
		want    error
	}{
		{3, 6, 1, ErrEmpty},
		{3, 8, 0, ErrOutOfRange},
		{3, -1, 0, ErrOutOfRange},
		{3, 0, -1, ErrOutOfRange},
		{-1, 0, 0, ErrOutOfRange},
		{2, 0, 0, ErrOutOfRange},
		{6, 0, 0, ErrOutOfRange},
		{3, math.MaxInt, 0, ErrOutOfRange},
	} {
		if _, err := m.Tile(t.Context(), c.z, c.x, c.y); !errors.Is(err, c.want) {
			t.Errorf("tile %d/%d/%d: %v, not %v", c.z, c.x, c.y, err, c.want)
		}
	}
	if got, err := m.Tile(t.Context(), 3, 6, 3); err == nil {
		t.Errorf("a link out of the folder was followed: %q", got.Data)
	}
}

// archiveOf writes a PMTiles file: tiles by number, each a run of its own but where it
// says otherwise; in leaves of two entries when deep.
func archiveOf(kind byte, minZoom, maxZoom int, deep bool, entries []entry, tiles []byte) []byte {
	directory := func(list []entry) []byte {
		b := binary.AppendUvarint(nil, uint64(len(list)))
		last := uint64(0)
		for _, e := range list {
			b = binary.AppendUvarint(b, e.first-last)
			last = e.first
		}
		for _, e := range list {
			b = binary.AppendUvarint(b, uint64(e.run))
		}
		for _, e := range list {
			b = binary.AppendUvarint(b, uint64(e.length))
		}
		for _, e := range list {
			b = binary.AppendUvarint(b, e.at+1)
		}
		return packed(b)
	}
	var leaves []byte
	root := directory(entries)
	if deep {
		var top []entry
		for i := 0; i < len(entries); i += 2 {
			leaf := directory(entries[i:min(i+2, len(entries))])
			top = append(top, entry{first: entries[i].first, at: uint64(len(leaves)), length: uint32(len(leaf))})
			leaves = append(leaves, leaf...)
		}
		root = directory(top)
	}
	meta := packed([]byte(`{"attribution":"<a href='x'>测绘</a> 院","vector_layers":[{"id":"water"},{"id":"roads"}]}`))
	h := make([]byte, headerLen)
	copy(h, "PMTiles\x03")
	at := uint64(headerLen)
	for i, part := range [][]byte{root, meta, leaves, tiles} {
		binary.LittleEndian.PutUint64(h[8+16*i:], at)
		binary.LittleEndian.PutUint64(h[16+16*i:], uint64(len(part)))
		at += uint64(len(part))
	}
	h[97], h[98], h[99], h[100], h[101] = packGzip, packNone, kind, byte(minZoom), byte(maxZoom)
	if kind == 1 {
		h[98] = packGzip
	}
	for i, deg := range []int32{1060000000, 370000000, 1090000000, 400000000} {
		binary.LittleEndian.PutUint32(h[102+4*i:], uint32(deg))
	}
	return bytes.Join([][]byte{h, root, meta, leaves, tiles}, nil)
}

func packed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// The numbers are those of the published specification.
func TestTileNumbersAreThoseOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		z, x, y int
		want    uint64
	}{{0, 0, 0, 0}, {1, 0, 0, 1}, {1, 0, 1, 2}, {1, 1, 1, 3}, {1, 1, 0, 4}, {2, 0, 0, 5}, {12, 3423, 1763, 19078479}} {
		if got := tileNumber(c.z, c.x, c.y); got != c.want {
			t.Errorf("tile %d/%d/%d has the number %d, not %d", c.z, c.x, c.y, got, c.want)
		}
	}
	seen := map[uint64]bool{}
	for x := range 32 {
		for y := range 32 {
			seen[tileNumber(5, x, y)] = true
		}
	}
	if len(seen) != 1024 || !seen[341] || !seen[341+1023] {
		t.Errorf("zoom 5 has %d numbers", len(seen))
	}
}

func TestPMTilesAreReadThroughRootAndLeaves(t *testing.T) {
	for _, deep := range []bool{false, true} {
		one, two := packed([]byte("tile one")), packed([]byte("tile two"))
		tiles := append(bytes.Clone(one), two...)
		entries := []entry{
			{first: tileNumber(0, 0, 0), length: uint32(len(one)), run: 1},
			{first: tileNumber(1, 0, 0), at: uint64(len(one)), length: uint32(len(two)), run: 3}, // 1/0/0, 1/0/1, 1/1/1
			{first: tileNumber(2, 3, 3), length: uint32(len(one)), run: 1},
		}
		path := filepath.Join(t.TempDir(), "a.pmtiles")
		put(t, path, archiveOf(1, 0, 2, deep, entries, tiles))
		m := mustOpen(t, Settings{Kind: PMTiles, Path: path})
		i := m.Info()
		if !i.Vector || i.MaxZoom != 2 || i.Attribution != "测绘 院" || strings.Join(i.Layers, " ") != "water roads" || i.Bounds != [4]float64{106, 37, 109, 40} {
			t.Errorf("deep %v: told as %+v", deep, i)
		}
		for _, c := range []struct {
			z, x, y int
			want    []byte
		}{{0, 0, 0, one}, {1, 0, 0, two}, {1, 1, 1, two}, {1, 1, 0, nil}, {2, 3, 3, one}, {2, 0, 0, nil}} {
			got, err := m.Tile(t.Context(), c.z, c.x, c.y)
			if c.want == nil {
				if !errors.Is(err, ErrEmpty) {
					t.Errorf("deep %v: tile %d/%d/%d, which isn't there: %v", deep, c.z, c.x, c.y, err)
				}
			} else if err != nil || !bytes.Equal(got.Data, c.want) || !got.Gzip || got.Type != vectorType {
				t.Errorf("deep %v: tile %d/%d/%d: %d bytes of %s, %v", deep, c.z, c.x, c.y, len(got.Data), got.Type, err)
			}
		}
	}
}

func FuzzPMTilesNeverBreakTheServer(f *testing.F) {
	good := archiveOf(2, 0, 3, true, []entry{{first: 0, length: 4, run: 1}, {first: 2, length: 4, run: 7}, {first: 20, length: 4, run: 1}}, []byte("tile"))
	f.Add(good)
	f.Add(good[:headerLen])
	f.Add([]byte("PMTiles\x03"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readArchive(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		a.told()
		for _, at := range [][3]int{{0, 0, 0}, {1, 1, 0}, {3, 7, 7}, {22, 1 << 21, 5}} {
			if p, err := a.tile(t.Context(), at[0], at[1], at[2]); err == nil && len(p.data) > maxTile {
				t.Errorf("a tile of %d bytes came", len(p.data))
			}
		}
	})
}

// painter is a server of pictures in GCJ-02 whose pixels say where they are, quickly: they
// are not packed.
func painter(t *testing.T, asked *atomic.Int64) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked != nil {
			asked.Add(1)
		}
		var z, x, y int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d/%d/%d.png", &z, &x, &y); err != nil {
			http.Error(w, "no such tile", http.StatusBadRequest)
			return
		}
		i := image.NewNRGBA(image.Rect(0, 0, 256, 256))
		for at := 0; at < len(i.Pix); at += 4 {
			gx, gy := x*256+at/4%256, y*256+at/4/256
			copy(i.Pix[at:], []byte{uint8(gx), uint8(gy), uint8(gx>>8&15<<4 | gy>>8&15), 255})
		}
		w.Header().Set("Content-Type", "image/png")
		_ = (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(w, i)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestTilesInGCJ02AreShiftedToWithinAPixel(t *testing.T) {
	up := painter(t, nil)
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", Datum: geo.DatumGCJ02, CacheDir: t.TempDir()})
	zooms := []int{3, 8, 11, 14, 15, 17, 18}
	for i, p := range []geo.WGS84{{107.5, 38.2}, {116.4, 39.9}, {87.6, 43.8}, {109.5, 18.3}, {107.48, 38.18}} {
		if i == 1 { // elsewhere it is another shift of the same kind
			zooms = []int{8, 15, 18}
		}
		for _, z := range zooms {
			n := math.Exp2(float64(z))
			at := geo.Mercator(orb.Point(p))
			x, y := int(at[0]*n), int(at[1]*n)
			tile, err := m.Tile(t.Context(), z, x, y)
			if err != nil {
				t.Fatalf("%d/%d/%d: %v", z, x, y, err)
			}
			i, err := png.Decode(bytes.NewReader(tile.Data))
			if err != nil {
				t.Fatal(err)
			}
			for py := 0; py < 256; py += 15 {
				for px := 0; px < 256; px += 15 {
					// Where the middle of this pixel is on earth, and where the map has that.
					mx, my := (float64(x)+(float64(px)+0.5)/256)/n, (float64(y)+(float64(py)+0.5)/256)/n
					w := geo.WGS84{mx*360 - 180, math.Atan(math.Sinh(math.Pi*(1-2*my))) * 180 / math.Pi}
					g := geo.Mercator(orb.Point(w))
					if shifted(w) {
						g = geo.Mercator(orb.Point(w.GCJ02()))
					}
					wx, wy := g[0]*n*256-0.5, g[1]*n*256-0.5
					c := color.NRGBAModel.Convert(i.At(px, py)).(color.NRGBA)
					gx, gy := int(c.B>>4)<<8|int(c.R), int(c.B&15)<<8|int(c.G)
					off := func(got int, want float64) float64 {
						return math.Abs(math.Mod(want-float64(got)+2048+1<<40, 4096) - 2048)
					}
					if c.A != 255 || off(gx, wx) > 1 || off(gy, wy) > 1 {
						t.Fatalf("%v at %d/%d/%d, pixel %d %d: painted as %d %d (%v), belongs at %.2f %.2f", p, z, x, y, px, py, gx, gy, c, math.Mod(wx, 4096), math.Mod(wy, 4096))
					}
				}
			}
		}
	}
}

// moving is a clock that is moved by hand.
type moving struct{ ahead atomic.Int64 }

func (m *moving) now() time.Time { return time.Unix(1_790_000_000+m.ahead.Load(), 0) }

func TestKeptTilesAreShownWhenTheServerIsGone(t *testing.T) {
	var asked atomic.Int64
	up := painter(t, &asked)
	clock, dir := &moving{}, t.TempDir()
	s := Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: dir, Now: clock.now}
	m := mustOpen(t, s)
	first, err := m.Tile(t.Context(), 10, 5, 5)
	if err != nil || first.Kept {
		t.Fatal(first.Kept, err)
	}
	if _, err = m.Tile(t.Context(), 10, 5, 5); err != nil || asked.Load() != 1 {
		t.Fatalf("asked %d times for one tile, %v", asked.Load(), err)
	}
	up.CloseClientConnections()
	up.Close()
	clock.ahead.Store(40 * 24 * 3600) // the kept one is old
	for range failsToo {
		got, err := m.Tile(t.Context(), 10, 5, 5)
		if err != nil || !got.Kept || !bytes.Equal(got.Data, first.Data) {
			t.Fatalf("without the server: %v, kept %v", err, got.Kept)
		}
	}
	if _, err := m.Tile(t.Context(), 10, 6, 6); !errors.Is(err, ErrAway) {
		t.Errorf("a tile that isn't kept: %v", err)
	}
	if !m.Info().Away {
		t.Error("nobody is told that the server is away")
	}
	again := mustOpen(t, s) // another start
	if got, err := again.Tile(t.Context(), 10, 5, 5); err != nil || !bytes.Equal(got.Data, first.Data) {
		t.Errorf("after another start: %v", err)
	}
}

func TestAServerThatHangsHoldsNobodyUpForLong(t *testing.T) {
	let := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-let }))
	defer up.Close()
	defer close(let)
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir()})
	m.link.wait = waitTime
	began := time.Now()
	if _, err := m.Tile(t.Context(), 5, 1, 1); !errors.Is(err, ErrAway) || time.Since(began) > fetchTime/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestAServerThatIsBackIsFound(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	sent := grey(t)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(sent)
	}))
	defer up.Close()
	clock := &moving{}
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir(), Now: clock.now})
	for y := range failsToo {
		_, _ = m.Tile(t.Context(), 5, 1, y)
	}
	if !m.Info().Away {
		t.Fatal("three failures are not away")
	}
	broken.Store(false)
	clock.ahead.Store(60)
	m.Info() // a page asks how it is, and has it tried
	for end := time.Now().Add(time.Minute); m.Info().Away; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a server that is back was not found")
		}
	}
}

func TestTheCacheStaysWithinItsBound(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(append(grey(t), bytes.Repeat([]byte(r.URL.Path), 8000)...))
	}))
	defer up.Close()
	dir := t.TempDir()
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: dir, CacheBytes: 1 << 20})
	for y := range 40 {
		if _, err := m.Tile(t.Context(), 9, 300, y); err != nil {
			t.Fatal(err)
		}
	}
	bytes, files := int64(0), 0
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			st, _ := d.Info()
			bytes, files = bytes+st.Size(), files+1
		}
		return err
	})
	if bytes > 1<<20 || files < 5 {
		t.Errorf("%d files of %d bytes are kept", files, bytes)
	}
}

func TestATornFileIsAskedForAgain(t *testing.T) {
	var asked atomic.Int64
	up := painter(t, &asked)
	dir := t.TempDir()
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: dir})
	want, err := m.Tile(t.Context(), 10, 5, 5)
	if err != nil {
		t.Fatal(err)
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Truncate(path, 100)
		}
		return err
	})
	if got, err := m.Tile(t.Context(), 10, 5, 5); err != nil || !bytes.Equal(got.Data, want.Data) || asked.Load() != 2 {
		t.Errorf("%v; asked %d times", err, asked.Load())
	}
}

const secretKey = "k3y-of-the-hall"

func TestTiandituIsDrawnOfTwoLayersAndItsKeyIsNeverTold(t *testing.T) {
	var wrong, fails atomic.Bool
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("tk") != secretKey || q.Get("TILEMATRIX") != "9" || q.Get("TILECOL") != "408" || q.Get("TILEROW") != "196" {
			wrong.Store(true)
		}
		if fails.Load() {
			http.Error(w, "bad key "+q.Get("tk"), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(picture(t, 256, func(px, _ int) color.NRGBA {
			switch {
			case strings.HasPrefix(r.URL.Path, "/vec_w/"):
				return color.NRGBA{0, 0, 200, 255}
			case strings.HasPrefix(r.URL.Path, "/cva_w/") && px < 10:
				return color.NRGBA{200, 0, 0, 255}
			}
			return color.NRGBA{}
		}))
	}))
	defer up.Close()
	keyFile := filepath.Join(t.TempDir(), "key")
	put(t, keyFile, []byte(secretKey+"\n"))
	s := Settings{Kind: Tianditu, URL: up.URL, KeyFile: keyFile, CacheDir: t.TempDir(), Approval: "GS(2026)0000号"}
	m := mustOpen(t, s)
	tile, err := m.Tile(t.Context(), 9, 408, 196)
	if err != nil || wrong.Load() {
		t.Fatal(err, wrong.Load())
	}
	i, err := png.Decode(bytes.NewReader(tile.Data))
	if err != nil {
		t.Fatal(err)
	}
	red, _, _, _ := i.At(3, 3).RGBA()
	_, _, blue, _ := i.At(100, 100).RGBA()
	if red>>8 != 200 || blue>>8 != 200 {
		t.Errorf("names over the map: red %d, blue %d", red>>8, blue>>8)
	}
	if told := fmt.Sprintf("%+v", m.Info()); strings.Contains(told, secretKey) || !strings.Contains(told, "天地图") || !strings.Contains(told, "GS(2026)0000号") {
		t.Errorf("the map is told as %s", told)
	}
	fails.Store(true)
	_, refused := m.Tile(t.Context(), 9, 409, 196)
	up.Close()
	_, gone := m.Tile(t.Context(), 9, 410, 196)
	for _, err := range []error{refused, gone} {
		if !errors.Is(err, ErrAway) || strings.Contains(fmt.Sprintf("%v %+v", err, err), secretKey) {
			t.Errorf("the failure is told as %v", err)
		}
	}
	_ = filepath.WalkDir(s.CacheDir, func(path string, d fs.DirEntry, err error) error {
		if strings.Contains(path, secretKey) {
			t.Errorf("the key is in the path %s", path)
		}
		if err == nil && !d.IsDir() {
			if b, _ := os.ReadFile(path); bytes.Contains(b, []byte(secretKey)) {
				t.Errorf("the key is in %s", path)
			}
		}
		return err
	})
}

func TestAnUpstreamIsNotBelieved(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(grey(t))
	}))
	defer other.Close()
	bomb := picture(t, 1, func(int, int) color.NRGBA { return color.NRGBA{} })
	binary.BigEndian.PutUint32(bomb[16:], 60_000)
	binary.BigEndian.PutUint32(bomb[20:], 60_000)
	answers := map[string]http.HandlerFunc{
		"a redirect elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
		},
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>sign in</html>"))
		},
		"a page that calls itself a picture": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("<html><script>"))
		},
		"an SVG": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = w.Write([]byte("<svg xmlns='http://www.w3.org/2000/svg'/>"))
		},
		"too much": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(append(grey(t), make([]byte, maxFetched)...))
		},
		"a picture of 60000 by 60000": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(bomb)
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			up := httptest.NewServer(answer)
			defer up.Close()
			m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", Datum: geo.DatumGCJ02, CacheDir: t.TempDir()})
			if got, err := m.Tile(t.Context(), 8, 204, 98); err == nil {
				t.Errorf("%d bytes of %s came through", len(got.Data), got.Type)
			}
		})
	}
	if elsewhere.Load() > 0 {
		t.Error("another host was asked")
	}
}

func TestWhatIsWrongWithSettingsIsSaid(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "words.pmtiles")
	put(t, text, bytes.Repeat([]byte("no archive "), 50))
	short := filepath.Join(dir, "short.pmtiles")
	whole := archiveOf(2, 0, 0, false, []entry{{length: 4, run: 1}}, []byte("tile"))
	put(t, short, whole[:len(whole)-2])
	empty := filepath.Join(dir, "empty")
	put(t, filepath.Join(dir, "none.key"), []byte("\n"))
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s    Settings
		want string
	}{
		{Settings{Kind: "wms"}, "unknown kind"},
		{Settings{Path: dir}, "no kind"},
		{Settings{Kind: Folder}, "needs a path"},
		{Settings{Kind: Folder, Path: filepath.Join(dir, "gone")}, "no such file"},
		{Settings{Kind: Folder, Path: empty}, "has no tiles"},
		{Settings{Kind: PMTiles, Path: filepath.Join(dir, "gone")}, "no such file"},
		{Settings{Kind: PMTiles, Path: text}, "not a PMTiles file"},
		{Settings{Kind: PMTiles, Path: dir}, "not a PMTiles file"},
		{Settings{Kind: PMTiles, Path: short}, "cut short"},
		{Settings{Kind: Tianditu}, "needs a key"},
		{Settings{Kind: Tianditu, KeyFile: filepath.Join(dir, "gone.key")}, "no such file"},
		{Settings{Kind: Tianditu, KeyFile: filepath.Join(dir, "none.key")}, "holds no key"},
		{Settings{Kind: XYZ}, "needs an address"},
		{Settings{Kind: XYZ, URL: "file:///etc/passwd/{z}/{x}/{y}"}, "http"},
		{Settings{Kind: XYZ, URL: "https://{x}.example/{z}/{x}/{y}"}, "host"},
		{Settings{Kind: XYZ, URL: "https://a:b@tiles.example/{z}/{x}/{y}"}, "host"},
		{Settings{Kind: XYZ, URL: "https://tiles.example/{z}/{x}"}, "{y}"},
		{Settings{Kind: XYZ, URL: "https://tiles.example/{z}/{x}/{y}/{s}"}, "{s}"},
		{Settings{Kind: XYZ, URL: "https://tiles.example/{z}/{x}/{y}", Datum: geo.DatumBD09}, "datum"},
		{Settings{Kind: XYZ, URL: "https://tiles.example/{z}/{x}/{y}", MinZoom: 9, MaxZoom: 3}, "zooms"},
	} {
		c.s.CacheDir = t.TempDir()
		if _, err := Open(c.s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, which says nothing of %q", c.s, err, c.want)
		}
	}
	if m, err := Open(Settings{}); m != nil || err != nil {
		t.Errorf("without settings there is %v, %v", m, err)
	}
}
