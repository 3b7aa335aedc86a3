// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/paulmach/orb"

	"onemap/api"
	"onemap/auth"
	"onemap/frontend"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/track"
)

// The tests of this file and of badinput_test.go prove lines of the security
// checklist; docs/SECURITY.md says which line each is for.

// logBook catches a server's log.
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

// plenty are limits that only tests of limits meet.
func plenty() api.Limits {
	const lots = 1_000_000
	return api.Limits{
		ReadsPerSecond: lots, ChangesPerSecond: lots, TilesPerSecond: lots, WrongSecrets: lots, LoginsPerMinute: lots, AddressLoginsPerMinute: lots,
		RevealsPerDay: lots, ExportsPerDay: lots, Wait: 10 * time.Second,
	}
}

// checkedStand is a stand over a county C with the towns A (west) and B (east),
// whose log at its finest goes into the book.
func checkedStand(t *testing.T, o Options) (*stand, *logBook) {
	t.Helper()
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	square := func(x0, x1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, 38}, {x1, 38}, {x1, 38.5}, {x0, 38.5}, {x0, 38}}}}
	}
	county := orb.MultiPolygon{{{{107, 38}, {107.5, 38}, {108, 38}, {108, 38.5}, {107.5, 38.5}, {107, 38.5}, {107, 38}}}}
	version, err := db.SaveDraft(t.Context(), []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: county},
		{Code: "A", Parent: "C", Level: 2, Name: "甲镇", Geom: square(107, 107.5)},
		{Code: "B", Parent: "C", Level: 2, Name: "乙镇", Geom: square(107.5, 108)},
	}, true, "test")
	if err == nil {
		err = db.Enact(t.Context(), version)
	}
	if err == nil {
		err = db.SaveSetting(t.Context(), "centre", store.Centre{Name: "测试综治中心", Levels: []string{"县", "镇"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	book := &logBook{}
	o.DatabaseURL, o.Log = url, slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return startStand(t, o), book
}

// cookie makes a session of this role and returns it as a Cookie header.
func (st *stand) cookie(role auth.Role, from string) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(time.Hour)
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

// operation is one route of the contract.
type operation struct {
	method, path string
	params       []param
	body         *schema
	kinds        []string // content types of the body
}

type param struct {
	Name, In string
	Schema   schema
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]*schema
	Items      *schema
	Required   []string
	Enum       []any
	Minimum    *float64
}

func (s *schema) is(kind string) bool {
	if list, ok := s.Type.([]any); ok {
		return slices.Contains(list, any(kind))
	}
	return s.Type == kind
}

func (o operation) String() string { return o.method + " " + o.path }

// filled is the route's address with ids that nothing has.
func (o operation) filled() string {
	return strings.NewReplacer("{id}", "987654321", "{n}", "1", "{layer}", "grids", "{z}", "8", "{x}", "204", "{y}", "98").Replace(o.path)
}

func (o operation) writes() bool { return o.method != "GET" }

// contract reads every route out of the OpenAPI document.
func (st *stand) contract() []operation {
	st.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters  []param
			RequestBody struct {
				Content map[string]struct{ Schema *schema }
			}
		}
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(st.get("/api/openapi.json", "").body, &doc); err != nil {
		st.t.Fatal(err)
	}
	var resolve func(s *schema) *schema
	resolve = func(s *schema) *schema {
		if s == nil {
			return nil
		}
		if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			s = doc.Components.Schemas[name]
		}
		for k, p := range s.Properties {
			s.Properties[k] = resolve(p)
		}
		s.Items = resolve(s.Items)
		return s
	}
	var out []operation
	for path, methods := range doc.Paths {
		for m, o := range methods {
			op := operation{method: strings.ToUpper(m), path: path, params: o.Parameters}
			for kind, c := range o.RequestBody.Content {
				op.kinds = append(op.kinds, kind)
				if kind == "application/json" {
					op.body = resolve(c.Schema)
				}
			}
			out = append(out, op)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	if len(out) < 25 {
		st.t.Fatalf("the contract has %d routes only", len(out))
	}
	return out
}

// sample is a value that a schema allows.
func sample(s *schema) any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.is("object"):
		out := map[string]any{}
		for _, k := range s.Required {
			if p := s.Properties[k]; p != nil && k != "$schema" {
				out[k] = sample(p)
			}
		}
		return out
	case s.is("array"):
		return []any{}
	case s.is("integer"), s.is("number"):
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case s.is("boolean"):
		return false
	}
	return "x"
}

// keyring is a token of every role.
type keyring map[auth.Role]string

func (st *stand) keyring() keyring {
	k := keyring{}
	for _, r := range auth.Roles {
		k[r] = st.token(r, "")
	}
	return k
}

// asked sends a request to a route as the first role that is let in.
func (st *stand) asked(k keyring, o operation, path, body string, headers ...string) (a answer) {
	for _, r := range []auth.Role{auth.HallOperator, auth.SecurityAdmin, auth.SystemAdmin, auth.Auditor, auth.GridWorker, auth.CountyLeader} {
		if a = st.call(o.method, path, k[r], body, headers...); a.status != 401 && a.status != 403 {
			break
		}
	}
	return a
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTheStreamIsOpenedByOurOwnPagesAndByTokensAlone: a page of anybody else's
// site can make a browser send its cookie along, so the Origin decides.
func TestTheStreamIsOpenedByOurOwnPagesAndByTokensAlone(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	cookie := strings.TrimPrefix(st.cookie(auth.Dispatcher, ""), "Cookie: ")
	token := "Bearer " + st.token(auth.Dispatcher, "")
	host := strings.TrimPrefix(st.url, "http://")
	_, port, _ := strings.Cut(host, ":")
	for _, c := range []struct {
		name, host     string
		origins        []string
		cookie, bearer bool
		want           int
	}{
		{"our own page", host, []string{"http://" + host}, true, false, 101},
		{"our own page in capitals", "localhost:" + port, []string{"http://LOCALHOST:" + port}, true, false, 101},
		{"a foreign page", host, []string{"https://evil.example"}, true, false, 403},
		{"a sandboxed page", host, []string{"null"}, true, false, 403},
		{"a page in a file", host, []string{"file://"}, true, false, 403},
		{"a host that begins like ours", host, []string{"http://" + host + ".evil.example"}, true, false, 403},
		{"a port that begins like ours", host, []string{"http://" + host + ".evil"}, true, false, 403},
		{"a port with a digit more", host, []string{"http://" + host + "0"}, true, false, 403},
		{"no port", host, []string{"http://127.0.0.1"}, true, false, 403},
		{"a host that ends like ours", host, []string{"http://evil-" + host}, true, false, 403},
		{"somebody at our host", host, []string{"http://evil@" + host}, true, false, 403},
		{"ours as somebody at theirs", host, []string{"http://" + host + "@evil.example"}, true, false, 403},
		{"a path", host, []string{"http://" + host + "/x"}, true, false, 403},
		{"two origins", host, []string{"http://" + host, "http://evil.example"}, true, false, 403},
		{"an empty origin", host, []string{""}, true, false, 403},
		{"a foreign page with a token", host, []string{"https://evil.example"}, false, true, 403},
		{"a cookie without an origin", host, nil, true, false, 403},
		{"a token without an origin", host, nil, false, true, 101},
		{"both without an origin", host, nil, true, true, 403},
		{"nobody", host, []string{"http://" + host}, false, false, 401},
	} {
		h := http.Header{"Host": {c.host}}
		if c.origins != nil {
			h["Origin"] = c.origins
		}
		if c.cookie {
			h.Set("Cookie", cookie)
		}
		if c.bearer {
			h.Set("Authorization", token)
		}
		d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 5 * time.Second}
		ws, res, err := d.DialContext(t.Context(), "ws://"+host+"/api/v1/live", h)
		if err == nil {
			_ = ws.Close()
		}
		if res == nil || res.StatusCode != c.want {
			t.Errorf("%s: answered %v, %v; want %d", c.name, res, err, c.want)
		}
	}
}

// secretWord matches names under which somebody would send what opens a door.
var secretWord = regexp.MustCompile(`(?i)token|secret|passw|passwd|pin$|totp|session|cookie|auth|credential|^key$|api_?key|^code$|jwt|signature`)

func TestNoSecretStandsInAnAddress(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	for _, o := range st.contract() {
		for _, p := range o.params {
			if p.In != "header" && secretWord.MatchString(p.Name) {
				t.Errorf("%s takes %s in its address: addresses stand in logs and histories", o, p.Name)
			}
		}
		// Whoever puts one there all the same is not let in by it.
		for _, name := range []string{"access_token", "token", "code", "key"} {
			secret := k[auth.HallOperator]
			a := st.call(o.method, o.filled()+"?"+name+"="+secret, "", "")
			if a.status < 400 && o.path != "/livez" && o.path != "/readyz" && !(o.method == "DELETE" && o.path == "/api/v1/session") {
				t.Errorf("%s?%s=...: let in with %d", o, name, a.status)
			}
			if strings.Contains(string(a.body), secret) {
				t.Errorf("%s?%s=...: the answer has the secret", o, name)
			}
		}
	}
	// Links that the product itself makes keep their secret in the fragment, which
	// no browser sends.
	sec := k[auth.SecurityAdmin]
	for _, made := range []answer{
		st.call("POST", "/api/v1/walls", sec, `{"name":"hall-1"}`),
		st.call("POST", "/api/v1/accounts", k[auth.SystemAdmin], `{"login":"li.desk"}`),
	} {
		link := regexp.MustCompile(`"link":"([^"]+)"`).FindSubmatch(made.body)
		if made.status != 201 || link == nil {
			t.Fatalf("no link: %d %s", made.status, made.body)
		}
		if base, fragment, _ := strings.Cut(string(link[1]), "#"); strings.ContainsAny(base, "?=;") || len(fragment) < 30 {
			t.Errorf("the link %s has its secret elsewhere than in its fragment", base)
		}
	}
	for _, token := range k {
		if strings.Contains(book.String(), token) {
			t.Error("the log has a token")
		}
	}
}

// TestSecretsAreKeptAsHashesOnly looks through every column of every table.
func TestSecretsAreKeptAsHashesOnly(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{})
	token := st.token(auth.SecurityAdmin, "")
	secrets := map[string]string{"a token": token, "a session": strings.TrimPrefix(st.cookie(auth.Dispatcher, ""), "Cookie: onemap_session=")}
	wall := st.call("POST", "/api/v1/walls", token, `{"name":"hall-1"}`).json(t)["link"].(string)
	_, secrets["a wall's code"], _ = strings.Cut(wall, "#code=")
	machine := st.call("POST", "/api/v1/tokens", token, `{"role":"dispatcher"}`)
	secrets["a machine's token"], _ = machine.json(t)["token"].(string)
	in := st.call("POST", "/api/v1/session", "", `{"code":"`+secrets["a wall's code"]+`"}`, "Origin: "+st.url)
	secrets["a wall's session"] = regexp.MustCompile(`onemap_session=([^;]+)`).FindStringSubmatch(in.header.Get("Set-Cookie"))[1]
	for what, s := range secrets {
		if len(s) < 26 { // 128 bits in letters of 5
			t.Fatalf("%s has %d letters: guessable", what, len(s))
		}
		if strings.Contains(book.String(), s) {
			t.Errorf("%s is in the log", what)
		}
	}
	rows, err := st.s.db.Pool.Query(t.Context(), `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || len(tables) < 15 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		for what, s := range secrets {
			if n := st.count(`SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%' || $1 || '%' OR x::text LIKE '%' || encode($1::bytea, 'hex') || '%'`, s); n > 0 {
				t.Errorf("%s stands in table %s", what, table)
			}
		}
	}
}

// addresses are the addresses the audit log has for wrong sign-ins, oldest first.
func (st *stand) addresses() (out []string) {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT data->>'address' FROM audit_log WHERE action = 'session.failed' ORDER BY id`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			st.t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// TestOnlyATrustedProxyMovesAnAddress: what a caller says of where it comes from
// counts for nothing, neither for limits nor in the audit log.
func TestOnlyATrustedProxyMovesAnAddress(t *testing.T) {
	t.Parallel()
	forged := func(i int, of string) []string {
		a := fmt.Sprintf("198.51.100.%d", i)
		return []string{of + strings.NewReplacer("%", a).Replace(map[string]string{
			"X-Forwarded-For: ": "%", "X-Real-IP: ": "%", "Forwarded: ": "for=%;proto=https", "X-Client-IP: ": "%", "True-Client-IP: ": "%", "CF-Connecting-IP: ": "%",
			"X-Forwarded-Host: ": "%", "X-Original-Forwarded-For: ": "%",
		}[of])}
	}
	wrong := func(st *stand, c *http.Client, login string, headers ...string) answer {
		was := st.http
		defer func() { st.http = was }()
		st.http = c
		return st.call("POST", "/api/v1/session", "", `{"login":"`+login+`","password":"certainly wrong"}`, headers...)
	}
	t.Run("no proxy", func(t *testing.T) {
		t.Parallel()
		limits := plenty()
		limits.AddressLoginsPerMinute = 8
		st, _ := checkedStand(t, Options{Limits: limits})
		headers := []string{"X-Forwarded-For: ", "X-Real-IP: ", "Forwarded: ", "X-Client-IP: ", "True-Client-IP: ", "CF-Connecting-IP: ", "X-Forwarded-Host: ", "X-Original-Forwarded-For: "}
		for i, h := range headers {
			if a := wrong(st, st.http, fmt.Sprint("guess", i), forged(i+1, h)...); a.status != 401 {
				t.Fatalf("%s: %d %s", h, a.status, a.body)
			}
		}
		if a := wrong(st, st.http, "guess9", forged(99, "X-Forwarded-For: ")...); a.status != 429 || a.header.Get("Retry-After") == "" {
			t.Errorf("a ninth try from the same address under another name: %d %s", a.status, a.body)
		}
		if a := wrong(st, from(t, "127.0.0.9"), "guess10"); a.status != 401 {
			t.Errorf("the first try from another address: %d", a.status)
		}
		want := append(slices.Repeat([]string{"127.0.0.1"}, len(headers)), "127.0.0.9")
		if got := st.addresses(); !slices.Equal(got, want) {
			t.Errorf("the audit log has %v", got)
		}
		if c := st.call("POST", "/api/v1/session", "", `{"code":"x"}`, "X-Forwarded-Proto: https").header.Get("Set-Cookie"); c != "" {
			t.Errorf("cookie %s", c)
		}
	})
	t.Run("a proxy", func(t *testing.T) {
		t.Parallel()
		st, _ := checkedStand(t, Options{Limits: plenty(), TrustedProxies: []string{"127.0.0.2", "10.0.0.0/8"}})
		proxy, other := from(t, "127.0.0.2"), from(t, "127.0.0.3")
		for i, c := range []struct {
			by   *http.Client
			says string
			want string
		}{
			{proxy, "198.51.100.7", "198.51.100.7"},
			{proxy, "203.0.113.66, 198.51.100.7", "198.51.100.7"},           // what the caller itself claimed stands to the left
			{proxy, "203.0.113.66, 198.51.100.7, 10.1.2.3", "198.51.100.7"}, // a second trusted hop
			{proxy, "not an address, 198.51.100.7", "198.51.100.7"},
			{proxy, "2001:db8::7", "2001:db8::7"},
			{other, "198.51.100.7", "127.0.0.3"}, // not the proxy
		} {
			if a := wrong(st, c.by, fmt.Sprint("guess", i), "X-Forwarded-For: "+c.says); a.status != 401 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if got := st.addresses(); len(got) != i+1 || got[i] != c.want {
				t.Errorf("X-Forwarded-For %q: the audit log has %v, want %s", c.says, got, c.want)
			}
		}
	})
}

// counted counts what is read of an endless body.
type counted struct {
	n     atomic.Int64
	limit int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.n.Load() >= c.limit {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'a'
	}
	if c.n.Load() == 0 {
		copy(p, `{"title":"`)
	}
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func TestALargeBodyIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	const size = 64 << 20
	send := func(method, url, token string, length int64) (status int, read int64) {
		body := &counted{limit: size}
		req, err := http.NewRequestWithContext(t.Context(), method, url, struct{ io.Reader }{body})
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(req)
		if err != nil { // the server closed while we were still sending
			return 0, body.n.Load()
		}
		_ = res.Body.Close()
		return res.StatusCode, body.n.Load()
	}
	start, routes := time.Now(), 0
	for _, o := range st.contract() {
		if o.body == nil {
			continue
		}
		routes++
		for _, length := range []int64{size, -1} { // said before, and in chunks
			status, read := 0, int64(0)
			for _, r := range []auth.Role{auth.HallOperator, auth.SecurityAdmin, auth.SystemAdmin} {
				for range 3 { // a connection may be cut before its answer is read
					if status, read = send(o.method, st.url+o.filled(), k[r], length); status != 0 {
						break
					}
				}
				if status != 403 {
					break
				}
			}
			most := int64(8 << 20) // what lies on its way counts too
			if o.String() == "POST /api/v1/grids/locate" && length < 0 {
				most += 5 << 20 // a batch may be so long
			}
			if status != 413 || read > most {
				t.Errorf("%s: 64 MiB (length %d): %d after %d KiB", o, length, status, read>>10)
			}
		}
	}
	if took := time.Since(start); routes < 8 || took > 10*time.Second {
		t.Errorf("%d routes took %s", routes, took)
	}
	// Who may not send a body is told so at once.
	if status, read := send("POST", st.url+"/api/v1/incidents", "", size); status != 401 || read > 8<<20 {
		t.Errorf("nobody's 64 MiB: %d after %d KiB", status, read>>10)
	}
	if status, read := send("POST", st.s.DeviceURL()+"/", "", size); status != 413 || read > 8<<20 {
		t.Errorf("a device's 64 MiB: %d after %d KiB", status, read>>10)
	}
	if a := st.call("GET", "/api/v1/grids", k[auth.HallOperator], "", "X-Padding: "+strings.Repeat("a", 64<<10)); a.status != 431 {
		t.Errorf("64 KiB of headers: %d", a.status)
	}
	if a := st.report(k[auth.HallOperator], 107.2, 38.2); a.status != 201 {
		t.Errorf("a report after that: %d %s", a.status, a.body)
	}
}

// TestABodyHasEveryKeyOnceAndByItsName goes over all JSON routes: a key that the
// contract does not name, names twice or spells otherwise is refused, so that
// nobody sets what was not meant to be set.
func TestABodyHasEveryKeyOnceAndByItsName(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	tables := `SELECT (SELECT count(*) FROM incident) + (SELECT count(*) FROM account) + (SELECT count(*) FROM account_grant) + (SELECT count(*) FROM credential)
		+ (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM idempotency)`
	before := st.count(tables)
	tried := 0
	refused := func(o operation, body, says string) {
		tried++
		if a := st.asked(k, o, o.filled(), body); a.status != 400 || !strings.Contains(string(a.body), says) {
			t.Errorf("%s %.300s: %d, want 400 that says %s: %.400s", o, body, a.status, says, a.body)
		}
	}
	for _, o := range st.contract() {
		if o.body == nil {
			continue
		}
		// levels are the objects of the body, each with the way to put it into the whole.
		type level struct {
			of   *schema
			wrap func(text string) string
		}
		levels := []level{{o.body, func(s string) string { return s }}}
		for name, p := range o.body.Properties {
			if p.is("object") {
				levels = append(levels, level{p, func(s string) string { return with(asJSON(t, sample(o.body)), name, s) }})
			}
		}
		for _, l := range levels {
			base := asJSON(t, sample(l.of))
			for _, key := range []string{
				"zzz", "role", "grid_no", "status", "state", "created_by", "id", "version", "worker", "account", "sensitive", "token_epoch", "security_by", "sealed", "__proto__", "",
			} {
				if l.of.Properties[key] == nil {
					refused(o, l.wrap(with(base, key, `"1"`)), "unexpected property")
				}
			}
			for name, p := range l.of.Properties {
				if name == "$schema" {
					continue
				}
				v := asJSON(t, sample(p))
				for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], name + " "} {
					refused(o, l.wrap(with(base, other, v)), "unexpected property")
				}
				refused(o, l.wrap(with(with(base, name, v), name, v)), "twice")
				refused(o, l.wrap(with(with(base, name, v), fmt.Sprintf(`\u%04x`, name[0])+name[1:], v)), "twice")
			}
		}
	}
	if now := st.count(tables); now != before {
		t.Errorf("%d rows were stored", now-before)
	}
	if tried < 300 {
		t.Errorf("only %d bodies were tried", tried)
	}
	t.Logf("%d bodies", tried)
}

// with adds a key to the text of a JSON object, whatever it has already.
func with(object, key, value string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(object), "{"), "}")
	if !strings.Contains(key, `\u`) {
		b, _ := json.Marshal(key)
		key = string(b)
	} else {
		key = `"` + key + `"`
	}
	if inner != "" {
		inner += ","
	}
	return "{" + inner + key + ":" + value + "}"
}

// TestTheLogTellsNoSecretAndForgesNoLine makes the server log as much as it can.
func TestTheLogTellsNoSecretAndForgesNoLine(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	const forged = "\r\nlevel=ERROR msg=forged\x1b[31mred"
	const phone, password = "13900001234", "correct-horse-battery"
	escaped := strings.NewReplacer("\r", "%0d", "\n", "%0a", "\x1b", "%1b", " ", "+", "=", "%3D").Replace(forged)
	st.get("/api/v1/incidents/"+escaped+"?phone="+phone, op)
	st.get("/nothing/"+escaped+phone, "")
	st.get("/tiles/grids/"+escaped+"/1/1.mvt", op)
	st.call("POST", "/api/v1/session", "", asJSON(t, map[string]string{"login": "li" + forged, "password": password}))
	st.call("POST", "/api/v1/session", "", asJSON(t, map[string]string{"code": password + phone}))
	st.call("GET", "/api/v1/incidents", op, "", "User-Agent: "+phone, "X-Request-Id: "+phone, "Cookie: onemap_session="+password)
	st.call("GET", "/api/v1/incidents", password, "")
	// An error of the database inside a request is logged: with the place, without
	// the row.
	if _, err := st.s.db.Pool.Exec(t.Context(), `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.title LIKE '%now%' THEN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX000', DETAIL = NEW.title; END IF; RETURN NEW; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION fail();
		ALTER TABLE incident ADD CONSTRAINT not_this CHECK (title NOT LIKE '%never%')`); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"now", "never"} {
		body := `{"category":"0301","title":"` + word + phone + `","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"},"reporter":{"name":"张三丰","phone":"` + phone + `"}}`
		if a := st.call("POST", "/api/v1/incidents", op, body); a.status < 400 || strings.Contains(string(a.body), phone) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	// Bytes that are no HTTP at all.
	for _, addr := range []string{st.s.main.Addr().String(), st.s.device.Addr().String()} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /"+phone+" HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31m"+phone+"\r\nno header\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	text := book.String()
	if !strings.Contains(text, "broken") {
		t.Fatalf("the log has nothing of the error: %s", text)
	}
	for what, s := range map[string]string{"a phone": phone, "a password": password, "a token": op, "a name": "张三丰", "an escape character": "\x1b", "a carriage return": "\r"} {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("the log has %s: %q", what, text[max(0, i-200):min(len(text), i+100)])
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "time=") {
			t.Errorf("a line that the log did not begin: %q", line)
		}
	}
}

func TestEveryConnectionOfTheDatabaseHasItsTimeouts(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	for name, db := range map[string]*store.DB{
		"owner": st.s.db, "reports": st.s.pools.reports, "changes": st.s.pools.changes, "reads": st.s.pools.reads, "walls": st.s.pools.walls, "care": st.s.pools.care,
	} {
		for setting, most := range map[string]time.Duration{"statement_timeout": 30 * time.Second, "lock_timeout": 5 * time.Second, "idle_in_transaction_session_timeout": time.Minute} {
			var ms int64
			if err := db.Pool.QueryRow(t.Context(), `SELECT setting::bigint FROM pg_settings WHERE name = $1`, setting).Scan(&ms); err != nil {
				t.Fatal(err)
			}
			if d := time.Duration(ms) * time.Millisecond; d <= 0 || d > most {
				t.Errorf("%s: %s is %s, want at most %s", name, setting, d, most)
			}
		}
	}
}

// TestAnUnchangedTileIsToldToWhoMaySeeItAlone: the answer "you have it already"
// says that it is there and what it holds.
func TestAnUnchangedTileIsToldToWhoMaySeeItAlone(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	const path = "/tiles/grids/8/204/98.mvt"
	ask := func(token, etag string) answer {
		return st.call("GET", path, token, "", "If-None-Match: "+etag)
	}
	sec := st.token(auth.SecurityAdmin, "")
	made := st.call("POST", "/api/v1/tokens", sec, `{"role":"hall_operator","note":"will be revoked"}`).json(t)
	hall := made["token"].(string)
	first := st.get(path, hall)
	etag := first.header.Get("ETag")
	if first.status != 200 || etag == "" || len(first.body) == 0 {
		t.Fatalf("%d, ETag %q, %d bytes", first.status, etag, len(first.body))
	}
	if a := ask(hall, etag); a.status != 304 || len(a.body) != 0 || a.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("again: %d, %s", a.status, a.header.Get("Cache-Control"))
	}
	townA := ask(st.token(auth.TownOperator, "A"), etag)
	if townA.status != 200 || bytes.Equal(townA.body, first.body) || townA.header.Get("ETag") == etag {
		t.Errorf("a town with the county's ETag: %d, ETag %s", townA.status, townA.header.Get("ETag"))
	}
	townB := ask(st.token(auth.TownOperator, "B"), townA.header.Get("ETag"))
	if townB.status != 200 || bytes.Equal(townB.body, townA.body) {
		t.Errorf("a town with its neighbour's ETag: %d", townB.status)
	}
	for _, all := range []string{"*", `"x", ` + etag, "W/" + etag} {
		if a := ask(st.token(auth.TownOperator, "A"), all); a.status != 200 {
			t.Errorf("If-None-Match %s: %d", all, a.status)
		}
	}
	if a := ask(sec, etag); a.status != 403 || a.header.Get("ETag") != "" {
		t.Errorf("a role without a map: %d", a.status)
	}
	if a := ask("", etag); a.status != 401 || a.header.Get("ETag") != "" {
		t.Errorf("nobody: %d", a.status)
	}
	if a := st.call("DELETE", fmt.Sprintf("/api/v1/credentials/%v?reason=lost", made["id"]), sec, ""); a.status != 204 {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if a := ask(hall, etag); a.status != 401 || a.header.Get("ETag") != "" {
		t.Errorf("after the token was revoked: %d", a.status)
	}
}

// TestNoRouteTakesAFile: uploads need checks of their own, which are not there.
// A batch of places may be packed; it is read into numbers and kept nowhere.
func TestNoRouteTakesAFile(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	for _, o := range st.contract() {
		slices.Sort(o.kinds)
		packed := o.String() == "POST /api/v1/grids/locate" && slices.Equal(o.kinds, []string{"application/json", "application/octet-stream"})
		if o.kinds != nil && !packed && !slices.Equal(o.kinds, []string{"application/json"}) {
			t.Errorf("%s takes %v", o, o.kinds)
		}
		for _, kind := range []string{"multipart/form-data; boundary=x", "application/octet-stream", "image/jpeg", "application/zip", "application/cbor"} {
			if a := st.asked(k, o, o.filled(), "--x", "Content-Type: "+kind); o.kinds != nil && a.status != 415 && !(packed && a.status == 400 && slices.Contains(o.kinds, kind)) {
				t.Errorf("%s: %s is answered %d: %s", o, kind, a.status, a.body)
			}
		}
	}
}

// TestAnotherSiteChangesNothing: a browser sends the cookie along with whatever
// any page makes it send.
func TestAnotherSiteChangesNothing(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	cookie := st.cookie(auth.HallOperator, "")
	const body = `{"category":"0301","title":"消防通道占堵","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}}`
	post := func(headers ...string) answer {
		return st.call("POST", "/api/v1/incidents", "", body, append([]string{cookie}, headers...)...)
	}
	own := "Origin: " + st.url
	host := strings.TrimPrefix(st.url, "http://")
	for name, c := range map[string]struct {
		a    answer
		want int
	}{
		"no Origin":                  {post(), 403},
		"a foreign Origin":           {post("Origin: https://evil.example"), 403},
		"a sandbox":                  {post("Origin: null"), 403},
		"a look-alike":               {post("Origin: " + st.url + ".evil.example"), 403},
		"a look-alike port":          {post("Origin: " + st.url + "0"), 403},
		"somebody at our host":       {post("Origin: http://evil@" + host), 403},
		"a form":                     {post(own, "Content-Type: application/x-www-form-urlencoded"), 415},
		"a form with files":          {post(own, "Content-Type: multipart/form-data; boundary=x"), 415},
		"plain text":                 {post(own, "Content-Type: text/plain"), 415},
		"plain text that says json":  {post(own, "Content-Type: text/plain; application/json"), 415},
		"no content type":            {post(own, "Content-Type: "), 415},
		"a form in the method's way": {st.call("POST", "/api/v1/incidents", "", body, cookie, "X-HTTP-Method-Override: GET"), 403},
	} {
		if c.a.status != c.want {
			t.Errorf("%s: %d, want %d: %s", name, c.a.status, c.want, c.a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM incident"); n != 0 {
		t.Fatalf("%d incidents were made", n)
	}
	if a := post(own); a.status != 201 {
		t.Errorf("our own page: %d %s", a.status, a.body)
	}
	for _, o := range st.contract() {
		if o.writes() {
			if a := st.call(o.method, o.filled(), "", "", cookie, "Origin: https://evil.example"); a.status != 403 {
				t.Errorf("%s from a foreign page: %d", o, a.status)
			}
		}
	}
	// A foreign page signs nobody in either, not even as somebody of its own.
	for _, path := range []string{"/api/v1/session", "/api/v1/invitations/redeem"} {
		if a := st.call("POST", path, "", `{"code":"x"}`, "Origin: https://evil.example"); a.status != 403 {
			t.Errorf("%s from a foreign page: %d", path, a.status)
		}
	}
	if a := st.call("GET", "/api/v1/incidents", "", "", cookie, "Origin: https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("a foreign page may read answers: %v", a.header)
	}
	if a := st.call("OPTIONS", "/api/v1/incidents", "", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page may write: %v", a.header)
	}
}

var (
	inlineScript  = regexp.MustCompile(`(?is)<script\b([^>]*)>(.*?)</script>`)
	inlineHandler = regexp.MustCompile(`(?i)<[^>]+\son[a-z]+\s*=`)
	foreignSource = regexp.MustCompile(`(?i)(?:src|href|action)\s*=\s*["']?\s*(?:https?:|//|javascript:|data:text)`)
)

func TestPagesRunOnlyWhatThisServerServes(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	paths := []string{"/", "/index.html", "/wall", "/admin", "/nothing", "/assets/nothing.js", "/livez", "/api/openapi.json", "/api/v1/incidents", "/api/v1/nothing", "/tiles/grids.json"}
	pages := 0
	err := fs.WalkDir(frontend.Dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch {
		case strings.HasSuffix(name, ".html"):
			pages++
			paths = append(paths, strings.TrimPrefix(name, "dist"))
			text, err := fs.ReadFile(frontend.Dist, name)
			if err != nil {
				return err
			}
			for _, m := range inlineScript.FindAllSubmatch(text, -1) {
				if len(bytes.TrimSpace(m[2])) > 0 || !bytes.Contains(m[1], []byte("src=")) {
					t.Errorf("%s has a script in it: %s", name, m[0])
				}
			}
			for _, x := range []*regexp.Regexp{inlineHandler, foreignSource} {
				if m := x.Find(text); m != nil {
					t.Errorf("%s has %s", name, m)
				}
			}
		case strings.HasSuffix(name, ".js") && len(paths) < 40:
			paths = append(paths, strings.TrimPrefix(name, "dist"))
		}
		return nil
	})
	if err != nil || pages == 0 {
		t.Fatalf("%d pages, %v", pages, err)
	}
	for _, path := range paths {
		for _, a := range []answer{st.get(path, op), st.get(path, "")} {
			policy := map[string][]string{}
			for d := range strings.SplitSeq(a.header.Get("Content-Security-Policy"), ";") {
				f := strings.Fields(d)
				if len(f) > 0 {
					policy[f[0]] = f[1:]
				}
			}
			all := a.header.Get("Content-Security-Policy")
			script, ok := policy["script-src"]
			switch {
			case !slices.Equal(policy["default-src"], []string{"'none'"}), !slices.Equal(policy["frame-ancestors"], []string{"'none'"}),
				!slices.Equal(policy["base-uri"], []string{"'none'"}), !slices.Equal(policy["form-action"], []string{"'none'"}):
				t.Errorf("%s: policy %s", path, all)
			case !ok || !slices.Equal(script, []string{"'self'"}):
				t.Errorf("%s: scripts %v", path, script)
			case slices.Contains(policy["style-src"], "'unsafe-inline'"):
				t.Errorf("%s: style sheets may stand in the page", path)
			case strings.Contains(all, "unsafe-eval") || strings.Contains(all, "http:") || strings.Contains(all, "https:") || strings.Contains(all, "*"):
				t.Errorf("%s: policy %s", path, all)
			}
			if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
				t.Errorf("%s: headers %v", path, a.header)
			}
			if a.header.Get("Server") != "" || a.header.Get("X-Powered-By") != "" {
				t.Errorf("%s tells what it is made of: %v", path, a.header)
			}
		}
	}
}

// inner matches what belongs to the inside of the program.
var inner = regexp.MustCompile(`(?i)SQLSTATE|pgx|pgconn|goroutine \d|runtime error|runtime\.|\.go:\d|panic|\bSELECT .* FROM\b|INSERT INTO|\bpg_|relation "|column "|constraint "|/usr/|/home/|/tmp/|/var/|/root/|postgres`)

// TestAPanicIsAnsweredAndTheServerLives: one broken answer takes neither the
// server nor a place of the next request.
func TestAPanicIsAnsweredAndTheServerLives(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.Dispatcher, "")
	var broken atomic.Bool
	broken.Store(true)
	book := &logBook{}
	s := st.s
	h := api.New(api.Options{
		DB: s.pools.changes, Reports: s.pools.reports, Reads: s.pools.reads, WallReads: s.pools.walls, Sealer: s.seal, Catalogue: s.catalogue, Ledger: s.ledger,
		Hub: s.hub, Tiles: s.tiles, People: s.fixes.Directory, Now: time.Now, Log: slog.New(slog.NewTextHandler(book, nil)), Pages: os.DirFS(t.TempDir()),
		Ready: s.isReady, Status: func() api.Loading { return api.Loading{} }, Link: s.URL, Limits: plenty(),
		Dots: func() []track.Dot {
			if broken.Load() {
				panic("the secret inside: SELECT * FROM reporter")
			}
			return nil
		},
	}).Handler()
	srv := httptest.NewServer(h)
	defer srv.Close()
	st.url = srv.URL
	for range 40 { // more than there are places for reads
		a := st.get("/api/v1/workers/live", op)
		id := a.header.Get("X-Request-Id")
		if a.status != 500 || a.header.Get("Content-Type") != "application/problem+json" || id == "" || !strings.Contains(string(a.body), id) {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
		if m := inner.Find(a.body); m != nil {
			t.Fatalf("the answer tells of the inside: %s in %s", m, a.body)
		}
		if !strings.Contains(book.String(), id) {
			t.Fatal("the log has nothing under the request's id")
		}
	}
	broken.Store(false)
	if a := st.get("/api/v1/workers/live", op); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

// TestWhatTheDatabaseRefusesIsTheSendersMatter: values the schema does not take
// are no fault of the server's, and its words are not passed on.
func TestWhatTheDatabaseRefusesIsTheSendersMatter(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	if _, err := st.s.db.Pool.Exec(t.Context(), `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'invalid input in relation "incident"' USING ERRCODE = NEW.title; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION fail()`); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]int{
		"22P02": 422, "22003": 422, "22007": 422, "22008": 422, "23502": 422, "23514": 422, "23505": 409, "23503": 409, "23P01": 409, "22021": 400,
		"57014": 503, "40001": 503, "53300": 503, "XX000": 500, "42P01": 500, "42501": 500,
	} {
		a := st.call("POST", "/api/v1/incidents", op, `{"category":"0301","title":"`+code+`","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}}`)
		if a.status != want || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, want %d: %s", code, a.status, want, a.body)
		}
		if m := inner.Find(a.body); m != nil || strings.Contains(string(a.body), code) {
			t.Errorf("%s: the answer tells of the inside: %s in %s", code, m, a.body)
		}
		if want != 400 && want != 503 && !strings.Contains(book.String(), a.header.Get("X-Request-Id")) {
			t.Errorf("%s: the log has nothing under the request's id", code)
		}
	}
}

func TestTheInsideIsShownOnAnAddressOfItsOwnAlone(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	var o Options
	o.setDefaults()
	for name, listen := range map[string]string{"main": o.Listen, "devices": o.DeviceListen, "admin": o.AdminListen} {
		if a, err := netip.ParseAddrPort(listen); err != nil || !a.Addr().IsLoopback() {
			t.Errorf("the %s listener is on %s unless told otherwise", name, listen)
		}
	}
	admin := httptest.NewServer(st.s.adminHandler())
	defer admin.Close()
	for _, path := range []string{
		"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/vars", "/debug/requests", "/admin/metrics", "/api/v1/metrics", "/server-status",
	} {
		if a := st.get(path, st.token(auth.SystemAdmin, "")); a.status != 404 {
			t.Errorf("the main listener answers %s with %d", path, a.status)
		}
	}
	get := func(base, path string) answer {
		was := st.url
		defer func() { st.url = was }()
		st.url = base
		return st.get(path, "")
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if a := get(st.s.DeviceURL(), path); strings.Contains(string(a.body), "goroutine") {
			t.Errorf("the device listener shows %s", path)
		}
	}
	for path, want := range map[string]int{
		"/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 404, "/debug/pprof/symbol": 404, "/debug/vars": 404, "/api/v1/incidents": 404,
	} {
		if a := get(admin.URL, path); a.status != want {
			t.Errorf("the admin listener answers %s with %d, want %d", path, a.status, want)
		}
	}
}

// TestNoSecretIsShownByTheInside: neither the address of the database nor what
// the environment holds.
func TestNoSecretIsShownByTheInside(t *testing.T) {
	const canary = "CANARY-9f2c41d7"
	t.Setenv("ONEMAP_SOME_SECRET", canary)
	st, book := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	st.call("POST", "/api/v1/session", "", `{"code":"`+canary+`"}`)
	st.report(op, 107.2, 38.2)
	admin := httptest.NewServer(st.s.adminHandler())
	defer admin.Close()
	shown := map[string]string{"the log": book.String()}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/threadcreate?debug=1", "/debug/pprof/trace?seconds=0.1"} {
		was := st.url
		st.url = admin.URL
		shown[path] = string(st.get(path, "").body)
		st.url = was
	}
	shown["/api/v1/status"] = string(st.get("/api/v1/status", op).body)
	shown["/readyz"] = string(st.get("/readyz", "").body)
	for what, text := range shown {
		for name, s := range map[string]string{"the environment": canary, "a token": op, "the database's address": st.s.o.DatabaseURL} {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %s", what, name)
			}
		}
	}
}

// TestForbiddenAndUnknownAreAnsweredAlike, to the byte and in the same time.
func TestForbiddenAndUnknownAreAnsweredAlike(t *testing.T) {
	st, _ := checkedStand(t, Options{Limits: plenty()})
	hall, townA := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	hidden := st.report(hall, 107.7, 38.2).json(t)["id"].(string)
	asked := 0
	for _, o := range st.contract() {
		if !strings.HasPrefix(o.path, "/api/v1/incidents/{id}") {
			continue
		}
		asked++
		var body string
		headers := []string{`If-Match: "1"`}
		if o.body != nil {
			body = `{"reason":"核实情况，回访当事人"}`
			if o.body.Properties["action"] != nil {
				body = `{"action":"accept"}`
			}
		}
		ask := func(id string) answer {
			return st.call(o.method, strings.NewReplacer("{id}", id, "{n}", "1").Replace(o.path), townA, body, headers...)
		}
		a, b := ask(hidden), ask("987654321")
		if a.status != 404 || b.status != 404 || !bytes.Equal(a.body, b.body) {
			t.Errorf("%s: hidden %d %s, unknown %d %s", o, a.status, a.body, b.status, b.body)
		}
		for name := range a.header {
			if name != "X-Request-Id" && name != "Date" && !slices.Equal(a.header[name], b.header[name]) {
				t.Errorf("%s: header %s: %v, %v", o, name, a.header[name], b.header[name])
			}
		}
	}
	if asked < 4 {
		t.Errorf("%d routes", asked)
	}
	median := func(x []time.Duration) time.Duration { slices.Sort(x); return x[len(x)/2] }
	var ratio float64
	for range 6 { // another's work on this machine may fall into one round
		var took [2][]time.Duration
		for range 150 {
			for i, id := range []string{hidden, "987654321"} {
				start := time.Now()
				st.get("/api/v1/incidents/"+id, townA)
				took[i] = append(took[i], time.Since(start))
			}
		}
		if ratio = float64(median(took[0])) / float64(median(took[1])); ratio > 0.9 && ratio < 1.1 {
			return
		}
	}
	t.Errorf("the hidden takes %.2f times as long as the unknown", ratio)
}

// TestAStoppedServerLeavesNothingRunning looks for goroutines of our packages.
func TestAStoppedServerLeavesNothingRunning(t *testing.T) {
	ours := func() (out []string) {
		buf := make([]byte, 8<<20)
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "onemap/") && !strings.Contains(g, "testing.") && !strings.Contains(g, "onemap/internal/pgtest") {
				out = append(out, g)
			}
		}
		return out
	}
	before := len(ours())
	t.Run("a day's work", func(t *testing.T) {
		st := newStand(t)
		op := st.token(auth.HallOperator, "")
		l := st.live(op, `{"type":"hello"}`)
		l.next()
		st.report(op, 107.2, 38.2)
		st.get("/tiles/grids/8/204/98.mvt", op)
		c, err := net.Dial("tcp", st.s.main.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "GET /api/v1/incidents HTTP/1.1\r\nHost: x\r\n")
		if len(ours()) <= before {
			t.Error("the count sees nothing of a running server")
		}
	})
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if left = ours(); len(left) <= before {
			return
		}
	}
	t.Errorf("%d goroutines are left, %d before; the last:\n%s", len(left), before, left[len(left)-1])
}

// TestABrokenBodyIsTheSendersFault: a body that ends too early or is framed wrong.
func TestABrokenBodyIsTheSendersFault(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	for name, rest := range map[string]string{
		"a chunk that is none":  "Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
		"a length and chunks":   "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
		"two lengths":           "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"a length that is none": "Content-Length: -1\r\n\r\n",
	} {
		c, err := net.Dial("tcp", st.s.main.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = fmt.Fprintf(c, "POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s", op, rest)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		_ = c.Close()
	}
}
