// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) whistles() {
	route(s, need{auth.Write, auth.WhistleData}, huma.Operation{
		OperationID: "whistle", Method: http.MethodPost, Path: "/api/v1/incidents/{id}/whistles", Tags: []string{"whistles"},
		Summary: "Call departments to an incident", DefaultStatus: http.StatusCreated, Errors: []int{404, 409, 422},
		Description: "One of them leads, the others assist. They have to be there within the limit; who is not is marked late, and the whistle stays open. One whistle of an incident runs at a time.",
	}, s.makeWhistle)
	route(s, need{auth.Read, auth.WhistleData}, huma.Operation{
		OperationID: "list-incident-whistles", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/whistles", Tags: []string{"whistles"},
		Summary: "Every whistle of an incident, oldest first; a department sees the running one that calls it, and those that are over where it leads or assists", Errors: []int{404},
	}, s.incidentWhistles)
	route(s, need{auth.Read, auth.WhistleData}, huma.Operation{
		OperationID: "list-whistles", Method: http.MethodGet, Path: "/api/v1/whistles", Tags: []string{"whistles"},
		Summary: "The running whistles: those that call the department, or those of the incidents in scope", Errors: []int{},
	}, s.listWhistles)
	route(s, need{auth.Write, auth.WhistleAnswer}, huma.Operation{
		OperationID: "report-to-whistle", Method: http.MethodPost, Path: "/api/v1/whistles/{id}/reports", Tags: []string{"whistles"},
		Summary: "A called department says that it comes, or that it is there", Errors: []int{404, 409, 422},
		Description: "It has arrived when a fix of its handler's phone lies within the whistle's radius and its own accuracy (100 m of it at most) of the incident, and is not older than ten minutes. " +
			"Anything else is kept as its word, in said_at, and judged says why. The desk may give a department's word, and never its fix.",
	}, s.reportToWhistle)
	route(s, need{auth.Write, auth.WhistleData}, huma.Operation{
		OperationID: "end-whistle", Method: http.MethodPost, Path: "/api/v1/whistles/{id}/end", Tags: []string{"whistles"},
		Summary: "End a whistle before everybody is there", Errors: []int{404, 409, 422},
	}, s.endWhistle)
}

// WhistleItem is a whistle as answers carry it.
type WhistleItem struct {
	store.PublicWhistle
	Note     string     `json:"note,omitempty"`
	Reason   string     `json:"reason,omitempty" doc:"Why it was ended by hand, or what became of the incident"`
	Incident CalledItem `json:"incident"`
}

func (s *Server) whistleItem(ctx context.Context, w store.Whistle) (WhistleItem, error) {
	called, err := s.calledItem(ctx, w.Incident, w.About)
	return WhistleItem{PublicWhistle: w.Public(s.o.Catalogue.Now().DeptNames), Note: w.Note, Reason: w.Reason, Incident: called}, err
}

type makeWhistleInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Lead      string   `json:"lead" minLength:"1" maxLength:"100" doc:"The department that leads, by its name"`
		Assisting []string `json:"assisting,omitempty" maxItems:"19" doc:"The departments that assist, by their names"`
		WithinMin int      `json:"within_min" minimum:"1" maximum:"10080" doc:"How many minutes they have to be there"`
		RadiusM   float64  `json:"radius_m,omitempty" minimum:"20" maximum:"2000" doc:"How near, in metres, somebody has to be who has arrived; 200 when left out"`
		Note      string   `json:"note,omitempty" maxLength:"1000"`
	}
}

type whistleOutput struct {
	Body struct {
		WhistleItem
		Judged   string `json:"judged,omitempty" enum:"arrived,outside,no_fix,old_fix,no_place" doc:"What became of a department's word that it is there"`
		Repeated bool   `json:"repeated,omitempty" doc:"An earlier request with this key did it"`
	}
}

// department finds one by its name.
func (s *Server) department(name string) (int64, error) {
	id := s.o.Catalogue.Now().Departments[name]
	if id == 0 {
		return 0, problem(http.StatusUnprocessableEntity, fmt.Sprintf("there is no department %q", name))
	}
	return id, nil
}

// cleanText is a text without what does not belong into one, or a problem that names it.
func cleanText(name, text string) (string, error) {
	out, unclean := intake.Clean(text)
	if unclean != "" {
		return "", problem(http.StatusBadRequest, name+" "+unclean)
	}
	return out, nil
}

func (s *Server) makeWhistle(ctx context.Context, a caller, in *makeWhistleInput) (*whistleOutput, error) {
	call := dispatch.Calling{Within: time.Duration(in.Body.WithinMin) * time.Minute, RadiusM: in.Body.RadiusM}
	var err error
	if call.Note, err = cleanText("note", in.Body.Note); err != nil {
		return nil, err
	}
	if call.Lead, err = s.department(in.Body.Lead); err != nil {
		return nil, err
	}
	for _, name := range in.Body.Assisting {
		id, err := s.department(name)
		if err != nil {
			return nil, err
		}
		call.Assisting = append(call.Assisting, id)
	}
	return s.doWhistle(ctx, a, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("whistle %d\n%s", in.ID, bodyOf(ctx)))), Whistle: &ledger.WhistleCommand{Incident: in.ID, Calling: call},
	})
}

func (s *Server) doWhistle(ctx context.Context, a caller, c ledger.Command) (*whistleOutput, error) {
	c.RequestID = requestID(ctx)
	res, err := s.o.Ledger.Do(ctx, a.Actor, c)
	if err != nil {
		return nil, err
	}
	out := &whistleOutput{}
	out.Body.Judged, out.Body.Repeated = string(res.Judged), res.Repeated
	out.Body.WhistleItem, err = s.whistleItem(ctx, res.Whistle)
	return out, err
}

type whistlesOutput struct {
	Body struct {
		Items  []WhistleItem `json:"items"`
		Cursor *string       `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

func (s *Server) whistleItems(ctx context.Context, rows []store.Whistle) (*whistlesOutput, error) {
	out := &whistlesOutput{}
	out.Body.Items = make([]WhistleItem, len(rows))
	for i, w := range rows {
		var err error
		if out.Body.Items[i], err = s.whistleItem(ctx, w); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Server) incidentWhistles(ctx context.Context, a caller, in *incidentID) (*whistlesOutput, error) {
	rows, err := s.reads(a).WhistlesOf(ctx, a.Scope, in.ID)
	if err != nil {
		return nil, err
	}
	return s.whistleItems(ctx, rows)
}

func (s *Server) listWhistles(ctx context.Context, a caller, in *IDPage) (*whistlesOutput, error) {
	after, err := in.afterID()
	if err != nil {
		return nil, err
	}
	rows, err := s.reads(a).RunningWhistles(ctx, a.Scope, after, in.Limit+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	rows, cursor := cutPage(*in, rows, func(w store.Whistle) int64 { return w.ID })
	out, err := s.whistleItems(ctx, rows)
	if err == nil {
		out.Body.Cursor = cursor
	}
	return out, err
}

// FixInput is where a phone says that it is.
type FixInput struct {
	LocationInput
	AccuracyM float64    `json:"accuracy_m" minimum:"0" maximum:"100000" doc:"Radius in metres, as the phone says"`
	At        *time.Time `json:"at,omitempty" doc:"When it was measured, by the phone's clock; now when left out"`
}

// fix reads a fix.
func (s *Server) fix(f *FixInput) (*dispatch.Fix, error) {
	if f == nil {
		return nil, nil
	}
	d, err := geo.ParseDatum(f.CRS)
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "fix: crs: "+err.Error())
	}
	out := &dispatch.Fix{Raw: geo.Raw{Lon: f.Lon, Lat: f.Lat, Datum: d}, AccuracyM: f.AccuracyM, At: s.o.Now()}
	if f.At != nil {
		out.At = *f.At
	}
	if out.Point, err = out.Raw.WGS84(); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "fix: "+err.Error())
	}
	return out, nil
}

type reportWhistleInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Kind       string    `json:"kind" enum:"report,arrive" doc:"report: it comes; arrive: it is there"`
		Department string    `json:"department,omitempty" maxLength:"100" doc:"Whose word the desk gives; a department's handler leaves it out"`
		Fix        *FixInput `json:"fix,omitempty" doc:"Of arrive: where the handler's phone is"`
	}
}

func (s *Server) reportToWhistle(ctx context.Context, a caller, in *reportWhistleInput) (*whistleOutput, error) {
	act := &ledger.WhistleAct{Whistle: in.ID, Report: &dispatch.WhistleReport{There: in.Body.Kind == "arrive"}}
	var err error
	if in.Body.Department != "" {
		if act.Department, err = s.department(in.Body.Department); err != nil {
			return nil, err
		}
	}
	if act.Report.Fix, err = s.fix(in.Body.Fix); err != nil {
		return nil, err
	}
	return s.doWhistle(ctx, a, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("whistle report %d\n%s", in.ID, bodyOf(ctx)))), WhistleAct: act,
	})
}

type endWhistleInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why; it has to be said"`
	}
}

func (s *Server) endWhistle(ctx context.Context, a caller, in *endWhistleInput) (*whistleOutput, error) {
	reason, err := cleanText("reason", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return s.doWhistle(ctx, a, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("whistle end %d\n%s", in.ID, bodyOf(ctx)))), WhistleAct: &ledger.WhistleAct{Whistle: in.ID, End: true, Reason: reason},
	})
}
