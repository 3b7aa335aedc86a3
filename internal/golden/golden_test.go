// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package golden_test

import (
	"encoding/csv"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/analysis"
	"onemap/dispatch/calendar"
	"onemap/geo/cell"
	"onemap/internal/demo"
)

var update = flag.Bool("update", false, "ask R and write its answers to testdata")

// askR gives rows to reference.R and returns them with R's columns behind.
func askR(t *testing.T, what string, rows [][]string) [][]string {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in.csv"), filepath.Join(t.TempDir(), "out.csv")
	save(t, in, rows)
	if said, err := exec.Command("Rscript", "--vanilla", "reference.R", what, in, out).CombinedOutput(); err != nil {
		t.Fatalf("R: %v\n%s", err, said)
	}
	return load(t, out)
}

func save(t *testing.T, name string, rows [][]string) {
	t.Helper()
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// reference is what R answered to rows: now with -update, else as it is kept under the
// name. The kept question has to be this one, but for who is near, which is not kept.
func reference(t *testing.T, what, name string, rows [][]string) [][]string {
	t.Helper()
	name = filepath.Join("testdata", name+".csv")
	if *update {
		save(t, name, without(askR(t, what, rows), "near"))
	}
	kept, rows := load(t, name), without(rows, "near")
	if len(kept) != len(rows) {
		t.Fatalf("%s has %d rows, not %d: make golden", name, len(kept), len(rows))
	}
	for i, row := range rows {
		for j, v := range row {
			if kept[i][j] != v {
				t.Fatalf("%s, row %d: %q was asked, now it is %q: make golden", name, i+1, kept[i][j], v)
			}
		}
	}
	return kept
}

// without leaves out the column with this heading.
func without(rows [][]string, heading string) [][]string {
	k := slices.Index(rows[0], heading)
	if k < 0 {
		return rows
	}
	var out [][]string
	for _, row := range rows {
		out = append(out, slices.Concat(row[:k], row[k+1:]))
	}
	return out
}

// same holds a number against R's.
func same(t *testing.T, what string, got float64, want string) {
	t.Helper()
	w, err := strconv.ParseFloat(want, 64)
	if want == "NaN" || err != nil {
		t.Fatalf("%s: R says %q", what, want)
	}
	if got != w && !(math.Abs(got-w) <= 1e-6) {
		t.Errorf("%s: %v, and R says %v", what, got, w)
	}
}

func digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// question lists the cells of an area for R: index, count, whether tested, and the row
// numbers of those round it.
func question(area cell.Area, near cell.Neighbours, counts []float64, spots []analysis.Spot) [][]string {
	rows := [][]string{{"cell", "count", "tested", "near"}}
	for i, c := range counts {
		var round []string
		for _, j := range near.Of(i) {
			if int(j) != i {
				round = append(round, strconv.Itoa(int(j)+1))
			}
		}
		tested := "0"
		if spots[i].Tested {
			tested = "1"
		}
		rows = append(rows, []string{area.At(i).String(), digits(c), tested, strings.Join(round, " ")})
	}
	return rows
}

// compareSpots holds spots against R's answer, in which z, p, q stand at the end.
func compareSpots(t *testing.T, spots []analysis.Spot, answer [][]string) {
	t.Helper()
	for i, s := range spots {
		if t.Failed() { // one cell says enough
			return
		}
		a := answer[i+1]
		a = a[len(a)-3:]
		if !s.Tested {
			if a[1] != "" || s.Class != analysis.TooFew || s.P != 0 || s.Q != 0 {
				t.Errorf("cell %d is not tested: %+v, and R says %v", i, s, a)
			}
			continue
		}
		for k, v := range []float64{s.Z, s.P, s.Q} {
			same(t, fmt.Sprintf("cell %d, %s", i, []string{"z", "p", "q"}[k]), v, a[k])
		}
	}
}

func TestHotSpotsOfTheDemoEqualR(t *testing.T) {
	banner, err := demo.New(1)
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	history, err := banner.History(until, calendar.Default(), 20_000)
	if err != nil {
		t.Fatal(err)
	}
	outline := banner.Drafts[0].Geom
	seen := map[analysis.Class]int{}
	for _, c := range []struct{ res, k, days int }{{6, 1, 731}, {7, 1, 92}} {
		area, err := cell.Covering(c.res, outline)
		if err != nil {
			t.Fatal(err)
		}
		near, err := area.Rings(c.k)
		if err != nil {
			t.Fatal(err)
		}
		counts := make([]float64, area.Len())
		for d := history.Days() - c.days; d < history.Days(); d++ {
			for _, in := range history.Day(d) {
				if in.Place != "in_grid" {
					continue
				}
				at, err := cell.At(in.Point, c.res)
				if err != nil {
					t.Fatal(err)
				}
				if i, ok := area.Index(at); ok {
					counts[i]++
				} else {
					t.Fatalf("%v lies in a grid, and its cell %v not in the area", in.Point, at)
				}
			}
		}
		spots := analysis.HotSpots(counts, nil, near)
		for _, s := range spots {
			seen[s.Class]++
		}
		compareSpots(t, spots, reference(t, "localg", fmt.Sprintf("localg%d", c.res), question(area, near, counts, spots)))
	}
	if seen[analysis.Hot99] == 0 || seen[analysis.Plain] == 0 || seen[analysis.TooFew] == 0 {
		t.Errorf("too much alike: %v", seen)
	}
}

func TestChangesEqualR(t *testing.T) {
	rows := [][]string{{"before", "after", "times"}}
	all := map[string][2][]float64{}
	r := rand.New(rand.NewPCG(6, 1))
	for _, times := range []string{"1", "0.25", "3.5"} {
		var before, after []float64
		for _, c := range [][2]int{{0, 5}, {5, 0}, {5, 5}, {0, 40}, {1, 9}, {30, 70}, {200, 260}, {1000, 1000}, {20000, 21000}, {3, 100000}} {
			before, after = append(before, float64(c[0])), append(after, float64(c[1]))
		}
		for range 60 {
			before, after = append(before, float64(3+r.IntN(40))), append(after, float64(2+r.IntN(60)))
		}
		all[times] = [2][]float64{before, after}
		for i := range before {
			rows = append(rows, []string{digits(before[i]), digits(after[i]), times})
		}
	}
	answer := reference(t, "ratio", "ratio", rows)[1:]
	for _, times := range []string{"1", "0.25", "3.5"} {
		x, err := strconv.ParseFloat(times, 64)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range analysis.Compare(all[times][0], all[times][1], x) {
			a := answer[0]
			answer = answer[1:]
			name := fmt.Sprintf("row %d, %v", i, a[:3])
			for k, v := range []float64{c.Low, c.High, c.P, c.Q} {
				scale := 1.0
				if k < 2 && v > 1 && !math.IsInf(v, 1) {
					scale = v // great ratios as exact as small ones, in their own size
				}
				w, err := strconv.ParseFloat(a[3+k], 64)
				if err != nil {
					t.Fatal(err)
				}
				same(t, name+" "+[]string{"low", "high", "p", "q"}[k], v/scale, digits(w/scale))
			}
			if outside := c.Low > 1 || c.High < 1; outside != (c.P < 0.05) {
				t.Errorf("%s: p %v, and the interval is %v to %v", name, c.P, c.Low, c.High)
			}
		}
	}
}

func TestTrendsEqualR(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 2))
	rows := [][]string{{"values"}}
	var series [][]float64
	for i := range 80 {
		var one []float64
		var text []string
		for k := range 5 + r.IntN(30) {
			v := math.Round((r.NormFloat64()+float64(k)*float64(i%5-2)/15)*1000) / 1000
			if i%3 == 0 { // with ties
				v = math.Round(v)
			}
			one, text = append(one, v), append(text, digits(v))
		}
		series, rows = append(series, one), append(rows, []string{strings.Join(text, " ")})
	}
	for i, a := range reference(t, "trend", "trend", rows)[1:] {
		var periods [][]analysis.Spot
		for _, v := range series[i] {
			periods = append(periods, []analysis.Spot{{Z: v, Tested: true, Class: analysis.Plain}})
		}
		c := analysis.Emerging(periods)[0]
		for k, v := range []float64{c.Tau, c.Z, c.P} {
			same(t, fmt.Sprintf("row %d, %s", i, []string{"tau", "z", "p"}[k]), v, a[1+k])
		}
	}
}

// box is a shape from west, south to east, north.
func box(w, s, e, n float64) orb.MultiPolygon {
	return orb.MultiPolygon{{orb.Bound{Min: orb.Point{w, s}, Max: orb.Point{e, n}}.ToRing()}}
}
