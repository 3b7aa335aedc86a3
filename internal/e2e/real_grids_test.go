// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/maptile"
	"github.com/paulmach/orb/planar"
)

// TestRealOutlineBecomesACounty: the outline of a real banner, in GCJ-02, becomes
// an enacted tree in WGS-84 that tiles it.
func TestRealOutlineBecomesACounty(t *testing.T) {
	t.Parallel()
	file := realData(t, "admin/county_gcj02/150623.geojson")
	s := serve(t, freshFolder(t))
	start := time.Now()
	out := s.cli("grids", "draft", "--outline", file, "--crs", "gcj02", "--counts", "4,84,401", "--code", "150623", "--name", "鄂托克前旗", "--enact")
	t.Logf("drawn, checked and enacted in %s", time.Since(start).Round(time.Millisecond))
	said(t, out, "1/4/84/401 grids", "faults: 0;", "grid version 1 is enacted")
	said(t, s.cli("grids", "check", "1"), "faults: 0;")

	token := s.cli("token", "create", "--role", "hall_operator")
	tree := s.tree(token, "150623")
	if n := byLevel(t, tree); !slices.Equal(n, []int{1, 4, 84, 401}) {
		t.Errorf("%v grids by level", n)
	}
	outline := multiPolygon(t, featuresOf(t, unpacked(t, file))[0].Geometry)
	before := outline.Bound()
	west := metresEast(before.Min, tree["150623"].BBox[0])
	for _, poly := range outline {
		for _, ring := range poly {
			for i := range ring {
				ring[i] = fromGCJ(ring[i])
			}
		}
	}
	b := outline.Bound()
	for i, want := range [4]float64{b.Min[0], b.Min[1], b.Max[0], b.Max[1]} {
		if got := tree["150623"].BBox[i]; math.Abs(got-want) > 1e-6 {
			t.Errorf("side %d of the box is %.7f, the formula says %.7f", i, got, want)
		}
	}
	t.Logf("WGS-84 box %.6f, its west side %.0f m from that of the GCJ-02 outline", tree["150623"].BBox, west)
	if west > -350 || west < -480 {
		t.Errorf("the west side moved %.0f m", west)
	}
	s.tilesTheOutline(token, outline, tree)
	s.leavesAreFoundAndDrawn(token, tree)
}

// tilesTheOutline checks the GeoJSON of every level: whole, and of the outline's
// area.
func (s *server) tilesTheOutline(token string, outline orb.MultiPolygon, tree map[string]gridItem) {
	t := s.t
	t.Helper()
	want := planar.Area(outline)
	for level := 1; level <= 4; level++ {
		status, raw := s.call("GET", fmt.Sprintf("%s/api/v1/grids?level=%d", s.URL, level), token, "", "Accept: application/geo+json")
		if status != 200 {
			t.Fatalf("GeoJSON of level %d: %d %s", level, status, shortened(string(raw)))
		}
		var area float64
		var corners []int
		n := 0
		for _, f := range featuresOf(t, raw) {
			if g, ok := tree[f.Properties.MustString("code")]; !ok || g.Level != level || g.Name != f.Properties.MustString("name") {
				t.Errorf("level %d has the feature %v", level, f.Properties)
			}
			mp := multiPolygon(t, f.Geometry)
			area += planar.Area(mp)
			corners = append(corners, len(mp[0][0])-1)
			n++
		}
		slices.Sort(corners)
		t.Logf("level %d: %d grids of %d to %d vertices, half of them at most %d", level, n, corners[0], corners[n-1], corners[n/2])
		if n != byLevel(t, tree)[level-1] || math.Abs(area-want) > 1e-9*want {
			t.Errorf("level %d: %d grids of area %.12f, the outline has %.12f", level, n, area, want)
		}
	}
}

// leavesAreFoundAndDrawn asks for some leaves by place, in either datum, and looks
// for them in the map's tiles.
func (s *server) leavesAreFoundAndDrawn(token string, tree map[string]gridItem) {
	t := s.t
	t.Helper()
	asked := 0
	for _, g := range tree {
		if g.Level != 4 || asked == 20 {
			continue
		}
		asked++
		china := toGCJ(g.Label)
		for _, q := range []string{
			fmt.Sprintf("lon=%.9f&lat=%.9f&crs=wgs84", g.Label[0], g.Label[1]), fmt.Sprintf("lon=%.9f&lat=%.9f&crs=gcj02", china[0], china[1]),
		} {
			var at struct{ Path []gridItem }
			s.getJSON("/api/v1/grids/locate?"+q, token, &at)
			if len(at.Path) != 4 || at.Path[3].Code != g.Code || at.Path[0].Code != "150623" {
				t.Errorf("%s lies in %+v, want %s", q, at.Path, g.Code)
			}
		}
		tile := maptile.At(g.Label, 12)
		status, raw := s.call("GET", fmt.Sprintf("%s/tiles/grids/%d/%d/%d.mvt", s.URL, tile.Z, tile.X, tile.Y), token, "")
		layers, err := mvt.Unmarshal(raw)
		if status != 200 || err != nil {
			t.Fatalf("tile %v: %d %v", tile, status, err)
		}
		drawn := false
		for _, f := range layers.ToFeatureCollections()["grids"].Features {
			drawn = drawn || f.Properties["code"] == g.Code
		}
		if !drawn {
			t.Errorf("grid %s is not in the tile %v of its label", g.Code, tile)
		}
	}
}

// metresEast is how far east of p a meridian is, roughly.
func metresEast(p orb.Point, lon float64) float64 {
	return (lon - p[0]) * 111_320 * math.Cos(p[1]*math.Pi/180)
}

// toGCJ is the open formula of the GCJ-02 shift, in its usual form.
func toGCJ(p orb.Point) orb.Point {
	const a, ee = 6378245.0, 0.00669342162296594323
	x, y := p[0]-105, p[1]-35
	wave := func(v float64, of ...float64) (sum float64) { // amplitude, divisor, ...
		for i := 0; i < len(of); i += 2 {
			sum += of[i] * math.Sin(v/of[i+1]*math.Pi) * 2 / 3
		}
		return sum
	}
	both := wave(x, 20, 1.0/6, 20, 1.0/2)
	lat := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) + both + wave(y, 20, 1, 40, 3, 160, 12, 320, 30)
	lon := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) + both + wave(x, 20, 1, 40, 3, 150, 12, 300, 30)
	rad := p[1] * math.Pi / 180
	magic := 1 - ee*math.Sin(rad)*math.Sin(rad)
	return orb.Point{
		p[0] + lon*180/(a/math.Sqrt(magic)*math.Cos(rad)*math.Pi),
		p[1] + lat*180/((a*(1-ee))/(magic*math.Sqrt(magic))*math.Pi),
	}
}

// fromGCJ undoes toGCJ by trying.
func fromGCJ(g orb.Point) orb.Point {
	w := g
	for range 20 {
		f := toGCJ(w)
		w = orb.Point{w[0] - (f[0] - g[0]), w[1] - (f[1] - g[1])}
	}
	return w
}

// TestRealLevelsImportWithTheirFaults: three levels of a real province, which do
// not tile each other, come in with every gap and overlap told as PostGIS finds
// it by another formula.
func TestRealLevelsImportWithTheirFaults(t *testing.T) {
	t.Parallel()
	files := []string{
		realData(t, "nested/ilocos_norte_l1_province.geojson.gz"), realData(t, "nested/ilocos_norte_l2_municities.geojson.gz"),
		realData(t, "nested/ilocos_norte_l3_barangays.geojson.gz"),
	}
	s := serve(t, dataFolder(t))
	out := s.cli("import", "grids", files[0], files[1], files[2], "--crs", "wgs84", "--code", "ADM2_PCODE,ADM3_PCODE,ADM4_PCODE",
		"--name", "ADM2_EN,ADM3_EN,ADM4_EN", "--parent=-,ADM2_PCODE,ADM3_PCODE")
	said(t, out, "1/23/557 grids")
	told := faultsTold(t, out)
	pool := s.database()
	found := faultsFound(t, s, files)
	for f, is := range found {
		got, ok := told[f]
		switch {
		case !ok && is.m2 > 1.01:
			t.Errorf("%v of %.2f m2 is not told", f, is.m2)
		case ok && (math.Abs(got.m2-is.m2) > 0.6 || math.Abs(got.percent-is.percent) > 0.0006 || !planar.MultiPolygonContains(is.around, got.at)):
			t.Errorf("%v: told %+v, PostGIS says %.2f m2, %.4f %%", f, got, is.m2, is.percent)
		case ok && math.Abs(is.rest-is.m2) > 2+2e-5*is.m2/is.percent*100:
			t.Errorf("%v: %.2f m2, but what is left of the whole is %.2f m2", f, is.m2, is.rest)
		}
	}
	for f, got := range told {
		if is := found[f]; is.m2 < 0.5 {
			t.Errorf("%v is told with %+v, PostGIS finds %.2f m2", f, got, is.m2)
		}
	}
	kinds := map[string]int{}
	for f := range told {
		kinds[f.kind]++
	}
	t.Logf("faults told: %v; the largest: %s", kinds, strings.SplitN(out, "\n", 3)[1])

	token := s.cli("token", "create", "--role", "hall_operator")
	_, err := run(t, "grids", "enact", "1", "--data", s.data)
	if err == nil {
		t.Error("a tree with such faults was enacted unasked")
	} else {
		said(t, err.Error(), "grid version 1 is not enacted", "PH012801000", "--accept-faults")
	}
	if n := number(t, pool, "SELECT count(*) FROM grid_version WHERE state = 'enacted'"); n != 0 {
		t.Error("the refused version is enacted")
	}
	said(t, s.cli("grids", "enact", "1", "--accept-faults", "--reason", "as published"), "grid version 1 is enacted")
	if n := byLevel(t, s.tree(token, "PH012800000")); !slices.Equal(n, []int{1, 23, 557}) {
		t.Errorf("%v grids by level", n)
	}
}

type fault struct{ kind, code, other string }

type faultFigure struct {
	m2, percent float64
	rest        float64 // the whole less the common part, in m2
	at          orb.Point
	around      orb.MultiPolygon // the piece and a metre around it
}

// faultsTold reads a report back.
func faultsTold(t *testing.T, out string) map[fault]faultFigure {
	t.Helper()
	told := map[fault]faultFigure{}
	const tail = ` ([0-9]+) m2 \(([0-9.]+) %.*\).* at (-?[0-9.]+),(-?[0-9.]+)$`
	for _, re := range []*regexp.Regexp{
		regexp.MustCompile(`(?m)^(gap) +grid (\S+): its children (leave)` + tail),
		regexp.MustCompile(`(?m)^(outside_parent) +grid (\S+) lies outside its parent (\S+) with` + tail),
		regexp.MustCompile(`(?m)^(overlap) +grids (\S+) and (\S+) overlap by` + tail),
	} {
		for _, m := range re.FindAllStringSubmatch(out, -1) {
			n := make([]float64, 4)
			for i := range n {
				n[i], _ = strconv.ParseFloat(m[4+i], 64) // the pattern takes numbers only
			}
			told[fault{m[1], m[2], strings.TrimSuffix(m[3], "leave")}] = faultFigure{m2: n[0], percent: n[1], at: orb.Point{n[2], n[3]}}
		}
	}
	if m := regexp.MustCompile(`faults: ([0-9]+)`).FindStringSubmatch(out); m == nil || m[1] != strconv.Itoa(len(told)) {
		t.Errorf("the report has %d lines and sums up as %q", len(told), m)
	}
	return told
}

// faultsFound asks PostGIS about the files themselves, in two ways: the piece that
// is too much or lacking, and the whole less what is common. The second is less
// exact, for a long side and the same side with a vertex more are two geodesics.
func faultsFound(t *testing.T, s *server, files []string) map[fault]faultFigure {
	t.Helper()
	conn, err := s.database().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `CREATE TEMP TABLE given (code text, parent text, geom geometry, m2 float8)`); err != nil {
		t.Fatal(err)
	}
	codes := []string{"", "ADM2_PCODE", "ADM3_PCODE", "ADM4_PCODE"}
	for i, file := range files {
		_, err := conn.Exec(t.Context(), `INSERT INTO given
			SELECT f->'properties'->>$2, coalesce(f->'properties'->>$3, ''), g, ST_Area(g::geography)
			FROM json_array_elements($1::json->'features') AS f, ST_GeomFromGeoJSON(f->'geometry') AS g`,
			string(unpacked(t, file)), codes[i+1], codes[i])
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := conn.Query(t.Context(), `SELECT kind, code, other, m2, m2 / whole * 100, whole - common, ST_AsGeoJSON(ST_Multi(ST_Buffer(piece, 1e-5)), 9) FROM (
		SELECT 'gap', p.code, '', p.m2, ST_Area(ST_Intersection(p.geom, ST_Union(c.geom))::geography), ST_Difference(p.geom, ST_Union(c.geom))
		FROM given p JOIN given c ON c.parent = p.code GROUP BY p.code, p.geom, p.m2
		UNION ALL SELECT 'outside_parent', c.code, p.code, c.m2, ST_Area(ST_Intersection(c.geom, p.geom)::geography), ST_Difference(c.geom, p.geom)
		FROM given c JOIN given p ON p.code = c.parent
		UNION ALL SELECT 'overlap', a.code, b.code, least(a.m2, b.m2), ST_Area(ST_Union(a.geom, b.geom)::geography) - greatest(a.m2, b.m2), ST_Intersection(a.geom, b.geom)
		FROM given a JOIN given b ON b.parent = a.parent AND b.code > a.code AND b.geom && a.geom
		) AS f (kind, code, other, whole, common, piece), LATERAL (SELECT ST_Area(piece::geography)) AS area (m2) WHERE m2 > 0.5`)
	if err != nil {
		t.Fatal(err)
	}
	found := map[fault]faultFigure{}
	var f fault
	var n faultFigure
	var piece []byte
	_, err = pgx.ForEachRow(rows, []any{&f.kind, &f.code, &f.other, &n.m2, &n.percent, &n.rest, &piece}, func() error {
		g, err := geojson.UnmarshalGeometry(piece)
		if err == nil {
			n.around = multiPolygon(t, g.Geometry())
			found[f] = n
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
