// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Command onemap is the whole product: the server and the tools to set it up.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"onemap/internal/app"
	"onemap/internal/config"
)

// version is set by the linker of a release.
var version = "dev"

// cli is every command. Each flag is also an ONEMAP_... variable.
type cli struct {
	Config kong.ConfigFlag `help:"Settings as one JSON object of flag names." type:"existingfile" env:"ONEMAP_CONFIG"`

	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Demo    demoCmd    `cmd:"" help:"Load the made-up banner (演示旗) into an empty database."`
	Token   tokenCmd   `cmd:"" help:"Make tokens for machines."`
	Wall    wallCmd    `cmd:"" help:"Make one-time links for walls, and end walls."`
	User    userCmd    `cmd:"" help:"Accounts, for a lone administrator at the machine."`
	Grids   gridsCmd   `cmd:"" help:"Draw a draft grid tree."`
	Import  importCmd  `cmd:"" help:"Bring in grids, past incidents, places, addresses, layers, cameras and roads from files."`
	Migrate migrateCmd `cmd:"" help:"Bring the database's schema up to date."`
	Backup  backupCmd  `cmd:"" help:"Write everything into one encrypted file."`
	Restore restoreCmd `cmd:"" help:"Make a centre of a backup, in a new data folder."`
	TLS     tlsCmd     `cmd:"" name:"tls" help:"HTTPS without an outside authority."`
	Doctor  doctorCmd  `cmd:"" help:"Look at the database, its roles, the key, the clock and the disk, and say what to do."`
	Audit   auditCmd   `cmd:"" help:"Check the audit log."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, version)
	return err
}

type migrateCmd struct{ place }

func (c *migrateCmd) Run(ctx context.Context) error {
	_, done, err := c.openToMake(ctx)
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
		if kept(k, err) {
			err = fmt.Errorf("%w; %s", err, asServer)
		}
		fmt.Fprintln(stderr, "onemap:", err)
		var own failure
		if errors.As(err, &own) {
			return own.status
		}
		return 1
	}
	return code
}

// failure is an error with an exit status of its own.
type failure struct {
	error
	status int
}

func (f failure) Unwrap() error { return f.error }

// exit unwinds out of a parser that printed its help.
type exit struct{}

// messages is what a command tells the person at the terminal, apart from its
// result on standard output.
type messages struct{ io.Writer }
