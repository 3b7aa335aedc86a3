// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"slices"
	"strings"
	"time"

	"onemap/auth"
	"onemap/dispatch/calendar"
)

// RequestKind is what one person asks for and another decides.
type RequestKind string

const (
	ForVoid       RequestKind = "void"
	ForExtension  RequestKind = "extend"  // the running stage's limit is put off
	ForSuspension RequestKind = "suspend" // of town, village, worker or department
)

// maxExtensions is how often one stage's limit is put off.
const maxExtensions = 2

// Request is what somebody asks for.
type Request struct {
	Kind   RequestKind
	Reason string
	By     Limit     // of an extension: by how much
	Until  time.Time // of a suspension: when it is looked at again
}

// Why a request is refused, beside the machine's own reasons.
var (
	ErrPastDue      = errors.New("the stage's limit has passed: an extension is asked for before it does")
	ErrNoDue        = errors.New("no limit runs now that could be put off")
	ErrPutOffTwice  = errors.New("this stage's limit was put off twice already")
	ErrDeskSuspends = errors.New("the county's desk suspends it by itself: send the act suspend")
	ErrOtherStage   = errors.New("the stage that this was asked for is over")
)

// Check refuses a request that nobody could approve: it comes without what it needs,
// or the machine would refuse it. earlier counts the extensions of the running stage.
func (r Request) Check(f Facts, earlier int, role auth.Role) error {
	name := Action(r.Kind)
	if strings.TrimSpace(r.Reason) == "" {
		return ErrReasonMissing
	}
	switch r.Kind {
	case ForVoid:
		_, err := find(f.Incident.State, Act{Action: VoidIt, Role: role})
		return err
	case ForSuspension:
		t, err := find(f.Incident.State, Act{Action: Suspend})
		switch {
		case err != nil:
			return err
		case slices.Contains(t.who, role):
			return guarded(ErrDeskSuspends)
		case !slices.Contains(handlers, role):
			return &RoleError{name, role}
		case r.Until.IsZero():
			return &NeedError{name, Until}
		}
		return ahead(f, Act{Until: r.Until})
	case ForExtension:
		if !slices.Contains(handlers, role) {
			return &RoleError{name, role}
		}
		if r.By.Value < 1 {
			return &NeedError{name, "value"}
		}
		return extendable(f, earlier)
	}
	return &NeedError{name, "kind"}
}

func extendable(f Facts, earlier int) error {
	switch due := f.Stage.Due; {
	case !f.Incident.State.Open() || due == nil || f.Stage.PausedAt != nil || f.Stage.EndedAt != nil:
		return guarded(ErrNoDue)
	case f.Incident.Late || !f.Now.Before(*due):
		return guarded(ErrPastDue)
	case earlier >= maxExtensions:
		return guarded(ErrPutOffTwice)
	}
	return nil
}

// MayDecide reports whether a role decides requests of a kind: the county's desk, and
// the county's leader on the second extension of a stage.
func MayDecide(k RequestKind, earlier int, role auth.Role) error {
	who := county
	if k == ForExtension && earlier > 0 {
		who = []auth.Role{auth.CountyLeader}
	}
	if !slices.Contains(who, role) {
		return &RoleError{"decision on " + Action(k), role}
	}
	return nil
}

// PutOff is the running stage with its limit put off: counted by the calendar from
// where it was. A *GuardError when it cannot be.
func PutOff(f Facts, by Limit, earlier int) (Stage, error) {
	if err := extendable(f, earlier); err != nil {
		return Stage{}, err
	}
	s := f.Stage
	d := f.Calendar.Extended(*s.Due, by.Value, by.Unit)
	s.Due, s.Rule, s.Provisional = &d.At, s.Rule+"; +"+d.Rule, s.Provisional || d.Provisional
	return s, nil
}

// Call-backs.
const (
	CallBackDays = 3 // working days after an incident's end that its reporters are called back within
	CallBackTry  = 3 // calls that reached nobody end it
)

// CallBackDue is when the reporters of an incident that ends now are to be called back.
func CallBackDue(cal calendar.Calendar, now time.Time) time.Time {
	return cal.Due(now, CallBackDays, calendar.WorkingDays).At
}

// CallBack is what came of a call.
type CallBack string

const (
	Unreached   CallBack = "unreached"
	Satisfied   CallBack = "satisfied"
	Basically   CallBack = "basically" // satisfied on the whole
	Unsatisfied CallBack = "unsatisfied"
)

// MayCallBack reports whether a role keeps the outcome of call-backs; who was asked
// first does in any role.
func MayCallBack(role auth.Role) bool { return slices.Contains(desk, role) }

// MayHelp reports whether a role asks departments to assist, and calls joint sessions.
func MayHelp(role auth.Role) bool { return slices.Contains(desk, role) }
