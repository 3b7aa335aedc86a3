// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// scan asks for tiles at random, half of them where the county is.
func (c *crowd) scan() {
	tokens, lon, lat := c.Scan, c.West, c.South
	if len(tokens) == 0 {
		return
	}
	c.many(200, 500*time.Millisecond, func(i int) {
		kind, token := "scanners", tokens[i%len(tokens)]
		if i%20 == 0 {
			kind, token = "wrong tokens", fmt.Sprintf("wrong%027d", rand.IntN(1<<30))
		}
		z := rand.IntN(20)
		n := 1 << z
		x, y := rand.IntN(n), rand.IntN(n)
		if rand.IntN(2) == 0 {
			z = 8 + rand.IntN(7)
			size := float64(int(1) << z)
			sin := math.Sin(lat * math.Pi / 180)
			x = int((lon/360+0.5)*size + (rand.Float64()-0.5)*size/256)
			y = int((0.5-math.Log((1+sin)/(1-sin))/(4*math.Pi))*size + (rand.Float64()-0.5)*size/256)
		}
		layer := []string{"grids", "grids", "roads", "cameras", "secrets"}[rand.IntN(5)]
		c.ask(kind, fmt.Sprintf("127.0.1.%d", 1+i%20), "GET", fmt.Sprintf("/tiles/%s/%d/%d/%d.mvt", layer, z, x, y), token, nil, 0)
	})
}

// readSlowly opens sockets and asks for long answers, and reads both at a few
// bytes a second.
func (c *crowd) readSlowly() {
	tokens := c.Slow
	if len(tokens) == 0 {
		return
	}
	c.many(50, 2*time.Second, func(i int) {
		d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 5 * time.Second, NetDialContext: c.from(fmt.Sprintf("127.0.4.%d", 1+i%10), 2048).DialContext}
		ws, res, err := d.DialContext(c.ctx, "ws"+strings.TrimPrefix(c.URL, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + tokens[i%len(tokens)]}})
		if err != nil {
			if c.ctx.Err() == nil {
				c.note("slow sockets", "not opened "+statusOf(res))
			}
			return
		}
		defer ws.Close()
		if ws.WriteJSON(map[string]any{"type": "hello", "topics": []string{"events", "positions"}}) != nil {
			return
		}
		c.note("slow sockets", "opened")
		c.trickle("slow sockets", ws.NetConn(), time.Now())
	})
	c.many(50, 2*time.Second, func(i int) {
		conn, err := c.from(fmt.Sprintf("127.0.4.%d", 1+i%10), 2048).DialContext(c.ctx, "tcp", strings.TrimPrefix(c.URL, "http://"))
		if err != nil {
			return
		}
		defer conn.Close()
		start, path := time.Now(), []string{"/api/v1/incidents?limit=200", "/api/v1/grids?level=4&limit=2000", c.Asset, "/api/openapi.json"}[i%4]
		for range 20 { // one behind the other: the answers wait for the reader
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, strings.TrimPrefix(c.URL, "http://"), tokens[i%len(tokens)])
		}
		c.note("slow answers", "asked")
		c.trickle("slow answers", conn, start)
	})
}

func statusOf(res *http.Response) string {
	if res == nil {
		return "without an answer"
	}
	return fmt.Sprint(res.StatusCode)
}

// asset is the largest file of the pages.
func (s *server) asset() string {
	_, raw := s.call("GET", s.URL+"/wall", "", "")
	for part := range strings.SplitSeq(string(raw), `"`) {
		if strings.HasPrefix(part, "/assets/") && strings.HasSuffix(part, ".js") {
			return part
		}
	}
	return "/wall"
}

// trickle reads a few bytes a second until the other end has enough of it.
func (c *crowd) trickle(kind string, conn net.Conn, start time.Time) {
	buf := make([]byte, 8)
	for c.ctx.Err() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err := conn.Read(buf)
		var late net.Error
		if err != nil && !(errors.As(err, &late) && late.Timeout()) {
			c.mu.Lock()
			c.told.Lived[kind] = append(c.told.Lived[kind], time.Since(start))
			c.mu.Unlock()
			return
		}
		c.pause(time.Second)
	}
}

// zeros is a body that has no end of its own.
type zeros struct {
	c    *crowd
	left int64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left <= 0 || z.c.ctx.Err() != nil {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	for i := range p[:n] {
		p[i] = '0'
	}
	z.left -= n
	z.c.bytes.Add(n)
	return int(n), nil
}

// bomb sends what is small to send and large to read.
func (c *crowd) bomb() {
	token := c.Bomb
	if token == "" {
		return
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(`{"title":"` + strings.Repeat("0", 32<<20)))
	_ = w.Close()
	deep, pairs := strings.Repeat("[", 200<<10), strings.Repeat(`"a":1,`, 30<<10)
	wide := `{"title":[` + strings.Repeat("0,", 120<<10) + `0]}`
	star := star(2001)
	const big = 64 << 20
	c.many(50, time.Second, func(i int) {
		addr := fmt.Sprintf("127.0.5.%d", 1+i%10)
		send := func(kind, path, token string, body io.Reader, size int64, header ...string) {
			c.ask(kind, addr, "POST", path, token, body, size, header...)
		}
		text := func(kind, path, token, body string, header ...string) {
			c.bytes.Add(int64(len(body)))
			send(kind, path, token, strings.NewReader(body), int64(len(body)), header...)
		}
		whole := func(body string) io.Reader { return io.MultiReader(strings.NewReader(body), &zeros{c, big}) }
		path := []string{"/api/v1/session", "/api/v1/invitations/redeem"}[rand.IntN(2)]
		switch rand.IntN(12) {
		case 0:
			send("64 MiB", "/api/v1/incidents", token, whole(`{"title":"`), big)
		case 1:
			send("64 MiB", "/api/v1/incidents", token, whole(`{"title":"`), -1)
		case 2:
			send("64 MiB, nobody", path, "", whole(`{"login":"`), big)
		case 3:
			text("deep", "/api/v1/incidents", token, deep)
		case 4:
			text("deep, nobody", path, "", strings.Repeat(`{"a":`, 40<<10))
		case 5:
			text("twice", "/api/v1/incidents", token, "{"+pairs+`"a":1}`)
		case 6:
			text("wide", "/api/v1/incidents", token, wide)
		case 7:
			text("wide, nobody", path, "", strings.ReplaceAll(wide, "title", "login"))
		case 8:
			c.bytes.Add(int64(zipped.Len()))
			send("gzip", "/api/v1/incidents", token, bytes.NewReader(zipped.Bytes()), int64(zipped.Len()), "Content-Encoding: gzip")
		case 9:
			text("star", "/api/v1/incidents", token, star, "Content-Type: application/geo+json")
		case 10:
			c.ask("headers", addr, "GET", "/api/v1/incidents", token, nil, 0, "X-Large: "+strings.Repeat("x", 1<<20))
			c.bytes.Add(1 << 20)
		case 11:
			c.deflate(addr, token)
		}
	})
	c.many(10, 500*time.Millisecond, func(i int) { // 20 polygons a second
		addr, text := fmt.Sprintf("127.0.5.%d", 1+i%10), star
		if rand.IntN(2) == 0 {
			text = starOf201
		}
		query := []string{"bbox", "text", "geometry"}[rand.IntN(3)]
		c.ask("star in a query", addr, "GET", "/api/v1/incidents?"+query+"="+url.QueryEscape(text), token, nil, 0)
		c.bytes.Add(int64(len(text)))
		body := fmt.Sprintf(`{"category":"0301","title":"star","location":%s}`, text)
		c.ask("star as a place", addr, "POST", "/api/v1/incidents", token, strings.NewReader(body), int64(len(body)))
		c.bytes.Add(int64(len(body)))
	})
}

var starOf201 = star(201)

// star is a polygon whose every side crosses nearly every other.
func star(n int) string {
	var b strings.Builder
	b.WriteString(`{"type":"Polygon","coordinates":[[`)
	for i := range n {
		a := 2 * math.Pi * float64(i*(n/2)%n) / float64(n)
		fmt.Fprintf(&b, "[%.6f,%.6f],", 107.5+0.3*math.Cos(a), 38.2+0.3*math.Sin(a))
	}
	fmt.Fprintf(&b, "[%.6f,%.6f]]]}", 107.5+0.3, 38.2)
	return b.String()
}

// deflate asks for a compressed socket, and sends a message that would unpack to
// 16 MiB if it had got one, or one that is too long.
func (c *crowd) deflate(addr, token string) {
	conn, err := c.from(addr, 0).DialContext(c.ctx, "tcp", strings.TrimPrefix(c.URL, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET /api/v1/live HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: onemap.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", strings.TrimPrefix(c.URL, "http://"), token)
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	head := string(buf[:n])
	switch {
	case err != nil:
		c.note("deflate", "cut off")
		return
	case !strings.HasPrefix(head, "HTTP/1.1 101"):
		c.note("deflate", strings.TrimSpace(strings.SplitN(head, " ", 3)[1]))
		return
	case strings.Contains(strings.ToLower(head), "permessage-deflate"):
		c.mu.Lock()
		c.told.Wrong = append(c.told.Wrong, "the socket was compressed")
		c.mu.Unlock()
	}
	first, payload := byte(0xC1), packed() // text, final, compressed
	if rand.IntN(2) == 0 {
		first, payload = 0x81, make([]byte, 1<<20)
	}
	frame := binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(len(payload)))
	frame = append(frame, 0, 0, 0, 0) // a mask of zeros
	_, _ = conn.Write(append(frame, payload...))
	c.bytes.Add(int64(len(payload)))
	for {
		if n, err = conn.Read(buf); err != nil {
			break
		}
		if i := bytes.IndexByte(buf[:n], 0x88); i >= 0 && i+4 <= n && buf[i+1] >= 2 {
			c.note("deflate", fmt.Sprintf("closed with %d", binary.BigEndian.Uint16(buf[i+2:])))
			return
		}
	}
	if c.ctx.Err() == nil {
		c.note("deflate", "cut off")
	}
}

var packed = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	_, _ = w.Write(bytes.Repeat([]byte("0"), 16<<20))
	_ = w.Flush()
	return b.Bytes()
})

// halfOpen holds connections by sending a request byte by byte.
func (c *crowd) halfOpen() {
	if !c.HalfOpen {
		return
	}
	main, device := strings.TrimPrefix(c.URL, "http://"), strings.TrimPrefix(c.Device, "http://")
	c.many(500, 2*time.Second, func(i int) {
		kind, at := "loris headers", main
		text := "GET /api/v1/incidents HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 400)
		given := 16 // bytes sent at once
		if i%2 == 0 {
			kind = "loris bodies"
			text = "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
			given = len(text)
			text += `{"login":"` + strings.Repeat("0", 900)
		}
		if i%10 == 1 {
			kind, at = "loris devices", device
		}
		conn, err := c.from(fmt.Sprintf("127.0.2.%d", 1+i%20), 0).DialContext(c.ctx, "tcp", at)
		if err != nil {
			if c.ctx.Err() == nil {
				c.note(kind, "not connected")
			}
			return
		}
		defer conn.Close()
		start, answer := time.Now(), make([]byte, 512)
		_, err = conn.Write([]byte(text[:given]))
		for text = text[given:]; text != "" && err == nil && c.ctx.Err() == nil; text = text[1:] {
			_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			n, rerr := conn.Read(answer) // the pause between two bytes
			var late net.Error
			if rerr != nil && !(errors.As(rerr, &late) && late.Timeout()) {
				err = rerr
				break
			}
			if n > 12 && bytes.HasPrefix(answer, []byte("HTTP/1.1 ")) {
				c.note(kind, string(answer[9:12]))
			}
			_, err = conn.Write([]byte(text[:1]))
		}
		if c.ctx.Err() == nil {
			c.mu.Lock()
			c.told.Lived[kind] = append(c.told.Lived[kind], time.Since(start))
			c.mu.Unlock()
		}
	})
}

// guess tries logins and passwords, each guesser from an address of its own, two
// times a second.
func (c *crowd) guess() {
	c.many(c.Guessers, time.Second/2, func(i int) {
		login := fmt.Sprintf("dispatcher%d", rand.IntN(40))
		if rand.IntN(4) == 0 {
			login = fmt.Sprintf("somebody-%d", rand.IntN(1_000_000))
		}
		body := fmt.Sprintf(`{"login":"%s","password":"password-%d"}`, login, rand.IntN(1_000_000))
		if c.ask("guessers", fmt.Sprintf("127.0.3.%d", 1+i), "POST", "/api/v1/session", "", strings.NewReader(body), int64(len(body))) == http.StatusOK {
			c.note("guessers", "GOT IN")
		}
	})
}

// abuse is a dispatcher who asks for the most expensive things as fast as the
// answers come, and does what a dispatcher may not.
func (c *crowd) abuse() {
	token := c.Abuse
	if token == "" {
		return
	}
	incident := func() string { return c.Incidents[rand.IntN(len(c.Incidents))] }
	const addr = "127.0.6.1"
	since := time.Now().AddDate(-3, 0, 0).UTC().Format("2006-01-02T15:04:05Z")
	heavy := []string{
		"/api/v1/incidents?limit=200&text=" + url.QueryEscape("消防"),
		"/api/v1/incidents?limit=200&text=" + url.QueryEscape("没有这样的词") + "&from=" + since,
		"/api/v1/incidents?limit=200&text=e&bbox=106,37,109,39&overdue=true&from=" + since,
		"/api/v1/incidents?limit=200&state=closed&bbox=106,37,109,39&category=03&from=" + since,
		"/api/v1/incidents?limit=200&text=" + url.QueryEscape("%_%_%"),
		"/api/v1/figures/today",
	}
	c.many(4, 10*time.Millisecond, func(int) {
		c.ask("abuser, reads", addr, "GET", heavy[rand.IntN(len(heavy))], token, nil, 0)
	})
	c.many(1, 50*time.Millisecond, func(int) {
		c.post("reveals", addr, "/api/v1/incidents/"+incident()+"/reporters/1/reveal", token, `{"reason":"because I can"}`)
	})
	c.many(1, 50*time.Millisecond, func(int) {
		switch rand.IntN(5) {
		case 0:
			c.post("abuser, acts", addr, "/api/v1/accounts", token, `{"login":"mine"}`)
		case 1:
			c.post("abuser, acts", addr, "/api/v1/tokens", token, `{"role":"hall_operator","expires_s":3600}`)
		case 2:
			c.post("abuser, acts", addr, "/api/v1/incidents/999999999/actions", token, `{"action":"accept"}`, `If-Match: "1"`)
		case 3:
			c.post("abuser, acts", addr, "/api/v1/incidents/"+incident()+"/actions", token, `{"action":"verify"}`, `If-Match: "999"`)
		case 4:
			c.ask("abuser, acts", addr, "GET", "/api/v1/audit", token, nil, 0)
		}
	})
}

func (c *crowd) post(kind, addr, path, token, body string, header ...string) {
	c.ask(kind, addr, "POST", path, token, strings.NewReader(body), int64(len(body)), header...)
}
