// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// When an answer about hot spots is worked out anew for its tiles.
const (
	hotStands   = time.Second      // it stands as long, whatever happens,
	hotTimes    = 10               // or as many times as long as it took,
	hotAtMost   = 10 * time.Minute // and no longer, though nothing happened
	hotKept     = 200_000          // cells of the answers that are kept
	hotEach     = 100              // cells that an answer costs beside its own
	mostWaiters = 64               // of one caller, for an answer
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
	now, settings := s.o.Now(), s.o.Catalogue.Now()
	stands := func(h *hotAnswer) bool {
		age := now.Sub(h.at)
		return h.catalog == settings && age <= hotAtMost && (age < max(hotStands, hotTimes*h.took) || s.o.Hub.Head() <= h.seq)
	}
	h, err := s.hotAnswers.of(ctx, hotKey(a, &in.HotQuestion), a.ID, stands, func() (*hotAnswer, int, error) { return s.answerHot(ctx, a, &in.HotQuestion, settings) })
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

// hotKey names a question and who is told the same.
func hotKey(a caller, q *HotQuestion) string {
	k := q.K
	if q.Method != "gi" {
		k = 0
	}
	return fmt.Sprintf("%s %d %d %d %d %s %q %q %q", a.Scope.Tag(a.View), q.From.UnixMicro(), q.To.UnixMicro(), q.Res, k, q.Method, q.Category, q.Grid, q.Per)
}

// answerHot works an answer out, in a place of those who read and at the cost of who asks.
// It goes on when that one has gone away: others wait for it.
func (s *Server) answerHot(ctx context.Context, a caller, q *HotQuestion, settings *store.Catalog) (*hotAnswer, int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTime)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	if err := s.afford(ctx, a.ID); err != nil {
		return nil, 0, err
	}
	leave, err := s.takeFor(ctx, reads, a.ID)
	if err != nil {
		return nil, 0, err
	}
	defer leave()
	began := s.o.Now()
	defer s.spent(a.ID, began)
	h := &hotAnswer{catalog: settings}
	b, err := s.hotSpotsOf(ctx, a, q)
	if err == nil {
		h.seq = feed.Seq(b.AsOf.Seq)
		h.cells, err = s.o.Tiles.HotCells(hotCells(b.Cells))
	} else if !errors.As(err, &h.refused) || h.refused.Status != http.StatusUnprocessableEntity && h.refused.Status != http.StatusNotFound {
		return nil, 0, err // to be asked again; what is refused for good is kept as an answer
	} else {
		err = nil
	}
	h.at = s.o.Now()
	h.took = h.at.Sub(began)
	return h, len(b.Cells) + hotEach, err
}

func hotCells(told []HotCell) []tiles.HotCell {
	out := make([]tiles.HotCell, len(told))
	for i, c := range told {
		at, _ := cell.Parse(c.Cell) // of the study area
		out[i] = tiles.HotCell{Cell: at, Count: c.Count, Class: c.Class, Z: c.Z, P: c.P, Q: c.Q, Strict: c.Strict}
	}
	return out
}
