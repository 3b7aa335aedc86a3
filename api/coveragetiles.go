// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/store"
	"onemap/tiles"
)

// timeHeader says as of when a map is whose data follow no event.
const timeHeader = "X-Onemap-Time"

// coverageKept is how many grids the answers have together that are kept.
const coverageKept = 100_000

// coverageAnswer is a question about coverage answered, or refused.
type coverageAnswer struct {
	grids   *tiles.Coverage
	catalog *store.Catalog // with the tree it was answered by
	at      time.Time
	took    time.Duration
	refused *Problem
}

type coverageTileInput struct {
	TileAddress
	CoverageQuestion
}

func (s *Server) coverageTiles() {
	s.coverages = newKept[*coverageAnswer](coverageKept, mostWaiters)
	askedTiles(s, "coverage", need{auth.Read, auth.AdviceData}, huma.Operation{
		OperationID: "coverage-tile", Summary: "A vector tile of coverage: the leaf grids of GET /api/v1/coverage with how soon somebody would be there",
		Description: "All tiles of a question are cut out of one answer; " + timeHeader + " says as of when it is. Nobody is named. docs/TILES.md says when it is worked out anew.",
	}, s.coverageTile)
}

func (s *Server) coverageTile(ctx context.Context, c *gin.Context, a caller, in *coverageTileInput) (drawer, error) {
	at, err := tileNumbers(in.Z, in.X, in.Y)
	if err != nil {
		return nil, err
	}
	if err := tiles.Check(at[0], at[1], at[2]); err != nil { // before anything is worked out for it
		return nil, err
	}
	now := s.o.Now()
	fresh := func(v *coverageAnswer) bool {
		return v.catalog == s.o.Catalogue.Now() && now.Sub(v.at) < stands(v.took)
	}
	key := fmt.Sprintf("%s %d %q", a.Scope.Tag(a.View), in.BeyondS, in.Grid)
	v, err := s.coverages.of(ctx, key, a.ID, fresh, func() (*coverageAnswer, int, error) { return s.answerCoverage(ctx, a, &in.CoverageQuestion) })
	if err != nil {
		return nil, err
	}
	if v.refused != nil {
		return nil, v.refused
	}
	return func() ([]byte, string, error) {
		c.Header(timeHeader, v.at.Format(time.RFC3339))
		return s.o.Tiles.CoverageTile(ctx, v.grids, at[0], at[1], at[2])
	}, nil
}

// answerCoverage answers a question, or refuses it for good.
func (s *Server) answerCoverage(ctx context.Context, a caller, q *CoverageQuestion) (v *coverageAnswer, cost int, err error) {
	v = &coverageAnswer{}
	v.at, v.took, err = s.workOut(ctx, a, func(ctx context.Context) error {
		settings := s.o.Catalogue.Now()
		v.catalog = settings
		top := topmost(settings.Tree, a.Scope, q.Grid)
		if len(top) == 0 {
			v.refused = errNoGrid
			return nil
		}
		c, err := s.coverageOf(ctx, a, settings.Tree, top, q.BeyondS, nil)
		if err != nil {
			return err
		}
		rows := make([]tiles.CoveredGrid, len(c.Items))
		for i, item := range c.Items {
			rows[i] = tiles.CoveredGrid{No: item.no, By: item.First.By, Thin: item.Thin}
			if item.First.TravelS != nil {
				rows[i].TravelS = *item.First.TravelS
			}
		}
		cost = len(rows)
		grids, err := s.o.Tiles.Coverage(settings.Tree, rows)
		v.grids = grids
		return err
	})
	return v, cost + hotEach, err
}
