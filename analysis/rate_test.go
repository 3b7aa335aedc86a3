// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"onemap/analysis"
)

// The intervals are those that R's poisson.test gives of counts over an exposure of one.
func TestARateHasTheExactIntervalOfItsCount(t *testing.T) {
	for count, want := range map[float64][2]float64{
		0:    {0, 3.688879454114},
		1:    {0.025317807984, 5.571643390939},
		5:    {1.623486390118, 11.668332079323},
		10:   {4.795388696132, 18.390356042018},
		100:  {81.363991250923, 121.626793792426},
		1000: {938.973018407695, 1063.952136016302},
	} {
		got := analysis.RateOf(count, 1, 1, 0)
		if got.Rate != count || math.Abs(got.Low-want[0]) > 1e-9*count || math.Abs(got.High-want[1]) > 1e-9*(count+1) {
			t.Errorf("%v: %+v, R says %v", count, got, want)
		}
	}
}

// tail is the chance of k or fewer of Poisson, and of more, summed up.
func tail(k int, mean float64) (fewer, more float64) {
	p := 0.0
	for j := 0; j <= k; j++ {
		l, _ := math.Lgamma(float64(j + 1))
		p += math.Exp(float64(j)*math.Log(mean) - mean - l)
	}
	return p, 1 - p
}

func TestARateIsTheCountByItsExposure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(0, 400).Draw(t, "count")
		exposure := rapid.Float64Range(0, 5000).Draw(t, "exposure")
		unit := rapid.SampledFrom([]float64{1, 100, 1000}).Draw(t, "unit")
		least := rapid.SampledFrom([]float64{0, 0.01, 10}).Draw(t, "least")
		r := analysis.RateOf(float64(count), exposure, unit, least)
		if r.Known != (exposure >= 1e-9*unit && exposure >= least) {
			t.Fatalf("%d by %v, least %v: %+v", count, exposure, least, r)
		}
		if !r.Known {
			if r != (analysis.Rate{}) {
				t.Fatalf("%d by %v: %+v", count, exposure, r)
			}
			return
		}
		mean := func(rate float64) float64 { return rate * exposure / unit }
		if math.Abs(mean(r.Rate)-float64(count)) > 1e-9*float64(count+1) || r.Low > r.Rate || r.Rate > r.High {
			t.Fatalf("%d by %v for each %v: %+v", count, exposure, unit, r)
		}
		if count > 0 {
			if _, more := tail(count-1, mean(r.Low)); math.Abs(more-0.025) > 1e-6 {
				t.Fatalf("%d: as many by chance %v at the low end", count, more)
			}
		} else if r.Low != 0 {
			t.Fatalf("none: the interval begins at %v", r.Low)
		}
		if fewer, _ := tail(count, mean(r.High)); math.Abs(fewer-0.025) > 1e-6 {
			t.Fatalf("%d: as few by chance %v at the high end", count, fewer)
		}
	})
}
