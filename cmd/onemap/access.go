// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

// atMachine is whoever types a command: who owns the machine owns the database.
func atMachine() auth.Actor { return auth.SystemActor("command line") }

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token and print it alone on standard output."`
	List   tokenListCmd   `cmd:"" help:"List the tokens in use."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token at once."`
}

type tokenCreateCmd struct {
	place
	Role       string        `help:"One of the product's roles." required:""`
	Grid       string        `help:"Code of the grid it reaches; every county of the database when left out."`
	County     string        `help:"Code of the grid's county, where several counties use its code."`
	Department string        `help:"Code or name of the department, for a dept_handler."`
	Badge      string        `help:"Badge of the worker whose own work it sees, for a grid_worker."`
	Sensitive  bool          `help:"May handle sensitive categories."`
	Note       string        `help:"What it is for."`
	Expires    time.Duration `help:"How long it is good for." default:"24h"`
}

func (c *tokenCreateCmd) Run(ctx context.Context, out io.Writer) error {
	role, err := auth.ParseRole(c.Role)
	if err != nil {
		return err
	}
	if c.Expires <= 0 {
		return fmt.Errorf("--expires %s: say how long from now, for example 24h", c.Expires)
	}
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	worker, err := workerOf(ctx, db, c.Badge)
	if err != nil {
		return err
	}
	t, err := api.MakeToken(ctx, db, atMachine(), api.NewToken{
		Role: role, Grid: c.Grid, County: c.County, Department: c.Department, Worker: worker, Sensitive: c.Sensitive, Note: c.Note, Life: c.Expires,
	}, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, t.Secret)
	return err
}

// workerOf finds a worker by the badge; 0 for "".
func workerOf(ctx context.Context, db *store.DB, badge string) (uint32, error) {
	if badge == "" {
		return 0, nil
	}
	return store.WorkerByBadge(ctx, db.Pool, badge)
}

type tokenListCmd struct{ place }

func (c *tokenListCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "id\trole\tgrid\texpires\tnote")
	var after int64
	for {
		list, err := db.LiveCredentials(ctx, time.Now(), after, listPage)
		if err != nil {
			return err
		}
		for _, t := range list {
			after = t.ID
			if t.Kind != store.Token {
				continue
			}
			until := "never"
			if t.ExpiresAt != nil {
				until = t.ExpiresAt.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%q\n", t.ID, t.Role, orAll(t.GridCode), until, t.Note)
		}
		if len(list) < listPage {
			return w.Flush()
		}
	}
}

// listPage is how many rows a listing reads at a time.
const listPage = 500

func orAll(grid string) string {
	if grid == "" {
		return "(all)"
	}
	return grid
}

type tokenRevokeCmd struct {
	place
	ID int64 `arg:"" help:"Its number in the list."`
}

func (c *tokenRevokeCmd) Run(ctx context.Context) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	return db.InTx(ctx, func(tx pgx.Tx) error {
		now := time.Now()
		t, err := store.FindLive(ctx, tx, now, c.ID)
		if err != nil || t.Kind != store.Token {
			return fmt.Errorf("there is no token %d in use: see 'onemap token list'", c.ID)
		}
		if err := store.RevokeCredential(ctx, tx, c.ID, now); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, atMachine(), "", "token.revoke", fmt.Sprintf("token/%d", c.ID), "", map[string]any{"before": map[string]any{"role": t.Role, "grid": t.GridCode}})
	})
}

type wallCmd struct {
	Link wallLinkCmd `cmd:"" help:"Print a link that signs one wall's browser in, once, within ten minutes."`
}

type wallLinkCmd struct {
	place
	Name    string   `help:"What to call this wall." default:"wall-1"`
	Grid    string   `help:"Code of the grid it shows; everything when left out."`
	County  string   `help:"Code of the grid's county, where several counties use its code."`
	Layers  []string `help:"The layers it shows, of grids, roads, cameras; all when left out."`
	Address []string `help:"Where it may stand: addresses and networks such as 10.1.2.0/24; anywhere when left out."`
	URL     string   `help:"Address the wall reaches this server at." default:"http://127.0.0.1:8080"`
}

func (c *wallLinkCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	link, _, err := api.MakeWallLink(ctx, db, atMachine(), c.URL, api.NewWall{Name: c.Name, Grid: c.Grid, County: c.County, Layers: c.Layers, Addresses: c.Address}, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, link)
	return err
}
