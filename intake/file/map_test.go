// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/geo"
)

// base is a small correct map; tests change one thing of it.
const base = `{
 "crs": "gcj02",
 "time": {"layouts": ["yyyy/M/d H:m:s", "yyyy年M月d日 H:m"], "zone": "Asia/Shanghai"},
 "empty": ["-"], "without_place": "keep",
 "fields": {
  "external_id": {"column": "id"}, "source": {"constant": "hotline"},
  "category": {"column": "kind", "values": {"井盖": "0501"}},
  "priority": {"column": "level"},
  "title": {"template": "{kind}：{where}", "cut": 10},
  "lon": {"column": "x"}, "lat": {"column": "y"}, "address": {"column": "where"},
  "reported_at": {"column": "at"}, "closed_at": {"column": "end"},
  "state": {"column": "state", "values": {"完": "closed", "新": "reported"}}
 }}`

var baseHeader = []string{"id", "kind", "level", "where", "x", "y", "at", "end", "state"}

func mapper(t testing.TB, text string) *Mapper {
	t.Helper()
	m, err := ParseMap(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	mp, err := m.Bind(baseHeader)
	if err != nil {
		t.Fatal(err)
	}
	return mp
}

func TestApply(t *testing.T) {
	mp := mapper(t, base)
	got, err := mp.Apply(Row{N: 7, Line: 9, Cells: []string{" A-1 ", "井盖", "P2", "巴音路北段十二号院", "107.48", "38.19", "2019/2/8 9:05:00", "2019年2月10日 18:00", "完"}})
	if err != nil {
		t.Fatal(err)
	}
	sh := time.FixedZone("", 8*3600)
	if got.Row != 7 || got.ExternalID != "A-1" || got.Source != "hotline" || got.Category != "0501" || got.Priority != 2 ||
		got.Title != "井盖：巴音路北段十二" || got.Address != "巴音路北段十二号院" || got.State != "closed" || *got.Place != (geo.Raw{Lon: 107.48, Lat: 38.19, Datum: geo.DatumGCJ02}) ||
		!got.ReportedAt.Equal(time.Date(2019, 2, 8, 9, 5, 0, 0, sh)) || !got.ClosedAt.Equal(time.Date(2019, 2, 10, 18, 0, 0, 0, sh)) {
		t.Errorf("got %+v", got)
	}
	bare, err := mp.Apply(Row{N: 8, Line: 10, Cells: []string{"A-2", "井盖", "-", "-", "", "-", "2019/2/8 9:05:00", "", "新"}})
	if err != nil || bare.Place != nil || bare.Priority != 0 || !bare.ClosedAt.IsZero() || bare.Address != "" {
		t.Errorf("a row without place, priority and end: %+v, %v", bare, err)
	}
}

func TestApplyRefusesARowWithEveryReason(t *testing.T) {
	good := []string{"A-1", "井盖", "2", "路", "107.48", "38.19", "2019/2/8 9:05:00", "", "新"}
	tests := []struct {
		name   string
		change map[int]string
		want   []string
	}{
		{"no number of its own", map[int]string{0: ""}, []string{"external_id"}},
		{"a category the map does not know", map[int]string{1: "天降陨石"}, []string{"category", "天降陨石"}},
		{"a priority out of range", map[int]string{2: "9"}, []string{"priority"}},
		{"longitude and latitude swapped", map[int]string{4: "38.19", 5: "107.48"}, []string{"颠倒"}},
		{"no number", map[int]string{4: "NaN"}, []string{"lon"}},
		{"infinite", map[int]string{5: "Inf"}, []string{"lat"}},
		{"a number beyond numbers", map[int]string{4: "1e999"}, []string{"lon"}},
		{"a number beyond the earth", map[int]string{4: "1e300"}, []string{"地球"}},
		{"half a place", map[int]string{5: ""}, []string{"lat"}},
		{"time of another form", map[int]string{6: "8 Feb 2019"}, []string{"reported_at"}},
		{"no such day", map[int]string{6: "2019/2/30 9:00:00"}, []string{"reported_at"}},
		{"no time", map[int]string{6: ""}, []string{"reported_at", "为空"}},
		{"a year out of mind", map[int]string{6: "0219/2/8 9:05:00"}, []string{"年份"}},
		{"closed before it was reported", map[int]string{7: "2018/1/1 0:00:00"}, []string{"closed_at"}},
		{"a state the map does not know", map[int]string{8: "?"}, []string{"state"}},
		{"three things at once", map[int]string{0: "-", 1: "x", 4: "y"}, []string{"external_id", "category", "lon"}},
	}
	mp := mapper(t, base)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cells := append([]string{}, good...)
			for i, v := range tt.change {
				cells[i] = v
			}
			_, err := mp.Apply(Row{N: 3, Line: 4, Cells: cells})
			var re *RowError
			if !errors.As(err, &re) || re.Row != 3 || re.Line != 4 {
				t.Fatalf("error %v, want a RowError of row 3", err)
			}
			text := strings.Join(re.Reasons, "|")
			for _, w := range tt.want {
				if !strings.Contains(text, w) {
					t.Errorf("reasons %q lack %q", re.Reasons, w)
				}
			}
		})
	}
	if _, err := mp.Apply(Row{N: 3, Line: 4, Cells: good}); err != nil {
		t.Errorf("the row the cases start from is refused: %v", err)
	}
	if _, err := mp.Apply(Row{N: 1, Line: 2, Fault: "坏"}); err == nil || !strings.Contains(err.Error(), "坏") {
		t.Errorf("a faulty row: %v", err)
	}
}

func TestWithoutPlaceRejects(t *testing.T) {
	mp := mapper(t, strings.Replace(base, `"without_place": "keep",`, "", 1))
	_, err := mp.Apply(Row{N: 1, Line: 2, Cells: []string{"A", "井盖", "", "路", "", "", "2019/2/8 9:05:00", "", "新"}})
	if err == nil || !strings.Contains(err.Error(), "没有坐标") {
		t.Errorf("error %v", err)
	}
}

func TestParseMapRefuses(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"a comment", `"crs"`, `// x` + "\n" + `"crs"`, "invalid character"},
		{"an unknown name", `"crs"`, `"csr": "x", "crs"`, "csr"},
		{"an unknown incident field", `"title"`, `"heading": {"constant":"x"}, "title"`, "heading"},
		{"an unknown name in a field", `"cut"`, `"trim"`, "trim"},
		{"no datum", `"crs": "gcj02",`, ``, "wgs84, gcj02, bd09, cgcs2000"},
		{"an unknown datum", `"gcj02"`, `"beijing54"`, "wgs84, gcj02, bd09, cgcs2000"},
		{"only one of lon and lat", `"lat": {"column": "y"},`, ``, "go together"},
		{"no external id", `"external_id": {"column": "id"},`, ``, "row"},
		{"two sources for one field", `{"constant": "hotline"}`, `{"constant": "h", "column": "id"}`, "exactly one"},
		{"no source for a field", `{"constant": "hotline"}`, `{}`, "exactly one"},
		{"values without a column", `{"constant": "hotline"}`, `{"constant": "h", "values": {"a":"b"}}`, "column"},
		{"a default alone", `{"constant": "hotline"}`, `{"column": "id", "default": "x"}`, "values"},
		{"a state nobody can import", `"closed"`, `"dispatched"`, "dispatched"},
		{"a broken template", `{kind}：`, `{kind：`, "template"},
		{"no zone", `, "zone": "Asia/Shanghai"`, ``, "zone"},
		{"the machine's own zone", `Asia/Shanghai`, `Local`, "zone"},
		{"an unknown zone", `Asia/Shanghai`, `Mars/Base`, "zone"},
		{"no layouts", `["yyyy/M/d H:m:s", "yyyy年M月d日 H:m"]`, `[]`, "layouts"},
		{"a layout in Go's own words", `yyyy/M/d H:m:s`, `2006/1/2`, "layout"},
		{"a word for without_place", `"keep"`, `"guess"`, "reject or keep"},
		{"something after the object", "\n }}", "\n }} {}", "follows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(base, tt.old, tt.new, 1)
			if text == base {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseMap(strings.NewReader(text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestBindNamesEveryMissingColumn(t *testing.T) {
	m, err := ParseMap(strings.NewReader(base))
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Bind([]string{"id", "level", "x", "at", "end", "state"})
	for _, want := range []string{"kind", "where", "y", "state"} {
		if err == nil || !strings.Contains(err.Error(), `"`+want+`"`) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestExampleMapsParse(t *testing.T) {
	paths, err := filepath.Glob("../../docs/examples/*.json")
	if err != nil || len(paths) < 2 {
		t.Fatalf("examples %v, error %v", paths, err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseMap(bytes.NewReader(text)); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestRejectFileIsSafeAndReadsBack(t *testing.T) {
	cells := []string{"=1+1", "+86", "-95.36", "@x", "\tx", "＝A1", "井盖,\"破\"\n碎", " -cmd", "ok"}
	want := []string{"'=1+1", "+86", "-95.36", "'@x", "'\tx", "'＝A1", "井盖,\"破\"\n碎", "' -cmd", "ok"}
	text := RejectHeader([]string{"1", "2", "3", "4", "5", "6", "7", "8", "9"})
	text = append(text, RejectRecord(Row{N: 12, Line: 14, Cells: cells}, []string{"一", "二"})...)
	r, rows, err := readAll(t, text, DefaultLimits)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	if r.Header()[2] != "原因" || rows[0].Cells[0] != "12" || rows[0].Cells[1] != "14" || rows[0].Cells[2] != "一；二" {
		t.Errorf("header %q, row %q", r.Header(), rows[0].Cells)
	}
	for i, w := range want {
		if got := rows[0].Cells[3+i]; got != w {
			t.Errorf("cell %d is %q, want %q", i+1, got, w)
		}
	}
}

func FuzzParseMap(f *testing.F) {
	f.Add(base, "A-1,井盖,2,路,107.48,38.19,2019/2/8 9:05:00,,新")
	f.Fuzz(func(t *testing.T, text, cells string) {
		m, err := ParseMap(strings.NewReader(text))
		if err != nil {
			return
		}
		mp, err := m.Bind(baseHeader)
		if err != nil {
			return
		}
		row := Row{N: 1, Line: 2, Cells: append(strings.Split(cells, ","), make([]string, len(baseHeader))...)[:len(baseHeader)]}
		r, err := mp.Apply(row)
		if err != nil {
			return
		}
		if r.ExternalID == "" || r.Title == "" || r.Category == "" || r.Source == "" || r.ReportedAt.IsZero() {
			t.Fatalf("a record without what it must have: %+v", r)
		}
		if r.Place != nil {
			if _, err := geo.ParseDatum(string(r.Place.Datum)); err != nil || !(r.Place.Lon >= -180 && r.Place.Lon <= 180 && r.Place.Lat >= -90 && r.Place.Lat <= 90) {
				t.Fatalf("a place that is none: %+v", *r.Place)
			}
		}
	})
}

// TestAMapMayNameAZone: lon and lat are then metres, in the order of its name.
func TestAMapMayNameAZone(t *testing.T) {
	row := func(x, y string) Row {
		return Row{N: 1, Line: 2, Cells: []string{"A-1", "井盖", "2", "路", x, y, "2019/2/8 9:05:00", "", "新"}}
	}
	for _, c := range []struct {
		crs, x, y, says string
	}{
		{"EPSG:4545-en", "454730.0153", "4227970.1791", ""},
		{"EPSG:4545-ne", "4227970.1791", "454730.0153", ""},
		{"EPSG:4524-en", "36454730.0153", "4227970.1791", ""},
		{"EPSG:4545-ne", "454730.0153", "4227970.1791", "颠倒"},
		{"EPSG:4523-en", "36454730.0153", "4227970.1791", "带号与 EPSG:4523-en 不符"},
		{"EPSG:4545-en", "107.4833", "38.1833", "像是经纬度"},
		{"cgcs2000", "454730.0153", "4227970.1791", "像是以米为单位"},
		{"EPSG:4545-en", "454730", "7000000", "不是地球上的位置"},
	} {
		mp := mapper(t, strings.Replace(base, `"gcj02"`, `"`+c.crs+`"`, 1))
		got, err := mp.Apply(row(c.x, c.y))
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s %s %s: %v, want %q", c.crs, c.x, c.y, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s %s: %v", c.crs, c.x, c.y, err)
			continue
		}
		if p, err := got.Place.WGS84(); err != nil || geo.Distance(p, geo.WGS84{107.4833, 38.1833}) > 1e-3 {
			t.Errorf("%s %s %s: %v, %v", c.crs, c.x, c.y, p, err)
		}
	}
	if _, err := ParseMap(strings.NewReader(strings.Replace(base, `"gcj02"`, `"EPSG:4545"`, 1))); err == nil || !strings.Contains(err.Error(), "EPSG:4545-ne") {
		t.Errorf("a code without its order: %v", err)
	}
}
