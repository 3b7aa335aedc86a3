// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/geo"
	"onemap/geo/road"
	"onemap/people"
	"onemap/track"
)

// Adviser puts together what advice on an incident looks at: the record, the live
// positions, the roads and who is on duty. All fields are needed. Whoever makes an
// offer asks it once more and keeps the answer by SaveAdvice.
type Adviser struct {
	Catalogue *Catalogue
	Near      func() *track.Near
	Roads     func() *road.Graph
	People    func() *people.Directory
	Now       func() time.Time
}

// Advised is advice and what it holds.
type Advised struct {
	dispatch.Advice
	Rule dispatch.AdviceRule
	Seq  feed.Seq // it holds at least everything up to here
	At   time.Time
}

// ErrNoPlace refuses advice on an incident whose place nobody knows.
var ErrNoPlace = errors.New("the incident has no place yet")

// Advise ranks at most k of the workers in scope for the incident. Of workers out of
// scope nothing goes into the answer, not even whether they cover a grid.
func (v *Adviser) Advise(ctx context.Context, db Batcher, s auth.Scope, in Incident, k int) (Advised, error) {
	if in.Place.Point == nil {
		return Advised{}, fmt.Errorf("store: advice on incident %d: %w", in.ID, ErrNoPlace)
	}
	now := v.Now()
	facts, err := factsForAdvice(ctx, db, in.Incident, now)
	if err != nil {
		return Advised{}, err
	}
	staff := v.People()
	q := dispatch.Question{
		P: *in.Place.Point, Path: v.path(in), Rule: facts.rule, K: k, Now: now,
		Travel: func(to geo.WGS84, from []geo.WGS84) []road.Answer { return v.Roads().TravelTimes(to, from, 0) },
		Others: func(grid int32, worker uint32) bool { return others(staff, s, grid, worker, now) },
	}
	return Advised{Advice: dispatch.Advise(q, candidates(staff, v.Near(), s, q, facts.work)), Rule: facts.rule, Seq: facts.seq, At: now}, nil
}

// path is the grids in force that the incident lies in; none for a place outside.
func (v *Adviser) path(in Incident) (out []dispatch.Span) {
	tree := v.Catalogue.Now().Tree
	i, ok := tree.ByNo(in.Place.GridNo)
	if !ok || in.Place.Kind != dispatch.InGrid {
		return nil
	}
	for _, n := range tree.Path(i) {
		out = append(out, dispatch.Span{No: tree.Nodes()[n].No, Last: tree.Nodes()[n].Last})
	}
	return out
}

// others reports whether anybody else in scope who is on duty serves the grid.
func others(staff *people.Directory, s auth.Scope, grid int32, worker uint32, now time.Time) bool {
	for _, id := range staff.Serving(grid, grid) {
		w := staff.Find(id)
		if w == nil || id == worker || !s.SeesWorker(id, w.Grid) {
			continue
		}
		if _, on := staff.OnDuty(id, now); on {
			return true
		}
	}
	return false
}

// candidates is every worker in scope who is on the map, and those who serve the
// incident's village and are not.
func candidates(staff *people.Directory, near *track.Near, s auth.Scope, q dispatch.Question, work map[uint32]dispatch.WorkRecord) iter.Seq[*dispatch.Candidate] {
	return func(yield func(*dispatch.Candidate) bool) {
		first, last := q.Village()
		everybody := staff.All()
		var c dispatch.Candidate // one for all: whoever keeps it copies it
		for i := range everybody {
			w := &everybody[i]
			if !w.Active || !s.SeesWorker(w.ID, w.Grid) {
				continue
			}
			d := near.Dot(w.ID)
			if d == nil && !w.Serves(first, last) {
				continue
			}
			c = dispatch.Candidate{Worker: w.ID, Home: w.Grid, Served: w.Served, Skills: w.Skills, WorkRecord: work[w.ID]}
			if d == nil || d.State == track.StateSOS {
				_, c.OnDuty = staff.OnDuty(w.ID, q.Now)
			} else {
				c.OnDuty = true // or there were no dot
			}
			if d != nil {
				c.Alarm, c.P, c.FixAt, c.Sight = d.State == track.StateSOS, d.P, d.FixAt, dispatch.Seen
			}
			if d != nil && d.State == track.StateStale {
				c.Sight = dispatch.Hollow
			}
			if w.LongestDuty() >= q.Rule.MaxDuty || len(w.Shifts) > 0 { // else they are never resting
				c.Since = w.Since(q.Now)
			}
			if !yield(&c) {
				return
			}
		}
	}
}
