// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/paulmach/orb/geojson"

	"onemap/analysis"
)

// HotChange is how the rate of one cell changed.
type HotChange struct {
	Cell   string   `json:"cell" doc:"H3 index"`
	Before int      `json:"before" doc:"Incidents in the first period"`
	After  int      `json:"after" doc:"Incidents in the second"`
	Ratio  *float64 `json:"ratio,omitempty" doc:"Incidents by day in the second period by those in the first; left out where the first has none"`
	Low    *float64 `json:"low,omitempty" doc:"The ratio's 95 % interval begins here"`
	High   *float64 `json:"high,omitempty" doc:"It ends here; left out where the first period has none: it has no end"`
	P      *float64 `json:"p,omitempty" doc:"Two-sided probability by chance; left out where it is not tested"`
	Q      *float64 `json:"q,omitempty" doc:"P with the false discovery rate held over the study area"`
	Class  string   `json:"class" enum:"more,less,plain,too_few"`
}

// HotChanges are the cells of a study area in two periods, as of one sequence number.
type HotChanges struct {
	AsOf   AsOf        `json:"as_of"`
	Before HotPeriod   `json:"before" doc:"The first period"`
	After  HotPeriod   `json:"after" doc:"The second; what lies ahead is cut off"`
	Res    int         `json:"res"`
	Study  HotArea     `json:"study"`
	TooFew int         `json:"too_few,omitempty" doc:"Cells that are not tested: fewer than 5 in both periods together; empty ones included"`
	Cells  []HotChange `json:"cells" doc:"Those with incidents in one of the periods, the surest change first"`
}

type hotChangesInput struct {
	From  time.Time `query:"from" required:"true" doc:"The first period: reported at or after"`
	To    time.Time `query:"to" required:"true" doc:"Reported before; at most 3660 days later"`
	From2 time.Time `query:"from2" required:"true" doc:"The second period, likewise; it begins where the first ends, or later"`
	To2   time.Time `query:"to2" required:"true" doc:"Its end, at most 3660 days later; what lies ahead is cut off"`
	HotWhich
	HotRes
	Accept string `header:"Accept"`
}

func (s *Server) compareHotSpots(ctx context.Context, a caller, in *hotChangesInput) (*listOutput, error) {
	if in.From2.Before(in.To) {
		return nil, problem(http.StatusUnprocessableEntity, "the second period begins before the first has ended: from2 must not be before to")
	}
	before, after := analysis.Period{From: in.From, To: in.To}, analysis.Period{From: in.From2, To: s.past(in.To2)}
	h, err := s.heatOf(ctx, a, &heatAsked{periods: []analysis.Period{before, after}, HotWhich: in.HotWhich, res: in.Res, rings: 1})
	if err != nil {
		return nil, err
	}
	defer h.done()
	first, second := h.periods[0], h.periods[1]
	told := 0
	for i := range first.counts {
		if first.counts[i]+second.counts[i] > 0 {
			told++
		}
	}
	if told > mostTold { // before much is worked out for nobody
		return nil, errTooManyCells
	}
	b := HotChanges{AsOf: h.asOf, Before: first.HotPeriod, After: second.HotPeriod, Res: in.Res, Study: h.area, Cells: []HotChange{}}
	times := after.To.Sub(after.From).Seconds() / before.To.Sub(before.From).Seconds()
	for i, c := range analysis.Compare(first.counts, second.counts, times) {
		if c.Class == analysis.TooFew {
			b.TooFew++
		}
		if first.counts[i]+second.counts[i] > 0 {
			b.Cells = append(b.Cells, hotChange(h.study.At(i).String(), first.counts[i], second.counts[i], c))
		}
	}
	slices.SortStableFunc(b.Cells, surer)
	if !wantsFeatures(in.Accept) {
		return &listOutput{ContentType: "application/json", Body: b}, nil
	}
	fs, err := changeFeatures(b)
	return &listOutput{ContentType: "application/geo+json", Body: fs}, err
}

// past is a moment that is not ahead: a period that is not over would seem to have fewer
// incidents by day than it has.
func (s *Server) past(t time.Time) time.Time {
	if now := s.o.Now(); t.After(now) {
		return now.In(t.Location())
	}
	return t
}

func hotChange(cell string, before, after float64, c analysis.Change) HotChange {
	out := HotChange{Cell: cell, Before: int(before), After: int(after), Ratio: finite(c.Ratio), Low: finite(c.Low), High: finite(c.High), Class: string(c.Class)}
	if c.Tested {
		out.P, out.Q = &c.P, &c.Q
	}
	return out
}

// finite is a number that JSON has, or nil.
func finite(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// surer puts changes in order: by q, those not tested last, then the most incidents first.
func surer(x, y HotChange) int {
	q := func(c HotChange) float64 {
		if c.Q == nil {
			return 2
		}
		return *c.Q
	}
	return cmp.Or(cmp.Compare(q(x), q(y)), cmp.Compare(y.Before+y.After, x.Before+x.After))
}

func changeFeatures(b HotChanges) (*geojson.FeatureCollection, error) {
	all, err := cellFeatures(b.Cells, func(c HotChange) (string, geojson.Properties) {
		p := geojson.Properties{"cell": c.Cell, "before": c.Before, "after": c.After, "class": c.Class}
		setGiven(p, "ratio", c.Ratio)
		setGiven(p, "low", c.Low)
		setGiven(p, "high", c.High)
		setGiven(p, "p", c.P)
		setGiven(p, "q", c.Q)
		return c.Cell, p
	})
	if err != nil {
		return nil, err
	}
	all.ExtraMembers = geojson.Properties{"as_of": b.AsOf, "before": b.Before, "after": b.After, "res": b.Res, "study": b.Study, "too_few": b.TooFew}
	return all, nil
}
