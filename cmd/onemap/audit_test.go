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
	if code != 1 || out != "" || !strings.Contains(said, "no seal.key in "+dir) {
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
