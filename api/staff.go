// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/store"
	"onemap/store/ledger"
)

// SkillItem is something workers may be sent for.
type SkillItem struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// ServingItem is a worker who serves a grid; no name.
type ServingItem struct {
	WorkerID  string   `json:"worker_id"`
	Badge     string   `json:"badge"`
	Role      string   `json:"role" enum:"head,deputy,worker"`
	Skills    []string `json:"skills"`
	ValidFrom string   `json:"valid_from"`
	ValidTo   *string  `json:"valid_to" doc:"No longer on this day"`
}

// StaffItem is who is named for a duty: an account or a worker.
type StaffItem struct {
	Login *string `json:"login" doc:"Of the account"`
	Badge *string `json:"badge" doc:"Of the worker"`
}

func staffItem(s store.Staff) StaffItem { return StaffItem{orNull(s.Login), orNull(s.Badge)} }

// DutyItem is who answers for a grid in a time.
type DutyItem struct {
	ID     string    `json:"id"`
	County string    `json:"county"`
	Grid   string    `json:"grid"`
	Level  int       `json:"level"`
	Staff  StaffItem `json:"staff"`
	Active bool      `json:"active" doc:"False: the account or the worker is no longer active, and counts as nobody"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

func dutyItem(o store.DutyOfficer) DutyItem {
	return DutyItem{fmt.Sprint(o.ID), o.Root, o.Grid, o.Level, staffItem(o.Staff), o.Active, o.From.UTC(), o.To.UTC()}
}

type (
	skillsOutput struct {
		Body struct {
			Items []SkillItem `json:"items"`
		}
	}
	servingInput struct {
		Code   string    `path:"code" maxLength:"64"`
		County string    `query:"county" maxLength:"64" doc:"Code of the grid's county, where two use the same code"`
		At     time.Time `query:"at" doc:"When; without it, now"`
	}
	servingOutput struct {
		Body struct {
			Grid  string        `json:"grid"`
			Name  string        `json:"name"`
			Level int           `json:"level"`
			At    time.Time     `json:"at"`
			Items []ServingItem `json:"items" doc:"Heads first, then deputies, then workers"`
		}
	}
	unstaffedInput struct {
		Level int       `query:"level" minimum:"0" maximum:"6" doc:"Of which level; 0 or nothing: the grids without a grid below"`
		At    time.Time `query:"at" doc:"When; without it, now"`
	}
	unstaffedOutput struct {
		Body struct {
			At    time.Time  `json:"at"`
			Items []GridItem `json:"items"`
		}
	}
	dutiesInput struct {
		From time.Time `query:"from" doc:"Without it, now"`
		To   time.Time `query:"to" doc:"Without it, at from alone"`
	}
	dutiesOutput struct {
		Body struct {
			Items []DutyItem `json:"items"`
			Holes []GridItem `json:"holes" doc:"Grids in scope, of those with grids below, that have no active duty officer at from: a limit that runs out below them is supervised by the next grid above"`
		}
	}
	officerOutput struct {
		Body struct {
			Officer *DutyItem `json:"officer" doc:"Null when nobody answers, up to the county"`
			Holes   []string  `json:"holes" doc:"Codes of the grids passed over for want of an officer, the deepest first"`
		}
	}
	dutyInput struct {
		Body struct {
			Grid   string    `json:"grid" maxLength:"64"`
			County string    `json:"county,omitempty" maxLength:"64" doc:"Where two counties use the same grid code"`
			Login  string    `json:"login,omitempty" maxLength:"40" doc:"Of the account, or badge"`
			Badge  string    `json:"badge,omitempty" maxLength:"40"`
			From   time.Time `json:"from,omitzero" doc:"Without it, now"`
			To     time.Time `json:"to"`
		}
	}
	dutyOutput  struct{ Body DutyItem }
	entityInput struct {
		ID int64 `path:"id" minimum:"1"`
	}
)

func (s *Server) staff() {
	get := func(id, path, summary string, errs ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{"staff"}, Summary: summary, Errors: errs}
	}
	read, write := need{auth.Read, auth.StaffData}, need{auth.Write, auth.StaffData}
	route(s, read, get("list-skills", "/api/v1/skills", "The catalogue of skills; empty: any skill may be named"), s.listSkills)
	route(s, read, get("grid-heads", "/api/v1/grids/{code}/heads", "Head, deputies and workers who serve a grid at a time", 404, 422), s.gridHeads)
	route(s, read, get("unstaffed-grids", "/api/v1/grids/unstaffed", "The grids in scope that no active worker serves at a time"), s.unstaffed)
	route(s, read, get("grid-duty-officer", "/api/v1/grids/{code}/duty-officer",
		"Who answers for a grid at a time: its duty officer, else that of the nearest grid above", 404, 422), s.gridDutyOfficer)
	route(s, read, get("list-duty-officers", "/api/v1/duty-officers", "Who answers for the grids in scope in a time, and which have nobody", 422), s.listDuties)
	route(s, write, huma.Operation{
		OperationID: "name-duty-officer", Method: http.MethodPost, Path: "/api/v1/duty-officers", Tags: []string{"staff"},
		Summary: "Name who answers for a grid in scope in a time to come", DefaultStatus: http.StatusCreated, Errors: []int{409, 422},
	}, s.nameDuty)
	route(s, write, huma.Operation{
		OperationID: "end-duty", Method: http.MethodDelete, Path: "/api/v1/duty-officers/{id}", Tags: []string{"staff"},
		Summary: "End a duty now, or take back one to come", Errors: []int{404},
	}, s.endDuty)
}

func (s *Server) listSkills(ctx context.Context, _ caller, _ *struct{}) (*skillsOutput, error) {
	list, err := store.Skills(ctx, s.o.Reads.Pool)
	if err != nil {
		return nil, err
	}
	out := &skillsOutput{}
	out.Body.Items = make([]SkillItem, len(list))
	for i, k := range list {
		out.Body.Items[i] = SkillItem(k)
	}
	return out, nil
}

// gridNamed finds the one grid in scope with a code, and its county; county "" is
// any. Errors: 404, and 422 where several counties use the code.
func (s *Server) gridNamed(scope auth.Scope, code, county string) (n, root *grid.Node, err error) {
	t := s.o.Catalogue.Now().Tree
	for i := range t.Nodes() {
		at := &t.Nodes()[i]
		if string(at.Code) != code || !scope.Sees(at.No) {
			continue
		}
		top := &t.Nodes()[t.Path(i)[0]]
		if county != "" && string(top.Code) != county {
			continue
		}
		if n != nil {
			return nil, nil, problem(http.StatusUnprocessableEntity, plain(store.ErrAmbiguousGrid))
		}
		n, root = at, top
	}
	if n == nil {
		return nil, nil, errNoGrid
	}
	return n, root, nil
}

// orNow is t, or now for no time.
func (s *Server) orNow(t time.Time) time.Time {
	if t.IsZero() {
		return s.o.Now()
	}
	if t.Year() < 2 { // the record's calendar has no year 0; nobody served then either
		return time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

func (s *Server) gridHeads(ctx context.Context, a caller, in *servingInput) (*servingOutput, error) {
	n, root, err := s.gridNamed(a.Scope, in.Code, in.County)
	if err != nil {
		return nil, err
	}
	at := s.orNow(in.At)
	list, err := store.ServingGrid(ctx, s.o.Reads.Pool, a.Scope, string(root.Code), string(n.Code), n.No, at)
	if err != nil {
		return nil, err
	}
	out := &servingOutput{}
	out.Body.Grid, out.Body.Name, out.Body.Level, out.Body.At = string(n.Code), n.Name, n.Level, at
	out.Body.Items = make([]ServingItem, len(list))
	for i, v := range list {
		out.Body.Items[i] = ServingItem{fmt.Sprint(v.Worker), v.Badge, v.Role, v.Skills, v.From, orNull(v.To)}
	}
	return out, nil
}

func (s *Server) unstaffed(ctx context.Context, a caller, in *unstaffedInput) (*unstaffedOutput, error) {
	at := s.orNow(in.At)
	numbers, err := store.Unstaffed(ctx, s.o.Reads.Pool, a.Scope, in.Level, at)
	if err != nil {
		return nil, err
	}
	t := s.o.Catalogue.Now().Tree
	out := &unstaffedOutput{}
	out.Body.At, out.Body.Items = at, []GridItem{}
	for _, no := range numbers {
		if i, ok := t.ByNo(no); ok {
			out.Body.Items = append(out.Body.Items, gridItem(t, i))
		}
	}
	return out, nil
}

func (s *Server) gridDutyOfficer(ctx context.Context, a caller, in *servingInput) (*officerOutput, error) {
	n, _, err := s.gridNamed(a.Scope, in.Code, in.County)
	if err != nil {
		return nil, err
	}
	o, holes, err := store.OfficerOf(ctx, s.o.Reads.Pool, n.No, s.orNow(in.At))
	if err != nil {
		return nil, err
	}
	out := &officerOutput{}
	out.Body.Holes = make([]string, len(holes))
	for i, h := range holes {
		out.Body.Holes[i] = h.Grid
	}
	if o != nil {
		item := dutyItem(*o)
		out.Body.Officer = &item
	}
	return out, nil
}

func (s *Server) listDuties(ctx context.Context, a caller, in *dutiesInput) (*dutiesOutput, error) {
	from := s.orNow(in.From)
	to := in.To
	if to.IsZero() {
		to = from.Add(time.Microsecond)
	}
	if !to.After(from) {
		return nil, problem(http.StatusUnprocessableEntity, "from must lie before to")
	}
	list, err := store.DutyOfficers(ctx, s.o.Reads.Pool, a.Scope, from, to)
	if err != nil {
		return nil, err
	}
	out := &dutiesOutput{}
	out.Body.Items = make([]DutyItem, len(list))
	for i, o := range list {
		out.Body.Items[i] = dutyItem(o)
	}
	holes, err := store.DutyHoles(ctx, s.o.Reads.Pool, a.Scope, from)
	if err != nil {
		return nil, err
	}
	t := s.o.Catalogue.Now().Tree
	out.Body.Holes = []GridItem{}
	for _, no := range holes {
		if i, ok := t.ByNo(no); ok {
			out.Body.Holes = append(out.Body.Holes, gridItem(t, i))
		}
	}
	return out, nil
}

// longestDuty is how long somebody may be named for at once.
const longestDuty = 366 * 24 * time.Hour

// oneName checks that exactly one of login and badge is given.
func oneName(login, badge string) error {
	if (login == "") == (badge == "") {
		return problem(http.StatusUnprocessableEntity, "name one person: either the login of an account or the badge of a worker")
	}
	return nil
}

func (s *Server) nameDuty(ctx context.Context, a caller, in *dutyInput) (*dutyOutput, error) {
	b, now := in.Body, s.o.Now()
	n, root, err := s.gridNamed(a.Scope, b.Grid, b.County)
	if err == errNoGrid {
		err = problem(http.StatusUnprocessableEntity, errNoGrid.Detail)
	}
	if err == nil {
		err = oneName(b.Login, b.Badge)
	}
	if err != nil {
		return nil, err
	}
	o := store.DutyOfficer{Root: string(root.Code), Grid: string(n.Code), No: n.No, Level: n.Level, Active: true, From: s.orNow(b.From), To: b.To}
	switch {
	case o.From.Before(now.Add(-time.Minute)):
		return nil, problem(http.StatusUnprocessableEntity, "from lies in the past: who answered then is not changed afterwards")
	case !o.To.After(o.From), o.To.Sub(o.From) > longestDuty:
		return nil, problem(http.StatusUnprocessableEntity, "to must lie after from, and at most 366 days after it")
	}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if o.Staff, err = store.FindStaff(ctx, tx, o.Root, b.Login, b.Badge, o.From); err != nil {
			return err
		}
		if o.ID, err = store.SaveDutyOfficer(ctx, tx, o, a.ID, now); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "duty.name", "duty_officer/"+fmt.Sprint(o.ID), "",
			map[string]any{"county": o.Root, "grid": o.Grid, "account": o.Staff.Account, "worker": o.Staff.Worker, "from": o.From, "to": o.To})
	})
	if err != nil {
		return nil, err
	}
	return &dutyOutput{dutyItem(o)}, nil
}

func (s *Server) endDuty(ctx context.Context, a caller, in *entityInput) (*dutyOutput, error) {
	var o store.DutyOfficer
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if o, err = store.EndDutyOfficer(ctx, tx, a.Scope, in.ID, s.o.Now()); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "duty.end", "duty_officer/"+fmt.Sprint(o.ID), "", map[string]any{"county": o.Root, "grid": o.Grid})
	})
	if err != nil {
		return nil, err
	}
	return &dutyOutput{dutyItem(o)}, nil
}
