// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/store"
)

// act moves an incident on. While a redraw of the grids ends, an act that needs them
// waits for it with nothing locked, and begins again.
func (l *Ledger) act(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	var held *gridsHeldError
	for range gridWaits {
		if res, err = l.actOnce(ctx, actor, c); !errors.As(err, &held) {
			return res, err
		}
		b := &pgx.Batch{}
		b.Queue("SELECT hold_grids($1)", held.version)
		if err := l.o.DB.Together(ctx, b); err != nil {
			return Result{}, gridsChanged(err)
		}
	}
	return Result{}, ErrGridsChanged
}

// gridWaits is how often an act waits for a redraw that ends without changing anything.
const gridWaits = 3

// gridsHeldError stops an act that holds an incident, and for which a redraw would have to
// be waited for.
type gridsHeldError struct{ version int32 }

func (e *gridsHeldError) Error() string {
	return fmt.Sprintf("grid version %d is being replaced", e.version)
}

func (l *Ledger) actOnce(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		first, done, err := l.claim(ctx, tx, actor, c)
		switch {
		case err != nil:
		case done:
			res, err = repeated(ctx, tx, actor, first)
		default:
			res, err = l.move(ctx, tx, actor, c)
		}
		return err
	})
	return res, err
}

func (l *Ledger) move(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command) (Result, error) {
	d, err := auth.Decide(actor, auth.Write, auth.IncidentData)
	if err != nil {
		return Result{}, err
	}
	a := c.Act
	if a.Action == dispatch.Merge && a.Into != 0 && a.Into < a.Incident { // two are locked: the lower number first
		if _, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, a.Into, true); err != nil && !errors.Is(err, store.ErrNotFound) {
			return Result{}, err
		}
	}
	in, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, a.Incident, true)
	if err != nil {
		return Result{}, err
	}
	if in.Version != a.Version {
		return Result{}, &VersionError{Have: in.Version, Want: a.Version}
	}
	if err := leads(ctx, tx, d.Scope, in); err != nil {
		return Result{}, err
	}
	a.Act.Role = actor.Role
	after, err := l.step(ctx, tx, actor, c, in, a.Act)
	var state *dispatch.StateError
	if errors.As(err, &state) {
		return Result{}, l.sayPossible(ctx, tx, actor, in, state)
	}
	return Result{Incident: after}, err
}

// What those who do not lead may not do.
var (
	// ErrAssists refuses an act to a department that only assists.
	ErrAssists = errors.New("your department assists with this incident: its lead department moves it on; a note is yours to write")
	// ErrNotLead refuses an act to a worker who reported or assists.
	ErrNotLead = errors.New("whoever leads this incident moves it on: it is not offered to you, or somebody else is sent; a note is yours to write")
)

// leads refuses an act on an incident to whoever sees it and may not move it on: a
// department that assists, and a worker who only reported it or assists, but for what
// that worker resolves on the spot.
func leads(ctx context.Context, tx pgx.Tx, s auth.Scope, in store.Incident) error {
	if department, only := s.Department(); only && department != in.Department {
		return ErrAssists
	}
	worker, only := s.Worker()
	if !only || in.State == dispatch.Reported {
		return nil
	}
	var lead bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM incident_worker WHERE incident_id = $1 AND worker_id = $2 AND relation = 'lead' AND until IS NULL)",
		in.ID, int64(worker)).Scan(&lead)
	if err == nil && !lead {
		err = ErrNotLead
	}
	return err
}

// step takes one act on an incident that tx has locked: what the rules make of it,
// and everything that leaves behind. It is for acts by hand, and for what an offer or
// a clock brings about (whose role is "").
func (l *Ledger) step(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, in store.Incident, a dispatch.Act) (store.Incident, error) {
	f, err := l.facts(ctx, tx, actor, in, a)
	if err != nil {
		return in, err
	}
	ch, err := dispatch.Decide(f, a)
	if err == nil && a.Action == dispatch.Archive {
		err = l.file(ctx, tx, in, &ch)
	}
	if err == nil && a.Action == dispatch.Reopen && ch.Place != nil {
		err = l.journalHere(ctx, tx, actor, in, *ch.Place)
	}
	if err != nil {
		return in, err
	}
	return l.write(ctx, tx, actor, c, in, f.Stage, ch)
}

// facts gathers what the rules look at.
func (l *Ledger) facts(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, a dispatch.Act) (dispatch.Facts, error) {
	f := l.known(in)
	f.Approved = a.Request != 0
	var err error
	if f.Stage, err = store.LastStage(ctx, tx, in.ID); err != nil {
		return f, err
	}
	switch a.Action {
	case dispatch.Merge:
		if a.Into != 0 {
			err = l.target(ctx, tx, actor, in, a.Into, &f)
		}
	case dispatch.Resolve:
		if in.State == dispatch.Reported {
			err = l.onTheSpot(ctx, tx, actor, in, &f)
		}
	case dispatch.Route, dispatch.Reassign, dispatch.Delegate:
		f.NoLiaison, err = l.noLiaison(ctx, tx, cmp.Or(a.Department, f.Department), in, f.Now) // named or not
	case dispatch.Reopen:
		if f.Here, err = l.here(ctx, in.Place); err != nil {
			return f, err
		}
		err = unsatisfied(ctx, tx, in, &f)
	}
	return f, err
}

// noLiaison reports whether a department, 0 for none, has nobody who would see the incident.
func (l *Ledger) noLiaison(ctx context.Context, tx pgx.Tx, department int64, in store.Incident, now time.Time) (bool, error) {
	if l.o.Staffed == nil || department == 0 {
		return false, nil
	}
	staffed, err := l.o.Staffed(ctx, tx, department, in, now)
	return err == nil && !staffed, err
}

// known are the facts that need no look into the record.
func (l *Ledger) known(in store.Incident) dispatch.Facts {
	now := l.o.Catalogue.Now()
	return dispatch.Facts{
		Incident: in.Incident, Category: now.Categories[in.Category], Depth: in.Place.GridLevel, Department: in.Department,
		Calendar: now.Clocks.Calendar, Limits: now.Clocks.Levels, Now: l.o.Now(), Outside: in.Outside,
	}
}

// unsatisfied gathers what reopening needs.
func unsatisfied(ctx context.Context, tx pgx.Tx, in store.Incident, f *dispatch.Facts) error {
	return tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM call_back WHERE closes_id = $1 AND outcome = 'unsatisfied')", in.ID).Scan(&f.Unsatisfied)
}

// onTheSpot gathers what the worker who reported an incident needs to resolve it there
// and then.
func (l *Ledger) onTheSpot(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, f *dispatch.Facts) error {
	if actor.Worker == 0 {
		return nil
	}
	path, err := l.o.Catalogue.Path(ctx, in.Place.GridID)
	if err != nil || len(path) == 0 {
		return err
	}
	codes := make([]string, len(path))
	for i, g := range path {
		codes[i] = g.Code
	}
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM incident_worker WHERE incident_id = $1 AND worker_id = $2 AND relation = 'reported' AND until IS NULL),
		EXISTS (SELECT FROM worker_grid WHERE worker_id = $2 AND grid_code = ANY($3) AND (root_code IS NULL OR root_code = $4) AND valid_from <= $5::date
		AND (valid_to IS NULL OR valid_to > $5::date))`, in.ID, int64(actor.Worker), codes, path[0].Code, f.Now.In(calendar.Zone())).Scan(&f.OwnReport, &f.OwnGrid)
	f.OwnGrid = f.OwnGrid && in.Place.Kind == dispatch.InGrid
	if err == nil && l.o.Evidence != nil {
		f.Evidence, err = l.o.Evidence(ctx, tx, in.ID)
	}
	return err
}

// target looks at the incident that in is to be merged into.
func (l *Ledger) target(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, into int64, f *dispatch.Facts) error {
	d, err := auth.Decide(actor, auth.Write, auth.IncidentData)
	if err != nil {
		return err
	}
	t, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, into, true) // that nobody ends it meanwhile
	if errors.Is(err, store.ErrNotFound) {
		return nil // the machine refuses it
	}
	if err != nil {
		return err
	}
	mine, err := l.o.Catalogue.Path(ctx, in.Place.GridID)
	if err != nil {
		return err
	}
	its, err := l.o.Catalogue.Path(ctx, t.Place.GridID)
	f.Target, f.SameCounty = &t.Incident, len(mine) > 0 && len(its) > 0 && mine[0].Code == its[0].Code
	return err
}
