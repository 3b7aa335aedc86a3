// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"onemap/feed"
	"onemap/geo"
	"onemap/hub"
	"onemap/track"
)

// bubble runs f with a hub in fake time.
func bubble(t *testing.T, o hub.Options, f func(t *testing.T, s *stand)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newPipeStand(t, o)
		s.Start(epoch, &feed.State{})
		f(t, s)
		synctest.Wait()
	})
}

func TestTickEveryTwoSeconds(t *testing.T) {
	now := func() time.Time { return noon }
	bubble(t, hub.Options{Now: now}, func(t *testing.T, s *stand) {
		p := s.visit(countyA)
		p.want("reset")
		start := time.Now()
		for i := range 3 {
			m := p.want("tick")
			if string(m.raw) != `{"type":"tick","head":0,"time":"2026-03-05T12:00:00.000Z","feed_age_s":0}` {
				t.Errorf("tick %s", m.raw)
			}
			if d := time.Since(start); d != time.Duration(2*(i+1))*time.Second {
				t.Errorf("tick %d came after %v", i, d)
			}
		}
	})
}

// TestTicksTellTheAgeOfTheFeed looks at both ways a tick goes out: alone, and
// behind a skip.
func TestTicksTellTheAgeOfTheFeed(t *testing.T) {
	var age atomic.Int64
	o := hub.Options{FeedAge: func() time.Duration { return time.Duration(age.Load()) }}
	bubble(t, o, func(t *testing.T, s *stand) {
		county, other := s.visit(countyA), s.visit(townA2)
		for i, c := range []struct {
			age  time.Duration
			want int
		}{
			{0, 0},
			{999 * time.Millisecond, 0},
			{6900 * time.Millisecond, 6},
			{time.Hour, 3600},
			{-time.Second, 0}, // a clock that went back
		} {
			age.Store(int64(c.age))
			s.publish(incident(feed.Seq(i+1), fmt.Sprint(i), 0, 5)) // not for the other: a skip
			for _, p := range []*peer{county, other} {
				if m := p.want("tick"); m.FeedAge == nil || *m.FeedAge != c.want || m.Head != feed.Seq(i+1) {
					t.Errorf("age %v: tick %s", c.age, m.raw)
				}
			}
		}
	})
}

func TestEventsAreGatheredUnderLoadAndGoAtOnceWhenIdle(t *testing.T) {
	const gather = 40 * time.Millisecond
	bubble(t, hub.Options{Gather: gather}, func(t *testing.T, s *stand) {
		p := s.visit(countyA)
		p.want("reset")
		<-time.After(300 * time.Millisecond)
		at := func() string {
			start := time.Now()
			m := p.want("event")
			return fmt.Sprintf("%d after %v", m.Seq, time.Since(start))
		}
		s.publish(incident(1, "1", 0, 5))
		if got := at(); got != "1 after 0s" {
			t.Errorf("idle: %s", got)
		}
		s.publish(incident(2, "2", 0, 5))
		s.publish(incident(3, "3", 0, 5))
		if got := at(); got != "2 after 40ms" {
			t.Errorf("under load: %s", got)
		}
		if got := at(); got != "3 after 0s" || len(p.todo) != 0 {
			t.Errorf("in the same frame: %s", got)
		}
		s.publish(incident(4, "4", 0, 5))
		alarm := incident(5, "5", 0, 5)
		alarm.Shared = []byte(`{"id":"5","priority":1}`)
		s.publish(alarm)
		if a, b := at(), at(); a != "4 after 0s" || b != "5 after 0s" {
			t.Errorf("an urgent one: %s, %s", a, b)
		}
	})
}

func TestSkipsAreGatheredForAtMostASecond(t *testing.T) {
	bubble(t, hub.Options{}, func(t *testing.T, s *stand) {
		p := s.visit(townA2)
		p.want("reset")
		p.want("tick")
		start := time.Now()
		for i := feed.Seq(1); i <= 7; i++ {
			s.publish(incident(i, fmt.Sprint(i), 0, 5))
		}
		if m := p.want("skip", "event"); m.To != 7 || time.Since(start) > time.Second {
			t.Errorf("%s after %v", m.raw, time.Since(start))
		}
		s.publish(incident(8, "8", 0, 5), incident(9, "9", 0, 15))
		if got := p.line(9); !slices.Equal(got, []string{"skip 8", "event 9 9"}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestSocketsThatAreSilentEnd(t *testing.T) {
	for name, c := range map[string]struct {
		greet bool
		code  int
		least time.Duration
		most  time.Duration
	}{
		"without a hello": {false, websocket.ClosePolicyViolation, 10 * time.Second, 11 * time.Second},
		"without a pong":  {true, websocket.CloseAbnormalClosure, 60 * time.Second, 75 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, hub.Options{}, func(t *testing.T, s *stand) {
				p := s.connect(countyA)
				p.ws.SetPingHandler(func(string) error { return nil })
				if c.greet {
					p.hello()
				}
				start := time.Now()
				code, _ := p.closed()
				if d := time.Since(start); code != c.code || d < c.least || d > c.most {
					t.Errorf("closed with %d after %v", code, d)
				}
			})
		})
	}
}

func TestReaderThatAnswersPingsLivesOn(t *testing.T) {
	bubble(t, hub.Options{}, func(t *testing.T, s *stand) {
		p := s.visit(countyA)
		for start := time.Now(); time.Since(start) < 10*time.Minute; {
			p.want("tick")
		}
	})
}

func TestLeaseDecidesHowLongASocketLives(t *testing.T) {
	for name, c := range map[string]struct {
		lease       func(context.Context) error
		code        int
		least, most time.Duration
	}{
		"it ended":                {func(context.Context) error { return errors.New("revoked") }, hub.SignInAgain, time.Second, 5 * time.Second},
		"the scope is another":    {func(context.Context) error { return fmt.Errorf("x: %w", hub.ErrScopeChanged) }, hub.ScopeChanged, time.Second, 5 * time.Second},
		"it cannot be checked":    {func(context.Context) error { return hub.ErrLeaseUnknown }, websocket.CloseTryAgainLater, 60 * time.Second, 66 * time.Second},
		"checking takes for ever": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, websocket.CloseTryAgainLater, 60 * time.Second, 76 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, hub.Options{}, func(t *testing.T, s *stand) {
				s.lease = c.lease
				p := s.visit(wallA)
				start := time.Now()
				code, _ := p.closed()
				if d := time.Since(start); code != c.code || d < c.least || d > c.most {
					t.Errorf("closed with %d after %v", code, d)
				}
			})
		})
	}
}

func TestARecheckDuringARenewalRenewsOnceMore(t *testing.T) {
	bubble(t, hub.Options{Lease: 30 * time.Second}, func(t *testing.T, s *stand) {
		var begun atomic.Int32
		over := make(chan struct{})
		s.lease = func(context.Context) error {
			if begun.Add(1) == 1 {
				<-over // it has asked what the reader may see, and is not back
			}
			return nil
		}
		later := func(p *peer) { // up to four seconds: reading, or nothing is written
			p.want("tick")
			p.want("tick")
		}
		p := s.visit(wallA)
		p.want("reset")
		s.Recheck()
		later(p)
		s.Recheck() // what the reader may see changes now
		later(p)
		if n := begun.Load(); n != 1 {
			t.Fatalf("%d renewals", n)
		}
		close(over)
		later(p)
		if n := begun.Load(); n != 2 {
			t.Errorf("%d renewals, want another one", n)
		}
	})
}

// field is a source of dots in the form of track.Live.
type field struct {
	mu  sync.Mutex
	log [][]track.Dot
}

func (f *field) move(ds ...track.Dot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, ds)
}

func (f *field) changed(since uint64) ([]track.Dot, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []track.Dot
	for _, ds := range f.log[since:] {
		out = append(out, ds...)
	}
	return out, uint64(len(f.log))
}

func dot(worker uint32, grid int32, lon float64, st track.State) track.Dot {
	return track.Dot{
		Worker: worker, Grid: grid, P: geo.WGS84{lon, 38.2}, FixAt: noon.Add(-7 * time.Second),
		AccuracyM: 12, CourseDeg: -1, State: st,
	}
}

// spots reads the next positions as "worker state lon".
func (p *peer) spots() (out []string, full bool) {
	p.t.Helper()
	m := p.want("positions")
	for _, it := range m.Items {
		out = append(out, fmt.Sprintf("%v %v %v", it[0], it[6], it[1]))
	}
	return out, m.Full
}

func TestPositionsAreConflatedAndKeepToTheScope(t *testing.T) {
	f := &field{}
	now := func() time.Time { return noon }
	f.move(dot(1, 5, 107.1, track.StateOn), dot(2, 15, 107.2, track.StateTask), dot(3, 60, 107.3, track.StateOn), dot(4, 5, 107, track.StateOff))
	bubble(t, hub.Options{Now: now, Dots: f.changed}, func(t *testing.T, s *stand) {
		<-time.After(1500 * time.Millisecond)
		county, a1, deaf := s.visit(wallA), s.visit(townA1), s.visit(countyA, `"topics":["events"]`)
		check := func(p *peer, wantFull bool, want ...string) {
			t.Helper()
			if got, full := p.spots(); !slices.Equal(got, want) || full != wantFull {
				t.Errorf("got %v (full %t), want %v (full %t)", got, full, want, wantFull)
			}
		}
		check(county, true, "1 on 107.1", "2 task 107.2")
		check(a1, true, "1 on 107.1")
		f.move(dot(1, 5, 107.4, track.StateOn))
		f.move(dot(1, 5, 107.5, track.StateStale), dot(3, 60, 107.9, track.StateOn))
		check(county, false, "1 stale 107.5") // the newest alone
		check(a1, false, "1 stale 107.5")
		f.move(dot(2, 15, 107.2, track.StateOff))
		check(county, false, "2 off 107.2")
		f.move(dot(1, 15, 107.5, track.StateOn)) // another home grid: the town loses sight
		check(county, true, "1 on 107.5")
		check(a1, true)
		deaf.want("reset")
		if m := deaf.want("positions", "tick"); m.Type != "tick" {
			t.Errorf("a reader of events alone got %s", m.raw)
		}
		county.hello(`"epoch":"e1"`, `"seq":0`, scoped(tagOf(wallA)))
		county.want("resume")
		check(county, true, "1 on 107.5")
	})
}

func TestPositionsOnTheWire(t *testing.T) {
	f := &field{}
	moving := dot(474, 5, 107.1234567, track.StateSOS)
	moving.CourseDeg, moving.AccuracyM = 90, -1
	west := dot(7, 5, -179.9999999, track.StateTask)
	west.CourseDeg, west.FixAt = 359, noon.Add(time.Minute)
	f.move(moving, west)
	bubble(t, hub.Options{Now: func() time.Time { return noon }, Dots: f.changed}, func(t *testing.T, s *stand) {
		<-time.After(1500 * time.Millisecond)
		want := `{"type":"positions","at":"2026-03-05T12:00:00.000Z","full":true,"items":[` +
			`[7,-180.000000,38.200000,0,12,359,"task"],[474,107.123457,38.200000,7,-1,90,"sos"]]}`
		if m := s.visit(countyA).want("positions"); string(m.raw) != want {
			t.Errorf("got  %s\nwant %s", m.raw, want)
		}
		p := s.visit(countyA, `"positions":"binary"`)
		// 2 | 1772712000000 ms | 7, -179.9999999, 38.2, 0 s, 12 m, task+course 0 | 474, 107.1234567, 38.2, 7 s, ?, sos+course 8
		golden := "02" + "007adebd9c010000" +
			"07000000" + "012eb694" + "80dbc416" + "0000" + "03" + "20" +
			"da010000" + "07bed93f" + "80dbc416" + "0700" + "ff" + "68"
		if got := fmt.Sprintf("%x", p.want("positions").binary); got != golden {
			t.Errorf("got  %s\nwant %s", got, golden)
		}
		f.move(dot(7, 5, 107, track.StateOff))
		got := p.want("positions").binary
		if len(got) != 9+16 || got[0] != 1 || got[24] != 7<<5|31 {
			t.Errorf("changes: %x", got)
		}
	})
}
