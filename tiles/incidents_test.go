// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/cell"
	"onemap/mirror"
	"onemap/tiles"
)

// report is an incident as a test keeps it.
type report struct {
	id       int64
	at       orb.Point
	grid     int32
	category uint16
	state    uint8
	priority uint8
	flags    mirror.Flags
	reported int64
}

var (
	categoryCodes = []string{"01", "0101", "0102", "02", "0201"}
	states        = []string{"reported", "on_scene", "closed"}
)

func someReport(r *rand.Rand, id int64) report {
	p := report{
		id: id, at: orb.Point{106.9 + 1.2*r.Float64(), 37.8 + 0.8*r.Float64()}, grid: 1 + r.Int32N(400), category: uint16(r.IntN(len(categoryCodes))),
		state: uint8(r.IntN(3)), priority: uint8(1 + r.IntN(4)), reported: 1 + r.Int64N(1000),
	}
	if r.IntN(3) == 0 { // a town is denser
		p.at = orb.Point{107.5 + r.NormFloat64()*0.004, 38.2 + r.NormFloat64()*0.004}
	}
	if states[p.state] != "closed" {
		p.flags |= mirror.Open
	}
	if p.category == 4 {
		p.flags |= mirror.Sensitive
	}
	return p
}

func columns(t testing.TB, rs []report) *mirror.Columns {
	c := &mirror.Columns{}
	for _, p := range rs {
		c.Place = append(c.Place, mirror.PlaceOf(p.at))
		c.ID, c.Grid, c.Category = append(c.ID, p.id), append(c.Grid, p.grid), append(c.Category, p.category)
		c.State, c.Priority, c.Flags = append(c.State, p.state), append(c.Priority, p.priority), append(c.Flags, p.flags)
		c.Reported = append(c.Reported, p.reported)
		c.Cells = append(c.Cells, setOf(t, p.at))
	}
	return c
}

// numbers are those of the cells of all reports.
var numbers struct {
	sync.Mutex
	mirror.CellNumbers
}

func setOf(t testing.TB, at orb.Point) int32 {
	var set [4]cell.Cell
	for k := range set {
		set[k] = cellOf(t, at, 6+k)
	}
	numbers.Lock()
	defer numbers.Unlock()
	return numbers.Number(set)
}

func viewOf(sorted *mirror.Columns) mirror.View {
	numbers.Lock()
	defer numbers.Unlock()
	return mirror.View{Sorted: sorted, Categories: categoryCodes, States: states, Cells: numbers.Cells}
}

func cellOf(t testing.TB, at orb.Point, res int) cell.Cell {
	k, err := cell.At(geo.WGS84{at[0], at[1]}, res)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// stand is one state of the data, and the rows that count in it.
type stand struct {
	view mirror.View
	rows []report
}

// begin is a sorted part alone.
func begin(t testing.TB, rs []report) stand {
	rs = slices.Clone(rs)
	slices.SortStableFunc(rs, func(a, b report) int {
		if mirror.PlaceOf(a.at) < mirror.PlaceOf(b.at) {
			return -1
		}
		return 1
	})
	return stand{viewOf(columns(t, rs)), rs}
}

// changed is another state, made of s by putting the reports of the same ids in place of
// the rows given, which are of the sorted part.
func (s stand) changed(t testing.TB, sorted []report, moved map[int]report, added []report) stand {
	next := stand{view: s.view}
	next.view.Gone = make([]uint64, len(sorted)/64+1)
	tail := slices.Clone(added)
	for i, r := range sorted {
		if m, is := moved[i]; is {
			next.view.Gone[i>>6] |= 1 << (i & 63)
			tail = append(tail, m)
			continue
		}
		next.rows = append(next.rows, r)
	}
	next.view.Tail = columns(t, tail)
	next.view.Cells = viewOf(nil).Cells
	next.rows = append(next.rows, tail...)
	return next
}

// wanted says by the plainest words what a reader is to be shown.
func wanted(r report, s auth.Scope, f mirror.Filter) bool {
	return s.Sees(r.grid) && (s.Sensitive() || categoryCodes[r.category] != "0201") && (f.Closed || states[r.state] != "closed") &&
		(f.From == 0 || r.reported >= f.From) && (f.To == 0 || r.reported < f.To) && (f.Categories == nil || f.Categories[r.category])
}

func decode(raw []byte) (dots map[int64]string, counts map[orb.Point]int, sum int, err error) {
	dots, counts = map[int64]string{}, map[orb.Point]int{}
	ls, err := mvt.Unmarshal(raw)
	for _, l := range ls {
		for _, f := range l.Features {
			p := f.Geometry.(orb.Point)
			if p[0] < 0 || p[0] >= tiles.Extent || p[1] < 0 || p[1] >= tiles.Extent {
				err = errors.Join(err, fmt.Errorf("%v lies outside its tile", p))
			}
			if l.Name == "counts" {
				n := int(f.Properties["count"].(float64))
				counts[p] += n
				sum += n
				continue
			}
			id := int64(f.ID.(float64))
			if dots[id] != "" {
				err = errors.Join(err, fmt.Errorf("incident %d is there twice", id))
			}
			dots[id] = fmt.Sprint(f.Properties["state"], f.Properties["priority"], f.Properties["category"])
			sum++
		}
	}
	return dots, counts, sum, err
}

// check holds a tile against all rows, looked at one by one.
func (s stand) check(t testing.TB, at maptile.Tile, scope auth.Scope, f mirror.Filter) {
	raw, err := tiles.AppendIncidents(nil, &s.view, int(at.Z), int(at.X), int(at.Y), scope, f)
	if err != nil {
		t.Error(err)
		return
	}
	dots, counts, sum, err := decode(raw)
	if err != nil {
		t.Errorf("%v: %v", at, err)
	}
	if at.Z >= tiles.DotsFrom {
		want := map[int64]string{}
		for _, r := range s.rows {
			if maptile.At(r.at, at.Z) == at && wanted(r, scope, f) {
				want[r.id] = fmt.Sprint(states[r.state], r.priority, categoryCodes[r.category])
			}
		}
		for id, is := range dots {
			if want[id] != is {
				t.Errorf("%v: incident %d is %q, want %q", at, id, is, want[id])
			}
		}
		if sum != len(want) || len(want) <= 2000 && len(dots) != len(want) {
			t.Errorf("%v: %d dots and %d in all, want %d", at, len(dots), sum, len(want))
		}
		return
	}
	want, all := map[orb.Point]int{}, map[cell.Cell]int{}
	for _, r := range s.rows {
		if wanted(r, scope, f) {
			all[cellOf(t, r.at, tiles.CellsAt(int(at.Z)))]++
		}
	}
	for k, n := range all {
		c, err := k.Centre()
		if err != nil {
			t.Error(err)
			return
		}
		p := orb.Point{c.Lon(), c.Lat()}
		if maptile.At(p, at.Z) == at {
			q := maptile.Fraction(p, at.Z)
			want[orb.Point{float64(int((q[0] - float64(at.X)) * tiles.Extent)), float64(int((q[1] - float64(at.Y)) * tiles.Extent))}] += n
		}
	}
	if !maps.Equal(counts, want) || len(dots) > 0 {
		t.Errorf("%v: counts %v, want %v", at, counts, want)
	}
}

// readers are scopes of every kind that columns can tell.
func readers(t testing.TB) (out []auth.Scope) {
	for _, g := range []auth.Grant{
		{ID: "a", Role: auth.CountyLeader, Intervals: []auth.Interval{{Lo: 1, Hi: 400}}},
		{ID: "b", Role: auth.HallOperator, Intervals: []auth.Interval{{Lo: 1, Hi: 400}}},
		{ID: "c", Role: auth.TownOperator, Intervals: []auth.Interval{{Lo: 7, Hi: 90}, {Lo: 200, Hi: 211}}},
		{ID: "d", Role: auth.VillageHead, Intervals: []auth.Interval{{Lo: 33, Hi: 33}}},
		{ID: "e", Role: auth.VillageHead},
		{ID: "f", Role: auth.Wall, Intervals: []auth.Interval{{Lo: 1, Hi: 400}}},
	} {
		d, err := auth.Decide(auth.NewActor(g), auth.Read, auth.IncidentData)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d.Scope)
	}
	return out
}

func someFilter(r *rand.Rand) (f mirror.Filter) {
	f.Closed = r.IntN(2) == 0
	if r.IntN(2) == 0 {
		f.From, f.To = 1+r.Int64N(500), 500+r.Int64N(500)
	}
	if r.IntN(2) == 0 {
		f.Categories = []bool{r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0}
	}
	return f
}

// Every tile holds what all rows, looked at one by one, say is in it for the scope and the
// filter, and nothing else, while incidents are added and moved.
func TestIncidentTilesEqualAllRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var first []report
	for id := range int64(12_000) {
		first = append(first, someReport(r, id+1))
	}
	var now atomic.Pointer[stand]
	base := begin(t, first)
	sorted := base.rows
	now.Store(&base)
	var wg sync.WaitGroup
	scopes := readers(t)
	for n := range 2 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(n)))
			for range 120 {
				s := now.Load()
				at := maptile.At(s.rows[r.IntN(len(s.rows))].at, maptile.Zoom(r.IntN(tiles.MaxZoom+1)))
				if r.IntN(8) == 0 {
					at.X++
				}
				at.X %= 1 << at.Z
				s.check(t, at, scopes[r.IntN(len(scopes))], someFilter(r))
			}
		})
	}
	moved, added := map[int]report{}, []report(nil)
	for range 40 {
		for range 10 {
			i := r.IntN(len(sorted))
			moved[i] = someReport(r, sorted[i].id)
			added = append(added, someReport(r, int64(20_000+len(added))))
		}
		next := base.changed(t, sorted, moved, added)
		now.Store(&next)
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	// Where they are too many for dots: the middle of the town, all of them.
	last, f := now.Load(), mirror.Filter{Closed: true}
	at := maptile.At(orb.Point{107.5, 38.2}, 12)
	raw, err := tiles.AppendIncidents(nil, &last.view, 12, int(at.X), int(at.Y), scopes[0], f)
	_, counts, _, err2 := decode(raw)
	if err != nil || err2 != nil || len(counts) == 0 {
		t.Errorf("nothing is put together at %v: %v %v", at, err, err2)
	}
	last.check(t, at, scopes[0], f)
}

func TestIncidentTilesThatAreRefused(t *testing.T) {
	s := begin(t, []report{someReport(rand.New(rand.NewPCG(1, 1)), 1)})
	scope := readers(t)[0]
	for _, at := range [][3]int{{-1, 0, 0}, {19, 0, 0}, {3, 8, 0}, {3, 0, 8}, {3, -1, 0}, {3, 0, -1}} {
		if _, err := tiles.AppendIncidents(nil, &s.view, at[0], at[1], at[2], scope, mirror.Filter{}); !errors.Is(err, tiles.ErrOutOfRange) {
			t.Errorf("%v: %v", at, err)
		}
	}
	for _, role := range []auth.Role{auth.GridWorker, auth.DeptHandler} {
		d, err := auth.Decide(auth.NewActor(auth.Grant{ID: "w", Role: role, Worker: 5, Department: 5, Intervals: []auth.Interval{{Lo: 1, Hi: 400}}}), auth.Read, auth.IncidentData)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := tiles.AppendIncidents(nil, &s.view, 0, 0, 0, d.Scope, mirror.Filter{}); !errors.Is(err, mirror.ErrNarrowed) || len(raw) > 0 {
			t.Errorf("%s: %d bytes, %v", role, len(raw), err)
		}
	}
	if raw, err := tiles.AppendIncidents(nil, &s.view, 0, 0, 0, auth.Scope{}, mirror.Filter{Closed: true}); err != nil || len(raw) > 0 {
		t.Errorf("a reader without a scope: %d bytes, %v", len(raw), err)
	}
}

// goldenTiles are tiles of incidents of one made-up town: one by one, together where they are too many, and
// counted by cell.
func goldenTiles(t *testing.T) map[string][]byte {
	r := rand.New(rand.NewPCG(4, 2))
	var few, many []report
	for id := range int64(4000) {
		p := someReport(r, id+1)
		p.at = orb.Point{107.5 + r.NormFloat64()*0.01, 38.2 + r.NormFloat64()*0.01}
		if id < 40 {
			few = append(few, p)
		}
		many = append(many, p)
	}
	scope, out := readers(t)[0], map[string][]byte{}
	for name, of := range map[string]struct {
		rs []report
		z  maptile.Zoom
	}{"incidents-13": {few, 13}, "incidents-many-12": {many, 12}, "incidents-9": {many, 9}} {
		s, at := begin(t, of.rs), maptile.At(orb.Point{107.5, 38.2}, of.z)
		raw, err := tiles.AppendIncidents(nil, &s.view, int(at.Z), int(at.X), int(at.Y), scope, mirror.Filter{Closed: true})
		if err != nil {
			t.Fatal(err)
		}
		out[name] = raw
	}
	return out
}

// What is written stays as it is; frontend/web/test/tiles.test.ts reads the same files with
// a decoder that is not ours.
func TestGoldenIncidentTiles(t *testing.T) {
	for name, raw := range goldenTiles(t) {
		golden(t, name+".mvt", raw)
		ls, err := mvt.Unmarshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		type feature struct {
			ID         uint64
			At         [2]float64
			Properties map[string]any
		}
		told := map[string][]feature{}
		for _, l := range ls {
			for _, f := range l.Features {
				id, _ := f.ID.(float64)
				told[l.Name] = append(told[l.Name], feature{uint64(id), f.Geometry.(orb.Point), f.Properties})
			}
		}
		text, err := json.Marshal(told)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

// GDAL reads the tiles as they are meant: as many features in each layer, with their values.
func TestGDALReadsIncidentTiles(t *testing.T) {
	ogr, err := exec.LookPath("ogr2ogr")
	if err != nil {
		if os.Getenv("ONEMAP_REQUIRE_DB") != "" {
			t.Fatal("ogr2ogr is missing: make deps-test installs it")
		}
		t.Skip("ogr2ogr is missing: make deps-test installs it")
	}
	for name, raw := range goldenTiles(t) {
		ls, err := mvt.Unmarshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "tile.mvt")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range ls {
			var told, warned bytes.Buffer
			cmd := exec.CommandContext(t.Context(), ogr, "-f", "CSV", "/vsistdout/", path, l.Name)
			cmd.Stdout, cmd.Stderr = &told, &warned
			if err := cmd.Run(); err != nil {
				t.Fatalf("%s: %v %s", name, err, warned.Bytes())
			}
			rows, err := csv.NewReader(&told).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			column := func(what string) int { return slices.Index(rows[0], what) }
			var got, want []string
			for _, row := range rows[1:] {
				if l.Name == "counts" {
					got = append(got, row[column("count")])
				} else {
					got = append(got, row[column("mvt_id")]+row[column("state")]+row[column("priority")]+row[column("category")])
				}
			}
			for _, f := range l.Features {
				if l.Name == "counts" {
					want = append(want, fmt.Sprint(f.Properties["count"]))
				} else {
					want = append(want, fmt.Sprint(f.ID)+fmt.Sprint(f.Properties["state"])+fmt.Sprint(f.Properties["priority"])+fmt.Sprint(f.Properties["category"]))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, layer %s: GDAL reads\n%.600v, we wrote\n%.600v", name, l.Name, got, want)
			}
		}
	}
}

func BenchmarkIncidentTile(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var rs []report
	for id := range int64(300_000) {
		p := someReport(r, id+1)
		p.flags |= mirror.Open
		rs = append(rs, p)
	}
	s, scope := begin(b, rs), readers(b)[0]
	for _, z := range []maptile.Zoom{8, 9, 10, 12, 13, 14} {
		b.Run(fmt.Sprintf("cold/z%d", z), func(b *testing.B) {
			var raw []byte
			var worst time.Duration
			size := 0
			for i := range b.N {
				at := maptile.At(s.rows[i*7919%len(s.rows)].at, z)
				begin := time.Now()
				var err error
				if raw, err = tiles.AppendIncidents(raw[:0], &s.view, int(at.Z), int(at.X), int(at.Y), scope, mirror.Filter{}); err != nil {
					b.Fatal(err)
				}
				worst = max(worst, time.Since(begin))
				size += len(raw)
			}
			b.ReportMetric(float64(size)/float64(b.N), "B/tile")
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
		})
	}
}
