// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"time"
)

// VisitState is where a visit stands.
type VisitState string

// The states of a visit.
const (
	VisitDue    VisitState = "due"    // 待走访: its period runs
	VisitDone   VisitState = "done"   // 已走访: within its windows, by fixes or by word
	VisitMissed VisitState = "missed" // 漏巡: its period is over
	VisitLate   VisitState = "late"   // 补巡: by word after the period
	VisitVoid   VisitState = "void"   // 作废: its patrol or its grid ended first
)

// Visit is one target of a patrol in one period (走访), as far as the rules look at it.
// Fixes and word are kept apart: neither makes the other.
type Visit struct {
	ID      int64
	Windows []Window // when a visit counts, in order
	RadiusM float64
	Stay    time.Duration

	SeenFrom, SeenAt *time.Time // by fixes: the first and the last of the stay
	SaidAt           *time.Time // by word: when it was, as its speaker says
	MissedAt         *time.Time // once set it stays: the record of what the list said
	VoidAt           *time.Time
}

// Opens is when the first visit may count.
func (v Visit) Opens() time.Time { return v.Windows[0].From }

// Closes is the end of the last window.
func (v Visit) Closes() time.Time { return v.Windows[len(v.Windows)-1].To }

// State is where the visit stands.
func (v Visit) State() VisitState {
	switch {
	case v.SeenAt != nil, v.SaidAt != nil && v.SaidAt.Before(v.Closes()):
		return VisitDone
	case v.VoidAt != nil:
		return VisitVoid
	case v.SaidAt != nil:
		return VisitLate
	case v.MissedAt != nil:
		return VisitMissed
	}
	return VisitDue
}

// WordLooksBack is how long before it arrives a word may say that a visit was: as
// long as a phone is out of reach.
const WordLooksBack = 24 * time.Hour

// What a word about a visit is refused for.
var (
	ErrVisitEarly   = errors.New("this visit is not due yet")
	ErrVisitOutside = errors.New("a visit does not count at this time: come within the windows of its period")
	ErrVisitOld     = errors.New("word of a visit must come within 24 hours of it: say it again as of now")
	ErrVisitAhead   = errors.New("the time of the visit lies ahead: set the clock of the phone right, and say it again")
	ErrVisitVoid    = errors.New("nobody has to make this visit any more")
)

// VisitSaid is a visit that somebody says they made at a time. The first word counts:
// changed is false for any other. After its period it is late.
func VisitSaid(v Visit, at, now time.Time) (after Visit, changed bool, err error) {
	switch {
	case v.SaidAt != nil:
		return v, false, nil
	case v.VoidAt != nil:
		return v, false, guarded(ErrVisitVoid)
	case at.After(now.Add(time.Minute)):
		return v, false, guarded(ErrVisitAhead)
	case now.Sub(at) > WordLooksBack:
		return v, false, guarded(ErrVisitOld)
	case at.Before(v.Opens()):
		return v, false, guarded(ErrVisitEarly)
	case at.Before(v.Closes()) && v.window(at) < 0:
		return v, false, guarded(ErrVisitOutside)
	}
	v.SaidAt = &at
	return v, true, nil
}

// window is the place of the window that holds t; -1 for none.
func (v Visit) window(t time.Time) int {
	for i, w := range v.Windows {
		if w.Holds(t) {
			return i
		}
	}
	return -1
}

// StayGap is how long nothing may be heard during a stay: what lies in a longer hole
// is no proof of staying.
const StayGap = 10 * time.Minute

// VisitedBy reports from when to when somebody visited, by fixes in order of time:
// the rule of ArrivedBy within one window, the two fixes at least the stay apart.
// there says whether a fix lies at the target.
func (v Visit) VisitedBy(fixes []NearFix, there func(NearFix) bool) (from, at time.Time, ok bool) {
	apart, gap := ArrivalApart, time.Duration(0)
	if v.Stay > 0 {
		apart, gap = max(apart, v.Stay), StayGap
	}
	for _, w := range v.Windows {
		var in []NearFix
		for _, f := range fixes {
			if w.Holds(f.At) {
				in = append(in, f)
			}
		}
		if from, at, ok = stayed(in, there, apart, gap); ok {
			return from, at, true
		}
	}
	return time.Time{}, time.Time{}, false
}

// VisitSeen is a visit that fixes have shown; changed is false when others did before. A
// missed one is done then: what came late was on its way.
func VisitSeen(v Visit, from, at time.Time) (after Visit, changed bool) {
	if v.SeenAt != nil || v.VoidAt != nil {
		return v, false
	}
	v.SeenFrom, v.SeenAt = &from, &at
	return v, true
}
