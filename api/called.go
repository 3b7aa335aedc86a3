// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"onemap/store"
)

// CalledItem is what a called department, or a worker who is asked, is told of the incident.
type CalledItem struct {
	ID           string          `json:"id"`
	Number       string          `json:"number"`
	Category     string          `json:"category"`
	CategoryName string          `json:"category_name"`
	Priority     int             `json:"priority"`
	State        string          `json:"state"`
	Title        string          `json:"title"`
	Address      string          `json:"address"`
	Point        *[2]float64     `json:"point" doc:"WGS-84, longitude first"`
	Grid         []store.GridRef `json:"grid" doc:"The county first"`
}

func (s *Server) calledItem(ctx context.Context, incident int64, to store.CalledTo) (CalledItem, error) {
	path, err := s.o.Catalogue.Path(ctx, to.GridID)
	it := CalledItem{
		ID: fmt.Sprint(incident), Number: store.IncidentNumber(incident), Category: to.Category,
		CategoryName: s.o.Catalogue.Now().Categories[to.Category].NameZH, Priority: to.Priority, State: string(to.State),
		Title: to.Title, Address: to.Address, Grid: path,
	}
	if p := to.Point; p != nil {
		it.Point = &[2]float64{p[0], p[1]}
	}
	return it, err
}

// IDPage asks for a page of a list in the order of ids.
type IDPage struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"64"`
}

// afterID reads the cursor of a list in the order of ids; 0 for the first page.
func (p IDPage) afterID() (int64, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(p.Cursor, 10, 64)
	if err != nil || id < 1 {
		return 0, problem(http.StatusBadRequest, "cursor: send back the one that the page before gave")
	}
	return id, nil
}

// cutPage takes a page off the rows, of which there is one more where another page
// follows, and gives the cursor of that one.
func cutPage[T any](p IDPage, rows []T, id func(T) int64) ([]T, *string) {
	if len(rows) <= p.Limit {
		return rows, nil
	}
	rows = rows[:p.Limit]
	c := fmt.Sprint(id(rows[p.Limit-1]))
	return rows, &c
}
