// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"onemap/auth"
	"onemap/feed"
	"onemap/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Grid numbers of the tests: county A is 1..50 with towns 2..10 and 11..20,
// county B is 51..100.
var (
	countyA = actor(auth.HallOperator, "county-a", 1, 50)
	countyB = actor(auth.HallOperator, "county-b", 51, 100)
	townA1  = actor(auth.TownOperator, "town-a1", 2, 10)
	townA2  = actor(auth.TownOperator, "town-a2", 11, 20)
	wallA   = actor(auth.Wall, "wall-a", 1, 50)
	wallA1  = actor(auth.Wall, "wall-a1", 2, 10)
)

// tagOf is the name of what the live stream shows an actor.
func tagOf(a auth.Actor) string {
	s, err := auth.StreamOf(a)
	if err != nil {
		panic(err)
	}
	return s.Tag
}

func actor(r auth.Role, id string, lo, hi int32) auth.Actor {
	return auth.NewActor(auth.Grant{ID: id, Role: r, Intervals: []auth.Interval{{Lo: lo, Hi: hi}}})
}

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// incident makes the next payloads of an incident.
func incident(seq feed.Seq, id string, before, after int32) feed.Event {
	e := feed.Event{
		Seq: seq, At: noon.Add(time.Duration(seq) * time.Second), Kind: "incident.changed",
		Entity: feed.Key{Kind: "incident", ID: id}, Ver: int(seq), Live: feed.Put,
		Before: feed.Audience{Grid: before}, After: feed.Audience{Grid: after},
		Shared: json.RawMessage(fmt.Sprintf(`{"id":%q,"n":%d}`, id, seq)),
		Case:   json.RawMessage(fmt.Sprintf(`{"id":%q,"n":%d,"title":"g%d"}`, id, seq, after)),
	}
	if before == 0 {
		e.Kind = "incident.opened"
	}
	return e
}

// record is the feed as the database holds it.
type record struct {
	mu  sync.Mutex
	evs []feed.Event
}

func (r *record) add(evs ...feed.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.evs = append(r.evs, evs...)
}

func (r *record) read(_ context.Context, after feed.Seq, limit int) ([]feed.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(after) > len(r.evs) {
		return nil, errors.New("no such event")
	}
	tail := r.evs[after:]
	return tail[:min(limit, len(tail))], nil
}

// stand is a hub behind a real HTTP server. The bearer token of a request names
// its actor.
type stand struct {
	*hub.Hub
	t      testing.TB
	url    string
	srv    *http.Server
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	mu     sync.Mutex
	actors map[string]auth.Actor
	lease  func(context.Context) error
}

// newStand serves on a loopback port; newPipeStand on pipes, for synctest.
func newStand(t testing.TB, o hub.Options) *stand {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	return stood(t, o, l, d.DialContext)
}

func newPipeStand(t testing.TB, o hub.Options) *stand {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	return stood(t, o, l, func(context.Context, string, string) (net.Conn, error) { return l.connect() })
}

func stood(t testing.TB, o hub.Options, l net.Listener, dial func(context.Context, string, string) (net.Conn, error)) *stand {
	s := &stand{Hub: hub.New(o), t: t, dial: dial, url: "ws://onemap.test/api/v1/live", actors: map[string]auth.Actor{}}
	if a := l.Addr().String(); a != "pipe" {
		s.url = "ws://" + a + "/api/v1/live"
	}
	s.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		s.mu.Lock()
		a, lease := s.actors[token], s.lease
		s.mu.Unlock()
		s.Serve(w, r, a, lease)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		_ = s.srv.Close()
		<-done
	})
	return s
}

// pipes is a listener whose connections are in-memory pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) connect() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.conns <- a:
		return b, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// peer is a client's end of a socket.
type peer struct {
	t    testing.TB
	ws   *websocket.Conn
	todo []json.RawMessage // messages of the last frame not yet taken
}

func (s *stand) header(a auth.Actor) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actors[a.ID] = a
	return http.Header{"Authorization": {"Bearer " + a.ID}}
}

func (s *stand) tryDial(a auth.Actor, readBuffer int) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{Subprotocols: []string{hub.Subprotocol}, NetDialContext: s.dial, HandshakeTimeout: 40 * time.Second}
	if readBuffer > 0 {
		d.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := s.dial(ctx, network, addr)
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.SetReadBuffer(readBuffer)
			}
			return c, err
		}
	}
	ws, res, err := d.Dial(s.url, s.header(a))
	if res != nil && res.Body != nil {
		_ = res.Body.Close()
	}
	return ws, res, err
}

func (s *stand) connect(a auth.Actor) *peer {
	s.t.Helper()
	ws, _, err := s.tryDial(a, 0)
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	p := &peer{t: s.t, ws: ws}
	s.t.Cleanup(func() { _ = ws.Close() })
	return p
}

// visit connects and says hello; fields are JSON, as `"seq":12`.
func (s *stand) visit(a auth.Actor, fields ...string) *peer {
	s.t.Helper()
	p := s.connect(a)
	p.hello(fields...)
	return p
}

func (p *peer) hello(fields ...string) {
	p.t.Helper()
	msg := "{" + strings.Join(append([]string{`"type":"hello"`}, fields...), ",") + "}"
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(msg)); err != nil {
		p.t.Fatalf("hello: %v", err)
	}
}

// message is any message of the protocol.
type message struct {
	Type     string
	Epoch    string
	Head     feed.Seq
	Scope    string
	Seq      feed.Seq
	To       feed.Seq
	Kind     string
	ID       string
	Live     string
	Data     json.RawMessage
	Full     bool
	Items    [][]any
	Time     string
	At       string
	FeedAge  *int `json:"feed_age_s"`
	Snapshot struct {
		Items []struct {
			Kind, ID string
			Data     json.RawMessage
		}
	}
	binary []byte
	raw    json.RawMessage
}

// next reads one message; an error is the socket's end.
func (p *peer) next() (message, error) {
	for len(p.todo) == 0 {
		_ = p.ws.SetReadDeadline(time.Now().Add(90 * time.Second))
		kind, b, err := p.ws.ReadMessage()
		if err != nil {
			return message{}, err
		}
		if kind == websocket.BinaryMessage {
			return message{Type: "positions", binary: b}, nil
		}
		if b[0] != '[' {
			p.todo = []json.RawMessage{b}
		} else if err := json.Unmarshal(b, &p.todo); err != nil {
			return message{}, fmt.Errorf("frame %s: %w", b, err)
		}
	}
	m := message{raw: p.todo[0]}
	p.todo = p.todo[1:]
	if err := json.Unmarshal(m.raw, &m); err != nil {
		return m, fmt.Errorf("message %s: %w", m.raw, err)
	}
	return m, nil
}

// want reads up to the next message of one of the types.
func (p *peer) want(types ...string) message {
	p.t.Helper()
	for {
		m, err := p.next()
		if err != nil {
			p.t.Fatalf("waiting for %v: %v", types, err)
		}
		for _, t := range types {
			if m.Type == t {
				return m
			}
		}
	}
}

// line reads feed messages until the client stands at seq and returns them in
// short, as "event 3 incident/7".
func (p *peer) line(seq feed.Seq) []string {
	p.t.Helper()
	var out []string
	for {
		m := p.want("event", "gone", "skip")
		at := max(m.Seq, m.To)
		switch m.Type {
		case "skip":
			out = append(out, fmt.Sprintf("skip %d", m.To))
		case "gone":
			out = append(out, fmt.Sprintf("gone %d %s/%s", m.Seq, m.Kind, m.ID))
		default:
			out = append(out, fmt.Sprintf("event %d %s", m.Seq, m.ID))
		}
		if at >= seq {
			return out
		}
	}
}

// closed reads to the end and returns the close code and reason.
func (p *peer) closed() (int, string) {
	for {
		if _, err := p.next(); err != nil {
			var ce *websocket.CloseError
			if errors.As(err, &ce) {
				return ce.Code, ce.Text
			}
			p.t.Logf("ended without a close frame: %v", err)
			return websocket.CloseAbnormalClosure, ""
		}
	}
}

// eventually polls until ok, within a minute.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
