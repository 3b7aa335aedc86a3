// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"onemap/auth"
	"onemap/geo"
	"onemap/intake/file"
	"onemap/internal/app"
	"onemap/internal/job"
	"onemap/layer"
	"onemap/store"
)

type importLayerCmd struct {
	place
	openFlags
	File    string `arg:"" help:"Features as GeoJSON, GeoJSONSeq (.gz too) or zipped Shapefile; points also as CSV or XLSX." type:"existingfile"`
	Layer   string `help:"Code of the layer: small letters, digits, - and _. It is made when there is none." required:"" placeholder:"CODE"`
	Name    string `help:"What people call it; needed for a new layer."`
	CRS     string `help:"What the coordinates are: wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to 4554 with the order of axes; a .prj may say it instead." name:"crs" placeholder:"DATUM"`
	ID      string `help:"Column of the external id, by which a feature is known again (default: external_id, id, 编号, ...)." name:"id" placeholder:"COLUMN"`
	Label   string `help:"Column of the name (default: name, 名称, ...)." placeholder:"COLUMN"`
	Kind    string `help:"What they are: centre, station, department or other; or the column that says it (default: kind, 资源类型)." placeholder:"KIND"`
	Duty    string `help:"Column of the duty mode: resident 常驻, rotating 轮驻, on_call 随叫随驻 (default: duty_mode, 值守方式)." placeholder:"COLUMN"`
	Style   string `help:"How it is drawn, as JSON: colour, icon, width, fill_opacity, label; see docs/LAYERS.md." placeholder:"JSON"`
	Zoom    string `help:"Zooms it is drawn at, from-to (default: 8-18)." placeholder:"FROM-TO"`
	Access  string `help:"Who may see it: signed_in, walls (the walls too), or roles with commas between (default: signed_in)."`
	Source  string `help:"Who it is from, for people."`
	County  string `help:"Code of the county it is of; needed where there are several."`
	Rejects string `help:"Where refused rows go, each with its reason (default: beside FILE)." placeholder:"FILE"`
	DryRun  bool   `help:"Read and check the whole file, say what would come in and what the file lacks, write nothing."`
	Replace *int   `help:"Take out what is there and the file lacks: so many as --dry-run counts, or nothing is done." placeholder:"N"`
}

func (c *importLayerCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	datum, err := datumSaid(c.CRS)
	if err != nil {
		return err
	}
	read := file.FeatureOptions{Datum: datum, ID: c.ID, Name: c.Label, Kind: c.Kind, DutyMode: c.Duty}
	if c.Preview > 0 {
		return c.preview(read, int(c.Preview), out)
	}
	settings, err := c.settings()
	if err != nil {
		return err
	}
	return importRows(ctx, c.place, c.DryRun, out, say, func(ctx context.Context, r *running) (job.Result, string, []app.Told, error) {
		return app.ImportLayer(ctx, app.LayerOptions{
			DB: r.db, File: c.File, Open: c.options(), Read: read, Settings: settings, Rejects: c.Rejects, Root: c.County, DryRun: c.DryRun, Replace: c.Replace,
			Now: time.Now, Progress: r.progress, Note: r.note,
		})
	})
}

// datumSaid reads --crs; "" stays.
func datumSaid(crs string) (geo.Datum, error) {
	if crs == "" {
		return "", nil
	}
	d, err := geo.ParseDatum(crs)
	if err != nil {
		return "", fmt.Errorf("--crs: %w", err)
	}
	return d, nil
}

func (c *importLayerCmd) settings() (s app.LayerSettings, err error) {
	s = app.LayerSettings{Code: c.Layer, Name: c.Name, Source: c.Source}
	if c.Style != "" {
		style, err := layer.ParseStyle([]byte(c.Style))
		if err != nil {
			return s, fmt.Errorf("--style: %w", err)
		}
		s.Style = &style
	}
	if c.Access != "" {
		if s.Access, err = auth.ParseLayerAccess(c.Access); err != nil {
			return s, fmt.Errorf("--access: %w", err)
		}
	}
	if c.Zoom != "" {
		var from, to int
		if n, err := fmt.Sscanf(c.Zoom+";", "%d-%d;", &from, &to); n != 2 || err != nil {
			return s, fmt.Errorf("--zoom %s: say it as 8-18", c.Zoom)
		}
		s.MinZoom, s.MaxZoom = &from, &to
	}
	return s, nil
}

// preview shows how the first rows would be read.
func (c *importLayerCmd) preview(read file.FeatureOptions, n int, out io.Writer) error {
	r, err := file.OpenFeatures(c.File, c.options(), read)
	if err != nil {
		return err
	}
	defer r.Close()
	id, name, kind, duty := r.Columns()
	fmt.Fprintf(out, "file      %s\nformat    %s\nencoding  %s\ncrs       %s\ncolumns   %s\nmapping   id from %s, name from %s, kind %s, duty mode from %s\n",
		c.File, r.Format(), r.Encoding(), r.Datum(), strings.Join(r.Header(), ", "), id, orDash(name), orDash(kind), orDash(duty))
	err = showEach(n, out, func() (file.Row, string, error) {
		row, f, err := r.Read()
		if err != nil {
			return row, "", err
		}
		b := f.Geom.Bound()
		return row, fmt.Sprintf("%s %s, %s, %s, duty mode %s, WGS-84 box %.6f,%.6f,%.6f,%.6f, %v", f.ExternalID, f.Name,
			f.Geom.GeoJSONType(), f.Kind, orDash(string(f.Duty)), b.Min[0], b.Min[1], b.Max[0], b.Max[1], f.Props), nil
	})
	if err != nil {
		return err
	}
	for _, note := range r.Notes() {
		fmt.Fprintf(out, "note      %s\n", note)
	}
	_, err = io.WriteString(out, nothingWritten)
	return err
}

type importCamerasCmd struct {
	place
	openFlags
	File    string `arg:"" help:"Camera points as CSV (.gz too), XLSX, GeoJSON, GeoJSONSeq or zipped Shapefile, see docs/LAYERS.md." type:"existingfile"`
	CRS     string `help:"What the coordinates are: wgs84, gcj02, ...; of rows that do not say it themselves in a column crs (坐标系)." name:"crs" placeholder:"DATUM"`
	County  string `help:"Code of the county they are of; needed where there are several."`
	Rejects string `help:"Where refused rows go, each with its reason (default: beside FILE)." placeholder:"FILE"`
	DryRun  bool   `help:"Read and check the whole file, say what would come in and what the file lacks, write nothing."`
	Replace *int   `help:"Take out the county's cameras that the file lacks: so many as --dry-run counts, or nothing is done." placeholder:"N"`
}

func (c *importCamerasCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	datum, err := datumSaid(c.CRS)
	if err != nil {
		return err
	}
	if c.Preview > 0 {
		return c.preview(datum, int(c.Preview), out)
	}
	return importRows(ctx, c.place, c.DryRun, out, say, func(ctx context.Context, r *running) (job.Result, string, []app.Told, error) {
		return app.ImportCameras(ctx, app.CameraOptions{
			DB: r.db, File: c.File, Open: c.options(), Datum: datum, Rejects: c.Rejects, Root: c.County, DryRun: c.DryRun, Replace: c.Replace,
			Now: time.Now, Progress: r.progress, Note: r.note,
		})
	})
}

// preview shows how the first rows would be read.
func (c *importCamerasCmd) preview(datum geo.Datum, n int, out io.Writer) error {
	r, err := file.OpenCameras(c.File, c.options(), datum)
	if err != nil {
		return err
	}
	defer r.Close()
	fmt.Fprintf(out, "file      %s\nformat    %s\nencoding  %s\ncolumns   %s\n", c.File, r.Format(), r.Encoding(), strings.Join(r.Header(), ", "))
	err = showEach(n, out, func() (file.Row, string, error) {
		row, k, err := r.Read()
		if err != nil {
			return row, "", err
		}
		return row, fmt.Sprintf("%s %s, heading %d, fov %d, range %d (-1: not said), %v,%v %s (WGS-84 %.6f,%.6f)", k.Code, k.Name,
			k.Heading, k.FOV, k.RangeM, k.Raw.Lon, k.Raw.Lat, k.Raw.Datum, k.Point.Lon(), k.Point.Lat()), nil
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, nothingWritten)
	return err
}

// running is what an import of rows has at hand.
type running struct {
	db       *store.DB
	progress func(job.Progress)
	notes    []string
}

func (r *running) note(s string) { r.notes = append(r.notes, s) }

// importRows runs an import with its progress, and says how it ended.
func importRows(ctx context.Context, p place, dry bool, out io.Writer, say messages, run func(context.Context, *running) (job.Result, string, []app.Told, error)) error {
	open := p.openToChange
	if dry {
		open = p.open
	}
	db, done, err := open(ctx)
	if err != nil {
		return err
	}
	defer done()
	f, isFile := say.Writer.(*os.File)
	bar := job.NewPrinter(say, isFile && job.IsTerminal(f), time.Now)
	r := &running{db: db, progress: bar.Show}
	res, rejects, told, err := run(ctx, r)
	bar.End()
	for _, note := range r.notes {
		fmt.Fprintln(say, note)
	}
	var pe *fs.PathError
	switch {
	case errors.Is(err, job.ErrStopped):
		return fmt.Errorf("%w (%s so far)", err, res.Counts)
	case errors.As(err, &pe) && pe.Path == rejects:
		return fmt.Errorf("%w; name another place for refused rows with --rejects, the import goes on from there", err)
	case err != nil:
		return err
	}
	n := res.Counts
	if dry {
		fmt.Fprintf(out, "dry run, nothing was written: rows %d: in a grid %d, outside %d, would be rejected %d\n", n.Rows(), n.InGrid, n.Outside, n.Rejected)
		for _, t := range told {
			fmt.Fprintf(out, "row %d (line %d): %s\n", t.Row, t.Line, strings.Join(t.Why, "；"))
		}
		return nil
	}
	if res.AlreadyDone {
		fmt.Fprintln(say, "this file was imported before in this way; no row was read again")
	}
	if res.RejectsLost > 0 {
		fmt.Fprintf(say, "%d refused rows of an earlier run are no longer in %s\n", res.RejectsLost, rejects)
	}
	fmt.Fprintf(out, "rows %d: new or changed in a grid %d, outside %d, already there %d, rejected %d\n", n.Rows(), n.InGrid, n.Outside, n.Repeated, n.Rejected)
	if _, err := os.Stat(rejects); n.Rejected > 0 && err == nil {
		fmt.Fprintf(out, "rejected rows and why: %s\n", rejects)
	}
	return nil
}
