// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"onemap/internal/pgtest"
	"onemap/store"
)

// refusing are commands that need a database that is there.
var refusing = map[string][]string{
	"user list":     {"user", "list"},
	"user add":      {"user", "add", "--login", "boss", "--role", "security_admin"},
	"user disable":  {"user", "disable", "boss"},
	"user secret":   {"user", "secret"},
	"token list":    {"token", "list"},
	"token create":  {"token", "create", "--role", "dispatcher"},
	"token workers": {"token", "workers"},
	"token revoke":  {"token", "revoke", "1"},
	"wall list":     {"wall", "list"},
	"wall link":     {"wall", "link"},
	"wall revoke":   {"wall", "revoke", "1"},
	"grids check":   {"grids", "check", "1"},
	"grids enact":   {"grids", "enact", "1"},
}

func runIn(t *testing.T, dir string, args []string) (code int, said string) {
	t.Helper()
	t.Setenv("DATABASE_URL", "")
	var out bytes.Buffer
	code = run(append(args, "--data", dir), &out, &out)
	return code, out.String()
}

func TestNoCommandMakesADatabaseInAMistypedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "typo")
	for name, args := range refusing {
		if code, said := runIn(t, dir, args); code != 1 || !strings.Contains(said, "no data in "+dir+": name the server's folder with --data") {
			t.Errorf("%s: status %d, %s", name, code, said)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestNoCommandWorksInAHalfRestoredFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "restoring"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{refusing["user list"], refusing["user add"], {"migrate"}} {
		if code, said := runIn(t, dir, args); code != 1 || !strings.Contains(said, "did not come to its end") {
			t.Errorf("%v: status %d, %s", args, code, said)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("it made %v, %v", left, err)
	}
}

func TestAFolderOfAnotherUserIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(dir, 0o700) }()
	if os.Geteuid() == 0 { // root may read everything: this thread's files are another user's for a while
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	if code, said := runIn(t, dir, refusing["user list"]); code != 1 || !strings.Contains(said, "sudo -u onemap") {
		t.Errorf("status %d, %s", code, said)
	}
}

func TestACommandThatReadsLeavesTheSchemaAlone(t *testing.T) {
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct{ sql, want string }{
		{"DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)", "is older than this program's"},
		{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (90000, true)", "newer version of this program"},
	} {
		if _, err := db.Pool.Exec(t.Context(), c.sql); err != nil {
			t.Fatal(err)
		}
		before := versions(t, db)
		for _, name := range []string{"user list", "token list", "wall list", "grids check"} {
			code, out, said := command(t, url, refusing[name]...)
			wantCommand(t, 1, c.want, code, out, said)
		}
		if got := versions(t, db); got != before {
			t.Errorf("the schema went from %s to %s", before, got)
		}
	}
}

func versions(t *testing.T, db *store.DB) (out string) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), "SELECT string_agg(version_id::text, ',' ORDER BY id) FROM goose_db_version").Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}
