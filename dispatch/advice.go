// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"onemap/geo"
	"onemap/geo/road"
	"onemap/people"
)

// Limits of an answer.
const (
	// MaxMeasured is how many of those who pass are measured by road: the nearest in
	// a straight line.
	MaxMeasured = 50
	// MaxExcluded is how many of those who do not pass are told one by one. All are
	// counted.
	MaxExcluded = 200
)

// Question asks who should go to an incident.
type Question struct {
	P    geo.WGS84 // of the incident
	Path []Span    // the grids it lies in, from the county down to the deepest known; empty outside all
	Rule AdviceRule
	K    int // how many to rank, at most MaxMeasured
	Now  time.Time

	// Travel says how long it takes from each origin to the incident's place, by
	// road or by line; it answers every origin, as road.Graph.TravelTimes does.
	Travel func(to geo.WGS84, from []geo.WGS84) []road.Answer
	// Others says whether anybody on duty but this worker serves the grid.
	Others func(grid int32, worker uint32) bool
}

// Span is a grid: its number and the greatest number below it.
type Span struct{ No, Last int32 }

// Sight is what is known of where a worker is.
type Sight uint8

const (
	Unseen Sight = iota // no place, or one that is an hour old: 失联
	Hollow              // an old or poor fix: see track.FreshnessOf
	Seen                // a fresh, trusted fix
)

// Candidate is a worker as the advice looks at one.
type Candidate struct {
	Worker uint32
	Home   int32 // number of the home grid; 0 for none
	Served []people.Service
	Skills []string

	OnDuty bool
	Since  time.Time // when this duty began; zero when it is not known
	Alarm  bool      // pressed the alarm: needs help, and is sent nowhere

	Sight Sight
	P     geo.WGS84 // unless Unseen
	FixAt time.Time

	WorkRecord
}

// WorkRecord is what the record says of a worker's work, as far as advice on one
// incident looks at it.
type WorkRecord struct {
	Load      int  // open incidents whose work is theirs
	Has       bool // this incident is already theirs, or offered to them
	Gave      bool // declined it, let an offer of it expire, or handed it back
	Waiting   bool // an offer of another incident waits for their answer
	Day, Week int  // offers made to them in the last 24 hours, and in the last 7 days, those included
}

// Why is the reason a worker is not in the advice. The first that holds is told, in
// this order: of whoever is only StaleFix nothing else is wrong.
type Why string

const (
	OffDuty    Why = "off_duty"
	Alarmed    Why = "sos"        // needs help
	TooFar     Why = "too_far"    // beyond the rule's radius
	NoSkill    Why = "no_skill"   // lacks one the category needs
	HasIt      Why = "assigned"   // has this incident already
	Declined   Why = "declined"   // declined it, let it expire or gave it back
	Busy       Why = "busy"       // has an unanswered offer of another incident
	Overloaded Why = "overloaded" // has as much open work as the rule allows
	Resting    Why = "resting"    // on duty for longer than the rule allows
	NoFix      Why = "no_fix"     // on duty, but nobody knows where: 失联
	StaleFix   Why = "stale_fix"  // drawn hollow: listed below the advice, chosen by hand only
)

// Relation is how a worker belongs to an incident's place.
type Relation string

const (
	OwnGrid   Relation = "own_grid"   // serves its deepest grid
	OwnDeputy Relation = "own_deputy" // serves it as a deputy or as head
	SameNear  Relation = "near_grid"  // serves a grid of the same parent, or the parent: of the same village
	SameFar   Relation = "far_grid"   // the same one level up: of the same town
	NoRelated Relation = "other"
)

// Parts are the five things a score is made of, each from 0 (bad) to 1 (good).
type Parts struct{ Travel, Grid, Load, Fairness, Cover float64 }

// Ranked is somebody the advice names.
type Ranked struct {
	Worker   uint32
	Rank     int     // 1 is the best
	Score    float64 // 0 to 100
	Parts    Parts
	Relation Relation
	Covered  bool // their home grid keeps somebody on duty, or they stay in it
	LineM    float64
	Way      road.Answer // its Index means nothing here
	FixAge   time.Duration
	Record   WorkRecord
	Reasons  []string // words listed in docs/DISPATCH.md
}

// Excluded is somebody the advice does not name, and why.
type Excluded struct {
	Worker uint32
	Why    Why
	Known  bool          // whether there is a place to measure from
	LineM  float64       // in a straight line, if Known
	FixAge time.Duration // if Known
}

// Advice is who should go, and who not.
type Advice struct {
	Ranked   []Ranked   // the best first, at most K
	Excluded []Excluded // those with a stale fix first, then the nearest; at most MaxExcluded
	Left     map[Why]int
	Of       int // how many passed
	Measured int // how many of them were measured: the nearest in a straight line
	ByRoad   int // how many of those have a way by road
}

// Advise ranks the workers in all, each of whom comes once, and says of the others
// why not. It keeps no candidate that it is given, so that one may serve for all. It is pure: the same facts give the same advice, in whatever order they
// come. docs/DISPATCH.md publishes the formula.
//
// Somebody beyond the radius, or without a place to measure from, is told of and
// counted only if they serve a grid of the incident's village.
func Advise(q Question, all iter.Seq[*Candidate]) Advice {
	a := Advice{Left: map[Why]int{}}
	var near []measured
	for c := range all {
		line := math.Inf(1)
		if c.Sight != Unseen {
			line = geo.Distance(c.P, q.P)
		}
		why := q.exclude(c, line)
		switch {
		case why == "":
			a.Of++
			near = keep(near, line, c)
		case line <= q.Rule.RadiusM || q.neighbourly(c):
			a.Left[why]++
			a.Excluded = note(a.Excluded, excluded(c, why, line, q.Now))
		}
	}
	a.Measured = len(near)
	a.Ranked = q.rank(near)
	for _, r := range a.Ranked {
		if r.Way.By == road.ByRoad {
			a.ByRoad++
		}
	}
	a.Ranked = a.Ranked[:min(max(q.K, 0), len(a.Ranked))]
	return a
}

// Choice says which ranks the advice gave to those who were chosen, 0 for who was
// not in it, and whether they are others than the same number of those it named
// first. Where it named nobody there was nothing to override.
func (a Advice) Choice(chosen []uint32) (ranks []int, overridden bool) {
	ranks = make([]int, len(chosen))
	first := min(len(chosen), len(a.Ranked)) // so many of those named first may be among them
	for i, w := range chosen {
		if at := slices.IndexFunc(a.Ranked, func(r Ranked) bool { return r.Worker == w }); at >= 0 {
			ranks[i] = a.Ranked[at].Rank
			if at < min(len(chosen), len(a.Ranked)) {
				first--
			}
		}
	}
	return ranks, first > 0
}

// measured is a candidate and how far off they are in a straight line.
type measured struct {
	Candidate
	line float64
}

// exclude is the first reason that keeps out a candidate who is so far off in a
// straight line; "" for none.
func (q *Question) exclude(c *Candidate, line float64) Why {
	switch {
	case !c.OnDuty:
		return OffDuty
	case c.Alarm:
		return Alarmed
	case c.Sight != Unseen && line > q.Rule.RadiusM:
		return TooFar
	case !skilled(c.Skills, q.Rule.Skills):
		return NoSkill
	case c.Has:
		return HasIt
	case c.Gave:
		return Declined
	case c.Waiting:
		return Busy
	case c.Load >= q.Rule.MaxLoad:
		return Overloaded
	case !c.Since.IsZero() && q.Now.Sub(c.Since) >= q.Rule.MaxDuty:
		return Resting
	case c.Sight == Unseen:
		return NoFix
	case c.Sight == Hollow:
		return StaleFix
	}
	return ""
}

func skilled(has, needed []string) bool {
	for _, s := range needed {
		if !slices.Contains(has, s) {
			return false
		}
	}
	return true
}

// neighbourly reports whether the worker serves a grid of the incident's village.
func (q *Question) neighbourly(c *Candidate) bool {
	switch q.relation(c) {
	case OwnGrid, OwnDeputy, SameNear:
		return true
	}
	return false
}

// relation is the closest one of all grids the worker serves. The county relates
// nobody: it is everybody's.
func (q *Question) relation(c *Candidate) Relation {
	best := NoRelated
	rank := func(r Relation) int { return slices.Index(relations, r) }
	for _, s := range c.Served {
		if r := q.relationOf(s); rank(r) < rank(best) {
			best = r
		}
	}
	return best
}

var relations = []Relation{OwnGrid, OwnDeputy, SameNear, SameFar, NoRelated}

func (q *Question) relationOf(s people.Service) Relation {
	deepest := len(q.Path) - 1
	if deepest >= 1 && q.Path[deepest].No == s.Grid {
		if s.Role == people.AsWorker {
			return OwnGrid
		}
		return OwnDeputy
	}
	for up, r := range []Relation{SameNear, SameFar} {
		if i := deepest - 1 - up; i >= 1 && q.Path[i].No <= s.Grid && s.Grid <= q.Path[i].Last {
			return r
		}
	}
	return NoRelated
}

// keep puts a candidate into the nearest so far, which stay sorted and no more than
// MaxMeasured.
func keep(near []measured, line float64, c *Candidate) []measured {
	before := func(m *measured) bool { return line < m.line || line == m.line && c.Worker < m.Worker }
	if len(near) == MaxMeasured {
		if !before(&near[MaxMeasured-1]) {
			return near
		}
		near = near[:MaxMeasured-1]
	}
	i := sort.Search(len(near), func(i int) bool { return before(&near[i]) })
	return slices.Insert(near, i, measured{*c, line})
}

func excluded(c *Candidate, why Why, line float64, now time.Time) Excluded {
	e := Excluded{Worker: c.Worker, Why: why, Known: c.Sight != Unseen}
	if e.Known {
		e.LineM, e.FixAge = line, now.Sub(c.FixAt)
	}
	return e
}

// note puts an excluded worker in their place in the list, which stays no longer than
// MaxExcluded.
func note(list []Excluded, e Excluded) []Excluded {
	if len(list) == MaxExcluded {
		if byHope(e, list[MaxExcluded-1]) > 0 {
			return list
		}
		list = list[:MaxExcluded-1]
	}
	i, _ := slices.BinarySearchFunc(list, e, byHope)
	return slices.Insert(list, i, e)
}

// byHope orders the excluded: who may be chosen by hand, then the nearest, then
// those who are nowhere.
func byHope(a, b Excluded) int {
	last := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(last(a.Why != StaleFix), last(b.Why != StaleFix)), cmp.Compare(last(!a.Known), last(!b.Known)),
		cmp.Compare(a.LineM, b.LineM), cmp.Compare(a.Worker, b.Worker),
	)
}

// rank measures the nearest by road and puts them in the order of their scores.
func (q *Question) rank(near []measured) []Ranked {
	from := make([]geo.WGS84, len(near))
	for i := range near {
		from[i] = near[i].P
	}
	out := make([]Ranked, 0, len(near))
	for _, way := range q.Travel(q.P, from) {
		out = append(out, q.score(&near[way.Index], way))
	}
	slices.SortFunc(out, func(a, b Ranked) int {
		return cmp.Or(
			cmp.Compare(b.Score, a.Score), cmp.Compare(a.Way.Seconds, b.Way.Seconds), cmp.Compare(a.LineM, b.LineM), cmp.Compare(a.Worker, b.Worker),
		)
	})
	for i := range out {
		out[i].Rank = i + 1
	}
	q.explain(out)
	return out
}

// score works out one candidate's parts and their sum by weight.
func (q *Question) score(m *measured, way road.Answer) Ranked {
	r := Ranked{
		Worker: m.Worker, Relation: q.relation(&m.Candidate), LineM: m.line, Way: way, FixAge: q.Now.Sub(m.FixAt), Record: m.WorkRecord,
	}
	r.Covered = m.Home == 0 || q.inside(m.Home) || q.Others(m.Home, m.Worker)
	r.Parts = Parts{
		Travel:   q.Rule.HalfS / (q.Rule.HalfS + way.Seconds),
		Grid:     relationWorth[r.Relation],
		Load:     1 - float64(m.Load)/float64(q.Rule.MaxLoad),
		Fairness: 1 / (1 + float64(m.Day) + float64(m.Week)/7),
	}
	if r.Covered {
		r.Parts.Cover = 1
	}
	r.Score = 100 * q.Rule.Weights.of(r.Parts)
	return r
}

var relationWorth = map[Relation]float64{OwnGrid: 1, OwnDeputy: 0.8, SameNear: 0.6, SameFar: 0.3, NoRelated: 0}

// Village is the numbers of the grids of the incident's village: its deepest grid's
// parent and all below, or that grid itself right below the county. It is empty, the
// last before the first, outside all grids.
func (q *Question) Village() (first, last int32) {
	deepest := len(q.Path) - 1
	if deepest < 1 {
		return 1, 0
	}
	v := q.Path[max(deepest-1, 1)]
	return v.No, v.Last
}

// inside reports whether the incident lies in the grid.
func (q *Question) inside(no int32) bool {
	return slices.ContainsFunc(q.Path, func(s Span) bool { return s.No == no })
}

// explain gives each candidate the words that stand for its numbers.
func (q *Question) explain(all []Ranked) {
	soonest := 0
	for i := range all {
		if all[i].Way.Seconds < all[soonest].Way.Seconds {
			soonest = i
		}
	}
	for i := range all {
		r := &all[i]
		say := func(word string, when bool) {
			if when {
				r.Reasons = append(r.Reasons, word)
			}
		}
		say("soonest", r.Way.Seconds == all[soonest].Way.Seconds)
		say(string(r.Relation), r.Relation != NoRelated)
		say("skilled", len(q.Rule.Skills) > 0)
		say("free", r.Record.Load == 0)
		say("at_work", r.Record.Load > 0)
		say("offered_today", r.Record.Day > 0)
		say("leaves_grid_empty", !r.Covered)
		say("by_line", r.Way.By == road.ByLine)
	}
}
