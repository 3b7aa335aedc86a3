// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
)

const (
	locate = "/api/v1/grids/locate"
	packed = "Content-Type: application/octet-stream"
)

// packPlaces writes a batch in the binary form of docs/LOCATE.md.
func packPlaces(datum byte, points [][2]float64) []byte {
	out := binary.LittleEndian.AppendUint32([]byte{1, datum, 0, 0}, uint32(len(points)))
	for _, p := range points {
		for _, v := range p {
			out = binary.LittleEndian.AppendUint32(out, uint32(int32(math.Round(v*1e7))))
		}
	}
	return out
}

// unpackPlaces reads its answer: codes ("" outside) and what lies on a border.
func unpackPlaces(body []byte) (codes []string, edges []int, err error) {
	if len(body) < 12 || body[0] != 1 || body[1] != 0 || body[2] != 0 || body[3] != 0 {
		return nil, nil, fmt.Errorf("head %x", body[:min(12, len(body))])
	}
	n, m := int(binary.LittleEndian.Uint32(body[4:])), int(binary.LittleEndian.Uint32(body[8:]))
	if len(body) < 12+4*n {
		return nil, nil, fmt.Errorf("%d bytes for %d points", len(body), n)
	}
	names, rest := []string{""}, body[12+4*n:]
	for range m {
		long := int(binary.LittleEndian.Uint16(rest))
		names, rest = append(names, string(rest[2:2+long])), rest[2+long:]
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("%d bytes too many", len(rest))
	}
	for i := range n {
		v := binary.LittleEndian.Uint32(body[12+4*i:])
		codes = append(codes, names[v&^(1<<31)])
		if v>>31 == 1 {
			edges = append(edges, i)
		}
	}
	return codes, edges, nil
}

// TestABatchOfPlacesIsAnsweredAsOneByOne in both forms and by every scope.
func TestABatchOfPlacesIsAnsweredAsOneByOne(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	points := [][2]float64{
		{107.2, 38.2}, {107.7, 38.2}, {107.2, 38.3}, {107.7, 38.3}, // one in each grid
		{107.5, 38.25}, {107.5, 38.1}, {107.2, 38.25}, {107, 38}, {108, 38.5}, // on borders and corners
		{106.9, 38.2}, {0, 0}, {-180, -90}, {180, 90}, {107.9999999, 38.4999999},
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 30 {
		points = append(points, [2]float64{math.Round((106.9+1.2*rng.Float64())*1e7) / 1e7, math.Round((37.9+0.7*rng.Float64())*1e7) / 1e7})
	}
	list, err := json.Marshal(points)
	if err != nil {
		t.Fatal(err)
	}
	for who, token := range map[string]string{
		"the hall": st.token(auth.HallOperator, ""), "town A": st.token(auth.TownOperator, "A"), "grid B1": st.token(auth.GridWorker, "B1"),
	} {
		var want []string
		var wantEdges []int
		for i, p := range points {
			var one struct {
				Path   []struct{ Code string }
				OnEdge bool `json:"on_edge"`
			}
			if err := json.Unmarshal(st.get(fmt.Sprintf("%s?lon=%v&lat=%v&crs=wgs84", locate, p[0], p[1]), token).body, &one); err != nil {
				t.Fatal(err)
			}
			code := ""
			if len(one.Path) > 0 {
				code = one.Path[len(one.Path)-1].Code
			}
			if want = append(want, code); one.OnEdge {
				wantEdges = append(wantEdges, i)
			}
		}
		a := st.call("POST", locate, token, `{"crs":"wgs84","points":`+string(list)+`}`)
		var got struct {
			Codes  []*string
			OnEdge []int `json:"on_edge"`
		}
		if err := json.Unmarshal(a.body, &got); err != nil || a.status != 200 || a.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %v %.300s", who, a.status, err, a.body)
		}
		var codes []string
		for _, c := range got.Codes {
			if c == nil {
				c = new(string)
			}
			codes = append(codes, *c)
		}
		if !slices.Equal(codes, want) || !slices.Equal(got.OnEdge, wantEdges) {
			t.Errorf("%s: JSON %v %v, one by one %v %v", who, codes, got.OnEdge, want, wantEdges)
		}
		a = st.call("POST", locate, token, string(packPlaces(1, points)), packed)
		codes, edges, err := unpackPlaces(a.body)
		if err != nil || a.status != 200 || a.header.Get("Content-Type") != "application/octet-stream" || !slices.Equal(codes, want) || !slices.Equal(edges, wantEdges) {
			t.Errorf("%s: binary %d %v %v %v, one by one %v %v", who, a.status, err, codes, edges, want, wantEdges)
		}
	}
}

func TestABatchMayBeInAnyDatum(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	for body, want := range map[string]string{
		`{"points":[[454730.0153,4227970.1791]],"crs":"EPSG:4545-en"}`:                  `{"codes":["A2"],"on_edge":[]}`,
		`{"points":[[4227970.1791,36454730.0153],[1e6,36454730]],"crs":"EPSG:4524-ne"}`: `{"codes":["A2",null],"on_edge":[]}`,
		`{"crs":"gcj02","points":[[107.4884925,38.1838368]]}`:                           `{"codes":["A2"],"on_edge":[]}`,
		`{"crs":"cgcs2000","points":[]}`:                                                `{"codes":[],"on_edge":[]}`,
		`{"crs":"cgcs2000","points":[[107.1,38.25],[9,9],[107.5,38.4]]}`:                `{"codes":["A1",null,"A1"],"on_edge":[0,2]}`,
	} {
		if a := st.call("POST", locate, op, body); a.status != 200 || strings.TrimSpace(string(a.body)) != want {
			t.Errorf("%s: %d %s, want %s", body, a.status, a.body, want)
		}
	}
	for datum, p := range map[byte][2]float64{1: {107.4833, 38.1833}, 2: {107.4884925, 38.1838368}, 3: {107.4950195, 38.1898177}, 4: {107.4833, 38.1833}} {
		a := st.call("POST", locate, op, string(packPlaces(datum, [][2]float64{p})), packed)
		if codes, _, err := unpackPlaces(a.body); err != nil || !slices.Equal(codes, []string{"A2"}) {
			t.Errorf("datum %d: %d %v %v", datum, a.status, codes, err)
		}
	}
}

func TestABadBatchIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	many := func(n int) string {
		return `{"crs":"wgs84","points":[[1,2]` + strings.Repeat(",[1,2]", n-1) + `]}`
	}
	one := string(packPlaces(1, [][2]float64{{107.2, 38.2}}))
	bend := func(at int, v byte) string { b := []byte(one); b[at] = v; return string(b) }
	for _, c := range []struct {
		name, body, kind string
		status           int
		says             string
	}{
		{"no datum", `{"points":[]}`, "", 400, "crs is missing"},
		{"a datum nobody knows", `{"crs":"EPSG:3857","points":[]}`, "", 400, "unknown datum"},
		{"a code without its order", `{"crs":"EPSG:4545","points":[]}`, "", 400, "EPSG:4545-ne"},
		{"a key too many", `{"crs":"wgs84","points":[],"x":1}`, "", 400, "unexpected property"},
		{"a key twice", `{"crs":"wgs84","crs":"wgs84","points":[]}`, "", 400, "twice"},
		{"NaN", `{"crs":"wgs84","points":[[NaN,1]]}`, "", 400, "a number is wanted"},
		{"beyond any float", `{"crs":"wgs84","points":[[1e999,1]]}`, "", 400, "beyond any number"},
		{"beyond the earth", `{"crs":"wgs84","points":[[1,2],[1e300,1]]}`, "", 422, "point 1: "},
		{"exchanged", `{"crs":"wgs84","points":[[38.2,107.2]]}`, "", 422, "exchanged"},
		{"metres as degrees", `{"crs":"wgs84","points":[[454730,4227970]]}`, "", 422, "look like metres"},
		{"another zone's prefix", `{"crs":"EPSG:4524-en","points":[[35454730,4227970]]}`, "", 422, "EPSG:4523-en"},
		{"three numbers", `{"crs":"wgs84","points":[[1,2,3]]}`, "", 400, "at byte"},
		{"as many as may be", many(100_000), "", 200, "null"},
		{"one too many", many(100_001), "", 422, "100001 points; send at most 100000"},
		{"too large", `{"crs":"wgs84","points":[` + strings.Repeat(" ", 5<<20) + `]}`, "", 413, ""},
		{"no body", ``, "", 400, ""},
		{"text", `x`, "Content-Type: text/plain", 415, ""},
		{"no type", one, "Content-Type: ", 415, ""},
		{"binary as JSON", one, "", 400, ""},
		{"JSON as binary", `{"crs":"wgs84","points":[]}`, packed, 400, "version 123"},
		{"a binary head cut off", one[:7], packed, 400, "7 bytes"},
		{"another version", bend(0, 2), packed, 400, "version 2"},
		{"no datum of ours", bend(1, 5), packed, 400, "datum 5"},
		{"a byte that must be zero", bend(3, 1), packed, 400, "must be zero"},
		{"too few points", bend(4, 2), packed, 400, "2 points make 24 bytes"},
		{"too many points", bend(7, 255), packed, 422, "send at most 100000"},
		{"a binary place beyond the earth", string(packPlaces(1, [][2]float64{{1, 2}, {190, 3}})), packed, 422, "point 1: "},
	} {
		var headers []string
		if c.kind != "" {
			headers = append(headers, c.kind)
		}
		if a := st.call("POST", locate, op, c.body, headers...); a.status != c.status || !strings.Contains(string(a.body), c.says) {
			t.Errorf("%s: %d %.300s, want %d and %q", c.name, a.status, a.body, c.status, c.says)
		}
	}
	// Who may not ask is told so before the body is looked at.
	if a := st.call("POST", locate, "", many(100_001)); a.status != 401 {
		t.Errorf("nobody: %d", a.status)
	}
}

// BenchmarkLocateHTTP asks for the grids of places over loopback, the client's
// own work included, in batches of 100,000 and one by one; and PostGIS, for the
// same places in batches of 10,000.
func BenchmarkLocateHTTP(b *testing.B) {
	url := pgtest.URL(b)
	db, err := store.Open(b.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		b.Fatal(err)
	}
	// As many grids as the demo banner has.
	drafts, err := grid.Draw(orb.MultiPolygon{{{{107, 38}, {108, 38}, {108, 38.5}, {107, 38.5}, {107, 38}}}}, grid.DrawOptions{Seed: 5, Counts: []int{4, 84, 401}})
	if err != nil {
		b.Fatal(err)
	}
	version, err := db.SaveDraft(b.Context(), drafts, true, "test")
	if err == nil {
		err = db.Enact(b.Context(), version)
	}
	if err == nil {
		err = db.SaveSetting(b.Context(), "centre", store.Centre{Name: "测试综治中心", Levels: []string{"县", "镇", "村", "网格"}})
	}
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Pool.Exec(b.Context(), "VACUUM ANALYZE grid"); err != nil {
		b.Fatal(err)
	}
	st := startStand(b, Options{DatabaseURL: url, Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	rng := rand.New(rand.NewPCG(3, 3))
	points := make([][2]float64, 100_000)
	for i := range points {
		points[i] = [2]float64{math.Round((107+rng.Float64())*1e7) / 1e7, math.Round((38+0.5*rng.Float64())*1e7) / 1e7}
	}
	send := func(method, path, kind string, body []byte) []byte {
		req, err := http.NewRequestWithContext(b.Context(), method, st.url+path, bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+op)
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		res, err := st.http.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		out, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			b.Fatalf("%d %v %.200s", res.StatusCode, err, out)
		}
		return out
	}
	var single, postgis float64
	report := func(b *testing.B, n int) {
		rate := float64(n) * float64(b.N) / b.Elapsed().Seconds()
		b.ReportMetric(rate, "places/s")
		switch n {
		case 1:
			single = rate
		case 10_000:
			postgis = rate
		}
		if single > 0 && n != 1 {
			b.ReportMetric(rate/single, "x-single-GETs")
		}
		if postgis > 0 && n == len(points) {
			b.ReportMetric(rate/postgis, "x-PostGIS")
		}
	}
	b.Run("PostGIS in batches", func(b *testing.B) {
		const n = 10_000
		lons, lats := make([]float64, n), make([]float64, n)
		for i, p := range points[:n] {
			lons[i], lats[i] = p[0], p[1]
		}
		for b.Loop() {
			rows, err := db.Pool.Query(b.Context(), `SELECT (SELECT code FROM grid WHERE level = 4 AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(lon, lat), 4326)) ORDER BY code COLLATE "C" LIMIT 1)
				FROM unnest($1::float8[], $2::float8[]) AS p (lon, lat)`, lons, lats)
			if err != nil {
				b.Fatal(err)
			}
			codes, err := pgx.CollectRows(rows, pgx.RowTo[*string])
			if err != nil || len(codes) != n {
				b.Fatal(len(codes), err)
			}
		}
		report(b, n)
	})
	b.Run("single GETs", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			p, start := points[len(took)%len(points)], time.Now()
			send("GET", fmt.Sprintf("%s?lon=%v&lat=%v&crs=wgs84", locate, p[0], p[1]), "", nil)
			took = append(took, time.Since(start))
		}
		report(b, 1)
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	})
	b.Run("single GETs with overlays", func(b *testing.B) {
		n := 0
		for b.Loop() {
			send("GET", fmt.Sprintf("%s?lon=%v&lat=%v&crs=wgs84&overlays=true", locate, points[n%len(points)][0], points[n%len(points)][1]), "", nil)
			n++
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "places/s")
	})
	b.Run("JSON", func(b *testing.B) {
		var body []byte
		for b.Loop() {
			body = append(body[:0], `{"crs":"wgs84","points":[`...)
			for i, p := range points {
				if i > 0 {
					body = append(body, ',')
				}
				body = fmt.Appendf(body, "[%v,%v]", p[0], p[1])
			}
			body = append(body, "]}"...)
			send("POST", locate, "application/json", body)
		}
		report(b, len(points))
	})
	b.Run("binary", func(b *testing.B) {
		for b.Loop() {
			if codes, _, err := unpackPlaces(send("POST", locate, "application/octet-stream", packPlaces(1, points))); err != nil || len(codes) != len(points) {
				b.Fatal(err)
			}
		}
		report(b, len(points))
	})
}
