// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bytes"
	"strings"
	"testing"

	"onemap/geo"
	"onemap/intake/file"
)

// TestAreasAreReadOneByOne: what is wrong with one is told of it, and the others are
// read; a file that cannot be meant is refused whole.
func TestAreasAreReadOneByOne(t *testing.T) {
	area := func(properties, ring string) string {
		return `{"type":"Feature","properties":{` + properties + `},"geometry":{"type":"Polygon","coordinates":[` + ring + `]}}`
	}
	const ring = `[[107,38],[108,38],[108,39],[107,38]]`
	collection := func(features ...string) string {
		return `{"type":"FeatureCollection","features":[` + strings.Join(features, ",") + `]}`
	}
	rows, err := file.ReadAreas(strings.NewReader(collection(
		area(`"code":1,"name":"一","up":""`, ring), area(`"code":"2","name":"二","up":1`, ring), area(`"name":"无号"`, ring),
		area(`"code":1,"name":"又"`, ring), area(`"code":5,"name":"开"`, `[[107,38],[108,38],[108,39],[107,38.5]]`), area(`"code":6,"name":"空"`, `[[107,38],null]`),
	)), file.BoundaryOptions{Datum: "wgs84", Parent: "up"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "", `no property "code"`, "feature 1 has this code", "not closed, it begins at 107.000000,38.000000", "6:"} {
		if r := rows[i]; want == "" && (r.Err != nil || len(r.Area.Geom) != 1) || want != "" && (r.Err == nil || !strings.Contains(r.Err.Error(), want)) {
			t.Errorf("feature %d: %+v, want %q", r.N, r, want)
		}
	}
	if rows[0].Area.Parent != "" || rows[1].Area.Parent != "1" || rows[1].Area.Code != "2" {
		t.Errorf("parents and codes: %+v", rows[:2])
	}
	for name, c := range map[string]struct {
		text, want string
		o          file.BoundaryOptions
	}{
		"no datum":          {collection(area(`"code":1,"name":"一"`, ring)), "wgs84", file.BoundaryOptions{}},
		"another property":  {collection(area(`"no":1,"name":"一"`, ring)), `no feature has the property "code" for the code; there are name, no`, file.BoundaryOptions{Datum: "wgs84"}},
		"an unknown parent": {collection(area(`"code":1,"name":"一"`, ring)), `"up" for the parent`, file.BoundaryOptions{Datum: "wgs84", Parent: "up"}},
		"no feature":        {collection(), "no feature", file.BoundaryOptions{Datum: "wgs84"}},
		"no JSON":           {"x", "not GeoJSON", file.BoundaryOptions{Datum: "wgs84"}},
	} {
		rows, err := file.ReadAreas(strings.NewReader(c.text), c.o)
		if err == nil && len(rows) > 0 {
			err = rows[0].Err
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzReadAreas(f *testing.F) {
	f.Add([]byte(with(`{"type":"Polygon","coordinates":[` + goodRing + `]}`)))
	f.Add([]byte(`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"1","name":"a"},"geometry":null},{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := file.ReadAreas(bytes.NewReader(raw), file.BoundaryOptions{Datum: geo.DatumGCJ02, Parent: "parent"})
		if err != nil {
			return
		}
		for _, r := range rows {
			if r.Err == nil && geo.CheckPolygon(r.Area.Geom, geo.BoundaryLimits) != nil {
				t.Errorf("read the area %+v", r)
			}
			if r.Err != nil && len(r.Reject()) == 0 {
				t.Errorf("nothing to reject in %+v", r)
			}
		}
	})
}
