// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

// userCmd is for whoever sits at the machine alone. What it does is audited as
// done at the command line; a leader's or an auditor's grant waits for a system
// administrator all the same.
type userCmd struct {
	Add     userAddCmd     `cmd:"" help:"Make an account with a grant, and print the invitation's link."`
	List    userListCmd    `cmd:"" help:"List the accounts."`
	Disable userDisableCmd `cmd:"" help:"End an account's sessions and let nobody sign in with it."`
	Invite  userInviteCmd  `cmd:"" help:"Take an account's password away and print a new invitation's link."`
	Secret  userSecretCmd  `cmd:"" help:"Make a new first secret, when no security administrator is left."`
}

type userAddCmd struct {
	place
	Login      string `help:"What the person signs in with: 2 to 40 small letters, digits and . _ -" required:""`
	Role       string `help:"One of the product's roles." required:""`
	Grid       string `help:"Code of the grid the grant is for; every county of the database when left out."`
	County     string `help:"Code of the grid's county, where several counties use its code."`
	Department string `help:"Code or name of the department, for a dept_handler."`
	Badge      string `help:"Badge of the worker the account belongs to, for a grid_worker."`
	Sensitive  bool   `help:"May handle sensitive categories."`
	URL        string `help:"Address people reach this server at (default: its own, of its last start)."`
}

func (c *userAddCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	role, err := auth.ParseRole(c.Role)
	if err != nil {
		return err
	}
	if role == auth.Wall {
		return errors.New("a wall has no account: see 'onemap wall link'")
	}
	if !api.ValidLogin(c.Login) {
		return fmt.Errorf("--login %q: 2 to 40 small letters, digits and . _ -, and a letter or a digit first", c.Login)
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
	base, err := linkBase(ctx, db, c.URL)
	if err != nil {
		return err
	}
	a, now := atMachine(), time.Now()
	g := store.Grant{Role: role, GridCode: c.Grid, RootCode: c.County, Sensitive: c.Sensitive, ProposedBy: a.ID, SecurityBy: a.ID}
	var invite api.Invitation
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.CheckGrant(ctx, tx, &g, c.Department, worker); err != nil {
			return err
		}
		if g.Account, err = store.CreateAccount(ctx, tx, c.Login, worker, a.ID); err != nil {
			return err
		}
		if g, err = store.SaveGrant(ctx, tx, g, now); err != nil {
			return err
		}
		if err := note(ctx, tx, "account.create", g.Account, map[string]any{"worker": worker}); err != nil {
			return err
		}
		data := map[string]any{"after": map[string]any{"account": g.Account, "role": g.Role, "grid": g.GridCode, "state": g.State, "sensitive": g.Sensitive}}
		if err := ledger.Audit(ctx, tx, a, "", "grant.propose", fmt.Sprintf("grant/%d", g.ID), "", data); err != nil {
			return err
		}
		invite, err = api.MakeInvite(ctx, db, tx, a, base, g.Account, now)
		return err
	})
	if err != nil {
		return err
	}
	if len(g.Needs()) > 0 {
		fmt.Fprintf(say, "the role %s waits for a system administrator to agree, on the page /admin\n", role)
	}
	fmt.Fprintf(say, "good once, until %s:\n", invite.Expires.Local().Format(time.DateTime))
	_, err = fmt.Fprintln(out, invite.Link)
	return err
}

// note audits what was done to an account.
func note(ctx context.Context, tx pgx.Tx, action string, account int64, data map[string]any) error {
	return ledger.Audit(ctx, tx, atMachine(), "", action, fmt.Sprintf("account/%d", account), "", data)
}

type userListCmd struct{ place }

func (c *userListCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "login\tstate\trole\tgrid\tlast sign-in\twaits")
	var after int64
	for {
		list, err := db.Accounts(ctx, after, listPage)
		if err != nil {
			return err
		}
		for _, a := range list {
			after = a.ID
			role, where, seen, waits := "-", "-", "-", ""
			if a.Active != nil {
				role, where = string(a.Active.Role), orAll(a.Active.GridCode)
			}
			if a.SignedInAt != nil {
				seen = a.SignedInAt.Local().Format(time.DateTime)
			}
			if p := a.Proposed; p != nil {
				waits = fmt.Sprintf("%s %s: needs %v", p.Role, orAll(p.GridCode), p.Needs())
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Login, a.State, role, where, seen, waits)
		}
		if len(list) < listPage {
			return w.Flush()
		}
	}
}

// change does something to the account with this login, held while it does.
func change(ctx context.Context, p place, login string, f func(*store.DB, pgx.Tx, store.Account) error) error {
	db, done, err := p.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	return db.InTx(ctx, func(tx pgx.Tx) error {
		a, err := store.AccountByLogin(ctx, tx, strings.ToLower(login))
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("no account has the login %q: see 'onemap user list'", login)
		}
		if err == nil {
			a, err = store.FindAccount(ctx, tx, a.ID, true)
		}
		if err != nil {
			return err
		}
		return f(db, tx, a)
	})
}

type userDisableCmd struct {
	place
	Login string `arg:""`
}

func (c *userDisableCmd) Run(ctx context.Context) error {
	return change(ctx, c.place, c.Login, func(_ *store.DB, tx pgx.Tx, a store.Account) error {
		if err := store.DisableAccount(ctx, tx, a.ID, time.Now()); err != nil {
			return err
		}
		return note(ctx, tx, "account.disable", a.ID, map[string]any{"before": map[string]any{"state": a.State}, "after": map[string]any{"state": store.AccountDisabled}})
	})
}

type userInviteCmd struct {
	place
	Login string `arg:""`
	URL   string `help:"Address people reach this server at (default: its own, of its last start)."`
}

func (c *userInviteCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	var invite api.Invitation
	err := change(ctx, c.place, c.Login, func(db *store.DB, tx pgx.Tx, a store.Account) error {
		now := time.Now()
		base, err := linkBase(ctx, db, c.URL)
		if err == nil {
			err = store.ResetAccount(ctx, tx, a.ID, now)
		}
		if err == nil {
			invite, err = api.MakeInvite(ctx, db, tx, atMachine(), base, a.ID, now)
		}
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "good once, until %s:\n", invite.Expires.Local().Format(time.DateTime))
	_, err = fmt.Fprintln(out, invite.Link)
	return err
}

type userSecretCmd struct {
	place
	URL string `help:"Address people reach this server at (default: its own, of its last start)."`
}

func (c *userSecretCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	base, err := linkBase(ctx, db, c.URL)
	if err != nil {
		return err
	}
	secret, now := store.NewSecret(), time.Now()
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.LockAdministrators(ctx, tx); err != nil {
			return err
		}
		has, err := store.CanAdminister(ctx, tx, auth.SecurityAdmin)
		if err != nil {
			return err
		}
		if has {
			return errors.New("a security administrator can sign in, or has an invitation: see 'onemap user list'; " +
				"'onemap user invite LOGIN' lets one in again, 'onemap user disable LOGIN' keeps one out")
		}
		if err := store.EndFirstSecrets(ctx, tx, now); err != nil {
			return err
		}
		if _, err := db.SaveCredential(ctx, tx, secret, store.Credential{Kind: store.FirstSecret, Role: auth.SecurityAdmin, CreatedBy: atMachine().ID}); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, atMachine(), "", "secret.first", "", "no security administrator is left", nil)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "No security administrator is left. This secret makes a new one, once, at %s/admin#first; earlier secrets are void.\n", strings.TrimSuffix(base, "/"))
	_, err = fmt.Fprintln(out, secret)
	return err
}
