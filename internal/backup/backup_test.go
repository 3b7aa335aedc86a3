// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup_test

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/backup"
	"onemap/internal/localpg"
	"onemap/internal/pgtest"
	"onemap/store"
)

// empty makes a database with nothing in it beside the one at base, gone after t.
func empty(t *testing.T, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, base)
	name := strings.TrimPrefix(u.Path, "/") + "_x"
	name = name[max(0, len(name)-40):]
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+localpg.Database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := connect(t, base).Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(ctx) })
	return conn
}

func text(t *testing.T, url, sql string) (out string) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// folder makes a data folder with a key.
func folder(t *testing.T) (data string, key *store.Sealer) {
	t.Helper()
	data = t.TempDir()
	key, err := store.OpenSealer(data)
	if err != nil {
		t.Fatal(err)
	}
	return data, key
}

// written makes a backup of the outside database at url.
func written(t *testing.T, url, data string, key *store.Sealer, out string) backup.Manifest {
	t.Helper()
	d, err := backup.Open(t.Context(), data, url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	m, err := d.Write(t.Context(), backup.Options{Data: data, Key: key, Out: out, Program: "test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const rows = `
INSERT INTO setting (key, value) VALUES ('word', '"canary"');
INSERT INTO audit_log (actor, action) VALUES ('a', 'b'), ('a', 'c');
INSERT INTO feed_head (epoch, lineage, seq, at) VALUES (gen_random_uuid(), 'here', 7, now())`

func TestAnOutsideDatabaseIsRestoredIntoAnEmptyOneWithItsRights(t *testing.T) {
	from := pgtest.URL(t)
	if _, err := connect(t, from).Exec(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	data, key := folder(t)
	file := filepath.Join(t.TempDir(), "b.age")
	if err := os.MkdirAll(filepath.Join(data, "attachments", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "attachments", "x", "空 文件"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(data, "attachments", "partial", "1-1") // an upload that goes on: not to be taken, it may change meanwhile
	if err := errors.Join(os.Mkdir(filepath.Dir(part), 0o700), os.WriteFile(part, []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	m := written(t, from, data, key, file)
	if m.Rows["audit_log"] != 2 || m.Rows["reporter"] != 0 || m.Rows["spatial_ref_sys"] != 0 {
		t.Errorf("rows %v", m.Rows)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", st.Mode(), err)
	}

	to, into := empty(t, from), filepath.Join(t.TempDir(), "new")
	o := backup.RestoreOptions{File: file, KeyFile: backup.KeyFile(data), Data: into, DatabaseURL: to}
	if _, err := backup.Restore(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SELECT value::text FROM setting WHERE key = 'word'", "SELECT seq::text FROM feed_head"} {
		if was, is := text(t, from, sql), text(t, to, sql); was != is {
			t.Errorf("%s: %s, was %s", sql, is, was)
		}
	}
	wrote := m.At.Format("2006-01-02 15:04") + " " + key.Fingerprint()
	if got := text(t, to, "SELECT to_char((data->>'at')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' ' || (data->>'key') FROM audit_log WHERE action = 'backup.restore'"); got != wrote {
		t.Errorf("the audit log says of the restore %q, want %q", got, wrote)
	}
	if text(t, to, "SELECT lineage FROM feed_head") == "here" {
		t.Error("the lineage is that of the place it came from: the epoch would go on in the same cluster")
	}
	if was, is := rightsOf(t, from), rightsOf(t, to); was != is {
		t.Errorf("rights:\n%s\nwere\n%s", is, was)
	}
	if _, err := os.Stat(filepath.Join(into, "attachments", "x", "空 文件")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(into, "attachments", "partial")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an upload that went on is in the backup: %v", err)
	}

	again := o
	again.Data = filepath.Join(t.TempDir(), "again")
	if _, err := backup.Restore(t.Context(), again); !errors.Is(err, backup.ErrNotEmpty) || !strings.Contains(err.Error(), "incident") {
		t.Errorf("into a database with tables: %v", err)
	}
	if _, err := os.Stat(again.Data); !os.IsNotExist(err) {
		t.Errorf("its folder is there: %v", err)
	}
	if _, err := backup.Restore(t.Context(), o); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("into a folder in use: %v", err)
	}
}

func rightsOf(t *testing.T, url string) string {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out, err := db.Rights(t.Context())
	if err != nil || !strings.Contains(out, "tables to come") {
		t.Fatalf("rights: %v\n%s", err, out)
	}
	return out
}

func TestABackupBrokenOffLeavesNoFile(t *testing.T) {
	url := pgtest.URL(t)
	data, key := folder(t)
	out := filepath.Join(t.TempDir(), "b.age")
	d, err := backup.Open(t.Context(), data, url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := backup.Options{Data: data, Key: key, Out: out, Now: time.Now, Progress: func(int64) { cancel() }}
	if _, err := d.Write(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	// A killed one leaves its part, which the next takes over.
	if err := os.WriteFile(out+".part", []byte(strings.Repeat("junk", 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	written(t, url, data, key, out)
	if _, err := backup.Check(t.Context(), out, key); err != nil {
		t.Error(err)
	}
}

func TestARestoreBrokenOffLeavesNothingAndOneThatWasKilledCanBeRunAgain(t *testing.T) {
	from := pgtest.URL(t)
	data, key := folder(t)
	file := filepath.Join(t.TempDir(), "b.age")
	written(t, from, data, key, file)
	to, into := empty(t, from), filepath.Join(t.TempDir(), "new")
	o := backup.RestoreOptions{File: file, KeyFile: backup.KeyFile(data), Data: into, DatabaseURL: to}
	for _, phase := range []string{"check", "database", "rows"} {
		ctx, cancel := context.WithCancel(t.Context())
		o.Phase = func(what string) {
			if what == phase {
				cancel()
			}
		}
		_, err := backup.Restore(ctx, o)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("broken off at %s: %v", phase, err)
		}
		if _, err := os.Stat(into); !os.IsNotExist(err) {
			t.Errorf("%s: the folder is there: %v", phase, err)
		}
	}
	o.Phase = func(what string) {
		if what != "check" {
			return
		}
		if _, err := backup.Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another restore") {
			t.Errorf("a second one at the same time: %v", err)
		}
	}
	// As a kill leaves it while the finished parts move to their places.
	for _, dir := range []string{"restoring", "attachments"} {
		if err := os.MkdirAll(filepath.Join(into, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(backup.KeyFile(into), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := backup.Unfinished(into); !errors.Is(err, backup.ErrUnfinished) {
		t.Errorf("Unfinished = %v", err)
	}
	if _, err := backup.Restore(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := backup.Unfinished(into); err != nil {
		t.Error(err)
	}
}

func TestAKeyTakenForABackupIsNotShown(t *testing.T) {
	data, key := folder(t)
	file := backup.KeyFile(data)
	digits, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = backup.Check(t.Context(), file, key)
	if !errors.Is(err, backup.ErrDamaged) || strings.Contains(err.Error(), string(digits[:8])) {
		t.Errorf("Check = %v", err)
	}
	_, err = backup.Restore(t.Context(), backup.RestoreOptions{File: file, KeyFile: file, Data: filepath.Join(t.TempDir(), "new")})
	if !errors.Is(err, backup.ErrDamaged) || strings.Contains(err.Error(), string(digits[:8])) {
		t.Errorf("Restore = %v", err)
	}
	if _, err := backup.Check(t.Context(), data, key); err == nil || errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a folder: %v", err)
	}
}

func TestAnotherKeyThanTheDatabasesMakesNoBackupAndNoCentre(t *testing.T) {
	from := pgtest.URL(t)
	data, key := folder(t)
	_, other := folder(t)
	if _, err := connect(t, from).Exec(t.Context(), "INSERT INTO setting (key, value) VALUES ('seal_key', to_jsonb($1::text))", key.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	d, err := backup.Open(t.Context(), data, from)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	file := filepath.Join(t.TempDir(), "b.age")
	if _, err := d.Write(t.Context(), backup.Options{Data: data, Key: other, Out: file, Now: time.Now}); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("Write = %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}

	if m := written(t, from, data, key, file); m.Key != key.Fingerprint() {
		t.Errorf("the manifest names the key %s, want %s", m.Key, key.Fingerprint())
	}
	to, into := empty(t, from), filepath.Join(t.TempDir(), "new")
	_, err = backup.Restore(t.Context(), backup.RestoreOptions{
		File: file, KeyFile: backup.KeyFile(data), Data: into, DatabaseURL: to,
		Phase: func(what string) {
			if what == "compare" { // the rows are of another key than the file
				if _, err := connect(t, to).Exec(t.Context(), "UPDATE setting SET value = to_jsonb($1::text) WHERE key = 'seal_key'", other.Fingerprint()); err != nil {
					t.Error(err)
				}
			}
		},
	})
	if !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("Restore = %v", err)
	}
	if _, err := os.Stat(into); !os.IsNotExist(err) {
		t.Errorf("the folder is there: %v", err)
	}
}

func TestTheKeyItsCopyAndTheBackupAreThreeFiles(t *testing.T) {
	data, _ := folder(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for link, to := range map[string]string{"same": dir, "b.link": "b.age", "loop": "loop", "apart": "elsewhere"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("there"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(at("there"), at("hard")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ out, key, says string }{
		{"b.age", "b.key", ""},
		{"b.age", "apart", ""},
		{"b.age", "b.age", "keep them apart"},
		{"b.age", "x/../b.age", "keep them apart"},
		{"b.age", "same/b.age", "keep them apart"},
		{"b.age", "b.link", "keep them apart"},
		{"there", "hard", "keep them apart"},
		{"b.age", "b.age.part", "written to first"},
		{"b.age", "loop", "too many links"},
	} {
		err := backup.KeepApart(data, at(c.out), dir+"/"+c.key)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("backup %s, key %s: %v", c.out, c.key, err)
		}
	}
	if err := backup.KeepApart(data, at("b.age"), ""); err != nil {
		t.Error(err)
	}
	if err := backup.KeepApart(data, backup.KeyFile(data), ""); err == nil {
		t.Error("a backup may replace the sealing key")
	}
	if err := backup.KeepApart(data, at("b.age"), backup.KeyFile(data)); err == nil {
		t.Error("the sealing key passes for its own copy")
	}
}

func TestACopyOfTheKeyIsForItsOwnerAlone(t *testing.T) {
	data, _ := folder(t)
	to := filepath.Join(t.TempDir(), "copy.key")
	for range 2 {
		if err := backup.CopyKey(data, to); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := os.Stat(to); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", st, err)
	}
	if err := os.Chmod(to, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := backup.CopyKey(data, to); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a copy that others can read: %v", err)
	}
}
