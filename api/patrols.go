// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/layer"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) patrols() {
	tags := []string{"patrols"}
	route(s, need{auth.Write, auth.PatrolData}, huma.Operation{
		OperationID: "make-patrol", Method: http.MethodPost, Path: "/api/v1/patrols", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Make a patrol 巡查计划: what is visited how often", Errors: []int{404, 409, 422},
		Description: "Each target is visited once in each period. Visits are opened when a period begins, proved by fixes or told by word, and missed when it ends without either.",
	}, s.makePatrol)
	route(s, need{auth.Read, auth.PatrolData}, huma.Operation{
		OperationID: "list-patrols", Method: http.MethodGet, Path: "/api/v1/patrols", Tags: tags,
		Summary: "The patrols of the own grids, newest first, with how the visits of the newest period stand", Errors: []int{404},
	}, s.listPatrols)
	route(s, need{auth.Write, auth.PatrolData}, huma.Operation{
		OperationID: "change-patrol", Method: http.MethodPut, Path: "/api/v1/patrols/{id}", Tags: tags,
		Summary: "Give a patrol other terms for the periods that have not begun; what it visits stays", Errors: []int{404, 409, 422, 428},
	}, s.changePatrol)
	route(s, need{auth.Write, auth.PatrolData}, huma.Operation{
		OperationID: "end-patrol", Method: http.MethodPost, Path: "/api/v1/patrols/{id}/end", Tags: tags,
		Summary: "End a patrol: it opens no more visits, and those that are due are nobody's any more", Errors: []int{404, 409, 422},
	}, s.endPatrol)
	route(s, need{auth.Read, auth.VisitData}, huma.Operation{
		OperationID: "list-visits", Method: http.MethodGet, Path: "/api/v1/visits", Tags: tags,
		Summary: "The visits 走访 in scope, newest first: due, done, missed 漏巡; to a worker those where they serve today, to a department its own", Errors: []int{404, 422},
	}, s.listVisits)
	route(s, need{auth.Write, auth.VisitAnswer}, huma.Operation{
		OperationID: "say-visited", Method: http.MethodPost, Path: "/api/v1/visits/{id}/word", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Say that one has made a visit; the first word counts, and is kept apart from what fixes show", Errors: []int{404, 409, 422},
	}, s.sayVisited)
}

// PatrolTerms say when and how near: what may be changed.
type PatrolTerms struct {
	Name     string  `json:"name" minLength:"1" maxLength:"100"`
	Rhythm   string  `json:"rhythm" enum:"daily,weekly,half_monthly,monthly,before_holiday" doc:"Once a day, a week (Monday to Sunday), a half month (1 to 15, 16 to the end), a month, or in the days before each holiday"`
	Every    int     `json:"every,omitempty" minimum:"1" maximum:"52" doc:"Of weekly: every so many weeks, from the week of first on; 1 when left out"`
	Weekdays []int   `json:"weekdays,omitempty" maxItems:"7" doc:"A visit counts on these alone, 1 is Monday; all when left out"`
	Days     string  `json:"days,omitempty" enum:"all,working,rest" default:"all" doc:"By the centre's calendar: make-up workdays are working days"`
	Ahead    int     `json:"ahead,omitempty" minimum:"1" maximum:"30" doc:"Of before_holiday: how many days before the holiday; 3 when left out"`
	From     string  `json:"from,omitempty" default:"00:00" maxLength:"5" doc:"From when in the day a visit counts"`
	To       string  `json:"to,omitempty" default:"24:00" maxLength:"5" doc:"And until when"`
	First    string  `json:"first,omitempty" maxLength:"10" doc:"The first day on which a visit may count; today when left out or past"`
	Last     string  `json:"last,omitempty" maxLength:"10" doc:"The last one; no end when left out"`
	RadiusM  float64 `json:"radius_m,omitempty" minimum:"20" maximum:"2000" default:"50" doc:"How near to a point counts as there; a grid is visited within it"`
	StayMin  int     `json:"stay_min,omitempty" minimum:"0" maximum:"480" doc:"How long to stay, minutes"`
}

// PatrolSpot is a place of a patrol, in a datum of its sender.
type PatrolSpot struct {
	Name string  `json:"name" minLength:"1" maxLength:"100"`
	Lon  float64 `json:"lon"`
	Lat  float64 `json:"lat"`
	CRS  string  `json:"crs" maxLength:"40" doc:"Datum of lon and lat; there is no default"`
}

// PatrolItem is a patrol as answers carry it.
type PatrolItem struct {
	ID         string `json:"id"`
	Ver        int    `json:"ver" doc:"Send it back in If-Match to change it"`
	State      string `json:"state" enum:"running,ended"`
	Grid       string `json:"grid" doc:"Code of its grid"`
	GridName   string `json:"grid_name" doc:"Empty when a redraw has taken the grid away: then it opens no visits"`
	Targets    string `json:"targets" enum:"grid,grids,layer,points"`
	Level      int    `json:"level,omitempty"`
	Layer      string `json:"layer,omitempty"`
	Points     int    `json:"points,omitempty" doc:"How many places of its own it has"`
	Department string `json:"department,omitempty" doc:"Whose people visit; else the workers who serve there"`
	PatrolTerms
	MadeBy  string     `json:"made_by" doc:"The actor, as the audit names it"`
	MadeAt  time.Time  `json:"made_at"`
	EndedAt *time.Time `json:"ended_at"`
	EndedBy string     `json:"ended_by,omitempty"`
	Reason  string     `json:"reason,omitempty" doc:"Why it was ended"`
	Due     int        `json:"due" doc:"Visits of the newest period, by where they stand"`
	Done    int        `json:"done"`
	Missed  int        `json:"missed"`
	Late    int        `json:"late"`
}

func (s *Server) patrolItem(p store.Patrol) PatrolItem {
	t := p.Times
	i := PatrolItem{
		ID: fmt.Sprint(p.ID), Ver: p.Ver, State: "running", Grid: p.GridCode, GridName: p.GridName, Targets: string(p.Targets), Level: p.Level, Layer: p.Layer,
		Points: p.PointCount, Department: s.o.Catalogue.Now().DeptNames[p.Department],
		PatrolTerms: PatrolTerms{
			Name: p.Name, Rhythm: string(t.Rhythm), Every: t.Every, Weekdays: t.Weekdays, Days: string(t.Days), Ahead: t.Ahead,
			From: clockTime(t.From), To: clockTime(t.To), First: t.First.String(), RadiusM: p.RadiusM, StayMin: int(p.Stay / time.Minute),
		},
		MadeBy: p.MadeBy, MadeAt: p.MadeAt, EndedAt: p.EndedAt, EndedBy: p.EndedBy, Reason: p.Reason,
		Due: p.Now.Due, Done: p.Now.Done, Missed: p.Now.Missed, Late: p.Now.Late,
	}
	if p.EndedAt != nil {
		i.State = "ended"
	}
	if t.Last != (calendar.Date{}) {
		i.Last = t.Last.String()
	}
	return i
}

// patrolOf reads the terms of a patrol. What is left out is what the contract says.
func patrolOf(b PatrolTerms) (p dispatch.Patrol, err error) {
	refuse := func(field string, err error) (dispatch.Patrol, error) {
		return p, problem(http.StatusUnprocessableEntity, field+": "+strings.TrimPrefix(err.Error(), "calendar: "))
	}
	if p.Name, err = cleanText("name", b.Name); err != nil {
		return p, err
	}
	if strings.TrimSpace(p.Name) == "" {
		return p, problem(http.StatusUnprocessableEntity, "name: say what the patrol is about")
	}
	t := dispatch.PatrolTimes{Rhythm: dispatch.Rhythm(b.Rhythm), Every: b.Every, Weekdays: b.Weekdays, Days: dispatch.DayKind(b.Days), Ahead: b.Ahead}
	if t.Days == "" {
		t.Days = dispatch.AllDays
	}
	if t.Rhythm == dispatch.Weekly && t.Every == 0 {
		t.Every = 1
	}
	if t.Rhythm == dispatch.BeforeHoliday && t.Ahead == 0 {
		t.Ahead = 3
	}
	for _, x := range []struct {
		field, text string
		to          *int
		instead     int
	}{{"from", b.From, &t.From, 0}, {"to", b.To, &t.To, 1440}} {
		if *x.to = x.instead; x.text != "" {
			if *x.to, err = minuteOf(x.text); err != nil {
				return refuse(x.field, err)
			}
		}
	}
	for _, x := range []struct {
		field, text string
		to          *calendar.Date
	}{{"first", b.First, &t.First}, {"last", b.Last, &t.Last}} {
		if x.text != "" {
			if *x.to, err = calendar.ParseDate(x.text); err != nil {
				return refuse(x.field, err)
			}
		}
	}
	p.Times, p.RadiusM, p.Stay = t, b.RadiusM, time.Duration(b.StayMin)*time.Minute
	if p.RadiusM == 0 {
		p.RadiusM = 50
	}
	return p, nil
}

type makePatrolInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		PatrolTerms
		Grid       string       `json:"grid" minLength:"1" maxLength:"64" doc:"Code of the grid that it is of"`
		Targets    string       `json:"targets" enum:"grid,grids,layer,points" doc:"The grid itself, the grids below it, the points of a layer that lie in it, or places given here"`
		Level      int          `json:"level,omitempty" minimum:"1" maximum:"6" doc:"Of grids: those of this level; those without a grid below when left out"`
		Layer      string       `json:"layer,omitempty" maxLength:"32" doc:"Of layer: its code; one of points that workers may see"`
		Points     []PatrolSpot `json:"points,omitempty" maxItems:"500" doc:"Of points: the places, within the grid"`
		Department string       `json:"department,omitempty" maxLength:"100" doc:"Whose people visit, and tell it by word; else the workers who serve there, whose fixes prove it"`
	}
}

type patrolOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		PatrolItem
		Repeated bool `json:"repeated,omitempty" doc:"An earlier request with this key did it"`
	}
}

func (s *Server) doPatrol(ctx context.Context, a caller, c ledger.Command) (*patrolOutput, error) {
	c.RequestID = requestID(ctx)
	res, err := s.o.Ledger.Do(ctx, a.Actor, c)
	if err != nil {
		return nil, err
	}
	out := &patrolOutput{ETag: fmt.Sprintf(`"%d"`, res.Patrol.Ver)}
	out.Body.PatrolItem, out.Body.Repeated = s.patrolItem(res.Patrol), res.Repeated
	return out, nil
}

func (s *Server) makePatrol(ctx context.Context, a caller, in *makePatrolInput) (*patrolOutput, error) {
	terms, err := patrolOf(in.Body.PatrolTerms)
	if err != nil {
		return nil, err
	}
	n, root, err := s.gridNamed(a.Scope, in.Body.Grid, "")
	if err != nil {
		return nil, err
	}
	b := in.Body
	if terms.Times.First == (calendar.Date{}) {
		terms.Times.First = calendar.DateOf(s.o.Now())
	}
	p := store.Patrol{Patrol: terms, Root: string(root.Code), GridCode: string(n.Code), GridNo: n.No, Targets: store.PatrolTargets(b.Targets), Level: b.Level, Layer: b.Layer}
	if (b.Targets == "layer") != (b.Layer != "") || (b.Targets == "points") != (len(b.Points) > 0) || b.Targets != "grids" && b.Level != 0 {
		return nil, problem(http.StatusUnprocessableEntity, "targets: a layer is named for layer alone, points for points alone, a level for grids alone")
	}
	if b.Department != "" {
		if p.Department, err = s.department(b.Department); err != nil {
			return nil, err
		}
	}
	if b.Layer != "" {
		if err := s.patrolLayer(a, p); err != nil {
			return nil, err
		}
	}
	for i, x := range b.Points {
		spot := store.PatrolPoint{N: i + 1}
		if spot.Name, err = cleanText("points", x.Name); err != nil {
			return nil, err
		}
		if spot.Raw, spot.P, err = placeOf(x.Lon, x.Lat, x.CRS); err != nil {
			return nil, err
		}
		p.Points = append(p.Points, spot)
	}
	return s.doPatrol(ctx, a, ledger.Command{
		Key: in.Key, Request: sha256.Sum256(append([]byte("patrol\n"), bodyOf(ctx)...)), Patrol: &ledger.PatrolCommand{Patrol: p},
	})
}

// patrolLayer finds the layer of points that a patrol visits: one that its maker sees,
// and that those may who visit, and are told its names and places.
func (s *Server) patrolLayer(a caller, p store.Patrol) error {
	code := p.Layer
	set := s.o.Layers().Named(code)
	if set == nil || set.Root != p.Root || code == layer.Cameras {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("layer: there is no layer %q", code))
	}
	if _, err := set.Decide(a.Actor); err != nil {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("layer: there is no layer %q", code))
	}
	if set.Geometry != layer.Point {
		return problem(http.StatusUnprocessableEntity, "layer: only points are visited, and this one has none")
	}
	if !auth.LayerShownTo(p.VisitedBy(), set.Access) {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("layer: those who visit (%s) may not see this one; let them (access), or name the places by points", p.VisitedBy()))
	}
	return nil
}

type patrolsInput struct {
	IDPage
	State string `query:"state" enum:"running,ended"`
	Grid  string `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
}

type patrolsOutput struct {
	Body struct {
		Items  []PatrolItem `json:"items"`
		Cursor *string      `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

// numbersUnder is the numbers of a grid in scope, and of those below it, in every
// boundary set.
func (s *Server) numbersUnder(ctx context.Context, a caller, code string) (out []auth.Interval, err error) {
	t := s.o.Catalogue.Now().Tree
	grids := visible(t, a.Scope, code)
	if len(grids) == 0 {
		return nil, errNoGrid
	}
	for _, i := range grids {
		numbers, err := s.o.Reads.NumbersOf(ctx, string(t.Nodes()[t.Path(i)[0]].Code), code)
		if err != nil {
			return nil, err
		}
		out = append(out, numbers...)
	}
	return out, nil
}

func (s *Server) listPatrols(ctx context.Context, a caller, in *patrolsInput) (*patrolsOutput, error) {
	before, err := in.afterID()
	if err != nil {
		return nil, err
	}
	f := store.PatrolFilter{State: in.State, Before: before, Limit: in.Limit + 1} // one more tells whether there is a next page
	if in.Grid != "" {
		if f.Grids, err = s.numbersUnder(ctx, a, in.Grid); err != nil {
			return nil, err
		}
	}
	rows, err := s.reads(a).Patrols(ctx, a.Scope, f)
	if err != nil {
		return nil, err
	}
	out := &patrolsOutput{}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		c := fmt.Sprint(rows[in.Limit-1].ID)
		out.Body.Cursor = &c
	}
	if err := store.CountVisits(ctx, s.reads(a).Pool, rows); err != nil {
		return nil, err
	}
	out.Body.Items = make([]PatrolItem, len(rows))
	for i, p := range rows {
		out.Body.Items[i] = s.patrolItem(p)
	}
	return out, nil
}

type changePatrolInput struct {
	ID      int64  `path:"id" minimum:"1"`
	IfMatch string `header:"If-Match" doc:"The patrol's version as its ETag gave it, in quotes"`
	Body    PatrolTerms
}

func (s *Server) changePatrol(ctx context.Context, a caller, in *changePatrolInput) (*patrolOutput, error) {
	seen, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	terms, err := patrolOf(in.Body)
	if err != nil {
		return nil, err
	}
	p := store.Patrol{Patrol: terms}
	p.ID = in.ID
	return s.doPatrol(ctx, a, ledger.Command{Patrol: &ledger.PatrolCommand{Patrol: p, Seen: seen}})
}

type endPatrolInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (s *Server) endPatrol(ctx context.Context, a caller, in *endPatrolInput) (*patrolOutput, error) {
	reason, err := cleanText("reason", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	p := store.Patrol{}
	p.ID = in.ID
	return s.doPatrol(ctx, a, ledger.Command{Patrol: &ledger.PatrolCommand{Patrol: p, End: true, Why: strings.TrimSpace(reason)}})
}
