// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/track"
)

// LiveWorker is a worker and what is known of where they are.
type LiveWorker struct {
	WorkerID  string      `json:"worker_id"`
	Badge     string      `json:"badge"`
	Grid      string      `json:"grid" doc:"Code of the home grid"`
	OnDuty    bool        `json:"on_duty" doc:"By a shift, else by the rota"`
	State     string      `json:"state" enum:"on,task,stale,sos,off"`
	Point     *[2]float64 `json:"point" doc:"WGS-84, longitude first; null when off the map"`
	FixAt     *time.Time  `json:"fix_at"`
	FixAge    *int        `json:"fix_age_s"`
	AccuracyM *float32    `json:"accuracy_m"`
}

type liveWorkers struct {
	Body struct {
		Time  time.Time    `json:"time"`
		Items []LiveWorker `json:"items"`
	}
}

func (s *Server) workers() {
	route(s, need{auth.Read, auth.Position}, huma.Operation{
		OperationID: "live-workers", Method: http.MethodGet, Path: "/api/v1/workers/live", Tags: []string{"workers"},
		Summary: "The workers in scope and their last positions while on duty",
	}, s.liveWorkers)
}

type liveWorkersInput struct {
	Skill string `query:"skill" maxLength:"40" doc:"Those who have this skill, by its code"`
}

func (s *Server) liveWorkers(_ context.Context, a caller, in *liveWorkersInput) (*liveWorkers, error) {
	now := s.o.Now()
	dots := map[uint32]track.Dot{}
	for _, d := range s.o.Dots() {
		dots[d.Worker] = d
	}
	tree := s.o.Catalogue.Now().Tree
	out := &liveWorkers{}
	out.Body.Time, out.Body.Items = now, []LiveWorker{}
	for _, w := range s.o.People().Workers() {
		if !w.Active || in.Skill != "" && !slices.Contains(w.Skills, in.Skill) || !a.Scope.SeesWorker(w.ID, w.Grid) {
			continue
		}
		_, on := w.OnDuty(now)
		item := LiveWorker{WorkerID: fmt.Sprint(w.ID), Badge: w.Badge, OnDuty: on, State: string(track.StateOff)}
		if i, ok := tree.ByNo(w.Grid); ok {
			item.Grid = string(tree.Nodes()[i].Code)
		}
		if d, ok := dots[w.ID]; ok && d.State != track.StateOff {
			item.State, item.Point, item.FixAt = string(d.State), &[2]float64{d.P[0], d.P[1]}, &d.FixAt
			age := int(now.Sub(d.FixAt).Seconds())
			item.FixAge = &age
			if d.AccuracyM >= 0 {
				item.AccuracyM = &d.AccuracyM
			}
		}
		out.Body.Items = append(out.Body.Items, item)
	}
	return out, nil
}
