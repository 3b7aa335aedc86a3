// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"onemap/analysis"
	"onemap/geo"
	"onemap/geo/cell"
)

// houston reads the places of the real incidents that lie beside the repository.
func houston(t *testing.T) []geo.WGS84 {
	t.Helper()
	f, err := os.Open("../../../shared/data/incidents/houston_crime_2010.csv.gz")
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	lon, lat := slices.Index(rows[0], "lon"), slices.Index(rows[0], "lat")
	if lon < 0 || lat < 0 {
		t.Fatalf("no lon and lat among %v", rows[0])
	}
	var out []geo.WGS84
	for _, row := range rows[1:] {
		x, errX := strconv.ParseFloat(row[lon], 64)
		y, errY := strconv.ParseFloat(row[lat], 64)
		if errX == nil && errY == nil { // some have no place
			out = append(out, geo.WGS84{x, y})
		}
	}
	return out
}

// Nothing of the real incidents is kept here: where R is, it is asked anew about every
// cell; where it is not, sums over all cells are compared with those that it gave.
func TestHotSpotsOfHoustonEqualR(t *testing.T) {
	places := houston(t)
	const res, k = 8, 2
	area, err := cell.Covering(res, box(-95.8, 29.5, -95, 30.12))
	if err != nil {
		t.Fatal(err)
	}
	near, err := area.Rings(k)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]float64, area.Len())
	for _, p := range places {
		c, err := cell.At(p, res)
		if err != nil {
			t.Fatal(err)
		}
		if i, ok := area.Index(c); ok {
			counts[i]++
		}
	}
	spots := analysis.HotSpots(counts, nil, near)
	if _, err := exec.LookPath("Rscript"); err == nil {
		answer := askR(t, "localg", question(area, near, counts, spots))
		compareSpots(t, spots, answer)
		if *update && !t.Failed() {
			save(t, "testdata/houston_sums.csv", sums(t, answer))
		}
	} else {
		t.Log("R is not here: sums alone are compared")
	}
	want := load(t, "testdata/houston_sums.csv")[1]
	var got [4]float64
	for _, s := range spots {
		if s.Tested {
			got[0]++
			got[1] += math.Abs(s.Z)
			got[2] += s.P
			got[3] += s.Q
		}
	}
	for i, v := range got {
		w, err := strconv.ParseFloat(want[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(v-w) > 1e-6*got[0] || got[0] < 1000 {
			t.Errorf("%s: %v, and R says %v", []string{"tested cells", "sum of |z|", "sum of p", "sum of q"}[i], v, w)
		}
	}
}

// sums adds up R's answer over the tested cells.
func sums(t *testing.T, answer [][]string) [][]string {
	var all [4]float64
	for _, a := range answer[1:] {
		a = a[len(a)-3:]
		if a[1] == "" {
			continue
		}
		all[0]++
		for k, text := range a {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			all[k+1] += math.Abs(v)
		}
	}
	var row []string
	for _, v := range all {
		row = append(row, fmt.Sprintf("%.12g", v))
	}
	return [][]string{{"tested", "z", "p", "q"}, row}
}
