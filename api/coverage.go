// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/geo/road"
	"onemap/people"
	"onemap/store"
	"onemap/track"
)

// Coverage is who would be in each leaf grid first, now.
type Coverage struct {
	Time       time.Time      `json:"time" doc:"As of"`
	BeyondS    int            `json:"beyond_s" doc:"A grid is thin when the first needs longer, or there is nobody"`
	Counted    int            `json:"counted" doc:"Workers in the caller's scope who could be sent: on duty, a fresh trusted fix, not on accepted work"`
	NotCounted []LeftOut      `json:"not_counted" doc:"Those on duty who could not, by the first reason: no_fix, sos, stale_fix, busy"`
	Without    []string       `json:"without" doc:"Ids of those counted who are taken away in thought"`
	Thin       []string       `json:"thin" doc:"Codes of the thin grids: those with nobody first, then the longest time first"`
	Uncovered  []string       `json:"uncovered" doc:"Codes of the grids that are thin only without those taken away, the longest time first"`
	Items      []CoverageItem `json:"items" doc:"By grid code"`
}

// CoverageItem is one leaf grid.
type CoverageItem struct {
	Code      string        `json:"code"`
	Name      string        `json:"name"`
	Above     []string      `json:"above" doc:"Names of the grids it lies in, the town first: others may have its name"`
	Point     [2]float64    `json:"point" doc:"Where in the grid the way ends: its label point, a place inside; WGS-84, longitude first"`
	Thin      bool          `json:"thin"`
	Uncovered bool          `json:"uncovered" doc:"Thin only without those taken away"`
	First     CoverageWay   `json:"first"`
	Then      []CoverageWay `json:"then,omitempty" doc:"One: who is first without those taken away; left out where nobody is taken away or it stays the same"`

	no int32 // number of the grid
}

// CoverageWay is the first at a grid, or that there is nobody.
type CoverageWay struct {
	By        string   `json:"by" enum:"road,line,none" doc:"none: nobody is counted, and nothing else is told"`
	Why       road.Why `json:"why,omitempty" enum:"no_roads,place_far,origin_far,no_way,close" doc:"Why by line: as in the list of the nearest workers"`
	WorkerID  string   `json:"worker_id,omitempty"`
	Badge     string   `json:"badge,omitempty"`
	TravelS   *int     `json:"travel_s" doc:"Seconds; null when there is nobody"`
	DistanceM *int     `json:"distance_m" doc:"Of the way that takes travel_s"`
	FixAge    *int     `json:"fix_age_s"`
}

// CoverageQuestion is what coverage is asked by, in the list and in tiles.
type CoverageQuestion struct {
	Grid    string `query:"grid" maxLength:"64" doc:"Code of a grid: those below it alone; workers elsewhere count all the same"`
	BeyondS int    `query:"beyond_s" minimum:"60" maximum:"86400" default:"1800" doc:"Seconds beyond which a grid is thin"`
}

type coverageInput struct {
	CoverageQuestion
	Offer   int64   `query:"offer" minimum:"1" doc:"Id of an offer: take away whom it asks, and who was asked with them"`
	Without []int64 `query:"without" maxItems:"50" doc:"Ids of workers to take away, apart by commas"`
	Accept  string  `header:"Accept"`
}

func (s *Server) coverage() {
	route(s, need{auth.Read, auth.AdviceData}, huma.Operation{
		OperationID: "coverage", Method: http.MethodGet, Path: "/api/v1/coverage", Tags: []string{"workers"},
		Summary: "Who would be in each leaf grid first now, and which grids are thin; also as application/geo+json", Errors: []int{404, 409},
		Description: "Of the workers in the caller's scope. With offer or without: what their going would uncover. Nothing is stored or offered by it. 503 also while it is not known who is on accepted work. See docs/COVERAGE.md.",
		Responses:   s.listOrFeatures(reflect.TypeFor[Coverage]()),
	}, s.readCoverage)
}

// covering is somebody who could be sent.
type covering struct {
	*people.Worker
	p   geo.WGS84
	age int
}

func (s *Server) readCoverage(ctx context.Context, a caller, in *coverageInput) (*listOutput, error) {
	tree := s.o.Catalogue.Now().Tree
	top := topmost(tree, a.Scope, in.Grid)
	if len(top) == 0 {
		return nil, errNoGrid
	}
	away, err := s.takenAway(ctx, a, in)
	if err != nil {
		return nil, err
	}
	c, err := s.coverageOf(ctx, a, tree, top, in.BeyondS, away)
	if err != nil {
		return nil, err
	}
	if wantsFeatures(in.Accept) {
		return &listOutput{"application/geo+json", coverageFeatures(c)}, nil
	}
	return &listOutput{"application/json", c}, nil
}

// coverageOf works out who would be first in each leaf grid below those on top, with some
// workers taken away in thought.
func (s *Server) coverageOf(ctx context.Context, a caller, tree *grid.Tree, top []int, beyond int, away map[uint32]bool) (Coverage, error) {
	now := s.o.Now()
	if !s.o.TasksKnown() {
		return Coverage{}, retryLater("who is on accepted work is not known at the moment: somebody who is might be told as free; ask again in a moment")
	}
	c := Coverage{Time: now, BeyondS: beyond, Without: []string{}, Thin: []string{}, Uncovered: []string{}, Items: []CoverageItem{}}
	var who, rest []covering
	who, c.NotCounted = s.whoCovers(a.Scope, now)
	c.Counted = len(who)
	for _, w := range who {
		if away[w.ID] {
			c.Without = append(c.Without, fmt.Sprint(w.ID))
		} else {
			rest = append(rest, w)
		}
	}
	leaves, points := leavesBelow(tree, a.Scope, top)
	roads := s.o.Roads()
	first, err := roads.Soonest(ctx, points, placesOf(who))
	then := first
	if err == nil && len(c.Without) > 0 {
		then, err = roads.Soonest(ctx, points, placesOf(rest))
	}
	if err != nil {
		return c, err
	}
	thin := func(t road.Answer) bool { return math.Round(t.Seconds) > float64(beyond) } // as it is told; nobody takes for ever
	seconds := map[string]float64{}                                                     // that put a grid in its list
	for i, n := range leaves {
		item := CoverageItem{Code: string(n.Code), Name: n.Name, Above: namesAbove(tree, n), Point: [2]float64(n.Label), First: coverageWay(first[i], who), no: n.No}
		item.Thin, item.Uncovered = thin(first[i]), thin(then[i]) && !thin(first[i])
		if first[i].Index >= 0 && away[who[first[i].Index].ID] {
			item.Then = []CoverageWay{coverageWay(then[i], rest)}
		}
		seconds[item.Code] = then[i].Seconds
		switch {
		case item.Thin:
			c.Thin = append(c.Thin, item.Code)
			seconds[item.Code] = first[i].Seconds
		case item.Uncovered:
			c.Uncovered = append(c.Uncovered, item.Code)
		}
		c.Items = append(c.Items, item)
	}
	slices.SortFunc(c.Items, func(x, y CoverageItem) int { return cmp.Compare(x.Code, y.Code) })
	for _, codes := range [][]string{c.Thin, c.Uncovered} {
		slices.SortFunc(codes, func(x, y string) int { return cmp.Or(cmp.Compare(seconds[y], seconds[x]), cmp.Compare(x, y)) })
	}
	return c, nil
}

// takenAway is the workers to be taken away in thought.
func (s *Server) takenAway(ctx context.Context, a caller, in *coverageInput) (map[uint32]bool, error) {
	away := map[uint32]bool{}
	for _, id := range in.Without {
		var w *people.Worker
		if id > 0 && id <= math.MaxUint32 {
			w = s.o.People().Find(uint32(id))
		}
		if w == nil || !a.Scope.SeesWorker(w.ID, w.Grid) {
			return nil, store.ErrNotFound
		}
		away[w.ID] = true
	}
	if in.Offer == 0 {
		return away, nil
	}
	d, err := auth.Decide(a.Actor, auth.Read, auth.OfferData)
	if err != nil {
		return nil, err
	}
	db := s.reads(a).Pool
	o, err := store.FindOffer(ctx, db, d.Scope, in.Offer)
	if err != nil {
		return nil, err
	}
	if !o.State.Live() {
		return nil, problem(http.StatusConflict, "the offer is over: it takes nobody away")
	}
	with, err := store.OffersSentWith(ctx, db, d.Scope, cmp.Or(o.SentWith, o.ID))
	if err != nil {
		return nil, err
	}
	for _, o := range with {
		if o.State.Live() {
			away[o.Worker] = true
		}
	}
	return away, nil
}

// whoCovers is those in scope who could be sent, ordered by id, and how many of those on
// duty could not.
func (s *Server) whoCovers(scope auth.Scope, now time.Time) (who []covering, left []LeftOut) {
	staff, dots, not := s.o.People(), map[uint32]track.Dot{}, map[dispatch.Why]int{}
	for _, d := range s.o.Dots() {
		dots[d.Worker] = d
	}
	everybody := staff.All()
	for i := range everybody {
		w := &everybody[i]
		if !w.Active || !scope.SeesWorker(w.ID, w.Grid) {
			continue
		}
		if _, on := w.OnDuty(now); !on {
			continue
		}
		d, seen := dots[w.ID]
		switch {
		case !seen:
			not[dispatch.NoFix]++
		case d.State == track.StateSOS:
			not[dispatch.Alarmed]++
		case d.State != track.StateOn && d.State != track.StateTask:
			not[dispatch.StaleFix]++
		case d.State == track.StateTask:
			not[dispatch.Busy]++
		default:
			who = append(who, covering{w, d.P, int(now.Sub(d.FixAt).Seconds())})
		}
	}
	left = []LeftOut{}
	for why, n := range not {
		left = append(left, LeftOut{why, n})
	}
	slices.SortFunc(left, func(x, y LeftOut) int { return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Why, y.Why)) })
	slices.SortFunc(who, func(x, y covering) int { return cmp.Compare(x.ID, y.ID) })
	return who, left
}

// leavesBelow is the leaf grids in scope at or below these, and the point of each.
func leavesBelow(tree *grid.Tree, scope auth.Scope, top []int) (leaves []*grid.Node, points []geo.WGS84) {
	nodes := tree.Nodes()
	for i := range nodes {
		n := &nodes[i]
		below := func(t int) bool { return nodes[t].No <= n.No && n.No <= nodes[t].Last }
		if len(tree.Children(i)) == 0 && scope.Sees(n.No) && slices.ContainsFunc(top, below) {
			leaves, points = append(leaves, n), append(points, geo.WGS84(n.Label))
		}
	}
	return leaves, points
}

// namesAbove are the names between the county and a grid.
func namesAbove(tree *grid.Tree, n *grid.Node) []string {
	names := []string{}
	if n.Parent >= 0 {
		for _, i := range tree.Path(n.Parent)[1:] {
			names = append(names, tree.Nodes()[i].Name)
		}
	}
	return names
}

func placesOf(who []covering) []geo.WGS84 {
	out := make([]geo.WGS84, len(who))
	for i, w := range who {
		out[i] = w.p
	}
	return out
}

func coverageWay(t road.Answer, who []covering) CoverageWay {
	if t.Index < 0 {
		return CoverageWay{By: "none"}
	}
	w := who[t.Index]
	seconds, metres := int(math.Round(t.Seconds)), int(math.Round(t.Metres))
	return CoverageWay{
		By: string(t.By), Why: t.Why, WorkerID: fmt.Sprint(w.ID), Badge: w.Badge, TravelS: &seconds, DistanceM: &metres, FixAge: &w.age,
	}
}

// coverageFeatures is the points the ways end at, one a grid; what the whole answer says
// is beside them.
func coverageFeatures(c Coverage) *geojson.FeatureCollection {
	var fs []*geojson.Feature
	for _, i := range c.Items {
		f := geojson.NewFeature(orb.Point(i.Point))
		f.Properties = geojson.Properties{"code": i.Code, "name": i.Name, "above": i.Above, "thin": i.Thin, "uncovered": i.Uncovered, "by": i.First.By, "travel_s": i.First.TravelS}
		if i.First.WorkerID != "" {
			f.Properties["worker_id"], f.Properties["badge"] = i.First.WorkerID, i.First.Badge
		}
		if len(i.Then) > 0 {
			f.Properties["then_by"], f.Properties["then_travel_s"] = i.Then[0].By, i.Then[0].TravelS
		}
		fs = append(fs, f)
	}
	out := features(fs)
	out.ExtraMembers = geojson.Properties{"time": c.Time, "beyond_s": c.BeyondS, "counted": c.Counted, "not_counted": c.NotCounted, "without": c.Without}
	return out
}
