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
)

// Grant is what an account may do and where, proposed or in force.
type Grant struct {
	ID         int64
	Account    int64
	Role       auth.Role
	GridCode   string // "": every county of the database
	RootCode   string // the county GridCode is of
	No         int32  // the newest number of that grid
	Department int64  // of a dept_handler
	DeptName   string
	Sensitive  bool
	State      string // proposed, active, revoked
	Reason     string
	ProposedBy string // id of an actor
	Proposer   string // its login, or its id where it has none
	SecurityBy string // the security administrator who agreed; "" for nobody yet
	SystemBy   string // the system administrator who agreed
}

// Needs lists the roles that have still to agree to a proposed grant.
func (g Grant) Needs() []auth.Role {
	out := []auth.Role{}
	if g.State != "proposed" {
		return out
	}
	if g.SecurityBy == "" {
		out = append(out, auth.SecurityAdmin)
	}
	if g.SystemBy == "" && auth.TwoAgree(g.Role) {
		out = append(out, auth.SystemAdmin)
	}
	return out
}

// grantColumns reads a grant g. Its number is that of the newest version.
const grantColumns = `SELECT g.id, g.account_id, g.role, coalesce(g.grid_code, ''), coalesce(g.root_code, ''),
	coalesce((SELECT max(x.no) FROM grid x JOIN grid_version v ON v.id = x.version_id WHERE x.code = g.grid_code AND v.root_code = g.root_code), 0),
	coalesce(g.department_id, 0), coalesce(d.name, ''), g.sensitive, g.state, g.reason, g.proposed_by, coalesce(p.login, g.proposed_by),
	coalesce(g.security_by, ''), coalesce(g.system_by, '') FROM account_grant g LEFT JOIN department d ON d.id = g.department_id
	LEFT JOIN account p ON 'account:' || p.id = g.proposed_by `

func scanGrant(row pgx.CollectableRow) (Grant, error) {
	var g Grant
	err := row.Scan(&g.ID, &g.Account, &g.Role, &g.GridCode, &g.RootCode, &g.No, &g.Department, &g.DeptName, &g.Sensitive, &g.State, &g.Reason,
		&g.ProposedBy, &g.Proposer, &g.SecurityBy, &g.SystemBy)
	return g, err
}

// CheckGrant fills in and checks what a grant refers to: the grid's county and
// number, and the shape its role wants. worker is the account's.
func CheckGrant(ctx context.Context, tx Querier, g *Grant, department string, worker uint32) error {
	if g.GridCode == "" && g.RootCode != "" {
		return fmt.Errorf("%w: a county is named together with a grid of it, never alone", ErrGrantShape)
	}
	if g.GridCode != "" {
		p, err := findPlace(ctx, tx, g.GridCode, g.RootCode)
		if errors.Is(err, ErrNotFound) {
			return ErrNoGrid
		}
		if err != nil {
			return err
		}
		g.RootCode, g.No = p.county, p.no
	}
	if department != "" {
		var err error
		if g.Department, g.DeptName, err = FindDepartment(ctx, tx, department); err != nil {
			return err
		}
	}
	return checkShape(g.Role, g.GridCode, g.Department, worker)
}

// checkShape says what a role's right lacks.
func checkShape(r auth.Role, gridCode string, department int64, worker uint32) error {
	switch {
	case (r == auth.DeptHandler) != (department != 0):
		return fmt.Errorf("%w: a department belongs to the role %s and to no other", ErrGrantShape, auth.DeptHandler)
	case r == auth.GridWorker && worker == 0:
		return fmt.Errorf("%w: a %s needs a badge", ErrGrantShape, r)
	case gridCode == "" && (r == auth.GridWorker || r == auth.VillageHead || r == auth.TownOperator):
		return fmt.Errorf("%w: a %s needs a grid", ErrGrantShape, r)
	}
	return nil
}

// SaveGrant proposes a grant that CheckGrant has passed, and puts it in force at
// once when nobody has to agree any more. The caller holds the account. Of an
// account two proposals can't wait at a time: ErrProposed.
func SaveGrant(ctx context.Context, tx pgx.Tx, g Grant, now time.Time) (Grant, error) {
	g.State = "proposed"
	err := tx.QueryRow(ctx, `INSERT INTO account_grant (account_id, role, grid_code, root_code, department_id, sensitive, reason, proposed_by, security_by, system_by, created_at)
		VALUES ($1, $2, nullif($3, ''), nullif($4, ''), nullif($5::bigint, 0), $6, $7, $8, nullif($9, ''), nullif($10, ''), $11) RETURNING id`,
		g.Account, g.Role, g.GridCode, g.RootCode, g.Department, g.Sensitive, g.Reason, g.ProposedBy, g.SecurityBy, g.SystemBy, now).Scan(&g.ID)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.ConstraintName == "account_grant_one_proposed" {
		return g, ErrProposed
	}
	if err != nil {
		return g, fmt.Errorf("store: propose a grant: %w", err)
	}
	return inForce(ctx, tx, g, now)
}

// AskAgain proposes a proposed grant anew, in the name of another: nobody has agreed
// to it then. The caller holds the account.
func AskAgain(ctx context.Context, tx pgx.Tx, g Grant) error {
	tag, err := tx.Exec(ctx, "UPDATE account_grant SET proposed_by = $2, reason = $3, security_by = NULL, system_by = NULL WHERE id = $1 AND state = 'proposed'",
		g.ID, g.ProposedBy, g.Reason)
	return one(tag, err, "propose a grant anew")
}

// AgreeToGrant notes who agreed and puts the grant in force when everybody has.
// The caller holds the account.
func AgreeToGrant(ctx context.Context, tx pgx.Tx, g Grant, now time.Time) (Grant, error) {
	tag, err := tx.Exec(ctx, "UPDATE account_grant SET security_by = nullif($2, ''), system_by = nullif($3, '') WHERE id = $1 AND state = 'proposed'", g.ID, g.SecurityBy, g.SystemBy)
	if err := one(tag, err, "agree to a grant"); err != nil {
		return g, err
	}
	return inForce(ctx, tx, g, now)
}

// inForce makes a grant active that nobody has to agree to any more, in the place
// of the one before; sessions under that one end.
func inForce(ctx context.Context, tx pgx.Tx, g Grant, now time.Time) (Grant, error) {
	if len(g.Needs()) > 0 {
		return g, nil
	}
	by := g.SecurityBy
	if g.SystemBy != "" {
		by = g.SystemBy
	}
	if _, err := tx.Exec(ctx, "UPDATE account_grant SET state = 'revoked', revoked_at = $2, revoked_by = $3 WHERE account_id = $1 AND state = 'active'", g.Account, now, by); err != nil {
		return g, fmt.Errorf("store: replace a grant: %w", err)
	}
	if _, err := tx.Exec(ctx, "UPDATE account_grant SET state = 'active', active_at = $2 WHERE id = $1", g.ID, now); err != nil {
		return g, fmt.Errorf("store: put a grant in force: %w", err)
	}
	g.State = "active"
	return g, endSessions(ctx, tx, g.Account)
}

func endSessions(ctx context.Context, tx pgx.Tx, account int64) error {
	tag, err := tx.Exec(ctx, "UPDATE account SET epoch = epoch + 1 WHERE id = $1", account)
	return one(tag, err, "end sessions")
}

// RevokeGrant ends a grant, or withdraws a proposed one, and ends the account's
// sessions with it. The caller holds the account.
func RevokeGrant(ctx context.Context, tx pgx.Tx, g Grant, by string, now time.Time) error {
	tag, err := tx.Exec(ctx, "UPDATE account_grant SET state = 'revoked', revoked_at = $2, revoked_by = $3 WHERE id = $1 AND state <> 'revoked'", g.ID, now, by)
	if err := one(tag, err, "revoke a grant"); err != nil {
		return err
	}
	if g.State != "active" {
		return nil
	}
	return endSessions(ctx, tx, g.Account)
}

// GrantAccount tells whose grant this is, or ErrNotFound.
func GrantAccount(ctx context.Context, tx Querier, grant int64) (account int64, err error) {
	err = tx.QueryRow(ctx, "SELECT account_id FROM account_grant WHERE id = $1", grant).Scan(&account)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("store: grant %d: %w", grant, err)
	}
	return account, nil
}

// CanAdminister reports whether an account that may sign in, or may be taken up,
// holds the role. Whoever asks before changing that calls LockAdministrators.
func CanAdminister(ctx context.Context, tx Querier, r auth.Role) (has bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM account a JOIN account_grant g ON g.account_id = a.id AND g.state = 'active'
		WHERE g.role = $1 AND a.state <> 'disabled')`, r).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("store: administrators: %w", err)
	}
	return has, nil
}

// EverGranted reports whether anybody was ever given the role, whatever became of
// that. Whoever asks before giving it calls LockAdministrators.
func EverGranted(ctx context.Context, tx Querier, r auth.Role) (had bool, err error) {
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM account_grant WHERE role = $1)", r).Scan(&had)
	if err != nil {
		return false, fmt.Errorf("store: administrators: %w", err)
	}
	return had, nil
}

// LockAdministrators keeps others from making an administrator until the end of
// the transaction.
func LockAdministrators(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(administratorsLock)); err != nil {
		return fmt.Errorf("store: administrators: %w", err)
	}
	return nil
}
