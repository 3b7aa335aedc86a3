// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
	"onemap/layer"
	"onemap/store"
	"onemap/track"
)

// Kinds of things that may lie inside something marked.
const (
	kindWorkers   = "workers"
	kindIncidents = "incidents"
	kindCameras   = "cameras"
	kindLayers    = "layers"
	kindPlaces    = "places"
)

// Selected is what lies inside something marked on the map. A kind that was not asked
// for, or that the caller may not see at all, is left out.
type Selected struct {
	Time      time.Time          `json:"time"`
	Workers   *SelectedWorkers   `json:"workers,omitempty"`
	Incidents *SelectedIncidents `json:"incidents,omitempty" doc:"Open ones"`
	Cameras   *SelectedFeatures  `json:"cameras,omitempty"`
	Layers    []SelectedFeatures `json:"layers,omitempty" doc:"Of the layers of points, those of which something lies inside"`
	Places    *SelectedPlaces    `json:"places,omitempty" doc:"Places and addresses of the address library"`
}

// SelectedWorkers are those on duty whose last known place lies inside.
type SelectedWorkers struct {
	Count *int         `json:"count" doc:"null: from 1 to 4, and the caller is told no less than 5"`
	Fresh *int         `json:"fresh,omitempty" doc:"Of them with a fresh fix"`
	Stale *int         `json:"stale,omitempty" doc:"Of them with an old one: they may have gone since"`
	Items []LiveWorker `json:"items,omitempty" doc:"By badge; left out for who is told numbers only"`
	Cut   bool         `json:"cut,omitempty" doc:"There are more than are listed"`
}

// SelectedIncidents are the open incidents inside, newest first.
type SelectedIncidents struct {
	Count int                    `json:"count"`
	Items []store.PublicIncident `json:"items"`
	Cut   bool                   `json:"cut,omitempty"`
}

// SelectedFeatures are the points of a layer inside.
type SelectedFeatures struct {
	Layer string        `json:"layer"`
	Name  string        `json:"name"`
	Count int           `json:"count"`
	Items []FeatureItem `json:"items"`
	Cut   bool          `json:"cut,omitempty"`
}

// SelectedPlaces are the entries of the address library inside, from south to north.
type SelectedPlaces struct {
	Count int             `json:"count"`
	Items []SelectedPlace `json:"items"`
	Cut   bool            `json:"cut,omitempty"`
}

// SelectedPlace is a place or an address.
type SelectedPlace struct {
	ID      string         `json:"id"`
	Kind    gazetteer.Kind `json:"kind" enum:"place,address"`
	Name    string         `json:"name"`
	Address string         `json:"address,omitempty"`
	Class   string         `json:"class,omitempty"`
	Point   [2]float64     `json:"point"`
}

type selectInput struct {
	Body struct {
		Marked
		Kinds []string `json:"kinds,omitempty" maxItems:"5" enum:"workers,incidents,cameras,layers,places" doc:"Left out: all of them"`
		Limit int      `json:"limit,omitempty" minimum:"1" maximum:"1000" default:"200" doc:"Rows of each kind; counts are exact in any case"`
	}
}

type selectOutput struct{ Body Selected }

func (s *Server) selects() {
	route(s, need{auth.Read, auth.Selection}, huma.Operation{
		OperationID: "select", Method: http.MethodPost, Path: "/api/v1/select", Tags: []string{"map"},
		Summary: "What lies inside a circle, box or polygon: who is on duty, open incidents, cameras, points of layers, places", Errors: []int{413, 422},
		MaxBodyBytes: maxDrawnBody, DefaultStatus: http.StatusOK,
	}, s.selectInside)
}

func (s *Server) selectInside(ctx context.Context, a caller, in *selectInput) (*selectOutput, error) {
	region, _, err := s.region(ctx, a.Actor, &in.Body.Marked)
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(in.Body.Limit, 200)
	wants := func(kind string) bool { return len(in.Body.Kinds) == 0 || slices.Contains(in.Body.Kinds, kind) }
	out := &selectOutput{Selected{Time: s.o.Now()}}
	if wants(kindWorkers) {
		out.Body.Workers = s.selectWorkers(a.Actor, region, limit)
	}
	if wants(kindIncidents) {
		if out.Body.Incidents, err = s.selectIncidents(ctx, a, region, limit); err != nil {
			return nil, err
		}
	}
	for _, set := range s.o.Layers().All() {
		cameras := set.Code == layer.Cameras
		if cameras && !wants(kindCameras) || !cameras && (!wants(kindLayers) || set.Geometry != layer.Point) {
			continue
		}
		found := s.selectFeatures(a.Actor, set, region, limit)
		switch {
		case found == nil:
		case cameras:
			out.Body.Cameras = found
		case found.Count > 0:
			out.Body.Layers = append(out.Body.Layers, *found)
		}
	}
	if wants(kindPlaces) {
		out.Body.Places = s.selectPlaces(a.Actor, region, limit)
	}
	return out, nil
}

// workersInside are the workers on duty in scope whose dots lie in region, by badge,
// with what is known of them.
func (s *Server) workersInside(scope auth.Scope, region *grid.Region, now time.Time) []LiveWorker {
	out, people, tree := []LiveWorker{}, s.o.People(), s.o.Catalogue.Now().Tree
	for _, d := range s.o.Dots() {
		w, ok := people.Worker(d.Worker)
		if !ok || d.State == track.StateOff || !scope.SeesWorker(w.ID, w.Grid) || !region.Covers(d.P) {
			continue
		}
		if _, on := people.OnDuty(w.ID, now); !on {
			continue
		}
		item := LiveWorker{
			WorkerID: strconv.FormatUint(uint64(w.ID), 10), Badge: w.Badge, OnDuty: true, State: string(d.State),
			Point: &[2]float64{d.P[0], d.P[1]}, FixAt: &d.FixAt,
		}
		age := int(now.Sub(d.FixAt).Seconds())
		item.FixAge = &age
		if d.AccuracyM >= 0 {
			item.AccuracyM = &d.AccuracyM
		}
		if i, ok := tree.ByNo(w.Grid); ok {
			item.Grid = string(tree.Nodes()[i].Code)
		}
		out = append(out, item)
	}
	slices.SortFunc(out, func(x, y LiveWorker) int { return cmp.Compare(x.Badge, y.Badge) })
	return out
}

// selectWorkers tells who is inside, or how many to those who are told numbers: from 1
// to 4 is a number too small for them, as somebody could be found by it.
func (s *Server) selectWorkers(a auth.Actor, region *grid.Region, limit int) *SelectedWorkers {
	d, err := auth.Decide(a, auth.Read, auth.Position)
	rows := err == nil
	if !rows {
		if d, err = auth.Decide(a, auth.Read, auth.WorkerCount); err != nil {
			return nil
		}
	}
	all := s.workersInside(d.Scope, region, s.o.Now())
	n, stale := len(all), 0
	if !rows {
		if n > 0 && n < auth.K {
			return &SelectedWorkers{}
		}
		return &SelectedWorkers{Count: &n}
	}
	for _, w := range all {
		if w.State == string(track.StateStale) {
			stale++
		}
	}
	fresh := n - stale
	return &SelectedWorkers{Count: &n, Fresh: &fresh, Stale: &stale, Items: all[:min(n, limit)], Cut: n > limit}
}

func (s *Server) selectIncidents(ctx context.Context, a caller, region *grid.Region, limit int) (*SelectedIncidents, error) {
	d, err := auth.Decide(a.Actor, auth.Read, auth.IncidentData)
	if err != nil || d.View != auth.CaseView {
		return nil, nil
	}
	spots, err := s.reads(a).OpenSpots(ctx, d.Scope, region.Bound())
	if err != nil {
		return nil, err
	}
	out, ids := &SelectedIncidents{Items: []store.PublicIncident{}}, []int64{}
	for _, at := range spots {
		if !region.Covers(at.Point) {
			continue
		}
		if out.Count++; len(ids) < limit {
			ids = append(ids, at.ID)
		}
	}
	out.Cut = out.Count > len(ids)
	rows, err := s.reads(a).IncidentsByID(ctx, d.Scope, d.View, ids)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		p, err := s.o.Catalogue.Public(ctx, r, d.View)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, p)
	}
	return out, nil
}

// selectFeatures tells the points of a layer inside; nil when the layer is not the
// actor's to see.
func (s *Server) selectFeatures(a auth.Actor, set *layer.Set, region *grid.Region, limit int) *SelectedFeatures {
	d, err := set.Decide(a)
	if err != nil {
		return nil
	}
	_, err = auth.Decide(a, auth.Reveal, auth.CameraLink)
	out := &SelectedFeatures{Layer: set.Code, Name: set.Name, Items: []FeatureItem{}}
	for i := range set.Features {
		f := &set.Features[i]
		p, point := f.Geom.(orb.Point)
		if !point || !region.Covers(geo.WGS84(p)) || !f.In(d.Scope) {
			continue
		}
		if out.Count++; out.Count <= limit {
			out.Items = append(out.Items, item(f, err == nil))
		}
	}
	out.Cut = out.Count > limit
	return out
}

func (s *Server) selectPlaces(a auth.Actor, region *grid.Region, limit int) *SelectedPlaces {
	d, err := auth.Decide(a, auth.Read, auth.PlaceData)
	if err != nil {
		return nil
	}
	out := &SelectedPlaces{Items: []SelectedPlace{}}
	s.o.Places().Within(region.Bound(), d.Scope.Sees, func(e *gazetteer.Entry) {
		if e.ID == 0 || !region.Covers(e.Point) {
			return // a town as a whole is no point
		}
		if out.Count++; out.Count <= limit {
			out.Items = append(out.Items, SelectedPlace{strconv.FormatInt(e.ID, 10), e.Kind, e.Name, e.Address, e.Class, e.Point})
		}
	})
	out.Cut = out.Count > limit
	return out
}
