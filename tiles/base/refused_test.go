// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onemap/geo"
)

// TestATileThatCameBeforeIsShownWhenItIsRefused: a server without a key that begins to
// refuse everything is away, and what it sent is shown on.
func TestATileThatCameBeforeIsShownWhenItIsRefused(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusUnauthorized, http.StatusTeapot, http.StatusProxyAuthRequired, http.StatusRequestTimeout} {
		clock := &moving{}
		var refuses atomic.Bool
		up := answering(t, func(string) int {
			if refuses.Load() {
				return status
			}
			return http.StatusOK
		})
		m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir(), Now: clock.now})
		for y := range 3 {
			if _, err := m.Tile(t.Context(), 9, 300, y); err != nil {
				t.Fatal(err)
			}
		}
		refuses.Store(true)
		clock.ahead.Add(int64(freshFor/time.Second) + 10)
		for y := range 3 {
			if a, err := m.Tile(t.Context(), 9, 300, y); err != nil || !a.Kept {
				t.Errorf("%d: a tile of before: %v, kept %v", status, err, a.Kept)
			}
		}
		if !m.Info().Away {
			t.Errorf("%d to everything, and nobody is told", status)
		}
	}
}

// TestAnswersThatSpeakOfNoTile are failures, of tiles that never came too.
func TestAnswersThatSpeakOfNoTile(t *testing.T) {
	for status, away := range map[int]bool{
		http.StatusProxyAuthRequired: true, http.StatusRequestTimeout: true, http.StatusTooManyRequests: true,
		http.StatusForbidden: false, http.StatusGone: false,
	} {
		up := answering(t, func(path string) int {
			if strings.HasPrefix(path, "/9/300/") {
				return status
			}
			return http.StatusOK
		})
		m := mustOpen(t, Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", CacheDir: t.TempDir()})
		if _, err := m.Tile(t.Context(), 9, 301, 1); err != nil {
			t.Fatal(err)
		}
		for y := range failsToo {
			_, _ = m.Tile(t.Context(), 9, 300, y)
		}
		if m.Info().Away != away {
			t.Errorf("%d: away %v, want %v", status, m.Info().Away, away)
		}
	}
}

// TestATileWithARefusedPieceIsNotKept: it is drawn as it may be, and whole once its
// server sends the piece; one that was whole is shown instead.
func TestATileWithARefusedPieceIsNotKept(t *testing.T) {
	clock := &moving{}
	var refuses atomic.Bool
	up := answering(t, func(path string) int {
		if refuses.Load() && path != "/12/3344/1500.png" {
			return http.StatusForbidden
		}
		return http.StatusOK
	})
	settings := Settings{Kind: XYZ, URL: up.URL + "/{z}/{x}/{y}.png", Datum: geo.DatumGCJ02, CacheDir: t.TempDir(), Now: clock.now}
	m := mustOpen(t, settings)
	if _, err := m.Tile(t.Context(), 12, 3300, 1500); err != nil {
		t.Fatal(err)
	}
	refuses.Store(true)
	holed, err := m.Tile(t.Context(), 12, 3344, 1500)
	if err != nil {
		t.Fatal(err)
	}
	refuses.Store(false)
	whole, err := m.Tile(t.Context(), 12, 3344, 1500)
	if err != nil || whole.ETag == holed.ETag {
		t.Fatalf("the hole stays: %v", err)
	}
	again, err := m.Tile(t.Context(), 12, 3344, 1500)
	if err != nil || again.ETag != whole.ETag {
		t.Errorf("the whole one is not kept: %v", err)
	}

	// Its pieces had to make room, and are refused now.
	other := settings
	other.CacheDir = t.TempDir()
	m = mustOpen(t, other)
	if whole, err = m.Tile(t.Context(), 12, 3344, 1500); err != nil {
		t.Fatal(err)
	}
	u := m.sources[0].(*upstream)
	u.keep.mu.Lock()
	for x := 3342; x < 3348; x++ {
		for y := 1498; y < 1503; y++ {
			u.keep.drop(u.name(12, x, y))
		}
	}
	u.keep.mu.Unlock()
	refuses.Store(true)
	clock.ahead.Add(int64(freshFor/time.Second) + 10)
	if a, err := m.Tile(t.Context(), 12, 3344, 1500); errors.Is(err, ErrEmpty) || err != nil || a.ETag != whole.ETag || !a.Kept {
		t.Errorf("the whole one of before gave way to a hole: %v, kept %v", err, a.Kept)
	}
}
