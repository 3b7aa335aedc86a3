// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// rejectFile is the file of refused rows: a header, then one record a row.
type rejectFile struct {
	path   string
	header []byte
	f      *os.File // nil until the first record
	size   int64    // up to which the file is right
}

// openRejects readies the file for a job whose committed batches refused keep
// rows: what a stopped run wrote beyond them is cut off. lost counts the records
// that should be there and are not.
func openRejects(path string, header []byte, keep int64) (r *rejectFile, lost int64, err error) {
	r = &rejectFile{path: path, header: header}
	if path == "" {
		return r, keep, nil
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, keep, nil
	case err != nil:
		return nil, 0, err
	case len(text) > 0 && !bytes.HasPrefix(text, header) && !bytes.HasPrefix(header, text):
		return nil, 0, fmt.Errorf("%s is another file, it will not be written over: move it away or name another", path)
	}
	end, found := int64(0), int64(0)
	if bytes.HasPrefix(text, header) {
		end, found = endOfRecord(text, int64(len(header)), keep)
	}
	if found == 0 && keep == 0 {
		end = 0 // an empty list is no file
	}
	if err := os.Truncate(path, end); err != nil {
		return nil, 0, err
	}
	if end == 0 {
		if err := os.Remove(path); err != nil {
			return nil, 0, err
		}
	}
	r.size = end
	return r, keep - found, nil
}

// endOfRecord returns where the n-th record of text after from ends, or the last
// whole record before it, and how many were found.
func endOfRecord(text []byte, from, n int64) (end, found int64) {
	end = from
	quoted := false
	for i := from; i < int64(len(text)) && found < n; i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\n' && !quoted:
			end = i + 1
			found++
		}
	}
	return end, found
}

// append writes records and waits until they are on the disk.
func (r *rejectFile) append(records []byte) error {
	if len(records) == 0 {
		return nil
	}
	if r.f == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	if r.size == 0 {
		records = append(bytes.Clone(r.header), records...)
	}
	n, err := r.f.WriteAt(records, r.size)
	if err != nil {
		return err
	}
	r.size += int64(n)
	return r.f.Sync()
}

// open makes the file, and its name in the folder last.
func (r *rejectFile) open() error {
	if r.path == "" {
		return errors.New("a row was refused and no reject file is named")
	}
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	r.f = f
	dir, err := os.Open(filepath.Dir(r.path))
	if err != nil {
		return err
	}
	err = dir.Sync()
	return errors.Join(err, dir.Close())
}

func (r *rejectFile) close() error {
	if r.f == nil {
		return nil
	}
	return r.f.Close()
}
