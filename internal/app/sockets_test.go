// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onemap/auth"
	"onemap/store"
)

// ends reads a socket to its end, which comes within a time and slackBeside, and returns
// why it ended and what it was told.
func (l *live) ends(within time.Duration) (code int, told []message) {
	l.t.Helper()
	told = append(told, l.todo...)
	_ = l.c.SetReadDeadline(time.Now().Add(within + slackBeside))
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

// lease is how soon a socket has to end after its right has, by the design's matrix. It is
// proved in fake time by package hub; here, beside other tests, slackBeside more is granted.
const lease = 5 * time.Second

func TestAStreamEndsWithItsTokenAndWithItsRole(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	// A token that runs out in mid-stream.
	secret, until := store.NewSecret(), time.Now().Add(6*time.Second) // enough to open the stream on a busy machine
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
	code, _ := wide.ends(lease)
	if took := time.Since(at); code != 4003 || took > lease+slackBeside {
		t.Errorf("after a change of role: code %d after %s", code, took)
	}
	code, _ = short.ends(time.Until(until) + lease)
	if over := time.Since(until); code != 4001 || over < 0 || over > lease+slackBeside {
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
func TestACompressedMessageIsRefused(t *testing.T) { // alone: what the whole process allocates is counted
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
	// The crowd is sent away by itself: headers within 5 s, bodies within 10. What is
	// measured is over; the wait goes on beside other tests.
	stays := make(chan int, len(crowd))
	for i, c := range crowd {
		limit := 5 * time.Second
		if i >= 600 {
			limit = 10 * time.Second
		}
		go func() { // ends with its socket, or at the deadline
			_ = c.SetReadDeadline(opened.Add(limit + slackBeside))
			if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
				stays <- i
				return
			}
			stays <- -1
		}()
	}
	t.Parallel()
	gone := 0
	for range crowd {
		if i := <-stays; i >= 0 {
			t.Errorf("socket %d was still open %s after it came", i, time.Since(opened).Round(time.Second))
		} else {
			gone++
		}
	}
	t.Logf("%d were gone %s after they came", gone, time.Since(opened).Round(time.Millisecond))
}

// slackBeside is how much later than its time a socket may end while other tests take
// the machine; far from the half minute that any request may last.
const slackBeside = 10 * time.Second

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
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
