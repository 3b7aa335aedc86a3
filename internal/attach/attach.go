// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package attach keeps the files of attachments in the data folder:
//
//	attachments/partial/12-1        what has come so far of attachment 1 of incident 12
//	attachments/ab/abcd...          a whole file by its SHA-256: as it was received, the
//	                                copy that is served, a thumbnail
//
// A file is on the disk, with its name, before the row that names it is committed; a
// kill at any moment leaves a row that waits or a file without a row, and Sweep ends
// both.
package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"onemap/store"
	"onemap/store/ledger"
)

// Folder is the name of the folder in the data folder.
const Folder = "attachments"

const partial = "partial"

// How long things are kept, and how much of the disk is left to the database.
const (
	KeepPartial = 72 * time.Hour // an upload that does not go on
	KeepOrphan  = 24 * time.Hour // a file that no row names, and the files of a removed attachment
	Reserve     = 256 << 20      // bytes of the disk that no upload takes
)

// What an upload meets.
var (
	ErrNoRoom = errors.New("the server's disk has no room for files")
	ErrBusy   = errors.New("another request is sending to this upload")
	ErrSum    = errors.New("the part did not arrive as it was sent")
	ErrLarge  = errors.New("the part is longer than what is left of the file")
)

// OffsetError refuses a part that does not begin where the last one ended.
type OffsetError struct{ Have int64 }

func (e *OffsetError) Error() string { return fmt.Sprintf("the next part begins at byte %d", e.Have) }

// Options name what a Keeper works with; all are needed but Free and Reserve.
type Options struct {
	Data    string    // the data folder
	DB      *store.DB // looks for rows
	Ledger  *ledger.Ledger
	Now     func() time.Time
	Log     *slog.Logger
	Free    func(dir string) (int64, error) // bytes free on its disk; the system's answer when nil
	Reserve int64                           // Reserve when 0
}

// Keeper keeps the files.
type Keeper struct {
	o    Options
	dir  string
	work chan struct{} // one file is looked into at a time: a picture may take much memory

	mu    sync.Mutex // guards busy
	busy  map[string]bool
	names sync.Mutex // held while a file gets its name, or loses it
}

// New makes a Keeper; folders are made when they are needed, so that a full disk
// keeps no server from starting.
func New(o Options) *Keeper {
	if o.Free == nil {
		o.Free = free
	}
	if o.Reserve == 0 {
		o.Reserve = Reserve
	}
	return &Keeper{o: o, dir: filepath.Join(o.Data, Folder), work: make(chan struct{}, 1), busy: map[string]bool{}}
}

func free(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// full reports an error that means: no room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func partName(a store.Attachment) string { return fmt.Sprintf("%d-%d", a.Incident, a.N) }

func (k *Keeper) partPath(a store.Attachment) string {
	return filepath.Join(k.dir, partial, partName(a))
}

func (k *Keeper) path(h store.FileHash) string {
	return filepath.Join(k.dir, h.String()[:2], h.String())
}

// take makes an upload this caller's alone until leave; ErrBusy when it is another's.
func (k *Keeper) take(a store.Attachment) (leave func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := partName(a)
	if k.busy[name] {
		return nil, ErrBusy
	}
	k.busy[name] = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.busy, name)
	}, nil
}

// Offset is how many bytes of an upload have come.
func (k *Keeper) Offset(a store.Attachment) (int64, error) {
	if a.State == store.Ready {
		return a.Size, nil
	}
	st, err := os.Stat(k.partPath(a))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return st.Size(), nil
}

// room refuses what would take the database's share of the disk.
func (k *Keeper) room(dir string, bytes int64) error {
	left, err := k.o.Free(dir)
	if err != nil {
		return err
	}
	if left-bytes < k.o.Reserve {
		return ErrNoRoom
	}
	return nil
}

// Sum checks a part: it is fed all of it, and says in the end whether it is right.
type Sum interface {
	io.Writer
	Right() bool
}

// Append adds what body holds to an upload, from off on, and returns how many bytes
// have come by now; they are on the disk. What arrived before body broke off stays,
// unless sum (which may be nil) is to judge the whole part. Errors: *OffsetError,
// ErrBusy, ErrLarge, ErrSum, ErrNoRoom, or body's own.
func (k *Keeper) Append(a store.Attachment, off int64, body io.Reader, sum Sum) (have int64, err error) {
	leave, err := k.take(a)
	if err != nil {
		return 0, err
	}
	defer leave()
	f, err := k.openPart(a)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() != off {
		return st.Size(), &OffsetError{st.Size()}
	}
	if err := k.room(k.dir, a.Size-off); err != nil {
		return off, err
	}
	return fill(f, a.Size, off, body, sum)
}

// fill writes body behind the first off bytes of f and makes it durable; what cannot
// stay is cut off again.
func fill(f *os.File, size, off int64, body io.Reader, sum Sum) (int64, error) {
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return off, err
	}
	to := io.Writer(f)
	if sum != nil {
		to = io.MultiWriter(f, sum)
	}
	n, err := io.Copy(to, io.LimitReader(body, size-off))
	var more [1]byte
	switch {
	case err == nil && n == size-off:
		if m, _ := body.Read(more[:]); m > 0 {
			err = ErrLarge
		}
	case full(err):
		err = ErrNoRoom
	}
	if err == nil && sum != nil && !sum.Right() {
		err = ErrSum
	}
	have := off + n
	if errors.Is(err, ErrLarge) || err != nil && sum != nil {
		have = off
	}
	if cut := f.Truncate(have); cut != nil {
		return off, errors.Join(err, cut)
	}
	if synced := f.Sync(); synced != nil {
		if full(synced) {
			synced = ErrNoRoom
		}
		return off, errors.Join(err, synced, f.Truncate(off))
	}
	return have, err
}

// openPart opens the file of an upload, and makes it.
func (k *Keeper) openPart(a store.Attachment) (*os.File, error) {
	f, err := os.OpenFile(k.partPath(a), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		dir := filepath.Join(k.dir, partial)
		if err = os.MkdirAll(dir, 0o700); err == nil {
			f, err = os.OpenFile(k.partPath(a), os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	if full(err) {
		return nil, ErrNoRoom
	}
	return f, err
}

// Open opens a whole file.
func (k *Keeper) Open(h store.FileHash) (*os.File, error) { return os.Open(k.path(h)) }

// Abandon removes what has come of an upload that has ended.
func (k *Keeper) Abandon(a store.Attachment) error {
	err := os.Remove(k.partPath(a))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// keep gives a file of the folder partial its name for good, beside the one it has.
// It is on the disk before.
func (k *Keeper) keep(path string, h store.FileHash) error {
	to := k.path(h)
	k.names.Lock()
	defer k.names.Unlock()
	err := os.Mkdir(filepath.Dir(to), 0o700)
	switch {
	case err == nil:
		err = store.SyncFolder(k.dir)
	case errors.Is(err, fs.ErrExist):
		err = nil
	}
	if err != nil {
		return err
	}
	if err = os.Link(path, to); err != nil && !errors.Is(err, fs.ErrExist) { // the same bytes may have been sent before
		return err
	}
	now := k.o.Now() // young, so that no sweep takes it before its row is committed
	if err := os.Chtimes(to, now, now); err != nil {
		return err
	}
	return store.SyncFolder(filepath.Dir(to))
}

// temporary is a file in the folder partial that Sweep knows as one of its own.
func (k *Keeper) temporary() (*os.File, error) {
	return os.CreateTemp(filepath.Join(k.dir, partial), "made-*")
}

// step carries out one step in the record.
func (k *Keeper) step(ctx context.Context, requestID string, s ledger.Attachment) (store.Attachment, error) {
	res, err := k.o.Ledger.Do(ctx, systemActor, ledger.Command{RequestID: requestID, Attachment: &s})
	return res.Attachment, err
}
