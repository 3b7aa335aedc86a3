// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// State is the newest payload of every live entity as of one sequence number.
// The zero State is empty as of 0. It is not safe for concurrent use.
type State struct {
	Head  Seq
	items map[Key]Item
}

// NewState makes the State as of head from its items.
func NewState(head Seq, items []Item) *State {
	s := &State{Head: head, items: make(map[Key]Item, len(items))}
	for _, it := range items {
		s.items[it.Key] = it
	}
	return s
}

// Apply folds the next event into s. It is the only way a State changes, in the
// database's copy (table live_state) and in every node alike. An event that is
// not the next one is refused and s stays as it was.
func Apply(s *State, e Event) error {
	if e.Seq != s.Head+1 {
		return fmt.Errorf("feed: event %d does not follow head %d", e.Seq, s.Head)
	}
	s.Head = e.Seq
	switch e.Live {
	case Put:
		if s.items == nil {
			s.items = map[Key]Item{}
		}
		s.items[e.Entity] = Item{Key: e.Entity, Seq: e.Seq, Ver: e.Ver, Audience: e.After, Shared: e.Shared, Case: e.Case}
	case End:
		delete(s.items, e.Entity)
	}
	return nil
}

// Get returns the live entity named k.
func (s *State) Get(k Key) (Item, bool) {
	it, ok := s.items[k]
	return it, ok
}

// Len is the number of live entities.
func (s *State) Len() int { return len(s.items) }

// Items returns every live entity ordered by kind, then id (byte order).
func (s *State) Items() []Item {
	return slices.SortedFunc(maps.Values(s.items), func(a, b Item) int {
		if c := strings.Compare(a.Key.Kind, b.Key.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.Key.ID, b.Key.ID)
	})
}
