// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/people"
)

// CredentialKind says what a secret is good for.
type CredentialKind string

const (
	Token       CredentialKind = "token"        // a machine's, sent as Bearer
	Session     CredentialKind = "session"      // a browser's, in a cookie
	WallCode    CredentialKind = "wall_code"    // a wall's one-time link; becomes a session
	FirstSecret CredentialKind = "first_secret" // the first start's; becomes the first administrator
	Invite      CredentialKind = "invite"       // lets somebody take up an account, once
)

// Credential is a secret's record. The secret itself is known only to its
// holder; the record has its SHA-256.
type Credential struct {
	ID        int64
	Kind      CredentialKind
	Role      auth.Role
	GridCode  string // "": every county of the database
	RootCode  string // the county GridCode is of
	Wall      string // the wall's name, for walls
	ExpiresAt *time.Time

	Department int64 // of a dept_handler
	Worker     uint32
	Sensitive  bool     // may handle sensitive categories
	Layers     []string // of a wall; nil for all
	Note       string
	CreatedBy  string    // id of the actor who made it
	CreatedAt  time.Time // the database's now when it is saved without

	Account int64  // whose session or invitation it is; 0 for none
	Login   string // of the account
	Epoch   int    // of the account when the session began

	Address   netip.Addr     // the one address it may be used from; the zero Addr for any
	Addresses []netip.Prefix // where a wall may stand; nil for anywhere
	SeenAt    *time.Time     // last act of its holder
	LockedAt  *time.Time     // the desk is locked since
}

// NewSecret makes a random secret of 160 bits in letters and digits.
func NewSecret() string {
	b := make([]byte, 20)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

func secretHash(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// ErrWallTooNarrow refuses a wall below level 2: what the shared view says of an
// incident that may not be placed is the town it is in, and a wall of one village
// would give the village away.
var ErrWallTooNarrow = errors.New("a wall shows a whole county or town, no smaller grid")

// SaveCredential stores the record of secret. A grid code that no enacted grid
// has is ErrNotFound; a wall of a small grid is ErrWallTooNarrow.
func (db *DB) SaveCredential(ctx context.Context, tx Querier, secret string, c Credential) (int64, error) {
	if c.GridCode != "" {
		root, level, err := GridPlace(ctx, tx, c.GridCode, c.RootCode)
		if err != nil {
			return 0, err
		}
		if level > 2 && c.Role == auth.Wall {
			return 0, fmt.Errorf("store: grid %q: %w", c.GridCode, ErrWallTooNarrow)
		}
		c.RootCode = root
	}
	var address *netip.Addr
	if c.Address.IsValid() {
		address = &c.Address
	}
	var made *time.Time
	if !c.CreatedAt.IsZero() {
		made = &c.CreatedAt
	}
	var id int64
	err := tx.QueryRow(ctx, `INSERT INTO credential (kind, hash, role, grid_code, root_code, wall, expires_at, department_id, worker_id, sensitive,
		layers, note, created_by, account_id, epoch, address, addresses, seen_at, created_at)
		VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''), nullif($6, ''), $7, nullif($8::bigint, 0), nullif($9::bigint, 0), $10, $11, $12, $13,
		nullif($14::bigint, 0), nullif($15::int, 0), $16, $17, $18, coalesce($19, now())) RETURNING id`,
		c.Kind, secretHash(secret), c.Role, c.GridCode, c.RootCode, c.Wall, c.ExpiresAt, c.Department, int64(c.Worker), c.Sensitive, c.Layers,
		c.Note, c.CreatedBy, c.Account, c.Epoch, address, c.Addresses, c.SeenAt, made).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store: save credential: %w", err)
	}
	return id, nil
}

// ErrAmbiguousGrid refuses a grid code that several counties of the database use.
var ErrAmbiguousGrid = errors.New("several counties use this grid code: say which one is meant by its county's code")

// GridPlace finds the county (its root code) and the deepest level a grid code
// ever stood on; root narrows it to one county, "" does not. Errors: ErrNotFound,
// ErrAmbiguousGrid.
func GridPlace(ctx context.Context, tx Querier, code, root string) (county string, level int, err error) {
	p, err := findPlace(ctx, tx, code, root)
	return p.county, p.level, err
}

// gridPlace is where a grid code stands.
type gridPlace struct {
	county string
	level  int   // the deepest it ever stood on
	no     int32 // the newest number
}

func findPlace(ctx context.Context, tx Querier, code, root string) (p gridPlace, err error) {
	rows, err := tx.Query(ctx, `SELECT v.root_code, max(g.level)::int, max(g.no) FROM grid g JOIN grid_version v ON v.id = g.version_id
		WHERE g.code = $1 AND g.no IS NOT NULL AND ($2 = '' OR v.root_code = $2) GROUP BY 1`, code, root)
	if err != nil {
		return p, fmt.Errorf("store: grid %q: %w", code, err)
	}
	n := 0
	if _, err = pgx.ForEachRow(rows, []any{&p.county, &p.level, &p.no}, func() error { n++; return nil }); err != nil {
		return p, fmt.Errorf("store: grid %q: %w", code, err)
	}
	switch n {
	case 0:
		return p, fmt.Errorf("store: grid %q: %w", code, ErrNotFound)
	case 1:
		return p, nil
	}
	return p, fmt.Errorf("store: grid %q: %w", code, ErrAmbiguousGrid)
}

// credentialColumns reads a credential c with its account a and that account's
// active grant g: what a session may do is what its account may do now.
const credentialColumns = `c.id, c.kind, coalesce(g.role, c.role), CASE WHEN g.id IS NULL THEN coalesce(c.grid_code, '') ELSE coalesce(g.grid_code, '') END,
	CASE WHEN g.id IS NULL THEN coalesce(c.root_code, '') ELSE coalesce(g.root_code, '') END, coalesce(c.wall, ''), c.expires_at,
	coalesce(g.department_id, c.department_id, 0), coalesce(a.worker_id, c.worker_id, 0), coalesce(g.sensitive, c.sensitive), c.layers, c.note,
	c.created_by, c.created_at, coalesce(a.id, 0), coalesce(a.login, ''), coalesce(c.epoch, 0), c.address, c.addresses, c.seen_at, c.locked_at`

const fromCredential = ` FROM credential c LEFT JOIN account a ON a.id = c.account_id
	LEFT JOIN account_grant g ON g.account_id = a.id AND g.state = 'active' `

// A session lives as long as its account is active, has a right, and is of the
// epoch the session began in.
const selectCredential = "SELECT " + credentialColumns + fromCredential + `
	WHERE c.hash = $1 AND c.kind = ANY($2) AND c.revoked_at IS NULL AND c.used_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $3)
	AND (c.kind <> 'session' OR c.account_id IS NULL OR a.state = 'active' AND a.epoch = c.epoch AND g.id IS NOT NULL)
	AND NOT EXISTS (SELECT FROM worker w WHERE w.id = coalesce(a.worker_id, c.worker_id) AND NOT w.active)`

func scanCredential(row pgx.Row) (Credential, error) {
	var c Credential
	var worker int64
	var address *netip.Addr
	err := row.Scan(&c.ID, &c.Kind, &c.Role, &c.GridCode, &c.RootCode, &c.Wall, &c.ExpiresAt, &c.Department, &worker, &c.Sensitive, &c.Layers,
		&c.Note, &c.CreatedBy, &c.CreatedAt, &c.Account, &c.Login, &c.Epoch, &address, &c.Addresses, &c.SeenAt, &c.LockedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, ErrNotFound
	}
	c.Worker = uint32(worker)
	if address != nil {
		c.Address = *address
	}
	return c, err
}

// FindCredential returns the live credential of one of the kinds with this
// secret, or ErrNotFound.
func (db *DB) FindCredential(ctx context.Context, secret string, now time.Time, kinds ...CredentialKind) (Credential, error) {
	c, err := scanCredential(db.Pool.QueryRow(ctx, selectCredential, secretHash(secret), kinds, now))
	if err != nil {
		return c, fmt.Errorf("store: credential: %w", err)
	}
	return c, nil
}

// Redeem uses up a wall's one-time code at the address from and makes the session
// it stands for in the same transaction; also runs in it too. It returns the
// session's own secret. A wall that may not stand there is ErrNotFound.
func (db *DB) Redeem(ctx context.Context, secret string, from netip.Addr, now time.Time, lifetime func(Credential) time.Duration, also func(pgx.Tx, Credential) error) (string, Credential, error) {
	session := NewSecret()
	var c Credential
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		old, err := scanCredential(tx.QueryRow(ctx, selectCredential+" FOR UPDATE OF c", secretHash(secret), []CredentialKind{WallCode}, now))
		if err != nil {
			return err
		}
		if !old.From(from) {
			return ErrNotFound
		}
		if _, err := tx.Exec(ctx, "UPDATE credential SET used_at = $2 WHERE id = $1", old.ID, now); err != nil {
			return err
		}
		until := now.Add(lifetime(old))
		c = old
		c.Kind, c.ExpiresAt, c.Address, c.SeenAt, c.CreatedAt = Session, &until, from, &now, now
		if c.ID, err = db.SaveCredential(ctx, tx, session, c); err != nil {
			return err
		}
		return also(tx, c)
	})
	if err != nil {
		return "", c, fmt.Errorf("store: redeem: %w", err)
	}
	return session, c, nil
}

// Use takes up an invitation or a first secret, once, inside tx. One that is used
// up or too old is ErrNotFound.
func (db *DB) Use(ctx context.Context, tx pgx.Tx, secret string, now time.Time, kinds ...CredentialKind) (Credential, error) {
	c, err := scanCredential(tx.QueryRow(ctx, selectCredential+" FOR UPDATE OF c", secretHash(secret), kinds, now))
	if err == nil {
		_, err = tx.Exec(ctx, "UPDATE credential SET used_at = $2 WHERE id = $1", c.ID, now)
	}
	if err != nil {
		return c, fmt.Errorf("store: use a credential: %w", err)
	}
	return c, nil
}

// RevokeCredential ends a credential inside tx. One that has ended is ErrNotFound.
func RevokeCredential(ctx context.Context, tx pgx.Tx, id int64, now time.Time) error {
	tag, err := tx.Exec(ctx, "UPDATE credential SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL AND used_at IS NULL", id, now)
	return one(tag, err, "revoke a credential")
}

// LiveCredential is a Credential as administrators see it.
type LiveCredential struct {
	Credential
	No int32    // the newest number of its grid; 0 for none
	Of *Account // whose an invitation is
}

// selectLive finds what can still be used. $1 is now.
const selectLive = "SELECT " + credentialColumns + `, coalesce((SELECT max(x.no) FROM grid x JOIN grid_version v ON v.id = x.version_id
	WHERE x.code = CASE WHEN g.id IS NULL THEN c.grid_code ELSE g.grid_code END
	AND v.root_code = CASE WHEN g.id IS NULL THEN c.root_code ELSE g.root_code END), 0)` + fromCredential + `
	WHERE c.revoked_at IS NULL AND c.used_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > $1)
	AND (c.kind <> 'session' OR c.account_id IS NULL OR a.state = 'active' AND a.epoch = c.epoch AND g.id IS NOT NULL) `

// LiveCredentials returns up to limit credentials in use with an id after after,
// by id.
func (db *DB) LiveCredentials(ctx context.Context, now time.Time, after int64, limit int) ([]LiveCredential, error) {
	rows, err := db.Pool.Query(ctx, selectLive+"AND c.id > $2 ORDER BY c.id LIMIT $3", now, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store: credentials: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanLive)
	if err == nil {
		err = invited(ctx, db.Pool, out)
	}
	if err != nil {
		return nil, fmt.Errorf("store: credentials: %w", err)
	}
	return out, nil
}

// invited gives invitations the accounts they are to.
func invited(ctx context.Context, tx Querier, list []LiveCredential) error {
	var ids []int64
	for _, c := range list {
		if c.Kind == Invite {
			ids = append(ids, c.Account)
		}
	}
	if ids == nil {
		return nil
	}
	of, err := accounts(ctx, tx, accountColumns+"WHERE a.id = ANY($1)", ids)
	for i, c := range list {
		if n := slices.IndexFunc(of, func(a Account) bool { return a.ID == c.Account }); n >= 0 && c.Kind == Invite {
			list[i].Of = &of[n]
		}
	}
	return err
}

// FindLive returns one credential in use, held until the end of the transaction,
// or ErrNotFound.
func FindLive(ctx context.Context, tx pgx.Tx, now time.Time, id int64) (LiveCredential, error) {
	rows, err := tx.Query(ctx, selectLive+"AND c.id = $2 FOR UPDATE OF c", now, id)
	if err != nil {
		return LiveCredential{}, fmt.Errorf("store: credential %d: %w", id, err)
	}
	c, err := pgx.CollectOneRow(rows, scanLive)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, ErrNotFound
	}
	one := []LiveCredential{c}
	if err == nil {
		err = invited(ctx, tx, one)
	}
	if err != nil {
		return c, fmt.Errorf("store: credential %d: %w", id, err)
	}
	return one[0], nil
}

func scanLive(row pgx.CollectableRow) (l LiveCredential, err error) {
	l.Credential, err = scanCredential(longer{row, &l.No})
	return l, err
}

// longer is a row with one more column at its end.
type longer struct {
	row  pgx.Row
	more any
}

func (l longer) Scan(to ...any) error { return l.row.Scan(append(to, l.more)...) }

// Touch notes an act of a session's holder, at most once a minute. A session that
// is locked or has rested until since stays as it is.
func (db *DB) Touch(ctx context.Context, id int64, now, since time.Time) error {
	_, err := db.Pool.Exec(ctx, `UPDATE credential SET seen_at = $2 WHERE id = $1 AND locked_at IS NULL AND revoked_at IS NULL
		AND coalesce(seen_at, created_at) > $3 AND coalesce(seen_at, created_at) <= $2::timestamptz - interval '1 minute'`, id, now, since)
	return err
}

// LockSession locks a session inside tx; the PIN opens it. first is false when it was.
func LockSession(ctx context.Context, tx pgx.Tx, id int64, now time.Time) (first bool, err error) {
	tag, err := tx.Exec(ctx, "UPDATE credential SET locked_at = $2 WHERE id = $1 AND locked_at IS NULL", id, now)
	if err != nil {
		return false, fmt.Errorf("store: lock session %d: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// PINTries is how many wrong PINs end a session.
const PINTries = 5

// TryPIN counts a try to unlock a session before its PIN is looked at, so that
// tries at the same time are counted as well. It returns how many are left after
// this one; below 0 there is none.
func (db *DB) TryPIN(ctx context.Context, id int64) (left int, err error) {
	err = db.Pool.QueryRow(ctx, `UPDATE credential SET pin_failures = pin_failures + 1 WHERE id = $1 AND revoked_at IS NULL AND pin_failures < $2
		RETURNING $2 - pin_failures`, id, PINTries).Scan(&left)
	if errors.Is(err, pgx.ErrNoRows) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: session %d: %w", id, err)
	}
	return left, nil
}

// UnlockSession opens a locked session inside tx. One that has ended is ErrNotFound.
func UnlockSession(ctx context.Context, tx pgx.Tx, id int64, now time.Time) error {
	tag, err := tx.Exec(ctx, "UPDATE credential SET locked_at = NULL, pin_failures = 0, seen_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, now)
	return one(tag, err, "unlock a session")
}

// EndFirstSecrets revokes the first secrets that nobody has used.
func EndFirstSecrets(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, "UPDATE credential SET revoked_at = $1 WHERE kind = 'first_secret' AND used_at IS NULL AND revoked_at IS NULL", now); err != nil {
		return fmt.Errorf("store: first secrets: %w", err)
	}
	return nil
}

// HasFirstSecret reports whether the first administrator's secret was ever made.
func (db *DB) HasFirstSecret(ctx context.Context) (bool, error) {
	var has bool
	err := db.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM credential WHERE kind = 'first_secret')").Scan(&has)
	return has, err
}

// From reports whether the credential may be used from an address.
func (c Credential) From(a netip.Addr) bool {
	a = a.Unmap()
	if c.Address.IsValid() && c.Address.Unmap() != a {
		return false
	}
	return c.Addresses == nil || slices.ContainsFunc(c.Addresses, func(p netip.Prefix) bool { return p.Contains(a) })
}

// overTheWeb reports whether this actor made something over the web, and not at the
// machine.
func overTheWeb(by string) bool {
	return strings.HasPrefix(by, "account:") || strings.HasPrefix(by, string(Token)+":")
}

// Actor makes the actor a credential stands for: its role over every version's
// numbers of its grid, and of the county that lies in. A grid worker's grids are
// those the worker serves as well.
func (db *DB) Actor(ctx context.Context, c Credential, now time.Time) (auth.Actor, error) {
	g := auth.Grant{
		ID: fmt.Sprintf("%s:%d", c.Kind, c.ID), Role: c.Role, Department: c.Department, Worker: c.Worker, Sensitive: c.Sensitive, Layers: c.Layers,
		Locked: c.LockedAt != nil, Machine: c.Kind == Token && overTheWeb(c.CreatedBy),
	}
	switch {
	case c.Wall != "":
		g.ID = "wall:" + c.Wall
	case c.Account != 0:
		g.ID = fmt.Sprintf("account:%d", c.Account)
	}
	today := people.Local(now).Format(time.DateOnly)
	rows, err := db.Pool.Query(ctx, `SELECT g.no, g.last_no, v.root_code = g.code AND g.level = 1 AS county,
		CASE WHEN $1 = '' THEN g.level = 1 ELSE g.code = $1 END OR EXISTS (SELECT FROM worker_grid wg WHERE wg.worker_id = $3 AND $4 = 'grid_worker'
		  AND wg.grid_code = g.code AND v.root_code = coalesce(wg.root_code, v.root_code) AND wg.valid_from <= $5 AND (wg.valid_to IS NULL OR wg.valid_to > $5)) AS own
		FROM grid g JOIN grid_version v ON v.id = g.version_id
		WHERE g.no IS NOT NULL AND ($2 = '' OR v.root_code = $2) AND (g.level = 1 OR g.code = $1
		  OR $3 <> 0 AND g.code IN (SELECT grid_code FROM worker_grid WHERE worker_id = $3))
		ORDER BY g.no`, c.GridCode, c.RootCode, int64(c.Worker), string(c.Role), today)
	if err != nil {
		return auth.Actor{}, fmt.Errorf("store: scope of credential %d: %w", c.ID, err)
	}
	var iv auth.Interval
	var county, own bool
	if _, err := pgx.ForEachRow(rows, []any{&iv.Lo, &iv.Hi, &county, &own}, func() error {
		if county {
			g.County = append(g.County, iv)
		}
		if own {
			g.Intervals = append(g.Intervals, iv)
		}
		return nil
	}); err != nil {
		return auth.Actor{}, fmt.Errorf("store: scope of credential %d: %w", c.ID, err)
	}
	return auth.NewActor(g), nil
}
