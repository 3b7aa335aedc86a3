// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

func (s *Server) exports() {
	file := func(what string) map[string]*huma.Response {
		return map[string]*huma.Response{"200": {Description: what, Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: "string"}}}}}
	}
	route(s, need{auth.Read, auth.RowExport}, huma.Operation{
		OperationID: "export-incidents", Method: http.MethodGet, Path: "/api/v1/exports/incidents.csv", Tags: []string{"exports"},
		Summary: "Incidents as a file, newest report first, without who reported them", Errors: []int{404, 422, 429},
		Description: "RFC 4180 in UTF-8 with a byte order mark. Times are those of the clocks of China. A text that a spreadsheet could take for a formula begins " +
			"with an apostrophe. Never a part: more incidents than a file may hold are refused.",
		Responses: file("The file; X-Onemap-Seq says which events it holds"),
	}, s.exportIncidents)
	route(s, need{auth.Read, auth.CountExport}, huma.Operation{
		OperationID: "export-figures", Method: http.MethodGet, Path: "/api/v1/exports/figures.csv", Tags: []string{"exports"},
		Summary: "Counts of reported incidents by grid and by top category as a file", Errors: []int{422, 429},
		Description: "Small counts are merged upward, so that no number from 1 to 4 can be worked out of one file (of two whose periods overlap one less the other could tell one): 并入其余 is part of the line 其余 of the grid above. " +
			"Categories whose place is not shown are not counted.",
		Responses: file("The file"),
	}, s.exportFigures)
}

type fileOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	Seq         string `header:"X-Onemap-Seq"`
	Body        []byte
}

// csvFile is a table as a file that spreadsheets read: with a byte order mark,
// without which those in China take it for GBK.
func csvFile(name string, rows [][]string) (*fileOutput, error) {
	var b bytes.Buffer
	b.WriteString("\ufeff")
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	return &fileOutput{ContentType: "text/csv; charset=utf-8", Disposition: `attachment; filename="` + name + `"`, Policy: "sandbox", Body: b.Bytes()}, nil
}

// formulaStart is what a spreadsheet takes for the beginning of a formula, in the
// forms of every width.
const formulaStart = "=+-@＝＋－＠﹦﹢﹣﹫−\t\r\n"

// plainText is a text as a cell that no spreadsheet takes for a formula. Blanks and
// what can't be seen in front of one don't hide it.
func plainText(text string) string {
	for _, r := range text {
		switch {
		case strings.ContainsRune(formulaStart, r):
			return "'" + text
		case unicode.IsSpace(r) || !unicode.IsGraphic(r) || unicode.In(r, unicode.Mn, unicode.Other_Default_Ignorable_Code_Point) || r == '\u2800':
		default:
			return text
		}
	}
	return text
}

type exportInput struct {
	Reason   string    `query:"reason" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
	BBox     []float64 `query:"bbox" minItems:"4" maxItems:"4" doc:"west,south,east,north in WGS-84"`
	From     time.Time `query:"from" doc:"Reported at or after"`
	To       time.Time `query:"to" doc:"Reported before"`
	Category string    `query:"category" maxLength:"16" doc:"A category, or a top category with all below it"`
	State    []string  `query:"state" maxItems:"20"`
	Open     string    `query:"open" enum:"true,false"`
	Grid     string    `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
	Text     string    `query:"text" maxLength:"64"`
	Overdue  string    `query:"overdue" enum:"true,false"`
}

// said is the filter as the audit log keeps it. What was searched for may be a
// name: that something was is enough.
func (in *exportInput) said() map[string]any {
	m := map[string]any{}
	for key, text := range map[string]string{"category": in.Category, "open": in.Open, "grid": in.Grid, "overdue": in.Overdue} {
		if text != "" {
			m[key] = text
		}
	}
	for key, t := range map[string]time.Time{"from": in.From, "to": in.To} {
		if !t.IsZero() {
			m[key] = t
		}
	}
	if len(in.BBox) > 0 {
		m["bbox"] = in.BBox
	}
	if len(in.State) > 0 {
		m["state"] = in.State
	}
	if in.Text != "" {
		m["text"] = true
	}
	return m
}

func (s *Server) exportIncidents(ctx context.Context, c caller, in *exportInput) (*fileOutput, error) {
	reason, err := reasonOf(in.Reason)
	if err != nil {
		return nil, err
	}
	f, err := s.filter(ctx, c, &listInput{
		BBox: in.BBox, From: in.From, To: in.To, Category: in.Category, State: in.State, Open: in.Open, Grid: in.Grid, Text: in.Text, Overdue: in.Overdue,
	})
	if err != nil {
		return nil, err
	}
	f.Limit = s.o.Limits.ExportRows
	var list store.Exported
	act := daily{name: "export.rows", object: "export/incidents.csv", reason: reason, limit: s.o.Limits.ExportsPerDay}
	err = s.onceMore(ctx, s.o.Reads, c, act, func(tx pgx.Tx) (any, error) {
		if list, err = store.ExportIncidents(ctx, tx, c.Scope, f); err != nil {
			return nil, err
		}
		if f.MustFind && list.Total == 0 {
			return nil, errNoGrid
		}
		if list.Total > f.Limit {
			return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("these are %d incidents, and a file holds %d: ask for a shorter period", list.Total, f.Limit))
		}
		return map[string]any{"filter": in.said(), "rows": list.Total, "seq": list.Seq}, nil
	})
	if err != nil {
		return nil, err
	}
	rows := [][]string{{
		"number", "category", "category_name", "priority", "state", "grid", "reported_at", "ack_due", "stage_due", "closed_at", "lon", "lat", "title", "address", "accuracy_m",
	}}
	for _, r := range list.Rows {
		p, err := s.o.Catalogue.Public(ctx, r, c.View)
		if err != nil {
			return nil, err
		}
		rows = append(rows, incidentCells(p))
	}
	out, err := csvFile("incidents-"+people.Local(s.o.Now()).Format("20060102-1504")+".csv", rows)
	if err != nil {
		return nil, err
	}
	out.Seq = strconv.FormatInt(int64(list.Seq), 10)
	return out, nil
}

// incidentCells is an incident as a line of the file.
func incidentCells(p store.PublicIncident) []string {
	var names []string
	for _, g := range p.Grid.Path {
		names = append(names, g.Name)
	}
	var lon, lat, title, address, accuracy string // the last of a place found by its address alone
	if p.Point != nil {
		lon, lat = strconv.FormatFloat(p.Point[0], 'f', 6, 64), strconv.FormatFloat(p.Point[1], 'f', 6, 64)
	}
	if p.CaseFields != nil {
		title, address = p.Title, p.Address
		if p.Found != nil {
			accuracy = strconv.FormatFloat(p.Found.AccuracyM, 'f', 0, 64)
		}
	}
	return []string{
		p.Number, plainText(p.Category), plainText(p.CategoryName), strconv.Itoa(p.Priority), p.State, plainText(strings.Join(names, "/")),
		clock(&p.ReportedAt), clock(p.AckDue), clock(p.StageDue), clock(p.ClosedAt), lon, lat, plainText(title), plainText(address), accuracy,
	}
}

// clock is a moment on the clocks of China, as spreadsheets read it.
func clock(t *time.Time) string {
	if t == nil {
		return ""
	}
	return people.Local(*t).Format(time.DateTime)
}

type figuresInput struct {
	Reason string `query:"reason" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
	From   string `query:"from" required:"true" format:"date" doc:"The first day, a Monday, on the clocks of China"`
	To     string `query:"to" required:"true" format:"date" doc:"The day after the last, a Monday too; not after today"`
}

func (s *Server) exportFigures(ctx context.Context, c caller, in *figuresInput) (*fileOutput, error) {
	reason, err := reasonOf(in.Reason)
	if err != nil {
		return nil, err
	}
	from, to, err := s.wholeWeeks(in.From, in.To)
	if err != nil {
		return nil, err
	}
	var counted []store.GridCategoryCount
	act := daily{name: "export.counts", object: "export/figures.csv", reason: reason, limit: s.o.Limits.ExportsPerDay}
	err = s.onceMore(ctx, s.o.Reads, c, act, func(tx pgx.Tx) (any, error) {
		counted, err = store.CountReported(ctx, tx, c.Scope, from, to)
		return map[string]any{"from": in.From, "to": in.To}, err
	})
	if err != nil {
		return nil, err
	}
	grids := s.countedGrids(c.Scope)
	tops := s.countedTops()
	for _, n := range counted {
		path, err := s.o.Catalogue.Path(ctx, n.GridID)
		if err != nil {
			return nil, err
		}
		grids.add(deepest(grids, path), n.N)
		tops.add(n.Top, n.N)
	}
	rows := [][]string{{"table", "level", "parent", "code", "name", "reported"}}
	for _, t := range []*countTable{grids, tops} {
		lines, err := t.lines()
		if err != nil {
			return nil, err
		}
		rows = append(rows, lines...)
	}
	return csvFile("figures-"+in.From+"-"+in.To+".csv", rows)
}

// firstYear is the first whose weeks are told of: an earlier one is a slip of the pen, and a
// bulletin of it could not be taken back.
const firstYear = 2000

// wholeWeeks is a period of whole weeks that are over. Periods that begin on any
// day could be subtracted, down to a single day's count.
func (s *Server) wholeWeeks(first, after string) (from, to time.Time, err error) {
	today, _ := dayOf(s.o.Now())
	var errs [2]error
	from, errs[0] = time.ParseInLocation(time.DateOnly, first, today.Location())
	to, errs[1] = time.ParseInLocation(time.DateOnly, after, today.Location())
	if errs[0] != nil || errs[1] != nil || from.Weekday() != time.Monday || to.Weekday() != time.Monday || !to.After(from) || to.After(today) {
		return from, to, problem(http.StatusUnprocessableEntity, "from and to are Mondays like 2026-03-02; to is the Monday after the last week, and may be today")
	}
	if from.Year() < firstYear {
		return from, to, problem(http.StatusUnprocessableEntity, fmt.Sprintf("weeks begin in %d or later", firstYear))
	}
	return from, to, nil
}

// oneWeek is one whole week that is over. Of spans that nest, one less the other would
// tell what neither does.
func (s *Server) oneWeek(first, after string) (from, to time.Time, err error) {
	from, to, err = s.wholeWeeks(first, after)
	if err != nil || to.Sub(from) > 7*24*time.Hour {
		err = errOneWeek
	}
	return from, to, err
}

var errOneWeek = problem(http.StatusUnprocessableEntity, "ask for one week: from and to are Mondays at 0:00 on the clocks of China; to is today at the latest, and from of 2000 or later")

// countTable is a tree of counts with the names of its nodes. Its first node
// holds all.
type countTable struct {
	what   string
	counts []auth.Count
	names  []countName
	at     map[string]int // by key
}

type countName struct {
	level      int // 0 for a node that is no grid
	code, name string
}

func newCountTable(what string) *countTable {
	return &countTable{what: what, counts: []auth.Count{{Parent: -1}}, names: []countName{{name: "合计"}}, at: map[string]int{"": 0}}
}

// node adds a node below the one with key parent.
func (t *countTable) node(key, parent string, n countName) {
	t.at[key] = len(t.counts)
	t.counts = append(t.counts, auth.Count{Key: key, Parent: t.at[parent]})
	t.names = append(t.names, n)
}

// add counts n at the node with this key; what has none counts at the first.
func (t *countTable) add(key string, n int) { t.counts[t.at[key]].N += n }

// lines is what may be told of the table.
func (t *countTable) lines() ([][]string, error) {
	told, err := auth.MergeSmall(t.counts)
	if err != nil {
		return nil, err
	}
	parents := map[int]bool{}
	for _, c := range t.counts[1:] {
		parents[c.Parent] = true
	}
	var rows [][]string
	line := func(n countName, above int, number string) {
		level, parent := "", ""
		if n.level > 0 {
			level = strconv.Itoa(n.level)
		}
		if above >= 0 {
			parent = t.names[above].code
		}
		rows = append(rows, []string{t.what, level, plainText(parent), plainText(n.code), plainText(n.name), number})
	}
	for i, n := range told {
		switch n.Telling {
		case auth.Exact:
			line(t.names[i], t.counts[i].Parent, strconv.Itoa(n.N))
			if parents[i] && n.Rest > 0 {
				line(countName{name: "其余"}, i, strconv.Itoa(n.Rest))
			}
		case auth.Merged:
			line(t.names[i], t.counts[i].Parent, "并入其余")
		case auth.UnderK:
			if i > 0 {
				continue // the first line says it of all
			}
			line(t.names[i], -1, "少于"+strconv.Itoa(auth.K))
		}
	}
	return rows, nil
}

// countedGrids is the table of the grids of levels 2 and 3 in scope, all of them:
// were those without an incident left out, being there would tell.
func (s *Server) countedGrids(scope auth.Scope) *countTable {
	t := newCountTable("grid")
	tree := s.o.Catalogue.Now().Tree
	for i, n := range tree.Nodes() {
		if n.Level < 2 || n.Level > 3 || !scope.Sees(n.No) {
			continue
		}
		path := tree.Path(i)
		refs := make([]store.GridRef, len(path))
		for k, j := range path {
			refs[k] = store.GridRef{Code: string(tree.Nodes()[j].Code)}
		}
		last := len(refs) - 1
		t.node(gridKey(refs[0], refs[last]), deepest(t, refs[:last]), countName{n.Level, string(n.Code), n.Name})
	}
	return t
}

// gridKey names a grid among several counties.
func gridKey(county, grid store.GridRef) string { return county.Code + "/" + grid.Code }

// deepest is the key of the deepest grid of a path that the table has, "" for
// none. Grids of a former version count where their code stands now.
func deepest(t *countTable, path []store.GridRef) string {
	for i := len(path) - 1; i >= 0; i-- {
		if key := gridKey(path[0], path[i]); t.at[key] > 0 {
			return key
		}
	}
	return ""
}

// countedTops is the table of the top categories, without those of which nothing
// is counted.
func (s *Server) countedTops() *countTable {
	t := newCountTable("category")
	cat := s.o.Catalogue.Now()
	shown := map[string]bool{}
	for _, k := range cat.Categories {
		if k.Precision != "none" {
			shown[topOf(k.Code, k.Parent)] = true
		}
	}
	for _, code := range cat.Order {
		if k := cat.Categories[code]; k.Parent == "" && shown[code] {
			t.node(code, "", countName{code: code, name: k.NameZH})
		}
	}
	return t
}

func topOf(code, parent string) string {
	if parent != "" {
		return parent
	}
	return code
}
