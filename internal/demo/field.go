// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/people"
)

// Faults are what goes wrong in a pretend field.
type Faults struct {
	Gaps       bool // phones that are off for a while
	Jumps      bool // receivers that place a phone 30 km away
	Late       bool // phones without a network, which send all they kept, shuffled
	Duplicates bool // phones that send everything several times, and reports sent twice
}

// FieldOptions say what a pretend field does. Server or Devices is needed; both
// must be addresses of this machine.
type FieldOptions struct {
	Server  string      // pages and API; needed for grids and reports
	Devices string      // the device listener; no positions without it
	Token   string      // a bearer token that may read grids and workers and report
	TLS     *tls.Config // how an https server is recognised; default the machine's own authorities

	Device    func(n int) string // name of the n-th device, from 1; default demo-0001, ...
	Badge     func(n int) string // badge of its carrier; default W0001, ...
	Workers   int                // default 474, at most 5,000; negative for none
	Interval  time.Duration      // between two fixes of a phone; default 10 s
	PerMinute float64            // incidents a minute; at most 6,000
	Reports   int                // no more than so many; 0 for as many as come
	Near      float64            // metres: reports lie no farther than that from where a worker began; 0 for anywhere
	Muster    float64            // metres: workers begin no farther than that from the first; 0 each in a grid of their own
	Work      *WorkOptions       // workers answer what they are offered; nil for walking alone
	Hall      *HallOptions       // a hall without a hand; nil for none
	For       time.Duration      // default 10 min, at most 24 h
	Faults    Faults
	Seed      uint64

	Now      func() time.Time // default time.Now
	Progress func(Tally)      // told about each second; default none
}

// Tally is what a pretend field did.
type Tally struct {
	Workers   int `json:"workers"`
	Sent      int `json:"sent"`     // positions, repetitions counted
	Accepted  int `json:"accepted"` // answered 2xx
	Refused   int `json:"refused"`  // answered 4xx, and not sent again
	Retried   int `json:"retried"`  // not answered, or 429 or 5xx: sent again later
	Unsent    int `json:"unsent"`   // still kept by phones at the end
	Reports   int `json:"reports"`
	Reported  int `json:"reported"`  // incidents the server took
	Unheard   int `json:"unheard"`   // reports refused or never answered
	Different int `json:"different"` // reports sent twice that became two incidents: none, if all is well

	Incidents []string `json:"incidents"` // ids, in the order of the answers

	Work *Work `json:"work,omitempty"` // where workers answer offers
	Hall *Hall `json:"hall,omitempty"` // where the hall works by itself
}

const (
	maxFieldWorkers = 5000
	maxFieldFor     = 24 * time.Hour
	maxPerMinute    = 6000
	maxReports      = 100_000
	maxKept         = 2000 // positions a phone without a network keeps
)

// Field is a pretend field (workers with phones, callers with matters) that acts
// through the public surface alone. It stops by itself.
type Field struct {
	o FieldOptions
	c *client

	mu    sync.Mutex // guards tally
	tally Tally
}

// NewField checks the options. It refuses addresses of other machines.
func NewField(o FieldOptions) (*Field, error) {
	if o.Device == nil {
		o.Device = func(n int) string { return fmt.Sprintf("demo-%04d", n) }
	}
	if o.Badge == nil {
		o.Badge = func(n int) string { return fmt.Sprintf("W%04d", n) }
	}
	if o.Workers == 0 {
		o.Workers = Workers
	}
	if o.Interval == 0 {
		o.Interval = DeviceInterval * time.Second
	}
	if o.For == 0 {
		o.For = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(Tally) {}
	}
	switch {
	case o.Server == "":
		return nil, errors.New("the server's address is needed")
	case o.Workers > maxFieldWorkers:
		return nil, fmt.Errorf("at most %d workers", maxFieldWorkers)
	case o.Interval < 10*time.Millisecond:
		return nil, errors.New("the interval must be 10 ms or longer")
	case o.For < 0 || o.For > maxFieldFor:
		return nil, fmt.Errorf("at most %s", maxFieldFor)
	case !(o.Near >= 0 && o.Near <= 100_000 && o.Muster >= 0 && o.Muster <= 100_000):
		return nil, errors.New("near and muster are at most 100,000 metres")
	case o.Reports < 0 || o.Reports > maxReports:
		return nil, fmt.Errorf("at most %d reports", maxReports)
	case o.PerMinute < 0 || o.PerMinute > maxPerMinute || math.IsNaN(o.PerMinute):
		return nil, fmt.Errorf("0 to %d incidents a minute", maxPerMinute)
	}
	c, err := newClient(o.Server, o.Devices, o.Token, o.TLS)
	if err != nil {
		return nil, err
	}
	f := &Field{o: o, c: c, tally: Tally{Incidents: []string{}}}
	if o.Work != nil {
		w := *o.Work
		if err := w.check(); err != nil {
			return nil, err
		}
		if o.Devices == "" {
			return nil, errors.New("workers who answer need the device listener's address: where they are is known by their phones")
		}
		f.o.Work, f.tally.Work = &w, &Work{}
	}
	if o.Hall != nil {
		h := *o.Hall
		if err := h.check(o.Token); err != nil {
			return nil, err
		}
		f.o.Hall, f.tally.Hall = &h, &Hall{}
	}
	return f, nil
}

// Run acts until the time is over or ctx ends, and returns what was done. An
// error means that it could not begin.
func (f *Field) Run(ctx context.Context) (Tally, error) {
	defer f.c.close()
	ctx, cancel := context.WithTimeout(ctx, f.o.For)
	defer cancel()
	areas, err := f.c.leaves(ctx)
	if err != nil {
		return f.Tally(), err
	}
	if len(areas) == 0 {
		return f.Tally(), errors.New("the server has no grids yet")
	}
	homes, err := f.c.homes(ctx)
	if err != nil {
		homes = nil // a token that may not read workers: spread them evenly
	}
	var wg sync.WaitGroup
	var began []orb.Point
	if f.o.Devices != "" && f.o.Workers > 0 {
		for n := 1; n <= f.o.Workers; n++ {
			p, ok := f.newPhone(n, areas, homes)
			if !ok {
				continue
			}
			f.count(func(t *Tally) { t.Workers++ })
			if f.o.Muster > 0 && len(began) > 0 {
				p.walker.p = p.walker.home.near(p.rng, began[0], f.o.Muster)
			}
			began = append(began, p.walker.p)
			wg.Go(func() { p.run(ctx) })
		}
	}
	reported := make(chan struct{}) // closed when nobody reports any more
	if f.o.PerMinute > 0 {
		d := newDesk(f, areas)
		d.began = began
		wg.Go(func() {
			defer close(reported)
			d.run(ctx)
		})
	}
	if f.o.Hall != nil {
		wg.Go(func() {
			newHallside(f).run(ctx, reported)
			if f.o.Reports > 0 {
				cancel() // all is done
			}
		})
	}
	wg.Go(func() { f.tell(ctx) })
	wg.Wait()
	return f.Tally(), nil
}

// Tally is what was done so far.
func (f *Field) Tally() Tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tally
	t.Incidents = slices.Clone(t.Incidents)
	if t.Work != nil {
		w := *t.Work
		t.Work = &w
	}
	if t.Hall != nil {
		h := *t.Hall
		t.Hall = &h
	}
	return t
}

func (f *Field) count(edit func(*Tally)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(&f.tally)
}

func (f *Field) tell(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f.o.Progress(f.Tally())
		}
	}
}

// phone is one worker's device and the worker who carries it.
type phone struct {
	f       *Field
	rng     *rand.Rand
	device  string
	walker  *walker
	battery float64
	kept    []position // not yet sent, oldest first
	silent  int        // intervals left without a phone at all
	offline int        // intervals left without a network
	tasks   *tasks     // nil for one who answers nothing
}

// newPhone puts the n-th worker into the grid of their badge, or else into one
// after the other.
func (f *Field) newPhone(n int, areas []area, homes map[string]string) (*phone, bool) {
	a := areas[(n-1)%len(areas)]
	if i := slices.IndexFunc(areas, func(a area) bool { return a.code == homes[f.o.Badge(n)] }); i >= 0 {
		a = areas[i]
	}
	rng := stream(f.o.Seed, "field", n)
	t, ok := newTerritory(a.geom)
	if !ok {
		return nil, false
	}
	w, ok := newWalker(rng, t)
	p := &phone{f: f, rng: rng, device: f.o.Device(n), walker: w, battery: 60 + 40*rng.Float64()}
	p.tasks = newTasks(p, f.o.Badge(n))
	return p, ok
}

// run sends a position each interval, from a phase of its own.
func (p *phone) run(ctx context.Context) {
	defer func() { p.f.count(func(t *Tally) { t.Unsent += len(p.kept) }) }()
	if !sleep(ctx, time.Duration(p.rng.Float64()*float64(p.f.o.Interval))) {
		return
	}
	t := time.NewTicker(p.f.o.Interval)
	defer t.Stop()
	if p.tasks != nil {
		defer p.tasks.signOff(ctx)
	}
	var last time.Time // of the last turn
	for {
		now := p.now()
		// A turn that came late may leave the next one no time of its own, or an earlier one.
		if now.UnixMilli() > last.UnixMilli() {
			if !last.IsZero() {
				p.walker.step(now.Sub(last).Seconds())
			}
			last = now
			p.turn(ctx, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// turn is one interval: what goes wrong is drawn, the place noted and sent.
func (p *phone) turn(ctx context.Context, now time.Time) {
	faults := p.f.o.Faults
	p.battery = max(5, p.battery-0.01)
	if p.silent > 0 {
		p.silent--
		return
	}
	if faults.Gaps && chance(p.rng, 0.01) {
		p.silent = 6 + p.rng.IntN(30)
		return
	}
	p.keep(p.fix(now, faults.Jumps && chance(p.rng, 0.02)))
	if p.offline > 0 {
		p.offline--
		if p.offline == 0 {
			p.rng.Shuffle(len(p.kept), func(i, j int) { p.kept[i], p.kept[j] = p.kept[j], p.kept[i] })
		}
		return
	}
	if faults.Late && chance(p.rng, 0.02) {
		p.offline = 6 + p.rng.IntN(30)
		return
	}
	p.flush(ctx)
	if p.tasks != nil {
		p.tasks.turn(ctx, now)
	}
}

// now is the phone's clock: whole seconds, as positions are sent, unless they come
// faster than that.
func (p *phone) now() time.Time {
	if p.f.o.Interval >= time.Second {
		return p.f.o.Now().Truncate(time.Second)
	}
	return p.f.o.Now()
}

func (p *phone) fix(now time.Time, jump bool) position {
	at, accuracy := p.walker.seen()
	if jump {
		at, accuracy = geo.WGS84(p.walker.home.move(at.Orb(), p.rng.Float64()*360, 30_000)), 10
	}
	return position{at: now, p: at, accuracy: accuracy, speed: p.walker.speed, course: p.walker.heading, battery: int(p.battery)}
}

// keep notes a position; when the phone is full the oldest goes.
func (p *phone) keep(x position) {
	if len(p.kept) >= maxKept {
		p.kept = p.kept[1:]
	}
	p.kept = append(p.kept, x)
}

// flush sends what is kept until one is not taken; the rest waits for the next
// interval, as real phones do.
func (p *phone) flush(ctx context.Context) {
	for len(p.kept) > 0 {
		times := 1
		if p.f.o.Faults.Duplicates && chance(p.rng, 0.2) {
			times += 1 + p.rng.IntN(2)
		}
		for range times {
			if !p.f.sendAll(ctx, p.device, p.kept[:1]) {
				return
			}
		}
		p.kept = p.kept[1:]
	}
}

// sendAll sends positions in one request and reports whether the phone may forget
// them.
func (f *Field) sendAll(ctx context.Context, device string, xs []position) bool {
	status, err := f.c.send(ctx, device, xs)
	if err != nil && ctx.Err() != nil {
		return false
	}
	forget := true
	f.count(func(t *Tally) {
		t.Sent += len(xs)
		switch {
		case err == nil && status < 300:
			t.Accepted += len(xs)
		case err == nil && status < 500 && status != 429:
			t.Refused += len(xs)
		default:
			t.Retried += len(xs)
			forget = false
		}
	})
	return forget
}

// sleep waits for d and reports whether ctx still runs.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// desk reports incidents as callers and patrols do.
type desk struct {
	f      *Field
	rng    *rand.Rand
	areas  []territory
	where  wheel
	prefix string      // makes the keys of this run its own
	began  []orb.Point // where the workers began
}

// newDesk spreads matters over the grids: the smaller a grid, the more people
// live on a square kilometre of it.
func newDesk(f *Field, areas []area) *desk {
	d := &desk{f: f, rng: stream(f.o.Seed, "desk", 0)}
	d.prefix = fmt.Sprintf("field-%d-%d", f.o.Seed, f.o.Now().UnixNano())
	var weights []float64
	for _, a := range areas {
		if t, ok := newTerritory(a.geom); ok {
			d.areas = append(d.areas, t)
			w, h := t.bound.Max[0]-t.bound.Min[0], t.bound.Max[1]-t.bound.Min[1]
			weights = append(weights, 1/math.Sqrt(w*h))
		}
	}
	d.where = newWheel(weights)
	return d
}

func (d *desk) run(ctx context.Context) {
	if len(d.areas) == 0 {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, 16) // reports on their way
	most := maxReports
	if d.f.o.Reports > 0 {
		most = d.f.o.Reports
	}
	for n := 0; n < most; {
		if !sleep(ctx, time.Duration(d.rng.ExpFloat64()*float64(time.Minute)/d.f.o.PerMinute)) {
			return
		}
		body, ok := d.report()
		if !ok {
			continue
		}
		n++
		twice := d.f.o.Faults.Duplicates && chance(d.rng, 0.2)
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			d.post(ctx, fmt.Sprintf("%s-%d", d.prefix, n), body, twice)
		})
	}
}

// report draws a matter of this month and hour and a place for it.
func (d *desk) report() (map[string]any, bool) {
	now := people.Local(d.f.o.Now())
	weights := make([]float64, len(matters))
	for i, m := range matters {
		weights[i] = m.weight * m.season[now.Month()-1] * (0.05 + m.hours[now.Hour()])
	}
	m := matters[newWheel(weights).spin(d.rng)]
	p, ok := d.place()
	if !ok {
		return nil, false
	}
	source := []string{"phone", "field", "app", "hotline"}[newWheel([]float64{5, 3, 1, 1}).spin(d.rng)]
	lon, lat, crs := p[0], p[1], "wgs84"
	if source == "app" { // pages on a web map speak its datum
		g := geo.WGS84(p).GCJ02()
		lon, lat, crs = g[0], g[1], "gcj02"
	}
	body := map[string]any{
		"category": m.code, "title": pick(d.rng, m.says), "text": "演示数据，由程序生成。", "source": source,
		"location": map[string]any{"lon": lon, "lat": lat, "crs": crs},
	}
	if d.f.o.Hall != nil { // then there is somebody who calls back
		body["reporter"] = map[string]any{"name": "演示来电人"}
	}
	return body, true
}

// place draws where a matter lies.
func (d *desk) place() (orb.Point, bool) {
	if d.f.o.Near == 0 || len(d.began) == 0 {
		return d.areas[d.where.spin(d.rng)].inside(d.rng)
	}
	from := pick(d.rng, d.began)
	for range 100 {
		p := d.areas[0].near(d.rng, from, d.f.o.Near)
		if slices.ContainsFunc(d.areas, func(t territory) bool { return t.contains(p) }) {
			return p, true
		}
	}
	return orb.Point{}, false
}

// post reports until the server takes or refuses it, three times at most; then
// once more when asked to, which must give the same incident.
func (d *desk) post(ctx context.Context, key string, body map[string]any, twice bool) {
	d.f.count(func(t *Tally) { t.Reports++ })
	for try := range 3 {
		if try > 0 && !sleep(ctx, time.Duration(try)*time.Second) {
			break
		}
		id, status, err := d.f.c.report(ctx, key, body)
		if err != nil || status == 429 || status >= 500 {
			continue
		}
		if id == "" {
			break
		}
		d.f.count(func(t *Tally) {
			t.Reported++
			t.Incidents = append(t.Incidents, id)
		})
		if twice {
			if again, _, err := d.f.c.report(ctx, key, body); err == nil && again != "" && again != id {
				d.f.count(func(t *Tally) { t.Different++ })
			}
		}
		return
	}
	d.f.count(func(t *Tally) { t.Unheard++ })
}
