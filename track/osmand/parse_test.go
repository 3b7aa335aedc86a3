// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package osmand

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseTakesEveryForm(t *testing.T) {
	when := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC) // 1772424000
	base := report{id: "d1", at: when, hasPlace: true, lon: 107.5, lat: 38.2, accuracy: -1, hdop: -1, course: -1, speed: -1, battery: -1}
	with := func(edit func(*report)) []report {
		r := base
		edit(&r)
		return []report{r}
	}
	for _, c := range []struct {
		name, query, body string
		want              []report
	}{
		{
			"Traccar Client 10, form", "", "id=d1&lat=38.2&lon=107.5&timestamp=1772424000&accuracy=12.5&altitude=1300&speed=2.5&bearing=90&batt=79&charge=true&alarm=sos",
			with(func(r *report) { r.accuracy, r.speed, r.course, r.battery, r.sos = 12.5, 2.5, 90, 79, true }),
		},
		{"Traccar Client 10, heartbeat", "", "id=d1&timestamp=1772424000&batt=50", with(func(r *report) { r.hasPlace, r.lon, r.lat, r.battery = false, 0, 0, 50 })},
		{"notification token alone", "", "id=d1&notificationToken=abc", with(func(r *report) { r.hasPlace, r.lon, r.lat, r.at = false, 0, 0, time.Time{} })},
		{
			"Traccar Client 8, query; accuracy 0 is unknown", "id=d1&timestamp=1772424000&lat=38.2&lon=107.5&speed=0.0&bearing=0&altitude=0&accuracy=0.0&batt=41.6&mock=true", "",
			with(func(r *report) { r.speed, r.course, r.battery, r.mock = 0, 0, 42, true }),
		},
		{"OsmAnd app: ms, hdop", "id=d1&lat=38.2&lon=107.5&timestamp=1772424000000&hdop=4.5&speed=1.5", "", with(func(r *report) { r.hdop, r.speed = 4.5, 1.5 })},
		{"aliases: deviceid, location, heading", "deviceid=d1&location=38.2,107.5&timestamp=1772424000&heading=270", "", with(func(r *report) { r.course = 270 })},
		{"time with T and Z", "id=d1&lat=38.2&lon=107.5&timestamp=2026-03-02T04:00:00.000Z", "", with(func(*report) {})},
		{"time with T and +0800", "id=d1&lat=38.2&lon=107.5&timestamp=2026-03-02T12:00:00%2B0800", "", with(func(*report) {})},
		{"time with a blank", "id=d1&lat=38.2&lon=107.5&timestamp=2026-03-02+04:00:00", "", with(func(*report) {})},
		{"time untold", "id=d1&lat=38.2&lon=107.5", "", with(func(r *report) { r.at = time.Time{} })},
		{"not a valid fix", "id=d1&lat=38.2&lon=107.5&timestamp=1772424000&valid=false", "", with(func(r *report) { r.invalid = true })},
		{"latitude is a word", "id=d1&lat=abc&lon=107.5&timestamp=1772424000", "", with(func(r *report) { r.lat, r.damaged = 0, true })},
		{"latitude is NaN", "id=d1&lat=NaN&lon=107.5&timestamp=1772424000", "", with(func(r *report) { r.lat, r.damaged = math.NaN(), true })},
		{"longitude missing", "id=d1&lat=38.2&timestamp=1772424000", "", with(func(r *report) { r.lon, r.damaged = 0, true })},
		{"time is a word", "id=d1&lat=38.2&lon=107.5&timestamp=soon", "", with(func(r *report) { r.at, r.damaged = time.Time{}, true })},
		{"JSON object of the same keys", "", `{"id":"d1","lat":38.2,"lon":"107.5","timestamp":1772424000,"accuracy":9}`, with(func(r *report) { r.accuracy = 9 })},
		{
			"JSON array, id in the query", "id=d1", `[{"lat":38.2,"lon":107.5,"timestamp":1772424000},{"lat":38.2,"lon":107.5,"timestamp":1772424000,"speed":3}]`,
			append(with(func(*report) {}), with(func(r *report) { r.speed = 3 })...),
		},
		{
			"Traccar Client 9", "", `{"location":{"timestamp":"2026-03-02T04:00:00.000Z","coords":{"latitude":38.2,"longitude":107.5,"accuracy":5,"speed":1.2,"heading":-1},"battery":{"level":0.79},"extras":{},"_":"&id=x"},"device_id":"d1"}`,
			with(func(r *report) { r.accuracy, r.speed, r.battery, r.speedMS = 5, 1.2, 79, true }),
		},
		{
			"Traccar Client 9, parked heartbeat", "", `{"location":{"timestamp":"2026-03-02T04:00:00.000Z","coords":{"latitude":38.2,"longitude":107.5},"extras":{"heartbeat":true}},"device_id":"d1"}`,
			with(func(r *report) { r.hasPlace, r.speedMS = false, true }),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(c.query, []byte(c.body))
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("got %+v, error %v", got, err)
			}
			for i := range got {
				if got[i].damaged { // the numbers of a damaged report mean nothing
					got[i].lat, got[i].lon, c.want[i].lat, c.want[i].lon = 0, 0, 0, 0
				}
				if !got[i].hasPlace {
					got[i].lat, got[i].lon, c.want[i].lat, c.want[i].lon = 0, 0, 0, 0
				}
				if got[i] != c.want[i] {
					t.Errorf("report %d\n got %+v\nwant %+v", i, got[i], c.want[i])
				}
			}
		})
	}
}

func TestParseRefusesWhatIsNoReport(t *testing.T) {
	for _, c := range []struct{ name, query, body string }{
		{"nothing", "", ""},
		{"no id", "lat=38.2&lon=107.5", ""},
		{"empty id", "id=&lat=38.2&lon=107.5", ""},
		{"id with a zero byte", "id=a%00b&lat=38.2&lon=107.5", ""},
		{"id too long", "id=" + strings.Repeat("x", 129), ""},
		{"id is no UTF-8", "id=%ff&lat=38.2&lon=107.5", ""},
		{"cut JSON", "", `{"id":"d1"`},
		{"two JSON values", "", `{"id":"d1"}{"id":"d2"}`},
		{"array of numbers", "", `[1,2]`},
		{"empty array", "id=d1", `[]`},
		{"two devices", "", `[{"id":"d1"},{"id":"d2"}]`},
		{"too many", "", `[` + strings.Repeat(`{"id":"d1"},`, 1000) + `{"id":"d1"}]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := parse(c.query, []byte(c.body)); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

// TestParsePublicVectors reads requests that another server's tests hold.
func TestParsePublicVectors(t *testing.T) {
	const path = "../../../shared/data/protocols/traccar_osmand.jsonl"
	file, err := os.Open(path)
	if err != nil {
		t.Skipf("SKIPPED: the shared protocol data is missing: %v", err)
	}
	defer file.Close()
	read := 0
	for s := bufio.NewScanner(file); s.Scan(); read++ {
		var v struct {
			Kind    string
			Strings []string
		}
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(v.Strings[0], "?")
		got, err := parse(query, []byte(v.Strings[len(v.Strings)-1][:bodyLen(v.Strings)]))
		if err != nil || len(got) != 1 {
			t.Errorf("line %d: %v", read+1, err)
			continue
		}
		r := got[0]
		if r.damaged || r.id == "" || r.hasPlace != (v.Kind == "verifyPosition") {
			t.Errorf("line %d: %+v", read+1, r)
		}
		if r.hasPlace && (math.Abs(r.lat) > 90 || math.Abs(r.lat) < 30 || math.Abs(r.lon) > 180) {
			t.Errorf("line %d: place %v, %v", read+1, r.lon, r.lat)
		}
	}
	if read != 8 {
		t.Errorf("read %d vectors, want 8", read)
	}
}

// bodyLen is the length of a vector's body: it has one when it tells a type.
func bodyLen(s []string) int {
	if len(s) < 4 {
		return 0
	}
	return len(s[len(s)-1])
}

func FuzzParse(f *testing.F) {
	f.Add("id=d1&lat=38.2&lon=107.5&timestamp=1772424000&accuracy=5&speed=2&bearing=90&batt=50", []byte(""))
	f.Add("", []byte("deviceid=d1&location=38.2,107.5&timestamp=2026-03-02+04:00:00&valid=0&alarm=sos"))
	f.Add("id=d1", []byte(`[{"lat":38.2,"lon":107.5,"timestamp":1772424000000},{"lat":"x"}]`))
	f.Add("", []byte(`{"location":{"timestamp":"2026-03-02T04:00:00.000Z","coords":{"latitude":38.2,"longitude":107.5},"battery":{"level":0.5},"extras":{"heartbeat":false}},"device_id":"d1"}`))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		got, err := parse(query, body)
		if (err == nil) == (len(got) == 0) || len(got) > maxReports {
			t.Fatalf("%d reports, error %v", len(got), err)
		}
		for _, r := range got {
			if !validID(r.id) || r.id == "" || r.id != got[0].id {
				t.Fatalf("id %q", r.id)
			}
			if r.hasPlace && !r.damaged && (math.IsNaN(r.lat+r.lon) || math.IsInf(r.lat, 0) || math.IsInf(r.lon, 0)) {
				t.Fatalf("place %v, %v", r.lon, r.lat)
			}
			if r.battery < -1 || r.battery > 100 || r.course > 360 || (r.course < 0 && r.course != -1) || (r.speed < 0 && r.speed != -1) || r.accuracy == 0 {
				t.Fatalf("%+v", r)
			}
			if !r.at.IsZero() && (r.at.Unix() < 0 || r.at.Year() > 9999) {
				t.Fatalf("time %s", r.at)
			}
		}
	})
}
