// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	orbgeo "github.com/paulmach/orb/geo"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
	"onemap/intake/file"
)

// bringHouseholds imports a table of households into the county.
func (st *stand) bringHouseholds(text string) (HouseholdsTold, error) {
	st.t.Helper()
	return ImportHouseholds(st.t.Context(), st.s.db, writeFile(st.t, "households.csv", text), file.Options{}, "", time.Now())
}

// TestRatesByHouseholds: the numbers of leaf grids are spread over cells; none is lost or
// counted twice; of a grid without one nothing is told.
func TestRatesByHouseholds(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 3000)
	tree := st.s.catalogue.Now().Tree
	root := tree.Nodes()[tree.Roots()[0]]
	leader := st.token(auth.CountyLeader, "")
	period := "from=2020-01-01T00:00:00Z&to=2029-12-31T00:00:00Z&per=households"
	if a := st.get("/api/v1/hotspots?res=7&method=count&"+period, leader); a.status != 422 || !strings.Contains(string(a.body), "onemap import households") {
		t.Errorf("without any number: %d %s", a.status, a.body)
	}
	var leaves []grid.Node
	for i, n := range tree.Nodes() {
		if len(tree.Children(i)) == 0 {
			leaves = append(leaves, n)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d leaf grids", seed, len(leaves))
	rnd := rand.New(rand.NewPCG(seed, 26))
	table := func(without string) (text string, sum float64) {
		text = "网格编码,户数\n"
		for _, n := range leaves {
			if string(n.Code) != without {
				h := 1 + rnd.IntN(2000)
				text += fmt.Sprintf("%s,%d\n", n.Code, h)
				sum += float64(h)
			}
		}
		return text, sum
	}
	text, sum := table("")
	told, err := st.bringHouseholds(text)
	if err != nil || told.Grids != len(leaves) || float64(told.Households) != sum || len(told.Lacking) != 0 {
		t.Fatalf("%+v, %v", told, err)
	}
	for _, res := range []int{6, 7, 8} {
		got := st.rates(leader, fmt.Sprintf("res=%d&%s", res, period))
		if got.Per == nil || got.Per.By != "households" || got.Study.Exposure == nil || math.Abs(*got.Study.Exposure-sum) > 1 {
			t.Fatalf("resolution %d: %+v, %v households in all", res, got.Per, sum)
		}
		if want := float64(got.Counted) / sum * 1000; math.Abs(*got.Study.Rate/want-1) > 1e-3 {
			t.Errorf("resolution %d: %v by 1000 households in all, want %v", res, *got.Study.Rate, want)
		}
		rated := 0
		for _, c := range got.Cells {
			if c.Rate == nil {
				continue
			}
			rated++
			if *c.Exposure < 100 || math.Abs(*c.Rate-float64(c.Count)/(*c.Exposure)*1000) > 1e-3*(*c.Rate+1) || *c.Low > *c.Rate || *c.High < *c.Rate {
				t.Errorf("cell %s: %d by %v households is %v", c.Cell, c.Count, *c.Exposure, *c.Rate)
			}
		}
		if rated == 0 {
			t.Errorf("resolution %d: no cell has a rate", res)
		}
	}
	// As many to each square kilometre everywhere: a cell has them by its land.
	even := "grid,households\n"
	for _, n := range leaves {
		even += fmt.Sprintf("%s,%d\n", n.Code, int(math.Round(orbgeo.Area(n.Geom)/1e6*1000)))
	}
	if _, err := st.bringHouseholds(even); err != nil {
		t.Fatal(err)
	}
	land := map[string]float64{}
	for _, c := range st.rates(leader, "res=6&"+strings.ReplaceAll(period, "households", "area")).Cells {
		if c.Exposure != nil {
			land[c.Cell] = *c.Exposure
		}
	}
	compared := 0
	for _, c := range st.rates(leader, "res=6&"+period).Cells {
		if c.Exposure != nil && land[c.Cell] > 10 {
			compared++
			if by := *c.Exposure / 1000 / land[c.Cell]; by < 0.85 || by > 1.15 {
				t.Errorf("cell %s: %v thousand households on %v km2", c.Cell, *c.Exposure/1000, land[c.Cell])
			}
		}
	}
	if compared < 20 {
		t.Errorf("%d cells compared", compared)
	}

	// A grid that lacks a number: nothing is told of cells with a place in it.
	lacks := leaves[rnd.IntN(len(leaves))]
	text, _ = table(string(lacks.Code))
	if told, err = st.bringHouseholds(text); err != nil || len(told.Lacking) != 1 || told.Lacking[0] != string(lacks.Code) {
		t.Fatalf("%+v, %v", told, err)
	}
	at, err := h3.At(geo.WGS84(lacks.Label), 6)
	if err != nil {
		t.Fatal(err)
	}
	a := st.get("/api/v1/hotspots?res=6&method=count&"+period, leader)
	if a.status != 200 || a.json(t)["per"].(map[string]any)["lacking"] != 1.0 {
		t.Errorf("one grid without a number: %d %.200s", a.status, a.body)
	}
	got := st.rates(leader, "res=6&"+period)
	if got.Study.Rate != nil {
		t.Errorf("the whole area has a rate of %v", *got.Study.Rate)
	}
	for _, c := range got.Cells {
		if c.Cell == at.String() && c.Rate != nil {
			t.Errorf("a cell of that grid has a rate of %v", *c.Rate)
		}
	}
	// One that was redrawn since.
	st.exec("UPDATE grid_households SET area_m2 = area_m2 * 1.02 WHERE grid_code = $1", string(leaves[0].Code))
	if a := st.get("/api/v1/hotspots?res=6&method=count&"+period, leader).json(t); a["per"].(map[string]any)["lacking"].(float64) < 1 || leaves[0].Code != lacks.Code && a["per"].(map[string]any)["lacking"] != 2.0 {
		t.Errorf("a grid of another area: %v", a["per"])
	}
	// One whose code is that of a grid elsewhere by now, however large.
	st.exec("UPDATE grid_households SET area_m2 = area_m2 / 1.02, lon = $2, lat = $3 WHERE grid_code = $1", string(leaves[0].Code), leaves[1].Label[0], leaves[1].Label[1])
	if a := st.get("/api/v1/hotspots?res=6&method=count&"+period, leader).json(t); leaves[0].Code != lacks.Code && a["per"].(map[string]any)["lacking"] != 2.0 {
		t.Errorf("a grid in another place: %v", a["per"])
	}
	st.exec("UPDATE grid_households SET lon = NULL, lat = NULL WHERE grid_code = $1", string(leaves[0].Code)) // stored before places were
	if a := st.get("/api/v1/hotspots?res=6&method=count&"+period, leader).json(t); a["per"].(map[string]any)["lacking"] != 1.0 {
		t.Errorf("a number without a place: %v", a["per"])
	}

	for text, want := range map[string]string{
		"grid,households\nnowhere,5\n":                                       "no leaf grid",
		fmt.Sprintf("grid,households\n%s,5\n", root.Code):                    "no leaf grid",
		fmt.Sprintf("grid,households\n%s,-1\n", lacks.Code):                  "整数",
		fmt.Sprintf("grid,households\n%s,many\n", lacks.Code):                "整数",
		fmt.Sprintf("grid,households\n%s,1\n%s,2\n", lacks.Code, lacks.Code): "line 3: grid 与第 2 行相同",
		"grid,households\n":   "no rows",
		"grid,people\nx,10\n": "columns grid",
	} {
		if _, err := st.bringHouseholds(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if n := st.count("SELECT count(*) FROM grid_households"); n != len(leaves)-1 {
		t.Errorf("%d numbers after files that were refused", n)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'households.import'"); n != 3 {
		t.Errorf("%d entries of imports", n)
	}
}
