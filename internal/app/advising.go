// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// adviser is what advice is put together from.
func (s *Server) adviser() *store.Adviser {
	return &store.Adviser{Catalogue: s.catalogue, Near: s.fixes.Live().Near, Roads: s.roads, People: s.fixes.Directory, Now: s.o.Now}
}

// advising is the advice as offers need it.
type advising struct{ s *Server }

// Next is the best worker of the incident's county that is not among exclude.
func (a advising) Next(ctx context.Context, incident int64, exclude []uint32) (worker uint32, ok bool, err error) {
	system := auth.System("the next to be asked when an offer expires")
	in, err := a.s.db.Incident(ctx, system, auth.CaseView, incident)
	if err != nil {
		return 0, false, err
	}
	advised, err := a.s.adviser().Advise(ctx, a.s.db.Pool, system, in, dispatch.MaxMeasured)
	if errors.Is(err, store.ErrNoPlace) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	tree := a.s.catalogue.Now().Tree
	i, ok := tree.ByNo(in.Place.GridNo)
	if !ok {
		return 0, false, nil
	}
	county := tree.Nodes()[tree.Path(i)[0]]
	for _, r := range advised.Ranked {
		w := a.s.fixes.Directory().Find(r.Worker)
		if w != nil && county.No <= w.Grid && w.Grid <= county.Last && !slices.Contains(exclude, r.Worker) {
			return r.Worker, true, nil
		}
	}
	return 0, false, nil
}

// Chosen keeps what was advised beside whom the actor asks. Where nobody is advised, for
// want of a place or of the right to advice, nothing is kept.
func (a advising) Chosen(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, workers []uint32) error {
	d, err := auth.Decide(actor, auth.Read, auth.AdviceData)
	if err != nil {
		return nil // the next one by rule was never chosen by anybody
	}
	advised, err := a.s.adviser().Advise(ctx, tx, d.Scope, in, dispatch.MaxMeasured)
	if errors.Is(err, store.ErrNoPlace) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = store.SaveAdvice(ctx, tx, in.Incident, advised, actor.ID, workers)
	return err
}
