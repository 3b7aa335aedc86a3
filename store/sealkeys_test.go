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
	t.Parallel()
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

// TestNoTelephoneNumberIsAKey sends words as telephone numbers, which are free
// text: what is stored of them must not be a key of the product.
func TestNoTelephoneNumberIsAKey(t *testing.T) {
	t.Parallel()
	s, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	passphrase, err := hex.DecodeString(s.BackupPassphrase())
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := hex.DecodeString(s.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{s.AuditKey(), passphrase, fingerprint}
	for _, word := range []string{
		"audit", "backup", "fingerprint", "onemap audit", "onemap backup", "onemap fingerprint", "fingerprint of the sealing key",
		"audit 1", "1", "12", "onemap audit\x01", "13800138000",
	} {
		sealed, err := s.SealReporter(1, store.Reporter{N: 1, Phone: word})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if bytes.HasPrefix(s.Hash(word), key) || bytes.Contains(sealed.PhoneHash, key) || bytes.Contains(sealed.Phone, key) {
				t.Errorf("the telephone number %q stores a key", word)
			}
		}
	}
}

func TestANumberHashesTheSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	s, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := s.Hash("13800138000")
	for _, phone := range []string{"138 0013 8000", "+86 138-0013-8000", "（＋８６）１３８００１３８０００", "１３８００１３８０００", "+8613800138000"} {
		if !bytes.Equal(s.Hash(phone), want) {
			t.Errorf("%q hashes to another value", phone)
		}
	}
	for _, phone := range []string{"13800138001", "8613800138000", "0138 0013 8000", "+1 380 0138 000 8"} {
		if bytes.Equal(s.Hash(phone), want) {
			t.Errorf("%q hashes like another number", phone)
		}
	}
	for _, phone := range []string{"", "audit", "没有", "+", "+86"} {
		if got := s.Hash(phone); got != nil {
			t.Errorf("%q hashes to %x", phone, got)
		}
	}
}
