// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package dispatch holds the rules of an incident's life: which acts are
// possible in which state, what each one changes, and by when it must be done.
// It is pure: facts and a command in, a change out; no clock, database or socket.
package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onemap/auth"
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
	Department int64  // the category's lead department; 0 if unknown
	Outside    *Limit // of an outside letter; nil for none
}

// Incident is the state of one incident as far as the rules look at it.
type Incident struct {
	ID             int64
	Version        int
	State          State
	Priority       int
	OwnerLevel     int // of the running stage
	Category       string
	ReportedAt     time.Time
	AckDue         *time.Time // of the running stage, like the next two
	StageDue       *time.Time
	DueRule        string
	Stage          int  // the number of the running stage
	Late           bool // the running stage's limit has passed, as the sweep found
	AcknowledgedAt *time.Time
	OnSceneAt      *time.Time
	ResolvedAt     *time.Time
	ClosedAt       *time.Time
	ResolvedLevel  int        // the level that owned it when it was resolved; 0 before
	Reopened       int        // how often
	ReviewAt       *time.Time // when a suspended one is looked at again
	MergedInto     int64      // 0 for none
}

// Act is a step somebody takes on an incident.
type Act struct {
	Action     Action
	Role       auth.Role  // whose; "" for what an offer or a clock brings about
	Reason     string     // why, or what was done
	DeviceAt   *time.Time // the actor's own clock, where it was told
	Level      int        // of route, reassign, delegate: who is to own it; 0 as it is
	Department int64      // of route, reassign, delegate: the lead department; 0 as it is
	Wrong      bool       // of route, reassign: it had been sent to the wrong one, whose time does not count
	Door       string     // of refuse, transfer: who the reporter is sent to instead
	DoorOf     int64      // of refuse, transfer: the department whose door that is; 0 for one outside
	Until      time.Time  // of suspend: when it is looked at again
	Into       int64      // of merge
	Priority   int        // of correct; 0 as it is
	Category   *Category  // of correct; nil as it is
	Place      *Place     // of correct; nil as it is
	Request    int        // number of the request that a second person has approved; never by hand
}

// Facts are what the rules look at to decide an act.
type Facts struct {
	Incident    Incident
	Stage       Stage    // the running one; of a closed incident the last
	Category    Category // the incident's
	Depth       int      // level of the deepest grid at its place
	Department  int64    // its lead department; 0 for none
	Calendar    calendar.Calendar
	Limits      Limits
	Outside     *Limit // that an outside letter came with
	Now         time.Time
	OwnReport   bool      // the actor is the worker who reported it
	OwnGrid     bool      // it lies in a grid that the actor serves
	Evidence    bool      // something is attached
	Approved    bool      // a second person has agreed to what is asked
	Unsatisfied bool      // the newest call-back was
	NoLiaison   bool      // the department that would have it has nobody to see it
	Target      *Incident // of merge
	SameCounty  bool      // Target is of the same county
	Here        *Place    // of reopen: where it lies in the grids in force; nil leaves it where it is
}

// Step is one journal entry.
type Step struct {
	Kind     string // "report", or the Action
	From, To State
	Reason   string
	DeviceAt *time.Time
	Data     map[string]any // what else the act brought; nothing personal
}

// Change is what a command does: the incident after it, its journal entry and
// the kind of event told to everybody.
type Change struct {
	After      Incident
	Step       Step
	Event      string
	Stage      *Stage  // begins now, and the running one ends; nil where it runs on
	Department int64   // the lead department after it; 0 for none
	Place      *Place  // where it lies after it; nil where it was
	EndOffers  bool    // whoever was asked or sent is told that it is over
	Workers    []int64 // whose work it is after it; nil as it was
	Paused     *time.Time
	Resumed    bool // the running stage's clock goes on: its due time is StageDue
}

// ErrReasonMissing refuses an act that must be explained.
var ErrReasonMissing = errors.New("this act needs a reason")

// NeedError refuses an act that comes without something it needs.
type NeedError struct {
	Action Action
	Need   Need
}

func (e *NeedError) Error() string { return fmt.Sprintf("%s: this act needs %q", e.Action, e.Need) }

// RoleError refuses an act that the state allows, to others.
type RoleError struct {
	Action Action
	Role   auth.Role
}

func (e *RoleError) Error() string {
	return fmt.Sprintf("%q is not an act of role %s", e.Action, e.Role)
}

// Unwrap says that the role is refused.
func (e *RoleError) Unwrap() error { return auth.ErrForbidden }

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

// Open decides a report: the incident it makes, its first stage and due times
// included.
func Open(r Report, cal calendar.Calendar, now time.Time) Change {
	in := Incident{
		Version: 1, State: Reported, Priority: cmp.Or(r.Priority, r.Category.Priority), Category: r.Category.Code,
		OwnerLevel: r.Category.HandlingLevel, ReportedAt: r.ReportedAt,
	}
	if in.OwnerLevel > r.Place.GridLevel && r.Place.GridLevel > 0 {
		in.OwnerLevel = r.Place.GridLevel // nobody further down to own it
	}
	// The clock runs from when the centre could know, never from an earlier time
	// that a late or backdated report claims.
	f := Facts{Category: r.Category, Calendar: cal, Now: now}
	limit := Limit{r.Category.SLAValue, calendar.Unit(r.Category.SLAUnit)}
	if r.Outside != nil {
		limit = *r.Outside
	}
	s := f.stage(in.OwnerLevel, r.Department, limit)
	in.clockOf(s)
	return Change{After: in, Step: Step{Kind: "report", To: Reported}, Event: "incident.opened", Stage: &s, Department: r.Department}
}

// clockOf lets the incident show the stage's owner and clock.
func (in *Incident) clockOf(s Stage) {
	in.Stage, in.OwnerLevel, in.AckDue, in.StageDue, in.DueRule, in.Late = s.N, s.Level, s.AckDue, s.Due, s.Rule, false
}

// find returns the machine's row for an act, or why there is none.
func find(s State, a Act) (transition, error) {
	listed := false
	for _, t := range transitions {
		if t.action != a.Action || !slices.Contains(t.from, s) {
			continue
		}
		if a.Role == "" || slices.Contains(t.who, a.Role) {
			return t, nil
		}
		listed = listed || len(t.who) > 0
	}
	if listed {
		return transition{}, &RoleError{a.Action, a.Role}
	}
	return transition{}, &StateError{State: s, Action: a.Action, Possible: Possible(s, a.Role)}
}

// Decide decides an act on an incident. It returns a *StateError when the state
// forbids it, a *RoleError when it is not the role's, ErrReasonMissing or a
// *NeedError when it comes without what it needs, and a *GuardError when the
// circumstances forbid it.
func Decide(f Facts, a Act) (Change, error) {
	in := f.Incident
	t, err := find(in.State, a)
	if err != nil {
		return Change{}, err
	}
	if err := t.complete(a); err != nil {
		return Change{}, err
	}
	if t.guard != nil {
		if err := t.guard(f, a); err != nil {
			return Change{}, err
		}
	}
	ch := Change{After: in, Event: "incident.changed", Department: f.Department, Step: Step{Kind: string(a.Action), From: in.State, To: in.State, Reason: a.Reason, DeviceAt: a.DeviceAt}}
	after := &ch.After
	after.Version++
	if t.to != "" {
		after.State, ch.Step.To = t.to, t.to
	}
	f.stamp(after)
	f.carryOut(&ch, a)
	if !after.State.Open() {
		ch.Event = "incident.closed"
	}
	return ch, nil
}

// complete refuses an act that comes without what it needs.
func (t transition) complete(a Act) error {
	for _, n := range t.needs {
		missing := false
		switch n {
		case Reason:
			if strings.TrimSpace(a.Reason) == "" {
				return fmt.Errorf("%s: %w", a.Action, ErrReasonMissing)
			}
		case Door:
			missing = strings.TrimSpace(a.Door) == ""
		case Level:
			missing = a.Level == 0
		case Until:
			missing = a.Until.IsZero()
		case Into:
			missing = a.Into == 0
		case Edits:
			missing = a.Priority == 0 && a.Category == nil && a.Place == nil
		}
		if missing {
			return &NeedError{a.Action, n}
		}
	}
	return nil
}

// stamp keeps the times and counts that belong to the state an act leads to.
func (f Facts) stamp(after *Incident) {
	if after.State == f.Incident.State {
		return
	}
	now := f.Now
	after.ReviewAt = nil // but of one that is suspended now: see carryOut
	switch after.State {
	case Acknowledged:
		after.AcknowledgedAt = &now
	case OnScene:
		after.OnSceneAt = &now
	case Resolved:
		after.ResolvedAt, after.ResolvedLevel = &now, after.OwnerLevel
	case Rework, Returned:
		after.ResolvedAt, after.ResolvedLevel, after.ClosedAt = nil, 0, nil
	case Reopened:
		after.ResolvedAt, after.ResolvedLevel, after.ClosedAt = nil, 0, nil
		after.Reopened++
	case Closed:
		after.ClosedAt = &now
	}
}

// carryOut is what an act does besides moving the state: who owns the incident, and
// which clock runs.
func (f Facts) carryOut(ch *Change, a Act) {
	after, data := &ch.After, map[string]any{}
	level, department := cmp.Or(a.Level, f.Incident.OwnerLevel), cmp.Or(a.Department, f.Department)
	switch a.Action {
	case Route, Reassign, Delegate:
		ch.Stage, ch.Department = f.handOver(level, department, a.Wrong), department
		ch.EndOffers = a.Action != Route
		if a.Wrong {
			data["wrong"] = true
		}
	case Escalate:
		ch.Stage, ch.EndOffers = f.handOver(f.Incident.OwnerLevel-1, f.Department, false), true // by one, to the same department, whatever the act names
		after.ReviewAt = nil
	case Return, Merge, VoidIt, Transfer, Refuse:
		ch.EndOffers = true
	case Suspend:
		until, now := a.Until, f.Now
		after.ReviewAt, ch.Paused, ch.EndOffers = &until, &now, true
	case Resume:
		after.ReviewAt, ch.Resumed = nil, true
		if c := f.resumed(); !c.Due.IsZero() {
			after.StageDue, after.DueRule, after.AckDue = &c.Due, c.Rule, c.AckDue
		}
	case Reopen:
		level := f.Incident.OwnerLevel
		if ch.Place = f.Here; f.Here != nil {
			level = ownerIn(level, f.Category.HandlingLevel, f.Depth, f.Here.GridLevel)
		}
		s := f.stage(level, f.Department, StageLimit(f.Category, level, f.Limits, f.Outside))
		ch.Stage = &s
	case Correct:
		f.correct(ch, a, data)
	}
	if a.Action == Merge {
		after.MergedInto = a.Into
		data["into"] = a.Into
	}
	if a.Door != "" {
		data["door"] = a.Door
	}
	if a.DoorOf != 0 {
		data["door_department"] = fmt.Sprint(a.DoorOf)
	}
	if a.Request != 0 {
		data["request"] = a.Request
	}
	if ch.Stage != nil {
		after.clockOf(*ch.Stage)
		data["level"], data["due"] = ch.Stage.Level, ch.Stage.Due
	}
	if len(data) > 0 {
		ch.Step.Data = data
	}
}

// correct puts right what was reported: grid, department and due times follow.
func (f Facts) correct(ch *Change, a Act, data map[string]any) {
	after := &ch.After
	if a.Priority != 0 {
		data["priority"] = map[string]any{"from": after.Priority, "to": a.Priority}
		after.Priority = a.Priority
	}
	depth := f.Depth
	if a.Place != nil {
		ch.Place, depth = a.Place, a.Place.GridLevel
		data["grid"] = map[string]any{"to": a.Place.GridID}
	}
	if a.Category != nil {
		ch.Department = cmp.Or(a.Department, f.Department) // who leads such matters
		data["category"] = map[string]any{"from": after.Category, "to": a.Category.Code}
		after.Category = a.Category.Code
		f.Category = *a.Category
	}
	level := min(f.Incident.OwnerLevel, max(depth, 1))
	if a.Category == nil && level == f.Incident.OwnerLevel {
		return
	}
	if a.Category != nil {
		level = min(max(depth, 1), a.Category.HandlingLevel)
	}
	s := f.stage(level, ch.Department, StageLimit(f.Category, level, f.Limits, f.Outside))
	// The time that has passed counts: the new limit runs from when the stage before began.
	due := f.Calendar.Due(f.Stage.StartedAt, StageLimit(f.Category, level, f.Limits, f.Outside).Value, StageLimit(f.Category, level, f.Limits, f.Outside).Unit)
	s.Due, s.Rule, s.Provisional = &due.At, due.Rule, due.Provisional
	s.StartedAt, s.Extensions, s.PausedAt = f.Stage.StartedAt, f.Stage.Extensions, f.Stage.PausedAt
	ch.Stage = &s
}
