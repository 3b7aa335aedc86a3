// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

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

// TestADrawnTileIsNoYoungerThanItsPieces: 30 days after its server gave them it is drawn of new ones.
func TestADrawnTileIsNoYoungerThanItsPieces(t *testing.T) {
	var asked atomic.Int64
	up := painter(t, &asked)
	clock := &moving{}
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", Datum: geo.DatumGCJ02, CacheDir: t.TempDir(), Now: clock.now})
	tile := func(day int64) (n int64) {
		t.Helper()
		clock.ahead.Store(day * 24 * 3600)
		before := asked.Load()
		if got, err := m.Tile(t.Context(), 10, 818, 393); err != nil || got.Kept {
			t.Fatalf("on day %d: kept %v, %v", day, got.Kept, err)
		}
		return asked.Load() - before
	}
	pieces := tile(0)
	m.done.mu.Lock()
	m.done.drop(nameOf(doneSet, 10, 818, 393)) // as when there was no room
	m.done.mu.Unlock()
	if n := tile(20); n != 0 {
		t.Errorf("on day 20 its server is asked %d times for what is kept", n)
	}
	if n := tile(29); n != 0 {
		t.Errorf("on day 29: %d", n)
	}
	if n := tile(31); n != pieces || n == 0 {
		t.Errorf("on day 31 %d pieces of %d are asked for again", n, pieces)
	}
}

// slow is a source that counts who asks it, and answers when it is told.
type slow struct {
	asked atomic.Int64
	may   chan struct{}
	data  []byte
}

func (s *slow) tile(ctx context.Context, _, _, _ int) (piece, error) {
	s.asked.Add(1)
	select {
	case <-s.may:
		return piece{data: s.data, mime: "image/png"}, nil
	case <-ctx.Done():
		return piece{}, ctx.Err()
	}
}

// TestATileIsDrawnOnceForAllWhoAsk: and for the rest when the first one goes away.
func TestATileIsDrawnOnceForAllWhoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &slow{may: make(chan struct{}), data: grey(t)}
		m := &Map{info: Info{MaxZoom: 22}, gcj: true, sources: []source{src}, pieces: make(chan struct{}, gathering), drawing: make(chan struct{}, 2)}
		under := (&drawn{m: m, z: 10}).under(818, 393)
		first, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := m.Tile(first, 10, 818, 393); gone <- err }()
		synctest.Wait()
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("who goes away is told %v", err)
		}
		got := make(chan error, 20)
		for range cap(got) {
			go func() { _, err := m.Tile(t.Context(), 10, 818, 393); got <- err }()
		}
		synctest.Wait() // until they wait
		close(src.may)
		for range cap(got) {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		if n := src.asked.Load(); n != int64(len(under)) {
			t.Errorf("of %d pieces %d were got for 21 who asked", len(under), n)
		}
	})
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
