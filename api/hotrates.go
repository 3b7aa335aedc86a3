// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	orbgeo "github.com/paulmach/orb/geo"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo"
	"onemap/geo/cell"
	"onemap/store"
	"onemap/track"
)

// HotPer says what incidents are counted by.
type HotPer struct {
	Per string `query:"per" enum:"area,households,patrol_hours" doc:"Tell rates too: by km2, by 1000 households, by 100 hours of patrol. docs/HOTSPOTS.md says how each is counted"`
}

const (
	perArea       = "area"
	perHouseholds = "households"
	perPatrol     = "patrol_hours"
)

// RatedBy is what incidents are counted by.
type RatedBy struct {
	By    string  `json:"by" enum:"area,households,patrol_hours"`
	Unit  float64 `json:"unit" doc:"A rate is incidents by so much exposure: 1 km2, 1000 households, 100 hours"`
	Least float64 `json:"least" doc:"A cell with less exposure has no rate"`

	Lacking  int        `json:"lacking,omitempty" doc:"Leaf grids of the study area whose number of households is not known: cells that lie in one have no rate"`
	StoredAt *time.Time `json:"stored_at,omitempty" doc:"When the oldest of the numbers of households was stored"`
}

// HotRate is incidents by exposure; left out where nothing was asked for, and where the
// exposure is not known or too small.
type HotRate struct {
	Exposure *float64 `json:"exposure,omitempty" doc:"What they are counted by: km2 in the study area, households, hours of patrol"`
	Rate     *float64 `json:"rate,omitempty" doc:"Incidents by unit of exposure"`
	Low      *float64 `json:"low,omitempty" doc:"The rate's exact 95 % interval begins here"`
	High     *float64 `json:"high,omitempty" doc:"It ends here"`
}

// ratings are what incidents may be counted by. Of patrol less than ten hours are told to
// nobody: they would say where one person was.
var ratings = map[string]RatedBy{
	perArea: {By: perArea, Unit: 1, Least: 0.01}, perHouseholds: {By: perHouseholds, Unit: 1000, Least: 100}, perPatrol: {By: perPatrol, Unit: 100, Least: 10},
}

const (
	leastPatrol  = 7 * 24 * time.Hour // that hours of patrol are counted over
	finestPatrol = 8                  // resolution of the cells that they are counted in
)

// exposed is what the incidents of a study area are counted by, cell by cell.
type exposed struct {
	RatedBy
	of    []float64
	whole float64
	scope auth.Scope // of whose fixes hours of patrol are counted
}

// rate is what is told of a count and its exposure.
func (e *exposed) rate(count, exposure float64) (told HotRate) {
	r := analysis.RateOf(count, exposure, e.Unit, e.Least)
	if !r.Known {
		return told
	}
	exposure = fourDigits(exposure)
	return HotRate{&exposure, &r.Rate, &r.Low, &r.High}
}

// ratedBy refuses what incidents cannot be counted by; nil where nothing was asked for.
func (s *Server) ratedBy(a caller, in *heatAsked) (*exposed, error) {
	switch in.per {
	case "":
		return nil, nil
	case perPatrol:
		d, err := auth.Decide(a.Actor, auth.Read, auth.Position)
		if err != nil {
			return nil, err
		}
		p := in.periods[0]
		switch {
		case p.From.Before(s.o.Now().Add(-track.Retention)):
			return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("fixes are kept for %.0f days: hours of patrol cannot be counted from further back", track.Retention.Hours()/24))
		case p.To.Sub(p.From) < leastPatrol:
			return nil, problem(http.StatusUnprocessableEntity, "hours of patrol are told of seven days or more: of fewer they would say where one person was")
		case in.res > finestPatrol:
			return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("hours of patrol are told of cells of resolution %d or coarser: smaller ones would say where one person was", finestPatrol))
		}
		return &exposed{RatedBy: ratings[perPatrol], scope: d.Scope}, nil
	}
	return &exposed{RatedBy: ratings[in.per]}, nil
}

// expose counts the exposure of each cell of the study area in the first period.
func (s *Server) expose(ctx context.Context, a caller, e *exposed, h *heat) (err error) {
	switch e.By {
	case perArea:
		e.of, err = h.study.LandKm2()
	case perHouseholds:
		e.of, err = s.households(ctx, a, e, h)
	default:
		e.of, err = s.patrolHours(ctx, a, e.scope, h)
	}
	for _, v := range e.of {
		e.whole += v
	}
	return err
}

// sameArea is by what part a grid's area may differ from that of when its number came.
const sameArea = 0.01

// households are how many live in each cell of the study, by the numbers of its leaf grids.
func (s *Server) households(ctx context.Context, a caller, e *exposed, h *heat) ([]float64, error) {
	list, err := store.Households(ctx, s.reads(a).Pool)
	if err != nil {
		return nil, err
	}
	type key struct{ root, code string }
	stored := map[key]store.GridHouseholds{}
	for _, g := range list {
		stored[key{g.Root, g.Grid}] = g
	}
	nodes := h.tree.Nodes()
	numberOf := func(leaf int) (store.GridHouseholds, bool) {
		n, known := stored[key{string(nodes[h.tree.Path(leaf)[0]].Code), string(nodes[leaf].Code)}]
		area := orbgeo.Area(nodes[leaf].Geom)
		elsewhere := known && n.Lon != nil && h.tree.Locate(geo.WGS84{*n.Lon, *n.Lat}).Index != leaf
		return n, known && !elsewhere && math.Abs(area-n.AreaM2) <= sameArea*n.AreaM2
	}
	leaves := 0
	for i := range nodes {
		inside := slices.ContainsFunc(h.grids, func(g int) bool { return nodes[g].No <= nodes[i].No && nodes[i].No <= nodes[g].Last })
		if !inside || len(h.tree.Children(i)) > 0 {
			continue
		}
		leaves++
		if n, known := numberOf(i); !known {
			e.Lacking++
		} else if e.StoredAt == nil || n.StoredAt.Before(*e.StoredAt) {
			e.StoredAt = &n.StoredAt
		}
	}
	if e.Lacking == leaves {
		return nil, problem(http.StatusUnprocessableEntity, "no leaf grid of this area has a number of households, or all were redrawn since theirs came: bring them in with onemap import households FILE")
	}
	return h.study.Spread(h.tree, func(leaf int) (float64, bool) {
		n, known := numberOf(leaf)
		return float64(n.Households), known
	})
}

// patrolHours are whole hours, by cell, that workers in scope were on duty in the study's
// grids.
func (s *Server) patrolHours(ctx context.Context, a caller, scope auth.Scope, h *heat) ([]float64, error) {
	hours := make([]float64, h.study.Len())
	cells := map[geo.WGS84]int{} // by place, which come again and again; -1 for none
	period := analysis.Period{From: h.periods[0].From, To: s.past(h.periods[0].To)}
	err := s.reads(a).PatrolTime(ctx, scope, s.o.People(), period, func(at geo.WGS84, long time.Duration) error {
		i, known := cells[at]
		if !known {
			i = -1
			if h.study.Inside(at) {
				c, err := cell.At(at, h.study.Res())
				if err != nil {
					return err
				}
				if found, in := h.study.Index(c); in {
					i = found
				}
			}
			cells[at] = i
		}
		if i >= 0 {
			hours[i] += long.Hours()
		}
		return nil
	})
	if err != nil {
		return nil, outOfTime(ctx, err, longestHeat) // however short: a shorter one may do
	}
	for i := range hours {
		hours[i] = math.Round(hours[i])
	}
	return hours, nil
}

// oftener puts cells in order by the low ends of their rates, which a few incidents by
// little exposure do not lift; those without a rate come last.
func oftener(x, y HotCell) int {
	low := func(c HotCell) float64 {
		if c.Low == nil {
			return -1
		}
		return *c.Low
	}
	return cmp.Or(cmp.Compare(low(x), low(y)), cmp.Compare(x.Count, y.Count))
}
