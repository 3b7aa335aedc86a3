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
	var since time.Time // of the first fix of the run inside
	for _, f := range fixes {
		slack := min(max(f.AccuracyM, 0), MostArrivalSlack)
		switch {
		case geo.Distance(f.P, place) > radius+slack:
			since = time.Time{}
		case since.IsZero():
			since = f.At
		case f.At.Sub(since) >= ArrivalApart:
			return f.At, true
		}
	}
	return time.Time{}, false
}
