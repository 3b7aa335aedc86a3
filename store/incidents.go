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
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/paulmach/orb"

	"onemap/analysis"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/geo/cell"
)

// Incident is an incident as the record holds it. It has no personal field.
type Incident struct {
	dispatch.Incident
	Title, Text        string
	Source, ExternalID string
	Place              dispatch.Place
	Department         int64
	OccurredAt         *time.Time
	ReceivedAt         time.Time
	History            bool
	Outside            *dispatch.Limit // that an outside letter came with; nil for none
	FirstAsked         string          // who took it in; only written
	Workers            []int64         // whose work it is; read only where it is locked to be changed
	Assistants         []int64         // departments that assist; likewise
}

// Settle rounds every time as the database keeps it, microseconds in UTC, so that
// an incident just written and the same one read again are told alike.
func (in *Incident) Settle() {
	for _, t := range []*time.Time{
		&in.ReportedAt, &in.ReceivedAt, in.AckDue, in.StageDue, in.AcknowledgedAt, in.OnSceneAt, in.ResolvedAt, in.ClosedAt, in.OccurredAt, in.ReviewAt,
	} {
		if t != nil {
			*t = t.UTC().Truncate(time.Microsecond)
		}
	}
}

const incidentColumns = `i.id, i.version, i.state, i.priority, i.owner_level, i.category, i.reported_at, i.ack_due,
 i.stage_due, i.due_rule, i.acknowledged_at, i.on_scene_at, i.resolved_at, i.closed_at, i.title, i.body, i.source,
 coalesce(i.external_id, ''), i.place, i.geom, i.raw_lon, i.raw_lat, i.raw_datum, i.address, i.grid_id, i.grid_no,
 g.level, g.version_id, i.cell6, i.cell7, i.cell8, i.cell9, coalesce(i.department_id, 0), i.occurred_at, i.received_at,
 i.history, i.found, i.stage, i.late, coalesce(i.resolved_level, 0), i.reopened, i.review_at, coalesce(i.merged_into, 0),
 i.outside_value, i.outside_unit`

// sharedColumns are incidentColumns for the shared view: the columns a wall's role
// of the database may not read are empty.
const sharedColumns = `i.id, i.version, i.state, i.priority, i.owner_level, i.category, i.reported_at, i.ack_due,
 i.stage_due, '', i.acknowledged_at, i.on_scene_at, i.resolved_at, i.closed_at, '', '', i.source,
 '', i.place, i.geom, NULL::float8, NULL::float8, NULL::text, '', i.grid_id, i.grid_no,
 g.level, g.version_id, i.cell6, i.cell7, i.cell8, i.cell9, coalesce(i.department_id, 0), i.occurred_at, i.received_at,
 i.history, CASE WHEN i.accuracy_m IS NOT NULL THEN jsonb_build_object('accuracy_m', i.accuracy_m) END, 0, i.late, 0, 0, NULL::timestamptz, 0,
 NULL::integer, NULL::text`

// selectIncidents begins a query for incidents as a view shows them.
func selectIncidents(v auth.View) *query {
	var q query
	if v == auth.CaseView {
		return q.add("SELECT " + incidentColumns + fromIncident)
	}
	return q.add("SELECT " + sharedColumns + fromIncident)
}

const fromIncident = " FROM incident i JOIN grid g ON g.id = i.grid_id "

func scanIncident(row pgx.CollectableRow) (Incident, error) {
	var in Incident
	var point *geo.WGS84
	var lon, lat *float64
	var datum *string
	var cells [4]*int64
	var found *FoundPlace
	var limit *int
	var unit *string
	err := row.Scan(&in.ID, &in.Version, &in.State, &in.Priority, &in.OwnerLevel, &in.Category, &in.ReportedAt, &in.AckDue,
		&in.StageDue, &in.DueRule, &in.AcknowledgedAt, &in.OnSceneAt, &in.ResolvedAt, &in.ClosedAt, &in.Title, &in.Text, &in.Source,
		&in.ExternalID, &in.Place.Kind, &point, &lon, &lat, &datum, &in.Place.Address, &in.Place.GridID, &in.Place.GridNo,
		&in.Place.GridLevel, &in.Place.GridVersion, &cells[0], &cells[1], &cells[2], &cells[3], &in.Department, &in.OccurredAt,
		&in.ReceivedAt, &in.History, &found, &in.Stage, &in.Late, &in.ResolvedLevel, &in.Reopened, &in.ReviewAt, &in.MergedInto,
		&limit, &unit)
	if err != nil {
		return in, err
	}
	in.Place.Point, in.Place.Found = point, found.found()
	in.Settle()
	if limit != nil && unit != nil {
		in.Outside = &dispatch.Limit{Value: *limit, Unit: calendar.Unit(*unit)}
	}
	if lon != nil && lat != nil && datum != nil {
		in.Place.Raw = &geo.Raw{Lon: *lon, Lat: *lat, Datum: geo.Datum(*datum)}
	}
	for i, c := range cells {
		if c != nil {
			in.Place.Cells[i] = cell.Cell(uint64(*c))
		}
	}
	return in, nil
}

// Incident returns the incident with this id, or ErrNotFound when there is none
// or it is out of scope.
func (db *DB) Incident(ctx context.Context, s auth.Scope, v auth.View, id int64) (Incident, error) {
	return FindIncident(ctx, db.Pool, s, v, id, false)
}

// Querier is what reads run on: the pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// FindIncident is Incident inside a transaction; lock holds the row until its end.
func FindIncident(ctx context.Context, tx Querier, s auth.Scope, v auth.View, id int64, lock bool) (Incident, error) {
	q := selectIncidents(v).add(" WHERE i.id = ? AND ", id).incidentsInScope(s, "i")
	if lock {
		q.add(" FOR UPDATE OF i")
	}
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Incident{}, fmt.Errorf("store: incident %d: %w", id, err)
	}
	in, err := pgx.CollectExactlyOneRow(rows, scanIncident)
	if lock && errors.Is(err, pgx.ErrNoRows) {
		// Waited for a redraw of the grids: joined to its former grid the row is not
		// found any more. A second look begins after the redraw.
		if rows, err = tx.Query(ctx, q.sql.String(), q.args...); err != nil {
			return Incident{}, fmt.Errorf("store: incident %d: %w", id, err)
		}
		in, err = pgx.CollectExactlyOneRow(rows, scanIncident)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return Incident{}, fmt.Errorf("store: incident %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Incident{}, fmt.Errorf("store: incident %d: %w", id, err)
	}
	if lock {
		err = tx.QueryRow(ctx, `SELECT (SELECT coalesce(array_agg(DISTINCT worker_id), '{}') FROM incident_worker WHERE incident_id = $1 AND until IS NULL),
			(SELECT coalesce(array_agg(department_id ORDER BY department_id), '{}') FROM incident_assistant WHERE incident_id = $1 AND until IS NULL)`, id).Scan(&in.Workers, &in.Assistants)
		if err != nil {
			return Incident{}, fmt.Errorf("store: workers and assistants of incident %d: %w", id, err)
		}
	}
	return in, nil
}

// IncidentFilter narrows a list of incidents; zero fields do not.
type IncidentFilter struct {
	Bound    *orb.Bound // WGS-84; incidents without a point are then left out
	From, To time.Time  // reported in [From, To)
	Category string     // a category, or a top category with all below it
	// TopCategory says that Category is a top category.
	TopCategory bool
	States      []string
	Open        *bool
	Grids       []auth.Interval // grid numbers of one of these subtrees; none for any
	// MustFind says that the reader may know of Grids only by what lies in them: a
	// list of nothing is to be answered as if there were no such grid.
	MustFind bool
	// The rows of figures. Level and department are of the side that a figure is of:
	// with Due of the stage whose limit it was, with Closed of who solved it, else of
	// who owns it. See docs/FIGURES.md.
	Closed     *analysis.Period // closed then, and closed still
	Due        *analysis.Period // its limit ended then, and before At
	Outcomes   []string         // with Due: what became of the limit
	Level      *int             // 0 for one not known
	Department *int64           // 0 for none
	Reopened   *bool
	OnTheSpot  *bool
	NoLimit    *bool
	Place      string    // how well its place is known
	Cell       cell.Cell // of resolution 6 to 9; 0 for any. Without what no cell counts: see CellCounts
	Text       string    // part of the title, the text or the address
	Overdue    *bool     // the stage's due time has passed (as of At) and it is open
	At         time.Time
	After      *IncidentCursor // keyset: continue after this row
	Limit      int
}

// ofFigures says whether f asks for the rows of figures.
func (f IncidentFilter) ofFigures() bool {
	return f.Closed != nil || f.Due != nil || len(f.Outcomes) > 0 || f.Level != nil || f.Department != nil || f.Reopened != nil || f.OnTheSpot != nil || f.NoLimit != nil || f.Place != ""
}

// IncidentCursor is the place of a row in a list, newest report first.
type IncidentCursor struct {
	ReportedAt time.Time
	ID         int64
}

// ErrFinerThanView refuses a filter by what the reader's view does not show: an
// answer to it would tell.
var ErrFinerThanView = errors.New("this view lists by period, state, priority and top category alone")

// Incidents lists incidents in scope, newest report first. In the shared view a
// filter by place, text or a category below the top is ErrFinerThanView.
func (db *DB) Incidents(ctx context.Context, s auth.Scope, v auth.View, f IncidentFilter) ([]Incident, error) {
	if v != auth.CaseView && (f.Bound != nil || f.Cell != 0 || f.Text != "" || len(f.Grids) > 0 || f.Category != "" && !f.TopCategory || f.ofFigures()) {
		return nil, fmt.Errorf("store: list incidents: %w", ErrFinerThanView)
	}
	q := selectIncidents(v).add(" WHERE ").incidentsInScope(s, "i")
	q.filtered(f)
	if v != auth.CaseView && f.Category != "" {
		q.add(" AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')") // shown as of no category
	}
	if f.After != nil {
		q.add(" AND (i.reported_at, i.id) < (?, ?)", f.After.ReportedAt, f.After.ID)
	}
	q.add(" ORDER BY i.reported_at DESC, i.id DESC LIMIT ?", f.Limit)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: list incidents: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, fmt.Errorf("store: list incidents: %w", err)
	}
	return out, nil
}

// JournalEntry is one act in an incident's life.
type JournalEntry struct {
	N        int
	Version  int
	Kind     string
	From, To string
	Actor    string
	At       time.Time
	DeviceAt *time.Time
	Reason   string
	Moved    *GridMove      // of a redraw; nil for every other entry
	Data     map[string]any // what else the act brought; nil for a redraw
}

// GridMove is how a redraw moved an incident.
type GridMove struct {
	From GridStand `json:"from"`
	To   GridStand `json:"to"`
}

// GridStand is where an incident stood in one version: whether in a grid, and the
// codes of its grids, the county first.
type GridStand struct {
	Version int32    `json:"version"`
	Place   string   `json:"place"`
	Path    []string `json:"path"`
}

// Journal returns every act on the incident, oldest first, or ErrNotFound.
func (db *DB) Journal(ctx context.Context, s auth.Scope, v auth.View, id int64) ([]JournalEntry, error) {
	if _, err := db.Incident(ctx, s, v, id); err != nil {
		return nil, err
	}
	return journalOf(ctx, db.Pool, id)
}

func journalOf(ctx context.Context, tx Querier, id int64) ([]JournalEntry, error) {
	rows, err := tx.Query(ctx, `SELECT n, version, kind, coalesce(from_state, ''), coalesce(to_state, ''), actor, at, device_at, reason,
		data FROM incident_journal WHERE incident_id = $1 ORDER BY n`, id)
	if err != nil {
		return nil, fmt.Errorf("store: journal of incident %d: %w", id, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (e JournalEntry, err error) {
		var device pgtype.Timestamptz
		var raw []byte
		err = r.Scan(&e.N, &e.Version, &e.Kind, &e.From, &e.To, &e.Actor, &e.At, &device, &e.Reason, &raw)
		switch {
		case err != nil || raw == nil:
		case e.Kind == "regrid":
			e.Moved = &GridMove{}
			err = json.Unmarshal(raw, e.Moved)
		default:
			err = json.Unmarshal(raw, &e.Data)
		}
		if device.Valid {
			e.DeviceAt = &device.Time
		}
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: journal of incident %d: %w", id, err)
	}
	return out, nil
}
