// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HallOptions have the hall work without a hand: dispatchers take each report from its
// acceptance to the call-back, asking whom the advice names. Shares are from 0 to 1.
type HallOptions struct {
	Tokens      []string      // one for each dispatcher, at most 32; the field's own when there is none
	Answer      time.Duration // how long a worker has to answer; as the centre's rules say when 0
	Rework      float64       // sent back when they are verified, once
	Unreached   float64       // reporters who do not pick up
	Unsatisfied float64       // reporters who are not satisfied: the incident is opened again
	Every       time.Duration // between two looks at the queue; default 1 s
}

// Hall is what the hall did.
type Hall struct {
	Accepted   int `json:"accepted"`
	Routed     int `json:"routed"`
	Offered    int `json:"offered"`
	Nobody     int `json:"nobody"` // times the advice named nobody
	Verified   int `json:"verified"`
	Reworked   int `json:"reworked"`
	Closed     int `json:"closed"`
	CalledBack int `json:"called_back"` // reporters who were reached
	Reopened   int `json:"reopened"`
	Done       int `json:"done"`    // incidents closed, with every reporter called back
	Beaten     int `json:"beaten"`  // acts refused since somebody or something else was first
	Waits      int `json:"waits"`   // requests the server had no time for at once
	Waiting    int `json:"waiting"` // incidents in the queue at the last look
	Faults     int `json:"faults"`
	// FirstFault is what the server said to the first request that should not have failed.
	FirstFault string `json:"first_fault,omitempty"`
}

func (o *HallOptions) check(token string) error {
	if len(o.Tokens) == 0 {
		o.Tokens = []string{token}
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	switch {
	case slices.Contains(o.Tokens, ""):
		return errors.New("the hall needs a dispatcher's token")
	case len(o.Tokens) > 32:
		return errors.New("at most 32 dispatchers")
	case o.Answer < 0 || o.Answer > time.Hour || o.Answer > 0 && o.Answer < 10*time.Second:
		return errors.New("workers have from 10 s to an hour to answer")
	case o.Every < 10*time.Millisecond:
		return errors.New("the hall looks at its queue every 10 ms or less often")
	}
	return shares(o.Unreached+o.Unsatisfied, o.Rework, o.Unreached, o.Unsatisfied)
}

// queued are the states in which an incident waits for the hall. A dispatched one and
// one in rework do when nobody has the lead.
var queued = []string{"reported", "accepted", "routed", "dispatched", "returned", "escalated", "rework", "resolved", "verified", "reopened"}

// queuedOne is an incident as the API tells it to the hall.
type queuedOne struct {
	ID       string
	State    string
	Version  int
	Priority int
}

// hallside is the hall at work.
type hallside struct {
	f     *Field
	o     HallOptions
	me    asker     // who reads the queue
	since time.Time // what was reported before is left to others
	run0  string    // makes the keys of this run its own
	jobs  chan queuedOne

	mu       sync.Mutex // guards what follows
	rng      *rand.Rand
	held     map[string]time.Time // in somebody's hands, or put off until then; the zero time is in hand
	reworked map[string]bool
	owed     map[string]queuedOne // closed, with reporters to be called
	done     map[string]bool
	reopened map[string]bool
}

// seat is a dispatcher of the hall.
type seat struct {
	*hallside
	me asker
}

// handsOf is how many things a dispatcher has under way at a time.
const handsOf = 2

func newHallside(f *Field) *hallside {
	h := &hallside{
		f: f, o: *f.o.Hall, since: f.o.Now(), jobs: make(chan queuedOne, 64), rng: stream(f.o.Seed, "hall", 0),
		held: map[string]time.Time{}, reworked: map[string]bool{}, owed: map[string]queuedOne{}, done: map[string]bool{}, reopened: map[string]bool{},
	}
	h.run0 = strconv.FormatInt(h.since.UnixNano(), 36)
	h.me = h.asker(h.o.Tokens[0])
	return h
}

func (h *hallside) asker(token string) asker {
	return asker{h.f.c, token, func() { h.tell(func(t *Hall) { t.Waits++ }) }}
}

func (h *hallside) tell(edit func(*Hall)) { h.f.count(func(t *Tally) { edit(t.Hall) }) }

// draw draws for desks that work at a time.
func (h *hallside) draw() float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rng.Float64()
}

// run works until ctx ends; or, where the field reports a number of incidents, until
// each that was reported is closed and its reporter called back.
func (h *hallside) run(ctx context.Context, reported <-chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(h.jobs)
	for i := range handsOf * len(h.o.Tokens) {
		s := seat{h, h.asker(h.o.Tokens[i/handsOf])}
		wg.Go(func() {
			for m := range h.jobs {
				if ctx.Err() == nil {
					s.handle(ctx, m)
				}
				h.release(m.ID)
			}
		})
	}
	for ctx.Err() == nil {
		h.look(ctx)
		select {
		case <-reported:
			if h.f.o.Reports > 0 && h.allDone() {
				return
			}
		default:
		}
		if !sleep(ctx, h.o.Every) {
			return
		}
	}
}

// allDone reports whether every incident of the field has come to its end.
func (h *hallside) allDone() bool {
	ids := h.f.Tally().Incidents
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if !h.done[id] {
			return false
		}
	}
	return true
}

// look reads the queue and hands out what waits. What nobody has a hand free for is
// there at the next look.
func (h *hallside) look(ctx context.Context) {
	waiting, err := h.queue(ctx)
	var led map[string]bool
	if err == nil {
		led, err = h.led(ctx) // after the queue: who took the lead meanwhile has it
	}
	if err != nil {
		h.fault(ctx, err)
		return
	}
	now := h.f.o.Now()
	h.mu.Lock()
	for _, m := range h.owed {
		waiting = append(waiting, m)
	}
	n := 0
	var todo []queuedOne
	for _, m := range waiting {
		if led[m.ID] && (m.State == "dispatched" || m.State == "rework") {
			continue
		}
		n++
		until, busy := h.held[m.ID]
		if busy && (until.IsZero() || now.Before(until)) {
			continue
		}
		todo = append(todo, m)
	}
	h.mu.Unlock()
	h.tell(func(t *Hall) { t.Waiting = n })
	// The most urgent first, and of those the oldest: nobody is forgotten.
	slices.SortFunc(todo, func(a, b queuedOne) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	for _, m := range todo {
		h.hold(m.ID, time.Time{})
		select {
		case h.jobs <- m:
		default:
			h.release(m.ID)
			return
		}
	}
}

// queue lists what was reported since the hall began and waits for it.
func (h *hallside) queue(ctx context.Context) ([]queuedOne, error) {
	q := url.Values{"state": {strings.Join(queued, ",")}, "limit": {"200"}, "from": {h.since.Add(-time.Second).UTC().Format(time.RFC3339)}}
	return pages[queuedOne](ctx, h.me, "/api/v1/incidents", q)
}

// led tells which incidents have a live lead offer.
func (h *hallside) led(ctx context.Context) (map[string]bool, error) {
	offers, err := pages[offered](ctx, h.me, "/api/v1/offers", url.Values{"limit": {"200"}})
	led := map[string]bool{}
	for _, o := range offers {
		if o.Lead {
			led[o.IncidentID] = true
		}
	}
	return led, err
}

// pages reads every page of a list.
func pages[T any](ctx context.Context, me asker, path string, q url.Values) ([]T, error) {
	var all []T
	for {
		var page struct {
			Items  []T
			Cursor *string
		}
		if _, err := me.ask(ctx, http.MethodGet, path+"?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Cursor == nil {
			return all, nil
		}
		q.Set("cursor", *page.Cursor)
	}
}

func (h *hallside) hold(id string, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[id] = until
}

// release lets an incident go that was not put off.
func (h *hallside) release(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[id].IsZero() {
		delete(h.held, id)
	}
}

// later puts an incident off for a while, as a person does who has tried in vain.
func (h *hallside) later(id string, d time.Duration) { h.hold(id, h.f.o.Now().Add(d)) }

// handle takes an incident on as far as the hall can.
func (h seat) handle(ctx context.Context, m queuedOne) {
	for ok := true; ok && ctx.Err() == nil; {
		switch m.State {
		case "reported", "reopened":
			m, ok = h.act(ctx, m, "accept", "", func(t *Hall) { t.Accepted++ })
		case "accepted", "returned", "escalated":
			m, ok = h.act(ctx, m, "route", "", func(t *Hall) { t.Routed++ })
		case "routed", "dispatched", "rework":
			h.send(ctx, m)
			return
		case "resolved":
			if h.sendBack(m.ID) {
				m, ok = h.act(ctx, m, "rework", "现场未恢复原状，请再处理。", func(t *Hall) { t.Reworked++ })
				break
			}
			m, ok = h.act(ctx, m, "verify", "", func(t *Hall) { t.Verified++ })
		case "verified":
			if m, ok = h.act(ctx, m, "close", "", func(t *Hall) { t.Closed++ }); ok {
				h.owe(m)
			}
		case "closed":
			m, ok = h.callBack(ctx, m)
		default:
			return
		}
	}
}

// sendBack draws whether a resolved incident has to be worked on again.
func (h *hallside) sendBack(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reworked[id] {
		return false
	}
	h.reworked[id] = true
	return chance(h.rng, h.o.Rework)
}

func (h *hallside) owe(m queuedOne) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owed[m.ID] = m
}

// act moves an incident on by the version that was read. false when it must be looked
// at anew.
func (h seat) act(ctx context.Context, m queuedOne, action, reason string, done func(*Hall)) (queuedOne, bool) {
	body := map[string]any{"action": action}
	if reason != "" {
		body["reason"] = reason
	}
	next := m
	_, err := h.me.ask(ctx, http.MethodPost, "/api/v1/incidents/"+m.ID+"/actions", body, &next,
		"If-Match", strconv.Quote(strconv.Itoa(m.Version)), "Idempotency-Key", h.key(m, action))
	if !h.took(ctx, m, err) {
		return m, false
	}
	h.tell(done)
	return next, true
}

func (h *hallside) key(m queuedOne, what string) string {
	return fmt.Sprintf("hall-%s-%s-%d-%s", h.run0, m.ID, m.Version, what)
}

// took reports whether a request did what it was for. Whoever is beaten looks again, a
// moment later.
func (h *hallside) took(ctx context.Context, m queuedOne, err error) bool {
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusConflict {
		h.tell(func(t *Hall) { t.Beaten++ })
		h.later(m.ID, h.o.Every)
		return false
	}
	if err != nil {
		h.fault(ctx, err)
		h.later(m.ID, 5*h.o.Every)
	}
	return err == nil
}

// fault keeps what should not have failed.
func (h *hallside) fault(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	h.tell(func(t *Hall) {
		t.Faults++
		if t.FirstFault == "" {
			t.FirstFault = err.Error()
		}
	})
}

// send asks whom the advice names first; two of them where it is most urgent and
// nobody has been asked.
func (h seat) send(ctx context.Context, m queuedOne) {
	var advice struct {
		Items []struct {
			WorkerID string `json:"worker_id"`
		}
	}
	if _, err := h.me.ask(ctx, http.MethodGet, "/api/v1/incidents/"+m.ID+"/candidates?k=2", nil, &advice); !h.took(ctx, m, err) {
		return
	}
	if len(advice.Items) == 0 {
		h.tell(func(t *Hall) { t.Nobody++ })
		h.later(m.ID, 5*h.o.Every)
		return
	}
	ids := []string{advice.Items[0].WorkerID}
	if m.Priority == 1 && m.State == "routed" && len(advice.Items) > 1 {
		ids = append(ids, advice.Items[1].WorkerID)
	}
	body := map[string]any{"worker_ids": ids, "lead": true}
	if h.o.Answer > 0 {
		body["expires_s"] = int(h.o.Answer.Seconds())
	}
	_, err := h.me.ask(ctx, http.MethodPost, "/api/v1/incidents/"+m.ID+"/offers", body, nil,
		"If-Match", strconv.Quote(strconv.Itoa(m.Version)), "Idempotency-Key", h.key(m, "offer-"+ids[0]))
	if h.took(ctx, m, err) {
		h.tell(func(t *Hall) { t.Offered += len(ids) })
	}
}

// callBack calls the reporters who are owed it. An incident whose reporter is not
// satisfied is opened again, once.
func (h seat) callBack(ctx context.Context, m queuedOne) (queuedOne, bool) {
	var remarks struct {
		CallBacks []struct {
			N      int
			DoneAt *time.Time `json:"done_at"`
		} `json:"call_backs"`
	}
	if _, err := h.me.ask(ctx, http.MethodGet, "/api/v1/incidents/"+m.ID+"/remarks", nil, &remarks); !h.took(ctx, m, err) {
		return m, false
	}
	unsatisfied := false
	for _, c := range remarks.CallBacks {
		if c.DoneAt != nil {
			continue
		}
		outcome, text := h.outcome()
		path := fmt.Sprintf("/api/v1/incidents/%s/callbacks/%d/outcome", m.ID, c.N)
		_, err := h.me.ask(ctx, http.MethodPost, path, map[string]any{"outcome": outcome, "text": text}, nil, "Idempotency-Key", h.key(m, fmt.Sprintf("call-%d-%x", c.N, h.f.o.Now().UnixNano())))
		if !h.took(ctx, m, err) {
			return m, false
		}
		if outcome == "unreached" { // tried again at the next look, until the server has it ended
			h.later(m.ID, h.o.Every)
			return m, false
		}
		h.tell(func(t *Hall) { t.CalledBack++ })
		unsatisfied = unsatisfied || outcome == "unsatisfied"
	}
	h.mu.Lock()
	again := unsatisfied && !h.reopened[m.ID]
	first := !again && !h.done[m.ID] // a queue read before it was closed hands it out once more
	if first {
		h.done[m.ID] = true
	}
	delete(h.owed, m.ID)
	h.reopened[m.ID] = h.reopened[m.ID] || again
	h.mu.Unlock()
	if first {
		h.tell(func(t *Hall) { t.Done++ })
	}
	if !again {
		return m, false
	}
	next, ok := h.act(ctx, m, "reopen", "回访不满意，重新办理。", func(t *Hall) { t.Reopened++ })
	if !ok {
		h.owe(m)
	}
	return next, ok
}

// outcome draws what comes of a call.
func (h *hallside) outcome() (outcome, text string) {
	switch x := h.draw(); {
	case x < h.o.Unreached:
		return "unreached", ""
	case x < h.o.Unreached+h.o.Unsatisfied:
		return "unsatisfied", "反映的问题没有解决。"
	case x < h.o.Unreached+h.o.Unsatisfied+0.2:
		return "basically", ""
	}
	return "satisfied", ""
}
