// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

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
	case r.town && !auth.TownMayPropose(g.Role):
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
