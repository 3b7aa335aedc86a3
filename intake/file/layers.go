// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/layer"
)

// Bounds of one feature of a named layer.
const (
	maxLinePoints = 10_000
	maxProps      = 40   // properties
	maxPropText   = 500  // characters of one
	maxPropsText  = 8000 // bytes of all, as JSON
)

// polygonLimits bound a polygon of a named layer.
var polygonLimits = geo.Limits{Vertices: 20_000, Holes: 1000}

// FeatureOptions say how the rows of a file are features of a layer. A column left
// out is taken by its usual names, see docs/LAYERS.md.
type FeatureOptions struct {
	Datum    geo.Datum // of the coordinates; may be left out for a Shapefile with a .prj
	ID       string    // column of the external id
	Name     string
	Kind     string // column, or a kind that all of them are
	DutyMode string
	Geometry layer.Geometry // what the layer takes; "" takes that of the first good feature
}

// featureNames are the names that columns have, taken without being told.
var featureNames = map[string][]string{
	"id":        {"external_id", "ext_id", "id", "编号", "编码", "标识码", "ID", "@id", "osm_id"},
	"name":      {"name", "名称", "标准名称", "单位名称", "机构名称", "站点名称", "NAME", "Name"},
	"kind":      {"kind", "资源类型"},
	"duty_mode": {"duty_mode", "值守方式", "驻守方式"},
	"lon":       {LonColumn, "lon", "lng", "longitude", "经度"},
	"lat":       {LatColumn, "lat", "latitude", "纬度"},
}

// FeatureRecord is one row as a feature of a layer, checked. Geom is WGS-84; Raw is
// the pair of a point as it was given, and the datum alone of anything else.
type FeatureRecord struct {
	ExternalID string
	Name       string
	Kind       layer.Kind
	Duty       layer.DutyMode
	Props      map[string]string
	Geom       orb.Geometry
	Raw        geo.Raw
}

// FeatureReader reads the features of a layer from a file of any format: rows of
// CSV and XLSX are points, the others any geometry.
type FeatureReader struct {
	*Reader
	o       FeatureOptions
	kind    layer.Kind // of all; "" when a column says
	columns map[string]int
	props   []int            // columns that are kept as properties
	seen    map[string]int64 // external ids, each with the row that has it
}

// OpenFeatures opens a file of features. A file with a column about persons is
// refused whole: the error is a *PersonColumnsError.
func OpenFeatures(path string, opt Options, o FeatureOptions) (*FeatureReader, error) {
	f, err := open(path, opt.limits(PackedLimits))
	if err != nil {
		return nil, err
	}
	f.any = true
	r, err := f.table(opt)
	if err != nil {
		_ = f.file.Close() // read only; the first error says more
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	out := &FeatureReader{Reader: r, o: o, columns: map[string]int{}, seen: map[string]int64{}}
	if err := out.bind(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return out, nil
}

// Columns says which column of the file is taken for what; "" for none.
func (r *FeatureReader) Columns() (id, name, kind, duty string) {
	at := func(field string) string {
		if i := r.columns[field]; i >= 0 {
			return r.Header()[i]
		}
		return ""
	}
	if kind = at("kind"); r.kind != "" {
		kind = "all are " + string(r.kind)
	}
	return at("id"), at("name"), kind, at("duty_mode")
}

// Datum is what the coordinates are taken for.
func (r *FeatureReader) Datum() geo.Datum { return r.o.Datum }

func (r *FeatureReader) bind() error {
	header := r.Header()
	if about := PersonColumns(header); len(about) > 0 {
		return &PersonColumnsError{about}
	}
	var err error
	switch {
	case r.shapes != nil:
		r.o.Datum, err = DatumOf(r.shapes, r.o.Datum)
	case r.o.Datum == "":
		err = fmt.Errorf("say with --crs what the coordinates are: %s", geo.DatumNames)
	}
	if err != nil {
		return err
	}
	said := map[string]string{"id": r.o.ID, "name": r.o.Name, "kind": r.o.Kind, "duty_mode": r.o.DutyMode}
	for field, names := range featureNames {
		i := -1
		switch column := said[field]; {
		case column != "":
			i = slices.Index(header, column)
		default:
			for _, n := range names {
				if i = slices.Index(header, n); i >= 0 {
					break
				}
			}
		}
		if i < 0 && said[field] != "" {
			k, err := layer.ParseKind(said[field])
			if field != "kind" || err != nil {
				return fmt.Errorf("the file has no column %q for %s; it has %q", said[field], field, header)
			}
			r.kind = k
		}
		r.columns[field] = i
	}
	switch {
	case r.columns["id"] < 0:
		return fmt.Errorf("no column for the external id, by which a second import knows a feature again: name it with --id; the file has %q", header)
	case r.shapes == nil && (r.columns["lon"] < 0 || r.columns["lat"] < 0):
		return fmt.Errorf("no columns lon and lat (or 经度, 纬度); the file has %q", header)
	}
	for i := range header {
		used := slices.Contains([]string{LonColumn, LatColumn}, header[i])
		for _, k := range r.columns {
			used = used || k == i
		}
		if !used {
			r.props = append(r.props, i)
		}
	}
	if len(r.props) > maxProps {
		return fmt.Errorf("the file has %d columns to keep beside id and name, more than %d: take out those that nobody needs", len(r.props), maxProps)
	}
	return nil
}

// Read returns the next row and the feature it is; io.EOF after the last. The error
// of a row that cannot be taken is a *RowError, and reading goes on.
func (r *FeatureReader) Read() (Row, FeatureRecord, error) {
	row, err := r.Next()
	if err != nil {
		return row, FeatureRecord{}, err
	}
	var f FeatureRecord
	var why []string
	if row.Fault != "" {
		why = []string{row.Fault}
	} else {
		f, why = r.feature(row)
		if why = append(why, once(r.seen, "编号", f.ExternalID)...); len(why) == 0 {
			r.seen[f.ExternalID] = row.N
		}
	}
	if len(why) > 0 {
		return row, FeatureRecord{}, &RowError{Row: row.N, Line: row.Line, Reasons: why}
	}
	return row, f, nil
}

func (r *FeatureReader) cell(row Row, field string) string {
	if i := r.columns[field]; i >= 0 && i < len(row.Cells) {
		return strings.TrimSpace(row.Cells[i])
	}
	return ""
}

// feature makes a record of a row, or says in Chinese why not.
func (r *FeatureReader) feature(row Row) (f FeatureRecord, why []string) {
	fault := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	f = FeatureRecord{ExternalID: r.cell(row, "id"), Name: r.cell(row, "name"), Kind: r.kind}
	switch n := len([]rune(f.ExternalID)); {
	case n == 0:
		fault("编号为空")
	case n > 128:
		fault("编号超过 128 个字")
	}
	if len([]rune(f.Name)) > 200 {
		fault("名称超过 200 个字")
	}
	var err error
	if r.kind == "" {
		if f.Kind, err = layer.ParseKind(r.cell(row, "kind")); err != nil {
			fault("%v", err)
		}
	}
	if f.Duty, err = layer.ParseDutyMode(r.cell(row, "duty_mode")); err != nil {
		fault("%v", err)
	}
	f.Props = r.properties(row, fault)
	for _, text := range []string{f.ExternalID, f.Name} {
		if strings.ContainsRune(text, 0) {
			fault("含有空字符 (NUL)")
		}
		if hasIdentity(text) || text == f.Name && mobile.MatchString(text) {
			fault("编号或名称像是含有手机号码或身份证号")
		}
	}
	if f.Geom, f.Raw, err = r.geometry(row); err != nil {
		fault("%v", err)
		return f, why
	}
	is := layer.Of(f.Geom)
	if r.o.Geometry == "" && len(why) == 0 {
		r.o.Geometry = is
	}
	if r.o.Geometry != "" && is != r.o.Geometry {
		fault("此图层为 %s，此要素为 %s", geometryName[r.o.Geometry], geometryName[is])
	}
	return f, why
}

var geometryName = map[layer.Geometry]string{layer.Point: "点", layer.Line: "线", layer.Polygon: "面"}

// Geometry is that of the features read so far; "" as long as there is none.
func (r *FeatureReader) Geometry() layer.Geometry { return r.o.Geometry }

func (r *FeatureReader) properties(row Row, fault func(string, ...any)) map[string]string {
	props := map[string]string{}
	for _, i := range r.props {
		if i >= len(row.Cells) {
			continue
		}
		name, v := r.Header()[i], strings.TrimSpace(row.Cells[i])
		if v == "" || name == "" {
			continue
		}
		switch {
		case strings.ContainsRune(name+v, 0):
			fault("%s 含有空字符 (NUL)", short(name))
		case len([]rune(v)) > maxPropText:
			fault("%s 超过 %d 个字", name, maxPropText)
		case hasIdentity(v) || mobile.MatchString(v):
			fault("%s 像是含有手机号码或身份证号", name)
		}
		props[name] = v
	}
	if raw, err := PropsJSON(props); err != nil || len(raw) > maxPropsText {
		fault("属性合计超过 %d 字节", maxPropsText)
	}
	return props
}

// geometry is the shape of a row in WGS-84.
func (r *FeatureReader) geometry(row Row) (orb.Geometry, geo.Raw, error) {
	raw := geo.Raw{Datum: r.o.Datum}
	s := r.shapeOf(row)
	if s == nil && r.shapes != nil {
		return nil, raw, errors.New("没有图形")
	}
	if s == nil || s.Type == "Point" {
		var err error
		if raw.Lon, err = decimal(r.cell(row, "lon")); err == nil {
			raw.Lat, err = decimal(r.cell(row, "lat"))
		}
		if err != nil {
			return nil, raw, err
		}
		p, err := raw.WGS84()
		return p.Orb(), raw, err
	}
	switch s.Type {
	case "LineString", "MultiLineString":
		parts, err := s.lines(raw.Datum)
		if err != nil {
			return nil, raw, err
		}
		points := 0
		for _, l := range parts {
			points += len(l)
		}
		if points > maxLinePoints {
			return nil, raw, fmt.Errorf("线有 %d 个点，超过 %d 个", points, maxLinePoints)
		}
		if len(parts) == 1 {
			return parts[0], raw, nil
		}
		return orb.MultiLineString(parts), raw, nil
	case "Polygon", "MultiPolygon":
		mp, err := s.polygons(raw.Datum)
		if err == nil {
			err = geo.CheckPolygon(mp, polygonLimits)
		}
		return mp, raw, err
	}
	return nil, raw, fmt.Errorf("图形 %s 不能入图层：应为点、线或面", short(s.Type))
}

// shapeOf is the geometry that a file of shapes has for a row.
func (r *FeatureReader) shapeOf(row Row) *shape {
	if p, ok := r.rows.(*points); ok {
		return p.features[row.N-1].Geometry
	}
	return nil
}

// PropsJSON is properties as the database keeps them; nil for none.
func PropsJSON(props map[string]string) ([]byte, error) {
	if len(props) == 0 {
		return nil, nil
	}
	return json.Marshal(props)
}

// once says why a row may not be taken when an earlier one was that has its id.
func once(seen map[string]int64, what, id string) (why []string) {
	if first, ok := seen[id]; ok {
		why = []string{fmt.Sprintf("%s与第 %d 行重复", what, first)}
	}
	return why
}
