// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/tiles"
)

// TileAddress is where a tile lies.
type TileAddress struct {
	Z string `path:"z"`
	X string `path:"x"`
	Y string `path:"y"`
}

// tileNumbers reads a tile's address; y ends with .mvt.
func tileNumbers(z, x, y string) (at [3]int, err error) {
	y, isTile := strings.CutSuffix(y, ".mvt")
	whole := true
	for i, text := range []string{z, x, y} {
		at[i], err = strconv.Atoi(text)
		whole = whole && err == nil && strconv.Itoa(at[i]) == text // +1 and 01 are 1: a tile has one address
	}
	if !isTile || !whole {
		return at, problem(http.StatusBadRequest, "a tile is /tiles/{layer}/{z}/{x}/{y}.mvt with whole numbers")
	}
	return at, nil
}

// drawer draws a tile of an answer, without waiting for anything.
type drawer func() (body []byte, etag string, err error)

// askedTiles registers tiles of a layer that is asked a question: cut out of an answer that
// the policy's row n lets the caller have. find gets that answer; it holds no place of
// those who draw meanwhile.
func askedTiles[I any](s *Server, layer string, n need, op huma.Operation, find func(context.Context, *gin.Context, caller, *I) (drawer, error)) {
	path := "/tiles/" + layer + "/{z}/{x}/{y}"
	op.Method, op.Path, op.Tags = http.MethodGet, path, []string{"tiles"}
	op.Extensions = map[string]any{"x-onemap-policy": string(n.action) + " " + string(n.resource)}
	op.Security = []map[string][]string{{"bearer": {}}, {"session": {}}}
	op.Errors = append(op.Errors, 400, 401, 403, 404, 423, 503)
	op.Responses = tileResponses()
	op.Middlewares = append(op.Middlewares, func(hc huma.Context, next func(huma.Context)) {
		c, err := may(hc.Context(), n)
		if err == nil {
			err = s.pace(hc.Context(), drawing, c.ID)
		}
		if u := hc.URL(); err == nil {
			err = onceEach(u.RawQuery)
		}
		if err != nil {
			s.write(hc, s.answer(hc.Context(), err))
			return
		}
		next(hc)
	})
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		a, err := may(ctx, n)
		if err != nil {
			return nil, s.answer(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			c := humagin.Unwrap(hc)
			ctx, cancel := context.WithTimeout(ctx, countTime)
			defer cancel()
			draw, err := find(ctx, c, a, in)
			if err != nil {
				refuse(c, s.tileProblem(ctx, err))
				return
			}
			s.drawTile(ctx, c, a.Actor, draw)
		}}, nil
	})
	// A path of the contract may end with .mvt, one of the router may not.
	paths := s.huma.OpenAPI().Paths
	item := paths[path]
	delete(paths, path)
	item.Get.Path += ".mvt"
	paths[item.Get.Path] = item
	for _, p := range item.Get.Parameters {
		if p.In == "path" {
			p.Schema = &huma.Schema{Type: "integer"}
		} else {
			s.questions[layer] = append(s.questions[layer], p.Name)
		}
	}
}

const mostWaiters = 64 // of one caller, for an answer

// stands is how long an answer is cut into tiles, whatever happens, that took so long to
// work out.
func stands(took time.Duration) time.Duration { return max(time.Second, 10*took) }

// workOut works out an answer for tiles, in a place of those who read and at the cost of
// who asks. It goes on when that one has gone away, as others wait for it.
func (s *Server) workOut(ctx context.Context, a caller, work func(context.Context) error) (at time.Time, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTime)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	if err := s.afford(ctx, a.ID); err != nil {
		return at, 0, ownRefusal{err}
	}
	leave, err := s.takeFor(ctx, reads, a.ID)
	if err != nil {
		return at, 0, ownRefusal{err}
	}
	defer leave()
	began := s.o.Now()
	defer s.spent(a.ID, began)
	err = work(ctx)
	at = s.o.Now()
	return at, at.Sub(began), err
}

// refusal is what an error tells that will be told again to whoever asks the same; nil
// for any other.
func refusal(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) && (p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusNotFound) {
		return p
	}
	return nil
}

// question is the query of a TileJSON, for the addresses of its tiles.
func (s *Server) question(layer string, asked *url.URL) (string, error) {
	known, isAsked := s.questions[layer]
	if !isAsked || asked.RawQuery == "" {
		return "", nil
	}
	if err := onceEach(asked.RawQuery); err != nil {
		return "", err
	}
	q := asked.Query()
	for name := range q {
		if !slices.Contains(known, name) {
			return "", problem(http.StatusBadRequest, "tiles of "+layer+" have no such parameter")
		}
	}
	return "?" + q.Encode(), nil
}

// tileResponses are the answers that every tile may have, beside refusals.
func tileResponses() map[string]*huma.Response {
	return map[string]*huma.Response{
		"200": {Description: "A vector tile (MVT 2.1), gzip; ETag changes with its content", Content: map[string]*huma.MediaType{"application/vnd.mapbox-vector-tile": {}}},
		"204": {Description: "Nothing in this tile"},
		"304": {Description: "Unchanged"},
	}
}

// drawTile draws a tile in a place of those who draw, and sends it.
func (s *Server) drawTile(ctx context.Context, c *gin.Context, a auth.Actor, draw drawer) {
	leave, err := s.takeFor(ctx, drawing, a.ID)
	if err != nil {
		refuse(c, err)
		return
	}
	body, etag, err := func() ([]byte, string, error) {
		defer leave() // its place is not kept for one who reads slowly, nor by a drawing that breaks
		return draw()
	}()
	h := c.Writer.Header()
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Vary", "Cookie, Authorization")
	switch {
	case errors.Is(err, tiles.ErrEmpty):
		c.Status(http.StatusNoContent)
	case err != nil:
		refuse(c, s.tileProblem(ctx, err))
	case holds(c.GetHeader("If-None-Match"), etag):
		h.Set("ETag", etag)
		c.Status(http.StatusNotModified)
	default:
		h.Set("ETag", etag)
		h.Set("Content-Encoding", "gzip")
		c.Data(http.StatusOK, "application/vnd.mapbox-vector-tile", body)
	}
}

// holds reports whether an If-None-Match names what the sender would get: the tag is among
// those it lists, weak or not. (RFC 9110, section 13.1.2.)
func holds(match, etag string) bool {
	if match == etag {
		return true
	}
	for tag := range strings.SplitSeq(match, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
