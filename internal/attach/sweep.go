// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"onemap/store"
	"onemap/store/ledger"
)

// Sweep ends what was left: uploads whose bytes are all here are completed, those
// that have not gone on for KeepPartial expire, parts that belong to nothing are
// removed.
func (k *Keeper) Sweep(ctx context.Context) error {
	pending, err := k.o.DB.PendingAttachments(ctx)
	if err != nil {
		return err
	}
	var errs error
	known := map[string]bool{}
	for _, a := range pending {
		known[partName(a)] = true
		if err := k.sweepOne(ctx, a); err != nil && !errors.Is(err, ErrBusy) && !errors.Is(err, ErrNoRoom) {
			errs = errors.Join(errs, err)
		}
	}
	return errors.Join(errs, k.sweepParts(known))
}

func (k *Keeper) sweepOne(ctx context.Context, a store.Attachment) error {
	went := a.BegunAt
	st, err := os.Stat(k.partPath(a))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case st.Size() == a.Size:
		_, err := k.Complete(ctx, "", a)
		return err
	default:
		if st.ModTime().After(went) {
			went = st.ModTime()
		}
	}
	if k.o.Now().Sub(went) < KeepPartial {
		return nil
	}
	leave, err := k.take(a)
	if err != nil {
		return err
	}
	defer leave()
	if _, err := k.step(ctx, "", ledger.Attachment{Incident: a.Incident, N: a.N, Expire: true}); err != nil {
		return err
	}
	return k.Abandon(a)
}

// leftOver is how old a file among the parts is when nothing is at work on it.
const leftOver = time.Hour

func (k *Keeper) sweepParts(known map[string]bool) error {
	parts, err := os.ReadDir(filepath.Join(k.dir, partial))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs error
	for _, e := range parts {
		st, err := e.Info()
		if err != nil || known[e.Name()] || k.o.Now().Sub(st.ModTime()) < leftOver {
			continue // gone by now, or not to go
		}
		errs = errors.Join(errs, os.Remove(filepath.Join(k.dir, partial, e.Name())))
	}
	return errs
}

// SweepOrphans removes whole files that no row has named for KeepOrphan. When most
// files seem to be such, the database is likely not the folder's: then none is removed
// and the error says so.
func (k *Keeper) SweepOrphans(ctx context.Context) (removed int, err error) {
	l, err := compare(ctx, k.o.DB, k.dir, k.o.Now())
	if err != nil || len(l.orphans) == 0 {
		return 0, err
	}
	if few := 10; len(l.orphans) > few && len(l.orphans) > l.files/2 {
		return 0, fmt.Errorf("attach: %d of %d files in %s belong to no attachment: is this its database? nothing was removed", len(l.orphans), l.files, k.dir)
	}
	for _, h := range l.orphans {
		gone, oerr := k.removeOrphan(h)
		if err = errors.Join(err, oerr); gone {
			removed++
		}
	}
	return removed, err
}

// removeOrphan removes a file unless it has become young again: then somebody has
// sent the same bytes.
func (k *Keeper) removeOrphan(h store.FileHash) (bool, error) {
	k.names.Lock()
	defer k.names.Unlock()
	st, err := os.Stat(k.path(h))
	if err != nil || k.o.Now().Sub(st.ModTime()) < KeepOrphan {
		return false, err
	}
	return true, os.Remove(k.path(h))
}
