// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onemap/auth"
	"onemap/feed"
	"onemap/hub"
)

// BenchmarkFanout sends events of 200 bytes to 1,000 sockets of this process,
// through the hub and, beside it in the same run, through a plain loop over the
// WebSocket library (one prepared message for all, one write each). One b.N is
// one event. cpu-us/op is CPU of the process for each delivered message, the
// readers' share included: in both arms the readers are the same.
func BenchmarkFanout(b *testing.B) {
	const subscribers = 1000
	for _, rate := range []int{100, 1000, 4000} {
		b.Run(fmt.Sprintf("hub/%d-a-second", rate), func(b *testing.B) {
			s := newStand(b, hub.Options{Limits: hub.Limits{PerIP: subscribers, Total: subscribers}})
			s.Start(epoch, &feed.State{})
			var in reading
			for i := range subscribers {
				ws, _, err := s.tryDial(actor(auth.HallOperator, fmt.Sprint("r", i), 1, 50), 0)
				if err != nil {
					b.Fatal(err)
				}
				defer ws.Close()
				_ = ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","topics":["events"]}`))
				in.follow(ws, i == 0)
			}
			eventually(b, "everybody is greeted", func() bool { return s.Stats().Resets == subscribers })
			pad := strings.Repeat("p", 40)
			measure(b, &in, rate, subscribers, func(i int) {
				e := incident(feed.Seq(i+1), "7", 5, 5)
				e.Case = []byte(fmt.Sprintf(`{"t":%d,"pad":%q}`, time.Now().UnixNano(), pad))
				s.publish(e)
			})
		})
	}
	b.Run("plain/100-a-second", func(b *testing.B) {
		var in reading
		conns, done := plain(b, &in, subscribers)
		defer done()
		pad := strings.Repeat("p", 160)
		measure(b, &in, 100, subscribers, func(int) {
			msg := fmt.Sprintf(`{"type":"event","t":%d,"pad":%q}`, time.Now().UnixNano(), pad)
			pm, err := websocket.NewPreparedMessage(websocket.TextMessage, []byte(msg))
			if err != nil {
				b.Fatal(err)
			}
			for _, c := range conns {
				_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
				if err := c.WritePreparedMessage(pm); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// reading counts what arrives; the first socket also measures how late.
type reading struct {
	got  atomic.Int64
	mu   sync.Mutex
	late []time.Duration
}

func (r *reading) follow(ws *websocket.Conn, measured bool) {
	go func() {
		for {
			_, m, err := ws.NextReader()
			if err != nil {
				return
			}
			b, err := io.ReadAll(m)
			if err != nil {
				return
			}
			r.got.Add(int64(strings.Count(string(b), `"type":"event"`)))
			if measured {
				r.time(string(b))
			}
		}
	}()
}

func (r *reading) time(frame string) {
	now := time.Now().UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		_, rest, ok := strings.Cut(frame, `"t":`)
		if !ok {
			return
		}
		var sent int64
		_, _ = fmt.Sscanf(rest, "%d", &sent)
		r.late = append(r.late, time.Duration(now-sent))
		frame = rest
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure sends b.N events at the rate and waits for all of them everywhere.
func measure(b *testing.B, in *reading, rate, subscribers int, send func(i int)) {
	base, used, start := in.got.Load(), cpu(), time.Now()
	b.ResetTimer()
	for i := range b.N {
		if ahead := time.Duration(i)*time.Second/time.Duration(rate) - time.Since(start); ahead > time.Millisecond {
			<-time.After(ahead)
		}
		send(i)
	}
	want := int64(b.N) * int64(subscribers)
	deadline := time.Now().Add(30 * time.Second)
	for in.got.Load()-base < want && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	b.StopTimer()
	got := in.got.Load() - base
	if got != want {
		b.Errorf("%d of %d messages arrived", got, want)
	}
	b.ReportMetric(float64(got)/time.Since(start).Seconds(), "delivered/s")
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(got), "cpu-us/op")
	in.mu.Lock()
	defer in.mu.Unlock()
	if slices.Sort(in.late); len(in.late) > 0 {
		b.ReportMetric(float64(in.late[len(in.late)*99/100].Microseconds())/1000, "p99-ms")
	}
}

// plain serves sockets without a hub.
func plain(b *testing.B, in *reading, n int) ([]*websocket.Conn, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	opened := make(chan *websocket.Conn, n)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var u websocket.Upgrader
		c, err := u.Upgrade(w, r, nil)
		if err == nil {
			opened <- c
		}
	})}
	go func() { _ = srv.Serve(l) }()
	var conns, peers []*websocket.Conn
	for i := range n {
		ws, _, err := websocket.DefaultDialer.Dial("ws://"+l.Addr().String(), nil)
		if err != nil {
			b.Fatal(err)
		}
		peers = append(peers, ws)
		in.follow(ws, i == 0)
		conns = append(conns, <-opened)
	}
	return conns, func() {
		for _, c := range append(conns, peers...) {
			_ = c.Close()
		}
		_ = srv.Close()
	}
}
