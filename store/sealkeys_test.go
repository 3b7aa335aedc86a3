// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"onemap/store"
)

func TestKeysOfOnePurposeEach(t *testing.T) {
	dir := t.TempDir()
	if _, err := store.ReadSealer(dir); !errors.Is(err, store.ErrNoKey) {
		t.Fatalf("a folder without a key: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("reading made %v, %v", left, err)
	}
	first, err := store.OpenSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.ReadSealer(dir)
	if err != nil {
		t.Fatal(err)
	}
	other, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.AuditKey(), again.AuditKey()) || first.BackupPassphrase() != again.BackupPassphrase() {
		t.Error("the same key file gives other keys")
	}
	if len(first.AuditKey()) != 32 || len(first.BackupPassphrase()) != 64 {
		t.Errorf("keys of %d bytes and %d digits", len(first.AuditKey()), len(first.BackupPassphrase()))
	}
	if bytes.Equal(first.AuditKey(), other.AuditKey()) || first.BackupPassphrase() == hex.EncodeToString(first.AuditKey()) {
		t.Error("two purposes or two key files share a key")
	}
}
