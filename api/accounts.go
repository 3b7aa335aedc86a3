// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// Grant is what an account may do and where.
type Grant struct {
	ID         string   `json:"id"`
	Role       string   `json:"role"`
	Grid       string   `json:"grid" doc:"Code of the grid; empty for every county"`
	Department string   `json:"department"`
	Sensitive  bool     `json:"sensitive" doc:"May handle sensitive categories"`
	State      string   `json:"state" enum:"proposed,active,revoked"`
	ProposedBy string   `json:"proposed_by" doc:"A login, or the id of what is no account"`
	Needs      []string `json:"needs" doc:"The roles that have still to agree"`
	Reason     string   `json:"reason"`
}

func accountItem(a store.Account) Account {
	return Account{
		ID: strconv.FormatInt(a.ID, 10), Login: a.Login, State: string(a.State), Badge: a.Badge, SecondFactor: a.SecondFactor,
		SignedInAt: a.SignedInAt, Grant: grantItem(a.Active), Proposed: grantItem(a.Proposed),
	}
}

func grantItem(g *store.Grant) *Grant {
	if g == nil {
		return nil
	}
	out := &Grant{
		ID: strconv.FormatInt(g.ID, 10), Role: string(g.Role), Grid: g.GridCode, Department: g.DeptName, Sensitive: g.Sensitive, State: g.State,
		ProposedBy: g.Proposer, Needs: []string{}, Reason: g.Reason,
	}
	for _, r := range g.Needs() {
		out.Needs = append(out.Needs, string(r))
	}
	return out
}

func grantName(id int64) string { return "grant/" + strconv.FormatInt(id, 10) }

// grantData is a grant for the audit log.
func grantData(g store.Grant) map[string]any {
	return map[string]any{
		"account": g.Account, "role": g.Role, "grid": g.GridCode, "county": g.RootCode, "department": g.Department, "sensitive": g.Sensitive, "state": g.State,
		"security_by": g.SecurityBy, "system_by": g.SystemBy,
	}
}

func shown(f auth.TOTP) SecondFactor {
	return SecondFactor{Secret: f.Secret, URI: f.URI, QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(f.QR)}
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
	route(s, own, s.only(mayMake, of("make-account", http.MethodPost, "/api/v1/accounts",
		"Make an account and an invitation to it; a town's comes with a proposed grant", http.StatusCreated, 409, 422)), s.makeAccount)
	route(s, need{auth.Write, auth.Account}, of("invite-again", http.MethodPost, "/api/v1/accounts/{id}/invite",
		"Take password and second factor away and invite anew; its grant waits for agreement again", http.StatusCreated, 404, 409), s.inviteAgain)
	route(s, own, s.only(mayDisable, of("disable-account", http.MethodPost, "/api/v1/accounts/{id}/disable",
		"End an account's sessions and let nobody sign in with it", http.StatusOK, 404)), s.disableAccount)
	route(s, own, s.only(mayDisable, of("enable-account", http.MethodPost, "/api/v1/accounts/{id}/enable",
		"Let an account sign in again, by the role that disabled it", http.StatusOK, 404)), s.enableAccount)
	route(s, need{auth.Write, auth.GrantData}, of("propose-grant", http.MethodPost, "/api/v1/accounts/{id}/grants",
		"Propose a grant; a security administrator's is in force at once, but for leaders and auditors", http.StatusCreated, 404, 409, 422), s.proposeGrant)
	route(s, need{auth.Approve, auth.GrantData}, of("agree-to-grant", http.MethodPost, "/api/v1/grants/{id}/approval",
		"Agree to a grant that somebody else proposed", http.StatusOK, 404, 409), s.agreeToGrant)
	route(s, need{auth.Write, auth.GrantData}, s.only(mayRevoke, of("revoke-grant", http.MethodDelete, "/api/v1/grants/{id}",
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

// mayMake is who makes accounts. A security administrator is among them, for the
// first system administrator.
func mayMake(a auth.Actor) (auth.Decision, error) {
	if a.Role == auth.SecurityAdmin {
		return auth.Decide(a, auth.Write, auth.GrantData)
	}
	return auth.Decide(a, auth.Write, auth.Account)
}

// mayDisable is who disables accounts: who makes them, and who revokes rights.
func mayDisable(a auth.Actor) (auth.Decision, error) {
	if a.Role == auth.TownOperator {
		return auth.Decision{}, auth.ErrForbidden
	}
	return mayMake(a)
}

// mayRevoke is who ends rights: not a town, which only proposes them.
func mayRevoke(a auth.Actor) (auth.Decision, error) {
	if a.Role == auth.TownOperator {
		return auth.Decision{}, auth.ErrForbidden
	}
	return auth.Decide(a, auth.Write, auth.GrantData)
}

// realm is whom and what an administrator deals with.
type realm struct {
	everywhere bool             // every county, also those to come
	town       bool             // only field workers of a town
	sees       func(int32) bool // a grid with this number
	root       string           // the county it is confined to; "" for none
}

func realmOf(ctx context.Context, a auth.Actor, d auth.Decision) realm {
	c := credentialIn(ctx)
	if d.Reach != auth.Everything {
		return realm{town: true, sees: d.Scope.Sees, root: c.RootCode}
	}
	return realm{everywhere: c.GridCode == "", sees: a.Home, root: c.RootCode}
}

// holds reports whether a right over the grid with this code and number lies
// inside the realm.
func (r realm) holds(code string, no int32) bool {
	return r.everywhere || code != "" && no != 0 && r.sees(no)
}

func grantsOf(a store.Account) (out []store.Grant) {
	for _, g := range []*store.Grant{a.Active, a.Proposed} {
		if g != nil {
			out = append(out, *g)
		}
	}
	return out
}

// shows reports whether an account is known in the realm: to a town by any grant
// there, else by all of them, and without any by the county it was made in.
func (r realm) shows(a store.Account) bool {
	in := func(g store.Grant) bool { return r.holds(g.GridCode, g.No) }
	out := func(g store.Grant) bool { return !in(g) }
	if r.town {
		return slices.ContainsFunc(grantsOf(a), in)
	}
	if a.Active == nil && a.Proposed == nil {
		return r.everywhere || a.Root != "" && a.Root == r.root
	}
	return !slices.ContainsFunc(grantsOf(a), out)
}

// manages reports whether the realm's administrator may change the account.
func (r realm) manages(a store.Account) bool {
	return r.shows(a) && (!r.town || !slices.ContainsFunc(grantsOf(a), func(g store.Grant) bool { return !fieldRole(g.Role) || !r.holds(g.GridCode, g.No) }))
}

// fieldRole is a role that a town may propose.
func fieldRole(r auth.Role) bool { return r == auth.VillageHead || r == auth.GridWorker }

type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"200"`
	Cursor string `query:"cursor" maxLength:"32"`
}

// collect gathers a page of what keep keeps. read returns what comes after an id.
func collect[T any](in pageInput, read func(after int64, limit int) ([]T, error), id func(T) int64, keep func(T) bool) (out []T, cursor *string, err error) {
	var after int64
	if in.Cursor != "" {
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil {
			return nil, nil, problem(http.StatusBadRequest, "this cursor is not one of this list")
		}
	}
	for {
		got, err := read(after, pageRead)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range got {
			after = id(x)
			if !keep(x) {
				continue
			}
			if out = append(out, x); len(out) == in.Limit {
				next := strconv.FormatInt(after, 10)
				return out, &next, nil
			}
		}
		if len(got) < pageRead {
			return out, nil, nil
		}
	}
}

const pageRead = 200

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

// GrantInput is a right asked for.
type GrantInput struct {
	Role       string `json:"role" enum:"system_admin,security_admin,auditor,county_leader,hall_operator,dispatcher,town_operator,village_head,grid_worker,dept_handler"`
	Grid       string `json:"grid,omitempty" maxLength:"64" doc:"Code of the grid; left out for every county"`
	County     string `json:"county,omitempty" maxLength:"64" doc:"Code of the grid's county, where several counties use the grid's code"`
	Department string `json:"department,omitempty" maxLength:"64" doc:"Code or name, of a dept_handler"`
	Sensitive  bool   `json:"sensitive,omitempty" doc:"May handle sensitive categories"`
	Reason     string `json:"reason,omitempty" maxLength:"500"`
}

// propose puts a grant forward in the caller's name, which is a security
// administrator's agreement too.
func (s *Server) propose(ctx context.Context, tx pgx.Tx, a auth.Actor, r realm, to store.Account, in GrantInput) (store.Grant, error) {
	g := store.Grant{
		Account: to.ID, Role: auth.Role(in.Role), GridCode: in.Grid, RootCode: in.County, Sensitive: in.Sensitive, Reason: in.Reason,
		ProposedBy: a.ID, Proposer: a.ID,
	}
	if c := credentialIn(ctx); c.Account != 0 {
		g.Proposer = c.Login
	}
	switch {
	case a.ID == to.Actor():
		return g, errOwn
	case r.town && !fieldRole(g.Role):
		return g, errTownRoles
	case g.GridCode == "" && !r.everywhere:
		return g, errOwnGrid
	case g.RootCode == "":
		g.RootCode = r.root
	}
	if g.GridCode == "" {
		g.RootCode = ""
	}
	if err := store.CheckGrant(ctx, tx, &g, in.Department, to.Worker); err != nil {
		return g, err
	}
	if !r.holds(g.GridCode, g.No) {
		return g, store.ErrNoGrid // as if there were none
	}
	if a.Role == auth.SecurityAdmin {
		g.SecurityBy = a.ID
	}
	g, err := store.SaveGrant(ctx, tx, g, s.o.Now())
	if err != nil {
		return g, err
	}
	data := map[string]any{"after": grantData(g)}
	if to.Active != nil {
		data["before"] = grantData(*to.Active)
	}
	return g, ledger.Audit(ctx, tx, a, requestID(ctx), "grant.propose", grantName(g.ID), g.Reason, data)
}

type accountInput struct {
	Body struct {
		Login string      `json:"login" maxLength:"40" doc:"2 to 40 small letters, digits and . _ -"`
		Badge string      `json:"badge,omitempty" maxLength:"64" doc:"Of the worker it belongs to"`
		Grant *GrantInput `json:"grant,omitempty" doc:"From a town, or for the first system administrator"`
	}
}

// Invitation is a link that lets somebody take up an account, once.
type Invitation struct {
	Link    string    `json:"link" doc:"To be opened once, by whom the account is for"`
	Expires time.Time `json:"expires"`
}

type accountOutput struct {
	Body struct {
		Account Account    `json:"account"`
		Invite  Invitation `json:"invite"`
	}
}

func (s *Server) makeAccount(ctx context.Context, a caller, in *accountInput) (*accountOutput, error) {
	d, err := mayMake(a.Actor)
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

// MakeInvite makes a link that lets somebody take up an account, audited inside tx.
func MakeInvite(ctx context.Context, db *store.DB, tx pgx.Tx, a auth.Actor, base string, account int64, now time.Time) (Invitation, error) {
	code, until := store.NewSecret(), now.Add(inviteLife)
	id, err := db.SaveCredential(ctx, tx, code, store.Credential{
		Kind: store.Invite, Role: auth.GridWorker, Account: account, ExpiresAt: &until, CreatedBy: a.ID, CreatedAt: now,
	})
	if err != nil {
		return Invitation{}, err
	}
	err = ledger.Audit(ctx, tx, a, requestID(ctx), "account.invite", accountName(account), "", map[string]any{"invite": id, "expires": until})
	// The code stands in the fragment, which a browser never sends or logs.
	return Invitation{Link: strings.TrimSuffix(base, "/") + "/admin#invite=" + code, Expires: until}, err
}

type idInput struct {
	ID int64 `path:"id" minimum:"1"`
}

type inviteOutput struct{ Body Invitation }

// inviteAgain makes a new invitation the only way into an account. A right that
// was given to whoever held it waits for agreement anew: who hands out a way in
// must not thereby hand out a right.
func (s *Server) inviteAgain(ctx context.Context, a caller, in *idInput) (*inviteOutput, error) {
	out := &inviteOutput{}
	r := realmOf(ctx, a.Actor, a.Decision)
	var of store.Account
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if of, err = s.heldAccount(ctx, tx, r, in.ID); err != nil {
			return err
		}
		switch {
		case a.ID == of.Actor():
			return problem(http.StatusForbidden, "change your own password instead")
		case of.State == store.AccountDisabled:
			return problem(http.StatusConflict, "this account is disabled: enable it first")
		}
		now := s.o.Now()
		if err := store.ResetAccount(ctx, tx, of.ID, now); err != nil {
			return err
		}
		if err := s.askAgain(ctx, tx, a.Actor, of, now); err != nil {
			return err
		}
		out.Body, err = MakeInvite(ctx, s.o.DB, tx, a.Actor, s.o.Link(), of.ID, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.turnOut(of.Actor())
	return out, nil
}

// askAgain makes an account's active grant a proposed one, and takes from one that
// is proposed what was agreed to before: that was for somebody else.
func (s *Server) askAgain(ctx context.Context, tx pgx.Tx, a auth.Actor, of store.Account, now time.Time) error {
	const why = "invited again"
	if g := of.Active; g != nil {
		if err := store.RevokeGrant(ctx, tx, *g, a.ID, now); err != nil {
			return err
		}
		if err := ledger.Audit(ctx, tx, a, requestID(ctx), "grant.revoke", grantName(g.ID), why, map[string]any{"before": grantData(*g)}); err != nil {
			return err
		}
	}
	data := map[string]any{}
	var g store.Grant
	switch {
	case of.Proposed != nil:
		data["before"] = grantData(*of.Proposed)
		g = *of.Proposed
	case of.Active != nil:
		g = *of.Active
	default:
		return nil
	}
	g.ProposedBy, g.SecurityBy, g.SystemBy, g.Reason = a.ID, "", "", why
	var err error
	if of.Proposed != nil {
		err = store.AskAgain(ctx, tx, g)
	} else {
		g, err = store.SaveGrant(ctx, tx, g, now)
	}
	if err != nil {
		return err
	}
	data["after"] = grantData(g)
	return ledger.Audit(ctx, tx, a, requestID(ctx), "grant.propose", grantName(g.ID), g.Reason, data)
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
	d, err := mayDisable(a.Actor)
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

type grantInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body GrantInput
}

type grantOutput struct{ Body Grant }

func (s *Server) proposeGrant(ctx context.Context, a caller, in *grantInput) (*grantOutput, error) {
	r := realmOf(ctx, a.Actor, a.Decision)
	var g store.Grant
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		to, err := s.heldAccount(ctx, tx, r, in.ID)
		if err != nil {
			return err
		}
		g, err = s.propose(ctx, tx, a.Actor, r, to, in.Body)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.inForce(g)
	return &grantOutput{*grantItem(&g)}, nil
}

// inForce ends what an account has open under an earlier grant.
func (s *Server) inForce(g store.Grant) {
	if g.State == "active" {
		s.turnOut(store.Account{ID: g.Account}.Actor())
	}
}

// heldGrant returns a live grant of the realm with its account, held until the
// end of the transaction.
func (s *Server) heldGrant(ctx context.Context, tx pgx.Tx, r realm, id int64) (store.Account, store.Grant, error) {
	account, err := store.GrantAccount(ctx, tx, id)
	if err != nil {
		return store.Account{}, store.Grant{}, err
	}
	of, err := s.heldAccount(ctx, tx, r, account)
	if err != nil {
		return of, store.Grant{}, err
	}
	for _, g := range grantsOf(of) {
		if g.ID == id {
			return of, g, nil
		}
	}
	return of, store.Grant{}, store.ErrNotFound // revoked
}

func (s *Server) agreeToGrant(ctx context.Context, a caller, in *reasonInput) (*grantOutput, error) {
	r := realmOf(ctx, a.Actor, a.Decision)
	var g store.Grant
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		of, before, err := s.heldGrant(ctx, tx, r, in.ID)
		if err != nil {
			return err
		}
		if err := mayAgree(ctx, a.Actor, of, before); err != nil {
			return err
		}
		g = before
		if a.Role == auth.SecurityAdmin {
			g.SecurityBy = a.ID
		} else {
			g.SystemBy = a.ID
		}
		if g, err = store.AgreeToGrant(ctx, tx, g, s.o.Now()); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "grant.approve", grantName(g.ID), in.Body.Reason,
			map[string]any{"before": grantData(before), "after": grantData(g)})
	})
	if err != nil {
		return nil, err
	}
	s.inForce(g)
	return &grantOutput{*grantItem(&g)}, nil
}

// mayAgree holds a grant's second person to being a person, and another one.
func mayAgree(ctx context.Context, a auth.Actor, of store.Account, g store.Grant) error {
	switch {
	case credentialIn(ctx).Account == 0:
		return errPersonal
	case a.ID == of.Actor():
		return errOwn
	case g.State != "proposed":
		return problem(http.StatusConflict, "this grant is in force already")
	case a.ID == g.ProposedBy, a.ID == g.SecurityBy, a.ID == g.SystemBy:
		return problem(http.StatusForbidden, "somebody else has to agree")
	case !slices.Contains(g.Needs(), a.Role):
		return problem(http.StatusConflict, "this grant does not wait for the agreement of your role")
	}
	return nil
}

type revokeInput struct {
	ID     int64  `path:"id" minimum:"1"`
	Reason string `query:"reason" maxLength:"500"`
}

func (s *Server) revokeGrant(ctx context.Context, a caller, in *revokeInput) (*struct{}, error) {
	r := realmOf(ctx, a.Actor, a.Decision)
	var of store.Account
	var g store.Grant
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if of, g, err = s.heldGrant(ctx, tx, r, in.ID); err != nil {
			return err
		}
		if a.ID == of.Actor() {
			return errOwn
		}
		if err := store.RevokeGrant(ctx, tx, g, a.ID, s.o.Now()); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "grant.revoke", grantName(g.ID), in.Reason, map[string]any{"before": grantData(g)})
	})
	if err != nil {
		return nil, err
	}
	s.inForce(g)
	return nil, nil
}
