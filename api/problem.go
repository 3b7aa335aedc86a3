// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type     string        `json:"type" doc:"about:blank, or a word for programs"`
	Title    string        `json:"title"`
	Status   int           `json:"status"`
	Detail   string        `json:"detail,omitempty" doc:"What is wrong and what to do"`
	Errors   []ProblemItem `json:"errors,omitempty"`
	Possible []string      `json:"possible,omitempty" doc:"The actions the incident's state allows now"`
	Winner   *OfferWinner  `json:"winner,omitempty" doc:"Of an offer that somebody else was first with: whose is there"`
	Now      *OfferNow     `json:"now,omitempty" doc:"Of an act on an offer: how things are by now"`
	// Candidates are the places that a report's address may mean.
	// Incidents are what stands in the way.
	Incidents  []UrgentItem `json:"incidents,omitempty" doc:"The incidents that stand in the way, of those the sender may read"`
	Candidates []PlaceItem  `json:"candidates,omitempty" doc:"Of a report by its address: the places that it may mean, the likeliest first. Send one back as location, with the address"`
}

// ProblemItem is one thing wrong, with its place in the request.
type ProblemItem struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes every error a problem document.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

var problemsOnce sync.Once

// useProblems makes huma answer with our problem documents, with 400 where a
// request is not of the contract, and take no key in another case. Its hooks are package variables, so this is
// done once for all servers of a process.
func useProblems() {
	problemsOnce.Do(func() {
		huma.ValidateStrictCasing = true // "Title" is not "title"
		huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
			if status == http.StatusUnprocessableEntity {
				status = http.StatusBadRequest
			}
			p := problem(status, msg)
			for _, err := range errs {
				var d *huma.ErrorDetail
				switch {
				case errors.As(err, &d):
					if strings.HasPrefix(d.Message, "invalid date/time") { // it goes on with a layout as the Go language writes it
						d.Message = "a time is written as 2026-09-14T08:00:00Z; in an address the + of another offset is %2B"
					}
					p.Errors = append(p.Errors, ProblemItem{d.Location, d.Message})
				case err != nil:
					p.Errors = append(p.Errors, ProblemItem{"body", err.Error()})
				}
			}
			return p
		}
	})
}

// answer turns an error of the inner rings into what its sender is told. What
// is not meant for a sender goes to the log under the request's id.
func (s *Server) answer(ctx context.Context, err error) error {
	var known *Problem
	var headed interface{ GetHeaders() http.Header } // says when to come again
	var in intake.Problems
	var state *dispatch.StateError
	var need *dispatch.NeedError
	var guard *dispatch.GuardError
	var role *dispatch.RoleError
	var version *ledger.VersionError
	var seat *ledger.RoleNameError
	var faults *store.FaultsError
	var taken *ledger.TakenError
	var refused *ledger.OfferRefusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &headed):
		return err
	case errors.As(err, &known):
		return known
	case errors.As(err, &in):
		p := problem(http.StatusUnprocessableEntity, in.Error())
		for _, x := range in {
			if x.Unplaced {
				p.Detail += "; " + confirmPlace
			}
			if x.Form {
				p.Status, p.Title = http.StatusBadRequest, http.StatusText(http.StatusBadRequest)
			}
			p.Errors = append(p.Errors, ProblemItem{"body." + x.Field, x.Message})
			for _, c := range x.Candidates {
				p.Candidates = append(p.Candidates, placeItem(c))
			}
		}
		return p
	case errors.As(err, &taken):
		return takenProblem(taken)
	case errors.As(err, &refused):
		return refusedProblem(refused)
	case errors.As(err, &state):
		p := problem(http.StatusConflict, state.Error())
		p.Possible = actionNames(state.Possible)
		return p
	case errors.As(err, &version):
		return problem(http.StatusConflict, version.Error()+": read it again")
	case errors.As(err, &need):
		return problem(http.StatusUnprocessableEntity, need.Error())
	case errors.As(err, &guard):
		return problem(http.StatusConflict, guard.Error())
	case errors.As(err, &role):
		return problem(http.StatusForbidden, role.Error())
	case errors.Is(err, ledger.ErrNotLead):
		return problem(http.StatusForbidden, ledger.ErrNotLead.Error())
	case errors.Is(err, ledger.ErrAssists):
		return problem(http.StatusForbidden, ledger.ErrAssists.Error())
	case errors.As(err, &seat):
		return problem(http.StatusUnprocessableEntity, seat.Error())
	case errors.Is(err, dispatch.ErrReasonMissing):
		return problem(http.StatusUnprocessableEntity, dispatch.ErrReasonMissing.Error())
	case errors.Is(err, ledger.ErrRollClosed):
		return problem(http.StatusConflict, ledger.ErrRollClosed.Error()+": report to the desk in another way")
	case errors.Is(err, ledger.ErrKeyReused):
		return problem(http.StatusUnprocessableEntity, ledger.ErrKeyReused.Error()+": make a new key for a new request")
	case errors.Is(err, ledger.ErrNotAbove), errors.Is(err, ledger.ErrAnswered), errors.Is(err, ledger.ErrOwnWord), errors.Is(err, ledger.ErrNotAsked), errors.Is(err, ledger.ErrNotOpen):
		return problem(http.StatusConflict, supervisionRefused(err))
	case errors.Is(err, ledger.ErrElsewhere):
		return problem(http.StatusConflict, ledger.ErrElsewhere.Error()+": nothing was stored; ask the county's hall, or leave the number out")
	case errors.Is(err, auth.ErrNobody):
		return problem(http.StatusUnauthorized, "sign in first: send a Bearer token, or open a wall's one-time link")
	case errors.Is(err, auth.ErrForbidden):
		return problem(http.StatusForbidden, auth.ErrForbidden.Error())
	case errors.Is(err, auth.ErrLocked):
		return problem(http.StatusLocked, auth.ErrLocked.Error())
	case errors.Is(err, store.ErrFinerThanView):
		return problem(http.StatusForbidden, store.ErrFinerThanView.Error())
	case errors.Is(err, store.ErrWallTooNarrow):
		return problem(http.StatusUnprocessableEntity, store.ErrWallTooNarrow.Error())
	case errors.As(err, &faults):
		p := problem(http.StatusUnprocessableEntity, faults.Error())
		for i, f := range faults.Faults[:min(len(faults.Faults), shownFaults)] {
			p.Errors = append(p.Errors, ProblemItem{fmt.Sprintf("version.faults[%d]", i), f.Text})
		}
		return p
	case errors.Is(err, store.ErrNotDraft), errors.Is(err, store.ErrBase), errors.Is(err, store.ErrNotInForce), errors.Is(err, store.ErrNothing), errors.Is(err, store.ErrNoPlan):
		return problem(http.StatusConflict, plain(err))
	case errors.Is(err, store.ErrLoginTaken), errors.Is(err, store.ErrProposed), errors.Is(err, store.ErrPasswordChanged):
		return problem(http.StatusConflict, plain(err))
	case staffProblem(err) != nil:
		return staffProblem(err)
	case unfit(err):
		return problem(http.StatusUnprocessableEntity, plain(err))
	case errors.Is(err, store.ErrNotFound):
		return problem(http.StatusNotFound, "nothing here with this id")
	case store.Unkeepable(err):
		return problem(http.StatusBadRequest, "a text of the request holds a NUL or is not valid UTF-8")
	case errors.Is(err, context.Canceled):
		return problem(499, "the client went away")
	case errors.Is(err, ledger.ErrGridsChanged):
		return retryLater("the grids are being redrawn at this moment: nothing was stored; send the same request again")
	case store.Deadlocked(err):
		s.o.Log.Warn("deadlock", "request", requestID(ctx), "err", err)
		return retryLater("somebody else was changing the same things at this moment: nothing was stored; send the same request again")
	case errors.Is(err, context.DeadlineExceeded): // the database is away, or slow, or it was too much
		s.o.Log.Warn("not in time", "request", requestID(ctx), "err", err)
		return retryLater("this was not done in the time that a request has; send the same request again, or ask for less at a time")
	case store.Unavailable(err):
		s.o.Log.Warn("unavailable", "request", requestID(ctx), "err", err)
		return retryLater("the database is not available at the moment; send the same request again")
	}
	if p := refusedBySchema(err); p != nil {
		s.o.Log.Error("the schema refuses a value that was let through", "request", requestID(ctx), "err", err)
		return p
	}
	s.o.Log.Error("internal error", "request", requestID(ctx), "err", err)
	return problem(http.StatusInternalServerError, "internal error; the log has it under request "+requestID(ctx))
}

// shownFaults is how many faults of a boundary set an answer names.
const (
	shownFaults = 100
	// confirmPlace is what helps where an address gives no place to be sure of.
	confirmPlace = "nothing was stored: confirm the place on the map and send it again with location and the address, under the same Idempotency-Key, or without \"unsure\": \"ask\""
)

// refusedBySchema is the answer to a value that only the database noticed: its
// sender may mend it, and the log asks for an earlier check.
func refusedBySchema(err error) *Problem {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || len(pe.Code) != 5 {
		return nil
	}
	switch {
	case pe.Code == "23503", pe.Code == "23505", pe.Code == "23P01": // what it names is gone, or there already
		return problem(http.StatusConflict, "this does not go together with what is stored; read it again")
	case pe.Code[:2] == "22", pe.Code[:2] == "23":
		return problem(http.StatusUnprocessableEntity, "a value of the request cannot be stored")
	}
	return nil
}

// unfit reports whether err says what of a request for rights can't be so.
func unfit(err error) bool {
	for _, e := range []error{
		errWallName, errLayer, errAddress, errLogin, store.ErrNoGrid, store.ErrAmbiguousGrid, store.ErrNoDepartment, store.ErrNoWorker, store.ErrGrantShape,
		auth.ErrPasswordText, auth.ErrPasswordLength, auth.ErrPasswordLogin, auth.ErrPasswordCommon, auth.ErrPIN,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// plain is an error's text without the name of the package it comes from.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "store: ") }

func retryLater(detail string) error {
	return huma.ErrorWithHeaders(problem(http.StatusServiceUnavailable, detail), http.Header{"Retry-After": {"2"}})
}

func actionNames(as []dispatch.Action) []string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = string(a)
	}
	return out
}

// write answers a route of the contract before its handler.
func (s *Server) write(hc huma.Context, err error) {
	var h interface{ GetHeaders() http.Header }
	if errors.As(err, &h) {
		for k, v := range h.GetHeaders() {
			hc.SetHeader(k, strings.Join(v, ", "))
		}
	}
	var p *Problem
	if !errors.As(err, &p) {
		p = problem(http.StatusInternalServerError, "internal error")
	}
	hc.SetHeader("Content-Type", "application/problem+json")
	hc.SetStatus(p.Status)
	_ = json.NewEncoder(hc.BodyWriter()).Encode(p)
}

// refuse answers a plain gin route with a problem document.
func refuse(c *gin.Context, err error) {
	var h interface{ GetHeaders() http.Header }
	if errors.As(err, &h) {
		for k, v := range h.GetHeaders() {
			c.Header(k, strings.Join(v, ", "))
		}
	}
	var p *Problem
	if !errors.As(err, &p) {
		p = problem(http.StatusInternalServerError, "internal error")
	}
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(p.Status, p)
}

// recovered answers a panic: the process lives on.
func (s *Server) recovered(c *gin.Context, what any) {
	id := requestID(c.Request.Context())
	s.o.Log.Error("panic", "request", id, "what", fmt.Sprint(what), slog.String("path", c.FullPath()))
	refuse(c, problem(http.StatusInternalServerError, "internal error; the log has it under request "+id))
}
