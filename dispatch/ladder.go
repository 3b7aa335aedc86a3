// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"onemap/dispatch/calendar"
)

// The ladder of a stage's clock:
//
//	start ── sign ──── remind ────── due: breach ── supervise ────── reply ──> a level up,
//	       not signed   催办 owner    late; owner    督办 by the      no answer   a new stage
//	       for in time                and parent     parent's officer             with its clock
//
// Beside the ladder stands the review of a suspended incident: its owner and the
// county's desk are reminded on its review date.
//
// Each rung is a timer that fires exactly once. What a rung does depends on the facts
// at that moment alone: a rung that has become needless does nothing.

// Rung is a step of the ladder. One that comes again, because the due time was put
// off after it, has a number: "remind.1". That of a supervision's answer is "reply."
// and the supervision's number, that of a review "review." and its date as seconds
// since 1970.
type Rung string

const (
	RungSign      Rung = "sign"      // the limit to sign for it
	RungRemind    Rung = "remind"    // 催办
	RungBreach    Rung = "breach"    // 超时
	RungSupervise Rung = "supervise" // 督办
	RungReply     Rung = "reply"     // the answer to a supervision
	RungReview    Rung = "review"    // the review date of a suspended incident
)

// numbered is a rung with its number; 0 has none.
func (r Rung) numbered(n int) Rung {
	if n == 0 {
		return r
	}
	return Rung(fmt.Sprintf("%s.%d", r, n))
}

// Kind is the step that r is, and its number.
func (r Rung) Kind() (Rung, int) {
	kind, number, _ := strings.Cut(string(r), ".")
	n, _ := strconv.Atoi(number)
	return Rung(kind), n
}

// Held reports whether a timer of this rung waits while its incident is in state s:
// those of the ladder while the clock stands, a review until it is suspended.
func (r Rung) Held(s State) bool {
	if kind, _ := r.Kind(); kind == RungReview {
		return s != Suspended
	}
	return !s.Runs()
}

// Timer is a rung and when it is due.
type Timer struct {
	Rung Rung
	At   time.Time
}

// Offsets place the rungs of one priority.
type Offsets struct {
	Remind    Limit // before the due time; value 0 for no reminder
	Supervise Limit // after the breach; value 0 for at once
	Reply     Limit // for the answer to a supervision
}

// Ladder holds the offsets by priority, 1 first.
type Ladder [4]Offsets

// DefaultLadder is a new centre's.
func DefaultLadder() Ladder {
	day := Limit{1, calendar.WorkingDays}
	return Ladder{
		{Remind: Limit{15, calendar.NaturalMinutes}, Reply: Limit{15, calendar.NaturalMinutes}},
		{Remind: Limit{1, calendar.WorkingHours}, Reply: day},
		{Remind: Limit{4, calendar.WorkingHours}, Reply: day},
		{Remind: Limit{1, calendar.WorkingDays}, Reply: day},
	}
}

func (l Ladder) of(priority int) Offsets { return l[min(max(priority, 1), len(l))-1] }

// Supervision is a 督办: a level's duty officer asks the stage's owner for an answer
// by a limit.
type Supervision struct {
	N        int // of the incident, from 1
	Level    int // whose duty officer it is of
	Officers []string
	Skipped  []int // levels in between that have no duty officer: the holes
	Opened   time.Time
	Reply    Limit
	ReplyDue time.Time
}

// Clock is what the ladder of one stage goes by.
type Clock struct {
	Stage       int // number of the stage; 0 for an incident of the past that came without any
	Level       int // that owes it
	Priority    int
	State       State
	Started     time.Time
	Limit       Limit
	Due         time.Time // zero: the stage has no limit
	Rule        string
	Provisional bool
	AckDue      *time.Time
	Signed      bool // somebody signed for it
	Late        bool
	Extensions  int
	Stood       bool // it was suspended before
	Moves       int  // how often its due time was put off
	Supervised  int  // supervisions of the incident so far
	Waiting     []Supervision
	Review      time.Time // of a suspended incident: when it is looked at again; else zero
}

// ClockOf is the clock of an incident's stage. Its supervisions are not known to it.
func ClockOf(in Incident, s Stage) Clock {
	c := Clock{
		Stage: s.N, Level: s.Level, Priority: in.Priority, State: in.State, Started: s.StartedAt, Limit: s.Limit, Rule: s.Rule, Provisional: s.Provisional,
		AckDue: s.AckDue, Signed: in.AcknowledgedAt != nil && !in.AcknowledgedAt.Before(s.StartedAt), Late: in.Late,
		Extensions: s.Extensions, Stood: s.Stood, Moves: s.Moves,
	}
	if s.Due != nil {
		c.Due = *s.Due
	}
	if in.State == Suspended && in.ReviewAt != nil {
		c.Review = *in.ReviewAt
	}
	return c
}

// Runs reports whether the clock of a stage runs in this state: not while it is
// suspended, nor once the handler has done the work.
func (s State) Runs() bool {
	switch s {
	case Suspended, Resolved, Verified:
		return false
	}
	return s.Open()
}

// Rungs are the timers that a stage's clock needs as it stands, in the order they
// are due. Those that fired before are among them: a timer fires once. Of a clock
// that does not run they are due when it runs again.
func Rungs(c Clock, l Ladder, cal calendar.Calendar) []Timer {
	var out []Timer
	add := func(r Rung, at time.Time) { out = append(out, Timer{r, at}) }
	if !c.State.Open() || c.Stage == 0 {
		return nil
	}
	if c.AckDue != nil && !c.Signed {
		add(RungSign, *c.AckDue)
	}
	if !c.Review.IsZero() {
		add(RungReview.numbered(c.review()), c.Review)
	}
	o := l.of(c.Priority)
	switch {
	case c.Due.IsZero():
	case c.Late:
		add(RungSupervise.numbered(c.Moves), superviseAt(c, o, cal))
	default:
		if at, ok := remindAt(c, o, cal); ok {
			add(RungRemind.numbered(c.Moves), at)
		}
		add(RungBreach.numbered(c.Moves), c.Due)
	}
	for _, s := range c.Waiting {
		add(RungReply.numbered(s.N), s.ReplyDue)
	}
	return out
}

// review is the number of the rung that reminds of a suspended incident's review date.
func (c Clock) review() int { return int(c.Review.Unix()) }

// remindAt is when a stage's owner is reminded: so long before it is due, but not
// before half of its time has gone.
func remindAt(c Clock, o Offsets, cal calendar.Calendar) (time.Time, bool) {
	if o.Remind.Value < 1 {
		return time.Time{}, false
	}
	at, half := cal.Before(c.Due, o.Remind.Value, o.Remind.Unit), c.Started.Add(c.Due.Sub(c.Started)/2)
	if at.Before(half) {
		at = half
	}
	return at, true
}

func superviseAt(c Clock, o Offsets, cal calendar.Calendar) time.Time {
	if o.Supervise.Value < 1 {
		return c.Due
	}
	return cal.Extended(c.Due, o.Supervise.Value, o.Supervise.Unit).At
}

// Post is who has the duty of a level above an incident's place, now.
type Post struct {
	Level    int
	Officers []string // ids of actors; none: a hole
}

// Outcome is what a rung does. The zero Outcome does nothing.
type Outcome struct {
	Kind      string // of the journal entry: unsigned, remind, late, supervise, leader, escalate, review
	Event     string // told to everybody
	Told      []int  // the levels it is for
	Leader    bool   // the county's leader is told
	Late      bool   // the incident is late from now on
	Supervise *Supervision
	Escalate  bool // it moves up a level: see MoveUp
	Next      []Timer
}

// Fire decides what a rung of a stage does whose clock has come to it. posts are the
// levels above the owner's. A rung that is held must not be fired.
func Fire(c Clock, r Rung, posts []Post, l Ladder, cal calendar.Calendar, now time.Time) Outcome {
	kind, n := r.Kind()
	switch kind {
	case RungSign:
		if !c.Signed {
			return Outcome{Kind: "unsigned", Event: "incident.reminded", Told: both(c)}
		}
	case RungRemind:
		if !c.Late && n == c.Moves && now.Before(c.Due) {
			return Outcome{Kind: "remind", Event: "incident.reminded", Told: []int{c.Level}}
		}
	case RungBreach:
		if !c.Late && n == c.Moves {
			next := Timer{RungSupervise.numbered(c.Moves), superviseAt(c, l.of(c.Priority), cal)}
			return Outcome{Kind: "late", Event: "incident.late", Told: both(c), Late: true, Next: []Timer{next}}
		}
	case RungSupervise:
		if c.Late && n == c.Moves {
			return supervise(c, posts, l, cal, now)
		}
	case RungReply:
		for _, s := range c.Waiting {
			if s.N == n {
				return unanswered(c)
			}
		}
	case RungReview:
		if !c.Review.IsZero() && n == c.review() {
			told := []int{c.Level}
			if c.Level > 1 {
				told = append(told, 1) // the county's desk, which suspended it
			}
			return Outcome{Kind: "review", Event: "incident.reminded", Told: told}
		}
	}
	return Outcome{}
}

// both are the levels that a breach is told to: the owner's and its parent's; the
// most urgent is told to the county too.
func both(c Clock) []int {
	told := []int{c.Level}
	if c.Level > 1 {
		told = append(told, c.Level-1)
	}
	if c.Priority == 1 && c.Level > 2 {
		told = append(told, 1)
	}
	return told
}

func toLeader() Outcome {
	return Outcome{Kind: "leader", Event: "incident.supervised", Told: []int{1}, Leader: true}
}

// supervise has the next level above with a duty officer ask for an answer. A county
// without any still asks, its leader is told, and the levels without are named.
func supervise(c Clock, posts []Post, l Ladder, cal calendar.Calendar, now time.Time) Outcome {
	if c.Level <= 1 {
		return toLeader()
	}
	s := NewSupervision(c, l, cal, now)
	officers := map[int][]string{}
	for _, p := range posts {
		officers[p.Level] = append(officers[p.Level], p.Officers...)
	}
	for s.Level = c.Level - 1; s.Level >= 1; s.Level-- {
		if s.Officers = officers[s.Level]; len(s.Officers) > 0 {
			break
		}
		s.Skipped = append(s.Skipped, s.Level)
	}
	s.Level = max(s.Level, 1)
	return Outcome{
		Kind: "supervise", Event: "incident.supervised", Told: []int{c.Level, s.Level}, Leader: len(s.Officers) == 0, Supervise: &s,
		Next: []Timer{{RungReply.numbered(s.N), s.ReplyDue}},
	}
}

// NewSupervision is the next supervision of a stage, opened now. Whose it is the
// caller says.
func NewSupervision(c Clock, l Ladder, cal calendar.Calendar, now time.Time) Supervision {
	reply := l.of(c.Priority).Reply
	return Supervision{N: c.Supervised + 1, Opened: now, Reply: reply, ReplyDue: cal.Due(now, reply.Value, reply.Unit).At}
}

// unanswered moves a stage up whose owner did not answer. At the county it stays and
// the leader is told.
func unanswered(c Clock) Outcome {
	if c.Level <= 1 {
		return toLeader()
	}
	return Outcome{Kind: "escalate", Event: "incident.changed", Told: both(c), Escalate: true}
}

// MoveUp gives an incident to the level above its owner's because a limit ran out:
// as an escalation where the machine has one, else in the state it is in.
func MoveUp(f Facts, reason string) (Change, error) {
	ch, err := Decide(f, Act{Action: Escalate, Reason: reason})
	var state *StateError
	if !errors.As(err, &state) {
		return ch, err
	}
	if err := hasParent(f, Act{}); err != nil {
		return Change{}, err
	}
	in := f.Incident
	ch = Change{
		After: in, Event: "incident.changed", Department: f.Department, EndOffers: true, Stage: f.handOver(in.OwnerLevel-1, f.Department, false),
		Step: Step{Kind: string(Escalate), From: in.State, To: in.State, Reason: reason},
	}
	ch.After.Version++
	ch.After.clockOf(*ch.Stage)
	ch.Step.Data = map[string]any{"level": ch.Stage.Level, "due": ch.Stage.Due}
	return ch, nil
}
