// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/localpg"
)

const (
	keeperVar = "ONEMAP_PGTEST_KEEPER" // set for a keeper: its home folder
	lingerVar = "ONEMAP_PGTEST_LINGER" // how long a keeper waits for more tests
	readyWord = "ready"
	keepLast  = 8 // databases of failed tests that survive a new start
)

// A keeper is a test binary, so it has to branch off before that binary's own
// main; there is no other place than init.
func init() {
	home := os.Getenv(keeperVar)
	if home == "" {
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := keep(home, log); err != nil {
		log.Error("keeper", "error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// linger is how long the cluster stays up after the last test process.
func linger() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(lingerVar)); err == nil && d >= 0 {
		return d
	}
	return 15 * time.Second
}

// keep runs the cluster in home until nobody uses it. It says how the start went
// on file descriptor 3.
func keep(home string, log *slog.Logger) error {
	tell := os.NewFile(3, "tell")
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	s, err := startCluster(home, log)
	if err != nil {
		_, _ = fmt.Fprintf(tell, "%v\n", err)
		return err
	}
	_, _ = fmt.Fprintln(tell, readyWord)
	_ = tell.Close()

	// The goroutine may wait in the kernel for ever; it ends with the process.
	unused := make(chan *os.File, 1)
	failed := make(chan error, 1)
	go func() {
		lock, err := waitUnused(filepath.Join(home, "users.lock"), linger())
		if err != nil {
			failed <- err
			return
		}
		unused <- lock
	}()
	select {
	case lock := <-unused:
		defer func() { _ = lock.Close() }() // only when the cluster is gone
	case err = <-failed:
	case <-term:
	case <-s.Done():
		err = s.Err()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	log.Info("stopping")
	return errors.Join(err, s.Stop(ctx))
}

// startCluster starts the cluster of an earlier run, or makes it anew when that
// does not start: written without fsync it may be broken.
func startCluster(home string, log *slog.Logger) (*localpg.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	data := filepath.Join(home, "data")
	o := localpg.Options{Dir: data, Log: log, Unsafe: true}
	s, err := localpg.Start(ctx, o)
	if err == nil {
		if err = tidy(ctx, s); err == nil {
			return s, nil
		}
		_ = s.Stop(ctx)
	}
	if errors.Is(err, localpg.ErrInUse) || errors.Is(err, localpg.ErrNoPostGIS) {
		return nil, err
	}
	log.Warn("the earlier test cluster is of no use, making it anew", "error", err)
	if err := os.RemoveAll(data); err != nil {
		return nil, err
	}
	return localpg.Start(ctx, o)
}

// tidy drops what earlier runs left: half-made templates and the databases of
// tests, but for the last few. Nobody uses the cluster yet.
func tidy(ctx context.Context, s *localpg.Server) error {
	c := open(s.URL(localpg.Database))
	return c.admin(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
			(SELECT datname::text FROM pg_database WHERE datname LIKE 't\_%' ORDER BY oid DESC OFFSET $1)
			UNION ALL
			SELECT datname::text FROM pg_database WHERE datname LIKE 'tpl\_%' AND NOT datistemplate
			UNION ALL
			(SELECT datname::text FROM pg_database WHERE datname LIKE 'tpl\_%' AND datistemplate ORDER BY oid DESC OFFSET $1)`,
			keepLast)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE false"); err != nil {
				return err
			}
			if err := c.drop(ctx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// waitUnused returns when no process has held the lock at path for a while. The
// file it returns holds the lock exclusively, so that a test process that comes
// now waits until this cluster is gone.
func waitUnused(path string, linger time.Duration) (*os.File, error) {
	for {
		f, err := lockFile(path, syscall.LOCK_EX)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN); err != nil {
			return nil, err
		}
		<-time.After(linger)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
	}
}
