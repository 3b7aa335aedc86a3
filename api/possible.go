// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"onemap/dispatch"
	"onemap/store"
)

// ahead tells of one incident where its way goes on: by whose door.
func (s *Server) ahead(ctx context.Context, a caller, in store.Incident, out *Incident) error {
	if in.State != dispatch.Refused && in.State != dispatch.Transferred {
		return nil
	}
	journal, err := s.reads(a).Journal(ctx, a.Scope, a.View, in.ID)
	for _, e := range journal {
		if door, ok := e.Data["door"].(string); ok {
			out.Door = door
		}
	}
	return err
}
