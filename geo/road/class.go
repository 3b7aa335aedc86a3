// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"strconv"
	"strings"
)

// Class is a road's class, in the words of OpenStreetMap's key highway.
type Class string

// speeds are the classes that are driven on, with the speed in km/h that holds
// without a known limit. They are those of the car profile of OSRM, in an early
// edition (Project-OSRM/osrm-backend, profiles/car.lua at commit 0012f45890a8);
// "road", whose class nobody knows, takes its default speed, and a track the speed
// of its slowest grade of track.
var speeds = map[Class]float64{
	"motorway": 90, "motorway_link": 75,
	"trunk": 85, "trunk_link": 70,
	"primary": 65, "primary_link": 60,
	"secondary": 55, "secondary_link": 50,
	"tertiary": 40, "tertiary_link": 30,
	"unclassified": 25, "residential": 25,
	"service": 15, "track": 15,
	"living_street": 10, "road": 10,
}

const (
	// limitShare of a known limit is driven on average, by our own choice: nobody
	// drives at the limit from end to end.
	limitShare = 0.8

	minKmh, maxKmh = 5, 130
)

// Kmh is the speed driven on a class without a known limit; false for a class
// that nobody drives on, or that is unknown.
func (c Class) Kmh() (float64, bool) {
	v, ok := speeds[c]
	return v, ok
}

// Drawn is the class by which the map draws c: trunk, primary, secondary or track.
func (c Class) Drawn() string {
	switch Class(strings.TrimSuffix(string(c), "_link")) {
	case "motorway", "trunk":
		return "trunk"
	case "primary":
		return "primary"
	case "secondary", "tertiary":
		return "secondary"
	}
	return "track"
}

// Tags are what a source says of a road, in the words of OpenStreetMap: highway,
// oneway, junction, maxspeed, access, vehicle, motor_vehicle, motorcar, area.
type Tags map[string]string

// Use is what tags come to.
type Use struct {
	Class    Class
	Kmh      float64
	Oneway   bool
	Backward bool // the one way leads from the last point to the first
}

// Reasons why a line is left out of the roads.
const (
	NoHighway = "no tag highway"
	NotDriven = "not for cars" // footway, path, steps, cycleway, ...: whatever is not among the speeds
	Closed    = "closed"       // access=no and its like
	AnArea    = "an area"
	Reverses  = "its direction changes by the hour" // oneway=reversible
)

// shut are the values of an access tag that close a road to us. Private, farm and
// forest roads stay open: they lead to the people that workers visit.
var shut = map[string]bool{"no": true, "psv": true, "bus": true, "military": true}

// Read works out how a line with these tags is driven; why is "" or the reason
// why it is left out. Of the access tags the most special one counts: motorcar,
// motor_vehicle, vehicle, access. Motorways and roundabouts lead one way unless
// they say otherwise.
func (t Tags) Read() (u Use, why string) {
	u.Class = Class(t["highway"])
	if u.Class == "" {
		return u, NoHighway
	}
	var ok bool
	if u.Kmh, ok = u.Class.Kmh(); !ok {
		return u, NotDriven
	}
	if t["area"] == "yes" {
		return u, AnArea
	}
	for _, key := range []string{"motorcar", "motor_vehicle", "vehicle", "access"} {
		if v := t[key]; v != "" {
			if shut[v] {
				return u, Closed
			}
			break
		}
	}
	if limit, ok := parseLimit(t["maxspeed"]); ok {
		u.Kmh = min(max(limit*limitShare, minKmh), maxKmh)
	}
	switch t["oneway"] {
	case "yes", "true", "1":
		u.Oneway = true
	case "-1", "reverse":
		u.Oneway, u.Backward = true, true
	case "reversible":
		return u, Reverses
	case "no", "false", "0":
	default:
		u.Oneway = t["junction"] == "roundabout" || t["junction"] == "circular" || u.Class == "motorway"
	}
	return u, ""
}

// parseLimit reads a limit in km/h, or in miles an hour that says so. Words such
// as "none" and "signals", and zones such as "CN:urban", are no known limit.
func parseLimit(s string) (kmh float64, ok bool) {
	s, miles := strings.CutSuffix(strings.TrimSpace(s), "mph")
	s = strings.TrimSuffix(strings.TrimSpace(s), "km/h")
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(v > 0 && v < 1000) {
		return 0, false
	}
	if miles {
		v *= 1.609344
	}
	return v, true
}
