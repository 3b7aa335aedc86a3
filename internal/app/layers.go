// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"onemap/auth"
	"onemap/geo/road"
	"onemap/store"
	"onemap/tiles"
)

// layers is the roads, read whole. They are drawn, and are the net that travel times
// are worked out along. Cameras and named layers: see named.
type layers struct {
	roads []tiles.Line
	net   *road.Graph
	of    roadSet // that net was made of
}

func (s *Server) reloadLayers(ctx context.Context) error {
	scope := auth.System("tiles cut layers to each reader's scope")
	roads, err := s.db.Roads(ctx, scope)
	if err != nil {
		return err
	}
	l := &layers{}
	l.follow(s.layers.Load(), roads)
	for _, r := range roads {
		l.roads = append(l.roads, tiles.Line{ID: r.ID, Class: road.Class(r.Class).Drawn(), Name: r.Name, Geom: r.Geom})
	}
	s.layers.Store(l)
	return nil
}

// roadSet tells one reading of the roads from another: no id is ever used twice.
type roadSet struct {
	count int
	last  int64
}

// follow makes the net of the roads, or takes it over from the layers before when
// their roads are the same.
func (l *layers) follow(before *layers, roads []store.Road) {
	for _, r := range roads {
		l.of.count, l.of.last = l.of.count+1, max(l.of.last, r.ID)
	}
	if before != nil && before.of == l.of {
		l.net = before.net
		return
	}
	segments := make([]road.Segment, len(roads))
	for i, r := range roads {
		segments[i] = road.Segment{Line: r.Geom, Oneway: r.Oneway, Kmh: float64(r.Kmh)}
	}
	l.net = road.Build(segments, road.DefaultRules())
}

// roads is the newest net of roads.
func (s *Server) roads() *road.Graph { return s.layers.Load().net }
