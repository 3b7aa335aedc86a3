// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo/grid"
	"onemap/store"
)

// BulletinTold is what a bulletin tells. It is stored as it is encoded here, so what is
// told later may have more in it, and what was stored stays.
type BulletinTold struct {
	BulletinHead
	Weeks   []BulletinWeek     `json:"weeks" doc:"The week, the one before, and that of 52 weeks before"`
	Hot     BulletinHots       `json:"hot"`
	Notices store.NoticeCounts `json:"notices"`
}

// BulletinHead says of what and as of when a bulletin is.
type BulletinHead struct {
	Centre   string `json:"centre"`
	Grid     string `json:"grid"`
	GridName string `json:"grid_name"`
	Week     string `json:"week"`
	AsOf     AsOf   `json:"as_of"`
}

// BulletinWeek is the figures of one week. What is open now stands with the first alone.
type BulletinWeek struct {
	From        time.Time     `json:"from"`
	To          time.Time     `json:"to"`
	Total       FigureLine    `json:"total"`
	Towns       []FigureGroup `json:"towns" doc:"The grids next below"`
	Departments []FigureGroup `json:"departments"`
	Categories  []FigureGroup `json:"categories" doc:"The top ones"`
}

// BulletinHots are the cells with more than chance brings, the hottest first.
type BulletinHots struct {
	Res    int           `json:"res" doc:"0 where the area is too large for cells"`
	Hot    int           `json:"hot" doc:"How many there are; the first 10 are told"`
	TooFew int           `json:"too_few" doc:"Cells that are not tested"`
	Cells  []BulletinHot `json:"cells"`
}

// BulletinHot is one of them.
type BulletinHot struct {
	Cell  string `json:"cell"`
	Class string `json:"class"`
	Count int    `json:"count"`
	Town  string `json:"town" doc:"The grid next below that its middle lies in"`
}

// BulletinOutside is what of a bulletin may be told to everybody.
type BulletinOutside struct {
	BulletinHead
	Weeks   []OutsideWeek       `json:"weeks" doc:"The week alone: the others were told by bulletins of their own, and one less the other could be a small number"`
	Notices *store.NoticeCounts `json:"notices" doc:"Null where one of its numbers, or one less another, is from 1 to 4"`
}

// tellable is the counts, nil where one of them, or what is left of one without another, is
// below k.
func tellable(n store.NoticeCounts) *store.NoticeCounts {
	for _, v := range []int{n.Made, n.Read, n.Replied, n.Made - n.Read, n.Made - n.Replied, n.Read - n.Replied} {
		if v = max(v, -v); v > 0 && v < auth.K {
			return nil
		}
	}
	return &n
}

// OutsideWeek is one week without numbers from 1 to 4.
type OutsideWeek struct {
	From        time.Time      `json:"from"`
	To          time.Time      `json:"to"`
	Total       FigureLine     `json:"total"`
	Towns       []OutsideCount `json:"towns"`
	Departments []OutsideCount `json:"departments"`
	Categories  []OutsideCount `json:"categories"`
}

// OutsideCount is how many were reported, by one group.
type OutsideCount struct {
	Code   string `json:"code"`
	Name   string `json:"name"`
	N      *int   `json:"n" doc:"Null when it is not told"`
	Merged bool   `json:"merged,omitempty" doc:"It is part of the rest, 其余"`
}

// bulletinWriter counts one bulletin.
type bulletinWriter struct {
	s     *Server
	a     caller
	cat   *store.Catalog
	at    int // the grid, in the tree
	grids []auth.Interval
	weeks []analysis.Period
	study *analysis.Study // nil for an area that is too large
	res   int
	now   time.Time
}

// newBulletinWriter gets ready what needs no snapshot; at is a place in the tree of cat.
func (s *Server) newBulletinWriter(ctx context.Context, a caller, cat *store.Catalog, at int, monday time.Time) (*bulletinWriter, error) {
	w := &bulletinWriter{s: s, a: a, cat: cat, at: at, now: s.o.Now().Truncate(time.Microsecond)}
	for _, days := range []int{0, 7, 364} {
		from := monday.AddDate(0, 0, -days)
		w.weeks = append(w.weeks, analysis.Period{From: from, To: from.AddDate(0, 0, 7)})
	}
	var err error
	if w.grids, err = s.o.Reads.NumbersOf(ctx, w.root(), string(w.node().Code)); err != nil {
		return nil, err
	}
	for res := 8; res >= 6 && w.study == nil; res-- {
		study, err := s.studies.Of(ctx, w.cat.Tree, []int{at}, res, 2)
		switch {
		case err == nil:
			w.study, w.res = study, res
		case !errors.Is(err, analysis.ErrTooFine):
			return nil, err
		}
	}
	return w, nil
}

func (w *bulletinWriter) node() *grid.Node { return &w.cat.Tree.Nodes()[w.at] }

// root is the code of the county.
func (w *bulletinWriter) root() string {
	return string(w.cat.Tree.Nodes()[w.cat.Tree.Path(w.at)[0]].Code)
}

// tell counts the bulletin inside one snapshot.
func (w *bulletinWriter) tell(ctx context.Context, tx pgx.Tx) (store.Bulletin, error) {
	n := w.node()
	b := store.Bulletin{Root: w.root(), Grid: string(n.Code), GridNo: n.No, Name: n.Name, Week: w.weeks[0].From, MadeBy: w.a.ID, MadeAt: w.now}
	var err error
	if b.Seq, err = store.Head(ctx, tx); err != nil {
		return b, err
	}
	head := BulletinHead{w.cat.Centre.Name, b.Grid, b.Name, b.Week.Format(time.DateOnly), AsOf{int64(b.Seq), w.now}}
	told := BulletinTold{BulletinHead: head, Weeks: make([]BulletinWeek, len(w.weeks))}
	outside := BulletinOutside{BulletinHead: head, Weeks: make([]OutsideWeek, len(w.weeks))}
	for i, p := range w.weeks {
		told.Weeks[i].From, told.Weeks[i].To = p.From, p.To
		outside.Weeks[i].From, outside.Weeks[i].To = p.From, p.To
	}
	for _, by := range []store.FiguresBy{store.ByGrid, store.ByDepartment, store.ByCategory} {
		f := store.FigureFilter{Period: w.weeks[0], Grids: w.grids, By: by}
		now, before, err := store.CountFigures(ctx, tx, w.a.Scope, w.a.View, f, w.cat.Clocks.Calendar, w.now, w.weeks[1:]...)
		if err != nil {
			return b, err
		}
		for i, counted := range append([]map[string]analysis.Counts{now}, before...) {
			if err := w.table(ctx, by, counted, i == 0, &told.Weeks[i], &outside.Weeks[i]); err != nil {
				return b, err
			}
		}
	}
	if told.Hot, err = w.hot(ctx, tx); err != nil {
		return b, err
	}
	if told.Notices, err = store.CountNotices(ctx, tx, w.grids, w.weeks[0]); err != nil {
		return b, err
	}
	outside.Notices = tellable(told.Notices)
	if b.Body, err = json.Marshal(told); err != nil {
		return b, err
	}
	outside.Weeks = outside.Weeks[:1] // the others were told as of other moments: one less the other would tell
	if b.Grid == b.Root {             // of grids that lie in each other one less the other would tell
		b.Outside, err = json.Marshal(outside)
	}
	return b, err
}

// table tells the groups of one week by one thing, and by grids the total.
func (w *bulletinWriter) table(ctx context.Context, by store.FiguresBy, counted map[string]analysis.Counts, now bool, told *BulletinWeek, outside *OutsideWeek) error {
	in := &PeriodQuestion{By: string(by), Grid: string(w.node().Code)}
	groups, err := w.s.figureGroups(ctx, in, counted)
	if err != nil {
		return err
	}
	fw := figureWriter{cat: w.cat, in: in, now: now}
	lines := []FigureGroup{}
	reported := map[string]int{}
	var all analysis.Counts
	for _, g := range groups {
		lines = append(lines, FigureGroup{g.code, g.name, fw.line(g.counts, nil)})
		if reported[g.code] = g.counts.Reported; by == store.ByGrid { // the others have lines of their own
			reported[g.code] -= g.counts.NotLocated + g.counts.Outside
		}
		all.Add(g.counts)
	}
	switch by {
	case store.ByDepartment:
		told.Departments = lines
		outside.Departments, err = w.departments(reported).told()
	case store.ByCategory:
		told.Categories = lines
		outside.Categories, err = w.categories(reported).told()
	default:
		told.Towns, told.Total = lines, fw.line(all, nil)
		fw.shared = true
		outside.Total = fw.line(all, nil)
		outside.Total.NotLocated, outside.Total.Outside = FigureShare{}, FigureShare{} // beside the towns' they would tell: they are lines there
		if now {
			open, overdue := fw.count(all.Open, ""), fw.share(all.Overdue, all.Open, "", "")
			outside.Total.Open, outside.Total.Overdue = &open, &overdue
		}
		outside.Towns, err = w.towns(reported, all).told()
	}
	return err
}

// outsideTable is counts of groups, of which the small ones are merged.
type outsideTable struct {
	counts []auth.Count
	names  []string
}

func newOutsideTable() *outsideTable {
	return &outsideTable{[]auth.Count{{Parent: -1}}, []string{"合计"}}
}

func (t *outsideTable) add(code, name string, n int) {
	t.counts, t.names = append(t.counts, auth.Count{Key: code, N: n}), append(t.names, name)
}

// told is what may be told of the table: the groups, and the rest where there is one.
func (t *outsideTable) told() ([]OutsideCount, error) {
	told, err := auth.MergeSmall(t.counts)
	if err != nil {
		return nil, err
	}
	out := []OutsideCount{}
	for i, n := range told[1:] {
		c := OutsideCount{Code: n.Key, Name: t.names[i+1], Merged: n.Telling == auth.Merged}
		if n.Telling == auth.Exact {
			c.N = &n.N
		}
		out = append(out, c)
	}
	if all := told[0]; all.Telling == auth.Exact && all.Rest > 0 {
		out = append(out, OutsideCount{Name: "其余", N: &all.Rest})
	}
	return out, nil
}

// Every group has its line, also without an incident: were it left out, being there would
// tell.

func (w *bulletinWriter) towns(reported map[string]int, all analysis.Counts) *outsideTable {
	t := newOutsideTable()
	rest := all.Reported - all.NotLocated - all.Outside
	for i, n := range w.cat.Tree.Nodes() {
		if path := w.cat.Tree.Path(i); len(path) > 1 && path[len(path)-2] == w.at {
			t.add(string(n.Code), n.Name, reported[string(n.Code)])
			rest -= reported[string(n.Code)]
		}
	}
	t.add("none", "未定位", all.NotLocated)
	t.add("outside", "网格外", all.Outside)
	t.counts[0].N = rest // in no grid that there is still
	return t
}

func (w *bulletinWriter) departments(reported map[string]int) *outsideTable {
	t := newOutsideTable()
	for _, id := range slices.Sorted(maps.Keys(w.cat.DeptNames)) {
		name := w.cat.DeptNames[id]
		t.add(name, name, reported[name])
	}
	t.add(noDepartment, "无牵头部门", reported[noDepartment])
	return t
}

func (w *bulletinWriter) categories(reported map[string]int) *outsideTable {
	t := newOutsideTable()
	for _, n := range w.s.countedTops().names[1:] {
		t.add(n.code, n.name, reported[n.code])
	}
	return t
}

// mostHot is how many of the hottest cells a bulletin names.
const mostHot = 10

// hot judges the cells of the week.
func (w *bulletinWriter) hot(ctx context.Context, tx pgx.Tx) (BulletinHots, error) {
	out := BulletinHots{Res: w.res, Cells: []BulletinHot{}}
	if w.study == nil {
		return out, nil
	}
	found, err := store.CountCells(ctx, tx, w.a.Scope, store.CellFilter{Res: w.res, Grids: w.grids}, w.weeks[0])
	if err != nil {
		return out, err
	}
	h := heat{study: w.study}
	c := counted{counts: make([]float64, w.study.Len())}
	for _, k := range found.Cells {
		if i, inside := w.study.Index(k.Cell); inside {
			c.counts[i] = float64(k.N)
		}
	}
	spots := h.judge(c)
	var hot []HotCell
	at := map[string]int{}
	for i, spot := range spots {
		switch spot.Class {
		case analysis.TooFew:
			out.TooFew++
		case analysis.Hot99, analysis.Hot95, analysis.Hot90:
			cell := h.hotCell(i, c.counts[i], spots)
			at[cell.Cell] = i
			hot = append(hot, cell)
		}
	}
	slices.SortStableFunc(hot, func(x, y HotCell) int { return hotter(y, x) })
	out.Hot = len(hot)
	for _, cell := range hot[:min(len(hot), mostHot)] {
		town, err := w.townOf(at[cell.Cell])
		if err != nil {
			return out, err
		}
		out.Cells = append(out.Cells, BulletinHot{cell.Cell, cell.Class, cell.Count, town})
	}
	return out, nil
}

// townOf is the name of the grid next below the bulletin's that the middle of a cell of
// the study lies in; of the bulletin's own where it lies in none.
func (w *bulletinWriter) townOf(i int) (string, error) {
	centre, err := w.study.At(i).Centre()
	if err != nil {
		return "", err
	}
	if leaf := w.cat.Tree.Locate(centre).Index; leaf >= 0 {
		path := w.cat.Tree.Path(leaf)
		if k := slices.Index(path, w.at); k >= 0 && k+1 < len(path) {
			return w.cat.Tree.Nodes()[path[k+1]].Name, nil
		}
	}
	return w.node().Name, nil
}
