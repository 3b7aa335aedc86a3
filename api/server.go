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
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo/gazetteer"
	"onemap/geo/road"
	"onemap/hub"
	"onemap/internal/attach"
	"onemap/layer"
	"onemap/mirror"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
	"onemap/tiles"
	"onemap/tiles/base"
	"onemap/track"
)

// Options are what the API works with. All fields are needed but those that say
// otherwise.
type Options struct {
	DB         *store.DB // changes
	Reports    *store.DB // reports: nothing else takes their connections
	Reads      *store.DB
	WallReads  *store.DB // as a role of the database that reaches no personal field
	Care       *store.DB // the server's own looks: leases of sockets
	Sealer     *store.Sealer
	Catalogue  *store.Catalogue
	Ledger     *ledger.Ledger
	Adviser    *store.Adviser
	Hub        *hub.Hub
	Tiles      *tiles.Server
	Mirror     *mirror.Mirror           // incidents in memory; nil for none
	Base       *base.Map                // beneath the layers; nil for none
	Dots       func() []track.Dot       // the live positions
	TasksKnown func() bool              // whether they tell who is on accepted work
	Roads      func() *road.Graph       // what travel times are worked out along
	People     func() *people.Directory // workers and devices
	// Fixes keeps fixes of a device and returns once they are committed; taken is false of
	// those that will never be.
	Fixes    func(context.Context, people.Device, []track.Fix) (taken bool, err error)
	Places   func() *gazetteer.Index  // the address search
	Due      func()                   // an enactment of grids is due: told so that it is not waited for; may be nil
	Overlays func() *store.OverlaySet // areas beside the tree
	Layers   func() *layer.Book       // named layers and cameras
	Media    *Media                   // the media gateway; nil without one
	Files    *attach.Keeper           // of attachments
	Now      func() time.Time
	Log      *slog.Logger
	Pages    fs.FS // the built front end
	Ready    func(context.Context) error
	Status   func() Loading           // progress of the demo load
	Sweep    func() ledger.SweepState // how this node's sweep of limits stands; may be nil
	Version  string                   // of the program
	Link     func() string            // base address people reach this server at
	Limits   Limits
	Proxies  []string     // networks whose X-Forwarded-For is believed; none when empty
	Refused  func(string) // told of each limit met, by rule; may be nil
}

// Loading is the progress of a load that goes on while the server serves. The
// zero Loading means that nothing is being loaded.
type Loading struct {
	Done, Total int64
	Text        string
}

// Server answers HTTP requests.
type Server struct {
	o          Options
	huma       huma.API
	gin        *gin.Engine
	gates      *gates
	known      knowledge
	unknown    *auth.Lockout // wrong secrets, by address
	strangers  chan struct{} // places for secrets from an address that sends many wrong ones
	door       *door
	large      chan struct{}  // bodies of more than openBody that are read
	openings   *auth.Throttle // of cameras, by person
	batches    chan struct{}  // and of more than maxBody
	counting   chan struct{}  // figures of long periods
	studies    *analysis.Studies
	hotAnswers *kept[*hotAnswer]      // for tiles
	coverages  *kept[*coverageAnswer] // likewise
	questions  map[string][]string    // parameters of the layers that are asked a question
	baseWarned atomic.Int64           // when it was last logged that the base map does not come
	baseTiles  chan struct{}          // tiles of the base map that are answered
	proxies    []netip.Prefix         // those whose headers are believed
	comparing  comparisons            // of boundary sets

	open  context.Context // what goes on without a request ends with it
	close context.CancelFunc
}

// Close ends what goes on without a request, so that nothing waits for it. Requests
// are answered on.
func (s *Server) Close() { s.close() }

// New makes the server's handler.
func New(o Options) *Server {
	useProblems()
	gin.SetMode(gin.ReleaseMode)
	o.Limits.setDefaults()
	if o.Due == nil {
		o.Due = func() {}
	}
	if o.Sweep == nil {
		o.Sweep = func() ledger.SweepState { return ledger.SweepState{} }
	}
	s := &Server{o: o, gin: gin.New(), gates: newGates(o.Limits), unknown: auth.NewLockout(o.Limits.WrongSecrets, time.Minute, 10*time.Minute, maxCallers)}
	s.open, s.close = context.WithCancel(context.Background())
	s.openings = auth.NewThrottle(o.Limits.CameraLinksPerMinute, time.Minute, maxCallers)
	s.door, s.strangers = newDoor(o.Limits), make(chan struct{}, 2)
	s.large, s.batches = make(chan struct{}, largeAtOnce), make(chan struct{}, largeAtOnce)
	s.counting = make(chan struct{}, countsAtOnce)
	s.studies = analysis.NewStudies()
	s.questions = map[string][]string{}
	s.gin.RemoteIPHeaders = []string{"X-Forwarded-For"}
	s.proxies, _ = Networks(o.Proxies)     // as below
	_ = s.gin.SetTrustedProxies(o.Proxies) // checked by the program's start; none: no header moves the caller's address
	s.gin.ContextWithFallback = true
	s.gin.HandleMethodNotAllowed = true
	s.gin.Use(s.begin, gin.CustomRecoveryWithWriter(nil, s.recovered), ownPages, s.identify)
	s.gin.NoMethod(func(c *gin.Context) {
		refuse(c, problem(http.StatusMethodNotAllowed, "this address takes other methods"))
	})

	cfg := huma.DefaultConfig("OneMap 一图", o.Version)
	cfg.Info.Description = "Map-centred command and dispatch for county social-governance centres."
	cfg.OpenAPIPath = "/api/openapi"
	cfg.DocsPath, cfg.SchemasPath = "", ""
	cfg.CreateHooks = nil // they put the caller's Host header into answers
	cfg.RejectUnknownQueryParameters = true
	cfg.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat} // Server.body is stricter
	cfg.DefaultFormat = "application/json"
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer":  {Type: "http", Scheme: "bearer", Description: "a machine's token (onemap token create)"},
		"session": {Type: "apiKey", In: "cookie", Name: plainCookie},
	}
	s.huma = humagin.New(s.gin, cfg)
	s.health()
	s.session()
	s.accounts()
	s.credentials()
	s.audit()
	s.categories()
	s.incidents()
	s.duplicates()
	s.remarks()
	s.dossier()
	s.offers()
	s.whistles()
	s.notices()
	s.patrols()
	s.reporters()
	s.attachments()
	s.supervisions()
	s.calendar()
	s.grids()
	s.gridVersions()
	s.overlays()
	s.places()
	s.figures()
	s.periodFigures()
	s.bulletins()
	s.hotSpots()
	s.response()
	s.workers()
	s.nearest()
	s.selects()
	s.calls()
	s.duty()
	s.ownPlaces()
	s.staff()
	s.liaisons()
	s.contacts()
	s.handovers()
	s.candidates()
	s.coverage()
	s.steps()
	s.rules()
	s.layers()
	s.cameras()
	s.tracks()
	s.exports()
	s.periodExports()
	s.mapRoutes()
	s.hotTiles()
	s.coverageTiles()
	s.baseMap()
	s.pages()
	return s
}

// Handler is the server as an http.Handler.
func (s *Server) Handler() http.Handler { return s.gin }

// Routes lists every route that is served.
func (s *Server) Routes() gin.RoutesInfo { return s.gin.Routes() }

type contextKey int

const (
	keyAsking contextKey = iota
	keyBody
	keyStream
)

// asking is what is known of a request before its handler begins. It is one value in the
// context: each by itself would copy the request once more.
type asking struct {
	id      string
	address netip.Addr
	secure  bool             // over TLS
	actor   auth.Actor       // nobody where nobody signed in
	cred    store.Credential // likewise
}

// askingOf is nobody's where there is none. It is not to be changed.
func askingOf(ctx context.Context) *asking {
	if a, is := ctx.Value(keyAsking).(*asking); is {
		return a
	}
	return &nobodys
}

var nobodys asking

// begin gives the request an id and the headers every answer carries.
func (s *Server) begin(c *gin.Context) {
	b := make([]byte, 8)
	rand.Read(b)
	id := hex.EncodeToString(b)
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), keyAsking, &asking{id: id}))
	h := c.Writer.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	c.Next()
}

// ownPages refuses a change that a page of another site makes a browser send, be
// it a sign-in, and a body that does not say what it is: no page can send JSON to
// another site by that name without asking first.
func ownPages(c *gin.Context) {
	r := c.Request
	if safeMethod(r.Method) {
		c.Next()
		return
	}
	_, kind := credentialOf(r)
	switch {
	case kind != store.Token && otherSite(r):
		refuse(c, problem(http.StatusForbidden, "this request came from another site"))
	case r.ContentLength != 0 && r.Header.Get("Content-Type") == "":
		refuse(c, problem(http.StatusUnsupportedMediaType, "say what the body is: Content-Type: application/json"))
	default:
		c.Next()
	}
}

// otherSite reports whether a browser names another page than ours as the
// request's origin.
func otherSite(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return false
	}
	u, err := url.Parse(origins[0])
	return err != nil || len(origins) > 1 || u.User != nil || u.Path != "" || u.Scheme != "http" && u.Scheme != "https" || !strings.EqualFold(u.Host, r.Host)
}

// contentPolicy lets a page use what this server serves and nothing else.
// MapLibre's worker starts from a blob; style attributes are Vue's and MapLibre's.
const contentPolicy = "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self'; style-src-attr 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func requestID(ctx context.Context) string { return askingOf(ctx).id }

// actorOf is who asks; the zero Actor when nobody signed in.
func actorOf(ctx context.Context) auth.Actor { return askingOf(ctx).actor }

// need is the row of the policy that a route falls under.
type need struct {
	action   auth.Action
	resource auth.Resource
}

// Two routes' needs are not in the policy: open ones are for everybody, own ones
// for whoever has signed in, about their own session alone, locked or not.
var (
	open = need{}
	own  = need{resource: "session"}
)

// caller is who asks, and what the policy lets them do on this route.
type caller struct {
	auth.Actor
	auth.Decision
}

// may admits whoever asks to a route, or says why not.
func may(ctx context.Context, n need) (caller, error) {
	c := caller{Actor: actorOf(ctx)}
	var err error
	switch n {
	case open:
	case own:
		if c.ID == "" {
			err = auth.ErrNobody
		}
	default:
		c.Decision, err = auth.Decide(c.Actor, n.action, n.resource)
	}
	return c, err
}

// route registers one operation of the contract. Every operation names the row of
// the policy that it needs.
func route[I, O any](s *Server, n need, op huma.Operation, f func(context.Context, caller, *I) (*O, error)) {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBody
	}
	if n == open {
		op.MaxBodyBytes = openBody
	}
	op.Extensions = map[string]any{"x-onemap-policy": string(n.action) + " " + string(n.resource)}
	if n != open {
		op.Security = []map[string][]string{{"bearer": {}}, {"session": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusLocked)
	}
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusServiceUnavailable)
	of, health := classOf(op.Method, op.Path), !strings.HasPrefix(op.Path, "/api/")
	within := deadline(op.Method)
	if op.Metadata[streamed] != nil {
		within = uploadTime + completeTime
	}
	if longer, ok := op.Metadata[patient].(time.Duration); ok {
		within = longer
	}
	reading := safeMethod(op.Method) || n.action == auth.Read // a question too long for an address is a POST
	if reading && of == changes {
		of = reads
	}
	// Rights and pace come before the body is read: who may not send one holds up
	// nobody with it.
	op.Middlewares = append(op.Middlewares, func(hc huma.Context, next func(huma.Context)) {
		c, err := may(hc.Context(), n)
		if err == nil && c.ID != "" {
			err = s.pace(hc.Context(), of, c.ID)
		}
		if u := hc.URL(); err == nil {
			err = onceEach(u.RawQuery)
		}
		leave := func() {}
		switch {
		case err != nil || safeMethod(op.Method):
		case op.Metadata[streamed] != nil:
			g := humagin.Unwrap(hc)
			hc = huma.WithValue(hc, keyStream, newPartBody(g.Request, hc.SetReadDeadline, http.NewResponseController(g.Writer).SetWriteDeadline))
		default:
			hc, leave, err = s.body(hc, op.MaxBodyBytes)
		}
		if err != nil {
			s.write(hc, s.answer(hc.Context(), err))
			return
		}
		defer leave()
		next(hc)
	})
	huma.Register(s.huma, op, func(ctx context.Context, in *I) (*O, error) {
		c, err := may(ctx, n)
		if err != nil {
			return nil, s.answer(ctx, err)
		}
		if !health && n != open { // who wants in has queues of its own, and waits in no place for changes
			costs := safeMethod(op.Method) && c.ID != "" && n != own // questions by the hundred thousand are bounded by themselves
			if costs {
				if err := s.afford(ctx, c.ID); err != nil {
					return nil, err
				}
			}
			leave, err := s.takeFor(ctx, of, c.ID)
			if err != nil {
				return nil, err
			}
			defer leave()
			if costs {
				defer s.spent(c.ID, s.o.Now())
			}
			if !reading {
				s.act(ctx, of)
			}
		}
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		out, err := f(ctx, c, in)
		if err != nil {
			return nil, s.answer(ctx, err)
		}
		return out, nil
	})
}

// onceEach refuses a query that cannot be read, or that names a parameter twice: a part of
// it would be left out, and the answer would be about something else than was asked.
func onceEach(query string) error {
	if query == "" {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return errQuery
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) > 1 {
			return problem(http.StatusBadRequest, fmt.Sprintf("%.40s stands in the query more than once: name it once, several values apart by commas", name))
		}
	}
	return nil
}

var errQuery = problem(http.StatusBadRequest, "the query of the address cannot be read: write & between its parameters, %25 for a % and %3B for a ;")

// patient marks operations that may take longer than others, with how long.
const patient = "patient"

// deadline bounds the work on one request.
func deadline(method string) time.Duration {
	if method == http.MethodGet {
		return 3 * time.Second
	}
	return 5 * time.Second
}
