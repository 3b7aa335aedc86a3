// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/store"
)

// BulletinCommand makes one weekly bulletin.
type BulletinCommand struct {
	Key       string            // idempotency key; "" for none
	Request   [sha256.Size]byte // fingerprint of the request that carried the key
	RequestID string
	// Tell counts what the bulletin tells, inside one snapshot; it may be asked again.
	Tell func(ctx context.Context, tx pgx.Tx) (store.Bulletin, error)
}

// MakeBulletin counts and stores a bulletin in one transaction, which sees one moment of
// the database, with its audit row. An earlier one with the same key is returned as
// repeated.
func (l *Ledger) MakeBulletin(ctx context.Context, d auth.Decision, actor auth.Actor, c BulletinCommand) (b store.Bulletin, repeated bool, err error) {
	for range deadlockTries {
		err = pgx.BeginTxFunc(ctx, l.o.DB.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
			b, repeated, err = l.makeBulletin(ctx, tx, d, actor, c)
			return err
		})
		if !metAnother(err) {
			break
		}
		err = fmt.Errorf("%w: others make bulletins of this week and grid", store.ErrUnavailable)
	}
	if err != nil {
		return store.Bulletin{}, false, fmt.Errorf("ledger: bulletin: %w", err)
	}
	return b, repeated, nil
}

// metAnother reports whether somebody else made a bulletin of the same week and grid, or
// used the same key, since the snapshot was taken.
func metAnother(err error) bool {
	var pe *pgconn.PgError
	const cannotSerialize = "40001"
	return refusedBy(err, "bulletin_first") || refusedBy(err, "bulletin_corrects_key") || errors.As(err, &pe) && pe.Code == cannotSerialize
}

func (l *Ledger) makeBulletin(ctx context.Context, tx pgx.Tx, d auth.Decision, actor auth.Actor, c BulletinCommand) (b store.Bulletin, repeated bool, err error) {
	cmd := Command{Key: c.Key, Request: c.Request}
	id, done, err := l.claim(ctx, tx, actor, cmd)
	if err != nil {
		return b, false, err
	}
	if done {
		b, err = store.FindBulletin(ctx, tx, d.Scope, id)
		return b, true, err
	}
	if b, err = c.Tell(ctx, tx); err != nil {
		return b, false, err
	}
	if !d.Scope.Sees(b.GridNo) {
		return b, false, fmt.Errorf("a bulletin of %s of %s: %w", b.Grid, b.Root, store.ErrNotFound)
	}
	if b, err = store.SaveBulletin(ctx, tx, b); err != nil {
		return b, false, err
	}
	batch := &pgx.Batch{}
	cmd.keep(batch, actor, b.ID)
	sum := sha256.Sum256(b.Body)
	data := map[string]any{"county": b.Root, "grid": b.Grid, "week": b.Week.Format(time.DateOnly), "seq": b.Seq, "sha256": hex.EncodeToString(sum[:])}
	if b.Corrects != 0 {
		data["corrects"] = fmt.Sprint(b.Corrects)
	}
	if err := audit(batch, actor, c.RequestID, "bulletin.make", fmt.Sprintf("bulletin/%d", b.ID), "", data); err != nil {
		return b, false, err
	}
	return b, false, tx.SendBatch(ctx, batch).Close()
}
