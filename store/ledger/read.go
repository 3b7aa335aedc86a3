// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/feed"
	"onemap/store"
)

// ReadFeed returns up to limit events after seq, in order. It is a
// whole-database read: the hub filters by each reader's scope.
func ReadFeed(ctx context.Context, db *store.DB, _ auth.Scope, after feed.Seq, limit int) ([]feed.Event, error) {
	rows, err := db.Pool.Query(ctx, `SELECT seq, at, kind, entity_kind, entity_id, ver, live, occurred_at,
		coalesce(before_aud, '{}'), coalesce(after_aud, '{}'), shared, case_view FROM feed WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: read feed: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e feed.Event, err error) {
		var before, aft []byte
		err = r.Scan(&e.Seq, &e.At, &e.Kind, &e.Entity.Kind, &e.Entity.ID, &e.Ver, &e.Live, &e.OccurredAt, &before, &aft,
			(*[]byte)(&e.Shared), (*[]byte)(&e.Case))
		if err == nil {
			err = errors.Join(json.Unmarshal(before, &e.Before), json.Unmarshal(aft, &e.After))
		}
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: read feed: %w", err)
	}
	return out, nil
}

// LoadState reads the live state and its head in one snapshot of the database.
func LoadState(ctx context.Context, db *store.DB, _ auth.Scope) (feed.Epoch, *feed.State, error) {
	var epoch feed.Epoch
	var head feed.Seq
	var items []feed.Item
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT epoch::text, seq FROM feed_head").Scan(&epoch, &head); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT kind, id, seq, ver, audience, shared, case_view FROM live_state")
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (it feed.Item, err error) {
			var aud []byte
			err = r.Scan(&it.Key.Kind, &it.Key.ID, &it.Seq, &it.Ver, &aud, (*[]byte)(&it.Shared), (*[]byte)(&it.Case))
			if err == nil {
				err = json.Unmarshal(aud, &it.Audience)
			}
			return it, err
		})
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("ledger: load live state: %w", err)
	}
	return epoch, feed.NewState(head, items), nil
}
