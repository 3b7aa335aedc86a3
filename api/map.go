// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/hub"
	"onemap/mirror"
	"onemap/store"
	"onemap/tiles"
)

// mapRoutes are the routes whose answers are no JSON: tiles and the live stream.
// They stand in the contract too, written out by hand.
func (s *Server) mapRoutes() {
	s.gin.GET("/tiles/:layer", s.tileJSON)
	s.gin.GET("/tiles/:layer/:z/:x/:y", s.tile)
	s.gin.GET("/api/v1/live", s.stream)
	bytesOf := func(mime, what string) map[string]*huma.Response {
		return map[string]*huma.Response{
			"200": {Description: what, Content: map[string]*huma.MediaType{mime: {}}},
			"401": {Description: "Unauthorized"}, "403": {Description: "Forbidden"},
		}
	}
	name := func(n, kind string) *huma.Param {
		return &huma.Param{Name: n, In: "path", Required: true, Schema: &huma.Schema{Type: kind}}
	}
	security := []map[string][]string{{"bearer": {}}, {"session": {}}}
	paths := s.huma.OpenAPI()
	paths.AddOperation(&huma.Operation{
		OperationID: "tilejson", Method: http.MethodGet, Path: "/tiles/{layer}.json", Tags: []string{"tiles"}, Security: security,
		Summary: "TileJSON 3.0 of a layer: grids, roads, cameras, addresses, incidents, hotspots, coverage, or a named layer", Parameters: []*huma.Param{name("layer", "string")},
		Description: "Of a layer that is asked a question (hotspots, coverage) the query of the tiles may stand here too, and stands behind their addresses then.",
		Responses:   bytesOf("application/json", "TileJSON"),
	})
	tile := tileResponses()
	tile["401"], tile["403"] = &huma.Response{Description: "Unauthorized"}, &huma.Response{Description: "Forbidden"}
	tile["503"] = &huma.Response{Description: "Incidents are still being read, or not as new as min_seq: see Retry-After"}
	paths.AddOperation(&huma.Operation{
		OperationID: "tile", Method: http.MethodGet, Path: "/tiles/{layer}/{z}/{x}/{y}.mvt", Tags: []string{"tiles"}, Security: security,
		Summary:    "A vector tile, cut to the caller's scope",
		Parameters: append([]*huma.Param{name("layer", "string"), name("z", "integer"), name("x", "integer"), name("y", "integer")}, incidentTileParams...), Responses: tile,
	})
	paths.AddOperation(&huma.Operation{
		OperationID: "live", Method: http.MethodGet, Path: "/api/v1/live", Tags: []string{"live"}, Security: security,
		Summary:     "The live stream: WebSocket, subprotocol onemap.v1",
		Description: "The client speaks first: a hello with epoch, seq and scope of what it has, or without them. See docs/LIVE.md.",
		Responses:   map[string]*huma.Response{"101": {Description: "Switching Protocols"}, "403": {Description: "A foreign Origin, or a role without a view"}},
	})
}

func (s *Server) tileJSON(c *gin.Context) {
	a := actorOf(c.Request.Context())
	leave, err := s.draw(c, a)
	if err != nil {
		refuse(c, err)
		return
	}
	defer leave()
	layer, isJSON := strings.CutSuffix(c.Param("layer"), ".json")
	if !isJSON {
		refuse(c, problem(http.StatusNotFound, "nothing here"))
		return
	}
	question, err := s.question(layer, c.Request.URL)
	if err != nil {
		refuse(c, err)
		return
	}
	body, err := s.o.Tiles.TileJSON(layer, question, a)
	if err != nil {
		refuse(c, s.tileProblem(c.Request.Context(), err))
		return
	}
	c.Header("Cache-Control", "private, no-cache")
	c.Data(http.StatusOK, "application/json", body)
}

// draw admits a caller to the map at all, and waits for a place. Which layers it
// may see is looked at with the layer.
func (s *Server) draw(c *gin.Context, a auth.Actor) (leave func(), err error) {
	if err := s.admit(c, a); err != nil {
		return nil, err
	}
	return s.takeFor(c.Request.Context(), drawing, a.ID)
}

// admit admits a caller to the map, without a place.
func (s *Server) admit(c *gin.Context, a auth.Actor) error {
	ctx := c.Request.Context()
	if a.ID == "" {
		return s.answer(ctx, auth.ErrNobody)
	}
	return s.pace(ctx, drawing, a.ID)
}

func (s *Server) tile(c *gin.Context) {
	a := actorOf(c.Request.Context())
	if err := s.admit(c, a); err != nil {
		refuse(c, err)
		return
	}
	at, err := tileNumbers(c.Param("z"), c.Param("x"), c.Param("y"))
	if err != nil {
		refuse(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), deadline(http.MethodGet))
	defer cancel()
	draw, err := s.drawerOf(ctx, c, at[0], at[1], at[2], a)
	if err != nil {
		refuse(c, s.tileProblem(ctx, err))
		return
	}
	s.drawTile(ctx, c, a, draw)
}

func (s *Server) tileProblem(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, tiles.ErrUnknownLayer), errors.Is(err, tiles.ErrOutOfRange):
		return problem(http.StatusNotFound, err.Error())
	}
	if errors.Is(err, tiles.ErrProjecting) {
		return retryLater("the grids were redrawn and are being made ready for the map")
	}
	if errors.Is(err, mirror.ErrBehind) {
		return retryLater("this server has not come to that event yet")
	}
	if l := (*mirror.Loading)(nil); errors.As(err, &l) {
		return retryLater(fmt.Sprintf("incidents are being read for the map: %d of about %d", l.Done, l.About))
	}
	return s.answer(ctx, err)
}

// stream hands the request to the hub. The session is looked at again while the
// socket lives: it ends when the session does, or when its scope changes.
func (s *Server) stream(c *gin.Context) {
	a := actorOf(c.Request.Context())
	st, err := auth.StreamOf(a)
	if err != nil {
		refuse(c, s.answer(c.Request.Context(), err))
		return
	}
	secret, kind := credentialOf(c.Request)
	lease := func(ctx context.Context) error {
		now, err := s.lookUp(ctx, s.o.Care, secret, kind)
		if err != nil {
			return leaseError(err)
		}
		if is, err := auth.StreamOf(now.actor); err != nil || is.Tag != st.Tag {
			s.known.drop(sha256.Sum256([]byte(string(kind) + " " + secret))) // who connects again is looked up anew
			return hub.ErrScopeChanged
		}
		return nil
	}
	// What is known of a secret may be two seconds old: a socket that was closed with
	// its right must not come back on it.
	ctx, cancel := context.WithTimeout(c.Request.Context(), deadline(http.MethodGet))
	err = lease(ctx)
	cancel()
	switch {
	case errors.Is(err, store.ErrNotFound):
		refuse(c, s.answer(c.Request.Context(), auth.ErrNobody))
		return
	case errors.Is(err, hub.ErrScopeChanged):
		refuse(c, retryLater("what you may see has just changed; connect again"))
		return
	}
	s.o.Hub.Serve(c.Writer, c.Request, a, lease) // a database that is away has ended no right
}

func leaseError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return err
	}
	return errors.Join(hub.ErrLeaseUnknown, err)
}
