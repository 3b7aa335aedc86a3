// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paulmach/orb"

	"onemap/analysis"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/cell"
	"onemap/store"
)

type listInput struct {
	BBox     []float64 `query:"bbox" minItems:"4" maxItems:"4" doc:"west,south,east,north in WGS-84"`
	From     time.Time `query:"from" doc:"Reported at or after"`
	To       time.Time `query:"to" doc:"Reported before"`
	Category string    `query:"category" maxLength:"16" doc:"A category, or a top category with all below it"`
	State    []string  `query:"state" maxItems:"20"`
	Open     string    `query:"open" enum:"true,false"`
	Grid     string    `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
	Cell     string    `query:"cell" maxLength:"16" doc:"H3 index of resolution 6 to 9; without incidents whose place is never shown, like hot spots"`
	Text     string    `query:"text" maxLength:"64"`
	Overdue  string    `query:"overdue" enum:"true,false"`
	Limit    int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor   string    `query:"cursor" maxLength:"64"`
	Accept   string    `header:"Accept"`

	// what opens figures into their rows
	ClosedFrom time.Time `query:"closed_from" doc:"Closed at or after, and closed still; with closed_to"`
	ClosedTo   time.Time `query:"closed_to" doc:"Closed before"`
	DueFrom    time.Time `query:"due_from" doc:"The limit it is judged by ended at or after, and has ended by now; with due_to"`
	DueTo      time.Time `query:"due_to" doc:"The limit it is judged by ended before"`
	Outcome    []string  `query:"outcome" maxItems:"5" enum:"in_time,unchecked,late,standing,elsewhere" doc:"With due_from: what became of the limit"`
	Level      string    `query:"level" enum:"0,1,2,3,4,5,6" doc:"With due_from whose limit it was, with closed_from who solved it (0: not known), else who owns it"`
	Department string    `query:"department" maxLength:"100" doc:"The lead department by its name, none for no department; with due_from whose limit it was"`
	Place      string    `query:"place" enum:"in_grid,outside,none" doc:"How well its place is known"`
	Reopened   string    `query:"reopened" enum:"true,false" doc:"It was closed before"`
	OnTheSpot  string    `query:"on_the_spot" enum:"true,false" doc:"Solved at once by the worker who reported it"`
	NoLimit    string    `query:"no_limit" enum:"true,false" doc:"It has no limit"`
}

// noDepartment stands for no department where one is named.
const noDepartment = "none"

// IncidentList is a page of incidents.
type IncidentList struct {
	Items  []store.PublicIncident `json:"items"`
	Cursor *string                `json:"cursor" doc:"Send it back for the next page; null on the last"`
}

type listOutput struct {
	ContentType string `header:"Content-Type"`
	Body        any
}

func (s *Server) listIncidents(ctx context.Context, a caller, in *listInput) (*listOutput, error) {
	f, err := s.filter(ctx, a, in)
	if err != nil {
		return nil, err
	}
	f.Limit = in.Limit + 1 // one more tells whether there is a next page
	rows, err := s.reads(a).Incidents(ctx, a.Scope, a.View, f)
	if err != nil {
		return nil, err
	}
	if f.MustFind && len(rows) == 0 {
		return nil, errNoGrid
	}
	list := IncidentList{Items: []store.PublicIncident{}}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		c := cursorOf(rows[in.Limit-1])
		list.Cursor = &c
	}
	for _, r := range rows {
		p, err := s.o.Catalogue.Public(ctx, r, a.View)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, p)
	}
	if wantsFeatures(in.Accept) {
		return &listOutput{"application/geo+json", incidentFeatures(list)}, nil
	}
	return &listOutput{"application/json", list}, nil
}

// filter reads the filter of a list. A grid that its reader may not see is none.
func (s *Server) filter(ctx context.Context, c caller, in *listInput) (store.IncidentFilter, error) {
	if err := s.isCategory(in.Category); err != nil {
		return store.IncidentFilter{}, err
	}
	f := store.IncidentFilter{From: in.From, To: in.To, Category: in.Category, TopCategory: s.o.Catalogue.Now().Categories[in.Category].Parent == "", States: in.State, Text: in.Text, At: s.o.Now()}
	if len(in.BBox) == 4 {
		b := orb.Bound{Min: orb.Point{in.BBox[0], in.BBox[1]}, Max: orb.Point{in.BBox[2], in.BBox[3]}}
		if !(b.Min[0] <= b.Max[0] && b.Min[1] <= b.Max[1] && b.Min[0] >= -180 && b.Max[0] <= 180 && b.Min[1] >= -90 && b.Max[1] <= 90) {
			return f, problem(http.StatusUnprocessableEntity, "bbox must be west,south,east,north in degrees, not across the date line")
		}
		f.Bound = &b
	}
	if !in.From.IsZero() && !in.To.IsZero() && in.To.Before(in.From) {
		return f, problem(http.StatusUnprocessableEntity, "the period ends before it begins")
	}
	for _, st := range in.State {
		if !knownState(st) {
			return f, problem(http.StatusUnprocessableEntity, fmt.Sprintf("unknown state %q", st))
		}
	}
	if in.Cell != "" {
		at, err := cell.Parse(in.Cell)
		if err != nil || at.Res() < 6 || at.Res() > 9 {
			return f, problem(http.StatusUnprocessableEntity, "cell must be an H3 index of resolution 6 to 9")
		}
		f.Cell = at
	}
	f.Open, f.Overdue = flag(in.Open), flag(in.Overdue)
	if err := s.figureRows(&f, in); err != nil {
		return f, err
	}
	if in.Grid != "" {
		if c.View != auth.CaseView {
			return f, store.ErrFinerThanView // whether there is such a grid or not
		}
		d, err := auth.Decide(c.Actor, auth.Read, auth.Grid)
		if err != nil {
			return f, err
		}
		t := s.o.Catalogue.Now().Tree
		grids := visible(t, d.Scope, in.Grid)
		if f.MustFind = len(grids) == 0; f.MustFind { // a worker's own incident may lie in another's grid
			grids = visible(t, c.Scope, in.Grid)
		}
		if len(grids) == 0 {
			return f, errNoGrid
		}
		for _, i := range grids { // closed incidents stand in the grids of their time
			numbers, err := s.o.Reads.NumbersOf(ctx, string(t.Nodes()[t.Path(i)[0]].Code), in.Grid)
			if err != nil {
				return f, err
			}
			f.Grids = append(f.Grids, numbers...)
		}
	}
	if in.Cursor != "" {
		c, err := parseCursor(in.Cursor)
		if err != nil {
			return f, problem(http.StatusBadRequest, "cursor is not one this server gave out")
		}
		f.After = &c
	}
	return f, nil
}

// isCategory refuses a code that no category has; "" asks for all.
func (s *Server) isCategory(code string) error {
	if _, known := s.o.Catalogue.Now().Categories[code]; !known && code != "" {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("there is no category %.40q", code))
	}
	return nil
}

// figureRows reads the part of a filter that opens figures into their rows.
func (s *Server) figureRows(f *store.IncidentFilter, in *listInput) error {
	for _, p := range []struct {
		from, to time.Time
		into     **analysis.Period
	}{{in.ClosedFrom, in.ClosedTo, &f.Closed}, {in.DueFrom, in.DueTo, &f.Due}} {
		switch {
		case p.from.IsZero() && p.to.IsZero():
		case p.from.IsZero() || !p.to.After(p.from):
			return problem(http.StatusUnprocessableEntity, "closed_from and closed_to, or due_from and due_to, go together, and the period ends after it begins")
		default:
			*p.into = &analysis.Period{From: p.from, To: p.to}
		}
	}
	if len(in.Outcome) > 0 && f.Due == nil {
		return problem(http.StatusUnprocessableEntity, "outcome is for due_from and due_to")
	}
	f.Outcomes, f.Place = in.Outcome, in.Place
	f.Reopened, f.OnTheSpot, f.NoLimit = flag(in.Reopened), flag(in.OnTheSpot), flag(in.NoLimit)
	if in.Level != "" {
		l, err := strconv.Atoi(in.Level)
		if err != nil {
			return problem(http.StatusBadRequest, "level is a number")
		}
		f.Level = &l
	}
	if in.Department != "" {
		id := s.o.Catalogue.Now().Departments[in.Department]
		if id == 0 && in.Department != noDepartment {
			return problem(http.StatusUnprocessableEntity, fmt.Sprintf("there is no department %q", in.Department))
		}
		f.Department = &id
	}
	return nil
}

func knownState(s string) bool {
	for _, k := range dispatch.States {
		if string(k) == s {
			return true
		}
	}
	return false
}

func flag(s string) *bool {
	if s == "" {
		return nil
	}
	v := s == "true"
	return &v
}

func cursorOf(in store.Incident) string {
	return base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf("%d.%d", in.ReportedAt.UnixMicro(), in.ID)))
}

func parseCursor(s string) (store.IncidentCursor, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return store.IncidentCursor{}, err
	}
	us, id, _ := strings.Cut(string(raw), ".")
	at, err1 := strconv.ParseInt(us, 10, 64)
	n, err2 := strconv.ParseInt(id, 10, 64)
	if err1 != nil || err2 != nil {
		return store.IncidentCursor{}, fmt.Errorf("bad cursor")
	}
	return store.IncidentCursor{ReportedAt: time.UnixMicro(at), ID: n}, nil
}
