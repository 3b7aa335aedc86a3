// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/job"
)

// found is what a search for q tells.
type found struct {
	Items []struct {
		ID, Kind, Name, Address string
		Point                   [2]float64
		AccuracyM               float64 `json:"accuracy_m"`
		Confidence              float64
		Reasons                 []string
		DistanceM               *float64 `json:"distance_m"`
	}
	Parts []map[string]any
}

func (st *stand) find(token, q string, more ...string) (v found) {
	st.t.Helper()
	a := st.call("GET", "/api/v1/places/search?q="+url.QueryEscape(q)+strings.Join(more, ""), token, "")
	if a.status != 200 {
		st.t.Fatalf("%s: %d %s", q, a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		st.t.Fatal(err)
	}
	return v
}

// finds waits until a search for q tells a place of this name first: a running
// server follows an import.
func (st *stand) finds(token, q, name string) found {
	st.t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		v := st.find(token, q)
		if len(v.Items) > 0 && v.Items[0].Name == name {
			return v
		}
		if time.Now().After(end) {
			st.t.Fatalf("%s: %+v, want %s", q, v.Items, name)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// bring imports text as a file of this name.
func (st *stand) bring(name, text string, o PlacesOptions) (job.Result, string, []Told, error) {
	st.t.Helper()
	path := filepath.Join(st.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		st.t.Fatal(err)
	}
	o.DB, o.File, o.Now = st.s.db, path, time.Now
	if o.Source == "" {
		o.Source = "test"
	}
	if o.Kind == "" {
		o.Kind = "place"
	}
	return ImportPlaces(st.t.Context(), o)
}

const placesCSV = `编号,名称,地址,别名,经度,纬度
p1,甲镇卫生院,甲镇人民路12号,甲医院;老卫生院,107.2,38.4
p2,甲镇中心小学,甲镇人民路20号,,107.21,38.4
p3,乙镇粮站,乙镇和平街3号,,107.8,38.4
p4,县外加油站,国道旁,,106.0,38.4
p5,,没有名称,,107.2,38.4
p6,经纬颠倒,,,38.4,107.2
p7,某某超市13912345678,,,107.2,38.4
`

func TestImportedPlacesAreFoundByWhoMayKnowThem(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, townA, townB := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B")
	if v := st.find(hall, "甲镇卫生院"); len(v.Items) != 1 || v.Items[0].Kind != "area" || v.Items[0].Name != "甲镇" || v.Items[0].AccuracyM < 20_000 || !slices.Contains(v.Items[0].Reasons, "fell_back") {
		t.Errorf("of an empty library: %+v", v.Items)
	}
	res, rejects, _, err := st.bring("places.csv", placesCSV, PlacesOptions{CRS: "wgs84"})
	if err != nil {
		t.Fatal(err)
	}
	if c := res.Counts; c.InGrid != 3 || c.Outside != 1 || c.Rejected != 3 || c.Repeated != 0 {
		t.Errorf("%+v", c)
	}
	refused, err := os.ReadFile(rejects)
	if err != nil || strings.Count(string(refused), "\n") != 4 || !strings.Contains(string(refused), "经纬度可能颠倒") || !strings.Contains(string(refused), "手机号码") {
		t.Errorf("reject file: %v, %s", err, refused)
	}
	v := st.finds(hall, "甲镇卫生院", "甲镇卫生院")
	if i := v.Items[0]; i.Confidence < 0.9 || i.Point != [2]float64{107.2, 38.4} || i.Address != "甲镇人民路12号" || i.ID == "" || !slices.Contains(i.Reasons, "exact_name") {
		t.Errorf("%+v", i)
	}
	for _, c := range []struct{ who, token, q, name string }{
		{"hall", hall, "老卫生院", "甲镇卫生院"},
		{"hall", hall, "甲镇人民路20号", "甲镇中心小学"},
		{"hall", hall, "县外加油站", "县外加油站"},
		{"town A", townA, "甲镇卫生院", "甲镇卫生院"},
		{"town B", townB, "粮站", "乙镇粮站"},
	} {
		if v := st.find(c.token, c.q); len(v.Items) == 0 || v.Items[0].Name != c.name {
			t.Errorf("%s asks for %s: %+v", c.who, c.q, v.Items)
		}
	}
	for _, c := range []struct{ who, token, q string }{
		{"town A", townA, "乙镇粮站"}, {"town B", townB, "甲镇卫生院"}, {"town A", townA, "县外加油站"}, {"town B", townB, "甲镇"}, {"hall", hall, "月球背面"},
	} {
		if v := st.find(c.token, c.q); len(v.Items) != 0 {
			t.Errorf("%s asks for %s: %+v", c.who, c.q, v.Items)
		}
	}
	east := st.find(hall, "甲镇卫生院 东 3 公里", "&near=107.2,38.4&crs=wgs84").Items
	if len(east) == 0 || east[0].DistanceM == nil || *east[0].DistanceM < 2990 || *east[0].DistanceM > 3010 || east[0].AccuracyM < 1200 || !slices.Contains(east[0].Reasons, "relative") {
		t.Errorf("three kilometres east: %+v", east)
	}
	st.describe(hall, townB)
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'places.import'"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

// describe asks for words for a point in town A.
func (st *stand) describe(hall, townB string) {
	st.t.Helper()
	a := st.call("GET", "/api/v1/places/reverse?lon=107.2&lat=38.398&crs=wgs84", hall, "").json(st.t.(*testing.T))
	if a["spoken"] != "甲镇卫生院 南 220 米" || a["direction"] != "南" || a["from"] != "甲镇卫生院" || a["address"].(map[string]any)["address"] != "甲镇人民路12号" {
		st.t.Errorf("words for a point: %v", a)
	}
	b := st.call("GET", "/api/v1/places/reverse?lon=107.2&lat=38.398&crs=wgs84", townB, "").json(st.t.(*testing.T))
	if strings.Contains(fmt.Sprint(b), "甲") || b["address"] != nil {
		st.t.Errorf("town B is told of town A: %v", b)
	}
}

func TestImportingPlacesTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	o := PlacesOptions{CRS: "wgs84"}
	if _, _, _, err := st.bring("a.csv", placesCSV, o); err != nil {
		t.Fatal(err)
	}
	res, _, _, err := st.bring("b.csv", placesCSV, o)
	if err != nil || !res.AlreadyDone {
		t.Errorf("the same again: %+v, %v", res, err)
	}
	changed := strings.Replace(placesCSV, "甲镇卫生院,", "甲镇人民医院,", 1) + "p2,甲镇中心小学,甲镇人民路20号,,107.21,38.4\n"
	res, _, _, err = st.bring("c.csv", changed, o)
	if err != nil || res.Counts.InGrid != 1 || res.Counts.Repeated != 3 || res.Counts.Rejected != 4 {
		t.Errorf("one changed: %+v, %v", res.Counts, err)
	}
	if n := st.count("SELECT count(*) FROM place"); n != 4 {
		t.Errorf("%d places, want 4", n)
	}
	hall := st.token(auth.HallOperator, "")
	st.finds(hall, "甲镇人民医院", "甲镇人民医院")
	if v := st.find(hall, "甲镇卫生院"); len(v.Items) > 0 && v.Items[0].Confidence > 0.9 {
		t.Errorf("the old name: %+v", v.Items)
	}
	if _, _, _, err = st.bring("d.csv", placesCSV, PlacesOptions{CRS: "wgs84", Source: "another"}); err != nil {
		t.Fatal(err)
	}
	if n := st.count("SELECT count(*) FROM place"); n != 8 {
		t.Errorf("%d places of two sources, want 8", n)
	}
}

// TestPlacesOfOneKeyInOneFile: the second row of a batch is refused, whatever it says.
func TestPlacesOfOneKeyInOneFile(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	const text = "id,name,lon,lat\n1,水井,107.2,38.4\n1,远井,106.0,38.4\n1,无坐标,,\n"
	for _, dry := range []bool{true, false} {
		res, rejects, told, err := st.bring("a.csv", text, PlacesOptions{CRS: "wgs84", DryRun: dry})
		if err != nil || res.Counts.InGrid != 1 || res.Counts.Outside != 0 || res.Counts.Rejected != 2 {
			t.Fatalf("%+v, %v", res.Counts, err)
		}
		why := fmt.Sprint(told)
		if !dry {
			refused, err := os.ReadFile(rejects)
			if err != nil {
				t.Fatal(err)
			}
			why = string(refused)
		}
		if strings.Count(why, "external_id 与第 1 行重复") != 1 || !strings.Contains(why, "没有坐标") {
			t.Errorf("dry %v: %s", dry, why)
		}
	}
	if n := st.count("SELECT count(*) FROM place WHERE name = '水井' AND ST_X(geom) = 107.2"); n != 1 {
		t.Errorf("the first row is not what is stored")
	}
	res, _, _, err := st.bring("b.csv", "id,address,lon,lat\n1,甲镇1号,107.2,38.4\n", PlacesOptions{CRS: "wgs84", Kind: "address"})
	if err != nil || res.Counts.InGrid != 1 {
		t.Errorf("%+v, %v", res.Counts, err)
	}
	if n := st.count("SELECT count(*) FROM place"); n != 2 {
		t.Errorf("%d rows of a place and an address with one number, want 2", n)
	}
}

// wellsWithHeights is a zipped Shapefile of one point with a height.
func wellsWithHeights(t *testing.T) string {
	t.Helper()
	le, be := binary.LittleEndian, binary.BigEndian
	shape := le.AppendUint32(nil, 11)
	for _, v := range []float64{107.2, 38.4, 1300, 0} {
		shape = le.AppendUint64(shape, math.Float64bits(v))
	}
	shp := make([]byte, 100)
	be.PutUint32(shp, 9994)
	be.PutUint32(shp[24:], uint32(100+8+len(shape))/2)
	le.PutUint32(shp[28:], 1000)
	le.PutUint32(shp[32:], 11)
	shp = be.AppendUint32(shp, 1)
	shp = append(be.AppendUint32(shp, uint32(len(shape)/2)), shape...)
	dbf := make([]byte, 96)
	dbf[0] = 3
	le.PutUint32(dbf[4:], 1)
	le.PutUint16(dbf[8:], 97)
	le.PutUint16(dbf[10:], 11)
	copy(dbf[32:], "id")
	copy(dbf[64:], "name")
	dbf[43], dbf[48], dbf[75], dbf[80] = 'C', 4, 'C', 6
	dbf = append(dbf, "\r 1   well  \x1a"...)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range map[string][]byte{"a.shp": shp, "a.dbf": dbf, "a.cpg": []byte("UTF-8")} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPlaceImportTellsWhatItLeftOut: the heights of a Shapefile.
func TestPlaceImportTellsWhatItLeftOut(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	text := wellsWithHeights(t)
	for _, dry := range []bool{true, false} {
		var notes []string
		res, _, _, err := st.bring("a.zip", text, PlacesOptions{CRS: "wgs84", DryRun: dry, Note: func(s string) { notes = append(notes, s) }})
		if err != nil || res.Counts.InGrid != 1 || !slices.Equal(notes, []string{"heights (Z) of 1 shapes are left out"}) {
			t.Errorf("dry %v: %+v, %q, %v", dry, res.Counts, notes, err)
		}
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	res, rejects, told, err := st.bring("places.csv", placesCSV, PlacesOptions{CRS: "wgs84", DryRun: true})
	if err != nil || res.Counts.InGrid != 3 || res.Counts.Outside != 1 || res.Counts.Rejected != 3 || len(told) != 3 || told[0].Row != 5 || rejects != "" {
		t.Errorf("%+v %v %v %v", res.Counts, rejects, told, err)
	}
	for _, table := range []string{"SELECT count(*) FROM place", "SELECT count(*) FROM import_job", "SELECT count(*) FROM audit_log WHERE action = 'places.import'"} {
		if n := st.count(table); n != 0 {
			t.Errorf("%s: %d", table, n)
		}
	}
}

func TestAddressesFromGeoJSONWithAMap(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	text := `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"gid":7,"full":"甲镇甲一村第3网格12号","sort":"住宅"},"geometry":{"type":"Point","coordinates":[107.3,38.3]}},
		{"type":"Feature","properties":{"gid":8,"full":"乙镇乙一村8号"},"geometry":{"type":"LineString","coordinates":[[107.3,38.3],[107.4,38.3]]}},
		{"type":"Feature","properties":{"gid":9,"full":"乙镇乙一村9号"},"geometry":{"type":"Point","coordinates":[107.9,38.3]}}]}`
	m := filepath.Join(t.TempDir(), "map.json")
	if err := os.WriteFile(m, []byte(`{"crs":"gcj02","fields":{"external_id":{"column":"gid"},"address":{"column":"full"},"class":{"column":"sort"},"lon":{"column":"@lon"},"lat":{"column":"@lat"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	res, _, _, err := st.bring("a.geojson", text, PlacesOptions{Kind: "address", Map: m})
	if err != nil || res.Counts.InGrid != 2 || res.Counts.Rejected != 1 {
		t.Fatalf("%+v, %v", res.Counts, err)
	}
	v := st.finds(st.token(auth.HallOperator, ""), "甲镇甲一村3网格十二号", "甲镇甲一村第3网格12号")
	if i := v.Items[0]; i.Kind != "address" || i.Point == [2]float64{107.3, 38.3} || i.Point[0] < 107.29 || i.Point[0] > 107.3 {
		t.Errorf("%+v: GCJ-02 was to be brought to WGS-84", i)
	}
}

func TestPersonColumnsAreRefusedByName(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	for name, c := range map[string]struct{ header, geojson, named string }{
		"联系人":     {"id,name,联系人,lon,lat", "", "联系人"},
		"several": {"id,name,户主姓名,联系电话,身份证号,lon,lat", "", "户主姓名, 联系电话, 身份证号"},
		"latin":   {"id,name,contactPhone,lon,lat", "", "contactPhone"},
		"geojson": {"", `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":"1","name":"x","手机":"1"},"geometry":{"type":"Point","coordinates":[107.3,38.3]}}]}`, "手机"},
	} {
		file_, text := "p.csv", c.header+"\n1,a,b,107.1,38.1\n"
		if c.geojson != "" {
			file_, text = "p.geojson", c.geojson
		}
		for _, dry := range []bool{true, false} {
			_, _, _, err := st.bring(file_, text, PlacesOptions{CRS: "wgs84", DryRun: dry})
			var pe *file.PersonColumnsError
			if !errors.As(err, &pe) || !strings.Contains(err.Error(), c.named) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n := st.count("SELECT count(*) FROM place"); n != 0 {
		t.Errorf("%d places came in", n)
	}
}

func TestPlaceImportSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	for name, c := range map[string]struct {
		file, text, want string
		o                PlacesOptions
	}{
		"no datum":    {"a.csv", "id,name,lon,lat\n", "--crs", PlacesOptions{}},
		"bad datum":   {"a.csv", "id,name,lon,lat\n", "unknown datum", PlacesOptions{CRS: "mars"}},
		"no id":       {"a.csv", "name,lon,lat\n", "external_id", PlacesOptions{CRS: "wgs84"}},
		"no place":    {"a.csv", "id,name\n", "no column for lon", PlacesOptions{CRS: "wgs84"}},
		"no name":     {"a.csv", "id,lon,lat\n", "name", PlacesOptions{CRS: "wgs84"}},
		"other file":  {"a.pdf", "%PDF-1.7", "this is a PDF", PlacesOptions{CRS: "wgs84"}},
		"no county":   {"a.csv", "id,name,lon,lat\n", "--county", PlacesOptions{CRS: "wgs84", Root: "Z"}},
		"no geojson":  {"a.geojson", "{", "not GeoJSON", PlacesOptions{CRS: "wgs84"}},
		"long source": {"a.csv", "id,name,lon,lat\n", "--source", PlacesOptions{CRS: "wgs84", Source: strings.Repeat("长", 65)}},
	} {
		if _, _, _, err := st.bring(c.file, c.text, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestPlaceSearchRefusesBadInput(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	for path, want := range map[string]int{
		"search":             400,
		"search?q=":          400,
		"search?q=x":         422,
		"search?q=%20%20%20": 422,
		"search?q=" + strings.Repeat("%E9%95%BF", 64):       200,
		"search?q=" + strings.Repeat("%E9%95%BF", 65):       400,
		"search?q=%FF%FE%FD":                                422,
		"search?q=ab&limit=0":                               400,
		"search?q=ab&limit=41":                              400,
		"search?q=ab&near=1,2":                              400,
		"search?q=ab&near=1&crs=wgs84":                      400,
		"search?q=ab&near=NaN,NaN&crs=wgs84":                422,
		"search?q=ab&near=38,107&crs=wgs84":                 422,
		"search?q=ab&crs=wgs84":                             400,
		"search?q=ab&near=107,38&crs=moon":                  400,
		"search?q=ab&near=107,38&crs=wgs84":                 200,
		"search?q=ab&else=1":                                400,
		"reverse":                                           400,
		"reverse?lon=107&lat=38":                            400,
		"reverse?lon=107&lat=38&crs=moon":                   400,
		"reverse?lon=38&lat=107&crs=wgs84":                  422,
		"reverse?lon=107&lat=38&crs=wgs84":                  200,
		"reverse?lon=1e300&lat=38&crs=wgs84":                422,
		"search?q=%27%3B%20DROP%20TABLE%20place%3B%20--%20": 200,
	} {
		if a := st.call("GET", "/api/v1/places/"+path, hall, ""); a.status != want {
			t.Errorf("%.60s: %d, want %d: %.300s", path, a.status, want, a.body)
		}
	}
}

// TestPlacesFollowTheTree: when another tree is enacted, places are in its grids.
func TestPlacesFollowTheTree(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	townA, townB := st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B")
	if _, _, _, err := st.bring("a.csv", placesCSV, PlacesOptions{CRS: "wgs84"}); err != nil {
		t.Fatal(err)
	}
	st.finds(townA, "卫生院", "甲镇卫生院")
	square := func(x0, x1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, 38}, {x1, 38}, {x1, 38.5}, {x0, 38.5}, {x0, 38}}}}
	}
	version, err := st.s.db.SaveDraft(t.Context(), []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: orb.MultiPolygon{{{{107, 38}, {107.1, 38}, {108, 38}, {108, 38.5}, {107.1, 38.5}, {107, 38.5}, {107, 38}}}}},
		{Code: "A", Parent: "C", Level: 2, Name: "甲镇", Geom: square(107, 107.1)},
		{Code: "B", Parent: "C", Level: 2, Name: "乙镇", Geom: square(107.1, 108)},
	}, true, "test")
	if err == nil {
		err = st.s.db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	st.finds(townB, "卫生院", "甲镇卫生院") // it lies in town B now
	if v := st.find(townA, "卫生院"); len(v.Items) != 0 {
		t.Errorf("town A still finds it: %+v", v.Items)
	}
}

// TestAStoppedPlaceImportGoesOn: stopped after its first batch, the same command
// brings in the rest, and nothing twice.
func TestAStoppedPlaceImportGoesOn(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	var text strings.Builder
	text.WriteString("id,name,lon,lat\n")
	for i := range 2*job.DefaultBatch + 7 {
		fmt.Fprintf(&text, "%d,第%d号井,%v,38.3\n", i, i, 107+float64(i%900)/1000)
	}
	path := filepath.Join(t.TempDir(), "wells.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := PlacesOptions{DB: st.s.db, Kind: "place", File: path, CRS: "wgs84", Source: "wells", Now: time.Now, Progress: func(job.Progress) { stop() }}
	res, _, _, err := ImportPlaces(ctx, o)
	if !errors.Is(err, job.ErrStopped) || res.Counts.Rows() != job.DefaultBatch {
		t.Fatalf("stopped: %+v, %v", res, err)
	}
	res, _, _, err = ImportPlaces(t.Context(), o)
	if err != nil || res.Skipped != job.DefaultBatch || res.Counts.InGrid != 2*job.DefaultBatch+7 {
		t.Errorf("went on: %+v, %v", res, err)
	}
	if n := st.count("SELECT count(*) FROM place"); n != 2*job.DefaultBatch+7 {
		t.Errorf("%d places", n)
	}
	st.finds(st.token(auth.HallOperator, ""), "第10003号井", "第10003号井")
}
