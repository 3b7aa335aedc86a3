// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar

import "time"

// Version names the days below in the rule of every limit. It changes whenever
// they do.
const Version = "cn2026"

// Date is a day in the zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Span is a piece of a day, in minutes after midnight.
type Span struct{ From, To int }

// Season gives the office hours from a day of the year until the next season.
type Season struct {
	Month time.Month
	Day   int
	Hours []Span // in order
}

// DefaultSeasons are the office hours of a new centre, by the day they begin:
// summer from 1 May, winter from 1 October.
func DefaultSeasons() []Season { return append([]Season(nil), defaultSeasons[:]...) }

var defaultSeasons = [...]Season{
	{time.May, 1, []Span{{8*60 + 30, 12 * 60}, {14*60 + 30, 18 * 60}}},
	{time.October, 1, []Span{{8*60 + 30, 12 * 60}, {14*60 + 30, 17*60 + 30}}},
}

// Known returns the first and the last year whose notices of the State Council
// the program knows. What is counted through a later year is provisional.
func Known() (first, last int) { return firstYear, lastYear }

// The years whose notices of the State Council are below.
const (
	firstYear = 2024
	lastYear  = 2026
)

// stretch is a run of days of one month.
type stretch struct {
	month    time.Month
	from, to int
	work     bool
}

const (
	rest = false
	work = true
)

// notices lists, by year, the days that are not what their weekday says: days
// of rest (weekends among them, for the reader's sake) and make-up workdays.
var notices = map[int][]stretch{
	2024: {
		{time.January, 1, 1, rest},
		{time.February, 10, 17, rest},
		{time.February, 4, 4, work},
		{time.February, 18, 18, work},
		{time.April, 4, 6, rest},
		{time.April, 7, 7, work},
		{time.May, 1, 5, rest},
		{time.April, 28, 28, work},
		{time.May, 11, 11, work},
		{time.June, 10, 10, rest},
		{time.September, 15, 17, rest},
		{time.September, 14, 14, work},
		{time.October, 1, 7, rest},
		{time.September, 29, 29, work},
		{time.October, 12, 12, work},
	},
	2025: {
		{time.January, 1, 1, rest},
		{time.January, 28, 31, rest},
		{time.February, 1, 4, rest},
		{time.January, 26, 26, work},
		{time.February, 8, 8, work},
		{time.April, 4, 6, rest},
		{time.May, 1, 5, rest},
		{time.April, 27, 27, work},
		{time.May, 31, 31, rest},
		{time.June, 1, 2, rest},
		{time.October, 1, 8, rest},
		{time.September, 28, 28, work},
		{time.October, 11, 11, work},
	},
	2026: {
		{time.January, 1, 3, rest},
		{time.January, 4, 4, work},
		{time.February, 15, 23, rest},
		{time.February, 14, 14, work},
		{time.February, 28, 28, work},
		{time.April, 4, 6, rest},
		{time.May, 1, 5, rest},
		{time.May, 9, 9, work},
		{time.June, 19, 21, rest},
		{time.September, 25, 27, rest},
		{time.October, 1, 7, rest},
		{time.September, 20, 20, work},
		{time.October, 10, 10, work},
	},
}

// exception returns what a notice says about a day, if it says anything.
func exception(d Date) (work, ok bool) {
	for _, s := range notices[d.Year] {
		if s.month == d.Month && s.from <= d.Day && d.Day <= s.to {
			return s.work, true
		}
	}
	return false, false
}

// moon gives, for years to come, the days of the holidays that follow the moon
// or the sun: first day of the Spring Festival, Qingming, Dragon Boat,
// Mid-Autumn, each as month*100+day.
var moon = map[int][4]int{
	2027: {206, 405, 609, 915},
	2028: {126, 404, 528, 1003},
	2029: {213, 404, 616, 922},
	2030: {203, 405, 605, 912},
	2031: {123, 405, 624, 1001},
	2032: {211, 404, 612, 919},
	2033: {131, 404, 601, 908},
	2034: {219, 405, 620, 927},
	2035: {208, 405, 610, 916},
}

// statutory says whether the law itself makes d a holiday: New Year, the eve
// and three days of the Spring Festival, Qingming, two days in May, Dragon
// Boat, Mid-Autumn, three days in October. Bridge and make-up days are known
// from a notice only.
func statutory(d Date) bool {
	switch md := int(d.Month)*100 + d.Day; md {
	case 101, 501, 502, 1001, 1002, 1003:
		return true
	default:
		m, ok := moon[d.Year]
		if !ok {
			return false
		}
		spring := time.Date(d.Year, time.Month(m[0]/100), m[0]%100, 0, 0, 0, 0, time.UTC)
		since := int(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Sub(spring).Hours()) / 24
		return md == m[1] || md == m[2] || md == m[3] || since >= -1 && since <= 2
	}
}
