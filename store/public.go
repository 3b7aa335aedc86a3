// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/cell"
)

// GridRef names a grid to people: its level, code and name.
type GridRef struct {
	Level int    `json:"level"`
	Code  string `json:"code"`
	Name  string `json:"name"`
}

// GridPath is the chain of grids an incident lies in, the county first.
type GridPath struct {
	Version int32     `json:"version"`
	Path    []GridRef `json:"path"`
}

// PublicIncident is an incident as events and answers carry it: its whole public
// state in one view. It never holds a personal field.
type PublicIncident struct {
	ID             string      `json:"id"`
	Number         string      `json:"number"`
	Version        int         `json:"version"`
	Category       string      `json:"category"`
	CategoryName   string      `json:"category_name"`
	Top            string      `json:"top"`
	TopName        string      `json:"top_name"`
	Priority       int         `json:"priority"`
	State          string      `json:"state"`
	Open           bool        `json:"open"`
	Place          string      `json:"place"`
	Precision      string      `json:"precision"`
	Point          *[2]float64 `json:"point"` // WGS-84, longitude first
	AccuracyM      *float64    `json:"accuracy_m" doc:"How far from point the place meant may be, of one found by its address alone; null else, and where point is not the place itself"`
	Cell           *string     `json:"cell"` // H3, resolution 9
	Grid           GridPath    `json:"grid"`
	OwnerLevel     int         `json:"owner_level"`
	Source         string      `json:"source"`
	ReportedAt     time.Time   `json:"reported_at"`
	AckDue         *time.Time  `json:"ack_due"`
	StageDue       *time.Time  `json:"stage_due"`
	AcknowledgedAt *time.Time  `json:"acknowledged_at"`
	OnSceneAt      *time.Time  `json:"on_scene_at"`
	ResolvedAt     *time.Time  `json:"resolved_at"`
	ClosedAt       *time.Time  `json:"closed_at"`
	Late           bool        `json:"late"` // the running stage's limit has passed
	History        bool        `json:"history"`
	*CaseFields
}

// CaseFields is what the case view shows on top.
type CaseFields struct {
	Title      string      `json:"title"`
	Text       string      `json:"text"`
	Address    string      `json:"address"`
	ExternalID string      `json:"external_id,omitempty"`
	Department string      `json:"department,omitempty"`
	OccurredAt *time.Time  `json:"occurred_at"`
	DueRule    string      `json:"due_rule"`
	ReviewAt   *time.Time  `json:"review_at,omitempty"`   // when a suspended one is looked at again
	MergedInto string      `json:"merged_into,omitempty"` // the incident it was merged into
	Raw        *RawPlace   `json:"raw"`
	Found      *FoundPlace `json:"found"` // how the place was found of the address; null for one that was given
}

// FoundPlace is how a place was found that was told in words alone, as answers and
// the record carry it: see dispatch.Found.
type FoundPlace struct {
	Method     string  `json:"method" enum:"address,relative,area"`
	ID         string  `json:"id,omitempty" doc:"Of the place; left out for a village or town"`
	Name       string  `json:"name"`
	Confidence float64 `json:"confidence"`
	AccuracyM  float64 `json:"accuracy_m" doc:"How far from point the place meant may be"`
}

// FoundRow is f as the record keeps it; nil for nil.
func FoundRow(f *dispatch.Found) *FoundPlace {
	if f == nil {
		return nil
	}
	row := &FoundPlace{Method: string(f.By), Name: f.Name, Confidence: f.Confidence, AccuracyM: f.AccuracyM}
	if f.ID != 0 {
		row.ID = strconv.FormatInt(f.ID, 10)
	}
	return row
}

// found is a kept row as the rules know it.
func (p *FoundPlace) found() *dispatch.Found {
	if p == nil {
		return nil
	}
	id, _ := strconv.ParseInt(p.ID, 10, 64) // FoundRow wrote it
	return &dispatch.Found{By: dispatch.FoundBy(p.Method), ID: id, Name: p.Name, Confidence: p.Confidence, AccuracyM: p.AccuracyM}
}

// RawPlace is a place as it was given.
type RawPlace struct {
	Lon float64 `json:"lon"`
	Lat float64 `json:"lat"`
	CRS string  `json:"crs"`
}

// IncidentNumber is the number people read out: SJ and the id.
func IncidentNumber(id int64) string { return fmt.Sprintf("SJ%09d", id) }

// What the shared view says of an incident of a sensitive category.
const (
	Undisclosed         = "不公开"
	UndisclosedPriority = 3
)

// Public renders an incident for one view.
func (c *Catalogue) Public(ctx context.Context, in Incident, v auth.View) (PublicIncident, error) {
	cat := c.Now().Categories[in.Category]
	path, err := c.Path(ctx, in.Place.GridID)
	if err != nil {
		return PublicIncident{}, err
	}
	top := cat
	if cat.Parent != "" {
		top = c.Now().Categories[cat.Parent]
	}
	p := PublicIncident{
		ID: fmt.Sprint(in.ID), Number: IncidentNumber(in.ID), Version: in.Version,
		Category: cat.Code, CategoryName: cat.NameZH, Top: top.Code, TopName: top.NameZH,
		Priority: in.Priority, State: string(in.State), Open: in.State.Open(),
		Place: string(in.Place.Kind), Precision: cat.Precision,
		Grid: GridPath{Version: in.Place.GridVersion, Path: path}, OwnerLevel: in.OwnerLevel, Source: in.Source,
		ReportedAt: in.ReportedAt, AckDue: in.AckDue, StageDue: in.StageDue, AcknowledgedAt: in.AcknowledgedAt,
		OnSceneAt: in.OnSceneAt, ResolvedAt: in.ResolvedAt, ClosedAt: in.ClosedAt, Late: in.Late, History: in.History,
	}
	if pt := in.Place.Point; pt != nil {
		p.Point = &[2]float64{pt[0], pt[1]}
		p.Cell = hexCell(in.Place.Cells[3])
		if f := in.Place.Found; f != nil {
			p.AccuracyM = &f.AccuracyM
		}
	}
	if v == auth.CaseView {
		p.CaseFields = &CaseFields{
			Title: in.Title, Text: in.Text, Address: in.Place.Address, ExternalID: in.ExternalID,
			Department: c.Now().DeptNames[in.Department], OccurredAt: in.OccurredAt, DueRule: in.DueRule, ReviewAt: in.ReviewAt,
		}
		if in.MergedInto != 0 {
			p.MergedInto = fmt.Sprint(in.MergedInto)
		}
		if r := in.Place.Raw; r != nil {
			p.Raw = &RawPlace{r.Lon, r.Lat, string(r.Datum)}
		}
		p.Found = FoundRow(in.Place.Found)
		return p, nil
	}
	c.coarsen(&p, in.Place)
	return p, nil
}

func hexCell(k cell.Cell) *string {
	s := k.String()
	return &s
}

// coarsen takes from the shared view what is finer than the category allows.
func (c *Catalogue) coarsen(p *PublicIncident, at dispatch.Place) {
	if p.Precision == "exact" {
		return
	}
	p.AccuracyM = nil // it would tell a found place from a given one, of a point that is neither
	switch p.Precision {
	case "grid":
		p.Cell = nil
		if p.Point == nil {
			return
		}
		p.Point = nil
		// Only a leaf's own mark may stand for the place: a point outside every
		// grid has none.
		if i, ok := c.Now().Tree.ByID(at.GridID); ok && at.Kind == dispatch.InGrid {
			l := c.Now().Tree.Nodes()[i].Label
			p.Point = &[2]float64{l[0], l[1]}
		}
	default:
		// Many top categories have one sensitive kind alone, and limits and priority
		// tell the others apart: all are shown as one.
		p.Point, p.Cell = nil, nil
		p.Category, p.CategoryName, p.Top, p.TopName = "", Undisclosed, "", Undisclosed
		p.Priority, p.OwnerLevel = UndisclosedPriority, 0
		p.AckDue, p.StageDue, p.AcknowledgedAt, p.OnSceneAt, p.ResolvedAt, p.Late = nil, nil, nil, nil, nil, false
		if len(p.Grid.Path) > 2 {
			p.Grid.Path = p.Grid.Path[:2]
		}
	}
}

// Payloads encodes both views of an incident for an event.
func (c *Catalogue) Payloads(ctx context.Context, in Incident) (shared, full json.RawMessage, err error) {
	for _, v := range []struct {
		view auth.View
		out  *json.RawMessage
	}{{auth.SharedView, &shared}, {auth.CaseView, &full}} {
		p, err := c.Public(ctx, in, v.view)
		if err != nil {
			return nil, nil, err
		}
		if *v.out, err = json.Marshal(p); err != nil {
			return nil, nil, fmt.Errorf("store: encode incident %d: %w", in.ID, err)
		}
	}
	return shared, full, nil
}
