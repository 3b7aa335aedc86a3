// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"onemap/dispatch"
	"onemap/internal/app"
	"onemap/internal/backup"
	"onemap/internal/localpg"
	"onemap/migrations"
	"onemap/store"
)

// place is where a command finds its database.
type place struct {
	Data        string `help:"Data folder (default: ${data})." env:"ONEMAP_DATA" placeholder:"DIR"`
	DatabaseURL string `help:"An external PostgreSQL with PostGIS; without it a private one runs in the data folder." name:"database-url" env:"ONEMAP_DATABASE_URL,DATABASE_URL" placeholder:"URL"`
}

func (p place) dir() string {
	if p.Data == "" {
		return app.DefaultData()
	}
	return p.Data
}

// open connects a command that only reads: the database has to be there with this
// program's schema, and stays as it is.
func (p place) open(ctx context.Context) (*store.DB, func(), error) {
	return p.connect(ctx, false, false)
}

// openToChange is open for a command that changes something in a database that is
// there; its schema is brought up to date.
func (p place) openToChange(ctx context.Context) (*store.DB, func(), error) {
	return p.connect(ctx, false, true)
}

// openToMake is openToChange for a command that may be the first in a new data
// folder: without a database it makes one.
func (p place) openToMake(ctx context.Context) (*store.DB, func(), error) {
	return p.connect(ctx, true, true)
}

func (p place) connect(ctx context.Context, mayMake, mayMigrate bool) (db *store.DB, done func(), err error) {
	url, stop, err := p.reach(ctx, mayMake)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	if mayMigrate {
		if err := store.Migrate(ctx, url, migrations.FS); err != nil {
			return nil, nil, err
		}
	}
	if db, err = store.Open(ctx, url, store.Options{MaxConns: 8, StatementTimeout: -1}); err != nil {
		return nil, nil, err
	}
	if !mayMigrate {
		if err := db.CheckSchema(ctx, migrations.FS); err != nil {
			db.Close()
			return nil, nil, err
		}
	}
	return db, func() { db.Close(); stop() }, nil
}

// reach finds the database: an external one, the private one of a running server by
// its socket, or the private one started for the moment.
func (p place) reach(ctx context.Context, mayMake bool) (url string, stop func(), err error) {
	if err := backup.Unfinished(p.dir()); err != nil {
		return "", nil, err
	}
	if p.DatabaseURL != "" {
		return p.DatabaseURL, func() {}, store.CheckServer(ctx, p.DatabaseURL)
	}
	if url, running := localpg.Join(p.dir()); running {
		return url, func() {}, nil
	}
	if err := p.hasCluster(); mayMake && errors.Is(err, errNoData) {
		if err := os.MkdirAll(p.dir(), 0o755); err != nil {
			return "", nil, err
		}
	} else if err != nil {
		return "", nil, err
	}
	pg, err := localpg.Start(ctx, localpg.Options{Dir: p.dir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", nil, err
	}
	return pg.URL(localpg.Database), func() { _ = pg.Stop(context.WithoutCancel(ctx)) }, nil
}

var errNoData = errors.New("name the server's folder with --data")

// hasCluster is nil when the data folder has a database of its own.
func (p place) hasCluster() error {
	_, err := os.Stat(filepath.Join(p.dir(), "pg"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no data in %s: %w", p.dir(), errNoData)
	}
	return err
}

// openRecord is openToMake for a command that writes incidents: with the sealer,
// and the product's own categories in a database that has none yet.
func (p place) openRecord(ctx context.Context) (*store.DB, *store.Sealer, func(), error) {
	db, done, err := p.openToMake(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	seal, err := db.OpenSealer(ctx, p.dir())
	if err == nil {
		err = defaultCategories(ctx, db)
	}
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	return db, seal, done, nil
}

// defaultCategories gives a new database the product's own list.
func defaultCategories(ctx context.Context, db *store.DB) error {
	have, err := db.Categories(ctx)
	if err != nil || len(have) > 0 {
		return err
	}
	return db.SaveCategories(ctx, dispatch.DefaultCategories())
}

// linkBase is the address that links begin with: the one the command names, else
// the one the server wrote down when it started.
func linkBase(ctx context.Context, db *store.DB, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	var url string
	err := db.Setting(ctx, app.URLSetting, &url)
	if errors.Is(err, store.ErrNotFound) {
		return "http://127.0.0.1:8080", nil
	}
	return url, err
}

// asServer says what helps when a command may not reach into its data folder.
const asServer = "run it as the server's user (for example sudo -u onemap onemap ...)"

// kept tells that err is of something in the command's data folder that this user
// may not reach.
func kept(k *kong.Context, err error) bool {
	if errors.Is(err, localpg.ErrNotOurs) {
		return true
	}
	var pe *fs.PathError
	if !errors.As(err, &pe) || !errors.Is(pe, fs.ErrPermission) {
		return false
	}
	var p place
	for _, f := range k.Flags() {
		if f.Name == "data" {
			p.Data, _ = k.FlagValue(f).(string)
		}
	}
	in, err := filepath.Rel(p.dir(), pe.Path)
	return err == nil && in != ".." && !strings.HasPrefix(in, "../")
}
