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
// brought in, and puts every worker into the live state. It is called in the
// transaction that changed them, or after it.
func ConfigChanged(ctx context.Context, tx pgx.Tx, now time.Time) error {
	err := Emit(ctx, tx, feed.Event{Kind: "config.changed", Entity: feed.Key{Kind: "config", ID: "all"}, Ver: 1, Live: feed.None, OccurredAt: now})
	if err != nil {
		return err
	}
	return tellBadges(ctx, tx, told{}, now)
}

// Badges are the workers with these badges as they stand: whom a change of them is
// told to beside those who see them afterwards.
func Badges(ctx context.Context, tx pgx.Tx, now time.Time, badges ...string) ([]store.WorkerRow, error) {
	return store.Workers(ctx, tx, auth.System("whom each worker's badge was told to"), now, badges...)
}

// StaffMoved tells every node that somebody's shift, or who carries a terminal, has
// changed: they read the directory again, and nothing else. It is called in the
// transaction that changed it.
func StaffMoved(ctx context.Context, tx pgx.Tx, now time.Time) error {
	return Emit(ctx, tx, feed.Event{
		Kind: "people.changed", Entity: feed.Key{Kind: "config", ID: "people"}, Ver: 1, Live: feed.None, OccurredAt: now,
	})
}

// PeopleChanged is ConfigChanged for some workers, who stood as before says: who saw
// one and does no more is told so, and who is no longer active ends.
func PeopleChanged(ctx context.Context, tx pgx.Tx, before []store.WorkerRow, now time.Time, badges ...string) error {
	err := Emit(ctx, tx, feed.Event{Kind: "config.changed", Entity: feed.Key{Kind: "config", ID: "all"}, Ver: 1, Live: feed.None, OccurredAt: now})
	if err != nil || len(badges) == 0 {
		return err
	}
	return tellBadges(ctx, tx, told{workers: before}, now, badges...)
}

// BadgesOfTheDay tells of the workers who are at home in another grid than the live
// state says: a day may have come on which one begins to serve it, or no longer does.
// It returns how many. The word to every node goes with it.
func BadgesOfTheDay(ctx context.Context, tx pgx.Tx, now time.Time) (int, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", dayLock); err != nil { // one node after the other
		return 0, fmt.Errorf("ledger: %w", err)
	}
	workers, err := store.Workers(ctx, tx, auth.System("who serves another grid from today"), now)
	if err != nil {
		return 0, fmt.Errorf("ledger: %w", err)
	}
	toldIn, err := toldGrids(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("ledger: where workers were told: %w", err)
	}
	var before []store.WorkerRow
	var badges []string
	for _, w := range workers {
		if no, known := toldIn[fmt.Sprint(w.ID)]; known && no != w.GridNo {
			badges = append(badges, w.Badge)
			w.GridNo = no
			before = append(before, w)
		}
	}
	if len(badges) == 0 {
		return 0, nil
	}
	return len(badges), PeopleChanged(ctx, tx, before, now, badges...)
}

// dayLock keeps two nodes from telling of the same day.
const dayLock = 0x646179

// toldGrids are the numbers of the grids in which workers were told last, by their
// ids; what waits for its number in the outbox is newer than the live state.
func toldGrids(ctx context.Context, tx pgx.Tx) (map[string]int32, error) {
	rows, err := tx.Query(ctx, `SELECT worker, coalesce((audience ->> 'grid')::integer, 0) FROM (
			SELECT 0 AS n, id AS worker, audience FROM live_state WHERE kind = 'worker'
			UNION ALL SELECT id, entity_id, after_aud FROM outbox WHERE entity_kind = 'worker' AND live = 'put') t ORDER BY n`)
	if err != nil {
		return nil, err
	}
	out := map[string]int32{}
	var id string
	var no int32
	_, err = pgx.ForEachRow(rows, []any{&id, &no}, func() error {
		out[id] = no
		return nil
	})
	return out, err
}

// told is whom workers were told to so far.
type told struct {
	workers   []store.WorkerRow
	movesOnly bool // a worker whose grid is the same is not told of
}

// tellBadges puts the workers with these badges, or all, into the live state.
func tellBadges(ctx context.Context, tx pgx.Tx, before told, now time.Time, badges ...string) error {
	workers, err := store.Workers(ctx, tx, auth.System("every worker's badge"), now, badges...)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	was := make(map[uint32]int32, len(before.workers))
	for _, w := range before.workers {
		was[w.ID] = w.GridNo
	}
	b := &pgx.Batch{}
	if !before.movesOnly {
		if err := endBadges(b, before.workers, workers, now); err != nil {
			return err
		}
	}
	for _, w := range workers {
		no, known := was[w.ID]
		if before.movesOnly && known && no == w.GridNo { // a number is one grid's of one version for ever
			continue
		}
		data, err := badgeOf(w)
		if err != nil {
			return err
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

func badgeOf(w store.WorkerRow) (json.RawMessage, error) {
	data, err := json.Marshal(badge{fmt.Sprint(w.ID), w.Badge, w.Skills, badgeGrid{w.GridCode, w.GridName}})
	if err != nil {
		return nil, fmt.Errorf("ledger: badge of worker %d: %w", w.ID, err)
	}
	return data, nil
}

// endBadges ends the workers of before who are not among those that are active after.
func endBadges(b *pgx.Batch, before, after []store.WorkerRow, now time.Time) error {
	active := make(map[uint32]bool, len(after))
	for _, w := range after {
		active[w.ID] = true
	}
	for _, w := range before {
		if active[w.ID] {
			continue
		}
		data, err := badgeOf(w)
		if err != nil {
			return err
		}
		whom := feed.Audience{Grid: w.GridNo, Workers: []int64{int64(w.ID)}}
		err = emit(b, feed.Event{
			Kind: "worker.ended", Entity: feed.Key{Kind: "worker", ID: fmt.Sprint(w.ID)}, Ver: w.Ver + 1, Live: feed.End, OccurredAt: now,
			Before: whom, After: whom, Shared: data, Case: data,
		})
		if err != nil {
			return err
		}
	}
	return nil
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

// ClocksChanged tells every node that the calendar, limits or offsets were changed.
// It is called in the transaction that changed them.
func ClocksChanged(ctx context.Context, tx pgx.Tx, now time.Time) error {
	return Emit(ctx, tx, feed.Event{
		Kind: "clocks.changed", Entity: feed.Key{Kind: "config", ID: "clocks"}, Ver: 1, Live: feed.None, OccurredAt: now,
	})
}

// RulesChanged tells every node that the rules of advice or offers were changed. It is
// called in the transaction that changed them.
func RulesChanged(ctx context.Context, tx pgx.Tx, now time.Time) error {
	return Emit(ctx, tx, feed.Event{
		Kind: "rules.changed", Entity: feed.Key{Kind: "config", ID: "rules"}, Ver: 1, Live: feed.None, OccurredAt: now,
	})
}
