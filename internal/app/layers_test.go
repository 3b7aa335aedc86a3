// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/layer"
	"onemap/store"
)

// stationsCSV is resource points of the stand's county: two in town A, one in town B,
// one outside every grid, and rows that are refused.
const stationsCSV = `编号,名称,资源类型,值守方式,等级,经度,纬度
s1,甲一站,站点,常驻,一级,107.2,38.3
s2,甲二站,站点,轮驻,二级,107.2,38.1
s3,乙一站,centre,随叫随驻,一级,107.7,38.3
s4,界外站,部门,,二级,106.5,38.3
,无编号,站点,常驻,,107.2,38.3
s6,坏方式,站点,偶尔,,107.2,38.3
s1,重复,站点,常驻,,107.2,38.3
s8,写了手机 13812345678,站点,常驻,,107.2,38.3
s9,远,站点,常驻,,210,38.3
`

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bringLayer imports a file as a layer of the stand.
func (st *stand) bringLayer(path, code string, change func(*LayerOptions)) (job.Result, error) {
	st.t.Helper()
	o := LayerOptions{
		DB: st.s.db, File: path, Read: file.FeatureOptions{Datum: geo.DatumWGS84}, Now: time.Now,
		Settings: LayerSettings{Code: code, Name: "图层" + code, Access: auth.LayerAccess{auth.Walls}},
	}
	if change != nil {
		change(&o)
	}
	res, _, _, err := ImportLayer(st.t.Context(), o)
	return res, err
}

type featureList struct {
	Items []struct {
		ID, Name, Kind string
		ExternalID     string            `json:"external_id"`
		DutyMode       string            `json:"duty_mode"`
		Props          map[string]string `json:"props"`
		DistanceM      float64           `json:"distance_m"`
		BearingDeg     float64           `json:"bearing_deg"`
		Covers         *bool
		GBCode         string `json:"gb_code"`
	}
	Cursor *string
}

func (st *stand) features(token, path string) (featureList, string) {
	st.t.Helper()
	a := st.get("/api/v1/layers/"+path, token)
	var v featureList
	if a.status != 200 || json.Unmarshal(a.body, &v) != nil {
		return v, fmt.Sprintf("%d %.200s", a.status, a.body)
	}
	var ids []string
	for _, i := range v.Items {
		ids = append(ids, i.ExternalID)
	}
	return v, strings.Join(ids, " ")
}

// drawn is the names in the tiles of a zoom over the county.
func (st *stand) drawn(token, layer string, z, x0, x1, y0, y1 int) string {
	st.t.Helper()
	var names []string
	for x := x0; x <= x1; x++ {
		for y := y0; y <= y1; y++ {
			a := st.get(fmt.Sprintf("/tiles/%s/%d/%d/%d.mvt", layer, z, x, y), token)
			if a.status == 204 {
				continue
			}
			if a.status != 200 {
				return fmt.Sprint(a.status)
			}
			layers, _, err := unpack(a)
			if err != nil {
				st.t.Fatal(err)
			}
			for _, l := range layers {
				for _, f := range l.Features {
					names = append(names, f.Properties.MustString("name"))
				}
			}
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

func TestAnImportedLayerIsServedByScopeAndAccess(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, townA, admin := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.SystemAdmin, "")
	wall, auditor := st.token(auth.Wall, ""), st.token(auth.Auditor, "")
	path := writeFile(t, "stations.csv", stationsCSV)
	res, err := st.bringLayer(path, "stations", nil)
	if n := res.Counts; err != nil || n.InGrid != 3 || n.Outside != 1 || n.Rejected != 5 {
		t.Fatalf("%+v, %v", res.Counts, err)
	}
	rejects, err := os.ReadFile(rejectsBeside(path, ""))
	for _, want := range []string{"编号为空", "未知的值守方式", "与第 1 行重复", "手机号码", "no place on earth"} {
		if err != nil || !strings.Contains(string(rejects), want) {
			t.Errorf("rejects lack %s: %s %v", want, rejects, err)
		}
	}
	began := time.Now()
	st.wait("the layer", func() bool { _, got := st.features(hall, "stations/features"); return got == "s1 s2 s3 s4" })
	t.Logf("seen after %s", time.Since(began))
	list, _ := st.features(hall, "stations/features")
	if i := list.Items[0]; i.Kind != "station" || i.DutyMode != "resident" || i.Props["等级"] != "一级" || len(i.Props) != 1 {
		t.Errorf("%+v", i)
	}
	if _, got := st.features(townA, "stations/features"); got != "s1 s2" {
		t.Errorf("town A: %s", got)
	}
	if _, got := st.features(hall, "stations/features?bbox=107.5,38,108,39"); got != "s3" {
		t.Errorf("by box: %s", got)
	}
	page, got := st.features(hall, "stations/features?limit=3")
	if got != "s1 s2 s3" || page.Cursor == nil {
		t.Fatalf("page one: %s", got)
	}
	if rest, got := st.features(hall, "stations/features?limit=3&cursor="+*page.Cursor); got != "s4" || rest.Cursor != nil {
		t.Errorf("page two: %s", got)
	}
	if a := st.call("GET", "/api/v1/layers/stations/features", townA, "", "Accept: application/geo+json"); a.status != 200 || strings.Count(string(a.body), `"Feature"`) != 2 {
		t.Errorf("GeoJSON: %d %s", a.status, a.body)
	}
	// z 9: the county lies in x 408..409, y 196..197.
	for who, want := range map[string][2]string{hall: {"界外站 甲一站 甲二站 乙一站", "200"}, townA: {"甲一站 甲二站", "200"}, wall: {"界外站 甲一站 甲二站 乙一站", "200"}, auditor: {"404", "404"}} {
		names := strings.Fields(want[0])
		slices.Sort(names)
		if got := st.drawn(who, "stations", 9, 407, 410, 195, 198); got != strings.Join(names, " ") {
			t.Errorf("tiles: %q, want %q", got, want[0])
		}
		if a := st.get("/tiles/stations.json", who); fmt.Sprint(a.status) != want[1] {
			t.Errorf("TileJSON: %d, want %s", a.status, want[1])
		}
	}
	forbidden, unknown := st.get("/tiles/stations.json", auditor), st.get("/tiles/statiens.json", auditor)
	if strings.Replace(string(forbidden.body), "stations", "statiens", 1) != string(unknown.body) || forbidden.status != unknown.status {
		t.Errorf("forbidden %s, unknown %s", forbidden.body, unknown.body)
	}
	// A wall that was given a set of layers shows those of it alone.
	security := st.token(auth.SecurityAdmin, "")
	for set, want := range map[string]int{`["grids","stations"]`: 201, `["statiens"]`: 422} {
		if a := st.call("POST", "/api/v1/walls", security, `{"name":"hall-1","layers":`+set+`}`); a.status != want {
			t.Errorf("a wall of %s: %d %s", set, a.status, a.body)
		}
	}
	for _, set := range [][]string{{"grids"}, {"stations"}} {
		secret, until := store.NewSecret(), time.Now().Add(tokenLife)
		c := store.Credential{Kind: store.Token, Role: auth.Wall, Layers: set, ExpiresAt: &until}
		if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, c); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"grids": 404, "stations": 200}[set[0]]
		for _, path := range []string{"/tiles/stations.json", "/api/v1/layers/stations/features", "/api/v1/layers/stations/nearest?lon=107.2&lat=38.3&crs=wgs84"} {
			if a := st.get(path, secret); a.status != want {
				t.Errorf("wall of %v, %s: %d %s", set, path, a.status, a.body)
			}
		}
		if told := strings.Contains(string(st.get("/api/v1/layers", secret).body), "stations"); told != (want == 200) {
			t.Errorf("wall of %v is told of the layer: %v", set, told)
		}
	}
	// Style, zooms and access are changed by a system administrator alone, and seen at once.
	const change = `{"style":{"colour":"#d4380d","icon":"station","label":"等级"},"min_zoom":10,"access":["dispatcher","hall_operator"]}`
	if a := st.call("PATCH", "/api/v1/layers/stations", hall, change); a.status != 403 {
		t.Errorf("a hall changes a layer: %d", a.status)
	}
	if a := st.call("PATCH", "/api/v1/layers/stations", admin, `{"style":{"icon":"skull"}}`); a.status < 400 || a.status > 422 {
		t.Errorf("an unknown icon: %d %s", a.status, a.body)
	}
	if a := st.call("PATCH", "/api/v1/layers/stations", admin, change); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	began = time.Now()
	st.wait("the change", func() bool { return st.drawn(hall, "stations", 9, 407, 410, 195, 198) == "" })
	t.Logf("changed after %s", time.Since(began))
	if got := st.drawn(hall, "stations", 10, 815, 819, 391, 395); !strings.Contains(got, "甲一站") {
		t.Errorf("z10: %q", got)
	}
	if _, got := st.features(townA, "stations/features"); !strings.HasPrefix(got, "404") {
		t.Errorf("town A without access: %s", got)
	}
	if _, got := st.features(wall, "stations/features"); !strings.HasPrefix(got, "404") {
		t.Errorf("a wall without access: %s", got)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'layer.settings' AND object = 'layer/stations' AND actor LIKE 'token:%'"); n != 1 {
		t.Errorf("%d audit rows of the change", n)
	}
	var codes []string
	var layers struct{ Items []struct{ Code string } }
	if err := json.Unmarshal(st.get("/api/v1/layers", hall).body, &layers); err != nil {
		t.Fatal(err)
	}
	for _, l := range layers.Items {
		codes = append(codes, l.Code)
	}
	if fmt.Sprint(codes) != "[cameras stations]" {
		t.Errorf("layers %v", codes)
	}
	if a := st.get("/api/v1/layers", townA); strings.Contains(string(a.body), "stations") {
		t.Errorf("town A is told of %s", a.body)
	}
	if a := st.get("/api/v1/layers", admin); !strings.Contains(string(a.body), `"hall_operator"`) {
		t.Errorf("the administrator is told %s", a.body)
	}
}

func TestALayerComesInTwiceAndChanges(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	path := writeFile(t, "a.csv", "id,name,lon,lat\n1,一,107.2,38.3\n2,二,107.7,38.3\n")
	if _, err := st.bringLayer(path, "pts", nil); err != nil {
		t.Fatal(err)
	}
	if res, err := st.bringLayer(path, "pts", nil); err != nil || !res.AlreadyDone {
		t.Errorf("the same file: %+v %v", res, err)
	}
	again := writeFile(t, "b.csv", "id,name,lon,lat\n1,一,107.2,38.3\n2,贰,107.7,38.3\n3,三,107.7,38.2\n")
	if res, err := st.bringLayer(again, "pts", nil); err != nil || res.Counts.Repeated != 1 || res.Counts.InGrid != 2 {
		t.Errorf("a changed file: %+v %v", res.Counts, err)
	}
	st.wait("the changes", func() bool {
		l, got := st.features(hall, "pts/features")
		return got == "1 2 3" && l.Items[1].Name == "贰"
	})
	st.wait("the set of the last version", func() bool { // features are read after the version, and may be newer
		return st.s.namedLayers().Named("pts").Version == int64(st.count("SELECT version FROM layer WHERE code = 'pts'"))
	})
	// Another import reads that layer alone again: the sets of the others stay, and so
	// do their tiles.
	before := st.s.namedLayers().Named("pts")
	lines := writeFile(t, "l.geojson", `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"id":"r1","name":"渠"},"geometry":{"type":"LineString","coordinates":[[107.1,38.3],[107.9,38.3]]}},
		{"type":"Feature","properties":{"id":"r2","name":"点"},"geometry":{"type":"Point","coordinates":[107.1,38.3]}}]}`)
	if res, err := st.bringLayer(lines, "canals", nil); err != nil || res.Counts.InGrid != 1 || res.Counts.Rejected != 1 {
		t.Errorf("lines: %+v %v", res.Counts, err)
	}
	polygons := writeFile(t, "p.geojson", `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"id":"p1","name":"水库"},"geometry":{"type":"Polygon","coordinates":[[[107.1,38.3],[107.3,38.3],[107.3,38.4],[107.1,38.4],[107.1,38.3]]]}},
		{"type":"Feature","properties":{"id":"p2","name":"领结"},"geometry":{"type":"Polygon","coordinates":[[[107,38],[107.1,38.1],[107.1,38],[107,38.1],[107,38]]]}}]}`)
	if res, err := st.bringLayer(polygons, "lakes", nil); err != nil || res.Counts.InGrid != 1 || res.Counts.Rejected != 1 {
		t.Errorf("polygons: %+v %v", res.Counts, err)
	}
	st.wait("lines and polygons", func() bool {
		return st.drawn(hall, "canals", 9, 407, 410, 195, 198) == "渠" && st.drawn(hall, "lakes", 9, 407, 410, 195, 198) == "水库"
	})
	if st.s.namedLayers().Named("pts") != before {
		t.Error("the other layer was read again")
	}
	if l, got := st.features(hall, "lakes/nearest?lon=107.2&lat=38.35&crs=wgs84"); got != "p1" || l.Items[0].DistanceM != 0 {
		t.Errorf("inside a polygon: %s %+v", got, l)
	}
	if l, got := st.features(hall, "canals/nearest?lon=107.5&lat=38.31&crs=wgs84"); got != "r1" || l.Items[0].DistanceM < 1000 || l.Items[0].DistanceM > 1115 || l.Items[0].BearingDeg < 170 || l.Items[0].BearingDeg > 190 {
		t.Errorf("beside a line: %s %+v", got, l)
	}
	var people *file.PersonColumnsError
	for what, c := range map[string]struct{ text, code, want string }{
		"a column about persons": {"id,name,联系电话,lon,lat\n1,一,x,107.2,38.3\n", "pts", "persons"},
		"a reserved code":        {"id,name,lon,lat\n1,一,107.2,38.3\n", "roads", "map itself"},
		"no id":                  {"name,lon,lat\n一,107.2,38.3\n", "pts", "--id"},
		"no place":               {"id,name\n1,一\n", "pts", "lon and lat"},
	} {
		_, err := st.bringLayer(writeFile(t, "x.csv", c.text), c.code, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.want == "persons" && !errors.As(err, &people) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := st.bringLayer(path, "other", func(o *LayerOptions) { o.Read.Datum = "" }); err == nil || !strings.Contains(err.Error(), "--crs") {
		t.Errorf("no datum: %v", err)
	}
	// A grid that is moved moves what lies in it: the tree decides, not the import.
	if got := st.count("SELECT count(*) FROM layer_feature WHERE raw_datum = 'wgs84' AND (raw_lon IS NULL) = (GeometryType(geom) <> 'POINT')"); got != 5 {
		t.Errorf("%d features keep what they were given as", got)
	}
}

// A stopped import goes on where it ended: 2,500 rows, stopped after the first batch.
func TestAStoppedLayerGoesOn(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	var b strings.Builder
	b.WriteString("id,name,lon,lat\n")
	for i := range 2500 {
		fmt.Fprintf(&b, "%d,点%d,%v,%v\n", i, i, 107+float64(i%50)/51, 38+float64(i/50)/101)
	}
	path := writeFile(t, "many.csv", b.String())
	ctx, stop := context.WithCancel(t.Context())
	o := LayerOptions{
		DB: st.s.db, File: path, Read: file.FeatureOptions{Datum: geo.DatumGCJ02}, Now: time.Now, Settings: LayerSettings{Code: "many", Name: "多"},
		Progress: func(job.Progress) { stop() },
	}
	if _, _, _, err := ImportLayer(ctx, o); !errors.Is(err, job.ErrStopped) {
		t.Fatalf("%v", err)
	}
	if n := st.count("SELECT count(*) FROM layer_feature"); n == 0 || n == 2500 {
		t.Fatalf("%d rows after the stop", n)
	}
	o.Progress = nil
	res, _, _, err := ImportLayer(t.Context(), o)
	if err != nil || res.Counts.InGrid+res.Counts.Outside != 2500 || res.Skipped == 0 || st.count("SELECT count(*) FROM layer_feature") != 2500 {
		t.Errorf("%+v %v", res, err)
	}
	o.DryRun, o.Settings.Code = true, "dry"
	res, _, _, err = ImportLayer(t.Context(), o)
	if err != nil || res.Counts.Rows() != 2500 || st.count("SELECT count(*) FROM layer WHERE code = 'dry'") != 0 {
		t.Errorf("dry run: %+v %v", res, err)
	}
}

// While an import runs a system administrator closes the layer and another import of
// the same code begins: the one stays closed, the other mixes nothing.
func TestAnImportLeavesWhatChangesBesideIt(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	admin := st.token(auth.SystemAdmin, "")
	var b strings.Builder
	b.WriteString("id,name,lon,lat\n")
	for i := range 1500 {
		fmt.Fprintf(&b, "%d,点%d,%v,%v\n", i, i, 107+float64(i%50)/51, 38+float64(i/50)/101)
	}
	path := writeFile(t, "many.csv", b.String())
	changed := false
	res, err := st.bringLayer(path, "pts", func(o *LayerOptions) {
		o.Progress = func(job.Progress) {
			if changed {
				return
			}
			changed = true
			if a := st.call("PATCH", "/api/v1/layers/pts", admin, `{"access":["dispatcher"]}`); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
	})
	if err != nil || res.Counts.Rows() != 1500 || !changed {
		t.Fatalf("%+v %v", res, err)
	}
	if n := st.count("SELECT count(*) FROM layer WHERE code = 'pts' AND access = ARRAY['dispatcher']"); n != 1 {
		t.Error("the import gave the walls a layer back that had been closed to them")
	}
	lines := writeFile(t, "l.geojson", `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"id":"r1","name":"渠"},"geometry":{"type":"LineString","coordinates":[[107.1,38.3],[107.9,38.3]]}}]}`)
	var once sync.Once
	_, err = st.bringLayer(path, "mixed", func(o *LayerOptions) {
		o.Now = func() time.Time {
			once.Do(func() {
				if _, err := st.bringLayer(lines, "mixed", nil); err != nil {
					t.Error(err)
				}
			})
			return time.Now()
		}
	})
	if err == nil || !strings.Contains(err.Error(), "another code") {
		t.Errorf("points into a layer of lines: %v", err)
	}
	if n := st.count("SELECT count(*) FROM layer_feature f JOIN layer l ON l.id = f.layer_id WHERE l.code = 'mixed'"); n != 1 {
		t.Errorf("%d features in the layer of one line", n)
	}
}

// A camera is where its point is, by the tree in force: neither what was stored with
// it nor the tree its import began with says who sees it.
func TestACameraFollowsTheTree(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, townA := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	path := writeFile(t, "cameras.csv", "gb_code,name,lon,lat\n15062401001320000001,界外,106.95,38.2\n15062401001310000002,甲,107.2,38.3\n")
	res, _, _, err := ImportCameras(t.Context(), CameraOptions{DB: st.s.db, File: path, Datum: geo.DatumWGS84, Now: time.Now})
	if err != nil || res.Counts.InGrid != 1 || res.Counts.Outside != 1 {
		t.Fatalf("%+v %v", res.Counts, err)
	}
	sees := func(token string) int { l, _ := st.features(token, "cameras/features"); return len(l.Items) }
	st.wait("cameras", func() bool { return sees(hall) == 2 })
	if n := sees(townA); n != 1 {
		t.Errorf("town A sees %d cameras", n)
	}
	list := st.get("/api/v1/layers", hall)
	if err := st.s.db.Enact(t.Context(), st.draft(redraw())); err != nil {
		t.Fatal(err)
	}
	st.wait("the camera that lies in town A now", func() bool {
		return sees(townA) == 2 && st.drawn(townA, "cameras", 14, 13059, 13059, 6308, 6308) == "界外"
	})
	if now := st.get("/api/v1/layers", hall); now.status != 200 || !strings.Contains(string(now.body), `"tag"`) || string(now.body) == string(list.body) {
		t.Errorf("the list does not tell that tiles are old: %s", now.body)
	}
}

func TestALabelIsTheNameWhereThePropertyIsMissing(t *testing.T) {
	for props, want := range map[string]string{`{"等级":"一级"}`: "一级", `{"类别":"x"}`: "站", `{"等级":""}`: "站", "": "站"} {
		if got := labelOf(layer.Style{Label: "等级"}, store.LayerFeature{Name: "站", Props: []byte(props)}); got != want {
			t.Errorf("%s: %q, want %q", props, got, want)
		}
	}
}

// A camera of one county on another's ground is the one's to see.
func TestACameraIsSeenInItsOwnCounty(t *testing.T) {
	box := func(x float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x, 38}, {x + 1, 38}, {x + 1, 39}, {x, 39}, {x, 38}}}}
	}
	tree, err := grid.NewTree([]grid.Node{
		{ID: 1, Version: 1, Level: 1, Code: "P", Parent: -1, No: 1, Last: 2, Geom: box(107)},
		{ID: 2, Version: 1, Level: 2, Code: "P1", Parent: 0, No: 2, Last: 2, Geom: box(107)},
		{ID: 3, Version: 2, Level: 1, Code: "Q", Parent: -1, No: 3, Last: 4, Geom: box(108)},
		{ID: 4, Version: 2, Level: 2, Code: "Q1", Parent: 2, No: 4, Last: 4, Geom: box(108)},
	})
	if err != nil {
		t.Fatal(err)
	}
	set, spots := cameraSet(tree, []store.Camera{
		{ID: 1, Root: "P", Point: orb.Point{107.5, 38.5}},
		{ID: 2, Root: "P", Point: orb.Point{108.5, 38.5}},
		{ID: 3, Point: orb.Point{108.5, 38.5}},
		{ID: 4, Point: orb.Point{110, 38.5}},
		{ID: 5, Root: "gone", Point: orb.Point{108.5, 38.5}},
	})
	for i, want := range []string{"[2] 2", "[1] 1", "[4] 4", "[1 3] 0", "[1 3] 0"} {
		if got := fmt.Sprint(set.Features[i].Grids, spots[i].Grid); got != want {
			t.Errorf("camera %d: %s, want %s", i+1, got, want)
		}
	}
}

const camerasCSV = `国标编码,设备名称,朝向,视场角,可视距离,坐标系,经度,纬度
15062401001320000001,路口枪机,0,60,300,wgs84,107.2,38.3
15062401001310000002,广场球机,,360,500,,107.201,38.3
15062401001320000003,乙镇枪机,90,,,gcj02,107.7,38.3
15062401001180000004,录像机,,,,wgs84,107.2,38.3
1506240100132000000,少一位,,,,wgs84,107.2,38.3
15062401001320000006,朝向错,400,,,wgs84,107.2,38.3
15062401001320000007,坐标系错,,,,火星,107.2,38.3
`

// bringCameras imports camerasCSV: three cameras, four rejects.
func (st *stand) bringCameras(token string) {
	st.t.Helper()
	path := writeFile(st.t, "cameras.csv", camerasCSV)
	res, _, _, err := ImportCameras(st.t.Context(), CameraOptions{DB: st.s.db, File: path, Datum: geo.DatumWGS84, Now: time.Now})
	if n := res.Counts; err != nil || n.InGrid != 3 || n.Rejected != 4 {
		st.t.Fatalf("%+v %v", n, err)
	}
	st.wait("cameras", func() bool { l, _ := st.features(token, "cameras/features"); return len(l.Items) == 3 })
}

func TestCamerasByTheirCodes(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, townB, leader := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "B"), st.token(auth.CountyLeader, "")
	st.bringCameras(hall)
	if n := st.count("SELECT count(*) FROM camera WHERE raw_datum = 'gcj02' AND raw_lon = 107.7 AND ST_X(geom) < 107.7 AND fov IS NULL AND root_code = 'C'"); n != 1 {
		t.Error("the pair as it was given is not kept")
	}
	l, _ := st.features(hall, "cameras/nearest?lon=107.2&lat=38.301&crs=wgs84&k=3")
	var said []string
	for _, i := range l.Items {
		covers := "unknown"
		if i.Covers != nil {
			covers = fmt.Sprint(*i.Covers)
		}
		said = append(said, i.Name+" "+covers)
	}
	if got := strings.Join(said, ", "); got != "路口枪机 true, 广场球机 true, 乙镇枪机 unknown" {
		t.Errorf("nearest: %s", got)
	}
	if l, _ := st.features(townB, "cameras/features"); len(l.Items) != 1 || l.Items[0].GBCode == "" {
		t.Errorf("town B: %+v", l)
	}
	if l, _ := st.features(leader, "cameras/features"); len(l.Items) != 3 || l.Items[0].GBCode != "" {
		t.Errorf("a leader, who opens no camera: %+v", l)
	}
	a := st.get("/tiles/cameras/12/3267/1575.mvt", hall)
	for _, at := range [][2]int{{3267, 1572}, {3267, 1573}, {3267, 1574}, {3267, 1571}} {
		if a.status != 200 {
			a = st.get(fmt.Sprintf("/tiles/cameras/12/%d/%d.mvt", at[0], at[1]), hall)
		}
	}
	layers, _, err := unpack(a)
	if err != nil || len(layers) == 0 {
		t.Fatal(err)
	}
	found := false
	for _, f := range layers[0].Features {
		if p := f.Properties; p["name"] == "路口枪机" {
			found = p["fov"] == 60.0 && p["heading"] == 0.0
		}
	}
	if !found {
		t.Errorf("tile %v", layers[0].Features)
	}
	var in struct{ ID string }
	if err := json.Unmarshal(st.report(hall, 107.2, 38.301).body, &in); err != nil {
		t.Fatal(err)
	}
	b := st.get("/api/v1/incidents/"+in.ID+"/nearest?layer=cameras&k=1", hall)
	if b.status != 200 || !strings.Contains(string(b.body), "路口枪机") || !strings.Contains(string(b.body), `"covers":true`) {
		t.Errorf("nearest to an incident: %d %s", b.status, b.body)
	}
	if b := st.get("/api/v1/incidents/"+in.ID+"/nearest?layer=cameras", townB); b.status != 404 {
		t.Errorf("of another town's incident: %d", b.status)
	}
	if b := st.get("/api/v1/incidents/"+in.ID+"/nearest?layer=nothing", hall); b.status != 404 {
		t.Errorf("of no layer: %d", b.status)
	}
	// A camera whose code another county has stays that county's; one of no county is
	// whose ground it stands on, or anybody's.
	st.exec("UPDATE camera SET root_code = CASE WHEN gb_code LIKE '%1' THEN 'Z' END")
	path := writeFile(t, "again.csv", "gb_code,name,lon,lat\n15062401001320000001,抢来,107.3,38.3\n15062401001310000002,改名,107.3,38.3\n")
	res, _, _, err := ImportCameras(t.Context(), CameraOptions{DB: st.s.db, File: path, Datum: geo.DatumWGS84, Now: time.Now})
	if err != nil || res.Counts.Rejected != 1 || res.Counts.InGrid != 1 {
		t.Errorf("%+v %v", res.Counts, err)
	}
	version, err := st.s.db.SaveDraft(t.Context(), []grid.Draft{{Code: "Q", Level: 1, Name: "邻县", Geom: box(110, 38, 111, 39)}}, true, "test")
	if err == nil {
		err = st.s.db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	st.exec("UPDATE camera SET root_code = NULL, geom = CASE WHEN gb_code LIKE '%1' THEN ST_SetSRID(ST_MakePoint(110.5, 38.5), 4326) WHEN gb_code LIKE '%2' THEN ST_SetSRID(ST_MakePoint(100, 38), 4326) ELSE geom END")
	path = writeFile(t, "third.csv", "gb_code,name,lon,lat\n15062401001320000001,邻县的,107.3,38.3\n15062401001310000002,无主,107.3,38.3\n15062401001320000003,本县,107.3,38.3\n")
	res, _, _, err = ImportCameras(t.Context(), CameraOptions{DB: st.s.db, File: path, Root: "C", Datum: geo.DatumWGS84, Now: time.Now})
	if err != nil || res.Counts.Rejected != 1 || res.Counts.InGrid != 2 {
		t.Errorf("%+v %v", res.Counts, err)
	}
	if n := st.count("SELECT count(*) FROM camera WHERE root_code IS NULL AND gb_code = '15062401001320000001'"); n != 1 {
		t.Error("a camera on the neighbour's ground was taken over")
	}
}
