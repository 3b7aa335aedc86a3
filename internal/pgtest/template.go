// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"onemap/internal/localpg"
	"onemap/migrations"
)

// advisoryKey guards the making of templates; any number of our own.
const advisoryKey = 0x6f6e656d6170

// server is the shared cluster as a test process sees it.
type server struct {
	base     string // URL of its database localpg.Database
	schema   fs.FS  // migrations
	template func(ctx context.Context) (string, error)
}

func newServer(base string, schema fs.FS) *server {
	s := &server{base: base, schema: schema}
	var mu sync.Mutex // guards made
	made := ""
	s.template = func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if made != "" {
			return made, nil
		}
		name, err := s.ensureTemplate(ctx)
		if err == nil {
			made = name
		}
		return name, err
	}
	return s
}

// url is base with another database.
func (s *server) url(database string) string {
	u, err := url.Parse(s.base)
	if err != nil {
		return s.base
	}
	u.Path = "/" + database
	return u.String()
}

// admin runs f on a connection to a database that nobody clones.
func (s *server) admin(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return f(conn)
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// clone makes a database for the test called test and returns its name.
func (s *server) clone(ctx context.Context, test string) (string, error) {
	template, err := s.template(ctx)
	if err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	short := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(test), "_"), "_")
	name := fmt.Sprintf("t_%s_%s", short[:min(len(short), 40)], strings.ToLower(rand.Text()[:10]))
	err = s.admin(ctx, func(conn *pgx.Conn) error {
		// Without fsync, copying files takes a third of the time of writing each block to the log.
		_, err := conn.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+" STRATEGY file_copy")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("clone %s: %w", template, err)
	}
	return name, nil
}

// drop removes a database, with the sessions a test may have forgotten there.
func (s *server) drop(ctx context.Context, name string) error {
	return s.admin(ctx, func(conn *pgx.Conn) error {
		for tries := 0; ; tries++ {
			_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
			var pe *pgconn.PgError
			if !errors.As(err, &pe) || pe.Code != insufficientPrivilege || tries == dropTries {
				return err
			}
			// An autovacuum worker is at work in it, which is not ours to end. It
			// leaves by itself when it sees that the database is to go.
			if _, err := conn.Exec(ctx, "SELECT pg_sleep(0.1)"); err != nil {
				return err
			}
		}
	})
}

const (
	insufficientPrivilege = "42501"
	dropTries             = 100
)

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// ensureTemplate makes the template of the schema unless it is there. Only a
// finished one is marked as a template, so a half-made one is made again.
func (s *server) ensureTemplate(ctx context.Context) (string, error) {
	hash, err := hashFS(s.schema)
	if err != nil {
		return "", err
	}
	name := "tpl_" + hash
	err = s.admin(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(advisoryKey)); err != nil {
			return err // the lock goes with the connection
		}
		finished := false
		err := conn.QueryRow(ctx, "SELECT datistemplate FROM pg_database WHERE datname = $1", name).Scan(&finished)
		if finished || err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return s.makeTemplate(ctx, conn, name)
	})
	return name, err
}

func (s *server) makeTemplate(ctx context.Context, conn *pgx.Conn, name string) error {
	for _, sql := range []string{
		"DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)",
		// localpg has put the extensions there, which we may not create.
		"CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(localpg.Database),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.url(name), s.schema); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

func migrate(ctx context.Context, url string, schema fs.FS) (err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := goose.NewProvider(goose.DialectPostgres, db, schema)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return nil
}

// hashFS names the content of a tree of files.
func hashFS(tree fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, path)
		fmt.Fprintf(h, "%q %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the migrations: %w", err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// open connects this process to the shared cluster at base with our schema.
func open(base string) *server { return newServer(base, migrations.FS) }
