// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/feed"
	"onemap/geo"
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

// act moves an incident on.
func (l *Ledger) act(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
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
	in, err = l.step(ctx, tx, actor, c, in, a.Act)
	return Result{Incident: in}, err
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
	if err != nil {
		return in, err
	}
	return l.write(ctx, tx, actor, c, in, f.Stage, ch)
}

// facts gathers what the rules look at.
func (l *Ledger) facts(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, a dispatch.Act) (dispatch.Facts, error) {
	clocks := l.o.Catalogue.Now().Clocks
	f := dispatch.Facts{
		Incident: in.Incident, Category: l.o.Catalogue.Now().Categories[in.Category], Depth: in.Place.GridLevel, Department: in.Department,
		Calendar: clocks.Calendar, Limits: clocks.Levels, Now: l.o.Now(), Outside: in.Outside, Approved: a.Request != 0,
	}
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
		if l.o.Staffed != nil && a.Department != 0 && a.Department != f.Stage.Department {
			staffed := false
			staffed, err = l.o.Staffed(ctx, tx, a.Department, in, f.Now)
			f.NoLiaison = !staffed
		}
	case dispatch.Reopen:
		err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM call_back WHERE closes_id = $1 AND outcome = 'unsatisfied')", in.ID).Scan(&f.Unsatisfied)
	}
	return f, err
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
