// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"onemap/internal/attach"
	"onemap/internal/backup"
	"onemap/internal/localpg"
	"onemap/internal/tlsca"
	"onemap/migrations"
	"onemap/store"
)

// doctorCmd looks at everything a server relies on and changes none of it. It
// works beside a running server and alone; alone it starts the private database
// for the moment.
type doctorCmd struct {
	place
	baseFlags
}

const (
	spaceLow  = 1 << 30   // bytes; less is worth a warning
	spaceOut  = 200 << 20 // the database may stop for want of room
	certLow   = 30 * 24 * time.Hour
	startOnce = "onemap serve makes it on its first start; or name the folder with --data"
)

func (c *doctorCmd) Run(ctx context.Context, out io.Writer) error {
	found := examineFolder(c.dir(), time.Now())
	key, seal := examineKey(c.dir())
	found = append(append(append(found, key), examineBase(c.baseFlags)...), c.examineDatabase(ctx, seal)...)
	faults := 0
	for _, f := range found {
		if f.Level == store.Fault {
			faults++
		}
		line := fmt.Sprintf("%-4s  %s", f.Level, f.What)
		if f.Do != "" {
			line += "  -> " + f.Do
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d checks failed", faults, len(found))
	}
	return nil
}

func (c *doctorCmd) examineDatabase(ctx context.Context, seal *store.Sealer) []store.Finding {
	url, stop, fault := c.find(ctx)
	if fault != nil {
		return []store.Finding{*fault}
	}
	defer stop()
	db, err := store.Open(ctx, url, store.Options{MaxConns: 2, StatementTimeout: -1})
	if err != nil {
		return []store.Finding{{Level: store.Fault, What: "the database does not answer: " + err.Error(), Do: "is it running, and is the URL right?"}}
	}
	defer db.Close()
	found := db.Examine(ctx, store.Examination{Schema: migrations.FS, Sealer: seal, Now: time.Now})
	if db.CheckSchema(ctx, migrations.FS) != nil {
		return found // said already
	}
	return append(found, attach.Examine(ctx, db, c.dir(), time.Now())...)
}

// find is place.reach in findings. It never makes a database.
func (c *doctorCmd) find(ctx context.Context) (url string, stop func(), fault *store.Finding) {
	if c.DatabaseURL != "" {
		return c.DatabaseURL, func() {}, nil // whatever is wrong with it is found there
	}
	url, stop, err := c.reach(ctx, false)
	switch {
	case err == nil:
		return url, stop, nil
	case errors.Is(err, backup.ErrUnfinished):
		what, do, _ := strings.Cut(backup.ErrUnfinished.Error(), ": ")
		return "", nil, &store.Finding{Level: store.Fault, What: what, Do: do}
	case errors.Is(err, errNoData):
		return "", nil, &store.Finding{Level: store.Fault, What: "no database in " + c.dir(), Do: startOnce}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, localpg.ErrNotOurs):
		return "", nil, &store.Finding{Level: store.Fault, What: err.Error(), Do: asServer}
	}
	return "", nil, &store.Finding{Level: store.Fault, What: "the private database does not start: " + err.Error(), Do: "its own words are in " + filepath.Join(c.dir(), "pg.log")}
}

// examineFolder looks at the data folder: room on its disk, and the certificate
// when there is one.
func examineFolder(dir string, now time.Time) []store.Finding {
	var disk syscall.Statfs_t
	err := syscall.Statfs(dir, &disk)
	if errors.Is(err, fs.ErrPermission) {
		return []store.Finding{{Level: store.Fault, What: fmt.Sprintf("data folder %s: %v", dir, err), Do: asServer}}
	}
	if err != nil {
		return []store.Finding{{Level: store.Fault, What: fmt.Sprintf("data folder %s: %v", dir, err), Do: startOnce}}
	}
	out := []store.Finding{roomLeft(dir, disk.Bavail*uint64(disk.Bsize))}
	return append(out, examineTLS(filepath.Join(dir, "tls"), now)...)
}

func roomLeft(dir string, bytes uint64) store.Finding {
	f := store.Finding{Level: store.Good, What: fmt.Sprintf("%s has %d MiB free", dir, bytes>>20)}
	switch {
	case bytes < spaceOut:
		f.Level, f.Do = store.Fault, "make room now: the database stops when the disk is full"
	case bytes < spaceLow:
		f.Level, f.Do = store.Warning, "make room"
	}
	return f
}

// examineTLS looks at what tls init made, if it did.
func examineTLS(dir string, now time.Time) (out []store.Finding) {
	if !tlsca.Exists(dir) {
		return nil
	}
	if _, err := tlsca.Load(dir); err != nil {
		out = append(out, store.Finding{Level: store.Fault, What: err.Error(), Do: "the server does not start until this is mended"})
	}
	cert, ca, err := tlsca.Lives(dir)
	if err != nil {
		return append(out, store.Finding{Level: store.Fault, What: err.Error(), Do: "put it back from a copy, or remove it and run onemap tls init"})
	}
	renew := "onemap tls init"
	if ca != nil && ca.Until.Sub(now) < certLow {
		renew = tlsca.NewCA // a certificate never outlasts its CA
		out = append(out, examineLife("the local CA "+tlsca.CACert(dir), *ca, renew, now))
	}
	return append(out, examineLife("the certificate", cert, renew, now))
}

func examineLife(what string, life tlsca.Life, renew string, now time.Time) store.Finding {
	until := life.Until.Format(time.DateOnly)
	switch {
	case now.After(life.Until):
		return store.Finding{Level: store.Fault, What: what + " ended on " + until, Do: renew}
	case now.Before(life.From):
		return store.Finding{Level: store.Fault, What: what + " begins on " + life.From.Format(time.DateOnly), Do: "is this machine's clock right?"}
	case life.Until.Sub(now) < certLow:
		return store.Finding{Level: store.Warning, What: what + " is good until " + until, Do: renew}
	}
	return store.Finding{Level: store.Good, What: what + " is good until " + until}
}

// examineKey reads the sealing key; nil when it cannot be used.
func examineKey(dir string) (store.Finding, *store.Sealer) {
	seal, err := store.ReadSealer(dir)
	if errors.Is(err, store.ErrNoKey) {
		return store.Finding{
			Level: store.Fault, What: "no sealing key in " + dir,
			Do: "put seal.key back from its backup; a new centre gets one when the server first starts",
		}, nil
	}
	if err != nil {
		return store.Finding{Level: store.Fault, What: err.Error(), Do: "run this as the server's user, or put seal.key back from its backup"}, nil
	}
	path := filepath.Join(dir, "seal.key")
	st, err := os.Stat(path)
	if err == nil && st.Mode().Perm() != 0o600 {
		return store.Finding{Level: store.Fault, What: fmt.Sprintf("the sealing key has mode %04o", st.Mode().Perm()), Do: "chmod 600 " + path}, seal
	}
	return store.Finding{Level: store.Good, What: "the sealing key can be read by its owner alone"}, seal
}
