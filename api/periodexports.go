// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"
	"github.com/xuri/excelize/v2"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

const xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// periodExports are the figures of a period as files, for who may have the incidents
// themselves as one: no figure tells more than those.
func (s *Server) periodExports() {
	for _, f := range []struct {
		ending, kind, what string
		write              periodFile
	}{
		{"csv", "text/csv", "RFC 4180 in UTF-8 with a byte order mark. " + aLineAFigure, tableFile(csvTable)},
		{"xlsx", xlsxType, "A workbook of one sheet, its numbers as numbers. " + aLineAFigure, tableFile(xlsxTable)},
		{"geojson", geoType, "A FeatureCollection (RFC 7946) of the grids next below, their figures as properties; for by=grid alone. A grid that is no more, and what lies in none " +
			"below, have no geometry.", s.shapesFile},
	} {
		route(s, need{auth.Read, auth.RowExport}, huma.Operation{
			Metadata:    map[string]any{patient: countTime},
			OperationID: "export-period-figures-" + f.ending, Method: http.MethodGet, Path: "/api/v1/exports/period-figures." + f.ending, Tags: []string{"exports"},
			Summary: "Figures of a period as a file (." + f.ending + "), what was asked for and as of when in it", Errors: []int{404, 422, 429},
			Description: f.what,
			Responses: map[string]*huma.Response{"200": {
				Description: "The file; X-Onemap-Seq says which events it holds",
				Content:     map[string]*huma.MediaType{f.kind: {Schema: &huma.Schema{Type: "string"}}},
			}},
		}, func(ctx context.Context, c caller, in *periodExportInput) (*fileOutput, error) {
			return s.exportPeriod(ctx, c, in, f.ending, f.write)
		})
	}
}

const aLineAFigure = "What GET /api/v1/figures tells, a line a figure: n, what it is of, and the rate. The first lines (about) say the period, what it " +
	"is narrowed to, and as of when. A text that a spreadsheet could take for a formula begins with an apostrophe."

// periodFile writes the figures of a period as a file of this name, for who asks.
type periodFile func(c caller, name string, in *periodExportInput, f PeriodFigures) (*fileOutput, error)

// tableFile is a file of a table.
func tableFile(write func(string, [][]any) (*fileOutput, error)) periodFile {
	return func(_ caller, name string, in *periodExportInput, f PeriodFigures) (*fileOutput, error) {
		return write(name, periodTable(in, f))
	}
}

type periodExportInput struct {
	PeriodQuestion
	Reason string `query:"reason" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
}

// said is what the figures are narrowed to, in order, as the file and the audit log keep it.
func (in *PeriodQuestion) said() [][2]string {
	var out [][2]string
	for _, p := range [][2]string{{"by", in.By}, {"grid", in.Grid}, {"category", in.Category}, {"department", in.Department}} {
		if p[1] != "" {
			out = append(out, p)
		}
	}
	return out
}

func (s *Server) exportPeriod(ctx context.Context, c caller, in *periodExportInput, ending string, write periodFile) (*fileOutput, error) {
	reason, err := reasonOf(in.Reason)
	if err != nil {
		return nil, err
	}
	if ending == "geojson" && in.By != string(store.ByGrid) {
		return nil, problem(http.StatusUnprocessableEntity, "by: grids alone have shapes: ask by=grid")
	}
	told, err := s.figuresOfPeriod(ctx, c, &periodFiguresInput{PeriodQuestion: in.PeriodQuestion})
	if err != nil {
		return nil, err
	}
	f := told.Body
	act := daily{name: "export.counts", object: "export/period-figures." + ending, reason: reason, limit: s.o.Limits.ExportsPerDay}
	err = s.onceMore(ctx, s.o.Reads, c, act, func(pgx.Tx) (any, error) {
		data := map[string]any{"from": in.From, "to": in.To, "seq": f.AsOf.Seq}
		for _, p := range in.said() {
			data[p[0]] = p[1]
		}
		return data, nil
	})
	if err != nil {
		return nil, err
	}
	out, err := write(c, fmt.Sprintf("period-figures-%s-%s.%s", people.Local(in.From).Format("20060102"), people.Local(in.To).Format("20060102"), ending), in, f)
	if err != nil {
		return nil, err
	}
	out.Seq = strconv.FormatInt(f.AsOf.Seq, 10)
	return out, nil
}

// periodTable is the figures of a period as lines of a table: what was asked for and as
// of when, then all, then each group.
func periodTable(in *periodExportInput, f PeriodFigures) [][]any {
	rows := [][]any{{"table", "code", "name", "figure", "n", "of", "rate"}}
	about := func(what, value string) { rows = append(rows, []any{"about", what, value, "", nil, nil, nil}) }
	about("from", clock(&f.From))
	about("to", clock(&f.To))
	for _, p := range in.said() {
		about(p[0], p[1])
	}
	about("as_of_seq", strconv.FormatInt(f.AsOf.Seq, 10))
	about("as_of_time", people.Local(f.AsOf.Time).Format(time.DateTime))
	rows = append(rows, figureRows("total", "", "", f.Total)...)
	for _, g := range f.Groups {
		rows = append(rows, figureRows(f.By, g.Code, g.Name, g.FigureLine)...)
	}
	return rows
}

// figureRows are the figures of one group, a line each, named as in the answer.
func figureRows(table, code, name string, l FigureLine) (rows [][]any) {
	add := func(figure string, n, of *int, rate *float64) {
		rows = append(rows, []any{table, code, name, figure, cellOf(n), cellOf(of), cellOf(rate)})
	}
	count := func(figure string, c FigureCount) { add(figure, c.N, nil, nil) }
	share := func(figure string, s FigureShare) { add(figure, s.N, s.Of, s.Rate) }
	count("reported", l.Reported)
	share("not_located", l.NotLocated)
	share("outside", l.Outside)
	count("closed", l.Closed)
	for _, s := range l.Solved {
		share("solved."+strconv.Itoa(s.Level), s.FigureShare)
	}
	share("on_the_spot", l.OnTheSpot)
	share("reopened", l.Reopened)
	share("no_limit", l.NoLimit)
	add("working_days", l.WorkingDays.N, nil, l.WorkingDays.Mean)
	share("on_time", l.OnTime.FigureShare)
	count("on_time.unchecked", l.OnTime.Unchecked)
	count("on_time.late", l.OnTime.Late)
	count("on_time.provisional", l.OnTime.Provisional)
	count("on_time.extended", l.OnTime.Extended)
	count("on_time.standing", l.OnTime.Standing)
	count("on_time.elsewhere", l.OnTime.Elsewhere)
	share("satisfied", l.Satisfied.FigureShare)
	count("satisfied.fully", l.Satisfied.Fully)
	count("satisfied.basically", l.Satisfied.Basically)
	count("satisfied.unsatisfied", l.Satisfied.Unsatisfied)
	count("satisfied.unreached", l.Satisfied.Unreached)
	count("satisfied.owed", l.Satisfied.Owed)
	count("chosen", l.Chosen)
	share("overridden", l.Overridden)
	if l.Open != nil && l.Overdue != nil {
		count("open", *l.Open)
		share("overdue", *l.Overdue)
	}
	return rows
}

// cellOf is a number as a cell; an empty one for none.
func cellOf[T int | float64](v *T) any {
	if v == nil {
		return nil
	}
	return *v
}

// csvTable is a table of texts and numbers as a file of comma-separated values.
func csvTable(name string, rows [][]any) (*fileOutput, error) {
	texts := make([][]string, len(rows))
	for i, r := range rows {
		for _, cell := range r {
			switch v := cell.(type) {
			case nil:
				texts[i] = append(texts[i], "")
			case string:
				texts[i] = append(texts[i], plainText(v))
			default:
				texts[i] = append(texts[i], fmt.Sprint(v))
			}
		}
	}
	return csvFile(name, texts)
}

// xlsxTable is a table of texts and numbers as a workbook. No cell of it is a formula;
// the texts are those of the other file, so that saving it as one makes none either.
func xlsxTable(name string, rows [][]any) (*fileOutput, error) {
	book := excelize.NewFile()
	defer func() { _ = book.Close() }()
	sheet, err := book.NewStreamWriter(book.GetSheetName(0))
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		cells := make([]any, len(r))
		for j, cell := range r {
			if cells[j] = cell; cell == "" {
				cells[j] = nil
			} else if text, ok := cell.(string); ok {
				cells[j] = plainText(text)
			}
		}
		if err := sheet.SetRow("A"+strconv.Itoa(i+1), cells); err != nil {
			return nil, err
		}
	}
	if err := sheet.Flush(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := book.Write(&b); err != nil {
		return nil, err
	}
	return &fileOutput{ContentType: xlsxType, Disposition: `attachment; filename="` + name + `"`, Policy: "sandbox", Body: b.Bytes()}, nil
}
