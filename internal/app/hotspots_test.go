// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
)

// seen is one located incident of the demo county, as a test that goes by brute force
// sees it.
type seen struct {
	at       geo.WGS84
	no       int32
	category string
	hidden   bool // its place is never shown
	outside  bool // of every grid
	reported time.Time
}

func (st *stand) everyIncident() (located []seen, without []seen) {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT coalesce(ST_X(i.geom), 0), coalesce(ST_Y(i.geom), 0), i.place = 'none', i.grid_no, i.category, c.precision = 'none', i.place = 'outside', i.reported_at
		FROM incident i JOIN category c ON c.code = i.category`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s seen
		var lon, lat float64
		var none bool
		if err := rows.Scan(&lon, &lat, &none, &s.no, &s.category, &s.hidden, &s.outside, &s.reported); err != nil {
			st.t.Fatal(err)
		}
		s.at = geo.WGS84{lon, lat}
		if none {
			without = append(without, s)
		} else {
			located = append(located, s)
		}
	}
	if rows.Err() != nil {
		st.t.Fatal(rows.Err())
	}
	return located, without
}

type toldCells struct {
	Study struct {
		Grids []struct{ Code string }
		Cells int
		Mean  float64
	}
	Counted    int
	Elsewhere  int
	NotLocated int `json:"not_located"`
	TooFew     int `json:"too_few"`
	Cells      []struct {
		Cell  string
		Count int
		Z, Q  *float64
		Class string
	}
}

// TestCellsHoldWhatAWalkOverEveryIncidentCounts asks for drawn periods, resolutions,
// categories and grids as a leader, a town and a village, and counts each incident's
// cell by itself.
func TestCellsHoldWhatAWalkOverEveryIncidentCounts(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 4000)
	tree := st.s.catalogue.Now().Tree
	town, village := "", ""
	for _, n := range tree.Nodes() {
		if n.Level == 2 && town == "" {
			town = string(n.Code)
		}
		if n.Level == 3 {
			village = string(n.Code) // of the last town
		}
	}
	askers := []struct{ token, code string }{
		{st.token(auth.CountyLeader, ""), string(tree.Nodes()[tree.Roots()[0]].Code)},
		{st.token(auth.TownOperator, town), town},
		{st.token(auth.VillageHead, village), village},
	}
	nodeOf := func(code string) grid.Node {
		i, _ := tree.ByCode(grid.Code(code))
		return tree.Nodes()[i]
	}
	located, without := st.everyIncident()
	first := slices.MinFunc(located, func(a, b seen) int { return a.reported.Compare(b.reported) }).reported
	days := int(time.Since(first).Hours()/24) + 1
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d: %d incidents with a place, %d without, over %d days", seed, len(located), len(without), days)
	rnd := rand.New(rand.NewPCG(seed, 6))
	rounds := 60
	if soak() {
		rounds = 3000
	}
	withCells, asked := 0, 0
	for range rounds {
		who := askers[rnd.IntN(len(askers))]
		res := 6 + rnd.IntN(4)
		from := first.Add(time.Duration(rnd.Int64N(int64(days) * int64(24*time.Hour)))).Truncate(time.Second)
		to := from.Add(time.Duration(1 + rnd.Int64N(int64(120*24*time.Hour)))).Truncate(time.Second).Add(time.Second)
		category := ""
		if rnd.IntN(2) == 0 {
			category = located[rnd.IntN(len(located))].category[:2+2*rnd.IntN(2)]
		}
		q := url.Values{"res": {fmt.Sprint(res)}, "from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}, "method": {"count"}}
		if category != "" {
			q.Set("category", category)
		}
		node := nodeOf(who.code)
		if rnd.IntN(2) == 0 { // some grid: below the asker's own, above it or beyond
			n := tree.Nodes()[rnd.IntN(len(tree.Nodes()))]
			q.Set("grid", string(n.Code))
			switch {
			case node.No <= n.No && n.Last <= node.Last:
				node = n
			case n.No <= node.No && node.Last <= n.Last:
			default:
				if a := st.get("/api/v1/hotspots?"+q.Encode(), who.token); a.status != 404 {
					t.Fatalf("grid %s for %s: %d %.200s", n.Code, who.code, a.status, a.body)
				}
				continue
			}
		}
		counts := func(s seen) bool {
			return s.no >= node.No && s.no <= node.Last && !s.hidden && strings.HasPrefix(s.category, category) && !s.reported.Before(from) && s.reported.Before(to)
		}
		want, inGrids, sum, nowhere := map[string]int{}, map[string]bool{}, 0, 0
		for _, s := range located {
			if counts(s) {
				c, err := h3.At(s.at, res)
				if err != nil {
					t.Fatal(err)
				}
				want[c.String()]++
				inGrids[c.String()] = inGrids[c.String()] || !s.outside
				sum++
			}
		}
		for _, s := range without {
			if counts(s) {
				nowhere++
			}
		}
		a := st.get("/api/v1/hotspots?"+q.Encode(), who.token)
		var got toldCells
		if a.status != 200 || json.Unmarshal(a.body, &got) != nil {
			t.Fatalf("%s: %d %.300s", q.Encode(), a.status, a.body)
		}
		if got.Counted+got.Elsewhere != sum || got.NotLocated != nowhere {
			t.Errorf("%s for %s: %d and %d elsewhere, %d not located; a walk counts %d and %d", q.Encode(), who.code, got.Counted, got.Elsewhere, got.NotLocated, sum, nowhere)
		}
		inCells, told := 0, map[string]bool{}
		for _, c := range got.Cells {
			inCells += c.Count
			told[c.Cell] = true
			if want[c.Cell] != c.Count {
				t.Errorf("%s: cell %s has %d, a walk counts %d", q.Encode(), c.Cell, c.Count, want[c.Cell])
			}
		}
		for c := range inGrids {
			if inGrids[c] && !told[c] {
				t.Errorf("%s: nothing is told of cell %s, in which a walk counts %d", q.Encode(), c, want[c])
			}
		}
		if inCells != got.Counted || got.Study.Cells == 0 || len(got.Study.Grids) != 1 || got.Study.Grids[0].Code != string(node.Code) {
			t.Errorf("%s: cells of %d hold %d of %d, of %v", q.Encode(), got.Study.Cells, inCells, got.Counted, got.Study.Grids)
		}
		asked++
		withCells += min(len(got.Cells), 1)
	}
	if withCells < rounds/6 {
		t.Errorf("of %d answers %d have cells: nothing is compared", asked, withCells)
	}
	st.hotAndWhy(askers[0].token, first)
}

// hotAndWhy asks where it is hot over the whole time, and why.
func (st *stand) hotAndWhy(leader string, first time.Time) {
	t := st.t
	t.Helper()
	period := url.Values{"from": {first.Format(time.RFC3339)}, "to": {time.Now().Add(time.Hour).Format(time.RFC3339)}}.Encode()
	a := st.get("/api/v1/hotspots?res=7&"+period, leader)
	var got toldCells
	if a.status != 200 || json.Unmarshal(a.body, &got) != nil || len(got.Cells) == 0 {
		t.Fatalf("%d %.300s", a.status, a.body)
	}
	hottest := got.Cells[0]
	if hottest.Z == nil || *hottest.Z <= 0 || hottest.Class == "" || !slices.IsSortedFunc(got.Cells, func(x, y struct {
		Cell  string
		Count int
		Z, Q  *float64
		Class string
	},
	) int {
		return cmp.Compare(orZero(y.Z), orZero(x.Z))
	}) {
		t.Errorf("the first is %+v, or what follows is hotter", hottest)
	}
	for _, c := range []string{hottest.Cell, got.Cells[len(got.Cells)/2].Cell} {
		a := st.get("/api/v1/hotspots/"+c+"?"+period, leader)
		var why struct {
			Count, Near int
			Z           *float64
			Rows        string
			Neighbours  []struct{ Count int }
			Categories  []struct{ Count int }
		}
		if a.status != 200 || json.Unmarshal(a.body, &why) != nil {
			t.Fatalf("%d %.300s", a.status, a.body)
		}
		sum := 0
		for _, k := range why.Categories {
			sum += k.Count
		}
		near := why.Count
		for _, n := range why.Neighbours {
			near += n.Count
		}
		rows := 0
		for cursor := ""; ; {
			l := st.get("/api/v1/incidents?limit=200&"+why.Rows+cursor, leader).json(t)
			rows += len(l["items"].([]any))
			if l["cursor"] == nil {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(l["cursor"].(string))
		}
		if sum != why.Count || rows != why.Count || near != why.Near {
			t.Errorf("cell %s: %d incidents, %d by category, %d rows; %d near it, %d by cell", c, why.Count, sum, rows, why.Near, near)
		}
	}
	features := st.call("GET", "/api/v1/hotspots?res=7&"+period, leader, "", "Accept: application/geo+json").json(t)
	if n := len(features["features"].([]any)); n != len(got.Cells) {
		t.Errorf("%d features, %d cells", n, len(got.Cells))
	}
	wall := st.get("/api/v1/hotspots?"+period, st.token(auth.Wall, ""))
	if wall.status != 403 {
		t.Errorf("a wall: %d %.200s", wall.status, wall.body)
	}
	for query, status := range map[string]int{
		"res=5&" + period: 400, "res=10&" + period: 400, "res=8.5&" + period: 400, "k=4&" + period: 400, "method=heat&" + period: 400,
		"from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z": 422, "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z": 422,
		"from=2010-01-01T00:00:00Z&to=2026-01-01T00:00:00Z": 422, "category=nothing&" + period: 422, "grid=nowhere&" + period: 404,
		"from=yesterday&to=now": 400,
	} {
		if a := st.get("/api/v1/hotspots?"+query, leader); a.status != status {
			t.Errorf("%s: %d, want %d: %.200s", query, a.status, status, a.body)
		}
	}
	for path, status := range map[string]int{"/zzz": 400, "/88283082b9fffff": 404, "/8029fffffffffff": 422, "/ffffffffffffffff": 422, "/" + hottest.Cell + "?res=7&": 400} {
		if a := st.get("/api/v1/hotspots"+path+map[bool]string{true: "", false: "?"}[strings.Contains(path, "?")]+period, leader); a.status != status {
			t.Errorf("%s: %d, want %d: %.200s", path, a.status, status, a.body)
		}
	}
}

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}
