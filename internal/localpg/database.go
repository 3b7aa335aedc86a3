// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"
)

// ensureDatabase makes the role, the database and its extensions where they are
// missing. postgis may only be created by a superuser, hence here and not in a
// migration.
func (c *cluster) ensureDatabase(ctx context.Context) error {
	err := c.asSuperuser(ctx, "postgres", func(conn *pgx.Conn) error {
		return ensureRoleAndDatabase(ctx, conn)
	})
	if err != nil {
		return err
	}
	return c.asSuperuser(ctx, Database, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "SELECT extname::text FROM pg_extension")
		if err != nil {
			return err
		}
		have, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, e := range extensions {
			if slices.Contains(have, e) {
				continue
			}
			if _, err := conn.Exec(ctx, "CREATE EXTENSION "+e); err != nil {
				return fmt.Errorf("create extension %s: %w", e, err)
			}
		}
		return nil
	})
}

func ensureRoleAndDatabase(ctx context.Context, conn *pgx.Conn) error {
	var role, database bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
		EXISTS (SELECT FROM pg_database WHERE datname = $2)`, Role, Database).Scan(&role, &database)
	if err != nil {
		return err
	}
	if !role {
		if _, err := conn.Exec(ctx, "CREATE ROLE "+Role+" LOGIN CREATEDB"); err != nil {
			return err
		}
	}
	if !database {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+Database+" OWNER "+Role); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, makeRoles)
	return err
}

// makeRoles makes the roles with fewer rights than Role, which may step down to
// them, where they are missing: a cluster of an older program has none. What they
// may do in a database is said by its migrations.
const makeRoles = `DO $$
DECLARE lesser text;
BEGIN
  FOREACH lesser IN ARRAY ARRAY['` + AppRole + `', '` + TilesRole + `', '` + AuditorRole + `'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = lesser) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', lesser);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_auth_members WHERE roleid = lesser::regrole AND member = '` + Role + `'::regrole) THEN
      EXECUTE format('GRANT %I TO ` + Role + `', lesser);
    END IF;
  END LOOP;
END $$`

// EnsureRoles makes the lesser roles in the running cluster of dir where they are
// missing, as a start does: a server of an older program may be running it.
func EnsureRoles(ctx context.Context, dir string) error {
	base, running := Join(dir)
	if !running {
		return errors.New("localpg: no cluster runs in " + dir)
	}
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	u.User, u.Path = url.User(superuser), "/postgres"
	conn, err := connect(ctx, u.String())
	if err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, makeRoles); err != nil {
		return fmt.Errorf("localpg: make the roles: %w", err)
	}
	return nil
}

func (c *cluster) asSuperuser(ctx context.Context, database string, f func(*pgx.Conn) error) error {
	conn, err := connect(ctx, socketURL(c.sock, superuser, database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// A slow machine takes long over an extension.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0"); err != nil {
		return err
	}
	return f(conn)
}

// connect opens one connection that the environment's PGOPTIONS and the like
// cannot sway.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams = map[string]string{"application_name": "onemap-localpg"}
	cfg.ValidateConnect = nil
	return pgx.ConnectConfig(ctx, cfg)
}
