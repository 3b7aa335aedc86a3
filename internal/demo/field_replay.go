// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"onemap/geo"
	"onemap/people"
)

// TrackPoint is a recorded place in WGS-84.
type TrackPoint struct {
	At time.Time
	P  geo.WGS84
}

const (
	maxTrackPoints = 1_000_000
	maxTrackBytes  = 200 << 20 // unpacked
)

// ReadTracks reads recorded points of many users from a CSV file (gzip by its
// name) with the columns user, lat, lon and time_utc (RFC 3339), others ignored.
// The points of each user come in the order of time.
func ReadTracks(path string) (map[string][]TrackPoint, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	tracks, err := readTracks(io.LimitReader(in, maxTrackBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tracks, nil
}

func readTracks(in io.Reader) (map[string][]TrackPoint, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, err
	}
	var column [4]int
	for i, name := range []string{"user", "lat", "lon", "time_utc"} {
		if column[i] = slices.Index(head, name); column[i] < 0 {
			return nil, fmt.Errorf("the column %s is missing", name)
		}
	}
	tracks := map[string][]TrackPoint{}
	for n := 0; ; n++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if n == maxTrackPoints {
			return nil, fmt.Errorf("more than %d points", maxTrackPoints)
		}
		lat, errLat := strconv.ParseFloat(row[column[1]], 64)
		lon, errLon := strconv.ParseFloat(row[column[2]], 64)
		at, errAt := time.Parse(time.RFC3339, row[column[3]])
		if err := errors.Join(errLat, errLon, errAt); err != nil {
			return nil, fmt.Errorf("row %d: %w", n+2, err)
		}
		user := strings.Clone(row[column[0]])
		tracks[user] = append(tracks[user], TrackPoint{at, geo.WGS84{lon, lat}})
	}
	for _, points := range tracks {
		slices.SortStableFunc(points, func(a, b TrackPoint) int { return a.At.Compare(b.At) })
	}
	return tracks, nil
}

// DayOf returns the points of one day of China (2006-01-02); without a day, those
// of the day that has most.
func DayOf(points []TrackPoint, day string) []TrackPoint {
	days := map[string][]TrackPoint{}
	for _, p := range points {
		d := people.Local(p.At).Format(time.DateOnly)
		days[d] = append(days[d], p)
	}
	if day == "" {
		for d, ps := range days {
			if len(ps) > len(days[day]) || (len(ps) == len(days[day]) && d < day) {
				day = d
			}
		}
	}
	return days[day]
}

// ReplayOptions say how recorded tracks are sent again.
type ReplayOptions struct {
	Devices string // the device listener, an address of this machine
	// Tracks are the points of each device, in the order of time.
	Tracks map[string][]TrackPoint
	// Live gives each point the time at which it is sent, so that a speedup makes
	// everybody faster. Else the tracks keep their true pace and are moved so that
	// the last point is sent in its own moment, those before it late.
	Live    bool
	Speedup float64       // default 1, not less
	For     time.Duration // longest run; default 10 min, at most 24 h

	Now      func() time.Time // default time.Now
	Progress func(Tally)      // told about each second; default none
}

// Replay sends recorded tracks to the device listener, one phone a track, and
// returns what was done. A point that is not taken is sent again before the next.
func Replay(ctx context.Context, o ReplayOptions) (Tally, error) {
	if o.Speedup == 0 {
		o.Speedup = 1
	}
	f, err := NewField(FieldOptions{Server: o.Devices, Devices: o.Devices, For: o.For, Now: o.Now, Progress: o.Progress})
	if err != nil {
		return Tally{}, err
	}
	if !(o.Speedup >= 1) || len(o.Tracks) == 0 || len(o.Tracks) > maxFieldWorkers {
		return Tally{}, errors.New("a replay needs tracks, and a speedup of 1 or more")
	}
	defer f.c.close()
	ctx, cancel := context.WithTimeout(ctx, f.o.For)
	defer cancel()
	start := f.o.Now().Truncate(time.Second)
	var first, last time.Time
	for _, points := range o.Tracks {
		for _, p := range points {
			if first.IsZero() || p.At.Before(first) {
				first = p.At
			}
			if p.At.After(last) {
				last = p.At
			}
		}
	}
	end := start.Add(time.Duration(float64(last.Sub(first)) / o.Speedup))
	done, stopTelling := context.WithCancel(ctx)
	var teller, phones sync.WaitGroup
	teller.Go(func() { f.tell(done) })
	when := func(p TrackPoint) time.Time { // it is sent
		return start.Add(time.Duration(float64(p.At.Sub(first)) / o.Speedup))
	}
	for device, points := range o.Tracks {
		f.count(func(t *Tally) { t.Workers++ })
		all := make([]position, len(points))
		for i, p := range points {
			at := end.Add(p.At.Sub(last))
			if o.Live {
				at = when(p)
			}
			speed, course := pace(points, i)
			all[i] = position{at: at, p: p.P, speed: speed, course: course, battery: 80}
		}
		phones.Go(func() { f.play(ctx, device, all, func(i int) time.Time { return when(points[i]) }) })
	}
	phones.Wait()
	stopTelling()
	teller.Wait()
	return f.Tally(), nil
}

// play sends each position when its time has come, all that are due in one
// request and one request a second, as the listener allows one device.
func (f *Field) play(ctx context.Context, device string, all []position, when func(i int) time.Time) {
	const most = 500
	for len(all) > 0 {
		now, n := f.o.Now(), 0
		for n < min(most, len(all)) && !when(n).After(now) {
			n++
		}
		if n > 0 && f.sendAll(ctx, device, all[:n]) {
			all = all[n:]
			shift, before := n, when
			when = func(i int) time.Time { return before(i + shift) }
		}
		pause := time.Second
		if len(all) > 0 {
			pause = max(pause, when(0).Sub(f.o.Now()))
		}
		if len(all) > 0 && !sleep(ctx, pause) {
			f.count(func(t *Tally) { t.Unsent += len(all) })
			return
		}
	}
}

// pace is speed in m/s and course at point i, from the point before.
func pace(points []TrackPoint, i int) (speed, course float64) {
	if i == 0 {
		return 0, 0
	}
	a, b := points[i-1], points[i]
	t := territory{perX: 0.8 * perY}
	_, course = t.way(a.P.Orb(), b.P.Orb())
	if dt := b.At.Sub(a.At).Seconds(); dt > 0 {
		speed = geo.Distance(a.P, b.P) / dt
	}
	return speed, course
}
