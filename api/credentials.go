// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
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

// Credential is a secret in use, as administrators see it. The secret itself is
// known to its holder alone.
type Credential struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind" enum:"token,session,wall_code,invite,first_secret"`
	Role      string     `json:"role" doc:"Empty for an invitation: its account's grant says"`
	Grid      string     `json:"grid" doc:"Code of the grid; empty for every county"`
	Wall      string     `json:"wall,omitempty"`
	Login     string     `json:"login,omitempty"`
	Note      string     `json:"note,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	SeenAt    *time.Time `json:"seen_at" doc:"Last act of a session's holder"`
	Address   string     `json:"address,omitempty" doc:"The one it may be used from"`
}

func (s *Server) credentials() {
	route(s, need{auth.Read, auth.TokenData}, huma.Operation{
		OperationID: "list-credentials", Method: http.MethodGet, Path: "/api/v1/credentials", Tags: []string{"credentials"},
		Summary: "Sessions, tokens, walls and invitations in use",
	}, s.listCredentials)
	route(s, need{auth.Write, auth.TokenData}, huma.Operation{
		OperationID: "revoke-credential", Method: http.MethodDelete, Path: "/api/v1/credentials/{id}", Tags: []string{"credentials"},
		Summary: "End a session, token, wall or invitation; its sockets end within 5 s", DefaultStatus: http.StatusNoContent, Errors: []int{404},
	}, s.revokeCredential)
	route(s, need{auth.Write, auth.TokenData}, huma.Operation{
		OperationID: "make-token", Method: http.MethodPost, Path: "/api/v1/tokens", Tags: []string{"credentials"},
		Summary: "Make a token for a machine; it sees no sensitive category, and is told once", DefaultStatus: http.StatusCreated, Errors: []int{422},
	}, s.makeToken)
	route(s, need{auth.Write, auth.TokenData}, huma.Operation{
		OperationID: "make-wall", Method: http.MethodPost, Path: "/api/v1/walls", Tags: []string{"credentials"},
		Summary: "Make a wall's one-time link, good for ten minutes", DefaultStatus: http.StatusCreated, Errors: []int{422},
	}, s.makeWall)
}

type credentialList struct {
	Body struct {
		Items  []Credential `json:"items"`
		Cursor *string      `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

// keeps reports whether a credential belongs to the realm. An invitation stands
// for no right: it belongs where its account does.
func (r realm) keeps(c store.LiveCredential) bool {
	if c.Kind == store.Invite {
		return c.Of != nil && r.shows(*c.Of)
	}
	return r.holds(c.GridCode, c.No)
}

func (s *Server) listCredentials(ctx context.Context, a caller, in *pageInput) (*credentialList, error) {
	list, cursor, err := collect(*in, func(after int64, limit int) ([]store.LiveCredential, error) {
		return s.o.Reads.LiveCredentials(ctx, s.o.Now(), after, limit)
	}, func(x store.LiveCredential) int64 { return x.ID }, realmOf(ctx, a.Actor, a.Decision).keeps)
	if err != nil {
		return nil, err
	}
	out := &credentialList{}
	out.Body.Items, out.Body.Cursor = make([]Credential, len(list)), cursor
	for i, c := range list {
		item := Credential{
			ID: strconv.FormatInt(c.ID, 10), Kind: string(c.Kind), Role: string(c.Role), Grid: c.GridCode, Wall: c.Wall, Login: c.Login,
			Note: c.Note, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt, SeenAt: c.SeenAt,
		}
		if c.Kind == store.Invite {
			item.Role = ""
		}
		if c.Address.IsValid() {
			item.Address = c.Address.String()
		}
		out.Body.Items[i] = item
	}
	return out, nil
}

// revoked names the act of ending a credential.
var revoked = map[store.CredentialKind]string{
	store.Token: "token.revoke", store.Session: "session.revoke", store.WallCode: "wall.revoke", store.Invite: "invite.revoke", store.FirstSecret: "secret.revoke",
}

// EndCredential ends a credential in use, audited in the same transaction.
func EndCredential(ctx context.Context, tx pgx.Tx, a auth.Actor, c store.LiveCredential, reason string, now time.Time) error {
	if err := store.RevokeCredential(ctx, tx, c.ID, now); err != nil {
		return err
	}
	action := revoked[c.Kind]
	if c.Wall != "" {
		action = "wall.revoke"
	}
	return ledger.Audit(ctx, tx, a, requestID(ctx), action, fmt.Sprintf("%s/%d", c.Kind, c.ID), reason,
		map[string]any{"before": map[string]any{"role": c.Role, "grid": c.GridCode, "wall": c.Wall, "account": c.Account}})
}

func (s *Server) revokeCredential(ctx context.Context, a caller, in *revokeInput) (*struct{}, error) {
	r := realmOf(ctx, a.Actor, a.Decision)
	var c store.LiveCredential
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		now := s.o.Now()
		if c, err = store.FindLive(ctx, tx, now, in.ID); err != nil {
			return err
		}
		if !r.keeps(c) {
			return store.ErrNotFound
		}
		return EndCredential(ctx, tx, a.Actor, c, in.Reason, now)
	})
	if err != nil {
		return nil, err
	}
	switch {
	case c.Kind == store.Token:
		s.turnOut(fmt.Sprintf("token:%d", c.ID))
	case c.Wall != "":
		s.recheck("wall:" + c.Wall)
	default:
		s.recheck(store.Account{ID: c.Account}.Actor())
	}
	return nil, nil
}

type tokenInput struct {
	Body struct {
		Role       string `json:"role" enum:"hall_operator,dispatcher,town_operator,village_head,grid_worker,dept_handler,wall" doc:"Machines hold no administrator's, leader's or auditor's role"`
		Grid       string `json:"grid,omitempty" maxLength:"64" doc:"Code of the grid it reaches; every county when left out"`
		County     string `json:"county,omitempty" maxLength:"64" doc:"Code of the grid's county, where several counties use the grid's code"`
		Department string `json:"department,omitempty" maxLength:"64" doc:"Code or name, for a dept_handler"`
		Badge      string `json:"badge,omitempty" maxLength:"64" doc:"Of the worker whose own work it sees"`
		ExpiresS   int64  `json:"expires_s,omitempty" minimum:"1" maximum:"31622400" default:"86400" doc:"Good for so many seconds"`
		Note       string `json:"note,omitempty" maxLength:"200" doc:"What it is for"`
	}
}

type tokenOutput struct {
	Body struct {
		ID      string    `json:"id"`
		Token   string    `json:"token" doc:"Send it as Bearer; it is told this once"`
		Expires time.Time `json:"expires"`
	}
}

func (s *Server) makeToken(ctx context.Context, a caller, in *tokenInput) (*tokenOutput, error) {
	b, r := in.Body, realmOf(ctx, a.Actor, a.Decision)
	if b.Grid == "" && !r.everywhere {
		return nil, errOwnGrid
	}
	t := NewToken{
		Role: auth.Role(b.Role), Grid: b.Grid, County: b.County, Department: b.Department, Note: b.Note,
		Life: time.Duration(b.ExpiresS) * time.Second,
	}
	if b.Grid != "" && t.County == "" {
		t.County = r.root
	}
	var err error
	if b.Badge != "" {
		if t.Worker, err = s.workerOf(r, b.Badge); err != nil {
			return nil, err
		}
	}
	t.inside = r.holds
	made, err := MakeToken(ctx, s.o.DB, a.Actor, t, s.o.Now())
	if err != nil {
		return nil, err
	}
	out := &tokenOutput{}
	out.Body.ID, out.Body.Token, out.Body.Expires = strconv.FormatInt(made.ID, 10), made.Secret, made.Expires
	return out, nil
}

// NewToken is a token asked for.
type NewToken struct {
	Role       auth.Role
	Grid       string // "" for every county
	County     string // of Grid, where several counties use its code
	Department string // code or name
	Worker     uint32
	Sensitive  bool
	Note       string
	Life       time.Duration

	inside func(code string, no int32) bool // nil for anywhere
}

// MadeToken is a token that was made.
type MadeToken struct {
	ID      int64
	Secret  string
	Expires time.Time
}

// MakeToken makes a token, audited in the same transaction.
func MakeToken(ctx context.Context, db *store.DB, a auth.Actor, t NewToken, now time.Time) (MadeToken, error) {
	out := MadeToken{Secret: store.NewSecret(), Expires: now.Add(t.Life)}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		g := store.Grant{Role: t.Role, GridCode: t.Grid, RootCode: t.County, Sensitive: t.Sensitive}
		if err := store.CheckGrant(ctx, tx, &g, t.Department, t.Worker); err != nil {
			return err
		}
		if t.inside != nil && !t.inside(g.GridCode, g.No) {
			return store.ErrNoGrid // as if there were none
		}
		var err error
		out.ID, err = db.SaveCredential(ctx, tx, out.Secret, store.Credential{
			Kind: store.Token, Role: g.Role, GridCode: g.GridCode, RootCode: g.RootCode, Department: g.Department, Worker: t.Worker,
			Sensitive: t.Sensitive, Note: t.Note, CreatedBy: a.ID, CreatedAt: now, ExpiresAt: &out.Expires,
		})
		if err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a, requestID(ctx), "token.create", fmt.Sprintf("token/%d", out.ID), "", map[string]any{
			"role": g.Role, "grid": g.GridCode, "county": g.RootCode, "department": g.Department, "worker": t.Worker, "sensitive": t.Sensitive, "expires": out.Expires,
		})
	})
	return out, err
}

type wallInput struct {
	Body struct {
		Name      string   `json:"name" minLength:"1" maxLength:"40" pattern:"^[A-Za-z0-9_-]+$" doc:"What to call this wall, for example hall-1"`
		Grid      string   `json:"grid,omitempty" maxLength:"64" doc:"Code of the grid it shows; every county when left out"`
		County    string   `json:"county,omitempty" maxLength:"64" doc:"Code of the grid's county, where several counties use the grid's code"`
		Layers    []string `json:"layers,omitempty" minItems:"1" maxItems:"64" doc:"The layers it shows: grids, roads, cameras, and named layers by their codes; all that walls may see when left out"`
		Addresses []string `json:"addresses,omitempty" maxItems:"32" doc:"Where it may stand: addresses and networks such as 10.1.2.0/24; anywhere when left out"`
	}
}

type wallOutput struct {
	Body struct {
		Link    string    `json:"link" doc:"To be opened once on the wall's own browser"`
		Expires time.Time `json:"expires"`
	}
}

func (s *Server) makeWall(ctx context.Context, a caller, in *wallInput) (*wallOutput, error) {
	b, r := in.Body, realmOf(ctx, a.Actor, a.Decision)
	if b.Grid == "" && !r.everywhere {
		return nil, errOwnGrid
	}
	w := NewWall{Name: b.Name, Grid: b.Grid, County: b.County, Layers: b.Layers, Addresses: b.Addresses, inside: r.holds}
	if b.Grid != "" && w.County == "" {
		w.County = r.root
	}
	link, expires, err := MakeWallLink(ctx, s.o.DB, a.Actor, s.o.Link(), w, s.o.Now())
	if err != nil {
		return nil, err
	}
	out := &wallOutput{}
	out.Body.Link, out.Body.Expires = link, expires
	return out, nil
}

var (
	wallName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)
	wallLayers  = []string{"grids", "roads", "cameras"}
	errWallName = errors.New("a wall's name is 1 to 40 letters, digits, - and _")
	errLayer    = errors.New("a wall's layers are of grids, roads, cameras, and named layers of its county that walls may see (access walls)")
	errAddress  = errors.New("this is no address and no network such as 10.1.2.0/24")
)

// NewWall is a wall asked for.
type NewWall struct {
	Name      string
	Grid      string   // "" for every county
	County    string   // of Grid, where several counties use its code
	Layers    []string // that it shows; nil for all
	Addresses []string // where it may stand: addresses and networks; none for anywhere

	inside func(code string, no int32) bool // nil for anywhere
}

// codeLife is how long a wall's link is good for.
const codeLife = 10 * time.Minute

// MakeWallLink makes a wall's one-time link, audited in the same transaction.
func MakeWallLink(ctx context.Context, db *store.DB, a auth.Actor, base string, w NewWall, now time.Time) (string, time.Time, error) {
	if !wallName.MatchString(w.Name) {
		return "", time.Time{}, errWallName
	}
	networks, err := Networks(w.Addresses)
	if err != nil {
		return "", time.Time{}, err
	}
	code, expires := store.NewSecret(), now.Add(codeLife)
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		g := store.Grant{Role: auth.Wall, GridCode: w.Grid, RootCode: w.County}
		if err := store.CheckGrant(ctx, tx, &g, "", 0); err != nil {
			return err
		}
		if w.inside != nil && !w.inside(g.GridCode, g.No) {
			return store.ErrNoGrid // as if there were none
		}
		for _, l := range w.Layers {
			if err := wallMayShow(ctx, tx, l, g); err != nil {
				return err
			}
		}
		id, err := db.SaveCredential(ctx, tx, code, store.Credential{
			Kind: store.WallCode, Role: auth.Wall, GridCode: g.GridCode, RootCode: g.RootCode, Wall: w.Name, Layers: w.Layers, Addresses: networks,
			CreatedBy: a.ID, CreatedAt: now, ExpiresAt: &expires,
		})
		if err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a, requestID(ctx), "wall.link", fmt.Sprintf("wall_code/%d", id), "",
			map[string]any{"wall": w.Name, "grid": g.GridCode, "county": g.RootCode, "layers": w.Layers, "addresses": w.Addresses})
	})
	// The code stands in the fragment, which a browser never sends or logs.
	return strings.TrimSuffix(base, "/") + "/wall#code=" + code, expires, err
}

// wallMayShow says why a wall cannot show a layer.
func wallMayShow(ctx context.Context, tx pgx.Tx, code string, g store.Grant) error {
	if slices.Contains(wallLayers, code) {
		return nil
	}
	l, err := store.LayerNamed(ctx, tx, code)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!slices.Contains(l.Access, auth.Walls) || g.RootCode != "" && g.RootCode != l.Root) {
		return errLayer
	}
	return err
}

// Networks reads addresses and networks; none is nil.
func Networks(texts []string) (out []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q: %w", text, errAddress)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: %w", text, errAddress)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// WorkerToken is the token of one worker.
type WorkerToken struct {
	Badge string
	MadeToken
}

// MakeWorkerTokens makes a grid_worker's token of t's life, note and County for each
// active worker with a home grid, in the order of their ids; audited one by one.
func MakeWorkerTokens(ctx context.Context, db *store.DB, a auth.Actor, t NewToken, now time.Time) ([]WorkerToken, error) {
	homes, err := db.Homes(ctx, t.County, now)
	if err != nil {
		return nil, err
	}
	out := make([]WorkerToken, len(homes))
	for i, h := range homes {
		one := t
		one.Role, one.Worker, one.Grid, one.County = auth.GridWorker, h.Worker, h.Grid, h.Root
		if out[i].MadeToken, err = MakeToken(ctx, db, a, one, now); err != nil {
			return nil, fmt.Errorf("worker %s: %w", h.Badge, err)
		}
		out[i].Badge = h.Badge
	}
	return out, nil
}
