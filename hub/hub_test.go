// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onemap/auth"
	"onemap/feed"
	"onemap/hub"
)

const epoch = feed.Epoch("e1")

// begin starts the hub as of n events that moved one incident each.
func begin(t testing.TB, o hub.Options, n int) (*stand, *record) {
	rec := &record{}
	st := &feed.State{}
	for i := 1; i <= n; i++ {
		e := incident(feed.Seq(i), fmt.Sprint(i), 0, int32(1+i%100))
		rec.add(e)
		if err := feed.Apply(st, e); err != nil {
			t.Fatal(err)
		}
	}
	if o.Read == nil {
		o.Read = rec.read
	}
	s := newStand(t, o)
	s.Start(epoch, st)
	return s, rec
}

func (s *stand) publish(evs ...feed.Event) {
	s.t.Helper()
	if err := s.Publish(evs); err != nil {
		s.t.Fatal(err)
	}
}

func TestHelloIsAnsweredByResumeOrReset(t *testing.T) {
	tag := tagOf(countyA)
	failing := func(context.Context, feed.Seq, int) ([]feed.Event, error) { return nil, errors.New("away") }
	for name, c := range map[string]struct {
		fields    []string
		events    int
		ring      int
		read      func(context.Context, feed.Seq, int) ([]feed.Event, error)
		want      string
		readsBack bool
	}{
		"a first visit starts over":               {nil, 40, 0, nil, "reset", false},
		"the next seq is in the ring":             {[]string{`"epoch":"e1"`, `"seq":30`, scoped(tag)}, 40, 0, nil, "resume", false},
		"nothing was missed":                      {[]string{`"epoch":"e1"`, `"seq":40`, scoped(tag)}, 40, 0, nil, "resume", false},
		"beyond the ring the record is read":      {[]string{`"epoch":"e1"`, `"seq":3`, scoped(tag)}, 1700, 16, nil, "resume", true},
		"the record is away: start over":          {[]string{`"epoch":"e1"`, `"seq":3`, scoped(tag)}, 400, 16, failing, "reset", true},
		"5,000 behind is still resumed":           {[]string{`"epoch":"e1"`, `"seq":1`, scoped(tag)}, 5001, 16, nil, "resume", true},
		"more than 5,000 behind starts over":      {[]string{`"epoch":"e1"`, `"seq":1`, scoped(tag)}, 5002, 16, nil, "reset", false},
		"a seq of the future starts over":         {[]string{`"epoch":"e1"`, `"seq":41`, scoped(tag)}, 40, 0, nil, "reset", false},
		"a negative seq starts over":              {[]string{`"epoch":"e1"`, `"seq":-5`, scoped(tag)}, 40, 0, nil, "reset", false},
		"another epoch starts over":               {[]string{`"epoch":"e0"`, `"seq":30`, scoped(tag)}, 40, 0, nil, "reset", false},
		"another scope starts over":               {[]string{`"epoch":"e1"`, `"seq":30`, scoped("0")}, 40, 0, nil, "reset", false},
		"the scope of the other view starts over": {[]string{`"epoch":"e1"`, `"seq":30`, scoped(tagOf(wallA))}, 40, 0, nil, "reset", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := begin(t, hub.Options{Ring: c.ring, Read: c.read}, c.events)
			p := s.visit(countyA, c.fields...)
			m := p.want("reset", "resume")
			if c.want == "reset" && m.Type == "resume" {
				m = p.want("reset") // the record failed only after the resume was promised
			}
			if m.Type != c.want || m.Epoch != "e1" || m.Scope != tag {
				t.Fatalf("got %s", m.raw)
			}
			if m.Head != feed.Seq(c.events) {
				t.Errorf("head is %d", m.Head)
			}
			next := feed.Seq(c.events + 1)
			s.publish(incident(next, "new", 0, 7))
			lines := p.line(next)
			if last := lines[len(lines)-1]; last != fmt.Sprintf("event %d new", next) {
				t.Errorf("the line ends with %q", last)
			}
			if got := s.Stats().ReadBacks > 0; got != c.readsBack {
				t.Errorf("read from the record: %t", got)
			}
		})
	}
}

func scoped(tag string) string { return fmt.Sprintf(`"scope":%q`, tag) }

func TestSnapshotHoldsTheScopeInOrder(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 120)
	m := s.visit(townA1).want("reset")
	var got, want []string
	for _, it := range m.Snapshot.Items {
		got = append(got, it.Kind+"/"+it.ID)
	}
	for i := 1; i <= 120; i++ {
		if g := int32(1 + i%100); g >= 2 && g <= 10 {
			want = append(want, fmt.Sprintf("incident/%d", i))
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("snapshot holds %v, want %v", got, want)
	}
}

func TestAudienceDecidesEventGoneOrSkip(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 0)
	county, a1, a2, wall, other := s.visit(countyA), s.visit(townA1), s.visit(townA2), s.visit(wallA1), s.visit(countyB)
	for _, p := range []*peer{county, a1, a2, wall, other} {
		p.want("reset")
	}
	hidden := incident(4, "7", 5, 5)
	hidden.Shared = nil // no longer shown on walls
	offer := incident(5, "o1", 0, 5)
	offer.Entity.Kind, offer.Shared = "offer", nil
	config := incident(6, "c", 5, 5)
	config.Kind, config.Live = "config.categories", feed.None
	closing := incident(7, "7", 5, 5)
	closing.Live = feed.End
	s.publish(incident(1, "7", 0, 5), incident(2, "7", 5, 15), incident(3, "7", 15, 5), hidden, offer, config, closing, incident(8, "9", 0, 60))
	for name, c := range map[string]struct {
		p    *peer
		want []string
	}{
		"the county sees all but configuration":                         {county, []string{"event 1 7", "event 2 7", "event 3 7", "event 4 7", "event 5 o1", "skip 6", "event 7 7", "skip 8"}},
		"a town loses what moves away":                                  {a1, []string{"event 1 7", "gone 2 incident/7", "event 3 7", "event 4 7", "event 5 o1", "skip 6", "event 7 7", "skip 8"}},
		"its sibling sees the visit alone":                              {a2, []string{"skip 1", "event 2 7", "gone 3 incident/7", "skip 8"}},
		"a wall loses what is hidden from it and never hears of offers": {wall, []string{"event 1 7", "gone 2 incident/7", "event 3 7", "gone 4 incident/7", "skip 6", "event 7 7", "skip 8"}},
		"another county sees its own alone":                             {other, []string{"skip 7", "event 8 9"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.p.line(8); !slices.Equal(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// What a reader was never shown is not named to it when it leaves, not even to one
// that was away: events of the record do not tell what was shown before them.
func TestWhatWasHiddenIsNotNamedToWhoWasAway(t *testing.T) {
	hidden := incident(1, "7", 0, 5)
	hidden.Shared = nil
	left := incident(2, "7", 5, 60) // shown by now, but elsewhere
	for name, c := range map[string]struct{ ring, more int }{
		"read from the record":                 {16, 40},
		"in the ring since the server started": {64, 10},
	} {
		t.Run(name, func(t *testing.T) {
			st, rec := &feed.State{}, &record{}
			evs := []feed.Event{hidden, left}
			for seq := feed.Seq(3); seq <= feed.Seq(c.more); seq++ {
				evs = append(evs, incident(seq, fmt.Sprint("more", seq), 0, 5))
			}
			rec.add(evs...)
			for _, e := range evs {
				if err := feed.Apply(st, e); err != nil {
					t.Fatal(err)
				}
			}
			s := newStand(t, hub.Options{Ring: c.ring, Read: rec.read})
			s.Start(epoch, st)
			p := s.visit(wallA1, `"epoch":"e1"`, `"seq":1`, scoped(tagOf(wallA1)))
			m := p.want("gone", "reset")
			if m.Type == "gone" {
				t.Fatalf("told %s of what it never saw", m.raw)
			}
			if m.Head != feed.Seq(c.more) || len(m.Snapshot.Items) != c.more-2 {
				t.Fatalf("got %s", m.raw)
			}
		})
	}
}

func TestViewsGetTheirOwnPayload(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 0)
	desk, wall := s.visit(countyA), s.visit(wallA)
	desk.want("reset")
	wall.want("reset")
	s.publish(incident(1, "7", 0, 5))
	if m := desk.want("event"); string(m.Data) != `{"id":"7","n":1,"title":"g5"}` {
		t.Errorf("the desk got %s", m.Data)
	}
	if m := wall.want("event"); string(m.Data) != `{"id":"7","n":1}` {
		t.Errorf("the wall got %s", m.Data)
	}
	if m := s.visit(wallA).want("reset"); strings.Contains(string(m.raw), "title") {
		t.Errorf("the wall's snapshot is %s", m.raw)
	}
}

func TestSecondHelloFillsTheGap(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 30)
	p := s.visit(countyA)
	tag := p.want("reset").Scope
	p.hello(`"epoch":"e1"`, `"seq":25`, scoped(tag))
	if m := p.want("resume"); m.Head != 30 {
		t.Fatalf("got %s", m.raw)
	}
	want := []string{"event 26 26", "event 27 27", "event 28 28", "event 29 29", "event 30 30"}
	if got := p.line(30); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	s.publish(incident(31, "x", 0, 5))
	if got := p.line(31); !slices.Equal(got, []string{"event 31 x"}) {
		t.Errorf("then got %v", got)
	}
}

func TestResetStartsEverybodyOver(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 10)
	p, deaf := s.visit(countyA), s.visit(countyA, `"topics":["positions"]`)
	p.want("reset")
	deaf.want("resume")
	s.Reset("e2", feed.NewState(3, nil))
	if m := p.want("reset"); m.Epoch != "e2" || m.Head != 3 || len(m.Snapshot.Items) != 0 {
		t.Fatalf("got %s", m.raw)
	}
	s.publish(incident(4, "x", 0, 5))
	if got := p.line(4); !slices.Equal(got, []string{"event 4 x"}) {
		t.Errorf("got %v", got)
	}
	if m := deaf.want("reset", "event", "skip", "tick"); m.Type != "tick" || m.Head != 4 {
		t.Errorf("a reader of positions alone got %s", m.raw)
	}
}

func TestPublishRefusesWhatDoesNotFollow(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 10)
	for name, evs := range map[string][]feed.Event{
		"a gap":           {incident(12, "x", 0, 5)},
		"an old event":    {incident(10, "x", 0, 5)},
		"a gap inside":    {incident(11, "x", 0, 5), incident(13, "x", 0, 5)},
		"a double inside": {incident(11, "x", 0, 5), incident(11, "x", 0, 5)},
	} {
		if err := s.Publish(evs); !errors.Is(err, hub.ErrNotNext) {
			t.Errorf("%s: %v", name, err)
		}
		if s.Head() != 10 {
			t.Errorf("%s: the head is %d", name, s.Head())
		}
	}
	if err := hub.New(hub.Options{}).Publish(nil); !errors.Is(err, hub.ErrNotNext) {
		t.Errorf("before start: %v", err)
	}
}

func TestCloseCodes(t *testing.T) {
	big := strings.Repeat("x", 17<<10)
	for name, c := range map[string]struct {
		do   func(s *stand, p *peer)
		want int
	}{
		"an oversized message": {func(_ *stand, p *peer) { _ = p.ws.WriteMessage(websocket.TextMessage, []byte(big)) }, 1009},
		"a binary message":     {func(_ *stand, p *peer) { _ = p.ws.WriteMessage(websocket.BinaryMessage, []byte("x")) }, 1003},
		"not JSON":             {func(_ *stand, p *peer) { _ = p.ws.WriteMessage(websocket.TextMessage, []byte("{")) }, 1008},
		"an unknown type":      {func(_ *stand, p *peer) { _ = p.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"publish"}`)) }, 1008},
		"hello upon hello": {func(_ *stand, p *peer) {
			for range 8 {
				p.hello()
			}
		}, 1008},
		"the session ended": {func(s *stand, _ *peer) {
			s.Drop(hub.SignInAgain, func(a auth.Actor) bool { return a.ID == "county-a" })
		}, 4001},
		"the scope changed": {func(s *stand, _ *peer) { s.Drop(hub.ScopeChanged, func(auth.Actor) bool { return true }) }, 4003},
		"the server stops":  {func(s *stand, _ *peer) { _ = s.Stop(context.Background()) }, 1012},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := begin(t, hub.Options{}, 3)
			p := s.visit(countyA)
			p.want("reset")
			c.do(s, p)
			code, reason := p.closed()
			if code != c.want {
				t.Errorf("closed with %d %q", code, reason)
			}
			var ms int
			if _, err := fmt.Sscanf(reason, "retry_ms=%d", &ms); c.want == 1012 && (err != nil || ms < 500) {
				t.Errorf("no delay in %q", reason)
			}
			eventually(t, "the socket is forgotten", func() bool { return s.Stats().Clients == 0 })
		})
	}
}

// A reader that stops reading is closed, and costs nobody else anything.
func TestSlowReaderIsClosedAndHealthyOnesAreNot(t *testing.T) {
	s, _ := begin(t, hub.Options{Gather: time.Millisecond}, 0)
	stalled, _, err := s.tryDial(countyA, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	slow := &peer{t: t, ws: stalled}
	slow.hello()
	healthy := []*peer{s.visit(countyA), s.visit(wallA), s.visit(townA1)}
	for _, p := range healthy {
		p.want("reset")
	}
	pad := strings.Repeat("y", 4000)
	seq := feed.Seq(0)
	for s.Stats().Slow == 0 {
		if seq > 5000 {
			t.Fatal("20 MB sent and nobody noticed that the reader is slow")
		}
		seq++
		e := incident(seq, fmt.Sprint(seq), 0, 5)
		e.Case = []byte(`{"pad":"` + pad + `"}`)
		e.Shared = e.Case
		s.publish(e)
		for _, p := range healthy {
			if m := p.want("event"); m.Seq != seq {
				t.Fatalf("a healthy reader got %d instead of %d", m.Seq, seq)
			}
		}
	}
	if n := s.Stats().Slow; n != 1 {
		t.Errorf("%d sockets were closed as slow", n)
	}
	if code, _ := slow.closed(); code != hub.TooSlow {
		t.Errorf("closed with %d", code)
	}
	eventually(t, "the slow one is forgotten", func() bool { return s.Stats().Clients == len(healthy) })
}

func TestLimitsRefuseBeforeTheUpgrade(t *testing.T) {
	for name, c := range map[string]struct {
		limits hub.Limits
		same   bool
		open   int
		want   int
	}{
		"sockets of one actor":   {hub.Limits{}, true, 8, http.StatusTooManyRequests},
		"sockets of one address": {hub.Limits{PerIP: 3}, false, 3, http.StatusTooManyRequests},
		"sockets in all":         {hub.Limits{Total: 2}, false, 2, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := begin(t, hub.Options{Limits: c.limits}, 3)
			who := func(i int) auth.Actor {
				if c.same {
					return wallA
				}
				return actor(auth.Wall, fmt.Sprint("wall-", i), 1, 50)
			}
			var first *peer
			for i := range c.open {
				first = s.visit(who(i))
			}
			_, res, err := s.tryDial(who(c.open), 0)
			if err == nil || res.StatusCode != c.want || res.Header.Get("Retry-After") == "" {
				t.Fatalf("answered %v, %v", res, err)
			}
			_ = first.ws.Close() // none was evicted for it, and one that leaves makes room
			eventually(t, "there is room again", func() bool {
				ws, _, err := s.tryDial(who(c.open), 0)
				if err == nil {
					_ = ws.Close()
				}
				return err == nil
			})
		})
	}
}

func TestOnlyReadersOfTheMapAreLetIn(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 3)
	for _, r := range []auth.Role{auth.SystemAdmin, auth.SecurityAdmin, auth.Auditor} {
		if _, res, err := s.tryDial(actor(r, string(r), 1, 50), 0); err == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v %v", r, res, err)
		}
	}
	if _, res, err := s.tryDial(auth.Actor{ID: "nobody"}, 0); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("the zero actor: %v %v", res, err)
	}
}

func TestOriginMustBeOurs(t *testing.T) {
	s, _ := begin(t, hub.Options{Limits: hub.Limits{PerActor: 100}}, 3)
	host := strings.TrimSuffix(strings.TrimPrefix(s.url, "ws://"), "/api/v1/live")
	for name, c := range map[string]struct {
		origin, cookie string
		bearer         bool
		want           int
	}{
		"our own page":                 {"http://" + host, "s=1", false, 101},
		"our own page, upper case":     {"HTTP://" + strings.ToUpper(host), "", false, 101},
		"behind a TLS proxy":           {"https://" + host, "", false, 101},
		"a foreign page":               {"http://evil.example", "s=1", false, 403},
		"a sandboxed page":             {"null", "s=1", false, 403},
		"a look-alike suffix":          {"http://" + host + ".evil.example", "", true, 403},
		"a look-alike prefix":          {"http://evil-" + host, "", true, 403},
		"a look-alike user":            {"http://" + host + "@evil.example", "", true, 403},
		"another port":                 {"http://127.0.0.1:1", "", true, 403},
		"another scheme":               {"file://" + host, "", true, 403},
		"a program with a token":       {"", "", true, 101},
		"a program with a cookie":      {"", "s=1", false, 403},
		"a token and a cookie at once": {"", "s=1", true, 403},
		"neither":                      {"", "", false, 403},
	} {
		t.Run(name, func(t *testing.T) {
			hd := http.Header{}
			if c.origin != "" {
				hd.Set("Origin", c.origin)
			}
			if c.cookie != "" {
				hd.Set("Cookie", c.cookie)
			}
			if c.bearer {
				hd = mergeHeader(hd, s.header(wallA))
			} else {
				hd.Set("Authorization", "Basic wall-a")
				s.header(wallA)
			}
			d := websocket.Dialer{Subprotocols: []string{hub.Subprotocol}}
			ws, res, err := d.Dial(s.url, hd)
			if err == nil {
				defer ws.Close()
			}
			if res == nil || res.StatusCode != c.want {
				t.Errorf("answered %v, %v; want %d", res, err, c.want)
			}
		})
	}
}

func mergeHeader(a, b http.Header) http.Header {
	for k, v := range b {
		a[k] = v
	}
	return a
}

func TestSubprotocolMustBeAskedFor(t *testing.T) {
	s, _ := begin(t, hub.Options{}, 3)
	_, res, err := websocket.DefaultDialer.Dial(s.url, s.header(wallA))
	if err == nil || res.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("answered %v, %v", res, err)
	}
}

// A storm of readers with the same scope costs one encoding.
func TestSnapshotIsEncodedOnceForAStorm(t *testing.T) {
	s, _ := begin(t, hub.Options{Limits: hub.Limits{PerIP: 1000}}, 500)
	done := make(chan *peer)
	const readers = 150
	for i := range readers {
		go func() {
			ws, _, err := s.tryDial(actor(auth.Wall, fmt.Sprint("w", i), 1, 50), 0)
			if err != nil {
				t.Error(err)
				done <- nil
				return
			}
			p := &peer{t: t, ws: ws}
			p.hello()
			if m, err := p.next(); err != nil || m.Type != "reset" {
				t.Errorf("got %s, %v", m.raw, err)
			}
			done <- p
		}()
	}
	for range readers {
		if p := <-done; p != nil {
			defer p.ws.Close()
		}
	}
	if st := s.Stats(); st.Snapshots != 1 || st.Resets != readers {
		t.Errorf("%+v", st)
	}
}
