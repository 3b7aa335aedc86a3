// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/internal/localpg"
	"onemap/internal/pgtest"
	"onemap/migrations"
	"onemap/store"
)

var update = flag.Bool("update", false, "write the golden list of rights anew")

var lesserRoles = []string{store.AppRole, store.TilesRole, store.AuditorRole}

func TestEveryConnectionOfAPoolWorksAsItsRole(t *testing.T) {
	t.Parallel()
	if store.AppRole != localpg.AppRole || store.TilesRole != localpg.TilesRole || store.AuditorRole != localpg.AuditorRole {
		t.Error("the private cluster makes other roles than the store steps down to")
	}
	url := pgtest.URL(t)
	for _, role := range lesserRoles {
		db, err := store.Open(t.Context(), url, store.Options{Role: role, MaxConns: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		conns := db.Pool.AcquireAllIdle(t.Context())
		for range 3 - len(conns) {
			c, err := db.Pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			for _, sql := range []string{"SELECT 1", "RESET ROLE", "DISCARD ALL"} {
				if _, err := c.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
				var got string
				if err := c.QueryRow(t.Context(), "SELECT current_user", pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil || got != role {
					t.Errorf("after %s the connection works as %q, %v; want %s", sql, got, err, role)
				}
			}
			c.Release()
		}
	}
	if _, err := store.Open(t.Context(), url, store.Options{Role: "postgres"}); err == nil {
		t.Error("the owner stepped up to the superuser")
	}
}

func TestTheRolesHaveExactlyTheRightsOfTheList(t *testing.T) {
	db := opened(t, pgtest.URL(t), "")
	got, err := db.Rights(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const golden = "privileges.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lacking(got, string(want)) {
		t.Errorf("a right that nobody agreed to: %s", line)
	}
	for _, line := range lacking(string(want), got) {
		t.Errorf("a right is gone: %s", line)
	}
}

// lacking lists the lines of a that b does not have.
func lacking(a, b string) (out []string) {
	have := map[string]bool{}
	for line := range strings.Lines(b) {
		have[line] = true
	}
	for line := range strings.Lines(a) {
		if !have[line] {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// personal are the columns that no wall's connection may read.
var personal = map[string][]string{
	"worker":     {"name_sealed", "phone_sealed"},
	"reporter":   {"incident_id", "n", "name_sealed", "phone_sealed", "phone_hash", "id_number_sealed"},
	"incident":   {"title", "body", "address", "raw_lon", "raw_lat", "raw_datum", "external_id", "found"},
	"feed":       {"case_view"},
	"outbox":     {"before_aud", "after_aud", "shared", "case_view"},
	"live_state": {"case_view"},
	"account": {
		"id", "login", "worker_id", "state", "password", "pin", "totp_sealed", "totp_at", "totp_step", "epoch",
		"created_at", "created_by", "signed_in_at",
	},
	"account_grant":    {"account_id", "role", "reason"},
	"credential":       {"id", "kind", "hash", "account_id", "address", "note"},
	"worker_position":  {"worker_id", "fix_at", "lon_e7", "lat_e7"},
	"incident_journal": {"actor", "reason", "data"},
	"incident_worker":  {"worker_id"},
	"audit_log":        {"actor", "reason", "data"},
	"audit_seal":       {"hash"},
	"idempotency":      {"actor", "key"},
	"device":           {"unique_id"},
	"feed_default":     {"case_view", "shared"},
}

func TestWallsAndTheAuditorReachNoPersonalColumn(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	owner, tiles, auditor := opened(t, url, ""), opened(t, url, store.TilesRole), opened(t, url, store.AuditorRole)
	for table, columns := range personal {
		for _, column := range columns {
			sql := "SELECT " + pgx.Identifier{column}.Sanitize() + " FROM " + pgx.Identifier{table}.Sanitize()
			if _, err := owner.Pool.Exec(t.Context(), sql); err != nil {
				t.Errorf("the list is out of date: %s: %v", sql, err)
			}
			refused(t, tiles, sql)
			if !strings.HasPrefix(table, "audit_") {
				refused(t, auditor, sql)
			}
		}
		refused(t, tiles, "SELECT * FROM "+table)
		refused(t, tiles, "SELECT t FROM "+table+" t")
	}
	// What a wall does show is in reach.
	for _, sql := range []string{
		"SELECT id, state, geom, category, accuracy_m FROM incident", "SELECT badge FROM worker", "SELECT seq, shared FROM feed",
		"SELECT seq, audience, shared FROM live_state", "SELECT geom FROM grid", "SELECT lon_e7 FROM worker_last", "SELECT seq FROM feed_head",
		"SELECT ST_AsMVTGeom(geom, ST_TileEnvelope(0, 0, 0)) FROM camera",
	} {
		if _, err := tiles.Pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{"SELECT * FROM audit_log", "SELECT * FROM audit_seal"} {
		if _, err := auditor.Pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, db := range []*store.DB{tiles, auditor} {
		refused(t, db, "INSERT INTO setting VALUES ('a', '1')")
		refused(t, db, "INSERT INTO audit_log (actor, action) VALUES ('a', 'b')")
		refused(t, db, "CREATE TABLE mine (n int)")
	}
}

func TestTheAppChangesNoEvidenceAndNoSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	owner, app := opened(t, url, ""), opened(t, url, store.AppRole)
	for _, sql := range []string{
		"INSERT INTO setting VALUES ('a', '1')", "UPDATE setting SET value = '2'", "DELETE FROM setting",
		"INSERT INTO audit_log (actor, action) VALUES ('somebody', 'looked')", "SELECT * FROM audit_log",
		"INSERT INTO incident_journal (incident_id, n, version, kind, actor, at) VALUES (1, 1, 1, 'a', 'b', now())",
		"SELECT nextval('incident_id')",
	} {
		if _, err := app.Pool.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"CREATE TABLE mine (n int)", "CREATE SCHEMA mine", "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"ALTER TABLE setting ADD COLUMN n int", "DROP TABLE setting", "TRUNCATE setting", "CREATE INDEX ON setting (value)",
		"ALTER TABLE reporter DISABLE ROW LEVEL SECURITY", "ALTER TABLE audit_log DISABLE TRIGGER ALL",
		"UPDATE goose_db_version SET version_id = 9", "CREATE ROLE mine",
	} {
		refused(t, app, sql)
	}
	for table, column := range map[string]string{"audit_log": "actor", "audit_seal": "n", "incident_journal": "reason"} {
		for _, sql := range []string{
			"UPDATE " + table + " SET " + column + " = " + column, "DELETE FROM " + table, "TRUNCATE " + table, "DROP TABLE " + table,
			"ALTER TABLE " + table + " DISABLE TRIGGER " + table + "_append_only", "DROP TRIGGER " + table + "_no_truncate ON " + table,
		} {
			refused(t, app, sql)
		}
	}
	if _, err := owner.Pool.Exec(t.Context(), "DELETE FROM audit_log"); err == nil {
		t.Error("the owner deleted evidence without first switching the trigger off")
	}
	var owned int
	if err := owner.Pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
		WHERE r.rolname = ANY ($1)`, lesserRoles).Scan(&owned); err != nil || owned != 0 {
		t.Errorf("the roles own %d tables, %v", owned, err)
	}
}

func TestTablesAndPartitionsToComeAreTheAppsAlone(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	owner, app, tiles := opened(t, url, ""), opened(t, url, store.AppRole), opened(t, url, store.TilesRole)
	now := time.Now()
	if err := (store.Positions{DB: owner}).EnsurePartitions(t.Context(), now, 2); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"CREATE TABLE later (n int GENERATED ALWAYS AS IDENTITY, word text)", "CREATE SEQUENCE later_number",
		"CREATE TABLE feed_later PARTITION OF feed FOR VALUES FROM ('2031-01-01') TO ('2031-02-01')",
		"INSERT INTO worker_position (device_id, fix_at, worker_id, server_at, lon_e7, lat_e7) VALUES (1, now(), 1, now(), 1, 1)",
		"INSERT INTO feed (seq, at, kind, entity_kind, entity_id, ver, live, occurred_at, shared) VALUES (1, '2031-01-02', 'a', 'b', 'c', 1, 'put', now(), '{}')",
	} {
		if _, err := owner.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"INSERT INTO later (word) VALUES ('a')", "SELECT * FROM later", "UPDATE later SET word = 'b'", "DELETE FROM later",
		"SELECT nextval('later_number')", "SELECT * FROM worker_position", "SELECT case_view FROM feed",
	} {
		if tag, err := app.Pool.Exec(t.Context(), sql); err != nil || tag.RowsAffected() != 1 && !strings.Contains(sql, "FROM feed") {
			t.Errorf("%s: %s %v", sql, tag, err)
		}
	}
	refused(t, app, "TRUNCATE later")
	refused(t, tiles, "SELECT * FROM later")
	refused(t, tiles, "SELECT seq FROM feed_later")
	refused(t, tiles, "SELECT * FROM worker_position")
	if tag, err := tiles.Pool.Exec(t.Context(), "SELECT seq, shared FROM feed"); err != nil || tag.RowsAffected() != 1 {
		t.Errorf("a wall reads the feed's new partition: %s %v", tag, err)
	}
}

// opened is a pool that works as role, closed at the end of t.
func opened(t *testing.T, url, role string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{Role: role, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// refused runs sql and wants it refused for want of a right, even where the
// transaction names the incident whose reporters it wants.
func refused(t *testing.T, db *store.DB, sql string) {
	t.Helper()
	err := db.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SELECT set_config('onemap.reporter_of', '1', true)"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), sql)
		return err
	})
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "42501" || strings.Contains(pe.Message, "append-only") {
		t.Errorf("%s: %v, want it refused for want of a right", sql, err)
	}
}

func TestAnOutsideDatabaseGetsItsRolesOrSaysWhatToRun(t *testing.T) {
	t.Parallel()
	pgtest.URL(t) // skips without PostGIS
	base, err := os.MkdirTemp("", "onemap-roles-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	if err := os.Chmod(base, 0o711); err != nil {
		t.Fatal(err)
	}
	pg, err := localpg.Start(t.Context(), localpg.Options{Dir: filepath.Join(base, "d"), Log: slog.New(slog.DiscardHandler), Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pg.Stop(context.Background()) })
	owner := pg.URL(localpg.Database)
	super, err := pgx.Connect(t.Context(), as(t, owner, "postgres", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer super.Close(context.Background())
	run := func(sql string) {
		t.Helper()
		if _, err := super.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	bare := func() { run("DROP ROLE IF EXISTS onemap_app, onemap_tiles, onemap_auditor") }

	// A user without rights is told what a superuser runs; that very line is enough.
	bare()
	err = store.Migrate(t.Context(), owner, migrations.FS)
	if !errors.Is(err, store.ErrRoles) {
		t.Fatalf("without the roles and the right to make them: %v", err)
	}
	_, sql, _ := strings.Cut(err.Error(), "run once: ")
	run(sql)
	if err := store.EnsureRoles(t.Context(), owner); err != nil {
		t.Errorf("after %s: %v", sql, err)
	}

	// The roles are there, but the user is in none of them.
	run(`CREATE ROLE "Odd user" LOGIN`)
	run("GRANT CREATE ON DATABASE onemap TO " + `"Odd user"`)
	odd := as(t, owner, "postgres", "Odd user")
	err = store.EnsureRoles(t.Context(), odd)
	if !errors.Is(err, store.ErrRoles) || strings.Contains(err.Error(), "CREATE ROLE") {
		t.Fatalf("a user in none of the roles: %v", err)
	}
	_, sql, _ = strings.Cut(err.Error(), "run once: ")
	run(sql)
	if err := store.EnsureRoles(t.Context(), odd); err != nil {
		t.Errorf("after %s: %v", sql, err)
	}

	// Who may make roles makes them, four nodes at once.
	bare()
	run("ALTER ROLE onemap CREATEROLE")
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- store.EnsureRoles(t.Context(), owner) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := store.Migrate(t.Context(), owner, migrations.FS); err != nil {
		t.Error(err)
	}
	for _, role := range lesserRoles {
		opened(t, owner, role)
	}
}

// as is the URL base for another user, who works as role unless that is "".
func as(t *testing.T, base, user, role string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(user)
	if role != "" {
		q := u.Query()
		q.Set("role", role)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	}
	return u.String()
}
