// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Command fieldsim is a pretend field for a OneMap server on this machine:
// workers who walk and drive their grids, callers who report incidents, and the
// faults of real phones on request; or recorded tracks sent again. It uses the
// public surface alone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"onemap/internal/demo"
)

// options are the command line.
type options struct {
	Server             string        `default:"http://127.0.0.1:8080" env:"ONEMAP_SERVER" help:"Address of the pages and the API."`
	DevicesURL         string        `default:"http://127.0.0.1:5055" env:"ONEMAP_DEVICES_URL" help:"Address of the device listener."`
	Token              string        `env:"ONEMAP_TOKEN" help:"Bearer token of a hall operator (onemap token create --role hall_operator)."`
	DevicePattern      string        `default:"demo-%04d" help:"Name of the n-th device."`
	Workers            int           `default:"474" help:"How many workers; 0 for none."`
	Interval           time.Duration `default:"10s" help:"Time between two positions of a worker."`
	IncidentsPerMinute float64       `default:"2" help:"Reports a minute on average."`
	For                time.Duration `default:"10m" help:"Stop after this time."`
	Faults             []string      `enum:"gaps,jumps,late,duplicates" help:"What goes wrong: gaps, jumps, late, duplicates."`
	Seed               uint64        `default:"1" help:"The same seed gives the same field."`

	Replay      string   `placeholder:"FILE" help:"Send recorded tracks instead (.csv or .csv.gz: user, lat, lon, time_utc)."`
	ReplayUser  []string `help:"Users of the file; the first goes to device 1, and so on. All when left out."`
	ReplayDay   string   `placeholder:"YYYY-MM-DD" help:"Day of the tracks (China). Each user's fullest day when left out."`
	ReplayTimes string   `enum:"today,now" default:"today" help:"today: true pace, moved so that the last point is sent in its own moment. now: each point gets the time it is sent."`
	Speedup     float64  `default:"1" help:"How many times faster than recorded the points are sent."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("fieldsim"), kong.Description("A pretend field for a OneMap server on this machine."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "fieldsim:", err)
		os.Exit(1)
	}
}

// run acts and writes the summary as JSON to out and progress to line.
func run(ctx context.Context, o options, out, line io.Writer) error {
	if strings.Count(o.DevicePattern, "%") != 1 {
		return errors.New("--device-pattern needs one verb, as in demo-%04d")
	}
	progress := func(t demo.Tally) {
		fmt.Fprintf(line, "\rworkers %d  sent %d  accepted %d  refused %d  retried %d  incidents %d  ", t.Workers, t.Sent, t.Accepted, t.Refused, t.Retried, t.Reported)
	}
	act := o.field
	if o.Replay != "" {
		act = o.replay
	}
	t, err := act(ctx, progress)
	progress(t)
	fmt.Fprintln(line)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(t)
}

func (o options) device(n int) string { return fmt.Sprintf(o.DevicePattern, n) }

func (o options) field(ctx context.Context, progress func(demo.Tally)) (demo.Tally, error) {
	workers := o.Workers
	if workers == 0 {
		workers = -1
	}
	f, err := demo.NewField(demo.FieldOptions{
		Server: o.Server, Devices: o.DevicesURL, Token: o.Token, Device: o.device, Workers: workers, Interval: o.Interval,
		PerMinute: o.IncidentsPerMinute, For: o.For, Seed: o.Seed, Progress: progress,
		Faults: demo.Faults{
			Gaps: slices.Contains(o.Faults, "gaps"), Jumps: slices.Contains(o.Faults, "jumps"),
			Late: slices.Contains(o.Faults, "late"), Duplicates: slices.Contains(o.Faults, "duplicates"),
		},
	})
	if err != nil {
		return demo.Tally{}, err
	}
	return f.Run(ctx)
}

func (o options) replay(ctx context.Context, progress func(demo.Tally)) (demo.Tally, error) {
	all, err := demo.ReadTracks(o.Replay)
	if err != nil {
		return demo.Tally{}, err
	}
	users := o.ReplayUser
	if len(users) == 0 {
		users = slices.Sorted(maps.Keys(all))
	}
	tracks := map[string][]demo.TrackPoint{}
	for i, u := range users {
		points := demo.DayOf(all[u], o.ReplayDay)
		if len(points) == 0 && len(o.ReplayUser) > 0 {
			return demo.Tally{}, fmt.Errorf("%s has no points of user %s on that day", o.Replay, u)
		}
		if len(points) > 0 {
			tracks[o.device(i+1)] = startingAtZero(points)
		}
	}
	return demo.Replay(ctx, demo.ReplayOptions{
		Devices: o.DevicesURL, Tracks: tracks, Live: o.ReplayTimes == "now", Speedup: o.Speedup, For: o.For, Progress: progress,
	})
}

// startingAtZero moves a day to the day of the epoch, so that days of different
// users run side by side by the clock.
func startingAtZero(points []demo.TrackPoint) []demo.TrackPoint {
	const day = 24 * time.Hour
	moved := slices.Clone(points)
	for i := range moved {
		local := moved[i].At.Add(8 * time.Hour)
		moved[i].At = time.Unix(0, 0).UTC().Add(local.Sub(local.Truncate(day)))
	}
	return moved
}
