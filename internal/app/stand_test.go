// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/api"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
)

// stand is a whole server over a made-up county on the real database.
//
//	      107.0      107.5      108.0
//	38.5 ┌──────────┬──────────┐
//	     │ A1       │ B1       │   county C, towns A and B,
//	38.25├──────────┼──────────┤   two grids each
//	     │ A2       │ B2       │
//	38.0 └──────────┴──────────┘
type stand struct {
	t    testing.TB
	s    *Server
	url  string
	http *http.Client
}

func newStand(t testing.TB) *stand {
	t.Helper()
	return newStandWith(t, Options{})
}

// newStandWith is newStand with options of its own, on a database that prepare
// changed before the server started.
func newStandWith(t testing.TB, o Options, prepare ...string) *stand {
	t.Helper()
	o.DatabaseURL = standDatabase(t, prepare...)
	if now := o.Now; now != nil {
		o.databaseNow = func(context.Context, *pgx.Conn) (time.Time, error) { return now(), nil }
	}
	return startStand(t, o)
}

// standDatabase is the address of a database with the grids of a stand.
func standDatabase(t testing.TB, prepare ...string) string {
	t.Helper()
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	square := func(x0, y0, x1, y1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
	}
	// The county and the towns have the corners of their grids on their borders.
	county := orb.MultiPolygon{{{{107, 38}, {107.5, 38}, {108, 38}, {108, 38.25}, {108, 38.5}, {107.5, 38.5}, {107, 38.5}, {107, 38.25}, {107, 38}}}}
	version, err := db.SaveDraft(t.Context(), []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: county},
		{Code: "A", Parent: "C", Level: 2, Name: "甲镇", Geom: square(107, 38, 107.5, 38.5)},
		{Code: "A1", Parent: "A", Level: 3, Name: "甲一", Geom: square(107, 38.25, 107.5, 38.5)},
		{Code: "A2", Parent: "A", Level: 3, Name: "甲二", Geom: square(107, 38, 107.5, 38.25)},
		{Code: "B", Parent: "C", Level: 2, Name: "乙镇", Geom: square(107.5, 38, 108, 38.5)},
		{Code: "B1", Parent: "B", Level: 3, Name: "乙一", Geom: square(107.5, 38.25, 108, 38.5)},
		{Code: "B2", Parent: "B", Level: 3, Name: "乙二", Geom: square(107.5, 38, 108, 38.25)},
	}, true, "test")
	if err == nil {
		err = db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SaveSetting(t.Context(), "centre", store.Centre{Name: "测试综治中心", Levels: []string{"县", "镇", "网格"}}); err != nil {
		t.Fatal(err)
	}
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	for _, sql := range prepare {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	db.Close()
	return url
}

// exec changes the database as its owner, behind the server's back.
func (st *stand) exec(sql string, args ...any) {
	st.t.Helper()
	if _, err := st.s.db.Pool.Exec(st.t.Context(), sql, args...); err != nil {
		st.t.Fatalf("%s: %v", sql, err)
	}
}

// close walks incidents that are only reported to their end, past everybody's acts.
func (st *stand) close(where string, args ...any) {
	st.t.Helper()
	for _, state := range []string{"accepted", "routed", "acknowledged", "resolved", "verified"} {
		st.exec("UPDATE incident SET state = '"+state+"' WHERE "+where, args...)
	}
	st.exec("UPDATE incident SET state = 'closed', closed_at = now() WHERE "+where, args...)
}

// testClock is a server's time, moved by hand.
type testClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *testClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logBook is a writer that may be read while it is written.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startStand(t testing.TB, o Options) *stand {
	t.Helper()
	o.Listen, o.DeviceListen, o.AdminListen, o.Data = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &stand{t: t, s: s, url: s.URL(), http: &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// tokenLife is how long tests' tokens hold: clocks that are moved by hand don't end them.
const tokenLife = 30 * 24 * time.Hour

// token makes a token of this role over the grid with this code, "" for all.
func (st *stand) token(role auth.Role, code string) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: role, GridCode: code, ExpiresAt: &until}); err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// answer is what came back of a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// call sends a request with headers given as "Name: value".
func (st *stand) call(method, path, token, body string, headers ...string) answer {
	st.t.Helper()
	req, err := http.NewRequestWithContext(st.t.Context(), method, st.url+path, strings.NewReader(body))
	if err != nil {
		st.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := st.http.Do(req)
	if err != nil {
		st.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		st.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, raw}
}

func (st *stand) get(path, token string) answer { return st.call("GET", path, token, "") }

// report posts a good report at a WGS-84 place.
func (st *stand) report(token string, lon, lat float64, headers ...string) answer {
	st.t.Helper()
	return st.call("POST", "/api/v1/incidents", token, fmt.Sprintf(`{"category":"0301","title":"消防通道占堵","location":{"lon":%v,"lat":%v,"crs":"wgs84"}}`, lon, lat), headers...)
}

func (st *stand) count(sql string, args ...any) int {
	st.t.Helper()
	var n int
	if err := st.s.db.Pool.QueryRow(st.t.Context(), sql, args...).Scan(&n); err != nil {
		st.t.Fatal(err)
	}
	return n
}

// message is one message of the live stream.
type message struct {
	Type     string          `json:"type"`
	Seq      int64           `json:"seq"`
	To       int64           `json:"to"`
	Head     int64           `json:"head"`
	Epoch    string          `json:"epoch"`
	Scope    string          `json:"scope"`
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	Data     json.RawMessage `json:"data"`
	Items    json.RawMessage `json:"items"`
	FeedAge  *int            `json:"feed_age_s"`
	Snapshot struct {
		Items []struct {
			Kind, ID string
			Ver      int
			Data     json.RawMessage
		}
	} `json:"snapshot"`
}

// live opens the stream and says hello.
type live struct {
	t    testing.TB
	c    *websocket.Conn
	todo []message
}

func (st *stand) live(token, hello string) *live {
	st.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second}
	c, res, err := d.DialContext(st.t.Context(), "ws"+strings.TrimPrefix(st.url, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		st.t.Fatalf("%v (%v)", err, res)
	}
	st.t.Cleanup(func() { _ = c.Close() })
	if err := c.WriteMessage(websocket.TextMessage, []byte(hello)); err != nil {
		st.t.Fatal(err)
	}
	return &live{t: st.t, c: c}
}

// any returns the next message.
func (l *live) any() message {
	l.t.Helper()
	for len(l.todo) == 0 {
		_ = l.c.SetReadDeadline(time.Now().Add(15 * time.Second))
		_, raw, err := l.c.ReadMessage()
		if err != nil {
			l.t.Fatal(err)
		}
		if raw = bytes.TrimSpace(raw); raw[0] != '[' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		if err := json.Unmarshal(raw, &l.todo); err != nil {
			l.t.Fatalf("%v in %s", err, raw)
		}
	}
	m := l.todo[0]
	l.todo = l.todo[1:]
	return m
}

// next returns the next message that is no tick and no positions.
func (l *live) next() message {
	l.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		m := l.any()
		if m.Type != "tick" && m.Type != "positions" {
			return m
		}
	}
	l.t.Fatal("nothing but ticks in 30 s")
	return message{}
}

// wait polls until ok, for things that happen soon but not at once.
func (st *stand) wait(what string, ok func() bool) {
	st.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			st.t.Fatalf("no %s within a minute", what)
		}
		select {
		case <-st.t.Context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// soak reports whether the full counts are asked for (make soak).
func soak() bool { return os.Getenv("ONEMAP_SOAK") == "1" }

// plenty are limits that only tests of limits meet.
func plenty() api.Limits {
	const lots = 1_000_000
	return api.Limits{
		ReadsPerSecond: lots, ChangesPerSecond: lots, TilesPerSecond: lots, WrongSecrets: lots, LoginsPerMinute: lots, AddressLoginsPerMinute: lots,
		RevealsPerDay: lots, ExportsPerDay: lots, Wait: 10 * time.Second,
	}
}

// checkedStand is a stand whose log at its finest goes into the book.
func checkedStand(t *testing.T, o Options) (*stand, *logBook) {
	t.Helper()
	book := &logBook{}
	o.Log = slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return newStandWith(t, o), book
}

// cookie makes a session of this role and returns it as a Cookie header.
func (st *stand) cookie(role auth.Role, from string) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	c := store.Credential{Kind: store.Session, Role: role, ExpiresAt: &until}
	if from != "" {
		c.Address = netip.MustParseAddr(from)
	}
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, c); err != nil {
		st.t.Fatal(err)
	}
	return "Cookie: onemap_session=" + secret
}

// from returns a client whose requests come from another address of this machine.
func from(t *testing.T, addr string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	tr := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}
