// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import "slices"

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
	Acknowledge Action = "acknowledge"
	Arrive      Action = "arrive"
	Resolve     Action = "resolve"
	Verify      Action = "verify"
	SendBack    Action = "rework"
	Close       Action = "close"
	Return      Action = "return"
	Transfer    Action = "transfer"
	Resume      Action = "resume" // takes a suspended incident up again
)

type transition struct {
	action Action
	from   []State
	to     State
	reason bool // the act must be explained
}

// transitions is the machine: an act not listed for a state is impossible in it.
var transitions = []transition{
	{Accept, []State{Reported, Reopened}, Accepted, false},
	{Refuse, []State{Reported}, Refused, true},
	{Route, []State{Accepted, Returned, Escalated}, Routed, false},
	{Acknowledge, []State{Routed}, Acknowledged, false}, // a department signs for it without an offer
	{Arrive, []State{Acknowledged}, OnScene, false},
	{Resolve, []State{Acknowledged, OnScene, Rework}, Resolved, false},
	{Verify, []State{Resolved}, Verified, false},
	{SendBack, []State{Resolved}, Rework, true},
	{Close, []State{Verified}, Closed, false},
	{Return, []State{Routed, Acknowledged, OnScene}, Returned, true},
	{Transfer, []State{Accepted, Routed, Acknowledged}, Transferred, true},
	{Resume, []State{Suspended}, Acknowledged, false},
}

// Actions lists every action once, in the order of the machine.
func Actions() []Action {
	var out []Action
	for _, t := range transitions {
		if !slices.Contains(out, t.action) {
			out = append(out, t.action)
		}
	}
	return out
}

// Possible lists the acts an incident in state s allows.
func Possible(s State) []Action {
	out := []Action{}
	for _, t := range transitions {
		if slices.Contains(t.from, s) {
			out = append(out, t.action)
		}
	}
	return out
}
