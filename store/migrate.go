// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // goose works on database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrNewerSchema means that the database was migrated by a newer program.
var ErrNewerSchema = errors.New("the database was made by a newer version of this program: install that version, or restore a backup made before it")

// Migrate brings the schema of the database at url up to date. Any number of
// nodes may call it at once: one migrates, the others wait and find it done.
func Migrate(ctx context.Context, url string, schema fs.FS) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, schema, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	if have > want {
		return fmt.Errorf("store: schema %d, this program knows %d: %w", have, want, ErrNewerSchema)
	}
	if err := EnsureRoles(ctx, url); err != nil {
		return err // the migrations grant them what they may do
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return nil
}

// CheckServer says in plain words what keeps an external database from being
// used: too old, a replica, a wrong encoding or collation, missing rights.
func CheckServer(ctx context.Context, url string) error {
	db, err := Open(ctx, url, Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	var version int
	var replica, canCreate, postgis, super bool
	var encoding, ctype string
	err = db.Pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), pg_encoding_to_char(encoding), datctype,
		has_database_privilege(current_user, datname, 'CREATE') AND has_schema_privilege(current_user, 'public', 'CREATE'),
		EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'postgis'),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
		FROM pg_database WHERE datname = current_database()`).Scan(&version, &replica, &encoding, &ctype, &canCreate, &postgis, &super)
	if err != nil {
		return fmt.Errorf("store: check the database: %w", err)
	}
	switch {
	case version < 150000:
		return fmt.Errorf("PostgreSQL %d.%d is too old: 15 or newer is needed", version/10000, version%10000)
	case replica:
		return errors.New("the database is a read-only replica: name the primary")
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s: create it with ENCODING 'UTF8'", encoding)
	case ctype == "C" || ctype == "POSIX":
		return fmt.Errorf("the database's LC_CTYPE is %s, under which Chinese text cannot be searched: create it with LC_CTYPE 'C.UTF-8'", ctype)
	case !canCreate:
		return errors.New("this role may not create tables: GRANT CREATE ON DATABASE and ON SCHEMA public to it")
	case !postgis && !super:
		return errors.New("PostGIS is not set up in this database and this role may not do it: let a superuser run CREATE EXTENSION postgis once")
	}
	if !postgis {
		return nil // the first migration creates it
	}
	var lib string
	if err := db.Pool.QueryRow(ctx, "SELECT postgis_lib_version()").Scan(&lib); err != nil {
		return fmt.Errorf("store: PostGIS version: %w", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(lib, "%d.%d", &major, &minor); err != nil || major < 3 || major == 3 && minor < 3 {
		return fmt.Errorf("PostGIS %s is too old: 3.3 or newer is needed", lib)
	}
	return nil
}
