// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/store/ledger"
)

func TestAuditVerify(t *testing.T) {
	url, dir := pgtest.URL(t), t.TempDir()
	t.Setenv("DATABASE_URL", url)
	verify := func(dir string) (code int, out, said string) {
		var stdout, stderr bytes.Buffer
		code = run([]string{"audit", "verify", "--data", dir}, &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	code, out, said := verify(dir)
	if code != 2 || out != "" || !strings.Contains(said, "no seal.key in "+dir) {
		t.Errorf("without a key: %d, %q, %q", code, out, said)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it made %v, %v", left, err)
	}

	seal, err := store.OpenSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("INSERT INTO audit_log (actor, action) SELECT 'a', 'thing.change' FROM generate_series(1, 20)")
	sealer := &ledger.AuditSealer{DB: db, Key: seal.AuditKey(), Anchor: filepath.Join(dir, ledger.AnchorFile), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if n, err := sealer.Seal(t.Context()); n != 20 || err != nil {
		t.Fatal(n, err)
	}
	exec("INSERT INTO audit_log (actor, action) VALUES ('a', 'thing.change')")
	if code, out, said = verify(dir); code != 0 || out != "" || !strings.Contains(said, "20 rows are sealed, 1 wait") {
		t.Errorf("a whole log: %d, %q, %q", code, out, said)
	}

	// Without its anchor: as a restore leaves the place, and later.
	anchor := filepath.Join(dir, ledger.AnchorFile)
	if err := os.Rename(anchor, anchor+".away"); err != nil {
		t.Fatal(err)
	}
	if code, out, _ = verify(dir); code != 1 || !strings.HasPrefix(out, "no_anchor: ") {
		t.Errorf("no anchor: %d, %q", code, out)
	}
	exec("INSERT INTO audit_log (actor, action) VALUES ('a', 'backup.restore')")
	if code, out, said = verify(dir); code != 0 || out != "" || !strings.Contains(said, "no anchor yet") || !strings.Contains(said, "next start makes") {
		t.Errorf("just restored: %d, %q, %q", code, out, said)
	}
	exec("INSERT INTO audit_log (actor, action) VALUES ('a', 'thing.change')")
	if code, out, _ = verify(dir); code != 1 || !strings.HasPrefix(out, "no_anchor: ") {
		t.Errorf("no anchor and something after the restore: %d, %q", code, out)
	}
	if err := os.Rename(anchor+".away", anchor); err != nil {
		t.Fatal(err)
	}

	exec("ALTER TABLE audit_log DISABLE TRIGGER USER; UPDATE audit_log SET actor = 'b' WHERE id = 3; DELETE FROM audit_log WHERE id = 9; ALTER TABLE audit_log ENABLE TRIGGER USER")
	code, out, said = verify(dir)
	if lines := strings.Split(out, "\n"); code != 1 || len(lines) != 3 || !strings.HasPrefix(lines[0], "altered: audit row 3 ") || !strings.HasPrefix(lines[1], "deleted: audit row 9 ") {
		t.Errorf("two changes: %d, %q", code, out)
	}
	if !strings.Contains(said, "faults: 2") {
		t.Errorf("said %q", said)
	}
	if code, out, _ = verify(otherKey(t)); code != 1 || !strings.HasPrefix(out, "wrong_key: ") {
		t.Errorf("another key: %d, %q", code, out)
	}
	// A database that knows its key is not called altered under another.
	if err := db.CheckSealKey(t.Context(), seal); err != nil {
		t.Fatal(err)
	}
	if code, out, said = verify(otherKey(t)); code != 2 || out != "" || !strings.Contains(said, store.ErrWrongKey.Error()) {
		t.Errorf("another key than the database's: %d, %q, %q", code, out, said)
	}
	if code, _, _ = verify(dir); code != 1 {
		t.Errorf("its own key: %d", code)
	}
}

// otherKey is a folder with another sealing key.
func otherKey(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := store.OpenSealer(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
