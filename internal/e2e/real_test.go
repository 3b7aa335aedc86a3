// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/internal/localpg"
)

// The tests named Real... take public data, never part of the repository, through
// the whole program, and hold every figure against a count of their own.

// realData is a file of the public test data beside the repository.
func realData(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../shared/data", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	return path
}

// unpacked reads a file, through gzip when its name ends in .gz.
func unpacked(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil && strings.HasSuffix(path, ".gz") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(raw)); err == nil {
			raw, err = io.ReadAll(z)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// write puts text into a file of the test's own.
func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func featuresOf(t *testing.T, raw []byte) []*geojson.Feature {
	t.Helper()
	fc, err := geojson.UnmarshalFeatureCollection(raw)
	if err != nil {
		t.Fatal(err)
	}
	return fc.Features
}

func multiPolygon(t *testing.T, g orb.Geometry) orb.MultiPolygon {
	t.Helper()
	switch g := g.(type) {
	case orb.MultiPolygon:
		return g
	case orb.Polygon:
		return orb.MultiPolygon{g}
	}
	t.Fatalf("a %s is no area", g.GeoJSONType())
	return nil
}

// said checks that text holds every piece.
func said(t *testing.T, text string, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in what was said:\n%s", p, shortened(text))
		}
	}
}

func shortened(s string) string {
	const most = 2000
	if len(s) > most {
		return s[:most] + " ..."
	}
	return s
}

// database opens the server's private database, as an administrator may.
func (s *server) database() *pgxpool.Pool {
	s.t.Helper()
	url, running := localpg.Join(s.data)
	if !running {
		s.t.Fatal("the private database is not running")
	}
	pool, err := pgxpool.New(s.t.Context(), url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	return pool
}

// number is the one number a query answers.
func number(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// gridItem is a grid as the API lists it.
type gridItem struct {
	Code, Name, Parent string
	Level              int
	BBox               [4]float64
	Label              orb.Point
}

// tree lists the grids of a county, all pages, once the server knows it.
func (s *server) tree(token, root string) map[string]gridItem {
	s.t.Helper()
	eventually(s.t, "grids of "+root+" on the server", 30*time.Second, func() bool {
		status, _ := s.call("GET", s.URL+"/api/v1/grids?parent="+root, token, "")
		return status == http.StatusOK
	})
	all, mine, cursor := []gridItem{}, map[string]gridItem{}, ""
	for {
		var page struct {
			Items  []gridItem
			Cursor *string
		}
		s.getJSON("/api/v1/grids?cursor="+cursor, token, &page)
		all = append(all, page.Items...)
		if page.Cursor == nil {
			break
		}
		cursor = *page.Cursor
	}
	for _, g := range all { // parents come first
		if _, ours := mine[g.Parent]; ours || g.Code == root {
			mine[g.Code] = g
		}
	}
	return mine
}

// byLevel counts grids by level; the index is the level less one.
func byLevel(t *testing.T, tree map[string]gridItem) []int {
	t.Helper()
	var n []int
	for _, g := range tree {
		for len(n) < g.Level {
			n = append(n, 0)
		}
		n[g.Level-1]++
		if p, ok := tree[g.Parent]; g.Level > 1 && (!ok || p.Level != g.Level-1) {
			t.Errorf("grid %s of level %d has the parent %q of level %d", g.Code, g.Level, g.Parent, p.Level)
		}
	}
	return n
}

// ear listens to the live stream from now on and keeps what it hears.
type ear struct {
	t    *testing.T
	conn *websocket.Conn
	done chan struct{}

	mu     sync.Mutex // guards all below
	events []heard
	seq    int64                  // the last number heard
	dots   map[uint32][]orb.Point // of each worker, in order, without repetitions
	states map[uint32]string      // the last of each worker
	faults []string
}

type heard struct {
	Type, Kind, ID string
	Seq, Head, To  int64
	Data           struct{ Count int }
	Items          [][7]json.RawMessage
}

func (s *server) listen(token string, topics ...string) *ear {
	s.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(s.URL, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		s.t.Fatal(err)
	}
	e := &ear{t: s.t, conn: c, done: make(chan struct{}), dots: map[uint32][]orb.Point{}, states: map[uint32]string{}, seq: -1}
	if err := c.WriteJSON(map[string]any{"type": "hello", "topics": topics}); err != nil {
		s.t.Fatal(err)
	}
	go e.run()
	s.t.Cleanup(func() {
		_ = c.Close()
		<-e.done
	})
	eventually(s.t, "answer to the hello", 20*time.Second, func() bool { return e.last() >= 0 })
	return e
}

func (e *ear) run() {
	defer close(e.done)
	for {
		_, raw, err := e.conn.ReadMessage()
		if err != nil {
			return // closed by the test, or by the server: then what is waited for never comes
		}
		if raw = bytes.TrimSpace(raw); raw[0] != '[' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		var frame []heard
		err = json.Unmarshal(raw, &frame)
		e.mu.Lock()
		if err != nil {
			e.faults = append(e.faults, err.Error()+": "+shortened(string(raw)))
		}
		for _, m := range frame {
			e.take(m)
		}
		e.mu.Unlock()
	}
}

func (e *ear) take(m heard) {
	switch m.Type {
	case "reset", "resume":
		e.seq = m.Head
	case "event":
		if m.Seq != e.seq+1 {
			e.faults = append(e.faults, "an event is out of order")
		}
		e.seq, e.events = m.Seq, append(e.events, m)
	case "skip":
		e.seq = m.To
	case "positions":
		for _, it := range m.Items {
			var id uint32
			var p orb.Point
			var state string
			for i, to := range map[int]any{0: &id, 1: &p[0], 2: &p[1], 6: &state} {
				if err := json.Unmarshal(it[i], to); err != nil {
					e.faults = append(e.faults, err.Error())
				}
			}
			e.states[id] = state
			if had := e.dots[id]; state != "off" && (len(had) == 0 || had[len(had)-1] != p) {
				e.dots[id] = append(had, p)
			}
		}
	}
}

// last is the number of the last event heard.
func (e *ear) last() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seq
}

// kinds counts the events heard by kind, and adds up what they count.
func (e *ear) kinds() (kinds map[string]int, counted int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.faults {
		e.t.Error(f)
	}
	kinds = map[string]int{}
	for _, ev := range e.events {
		kinds[ev.Kind]++
		counted += ev.Data.Count
	}
	return kinds, counted
}

// way is where a worker's dot has been, and its last state.
func (e *ear) way(worker uint32) ([]orb.Point, string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]orb.Point(nil), e.dots[worker]...), e.states[worker]
}
