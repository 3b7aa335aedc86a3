// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
	"onemap/geo"
	"onemap/layer"
	"onemap/store"
	"onemap/store/ledger"
)

// LayerItem is a named layer, or the layer of cameras, and how it is drawn.
type LayerItem struct {
	Code     string         `json:"code" doc:"The name of its tiles: /tiles/{code}/{z}/{x}/{y}.mvt"`
	Name     string         `json:"name"`
	Geometry layer.Geometry `json:"geometry" enum:"point,line,polygon"`
	Style    layer.Style    `json:"style"`
	MinZoom  int            `json:"min_zoom" doc:"Drawn from this zoom on"`
	MaxZoom  int            `json:"max_zoom" doc:"Drawn up to this zoom"`
	Source   string         `json:"source,omitempty"`
	Tag      string         `json:"tag,omitempty" doc:"Another one when features, settings or grids have changed: tiles that were kept are old then"`
	Access   []string       `json:"access,omitempty" doc:"Who may see it: told to those who may change it"`
}

type layerList struct {
	Body struct {
		Items []LayerItem `json:"items"`
	}
}

type layerOutput struct{ Body LayerItem }

func (s *Server) layers() {
	route(s, need{auth.Read, auth.LayerSetting}, huma.Operation{
		OperationID: "list-layers", Method: http.MethodGet, Path: "/api/v1/layers", Tags: []string{"layers"},
		Summary: "The named layers and the cameras that the caller may see, and how they are drawn; a system administrator is told of all of the own counties",
	}, s.listLayers)
	route(s, need{auth.Write, auth.LayerSetting}, huma.Operation{
		OperationID: "change-layer", Method: http.MethodPatch, Path: "/api/v1/layers/{layer}", Tags: []string{"layers"},
		Summary: "Change how a named layer is drawn and who may see it; audited", Errors: []int{404, 422},
	}, s.changeLayer)
	route(s, need{auth.Read, auth.NamedLayer}, huma.Operation{
		OperationID: "list-features", Method: http.MethodGet, Path: "/api/v1/layers/{layer}/features", Tags: []string{"layers"},
		Summary: "The features of a layer in scope; also as application/geo+json", Errors: []int{404, 422},
		Responses: s.listOrFeatures(reflect.TypeFor[FeatureList]()),
	}, s.listFeatures)
	route(s, need{auth.Read, auth.NamedLayer}, huma.Operation{
		OperationID: "nearest-features", Method: http.MethodGet, Path: "/api/v1/layers/{layer}/nearest", Tags: []string{"layers"},
		Summary: "The features of a layer in scope that are nearest to a place, in a straight line", Errors: []int{404, 422},
	}, s.nearestFeatures)
	route(s, need{auth.Read, auth.IncidentData}, huma.Operation{
		OperationID: "nearest-to-incident", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/nearest", Tags: []string{"layers"},
		Summary: "The features of a layer in scope that are nearest to an incident, in a straight line, from its place as the caller is shown it", Errors: []int{404, 409},
	}, s.nearestToIncident)
}

// settings renders a layer; access is told to those who may change it.
func settings(l *layer.Layer, all bool) LayerItem {
	i := LayerItem{Code: l.Code, Name: l.Name, Geometry: l.Geometry, Style: l.Style, MinZoom: l.MinZoom, MaxZoom: l.MaxZoom, Source: l.Source}
	if all && l.Code != layer.Cameras {
		i.Access = l.Access
	}
	return i
}

// wholeCounty reports whether the county with this code is in scope as a whole.
func (s *Server) wholeCounty(scope auth.Scope, root string) bool {
	t := s.o.Catalogue.Now().Tree
	for _, i := range t.Roots() {
		if n := t.Nodes()[i]; string(n.Code) == root {
			return scope.Sees(n.No)
		}
	}
	return scope.All()
}

func (s *Server) listLayers(_ context.Context, a caller, _ *struct{}) (*layerList, error) {
	w, err := auth.Decide(a.Actor, auth.Write, auth.LayerSetting)
	out := &layerList{}
	out.Body.Items = []LayerItem{}
	for _, set := range s.o.Layers().All() {
		mayWrite := err == nil && set.Code != layer.Cameras && s.wholeCounty(w.Scope, set.Root)
		if _, err := set.Decide(a.Actor); err == nil || mayWrite {
			i := settings(&set.Layer, mayWrite)
			i.Tag = set.Tag
			out.Body.Items = append(out.Body.Items, i)
		}
	}
	return out, nil
}

type changeLayerInput struct {
	Layer string `path:"layer" maxLength:"32"`
	Body  struct {
		Name    *string      `json:"name,omitempty" minLength:"1" maxLength:"60"`
		Style   *layer.Style `json:"style,omitempty" doc:"The whole style: what it leaves out is left to the screen"`
		MinZoom *int         `json:"min_zoom,omitempty" minimum:"0" maximum:"18"`
		MaxZoom *int         `json:"max_zoom,omitempty" minimum:"0" maximum:"18"`
		Access  []string     `json:"access,omitempty" minItems:"1" maxItems:"11" doc:"signed_in, or walls (the walls too), or roles by name"`
	}
}

func (s *Server) changeLayer(ctx context.Context, a caller, in *changeLayerInput) (*layerOutput, error) {
	var l layer.Layer
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if l, err = store.LayerNamed(ctx, tx, in.Layer); err != nil {
			return err
		}
		if !s.wholeCounty(a.Scope, l.Root) {
			return store.ErrNotFound // as if there were none
		}
		before, b := l, in.Body
		for _, set := range []struct{ to, from *int }{{&l.MinZoom, b.MinZoom}, {&l.MaxZoom, b.MaxZoom}} {
			if set.from != nil {
				*set.to = *set.from
			}
		}
		if b.Name != nil {
			l.Name = *b.Name
		}
		if b.Style != nil {
			l.Style = *b.Style
		}
		if b.Access != nil {
			l.Access = b.Access
		}
		if err := l.Check(); err != nil {
			return problem(http.StatusUnprocessableEntity, err.Error())
		}
		now := s.o.Now()
		if _, err := store.SaveLayer(ctx, tx, l, now); err != nil {
			return err
		}
		data := map[string]any{"before": settings(&before, true), "after": settings(&l, true)}
		if err := ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "layer.settings", "layer/"+l.Code, "", data); err != nil {
			return err
		}
		return ledger.LayersChanged(ctx, tx, l.Code, now)
	})
	if err != nil {
		return nil, err
	}
	s.o.Ledger.Wake()
	return &layerOutput{settings(&l, true)}, nil
}

// FeatureItem is a feature of a layer.
type FeatureItem struct {
	ID         string          `json:"id"`
	ExternalID string          `json:"external_id,omitempty" doc:"The number its source gave it"`
	Name       string          `json:"name"`
	Kind       layer.Kind      `json:"kind" enum:"centre,station,department,other"`
	DutyMode   layer.DutyMode  `json:"duty_mode,omitempty" enum:"resident,rotating,on_call" doc:"常驻, 轮驻, 随叫随驻"`
	Props      json.RawMessage `json:"props,omitempty" doc:"What else the source tells of it: an object of texts"`
	Geometry   any             `json:"geometry" doc:"GeoJSON geometry, WGS-84"`
	*CameraFields
}

// CameraFields is what a camera has beside its place.
type CameraFields struct {
	GBCode  string `json:"gb_code,omitempty" doc:"GB/T 28181; told to those who may open a camera"`
	Heading *int   `json:"heading" doc:"Degrees clockwise from north; null when unknown"`
	FOV     *int   `json:"fov" doc:"Field of view in degrees; null when unknown"`
	RangeM  *int   `json:"range_m" doc:"How far it sees; null when unknown"`
}

// FeatureList is a page of features.
type FeatureList struct {
	Items  []FeatureItem `json:"items"`
	Cursor *string       `json:"cursor" doc:"Send it back for the next page; null on the last"`
}

// item renders a feature. opens says that its reader may open cameras.
func item(f *layer.Feature, opens bool) FeatureItem {
	i := FeatureItem{
		ID: strconv.FormatInt(f.ID, 10), ExternalID: f.ExternalID, Name: f.Name, Kind: f.Kind, DutyMode: f.Duty, Props: f.Props,
		Geometry: geojson.NewGeometry(f.Geom),
	}
	if c := f.Camera; c != nil {
		i.ExternalID = ""
		i.CameraFields = &CameraFields{Heading: measured(c.Heading), FOV: measured(c.FOV), RangeM: measured(c.RangeM)}
		if opens {
			i.GBCode = c.Code
		}
	}
	return i
}

// measured is a number that somebody has told, or null.
func measured(v int) *int {
	if v == layer.Unknown {
		return nil
	}
	return &v
}

// seen is the layer with this code, what of it the caller may see, and whether the
// caller may open cameras. A layer that is not the caller's to see is none.
func (s *Server) seen(a auth.Actor, code string) (*layer.Set, auth.Scope, bool, error) {
	none := problem(http.StatusNotFound, "there is no such layer, or it is not yours to see")
	set := s.o.Layers().Named(code)
	if set == nil {
		return nil, auth.Scope{}, false, none
	}
	d, err := set.Decide(a)
	if err != nil {
		return nil, auth.Scope{}, false, none
	}
	_, err = auth.Decide(a, auth.Reveal, auth.CameraLink)
	return set, d.Scope, err == nil, nil
}

type featuresInput struct {
	Layer  string    `path:"layer" maxLength:"32"`
	BBox   []float64 `query:"bbox" minItems:"4" maxItems:"4" doc:"west,south,east,north in WGS-84"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"200"`
	Cursor string    `query:"cursor" maxLength:"20"`
	Accept string    `header:"Accept"`
}

func (s *Server) listFeatures(_ context.Context, a caller, in *featuresInput) (*listOutput, error) {
	set, scope, opens, err := s.seen(a.Actor, in.Layer)
	if err != nil {
		return nil, err
	}
	var within *orb.Bound
	if len(in.BBox) == 4 {
		if within, err = boxOf(in.BBox); err != nil {
			return nil, err
		}
	}
	var after int64
	if in.Cursor != "" {
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || after < 1 {
			return nil, problem(http.StatusBadRequest, "cursor is not one this server gave out")
		}
	}
	list := FeatureList{Items: []FeatureItem{}}
	page, more := set.Page(scope, within, after, in.Limit, pagePoints)
	if more {
		c := strconv.FormatInt(page[len(page)-1].ID, 10)
		list.Cursor = &c
	}
	var shapes []*geojson.Feature
	for _, f := range page {
		one := item(f, opens)
		list.Items = append(list.Items, one)
		if wantsFeatures(in.Accept) {
			shapes = append(shapes, geoFeature(f, one))
		}
	}
	if wantsFeatures(in.Accept) {
		return &listOutput{"application/geo+json", pageFeatures(shapes, list.Cursor)}, nil
	}
	return &listOutput{"application/json", list}, nil
}

// geoFeature is a feature as GeoJSON, with what an item has as its properties.
func geoFeature(f *layer.Feature, i FeatureItem) *geojson.Feature {
	out := geojson.NewFeature(f.Geom)
	out.ID = i.ID
	out.Properties = geojson.Properties{"name": i.Name, "kind": i.Kind}
	if i.ExternalID != "" {
		out.Properties["external_id"] = i.ExternalID
	}
	if i.DutyMode != "" {
		out.Properties["duty_mode"] = i.DutyMode
	}
	if i.Props != nil {
		out.Properties["props"] = i.Props
	}
	if c := i.CameraFields; c != nil {
		out.Properties["heading"], out.Properties["fov"], out.Properties["range_m"] = c.Heading, c.FOV, c.RangeM
		if c.GBCode != "" {
			out.Properties["gb_code"] = c.GBCode
		}
	}
	return out
}

// boxOf reads a box of a query.
func boxOf(v []float64) (*orb.Bound, error) {
	b := orb.Bound{Min: orb.Point{v[0], v[1]}, Max: orb.Point{v[2], v[3]}}
	if !(b.Min[0] <= b.Max[0] && b.Min[1] <= b.Max[1] && b.Min[0] >= -180 && b.Max[0] <= 180 && b.Min[1] >= -90 && b.Max[1] <= 90) {
		return nil, problem(http.StatusUnprocessableEntity, "bbox must be west,south,east,north in degrees, not across the date line")
	}
	return &b, nil
}

// NearFeature is a feature and how far it is.
type NearFeature struct {
	FeatureItem
	DistanceM  float64 `json:"distance_m" doc:"Along a great circle to its nearest point; 0 inside a polygon"`
	BearingDeg float64 `json:"bearing_deg" doc:"From the place to that point, clockwise from north"`
	Covers     *bool   `json:"covers" doc:"Of a camera: whether the place lies in its range and field of view; null when that is not known, and of anything else"`
}

type nearFeatures struct {
	Body struct {
		Items []NearFeature `json:"items" doc:"The nearest first"`
	}
}

// NearQuery says how many are wanted, and which.
type NearQuery struct {
	K        int            `query:"k" minimum:"1" maximum:"50" default:"5" doc:"How many"`
	DutyMode layer.DutyMode `query:"duty_mode" enum:"resident,rotating,on_call" doc:"Only those of this duty mode"`
}

type nearestFeaturesInput struct {
	Layer string  `path:"layer" maxLength:"32"`
	Lon   float64 `query:"lon" required:"true" doc:"Of the place: the first number of the pair"`
	Lat   float64 `query:"lat" required:"true" doc:"The second number"`
	CRS   string  `query:"crs" required:"true" maxLength:"40" doc:"What they are, as in a report: wgs84, ..., EPSG:4545-en"`
	NearQuery
}

func (s *Server) nearestFeatures(_ context.Context, a caller, in *nearestFeaturesInput) (*nearFeatures, error) {
	_, p, err := placeOf(in.Lon, in.Lat, in.CRS)
	if err != nil {
		return nil, err
	}
	return s.near(a.Actor, in.Layer, p, in.NearQuery)
}

func (s *Server) near(a auth.Actor, code string, p geo.WGS84, q NearQuery) (*nearFeatures, error) {
	set, scope, opens, err := s.seen(a, code)
	if err != nil {
		return nil, err
	}
	out := &nearFeatures{}
	out.Body.Items = []NearFeature{}
	for _, n := range set.Nearest(p, q.K, func(f *layer.Feature) bool { return (q.DutyMode == "" || f.Duty == q.DutyMode) && f.In(scope) }) {
		out.Body.Items = append(out.Body.Items, NearFeature{item(n.Feature, opens), math.Round(n.Metres*10) / 10, math.Mod(math.Round(n.Bearing*10)/10, 360), n.Covers})
	}
	return out, nil
}

type nearIncidentInput struct {
	ID    int64  `path:"id" minimum:"1"`
	Layer string `query:"layer" required:"true" maxLength:"32" doc:"Code of a layer, or cameras"`
	NearQuery
}

func (s *Server) nearestToIncident(ctx context.Context, a caller, in *nearIncidentInput) (*nearFeatures, error) {
	row, err := s.reads(a).Incident(ctx, a.Scope, a.View, in.ID)
	if err != nil {
		return nil, err
	}
	p, err := s.o.Catalogue.Public(ctx, row, a.View)
	if err != nil {
		return nil, err
	}
	if p.Point == nil {
		if _, _, _, err := s.seen(a.Actor, in.Layer); err != nil {
			return nil, err
		}
		return nil, problem(http.StatusConflict, "the incident has no place on the map that is yours to see")
	}
	return s.near(a.Actor, in.Layer, geo.WGS84(*p.Point), in.NearQuery)
}
