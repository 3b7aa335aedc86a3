// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
)

// BenchmarkIncidentTilesHTTP asks the demo county's tiles of incidents over HTTP, two
// clients on the same machine, up to 400 tiles of a zoom in turn: cold ones, each with a
// period that nobody asked for yet, and hot ones, each asked for once before the clock
// runs. Beside them the floor: net/http with 4 KB at hand and nothing else to do.
// ONEMAP_SOAK=1 has 300,000 incidents, else 3,000.
func BenchmarkIncidentTilesHTTP(b *testing.B) {
	past := 3000
	if soak() {
		past = 300_000
	}
	st := demoStand(b, past)
	leader := st.token(auth.CountyLeader, string(st.s.catalogue.Now().Tree.Nodes()[0].Code))
	at := st.everyOnMap()
	seq := strconv.Itoa(st.settled())
	began := time.Now()
	if err := st.s.mirror.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d incidents with a place, read in %v, as of %s", len(at), time.Since(began).Round(time.Millisecond), seq)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	get := func(url string) int {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+leader)
		r.Header.Set("Accept-Encoding", "gzip")
		a, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer a.Body.Close()
		n, err := io.Copy(io.Discard, a.Body)
		if err != nil || a.StatusCode != 200 && a.StatusCode != 204 {
			b.Fatal(url, a.StatusCode, err)
		}
		return int(n)
	}
	run := func(b *testing.B, address func(i int) string) {
		const clients = 2
		took, size := make([]time.Duration, b.N), 0
		var mu sync.Mutex
		var wait sync.WaitGroup
		b.ResetTimer()
		for c := range clients {
			wait.Go(func() {
				bytes := 0
				for i := c; i < b.N; i += clients {
					url := address(i)
					begin := time.Now()
					bytes += get(url)
					took[i] = time.Since(begin)
				}
				mu.Lock()
				defer mu.Unlock()
				size += bytes
			})
		}
		wait.Wait()
		b.StopTimer()
		slices.Sort(took)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tiles/s")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(float64(size)/float64(b.N), "B/tile")
	}
	asked := 0
	for _, z := range []maptile.Zoom{8, 9, 10, 12, 13, 14} {
		const most = 400
		var distinct []maptile.Tile // drawn by incident, so that the busy ones come first
		for i := 0; i < len(at) && len(distinct) < most; i++ {
			if t := maptile.At(orb.Point(at[i*7919%len(at)].at), z); !slices.Contains(distinct, t) {
				distinct = append(distinct, t)
			}
		}
		address := func(i int) string {
			t := distinct[i%len(distinct)]
			return fmt.Sprintf("%s/tiles/incidents/%d/%d/%d.mvt?state=all", st.url, t.Z, t.X, t.Y)
		}
		b.Run(fmt.Sprintf("cold/z%d", z), func(b *testing.B) {
			run(b, func(i int) string {
				return address(i) + "&from=" + time.Unix(int64(asked+i), 0).UTC().Format(time.RFC3339)
			})
			asked += b.N
		})
		b.Run(fmt.Sprintf("hot/z%d", z), func(b *testing.B) {
			for i := range distinct {
				get(address(i))
			}
			run(b, address)
		})
	}
	ready := make([]byte, 4096)
	floor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ready) }))
	defer floor.Close()
	b.Run("floor", func(b *testing.B) { run(b, func(int) string { return floor.URL }) })
}
