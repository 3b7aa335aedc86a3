// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"slices"
	"testing"
	"time"

	"onemap/geo"
)

var offered = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC)

func offerIn(s OfferState, lead bool) OfferFacts {
	return OfferFacts{
		Offer: Offer{ID: 1, Incident: 2, Worker: 3, Lead: lead, State: s, Ver: 4, MadeAt: offered, ExpiresAt: offered.Add(2 * time.Minute)},
		Rules: DefaultOfferRules(), Now: offered.Add(time.Minute),
	}
}

// TestWhatAnOfferBringsAboutForItsIncident goes through every state of both, by the
// table of the design.
func TestWhatAnOfferBringsAboutForItsIncident(t *testing.T) {
	for _, c := range []struct {
		kind   OfferKind
		by     OfferParty
		offer  OfferState
		lead   bool
		in     State
		others int
		want   Action
	}{
		{AcceptOffer, ByWorker, OfferSeen, true, Dispatched, 0, Acknowledge},
		{AcceptOffer, ByWorker, OfferSeen, false, Dispatched, 1, ""},
		{AcceptOffer, ByWorker, OfferSeen, true, OnScene, 0, ""}, // a second lead, of what is under way
		{AcceptOffer, ByWorker, OfferExpired, true, Routed, 0, Acknowledge},
		{ArriveThere, ByWorker, OfferAccepted, true, Acknowledged, 0, Arrive},
		{ArriveThere, ByRule, OfferAccepted, true, Acknowledged, 0, Arrive},
		{ArriveThere, ByWorker, OfferAccepted, true, OnScene, 0, ""}, // the desk said so before
		{ArriveThere, ByWorker, OfferAccepted, false, Acknowledged, 1, ""},
		{FinishWork, ByWorker, OfferArrived, true, OnScene, 0, Resolve},
		{FinishWork, ByWorker, OfferAccepted, true, Rework, 0, Resolve},
		{FinishWork, ByWorker, OfferArrived, false, OnScene, 1, ""},
		{DeclineOffer, ByWorker, OfferSeen, true, Dispatched, 0, Withdraw},
		{DeclineOffer, ByWorker, OfferSeen, true, Dispatched, 1, ""}, // another is still asked
		{DeclineOffer, ByWorker, OfferSeen, false, Dispatched, 0, Withdraw},
		{ExpireOffer, ByRule, OfferMade, true, Dispatched, 0, Withdraw},
		{WithdrawOffer, ByDesk, OfferMade, true, Dispatched, 0, Withdraw},
		{GiveBack, ByWorker, OfferAccepted, true, Acknowledged, 0, Return},
		{GiveBack, ByWorker, OfferArrived, false, OnScene, 1, ""},
		{WithdrawOffer, ByDesk, OfferAccepted, true, OnScene, 0, Return},
	} {
		f := offerIn(c.offer, c.lead)
		f.Incident, f.Others = c.in, c.others
		if c.kind == ExpireOffer {
			f.Now = offered.Add(time.Hour)
		}
		early := offered.Add(time.Minute)
		ch, err := DecideOffer(f, OfferAct{Kind: c.kind, By: c.by, Reason: "because", DeviceAt: &early, FixAt: &early})
		if err != nil || ch.Incident != c.want {
			t.Errorf("%s of a %s offer (lead %t) of an incident %s: %q, %v; want %q", c.kind, c.offer, c.lead, c.in, ch.Incident, err, c.want)
		}
	}
}

func TestEveryActNotInTheTableOfOffersIsRefusedWithWhatIsPossible(t *testing.T) {
	kinds := []OfferKind{TellDelivered, TellSeen, AcceptOffer, DeclineOffer, ArriveThere, FinishWork, GiveBack, WithdrawOffer, ExpireOffer}
	for _, s := range OfferStates {
		for _, p := range []OfferParty{ByWorker, ByDesk, ByRule} {
			for _, k := range kinds {
				f := offerIn(s, true)
				f.Incident = Dispatched
				_, err := DecideOffer(f, OfferAct{Kind: k, By: p, Reason: "because"})
				var se *OfferStateError
				receipt := (k == TellDelivered || k == TellSeen) && p == ByWorker
				listed := receipt || slices.Contains(PossibleOfferActs(s, p), k) || k == ArriveThere && s == OfferArrived && p != ByDesk
				if listed == errors.As(err, &se) {
					t.Errorf("%s by %s of a %s offer: listed %t, %v", k, p, s, listed, err)
				}
				if se != nil && !slices.Equal(se.Possible, PossibleOfferActs(s, p)) {
					t.Errorf("%s by %s of a %s offer: possible %v", k, p, s, se.Possible)
				}
			}
		}
	}
}

// TestAReceiptIsNeverAssumed: what the phone did not say stays unsaid, and what it says
// late or twice changes nothing else.
func TestAReceiptIsNeverAssumed(t *testing.T) {
	f := offerIn(OfferMade, true)
	ch, err := DecideOffer(f, OfferAct{Kind: TellSeen, By: ByWorker})
	if err != nil || ch.After.State != OfferSeen || ch.After.DeliveredAt != nil || ch.After.SeenAt == nil {
		t.Fatalf("seen: %+v, %v", ch.After, err)
	}
	f.Offer = ch.After
	late, err := DecideOffer(f, OfferAct{Kind: TellDelivered, By: ByWorker})
	if err != nil || late.After.State != OfferSeen || late.After.DeliveredAt == nil || late.Incident != "" {
		t.Errorf("delivered after seen: %+v, %v", late.After, err)
	}
	done := offerIn(OfferFinished, true) // and the incident was sent back since
	done.Incident = Rework
	if ch, err := DecideOffer(done, OfferAct{Kind: TellDelivered, By: ByWorker}); err != nil || ch.Incident != "" || ch.After.State != OfferFinished {
		t.Errorf("delivered after finished: %+v, %v", ch, err)
	}
	again, err := DecideOffer(f, OfferAct{Kind: TellSeen, By: ByWorker})
	if err != nil || again.After != f.Offer || again.Event != "" {
		t.Errorf("seen twice: %+v, %v", again, err)
	}
}

// TestWordAndFixesOfAnArrivalAreBothKept in either order, and the incident moves once.
func TestWordAndFixesOfAnArrivalAreBothKept(t *testing.T) {
	at, far := offered.Add(30*time.Second), 812.0
	word := OfferAct{Kind: ArriveThere, By: ByWorker, DistanceM: &far}
	fixes := OfferAct{Kind: ArriveThere, By: ByRule, FixAt: &at}
	for _, order := range [][]OfferAct{{word, fixes}, {fixes, word}} {
		f := offerIn(OfferAccepted, true)
		f.Incident = Acknowledged
		moved := 0
		for _, a := range append(order, order...) {
			ch, err := DecideOffer(f, a)
			if errors.Is(err, ErrArrivedTwice) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if ch.Incident != "" {
				moved++
				f.Incident = OnScene
			}
			f.Offer = ch.After
		}
		o := f.Offer
		if moved != 1 || o.Ver != 6 || o.ArrivedAt == nil || o.ArrivedM == nil || *o.ArrivedM != far || o.ArrivedFixAt == nil || !o.ArrivedFixAt.Equal(at) {
			t.Errorf("moved %d times: %+v", moved, o)
		}
	}
}

func TestOnlyUrgentIncidentsAreOfferedToSeveral(t *testing.T) {
	for _, c := range []struct {
		priority, waiting int
		state             State
		lead              bool
		workers           []uint32
		want              error
	}{
		{1, 0, Routed, true, []uint32{1, 2, 3}, nil},
		{2, 0, Routed, true, []uint32{1, 2}, ErrOneAtATime},
		{2, 0, Routed, true, []uint32{1}, nil},
		{2, 1, Dispatched, false, []uint32{2}, ErrOneAtATime},
		{2, 0, OnScene, false, []uint32{2}, nil},
		{1, 0, Routed, false, []uint32{1}, ErrNoLead},
		{1, 0, Routed, true, nil, ErrNoWorkers},
		{1, 0, Routed, true, []uint32{1, 1}, ErrNoWorkers},
		{1, 0, Routed, true, []uint32{0}, ErrNoWorkers},
	} {
		f := OfferingFacts{Incident: Incident{ID: 1, State: c.state, Priority: c.priority}, Waiting: c.waiting, Rules: DefaultOfferRules(), Now: offered}
		made, action, err := DecideOffering(f, Offering{Workers: c.workers, Lead: c.lead})
		if !errors.Is(err, c.want) || err == nil && (len(made) != len(c.workers) || made[0].Lead != c.lead || (action == Dispatch) != (c.state == Routed)) {
			t.Errorf("%+v: %v, %q, %v", c, made, action, err)
		}
	}
	var state *StateError
	if _, _, err := DecideOffering(OfferingFacts{Incident: Incident{State: Closed}}, Offering{Workers: []uint32{1}, Lead: true}); !errors.As(err, &state) {
		t.Errorf("of a closed incident: %v", err)
	}
}

func TestTwoFixesHalfAMinuteApartAreAnArrival(t *testing.T) {
	place := geo.WGS84{107.2, 38.4}
	fix := func(s int, m, accuracy float64) NearFix { // m metres north of the place
		return NearFix{offered.Add(time.Duration(s) * time.Second), geo.WGS84{107.2, 38.4 + m/111_000}, accuracy}
	}
	for _, c := range []struct {
		what  string
		fixes []NearFix
		want  int // seconds; -1 never
	}{
		{"none", nil, -1},
		{"one", []NearFix{fix(0, 10, 5)}, -1},
		{"two too close", []NearFix{fix(0, 10, 5), fix(29, 10, 5)}, -1},
		{"two", []NearFix{fix(0, 10, 5), fix(30, 10, 5)}, 30},
		{"driven past, and past again", []NearFix{fix(0, 10, 5), fix(20, 900, 5), fix(40, 10, 5)}, -1},
		{"accuracy widens", []NearFix{fix(0, 130, 40), fix(30, 130, 40)}, 30},
		{"but not for ever", []NearFix{fix(0, 300, 5000), fix(30, 300, 5000)}, -1},
		{"accuracy untold", []NearFix{fix(0, 130, -1), fix(30, 130, -1)}, -1},
	} {
		at, ok := ArrivedBy(c.fixes, place, 100)
		if ok != (c.want >= 0) || ok && !at.Equal(offered.Add(time.Duration(c.want)*time.Second)) {
			t.Errorf("%s: %v %t", c.what, at, ok)
		}
	}
}
