// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package api is the HTTP door: it reads through store, tiles and hub with the
// caller's Scope and changes only through the ledger. The contract it serves is
// written out at /api/openapi.json.
package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/hub"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
	"onemap/tiles"
	"onemap/track"
)

// Options are what the API works with. All fields are needed.
type Options struct {
	DB        *store.DB
	Catalogue *store.Catalogue
	Ledger    *ledger.Ledger
	Hub       *hub.Hub
	Tiles     *tiles.Server
	Dots      func() []track.Dot       // the live positions
	People    func() *people.Directory // workers and devices
	Now       func() time.Time
	Log       *slog.Logger
	Pages     fs.FS // the built front end
	Ready     func(context.Context) error
	Status    func() Loading // progress of the demo load
	Version   string         // of the program
	Link      func() string  // base address people reach this server at
}

// Loading is the progress of a load that goes on while the server serves. The
// zero Loading means that nothing is being loaded.
type Loading struct {
	Done, Total int64
	Text        string
}

// Server answers HTTP requests.
type Server struct {
	o    Options
	huma huma.API
	gin  *gin.Engine
}

// maxBody bounds the body of a JSON request, in bytes.
const maxBody = 256 << 10

// New makes the server's handler.
func New(o Options) *Server {
	useProblems()
	gin.SetMode(gin.ReleaseMode)
	s := &Server{o: o, gin: gin.New()}
	_ = s.gin.SetTrustedProxies(nil) // no header moves the caller's address
	s.gin.ContextWithFallback = true
	s.gin.HandleMethodNotAllowed = true
	s.gin.Use(s.begin, gin.CustomRecoveryWithWriter(nil, s.recovered), s.identify)
	s.gin.NoMethod(func(c *gin.Context) {
		refuse(c, problem(http.StatusMethodNotAllowed, "this address takes other methods"))
	})

	cfg := huma.DefaultConfig("OneMap 一图", o.Version)
	cfg.Info.Description = "Map-centred command and dispatch for county social-governance centres."
	cfg.OpenAPIPath = "/api/openapi"
	cfg.DocsPath, cfg.SchemasPath = "", ""
	cfg.CreateHooks = nil // they put the caller's Host header into answers
	cfg.RejectUnknownQueryParameters = true
	cfg.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	cfg.DefaultFormat = "application/json"
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":  {Type: "http", Scheme: "bearer", Description: "a machine's token (onemap token create)"},
		"session": {Type: "apiKey", In: "cookie", Name: sessionCookie},
	}
	s.huma = humagin.New(s.gin, cfg)
	s.health()
	s.session()
	s.incidents()
	s.grids()
	s.figures()
	s.workers()
	s.mapRoutes()
	s.pages()
	return s
}

// Handler is the server as an http.Handler.
func (s *Server) Handler() http.Handler { return s.gin }

// Routes lists every route that is served.
func (s *Server) Routes() gin.RoutesInfo { return s.gin.Routes() }

type contextKey int

const (
	keyActor contextKey = iota
	keyRequest
	keyCredential
)

// begin gives the request an id and the headers every answer carries.
func (s *Server) begin(c *gin.Context) {
	b := make([]byte, 8)
	rand.Read(b)
	id := hex.EncodeToString(b)
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), keyRequest, id))
	h := c.Writer.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	c.Next()
}

// contentPolicy lets a page use what this server serves and nothing else.
// MapLibre's worker starts from a blob; Vue binds style attributes.
const contentPolicy = "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(keyRequest).(string)
	return id
}

// actorOf is who asks; the zero Actor when nobody signed in.
func actorOf(ctx context.Context) auth.Actor {
	a, _ := ctx.Value(keyActor).(auth.Actor)
	return a
}

// may admits an actor to an act, or says why not.
func may(ctx context.Context, act auth.Act) (auth.Actor, error) {
	a := actorOf(ctx)
	if a.ID == "" {
		return a, problem(http.StatusUnauthorized, "sign in first: send a Bearer token, or open a wall's one-time link")
	}
	if !a.May(act) {
		return a, problem(http.StatusForbidden, "not allowed for this role")
	}
	return a, nil
}

// route registers one operation of the contract. Every operation names the act
// it needs; open ("") is for the few that need none.
func route[I, O any](s *Server, act auth.Act, op huma.Operation, f func(context.Context, auth.Actor, *I) (*O, error)) {
	op.MaxBodyBytes = maxBody
	op.BodyReadTimeout = 10 * time.Second
	if act != open {
		op.Security = []map[string][]string{{"bearer": {}}, {"session": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusServiceUnavailable)
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*O, error) {
		actor := actorOf(ctx)
		if act != open {
			var err error
			if actor, err = may(ctx, act); err != nil {
				return nil, err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, deadline(op.Method))
		defer cancel()
		out, err := f(ctx, actor, in)
		if err != nil {
			return nil, s.answer(ctx, err)
		}
		return out, nil
	})
}

const open auth.Act = ""

// deadline bounds the work on one request.
func deadline(method string) time.Duration {
	if method == http.MethodGet {
		return 3 * time.Second
	}
	return 5 * time.Second
}
