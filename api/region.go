// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
)

// Marked is what somebody marked on the map: exactly one of the three shapes.
type Marked struct {
	CRS     string        `json:"crs" maxLength:"40" doc:"What the numbers are, as in a report: wgs84, gcj02, ..., EPSG:4545-en"`
	Circle  *MarkedCircle `json:"circle,omitempty"`
	Box     []float64     `json:"box,omitempty" minItems:"4" maxItems:"4" doc:"Two corners: the pair with the lesser numbers, then the pair with the greater"`
	Polygon *MarkedShape  `json:"polygon,omitempty" doc:"GeoJSON geometry; at most 2,000 vertices and 50 holes, without any fault; never mended"`
}

// MarkedCircle is a circle on the ground.
type MarkedCircle struct {
	Lon     float64 `json:"lon" doc:"The first number of its middle"`
	Lat     float64 `json:"lat" doc:"The second number"`
	RadiusM float64 `json:"radius_m" minimum:"1" maximum:"200000" doc:"Along the great circle"`
}

// MarkedShape is a GeoJSON geometry.
type MarkedShape struct {
	Type        string `json:"type" enum:"Polygon,MultiPolygon"`
	Coordinates any    `json:"coordinates"`
}

// besideCounty is how far beyond the box of the county, in degrees, something marked
// may reach.
const besideCounty = 0.5

// region is what m marks, as a region in WGS-84, and m in WGS-84 for the record. A
// polygon with a fault is refused with the place of the fault.
func (s *Server) region(ctx context.Context, a auth.Actor, m *Marked) (*grid.Region, json.RawMessage, error) {
	datum, err := geo.ParseDatum(m.CRS)
	if err != nil {
		return nil, nil, problem(http.StatusBadRequest, "crs: "+err.Error())
	}
	shapes := 0
	for _, given := range []bool{m.Circle != nil, m.Box != nil, m.Polygon != nil} {
		if given {
			shapes++
		}
	}
	if shapes != 1 {
		return nil, nil, problem(http.StatusUnprocessableEntity, "mark one thing: circle, box or polygon")
	}
	if c := m.Circle; c != nil {
		p, err := geo.Raw{Lon: c.Lon, Lat: c.Lat, Datum: datum}.WGS84()
		if err != nil {
			return nil, nil, problem(http.StatusUnprocessableEntity, "circle: "+err.Error())
		}
		if err := s.nearCounty(a, orb.Bound{Min: p.Orb(), Max: p.Orb()}); err != nil {
			return nil, nil, err
		}
		record, err := json.Marshal(map[string]any{"circle": map[string]float64{"lon": p[0], "lat": p[1], "radius_m": c.RadiusM}})
		return grid.NewCircle(p, c.RadiusM), record, err
	}
	mp, err := drawn(m, datum)
	if err != nil {
		return nil, nil, err
	}
	if err := s.checkDrawn(ctx, a, mp); err != nil {
		return nil, nil, err
	}
	record, err := json.Marshal(map[string]any{"polygon": map[string]any{"type": "MultiPolygon", "coordinates": mp}})
	return grid.NewRegion(mp), record, err
}

// checkDrawn takes a polygon through its gates: our own validator, the county's box,
// PostGIS's.
func (s *Server) checkDrawn(ctx context.Context, a auth.Actor, mp orb.MultiPolygon) error {
	var pe *geo.PolygonError
	if err := geo.CheckPolygon(mp, geo.DefaultLimits); errors.As(err, &pe) {
		text := "the polygon has a fault: " + pe.Text
		if pe.At != (orb.Point{}) {
			text = fmt.Sprintf("the polygon has a fault at %.6f,%.6f (WGS-84): %s", pe.At[0], pe.At[1], pe.Text)
		}
		return problem(http.StatusUnprocessableEntity, text)
	}
	if err := s.nearCounty(a, mp.Bound()); err != nil {
		return err
	}
	why, at, err := s.o.Reads.ShapeFault(ctx, mp)
	if err != nil || why == "" {
		return err
	}
	if at != nil {
		why = fmt.Sprintf("%s at %.6f,%.6f (WGS-84)", why, at[0], at[1])
	}
	return problem(http.StatusUnprocessableEntity, "the polygon has a fault: "+why)
}

// nearCounty refuses what reaches beyond the counties the actor's grids are in.
func (s *Server) nearCounty(a auth.Actor, b orb.Bound) error {
	t := s.o.Catalogue.Now().Tree
	var county orb.Bound
	found := false
	for i, n := range t.Nodes() {
		if !a.Home(n.No) {
			continue
		}
		at := t.Nodes()[t.Path(i)[0]].Geom.Bound()
		if found {
			at = at.Union(county)
		}
		county, found = at, true
		if n.Parent < 0 {
			continue
		}
		break // its county is the only one
	}
	if county = county.Pad(besideCounty); !found || !county.Contains(b.Min) || !county.Contains(b.Max) {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("what is marked reaches %.2f,%.2f to %.2f,%.2f, beyond the county; is crs right?", b.Min[0], b.Min[1], b.Max[0], b.Max[1]))
	}
	return nil
}

// drawn reads a box or a polygon, each vertex into WGS-84.
func drawn(m *Marked, datum geo.Datum) (orb.MultiPolygon, error) {
	d := tracing{datum: datum, left: geo.DefaultLimits.Vertices}
	if b := m.Box; b != nil {
		ring := []any{[]any{b[0], b[1]}, []any{b[2], b[1]}, []any{b[2], b[3]}, []any{b[0], b[3]}, []any{b[0], b[1]}}
		mp := orb.MultiPolygon{d.polygon([]any{ring})}
		return mp, d.err
	}
	var mp orb.MultiPolygon
	if m.Polygon.Type == "Polygon" {
		mp = orb.MultiPolygon{d.polygon(m.Polygon.Coordinates)}
	} else {
		for _, p := range d.list(m.Polygon.Coordinates) {
			mp = append(mp, d.polygon(p))
		}
	}
	return mp, d.err
}

// tracing reads the coordinates of a geometry.
type tracing struct {
	datum geo.Datum
	left  int // vertices that may still come
	err   error
}

func (d *tracing) fail(status int, text string) {
	if d.err == nil {
		d.err = problem(status, text)
	}
}

func (d *tracing) list(v any) []any {
	l, ok := v.([]any)
	if !ok {
		d.fail(http.StatusBadRequest, "polygon.coordinates are not those of its type: lists of rings of positions")
	}
	return l
}

func (d *tracing) polygon(v any) (out orb.Polygon) {
	for _, ring := range d.list(v) {
		var r orb.Ring
		for _, p := range d.list(ring) {
			if d.left--; d.left < 0 {
				d.fail(http.StatusUnprocessableEntity, fmt.Sprintf("the polygon has more vertices than the limit of %d", geo.DefaultLimits.Vertices))
			}
			pair := d.list(p)
			if len(pair) < 2 || len(pair) > 3 {
				d.fail(http.StatusBadRequest, "a position of polygon.coordinates has not two numbers")
			}
			if d.err != nil {
				return nil
			}
			x, ok1 := pair[0].(float64)
			y, ok2 := pair[1].(float64)
			if !ok1 || !ok2 || math.IsNaN(x+y) {
				d.fail(http.StatusBadRequest, "a position of polygon.coordinates has something that is no number")
				return nil
			}
			w, err := geo.Raw{Lon: x, Lat: y, Datum: d.datum}.WGS84()
			if err != nil {
				d.fail(http.StatusUnprocessableEntity, fmt.Sprintf("vertex %v,%v: %v", x, y, err))
				return nil
			}
			r = append(r, w.Orb())
		}
		out = append(out, r)
	}
	return out
}
