// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
)

// Level says how bad a Finding is.
type Level string

// The levels of a Finding.
const (
	Good    Level = "OK"
	Warning Level = "WARN" // it works, but look at it soon
	Fault   Level = "FAIL" // it does not work, or is not safe
)

// Finding is one thing an examination looked at.
type Finding struct {
	Level Level
	What  string // what was found
	Do    string // what to do about it; "" when all is well
}

// judge is a finding that is good, or a fault that goes on from what and says
// what to do.
func judge(good bool, what, fault, do string) Finding {
	if good {
		return Finding{Good, what, ""}
	}
	return Finding{Fault, what + fault, do}
}

// Examination is what a database is held against.
type Examination struct {
	Schema fs.FS            // the program's migrations
	Sealer *Sealer          // nil when there is none: the key is not compared
	Now    func() time.Time // this machine's clock
}

const (
	clockApart = 2 * time.Second  // more between this machine and the database spoils stage times
	sealLate   = 10 * time.Minute // a running server seals the audit log far sooner
	daysOfRoom = 2                // of partitions ahead
	leastConns = 60               // the server's pools and a few commands beside it

	askServer = "if the server is running, its log says why; else start it"
	toMigrate = "onemap migrate (a server does it at its start)"
)

// Examine looks at everything the server relies on in its database, which db must
// reach as its owner. It changes nothing.
func (db *DB) Examine(ctx context.Context, e Examination) (out []Finding) {
	look := func(what string, f func(context.Context, pgx.Tx) ([]Finding, error)) bool {
		var found []Finding
		err := db.readOnly(ctx, func(tx pgx.Tx) (err error) {
			found, err = f(ctx, tx)
			return err
		})
		if err != nil {
			found = []Finding{{Fault, what + ": " + err.Error(), "see the database's log"}}
		}
		out = append(out, found...)
		for _, f := range found {
			if f.Level == Fault {
				return false
			}
		}
		return true
	}
	look("server", examineServer)
	look("connections", examineConnections)
	look("clock", e.clock)
	if !look("schema", e.schema) {
		return out // what follows is about this program's schema
	}
	look("rights", e.examineRights)
	look("sealing key", e.key)
	look("audit log", examineAudit)
	look("partitions", func(ctx context.Context, tx pgx.Tx) ([]Finding, error) { return db.examinePartitions(ctx, tx, e.Now()) })
	return out
}

func examineServer(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	f, err := readServer(ctx, tx)
	if err != nil {
		return nil, err
	}
	out := f.findings()
	if f.superuser {
		out = append(out, Finding{Warning, "the server signs in as a superuser", "give it a role of its own that owns the database and no more"})
	}
	return out, nil
}

func examineConnections(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	var n int
	if err := tx.QueryRow(ctx, "SELECT current_setting('max_connections')::int").Scan(&n); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("the database takes %d connections", n)
	return []Finding{judge(n >= leastConns, what, fmt.Sprintf(", %d are needed", leastConns), "set max_connections = 100 and start PostgreSQL again")}, nil
}

// clock compares the two clocks at the middle of a round trip.
func (e Examination) clock(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	var theirs time.Time
	before := e.Now()
	if err := tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs); err != nil {
		return nil, err
	}
	trip := e.Now().Sub(before)
	apart := theirs.Sub(before.Add(trip / 2)).Abs()
	what := fmt.Sprintf("the clocks of this machine and the database are %v apart", apart.Round(time.Millisecond))
	return []Finding{judge(apart-trip/2 <= clockApart, what, fmt.Sprintf(", more than %v", clockApart), "set both clocks by one NTP server")}, nil
}

// CheckSchema says why the database's schema is not the one that these migrations
// make. It changes nothing.
func (db *DB) CheckSchema(ctx context.Context, schema fs.FS) error {
	return db.readOnly(ctx, func(tx pgx.Tx) error {
		found, err := Examination{Schema: schema}.schema(ctx, tx)
		if err != nil {
			return fmt.Errorf("store: schema: %w", err)
		}
		for _, f := range found {
			if f.Level == Fault {
				return fmt.Errorf("%s: %s", f.What, f.Do)
			}
		}
		return nil
	})
}

func (e Examination) schema(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	want, err := newestMigration(e.Schema)
	if err != nil {
		return nil, err
	}
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regclass('public.goose_db_version') IS NOT NULL").Scan(&there); err != nil {
		return nil, err
	}
	if !there {
		return []Finding{{Fault, "the database has no schema yet", toMigrate}}, nil
	}
	var have int64
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("schema %d", have)
	if have > want {
		return []Finding{{Fault, what + fmt.Sprintf(", this program knows %d", want), ErrNewerSchema.Error()}}, nil
	}
	return []Finding{judge(have == want, what, fmt.Sprintf(" is older than this program's, %d", want), toMigrate)}, nil
}

func newestMigration(schema fs.FS) (newest int64, err error) {
	names, err := fs.Glob(schema, "*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		newest = max(newest, n)
	}
	return newest, nil
}

func (e Examination) key(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	if e.Sealer == nil {
		return nil, nil // whoever looked for the key has said so
	}
	known, err := compareSealKey(ctx, tx, e.Sealer)
	switch {
	case errors.Is(err, ErrWrongKey):
		what, do, _ := strings.Cut(err.Error(), ": ")
		return []Finding{{Fault, what, do}}, nil
	case err != nil:
		return nil, err
	case !known:
		return []Finding{{Warning, "the database does not know its sealing key yet", "start the server once: it writes the key's fingerprint down"}}, nil
	}
	return []Finding{{Good, "the sealing key is the database's, " + e.Sealer.Fingerprint(), ""}}, nil
}

func examineAudit(ctx context.Context, tx pgx.Tx) ([]Finding, error) {
	var sealed, last, waiting int64
	var oldest float64 // seconds
	err := tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM audit_seal), (SELECT coalesce(max(n), 0) FROM audit_seal),
		count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8
		FROM audit_log a WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = a.id)`).Scan(&sealed, &last, &waiting, &oldest)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("audit log: %d rows sealed, %d waiting", sealed, waiting)
	age := time.Duration(oldest * float64(time.Second)).Round(time.Second)
	if waiting > 0 {
		what += fmt.Sprintf(", the oldest for %v", age)
	}
	switch {
	case sealed != last:
		return []Finding{{Fault, what + fmt.Sprintf(", but the newest seal is number %d", last), "onemap audit verify names the row"}}, nil
	case age > sealLate:
		return []Finding{{Warning, what, askServer}}, nil
	}
	return []Finding{{Good, what, ""}}, nil
}

func (db *DB) examinePartitions(ctx context.Context, tx pgx.Tx, now time.Time) ([]Finding, error) {
	days, err := Positions{DB: db}.partitions(ctx)
	if err != nil {
		return nil, err
	}
	last := now.UTC().Truncate(day)
	room := -1
	for d := last; days[d]; d = d.AddDate(0, 0, 1) {
		last, room = d, room+1
	}
	out := []Finding{{Good, "partitions of positions reach to " + last.Format(time.DateOnly), ""}}
	if room < daysOfRoom {
		what := fmt.Sprintf("partitions of positions reach %d days ahead", max(room, 0))
		out[0] = Finding{Warning, what, askServer}
	}
	var fixes, events int64
	err = tx.QueryRow(ctx, "SELECT (SELECT count(*) FROM worker_position_default), (SELECT count(*) FROM feed_default)").Scan(&fixes, &events)
	if err != nil {
		return nil, err
	}
	strays := Finding{Good, "no rows in the default partitions", ""}
	if fixes+events > 0 {
		strays = Finding{Warning, fmt.Sprintf("default partitions hold %d fixes and %d events", fixes, events), "their own partitions are made when the server starts; if they stay, look at its log"}
	}
	return append(out, strays), nil
}
