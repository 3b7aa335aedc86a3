// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	orbgeo "github.com/paulmach/orb/geo"
	"github.com/paulmach/orb/planar"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
)

type toldRate struct {
	Exposure, Rate, Low, High *float64
}

type toldRates struct {
	Per *struct {
		By          string
		Unit, Least float64
	}
	Study   toldRate
	TooFew  int `json:"too_few"`
	Counted int
	Cells   []struct {
		Cell  string
		Count int
		Class string
		toldRate
	}
}

// rates asks for counts by cell with their rates.
func (st *stand) rates(token, query string) (got toldRates) {
	st.t.Helper()
	a := st.get("/api/v1/hotspots?method=count&"+query, token)
	if a.status != 200 || json.Unmarshal(a.body, &got) != nil {
		st.t.Fatalf("%s: %d %.300s", query, a.status, a.body)
	}
	return got
}

// hotAsker asks about the cells of a grid.
type hotAsker struct {
	token string
	node  grid.Node
}

// hotAskers are a leader of the demo county, a town and a village of it.
func (st *stand) hotAskers() (askers []hotAsker) {
	nodes := st.s.catalogue.Now().Tree.Nodes()
	for i, role := range []auth.Role{auth.CountyLeader, auth.TownOperator, auth.VillageHead} {
		n := nodes[slices.IndexFunc(nodes, func(n grid.Node) bool { return n.Level == i+1 })]
		askers = append(askers, hotAsker{st.token(role, string(n.Code)), n})
	}
	return askers
}

// partInside is how much of a ring lies in a grid, by places strewn over it.
func partInside(rnd *rand.Rand, tree *grid.Tree, node grid.Node, ring orb.Ring) float64 {
	b := ring.Bound()
	in, all := 0, 0
	for all < 3000 {
		p := orb.Point{b.Min[0] + rnd.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + rnd.Float64()*(b.Max[1]-b.Min[1])}
		if !planar.RingContains(ring, p) {
			continue
		}
		all++
		if at := tree.Locate(geo.WGS84(p)).Index; at >= 0 && tree.Nodes()[at].No >= node.No && tree.Nodes()[at].No <= node.Last {
			in++
		}
	}
	return float64(in) / float64(all)
}

// TestRatesByAreaAreWhatAWalkCounts holds rates of a county, a town and a village against
// a walk over every incident, and their exposure against areas measured by another formula
// and places strewn over the cells.
func TestRatesByAreaAreWhatAWalkCounts(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 4000)
	tree := st.s.catalogue.Now().Tree
	located, without := st.everyIncident()
	first := slices.MinFunc(located, func(a, b seen) int { return a.reported.Compare(b.reported) }).reported
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 7))
	rated, cut := 0, 0
	for _, who := range st.hotAskers() {
		for res := 6; res <= 9; res++ {
			q := url.Values{"res": {fmt.Sprint(res)}, "from": {first.Format(time.RFC3339)}, "to": {time.Now().Add(time.Hour).Format(time.RFC3339)}, "per": {"area"}}
			want, _ := walk(t, located, without, func(s seen) bool { return s.no >= who.node.No && s.no <= who.node.Last && !s.hidden }, res)
			got := st.rates(who.token, q.Encode())
			if got.Per == nil || got.Per.By != "area" || got.Per.Unit != 1 {
				t.Fatalf("%s: by %+v", q.Encode(), got.Per)
			}
			few, last := 0, math.Inf(1)
			for i, c := range got.Cells {
				if c.Count != want[c.Cell] {
					t.Errorf("%s: cell %s has %d, a walk counts %d", who.node.Code, c.Cell, c.Count, want[c.Cell])
				}
				if c.Rate == nil {
					if few++; c.Class != "too_few" || c.Exposure != nil || c.Low != nil || c.High != nil {
						t.Errorf("%s: cell without a rate: %+v", who.node.Code, c)
					}
					continue
				}
				rated++
				if c.Class != "" || *c.Exposure < got.Per.Least || math.Abs(*c.Rate**c.Exposure-float64(c.Count)) > 1e-3*float64(c.Count) || !(*c.Low < *c.Rate && *c.Rate < *c.High) || *c.Low > last {
					t.Errorf("%s: cell %d: %+v: %v by %v, %v to %v", who.node.Code, i, c, *c.Rate, *c.Exposure, *c.Low, *c.High)
				}
				last = *c.Low
				if i > 40 {
					continue
				}
				at, err := h3.Parse(c.Cell)
				if err != nil {
					t.Fatal(err)
				}
				ring, err := at.Boundary()
				if err != nil {
					t.Fatal(err)
				}
				whole := orbgeo.Area(ring) / 1e6 / math.Pow(orb.EarthRadius/6371007.18, 2)
				part := partInside(rnd, tree, who.node, ring)
				if part < 0.99 {
					cut++
				}
				if math.Abs(*c.Exposure-whole*part) > 0.08*whole {
					t.Errorf("%s: cell %s has %v km2, %v of its %v lie inside", who.node.Code, c.Cell, *c.Exposure, part, whole)
				}
			}
			grids := orbgeo.Area(who.node.Geom) / 1e6
			if few != got.TooFew || got.Study.Exposure == nil || math.Abs(*got.Study.Exposure-grids) > 0.02*grids || math.Abs(*got.Study.Rate**got.Study.Exposure-float64(got.Counted)) > 1e-3*float64(got.Counted) {
				t.Errorf("%s at %d: %d without a rate, told %d; the whole %+v, the grid has %v km2", who.node.Code, res, few, got.TooFew, got.Study, grids)
			}
		}
	}
	if rated < 100 || cut < 5 {
		t.Errorf("%d rates, %d of cells that are cut: too few to say anything", rated, cut)
	}
	leader := st.hotAskers()[0].token
	period := "from=" + url.QueryEscape(first.Format(time.RFC3339)) + "&to=" + url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339))
	st.ratesBeside(leader, period)
}

// ratesBeside asks for rates beside Gi*, for one cell, as polygons, and as they are refused.
func (st *stand) ratesBeside(leader, period string) {
	t := st.t
	t.Helper()
	var plain, rated toldCells
	for query, to := range map[string]*toldCells{"": &plain, "&per=area": &rated} {
		if a := st.get("/api/v1/hotspots?res=7&"+period+query, leader); a.status != 200 || json.Unmarshal(a.body, to) != nil {
			t.Fatalf("%d %.300s", a.status, a.body)
		}
	}
	if fmt.Sprint(len(plain.Cells), plain.TooFew) != fmt.Sprint(len(rated.Cells), rated.TooFew) {
		t.Errorf("rates change Gi*: %d cells, %d too few; %d, %d with them", len(plain.Cells), plain.TooFew, len(rated.Cells), rated.TooFew)
	}
	for i, c := range plain.Cells {
		if r := rated.Cells[i]; r.Cell != c.Cell || r.Class != c.Class || orZero(r.Z) != orZero(c.Z) {
			t.Errorf("rates change Gi*: %+v, %+v with them", c, r)
		}
	}
	list := st.rates(leader, "res=7&per=area&"+period)
	a := st.get("/api/v1/hotspots/"+list.Cells[0].Cell+"?per=area&"+period, leader)
	var why struct {
		Count int
		toldRate
		Per   struct{ By string }
		Study toldRate
	}
	if a.status != 200 || json.Unmarshal(a.body, &why) != nil || why.Per.By != "area" || why.Rate == nil || *why.Rate != *list.Cells[0].Rate || *why.High != *list.Cells[0].High || *why.Study.Rate != *list.Study.Rate {
		t.Errorf("why: %d %.500s", a.status, a.body)
	}
	shapes := st.call("GET", "/api/v1/hotspots?res=7&method=count&per=area&"+period, leader, "", "Accept: application/geo+json").json(t)
	p := shapes["features"].([]any)[0].(map[string]any)["properties"].(map[string]any)
	if p["rate"] != *list.Cells[0].Rate || p["low"] != *list.Cells[0].Low || shapes["per"].(map[string]any)["by"] != "area" {
		t.Errorf("the first polygon has %v", p)
	}
	for query, want := range map[string]string{
		"per=people&" + period:     "400 ",
		"per=households&" + period: "422 import households",
	} {
		a := st.get("/api/v1/hotspots?"+query, leader)
		if status, words, _ := strings.Cut(want, " "); fmt.Sprint(a.status) != status || !strings.Contains(string(a.body), words) {
			t.Errorf("%s: %d %.200s, want %s", query, a.status, a.body, want)
		}
	}
}
