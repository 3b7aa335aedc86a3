// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
)

// report opens an incident. It takes two trips to the database: one for what must
// be known before, one for everything that is written.
func (l *Ledger) report(ctx context.Context, actor auth.Actor, c Command) (Result, error) {
	if _, err := auth.Decide(actor, auth.Write, auth.IncidentData); err != nil {
		return Result{}, err
	}
	for range keyTries {
		id, known, err := l.newID(ctx, actor, c)
		switch {
		case err != nil:
			return Result{}, err
		case known:
			return l.answer(ctx, actor, id)
		case id == 0:
			return l.knownReport(ctx, actor, c)
		}
		in, b, err := l.opening(ctx, actor, c, id)
		if err != nil {
			return Result{}, err
		}
		err = l.o.Reports.Together(ctx, b)
		switch {
		case refusedBy(err, "idempotency_pkey"): // the same request, sent twice at a time: the other one was first
		case refusedBy(err, "incident_external"):
			return l.knownReport(ctx, actor, c)
		default:
			return Result{Incident: in}, gridsChanged(err)
		}
	}
	return Result{}, fmt.Errorf("%w: this idempotency key is taken and given back again and again", store.ErrUnavailable)
}

// keyTries is how often a report whose key another request took is looked at anew.
const keyTries = 3

// newID draws the number of a new incident; when an earlier request has c's key,
// it is the incident that one made, and 0 when only the external id is known. Who
// comes first of several at a time is judged by the constraints, later.
func (l *Ledger) newID(ctx context.Context, actor auth.Actor, c Command) (id int64, known bool, err error) {
	var fresh, entity *int64
	var request []byte
	err = l.o.Reports.Pool.QueryRow(ctx, `SELECT CASE WHEN k.key IS NULL AND i.id IS NULL THEN nextval('incident_id') END, k.request, k.entity_id
		FROM (VALUES (1)) AS one LEFT JOIN idempotency k ON k.actor = $1 AND k.key = $2
		LEFT JOIN incident i ON i.source = $3 AND i.external_id = nullif($4, '')`,
		actor.ID, c.Key, c.Report.Source, c.Report.ExternalID).Scan(&fresh, &request, &entity)
	switch {
	case err != nil:
		return 0, false, err
	case fresh != nil:
		return *fresh, false, nil
	case request == nil:
		return 0, false, nil
	}
	id, err = c.made(request, entity)
	return id, true, err
}

// opening is a new incident and everything that is written with it.
func (l *Ledger) opening(ctx context.Context, actor auth.Actor, c Command, id int64) (store.Incident, *pgx.Batch, error) {
	r, now, b := c.Report, l.o.Now(), &pgx.Batch{}
	ch := dispatch.Open(r.Report, l.o.Catalogue.Now().Clocks.Calendar, now)
	in := store.Incident{
		Incident: ch.After, Title: r.Title, Text: r.Text, Source: r.Source, ExternalID: r.ExternalID, Place: r.Place,
		Department: r.Department, OccurredAt: r.OccurredAt, ReceivedAt: now, Outside: r.Outside,
	}
	in.ID = id
	in.Settle()
	if actor.Worker != 0 {
		in.Workers = []int64{int64(actor.Worker)}
	}
	if c.Key != "" {
		b.Queue("INSERT INTO idempotency (actor, key, request, at, entity_id) VALUES ($1, $2, $3, $4, $5)", actor.ID, c.Key, c.Request[:], now, id)
	}
	b.Queue("SELECT hold_grids($1)", r.Place.GridVersion)
	in.FirstAsked = actor.ID
	insertIncident(b, in)
	startStage(b, in.ID, *ch.Stage)
	l.armNew(b, in, *ch.Stage)
	if err := l.sealReporter(b, id, r); err != nil {
		return in, nil, err
	}
	for _, w := range in.Workers {
		b.Queue("INSERT INTO incident_worker (incident_id, worker_id, relation, since) VALUES ($1, $2, 'reported', $3)", id, w, now)
	}
	return in, b, l.record(ctx, b, actor, c.RequestID, 1, in, ch, feed.Audience{})
}

// Earlier is what an earlier report made that had c's key, or its source and
// external id; known is false when there was none. It is for a report that cannot be
// taken now: one that can, Do answers so by itself.
func (l *Ledger) Earlier(ctx context.Context, actor auth.Actor, c Command) (res Result, known bool, err error) {
	err = l.o.Reports.InTx(ctx, func(tx pgx.Tx) error {
		var request []byte
		var entity *int64
		err := tx.QueryRow(ctx, "SELECT request, entity_id FROM idempotency WHERE actor = $1 AND key = $2", actor.ID, c.Key).Scan(&request, &entity)
		if err == nil {
			id, err := c.made(request, entity)
			if err == nil {
				res, err = repeated(ctx, tx, actor, id)
			}
			return err
		}
		if errors.Is(err, pgx.ErrNoRows) && c.Report.ExternalID != "" {
			res, err = firstOf(ctx, tx, actor, c.Report.Source, c.Report.ExternalID)
		}
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Result{}, false, nil
	case err != nil:
		return Result{}, false, fmt.Errorf("ledger: %w", err)
	}
	return res, true, nil
}

// answer is what a request with the key of an earlier one gets.
func (l *Ledger) answer(ctx context.Context, actor auth.Actor, id int64) (res Result, err error) {
	err = l.o.Reports.InTx(ctx, func(tx pgx.Tx) error {
		res, err = repeated(ctx, tx, actor, id)
		return err
	})
	return res, err
}

// knownReport answers a report whose external id is stored already with the
// incident that has it, and keeps that for the report's own key.
func (l *Ledger) knownReport(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	err = l.o.Reports.InTx(ctx, func(tx pgx.Tx) error {
		id, done, err := l.claim(ctx, tx, actor, c)
		switch {
		case err != nil:
		case done:
			res, err = repeated(ctx, tx, actor, id)
		default:
			if res, err = firstOf(ctx, tx, actor, c.Report.Source, c.Report.ExternalID); err == nil {
				b := &pgx.Batch{}
				c.keep(b, actor, res.Incident.ID)
				err = tx.SendBatch(ctx, b).Close()
			}
		}
		return err
	})
	return res, err
}

// refusedBy reports whether the database refused a row because of this constraint.
func refusedBy(err error, constraint string) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == uniqueViolation && pe.ConstraintName == constraint
}

// gridsChanged is err, or ErrGridsChanged when hold_grids said so.
func gridsChanged(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "OM001" {
		return ErrGridsChanged
	}
	return err
}

// firstOf finds the incident that has this external id already, for one who sees
// it or reported it. Numbers of a source are easily guessed: to anybody else it
// is ErrElsewhere.
func firstOf(ctx context.Context, tx pgx.Tx, actor auth.Actor, source, externalID string) (Result, error) {
	var id int64
	var own bool
	err := tx.QueryRow(ctx, `SELECT i.id, EXISTS (SELECT FROM incident_journal j WHERE j.incident_id = i.id AND j.n = 1 AND j.actor = $3)
		FROM incident i WHERE i.source = $1 AND i.external_id = $2`, source, externalID, actor.ID).Scan(&id, &own)
	if err != nil {
		return Result{}, err
	}
	res, err := repeated(ctx, tx, actor, id)
	if err == nil && res.Hidden && !own {
		return Result{}, ErrElsewhere
	}
	return res, err
}

// repeated is the answer to a request that was carried out before: the incident as
// its caller may see it now, else its id alone.
func repeated(ctx context.Context, tx pgx.Tx, actor auth.Actor, id int64) (Result, error) {
	res := Result{Repeated: true}
	d, err := auth.Decide(actor, auth.Read, auth.IncidentData)
	if err == nil {
		res.Incident, err = store.FindIncident(ctx, tx, d.Scope, auth.CaseView, id, false)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, auth.ErrForbidden) {
		res.Incident, res.Hidden, err = store.Incident{Incident: dispatch.Incident{ID: id}}, true, nil
	}
	return res, err
}

func (l *Ledger) sealReporter(b *pgx.Batch, id int64, r *Report) error {
	if r.Reporter == (store.Reporter{}) {
		return nil
	}
	r.Reporter.N = 1
	s, err := l.o.Sealer.SealReporter(id, r.Reporter)
	if err != nil {
		return err
	}
	b.Queue("INSERT INTO reporter (incident_id, n, name_sealed, phone_sealed, id_number_sealed, phone_hash) VALUES ($1, $2, $3, $4, $5, $6)",
		id, r.Reporter.N, s.Name, s.Phone, s.IDNumber, s.PhoneHash)
	return nil
}
