// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strconv"
	"strings"

	"onemap/auth"
)

// query builds one statement from constant fragments; values only ever go in as
// parameters, one for each "?" of a fragment.
type query struct {
	sql  strings.Builder
	args []any
}

func (q *query) add(fragment string, args ...any) *query {
	for _, a := range args {
		before, after, _ := strings.Cut(fragment, "?")
		q.args = append(q.args, a)
		q.sql.WriteString(before)
		q.sql.WriteByte('$')
		q.sql.WriteString(strconv.Itoa(len(q.args)))
		fragment = after
	}
	q.sql.WriteString(fragment)
	return q
}

// inScope adds the condition that column (a constant "alias.grid_no") lies in s.
// It is written as plain BETWEENs so that a btree on the column serves it.
func (q *query) inScope(s auth.Scope, column string) *query {
	if s.All() {
		return q.add(" true ")
	}
	return q.within(s.Intervals(), column)
}

// within adds the condition that column lies in one of the intervals.
func (q *query) within(intervals []auth.Interval, column string) *query {
	if len(intervals) == 0 {
		return q.add(" false ")
	}
	q.add(" (")
	for i, iv := range intervals {
		if i > 0 {
			q.add(" OR ")
		}
		q.add(column).add(" BETWEEN ? AND ?", iv.Lo, iv.Hi)
	}
	return q.add(") ")
}

// incidentsInScope adds the condition that the incident called alias (a constant)
// lies in s: in its grids, and whose it is where the scope is narrowed to a
// worker's own or to what a department leads or assists with.
func (q *query) incidentsInScope(s auth.Scope, alias string) *query {
	q.inScope(s, alias+".grid_no")
	if !s.Sensitive() {
		q.add("AND " + alias + ".category NOT IN (SELECT code FROM category WHERE precision = 'none') ")
	}
	if worker, only := s.Worker(); only {
		q.add("AND EXISTS (SELECT FROM incident_worker iw WHERE iw.incident_id = "+alias+".id AND iw.worker_id = ? AND iw.until IS NULL) ", int64(worker))
	}
	if department, only := s.Department(); only {
		// Two index scans put together: an EXISTS beside the OR would have every row looked at.
		q.add("AND ("+alias+".department_id = ? OR "+alias+".id = ANY (ARRAY(SELECT d.incident_id FROM incident_assistant d WHERE d.department_id = ? AND d.until IS NULL))) ",
			department, department)
	}
	if s.OpenOnly() {
		q.add("AND " + alias + ".open ")
	}
	return q
}
