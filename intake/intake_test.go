// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package intake_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
	"onemap/intake"
)

// env is a county of one town around 107.5E 38.2N, with one gap in its middle.
func env(t testing.TB) intake.Env {
	t.Helper()
	ring := func(x0, y0, x1, y1 float64) orb.Ring {
		return orb.Ring{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}
	}
	hole := ring(107.5, 38.2, 107.6, 38.3)
	hole.Reverse()
	tree, err := grid.NewTree([]grid.Node{
		{ID: 1, Version: 7, Level: 1, Code: "C", Name: "旗", Parent: -1, No: 1, Last: 2, Geom: orb.MultiPolygon{{ring(107, 38, 108, 39)}}},
		{ID: 2, Version: 7, Level: 2, Code: "T", Name: "镇", Parent: 0, No: 2, Last: 2, Geom: orb.MultiPolygon{{ring(107, 38, 108, 39), hole}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cats := map[string]dispatch.Category{}
	for _, c := range dispatch.DefaultCategories() {
		cats[c.Code] = c
	}
	return intake.Env{Tree: tree, Categories: cats, Departments: map[string]int64{"消防救援": 9}, Now: time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)}
}

func at(lon, lat float64, crs string) intake.Report {
	return intake.Report{Category: "0301", Title: "消防通道被堵", Lon: &lon, Lat: &lat, CRS: crs}
}

func TestAReportIsPlacedInItsDeepestGrid(t *testing.T) {
	e := env(t)
	for _, c := range []struct {
		name string
		in   intake.Report
		kind dispatch.PlaceKind
		grid int64
		note string
	}{
		{"inside", at(107.2, 38.2, "wgs84"), dispatch.InGrid, 2, ""},
		{"in a gap of the lower level", at(107.55, 38.25, "wgs84"), dispatch.InGrid, 1, ""},
		{"outside", at(106, 38.2, "wgs84"), dispatch.Outside, 1, "outside every grid"},
		{"far outside", at(100, 30, "wgs84"), dispatch.Outside, 1, "outside every grid, 1099 km from the county"},
		{"metres of its zone", at(454730.0153, 4227970.1791, "EPSG:4545-en"), dispatch.InGrid, 2, ""},
		{"northing first", at(4227970.1791, 36454730.0153, "EPSG:4524-ne"), dispatch.InGrid, 2, ""},
		{"metres of another zone", at(454730.0153, 4227970.1791, "EPSG:4544-en"), dispatch.Outside, 1, "from the county; read as EPSG:4545-en it would lie in 镇"},
		{"unshifted it would be inside", at(108.002, 38.2, "wgs84"), dispatch.Outside, 1, "read as gcj02"},
		{"a county without that point but an address", intake.Report{Category: "0301", Title: "x", Address: "演东镇政府"}, dispatch.NoPlace, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := intake.Run(e, c.in)
			if err != nil {
				t.Fatal(err)
			}
			p := res.Place
			if p.Kind != c.kind || p.GridID != c.grid || p.GridVersion != 7 {
				t.Errorf("placed %s in grid %d of version %d", p.Kind, p.GridID, p.GridVersion)
			}
			if !strings.Contains(strings.Join(res.Notes, " "), c.note) {
				t.Errorf("notes %q, want %q", res.Notes, c.note)
			}
			if (p.Point == nil) != (c.kind == dispatch.NoPlace) || (p.Cells[3] == 0) != (c.kind == dispatch.NoPlace) {
				t.Errorf("point %v, cells %v", p.Point, p.Cells)
			}
		})
	}
}

func TestTheDatumIsConvertedAndTheRawPairKept(t *testing.T) {
	raw := geo.Raw{Lon: 107.4884925, Lat: 38.1838368, Datum: geo.DatumGCJ02}
	res, err := intake.Run(env(t), at(raw.Lon, raw.Lat, "gcj02"))
	if err != nil {
		t.Fatal(err)
	}
	if *res.Place.Raw != raw {
		t.Errorf("raw %v", *res.Place.Raw)
	}
	if p := res.Place.Point; math.Abs(p.Lon()-107.4833) > 1e-6 || math.Abs(p.Lat()-38.1833) > 1e-6 {
		t.Errorf("converted to %v, want 107.4833, 38.1833", *p)
	}
}

func TestEveryFaultIsNamedAtItsField(t *testing.T) {
	e := env(t)
	good := at(107.2, 38.2, "wgs84")
	nan, huge, future := math.NaN(), 1e300, e.Now.Add(time.Hour)
	for _, c := range []struct {
		name  string
		bend  func(*intake.Report)
		field string
		says  string
		form  bool
	}{
		{"unknown category", func(r *intake.Report) { r.Category = "77" }, "category", "77", false},
		{"no title", func(r *intake.Report) { r.Title = "  " }, "title", "empty", false},
		{"a title too long", func(r *intake.Report) { r.Title = strings.Repeat("长", 201) }, "title", "200", false},
		{"no datum", func(r *intake.Report) { r.CRS = "" }, "location.crs", "wgs84, gcj02, bd09, cgcs2000", true},
		{"a datum nobody knows", func(r *intake.Report) { r.CRS = "EPSG:3857" }, "location.crs", "gcj02", true},
		{"not a number", func(r *intake.Report) { r.Lon = &nan }, "location", "no place on earth", false},
		{"beyond the earth", func(r *intake.Report) { r.Lat = &huge }, "location", "no place on earth", false},
		{"exchanged", func(r *intake.Report) { r.Lon, r.Lat = r.Lat, r.Lon }, "location", "exchanged", false},
		{"metres exchanged", func(r *intake.Report) { *r = at(4227970, 454730, "EPSG:4545-en") }, "location", "EPSG:4545-ne", false},
		{"metres as degrees", func(r *intake.Report) { *r = at(454730, 4227970, "wgs84") }, "location", "look like metres", false},
		{"degrees as metres", func(r *intake.Report) { r.CRS = "EPSG:4545-en" }, "location", "look like degrees", false},
		{"another zone's prefix", func(r *intake.Report) { *r = at(35717586.5, 4230759.9, "EPSG:4524-en") }, "location", "EPSG:4523-en", false},
		{"a code without its order", func(r *intake.Report) { r.CRS = "EPSG:4545" }, "location.crs", "EPSG:4545-ne", true},
		{"half a place", func(r *intake.Report) { r.Lat = nil }, "location", "together", true},
		{"no place at all", func(r *intake.Report) { r.Lon, r.Lat = nil, nil }, "location", "address", false},
		{"tomorrow", func(r *intake.Report) { r.ReportedAt = &future }, "reported_at", "future", false},
		{"a way in nobody knows", func(r *intake.Report) { r.Source = "fax" }, "source", "phone", false},
		{"no such priority", func(r *intake.Report) { r.Priority = 5 }, "priority", "1", false},
		{"broken text", func(r *intake.Report) { r.Text = "\xff" }, "text", "UTF-8", true},
		{"a NUL", func(r *intake.Report) { r.Title = "a\x00b" }, "title", "NUL", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := good
			c.bend(&in)
			_, err := intake.Run(e, in)
			ps, ok := err.(intake.Problems)
			if !ok || len(ps) != 1 {
				t.Fatalf("got %v", err)
			}
			if ps[0].Field != c.field || !strings.Contains(ps[0].Message, c.says) || ps[0].Form != c.form {
				t.Errorf("got %+v", ps[0])
			}
		})
	}
}

func TestAllFaultsAreNamedAtOnce(t *testing.T) {
	lon := 999.0
	_, err := intake.Run(env(t), intake.Report{Category: "x", Lon: &lon, Lat: &lon, CRS: "wgs84"})
	if ps, ok := err.(intake.Problems); !ok || len(ps) != 3 {
		t.Fatalf("got %v", err)
	}
}

// TestAnAddressPlacesOnlyWhatIsSure: what is made of the candidates of a search.
func TestAnAddressPlacesOnlyWhatIsSure(t *testing.T) {
	e := env(t)
	of := func(name string, kind gazetteer.Kind, conf, metres, east float64, why ...gazetteer.Reason) gazetteer.Candidate {
		at := gazetteer.Offset(geo.WGS84{107.2, 38.2}, 90, east)
		return gazetteer.Candidate{Entry: &gazetteer.Entry{ID: 5, Kind: kind, Name: name, Point: at}, Point: at, AccuracyM: metres, Confidence: conf, Reasons: why}
	}
	const place, area = gazetteer.Place, gazetteer.Area
	fell, exact, doubtful := gazetteer.FellBack, gazetteer.ExactName, gazetteer.Ambiguous
	for _, c := range []struct {
		name    string
		found   []gazetteer.Candidate
		sure    string // "by name metres" without being asked to be rough; "" refused
		roughly string // and with; "none" for without a place
		why     string
	}{
		{"one", []gazetteer.Candidate{of("甲", place, 0.85, 30, 0, exact)}, "address 甲 30", "address 甲 30", ""},
		{"just below", []gazetteer.Candidate{of("甲", place, 0.84, 30, 0, exact)}, "", "none", "not sure enough"},
		{"known to 500 m", []gazetteer.Candidate{of("甲", place, 0.9, 500, 0)}, "address 甲 500", "address 甲 500", ""},
		{"known to more", []gazetteer.Candidate{of("甲", place, 0.9, 501, 0, gazetteer.Relative)}, "", "relative 甲 501", "known to 501 m only"},
		{"another elsewhere", []gazetteer.Candidate{of("甲", place, 0.97, 30, 0, exact), of("乙", place, 0.86, 30, 501)}, "", "none", "several places"},
		{"another beside it", []gazetteer.Candidate{of("甲", place, 0.97, 30, 0, exact), of("乙", place, 0.9, 30, 400)}, "address 甲 430", "address 甲 430", ""},
		{"another, less likely", []gazetteer.Candidate{of("甲", place, 0.97, 30, 0, exact), of("乙", place, 0.84, 30, 9000)}, "address 甲 30", "address 甲 30", ""},
		{"ties", []gazetteer.Candidate{of("甲", place, 0.9, 30, 0, exact, doubtful), of("甲", place, 0.9, 30, 9000, exact, doubtful)}, "", "none", "several places"},
		{"a village", []gazetteer.Candidate{of("村", area, 0.97, 900, 0, exact)}, "", "area 村 900", "no finer is known than 村"},
		{"small villages too", []gazetteer.Candidate{of("村", area, 0.97, 90, 0, exact)}, "", "area 村 90", "no finer is known than 村"},
		{"a village and a house of its name", []gazetteer.Candidate{of("村", place, 0.97, 30, 10, exact), of("村", area, 0.97, 900, 0, exact)}, "", "area 村 900", "several places"},
		{"fallen back", []gazetteer.Candidate{of("店", place, 0.6, 30, 0), of("镇", area, 0.45, 20_000, 0, fell)}, "", "area 镇 20000", "no finer is known than 镇"},
		{"two towns", []gazetteer.Candidate{of("镇", area, 0.45, 20_000, 0, fell), of("镇", area, 0.45, 20_000, 50_000, fell)}, "", "none", "not sure"},
		{"nothing", nil, "", "none", "nothing is known"},
	} {
		e.Find = func(string) []gazetteer.Candidate { return c.found }
		got := func(in intake.Report) string {
			res, err := intake.Run(e, in)
			if ps, ok := err.(intake.Problems); ok {
				if len(ps) != 1 || !ps[0].Unplaced || ps[0].Field != "address" || len(ps[0].Candidates) != len(c.found) || !strings.Contains(ps[0].Message, c.why) {
					t.Errorf("%s: refused by %+v", c.name, ps)
				}
				return ""
			}
			switch f := res.Place.Found; {
			case err != nil:
				return err.Error()
			case f == nil && res.Place.Kind == dispatch.NoPlace && len(res.Notes) == 1 && strings.Contains(res.Notes[0], c.why):
				return "none"
			case f == nil || res.Place.Point == nil || res.Place.Raw == nil || res.Place.Kind == dispatch.NoPlace || res.Place.Address != "某处" || f.ID != 5:
				return fmt.Sprintf("%+v", res.Place)
			default:
				return fmt.Sprintf("%s %s %.0f", f.By, f.Name, f.AccuracyM)
			}
		}
		in := intake.Report{Category: "0301", Title: "x", Address: "某处"}
		if s := got(in); s != c.sure {
			t.Errorf("%s: %q, want %q", c.name, s, c.sure)
		}
		in.Approximate, in.Unplaced = true, true
		if s := got(in); s != c.roughly {
			t.Errorf("%s, roughly: %q, want %q", c.name, s, c.roughly)
		}
	}
}

func TestIdentityNumbersAreMaskedInTexts(t *testing.T) {
	in := at(107.2, 38.2, "wgs84")
	in.Text = "身份证11010519491231002X，110105194912310011 110105194912310038，编号12345678901234567890，电话0477-1234567"
	res, err := intake.Run(env(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if want := "身份证110*************2X，110*************11 110*************38，编号12345678901234567890，电话0477-1234567"; res.Text != want {
		t.Errorf("got  %s\nwant %s", res.Text, want)
	}
}

func FuzzRun(f *testing.F) {
	e := env(f)
	f.Add("0301", "标题", "正文", 107.2, 38.2, "gcj02", "phone")
	f.Add("0301", "标题", "正文", 454730.0, 4227970.0, "EPSG:4545-en", "phone")
	f.Fuzz(func(t *testing.T, category, title, text string, lon, lat float64, crs, source string) {
		res, err := intake.Run(e, intake.Report{Category: category, Title: title, Text: text, Lon: &lon, Lat: &lat, CRS: crs, Source: source})
		if err != nil {
			return
		}
		if p := res.Place.Point; p == nil || math.Abs(p.Lon()) > 181 || math.Abs(p.Lat()) > 91 || res.Place.GridID == 0 {
			t.Errorf("accepted %v, %v, %s at %v in grid %d", lon, lat, crs, p, res.Place.GridID)
		}
	})
}

func TestAPhoneWhoseClockRunsAheadReportsNow(t *testing.T) {
	e := env(t)
	for _, c := range []struct {
		ahead time.Duration
		want  time.Duration
	}{{-time.Hour, -time.Hour}, {4 * time.Minute, 4 * time.Minute}, {6 * time.Minute, 0}, {48 * time.Hour, 0}} {
		in, clock := at(107.2, 38.2, "wgs84"), e.Now.Add(c.ahead)
		in.Source, in.ReportedAt = "field", &clock
		out, err := intake.Run(e, in)
		if err != nil {
			t.Fatal(err)
		}
		if got := out.ReportedAt.Sub(e.Now); got != c.want {
			t.Errorf("%v ahead: reported %v from now, want %v", c.ahead, got, c.want)
		}
		past := e // a date of the past is nobody's phone: what lies ahead is a mistake in the file
		past.Past = true
		if out, err := intake.Run(past, in); (err == nil) != (c.ahead < 5*time.Minute) {
			t.Errorf("%v ahead in a file of the past: reported %v, %v", c.ahead, out.ReportedAt, err)
		}
	}
}
