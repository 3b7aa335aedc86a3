// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoHasASessionWaitsForNoGuesser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{door: newDoor(Limits{LoginsPerMinute: 5, AddressLoginsPerMinute: 30})}
		done := make(chan struct{})
		for range checksAtOnce + checksWaiting {
			go func() { _ = s.slowly(t.Context(), s.door.outside, func() error { <-done; return nil }) }()
		}
		synctest.Wait()
		if err := s.slowly(t.Context(), s.door.outside, func() error { return nil }); err == nil {
			t.Error("one more from outside is let in")
		}
		start, ran := time.Now(), false
		if err := s.slowly(t.Context(), s.door.inside, func() error { ran = true; return nil }); err != nil || !ran || time.Since(start) > 0 {
			t.Errorf("an unlock waited %s: %v", time.Since(start), err)
		}
		close(done)
		time.Sleep(time.Minute) // what rests comes free
	})
}
