// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package backup writes everything a centre has into one file and makes a centre
// of it again. The file is a tar stream encrypted by age under a passphrase that
// comes from the sealing key; the key itself is never in it:
//
//	manifest.json    what it is: see Manifest
//	database/000001  the dump of PostgreSQL, cut into pieces because its size is
//	                 not known before its end
//	attachments/...  the files of the folder attachments
//	parts.json       sizes and hashes of the two, known only at the end
//
// It is made beside a running server: rows are counted and dumped as of one
// moment, and the attachments those rows name were on the disk before them.
package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"onemap/store"
)

// Format is the newest form of the file this program reads, and the one it writes.
const Format = 1

// Manifest says what a backup is of.
type Manifest struct {
	Format   int              `json:"format"`
	Schema   int64            `json:"schema"`   // of the database
	Program  string           `json:"program"`  // version that made it
	Postgres int              `json:"postgres"` // major version of the database server
	At       time.Time        `json:"at"`       // the moment of all rows
	Key      string           `json:"key"`      // fingerprint of the sealing key
	Rows     map[string]int64 `json:"rows"`     // of each table
}

// Parts are the sizes and hashes of what is in the file.
type Parts struct {
	Database    Part `json:"database"`
	Attachments Part `json:"attachments"`
}

// Part is one of them: the dump, or all attachments in order.
type Part struct {
	Files  int64  `json:"files"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Options say what to write and where.
type Options struct {
	Data     string // data folder: attachments
	Key      *store.Sealer
	Out      string // the file
	Force    bool   // replace Out
	Program  string // version
	Now      func() time.Time
	Progress func(written int64) // may be nil
}

// Write makes the file: whole, on the disk and under its name, or not at all.
func (d *Database) Write(ctx context.Context, o Options) (m Manifest, err error) {
	if err := MayWrite(o.Out, o.Force); err != nil {
		return m, err
	}
	if err := d.CheckKey(ctx, o.Key); err != nil {
		return m, err
	}
	f, err := openPart(o.Out + partEnd)
	if err != nil {
		return m, err
	}
	defer f.Close()
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // whatever it was that broke off
		}
	}()
	if m, err = d.writeTo(ctx, &meter{w: f, ctx: ctx, tell: o.Progress}, o); err != nil {
		return m, err
	}
	if err := f.Sync(); err != nil {
		return m, err
	}
	if err := MayWrite(o.Out, o.Force); err != nil { // it took long
		return m, err
	}
	if err := os.Rename(f.Name(), o.Out); err != nil {
		return m, err
	}
	return m, store.SyncFolder(filepath.Dir(o.Out))
}

const partEnd = ".part" // of the name of a backup that is not whole yet

// openPart opens an empty file that no other backup writes; a killed one may have
// left it.
func openPart(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	mine, serr := f.Stat()
	now, nerr := os.Stat(path)
	// The other may have renamed it to its last name just before we had the lock.
	if err != nil || serr != nil || nerr != nil || !os.SameFile(mine, now) {
		_ = f.Close()
		return nil, fmt.Errorf("%s is being written by another backup", path)
	}
	if err := errors.Join(f.Truncate(0), f.Chmod(0o600)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// MayWrite refuses a name that is taken, unless by force.
func MayWrite(out string, force bool) error {
	_, err := os.Lstat(out)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && force:
		return nil
	case err == nil:
		return fmt.Errorf("%s is there already: choose another name, or --force", out)
	}
	return err
}

// writeTo writes the encrypted stream.
func (d *Database) writeTo(ctx context.Context, w io.Writer, o Options) (m Manifest, err error) {
	sealed, err := encrypt(w, o.Key)
	if err != nil {
		return m, err
	}
	out := tar.NewWriter(sealed)
	snap, err := d.snapshot(ctx)
	if err != nil {
		return m, err
	}
	defer snap.close(ctx)
	m = Manifest{
		Format: Format, Schema: snap.schema, Program: o.Program, Postgres: snap.major,
		At: snap.at.UTC(), Key: o.Key.Fingerprint(), Rows: snap.rows,
	}
	now := o.Now()
	if err := writeJSON(out, "manifest.json", m, now); err != nil {
		return m, err
	}
	var p Parts
	if p.Database, err = d.writeDump(ctx, out, snap, now); err != nil {
		return m, err
	}
	if p.Attachments, err = writeAttachments(ctx, out, o.Data); err != nil {
		return m, err
	}
	if err := writeJSON(out, "parts.json", p, now); err != nil {
		return m, err
	}
	return m, errors.Join(out.Close(), sealed.Close())
}

// pieceSize is how much of the dump is held in memory to know its size.
const pieceSize = 4 << 20

func (d *Database) writeDump(ctx context.Context, out *tar.Writer, snap *snapshot, now time.Time) (Part, error) {
	sum := newTally()
	dump, err := d.dump(ctx, snap)
	if err != nil {
		return Part{}, err
	}
	piece := make([]byte, pieceSize)
	for n := int64(1); ; n++ {
		got, rerr := io.ReadFull(dump.out, piece)
		if got > 0 {
			if err := writeEntry(out, fmt.Sprintf("database/%06d", n), piece[:got], now); err != nil {
				return Part{}, errors.Join(err, dump.end())
			}
			_, _ = sum.Write(piece[:got]) // a hash takes everything
		}
		if rerr != nil {
			if err := dump.end(); err != nil {
				return Part{}, err
			}
			if !errors.Is(rerr, io.EOF) && !errors.Is(rerr, io.ErrUnexpectedEOF) {
				return Part{}, rerr
			}
			return sum.part(1), nil
		}
	}
}

// writeAttachments adds the files of the folder, which need not be there. A file
// never changes once it has its name.
func writeAttachments(ctx context.Context, out *tar.Writer, data string) (Part, error) {
	root, sum, files := filepath.Join(data, attachments), newTally(), int64(0)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == root {
			return fs.SkipAll
		}
		if err == nil && e.IsDir() && path == filepath.Join(root, unfinished) {
			return fs.SkipDir // who sends them is asked for them again
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		err = writeFile(out, sum, path, filepath.ToSlash(name))
		if errors.Is(err, errGone) {
			return nil
		}
		files++
		return err
	})
	if err != nil {
		return Part{}, fmt.Errorf("attachments: %w", err)
	}
	return sum.part(files), nil
}

// errGone means a file that was removed meanwhile: no row has needed it for a day.
var errGone = errors.New("gone")

func writeFile(out *tar.Writer, sum *tally, path, name string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: st.Size(), ModTime: st.ModTime()}); err != nil {
		return err
	}
	sum.name(name, st.Size())
	if _, err := io.CopyN(io.MultiWriter(out, sum), f, st.Size()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// tally counts and hashes a part.
type tally struct {
	hash.Hash
	bytes int64
}

func newTally() *tally { return &tally{Hash: sha256.New()} }

func (t *tally) Write(p []byte) (int, error) {
	t.bytes += int64(len(p))
	return t.Hash.Write(p)
}

// name puts a file's name and size into the hash, so that files cannot change places.
func (t *tally) name(name string, size int64) { fmt.Fprintf(t.Hash, "%q %d\n", name, size) }

func (t *tally) part(files int64) Part {
	return Part{Files: files, Bytes: t.bytes, SHA256: hex.EncodeToString(t.Sum(nil))}
}

// meter counts what is written and stops at the end of ctx.
type meter struct {
	w    io.Writer
	ctx  context.Context
	n    int64
	tell func(int64)
}

func (m *meter) Write(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.w.Write(p)
	m.n += int64(n)
	if m.tell != nil {
		m.tell(m.n)
	}
	return n, err
}
