// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package osmand

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// report is one position or sign of life as a device told it, in its own units.
type report struct {
	id       string
	at       time.Time // zero when untold
	hasPlace bool
	lon, lat float64 // of the device's datum
	accuracy float64 // metres; -1 unknown
	hdop     float64 // as sent; -1 unknown
	course   float64 // degrees; -1 unknown
	speed    float64 // in the device's unit, or m/s when speedMS; -1 unknown
	speedMS  bool
	battery  int16 // per cent; -1 unknown
	mock     bool
	sos      bool
	invalid  bool // the receiver says the place is not valid
	damaged  bool // a place or time was told that can't be read
}

const maxIDLength = 128

var (
	errNoID       = errors.New("id is missing: say which device it is (id or deviceid)")
	errBadID      = errors.New("id is no device id: 1 to 128 characters, none of them a control character")
	errBadJSON    = errors.New("the body is no JSON object or array of objects")
	errTooMany    = fmt.Errorf("more than %d positions in one request", maxReports)
	errTwoDevices = errors.New("positions of more than one device in one request")
)

// maxReports is how many positions one request may carry.
const maxReports = 1000

// parse reads the reports of one request: its query, and its body as a form or,
// when that begins with { or [, as JSON. All must be of one device. Places and
// times that can't be read mark a report as damaged; they are no error, since a
// client would send the same again for ever.
func parse(query string, body []byte) ([]report, error) {
	text := bytes.TrimSpace(body)
	if len(text) == 0 || (text[0] != '{' && text[0] != '[') {
		f := fields{}
		f.addForm(query)
		f.addForm(string(text))
		r, err := f.report()
		if err != nil {
			return nil, err
		}
		return []report{r}, nil
	}
	objects, err := parseJSON(text)
	if err != nil {
		return nil, err
	}
	shared := fields{}
	shared.addForm(query)
	reports := make([]report, 0, len(objects))
	for _, o := range objects {
		for k, v := range shared {
			if _, told := o[k]; !told {
				o[k] = v
			}
		}
		r, err := o.report()
		if err != nil {
			return nil, err
		}
		if len(reports) > 0 && r.id != reports[0].id {
			return nil, errTwoDevices
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// fields is a report as flat keys and values, the first value of each key.
type fields map[string]string

// unitKey stands for the form that speaks m/s whatever the device's profile says.
const unitKey = "(unit of speed)"

// addForm adds the pairs of a query or form; what can't be unescaped is left out.
func (f fields) addForm(s string) {
	values, _ := url.ParseQuery(s) // keeps the pairs it could read
	for k, v := range values {
		if _, told := f[k]; !told {
			f[k] = v[0]
		}
	}
}

// first is the value of the first key that is told and not empty.
func (f fields) first(keys ...string) string {
	for _, k := range keys {
		if v := f[k]; v != "" {
			return v
		}
	}
	return ""
}

// yes reports whether a flag is told and is not a word for no.
func (f fields) yes(key string) bool {
	v, told := f[key]
	return told && v != "false" && v != "0" && v != "null"
}

func (f fields) report() (report, error) {
	r := report{id: f.first("id", "deviceid", "device_id")}
	switch {
	case r.id == "":
		return r, errNoID
	case !validID(r.id):
		return r, errBadID
	}
	var ok bool
	if t := f.first("timestamp"); t != "" {
		r.at, ok = parseTime(t)
		r.damaged = !ok
	}
	lat, lon := f.first("lat"), f.first("lon")
	if place := f.first("location"); lat == "" && lon == "" && place != "" {
		lat, lon, _ = strings.Cut(place, ",")
	}
	if lat != "" || lon != "" {
		r.hasPlace = true
		r.lat, ok = parseNumber(lat)
		r.damaged = r.damaged || !ok
		r.lon, ok = parseNumber(lon)
		r.damaged = r.damaged || !ok
	}
	r.accuracy = orUnknown(f.first("accuracy"))
	if r.accuracy == 0 { // pure GPS fixes of old clients
		r.accuracy = -1
	}
	r.hdop = orUnknown(f.first("hdop"))
	r.speed = orUnknown(f.first("speed"))
	r.course = orUnknown(f.first("bearing", "heading"))
	if r.course > 360 {
		r.course = -1
	}
	r.battery = -1
	if b := orUnknown(f.first("batt", "battery")); b >= 0 && b <= 100 {
		r.battery = int16(math.Round(b))
	}
	r.speedMS = f[unitKey] != ""
	r.mock = f.yes("mock")
	r.sos = strings.EqualFold(f["alarm"], "sos")
	r.invalid = f["valid"] == "false" || f["valid"] == "0"
	if f.yes("heartbeat") { // a parked phone tells its old place with a new time
		r.hasPlace, r.damaged = false, false
	}
	return r, nil
}

func validID(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxIDLength && strings.IndexFunc(s, unicode.IsControl) < 0
}

// parseNumber reads a decimal number; words like NaN and Inf are none.
func parseNumber(s string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// orUnknown reads a number that is never negative; -1 for anything else.
func orUnknown(s string) float64 {
	if v, ok := parseNumber(s); ok && v >= 0 {
		return v
	}
	return -1
}

// timeLayouts are the written forms of a time; those without a zone are UTC.
var timeLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05",
}

// parseTime reads a number of seconds or, from 2^31 on, milliseconds since 1970,
// or a written time between the years 1970 and 9999.
func parseTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if v, ok := parseNumber(s); ok {
		if v >= 1<<31 {
			v /= 1000
		}
		if v < 0 || v > 253402300799 {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(math.Round(v * 1000))).UTC(), true
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil && t.Unix() >= 0 && t.Year() <= 9999 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// parseJSON reads one object or an array of them into flat fields.
func parseJSON(text []byte) ([]fields, error) {
	var raw []map[string]any
	if text[0] == '{' {
		text = append(append([]byte{'['}, text...), ']')
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil || d.More() || len(raw) == 0 {
		return nil, errBadJSON
	}
	if len(raw) > maxReports {
		return nil, errTooMany
	}
	objects := make([]fields, len(raw))
	for i, o := range raw {
		f := fields{}
		f.addObject(o)
		if l, ok := o["location"].(map[string]any); ok {
			f.addLocation(l)
		}
		objects[i] = f
	}
	return objects, nil
}

func (f fields) addObject(o map[string]any) {
	for k, v := range o {
		switch v := v.(type) {
		case string:
			f[k] = v
		case json.Number:
			f[k] = v.String()
		case bool:
			f[k] = strconv.FormatBool(v)
		}
	}
}

// addLocation adds the nested form of Traccar Client 9: metres a second, and -1
// for what is unknown.
//
//	{"location":{"timestamp":..,"coords":{"latitude":..},"battery":{"level":0.79},"extras":{}},"device_id":..}
func (f fields) addLocation(l map[string]any) {
	f.addObject(l)
	f[unitKey] = "m/s"
	if c, ok := l["coords"].(map[string]any); ok {
		f.addObject(c)
		f["lat"], f["lon"] = f["latitude"], f["longitude"]
	}
	if b, ok := l["battery"].(map[string]any); ok {
		if n, ok := b["level"].(json.Number); ok {
			if level, err := n.Float64(); err == nil && level >= 0 {
				f["batt"] = strconv.FormatFloat(level*100, 'f', 0, 64)
			}
		}
	}
	if e, ok := l["extras"].(map[string]any); ok {
		f.addObject(e)
	}
}
