// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package people

import "time"

// Hours is one weekly run of duty. Minutes count from the midnight that begins
// Weekday in Asia/Shanghai; an End past 1440 runs into the next day.
type Hours struct {
	Weekday    time.Weekday
	Start, End int // 0 <= Start < 1440, Start < End <= Start+1440
}

// Rota is the weekly duty of one worker. The empty Rota is never on duty.
type Rota []Hours

const (
	dayMinutes = 24 * 60
	maxShifts  = 64 // joined runs followed to find the end of duty: more than a week
)

// Local is t on the clocks of China. There is no summer time, so the zone needs
// no table from the system.
func Local(t time.Time) time.Time { return t.In(time.FixedZone("Asia/Shanghai", 8*60*60)) }

// OnDuty reports whether t is a time of duty, and when that duty ends. Runs that
// meet or overlap are one duty; a rota without an end says a week or more ahead.
func (r Rota) OnDuty(t time.Time) (until time.Time, on bool) {
	until, on = r.run(t)
	for range maxShifts {
		next, more := r.run(until)
		if !on || !more {
			break
		}
		until = next
	}
	return until, on
}

// run returns the latest end among the runs that hold t.
func (r Rota) run(t time.Time) (end time.Time, on bool) {
	l := Local(t)
	midnight := time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, l.Location())
	for back := range 2 { // today's runs, and yesterday's that go past midnight
		day := midnight.AddDate(0, 0, -back)
		for _, h := range r {
			if h.Weekday != day.Weekday() {
				continue
			}
			from := day.Add(time.Duration(h.Start) * time.Minute)
			to := day.Add(time.Duration(min(h.End, h.Start+dayMinutes)) * time.Minute)
			if !t.Before(from) && t.Before(to) && to.After(end) {
				end, on = to, true
			}
		}
	}
	return end, on
}
