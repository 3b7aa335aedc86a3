// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// pastMap is a column map with Chinese column names; title is the column of the
// title, crs the line with the datum.
func pastMap(t *testing.T, source, title, crs string) string {
	t.Helper()
	return write(t, "map.json", []byte(fmt.Sprintf(`{%s "time": {"layouts": ["yyyy-MM-dd HH:mm:ss"], "zone": "Asia/Shanghai"}, "fields": {
		"external_id": {"column": "编号"}, "source": {"constant": %q}, "category": {"column": "类别"}, "title": {"column": %q},
		"reported_at": {"column": "时间"}, "lon": {"column": "经度"}, "lat": {"column": "纬度"}}}`, crs, source, title)))
}

const inWGS84 = `"crs": "wgs84",`

// pastGBK is a GBK file of n rows in the county of square, CRLF, with noise that
// no compression can foresee.
func pastGBK(t *testing.T, n int) []byte {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("编号,类别,标题,时间,经度,纬度\r\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,0301,消防通道被占 %d 号楼 %x,2025-03-01 10:00:00,%.6f,38.2\r\n", i+1, i+1, rnd.Uint64(), 107.2+rnd.Float64()*0.5)
	}
	raw, err := simplifiedchinese.GBK.NewEncoder().Bytes([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func zipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// stored counts everything an import may leave behind.
func (s *server) stored() map[string]int {
	s.t.Helper()
	pool, n := s.database(), map[string]int{}
	defer pool.Close()
	for _, table := range []string{"grid_version", "grid", "incident", "incident_journal", "import_job", "audit_log", "outbox"} {
		n[table] = number(s.t, pool, "SELECT count(*) FROM "+table)
	}
	return n
}

// boundary is a GeoJSON file of one feature.
func boundary(t *testing.T, code, parent string, level int, ring string) string {
	t.Helper()
	return write(t, "grids.geojson", []byte(fmt.Sprintf(
		`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":%q,"name":"n","level":%d,"parent":%q},"geometry":{"type":"Polygon","coordinates":[[%s]]}}]}`,
		code, level, parent, ring)))
}

// circle is a ring of n vertices.
func circle(n int) string {
	ring := make([]string, n+1)
	for i := range ring {
		sin, cos := math.Sincos(2 * math.Pi * float64(i%n) / float64(n))
		ring[i] = fmt.Sprintf("[%.9f,%.9f]", 107.5+0.2*cos, 38.25+0.2*sin)
	}
	return strings.Join(ring, ",")
}

// TestBadFilesAreRefusedWhole: what can't be right is refused with a status, a
// message that says what to do, and nothing stored.
func TestBadFilesAreRefusedWhole(t *testing.T) {
	t.Parallel()
	s := serve(t, dataFolder(t))
	s.square()
	const box = "[107,38],[108,38],[108,38.5],[107,38.5],[107,38]"
	good := boundary(t, "990002", "", 1, box)
	past := write(t, "past.csv", pastGBK(t, 3))
	sound := zipped(t, []byte(`{"type":"FeatureCollection","features":[`+strings.Repeat(" ", 5000)+`]}`))
	before := s.stored()
	for name, c := range map[string]struct {
		command []string
		want    []string
	}{
		"bow-tie": {
			[]string{"import", "grids", boundary(t, "990002", "", 1, "[107,38],[108,39],[108,38],[107,39],[107,38]"), "--crs", "wgs84"},
			[]string{"invalid", "grid 990002", "crosses itself at 107.500000,38.500000", "nothing was stored"},
		},
		"bow-tie as an outline": {
			[]string{"grids", "draft", "--outline", boundary(t, "1", "", 1, "[107,38],[108,39],[108,38],[107,39],[107,38]"), "--crs", "wgs84", "--counts", "2"},
			[]string{"crosses itself at 107.500000,38.500000"},
		},
		"beyond the limit of vertices": {
			[]string{"import", "grids", boundary(t, "990002", "", 1, circle(100_001)), "--crs", "wgs84"},
			[]string{"100002 vertices, more than the limit of 100000", "nothing was stored"},
		},
		"parent is missing": {
			[]string{"import", "grids", boundary(t, "99000201", "990002", 2, box), "--crs", "wgs84"},
			[]string{"orphan", "grid 99000201: its parent 990002 is not in the set", "nothing was stored"},
		},
		"grids without a datum": {
			[]string{"import", "grids", good}, []string{"--crs", "wgs84, gcj02, bd09, cgcs2000"},
		},
		"outline without a datum": {
			[]string{"grids", "draft", "--outline", good, "--counts", "2"}, []string{"--crs", "wgs84, gcj02, bd09, cgcs2000"},
		},
		"an unknown datum": {
			[]string{"import", "grids", good, "--crs", "wgs72"}, []string{`"wgs72"`, "wgs84, gcj02, bd09, cgcs2000"},
		},
		"grids in half a gzip file": {
			[]string{"import", "grids", write(t, "half.geojson.gz", sound[:len(sound)-10]), "--crs", "wgs84"}, []string{"cut off", "copy the file again"},
		},
		"incidents without a datum": {
			[]string{"import", "incidents", past, "--map", pastMap(t, "old", "标题", "")}, []string{"crs is missing", "wgs84, gcj02, bd09, cgcs2000"},
		},
		"a column the file lacks": {
			[]string{"import", "incidents", past, "--map", pastMap(t, "old", "案由", inWGS84)}, []string{`no column ["案由"]`, `"标题"`},
		},
		"no gzip file at all": {
			[]string{"import", "incidents", write(t, "past.csv.gz", pastGBK(t, 3)), "--map", pastMap(t, "old", "标题", inWGS84)}, []string{"not a gzip file"},
		},
		"no such file": {
			[]string{"import", "incidents", "/nowhere.csv", "--map", pastMap(t, "old", "标题", inWGS84)}, []string{"/nowhere.csv: no such file"},
		},
	} {
		out, err := s.both(c.command...)
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() < 1 || status.ExitCode() > 2 {
			t.Errorf("%s: ended with %v", name, err)
		}
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is not in what was said:\n%s", name, w, shortened(out))
			}
		}
		if strings.Contains(out, "SQLSTATE") || strings.Contains(out, "goroutine") {
			t.Errorf("%s: said %s", name, shortened(out))
		}
	}
	if after := s.stored(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("something was stored: %v, before %v", after, before)
	}
	// Surveyed boundaries may be fine: 5,000 vertices are no fault.
	said(t, s.cli("import", "grids", boundary(t, "990002", "", 1, circle(5000)), "--crs", "wgs84"), "as a draft: 1 grids", "faults: 0;")
}

// TestGBKAndCutOffFilesComeInAsFarAsTheyGo: a GBK file needs no word about its
// encoding; half of a gzip file brings the rows before the cut.
func TestGBKAndCutOffFilesComeInAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	s := serve(t, dataFolder(t))
	token := s.square()
	said(t, s.cli("import", "incidents", write(t, "past.csv", pastGBK(t, 300)), "--map", pastMap(t, "old", "标题", inWGS84)), account{inGrid: 300}.String())
	var list struct{ Items []struct{ Title string } }
	s.getJSON("/api/v1/incidents?limit=200&text=%E8%A2%AB%E5%8D%A0%2077%20%E5%8F%B7%E6%A5%BC", token, &list)
	if len(list.Items) != 1 || !strings.HasPrefix(list.Items[0].Title, "消防通道被占 77 号楼 ") {
		t.Errorf("found %+v", list.Items)
	}

	// The message names the last row kept, the same command says so again, and the
	// whole file brings the rest.
	whole := zipped(t, pastGBK(t, 9000))
	half := write(t, "half.csv.gz", whole[:len(whole)*7/10])
	columns := pastMap(t, "hotline", "标题", inWGS84)
	pool := s.database()
	var kept int
	for range 2 {
		out, err := s.both("import", "incidents", half, "--map", columns)
		if err == nil {
			t.Fatalf("half a file is taken for a whole one: %s", out)
		}
		_, after, _ := strings.Cut(out, "after row ")
		if _, err := fmt.Sscanf(after, "%d", &kept); err != nil || kept <= batchRows || kept >= 9000 {
			t.Fatalf("no row is named: %s", out)
		}
		said(t, out, "cut off in line", fmt.Sprintf("rows 1 to %d are good, copy the file again", kept))
		if n := number(t, pool, "SELECT count(*) FROM incident WHERE source = 'hotline'"); n != kept {
			t.Errorf("%d rows are kept, the message says %d", n, kept)
		}
	}
	out := s.cli("import", "incidents", write(t, "whole.csv.gz", whole), "--map", columns)
	said(t, out, account{inGrid: 9000 - kept, repeated: kept}.String())
	s.rejectFileElsewhere(pool)
	t.Logf("cut off after row %d; the whole file: %s", kept, out)
}

// rejectFileElsewhere: when the reject file can't be written the import says how to
// go on, and does.
func (s *server) rejectFileElsewhere(pool *pgxpool.Pool) {
	t := s.t
	t.Helper()
	swapped := bytes.ReplaceAll(pastGBK(t, 2), []byte(",38.2\r\n"), []byte(",138.2\r\n"))
	command := []string{"import", "incidents", write(t, "swapped.csv", swapped), "--map", pastMap(t, "app", "标题", inWGS84), "--rejects"}
	out, err := s.both(append(command, "/nowhere/rejects.csv")...)
	if err == nil {
		t.Errorf("refused rows went nowhere: %s", out)
	}
	said(t, out, "/nowhere/rejects.csv", "with --rejects")
	if n := number(t, pool, "SELECT rejected FROM import_job WHERE state = 'failed' ORDER BY id DESC LIMIT 1"); n != 0 {
		t.Errorf("%d rows are counted as refused and written nowhere", n)
	}
	said(t, s.cli(append(command, filepath.Join(t.TempDir(), "rejects.csv"))...), account{rejected: 2}.String())
}
