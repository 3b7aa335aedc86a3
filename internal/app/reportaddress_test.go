// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// reported is what a report by its address is answered.
type reported struct {
	ID, Place, Address, Detail string
	Point                      *[2]float64
	Raw                        *struct{ CRS string }
	Notes                      []string
	Repeated                   bool
	Found                      *struct {
		Method, ID, Name string
		Confidence       float64
		AccuracyM        float64 `json:"accuracy_m"`
	}
	Candidates []struct {
		Name       string
		Point      [2]float64
		Confidence float64
		AccuracyM  float64 `json:"accuracy_m"`
		Reasons    []string
	}
	Grid struct{ Path []struct{ Code string } }
}

// address reports something at an address; more are further members of the body.
func (st *stand) address(token, address, more string, headers ...string) (answer, reported) {
	st.t.Helper()
	a := st.call("POST", "/api/v1/incidents", token, fmt.Sprintf(`{"category":"0301","title":"消防通道占堵","address":%q%s}`, address, more), headers...)
	var r reported
	if err := json.Unmarshal(a.body, &r); err != nil {
		st.t.Fatalf("%v in %s", err, a.body)
	}
	return a, r
}

// What becomes of a report whose address is not sure.
const (
	ask     = `,"unsure":"ask"`
	roughly = `,"unsure":"approximate"`
)

// someAddresses are places of both towns; each town has a 供销社.
const someAddresses = placesCSV + `s1,供销社,,,107.1,38.1
s2,供销社,,,107.9,38.1
`

func addressStand(t *testing.T) *stand {
	t.Helper()
	st := newStandWith(t, Options{Limits: plenty()})
	if _, _, _, err := st.bring("places.csv", someAddresses, PlacesOptions{CRS: "wgs84"}); err != nil {
		t.Fatal(err)
	}
	st.finds(st.token(auth.HallOperator, ""), "乙镇粮站", "乙镇粮站")
	return st
}

func TestAReportByAddressIsPlacedWhereTheAddressIsSure(t *testing.T) {
	t.Parallel()
	st := addressStand(t)
	hall := st.token(auth.HallOperator, "")
	a, r := st.address(hall, "甲镇卫生院", `,"external_id":"x-1"`, "Idempotency-Key: one")
	if a.status != 201 || r.Place != "in_grid" || r.Point == nil || *r.Point != [2]float64{107.2, 38.4} || r.Address != "甲镇卫生院" || r.Raw == nil || r.Raw.CRS != "wgs84" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if f := r.Found; f == nil || f.Method != "address" || f.Name != "甲镇卫生院" || f.ID == "" || f.Confidence < 0.85 || f.AccuracyM != 30 {
		t.Errorf("found %+v", r.Found)
	}
	for _, path := range []string{"/api/v1/incidents/" + r.ID, "/api/v1/incidents"} { // kept, and told again
		if again := st.get(path, hall); !strings.Contains(string(again.body), `"found":{"method":"address","id":"`+r.Found.ID+`","name":"甲镇卫生院"`) {
			t.Errorf("%s: %s", path, again.body)
		}
	}
	auditor := st.token(auth.Auditor, "") // sees what walls see
	if again := string(st.get("/api/v1/incidents/"+r.ID, auditor).body); !strings.Contains(again, `"accuracy_m":30,`) || strings.Contains(again, "found") || strings.Contains(again, "卫生院") {
		t.Errorf("the auditor reads %s", again)
	}
	if a := st.call("POST", "/api/v1/incidents", hall, `{"category":"0101","title":"争吵","address":"甲镇卫生院","external_id":"x-2"}`); a.status != 201 || !strings.Contains(string(a.body), `"accuracy_m":30,"cell"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if n := strings.Count(string(st.get("/api/v1/incidents", auditor).body), `"accuracy_m":30`); n != 1 {
		t.Errorf("the auditor reads of %d approximate places; one category shows its grid alone", n)
	}
	if _, both := st.address(hall, "甲镇卫生院", `,"location":{"lon":107.8,"lat":38.1,"crs":"wgs84"}`); both.Point == nil || *both.Point != [2]float64{107.8, 38.1} || both.Address != "甲镇卫生院" || both.Found != nil {
		t.Errorf("a location beside the address: %+v", both)
	}
	// The same request is answered the same when its address has become doubtful.
	if _, _, _, err := st.bring("more.csv", "编号,名称,经度,纬度\nx1,甲镇卫生院,107.3,38.1\n", PlacesOptions{CRS: "wgs84"}); err != nil {
		t.Fatal(err)
	}
	st.wait("second place of the name", func() bool { a, _ := st.address(hall, "甲镇卫生院", ask); return a.status == 422 })
	if a, again := st.address(hall, "甲镇卫生院", `,"external_id":"x-1"`); a.status != 201 || again.ID != r.ID || !again.Repeated {
		t.Errorf("asked again by its external id: %d %s", a.status, a.body)
	}
	if a, again := st.address(hall, "甲镇卫生院", `,"external_id":"x-1"`, "Idempotency-Key: one"); a.status != 201 || again.ID != r.ID || !again.Repeated {
		t.Errorf("asked again: %d %s", a.status, a.body)
	}
}

func TestAnAddressThatIsNotSureIsConfirmedByAPerson(t *testing.T) {
	t.Parallel()
	st := addressStand(t)
	hall := st.token(auth.HallOperator, "")
	before := st.count("SELECT count(*) FROM incident")
	a, r := st.address(hall, "供销社", ask, "Idempotency-Key: k")
	if a.status != 422 || len(r.Candidates) != 2 || !strings.Contains(r.Detail, "several places") || !strings.Contains(r.Detail, "confirm the place on the map") {
		t.Fatalf("two of a name: %d %s", a.status, a.body)
	}
	if c := r.Candidates[1]; c.Name != "供销社" || c.Confidence <= 0 || c.AccuracyM != 30 || len(c.Reasons) == 0 {
		t.Errorf("%+v", c)
	}
	if n := st.count("SELECT count(*) FROM incident"); n != before {
		t.Errorf("%d incidents were stored", n-before)
	}
	p := r.Candidates[1].Point
	confirmed := fmt.Sprintf(`,"location":{"lon":%v,"lat":%v,"crs":"wgs84"}`, p[0], p[1])
	a, r = st.address(hall, "供销社", confirmed, "Idempotency-Key: k")
	if a.status != 201 || r.Repeated || *r.Point != p || r.Address != "供销社" {
		t.Errorf("confirmed under the same key: %d %s", a.status, a.body)
	}
	if a, again := st.address(hall, "供销社", confirmed, "Idempotency-Key: k"); a.status != 201 || !again.Repeated || again.ID != r.ID {
		t.Errorf("and again: %d %s", a.status, a.body)
	}
	for _, c := range []struct {
		address, why string // why it is not sure
		place, by    string // and what is made of it all the same
		name         string
		least        float64 // accuracy
	}{
		{"甲镇", "no finer is known than 甲镇", "in_grid", "area", "甲镇", 20_000},
		{"甲镇三道沟", "no finer is known than 甲镇", "in_grid", "area", "甲镇", 20_000},
		{"甲镇卫生院东3公里", "known to 1230 m only", "in_grid", "relative", "甲镇卫生院", 1200},
		{"没听说过的地方", "nothing is known", "none", "", "", 0},
		{"供销社", "several places", "none", "", "", 0},
	} {
		a, r := st.address(hall, c.address, ask)
		if a.status != 422 || !strings.Contains(r.Detail, c.why) {
			t.Errorf("%s: %d %s, want %q", c.address, a.status, a.body, c.why)
		}
		for _, kept := range []string{"", `,"unsure":"keep"`} {
			if a, r = st.address(hall, c.address, kept); a.status != 201 || r.Place != "none" || r.Point != nil || r.Found != nil || r.Address != c.address ||
				!strings.Contains(strings.Join(r.Notes, " "), c.why) || (len(r.Candidates) > 0) != (c.why != "nothing is known") {
				t.Errorf("%s, kept: %d %s", c.address, a.status, a.body)
			}
		}
		if a, r = st.address(hall, c.address, roughly); a.status != 201 || r.Place != c.place || len(r.Notes) == 0 || r.Address != c.address {
			t.Errorf("%s, roughly: %d %s", c.address, a.status, a.body)
			continue
		}
		if c.by == "" {
			if r.Point != nil || r.Found != nil || !strings.Contains(r.Notes[0], c.why) {
				t.Errorf("%s, roughly: %s", c.address, a.body)
			}
		} else if r.Found == nil || r.Found.Method != c.by || r.Found.Name != c.name || r.Found.AccuracyM < c.least {
			t.Errorf("%s, roughly: %s", c.address, a.body)
		}
	}
	if a := st.get("/api/v1/exports/incidents.csv?"+because, hall); !strings.Contains(string(a.body), ",甲镇卫生院东3公里,1230\r\n") || !strings.Contains(string(a.body), ",没听说过的地方,\r\n") {
		t.Errorf("a file of them: %s", a.body)
	}
	if a := st.call("GET", "/api/v1/incidents", hall, "", "Accept: application/geo+json"); strings.Count(string(a.body), `"accuracy_m":`) != 3 {
		t.Errorf("features of them: %s", a.body)
	}
}

// TestAnAddressIsLookedUpInOnesOwnGridsAlone: what lies elsewhere neither places a
// report nor makes an address doubtful, and no refusal tells of it.
func TestAnAddressIsLookedUpInOnesOwnGridsAlone(t *testing.T) {
	t.Parallel()
	st := addressStand(t)
	townA, villageA1 := st.token(auth.TownOperator, "A"), st.token(auth.VillageHead, "A1")
	if a, r := st.address(townA, "供销社", ""); a.status != 201 || *r.Point != [2]float64{107.1, 38.1} {
		t.Errorf("town A and its own 供销社: %d %s", a.status, a.body)
	}
	for _, c := range []struct{ who, token, address, hidden string }{
		{"town A", townA, "乙镇粮站", "粮站\""},
		{"town A", townA, "和平街3号", "乙镇"},
		{"village A1", villageA1, "供销社", "107.1"},
	} {
		if a, _ := st.address(c.token, c.address, ask); a.status != 422 || strings.Contains(strings.ReplaceAll(string(a.body), "the likeliest", ""), c.hidden) {
			t.Errorf("%s reports %s: %d %s", c.who, c.address, a.status, a.body)
		}
		if a, r := st.address(c.token, c.address, roughly); a.status != 201 || r.Place != "none" || len(r.Candidates) > 0 && strings.Contains(fmt.Sprint(r.Candidates), strings.Trim(c.hidden, `"`)) {
			t.Errorf("%s reports %s, roughly: %d %s", c.who, c.address, a.status, a.body)
		}
	}
	// A village names the own town, and is read so.
	if a, r := st.address(villageA1, "甲镇卫生院", ""); a.status != 201 || *r.Point != [2]float64{107.2, 38.4} {
		t.Errorf("village A1: %d %s", a.status, a.body)
	}
	if v := st.find(villageA1, "甲镇甲一卫生院"); len(v.Parts) == 0 || !strings.Contains(fmt.Sprint(v.Parts[0]["town"]), "code:A") {
		t.Errorf("village A1 names its town: %v", v.Parts)
	}
	if v := st.find(villageA1, "乙镇乙一粮站"); strings.Contains(fmt.Sprint(v.Parts), "code:B") {
		t.Errorf("village A1 names another town: %v", v.Parts)
	}
}

// TestPastIncidentsByAddress: rows without coordinates are placed by their address,
// or refused with the likeliest place.
func TestPastIncidentsByAddress(t *testing.T) {
	t.Parallel()
	st := addressStand(t)
	bring := func(options string) (string, string) {
		t.Helper()
		dir := t.TempDir()
		file, m := filepath.Join(dir, "cases.csv"), filepath.Join(dir, "map.json")
		for path, text := range map[string]string{
			file: "编号,时间,标题,地址\n1,2024-03-01,a,甲镇卫生院\n2,2024-03-01,b,供销社\n3,2024-03-01,c,甲镇三道沟\n4,2024-03-01,d,没听说过的地方\n",
			m: `{"time":{"layouts":["yyyy-MM-dd"],"zone":"Asia/Shanghai"},` + options + `"fields":{"external_id":{"column":"编号"},"source":{"constant":"old` + fmt.Sprint(len(options)) + `"},
				"category":{"constant":"0301"},"title":{"column":"标题"},"address":{"column":"地址"},"reported_at":{"column":"时间"}}}`,
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		res, rejects, err := ImportIncidents(t.Context(), ImportOptions{DB: st.s.db, File: file, Map: m, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(rejects) // none when nothing is refused
		return res.Counts.String(), string(text)
	}
	if counts, _ := bring(""); counts != "入格 1 无位置 3" { // a map that says nothing loses nothing
		t.Errorf("by default: %s", counts)
	}
	counts, refused := bring(`"without_place":"reject",`)
	if counts != "入格 1 拒收 3" {
		t.Errorf("counts %s", counts)
	}
	for _, want := range []string{"several places fit this address；最可能：供销社 107.", "no finer is known than 甲镇", "nothing is known by this address"} {
		if !strings.Contains(refused, want) {
			t.Errorf("reject file lacks %q: %s", want, refused)
		}
	}
	if counts, _ = bring(`"approximate":true,"without_place":"reject",`); counts != "入格 2 拒收 2" {
		t.Errorf("approximate: %s", counts)
	}
	if counts, _ = bring(`"approximate":true,"without_place":"keep",`); counts != "入格 2 无位置 2" {
		t.Errorf("kept: %s", counts)
	}
	if n := st.count("SELECT count(*) FROM incident WHERE found ->> 'method' = 'area' AND (found ->> 'accuracy_m')::float8 > 20000"); n != 2 {
		t.Errorf("%d rows have the town's accuracy", n)
	}
}
