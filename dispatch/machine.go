// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"slices"

	"onemap/auth"
)

// State is where an incident stands in its life.
type State string

const (
	Reported     State = "reported"
	Accepted     State = "accepted"
	Refused      State = "refused"
	Routed       State = "routed"
	Dispatched   State = "dispatched"
	Acknowledged State = "acknowledged"
	OnScene      State = "on_scene"
	Resolved     State = "resolved"
	Verified     State = "verified"
	Rework       State = "rework"
	Closed       State = "closed"
	Archived     State = "archived"
	Returned     State = "returned"
	Escalated    State = "escalated"
	Suspended    State = "suspended"
	Merged       State = "merged"
	Void         State = "void"
	Transferred  State = "transferred"
	Reopened     State = "reopened"
)

// States lists every state, the main line first.
var States = []State{
	Reported, Accepted, Refused, Routed, Dispatched, Acknowledged, OnScene, Resolved, Verified, Rework, Closed,
	Archived, Returned, Escalated, Suspended, Merged, Void, Transferred, Reopened,
}

// Open reports whether somebody still owes work on an incident in this state.
// The database repeats the rule in column incident.open.
func (s State) Open() bool {
	switch s {
	case Refused, Closed, Archived, Merged, Void, Transferred:
		return false
	}
	return true
}

// Action names an act on an incident.
type Action string

const (
	Accept      Action = "accept"
	Refuse      Action = "refuse"
	Route       Action = "route"
	Dispatch    Action = "dispatch" // an offer went out
	Withdraw    Action = "withdraw" // the last live offer ended without a taker
	Acknowledge Action = "acknowledge"
	Arrive      Action = "arrive"
	Resolve     Action = "resolve"
	Verify      Action = "verify"
	SendBack    Action = "rework"
	Close       Action = "close"
	Archive     Action = "archive"
	Return      Action = "return"
	Reassign    Action = "reassign"
	Escalate    Action = "escalate"
	Delegate    Action = "delegate"
	Suspend     Action = "suspend"
	Resume      Action = "resume" // takes a suspended incident up again
	Merge       Action = "merge"
	VoidIt      Action = "void"
	Transfer    Action = "transfer"
	Reopen      Action = "reopen"
	Correct     Action = "correct"
)

// Need is something an act must bring with it.
type Need string

const (
	Reason Need = "reason"
	Door   Need = "door"       // who the reporter is sent to instead
	Level  Need = "level"      // the level that is to own it
	Until  Need = "until"      // when it is looked at again
	Into   Need = "into"       // the incident it is merged into
	Edits  Need = "edits"      // what is corrected
	Owner  Need = "owner"      // another level or department, or that it had been sent wrongly
	Dept   Need = "department" // another than the one that leads, which nobody would see it for
)

// The roles that may take an act, besides being allowed to write the incident.
var (
	desk     = []auth.Role{auth.HallOperator, auth.Dispatcher, auth.TownOperator, auth.VillageHead}
	handlers = append(slices.Clone(desk), auth.GridWorker, auth.DeptHandler)
	worker   = []auth.Role{auth.GridWorker}
	county   = []auth.Role{auth.HallOperator, auth.Dispatcher}
	byOffer  = []auth.Role{} // nobody by hand: an offer's own acts bring it about
)

// transition is one row of the machine.
type transition struct {
	action Action
	from   []State
	to     State // "" stays
	who    []auth.Role
	needs  []Need
	guard  func(Facts, Act) error // what else must hold; nil for nothing
	when   string                 // the guard in words
}

// transitions is the machine: an act not listed for a state is impossible in it. The
// database repeats it (machine_allows), and docs/INCIDENTS.md draws it.
var transitions = []transition{
	{Accept, []State{Reported, Reopened}, Accepted, desk, nil, nil, ""},
	{Refuse, []State{Reported}, Refused, desk, []Need{Reason, Door}, nil, ""},
	{Resolve, []State{Reported}, Resolved, worker, []Need{Reason}, onTheSpot, "the reporter’s own worker, in a grid it serves; the category allows it; evidence is attached where the category wants it"},
	{Route, []State{Accepted, Returned, Escalated}, Routed, desk, nil, routable, "there is a grid at that level; the department has a liaison officer, where the county names any"},
	{Dispatch, []State{Routed}, Dispatched, byOffer, nil, nil, ""},
	{Withdraw, []State{Dispatched}, Routed, byOffer, nil, nil, ""},
	{Acknowledge, []State{Routed}, Acknowledged, handlers, nil, nil, ""}, // a department or a level signs for it without an offer
	{Acknowledge, []State{Dispatched}, Acknowledged, byOffer, nil, nil, ""},
	{Arrive, []State{Acknowledged}, OnScene, handlers, nil, nil, ""},
	{Resolve, []State{Acknowledged, OnScene, Rework}, Resolved, handlers, nil, nil, ""},
	{Verify, []State{Resolved}, Verified, desk, nil, nil, ""},
	{SendBack, []State{Resolved}, Rework, desk, []Need{Reason}, nil, ""},
	{Close, []State{Verified}, Closed, desk, nil, nil, ""},
	{Archive, []State{Closed}, Archived, desk, nil, nil, ""},
	{Return, []State{Routed, Dispatched, Acknowledged, OnScene}, Returned, handlers, []Need{Reason}, nil, ""},
	{Reassign, []State{Routed, Dispatched, Acknowledged, OnScene, Rework}, Routed, desk, []Need{Reason}, reassignable, "another level or department, or it had been sent wrongly; as for route"},
	{Escalate, []State{Accepted, Routed, Dispatched, Acknowledged, OnScene, Rework, Suspended}, Escalated, handlers, []Need{Reason}, hasParent, "there is a level above"},
	{Delegate, []State{Accepted, Routed, Acknowledged, Returned, Escalated}, Routed, desk, []Need{Level}, deeper, "a level below the owner’s; as for route"},
	{Suspend, []State{Routed, Acknowledged, OnScene}, Suspended, county, []Need{Reason, Until}, ahead, "the review date lies ahead"},
	{Resume, []State{Suspended}, Acknowledged, desk, nil, nil, ""},
	{Merge, []State{Reported, Accepted, Routed, Returned, Escalated, Reopened}, Merged, desk, []Need{Into}, mergeable, "another incident of the county that is not merged, void, refused or transferred"},
	{Transfer, []State{Accepted, Routed, Dispatched, Acknowledged}, Transferred, desk, []Need{Reason}, nil, ""},
	{VoidIt, []State{Reported, Accepted, Routed, Returned, Escalated, Suspended, Reopened}, Void, desk, []Need{Reason}, approved, "a second person has approved it"},
	{Reopen, []State{Closed}, Reopened, desk, []Need{Reason}, reopenable, "once, after a call-back that was not satisfied"},
	{Correct, openStates(), "", desk, []Need{Reason, Edits}, nil, ""},
}

func openStates() []State {
	return slices.DeleteFunc(slices.Clone(States), func(s State) bool { return !s.Open() })
}

// Move is one change of state that the machine has.
type Move struct{ From, To State }

// Moves lists every change of state that the machine has, once, in its order.
func Moves() (out []Move) {
	for _, t := range transitions {
		for _, from := range t.from {
			if m := (Move{from, t.to}); t.to != "" && !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// Actions lists every action that somebody takes by hand once, in the order of the
// machine.
func Actions() []Action {
	var out []Action
	for _, t := range transitions {
		if len(t.who) > 0 && !slices.Contains(out, t.action) {
			out = append(out, t.action)
		}
	}
	return out
}

// Possible lists the acts by hand that an incident in state s allows to a role; the
// guards of some may still refuse them.
func Possible(s State, r auth.Role) []Action {
	out := []Action{}
	for _, t := range transitions {
		if slices.Contains(t.from, s) && slices.Contains(t.who, r) && !slices.Contains(out, t.action) {
			out = append(out, t.action)
		}
	}
	return out
}
