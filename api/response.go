// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/store"
)

// Spread is how long one way through the stages took. Percentiles are linear between
// the two nearest; null where nobody went that way.
type Spread struct {
	N   int      `json:"n" doc:"Incidents of which both ends are known"`
	P50 *float64 `json:"p50_s" doc:"Seconds"`
	P90 *float64 `json:"p90_s"`
	P95 *float64 `json:"p95_s"`
	P99 *float64 `json:"p99_s"`
}

type responseOutput struct {
	Body struct {
		From              time.Time `json:"from"`
		To                time.Time `json:"to"`
		Incidents         int       `json:"incidents" doc:"Reported in the period, in the caller's scope"`
		ReportToDispatch  Spread    `json:"report_to_dispatch"`
		ReportToSigned    Spread    `json:"report_to_signed"`
		ReportToArrival   Spread    `json:"report_to_arrival"`
		DispatchToArrival Spread    `json:"dispatch_to_arrival"`
		ReportToResolved  Spread    `json:"report_to_resolved"`
	}
}

type responseInput struct {
	From     time.Time `query:"from" required:"true" doc:"Reported at or after"`
	To       time.Time `query:"to" required:"true" doc:"Reported before; at most 366 days later"`
	Category string    `query:"category" maxLength:"16" doc:"A category, or a top category with all below it"`
}

// longestResponse is the longest period that response times are worked out of.
const longestResponse = 366 * 24 * time.Hour

// response is for who reads the journals: the times are in there one by one.
func (s *Server) response() {
	route(s, need{auth.Read, auth.Journal}, huma.Operation{
		OperationID: "response-times", Method: http.MethodGet, Path: "/api/v1/figures/response", Tags: []string{"figures"},
		Summary: "How long it took to dispatch, to sign for, to arrive, to resolve: percentiles of the incidents in scope", Errors: []int{422},
	}, s.responseTimes)
}

func (s *Server) responseTimes(ctx context.Context, a caller, in *responseInput) (*responseOutput, error) {
	if d := in.To.Sub(in.From); d <= 0 || d > longestResponse {
		return nil, problem(http.StatusUnprocessableEntity, "give a period: to after from, by 366 days at most")
	}
	if err := s.isCategory(in.Category); err != nil {
		return nil, err
	}
	f := store.ResponseFilter{From: in.From, To: in.To, Category: in.Category, TopCategory: s.o.Catalogue.Now().Categories[in.Category].Parent == ""}
	r, err := s.reads(a).ResponseTimes(ctx, a.Scope, a.View, f)
	if err != nil {
		return nil, err
	}
	out := &responseOutput{}
	b := &out.Body
	b.From, b.To, b.Incidents = in.From, in.To, r.Incidents
	b.ReportToDispatch, b.ReportToSigned, b.ReportToArrival = spread(r.ReportToDispatch), spread(r.ReportToSigned), spread(r.ReportToArrival)
	b.DispatchToArrival, b.ReportToResolved = spread(r.DispatchToArrival), spread(r.ReportToResolved)
	return out, nil
}

func spread(s store.Spread) Spread {
	if s.N == 0 {
		return Spread{}
	}
	p := [4]float64{thousandths(s.P50), thousandths(s.P90), thousandths(s.P95), thousandths(s.P99)}
	return Spread{s.N, &p[0], &p[1], &p[2], &p[3]}
}
