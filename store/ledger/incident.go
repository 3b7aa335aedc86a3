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

// insertIncident writes a new row.
func insertIncident(b *pgx.Batch, in store.Incident) {
	b.Queue(`INSERT INTO incident (id, version, state, category, priority, title, body, source, external_id, geom, raw_lon, raw_lat,
		raw_datum, address, place, grid_id, grid_no, cell6, cell7, cell8, cell9, owner_level, department_id, occurred_at, reported_at,
		received_at, ack_due, stage_due, due_rule, acknowledged_at, on_scene_at, resolved_at, closed_at, history, found, resolved_level, first_asked, outside_value, outside_unit)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,
		$27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39)`, append([]any{in.ID}, columnsOf(in)...)...)
}

// startStage writes the stage that begins.
func startStage(b *pgx.Batch, incident int64, s dispatch.Stage) {
	var dept any
	if s.Department != 0 {
		dept = s.Department
	}
	b.Queue(`INSERT INTO incident_stage (incident_id, n, level, department_id, started_at, ack_due, due, due_rule, provisional,
		limit_value, limit_unit, extensions, stood, paused_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10::integer, 0), nullif($11, ''), $12, $13, $14)`,
		incident, int16(s.N), int16(s.Level), dept, s.StartedAt, moment(s.AckDue), moment(s.Due), s.Rule, s.Provisional,
		int32(s.Limit.Value), string(s.Limit.Unit), int16(s.Extensions), s.Stood, moment(s.PausedAt))
}

// incidentColumns are the stored columns of an incident but its id, in the order
// of columnsOf.
var incidentColumns = []string{
	"version", "state", "category", "priority", "title", "body", "source", "external_id", "geom", "raw_lon", "raw_lat",
	"raw_datum", "address", "place", "grid_id", "grid_no", "cell6", "cell7", "cell8", "cell9", "owner_level", "department_id",
	"occurred_at", "reported_at", "received_at", "ack_due", "stage_due", "due_rule", "acknowledged_at", "on_scene_at",
	"resolved_at", "closed_at", "history", "found", "resolved_level", "first_asked", "outside_value", "outside_unit",
}

func columnsOf(in store.Incident) []any {
	p := in.Place
	var geom, lon, lat, datum, external, dept, found, level, limit, unit any
	var cells [4]any
	if p.Point != nil && p.Raw != nil {
		geom, lon, lat, datum = geo.WGS84(*p.Point), p.Raw.Lon, p.Raw.Lat, string(p.Raw.Datum)
		for i, k := range p.Cells {
			cells[i] = int64(k)
		}
	}
	if p.Found != nil {
		found = store.FoundRow(p.Found)
	}
	if in.ResolvedLevel != 0 {
		level = int16(in.ResolvedLevel)
	}
	if in.Outside != nil {
		limit, unit = in.Outside.Value, string(in.Outside.Unit)
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
		moment(in.AcknowledgedAt), moment(in.OnSceneAt), moment(in.ResolvedAt), moment(in.ClosedAt), in.History, found, level, in.FirstAsked, limit, unit,
	}
}

// moment is *t, or nil: pgx plans an encoding through a pointer anew each time.
func moment(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

// write stores a change of an incident that tx has locked, of which stage was the
// running one, and everything the change leaves behind: its stages, journal, audit
// and event.
func (l *Ledger) write(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, in store.Incident, stage dispatch.Stage, ch dispatch.Change) (store.Incident, error) {
	now, before, was, stateBefore, clock := l.o.Now(), l.audience(in), in.Version, in.State, dispatch.ClockOf(in.Incident, stage)
	if ch.Workers != nil {
		in.Workers = ch.Workers
	}
	if in.State.HoldsOffers() && (ch.EndOffers || !ch.After.State.HoldsOffers()) {
		var err error
		if in.Workers, err = l.endOffers(ctx, tx, actor, c.RequestID, in, ch.After.State, ch.Step.Reason); err != nil {
			return in, err
		}
	}
	in.Incident, in.Department = ch.After, ch.Department
	if ch.Place != nil {
		in.Place = *ch.Place
		if ok, err := store.TryHoldGrids(ctx, tx, in.Place.GridVersion); err != nil {
			return in, err
		} else if !ok {
			return in, &gridsHeldError{in.Place.GridVersion}
		}
	}
	in.Settle()
	var dept, into, level any
	if in.Department != 0 {
		dept = in.Department
	}
	if in.MergedInto != 0 {
		into = in.MergedInto
	}
	if in.ResolvedLevel != 0 {
		level = int16(in.ResolvedLevel)
	}
	var n int // the number of its journal's next entry
	err := tx.QueryRow(ctx, `UPDATE incident SET version = $3, state = $4, acknowledged_at = $5, on_scene_at = $6, resolved_at = $7, closed_at = $8,
		category = $9, priority = $10, owner_level = $11, department_id = $12, ack_due = $13, stage_due = $14, due_rule = $15, stage = $16, late = $17,
		resolved_level = $18, reopened = $19, review_at = $20, merged_into = $21
		WHERE id = $1 AND version = $2 RETURNING (SELECT coalesce(max(j.n), 0) + 1 FROM incident_journal j WHERE j.incident_id = incident.id)`,
		in.ID, was, in.Version, string(in.State), in.AcknowledgedAt, in.OnSceneAt, in.ResolvedAt, in.ClosedAt,
		in.Category, int16(in.Priority), int16(in.OwnerLevel), dept, in.AckDue, in.StageDue, in.DueRule, int16(in.Stage), in.Late,
		level, int16(in.Reopened), in.ReviewAt, into).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return in, &VersionError{Have: in.Version, Want: was}
	}
	if err != nil {
		return in, err
	}
	b := &pgx.Batch{}
	if ch.Place != nil {
		b.Queue("SELECT hold_grids($1)", in.Place.GridVersion) // by which it was placed
		movePlace(b, in)
	}
	lapse(b, in, ch, now)
	if err := l.callBacks(ctx, tx, b, in, stateBefore, now); err != nil {
		return in, err
	}
	turnStage(b, in, stage, ch, now)
	if err := l.rearm(ctx, tx, b, in, clock, stage, ch); err != nil {
		return in, err
	}
	c.keep(b, actor, in.ID)
	if err := l.record(ctx, b, actor, c.RequestID, n, in, ch, before); err != nil {
		return in, err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return in, gridsChanged(err)
	}
	if now := l.audience(in); now.Grid != before.Grid || now.Sensitive != before.Sensitive {
		if err := l.tellResettled(ctx, tx, map[int64]resettled{in.ID: {before, in}}); err != nil {
			return in, err
		}
	}
	if in.State.TakesWhistles() {
		return in, nil
	}
	return in, l.endWhistle(ctx, tx, actor, c.RequestID, in)
}

// turnStage ends the running stage and begins the next, stops its clock or lets it
// go on, as the change says.
func turnStage(b *pgx.Batch, in store.Incident, stage dispatch.Stage, ch dispatch.Change, now time.Time) {
	switch {
	case !in.State.Open() || ch.Stage != nil:
		b.Queue("UPDATE incident_stage SET ended_at = $3, stopped_at = coalesce(paused_at, $4, $3), paused_at = NULL WHERE incident_id = $1 AND n = $2 AND ended_at IS NULL",
			in.ID, int16(stage.N), now, in.ResolvedAt)
		if in.State.Open() {
			startStage(b, in.ID, *ch.Stage)
		}
	case ch.Paused != nil:
		b.Queue("UPDATE incident_stage SET paused_at = $3 WHERE incident_id = $1 AND n = $2", in.ID, int16(stage.N), *ch.Paused)
	case ch.Resumed:
		b.Queue("UPDATE incident_stage SET paused_at = NULL, due = $3 WHERE incident_id = $1 AND n = $2", in.ID, int16(stage.N), in.StageDue)
	}
}

// movePlace stores where an incident lies after a correction.
func movePlace(b *pgx.Batch, in store.Incident) {
	v := map[string]any{}
	for i, name := range incidentColumns {
		v[name] = columnsOf(in)[i]
	}
	b.Queue(`UPDATE incident SET geom = $2, raw_lon = $3, raw_lat = $4, raw_datum = $5, address = $6, place = $7, grid_id = $8, grid_no = $9,
		cell6 = $10, cell7 = $11, cell8 = $12, cell9 = $13, found = $14 WHERE id = $1`,
		in.ID, v["geom"], v["raw_lon"], v["raw_lat"], v["raw_datum"], v["address"], v["place"], v["grid_id"], v["grid_no"],
		v["cell6"], v["cell7"], v["cell8"], v["cell9"], v["found"])
}

// record writes what every change of an incident leaves behind: its journal
// entry, its audit entry and its event.
func (l *Ledger) record(ctx context.Context, b *pgx.Batch, actor auth.Actor, requestID string, n int, in store.Incident, ch dispatch.Change, before feed.Audience) error {
	now := l.o.Now()
	if err := journal(b, in.ID, n, in.Version, ch.Step, actor.ID, now); err != nil {
		return err
	}
	err := audit(b, actor, requestID, "incident."+ch.Step.Kind, fmt.Sprintf("incident/%d", in.ID), ch.Step.Reason,
		map[string]any{"version": in.Version, "from": ch.Step.From, "to": ch.Step.To})
	if err != nil {
		return err
	}
	e, err := l.event(ctx, in, ch.Event, before, now)
	if err != nil {
		return err
	}
	return emit(b, e)
}

// audience is whom an incident concerns: its grid, its departments, its workers,
// and of those only who may see its category.
func (l *Ledger) audience(in store.Incident) feed.Audience {
	a := feed.Audience{Grid: in.Place.GridNo, Workers: in.Workers, Sensitive: l.o.Catalogue.Now().Categories[in.Category].Sensitive()}
	if in.Department != 0 {
		a.Departments = []int64{in.Department}
	}
	for _, d := range in.Assistants {
		if d != in.Department {
			a.Departments = append(a.Departments, d)
		}
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
