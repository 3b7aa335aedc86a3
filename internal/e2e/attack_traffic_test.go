// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// traffic is the work of an ordinary day: reports from phones, acts of a
// dispatcher, as many incidents that end as come in, one wall that looks on. It comes at its own pace, however slow the
// answers are, and a phone that is told to come again does.
type traffic struct {
	s                    *server
	reporter, dispatcher string
	clerks               []string // who end the most incidents
	west, south          float64  // of the places reported
	wide, high           float64
	http                 *http.Client
	wall                 *watcher
	quit, dark           chan struct{} // closed to end the work, and to end the wall
	wg, watching         sync.WaitGroup

	mu      sync.Mutex // guards what follows
	reports []sent
	acts    []sent
	acked   map[string]acked // reports, by key
	cases   map[string]*one  // the incidents, by id
	todo    []*one
	surplus []*one   // nobody's work: soon refused, or the incidents that are open would grow, and the memory they take with them
	bare    []string // refusals that do not say when to come again
	odd     []string // answers that no limit explains
}

// sent is one request and how it went.
type sent struct {
	due   time.Time
	took  time.Duration // from due to the good answer, tries included
	first int           // status of the first try
	last  int
	tries int
}

type acked struct {
	id string
	at time.Time
}

// one is an incident on its way through the dispatcher's hands.
type one struct {
	id      string
	version int
	acts    int  // done
	unsure  bool // an act got no answer: it may have been done
	at      time.Time
}

const (
	reportsASecond = 20
	actsASecond    = 5
	phonePatience  = 5 * time.Second // a phone tries again for so long
)

var dispatchersWay = []string{"accept", "route", "acknowledge", "arrive", "resolve", "verify", "close"}

func startTraffic(s *server, reporter, dispatcher string, wall *watcher) *traffic {
	f := &traffic{
		s: s, reporter: reporter, dispatcher: dispatcher, clerks: s.tokens("dispatcher", 2), wall: wall, quit: make(chan struct{}), dark: make(chan struct{}), acked: map[string]acked{}, cases: map[string]*one{},
		http: &http.Client{Timeout: phonePatience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	var area struct{ Bounds []float64 }
	s.getJSON("/tiles/grids.json", dispatcher, &area)
	b := area.Bounds
	f.west, f.south, f.wide, f.high = b[0]+(b[2]-b[0])/4, b[1]+(b[3]-b[1])/4, (b[2]-b[0])/2, (b[3]-b[1])/2
	f.every(time.Second/reportsASecond, f.report)
	f.every(time.Second/actsASecond, f.act)
	f.every(time.Second/reportsASecond, f.refuse)
	f.watching.Go(func() { wall.run(f.dark) })
	return f
}

// every calls do on the beat, also while earlier calls still wait.
func (f *traffic) every(d time.Duration, do func(n int, due time.Time)) {
	f.wg.Go(func() {
		start := time.Now()
		for n := 0; ; n++ {
			due := start.Add(time.Duration(n) * d)
			select {
			case <-f.quit:
				return
			case <-time.After(time.Until(due)):
				f.wg.Go(func() { do(n, due) })
			}
		}
	})
}

// end stops the work; the wall looks on until what came last is on it.
func (f *traffic) end() {
	close(f.quit)
	f.wg.Wait()
	f.http.CloseIdleConnections()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, missing := f.lags(time.Time{}, time.Now()); missing == 0 {
			break
		}
	}
	close(f.dark)
	f.watching.Wait()
}

// send is a request as a patient program sends it: told to come again, or not
// answered at all, it does so until its patience ends.
func (f *traffic) send(due time.Time, token, path, body string, header ...string) (sent, *http.Response, []byte) {
	out := sent{due: due}
	for {
		out.tries++
		res, raw := f.try(token, path, body, header...)
		status, pause := 0, time.Second
		if res != nil {
			status = res.StatusCode
		}
		out.last, out.took = status, time.Since(due)
		if out.tries == 1 {
			out.first = status
		}
		switch status {
		case 0:
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
			if err != nil || seconds < 1 {
				f.mu.Lock()
				f.bare = append(f.bare, fmt.Sprintf("%s: %d without Retry-After: %.200s", path, status, raw))
				f.mu.Unlock()
			}
			pause = time.Duration(seconds) * time.Second
		default:
			return out, res, raw
		}
		if time.Since(due)+pause > phonePatience {
			return out, res, raw
		}
		time.Sleep(pause) // what the server asked for
	}
}

func (f *traffic) try(token, path, body string, header ...string) (*http.Response, []byte) {
	req, err := http.NewRequest("POST", f.s.URL+path, strings.NewReader(body))
	if err != nil {
		f.s.t.Error(err)
		return nil, nil
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := f.http.Do(req)
	if err != nil {
		return nil, nil
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil
	}
	return res, raw
}

func (f *traffic) report(n int, due time.Time) {
	key := fmt.Sprintf("attack-%d", n)
	body := fmt.Sprintf(`{"category":"0301","title":"%s","location":{"lon":%.6f,"lat":%.6f,"crs":"wgs84"},"reporter":{"name":"某人","phone":"10000000000"}}`,
		key, f.west+rand.Float64()*f.wide, f.south+rand.Float64()*f.high)
	out, _, raw := f.send(due, f.reporter, "/api/v1/incidents", body, "Idempotency-Key: "+key)
	at := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, out)
	if out.last != http.StatusCreated {
		f.odd = append(f.odd, fmt.Sprintf("report %s: %d after %d tries: %.200s", key, out.last, out.tries, raw))
		return
	}
	var v struct {
		ID      string
		Version int
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		f.s.t.Error(err)
	}
	f.acked[key] = acked{v.ID, at}
	o := &one{id: v.ID, version: v.Version, at: at}
	f.cases[v.ID] = o
	if len(f.todo) < 50 {
		f.todo = append(f.todo, o)
	} else {
		f.surplus = append(f.surplus, o)
	}
}

// refuse ends an incident that has been open for a while.
func (f *traffic) refuse(n int, due time.Time) {
	f.mu.Lock()
	if len(f.surplus) == 0 || time.Since(f.surplus[0].at) < 5*time.Second {
		f.mu.Unlock()
		return
	}
	o := f.surplus[0]
	f.surplus = f.surplus[1:]
	f.mu.Unlock()
	out, _, raw := f.send(due, f.clerks[n%len(f.clerks)], "/api/v1/incidents/"+o.id+"/actions", `{"action":"refuse","reason":"不属受理范围","door":"人民法院"}`,
		"Idempotency-Key: refuse-"+o.id, fmt.Sprintf(`If-Match: "%d"`, o.version))
	f.mu.Lock()
	defer f.mu.Unlock()
	if out.last != http.StatusOK {
		o.unsure = true
		f.odd = append(f.odd, fmt.Sprintf("refusal: %d after %d tries: %.200s", out.last, out.tries, raw))
		return
	}
	o.version++
}

func (f *traffic) act(_ int, due time.Time) {
	f.mu.Lock()
	if len(f.todo) == 0 {
		f.mu.Unlock()
		return
	}
	o := f.todo[0]
	f.todo = f.todo[1:]
	body := fmt.Sprintf(`{"action":"%s"}`, dispatchersWay[o.acts])
	key := fmt.Sprintf("Idempotency-Key: act-%s-%d", o.id, o.acts)
	version := o.version
	f.mu.Unlock()
	out, _, raw := f.send(due, f.dispatcher, "/api/v1/incidents/"+o.id+"/actions", body, key, fmt.Sprintf(`If-Match: "%d"`, version))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acts = append(f.acts, out)
	if out.last != http.StatusOK {
		o.unsure = true
		f.odd = append(f.odd, fmt.Sprintf("act %s: %d after %d tries: %.200s", body, out.last, out.tries, raw))
		return
	}
	o.version, o.acts = version+1, o.acts+1
	if o.acts < len(dispatchersWay) {
		f.todo = append(f.todo, o)
	}
}

// period is how requests that were due in it went.
type period struct {
	sent, first, good int
	took              []time.Duration // of the good ones
}

func of(all []sent, status int, from, to time.Time) period {
	var p period
	for _, r := range all {
		if r.due.Before(from) || !r.due.Before(to) {
			continue
		}
		p.sent++
		if r.first == status {
			p.first++
		}
		if r.last == status {
			p.good++
			p.took = append(p.took, r.took)
		}
	}
	return p
}

func (p period) p99() time.Duration { return quantile(p.took, 0.99) }

func (p period) String() string {
	return fmt.Sprintf("%d sent, good %.2f %% at the first try and %.2f %% in the end, p50 %s, p95 %s, p99 %s, most %s", p.sent,
		100*float64(p.first)/float64(max(1, p.sent)), 100*float64(p.good)/float64(max(1, p.sent)),
		ms(quantile(p.took, 0.5)), ms(quantile(p.took, 0.95)), ms(p.p99()), ms(quantile(p.took, 1)))
}

func (f *traffic) reported(from, to time.Time) period {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of(f.reports, http.StatusCreated, from, to)
}

func (f *traffic) acted(from, to time.Time) period {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of(f.acts, http.StatusOK, from, to)
}

// lags is how long after their acknowledgement the reports of a period stood on
// the wall, and how many never did.
func (f *traffic) lags(from, to time.Time) (lags []time.Duration, missing int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall.mu.Lock()
	defer f.wall.mu.Unlock()
	for _, a := range f.acked {
		if a.at.Before(from) || !a.at.Before(to) {
			continue
		}
		if at, ok := f.wall.seen[a.id]; ok {
			lags = append(lags, max(0, at.Sub(a.at)))
		} else {
			missing++
		}
	}
	return lags, missing
}

// check compares what was promised with what is there: each acknowledged key is
// one incident with as many acts as were acknowledged.
func (f *traffic) check(since time.Time) {
	t := f.s.t
	t.Helper()
	type row struct {
		ID, Title string
		Version   int
	}
	there, cursor := map[string]row{}, ""
	for {
		var page struct {
			Items  []row
			Cursor *string
		}
		f.s.getJSON("/api/v1/incidents?limit=200&from="+since.Add(-time.Minute).UTC().Format("2006-01-02T15:04:05Z")+"&cursor="+cursor, f.dispatcher, &page)
		for _, r := range page.Items {
			if !strings.HasPrefix(r.Title, "attack-") {
				continue
			}
			if other, twice := there[r.Title]; twice {
				t.Errorf("report %s became incidents %s and %s", r.Title, other.ID, r.ID)
			}
			there[r.Title] = r
		}
		if page.Cursor == nil {
			break
		}
		cursor = *page.Cursor
	}
	if len(f.acked) == 0 {
		t.Error("not one report was acknowledged: the test proved nothing")
	}
	for key, a := range f.acked {
		r, ok := there[key]
		switch o := f.cases[a.id]; {
		case !ok || r.ID != a.id:
			t.Errorf("report %s was acknowledged as incident %s and is now %q", key, a.id, r.ID)
		case r.Version != o.version && !o.unsure:
			t.Errorf("incident %s has version %d, its acknowledged acts made %d", a.id, r.Version, o.version)
		}
	}
}

// watcher is a wall that looks on and comes back when its socket ends.
type watcher struct {
	s      *server
	cookie string

	mu    sync.Mutex // guards what follows
	seen  map[string]time.Time
	ended []string // why sockets ended
}

func newWatcher(t *testing.T, s *server) *watcher {
	t.Helper()
	_, code, _ := strings.Cut(s.cli("wall", "link", "--url", s.URL), "#code=")
	res, err := s.http.Post(s.URL+"/api/v1/session", "application/json", strings.NewReader(fmt.Sprintf(`{"code":"%s"}`, code)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent || len(res.Cookies()) == 0 {
		t.Fatalf("the wall did not get in: %d", res.StatusCode)
	}
	return &watcher{s: s, cookie: res.Cookies()[0].Name + "=" + res.Cookies()[0].Value, seen: map[string]time.Time{}}
}

type word struct {
	Type, ID, Epoch, Scope string
	Seq, Head, To          int64
	Snapshot               struct{ Items []struct{ ID string } }
}

func (w *watcher) run(quit <-chan struct{}) {
	var last word // epoch, scope and seq of what it has
	for {
		err := w.look(quit, &last)
		select {
		case <-quit:
			return
		case <-time.After(500 * time.Millisecond):
		}
		w.mu.Lock()
		w.ended = append(w.ended, fmt.Sprint(err))
		w.mu.Unlock()
	}
}

func (w *watcher) look(quit <-chan struct{}, last *word) error {
	d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 5 * time.Second}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(w.s.URL, "http")+"/api/v1/live", http.Header{"Origin": {w.s.URL}, "Cookie": {w.cookie}})
	if err != nil {
		return err
	}
	over := make(chan struct{})
	defer close(over)
	go func() { // ends with look
		select {
		case <-quit:
		case <-over:
		}
		_ = c.Close()
	}()
	hello := map[string]any{"type": "hello", "topics": []string{"events", "positions"}}
	if last.Epoch != "" {
		hello["epoch"], hello["scope"], hello["seq"] = last.Epoch, last.Scope, last.Seq
	}
	if err := c.WriteJSON(hello); err != nil {
		return err
	}
	for {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second)) // a tick comes every 2 s
		_, raw, err := c.ReadMessage()
		if err != nil {
			return err
		}
		at := time.Now()
		if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] != '[' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		var words []word
		if err := json.Unmarshal(raw, &words); err != nil {
			return err
		}
		w.mu.Lock()
		for _, m := range words {
			switch m.Type {
			case "reset":
				*last = word{Epoch: m.Epoch, Scope: m.Scope, Seq: m.Head}
				for _, in := range m.Snapshot.Items {
					w.note(in.ID, at)
				}
			case "resume":
				last.Epoch, last.Scope = m.Epoch, m.Scope
			case "event":
				last.Seq = m.Seq
				w.note(m.ID, at)
			case "skip":
				last.Seq = max(last.Seq, m.To)
			}
		}
		w.mu.Unlock()
	}
}

func (w *watcher) note(id string, at time.Time) {
	if _, ok := w.seen[id]; !ok {
		w.seen[id] = at
	}
}
