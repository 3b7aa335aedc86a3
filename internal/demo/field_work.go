// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/paulmach/orb"
)

// WorkOptions have pretend workers answer what they are offered, as people with the
// field page do: each with a token of its own. Shares are from 0 to 1.
type WorkOptions struct {
	Token    func(badge string) string // a worker's own token; "" for one who answers nothing
	Decline  float64                   // say no
	Ignore   float64                   // never answer; half of them have not even the phone on
	GiveBack float64                   // say yes, go there, and hand it back
	Photo    float64                   // send a picture before they finish
	Pace     float64                   // metres a second on the way; default 12, at most 40
	Stay     time.Duration             // how long the work takes on average; default 1 min
	// Patience is how long a worker stays until its fixes have been seen at the place;
	// default 3 min, negative not at all.
	Patience time.Duration
}

// mostPace is below what a receiver may jump (50 m/s), so that no fix on the way is
// taken for a fault.
const mostPace = 40

// Work is what the workers did with what they were offered.
type Work struct {
	SignedOn  int `json:"signed_on"` // workers who began a shift
	Offers    int `json:"offers"`    // that reached a worker
	Accepted  int `json:"accepted"`
	Declined  int `json:"declined"`
	Ignored   int `json:"ignored"`
	Gone      int `json:"gone"`       // answers that came when the offer had ended
	Arrived   int `json:"arrived"`    // by their word
	Seen      int `json:"seen"`       // leads whose arrival their fixes showed before they left
	GivenBack int `json:"given_back"` // after they had accepted
	Photos    int `json:"photos"`
	Finished  int `json:"finished"`
	Waits     int `json:"waits"` // requests the server had no time for at once
	Faults    int `json:"faults"`
	// FirstFault is what the server said to the first request that should not have failed.
	FirstFault string `json:"first_fault,omitempty"`
}

func (o *WorkOptions) check() error {
	if o.Token == nil {
		return errors.New("workers need tokens to answer what they are offered")
	}
	if o.Pace == 0 {
		o.Pace = 12
	}
	if o.Stay == 0 {
		o.Stay = time.Minute
	}
	if o.Patience == 0 {
		o.Patience = 3 * time.Minute
	}
	if !(o.Pace > 0 && o.Pace <= mostPace) {
		return fmt.Errorf("a pace of more than 0 and at most %d m/s", mostPace)
	}
	if o.Stay < 0 || o.Stay > time.Hour || o.Patience > time.Hour {
		return errors.New("work and patience of at most an hour")
	}
	return shares(o.Decline+o.Ignore, o.Decline, o.Ignore, o.GiveBack, o.Photo)
}

func shares(all ...float64) error {
	for _, s := range all {
		if !(s >= 0 && s <= 1) {
			return errors.New("shares are from 0 to 1, together too")
		}
	}
	return nil
}

// answer is what a worker makes of an offer.
type answer int

const (
	accepts answer = iota
	declines
	ignores
	unreachable
)

// plan is what a worker will do about one offer.
type plan struct {
	answer   answer
	at       time.Time // when it is answered
	told     bool      // delivered and seen were said
	over     bool      // nothing more will be done about it
	arrived  time.Time // by the worker's word
	leaves   time.Time // not before
	giveBack bool
	photo    bool
}

// offered is an offer as the API tells it.
type offered struct {
	ID           string
	State        string
	Lead         bool
	ArrivedFixAt *time.Time `json:"arrived_fix_at"`
	IncidentID   string     `json:"incident_id"`
	Incident     struct {
		Priority int
		Point    *orb.Point
	}
}

func (o offered) unanswered() bool {
	return o.State == "offered" || o.State == "delivered" || o.State == "seen"
}

// tasks are a worker's hands: what it is offered, and what it does about it.
type tasks struct {
	p     *phone
	o     *WorkOptions
	me    asker
	on    bool // has begun a shift
	plans map[string]*plan
}

func newTasks(p *phone, badge string) *tasks {
	o := p.f.o.Work
	if o == nil || o.Token(badge) == "" {
		return nil
	}
	return &tasks{p: p, o: o, plans: map[string]*plan{}, me: asker{p.f.c, o.Token(badge), func() { p.f.work(func(w *Work) { w.Waits++ }) }}}
}

func (f *Field) work(edit func(*Work)) { f.count(func(t *Tally) { edit(t.Work) }) }

// turn looks at what there is to do and does the next thing.
func (t *tasks) turn(ctx context.Context, now time.Time) {
	if !t.on {
		if _, err := t.me.ask(ctx, http.MethodPost, "/api/v1/shifts", struct{}{}, nil); err != nil {
			t.fault(ctx, err)
			return
		}
		t.on = true
		t.p.f.work(func(w *Work) { w.SignedOn++ })
	}
	var got struct{ Items []offered }
	if _, err := t.me.ask(ctx, http.MethodGet, "/api/v1/offers?limit=50", nil, &got); err != nil {
		t.fault(ctx, err)
		return
	}
	var current *offered
	for i, o := range got.Items {
		if o.unanswered() {
			t.answer(ctx, o, now)
		} else if current == nil || o.Incident.Priority < current.Incident.Priority {
			current = &got.Items[i]
		}
	}
	if current == nil {
		t.p.walker.release()
		return
	}
	t.attend(ctx, *current, now)
}

// planFor is the plan for an offer, drawn when it is first seen.
func (t *tasks) planFor(o offered, now time.Time) *plan {
	if p := t.plans[o.ID]; p != nil {
		return p
	}
	r := t.p.rng
	p := &plan{at: now.Add(time.Duration(r.Float64() * float64(2*t.p.f.o.Interval))), giveBack: o.Lead && chance(r, t.o.GiveBack), photo: chance(r, t.o.Photo)}
	switch x := r.Float64(); {
	case x < t.o.Decline:
		p.answer = declines
	case x < t.o.Decline+t.o.Ignore/2:
		p.answer = ignores
	case x < t.o.Decline+t.o.Ignore:
		p.answer = unreachable
	}
	t.plans[o.ID] = p
	t.p.f.work(func(w *Work) {
		w.Offers++
		if p.answer >= ignores {
			w.Ignored++
		}
	})
	return p
}

func (t *tasks) answer(ctx context.Context, o offered, now time.Time) {
	p := t.planFor(o, now)
	if p.over || p.answer == unreachable {
		return
	}
	if !p.told {
		p.told = t.act(ctx, o, "delivered", "") && (p.answer == ignores || t.act(ctx, o, "seen", ""))
	}
	if now.Before(p.at) {
		return
	}
	switch p.answer {
	case accepts:
		p.over = !t.act(ctx, o, "accept", "")
		if !p.over {
			t.p.f.work(func(w *Work) { w.Accepted++ })
		}
	case declines:
		p.over = true
		if t.act(ctx, o, "decline", pick(t.p.rng, noWords)) {
			t.p.f.work(func(w *Work) { w.Declined++ })
		}
	}
}

var (
	noWords   = []string{"正在处理另一件事", "车辆故障", "路途太远", "身体不适"}
	backWords = []string{"需要部门到场，本人无法处置", "缺少工具"}
	doneWords = []string{"已到场处置，现场恢复正常。", "已劝导整改，当事人当场改正。", "已清理完毕。", "已排除隐患并拍照留存。"}
)

// attend goes where the worker is needed, works there and finishes.
func (t *tasks) attend(ctx context.Context, o offered, now time.Time) {
	p := t.planFor(o, now)
	w := t.p.walker
	if o.Incident.Point != nil {
		w.send(*o.Incident.Point, t.o.Pace)
		if !w.there() {
			return
		}
	}
	if p.arrived.IsZero() {
		if o.State == "accepted" && !t.act(ctx, o, "arrive", "") {
			return
		}
		p.arrived = now
		p.leaves = now.Add(time.Duration((0.5 + t.p.rng.Float64()) * float64(t.o.Stay)))
		t.p.f.work(func(w *Work) { w.Arrived++ })
	}
	seen := o.ArrivedFixAt != nil
	if now.Before(p.leaves) || o.Lead && !seen && now.Before(p.arrived.Add(t.o.Patience)) {
		return
	}
	if p.giveBack {
		if t.act(ctx, o, "return", pick(t.p.rng, backWords)) {
			t.p.f.work(func(w *Work) { w.GivenBack++ })
		}
		return
	}
	if p.photo {
		if err := t.photo(ctx, o); err != nil {
			t.fault(ctx, err)
			return
		}
		p.photo = false
		t.p.f.work(func(w *Work) { w.Photos++ })
	}
	if t.act(ctx, o, "finish", pick(t.p.rng, doneWords)) {
		t.p.f.work(func(w *Work) {
			w.Finished++
			if seen {
				w.Seen++
			}
		})
	}
}

// act does something about an offer and reports whether the server took it.
func (t *tasks) act(ctx context.Context, o offered, kind, reason string) bool {
	body := map[string]any{"kind": kind, "at": t.p.f.o.Now().UTC().Format(time.RFC3339Nano), "client_ref": kind + "-" + o.ID}
	if reason != "" {
		body["reason"] = reason
	}
	_, err := t.me.ask(ctx, http.MethodPost, "/api/v1/offers/"+o.ID+"/acts", body, nil)
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusConflict { // it ended meanwhile
		t.p.f.work(func(w *Work) { w.Gone++ })
		return false
	}
	t.fault(ctx, err)
	return err == nil
}

// fault keeps what should not have failed; nil is nothing.
func (t *tasks) fault(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	t.p.f.work(func(w *Work) {
		w.Faults++
		if w.FirstFault == "" {
			w.FirstFault = err.Error()
		}
	})
}

// signOff ends the shift, when the field has ended.
func (t *tasks) signOff(ctx context.Context) {
	if !t.on {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	_, _ = t.me.ask(ctx, http.MethodDelete, "/api/v1/shifts/current", nil, nil) // else it ends by itself
}
