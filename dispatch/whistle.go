// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"onemap/geo"
)

// WhistleState is where a whistle stands.
type WhistleState string

const (
	WhistleRunning WhistleState = "running"
	WhistleMet     WhistleState = "met"   // everybody who was called is there
	WhistleEnded   WhistleState = "ended" // by hand, or with its incident
)

// Whistle is one call of an incident for departments (吹哨). They have to be there by
// Due, within RadiusM metres of the incident.
type Whistle struct {
	ID       int64
	Incident int64
	Ver      int
	State    WhistleState
	MadeAt   time.Time
	Due      time.Time
	RadiusM  float64
	Note     string
	EndedAt  *time.Time
	Reason   string        // why it was ended by hand
	Calls    []WhistleCall // the lead first
}

// WhistleCall is one department of a whistle.
type WhistleCall struct {
	Department int64
	Lead       bool       // 主办; the others assist, 协办
	ReportedAt *time.Time // it said that it comes (报到)
	SaidAt     *time.Time // it said that it is there: word alone
	ArrivedAt  *time.Time // a fix showed that it is there
	Fix        *Fix       // the last that it sent
	DistanceM  *float64   // of Fix from the incident, in metres; nil where the incident has no point
	Late       bool       // it was not there at the limit, as the sweep found
}

// State is how far a called department has come, in one word: called, reported, said
// or arrived.
func (c WhistleCall) State() string {
	switch {
	case c.ArrivedAt != nil:
		return "arrived"
	case c.SaidAt != nil:
		return "said"
	case c.ReportedAt != nil:
		return "reported"
	}
	return "called"
}

// Fix is where a phone says that it is.
type Fix struct {
	Raw       geo.Raw   // as it was sent
	Point     geo.WGS84 // the same
	AccuracyM float64   // radius in metres, as the phone says
	At        time.Time // when it was measured, by the phone's clock
}

// Calling is whom a whistle calls, and by when.
type Calling struct {
	Lead      int64
	Assisting []int64
	Within    time.Duration
	RadiusM   float64 // 0 for WhistleRadius
	Note      string
}

const (
	// WhistleRadius is how near, in metres, somebody has to be who has arrived.
	WhistleRadius = 200.0
	// MostWhistleSlack is how much a fix's accuracy, in metres, widens the radius at
	// most: a fix that knows no better shows nothing.
	MostWhistleSlack = 100.0
	// FixLasts is how old a fix may be that shows where somebody is.
	FixLasts = 10 * time.Minute

	mostCalled                   = 20
	shortestWhistle, longWhistle = time.Minute, 7 * 24 * time.Hour
	fixAhead                     = time.Minute // that a phone's clock may be ahead
)

// What whistles refuse.
var (
	ErrNoWhistle     = errors.New("departments are called to an incident that is accepted and not yet resolved")
	ErrWhistleRuns   = errors.New("a whistle of this incident is running: end it first")
	ErrWhistleOver   = errors.New("this whistle is over")
	ErrNobodyCalled  = errors.New("name one lead department, and each department once, 20 at most")
	ErrWhistleLimit  = errors.New("the limit to arrive must lie between one minute and seven days")
	ErrNotCalled     = errors.New("this department is not called")
	ErrFixAhead      = errors.New("the fix was measured in the future: set the phone's clock right")
	ErrNotByWord     = errors.New("only the department itself can show where it is: leave the fix out, and its word is kept")
	ErrArrivedBefore = errors.New("it has arrived already")
)

// TakesWhistles reports whether departments may be called to an incident in state s: it
// is accepted, and its work is not done. A whistle ends when that does.
func (s State) TakesWhistles() bool {
	return s.Open() && s != Reported && s != Resolved && s != Verified && s != Reopened
}

// Call decides a new whistle.
func Call(in Incident, c Calling, now time.Time) (Whistle, error) {
	all := append([]int64{c.Lead}, c.Assisting...)
	sorted := slices.Compact(slices.Sorted(slices.Values(all)))
	switch {
	case !in.State.TakesWhistles():
		return Whistle{}, guarded(ErrNoWhistle)
	case c.Lead == 0 || len(sorted) < len(all) || len(all) > mostCalled:
		return Whistle{}, guarded(ErrNobodyCalled)
	case c.Within < shortestWhistle || c.Within > longWhistle:
		return Whistle{}, guarded(ErrWhistleLimit)
	}
	w := Whistle{Incident: in.ID, Ver: 1, State: WhistleRunning, MadeAt: now, Due: now.Add(c.Within), RadiusM: c.RadiusM, Note: c.Note}
	if w.RadiusM == 0 {
		w.RadiusM = WhistleRadius
	}
	for i, d := range all {
		w.Calls = append(w.Calls, WhistleCall{Department: d, Lead: i == 0})
	}
	return w, nil
}

// Judged is what became of a department's word that it is there.
type Judged string

const (
	JudgedNothing Judged = ""         // it said that it comes
	JudgedArrived Judged = "arrived"  // a fix shows it
	JudgedOutside Judged = "outside"  // a fix shows that it is elsewhere
	JudgedNoFix   Judged = "no_fix"   // word alone
	JudgedOld     Judged = "old_fix"  // the fix says where it was
	JudgedNoPlace Judged = "no_place" // nobody knows where the incident is
)

// WhistleReport is what a department says.
type WhistleReport struct {
	Department int64
	There      bool // it is there; else that it comes
	Fix        *Fix // nil for word alone
	ByDesk     bool // the desk says it for the department
}

// Heard decides what a department's word changes. place is where the incident is, nil
// where nobody knows. Who has arrived is arrived by a fix alone.
func Heard(w Whistle, r WhistleReport, place *geo.WGS84, now time.Time) (Whistle, Judged, error) {
	i := slices.IndexFunc(w.Calls, func(c WhistleCall) bool { return c.Department == r.Department })
	switch {
	case i < 0:
		return w, "", guarded(ErrNotCalled)
	case w.State != WhistleRunning:
		return w, "", guarded(ErrWhistleOver)
	case w.Calls[i].ArrivedAt != nil:
		return w, "", guarded(ErrArrivedBefore)
	case r.ByDesk && r.Fix != nil:
		return w, "", guarded(ErrNotByWord)
	case r.Fix != nil && r.Fix.At.After(now.Add(fixAhead)):
		return w, "", guarded(ErrFixAhead)
	}
	w.Calls = slices.Clone(w.Calls)
	c := &w.Calls[i]
	w.Ver++
	if c.ReportedAt == nil {
		c.ReportedAt = &now
	}
	if !r.There {
		return w, JudgedNothing, nil
	}
	if c.SaidAt == nil {
		c.SaidAt = &now
	}
	if r.Fix == nil {
		return w, JudgedNoFix, nil
	}
	c.Fix, c.DistanceM = r.Fix, nil
	if place == nil {
		return w, JudgedNoPlace, nil
	}
	m := geo.Distance(r.Fix.Point, *place)
	c.DistanceM = &m
	switch {
	case now.Sub(r.Fix.At) > FixLasts:
		return w, JudgedOld, nil
	case m > w.RadiusM+min(max(r.Fix.AccuracyM, 0), MostWhistleSlack):
		return w, JudgedOutside, nil
	}
	c.ArrivedAt = &now
	if w.Arrived() == len(w.Calls) {
		w.State, w.EndedAt = WhistleMet, &now
	}
	return w, JudgedArrived, nil
}

// Arrived is how many of the called departments are there.
func (w Whistle) Arrived() (n int) {
	for _, c := range w.Calls {
		if c.ArrivedAt != nil {
			n++
		}
	}
	return n
}

// Late marks who is not there at the limit, each once; n is how many.
func Late(w Whistle, now time.Time) (late Whistle, n int) {
	if w.State != WhistleRunning || now.Before(w.Due) {
		return w, 0
	}
	w.Calls = slices.Clone(w.Calls)
	for i := range w.Calls {
		if c := &w.Calls[i]; c.ArrivedAt == nil && !c.Late {
			c.Late = true
			n++
		}
	}
	if n > 0 {
		w.Ver++
	}
	return w, n
}

// EndWhistle ends a whistle by hand; who ends it before all are there says why.
func EndWhistle(w Whistle, reason string, now time.Time) (Whistle, error) {
	if w.State != WhistleRunning {
		return w, guarded(ErrWhistleOver)
	}
	if strings.TrimSpace(reason) == "" {
		return w, fmt.Errorf("end a whistle: %w", ErrReasonMissing)
	}
	w.Ver++
	w.State, w.EndedAt, w.Reason = WhistleEnded, &now, reason
	return w, nil
}
