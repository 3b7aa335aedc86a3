// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
)

// misplacedSQL counts, in one snapshot, the open incidents that do not stand in the
// one leaf of the version in force that covers their place, found by brute force,
// or that stand in one though none covers it.
const misplacedSQL = `SELECT count(*) FROM incident i JOIN grid g ON g.id = i.grid_id JOIN grid_version v ON v.id = g.version_id
	LEFT JOIN LATERAL (SELECT l.id FROM grid l JOIN grid_version lv ON lv.id = l.version_id AND lv.state = 'enacted'
		WHERE l.no = l.last_no AND ST_Covers(l.geom, i.geom) ORDER BY l.code COLLATE "C" LIMIT 1) leaf ON true
	WHERE i.open AND (v.state <> 'enacted' OR i.grid_no <> g.no OR i.place = 'in_grid' AND leaf.id IS DISTINCT FROM g.id
		OR i.place <> 'in_grid' AND (leaf.id IS NOT NULL OR g.level <> 1))`

// demoStand is a server with the demo banner and some of its past.
func demoStand(t testing.TB, past int) *stand {
	t.Helper()
	st := startStand(t, Options{DatabaseURL: pgtest.URL(t), Demo: true, DemoSeed: 1, DemoPast: past, Limits: plenty()})
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if st.count("SELECT count(*) FROM setting WHERE key = 'demo' AND value->>'state' = 'done'") == 1 {
			return st
		}
		if time.Now().After(end) {
			t.Fatal("the demo is not loaded")
		}
	}
}

// anew draws other borders in the county's outline. Codes that are in force are used
// again, in order, level by level; more are made up.
func (st *stand) anew(seed uint64, counts ...int) []grid.Draft {
	st.t.Helper()
	tree := st.s.catalogue.Now().Tree
	codes := map[int][]grid.Code{}
	for _, n := range tree.Nodes() {
		codes[n.Level] = append(codes[n.Level], n.Code)
	}
	used, extra := map[string]grid.Code{}, 0
	name := func(level int, ordinals []int) (grid.Code, string) {
		key := fmt.Sprint(level, ordinals)
		if _, ok := used[key]; !ok {
			if len(codes[level]) > 0 {
				used[key], codes[level] = codes[level][0], codes[level][1:]
			} else {
				extra++
				used[key] = grid.Code(fmt.Sprintf("N%d-%05d", level, extra))
			}
		}
		return used[key], "新" + strings.Trim(key, "[]")
	}
	ds, err := grid.Draw(slices.Clone(tree.Nodes()[0].Geom), grid.DrawOptions{Seed: seed, Counts: counts, Name: name})
	if err != nil {
		st.t.Fatal(err)
	}
	slices.SortStableFunc(ds, func(a, b grid.Draft) int { return cmp.Compare(a.Level, b.Level) })
	return ds
}

// traffic reports and reads as a hall does, until it is ended.
type traffic struct {
	st                        *stand
	sent, taken, read, looked atomic.Int64
	mu                        sync.Mutex // guards wrong
	wrong                     []string
	quit                      chan struct{}
	wg                        sync.WaitGroup
	client                    *http.Client
}

func (tr *traffic) fault(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.wrong = append(tr.wrong, fmt.Sprintf(format, args...))
}

func (tr *traffic) ask(method, path, token, body string) (int, []byte) {
	req, err := http.NewRequest(method, tr.st.url+path, strings.NewReader(body))
	if err != nil {
		return 0, []byte(err.Error())
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := tr.client.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return res.StatusCode, raw
}

func (tr *traffic) again(f func()) {
	tr.wg.Go(func() {
		for {
			select {
			case <-tr.quit:
				return
			default:
				f()
			}
		}
	})
}

// inside draws a place in the county's box; some lie outside it.
func inside(rnd *rand.Rand, b orb.Bound) orb.Point {
	return orb.Point{b.Min[0] + rnd.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + rnd.Float64()*(b.Max[1]-b.Min[1])}
}

// begin starts 50 reports a second, readers who ask where places lie, for lists and
// for an incident they know, and a watcher of the database.
func (st *stand) begin(known string) *traffic {
	tr := &traffic{st: st, quit: make(chan struct{}), client: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	tree := st.s.catalogue.Now().Tree
	desk, town := st.token(auth.HallOperator, ""), tree.Nodes()[tree.Children(0)[0]].Code
	var labels []orb.Point
	for i, n := range tree.Nodes() {
		if len(tree.Children(i)) == 0 {
			labels = append(labels, n.Label)
		}
	}
	due := make(chan int, 1000)
	tr.wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tr.quit:
				close(due)
				return
			case <-tick.C:
				due <- n
			}
		}
	})
	for range 6 {
		tr.wg.Go(func() {
			rnd := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for range due {
				p := inside(rnd, tree.Bound())
				tr.sent.Add(1)
				status, raw := tr.ask("POST", "/api/v1/incidents", desk, fmt.Sprintf(`{"category":"0301","title":"消防通道占堵","location":{"lon":%v,"lat":%v,"crs":"wgs84"}}`, p[0], p[1]))
				if status != 201 {
					tr.fault("a report: %d %.200s", status, raw)
					continue
				}
				tr.taken.Add(1)
			}
		})
	}
	for _, one := range []struct {
		path string
		good func([]byte) bool
	}{
		{"", func(raw []byte) bool { return strings.Contains(string(raw), `"level":4`) }},
		{"/api/v1/incidents?open=true&limit=5&grid=" + string(town), func(raw []byte) bool { return strings.Contains(string(raw), `"number"`) }},
		{"/api/v1/incidents/" + known, func(raw []byte) bool { return strings.Contains(string(raw), `"title"`) }},
		{"/api/v1/figures/today", func(raw []byte) bool { return strings.Count(string(raw), `"open"`) >= 4 }},
	} {
		rnd, desk := rand.New(rand.NewPCG(7, 7)), st.token(auth.HallOperator, "") // each reader has what one may read
		tr.again(func() {
			path := one.path
			if path == "" {
				p := labels[rnd.IntN(len(labels))]
				path = fmt.Sprintf("/api/v1/grids/locate?lon=%v&lat=%v&crs=wgs84", p[0], p[1])
			}
			status, raw := tr.ask("GET", path, desk, "")
			if tr.read.Add(1); status != 200 || !one.good(raw) {
				tr.fault("GET %s: %d %.300s", path, status, raw)
			}
			time.Sleep(25 * time.Millisecond)
		})
	}
	tr.again(func() {
		var n int
		if err := st.s.db.Pool.QueryRow(st.t.Context(), misplacedSQL).Scan(&n); err != nil || n != 0 {
			tr.fault("%d open incidents are not in their one leaf, %v", n, err)
		}
		tr.looked.Add(1)
		time.Sleep(50 * time.Millisecond)
	})
	return tr
}

func (tr *traffic) end() {
	close(tr.quit)
	tr.wg.Wait()
	tr.st.t.Logf("%d reports, %d taken, %d reads, %d looks at every open incident", tr.sent.Load(), tr.taken.Load(), tr.read.Load(), tr.looked.Load())
	for i, w := range tr.wrong {
		if i == 10 {
			tr.st.t.Errorf("and %d more", len(tr.wrong)-i)
			break
		}
		tr.st.t.Error(w)
	}
	if tr.taken.Load() == 0 || tr.read.Load() == 0 || tr.looked.Load() == 0 {
		tr.st.t.Error("nothing flowed")
	}
}

// whenLive waits until the tree of a version answers, and says how long that took.
func (st *stand) whenLive(version int32, since time.Time) time.Duration {
	st.t.Helper()
	st.wait("the new tree", func() bool { return st.s.catalogue.Now().Tree.Nodes()[0].Version == version })
	return time.Since(since)
}

// TestABoundaryRedrawIsPreviewedEnactedAndUndoneUnderWay redraws the demo banner,
// with 2,017 grids where the full counts are asked for, while 50 reports a second come in and readers read.
func TestABoundaryRedrawIsPreviewedEnactedAndUndoneUnderWay(t *testing.T) {
	past, flow, counts := 3000, time.Second, []int{3, 20, 60}
	if soak() {
		past, flow, counts = 300_000, 30*time.Second, []int{12, 300, 1704}
	}
	grids := 1 + counts[0] + counts[1] + counts[2]
	st := demoStand(t, past)
	admin := st.token(auth.SystemAdmin, "")
	old := st.s.catalogue.Now().Tree
	rnd := rand.New(rand.NewPCG(3, 3))
	desk := st.token(auth.HallOperator, "")
	for range 40 {
		p := inside(rnd, old.Bound())
		st.report(desk, p[0], p[1])
	}
	known := st.report(desk, old.Nodes()[len(old.Nodes())-1].Label[0], old.Nodes()[len(old.Nodes())-1].Label[1]).json(t)["id"].(string)
	last := st.count("SELECT max(id) FROM incident")
	before := st.standing()
	closed := func() string {
		var sum string
		if err := st.s.db.Pool.QueryRow(t.Context(), "SELECT coalesce(md5(string_agg(i::text, ',' ORDER BY i.id)), '') FROM incident i WHERE NOT open AND id <= $1", last).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	was := closed()

	begun := time.Now()
	v, err := st.s.db.SaveDraft(t.Context(), st.anew(5, counts...), false, "redrawn")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a draft of %d grids drawn and stored in %s", grids, time.Since(begun).Round(time.Millisecond))
	path := fmt.Sprintf("/api/v1/grid-versions/%d", v)
	var p struct {
		Totals map[string]int
		Items  []struct {
			Code      string
			OpenAfter int `json:"open_after"`
		}
	}
	begun = time.Now()
	a := st.get(path+"/preview?all=true", admin)
	for a.status == 503 {
		time.Sleep(200 * time.Millisecond)
		a = st.get(path+"/preview?all=true", admin)
	}
	if a.status != 200 || json.Unmarshal(a.body, &p) != nil || p.Totals["grids_after"] != grids || p.Totals["open_incidents"] != len(before) {
		t.Fatalf("%d %.500s", a.status, a.body)
	}
	t.Logf("first preview in %s: %v", time.Since(begun).Round(time.Millisecond), p.Totals)

	tr := st.begin(known)
	time.Sleep(flow)
	begun = time.Now()
	if a := st.call("POST", path+"/enact", admin, `{"reason":"区划调整"}`); a.status != 200 { // on a busy machine it goes on after the answer
		t.Errorf("%d %s", a.status, a.body)
	}
	t.Logf("%d grids enacted and answering %s after the request", grids, st.whenLive(v, begun).Round(time.Millisecond))
	// what the preview said came about for what it counted
	if n := st.count("SELECT count(*) FROM incident_journal WHERE kind = 'regrid' AND incident_id <= $1", last); n != p.Totals["open_moving"] || n == 0 {
		t.Errorf("%d incidents moved, the preview said %d", n, p.Totals["open_moving"])
	}
	for _, g := range p.Items {
		n := st.count(`SELECT count(*) FROM incident i JOIN grid o ON o.version_id = $1 AND o.code = $2 AND i.grid_no BETWEEN o.no AND o.last_no WHERE i.open AND i.id <= $3`, v, g.Code, last)
		if n != g.OpenAfter {
			t.Errorf("%s holds %d, the preview said %d", g.Code, n, g.OpenAfter)
		}
	}
	next := st.s.catalogue.Now().Tree
	for _, n := range next.Nodes()[:20] {
		if f := next.Locate(geo.WGS84(n.Label)); f.Index < 0 || next.Nodes()[f.Index].Version != v {
			t.Errorf("%s is not found", n.Code)
		}
	}
	time.Sleep(flow)
	begun = time.Now()
	u := st.call("POST", path+"/undo", admin, `{"reason":"看错了"}`)
	if u.status != 200 {
		t.Errorf("%d %s", u.status, u.body)
	} else {
		t.Logf("undone and answering %s after the request", st.whenLive(int32(u.json(t)["version"].(float64)), begun).Round(time.Millisecond))
	}
	time.Sleep(flow)
	tr.end()
	if n := st.count(misplacedSQL); n != 0 {
		t.Errorf("%d open incidents are not in their one leaf", n)
	}
	after := st.standing()
	for id, at := range before {
		if code, is := strings.Fields(at)[0], strings.Fields(after[id])[0]; code != is {
			t.Errorf("incident %s is back in %s, was in %s", id, is, code)
		}
	}
	if closed() != was {
		t.Error("a closed incident was touched")
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action IN ('grids.enact', 'grids.plan') AND reason <> ''"); n != 4 {
		t.Errorf("%d rows of audit, want 4", n)
	}
}

// BenchmarkEnact2017 measures from the request to enact 2,017 grids until the new
// tree answers, beside a hundred open incidents.
func BenchmarkEnact2017(b *testing.B) {
	st := newStandWith(b, Options{Limits: plenty()})
	admin, desk := st.token(auth.SystemAdmin, ""), st.token(auth.HallOperator, "")
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 100 {
		p := inside(rnd, st.s.catalogue.Now().Tree.Bound())
		st.report(desk, p[0], p[1])
	}
	var took time.Duration
	n := 0
	for seed := uint64(1); b.Loop(); seed++ {
		v, err := st.s.db.SaveDraft(b.Context(), st.anew(seed, 12, 300, 1704), false, "redrawn")
		if err == nil {
			_, err = st.s.db.CheckVersion(b.Context(), v)
		}
		if err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		if a := st.call("POST", fmt.Sprintf("/api/v1/grid-versions/%d/enact", v), admin, `{"reason":"bench","accept_faults":true}`); a.status != 200 {
			b.Fatalf("%d %s", a.status, a.body)
		}
		took += st.whenLive(v, begun)
		n++
	}
	b.ReportMetric(took.Seconds()/float64(n), "s/enactment")
}
