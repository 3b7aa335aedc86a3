// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/grid"
)

// maxBoundaryFile is how many bytes a boundary file may have once unpacked.
const maxBoundaryFile = 512 << 20

// MaxGrids is how many grids a boundary file may hold.
const MaxGrids = 20_000

// maxBoundaryFaults is how many faults of a boundary file are listed.
const maxBoundaryFaults = 20

// BoundaryOptions say how the features of a boundary file are read.
type BoundaryOptions struct {
	Datum geo.Datum // of the coordinates; may be left out for a file that names its own (DatumOf)
	Level int       // of every feature; 0 takes it from the property "level"
	// Properties of a feature that hold its code, its name and its parent's
	// code; a dot reaches into an object. Empty: "code", "name", "parent".
	Code, Name, Parent string
}

// ReadBoundaries reads a GeoJSON FeatureCollection of Polygons and
// MultiPolygons, or a file opened by OpenBoundaries, as grids in WGS-84, in the
// order of the file. Options without a datum take the file's own. It is strict about
// the format (no null or missing coordinate, no other reference system than
// degrees) and leaves the shapes to grid.Check. The error names the features at
// fault, and the properties there are when the wanted one is missing.
func ReadBoundaries(r io.Reader, o BoundaryOptions) ([]grid.Draft, error) {
	datum, err := datumOf(r, o.Datum)
	if err != nil {
		return nil, err
	}
	o.Datum = datum
	features, err := readFeatures(r)
	if err != nil {
		return nil, err
	}
	if len(features) > MaxGrids {
		return nil, fmt.Errorf("the file has %d features, more than the limit of %d grids", len(features), MaxGrids)
	}
	o.Code, o.Name = orDefault(o.Code, "code"), orDefault(o.Name, "name")
	var out []grid.Draft
	var faults []error
	for i, f := range features {
		d, err := f.draft(o)
		if err != nil {
			faults = append(faults, fmt.Errorf("feature %d: %w", i+1, err))
			if len(faults) == maxBoundaryFaults {
				break
			}
		}
		out = append(out, d)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

// ReadOutline reads the polygons of a GeoJSON file, whatever their properties,
// as one outline in WGS-84.
func ReadOutline(r io.Reader, d geo.Datum) (orb.MultiPolygon, error) {
	d, err := datumOf(r, d)
	if err != nil {
		return nil, err
	}
	features, err := readFeatures(r)
	if err != nil {
		return nil, err
	}
	var out orb.MultiPolygon
	for i, f := range features {
		mp, err := f.polygons(d)
		if err != nil {
			return nil, fmt.Errorf("feature %d: %w", i+1, err)
		}
		out = append(out, mp...)
	}
	return out, nil
}

// OpenBoundaries opens a boundary file of any format that OpenShapes reads; what
// it returns is a *Shapes.
func OpenBoundaries(path string) (io.ReadCloser, error) { return OpenShapes(path, Options{}) }

// datumOf is what the coordinates from r are; see DatumOf.
func datumOf(r io.Reader, given geo.Datum) (geo.Datum, error) {
	if s, ok := r.(*Shapes); ok {
		return DatumOf(s, given)
	}
	return given, nil
}

// WriteBoundaries writes grids as a GeoJSON FeatureCollection that
// ReadBoundaries reads back exactly.
func WriteBoundaries(w io.Writer, ds []grid.Draft) error {
	type properties struct {
		Code   grid.Code `json:"code"`
		Name   string    `json:"name"`
		Level  int       `json:"level"`
		Parent grid.Code `json:"parent,omitempty"`
	}
	type feature struct {
		Type       string     `json:"type"`
		Properties properties `json:"properties"`
		Geometry   any        `json:"geometry"`
	}
	if _, err := io.WriteString(w, `{"type":"FeatureCollection","features":[`); err != nil {
		return err
	}
	for i, d := range ds {
		raw, err := json.Marshal(feature{
			"Feature",
			properties{d.Code, d.Name, d.Level, d.Parent},
			map[string]any{"type": "MultiPolygon", "coordinates": d.Geom},
		})
		if err != nil {
			return fmt.Errorf("grid %s: %w", d.Code, err)
		}
		if i > 0 {
			raw = append([]byte(",\n"), raw...)
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

// feature is a GeoJSON feature as far as imports need it.
type feature struct {
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
	Geometry   *shape         `json:"geometry"`
	// Fault says why the shape can't be used, though the file could be read: it
	// comes from readers of other formats, with a null geometry.
	Fault string `json:"onemap:fault"`
}

// shape is a GeoJSON geometry.
type shape struct {
	Type        string          `json:"type"`
	Coordinates json.RawMessage `json:"coordinates"`
}

// features are read one by one, up to the limit: a small file may hold very many.
type features []feature

// UnmarshalJSON reads a list of features.
func (fs *features) UnmarshalJSON(raw []byte) error {
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	if open, err := in.Token(); err != nil || open != json.Delim('[') {
		return errors.Join(err, errors.New("features: a list is wanted"))
	}
	for in.More() {
		if int64(len(*fs)) == PackedLimits.Rows {
			return fmt.Errorf("the file has more than %d features", PackedLimits.Rows)
		}
		var f feature
		if err := in.Decode(&f); err != nil {
			return err
		}
		*fs = append(*fs, f)
	}
	return nil
}

func readFeatures(r io.Reader) ([]feature, error) {
	raw, err := wholeText(r, maxBoundaryFile)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(raw) { // the decoder would put marks in place of the text
		return nil, errors.New("not GeoJSON: the text is not UTF-8 (perhaps GBK): save the file as UTF-8")
	}
	var doc struct {
		Type        string          `json:"type"`
		CRS         json.RawMessage `json:"crs"`
		Features    features        `json:"features"`
		Properties  map[string]any  `json:"properties"`
		Geometry    *shape          `json:"geometry"`
		Coordinates json.RawMessage `json:"coordinates"`
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	if err := in.Decode(&doc); err != nil {
		return nil, fmt.Errorf("not GeoJSON: %w", err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		if doc.Type == "Feature" { // one a line, whatever the file's name
			return readFeatures(&collection{next: newSequence(bufio.NewReader(bytes.NewReader(raw)), PackedLimits).next})
		}
		return nil, errors.New("not GeoJSON: more text after the first object")
	}
	if err := checkReference(doc.CRS); err != nil {
		return nil, err
	}
	switch doc.Type {
	case "FeatureCollection":
		if len(doc.Features) == 0 {
			return nil, errors.New("the FeatureCollection has no feature")
		}
		return doc.Features, nil
	case "Feature":
		return []feature{{Type: doc.Type, Properties: doc.Properties, Geometry: doc.Geometry}}, nil
	case "Polygon", "MultiPolygon":
		return []feature{{Type: "Feature", Geometry: &shape{doc.Type, doc.Coordinates}}}, nil
	}
	return nil, fmt.Errorf("a FeatureCollection is wanted, not %q", doc.Type)
}

// checkReference refuses files that say their coordinates are no degrees. The
// name is an old part of GeoJSON that many programs still write.
func checkReference(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var crs struct {
		Properties struct {
			Name string `json:"name"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &crs); err != nil {
		return fmt.Errorf("crs: %w", err)
	}
	last := crs.Properties.Name[strings.LastIndexByte(crs.Properties.Name, ':')+1:]
	if slices.Contains([]string{"CRS84", "4326", "4490"}, last) {
		return nil
	}
	return fmt.Errorf("the file says its coordinates are in %q: convert it to longitude and latitude first", crs.Properties.Name)
}

func (f feature) draft(o BoundaryOptions) (grid.Draft, error) {
	if f.Type != "Feature" {
		return grid.Draft{}, fmt.Errorf("a Feature is wanted, not %q", f.Type)
	}
	d := grid.Draft{Level: o.Level}
	code, ok := f.property(o.Code)
	if !ok {
		return d, fmt.Errorf("no property %q for the code; there are %s", o.Code, f.names())
	}
	d.Code = grid.Code(code)
	if d.Name, ok = f.property(o.Name); !ok {
		return d, fmt.Errorf("%s: no property %q for the name; there are %s", d.Code, o.Name, f.names())
	}
	if o.Level == 0 {
		text, _ := f.property("level")
		var err error
		if d.Level, err = strconv.Atoi(text); err != nil {
			return d, fmt.Errorf("%s: no whole number in the property \"level\"; name the level of the file", d.Code)
		}
	}
	if d.Level > 1 {
		parent, ok := f.property(orDefault(o.Parent, "parent"))
		if !ok {
			return d, fmt.Errorf("%s: no property %q for the parent; there are %s", d.Code, orDefault(o.Parent, "parent"), f.names())
		}
		d.Parent = grid.Code(parent)
	}
	mp, err := f.polygons(o.Datum)
	if err != nil {
		return d, fmt.Errorf("%s: %w", d.Code, err)
	}
	d.Geom = mp
	return d, nil
}

// property returns a property as text; a dot reaches into an object.
func (f feature) property(name string) (string, bool) {
	v, ok := f.Properties[name]
	if first, rest, dotted := strings.Cut(name, "."); !ok && dotted {
		if inner, isObject := f.Properties[first].(map[string]any); isObject {
			return feature{Properties: inner}.property(rest)
		}
	}
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), v != ""
	case json.Number:
		return v.String(), true
	}
	return "", false
}

func (f feature) names() string {
	names := make([]string, 0, len(f.Properties))
	for name := range f.Properties {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names[:min(len(names), 40)], ", ")
}

// polygons decodes a Polygon or MultiPolygon and brings it to WGS-84.
func (f feature) polygons(d geo.Datum) (orb.MultiPolygon, error) {
	if f.Fault != "" {
		return nil, errors.New(f.Fault)
	}
	return f.Geometry.polygons(d)
}

func (s *shape) polygons(d geo.Datum) (orb.MultiPolygon, error) {
	if s == nil {
		return nil, errors.New("no geometry")
	}
	var parts [][][]position
	switch s.Type {
	case "Polygon":
		parts = make([][][]position, 1)
		if err := json.Unmarshal(s.Coordinates, &parts[0]); err != nil {
			return nil, fmt.Errorf("coordinates: %w", err)
		}
	case "MultiPolygon":
		if err := json.Unmarshal(s.Coordinates, &parts); err != nil {
			return nil, fmt.Errorf("coordinates: %w", err)
		}
	default:
		return nil, fmt.Errorf("a Polygon or MultiPolygon is wanted, not %q", s.Type)
	}
	out := make(orb.MultiPolygon, len(parts))
	for i, part := range parts {
		for j, ring := range part {
			r := make(orb.Ring, len(ring))
			for k, p := range ring {
				w, err := geo.Raw{Lon: p[0], Lat: p[1], Datum: d}.WGS84()
				if err != nil {
					return nil, fmt.Errorf("part %d, %s, point %d: %w", i+1, ringName(j), k+1, err)
				}
				r[k] = w.Orb()
				if k > 0 && math.Abs(r[k][0]-r[k-1][0]) > 180 {
					return nil, fmt.Errorf("part %d, %s, point %d: the edge from %.6f,%.6f to %.6f,%.6f runs round the earth: cut the polygon in two at 180 degrees",
						i+1, ringName(j), k+1, r[k-1][0], r[k-1][1], r[k][0], r[k][1])
				}
			}
			out[i] = append(out[i], r)
		}
	}
	return out, nil
}

func ringName(j int) string {
	if j == 0 {
		return "outline"
	}
	return fmt.Sprintf("hole %d", j)
}

// position is a longitude and a latitude; a height behind them is left out.
type position [2]float64

// UnmarshalJSON refuses what is not two or three numbers: a null or missing one
// would silently become zero.
func (p *position) UnmarshalJSON(raw []byte) error {
	var numbers []*float64
	if err := json.Unmarshal(raw, &numbers); err != nil {
		return err
	}
	if len(numbers) < 2 || len(numbers) > 3 || slices.Contains(numbers, nil) {
		return fmt.Errorf("a position is [longitude, latitude], not %.60s", raw)
	}
	p[0], p[1] = *numbers[0], *numbers[1]
	return nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
