// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Command fieldsim is a pretend field for a OneMap server on this machine:
// workers who walk and drive their grids, callers who report incidents, and the
// faults of real phones on request; or recorded tracks sent again. With tokens of
// their own the workers go where they are sent, and with --hall nobody is needed at
// the desk either (docs/DISPATCH.md). It uses the public surface alone.
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
	Near               float64       `help:"Metres: incidents lie no farther than that from where a worker began; 0 for anywhere."`
	Muster             float64       `help:"Metres: workers begin no farther than that from the first; 0 each in a grid of their own."`
	Reports            int           `help:"No more reports than so many; with --hall it ends when each of them is closed and its reporter called back. 0 for as many as come."`
	Faults             []string      `enum:"gaps,jumps,late,duplicates" help:"What goes wrong: gaps, jumps, late, duplicates."`
	Seed               uint64        `default:"1" help:"The same seed gives the same field."`

	WorkerTokens string        `type:"existingfile" placeholder:"FILE" env:"ONEMAP_WORKER_TOKENS" help:"Workers sign on and answer what they are offered, each with a token of its own: lines of badge and token (onemap token workers)."`
	Decline      float64       `default:"0.08" help:"Share of offers that are declined."`
	Ignore       float64       `default:"0.05" help:"Share of offers that nobody answers."`
	GiveBack     float64       `default:"0.02" help:"Share of accepted work that is handed back."`
	Photos       float64       `default:"0.2" help:"Share of finished work with a picture."`
	Pace         float64       `default:"12" help:"Metres a second on the way to an incident, at most 40: what is faster than 50 the server takes for a fault of the receiver."`
	Stay         time.Duration `default:"1m" help:"How long the work at the place takes on average."`
	Hall         bool          `help:"The hall works without a hand: takes reports, asks whom the advice names, verifies, closes, calls back."`
	HallToken    []string      `env:"ONEMAP_HALL_TOKEN" help:"Bearer tokens of dispatchers for --hall, one for each who works there; --token when left out."`
	Answer       time.Duration `help:"With --hall: how long workers have to answer, 10s to 1h; as the centre's rules say when left out."`
	Rework       float64       `default:"0.03" help:"With --hall: share of resolved incidents that are sent back once."`
	Unreached    float64       `default:"0.1" help:"With --hall: share of calls that nobody takes."`
	Unsatisfied  float64       `default:"0.02" help:"With --hall: share of reporters who are not satisfied; the incident is opened again."`

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
		if w := t.Work; w != nil {
			fmt.Fprintf(line, "offers %d  yes %d  no %d  silent %d  finished %d  ", w.Offers, w.Accepted, w.Declined, w.Ignored, w.Finished)
		}
		if h := t.Hall; h != nil {
			fmt.Fprintf(line, "waiting %d  closed %d  done %d  ", h.Waiting, h.Closed, h.Done)
		}
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
	if err := enc.Encode(t); err != nil {
		return err
	}
	if o.Hall && o.Reports > 0 && (t.Hall.Done < o.Reports || t.Unheard > 0) {
		return fmt.Errorf("%d of %d incidents came to their end within %s: give it more time (--for), a higher --pace, or look at first_fault and nobody above", t.Hall.Done, o.Reports, o.For)
	}
	return nil
}

func (o options) device(n int) string { return fmt.Sprintf(o.DevicePattern, n) }

func (o options) field(ctx context.Context, progress func(demo.Tally)) (demo.Tally, error) {
	workers := o.Workers
	if workers == 0 {
		workers = -1
	}
	fo := demo.FieldOptions{
		Server: o.Server, Devices: o.DevicesURL, Token: o.Token, Device: o.device, Workers: workers, Interval: o.Interval,
		PerMinute: o.IncidentsPerMinute, Reports: o.Reports, Near: o.Near, Muster: o.Muster, For: o.For, Seed: o.Seed, Progress: progress,
		Faults: demo.Faults{
			Gaps: slices.Contains(o.Faults, "gaps"), Jumps: slices.Contains(o.Faults, "jumps"),
			Late: slices.Contains(o.Faults, "late"), Duplicates: slices.Contains(o.Faults, "duplicates"),
		},
	}
	if o.WorkerTokens != "" {
		tokens, err := readTokens(o.WorkerTokens)
		if err != nil {
			return demo.Tally{}, err
		}
		fo.Work = &demo.WorkOptions{
			Token:   func(badge string) string { return tokens[badge] },
			Decline: o.Decline, Ignore: o.Ignore, GiveBack: o.GiveBack, Photo: o.Photos, Pace: o.Pace, Stay: o.Stay,
		}
	}
	if o.Hall {
		fo.Hall = &demo.HallOptions{Tokens: o.HallToken, Answer: o.Answer, Rework: o.Rework, Unreached: o.Unreached, Unsatisfied: o.Unsatisfied}
	}
	f, err := demo.NewField(fo)
	if err != nil {
		return demo.Tally{}, err
	}
	return f.Run(ctx)
}

// readTokens reads lines of badge and token. Empty ones are skipped.
func readTokens(file string) (map[string]string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	tokens := map[string]string{}
	for i, line := range strings.Split(string(raw), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			continue
		case len(fields) != 2:
			return nil, fmt.Errorf("%s: line %d is not a badge and a token: make the file with 'onemap token workers'", file, i+1)
		case tokens[fields[0]] != "":
			return nil, fmt.Errorf("%s: line %d has the badge %s a second time", file, i+1, fields[0])
		}
		tokens[fields[0]] = fields[1]
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s has no token: make it with 'onemap token workers'", file)
	}
	return tokens, nil
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
