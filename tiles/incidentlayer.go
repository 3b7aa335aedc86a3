// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	b := append(make([]byte, 0, 96), "incidents "...)
	b = append(strconv.AppendInt(b, q.From.UnixMicro(), 10), ' ')
	b = append(strconv.AppendInt(b, q.To.UnixMicro(), 10), ' ')
	b = append(strconv.AppendBool(b, q.Closed), ' ')
	b = append(strconv.AppendBool(b, q.Categories == nil), ' ')
	for _, c := range q.Categories {
		b = append(append(b, c...), ',')
	}
	return string(b)
}

// filter is the query in the words of a view.
func (q IncidentQuery) filter(v *mirror.View) mirror.Filter {
	f := mirror.Filter{Closed: q.Closed}
	if !q.From.IsZero() {
		f.From = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		if f.To = q.To.UnixMicro(); f.To == 0 {
			f.To = -1 // 0 is no end
		}
	}
	if q.Categories != nil {
		f.Categories = make([]bool, len(v.Categories))
		for i, code := range v.Categories {
			_, f.Categories[i] = slices.BinarySearch(q.Categories, code)
		}
	}
	return f
}

const (
	behindWait  = time.Second // how long what is not there yet is waited for
	mostWaiting = 256         // at once
)

// IncidentTile is a tile of incidents as Tile is one of another layer, with the number of
// the event it is as of: least or later. Errors: those of Tile, *mirror.Loading, mirror.ErrBehind.
func (s *Server) IncidentTile(ctx context.Context, z, x, y int, a auth.Actor, q IncidentQuery, least feed.Seq) (body []byte, etag string, seq feed.Seq, err error) {
	_, d, err := s.find("incidents", a)
	if err := Check(z, x, y); err != nil {
		return nil, "", 0, err
	}
	if err != nil {
		return nil, "", 0, err
	}
	if s.o.Mirror == nil {
		return nil, "", 0, ErrEmpty
	}
	v, changed, err := s.o.Mirror.ViewOf(z, x, y)
	if err != nil {
		return nil, "", 0, err
	}
	if v.Seq < least {
		return nil, "", 0, mirror.ErrBehind
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
	case errors.Is(err, mirror.ErrNarrowed):
		err = fmt.Errorf("%w: %w", ErrForbidden, err)
	case err == nil && e.body == nil:
		err = ErrEmpty
	}
	return e.body, e.etag, v.Seq, err
}

// AwaitIncidents waits until this node holds the event with the number least, for a second
// at most. Who waits keeps no place of those who draw. Errors: mirror.ErrBehind, *mirror.Loading.
func (s *Server) AwaitIncidents(ctx context.Context, least feed.Seq) error {
	if s.o.Mirror == nil || least == 0 {
		return nil
	}
	if v, err := s.o.Mirror.View(); err != nil || v.Seq >= least {
		return err
	}
	if s.waiting.Add(1) > mostWaiting {
		s.waiting.Add(-1)
		return mirror.ErrBehind
	}
	defer s.waiting.Add(-1)
	_, err := s.o.Mirror.Await(ctx, least, behindWait)
	return err
}
