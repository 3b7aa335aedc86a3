// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/paulmach/orb"
	orbgeo "github.com/paulmach/orb/geo"

	"onemap/geo"
	"onemap/geo/grid"
	"onemap/internal/demo"
)

const seed = 7

// banner is made once: it does not change.
var banner = sync.OnceValues(func() (*demo.Banner, error) { return demo.New(seed) })

func theBanner(t testing.TB) *demo.Banner {
	t.Helper()
	b, err := banner()
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return b
}

func TestBannerHasItsPublishedShape(t *testing.T) {
	b := theBanner(t)
	levels := map[int]int{}
	for _, d := range b.Drafts {
		levels[d.Level]++
	}
	if want := map[int]int{1: 1, 2: 4, 3: 84, 4: 401}; fmt.Sprint(levels) != fmt.Sprint(want) {
		t.Errorf("grids by level %v, want %v", levels, want)
	}
	if len(b.Workers) != 474 || len(b.Points) != 12_000 || len(b.Cameras) != 300 {
		t.Errorf("%d workers, %d addresses, %d cameras", len(b.Workers), len(b.Points), len(b.Cameras))
	}
	if n := len(b.Roads); n < 2000 || n > 4000 {
		t.Errorf("%d road edges, want 2,000 to 4,000", n)
	}
	if km2 := orbgeo.Area(b.Drafts[0].Geom) / 1e6; km2 < 11_900 || km2 > 12_100 {
		t.Errorf("the banner has %.0f km2", km2)
	}
	if c := b.Tree.Bound().Center(); orbgeo.Distance(c, orb.Point{107.5, 38.2}) > 20_000 {
		t.Errorf("its middle is at %v", c)
	}
}

func TestGridCodesAndNamesAreVisiblyMadeUpAndInOrder(t *testing.T) {
	b := theBanner(t)
	shape := map[int]*regexp.Regexp{
		1: regexp.MustCompile(`^990000 演示旗$`),
		2: regexp.MustCompile(`^990000(10[01]000 演[东南西北]镇|20[01]000 演[东南西北]苏木)$`),
		3: regexp.MustCompile(`^990000[12]0[01]2\d\d 示\d\d嘎查$`),
		4: regexp.MustCompile(`^990000[12]0[01]2\d\d\d{3} 第\d+网格$`),
	}
	last := grid.Code("")
	for _, d := range b.Drafts {
		if s := string(d.Code) + " " + d.Name; !shape[d.Level].MatchString(s) {
			t.Errorf("level %d: %s", d.Level, s)
		}
		if d.Code <= last {
			t.Errorf("%s does not come after %s", d.Code, last)
		}
		last = d.Code
		if d.Level > 1 && !strings.HasPrefix(string(d.Code), strings.TrimSuffix(string(d.Parent), "000")) {
			t.Errorf("%s is below %s", d.Code, d.Parent)
		}
	}
	names := map[string]bool{}
	for _, d := range b.Drafts {
		if d.Level < 4 && names[d.Name] {
			t.Errorf("two grids are called %s", d.Name)
		}
		names[d.Name] = true
	}
}

func TestEveryLeafHasAWorkerAndEveryWorkerADeviceAndDuty(t *testing.T) {
	b := theBanner(t)
	served := map[grid.Code]bool{}
	for i, w := range b.Workers {
		if w.Badge != fmt.Sprintf("W%04d", i+1) || w.Device != fmt.Sprintf("demo-%04d", i+1) {
			t.Errorf("worker %d: %s with %s", i+1, w.Badge, w.Device)
		}
		if len(w.Rota) < 4 || len(w.Skills) == 0 || len(w.Grids) == 0 {
			t.Errorf("%s: %d duties, skills %v, grids %v", w.Badge, len(w.Rota), w.Skills, w.Grids)
		}
		for _, g := range w.Grids {
			at, ok := b.Tree.ByCode(g.Grid)
			if !ok || b.Tree.Nodes()[at].Level != 4 {
				t.Errorf("%s serves %s, which is no leaf", w.Badge, g.Grid)
			}
			served[g.Grid] = served[g.Grid] || g.Role == "worker"
		}
		for _, d := range w.Rota {
			if d.Weekday < 1 || d.Weekday > 7 || d.Start < 0 || d.Start > 1439 || d.End <= d.Start || d.End > d.Start+1440 {
				t.Errorf("%s: %+v", w.Badge, d)
			}
		}
	}
	for _, d := range b.Drafts {
		if d.Level == 4 && !served[d.Code] {
			t.Errorf("nobody serves %s", d.Code)
		}
	}
}

// onDuty counts who is on duty at a minute of the week, Monday 0:00 being 0.
func onDuty(b *demo.Banner, minute int) int {
	n := 0
	for _, w := range b.Workers {
		for _, d := range w.Rota {
			from, to := (d.Weekday-1)*1440+d.Start, (d.Weekday-1)*1440+d.End
			if from <= minute && minute < to || from <= minute+7*1440 && minute+7*1440 < to {
				n++
				break
			}
		}
	}
	return n
}

func TestDutyHoursCoverTheWeek(t *testing.T) {
	b := theBanner(t)
	for minute := 0; minute < 7*1440; minute += 10 {
		if n := onDuty(b, minute); n < 40 || n > 420 {
			t.Errorf("weekday %d %02d:%02d: %d on duty", minute/1440+1, minute/60%24, minute%60, n)
		}
	}
	for day := range 5 {
		if n := onDuty(b, day*1440+600); n < 290 || n > 310 {
			t.Errorf("weekday %d 10:00: %d on duty, want about 300", day+1, n)
		}
	}
	if night, noon := onDuty(b, 2*1440+180), onDuty(b, 2*1440+600); night*4 > noon {
		t.Errorf("%d at night, %d by day", night, noon)
	}
}

func TestRoadsAreOneNet(t *testing.T) {
	b := theBanner(t)
	up := map[orb.Point]orb.Point{}
	var find func(p orb.Point) orb.Point
	find = func(p orb.Point) orb.Point {
		q, ok := up[p]
		if !ok || q == p {
			up[p] = p
			return p
		}
		up[p] = find(q)
		return up[p]
	}
	ids, classes := map[string]bool{}, map[string]int{}
	for _, r := range b.Roads {
		if ids[r.ExtID] || len(r.Line) < 2 || r.Name == "" {
			t.Errorf("%+v", r)
		}
		ids[r.ExtID] = true
		classes[r.Class]++
		up[find(r.Line[0])] = find(r.Line[len(r.Line)-1])
	}
	parts := map[orb.Point]bool{}
	for p := range up {
		parts[find(p)] = true
	}
	if len(parts) != 1 {
		t.Errorf("the net falls into %d parts", len(parts))
	}
	for _, c := range []string{"trunk", "primary", "secondary", "track"} {
		if classes[c] < 40 {
			t.Errorf("%d edges of class %s", classes[c], c)
		}
	}
	t.Logf("%d edges: %v", len(b.Roads), classes)
}

func TestAddressesAndCamerasLieInTheirGrid(t *testing.T) {
	b := theBanner(t)
	std := map[string]bool{}
	in := func(p orb.Point, code grid.Code) bool {
		at := b.Tree.Locate(geo.WGS84(p)).Index
		return at >= 0 && b.Tree.Nodes()[at].Code == code
	}
	for _, a := range b.Points {
		if std[a.Std] || !in(a.Point, a.Grid) {
			t.Errorf("%+v is given twice or lies elsewhere", a)
		}
		std[a.Std] = true
		at, _ := b.Tree.ByCode(a.Grid)
		full := ""
		for _, i := range b.Tree.Path(at) {
			full += b.Tree.Nodes()[i].Name
		}
		if !regexp.MustCompile(`^` + full + `\d+号$`).MatchString(a.Std) {
			t.Errorf("%s does not begin with %s", a.Std, full)
		}
	}
	code := regexp.MustCompile(`^9900000[1-4]0013[12]0\d{6}$`)
	codes := map[string]bool{}
	for _, c := range b.Cameras {
		if !code.MatchString(c.Code) || codes[c.Code] || c.Heading < 0 || c.Heading > 359 || !in(c.Point, c.Grid) {
			t.Errorf("%+v", c)
		}
		codes[c.Code] = true
	}
}

func TestSameSeedSameBanner(t *testing.T) {
	t.Parallel()
	b := theBanner(t)
	again, err := demo.New(seed)
	if err != nil {
		t.Fatal(err)
	}
	other, err := demo.New(seed + 1)
	if err != nil {
		t.Fatal(err)
	}
	if digest(b) != digest(again) {
		t.Errorf("seed %d gives two banners", seed)
	}
	if digest(b) == digest(other) {
		t.Errorf("seeds %d and %d give one banner", seed, seed+1)
	}
}

func digest(b *demo.Banner) string {
	return sum(func(w func(any)) {
		for _, x := range b.Drafts {
			w(x)
		}
		for _, x := range b.Roads {
			w(x)
		}
		for _, x := range b.Workers {
			w(x)
		}
		for _, x := range b.Points {
			w(x)
		}
		for _, x := range b.Cameras {
			w(x)
		}
	})
}
