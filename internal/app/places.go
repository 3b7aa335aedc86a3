// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"math"
	"slices"
	"time"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
	"onemap/store"
)

// placesRetry is how long a failed rebuild of the address search waits.
const placesRetry = 5 * time.Second

// reloadPlaces builds the address search anew from what is stored and the tree in
// force, and puts it in the place of the old one.
func (s *Server) reloadPlaces(ctx context.Context) error {
	stored, err := s.db.Places(ctx, auth.System("the address search cuts places to each asker's scope"))
	if err != nil {
		return err
	}
	s.places.Store(PlaceIndex(s.catalogue.Now().Tree, stored))
	return nil
}

// followPlaces rebuilds the address search whenever it is told to, until the end.
func (s *Server) followPlaces(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.placesDue:
		}
		if err := s.reloadPlaces(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("the address search is behind; trying again", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(placesRetry):
			}
			s.nudge(s.placesDue)()
		}
	}
}

// PlaceIndex makes the address search of a centre: its towns and villages, and
// what was brought in, each in the grid that it lies in now.
func PlaceIndex(tree *grid.Tree, stored []store.Place) *gazetteer.Index {
	areas, ofGrid := placeAreas(tree)
	roots := map[string]int32{}
	for _, i := range tree.Roots() {
		roots[string(tree.Nodes()[i].Code)] = tree.Nodes()[i].No
	}
	lib := gazetteer.NewLibrary(areas)
	division := map[string]int{}
	for i, a := range areas {
		if a.No == 0 {
			division[a.Code] = i
		}
	}
	entries := make([]gazetteer.Entry, 0, len(stored))
	for _, p := range stored {
		e := gazetteer.Entry{
			ID: p.ID, Kind: gazetteer.Kind(p.Kind), Name: p.Name, Aliases: p.Aliases, Address: p.Address, Class: p.Class,
			Point: geo.WGS84(p.Point), Area: -1, No: roots[p.Root],
		}
		if f := tree.Locate(e.Point); f.Index >= 0 {
			e.No, e.Area = tree.Nodes()[f.Index].No, ofGrid[f.Index]
		} else if i, ok := division[p.AdminCode[:min(6, len(p.AdminCode))]]; ok {
			e.Area = i
		}
		if e.No == 0 {
			continue // outside every grid, of a county that is not here any more: nobody's
		}
		entries = append(entries, e)
	}
	return gazetteer.NewIndex(lib, entries)
}

// placeAreas are the divisions of the country and below them the centre's towns and
// villages (levels 2 and 3 of the tree), and for each grid the deepest area it is in.
func placeAreas(tree *grid.Tree) (areas []gazetteer.AdminArea, ofGrid []int) {
	areas = gazetteer.National()
	nodes := tree.Nodes()
	ofGrid = make([]int, len(nodes))
	for i, n := range nodes {
		switch {
		case n.Level == 1:
			ofGrid[i] = countyArea(&areas, n)
		case n.Level <= 3:
			ofGrid[i] = len(areas)
			p := geo.WGS84(n.Label)
			areas = append(areas, gazetteer.AdminArea{
				Code: string(n.Code), Name: n.Name, Level: gazetteer.County + gazetteer.Level(n.Level) - 1, Parent: ofGrid[n.Parent],
				No: n.No, Last: n.Last, Point: &p, RadiusM: reachOf(n),
			})
		default:
			ofGrid[i] = ofGrid[n.Parent]
		}
	}
	return areas, ofGrid
}

// countyArea finds the division that a root of the tree is, by code or by name, or
// adds it.
func countyArea(areas *[]gazetteer.AdminArea, n grid.Node) int {
	code := string(n.Code)
	if len(code) > 6 {
		code = code[:6]
	}
	for _, same := range []func(a gazetteer.AdminArea) bool{
		func(a gazetteer.AdminArea) bool { return a.Code == code },
		func(a gazetteer.AdminArea) bool { return a.Name == n.Name && a.Level == gazetteer.County },
		func(a gazetteer.AdminArea) bool { return a.Name == n.Name },
	} {
		if i := slices.IndexFunc(*areas, func(a gazetteer.AdminArea) bool { return a.No == 0 && same(a) }); i >= 0 {
			return i
		}
	}
	*areas = append(*areas, gazetteer.AdminArea{Code: string(n.Code), Name: n.Name, Level: gazetteer.County, Parent: -1, No: n.No, Last: n.Last})
	return len(*areas) - 1
}

// reachOf is how far the border of a grid is from its label point, in metres: how
// wrong it is to take that point for any place in the grid.
func reachOf(n grid.Node) (most float64) {
	for _, part := range n.Geom {
		for _, p := range part[0] {
			most = max(most, geo.Distance(geo.WGS84(n.Label), geo.WGS84(p)))
		}
	}
	return math.Ceil(most)
}
