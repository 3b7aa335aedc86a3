// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// scanSlowly reads the JSON form of a batch with encoding/json.
func scanSlowly(body []byte) (crs string, points [][2]float64, err error) {
	if err := noDoubleKeys(body, maxValues); err != nil {
		return "", nil, err
	}
	var keys map[string]json.RawMessage // a struct would take "CRS" too
	if err := json.Unmarshal(body, &keys); err != nil {
		return "", nil, err
	}
	var name *string
	var pairs *[][]*float64
	if err := json.Unmarshal(keys["crs"], &name); err != nil {
		return "", nil, err
	}
	if err := json.Unmarshal(keys["points"], &pairs); err != nil {
		return "", nil, err
	}
	if len(keys) != 2 || name == nil || pairs == nil {
		return "", nil, fmt.Errorf("keys %v", keys)
	}
	for _, p := range *pairs {
		if len(p) != 2 || p[0] == nil || p[1] == nil {
			return "", nil, fmt.Errorf("pair %v", p)
		}
		points = append(points, [2]float64{*p[0], *p[1]})
	}
	return *name, points, nil
}

var pointBodies = []string{
	`{"crs":"wgs84","points":[[107.4833,38.1833],[-0.0,1e2]]}`,
	` { "points" : [ [ 1 , 2.50 ] , [3,4]] , "crs" : "EPSG:4545-en" } `,
	`{"crs":"\u0077gs84","points":[]}`, `{"\u0063rs":"wgs84","points":[]}`, `{"crs":"a\"\\b","points":[[0,0]]}`,
	`{"crs":"wgs84","points":[[107.48331234567890123,38.18339999999999999e0],[12345678901234567890,0.1234567890123456789]]}`,
	`{"crs":"wgs84","points":[[123456789012345,0.12345678901234],[999999999999999,1E-5],[1e+22,5e-324]]}`,
	``, `{`, `{}`, `[]`, `null`, `{"crs":"wgs84"}`, `{"points":[]}`, `{"crs":null,"points":[]}`, `{"crs":"x","points":null}`,
	`{"crs":"x","points":[null]}`, `{"crs":"x","points":[[null,1]]}`, `{"crs":"x","points":[[1]]}`, `{"crs":"x","points":[[1,2,3]]}`,
	`{"crs":"x","points":[[1,2],]}`, `{"crs":"x","points":[,[1,2]]}`, `{"crs":"x","points":[[1,2]],}`, `{"crs":"x","points":[[1,2]]} {}`,
	`{"crs":"x","points":[[01,2]]}`, `{"crs":"x","points":[[+1,2]]}`, `{"crs":"x","points":[[1.,2]]}`, `{"crs":"x","points":[[.5,2]]}`,
	`{"crs":"x","points":[[1e,2]]}`, `{"crs":"x","points":[[-,2]]}`, `{"crs":"x","points":[[--1,2]]}`, `{"crs":"x","points":[[NaN,2]]}`,
	`{"crs":"x","points":[[1e999,2]]}`, `{"crs":"x","points":[["1",2]]}`, `{"crs":"x","points":[[1 2]]}`, `{"crs":"x" "points":[]}`,
	`{"crs":"x","crs":"x","points":[]}`, `{"CRS":"x","points":[]}`, `{"crs":"x","points":[],"more":1}`, "{\"crs\":\"a\nb\",\"points\":[]}",
	"\xef\xbb\xbf" + `{"crs":"x","points":[]}`, `{"crs":"x","points":[[1,2`, `{"crs":"x\`, `{"crs":"x","points":[[0x1,2]]}`, `{"crs":"x","points":[[1_0,2]]}`,
}

func compareScan(t *testing.T, body []byte) {
	crs, points, err := scanPoints(body)
	wantCRS, want, wantErr := scanSlowly(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%.200q: %v, encoding/json says %v", body, err, wantErr)
	}
	if err != nil {
		return
	}
	if crs != wantCRS || len(points) != len(want) {
		t.Fatalf("%.200q: %q and %d points, want %q and %d", body, crs, len(points), wantCRS, len(want))
	}
	for i, p := range points {
		for k := range p {
			if math.Float64bits(p[k]) != math.Float64bits(want[i][k]) {
				t.Fatalf("%.200q: point %d is %v, want %v", body, i, p, want[i])
			}
		}
	}
}

func TestPointsAreReadAsEncodingJSONReadsThem(t *testing.T) {
	for _, body := range pointBodies {
		compareScan(t, []byte(body))
	}
	rng := rand.New(rand.NewPCG(1, 9))
	formats := []string{"%v", "%.7f", "%.15f", "%e", "%.3f", "%g", "%.0f"}
	for range 300 {
		var b strings.Builder
		b.WriteString(`{"crs":"wgs84","points":[`)
		for i := range 20 {
			if i > 0 {
				b.WriteByte(',')
			}
			f := formats[rng.IntN(len(formats))]
			fmt.Fprintf(&b, "["+f+","+f+"]", (rng.Float64()-0.5)*math.Pow(10, float64(rng.IntN(12))), rng.Float64()*90)
		}
		b.WriteString("]}")
		compareScan(t, []byte(b.String()))
	}
}

func FuzzScanPoints(f *testing.F) {
	for _, body := range pointBodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) < 4096 {
			compareScan(t, body)
		}
	})
}

func FuzzReadBinary(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte{1, 4, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 1, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, body []byte) {
		var b batch
		if b.readBinary(body) == nil && b.places.len() != (len(body)-8)/8 {
			t.Errorf("%d points of %d bytes", b.places.len(), len(body))
		}
	})
}

func BenchmarkScanPoints(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 9))
	var s strings.Builder
	const n = 10_000
	for i := range n {
		fmt.Fprintf(&s, "%c[%.7f,%.7f]", "[,"[min(i, 1)], 106.8+1.4*rng.Float64(), 37.7+rng.Float64())
	}
	body := []byte(`{"crs":"wgs84","points":` + s.String() + `]}`)
	var ours, theirs float64
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := scanPoints(body); err != nil {
				b.Fatal(err)
			}
		}
		ours = b.Elapsed().Seconds() / float64(b.N)
		b.ReportMetric(n/ours/1e6, "Mpoints/s")
	})
	b.Run("encoding_json", func(b *testing.B) {
		var v struct {
			CRS    string
			Points [][2]float64
		}
		for b.Loop() {
			if err := json.Unmarshal(body, &v); err != nil {
				b.Fatal(err)
			}
		}
		theirs = b.Elapsed().Seconds() / float64(b.N)
		b.ReportMetric(n/theirs/1e6, "Mpoints/s")
		b.ReportMetric(theirs/ours, "x-slower")
	})
}
