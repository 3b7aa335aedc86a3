// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar

import (
	"cmp"
	"fmt"
	"time"
)

// What a centre's own calendar may hold at most.
const (
	maxOverrides = 3660
	maxSeasons   = 12
	maxSpans     = 8
)

// ParseDate reads a day written as 2026-11-22.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("calendar: %q is no day: write it as 2026-11-22", s)
	}
	return Date{t.Year(), t.Month(), t.Day()}, nil
}

func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// Compare orders days.
func (d Date) Compare(e Date) int {
	return cmp.Or(cmp.Compare(d.Year, e.Year), cmp.Compare(d.Month, e.Month), cmp.Compare(d.Day, e.Day))
}

// Check says what is wrong with a centre's own days and hours, or nil. Seasons
// follow each other by the day they begin, each with hours in order.
func (c Calendar) Check() error {
	if len(c.Overrides) > maxOverrides {
		return fmt.Errorf("calendar: %d days are named, at most %d can be", len(c.Overrides), maxOverrides)
	}
	for d := range c.Overrides {
		if !exists(d) || d.Year < 2000 || d.Year > 2100 {
			return fmt.Errorf("calendar: %v is no day of the years 2000 to 2100", d)
		}
	}
	if c.LateFrom < 0 || c.LateFrom > 1440 || c.LateUntil < 0 || c.LateUntil > 1440 {
		return fmt.Errorf("calendar: late_from and late_until are times of the day, 00:01 to 24:00")
	}
	if c.Seasons != nil && len(c.Seasons) == 0 || len(c.Seasons) > maxSeasons {
		return fmt.Errorf("calendar: 1 to %d seasons", maxSeasons)
	}
	last := 0
	for _, s := range c.Seasons {
		begins := int(s.Month)*100 + s.Day
		if !exists(Date{2023, s.Month, s.Day}) {
			return fmt.Errorf("calendar: a season begins on %02d-%02d, which is no day of every year", int(s.Month), s.Day)
		}
		if begins <= last {
			return fmt.Errorf("calendar: the season of %02d-%02d does not come after the one before it", int(s.Month), s.Day)
		}
		if last = begins; len(s.Hours) == 0 || len(s.Hours) > maxSpans {
			return fmt.Errorf("calendar: the season of %02d-%02d needs 1 to %d spans of office hours", int(s.Month), s.Day, maxSpans)
		}
		end := 0
		for _, h := range s.Hours {
			if h.From < end || h.To <= h.From || h.To > 1440 {
				return fmt.Errorf("calendar: the office hours of the season of %02d-%02d are not in order within 00:00 to 24:00", int(s.Month), s.Day)
			}
			end = h.To
		}
	}
	return nil
}

// exists reports whether there is such a day.
func exists(d Date) bool {
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
	return t.Year() == d.Year && t.Month() == d.Month && t.Day() == d.Day
}
