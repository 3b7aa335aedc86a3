// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onemap/auth"
	"onemap/feed"
	"onemap/hub"
)

// oracle says from the whole history alone what a reader must be told: it shares
// no code with the hub.
type oracle struct {
	mu     sync.Mutex
	evs    []feed.Event
	before []map[feed.Key]feed.Item // live entities before evs[i]
}

func (o *oracle) add(e feed.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next := map[feed.Key]feed.Item{}
	maps.Copy(next, o.before[len(o.evs)])
	switch e.Live {
	case feed.Put:
		next[e.Entity] = feed.Item{Audience: e.After, Shared: e.Shared, Case: e.Case}
	case feed.End:
		delete(next, e.Entity)
	}
	o.evs = append(o.evs, e)
	o.before = append(o.before, next)
}

func seesItem(a auth.Actor, au feed.Audience, shared, full json.RawMessage) (json.RawMessage, bool) {
	data := full
	if a.Role == auth.Wall {
		data = shared
	}
	return data, data != nil && a.Home(au.Grid)
}

// about returns what the reader must be told of seq: "event", "gone" or "skip".
func (o *oracle) about(a auth.Actor, seq feed.Seq) (string, json.RawMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.evs[seq-1]
	if data, ok := seesItem(a, e.After, e.Shared, e.Case); ok {
		return "event", data
	}
	old, held := o.before[seq-1][e.Entity]
	if _, ok := seesItem(a, old.Audience, old.Shared, old.Case); held && ok && e.Live != feed.None {
		return "gone", nil
	}
	return "skip", nil
}

// live returns what the reader may hold as of seq.
func (o *oracle) live(a auth.Actor, seq feed.Seq) map[feed.Key]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := map[feed.Key]string{}
	for k, it := range o.before[seq] {
		if data, ok := seesItem(a, it.Audience, it.Shared, it.Case); ok {
			out[k] = string(data)
		}
	}
	return out
}

// follower is a client that believes nothing: each message is held against the
// oracle.
type follower struct {
	o     *oracle
	a     auth.Actor
	seq   feed.Seq // -1 before the first answer
	scope string
	live  map[feed.Key]string
}

func (f *follower) apply(m message) error {
	switch m.Type {
	case "reset":
		f.seq, f.scope, f.live = m.Head, m.Scope, map[feed.Key]string{}
		for _, it := range m.Snapshot.Items {
			f.live[feed.Key{Kind: it.Kind, ID: it.ID}] = string(it.Data)
		}
		return f.check()
	case "resume":
		if m.Scope != f.scope || m.Head < f.seq {
			return fmt.Errorf("resume at %d says %s", f.seq, m.raw)
		}
	case "skip":
		for ; f.seq < m.To; f.seq++ {
			if want, _ := f.o.about(f.a, f.seq+1); want != "skip" {
				return fmt.Errorf("skipped over %s %d", want, f.seq+1)
			}
		}
	case "event", "gone":
		if m.Seq != f.seq+1 {
			return fmt.Errorf("%s %d after %d", m.Type, m.Seq, f.seq)
		}
		want, data := f.o.about(f.a, m.Seq)
		if want != m.Type || m.Type == "event" && string(m.Data) != string(data) {
			return fmt.Errorf("got %s, want %s %s", m.raw, want, data)
		}
		f.seq = m.Seq
		k := feed.Key{Kind: m.Kind, ID: m.ID}
		if m.Type == "event" {
			k.Kind = strings.Split(m.Kind, ".")[0]
		}
		switch {
		case m.Type == "gone", m.Live == "end":
			delete(f.live, k)
		case m.Live == "put":
			f.live[k] = string(m.Data)
		}
	case "tick":
		if m.Head < 0 {
			return fmt.Errorf("tick %s", m.raw)
		}
	}
	return nil
}

func (f *follower) check() error {
	want := f.o.live(f.a, f.seq)
	if len(want) != len(f.live) {
		return fmt.Errorf("as of %d it holds %d entities, want %d", f.seq, len(f.live), len(want))
	}
	for k, data := range want {
		if f.live[k] != data {
			return fmt.Errorf("as of %d %v is %s, want %s", f.seq, k, f.live[k], data)
		}
	}
	return nil
}

// habits of a follower.
type habits struct {
	cuts   bool // drops the connection now and then
	stalls bool // stops reading now and then
	pause  time.Duration
}

// run follows the feed until it stands at the last event.
func (f *follower) run(s *stand, rng *rand.Rand, h habits, last feed.Seq) error {
	for {
		ws, res, err := s.tryDial(f.a, 8<<10)
		if err != nil {
			return fmt.Errorf("dial: %v %w", res, err)
		}
		p := &peer{t: s.t, ws: ws}
		err = f.follow(p, rng, h, last)
		_ = ws.Close()
		switch {
		case err == nil:
			return f.check()
		case errors.Is(err, errCut), websocket.IsCloseError(err, hub.TooSlow, websocket.CloseAbnormalClosure),
			errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		default:
			return err
		}
	}
}

var errCut = errors.New("cut")

func (f *follower) follow(p *peer, rng *rand.Rand, h habits, last feed.Seq) error {
	msg := `{"type":"hello"}`
	if f.seq >= 0 {
		msg = fmt.Sprintf(`{"type":"hello","epoch":"e1","seq":%d,"scope":%q}`, f.seq, f.scope)
	}
	if err := p.ws.WriteMessage(websocket.TextMessage, []byte(msg)); err != nil {
		return err
	}
	greeted := false
	for n := 0; f.seq < last; n++ {
		if h.cuts && rng.IntN(120) == 0 {
			<-time.After(time.Duration(rng.IntN(600)) * time.Millisecond) // often for more events than the ring holds
			return errCut
		}
		if h.stalls && rng.IntN(600) == 0 {
			<-time.After(h.pause)
		}
		m, err := p.next()
		if err != nil {
			return err
		}
		greeted = greeted || m.Type == "reset" || m.Type == "resume"
		if !greeted && m.Type != "positions" {
			return fmt.Errorf("before an answer came %s", m.raw)
		}
		if err := f.apply(m); err != nil {
			return fmt.Errorf("%w (reader %s)", err, f.a.ID)
		}
	}
	return nil
}

// history makes random events: entities that open, move between grids, are
// hidden from walls and shown again, close, and reopen; offers no wall may know
// of; imports that concern a grid and no entity.
type history struct {
	rng *rand.Rand
	at  map[feed.Key]int32
	pad string
}

func (h *history) next(seq feed.Seq) feed.Event {
	k := feed.Key{Kind: "incident", ID: fmt.Sprint(h.rng.IntN(80))}
	if h.rng.IntN(4) == 0 {
		k = feed.Key{Kind: "offer", ID: fmt.Sprint(h.rng.IntN(20))}
	}
	before := h.at[k]
	after := before
	if before == 0 || h.rng.IntN(3) == 0 {
		after = int32(1 + h.rng.IntN(100))
	}
	e := incident(seq, k.ID, before, after)
	e.Entity, e.Kind = k, k.Kind+".changed"
	e.Case = []byte(fmt.Sprintf(`{"n":%d,"pad":%q}`, seq, h.pad))
	e.Shared = []byte(fmt.Sprintf(`{"n":%d}`, seq))
	if k.Kind == "offer" || h.rng.IntN(8) == 0 {
		e.Shared = nil
	}
	switch {
	case before != 0 && h.rng.IntN(6) == 0:
		e.Live = feed.End
		delete(h.at, k)
	case h.rng.IntN(20) == 0:
		e.Live, e.Entity = feed.None, feed.Key{Kind: "import", ID: fmt.Sprint(seq)}
		e.Kind, e.Before = "import.done", feed.Audience{}
	default:
		h.at[k] = after
	}
	return e
}

// Every reader is told each event of its scope exactly once and in order, and
// nothing of others, whatever its connection does.
func TestEveryReaderIsToldItsEventsOnceInOrder(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const events, readers = 2000, 44
	o, rec := &oracle{before: []map[feed.Key]feed.Item{{}}}, &record{}
	s := newStand(t, hub.Options{Ring: 256, Gather: 3 * time.Millisecond, Read: rec.read})
	s.Start(epoch, &feed.State{})
	actors := []auth.Actor{countyA, countyB, townA1, townA2, wallA, wallA1}
	var wg sync.WaitGroup
	for i := range readers {
		a := actors[i%len(actors)]
		a.ID = fmt.Sprintf("%s-%d", a.ID, i)
		h := habits{cuts: i%3 == 1, stalls: i%7 == 2, pause: 1200 * time.Millisecond}
		f := &follower{o: o, a: a, seq: -1}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			if err := f.run(s, rng, h, events); err != nil {
				t.Error(err)
			}
		})
	}
	hist := &history{rng: rand.New(rand.NewPCG(seed, 1<<32)), at: map[feed.Key]int32{}, pad: strings.Repeat("x", 2000)}
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for seq := feed.Seq(1); seq <= events; {
		var batch []feed.Event
		for range 1 + hist.rng.IntN(4) {
			if seq <= events {
				e := hist.next(seq)
				o.add(e)
				batch = append(batch, e)
				seq++
			}
		}
		rec.add(batch...)
		s.publish(batch...)
		<-pace.C
	}
	wg.Wait()
	st := s.Stats()
	t.Logf("%+v", st)
	if st.Resumes == 0 || st.Resets == 0 || st.ReadBacks == 0 {
		t.Error("nobody was cut, or not for long: the test shows nothing")
	}
}
