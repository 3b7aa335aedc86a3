// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token and print it alone on standard output."`
}

type tokenCreateCmd struct {
	place
	Role    string        `help:"One of the product's roles." required:""`
	Grid    string        `help:"Code of the grid it reaches; every county of the database when left out."`
	Expires time.Duration `help:"How long it is good for." default:"24h"`
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
	secret, until := store.NewSecret(), time.Now().Add(c.Expires)
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		id, err := db.SaveCredential(ctx, tx, secret, store.Credential{Kind: store.Token, Role: role, GridCode: c.Grid, ExpiresAt: &until})
		if err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, auth.SystemActor("command line"), "", "token.create", fmt.Sprintf("token/%d", id), "",
			map[string]any{"role": role, "grid": c.Grid, "expires": until})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, secret)
	return err
}

type wallCmd struct {
	Link wallLinkCmd `cmd:"" help:"Print a link that signs one wall's browser in, once, within ten minutes."`
}

type wallLinkCmd struct {
	place
	Name string `help:"What to call this wall." default:"wall-1"`
	Grid string `help:"Code of the grid it shows; everything when left out."`
	URL  string `help:"Address the wall reaches this server at." default:"http://127.0.0.1:8080"`
}

func (c *wallLinkCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	link, _, err := api.MakeWallLink(ctx, db, auth.SystemActor("command line"), c.URL, c.Name, c.Grid, time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, link)
	return err
}
