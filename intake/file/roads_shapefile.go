// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"strings"

	"onemap/geo/road"
)

// readShapefile reads the lines of a zipped Shapefile.
func (r *roadReader) readShapefile(o *opened, lim Limits) error {
	if o.format != Shapefile {
		return fmt.Errorf("this is %s: roads are read from .osm.pbf, from lines in GeoJSON, and from a zipped Shapefile of lines", o.format)
	}
	lim.Rows = maxRoads
	s, err := o.shapes(Options{Encoding: r.Encoding}, lim)
	if err != nil {
		return err
	}
	if r.Datum, err = DatumOf(s, r.Datum); err != nil {
		return err
	}
	r.tagsOf = shapeTags
	if t := shapeTags(namesAsTags(s.Columns())); t["highway"] == "" {
		return errors.New("the Shapefile has no column highway or fclass for the class of a road, in the words of OpenStreetMap (docs/ROADS.md): name one so in a GIS")
	}
	text, err := wholeText(s, maxRoadText)
	if err != nil {
		return err
	}
	err = r.readText(text)
	r.out.Notes = s.Notes()
	return err
}

// namesAsTags are tags of these names, each with its name for a value.
func namesAsTags(names []string) road.Tags {
	t := road.Tags{}
	for _, n := range names {
		t[n] = n
	}
	return t
}

// shapeTags makes tags of a shape's attributes: their names in small letters, no
// empty ones. fclass stands for highway, and oneway is F, T or B, in the Shapefiles
// that Geofabrik makes of OpenStreetMap; there a track has its grade behind it.
func shapeTags(attributes road.Tags) road.Tags {
	t := road.Tags{}
	for k, v := range attributes {
		if v = strings.TrimSpace(v); v != "" {
			t[strings.ToLower(k)] = v
		}
	}
	if v := t["motor_vehi"]; v != "" { // a .dbf cuts names after ten characters
		t["motor_vehicle"] = v
	}
	if t["highway"] == "" && t["fclass"] != "" {
		t["highway"] = t["fclass"]
		if strings.HasPrefix(t["highway"], "track_grade") {
			t["highway"] = "track"
		}
	}
	switch t["oneway"] {
	case "F":
		t["oneway"] = "yes"
	case "T":
		t["oneway"] = "-1"
	case "B":
		t["oneway"] = "no"
	}
	return t
}
