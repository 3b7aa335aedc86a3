// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package track

import "time"

// Freshness grades the age of a last known place.
type Freshness int

const (
	Fresh Freshness = iota // drawn full, and in the advice
	Stale                  // drawn hollow with its age; chosen by hand only
	Lost                   // off the map, still listed as 失联
)

const (
	minFresh  = 120 * time.Second
	lostAfter = 60 * time.Minute
)

// FreshFor is how long a fix of a device with this interval counts as fresh.
func FreshFor(interval time.Duration) time.Duration { return max(minFresh, 2*interval) }

// FreshnessOf is the product's one rule for map, lists and advice: how fresh a
// fix of this age is, from a device that sends one each interval.
func FreshnessOf(age, interval time.Duration) Freshness {
	switch {
	case age >= lostAfter:
		return Lost
	case age >= FreshFor(interval):
		return Stale
	}
	return Fresh
}
