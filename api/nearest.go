// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/geo/road"
	"onemap/track"
)

// NearestWorker is a worker and how long it takes them to a place.
type NearestWorker struct {
	WorkerID  string   `json:"worker_id"`
	Badge     string   `json:"badge"`
	Grid      string   `json:"grid" doc:"Code of the home grid"`
	State     string   `json:"state" enum:"on,task" doc:"task: on accepted work"`
	TravelS   int      `json:"travel_s" doc:"Seconds"`
	DistanceM int      `json:"distance_m" doc:"Of the way that takes travel_s"`
	By        road.By  `json:"by" enum:"road,line" doc:"Along roads, or a straight line times a factor"`
	Why       road.Why `json:"why,omitempty" enum:"no_roads,place_far,origin_far,no_way,close" doc:"Why by line: there are no roads; the place, or the worker, is more than 2 km from any; no road leads from one to the other; the two are closer to each other than to the road"`
	FixAge    int      `json:"fix_age_s"`
}

type nearestInput struct {
	Lon float64 `query:"lon" required:"true" doc:"Of the place: the first number of the pair"`
	Lat float64 `query:"lat" required:"true" doc:"The second number"`
	CRS string  `query:"crs" required:"true" maxLength:"40" doc:"What they are, as in a report: wgs84, ..., EPSG:4545-en"`
	K   int     `query:"k" minimum:"1" maximum:"500" default:"10" doc:"How many"`
}

type nearestOutput struct {
	Body struct {
		Time  time.Time       `json:"time"`
		Items []NearestWorker `json:"items" doc:"The soonest first"`
		Note  string          `json:"note,omitempty" doc:"The place lies outside: how far, and which other reading of the numbers would lie inside"`
	}
}

func (s *Server) nearest() {
	route(s, need{auth.Read, auth.Position}, huma.Operation{
		OperationID: "nearest-workers", Method: http.MethodGet, Path: "/api/v1/workers/nearest", Tags: []string{"workers"},
		Summary: "The workers on duty with a fresh fix who are soonest at a place, by road", Errors: []int{422},
	}, s.nearestWorkers)
}

// nearestWorkers ranks those in scope who are on duty with a fresh fix. Stale dots
// are never ranked, nor is who pressed the alarm: they need help.
func (s *Server) nearestWorkers(_ context.Context, a caller, in *nearestInput) (*nearestOutput, error) {
	raw, p, err := placeOf(in.Lon, in.Lat, in.CRS)
	if err != nil {
		return nil, err
	}
	now, tree := s.o.Now(), s.o.Catalogue.Now().Tree
	out := &nearestOutput{}
	out.Body.Time, out.Body.Items = now, []NearestWorker{}
	if f := tree.Locate(p); f.Index < 0 || !a.Scope.Sees(tree.Nodes()[f.Index].No) {
		out.Body.Note = tree.OutsideNote(raw, func(n *grid.Node) bool { return a.Scope.Sees(n.No) })
	}
	var who []NearestWorker
	var from []geo.WGS84
	people := s.o.People()
	for _, d := range s.o.Dots() {
		w, ok := people.Worker(d.Worker)
		if !ok || d.State != track.StateOn && d.State != track.StateTask || !a.Scope.SeesWorker(w.ID, w.Grid) {
			continue
		}
		if _, on := people.OnDuty(w.ID, now); !on {
			continue
		}
		n := NearestWorker{WorkerID: fmt.Sprint(w.ID), Badge: w.Badge, State: string(d.State), FixAge: int(now.Sub(d.FixAt).Seconds())}
		if i, ok := tree.ByNo(w.Grid); ok {
			n.Grid = string(tree.Nodes()[i].Code)
		}
		who, from = append(who, n), append(from, d.P)
	}
	for _, t := range s.o.Roads().TravelTimes(p, from, in.K) {
		n := who[t.Index]
		n.TravelS, n.DistanceM, n.By, n.Why = int(math.Round(t.Seconds)), int(math.Round(t.Metres)), t.By, t.Why
		out.Body.Items = append(out.Body.Items, n)
	}
	return out, nil
}
