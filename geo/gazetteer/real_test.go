// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer_test

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

const data = "../../../shared/data"

// lines opens a file of real data, through gzip when its name ends in .gz.
func lines(t testing.TB, name string) io.Reader {
	t.Helper()
	f, err := os.Open(filepath.Join(data, name))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// rows reads a CSV file as maps by column.
func rows(t testing.TB, name string) (out []map[string]string) {
	t.Helper()
	r := csv.NewReader(lines(t, name))
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all[1:] {
		m := map[string]string{}
		for i, v := range row {
			m[strings.TrimPrefix(all[0][i], "\ufeff")] = v
		}
		out = append(out, m)
	}
	return out
}

// shanghai are the schools and hospitals of the city.
func shanghai(t testing.TB, lib *gazetteer.Library) (out []gazetteer.Entry) {
	for _, name := range []string{"addresses/shanghai_hospital.csv.gz", "addresses/shanghai_school.csv.gz"} {
		for _, row := range rows(t, name) {
			lon, err1 := strconv.ParseFloat(row["lon"], 64)
			lat, err2 := strconv.ParseFloat(row["lat"], 64)
			if err1 != nil || err2 != nil || row["name"] == "" {
				continue
			}
			e := gazetteer.Entry{ID: int64(len(out) + 1), Kind: gazetteer.Place, Name: row["name"], Address: row["address"], No: 1, Point: geo.WGS84{lon, lat}, Area: -1}
			for _, i := range lib.Find(row["adname"], gazetteer.County) {
				if strings.HasPrefix(lib.Areas()[i].Code, "31") {
					e.Area = i
				}
			}
			out = append(out, e)
		}
	}
	return out
}

// TestShanghaiIsFoundAgain: every school and hospital by its name, by its address
// with its district, and by its name as somebody on the telephone says it.
func TestShanghaiIsFoundAgain(t *testing.T) {
	lib := gazetteer.NewLibrary(gazetteer.National())
	entries := shanghai(t, lib)
	x := gazetteer.NewIndex(lib, entries)
	seed := uint64(20260101)
	r := rand.New(rand.NewPCG(seed, 7))
	drop := func(s string) string { // one character is lost
		c := []rune(s)
		if len(c) < 5 {
			return s
		}
		i := r.IntN(len(c))
		return string(slices.Delete(c, i, i+1))
	}
	for _, way := range []struct {
		name  string
		floor float64
		text  func(e gazetteer.Entry) string
	}{
		{"by name", 0.93, func(e gazetteer.Entry) string { return e.Name }},
		{"by city, district and name", 0.93, func(e gazetteer.Entry) string { return "上海市" + districtOf(lib, e) + e.Name }},
		{"by address", 0.70, func(e gazetteer.Entry) string {
			if len([]rune(e.Address)) < 4 || !strings.Contains(e.Address, "号") {
				return ""
			}
			return districtOf(lib, e) + e.Address
		}},
		{"by address and name", 0.93, func(e gazetteer.Entry) string { return e.Address + e.Name }},
		{"by a name with a character lost", 0.80, func(e gazetteer.Entry) string { return drop(e.Name) }},
		{"in a sentence", 0.80, func(e gazetteer.Entry) string { return "我在" + e.Name + "门口这边" }},
	} {
		asked, near, sure, wrong, placed, astray := 0, 0, 0, 0, 0, 0
		for i := 0; i < len(entries); i += 15 {
			e := entries[i]
			text := way.text(e)
			if text == "" {
				continue
			}
			asked++
			got := x.Search(text, gazetteer.Options{Sees: everybody})
			hit := len(got) > 0 && geo.Distance(got[0].Point, e.Point) <= 100
			if hit {
				near++
			}
			if len(got) > 0 && got[0].Confidence >= 0.85 {
				sure++
				if !hit {
					wrong++
				}
			}
			if at := placedAt(x, text); at != nil { // as a report by its address alone
				if placed++; geo.Distance(*at, e.Point) > 500 {
					astray++
				}
			}
		}
		share := float64(near) / float64(asked)
		t.Logf("%s: %d asked, %.1f %% within 100 m; %.1f %% with confidence 0.85 or more, of those %.1f %% farther off", way.name, asked, 100*share, 100*float64(sure)/float64(asked), 100*float64(wrong)/float64(max(sure, 1)))
		t.Logf("%s: a report is placed by %.1f %%, of those %.1f %% more than 500 m off", way.name, 100*float64(placed)/float64(asked), 100*float64(astray)/float64(max(placed, 1)))
		if placed == 0 || astray*20 > placed {
			t.Errorf("%s: of %d reports placed by this address %d lie more than 500 m off", way.name, placed, astray)
		}
		if share < way.floor {
			t.Errorf("%s: %.3f within 100 m, the floor is %.2f", way.name, share, way.floor)
		}
	}
}

// placedAt is where intake puts a report that brings this address and no location;
// nil where it asks.
func placedAt(x *gazetteer.Index, text string) *geo.WGS84 {
	tree, err := grid.NewTree([]grid.Node{{ID: 1, Version: 1, Level: 1, Code: "C", Name: "市", Parent: -1, No: 1, Last: 1, Geom: orb.MultiPolygon{{{{120, 30}, {123, 30}, {123, 32}, {120, 32}, {120, 30}}}}}})
	if err != nil {
		panic(err)
	}
	res, err := intake.Run(intake.Env{
		Tree: tree, Categories: map[string]dispatch.Category{"1": {Code: "1", Priority: 3}}, Now: time.Unix(1e9, 0),
		Find: func(address string) []gazetteer.Candidate {
			return x.Search(address, gazetteer.Options{Sees: everybody, Limit: 40, Areas: true})
		},
	}, intake.Report{Category: "1", Title: "x", Address: text})
	if err != nil {
		return nil
	}
	return res.Place.Point
}

func districtOf(lib *gazetteer.Library, e gazetteer.Entry) string {
	if e.Area < 0 {
		return ""
	}
	return lib.Areas()[e.Area].Name
}

// TestBusinessAddresses reports how many free-text addresses of the whole country
// give up their province, city and county.
func TestBusinessAddresses(t *testing.T) {
	lib := gazetteer.NewLibrary(gazetteer.National())
	all := rows(t, "addresses/cn_business_addresses.csv.gz")
	var n, province, city, county, road, several int
	for _, row := range all {
		text := row["原始地址"]
		if text == "" {
			continue
		}
		n++
		ps := lib.Parse(text, nil)
		p := ps[0]
		for _, c := range []struct {
			found bool
			count *int
		}{{p.Province.Name != "", &province}, {p.City.Name != "", &city}, {p.County.Name != "", &county}, {p.Road != "", &road}, {len(ps) > 1, &several}} {
			if c.found {
				*c.count++
			}
		}
	}
	share := func(k int) float64 { return 100 * float64(k) / float64(n) }
	t.Logf("%d addresses: province %.1f %%, city %.1f %%, county %.1f %%, road %.1f %%, more than one reading %.1f %%", n, share(province), share(city), share(county), share(road), share(several))
	if share(province) < 84 || share(city) < 83 || share(county) < 70 {
		t.Error("below the floor of 84, 83, 70")
	}
}

// labelled is one address with the parts that people marked in it.
type labelled struct {
	text  string
	parts map[string]string
}

func labelledAddresses(t *testing.T) (out []labelled) {
	one := labelled{parts: map[string]string{}}
	in := bufio.NewScanner(lines(t, "addresses/cn_address_labelled_dev.txt.gz"))
	done := map[string]bool{}
	last := ""
	end := func() {
		if one.text != "" {
			out = append(out, one)
		}
		one, done, last = labelled{parts: map[string]string{}}, map[string]bool{}, ""
	}
	for in.Scan() {
		token, label, ok := strings.Cut(in.Text(), " ")
		if !ok {
			end()
			continue
		}
		kind := ""
		if len(label) > 2 {
			kind = label[2:]
		}
		if last != "" && (last != kind || strings.HasPrefix(label, "B-")) {
			done[last] = true
		}
		if kind != "" && !done[kind] { // the first of its kind
			one.parts[kind] += token
		}
		one.text += token
		last = kind
	}
	end()
	return out
}

// TestLabelledAddresses compares the parts with those that people marked.
func TestLabelledAddresses(t *testing.T) {
	lib := gazetteer.NewLibrary(gazetteer.National())
	all := labelledAddresses(t)
	for _, k := range []struct {
		label string
		floor float64
		part  func(p gazetteer.Parts) string
	}{
		{"prov", 0.97, func(p gazetteer.Parts) string { return p.Province.Name }},
		{"city", 0.95, func(p gazetteer.Parts) string { return p.City.Name }},
		{"district", 0.90, func(p gazetteer.Parts) string { return p.County.Name }},
		{"town", 0.73, func(p gazetteer.Parts) string { return p.Town.Name }},
		{"road", 0.77, func(p gazetteer.Parts) string { return p.Road }},
		{"roadno", 0.90, func(p gazetteer.Parts) string { return p.Number }},
	} {
		marked, same := 0, 0
		var missed []string
		for _, a := range all {
			want := gazetteer.Normalise(a.parts[k.label])
			if want == "" {
				continue
			}
			marked++
			got := gazetteer.Normalise(k.part(lib.Parse(a.text, nil)[0]))
			if got == want || got != "" && strings.HasPrefix(got, want) {
				same++
			} else if len(missed) < 5 {
				missed = append(missed, a.text+": "+want+" / "+got)
			}
		}
		share := float64(same) / float64(max(marked, 1))
		t.Logf("%s: %d marked, %.1f %% found; missed for example %q", k.label, marked, 100*share, missed)
		if marked < 100 || share < k.floor {
			t.Errorf("%s: %.3f, the floor is %.2f", k.label, share, k.floor)
		}
	}
}

// TestVillagesOfThreePlaces: every village and community of two districts and of a
// prefecture is found by its full name below its county's, whatever others share.
func TestVillagesOfThreePlaces(t *testing.T) {
	for _, c := range []struct {
		name  string
		floor float64
	}{{"villages_110108.csv", 0.99}, {"villages_110119.csv", 0.99}, {"villages_150600.csv", 0.99}} {
		areas := gazetteer.National()
		at := map[string]int{}
		for i, a := range areas {
			at[a.Code] = i
		}
		all := rows(t, "admin/"+c.name)
		for _, row := range all {
			if _, ok := at[row["street_code"]]; !ok {
				at[row["street_code"]] = len(areas)
				areas = append(areas, gazetteer.AdminArea{Code: row["street_code"], Name: row["street_name"], Level: gazetteer.Town, Parent: at[row["area_code"]]})
			}
		}
		for _, row := range all {
			areas = append(areas, gazetteer.AdminArea{Code: row["code"], Name: row["name"], Level: gazetteer.Village, Parent: at[row["street_code"]]})
		}
		lib := gazetteer.NewLibrary(areas)
		found := 0
		for _, row := range all {
			text := row["area_name"] + row["street_name"] + row["name"] + "15号"
			if p := lib.Parse(text, nil)[0]; p.Village.Code == row["code"] && p.Number == "15号" {
				found++
			} else if found < len(all)/100 || len(all)-found < 5 {
				t.Logf("%s: %+v", text, p)
			}
		}
		share := float64(found) / float64(len(all))
		t.Logf("%s: %d villages, %.1f %% found", c.name, len(all), 100*share)
		if share < c.floor {
			t.Errorf("%s: %.3f, the floor is %.2f", c.name, share, c.floor)
		}
	}
}

// otog is the banner's towns and villages as the statistical list names them.
func otog(t testing.TB) *gazetteer.Library {
	areas := gazetteer.National()
	county := slices.IndexFunc(areas, func(a gazetteer.AdminArea) bool { return a.Code == "150623" })
	towns := map[string]int{}
	var villages []gazetteer.AdminArea
	for _, row := range rows(t, "admin/villages_150600.csv") {
		if row["area_code"] != "150623" {
			continue
		}
		if _, ok := towns[row["street_code"]]; !ok {
			towns[row["street_code"]] = len(areas)
			areas = append(areas, gazetteer.AdminArea{Code: row["street_code"], Name: row["street_name"], Level: gazetteer.Town, Parent: county, No: int32(len(areas))})
		}
		villages = append(villages, gazetteer.AdminArea{Code: row["code"], Name: row["name"], Level: gazetteer.Village, Parent: towns[row["street_code"]], No: int32(10_000 + len(villages))})
	}
	return gazetteer.NewLibrary(append(areas, villages...))
}

// TestLocalShortForms: what people of the banner write is understood.
func TestLocalShortForms(t *testing.T) {
	lib := otog(t)
	found := 0
	all := rows(t, "addresses/otog_front_institutions.csv")
	for _, row := range all {
		ps := lib.Parse(row["address"], everybody)
		if ps[0].Town.Code != "" || ps[0].Village.Code != "" {
			found++
		} else {
			t.Logf("no town in %s: %+v", row["address"], ps[0])
		}
	}
	t.Logf("%d of %d addresses of the banner's institutions name a town or village the library knows", found, len(all))
	if found < 15 {
		t.Errorf("%d, the floor is 15", found)
	}
	for text, want := range map[string]string{"敖镇莎日塔拉东街": "敖勒召其镇", "前旗上海庙富城矿业": "上海庙镇", "鄂前旗上海庙镇": "上海庙镇", "鄂旗上海庙镇榆树井煤矿": "上海庙镇", "昂素镇昂素嘎查": "昂素镇"} {
		if p := lib.Parse(text, everybody)[0]; p.Town.Name != want {
			t.Errorf("%s: town %q, want %q: %+v", text, p.Town.Name, want, p)
		}
	}
}

// TestTownsOfTheCountry: with every town of the country in the library its own full
// name finds it, and a name that several have keeps all of them as readings.
func TestTownsOfTheCountry(t *testing.T) {
	areas := gazetteer.National()
	at := map[string]int{}
	for i, a := range areas {
		at[a.Code] = i
	}
	type town struct{ code, text string }
	var towns []town
	for _, row := range rows(t, "admin/streets_cn.csv.gz") {
		county, ok := at[row["areaCode"]]
		if !ok {
			continue
		}
		areas = append(areas, gazetteer.AdminArea{Code: row["code"], Name: row["name"], Level: gazetteer.Town, Parent: county})
		if len(areas)%50 == 0 {
			text := row["name"]
			for i := county; i >= 0; i = areas[i].Parent {
				text = areas[i].Name + text
			}
			towns = append(towns, town{row["code"], text})
		}
	}
	lib := gazetteer.NewLibrary(areas)
	found := 0
	for _, c := range towns {
		if ps := lib.Parse(c.text, nil); ps[0].Town.Code == c.code {
			found++
		} else if found < len(towns)/50 {
			t.Logf("%s: %+v", c.text, ps[0])
		}
	}
	t.Logf("%d of %d towns found by their whole name", found, len(towns))
	if float64(found) < 0.97*float64(len(towns)) {
		t.Error("below the floor of 97 %")
	}
	if ps := lib.Parse("城关镇", nil); len(ps) < 20 {
		t.Errorf("城关镇 is in many counties: %d readings", len(ps))
	}
}
