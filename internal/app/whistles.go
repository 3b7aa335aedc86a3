// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"time"

	"onemap/auth"
)

// whistleSweepEvery is how often it is looked for who is late.
const whistleSweepEvery = time.Second

// sweepWhistles marks the departments that are not there at a whistle's limit, and
// reminds of notices, until the end.
func (s *Server) sweepWhistles(ctx context.Context) {
	s.every(ctx, whistleSweepEvery, "whistles", func(ctx context.Context) error {
		return s.trusted(ctx, func(ctx context.Context) error {
			_, err := s.ledger.SweepWhistles(ctx, auth.SystemActor("whistles"))
			_, err2 := s.ledger.SweepNotices(ctx, auth.SystemActor("notices"))
			return errors.Join(err, err2)
		})
	})
}
