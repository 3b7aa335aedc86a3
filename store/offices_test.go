// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"time"

	"onemap/auth"
)

// TestAnOfficeIsThatOfItsTime: who has changed office acted in the one held then.
func TestAnOfficeIsThatOfItsTime(t *testing.T) {
	t.Parallel()
	day := func(n int) *time.Time { d := time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC); return &d }
	held := Offices{
		{Role: auth.Dispatcher, actor: "account:1", from: day(2), till: day(5)},
		{Role: auth.HallOperator, actor: "account:1", from: day(5)},
		{Role: auth.TownOperator, actor: "token:1"},
	}
	for _, c := range []struct {
		actor string
		on    int
		want  auth.Role
	}{
		{"account:1", 1, ""},
		{"account:1", 2, auth.Dispatcher},
		{"account:1", 4, auth.Dispatcher},
		{"account:1", 5, auth.HallOperator},
		{"token:1", 1, auth.TownOperator},
		{"account:11", 4, ""},
		{"system:ladder", 4, ""},
	} {
		if got, ok := held.At(c.actor, *day(c.on)); got.Role != c.want || ok != (c.want != "") {
			t.Errorf("%s on day %d acted as %q (%v), want %q", c.actor, c.on, got.Role, ok, c.want)
		}
	}
}
