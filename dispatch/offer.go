// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// OfferState is where an offer stands: one worker asked to go to one incident.
type OfferState string

const (
	OfferMade      OfferState = "offered"
	OfferDelivered OfferState = "delivered" // the phone has it
	OfferSeen      OfferState = "seen"      // and showed it
	OfferAccepted  OfferState = "accepted"
	OfferDeclined  OfferState = "declined" // refused, or accepted and given back
	OfferExpired   OfferState = "expired"
	OfferWithdrawn OfferState = "withdrawn"
	OfferArrived   OfferState = "arrived"
	OfferFinished  OfferState = "finished"
)

// OfferStates lists every state, the main line first.
var OfferStates = []OfferState{
	OfferMade, OfferDelivered, OfferSeen, OfferAccepted, OfferArrived, OfferFinished, OfferDeclined, OfferExpired, OfferWithdrawn,
}

var (
	waitingOffers  = []OfferState{OfferMade, OfferDelivered, OfferSeen}
	acceptedOffers = []OfferState{OfferAccepted, OfferArrived}
	liveOffers     = append(slices.Clone(waitingOffers), acceptedOffers...)
	endedOffers    = []OfferState{OfferFinished, OfferDeclined, OfferExpired, OfferWithdrawn}
)

// Unanswered reports whether the worker still has to say yes or no.
func (s OfferState) Unanswered() bool { return slices.Contains(waitingOffers, s) }

// Accepted reports whether the worker has said yes and is at it.
func (s OfferState) Accepted() bool { return slices.Contains(acceptedOffers, s) }

// Live reports whether the offer still binds anybody. The database repeats the rule
// in its unique indexes.
func (s OfferState) Live() bool { return slices.Contains(liveOffers, s) }

// OfferKind names an act on an offer.
type OfferKind string

const (
	TellDelivered OfferKind = "delivered"
	TellSeen      OfferKind = "seen"
	AcceptOffer   OfferKind = "accept"
	DeclineOffer  OfferKind = "decline"
	ArriveThere   OfferKind = "arrive"
	FinishWork    OfferKind = "finish"
	GiveBack      OfferKind = "return"
	WithdrawOffer OfferKind = "withdraw"
	ExpireOffer   OfferKind = "expire"
)

// OfferParty is who acts on an offer.
type OfferParty string

const (
	ByWorker OfferParty = "worker" // the one who was asked
	ByDesk   OfferParty = "desk"   // who sends people
	ByRule   OfferParty = "rule"   // a clock, two fixes, or what became of the incident
)

// offerRow is one row of the offer's machine.
type offerRow struct {
	kind   OfferKind
	from   []OfferState
	to     OfferState // "" stays
	who    []OfferParty
	reason bool                             // it has to be explained
	guard  func(OfferFacts, OfferAct) error // what else must hold; nil for nothing
}

// offerTable is the offer's machine: an act not listed for a state is impossible in
// it. The database repeats it (offer_moves), and docs/DISPATCH.md draws it.
var offerTable = []offerRow{
	{TellDelivered, []OfferState{OfferMade}, OfferDelivered, []OfferParty{ByWorker}, false, nil},
	{TellDelivered, append([]OfferState{OfferDelivered, OfferSeen, OfferAccepted, OfferArrived}, endedOffers...), "", []OfferParty{ByWorker}, false, nil}, // a receipt that comes late
	{TellSeen, []OfferState{OfferMade, OfferDelivered}, OfferSeen, []OfferParty{ByWorker}, false, nil},
	{TellSeen, append([]OfferState{OfferSeen, OfferAccepted, OfferArrived}, endedOffers...), "", []OfferParty{ByWorker}, false, nil},
	{AcceptOffer, waitingOffers, OfferAccepted, []OfferParty{ByWorker}, false, inTime},
	{AcceptOffer, []OfferState{OfferExpired}, OfferAccepted, []OfferParty{ByWorker}, false, lateButFirst},
	{DeclineOffer, waitingOffers, OfferDeclined, []OfferParty{ByWorker}, true, nil},
	{ArriveThere, []OfferState{OfferAccepted}, OfferArrived, []OfferParty{ByWorker, ByRule}, false, nil},
	{ArriveThere, []OfferState{OfferArrived}, "", []OfferParty{ByWorker, ByRule}, false, otherWitness},
	{FinishWork, acceptedOffers, OfferFinished, []OfferParty{ByWorker, ByRule}, false, nil},
	{GiveBack, acceptedOffers, OfferDeclined, []OfferParty{ByWorker}, true, nil},
	{WithdrawOffer, waitingOffers, OfferWithdrawn, []OfferParty{ByDesk, ByRule}, false, nil},
	{WithdrawOffer, acceptedOffers, OfferWithdrawn, []OfferParty{ByDesk}, true, nil},
	{WithdrawOffer, acceptedOffers, OfferWithdrawn, []OfferParty{ByRule}, false, nil},
	{ExpireOffer, waitingOffers, OfferExpired, []OfferParty{ByRule}, false, expiredNow},
}

// OfferMayFollow reports whether the machine leads from one state to another.
func OfferMayFollow(from, to OfferState) bool {
	return slices.ContainsFunc(offerTable, func(r offerRow) bool { return r.to == to && slices.Contains(r.from, from) })
}

// PossibleOfferActs lists what somebody may do with an offer in state s; guards may
// still refuse it. Receipts are always possible and not listed.
func PossibleOfferActs(s OfferState, p OfferParty) []OfferKind {
	out := []OfferKind{}
	for _, r := range offerTable {
		if r.to != "" && r.kind != TellDelivered && r.kind != TellSeen && slices.Contains(r.from, s) && slices.Contains(r.who, p) && !slices.Contains(out, r.kind) {
			out = append(out, r.kind)
		}
	}
	return out
}

// OfferRules are a centre's own numbers about offers.
type OfferRules struct {
	Expires  time.Duration      // how long a worker has to answer when the desk does not say
	Next     bool               // an offer that expired goes to the next candidate; else the desk is asked
	Work     int                // work that a worker has accepted at a time, at most
	RadiusM  float64            // within how many metres of the place somebody has arrived
	RadiusOf map[string]float64 // and where a category, or its top category, says otherwise

	NoLateYes bool // a yes that was said in time and arrives late never counts; else while nobody else was asked since
}

// DefaultOfferRules are a new centre's.
func DefaultOfferRules() OfferRules {
	return OfferRules{Expires: 2 * time.Minute, Work: 5, RadiusM: 100}
}

// Bounds of the rules of offers.
const (
	mostWork                = 100
	leastRadius, mostRadius = 10.0, 5000.0 // metres
)

// Check says what is wrong with rules: Faults, or nil.
func (r OfferRules) Check() error {
	var f Faults
	f.within("expires_s", r.Expires.Seconds(), LeastExpiry.Seconds(), MostExpiry.Seconds(), " seconds")
	f.within("work", float64(r.Work), 1, mostWork, "")
	f.within("radius_m", r.RadiusM, leastRadius, mostRadius, " metres")
	return f.orNil()
}

// CheckRadius says what is wrong with the radius of a category: Faults, or nil.
func CheckRadius(m float64) error {
	var f Faults
	f.within("radius_m", m, leastRadius, mostRadius, " metres")
	return f.orNil()
}

// Radius is within how many metres of its place one has arrived at an incident of
// category c.
func (r OfferRules) Radius(c Category) float64 {
	for _, code := range []string{c.Code, c.Parent} {
		if m, ok := r.RadiusOf[code]; ok {
			return m
		}
	}
	return r.RadiusM
}

// How long an offer may be open, and how many workers may be asked at once.
const (
	LeastExpiry = 10 * time.Second
	MostExpiry  = time.Hour
	MostAtOnce  = 20
)

// NotReachedAfter is how long the desk waits for word that an offer is on its phone
// until it is told that nobody was reached.
const NotReachedAfter = 30 * time.Second

// Offer is the state of one offer as far as the rules look at it.
type Offer struct {
	ID           int64
	Incident     int64
	Worker       uint32
	Lead         bool // the one whose work it is; the others assist
	State        OfferState
	Ver          int
	MadeAt       time.Time
	ExpiresAt    time.Time
	DeliveredAt  *time.Time // when these things happened, by the device's clock where it can be believed
	SeenAt       *time.Time
	AnsweredAt   *time.Time
	ArrivedAt    *time.Time // by the worker's word
	ArrivedM     *float64   // how many metres from the place the worker then was, where a fresh fix tells
	ArrivedFixAt *time.Time // by two fixes
	FinishedAt   *time.Time
	EndedAt      *time.Time // when it ended, however
	NotReached   bool       // no word of its delivery for NotReachedAfter
	Reason       string     // why it was declined, given back or withdrawn
}

// OfferAct is a step somebody takes on an offer.
type OfferAct struct {
	Kind      OfferKind
	By        OfferParty
	Reason    string
	DeviceAt  *time.Time // the worker's own clock, where it was told
	FixAt     *time.Time // of arrive by rule: when the second fix was measured
	DistanceM *float64   // of arrive by word: how far from the place a fresh fix lies
}

// OfferFacts are what the rules look at to decide an act on an offer.
type OfferFacts struct {
	Offer     Offer
	Incident  State
	Others    int  // offers of the incident that are live besides this one
	LeadSince bool // after this offer somebody else was offered the lead, or the incident was handed to another owner
	Busy      bool // its worker has another live offer of this incident, by now
	Load      int  // work that its worker has accepted elsewhere
	Rules     OfferRules
	Now       time.Time
}

// OfferStep is one entry of an offer's journal.
type OfferStep struct {
	Kind     OfferKind
	From, To OfferState
	Reason   string
	DeviceAt *time.Time
}

// OfferChange is what an act on an offer does.
type OfferChange struct {
	After Offer
	Step  OfferStep
	Event string // "" where nothing is told
	// Incident is what it brings about for the incident; "" for nothing.
	Incident Action
}

// What the guards of offers refuse.
var (
	ErrOfferOver    = errors.New("the time to answer this offer is over")
	ErrLeadTaken    = errors.New("somebody else has been asked since")
	ErrWorkLimit    = errors.New("the worker has as much accepted work as one may have")
	ErrArrivedTwice = errors.New("that arrival is noted already")
	ErrNotYetOver   = errors.New("its time is not over")
	ErrOneAtATime   = errors.New("only an incident of priority 1 is offered to several workers at once")
	ErrNoLead       = errors.New("offer the lead first: nobody is at it whom others could assist")
	ErrNoWorkers    = errors.New("name at least one worker, and each of them once")
)

// OfferStateError refuses an act that the offer's state does not allow.
type OfferStateError struct {
	State    OfferState
	Kind     OfferKind
	Possible []OfferKind
}

func (e *OfferStateError) Error() string {
	p := make([]string, len(e.Possible))
	for i, k := range e.Possible {
		p[i] = string(k)
	}
	if len(p) == 0 {
		return fmt.Sprintf("%q is not possible: the offer is %s, and nothing more can be done with it", e.Kind, e.State)
	}
	return fmt.Sprintf("%q is not possible while the offer is %s; possible now: %s", e.Kind, e.State, strings.Join(p, ", "))
}

// How far a device's clock is believed: that much off, and that long ago.
const (
	clockSlack = 2 * time.Minute
	longAgo    = 24 * time.Hour
)

// happened is when an act took place: by the device's own clock where that can be so,
// else now. An act cannot come before its offer was made, nor from the future.
func (f OfferFacts) happened(a OfferAct) time.Time {
	at := a.DeviceAt
	switch {
	case at == nil, at.After(f.Now), at.Before(f.Now.Add(-longAgo)), at.Before(f.Offer.MadeAt.Add(-clockSlack)):
		return f.Now
	case at.Before(f.Offer.MadeAt):
		return f.Offer.MadeAt
	}
	return *at
}

// inTime: the worker said yes before the offer's time was over, whenever it arrived.
func inTime(f OfferFacts, a OfferAct) error {
	if f.happened(a).After(f.Offer.ExpiresAt) {
		return guarded(ErrOfferOver)
	}
	if f.Load >= f.Rules.Work {
		return guarded(ErrWorkLimit)
	}
	return nil
}

// lateButFirst: the yes was said in time and arrived after the offer had expired. It
// counts if nobody else has been asked since, and there is still something to do.
func lateButFirst(f OfferFacts, a OfferAct) error {
	if f.Rules.NoLateYes {
		return guarded(ErrOfferOver)
	}
	if err := inTime(f, a); err != nil {
		return err
	}
	open := f.Incident == Dispatched || f.Offer.Lead && f.Incident == Routed ||
		!f.Offer.Lead && (f.Incident == Acknowledged || f.Incident == OnScene)
	if f.Busy || f.Offer.Lead && f.LeadSince || !open {
		return guarded(ErrLeadTaken)
	}
	return nil
}

// otherWitness: word and fixes each say once that somebody arrived.
func otherWitness(f OfferFacts, a OfferAct) error {
	if a.By == ByRule && f.Offer.ArrivedFixAt != nil || a.By == ByWorker && f.Offer.ArrivedAt != nil {
		return guarded(ErrArrivedTwice)
	}
	return nil
}

func expiredNow(f OfferFacts, _ OfferAct) error {
	if !f.Now.After(f.Offer.ExpiresAt) {
		return guarded(ErrNotYetOver)
	}
	return nil
}

// DecideOffer decides an act on an offer, and what it brings about for its incident.
// It returns an *OfferStateError when the state forbids it, ErrReasonMissing, or a
// *GuardError when the circumstances forbid it.
func DecideOffer(f OfferFacts, a OfferAct) (OfferChange, error) {
	o := f.Offer
	i := slices.IndexFunc(offerTable, func(r offerRow) bool {
		return r.kind == a.Kind && slices.Contains(r.from, o.State) && slices.Contains(r.who, a.By)
	})
	if i < 0 {
		return OfferChange{}, &OfferStateError{o.State, a.Kind, PossibleOfferActs(o.State, a.By)}
	}
	r := offerTable[i]
	if r.reason && strings.TrimSpace(a.Reason) == "" {
		return OfferChange{}, fmt.Errorf("%s: %w", a.Kind, ErrReasonMissing)
	}
	if r.guard != nil {
		if err := r.guard(f, a); err != nil {
			return OfferChange{}, err
		}
	}
	ch := OfferChange{After: o, Step: OfferStep{Kind: a.Kind, From: o.State, To: o.State, Reason: a.Reason, DeviceAt: a.DeviceAt}}
	if r.to != "" {
		ch.After.State, ch.Step.To = r.to, r.to
	}
	f.stamp(&ch.After, a)
	if ch.After == o {
		return ch, nil // a receipt that was there already
	}
	ch.After.Ver++
	ch.Event = "offer.changed"
	if o.State.Live() && !ch.After.State.Live() {
		ch.Event = "offer.ended"
	}
	if r.to != "" { // a receipt that comes late moves nothing
		ch.Incident = f.brings(r.to)
	}
	return ch, nil
}

// stamp keeps the times that belong to an act.
func (f OfferFacts) stamp(o *Offer, a OfferAct) {
	at := f.happened(a)
	first := func(t **time.Time) {
		if *t == nil {
			*t = &at
		}
	}
	switch a.Kind {
	case TellDelivered:
		first(&o.DeliveredAt)
		o.NotReached = false
	case TellSeen:
		first(&o.SeenAt)
		o.NotReached = false
	case AcceptOffer:
		o.AnsweredAt, o.EndedAt, o.NotReached = &at, nil, false
	case DeclineOffer:
		o.AnsweredAt, o.EndedAt, o.Reason, o.NotReached = &at, &at, a.Reason, false
	case ArriveThere:
		if a.By == ByRule {
			o.ArrivedFixAt = a.FixAt
		} else {
			o.ArrivedAt, o.ArrivedM = &at, a.DistanceM
		}
	case FinishWork:
		o.FinishedAt, o.EndedAt = &at, &at
	case GiveBack, WithdrawOffer:
		o.EndedAt, o.Reason = &at, a.Reason
	case ExpireOffer:
		now := f.Now
		o.EndedAt = &now
	}
}

// brings is what an offer that is now in state to brings about for its incident.
// Only the lead's moves it; where the incident is further on already, nothing does.
func (f OfferFacts) brings(to OfferState) Action {
	over := !to.Live() && f.Others == 0 && f.Incident == Dispatched
	if over {
		return Withdraw // nobody is asked any more: it is routed again
	}
	if !f.Offer.Lead {
		return ""
	}
	was := f.Offer.State
	switch {
	case to == OfferAccepted && !was.Accepted() && slices.Contains([]State{Routed, Dispatched}, f.Incident):
		return Acknowledge
	case to == OfferArrived && was != OfferArrived && f.Incident == Acknowledged:
		return Arrive
	case to == OfferFinished && slices.Contains([]State{Acknowledged, OnScene, Rework}, f.Incident):
		return Resolve
	case was.Accepted() && !to.Live() && to != OfferFinished && slices.Contains([]State{Acknowledged, OnScene}, f.Incident):
		return Return // whoever had it has it no more: the desk looks again
	}
	return ""
}

// OverWith is how an act on the incident itself ends an offer: with the work done the
// offer is finished, else it is withdrawn.
func OverWith(s State, o OfferState) OfferKind {
	if o.Accepted() && slices.Contains([]State{Resolved, Verified, Closed, Archived}, s) {
		return FinishWork
	}
	return WithdrawOffer
}

// HoldsOffers reports whether an incident in state s may have live offers.
func (s State) HoldsOffers() bool {
	return slices.Contains([]State{Dispatched, Acknowledged, OnScene, Rework}, s)
}

// Offering asks to send offers of one incident to workers.
type Offering struct {
	Workers []uint32
	Lead    bool          // the first of them is to lead; the others assist
	Expires time.Duration // 0 as the centre's rules say
}

// OfferingFacts are what the rules look at before offers are made. That nobody else
// has the lead, and that each worker is free to be asked, the record decides.
type OfferingFacts struct {
	Incident Incident
	HasLead  bool // a live lead offer is there
	Waiting  int  // offers of the incident that nobody has answered
	Rules    OfferRules
	Now      time.Time
}

// DecideOffering decides whether offers may be made. It returns the offers, without
// ids, and what they bring about for the incident: Dispatch, or "" for nothing.
func DecideOffering(f OfferingFacts, o Offering) ([]Offer, Action, error) {
	s := f.Incident.State
	if s != Routed && !s.HoldsOffers() {
		return nil, "", &StateError{State: s, Action: Dispatch, Possible: []Action{}}
	}
	sorted := slices.Sorted(slices.Values(o.Workers))
	if len(sorted) == 0 || len(sorted) > MostAtOnce || sorted[0] == 0 || len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		return nil, "", guarded(ErrNoWorkers)
	}
	if f.Incident.Priority != 1 && len(sorted)+f.Waiting > 1 {
		return nil, "", guarded(ErrOneAtATime)
	}
	if !o.Lead && s == Routed {
		return nil, "", guarded(ErrNoLead)
	}
	last := o.Expires
	if last == 0 {
		last = f.Rules.Expires
	}
	last = min(max(last, LeastExpiry), MostExpiry)
	out := make([]Offer, len(o.Workers))
	for i, w := range o.Workers {
		out[i] = Offer{
			Incident: f.Incident.ID, Worker: w, Lead: o.Lead && i == 0, State: OfferMade, Ver: 1, MadeAt: f.Now, ExpiresAt: f.Now.Add(last),
		}
	}
	if s == Routed {
		return out, Dispatch, nil
	}
	return out, "", nil
}
