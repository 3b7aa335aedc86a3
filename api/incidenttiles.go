// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/feed"
	"onemap/tiles"
)

// seqHeader says as of which event a map or a file is.
const seqHeader = "X-Onemap-Seq"

// incidentTileParams are the query parameters of tiles of incidents.
var incidentTileParams = func() []*huma.Param {
	is := func(name, kind, format, doc string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: "Of incidents: " + doc, Schema: &huma.Schema{Type: kind, Format: format}}
	}
	state := is("state", "string", "", "open ones, as without it, or all")
	state.Schema.Enum = []any{"open", "all"}
	shown := is("shown", "string", "", "without categories whose place is never shown, as hot spots are counted")
	shown.Schema.Enum = []any{"true"}
	return []*huma.Param{
		is("from", "string", "date-time", "reported at or after"), is("to", "string", "date-time", "reported before"),
		is("category", "string", "", "a category, or a top category with all below it"), state, shown,
		is("min_seq", "integer", "int64", "not older than this event; waited for up to a second"),
	}
}()

// drawerOf is what draws a tile of any layer; of incidents it says as of which event, and
// has waited for the one that was asked for, so that drawing waits for nothing.
func (s *Server) drawerOf(ctx context.Context, c *gin.Context, z, x, y int, a auth.Actor) (drawer, error) {
	layer := c.Param("layer")
	if layer != "incidents" {
		return func() ([]byte, string, error) { return s.o.Tiles.Tile(ctx, layer, z, x, y, a) }, nil
	}
	asked, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, errQuery
	}
	q, least, err := s.incidentQuery(asked)
	if err != nil {
		return nil, err
	}
	if _, err := auth.Decide(a, auth.Read, auth.LayerIncidents); err == nil { // who may not see them is refused at once
		if err := s.o.Tiles.AwaitIncidents(ctx, least); err != nil {
			return nil, err
		}
	}
	return func() ([]byte, string, error) {
		body, etag, seq, err := s.o.Tiles.IncidentTile(ctx, z, x, y, a, q, least)
		if seq > 0 {
			c.Header(seqHeader, strconv.FormatInt(int64(seq), 10))
		}
		return body, etag, err
	}, nil
}

// incidentQuery reads which incidents are asked for.
func (s *Server) incidentQuery(v url.Values) (q tiles.IncidentQuery, least feed.Seq, err error) {
	for name, given := range v {
		if len(given) != 1 {
			return q, 0, problem(http.StatusBadRequest, fmt.Sprintf("%s is given more than once", name))
		}
		if !slices.ContainsFunc(incidentTileParams, func(p *huma.Param) bool { return p.Name == name }) {
			return q, 0, problem(http.StatusBadRequest, fmt.Sprintf("a tile of incidents has no parameter %.40q", name))
		}
	}
	for _, p := range []struct {
		name string
		to   *time.Time
	}{{"from", &q.From}, {"to", &q.To}} {
		if t := v.Get(p.name); t != "" {
			if *p.to, err = time.Parse(time.RFC3339, t); err != nil {
				return q, 0, problem(http.StatusBadRequest, p.name+" is a time as 2026-09-14T00:00:00+08:00")
			}
		}
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.To.After(q.From) {
		return q, 0, problem(http.StatusUnprocessableEntity, "give a period: to after from")
	}
	switch v.Get("state") {
	case "", "open":
	case "all":
		q.Closed = true
	default:
		return q, 0, problem(http.StatusBadRequest, "state is open or all")
	}
	shown := v.Get("shown")
	if shown != "" && shown != "true" {
		return q, 0, problem(http.StatusBadRequest, "shown is true or left out")
	}
	if code := v.Get("category"); code != "" || shown != "" {
		if err := s.isCategory(code); err != nil {
			return q, 0, err
		}
		q.Categories = []string{}
		for k, c := range s.o.Catalogue.Now().Categories {
			if (code == "" || k == code || c.Parent == code) && (shown == "" || !c.Sensitive()) {
				q.Categories = append(q.Categories, k)
			}
		}
		slices.Sort(q.Categories)
	}
	if t := v.Get("min_seq"); t != "" {
		n, err := strconv.ParseInt(t, 10, 64)
		if err != nil || n < 0 {
			return q, 0, problem(http.StatusBadRequest, "min_seq is the number of an event")
		}
		least = feed.Seq(n)
	}
	return q, least, nil
}
