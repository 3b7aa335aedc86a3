// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

// GridVersionItem is one boundary set of a county.
type GridVersionItem struct {
	Version   int32        `json:"version"`
	Code      string       `json:"code" doc:"The county's"`
	Name      string       `json:"name"`
	State     string       `json:"state" enum:"draft,enacted,retired"`
	MadeUp    bool         `json:"made_up" doc:"Drawn by a program, not surveyed"`
	Note      string       `json:"note"`
	Grids     int          `json:"grids"`
	CreatedAt time.Time    `json:"created_at"`
	EnactedAt *time.Time   `json:"enacted_at"`
	RetiredAt *time.Time   `json:"retired_at"`
	Undoes    *int32       `json:"undoes" doc:"The version whose redraw it takes back"`
	Planned   *PlannedItem `json:"planned" doc:"An enactment to come, or one that failed"`
}

// PlannedItem is an enactment to come, or one that failed.
type PlannedItem struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Failed string    `json:"failed" doc:"Why it could not be carried out; it is not tried again"`
}

func versionItem(v store.GridVersion) GridVersionItem {
	out := GridVersionItem{
		Version: v.ID, Code: v.Root, Name: v.Name, State: v.State, MadeUp: v.MadeUp, Note: v.Note, Grids: v.Grids,
		CreatedAt: v.CreatedAt, EnactedAt: v.EnactedAt, RetiredAt: v.RetiredAt,
	}
	if v.Undoes != 0 {
		out.Undoes = &v.Undoes
	}
	if p := v.Plan; p != nil {
		out.Planned = &PlannedItem{p.At, p.By, p.Reason, p.Failed}
	}
	return out
}

// GridVersionList is every boundary set the caller may see, the newest first.
type GridVersionList struct {
	Items []GridVersionItem `json:"items"`
}

type gridVersionsOutput struct{ Body GridVersionList }

type gridVersionOutput struct{ Body GridVersionItem }

// FaultItem is one thing wrong with a boundary set.
type FaultItem struct {
	Kind  string  `json:"kind"`
	Code  string  `json:"code"`
	Other string  `json:"other"`
	Text  string  `json:"text"`
	Lon   float64 `json:"lon" doc:"A place in it, WGS-84"`
	Lat   float64 `json:"lat"`
	Area  float64 `json:"area_m2"`
	Share float64 `json:"share" doc:"Of the smaller grid, or of the parent for a gap"`
}

// GridTotals sums a preview up.
type GridTotals struct {
	GridsBefore     int `json:"grids_before"`
	GridsAfter      int `json:"grids_after"`
	New             int `json:"new"`
	Gone            int `json:"gone"`
	Redrawn         int `json:"redrawn"`
	Renamed         int `json:"renamed"`
	Moved           int `json:"moved"`
	Same            int `json:"same"`
	OpenIncidents   int `json:"open_incidents"`
	OpenMoving      int `json:"open_moving" doc:"Their path changes; the next two among them"`
	OpenLeaving     int `json:"open_leaving" doc:"In a grid now, outside every grid then"`
	OpenEntering    int `json:"open_entering" doc:"Outside every grid now, in one then"`
	WorkersStranded int `json:"workers_stranded" doc:"All of their grids are gone: they would serve nothing"`
}

// GridChangeItem is what a draft changes about one grid, found by its code.
type GridChangeItem struct {
	Code         string  `json:"code"`
	Name         string  `json:"name" doc:"Empty when the grid is gone"`
	NameBefore   string  `json:"name_before" doc:"Empty when the grid is new"`
	Level        int     `json:"level"`
	Parent       *string `json:"parent"`
	ParentBefore *string `json:"parent_before"`
	Change       string  `json:"change" enum:"new,gone,moved,redrawn,renamed,same" doc:"The first of these that is true"`
	AreaBefore   float64 `json:"area_m2_before"`
	Area         float64 `json:"area_m2"`
	OpenBefore   int     `json:"open_before" doc:"Open incidents in it and in the grids below it"`
	OpenAfter    int     `json:"open_after"`
	RecentBefore int     `json:"recent_before" doc:"Incidents reported in the last 30 days, likewise"`
	RecentAfter  int     `json:"recent_after"`
	Workers      int     `json:"workers" doc:"Who serve this very grid today"`
}

// GridPreview is what enacting a draft would change.
type GridPreview struct {
	Version int32            `json:"version"`
	Before  *int32           `json:"before" doc:"The version in force; null for none"`
	Totals  GridTotals       `json:"totals"`
	Faults  []FaultItem      `json:"faults"`
	Items   []GridChangeItem `json:"items" doc:"Parents first"`
}

func (s *Server) gridVersions() {
	errs := []int{http.StatusNotFound}
	route(s, need{auth.Write, auth.Grid}, huma.Operation{
		OperationID: "list-grid-versions", Method: http.MethodGet, Path: "/api/v1/grid-versions", Tags: []string{"grids"},
		Summary: "The boundary sets of the caller's counties, the newest first",
	}, s.listVersions)
	route(s, need{auth.Write, auth.Grid}, huma.Operation{
		OperationID: "preview-grid-version", Method: http.MethodGet, Path: "/api/v1/grid-versions/{version}/preview", Tags: []string{"grids"},
		Summary: "What enacting a draft would change; the pieces of land that change hands as application/geo+json", Errors: append(errs, 409),
		Responses: s.listOrFeatures(reflect.TypeFor[GridPreview]()),
	}, s.previewVersion)
	route(s, need{auth.Write, auth.Grid}, huma.Operation{
		OperationID: "enact-grid-version", Method: http.MethodPost, Path: "/api/v1/grid-versions/{version}/enact", Tags: []string{"grids"},
		Summary: "Make a draft the boundaries in force, now or at a time", Errors: append(errs, 409, 422),
	}, s.enactVersion)
	route(s, need{auth.Write, auth.Grid}, huma.Operation{
		OperationID: "cancel-grid-plan", Method: http.MethodDelete, Path: "/api/v1/grid-versions/{version}/plan", Tags: []string{"grids"},
		Summary: "Cancel a planned enactment, or clear one that failed", Errors: append(errs, 409),
	}, s.cancelPlan)
	route(s, need{auth.Write, auth.Grid}, huma.Operation{
		OperationID: "undo-grid-version", Method: http.MethodPost, Path: "/api/v1/grid-versions/{version}/undo", Tags: []string{"grids"},
		Summary: "Bring back the boundaries before those in force, as a new version", Errors: append(errs, 409),
	}, s.undoVersion)
}

// counties are those whose boundary sets a caller deals with.
func counties(ctx context.Context, a caller) store.Counties {
	return store.Counties{Scope: a.Scope, Every: credentialIn(ctx).GridCode == ""}
}

func (s *Server) listVersions(ctx context.Context, a caller, _ *struct{}) (*gridVersionsOutput, error) {
	vs, err := store.GridVersions(ctx, s.o.Reads.Pool, counties(ctx, a))
	if err != nil {
		return nil, err
	}
	out := &gridVersionsOutput{GridVersionList{Items: make([]GridVersionItem, len(vs))}}
	for i, v := range vs {
		out.Body.Items[i] = versionItem(v)
	}
	return out, nil
}

type previewInput struct {
	Version int32  `path:"version" minimum:"1"`
	All     bool   `query:"all" doc:"Also grids about which nothing changes"`
	Accept  string `header:"Accept"`
}

func (s *Server) previewVersion(ctx context.Context, a caller, in *previewInput) (*listOutput, error) {
	v, err := store.FindGridVersion(ctx, s.o.Reads.Pool, counties(ctx, a), in.Version)
	if err != nil {
		return nil, err
	}
	if v.State != "draft" {
		return nil, problem(http.StatusConflict, fmt.Sprintf("version %d is %s: only a draft has a preview", v.ID, v.State))
	}
	before, err := store.VersionInForce(ctx, s.o.Reads.Pool, v.Root)
	if err != nil {
		return nil, err
	}
	known, err := s.compared(ctx, before, v.ID)
	if err != nil {
		return nil, err
	}
	if wantsFeatures(in.Accept) {
		return &listOutput{"application/geo+json", pieceFeatures(known.diff)}, nil
	}
	p, err := s.o.Reads.PreviewGrids(ctx, a.Scope, v, before, known.diff, s.o.Now())
	if err != nil {
		return nil, err
	}
	return &listOutput{"application/json", previewBody(p, known.faults, in.All)}, nil
}

func previewBody(p store.GridPreview, faults []grid.Fault, all bool) GridPreview {
	t := p.Totals
	out := GridPreview{Version: p.Version, Faults: faultItems(faults), Items: []GridChangeItem{}, Totals: GridTotals{
		t.Before, t.After, t.New, t.Gone, t.Redrawn, t.Renamed, t.Moved, t.Same, t.Open, t.OpenMoving, t.OpenLeaving, t.OpenEntering, t.Stranded,
	}}
	if p.Before != 0 {
		out.Before = &p.Before
	}
	changes := p.Worth()
	if all {
		changes = p.Changes
	}
	for _, c := range changes {
		out.Items = append(out.Items, GridChangeItem{
			Code: c.Code, Name: c.Name, NameBefore: c.NameBefore, Level: c.Level, Parent: someCode(c.Parent), ParentBefore: someCode(c.ParentBefore),
			Change: c.Change, AreaBefore: c.AreaBefore, Area: c.Area, OpenBefore: c.OpenBefore, OpenAfter: c.Open,
			RecentBefore: c.RecentBefore, RecentAfter: c.Recent, Workers: c.Workers,
		})
	}
	return out
}

func faultItems(faults []grid.Fault) []FaultItem {
	out := make([]FaultItem, len(faults))
	for i, f := range faults {
		out[i] = FaultItem{string(f.Kind), string(f.Code), string(f.Other), f.Text, f.At[0], f.At[1], f.AreaM2, f.Share}
	}
	return out
}

// someCode is a code, or nil for none.
func someCode(c string) *string {
	if c == "" {
		return nil
	}
	return &c
}

// pieceFeatures is the map of what changes hands, the largest pieces first.
func pieceFeatures(d *store.GridDiff) *geojson.FeatureCollection {
	var fs []*geojson.Feature
	for _, p := range d.Pieces {
		f := geojson.NewFeature(p.Geom)
		f.Properties = geojson.Properties{"from": someCode(p.From), "to": someCode(p.To), "area_m2": p.Area}
		fs = append(fs, f)
	}
	out := features(fs)
	if d.Cut {
		out.ExtraMembers = geojson.Properties{"cut": true}
	}
	return out
}

type enactInput struct {
	Version int32 `path:"version" minimum:"1"`
	Body    struct {
		Reason       string     `json:"reason" minLength:"1" maxLength:"500" doc:"Kept in the audit and in the journal of each incident that moves"`
		At           *time.Time `json:"at,omitempty" doc:"When; now when left out"`
		AcceptFaults bool       `json:"accept_faults,omitempty" doc:"Somebody has seen the faults and wants it all the same"`
	}
}

// longestPlan is how far ahead an enactment may be planned.
const longestPlan = 366 * 24 * time.Hour

func (s *Server) enactVersion(ctx context.Context, a caller, in *enactInput) (*gridVersionOutput, error) {
	reason, err := cleanReason(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	plan := store.GridPlan{At: now, By: a.ID, Reason: reason, RequestID: requestID(ctx), AcceptFaults: in.Body.AcceptFaults}
	if in.Body.At != nil {
		plan.At = *in.Body.At
		switch {
		case plan.At.Before(now.Add(-time.Minute)):
			return nil, problem(http.StatusUnprocessableEntity, "at lies in the past; leave it out to enact now")
		case plan.At.After(now.Add(longestPlan)):
			return nil, problem(http.StatusUnprocessableEntity, "at lies more than a year ahead")
		}
	}
	v, err := store.FindGridVersion(ctx, s.o.DB.Pool, counties(ctx, a), in.Version)
	if err != nil {
		return nil, err
	}
	if err := v.Enactable(ctx, s.o.DB.Pool); err != nil {
		return nil, err
	}
	faults, known, err := s.o.DB.KnownFaults(ctx, v.ID)
	if err == nil && !known { // nobody has looked for them yet
		var c *comparison
		if c, err = s.compared(ctx, v.Base, v.ID); err == nil {
			faults = c.faults
		}
	}
	if err != nil {
		return nil, err
	}
	if grave := store.Grave(faults, 0); len(grave) > 0 && !plan.AcceptFaults {
		return nil, &store.FaultsError{Faults: grave, What: fmt.Sprintf("grid version %d is not enacted", v.ID)}
	}
	return s.planned(ctx, a, v, plan)
}

// planned stores an enactment. One that is due is waited for as long as a request
// may last; its answer is the version as it is then.
func (s *Server) planned(ctx context.Context, a caller, v store.GridVersion, plan store.GridPlan) (*gridVersionOutput, error) {
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		return ledger.PlanEnactment(ctx, tx, a.Actor, v.ID, plan, s.o.Now())
	})
	if err != nil {
		return nil, err
	}
	return s.versionNow(ctx, a, v.ID, !plan.At.After(s.o.Now()))
}

// How long a request waits for what goes on without it, and how much of its time it
// keeps to answer in.
const (
	enactWait = 4500 * time.Millisecond
	answerIn  = 300 * time.Millisecond
)

// versionNow is a version as it is now, or, where it is due, as it is once it has
// been enacted or could not be.
func (s *Server) versionNow(ctx context.Context, a caller, id int32, due bool) (*gridVersionOutput, error) {
	if due {
		s.o.Due()
	}
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(enactWait)
	}
	end = end.Add(-answerIn)
	for {
		v, err := store.FindGridVersion(ctx, s.o.DB.Pool, counties(ctx, a), id)
		if err != nil {
			return nil, err
		}
		switch {
		case due && v.Plan != nil && v.Plan.Failed != "":
			return nil, problem(http.StatusConflict, v.Plan.Failed)
		case !due || v.Plan == nil || time.Now().After(end):
			return &gridVersionOutput{versionItem(v)}, nil
		}
		select {
		case <-ctx.Done():
			return &gridVersionOutput{versionItem(v)}, nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

type versionInput struct {
	Version int32 `path:"version" minimum:"1"`
}

func (s *Server) cancelPlan(ctx context.Context, a caller, in *versionInput) (*struct{}, error) {
	v, err := store.FindGridVersion(ctx, s.o.DB.Pool, counties(ctx, a), in.Version)
	if err != nil {
		return nil, err
	}
	return nil, s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		return ledger.CancelEnactment(ctx, tx, a.Actor, requestID(ctx), v)
	})
}

type undoInput struct {
	Version int32 `path:"version" minimum:"1"`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" doc:"Kept in the audit and in the journal of each incident that moves"`
	}
}

func (s *Server) undoVersion(ctx context.Context, a caller, in *undoInput) (*gridVersionOutput, error) {
	reason, err := cleanReason(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	v, err := store.FindGridVersion(ctx, s.o.DB.Pool, counties(ctx, a), in.Version)
	if err != nil {
		return nil, err
	}
	back, err := s.o.DB.CopyToUndo(ctx, v)
	if err != nil {
		return nil, err
	}
	return s.planned(ctx, a, back, store.GridPlan{At: s.o.Now(), By: a.ID, Reason: reason, RequestID: requestID(ctx), AcceptFaults: true})
}

// cleanReason is a reason fit to be kept.
func cleanReason(text string) (string, error) {
	reason, unclean := intake.Clean(text)
	switch {
	case unclean != "":
		return "", problem(http.StatusBadRequest, "reason "+unclean)
	case reason == "":
		return "", problem(http.StatusUnprocessableEntity, "say why: the reason is kept")
	}
	return reason, nil
}
