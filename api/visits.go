// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"onemap/dispatch"
	"onemap/store"
	"onemap/store/ledger"
)

// VisitWindow is a stretch of time in which a visit counts.
type VisitWindow struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// VisitPoint is the place of a visit.
type VisitPoint struct {
	Lon float64 `json:"lon" doc:"WGS-84"`
	Lat float64 `json:"lat"`
}

// SeenItem is a visit as fixes show it.
type SeenItem struct {
	From     time.Time `json:"from" doc:"The first of the two fixes"`
	At       time.Time `json:"at"`
	WorkerID string    `json:"worker_id"`
	Badge    string    `json:"badge"`
	OffM     *float64  `json:"off_m" doc:"Of a point: how far from it the second fix was, metres"`
}

// SaidItem is a visit as somebody tells it.
type SaidItem struct {
	At    time.Time `json:"at" doc:"When it was, as its speaker says"`
	GotAt time.Time `json:"got_at" doc:"When the word came"`
	By    string    `json:"by" doc:"The actor, as the audit names it"`
	Badge string    `json:"badge,omitempty"`
	Text  string    `json:"text"`
	There *bool     `json:"there" doc:"Whether a fresh fix put the speaker there; null when nobody knows"`
	OffM  *float64  `json:"off_m" doc:"Of a point: how far from it that fix was, metres"`
}

// VisitItem is a visit as answers carry it.
type VisitItem struct {
	ID         string        `json:"id"`
	PatrolID   string        `json:"patrol_id"`
	PatrolName string        `json:"patrol_name"`
	State      string        `json:"state" enum:"due,done,missed,late,void" doc:"late: by word after the period"`
	Target     string        `json:"target" doc:"grid:, layer: or point: and what it is called there; the same in every period"`
	Name       string        `json:"name"`
	Grid       string        `json:"grid" doc:"Code of the target, or of the grid that the point lies in"`
	GridName   string        `json:"grid_name"`
	Point      *VisitPoint   `json:"point" doc:"Null: the grid itself"`
	Department string        `json:"department,omitempty"`
	Period     string        `json:"period" doc:"The day, the Monday, the 1st or 16th, or the first day of the holiday"`
	OpensAt    time.Time     `json:"opens_at"`
	ClosesAt   time.Time     `json:"closes_at"`
	Windows    []VisitWindow `json:"windows" doc:"When a visit counts"`
	RadiusM    float64       `json:"radius_m"`
	StayMin    int           `json:"stay_min"`
	Seen       *SeenItem     `json:"seen" doc:"What fixes show"`
	Said       *SaidItem     `json:"said" doc:"What was told: it proves nothing by itself"`
	MissedAt   *time.Time    `json:"missed_at" doc:"When it came onto the list; it stays though fixes that were late prove it"`
	VoidAt     *time.Time    `json:"void_at" doc:"When its patrol or its grid ended"`
}

func (s *Server) visitItem(v store.Visit) VisitItem {
	i := VisitItem{
		ID: fmt.Sprint(v.ID), PatrolID: fmt.Sprint(v.Patrol), PatrolName: v.PatrolName, State: string(v.State()), Target: v.Target, Name: v.Name, Grid: v.GridCode, GridName: v.GridName,
		Department: s.o.Catalogue.Now().DeptNames[v.Department], Period: v.Period.String(), OpensAt: v.Opens(), ClosesAt: v.Closes(),
		Windows: []VisitWindow{}, RadiusM: v.RadiusM, StayMin: int(v.Stay / time.Minute), MissedAt: v.MissedAt, VoidAt: v.VoidAt,
	}
	for _, w := range v.Windows {
		i.Windows = append(i.Windows, VisitWindow(w))
	}
	if v.Point != nil {
		i.Point = &VisitPoint{v.Point.Lon(), v.Point.Lat()}
	}
	if v.SeenAt != nil {
		i.Seen = &SeenItem{*v.SeenFrom, *v.SeenAt, fmt.Sprint(v.SeenBy), v.SeenBadge, v.SeenM}
	}
	if v.SaidAt != nil {
		i.Said = &SaidItem{*v.SaidAt, *v.SaidGotAt, v.SaidBy, v.SaidBadge, v.SaidText, v.SaidThere, v.SaidM}
	}
	return i
}

type visitsInput struct {
	IDPage
	State  string    `query:"state" enum:"due,done,missed,late,void"`
	Patrol int64     `query:"patrol" minimum:"1"`
	Worker uint32    `query:"worker" minimum:"1" doc:"Where this worker serves today, and what they have made"`
	Grid   string    `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
	From   time.Time `query:"from" doc:"Whose period ends after it"`
	To     time.Time `query:"to" doc:"Whose period begins before it"`
}

type visitsOutput struct {
	Body struct {
		Items  []VisitItem `json:"items"`
		Cursor *string     `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

func (s *Server) listVisits(ctx context.Context, a caller, in *visitsInput) (*visitsOutput, error) {
	before, err := in.afterID()
	if err != nil {
		return nil, err
	}
	if !in.From.IsZero() && !in.To.IsZero() && !in.From.Before(in.To) {
		return nil, problem(http.StatusUnprocessableEntity, "the period must end after it begins")
	}
	f := store.VisitFilter{
		State: dispatch.VisitState(in.State), Patrol: in.Patrol, Worker: in.Worker, From: in.From, To: in.To, Before: before, Limit: in.Limit + 1,
	}
	if in.Grid != "" {
		if f.Grids, err = s.numbersUnder(ctx, a, in.Grid); err != nil {
			return nil, err
		}
	}
	rows, err := s.reads(a).Visits(ctx, a.Scope, f, s.o.Now())
	if err != nil {
		return nil, err
	}
	out := &visitsOutput{}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		c := fmt.Sprint(rows[in.Limit-1].ID)
		out.Body.Cursor = &c
	}
	out.Body.Items = make([]VisitItem, len(rows))
	for i, v := range rows {
		out.Body.Items[i] = s.visitItem(v)
	}
	return out, nil
}

type visitWordInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Text string     `json:"text" minLength:"1" maxLength:"1000" doc:"What was seen there"`
		At   *time.Time `json:"at,omitempty" doc:"When it was, by the phone's clock, within the last 24 hours; now when left out"`
	}
}

type visitOutput struct {
	Body struct {
		VisitItem
		Repeated bool `json:"repeated,omitempty" doc:"An earlier word counts"`
	}
}

func (s *Server) sayVisited(ctx context.Context, a caller, in *visitWordInput) (*visitOutput, error) {
	text, err := cleanText("text", in.Body.Text)
	if err != nil {
		return nil, err
	}
	res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
		Key: in.Key, RequestID: requestID(ctx), Request: sha256.Sum256([]byte(fmt.Sprintf("visit %d\n%s", in.ID, bodyOf(ctx)))),
		VisitWord: &ledger.VisitWord{Visit: in.ID, At: in.Body.At, Text: text},
	})
	if err != nil {
		return nil, visitRefused(err)
	}
	out := &visitOutput{}
	out.Body.VisitItem, out.Body.Repeated = s.visitItem(res.Visit), res.Repeated
	return out, nil
}

// visitRefusals are the words for programs of what a word about a visit is refused for.
var visitRefusals = map[string]error{
	"visit-early":   dispatch.ErrVisitEarly,
	"visit-outside": dispatch.ErrVisitOutside,
	"visit-old":     dispatch.ErrVisitOld,
	"visit-ahead":   dispatch.ErrVisitAhead,
	"visit-void":    dispatch.ErrVisitVoid,
}

// visitRefused is the answer to a word that is not taken; any other error stays itself.
func visitRefused(err error) error {
	for word, why := range visitRefusals {
		if errors.Is(err, why) {
			p := problem(http.StatusConflict, why.Error())
			p.Type = word
			return p
		}
	}
	return err
}
