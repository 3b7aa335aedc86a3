// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package feed says what an event is and how the live state of a county follows
// from the stream of events: one gapless sequence that every screen, node and
// replay reads in the same order.
package feed

import (
	"encoding/json"
	"time"
)

// Seq is an event's place in the feed: 1, 2, 3, ... without a gap.
type Seq int64

// Epoch names one unbroken line of sequence numbers. A restore or promotion of
// the database starts a new one, and every client starts over.
type Epoch string

// Key names an entity: its kind ("incident", "worker") and its id in that kind.
type Key struct {
	Kind string
	ID   string
}

// Live says what an event does to the entity in the live state.
type Live string

const (
	Put  Live = "put"  // the payload is the entity's newest public state
	End  Live = "end"  // the entity is no longer live (a closed incident)
	None Live = "none" // nothing to keep (an import, a configuration change)
)

// Audience says whom an entity concerns: a grid number, departments, workers.
type Audience struct {
	Grid        int32   `json:"grid,omitempty"`
	Departments []int64 `json:"departments,omitempty"`
	Workers     []int64 `json:"workers,omitempty"`
	// Sensitive keeps the entity from readers who may see no sensitive category.
	Sensitive bool `json:"sensitive,omitempty"`
}

// Event is one change, numbered. Shared and Case are the entity's whole public
// state after it, each as JSON encoded once; a view that may not see the entity
// at all has nil. Neither holds a personal field.
type Event struct {
	Seq        Seq
	At         time.Time // stamped by the sequencer; never decreases along Seq
	OccurredAt time.Time // the act's own time
	Kind       string    // "incident.opened"
	Entity     Key
	Ver        int
	Live       Live
	Before     Audience // the zero Audience when the entity is new
	After      Audience
	Shared     json.RawMessage
	Case       json.RawMessage
}

// Item is an entity in the live state: its newest payload and the event that
// brought it.
type Item struct {
	Key      Key
	Seq      Seq
	Ver      int
	Audience Audience
	Shared   json.RawMessage
	Case     json.RawMessage
}
