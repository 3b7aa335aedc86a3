// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
)

// together sends the same request n times at once and returns the answers.
func (st *stand) together(n int, method, path, body string) []answer {
	out := make([]answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { out[i] = st.call(method, path, "", body, "Origin: "+st.url) })
	}
	all.Wait()
	return out
}

func TestAOneTimeLinkWorksOnce(t *testing.T) {
	t.Parallel()
	said := &logBook{}
	st, _ := checkedStand(t, Options{Limits: plenty(), Out: said})
	first := regexp.MustCompile(`(?m)^    ([a-z2-7]{32})$`).FindStringSubmatch(said.String())
	if first == nil {
		t.Fatalf("no first secret in %s", said.String())
	}
	sec := st.token(auth.SecurityAdmin, "")
	codeOf := func(link any) string {
		_, fragment, _ := strings.Cut(fmt.Sprint(link), "#")
		_, code, _ := strings.Cut(fragment, "=")
		return code
	}
	wall := codeOf(st.call("POST", "/api/v1/walls", sec, `{"name":"hall-1"}`).json(t)["link"])
	made := st.call("POST", "/api/v1/accounts", st.token(auth.SystemAdmin, ""), `{"login":"li.desk"}`).json(t)
	invite := codeOf(made["invite"].(map[string]any)["link"])
	last := 0
	at := func() *stand {
		other := *st
		last++
		other.http = from(t, fmt.Sprintf("127.0.1.%d", last))
		return &other
	}
	const fresh = `,"password":"a long enough one 7"}`
	for _, c := range []struct {
		what, path, body string
		good             int
	}{
		{"a wall's code", "/api/v1/session", `{"code":"` + wall + `"}`, 204},
		{"an invitation", "/api/v1/invitations/redeem", `{"code":"` + invite + `"` + fresh, 200},
		{"the first secret", "/api/v1/invitations/redeem", `{"code":"` + first[1] + `","login":"root.one"` + fresh, 200},
	} {
		if len(wall) < 26 || len(invite) < 26 {
			t.Fatalf("codes %q, %q", wall, invite)
		}
		st := at() // ten wrong tries from one address are too many
		in := 0
		for _, a := range st.together(6, "POST", c.path, c.body) {
			switch a.status {
			case c.good:
				in++
			case 401, 503: // used up by another; or too many passwords are being worked on
			default:
				t.Errorf("%s, at once: %d %s", c.what, a.status, a.body)
			}
		}
		if in != 1 {
			t.Errorf("%s let %d in at once", c.what, in)
		}
		again, wrong := st.call("POST", c.path, "", c.body), st.call("POST", c.path, "", strings.Replace(c.body, `"code":"`, `"code":"a`, 1))
		if again.status != 401 || again.header.Get("Set-Cookie") != "" || !bytes.Equal(again.body, wrong.body) {
			t.Errorf("%s again: %d %s; a wrong one: %d %s", c.what, again.status, again.body, wrong.status, wrong.body)
		}
	}
	// A code for one purpose is none for another, and none is a token.
	st = at()
	other := codeOf(st.call("POST", "/api/v1/walls", sec, `{"name":"hall-2"}`).json(t)["link"])
	if a := st.call("POST", "/api/v1/invitations/redeem", "", `{"code":"`+other+`"`+fresh); a.status != 401 {
		t.Errorf("a wall's code as an invitation: %d", a.status)
	}
	if a := st.get("/api/v1/incidents", other); a.status != 401 {
		t.Errorf("a wall's code as a token: %d", a.status)
	}
	if a := st.call("GET", "/api/v1/incidents", "", "", "Cookie: onemap_session="+sec); a.status != 401 {
		t.Errorf("a token as a session: %d", a.status)
	}
	late := store.NewSecret()
	past := time.Now().Add(-time.Second)
	if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, late, store.Credential{Kind: store.WallCode, Role: auth.Wall, Wall: "late", ExpiresAt: &past}); err != nil {
		t.Fatal(err)
	}
	if a := st.call("POST", "/api/v1/session", "", `{"code":"`+late+`"}`); a.status != 401 {
		t.Errorf("a code past its time: %d", a.status)
	}
}

// TestACookieIsWorthNothingAtAnotherAddress: stolen, it opens neither list
// nor map nor stream.
func TestACookieIsWorthNothingAtAnotherAddress(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	cookie := st.cookie(auth.Dispatcher, "127.0.0.1")
	thief := from(t, "127.0.0.7")
	for _, path := range []string{"/api/v1/incidents", "/api/v1/session", "/tiles/grids.json", "/api/v1/live", "/api/v1/figures/today"} {
		if a := st.call("GET", path, "", "", cookie); a.status == 401 {
			t.Errorf("%s: its holder is refused: %s", path, a.body)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", st.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
		req.Header.Set("X-Forwarded-For", "127.0.0.1")
		res, err := thief.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 401 {
			t.Errorf("%s: a thief gets %d", path, res.StatusCode)
		}
	}
}

// ends reads a socket to its end and returns why it ended and what it was told.
func (l *live) ends(within time.Duration) (code int, told []message) {
	l.t.Helper()
	told = append(told, l.todo...)
	_ = l.c.SetReadDeadline(time.Now().Add(within))
	for {
		_, raw, err := l.c.ReadMessage()
		if closed := (*websocket.CloseError)(nil); err != nil {
			if e, ok := err.(*websocket.CloseError); ok {
				closed = e
			}
			if closed == nil {
				l.t.Fatalf("the socket lives on after %s: %v", within, err)
			}
			return closed.Code, told
		}
		if raw = bytes.TrimSpace(raw); raw[0] != '[' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		var ms []message
		if err := json.Unmarshal(raw, &ms); err != nil {
			l.t.Fatal(err)
		}
		told = append(told, ms...)
	}
}

// lease is how soon a socket has to end after its right has, by the design's matrix.
const lease = 5 * time.Second

func TestAStreamEndsWithItsTokenAndWithItsRole(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	// A token that runs out in mid-stream.
	secret, until := store.NewSecret(), time.Now().Add(2*time.Second)
	if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: auth.HallOperator, ExpiresAt: &until}); err != nil {
		t.Fatal(err)
	}
	short := st.live(secret, `{"type":"hello","topics":["events"]}`)
	short.next()
	// A token whose role another node narrows, without a word to this one.
	changed := st.token(auth.HallOperator, "")
	wide := st.live(changed, `{"type":"hello","topics":["events"]}`)
	wide.next()
	tag, err := st.s.db.Pool.Exec(t.Context(), `UPDATE credential SET role = 'town_operator', grid_code = 'A', root_code = 'C' WHERE hash = sha256($1::bytea)`, changed)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%v, %v", tag, err)
	}
	at := time.Now()
	code, _ := wide.ends(lease + time.Second)
	if took := time.Since(at); code != 4003 || took > lease {
		t.Errorf("after a change of role: code %d after %s", code, took)
	}
	code, _ = short.ends(time.Until(until) + lease + time.Second)
	if over := time.Since(until); code != 4001 || over < 0 || over > lease {
		t.Errorf("after the token's end: code %d after %s", code, over)
	}
	if a := st.get("/api/v1/incidents", secret); a.status != 401 {
		t.Errorf("the token lives on: %d", a.status)
	}
	// What comes now is told by the new right alone.
	narrow := st.live(changed, `{"type":"hello","topics":["events"]}`)
	narrow.next()
	hidden := st.report(op, 107.7, 38.2).json(t)["id"]
	shown := st.report(op, 107.2, 38.2).json(t)["id"]
	for {
		if m := narrow.next(); m.ID == hidden {
			t.Fatalf("told of its neighbour's: %+v", m)
		} else if m.ID == shown {
			return
		}
	}
}

// TestACompressedMessageIsRefused: a small one may unpack to a large one.
func TestACompressedMessageIsRefused(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression)
	_, _ = w.Write([]byte(`{"type":"hello","x":"` + strings.Repeat("a", 8<<20) + `"}`))
	_ = w.Flush()
	if packed.Len() > 15<<10 {
		t.Fatalf("%d bytes are over the limit even when packed", packed.Len())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, EnableCompression: true, HandshakeTimeout: 5 * time.Second}
		ws, res, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(st.url, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + op}})
		if err != nil {
			t.Fatal(err)
		}
		if ext := res.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
			t.Fatalf("the server agrees to %s", ext)
		}
		head := []byte{0xC1, 0x80 | 126, 0, 0, 0, 0, 0, 0} // final, compressed, text; masked with zeros
		binary.BigEndian.PutUint16(head[2:], uint16(packed.Len()))
		if _, err := ws.NetConn().Write(append(head, packed.Bytes()...)); err != nil {
			t.Fatal(err)
		}
		_ = ws.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, raw, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseProtocolError, websocket.CloseUnsupportedData, websocket.ClosePolicyViolation) {
			t.Errorf("answered %.100s, %v", raw, err)
		}
		_ = ws.Close()
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 20*(8<<20)/2 {
		t.Errorf("%d MiB were taken up: the messages were unpacked", grown>>20)
	}
	// Nor does a packed body of a request unpack.
	packed.Reset()
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`{"category":"0301","title":"` + strings.Repeat("a", 8<<20) + `"}`))
	_ = z.Close()
	if a := st.call("POST", "/api/v1/incidents", op, packed.String(), "Content-Encoding: gzip"); a.status != 400 && a.status != 415 {
		t.Errorf("a packed body: %d %s", a.status, a.body)
	}
}

// TestSlowSocketsHoldNobodyUp: 500 that say nothing and 200 that speak slowly.
func TestSlowSocketsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	if a := st.report(op, 107.2, 38.2); a.status != 201 { // the connection is there before the crowd comes
		t.Fatalf("%d %s", a.status, a.body)
	}
	first := fmt.Sprintf("POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{", op)
	says := func(i int) string {
		switch {
		case i < 500:
			return ""
		case i < 600: // slow-loris: a header that never ends
			return "GET /api/v1/incidents HTTP/1.1\r\nHost: x\r\nX-A: "
		}
		return first // a body that never comes, by somebody who may send it
	}
	opened := time.Now()
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	var d net.Dialer
	for i := range 700 {
		addr := st.s.main.Addr().String()
		if i%5 == 0 && i < 500 {
			addr = st.s.device.Addr().String()
		}
		c, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatalf("socket %d: %v", i, err)
		}
		crowd = append(crowd, c)
		if s := says(i); s != "" {
			if _, err := io.WriteString(c, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	worst := time.Duration(0)
	for i := range 30 {
		start := time.Now()
		if a := st.report(op, 107.2, 38.2, fmt.Sprintf("Idempotency-Key: %d", i)); a.status != 201 {
			t.Fatalf("report %d among the crowd: %d %s", i, a.status, a.body)
		}
		if a := st.get("/api/v1/incidents?limit=5", op); a.status != 200 {
			t.Fatalf("list %d among the crowd: %d", i, a.status)
		}
		worst = max(worst, time.Since(start))
	}
	t.Logf("the slowest report and list among 700 slow sockets took %s", worst)
	if worst > 3*time.Second {
		t.Errorf("the slowest report and list took %s", worst)
	}
	// The crowd is sent away by itself: headers within 5 s, bodies within 10.
	gone := 0
	for i, c := range crowd {
		limit := 5 * time.Second
		if i >= 600 {
			limit = 10 * time.Second
		}
		_ = c.SetReadDeadline(opened.Add(limit + 6*time.Second))
		if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil && isTimeout(err) {
			t.Errorf("socket %d is still open %s after it came", i, time.Since(opened).Round(time.Second))
			break
		}
		gone++
	}
	t.Logf("%d were gone %s after they came", gone, time.Since(opened).Round(time.Millisecond))
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// injections are texts that mean something to a database, a shell, a template or
// a spreadsheet, and nothing to us.
var injections = []string{
	`' OR '1'='1`, `' OR 1=1 --`, `1 OR 1=1`, `1) OR (1=1`, `1; DROP TABLE incident; --`, `'; DELETE FROM incident; --`, `'; SELECT pg_sleep(5); --`, `1 AND pg_sleep(5) IS NULL`,
	`'||pg_sleep(5)||'`, `' UNION SELECT login FROM account --`, `$$; SELECT pg_sleep(5) $$`, `\' OR 1=1 --`, `%' OR '%'='`, `%`, `_`, `%%%%`, `%.`, `____`, `\`, `\%`, `/**/OR/**/1=1`,
	`{"$gt":""}`, `'||(SELECT login FROM account LIMIT 1)||'`, `E'\x27' OR TRUE`, `＇ OR １＝１`, `ʼ OR 1=1`, `"; --`, "1\t\nOR\r1=1", `${jndi:ldap://x}`, `{{7*7}}`, `=HYPERLINK("http://x")`, `@SUM(1)`, `$(reboot)`, "`id`", `../../etc/passwd`,
}

// size is how much an answer holds: what another result set would change.
func size(t *testing.T, a answer) int {
	if !strings.Contains(a.header.Get("Content-Type"), "json") {
		return bytes.Count(a.body, []byte("\n"))
	}
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Errorf("%v in %.200s", err, a.body)
	}
	for _, k := range []string{"items", "features", "path"} {
		if list, ok := v[k].([]any); ok {
			return len(list)
		}
	}
	return 0
}

// query is a request's good parameters, of which one is then another.
func (o operation) query() url.Values {
	q := url.Values{}
	now := time.Now().UTC()
	for _, p := range o.params {
		if p.In != "query" {
			continue
		}
		switch p.Name {
		case "from":
			q.Set("from", now.Add(-12*time.Hour).Format(time.RFC3339))
			if o.path == "/api/v1/exports/figures.csv" {
				q.Set("from", monday(now).AddDate(0, 0, -14).Format(time.DateOnly))
			}
		case "to":
			q.Set("to", now.Add(time.Hour).Format(time.RFC3339))
			if o.path == "/api/v1/exports/figures.csv" {
				q.Set("to", monday(now).Format(time.DateOnly))
			}
		case "reason":
			q.Set("reason", "核实情况，回访当事人")
		case "case":
			q.Set("case", "SJ000000001")
		case "lon":
			q.Set("lon", "107.2")
		case "lat":
			q.Set("lat", "38.2")
		case "crs":
			q.Set("crs", "wgs84")
		}
	}
	return q
}

// opener is the token of the first role that a route lets in.
func (st *stand) opener(k keyring, o operation) string {
	for _, r := range []auth.Role{auth.HallOperator, auth.Auditor, auth.SecurityAdmin, auth.SystemAdmin, auth.GridWorker} {
		if a := st.call(o.method, o.filled()+"?"+o.query().Encode(), k[r], ""); a.status != 401 && a.status != 403 {
			return k[r]
		}
	}
	return k[auth.HallOperator]
}

// TestInjectionIsTextEverywhere puts what means something to a database into
// every parameter of every route: it is refused, or it is a text like any other.
func TestInjectionIsTextEverywhere(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	for i := range 6 {
		st.report(k[auth.HallOperator], 107.2+float64(i)/10, 38.2)
	}
	tried, taken := 0, 0
	for _, o := range st.contract() {
		token := st.opener(k, o)
		for _, p := range o.params {
			ask := func(v string) answer {
				q, path, headers := o.query(), o.filled(), []string(nil)
				switch p.In {
				case "query":
					q.Set(p.Name, v)
				case "path":
					path = strings.Replace(o.path, "{"+p.Name+"}", url.PathEscape(v), 1)
					path = operation{path: path}.filled()
				case "header":
					headers = []string{p.Name + ": " + strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(v)}
				}
				if len(q) > 0 {
					path += "?" + q.Encode()
				}
				return st.call(o.method, path, token, "", headers...)
			}
			plain := ask("zzzzzzzz")
			for _, v := range injections {
				tried++
				start := time.Now()
				a := ask(v)
				took := time.Since(start)
				if a.status >= 500 {
					t.Errorf("%s, %s %s=%q: %d %s", o, p.In, p.Name, v, a.status, a.body)
				}
				if took > 4*time.Second {
					t.Errorf("%s, %s %s=%q took %s", o, p.In, p.Name, v, took)
				}
				if m := inner.Find(bytes.ReplaceAll(a.body, []byte(v), nil)); m != nil && !strings.Contains(v, string(m)) && a.status >= 400 {
					t.Errorf("%s, %s %s=%q tells of the inside: %s", o, p.In, p.Name, v, a.body)
				}
				if a.status >= 300 || o.writes() {
					continue
				}
				taken++
				if plain.status != a.status || size(t, plain) != size(t, a) {
					t.Errorf("%s, %s %s=%q: %d with %d things; any other text %d with %d", o, p.In, p.Name, v, a.status, size(t, a), plain.status, size(t, plain))
				}
			}
		}
	}
	if n := st.count("SELECT count(*) FROM incident"); n != 6 {
		t.Errorf("%d incidents are left of 6", n)
	}
	if tried < 1500 || taken < 200 {
		t.Errorf("%d tried, %d taken as a text", tried, taken)
	}
	t.Logf("%d values tried, %d taken as a text", tried, taken)
	// Kept, they come back as they were, and a search for one finds it alone.
	op := k[auth.HallOperator]
	for _, v := range injections {
		v = strings.Join(strings.Fields(v), " ")
		body := map[string]any{"category": "0301", "title": v, "text": v, "address": v, "external_id": "x" + v, "location": map[string]any{"lon": 107.2, "lat": 38.2, "crs": "wgs84"}}
		a := st.call("POST", "/api/v1/incidents", op, asJSON(t, body))
		if a.status != 201 || a.json(t)["title"] != v {
			t.Errorf("%q as a title: %d %s", v, a.status, a.body)
		}
	}
	for _, v := range []string{"%", "_", `\`, `' OR '1'='1`, "{{7*7}}", "%.", "'"} {
		var want int
		for _, s := range injections {
			if strings.Contains(strings.Join(strings.Fields(s), " "), v) {
				want++
			}
		}
		if a := st.get("/api/v1/incidents?limit=200&text="+url.QueryEscape(v), op); a.status != 200 || size(t, a) != want {
			t.Errorf("a search for %q: %d with %d, want %d", v, a.status, size(t, a), want)
		}
	}
}

// badTexts and badJSON are values that belong nowhere, or only just somewhere.
var (
	badTexts = []string{
		"\x00", "\xff", "\xc0\xae", "-1", "0", "9223372036854775808", "-9223372036854775809", "1e400", "NaN", "Infinity", "0x10", "1_000", " 1", "", strings.Repeat("9", 5000), strings.Repeat("的", 3000),
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99", "0000-01-01", "9999-12-31", "294277-01-01T00:00:00Z",
		"[]", "a,b,c,d", "1,2,3,4,5", "-180,-90,180,90", "💩", "\u202egnp.exe", "<script>alert(1)</script>", "true", "null", "%s%n%x", "\x1b[31m",
	}
	badJSON = []string{
		`null`, `true`, `0`, `-1`, `1e999`, `1e-999`, `9223372036854775808`, `1.5`, `""`, `" "`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `[]`, `[null]`, `{}`, `[[[[]]]]`, `[{}]`, `"💩"`, `"\u202e"`,
		`"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"2026-02-30T00:00:00Z"`, `"294277-01-01T00:00:00Z"`, `"<script>alert(1)</script>"`, `"` + strings.Repeat("a", 100_000) + `"`, `"` + strings.Repeat("的", 250) + `"`,
		`undefined`, `'x'`, `NaN`, `01`, `"unclosed`, strings.Repeat("[", 40) + strings.Repeat("]", 40),
	}
)

// TestBadValuesAreNeverTheServersFault puts bad values into every parameter and
// every key of every route.
func TestBadValuesAreNeverTheServersFault(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	st.report(k[auth.HallOperator], 107.2, 38.2)
	tried := 0
	hold := func(o operation, what string, a answer) {
		tried++
		ok := a.status < 500 || a.status == 503 && a.header.Get("Retry-After") != "" && strings.Contains(string(a.body), "signing in")
		if !ok {
			t.Errorf("%s, %.120s: %d %s", o, what, a.status, a.body)
		}
		if a.status >= 400 {
			if m := inner.Find(a.body); m != nil {
				t.Errorf("%s, %.120s tells of the inside (%s): %.500s", o, what, m, a.body)
			}
			if kind := a.header.Get("Content-Type"); kind != "application/problem+json" && len(a.body) > 0 && o.path != "/tiles/{layer}/{z}/{x}/{y}.mvt" {
				t.Errorf("%s, %.120s: %d as %s", o, what, a.status, kind)
			}
		}
	}
	for _, o := range st.contract() {
		token := st.opener(k, o)
		for _, p := range o.params {
			for _, v := range badTexts {
				q, path := o.query(), o.filled()
				switch p.In {
				case "query":
					q.Set(p.Name, v)
				case "path":
					path = operation{path: strings.Replace(o.path, "{"+p.Name+"}", url.PathEscape(v), 1)}.filled()
				case "header":
					if strings.ContainsAny(v, "\x00\x1b") {
						continue // no client can send it
					}
					hold(o, p.Name+": "+v, st.call(o.method, path+"?"+q.Encode(), token, "{}", p.Name+": "+v))
					continue
				}
				hold(o, p.Name+"="+v, st.call(o.method, path+"?"+q.Encode(), token, ""))
			}
			if p.In == "query" {
				q := o.query()
				q.Add(p.Name, "a")
				q.Add(p.Name, "b")
				hold(o, p.Name+" twice", st.call(o.method, o.filled()+"?"+q.Encode(), token, ""))
			}
		}
		if o.body == nil {
			continue
		}
		for _, v := range append(badJSON, "", "\xef\xbb\xbf{}", "{", "{}{}", `{"a"}`, "\x00") {
			hold(o, "the whole "+v, st.call(o.method, o.filled(), token, v, "Content-Type: application/json"))
		}
		for name, p := range o.body.Properties {
			for _, v := range badJSON {
				if (name == "password" || name == "code" || name == "login") && len(v) > 30 {
					continue // each costs a hash
				}
				base, _ := sample(o.body).(map[string]any)
				delete(base, name)
				hold(o, name+": "+v, st.call(o.method, o.filled(), token, with(asJSON(t, base), name, v), `If-Match: "1"`))
			}
			for inner := range p.Properties {
				for _, v := range badJSON {
					base, _ := sample(o.body).(map[string]any)
					delete(base, name)
					object, _ := sample(p).(map[string]any)
					delete(object, inner)
					hold(o, name+"."+inner+": "+v, st.call(o.method, o.filled(), token, with(asJSON(t, base), name, with(asJSON(t, object), inner, v))))
				}
			}
		}
	}
	t.Logf("%d requests", tried)
	told := map[string]bool{} // one line of each kind
	for line := range strings.Lines(book.String()) {
		if _, err, _ := strings.Cut(line, " err="); strings.Contains(line, "level=ERROR") && !told[err] {
			told[err] = true
			t.Errorf("the log: %.400s", line)
		}
	}
	if a := st.report(k[auth.HallOperator], 107.2, 38.2); a.status != 201 {
		t.Errorf("a report after all that: %d %s", a.status, a.body)
	}
}

// monday is the day the week of t began, on the clocks of China.
func monday(t time.Time) time.Time {
	t = people.Local(t)
	return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
}
