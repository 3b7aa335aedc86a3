// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"testing"

	"onemap/store"
)

// TestNoticesAreToldOutsideInLargeNumbersAlone, and nothing can be worked out of them that
// is small.
func TestNoticesAreToldOutsideInLargeNumbersAlone(t *testing.T) {
	for n, want := range map[store.NoticeCounts]bool{
		{}: true, {Made: 5}: true, {Made: 10, Read: 5, Replied: 5}: true, {Made: 30, Read: 20, Replied: 10}: true, {Made: 7, Read: 7, Replied: 7}: true,
		{Made: 3}: false, {Made: 9, Read: 4}: false, {Made: 20, Read: 10, Replied: 1}: false, {Made: 20, Read: 18, Replied: 10}: false, {Made: 20, Read: 12, Replied: 10}: false,
		{Made: 20, Read: 10, Replied: 16}: false,
	} {
		got := tellable(n)
		if (got != nil) != want || want && *got != n {
			t.Errorf("of %+v is told %+v", n, got)
		}
	}
}
