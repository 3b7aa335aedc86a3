// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
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
	return db.readOnly(ctx, func(tx pgx.Tx) error {
		f, err := readServer(ctx, tx)
		if err != nil {
			return err
		}
		for _, found := range f.findings() {
			if found.Level == Fault {
				return errors.New(found.What + ": " + found.Do)
			}
		}
		return nil
	})
}

// serverFacts are what a database server has to have before it gets a schema.
type serverFacts struct {
	version                       int // as server_version_num
	encoding, ctype, postgis      string
	replica, canCreate, superuser bool
}

func readServer(ctx context.Context, tx pgx.Tx) (f serverFacts, err error) {
	var postgis bool
	err = tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), pg_encoding_to_char(encoding), datctype,
		has_database_privilege(current_user, datname, 'CREATE') AND has_schema_privilege(current_user, 'public', 'CREATE'),
		EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'postgis'),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
		FROM pg_database WHERE datname = current_database()`).
		Scan(&f.version, &f.replica, &f.encoding, &f.ctype, &f.canCreate, &postgis, &f.superuser)
	if err != nil {
		return f, fmt.Errorf("store: check the database: %w", err)
	}
	if postgis {
		if err := tx.QueryRow(ctx, "SELECT postgis_lib_version()").Scan(&f.postgis); err != nil {
			return f, fmt.Errorf("store: PostGIS version: %w", err)
		}
	}
	return f, nil
}

// findings judges each fact.
func (f serverFacts) findings() []Finding {
	out := []Finding{
		judge(f.version >= 150000, fmt.Sprintf("PostgreSQL %d.%d", f.version/10000, f.version%10000), " is too old", "15 or newer is needed"),
		judge(!f.replica, "the database takes changes", "", ""),
		judge(f.encoding == "UTF8", "the database's encoding is "+f.encoding, "", "create it with ENCODING 'UTF8'"),
		judge(f.ctype != "C" && f.ctype != "POSIX", "the database's LC_CTYPE is "+f.ctype, ", under which Chinese text cannot be searched", "create it with LC_CTYPE 'C.UTF-8'"),
		judge(f.canCreate, "this role may create tables", "", ""),
	}
	if f.replica {
		out[1] = Finding{Fault, "the database is a read-only replica", "name the primary"}
	}
	if !f.canCreate {
		out[4] = Finding{Fault, "this role may not create tables", "GRANT CREATE ON DATABASE and ON SCHEMA public to it"}
	}
	var major, minor int
	_, err := fmt.Sscanf(f.postgis, "%d.%d", &major, &minor)
	switch {
	case f.postgis != "":
		good := err == nil && (major > 3 || major == 3 && minor >= 3)
		out = append(out, judge(good, "PostGIS "+f.postgis, " is too old", "3.3 or newer is needed"))
	case !f.superuser: // else the first migration creates it
		out = append(out, Finding{Fault, "PostGIS is not set up in this database and this role may not do it", "let a superuser run CREATE EXTENSION postgis once"})
	}
	return out
}
