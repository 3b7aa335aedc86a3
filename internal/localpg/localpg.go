// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package localpg runs the product's own private PostgreSQL with PostGIS inside
// a data folder, so that one command needs no database set up by hand. Linux
// only.
//
// The cluster listens on a unix socket alone and trusts the operating system's
// user names (peer), so there is no port and no password. As root we run it as
// the user postgres, otherwise as ourselves. The folder holds:
//
//	server.lock   held for life by the one server that may touch the rest
//	pg/           the cluster (pg.init/ while it is being made)
//	pg/local.conf the operator's own settings, read last if it is there
//	run/          the socket
//	pg.log        what PostgreSQL says; pg.log.1 is the older half
package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"
)

// Reasons for which Start refuses; errors.Is finds them. After each of them the
// cluster in the folder is as it was.
var (
	ErrNoPostGIS   = errors.New("no PostgreSQL with PostGIS is installed")
	ErrInUse       = errors.New("the data folder is in use by another server")
	ErrUnreachable = errors.New("the data folder is out of reach for the database's user")
	ErrWrongMajor  = errors.New("the data belongs to another major version of PostgreSQL")
	ErrNotOurs     = errors.New("the data folder does not belong to the database's user")
)

// Database is the database that Start makes, owned by Role, with the extensions
// postgis, btree_gist and pg_trgm.
const Database = "onemap"

// Role is the role of URL: no superuser, but it may create databases.
const Role = "onemap"

// The roles of daily work, with fewer rights than Role, which may step down to
// each of them.
const (
	AppRole     = "onemap_app"     // requests
	TilesRole   = "onemap_tiles"   // walls and maps: no personal column
	AuditorRole = "onemap_auditor" // the audit log alone
)

const superuser = "postgres" // the bootstrap role, used here alone

// Options say where the cluster lives and how it is set.
type Options struct {
	Dir string       // data folder; made when missing
	Log *slog.Logger // nil discards
	// Unsafe trades the safety of the data for speed: no fsync. For tests only.
	Unsafe bool
	// Settings are PostgreSQL parameters on top of ours, as in postgresql.conf.
	// The socket and the closed TCP port cannot be changed.
	Settings map[string]string
	// Phase, if set, hears what Start is doing: "initdb", "start", "database",
	// "ready". It is called from the goroutine of Start.
	Phase func(phase string)

	policy policy // how to restart; zero takes the defaults
}

// Server is a running cluster under supervision: when PostgreSQL dies it is
// started again. Its methods may be called from any goroutine.
type Server struct {
	c        *cluster
	stop     context.CancelFunc // asks the supervisor to end
	ended    chan struct{}      // the supervisor has ended and PostgreSQL is gone
	gaveUp   chan struct{}      // closed with err set
	err      error              // guarded by gaveUp being closed
	stopOnce sync.Once
	hard     chan struct{} // closed when Stop's patience is over

	failures []time.Time // of the last minute; only the supervisor touches it
}

// Start makes the cluster if the folder has none, starts it, waits until it
// answers and supervises it until Stop. Ending ctx breaks the start off; it does
// not end a server that has started. A folder in use by another server is
// refused at once.
func Start(ctx context.Context, o Options) (*Server, error) {
	c, err := openCluster(o)
	if err != nil {
		return nil, fmt.Errorf("localpg: %w", err)
	}
	p, err := c.bringUp(ctx)
	if err != nil {
		c.close()
		return nil, fmt.Errorf("localpg: %s: %w", c.dir, err)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{
		c: c, stop: stop,
		ended: make(chan struct{}), gaveUp: make(chan struct{}), hard: make(chan struct{}),
	}
	go s.supervise(life, p)
	c.phase("ready")
	return s, nil
}

// bringUp takes the folder from whatever state it is in to a running cluster
// with our database.
func (c *cluster) bringUp(ctx context.Context) (*postmaster, error) {
	if err := c.ensureData(ctx); err != nil {
		return nil, err
	}
	if err := c.writeConfig(); err != nil {
		return nil, err
	}
	c.phase("start")
	p, err := c.launchUntilReady(ctx)
	if err != nil {
		return nil, err
	}
	c.phase("database")
	if err := c.ensureDatabase(ctx); err != nil {
		p.end(10 * time.Second)
		return nil, fmt.Errorf("prepare the database: %w", err)
	}
	return p, nil
}

// URL is the postgres URL of a database of this cluster, over the unix socket,
// for Role.
func (s *Server) URL(database string) string { return socketURL(s.c.sock, Role, database) }

// URLAs is URL for one of the lesser roles: a connection that has never been the
// owner's cannot become it again.
func (s *Server) URLAs(role, database string) string { return socketURL(s.c.sock, role, database) }

// Done is closed when supervision gave up: PostgreSQL died or failed to start
// too often in a short time. It stays open after Stop.
func (s *Server) Done() <-chan struct{} { return s.gaveUp }

// Err says why supervision gave up; nil before that.
func (s *Server) Err() error {
	select {
	case <-s.gaveUp:
		return s.err
	default:
		return nil
	}
}

// Stop shuts PostgreSQL down: open transactions are rolled back, what is
// committed is flushed. When ctx ends first it is ended hard, which costs a
// recovery at the next start but no committed row; Stop then returns the cause.
// It waits until PostgreSQL is gone in both cases and may be called repeatedly.
func (s *Server) Stop(ctx context.Context) error {
	s.stop()
	var err error
	select {
	case <-s.ended:
	case <-ctx.Done():
		err = fmt.Errorf("localpg: fast shutdown cut short: %w", context.Cause(ctx))
		s.stopOnce.Do(func() { close(s.hard) })
		<-s.ended
	}
	return err
}

func socketURL(sock, role, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.User(role), Path: "/" + database,
		RawQuery: url.Values{"host": {sock}, "port": {socketPort}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}
