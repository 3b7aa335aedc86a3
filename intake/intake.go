// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package intake turns a report as it came, by call, app, file or device, into
// one that is checked, converted to WGS-84 and placed in its grid. One readable
// list of stages serves every way in. It is pure.
package intake

import (
	"strings"
	"time"

	"onemap/dispatch"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
)

// Report is a matter as it came.
type Report struct {
	Category   string
	Title      string
	Text       string
	Priority   int // 0: the category's
	Source     string
	ExternalID string
	Lon, Lat   *float64
	CRS        string // datum of Lon and Lat
	Address    string
	// Approximate takes a village or town, or a place known to some kilometres, where
	// the address gives no better; Unplaced takes the report even without any place.
	Approximate bool
	Unplaced    bool
	OccurredAt  *time.Time
	ReportedAt  *time.Time // nil: now
	// Limit is what the letter that a petition or a hotline passed on came with; nil for
	// none.
	Limit *dispatch.Limit
}

// Problem is one thing wrong with a report, named so that its sender can mend it.
type Problem struct {
	Field   string
	Message string
	Form    bool // the report is not even of the right form (a datum left out)
	// Unplaced says that the address gives no place to be sure of; Candidates are the
	// places it may mean, the likeliest first.
	Unplaced   bool
	Candidates []gazetteer.Candidate
}

// Problems is why a report is refused.
type Problems []Problem

func (p Problems) Error() string {
	s := make([]string, len(p))
	for i, x := range p {
		s[i] = x.Field + ": " + x.Message
	}
	return strings.Join(s, "; ")
}

// Find finds the places that an address may mean, the likeliest first, of those its
// sender may know of.
type Find func(address string) []gazetteer.Candidate

// Env is what the stages look things up in. Now is the time of the report's
// arrival.
type Env struct {
	Tree        *grid.Tree
	Categories  map[string]dispatch.Category
	Departments map[string]int64 // by name
	Root        int              // node of Tree whose door the report came through
	Find        Find             // looks up an address; nil: one alone is a report without a place
	Past        bool             // a report of history: any time before Now is welcome
	Now         time.Time
}

// Result is a placed report, and what its sender should be told about it.
type Result struct {
	dispatch.Report
	Notes []string
	// Candidates are the places that an address may mean of which none is sure, the
	// likeliest first.
	Candidates []gazetteer.Candidate
}

// draft is a report on its way through the stages.
type draft struct {
	in  Report
	out Result
}

// stage is one step. A problem ends the report but not the look at the other
// stages that do not need this one.
type stage struct {
	name string
	run  func(*Env, *draft) *Problem
}

// stages is the whole way in, in order.
var stages = []stage{
	{"texts", texts},
	{"source", source},
	{"category", category},
	{"priority", priority},
	{"limit", limit},
	{"time", when},
	{"address", address},
	{"datum", datum},
	{"grid", intoGrid},
	{"cells", cells},
}

// Run takes a report through every stage. The error is of type Problems and
// lists all that is wrong, not just the first.
func Run(e Env, in Report) (Result, error) {
	d := draft{in: in}
	var all Problems
	for _, s := range stages {
		if p := s.run(&e, &d); p != nil {
			all = append(all, *p)
		}
	}
	if len(all) > 0 {
		return Result{}, all
	}
	return d.out, nil
}

// Place puts a point that was given with its datum into its grid, as Run does. The
// error is of type Problems.
func Place(e Env, in Report) (dispatch.Place, error) {
	d := draft{in: in}
	for _, run := range []func(*Env, *draft) *Problem{datum, intoGrid, cells} {
		if p := run(&e, &d); p != nil {
			return dispatch.Place{}, Problems{*p}
		}
	}
	return d.out.Place, nil
}
