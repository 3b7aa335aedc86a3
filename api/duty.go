// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

// ShiftItem is one turn of duty of a worker.
type ShiftItem struct {
	WorkerID   string    `json:"worker_id"`
	Badge      string    `json:"badge"`
	Device     *string   `json:"device" doc:"The terminal signed on for this shift"`
	StartedAt  time.Time `json:"started_at"`
	PlannedEnd time.Time `json:"planned_end" doc:"When it ends by itself: with the rota, and half an hour after"`
	EndsAt     time.Time `json:"ends_at"`
	EndedHow   *string   `json:"ended_how" enum:"hand,dispatcher,removed" doc:"Null while it runs"`
}

func (s *Server) shiftItem(v store.Shift) ShiftItem {
	w, _ := s.o.People().Worker(v.Worker)
	return ShiftItem{fmt.Sprint(v.Worker), w.Badge, orNull(v.Device), v.StartedAt.UTC(), v.PlannedEnd.UTC(), v.EndsAt.UTC(), orNull(v.EndedHow)}
}

type startShiftInput struct {
	Body struct {
		Device string `json:"device,omitempty" maxLength:"128" doc:"Number of the shared terminal to sign on with, as it names itself"`
	}
}

type shiftOutput struct {
	Status int
	Body   ShiftItem
}

type workerActInput struct {
	ID   uint32 `path:"id" minimum:"1"`
	Body struct {
		Reason string `json:"reason" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
	}
}

func (s *Server) duty() {
	route(s, need{auth.Write, auth.OwnShift}, huma.Operation{
		OperationID: "start-shift", Method: http.MethodPost, Path: "/api/v1/shifts", Tags: []string{"workers"}, DefaultStatus: http.StatusCreated,
		Summary: "Start one's own shift, with a shared terminal or without; asked for again it answers the shift that runs", Errors: []int{404, 409, 422},
	}, s.startShift)
	route(s, need{auth.Read, auth.OwnShift}, huma.Operation{
		OperationID: "own-shift", Method: http.MethodGet, Path: "/api/v1/shifts/current", Tags: []string{"workers"},
		Summary: "One's own shift; 404 in none", Errors: []int{404},
	}, s.ownShift)
	route(s, need{auth.Write, auth.OwnShift}, huma.Operation{
		OperationID: "end-own-shift", Method: http.MethodDelete, Path: "/api/v1/shifts/current", Tags: []string{"workers"},
		Summary: "End one's own shift; a terminal signed on for it is free again", Errors: []int{404},
	}, s.endOwnShift)
	route(s, need{auth.Write, auth.Worker}, huma.Operation{
		OperationID: "end-shift", Method: http.MethodPost, Path: "/api/v1/workers/{id}/end-shift", Tags: []string{"workers"},
		Summary: "End the shift of a worker in scope, with a reason", Errors: []int{404, 409, 422},
	}, s.endShift)
	route(s, need{auth.Write, auth.Worker}, huma.Operation{
		OperationID: "deactivate-worker", Method: http.MethodPost, Path: "/api/v1/workers/{id}/deactivate", Tags: []string{"workers"},
		Summary: "Remove a worker; open work is handed over to another, else 409 lists it", Errors: []int{404, 409, 422},
	}, s.deactivateWorker)
	route(s, need{auth.Write, auth.Worker}, huma.Operation{
		OperationID: "activate-worker", Method: http.MethodPost, Path: "/api/v1/workers/{id}/activate", Tags: []string{"workers"},
		Summary: "Take a removed worker back: for the grids still assigned, without a terminal", DefaultStatus: http.StatusNoContent, Errors: []int{404, 422},
	}, s.activateWorker)
}

// inTxAnd runs f in one transaction of changes and wakes the sequencer.
func (s *Server) inTxAnd(ctx context.Context, f func(pgx.Tx) error) error {
	if err := s.o.DB.InTx(ctx, f); err != nil {
		return err
	}
	s.o.Ledger.Wake()
	return nil
}

func (s *Server) startShift(ctx context.Context, c caller, in *startShiftInput) (*shiftOutput, error) {
	if c.Worker == 0 {
		return nil, errNobodysShift
	}
	out := &shiftOutput{Status: http.StatusCreated}
	err := s.inTxAnd(ctx, func(tx pgx.Tx) error {
		made, repeated, err := store.StartShift(ctx, tx, c.Worker, in.Body.Device, c.ID, s.o.Now())
		if err != nil {
			return err
		}
		if out.Body = s.shiftItem(made); repeated {
			out.Status = http.StatusOK
			return nil
		}
		data := map[string]any{"planned_end": made.PlannedEnd, "device": made.Device}
		return s.shiftMoved(ctx, tx, c, "shift.start", made, "", data)
	})
	if errors.Is(err, store.ErrNotFound) {
		err = problem(http.StatusConflict, "this account's worker is no longer active: ask the county's hall")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// shiftMoved audits a change of a shift and tells every node.
func (s *Server) shiftMoved(ctx context.Context, tx pgx.Tx, c caller, act string, v store.Shift, reason string, data map[string]any) error {
	if err := ledger.Audit(ctx, tx, c.Actor, requestID(ctx), act, fmt.Sprintf("worker/%d", v.Worker), reason, data); err != nil {
		return err
	}
	return ledger.StaffMoved(ctx, tx, s.o.Now())
}

var errNobodysShift = problem(http.StatusNotFound, "no worker belongs to this session: only a worker has a shift")

func (s *Server) ownShift(ctx context.Context, c caller, _ *struct{}) (*shiftOutput, error) {
	w, ok := s.o.People().Worker(c.Worker)
	if !ok {
		return nil, errNobodysShift
	}
	found, err := store.CurrentShift(ctx, s.o.Reads.Pool, c.Scope, w, s.o.Now())
	if err != nil {
		return nil, err
	}
	return &shiftOutput{http.StatusOK, s.shiftItem(found)}, nil
}

func (s *Server) endOwnShift(ctx context.Context, c caller, _ *struct{}) (*shiftOutput, error) {
	if c.Worker == 0 {
		return nil, errNobodysShift
	}
	return s.end(ctx, c, c.Worker, store.EndedByHand, "")
}

func (s *Server) end(ctx context.Context, c caller, worker uint32, how, reason string) (*shiftOutput, error) {
	out := &shiftOutput{Status: http.StatusOK}
	err := s.inTxAnd(ctx, func(tx pgx.Tx) error {
		ended, err := store.EndShift(ctx, tx, worker, how, c.ID, s.o.Now())
		if err != nil {
			return err
		}
		out.Body = s.shiftItem(ended)
		return s.shiftMoved(ctx, tx, c, "shift.end", ended, reason, map[string]any{"how": how})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// workerInScope finds a worker the caller may act on; whoever is not is not there.
func (s *Server) workerInScope(c caller, id uint32) error {
	if w, ok := s.o.People().Worker(id); !ok || !c.Scope.SeesWorker(w.ID, w.Grid) {
		return store.ErrNotFound
	}
	return nil
}

func (s *Server) endShift(ctx context.Context, c caller, in *workerActInput) (*shiftOutput, error) {
	reason, err := reasonOf(in.Body.Reason)
	if err == nil {
		err = s.workerInScope(c, in.ID)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.end(ctx, c, in.ID, store.EndedByDispatcher, reason)
	if errors.Is(err, store.ErrNoShift) {
		err = problem(http.StatusConflict, store.ErrNoShift.Error()+": there is nothing to end")
	}
	return out, err
}

type deactivateInput struct {
	ID   uint32 `path:"id" minimum:"1"`
	Body struct {
		HandTo string `json:"hand_to,omitempty" maxLength:"40" doc:"Badge of the worker who takes the open work over"`
		Reason string `json:"reason" doc:"Why, in 4 to 500 characters; it is kept in the audit log and in the journal of what is handed over"`
	}
}

type deactivateOutput struct {
	Body struct {
		WorkerID   string `json:"worker_id"`
		HandedOver int    `json:"handed_over" doc:"How many open incidents another worker holds now"`
	}
}

func (s *Server) deactivateWorker(ctx context.Context, c caller, in *deactivateInput) (*deactivateOutput, error) {
	reason, err := reasonOf(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	d := ledger.Deactivation{Worker: in.ID, Reason: reason, RequestID: requestID(ctx)}
	if err := s.workerInScope(c, in.ID); err != nil {
		return nil, err
	}
	if in.Body.HandTo != "" {
		d.HandTo, err = store.WorkerByBadge(ctx, s.o.Reads.Pool, in.Body.HandTo)
		if err == nil {
			err = s.workerInScope(c, d.HandTo)
		}
		switch {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNoWorker):
			return nil, problem(http.StatusUnprocessableEntity, "hand_to: "+store.ErrNoWorker.Error())
		case err != nil:
			return nil, err
		case d.HandTo == in.ID:
			return nil, problem(http.StatusUnprocessableEntity, "hand_to: name another worker")
		}
	}
	out := &deactivateOutput{}
	out.Body.WorkerID = fmt.Sprint(in.ID)
	if out.Body.HandedOver, err = s.o.Ledger.DeactivateWorker(ctx, c.Actor, d); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Server) activateWorker(ctx context.Context, c caller, in *workerActInput) (*struct{}, error) {
	reason, err := reasonOf(in.Body.Reason)
	if err == nil {
		err = s.o.Ledger.ActivateWorker(ctx, c.Actor, in.ID, reason, requestID(ctx))
	}
	return nil, err
}

// UrgentItem is an incident that stands in the way, or goes with a hand-over.
type UrgentItem struct {
	ID         string    `json:"id"`
	Number     string    `json:"number"`
	Priority   int       `json:"priority"`
	State      string    `json:"state"`
	ReportedAt time.Time `json:"reported_at"`
}

func urgentItems(list []store.Incident) []UrgentItem {
	out := make([]UrgentItem, len(list))
	for i, in := range list {
		out[i] = UrgentItem{fmt.Sprint(in.ID), store.IncidentNumber(in.ID), in.Priority, string(in.State), in.ReportedAt}
	}
	return out
}

// maxShown is how many incidents a refusal names.
const maxShown = 200

// staffProblem is what the sender is told of an error about staff and duty; nil for
// any other error.
func staffProblem(err error) *Problem {
	var holds *ledger.HoldsWorkError
	var unreachable *store.NoLiaisonError
	is := func(list ...error) bool {
		for _, e := range list {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &holds):
		p := problem(http.StatusConflict, holds.Error())
		p.Incidents = urgentItems(holds.Incidents[:min(len(holds.Incidents), maxShown)])
		return p
	case errors.As(err, &unreachable):
		return problem(http.StatusConflict, unreachable.Error())
	case is(store.ErrNoShift):
		return problem(http.StatusNotFound, plain(store.ErrNoShift))
	case is(store.ErrInShift, store.ErrDeviceInUse, store.ErrDeviceBlocked, store.ErrOfficerThen, store.ErrLiaisonThen, store.ErrOwnHandover, store.ErrAccepted):
		return problem(http.StatusConflict, plain(err))
	case is(store.ErrDeviceUnknown, store.ErrNoStaff):
		return problem(http.StatusUnprocessableEntity, plain(err))
	}
	return nil
}
