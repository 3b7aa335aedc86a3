// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/hub"
	"onemap/store"
	"onemap/store/ledger"
)

var (
	errWrong        = problem(http.StatusUnauthorized, "wrong login or password, or no right to sign in")
	errSecondFactor = &Problem{Type: "second-factor", Title: http.StatusText(http.StatusUnauthorized), Status: http.StatusUnauthorized, Detail: "send the code of your phone too; each code works once"}
	errUsedUp       = problem(http.StatusUnauthorized, "this link or secret is used up or too old: ask for a new one")
	errPersonal     = problem(http.StatusForbidden, "only somebody who signed in with a password has this")
	errWrongOwn     = problem(http.StatusForbidden, "wrong password")
)

// Session says who is signed in.
type Session struct {
	Role         string     `json:"role"`
	View         string     `json:"view" doc:"shared or case; empty for roles that read no case"`
	Scope        string     `json:"scope"`
	Centre       string     `json:"centre"`
	Levels       []string   `json:"levels" doc:"Names of the grid levels, the county first"`
	Demo         bool       `json:"demo" doc:"All data is made up"`
	Wall         string     `json:"wall,omitempty"`
	Grid         *GridItem  `json:"grid" doc:"The grid the session reaches; null before grids are there"`
	ServerTime   time.Time  `json:"server_time"`
	Login        string     `json:"login,omitempty"`
	Locked       bool       `json:"locked" doc:"The session looks on until its person gives the PIN"`
	LockAfterS   int        `json:"lock_after_s" doc:"Seconds without an act after which it is locked; 0 for never"`
	Expires      *time.Time `json:"expires"`
	PIN          bool       `json:"pin" doc:"A PIN is set"`
	SecondFactor bool       `json:"second_factor" doc:"A code of the second factor has been right"`
}

func (s *Server) session() {
	in := func(id, method, path, summary string, status int, errs ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{"session"}, Summary: summary, DefaultStatus: status, Errors: errs}
	}
	signIn := in("sign-in", http.MethodPost, "/api/v1/session", "Trade a login and password, or a wall's one-time code, for a session cookie", http.StatusOK, 401, 429)
	signIn.Responses = map[string]*huma.Response{"204": {Description: "A wall is signed in"}}
	signIn.Description = "Whatever is wrong is 401 with one text. A problem of type second-factor asks for the code too, or for another one."
	route(s, open, signIn, s.signIn)
	route(s, own, in("who-am-i", http.MethodGet, "/api/v1/session", "Who is signed in, and what the centre is called", http.StatusOK), s.whoAmI)
	route(s, open, in("sign-out", http.MethodDelete, "/api/v1/session", "End the session", http.StatusNoContent), s.signOut)
	route(s, own, in("lock", http.MethodPost, "/api/v1/session/lock", "Lock the session: it looks on, and does no more", http.StatusNoContent), s.lock)
	route(s, own, in("unlock", http.MethodPost, "/api/v1/session/unlock", "Open a locked session with the PIN", http.StatusNoContent), s.unlock)
	route(s, own, in("alive", http.MethodPost, "/api/v1/session/alive", "Its person did something; once a minute is enough", http.StatusNoContent), s.alive)
	route(s, own, in("set-pin", http.MethodPut, "/api/v1/session/pin", "Choose a PIN", http.StatusNoContent, 409, 422, 429), s.setPIN)
	route(s, own, in("set-password", http.MethodPut, "/api/v1/session/password", "Choose a password; ends all other sessions", http.StatusNoContent, 409, 422, 429), s.setPassword)
	route(s, open, in("redeem", http.MethodPost, "/api/v1/invitations/redeem",
		"Take up an invitation, or make the first administrator", http.StatusOK, 401, 409, 422, 429), s.redeem)
}

type sessionInput struct {
	Body struct {
		Code     string `json:"code,omitempty" maxLength:"128" doc:"A wall's one-time code, from the fragment of its link"`
		Login    string `json:"login,omitempty" maxLength:"64"`
		Password string `json:"password,omitempty" maxLength:"512"`
		TOTP     string `json:"totp,omitempty" maxLength:"16" doc:"The second factor's code"`
	}
}

type sessionOutput struct {
	Status  int
	Cookies []http.Cookie `header:"Set-Cookie"`
	Body    *Session
}

func (s *Server) signIn(ctx context.Context, _ caller, in *sessionInput) (*sessionOutput, error) {
	b := in.Body
	switch {
	case b.Code != "" && b.Login == "" && b.Password == "" && b.TOTP == "":
		return s.signInWall(ctx, b.Code)
	case b.Code == "" && b.Login != "" && b.Password != "":
		return s.signInPerson(ctx, strings.ToLower(strings.TrimSpace(b.Login)), b.Password, b.TOTP)
	}
	return nil, problem(http.StatusBadRequest, "send either a code, or a login and a password")
}

func (s *Server) signInWall(ctx context.Context, code string) (*sessionOutput, error) {
	if err := s.knock(ctx, ""); err != nil {
		return nil, err
	}
	life := func(store.Credential) time.Duration { return auth.LifeOf(auth.Wall).Absolute }
	session, cred, err := s.o.DB.Redeem(ctx, code, addressOf(ctx), s.o.Now(), life, func(tx pgx.Tx, c store.Credential) error {
		who := auth.Actor{ID: "wall:" + c.Wall}
		return ledger.Audit(ctx, tx, who, requestID(ctx), "session.open", sessionName(c.ID), "", map[string]any{"role": c.Role, "grid": c.GridCode, "address": addressOf(ctx).String()})
	})
	if errors.Is(err, store.ErrNotFound) {
		s.missed(ctx, "", "wall")
		return nil, errUsedUp
	}
	if err != nil {
		return nil, err
	}
	return &sessionOutput{Status: http.StatusNoContent, Cookies: []http.Cookie{s.cookie(ctx, session, cred)}}, nil
}

func sessionName(id int64) string { return fmt.Sprintf("session/%d", id) }

// cookie holds a session's secret. By https its name binds it to this very host.
func (s *Server) cookie(ctx context.Context, secret string, c store.Credential) http.Cookie {
	ck := http.Cookie{Name: plainCookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1}
	if secureOf(ctx) {
		ck.Name, ck.Secure = secureCookie, true
	}
	if secret != "" {
		ck.MaxAge = max(1, int(c.ExpiresAt.Sub(s.o.Now()).Seconds()))
	}
	return ck
}

// signInPerson lets somebody in who proves to be the account's. Everything that
// is wrong has one answer, after the same work.
func (s *Server) signInPerson(ctx context.Context, login, password, code string) (*sessionOutput, error) {
	if err := s.knock(ctx, login); err != nil {
		return nil, err
	}
	account, err := store.AccountByLogin(ctx, s.o.DB.Pool, login)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	there, object := err == nil, "account"
	if there {
		object = accountName(account.ID)
	}
	secrets, err := store.AccountSecrets(ctx, s.o.DB.Pool, account.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	hash := secrets.Password
	if hash == "" {
		hash = auth.DummyHash
	}
	right := false
	if err := s.slowly(ctx, s.door.outside, func() error { right = auth.CheckPassword(hash, password); return nil }); err != nil {
		return nil, err
	}
	if !right || !there || account.State != store.AccountActive || account.Active == nil {
		s.missed(ctx, login, object)
		return nil, errWrong
	}
	step, err := s.secondFactor(account, secrets, code)
	if errors.Is(err, errSecondFactor) && code != "" {
		s.missed(ctx, login, object)
	}
	if err != nil {
		return nil, err
	}
	secret, cred, err := s.openSession(ctx, account, secrets, step)
	switch {
	case errors.Is(err, store.ErrCodeTaken):
		s.missed(ctx, login, object)
		return nil, errSecondFactor
	case errors.Is(err, store.ErrNotFound): // changed while the password was looked at
		return nil, errWrong
	case err != nil:
		return nil, err
	}
	s.door.lock.Clear(login + " " + network(addressOf(ctx)))
	k, err := s.lookUp(ctx, s.o.DB, secret, store.Session)
	if err != nil {
		return nil, err
	}
	body, err := s.describe(ctx, k.actor, k.cred)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{Status: http.StatusOK, Cookies: []http.Cookie{s.cookie(ctx, secret, cred)}, Body: &body}, nil
}

func accountName(id int64) string { return fmt.Sprintf("account/%d", id) }

// secondFactor checks the code where the role needs one, or its holder has begun
// to use one. It returns the code's step, 0 for no code.
func (s *Server) secondFactor(a store.Account, secrets store.Secrets, code string) (int64, error) {
	if code == "" && !a.SecondFactor && !auth.NeedsSecondFactor(a.Active.Role) {
		return 0, nil
	}
	if len(secrets.TOTP) == 0 {
		return 0, errWrong
	}
	if code == "" {
		return 0, errSecondFactor
	}
	key, err := s.o.Sealer.Open(store.TOTPField(a.ID), secrets.TOTP)
	if err != nil {
		return 0, err
	}
	step, ok := auth.CheckTOTP(key, code, s.o.Now(), secrets.Step)
	if !ok {
		return 0, errSecondFactor
	}
	return step, nil
}

func (s *Server) openSession(ctx context.Context, a store.Account, secrets store.Secrets, step int64) (string, store.Credential, error) {
	now, role := s.o.Now(), a.Active.Role
	until := now.Add(auth.LifeOf(role).Absolute)
	cred := store.Credential{ExpiresAt: &until}
	if auth.Pinned(role) {
		cred.Address = addressOf(ctx)
	}
	secret := store.NewSecret()
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, err := s.o.DB.OpenSession(ctx, tx, a, secrets.Password, step, secret, cred, now)
		if err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, auth.Actor{ID: a.Actor()}, requestID(ctx), "session.open", sessionName(id), "",
			map[string]any{"role": role, "grid": a.Active.GridCode, "address": addressOf(ctx).String()})
	})
	return secret, cred, err
}

type sessionAnswer struct{ Body Session }

func (s *Server) whoAmI(ctx context.Context, a caller, _ *struct{}) (*sessionAnswer, error) {
	body, err := s.describe(ctx, a.Actor, credentialIn(ctx))
	return &sessionAnswer{body}, err
}

// credentialIn is the credential of whoever asks.
func credentialIn(ctx context.Context) store.Credential { return askingOf(ctx).cred }

// describe tells what a credential's holder is told of themselves.
func (s *Server) describe(ctx context.Context, a auth.Actor, c store.Credential) (Session, error) {
	cat := s.o.Catalogue.Now()
	looking := a
	looking.Locked = false
	st, _ := auth.StreamOf(looking) // zero for those who see no stream
	out := Session{
		Role: string(a.Role), View: string(st.View), Scope: st.Tag, Centre: cat.Centre.Name, Levels: cat.Centre.Levels,
		Demo: cat.Centre.Demo, ServerTime: s.o.Now(), Wall: c.Wall, Login: c.Login, Locked: a.Locked, Expires: c.ExpiresAt,
	}
	for i, n := range cat.Tree.Nodes() {
		if a.Home(n.No) {
			g := gridItem(cat.Tree, i)
			out.Grid = &g
			break
		}
	}
	if c.Account == 0 {
		return out, nil
	}
	account, err := store.FindAccount(ctx, s.o.Reads.Pool, c.Account, false)
	if err != nil {
		return out, err
	}
	out.PIN, out.SecondFactor = account.PIN, account.SecondFactor
	out.LockAfterS = int(auth.LifeOf(a.Role).LockAfter.Seconds())
	return out, nil
}

type signOutOutput struct {
	Cookies []http.Cookie `header:"Set-Cookie"`
	Clear   string        `header:"Clear-Site-Data"`
}

func (s *Server) signOut(ctx context.Context, a caller, _ *struct{}) (*signOutOutput, error) {
	if c := credentialIn(ctx); c.Kind == store.Session {
		if err := s.endSession(ctx, a.Actor, c, "signed out"); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	// Not "storage": the pages wipe what is theirs, and others' unsent reports may lie on a shared machine.
	return &signOutOutput{Cookies: []http.Cookie{s.cookie(ctx, "", store.Credential{})}, Clear: `"cache", "cookies"`}, nil
}

// endSession ends one session. Its holder's other sessions live on.
func (s *Server) endSession(ctx context.Context, a auth.Actor, c store.Credential, why string) error {
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.RevokeCredential(ctx, tx, c.ID, s.o.Now()); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a, requestID(ctx), "session.close", sessionName(c.ID), why, nil)
	})
	if err != nil {
		return err
	}
	s.recheck(a.ID)
	return nil
}

// recheck makes an actor's sockets come again at once: those whose session has
// ended are not let in, the others go on.
func (s *Server) recheck(actor string) {
	s.known.forget()
	s.o.Hub.Drop(hub.ScopeChanged, func(a auth.Actor) bool { return a.ID == actor })
}

// turnOut ends whatever an actor has open, after its rights have ended.
func (s *Server) turnOut(actor string) {
	s.known.forget()
	s.o.Hub.Drop(hub.SignInAgain, func(a auth.Actor) bool { return a.ID == actor })
}

// person is the session of somebody with an account, the only kind that can be
// locked and has a password.
func person(ctx context.Context) (store.Credential, error) {
	c := credentialIn(ctx)
	if c.Kind != store.Session || c.Account == 0 {
		return c, errPersonal
	}
	return c, nil
}

// prove makes sure that whoever sits at a session knows its account's password.
func (s *Server) prove(ctx context.Context, a caller, password string) (store.Credential, store.Secrets, error) {
	c, err := person(ctx)
	if err == nil && a.Locked {
		err = auth.ErrLocked
	}
	if err == nil {
		if ok, wait := s.door.account.Allow(sessionName(c.ID), s.o.Now()); !ok { // not by login: strangers spend that
			err = tooMany(wait, "too many tries")
		}
	}
	if err != nil {
		return c, store.Secrets{}, err
	}
	secrets, err := store.AccountSecrets(ctx, s.o.DB.Pool, c.Account)
	if err != nil {
		return c, secrets, err
	}
	right := false
	if err := s.slowly(ctx, s.door.inside, func() error { right = auth.CheckPassword(secrets.Password, password); return nil }); err != nil {
		return c, secrets, err
	}
	if !right {
		s.missed(ctx, c.Login, accountName(c.Account))
		return c, secrets, errWrongOwn
	}
	return c, secrets, nil
}

type pinInput struct {
	Body struct {
		Password string `json:"password" maxLength:"512"`
		PIN      string `json:"pin" maxLength:"32" doc:"4 to 8 digits"`
	}
}

func (s *Server) setPIN(ctx context.Context, a caller, in *pinInput) (*struct{}, error) {
	c, secrets, err := s.prove(ctx, a, in.Body.Password)
	if err == nil {
		err = auth.ValidPIN(in.Body.PIN)
	}
	if err != nil {
		return nil, err
	}
	pin, err := s.hashed(ctx, s.door.inside, in.Body.PIN)
	if err != nil {
		return nil, err
	}
	return nil, s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.SetPIN(ctx, tx, c.Account, secrets.Password, pin); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "account.pin", accountName(c.Account), "", nil)
	})
}

type passwordInput struct {
	Body struct {
		Old string `json:"old" maxLength:"512"`
		New string `json:"new" maxLength:"512" doc:"10 to 128 characters"`
	}
}

func (s *Server) setPassword(ctx context.Context, a caller, in *passwordInput) (*struct{}, error) {
	c, secrets, err := s.prove(ctx, a, in.Body.Old)
	if err == nil {
		err = auth.ValidPassword(c.Login, in.Body.New)
	}
	if err != nil {
		return nil, err
	}
	hash, err := s.hashed(ctx, s.door.inside, in.Body.New)
	if err != nil {
		return nil, err
	}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.SetPassword(ctx, tx, c.Account, secrets.Password, hash, c.ID); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "account.password", accountName(c.Account), "", nil)
	})
	s.recheck(a.ID)
	return nil, err
}
