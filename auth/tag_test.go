// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import "testing"

// TestATagTellsScopesApart: caches serve what has the same tag to both.
func TestATagTellsScopesApart(t *testing.T) {
	some := Scope{intervals: []Interval{{1, 23}}}
	with := func(change func(*Scope)) Scope {
		s := some
		change(&s)
		return s
	}
	seen := map[string]int{}
	for i, s := range []Scope{
		{},
		some,
		with(func(s *Scope) { s.all = true }),
		with(func(s *Scope) { s.sensitive = true }),
		with(func(s *Scope) { s.openOnly = true }),
		with(func(s *Scope) { s.only = workOf }),
		with(func(s *Scope) { s.only = deptOf }),
		with(func(s *Scope) { s.worker = 1 }),
		with(func(s *Scope) { s.department = 1 }),
		with(func(s *Scope) { s.worker, s.department = 1, 1 }),
		with(func(s *Scope) { s.intervals = []Interval{{12, 3}} }),
		with(func(s *Scope) { s.intervals = []Interval{{1, 2}, {3, 3}} }),
		with(func(s *Scope) { s.intervals = []Interval{{1, 23}, {23, 23}} }),
		with(func(s *Scope) { s.intervals = []Interval{{-1, 23}} }),
	} {
		for _, v := range []View{NoView, CaseView, SharedView} {
			tag := s.Tag(v)
			if was, is := seen[tag]; is {
				t.Errorf("scope %d, view %q: the tag of scope %d", i, v, was)
			}
			seen[tag] = i
		}
	}
	if some.Tag(CaseView) != with(func(*Scope) {}).Tag(CaseView) {
		t.Error("the same scope has two tags")
	}
}
