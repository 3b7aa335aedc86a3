// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
	"onemap/store"
)

// maxRoads is how many segments one file may bring.
const maxRoads = 3_000_000

// RoadOptions say how a file of roads is read.
type RoadOptions struct {
	Datum    geo.Datum                 // of the coordinates; must be named
	Progress func(read, total int64)   // optional: bytes of the file
	Reject   func(record []byte) error // optional: is given each line that cannot be taken, as a record of the reject file
}

// RoadRejectColumns are the columns of the reject file behind row, line and reason.
var RoadRejectColumns = []string{"ext_id", "highway", "name"}

// Roads is what a file of roads holds.
type Roads struct {
	Segments []store.RoadSegment
	Lines    int64          // there were, with or without a road
	LeftOut  map[string]int // lines that are no road to drive on, by reason: see road.Tags
	Rejected int64          // lines that could not be taken
}

// ReadRoads reads the roads of an OpenStreetMap extract (.osm.pbf), or of GeoJSON:
// a FeatureCollection or one Feature a line (GeoJSONSeq), plain or .gz. Tags are
// those of OpenStreetMap, see road.Tags. Every line of the file is a segment, is
// left out with a reason, or is rejected.
func ReadRoads(ctx context.Context, path string, o RoadOptions) (*Roads, error) {
	if _, err := geo.ParseDatum(string(o.Datum)); err != nil {
		return nil, err
	}
	r := &roadReader{RoadOptions: o, ctx: ctx, ids: map[string]bool{}, out: Roads{LeftOut: map[string]int{}}}
	var err error
	if strings.HasSuffix(path, ".pbf") {
		if o.Datum != geo.DatumWGS84 {
			return nil, fmt.Errorf("an OpenStreetMap extract is in wgs84, not in %s", o.Datum)
		}
		err = r.readPBF(path)
	} else {
		err = r.readLines(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r.out, nil
}

// roadReader gathers the roads of one file.
type roadReader struct {
	RoadOptions
	ctx context.Context
	out Roads
	ids map[string]bool // taken
}

// roadLine is a line of the file before it is judged.
type roadLine struct {
	line  int64 // of the text; 0 in a binary file
	id    string
	tags  road.Tags        // nil when the line cannot be read at all
	parts []orb.LineString // WGS-84
	fault string
}

// add takes a line in, leaves it out or rejects it. The error is the reject
// file's, or that there are too many.
func (r *roadReader) add(l roadLine) error {
	r.out.Lines++
	use, why := l.tags.Read()
	switch {
	case l.tags == nil:
		return r.reject(l, l.fault)
	case why != "":
		r.out.LeftOut[why]++
		return nil
	case l.fault != "":
		return r.reject(l, l.fault)
	case l.id == "" || utf8.RuneCountInString(l.id) > 90 || !utf8.ValidString(l.id) || strings.ContainsRune(l.id, 0):
		return r.reject(l, "no id that can be kept")
	case r.ids[l.id]:
		return r.reject(l, "the id "+l.id+" stands in the file twice")
	case len(r.out.Segments)+len(l.parts) > maxRoads:
		return fmt.Errorf("more than %d roads: cut the file to the county first", maxRoads)
	}
	r.ids[l.id] = true
	name := strings.ReplaceAll(strings.ToValidUTF8(l.tags["name"], "?"), "\x00", "")
	for i, part := range l.parts {
		id := l.id
		if i > 0 {
			id += "." + strconv.Itoa(i+1)
		}
		if use.Backward {
			slices.Reverse(part)
		}
		r.out.Segments = append(r.out.Segments, store.RoadSegment{ExtID: id, Class: use.Class, Name: name, Oneway: use.Oneway, Kmh: use.Kmh, Geom: part})
	}
	return nil
}

func (r *roadReader) reject(l roadLine, why string) error {
	r.out.Rejected++
	if r.Reject == nil {
		return nil
	}
	return r.Reject(RejectRecord(Row{N: r.out.Lines, Line: l.line, Cells: []string{l.id, l.tags["highway"], l.tags["name"]}}, []string{why}))
}

// checkLine says why a line is none: it needs two different points.
func checkLine(l orb.LineString) error {
	for _, p := range l {
		if p != l[0] {
			return nil
		}
	}
	return errors.New("a line needs two different points")
}
