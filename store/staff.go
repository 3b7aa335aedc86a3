// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/people"
)

// Serving is a worker who serves a grid at a time, as everybody may know one.
type Serving struct {
	Worker   uint32
	Badge    string
	Role     string // head, deputy or worker
	Skills   []string
	From, To string // days as yyyy-MM-dd; no longer on To, "" for no end
}

// ServingGrid lists the active workers who serve a grid of the county with this
// root on the day of at in China: its head first, then deputies, then workers. no is
// the grid's number, by which the scope is asked.
func ServingGrid(ctx context.Context, tx Querier, s auth.Scope, root, code string, no int32, at time.Time) ([]Serving, error) {
	if !s.Sees(no) {
		return nil, fmt.Errorf("store: who serves grid %s: %w", code, ErrNotFound)
	}
	rows, err := tx.Query(ctx, `SELECT w.id, w.badge, wg.role, w.skills, wg.valid_from::text, coalesce(wg.valid_to::text, '')
		FROM worker_grid wg JOIN worker w ON w.id = wg.worker_id AND w.active
		WHERE wg.grid_code = $1 AND coalesce(wg.root_code, $2) = $2 AND wg.valid_from <= $3 AND (wg.valid_to IS NULL OR wg.valid_to > $3)
		ORDER BY array_position('{head,deputy,worker}', wg.role), w.badge`, code, root, people.Local(at).Format(time.DateOnly))
	if err != nil {
		return nil, fmt.Errorf("store: who serves grid %s: %w", code, err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v Serving, err error) {
		var id int64
		err = row.Scan(&id, &v.Badge, &v.Role, &v.Skills, &v.From, &v.To)
		v.Worker = uint32(id)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: who serves grid %s: %w", code, err)
	}
	return out, nil
}

// Unstaffed lists the numbers of the grids in force and in scope that no active
// worker serves on the day of at in China: those of one level, or with level 0 those
// without a grid below.
func Unstaffed(ctx context.Context, tx Querier, s auth.Scope, level int, at time.Time) ([]int32, error) {
	day := people.Local(at).Format(time.DateOnly)
	var q query
	q.add("SELECT g.no FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' WHERE ").inScope(s, "g.no")
	if level == 0 {
		q.add("AND g.no = g.last_no ")
	} else {
		q.add("AND g.level = ? ", level)
	}
	q.add(`AND NOT EXISTS (SELECT FROM worker_grid wg JOIN worker w ON w.id = wg.worker_id AND w.active
		WHERE wg.grid_code = g.code AND coalesce(wg.root_code, v.root_code) = v.root_code AND wg.valid_from <= ? AND (wg.valid_to IS NULL OR wg.valid_to > ?))
		ORDER BY g.no`, day, day)
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: grids without a worker: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, fmt.Errorf("store: grids without a worker: %w", err)
	}
	return out, nil
}

// Staff is somebody who is named for a duty: an account or a worker, never both.
type Staff struct {
	Account int64
	Login   string // of the account
	Worker  uint32
	Badge   string // of the worker
}

// ErrNoStaff refuses to name somebody who is not there, or of another county.
var ErrNoStaff = errors.New("no active account with this login and no active worker with this badge belongs to this county")

// FindStaff finds the active account with this login, whose grant or worker is of the
// county, or the active worker with this badge who serves a grid of it. Exactly one
// of login and badge is given.
func FindStaff(ctx context.Context, tx Querier, root, login, badge string, at time.Time) (Staff, error) {
	day := people.Local(at).Format(time.DateOnly)
	const serves = `EXISTS (SELECT FROM worker_grid wg WHERE wg.worker_id = w.id AND coalesce(wg.root_code, $2) = $2
		AND EXISTS (SELECT FROM grid g JOIN grid_version v ON v.id = g.version_id WHERE v.root_code = $2 AND g.code = wg.grid_code AND g.no IS NOT NULL)
		AND (wg.valid_to IS NULL OR wg.valid_to > $3))`
	var s Staff
	var id int64
	var err error
	if badge != "" {
		s.Badge = badge
		err = tx.QueryRow(ctx, "SELECT w.id FROM worker w WHERE w.badge = $1 AND w.active AND "+serves, badge, root, day).Scan(&id)
		s.Worker = uint32(id)
	} else {
		s.Login = login
		err = tx.QueryRow(ctx, `SELECT a.id FROM account a LEFT JOIN worker w ON w.id = a.worker_id WHERE a.login = $1 AND a.state = 'active' AND (`+serves+`
			OR EXISTS (SELECT FROM account_grant r WHERE r.account_id = a.id AND r.state = 'active' AND coalesce(r.root_code, $2) = $2))`, login, root, day).Scan(&s.Account)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return Staff{}, ErrNoStaff
	}
	if err != nil {
		return Staff{}, fmt.Errorf("store: find staff: %w", err)
	}
	return s, nil
}

// DutyOfficer is who answers for a grid from From (included) to To (excluded).
type DutyOfficer struct {
	ID         int64
	Root, Grid string // codes of the county and the grid
	No         int32  // the grid's number in force; 0 when there is none
	Level      int
	Staff      Staff
	Active     bool // the account or the worker is
	From, To   time.Time
}

// ErrOfficerThen refuses a second duty officer of a grid at one time.
var ErrOfficerThen = errors.New("this grid has a duty officer in that time already: end that one first, or choose another time")

// SaveDutyOfficer notes who answers for a grid. The caller has checked the grid and
// the staff.
func SaveDutyOfficer(ctx context.Context, tx pgx.Tx, o DutyOfficer, by string, now time.Time) (int64, error) {
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO duty_officer (root_code, grid_code, account_id, worker_id, from_at, to_at, made_by, made_at)
		VALUES ($1, $2, nullif($3::bigint, 0), nullif($4::bigint, 0), $5, $6, $7, $8) RETURNING id`,
		o.Root, o.Grid, o.Staff.Account, int64(o.Staff.Worker), o.From, o.To, by, now).Scan(&id)
	if refused(err, "duty_officer_one") {
		return 0, ErrOfficerThen
	}
	if err != nil {
		return 0, fmt.Errorf("store: duty officer: %w", err)
	}
	return id, nil
}

// refused reports whether the database refused a row because of this constraint.
func refused(err error, constraint string) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.ConstraintName == constraint
}

const dutyColumns = `d.id, d.root_code, d.grid_code, coalesce(g.no, 0), coalesce(g.level, 0)::int, coalesce(d.account_id, 0), coalesce(a.login, ''),
	coalesce(d.worker_id, 0), coalesce(w.badge, ''), coalesce(a.state = 'active', w.active), d.from_at, d.to_at
	FROM duty_officer d LEFT JOIN account a ON a.id = d.account_id LEFT JOIN worker w ON w.id = d.worker_id
	LEFT JOIN (grid g JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted') ON v.root_code = d.root_code AND g.code = d.grid_code `

func scanDuty(row pgx.CollectableRow) (o DutyOfficer, err error) {
	var worker int64
	err = row.Scan(&o.ID, &o.Root, &o.Grid, &o.No, &o.Level, &o.Staff.Account, &o.Staff.Login, &worker, &o.Staff.Badge, &o.Active, &o.From, &o.To)
	o.Staff.Worker = uint32(worker)
	return o, err
}

// maxDuties bounds a list of duty officers.
const maxDuties = 2000

// DutyOfficers lists who answers for the grids in scope at some time from from
// (included) to to (excluded), by grid and time; at most 2,000.
func DutyOfficers(ctx context.Context, tx Querier, s auth.Scope, from, to time.Time) ([]DutyOfficer, error) {
	var q query
	q.add("SELECT "+dutyColumns+"WHERE d.from_at < ? AND d.to_at > ? AND ", to, from).inScope(s, "g.no").add("ORDER BY g.no, d.from_at LIMIT ?", maxDuties)
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: duty officers: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanDuty)
	if err != nil {
		return nil, fmt.Errorf("store: duty officers: %w", err)
	}
	return out, nil
}

// EndDutyOfficer takes a duty that has not begun back, and ends at now one that has.
// It is ErrNotFound for one that is over, unknown or beyond the scope.
func EndDutyOfficer(ctx context.Context, tx pgx.Tx, s auth.Scope, id int64, now time.Time) (DutyOfficer, error) {
	now = now.UTC().Truncate(time.Microsecond)
	var q query
	q.add("SELECT "+dutyColumns+"WHERE d.id = ? AND d.to_at > ? AND ", id, now).inScope(s, "g.no").add("FOR UPDATE OF d")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return DutyOfficer{}, fmt.Errorf("store: end a duty: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanDuty)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return o, fmt.Errorf("store: duty %d: %w", id, ErrNotFound)
	case err != nil:
		return o, fmt.Errorf("store: end a duty: %w", err)
	case o.From.Before(now):
		o.To = now
		_, err = tx.Exec(ctx, "UPDATE duty_officer SET to_at = $2 WHERE id = $1", id, now)
	default:
		_, err = tx.Exec(ctx, "DELETE FROM duty_officer WHERE id = $1", id)
	}
	if err != nil {
		return o, fmt.Errorf("store: end a duty: %w", err)
	}
	return o, nil
}

// DutyHole is a grid that had no duty officer when one was asked for.
type DutyHole struct {
	Root, Grid string
	No         int32
	Level      int
}

// OfficerOf finds who answers at a time for the grid with this number, of any
// version: its own duty officer, else that of the nearest grid above. holes are the
// grids passed over, the deepest first; officer is nil when nobody answers, up to the
// county. Whoever is no longer active is a hole. It runs inside the transaction of
// the clock that asks.
func OfficerOf(ctx context.Context, tx Querier, no int32, at time.Time) (officer *DutyOfficer, holes []DutyHole, err error) {
	chain, err := dutyChain(ctx, tx, no, at)
	if err != nil {
		return nil, nil, err
	}
	for i, o := range chain {
		if o.answers(false) {
			return &chain[i].DutyOfficer, holes, nil
		}
		holes = append(holes, DutyHole{o.Root, o.Grid, o.No, o.Level})
	}
	return nil, holes, nil
}

// dutyLink is a grid with who answers for it, if anybody: then ID is not 0.
type dutyLink struct {
	DutyOfficer
	account   int64 // by which the officer signs in; 0 for none
	sensitive bool  // that account handles sensitive matters of the grid that was asked for
}

// answers reports whether somebody has the duty who may know of the matter.
func (o dutyLink) answers(sensitive bool) bool {
	return o.ID != 0 && o.Active && (o.sensitive || !sensitive)
}

// actor is what the officer is called in the record.
func (o dutyLink) actor() string {
	if o.account != 0 {
		return fmt.Sprintf("account:%d", o.account)
	}
	return WorkerActor(o.Staff.Worker)
}

// WorkerActor is what the record calls a worker who has a duty and no account.
func WorkerActor(worker uint32) string { return fmt.Sprintf("worker:%d", worker) }

// dutyChain is the grid with this number, of any version, and those above it, each with
// who answers for it at a time, the deepest first.
func dutyChain(ctx context.Context, tx Querier, no int32, at time.Time) ([]dutyLink, error) {
	rows, err := tx.Query(ctx, `WITH RECURSIVE up AS (
			SELECT g.id, g.parent_id, g.code, g.level, g.no, v.root_code FROM grid g JOIN grid_version v ON v.id = g.version_id WHERE g.no = $1
			UNION ALL SELECT p.id, p.parent_id, p.code, p.level, p.no, up.root_code FROM up JOIN grid p ON p.id = up.parent_id)
		SELECT coalesce(d.id, 0), up.root_code, up.code, up.no, up.level::int, coalesce(d.account_id, 0), coalesce(a.login, ''), coalesce(d.worker_id, 0),
			coalesce(w.badge, ''), coalesce(a.state = 'active', w.active, false), coalesce(d.from_at, $2), coalesce(d.to_at, $2), coalesce(own.id, 0),
			EXISTS (SELECT FROM account_grant r JOIN up h ON r.grid_code = h.code AND r.root_code = h.root_code OR r.grid_code IS NULL AND h.level = 1
				WHERE r.account_id = own.id AND r.state = 'active' AND r.sensitive AND r.role IN ('hall_operator', 'dispatcher', 'town_operator'))
		FROM up LEFT JOIN duty_officer d ON d.root_code = up.root_code AND d.grid_code = up.code AND d.from_at <= $2 AND d.to_at > $2
		LEFT JOIN account a ON a.id = d.account_id LEFT JOIN worker w ON w.id = d.worker_id
		LEFT JOIN account own ON (own.id = d.account_id OR own.worker_id = d.worker_id) AND own.state = 'active'
		ORDER BY up.level DESC`, no, at)
	if err != nil {
		return nil, fmt.Errorf("store: duty officer of grid %d: %w", no, err)
	}
	chain, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o dutyLink, err error) {
		var worker int64
		err = row.Scan(&o.ID, &o.Root, &o.Grid, &o.No, &o.Level, &o.Staff.Account, &o.Staff.Login, &worker, &o.Staff.Badge, &o.Active, &o.From, &o.To, &o.account, &o.sensitive)
		o.Staff.Worker = uint32(worker)
		return o, err
	})
	if err == nil && len(chain) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("store: duty officer of grid %d: %w", no, err)
	}
	return chain, nil
}

// DutyHoles are the numbers of the grids in force and in scope with grids below them
// that have no active duty officer at a time, in order: what the clocks below would
// pass over.
func DutyHoles(ctx context.Context, tx Querier, s auth.Scope, at time.Time) ([]int32, error) {
	var q query
	q.add("SELECT g.no FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' WHERE g.last_no > g.no AND ").inScope(s, "g.no")
	q.add(`AND NOT EXISTS (SELECT FROM duty_officer d LEFT JOIN account a ON a.id = d.account_id LEFT JOIN worker w ON w.id = d.worker_id
		WHERE d.root_code = v.root_code AND d.grid_code = g.code AND d.from_at <= ? AND d.to_at > ? AND coalesce(a.state = 'active', w.active))
		ORDER BY g.no LIMIT ?`, at, at, maxDuties)
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: grids without a duty officer: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return nil, fmt.Errorf("store: grids without a duty officer: %w", err)
	}
	return out, nil
}
