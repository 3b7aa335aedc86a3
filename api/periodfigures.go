// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/analysis"
	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

// FigureCount is a number of something.
type FigureCount struct {
	N    *int   `json:"n" doc:"Null when it is too small to be told"`
	Rows string `json:"rows,omitempty" doc:"The query of GET /api/v1/incidents that lists exactly these"`
}

// FigureShare is n of of. It is never told without both.
type FigureShare struct {
	N      *int     `json:"n" doc:"Null when it is too small to be told"`
	Of     *int     `json:"of"`
	Rate   *float64 `json:"rate" doc:"n of of, to four digits; null without any"`
	Rows   string   `json:"rows,omitempty" doc:"The query of GET /api/v1/incidents that lists exactly the n"`
	OfRows string   `json:"of_rows,omitempty" doc:"Likewise the of"`
}

// LevelShare is what one level solved.
type LevelShare struct {
	Level int    `json:"level" doc:"0: it is not known which"`
	Name  string `json:"name"`
	FigureShare
}

// FigureMean is a mean over n.
type FigureMean struct {
	Mean *float64 `json:"mean" doc:"To four digits; null without any"`
	N    *int     `json:"n"`
	Rows string   `json:"rows,omitempty"`
}

// OnTimeFigure is how limits were kept.
type OnTimeFigure struct {
	FigureShare
	Unchecked   FigureCount `json:"unchecked" doc:"Of those due: done in time, and not closed yet"`
	Late        FigureCount `json:"late" doc:"Of those due: not done in time"`
	Provisional FigureCount `json:"provisional" doc:"Of those due: by a limit that passed days of a year whose holidays are not known"`
	Extended    FigureCount `json:"extended" doc:"Of those due: by a limit that was put off with approval"`
	Standing    FigureCount `json:"standing" doc:"Not due: put aside before the limit, which has passed meanwhile"`
	Elsewhere   FigureCount `json:"elsewhere" doc:"Not due: void, merged, refused or transferred"`
}

// RatingFigure is what reporters said when they were called back.
type RatingFigure struct {
	FigureShare
	Fully       FigureCount `json:"fully" doc:"Satisfied 满意"`
	Basically   FigureCount `json:"basically" doc:"Basically satisfied 基本满意"`
	Unsatisfied FigureCount `json:"unsatisfied" doc:"Unsatisfied 不满意"`
	Unreached   FigureCount `json:"unreached" doc:"Not reached, so not rated"`
	Owed        FigureCount `json:"owed" doc:"Not called yet"`
}

// FigureLine is the figures of all incidents, or of one group of them.
type FigureLine struct {
	Reported    FigureCount  `json:"reported" doc:"Reported in the period"`
	NotLocated  FigureShare  `json:"not_located" doc:"Of those reported: without a place"`
	Outside     FigureShare  `json:"outside" doc:"Of those reported: outside every grid"`
	Closed      FigureCount  `json:"closed" doc:"Closed in the period, and closed still"`
	Solved      []LevelShare `json:"solved" doc:"Of those closed: solved at each level"`
	OnTheSpot   FigureShare  `json:"on_the_spot" doc:"Of those closed: solved at once by the worker who reported them"`
	Reopened    FigureShare  `json:"reopened" doc:"Of those closed: opened again once before"`
	NoLimit     FigureShare  `json:"no_limit" doc:"Of those closed: without a limit"`
	WorkingDays FigureMean   `json:"working_days" doc:"Mean working days from report to close, of those closed"`
	OnTime      OnTimeFigure `json:"on_time" doc:"Closed and done in time, of those due in the period"`
	Satisfied   RatingFigure `json:"satisfied" doc:"Call-backs that were satisfied or basically so, of those rated, about those closed"`
	Chosen      FigureCount  `json:"chosen" doc:"Acts of choosing whom to send, in the period"`
	Overridden  FigureShare  `json:"overridden" doc:"Others were chosen than those advised first, of the acts in which anybody was advised"`
	Open        *FigureCount `json:"open,omitempty" doc:"Open as of as_of.time, whenever reported; not of a period to compare with"`
	Overdue     *FigureShare `json:"overdue,omitempty" doc:"Of those open: past the limit of the stage they are in"`
}

// FigureGroup is the figures of one level, grid, department or category.
type FigureGroup struct {
	Code string `json:"code" doc:"Level, grid code, or category code; of a department its name; none for no department"`
	Name string `json:"name"`
	FigureLine
}

// PeriodFigures are the figures of a period.
type PeriodFigures struct {
	AsOf struct {
		Seq  int64     `json:"seq"`
		Time time.Time `json:"time" doc:"Limits that end later do not count yet"`
	} `json:"as_of"`
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	By     string        `json:"by,omitempty"`
	Total  FigureLine    `json:"total"`
	Groups []FigureGroup `json:"groups"`
	Before []FiguresThen `json:"before,omitempty" doc:"The periods to compare with, as asked for"`
}

// FiguresThen are the figures of an earlier period of the same length, from the same
// snapshot.
type FiguresThen struct {
	Which  string        `json:"which" enum:"weeks,year"`
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to"`
	Total  FigureLine    `json:"total"`
	Groups []FigureGroup `json:"groups"`
}

// PeriodQuestion is what figures of a period are asked by.
type PeriodQuestion struct {
	From       time.Time `query:"from" required:"true" doc:"The period begins"`
	To         time.Time `query:"to" required:"true" doc:"The period ends before; at most 366 days later"`
	By         string    `query:"by" enum:"level,grid,department,category" doc:"Told by: the level, the grids next below, the department, the category next below"`
	Grid       string    `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
	Category   string    `query:"category" maxLength:"16" doc:"A category, or a top category with all below it"`
	Department string    `query:"department" maxLength:"100" doc:"A department by its name"`
}

type periodFiguresInput struct {
	PeriodQuestion
	Before []string `query:"before" enum:"weeks,year" maxItems:"2" doc:"Also the periods to compare with: as many whole weeks earlier as the period needs, and 52 weeks earlier or more"`
}

// then are the earlier periods asked for. Whole weeks lie between, so that the days of
// the week are the same.
func (in *periodFiguresInput) then() (out []analysis.Period) {
	const week = 7 * 24 * time.Hour
	weeks := int((in.To.Sub(in.From) + week - 1) / week)
	for _, which := range in.Before {
		back := weeks
		if which == "year" {
			back = max(weeks, 52)
		}
		out = append(out, analysis.Period{From: in.From.AddDate(0, 0, -7*back), To: in.To.AddDate(0, 0, -7*back)})
	}
	return out
}

type periodFiguresOutput struct{ Body PeriodFigures }

// A year of half a million incidents takes seconds to count: docs/FIGURES.md.
const (
	countTime    = 20 * time.Second    // less than a statement may take (store.Open)
	countsAtOnce = 2                   // of periods longer than shortCount
	shortCount   = 31 * 24 * time.Hour // what is shorter is counted beside them
)

func (s *Server) periodFigures() {
	route(s, need{auth.Read, auth.Figures}, huma.Operation{
		Metadata:    map[string]any{patient: countTime},
		OperationID: "figures", Method: http.MethodGet, Path: "/api/v1/figures", Tags: []string{"figures"},
		Summary: "Figures of a period: solved by level, working days, in time, reopened, satisfied, advice overridden", Errors: []int{404, 422},
		Description: "Each rate with what it is of, and with the query that lists its incidents. docs/FIGURES.md defines them. " +
			"With before the earlier periods are of the same snapshot. Who reads no cases is told one line of one whole week, without categories whose place is not shown and without numbers from 1 to 4.",
	}, func(ctx context.Context, a caller, in *periodFiguresInput) (*periodFiguresOutput, error) {
		if len(in.Before) == 2 && in.Before[0] == in.Before[1] {
			return nil, problem(http.StatusUnprocessableEntity, "before: name each once")
		}
		return s.figuresOfPeriod(ctx, a, in)
	})
}

func (s *Server) figuresOfPeriod(ctx context.Context, a caller, asked *periodFiguresInput) (*periodFiguresOutput, error) {
	in := &asked.PeriodQuestion
	if d := in.To.Sub(in.From); d <= 0 || d > longestResponse {
		return nil, problem(http.StatusUnprocessableEntity, "give a period: to after from, by 366 days at most")
	}
	if in.From.Year() < firstYear { // a year before the first cannot even be written down in an answer
		return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("periods begin in %d or later", firstYear))
	}
	if a.View != auth.CaseView {
		from, to, err := s.oneWeek(people.Local(in.From).Format(time.DateOnly), people.Local(in.To).Format(time.DateOnly))
		if err == nil && (!from.Equal(in.From) || !to.Equal(in.To)) {
			err = errOneWeek
		}
		if err != nil {
			return nil, err
		}
	}
	narrow, err := s.filter(ctx, a, &listInput{Grid: in.Grid, Category: in.Category, Department: in.Department})
	if err != nil {
		return nil, err
	}
	f := store.FigureFilter{Period: analysis.Period{From: in.From, To: in.To}, Grids: narrow.Grids, Category: in.Category, By: store.FiguresBy(in.By)}
	if narrow.Department != nil {
		if f.Department = *narrow.Department; f.Department == 0 {
			return nil, problem(http.StatusUnprocessableEntity, "name a department")
		}
	}
	if in.To.Sub(in.From) > shortCount {
		if err := s.await(ctx, s.counting, "busy_figures"); err != nil {
			return nil, err
		}
		defer func() { <-s.counting }()
	}
	cat, now := s.o.Catalogue.Now(), s.o.Now()
	before := asked.then()
	counted, err := s.reads(a).PeriodFigures(ctx, a.Scope, a.View, f, cat.Clocks.Calendar, now, before...)
	if err != nil {
		return nil, outOfTime(ctx, err, in.To.Sub(in.From))
	}
	out := &periodFiguresOutput{}
	b := &out.Body
	b.AsOf.Seq, b.AsOf.Time, b.From, b.To, b.By = int64(counted.Seq), now, in.From, in.To, in.By
	w := figureWriter{cat: cat, in: in, shared: a.View != auth.CaseView, now: true}
	all, lines, err := s.figureLines(ctx, w, counted.Groups)
	if err != nil {
		return nil, err
	}
	found := something(all)
	b.Total, b.Groups = w.line(all, rowsOf(in, "", "")), lines
	for i, p := range before {
		then := *in
		then.From, then.To = p.From, p.To
		w := figureWriter{cat: cat, in: &then, shared: w.shared}
		all, lines, err := s.figureLines(ctx, w, counted.Before[i])
		if err != nil {
			return nil, err
		}
		found = found || something(all)
		b.Before = append(b.Before, FiguresThen{asked.Before[i], p.From, p.To, w.line(all, rowsOf(&then, "", "")), lines})
	}
	if narrow.MustFind && !found {
		return nil, errNoGrid
	}
	return out, nil
}

// something says whether anything was counted.
func something(c analysis.Counts) bool {
	return c.Reported+c.Closed+c.Due()+c.Standing+c.Elsewhere+c.Chosen+c.Open > 0
}

// figureLines are the counts of all, and the lines of the groups.
func (s *Server) figureLines(ctx context.Context, w figureWriter, counted map[string]analysis.Counts) (all analysis.Counts, lines []FigureGroup, err error) {
	for _, c := range counted {
		all.Add(c)
	}
	groups, err := s.figureGroups(ctx, w.in, counted)
	lines = []FigureGroup{}
	for _, g := range groups {
		lines = append(lines, FigureGroup{g.code, g.name, w.line(g.counts, g.rows)})
	}
	return all, lines, err
}

// outOfTime is err, or that a long period is too much to be counted in its time. Of a
// short one it is the database that is slow: that is err, which says to come again.
func outOfTime(ctx context.Context, err error, period time.Duration) error {
	if period > shortCount && store.Unavailable(err) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return problem(http.StatusUnprocessableEntity, fmt.Sprintf("this is too much to be counted within %.0f seconds: ask for a shorter period", countTime.Seconds()))
	}
	return err
}

// figureGroup is one group of incidents, and the query that lists them; nil where no
// query does.
type figureGroup struct {
	code, name string
	counts     analysis.Counts
	rows       url.Values
	order      int
}

// figureGroups are the groups that the keys of the store belong to, in order.
func (s *Server) figureGroups(ctx context.Context, in *PeriodQuestion, counted map[string]analysis.Counts) ([]*figureGroup, error) {
	if in.By == "" {
		return nil, nil
	}
	groups := map[string]*figureGroup{}
	put := func(g figureGroup, c analysis.Counts) {
		if groups[g.code] == nil {
			groups[g.code] = &g
		}
		groups[g.code].counts.Add(c)
	}
	cat := s.o.Catalogue.Now()
	for key, c := range counted {
		g, err := s.figureGroup(ctx, cat, in, key)
		if err != nil {
			return nil, err
		}
		put(g, c)
	}
	if in.By == "level" { // of whom none is told, too
		for l := 1; l <= max(depth(cat.Tree), len(cat.Centre.Levels)); l++ {
			g, _ := s.figureGroup(ctx, cat, in, strconv.Itoa(l))
			put(g, analysis.Counts{})
		}
	}
	var out []*figureGroup
	for _, g := range groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(x, y *figureGroup) int { return cmp.Or(cmp.Compare(x.order, y.order), cmp.Compare(x.code, y.code)) })
	return out, nil
}

// figureGroup is the group that a key of the store belongs to.
func (s *Server) figureGroup(ctx context.Context, cat *store.Catalog, in *PeriodQuestion, key string) (figureGroup, error) {
	switch in.By {
	case "level":
		l, err := strconv.Atoi(key)
		name := cat.Centre.Level(l)
		if l == 0 {
			name = "未知"
		}
		return figureGroup{code: key, name: name, rows: rowsOf(in, "level", key), order: cmp.Or(l, analysis.MaxLevel+1)}, err
	case "department":
		id, err := strconv.ParseInt(key, 10, 64)
		if id == 0 {
			return figureGroup{code: noDepartment, name: "无牵头部门", rows: rowsOf(in, "department", noDepartment), order: 1}, err
		}
		return figureGroup{code: cat.DeptNames[id], name: cat.DeptNames[id], rows: rowsOf(in, "department", cat.DeptNames[id])}, err
	case "category":
		if k := cat.Categories[key]; in.Category == "" && k.Parent != "" {
			key = k.Parent
		}
		return figureGroup{code: key, name: cat.Categories[key].NameZH, rows: rowsOf(in, "category", key), order: slices.Index(cat.Order, key)}, nil
	default:
		return s.figureGrid(ctx, in, key)
	}
}

// figureGrid is the grid next below the one asked for that a grid lies in, or the one
// asked for itself for what lies there and no deeper.
func (s *Server) figureGrid(ctx context.Context, in *PeriodQuestion, key string) (figureGroup, error) {
	id, err := strconv.ParseInt(key, 10, 64)
	if err != nil {
		return figureGroup{}, err
	}
	path, err := s.o.Catalogue.Path(ctx, id)
	if err != nil || len(path) == 0 {
		return figureGroup{}, err
	}
	at := 0
	if in.Grid != "" {
		at = max(0, slices.IndexFunc(path, func(g store.GridRef) bool { return g.Code == in.Grid }))
	}
	if at+1 == len(path) { // no query lists what lies in a grid and in none below it
		return figureGroup{code: path[at].Code, name: path[at].Name, order: 1}, nil
	}
	g := figureGroup{code: path[at+1].Code, name: path[at+1].Name}
	tree := s.o.Catalogue.Now().Tree
	for i, n := range tree.Nodes() {
		if string(n.Code) == g.code && string(tree.Nodes()[tree.Path(i)[0]].Code) == path[0].Code { // a grid that is no more is no filter
			g.name, g.rows = n.Name, rowsOf(in, "grid", g.code)
			break
		}
	}
	return g, nil
}

// rowsOf is the query of the list that the answer is narrowed to, and by one more
// parameter.
func rowsOf(in *PeriodQuestion, name, value string) url.Values {
	v := url.Values{}
	for k, text := range map[string]string{"grid": in.Grid, "category": in.Category, "department": in.Department} {
		if text != "" {
			v.Set(k, text)
		}
	}
	if name != "" {
		v.Set(name, value)
	}
	return v
}
