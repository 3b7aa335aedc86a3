// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/geo"
	"onemap/store"
)

// WhistleCommand calls departments to an incident.
type WhistleCommand struct {
	Incident int64
	dispatch.Calling
}

// WhistleAct is an act on a whistle: exactly one of a department's word and its end.
type WhistleAct struct {
	Whistle    int64
	Department int64 // whose word the desk gives; a department's own handler leaves it out
	Report     *dispatch.WhistleReport
	End        bool
	Reason     string // of End
}

// anyWhistle is for looks at a whistle that were let through by another one in scope.
var anyWhistle = auth.System("a whistle that the transaction holds")

// whistle calls departments to an incident.
func (l *Ledger) whistle(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.WhistleData)
	if err != nil {
		return Result{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			res.Repeated = true
			res.Whistle, err = store.FindWhistle(ctx, tx, d.Scope, id)
			return err
		}
		in, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, c.Whistle.Incident, true)
		if err != nil {
			return err
		}
		ch, err := dispatch.Call(in.Incident, c.Whistle.Calling, l.o.Now())
		if err != nil {
			return err
		}
		w := store.Whistle{Whistle: ch, MadeBy: actor.ID, About: calledTo(in)}
		if err := insertWhistle(ctx, tx, &w); err != nil {
			return err
		}
		w.Settle()
		res.Incident, res.Whistle = in, w
		b := &pgx.Batch{}
		c.keep(b, actor, w.ID)
		if err := l.recordWhistle(b, actor, c.RequestID, w, in, "whistle.made", ""); err != nil {
			return err
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return res, err
}

func calledTo(in store.Incident) store.CalledTo {
	return store.CalledTo{
		Category: in.Category, Priority: in.Priority, State: in.State, Title: in.Title, Address: in.Place.Address, Point: in.Place.Point,
		GridID: in.Place.GridID, GridNo: in.Place.GridNo,
	}
}

// insertWhistle writes a new whistle and gives it its id.
func insertWhistle(ctx context.Context, tx pgx.Tx, w *store.Whistle) error {
	err := tx.QueryRow(ctx, "INSERT INTO whistle (incident_id, made_by, made_at, due, radius_m, note) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
		w.Incident, w.MadeBy, w.MadeAt, w.Due, float32(w.RadiusM), w.Note).Scan(&w.ID)
	if refusedBy(err, "whistle_one_runs") {
		return &dispatch.GuardError{Err: dispatch.ErrWhistleRuns}
	}
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	for _, c := range w.Calls {
		b.Queue("INSERT INTO whistle_call (whistle_id, department_id, lead) VALUES ($1, $2, $3)", w.ID, c.Department, c.Lead)
	}
	return tx.SendBatch(ctx, b).Close()
}

// whistleAct takes a department's word, or ends a whistle.
func (l *Ledger) whistleAct(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	resource := auth.WhistleAnswer
	if c.WhistleAct.End {
		resource = auth.WhistleData
	}
	d, err := auth.Decide(actor, auth.Write, resource)
	if err != nil {
		return Result{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			res.Repeated = true
			w, err := store.FindWhistle(ctx, tx, d.Scope, id)
			res.Whistle = w.Over(d.Scope)
			return err
		}
		in, w, err := l.holdWhistle(ctx, tx, d.Scope, c.WhistleAct.Whistle)
		if err != nil {
			return err
		}
		res, err = l.actOnWhistle(ctx, tx, actor, c, d.Scope, in, w)
		return err
	})
	return res, err
}

// holdWhistle locks a whistle in scope, its incident first.
func (l *Ledger) holdWhistle(ctx context.Context, tx pgx.Tx, s auth.Scope, id int64) (store.Incident, store.Whistle, error) {
	w, err := store.FindWhistle(ctx, tx, s, id)
	if err != nil {
		return store.Incident{}, w, err
	}
	in, err := store.FindIncident(ctx, tx, anyWhistle, auth.CaseView, w.Incident, true)
	if err != nil {
		return in, w, err
	}
	if _, err := tx.Exec(ctx, "SELECT FROM whistle WHERE id = $1 FOR UPDATE", id); err != nil {
		return in, w, err
	}
	w, err = store.FindWhistle(ctx, tx, s, id) // as it is now that it is held
	return in, w, err
}

func (l *Ledger) actOnWhistle(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, s auth.Scope, in store.Incident, w store.Whistle) (res Result, err error) {
	a, now := c.WhistleAct, l.o.Now()
	kind, act, reason := "whistle.changed", "whistle.reported", ""
	if a.End {
		w.Whistle, err = dispatch.EndWhistle(w.Whistle, a.Reason, now)
		kind, act, reason = "whistle.ended", "whistle.ended", a.Reason
	} else {
		r := *a.Report
		if own, only := s.Department(); only {
			if a.Department != 0 && a.Department != own {
				return res, auth.ErrForbidden
			}
			r.Department, r.ByDesk = own, false
		} else {
			r.Department, r.ByDesk = a.Department, true
		}
		w.Whistle, res.Judged, err = dispatch.Heard(w.Whistle, r, in.Place.Point, now)
		switch {
		case res.Judged == dispatch.JudgedArrived:
			act = "whistle.arrived"
		case r.There:
			act = "whistle.said"
		}
		if w.State != dispatch.WhistleRunning {
			kind = "whistle.ended"
		}
	}
	if err != nil {
		return res, err
	}
	w.Settle()
	b := &pgx.Batch{}
	queueWhistle(b, w)
	c.keep(b, actor, w.ID)
	if err := l.recordWhistleAs(b, actor, c.RequestID, w, in, kind, act, reason); err != nil {
		return res, err
	}
	res.Incident, res.Whistle = in, w
	return res, tx.SendBatch(ctx, b).Close()
}

// queueWhistle writes a whistle's new state over the one that the transaction holds.
func queueWhistle(b *pgx.Batch, w store.Whistle) {
	b.Queue("UPDATE whistle SET ver = $2, state = $3, ended_at = $4, reason = $5 WHERE id = $1", w.ID, int32(w.Ver), string(w.State), w.EndedAt, w.Reason)
	for _, c := range w.Calls {
		var fix, lon, lat, datum, at, accuracy, distance any
		if c.Fix != nil {
			fix, lon, lat, datum, at, accuracy = geo.WGS84(c.Fix.Point), c.Fix.Raw.Lon, c.Fix.Raw.Lat, string(c.Fix.Raw.Datum), c.Fix.At, float32(c.Fix.AccuracyM)
		}
		if c.DistanceM != nil {
			distance = float32(*c.DistanceM)
		}
		b.Queue(`UPDATE whistle_call SET reported_at = $3, said_at = $4, arrived_at = $5, fix = $6, raw_lon = $7, raw_lat = $8, raw_datum = $9, fix_at = $10,
			accuracy_m = $11, distance_m = $12, late = $13 WHERE whistle_id = $1 AND department_id = $2`,
			w.ID, c.Department, c.ReportedAt, c.SaidAt, c.ArrivedAt, fix, lon, lat, datum, at, accuracy, distance, c.Late)
	}
}

// recordWhistle writes what every change of a whistle leaves behind: its audit entry
// and its event.
func (l *Ledger) recordWhistle(b *pgx.Batch, actor auth.Actor, requestID string, w store.Whistle, in store.Incident, kind, reason string) error {
	return l.recordWhistleAs(b, actor, requestID, w, in, kind, kind, reason)
}

func (l *Ledger) recordWhistleAs(b *pgx.Batch, actor auth.Actor, requestID string, w store.Whistle, in store.Incident, kind, act, reason string) error {
	names := l.o.Catalogue.Now().DeptNames
	calls := map[string]string{}
	for _, c := range w.Calls {
		calls[names[c.Department]] = c.State()
	}
	err := audit(b, actor, requestID, act, fmt.Sprintf("whistle/%d", w.ID), reason, map[string]any{"incident": w.Incident, "state": w.State, "calls": calls})
	if err != nil {
		return err
	}
	e, err := l.whistleEvent(w, in, kind)
	if err != nil {
		return err
	}
	if w.Ver > 1 {
		e.Before = e.After
	}
	return emit(b, e)
}

// whistleEvent makes the event that tells a whistle's state to whoever sees its incident,
// and to the departments it calls.
func (l *Ledger) whistleEvent(w store.Whistle, in store.Incident, kind string) (feed.Event, error) {
	full, err := store.WhistlePayload(w, l.o.Catalogue.Now().DeptNames)
	if err != nil {
		return feed.Event{}, err
	}
	aud := feed.Audience{Grid: in.Place.GridNo, Workers: in.Workers, Sensitive: l.o.Catalogue.Now().Categories[in.Category].Sensitive()}
	for _, c := range w.Calls {
		aud.Departments = append(aud.Departments, c.Department)
	}
	slices.Sort(aud.Departments)
	e := feed.Event{
		Kind: kind, Entity: feed.Key{Kind: "whistle", ID: fmt.Sprint(w.ID)}, Ver: w.Ver, Live: feed.Put, OccurredAt: l.o.Now(), After: aud, Case: full,
	}
	if w.State != dispatch.WhistleRunning {
		e.Live = feed.End
	}
	return e, nil
}

// endWhistle ends the running whistle of an incident that tx has locked and that is
// over; nothing where none runs.
func (l *Ledger) endWhistle(ctx context.Context, tx pgx.Tx, actor auth.Actor, requestID string, in store.Incident) error {
	w, err := store.RunningWhistle(ctx, tx, anyWhistle, in.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if w.Whistle, err = dispatch.EndWhistle(w.Whistle, string(in.State), l.o.Now()); err != nil {
		return err
	}
	w.Settle()
	b := &pgx.Batch{}
	queueWhistle(b, w)
	if err := l.recordWhistle(b, actor, requestID, w, in, "whistle.ended", w.Reason); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// Keys of the advisory locks that keep sweeps apart, and how much one look takes up.
const (
	whistleSweepLock = 0x6f6d776869 // "omwhi"
	noticeSweepLock  = 0x6f6d6e6f74 // "omnot"
	sweptAtOnce      = 200
)

// sweepAlone runs f while this server is the only one that does; false when another
// one is at it.
func (l *Ledger) sweepAlone(ctx context.Context, key int64, f func(context.Context) error) (mine bool, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", key).Scan(&mine); err != nil || !mine {
			return err
		}
		return f(ctx) // in transactions of its own: this one only keeps the others away
	})
	return mine, err
}

// SweepWhistles marks the departments that are not there at a whistle's limit, each
// exactly once, however many servers sweep: its own row says so, in the transaction
// that tells of it. What somebody is busy with is left to the next look. late is how
// many departments it marked.
func (l *Ledger) SweepWhistles(ctx context.Context, actor auth.Actor) (late int, err error) {
	_, err = l.sweepAlone(ctx, whistleSweepLock, func(ctx context.Context) error {
		due, err := l.dueWhistles(ctx, l.o.Now())
		if err != nil {
			return err
		}
		for _, incident := range slices.Sorted(maps.Keys(due)) {
			n, err := l.lateWhistle(ctx, actor, incident, due[incident])
			if err != nil {
				return fmt.Errorf("whistle %d: %w", due[incident], err)
			}
			late += n
		}
		return nil
	})
	if late > 0 {
		l.o.Wake()
	}
	if err != nil {
		return late, fmt.Errorf("ledger: sweep whistles: %w", err)
	}
	return late, nil
}

// dueWhistles are the running whistles with somebody to mark, by incident.
func (l *Ledger) dueWhistles(ctx context.Context, now time.Time) (map[int64]int64, error) {
	rows, err := l.o.DB.Pool.Query(ctx, `SELECT w.incident_id, w.id FROM whistle w WHERE w.state = 'running' AND w.due <= $1
		AND EXISTS (SELECT FROM whistle_call c WHERE c.whistle_id = w.id AND c.arrived_at IS NULL AND NOT c.late) ORDER BY w.due LIMIT $2`, now, sweptAtOnce)
	if err != nil {
		return nil, err
	}
	due := map[int64]int64{}
	var incident, id int64
	_, err = pgx.ForEachRow(rows, []any{&incident, &id}, func() error { due[incident] = id; return nil })
	return due, err
}

func (l *Ledger) lateWhistle(ctx context.Context, actor auth.Actor, incident, id int64) (late int, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var got int64
		err := tx.QueryRow(ctx, "SELECT id FROM incident WHERE id = $1 FOR UPDATE SKIP LOCKED", incident).Scan(&got)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		in, w, err := l.holdWhistle(ctx, tx, anyWhistle, id)
		if err != nil {
			return err
		}
		if w.Whistle, late = dispatch.Late(w.Whistle, l.o.Now()); late == 0 {
			return nil // ended meanwhile
		}
		b := &pgx.Batch{}
		queueWhistle(b, w)
		if err := l.recordWhistle(b, actor, "", w, in, "whistle.late", ""); err != nil {
			return err
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return late, err
}
