// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
)

// LiaisonItem is whom a department is reached by.
type LiaisonItem struct {
	ID        string    `json:"id"`
	Role      string    `json:"role" enum:"liaison,backup"`
	Staff     StaffItem `json:"staff"`
	Active    bool      `json:"active" doc:"False: the account or the worker is no longer active, and counts as nobody"`
	ValidFrom string    `json:"valid_from"`
	ValidTo   *string   `json:"valid_to" doc:"No longer on this day"`
}

// DepartmentItem is how a department is present in a county.
type DepartmentItem struct {
	Code     string        `json:"code"`
	Name     string        `json:"name"`
	DutyMode *string       `json:"duty_mode" enum:"resident,rotating,on_call" doc:"Null while nobody has said"`
	Days     []int16       `json:"days" doc:"Of a rotating one: days of the week, Monday is 1"`
	Present  bool          `json:"present" doc:"Has people in the centre today"`
	Reached  bool          `json:"reached" doc:"Somebody can be reached now; without, nothing is routed to it"`
	Liaisons []LiaisonItem `json:"liaisons" doc:"In force and to come"`
}

type (
	departmentsInput struct {
		County string `query:"county" maxLength:"64" doc:"Code of the county; needed where the caller sees several"`
	}
	departmentsOutput struct {
		Body struct {
			County string           `json:"county"`
			Items  []DepartmentItem `json:"items"`
		}
	}
	departmentDutyInput struct {
		Code string `path:"code" maxLength:"64"`
		Body struct {
			County string  `json:"county,omitempty" maxLength:"64"`
			Mode   string  `json:"duty_mode" enum:"resident,rotating,on_call"`
			Days   []int16 `json:"days,omitempty" maxItems:"7" doc:"Of a rotating one: days of the week, Monday is 1"`
		}
	}
	liaisonInput struct {
		Body struct {
			Department string `json:"department" maxLength:"64" doc:"Code or name"`
			County     string `json:"county,omitempty" maxLength:"64"`
			Role       string `json:"role" enum:"liaison,backup"`
			Login      string `json:"login,omitempty" maxLength:"40" doc:"Of the account, or badge"`
			Badge      string `json:"badge,omitempty" maxLength:"40"`
			ValidFrom  string `json:"valid_from,omitempty" maxLength:"10" doc:"yyyy-MM-dd; without it, today"`
			ValidTo    string `json:"valid_to,omitempty" maxLength:"10" doc:"No longer on this day"`
		}
	}
	liaisonOutput struct{ Body LiaisonItem }
)

func (s *Server) liaisons() {
	route(s, need{auth.Read, auth.StaffData}, huma.Operation{
		OperationID: "list-departments", Method: http.MethodGet, Path: "/api/v1/departments", Tags: []string{"staff"},
		Summary: "The departments, when they are in the centre of a county, and whom they are reached by", Errors: []int{422},
	}, s.listDepartments)
	route(s, need{auth.Write, auth.StaffData}, huma.Operation{
		OperationID: "set-department-duty", Method: http.MethodPut, Path: "/api/v1/departments/{code}/duty", Tags: []string{"staff"},
		Summary: "Say when a department has people in the centre", DefaultStatus: http.StatusNoContent, Errors: []int{404, 422},
	}, s.setDepartmentDuty)
	route(s, need{auth.Write, auth.StaffData}, huma.Operation{
		OperationID: "name-liaison", Method: http.MethodPost, Path: "/api/v1/liaisons", Tags: []string{"staff"},
		Summary: "Name the liaison officer of a department, or the backup", DefaultStatus: http.StatusCreated, Errors: []int{409, 422},
	}, s.nameLiaison)
	route(s, need{auth.Write, auth.StaffData}, huma.Operation{
		OperationID: "end-liaison", Method: http.MethodDelete, Path: "/api/v1/liaisons/{id}", Tags: []string{"staff"},
		Summary: "End a liaison today, or take back one to come", Errors: []int{404},
	}, s.endLiaison)
}

// countyOf finds the one county that is asked for, or the only one, among those that
// see shows. Errors: 422.
func (s *Server) countyOf(code string, see func(*grid.Node) bool) (*grid.Node, error) {
	t := s.o.Catalogue.Now().Tree
	var found *grid.Node
	for _, i := range t.Roots() {
		n := &t.Nodes()[i]
		if !see(n) || code != "" && string(n.Code) != code {
			continue
		}
		if found != nil {
			return nil, problem(http.StatusUnprocessableEntity, "county: say which one, there are several")
		}
		found = n
	}
	if found == nil {
		return nil, problem(http.StatusUnprocessableEntity, "county: this is for a whole county, and none of yours is meant by that")
	}
	return found, nil
}

// oneCounty is countyOf among the counties that are in scope whole.
func (s *Server) oneCounty(a caller, code string) (*grid.Node, error) {
	return s.countyOf(code, func(n *grid.Node) bool { return a.Scope.Sees(n.No) })
}

// seesRoot reports whether a county in force is in scope whole.
func (s *Server) seesRoot(a caller, root string) bool {
	n, ok := county(s.o.Catalogue.Now().Tree, root)
	return ok && a.Scope.Sees(n.No)
}

func liaisonItem(l store.Liaison) LiaisonItem {
	return LiaisonItem{fmt.Sprint(l.ID), l.Role, staffItem(l.Staff), l.Active, l.From, orNull(l.To)}
}

func (s *Server) listDepartments(ctx context.Context, a caller, in *departmentsInput) (*departmentsOutput, error) {
	root, err := s.countyOf(in.County, func(n *grid.Node) bool { return inCounty(a.Scope, n) })
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	list, err := store.DepartmentDuties(ctx, s.o.Reads.Pool, a.Scope, string(root.Code), auth.Interval{Lo: root.No, Hi: root.Last}, now)
	if err != nil {
		return nil, err
	}
	today := people.Local(now).Format(time.DateOnly)
	out := &departmentsOutput{}
	out.Body.County, out.Body.Items = string(root.Code), make([]DepartmentItem, len(list))
	for i, d := range list {
		item := DepartmentItem{Code: d.Code, Name: d.Name, DutyMode: orNull(string(d.Mode)), Days: d.Days, Present: d.Present(now), Liaisons: []LiaisonItem{}}
		for _, l := range d.Liaisons {
			item.Reached = item.Reached || l.Active && l.From <= today
			item.Liaisons = append(item.Liaisons, liaisonItem(l))
		}
		out.Body.Items[i] = item
	}
	return out, nil
}

func (s *Server) setDepartmentDuty(ctx context.Context, a caller, in *departmentDutyInput) (*struct{}, error) {
	b := in.Body
	root, err := s.oneCounty(a, b.County)
	if err != nil {
		return nil, err
	}
	days := slices.Compact(slices.Sorted(slices.Values(b.Days)))
	if len(days) > 0 && (days[0] < 1 || days[len(days)-1] > 7) || (b.Mode == string(store.Rotating)) != (len(days) > 0) {
		return nil, problem(http.StatusUnprocessableEntity, "days: a rotating department has days of the week from 1 (Monday) to 7, the others have none")
	}
	return nil, s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, _, err := store.FindDepartment(ctx, tx, in.Code)
		if errors.Is(err, store.ErrNoDepartment) {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := store.SaveDepartmentDuty(ctx, tx, id, string(root.Code), store.DutyMode(b.Mode), days); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "department.duty", fmt.Sprintf("department/%d", id), "",
			map[string]any{"county": root.Code, "mode": b.Mode, "days": days})
	})
}

// dayIn checks a day of a request; "" is none.
func dayIn(field, text string) error {
	if _, err := time.Parse(time.DateOnly, text); text != "" && err != nil {
		return problem(http.StatusUnprocessableEntity, field+": give a day as 2026-01-31")
	}
	return nil
}

func (s *Server) nameLiaison(ctx context.Context, a caller, in *liaisonInput) (*liaisonOutput, error) {
	b, now := in.Body, s.o.Now()
	today := people.Local(now).Format(time.DateOnly)
	if b.ValidFrom == "" {
		b.ValidFrom = today
	}
	root, err := s.oneCounty(a, b.County)
	if err := errors.Join(err, oneName(b.Login, b.Badge), dayIn("valid_from", b.ValidFrom), dayIn("valid_to", b.ValidTo)); err != nil {
		return nil, err
	}
	if b.ValidFrom < today || b.ValidTo != "" && b.ValidTo <= b.ValidFrom {
		return nil, problem(http.StatusUnprocessableEntity, "valid_from: today or later; valid_to: later than valid_from")
	}
	l := store.Liaison{Root: string(root.Code), Role: b.Role, From: b.ValidFrom, To: b.ValidTo, Active: true}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if l.Department, _, err = store.FindDepartment(ctx, tx, b.Department); err != nil {
			return err
		}
		if l.Staff, err = store.FindStaff(ctx, tx, l.Root, b.Login, b.Badge, now); err != nil {
			return err
		}
		if l.ID, err = store.SaveLiaison(ctx, tx, l, a.ID, now); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "liaison.name", fmt.Sprintf("department/%d", l.Department), "",
			map[string]any{"county": l.Root, "role": l.Role, "account": l.Staff.Account, "worker": l.Staff.Worker, "from": l.From, "to": l.To})
	})
	if err != nil {
		return nil, err
	}
	return &liaisonOutput{liaisonItem(l)}, nil
}

func (s *Server) endLiaison(ctx context.Context, a caller, in *entityInput) (*liaisonOutput, error) {
	var l store.Liaison
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if l, err = store.EndLiaison(ctx, tx, func(root string) bool { return s.seesRoot(a, root) }, in.ID, s.o.Now()); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "liaison.end", fmt.Sprintf("department/%d", l.Department), "", map[string]any{"county": l.Root, "role": l.Role})
	})
	if err != nil {
		return nil, err
	}
	return &liaisonOutput{liaisonItem(l)}, nil
}
