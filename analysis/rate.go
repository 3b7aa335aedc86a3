// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

// Rate is incidents by what they are counted by, the exposure of a place: its area, the
// hours of patrol in it. Low and High are its exact 95 % interval. A rate that is not
// Known has no exposure, or one too small to tell a rate of.
type Rate struct {
	Rate, Low, High float64
	Known           bool
}

// leastExposure is the part of a unit below which an exposure is nothing.
const leastExposure = 1e-9

// RateOf is the rate of a whole count by an exposure, for each unit of it. An exposure
// below least, or of nothing, gives none. The count is taken for one of Poisson, and the
// interval is that of Garwood (Biometrika 28, 1936): it says how much of the rate is
// chance, which is much where few are counted.
func RateOf(count, exposure, unit, least float64) Rate {
	if !(exposure >= leastExposure*unit) || exposure < least {
		return Rate{}
	}
	low, high := garwood(count)
	each := unit / exposure
	return Rate{Rate: count * each, Low: low * each, High: high * each, Known: true}
}
