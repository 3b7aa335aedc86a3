// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
	"onemap/store"
)

// maxRoads is how many segments one file may bring, and how many lines that cannot
// be taken.
const maxRoads = 3_000_000

// maxLeg is how many metres a road may run straight on, from point to point. Longer
// ones are a fault of the data, and many of them would fill the memory.
const maxLeg = 100_000

// RoadOptions say how a file of roads is read.
type RoadOptions struct {
	Datum    geo.Datum                 // of the coordinates; must be named, but for a Shapefile whose .prj does
	Encoding string                    // of a Shapefile's attributes, see Options
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
	Notes    []string       // what was left out of a Shapefile
}

// ReadRoads reads the roads of an OpenStreetMap extract (.osm.pbf), of GeoJSON, a
// FeatureCollection or one Feature a line (GeoJSONSeq), plain or .gz, or of a zipped
// Shapefile of lines. Tags are those of OpenStreetMap, see road.Tags. Every line of the file is a segment, is
// left out with a reason, or is rejected.
func ReadRoads(ctx context.Context, path string, o RoadOptions) (*Roads, error) {
	r := newRoadReader(ctx, o)
	if err := r.read(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r.out, nil
}

func newRoadReader(ctx context.Context, o RoadOptions) *roadReader {
	return &roadReader{RoadOptions: o, ctx: ctx, limit: maxRoads, ids: map[string]bool{}, out: Roads{LeftOut: map[string]int{}}}
}

func (r *roadReader) read(path string) error {
	if !strings.HasSuffix(path, ".pbf") {
		return r.readLines(path)
	}
	if err := r.named(); err != nil {
		return err
	}
	if r.Datum != geo.DatumWGS84 {
		return fmt.Errorf("an OpenStreetMap extract is in wgs84, not in %s", r.Datum)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.readPBF(f)
}

// named refuses roads of which nobody said the datum.
func (r *roadReader) named() error {
	_, err := geo.ParseDatum(string(r.Datum))
	return err
}

// roadReader gathers the roads of one file.
type roadReader struct {
	RoadOptions
	ctx   context.Context
	limit int // maxRoads
	// tagsOf makes tags of a feature's attributes where they are not tags yet.
	tagsOf func(road.Tags) road.Tags
	out    Roads
	ids    map[string]bool // taken
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
	case len(r.out.Segments)+len(l.parts) > r.limit:
		return fmt.Errorf("more than %d roads: cut the file to the county first", r.limit)
	}
	ids := make([]string, len(l.parts))
	for i := range ids {
		if ids[i] = l.id; i > 0 {
			ids[i] += "." + strconv.Itoa(i+1)
		}
		if r.ids[ids[i]] {
			return r.reject(l, "the id "+ids[i]+" stands in the file twice")
		}
	}
	name := strings.ReplaceAll(strings.ToValidUTF8(l.tags["name"], "?"), "\x00", "")
	for i, part := range l.parts {
		if use.Backward {
			slices.Reverse(part)
		}
		r.ids[ids[i]] = true
		r.out.Segments = append(r.out.Segments, store.RoadSegment{ExtID: ids[i], Class: use.Class, Name: name, Oneway: use.Oneway, Kmh: use.Kmh, Geom: part})
	}
	return nil
}

func (r *roadReader) reject(l roadLine, why string) error {
	if r.out.Rejected++; r.out.Rejected > int64(r.limit) {
		return fmt.Errorf("more than %d lines that cannot be taken; the last one: %s", r.limit, why)
	}
	if r.Reject == nil {
		return nil
	}
	return r.Reject(RejectRecord(Row{N: r.out.Lines, Line: l.line, Cells: []string{l.id, l.tags["highway"], l.tags["name"]}}, []string{why}))
}

var errOnePlace = errors.New("a line needs two different points")

// checkLine says why a line cannot be a road: it is in one place (errOnePlace), or
// it makes a leap.
func checkLine(l orb.LineString) error {
	err := errOnePlace
	for i, p := range l {
		if p == l[max(i, 1)-1] {
			continue
		}
		a, b := geo.WGS84(l[i-1]), geo.WGS84(p)
		switch metres := geo.Distance(a, b); {
		case metres > maxLeg:
			return fmt.Errorf("from point %d to point %d it is %.0f km in one straight line, more than %d", i, i+1, metres/1000, maxLeg/1000)
		case math.Abs(a[0]-b[0]) > 180:
			return fmt.Errorf("between point %d and point %d it crosses longitude 180: cut it in two there", i, i+1)
		}
		err = nil
	}
	return err
}
