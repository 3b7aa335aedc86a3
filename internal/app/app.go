// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/frontend"
	"onemap/geo/gazetteer"
	"onemap/hub"
	"onemap/internal/attach"
	"onemap/internal/backup"
	"onemap/internal/job"
	"onemap/internal/localpg"
	"onemap/internal/notify"
	"onemap/migrations"
	"onemap/mirror"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
	"onemap/tiles"
	"onemap/tiles/base"
	"onemap/track"
	"onemap/track/osmand"
)

// Server is a running product.
type Server struct {
	o            Options
	db           *store.DB // the owner's: migrations, partitions, the sequencer, the pump
	pools        pools
	urlAs        func(role string) string
	catalogue    *store.Catalogue
	seal         *store.Sealer
	ledger       *ledger.Ledger
	files        *attach.Keeper // of attachments
	hub          *hub.Hub
	tiles        *tiles.Server
	base         *base.Map
	mirror       *mirror.Mirror
	mirrorDue    chan struct{}                   // every incident has to be read again
	mirrorTook   atomic.Int64                    // the last load of the mirror, in nanoseconds
	hidden       atomic.Pointer[map[string]bool] // the categories whose place is never shown
	fixes        *fixWriter
	metrics      *metrics
	sweep        *ledger.Sweeper
	api          *api.Server
	layers       atomic.Pointer[layers]
	overlays     atomic.Pointer[store.OverlaySet]
	places       atomic.Pointer[gazetteer.Index]
	named        atomic.Pointer[named]
	naming       sync.Mutex                // held by who reads the layers: who reads later stores later
	layersDue    chan struct{}             // the configuration has changed: people and layers
	overlaysDue  chan struct{}             // the configuration has changed: overlays
	placesDue    chan struct{}             // places or grids have changed: the address search
	namedDue     chan struct{}             // named layers, cameras or grids have changed
	camerasMoved atomic.Bool               // cameras wait to be read again
	plansDue     chan struct{}             // an enactment of grids is due
	triedSince   map[planKey]time.Time     // when this node first tried each plan that is due; followPlans alone uses it
	treeAhead    chan int32                // a draft has its numbers: its tree is read before it is in force
	behind       atomic.Bool               // people or layers wait to be read again
	peopleDue    chan struct{}             // a shift began or ended
	offersDue    chan struct{}             // offers have changed: who is on accepted work
	tasksAt      atomic.Pointer[time.Time] // when that was last looked up
	load         atomic.Pointer[api.Loading]
	wake         chan struct{} // something was committed: the sequencer
	heads        chan struct{} // the feed has grown: the pump
	pumped       atomic.Int64  // unix nanoseconds of the pump's last good look at the feed
	whole        caughtUp      // when the pump was last at the feed's end
	unnumbered   waiting       // the outbox, as the pump saw it last
	ready        chan struct{} // closed once the hub has its state
	answers      lookOnce      // whether the database answers

	main, device net.Listener
	media        *api.Media      // the media gateway; nil without one
	notifier     notify.Notifier // carries word of offers to workers' pockets
	secure       *tls.Config     // of the main listener; nil without TLS
	failed       chan error
	ends         []end
	stopOnce     sync.Once
	stopErr      error
}

// end is one step of stopping; steps run in the reverse order of starting.
type end struct {
	what string
	stop func(context.Context) error
}

// drain is how long a stop may take before it becomes rude.
const drain = 10 * time.Second

// Start brings everything up and returns when the server takes requests. On an
// error nothing is left running.
func Start(ctx context.Context, o Options) (*Server, error) {
	o.setDefaults()
	s := &Server{
		o: o, wake: make(chan struct{}, 1), heads: make(chan struct{}, 1), layersDue: make(chan struct{}, 1), placesDue: make(chan struct{}, 1),
		peopleDue: make(chan struct{}, 1), offersDue: make(chan struct{}, 1), plansDue: make(chan struct{}, 1), triedSince: map[planKey]time.Time{}, overlaysDue: make(chan struct{}, 1), namedDue: make(chan struct{}, 1), mirrorDue: make(chan struct{}, 1), treeAhead: make(chan int32, 4), ready: make(chan struct{}), failed: make(chan error, 8),
	}
	s.load.Store(&api.Loading{})
	o.Log.Info("starting", "version", o.Version, "options", o)
	for _, step := range []struct {
		what string
		run  func(context.Context) error
	}{
		{"options", s.checkOptions},
		{"data folder", s.makeData},
		{"database", s.startDatabase},
		{"schema", s.migrate},
		{"record", s.openRecord},
		{"loops", s.startLoops},
		{"live state", s.awaitState},
		{"listeners", s.startListeners},
		{"first start", s.firstStart},
	} {
		if err := step.run(ctx); err != nil {
			_ = s.Stop(context.WithoutCancel(ctx))
			return nil, fmt.Errorf("%s: %w", step.what, err)
		}
	}
	if o.Demo {
		s.startDemo()
	}
	o.Log.Info("serving", "url", s.URL(), "devices", s.DeviceURL())
	return s, nil
}

// URL is the base address of pages and API.
func (s *Server) URL() string {
	if s.secure != nil {
		return "https://" + reach(s.main)
	}
	return "http://" + reach(s.main)
}

// DeviceURL is the base address devices send to.
func (s *Server) DeviceURL() string { return "http://" + reach(s.device) }

// reach is an address a program on this machine can call.
func reach(l net.Listener) string {
	a := l.Addr().(*net.TCPAddr)
	if a.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", a.Port)
	}
	return a.String()
}

// Failed tells of an end of something the server cannot do without.
func (s *Server) Failed() <-chan error { return s.failed }

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// onStop adds a step of stopping.
func (s *Server) onStop(what string, f func(context.Context) error) {
	s.ends = append(s.ends, end{what, f})
}

// Stop drains: listeners first, PostgreSQL last. Steps that take too long are
// cut short one by one; the database is always stopped properly.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.o.Log.Info("stopping")
		soft, cancel := context.WithTimeout(ctx, drain-2*time.Second)
		defer cancel()
		for _, e := range slices.Backward(s.ends) {
			sctx := soft
			if e.what == "postgres" {
				var c context.CancelFunc
				sctx, c = context.WithTimeout(ctx, drain)
				defer c()
			}
			if err := e.stop(sctx); err != nil {
				s.o.Log.Warn("stop", "what", e.what, "err", err)
				s.stopErr = errors.Join(s.stopErr, fmt.Errorf("stop %s: %w", e.what, err))
			}
		}
		s.o.Log.Info("stopped")
	})
	return s.stopErr
}

// checkOptions refuses what would otherwise be noticed too late.
func (s *Server) checkOptions(context.Context) error {
	if _, err := api.Networks(s.o.TrustedProxies); err != nil {
		return fmt.Errorf("--trusted-proxies: %w: name an address or a network, for example 10.1.2.3 or 10.1.2.0/24", err)
	}
	if _, err := base.Check(s.o.Base); err != nil {
		return err
	}
	var err error
	s.media, err = api.NewMedia(s.o.MediaGateway, s.o.MediaKeyFile, s.o.MediaTTL)
	if err != nil {
		return err
	}
	s.notifier, err = notify.New(notify.Options{
		URL: s.o.NotifyURL, Hosts: s.o.NotifyHosts, KeyFile: s.o.NotifyKeyFile, File: filepath.Join(s.o.Data, notifyFile), Now: s.o.Now,
	})
	return err
}

func (s *Server) makeData(context.Context) error {
	if err := backup.Unfinished(s.o.Data); err != nil {
		return err
	}
	if err := os.MkdirAll(s.o.Data, 0o755); err != nil {
		return fmt.Errorf("data folder %s: %w", s.o.Data, err)
	}
	return nil
}

func (s *Server) startDatabase(ctx context.Context) error {
	s.urlAs = func(string) string { return s.o.DatabaseURL } // an outside one: the connections step down
	if s.o.DatabaseURL != "" {
		return store.CheckServer(ctx, s.o.DatabaseURL)
	}
	pg, err := localpg.Start(ctx, localpg.Options{Dir: s.o.Data, Log: s.o.Log})
	if err != nil {
		return err
	}
	s.onStop("postgres", pg.Stop)
	s.o.DatabaseURL = pg.URL(localpg.Database)
	s.urlAs = func(role string) string { return pg.URLAs(role, localpg.Database) }
	go func() { // ends with the cluster's supervisor
		<-pg.Done()
		if err := pg.Err(); err != nil {
			s.fail(fmt.Errorf("private database: %w", err))
		}
	}()
	return nil
}

func (s *Server) migrate(ctx context.Context) error {
	return store.Migrate(ctx, s.o.DatabaseURL, migrations.FS)
}

func (s *Server) openRecord(ctx context.Context) error {
	var err error
	if s.db, err = store.Open(ctx, s.o.DatabaseURL, store.Options{MaxConns: 6}); err != nil {
		return err
	}
	s.onStop("pool", func(context.Context) error { s.db.Close(); return nil })
	if s.seal, err = s.db.OpenSealer(ctx, s.o.Data); err != nil { // first: under a wrong key nothing is written
		return err
	}
	if err := s.openPools(ctx); err != nil {
		return err
	}
	if n, err := job.MarkDead(ctx, s.db.Pool); err != nil {
		return err
	} else if n > 0 {
		s.o.Log.Warn("imports were cut off; the same commands go on where they ended", "jobs", n)
	}
	cats, err := s.db.Categories(ctx)
	if err != nil {
		return err
	}
	if len(cats) == 0 {
		if err := s.db.SaveCategories(ctx, dispatch.DefaultCategories()); err != nil {
			return err
		}
	}
	if s.catalogue, err = store.NewCatalogue(ctx, s.pools.care); err != nil {
		return err
	}
	s.ledger = ledger.New(ledger.Options{
		DB: s.pools.changes, Reports: s.pools.reports, Catalogue: s.catalogue, Sealer: s.seal, Now: s.o.Now, Wake: s.nudge(s.wake), Folded: s.folded,
		Evidence: hasEvidence, Staffed: s.staffed,
		Home: s.home, Where: s.whereFresh, Advice: advising{s},
	})
	s.files = attach.New(attach.Options{Data: s.o.Data, DB: s.pools.care, Ledger: s.ledger, Now: s.o.Now, Log: s.o.Log})
	n, err := s.ledger.Settle(ctx, auth.SystemActor("start"))
	if err != nil {
		s.o.Log.Warn("incidents in former grids stay there until the server starts again, or the grids are redrawn", "err", err)
	}
	if n > 0 {
		s.o.Log.Info("incidents in former grids are in those in force now", "incidents", n)
	}
	return nil
}

// stateWait is how long a start waits for the live state. Without it the server
// starts too, says by /readyz that it is not ready, and goes on trying.
const stateWait = 5 * time.Second

// awaitState waits for the live state, so that whoever is told the address finds
// the stream open.
func (s *Server) awaitState(ctx context.Context) error {
	select {
	case <-s.ready:
	case <-time.After(stateWait):
		s.o.Log.Warn("serving before the live state is loaded")
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// nudge makes a function that signals c without ever waiting.
func (s *Server) nudge(c chan struct{}) func() {
	return func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// loop runs f until the server stops, and waits for its end then.
func (s *Server) loop(what string, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	s.onStop(what, func(sctx context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-sctx.Done():
			return sctx.Err()
		}
	})
}

// hasEvidence says whether something is attached to an incident.
func hasEvidence(ctx context.Context, tx pgx.Tx, incident int64) (bool, error) {
	return store.HasEvidence(ctx, tx, incident)
}

// staffed says whether a department has a liaison in the incident's county, or the
// county names none for any.
func (s *Server) staffed(ctx context.Context, tx pgx.Tx, department int64, in store.Incident, now time.Time) (bool, error) {
	path, err := s.catalogue.Path(ctx, in.Place.GridID)
	if err != nil || len(path) == 0 {
		return false, err
	}
	_, err = store.LiaisonOf(ctx, tx, department, path[0].Code, now)
	var none *store.NoLiaisonError
	if errors.As(err, &none) {
		guarded, err := store.NamesLiaisons(ctx, tx, path[0].Code, now)
		return err == nil && !guarded, err
	}
	return err == nil, err
}

func (s *Server) startListeners(ctx context.Context) error {
	pages, err := fs.Sub(frontend.Dist, "dist")
	if err != nil {
		return err
	}
	if s.base, err = OpenBase(s.o.Base, s.o.Data); err != nil {
		return err
	}
	s.onStop("base map", func(context.Context) error { s.base.Close(); return nil })
	s.api = api.New(api.Options{
		DB: s.pools.changes, Reports: s.pools.reports, Reads: s.pools.reads, WallReads: s.pools.walls, Care: s.pools.care, Sealer: s.seal,
		Places: s.places.Load, Overlays: s.overlays.Load, Layers: s.namedLayers, Media: s.media, Files: s.files, Due: s.nudge(s.plansDue), Now: s.o.Now, Log: s.o.Log, Pages: pages, Ready: s.isReady, Status: func() api.Loading { return *s.load.Load() }, Sweep: s.sweep.State,
		Catalogue: s.catalogue, Ledger: s.ledger, Adviser: s.adviser(), Hub: s.hub, Tiles: s.tiles, Mirror: s.mirror, Base: s.base, Dots: s.fixes.Live().Dots, TasksKnown: s.knowsTasks, Roads: s.roads, People: s.fixes.Directory, Fixes: s.keepFixes,
		Version: s.o.Version, Link: s.URL, Limits: s.o.Limits, Proxies: s.o.TrustedProxies, Refused: func(rule string) { s.metrics.refused.WithLabelValues(rule).Inc() },
	})
	if s.secure, err = s.certificate(); err != nil {
		return err
	}
	if s.device, err = s.listen(ctx, "device listener", s.o.DeviceListen, s.deviceHandler(), nil); err != nil {
		return err
	}
	if s.o.AdminListen != "off" {
		if _, err = s.listen(ctx, "admin listener", s.o.AdminListen, s.adminHandler(), nil); err != nil {
			return err
		}
	}
	if s.main, err = s.listen(ctx, "listener", s.o.Listen, s.api.Handler(), s.secure); err != nil {
		return err
	}
	// First of all: a listener waits for its requests, and a pool for its connections.
	s.onStop("comparisons of grids", func(context.Context) error { s.api.Close(); return nil })
	return nil
}

// listen serves handler at addr until the server stops, over TLS when secure is
// not nil.
func (s *Server) listen(ctx context.Context, what, addr string, h http.Handler, secure *tls.Config) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w (is another server running? choose another address)", what, addr, err)
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 70 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, TLSConfig: secure, ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	go func() { // ends with Shutdown or Close below
		serve := func() error { return srv.Serve(l) }
		if secure != nil {
			serve = func() error { return srv.ServeTLS(l, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("%s: %w", what, err))
		}
	}()
	s.onStop(what, func(sctx context.Context) error {
		err := srv.Shutdown(sctx)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		return err
	})
	return l, nil
}

func (s *Server) deviceHandler() http.Handler {
	return osmand.New(osmand.Options{
		Directory: s.fixes.Directory, Sink: s.fixes, Now: s.o.Now, Log: s.o.Log, Count: func(f osmand.Fate) { s.metrics.fixes.WithLabelValues(string(f)).Inc() },
	})
}

// keepFixes keeps fixes that came by another door than the device listener.
func (s *Server) keepFixes(ctx context.Context, d people.Device, fixes []track.Fix) (taken bool, err error) {
	fate := osmand.Stored
	switch err := s.fixes.Put(ctx, d, fixes); {
	case errors.Is(err, osmand.ErrRefused):
		fate = osmand.Refused
		s.o.Log.Warn("fixes refused for good", "device", d.ID, "fixes", len(fixes), "error", err)
	case err != nil:
		return false, err
	}
	s.metrics.fixes.WithLabelValues(string(fate)).Add(float64(len(fixes)))
	return fate == osmand.Stored, nil
}

// isReady says why the server cannot do its work, or nil.
func (s *Server) isReady(ctx context.Context) error {
	select {
	case <-s.ready:
	default:
		return errors.New("the live state is still being loaded")
	}
	if err := s.answers.ask(ctx, s.pools.care.Pool.Ping); err != nil {
		return err
	}
	if age := time.Since(time.Unix(0, s.pumped.Load())); age > 5*time.Second {
		return fmt.Errorf("the feed was last read %s ago", age.Round(time.Second))
	}
	return nil
}
