// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"time"

	"onemap/geo"
)

// NearFix is a trusted fix of a worker who was sent somewhere.
type NearFix struct {
	At        time.Time // when it was measured
	P         geo.WGS84
	AccuracyM float64 // radius in metres; negative where the device did not tell
}

const (
	// ArrivalApart is how far apart in time two fixes must be to say that somebody has
	// arrived and not driven past.
	ArrivalApart = 30 * time.Second
	// MostArrivalSlack is how much accuracy, in metres, widens the radius at most: a
	// fix that knows no better says nothing of arrival.
	MostArrivalSlack = 100.0
)

// ArrivedBy reports when somebody arrived at place by fixes, in order of time: two of
// them no farther from it than radius and their own accuracy, ArrivalApart or more
// apart, and none in between outside. The time is the second's.
func ArrivedBy(fixes []NearFix, place geo.WGS84, radius float64) (time.Time, bool) {
	_, at, ok := stayed(fixes, func(f NearFix) bool { return f.Near(place, radius) }, ArrivalApart, 0)
	return at, ok
}

// Near reports whether a fix lies no farther from place than radius and its own
// accuracy.
func (f NearFix) Near(place geo.WGS84, radius float64) bool {
	return geo.Distance(f.P, place) <= radius+min(max(f.AccuracyM, 0), MostArrivalSlack)
}

// stayed is the one rule of being somewhere: two fixes there, so far apart in time or
// more, and none between them elsewhere. With a gap, two that follow each other later
// than that begin anew. from and at are the times of the two.
func stayed(fixes []NearFix, there func(NearFix) bool, apart, gap time.Duration) (from, at time.Time, ok bool) {
	var last time.Time
	for _, f := range fixes {
		switch {
		case !there(f):
			from = time.Time{}
		case from.IsZero() || gap > 0 && f.At.Sub(last) > gap:
			from = f.At
		case f.At.Sub(from) >= apart:
			return from, f.At, true
		}
		last = f.At
	}
	return time.Time{}, time.Time{}, false
}
