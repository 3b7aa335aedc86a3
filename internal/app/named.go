// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"onemap/auth"
	"onemap/feed"
	"onemap/geo/grid"
	"onemap/layer"
	"onemap/store"
	"onemap/tiles"
)

// named is the named layers and the cameras as this node shows them.
type named struct {
	book  *layer.Book
	tree  *grid.Tree   // their grids were worked out from
	spots []tiles.Spot // the cameras, for tiles
}

// layersRetry is how long a failed reading of the layers waits.
const layersRetry = 5 * time.Second

// reloadNamed reads the layers again that have moved since they were last read, and
// all of them when there is another tree. cameras says that those have moved.
func (s *Server) reloadNamed(ctx context.Context, cameras bool) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	scope, tree, was := auth.System("layers are cut to each reader's scope"), s.catalogue.Now().Tree, s.named.Load()
	if was == nil || was.tree != tree {
		was, cameras = &named{}, true
	}
	rows, err := s.db.Layers(ctx, scope)
	if err != nil {
		return err
	}
	now := &named{tree: tree, spots: was.spots}
	sets := make([]*layer.Set, 0, len(rows)+1)
	for _, l := range rows {
		if old := was.book.Named(l.Code); old != nil && old.ID == l.ID && old.Version == l.Version {
			sets = append(sets, old)
			continue
		}
		features, err := s.db.LayerFeatures(ctx, scope, l.ID)
		if err != nil {
			return err
		}
		sets = append(sets, namedSet(tree, l, features))
	}
	if set := was.book.Named(layer.Cameras); set != nil && !cameras {
		sets = append(sets, set)
	} else {
		list, err := s.db.Cameras(ctx, scope)
		if err != nil {
			return err
		}
		set, now.spots = cameraSet(tree, list)
		sets = append(sets, set)
	}
	now.book = layer.NewBook(sets)
	s.named.Store(now)
	return nil
}

// countyOf is the grids of the county with this code, and its own number; the number 0
// when it is not here.
func countyOf(t *grid.Tree, code string) ([]auth.Interval, int32) {
	for _, i := range t.Roots() {
		if n := t.Nodes()[i]; string(n.Code) == code {
			return []auth.Interval{{Lo: n.No, Hi: n.Last}}, n.No
		}
	}
	return []auth.Interval{}, 0
}

// namedSet makes a layer's set of its rows, each in the grids it lies in now.
func namedSet(t *grid.Tree, l layer.Layer, rows []store.LayerFeature) *layer.Set {
	grids, root := countyOf(t, l.Root)
	features := make([]layer.Feature, len(rows))
	for i, r := range rows {
		features[i] = layer.Feature{
			ID: r.ID, ExternalID: r.ExternalID, Name: r.Name, Kind: r.Kind, Duty: r.Duty, Props: r.Props, Label: labelOf(l.Style, r), Geom: r.Geom,
			Grids: layer.GridsOf(t, r.Geom, grids, root),
		}
	}
	set := layer.NewSet(l, features, grids)
	set.Tag = fmt.Sprintf("%d.%d", l.Version, root) // a redraw gives the county another number
	return set
}

// labelOf is what is written beside a feature: its name where it lacks the property
// that the style names.
func labelOf(s layer.Style, r store.LayerFeature) string {
	var props map[string]string
	if s.Label == "" || s.Label == "name" || json.Unmarshal(r.Props, &props) != nil {
		return r.Name
	}
	return cmp.Or(props[s.Label], r.Name)
}

// cameraSet makes the layer of cameras, each in the grid it stands in now. One that
// stands in none of its county is seen by whoever sees that as a whole, or, when its
// county is not known either, a whole one.
func cameraSet(t *grid.Tree, list []store.Camera) (*layer.Set, []tiles.Spot) {
	var roots []int32
	for _, i := range t.Roots() {
		roots = append(roots, t.Nodes()[i].No)
	}
	spots, features := make([]tiles.Spot, len(list)), make([]layer.Feature, len(list))
	for i, c := range list {
		var county []auth.Interval // every one
		no := int32(0)
		if c.Root != "" {
			county, no = countyOf(t, c.Root)
		}
		grids := layer.GridsOf(t, c.Point, county, no)
		if len(grids) == 0 {
			grids = roots
		} else {
			no = grids[0]
		}
		camera := c.Camera
		features[i] = layer.Feature{ID: c.ID, ExternalID: c.Code, Name: c.Name, Kind: layer.Other, Label: c.Name, Geom: c.Point, Grids: grids, Camera: &camera}
		spots[i] = tiles.Spot{ID: c.ID, Name: c.Name, Heading: c.Heading, FOV: c.FOV, P: c.Point, Grid: no}
	}
	l := layer.Layer{
		Code: layer.Cameras, Name: "摄像头", Geometry: layer.Point, MinZoom: tiles.CamerasFrom, MaxZoom: layer.MaxZoom, Access: auth.LayerAccess{auth.Walls},
		Style: layer.Style{Icon: "diamond"},
	}
	set := layer.NewSet(l, features, nil)
	h := fnv.New64a()
	for i := range spots {
		fmt.Fprintln(h, spots[i], features[i].Grids)
	}
	set.Tag = strconv.FormatUint(h.Sum64(), 16)
	return set, spots
}

// cameraEvent is the entity of an event that tells of other cameras.
const cameraEvent = "layer:" + layer.Cameras

// layersTold takes in an event of the feed that may tell of layers.
func (s *Server) layersTold(e feed.Event) {
	if e.Kind == "config.changed" || e.Entity.ID == cameraEvent {
		s.camerasMoved.Store(true)
	}
	if strings.HasPrefix(e.Entity.ID, "layer:") || e.Kind == "config.changed" {
		s.nudge(s.namedDue)()
	}
}

// followNamed reads the layers again whenever it is told to, until the end. It rests
// as long as it has read: a long import of a large layer tells it every second.
func (s *Server) followNamed(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.namedDue:
		}
		began, cameras := time.Now(), s.camerasMoved.Swap(false)
		wait := layersRetry
		if err := s.reloadNamed(ctx, cameras); err == nil {
			wait = min(time.Since(began), 400*time.Millisecond)
		} else if ctx.Err() == nil {
			s.o.Log.Warn("named layers and cameras are behind; trying again", "err", err)
			s.camerasMoved.CompareAndSwap(false, cameras)
			s.nudge(s.namedDue)()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// namedLayers is the newest book of named layers and cameras.
func (s *Server) namedLayers() *layer.Book { return s.named.Load().book }
