// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
)

// TestWhatIsTooMuchForItsTimeSaysSo lets a question run into its deadline: where it had
// longer than others, it was too much, and is not to be asked again.
func TestWhatIsTooMuchForItsTimeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{}
		l.setDefaults()
		s := &Server{gin: gin.New(), gates: newGates(l), o: Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)}}
		s.gin.ContextWithFallback = true
		s.huma = humagin.New(s.gin, huma.DefaultConfig("test", "1"))
		for _, c := range []struct {
			path   string
			has    map[string]any
			period time.Duration
			within time.Duration
			status int
			says   string
		}{
			{"/usual", nil, 0, 3 * time.Second, http.StatusServiceUnavailable, "or ask for less at a time"},
			{"/long", map[string]any{patient: countTime}, shortCount + time.Hour, 20 * time.Second, http.StatusUnprocessableEntity, "within 20 seconds: ask for a shorter period"},
			{"/slow", map[string]any{patient: countTime}, 7 * 24 * time.Hour, 20 * time.Second, http.StatusServiceUnavailable, "or ask for less at a time"},
		} {
			route(s, open, huma.Operation{OperationID: c.path, Method: http.MethodGet, Path: c.path, Metadata: c.has},
				func(ctx context.Context, _ caller, _ *struct{}) (*struct{}, error) {
					<-ctx.Done()
					return nil, outOfTime(ctx, ctx.Err(), c.period)
				})
			start, w := time.Now(), httptest.NewRecorder()
			s.gin.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, nil))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || time.Since(start) != c.within {
				t.Errorf("%s: %d %s after %s", c.path, w.Code, w.Body, time.Since(start))
			}
		}
	})
}

func TestAPlaceForDrawingRestsAsLongAsItWasWorkedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{Tiles: 1, Reads: 1}
		l.setDefaults()
		s := &Server{gates: newGates(l), o: Options{Now: time.Now}}
		for _, c := range []struct {
			class class
			rest  time.Duration
		}{{drawing, 200 * time.Millisecond}, {reads, 0}} {
			leave, err := s.take(t.Context(), c.class)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
			leave()
			start := time.Now()
			if leave, err = s.take(t.Context(), c.class); err != nil {
				t.Fatalf("%s: %v", classNames[c.class], err)
			}
			if rest := time.Since(start); rest != c.rest {
				t.Errorf("%s: the next waited %s, want %s", classNames[c.class], rest, c.rest)
			}
			leave()
		}
	})
}

func TestAPlaceThatDoesNotComeFreeIsRefusedAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{Reports: 1}
		l.setDefaults()
		told := ""
		s := &Server{gates: newGates(l), o: Options{Now: time.Now, Refused: func(rule string) { told = rule }}}
		if _, err := s.take(t.Context(), reports); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := s.take(t.Context(), reports); err == nil || time.Since(start) != l.Wait || told != "busy_report" {
			t.Errorf("%v after %s, counted as %q", err, time.Since(start), told)
		}
	})
}

func TestOneCallerHasFewPlacesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{Reads: 10, AtOnce: 2}
		l.setDefaults()
		told := ""
		s := &Server{gates: newGates(l), o: Options{Now: time.Now, Refused: func(rule string) { told = rule }}}
		var leaves []func()
		for range 2 {
			leave, err := s.takeFor(t.Context(), reads, "token:1")
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		start := time.Now()
		if _, err := s.takeFor(t.Context(), reads, "token:1"); err == nil || time.Since(start) != l.Wait || told != "turn_read" {
			t.Errorf("a third: %v after %s, counted as %q", err, time.Since(start), told)
		}
		for _, other := range []struct {
			class  class
			caller string
		}{{reads, "token:2"}, {changes, "token:1"}} {
			leave, err := s.takeFor(t.Context(), other.class, other.caller)
			if err != nil {
				t.Errorf("%v: %v", other, err)
				continue
			}
			leave()
		}
		time.AfterFunc(l.Wait/2, leaves[0])
		leave, err := s.takeFor(t.Context(), reads, "token:1")
		if err != nil {
			t.Fatalf("after one left: %v", err)
		}
		leave()
		leaves[1]()
		if len(s.gates.turns) != 0 || len(s.gates.places[reads]) != 0 {
			t.Errorf("%d turns and %d places are kept", len(s.gates.turns), len(s.gates.places[reads]))
		}
	})
}

func TestWhoReadsWithoutEndWaitsUntilTheShareHasPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{}
		l.setDefaults()
		told := ""
		s := &Server{gates: newGates(l), o: Options{Now: time.Now, Refused: func(rule string) { told = rule }}}
		read := func(caller string, work time.Duration) bool {
			if s.afford(t.Context(), caller) != nil {
				return false
			}
			began := time.Now()
			time.Sleep(work)
			s.spent(caller, began)
			return true
		}
		start, worked := time.Now(), time.Duration(0)
		for time.Since(start) < 10*time.Minute {
			if read("token:1", time.Second) {
				worked += time.Second
			} else {
				time.Sleep(time.Second) // what it was told
			}
			if !read("token:2", time.Millisecond) {
				t.Fatal("another caller waits too")
			}
			time.Sleep(9 * time.Millisecond)
		}
		if most := time.Duration(readShare*float64(10*time.Minute)) + readBurst; worked > most+time.Second || worked < most-15*time.Second || told != "effort_read" {
			t.Errorf("read for %s in ten minutes, want about %s; counted as %q", worked, most, told)
		}
	})
}

func TestWhoAsksALittleTooOftenIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{ReadsPerSecond: 10}
		l.setDefaults()
		var told atomic.Int32
		s := &Server{gates: newGates(l), o: Options{Now: time.Now, Refused: func(string) { told.Add(1) }}}
		start := time.Now()
		for i := range 110 { // one after the other
			if err := s.pace(t.Context(), reads, "token:1"); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		if took := time.Since(start); took < 9900*time.Millisecond || took > 10100*time.Millisecond {
			t.Errorf("110 requests took %s at 10 a second with 10 at once", took)
		}
		var wg sync.WaitGroup
		for range 20 { // all at a time
			wg.Go(func() { _ = s.pace(t.Context(), reads, "token:1") })
		}
		wg.Wait()
		if n := told.Load(); n < 15 {
			t.Errorf("%d of 20 at a time were refused", n)
		}
	})
}

func TestAStallOfTheServerIsNotTheCallersDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limits{}
		l.setDefaults()
		s := &Server{gates: newGates(l), o: Options{Now: time.Now}}
		began := time.Now()
		time.Sleep(3 * time.Second) // the database hung
		for range l.AtOnce {
			s.spent("token:1", began)
		}
		healed := time.Now()
		for s.afford(t.Context(), "token:1") != nil {
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(healed); d > 5*time.Second {
			t.Errorf("after a stall of 3 s with %d reads under way their caller waited %s more", l.AtOnce, d)
		}
	})
}
