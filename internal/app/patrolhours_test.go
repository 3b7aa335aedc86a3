// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
)

// patrolFix is a fix as the record has it, with how long it is fresh.
type patrolFix struct {
	device, worker int64
	at             time.Time
	p              geo.WGS84
	verdict        string
	mock           bool
	fresh          time.Duration
}

// strewFixes writes fixes of workers who walk about, some of whom carry two devices, with
// gaps, and with fixes that are not to be trusted, from a day before the time on.
func (st *stand) strewFixes(rnd *rand.Rand, from time.Time, workers []int64, begin []geo.WGS84) (all []patrolFix) {
	t := st.t
	t.Helper()
	for i, w := range workers {
		home := begin[rnd.IntN(len(begin))]
		for d := range 1 + i%2 {
			interval := []int{10, 60, 240}[rnd.IntN(3)]
			var device int64
			if err := st.s.db.Pool.QueryRow(t.Context(), "INSERT INTO device (unique_id, speed_unit, datum, interval_s) VALUES ($1, 'm/s', 'wgs84', $2) RETURNING id",
				fmt.Sprintf("walk-%d-%d", w, d), interval).Scan(&device); err != nil {
				t.Fatal(err)
			}
			if _, err := st.s.db.Pool.Exec(t.Context(), "INSERT INTO device_binding VALUES ($1, $2, $3, 'infinity')", device, w, from.AddDate(0, -1, 0)); err != nil {
				t.Fatal(err)
			}
			at, p := from.Add(-24*time.Hour), home
			for range 2500 {
				gap := time.Duration(1+rnd.IntN(2*interval)) * time.Second
				if rnd.IntN(20) == 0 {
					gap = time.Duration(1+rnd.IntN(6*3600)) * time.Second
				}
				at = at.Add(gap)
				if rnd.IntN(10) == 0 {
					p[0] += (rnd.Float64() - 0.5) * 0.01
					p[1] += (rnd.Float64() - 0.5) * 0.01
				}
				if !at.Before(time.Now()) {
					break
				}
				f := patrolFix{device: device, worker: w, at: at.Truncate(time.Microsecond), fresh: max(2*time.Minute, 2*time.Duration(interval)*time.Second)}
				f.p = geo.WGS84{math.Round(p[0]*1e7) / 1e7, math.Round(p[1]*1e7) / 1e7}
				f.verdict = []string{"", "", "", "", "late", "jump", "poor"}[rnd.IntN(7)]
				f.mock = rnd.IntN(30) == 0
				all = append(all, f)
			}
		}
	}
	columns := []string{"device_id", "fix_at", "worker_id", "server_at", "lon_e7", "lat_e7", "mock", "verdict"}
	if _, err := st.s.db.Pool.CopyFrom(t.Context(), pgx.Identifier{"worker_position"}, columns, pgx.CopyFromSlice(len(all), func(i int) ([]any, error) {
		f := all[i]
		return []any{f.device, f.at, f.worker, f.at, int32(math.Round(f.p[0] * 1e7)), int32(math.Round(f.p[1] * 1e7)), f.mock, f.verdict}, nil
	})); err != nil {
		t.Fatal(err)
	}
	return all
}

// hoursOf counts, fix by fix, the hours of workers in each cell.
func hoursOf(t *testing.T, all []patrolFix, tree *grid.Tree, node grid.Node, sees func(worker int64) bool, from, to time.Time, res int) map[string]float64 {
	t.Helper()
	by := map[int64][]patrolFix{}
	for _, f := range all {
		if (f.verdict == "" || f.verdict == "late") && !f.mock && !f.at.Before(from) && f.at.Before(to) && sees(f.worker) {
			by[f.worker] = append(by[f.worker], f)
		}
	}
	hours := map[string]float64{}
	for _, walked := range by {
		slices.SortFunc(walked, func(a, b patrolFix) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.device, b.device)) })
		for i, f := range walked {
			until := to
			if i+1 < len(walked) {
				until = walked[i+1].at
			}
			e7 := func(deg float64) float64 { return math.Round(deg * 1e7) }                   // as the record has it
			p := geo.WGS84{math.Round(e7(f.p[0])/1e3) / 1e4, math.Round(e7(f.p[1])/1e3) / 1e4} // as good as fixes are
			if at := tree.Locate(p).Index; at < 0 || tree.Nodes()[at].No < node.No || tree.Nodes()[at].No > node.Last {
				continue
			}
			c, err := h3.At(p, res)
			if err != nil {
				t.Fatal(err)
			}
			hours[c.String()] += min(until.Sub(f.at), f.fresh).Hours()
		}
	}
	return hours
}

// TestHoursOfPatrolAreWhatAWalkOverEveryFixCounts holds rates by hours of patrol against
// one fix counted after another, for a desk of the county and one of a town.
func TestHoursOfPatrolAreWhatAWalkOverEveryFixCounts(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 4000)
	tree := st.s.catalogue.Now().Tree
	located, without := st.everyIncident()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 8))
	now := time.Now().Truncate(time.Second)
	from, to := now.AddDate(0, 0, -20), now.AddDate(0, 0, -2)
	var workers []int64
	homes := map[int64]int32{}
	for _, w := range st.s.fixes.Directory().All() {
		if homes[int64(w.ID)] = w.Grid; w.Active && len(workers) < 14 {
			workers = append(workers, int64(w.ID))
		}
	}
	var begin []geo.WGS84
	for _, s := range located {
		if !s.hidden && !s.reported.Before(from) && s.reported.Before(to) {
			begin = append(begin, s.at)
		}
	}
	all := st.strewFixes(rnd, from, workers, begin)
	county := tree.Nodes()[tree.Roots()[0]]
	var town grid.Node // of the first who walks
	for _, n := range tree.Nodes() {
		if n.Level == 2 && n.No <= homes[workers[0]] && homes[workers[0]] <= n.Last {
			town = n
		}
	}
	rated := 0
	for _, who := range []hotAsker{{st.token(auth.Dispatcher, ""), county}, {st.token(auth.TownOperator, string(town.Code)), town}} {
		in := func(no int32) bool { return who.node.No <= no && no <= who.node.Last }
		for res := 6; res <= 8; res++ {
			q := url.Values{"res": {fmt.Sprint(res)}, "from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}, "per": {"patrol_hours"}}.Encode()
			want, _ := walk(t, located, without, func(s seen) bool {
				return in(s.no) && !s.hidden && !s.reported.Before(from) && s.reported.Before(to)
			}, res)
			hours := hoursOf(t, all, tree, who.node, func(w int64) bool { return in(homes[w]) }, from, to, res)
			got := st.rates(who.token, q)
			if got.Per == nil || got.Per.By != "patrol_hours" || got.Per.Unit != 100 || got.Per.Least != 10 {
				t.Fatalf("by %+v", got.Per)
			}
			whole := 0.0
			for _, h := range hours {
				whole += math.Round(h)
			}
			if got.Study.Exposure != nil && math.Abs(*got.Study.Exposure-whole) > 1 || got.Study.Exposure == nil && whole >= 11 {
				t.Errorf("%s at %d: %v hours, a walk counts %v", who.node.Code, res, got.Study.Exposure, whole)
			}
			for _, c := range got.Cells {
				h := hours[c.Cell]
				switch {
				case c.Count != want[c.Cell]:
					t.Errorf("cell %s has %d, a walk counts %d", c.Cell, c.Count, want[c.Cell])
				case c.Exposure == nil:
					if h > 9.51 || c.Class != "too_few" || c.Rate != nil {
						t.Errorf("cell %s has no rate by %v hours: %+v", c.Cell, h, c)
					}
				case math.Abs(*c.Exposure-h) > 0.51 || *c.Exposure != math.Round(*c.Exposure) || math.Abs(*c.Rate - float64(c.Count)*100 / *c.Exposure) > 1e-9:
					t.Errorf("cell %s: %v by %v hours, a walk counts %d by %v", c.Cell, *c.Rate, *c.Exposure, c.Count, h)
				default:
					rated++
				}
			}
		}
	}
	if rated < 3 {
		t.Errorf("%d rates: nothing is compared", rated)
	}
	query := func(res int, from, to time.Time) string {
		return url.Values{"res": {fmt.Sprint(res)}, "from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}, "per": {"patrol_hours"}}.Encode()
	}
	for _, c := range []struct {
		role  auth.Role
		query string
		want  string
	}{
		{auth.CountyLeader, query(7, from, to), "403 "},
		{auth.DeptHandler, query(7, from, to), "403 "},
		{auth.Dispatcher, query(9, from, to), "422 resolution 8"},
		{auth.Dispatcher, query(7, now.AddDate(0, 0, -6), now), "422 seven days"},
		{auth.Dispatcher, query(7, now.AddDate(0, 0, -31), now), "422 kept for 30 days"},
	} {
		a := st.get("/api/v1/hotspots?"+c.query, st.token(c.role, ""))
		if status, words, _ := strings.Cut(c.want, " "); fmt.Sprint(a.status) != status || !strings.Contains(string(a.body), words) {
			t.Errorf("%s %s: %d %.200s, want %s", c.role, c.query, a.status, a.body, c.want)
		}
	}
}
