// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
)

// maxRoadText is how many bytes a GeoJSON file of roads may have once unpacked.
const maxRoadText = 1 << 30

// readLines reads GeoJSON. A file whose first line is a whole Feature has one on
// every line, and a damaged line spoils no other.
func (r *roadReader) readLines(path string) error {
	lim := PackedLimits
	lim.Unpacked = maxRoadText
	o, err := open(path, lim)
	if err != nil {
		return err
	}
	defer o.file.Close()
	if o.zip != nil {
		return r.readShapefile(o, lim)
	}
	if err := r.named(); err != nil {
		return err
	}
	text, _, err := o.stream(lim)
	if err != nil {
		return err
	}
	raw, err := wholeText(text, maxRoadText)
	if err != nil {
		return err
	}
	return r.readText(raw)
}

func (r *roadReader) readText(raw []byte) error {
	if !utf8.Valid(raw) { // the decoder would put marks in place of the text
		return errors.New("not GeoJSON: the text is not UTF-8 (perhaps GBK): save the file as UTF-8")
	}
	if kindOf(firstLine(raw)) == "Feature" {
		return r.readSequence(raw)
	}
	var doc struct {
		Type string          `json:"type"`
		CRS  json.RawMessage `json:"crs"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("not GeoJSON: %w", err)
	}
	if doc.Type != "FeatureCollection" && doc.Type != "Feature" {
		return fmt.Errorf("a FeatureCollection is wanted, or one Feature a line, not %q", doc.Type)
	}
	if err := checkReference(doc.CRS); err != nil {
		return err
	}
	if doc.Type == "Feature" {
		return r.feature(raw, 0, 0, int64(len(raw)))
	}
	return r.readCollection(raw)
}

// readCollection reads a FeatureCollection, known to be good JSON, feature by
// feature: all at once, many small ones would take many times the file's size.
func (r *roadReader) readCollection(raw []byte) error {
	in := json.NewDecoder(bytes.NewReader(raw))
	if _, err := in.Token(); err != nil { // {
		return err
	}
	var value json.RawMessage
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return err
		}
		if key != "features" {
			if err := in.Decode(&value); err != nil {
				return err
			}
			continue
		}
		switch start, err := in.Token(); {
		case err != nil:
			return err
		case start != json.Delim('['):
			return errors.New("not GeoJSON: the features are no list")
		}
		for in.More() {
			if err := in.Decode(&value); err != nil {
				return err
			}
			if err := r.feature(value, 0, in.InputOffset(), int64(len(raw))); err != nil {
				return err
			}
		}
		if _, err := in.Token(); err != nil { // ]
			return err
		}
	}
	return nil
}

func firstLine(raw []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimLeft(raw, " \t\r\n"+string(rune(recordSeparator))), []byte("\n"))
	return line
}

// kindOf is the type of a JSON object; "" for what is none.
func kindOf(raw []byte) string {
	var doc struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(raw, &doc) != nil {
		return ""
	}
	return doc.Type
}

func (r *roadReader) readSequence(raw []byte) error {
	total := int64(len(raw))
	for n := int64(1); len(raw) > 0; n++ {
		var line []byte
		line, raw, _ = bytes.Cut(raw, []byte("\n"))
		if line = bytes.Trim(line, " \t\r"+string(rune(recordSeparator))); len(line) == 0 {
			continue
		}
		if err := r.feature(line, n, total-int64(len(raw)), total); err != nil {
			return err
		}
	}
	return nil
}

// feature takes in one Feature, on this line of the file or 0.
func (r *roadReader) feature(raw []byte, line, read, total int64) error {
	if r.out.Lines&4095 == 0 {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if r.Progress != nil {
			r.Progress(read, total)
		}
	}
	l := roadLine{line: line}
	var f struct {
		Type       string         `json:"type"`
		ID         any            `json:"id"`
		Properties map[string]any `json:"properties"`
		Geometry   *shape         `json:"geometry"`
		Fault      string         `json:"onemap:fault"` // of a shape
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	if err := in.Decode(&f); err != nil || f.Type != "Feature" {
		l.fault = "not a GeoJSON Feature"
		return r.add(l)
	}
	l.tags = road.Tags{}
	for k, v := range f.Properties {
		if text, ok := textOf(v); ok {
			l.tags[k] = text
		}
	}
	if r.tagsOf != nil {
		l.tags = r.tagsOf(l.tags)
	}
	l.id = "row" + strconv.FormatInt(r.out.Lines+1, 10)
	own, _ := textOf(f.ID)
	for _, text := range []string{own, l.tags["@id"], l.tags["osm_id"], l.tags["id"]} {
		if text != "" {
			l.id = text
			break
		}
	}
	var err error
	if l.parts, err = f.Geometry.lines(r.Datum); err != nil {
		l.fault = err.Error()
	}
	if r.tagsOf != nil && f.Fault != "" {
		l.fault = f.Fault
	}
	return r.add(l)
}

// textOf is a value of a property as a tag has it.
func textOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "yes", true
		}
		return "no", true
	}
	return "", false
}

// lines decodes a LineString or MultiLineString and brings it to WGS-84.
func (s *shape) lines(d geo.Datum) ([]orb.LineString, error) {
	if s == nil {
		return nil, errors.New("no geometry")
	}
	var parts [][]position
	switch s.Type {
	case "LineString":
		parts = make([][]position, 1)
		if err := json.Unmarshal(s.Coordinates, &parts[0]); err != nil {
			return nil, fmt.Errorf("coordinates: %w", err)
		}
	case "MultiLineString":
		if err := json.Unmarshal(s.Coordinates, &parts); err != nil {
			return nil, fmt.Errorf("coordinates: %w", err)
		}
	default:
		return nil, fmt.Errorf("a LineString or MultiLineString is wanted, not %q", s.Type)
	}
	if len(parts) == 0 {
		return nil, errors.New("no line")
	}
	var out []orb.LineString
	for _, part := range parts {
		l := make(orb.LineString, len(part))
		for i, p := range part {
			w, err := geo.Raw{Lon: p[0], Lat: p[1], Datum: d}.WGS84()
			if err != nil {
				return nil, fmt.Errorf("point %d: %w", i+1, err)
			}
			l[i] = w.Orb()
		}
		if err := checkLine(l); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}
