// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/feed"
	"onemap/store"
)

// badge is a worker as everybody may know one.
type badge struct {
	ID     string    `json:"id"`
	Badge  string    `json:"badge"`
	Skills []string  `json:"skills"`
	Grid   badgeGrid `json:"grid"`
}

type badgeGrid struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// ConfigChanged tells every node that people, layers or other settings were
// brought in, and puts the workers with these badges into the live state, every
// worker when none is named. It is called in the transaction that changed them, or
// after it.
func ConfigChanged(ctx context.Context, tx pgx.Tx, now time.Time, badges ...string) error {
	err := Emit(ctx, tx, feed.Event{Kind: "config.changed", Entity: feed.Key{Kind: "config", ID: "all"}, Ver: 1, Live: feed.None, OccurredAt: now})
	if err != nil {
		return err
	}
	return tellBadges(ctx, tx, nil, now, badges...)
}

// tellBadges puts the workers with these badges, or all, into the live state. before
// is whom each was told to so far, where that may be another: a worker whose grid is
// the same is not told of then.
func tellBadges(ctx context.Context, tx pgx.Tx, before []store.WorkerRow, now time.Time, badges ...string) error {
	workers, err := store.Workers(ctx, tx, auth.System("every worker's badge"), now, badges...)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	was := make(map[uint32]int32, len(before))
	for _, w := range before {
		was[w.ID] = w.GridNo
	}
	b := &pgx.Batch{}
	for _, w := range workers {
		no, told := was[w.ID]
		if told && no == w.GridNo { // a number is one grid's of one version for ever
			continue
		}
		data, err := json.Marshal(badge{fmt.Sprint(w.ID), w.Badge, w.Skills, badgeGrid{w.GridCode, w.GridName}})
		if err != nil {
			return fmt.Errorf("ledger: badge of worker %d: %w", w.ID, err)
		}
		e := feed.Event{
			Kind: "worker.changed", Entity: feed.Key{Kind: "worker", ID: fmt.Sprint(w.ID)}, Ver: w.Ver, Live: feed.Put, OccurredAt: now,
			After: feed.Audience{Grid: w.GridNo, Workers: []int64{int64(w.ID)}}, Shared: data, Case: data,
		}
		if no != 0 {
			e.Before = feed.Audience{Grid: no, Workers: []int64{int64(w.ID)}}
		}
		if err := emit(b, e); err != nil {
			return err
		}
	}
	return tx.SendBatch(ctx, b).Close()
}

// PlacesChanged tells every node that places or addresses were brought in. It is
// called in the transaction that brought them.
func PlacesChanged(ctx context.Context, tx pgx.Tx, now time.Time) error {
	return Emit(ctx, tx, feed.Event{
		Kind: "places.changed", Entity: feed.Key{Kind: "config", ID: "places"}, Ver: 1, Live: feed.None, OccurredAt: now,
	})
}

// LayersChanged tells every node that the named layer with this code, or
// layer.Cameras, has changed. It is called in the transaction that changed it.
func LayersChanged(ctx context.Context, tx pgx.Tx, code string, now time.Time) error {
	return Emit(ctx, tx, feed.Event{
		Kind: "layers.changed", Entity: feed.Key{Kind: "config", ID: "layer:" + code}, Ver: 1, Live: feed.None, OccurredAt: now,
	})
}
