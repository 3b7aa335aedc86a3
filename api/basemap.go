// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/tiles/base"
)

// BaseMapAnswer is TileJSON 3.0 of the base map and what a page needs beside it. It
// names no other server: pages ask this one.
type BaseMapAnswer struct {
	TileJSON    string      `json:"tilejson" doc:"3.0.0"`
	Kind        base.Kind   `json:"kind" enum:"none,folder,pmtiles,xyz,tianditu" doc:"none: the centre's own grid is all there is"`
	Format      string      `json:"format" enum:"none,raster,vector"`
	Tiles       []string    `json:"tiles"`
	TileSize    int         `json:"tile_size,omitempty" doc:"Of a raster tile, in pixels"`
	MinZoom     int         `json:"minzoom"`
	MaxZoom     int         `json:"maxzoom"`
	Bounds      []float64   `json:"bounds,omitempty" doc:"West, south, east, north"`
	Layers      []BaseLayer `json:"vector_layers,omitempty"`
	Attribution string      `json:"attribution,omitempty"`
	Approval    string      `json:"approval,omitempty" doc:"审图号, shown beside the attribution"`
	Away        bool        `json:"away" doc:"The server of the base map does not answer: kept tiles are shown"`
}

// BaseLayer is a layer of a vector base map.
type BaseLayer struct {
	ID     string            `json:"id"`
	Fields map[string]string `json:"fields"`
}

type baseMapOutput struct{ Body BaseMapAnswer }

// baseAtOnce is how many tiles of the base map are being answered at most. They wait for
// another server, and so take no place of the tiles that are drawn here.
const baseAtOnce = 64

func (s *Server) baseMap() {
	s.baseTiles = make(chan struct{}, baseAtOnce)
	route(s, need{auth.Read, auth.BaseMap}, huma.Operation{
		OperationID: "basemap", Method: http.MethodGet, Path: "/api/v1/basemap", Tags: []string{"tiles"},
		Summary: "TileJSON 3.0 of the base map that lies beneath the layers, and whether its server answers",
	}, s.tellBaseMap)
	s.gin.GET("/tiles/base/:z/:x/:y", s.baseTile)
	number := func(n string) *huma.Param {
		return &huma.Param{Name: n, In: "path", Required: true, Schema: &huma.Schema{Type: "integer"}}
	}
	s.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "base-tile", Method: http.MethodGet, Path: "/tiles/base/{z}/{x}/{y}", Tags: []string{"tiles"},
		Security: []map[string][]string{{"bearer": {}}, {"session": {}}}, Summary: "A tile of the base map, the same for everybody",
		Parameters: []*huma.Param{number("z"), number("x"), number("y")},
		Responses: map[string]*huma.Response{
			"200": {Description: "A picture, or a vector tile", Content: map[string]*huma.MediaType{"image/png": {}, "image/jpeg": {}, "image/webp": {}, "application/vnd.mapbox-vector-tile": {}}},
			"204": {Description: "Nothing in this tile"}, "304": {Description: "Unchanged"}, "400": {Description: "Not three whole numbers"},
			"401": {Description: "Unauthorized"}, "403": {Description: "Forbidden"}, "404": {Description: "No such tile, or no base map"},
			"503": {Description: "Its server doesn't answer, and the tile isn't kept here"},
		},
	})
}

func (s *Server) tellBaseMap(context.Context, caller, *struct{}) (*baseMapOutput, error) {
	out := &baseMapOutput{Body: BaseMapAnswer{TileJSON: "3.0.0", Kind: base.None, Format: "none", Tiles: []string{}}}
	if s.o.Base == nil {
		return out, nil
	}
	i, b := s.o.Base.Info(), &out.Body
	b.Kind, b.Format, b.TileSize, b.MinZoom, b.MaxZoom = i.Kind, "raster", i.TileSize, i.MinZoom, i.MaxZoom
	b.Bounds, b.Attribution, b.Approval, b.Away = i.Bounds[:], i.Attribution, i.Approval, i.Away
	b.Tiles = []string{"/tiles/base/{z}/{x}/{y}?v=" + i.Tag}
	if i.Vector {
		b.Format, b.TileSize = "vector", 0
		for _, l := range i.Layers {
			b.Layers = append(b.Layers, BaseLayer{ID: l, Fields: map[string]string{}})
		}
	}
	return out, nil
}

func (s *Server) baseTile(c *gin.Context) {
	ctx := c.Request.Context()
	a := actorOf(ctx)
	_, err := auth.Decide(a, auth.Read, auth.BaseMap)
	if err == nil {
		err = s.pace(ctx, drawing, a.ID)
	}
	if err != nil {
		refuse(c, s.answer(ctx, err))
		return
	}
	if err := s.await(ctx, s.baseTiles, "busy_base"); err != nil {
		refuse(c, err)
		return
	}
	defer func() { <-s.baseTiles }()
	z, err1 := strconv.Atoi(c.Param("z"))
	x, err2 := strconv.Atoi(c.Param("x"))
	y, err3 := strconv.Atoi(c.Param("y"))
	if errors.Join(err1, err2, err3) != nil {
		refuse(c, problem(http.StatusBadRequest, "a tile is /tiles/base/{z}/{x}/{y} with whole numbers"))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deadline(http.MethodGet))
	defer cancel()
	t, err := s.o.Base.Tile(ctx, z, x, y)
	h := c.Writer.Header()
	switch {
	case errors.Is(err, base.ErrEmpty):
		h.Set("Cache-Control", "private, max-age=3600")
		c.Status(http.StatusNoContent)
	case errors.Is(err, base.ErrOutOfRange):
		refuse(c, problem(http.StatusNotFound, "there is no such tile of the base map"))
	case err != nil:
		if now, last := s.o.Now().Unix(), s.baseWarned.Load(); now-last >= 60 && s.baseWarned.CompareAndSwap(last, now) { // once a minute is enough
			s.o.Log.Warn("base map", "err", err) // of package base: without address and key
		}
		refuse(c, retryLater("the base map is not reachable just now"))
	default:
		h.Set("ETag", t.ETag)
		h.Set("Vary", "Cookie, Authorization, Accept-Encoding")
		h.Set("Cache-Control", "private, max-age=3600")
		if t.Kept {
			h.Set("Cache-Control", "private, no-cache")
		}
		if holds(c.GetHeader("If-None-Match"), t.ETag) {
			c.Status(http.StatusNotModified)
			return
		}
		s.sendTile(c, t)
	}
}

// sendTile sends a tile, unpacked for who doesn't take it packed.
func (s *Server) sendTile(c *gin.Context, t base.Tile) {
	if t.Gzip && strings.Contains(c.GetHeader("Accept-Encoding"), "gzip") {
		c.Header("Content-Encoding", "gzip")
	} else if t.Gzip {
		const most = 16 << 20
		r, err := gzip.NewReader(bytes.NewReader(t.Data))
		if err == nil {
			t.Data, err = io.ReadAll(io.LimitReader(r, most+1))
		}
		if err == nil && len(t.Data) > most {
			err = retryLater("this tile of the base map is too large to be sent unpacked: ask for it with Accept-Encoding: gzip")
		}
		if err != nil {
			refuse(c, s.answer(c.Request.Context(), err))
			return
		}
	}
	c.Data(http.StatusOK, t.Type, t.Data)
}
