// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"onemap/store"
)

// Reasons for which a file is refused; errors.Is finds them.
var (
	ErrWrongKey = errors.New("this key does not open the backup: it was made under another one")
	ErrDamaged  = errors.New("the backup is damaged or cut off: fetch another copy of it")
	ErrNewer    = errors.New("the backup was made by a newer version of this program: install that version")
)

// The passphrase has 256 bits of a random key: stretching it adds nothing.
const (
	workFactor    = 10
	maxWorkFactor = 16
)

func encrypt(w io.Writer, key *store.Sealer) (io.WriteCloser, error) {
	r, err := age.NewScryptRecipient(key.BackupPassphrase())
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	return age.Encrypt(w, r)
}

func decrypt(r io.Reader, key *store.Sealer) (io.Reader, error) {
	id, err := age.NewScryptIdentity(key.BackupPassphrase())
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(maxWorkFactor)
	plain, err := age.Decrypt(r, id)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, ErrWrongKey
	}
	if err != nil {
		// What age says may quote the file, and that may be a key taken for a backup.
		// A disk that can't be read says no more than the file's name.
		var disk *fs.PathError
		if errors.As(err, &disk) {
			return nil, disk
		}
		return nil, ErrDamaged
	}
	return plain, nil
}

func writeEntry(out *tar.Writer, name string, text []byte, now time.Time) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: now}); err != nil {
		return err
	}
	_, err := out.Write(text)
	return err
}

func writeJSON(out *tar.Writer, name string, v any, now time.Time) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeEntry(out, name, text, now)
}

// archive reads a file in its order: manifest, database, attachments, end.
type archive struct {
	Manifest
	file  *os.File
	plain io.Reader // decrypted
	in    *tar.Reader
	next  *tar.Header // the entry that in stands at; nil at the end
	got   Parts
}

// openArchive reads the manifest and refuses what this program cannot read.
func openArchive(ctx context.Context, path string, key *store.Sealer) (a *archive, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			err = fmt.Errorf("%s: %w", path, err)
		}
	}()
	plain, err := decrypt(bufio.NewReaderSize(untilDone{ctx, f}, 1<<20), key)
	if err != nil {
		return nil, err
	}
	a = &archive{file: f, plain: plain, in: tar.NewReader(plain)}
	if err := a.step(); err != nil {
		return nil, err
	}
	if err := a.readJSON("manifest.json", &a.Manifest); err != nil {
		return nil, err
	}
	newest, err := newestSchema()
	if err != nil {
		return nil, err
	}
	if a.Format > Format || a.Schema > newest {
		return nil, fmt.Errorf("%w (it is of %s, format %d, schema %d; this program knows format %d, schema %d)",
			ErrNewer, a.Program, a.Format, a.Schema, Format, newest)
	}
	return a, nil
}

// untilDone reads until ctx ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

func (a *archive) close() { _ = a.file.Close() }

// step goes to the next entry.
func (a *archive) step() error {
	next, err := a.in.Next()
	if errors.Is(err, io.EOF) {
		a.next = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	a.next = next
	return nil
}

// at tells whether the entry's name begins with front.
func (a *archive) at(front string) bool {
	return a.next != nil && strings.HasPrefix(a.next.Name, front)
}

// jsonMax bounds the manifest in memory.
const jsonMax = 16 << 20

func (a *archive) readJSON(name string, v any) error {
	if a.next == nil || a.next.Name != name {
		return fmt.Errorf("%w (no %s)", ErrDamaged, name)
	}
	text, err := io.ReadAll(io.LimitReader(a.in, jsonMax))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("%w (%s: %w)", ErrDamaged, name, err)
	}
	return a.step()
}

// database is the dump; it has to be read to its end.
func (a *archive) database() *dumpReader { return &dumpReader{a: a, sum: newTally()} }

// dumpReader puts the pieces together.
type dumpReader struct {
	a   *archive
	sum *tally
}

func (d *dumpReader) Read(p []byte) (int, error) {
	for d.a.at("database/") {
		n, err := d.a.in.Read(p)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, fmt.Errorf("%w (%w)", ErrDamaged, err)
		}
		if err != nil { // the end of a piece
			err = d.a.step()
		}
		if n > 0 || err != nil {
			_, _ = d.sum.Write(p[:n]) // a hash takes everything
			return n, err
		}
	}
	d.a.got.Database = d.sum.part(1)
	return 0, io.EOF
}

// attachments hands each file to take, which has to read it to its end.
func (a *archive) attachments(take func(name string, content io.Reader) error) error {
	sum, files := newTally(), int64(0)
	for a.at(attachments + "/") {
		name := a.next.Name
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("%w (a file named %q)", ErrDamaged, name)
		}
		files++
		sum.name(name, a.next.Size)
		if err := take(name, io.TeeReader(a.in, sum)); err != nil {
			return err
		}
		if err := a.step(); err != nil {
			return err
		}
	}
	a.got.Attachments = sum.part(files)
	return nil
}

// finish checks that everything came as it was written.
func (a *archive) finish() error {
	var want Parts
	if err := a.readJSON("parts.json", &want); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, a.plain); err != nil {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	if a.next != nil || a.got != want {
		return fmt.Errorf("%w (read %+v, written %+v)", ErrDamaged, a.got, want)
	}
	return nil
}

// Check reads the whole file and compares every hash, without a database.
func Check(ctx context.Context, path string, key *store.Sealer) (Manifest, error) {
	a, err := openArchive(ctx, path, key)
	if err != nil {
		return Manifest{}, err
	}
	defer a.close()
	if _, err := io.Copy(io.Discard, a.database()); err != nil {
		return a.Manifest, fmt.Errorf("%s: %w", path, err)
	}
	err = a.attachments(func(_ string, content io.Reader) error {
		_, err := io.Copy(io.Discard, content)
		if err != nil {
			return fmt.Errorf("%w (%w)", ErrDamaged, err)
		}
		return nil
	})
	if err == nil {
		err = a.finish()
	}
	if err != nil {
		return a.Manifest, fmt.Errorf("%s: %w", path, err)
	}
	return a.Manifest, nil
}
