// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Sealer encrypts personal fields with a key that lives in a file beside the
// database, never in it: AES-256-GCM, a random nonce in front, bound to the
// field's name so that a sealed value cannot be moved to another row.
type Sealer struct {
	aead cipher.AEAD
	mac  []byte
}

// OpenSealer reads the key file (64 hexadecimal digits) in dir and makes it on
// the first start.
func OpenSealer(dir string) (*Sealer, error) {
	path := filepath.Join(dir, "seal.key")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeKey(dir, path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: sealing key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("store: sealing key %s is damaged: want 64 hexadecimal digits; restore it from the backup of the key", path)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	mac := sha256.Sum256(append([]byte("look-up "), key...))
	return &Sealer{aead: aead, mac: mac[:]}, nil
}

// makeKey writes a new key so that it is either whole on disk or not there.
func makeKey(dir, path string) ([]byte, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	text := []byte(hex.EncodeToString(key) + "\n")
	f, err := os.CreateTemp(dir, "seal.key.*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	// Link refuses to replace a key that another process made meanwhile.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// Seal encrypts text for the field named field; "" seals to nil.
func (s *Sealer) Seal(field, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return s.aead.Seal(nonce, nonce, []byte(text), []byte(field)), nil
}

// Open decrypts what Seal made for the same field.
func (s *Sealer) Open(field string, sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return "", errors.New("store: sealed field is cut short")
	}
	text, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(field))
	if err != nil {
		return "", fmt.Errorf("store: sealed field %s: %w", field, err)
	}
	return string(text), nil
}

// Hash is a keyed hash of text, to look a sealed value up by; "" hashes to nil.
func (s *Sealer) Hash(text string) []byte {
	if text == "" {
		return nil
	}
	m := hmac.New(sha256.New, s.mac)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// Fingerprint tells one key from another and gives nothing of it away.
func (s *Sealer) Fingerprint() string {
	m := hmac.New(sha256.New, s.mac)
	m.Write([]byte("fingerprint of the sealing key"))
	return hex.EncodeToString(m.Sum(nil)[:8])
}

// ErrWrongKey means that personal fields in the database were sealed with another
// key than the one at hand.
var ErrWrongKey = errors.New("the sealing key is not the one of this database: put back the seal.key that belongs to it, from the backup of the key")

// sealKey is the setting that holds the fingerprint of the database's key.
const sealKey = "seal_key"

// CheckSealKey makes sure that the database's personal fields are sealed with the
// key of s: else the error is ErrWrongKey. The first call on a database writes
// down which key that is; db must be its owner's.
func (db *DB) CheckSealKey(ctx context.Context, s *Sealer) error {
	return db.InTx(ctx, func(tx pgx.Tx) error {
		known, err := compareSealKey(ctx, tx, s)
		if err != nil || known {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO setting (key, value) VALUES ($1, to_jsonb($2::text)) ON CONFLICT (key) DO NOTHING", sealKey, s.Fingerprint())
		if err != nil {
			return fmt.Errorf("store: write down the sealing key's fingerprint: %w", err)
		}
		_, err = compareSealKey(ctx, tx, s) // another node may have been first
		return err
	})
}

// compareSealKey compares the key of s with the fingerprint in the database or,
// in one that has none yet, with any reporter's fields. It reports whether there
// was a fingerprint.
func compareSealKey(ctx context.Context, tx pgx.Tx, s *Sealer) (known bool, err error) {
	var have string
	err = tx.QueryRow(ctx, "SELECT value #>> '{}' FROM setting WHERE key = $1", sealKey).Scan(&have)
	if err == nil {
		if mine := s.Fingerprint(); have != mine {
			return true, fmt.Errorf("%w (its fingerprint is %s, that of the key here is %s)", ErrWrongKey, have, mine)
		}
		return true, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("store: fingerprint of the sealing key: %w", err)
	}
	var incident int64
	var n int
	var sealed SealedReporter
	err = tx.QueryRow(ctx, "SELECT incident_id, n, name_sealed, phone_sealed, id_number_sealed FROM reporter LIMIT 1").
		Scan(&incident, &n, &sealed.Name, &sealed.Phone, &sealed.IDNumber)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: try the sealing key: %w", err)
	}
	if _, err := s.OpenReporter(incident, n, sealed); err != nil {
		return false, fmt.Errorf("%w (it does not open a reporter of incident %d)", ErrWrongKey, incident)
	}
	return false, nil
}
