// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// RequestRow is what one person asked for and another decides.
type RequestRow struct {
	Incident  int64
	N         int
	Kind      string
	State     string // open, approved, refused, lapsed
	Stage     int    // that ran when it was asked
	Reason    string
	Value     *int // of an extension
	Unit      *string
	Until     *time.Time // of a suspension
	AskedBy   string
	AskedAt   time.Time
	DecidedBy *string
	DecidedAt *time.Time
	Answer    string
}

// Instruction is what a leader has written on an incident.
type Instruction struct {
	Incident  int64
	N         int
	Text      string
	Due       time.Time
	GivenBy   string
	GivenAt   time.Time
	Reply     *string
	RepliedBy *string
	RepliedAt *time.Time
}

// Seat is a role of a joint session and the post or department that takes it; Holder is
// empty while it is open. It names no person.
type Seat struct {
	Role   string `json:"role" maxLength:"40"`
	Holder string `json:"holder" maxLength:"60" doc:"A post or a department, no person; empty while the seat is open"`
}

// JointSession is a meeting on an incident.
type JointSession struct {
	Incident    int64
	N           int
	At          time.Time
	Place       string
	FollowUp    string
	Seats       []Seat
	CalledBy    string
	CalledAt    time.Time
	ConfirmedBy *string
	ConfirmedAt *time.Time
	Ver         int // moves with every change, from 1
	ChangedBy   *string
	ChangedAt   *time.Time
}

// CallBackRow is what a reporter is owed after the end of the matter, and what came of it.
type CallBackRow struct {
	Incident int64 // whose reporter
	N        int
	Reporter int   // n of the reporter
	Closes   int64 // the incident whose end it is about
	OwedBy   string
	Due      time.Time
	Tries    int
	DoneAt   *time.Time
	DoneBy   *string
	Outcome  *string
	Text     string
}

// Assistant is a department that assists, or did.
type Assistant struct {
	Department int64
	Since      time.Time
	Until      *time.Time
}

// Remarks is all that happens to an incident beside the moves of its machine.
type Remarks struct {
	Requests     []RequestRow
	Instructions []Instruction
	Sessions     []JointSession
	CallBacks    []CallBackRow
	Assistants   []Assistant
}

const (
	requestColumns     = "r.incident_id, r.n, r.kind, r.state, r.stage, r.reason, r.value, r.unit, r.until, r.asked_by, r.asked_at, r.decided_by, r.decided_at, r.answer FROM request r"
	instructionColumns = "r.incident_id, r.n, r.body, r.due, r.given_by, r.given_at, r.reply, r.replied_by, r.replied_at FROM instruction r"
	sessionColumns     = "r.incident_id, r.n, r.at, r.place, r.follow_up, r.seats, r.called_by, r.called_at, r.confirmed_by, r.confirmed_at, r.ver, r.changed_by, r.changed_at FROM joint_session r"
	callBackColumns    = "r.incident_id, r.n, r.reporter_n, r.closes_id, r.owed_by, r.due, r.tries, r.done_at, r.done_by, r.outcome, r.body FROM call_back r"
)

// rowsOf reads all rows of one statement.
func rowsOf[T any](ctx context.Context, tx Querier, q *query) ([]T, error) {
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

// RemarksOf are the remarks of an incident that is in sight of whoever asks; the caller
// has looked whether it is.
func RemarksOf(ctx context.Context, tx Querier, incident int64) (m Remarks, err error) {
	of := func(columns string) *query {
		var q query
		return q.add("SELECT "+columns+" WHERE r.incident_id = ? ORDER BY r.n", incident)
	}
	if m.Requests, err = rowsOf[RequestRow](ctx, tx, of(requestColumns)); err == nil {
		m.Instructions, err = rowsOf[Instruction](ctx, tx, of(instructionColumns))
	}
	if err == nil {
		m.Sessions, err = rowsOf[JointSession](ctx, tx, of(sessionColumns))
	}
	if err == nil {
		m.CallBacks, err = rowsOf[CallBackRow](ctx, tx, of(callBackColumns))
	}
	if err == nil {
		var q query
		m.Assistants, err = rowsOf[Assistant](ctx, tx, q.add("SELECT department_id, since, until FROM incident_assistant WHERE incident_id = ? ORDER BY since, department_id", incident))
	}
	if err != nil {
		return m, fmt.Errorf("store: remarks of incident %d: %w", incident, err)
	}
	return m, nil
}

// Remarks are the remarks of an incident, or ErrNotFound.
func (db *DB) Remarks(ctx context.Context, s auth.Scope, v auth.View, id int64) (Remarks, error) {
	if _, err := db.Incident(ctx, s, v, id); err != nil {
		return Remarks{}, err
	}
	return RemarksOf(ctx, db.Pool, id)
}

// Review is a suspended incident whose review date has passed.
type Review struct {
	Incident   int64
	OwnerLevel int
	ReviewAt   time.Time
}

// OpenCursor is a place in a list of open remarks, which is ordered by just that: the
// time it goes by, the incident and the number among those of its kind.
type OpenCursor struct {
	At       time.Time
	Incident int64
	N        int // 0 for a review
}

// OpenFilter narrows a list of open remarks.
type OpenFilter struct {
	OwedBy  string      // of call-backs: owed by this actor; "" for anybody
	Decider *Decider    // of requests: those that wait for this one; nil for all
	After   *OpenCursor // nil for the first page
	Limit   int
}

// Decider is who decides requests: never the own ones.
type Decider struct {
	Actor   string
	Decides bool // every kind, but for an extension of what was put off before
	PutsOff bool // such an extension
}

// page orders a list by a time, an incident and a number, goes on after the cursor, and
// ends it.
func (f OpenFilter) page(q *query, at, incident, n string) *query {
	order := at + ", " + incident + ", " + n
	if c := f.After; c != nil {
		q.add(" AND ("+order+") > (?, ?, ?)", c.At, c.Incident, c.N)
	}
	return q.add(" ORDER BY "+order+" LIMIT ?", f.Limit)
}

// OpenCounts count what is open in scope.
type OpenCounts struct {
	Requests     int `json:"requests"`
	Instructions int `json:"instructions"`
	Overdue      int `json:"instructions_overdue"`
	Sessions     int `json:"sessions"`
	CallBacks    int `json:"call_backs"`
	Late         int `json:"call_backs_overdue"`
	Reviews      int `json:"reviews"`
}

// What makes a remark one that somebody still owes something for. A call-back waits
// while the incident is open again.
const (
	openRequest     = "r.state = 'open'"
	openInstruction = "r.replied_at IS NULL"
	openSession     = "r.confirmed_at IS NULL"
	openCallBack    = "r.done_at IS NULL AND NOT EXISTS (SELECT FROM incident c WHERE c.id = r.closes_id AND c.open)"
)

func openOf(s auth.Scope, columns, open string) *query {
	var q query
	return q.add("SELECT "+columns+" JOIN incident i ON i.id = r.incident_id WHERE "+open+" AND ").incidentsInScope(s, "i")
}

// OpenRequests lists the requests in scope that wait for a decision, the oldest first.
func (db *DB) OpenRequests(ctx context.Context, s auth.Scope, f OpenFilter) ([]RequestRow, error) {
	q := openOf(s, requestColumns, openRequest)
	if d := f.Decider; d != nil {
		q.add(` AND r.asked_by <> ? AND CASE WHEN r.kind = 'extend' AND EXISTS (SELECT FROM incident_stage e WHERE e.incident_id = r.incident_id AND e.n = r.stage
			AND e.extensions > 0) THEN ?::boolean ELSE ?::boolean END`, d.Actor, d.PutsOff, d.Decides)
	}
	return rowsOf[RequestRow](ctx, db.Pool, f.page(q, "r.asked_at", "r.incident_id", "r.n"))
}

// OpenInstructions lists the instructions in scope that nobody has answered, by due time.
func (db *DB) OpenInstructions(ctx context.Context, s auth.Scope, f OpenFilter) ([]Instruction, error) {
	return rowsOf[Instruction](ctx, db.Pool, f.page(openOf(s, instructionColumns, openInstruction), "r.due", "r.incident_id", "r.n"))
}

// OpenSessions lists the joint sessions in scope that are not confirmed, by their time.
func (db *DB) OpenSessions(ctx context.Context, s auth.Scope, f OpenFilter) ([]JointSession, error) {
	return rowsOf[JointSession](ctx, db.Pool, f.page(openOf(s, sessionColumns, openSession), "r.at", "r.incident_id", "r.n"))
}

// OpenCallBacks lists the call-backs in scope that are owed, by due time.
func (db *DB) OpenCallBacks(ctx context.Context, s auth.Scope, f OpenFilter) ([]CallBackRow, error) {
	q := openOf(s, callBackColumns, openCallBack)
	if f.OwedBy != "" {
		q.add(" AND r.owed_by = ?", f.OwedBy)
	}
	return rowsOf[CallBackRow](ctx, db.Pool, f.page(q, "r.due", "r.incident_id", "r.n"))
}

// dueForReview is what makes a suspended incident one to look at again.
const dueForReview = "incident i WHERE i.state = 'suspended' AND i.review_at <= ? AND "

// DueReviews lists the suspended incidents in scope whose review date has passed at
// now, the longest overdue first.
func (db *DB) DueReviews(ctx context.Context, s auth.Scope, now time.Time, f OpenFilter) ([]Review, error) {
	var q query
	q.add("SELECT i.id, i.owner_level::int, i.review_at FROM "+dueForReview, now).incidentsInScope(s, "i")
	return rowsOf[Review](ctx, db.Pool, f.page(&q, "i.review_at", "i.id", "0::smallint"))
}

// CountOpen counts the open remarks in scope.
func (db *DB) CountOpen(ctx context.Context, s auth.Scope, now time.Time) (c OpenCounts, err error) {
	count := func(table, open string, more string, args ...any) int {
		if err != nil {
			return 0
		}
		var n int
		var q query
		q.add("SELECT count(*) FROM "+table+" r JOIN incident i ON i.id = r.incident_id WHERE "+open+" AND ").incidentsInScope(s, "i").add(more, args...)
		err = db.Pool.QueryRow(ctx, q.sql.String(), q.args...).Scan(&n)
		return n
	}
	c = OpenCounts{
		Requests: count("request", openRequest, ""), Instructions: count("instruction", openInstruction, ""),
		Overdue:  count("instruction", openInstruction, " AND r.due <= ?", now),
		Sessions: count("joint_session", openSession, ""), CallBacks: count("call_back", openCallBack, ""),
		Late: count("call_back", openCallBack, " AND r.due <= ?", now),
	}
	if err == nil {
		var q query
		q.add("SELECT count(*) FROM "+dueForReview, now).incidentsInScope(s, "i")
		err = db.Pool.QueryRow(ctx, q.sql.String(), q.args...).Scan(&c.Reviews)
	}
	if err != nil {
		return c, fmt.Errorf("store: count open remarks: %w", err)
	}
	return c, nil
}

// SessionRoles are the roles that a joint session has to fill, in order.
func SessionRoles(ctx context.Context, tx Querier) ([]string, error) {
	rows, err := tx.Query(ctx, "SELECT name FROM joint_session_role ORDER BY n")
	if err != nil {
		return nil, fmt.Errorf("store: session roles: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// StepLabel is what a preset calls a state.
type StepLabel struct {
	Preset, State string
	Step          int // its place in the row of steps
	Label         string
}

// DefaultSteps is the preset of a new centre: the program's own words.
const DefaultSteps = "states"

// StepLabels are all presets, each in the order of its steps.
func (db *DB) StepLabels(ctx context.Context) ([]StepLabel, error) {
	var q query
	out, err := rowsOf[StepLabel](ctx, db.Pool, q.add("SELECT preset, state, step, label FROM step_label ORDER BY preset, step, label, state"))
	if err != nil {
		return nil, fmt.Errorf("store: step labels: %w", err)
	}
	return out, nil
}
