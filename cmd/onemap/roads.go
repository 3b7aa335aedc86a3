// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/store"
)

type importRoadsCmd struct {
	place
	File     string  `arg:"" help:"An OpenStreetMap extract (.osm.pbf), a zipped Shapefile of lines, or GeoJSON lines with the properties highway, oneway, maxspeed (a FeatureCollection, or one Feature a line; .gz is read too)." type:"existingfile"`
	CRS      string  `help:"Datum of the file: wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to 4554 with the order of axes; the .prj of a Shapefile may say it instead. An OpenStreetMap extract is in wgs84." name:"crs" placeholder:"DATUM"`
	Source   string  `help:"Name of the set, such as osm: what it held before is replaced as a whole." required:"" placeholder:"NAME"`
	Join     float64 `help:"Move ends of GeoJSON lines that miss another line by up to so many metres onto it, 0 to 20." default:"0" placeholder:"METRES"`
	DryRun   bool    `help:"Read the file, say what it holds, and store nothing."`
	Encoding string  `help:"Encoding of a Shapefile's attributes: UTF-8, GBK or GB18030." placeholder:"NAME"`
	Rejects  string  `help:"Where lines that cannot be taken go, each with its reason (default: beside FILE)." placeholder:"FILE"`
}

func (c *importRoadsCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	roads, rejects, err := c.read(ctx, say)
	if err != nil {
		return err
	}
	if roads.Rejected > 0 && !c.DryRun {
		if err := writeRejects(c.rejects(), rejects); err != nil {
			return err
		}
	}
	c.join(out, roads)
	c.report(out, roads, rejects)
	switch {
	case c.DryRun:
		fmt.Fprintln(out, "nothing was stored (--dry-run)")
		return nil
	case len(roads.Segments) == 0:
		return fmt.Errorf("%s: no road to drive on; the set %s stays as it is", c.File, c.Source)
	}
	db, done, err := c.openToMake(ctx)
	if err != nil {
		return err
	}
	defer done()
	bar := newBar(say)
	written := share(bar, "写入")
	before, err := db.ReplaceRoads(ctx, store.RoadSet{
		Source: c.Source, Actor: "system:command", File: filepath.Base(c.File), Segments: roads.Segments,
		Progress: func(n int) { written(int64(n), int64(len(roads.Segments))) },
	})
	bar.End()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "road set %s stored: %d segments in place of %d\n", c.Source, len(roads.Segments), before)
	return nil
}

// shownRejects is how many rejected lines a dry run shows.
const shownRejects = 5

// read reads the file. rejects is the reject file's text; of a dry run its beginning
// alone, which is shown and not written.
func (c *importRoadsCmd) read(ctx context.Context, say messages) (roads *file.Roads, rejects []byte, err error) {
	var datum geo.Datum
	if c.CRS != "" || !strings.HasSuffix(c.File, ".zip") { // the .prj in a zip may say it
		if datum, err = geo.ParseDatum(c.CRS); err != nil {
			return nil, nil, fmt.Errorf("--crs: %w", err)
		}
	}
	if !store.SourceName(c.Source) {
		return nil, nil, fmt.Errorf("--source: %q is no name: letters, digits, dots, dashes and underscores, at most 40", c.Source)
	}
	if !(c.Join >= 0 && c.Join <= 20) {
		return nil, nil, fmt.Errorf("--join: %v is not from 0 to 20 metres", c.Join)
	}
	if c.Join > 0 && strings.HasSuffix(c.File, ".pbf") {
		return nil, nil, fmt.Errorf("--join: the roads of an OpenStreetMap extract share their nodes; take it as it is")
	}
	bar := newBar(say)
	rejects = file.RejectHeader(file.RoadRejectColumns)
	given := 0
	roads, err = file.ReadRoads(ctx, c.File, file.RoadOptions{Datum: datum, Encoding: c.Encoding, Progress: share(bar, "读取"), Reject: func(record []byte) error {
		if given++; !c.DryRun || given <= shownRejects {
			rejects = append(rejects, record...)
		}
		return nil
	}})
	bar.End()
	return roads, rejects, err
}

func (c *importRoadsCmd) rejects() string {
	if c.Rejects != "" {
		return c.Rejects
	}
	base := strings.TrimSuffix(c.File, ".gz")
	return strings.TrimSuffix(base, filepath.Ext(base)) + ".rejects.csv"
}

// writeRejects writes the reject file, in place of one like it only.
func writeRejects(path string, text []byte) error {
	header := file.RejectHeader(file.RoadRejectColumns)
	old, err := os.ReadFile(path)
	if err == nil && !bytes.HasPrefix(old, header) {
		return fmt.Errorf("%s is another file, it will not be written over: move it away, or name another with --rejects", path)
	}
	return store.WriteWhole(path, text, true)
}

// join brings ends together that miss each other, if that is wanted.
func (c *importRoadsCmd) join(out io.Writer, roads *file.Roads) {
	if c.Join == 0 {
		return
	}
	lines := make([]orb.LineString, len(roads.Segments))
	for i, s := range roads.Segments {
		lines[i] = s.Geom
	}
	moved := road.Join(lines, c.Join)
	for i := range lines {
		roads.Segments[i].Geom = lines[i]
	}
	fmt.Fprintf(out, "ends moved onto another line: %d, by up to %g m\n", moved, c.Join)
}

// report says what the file holds.
func (c *importRoadsCmd) report(out io.Writer, roads *file.Roads, rejects []byte) {
	segments := make([]road.Segment, len(roads.Segments))
	for i, s := range roads.Segments {
		segments[i] = road.Segment{Line: s.Geom, Oneway: s.Oneway, Kmh: s.Kmh}
	}
	st := road.Build(segments, road.DefaultRules()).Stats()
	left := 0
	for _, n := range roads.LeftOut {
		left += n
	}
	fmt.Fprintf(out, "lines %d: left out %d, rejected %d; segments %d, %.1f km, of which %.1f km in the main net; %d crossings and ends\n",
		roads.Lines, left, roads.Rejected, len(roads.Segments), st.Metres/1000, st.MainMetres/1000, st.Nodes)
	for _, why := range slices.Sorted(maps.Keys(roads.LeftOut)) {
		fmt.Fprintf(out, "left out, %s: %d\n", why, roads.LeftOut[why])
	}
	for _, note := range roads.Notes {
		fmt.Fprintln(out, note)
	}
	switch {
	case roads.Rejected > 0 && c.DryRun:
		fmt.Fprintf(out, "rejected lines, the first %d:\n%s", min(roads.Rejected, shownRejects), plain(rejects))
	case roads.Rejected > 0:
		fmt.Fprintf(out, "rejected lines and why: %s\n", c.rejects())
	}
}

// plain is text of a file without what would steer a terminal.
func plain(text []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\ufeff', r == '\r':
			return -1
		case unicode.IsControl(r) && r != '\n':
			return ' '
		}
		return r
	}, string(text))
}

// share shows how much of something is done.
func share(bar *job.Printer, what string) func(done, total int64) {
	return func(done, total int64) {
		bar.Line(func() string { return fmt.Sprintf("%s %d%%", what, 100*done/max(total, 1)) })
	}
}
