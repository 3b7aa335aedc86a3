// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
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
