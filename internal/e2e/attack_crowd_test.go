// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// crowd are the attackers. Each thinks between its acts, and all together send no
// more than byteBudget. Their machines are elsewhere: here they are a process of
// their own, which takes a processor only when nobody else wants it.
type crowd struct {
	crowdOrder
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	bytes atomic.Int64

	mu      sync.Mutex // guards what follows
	told    crowdTold
	clients map[string]*http.Client
}

const byteBudget = 64 << 30

// crowdOrder is what a crowd is to do; a part without a token is left out, but for
// the guessers.
type crowdOrder struct {
	URL, Device string
	Scan, Slow  []string // tokens
	Bomb, Abuse string   // tokens
	HalfOpen    bool
	Guessers    int
	West, South float64 // where the county is
	Incidents   []string
	Asset       string // the largest file of the pages
}

// crowdTold is what a crowd met.
type crowdTold struct {
	Told  map[string]map[string]int  // what each kind of attacker was told, and how often
	Lived map[string][]time.Duration // how long half-open connections were kept
	Wrong []string                   // answers that no attacker should get
	Bytes int64
}

// crowdFile names the environment variable with the file of a crowd's order; what
// it was told stands in the same file afterwards.
const crowdFile = "ONEMAP_CROWD"

// standAside has every thread of this process, and so those to come, take a
// processor only when nobody else wants it: attackers are other machines, and must
// not take the time of the one they attack. A low priority alone would not do: a
// thread that runs is left its time slice, whoever wakes.
func standAside() error {
	for range 2 { // a thread may have been born during the first round
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			err = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) { // a sandbox that forbids it
				err = unix.Setpriority(unix.PRIO_PROCESS, tid, 19)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("thread %d: %w", tid, err)
			}
		}
	}
	return nil
}

// beCrowd is the whole program of the attackers' process: they act until its
// standard input ends.
func beCrowd(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := standAside(); err != nil {
		return err
	}
	c := &crowd{told: crowdTold{Told: map[string]map[string]int{}, Lived: map[string][]time.Duration{}}, clients: map[string]*http.Client{}}
	if err := json.Unmarshal(raw, &c.crowdOrder); err != nil {
		return err
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.scan()
	c.readSlowly()
	c.bomb()
	c.halfOpen()
	c.guess()
	c.abuse()
	_, _ = io.Copy(io.Discard, os.Stdin)
	c.stop()
	c.wg.Wait()
	c.told.Bytes = c.bytes.Load()
	if raw, err = json.Marshal(c.told); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// running is a crowd at work.
type running struct {
	t    *testing.T
	cmd  *exec.Cmd
	stop io.Closer
	file string
}

// loose starts a crowd.
func loose(s *server, o crowdOrder) *running {
	s.t.Helper()
	o.URL, o.Device, o.Asset = s.URL, s.Device, s.asset()
	raw, err := json.Marshal(o)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &running{t: s.t, file: filepath.Join(s.t.TempDir(), "crowd.json")}
	if err := os.WriteFile(r.file, raw, 0o600); err != nil {
		s.t.Fatal(err)
	}
	r.cmd = exec.CommandContext(s.t.Context(), os.Args[0])
	r.cmd.Env = append(os.Environ(), crowdFile+"="+r.file)
	r.cmd.Stderr = os.Stderr
	if r.stop, err = r.cmd.StdinPipe(); err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// end stops the attackers and returns what they were told.
func (r *running) end() (told crowdTold) {
	r.t.Helper()
	_ = r.stop.Close()
	if err := r.cmd.Wait(); err != nil {
		r.t.Fatalf("the attackers: %v", err)
	}
	raw, err := os.ReadFile(r.file)
	if err == nil {
		err = json.Unmarshal(raw, &told)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return told
}

// many starts n attackers of a kind, each acting again and again with a pause of
// about think in between.
func (c *crowd) many(n int, think time.Duration, act func(i int)) {
	for i := range n {
		c.wg.Go(func() {
			for c.pause(time.Duration(rand.Float64() * float64(think))); c.ctx.Err() == nil && c.bytes.Load() < byteBudget; {
				act(i)
				c.pause(time.Duration((0.5 + rand.Float64()) * float64(think)))
			}
		})
	}
}

func (c *crowd) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

func (c *crowd) note(kind, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told.Told[kind] == nil {
		c.told.Told[kind] = map[string]int{}
	}
	c.told.Told[kind][what]++
}

// String lists what each kind was told.
func (c crowdTold) String() string {
	var out []string
	for kind, told := range c.Told {
		var words []string
		for what, n := range told {
			words = append(words, fmt.Sprintf("%s %d", what, n))
		}
		slices.Sort(words)
		out = append(out, fmt.Sprintf("%-16s %s", kind, strings.Join(words, ", ")))
	}
	for kind, ds := range c.Lived {
		out = append(out, fmt.Sprintf("%-16s %d connections were kept %s in the middle, %s at most", kind, len(ds), quantile(ds, 0.5).Round(time.Millisecond), quantile(ds, 1).Round(time.Millisecond)))
	}
	slices.Sort(out)
	return strings.Join(out, "\n") + fmt.Sprintf("\n%d MiB sent", c.Bytes>>20)
}

// from dials from one of the addresses of this machine; a buffer above 0 bounds what
// is read ahead.
func (c *crowd) from(addr string, buffer int) *net.Dialer {
	d := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	d.Control = func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 64<<10) // the test is of the server, not of the kernel
			if buffer > 0 {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffer)
			}
		})
	}
	return d
}

// client speaks HTTP from an address.
func (c *crowd) client(addr string) *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients[addr] == nil {
		c.clients[addr] = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
			DialContext: c.from(addr, 0).DialContext, MaxIdleConnsPerHost: 32, DisableCompression: true, ExpectContinueTimeout: time.Second,
		}}
	}
	return c.clients[addr]
}

// ask sends one request, and notes the answer under kind.
func (c *crowd) ask(kind, addr, method, path, token string, body io.Reader, size int64, header ...string) int {
	req, err := http.NewRequestWithContext(c.ctx, method, c.URL+path, body)
	if err != nil {
		c.note(kind, "not sent")
		return 0
	}
	if body != nil {
		req.ContentLength = size // -1: in pieces
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := c.client(addr).Do(req)
	if err != nil {
		if c.ctx.Err() == nil {
			c.note(kind, "cut off")
		}
		return 0
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	c.note(kind, fmt.Sprint(res.StatusCode))
	late := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable
	if late && res.Header.Get("Retry-After") == "" || res.StatusCode == http.StatusInternalServerError || bytes.Contains(raw, []byte("SQLSTATE")) {
		c.mu.Lock()
		c.told.Wrong = append(c.told.Wrong, fmt.Sprintf("%s %s %.100s: %d, Retry-After %q: %.300s", kind, method, path, res.StatusCode, res.Header.Get("Retry-After"), raw))
		c.mu.Unlock()
	}
	return res.StatusCode
}
