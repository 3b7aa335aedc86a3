// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/localpg"
)

// burst sends reports from several senders and remembers what was promised. A
// report without an answer is sent again with its key until it has one.
type burst struct {
	s     *server
	token string
	mu    sync.Mutex // guards acked and tries
	acked map[string]string
	tries int
	quit  chan struct{}
	wg    sync.WaitGroup
}

func startBurst(s *server, token string, senders int) *burst {
	b := &burst{s: s, token: token, acked: map[string]string{}, quit: make(chan struct{})}
	for i := range senders {
		b.wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-b.quit:
					return
				default:
					b.send(fmt.Sprintf("key-%d-%d", i, n))
				}
			}
		})
	}
	return b
}

// send reports once; what it could not learn it asks again until it knows.
func (b *burst) send(key string) {
	body := fmt.Sprintf(`{"category":"0301","title":"%s","location":{"lon":107.5,"lat":38.2,"crs":"wgs84"}}`, key)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		b.mu.Lock()
		b.tries++
		b.mu.Unlock()
		status, raw := b.s.call("POST", b.s.URL+"/api/v1/incidents", b.token, body, "Idempotency-Key: "+key)
		if status == 201 {
			var v struct{ ID string }
			if err := json.Unmarshal(raw, &v); err != nil {
				b.s.t.Error(err)
			}
			b.mu.Lock()
			b.acked[key] = v.ID
			b.mu.Unlock()
			return
		}
		if status != 0 && status != 503 && status != 401 || strings.Contains(string(raw), "SQL") {
			b.s.t.Errorf("report %s: status %d %s", key, status, raw)
			return
		}
		time.Sleep(20 * time.Millisecond) // the server is being killed: give it a moment
	}
	b.s.t.Errorf("report %s was not taken within a minute", key)
}

// end stops the senders and compares what was promised with what is there.
func (b *burst) end() {
	t := b.s.t
	close(b.quit)
	b.wg.Wait()
	ids, cursor := map[string]string{}, ""
	for {
		var page struct {
			Items  []struct{ ID, Title string }
			Cursor *string
		}
		b.s.getJSON("/api/v1/incidents?limit=200&cursor="+cursor, b.token, &page)
		for _, in := range page.Items {
			if other, twice := ids[in.Title]; twice {
				t.Errorf("report %s became incidents %s and %s", in.Title, other, in.ID)
			}
			ids[in.Title] = in.ID
		}
		if page.Cursor == nil {
			break
		}
		cursor = *page.Cursor
	}
	lost := 0
	for key, id := range b.acked {
		if ids[key] != id {
			lost++
			t.Errorf("report %s was acknowledged as incident %s and is now %q", key, id, ids[key])
		}
	}
	if len(b.acked) == 0 {
		t.Error("not one report was acknowledged: the test proved nothing")
	}
	t.Logf("%d reports acknowledged in %d tries, %d lost", len(b.acked), b.tries, lost)
	if t.Failed() {
		said := b.s.out.String()
		t.Logf("the server said at last:\n%s", said[max(0, len(said)-4000):])
	}
}

func rounds() int {
	if soak() {
		return 50
	}
	return 3
}

func TestKillingTheServerDuringABurstLosesAndDoublesNothing(t *testing.T) {
	s := serve(t, dataFolder(t))
	token := s.square()
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	b := startBurst(s, token, 4)
	for range rounds() {
		time.Sleep(time.Duration(300+rnd.IntN(1500)) * time.Millisecond) // the moment of the kill is the test
		s.kill()
		start := time.Now()
		s.restart()
		t.Logf("serving again %s after the kill", time.Since(start).Round(time.Millisecond))
	}
	b.end()
	s.feedIsWhole(token, len(b.acked))
}

func TestKillingPostgresDuringABurstLosesAndDoublesNothing(t *testing.T) {
	s := serve(t, dataFolder(t))
	s.clusterIsSafe()
	token := s.square()
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	b := startBurst(s, token, 4)
	for range rounds() {
		pause := 300 + rnd.IntN(1500)
		if soak() {
			pause += healthy // a database that dies young eight times in a minute is given up, rightly
		}
		time.Sleep(time.Duration(pause) * time.Millisecond) // the moment of the kill is the test
		old, n := postmaster(s.data), killCluster(t, s.data)
		if n == 0 || old == "" {
			t.Fatalf("%d processes of the cluster were found, postmaster %q", n, old)
		}
		start, now := time.Now(), ""
		eventually(t, "readiness of another postmaster", 30*time.Second, func() bool {
			if now = postmaster(s.data); now == "" || now == old { // who asks at once is still answered by who has not noticed
				return false
			}
			status, _ := s.call("GET", s.URL+"/readyz", "", "")
			return status == 200
		})
		t.Logf("%d processes killed; ready again after %s, postmaster %s after %s", n, time.Since(start).Round(time.Millisecond), now, old)
	}
	b.end()
	s.feedIsWhole(token, len(b.acked))
}

// clusterIsSafe: the program's own cluster waits for the disk, and loads nothing that the
// operator has not asked for, unlike the clusters of tests.
func (s *server) clusterIsSafe() {
	s.t.Helper()
	base, running := localpg.Join(s.data)
	u, err := url.Parse(base)
	if !running || err != nil {
		s.t.Fatalf("the cluster of %s: %v", s.data, err)
	}
	u.User = url.User("postgres") // the owner is not told of libraries
	conn, err := pgx.Connect(s.t.Context(), u.String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"shared_preload_libraries": "", "session_preload_libraries": "", "local_preload_libraries": "",
	} {
		var got string
		if err := conn.QueryRow(s.t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			s.t.Errorf("%s = %q, want %q, %v", name, got, want, err)
		}
	}
}

// killCluster ends every process whose working folder is the cluster's.
func killCluster(t *testing.T, data string) int {
	t.Helper()
	n := 0
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		cwd, err := os.Readlink(p + "/cwd")
		if err != nil || cwd != filepath.Join(data, "pg") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}

// healthy is how long, in ms, a database runs before its death counts as no
// failure of its start.
const healthy = 2100
