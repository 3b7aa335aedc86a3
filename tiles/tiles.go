// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package tiles draws what a centre has on the map as Mapbox vector tiles: its
// grids with their names, its roads, its cameras, its named layers. Every tile is
// drawn for an actor and holds nothing outside the actor's scope.
//
//	source -> generation (projected, thinned once a zoom) -> clip -> encode -> gzip -> cache by scope
//
// A border that two grids share is thinned once and the same for both, so no
// crack opens between them at any zoom.
package tiles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
	"onemap/layer"
	"onemap/mirror"
)

var (
	// ErrUnknownLayer says that there is no such layer.
	ErrUnknownLayer = errors.New("tiles: unknown layer")
	// ErrOutOfRange says that there is no such tile on earth, or that it is deeper
	// than MaxZoom.
	ErrOutOfRange = errors.New("tiles: no such tile")
	// ErrEmpty says that the tile exists and that nothing lies in it for the actor.
	ErrEmpty = errors.New("tiles: nothing in this tile")
	// ErrProjecting says that other grids are in force and not ready to be drawn yet.
	ErrProjecting = errors.New("tiles: the grids are being made ready to be drawn")
	// ErrForbidden says that the actor may not see the layer.
	ErrForbidden = errors.New("tiles: may not see this layer")
)

const (
	// MaxZoom is the deepest tile served.
	MaxZoom = 18
	// Extent is the width of a tile in its own units.
	Extent = 4096
	// Buffer is how far geometry reaches over a tile's edge, in its units.
	Buffer = 64

	dataZoom    = 14 // TileJSON's maxzoom: deeper tiles show nothing new
	maxFeatures = 10_000
)

// Line is a stretch of road. Grid is the number of the grid it lies in, 0 when
// that is not known. Geom is WGS-84.
type Line struct {
	ID          int64
	Class, Name string // class: trunk, primary, secondary, track
	Geom        orb.LineString
	Grid        int32
}

// Spot is a camera. Heading, in degrees from north, and FOV, its field of view in
// degrees, are -1 when unknown. Grid is the number of the grid it stands in, 0 when
// that is not known. P is WGS-84.
type Spot struct {
	ID           int64
	Name         string
	Heading, FOV int
	P            orb.Point
	Grid         int32
}

// Options names where the data come from. Each function is called for every
// tile, has to be quick and safe for concurrent use, and returns a value that
// never changes: other data are another tree or another slice. A nil function
// means that there are none.
type Options struct {
	Tree    func() *grid.Tree
	Roads   func() []Line
	Cameras func() []Spot
	Named   func() *layer.Book // the named layers
	Mirror  *mirror.Mirror     // the incidents; nil for none
	// Addresses is the address search, another one when addresses or places are others.
	Addresses func() *gazetteer.Index

	CacheBytes int    // ready tiles kept in memory; default 32 MiB
	Prefix     string // before the tile addresses in TileJSON, as "https://host"
}

// Server draws and keeps tiles. Its methods may be called from any goroutine.
type Server struct {
	o       Options
	cache   *cache
	roads   latest[Line, lineSet]
	cameras latest[Spot, spotSet]
	named   namedSets
	places  addressSets

	building sync.Mutex // one generation is made at a time
	current  atomic.Pointer[generation]
	made     atomic.Uint64 // numbers every generation and set
	waiting  atomic.Int64  // who waits for incidents that are not there yet
}

// New makes a Server.
func New(o Options) *Server {
	if o.Tree == nil {
		empty, _ := grid.NewTree(nil)
		o.Tree = func() *grid.Tree { return empty }
	}
	if o.Roads == nil {
		o.Roads = func() []Line { return nil }
	}
	if o.Cameras == nil {
		o.Cameras = func() []Spot { return nil }
	}
	if o.Named == nil {
		o.Named = func() *layer.Book { return nil }
	}
	if o.Addresses == nil {
		o.Addresses = func() *gazetteer.Index { return nil }
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	s := &Server{o: o, cache: newCache(o.CacheBytes)}
	s.roads = latest[Line, lineSet]{load: o.Roads, make: newLineSet}
	s.cameras = latest[Spot, spotSet]{load: o.Cameras, make: newSpotSet}
	return s
}

// plan is what one address serves.
type plan struct {
	resource auth.Resource
	minzoom  int
	maxzoom  int // the deepest tile
	fields   []vectorLayer
	source   func(s *Server) source // nil for what has a way of its own: see IncidentTile, HotTile
}

// source is one state of what a layer shows.
type source interface {
	number() uint64
	draw(sh *sheet, t tile, s auth.Scope)
}

type vectorLayer struct {
	ID      string            `json:"id"`
	Fields  map[string]string `json:"fields"`
	MinZoom int               `json:"minzoom"`
	MaxZoom int               `json:"maxzoom"`
}

func layerNamed(name string) (plan, error) {
	gridFields := map[string]string{"no": "Number", "code": "String", "name": "String", "level": "Number"}
	switch name {
	case "grids":
		return plan{auth.LayerGrids, 0, MaxZoom, []vectorLayer{
			{"grids", gridFields, 0, dataZoom},
			{"labels", gridFields, 0, dataZoom},
		}, func(s *Server) source { return s.generation() }}, nil
	case "roads":
		f := map[string]string{"class": "String", "name": "String"}
		return plan{auth.LayerRoads, roadsFrom, MaxZoom, []vectorLayer{{"roads", f, roadsFrom, dataZoom}}, func(s *Server) source { return s.roads.now(s) }}, nil
	case "incidents":
		f := map[string]string{"state": "String", "priority": "Number", "category": "String"}
		return plan{auth.LayerIncidents, 0, MaxZoom, []vectorLayer{
			{"incidents", f, DotsFrom, MaxZoom},
			{"counts", map[string]string{"count": "Number"}, 0, MaxZoom},
		}, nil}, nil
	case "hotspots":
		f := map[string]string{"cell": "String", "count": "Number", "class": "String", "z": "Number", "p": "Number", "q": "Number", "strict": "Number"}
		return plan{auth.HotSpots, CellsFrom(6), MaxZoom, []vectorLayer{{"hotspots", f, CellsFrom(6), dataZoom}}, nil}, nil
	case "coverage":
		f := map[string]string{"code": "String", "name": "String", "by": "String", "travel_s": "Number", "thin": "Boolean"}
		return plan{auth.AdviceData, CoverageFrom, MaxZoom, []vectorLayer{{"coverage", f, CoverageFrom, dataZoom}}, nil}, nil
	case "addresses":
		f := map[string]string{"kind": "String", "name": "String", "class": "String"}
		return plan{auth.LayerAddresses, AddressesFrom, MaxZoom, []vectorLayer{
			{"addresses", f, AddressesFrom, MaxZoom},
			{"counts", map[string]string{"count": "Number"}, AddressesFrom, MaxZoom},
		}, func(s *Server) source { return s.places.now(s) }}, nil
	case "cameras":
		f := map[string]string{"id": "String", "name": "String", "heading": "Number", "fov": "Number"}
		return plan{auth.LayerCameras, CamerasFrom, MaxZoom, []vectorLayer{{"cameras", f, CamerasFrom, dataZoom}}, func(s *Server) source { return s.cameras.now(s) }}, nil
	}
	return plan{}, unknown(name)
}

func unknown(name string) error { return fmt.Errorf("%w %.40q", ErrUnknownLayer, name) }

// find is the layer of that name, and what of it the actor may see. A named layer
// that the actor may not see is unknown.
func (s *Server) find(name string, a auth.Actor) (plan, auth.Decision, error) {
	l, err := layerNamed(name)
	if err == nil {
		d, err := auth.Decide(a, auth.Read, l.resource)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrForbidden, err)
		}
		return l, d, err
	}
	set := s.o.Named().Named(name)
	if set == nil || set.Code == layer.Cameras {
		return plan{}, auth.Decision{}, unknown(name)
	}
	d, err := set.Decide(a)
	if err != nil {
		return plan{}, auth.Decision{}, unknown(name)
	}
	return namedPlan(set), d, nil
}

// TileJSON describes a layer for the actor, its bounds being those of what the
// actor may see; query, with its question mark, stands behind the addresses of its tiles.
// Errors: ErrUnknownLayer, ErrForbidden.
func (s *Server) TileJSON(name, query string, a auth.Actor) ([]byte, error) {
	l, d, err := s.find(name, a)
	if err != nil {
		return nil, err
	}
	doc := struct {
		TileJSON string        `json:"tilejson"`
		Name     string        `json:"name"`
		Tiles    []string      `json:"tiles"`
		Scheme   string        `json:"scheme"`
		MinZoom  int           `json:"minzoom"`
		MaxZoom  int           `json:"maxzoom"`
		Bounds   *[4]float64   `json:"bounds,omitempty"`
		Layers   []vectorLayer `json:"vector_layers"`
	}{
		"3.0.0", name,
		[]string{s.o.Prefix + "/tiles/" + name + "/{z}/{x}/{y}.mvt" + query},
		"xyz",
		l.minzoom, l.fields[0].MaxZoom, nil, l.fields,
	}
	if b, ok := s.generation().bounds(d.Scope); ok {
		doc.Bounds = &[4]float64{b.Min[0], b.Min[1], b.Max[0], b.Max[1]}
	}
	return json.Marshal(doc)
}

// Tile returns the tile ready to be sent (gzip) and its ETag, which changes with
// the content alone. The caller must not change body. Errors: ErrUnknownLayer,
// ErrOutOfRange, ErrForbidden, ErrEmpty, and the context's.
func (s *Server) Tile(ctx context.Context, name string, z, x, y int, a auth.Actor) (body []byte, etag string, err error) {
	l, d, err := s.find(name, a)
	if errors.Is(err, ErrUnknownLayer) {
		return nil, "", err
	}
	if err := Check(z, x, y); err != nil {
		return nil, "", err
	}
	if err != nil {
		return nil, "", err
	}
	if z < l.minzoom || z > l.maxzoom {
		return nil, "", ErrEmpty
	}
	switch {
	case name == "incidents":
		body, etag, _, err = s.IncidentTile(ctx, z, x, y, a, IncidentQuery{}, 0)
		return body, etag, err
	case l.source == nil:
		return nil, "", unknown(name) // without what is asked about it
	}
	return s.drawn(ctx, name, l.source(s), tile{z, x, y}, d.Scope)
}

// Check says by ErrOutOfRange that there is no such tile.
func Check(z, x, y int) error {
	if t := (tile{z, x, y}); !t.onEarth() {
		return fmt.Errorf("%w: %d/%d/%d", ErrOutOfRange, z, x, y)
	}
	return nil
}

// drawn is a tile of a source: a ready one, or drawn anew. Errors: ErrOutOfRange, ErrEmpty,
// and the context's.
func (s *Server) drawn(ctx context.Context, layer string, src source, t tile, scope auth.Scope) (body []byte, etag string, err error) {
	if err := Check(t.z, t.x, t.y); err != nil {
		return nil, "", err
	}
	// The view makes no difference to what these layers show.
	k := key{layer: layer, tile: t, scope: scope.Tag(auth.NoView), generation: src.number()}
	e, err := s.cache.get(ctx, k, func() (ready, error) {
		sh := takeSheet()
		defer sh.layAway()
		src.draw(sh, t, scope)
		return sh.encode()
	})
	if err == nil && e.body == nil {
		err = ErrEmpty
	}
	return e.body, e.etag, err
}

// generation returns the grids of now, projected. While another tree is being
// projected the old one answers.
func (s *Server) generation() *generation {
	tree := s.o.Tree()
	g := s.current.Load()
	if g != nil && g.tree == tree {
		return g
	}
	if g == nil {
		s.building.Lock()
	} else if !s.building.TryLock() {
		return g
	}
	defer s.building.Unlock()
	if g = s.current.Load(); g != nil && g.tree == tree {
		return g
	}
	next := newGeneration(s.made.Add(1), tree)
	s.current.Store(next)
	return next
}
