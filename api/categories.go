// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// CategoryItem is a category that incidents are reported by.
type CategoryItem struct {
	Code      string `json:"code"`
	Name      string `json:"name"`
	Top       string `json:"top" doc:"Code of the top category it belongs to"`
	TopName   string `json:"top_name"`
	Priority  int    `json:"priority" doc:"1 is most urgent: of an incident whose report names none"`
	OnTheSpot bool   `json:"on_the_spot" doc:"The worker who reports one may resolve it there and then"`
	Evidence  bool   `json:"evidence" doc:"On the spot only with something attached"`
	Hidden    bool   `json:"hidden" doc:"Where its incidents are is never shown: no map and no count by cell has them"`
}

type categoriesOutput struct {
	Body struct {
		Items []CategoryItem `json:"items"`
	}
}

func (s *Server) categories() {
	route(s, own, huma.Operation{
		OperationID: "list-categories", Method: http.MethodGet, Path: "/api/v1/categories", Tags: []string{"incidents"},
		Summary: "The categories that one reports by, in the order of their codes",
	}, s.listCategories)
}

func (s *Server) listCategories(context.Context, caller, *struct{}) (*categoriesOutput, error) {
	all := s.o.Catalogue.Now().Categories
	out := &categoriesOutput{}
	out.Body.Items = []CategoryItem{}
	for _, c := range all {
		if c.Parent != "" {
			out.Body.Items = append(out.Body.Items, CategoryItem{c.Code, c.NameZH, c.Parent, all[c.Parent].NameZH, c.Priority, c.OnTheSpot, c.Evidence, c.Sensitive()})
		}
	}
	slices.SortFunc(out.Body.Items, func(a, b CategoryItem) int { return cmp.Compare(a.Code, b.Code) })
	return out, nil
}
