// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

// Account is somebody who signs in, as administrators see it.
type Account struct {
	ID           string     `json:"id"`
	Login        string     `json:"login"`
	State        string     `json:"state" enum:"invited,active,disabled"`
	Badge        string     `json:"badge,omitempty" doc:"Of the worker it belongs to"`
	SecondFactor bool       `json:"second_factor"`
	SignedInAt   *time.Time `json:"signed_in_at"`
	Grant        *Grant     `json:"grant" doc:"What it may do; null for nothing"`
	Proposed     *Grant     `json:"proposed" doc:"What waits for agreement"`
}

func accountItem(a store.Account) Account {
	return Account{
		ID: strconv.FormatInt(a.ID, 10), Login: a.Login, State: string(a.State), Badge: a.Badge, SecondFactor: a.SecondFactor,
		SignedInAt: a.SignedInAt, Grant: grantItem(a.Active), Proposed: grantItem(a.Proposed),
	}
}

var (
	loginPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,39}$`)
	errLogin     = errors.New("a login has 2 to 40 small letters, digits and . _ -, and begins with a letter or a digit")
	errOwn       = problem(http.StatusForbidden, "nobody changes their own rights: ask another administrator")
	errBare      = problem(http.StatusForbidden, "a system administrator makes accounts without rights: a security administrator grants them")
	errNoMaker   = problem(http.StatusForbidden, "a security administrator grants rights; accounts are made by a system administrator, and where none is left at the machine: see 'onemap user'")
	errTownRoles = problem(http.StatusForbidden, "a town proposes village heads and grid workers of its own grids, nobody else")
	errOwnGrid   = problem(http.StatusUnprocessableEntity, "name a grid of your own: your right does not reach every county")
)

// ValidLogin reports whether an account may have this login.
func ValidLogin(login string) bool { return loginPattern.MatchString(login) }

func (s *Server) accounts() {
	of := func(id, method, path, summary string, status int, errs ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{"accounts"}, Summary: summary, DefaultStatus: status, Errors: errs}
	}
	route(s, need{auth.Read, auth.Account}, of("list-accounts", http.MethodGet, "/api/v1/accounts", "List accounts with their grants", http.StatusOK), s.listAccounts)
	// Making and disabling an account stand across two rows of the policy: a system
	// administrator's, and for the first of these a security administrator's.
	route(s, own, s.only(auth.MayMakeAccounts, of("make-account", http.MethodPost, "/api/v1/accounts",
		"Make an account and an invitation to it; a town's comes with a proposed grant", http.StatusCreated, 409, 422)), s.makeAccount)
	route(s, need{auth.Write, auth.Account}, of("invite-again", http.MethodPost, "/api/v1/accounts/{id}/invite",
		"Take password and second factor away and invite anew; its grant waits for agreement again", http.StatusCreated, 404, 409), s.inviteAgain)
	route(s, own, s.only(auth.MayDisableAccounts, of("disable-account", http.MethodPost, "/api/v1/accounts/{id}/disable",
		"End an account's sessions and let nobody sign in with it", http.StatusOK, 404)), s.disableAccount)
	route(s, own, s.only(auth.MayDisableAccounts, of("enable-account", http.MethodPost, "/api/v1/accounts/{id}/enable",
		"Let an account sign in again, by the role that disabled it", http.StatusOK, 404)), s.enableAccount)
	route(s, need{auth.Write, auth.GrantData}, of("propose-grant", http.MethodPost, "/api/v1/accounts/{id}/grants",
		"Propose a grant; a security administrator's is in force at once, but for leaders and auditors", http.StatusCreated, 404, 409, 422), s.proposeGrant)
	route(s, need{auth.Approve, auth.GrantData}, of("agree-to-grant", http.MethodPost, "/api/v1/grants/{id}/approval",
		"Agree to a grant that somebody else proposed", http.StatusOK, 404, 409), s.agreeToGrant)
	route(s, need{auth.Write, auth.GrantData}, s.only(auth.MayRevokeGrants, of("revoke-grant", http.MethodDelete, "/api/v1/grants/{id}",
		"End a grant, with all sessions and sockets under it", http.StatusNoContent, 404)), s.revokeGrant)
}

// only refuses whoever may not, before the body is read.
func (s *Server) only(may func(auth.Actor) (auth.Decision, error), op huma.Operation) huma.Operation {
	op.Middlewares = append(op.Middlewares, func(hc huma.Context, next func(huma.Context)) {
		if _, err := may(actorOf(hc.Context())); err != nil {
			s.write(hc, s.answer(hc.Context(), err))
			return
		}
		next(hc)
	})
	return op
}

type accountList struct {
	Body struct {
		Items  []Account `json:"items"`
		Cursor *string   `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

func (s *Server) listAccounts(ctx context.Context, a caller, in *pageInput) (*accountList, error) {
	list, cursor, err := collect(*in, func(after int64, limit int) ([]store.Account, error) { return s.o.Reads.Accounts(ctx, after, limit) },
		func(x store.Account) int64 { return x.ID }, realmOf(ctx, a.Actor, a.Decision).shows)
	if err != nil {
		return nil, err
	}
	out := &accountList{}
	out.Body.Items, out.Body.Cursor = make([]Account, len(list)), cursor
	for i, x := range list {
		out.Body.Items[i] = accountItem(x)
	}
	return out, nil
}

type accountInput struct {
	Body struct {
		Login string      `json:"login" maxLength:"40" doc:"2 to 40 small letters, digits and . _ -"`
		Badge string      `json:"badge,omitempty" maxLength:"64" doc:"Of the worker it belongs to"`
		Grant *GrantInput `json:"grant,omitempty" doc:"From a town, or for the first system administrator"`
	}
}

type accountOutput struct {
	Body struct {
		Account Account    `json:"account"`
		Invite  Invitation `json:"invite"`
	}
}

func (s *Server) makeAccount(ctx context.Context, a caller, in *accountInput) (*accountOutput, error) {
	d, err := auth.MayMakeAccounts(a.Actor)
	if err != nil {
		return nil, err
	}
	b, r := in.Body, realmOf(ctx, a.Actor, d)
	switch {
	case a.Role == auth.SystemAdmin && b.Grant != nil:
		return nil, errBare
	case a.Role == auth.SecurityAdmin && (b.Grant == nil || b.Grant.Role != string(auth.SystemAdmin)):
		return nil, errNoMaker
	case a.Role == auth.TownOperator && b.Grant == nil:
		return nil, problem(http.StatusUnprocessableEntity, "say what the account is for: a grant of village_head or grid_worker")
	case !ValidLogin(b.Login):
		return nil, errLogin
	}
	var worker uint32
	if b.Badge != "" {
		if worker, err = s.workerOf(r, b.Badge); err != nil {
			return nil, err
		}
	}
	out := &accountOutput{}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if a.Role == auth.SecurityAdmin {
			if err := firstSystemAdmin(ctx, tx); err != nil {
				return err
			}
		}
		id, err := store.CreateAccountIn(ctx, tx, r.root, b.Login, worker, a.ID)
		if err != nil {
			return err
		}
		if err := ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "account.create", accountName(id), "", map[string]any{"worker": worker}); err != nil {
			return err
		}
		if b.Grant != nil {
			if _, err := s.propose(ctx, tx, a.Actor, r, store.Account{ID: id, Worker: worker}, *b.Grant); err != nil {
				return err
			}
		}
		if out.Body.Invite, err = MakeInvite(ctx, s.o.DB, tx, a.Actor, s.o.Link(), id, s.o.Now()); err != nil {
			return err
		}
		made, err := store.FindAccount(ctx, tx, id, false)
		out.Body.Account = accountItem(made)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// firstSystemAdmin lets a security administrator make a system administrator
// while there never was one: who disabled or revoked them all is not to choose the
// next one alone.
func firstSystemAdmin(ctx context.Context, tx pgx.Tx) error {
	if err := store.LockAdministrators(ctx, tx); err != nil {
		return err
	}
	had, err := store.EverGranted(ctx, tx, auth.SystemAdmin)
	if err == nil && had {
		err = errNoMaker
	}
	return err
}

// workerOf finds an active worker of the realm by the badge.
func (s *Server) workerOf(r realm, badge string) (uint32, error) {
	for _, w := range s.o.People().Workers() {
		if w.Badge == badge && w.Active && (r.everywhere || w.Grid != 0 && r.sees(w.Grid)) {
			return w.ID, nil
		}
	}
	return 0, store.ErrNoWorker
}

// inviteLife is how long an invitation is good for.
const inviteLife = 72 * time.Hour

type idInput struct {
	ID int64 `path:"id" minimum:"1"`
}

// heldAccount returns an account that the realm's administrator may change, held
// until the end of the transaction.
func (s *Server) heldAccount(ctx context.Context, tx pgx.Tx, r realm, id int64) (store.Account, error) {
	of, err := store.FindAccount(ctx, tx, id, true)
	switch {
	case err != nil:
		return of, err
	case !r.shows(of):
		return of, store.ErrNotFound
	case !r.manages(of):
		return of, auth.ErrForbidden
	}
	return of, nil
}

type reasonInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

type oneAccount struct{ Body Account }

func (s *Server) disableAccount(ctx context.Context, a caller, in *reasonInput) (*oneAccount, error) {
	return s.setState(ctx, a, in, "account.disable", func(tx pgx.Tx, of store.Account) error {
		return store.DisableAccountAs(ctx, tx, a.Role, of.ID, s.o.Now())
	})
}

func (s *Server) enableAccount(ctx context.Context, a caller, in *reasonInput) (*oneAccount, error) {
	return s.setState(ctx, a, in, "account.enable", func(tx pgx.Tx, of store.Account) error {
		switch {
		case of.State != store.AccountDisabled:
			return nil
		case of.DisabledBy == "":
			return problem(http.StatusForbidden, "this account was disabled at the machine: 'onemap user invite' there lets its holder in again")
		case of.DisabledBy != a.Role:
			return problem(http.StatusForbidden, fmt.Sprintf("a %s disabled this account: ask one to enable it", of.DisabledBy))
		}
		return store.EnableAccount(ctx, tx, of.ID)
	})
}

// setState changes whether an account may sign in.
func (s *Server) setState(ctx context.Context, a caller, in *reasonInput, action string, change func(pgx.Tx, store.Account) error) (*oneAccount, error) {
	d, err := auth.MayDisableAccounts(a.Actor)
	if err != nil {
		return nil, err
	}
	r := realmOf(ctx, a.Actor, d)
	var before, after store.Account
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if before, err = s.heldAccount(ctx, tx, r, in.ID); err != nil {
			return err
		}
		if err = change(tx, before); err != nil {
			return err
		}
		if after, err = store.FindAccount(ctx, tx, in.ID, false); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), action, accountName(in.ID), in.Body.Reason,
			map[string]any{"before": map[string]any{"state": before.State}, "after": map[string]any{"state": after.State}})
	})
	if err != nil {
		return nil, err
	}
	if after.State == store.AccountDisabled {
		s.turnOut(after.Actor())
	}
	return &oneAccount{accountItem(after)}, nil
}
