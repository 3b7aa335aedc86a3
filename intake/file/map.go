// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a map names a time zone; a bare container has no zone files

	"onemap/geo"
)

// mapBytes is the size up to which a column map is read.
const mapBytes = 1 << 20

// fieldNames lists every incident field a map may fill, in the order of the
// documentation (docs/IMPORT.md).
var fieldNames = []string{
	"external_id", "source", "category", "priority", "title", "text",
	"lon", "lat", "address", "reported_at", "dispatched_at", "acknowledged_at", "on_scene_at", "resolved_at", "closed_at", "state",
}

// timeFields are those of fieldNames that are times, in the order in which they come
// to pass.
var timeFields = []string{"reported_at", "dispatched_at", "acknowledged_at", "on_scene_at", "resolved_at", "closed_at"}

// States lists the states a row may be given. They are the states of a finished
// matter and the first one of an open matter: a file can't claim that somebody
// is on the way.
var States = []string{"reported", "refused", "closed", "archived", "void", "transferred"}

// Map is a column map: how the columns of one kind of CSV file become the fields
// of an incident. ParseMap makes it.
type Map struct {
	fields       map[string]field
	layouts      []string // Go layouts, tried in order
	zone         *time.Location
	ignoreOffset bool
	datum        geo.Datum
	withoutPlace string
	approximate  bool
	empty        []string
}

// Addresses reports whether the map fills the address: then rows without coordinates
// are looked up by it.
func (m Map) Addresses() bool {
	_, ok := m.fields["address"]
	return ok
}

// Approximate reports whether a row may be placed by the village or town that its
// address names, where no finer is known.
func (m Map) Approximate() bool { return m.approximate }

// KeepsUnplaced reports whether a row for which no place is found is kept without one.
func (m Map) KeepsUnplaced() bool { return m.withoutPlace == "keep" }

// mapFile is the JSON form of a Map.
type mapFile struct {
	About        string           `json:"about,omitempty"`
	CRS          string           `json:"crs,omitempty"`
	Time         timeSpec         `json:"time"`
	Empty        []string         `json:"empty,omitempty"`
	WithoutPlace string           `json:"without_place,omitempty"`
	Approximate  bool             `json:"approximate,omitempty"`
	Fields       map[string]field `json:"fields"`
}

// timeSpec says how times are written in the file.
type timeSpec struct {
	Layouts []string `json:"layouts"`
	Zone    string   `json:"zone"`
	// IgnoreOffset says that the offsets in the file are false: its clock stood in Zone.
	IgnoreOffset bool `json:"ignore_offset,omitempty"`
}

// field says where one incident field comes from: exactly one of Column,
// Template, Constant and Row.
type field struct {
	Column   string            `json:"column,omitempty"`
	Template string            `json:"template,omitempty"` // "{offense} {address}"
	Constant string            `json:"constant,omitempty"`
	Row      string            `json:"row,omitempty"` // this text and the row's number
	Values   map[string]string `json:"values,omitempty"`
	Default  string            `json:"default,omitempty"` // for what Values does not list
	Cut      int               `json:"cut,omitempty"`     // characters kept of a longer text
}

// ParseMap reads a column map: one JSON object (see docs/IMPORT.md). Unknown
// names are refused, so that a slip of the pen is not silently left out.
func ParseMap(r io.Reader) (Map, error) {
	var f mapFile
	if err := readMap(r, &f); err != nil {
		return Map{}, err
	}
	m, err := f.check()
	if err != nil {
		return Map{}, fmt.Errorf("column map: %w", err)
	}
	return m, nil
}

// readMap reads the one JSON object of a column map of any kind.
func readMap(r io.Reader, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r, mapBytes+1))
	if err != nil {
		return fmt.Errorf("column map: %w", err)
	}
	if len(raw) > mapBytes {
		return fmt.Errorf("column map: longer than %d bytes", mapBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("column map: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("column map: something follows the JSON object")
	}
	return nil
}

// check makes a Map of f, or names the first thing that is wrong.
func (f mapFile) check() (Map, error) {
	m := Map{fields: f.Fields, withoutPlace: f.WithoutPlace, approximate: f.Approximate, empty: f.Empty}
	for _, name := range sortedKeys(f.Fields) {
		if !slices.Contains(fieldNames, name) {
			return m, fmt.Errorf("unknown field %q (one of %s)", name, strings.Join(fieldNames, ", "))
		}
		if err := f.Fields[name].check(name); err != nil {
			return m, fmt.Errorf("field %s: %w", name, err)
		}
	}
	for _, name := range []string{"external_id", "source", "category", "title", "reported_at"} {
		if _, ok := f.Fields[name]; !ok {
			hint := ""
			if name == "external_id" {
				hint = `; a file without numbers of its own takes {"row": "some-prefix-"}`
			}
			return m, fmt.Errorf("field %s is missing%s", name, hint)
		}
	}
	if err := f.checkPlace(&m); err != nil {
		return m, err
	}
	return m, f.Time.check(&m)
}

// checkPlace checks what belongs to the place of an incident.
func (f mapFile) checkPlace(m *Map) error {
	_, lon := f.Fields["lon"]
	_, lat := f.Fields["lat"]
	_, address := f.Fields["address"]
	switch {
	case lon != lat:
		return errors.New("lon and lat go together: only one of them is mapped")
	case !lon && !address:
		return errors.New("no place: map lon and lat, or address")
	case lon && f.CRS == "":
		return fmt.Errorf("crs is missing: say what lon and lat are: %s", geo.DatumNames)
	case !lon && f.CRS != "":
		return errors.New("crs is given, but lon and lat are not mapped")
	}
	if lon {
		d, err := geo.ParseDatum(f.CRS)
		if err != nil {
			return fmt.Errorf("crs: %w", err)
		}
		m.datum = d
	}
	switch f.WithoutPlace {
	case "":
		m.withoutPlace = "reject"
		if !lon {
			m.withoutPlace = "keep" // no row has coordinates: none is lost for that
		}
	case "reject", "keep", "find":
	default:
		return fmt.Errorf("without_place is %q: say reject or keep, or find to look addresses up", f.WithoutPlace)
	}
	if (f.WithoutPlace == "find" || f.Approximate) && !address {
		return errors.New("without_place find and approximate are of addresses: map address")
	}
	return nil
}

// check checks one field on its own.
func (f field) check(name string) error {
	set := 0
	for _, s := range []string{f.Column, f.Template, f.Constant, f.Row} {
		if s != "" {
			set++
		}
	}
	switch {
	case set != 1:
		return errors.New("give exactly one of column, template, constant, row")
	case f.Values == nil && f.Default != "":
		return errors.New("default stands for what values does not list; give values")
	case f.Values != nil && f.Column == "":
		return errors.New("values need a column")
	case f.Cut < 0:
		return errors.New("cut is negative")
	}
	if name == "state" {
		for _, s := range append(sortedValues(f.Values), f.Default, f.Constant) {
			if s != "" && !slices.Contains(States, s) {
				return fmt.Errorf("state %q can't be imported (one of %s)", s, strings.Join(States, ", "))
			}
		}
	}
	if f.Template != "" {
		_, err := parseTemplate(f.Template)
		return err
	}
	return nil
}

// check turns the layouts into Go's and loads the zone.
func (t timeSpec) check(m *Map) error {
	if len(t.Layouts) == 0 {
		return errors.New(`time.layouts is missing: say how times are written, for example ["yyyy-MM-dd HH:mm:ss"]`)
	}
	zoned := true
	for _, l := range t.Layouts {
		layout, hasZone, err := goLayout(l)
		if err != nil {
			return fmt.Errorf("time layout %q: %w", l, err)
		}
		m.layouts = append(m.layouts, layout)
		zoned = zoned && hasZone
	}
	m.ignoreOffset = t.IgnoreOffset
	switch {
	case t.Zone == "" && t.IgnoreOffset:
		return errors.New(`time.zone is missing: with ignore_offset say where the clock stood, for example "Asia/Shanghai"`)
	case t.Zone == "" && !zoned:
		return errors.New(`time.zone is missing: say where the clock stood, for example "Asia/Shanghai" or "UTC"`)
	case t.Zone == "":
		m.zone = time.UTC // every layout carries its own offset
		return nil
	case t.Zone == "Local":
		return errors.New("time.zone Local would mean another time on each machine: name the zone")
	}
	zone, err := time.LoadLocation(t.Zone)
	if err != nil {
		return fmt.Errorf("time.zone: %w", err)
	}
	m.zone = zone
	return nil
}

func sortedKeys(m map[string]field) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func sortedValues(m map[string]string) []string {
	values := make([]string, 0, len(m))
	for _, v := range m {
		values = append(values, v)
	}
	slices.Sort(values)
	return values
}
