// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"onemap/geo/grid"
	"onemap/store"
)

// comparison is what two boundary sets differ in and what is wrong with the second
// one. Neither set ever changes, so it is worked out once; with thousands of new
// borders that takes longer than a request may.
type comparison struct {
	done   chan struct{} // closed when the rest is there
	diff   *store.GridDiff
	faults []grid.Fault
	err    error
}

// comparisons are those worked out lately, one at a time.
type comparisons struct {
	mu   sync.Mutex // guards what follows
	by   map[[2]int32]*comparison
	turn chan struct{}
}

const (
	maxComparisons = 8
	compareFor     = 3 * time.Minute
)

// compared is the comparison of a draft with the version before it. One that takes
// too long goes on, and whoever asks again finds it done. Close cuts it off.
func (s *Server) compared(ctx context.Context, before, draft int32) (*comparison, error) {
	c := s.compare(before, draft)
	wait := time.NewTimer(enactWait)
	defer wait.Stop()
	select {
	case <-c.done:
		if s.open.Err() != nil {
			return nil, retryLater("the server is being stopped; ask again in a moment")
		}
		return c, c.err
	case <-ctx.Done():
	case <-wait.C:
	}
	return nil, retryLater(fmt.Sprintf("version %d is still being compared with the boundaries in force; ask again in a moment", draft))
}

func (s *Server) compare(before, draft int32) *comparison {
	k := &s.comparing
	k.mu.Lock()
	defer k.mu.Unlock()
	key := [2]int32{before, draft}
	if c := k.by[key]; c != nil {
		return c
	}
	if k.by == nil {
		k.by, k.turn = map[[2]int32]*comparison{}, make(chan struct{}, 1)
	}
	for old, c := range k.by {
		select {
		case <-c.done:
			if len(k.by) >= maxComparisons {
				delete(k.by, old)
			}
		default:
		}
	}
	c := &comparison{done: make(chan struct{})}
	k.by[key] = c
	go func() { // ends by its deadline, or with Close
		defer close(c.done)
		ctx, cancel := context.WithTimeout(s.open, compareFor)
		defer cancel()
		select {
		case k.turn <- struct{}{}:
			defer func() { <-k.turn }()
		case <-ctx.Done():
			c.err = ctx.Err()
		}
		if c.err == nil {
			c.faults, c.err = s.o.Care.CheckVersion(ctx, draft)
		}
		if c.err == nil {
			c.diff, c.err = s.o.Care.DiffGrids(ctx, before, draft)
		}
		if c.err != nil { // the next one who asks tries again
			k.mu.Lock()
			delete(k.by, key)
			k.mu.Unlock()
		}
	}()
	return c
}
