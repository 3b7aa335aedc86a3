// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/api"
	"onemap/auth"
	"onemap/feed"
	"onemap/geo/grid"
	"onemap/hub"
	"onemap/mirror"
	"onemap/store"
	"onemap/store/ledger"
	"onemap/tiles"
)

// startLoops starts everything that goes on by itself.
func (s *Server) startLoops(ctx context.Context) error {
	s.metrics = newMetrics(s)
	s.fixes = newFixWriter(fixOptions{DB: s.pools.care, Owner: s.db, Now: s.o.Now, Log: s.o.Log})
	if err := s.fixes.Start(ctx); err != nil {
		return err
	}
	s.onStop("fixes", s.fixes.Stop)
	if err := s.reloadLayers(ctx); err != nil {
		return err
	}
	s.firstOverlays(ctx)
	if err := s.reloadNamed(ctx, true); err != nil {
		return err
	}
	if err := s.reloadPlaces(ctx); err != nil {
		return err
	}
	if err := s.lookAtTasks(ctx); err != nil {
		return err
	}
	s.mirror = mirror.New(s.pools.care, auth.System("tiles and counts of incidents are cut to each reader's scope"))
	s.otherCategories() // than these
	s.tiles = tiles.New(tiles.Options{
		Mirror:  s.mirror,
		Tree:    func() *grid.Tree { return s.catalogue.Now().Tree },
		Roads:   func() []tiles.Line { return s.layers.Load().roads },
		Cameras: func() []tiles.Spot { return s.named.Load().spots },
		Named:   s.namedLayers,

		Addresses: s.places.Load,
	})
	s.whole.note(time.Now()) // nothing is read yet: the age counts from here
	s.hub = hub.New(hub.Options{
		Now: s.o.Now, Log: s.o.Log, Dots: s.fixes.Live().Changed, FeedAge: s.feedAge, IP: api.Address,
		Read: func(ctx context.Context, after feed.Seq, limit int) ([]feed.Event, error) {
			return ledger.ReadFeed(ctx, s.db, auth.System("the hub filters by each reader's scope"), after, limit)
		},
	})
	s.loop("sequencer", (&ledger.Sequencer{
		Pool: s.db.Pool, Now: s.o.Now, Log: s.o.Log, Wake: s.wake, OnHead: func(feed.Seq) { s.nudge(s.heads)() },
	}).Run)
	s.loop("pump", s.pump)
	s.loop("mirror", s.loadMirror)
	s.loop("mirror check", func(ctx context.Context) { s.every(ctx, mirrorCheck, "mirror check", s.checkMirror) })
	s.loop("places", s.followPlaces)
	s.loop("layers", s.followNamed)
	s.loop("audit seal", (&ledger.AuditSealer{
		DB: s.pools.care, Key: s.seal.AuditKey(), Anchor: filepath.Join(s.o.Data, ledger.AnchorFile), Now: s.o.Now, Log: s.o.Log,
	}).Run)
	s.sweep = &ledger.Sweeper{Ledger: s.ledger, Pool: s.pools.care.Pool, Now: s.o.Now, Log: s.o.Log, Node: nodeName(), DatabaseNow: s.o.databaseNow}
	s.loop("sweep", s.sweep.Run)
	s.loop("catch up", s.followConfig)
	s.loop("people", s.followPeople)
	s.loop("overlays", s.followOverlays)
	s.loop("plans", s.followPlans)
	s.loop("days", s.followDays)
	s.loop("tree ahead", s.followTrees)
	s.loop("offers", s.sweepOffers)
	s.loop("tasks", s.followTasks)
	s.loop("arrivals", func(ctx context.Context) { s.every(ctx, arrivalEvery, "arrivals", s.noteArrivals) })
	s.loop("notifications", s.sendNotifications)
	s.loop("whistles", s.sweepWhistles)
	s.loop("patrols", func(ctx context.Context) { s.every(ctx, patrolEvery, "patrols", s.sweepPatrols) })
	s.loop("memory", s.boundMemory)
	s.loop("roll calls", func(ctx context.Context) {
		s.every(ctx, rollLook, "roll calls", func(ctx context.Context) error { return s.trusted(ctx, s.closeRolls) })
	})
	s.loop("attachments", func(ctx context.Context) { s.every(ctx, time.Minute, "attachments", s.files.Sweep) })
	s.loop("care", func(ctx context.Context) { s.every(ctx, time.Hour, "care", s.care) })
	s.onStop("hub", s.hub.Stop)
	return nil
}

// nodeName names this server in the timers it fires.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "server"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// every runs f now and then; a failure waits for the next time.
func (s *Server) every(ctx context.Context, d time.Duration, what string, f func(context.Context) error) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fctx, cancel := context.WithTimeout(ctx, time.Minute)
			if err := f(fctx); err != nil && ctx.Err() == nil {
				s.o.Log.Warn("loop", "what", what, "err", err)
			}
			cancel()
		}
	}
}

// rollLook is how often roll calls whose time is over are looked for.
const rollLook = time.Second

// trusted runs what judges by this server's clock, unless that is too far from the
// database's.
func (s *Server) trusted(ctx context.Context, f func(context.Context) error) error {
	if s.sweep.State().Refuse {
		return nil
	}
	return f(ctx)
}

func (s *Server) closeRolls(ctx context.Context) error {
	_, err := s.ledger.CloseRolls(ctx)
	return err
}

// keepKeys is how long an idempotency key is remembered: longer than a client
// stays offline.
const keepKeys = 7 * 24 * time.Hour

// keepWord is how long it is known what became of word of an offer.
const keepWord = 30 * 24 * time.Hour

// care drops what is past its time.
func (s *Server) care(ctx context.Context) error {
	_, err := s.db.Pool.Exec(ctx, "DELETE FROM idempotency WHERE at < $1", s.o.Now().Add(-keepKeys))
	removed, ferr := s.files.SweepOrphans(ctx)
	if removed > 0 {
		s.o.Log.Info("files of no attachment are removed", "files", removed)
	}
	_, err2 := s.db.Pool.Exec(ctx, "DELETE FROM notification WHERE next_at IS NULL AND made_at < $1", s.o.Now().Add(-keepWord))
	return errors.Join(err, err2, s.renew(), ferr)
}

// pumpBatch is how many events the pump reads at a time.
const pumpBatch = 1000

// pump brings the feed to this node: configuration first, then the hub. It looks
// when told of a new head, and every half second in any case.
func (s *Server) pump(ctx context.Context) {
	system := auth.System("a node folds the whole feed")
	var epoch feed.Epoch
	again := firstPause
	for ctx.Err() == nil {
		e, st, err := ledger.LoadState(ctx, s.db, system)
		if err == nil { // what changed before st's head is told by no event any more
			err = s.reloadConfig(ctx)
			s.nudge(s.placesDue)()
			s.camerasMoved.Store(true)
			s.nudge(s.namedDue)()
			s.mirror.Forget() // its numbers may be another feed's
			s.nudge(s.mirrorDue)()
		}
		switch {
		case err == nil && epoch == "":
			s.hub.Start(e, st)
			close(s.ready)
		case err == nil:
			s.hub.Reset(e, st)
		default: // on a new database the sequencer has yet to make the feed's head
			s.pause(ctx, again)
			again = min(2*again, pumpPause)
			continue
		}
		epoch, again = e, firstPause
		for ctx.Err() == nil {
			if err := s.pumpOnce(ctx, system, epoch); err != nil {
				if errors.Is(err, errNewEpoch) {
					break
				}
				if ctx.Err() == nil {
					s.o.Log.Warn("feed not read", "err", err)
				}
			}
			s.pause(ctx, pumpPause)
		}
	}
}

// How long the pump waits for word of a new head: to begin, twice as long each time,
// and from then on.
const (
	firstPause = 5 * time.Millisecond
	pumpPause  = 500 * time.Millisecond
)

func (s *Server) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-s.heads:
	case <-time.After(d):
	}
}

var errNewEpoch = errors.New("the feed has a new epoch")

// pumpOnce publishes everything new.
func (s *Server) pumpOnce(ctx context.Context, system auth.Scope, epoch feed.Epoch) error {
	for {
		var now feed.Epoch
		var oldest int64
		look := time.Now()
		err := s.db.Pool.QueryRow(ctx, "SELECT epoch::text, coalesce((SELECT min(id) FROM outbox), 0) FROM feed_head").Scan(&now, &oldest)
		if err != nil {
			return err
		}
		if s.unnumbered.note(oldest) {
			s.o.Log.Error("events get no number: no screen is told of new reports; they are kept", "waited", s.unnumbered.age().Round(time.Second))
		}
		if now != epoch {
			return errNewEpoch
		}
		evs, err := ledger.ReadFeed(ctx, s.db, system, s.hub.Head(), pumpBatch)
		if err != nil {
			return err
		}
		s.pumped.Store(time.Now().UnixNano())
		if len(evs) == 0 {
			s.whole.note(look)
			return nil
		}
		if err := s.before(ctx, evs); err != nil {
			return err
		}
		if err := s.hub.Publish(evs); err != nil {
			s.o.Log.Error("feed not contiguous: starting over", "err", err)
			return errNewEpoch
		}
		if len(evs) < pumpBatch {
			s.whole.note(look)
		}
	}
}

// before brings what this node keeps of the configuration up to date, so that
// nobody is told of a grid that the node does not know yet.
func (s *Server) before(ctx context.Context, evs []feed.Event) error {
	if err := s.reconfigured(ctx, evs); err != nil {
		return err
	}
	s.mirrorFollows(ctx, evs) // by the categories of now
	return nil
}

// reconfigured reads again what of the configuration the events tell of.
func (s *Server) reconfigured(ctx context.Context, evs []feed.Event) error {
	reload, clocks := false, false
	for _, e := range evs {
		defer s.layersTold(e) // once the new tree is in force
		if e.Entity.Kind == "offer" {
			s.nudge(s.offersDue)()
		}
		switch e.Kind {
		case "grids.enacted":
			reload = true
			defer s.nudge(s.placesDue)() // once the new tree is in force
			defer s.nudge(s.namedDue)()
		case "grids.numbered":
			s.numbered(e)
		case "config.changed":
			reload = true
		case "people.changed":
			s.nudge(s.peopleDue)()
		case "clocks.changed", "rules.changed":
			clocks = true
		case "places.changed":
			s.nudge(s.placesDue)()
		}
	}
	if clocks && !reload {
		return s.catalogue.Reload(ctx)
	}
	if !reload {
		return nil
	}
	return s.reloadConfig(ctx)
}

// reloadConfig reads the configuration again. Events wait for the catalogue alone:
// without it a report would be shown in a grid this node does not know. People,
// layers and overlays follow as soon as they can be read.
func (s *Server) reloadConfig(ctx context.Context) error {
	if err := s.catalogue.Reload(ctx); err != nil {
		return err
	}
	s.behind.Store(true)
	s.nudge(s.layersDue)()
	s.nudge(s.overlaysDue)()
	return nil
}

// dayLook is how often a node looks whether another day has come.
const dayLook = 5 * time.Second

// followDays tells at the start, and on each new day of the county's calendar, of the
// workers whose grid is another from that day on: no import tells of them.
func (s *Server) followDays(ctx context.Context) {
	day := ""
	for {
		if today := store.Day(s.o.Now()); today != day {
			err := s.pools.changes.InTx(ctx, func(tx pgx.Tx) error {
				n, err := ledger.BadgesOfTheDay(ctx, tx, s.o.Now())
				if n > 0 {
					s.o.Log.Info("workers serve another grid from today", "workers", n)
				}
				return err
			})
			switch {
			case err == nil:
				day = today
				s.nudge(s.wake)()
			case ctx.Err() == nil:
				s.o.Log.Warn("whose grid is another today is not told yet; trying again", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(dayLook):
		}
	}
}

// followConfig reads people and layers again when the configuration has changed,
// until the end. Millions of roads may take their time: no event waits for them.
func (s *Server) followConfig(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.layersDue:
		case <-time.After(5 * time.Second): // a reading that failed is tried again
		}
		s.catchUp(ctx)
	}
}

// peopleRest is how long the directory rests between two readings for shifts: a
// morning's sign-ons come by the hundred.
const peopleRest = 250 * time.Millisecond

// followPeople reads the directory again when a shift began or ended, until the end.
func (s *Server) followPeople(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.peopleDue:
		}
		rctx, cancel := context.WithTimeout(ctx, refreshTimeout)
		if err := s.fixes.Refresh(rctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("shifts are behind; trying again", "err", err)
			s.nudge(s.peopleDue)()
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-time.After(peopleRest):
		}
	}
}

// catchUp reads people and layers again when they are behind the configuration.
func (s *Server) catchUp(ctx context.Context) {
	if !s.behind.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := errors.Join(s.fixes.Refresh(ctx), s.reloadLayers(ctx)); err != nil {
		s.behind.Store(true)
		if ctx.Err() == nil {
			s.o.Log.Warn("people or layers are behind; trying again", "err", err)
		}
	}
}

// waiting is how long the oldest event has waited for its number: the sign that
// no sequencer works, on this node or any other. Reports are still taken then.
type waiting struct {
	mu    sync.Mutex // guards what follows
	id    int64      // of the oldest event in the outbox; 0 for none
	since time.Time  // when it was first seen to be the oldest
	told  time.Time  // when note last called for a word about it
}

const (
	waitsLong = 5 * time.Second
	tellAgain = time.Minute
)

// note takes in what the oldest event is; true now and then while it is one that
// waits too long.
func (w *waiting) note(id int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if id != w.id {
		w.id, w.since, w.told = id, now, time.Time{}
	}
	if id == 0 || now.Sub(w.since) < waitsLong || now.Sub(w.told) < tellAgain {
		return false
	}
	w.told = now
	return true
}

func (w *waiting) age() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.id == 0 {
		return 0
	}
	return time.Since(w.since)
}
