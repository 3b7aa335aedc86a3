// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"onemap/internal/localpg"
	"onemap/migrations"
	"onemap/store"
)

// doctorCmd looks at everything a server relies on and changes none of it. It
// works beside a running server and alone; alone it starts the private database
// for the moment.
type doctorCmd struct{ place }

const (
	spaceLow  = 1 << 30   // bytes; less is worth a warning
	spaceOut  = 200 << 20 // the database may stop for want of room
	certLow   = 30 * 24 * time.Hour
	startOnce = "onemap serve makes it on its first start; or name the folder with --data"
)

func (c *doctorCmd) Run(ctx context.Context, out io.Writer) error {
	found := examineFolder(c.dir(), time.Now())
	key, seal := examineKey(c.dir())
	found = append(append(found, key), c.examineDatabase(ctx, seal)...)
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
	url, stop, fault := c.reach(ctx)
	if fault != nil {
		return []store.Finding{*fault}
	}
	defer stop()
	db, err := store.Open(ctx, url, store.Options{MaxConns: 2, StatementTimeout: -1})
	if err != nil {
		return []store.Finding{{Level: store.Fault, What: "the database does not answer: " + err.Error(), Do: "is it running, and is the URL right?"}}
	}
	defer db.Close()
	return db.Examine(ctx, store.Examination{Schema: migrations.FS, Sealer: seal, Now: time.Now})
}

// reach finds the database: an external one, that of the running server, or the
// folder's own started for the moment. It never makes one.
func (c *doctorCmd) reach(ctx context.Context) (url string, stop func(), fault *store.Finding) {
	if c.DatabaseURL != "" {
		return c.DatabaseURL, func() {}, nil
	}
	if url, running := localpg.Join(c.dir()); running {
		return url, func() {}, nil
	}
	if _, err := os.Stat(filepath.Join(c.dir(), "pg")); errors.Is(err, fs.ErrNotExist) {
		return "", nil, &store.Finding{Level: store.Fault, What: "no database in " + c.dir(), Do: startOnce}
	}
	pg, err := localpg.Start(ctx, localpg.Options{Dir: c.dir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", nil, &store.Finding{Level: store.Fault, What: "the private database does not start: " + err.Error(), Do: "its own words are in " + filepath.Join(c.dir(), "pg.log")}
	}
	return pg.URL(localpg.Database), func() { _ = pg.Stop(context.WithoutCancel(ctx)) }, nil
}

// examineFolder looks at the data folder: room on its disk, and the certificate
// when there is one.
func examineFolder(dir string, now time.Time) []store.Finding {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return []store.Finding{{Level: store.Fault, What: fmt.Sprintf("data folder %s: %v", dir, err), Do: startOnce}}
	}
	out := []store.Finding{roomLeft(dir, disk.Bavail*uint64(disk.Bsize))}
	path := filepath.Join(dir, "tls", "server.crt")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out
	}
	return append(out, examineCert(path, text, err, now))
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

func examineCert(path string, text []byte, err error, now time.Time) store.Finding {
	var cert *x509.Certificate
	if block, _ := pem.Decode(text); err == nil && block == nil {
		err = errors.New("no certificate in it")
	} else if err == nil {
		cert, err = x509.ParseCertificate(block.Bytes)
	}
	if err != nil {
		return store.Finding{Level: store.Fault, What: fmt.Sprintf("certificate %s: %v", path, err), Do: "onemap tls init"}
	}
	f := store.Finding{Level: store.Good, What: "the certificate is good until " + cert.NotAfter.Format(time.DateOnly)}
	switch {
	case now.After(cert.NotAfter):
		f = store.Finding{Level: store.Fault, What: "the certificate ended on " + cert.NotAfter.Format(time.DateOnly), Do: "onemap tls init"}
	case now.Before(cert.NotBefore):
		f = store.Finding{Level: store.Fault, What: "the certificate begins on " + cert.NotBefore.Format(time.DateOnly), Do: "is this machine's clock right?"}
	case cert.NotAfter.Sub(now) < certLow:
		f.Level, f.Do = store.Warning, "onemap tls init"
	}
	return f
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
