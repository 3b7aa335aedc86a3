// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"onemap/internal/pgtest"
	"onemap/migrations"
	"onemap/store"
	"onemap/track"
)

// patient is a database as a running server keeps it, and its key.
func patient(t *testing.T) (*store.DB, store.Examination, string) {
	t.Helper()
	url := pgtest.URL(t)
	db := opened(t, url, "")
	seal, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CheckSealKey(t.Context(), seal); err != nil {
		t.Fatal(err)
	}
	if err := (store.Positions{DB: db}).EnsurePartitions(t.Context(), time.Now(), 8); err != nil {
		t.Fatal(err)
	}
	return db, store.Examination{Schema: migrations.FS, Sealer: seal, Now: time.Now}, url
}

func run(t *testing.T, db *store.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestAHealthyDatabaseHasNoFaultAndIsOnlyRead(t *testing.T) {
	t.Parallel()
	_, e, url := patient(t)
	db := opened(t, url+"&default_transaction_read_only=on", "")
	if _, err := db.Pool.Exec(t.Context(), "DELETE FROM setting"); err == nil {
		t.Fatal("this connection can write")
	}
	found := db.Examine(t.Context(), e)
	if len(found) < 15 {
		t.Errorf("only %d checks", len(found))
	}
	for _, f := range found {
		if f.Level != store.Good || f.Do != "" {
			t.Errorf("%+v", f)
		}
	}
}

// TestTheTableOfASessionIsNoFault: the app keeps a temporary table on the connection
// that wrote fixes. It is nobody's to take away while the server runs.
func TestTheTableOfASessionIsNoFault(t *testing.T) {
	t.Parallel()
	db, e, url := patient(t)
	app := opened(t, url, store.AppRole)
	now := time.Now()
	if err := (store.Positions{DB: app}).Append(t.Context(), []track.Fix{{Device: 1, Worker: 1, At: now, ServerAt: now, Battery: -1, Verdict: track.Jump}}); err != nil {
		t.Fatal(err)
	}
	var temporary int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relowner = 'onemap_app'::regrole").Scan(&temporary); err != nil || temporary == 0 {
		t.Fatalf("%d temporary tables, %v", temporary, err)
	}
	for _, f := range db.Examine(t.Context(), e) {
		if f.Level != store.Good {
			t.Errorf("%+v", f)
		}
	}
}

func TestEachFaultIsNamedWithWhatToDo(t *testing.T) {
	t.Parallel()
	other, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, db *store.DB, e *store.Examination)
		level store.Level
		what  string
		do    string
	}{
		"a right is gone": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "REVOKE SELECT ON road FROM onemap_tiles")
		}, store.Fault, "onemap_tiles lacks rights: SELECT column road.class", "GRANT SELECT ON road TO onemap_tiles;"},
		"a column's right is gone": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "REVOKE SELECT (badge) ON worker FROM onemap_tiles")
		}, store.Fault, "onemap_tiles lacks rights: SELECT column worker.badge", "GRANT SELECT (badge) ON worker TO onemap_tiles;"},
		"row security is off": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "ALTER TABLE reporter DISABLE ROW LEVEL SECURITY")
		}, store.Fault, "what keeps the records from change is off: row security of the table reporter", "ALTER TABLE reporter ENABLE ROW LEVEL SECURITY;"},
		"a table is gone": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "DROP TABLE camera")
		}, store.Fault, "the database lacks: ", "restore a backup"},
		"a wall may read a name": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "GRANT SELECT (name_sealed) ON reporter TO onemap_tiles")
		}, store.Fault, "onemap_tiles has rights it must not have: SELECT column reporter.name_sealed", "REVOKE SELECT ON reporter FROM onemap_tiles, PUBLIC;"},
		"everybody may read the case views": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "GRANT SELECT ON live_state TO public")
		}, store.Fault, "onemap_auditor has rights it must not have", "REVOKE SELECT"},
		"the app may change evidence": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "GRANT UPDATE ON audit_log TO onemap_app")
		}, store.Fault, "UPDATE column audit_log.action", "REVOKE UPDATE"},
		"the app may change the schema": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "CREATE TABLE bait (n int)")
			run(t, db, "GRANT TRIGGER ON setting TO onemap_app")
		}, store.Fault, "onemap_app has rights it must not have: TRIGGER table setting", "REVOKE TRIGGER ON setting FROM onemap_app, PUBLIC;"},
		"the journal may be deleted": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "ALTER TABLE incident_journal DISABLE TRIGGER incident_journal_append_only")
		}, store.Fault, "what keeps the records from change is off: trigger incident_journal_append_only", "ALTER TABLE incident_journal ENABLE TRIGGER incident_journal_append_only;"},
		"the app owns a table": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "CREATE TABLE bait (n int)")
			run(t, db, "GRANT CREATE ON SCHEMA public TO onemap_app")
			run(t, db, "ALTER TABLE bait OWNER TO onemap_app")
			run(t, db, "REVOKE CREATE ON SCHEMA public FROM onemap_app")
		}, store.Fault, "onemap_app has rights it must not have: OWNER objects", "REASSIGN OWNED BY onemap_app TO "},
		"a partition is open": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "GRANT SELECT ON worker_position_default TO onemap_auditor")
		}, store.Fault, "worker_position/*", "REVOKE"},
		"another key": {func(_ *testing.T, _ *store.DB, e *store.Examination) { e.Sealer = other }, store.Fault, "the sealing key is not the one of this database", "put back the seal.key"},
		"a key nobody wrote down": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "DELETE FROM setting WHERE key = 'seal_key'")
		}, store.Warning, "does not know its sealing key", "start the server"},
		"the database is 3 s ahead": {func(_ *testing.T, _ *store.DB, e *store.Examination) {
			e.Now = func() time.Time { return time.Now().Add(-3 * time.Second) }
		}, store.Fault, "apart, more than 2s", "NTP"},
		"the database is 3 s behind": {func(_ *testing.T, _ *store.DB, e *store.Examination) {
			e.Now = func() time.Time { return time.Now().Add(3 * time.Second) }
		}, store.Fault, "apart, more than 2s", "NTP"},
		"a newer schema": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (90000, true)")
		}, store.Fault, "schema 90000, this program knows", "install that version"},
		"an older schema": {func(_ *testing.T, _ *store.DB, e *store.Examination) {
			e.Schema = fstest.MapFS{"00001_a.sql": {}, "90001_b.sql": {}}
		}, store.Fault, "is older than this program's, 90001", "onemap migrate"},
		"an audit row that waits": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "INSERT INTO audit_log (at, actor, action) VALUES (now() - interval '1 hour', 'a', 'b')")
			run(t, db, "INSERT INTO audit_log (actor, action) VALUES ('a', 'b')")
		}, store.Warning, "0 rows sealed, 2 waiting, the oldest for 1h0m", "start it"},
		"a hole in the seal": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "INSERT INTO audit_seal (n, audit_id, hash) VALUES (1, 1, sha256('a')), (3, 2, sha256('b'))")
		}, store.Fault, "the newest seal is number 3", "onemap audit verify"},
		"no partition for tomorrow": {func(_ *testing.T, _ *store.DB, e *store.Examination) {
			e.Now = func() time.Time { return time.Now().AddDate(0, 0, 6) }
		}, store.Warning, "partitions of positions reach 1 days ahead", "start it"},
		"a fix in the default partition": {func(t *testing.T, db *store.DB, _ *store.Examination) {
			run(t, db, "INSERT INTO worker_position (device_id, fix_at, worker_id, server_at, lon_e7, lat_e7) VALUES (1, '2001-01-01', 1, now(), 1, 1)")
		}, store.Warning, "default partitions hold 1 fixes and 0 events", "the server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, e, _ := patient(t)
			c.spoil(t, db, &e)
			found := db.Examine(t.Context(), e)
			for _, f := range found {
				if f.Level == c.level && strings.Contains(f.What, c.what) && strings.Contains(f.Do, c.do) {
					return
				}
			}
			t.Errorf("no %s %q, do %q in %+v", c.level, c.what, c.do, found)
		})
	}
}

func TestTheAdviceOnRightsMendsThem(t *testing.T) {
	t.Parallel()
	lesser := strings.Join(lesserRoles, ", ")
	for name, spoil := range map[string][]string{
		"all is gone": {
			"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM " + lesser, "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM " + lesser,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM onemap_app", "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM onemap_app",
		},
		"too much": {
			"GRANT ALL ON ALL TABLES IN SCHEMA public TO " + lesser, "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO " + lesser,
			"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO onemap_tiles", "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO onemap_auditor",
			`CREATE TABLE "Odd name" ("Odd column" int)`, `GRANT SELECT ("Odd column") ON "Odd name" TO onemap_tiles`,
		},
		"too much for everybody": {"GRANT SELECT, UPDATE ON incident, worker_position_default, feed TO PUBLIC"},
		"evidence may change": {
			"ALTER TABLE audit_log DISABLE TRIGGER USER", "ALTER TABLE reporter DISABLE ROW LEVEL SECURITY",
			"DROP TRIGGER incident_journal_no_truncate ON incident_journal", "DROP TRIGGER grid_kept ON grid",
			"CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'", "DROP TRIGGER category_kept ON category",
			"CREATE TRIGGER category_kept BEFORE DELETE ON category FOR EACH ROW EXECUTE FUNCTION pass()",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, e, _ := patient(t)
			for _, sql := range spoil {
				run(t, db, sql)
			}
			before, err := db.Rights(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			faults := 0
			for _, f := range db.Examine(t.Context(), e) {
				if f.Level == store.Fault {
					faults++
					run(t, db, f.Do)
				}
			}
			if faults == 0 {
				t.Error("nothing was found")
			}
			for _, f := range db.Examine(t.Context(), e) {
				if f.Level == store.Fault {
					t.Errorf("after the advice: %s -> %s", f.What, f.Do)
				}
			}
			golden, err := os.ReadFile("privileges.txt")
			if err != nil {
				t.Fatal(err)
			}
			after, err := db.Rights(t.Context())
			if err != nil || len(lacking(string(golden), after)) > 0 || before == after {
				t.Errorf("lacking %v, %v", lacking(string(golden), after), err)
			}
		})
	}
}

func TestASchemaOfAnotherProgramIsNamed(t *testing.T) {
	t.Parallel()
	db, _, _ := patient(t)
	if err := db.CheckSchema(t.Context(), migrations.FS); err != nil {
		t.Error(err)
	}
	err := db.CheckSchema(t.Context(), fstest.MapFS{"00001_a.sql": {}, "90001_b.sql": {}})
	if err == nil || !strings.Contains(err.Error(), "older than this program's, 90001: onemap migrate") {
		t.Errorf("an older schema: %v", err)
	}
	if err = db.CheckSchema(t.Context(), fstest.MapFS{"00001_a.sql": {}}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a newer schema: %v", err)
	}
}

func TestADatabaseWithoutASchemaIsExamined(t *testing.T) {
	t.Parallel()
	empty := opened(t, another(t, pgtest.URL(t), "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"), "")
	var faults []string
	for _, f := range empty.Examine(t.Context(), store.Examination{Schema: migrations.FS, Now: time.Now}) {
		if f.Level == store.Fault {
			faults = append(faults, f.What)
		}
	}
	for _, want := range []string{"LC_CTYPE is C", "PostGIS is not set up", "no schema"} {
		if !strings.Contains(strings.Join(faults, "\n"), want) {
			t.Errorf("no word of %q in %q", want, faults)
		}
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	db, e, url := patient(t)
	other, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.CheckSealKey(t.Context(), e.Sealer); err != nil {
			t.Errorf("the database's own key: %v", err)
		}
		if err := db.CheckSealKey(t.Context(), other); !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("another key: %v", err)
		}
	}
	if e.Sealer.Fingerprint() == other.Fingerprint() || len(other.Fingerprint()) != 16 {
		t.Errorf("fingerprints %q and %q", e.Sealer.Fingerprint(), other.Fingerprint())
	}

	// A database that was sealed before fingerprints were written down.
	run(t, db, "DELETE FROM setting WHERE key = 'seal_key'")
	sealed, err := e.Sealer.SealReporter(7, store.Reporter{N: 1, Name: "张三"})
	if err != nil {
		t.Fatal(err)
	}
	run(t, db, "ALTER TABLE reporter DROP CONSTRAINT IF EXISTS reporter_incident_id_fkey")
	run(t, db, "INSERT INTO reporter (incident_id, n, name_sealed) VALUES (7, 1, $1)", sealed.Name)
	if err := db.CheckSealKey(t.Context(), other); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("a key that opens no reporter was taken: %v", err)
	}
	// Four nodes with the right one.
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			node, err := store.Open(context.Background(), url, store.Options{MaxConns: 1})
			if err == nil {
				err = node.CheckSealKey(context.Background(), e.Sealer)
				node.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestALostKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	db := opened(t, pgtest.URL(t), "")
	dir := t.TempDir()
	key := filepath.Join(dir, "seal.key")
	s, err := db.OpenSealer(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := db.OpenSealer(t.Context(), dir); err != nil || again.Fingerprint() != s.Fingerprint() {
		t.Errorf("the second start: %v", err)
	}
	lost := func(what string) {
		t.Helper()
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		if _, err := db.OpenSealer(t.Context(), dir); !errors.Is(err, store.ErrKeyLost) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", what, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: it made %v, %v", what, left, err)
		}
	}
	lost("with a fingerprint")

	// Of a database that was sealed before fingerprints were written down.
	run(t, db, "DELETE FROM setting WHERE key = 'seal_key'")
	if _, err := db.OpenSealer(t.Context(), dir); err != nil {
		t.Fatalf("a database without anything sealed: %v", err)
	}
	run(t, db, "DELETE FROM setting WHERE key = 'seal_key'")
	run(t, db, "ALTER TABLE reporter DROP CONSTRAINT IF EXISTS reporter_incident_id_fkey")
	run(t, db, "INSERT INTO reporter (incident_id, n, name_sealed) VALUES (7, 1, 'x')")
	lost("with a reporter")

	run(t, db, "DELETE FROM reporter")
	if _, err := store.OpenSealer(dir); err != nil {
		t.Fatal(err)
	}
	run(t, db, `INSERT INTO setting (key, value) VALUES ('seal_key', '"0011223344556677"')`)
	if _, err := db.OpenSealer(t.Context(), dir); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
}
