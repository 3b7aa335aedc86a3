// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
	"onemap/store/ledger"
	"onemap/track"
)

const (
	// patrolEvery is how often visits are opened, looked for in fixes and closed.
	patrolEvery = 10 * time.Second
	// patrolWorkers is of how many workers fixes are looked at at a time.
	patrolWorkers = 20
)

// sweepPatrols opens the visits of the periods that have begun, notes those that fixes
// prove, and marks as missed those whose period is over. What fails keeps none of the
// others from being done.
func (s *Server) sweepPatrols(ctx context.Context) error {
	return s.trusted(ctx, func(ctx context.Context) error {
		actor := auth.SystemActor("patrols")
		failed := s.ledger.FollowGrids(ctx)
		_, err := s.ledger.OpenVisits(ctx, actor)
		failed = errors.Join(failed, err, s.ledger.LookAtFixes(ctx, s.seekVisits))
		// A fix that comes after this is late, and may still prove a visit that was missed.
		looked, err := s.pools.care.FixesLookedAt(ctx)
		if err != nil {
			return errors.Join(failed, err)
		}
		_, err = s.ledger.CloseVisits(ctx, actor, looked.Add(-track.FreshFor(0)))
		return errors.Join(failed, err)
	})
}

// seekVisits notes the visits that fixes received since a time prove. A visit that is
// looked at for the first time is sought in all fixes since it opens; it counts as looked
// at as soon as the fixes of all who may make it are.
func (s *Server) seekVisits(ctx context.Context, since, now time.Time, looked func([]int64) error) error {
	db, why := s.pools.care, auth.System("whoever serves where a visit is due, near where to")
	visits, by, err := db.UnseenVisits(ctx, why, now)
	if err != nil || len(visits) == 0 {
		return err
	}
	back := now.Add(-store.VisitLooksBack)
	if since.Before(back) {
		since = back
	}
	late, err := db.LateFixes(ctx, why, since, back)
	if err != nil {
		return err
	}
	left := map[int64]int{} // of whom fixes are still to be looked at
	for _, of := range by {
		for _, who := range of {
			left[who.Visit]++
		}
	}
	places := map[int64]ledger.VisitPlace{}
	for id, v := range visits {
		places[id] = s.ledger.VisitPlace(v)
	}
	for workers := range slices.Chunk(slices.Sorted(maps.Keys(by)), patrolWorkers) {
		from := map[uint32]time.Time{}
		for _, w := range workers {
			from[w] = lookFrom(visits, by[w], since, back, late[w])
		}
		fixes, err := db.FixesSince(ctx, why, from, now)
		if err != nil {
			return err
		}
		var seen []ledger.SeenVisit
		var done []int64
		for _, w := range workers {
			for _, who := range by[w] {
				if left[who.Visit]--; left[who.Visit] == 0 {
					done = append(done, who.Visit)
				}
				if x, ok := visited(visits[who.Visit], who, fixes[w], places[who.Visit]); ok {
					seen = append(seen, x)
				}
			}
		}
		if _, err := s.ledger.VisitsSeen(ctx, auth.SystemActor("patrols"), seen); err != nil {
			return err
		}
		if err := looked(done); err != nil {
			return err
		}
	}
	return looked(slices.Sorted(maps.Keys(visits))) // those, too, that nobody may make
}

// lookFrom is from which fix time on a worker's fixes are looked at: since the last
// look, or the oldest that came late, or the opening of a visit that is new; and as far
// before it as the longest stay goes back.
func lookFrom(visits map[int64]store.Visit, of []store.Visitor, since, back, late time.Time) time.Time {
	if !late.IsZero() && late.Before(since) {
		since = late
	}
	var stay time.Duration
	first := since
	for _, who := range of {
		v := visits[who.Visit]
		if v.Stay > 0 {
			stay = max(stay, v.Stay+dispatch.StayGap)
		}
		if !v.Looked && v.Opens().Before(first) {
			first = v.Opens()
		}
	}
	if from := since.Add(-stay); from.Before(first) {
		first = from
	}
	if first.Before(back) {
		return back
	}
	return first
}

// visited judges whether one worker's fixes prove a visit.
func visited(v store.Visit, who store.Visitor, fixes []dispatch.NearFix, place ledger.VisitPlace) (ledger.SeenVisit, bool) {
	var own []dispatch.NearFix // while the worker served there
	for _, f := range fixes {
		if who.Serves(f.At) {
			own = append(own, f)
		}
	}
	from, at, ok := v.VisitedBy(own, func(f dispatch.NearFix) bool { there, _ := place.At(f); return there })
	if !ok {
		return ledger.SeenVisit{}, false
	}
	x := ledger.SeenVisit{Visit: v.ID, Worker: who.Worker, From: from, At: at}
	for _, f := range own {
		if f.At.Equal(at) {
			_, x.Metres = place.At(f)
		}
	}
	return x, true
}
