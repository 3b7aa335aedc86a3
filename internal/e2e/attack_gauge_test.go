// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// gauge looks at a running server and its database from outside.
type gauge struct {
	s     *server
	admin string // base address of the metrics
	log   int64  // how long the database's log was at first
	first string // the postmaster's pid then
	crowd string // the attackers' pid, once there are some

	mu  sync.Mutex // guards rss
	rss []memory
}

type memory struct {
	at    time.Time
	bytes int64
}

// freePort is an address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newGauge(s *server, admin string) *gauge {
	g := &gauge{s: s, admin: "http://" + admin, first: postmaster(s.data)}
	if st, err := os.Stat(filepath.Join(s.data, "pg.log")); err == nil {
		g.log = st.Size()
	}
	return g
}

// postmaster is the process that the cluster's own file names as its first; "" for none.
func postmaster(data string) string {
	raw, _ := os.ReadFile(filepath.Join(data, "pg", "postmaster.pid"))
	pid, _, _ := strings.Cut(string(raw), "\n")
	return pid
}

// watch samples the server's memory until quit.
func (g *gauge) watch(quit <-chan struct{}) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case at := <-tick.C:
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", g.s.cmd.Process.Pid))
			f := strings.Fields(string(raw))
			if err != nil || len(f) < 2 {
				continue // it has ended, which is told elsewhere
			}
			pages, _ := strconv.ParseInt(f[1], 10, 64)
			g.mu.Lock()
			g.rss = append(g.rss, memory{at, pages * int64(os.Getpagesize())})
			g.mu.Unlock()
		}
	}
}

// peak is the most memory the server had in a period, in MiB.
func (g *gauge) peak(from, to time.Time) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	most := int64(0)
	for _, m := range g.rss {
		if m.at.After(from) && m.at.Before(to) {
			most = max(most, m.bytes)
		}
	}
	return float64(most) / (1 << 20)
}

// effort is processor time used so far by the server, its database, this test and
// the attackers.
type effort struct {
	at                            time.Time
	server, database, test, crowd time.Duration

	all time.Duration // everything on this machine, and what its host took
}

func (g *gauge) effort() effort {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	e := effort{at: time.Now(), server: ticks(strconv.Itoa(g.s.cmd.Process.Pid), false), test: time.Duration(u.Utime.Nano() + u.Stime.Nano())}
	e.database, e.crowd = ticks(g.first, true), ticks(g.crowd, false)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", g.first, g.first))
	for pid := range strings.FieldsSeq(string(children)) {
		e.database += ticks(pid, false)
	}
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, x := range strings.Fields(line) { // cpu user nice system idle iowait irq softirq steal
		if n, err := strconv.Atoi(x); err == nil && i >= 1 && i <= 8 && i != 4 && i != 5 {
			e.all += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return e
}

// ticks is a process's processor time, with that of its ended children on demand.
func ticks(pid string, children bool) time.Duration {
	raw, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return 0
	}
	fields := f[11:13]
	if children {
		fields = f[11:15]
	}
	sum := 0
	for _, x := range fields {
		n, _ := strconv.Atoi(x)
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond // the kernel tells hundredths of a second
}

// since tells how many processors were used between two looks.
func (e effort) since(was effort) string {
	d := e.at.Sub(was.at).Seconds()
	return fmt.Sprintf("server %.2f, database %.2f, this test %.2f, attackers %.2f, others on the machine %.2f of %d cores",
		(e.server-was.server).Seconds()/d, (e.database-was.database).Seconds()/d, (e.test-was.test).Seconds()/d, (e.crowd-was.crowd).Seconds()/d, e.others(was), runtime.NumCPU())
}

// others is how many processors were taken by what is none of this test.
func (e effort) others(was effort) float64 {
	ours := e.server + e.database + e.test + e.crowd - was.server - was.database - was.test - was.crowd
	return max(0, (e.all-was.all-ours).Seconds()/e.at.Sub(was.at).Seconds())
}

// metrics reads the admin listener: every figure by its name with labels.
func (g *gauge) metrics() map[string]float64 {
	out := map[string]float64{}
	c := http.Client{Timeout: 5 * time.Second}
	res, err := c.Get(g.admin + "/metrics")
	if err != nil {
		g.s.t.Errorf("metrics: %v", err)
		return out
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			name += "}"
		} else if name, value, ok = strings.Cut(lines.Text(), " "); !ok {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = v
		}
	}
	return out
}

// refused lists which limits were met and how often.
func (g *gauge) refused() string {
	var out []string
	for name, v := range g.metrics() {
		if rule, ok := strings.CutPrefix(name, `onemap_refused_total{rule="`); ok {
			out = append(out, fmt.Sprintf("%s %.0f", strings.TrimSuffix(rule, `"}`), v))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

var crash = regexp.MustCompile(`terminated by signal|terminating any other active|ready to accept connections|PANIC:|reinitializing`)

// crashes lists what the database's log says of restarts since newGauge.
func (g *gauge) crashes() []string {
	raw, err := os.ReadFile(filepath.Join(g.s.data, "pg.log"))
	if err != nil {
		return []string{err.Error()}
	}
	if int64(len(raw)) < g.log { // it was begun anew: all of it is since
		g.log = 0
	}
	var out []string
	for line := range strings.Lines(string(raw[g.log:])) {
		if crash.MatchString(line) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	if pid := postmaster(g.s.data); pid != g.first {
		out = append(out, fmt.Sprintf("postmaster %s instead of %s", pid, g.first))
	}
	return out
}

// quantile of durations; 0 for none.
func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	ds = slices.Clone(ds)
	slices.Sort(ds)
	return ds[min(len(ds)-1, int(q*float64(len(ds))))]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
