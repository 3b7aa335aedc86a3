// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Command onemap is the whole product: the server and the tools to set it up.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"onemap/dispatch"
	"onemap/internal/app"
	"onemap/internal/config"
	"onemap/internal/localpg"
	"onemap/migrations"
	"onemap/store"
)

// version is set by the linker of a release.
var version = "dev"

// cli is every command. Each flag is also an ONEMAP_... variable.
type cli struct {
	Config kong.ConfigFlag `help:"Settings as one JSON object of flag names." type:"existingfile" env:"ONEMAP_CONFIG"`

	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Demo    demoCmd    `cmd:"" help:"Load the made-up banner (演示旗) into an empty database."`
	Token   tokenCmd   `cmd:"" help:"Make tokens for machines."`
	Wall    wallCmd    `cmd:"" help:"Make one-time links for walls."`
	User    userCmd    `cmd:"" help:"Accounts, for a lone administrator at the machine."`
	Grids   gridsCmd   `cmd:"" help:"Draw a draft grid tree."`
	Import  importCmd  `cmd:"" help:"Bring in grids and past incidents from files."`
	Migrate migrateCmd `cmd:"" help:"Bring the database's schema up to date."`
	Backup  backupCmd  `cmd:"" help:"Write everything into one encrypted file."`
	Restore restoreCmd `cmd:"" help:"Make a centre of a backup, in a new data folder."`
	TLS     tlsCmd     `cmd:"" name:"tls" help:"HTTPS without an outside authority."`
	Doctor  doctorCmd  `cmd:"" help:"Look at the database, its roles, the key, the clock and the disk, and say what to do."`
	Audit   auditCmd   `cmd:"" help:"Check the audit log."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

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

// open connects to the database: an external one, the private one of a running
// server by its socket, or the private one started for the moment.
func (p place) open(ctx context.Context) (*store.DB, func(), error) {
	url, stop := p.DatabaseURL, func() {}
	if url == "" {
		running := false
		if url, running = localpg.Join(p.dir()); !running {
			if err := os.MkdirAll(p.dir(), 0o755); err != nil {
				return nil, nil, err
			}
			pg, err := localpg.Start(ctx, localpg.Options{Dir: p.dir(), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				return nil, nil, err
			}
			url, stop = pg.URL(localpg.Database), func() { _ = pg.Stop(context.WithoutCancel(ctx)) }
		}
	} else if err := store.CheckServer(ctx, url); err != nil {
		return nil, nil, err
	}
	if err := store.Migrate(ctx, url, migrations.FS); err != nil {
		stop()
		return nil, nil, err
	}
	db, err := store.Open(ctx, url, store.Options{MaxConns: 8, StatementTimeout: -1})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return db, func() { db.Close(); stop() }, nil
}

// openRecord is open for a command that writes incidents: with the sealer, and the
// product's own categories in a database that has none yet.
func (p place) openRecord(ctx context.Context) (*store.DB, *store.Sealer, func(), error) {
	db, done, err := p.open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	seal, err := store.OpenSealer(p.dir())
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

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, version)
	return err
}

type migrateCmd struct{ place }

func (c *migrateCmd) Run(ctx context.Context) error {
	_, done, err := c.open(ctx)
	if err == nil {
		done()
	}
	return err
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings as parameters; it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := 0
	parser, err := kong.New(&cli{}, kong.Name("onemap"), kong.Description("一图 OneMap: map-centred command and dispatch."),
		kong.Configuration(config.File), kong.Vars{"data": app.DefaultData()}, kong.UsageOnError(),
		kong.Writers(stdout, stderr), kong.Exit(func(c int) { code = c; panic(exit{}) }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(stdout, (*io.Writer)(nil)), kong.Bind(messages{stderr}))
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exit); !ok {
				panic(r)
			}
		}
	}()
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(stderr, "onemap:", err)
		return 2
	}
	if err := k.Run(); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "onemap: interrupted; run the same command again to go on")
			return 130
		}
		fmt.Fprintln(stderr, "onemap:", err)
		return 1
	}
	return code
}

// exit unwinds out of a parser that printed its help.
type exit struct{}

// messages is what a command tells the person at the terminal, apart from its
// result on standard output.
type messages struct{ io.Writer }
