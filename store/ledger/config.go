// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/feed"
)

// ConfigChanged tells every node that people, layers or other settings were
// brought in, and puts each worker's badge into the live state. It is called in
// the transaction that changed them, or after it.
func ConfigChanged(ctx context.Context, tx pgx.Tx, now time.Time) error {
	rows, err := tx.Query(ctx, `SELECT w.id, w.badge, w.ver, w.skills, coalesce(g.code, ''), coalesce(g.name, ''), coalesce(g.no, 0)
		FROM worker w LEFT JOIN LATERAL (
		  SELECT g.code, g.name, g.no FROM worker_grid k JOIN grid g ON g.code = k.grid_code JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted'
		  WHERE k.worker_id = w.id AND k.valid_from <= current_date AND (k.valid_to IS NULL OR k.valid_to >= current_date)
		  ORDER BY k.role = 'worker' DESC, k.grid_code LIMIT 1) g ON true
		WHERE w.active ORDER BY w.id`)
	if err != nil {
		return fmt.Errorf("ledger: worker badges: %w", err)
	}
	type badge struct {
		ID     string   `json:"id"`
		Badge  string   `json:"badge"`
		Skills []string `json:"skills"`
		Grid   struct {
			Code string `json:"code"`
			Name string `json:"name"`
		} `json:"grid"`
	}
	var events []feed.Event
	_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) {
		var b badge
		var id int64
		var ver int
		var no int32
		if err := r.Scan(&id, &b.Badge, &ver, &b.Skills, &b.Grid.Code, &b.Grid.Name, &no); err != nil {
			return struct{}{}, err
		}
		b.ID = fmt.Sprint(id)
		data, err := json.Marshal(b)
		events = append(events, feed.Event{
			Kind: "worker.changed", Entity: feed.Key{Kind: "worker", ID: b.ID}, Ver: ver, Live: feed.Put,
			After: feed.Audience{Grid: no, Workers: []int64{id}}, Shared: data, Case: data,
		})
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("ledger: worker badges: %w", err)
	}
	b := &pgx.Batch{}
	events = append(events, feed.Event{Kind: "config.changed", Entity: feed.Key{Kind: "config", ID: "all"}, Ver: 1, Live: feed.None})
	for _, e := range events {
		e.OccurredAt = now
		if err := emit(b, e); err != nil {
			return err
		}
	}
	return tx.SendBatch(ctx, b).Close()
}
