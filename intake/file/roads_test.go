// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paulmach/orb"
	"google.golang.org/protobuf/encoding/protowire"

	"onemap/geo"
)

const roadData = "../../../shared/data/roads"

// readRoads reads text as a file of this name; rejects are its reject
func readRoads(t testing.TB, name, text string, d geo.Datum) (roads *Roads, rejects string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	roads, err = ReadRoads(t.Context(), path, RoadOptions{Datum: d, Reject: func(record []byte) error {
		rejects += string(record)
		return nil
	}})
	return roads, rejects, err
}

func TestRoadsOfGeoJSON(t *testing.T) {
	const lines = `{"type":"Feature","id":"w1","properties":{"highway":"primary","name":"国道","oneway":true,"maxspeed":50},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38,1200]]}}
{"type":"Feature","properties":{"highway":"track","oneway":"-1","osm_id":77},"geometry":{"type":"MultiLineString","coordinates":[[[107,38],[107.1,38]],[[108,38],[108.1,38]]]}}

{"type":"Feature","id":"f","properties":{"highway":"footway"},"geometry":null}
{"type":"Feature","properties":{"name":"no road"},"geometry":{"type":"Point","coordinates":[107,38]}}
{"type":"Feature","id":"w1","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38]]}}
{"type":"Feature","id":"short","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107,38],[107,38]]}}
{"type":"Feature","id":"leap","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38],[108.5,38]]}}
{"type":"Feature","id":"round","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[179.99,38],[-179.99,38]]}}
{"type":"Feature","id":"swapped","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[38,107],[38,107.1]]}}
{"type":"Feature","id":"null","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107,null],[107.1,38]]}}
{"type":"Feature","id":"point","properties":{"highway":"track"},"geometry":{"type":"Point","coordinates":[107,38]}}
{"type":"Feature","id":"=cmd","properties":{"highway":"track"},"geometry":null}
{"type":"Feat
{"type":"Feature","properties":{"highway":"service"},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38]]}}`
	collection := `{"type":"FeatureCollection","features":[` + strings.ReplaceAll(strings.ReplaceAll(lines, "\n\n", "\n"), "\n", ",\n") + `]}`
	for name, text := range map[string]string{
		"a Feature a line": lines, "with record marks": "\x1e" + strings.ReplaceAll(lines, "\n", "\n\x1e"), "with a byte mark": "\xef\xbb\xbf" + lines,
		"a collection": strings.Replace(collection, `{"type":"Feat`+",\n", `{"type":"Feat"},`+"\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			got, rejects, err := readRoads(t, "roads.geojson", text, geo.DatumWGS84)
			if err != nil {
				t.Fatal(err)
			}
			var segments []string
			for _, s := range got.Segments {
				segments = append(segments, fmt.Sprintf("%s %s %s %v %g %v", s.ExtID, s.Class, s.Name, s.Oneway, s.Kmh, s.Geom))
			}
			want := []string{
				"w1 primary 国道 true 40 [[107 38] [107.1 38]]",
				"77 track  true 15 [[107.1 38] [107 38]]", "77.2 track  true 15 [[108.1 38] [108 38]]",
				"row14 service  false 15 [[107 38] [107.1 38]]",
			}
			if !slices.Equal(segments, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(segments, "\n"), strings.Join(want, "\n"))
			}
			if got.Lines != 14 || got.Rejected != 9 || fmt.Sprint(got.LeftOut) != "map[no tag highway:1 not for cars:1]" {
				t.Errorf("%d lines, %d rejected, left out %v", got.Lines, got.Rejected, got.LeftOut)
			}
			for _, reason := range []string{"twice", "two different points", "from point 2 to point 3 it is 123 km", "crosses longitude 180", "exchanged", "a position is", `not ""Point""`, "no geometry", "'=cmd", "not a GeoJSON Feature"} {
				if !strings.Contains(rejects, reason) {
					t.Errorf("no %q in %s", reason, rejects)
				}
			}
		})
	}
}

func TestRoadsInGCJ02ComeOutInWGS84(t *testing.T) {
	a, b := geo.WGS84{107.2, 38.2}.GCJ02(), geo.WGS84{107.3, 38.2}.GCJ02()
	text := fmt.Sprintf(`{"type":"Feature","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[%v,%v],[%v,%v]]}}`, a[0], a[1], b[0], b[1])
	got, _, err := readRoads(t, "roads.json", text, geo.DatumGCJ02)
	if err != nil || len(got.Segments) != 1 || math.Abs(got.Segments[0].Geom[0][0]-107.2) > 1e-7 || math.Abs(got.Segments[0].Geom[1][1]-38.2) > 1e-7 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestFilesThatAreNoRoads(t *testing.T) {
	for _, c := range []struct {
		name, text string
		datum      geo.Datum
		says       string
	}{
		{"a.json", `{"type":"FeatureCollection","features":[]}`, "", "unknown datum"},
		{"a.json", `not json`, geo.DatumWGS84, "not GeoJSON"},
		{"a.json", `{"type":"Polygon","coordinates":[]}`, geo.DatumWGS84, "not \"Polygon\""},
		{"a.json", `{"type":"FeatureCollection","crs":{"properties":{"name":"urn:ogc:def:crs:EPSG::4524"}},"features":[]}`, geo.DatumWGS84, "EPSG::4524"},
		{"a.json", `{"type":"FeatureCollection","features":{}}`, geo.DatumWGS84, "no list"},
		{"a.json", `{"type":"FeatureCollection","features":[],"crs":{"properties":{"name":"urn:ogc:def:crs:EPSG::4524"}}}`, geo.DatumWGS84, "EPSG::4524"},
		{"a.json", `{"type":"FeatureCollection","features":[{"type":"Feature"}`, geo.DatumWGS84, "not GeoJSON"},
		{"a.json", `{"type":"FeatureCollection","name":"` + "\xb5\xc0" + `","features":[]}`, geo.DatumWGS84, "not UTF-8"},
		{"a.geojsonl", `{"type":"Feature","properties":{"name":"` + "\xb5\xc0" + `"}}`, geo.DatumWGS84, "not UTF-8"},
		{"a.geojson.gz", string(gz(t, []byte(strings.Repeat(" ", 20<<20)))), geo.DatumWGS84, "more than 100 times its size"},
		{"a.geojson.gz", string(gz(t, []byte(`{"type":"FeatureCollection","features":[]}`))[:30]), geo.DatumWGS84, "cut off"},
		{"a.osm.pbf", "", geo.DatumGCJ02, "is in wgs84"},
		{"a.osm.pbf", "", geo.DatumWGS84, "EOF"},
		{"a.osm.pbf", "\x00\x00\x00\x0dhello", geo.DatumWGS84, "cut off"},
		{"a.osm.pbf", `{"type":"Feature"}`, geo.DatumWGS84, "no .osm.pbf"},
		{"a.osm.pbf", extract(false, "OsmSchema-V0.6", "HistoricalInformation"), geo.DatumWGS84, "HistoricalInformation"},
		{"a.osm.pbf", extract(true)[:100], geo.DatumWGS84, "cut off"},
		{"a.osm.pbf", extract(true)[40:], geo.DatumWGS84, "no .osm.pbf"},
	} {
		got, _, err := readRoads(t, c.name, c.text, c.datum)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q as %s: %+v, %v, want %q", c.text, c.name, got, err, c.says)
		}
	}
}

// TestRoadsStopAtTheLimit and not behind it, whatever the lines are.
func TestRoadsStopAtTheLimit(t *testing.T) {
	const good = `{"type":"Feature","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38]]}}`
	for one, says := range map[string]string{"0": "more than 10 lines that cannot be taken", good: "more than 10 roads"} {
		list := strings.TrimSuffix(strings.Repeat(one+",", 1000), ",")
		for _, text := range []string{`{"type":"FeatureCollection","features":[` + list + `]}`, `{"features":[` + list + `],"type":"FeatureCollection"}`} {
			r := newRoadReader(t.Context(), RoadOptions{Datum: geo.DatumWGS84})
			r.limit = 10
			if err := r.readText([]byte(text)); err == nil || !strings.Contains(err.Error(), says) || r.out.Lines != 11 {
				t.Errorf("%.20s: %v after %d lines", one, err, r.out.Lines)
			}
		}
	}
}

// TestRoadsOfADamagedBlob: its sum is wrong, it is longer or shorter than it says,
// its end is missing.
func TestRoadsOfADamagedBlob(t *testing.T) {
	content := []byte(strings.Repeat("content", 100))
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(content)
	_ = w.Close()
	good := b.Bytes()
	wrong := append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1)
	p := &pbfFile{}
	for _, c := range []struct {
		size   int
		packed []byte
		ok     bool
	}{{700, good, true}, {699, good, false}, {701, good, false}, {0, good, false}, {700, wrong, false}, {700, good[:len(good)-4], false}, {700, good, true}} {
		got, err := p.content(message{}.number(2, uint64(c.size)).bytes(3, c.packed))
		if (err == nil) != c.ok || c.ok && !bytes.Equal(got, content) {
			t.Errorf("%d bytes of %d: %v", c.size, len(content), err)
		}
	}
}

// message is a protobuf message in the making.
type message []byte

func (m message) number(f protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, f, protowire.VarintType), v)
}

func (m message) bytes(f protowire.Number, b []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, f, protowire.BytesType), b)
}

func packed(signed bool, vs ...int64) (out []byte) {
	last := int64(0)
	for _, v := range vs {
		if signed {
			v, last = v-last, v
			out = protowire.AppendVarint(out, protowire.EncodeZigZag(v))
		} else {
			out = protowire.AppendVarint(out, uint64(v))
		}
	}
	return out
}

// extract writes a small .osm.pbf: nodes 1 to 4 in a row, a lone node 5 far off,
// three ways with a highway and one without. Node 9 is not in it.
func extract(zip bool, features ...string) string {
	if len(features) == 0 {
		features = []string{"OsmSchema-V0.6", "DenseNodes"}
	}
	var out bytes.Buffer
	block := func(kind string, content []byte) {
		var blob message
		if zip {
			var b bytes.Buffer
			w := zlib.NewWriter(&b)
			_, _ = w.Write(content)
			_ = w.Close()
			blob = blob.number(2, uint64(len(content))).bytes(3, b.Bytes())
		} else {
			blob = blob.bytes(1, content)
		}
		head := message{}.bytes(1, []byte(kind)).number(3, uint64(len(blob)))
		_ = binary.Write(&out, binary.BigEndian, uint32(len(head)))
		out.Write(head)
		out.Write(blob)
	}
	var header message
	for _, f := range features {
		header = header.bytes(4, []byte(f))
	}
	block("OSMHeader", header)
	var table message
	for _, s := range []string{"", "highway", "residential", "oneway", "yes", "building", "footway", "name", "路"} {
		table = table.bytes(1, []byte(s))
	}
	way := func(id int64, keys, values []int64, refs ...int64) []byte {
		return message{}.number(1, uint64(id)).bytes(2, packed(false, keys...)).bytes(3, packed(false, values...)).bytes(8, packed(true, refs...))
	}
	dense := message{}.bytes(1, packed(true, 1, 2, 3, 4)).bytes(8, packed(true, 380000000, 380000000, 380000000, 380000000)).
		bytes(9, packed(true, 1070000000, 1070100000, 1070200000, 1070300000))
	single := message{}.number(1, protowire.EncodeZigZag(5)).number(8, protowire.EncodeZigZag(390000000)).number(9, protowire.EncodeZigZag(1080000000))
	block("OSMData", message{}.bytes(1, table).bytes(2, message{}.bytes(2, dense).bytes(1, single)))
	block("OSMData", message{}.bytes(1, table).bytes(2, message{}.
		bytes(3, way(11, []int64{1, 3, 7}, []int64{2, 4, 8}, 1, 2, 9, 3, 4)). // cut in two by the node that is missing
		bytes(3, way(12, []int64{1}, []int64{2}, 4, 9, 5)).                   // nothing is left of it
		bytes(3, way(13, []int64{1}, []int64{6}, 1, 2)).                      // a footway
		bytes(3, way(14, []int64{5}, []int64{4}, 1, 2, 3))))                  // a house
	return out.String()
}

func TestRoadsOfAnExtract(t *testing.T) {
	for _, zip := range []bool{false, true} {
		got, rejects, err := readRoads(t, "x.osm.pbf", extract(zip), geo.DatumWGS84)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Segments) != 2 || got.Lines != 3 || got.Rejected != 1 || got.LeftOut["not for cars"] != 1 || !strings.Contains(rejects, "w12") {
			t.Fatalf("%+v %s", got, rejects)
		}
		for i, want := range []orb.LineString{{{107, 38}, {107.01, 38}}, {{107.02, 38}, {107.03, 38}}} {
			s := got.Segments[i]
			if s.ExtID != []string{"w11", "w11.2"}[i] || !s.Oneway || s.Name != "路" || s.Class != "residential" {
				t.Errorf("%+v", s)
			}
			for k := range want {
				if math.Abs(s.Geom[k][0]-want[k][0]) > 1e-8 || math.Abs(s.Geom[k][1]-want[k][1]) > 1e-8 {
					t.Errorf("%v, want %v", s.Geom, want)
				}
			}
		}
	}
}

// TestAnExtractAndItsGeoJSONAreTheSameRoads: the same ways of Andorra, read by two
// readers of ours, one of them from a file that others wrote.
func TestAnExtractAndItsGeoJSONAreTheSameRoads(t *testing.T) {
	if _, err := os.Stat(roadData); err != nil {
		t.Skipf("SKIPPED, NOTHING TESTED: %v", err)
	}
	var sets [2]map[string]string
	for i, name := range []string{"andorra.osm.pbf", "andorra_roads.geojsonl.gz"} {
		roads, err := ReadRoads(t.Context(), filepath.Join(roadData, name), RoadOptions{Datum: geo.DatumWGS84})
		if err != nil {
			t.Fatal(err)
		}
		sets[i] = map[string]string{}
		for _, s := range roads.Segments {
			text := fmt.Sprint(s.Class, s.Name, s.Oneway, s.Kmh)
			for _, p := range s.Geom {
				text += fmt.Sprintf(" %.7f %.7f", p[0], p[1])
			}
			sets[i][s.ExtID] = text
		}
	}
	if len(sets[0]) < 1000 || len(sets[0]) != len(sets[1]) {
		t.Fatalf("%d and %d segments", len(sets[0]), len(sets[1]))
	}
	for id, text := range sets[0] {
		if text != sets[1][id] {
			t.Errorf("%s:\n%s\n%s", id, text, sets[1][id])
		}
	}
}

func FuzzRoadsOfAnExtract(f *testing.F) {
	f.Add([]byte(extract(false)))
	f.Add([]byte(extract(true)))
	f.Fuzz(func(t *testing.T, text []byte) {
		soundRoads(t, func(r *roadReader) error { return r.readPBF(bytes.NewReader(text)) })
	})
}

func FuzzRoadsOfGeoJSON(f *testing.F) {
	f.Add([]byte(`{"type":"Feature","id":1,"properties":{"highway":"track","maxspeed":"30 mph"},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38]]}}`))
	f.Add([]byte(`{"type":"FeatureCollection","features":[{"type":"Feature","id":"x","properties":{"highway":"road","oneway":-1},"geometry":{"type":"MultiLineString","coordinates":[[[107,38],[107.1,38]]]}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		soundRoads(t, func(r *roadReader) error { return r.readText(text) })
	})
}

// soundRoads wants of any bytes that what is taken can be stored and driven on, and
// that every line is accounted for.
func soundRoads(t *testing.T, read func(*roadReader) error) {
	r := newRoadReader(t.Context(), RoadOptions{Datum: geo.DatumWGS84})
	if read(r) != nil {
		return
	}
	roads := &r.out
	ids, left := map[string]bool{}, int64(0)
	for _, n := range roads.LeftOut {
		left += int64(n)
	}
	for _, s := range roads.Segments {
		kmh, driven := s.Class.Kmh()
		if s.ExtID == "" || len([]rune(s.ExtID)) > 100 || ids[s.ExtID] || !driven || kmh < 1 || !(s.Kmh >= 1 && s.Kmh <= 200) || len(s.Geom) < 2 || strings.ContainsRune(s.ExtID+s.Name, 0) {
			t.Errorf("%+v", s)
		}
		for _, p := range s.Geom {
			if !geo.OnEarth(p) {
				t.Errorf("%+v", s)
			}
		}
		ids[s.ExtID] = true
	}
	if taken := roads.Lines - left - roads.Rejected; taken < 0 || taken > int64(len(roads.Segments)) {
		t.Errorf("%d lines, %d left out, %d rejected, %d segments", roads.Lines, left, roads.Rejected, len(roads.Segments))
	}
}
