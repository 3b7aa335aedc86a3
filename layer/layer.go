// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package layer holds what a centre draws on its map beside grids and roads: named
// layers (图层) of points, lines or polygons that it brought in, and its cameras;
// how they are drawn, who may see them, and what of them is nearest to a place. It
// is pure: store reads the rows, tiles and api show a Set to each reader as far as
// the reader's Scope goes.
package layer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/paulmach/orb"

	"onemap/auth"
)

// Cameras is the code of the layer of cameras, which every centre has.
const Cameras = "cameras"

// Geometry is what the features of a layer are.
type Geometry string

// The geometries. A line may be a MultiLineString, a polygon a MultiPolygon.
const (
	Point   Geometry = "point"
	Line    Geometry = "line"
	Polygon Geometry = "polygon"
)

// Of is the Geometry of a shape, "" for what no layer takes.
func Of(g orb.Geometry) Geometry {
	switch g.(type) {
	case orb.Point:
		return Point
	case orb.LineString, orb.MultiLineString:
		return Line
	case orb.Polygon, orb.MultiPolygon:
		return Polygon
	}
	return ""
}

// Kind is what a resource point (资源点) is.
type Kind string

// The kinds of resource points; Other is whatever is none.
const (
	Centre     Kind = "centre"
	Station    Kind = "station"
	Department Kind = "department"
	Other      Kind = "other"
)

// kinds are the spellings that files have.
var kinds = map[string]Kind{
	"centre": Centre, "center": Centre, "中心": Centre, "综治中心": Centre,
	"station": Station, "站": Station, "站所": Station, "站点": Station,
	"department": Department, "部门": Department,
	"other": Other, "其他": Other, "其它": Other, "": Other,
}

// ParseKind reads a kind as files spell it.
func ParseKind(s string) (Kind, error) {
	if k, ok := kinds[strings.ToLower(strings.TrimSpace(s))]; ok {
		return k, nil
	}
	return "", fmt.Errorf("未知的资源类型 %.40q（centre 中心、station 站点、department 部门、other 其他）", s)
}

// DutyMode is when a resource point has its people there (值守方式); "" when it is
// not said.
type DutyMode string

// The duty modes.
const (
	Resident DutyMode = "resident" // 常驻: always there
	Rotating DutyMode = "rotating" // 轮驻: there by turns
	OnCall   DutyMode = "on_call"  // 随叫随驻: they come when called
)

var dutyModes = map[string]DutyMode{
	"": "", "resident": Resident, "常驻": Resident, "rotating": Rotating, "轮驻": Rotating, "on_call": OnCall, "随叫随驻": OnCall,
}

// ParseDutyMode reads a duty mode as files spell it.
func ParseDutyMode(s string) (DutyMode, error) {
	if d, ok := dutyModes[strings.TrimSpace(s)]; ok {
		return d, nil
	}
	return "", fmt.Errorf("未知的值守方式 %.40q（resident 常驻、rotating 轮驻、on_call 随叫随驻）", s)
}

// Layer is what is known of a layer beside its features.
type Layer struct {
	ID               int64
	Code, Name       string
	Geometry         Geometry
	Style            Style
	MinZoom, MaxZoom int // tiles are served from one to the other, both included
	Access           auth.LayerAccess
	Root             string // code of the county it is of
	Source           string
	Version          int64
}

var (
	code = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	// taken are names that other layers have or will have.
	taken = []string{"grids", "labels", "roads", Cameras, "incidents", "hotspots", "coverage", "addresses", "places", "workers"}
)

// CheckCode says why s can be no layer's code.
func CheckCode(s string) error {
	switch {
	case !code.MatchString(s):
		return errors.New("a layer's code is 1 to 32 small letters, digits, - and _, a letter first")
	case slices.Contains(taken, s):
		return fmt.Errorf("%q is the name of a layer of the map itself: choose another code", s)
	}
	return nil
}

// MaxZoom is the deepest zoom a layer may be drawn at.
const MaxZoom = 18

// Check says what is wrong with the settings.
func (l *Layer) Check() error {
	name := len([]rune(l.Name))
	switch {
	case name == 0 || name > 60 || strings.ContainsRune(l.Name, 0):
		return errors.New("a layer's name has 1 to 60 characters")
	case len([]rune(l.Source)) > 100 || strings.ContainsRune(l.Source, 0):
		return errors.New("a layer's source has at most 100 characters")
	case l.MinZoom < 0 || l.MaxZoom > MaxZoom || l.MinZoom > l.MaxZoom:
		return fmt.Errorf("zooms are whole numbers from 0 to %d, the first not above the second", MaxZoom)
	}
	if err := auth.CheckLayerAccess(l.Access); err != nil {
		return err
	}
	return l.Style.Check()
}

// Feature is one thing of a layer. Geom is WGS-84.
type Feature struct {
	ID         int64
	ExternalID string
	Name       string
	Kind       Kind
	Duty       DutyMode
	Props      []byte // a JSON object of texts; nil for none
	Label      string // what is written beside it
	Geom       orb.Geometry
	Grids      []int32 // numbers of the grids it lies in; of one outside every grid the county's own
	Camera     *Camera // of a camera; nil of anything else
}

// In reports whether the feature lies in scope.
func (f *Feature) In(s auth.Scope) bool {
	return s.All() || slices.ContainsFunc(f.Grids, s.Sees)
}
