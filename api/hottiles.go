// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
	"onemap/store"
	"onemap/tiles"
)

// How long an answer about hot spots stands, and how many are kept.
const (
	hotAtMost = 10 * time.Minute // though nothing happened
	hotKept   = 200_000          // cells of the answers that are kept
	hotEach   = 100              // cells that an answer costs beside its own
)

// hotAnswer is a question about hot spots answered, or refused.
type hotAnswer struct {
	cells   *tiles.HotCells
	seq     feed.Seq
	catalog *store.Catalog // the settings it was answered by
	at      time.Time      // when it was there
	took    time.Duration
	refused *Problem
}

type hotTileInput struct {
	TileAddress
	HotQuestion
}

func (s *Server) hotTiles() {
	s.hotAnswers = newKept[*hotAnswer](hotKept, mostWaiters)
	askedTiles(s, "hotspots", need{auth.Read, auth.HotSpots}, huma.Operation{
		OperationID: "hotspot-tile", Summary: "A vector tile of hot spots: the cells of GET /api/v1/hotspots as polygons",
		Description: "All tiles of a question are cut out of one answer; " + seqHeader + " says as of which event it is. docs/TILES.md says when it is worked out anew.",
		Errors:      []int{422},
	}, s.hotTile)
}

func (s *Server) hotTile(ctx context.Context, c *gin.Context, a caller, in *hotTileInput) (drawer, error) {
	at, err := tileNumbers(in.Z, in.X, in.Y)
	if err != nil {
		return nil, err
	}
	if err := tiles.Check(at[0], at[1], at[2]); err != nil { // before anything is counted for it
		return nil, err
	}
	now := s.o.Now()
	fresh := func(h *hotAnswer) bool {
		age := now.Sub(h.at)
		return h.catalog == s.o.Catalogue.Now() && age <= hotAtMost && (age < stands(h.took) || s.o.Hub.Head() <= h.seq)
	}
	key, err := hotKey(a, &in.HotQuestion)
	if err != nil {
		return nil, err
	}
	h, err := s.hotAnswers.of(ctx, key, a.ID, fresh, func() (*hotAnswer, int, error) { return s.answerHot(ctx, a, &in.HotQuestion) })
	if err != nil {
		return nil, err
	}
	if h.refused != nil {
		return nil, h.refused
	}
	return func() ([]byte, string, error) {
		c.Header(seqHeader, strconv.FormatInt(int64(h.seq), 10))
		return s.o.Tiles.HotTile(ctx, h.cells, at[0], at[1], at[2])
	}, nil
}

// hotKey names a question and who is told the same. Rights that the question needs beside
// that to hot spots are looked at here: an answer may be there that another has asked for.
func hotKey(a caller, q *HotQuestion) (string, error) {
	rights := ""
	for _, r := range []struct {
		asked bool
		of    auth.Resource
	}{{q.Per == perPatrol, auth.Position}, {q.Grid != "", auth.Grid}} {
		if !r.asked {
			continue
		}
		d, err := auth.Decide(a.Actor, auth.Read, r.of)
		if err != nil {
			return "", err
		}
		rights += d.Scope.Tag(d.View) + " "
	}
	k := q.K
	if q.Method != "gi" {
		k = 0
	}
	return fmt.Sprintf("%s%s %d %d %d %d %s %q %q %q", rights, a.Scope.Tag(a.View), q.From.UnixMicro(), q.To.UnixMicro(), q.Res, k, q.Method, q.Category, q.Grid, q.Per), nil
}

// answerHot answers a question, or refuses it for good.
func (s *Server) answerHot(ctx context.Context, a caller, q *HotQuestion) (h *hotAnswer, cost int, err error) {
	h = &hotAnswer{}
	h.at, h.took, err = s.workOut(ctx, a, func(ctx context.Context) error {
		h.catalog = s.o.Catalogue.Now()
		b, err := s.hotSpotsOf(ctx, a, q)
		if h.refused = refusal(err); h.refused != nil || err != nil {
			return err
		}
		h.seq, cost = feed.Seq(b.AsOf.Seq), len(b.Cells)
		h.cells, err = s.o.Tiles.HotCells(hotCells(b.Cells))
		return err
	})
	if h.refused != nil {
		err = nil
	}
	return h, cost + hotEach, err
}

func hotCells(told []HotCell) []tiles.HotCell {
	out := make([]tiles.HotCell, len(told))
	for i, c := range told {
		at, _ := cell.Parse(c.Cell) // of the study area
		out[i] = tiles.HotCell{Cell: at, Count: c.Count, Class: c.Class, Z: c.Z, P: c.P, Q: c.Q, Strict: c.Strict}
	}
	return out
}
