// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/hub"
	"onemap/store"
	"onemap/store/ledger"
)

// Lifetimes of what is handed out. A wall runs for months without anybody
// signing in.
const (
	wallLife    = 90 * 24 * time.Hour
	sessionLife = 12 * time.Hour
	codeLife    = 10 * time.Minute
)

type sessionInput struct {
	Origin string `header:"Origin"`
	Body   struct {
		Code   string `json:"code,omitempty" maxLength:"128" doc:"A wall's one-time code, from the fragment of its link"`
		Secret string `json:"secret,omitempty" maxLength:"128" doc:"The secret printed by the first start"`
	}
}

type sessionOutput struct {
	Cookie http.Cookie `header:"Set-Cookie"`
}

// Session says who is signed in.
type Session struct {
	Role       string    `json:"role"`
	View       string    `json:"view" doc:"shared or case; empty for roles that read no case"`
	Scope      string    `json:"scope"`
	Centre     string    `json:"centre"`
	Levels     []string  `json:"levels" doc:"Names of the grid levels, the county first"`
	Demo       bool      `json:"demo" doc:"All data is made up"`
	Wall       string    `json:"wall,omitempty"`
	Grid       *GridItem `json:"grid" doc:"The grid the session reaches; null before grids are there"`
	ServerTime time.Time `json:"server_time"`
}

func (s *Server) session() {
	route(s, open, huma.Operation{
		OperationID: "sign-in", Method: http.MethodPost, Path: "/api/v1/session", Tags: []string{"session"},
		Summary: "Trade a one-time code for a session cookie", DefaultStatus: http.StatusNoContent, Errors: []int{401},
	}, s.signIn)
	route(s, own, huma.Operation{
		OperationID: "who-am-i", Method: http.MethodGet, Path: "/api/v1/session", Tags: []string{"session"},
		Summary: "Who is signed in, and what the centre is called", Errors: []int{401},
	}, s.whoAmI)
	route(s, open, huma.Operation{
		OperationID: "sign-out", Method: http.MethodDelete, Path: "/api/v1/session", Tags: []string{"session"},
		Summary: "End the session", DefaultStatus: http.StatusNoContent,
	}, s.signOut)
	route(s, need{auth.Write, auth.TokenData}, huma.Operation{
		OperationID: "make-wall", Method: http.MethodPost, Path: "/api/v1/walls", Tags: []string{"session"},
		Summary: "Make a wall's one-time link, good for ten minutes", DefaultStatus: http.StatusCreated, Errors: []int{404},
	}, s.makeWall)
}

func (s *Server) signIn(ctx context.Context, _ caller, in *sessionInput) (*sessionOutput, error) {
	secret := in.Body.Code + in.Body.Secret
	if (in.Body.Code == "") == (in.Body.Secret == "") {
		return nil, problem(http.StatusBadRequest, "send either a code or a secret")
	}
	life := func(c store.Credential) time.Duration {
		if c.Kind == store.WallCode {
			return wallLife
		}
		return sessionLife
	}
	session, cred, err := s.o.DB.Redeem(ctx, secret, addressOf(ctx), s.o.Now(), life, func(tx pgx.Tx, c store.Credential) error {
		who := auth.NewActor(auth.Grant{ID: fmt.Sprintf("session:%d", c.ID), Role: c.Role})
		return ledger.Audit(ctx, tx, who, requestID(ctx), "session.open", c.Wall, "", map[string]any{"role": c.Role})
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem(http.StatusUnauthorized, "this link is used up or too old: make a new one with 'onemap wall link'")
	}
	if err != nil {
		return nil, err
	}
	return &sessionOutput{Cookie: http.Cookie{
		Name: plainCookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: *cred.ExpiresAt,
		Secure: strings.HasPrefix(in.Origin, "https://"),
	}}, nil
}

type sessionAnswer struct{ Body Session }

func (s *Server) whoAmI(ctx context.Context, a caller, _ *struct{}) (*sessionAnswer, error) {
	cat := s.o.Catalogue.Now()
	st, _ := auth.StreamOf(a.Actor) // zero for those who see no stream
	out := Session{
		Role: string(a.Role), View: string(st.View), Scope: st.Tag, Centre: cat.Centre.Name, Levels: cat.Centre.Levels,
		Demo: cat.Centre.Demo, ServerTime: s.o.Now(),
	}
	cred, _ := ctx.Value(keyCredential).(store.Credential)
	out.Wall = cred.Wall
	for i, n := range cat.Tree.Nodes() {
		if a.Home(n.No) {
			g := gridItem(cat.Tree, i)
			out.Grid = &g
			break
		}
	}
	return &sessionAnswer{out}, nil
}

func (s *Server) signOut(ctx context.Context, a caller, _ *struct{}) (*sessionOutput, error) {
	if cred, ok := ctx.Value(keyCredential).(store.Credential); ok && cred.Kind == store.Session {
		if err := s.o.DB.Revoke(ctx, cred.ID, s.o.Now()); err != nil {
			return nil, err
		}
		s.known.forget()
		if cred.Wall == "" { // the screens of a wall share its name: the lease ends this one's socket alone
			s.o.Hub.Drop(hub.SignInAgain, func(other auth.Actor) bool { return other.ID == a.ID })
		}
	}
	return &sessionOutput{Cookie: http.Cookie{Name: plainCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode}}, nil
}

type wallInput struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"40" pattern:"^[A-Za-z0-9_-]+$" doc:"What to call this wall, for example hall-1"`
		Grid string `json:"grid,omitempty" maxLength:"64" doc:"Code of the grid it shows; the whole county when left out"`
	}
}

type wallOutput struct {
	Body struct {
		Link    string    `json:"link" doc:"To be opened once on the wall's own browser"`
		Expires time.Time `json:"expires"`
	}
}

func (s *Server) makeWall(ctx context.Context, a caller, in *wallInput) (*wallOutput, error) {
	link, expires, err := MakeWallLink(ctx, s.o.DB, a.Actor, s.o.Link(), in.Body.Name, in.Body.Grid, s.o.Now())
	if err != nil {
		return nil, err
	}
	out := &wallOutput{}
	out.Body.Link, out.Body.Expires = link, expires
	return out, nil
}

var (
	wallName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)
	errWallName = errors.New("a wall's name is 1 to 40 letters, digits, - and _")
)

// MakeWallLink makes a one-time link for the wall called name over the grid with
// this code ("" for all), audited in the same transaction.
func MakeWallLink(ctx context.Context, db *store.DB, a auth.Actor, base, name, gridCode string, now time.Time) (string, time.Time, error) {
	if !wallName.MatchString(name) {
		return "", time.Time{}, errWallName
	}
	code, expires := store.NewSecret(), now.Add(codeLife)
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		c := store.Credential{Kind: store.WallCode, Role: auth.Wall, GridCode: gridCode, Wall: name, ExpiresAt: &expires}
		if _, err := db.SaveCredential(ctx, tx, code, c); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a, requestID(ctx), "wall.link", name, "", map[string]any{"grid": gridCode})
	})
	// The code stands in the fragment, which a browser never sends or logs.
	return strings.TrimSuffix(base, "/") + "/wall#code=" + code, expires, err
}
