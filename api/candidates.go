// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/analysis"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/road"
	"onemap/store"
)

// CandidateItem is somebody the advice names, with all numbers it went by.
type CandidateItem struct {
	WorkerID  string            `json:"worker_id"`
	Badge     string            `json:"badge"`
	Grid      string            `json:"grid" doc:"Code of the home grid"`
	Rank      int               `json:"rank" doc:"1 is the best"`
	Score     float64           `json:"score" doc:"0 to 100: the weighted mean of parts"`
	TravelS   int               `json:"travel_s" doc:"Seconds"`
	DistanceM int               `json:"distance_m" doc:"Of the way that takes travel_s"`
	By        road.By           `json:"by" enum:"road,line" doc:"Along roads, or a straight line times a factor"`
	Why       road.Why          `json:"why,omitempty" enum:"no_roads,place_far,origin_far,no_way,close" doc:"Why by line: as in the list of the nearest workers"`
	FixAge    int               `json:"fix_age_s"`
	Load      int               `json:"load" doc:"Open incidents whose work is theirs"`
	Day       int               `json:"offers_24h" doc:"Times they were chosen in the last 24 hours"`
	Week      int               `json:"offers_7d" doc:"In the last 7 days, those included"`
	Relation  dispatch.Relation `json:"relation" enum:"own_grid,own_deputy,near_grid,far_grid,other" doc:"How they belong to the place"`
	Covered   bool              `json:"covered" doc:"Their home grid keeps somebody on duty, or they stay in it"`
	Parts     ScoreParts        `json:"parts"`
	Reasons   []string          `json:"reasons" doc:"Words listed in docs/DISPATCH.md"`
}

// ScoreParts are the five things a score is made of, or their weights.
type ScoreParts struct {
	Travel   float64 `json:"travel"`
	Grid     float64 `json:"grid"`
	Load     float64 `json:"load"`
	Fairness float64 `json:"fairness"`
	Cover    float64 `json:"cover"`
}

// ExcludedItem is somebody the advice does not name, and why.
type ExcludedItem struct {
	WorkerID  string       `json:"worker_id"`
	Badge     string       `json:"badge"`
	Why       dispatch.Why `json:"why" enum:"off_duty,sos,too_far,no_skill,assigned,declined,busy,overloaded,resting,no_fix,stale_fix" doc:"The first reason that holds. Of whoever is only stale_fix nothing else is wrong: they may be chosen by hand"`
	DistanceM *int         `json:"distance_m" doc:"In a straight line; null when nobody knows where they are"`
	FixAge    *int         `json:"fix_age_s"`
}

// LeftOut counts those excluded for one reason.
type LeftOut struct {
	Why   dispatch.Why `json:"why"`
	Count int          `json:"count"`
}

// AdviceRuleItem is what the advice went by.
type AdviceRuleItem struct {
	Skills  []string   `json:"skills" doc:"All of them are needed"`
	Weights ScoreParts `json:"weights" doc:"Relative to each other"`
	HalfS   float64    `json:"half_s" doc:"A way of so many seconds is worth half as much as none"`
	RadiusM float64    `json:"radius_m"`
	MaxLoad int        `json:"max_load"`
	MaxDuty int        `json:"max_duty_s"`
}

type candidatesInput struct {
	ID int64 `path:"id" minimum:"1"`
	K  int   `query:"k" minimum:"1" maximum:"50" default:"10" doc:"How many to name"`
}

type candidatesOutput struct {
	Body struct {
		AsOf struct {
			Seq  int64     `json:"seq"`
			Time time.Time `json:"time"`
		} `json:"as_of"`
		Items    []CandidateItem `json:"items" doc:"The best first"`
		Excluded []ExcludedItem  `json:"excluded" doc:"Those with an old fix first, then the nearest; at most 200"`
		LeftOut  []LeftOut       `json:"left_out" doc:"How many are excluded for each reason"`
		Of       int             `json:"of" doc:"How many passed the filters"`
		Measured int             `json:"measured" doc:"How many of them were measured by road: the nearest in a straight line"`
		ByRoad   int             `json:"by_road" doc:"How many of those have a way by road"`
		Rule     AdviceRuleItem  `json:"rule"`
	}
}

func (s *Server) candidates() {
	route(s, need{auth.Read, auth.AdviceData}, huma.Operation{
		OperationID: "candidates", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/candidates", Tags: []string{"incidents"},
		Summary: "Who should go to an incident, who should not, and why", Errors: []int{404, 409},
		Description: "Of the workers in the caller's scope. The formula is published in docs/DISPATCH.md. Nothing is offered to anybody by it.",
	}, s.listCandidates)
	route(s, need{auth.Read, auth.Figures}, huma.Operation{
		OperationID: "advice-figures", Method: http.MethodGet, Path: "/api/v1/figures/advice", Tags: []string{"figures"},
		Summary: "How often the advice was followed, by category", Errors: []int{422},
		Description: "Who reads no cases is told one line for all categories, of one whole week, and none where a number in it, or what is left of one, is 1 to 4.",
	}, s.adviceFigures)
}

func (s *Server) listCandidates(ctx context.Context, a caller, in *candidatesInput) (*candidatesOutput, error) {
	db := s.reads(a)
	row, err := db.Incident(ctx, a.Scope, a.View, in.ID)
	if err != nil {
		return nil, err
	}
	if !row.State.Open() {
		return nil, problem(http.StatusConflict, "the incident is over: nobody is sent to it any more")
	}
	advice, err := s.o.Adviser.Advise(ctx, db.Pool, a.Scope, row, in.K)
	if errors.Is(err, store.ErrNoPlace) {
		return nil, problem(http.StatusConflict, "the incident has no place yet: give it one, or choose by hand")
	}
	if err != nil {
		return nil, err
	}
	out := &candidatesOutput{}
	b := &out.Body
	b.AsOf.Seq, b.AsOf.Time = int64(advice.Seq), advice.At
	b.Of, b.Measured, b.ByRoad, b.Rule = advice.Of, advice.Measured, advice.ByRoad, ruleItem(advice.Rule)
	b.Items, b.Excluded, b.LeftOut = []CandidateItem{}, []ExcludedItem{}, []LeftOut{}
	for _, r := range advice.Ranked {
		b.Items = append(b.Items, s.candidateItem(r))
	}
	for _, e := range advice.Excluded {
		b.Excluded = append(b.Excluded, s.excludedItem(e))
	}
	for why, n := range advice.Left {
		b.LeftOut = append(b.LeftOut, LeftOut{why, n})
	}
	slices.SortFunc(b.LeftOut, func(x, y LeftOut) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Why, y.Why))
	})
	return out, nil
}

func (s *Server) candidateItem(r dispatch.Ranked) CandidateItem {
	i := CandidateItem{
		WorkerID: fmt.Sprint(r.Worker), Rank: r.Rank, Score: math.Round(r.Score*100) / 100,
		TravelS: whole(r.Way.Seconds), DistanceM: whole(r.Way.Metres), By: r.Way.By, Why: r.Way.Why, FixAge: whole(r.FixAge.Seconds()),
		Load: r.Record.Load, Day: r.Record.Day, Week: r.Record.Week, Relation: r.Relation, Covered: r.Covered, Reasons: r.Reasons,
	}
	p := ScoreParts(r.Parts)
	for _, v := range []*float64{&p.Travel, &p.Grid, &p.Load, &p.Fairness, &p.Cover} {
		*v = math.Round(*v*1e4) / 1e4
	}
	i.Parts = p
	w := s.o.People().Find(r.Worker)
	if w == nil {
		return i
	}
	i.Badge = w.Badge
	tree := s.o.Catalogue.Now().Tree
	if at, ok := tree.ByNo(w.Grid); ok {
		i.Grid = string(tree.Nodes()[at].Code)
	}
	return i
}

func (s *Server) excludedItem(e dispatch.Excluded) ExcludedItem {
	i := ExcludedItem{WorkerID: fmt.Sprint(e.Worker), Why: e.Why}
	if w := s.o.People().Find(e.Worker); w != nil {
		i.Badge = w.Badge
	}
	if e.Known {
		metres, age := whole(e.LineM), whole(e.FixAge.Seconds())
		i.DistanceM, i.FixAge = &metres, &age
	}
	return i
}

func whole(v float64) int { return int(math.Round(v)) }

func ruleItem(r dispatch.AdviceRule) AdviceRuleItem {
	i := AdviceRuleItem{Skills: []string{}, Weights: ScoreParts(r.Weights), HalfS: r.HalfS, RadiusM: r.RadiusM, MaxLoad: r.MaxLoad, MaxDuty: int(r.MaxDuty.Seconds())}
	i.Skills = append(i.Skills, r.Skills...)
	return i
}

type adviceFiguresInput struct {
	From string `query:"from" required:"true" format:"date" doc:"The first day, on the clocks of China"`
	To   string `query:"to" required:"true" format:"date" doc:"The day after the last"`
}

// AdviceFigure says how often the advice was followed.
type AdviceFigure struct {
	Category     string  `json:"category" doc:"Empty in the line of all"`
	Name         string  `json:"name"`
	Chosen       int     `json:"chosen" doc:"Acts of choosing somebody for an incident"`
	Advised      int     `json:"advised" doc:"Of them: where the advice named anybody"`
	Overridden   int     `json:"overridden" doc:"Of those: where somebody else was chosen than those it named first"`
	OverrideRate float64 `json:"override_rate" doc:"overridden of advised; 0 without any"`
}

type adviceFiguresOutput struct {
	Body struct {
		From  string         `json:"from"`
		To    string         `json:"to"`
		Total *AdviceFigure  `json:"total" doc:"Null when it may not be told"`
		Items []AdviceFigure `json:"items" doc:"By category"`
	}
}

func (s *Server) adviceFigures(ctx context.Context, a caller, in *adviceFiguresInput) (*adviceFiguresOutput, error) {
	days := s.anyDays
	if a.View != auth.CaseView {
		days = s.oneWeek
	}
	from, to, err := days(in.From, in.To)
	if err != nil {
		return nil, err
	}
	counted, err := s.reads(a).AdviceFigures(ctx, a.Scope, a.View, from, to)
	if err != nil {
		return nil, err
	}
	out := &adviceFiguresOutput{}
	out.Body.From, out.Body.To, out.Body.Items = in.From, in.To, []AdviceFigure{}
	cat := s.o.Catalogue.Now()
	var all store.AdviceFigure
	shared := a.View != auth.CaseView
	for _, f := range counted {
		all.Chosen, all.Advised, all.Overridden = all.Chosen+f.Chosen, all.Advised+f.Advised, all.Overridden+f.Overridden
		if !shared {
			out.Body.Items = append(out.Body.Items, figureItem(f, cat.Categories[f.Category].NameZH))
		}
	}
	w := figureWriter{shared: shared} // the same numbers as in the figures of that week, by the same rule
	if w.tells(all.Chosen) && w.overridden(analysis.Counts{Chosen: all.Chosen, Advised: all.Advised, Overridden: all.Overridden}).Of != nil {
		total := figureItem(all, "合计")
		out.Body.Total = &total
	}
	return out, nil
}

func figureItem(f store.AdviceFigure, name string) AdviceFigure {
	i := AdviceFigure{Category: f.Category, Name: name, Chosen: f.Chosen, Advised: f.Advised, Overridden: f.Overridden}
	if f.Advised > 0 {
		i.OverrideRate = math.Round(1e4*float64(f.Overridden)/float64(f.Advised)) / 1e4
	}
	return i
}

// anyDays is a period of days.
func (s *Server) anyDays(first, after string) (from, to time.Time, err error) {
	today, _ := dayOf(s.o.Now())
	var errs [2]error
	from, errs[0] = time.ParseInLocation(time.DateOnly, first, today.Location())
	to, errs[1] = time.ParseInLocation(time.DateOnly, after, today.Location())
	if errs[0] != nil || errs[1] != nil || !to.After(from) {
		return from, to, problem(http.StatusUnprocessableEntity, "from and to are days like 2026-03-02; to is the day after the last")
	}
	return from, to, nil
}
