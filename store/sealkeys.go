// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
)

// AuditKey is the key of the chain over the audit log.
func (s *Sealer) AuditKey() []byte { return s.derive("onemap audit", 32) }

// BackupPassphrase is what a backup is encrypted with.
func (s *Sealer) BackupPassphrase() string { return hex.EncodeToString(s.derive("onemap backup", 32)) }

// Fingerprint tells one key from another and gives nothing of it away.
func (s *Sealer) Fingerprint() string { return hex.EncodeToString(s.derive("onemap fingerprint", 8)) }

// derive makes a key of its own for a purpose. It shares nothing with Hash but the
// raw key: no text that is hashed for a look-up comes out as one of these.
func (s *Sealer) derive(purpose string, size int) []byte {
	key, err := hkdf.Key(sha256.New, s.key, nil, purpose, size)
	if err != nil {
		panic(err) // a size that HKDF cannot make
	}
	return key
}
