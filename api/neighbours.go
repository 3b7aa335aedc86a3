// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
)

// NeighbourItem is a grid on the other side of a border.
type NeighbourItem struct {
	Code    string  `json:"code"`
	Name    string  `json:"name"`
	Level   int     `json:"level"`
	Parent  *string `json:"parent"`
	SharedM float64 `json:"shared_m" doc:"Length of the common border in metres"`
}

// NeighbourList is all neighbours of a grid that the caller sees.
type NeighbourList struct {
	Items []NeighbourItem `json:"items"`
}

type neighboursInput struct {
	Code string `path:"code" maxLength:"64"`
}

type neighboursOutput struct{ Body NeighbourList }

func (s *Server) neighbours() {
	route(s, need{auth.Read, auth.Grid}, huma.Operation{
		OperationID: "grid-neighbours", Method: http.MethodGet, Path: "/api/v1/grids/{code}/neighbours", Tags: []string{"grids"},
		Summary: "The grids of the same level that share a border with a grid, the longest border first; those in scope", Errors: []int{404},
	}, s.listNeighbours)
}

// listNeighbours answers of a grid in scope. Grids are read by scope, so a
// neighbour beyond it is not told; nor is a grid that only stands above it.
func (s *Server) listNeighbours(_ context.Context, a caller, in *neighboursInput) (*neighboursOutput, error) {
	t := s.o.Catalogue.Now().Tree
	for _, i := range visible(t, a.Scope, in.Code) {
		if !a.Scope.Sees(t.Nodes()[i].No) {
			continue
		}
		list := NeighbourList{Items: []NeighbourItem{}}
		for _, n := range t.Neighbours(i) {
			if !a.Scope.Sees(t.Nodes()[n.Index].No) {
				continue
			}
			g := gridItem(t, n.Index)
			list.Items = append(list.Items, NeighbourItem{g.Code, g.Name, g.Level, g.Parent, math.Round(n.SharedM*10) / 10})
		}
		return &neighboursOutput{list}, nil
	}
	return nil, errNoGrid
}
