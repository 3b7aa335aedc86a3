// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnAnswerIsWorkedOutOnceForAllWhoWait: many ask at once, one works; an error is told to
// all of them and not kept; who goes away waits no longer; one caller does not fill the room.
func TestAnAnswerIsWorkedOutOnceForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept[int](10, 3)
		always := func(int) bool { return true }
		var worked atomic.Int32
		fails := errors.New("not now")
		work := func() (int, int, error) {
			time.Sleep(time.Second)
			if worked.Add(1) == 1 {
				return 0, 0, fails
			}
			return 7, 1, nil
		}
		for round := range 3 {
			var group sync.WaitGroup
			for i := range 9 {
				group.Go(func() {
					v, err := k.of(t.Context(), "a", fmt.Sprint(i%3), always, work)
					if (round == 0) != errors.Is(err, fails) || (round > 0) != (v == 7) {
						t.Errorf("round %d: %d, %v", round, v, err)
					}
				})
			}
			group.Wait()
		}
		if n := worked.Load(); n != 2 {
			t.Errorf("worked %d times", n)
		}
		go func() { _, _ = k.of(t.Context(), "b", "x", always, work) }()
		synctest.Wait()
		soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := k.of(soon, "b", "x", always, work); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who goes away: %v", err)
		}
		for range 3 {
			go func() { _, _ = k.of(t.Context(), "b", "x", always, work) }()
		}
		synctest.Wait()
		if _, err := k.of(t.Context(), "b", "x", always, work); !errors.Is(err, errManyWait) {
			t.Errorf("a fourth that waits: %v", err)
		}
		if v, err := k.of(t.Context(), "b", "y", always, work); v != 7 || err != nil {
			t.Errorf("another caller: %d %v", v, err)
		}
	})
}

// TestWhoWaitsIsNotToldWhatConcernsAnother: who works it out is refused for asking too much,
// or does so by settings that are not in force any more; who waited works it out then.
func TestWhoWaitsIsNotToldWhatConcernsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept[int](10, 3)
		tooMuch := errors.New("you ask for too much")
		var settings atomic.Int64
		fresh := func(v int) bool { return v == int(settings.Load()) }
		work := func(err error) func() (int, int, error) {
			return func() (int, int, error) {
				by := int(settings.Load())
				time.Sleep(time.Second)
				return by, 1, err
			}
		}
		first, waited := make(chan error, 1), make(chan int, 3)
		wait := func() {
			synctest.Wait()
			for i := range 3 {
				go func() {
					v, err := k.of(t.Context(), "a", fmt.Sprint("other", i), fresh, work(nil))
					if err != nil {
						t.Error(err)
					}
					waited <- v
				}()
			}
		}
		go func() {
			_, err := k.of(t.Context(), "a", "greedy", fresh, work(ownRefusal{tooMuch}))
			first <- err
		}()
		wait()
		if err := <-first; err != tooMuch {
			t.Errorf("who asked for too much is told %v", err)
		}
		for range 3 {
			if v := <-waited; v != 0 {
				t.Errorf("who waited is told %d", v)
			}
		}
		settings.Store(1)
		go func() {
			_, err := k.of(t.Context(), "a", "early", fresh, work(nil))
			first <- err
		}()
		synctest.Wait()
		settings.Store(2)
		wait()
		if err := <-first; err != nil {
			t.Error(err)
		}
		for range 3 {
			if v := <-waited; v != 2 {
				t.Errorf("by settings %d, in force are 2", v)
			}
		}
		if len(k.under)+len(k.waiting) > 0 {
			t.Errorf("%v %v", k.under, k.waiting)
		}
	})
}

// TestAnswersKeptAreBounded holds the cost of what is kept against what was put in, and that
// one who panics keeps nobody waiting.
func TestAnswersKeptAreBounded(t *testing.T) {
	k := newKept[int](100, 1)
	for i := range 5000 {
		key, cost := fmt.Sprint(rand.IntN(50)), 1+rand.IntN(30)
		if i%100 == 99 {
			cost = 150 // more than all together may have
		}
		v, err := k.of(t.Context(), key, "x", func(int) bool { return rand.IntN(3) > 0 }, func() (int, int, error) { return cost, cost, nil })
		if err != nil || v <= 0 {
			t.Fatal(v, err)
		}
		sum := 0
		for e := k.order.Front(); e != nil; e = e.Next() {
			sum += e.Value.(*keptAnswer[int]).v
		}
		if sum != k.cost || len(k.byKey) != k.order.Len() || sum > 100 && k.order.Len() > 1 || len(k.under)+len(k.waiting) > 0 {
			t.Fatalf("after %d: %d is kept, %d noted, in %d of %d", i, sum, k.cost, k.order.Len(), len(k.byKey))
		}
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = k.of(t.Context(), "new", "x", func(int) bool { return true }, func() (int, int, error) { panic("broke") })
	}()
	if v, err := k.of(t.Context(), "new", "x", func(int) bool { return true }, func() (int, int, error) { return 3, 1, nil }); v != 3 || err != nil {
		t.Errorf("after a panic: %d %v", v, err)
	}
}

func TestAnIfNoneMatchListsTags(t *testing.T) {
	const etag = `"5f"`
	for match, want := range map[string]bool{
		"": false, `"5f"`: true, `W/"5f"`: true, `"1", "5f"`: true, ` "1",W/"5f" `: true, "*": true, `"5"`: false, "5f": false, `"5f0"`: false, `"1", "2"`: false,
	} {
		if is := holds(match, etag); is != want {
			t.Errorf("If-None-Match: %s holds %s: %t", match, etag, is)
		}
	}
}
