// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"onemap/auth"
)

// Serve takes a request over as a socket of the live stream for a, or answers it
// with a problem document. lease is called every Options.Lease while the socket
// lives and decides by its error whether it may go on: see ErrScopeChanged and
// ErrLeaseUnknown, any other error signs the reader out; a nil lease never ends.
// Serve returns once the socket is open.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, a auth.Actor, lease func(context.Context) error) {
	stream, err := auth.StreamOf(a)
	switch {
	case !checkOrigin(r):
		refuse(w, http.StatusForbidden, "此来源的页面不得连接", 0)
	case err != nil:
		refuse(w, http.StatusForbidden, "当前角色无权查看实时画面", 0)
	case !isUpgrade(r):
		w.Header().Set("Upgrade", "websocket")
		refuse(w, http.StatusUpgradeRequired, "此地址只接受 WebSocket 连接，子协议 "+Subprotocol, 0)
	default:
		h.open(w, r, newClient(h, a, stream, h.o.IP(r), lease))
	}
}

func (h *Hub) open(w http.ResponseWriter, r *http.Request, c *client) {
	if status, why := h.reserve(c); status != 0 {
		c.free()
		refuse(w, status, why, 5+int(h.o.Rand()*25))
		return
	}
	ok := h.enter(r.Context().Done(), gateWait)
	if !ok {
		h.leave(c)
		refuse(w, http.StatusServiceUnavailable, "连接请求过多，请稍后重试", 5+int(h.o.Rand()*25))
		return
	}
	s, err := upgrade(w, r)
	h.exit()
	if err != nil {
		h.leave(c)
		return
	}
	c.sock = s
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c] = struct{}{}
	if h.stopping {
		c.end(serviceRestart, "retry_ms=1000")
	}
	h.wg.Go(c.readLoop)
	h.wg.Go(c.writeLoop)
	h.wg.Done() // reserve's
}

// reserve counts the socket in, or says why not.
func (h *Hub) reserve(c *client) (status int, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.o.Limits
	switch {
	case !h.started || h.stopping:
		why, status = "服务正在启动或停止", http.StatusServiceUnavailable
	case h.admitted >= l.Total:
		why, status = "连接总数已满", http.StatusServiceUnavailable
	case h.perActor[c.actor.ID] >= l.PerActor:
		why, status = "同一账号的连接过多", http.StatusTooManyRequests
	case h.perIP[c.ip] >= l.PerIP:
		why, status = "同一地址的连接过多", http.StatusTooManyRequests
	}
	if status != 0 {
		h.stats.refused.Add(1)
		return status, why
	}
	h.wg.Add(1)
	h.admitted++
	h.perActor[c.actor.ID]++
	h.perIP[c.ip]++
	if h.rooms[c.stream.Tag] == nil {
		h.rooms[c.stream.Tag] = &room{Stream: c.stream, members: map[*client]struct{}{}}
	}
	c.room = h.rooms[c.stream.Tag]
	c.room.sockets++
	return 0, ""
}

// leave counts the socket out and forgets it.
func (h *Hub) leave(c *client) {
	c.free()
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.clients[c]; open {
		delete(h.clients, c)
	} else {
		h.wg.Done() // it never opened
	}
	delete(c.room.members, c)
	h.admitted--
	countDown(h.perActor, c.actor.ID)
	countDown(h.perIP, c.ip)
	if c.room.sockets--; c.room.sockets == 0 {
		delete(h.rooms, c.room.Tag)
	}
}

func countDown(m map[string]int, k string) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// enter takes a place among the handshakes in progress; false when none came
// free in time or the caller went away.
func (h *Hub) enter(away <-chan struct{}, wait time.Duration) bool {
	select {
	case h.gate <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case h.gate <- struct{}{}:
		return true
	case <-t.C:
	case <-away:
	case <-h.ctx.Done():
	}
	return false
}

func (h *Hub) exit() { <-h.gate }

// checkOrigin lets in our own pages and, without an Origin, programs that show a
// bearer token. A cookie never counts without an Origin: a browser sends it along
// for anybody's page.
func checkOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	switch len(origins) {
	case 0:
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		return strings.EqualFold(scheme, "Bearer") && token != "" && r.Header.Get("Cookie") == ""
	case 1:
	default:
		return false
	}
	u, err := url.Parse(origins[0])
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" {
		return false
	}
	if u.Scheme != "https" && (u.Scheme != "http" || r.TLS != nil) {
		return false
	}
	return strings.EqualFold(u.Host, r.Host)
}

// remoteIP is the address at the other end of the connection.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// refuse answers with a problem document (RFC 9457). retryAfter is in seconds, 0
// for none.
func refuse(w http.ResponseWriter, status int, detail string, retryAfter int) {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}
