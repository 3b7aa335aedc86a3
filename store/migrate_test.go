// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"onemap/internal/pgtest"
	"onemap/migrations"
	"onemap/store"
)

// with is the schema plus one more migration.
func with(t *testing.T, sql string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{"90000_more.sql": {Data: []byte("-- +goose Up\n" + sql + "\n-- +goose Down\nSELECT 1;\n")}}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		text, err := fs.ReadFile(migrations.FS, n)
		if err != nil {
			t.Fatal(err)
		}
		out[n] = &fstest.MapFile{Data: text}
	}
	return out
}

func TestFourNodesMigrateAtOnceAndANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	more := with(t, "CREATE TABLE once (n int);")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := store.Migrate(t.Context(), url, more); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := store.Migrate(t.Context(), url, migrations.FS); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("an older program on a newer schema: %v", err)
	}
}

func TestAMigrationThatFailsHalfWayLeavesNothingAndCanGoOn(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	if err := store.Migrate(t.Context(), url, with(t, "CREATE TABLE half (n int);\nSELECT 1/0;")); err == nil {
		t.Fatal("a failing migration passed")
	}
	if err := store.Migrate(t.Context(), url, with(t, "CREATE TABLE half (n int);")); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseThatWouldNotDoIsNamedInPlainWords(t *testing.T) {
	t.Parallel()
	good := pgtest.URL(t)
	if err := store.CheckServer(t.Context(), good); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, c := range map[string]struct{ create, says string }{
		"no_ctype":   {"TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", "LC_CTYPE"},
		"no_utf8":    {"TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", "UTF8"},
		"no_postgis": {"TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", "CREATE EXTENSION postgis"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := another(t, good, c.create)
			if err := store.CheckServer(t.Context(), bad); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := store.CheckServer(t.Context(), strings.Replace(good, "host=", "host=%2Fnowhere", 1)); err == nil {
		t.Error("a server that is not there passed")
	}
}

// another makes a database beside the one at base, gone after t.
func another(t *testing.T, base, options string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	name = name[max(0, len(name)-30):] + "_x"
	conn, err := pgx.Connect(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+name+" "+options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // t's own has ended
		if _, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		_ = conn.Close(ctx)
	})
	u.Path = "/" + name
	return u.String()
}
