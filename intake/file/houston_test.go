// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"io"
	"os"
	"testing"
)

const houston = "../../../shared/data/incidents/houston_crime_2010.csv.gz"

// openHouston opens the public data set beside the repository with its map.
func openHouston(t testing.TB) (*Reader, *Mapper) {
	t.Helper()
	if _, err := os.Stat(houston); err != nil {
		t.Skipf("SKIPPED, the real data is not beside the repository: %v", err)
	}
	r, err := Open(houston)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	f, err := os.Open("../../docs/examples/houston_crime.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := ParseMap(f)
	if err != nil {
		t.Fatal(err)
	}
	mp, err := m.Bind(r.Header())
	if err != nil {
		t.Fatal(err)
	}
	return r, mp
}

func TestHoustonEveryRowIsARecordOrHasAReason(t *testing.T) {
	if testing.Short() {
		t.Skip("86,314 rows; left out of -short")
	}
	r, mp := openHouston(t)
	var records, refused, far, onePoint int
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rec, err := mp.Apply(row)
		if err != nil {
			refused++
			continue
		}
		records++
		p := *rec.Place
		if p.Lon < -95.8 || p.Lon > -95.05 || p.Lat < 29.5 || p.Lat > 30.1 {
			far++
		}
		if p.Lon == -95.3632715 && p.Lat == 29.7632836 {
			onePoint++
		}
	}
	if records != 86309 || refused != 5 {
		t.Errorf("%d records and %d refused, want 86309 and the 5 without coordinates", records, refused)
	}
	if onePoint != 515 {
		t.Errorf("%d rows on the default point, want 515", onePoint)
	}
	t.Logf("%d rows lie outside the city's box", far)
}

func BenchmarkHouston(b *testing.B) {
	rows := 0
	for b.Loop() {
		r, mp := openHouston(b)
		for {
			row, err := r.Next()
			if err != nil {
				break
			}
			_, _ = mp.Apply(row)
			rows++
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
