// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"onemap/auth"
	"onemap/tiles/base"
)

func TestTheBaseMapIsAnsweredAndItsKeyStaysHere(t *testing.T) {
	t.Parallel()
	var pic bytes.Buffer
	if err := png.Encode(&pic, image.NewNRGBA(image.Rect(0, 0, 256, 256))); err != nil {
		t.Fatal(err)
	}
	const key = "tk-0123456789abcdef"
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("tk") != key {
			http.Error(w, "no key", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(pic.Bytes())
	}))
	defer up.Close()
	book := &logBook{}
	st := newStandWith(t, Options{
		Base: base.Settings{Kind: base.Tianditu, URL: up.URL, KeyFile: writeFile(t, "key", key+"\n"), Approval: "GS(2026)0000号"},
		Log:  slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	hall, desk := st.token(auth.HallOperator, ""), st.token(auth.Dispatcher, "")
	var told struct {
		TileJSON, Kind, Format, Attribution, Approval string
		Tiles                                         []string
		Away                                          bool
	}
	a := st.get("/api/v1/basemap", hall)
	if err := json.Unmarshal(a.body, &told); err != nil || a.status != 200 || told.TileJSON != "3.0.0" || told.Kind != "tianditu" || told.Format != "raster" ||
		told.Attribution != "天地图" || told.Approval != "GS(2026)0000号" || len(told.Tiles) != 1 || !strings.HasPrefix(told.Tiles[0], "/tiles/base/") || told.Away {
		t.Errorf("%d %s", a.status, a.body)
	}
	said := a.body
	tile := st.get("/tiles/base/9/408/196", desk)
	if _, err := png.Decode(bytes.NewReader(tile.body)); tile.status != 200 || err != nil || tile.header.Get("Content-Encoding") != "" || !strings.HasPrefix(tile.header.Get("Cache-Control"), "private") {
		t.Errorf("a tile: %d, %v, %v", tile.status, err, tile.header)
	}
	if again := st.call("GET", "/tiles/base/9/408/196", hall, "", "If-None-Match: "+tile.header.Get("ETag")); again.status != 304 {
		t.Errorf("asked again by its tag: %d", again.status)
	}
	for path, want := range map[string]int{
		"/tiles/base/9/-1/196": 404, "/tiles/base/9/408/-1": 404, "/tiles/base/-1/0/0": 404, "/tiles/base/9/9223372036854775808/1": 400, "/tiles/base/1e3/0/0": 400,
		"/tiles/base/9/512/0": 404, "/tiles/base/60/0/0": 404, "/tiles/base/9/408/196.png": 400, "/tiles/base/9/..%2f..%2fkey/1": 404,
	} {
		if a := st.get(path, hall); a.status != want {
			t.Errorf("%s: %d, not %d", path, a.status, want)
		}
	}
	if a := st.get("/tiles/base/9/408/196", ""); a.status != 401 {
		t.Errorf("without signing in: %d", a.status)
	}
	up.Close()
	gone := st.get("/tiles/base/9/300/196", hall)
	if gone.status != 503 || gone.header.Get("Retry-After") == "" {
		t.Errorf("a tile of a server that is gone: %d", gone.status)
	}
	if kept := st.get("/tiles/base/9/408/196", hall); kept.status != 200 || !bytes.Equal(kept.body, tile.body) {
		t.Errorf("a kept tile: %d", kept.status)
	}
	for where, text := range map[string]string{"the answer": string(said), "the problem": string(gone.body), "the log": book.String()} {
		if strings.Contains(text, key) {
			t.Errorf("the key is in %s", where)
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE audit_log::text LIKE '%' || $1 || '%'", key); n != 0 {
		t.Errorf("the key is in %d rows of the audit log", n)
	}
}

func TestWithoutABaseMapThereIsNone(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	if a := st.get("/api/v1/basemap", hall); a.status != 200 || !strings.Contains(string(a.body), `"kind":"none"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := st.get("/tiles/base/9/408/196", hall); a.status != 404 {
		t.Errorf("a tile of none: %d", a.status)
	}
}
