// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onemap/geo"
	"onemap/intake/file"
)

func TestPersonColumnsAreKnownByTheirNames(t *testing.T) {
	for _, h := range []string{
		"姓名", "户主姓名", "联系人", "联系电话", "手机号", "身份证号码", "法人代表", "负责人", "性别", "出生日期", "家庭住址", "网格员", "微信号", "phone", "contactPhone",
		"CONTACT_NAME", "tel", "id_card", "IDCard", "owner", "E-mail", "lxdh", "xm",
	} {
		if got := file.PersonColumns([]string{"name", h, "lon"}); !slices.Equal(got, []string{h}) {
			t.Errorf("%s: %q", h, got)
		}
	}
	clean := []string{
		"name", "名称", "地址", "编号", "经度", "纬度", "type", "adname", "pname", "village", "hotel", "stage", "page", "usage", "manager_unit", "telecom_site", "@lon", "类别", "电",
	}
	if got := file.PersonColumns(clean); got != nil {
		t.Errorf("not about persons: %q", got)
	}
}

// placesOf reads every row of a CSV text by the names of its columns.
func placesOf(t *testing.T, text string) (good []file.PlaceRecord, bad []*file.RowError) {
	t.Helper()
	r, err := file.NewReader(strings.NewReader(text), 0, false, file.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	m, err := file.GuessPlaceMap(r.Header(), "gcj02")
	if err != nil {
		t.Fatal(err)
	}
	mp, err := m.Bind(r.Header())
	if err != nil {
		t.Fatal(err)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return good, bad
		}
		if err != nil {
			t.Fatal(err)
		}
		rec, err := mp.Apply(row)
		var re *file.RowError
		if errors.As(err, &re) {
			bad = append(bad, re)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, rec)
	}
}

func TestPlaceRows(t *testing.T) {
	good, bad := placesOf(t, `编号,名称,地址,别名,类型,经度,纬度
1,卫生院,人民路12号,老卫生院、医院; 诊所,医疗,107.2,38.4
2, 水井 ,,,,107.3,38.5
,没有编号,,,,107.2,38.4
4,没有坐标,,,,,
5,颠倒,,,,38.4,107.2
6,`+strings.Repeat("长", 201)+`,,,,107.2,38.4
7,小卖部13812345678,,,,107.2,38.4
8,水站,甲路 15062319900101123X 号,,,107.2,38.4
9,编码150623199001011234小区,,,,107.2,38.4
10,少列
11,卫`+"\x00"+`生院,,,,107.2,38.4
12,卫生院,,`+strings.Repeat("甲、", 20)+`,,107.2,38.4
13,卫生院,,`+strings.Repeat("甲|", 21)+`,,107.2,38.4
`)
	if len(good) != 4 || len(bad) != 9 {
		t.Fatalf("%d good, %d bad: %+v %v", len(good), len(bad), good, bad)
	}
	if g := good[0]; g.ExternalID != "1" || g.Name != "卫生院" || g.Address != "人民路12号" || !slices.Equal(g.Aliases, []string{"老卫生院", "医院", "诊所"}) || g.Class != "医疗" ||
		g.Place != (geo.Raw{Lon: 107.2, Lat: 38.4, Datum: geo.DatumGCJ02}) {
		t.Errorf("%+v", g)
	}
	if good[1].Name != "水井" || good[1].Aliases != nil || good[2].ExternalID != "9" {
		t.Errorf("%+v", good[1:])
	}
	for i, want := range []string{"external_id 为空", "没有坐标", "经纬度可能颠倒", "超过 200 个字", "手机号码", "身份证号", "应有 7 列", "NUL", "aliases 超过 20 个"} {
		if !strings.Contains(bad[i].Error(), want) {
			t.Errorf("row %d: %v, want %s", bad[i].Row, bad[i], want)
		}
	}
}

func TestPlaceMapsAreChecked(t *testing.T) {
	const fields = `"fields":{"external_id":{"row":"x-"},"name":{"column":"n"},"lon":{"column":"a"},"lat":{"column":"b"}}`
	for name, c := range map[string]struct{ text, crs, want string }{
		"good":        {`{"crs":"wgs84",` + fields + `}`, "", ""},
		"crs by flag": {`{` + fields + `}`, "gcj02", ""},
		"same crs":    {`{"crs":"gcj02",` + fields + `}`, "gcj02", ""},
		"no crs":      {`{` + fields + `}`, "", "--crs"},
		"two crs":     {`{"crs":"wgs84",` + fields + `}`, "gcj02", "--crs says gcj02"},
		"unknown":     {`{"fields":{"phone":{"column":"p"}}}`, "wgs84", `unknown field "phone"`},
		"slip":        {`{"feilds":{}}`, "wgs84", "unknown field"},
		"two sources": {`{"fields":{"name":{"column":"n","constant":"c"}}}`, "wgs84", "exactly one"},
		"no id":       {`{"fields":{"name":{"column":"n"},"lon":{"column":"a"},"lat":{"column":"b"}}}`, "wgs84", "template"},
		"nothing":     {``, "wgs84", "column map"},
		"more behind": {`{` + fields + `}{}`, "wgs84", "something follows"},
	} {
		_, err := file.ParsePlaceMap(strings.NewReader(c.text), c.crs)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// opened opens text as a file of this name.
func opened(t *testing.T, name, text string) (*file.Reader, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := file.Open(path)
	if err == nil {
		t.Cleanup(func() { _ = r.Close() })
	}
	return r, err
}

// TestNoFieldOfAPlaceHasANUL: the database would refuse the whole batch.
func TestNoFieldOfAPlaceHasANUL(t *testing.T) {
	for _, name := range []string{"id", "name", "address", "aliases", "class", "admin_code"} {
		in, err := opened(t, "a.geojson", `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":"1","name":"n","address":"a","aliases":"b","class":"c","admin_code":"d","`+
			name+`":"x\u0000y"},"geometry":{"type":"Point","coordinates":[107,38]}}]}`)
		if err != nil {
			t.Fatal(err)
		}
		m, err := file.GuessPlaceMap(in.Header(), "wgs84")
		if err != nil {
			t.Fatal(err)
		}
		mp, err := m.Bind(in.Header())
		if err != nil {
			t.Fatal(err)
		}
		row, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mp.Apply(row); err == nil || !strings.Contains(err.Error(), "NUL") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPlaces(f *testing.F) {
	f.Add("编号,名称,地址,经度,纬度\n1,a,b,107,38\n", false)
	f.Add(`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":1,"name":"x"},"geometry":{"type":"Point","coordinates":[1,2]}}]}`, true)
	f.Fuzz(func(t *testing.T, text string, points bool) {
		name := "a.csv"
		if points {
			name = "a.geojson"
		}
		in, err := opened(t, name, text)
		if err != nil {
			return
		}
		m, err := file.GuessPlaceMap(in.Header(), "wgs84")
		if err != nil {
			return
		}
		mp, err := m.Bind(in.Header())
		if err != nil {
			return
		}
		for {
			row, err := in.Next()
			if err != nil {
				return
			}
			rec, err := mp.Apply(row)
			if err != nil {
				continue
			}
			if _, err := rec.Place.WGS84(); err != nil || rec.ExternalID == "" || rec.Name == "" && rec.Address == "" {
				t.Errorf("taken: %+v, %v", rec, err)
			}
		}
	})
}
