// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onemap/auth"
)

var noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func TestThrottleGivesItsTokensAndThenOneByOne(t *testing.T) {
	th := auth.NewThrottle(5, time.Minute, 100)
	for i := range 5 {
		if ok, wait := th.Allow("a", noon); !ok || wait != 0 {
			t.Fatalf("act %d: %t, %v", i, ok, wait)
		}
	}
	for _, c := range []struct {
		after time.Duration
		ok    bool
		wait  time.Duration
	}{
		{0, false, 12 * time.Second},
		{5 * time.Second, false, 7 * time.Second}, // being refused costs nothing
		{12 * time.Second, true, 0},
		{12 * time.Second, false, 12 * time.Second},
		{36 * time.Second, true, 0},
		{36 * time.Second, true, 0},
		{36 * time.Second, false, 12 * time.Second},
	} {
		if ok, wait := th.Allow("a", noon.Add(c.after)); ok != c.ok || wait != c.wait {
			t.Errorf("after %v: %t, %v; want %t, %v", c.after, ok, wait, c.ok, c.wait)
		}
	}
	if ok, _ := th.Allow("b", noon); !ok {
		t.Error("another key pays for the first")
	}
	if ok, _ := auth.NewThrottle(0, time.Minute, 10).Allow("a", noon); ok {
		t.Error("a limit of 0 allows")
	}
}

// In any span a key acts at most as often as its bucket and what flows into it
// allow, and whoever waits as long as told gets through.
func TestThrottleNeverGivesMoreThanItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		th, each, now := auth.NewThrottle(limit, time.Minute, 10), time.Minute/time.Duration(limit), noon
		var taken []time.Time
		for range 200 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			ok, wait := th.Allow("a", now)
			if !ok {
				if again, _ := th.Allow("a", now.Add(wait-1)); again {
					t.Fatalf("a token %v early", wait)
				}
				now = now.Add(wait)
				if ok, _ = th.Allow("a", now); !ok {
					t.Fatalf("no token after the %v it named", wait)
				}
			}
			taken = append(taken, now)
		}
		for i := range taken {
			for j := i; j < len(taken); j++ {
				most := limit + int(taken[j].Sub(taken[i])/each)
				if n := j - i + 1; n > most {
					t.Fatalf("%d acts in %v, at most %d", n, taken[j].Sub(taken[i]), most)
				}
			}
		}
	})
}

func TestThrottleForgetsNoSpentKeyUnderManyMadeUpOnes(t *testing.T) {
	th := auth.NewThrottle(5, time.Minute, 50)
	for range 5 {
		th.Allow("spent", noon)
	}
	now := noon
	for i := range 5_000 {
		now = now.Add(2 * time.Millisecond) // ten seconds in all
		if ok, _ := th.Allow(fmt.Sprint("made up ", i), now); !ok {
			t.Fatal("a new key is refused")
		}
		if th.Len() > 50 {
			t.Fatalf("%d keys, at most 50", th.Len())
		}
	}
	if ok, _ := th.Allow("spent", now); ok {
		t.Error("made-up keys gave a spent one its tokens back")
	}
	if ok, _ := th.Allow("next", now.Add(10*time.Minute)); !ok || th.Len() > 49 {
		t.Errorf("rested keys are kept: %d", th.Len())
	}
}

func TestThrottleKeepsLongKeysShortAndApart(t *testing.T) {
	th, long := auth.NewThrottle(1, time.Minute, 10), strings.Repeat("a", 1<<16)
	if ok, _ := th.Allow(long+"1", noon); !ok {
		t.Fatal("refused")
	}
	if ok, _ := th.Allow(long+"2", noon); !ok {
		t.Error("two long keys are one")
	}
	if ok, _ := th.Allow(long+"1", noon); ok {
		t.Error("a long key is not known again")
	}
}

func TestThrottleOutlivesAClockThatGoesBack(t *testing.T) {
	th := auth.NewThrottle(5, time.Minute, 10)
	for range 5 {
		th.Allow("b", noon)
	}
	before := noon.Add(-24 * time.Hour)
	if ok, wait := th.Allow("b", before); ok || wait != 12*time.Second {
		t.Errorf("b: %t, %v for a day that has been", ok, wait)
	}
	if ok, _ := th.Allow("b", before.Add(12*time.Second)); !ok {
		t.Error("b gets no token when it was told to come back")
	}
}

func TestThrottleAndLockoutFromManySides(t *testing.T) {
	th, lo := auth.NewThrottle(100, time.Hour, 10), auth.NewLockout(5, time.Minute, time.Hour, 10)
	var mu sync.Mutex
	allowed := 0
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 100 {
				ok, _ := th.Allow("one", noon)
				lo.Fail(fmt.Sprint(w, i), noon)
				lo.Fail("one", noon)
				lo.Locked("one", noon)
				lo.Clear(fmt.Sprint(w, i))
				if ok {
					mu.Lock()
					allowed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if allowed != 100 {
		t.Errorf("%d acts, want 100", allowed)
	}
	if locked, left := lo.Locked("one", noon); !locked || left != time.Minute {
		t.Errorf("one: %t, %v", locked, left)
	}
}

func TestLockoutDoublesUpToItsMost(t *testing.T) {
	lo, now := auth.NewLockout(5, time.Minute, 6*time.Minute, 100), noon
	for i := range 4 {
		lo.Fail("a", now)
		if locked, _ := lo.Locked("a", now); locked {
			t.Fatalf("locked after %d failures", i+1)
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 6, 6} {
		want *= time.Minute
		lo.Fail("a", now)
		if locked, left := lo.Locked("a", now); !locked || left != want {
			t.Fatalf("%t, %v; want a lock of %v", locked, left, want)
		}
		lo.Fail("a", now) // while it is locked nothing is counted
		if locked, left := lo.Locked("a", now.Add(want-1)); !locked || left != 1 {
			t.Fatalf("just before its end: %t, %v", locked, left)
		}
		now = now.Add(want)
		if locked, left := lo.Locked("a", now); locked || left != 0 {
			t.Fatalf("at its end: %t, %v", locked, left)
		}
	}
	if locked, _ := lo.Locked("b", noon); locked {
		t.Error("another key is locked too")
	}
}

func TestLockoutStartsAnewAfterASuccessOrALongRest(t *testing.T) {
	fail := func(lo *auth.Lockout, n int, now time.Time) bool {
		for range n {
			lo.Fail("a", now)
		}
		locked, _ := lo.Locked("a", now)
		return locked
	}
	lo := auth.NewLockout(5, time.Minute, 10*time.Minute, 100)
	fail(lo, 4, noon)
	lo.Clear("a")
	if fail(lo, 4, noon) {
		t.Error("failures before a success count")
	}
	if !fail(lo, 1, noon.Add(10*time.Minute-1)) {
		t.Error("failures in a row don't lock")
	}
	end := noon.Add(11*time.Minute - 1)
	if !fail(lo, 1, end.Add(20*time.Minute-1)) {
		t.Error("a key that was locked is forgotten early")
	}
	if fail(lo, 4, end.Add(time.Hour)) {
		t.Error("a key is never forgotten")
	}
	lo = auth.NewLockout(5, time.Minute, 10*time.Minute, 100)
	fail(lo, 4, noon)
	if fail(lo, 1, noon.Add(10*time.Minute)) {
		t.Error("failures far apart are in a row")
	}
}

func TestLockoutKeepsItsLocksUnderManyMadeUpKeys(t *testing.T) {
	lo := auth.NewLockout(3, time.Minute, 10*time.Minute, 50)
	for range 3 {
		lo.Fail("locked", noon)
	}
	now := noon
	for i := range 3_000 {
		now = now.Add(10 * time.Millisecond)
		lo.Fail(fmt.Sprint("made up ", i), now)
		if lo.Len() > 50 {
			t.Fatalf("%d keys, at most 50", lo.Len())
		}
	}
	if locked, left := lo.Locked("locked", now); !locked || left != 30*time.Second {
		t.Errorf("made-up keys opened a lock: %t, %v", locked, left)
	}
}

func TestLockoutOutlivesAClockThatGoesBack(t *testing.T) {
	lo := auth.NewLockout(1, time.Minute, time.Hour, 10)
	lo.Fail("a", noon)
	before := noon.Add(-24 * time.Hour)
	if locked, left := lo.Locked("a", before); !locked || left != time.Minute {
		t.Errorf("%t, %v; want the lock it had", locked, left)
	}
	if locked, left := lo.Locked("a", before.Add(time.Minute)); locked {
		t.Errorf("locked for %v more", left)
	}
}

func BenchmarkThrottleUnderMadeUpKeys(b *testing.B) {
	th, now, i := auth.NewThrottle(30, time.Minute, 10_000), noon, 0
	keys := make([]string, 1<<15)
	for i := range keys {
		keys[i] = fmt.Sprint("address ", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		th.Allow(keys[i%len(keys)], now)
		i++
	}
}
