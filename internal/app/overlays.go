// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"

	"onemap/auth"
)

// reloadOverlays reads the overlays, and swaps them for those before. Until then
// the old ones answer.
func (s *Server) reloadOverlays(ctx context.Context) error {
	set, err := s.db.Overlays(ctx, auth.System("each reader's scope cuts overlays"))
	if err != nil {
		return err
	}
	s.overlays.Store(set)
	return nil
}
