// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"onemap/auth"
)

const fireCalls = "../../../shared/data/incidents/sf_fire_calls_a.csv.gz"

// fireCall is a row of the file: seconds after its call was received, NaN where unknown.
type fireCall struct {
	year                       int
	dispatch, signed, at, free float64
}

// readFireCalls reads the file by itself, without the import. Rows with a stage before
// the call was received are impossible, and only counted.
func readFireCalls(t *testing.T) (calls []fireCall, impossible int) {
	t.Helper()
	f, err := os.Open(fireCalls)
	if err != nil {
		t.Skipf("SKIPPED, the real data is not beside the repository: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	stamp := func(row []string, column string) time.Time {
		v := row[slices.Index(rows[0], column+"_timestamp")]
		if v == "" {
			return time.Time{}
		}
		at, err := time.Parse("2006-01-02 15:04:05-07:00", v)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, row := range rows[1:] {
		begin := stamp(row, "received")
		since := func(column string) float64 {
			if at := stamp(row, column); !at.IsZero() {
				return at.Sub(begin).Seconds()
			}
			return math.NaN()
		}
		c := fireCall{begin.Year(), since("dispatch"), since("response"), since("on_scene"), since("available")}
		if c.dispatch < 0 || c.signed < 0 || c.at < 0 || c.free < 0 {
			impossible++
			continue
		}
		calls = append(calls, c)
	}
	return calls, impossible
}

// percentile is linear between the two nearest of sorted values.
func percentile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// TestRealFireCallsAreDispatchHistory: the calls of a fire department come in with the
// times of their stages, and the percentiles told are those of the file itself, each
// year's.
func TestRealFireCallsAreDispatchHistory(t *testing.T) {
	t.Parallel()
	calls, impossible := readFireCalls(t)
	st := newStand(t)
	leader := st.token(auth.CountyLeader, "") // medical calls are of a sensitive category
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	begin := time.Now()
	res, _, err := ImportIncidents(t.Context(), ImportOptions{
		DB: st.s.db, Sealer: st.s.seal, File: fireCalls, Map: "../../docs/examples/sf_fire_calls.json", Rejects: rejects, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s in %s", res.Counts, time.Since(begin).Round(time.Millisecond))
	if res.Counts.Outside != int64(len(calls)) || res.Counts.Rejected != int64(impossible) || res.Counts.Rows() != int64(len(calls)+impossible) {
		t.Fatalf("%s, want %d outside the county and %d refused", res.Counts, len(calls), impossible)
	}
	if n := st.count(`SELECT count(*) FROM incident i WHERE version <> (SELECT count(*) FROM incident_journal j WHERE j.incident_id = i.id)
		OR state <> (SELECT to_state FROM incident_journal j WHERE j.incident_id = i.id ORDER BY n DESC LIMIT 1)`); n > 0 {
		t.Errorf("the journals of %d incidents do not explain their state", n)
	}
	if n := st.count("SELECT count(*) FROM incident_journal a JOIN incident_journal b ON b.incident_id = a.incident_id AND b.n = a.n + 1 WHERE a.to_state IS DISTINCT FROM b.from_state"); n > 0 {
		t.Errorf("%d entries of journals begin in another state than the one before ended in", n)
	}
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for year := 2000; year <= 2006; year++ {
		var ways [4][]float64
		n := 0
		for _, c := range calls {
			if c.year != year {
				continue
			}
			n++
			for k, v := range [4]float64{c.dispatch, c.signed, c.at, c.at - c.dispatch} {
				if v >= 0 { // not NaN
					ways[k] = append(ways[k], v)
				}
			}
		}
		q := url.Values{"from": {time.Date(year, 1, 1, 0, 0, 0, 0, zone).Format(time.RFC3339)}, "to": {time.Date(year+1, 1, 1, 0, 0, 0, 0, zone).Format(time.RFC3339)}}
		a := st.get("/api/v1/figures/response?"+q.Encode(), leader)
		var v map[string]json.RawMessage
		if err := json.Unmarshal(a.body, &v); a.status != 200 || err != nil {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		if string(v["incidents"]) != fmt.Sprint(n) {
			t.Errorf("%d: %s incidents, %d in the file", year, v["incidents"], n)
		}
		for k, name := range []string{"report_to_dispatch", "report_to_signed", "report_to_arrival", "dispatch_to_arrival"} {
			slices.Sort(ways[k])
			var got struct {
				N   int
				P50 *float64 `json:"p50_s"`
				P90 *float64 `json:"p90_s"`
				P95 *float64 `json:"p95_s"`
				P99 *float64 `json:"p99_s"`
			}
			if err := json.Unmarshal(v[name], &got); err != nil {
				t.Fatal(err)
			}
			if got.N != len(ways[k]) {
				t.Errorf("%d %s: of %d incidents, %d in the file", year, name, got.N, len(ways[k]))
				continue
			}
			for p, told := range map[float64]*float64{0.5: got.P50, 0.9: got.P90, 0.95: got.P95, 0.99: got.P99} {
				compared++
				if want := percentile(ways[k], p); told == nil || math.Abs(*told-want) > 0.0006 {
					t.Errorf("%d %s: the %v-th is told as %v, in the file it is %v", year, name, p, told, want)
				}
			}
			if year == 2005 {
				t.Logf("2005, %s: %d, p50 %v s, p90 %v s, p95 %v s, p99 %v s", name, got.N, *got.P50, *got.P90, *got.P95, *got.P99)
			}
		}
	}
	t.Logf("%d percentiles compared", compared)
}
