// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoKey says that a folder has no sealing key.
var ErrNoKey = errors.New("no sealing key here")

// ReadSealer is OpenSealer for somebody who only checks or reads what was sealed
// before: it never makes a key. Without one it is ErrNoKey.
func ReadSealer(dir string) (*Sealer, error) {
	path := filepath.Join(dir, "seal.key")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %s: %w", path, ErrNoKey)
	}
	return OpenSealer(dir)
}

// AuditKey is the key of the chain over the audit log.
func (s *Sealer) AuditKey() []byte { return s.derive("audit") }

// BackupPassphrase is what a backup is encrypted with.
func (s *Sealer) BackupPassphrase() string { return hex.EncodeToString(s.derive("backup")) }

// derive makes a key of its own for a purpose. Its name is no text that Hash is
// ever asked for in another sense: those are telephone numbers.
func (s *Sealer) derive(purpose string) []byte {
	m := hmac.New(sha256.New, s.mac)
	m.Write([]byte(purpose))
	return m.Sum(nil)
}
