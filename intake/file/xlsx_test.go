// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// book writes a workbook and returns its path.
func book(t testing.TB, fill func(f *excelize.File) error) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	if err := fill(f); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.xlsx")
	if err := f.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// rebuilt copies a zip, its files changed by alter.
func rebuilt(t testing.TB, path string, alter func(name string, raw []byte) []byte) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range z.File {
		in, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.Create(e.Name)
		if err == nil {
			_, err = out.Write(alter(e.Name, raw))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "rebuilt.xlsx")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// table opens path and reads all its rows.
func table(t testing.TB, path string, o Options) (*Reader, []Row, error) {
	t.Helper()
	r, err := OpenTable(path, o)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = r.Close() })
	return drain(r)
}

func TestWorkbookCells(t *testing.T) {
	style := func(f *excelize.File, cell, format string, id int) error {
		s := &excelize.Style{NumFmt: id}
		if format != "" {
			s = &excelize.Style{CustomNumFmt: &format}
		}
		n, err := f.NewStyle(s)
		if err != nil {
			return err
		}
		return f.SetCellStyle("Sheet1", cell, cell, n)
	}
	at := time.Date(2024, 3, 1, 8, 5, 9, 0, time.UTC)
	cells := []struct {
		value  any
		format string
		id     int
		want   string
	}{
		{"井盖缺失", "", 0, "井盖缺失"},
		{" spaces ", "", 0, " spaces "},
		{150623001002, "", 0, "150623001002"},
		{107.48123456789, "", 0, "107.48123456789"},
		{107.48123456789, "", 2, "107.48123456789"}, // 0.00: rounded on the screen only
		{1234567.891, "", 4, "1234567.891"},         // #,##0.00
		{7, "000000", 0, "000007"},                  // a code with leading noughts
		{0.25, "", 10, "25.00%"},
		{at, "yyyy-mm-dd hh:mm:ss", 0, "2024-03-01 08:05:09"},
		{at, `yyyy"年"m"月"d"日"`, 0, "2024年3月1日"},
		{at, "yyyymmdd", 0, "20240301"},
		{at, "", 14, "2024-03-01"}, // the region's short date
		{at, "", 22, "2024-03-01 08:05"},
		{at, "dd/mm/yy", 0, "2024-03-01 08:05:09"}, // the 1st of March or the 3rd of January?
		{time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), "", 15, "2024-03-01"},
		{true, "", 0, "TRUE"},
		{-0.5, "", 0, "-0.5"},
		{1e-7, "", 0, "0.0000001"},
		{"=1+1", "", 0, "=1+1"}, // a text, not a formula
	}
	path := book(t, func(f *excelize.File) error {
		for i, c := range cells {
			name, err := excelize.CoordinatesToCellName(i+1, 1)
			if err != nil {
				return err
			}
			if err := f.SetCellValue("Sheet1", name, fmt.Sprint("c", i)); err != nil {
				return err
			}
			name, err = excelize.CoordinatesToCellName(i+1, 3) // row 2 is empty
			if err != nil {
				return err
			}
			if err := f.SetCellValue("Sheet1", name, c.value); err != nil {
				return err
			}
			if c.format != "" || c.id != 0 {
				if err := style(f, name, c.format, c.id); err != nil {
					return err
				}
			}
		}
		return nil
	})
	r, rows, err := table(t, path, Options{})
	if err != nil || len(rows) != 1 || rows[0].Line != 3 || rows[0].N != 1 || rows[0].Fault != "" {
		t.Fatalf("%+v, %v", rows, err)
	}
	for i, c := range cells {
		if rows[0].Cells[i] != c.want {
			t.Errorf("%v as %q/%d is read %q, want %q", c.value, c.format, c.id, rows[0].Cells[i], c.want)
		}
	}
	if r.Format() != XLSX || r.Encoding() != "utf-8" || r.Datum() != "" || r.Header()[0] != "c0" {
		t.Errorf("%s, %s, %q", r.Format(), r.Encoding(), r.Header())
	}
	if read, total := r.Progress(); read != 3 || total != 3 {
		t.Errorf("read %d of %d", read, total)
	}
}

// rowsOf fills a sheet.
func rowsOf(f *excelize.File, sheet string, rows ...[]any) error {
	for i, row := range rows {
		if err := f.SetSheetRow(sheet, fmt.Sprintf("A%d", i+1), &row); err != nil {
			return err
		}
	}
	return nil
}

func TestWorkbookRows(t *testing.T) {
	path := book(t, func(f *excelize.File) error {
		if _, err := f.NewSheet("二月"); err != nil {
			return err
		}
		if err := rowsOf(f, "二月", []any{"x"}, []any{"other"}); err != nil {
			return err
		}
		if err := f.SetCellFormula("Sheet1", "B5", "A4+1"); err != nil { // never calculated: no value
			return err
		}
		return rowsOf(f, "Sheet1", []any{"a", "b"}, []any{1, 2, 3}, []any{1}, []any{"#N/A", 1}, []any{5})
	})
	_, rows, err := table(t, path, Options{})
	if err != nil || len(rows) != 4 {
		t.Fatalf("%+v, %v", rows, err)
	}
	for i, want := range []struct {
		cells []string
		fault string
	}{
		{[]string{"1", "2", "3"}, "应有 2 列，实有 3 列"},
		{[]string{"1", ""}, ""},
		{[]string{"#N/A", "1"}, "单元格 A4 是公式错误 #N/A"},
		{[]string{"5", ""}, ""},
	} {
		if !slices.Equal(rows[i].Cells, want.cells) || rows[i].Fault != want.fault {
			t.Errorf("row %d: %+v, want %+v", i+1, rows[i], want)
		}
	}
	if _, rows, err = table(t, path, Options{Sheet: "二月"}); err != nil || len(rows) != 1 || rows[0].Cells[0] != "other" {
		t.Errorf("the other sheet: %+v, %v", rows, err)
	}
}

func TestWorkbookRefuses(t *testing.T) {
	plain := func(f *excelize.File) error {
		return rowsOf(f, "Sheet1", []any{"a", "b"}, []any{"1", "2"}, []any{"3", "4"})
	}
	sheet := func(alter func(string) string) func(string, []byte) []byte {
		return func(name string, raw []byte) []byte {
			if name != "xl/worksheets/sheet1.xml" {
				return raw
			}
			return []byte(alter(string(raw)))
		}
	}
	row := func(tag string) func(string, []byte) []byte { // instead of row 3
		return sheet(func(s string) string { return strings.Replace(s, `<row r="3"`, tag, 1) })
	}
	small := Limits{RowBytes: 100, Rows: 1, Columns: 3, Unpacked: 200 << 20, Ratio: 100}
	for name, c := range map[string]struct {
		fill  func(*excelize.File) error
		alter func(string, []byte) []byte
		o     Options
		want  string
	}{
		"an unknown sheet": {fill: plain, o: Options{Sheet: "x"}, want: `no sheet "x"; it has ["Sheet1"]`},
		"an empty sheet":   {fill: func(*excelize.File) error { return nil }, want: "is empty"},
		"one name twice":   {fill: func(f *excelize.File) error { return rowsOf(f, "Sheet1", []any{"a", "a"}) }, want: "two columns are named"},
		"too many rows":    {fill: plain, o: Options{Limits: small}, want: "row 3: more than 1 rows"},
		"too many columns": {fill: func(f *excelize.File) error { return f.SetCellValue("Sheet1", "XFD1", 1) }, want: "more than 500 columns"},
		"too long a row":   {fill: func(f *excelize.File) error { return rowsOf(f, "Sheet1", []any{"a"}, []any{strings.Repeat("x", 200)}) }, o: Options{Limits: small}, want: "more than 100 bytes"},
		"broken in the middle": {fill: plain, alter: sheet(func(s string) string {
			return strings.Replace(s, `<row r="3"`, `<c & ><row r="3"`, 1)
		}), want: "damaged after row 2"},
		"a row far away":                    {fill: plain, alter: row(`<row r="9000000000000000000"`), want: "after row 2: a row has the number 9000000000000000000, a sheet has 1048576 rows at most"},
		"a row farther than numbers go":     {fill: plain, alter: row(`<row r="99999999999999999999"`), want: `a row has the number "99999999999999999999"`},
		"a row far away, spelled otherwise": {fill: plain, alter: row("<row x='>'\n\tr\t= '1048577'"), want: "a row has the number 1048577"},
		"a row with two numbers":            {fill: plain, alter: row(`<row r="3" r="9000000000000000000"`), want: "a row has the number"},
		"a row with no whole number":        {fill: plain, alter: row(`<row r="&#51;"`), want: "a row has the number"},
		"a row twice":                       {fill: plain, alter: row(`<row r="2"`), want: "row 2 stands behind row 2"},
		"rows out of order":                 {fill: plain, alter: row(`<row r="5"><c r="A5"><v>1</v></c></row><row r="3"`), want: "row 3 stands behind row 5"},
		"a row with a tag of 64 KiB":        {fill: plain, alter: row(`<row` + strings.Repeat(" ", 70_000) + `r="3"`), want: "can't be read"},
		"an impossible cell":                {fill: plain, alter: sheet(func(s string) string { return strings.Replace(s, `"A2"`, `"2A"`, 1) }), want: "row 2"},
		"no sheet file": {fill: plain, alter: func(name string, raw []byte) []byte {
			return []byte(strings.ReplaceAll(string(raw), "worksheets/sheet1.xml", "worksheets/gone.xml"))
		}, want: "its file is missing"},
		"elements without end": {fill: plain, alter: sheet(func(s string) string {
			return strings.Replace(s, "<sheetData>", "<sheetData>"+strings.Repeat("<a>", 200), 1)
		}), want: "more than 100 deep"},
		"a text without end": {fill: plain, alter: sheet(func(s string) string {
			return strings.Replace(s, `<row r="2"`, `<row r="2" x="`+strings.Repeat("x", 1<<20)+`"`, 1)
		}), want: "a text of more than"},
		"too many texts": {fill: plain, alter: func(name string, raw []byte) []byte {
			if name == "xl/sharedStrings.xml" {
				return []byte("<sst>" + strings.Repeat("<si/>", 2_000_001) + "</sst>")
			}
			return raw
		}, want: "2000001 different texts"},
		"too many styles": {fill: plain, alter: func(name string, raw []byte) []byte {
			if name == "xl/styles.xml" {
				return bytes.Repeat([]byte("<xf/>"), 2<<20)
			}
			return raw
		}, want: "more than 8 MiB"},
		"a bomb of blanks": {fill: plain, alter: sheet(func(s string) string {
			return strings.Replace(s, "<sheetData>", "<sheetData>"+strings.Repeat(" ", 30<<20), 1)
		}), want: "more than 100 times its size"},
	} {
		t.Run(name, func(t *testing.T) {
			path := book(t, c.fill)
			if c.alter != nil {
				path = rebuilt(t, path, c.alter)
			}
			if _, rows, err := table(t, path, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d rows, %v, want %q", len(rows), err, c.want)
			}
		})
	}
}

// TestRowsBehindTheCells: a drawing behind the cells has rows that are none of the
// sheet, and they can't make the reading endless.
func TestRowsBehindTheCells(t *testing.T) {
	for _, tail := range []string{"<row>5</row>", `<row r="3"/>`, `<row r="10"/><row r="9000000000000000000"/>`} {
		path := rebuilt(t, book(t, func(f *excelize.File) error {
			return rowsOf(f, "Sheet1", []any{"a", "b"}, []any{"1", "2"}, []any{"3", "4"})
		}), func(name string, raw []byte) []byte {
			if name == "xl/worksheets/sheet1.xml" {
				raw = []byte(strings.Replace(string(raw), "</sheetData>", "</sheetData><controls>"+tail+"</controls>", 1))
			}
			return raw
		})
		r, rows, err := table(t, path, Options{})
		if err != nil || len(rows) != 2 {
			t.Errorf("%s: %d rows, %v", tail, len(rows), err)
			continue
		}
		if read, total := r.Progress(); read != total {
			t.Errorf("%s: %d of %d", tail, read, total)
		}
	}
}

func TestRowNumber(t *testing.T) {
	for tag, want := range map[string]int64{
		`row r="7">`: 7, `row>`: 0, `row/>`: 0, `row spans="1:3" r="7" ht="1"/>`: 7, "row\tx:r\n=\r'7' >": 7, `row x="r='9'" r="7">`: 7, `row x=" r=" r="7"/>`: 7,
		`row`: -1, `row r="7"`: -1, `row r=7>`: -1, `row r="7>`: -1, `row r>`: -1, `row r="0">`: -1, `row r="-7">`: -1, `row r="">`: -1,
	} {
		n, err := rowNumber([]byte(tag))
		if err != nil {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, %v, want %d", tag, n, err, want)
		}
	}
}

// TestNamesDoNotDecide: what a file is shows in its bytes.
func TestNamesDoNotDecide(t *testing.T) {
	dir := t.TempDir()
	point := `{"type":"Feature","properties":{"名称":"井","n":7,"ok":true,"none":null},"geometry":{"type":"Point","coordinates":[107.5,38.25,1200]}}`
	for name, c := range map[string]struct {
		text   []byte
		format Format
		cells  []string
		want   string // of the error
	}{
		"a.txt":      {[]byte("a\n1\n"), CSV, []string{"1"}, ""},
		"a.csv.gz":   {gz(t, []byte("a\n1\n")), CSV, []string{"1"}, ""},
		"a.tgz":      {gz(t, []byte("a\n1\n")), CSV, []string{"1"}, ""},
		"b.csv.gz":   {[]byte("a\n1\n"), CSV, nil, "not a gzip file"},
		"a.geojson":  {[]byte(`{"type":"FeatureCollection","features":[` + point + `]}`), GeoJSON, []string{"7", "", "true", "井", "107.5", "38.25"}, ""},
		"a.json":     {[]byte(point + "\n" + point), GeoJSON, []string{"7", "", "true", "井", "107.5", "38.25"}, ""},
		"a.geojsonl": {[]byte(point + "\n\n" + point), GeoSeq, []string{"7", "", "true", "井", "107.5", "38.25"}, ""},
		"b.json":     {[]byte("\x1e" + point + "\n\x1e" + point + "\n"), GeoSeq, []string{"7", "", "true", "井", "107.5", "38.25"}, ""},
		"c.gz":       {gz(t, []byte("\x1e"+point)), GeoSeq, []string{"7", "", "true", "井", "107.5", "38.25"}, ""},
		"a.xls":      {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "", nil, "save it as .xlsx"},
		"a.shp":      {[]byte("\x00\x00\x27\x0a\x00"), "", nil, "pack its .shp"},
		"a.kml":      {[]byte("<?xml version='1.0'?><kml/>"), "", nil, "XML"},
		"a.gpkg":     {[]byte("SQLite format 3\x00"), "", nil, "GeoPackage"},
		"a.zip":      {[]byte("PK\x03\x04rest"), "", nil, "cut off or damaged"},
		"d.geojsonl": {[]byte(point + "\n" + point[:50]), "", nil, "feature 2 is not GeoJSON, or is cut off"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, rows, err := table(t, path, Options{})
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case r.Format() != c.format || len(rows) == 0 || !slices.Equal(rows[0].Cells, c.cells):
			t.Errorf("%s: %s, %+v", name, r.Format(), rows)
		}
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder was opened")
	}
}

func TestPointsAsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.geojson")
	text := `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"a":"1"},"geometry":{"type":"Point","coordinates":[1,2]}},
		{"type":"Feature","properties":{"b":[1,2]},"geometry":null},
		{"type":"Feature","properties":{},"geometry":{"type":"LineString","coordinates":[[1,2],[3,4]]}},
		{"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[1,null]}},
		{"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[]}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, rows, err := table(t, path, Options{})
	if err != nil || !slices.Equal(r.Header(), []string{"a", "b", LonColumn, LatColumn}) || len(rows) != 5 {
		t.Fatalf("%q, %+v, %v", r.Header(), rows, err)
	}
	for i, want := range []struct {
		cells string
		fault string
	}{{"1||1|2", ""}, {"|[1,2]||", ""}, {"|||", "LineString"}, {"|||", "坐标"}, {"|||", "坐标"}} {
		if got := strings.Join(rows[i].Cells, "|"); got != want.cells || !strings.Contains(rows[i].Fault, want.fault) || want.fault == "" && rows[i].Fault != "" {
			t.Errorf("row %d: %q, %s", i+1, got, rows[i].Fault)
		}
	}
}

// cases are rows as a case list has them, in both formats, for the benchmarks and
// the comparison of the two.
func cases(t testing.TB, n int) (csv, xlsx string) {
	t.Helper()
	dir := t.TempDir()
	csv, xlsx = filepath.Join(dir, "x.csv"), filepath.Join(dir, "x.xlsx")
	f := excelize.NewFile()
	defer f.Close()
	w, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for i := range n + 1 {
		row := []any{fmt.Sprint("GD-", i), "0202", fmt.Sprint("敖镇", i%97, "号路口井盖缺失"), 107 + float64(i%1000)/1024, 38 + float64(i%777)/1024, "2024-03-01 08:05:09", "closed"}
		if i == 0 {
			row = []any{"编号", "类别", "标题", "经度", "纬度", "时间", "状态"}
		}
		if err := w.SetRow(fmt.Sprintf("A%d", i+1), row); err != nil {
			t.Fatal(err)
		}
		for k, c := range row {
			if k > 0 {
				text.WriteByte(',')
			}
			if v, ok := c.(float64); ok {
				c = number(v)
			}
			fmt.Fprint(&text, c)
		}
		text.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.SaveAs(xlsx); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(csv, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return csv, xlsx
}

func TestWorkbookEqualsItsCSVTwin(t *testing.T) {
	csv, xlsx := cases(t, 2000)
	_, want, err := table(t, csv, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := table(t, xlsx, Options{})
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d rows, want %d, %v", len(got), len(want), err)
	}
	for i := range want {
		if !slices.Equal(got[i].Cells, want[i].Cells) || got[i].Line != want[i].Line {
			t.Fatalf("row %d: %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

func benchmarkTable(b *testing.B, path string, rows int) {
	for b.Loop() {
		if _, got, err := table(b, path, Options{}); err != nil || len(got) != rows {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkCSVRows(b *testing.B) {
	csv, _ := cases(b, 20_000)
	b.ResetTimer()
	benchmarkTable(b, csv, 20_000)
}

func BenchmarkXLSXRows(b *testing.B) {
	_, xlsx := cases(b, 20_000)
	b.ResetTimer()
	benchmarkTable(b, xlsx, 20_000)
}
