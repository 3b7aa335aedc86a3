// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"testing"

	"onemap/analysis"
	"onemap/auth"
)

// TestNoSmallNumberIsLeftBetweenTwoThatAreTold looks at every share of a whole of twelve.
func TestNoSmallNumberIsLeftBetweenTwoThatAreTold(t *testing.T) {
	t.Parallel()
	const all = 12
	for part := 0; part <= all; part++ {
		may := part == 0 || part == all || part >= auth.K && all-part >= auth.K
		for _, shared := range []bool{true, false} {
			w := figureWriter{in: &PeriodQuestion{}, shared: shared}
			due := w.onTime(analysis.Counts{InTime: all, Provisional: part, Extended: part}, nil)
			over := w.overridden(analysis.Counts{Chosen: all, Advised: part})
			for what, told := range map[string]bool{"provisional": due.Provisional.N != nil, "extended": due.Extended.N != nil, "overridden": over.Of != nil} {
				if told != (may || !shared) {
					t.Errorf("%s, %d of %d, shared %t: told %t", what, part, all, shared, told)
				}
			}
		}
	}
}
