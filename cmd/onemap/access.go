// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
)

// atMachine is whoever types a command: who owns the machine owns the database.
func atMachine() auth.Actor { return auth.SystemActor("command line") }

type tokenCmd struct {
	Create  tokenCreateCmd  `cmd:"" help:"Make a token and print it alone on standard output."`
	Workers tokenWorkersCmd `cmd:"" help:"Make a token for each active worker and print them, badge and token on a line: for a pretend field (fieldsim)."`
	List    tokenListCmd    `cmd:"" help:"List the tokens in use."`
	Revoke  tokenRevokeCmd  `cmd:"" help:"End a token at once."`
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

func (c *tokenCreateCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	role, err := auth.ParseRole(c.Role)
	if err != nil {
		return err
	}
	if c.Expires <= 0 {
		return fmt.Errorf("--expires %s: say how long from now, for example 24h", c.Expires)
	}
	db, done, err := c.openToChange(ctx)
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
	fmt.Fprintf(say, "token %d, good until %s:\n", t.ID, t.Expires.Local().Format(time.DateTime))
	_, err = fmt.Fprintln(out, t.Secret)
	return err
}

type tokenWorkersCmd struct {
	place
	County    string        `help:"Code of a county, where the database holds several; all when left out."`
	Sensitive bool          `help:"May handle sensitive categories."`
	Note      string        `help:"What they are for." default:"pretend field"`
	Expires   time.Duration `help:"How long they are good for." default:"24h"`
}

func (c *tokenWorkersCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	if c.Expires <= 0 {
		return fmt.Errorf("--expires %s: say how long from now, for example 24h", c.Expires)
	}
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	made, err := api.MakeWorkerTokens(ctx, db, atMachine(), api.NewToken{County: c.County, Sensitive: c.Sensitive, Note: c.Note, Life: c.Expires}, time.Now())
	if err != nil {
		return err
	}
	if len(made) == 0 {
		return errors.New("there is no active worker with a grid: import a roster first (onemap import people), or load the demo")
	}
	for _, w := range made {
		if _, err := fmt.Fprintln(out, w.Badge, w.Secret); err != nil {
			return err
		}
	}
	fmt.Fprintf(say, "%d tokens, good until %s: keep the list where nobody else reads it\n", len(made), made[0].Expires.Local().Format(time.DateTime))
	return nil
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
	return listLive(ctx, c.place, out, "id\trole\tgrid\texpires\tnote", func(t store.LiveCredential) string {
		if t.Kind != store.Token {
			return ""
		}
		return fmt.Sprintf("%d\t%s\t%s\t%s\t%q", t.ID, t.Role, orAll(t.GridCode), ends(t), t.Note)
	})
}

// listLive writes a table of the credentials in use for which row is not "".
func listLive(ctx context.Context, p place, out io.Writer, head string, row func(store.LiveCredential) string) error {
	db, done, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	var after int64
	for {
		list, err := db.LiveCredentials(ctx, time.Now(), after, listPage)
		if err != nil {
			return err
		}
		for _, c := range list {
			after = c.ID
			if line := row(c); line != "" {
				fmt.Fprintln(w, line)
			}
		}
		if len(list) < listPage {
			return w.Flush()
		}
	}
}

func ends(c store.LiveCredential) string {
	if c.ExpiresAt == nil {
		return "never"
	}
	return c.ExpiresAt.Local().Format(time.DateTime)
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
	return endLive(ctx, c.place, c.ID, func(t store.LiveCredential) string {
		if t.Kind != store.Token {
			return ""
		}
		return "token"
	})
}

// endLive ends a credential in use, audited. of names what it is, "" for one of
// another kind than the command's, which is left alone.
func endLive(ctx context.Context, p place, id int64, of func(store.LiveCredential) string) error {
	db, done, err := p.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	return db.InTx(ctx, func(tx pgx.Tx) error {
		now := time.Now()
		c, err := store.FindLive(ctx, tx, now, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		what := of(c)
		if err != nil || what == "" {
			return fmt.Errorf("none in use has the number %d: see 'onemap token list' and 'onemap wall list'", id)
		}
		return api.EndCredential(ctx, tx, atMachine(), c, "", now)
	})
}

type wallCmd struct {
	Link   wallLinkCmd   `cmd:"" help:"Print a link that signs one wall's browser in, once, within ten minutes."`
	List   wallListCmd   `cmd:"" help:"List the walls that are signed in, and the links not used yet."`
	Revoke wallRevokeCmd `cmd:"" help:"Sign a wall out, or end a link, at once."`
}

type wallListCmd struct{ place }

func (c *wallListCmd) Run(ctx context.Context, out io.Writer) error {
	return listLive(ctx, c.place, out, "id\twall\tkind\tgrid\taddress\texpires", func(w store.LiveCredential) string {
		if wallOf(w) == "" {
			return ""
		}
		kind, address := "signed in", "-"
		if w.Kind == store.WallCode {
			kind = "link"
		}
		if w.Address.IsValid() {
			address = w.Address.String()
		}
		return fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s", w.ID, w.Wall, kind, orAll(w.GridCode), address, ends(w))
	})
}

// wallOf is "wall" for a wall's session or link.
func wallOf(c store.LiveCredential) string {
	if c.Wall == "" || c.Kind != store.WallCode && c.Kind != store.Session {
		return ""
	}
	return "wall"
}

type wallRevokeCmd struct {
	place
	ID int64 `arg:"" help:"Its number in the list."`
}

func (c *wallRevokeCmd) Run(ctx context.Context) error {
	return endLive(ctx, c.place, c.ID, wallOf)
}

type wallLinkCmd struct {
	place
	Name    string   `help:"What to call this wall." default:"wall-1"`
	Grid    string   `help:"Code of the grid it shows; everything when left out."`
	County  string   `help:"Code of the grid's county, where several counties use its code."`
	Layers  []string `help:"The layers it shows, of grids, roads, cameras, and named layers by their codes; all that walls may see when left out."`
	Address []string `help:"Where it may stand: addresses and networks such as 10.1.2.0/24; anywhere when left out."`
	URL     string   `help:"Address the wall reaches this server at (default: the server's own, of its last start)."`
}

func (c *wallLinkCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	base, err := linkBase(ctx, db, c.URL)
	if err != nil {
		return err
	}
	link, _, err := api.MakeWallLink(ctx, db, atMachine(), base, api.NewWall{Name: c.Name, Grid: c.Grid, County: c.County, Layers: c.Layers, Addresses: c.Address}, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, link)
	return err
}
