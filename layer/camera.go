// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"onemap/geo"
)

// Unknown stands for a heading, field of view or range that nobody has told.
const Unknown = -1

// Camera is what a camera point (摄像头) has beside its place.
type Camera struct {
	Code    string // GB/T 28181, see CheckCameraCode
	Heading int    // degrees clockwise from north, 0 to 359; or Unknown
	FOV     int    // field of view 视场角 in degrees, 1 to 360; or Unknown
	RangeM  int    // how far it sees, in metres; or Unknown
}

// CheckCameraCode says why s is no camera's code of GB/T 28181: 20 digits, of which
// eight name the centre, two the trade, three the type (131 a camera, 132 an IP
// camera) and seven count. The error is in Chinese, for reject files.
//
//	15062401 00 132 0000007
//	centre   trade type number
func CheckCameraCode(s string) error {
	if len(s) != 20 || strings.Trim(s, "0123456789") != "" {
		return errors.New("应为 20 位数字的国标编码（GB/T 28181）")
	}
	if t := s[10:13]; t != "131" && t != "132" {
		return fmt.Errorf("第 11 至 13 位类型码为 %s，不是摄像机（131）或网络摄像机（132）", t)
	}
	return nil
}

// Covers says whether the camera at a sees p: nil when nobody can tell. A place
// out of range or out of the field of view is not seen, whatever else is unknown.
func (c *Camera) Covers(at, p geo.WGS84) *bool {
	near, nearKnown := false, c.RangeM != Unknown
	if nearKnown {
		near = geo.Distance(at, p) <= float64(c.RangeM)
	}
	inView, viewKnown := true, true
	switch {
	case c.FOV == 360:
	case c.FOV == Unknown || c.Heading == Unknown:
		viewKnown = false
	case at != p:
		off := math.Abs(math.Mod(Bearing(at, p)-float64(c.Heading)+540, 360) - 180)
		inView = off <= float64(c.FOV)/2
	}
	yes, no := true, false
	switch {
	case nearKnown && !near, viewKnown && !inView:
		return &no
	case nearKnown && viewKnown:
		return &yes
	}
	return nil
}

// Bearing is the direction in which a great circle leaves a for b, in degrees
// clockwise from north, 0 to 360 (excluded). Of a place to itself it is 0.
func Bearing(a, b geo.WGS84) float64 {
	const rad = math.Pi / 180
	dLon := (b[0] - a[0]) * rad
	y := math.Sin(dLon) * math.Cos(b[1]*rad)
	x := math.Cos(a[1]*rad)*math.Sin(b[1]*rad) - math.Sin(a[1]*rad)*math.Cos(b[1]*rad)*math.Cos(dLon)
	deg := math.Atan2(y, x) / rad
	if deg < 0 {
		deg += 360
	}
	if deg >= 360 { // a tiny negative angle rounds up
		return 0
	}
	return deg
}
