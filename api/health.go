// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
)

type healthOutput struct {
	Body struct {
		Status string `json:"status"`
	}
}

// StatusAnswer is what the server is busy with.
type StatusAnswer struct {
	Demo    bool         `json:"demo"`
	Loading *LoadingItem `json:"loading" doc:"null when nothing is being loaded"`
	Head    int64        `json:"head" doc:"The newest sequence number this node has"`
	Time    time.Time    `json:"time"`
	Version string       `json:"version"`
	Sweep   SweepItem    `json:"sweep" doc:"The sweep that fires reminders and limits"`
}

// SweepItem is how this node's sweep stands.
type SweepItem struct {
	Here     bool    `json:"here" doc:"This node sweeps; of several one does"`
	ClockOff bool    `json:"clock_off" doc:"This node's clock is too far from the database's: it does not sweep until it is set right"`
	OffS     float64 `json:"off_s" doc:"How far it is ahead, in seconds"`
}

// LoadingItem is the progress of a load.
type LoadingItem struct {
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Text  string `json:"text"`
}

type statusOutput struct{ Body StatusAnswer }

func (s *Server) health() {
	route(s, open, huma.Operation{
		OperationID: "livez", Method: http.MethodGet, Path: "/livez", Tags: []string{"health"}, Summary: "The process runs",
	}, func(context.Context, caller, *struct{}) (*healthOutput, error) { return healthy(), nil })
	route(s, open, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: []string{"health"},
		Summary: "The database answers and this node follows the feed",
	}, func(ctx context.Context, _ caller, _ *struct{}) (*healthOutput, error) {
		if err := s.o.Ready(ctx); err != nil {
			s.o.Log.Warn("not ready", "err", err)
			return nil, retryLater("not ready: the database or the feed does not answer")
		}
		return healthy(), nil
	})
	route(s, need{auth.Read, auth.ServerStatus}, huma.Operation{
		OperationID: "status", Method: http.MethodGet, Path: "/api/v1/status", Tags: []string{"health"},
		Summary: "What the server is busy with",
	}, s.status)
}

func healthy() *healthOutput {
	out := &healthOutput{}
	out.Body.Status = "ok"
	return out
}

func (s *Server) status(context.Context, caller, *struct{}) (*statusOutput, error) {
	out := StatusAnswer{Demo: s.o.Catalogue.Now().Centre.Demo, Head: int64(s.o.Hub.Head()), Time: s.o.Now(), Version: s.o.Version}
	st := s.o.Sweep()
	out.Sweep = SweepItem{Here: st.Owner, ClockOff: st.Refuse, OffS: math.Round(st.Off.Seconds()*1000) / 1000}
	if l := s.o.Status(); l != (Loading{}) {
		out.Loading = &LoadingItem{l.Done, l.Total, l.Text}
	}
	return &statusOutput{out}, nil
}
