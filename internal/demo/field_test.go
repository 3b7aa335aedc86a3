// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
)

// hall is a server as the field sees one, with two leaf grids: a square and an L.
type hall struct {
	*httptest.Server
	grids map[string]orb.MultiPolygon

	mu        sync.Mutex
	fixes     map[string][]url.Values // by device, in the order of arrival
	incidents map[string]string       // id by key
	bodies    []map[string]any
	fail      func(n int) int // status of the n-th position; nil or 0: 200
	n         int
}

func newHall(t *testing.T) *hall {
	h := &hall{
		fixes: map[string][]url.Values{}, incidents: map[string]string{},
		grids: map[string]orb.MultiPolygon{
			"c":  {{{{107, 38}, {107.2, 38}, {107.2, 38.1}, {107, 38.1}, {107, 38}}}},
			"g1": {{{{107, 38}, {107.1, 38}, {107.1, 38.1}, {107, 38.1}, {107, 38}}}},
			"g2": {{{{107.1, 38}, {107.2, 38}, {107.2, 38.02}, {107.12, 38.02}, {107.12, 38.1}, {107.1, 38.1}, {107.1, 38}}}},
		},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/grids", func(w http.ResponseWriter, r *http.Request) {
		fc := geojson.NewFeatureCollection()
		for _, code := range []string{"c", "g1", "g2"} {
			f := geojson.NewFeature(h.grids[code])
			f.Properties = geojson.Properties{"code": code, "name": code, "parent": nil}
			if code != "c" {
				f.Properties["parent"] = "c"
			}
			fc.Append(f)
		}
		_ = json.NewEncoder(w).Encode(fc)
	})
	mux.HandleFunc("GET /api/v1/workers/live", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"items":[{"badge":"W0001","grid":"g2"},{"badge":"W0002","grid":"g1"}]}`)
	})
	mux.HandleFunc("POST /api/v1/incidents", h.incident)
	mux.HandleFunc("POST /{$}", h.position)
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

func (h *hall) incident(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if r.Header.Get("Authorization") != "Bearer secret" || key == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if h.incidents[key] == "" {
		h.incidents[key] = strconv.Itoa(len(h.incidents) + 1)
		var b map[string]any
		_ = json.NewDecoder(r.Body).Decode(&b)
		h.bodies = append(h.bodies, b)
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":%q}`, h.incidents[key])
}

func (h *hall) position(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	if h.fail != nil && h.fail(h.n) != 0 {
		w.WriteHeader(h.fail(h.n))
		return
	}
	if r.Header.Get("Authorization") != "" {
		w.WriteHeader(http.StatusTeapot) // the token is none of the device port's business
		return
	}
	var many []map[string]string
	if r.Header.Get("Content-Type") == "application/json" {
		_ = json.NewDecoder(r.Body).Decode(&many)
	}
	for _, one := range many {
		v := url.Values{}
		for k, x := range one {
			v.Set(k, x)
		}
		h.fixes[v.Get("id")] = append(h.fixes[v.Get("id")], v)
	}
	if _ = r.ParseForm(); r.Form.Has("id") {
		h.fixes[r.Form.Get("id")] = append(h.fixes[r.Form.Get("id")], r.Form)
	}
}

func number(t *testing.T, v url.Values, key string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(v.Get(key), 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

func run(t *testing.T, o FieldOptions) Tally {
	t.Helper()
	f, err := NewField(o)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := f.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

func TestFieldWorksItsOwnGridsAndReports(t *testing.T) {
	h := newHall(t)
	o := FieldOptions{
		Server: h.URL, Devices: h.URL, Token: "secret", Workers: 2, Interval: 20 * time.Millisecond,
		PerMinute: 1500, For: 2 * time.Second, Seed: 5,
	}
	got := run(t, o)
	h.mu.Lock()
	defer h.mu.Unlock()
	for device, home := range map[string]string{"demo-0001": "g2", "demo-0002": "g1"} {
		if len(h.fixes[device]) < 10 {
			t.Fatalf("%s sent %d positions", device, len(h.fixes[device]))
		}
		for _, v := range h.fixes[device] {
			p := orb.Point{number(t, v, "lon"), number(t, v, "lat")}
			if !planar.MultiPolygonContains(h.grids[home], p) {
				t.Errorf("%s is at %v, outside %s", device, p, home)
			}
			if s := number(t, v, "speed") * 1852 / 3600; s > 15.5 {
				t.Errorf("%s goes %.1f m/s", device, s)
			}
		}
	}
	if n := len(h.fixes["demo-0001"]) + len(h.fixes["demo-0002"]); got.Accepted < n-2 || got.Accepted > n || got.Refused != 0 || got.Workers != 2 {
		t.Errorf("tally %+v, the server saw %d positions", got, n)
	}
	if len(h.incidents) < 5 || got.Reported < len(h.incidents)-16 || len(got.Incidents) != got.Reported || got.Different != 0 {
		t.Errorf("tally %+v, the server saw %d incidents", got, len(h.incidents))
	}
	for _, b := range h.bodies {
		where := b["location"].(map[string]any)
		p := geo.WGS84{where["lon"].(float64), where["lat"].(float64)}
		if where["crs"] == "gcj02" {
			p = geo.GCJ02(p).WGS84()
		}
		if b["category"] == "" || b["title"] == "" || !planar.MultiPolygonContains(h.grids["c"], p.Orb()) {
			t.Errorf("report %v", b)
		}
	}
}

func TestFieldFaults(t *testing.T) {
	h := newHall(t)
	got := run(t, FieldOptions{
		Server: h.URL, Devices: h.URL, Token: "secret", Workers: 20, Interval: 10 * time.Millisecond, For: 1500 * time.Millisecond, Seed: 6,
		PerMinute: 1200, Faults: Faults{Gaps: true, Jumps: true, Late: true, Duplicates: true},
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	var twice, backwards, far int
	for _, vs := range h.fixes {
		seen := map[string]bool{}
		last := 0.0
		for _, v := range vs {
			if seen[v.Get("timestamp")] {
				twice++
			}
			seen[v.Get("timestamp")] = true
			at := number(t, v, "timestamp")
			if at < last {
				backwards++
			}
			last = at
			if !h.grids["c"].Bound().Pad(0.05).Contains(orb.Point{number(t, v, "lon"), number(t, v, "lat")}) {
				far++
			}
		}
	}
	if twice == 0 || backwards == 0 || far == 0 {
		t.Errorf("seed 6: %d duplicates, %d out of order, %d jumps: each was asked for (%+v)", twice, backwards, far, got)
	}
	if got.Different != 0 {
		t.Errorf("%d reports sent twice became two incidents", got.Different)
	}
}

func TestPhonesKeepWhatTheServerCantTake(t *testing.T) {
	h := newHall(t)
	h.fail = func(n int) int {
		if n <= 20 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	got := run(t, FieldOptions{Server: h.URL, Devices: h.URL, Workers: 1, Interval: 10 * time.Millisecond, For: 2 * time.Second})
	h.mu.Lock()
	defer h.mu.Unlock()
	vs := h.fixes["demo-0001"]
	if got.Retried != 20 || len(vs) < 40 {
		t.Fatalf("%+v, %d positions arrived", got, len(vs))
	}
	for i := 1; i < len(vs); i++ {
		if number(t, vs[i], "timestamp") <= number(t, vs[i-1], "timestamp") {
			t.Errorf("position %d is not newer than the one before", i)
		}
	}
}

// Turns that come late are followed at once by the next, within the same millisecond.
func TestPhonesSendOnePositionOfATime(t *testing.T) {
	h := newHall(t)
	began := time.Now()
	var looked atomic.Int64
	got := run(t, FieldOptions{
		Server: h.URL, Devices: h.URL, Workers: 1, Interval: 10 * time.Millisecond, For: time.Second,
		Now: func() time.Time { return began.Add(time.Duration(looked.Add(1)/2) * 10 * time.Millisecond) },
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	vs := h.fixes["demo-0001"]
	if len(vs) < 3 || looked.Load() < 6 {
		t.Fatalf("%+v, %d positions arrived of %d looks at the clock", got, len(vs), looked.Load())
	}
	for i := 1; i < len(vs); i++ {
		if number(t, vs[i], "timestamp") <= number(t, vs[i-1], "timestamp") {
			t.Errorf("position %d is not newer than the one before", i)
		}
	}
}

func TestFieldRefusesOtherMachines(t *testing.T) {
	for _, u := range []string{"http://10.0.0.1:8080", "http://example.org", "https://10.0.0.1", "http://127.0.0.1.example.org", "ftp://localhost", "localhost:80", "http://[::ffff:10.0.0.1]"} {
		for _, o := range []FieldOptions{{Server: u}, {Server: "http://localhost", Devices: u}} {
			if _, err := NewField(o); err == nil {
				t.Errorf("%+v was taken", o)
			}
		}
	}
	c, err := newClient("http://localhost", "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.server = "http://192.0.2.1" // as if a name had led there
	if _, err := c.get(context.Background(), "/", ""); !errors.Is(err, errNotLoopback) {
		t.Errorf("a connection to another machine: %v", err)
	}
}

// A walker's hour: it stays at home, never beats its car, and gets somewhere.
func TestWalkerIsBelievable(t *testing.T) {
	h := newHall(t)
	for seed := range uint64(20) {
		for code, g := range h.grids {
			home, ok := newTerritory(g)
			if !ok {
				t.Fatal(code)
			}
			w, ok := newWalker(stream(seed, "walker", 1), home)
			if !ok {
				t.Fatal("no place to start")
			}
			went, before := 0.0, w.p
			for range 3600 {
				w.step(1)
				d := geo.Distance(geo.WGS84(before), geo.WGS84(w.p))
				seen, _ := w.seen()
				if !planar.MultiPolygonContains(g, w.p) || !planar.MultiPolygonContains(g, seen.Orb()) || d > 15.2 {
					t.Fatalf("seed %d, grid %s: %.1f m in a second to %v", seed, code, d, w.p)
				}
				went, before = went+d, w.p
			}
			if went < 500 {
				t.Errorf("seed %d, grid %s: %.0f m in an hour", seed, code, went)
			}
		}
	}
}

func TestReplayMovesTimes(t *testing.T) {
	at := time.Date(2008, 5, 1, 2, 0, 0, 0, time.UTC)
	points := []TrackPoint{{at, geo.WGS84{116.3, 40}}, {at.Add(time.Minute), geo.WGS84{116.301, 40}}, {at.Add(10 * time.Minute), geo.WGS84{116.31, 40}}}
	for _, live := range []bool{false, true} {
		h := newHall(t)
		before := time.Now().Add(-time.Second)
		got, err := Replay(context.Background(), ReplayOptions{Devices: h.URL, Tracks: map[string][]TrackPoint{"d": points}, Live: live, Speedup: 1200})
		if err != nil || got.Accepted != 3 || got.Unsent != 0 {
			t.Fatalf("live %t: %+v, error %v", live, got, err)
		}
		first, last := number(t, h.fixes["d"][0], "timestamp"), number(t, h.fixes["d"][2], "timestamp")
		if last > 1e11 {
			last /= 1000
		}
		if first > 1e11 {
			first /= 1000
		}
		want := 600.0
		if live {
			want = 0.5
		}
		if d := last - first; d < want-0.01 || d > want+0.01 || last < float64(before.Unix()) || last > float64(time.Now().Unix()+1) {
			t.Errorf("live %t: %.2f s between first and last, want %.1f; the last at %.1f", live, d, want, last)
		}
	}
}

func TestReadTracks(t *testing.T) {
	for name, in := range map[string]string{
		"empty": "", "no column": "user,lat,lon\n1,2,3\n", "no number": "user,lat,lon,time_utc\n1,x,3,2008-01-01T00:00:00Z\n",
		"no time": "user,lat,lon,time_utc\n1,2,3,today\n", "short row": "user,lat,lon,time_utc\n1,2\n",
	} {
		if _, err := readTracks(strings.NewReader(in)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	const path = "../../../shared/data/gps/geolife_points.csv.gz"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the shared GPS data is missing: %v", err)
	}
	tracks, err := ReadTracks(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for user, points := range tracks {
		n += len(points)
		day := DayOf(points, "")
		if len(day) == 0 || day[len(day)-1].At.Sub(day[0].At) >= 24*time.Hour {
			t.Errorf("user %s: a day of %d points", user, len(day))
		}
	}
	if n != 40954 || len(tracks) != 6 {
		t.Errorf("%d points of %d users, want 40,954 of 6", n, len(tracks))
	}
}
