// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"onemap/api"
	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

// workbook reads the one sheet of a workbook; the header apart, lines as long as it. No
// cell of it may be a formula.
func workbook(t testing.TB, a answer) (head []string, rows [][]string) {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(a.body))
	if a.status != 200 || err != nil {
		t.Fatalf("%d, %v: %.200s", a.status, err, a.body)
	}
	defer book.Close()
	name := book.GetSheetName(0)
	if rows, err = book.GetRows(name, excelize.Options{RawCellValue: true}); err != nil || len(rows) == 0 {
		t.Fatalf("%d lines, %v", len(rows), err)
	}
	for i, r := range rows {
		rows[i] = append(r, make([]string, len(rows[0])-len(r))...)
		for j := range r {
			cell, _ := excelize.CoordinatesToCellName(j+1, i+1)
			if f, err := book.GetCellFormula(name, cell); f != "" || err != nil {
				t.Errorf("%s is the formula %q, %v", cell, f, err)
			}
		}
	}
	return rows[0], rows[1:]
}

// TestPeriodFiguresAsAFileAreThoseTold asks for the same figures on the screen, as CSV
// and as a workbook: the files hold every figure told, what was asked for and as of when.
func TestPeriodFiguresAsAFileAreThoseTold(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: api.Limits{ReadsPerSecond: 1000, ExportsPerDay: 3}})
	st.layByHand(t)
	hall := st.sign(store.Credential{Role: auth.HallOperator})
	evil := `=cmd|' /C calc'!A0`
	if _, err := st.s.db.Pool.Exec(t.Context(), "UPDATE department SET name = $1 WHERE id = 1", evil); err != nil {
		t.Fatal(err)
	}
	if err := st.s.catalogue.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	period := url.Values{"from": {"2026-09-14T00:00:00+08:00"}, "to": {"2026-10-12T00:00:00+08:00"}, "by": {"department"}, "category": {"03"}}.Encode()
	told := st.get("/api/v1/figures?"+period, hall)
	if told.status != 200 {
		t.Fatalf("%d %s", told.status, told.body)
	}
	file := st.get("/api/v1/exports/period-figures.csv?"+period+"&"+because, hall)
	book := st.get("/api/v1/exports/period-figures.xlsx?"+period+"&"+because, hall)
	head, rows := table(t, file)
	head2, rows2 := workbook(t, book)
	if want := []string{"table", "code", "name", "figure", "n", "of", "rate"}; !slices.Equal(head, want) || !slices.Equal(head2, want) {
		t.Errorf("heads %v, %v", head, head2)
	}
	if len(rows) != len(rows2) {
		t.Fatalf("%d lines, and %d in the workbook", len(rows), len(rows2))
	}
	about, lines := map[string]string{}, map[string][]string{}
	for i, r := range rows {
		switch {
		case r[0] == "about" && strings.HasPrefix(r[1], "as_of"):
			about[r[1]] = r[2]
		case !slices.Equal(r, rows2[i]):
			t.Errorf("line %d: %q, in the workbook %q", i+2, r, rows2[i])
		case r[0] == "about":
			about[r[1]] = r[2]
		default:
			lines[r[0]+" "+r[1]+" "+r[3]] = r[4:]
		}
	}
	seq := fmt.Sprint(figureAt(told.json(t), "as_of")["seq"])
	for what, want := range map[string]string{"from": "2026-09-14 00:00:00", "to": "2026-10-12 00:00:00", "by": "department", "category": "03", "as_of_seq": seq} {
		if about[what] != want {
			t.Errorf("about: %s is %q, want %q", what, about[what], want)
		}
	}
	if at, err := time.ParseInLocation(time.DateTime, about["as_of_time"], people.Local(time.Now()).Location()); err != nil || time.Since(at) > time.Minute {
		t.Errorf("as of %q", about["as_of_time"])
	}
	if file.header.Get("X-Onemap-Seq") != seq || book.header.Get("X-Onemap-Seq") != seq {
		t.Errorf("headers say %q and %q, want %s", file.header.Get("X-Onemap-Seq"), book.header.Get("X-Onemap-Seq"), seq)
	}
	compared := 0
	var compare func(line, path string, v any)
	compare = func(line, path string, v any) {
		switch v := v.(type) {
		case []any: // solved
			for _, one := range v {
				compare(line, path+"."+fmt.Sprint(one.(map[string]any)["level"]), one)
			}
		case map[string]any:
			if _, figure := v["n"]; figure {
				got := lines[line+" "+path]
				rate, ok := v["rate"]
				if mean, is := v["mean"]; is {
					rate, ok = mean, true
				}
				want := []string{text(v["n"]), text(v["of"]), ""}
				if ok {
					want[2] = text(rate)
				}
				if compared++; !slices.Equal(got, want) {
					t.Errorf("%s, %s: the file says %q, told is %q", line, path, got, want)
				}
			}
			for name, one := range v {
				if path != "" {
					name = path + "." + name
				}
				compare(line, name, one)
			}
		}
	}
	compare("total ", "", told.json(t)["total"])
	for _, g := range told.json(t)["groups"].([]any) {
		code := g.(map[string]any)["code"].(string)
		if code == evil {
			code = "'" + code
		}
		compare("department "+code, "", g)
	}
	if compared != len(lines) || compared < 3*20 {
		t.Errorf("%d figures are told, the file holds %d", compared, len(lines))
	}
	if lines["department '"+evil+" closed"] == nil {
		t.Errorf("no line of the department %q", evil)
	}

	// a file is an act: with its reason, counted, and refused to who may not have rows
	for _, why := range []string{"", "&reason=abc"} {
		if a := st.get("/api/v1/exports/period-figures.xlsx?"+period+why, hall); a.status != 422 {
			t.Errorf("with %q: %d %.200s", why, a.status, a.body)
		}
	}
	if a := st.get("/api/v1/exports/period-figures.csv?"+period+"&grid=nowhere&"+because, hall); a.status != 404 {
		t.Errorf("of a grid that is not there: %d %.200s", a.status, a.body)
	}
	if a := st.get("/api/v1/exports/period-figures.csv?"+period+"&"+because, hall); a.status != 200 {
		t.Errorf("a third file: %d %.200s", a.status, a.body)
	}
	if a := st.get("/api/v1/exports/period-figures.xlsx?"+period+"&"+because, hall); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("a fourth file: %d %.200s", a.status, a.body)
	}
	for _, role := range []auth.Role{auth.CountyLeader, auth.VillageHead, auth.Auditor, auth.GridWorker} {
		if a := st.get("/api/v1/exports/period-figures.csv?"+period+"&"+because, st.sign(store.Credential{Role: role})); a.status != 403 {
			t.Errorf("%s: %d %.200s", role, a.status, a.body)
		}
	}
	if n := st.count(`SELECT count(*) FROM audit_log WHERE action = 'export.counts' AND object LIKE 'export/period-figures.%' AND reason = '季度研判用'
		AND data->>'by' = 'department' AND data->>'category' = '03' AND data->>'seq' = $1`, seq); n != 3 {
		t.Errorf("%d acts are in the audit log, want 3", n)
	}
}

// text is a number of an answer as a file writes it.
func text(v any) string {
	n, ok := v.(float64)
	if !ok {
		return ""
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}

// TestPeriodFiguresWithShapesAreThoseTold asks for the figures of grids as GeoJSON: each
// group with the shape of its grid, the figures told, and one act in the audit log.
func TestPeriodFiguresWithShapesAreThoseTold(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	st.layByHand(t)
	hall := st.sign(store.Credential{Role: auth.HallOperator})
	period := url.Values{"from": {"2026-09-14T00:00:00+08:00"}, "to": {"2026-10-12T00:00:00+08:00"}, "by": {"grid"}, "grid": {"C"}}.Encode()
	told := st.get("/api/v1/figures?"+period, hall).json(t)
	const path = "/api/v1/exports/period-figures.geojson?"
	file := st.get(path+period+"&"+because, hall)
	if file.status != 200 || file.header.Get("Content-Type") != "application/geo+json" {
		t.Fatalf("%d %s %.300s", file.status, file.header.Get("Content-Type"), file.body)
	}
	shapes := map[string]any{}
	borders := st.call("GET", "/api/v1/grids?level=2", hall, "", "Accept: application/geo+json")
	for _, f := range borders.json(t)["features"].([]any) {
		f := f.(map[string]any)
		shapes[f["properties"].(map[string]any)["code"].(string)] = f["geometry"]
	}
	v := file.json(t)
	if v["grid"] != "C" || v["by"] != "grid" || v["from"] != told["from"] || figureAt(v, "as_of")["seq"] != figureAt(told, "as_of")["seq"] {
		t.Errorf("of %v by %v from %v, as of %v", v["grid"], v["by"], v["from"], v["as_of"])
	}
	features, groups := v["features"].([]any), told["groups"].([]any)
	if len(features) != len(groups) || len(groups) < 2 {
		t.Fatalf("%d features, %d groups are told", len(features), len(groups))
	}
	drawn := 0
	for i, g := range groups {
		f, code := features[i].(map[string]any), g.(map[string]any)["code"].(string)
		p := f["properties"].(map[string]any)
		if !reflect.DeepEqual(f["geometry"], shapes[code]) {
			t.Errorf("%s has another shape", code)
		}
		if f["geometry"] != nil {
			drawn++
		}
		for figure, name := range map[string]string{"reported": "reported", "on_time": "on_time", "on_time.late": "on_time_late", "solved.2": "solved_2", "open": "open", "overdue": "overdue"} {
			want := figureAt(g, figure)
			if p["code"] != code || p[name] != want["n"] || p[name+"_of"] != want["of"] || p[name+"_rate"] != want["rate"] {
				t.Errorf("%s, %s: %v of %v, told is %v", code, figure, p[name], p[name+"_of"], want)
			}
		}
	}
	if drawn == 0 {
		t.Error("no grid has a shape")
	}
	for query, want := range map[string]int{"": 422, "&by=level": 422} {
		from := url.Values{"from": {"2026-09-14T00:00:00+08:00"}, "to": {"2026-10-12T00:00:00+08:00"}}.Encode()
		if a := st.get(path+from+query+"&"+because, hall); a.status != want {
			t.Errorf("%q: %d %.200s", query, a.status, a.body)
		}
	}
	if a := st.get(path+period, hall); a.status != 422 {
		t.Errorf("without a reason: %d", a.status)
	}
	for _, role := range []auth.Role{auth.CountyLeader, auth.Auditor} {
		if a := st.get(path+period+"&"+because, st.sign(store.Credential{Role: role})); a.status != 403 {
			t.Errorf("%s: %d", role, a.status)
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'export.counts' AND object = 'export/period-figures.geojson'"); n != 1 {
		t.Errorf("%d acts are in the audit log, want 1", n)
	}
}
