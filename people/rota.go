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

// Seconds of a week, which begins with Monday's midnight in Asia/Shanghai.
const (
	daySeconds  = 24 * 60 * 60
	weekSeconds = 7 * daySeconds
	// epochSecond is the second of the week in which 1970 began in UTC: a Thursday,
	// eight in the morning in China.
	epochSecond = 3*daySeconds + 8*60*60
)

// Local is t on the clocks of China. There is no summer time, so the zone needs
// no table from the system.
func Local(t time.Time) time.Time { return t.In(time.FixedZone("Asia/Shanghai", 8*60*60)) }

// OnDuty reports whether t is a time of duty, and when that duty ends. Runs that
// meet or overlap are one duty; of a rota without an end it says a week ahead or
// a little more.
func (r Rota) OnDuty(t time.Time) (until time.Time, on bool) {
	now := t.Unix()
	var left int64
	for left < weekSeconds {
		more := r.left(now + left)
		if more == 0 {
			break
		}
		left += more
	}
	if left == 0 {
		return time.Time{}, false
	}
	return time.Unix(now+left, 0).UTC(), true
}

// Since is when the duty that holds t began, runs that meet or overlap being one;
// zero off duty, and for a rota that never ends.
func (r Rota) Since(t time.Time) time.Time {
	now := t.Unix()
	if r.left(now) == 0 {
		return time.Time{}
	}
	var done int64
	for done < weekSeconds {
		more := r.done(now - done)
		if more == 0 {
			break
		}
		done += more
	}
	if done >= weekSeconds {
		return time.Time{}
	}
	return time.Unix(now-done, 0).UTC()
}

// longest is the length of the longest duty of the week, a week when it never ends.
func (r Rota) longest() (most time.Duration) {
	for _, h := range r {
		day := int64(h.Weekday+6) % 7
		last := time.Unix(day*daySeconds+int64(h.End)*60-1-epochSecond, 0) // of the run, in the week of 1970
		since := r.Since(last)
		if since.IsZero() {
			return weekSeconds * time.Second
		}
		most = max(most, last.Sub(since)+time.Second)
	}
	return most
}

// done is for how many seconds the run that holds the second at, or ends with it,
// has gone on: of several the longest; 0 for none.
func (r Rota) done(at int64) (done int64) {
	for _, h := range r {
		if length, passed := h.passed(at); passed <= length {
			done = max(done, passed)
		}
	}
	return done
}

// left is how many seconds the longest run that holds the second at (since 1970)
// still goes on; 0 for none.
func (r Rota) left(at int64) (left int64) {
	for _, h := range r {
		length, passed := h.passed(at)
		left = max(left, length-passed)
	}
	return left
}

// passed is how many seconds the run takes, and how many lie between its latest
// beginning and the second at.
func (h Hours) passed(at int64) (length, passed int64) {
	day := int64(h.Weekday+6) % 7 // Monday is 0
	start := day*daySeconds + int64(h.Start)*60
	return min(int64(h.End-h.Start)*60, daySeconds), ((at+epochSecond-start)%weekSeconds + weekSeconds) % weekSeconds
}
