// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/localpg"
	"onemap/migrations"
	"onemap/store"
)

// Database is the database that is backed up.
type Database struct {
	URL  string // of the schema's owner
	full string // of a role that no row is hidden from
	stop func()
}

// Open finds the database of a data folder: the outside one at external, the
// private one of a running server, or the private one started until Close. The
// schema stays as it is: a backup before an upgrade is made by the new program.
func Open(ctx context.Context, data, external string) (*Database, error) {
	if external != "" {
		return &Database{URL: external, full: external, stop: func() {}}, store.CheckServer(ctx, external)
	}
	if private, running := localpg.Join(data); running {
		return privateDatabase(private, func() {})
	}
	if _, err := os.Stat(data); err != nil {
		return nil, fmt.Errorf("data folder: %w", err) // nothing to save: do not make a cluster
	}
	pg, err := localpg.Start(ctx, localpg.Options{Dir: data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return privateDatabase(pg.URL(localpg.Database), func() { _ = pg.Stop(context.WithoutCancel(ctx)) })
}

func privateDatabase(private string, stop func()) (*Database, error) {
	full, err := localpg.AsSuperuser(private)
	return &Database{URL: private, full: full, stop: stop}, err
}

// Close stops a private database that Open started.
func (d *Database) Close() { d.stop() }

// CheckKey makes sure that key is the one the database was sealed with: else it is
// store.ErrWrongKey. It only reads.
func (d *Database) CheckKey(ctx context.Context, key *store.Sealer) error {
	conn, err := connect(ctx, d.full)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return store.CompareSealKey(ctx, conn, key)
}

// snapshot is one moment of the database, held by a transaction that stays open
// while the rows are dumped.
type snapshot struct {
	conn   *pgx.Conn
	id     string
	at     time.Time
	major  int
	schema int64
	rows   map[string]int64
}

func (d *Database) snapshot(ctx context.Context) (s *snapshot, err error) {
	conn, err := connect(ctx, d.full)
	if err != nil {
		return nil, err
	}
	s = &snapshot{conn: conn}
	defer func() {
		if err != nil {
			s.close(ctx)
		}
	}()
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, err
	}
	var known bool
	err = conn.QueryRow(ctx, `SELECT pg_export_snapshot(), now(), current_setting('server_version_num')::int / 10000,
		to_regclass('public.goose_db_version') IS NOT NULL`).Scan(&s.id, &s.at, &s.major, &known)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, errors.New("this database holds nothing of OneMap's")
	}
	if err := conn.QueryRow(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&s.schema); err != nil {
		return nil, err
	}
	s.rows, err = countRows(ctx, conn)
	return s, err
}

func (s *snapshot) close(ctx context.Context) { _ = s.conn.Close(context.WithoutCancel(ctx)) }

// connect opens a connection that may sit idle in a transaction, and whose
// statements take as long as they take.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	p := cfg.RuntimeParams
	p["application_name"], p["timezone"] = "onemap-backup", "UTC"
	p["statement_timeout"], p["idle_in_transaction_session_timeout"] = "0", "0"
	p["row_security"] = "off" // fail rather than count fewer rows than there are
	return pgx.ConnectConfig(ctx, cfg)
}

// countRows counts the rows of every table of ours; partitions within theirs.
func countRows(ctx context.Context, conn *pgx.Conn) (map[string]int64, error) {
	rows, err := conn.Query(ctx, `
SELECT c.relname::text, substring(query_to_xml(format('SELECT count(*) AS n FROM %s', c.oid::regclass), false, true, '')::text FROM '<n>(\d+)</n>')::bigint
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var table string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error { counts[table] = n; return nil })
	return counts, err
}

// newestSchema is the newest schema this program knows.
func newestSchema() (int64, error) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err == nil && len(names) == 0 {
		err = errors.New("none there")
	}
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	number, _, _ := strings.Cut(names[len(names)-1], "_") // Glob sorts
	return strconv.ParseInt(number, 10, 64)
}

// dump starts pg_dump of the tables of ours, whatever extensions put beside them.
func (d *Database) dump(ctx context.Context, s *snapshot) (*program, error) {
	cmd, err := client(ctx, "pg_dump", s.major, d.full, "--format=custom", "--compress=1", "--schema=public", "--snapshot="+s.id,
		"--no-owner", "--no-comments", "--no-tablespaces", "--no-publications", "--no-subscriptions", "--no-security-labels")
	if err != nil {
		return nil, err
	}
	p := &program{cmd: cmd}
	cmd.Stderr = &p.said
	if p.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, cmd.Start()
}

// program is a running one of PostgreSQL.
type program struct {
	cmd  *exec.Cmd
	out  io.Reader
	said bytes.Buffer
}

// end waits for it, after its output has been read or when nobody wants it.
func (p *program) end() error {
	if c, ok := p.out.(io.Closer); ok {
		_ = c.Close() // it ends if it still writes
	}
	return p.explain(p.cmd.Wait())
}

// explain adds what the program said to why it failed.
func (p *program) explain(err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(p.said.String()), "\n")
	return fmt.Errorf("%s: %w: %s", p.cmd.Args[0], err, strings.Join(lines[:min(len(lines), 6)], " | "))
}

// client prepares a program of PostgreSQL for the database at address. A password
// goes through the environment: other users of the machine see the arguments.
func client(ctx context.Context, name string, major int, address string, args ...string) (*exec.Cmd, error) {
	path, err := localpg.Tool(name, major)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("name the database as postgres://USER@HOST:PORT/DATABASE for this")
	}
	env := append(os.Environ(), "PGAPPNAME=onemap-backup", "PGOPTIONS=")
	q := u.Query()
	for name := range q {
		if strings.HasPrefix(name, "pool_") { // ours alone
			q.Del(name)
		}
	}
	if password := q.Get("password"); password != "" {
		q.Del("password")
		env = append(env, "PGPASSWORD="+password)
	}
	if password, ok := u.User.Password(); ok {
		u.User = url.User(u.User.Username())
		env = append(env, "PGPASSWORD="+password)
	}
	u.RawQuery = q.Encode()
	cmd := exec.CommandContext(ctx, path, append(args, "--no-password", "--dbname="+u.String())...)
	cmd.Env = env
	return cmd, nil
}
