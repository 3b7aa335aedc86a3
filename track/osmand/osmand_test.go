// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package osmand_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"onemap/geo"
	"onemap/people"
	"onemap/track"
	"onemap/track/osmand"
)

// now is a Monday, 12:00 in Shanghai.
var now = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// sink keeps what it is given.
type sink struct {
	mu      sync.Mutex
	fixes   []track.Fix
	heard   []uint32
	unknown []string
	sos     map[uint32]bool
	err     error
}

func (s *sink) Put(_ context.Context, _ people.Device, fixes []track.Fix) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.fixes = append(s.fixes, fixes...)
	return nil
}

func (s *sink) Heard(w uint32, _ time.Time, _ bool) { s.heard = append(s.heard, w) }
func (s *sink) InSOS(w uint32) bool                 { return s.sos[w] }
func (s *sink) Unknown(id string, _ time.Time)      { s.unknown = append(s.unknown, id) }

// directory: device "phone" (knots), "app" (m/s) and "gcj" are carried by worker
// 1 on duty on Mondays 09:00-18:00; "old" was handed back; "thief" is blocked.
func directory() *people.Directory {
	from := now.AddDate(-1, 0, 0)
	bind := []people.Binding{{Worker: 1, From: from}}
	return people.NewDirectory(
		[]people.Worker{{ID: 1, Active: true, Grid: 40, Rota: people.Rota{{Weekday: time.Monday, Start: 540, End: 1080}}}},
		[]people.Device{
			{ID: 1, UniqueID: "phone", SpeedUnit: people.Knots, Datum: geo.DatumWGS84, Interval: time.Minute, Bindings: bind},
			{ID: 2, UniqueID: "app", SpeedUnit: people.MetresSec, Datum: geo.DatumWGS84, Interval: time.Minute, Bindings: bind},
			{ID: 3, UniqueID: "gcj", SpeedUnit: people.Knots, Datum: geo.DatumGCJ02, Interval: time.Minute, Bindings: bind},
			{ID: 4, UniqueID: "old", Datum: geo.DatumWGS84, Bindings: []people.Binding{{Worker: 1, From: from, To: now.Add(-time.Hour)}}},
			{ID: 5, UniqueID: "thief", Datum: geo.DatumWGS84, Blocked: true, Bindings: bind},
		},
	)
}

func listener(s *sink, edit func(*osmand.Options)) (*osmand.Listener, map[osmand.Fate]int) {
	fates := map[osmand.Fate]int{}
	var mu sync.Mutex
	dir := directory()
	o := osmand.Options{
		Directory: func() *people.Directory { return dir }, Sink: s, Now: func() time.Time { return now },
		Count: func(f osmand.Fate) { mu.Lock(); fates[f]++; mu.Unlock() },
	}
	if edit != nil {
		edit(&o)
	}
	return osmand.New(o), fates
}

func send(l http.Handler, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	l.ServeHTTP(w, r)
	return w
}

func TestFateOfEachReport(t *testing.T) {
	for _, c := range []struct {
		name, query string
		status      int
		fate        osmand.Fate
	}{
		{"on duty", "id=phone&lat=38.2&lon=107.5&timestamp=1772424000", 200, osmand.Stored},
		{"no time: now", "id=phone&lat=38.2&lon=107.5", 200, osmand.Stored},
		{"heartbeat", "id=phone&timestamp=1772424000&batt=50", 200, osmand.Alive},
		{"notification token", "id=phone&notificationToken=secret", 200, osmand.Alive},
		{"unknown device", "id=nobody&lat=38.2&lon=107.5", 200, osmand.UnknownDev},
		{"blocked device", "id=thief&lat=38.2&lon=107.5", 200, osmand.BlockedDev},
		{"handed back", "id=old&lat=38.2&lon=107.5", 200, osmand.Unbound},
		{"handed back, buffered from before", "id=old&lat=38.2&lon=107.5&timestamp=1772420399", 200, osmand.Stored},
		{"before duty", "id=phone&lat=38.2&lon=107.5&timestamp=1772409599", 200, osmand.OffDuty},
		{"heartbeat before duty", "id=phone&timestamp=1772409599", 200, osmand.OffDuty},
		{"alarm before duty", "id=phone&lat=38.2&lon=107.5&timestamp=1772409599&alarm=sos", 200, osmand.Stored},
		{"latitude a word", "id=phone&lat=x&lon=107.5", 200, osmand.Damaged},
		{"swapped", "id=phone&lat=107.5&lon=38.2", 200, osmand.Untrue},
		{"a week ahead, on duty there", "id=phone&lat=38.2&lon=107.5&timestamp=1773028800", 200, osmand.Untrue},
		{"1e300", "id=phone&lat=1e300&lon=107.5", 200, osmand.Untrue},
		{"no id", "lat=38.2&lon=107.5", 400, osmand.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				s := &sink{}
				l, fates := listener(s, nil)
				w := send(l, method, "/?"+c.query, "")
				if w.Code != c.status || fates[c.fate] != 1 || len(fates) != 1 {
					t.Errorf("%s: status %d, fates %v; want %d, %s", method, w.Code, fates, c.status, c.fate)
				}
				if kept := c.fate == osmand.Stored; (len(s.fixes) == 1) != kept {
					t.Errorf("%s: %d fixes reached the sink", method, len(s.fixes))
				}
				if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: a refusal of type %q", method, w.Header().Get("Content-Type"))
				}
			}
		})
	}
}

func TestFixIsMadeByTheDevicesProfile(t *testing.T) {
	s := &sink{}
	l, _ := listener(s, nil)
	send(l, http.MethodPost, "/", "id=phone&lat=38.2&lon=107.5&timestamp=1772423990&speed=10&bearing=45&accuracy=0&batt=66")
	send(l, http.MethodGet, "/any/path?id=app&lat=38.2&lon=107.5&timestamp=1772423990000&speed=10&hdop=7", "")
	send(l, http.MethodGet, "/?id=gcj&lat=38.2&lon=107.5&timestamp=1772423990&valid=false", "")
	if len(s.fixes) != 3 {
		t.Fatalf("%d fixes", len(s.fixes))
	}
	phone, app, gcj := s.fixes[0], s.fixes[1], s.fixes[2]
	want := track.Fix{
		Device: 1, Worker: 1, Grid: 40, At: now.Add(-10 * time.Second), ServerAt: now, P: geo.WGS84{107.5, 38.2},
		AccuracyM: track.Unknown, CourseDeg: 45, SpeedMS: phone.SpeedMS, Battery: 66,
	}
	if phone != want || math.Abs(float64(phone.SpeedMS)-5.1444) > 0.001 {
		t.Errorf("phone %+v\nwant %+v at 5.144 m/s", phone, want)
	}
	if app.SpeedMS != 10 || app.AccuracyM != 7 || !app.At.Equal(want.At) {
		t.Errorf("OsmAnd app: %+v", app)
	}
	if d := geo.Distance(gcj.P, want.P); d < 300 || d > 700 || gcj.Verdict != track.Invalid {
		t.Errorf("GCJ-02 device: %v (%.0f m from the raw pair), verdict %q", gcj.P, d, gcj.Verdict)
	}
}

func TestAlarmOpensTheDoorOffDuty(t *testing.T) {
	s := &sink{sos: map[uint32]bool{1: true}}
	l, fates := listener(s, nil)
	send(l, http.MethodGet, "/?id=phone&lat=38.2&lon=107.5&timestamp=1772409599", "")
	if fates[osmand.Stored] != 1 {
		t.Errorf("fates %v: places are taken while the alarm is on", fates)
	}
}

// 10,000 off-duty points leave nothing behind and are all answered 2xx.
func TestOffDutyIsNeverStored(t *testing.T) {
	s := &sink{}
	l, fates := listener(s, func(o *osmand.Options) { o.Burst = 1e6 })
	for i := range 10_000 {
		q := url.Values{"id": {"phone"}, "lat": {"38.2"}, "lon": {"107.5"}, "timestamp": {now.Add(-10*time.Hour - time.Duration(i)*time.Second).Format(time.RFC3339)}}
		if w := send(l, http.MethodGet, "/?"+q.Encode(), ""); w.Code != http.StatusOK {
			t.Fatalf("point %d: status %d", i, w.Code)
		}
	}
	if len(s.fixes)+len(s.heard)+len(s.unknown) != 0 || fates[osmand.OffDuty] != 10_000 {
		t.Errorf("stored %d, heard %d; fates %v", len(s.fixes), len(s.heard), fates)
	}
}

func TestSinkErrorsBecomeAnswers(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		fate   osmand.Fate
	}{
		{errors.New("queue full"), 503, osmand.Later},
		{context.DeadlineExceeded, 503, osmand.Later},
		{osmand.ErrRefused, 200, osmand.Refused},
	} {
		l, fates := listener(&sink{err: c.err}, nil)
		w := send(l, http.MethodGet, "/?id=phone&lat=38.2&lon=107.5", "")
		if w.Code != c.status || fates[c.fate] != 1 || (c.status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: status %d, fates %v", c.err, w.Code, fates)
		}
	}
}

func TestLimits(t *testing.T) {
	l, _ := listener(&sink{}, func(o *osmand.Options) { o.MaxBody = 100 })
	for _, c := range []struct {
		name, method, target, body string
		status                     int
	}{
		{"body", http.MethodPost, "/", "id=phone&x=" + strings.Repeat("y", 100), 413},
		{"query", http.MethodGet, "/?id=phone&x=" + strings.Repeat("y", 9000), "", 414},
		{"method", http.MethodDelete, "/?id=phone", "", 405},
	} {
		if w := send(l, c.method, c.target, c.body); w.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, w.Code, c.status)
		}
	}
}

func TestLogNamesNoIDAndNoPlace(t *testing.T) {
	var log bytes.Buffer
	l, _ := listener(&sink{err: errors.New("down")}, func(o *osmand.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	send(l, http.MethodGet, "/secret-path?id=phone&lat=38.2&lon=107.5&notificationToken=canary", "")
	send(l, http.MethodGet, "/secret-path?id=someone&lat=38.2&lon=107.5&notificationToken=canary", "")
	if log.Len() == 0 {
		t.Error("a failure left no line")
	}
	for _, s := range []string{"canary", "secret-path", "38.2", "phone", "someone"} {
		if strings.Contains(log.String(), s) {
			t.Errorf("the log holds %q: %s", s, log.String())
		}
	}
}

// A client that sends its backlog one by one is slowed to the rate, never refused.
func TestBacklogIsPacedNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		start := time.Now()
		l, _ := listener(s, func(o *osmand.Options) { o.Burst, o.Now = 10, time.Now })
		for i := range 30 {
			at := start.Add(-time.Duration(i) * time.Second)
			q := url.Values{"id": {"phone"}, "lat": {"38.2"}, "lon": {"107.5"}, "timestamp": {at.Format(time.RFC3339)}}
			if w := send(l, http.MethodGet, "/?"+q.Encode(), ""); w.Code != http.StatusOK {
				t.Fatalf("request %d: status %d", i, w.Code)
			}
		}
		if took := time.Since(start); took < 19*time.Second || took > 21*time.Second {
			t.Errorf("30 requests took %s; 10 at once and 20 at one a second are 20 s", took)
		}
	})
}

func TestParallelRequestsOfOneDeviceAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, fates := listener(&sink{}, func(o *osmand.Options) { o.Burst, o.Now = 1, time.Now })
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { send(l, http.MethodGet, "/?id=phone&lat=38.2&lon=107.5", "") })
		}
		wg.Wait()
		// Four at a time; the first needs no wait and may make room for a fifth.
		if n := fates[osmand.TooFast]; n != 15 && n != 16 {
			t.Errorf("fates %v, want 15 or 16 of 20 turned away", fates)
		}
	})
}
