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
	Seq feed.Seq // it holds at least everything up to here
	At  time.Time
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
	return Advised{Advice: dispatch.Advise(q, candidates(staff, v.Near(), s, q, facts.work)), Seq: facts.seq, At: now}, nil
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
		w, ok := staff.Worker(id)
		if !ok || id == worker || !s.SeesWorker(id, w.Grid) {
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
		village := map[uint32]bool{} // and whether they came already
		for _, id := range staff.Serving(q.Village()) {
			village[id] = false
		}
		var c dispatch.Candidate
		person := func(id uint32) bool {
			w, ok := staff.Worker(id)
			if !ok || !w.Active || !s.SeesWorker(id, w.Grid) {
				return false
			}
			c = dispatch.Candidate{Worker: id, Home: w.Grid, Served: w.Served, Skills: w.Skills, Since: w.Rota.Since(q.Now), WorkRecord: work[id]}
			return true
		}
		near.Each(func(d *track.Dot) bool {
			if !person(d.Worker) {
				return true
			}
			if _, ours := village[d.Worker]; ours {
				village[d.Worker] = true
			}
			c.OnDuty, c.P, c.FixAt, c.Sight = true, d.P, d.FixAt, dispatch.Seen
			switch d.State {
			case track.StateSOS:
				c.Alarm = true
			case track.StateStale:
				c.Sight = dispatch.Hollow
			}
			return yield(&c)
		})
		for id, came := range village {
			if came || !person(id) {
				continue
			}
			_, c.OnDuty = staff.OnDuty(id, q.Now)
			if !yield(&c) {
				return
			}
		}
	}
}
