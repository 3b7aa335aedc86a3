// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"errors"
	"image/color"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"onemap/geo"
)

// answering is a server of pictures that answers a tile with a status, 200 with a picture.
func answering(t *testing.T, status func(path string) int) *httptest.Server {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		if s := status(r.URL.Path); s != http.StatusOK {
			w.WriteHeader(s)
			return
		}
		_, _ = w.Write(grey(t))
	}))
	t.Cleanup(up.Close)
	return up
}

// TestTilesThatAreRefusedDoNotTakeTheMapAway: stores of files answer 403 for those that they
// don't have. Of what has a key it may mean that the key is wrong.
func TestTilesThatAreRefusedDoNotTakeTheMapAway(t *testing.T) {
	up := answering(t, func(path string) int {
		if strings.HasPrefix(path, "/9/300/") {
			return http.StatusForbidden
		}
		return http.StatusOK
	})
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir()})
	for y := range 5 {
		if _, err := m.Tile(t.Context(), 9, 300, y); !errors.Is(err, ErrAway) {
			t.Errorf("a tile that is refused: %v", err)
		}
	}
	if m.Info().Away {
		t.Error("the whole map counts as away")
	}
	if _, err := m.Tile(t.Context(), 9, 301, 1); err != nil {
		t.Errorf("a tile beside them: %v", err)
	}
	if _, err := m.Tile(t.Context(), 9, 300, 0); !errors.Is(err, ErrEmpty) { // a page says that its map lacks something when a tile fails
		t.Errorf("a tile that is refused by a server that shows others: %v", err)
	}
	key := filepath.Join(t.TempDir(), "key")
	put(t, key, []byte("abc123"))
	m = mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png?k={key}", KeyFile: key, CacheDir: t.TempDir()})
	for y := range 3 {
		_, _ = m.Tile(t.Context(), 9, 300, y)
	}
	if !m.Info().Away {
		t.Error("a key that is refused, and nobody is told")
	}
}

// TestATileThatIsBrokenForGoodDoesNotKeepTheMapAway.
func TestATileThatIsBrokenForGoodDoesNotKeepTheMapAway(t *testing.T) {
	clock := &moving{}
	up := answering(t, func(path string) int {
		if path == "/9/300/1.png" {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir(), Now: clock.now})
	if _, err := m.Tile(t.Context(), 9, 300, 2); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _ = m.Tile(t.Context(), 9, 300, 1)
	}
	if !m.Info().Away {
		t.Fatal("three failures in a row, and the map is there")
	}
	clock.ahead.Add(16)
	for end := time.Now().Add(time.Minute); m.Info().Away; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the map stays away for one tile")
		}
	}
}

// TestWhoAsksTooMuchAtOnceDoesNotTakeTheMapAway.
func TestWhoAsksTooMuchAtOnceDoesNotTakeTheMapAway(t *testing.T) {
	up := answering(t, func(string) int { return http.StatusOK })
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir()})
	for range queueing {
		m.link.queue <- struct{}{}
	}
	for y := range 5 {
		if _, err := m.Tile(t.Context(), 9, 300, y); !errors.Is(err, ErrAway) {
			t.Errorf("among %d that wait: %v", queueing, err)
		}
	}
	if m.Info().Away {
		t.Error("the map counts as away")
	}
	for range queueing {
		<-m.link.queue
	}
	if _, err := m.Tile(t.Context(), 9, 300, 1); err != nil {
		t.Error(err)
	}
}

// TestOnlyPicturesThatCanBeDrawnAreAskedFor where they are drawn.
func TestOnlyPicturesThatCanBeDrawnAreAskedFor(t *testing.T) {
	var accept atomic.Value
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accept.Store(r.Header.Get("Accept"))
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(grey(t))
	}))
	defer up.Close()
	for datum, want := range map[geo.Datum]bool{geo.DatumWGS84: true, geo.DatumGCJ02: false} {
		m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", Datum: datum, CacheDir: t.TempDir()})
		if _, err := m.Tile(t.Context(), 9, 408, 196); err != nil {
			t.Fatal(err)
		}
		if got := accept.Load().(string); strings.Contains(got, "webp") != want {
			t.Errorf("%s: asked for %q", datum, got)
		}
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "9/408/196.webp"), []byte("RIFF\x00\x00\x00\x00WEBPVP8 "))
	if _, err := Open(Settings{Kind: Folder, Path: dir, Datum: geo.DatumGCJ02}); err == nil || !strings.Contains(err.Error(), "webp") {
		t.Errorf("a folder of WebP in GCJ-02: %v", err)
	}
}

// TestAPictureThatWasCutShortIsNotKept.
func TestAPictureThatWasCutShortIsNotKept(t *testing.T) {
	whole := picture(t, 256, func(px, py int) color.NRGBA { return color.NRGBA{uint8(px), uint8(py), uint8(px ^ py), 255} })
	var times atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		if times.Add(1) == 1 {
			_, _ = w.Write(whole[:len(whole)/2])
			return
		}
		_, _ = w.Write(whole)
	}))
	defer up.Close()
	m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir()})
	if tile, err := m.Tile(t.Context(), 9, 300, 1); err == nil {
		t.Errorf("half a picture came through, %d bytes", len(tile.Data))
	}
	if tile, err := m.Tile(t.Context(), 9, 300, 1); err != nil || len(tile.Data) != len(whole) {
		t.Errorf("the whole one: %d bytes, %v", len(tile.Data), err)
	}
}

// TestAFileThatDoesNotSayHowItsTilesArePacked is looked at.
func TestAFileThatDoesNotSayHowItsTilesArePacked(t *testing.T) {
	tile := packed([]byte("tile"))
	file := archiveOf(1, 0, 0, false, []entry{{length: uint32(len(tile)), run: 1}}, tile)
	file[98] = packUnknown
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	put(t, path, file)
	if got, err := mustOpen(t, Settings{Kind: PMTiles, Path: path}).Tile(t.Context(), 0, 0, 0); err != nil || !got.Gzip {
		t.Errorf("packed %v, %v", got.Gzip, err)
	}
}

// TestAFileThatSaysNoBoundsIsOfTheWholeWorld.
func TestAFileThatSaysNoBoundsIsOfTheWholeWorld(t *testing.T) {
	raw := archiveOf(2, 0, 0, false, []entry{{first: 0, at: 0, length: 3, run: 1}}, []byte("abc"))
	clear(raw[102:118])
	path := filepath.Join(t.TempDir(), "a.pmtiles")
	put(t, path, raw)
	if b := mustOpen(t, Settings{Kind: PMTiles, Path: path}).Info().Bounds; b[0] != -180 || b[2] != 180 || b[1] > -85 || b[3] < 85 {
		t.Errorf("bounds %v", b)
	}
}

// TestWhatIsNoFileIsNoTile: a folder and a pipe that are called like one.
func TestWhatIsNoFileIsNoTile(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "9/300/1.png"), grey(t))
	if err := os.Mkdir(filepath.Join(dir, "9/300/2.png"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "9/300/3.png"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := mustOpen(t, Settings{Kind: Folder, Path: dir})
	for y := 2; y <= 3; y++ {
		if _, err := m.Tile(t.Context(), 9, 300, y); !errors.Is(err, ErrEmpty) {
			t.Errorf("tile %d: %v", y, err)
		}
	}
	if _, err := m.Tile(t.Context(), 9, 300, 1); err != nil {
		t.Error(err)
	}
}
