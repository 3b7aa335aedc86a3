// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/paulmach/orb/geojson"

	"onemap/analysis"
)

// HotCourse is how a cell came to be hot, or not.
type HotCourse struct {
	Cell    string   `json:"cell" doc:"H3 index"`
	Count   int      `json:"count" doc:"Incidents of all steps"`
	Tested  int      `json:"tested" doc:"In how many steps it is tested"`
	Hot     int      `json:"hot" doc:"In how many it is hot"`
	Tau     *float64 `json:"tau,omitempty" doc:"Kendall's tau-b of Gi* with time; left out, with z and p, where too few steps are tested"`
	Z       *float64 `json:"z,omitempty" doc:"Of the test of Mann and Kendall"`
	P       *float64 `json:"p,omitempty" doc:"Two-sided probability by chance, of this cell alone"`
	Pattern string   `json:"pattern" enum:"new,intensifying,persistent,sporadic,diminishing,none,too_short"`
	// Steps of the cells that were hot alone: those are looked at one by one.
	Steps []HotStep `json:"steps,omitempty" doc:"What each step has there, in the order of the steps; of cells that were hot in one at least"`
}

// HotStep is one cell in one step.
type HotStep struct {
	Count int      `json:"count"`
	Z     *float64 `json:"z,omitempty" doc:"Gi*; left out where it is not tested"`
	Class string   `json:"class" enum:"hot99,hot95,hot90,cold90,cold95,cold99,plain,too_few"`
}

// HotCourses are the cells of a study area over the steps of a period, as of one
// sequence number.
type HotCourses struct {
	AsOf     AsOf        `json:"as_of"`
	Steps    []HotPeriod `json:"steps" doc:"Of one length, oldest first; what lies ahead is cut off before"`
	Res      int         `json:"res"`
	K        int         `json:"k" doc:"Rings of neighbours"`
	Study    HotArea     `json:"study"`
	TooShort int         `json:"too_short,omitempty" doc:"Cells that are tested in fewer than 8 steps; empty ones included"`
	Cells    []HotCourse `json:"cells" doc:"Those with incidents, and those that were hot; new ones first"`
}

type hotCoursesInput struct {
	HotQuery
	Steps int `query:"steps" minimum:"8" maximum:"24" default:"12" doc:"Into how many steps of one length the period is cut"`
	HotRes
	Accept string `header:"Accept"`
}

func (s *Server) emergingHotSpots(ctx context.Context, a caller, in *hotCoursesInput) (*listOutput, error) {
	to := s.past(in.To)
	long := to.Sub(in.From)
	if long < time.Duration(in.Steps)*time.Second || long > longestHeat {
		return nil, problem(http.StatusUnprocessableEntity, "give a period: to after from, by 3660 days at most, and by a second for each step")
	}
	ask := heatAsked{HotWhich: in.HotWhich, res: in.Res, rings: in.K, most: mostSteps / in.Steps}
	at := func(i int) time.Time {
		return in.From.Add(long * time.Duration(i) / time.Duration(in.Steps)).Truncate(time.Microsecond) // as fine as the database is
	}
	for i := range in.Steps {
		ask.periods = append(ask.periods, analysis.Period{From: at(i), To: at(i + 1)})
	}
	h, err := s.heatOf(ctx, a, &ask)
	if err != nil {
		return nil, err
	}
	defer h.done()
	b := HotCourses{AsOf: h.asOf, Res: in.Res, K: in.K, Study: h.area, Cells: []HotCourse{}}
	all := make([]float64, h.study.Len())
	var steps [][]analysis.Spot
	for _, c := range h.periods {
		if ctx.Err() != nil {
			return nil, outOfTime(ctx, ctx.Err(), long)
		}
		b.Steps = append(b.Steps, c.HotPeriod)
		steps = append(steps, h.judge(c))
		for i, n := range c.counts {
			all[i] += n
		}
	}
	for i, c := range analysis.Emerging(steps) {
		if c.Pattern == analysis.TooShort {
			b.TooShort++
		}
		if all[i] > 0 || c.Hot > 0 {
			told := hotCourse(h.study.At(i).String(), all[i], c)
			if c.Hot > 0 {
				told.Steps = stepsAt(i, h.periods, steps)
			}
			b.Cells = append(b.Cells, told)
		}
	}
	if len(b.Cells) > mostTold {
		return nil, errTooManyCells
	}
	slices.SortStableFunc(b.Cells, newer)
	if !wantsFeatures(in.Accept) {
		return &listOutput{ContentType: "application/json", Body: b}, nil
	}
	fs, err := courseFeatures(b)
	return &listOutput{ContentType: "application/geo+json", Body: fs}, err
}

func hotCourse(cell string, count float64, c analysis.Course) HotCourse {
	out := HotCourse{Cell: cell, Count: int(count), Tested: c.Tested, Hot: c.Hot, Pattern: string(c.Pattern)}
	if c.Pattern != analysis.TooShort {
		out.Tau, out.Z, out.P = &c.Tau, &c.Z, &c.P
	}
	return out
}

// stepsAt is what the steps have in cell i.
func stepsAt(i int, periods []counted, steps [][]analysis.Spot) []HotStep {
	out := make([]HotStep, len(steps))
	for t, spots := range steps {
		spot := spots[i]
		out[t] = HotStep{Count: int(periods[t].counts[i]), Class: string(spot.Class)}
		if spot.Tested {
			out[t].Z = &spot.Z
		}
	}
	return out
}

// patternOrder is the order in which patterns are told: what calls for a look first.
var patternOrder = []string{
	string(analysis.HotNew), string(analysis.HotIntensifying), string(analysis.HotPersistent), string(analysis.HotSporadic),
	string(analysis.HotDiminishing), string(analysis.NeverHot), string(analysis.TooShort),
}

// newer puts cells in order: by pattern, then hot most often first, then most incidents.
func newer(x, y HotCourse) int {
	return cmp.Or(
		cmp.Compare(slices.Index(patternOrder, x.Pattern), slices.Index(patternOrder, y.Pattern)),
		cmp.Compare(y.Hot, x.Hot), cmp.Compare(y.Count, x.Count))
}

func courseFeatures(b HotCourses) (*geojson.FeatureCollection, error) {
	all, err := cellFeatures(b.Cells, func(c HotCourse) (string, geojson.Properties) {
		p := geojson.Properties{"cell": c.Cell, "count": c.Count, "tested": c.Tested, "hot": c.Hot, "pattern": c.Pattern}
		setGiven(p, "tau", c.Tau)
		setGiven(p, "z", c.Z)
		setGiven(p, "p", c.P)
		if c.Steps != nil {
			p["steps"] = c.Steps
		}
		return c.Cell, p
	})
	if err != nil {
		return nil, err
	}
	all.ExtraMembers = geojson.Properties{"as_of": b.AsOf, "steps": b.Steps, "res": b.Res, "k": b.K, "study": b.Study, "too_short": b.TooShort}
	return all, nil
}
