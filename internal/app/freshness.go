// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"sync"
	"time"
)

// caughtUp is the last moment of which this node knows that it had published
// every numbered event. Its times carry the monotonic clock, so that a clock that
// is set makes nothing older or younger.
type caughtUp struct {
	mu sync.Mutex // guards what follows
	at time.Time
}

// note takes in that a look begun at t found nothing that is not published now.
func (c *caughtUp) note(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func (c *caughtUp) age() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.at)
}

// feedAge is how long ago it is that this node knew it had every event: since the
// pump was last at the feed's end, or since an event waits for its number,
// whichever is longer. It asks nobody: the hub calls it in its loop.
func (s *Server) feedAge() time.Duration {
	return max(s.whole.age(), s.unnumbered.age())
}
