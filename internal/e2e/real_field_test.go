// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"
)

const haidian = "110108000000"

// recorded is a point of a recorded track.
type recorded struct {
	at time.Time
	p  orb.Point
}

// fullestDay is the fullest day, by China's clock, of the user with most points
// within the area, and that day's points in the order of time.
func fullestDay(t *testing.T, path string, within orb.MultiPolygon) (user, day string, points []recorded) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(unpacked(t, path))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	inside, days := map[string]int{}, map[string]map[string][]recorded{}
	for _, r := range rows[1:] { // user, track, lat, lon, alt_ft, time_utc
		lat, err1 := strconv.ParseFloat(r[2], 64)
		lon, err2 := strconv.ParseFloat(r[3], 64)
		at, err3 := time.Parse(time.RFC3339, r[5])
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatalf("row %q", r)
		}
		p := orb.Point{lon, lat}
		if within.Bound().Contains(p) && planar.MultiPolygonContains(within, p) {
			inside[r[0]]++
		}
		if days[r[0]] == nil {
			days[r[0]] = map[string][]recorded{}
		}
		d := at.Add(8 * time.Hour).Format(time.DateOnly)
		days[r[0]][d] = append(days[r[0]][d], recorded{at, p})
	}
	user = slices.MaxFunc(slices.Sorted(maps.Keys(inside)), func(a, b string) int { return inside[a] - inside[b] })
	day = slices.MaxFunc(slices.Sorted(maps.Keys(days[user])), func(a, b string) int { return len(days[user][a]) - len(days[user][b]) })
	points = days[user][day]
	slices.SortStableFunc(points, func(a, b recorded) int { return a.at.Compare(b.at) })
	return user, day, points
}

// TestRealTrackIsSentAndDrawn: a recorded day of a person in Haidian is sent
// through the device listener as if it were today, kept, and seen moving.
func TestRealTrackIsSentAndDrawn(t *testing.T) {
	t.Parallel()
	tracks := realData(t, "gps/geolife_points.csv.gz")
	outline, towns := realData(t, "admin/towns_wgs84/110108_haidian_outline.geojson"), realData(t, "admin/towns_wgs84/110108_haidian_towns.geojson")
	county := multiPolygon(t, featuresOf(t, unpacked(t, outline))[0].Geometry)
	user, day, points := fullestDay(t, tracks, county)
	seconds, inside := map[time.Time][]orb.Point{}, 0
	for _, p := range points {
		seconds[p.at] = append(seconds[p.at], p.p)
		if planar.MultiPolygonContains(county, p.p) {
			inside++
		}
	}
	last := points[len(points)-1]
	t.Logf("user %s on %s: %d points in %d different seconds, %d points inside Haidian", user, day, len(points), len(seconds), inside)

	s := serve(t, dataFolder(t))
	out := s.cli("import", "grids", outline, towns, "--crs", "wgs84", "--code", "code", "--name", "Name", "--parent=-,parentCode")
	said(t, out, "1/29 grids", "gap            grid "+haidian+": its children leave", "overlap        grids 110108013000 and 110108014000 overlap by 455 m2")
	t.Logf("Haidian: %s", out[bytes.LastIndexByte([]byte(out), '\n')+1:])
	s.cli("grids", "enact", "1", "--accept-faults")
	worker := enlist(t, s.database(), "geolife-0001")
	s.stop()
	s.restart() // so that the worker is known at once
	token := s.cli("token", "create", "--role", "hall_operator")
	s.tree(token, haidian)
	live := s.listen(token, "events", "positions")

	span := last.at.Sub(points[0].at)
	tally := s.replay(tracks, user, day, span.Seconds()/5)
	if tally.Accepted < len(points) || tally.Refused != 0 || tally.Unsent != 0 {
		t.Errorf("the field tells %+v of %d points", tally, len(points))
	}
	fixesKept(t, s.database(), points, seconds)
	s.dotIsDrawn(token, live, worker, last.p, towns)
}

// enlist registers a worker on duty round the clock, and their device.
func enlist(t *testing.T, pool *pgxpool.Pool, device string) (worker uint32) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if err := tx.QueryRow(t.Context(), `INSERT INTO worker (badge) VALUES ('W0001') RETURNING id`).Scan(&worker); err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO worker_grid (worker_id, grid_code) VALUES ($1, $2)`, worker, haidian)
	b.Queue(`INSERT INTO rota SELECT $1, day, 0, 1440 FROM generate_series(1, 7) AS day`, worker)
	b.Queue(`WITH d AS (INSERT INTO device (unique_id, interval_s) VALUES ($2, 60) RETURNING id)
		INSERT INTO device_binding (device_id, worker_id, valid_from) SELECT id, $1, '2000-01-01' FROM d`, worker, device)
	if err := tx.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return worker
}

type tally struct{ Sent, Accepted, Refused, Retried, Unsent int }

// replay has the pretend field send the day so that it ends in this moment.
func (s *server) replay(tracks, user, day string, speedup float64) (got tally) {
	t := s.t
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(bin), "fieldsim"), "--replay", tracks, "--replay-user", user, "--replay-day", day, "--devices-url", s.Device,
		"--device-pattern", "geolife-%04d", "--speedup", fmt.Sprint(speedup), "--for", "90s")
	var said bytes.Buffer
	cmd.Stderr = &said
	start := time.Now()
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		t.Fatalf("fieldsim: %v\n%s%s", err, out, said.String())
	}
	t.Logf("sent in %s: %+v", time.Since(start).Round(time.Millisecond), got)
	return got
}

// fixesKept compares the history with the file: one fix for each second, moved to
// today by the same span and to no other place.
func fixesKept(t *testing.T, pool *pgxpool.Pool, points []recorded, seconds map[time.Time][]orb.Point) {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT fix_at, lon_e7 / 1e7::float8, lat_e7 / 1e7::float8, verdict FROM worker_position ORDER BY fix_at DESC`)
	if err != nil {
		t.Fatal(err)
	}
	var moved time.Duration
	var at time.Time
	var p orb.Point
	var verdict string
	verdicts, n := map[string]int{}, 0
	_, err = pgx.ForEachRow(rows, []any{&at, &p[0], &p[1], &verdict}, func() error {
		if n++; n == 1 {
			moved = at.Sub(points[len(points)-1].at)
		}
		verdicts[verdict]++
		here := seconds[at.Add(-moved).UTC()]
		if !slices.ContainsFunc(here, func(q orb.Point) bool { return near(p, q, 1e-7) }) {
			t.Errorf("a fix of %s at %v is none of %v", at, p, here)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d fixes kept, by verdict: %v", n, verdicts)
	if n != len(seconds) {
		t.Errorf("%d fixes kept, the day has %d different seconds", n, len(seconds))
	}
	if verdicts["jump"] > n/20 || verdicts[""]+verdicts["late"]+verdicts["jump"] != n {
		t.Errorf("verdicts %v", verdicts)
	}
}

func near(p, q orb.Point, degrees float64) bool {
	return math.Abs(p[0]-q[0]) <= degrees && math.Abs(p[1]-q[1]) <= degrees
}

// dotIsDrawn looks for the worker where the last fix was, in the list and on the
// live stream, and for the town of that place.
func (s *server) dotIsDrawn(token string, live *ear, worker uint32, place orb.Point, towns string) {
	t := s.t
	t.Helper()
	var now struct {
		Items []struct {
			WorkerID string `json:"worker_id"`
			Badge    string
			Grid     string
			OnDuty   bool `json:"on_duty"`
			State    string
			Point    *orb.Point
			FixAge   *int `json:"fix_age_s"`
		}
	}
	s.getJSON("/api/v1/workers/live", token, &now)
	if len(now.Items) != 1 || now.Items[0].Point == nil {
		t.Fatalf("live workers: %+v", now)
	}
	w := now.Items[0]
	t.Logf("the dot: state %s, %v, %d s old", w.State, *w.Point, *w.FixAge)
	if w.WorkerID != fmt.Sprint(worker) || w.Grid != haidian || !w.OnDuty || w.State != "on" || !near(*w.Point, place, 1e-7) || *w.FixAge > 90 {
		t.Errorf("live worker %+v, want a fresh one at %v", w, place)
	}
	eventually(t, "dot at its last place on the live stream", 10*time.Second, func() bool {
		way, state := live.way(worker)
		return len(way) > 0 && state == "on" && near(way[len(way)-1], place, 1e-6)
	})
	way, _ := live.way(worker)
	t.Logf("the live stream showed the dot at %d places", len(way))
	if len(way) < 3 {
		t.Errorf("the dot was seen at %v only", way)
	}
	if kinds, _ := live.kinds(); kinds["incident.opened"] != 0 {
		t.Errorf("events %v", kinds)
	}
	want := ""
	for _, f := range featuresOf(t, unpacked(t, towns)) {
		if planar.MultiPolygonContains(multiPolygon(t, f.Geometry), place) {
			want = f.Properties.MustString("Name")
		}
	}
	var at struct{ Path []gridItem }
	s.getJSON(fmt.Sprintf("/api/v1/grids/locate?lon=%v&lat=%v&crs=wgs84", place[0], place[1]), token, &at)
	if len(at.Path) != 2 || at.Path[1].Name != want {
		t.Errorf("the last place lies in %+v, want %s", at.Path, want)
	}
	t.Logf("the last place lies in %s", want)
}
