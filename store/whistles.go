// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
)

// Whistle is a whistle as the record holds it, with what those who are called have to
// know of the incident. It has no personal field but what people wrote.
type Whistle struct {
	dispatch.Whistle
	MadeBy string // the actor
	About  CalledTo
}

// CalledTo is what a called department, or a worker who is asked, is told of the incident.
type CalledTo struct {
	Category string
	Priority int
	State    dispatch.State
	Title    string
	Address  string
	Point    *geo.WGS84
	GridID   int64
	GridNo   int32
}

const whistleColumns = `w.id, w.incident_id, w.ver, w.state, w.made_by, w.made_at, w.due, w.radius_m, w.note, w.ended_at, w.reason,
 i.category, i.priority, i.state, i.title, i.address, i.geom, i.grid_id, i.grid_no`

const fromWhistle = " FROM whistle w JOIN incident i ON i.id = w.incident_id "

func scanWhistle(row pgx.CollectableRow) (w Whistle, err error) {
	var radius float32
	err = row.Scan(&w.ID, &w.Incident, &w.Ver, &w.State, &w.MadeBy, &w.MadeAt, &w.Due, &radius, &w.Note, &w.EndedAt, &w.Reason,
		&w.About.Category, &w.About.Priority, &w.About.State, &w.About.Title, &w.About.Address, &w.About.Point, &w.About.GridID, &w.About.GridNo)
	w.RadiusM = float64(radius)
	w.Settle()
	return w, err
}

// Settle rounds every time as the database keeps it, like Incident.Settle.
func (w *Whistle) Settle() {
	settle(&w.MadeAt, &w.Due)
	settleOptional(&w.EndedAt)
	for i := range w.Calls {
		c := &w.Calls[i]
		settleOptional(&c.ReportedAt, &c.SaidAt, &c.ArrivedAt)
		if c.Fix != nil {
			f := *c.Fix
			settle(&f.At)
			c.Fix = &f
		}
	}
}

func settle(times ...*time.Time) {
	for _, t := range times {
		*t = t.UTC().Truncate(time.Microsecond)
	}
}

func settleOptional(times ...**time.Time) {
	for _, t := range times {
		if *t != nil {
			at := (*t).UTC().Truncate(time.Microsecond)
			*t = &at
		}
	}
}

// whistlesInScope adds the condition that the whistle w of the incident i may be read in
// s: for a department's own scope the running whistles that call it, and those that are
// over of incidents which it leads or assists with, else those of incidents in scope.
func (q *query) whistlesInScope(s auth.Scope) *query {
	q.whistlesCalling(s)
	if department, only := s.Department(); only {
		q.add(`AND (w.state = 'running' OR i.department_id = ?
			OR EXISTS (SELECT FROM incident_assistant d WHERE d.incident_id = i.id AND d.department_id = ? AND d.until IS NULL)) `, department, department)
	}
	return q
}

// whistlesCalling adds the condition that the whistle w of the incident i calls the
// department whose scope s is, running or over, or that its incident lies in s.
func (q *query) whistlesCalling(s auth.Scope) *query {
	department, only := s.Department()
	if !only {
		return q.incidentsInScope(s, "i")
	}
	q.inScope(s, "i.grid_no")
	if !s.Sensitive() {
		q.add("AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none') ")
	}
	return q.add("AND EXISTS (SELECT FROM whistle_call c WHERE c.whistle_id = w.id AND c.department_id = ?) ", department)
}

// FindWhistle returns the whistle with this id for an act on it, or ErrNotFound when
// there is none, it is out of scope or does not call the department whose scope it is.
// One that is over a department may not read any more: see Over.
func FindWhistle(ctx context.Context, tx Querier, s auth.Scope, id int64) (Whistle, error) {
	var q query
	q.add("SELECT "+whistleColumns+fromWhistle+"WHERE w.id = ? AND ", id).whistlesCalling(s)
	found, err := whistlesBy(ctx, tx, &q)
	switch {
	case err != nil:
		return Whistle{}, err
	case len(found) == 0:
		return Whistle{}, fmt.Errorf("store: whistle %d: %w", id, ErrNotFound)
	}
	return found[0], nil
}

// Over is w without what it tells of the incident once it is over, for a department's
// own scope: to be called is a reason to know of it for as long as the whistle runs.
func (w Whistle) Over(s auth.Scope) Whistle {
	if _, only := s.Department(); only && w.State != dispatch.WhistleRunning {
		w.About, w.Note = CalledTo{}, ""
	}
	return w
}

// RunningWhistle is the whistle that an incident runs, whose row tx holds until its
// end, as of then; ErrNotFound when there is none.
func RunningWhistle(ctx context.Context, tx Querier, s auth.Scope, incident int64) (Whistle, error) {
	var id int64
	err := tx.QueryRow(ctx, "SELECT id FROM whistle WHERE incident_id = $1 AND state = 'running' FOR UPDATE", incident).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Whistle{}, fmt.Errorf("store: whistle of incident %d: %w", incident, ErrNotFound)
	}
	if err != nil {
		return Whistle{}, fmt.Errorf("store: whistle of incident %d: %w", incident, err)
	}
	return FindWhistle(ctx, tx, s, id)
}

// WhistlesOf lists every whistle of an incident, oldest first. It is ErrNotFound when
// the incident is out of scope; for a department's own scope, when none calls it.
func (db *DB) WhistlesOf(ctx context.Context, s auth.Scope, incident int64) ([]Whistle, error) {
	var q query
	q.add("SELECT "+whistleColumns+fromWhistle+"WHERE w.incident_id = ? AND ", incident).whistlesInScope(s).add(" ORDER BY w.id")
	found, err := whistlesBy(ctx, db.Pool, &q)
	if err != nil || len(found) > 0 {
		return found, err
	}
	_, err = db.Incident(ctx, s, auth.CaseView, incident)
	return found, err
}

// RunningWhistles lists the running whistles in scope, oldest first, after the one with
// id after.
func (db *DB) RunningWhistles(ctx context.Context, s auth.Scope, after int64, limit int) ([]Whistle, error) {
	var q query
	q.add("SELECT "+whistleColumns+fromWhistle+"WHERE w.state = 'running' AND w.id > ? AND ", after).whistlesInScope(s).add(" ORDER BY w.id LIMIT ?", limit)
	return whistlesBy(ctx, db.Pool, &q)
}

// RunningWhistlesOn are the running whistles of these incidents.
func RunningWhistlesOn(ctx context.Context, tx Querier, s auth.Scope, incidents []int64) ([]Whistle, error) {
	var q query
	q.add("SELECT "+whistleColumns+fromWhistle+"WHERE w.state = 'running' AND w.incident_id = ANY (?) AND ", incidents).whistlesInScope(s).add(" ORDER BY w.id")
	return whistlesBy(ctx, tx, &q)
}

// whistlesBy reads whistles with their calls.
func whistlesBy(ctx context.Context, tx Querier, q *query) ([]Whistle, error) {
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: whistles: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanWhistle)
	if err != nil {
		return nil, fmt.Errorf("store: whistles: %w", err)
	}
	at, ids := map[int64]int{}, make([]int64, len(out))
	for i, w := range out {
		at[w.ID], ids[i] = i, w.ID
	}
	if rows, err = tx.Query(ctx, `SELECT whistle_id, department_id, lead, reported_at, said_at, arrived_at, fix, raw_lon, raw_lat, raw_datum, fix_at,
		coalesce(accuracy_m, 0), distance_m, late FROM whistle_call WHERE whistle_id = ANY ($1) ORDER BY whistle_id, lead DESC, department_id`, ids); err != nil {
		return nil, fmt.Errorf("store: calls of whistles: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var c dispatch.WhistleCall
		var point *geo.WGS84
		var lon, lat *float64
		var datum *string
		var fixAt *time.Time
		var accuracy float32
		var distance *float32
		if err := rows.Scan(&id, &c.Department, &c.Lead, &c.ReportedAt, &c.SaidAt, &c.ArrivedAt, &point, &lon, &lat, &datum, &fixAt, &accuracy, &distance, &c.Late); err != nil {
			return nil, fmt.Errorf("store: calls of whistles: %w", err)
		}
		if point != nil && fixAt != nil {
			c.Fix = &dispatch.Fix{Raw: geo.Raw{Lon: *lon, Lat: *lat, Datum: geo.Datum(*datum)}, Point: *point, AccuracyM: float64(accuracy), At: *fixAt}
		}
		if distance != nil {
			m := float64(*distance)
			c.DistanceM = &m
		}
		w := &out[at[id]]
		w.Calls = append(w.Calls, c)
	}
	for i := range out {
		out[i].Settle()
	}
	return out, rows.Err()
}

// PublicWhistle is a whistle as events and answers carry it: its whole public state. It
// holds nothing that anybody wrote, and no position: how far a fix was, and no more.
type PublicWhistle struct {
	ID         string       `json:"id"`
	IncidentID string       `json:"incident_id"`
	Number     string       `json:"number" doc:"Of the incident"`
	State      string       `json:"state" enum:"running,met,ended" doc:"met: everybody who was called is there"`
	Ver        int          `json:"ver"`
	MadeBy     string       `json:"made_by" doc:"The actor, as the journal names it"`
	MadeAt     time.Time    `json:"made_at"`
	Due        time.Time    `json:"due" doc:"By when all have to be there"`
	RadiusM    float64      `json:"radius_m" doc:"How near, in metres, somebody has to be who has arrived"`
	EndedAt    *time.Time   `json:"ended_at"`
	Arrived    int          `json:"arrived" doc:"How many of those called are there"`
	Calls      []PublicCall `json:"calls" doc:"The lead first"`
}

// PublicCall is one called department.
type PublicCall struct {
	Department string     `json:"department"`
	Lead       bool       `json:"lead" doc:"Whose matter it is; the others assist"`
	State      string     `json:"state" enum:"called,reported,said,arrived" doc:"said: by word alone; arrived: a fix near the place shows it"`
	ReportedAt *time.Time `json:"reported_at"`
	SaidAt     *time.Time `json:"said_at" doc:"It said that it is there"`
	ArrivedAt  *time.Time `json:"arrived_at" doc:"A fix showed that it is there"`
	DistanceM  *float64   `json:"distance_m" doc:"How many metres from the place its last fix was"`
	AccuracyM  *float64   `json:"accuracy_m" doc:"Of that fix"`
	Late       bool       `json:"late" doc:"It was not there at the limit"`
}

// Public renders a whistle for events and answers; names are the departments'.
func (w Whistle) Public(names map[int64]string) PublicWhistle {
	p := PublicWhistle{
		ID: fmt.Sprint(w.ID), IncidentID: fmt.Sprint(w.Incident), Number: IncidentNumber(w.Incident), State: string(w.State), Ver: w.Ver, MadeBy: w.MadeBy,
		MadeAt: w.MadeAt, Due: w.Due, RadiusM: w.RadiusM, EndedAt: w.EndedAt, Arrived: w.Arrived(), Calls: []PublicCall{},
	}
	for _, c := range w.Calls {
		pc := PublicCall{
			Department: names[c.Department], Lead: c.Lead, State: c.State(), ReportedAt: c.ReportedAt, SaidAt: c.SaidAt, ArrivedAt: c.ArrivedAt,
			DistanceM: c.DistanceM, Late: c.Late,
		}
		if c.Fix != nil {
			pc.AccuracyM = &c.Fix.AccuracyM
		}
		p.Calls = append(p.Calls, pc)
	}
	return p
}

// WhistlePayload encodes a whistle for an event. A wall is told nothing of whistles:
// there is no shared view of one.
func WhistlePayload(w Whistle, names map[int64]string) (json.RawMessage, error) {
	raw, err := json.Marshal(w.Public(names))
	if err != nil {
		return nil, fmt.Errorf("store: encode whistle %d: %w", w.ID, err)
	}
	return raw, nil
}
