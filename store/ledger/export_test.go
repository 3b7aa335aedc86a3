// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// Try takes an act as Do would, says how it was answered and takes it back.
func (l *Ledger) Try(ctx context.Context, actor auth.Actor, c Command) error {
	done := errors.New("taken back")
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := l.move(ctx, tx, actor, c); err != nil {
			return err
		}
		return done
	})
	if errors.Is(err, done) {
		return nil
	}
	return err
}
