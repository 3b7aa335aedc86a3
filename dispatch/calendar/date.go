// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar

import "time"

// DateOf is the day in the zone that t lies in.
func DateOf(t time.Time) Date { return dateOf(dayOf(t)) }

// Add is the day n days later, or earlier for a negative n.
func (d Date) Add(n int) Date { return dateOf(d.number() + int64(n)) }

// Sub is how many days d lies after e.
func (d Date) Sub(e Date) int { return int(d.number() - e.number()) }

// At is the moment a minute of the day begins, counted from midnight in the zone;
// minute 1440 is the next day's first.
func (d Date) At(minute int) time.Time { return moment(d.number(), minute).UTC() }

// Weekday is the day's weekday.
func (d Date) Weekday() time.Weekday { return time.Weekday(((d.number()+4)%7 + 7) % 7) }

// WorkingOn is Working for a whole day.
func (c Calendar) WorkingOn(d Date) (working, known bool) { return c.working(d.number()) }

// number is the day's number, 0 being 1 January 1970.
func (d Date) number() int64 {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / day
}
