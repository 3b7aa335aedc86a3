// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"onemap/geo"
)

// Record is one row as the fields of an incident, checked for form only: whether
// the category exists or the place lies in a grid is intake's business.
type Record struct {
	Row                                int64 // its Row.N
	ExternalID, Source, Category, Text string
	Title                              string    // 1 to 200 characters
	Address                            string    // empty when there is none
	State                              string    // one of States; empty when the map does not say
	Priority                           int       // 1 to 4; 0: the category's
	Place                              *geo.Raw  // nil when the row has no coordinates
	ReportedAt                         time.Time // never zero
	ClosedAt                           time.Time // zero when unknown
	// The stages in between, zero where they are not known: somebody was sent, signed
	// for it, was there, was done.
	DispatchedAt, AcknowledgedAt, OnSceneAt, ResolvedAt time.Time
}

// Stages are the times after the report in the order of their stages: dispatched,
// acknowledged, on scene, resolved, closed. Those that are not known are zero.
func (r Record) Stages() [5]time.Time {
	return [5]time.Time{r.DispatchedAt, r.AcknowledgedAt, r.OnSceneAt, r.ResolvedAt, r.ClosedAt}
}

// RowError says why one row can't be taken. The others can.
type RowError struct {
	Row     int64
	Line    int64
	Reasons []string // in Chinese, for the reject file
}

func (e *RowError) Error() string {
	return fmt.Sprintf("row %d (line %d): %s", e.Row, e.Line, strings.Join(e.Reasons, "；"))
}

// Mapper applies a Map to rows of one file. It is not safe for concurrent use.
type Mapper struct {
	m       Map
	sources map[string]source
	reasons []string
}

// source is a field with its columns found in the file.
type source struct {
	field
	name   string
	index  int // of Column
	pieces []piece
	at     []int // index of each piece's column, -1 for text
}

// Bind finds the map's columns in the header of a file, once for all its rows.
// The error names every column the file lacks, and those it has.
func (m Map) Bind(header []string) (*Mapper, error) {
	out := &Mapper{m: m, sources: map[string]source{}}
	var missing []string
	find := func(column string) int {
		i := slices.Index(header, column)
		if i < 0 && !slices.Contains(missing, column) {
			missing = append(missing, column)
		}
		return i
	}
	for _, name := range sortedKeys(m.fields) {
		s := source{field: m.fields[name], name: name}
		if s.Column != "" {
			s.index = find(s.Column)
		}
		if s.Template != "" {
			pieces, err := parseTemplate(s.Template)
			if err != nil {
				return nil, fmt.Errorf("column map: field %s: %w", name, err)
			}
			for _, p := range pieces {
				i := -1
				if p.column != "" {
					i = find(p.column)
				}
				s.at = append(s.at, i)
			}
			s.pieces = pieces
		}
		out.sources[name] = s
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("column map: the file has no column %q; it has %q", missing, header)
	}
	return out, nil
}

// Apply makes a Record of row. The error is always a *RowError with every reason
// found.
func (mp *Mapper) Apply(row Row) (Record, error) {
	if row.Fault != "" {
		return Record{}, &RowError{Row: row.N, Line: row.Line, Reasons: []string{row.Fault}}
	}
	mp.reasons = nil
	r := Record{
		Row:        row.N,
		ExternalID: mp.required(row, "external_id", 128),
		Source:     mp.required(row, "source", 64),
		Category:   mp.required(row, "category", 16),
		Title:      mp.required(row, "title", 200),
		Text:       mp.text(row, "text"),
		Address:    mp.text(row, "address"),
		State:      mp.state(row),
		Priority:   mp.priority(row),
		Place:      mp.place(row),
		ReportedAt: mp.time(row, "reported_at"),
		ClosedAt:   mp.time(row, "closed_at"),

		DispatchedAt: mp.time(row, "dispatched_at"), AcknowledgedAt: mp.time(row, "acknowledged_at"),
		OnSceneAt: mp.time(row, "on_scene_at"), ResolvedAt: mp.time(row, "resolved_at"),
	}
	if r.ReportedAt.IsZero() && len(mp.reasons) == 0 {
		mp.fault("reported_at", "为空")
	}
	for i, at := range r.Stages() {
		switch {
		case at.IsZero():
		case at.Before(r.ReportedAt):
			mp.fault(timeFields[i+1], "早于上报时间")
		case r.State == "reported":
			mp.fault(timeFields[i+1], "：未办结的事件不能有办理时间")
		}
	}
	if mp.m.withoutPlace != "keep" && mp.m.datum == "" && r.Address == "" {
		mp.fault("address", "为空")
	}
	if len(mp.reasons) > 0 {
		return Record{}, &RowError{Row: row.N, Line: row.Line, Reasons: mp.reasons}
	}
	return r, nil
}

func (mp *Mapper) fault(name, reason string) {
	mp.reasons = append(mp.reasons, name+" "+reason)
}

// text is the field's value, "" when the map or the row has none.
func (mp *Mapper) text(row Row, name string) string {
	s, ok := mp.sources[name]
	if !ok {
		return ""
	}
	v := s.value(row)
	if slices.Contains(mp.m.empty, v) {
		v = ""
	}
	if s.Values != nil {
		to, listed := s.Values[v]
		switch {
		case listed:
			v = to
		case s.Default != "":
			v = s.Default
		case v != "":
			mp.fault(name, fmt.Sprintf("的值“%s”不在对照表中（列“%s”）", short(v), s.Column))
			return ""
		}
	}
	if s.Cut > 0 && utf8.RuneCountInString(v) > s.Cut {
		v = string([]rune(v)[:s.Cut])
	}
	return v
}

// value is the text the field's source gives for row, spaces taken off the ends.
func (s source) value(row Row) string {
	switch {
	case s.Column != "":
		return strings.TrimSpace(row.Cells[s.index])
	case s.Row != "":
		return s.Row + strconv.FormatInt(row.N, 10)
	case s.Template != "":
		var b strings.Builder
		for i, p := range s.pieces {
			b.WriteString(p.text)
			if s.at[i] >= 0 {
				b.WriteString(strings.TrimSpace(row.Cells[s.at[i]]))
			}
		}
		return strings.TrimSpace(b.String())
	}
	return s.Constant
}

// required is text that must not be empty nor longer than most characters.
func (mp *Mapper) required(row Row, name string, most int) string {
	before := len(mp.reasons)
	v := mp.text(row, name)
	switch {
	case len(mp.reasons) > before:
	case v == "":
		mp.fault(name, "为空")
	case utf8.RuneCountInString(v) > most:
		mp.fault(name, fmt.Sprintf("超过 %d 个字", most))
	}
	return v
}

func (mp *Mapper) state(row Row) string {
	v := mp.text(row, "state")
	if v != "" && !slices.Contains(States, v) {
		mp.fault("state", fmt.Sprintf("“%s”不能导入", short(v)))
	}
	return v
}

func (mp *Mapper) priority(row Row) int {
	v := mp.text(row, "priority")
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(v, "P"))
	if err != nil || n < 1 || n > 4 {
		mp.fault("priority", fmt.Sprintf("“%s”不是 1 到 4", short(v)))
		return 0
	}
	return n
}

// time is the field as an instant; zero when empty. Years no case file has are
// refused: they are slips that would spoil every statistic.
func (mp *Mapper) time(row Row, name string) time.Time {
	v := mp.text(row, name)
	if v == "" {
		return time.Time{}
	}
	for _, layout := range mp.m.layouts {
		t, err := time.ParseInLocation(layout, v, mp.m.zone)
		if err != nil {
			continue
		}
		if t.Year() < 1900 || t.Year() > 2100 {
			mp.fault(name, fmt.Sprintf("“%s”的年份不可信", short(v)))
			return time.Time{}
		}
		if mp.m.ignoreOffset {
			t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), mp.m.zone)
		}
		return t
	}
	mp.fault(name, fmt.Sprintf("“%s”不是约定格式的时间", short(v)))
	return time.Time{}
}

// place is the row's coordinates in the map's datum, nil when it has none.
func (mp *Mapper) place(row Row) *geo.Raw {
	if mp.m.datum == "" {
		return nil
	}
	lonText, latText := mp.text(row, "lon"), mp.text(row, "lat")
	if lonText == "" && latText == "" {
		if mp.m.withoutPlace == "reject" || mp.m.withoutPlace == "find" && mp.text(row, "address") == "" {
			mp.fault("lon/lat", "没有坐标")
		}
		return nil
	}
	lon, okLon := mp.number("lon", lonText)
	lat, okLat := mp.number("lat", latText)
	if !okLon || !okLat {
		return nil
	}
	raw := geo.Raw{Lon: lon, Lat: lat, Datum: mp.m.datum}
	if _, err := raw.WGS84(); err != nil {
		mp.fault("lon/lat", placeReason(raw, err))
		return nil
	}
	return &raw
}

// placeReason says why a pair of numbers is no place of its datum.
func placeReason(r geo.Raw, err error) string {
	pair := strconv.FormatFloat(r.Lon, 'f', -1, 64) + ", " + strconv.FormatFloat(r.Lat, 'f', -1, 64)
	_, metres := r.Datum.Zone()
	var pe *geo.PlaceError
	if !errors.As(err, &pe) {
		return pair + " 无法换算"
	}
	switch pe.Slip {
	case geo.SlipExchanged:
		if metres {
			return pair + "：纵横坐标可能颠倒"
		}
		return pair + "：经纬度可能颠倒"
	case geo.SlipMetres:
		return pair + "：像是以米为单位的坐标，不是经纬度"
	case geo.SlipDegrees:
		return pair + "：像是经纬度，不是以米为单位的坐标"
	case geo.SlipPrefix:
		return fmt.Sprintf("%s：带号与 %s 不符", pair, r.Datum)
	case geo.SlipFar:
		return fmt.Sprintf("%s：不在 %s 的使用范围内", pair, r.Datum)
	}
	return pair + " 不是地球上的位置"
}

// number reads a finite decimal number.
func (mp *Mapper) number(name, v string) (float64, bool) {
	if v == "" {
		mp.fault(name, "为空")
		return 0, false
	}
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || strings.ContainsAny(v, "xXpP_") {
		mp.fault(name, fmt.Sprintf("“%s”不是数字", short(v)))
		return 0, false
	}
	return x, true
}

// short keeps a value readable inside a reason.
func short(v string) string {
	r := []rune(v)
	if len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return v
}
