// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

type redeemInput struct {
	Body struct {
		Code     string `json:"code" minLength:"1" maxLength:"128" doc:"From the fragment of an invitation's link, or the secret of the first start"`
		Login    string `json:"login,omitempty" maxLength:"40" doc:"Of the first administrator; an invitation has its login"`
		Password string `json:"password" maxLength:"512" doc:"10 to 128 characters"`
		PIN      string `json:"pin,omitempty" maxLength:"32" doc:"4 to 8 digits, to unlock a session with"`
	}
}

// Redeemed is what is told of a second factor, once.
type redeemOutput struct {
	Body struct {
		Login        string       `json:"login"`
		SecondFactor SecondFactor `json:"second_factor" doc:"Told this once"`
	}
}

// SecondFactor is what an app on a phone needs to make codes.
type SecondFactor struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QR     string `json:"qr" doc:"The URI as a picture: data:image/png;base64,..."`
}

// redeem takes up an invitation, once, or makes the first administrator.
func (s *Server) redeem(ctx context.Context, _ caller, in *redeemInput) (*redeemOutput, error) {
	if err := s.knock(ctx, ""); err != nil {
		return nil, err
	}
	b := in.Body
	c, err := s.o.DB.FindCredential(ctx, b.Code, s.o.Now(), store.Invite, store.FirstSecret)
	if errors.Is(err, store.ErrNotFound) {
		s.missed(ctx, "", "invitation")
		return nil, errUsedUp
	}
	if err != nil {
		return nil, err
	}
	login, first := c.Login, c.Kind == store.FirstSecret
	if first {
		login = b.Login
		if !ValidLogin(login) {
			return nil, errLogin
		}
	} else if b.Login != "" && b.Login != login {
		return nil, problem(http.StatusUnprocessableEntity, "this invitation is for another login: leave the login out")
	}
	if err := auth.ValidPassword(login, b.Password); err != nil {
		return nil, err
	}
	if b.PIN != "" {
		if err := auth.ValidPIN(b.PIN); err != nil {
			return nil, err
		}
	}
	var secrets store.Secrets
	if secrets.Password, err = s.hashed(ctx, s.door.outside, b.Password); err == nil {
		secrets.PIN, err = s.hashed(ctx, s.door.outside, b.PIN)
	}
	if err != nil {
		return nil, err
	}
	factor, err := auth.NewTOTP(s.issuer(), login, rand.Reader)
	if err != nil {
		return nil, err
	}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		c, err := s.o.DB.Use(ctx, tx, b.Code, s.o.Now(), store.Invite, store.FirstSecret)
		if err != nil {
			return err
		}
		id := c.Account
		if first {
			if id, err = s.firstAdministrator(ctx, tx, c, login); err != nil {
				return err
			}
		}
		if secrets.TOTP, err = s.o.Sealer.Seal(store.TOTPField(id), factor.Secret); err != nil {
			return err
		}
		if err := store.TakeUp(ctx, tx, id, secrets); err != nil {
			return err
		}
		who := auth.Actor{ID: fmt.Sprintf("account:%d", id)}
		return ledger.Audit(ctx, tx, who, requestID(ctx), "account.redeem", accountName(id), "", map[string]any{"pin": secrets.PIN != "", "address": addressOf(ctx).String()})
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, errUsedUp
	}
	if err != nil {
		return nil, err
	}
	out := &redeemOutput{}
	out.Body.Login, out.Body.SecondFactor = login, shown(factor)
	return out, nil
}

// issuer is what an app on a phone shows beside the login.
func (s *Server) issuer() string {
	if name := s.o.Catalogue.Now().Centre.Name; name != "" {
		return "OneMap " + name
	}
	return "OneMap"
}

// firstAdministrator makes the account of whoever holds the first secret, with
// the right to grant rights everywhere.
func (s *Server) firstAdministrator(ctx context.Context, tx pgx.Tx, c store.Credential, login string) (int64, error) {
	// A secret left over in a log is worth nothing once somebody grants rights.
	if err := store.LockAdministrators(ctx, tx); err != nil {
		return 0, err
	}
	if has, err := store.CanAdminister(ctx, tx, auth.SecurityAdmin); err != nil || has {
		return 0, errors.Join(err, store.ErrNotFound)
	}
	who := auth.Actor{ID: fmt.Sprintf("%s:%d", c.Kind, c.ID)}
	id, err := store.CreateAccount(ctx, tx, login, 0, who.ID)
	if err != nil {
		return 0, err
	}
	g, err := store.SaveGrant(ctx, tx, store.Grant{
		Account: id, Role: auth.SecurityAdmin, Reason: "first administrator", ProposedBy: who.ID, SecurityBy: who.ID,
	}, s.o.Now())
	if err != nil {
		return 0, err
	}
	if err := ledger.Audit(ctx, tx, who, requestID(ctx), "account.create", accountName(id), "", nil); err != nil {
		return 0, err
	}
	return id, ledger.Audit(ctx, tx, who, requestID(ctx), "grant.propose", grantName(g.ID), g.Reason, map[string]any{"after": grantData(g)})
}

func shown(f auth.TOTP) SecondFactor {
	return SecondFactor{Secret: f.Secret, URI: f.URI, QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(f.QR)}
}

// Invitation is a link that lets somebody take up an account, once.
type Invitation struct {
	Link    string    `json:"link" doc:"To be opened once, by whom the account is for"`
	Expires time.Time `json:"expires"`
}

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
