// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// feedIsWhole reads the live stream again, from the feed's beginning or as far back
// as it lets a reader resume, and checks that it brings every number once and in
// order, and opens at least this many incidents.
func (s *server) feedIsWhole(token string, incidents int) {
	t := s.t
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second}
	c, _, err := d.Dial("ws"+strings.TrimPrefix(s.URL, "http")+"/api/v1/live", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	type message struct {
		Type, Kind, ID, Epoch, Scope string
		Seq, Head, To                int64
	}
	var todo []message
	next := func() message {
		for {
			for len(todo) == 0 {
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
				_, raw, err := c.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				if raw = bytes.TrimSpace(raw); raw[0] != '[' {
					raw = append(append([]byte{'['}, raw...), ']')
				}
				if err := json.Unmarshal(raw, &todo); err != nil {
					t.Fatal(err)
				}
			}
			m := todo[0]
			todo = todo[1:]
			if m.Type != "tick" && m.Type != "positions" {
				return m
			}
		}
	}
	hello := func(v map[string]any) message {
		v["type"], v["topics"] = "hello", []string{"events"}
		if err := c.WriteJSON(v); err != nil {
			t.Fatal(err)
		}
		return next()
	}
	first := hello(map[string]any{})
	from := max(0, first.Head-resumable)
	incidents = min(incidents, int(first.Head-from)-2) // two events numbered and enacted the grids
	again := hello(map[string]any{"epoch": first.Epoch, "scope": first.Scope, "seq": from})
	for again.Type == "event" && again.Seq > first.Head {
		again = next() // the first hello's: told on the way, while the feed catches up with a database that just came back
	}
	if again.Type != "resume" {
		t.Fatalf("asked for everything and got %+v", again)
	}
	last := from
	opened := map[string]bool{}
	for last < first.Head {
		m := next()
		switch m.Type {
		case "event":
			if m.Seq != last+1 {
				t.Fatalf("event %d follows %d", m.Seq, last)
			}
			if m.Kind == "incident.opened" && opened[m.ID] {
				t.Fatalf("incident %s was opened twice", m.ID)
			}
			opened[m.ID] = opened[m.ID] || m.Kind == "incident.opened"
			last = m.Seq
		case "skip":
			last = m.To
		default:
			t.Fatalf("got %+v", m)
		}
	}
	n := 0
	for _, o := range opened {
		if o {
			n++
		}
	}
	if n < incidents {
		t.Errorf("the feed opened %d incidents, %d were acknowledged", n, incidents)
	}
}

// resumable is how far behind a reader may be and still resume, with a margin.
const resumable = 4500
