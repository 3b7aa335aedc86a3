// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
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

// KeepApart refuses names by which the key, its copy and the backup would be one
// file; keyOut may be "".
func KeepApart(data, out, keyOut string) error {
	key := KeyFile(data)
	for _, pair := range [][3]string{
		{out, key, "is the sealing key: choose another name for the backup"},
		{keyOut, key, "is the sealing key itself: choose another place for its copy"},
		{keyOut, out, "cannot be both the backup and the copy of the key: keep them apart"},
		{keyOut, out + partEnd, "is what the backup is written to first: choose another name for the copy of the key"},
	} {
		if pair[0] == "" {
			continue
		}
		same, err := sameFile(pair[0], pair[1])
		if err != nil {
			return err
		}
		if same {
			return fmt.Errorf("%s %s", pair[0], pair[2])
		}
	}
	return nil
}

// sameFile tells whether two names are, or would be, those of one file.
func sameFile(a, b string) (bool, error) {
	realA, errA := realName(a)
	realB, errB := realName(b)
	if err := errors.Join(errA, errB); err != nil || realA == realB {
		return err == nil, err
	}
	stA, errA := os.Stat(realA)
	stB, errB := os.Stat(realB)
	return errA == nil && errB == nil && os.SameFile(stA, stB), nil
}

// realName is a file's name without symbolic links; the file need not be there.
func realName(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range 40 { // as many links as the system follows
		if whole, err := filepath.EvalSymlinks(path); err == nil {
			return whole, nil
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		path = filepath.Join(dir, filepath.Base(path))
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link, and not there
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(dir, to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many links", path)
}

// CopyKey copies the sealing key of a data folder to another place. A file that
// holds another key is never replaced, and one that others can read is no copy.
func CopyKey(data, to string) error {
	key, err := os.ReadFile(KeyFile(data))
	if err != nil {
		return err
	}
	have, err := os.ReadFile(to)
	if errors.Is(err, fs.ErrNotExist) {
		return store.WriteWhole(to, key, true)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(have, key) {
		return fmt.Errorf("%s is there already and holds something else: choose another name for the copy of the key", to)
	}
	st, err := os.Stat(to)
	if err != nil {
		return err
	}
	if mode := st.Mode().Perm(); mode&^0o600 != 0 {
		return fmt.Errorf("the copy of the key %s has mode %04o, others may have read it: chmod 600 it, or mount its disk for its owner alone", to, mode)
	}
	return nil
}

// placeKey copies the key into the new folder and opens it there.
func placeKey(half, from string) (*store.Sealer, error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return nil, fmt.Errorf("copy of the sealing key: %w", err)
	}
	if err := store.WriteWhole(KeyFile(half), text, true); err != nil {
		return nil, err
	}
	key, err := store.ReadSealer(half)
	if err != nil {
		return nil, fmt.Errorf("%s is no sealing key: %w", from, err)
	}
	return key, nil
}
