// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package people

import "time"

// Shift is one actual turn of duty of a worker, from Start (included) to End
// (excluded). Until somebody ends it, End is the planned end.
type Shift struct {
	Start, End time.Time
	ByHand     bool // somebody ended it before its planned end
}

// Lengths of a shift.
const (
	ShiftGrace   = 30 * time.Minute // goes on after the end of the rota's run
	ShiftEarly   = 2 * time.Hour    // before a run begins, a start is taken as for that run
	ShiftOutside = 8 * time.Hour    // a shift that begins outside the rota
	ShiftMost    = 16 * time.Hour   // a shift by a rota without an end; without the grace
)

// PlannedEnd is when a shift that begins at start ends by itself: with the rota's
// run, and ShiftGrace after it.
func (r Rota) PlannedEnd(start time.Time) time.Time {
	until, on := r.OnDuty(start)
	if !on {
		begins, soon := r.begins(start)
		if !soon {
			return start.Add(ShiftOutside)
		}
		until, _ = r.OnDuty(begins)
	}
	if most := start.Add(ShiftMost); until.After(most) {
		until = most
	}
	return until.Add(ShiftGrace)
}

// begins is when the next run begins, if that is within ShiftEarly of t.
func (r Rota) begins(t time.Time) (first time.Time, soon bool) {
	at := t.Unix()
	for _, h := range r {
		day := int64(h.Weekday+6) % 7 // Monday is 0
		start := day*daySeconds + int64(h.Start)*60
		wait := ((start-at-epochSecond)%weekSeconds + weekSeconds) % weekSeconds
		if next := time.Unix(at+wait, 0).UTC(); wait <= int64(ShiftEarly/time.Second) && (!soon || next.Before(first)) {
			first, soon = next, true
		}
	}
	return first, soon
}

// OnDuty reports whether the worker is on duty at t, and until when. That is so
// within a shift; and within the rota, unless a shift was ended by hand before t on
// the same day, or in the same run of the rota: who signs off past midnight is not
// on duty again before the night is over.
func (w Worker) OnDuty(t time.Time) (until time.Time, on bool) {
	if !w.Active {
		return time.Time{}, false
	}
	for _, s := range w.Shifts {
		if !t.Before(s.Start) && t.Before(s.End) {
			return s.End, true
		}
	}
	if until, on = w.Rota.OnDuty(t); !on {
		return time.Time{}, false
	}
	for _, s := range w.Shifts {
		if s.ByHand && !t.Before(s.End) && t.Before(w.Rota.quiet(s.End)) {
			return time.Time{}, false
		}
	}
	return until, true
}

// Since is when the duty began that the worker is on at t: the shift's start, else
// the rota's; zero for one that never ends.
func (w Worker) Since(t time.Time) time.Time {
	for _, s := range w.Shifts {
		if !t.Before(s.Start) && t.Before(s.End) {
			return s.Start
		}
	}
	return w.Rota.Since(t)
}

// quiet is until when the rota does not count after somebody signed off at t: the
// end of that day in China, or of the run that t lies in where it goes on into the
// next day.
func (r Rota) quiet(t time.Time) time.Time {
	l := Local(t)
	end := time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, l.Location())
	if until, on := r.OnDuty(t); on && until.After(end) && until.Sub(t) <= 24*time.Hour {
		end = until
	}
	return end
}
