// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"onemap/geo"
	"onemap/layer"
)

// cameraNames are the names that the columns of a file of cameras have.
var cameraNames = map[string][]string{
	"code":    {"gb_code", "gbcode", "国标编码", "国标ID", "设备编码", "设备国标编码", "DeviceID", "deviceid"},
	"name":    {"name", "名称", "设备名称", "摄像头名称", "点位名称", "Name"},
	"heading": {"heading", "朝向", "方位角", "朝向角"},
	"fov":     {"fov", "视场角"},
	"range":   {"range_m", "可视距离", "有效距离"},
	"crs":     {"crs", "坐标系"},
	"lon":     {LonColumn, "lon", "lng", "longitude", "经度", "Longitude"},
	"lat":     {LatColumn, "lat", "latitude", "纬度", "Latitude"},
}

// CameraRecord is one row as a camera, checked.
type CameraRecord struct {
	layer.Camera
	Name  string
	Raw   geo.Raw
	Point geo.WGS84
}

// CameraReader reads camera points from a table or a file of points.
type CameraReader struct {
	*Reader
	datum   geo.Datum // of rows that name none; "" when each must
	columns map[string]int
	seen    map[string]int64 // codes, each with the row that has it
}

// OpenCameras opens a file of cameras. datum is that of the rows without one of
// their own in a column crs; it may be left out where such a column is. A file with
// a column about persons is refused whole: the error is a *PersonColumnsError.
func OpenCameras(path string, o Options, datum geo.Datum) (*CameraReader, error) {
	r, err := OpenTable(path, o)
	if err != nil {
		return nil, err
	}
	c := &CameraReader{Reader: r, datum: datum, columns: map[string]int{}, seen: map[string]int64{}}
	if err := c.bind(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return c, nil
}

func (c *CameraReader) bind() error {
	header := c.Header()
	if about := PersonColumns(header); len(about) > 0 {
		return &PersonColumnsError{about}
	}
	for field, names := range cameraNames {
		c.columns[field] = -1
		for _, n := range names {
			if i := slices.Index(header, n); i >= 0 {
				c.columns[field] = i
				break
			}
		}
	}
	for _, field := range []string{"code", "name", "lon", "lat"} {
		if c.columns[field] < 0 {
			return fmt.Errorf("no column for %s: call it one of %s; the file has %q", field, strings.Join(cameraNames[field], ", "), header)
		}
	}
	if c.shapes != nil && c.datum == "" {
		c.datum = c.shapes.Datum()
	}
	if c.datum == "" && c.columns["crs"] < 0 {
		return fmt.Errorf("say with --crs what the coordinates are: %s; or give each row a column crs (坐标系)", geo.DatumNames)
	}
	if c.shapes != nil && c.datum != "" {
		_, err := DatumOf(c.shapes, c.datum)
		return err
	}
	return nil
}

// Read returns the next row and the camera it is; io.EOF after the last. The error
// of a row that cannot be taken is a *RowError, and reading goes on.
func (c *CameraReader) Read() (Row, CameraRecord, error) {
	row, err := c.Next()
	if err != nil {
		return row, CameraRecord{}, err
	}
	var k CameraRecord
	var why []string
	if row.Fault != "" {
		why = []string{row.Fault}
	} else {
		k, why = c.camera(row)
		if why = append(why, once(c.seen, "gb_code ", k.Code)...); len(why) == 0 {
			c.seen[k.Code] = row.N
		}
	}
	if len(why) > 0 {
		return row, CameraRecord{}, &RowError{Row: row.N, Line: row.Line, Reasons: why}
	}
	return row, k, nil
}

func (c *CameraReader) camera(row Row) (k CameraRecord, why []string) {
	fault := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	cell := func(field string) string {
		if i := c.columns[field]; i >= 0 && i < len(row.Cells) {
			return strings.TrimSpace(row.Cells[i])
		}
		return ""
	}
	k.Code, k.Name = cell("code"), cell("name")
	if err := layer.CheckCameraCode(k.Code); err != nil {
		fault("gb_code %v", err)
	}
	switch n := len([]rune(k.Name)); {
	case n == 0 || n > 200:
		fault("name 应为 1 至 200 个字")
	case strings.ContainsRune(k.Name, 0):
		fault("name 含有空字符 (NUL)")
	case hasIdentity(k.Name) || mobile.MatchString(k.Name):
		fault("name 像是含有手机号码或身份证号")
	}
	whole := func(field string, least, most int) int {
		text := cell(field)
		if text == "" {
			return layer.Unknown
		}
		v, err := decimal(text)
		n := int(math.Round(min(max(v, -1), 1e6)))
		if err != nil || v < 0 || n < least || n > most {
			fault("%s 应为 %d 至 %d 的数，实为 %s", field, least, most, short(text))
			return layer.Unknown
		}
		return n
	}
	k.Heading, k.FOV, k.RangeM = whole("heading", 0, 360), whole("fov", 1, 360), whole("range", 1, 20000)
	if k.Heading == 360 {
		k.Heading = 0
	}
	k.Raw.Datum = c.datum
	if own := cell("crs"); own != "" {
		d, err := geo.ParseDatum(strings.ToLower(own))
		if err != nil {
			if d, err = geo.ParseDatum(own); err != nil {
				fault("crs %s 不是已知的坐标系", short(own))
				return k, why
			}
		}
		k.Raw.Datum = d
	}
	if k.Raw.Datum == "" {
		fault("crs 为空：此行未注明坐标系，命令也未用 --crs 指明")
		return k, why
	}
	var err error
	if k.Raw.Lon, err = decimal(cell("lon")); err == nil {
		k.Raw.Lat, err = decimal(cell("lat"))
	}
	if err == nil {
		k.Point, err = k.Raw.WGS84()
	}
	if err != nil {
		fault("lon/lat %v", err)
	}
	return k, why
}

// decimal reads one number of a pair, or a number of degrees or metres.
func decimal(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("“%s”不是数", short(text))
	}
	return v, nil
}
