// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/store"
)

// GridItem is one grid of the tree.
type GridItem struct {
	Code   string     `json:"code"`
	Name   string     `json:"name"`
	Level  int        `json:"level"`
	Parent *string    `json:"parent"`
	BBox   [4]float64 `json:"bbox" doc:"west,south,east,north in WGS-84"`
	Label  [2]float64 `json:"label" doc:"A point inside, for its name; WGS-84, longitude first"`
}

func gridItem(t *grid.Tree, i int) GridItem {
	n := t.Nodes()[i]
	b := n.Geom.Bound()
	g := GridItem{
		Code: string(n.Code), Name: n.Name, Level: n.Level, Label: [2]float64(n.Label),
		BBox: [4]float64{b.Min[0], b.Min[1], b.Max[0], b.Max[1]},
	}
	if n.Parent >= 0 {
		p := string(t.Nodes()[n.Parent].Code)
		g.Parent = &p
	}
	return g
}

// GridList is the grids asked for.
type GridList struct {
	Items  []GridItem `json:"items"`
	Cursor *string    `json:"cursor"`
}

type gridsInput struct {
	Level   int    `query:"level" minimum:"0" maximum:"6" doc:"Only this level"`
	Parent  string `query:"parent" maxLength:"64" doc:"Only the children of the grid with this code"`
	Version int32  `query:"version" minimum:"0" doc:"Of this boundary set, in force or not; for who may change the grids of its county"`
	Cursor  string `query:"cursor" maxLength:"64" doc:"Of the page before"`
	Accept  string `header:"Accept"`
}

var errNoGrid = problem(http.StatusNotFound, "no grid with this code")

// visible finds the grids with a code that a scope may name: those in it, and
// those above them. They are several where counties use the same code.
func visible(t *grid.Tree, s auth.Scope, code string) (found []int) {
	for i, n := range t.Nodes() {
		above := slices.ContainsFunc(s.Intervals(), func(iv auth.Interval) bool { return n.No <= iv.Lo && iv.Hi <= n.Last })
		if string(n.Code) == code && (above || s.Sees(n.No)) {
			found = append(found, i)
		}
	}
	return found
}

// What ends a page of grids, or of areas: how many there are, or with their shapes,
// as of features, how many points those have together. A page holds one at least.
const (
	gridPage   = 2000
	pagePoints = 200_000
)

// pointsOf is how many points a shape has.
func pointsOf(mp orb.MultiPolygon) (n int) {
	for _, part := range mp {
		for _, ring := range part {
			n += len(ring)
		}
	}
	return n
}

// pageFeatures is features with the cursor of the next ones, if there are any.
func pageFeatures(fs []*geojson.Feature, cursor *string) *geojson.FeatureCollection {
	c := features(fs)
	if cursor != nil {
		c.ExtraMembers = geojson.Properties{"cursor": *cursor}
	}
	return c
}

func (s *Server) grids() {
	route(s, need{auth.Read, auth.Grid}, huma.Operation{
		OperationID: "list-grids", Method: http.MethodGet, Path: "/api/v1/grids", Tags: []string{"grids"},
		Summary: "The enacted grids in scope, parents first; also as application/geo+json", Errors: []int{404},
		Responses: s.listOrFeatures(reflect.TypeFor[GridList]()),
	}, s.listGrids)
	route(s, need{auth.Read, auth.Grid}, huma.Operation{
		OperationID: "locate", Method: http.MethodGet, Path: locatePath, Tags: []string{"grids"},
		Summary: "The grids a place lies in, the county first", Errors: []int{422},
	}, s.locate)
	s.locateBatch()
	s.neighbours()
}

// treeFor is the tree in force, or that of one version, and which of its grids the
// caller sees.
func (s *Server) treeFor(ctx context.Context, a caller, version int32) (*grid.Tree, func(*grid.Node) bool, error) {
	if version == 0 {
		return s.o.Catalogue.Now().Tree, func(n *grid.Node) bool { return a.Scope.Sees(n.No) }, nil
	}
	var err error
	if a.Decision, err = auth.Decide(a.Actor, auth.Write, auth.Grid); err != nil {
		return nil, nil, err
	}
	if _, err = store.FindGridVersion(ctx, s.o.Reads.Pool, counties(ctx, a), version); err != nil {
		return nil, nil, err
	}
	t, err := s.o.Reads.VersionTree(ctx, counties(ctx, a), version)
	return t, func(*grid.Node) bool { return true }, err
}

func (s *Server) listGrids(ctx context.Context, a caller, in *gridsInput) (*listOutput, error) {
	t, sees, err := s.treeFor(ctx, a, in.Version)
	if err != nil {
		return nil, err
	}
	key := func(n *grid.Node) string { // a draft's grids have no numbers
		if in.Version != 0 {
			return string(n.Code)
		}
		return strconv.Itoa(int(n.No))
	}
	var parents []int
	if in.Parent != "" {
		parents = visible(t, a.Scope, in.Parent)
		if i, ok := t.ByCode(grid.Code(in.Parent)); ok && in.Version != 0 {
			parents = []int{i}
		}
		if len(parents) == 0 {
			return nil, errNoGrid
		}
	}
	list := GridList{Items: []GridItem{}}
	var fs []*geojson.Feature
	skip, last := in.Cursor != "", ""
	points, withShapes := 0, wantsFeatures(in.Accept)
	for i, n := range t.Nodes() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if skip {
			skip = key(&n) != in.Cursor
			continue
		}
		if !sees(&n) || in.Level != 0 && n.Level != in.Level || in.Parent != "" && !slices.Contains(parents, n.Parent) {
			continue
		}
		if len(list.Items) == gridPage || points >= pagePoints {
			list.Cursor = &last
			break
		}
		g := gridItem(t, i)
		list.Items, last = append(list.Items, g), key(&n)
		if withShapes {
			points += pointsOf(n.Geom)
			f := geojson.NewFeature(n.Geom)
			f.Properties = geojson.Properties{"code": g.Code, "name": g.Name, "level": g.Level, "parent": g.Parent}
			fs = append(fs, f)
		}
	}
	if skip {
		return nil, problem(http.StatusBadRequest, "cursor is not one of this list; if the grids were redrawn since, begin with the first page")
	}
	if withShapes {
		return &listOutput{"application/geo+json", pageFeatures(fs, list.Cursor)}, nil
	}
	return &listOutput{"application/json", list}, nil
}

type locateInput struct {
	Lon float64 `query:"lon" required:"true" doc:"The first number of the pair"`
	Lat float64 `query:"lat" required:"true" doc:"The second number"`
	CRS string  `query:"crs" required:"true" maxLength:"40" doc:"What they are, as in a report: wgs84, ..., EPSG:4545-en"`

	Overlays bool `query:"overlays" doc:"Also the areas of overlays in force over the place"`
}

// Located is where a place lies.
type Located struct {
	Path   []store.GridRef `json:"path" doc:"The county first; empty outside the grids the caller sees"`
	OnEdge bool            `json:"on_edge" doc:"On a border; the grid with the lowest code is taken"`
	Note   string          `json:"note,omitempty" doc:"Outside: how far, and which other reading of the numbers would lie inside"`

	Overlays *[]LocatedOverlay `json:"overlays,omitempty" doc:"Only when asked for"`
}

type locateOutput struct{ Body Located }

// placeOf is a pair of a query as it was given, and where it lies.
func placeOf(lon, lat float64, crs string) (geo.Raw, geo.WGS84, error) {
	datum, err := geo.ParseDatum(crs)
	if err != nil {
		return geo.Raw{}, geo.WGS84{}, problem(http.StatusBadRequest, "crs: "+err.Error())
	}
	raw := geo.Raw{Lon: lon, Lat: lat, Datum: datum}
	p, err := raw.WGS84()
	if err != nil {
		return raw, p, problem(http.StatusUnprocessableEntity, err.Error())
	}
	return raw, p, nil
}

func (s *Server) locate(_ context.Context, a caller, in *locateInput) (*locateOutput, error) {
	raw, p, err := placeOf(in.Lon, in.Lat, in.CRS)
	if err != nil {
		return nil, err
	}
	t := s.o.Catalogue.Now().Tree
	out := &locateOutput{Located{Path: []store.GridRef{}}}
	f := t.Locate(p)
	told := f.Index >= 0 && a.Scope.Sees(t.Nodes()[f.Index].No)
	if in.Overlays {
		overlays := []LocatedOverlay{}
		if path := t.Path(f.Index); told {
			overlays = s.overlaysOf(t, a.Scope, p, &t.Nodes()[path[0]])
		} else if f.Index < 0 {
			overlays = s.overlaysOf(t, a.Scope, p, nil)
		}
		out.Body.Overlays = &overlays
	}
	if !told {
		out.Body.Note = t.OutsideNote(raw, func(n *grid.Node) bool { return a.Scope.Sees(n.No) })
		return out, nil
	}
	out.Body.OnEdge = f.OnEdge
	for _, i := range t.Path(f.Index) {
		n := t.Nodes()[i]
		out.Body.Path = append(out.Body.Path, store.GridRef{Level: n.Level, Code: string(n.Code), Name: n.Name})
	}
	return out, nil
}
