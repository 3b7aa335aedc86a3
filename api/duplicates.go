// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// Duplicate is an incident that may be the same matter as another.
type Duplicate struct {
	Incident store.PublicIncident `json:"incident"`
	Score    float64              `json:"score" doc:"0 to 1"`
	Reasons  []DuplicateReason    `json:"reasons" doc:"What the score is made of: the sum of value times weight"`
}

// DuplicateReason is what one feature adds to a score.
type DuplicateReason struct {
	Feature dispatch.Feature `json:"feature" enum:"distance,place,time,category,text"`
	Value   float64          `json:"value" doc:"0 to 1"`
	Weight  float64          `json:"weight" doc:"Its share; a feature that is not known of both is left out, and the others share its weight"`
	Says    string           `json:"says,omitempty" doc:"What was seen: how far apart, which place both name, which category"`
}

type duplicatesOutput struct {
	Body struct {
		Items     []Duplicate `json:"items" doc:"The likeliest first, 20 at most"`
		Compared  int         `json:"compared" doc:"How many incidents near it in place and time were looked at"`
		Cut       bool        `json:"cut" doc:"There were more near it: those nearest in time were looked at"`
		Threshold float64     `json:"threshold" doc:"Scores below it are not told"`

		Merged []store.PublicIncident `json:"merged" doc:"Incidents that were merged into it, newest first, 50 at most"`
	}
}

// maxDuplicates is how many suggestions are told.
const maxDuplicates = 20

func (s *Server) duplicates() {
	route(s, need{auth.Write, auth.IncidentData}, huma.Operation{
		OperationID: "incident-duplicates", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/duplicates", Tags: []string{"incidents"},
		Summary: "Incidents that may be the same matter, of those the caller may see; for who may act on it", Errors: []int{404},
	}, s.incidentDuplicates)
}

func (s *Server) incidentDuplicates(ctx context.Context, a caller, in *incidentID) (*duplicatesOutput, error) {
	d, err := auth.Decide(a.Actor, auth.Read, auth.IncidentData)
	if err != nil {
		return nil, err
	}
	db := s.reads(a)
	own, err := db.Incident(ctx, a.Scope, d.View, in.ID)
	if err != nil {
		return nil, err
	}
	others, cut, err := db.Alike(ctx, d.Scope, own)
	if err != nil {
		return nil, err
	}
	byID, matters := make(map[int64]store.Incident, len(others)), make([]dispatch.Matter, len(others))
	for i, o := range others {
		byID[o.ID], matters[i] = o, s.o.Catalogue.Matter(o)
	}
	out := &duplicatesOutput{}
	out.Body.Items, out.Body.Compared, out.Body.Cut, out.Body.Threshold = []Duplicate{}, len(others), cut, dispatch.DuplicateFrom
	found := dispatch.Duplicates(s.o.Catalogue.Matter(own), matters)
	for _, l := range found[:min(len(found), maxDuplicates)] {
		p, err := s.o.Catalogue.Public(ctx, byID[l.ID], d.View)
		if err != nil {
			return nil, err
		}
		dup := Duplicate{Incident: p, Score: thousandths(l.Score)}
		for _, r := range l.Reasons {
			dup.Reasons = append(dup.Reasons, DuplicateReason{r.Feature, thousandths(r.Value), thousandths(r.Weight), r.Says})
		}
		out.Body.Items = append(out.Body.Items, dup)
	}
	merged, err := db.MergedInto(ctx, d.Scope, d.View, in.ID)
	if err != nil {
		return nil, err
	}
	out.Body.Merged = make([]store.PublicIncident, len(merged))
	for i, m := range merged {
		if out.Body.Merged[i], err = s.o.Catalogue.Public(ctx, m, d.View); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func thousandths(v float64) float64 { return math.Round(v*1000) / 1000 }
