// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar

import "time"

// DaysBetween counts the working days from from to to, with their fractions: how many
// have been worked by to less how many had been by from. Of a working day at a moment
// in it, that share has been worked which has passed of its office hours: nothing
// before they begin, all after they end, and the noon break adds nothing. Each working
// day counts one, however long its hours are; other days count nothing. Without office
// hours a day is worked from 0:00 to 24:00. It is negative where to is before from.
func (c Calendar) DaysBetween(from, to time.Time) float64 {
	if to.Before(from) {
		return -c.DaysBetween(to, from)
	}
	first, last := dayOf(from), dayOf(to)
	n := 0
	for d := first; d < last; d++ {
		if working, _ := c.working(d); working {
			n++
		}
	}
	return float64(n) + c.worked01(last, to) - c.worked01(first, from)
}

// worked01 is the share of the n-th day's working time that has passed at t, 0 on a day of rest.
func (c Calendar) worked01(n int64, t time.Time) float64 {
	spans, _ := c.openings(n)
	var passed, all float64
	at := float64(t.UnixMicro())/1e6 - float64(second0(n, 0))
	for _, s := range spans {
		open, shut := float64(s.From*60), float64(s.To*60)
		all += shut - open
		passed += max(min(at, shut)-open, 0)
	}
	if all == 0 {
		return 0
	}
	return passed / all
}

// Mark is a moment at which work begins or stops, for counting working days elsewhere
// than here.
type Mark struct {
	At   int64   // second since 1970
	Done float64 // working days since the first mark, by then
	Rate float64 // working days a second from then to the next mark
}

// Marks are the moments at which work begins or stops, from the beginning of from's
// day to the end of to's. The count of working days at a moment is that of the last
// mark before it, and its rate for the time since; DaysBetween is the difference of
// two counts.
func (c Calendar) Marks(from, to time.Time) []Mark {
	first, last := dayOf(from), dayOf(to)
	marks := []Mark{{At: second0(first, 0)}}
	whole := 0.0
	for d := first; d <= last; d++ {
		spans, _ := c.openings(d)
		all := 0
		for _, s := range spans {
			all += s.To - s.From
		}
		if all == 0 {
			continue
		}
		passed := 0
		for _, s := range spans {
			marks = append(marks, Mark{second0(d, s.From), whole + float64(passed)/float64(all), 1 / float64(all*60)})
			passed += s.To - s.From
			marks = append(marks, Mark{second0(d, s.To), whole + float64(passed)/float64(all), 0})
		}
		whole++
	}
	return marks
}
