// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"onemap/feed"
)

func FuzzParseHello(f *testing.F) {
	for _, s := range []string{
		`{"type":"hello"}`, `{"type":"hello","epoch":"e","seq":12,"scope":"t","topics":["events","positions"],"positions":"binary"}`,
		`{"type":"hello","topics":[]}`, `{"type":"hello","seq":9223372036854775807}`, `[]`, `null`, `{`, `{"type":"hello","seq":1.5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil {
			if len(err.Error()) > 123 {
				t.Errorf("%q does not fit into a close frame", err)
			}
			return
		}
		if !json.Valid(b) {
			t.Errorf("took %q", b)
		}
		if strings.Contains(string(b), `"topics":[]`) && strings.Count(string(b), "topics") == 1 && (h.events || h.positions) {
			t.Errorf("no topics were asked for, %+v", h)
		}
	})
}

func TestHelloTopics(t *testing.T) {
	for msg, want := range map[string]hello{
		`{"type":"hello"}`:                                     {seq: -1, events: true, positions: true},
		`{"type":"hello","topics":["events"]}`:                 {seq: -1, events: true},
		`{"type":"hello","topics":["positions","wall:3"]}`:     {seq: -1, positions: true},
		`{"type":"hello","seq":0,"epoch":"e","scope":"s"}`:     {seq: 0, epoch: "e", scope: "s", events: true, positions: true},
		`{"type":"hello","positions":"binary","new_field":{}}`: {seq: -1, events: true, positions: true, binary: true},
	} {
		if got, err := parseHello([]byte(msg)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", msg, got, err)
		}
	}
	for _, msg := range []string{`{}`, `{"type":"event"}`, `{"type":"hello","positions":"xml"}`, `{"type":"hello","seq":"1"}`} {
		if _, err := parseHello([]byte(msg)); err == nil {
			t.Errorf("%s was taken", msg)
		}
	}
}

func TestEventOnTheWire(t *testing.T) {
	e := &feed.Event{
		Seq: 1235, At: time.Date(2026, 3, 5, 20, 0, 0, 123456789, time.FixedZone("", 8*3600)), Kind: "incident.opened",
		Entity: feed.Key{Kind: "incident", ID: "12"}, Ver: 1, Live: feed.Put,
	}
	want := `{"type":"event","seq":1235,"at":"2026-03-05T12:00:00.123Z","kind":"incident.opened",` +
		`"entity":{"kind":"incident","id":"12"},"id":"12","ver":1,"live":"put","data":{"a":1}}`
	if got := string(appendEvent(nil, e, []byte(`{"a":1}`))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Entity.ID = "\"网\x00格<"
	for _, got := range [][]byte{appendEvent(nil, e, []byte(`{}`)), appendGone(nil, e), appendAnswer(nil, "resume", "\"", 1, "\\")} {
		if got[len(got)-1] != '}' {
			got = append(got, '}')
		}
		if !json.Valid(got) {
			t.Errorf("not JSON: %s", got)
		}
	}
}

// A sealed frame is what RFC 6455 section 5.2 says, at each of the three sizes
// of its header.
func TestSealedFrames(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 200_000} {
		buf := append(make([]byte, headRoom), strings.Repeat("x", n)...)
		w := seal(buf, headRoom, opText)
		if w[0] != 0x81 {
			t.Fatalf("%d: first byte %x", n, w[0])
		}
		var got, head int
		switch w[1] {
		case 126:
			got, head = int(binary.BigEndian.Uint16(w[2:])), 4
		case 127:
			got, head = int(binary.BigEndian.Uint64(w[2:])), 10
		default:
			got, head = int(w[1]), 2
		}
		if got != n || len(w) != head+n {
			t.Errorf("%d bytes: the header says %d, the frame has %d", n, got, len(w)-head)
		}
	}
}

func TestGatheredFramesAreCutWhenTheyGrow(t *testing.T) {
	var g gathered
	for range 40 {
		g.took(append(g.next(), `"`+strings.Repeat("y", 5000)+`"`...))
	}
	fs := g.all()
	messages := 0
	for _, f := range fs {
		messages += f.messages
		if len(f.wire) > fullAt+6000 {
			t.Errorf("a frame of %d bytes", len(f.wire))
		}
	}
	if messages != 40 || len(fs) < 3 {
		t.Errorf("%d messages in %d frames", messages, len(fs))
	}
}
