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
	key  []byte // as in the file; other keys are derived from it
	mac  []byte // of Hash
}

// ErrNoKey says that a folder has no sealing key.
var ErrNoKey = errors.New("no sealing key here")

// OpenSealer reads the key file (64 hexadecimal digits) in dir and makes one when
// there is none. Whoever has a database at hand takes DB.OpenSealer.
func OpenSealer(dir string) (*Sealer, error) {
	s, err := ReadSealer(dir)
	if !errors.Is(err, ErrNoKey) {
		return s, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("store: sealing key: %w", err)
	}
	// Never in place of a key that another process made meanwhile.
	err = WriteWhole(filepath.Join(dir, sealFile), []byte(hex.EncodeToString(key)+"\n"), false)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("store: sealing key: %w", err)
	}
	return ReadSealer(dir)
}

// ReadSealer is OpenSealer for somebody who only checks or reads what was sealed
// before: it never makes a key. Without one it is ErrNoKey.
func ReadSealer(dir string) (*Sealer, error) {
	path := filepath.Join(dir, sealFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %s: %w", path, ErrNoKey)
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
	return &Sealer{aead: aead, key: key, mac: mac[:]}, nil
}

const sealFile = "seal.key"

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

// Hash is a keyed hash of a telephone number, to look a sealed one up by. However
// the number was written it is the same; a text without a digit hashes to nil.
func (s *Sealer) Hash(phone string) []byte {
	digits := phoneDigits(phone)
	if digits == "" {
		return nil
	}
	m := hmac.New(sha256.New, s.mac)
	m.Write([]byte(digits))
	return m.Sum(nil)
}

// phoneDigits are the digits of a number, without the country's own +86.
func phoneDigits(phone string) string {
	var b strings.Builder
	abroad, before := false, ' '
	for _, r := range phone {
		if r >= '０' && r <= '９' {
			r += '0' - '０'
		}
		if r >= '0' && r <= '9' {
			abroad = abroad || b.Len() == 0 && (before == '+' || before == '＋')
			b.WriteRune(r)
		}
		before = r
	}
	if abroad {
		return strings.TrimPrefix(b.String(), "86")
	}
	return b.String()
}

// ErrWrongKey means that personal fields in the database were sealed with another
// key than the one at hand.
var ErrWrongKey = errors.New("the sealing key is not the one of this database: put back the seal.key that belongs to it, from the backup of the key")

// sealKey is the setting that holds the fingerprint of the database's key.
const sealKey = "seal_key"

// ErrKeyLost means that the folder has no key though the database was sealed with
// one: a new one would open nothing of it.
var ErrKeyLost = errors.New("the sealing key of this database is gone: put its seal.key back from the backup of the key")

// OpenSealer opens the sealing key in dir, which must be that of this database:
// see CheckSealKey. Only for a database that never had one does it make a key.
func (db *DB) OpenSealer(ctx context.Context, dir string) (*Sealer, error) {
	s, err := ReadSealer(dir)
	if errors.Is(err, ErrNoKey) {
		var sealed bool
		err := db.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM setting WHERE key = $1) OR EXISTS (SELECT FROM reporter)", sealKey).Scan(&sealed)
		if err != nil {
			return nil, fmt.Errorf("store: was the database ever sealed: %w", err)
		}
		if sealed {
			return nil, fmt.Errorf("%w, to %s", ErrKeyLost, filepath.Join(dir, sealFile))
		}
		if s, err = OpenSealer(dir); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return s, db.CheckSealKey(ctx, s)
}

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

// CompareSealKey is CheckSealKey for somebody who only reads: it writes nothing
// down. A database that was never sealed, or has no tables yet, takes any key.
func CompareSealKey(ctx context.Context, conn *pgx.Conn, s *Sealer) error {
	var tables bool
	err := conn.QueryRow(ctx, "SELECT to_regclass('public.setting') IS NOT NULL AND to_regclass('public.reporter') IS NOT NULL").Scan(&tables)
	if err != nil || !tables {
		return err
	}
	_, err = compareSealKey(ctx, conn, s)
	return err
}

// compareSealKey compares the key of s with the fingerprint in the database or,
// in one that has none yet, with any reporter's fields. It reports whether there
// was a fingerprint.
func compareSealKey(ctx context.Context, tx interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, s *Sealer,
) (known bool, err error) {
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
