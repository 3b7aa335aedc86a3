// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"onemap/auth"
	"onemap/tiles"
)

// layers is what the map draws beside the grids, read whole: a county has a few
// thousand of each. tiles cuts them to each reader's scope.
type layers struct {
	roads   []tiles.Line
	cameras []tiles.Spot
}

func (s *Server) reloadLayers(ctx context.Context) error {
	scope := auth.System("tiles cut layers to each reader's scope")
	roads, err := s.db.Roads(ctx, scope)
	if err != nil {
		return err
	}
	cameras, err := s.db.Cameras(ctx, scope)
	if err != nil {
		return err
	}
	l := &layers{}
	for _, r := range roads {
		l.roads = append(l.roads, tiles.Line{ID: r.ID, Class: r.Class, Name: r.Name, Geom: r.Geom})
	}
	for _, c := range cameras {
		l.cameras = append(l.cameras, tiles.Spot{ID: c.ID, Name: c.Name, Heading: c.Heading, P: c.Point, Grid: c.GridNo})
	}
	s.layers.Store(l)
	return nil
}
