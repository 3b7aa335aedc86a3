// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package dispatch holds the rules of an incident's life: which acts are
// possible in which state, what each one changes, and by when it must be done.
// It is pure: facts and a command in, a change out; no clock, database or socket.
package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/geo/cell"
)

// PlaceKind says how well an incident's place is known.
type PlaceKind string

const (
	InGrid  PlaceKind = "in_grid" // inside a grid of the county
	Outside PlaceKind = "outside" // a point outside every grid; carries the county's root
	NoPlace PlaceKind = "none"    // no point yet, perhaps an address; carries the county's root
)

// Place is where an incident is, as intake found it.
type Place struct {
	Kind        PlaceKind
	Raw         *geo.Raw     // as given; nil when Kind is NoPlace
	Point       *geo.WGS84   // nil when Kind is NoPlace
	Cells       [4]cell.Cell // H3 at resolutions 6 to 9; zero when Kind is NoPlace
	Address     string
	Found       *Found // how the point was found of Address; nil for a point that was given
	GridID      int64  // the deepest known grid
	GridNo      int32
	GridLevel   int
	GridVersion int32
}

// FoundBy says by what a place was found that was told in words alone.
type FoundBy string

const (
	ByAddress FoundBy = "address"  // the one place or address that the words mean
	ByOffset  FoundBy = "relative" // so far from such a place, in a direction
	ByArea    FoundBy = "area"     // no finer than the village or town: its middle
)

// Found is how a place was found that was told in words alone. It names a place and
// never a person.
type Found struct {
	By         FoundBy
	ID         int64 // of the place in the address library; 0 for a village or town
	Name       string
	Confidence float64 // 0 to 1, as the address search had it
	AccuracyM  float64 // how far off the place meant may lie, in metres
}

// Report is a matter that came in: checked, converted and placed by intake.
type Report struct {
	Category   Category
	Title      string
	Text       string
	Priority   int // 1 (most urgent) to 4; zero takes the category's
	Source     string
	ExternalID string // the source's own number; "" if it has none
	Place      Place
	OccurredAt *time.Time
	ReportedAt time.Time
	Department int64 // the category's lead department; 0 if unknown
}

// Incident is the state of one incident as far as the rules look at it.
type Incident struct {
	ID             int64
	Version        int
	State          State
	Priority       int
	OwnerLevel     int
	Category       string
	ReportedAt     time.Time
	AckDue         *time.Time
	StageDue       *time.Time
	DueRule        string
	AcknowledgedAt *time.Time
	OnSceneAt      *time.Time
	ResolvedAt     *time.Time
	ClosedAt       *time.Time
}

// Act is a step somebody takes on an incident.
type Act struct {
	Action   Action
	Reason   string
	DeviceAt *time.Time // the actor's own clock, where it was told
}

// Step is one journal entry.
type Step struct {
	Kind     string // "report", or the Action
	From, To State
	Reason   string
	DeviceAt *time.Time
}

// Change is what a command does: the incident after it, its journal entry and
// the kind of event told to everybody.
type Change struct {
	After Incident
	Step  Step
	Event string
}

// ErrReasonMissing refuses an act that must be explained.
var ErrReasonMissing = errors.New("this act needs a reason")

// StateError refuses an act that the incident's state does not allow.
type StateError struct {
	State    State
	Action   Action
	Possible []Action
}

func (e *StateError) Error() string {
	p := make([]string, len(e.Possible))
	for i, a := range e.Possible {
		p[i] = string(a)
	}
	return fmt.Sprintf("%q is not possible while the incident is %s; possible now: %s", e.Action, e.State, strings.Join(p, ", "))
}

// Open decides a report: the incident it makes, due times included.
func Open(r Report, cal calendar.Calendar, now time.Time) Change {
	in := Incident{
		Version: 1, State: Reported, Priority: r.Priority, Category: r.Category.Code,
		OwnerLevel: r.Category.HandlingLevel, ReportedAt: r.ReportedAt,
	}
	if in.Priority == 0 {
		in.Priority = r.Category.Priority
	}
	if in.OwnerLevel > r.Place.GridLevel && r.Place.GridLevel > 0 {
		in.OwnerLevel = r.Place.GridLevel // nobody further down to own it
	}
	// The clock runs from when the centre could know, never from an earlier time
	// that a late or backdated report claims.
	ack := now.Add(time.Duration(r.Category.AckMinutes) * time.Minute)
	due := cal.Due(now, r.Category.SLAValue, calendar.Unit(r.Category.SLAUnit))
	in.AckDue, in.StageDue, in.DueRule = &ack, &due.At, due.Rule
	return Change{After: in, Step: Step{Kind: "report", To: Reported}, Event: "incident.opened"}
}

// Decide decides an act on an incident. It returns a *StateError when the state
// forbids it and ErrReasonMissing when it comes without the reason it needs.
func Decide(in Incident, a Act, now time.Time) (Change, error) {
	i := slices.IndexFunc(transitions, func(t transition) bool {
		return t.action == a.Action && slices.Contains(t.from, in.State)
	})
	if i < 0 {
		return Change{}, &StateError{State: in.State, Action: a.Action, Possible: Possible(in.State)}
	}
	t := transitions[i]
	if t.reason && strings.TrimSpace(a.Reason) == "" {
		return Change{}, fmt.Errorf("%s: %w", a.Action, ErrReasonMissing)
	}
	after := in
	after.Version++
	after.State = t.to
	switch t.to {
	case Acknowledged:
		after.AcknowledgedAt = &now
	case OnScene:
		after.OnSceneAt = &now
	case Resolved:
		after.ResolvedAt = &now
	case Rework, Returned, Reopened:
		after.ResolvedAt, after.ClosedAt = nil, nil
	case Closed:
		after.ClosedAt = &now
	}
	event := "incident.changed"
	if !t.to.Open() {
		event = "incident.closed"
	}
	return Change{
		After: after, Event: event,
		Step: Step{Kind: string(a.Action), From: in.State, To: t.to, Reason: a.Reason, DeviceAt: a.DeviceAt},
	}, nil
}
