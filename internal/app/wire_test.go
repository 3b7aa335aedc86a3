// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// wire stands between a server and its database and counts what crosses it: each
// statement by its text, and the rows that come back.
type wire struct {
	url string // of the database, by way of this wire
	mu  sync.Mutex
	n   map[string]int
}

// rowsBack is the key of the rows among the statements.
const rowsBack = "rows that came back"

// tapped puts a wire before a database.
func tapped(t testing.TB, address string) *wire {
	t.Helper()
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", "127.0.0.1")
	q.Set("port", fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = "", q.Encode()
	w := &wire{url: u.String(), n: map[string]int{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed at the end
			}
			all.Go(func() { w.carry(t, c, cfg.Host, cfg.Port) })
		}
	})
	t.Cleanup(func() { // after the server that was started later has closed its connections
		_ = l.Close()
		all.Wait()
	})
	return w
}

// carry forwards one connection, both ways, message by message, each once it is counted:
// whoever has an answer finds everything counted that led to it.
func (w *wire) carry(t testing.TB, client net.Conn, host string, port uint16) {
	defer func() { _ = client.Close() }()
	network, address := pgconn.NetworkAddress(host, port)
	db, err := net.Dial(network, address)
	if err != nil {
		t.Error(err)
		return
	}
	forward := func(to net.Conn, m pgproto3.Message) bool {
		b, err := m.Encode(nil)
		if err == nil {
			_, err = to.Write(b)
		}
		return err == nil
	}
	var back sync.WaitGroup
	back.Go(func() {
		defer func() { _ = client.Close() }()
		for in := pgproto3.NewFrontend(db, io.Discard); ; {
			m, err := in.Receive()
			if err != nil {
				return
			}
			if _, ok := m.(*pgproto3.DataRow); ok {
				w.add(rowsBack)
			}
			if !forward(client, m) {
				return
			}
		}
	})
	defer back.Wait()
	defer func() { _ = db.Close() }()
	out := pgproto3.NewBackend(client, io.Discard)
	start, err := out.ReceiveStartupMessage()
	if err != nil || !forward(db, start) {
		return
	}
	for prepared := map[string]string{}; ; {
		m, err := out.Receive()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *pgproto3.Parse:
			prepared[m.Name] = m.Query
		case *pgproto3.Bind:
			w.add(prepared[m.PreparedStatement])
		case *pgproto3.Query:
			w.add(m.String)
		}
		if !forward(db, m) {
			return
		}
	}
}

func (w *wire) add(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n[what]++
}

// during counts what crosses while f runs: of f and, now and then, of what the server
// does besides.
func (w *wire) during(f func()) map[string]int {
	w.mu.Lock()
	clear(w.n)
	w.mu.Unlock()
	f()
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.n)
}

// least is what two counts of the same thing have in common.
func least(a, b map[string]int) map[string]int {
	out := map[string]int{}
	for k, n := range a {
		if n = min(n, b[k]); n > 0 {
			out[k] = n
		}
	}
	return out
}

// unlike tells what one of two does that the other does not, each done over and over
// until what the server does besides has left no trace in either; nil when they are alike.
func (w *wire) unlike(one, other func()) map[string]int {
	one()
	other() // statements are prepared by now on one connection at least
	a, b := w.during(one), w.during(other)
	for range 30 {
		a, b = least(a, w.during(one)), least(b, w.during(other))
		if maps.Equal(a, b) {
			return nil
		}
	}
	out := map[string]int{}
	for k, n := range a {
		if n != b[k] {
			out[k] = n - b[k]
		}
	}
	for k, n := range b {
		if a[k] == 0 {
			out[k] = -n
		}
	}
	return out
}
