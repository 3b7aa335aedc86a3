// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"math"

	"onemap/auth"
)

// ErrNarrowed says that the scope is narrowed to a worker's or a department's own
// incidents, which columns don't know: they are to be had from the database.
var ErrNarrowed = errors.New("mirror: whose an incident is, is not known here")

// Filter narrows incidents. The zero Filter leaves the open ones.
type Filter struct {
	From, To   int64  // reported in [From, To), microseconds since 1970; 0 for no end
	Categories []bool // by number: those wanted; nil for all
	Closed     bool   // closed ones too
}

// Asked is a scope and a filter, ready to be held against rows.
type Asked struct {
	within     []auth.Interval // grid numbers
	must, not  Flags           // flags that a row must and must not have
	from, to   int64           // reported in [from, to)
	categories []bool
}

// NewAsked makes one. Error: ErrNarrowed.
func NewAsked(s auth.Scope, f Filter) (Asked, error) {
	a := Asked{within: s.Intervals(), from: math.MinInt64, to: math.MaxInt64, categories: f.Categories}
	if s.All() {
		a.within = []auth.Interval{{Lo: math.MinInt32, Hi: math.MaxInt32}}
	} else if _, narrowed := s.Worker(); narrowed {
		return a, ErrNarrowed
	} else if _, narrowed := s.Department(); narrowed {
		return a, ErrNarrowed
	}
	if !s.Sensitive() {
		a.not = Sensitive
	}
	if s.OpenOnly() || !f.Closed {
		a.must = Open
	}
	if f.From != 0 {
		a.from = f.From
	}
	if f.To != 0 {
		a.to = f.To
	}
	return a, nil
}

// Without is a that passes over the rows with any of these flags.
func (a Asked) Without(f Flags) Asked {
	a.not |= f
	return a
}

// Shows reports whether row i is in the scope and wanted by the filter.
func (a *Asked) Shows(c *Columns, i int) bool {
	if flags := c.Flags[i]; flags&a.must != a.must || flags&a.not != 0 {
		return false
	}
	if at := c.Reported[i]; at < a.from || at >= a.to {
		return false
	}
	if a.categories != nil && (int(c.Category[i]) >= len(a.categories) || !a.categories[c.Category[i]]) {
		return false
	}
	return a.inGrids(c.Grid[i])
}

func (a *Asked) inGrids(no int32) bool {
	for _, iv := range a.within {
		if iv.Lo <= no && no <= iv.Hi {
			return true
		}
	}
	return false
}
