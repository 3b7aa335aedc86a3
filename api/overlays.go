// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/store"
)

// OverlayItem is one overlay beside the grid tree.
type OverlayItem struct {
	Code       string  `json:"code"`
	Name       string  `json:"name"`
	Kind       string  `json:"kind" enum:"police,professional,other"`
	Department *string `json:"department" doc:"Code of the department whose areas they are"`
	County     string  `json:"county" doc:"Code of the county it belongs to"`
	ValidFrom  *string `json:"valid_from" doc:"Its first day, of the county's calendar"`
	ValidTo    *string `json:"valid_to" doc:"Its last day"`
	InForce    bool    `json:"in_force" doc:"Today"`
	Note       string  `json:"note"`
	Areas      int     `json:"areas" doc:"How many of its areas the caller sees"`
}

// OverlayList is all overlays of the caller's counties.
type OverlayList struct {
	Items []OverlayItem `json:"items"`
}

// AreaItem is one area of an overlay.
type AreaItem struct {
	Code   string     `json:"code"`
	Name   string     `json:"name"`
	Parent *string    `json:"parent" doc:"Code of another area of the overlay"`
	BBox   [4]float64 `json:"bbox" doc:"west,south,east,north in WGS-84"`
	Label  [2]float64 `json:"label" doc:"A point inside, for its name; WGS-84, longitude first"`
}

// AreaList is the areas of an overlay, by code.
type AreaList struct {
	Items  []AreaItem `json:"items"`
	Cursor *string    `json:"cursor"`
}

// LocatedOverlay is an overlay in force with its areas over a place.
type LocatedOverlay struct {
	Overlay    string        `json:"overlay"`
	Name       string        `json:"name"`
	Kind       string        `json:"kind" enum:"police,professional,other"`
	Department *string       `json:"department"`
	Areas      []LocatedArea `json:"areas"`
	OnEdge     bool          `json:"on_edge" doc:"On a border of one of the areas; all that touch it are named"`
}

// LocatedArea is an area over a place.
type LocatedArea struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// orNull is s, or null for "".
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

type overlaysInput struct{}

type overlaysOutput struct{ Body OverlayList }

type areasInput struct {
	Code   string `path:"code" maxLength:"64"`
	County string `query:"county" maxLength:"64" doc:"Code of the county it belongs to, where two use the same code; without it, the first one in scope"`
	Cursor string `query:"cursor" maxLength:"64" doc:"Of the page before"`
	Accept string `header:"Accept"`
}

var errNoOverlay = problem(http.StatusNotFound, "no overlay with this code")

func (s *Server) overlays() {
	route(s, need{auth.Read, auth.Overlay}, huma.Operation{
		OperationID: "list-overlays", Method: http.MethodGet, Path: "/api/v1/overlays", Tags: []string{"grids"},
		Summary: "Police beats, specialist grids and other areas beside the grid tree, of the counties in scope",
	}, s.listOverlays)
	route(s, need{auth.Read, auth.Overlay}, huma.Operation{
		OperationID: "list-overlay-areas", Method: http.MethodGet, Path: "/api/v1/overlays/{code}/areas", Tags: []string{"grids"},
		Summary: "The areas of an overlay that have ground in common with grids in scope; also as application/geo+json", Errors: []int{404},
		Responses: s.listOrFeatures(reflect.TypeFor[AreaList]()),
	}, s.listAreas)
}

// county finds the root of an enacted tree.
func county(t *grid.Tree, code string) (*grid.Node, bool) {
	for _, i := range t.Roots() {
		if n := &t.Nodes()[i]; string(n.Code) == code {
			return n, true
		}
	}
	return nil, false
}

// inCounty reports whether a scope sees any grid of a county.
func inCounty(s auth.Scope, root *grid.Node) bool {
	return s.All() || slices.ContainsFunc(s.Intervals(), func(iv auth.Interval) bool { return iv.Lo <= root.Last && root.No <= iv.Hi })
}

// seesArea reports whether a scope sees an area: one with ground in common with its
// grids, and in a county seen whole also one outside every grid.
func seesArea(s auth.Scope, root *grid.Node, a *store.OverlayArea) bool {
	return s.Sees(root.No) || slices.ContainsFunc(a.Grids, s.Sees)
}

func (s *Server) listOverlays(_ context.Context, a caller, _ *overlaysInput) (*overlaysOutput, error) {
	t, all, now := s.o.Catalogue.Now().Tree, s.o.Overlays().All(), s.o.Now()
	list := OverlayList{Items: []OverlayItem{}}
	for i := range all {
		o := &all[i]
		root, ok := county(t, o.Root)
		if !ok || !inCounty(a.Scope, root) {
			continue
		}
		item := OverlayItem{
			Code: o.Code, Name: o.Name, Kind: o.Kind, Department: orNull(o.Department), County: o.Root,
			ValidFrom: orNull(o.From), ValidTo: orNull(o.To), InForce: o.InForce(now), Note: o.Note,
		}
		for k := range o.Areas {
			if seesArea(a.Scope, root, &o.Areas[k]) {
				item.Areas++
			}
		}
		list.Items = append(list.Items, item)
	}
	return &overlaysOutput{list}, nil
}

// listAreas answers of the first overlay with this code in the caller's counties, or
// in the one named.
func (s *Server) listAreas(ctx context.Context, a caller, in *areasInput) (*listOutput, error) {
	t, all := s.o.Catalogue.Now().Tree, s.o.Overlays().All()
	var root *grid.Node
	at := slices.IndexFunc(all, func(o store.Overlay) bool {
		var ok bool
		root, ok = county(t, o.Root)
		return ok && o.Code == in.Code && (in.County == "" || o.Root == in.County) && inCounty(a.Scope, root)
	})
	if at < 0 {
		return nil, errNoOverlay
	}
	list := AreaList{Items: []AreaItem{}}
	var fs []*geojson.Feature
	points, withShapes := 0, wantsFeatures(in.Accept)
	for i := range all[at].Areas {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		area := &all[at].Areas[i]
		if string(area.Code) <= in.Cursor || !seesArea(a.Scope, root, area) {
			continue
		}
		if n := len(list.Items); n == gridPage || points >= pagePoints {
			list.Cursor = &list.Items[n-1].Code
			break
		}
		b := area.Geom.Bound()
		item := AreaItem{
			Code: string(area.Code), Name: area.Name, Parent: orNull(string(area.Parent)), Label: [2]float64(area.Label),
			BBox: [4]float64{b.Min[0], b.Min[1], b.Max[0], b.Max[1]},
		}
		list.Items = append(list.Items, item)
		if withShapes {
			points += pointsOf(area.Geom)
			f := geojson.NewFeature(area.Geom)
			f.Properties = geojson.Properties{"overlay": in.Code, "code": item.Code, "name": item.Name, "parent": item.Parent}
			fs = append(fs, f)
		}
	}
	if withShapes {
		return &listOutput{"application/geo+json", pageFeatures(fs, list.Cursor)}, nil
	}
	return &listOutput{"application/json", list}, nil
}

// overlaysOf are the overlays in force over a place, told where the place's own grid
// is: root is the county of that grid; nil is outside every grid, where those who
// see a county whole are told of its areas.
func (s *Server) overlaysOf(t *grid.Tree, scope auth.Scope, p geo.WGS84, root *grid.Node) []LocatedOverlay {
	out := []LocatedOverlay{}
	var last *store.Overlay
	for _, h := range s.o.Overlays().At(p, s.o.Now()) {
		if root != nil && h.Overlay.Root != string(root.Code) {
			continue
		}
		if own, ok := county(t, h.Overlay.Root); root == nil && (!ok || !scope.Sees(own.No)) {
			continue
		}
		if h.Overlay != last {
			last = h.Overlay
			out = append(out, LocatedOverlay{Overlay: last.Code, Name: last.Name, Kind: last.Kind, Department: orNull(last.Department)})
		}
		o := &out[len(out)-1]
		o.Areas = append(o.Areas, LocatedArea{string(h.Area.Code), h.Area.Name})
		o.OnEdge = o.OnEdge || h.OnEdge
	}
	return out
}
