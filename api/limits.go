// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
)

// Limits bound what callers may ask for. Zero fields take the defaults.
type Limits struct {
	// How many requests of a class are worked on at a time. Each class has database
	// connections of its own, so that reports are taken while maps are scanned.
	Reports, Changes, Reads, Tiles int           // see limits
	Files                          int           // sent or fetched at a time; 16
	Wait                           time.Duration // for a place; 500 ms
	AtOnce                         int           // of one caller and class, half of the places for reports; 4

	ReadsPerSecond   int // one caller's; 60
	ChangesPerSecond int // one caller's; 20
	TilesPerSecond   int // one caller's; 200
	WrongSecrets     int // in a row from one address, before it waits a minute or more; 120

	LoginsPerMinute        int // of one account; 5
	AddressLoginsPerMinute int // from one address; 30
	CameraLinksPerMinute   int // of one person; 20
	RevealsPerDay          int // of one person; 50
	ExportsPerDay          int // of one person; 5
	ExportRows             int // of one export; 5,000
	AttachmentsPerDay      int // of one sender; 200
	AttachmentMiBPerDay    int // of one sender; 1,024
}

// limit is one of Limits by the name it is set by.
type limit struct {
	name   string
	of     func(*Limits) *int
	normal int
}

// limits lists what can be set, with the default.
var limits = []limit{
	{"reports", func(l *Limits) *int { return &l.Reports }, 10},
	{"changes", func(l *Limits) *int { return &l.Changes }, 10},
	{"reads", func(l *Limits) *int { return &l.Reads }, 16},
	{"tiles", func(l *Limits) *int { return &l.Tiles }, 2},
	{"files", func(l *Limits) *int { return &l.Files }, 16},
	{"at-once", func(l *Limits) *int { return &l.AtOnce }, 4},
	{"reads-per-second", func(l *Limits) *int { return &l.ReadsPerSecond }, 60},
	{"changes-per-second", func(l *Limits) *int { return &l.ChangesPerSecond }, 20},
	{"tiles-per-second", func(l *Limits) *int { return &l.TilesPerSecond }, 200},
	{"wrong-secrets", func(l *Limits) *int { return &l.WrongSecrets }, 120},
	{"logins-per-minute", func(l *Limits) *int { return &l.LoginsPerMinute }, 5},
	{"address-logins-per-minute", func(l *Limits) *int { return &l.AddressLoginsPerMinute }, 30},
	{"camera-links-per-minute", func(l *Limits) *int { return &l.CameraLinksPerMinute }, 20},
	{"reveals-per-day", func(l *Limits) *int { return &l.RevealsPerDay }, 50},
	{"exports-per-day", func(l *Limits) *int { return &l.ExportsPerDay }, 5},
	{"export-rows", func(l *Limits) *int { return &l.ExportRows }, 5000},
	{"attachments-per-day", func(l *Limits) *int { return &l.AttachmentsPerDay }, 200},
	{"attachment-mib-per-day", func(l *Limits) *int { return &l.AttachmentMiBPerDay }, 1024},
}

// LimitsOf sets limits by their names, as an operator writes them; what is not
// named keeps its default. An unknown name or a limit below 1 is refused.
func LimitsOf(values map[string]int) (Limits, error) {
	var l Limits
	var names []string
	for _, one := range limits {
		names = append(names, one.name)
		v, given := values[one.name]
		if given && v < 1 {
			return l, fmt.Errorf("limit %s=%d: it must be at least 1", one.name, v)
		}
		if given {
			*one.of(&l) = v
		}
	}
	for name := range values {
		if !slices.Contains(names, name) {
			return l, fmt.Errorf("unknown limit %q: one of %s", name, strings.Join(names, ", "))
		}
	}
	return l, nil
}

// Defaults returns each limit's name and default.
func Defaults() map[string]int {
	out := map[string]int{}
	for _, one := range limits {
		out[one.name] = one.normal
	}
	return out
}

func (l *Limits) setDefaults() {
	for _, one := range limits {
		if n := one.of(l); *n <= 0 {
			*n = one.normal
		}
	}
	if l.Wait <= 0 {
		l.Wait = 500 * time.Millisecond
	}
}

// class is a kind of request with places of its own: a flood of one kind takes
// nothing from the others.
type class int

const (
	reports class = iota
	changes
	reads
	drawing
	files
	classes
)

var classNames = [classes]string{"report", "change", "read", "tile", "file"}

// classOf tells a request's class. Reports are what must be taken last of all to
// be refused.
func classOf(method, path string) class {
	switch {
	case strings.HasPrefix(path, "/tiles/"):
		return drawing
	case safeMethod(method) || path == locatePath:
		return reads
	case path == "/api/v1/incidents":
		return reports
	case method == http.MethodPatch && strings.HasPrefix(path, attachmentsPath):
		return files
	}
	return changes
}

// gates are the places of each class, and the pace of each caller.
type gates struct {
	places [classes]chan struct{}
	pace   [classes]*auth.Throttle // nil: no pace
	effort *auth.Budget            // of reads: how long each caller keeps the server at work
	wait   time.Duration
	atOnce int

	resting chan struct{} // requests that are slowed down

	mu    sync.Mutex // guards turns
	turns map[turnOf]*turn
}

// turn is the places of one caller in one class, as long as somebody holds one or
// waits for one.
type turn struct {
	places chan struct{}
	users  int
}

type turnOf struct {
	class  class
	caller string
}

func newGates(l Limits) *gates {
	g := &gates{wait: l.Wait, atOnce: l.AtOnce, turns: map[turnOf]*turn{}, resting: make(chan struct{}, maxResting)}
	for c, n := range [classes]int{l.Reports, l.Changes, l.Reads, l.Tiles, l.Files} {
		g.places[c] = make(chan struct{}, n)
	}
	g.effort = auth.NewBudget(readShare, readBurst, maxCallers)
	g.pace[changes] = auth.NewThrottle(l.ChangesPerSecond, time.Second, maxCallers)
	g.pace[files] = auth.NewThrottle(l.ChangesPerSecond, time.Second, maxCallers)
	g.pace[reads] = auth.NewThrottle(l.ReadsPerSecond, time.Second, maxCallers)
	g.pace[drawing] = auth.NewThrottle(l.TilesPerSecond, time.Second, maxCallers)
	return g
}

// One caller's reads keep the server at work for a quarter of the time at most, in
// the long run: someone who searches without end takes no processor from the hall.
const (
	readShare = 0.25
	readBurst = 3 * time.Second // of work, at once
)

// maxCallers bounds how many callers' paces are remembered.
const maxCallers = 20_000

// turn gives or takes back a use of a caller's own places.
func (g *gates) turn(k turnOf, use int) *turn {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.turns[k]
	if t == nil {
		n := g.atOnce
		if k.class == reports { // one sender, however busy, leaves half to the others
			n = max(1, cap(g.places[reports])/2)
		}
		t = &turn{places: make(chan struct{}, n)}
		g.turns[k] = t
	}
	if t.users += use; t.users == 0 {
		delete(g.turns, k)
	}
	return t
}

// takeFor is take for a caller, who has few places of each class at a time: one
// who asks for much waits for the own requests, not others for theirs.
func (s *Server) takeFor(ctx context.Context, c class, caller string) (leave func(), err error) {
	if caller == "" {
		return s.take(ctx, c)
	}
	k := turnOf{c, caller}
	t := s.gates.turn(k, 1)
	if err := s.await(ctx, t.places, "turn_"+classNames[c]); err != nil {
		s.gates.turn(k, -1)
		return nil, err
	}
	back := func() {
		<-t.places
		s.gates.turn(k, -1)
	}
	place, err := s.take(ctx, c)
	if err != nil {
		back()
		return nil, err
	}
	return func() { place(); back() }, nil
}

// afford waits until the caller's share of the time has paid for the earlier reads.
func (s *Server) afford(ctx context.Context, caller string) error {
	wait := s.gates.effort.Wait(caller, s.o.Now())
	if wait > 0 && s.rest(ctx, wait) {
		wait = s.gates.effort.Wait(caller, s.o.Now())
	}
	if wait == 0 {
		return nil
	}
	s.count("effort_read")
	return tooMany(wait, "the reads of this account have kept the server busy for too long; ask for less at a time")
}

// dearest is what a read counts as at most: one that takes longer waits for
// something of the server's own.
const dearest = time.Second

// spent notes that a caller's read, begun at a time, has come to its end.
func (s *Server) spent(caller string, began time.Time) {
	now := s.o.Now()
	s.gates.effort.Spend(caller, now, min(now.Sub(began), dearest))
}

// briefly is for how long a place for drawing may be worked at without resting afterwards:
// a tile that is ready takes less.
const briefly = 100 * time.Microsecond

// take waits for a place of a class; leave gives it back. A place for drawing
// rests as long as it was worked at: tiles are drawn by this process itself, and
// reports need its processors too.
func (s *Server) take(ctx context.Context, c class) (leave func(), err error) {
	place := s.gates.places[c]
	var began time.Time
	defer func() { began = time.Now() }()
	leave = func() { <-place }
	if c == drawing {
		leave = func() {
			if worked := time.Since(began); worked > briefly {
				time.AfterFunc(worked, func() { <-place })
			} else {
				<-place
			}
		}
	}
	if err := s.await(ctx, place, "busy_"+classNames[c]); err != nil {
		return nil, err
	}
	return leave, nil
}

// await puts something into places, waiting for room no longer than a request may.
// rule is what the refusal is counted as.
func (s *Server) await(ctx context.Context, places chan struct{}, rule string) error {
	select {
	case places <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(s.gates.wait)
	defer wait.Stop()
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return s.answer(ctx, ctx.Err())
	case <-wait.C:
	}
	s.count(rule)
	return retryLater("the server is busy with other requests of this kind; send it again in a moment")
}

// pace slows a caller down who asks a little too often, and refuses one who asks
// much too often.
func (s *Server) pace(ctx context.Context, c class, actor string) error {
	t := s.gates.pace[c]
	if t == nil {
		return nil
	}
	ok, after := t.Allow(actor, s.o.Now())
	if !ok && s.rest(ctx, after) {
		ok, after = t.Allow(actor, s.o.Now())
	}
	if ok {
		return nil
	}
	s.count("pace_" + classNames[c])
	return tooMany(after, "too many requests of this kind at a time")
}

// maxResting is how many requests are slowed down at a time; more are refused.
const maxResting = 256

// rest waits for d, unless that is longer than a request waits for a place, or too
// many rest already.
func (s *Server) rest(ctx context.Context, d time.Duration) bool {
	if d > s.gates.wait {
		return false
	}
	select {
	case s.gates.resting <- struct{}{}:
		defer func() { <-s.gates.resting }()
	default:
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// tooMany refuses with 429, and says when to come again.
func tooMany(after time.Duration, detail string) error {
	seconds := max(1, int((after+time.Second-1)/time.Second))
	return huma.ErrorWithHeaders(problem(http.StatusTooManyRequests, detail), http.Header{"Retry-After": {strconv.Itoa(seconds)}})
}

// count tells the metrics which limit has been met.
func (s *Server) count(rule string) {
	if s.o.Refused != nil {
		s.o.Refused(rule)
	}
}
