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
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// CredentialKind says what a secret is good for.
type CredentialKind string

const (
	Token       CredentialKind = "token"        // a machine's, sent as Bearer
	Session     CredentialKind = "session"      // a browser's, in a cookie
	WallCode    CredentialKind = "wall_code"    // a wall's one-time link; becomes a session
	FirstSecret CredentialKind = "first_secret" // the first start's; becomes a session
)

// Credential is a secret's record. The secret itself is known only to its
// holder; the record has its SHA-256.
type Credential struct {
	ID        int64
	Kind      CredentialKind
	Role      auth.Role
	GridCode  string // "": every county of the database
	Wall      string // the wall's name, for walls
	ExpiresAt *time.Time
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
	var code, wall *string
	if c.GridCode != "" {
		code = &c.GridCode
		var level int // the deepest this code ever stood on
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(level), 0) FROM grid WHERE code = $1 AND no IS NOT NULL", c.GridCode).Scan(&level); err != nil {
			return 0, fmt.Errorf("store: save credential: %w", err)
		}
		switch {
		case level == 0:
			return 0, fmt.Errorf("store: grid %q: %w", c.GridCode, ErrNotFound)
		case level > 2 && c.Role == auth.Wall:
			return 0, fmt.Errorf("store: grid %q: %w", c.GridCode, ErrWallTooNarrow)
		}
	}
	if c.Wall != "" {
		wall = &c.Wall
	}
	var id int64
	err := tx.QueryRow(ctx, "INSERT INTO credential (kind, hash, role, grid_code, wall, expires_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
		c.Kind, secretHash(secret), c.Role, code, wall, c.ExpiresAt).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store: save credential: %w", err)
	}
	return id, nil
}

const selectCredential = `SELECT id, kind, role, coalesce(grid_code, ''), coalesce(wall, ''), expires_at FROM credential
	WHERE hash = $1 AND kind = ANY($2) AND revoked_at IS NULL AND used_at IS NULL AND (expires_at IS NULL OR expires_at > $3)`

func scanCredential(row pgx.Row) (Credential, error) {
	var c Credential
	err := row.Scan(&c.ID, &c.Kind, &c.Role, &c.GridCode, &c.Wall, &c.ExpiresAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, ErrNotFound
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

// Redeem uses up a one-time secret and makes the session it stands for in the
// same transaction; also runs in it too. It returns the session's own secret.
func (db *DB) Redeem(ctx context.Context, secret string, now time.Time, lifetime func(Credential) time.Duration, also func(pgx.Tx, Credential) error) (string, Credential, error) {
	session := NewSecret()
	var c Credential
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		old, err := scanCredential(tx.QueryRow(ctx, selectCredential+" FOR UPDATE", secretHash(secret), []CredentialKind{WallCode, FirstSecret}, now))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE credential SET used_at = $2 WHERE id = $1", old.ID, now); err != nil {
			return err
		}
		until := now.Add(lifetime(old))
		c = Credential{Kind: Session, Role: old.Role, GridCode: old.GridCode, Wall: old.Wall, ExpiresAt: &until}
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

// Revoke ends a credential. Revoking one that has ended changes nothing.
func (db *DB) Revoke(ctx context.Context, id int64, now time.Time) error {
	if _, err := db.Pool.Exec(ctx, "UPDATE credential SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", id, now); err != nil {
		return fmt.Errorf("store: revoke credential %d: %w", id, err)
	}
	return nil
}

// HasFirstSecret reports whether the first administrator's secret was ever made.
func (db *DB) HasFirstSecret(ctx context.Context) (bool, error) {
	var has bool
	err := db.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM credential WHERE kind = 'first_secret')").Scan(&has)
	return has, err
}

// Actor makes the actor a credential stands for: its role over every version's
// numbers of its grid.
func (db *DB) Actor(ctx context.Context, c Credential) (auth.Actor, error) {
	rows, err := db.Pool.Query(ctx, `SELECT no, last_no FROM grid WHERE no IS NOT NULL
		AND CASE WHEN $1 = '' THEN level = 1 ELSE code = $1 END ORDER BY no`, c.GridCode)
	if err != nil {
		return auth.Actor{}, fmt.Errorf("store: scope of credential %d: %w", c.ID, err)
	}
	iv, err := pgx.CollectRows(rows, pgx.RowToStructByPos[auth.Interval])
	if err != nil {
		return auth.Actor{}, fmt.Errorf("store: scope of credential %d: %w", c.ID, err)
	}
	id := fmt.Sprintf("%s:%d", c.Kind, c.ID)
	if c.Wall != "" {
		id = "wall:" + c.Wall
	}
	return auth.NewActor(auth.Grant{ID: id, Role: c.Role, Intervals: iv}), nil
}
