// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package osmand takes positions from phones in the field: the OsmAnd protocol
// as OsmAnd, Traccar Client, GPSLogger and their kin speak it, at any path.
//
//	request -> device -> carrier at fix time -> on duty then? -> Sink (commit) -> 2xx
//
// A client that is refused sends the same position again for ever and holds back
// all behind it. So whatever can't be kept, but will not get better by sending
// it again, is counted and answered 2xx: unknown and blocked devices, places
// nobody carried the device to, places off duty (dropped here, never stored),
// damaged numbers. 4xx is for what is no report at all, 503 for "later".
package osmand

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"onemap/geo"
	"onemap/people"
	"onemap/track"
)

// Sink is where accepted positions go.
type Sink interface {
	// Put returns once the fixes of one device are committed. Any error means
	// that the client should send them again later, unless it is ErrRefused.
	Put(ctx context.Context, d people.Device, fixes []track.Fix) error
	// Heard notes a sign of life of a worker on duty, or an alarm, without a place.
	Heard(worker uint32, at time.Time, sos bool)
	// InSOS reports whether the worker's alarm is on; then places are taken off
	// duty too.
	InSOS(worker uint32) bool
	// Unknown notes a device that nobody registered. It must not block.
	Unknown(uniqueID string, at time.Time)
}

// ErrRefused is what a Sink says of fixes that will never be taken.
var ErrRefused = errors.New("refused for good")

// Options say how a Listener works. Directory and Sink are needed.
type Options struct {
	Directory func() *people.Directory
	Sink      Sink
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default none; never given ids, places or URLs of requests
	// Count is told the fate of each report, for metrics; default none.
	Count func(Fate)
	// MaxBody is the greatest request body in bytes; default 1 MiB.
	MaxBody int64
	// Rate is how many requests a second one device may send in the long run,
	// Burst how many it may send at once (a backlog); defaults 1 and 1,500.
	Rate  float64
	Burst float64
	// Timeout bounds the wait for the commit; default 5 s.
	Timeout time.Duration
	// MaxWaiting bounds the requests held at a time; default 4,096.
	MaxWaiting int
}

// Fate is what became of one report.
type Fate string

const (
	Stored     Fate = "stored"    // committed (a repeated one too)
	Alive      Fate = "alive"     // a sign of life without a place
	UnknownDev Fate = "unknown"   // nobody registered the device
	BlockedDev Fate = "blocked"   // the device is blocked
	Unbound    Fate = "unbound"   // nobody carried the device then
	OffDuty    Fate = "off_duty"  // its carrier was off duty then
	Damaged    Fate = "damaged"   // place or time can't be read
	Untrue     Fate = "untrue"    // time or place can't be true: a wrong clock, no place on earth
	Refused    Fate = "refused"   // the database refuses it for good
	Malformed  Fate = "malformed" // no report at all: 4xx
	TooFast    Fate = "too_fast"  // too many requests at a time: 429
	Later      Fate = "later"     // not committed: 503
)

// Listener is the http.Handler of the device port.
type Listener struct {
	o    Options
	pace *pacer
}

// New makes a Listener.
func New(o Options) *Listener {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(Fate) {}
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	if o.Rate == 0 {
		o.Rate = 1
	}
	if o.Burst == 0 {
		o.Burst = 1500
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxWaiting == 0 {
		o.MaxWaiting = 4096
	}
	return &Listener{o: o, pace: newPacer(o.Rate, o.Burst, o.MaxWaiting)}
}

const maxQuery = 8 << 10

// ServeHTTP answers 2xx once the positions of the request are committed.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		l.refuse(w, Malformed, http.StatusMethodNotAllowed, "use GET or POST")
		return
	}
	if len(r.URL.RawQuery) > maxQuery {
		l.refuse(w, Malformed, http.StatusRequestURITooLong, "the query is too long")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, l.o.MaxBody))
	if err != nil {
		status, detail := http.StatusBadRequest, "the body could not be read"
		if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
			status, detail = http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.FormatInt(l.o.MaxBody, 10)+" bytes"
		}
		l.refuse(w, Malformed, status, detail)
		return
	}
	reports, err := parse(r.URL.RawQuery, body)
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errTooMany) {
			status = http.StatusRequestEntityTooLarge
		}
		l.refuse(w, Malformed, status, err.Error())
		return
	}
	l.take(w, r, reports)
}

// take handles the reports of one device; there is at least one.
func (l *Listener) take(w http.ResponseWriter, r *http.Request, reports []report) {
	dir, now := l.o.Directory(), l.o.Now()
	dev, known := dir.Device(reports[0].id)
	switch {
	case !known:
		l.o.Sink.Unknown(reports[0].id, now)
		l.o.Count(UnknownDev)
		return
	case dev.Blocked:
		l.o.Count(BlockedDev)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), l.o.Timeout)
	defer cancel()
	done, err := l.pace.enter(ctx, dev.ID, now)
	switch {
	case errors.Is(err, errTooFast):
		w.Header().Set("Retry-After", "1")
		l.refuse(w, TooFast, http.StatusTooManyRequests, "too many requests of this device at a time")
		return
	case err != nil:
		l.later(w)
		return
	}
	defer done()
	var fixes []track.Fix
	for _, rep := range reports {
		f, fate := l.fix(dir, dev, rep, now)
		if fate == Stored {
			fixes = append(fixes, f)
			continue
		}
		l.o.Count(fate)
	}
	if len(fixes) == 0 {
		return
	}
	l.put(ctx, w, dev, fixes)
}

func (l *Listener) put(ctx context.Context, w http.ResponseWriter, dev people.Device, fixes []track.Fix) {
	fate := Stored
	switch err := l.o.Sink.Put(ctx, dev, fixes); {
	case errors.Is(err, ErrRefused):
		fate = Refused
		l.o.Log.Warn("fixes refused for good", "device", dev.ID, "fixes", len(fixes), "error", err)
	case err != nil:
		l.o.Log.Warn("fixes not committed", "device", dev.ID, "fixes", len(fixes), "error", err)
		l.later(w)
		return
	}
	for range fixes {
		l.o.Count(fate)
	}
}

// fix makes a fix of a report, or says why there is none. A report without a
// place, and one off duty, go no further than here.
func (l *Listener) fix(dir *people.Directory, dev people.Device, r report, now time.Time) (track.Fix, Fate) {
	if r.damaged {
		return track.Fix{}, Damaged
	}
	at := r.at
	if at.IsZero() {
		at = now
	}
	carrier, bound := dev.Carrier(at)
	worker, ok := dir.Worker(carrier)
	if !bound || !ok || !worker.Active {
		return track.Fix{}, Unbound
	}
	if _, on := worker.OnDuty(at); !on && !r.sos && !l.o.Sink.InSOS(worker.ID) {
		return track.Fix{}, OffDuty
	}
	if !r.hasPlace {
		l.o.Sink.Heard(worker.ID, now, r.sos)
		return track.Fix{}, Alive
	}
	f := track.Fix{
		Device: dev.ID, Worker: worker.ID, Grid: worker.Grid, At: at, ServerAt: now,
		AccuracyM: float32(r.accuracy), CourseDeg: float32(r.course), SpeedMS: r.speedIn(dev), Battery: r.battery,
		Mock: r.mock, SOS: r.sos,
	}
	// The OsmAnd app, the one that speaks m/s without an accuracy, calls its
	// accuracy in metres hdop.
	if r.accuracy < 0 && r.hdop > 0 && dev.SpeedUnit == people.MetresSec {
		f.AccuracyM = float32(r.hdop)
	}
	if r.invalid {
		f.Verdict = track.Invalid
	}
	p, err := geo.Raw{Lon: r.lon, Lat: r.lat, Datum: dev.Datum}.WGS84()
	f.P = p
	if err != nil || !track.Judge(f, dev.Interval, nil).Stored() {
		if r.sos { // the alarm counts, wherever it is
			l.o.Sink.Heard(worker.ID, now, true)
		}
		return track.Fix{}, Untrue
	}
	return f, Stored
}

func (r report) speedIn(d people.Device) float32 {
	switch {
	case r.speed < 0:
		return track.Unknown
	case r.speedMS:
		return float32(r.speed)
	}
	return float32(d.SpeedUnit.MS(r.speed))
}

func (l *Listener) later(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "5")
	l.refuse(w, Later, http.StatusServiceUnavailable, "positions can't be kept at this moment; send them again")
}

// refuse answers with a problem document.
func (l *Listener) refuse(w http.ResponseWriter, fate Fate, status int, detail string) {
	l.o.Count(fate)
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone: nobody to tell
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}
