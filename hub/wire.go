// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"onemap/feed"
)

// hello is the one message a client sends: at first, and again when it misses
// an event.
type hello struct {
	epoch     feed.Epoch
	scope     string
	seq       feed.Seq // -1 on a first visit
	events    bool
	positions bool
	binary    bool
}

const (
	topicEvents    = "events"
	topicPositions = "positions"
)

// parseHello reads a client's message. Topics left out mean all; topics nobody
// knows are let through, so that a newer page works with an older server.
func parseHello(b []byte) (hello, error) {
	var m struct {
		Type      string     `json:"type"`
		Epoch     feed.Epoch `json:"epoch"`
		Seq       *feed.Seq  `json:"seq"`
		Scope     string     `json:"scope"`
		Topics    []string   `json:"topics"`
		Positions string     `json:"positions"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return hello{}, errors.New("not a JSON object of the protocol")
	}
	if m.Type != "hello" {
		return hello{}, fmt.Errorf("message type %.20q is not known", m.Type)
	}
	if m.Positions != "" && m.Positions != "json" && m.Positions != "binary" {
		return hello{}, errors.New("positions is json or binary")
	}
	h := hello{epoch: m.Epoch, scope: m.Scope, seq: -1, binary: m.Positions == "binary"}
	if m.Seq != nil {
		h.seq = *m.Seq
	}
	h.events = m.Topics == nil || slices.Contains(m.Topics, topicEvents)
	h.positions = m.Topics == nil || slices.Contains(m.Topics, topicPositions)
	return h, nil
}

// stamp is the form of every time on the wire: RFC 3339, UTC, milliseconds.
const stamp = "2006-01-02T15:04:05.000Z07:00"

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, stamp)
	return append(b, '"')
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, _ := json.Marshal(s) // a string always marshals
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendKey(b []byte, k feed.Key) []byte {
	b = append(b, `"kind":`...)
	b = appendString(b, k.Kind)
	b = append(b, `,"id":`...)
	return appendString(b, k.ID)
}

// appendEvent appends the event with the payload the reader's view gets.
func appendEvent(b []byte, e *feed.Event, data json.RawMessage) []byte {
	b = append(b, `{"type":"event","seq":`...)
	b = strconv.AppendInt(b, int64(e.Seq), 10)
	b = append(b, `,"at":`...)
	b = appendTime(b, e.At)
	b = append(b, `,"kind":`...)
	b = appendString(b, e.Kind)
	b = append(b, `,"entity":{`...)
	b = appendKey(b, e.Entity)
	b = append(b, `},"id":`...)
	b = appendString(b, e.Entity.ID)
	b = append(b, `,"ver":`...)
	b = strconv.AppendInt(b, int64(e.Ver), 10)
	b = append(b, `,"live":`...)
	b = appendString(b, string(e.Live))
	b = append(b, `,"data":`...)
	b = append(b, data...)
	return append(b, '}')
}

// appendGone tells a reader that the entity has left what they may see.
func appendGone(b []byte, e *feed.Event) []byte {
	b = append(b, `{"type":"gone","seq":`...)
	b = strconv.AppendInt(b, int64(e.Seq), 10)
	b = append(b, ',')
	b = appendKey(b, e.Entity)
	return append(b, '}')
}

// appendSkip says that every event up to and including to was for others. A
// client that is there already does nothing.
func appendSkip(b []byte, to feed.Seq) []byte {
	b = append(b, `{"type":"skip","to":`...)
	b = strconv.AppendInt(b, int64(to), 10)
	return append(b, '}')
}

// appendTick tells the newest number, the clock, and how long ago this node knew
// that it had every event.
func appendTick(b []byte, head feed.Seq, now time.Time, age time.Duration) []byte {
	b = append(b, `{"type":"tick","head":`...)
	b = strconv.AppendInt(b, int64(head), 10)
	b = append(b, `,"time":`...)
	b = appendTime(b, now)
	b = append(b, `,"feed_age_s":`...)
	b = strconv.AppendInt(b, int64(max(0, age)/time.Second), 10)
	return append(b, '}')
}

// appendAnswer appends a reset or resume up to and without its closing brace.
func appendAnswer(b []byte, kind string, epoch feed.Epoch, head feed.Seq, scope string) []byte {
	b = append(b, `{"type":`...)
	b = appendString(b, kind)
	b = append(b, `,"epoch":`...)
	b = appendString(b, string(epoch))
	b = append(b, `,"head":`...)
	b = strconv.AppendInt(b, int64(head), 10)
	b = append(b, `,"scope":`...)
	return appendString(b, scope)
}

func appendItem(b []byte, it *feed.Item, data json.RawMessage) []byte {
	b = append(b, '{')
	b = appendKey(b, it.Key)
	b = append(b, `,"ver":`...)
	b = strconv.AppendInt(b, int64(it.Ver), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, int64(it.Seq), 10)
	b = append(b, `,"data":`...)
	b = append(b, data...)
	return append(b, '}')
}
