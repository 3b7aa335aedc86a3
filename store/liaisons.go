// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/people"
)

// DutyMode is when a department has its people in the centre of a county.
type DutyMode string

// The duty modes.
const (
	Resident DutyMode = "resident" // 常驻: always
	Rotating DutyMode = "rotating" // 轮驻: on days of the week
	OnCall   DutyMode = "on_call"  // 随叫随驻: when called
)

// Liaison is whom a department of a county is reached by.
type Liaison struct {
	ID         int64
	Department int64
	Root       string
	Role       string // liaison or backup
	Staff      Staff
	Active     bool   // the account or the worker is
	From, To   string // days as yyyy-MM-dd; no longer on To, "" for no end
}

// DepartmentDuty is how a department is present in a county: nothing but ID, Code
// and Name where nobody has said so yet.
type DepartmentDuty struct {
	ID         int64
	Code, Name string
	Mode       DutyMode // "" while nobody has said
	Days       []int16  // ISO weekdays, of a rotating one
	Liaisons   []Liaison
}

// Present reports whether the department has people in the centre on the day of at.
func (d DepartmentDuty) Present(at time.Time) bool {
	iso := int16(people.Local(at).Weekday()+6)%7 + 1
	return d.Mode == Resident || d.Mode == Rotating && slices.Contains(d.Days, iso)
}

// NoLiaisonError refuses to route to a department that nobody can be reached by.
type NoLiaisonError struct{ Department, County string }

func (e *NoLiaisonError) Error() string {
	return fmt.Sprintf("department %s has no liaison officer and no backup in county %s at this time: name one first (POST /api/v1/liaisons), or route to another department", e.Department, e.County)
}

const liaisonColumns = `l.id, l.department_id, l.root_code, l.role, coalesce(l.account_id, 0), coalesce(a.login, ''), coalesce(l.worker_id, 0),
	coalesce(w.badge, ''), coalesce(a.state = 'active', w.active), l.valid_from::text, coalesce(l.valid_to::text, '')
	FROM department_liaison l LEFT JOIN account a ON a.id = l.account_id LEFT JOIN worker w ON w.id = l.worker_id `

func scanLiaison(row pgx.CollectableRow) (l Liaison, err error) {
	var worker int64
	err = row.Scan(&l.ID, &l.Department, &l.Root, &l.Role, &l.Staff.Account, &l.Staff.Login, &worker, &l.Staff.Badge, &l.Active, &l.From, &l.To)
	l.Staff.Worker = uint32(worker)
	return l, err
}

// NamesLiaisons reports whether the county with this root has named anybody by whom a
// department is reached, at a time or later: a centre that has works by liaisons, one
// that has not reaches its departments in its own way.
func NamesLiaisons(ctx context.Context, tx Querier, root string, at time.Time) (bool, error) {
	var some bool
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM department_liaison WHERE root_code = $1 AND (valid_to IS NULL OR valid_to > $2))",
		root, people.Local(at).Format(time.DateOnly)).Scan(&some)
	if err != nil {
		return false, fmt.Errorf("store: liaisons of county %s: %w", root, err)
	}
	return some, nil
}

// LiaisonOf finds whom a department of a county is reached by at a time: its liaison
// officer, else the backup. It is a *NoLiaisonError when there is neither, or neither
// is active. It runs inside the transaction that routes to the department.
func LiaisonOf(ctx context.Context, tx Querier, department int64, root string, at time.Time) (Liaison, error) {
	rows, err := tx.Query(ctx, "SELECT "+liaisonColumns+`WHERE l.department_id = $1 AND l.root_code = $2 AND l.valid_from <= $3 AND (l.valid_to IS NULL OR l.valid_to > $3)
		AND coalesce(a.state = 'active', w.active) ORDER BY l.role = 'backup' LIMIT 1`, department, root, people.Local(at).Format(time.DateOnly))
	if err != nil {
		return Liaison{}, fmt.Errorf("store: liaison of department %d: %w", department, err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLiaison)
	if errors.Is(err, pgx.ErrNoRows) {
		var name string
		if err := tx.QueryRow(ctx, "SELECT name FROM department WHERE id = $1", department).Scan(&name); err != nil {
			return Liaison{}, fmt.Errorf("store: liaison of department %d: %w", department, err)
		}
		return Liaison{}, &NoLiaisonError{name, root}
	}
	if err != nil {
		return Liaison{}, fmt.Errorf("store: liaison of department %d: %w", department, err)
	}
	return l, nil
}

// DepartmentDuties lists every department and how it is present in the county with
// this root, with its liaisons in force at a time and to come. grids are the county's:
// who sees any of them is told.
func DepartmentDuties(ctx context.Context, tx Querier, s auth.Scope, root string, grids auth.Interval, at time.Time) ([]DepartmentDuty, error) {
	if !s.All() && !slices.ContainsFunc(s.Intervals(), func(iv auth.Interval) bool { return iv.Lo <= grids.Hi && grids.Lo <= iv.Hi }) {
		return nil, fmt.Errorf("store: departments of county %s: %w", root, ErrNotFound)
	}
	rows, err := tx.Query(ctx, `SELECT d.id, d.code, d.name, coalesce(t.mode, ''), coalesce(t.days, '{}') FROM department d
		LEFT JOIN department_duty t ON t.department_id = d.id AND t.root_code = $1 ORDER BY d.code`, root)
	if err != nil {
		return nil, fmt.Errorf("store: departments of county %s: %w", root, err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DepartmentDuty, err error) {
		err = row.Scan(&d.ID, &d.Code, &d.Name, &d.Mode, &d.Days)
		return d, err
	})
	if err == nil {
		rows, err = tx.Query(ctx, "SELECT "+liaisonColumns+"WHERE l.root_code = $1 AND (l.valid_to IS NULL OR l.valid_to > $2) ORDER BY l.department_id, l.role = 'backup', l.valid_from",
			root, people.Local(at).Format(time.DateOnly))
	}
	if err != nil {
		return nil, fmt.Errorf("store: departments of county %s: %w", root, err)
	}
	liaisons, err := pgx.CollectRows(rows, scanLiaison)
	if err != nil {
		return nil, fmt.Errorf("store: liaisons of county %s: %w", root, err)
	}
	for i := range out {
		for _, l := range liaisons {
			if l.Department == out[i].ID {
				out[i].Liaisons = append(out[i].Liaisons, l)
			}
		}
	}
	return out, nil
}

// SaveDepartmentDuty notes when a department has people in the centre of a county.
func SaveDepartmentDuty(ctx context.Context, tx pgx.Tx, department int64, root string, mode DutyMode, days []int16) error {
	if days == nil {
		days = []int16{}
	}
	_, err := tx.Exec(ctx, `INSERT INTO department_duty (department_id, root_code, mode, days) VALUES ($1, $2, $3, $4)
		ON CONFLICT (department_id, root_code) DO UPDATE SET mode = excluded.mode, days = excluded.days`, department, root, mode, days)
	if err != nil {
		return fmt.Errorf("store: duty mode of department %d: %w", department, err)
	}
	return nil
}

// ErrLiaisonThen refuses a second liaison, or a second backup, at one time.
var ErrLiaisonThen = errors.New("this department has somebody in that role in that time already: end that one first, or choose another time")

// SaveLiaison notes whom a department is reached by. The caller has checked county,
// department and staff.
func SaveLiaison(ctx context.Context, tx pgx.Tx, l Liaison, by string, now time.Time) (int64, error) {
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO department_liaison (department_id, root_code, account_id, worker_id, role, valid_from, valid_to, made_by, made_at)
		VALUES ($1, $2, nullif($3::bigint, 0), nullif($4::bigint, 0), $5, $6, nullif($7, '')::date, $8, $9) RETURNING id`,
		l.Department, l.Root, l.Staff.Account, int64(l.Staff.Worker), l.Role, l.From, l.To, by, now).Scan(&id)
	if refused(err, "department_liaison_one") {
		return 0, ErrLiaisonThen
	}
	if err != nil {
		return 0, fmt.Errorf("store: liaison: %w", err)
	}
	return id, nil
}

// EndLiaison ends a liaison today, or takes back one that has yet to begin. see says
// whether the caller may know of the county with this root. It is ErrNotFound for one
// that has ended, is unknown or may not be known.
func EndLiaison(ctx context.Context, tx pgx.Tx, see func(root string) bool, id int64, now time.Time) (Liaison, error) {
	today := people.Local(now).Format(time.DateOnly)
	rows, err := tx.Query(ctx, "SELECT "+liaisonColumns+"WHERE l.id = $1 AND (l.valid_to IS NULL OR l.valid_to > $2) FOR UPDATE OF l", id, today)
	if err != nil {
		return Liaison{}, fmt.Errorf("store: end liaison %d: %w", id, err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLiaison)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !see(l.Root) {
		return Liaison{}, fmt.Errorf("store: liaison %d: %w", id, ErrNotFound)
	}
	if err == nil {
		l.To = max(today, l.From) // days of this form compare as texts
		_, err = tx.Exec(ctx, "UPDATE department_liaison SET valid_to = $2 WHERE id = $1", id, l.To)
	}
	if err != nil {
		return Liaison{}, fmt.Errorf("store: end liaison %d: %w", id, err)
	}
	return l, nil
}
