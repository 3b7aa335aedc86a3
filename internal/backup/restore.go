// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/internal/localpg"
	"onemap/migrations"
	"onemap/store"
	"onemap/store/ledger"
)

// ErrNotEmpty means that the place of a restore holds something already.
var ErrNotEmpty = errors.New("not empty: a backup is restored into a new data folder or database only")

// RestoreOptions say from what and to where.
type RestoreOptions struct {
	File        string
	KeyFile     string     // the copy of the sealing key
	Data        string     // data folder: absent or empty
	DatabaseURL string     // an outside database without tables; "" for a private one in Data
	Actor       auth.Actor // who the audit log says it was
	Phase       func(what string)
}

// Restore makes a data folder (and, with DatabaseURL, a database) of a backup, and
// brings its schema up to date: all of it or nothing. The feed gets another epoch
// at the server's start, so that screens that saw later numbers begin anew.
func Restore(ctx context.Context, o RestoreOptions) (m Manifest, err error) {
	if o.Phase == nil {
		o.Phase = func(string) {}
	}
	lock, made, err := takeFolder(o.Data)
	if err != nil {
		return m, err
	}
	defer lock.Close()
	half := filepath.Join(o.Data, halfDone)
	defer func() {
		if err != nil {
			_ = os.RemoveAll(half)
			if made {
				_ = os.Remove(o.Data)
			}
			if ctx.Err() != nil {
				err = context.Cause(ctx) // whatever it was that broke off
			}
		}
	}()
	key, err := placeKey(half, o.KeyFile)
	if err != nil {
		return m, err
	}
	o.Phase("check")
	if m, err = Check(ctx, o.File, key); err != nil {
		return m, err
	}
	if err := fill(ctx, o, half, key, m); err != nil {
		return m, err
	}
	return m, moveUp(half, o.Data)
}

// fill makes the database and the attachments from a file that has been checked.
func fill(ctx context.Context, o RestoreOptions, half string, key *store.Sealer, m Manifest) (err error) {
	d := &Database{URL: o.DatabaseURL, full: o.DatabaseURL, stop: func() {}}
	o.Phase("database")
	if o.DatabaseURL != "" {
		if err := store.CheckServer(ctx, o.DatabaseURL); err != nil {
			return err
		}
	} else {
		pg, err := localpg.Start(ctx, localpg.Options{Dir: half, Log: slog.New(slog.DiscardHandler), Settings: restoreSettings})
		if err != nil {
			return err
		}
		defer func() { // before anything moves: its files are whole only then
			sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
			defer cancel()
			err = errors.Join(err, pg.Stop(sctx))
		}()
		if d, err = privateDatabase(pg.URL(localpg.Database), func() {}); err != nil {
			return err
		}
	}
	if err := d.load(ctx, o, half, key); err != nil {
		return err
	}
	if err := d.settle(ctx, o, key, m); err != nil {
		if o.DatabaseURL != "" {
			return fmt.Errorf("%w; drop this database and make it anew before the next try", err)
		}
		return err
	}
	return nil
}

// restoreSettings are safe because a restore that crashes begins again: the rows
// reach the disk before the cluster moves to its place.
var restoreSettings = map[string]string{
	"wal_level": "minimal", "max_wal_senders": "0", "synchronous_commit": "off", "autovacuum": "off", "maintenance_work_mem": "256MB",
	"statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
}

// stopPatience is how long the last checkpoint may take.
const stopPatience = 10 * time.Minute

// load runs pg_restore in one transaction and writes the attachments.
func (d *Database) load(ctx context.Context, o RestoreOptions, half string, key *store.Sealer) error {
	major, err := d.checkTarget(ctx)
	if err != nil {
		return err
	}
	list, err := d.contents(ctx, o, half, key, major)
	if err != nil {
		return err
	}
	a, err := openArchive(ctx, o.File, key)
	if err != nil {
		return err
	}
	defer a.close()
	if a.Postgres > major {
		return fmt.Errorf("the backup was made from PostgreSQL %d, and this is %d: install PostgreSQL %d with PostGIS", a.Postgres, major, a.Postgres)
	}
	o.Phase("rows")
	dump := a.database()
	cmd, err := client(ctx, "pg_restore", major, d.URL, "--single-transaction", "--exit-on-error", "--no-owner", "--use-list="+list)
	if err != nil {
		return err
	}
	p := &program{cmd: cmd}
	cmd.Stdin, cmd.Stderr = dump, &p.said
	if err := p.explain(cmd.Run()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, dump); err != nil { // what it had no need of
		return err
	}
	o.Phase("attachments")
	if err := a.attachments(func(name string, content io.Reader) error {
		return writeAttachment(filepath.Join(half, filepath.FromSlash(name)), content)
	}); err != nil {
		return err
	}
	return a.finish()
}

// checkTarget refuses a database with tables, and makes what the dump builds on:
// the roles its grants name, and the extensions. A private cluster has both.
func (d *Database) checkTarget(ctx context.Context) (major int, err error) {
	conn, err := connect(ctx, d.URL)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	have, err := countRows(ctx, conn)
	if err != nil {
		return 0, err
	}
	if len(have) > 0 {
		return 0, fmt.Errorf("the database has tables (%s): %w", strings.Join(slices.Sorted(maps.Keys(have)), ", "), ErrNotEmpty)
	}
	if err := store.EnsureRoles(ctx, d.URL); err != nil {
		return 0, err
	}
	if _, err := conn.Exec(ctx, makeExtensions); err != nil {
		return 0, fmt.Errorf("%w: let a superuser run %s", err, makeExtensions)
	}
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&major)
	return major, err
}

const makeExtensions = "CREATE EXTENSION IF NOT EXISTS postgis; CREATE EXTENSION IF NOT EXISTS btree_gist; CREATE EXTENSION IF NOT EXISTS pg_trgm"

// ofThePlace marks what belongs to a database and not to the record: the schema
// public, PostGIS's own table, and default privileges, which name the owner of the
// place they came from.
var ofThePlace = []string{" SCHEMA - public ", " TABLE DATA public spatial_ref_sys ", " DEFAULT ACL "}

// contents writes the list of what pg_restore shall make.
func (d *Database) contents(ctx context.Context, o RestoreOptions, half string, key *store.Sealer, major int) (path string, err error) {
	a, err := openArchive(ctx, o.File, key)
	if err != nil {
		return "", err
	}
	defer a.close()
	cmd, err := client(ctx, "pg_restore", max(major, a.Postgres), d.URL)
	if err != nil {
		return "", err
	}
	p := &program{cmd: cmd}
	cmd.Args = []string{cmd.Args[0], "--list"} // reads the file alone
	cmd.Stdin, cmd.Stderr = a.database(), &p.said
	all, err := cmd.Output()
	if err := p.explain(err); err != nil {
		return "", err
	}
	var list bytes.Buffer
	for line := range bytes.Lines(all) {
		if !slices.ContainsFunc(ofThePlace, func(s string) bool { return bytes.Contains(line, []byte(s)) }) {
			list.Write(line)
		}
	}
	path = filepath.Join(half, "restore.list")
	return path, os.WriteFile(path, list.Bytes(), 0o600)
}

// defaultPrivileges are those of the migrations; see ofThePlace.
const defaultPrivileges = `
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO onemap_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO onemap_app`

// settle checks the rows against the manifest and the key against the rows, and
// makes the database fit for a server.
func (d *Database) settle(ctx context.Context, o RestoreOptions, key *store.Sealer, m Manifest) error {
	o.Phase("compare")
	if err := d.compare(ctx, m.Rows); err != nil {
		return err
	}
	if err := d.CheckKey(ctx, key); err != nil {
		return err
	}
	conn, err := connect(ctx, d.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, defaultPrivileges); err != nil {
		return err
	}
	// No lineage is this one, even in the very cluster the backup came from: the
	// sequencer makes another epoch.
	if _, err := conn.Exec(ctx, "UPDATE feed_head SET lineage = 'restored'"); err != nil {
		return err
	}
	o.Phase("schema")
	if err := store.Migrate(ctx, d.URL, migrations.FS); err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		return ledger.Audit(ctx, tx, o.Actor, "", ledger.AuditRestore, "", "", map[string]any{"at": m.At, "key": m.Key})
	})
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ANALYZE")
	return err
}

func (d *Database) compare(ctx context.Context, want map[string]int64) error {
	conn, err := connect(ctx, d.full)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	have, err := countRows(ctx, conn)
	if err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(want)) {
		if n, ok := have[table]; !ok || n != want[table] {
			return fmt.Errorf("table %s has %d rows after the restore, %d in the backup", table, n, want[table])
		}
	}
	return nil
}
