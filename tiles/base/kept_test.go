// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// TestWhereAPhotographHasNoNeighbourNothingIsDrawn: what another layer or the ground shows
// there is not painted black.
func TestWhereAPhotographHasNoNeighbourNothingIsDrawn(t *testing.T) {
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 256, 256)), nil); err != nil {
		t.Fatal(err)
	}
	const n = 1 << 15
	at := geo.Mercator(orb.Point(geo.WGS84{107.5, 38.2}))
	x, y := int(at[0]*n), int(at[1]*n)
	d := &drawn{m: &Map{gcj: true, sources: make([]source, 1)}, z: 15}
	under := d.under(x, y)
	if len(under) < 2 {
		t.Fatalf("%d tiles lie under it", len(under))
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+strings.TrimPrefix(nameOf("", 15, under[0][1], under[0][2]), "/") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write(photo.Bytes())
	}))
	defer up.Close()
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}", Datum: geo.DatumGCJ02, CacheDir: t.TempDir()})
	tile, err := m.Tile(t.Context(), 15, x, y)
	if err != nil {
		t.Fatal(err)
	}
	i, _, err := image.Decode(bytes.NewReader(tile.Data))
	if err != nil {
		t.Fatal(err)
	}
	clear, drawn := 0, 0
	for py := range 256 {
		for px := range 256 {
			if c := color.NRGBAModel.Convert(i.At(px, py)).(color.NRGBA); c.A == 0 {
				clear++
			} else {
				drawn++
			}
		}
	}
	if clear == 0 || drawn == 0 {
		t.Errorf("%s: %d pixels are clear, %d drawn", tile.Type, clear, drawn)
	}
}

// TestADrawnTileOutlivesItsPieces: it is shown while the server is gone, though the tiles
// it was drawn of had to make room.
func TestADrawnTileOutlivesItsPieces(t *testing.T) {
	up := painter(t, nil)
	clock, dir := &moving{}, t.TempDir()
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", Datum: geo.DatumGCJ02, CacheDir: dir, Now: clock.now})
	first, err := m.Tile(t.Context(), 10, 818, 393)
	if err != nil {
		t.Fatal(err)
	}
	m.done.mu.Lock()
	for name := range m.done.files {
		if !strings.HasPrefix(name, doneSet+"/") {
			m.done.drop(name) // as when there was no room
		}
	}
	m.done.mu.Unlock()
	up.CloseClientConnections()
	up.Close()
	clock.ahead.Store(40 * 24 * 3600)
	got, err := m.Tile(t.Context(), 10, 818, 393)
	if err != nil || !got.Kept || !bytes.Equal(got.Data, first.Data) {
		t.Errorf("without the server: %v, kept %v, %d bytes of %d", err, got.Kept, len(got.Data), len(first.Data))
	}
}

// TestTilesThatThereAreNotTakeRoomToo: a file of no tile takes a block of the disk as any other.
func TestTilesThatThereAreNotTakeRoomToo(t *testing.T) {
	dir := t.TempDir()
	clock := &moving{}
	k, err := openKeep(dir, "tag", 1<<20, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 2000 {
		if err := k.put(nameOf("0", 18, 1, y), piece{}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		files := 0
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files++
			}
			return err
		})
		if files > 256 || files < 100 {
			t.Errorf("%s: %d files of 4 KiB on the disk are kept in 1 MiB", when, files)
		}
	}
	check("kept")
	for y := range 2000 { // as an earlier version left them
		path := filepath.Join(dir, "tag", nameOf("0", 17, 1, y)+keptSome)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, keepHead), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openKeep(dir, "tag", 1<<20, clock.now); err != nil {
		t.Fatal(err)
	}
	check("opened")
	for x := range 300 { // each alone in its folder
		if err := k.put(nameOf("0", 16, x, 1), piece{}); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tag", "0", "16")); err != nil || len(left) > 256 {
		t.Errorf("%d folders are left, %v", len(left), err)
	}
}
