// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkImportIncidents imports 300,000 past incidents from a CSV file with
// the program, into a private database that syncs to disk as it does in a hall.
// One turn is one whole import: run it with -benchtime 1x.
func BenchmarkImportIncidents(b *testing.B) {
	const rows = 300_000
	for b.Loop() {
		b.StopTimer()
		dir, err := os.MkdirTemp("", "onemap-bench-")
		if err != nil {
			b.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o711); err != nil {
			b.Fatal(err)
		}
		data, outline := filepath.Join(dir, "data"), filepath.Join(dir, "outline.geojson")
		text := `{"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,38.5],[107,38.5],[107,38]]]}}`
		if err := os.WriteFile(outline, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		must := func(args ...string) string {
			out, err := run(b, append(args, "--data", data)...)
			if err != nil {
				b.Fatalf("onemap %s: %v", strings.Join(args, " "), err)
			}
			return out
		}
		must("grids", "draft", "--outline", outline, "--crs", "wgs84", "--counts", "4,84,401", "--code", "990001", "--name", "试验县", "--enact")
		csv, columns := writePast(b, dir, rows)
		b.StartTimer()
		start := time.Now()
		out := must("import", "incidents", csv, "--map", columns)
		if !strings.Contains(out, fmt.Sprintf("rows %d:", rows)) || !strings.Contains(out, "rejected 0") {
			b.Fatal(out)
		}
		b.ReportMetric(rows/time.Since(start).Seconds(), "rows/s")
	}
}

// writePast writes a CSV file of past incidents in the county of 107 to 108 E, 38
// to 38.5 N, and its column map.
func writePast(b *testing.B, dir string, rows int) (csv, columns string) {
	csv, columns = filepath.Join(dir, "past.csv"), filepath.Join(dir, "map.json")
	f, err := os.Create(csv)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	rnd := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	step := 700 * 24 * time.Hour / time.Duration(rows) // in order of time, as such files are
	fmt.Fprintln(w, "no,kind,title,lon,lat,at,closed")
	for i := range rows {
		at := start.Add(time.Duration(i)*step + time.Duration(rnd.IntN(3600))*time.Second)
		fmt.Fprintf(w, "H%07d,0301,消防通道被占第%d件,%.6f,%.6f,%s,%s\n", i, i, 107+rnd.Float64(), 38+rnd.Float64()/2,
			at.Format(time.RFC3339), at.Add(time.Duration(rnd.IntN(72))*time.Hour).Format(time.RFC3339))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	m := `{"crs":"wgs84","time":{"layouts":["yyyy-MM-ddTHH:mm:ssXXX"],"zone":"UTC"},"fields":{"external_id":{"column":"no"},"source":{"constant":"old"},
		"category":{"column":"kind"},"title":{"column":"title"},"lon":{"column":"lon"},"lat":{"column":"lat"},"reported_at":{"column":"at"},"closed_at":{"column":"closed"},"state":{"constant":"closed"}}}`
	if err := os.WriteFile(columns, []byte(m), 0o600); err != nil {
		b.Fatal(err)
	}
	return csv, columns
}
