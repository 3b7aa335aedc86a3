// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The county of the Houston test is this very box, so a place is in a grid when it
// is in the box. A place on the box's own border counts as inside: it goes to the
// lowest code that touches it. Not one of the real rows lies there.
const (
	boxWest, boxSouth, boxEast, boxNorth = -95.8, 29.5, -95.05, 30.1
	boxCode                              = "482010"
	houstonRows                          = 86_314
	batchRows                            = 5000
	jobLocks                             = 0x6a6f62 // the class of the locks that running imports hold
)

// police is one row of the Houston file as the test reads it for itself.
type police struct {
	placed   bool
	lon, lat float64
}

func (p police) inBox() bool {
	return p.placed && p.lon >= boxWest && p.lon <= boxEast && p.lat >= boxSouth && p.lat <= boxNorth
}

// houston reads the file: the i-th row is at index i-1.
func houston(t *testing.T, path string) []police {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(unpacked(t, path))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	lon, lat := len(rows[0])-2, len(rows[0])-1
	if rows[0][lon] != "lon" || rows[0][lat] != "lat" {
		t.Fatalf("columns %v", rows[0])
	}
	out := make([]police, len(rows)-1)
	for i, r := range rows[1:] {
		if r[lon] == "" && r[lat] == "" {
			continue
		}
		p := police{placed: true}
		var err1, err2 error
		p.lon, err1 = strconv.ParseFloat(r[lon], 64)
		p.lat, err2 = strconv.ParseFloat(r[lat], 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("row %d: %q, %q", i+1, r[lon], r[lat])
		}
		out[i] = p
	}
	return out
}

// firstRows is the beginning of a CSV file: its head and n rows, as they are.
func firstRows(t *testing.T, path string, n int) []byte {
	t.Helper()
	raw := unpacked(t, path)
	r := csv.NewReader(bytes.NewReader(raw))
	for range 1 + n {
		if _, err := r.Read(); err != nil {
			t.Fatal(err)
		}
	}
	return raw[:r.InputOffset()]
}

// account is what becomes of rows.
type account struct{ inGrid, outside, unplaced, repeated, rejected int }

func accountOf(rows []police) (a account) {
	for _, p := range rows {
		switch {
		case !p.placed:
			a.rejected++ // the map says: without_place reject
		case p.inBox():
			a.inGrid++
		default:
			a.outside++
		}
	}
	return a
}

func (a account) rows() int { return a.inGrid + a.outside + a.unplaced + a.repeated + a.rejected }

// String is the account as the program tells it.
func (a account) String() string {
	return fmt.Sprintf("rows %d: in a grid %d, outside %d, without a place %d, already there %d, rejected %d",
		a.rows(), a.inGrid, a.outside, a.unplaced, a.repeated, a.rejected)
}

// box has the tree of the box drawn and enacted, and returns an operator's token.
func (s *server) box() string {
	s.t.Helper()
	outline := fmt.Sprintf(`{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":[[[%[1]v,%[2]v],[%[3]v,%[2]v],[%[3]v,%[4]v],[%[1]v,%[4]v],[%[1]v,%[2]v]]]}}`,
		boxWest, boxSouth, boxEast, boxNorth)
	out := s.cli("grids", "draft", "--outline", write(s.t, "box.geojson", []byte(outline)), "--crs", "wgs84", "--counts", "4,84,401", "--code", boxCode, "--enact")
	said(s.t, out, "1/4/84/401 grids", "faults: 0;")
	token := s.cli("token", "create", "--role", "hall_operator")
	s.tree(token, boxCode)
	return token
}

// mapExample is the column map of the documentation, its source named anew.
func mapExample(t *testing.T, source string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/examples/houston_crime.json")
	if err != nil {
		t.Fatal(err)
	}
	mine := bytes.Replace(text, []byte(`{ "constant": "police" }`), []byte(`{ "constant": "`+source+`" }`), 1)
	if source != "police" && bytes.Equal(mine, text) {
		t.Fatal("the example has another source now")
	}
	return write(t, "map.json", mine)
}

// TestRealIncidentsAreAllAccountedFor: every row of a real file of 86,314 police
// reports ends in a grid, outside, or among the rejected with a reason.
func TestRealIncidentsAreAllAccountedFor(t *testing.T) {
	t.Parallel()
	file := realData(t, "incidents/houston_crime_2010.csv.gz")
	rows := houston(t, file)
	want := accountOf(rows)
	t.Logf("the file itself: %s", want)
	if len(rows) != houstonRows || want.rows() != houstonRows {
		t.Fatalf("%d rows read, %d accounted for", len(rows), want.rows())
	}
	s := serve(t, dataFolder(t))
	token := s.box()
	s.bordersAreInside(token)
	pool := s.database()

	live := s.listen(token, "events")
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	command := []string{"import", "incidents", file, "--map", mapExample(t, "police"), "--rejects", rejects}
	start := time.Now()
	out := s.cli(command...)
	took := time.Since(start)
	t.Logf("imported in %s: %.0f rows/s", took.Round(time.Millisecond), houstonRows/took.Seconds())
	said(t, out, want.String(), rejects)
	rejected(t, rejects, rows)
	s.storedRight(pool, "police", rows)
	if n := number(t, pool, "SELECT reltuples::integer FROM pg_class WHERE relname = 'incident'"); n < houstonRows*9/10 {
		t.Errorf("the query planner reckons with %d incidents after the import", n)
	}

	const batches = (houstonRows + batchRows - 1) / batchRows
	eventually(t, "events of the import", 30*time.Second, func() bool {
		return int(live.last()) == number(t, pool, "SELECT seq FROM feed_head") && number(t, pool, "SELECT count(*) FROM outbox") == 0
	})
	kinds, counted := live.kinds()
	t.Logf("the live stream brought %v about %d incidents", kinds, counted)
	if len(kinds) != 1 || kinds["incidents.imported"] != batches || counted != want.inGrid+want.outside {
		t.Errorf("events %v about %d incidents, want %d incidents.imported about %d", kinds, counted, batches, want.inGrid+want.outside)
	}
	if n := number(t, pool, "SELECT count(*) FROM audit_log WHERE action = 'incidents.import'"); n != batches {
		t.Errorf("%d audit rows for %d batches", n, batches)
	}

	head := live.last()
	again, err := s.both(command...)
	if err != nil {
		t.Error(err)
	}
	said(t, again, "was imported before", want.String())
	elsewhere, err := s.both(command[:len(command)-2]...) // its reject file would lie beside FILE, and does not
	if err != nil || strings.Contains(elsewhere, ".rejects.csv") {
		t.Errorf("a reject file is named that is not there: %v %s", err, elsewhere)
	}
	rejected(t, rejects, rows)
	if n := number(t, pool, "SELECT count(*) FROM incident"); n != want.inGrid+want.outside || int(head) != number(t, pool, "SELECT seq FROM feed_head") {
		t.Errorf("the second run changed something: %d incidents", n)
	}
	if testing.Short() {
		return
	}
	s.listedRight(rows)
	s.killedImportGoesOn(pool, file, rows)
}

// bordersAreInside asks for places on the border of the county.
func (s *server) bordersAreInside(token string) {
	s.t.Helper()
	type located struct {
		Path   []gridItem
		OnEdge bool `json:"on_edge"`
	}
	ask := func(lon, lat float64) (at located) {
		s.getJSON(fmt.Sprintf("/api/v1/grids/locate?lon=%v&lat=%v&crs=wgs84", lon, lat), token, &at)
		return at
	}
	for _, p := range [][2]float64{{boxWest, boxSouth}, {boxEast, boxSouth}, {boxEast, boxNorth}, {boxWest, boxNorth}, {boxWest, 29.8}, {-95.4, boxNorth}, {boxEast, 29.7}} {
		if at := ask(p[0], p[1]); len(at.Path) != 4 || !at.OnEdge {
			s.t.Errorf("%v on the border lies in %+v", p, at)
		}
	}
	if at := ask(boxWest-1e-9, 29.8); len(at.Path) != 0 {
		s.t.Errorf("a place outside lies in %+v", at)
	}
}

// rejected checks that the reject file has one line with a reason for each row
// without a place, and no other.
func rejected(t *testing.T, path string, rows []police) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(unpacked(t, path), []byte("\xef\xbb\xbf")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	listed := map[int]bool{}
	for _, l := range lines[1:] {
		n, err := strconv.Atoi(l[0])
		if err != nil || n < 1 || n > len(rows) || rows[n-1].placed || listed[n] || l[1] != strconv.Itoa(n+1) || !strings.Contains(l[2], "没有坐标") {
			t.Errorf("reject line %q", l)
		}
		listed[n] = true
	}
	if want := accountOf(rows).rejected; len(listed) != want {
		t.Errorf("%d rows in the reject file, want %d", len(listed), want)
	}
}

// storedRight has PostGIS look at what was stored: once each, and each in the
// grid that covers it.
func (s *server) storedRight(pool *pgxpool.Pool, source string, rows []police) {
	t := s.t
	t.Helper()
	want := accountOf(rows)
	for sql, n := range map[string]int{
		`SELECT count(*) FROM incident WHERE source = $1`:                                                                                                         want.inGrid + want.outside,
		`SELECT count(DISTINCT external_id) FROM incident WHERE source = $1`:                                                                                      want.inGrid + want.outside,
		`SELECT count(*) FROM incident WHERE source = $1 AND place = 'in_grid'`:                                                                                   want.inGrid,
		`SELECT count(*) FROM incident WHERE source = $1 AND place = 'outside'`:                                                                                   want.outside,
		`SELECT count(*) FROM incident WHERE source = $1 AND (open OR NOT history)`:                                                                               0,
		`SELECT count(*) FROM incident i JOIN grid g ON g.id = i.grid_id WHERE i.source = $1 AND place = 'in_grid' AND g.level = 4 AND ST_Covers(g.geom, i.geom)`: want.inGrid,
		`SELECT count(*) FROM incident i JOIN grid g ON ST_Covers(g.geom, i.geom) WHERE i.source = $1 AND i.place = 'outside'`:                                    0,
		`SELECT count(*) FROM incident_journal j JOIN incident i ON i.id = j.incident_id WHERE i.source = $1`:                                                     want.inGrid + want.outside,
	} {
		if got := number(t, pool, sql, source); got != n {
			t.Errorf("%s: %d, want %d", sql, got, n)
		}
	}
}

// listedRight pages through every incident and compares it with its row. Readers
// take turns: nobody may keep the server at work all the time.
func (s *server) listedRight(rows []police) {
	t := s.t
	t.Helper()
	readers := s.tokens("hall_operator", 4)
	start := time.Now()
	got, seen, pages, cursor := account{}, map[int]bool{}, 0, ""
	for {
		var page struct {
			Items []struct {
				ExternalID string `json:"external_id"`
				Place      string
				Open       bool
				Raw        struct {
					Lon, Lat float64
					CRS      string
				}
			}
			Cursor *string
		}
		s.getJSON("/api/v1/incidents?limit=200&cursor="+cursor, readers[pages%len(readers)], &page)
		pages++
		for _, in := range page.Items {
			n, err := strconv.Atoi(strings.TrimPrefix(in.ExternalID, "houston-2010-"))
			if err != nil || n < 1 || n > len(rows) || seen[n] {
				t.Fatalf("incident %q is listed", in.ExternalID)
			}
			seen[n] = true
			p, place := rows[n-1], "outside"
			if p.inBox() {
				place = "in_grid"
				got.inGrid++
			} else {
				got.outside++
			}
			if in.Place != place || in.Open || in.Raw.Lon != p.lon || in.Raw.Lat != p.lat || in.Raw.CRS != "wgs84" {
				t.Errorf("row %d %+v became %+v", n, p, in)
			}
		}
		if page.Cursor == nil {
			break
		}
		cursor = *page.Cursor
	}
	if want := accountOf(rows); got.inGrid != want.inGrid || got.outside != want.outside {
		t.Errorf("listed: %s", got)
	}
	t.Logf("%d incidents on %d pages in %s", len(seen), pages, time.Since(start).Round(time.Millisecond))
	status, raw := s.call("GET", s.URL+"/api/v1/incidents?open=true", readers[0], "")
	if status != http.StatusOK || !bytes.Contains(raw, []byte(`"items":[]`)) {
		t.Errorf("open incidents: %d %s", status, shortened(string(raw)))
	}
}

// killedImportGoesOn imports the file, or its beginning, as that of another source,
// kills the import half-way as a power cut would, and lets the same command end it.
func (s *server) killedImportGoesOn(pool *pgxpool.Pool, file string, rows []police) {
	t := s.t
	t.Helper()
	if !soak() {
		rows = rows[:6*batchRows]
		file = write(t, "beginning.csv", firstRows(t, file, len(rows)))
	}
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	command := []string{"import", "incidents", file, "--map", mapExample(t, "police-again"), "--rejects", rejects, "--data", s.data}
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, command...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const done = `SELECT coalesce((SELECT rows_done FROM import_job WHERE state <> 'done'), 0)`
	eventually(t, "rows before the kill", time.Minute, func() bool { return number(t, pool, done) >= 2*batchRows })
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // its error is the kill
	killed := time.Now()
	eventually(t, "end of the killed import's transaction", 30*time.Second, func() bool {
		return number(t, pool, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1`, jobLocks) == 0
	})
	t.Logf("its lock was gone %s after the kill", time.Since(killed).Round(time.Millisecond))
	n := number(t, pool, done)
	stored := number(t, pool, `SELECT count(*) FROM incident WHERE source = 'police-again'`)
	before := accountOf(rows[:n])
	if n == 0 || n%batchRows != 0 || n >= len(rows) || stored != before.inGrid+before.outside {
		t.Fatalf("after the kill the job stands at row %d, %d incidents are stored", n, stored)
	}
	out, err := run(t, command...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("killed at row %d with %d stored; then: %s", n, stored, strings.SplitN(out, "\n", 2)[0])
	said(t, out, accountOf(rows).String())
	rejected(t, rejects, rows)
	s.storedRight(pool, "police-again", rows)
}

// both runs a command on the server's data and returns what it said on either
// stream.
func (s *server) both(args ...string) (string, error) {
	s.t.Helper()
	bin, err := built()
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, bin, append(args, "--data", s.data)...).CombinedOutput()
	return string(out), err
}
