// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"testing"
	"time"
)

func TestPeriodsToCompareWithLieWholeWeeksEarlier(t *testing.T) {
	t.Parallel()
	day := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text+"T00:00:00+08:00")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range [][6]string{ // a period, the weeks before, the year before
		{"2026-11-01", "2026-11-11", "2026-10-18", "2026-10-28", "2025-11-02", "2025-11-12"},
		{"2026-11-16", "2026-11-23", "2026-11-09", "2026-11-16", "2025-11-17", "2025-11-24"},
		{"2025-11-01", "2026-11-02", "2024-10-26", "2025-10-27", "2024-10-26", "2025-10-27"},
	} {
		in := periodFiguresInput{PeriodQuestion: PeriodQuestion{From: day(c[0]), To: day(c[1])}, Before: []string{"weeks", "year"}}
		for i, p := range in.then() {
			if !p.From.Equal(day(c[2+2*i])) || !p.To.Equal(day(c[3+2*i])) {
				t.Errorf("%s to %s: %s are %s to %s, want %s to %s", c[0], c[1], in.Before[i], p.From, p.To, c[2+2*i], c[3+2*i])
			}
		}
	}
}
