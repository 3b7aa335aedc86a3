// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
)

// AccountState says whether somebody may sign in with an account.
type AccountState string

const (
	AccountInvited  AccountState = "invited" // nobody has taken it up yet
	AccountActive   AccountState = "active"
	AccountDisabled AccountState = "disabled"
)

// Account is somebody who signs in. It has no right but its active grant's.
type Account struct {
	ID           int64
	Login        string
	State        AccountState
	Worker       uint32 // whose own work it sees; 0 for none
	Badge        string // of that worker
	Epoch        int    // its sessions of an earlier epoch have ended
	PIN          bool   // one is set
	SecondFactor bool   // a first code has been right
	Root         string // the county of who made it; "" for somebody for every county
	SignedInAt   *time.Time
	DisabledBy   auth.Role // who disabled it; "" for nobody, or at the machine
	Active       *Grant
	Proposed     *Grant
}

// Actor is the id of the account as an actor.
func (a Account) Actor() string { return "account:" + strconv.FormatInt(a.ID, 10) }

// Secrets are what an account proves itself by. They leave this program nowhere.
type Secrets struct {
	Password, PIN string // hashes, PHC form; "" for none
	TOTP          []byte // key of the second factor, sealed for TOTPField
	Step          int64  // of the last code taken
}

// TOTPField is the name an account's second factor is sealed for.
func TOTPField(account int64) string { return "account/" + strconv.FormatInt(account, 10) + "/totp" }

// Why an account or a grant can't be made so.
var (
	ErrLoginTaken   = errors.New("this login is taken: choose another")
	ErrNoGrid       = errors.New("no grid has this code")
	ErrNoDepartment = errors.New("no department has this code or name")
	ErrNoWorker     = errors.New("no worker has this badge")
	ErrGrantShape   = errors.New("the grant does not fit its role")
	ErrProposed     = errors.New("another grant of this account waits for agreement: revoke that one first")
)

const accountColumns = `SELECT a.id, a.login, a.state, coalesce(a.worker_id, 0), coalesce(w.badge, ''), a.epoch, a.pin IS NOT NULL,
	a.totp_at IS NOT NULL, coalesce(a.root_code, ''), a.signed_in_at, coalesce(a.disabled_by, '') FROM account a LEFT JOIN worker w ON w.id = a.worker_id `

func scanAccount(row pgx.CollectableRow) (Account, error) {
	var a Account
	var worker int64
	err := row.Scan(&a.ID, &a.Login, &a.State, &worker, &a.Badge, &a.Epoch, &a.PIN, &a.SecondFactor, &a.Root, &a.SignedInAt, &a.DisabledBy)
	a.Worker = uint32(worker)
	return a, err
}

// accounts runs a query for accounts and gives them their grants.
func accounts(ctx context.Context, tx Querier, sql string, args ...any) ([]Account, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanAccount)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	place, ids := map[int64]int{}, make([]int64, len(list))
	for i, a := range list {
		place[a.ID], ids[i] = i, a.ID
	}
	if rows, err = tx.Query(ctx, grantColumns+"WHERE g.account_id = ANY($1) AND g.state <> 'revoked'", ids); err != nil {
		return nil, err
	}
	grants, err := pgx.CollectRows(rows, scanGrant)
	for _, g := range grants {
		if a := &list[place[g.Account]]; g.State == "active" {
			a.Active = &g
		} else {
			a.Proposed = &g
		}
	}
	return list, err
}

// Accounts returns up to limit accounts with an id after after, by id.
func (db *DB) Accounts(ctx context.Context, after int64, limit int) ([]Account, error) {
	list, err := accounts(ctx, db.Pool, accountColumns+"WHERE a.id > $1 ORDER BY a.id LIMIT $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("store: accounts: %w", err)
	}
	return list, nil
}

// FindAccount returns an account, or ErrNotFound. With lock it is held until the
// end of the transaction: whatever changes an account or its grants holds it.
func FindAccount(ctx context.Context, tx Querier, id int64, lock bool) (Account, error) {
	sql := accountColumns + "WHERE a.id = $1"
	if lock {
		sql = accountColumns + "WHERE a.id = $1 FOR UPDATE OF a"
	}
	list, err := accounts(ctx, tx, sql, id)
	switch {
	case err != nil:
		return Account{}, fmt.Errorf("store: account %d: %w", id, err)
	case len(list) == 0:
		return Account{}, ErrNotFound
	}
	return list[0], nil
}

// AccountByLogin is FindAccount by the login, not locked.
func AccountByLogin(ctx context.Context, tx Querier, login string) (Account, error) {
	list, err := accounts(ctx, tx, accountColumns+"WHERE a.login = $1", login)
	switch {
	case err != nil:
		return Account{}, fmt.Errorf("store: account: %w", err)
	case len(list) == 0:
		return Account{}, ErrNotFound
	}
	return list[0], nil
}

// AccountSecrets returns what an account proves itself by.
func AccountSecrets(ctx context.Context, tx Querier, id int64) (Secrets, error) {
	var s Secrets
	err := tx.QueryRow(ctx, "SELECT coalesce(password, ''), coalesce(pin, ''), totp_sealed, totp_step FROM account WHERE id = $1", id).
		Scan(&s.Password, &s.PIN, &s.TOTP, &s.Step)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, ErrNotFound
	}
	if err != nil {
		return s, fmt.Errorf("store: account %d: %w", id, err)
	}
	return s, nil
}

// CreateAccount is CreateAccountIn by somebody for every county.
func CreateAccount(ctx context.Context, tx Querier, login string, worker uint32, by string) (int64, error) {
	return CreateAccountIn(ctx, tx, "", login, worker, by)
}

// CreateAccountIn makes an account that nobody has taken up yet. root is the county
// of whoever makes it, "" for every county. A login in use is ErrLoginTaken.
func CreateAccountIn(ctx context.Context, tx Querier, root, login string, worker uint32, by string) (int64, error) {
	var id int64
	err := tx.QueryRow(ctx, "INSERT INTO account (login, worker_id, created_by, root_code) VALUES ($1, nullif($2::bigint, 0), $3, nullif($4, '')) RETURNING id",
		login, int64(worker), by, root).Scan(&id)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.ConstraintName == "account_login_key" {
		return 0, ErrLoginTaken
	}
	if err != nil {
		return 0, fmt.Errorf("store: new account: %w", err)
	}
	return id, nil
}

// TakeUp gives an invited account its password and second factor. An account
// that is not waiting to be taken up is ErrNotFound.
func TakeUp(ctx context.Context, tx pgx.Tx, id int64, s Secrets) error {
	tag, err := tx.Exec(ctx, `UPDATE account SET state = 'active', password = $2, pin = nullif($3, ''), totp_sealed = $4, totp_at = NULL, totp_step = 0
		WHERE id = $1 AND state = 'invited'`, id, s.Password, s.PIN, s.TOTP)
	return one(tag, err, "take up an account")
}

// one is ErrNotFound when a statement meant for one row found none.
func one(tag pgconn.CommandTag, err error, what string) error {
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}

// ResetAccount takes away what an account proves itself by and ends its sessions
// and invitations, so that a new invitation is the only way in.
func ResetAccount(ctx context.Context, tx pgx.Tx, id int64, now time.Time) error {
	tag, err := tx.Exec(ctx, `UPDATE account SET state = 'invited', password = NULL, pin = NULL, totp_sealed = NULL, totp_at = NULL, totp_step = 0, epoch = epoch + 1,
		disabled_by = NULL WHERE id = $1`, id)
	if err := one(tag, err, "reset an account"); err != nil {
		return err
	}
	return endInvites(ctx, tx, id, now)
}

func endInvites(ctx context.Context, tx pgx.Tx, id int64, now time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE credential SET revoked_at = $2 WHERE account_id = $1 AND kind = 'invite' AND used_at IS NULL AND revoked_at IS NULL", id, now)
	if err != nil {
		return fmt.Errorf("store: end invitations: %w", err)
	}
	return nil
}

// DisableAccount is DisableAccountAs at the machine.
func DisableAccount(ctx context.Context, tx pgx.Tx, id int64, now time.Time) error {
	return DisableAccountAs(ctx, tx, "", id, now)
}

// DisableAccountAs keeps anybody from signing in with it and ends its sessions and
// invitations. by is the role that alone may enable it, "" for the machine. Of one
// that is disabled already by stands only in the place of a system administrator.
func DisableAccountAs(ctx context.Context, tx pgx.Tx, by auth.Role, id int64, now time.Time) error {
	tag, err := tx.Exec(ctx, `UPDATE account SET state = 'disabled', epoch = epoch + 1, disabled_by = CASE
		WHEN state = 'disabled' AND coalesce(disabled_by, '') <> 'system_admin' THEN disabled_by ELSE nullif($2, '') END WHERE id = $1`, id, by)
	if err := one(tag, err, "disable an account"); err != nil {
		return err
	}
	return endInvites(ctx, tx, id, now)
}

// EnableAccount undoes DisableAccount. One that nobody has taken up needs a new
// invitation.
func EnableAccount(ctx context.Context, tx pgx.Tx, id int64) error {
	tag, err := tx.Exec(ctx, "UPDATE account SET state = CASE WHEN password IS NULL THEN 'invited' ELSE 'active' END, disabled_by = NULL WHERE id = $1 AND state = 'disabled'", id)
	return one(tag, err, "enable an account")
}

// ErrPasswordChanged refuses what was proved by a password that is another by now.
var ErrPasswordChanged = errors.New("the password was changed meanwhile: nothing was stored")

// SetPassword replaces the password whose hash is old and ends all sessions but
// the one with the id keep. Where it is old no more: ErrPasswordChanged.
func SetPassword(ctx context.Context, tx pgx.Tx, id int64, old, fresh string, keep int64) error {
	var epoch int
	err := tx.QueryRow(ctx, "UPDATE account SET password = $3, epoch = epoch + 1 WHERE id = $1 AND password = $2 RETURNING epoch", id, old, fresh).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrPasswordChanged
	}
	if err == nil {
		_, err = tx.Exec(ctx, "UPDATE credential SET epoch = $2 WHERE id = $1", keep, epoch)
	}
	if err != nil {
		return fmt.Errorf("store: set a password: %w", err)
	}
	return nil
}

// SetPIN replaces the PIN of the account whose password's hash is password, else
// ErrPasswordChanged.
func SetPIN(ctx context.Context, tx pgx.Tx, id int64, password, pin string) error {
	tag, err := tx.Exec(ctx, "UPDATE account SET pin = $3 WHERE id = $1 AND password = $2", id, password, pin)
	if err := one(tag, err, "set a PIN"); errors.Is(err, ErrNotFound) {
		return ErrPasswordChanged
	} else if err != nil {
		return err
	}
	return nil
}

// ErrCodeTaken refuses a code of the second factor that was used before.
var ErrCodeTaken = errors.New("this code was used before")

// OpenSession makes the session of an account that has proved itself as it was
// read: in the same epoch and by the password with this hash, else ErrNotFound.
// step is of the second factor's code, 0 for none; each is taken once.
func (db *DB) OpenSession(ctx context.Context, tx pgx.Tx, a Account, password string, step int64, secret string, c Credential, now time.Time) (int64, error) {
	tag, err := tx.Exec(ctx, "UPDATE account SET signed_in_at = $4 WHERE id = $1 AND epoch = $2 AND password = $3 AND state = 'active'", a.ID, a.Epoch, password, now)
	if err := one(tag, err, "open a session"); err != nil {
		return 0, err
	}
	if step > 0 {
		tag, err := tx.Exec(ctx, "UPDATE account SET totp_step = $2, totp_at = coalesce(totp_at, $3) WHERE id = $1 AND totp_step < $2", a.ID, step, now)
		if err := one(tag, err, "take a code"); errors.Is(err, ErrNotFound) {
			return 0, ErrCodeTaken
		} else if err != nil {
			return 0, err
		}
	}
	c.Kind, c.Role, c.Account, c.Epoch, c.CreatedBy, c.CreatedAt, c.SeenAt = Session, a.Active.Role, a.ID, a.Epoch, a.Actor(), now, &now
	return db.SaveCredential(ctx, tx, secret, c)
}

// FindDepartment finds a department by its code, else by its name.
func FindDepartment(ctx context.Context, tx Querier, codeOrName string) (id int64, name string, err error) {
	err = tx.QueryRow(ctx, "SELECT id, name FROM department WHERE code = $1 OR name = $1 ORDER BY code <> $1 LIMIT 1", codeOrName).Scan(&id, &name)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", ErrNoDepartment
	}
	if err != nil {
		return 0, "", fmt.Errorf("store: department: %w", err)
	}
	return id, name, nil
}

// WorkerByBadge finds an active worker.
func WorkerByBadge(ctx context.Context, tx Querier, badge string) (uint32, error) {
	var id int64
	err := tx.QueryRow(ctx, "SELECT id FROM worker WHERE badge = $1 AND active", badge).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrNoWorker
	}
	if err != nil {
		return 0, fmt.Errorf("store: worker: %w", err)
	}
	return uint32(id), nil
}

const administratorsLock = 0x6f6e6561646d
