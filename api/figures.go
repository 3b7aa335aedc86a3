// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/people"
	"onemap/store"
	"onemap/track"
)

// TodayFigures is what today has brought, as of one sequence number.
type TodayFigures struct {
	AsOf       AsOf            `json:"as_of"`
	Day        string          `json:"day"`
	Reported   int             `json:"reported"`
	Resolved   int             `json:"resolved"`
	Closed     int             `json:"closed"`
	Open       int             `json:"open" doc:"Open now, whenever reported"`
	Outside    int             `json:"outside" doc:"Of the reported: outside every grid, or without a point"`
	ByCategory []CategoryCount `json:"by_category" doc:"Of the reported, by top category"`
	ByPriority []PriorityCount `json:"by_priority"`
	ByLevel    []LevelCount    `json:"by_level" doc:"By the grid level that owns it"`
	ByTown     []TownCount     `json:"by_town"`
	Workers    WorkerCounts    `json:"workers"`
}

// AsOf says which events an answer holds.
type AsOf struct {
	Seq  int64     `json:"seq"`
	Time time.Time `json:"time" doc:"When it was read"`
}

// CategoryCount counts a top category.
type CategoryCount struct {
	Code  string `json:"code"`
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// PriorityCount counts a priority.
type PriorityCount struct {
	Priority int `json:"priority"`
	Count    int `json:"count"`
}

// LevelCount counts an owner level; 0 is of incidents whose level is not shown.
type LevelCount struct {
	Level int    `json:"level"`
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// TownCount counts a level-2 grid.
type TownCount struct {
	Code  string `json:"code"`
	Name  string `json:"name"`
	Count int    `json:"count"`
	Open  int    `json:"open"`
}

// WorkerCounts counts workers by what the map shows of them.
type WorkerCounts struct {
	OnDuty int `json:"on_duty" doc:"Shown with a fresh fix"`
	Shown  int `json:"shown"`
	Stale  int `json:"stale" doc:"Shown hollow: the last fix is old"`
	Lost   int `json:"lost" doc:"On duty by the rota, but off the map"`
}

type todayOutput struct{ Body TodayFigures }

func (s *Server) figures() {
	route(s, need{auth.Read, auth.Figures}, huma.Operation{
		OperationID: "today", Method: http.MethodGet, Path: "/api/v1/figures/today", Tags: []string{"figures"},
		Summary: "Today's counts by category, priority, level and town",
	}, s.today)
}

func (s *Server) today(ctx context.Context, a caller, _ *struct{}) (*todayOutput, error) {
	now := people.Local(s.o.Now())
	from := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	t, err := s.reads(a).TodayFigures(ctx, a.Scope, a.View, from, from.AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	cat := s.o.Catalogue.Now()
	out := TodayFigures{
		AsOf: AsOf{int64(t.Seq), now}, Day: from.Format(time.DateOnly), Reported: t.Reported, Resolved: t.Resolved, Closed: t.Closed,
		Open: t.Open, Outside: t.Outside, ByCategory: []CategoryCount{}, ByTown: []TownCount{},
	}
	for _, code := range cat.Order {
		if k := cat.Categories[code]; k.Parent == "" {
			out.ByCategory = append(out.ByCategory, CategoryCount{code, k.NameZH, t.ByCategory[code]})
		}
	}
	if n := t.ByCategory[""]; n > 0 {
		out.ByCategory = append(out.ByCategory, CategoryCount{"", store.Undisclosed, n})
	}
	slices.SortStableFunc(out.ByCategory, func(x, y CategoryCount) int { return cmp.Compare(y.Count, x.Count) })
	for p := 1; p <= 4; p++ {
		out.ByPriority = append(out.ByPriority, PriorityCount{p, t.ByPriority[p]})
	}
	for l := 1; l <= max(depth(cat.Tree), len(cat.Centre.Levels)); l++ { // a level nobody has named yet counts too
		out.ByLevel = append(out.ByLevel, LevelCount{l, cat.Centre.Level(l), t.ByLevel[l]})
	}
	if n := t.ByLevel[0]; n > 0 { // as with categories: the levels come to what was reported
		out.ByLevel = append(out.ByLevel, LevelCount{0, store.Undisclosed, n})
	}
	for _, g := range t.ByGrid {
		out.ByTown = append(out.ByTown, TownCount{g.Code, g.Name, g.Reported, g.Open})
	}
	out.Workers = s.countWorkers(a.Actor)
	return &todayOutput{out}, nil
}

// depth is the deepest level of a tree.
func depth(t *grid.Tree) (deepest int) {
	for _, n := range t.Nodes() {
		deepest = max(deepest, n.Level)
	}
	return deepest
}

func (s *Server) countWorkers(a auth.Actor) WorkerCounts {
	var w WorkerCounts
	may, err := auth.Decide(a, auth.Read, auth.WorkerCount)
	if err != nil {
		return w
	}
	shown := map[uint32]bool{}
	for _, d := range s.o.Dots() {
		if !may.Scope.Sees(d.Grid) || d.State == track.StateOff {
			continue
		}
		shown[d.Worker] = true
		w.Shown++
		if d.State == track.StateStale {
			w.Stale++
		} else {
			w.OnDuty++
		}
	}
	now := s.o.Now()
	for _, p := range s.o.People().Workers() {
		if _, on := p.OnDuty(now); on && may.Scope.Sees(p.Grid) && !shown[p.ID] {
			w.Lost++
		}
	}
	return w
}
