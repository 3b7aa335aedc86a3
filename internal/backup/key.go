// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"onemap/store"
)

// KeyFile is the sealing key's file in a data folder.
func KeyFile(data string) string { return filepath.Join(data, "seal.key") }

// OpenKey reads the sealing key of a data folder. Unlike the first start of a
// server it never makes one: a backup under a new key would hide that the old one
// is lost.
func OpenKey(data string) (*store.Sealer, error) {
	key, err := store.ReadSealer(data)
	if err != nil {
		return nil, fmt.Errorf("a backup is made and read with the sealing key: %w", err)
	}
	return key, nil
}

// Fingerprint names a key without telling anything of it.
func Fingerprint(key *store.Sealer) string {
	sum := sha256.Sum256([]byte("fingerprint " + key.BackupPassphrase()))
	return hex.EncodeToString(sum[:8])
}

// CopyKey copies the sealing key of a data folder to another place. A file that
// holds another key is never replaced.
func CopyKey(data, to string) error {
	key, err := os.ReadFile(KeyFile(data))
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(to); err == nil {
		if string(have) == string(key) {
			return nil
		}
		return fmt.Errorf("%s is there already and holds something else: choose another name for the copy of the key", to)
	}
	return writeKey(to, key)
}

// writeKey writes a key that is whole on the disk or not there.
func writeKey(path string, key []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(key); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// placeKey copies the key into the new folder and opens it there.
func placeKey(half, from string) (*store.Sealer, error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return nil, fmt.Errorf("copy of the sealing key: %w", err)
	}
	if err := writeKey(KeyFile(half), text); err != nil {
		return nil, err
	}
	key, err := store.OpenSealer(half)
	if err != nil {
		return nil, fmt.Errorf("%s is no sealing key: %w", from, err)
	}
	return key, nil
}
