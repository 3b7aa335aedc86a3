// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paulmach/orb"
	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"

	"onemap/geo"
	"onemap/geo/grid"
	"onemap/intake/file"
)

// shape is one record of a .shp for a test.
type shape struct {
	kind  int32
	rings [][]orb.Point
	tail  []byte // Z and M blocks
}

// shp writes a .shp of polygons (or lines) by the book.
func shp(kind int32, shapes ...shape) []byte {
	var body []byte
	for i, s := range shapes {
		c := binary.LittleEndian.AppendUint32(nil, uint32(s.kind))
		if s.kind != 0 {
			points := 0
			for _, r := range s.rings {
				points += len(r)
			}
			c = append(c, make([]byte, 32)...)
			c = binary.LittleEndian.AppendUint32(c, uint32(len(s.rings)))
			c = binary.LittleEndian.AppendUint32(c, uint32(points))
			first := 0
			for _, r := range s.rings {
				c = binary.LittleEndian.AppendUint32(c, uint32(first))
				first += len(r)
			}
			for _, r := range s.rings {
				for _, p := range r {
					c = binary.LittleEndian.AppendUint64(c, math.Float64bits(p[0]))
					c = binary.LittleEndian.AppendUint64(c, math.Float64bits(p[1]))
				}
			}
		}
		c = append(c, s.tail...)
		body = binary.BigEndian.AppendUint32(body, uint32(i+1))
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(c)/2)), c...)
	}
	head := make([]byte, 100)
	binary.BigEndian.PutUint32(head, 9994)
	binary.BigEndian.PutUint32(head[24:], uint32(100+len(body))/2)
	binary.LittleEndian.PutUint32(head[28:], 1000)
	binary.LittleEndian.PutUint32(head[32:], uint32(kind))
	return append(head, body...)
}

// dbf writes a .dbf with the columns code C(4), name C(12), level N(3).
func dbf(language byte, rows ...[3]string) []byte {
	type column struct {
		name string
		kind byte
		n    int
	}
	columns := []column{{"code", 'C', 4}, {"name", 'C', 12}, {"level", 'N', 3}}
	b := make([]byte, 32)
	b[0], b[29] = 3, language
	binary.LittleEndian.PutUint32(b[4:], uint32(len(rows)))
	binary.LittleEndian.PutUint16(b[8:], uint16(32+32*len(columns)+1))
	binary.LittleEndian.PutUint16(b[10:], 20)
	for _, c := range columns {
		d := make([]byte, 32)
		copy(d, c.name)
		d[11], d[16] = c.kind, byte(c.n)
		b = append(b, d...)
	}
	b = append(b, '\r')
	for _, row := range rows {
		b = append(b, ' ')
		for i, c := range columns {
			b = append(b, row[i]+strings.Repeat(" ", c.n-len(row[i]))...)
		}
	}
	return append(b, 0x1a)
}

const wgsPRJ = `GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]`

// box is a ring, clockwise as outlines are in a Shapefile.
func box(x, y, size float64) []orb.Point {
	return []orb.Point{{x, y}, {x, y + size}, {x + size, y + size}, {x + size, y}, {x, y}}
}

func hole(ring []orb.Point) []orb.Point {
	r := slices.Clone(ring)
	slices.Reverse(r)
	return r
}

// made is a whole Shapefile of one polygon; change alters its parts.
func made(change func(map[string][]byte)) map[string][]byte {
	files := map[string][]byte{
		"a/grids.SHP": shp(5, shape{kind: 5, rings: [][]orb.Point{box(107, 38, 1)}}),
		"a/grids.dbf": dbf(0, [3]string{"1", "banner", "1"}),
		"a/grids.prj": []byte(wgsPRJ),
	}
	if change != nil {
		change(files)
	}
	return files
}

func TestShapefileRefuses(t *testing.T) {
	ring := box(107, 38, 1)
	set := func(name string, raw []byte) func(map[string][]byte) {
		return func(m map[string][]byte) { m[name] = raw }
	}
	shapes := func(kind int32, rings ...[]orb.Point) func(map[string][]byte) {
		return set("a/grids.SHP", shp(kind, shape{kind: kind, rings: rings}))
	}
	circle := func(n int) []orb.Point {
		var r []orb.Point
		for i := range n - 1 {
			a := -2 * math.Pi * float64(i) / float64(n-1)
			r = append(r, orb.Point{107 + math.Cos(a), 38 + math.Sin(a)})
		}
		return append(r, r[0])
	}
	good := shp(5, shape{kind: 5, rings: [][]orb.Point{ring}})
	flip := func(at int, b ...byte) []byte {
		out := slices.Clone(good)
		copy(out[at:], b)
		return out
	}
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("旗")
	if err != nil {
		t.Fatal(err)
	}
	other := func(name string) []byte { return []byte(strings.Replace(wgsPRJ, "D_WGS_1984", name, 1)) }
	for name, c := range map[string]struct {
		change func(map[string][]byte)
		given  file.Options
		datum  geo.Datum
		want   string
	}{
		"no prj":                   {change: func(m map[string][]byte) { delete(m, "a/grids.prj") }, want: "no .prj, so nobody knows"},
		"Beijing 1954":             {change: set("a/grids.prj", []byte(`GEOGCS["GCS_Beijing_1954",DATUM["D_Beijing_1954",SPHEROID["Krasovsky_1940",6378245.0,298.3]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]`)), want: `"GCS_Beijing_1954" (datum D_Beijing_1954)`},
		"Beijing 1954, crs given":  {change: set("a/grids.prj", other("D_Beijing_1954")), datum: "wgs84", want: "D_Beijing_1954"},
		"UTM":                      {change: set("a/grids.prj", []byte(`PROJCS["WGS_1984_UTM_Zone_50N",`+wgsPRJ+`,PROJECTION["Transverse_Mercator"],PARAMETER["Central_Meridian",117.0],UNIT["Meter",1.0]]`)), want: `"WGS_1984_UTM_Zone_50N" (a projection of WGS 84)`},
		"a prj that is none":       {change: set("a/grids.prj", []byte("<html>")), want: "the .prj can't be read"},
		"crs against the prj":      {datum: "EPSG:4545-en", want: "--crs says EPSG:4545-en"},
		"two Shapefiles":           {change: set("b/other.shp", good), want: "2 Shapefiles (a/grids, b/other)"},
		"the same file twice":      {change: set("A/grids.shp", good), want: "twice"},
		"no shapes":                {change: func(m map[string][]byte) { clear(m); m["readme.txt"] = nil }, want: "neither a Shapefile"},
		"kml":                      {change: func(m map[string][]byte) { clear(m); m["doc.kml"] = nil }, want: "KML"},
		"no shp header":            {change: set("a/grids.SHP", good[:50]), want: "no whole header"},
		"not a shp":                {change: set("a/grids.SHP", flip(0, 1)), want: "not 9994"},
		"cut off":                  {change: set("a/grids.SHP", good[:150]), want: "copy it again"},
		"a wrong record number":    {change: set("a/grids.SHP", flip(103, 7)), want: "has the number 7"},
		"a record longer than all": {change: set("a/grids.SHP", flip(104, 0x7f)), want: "bytes, "},
		"more points than bytes":   {change: set("a/grids.SHP", flip(148, 0xff, 0xff, 0xff, 0xff)), want: "shorter than the shape"},
		"more parts than points":   {change: set("a/grids.SHP", flip(144, 6)), want: "record 1 of the .shp: it has 6 parts of 5 points"},
		"parts without a point":    {change: set("a/grids.SHP", manyParts(5, 1<<20, 0)), want: "it has 1048576 parts of 0 points"},
		"too many parts":           {change: set("a/grids.SHP", manyParts(5, 30_000, 60_000)), want: "feature 1: 1: the polygon has 30000 rings, more than the limit of 25000"},
		"too many pieces":          {change: set("a/grids.SHP", manyParts(3, 100_001, 100_001)), want: "the line has 100001 pieces, more than the limit of 100000"},
		"shapes behind the end":    {change: set("a/grids.SHP", append(slices.Clone(good), good[100:]...)), want: "says it has only 236, so shapes would be lost"},
		"parts out of order":       {change: set("a/grids.SHP", flip(152, 9)), want: "part 1 begins"},
		"multipatch":               {change: set("a/grids.SHP", flip(32, 31)), want: "multipatches"},
		"a kind that is none":      {change: set("a/grids.SHP", flip(32, 6)), want: "unknown kind 6"},
		"two kinds":                {change: set("a/grids.SHP", flip(108, 3)), want: "a shape of kind 3 in a file of kind 5"},
		"lines":                    {change: shapes(3, ring), want: `not "LineString"`},
		"a null shape":             {change: set("a/grids.SHP", shp(5, shape{})), want: "feature 1: 1: no geometry"},
		"NaN":                      {change: shapes(5, []orb.Point{{107, 38}, {math.NaN(), 39}, {108, 39}, {107, 38}}), want: "feature 1: 1: ring 1, point 2 (NaN, 39) is no place"},
		"infinite":                 {change: shapes(5, ring, []orb.Point{{107, 38}, {108, math.Inf(1)}, {108, 39}, {107, 38}}), want: "ring 2, point 2"},
		"no data":                  {change: shapes(5, []orb.Point{{107, 38}, {-1e39, 39}, {108, 39}, {107, 38}}), want: "no place on earth"},
		"exchanged":                {change: shapes(5, []orb.Point{{38, 107}, {38, 108}, {39, 108}, {38, 107}}), want: "part 1, outline, point 1: longitude 38, latitude 107"},
		"round the antimeridian":   {change: shapes(5, []orb.Point{{179, 10}, {179, 11}, {-179, 11}, {-179, 10}, {179, 10}}), want: "179.000000,11.000000 to -179.000000,11.000000 runs round the earth"},
		"no ring":                  {change: shapes(5), want: "grid 1: the polygon has no part"},
		"100,001 vertices":         {change: shapes(5, circle(100_001)), want: "feature 1: 1: the polygon has 100001 vertices, more than the limit of 100000"},
		"another dbf":              {change: set("a/grids.dbf", dbf(0, [3]string{"1", "a", "1"}, [3]string{"2", "b", "1"})), want: "do not belong together"},
		"a shorter dbf":            {change: set("a/grids.dbf", dbf(0)), want: "do not belong together"},
		"dbf cut off":              {change: set("a/grids.dbf", dbf(0, [3]string{"1", "a", "1"})[:135]), want: "breaks off after row 0 of 1"},
		"GBK said to be UTF-8": {change: func(m map[string][]byte) {
			m["a/grids.dbf"] = dbf(0, [3]string{"1", gbk, "1"})
			m["a/grids.cpg"] = []byte("UTF-8")
		}, want: "is not UTF-8, as the .cpg says"},
		"GBK said by nobody":   {change: set("a/grids.dbf", dbf(0, [3]string{"1", gbk + gbk, "1"})), want: "The text looks like GB18030: say --encoding GB18030"},
		"UTF-8 said by nobody": {change: set("a/grids.dbf", dbf(0x57, [3]string{"1", "旗镇", "1"})), want: "The text looks like UTF-8"},
		"an encoding nobody reads": {change: func(m map[string][]byte) {
			m["a/grids.dbf"] = dbf(0, [3]string{"1", gbk, "1"})
			m["a/grids.cpg"] = []byte("Big5\n")
		}, want: `the .cpg says "Big5"`},
		"an encoding nobody knows":   {given: file.Options{Encoding: "EBCDIC"}, want: "say UTF-8, GBK or GB18030"},
		"more rows than the limit":   {given: file.Options{Limits: file.Limits{Rows: 0, Columns: 9, Unpacked: 1 << 20, Ratio: 100, RowBytes: 1}}, want: "more than 0"},
		"a zip over the limit":       {change: set("a/big", make([]byte, 5000)), given: file.Options{Limits: file.Limits{Rows: 9, Columns: 9, Unpacked: 2000, Ratio: 100, RowBytes: 1}}, want: "unpacks to more than"},
		"a number as code and level": {change: set("a/grids.dbf", dbf(0, [3]string{"1", "", "x"})), want: `no property "name"`},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := file.OpenShapes(zipFile(t, made(c.change)), c.given)
			if err == nil {
				defer s.Close()
				var ds []grid.Draft
				if ds, err = file.ReadBoundaries(s, file.BoundaryOptions{Datum: c.datum}); err == nil {
					if faults := grid.Check(ds); len(faults) > 0 {
						err = fmt.Errorf("%s", faults[0].Text)
					}
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// manyParts is a .shp of one shape with so many parts, one point in each but the
// last.
func manyParts(kind int32, parts, points int) []byte {
	rings := make([][]orb.Point, parts)
	all := make([]orb.Point, points)
	for i := range all {
		all[i] = orb.Point{107 + float64(i%2), 38 + float64(i/2%2)}
	}
	for i := range rings {
		n := min(1, len(all))
		if i == parts-1 {
			n = len(all)
		}
		rings[i], all = all[:n], all[n:]
	}
	return shp(kind, shape{kind: kind, rings: rings})
}

// TestDamagedShapefile: a bit that has changed in a zip is seen, whatever the bytes
// still say.
func TestDamagedShapefile(t *testing.T) {
	for name, at := range map[string]int{"a/grids.SHP": 170, "a/grids.dbf": 32 + 96 + 1 + 6} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		files := made(nil)
		for _, n := range slices.Sorted(maps.Keys(files)) {
			w, err := z.CreateHeader(&zip.FileHeader{Name: n, Method: zip.Store})
			if err == nil {
				_, err = w.Write(files[n])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		raw := b.Bytes()
		path := filepath.Join(t.TempDir(), "x.zip")
		for _, bit := range []byte{0, 1} {
			raw[bytes.Index(raw, files[name])+at] ^= bit
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := file.OpenShapes(path, file.Options{Encoding: "utf-8"})
			if err == nil {
				_, err = io.Copy(io.Discard, s)
				_ = s.Close()
			}
			switch want := name + " in the zip is damaged: copy the file again"; {
			case bit == 0 && err != nil:
				t.Errorf("%s as it was: %v", name, err)
			case bit == 1 && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
}

// TestColumnsLeftOutAreNamed: a memo is not read, but its name tells that the file
// holds something of persons.
func TestColumnsLeftOutAreNamed(t *testing.T) {
	files := made(func(m map[string][]byte) {
		copy(m["a/grids.dbf"][32+32:], "phone\x00")
		m["a/grids.dbf"][32+32+11] = 'M'
	})
	s := open(t, zipFile(t, files), file.Options{})
	if want := []string{"code", "phone", "level"}; !slices.Equal(s.Columns(), want) {
		t.Errorf("%q, want %q", s.Columns(), want)
	}
	if got := file.PersonColumns(s.Columns()); !slices.Equal(got, []string{"phone"}) {
		t.Errorf("about persons: %q", got)
	}
	text, err := io.ReadAll(s)
	if err != nil || bytes.Contains(text, []byte("banner")) || bytes.Contains(text, []byte("phone")) {
		t.Errorf("%s, %v", text, err)
	}
	if notes := strings.Join(s.Notes(), "\n"); !strings.Contains(notes, "column phone (kind 'M') of the .dbf is left out") {
		t.Errorf("notes %q", notes)
	}
}

// TestRingOf100000Vertices: the largest polygon that is taken is judged.
func TestRingOf100000Vertices(t *testing.T) {
	var r []orb.Point
	for i := range 99_999 {
		a := -2 * math.Pi * float64(i) / 99_999
		r = append(r, orb.Point{107 + math.Cos(a), 38 + math.Sin(a)})
	}
	r = append(r, r[0])
	read := func() []grid.Draft {
		s := open(t, zipFile(t, made(func(m map[string][]byte) {
			m["a/grids.SHP"] = shp(5, shape{kind: 5, rings: [][]orb.Point{r}})
		})), file.Options{})
		ds, err := file.ReadBoundaries(s, file.BoundaryOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	if faults := grid.Check(read()); len(faults) > 0 {
		t.Errorf("a circle: %+v", faults)
	}
	r[50_000], r[50_002] = r[50_002], r[50_000] // a small bow-tie
	faults := grid.Check(read())
	if len(faults) != 1 || !strings.Contains(faults[0].Text, "part 1, outline: ") || geo.Distance(geo.WGS84(faults[0].At), geo.WGS84(r[50_001])) > 20 {
		t.Errorf("a bow-tie: %+v", faults)
	}
}

func TestShapefileOfOtherKinds(t *testing.T) {
	z := func(points int) []byte { return make([]byte, 16+8*points+16+8*points) }
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string // of the notes
	}{
		"heights": {made(func(m map[string][]byte) {
			m["a/grids.SHP"] = shp(15, shape{15, [][]orb.Point{box(107, 38, 1)}, z(5)})
		}), "heights (Z) of 1 shapes are left out"},
		"measures": {made(func(m map[string][]byte) {
			m["a/grids.SHP"] = shp(25, shape{25, [][]orb.Point{box(107, 38, 1)}, make([]byte, 16+40)})
		}), "measures (M) of 1 shapes are left out"},
		"the wrong way round": {made(func(m map[string][]byte) {
			m["a/grids.SHP"] = shp(5, shape{kind: 5, rings: [][]orb.Point{hole(box(107, 38, 1))}})
		}), "the rings of 1 shapes run the wrong way round"},
		"a deleted row": {made(func(m map[string][]byte) {
			m["a/grids.SHP"] = shp(5, shape{kind: 5, rings: [][]orb.Point{box(107, 38, 1)}}, shape{kind: 5, rings: [][]orb.Point{box(107, 38, 1)}})
			m["a/grids.dbf"] = dbf(0, [3]string{"1", "a", "1"}, [3]string{"1", "b", "1"})
			m["a/grids.dbf"][32+96+1+20] = '*'
		}), "1 rows marked as deleted"},
		"a text cut in two": {made(func(m map[string][]byte) {
			m["a/grids.cpg"] = []byte("65001")
			m["a/grids.dbf"] = dbf(0, [3]string{"1", "鄂托克x旗"[:12], "1"})
		}), "1 texts fill their column"},
	} {
		s := open(t, zipFile(t, c.files), file.Options{})
		ds, err := file.ReadBoundaries(s, file.BoundaryOptions{})
		if err != nil || len(ds) != 1 {
			t.Errorf("%s: %d grids, %v", name, len(ds), err)
			continue
		}
		if got := canonical(ds[0].Geom); !got.Equal(canonical(orb.MultiPolygon{{box(107, 38, 1)}})) {
			t.Errorf("%s: %v", name, got)
		}
		if notes := strings.Join(s.Notes(), "\n"); !strings.Contains(notes, c.want) {
			t.Errorf("%s: notes %q, want %q", name, notes, c.want)
		}
		if strings.Contains(name, "cut") && ds[0].Name != "鄂托克x" {
			t.Errorf("%s: name %q", name, ds[0].Name)
		}
	}
}

// TestRingsFindTheirOutline draws outlines with holes, and outlines in holes, in
// any order, and wants the nesting back.
func TestRingsFindTheirOutline(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want orb.MultiPolygon
		var rings [][]orb.Point
		for i := range rapid.IntRange(1, 6).Draw(rt, "outlines") {
			x := 100 + 2*float64(i)
			part := orb.Polygon{box(x, 30, 1)}
			for k := range rapid.IntRange(0, 3).Draw(rt, "holes") {
				h := box(x+0.1+0.3*float64(k), 30.1, 0.2)
				if rapid.Bool().Draw(rt, "touches") {
					h = []orb.Point{{x + 0.1 + 0.3*float64(k), 30}, {x + 0.1 + 0.3*float64(k), 30.2}, {x + 0.2 + 0.3*float64(k), 30.2}, {x + 0.1 + 0.3*float64(k), 30}}
				} else if rapid.Bool().Draw(rt, "island") {
					island := box(x+0.15+0.3*float64(k), 30.15, 0.1)
					want = append(want, orb.Polygon{island})
				}
				part = append(part, hole(h))
			}
			want = append(want, part)
		}
		for _, part := range want {
			for _, r := range part {
				rings = append(rings, r)
			}
		}
		rings = rapid.Permutation(rings).Draw(rt, "order")
		if rapid.Bool().Draw(rt, "wrong way round") {
			for i := range rings {
				rings[i] = hole(rings[i])
			}
		}
		s, err := file.OpenShapes(zipFile(t, made(func(m map[string][]byte) { m["a/grids.SHP"] = shp(5, shape{kind: 5, rings: rings}) })), file.Options{})
		if err != nil {
			rt.Fatal(err)
		}
		defer s.Close()
		got, err := file.ReadOutline(s, "")
		if err != nil {
			rt.Fatal(err)
		}
		if !canonical(got).Equal(canonical(want)) {
			rt.Errorf("%v\nwant %v", canonical(got), canonical(want))
		}
	})
}

func TestZipBombs(t *testing.T) {
	zeros := make([]byte, 30<<20)
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"a thousandfold":      {made(func(m map[string][]byte) { m["a/grids.dbf"] = zeros }), "more than 100 times its size"},
		"in a file beside it": {made(func(m map[string][]byte) { m["a/grids.sbn"] = zeros }), "more than 100 times its size"},
		"many files": {made(func(m map[string][]byte) {
			for i := range 1001 {
				m[fmt.Sprint("x", i)] = nil
			}
		}), "files, more than 1000"},
	} {
		if _, err := file.OpenShapes(zipFile(t, c.files), file.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// What the directory says of sizes is believed when it is too much, and held to
	// when it is too little.
	for size, want := range map[uint32]string{201 << 20: "unpacks to more than 200 MiB", 120: ""} {
		raw := zipBytes(t, made(nil))
		at := bytes.Index(raw, []byte("PK\x01\x02")) // of the .SHP, the first by name
		binary.LittleEndian.PutUint32(raw[at+24:], size)
		path := filepath.Join(t.TempDir(), "liar.zip")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := file.OpenShapes(path, file.Options{})
		if err == nil {
			_, err = io.Copy(io.Discard, s)
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a zip that says a file has %d bytes: %v, want %q", size, err, want)
		}
	}
}
