// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/tiles"
)

// namedIn reads names out of a source file: what a regular expression finds between
// two texts. Layers and topics are no routes; this is how a new one is noticed.
func namedIn(t *testing.T, file, from, to, name string) (found []string) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(src), from)
	part, _, ok2 := strings.Cut(part, to)
	for _, m := range regexp.MustCompile(name).FindAllStringSubmatch(part, -1) {
		found = append(found, m[1])
	}
	if !ok || !ok2 || len(found) == 0 {
		t.Errorf("%s no longer names its parts as this test reads them", file)
	}
	slices.Sort(found)
	return found
}

// mayLayer reports whether an actor may have a layer at all.
func (r *run) mayLayer(layer string) bool {
	if r.o.cell(rowTiles, r.a).reach == nowhere || r.a.layers != nil && !slices.Contains(r.a.layers, layer) {
		return false
	}
	switch layer {
	case "grids":
		return r.o.cell(rowGrids, r.a).read
	case "cameras":
		return !r.o.cell(rowTiles, r.a).has("points")
	case "addresses":
		return r.a.role != auth.Wall
	case "hotspots": // they belong to no row of the map's
		return r.o.allowed(r.a, line{resource: rowHeat, op: "A cases"})
	case "coverage":
		return r.o.allowed(r.a, line{resource: rowAssign, op: "W"})
	case "incidents": // of who reads incidents one by one, and of more than the own
		return r.o.cell(rowIncident, r.a).reach != own && r.a.role != auth.Wall
	}
	return true
}

// tiles asks TileJSON, or the tiles over both counties, of every layer.
func (r *run) tiles(l line) {
	for _, row := range r.o.lines {
		if row.kind != "layer" {
			continue
		}
		path := strings.Replace(l.path, "{layer}", row.path, 1)
		switch {
		case l.target == "layer":
			a := r.ask(l, l.method, path, "")
			if !r.mayLayer(row.path) {
				r.denied(l, path, a)
			} else if r.granted(l, path, a, 200) {
				r.bounds(l, a)
			}
		case row.target != "asked": // those have routes of their own
			r.drawn(l, row.path)
		}
	}
	if a := r.ask(l, l.method, strings.NewReplacer("{layer}", "secrets", "{z}", "9", "{x}", "408", "{y}", "197").Replace(l.path), ""); a.status != 404 && a.status != 403 {
		r.f.add("form", r.a.name, l.name(), "an unknown layer: %d", a.status)
	}
}

// bounds: the box of a layer must not reach into the other county.
func (r *run) bounds(l line, a answer) {
	var v struct{ Bounds *[4]float64 }
	if err := json.Unmarshal(a.body, &v); err != nil || v.Bounds != nil && (v.Bounds[2] > 108.5) != (r.w.grids[r.a.home].county == "Q") {
		r.f.add("leak", r.a.name, l.name(), "bounds %v of the other county", v.Bounds)
	}
}

// over are the tiles of a zoom that the world's places lie in.
func (w *world) over(z maptile.Zoom) (out []maptile.Tile) {
	for _, g := range w.grids {
		if t := maptile.At(orb.Point(g.at), z); !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b maptile.Tile) int { return int(a.X) - int(b.X) + 1000*(int(a.Y)-int(b.Y)) })
	return out
}

// unpack takes a tile apart.
func unpack(a answer) (mvt.Layers, []byte, error) {
	raw := a.body
	if a.header.Get("Content-Encoding") == "gzip" {
		g, err := gzip.NewReader(bytes.NewReader(a.body))
		if err != nil {
			return nil, nil, err
		}
		if raw, err = io.ReadAll(g); err != nil {
			return nil, nil, err
		}
	}
	layers, err := mvt.Unmarshal(raw)
	return layers, raw, err
}

// drawn reads a layer's tiles over both counties, at two zooms, and holds what is
// in them against the matrix.
func (r *run) drawn(l line, layer string) {
	may := r.mayLayer(layer)
	got := map[string]bool{}
	hall := r.w.named("hall with the flag").token
	zooms := []maptile.Zoom{9, 12}
	switch layer {
	case "cameras", "incidents":
		zooms = zooms[1:]
	case "addresses":
		zooms = []maptile.Zoom{tiles.AddressesFrom}
	}
	for _, z := range zooms {
		for _, tile := range r.w.over(z) {
			path := strings.NewReplacer("{layer}", layer, "{z}", fmt.Sprint(tile.Z), "{x}", fmt.Sprint(tile.X), "{y}", fmt.Sprint(tile.Y)).Replace(l.path)
			a := r.ask(l, l.method, path, "")
			if !may {
				r.denied(l, path, a)
				continue
			}
			if !r.granted(l, path, a, 200, 204) {
				continue
			}
			r.notTheirs(l, path, a, hall)
			if a.status == 204 {
				continue
			}
			layers, raw, err := unpack(a)
			if err != nil {
				r.f.add("form", r.a.name, l.name(), "%s: %v", path, err)
				continue
			}
			r.w.scan.bytes(r.a.name+" "+path, raw, false)
			r.features(l, layer, layers, got)
		}
	}
	if !may {
		return
	}
	switch layer {
	case "grids":
		r.compareGrids("tiles of grids", got)
	case "cameras":
		for _, c := range r.w.cameras {
			r.f.cell()
			is, want := got[c.name], r.w.inGrid(r.o.cell(rowTiles, r.a).reach, r.a, c.grid)
			if is && !want {
				r.f.add("leak", r.a.name, "tiles of cameras", "shows %s", c.name)
			}
			if want && !is {
				r.f.add("less", r.a.name, "tiles of cameras", "lacks %s", c.name)
			}
		}
	case "incidents":
		near := r.w.over(12)
		for _, m := range r.w.incidents {
			r.f.cell()
			is := got["incident "+m.id]
			want := !m.closed && r.o.sees(r.w, r.a, m, rowIncident) != hidden && slices.Contains(near, maptile.At(orb.Point(m.at), 12))
			if is && !want {
				r.f.add("leak", r.a.name, "tiles of incidents", "shows %s", m.name)
			}
			if want && !is {
				r.f.add("less", r.a.name, "tiles of incidents", "lacks %s", m.name)
			}
		}
	case "roads":
		if r.f.cell(); !got["大路"] {
			r.f.add("less", r.a.name, "tiles of roads", "no road in the county")
		}
	}
}

func (r *run) features(l line, layer string, layers mvt.Layers, got map[string]bool) {
	for _, part := range layers {
		for _, f := range part.Features {
			for k := range f.Properties {
				if !r.o.fields["tile "+layer][r.a.role][k] {
					r.f.add("leak", r.a.name, l.name()+" property "+k, "of layer %s", layer)
				}
			}
			name, _ := f.Properties["name"].(string)
			if id, ok := f.ID.(float64); ok && layer == "incidents" {
				name = fmt.Sprintf("incident %.0f", id)
			}
			if no, ok := f.Properties["no"].(float64); ok {
				name = r.w.numbers()[int(no)]
			}
			got[name] = true
		}
	}
}

// numbers are the keys of the grids by number, as the database has them.
func (w *world) numbers() map[int]string {
	w.numbersOnce.Do(func() {
		w.byNumber = map[int]string{}
		rows, err := w.s.db.Pool.Query(w.t.Context(), "SELECT g.no, v.root_code || '/' || g.code FROM grid g JOIN grid_version v ON v.id = g.version_id")
		if err != nil {
			w.t.Error(err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var no int
			var key string
			if err := rows.Scan(&no, &key); err != nil {
				w.t.Error(err)
				return
			}
			w.byNumber[no] = key
		}
	})
	return w.byNumber
}

// notTheirs: what somebody else's ETag names is confirmed only to those who are
// shown the very same bytes.
func (r *run) notTheirs(l line, path string, mine answer, other string) {
	theirs := r.as(other, l, l.method, path, "")
	tag := theirs.header.Get("ETag")
	if tag == "" {
		return
	}
	r.f.cell()
	a := r.ask(l, l.method, path, "", "If-None-Match: "+tag)
	if a.status == http.StatusNotModified && (mine.header.Get("ETag") != tag || !bytes.Equal(mine.body, theirs.body)) {
		r.f.add("leak", r.a.name, l.name()+" ETag", "%s: 304 for a tile of other content", path)
	}
	if mine.header.Get("ETag") == tag && !bytes.Equal(mine.body, theirs.body) {
		r.f.add("leak", r.a.name, l.name()+" ETag", "%s: the same ETag for other bytes", path)
	}
	if !strings.Contains(a.header.Get("Cache-Control"), "private") {
		r.f.add("leak", r.a.name, l.name()+" cache", "%s: Cache-Control %q", path, a.header.Get("Cache-Control"))
	}
}

// watcher is one actor's socket and what came over it.
type watcher struct {
	run
	c        *websocket.Conn
	mu       sync.Mutex
	snapshot map[string]json.RawMessage
	told     map[string]json.RawMessage // incidents told by events, newest
	gone     []string
	head     int64
	dots     map[string]bool
	gotDots  bool
	ready    bool
	failed   error
}

// stream opens the live stream as every actor and compares snapshot, a burst of
// events and the positions with the matrix.
func (w *world) stream(t *testing.T, o *oracle, f *findings) {
	t.Helper()
	l := line{kind: "route", method: "GET", path: "/api/v1/live", resource: rowStream, op: "R", answer: "stream"}
	var ws []*watcher
	w.wait("the feed to be numbered", func() bool {
		return w.count("SELECT count(*) FROM outbox") == 0 && w.count("SELECT seq FROM feed_head") == int(w.s.hub.Head())
	})
	for _, a := range w.actors {
		r := run{w, o, f, a}
		d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second}
		c, res, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(w.stand.url, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + a.token}})
		f.cell()
		if !o.allowed(a, l) {
			if err == nil {
				_ = c.Close()
				f.add("leak", a.name, l.name(), "the stream opens")
			} else if res == nil || res.StatusCode != 403 {
				f.add("form", a.name, l.name(), "%v, want 403", err)
			}
			continue
		}
		if err != nil {
			f.add("less", a.name, l.name(), "%v", err)
			continue
		}
		t.Cleanup(func() { _ = c.Close() })
		x := &watcher{run: r, c: c, snapshot: map[string]json.RawMessage{}, told: map[string]json.RawMessage{}, dots: map[string]bool{}}
		if err := c.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","topics":["events","positions"]}`)); err != nil {
			t.Fatal(err)
		}
		go x.read()
		ws = append(ws, x)
	}
	w.wait("every snapshot", func() bool {
		return !slices.ContainsFunc(ws, func(x *watcher) bool { return !x.is(func() bool { return x.ready || x.failed != nil }) })
	})
	before := len(w.incidents)
	w.burst(t)
	w.wait("the burst on every socket", func() bool {
		if w.count("SELECT count(*) FROM outbox") != 0 {
			return false
		}
		head := int64(w.count("SELECT seq FROM feed_head"))
		return !slices.ContainsFunc(ws, func(x *watcher) bool { return !x.is(func() bool { return x.head >= head || x.failed != nil }) })
	})
	w.wait("positions", func() bool {
		return !slices.ContainsFunc(ws, func(x *watcher) bool {
			return !x.is(func() bool {
				return x.failed != nil || x.gotDots || !slices.ContainsFunc(w.workers, func(h *hand) bool { return o.seesWorker(w, x.a, h, rowPosition) })
			})
		})
	})
	for _, x := range ws {
		x.judge(w.incidents[:before], w.incidents[before:])
	}
}

func (x *watcher) is(f func() bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return f()
}

// burst opens an incident of every kind in several grids of both counties, and
// closes some.
func (w *world) burst(t *testing.T) {
	t.Helper()
	hallP := w.named("hall with the flag").token
	for _, key := range []string{"P/P111", "P/P112", "P/P1", "P/P211", "P/X9", "Q/X9", "Q/Q111"} {
		for _, category := range []string{"0501", "0301", "0101", "0102"} {
			k := kinds[category]
			m := &matter{category: category, grid: key, top: k.top, dept: k.dept, sensitive: k.sensitive, at: w.grids[key].at}
			token := hallP
			if w.grids[key].county == "Q" {
				token = w.hallQ
			}
			w.send(t, m, token, "")
			if key == "P/P111" || key == "Q/Q111" {
				m.closed = true
				if a := w.call("POST", "/api/v1/incidents/"+m.id+"/actions", token, `{"action":"refuse","reason":"不属受理范围","door":"人民法院"}`, `If-Match: "1"`); a.status != 200 {
					t.Fatalf("%s: %d %s", m.name, a.status, a.body)
				}
			}
		}
	}
}

// read takes in messages until the socket ends.
func (x *watcher) read() {
	for {
		kind, raw, err := x.c.ReadMessage()
		if err != nil {
			x.mu.Lock()
			x.failed = err
			x.mu.Unlock()
			return
		}
		x.w.scan.bytes(x.a.name+" stream", raw, false)
		if kind == websocket.BinaryMessage {
			x.f.add("form", x.a.name, "stream", "a binary frame that nobody asked for")
			continue
		}
		if raw = bytes.TrimSpace(raw); raw[0] != '[' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		var all []json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			x.f.add("form", x.a.name, "stream", "%v", err)
			continue
		}
		for _, one := range all {
			x.take(one)
		}
	}
}

func (x *watcher) take(raw json.RawMessage) {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		x.f.add("form", x.a.name, "stream", "%v in %.200s", err, raw)
		return
	}
	if x.o.fields[m.Type] == nil {
		x.f.add("form", x.a.name, "stream", "a message of unknown type %q", m.Type)
		return
	}
	x.fieldsOf(m.Type, "stream "+m.Type, raw)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch m.Type {
	case "reset":
		for _, i := range m.Snapshot.Items {
			if i.Kind != "incident" {
				x.f.add("form", x.a.name, "stream snapshot", "an item of kind %s", i.Kind)
			}
			x.snapshot[i.ID] = i.Data
		}
		x.head, x.ready = m.Head, true
	case "event":
		if strings.HasPrefix(m.Kind, "incident.") {
			x.told[m.ID] = m.Data
		}
		x.head = max(x.head, m.Seq)
	case "gone":
		x.gone = append(x.gone, m.ID)
		x.head = max(x.head, m.Seq)
	case "skip":
		x.head = max(x.head, m.To)
	case "positions":
		var items [][]any
		if err := json.Unmarshal(m.Items, &items); err != nil {
			x.f.add("form", x.a.name, "stream positions", "%v", err)
			return
		}
		x.gotDots = true
		for _, i := range items {
			if len(i) != 7 {
				x.f.add("leak", x.a.name, "stream positions", "%d numbers, want 7: %v", len(i), i)
			}
			x.dots[fmt.Sprint(i[0])] = true
		}
	}
}

func (x *watcher) judge(old, fresh []*matter) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed != nil {
		x.f.add("form", x.a.name, "stream", "closed: %v", x.failed)
	}
	want := func(list []*matter, open bool) (out []string) {
		for _, m := range list {
			if (!open || !m.closed) && x.o.sees(x.w, x.a, m, rowIncident) != hidden {
				out = append(out, m.id)
			}
		}
		return out
	}
	keys := func(m map[string]json.RawMessage) (out []string) {
		for id, raw := range m {
			out = append(out, id)
			if i := x.byID(id); i != nil {
				x.asMeta(line{path: "stream"}, i, raw)
			}
		}
		return out
	}
	x.compare("stream snapshot", keys(x.snapshot), want(old, true))
	x.compare("stream events", keys(x.told), want(fresh, false))
	for _, id := range x.gone {
		if !slices.Contains(want(append(slices.Clone(old), fresh...), false), id) {
			x.f.add("leak", x.a.name, "stream gone", "names %s, which it never showed", id)
		}
	}
	for id := range x.dots {
		if !slices.ContainsFunc(x.w.workers, func(h *hand) bool { return fmt.Sprint(h.id) == id }) {
			x.f.add("leak", x.a.name, "stream positions", "worker %s of nobody", id)
		}
	}
	if c := x.o.cell(rowStream, x.a); x.a.role == auth.CountyLeader && !c.has("gps") && x.gotDots && len(x.dots) > 0 {
		x.f.add("leak", x.a.name, "stream positions", "to a leader")
	}
	x.compareWorkers("stream positions", x.dots)
}
