// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/geo"
	"onemap/store"
)

// report opens an incident.
func (l *Ledger) report(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command) (Result, error) {
	if _, err := auth.Decide(actor, auth.Write, auth.IncidentData); err != nil {
		return Result{}, err
	}
	r, now := c.Report, l.o.Now()
	if err := holdGrids(ctx, tx, r.Place.GridVersion); err != nil {
		return Result{}, err
	}
	ch := dispatch.Open(r.Report, l.o.Calendar, now)
	in := store.Incident{
		Incident: ch.After, Title: r.Title, Text: r.Text, Source: r.Source, ExternalID: r.ExternalID, Place: r.Place,
		Department: r.Department, OccurredAt: r.OccurredAt, ReceivedAt: now,
	}
	in.Settle()
	if actor.Worker != 0 {
		in.Workers = []int64{int64(actor.Worker)}
	}
	err := insertIncident(ctx, tx, &in)
	if errors.Is(err, pgx.ErrNoRows) { // (source, external_id) is known: the first incident is the answer
		return firstOf(ctx, tx, actor, r.Source, r.ExternalID)
	}
	if err != nil {
		return Result{}, err
	}
	b := &pgx.Batch{}
	if err := l.sealReporter(b, in.ID, r); err != nil {
		return Result{}, err
	}
	for _, w := range in.Workers {
		b.Queue("INSERT INTO incident_worker (incident_id, worker_id, relation, since) VALUES ($1, $2, 'reported', $3)", in.ID, w, now)
	}
	return Result{Incident: in}, l.record(ctx, tx, b, actor, c.RequestID, 1, in, ch, feed.Audience{})
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

// holdGrids keeps the grid version from being replaced until the transaction
// ends, and refuses one that already was.
func holdGrids(ctx context.Context, tx pgx.Tx, version int32) error {
	var state string
	err := tx.QueryRow(ctx, "SELECT state FROM grid_version WHERE id = $1 FOR SHARE", version).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && state != "enacted" {
		return ErrGridsChanged
	}
	return err
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

// insertIncident writes a new row and sets in.ID. pgx.ErrNoRows means that the
// external id is already known.
func insertIncident(ctx context.Context, tx pgx.Tx, in *store.Incident) error {
	v := columnsOf(*in)
	return tx.QueryRow(ctx, `INSERT INTO incident (version, state, category, priority, title, body, source, external_id, geom, raw_lon, raw_lat,
		raw_datum, address, place, grid_id, grid_no, cell6, cell7, cell8, cell9, owner_level, department_id, occurred_at, reported_at,
		received_at, ack_due, stage_due, due_rule, acknowledged_at, on_scene_at, resolved_at, closed_at, history)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,
		$27, $28, $29, $30, $31, $32, $33)
		ON CONFLICT (source, external_id) WHERE external_id IS NOT NULL DO NOTHING RETURNING id`, v...).Scan(&in.ID)
}

// incidentColumns are the stored columns of an incident but its id, in the order
// of columnsOf.
var incidentColumns = []string{
	"version", "state", "category", "priority", "title", "body", "source", "external_id", "geom", "raw_lon", "raw_lat",
	"raw_datum", "address", "place", "grid_id", "grid_no", "cell6", "cell7", "cell8", "cell9", "owner_level", "department_id",
	"occurred_at", "reported_at", "received_at", "ack_due", "stage_due", "due_rule", "acknowledged_at", "on_scene_at",
	"resolved_at", "closed_at", "history",
}

func columnsOf(in store.Incident) []any {
	p := in.Place
	var geom, lon, lat, datum, external, dept any
	var cells [4]any
	if p.Point != nil && p.Raw != nil {
		geom, lon, lat, datum = geo.WGS84(*p.Point), p.Raw.Lon, p.Raw.Lat, string(p.Raw.Datum)
		for i, k := range p.Cells {
			cells[i] = int64(k)
		}
	}
	if in.ExternalID != "" {
		external = in.ExternalID
	}
	if in.Department != 0 {
		dept = in.Department
	}
	return []any{
		int32(in.Version), string(in.State), in.Category, int16(in.Priority), in.Title, in.Text, in.Source, external, geom, lon, lat,
		datum, p.Address, string(p.Kind), p.GridID, p.GridNo, cells[0], cells[1], cells[2], cells[3], int16(in.OwnerLevel), dept,
		moment(in.OccurredAt), in.ReportedAt, in.ReceivedAt, moment(in.AckDue), moment(in.StageDue), in.DueRule,
		moment(in.AcknowledgedAt), moment(in.OnSceneAt), moment(in.ResolvedAt), moment(in.ClosedAt), in.History,
	}
}

// moment is *t, or nil: pgx plans an encoding through a pointer anew each time.
func moment(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

// act moves an incident on.
func (l *Ledger) act(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command) (Result, error) {
	d, err := auth.Decide(actor, auth.Write, auth.IncidentData)
	if err != nil {
		return Result{}, err
	}
	a, now := c.Act, l.o.Now()
	in, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, a.Incident, true)
	if err != nil {
		return Result{}, err
	}
	if in.Version != a.Version {
		return Result{}, &VersionError{Have: in.Version, Want: a.Version}
	}
	ch, err := dispatch.Decide(in.Incident, a.Act, now)
	if err != nil {
		return Result{}, err
	}
	before := l.audience(in)
	in.Incident = ch.After
	in.Settle()
	tag, err := tx.Exec(ctx, `UPDATE incident SET version = $3, state = $4, acknowledged_at = $5, on_scene_at = $6, resolved_at = $7, closed_at = $8
		WHERE id = $1 AND version = $2`, in.ID, a.Version, in.Version, string(in.State), in.AcknowledgedAt, in.OnSceneAt, in.ResolvedAt, in.ClosedAt)
	if err != nil {
		return Result{}, err
	}
	if tag.RowsAffected() != 1 {
		return Result{}, &VersionError{Have: in.Version, Want: a.Version}
	}
	var n int
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(n), 0) + 1 FROM incident_journal WHERE incident_id = $1", in.ID).Scan(&n); err != nil {
		return Result{}, err
	}
	return Result{Incident: in}, l.record(ctx, tx, &pgx.Batch{}, actor, c.RequestID, n, in, ch, before)
}

// record writes what every change of an incident leaves behind: its journal
// entry, its audit entry and its event.
func (l *Ledger) record(ctx context.Context, tx pgx.Tx, b *pgx.Batch, actor auth.Actor, requestID string, n int, in store.Incident, ch dispatch.Change, before feed.Audience) error {
	now := l.o.Now()
	journal(b, in.ID, n, in.Version, ch.Step, actor.ID, now)
	err := audit(b, actor, requestID, "incident."+ch.Step.Kind, fmt.Sprintf("incident/%d", in.ID), ch.Step.Reason,
		map[string]any{"version": in.Version, "from": ch.Step.From, "to": ch.Step.To})
	if err != nil {
		return err
	}
	e, err := l.event(ctx, in, ch.Event, before, now)
	if err != nil {
		return err
	}
	if err := emit(b, e); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// audience is whom an incident concerns: its grid, its department, its workers,
// and of those only who may see its category.
func (l *Ledger) audience(in store.Incident) feed.Audience {
	a := feed.Audience{Grid: in.Place.GridNo, Workers: in.Workers, Sensitive: l.o.Catalogue.Now().Categories[in.Category].Sensitive()}
	if in.Department != 0 {
		a.Departments = []int64{in.Department}
	}
	return a
}

// event makes the event that tells in's state after a change.
func (l *Ledger) event(ctx context.Context, in store.Incident, kind string, before feed.Audience, at time.Time) (feed.Event, error) {
	shared, full, err := l.o.Catalogue.Payloads(ctx, in)
	if err != nil {
		return feed.Event{}, err
	}
	e := feed.Event{
		Kind: kind, Entity: feed.Key{Kind: "incident", ID: fmt.Sprint(in.ID)}, Ver: in.Version, Live: feed.Put,
		OccurredAt: at, Before: before, After: l.audience(in), Shared: shared, Case: full,
	}
	if !in.State.Open() {
		e.Live = feed.End
	}
	return e, nil
}
