// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"onemap/store"
)

const (
	attachments = "attachments" // the folder, and the front of their names in the file
	unfinished  = "partial"     // in it: uploads that still go on
)

// ErrUnfinished means that a restore into a data folder was cut off.
var ErrUnfinished = errors.New("a restore into this data folder did not come to its end: run it again, or remove the folder")

// halfDone is the folder in the data folder where everything is made; what is
// whole moves up from it, the cluster last.
const halfDone = "restoring"

// Unfinished tells a server that a data folder is of a restore that was cut off;
// nil for every other folder.
func Unfinished(data string) error {
	if _, err := os.Lstat(filepath.Join(data, halfDone)); err == nil {
		return fmt.Errorf("%s: %w", data, ErrUnfinished)
	}
	return nil
}

// takeFolder makes the data folder, and in it an empty one to work in, locked for
// the life of this process. It refuses any other content than that of a restore
// that was cut off.
func takeFolder(data string) (lock *os.File, made bool, err error) {
	entries, err := os.ReadDir(data)
	if errors.Is(err, fs.ErrNotExist) {
		made, err = true, os.MkdirAll(data, 0o755)
	}
	if err != nil {
		return nil, false, err
	}
	half, cutOff := filepath.Join(data, halfDone), Unfinished(data) != nil
	for _, e := range entries {
		moved := cutOff && (e.Name() == filepath.Base(KeyFile(data)) || e.Name() == attachments)
		if e.Name() != halfDone && e.Name() != "lost+found" && !moved {
			return nil, false, fmt.Errorf("data folder %s: %w", data, ErrNotEmpty)
		}
	}
	if err := os.Mkdir(half, 0o711); err != nil && !cutOff { // the database's user passes through
		return nil, false, err
	}
	if lock, err = os.Open(half); err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, false, fmt.Errorf("data folder %s: another restore is at work there", data)
	}
	if cutOff {
		if err := clearCutOff(data, half); err != nil {
			return nil, false, err
		}
	}
	return lock, made, os.Chmod(half, 0o711) // whatever the umask
}

// clearCutOff removes what a restore that was cut off had made.
func clearCutOff(data, half string) error {
	inside, err := os.ReadDir(half)
	if err != nil {
		return err
	}
	gone := []string{KeyFile(data), filepath.Join(data, attachments)}
	for _, e := range inside {
		gone = append(gone, filepath.Join(half, e.Name()))
	}
	for _, path := range gone {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

func writeAttachment(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// moveUp puts what is whole in its place. The cluster comes last: without it the
// folder is no more than an unfinished restore.
func moveUp(half, data string) error {
	for _, name := range []string{attachments, filepath.Base(KeyFile(data)), "pg"} {
		err := os.Rename(filepath.Join(half, name), filepath.Join(data, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := store.SyncFolder(data); err != nil {
		return err
	}
	return os.RemoveAll(half)
}
