// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const webFolder = "../../frontend/web"

// pages builds the front end when it is not there yet, once.
var pages = sync.OnceValue(func() error {
	if _, err := os.Stat("../../frontend/dist/wall.html"); err == nil {
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("the pages are not built, and there is no npm (Node 20 or later) to build them: %w", err)
	}
	for _, args := range [][]string{{"ci", "--no-fund", "--no-audit"}, {"run", "build"}} {
		cmd := exec.Command("npm", args...)
		cmd.Dir = webFolder
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("npm %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
})

// needBrowser skips at a desk, and fails where everything must be there, when
// the pages, the driver or the browser is missing.
func needBrowser(t *testing.T) {
	t.Helper()
	if err := pages(); err != nil {
		missing(t, err.Error())
	}
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, "node, version 20 or later, to drive the browser")
	}
	for _, f := range []string{chromium(), webFolder + "/node_modules/playwright-core", webFolder + "/node_modules/axe-core"} {
		if _, err := os.Stat(f); err != nil {
			missing(t, f)
		}
	}
}

func chromium() string {
	if c := os.Getenv("ONEMAP_CHROMIUM"); c != "" {
		return c
	}
	return "/usr/bin/chromium"
}

// answer is one line of the driver (frontend/web/e2e/wall.mjs).
type answer struct {
	Check  string
	OK     bool
	Detail string
}

// screen is a wall open in a browser.
type screen struct {
	t       *testing.T
	in      io.WriteCloser
	answers chan answer
}

// openWall opens link in a browser and holds the page to its first checks.
func openWall(t *testing.T, s *server, link string) *screen {
	t.Helper()
	cmd := exec.Command("node", "e2e/wall.mjs", "--base", s.URL, "--link", link, "--out", t.TempDir(), "--chromium", chromium())
	cmd.Dir = webFolder
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &output{grew: make(chan struct{}, 1)}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &screen{t: t, in: in, answers: make(chan answer, 64)}
	read := make(chan struct{})
	go func() { // ends with the driver's output
		defer close(read)
		defer close(w.answers)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var a answer
			if json.Unmarshal(lines.Bytes(), &a) != nil {
				a = answer{Check: "a line that is no answer", Detail: lines.Text()}
			}
			w.answers <- a
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // the driver closes its browser at the end of its orders
		late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		for range w.answers { // nobody waits for these any more
		}
		<-read
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("the driver ended badly: %v", err)
		}
		if s := said.String(); s != "" {
			t.Logf("the driver said:\n%s", s)
		}
	})
	for {
		a := w.next(2 * time.Minute)
		t.Logf("%s: %s", a.Check, a.Detail)
		if !a.OK {
			t.Errorf("failed: %s: %s", a.Check, a.Detail)
		}
		if a.Check == "open" {
			return w
		}
	}
}

func (w *screen) next(patience time.Duration) answer {
	w.t.Helper()
	select {
	case a, ok := <-w.answers:
		if !ok {
			w.t.Fatal("the driver is gone")
		}
		return a
	case <-time.After(patience):
		w.t.Fatalf("the driver was silent for %s", patience)
	}
	panic("unreachable")
}

// ask gives an order and returns its answer; what the driver says on the way is
// checked too.
func (w *screen) ask(format string, args ...any) answer {
	w.t.Helper()
	order := fmt.Sprintf(format, args...)
	if _, err := io.WriteString(w.in, order+"\n"); err != nil {
		w.t.Fatal(err)
	}
	for {
		a := w.next(2 * time.Minute)
		if a.Check == order {
			return a
		}
		if !a.OK {
			w.t.Errorf("failed: %s: %s", a.Check, a.Detail)
		}
	}
}

// must gives an order that has to succeed.
func (w *screen) must(format string, args ...any) string {
	w.t.Helper()
	a := w.ask(format, args...)
	if !a.OK {
		w.t.Fatalf("failed: %s: %s", a.Check, a.Detail)
	}
	return a.Detail
}

// shown tells how often the page has announced the incident, and when last by
// the clock of this machine.
func (w *screen) shown(id string) (times int, at time.Time) {
	w.t.Helper()
	var v struct {
		Announced int
		At        float64
	}
	if err := json.Unmarshal([]byte(w.must("shown %s", id)), &v); err != nil {
		w.t.Fatal(err)
	}
	return v.Announced, time.UnixMilli(int64(v.At))
}

// demoWall has a server load a small made-up county and move its pretend field,
// and returns it with an operator's token and the wall's link.
func demoWall(t *testing.T) (s *server, token, link string) {
	t.Helper()
	needBrowser(t)
	s = serve(t, dataFolder(t), "--demo", "--demo-past", fmt.Sprint(smallPast))
	link = s.await(`(http://\S+/wall#code=\S+)`, time.Minute)[1]
	token = s.cli("token", "create", "--role", "hall_operator", "--sensitive")
	eventually(t, "demo data", time.Minute, func() bool {
		var v struct{ Loading any }
		_, raw := s.call("GET", s.URL+"/api/v1/status", token, "")
		return json.Unmarshal(raw, &v) == nil && v.Loading == nil && strings.Contains(s.out.String(), "100%")
	})
	if status, raw := s.call("GET", s.URL+"/tiles/roads/8/204/98.mvt", token, ""); status != 200 || len(raw) == 0 {
		t.Errorf("the county that was just loaded has no roads on its map: %d", status)
	}
	return s, token, link
}

// demoCounty starts a server on a small made-up county that was loaded before, and
// returns it with an operator's token once it has the roads on its map.
func demoCounty(t *testing.T, args ...string) (s *server, token string) {
	t.Helper()
	needBrowser(t)
	s = serve(t, demoFolder(t), args...)
	token = s.cli("token", "create", "--role", "hall_operator", "--sensitive")
	eventually(t, "roads on the map", time.Minute, func() bool {
		status, raw := s.call("GET", s.URL+"/tiles/roads/8/204/98.mvt", token, "")
		return status == 200 && len(raw) > 0
	})
	return s, token
}

// report sends a report whose place is in GCJ-02 and returns the incident.
func (s *server) report(token, key string) (id string) {
	s.t.Helper()
	body := `{"category":"0301","title":"消防通道被占","location":{"lon":107.5062,"lat":38.2011,"crs":"gcj02"}}`
	status, raw := s.call("POST", s.URL+"/api/v1/incidents", token, body, "Idempotency-Key: "+key)
	var v struct{ ID, Place string }
	if err := json.Unmarshal(raw, &v); status != 201 || err != nil {
		s.t.Fatalf("report: %d %s", status, raw)
	}
	if v.Place != "in_grid" {
		s.t.Errorf("a report in the county's middle lies %q", v.Place)
	}
	return v.ID
}

// announced reports an incident and checks that the open wall tells of it.
func (w *screen) announced(s *server, token, key string) string {
	w.t.Helper()
	sent := time.Now()
	id := s.report(token, key)
	w.must("await-incident %s 10", id)
	times, at := w.shown(id)
	took := at.Sub(sent)
	w.t.Logf("%s: announced %d ms after it was sent", key, took.Milliseconds())
	if times != 1 || took > 5*time.Second {
		w.t.Errorf("%s: announced %d times, %s after it was sent", key, times, took)
	}
	return id
}

// still checks that the wall has told of the incident once and no more.
func (w *screen) still(id, after string) {
	w.t.Helper()
	if times, _ := w.shown(id); times != 1 {
		w.t.Errorf("after %s the wall has announced incident %s %d times", after, id, times)
	}
}

func TestWallShowsTheCountyAlive(t *testing.T) {
	s, token, link := demoWall(t)
	w := openWall(t, s, link)
	first := w.announced(s, token, "wall-first")
	w.sameFigures(s, token)
	w.must("clipped")
	if !testing.Short() {
		w.linkCutAndRestored(s, token, first)
		w.serverKilledAndBack(s, token, first)
		w.serverPaused(s)
		w.must("size 3840 2160")
		w.must("clipped")
	}
	w.must("checks")
	w.must("stranger %s/wall 大屏链接", s.URL)
	w.must("stranger %s 已经用过", link)
}

// sameFigures compares what is written on the wall with what the API says.
func (w *screen) sameFigures(s *server, token string) {
	var want, got map[string]any
	eventually(w.t, "figures on the wall like those of the API", 40*time.Second, func() bool {
		s.getJSON("/api/v1/figures/today", token, &want)
		if err := json.Unmarshal([]byte(w.must("figures")), &got); err != nil {
			w.t.Fatal(err)
		}
		for _, k := range []string{"reported", "resolved", "open", "outside"} {
			text, _ := got[k].(string)
			n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
			if err != nil || float64(n) != want[k] {
				return false
			}
		}
		return true
	})
	w.t.Logf("figures: %v", got)
}

func (w *screen) linkCutAndRestored(s *server, token, first string) {
	w.must("offline")
	w.must("state lost 10")
	missed := s.report(token, "wall-offline")
	w.must("online")
	w.t.Logf("line restored, live again: %s", w.must("state live 30"))
	w.must("await-incident %s 10", missed)
	w.still(missed, "a cut link")
	w.still(first, "a cut link")
}

func (w *screen) serverKilledAndBack(s *server, token, first string) {
	w.must("cut")
	last := s.report(token, "wall-last-words")
	start := time.Now()
	s.kill()
	w.must("state lost 10")
	if band := w.must("band"); !strings.Contains(band, "中断") {
		w.t.Errorf("the red band says %q", band)
	}
	took := time.Since(start)
	w.t.Logf("red band %d ms after the kill", took.Milliseconds())
	if took > 5*time.Second {
		w.t.Errorf("the red band took %s", took)
	}
	start = time.Now()
	s.restart()
	serving := time.Now()
	w.must("state live 40")
	w.t.Logf("live again %s after serving, %s after the start", time.Since(serving).Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	w.must("no-band")
	w.must("await-incident %s 10", last)
	for _, id := range []string{first, last, w.announced(s, token, "wall-after-kill")} {
		w.still(id, "a kill")
	}
	w.sameFigures(s, token)
}

// serverPaused stops the server without ending it: the line looks open, and
// only its silence tells.
func (w *screen) serverPaused(s *server) {
	w.must("cut")
	start := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		w.t.Fatal(err)
	}
	wake := sync.OnceFunc(func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) })
	w.t.Cleanup(wake)
	w.must("state stale 15")
	took := time.Since(start)
	w.t.Logf("marked stale %s after the server fell silent: %s", took.Round(time.Millisecond), w.must("band"))
	if took < 2*time.Second || took > 10*time.Second {
		w.t.Errorf("silence was marked after %s, not after about 5 s", took)
	}
	wake()
	w.must("state live 30")
	w.must("no-band")
}
