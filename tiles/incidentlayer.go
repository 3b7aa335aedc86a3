// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onemap/auth"
	"onemap/feed"
	"onemap/mirror"
)

// IncidentQuery says which incidents a tile shows. The zero query is the open ones.
type IncidentQuery struct {
	From, To   time.Time // reported in [From, To); zero for no end
	Categories []string  // codes of those wanted, sorted; nil for all
	Closed     bool      // closed ones too
}

// key names what is asked for.
func (q IncidentQuery) key() string {
	return fmt.Sprintf("incidents %d %d %t %s", q.From.UnixMicro(), q.To.UnixMicro(), q.Closed, strings.Join(q.Categories, ","))
}

// filter is the query in the words of a view.
func (q IncidentQuery) filter(v *mirror.View) IncidentFilter {
	f := IncidentFilter{Closed: q.Closed}
	if !q.From.IsZero() {
		f.From = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		f.To = q.To.UnixMicro()
	}
	if q.Categories != nil {
		f.Categories = make([]bool, len(v.Categories))
		for i, code := range v.Categories {
			_, f.Categories[i] = slices.BinarySearch(q.Categories, code)
		}
	}
	return f
}

// ErrBehind says that this node does not hold what was asked for yet.
var ErrBehind = errors.New("tiles: this node is behind; ask again")

const (
	behindWait = time.Second // how long what is not there yet is waited for
	behindLook = 10 * time.Millisecond
)

// IncidentTile is a tile of incidents as Tile is one of another layer, with the number of
// the event it is as of: least or later. Errors: those of Tile, *mirror.Loading, ErrBehind.
func (s *Server) IncidentTile(ctx context.Context, z, x, y int, a auth.Actor, q IncidentQuery, least feed.Seq) (body []byte, etag string, seq feed.Seq, err error) {
	_, d, err := s.find("incidents", a)
	if z < 0 || z > MaxZoom || x < 0 || y < 0 || x >= 1<<z || y >= 1<<z {
		return nil, "", 0, fmt.Errorf("%w: %d/%d/%d", ErrOutOfRange, z, x, y)
	}
	if err != nil {
		return nil, "", 0, err
	}
	if s.o.Mirror == nil {
		return nil, "", 0, ErrEmpty
	}
	v, changed, err := s.viewFrom(ctx, z, x, y, least)
	if err != nil {
		return nil, "", 0, err
	}
	k := key{layer: q.key(), tile: tile{z, x, y}, scope: d.Scope.Tag(auth.CaseView), generation: changed}
	e, err := s.cache.get(ctx, k, func() (ready, error) {
		raw, err := AppendIncidents(nil, v, z, x, y, d.Scope, q.filter(v))
		if err != nil || len(raw) == 0 {
			return ready{}, err
		}
		return quick.pack(raw)
	})
	switch {
	case errors.Is(err, ErrNarrowed):
		err = fmt.Errorf("%w: %w", ErrForbidden, err)
	case err == nil && e.body == nil:
		err = ErrEmpty
	}
	return e.body, e.etag, v.Seq, err
}

// viewFrom is a view as of least or later, and the number of the last change in the tile,
// which the view holds.
func (s *Server) viewFrom(ctx context.Context, z, x, y int, least feed.Seq) (*mirror.View, uint64, error) {
	for until := time.Now().Add(behindWait); ; {
		changed := s.o.Mirror.Changed(z, x, y) // before the view: which then is as new or newer
		v, err := s.o.Mirror.View()
		if err != nil || v.Seq >= least {
			return v, changed, err
		}
		if time.Now().After(until) {
			return nil, 0, ErrBehind
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(behindLook):
		}
	}
}
