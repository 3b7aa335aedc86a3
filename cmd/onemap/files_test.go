// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"onemap/internal/pgtest"
)

// shapefile has GDAL write a zipped Shapefile of a GeoJSON file.
func shapefile(t *testing.T, source string, options ...string) string {
	t.Helper()
	program, err := exec.LookPath("ogr2ogr")
	if err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("ONEMAP_REQUIRE_DB") == "1" {
			t.Fatal("ogr2ogr is missing: install gdal-bin")
		}
		t.Skip("SKIPPED, ogr2ogr is missing: install gdal-bin")
	}
	dir := t.TempDir()
	if out, err := exec.Command(program, append(options, filepath.Join(dir, "x.shp"), source)...).CombinedOutput(); err != nil {
		t.Fatalf("ogr2ogr: %v: %s", err, out)
	}
	path := filepath.Join(t.TempDir(), "x.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	if err := z.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestImportOfAShapefileEqualsItsTwin: a real district and its towns in GBK make
// the same grids, with the same gaps, as the GeoJSON they were made of.
func TestImportOfAShapefileEqualsItsTwin(t *testing.T) {
	url := pgtest.URL(t)
	for _, district := range []string{"110119_yanqing", "110108_haidian"} {
		var reports []string
		outline, towns := data(t, "admin/towns_wgs84/"+district+"_outline.geojson"), data(t, "admin/towns_wgs84/"+district+"_towns.geojson")
		for _, files := range [][]string{
			{outline, towns, "--crs", "wgs84"},
			{shapefile(t, outline, "-lco", "ENCODING=GBK"), shapefile(t, towns, "-lco", "ENCODING=GBK")},
		} {
			code, out, said := command(t, url, append([]string{"import", "grids", "--code", "code", "--name", "Name", "--parent=-,parentCode"}, files...)...)
			wantCommand(t, 0, "stored as a draft", code, out, said)
			_, report, _ := strings.Cut(out, " stored as a draft") // the version before it differs
			if strings.Contains(district, "haidian") != strings.Contains(report, "gap") || !strings.Contains(report, "faults: ") {
				t.Errorf("%s: gaps in Haidian alone are wanted: %s", district, report)
			}
			reports = append(reports, report)
		}
		if reports[0] != reports[1] {
			t.Errorf("%s: the Shapefile is checked to\n%s\nits twin to\n%s", district, reports[1], reports[0])
		}
	}
}

// textFile writes a text file and returns its path.
func textFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const badTowns = `{"type":"Feature","properties":{"dm":"T1","mc":"敖镇","up":"1"},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,39],[107,39],[107,38]]]}}
{"type":"Feature","properties":{"dm":"T2","mc":"昂素镇","up":"1"},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,39],[108,38],[107,39],[107,38]]]}}
{"type":"Feature","properties":{"dm":"T3","mc":"上海庙镇","up":"1"},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,39],[107,39],[107,38]],[[107.1,38.1],[107.1,38.2],[107.9,41],[107.1,38.1]]]}}
{"type":"Feature","properties":{"dm":"T4"},"geometry":null}
`

// nowhere is no database: what needs none must not ask for it.
const nowhere = "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"

// TestPreviewOfGrids: without a database, with every fault named by feature, ring
// and place, and the mapping guessed.
func TestPreviewOfGrids(t *testing.T) {
	text := textFile(t, "towns.geojsonl", badTowns)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{text, "--level", "2", "--crs", "wgs84", "--preview"}, []string{
			"format    GeoJSONSeq, 4 features", "crs       wgs84 (as given)", "columns   dm, mc, up", `code from "dm", name from "mc", parent from "parent"`,
			"guessed: to import it so, say --code dm --name mc", `feature 1: REFUSED: T1: no property "parent" for the parent; there are dm, mc, up`,
			"nothing was written",
		}},
		{[]string{text, "--level", "2", "--crs", "wgs84", "--parent", "up", "--preview", "9"}, []string{
			"feature 1: T1 敖镇, level 2, parent 1, 1 parts, 0 holes, 5 points, WGS-84 box 107.000000,38.000000,108.000000,39.000000",
			"feature 2: REFUSED: T2: part 1, outline: crosses itself at 107.500000,38.500000",
			"feature 3: REFUSED: T3: part 1, outline: crosses part 1, hole 1 at 107.328571,39.000000", "feature 4: REFUSED: T4: no property \"mc\" for the name",
			"of the first 4 features 3 would be refused",
		}},
		{[]string{text, "--level", "2", "--parent", "up", "--preview=1"}, []string{"crs       not said: name it with --crs", "feature 1: REFUSED: T1: nobody knows what its coordinates are"}},
		{[]string{shapefile(t, text, "-t_srs", "EPSG:4545", "-s_srs", "EPSG:4326", "-lco", "ENCODING=GBK"), "--level", "2", "--parent", "up", "--preview"}, []string{
			"format    Shapefile, 4 features", "encoding  gb18030", "crs       EPSG:4545-en (the .prj says EPSG:4545-en)",
			"feature 1: T1 敖镇", "feature 2: REFUSED: T2: part 1, outline: crosses itself at 107.5", "REFUSED: T3: part 1",
		}},
	} {
		code, out, said := command(t, nowhere, append([]string{"import", "grids"}, c.args...)...)
		for _, want := range c.want {
			wantCommand(t, 0, want, code, out, said)
		}
	}
	code, out, said := command(t, nowhere, "import", "grids", text, "--level", "2", "--code", "dm", "--name", "mc", "--parent", "up")
	wantCommand(t, 1, "nobody knows what its coordinates are", code, out, said)
	code, out, said = command(t, nowhere, "import", "grids", shapefile(t, text, "-s_srs", "EPSG:4326", "-t_srs", "EPSG:3857"), "--level", "2")
	wantCommand(t, 1, `"WGS_1984_Web_Mercator_Auxiliary_Sphere"`, code, out, said)
}

// TestImportOfABadShapefile: the fault is named by file, feature, grid, ring and
// place, and nothing is stored.
func TestImportOfABadShapefile(t *testing.T) {
	text := textFile(t, "towns.geojson", `{"type":"FeatureCollection","features":[`+strings.Join(strings.Split(strings.TrimSpace(badTowns), "\n")[:3], ",")+`]}`)
	zipped := shapefile(t, text, "-lco", "ENCODING=GBK")
	for _, flag := range []string{"--dry-run", "--enact"} {
		code, out, said := command(t, nowhere, "import", "grids", zipped, "--level", "2", "--code", "dm", "--name", "mc", "--parent", "up", flag)
		wantCommand(t, 1, "invalid        x.zip, feature 2, grid T2: part 1, outline: crosses itself at 107.500000,38.500000", code, out, said)
		wantCommand(t, 1, "nothing was stored", code, out, said)
	}
}

const caseMap = `{"crs":"gcj02","time":{"layouts":["yyyy-MM-dd HH:mm:ss","yyyy-MM-dd"],"zone":"Asia/Shanghai"},"without_place":"keep","fields":{
	"external_id":{"column":"编号"},"source":{"constant":"hotline"},"category":{"column":"类别"},"title":{"column":"标题"},
	"lon":{"column":"经度"},"lat":{"column":"纬度"},"address":{"column":"地址"},"reported_at":{"column":"时间"}}}`

// caseBook is a workbook of five cases, two of them faulty.
func caseBook(t *testing.T) string {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	if _, err := f.NewSheet("案件"); err != nil {
		t.Fatal(err)
	}
	for i, row := range [][]any{
		{"编号", "类别", "标题", "经度", "纬度", "地址", "时间"},
		{"GD-1", "0202", "井盖缺失", 107.5, 38.5, "", "2024-03-01 08:05:09"},
		{"GD-2", "0202", "路灯不亮", 120.5, 30.5, "", "2024-03-02"},
		{"GD-3", "0202", "噪声", nil, nil, "敖镇南街", "2024-03-02"},
		{"GD-4", "0202", "", 107.5, 38.5, "", "2024-03-02"},
		{"GD-5", "0202", "颠倒", 38.5, 107.5, "", "2024-03-02"},
	} {
		if err := f.SetSheetRow("案件", fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "cases.xlsx")
	if err := f.SaveAs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPreviewAndDryRunOfIncidents(t *testing.T) {
	book, m := caseBook(t), textFile(t, "map.json", caseMap)
	code, out, said := command(t, nowhere, "import", "incidents", book, "--sheet", "案件", "--map", m, "--preview", "4")
	for _, want := range []string{
		"format    XLSX", "columns   编号, 类别, 标题", `row 1 (line 2): external_id="GD-1"`, "place=107.5,38.5 gcj02 (WGS-84 107.49",
		`reported_at="2024-03-01T08:05:09+08:00"`, "row 4 (line 5): REFUSED: title 为空", "of 4 rows 1 would be refused", "nothing was written",
	} {
		wantCommand(t, 0, want, code, out, said)
	}
	code, out, said = command(t, nowhere, "import", "incidents", book, "--sheet", "案件", "--map", m, "--dry-run")
	wantCommand(t, 0, "of 5 rows 2 would be refused", code, out, said)
	if strings.Contains(out, "GD-1") || !strings.Contains(out, "row 5 (line 6): REFUSED: lon/lat 38.5, 107.5：经纬度可能颠倒") {
		t.Errorf("said %s", out)
	}
	// Without a map one is proposed; it is whole but for the datum.
	code, out, said = command(t, nowhere, "import", "incidents", book, "--sheet", "案件", "--preview")
	wantCommand(t, 0, "the guess is not whole yet: column map: crs is missing", code, out, said)
	for _, want := range []string{`"column": "标题"`, `"yyyy-MM-dd"`, `row 1 (line 2): ["GD-1"`} {
		wantCommand(t, 0, want, code, out, said)
	}
	code, out, said = command(t, nowhere, "import", "incidents", book)
	wantCommand(t, 1, "--map is missing", code, out, said)
	code, out, said = command(t, nowhere, "import", "incidents", book, "--map", m, "--preview")
	wantCommand(t, 1, "sheet Sheet1 is empty", code, out, said)
}

// TestImportOfIncidentsFromOtherFormats: a workbook, and points of a Shapefile,
// once each, and never twice.
func TestImportOfIncidentsFromOtherFormats(t *testing.T) {
	url, home := pgtest.URL(t), t.TempDir()
	command := func(t *testing.T, url string, args ...string) (code int, out, said string) {
		t.Helper()
		t.Setenv("DATABASE_URL", url)
		var stdout, stderr bytes.Buffer
		code = run(append(args, "--data", home), &stdout, &stderr) // the sealing key stays
		return code, stdout.String(), stderr.String()
	}
	box := textFile(t, "box.geojson", `{"type":"Feature","properties":{"code":"1","name":"旗","level":1},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,39],[107,39],[107,38]]]}}`)
	code, out, said := command(t, url, "import", "grids", box, "--crs", "wgs84", "--enact")
	wantCommand(t, 0, "is enacted", code, out, said)

	book, m := caseBook(t), textFile(t, "map.json", caseMap)
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	for range 2 {
		code, out, said = command(t, url, "import", "incidents", book, "--sheet", "案件", "--map", m, "--rejects", rejects)
		wantCommand(t, 0, "rows 5: in a grid 1, outside 1, without a place 1, already there 0, rejected 2", code, out, said)
	}
	if !strings.Contains(said, "imported before") {
		t.Errorf("the second time it said %s", said)
	}
	text, err := os.ReadFile(rejects)
	if err != nil || !strings.Contains(string(text), "5,6,lon/lat 38.5, 107.5：经纬度可能颠倒") && !strings.Contains(string(text), `5,6,"lon/lat 38.5, 107.5：经纬度可能颠倒"`) {
		t.Errorf("rejects %s, %v", text, err)
	}

	points := textFile(t, "points.geojson", `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"编号":"GD-1","标题":"井盖缺失","时间":"2024-03-01"},"geometry":{"type":"Point","coordinates":[107.5,38.5]}},
		{"type":"Feature","properties":{"编号":"GD-7","标题":"噪声","时间":"2024-03-01"},"geometry":{"type":"Point","coordinates":[107.6,38.6,1234]}}]}`)
	of := func(crs string) string {
		return textFile(t, "points.json", `{"crs":"`+crs+`","time":{"layouts":["yyyy-MM-dd","yyyy/MM/dd"],"zone":"Asia/Shanghai"},"fields":{
			"external_id":{"column":"编号"},"source":{"constant":"hotline"},"category":{"constant":"0202"},"title":{"column":"标题"},
			"lon":{"column":"@lon"},"lat":{"column":"@lat"},"reported_at":{"column":"时间"}}}`)
	}
	zipped := shapefile(t, points, "-t_srs", "EPSG:4545", "-lco", "ENCODING=GBK")
	code, out, said = command(t, url, "import", "incidents", zipped, "--map", of("wgs84"))
	wantCommand(t, 1, "the .prj says that the coordinates are EPSG:4545-en", code, out, said)
	code, out, said = command(t, url, "import", "incidents", zipped, "--map", of("EPSG:4545-en"))
	wantCommand(t, 0, "rows 2: in a grid 1, outside 0, without a place 0, already there 1, rejected 0", code, out, said)
	wantCommand(t, 0, "heights (Z) of 2 shapes are left out", code, out, said)
}
