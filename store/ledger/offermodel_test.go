// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
	"onemap/store/ledger"
)

// county is the model that the record is held against: what each incident, offer and
// worker must be, said as plainly as the design does.
type county struct {
	now       time.Time
	incidents map[int64]*job
	offers    map[int64]*asked
	limit     int
}

type job struct {
	state  string
	urgent bool
}

type asked struct {
	incident int64
	worker   uint32
	lead     bool
	state    string // "waiting", "yes", "there", or how it ended
	until    time.Time
}

func (a *asked) live() bool { return a.state == "waiting" || a.yes() }
func (a *asked) yes() bool  { return a.state == "yes" || a.state == "there" }

func (c *county) count(f func(*asked) bool) (n int) {
	for _, a := range c.offers {
		if f(a) {
			n++
		}
	}
	return n
}

// mayAsk: may these workers be asked to this incident?
func (c *county) mayAsk(id int64, lead bool, workers []uint32) bool {
	j := c.incidents[id]
	here := func(f func(*asked) bool) int { return c.count(func(a *asked) bool { return a.incident == id && f(a) }) }
	switch {
	case !slices.Contains([]string{"routed", "dispatched", "acknowledged", "on_scene", "rework"}, j.state),
		lead && here(func(a *asked) bool { return a.lead && a.live() }) > 0,
		!lead && j.state == "routed",
		!j.urgent && len(workers)+here(func(a *asked) bool { return a.state == "waiting" }) > 1:
		return false
	}
	for _, w := range workers {
		theirs := func(f func(*asked) bool) int { return c.count(func(a *asked) bool { return a.worker == w && f(a) }) }
		if theirs(func(a *asked) bool { return a.state == "waiting" || a.incident == id && a.live() }) > 0 || theirs((*asked).yes) >= c.limit {
			return false
		}
	}
	return true
}

// over ends an offer, and has the incident routed again when nobody is asked any more.
func (c *county) over(id int64, how string) {
	a := c.offers[id]
	was := a.yes()
	a.state = how
	j := c.incidents[a.incident]
	switch {
	case j.state == "dispatched" && c.count(func(x *asked) bool { return x.incident == a.incident && x.live() }) == 0:
		j.state = "routed"
	case was && a.lead && how == "finished":
		c.moved(a.incident, "resolved")
	case was && a.lead && (j.state == "acknowledged" || j.state == "on_scene"):
		c.moved(a.incident, "returned")
	}
}

// moved is an incident in another state by an act of its own: in most nobody is at it.
func (c *county) moved(id int64, state string) {
	c.incidents[id].state = state
	if slices.Contains([]string{"dispatched", "acknowledged", "on_scene", "rework"}, state) {
		return
	}
	for _, a := range c.offers {
		if a.incident == id && a.live() {
			if a.yes() && state == "resolved" {
				a.state = "finished"
			} else {
				a.state = "withdrawn"
			}
		}
	}
}

// say is what a worker says of an offer: whether it counts.
func (c *county) say(id int64, k dispatch.OfferKind) bool {
	a := c.offers[id]
	j := c.incidents[a.incident]
	switch {
	case k == dispatch.TellDelivered || k == dispatch.TellSeen:
		return true
	case k == dispatch.AcceptOffer && a.state == "waiting":
		if c.now.After(a.until) || c.count(func(x *asked) bool { return x.worker == a.worker && x.yes() }) >= c.limit {
			return false
		}
		a.state = "yes"
		if a.lead && j.state == "dispatched" {
			j.state = "acknowledged"
		}
	case k == dispatch.DeclineOffer && a.state == "waiting":
		c.over(id, "declined")
	case k == dispatch.ArriveThere && a.state == "yes":
		a.state = "there"
		if a.lead && j.state == "acknowledged" {
			j.state = "on_scene"
		}
	case k == dispatch.FinishWork && a.yes():
		c.over(id, "finished")
	case k == dispatch.GiveBack && a.yes():
		c.over(id, "declined")
	case k == dispatch.WithdrawOffer && a.live():
		c.over(id, "withdrawn")
	default:
		return false
	}
	return true
}

// modelWord is the state of an offer as the model calls it.
func modelWord(s dispatch.OfferState) string {
	switch {
	case s.Unanswered():
		return "waiting"
	case s == dispatch.OfferAccepted:
		return "yes"
	case s == dispatch.OfferArrived:
		return "there"
	}
	return string(s)
}

// TestRandomCommandsOnOffersAgreeWithAModel sends random commands and holds each answer,
// and then the whole record, against the model: never two owners, never none, and
// the journals explain every state.
func TestRandomCommandsOnOffersAgreeWithAModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rnd := seeded(t)
	const workers = 8
	w.field(t, workers)
	if err := w.db.SaveSetting(t.Context(), "offers", store.OfferSetting{Work: 2}); err != nil {
		t.Fatal(err)
	}
	if err := w.cat.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &county{incidents: map[int64]*job{}, offers: map[int64]*asked{}, limit: 2}
	done := map[string]int{}
	for step := range rounds(20_000) {
		c.now = w.now
		if len(c.incidents) < 8 || rnd.IntN(40) == 0 {
			p := 1 + 2*rnd.IntN(2)
			c.incidents[w.routed(t, p).ID] = &job{"routed", p == 1}
		}
		what := w.oneStep(t, rnd, c, workers)
		done[what]++
		if step%25 == 0 {
			w.compare(t, c)
		}
	}
	w.compare(t, c)
	w.offersExplained(t)
	t.Logf("%d incidents, %d offers: %v", len(c.incidents), len(c.offers), done)
}

func pick[K int64 | uint32, V any](rnd *rand.Rand, m map[K]V) K {
	keys := slices.Sorted(maps.Keys(m))
	return keys[rnd.IntN(len(keys))]
}

// oneStep does one thing to the record and to the model.
func (w *world) oneStep(t *testing.T, rnd *rand.Rand, c *county, workers int) string {
	t.Helper()
	agree := func(what string, model bool, err error) string {
		if model != (err == nil) {
			t.Fatalf("%s: the model says %t, the record %v", what, model, err)
		}
		if err != nil {
			return what + " refused"
		}
		return what
	}
	switch n := rnd.IntN(20); {
	case n < 6:
		id, lead := pick(rnd, c.incidents), rnd.IntN(4) > 0
		perm := rnd.Perm(workers)[:1+rnd.IntN(1+rnd.IntN(3))]
		var who []uint32
		for _, i := range perm {
			who = append(who, uint32(1+i))
		}
		may := c.mayAsk(id, lead, who)
		res, err := w.offer(w.operator, id, 0, lead, who...)
		for i, o := range res.Offers {
			c.offers[o.ID] = &asked{id, who[i], lead && i == 0, "waiting", o.ExpiresAt}
		}
		if err == nil && c.incidents[id].state == "routed" {
			c.incidents[id].state = "dispatched"
		}
		return agree(fmt.Sprintf("ask %d", len(who)), may, err)
	case n < 15 && len(c.offers) > 0:
		some := c.offers
		if rnd.IntN(8) > 0 { // mostly one that is live
			some = maps.Collect(func(yield func(int64, *asked) bool) {
				for id, a := range c.offers {
					if a.live() && !yield(id, a) {
						return
					}
				}
			})
		}
		if len(some) == 0 {
			return "nothing"
		}
		id := pick(rnd, some)
		a := c.offers[id]
		kinds := []dispatch.OfferKind{
			dispatch.TellDelivered, dispatch.TellSeen, dispatch.AcceptOffer, dispatch.AcceptOffer, dispatch.AcceptOffer, dispatch.DeclineOffer,
			dispatch.ArriveThere, dispatch.FinishWork, dispatch.GiveBack, dispatch.WithdrawOffer,
		}
		if a.yes() {
			kinds = append(kinds, dispatch.ArriveThere, dispatch.ArriveThere, dispatch.FinishWork)
		}
		k := kinds[rnd.IntN(len(kinds))]
		may := c.say(id, k)
		_, err := w.say(store.Offer{Offer: dispatch.Offer{ID: id, Worker: a.worker}}, k, "", nil)
		return agree(string(k), may, err)
	case n < 16:
		w.now = w.now.Add(time.Duration(rnd.IntN(100)) * time.Second)
		c.now = w.now
		w.sweep(t)
		for _, id := range slices.Sorted(maps.Keys(c.offers)) {
			if a := c.offers[id]; a.state == "waiting" && c.now.After(a.until) {
				c.over(id, "expired")
			}
		}
		return "time"
	default:
		id := pick(rnd, c.incidents)
		in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, id)
		if err != nil {
			t.Fatal(err)
		}
		can := dispatch.Possible(in.State, auth.HallOperator)
		if len(can) == 0 {
			return "nothing"
		}
		if in.State.HoldsOffers() && rnd.IntN(3) > 0 {
			return "nothing" // or nobody would ever come to do anything
		}
		act := w.whole(can[rnd.IntN(len(can))])
		if slices.Contains(can, dispatch.Route) { // back to where somebody is sent
			act = w.whole(dispatch.Route)
		}
		if act.Action == dispatch.Correct || act.Action == dispatch.VoidIt || act.Action == dispatch.Merge || act.Action == dispatch.Transfer {
			return "nothing"
		}
		act.Wrong = act.Action == dispatch.Reassign
		res, err := w.led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: in.Version, Act: act}})
		var guard *dispatch.GuardError
		if errors.As(err, &guard) {
			return "act refused"
		}
		if err != nil {
			t.Fatalf("%s while %s: %v", act.Action, in.State, err)
		}
		c.moved(id, string(res.Incident.State))
		return "act"
	}
}

// compare holds the record against the model.
func (w *world) compare(t *testing.T, c *county) {
	t.Helper()
	for id, j := range c.incidents {
		if got := w.state(t, id); string(got) != j.state {
			t.Fatalf("incident %d is %s, the model says %s", id, got, j.state)
		}
	}
	rows, err := store.LiveOffersOf(t.Context(), w.db.Pool, auth.System("test"), []int64{1, 2, 3, 4, 5, 6, 7, 8})
	if err != nil {
		t.Fatal(err)
	}
	live := map[int64]bool{}
	for _, o := range rows {
		live[o.ID] = true
		if a := c.offers[o.ID]; a == nil || modelWord(o.State) != a.state {
			t.Fatalf("offer %d is %s, the model says %+v", o.ID, o.State, a)
		}
	}
	for id, a := range c.offers {
		if a.live() != live[id] {
			t.Fatalf("offer %d: the model says %+v", id, a)
		}
	}
	// Each owned once; at work are those who said yes; the unique rules; the journals
	// lead to where everything stands.
	for what, where := range map[string]string{
		"incidents without one owner":                  "incident i WHERE open AND (SELECT count(*) FROM incident_stage s WHERE s.incident_id = i.id AND ended_at IS NULL) <> 1",
		"workers at it who did not say yes":            "incident_worker x WHERE until IS NULL AND NOT EXISTS (SELECT FROM offer o WHERE o.incident_id = x.incident_id AND o.worker_id = x.worker_id AND o.state IN ('accepted', 'arrived') AND o.lead = (x.relation = 'lead'))",
		"workers who said yes and are not at it":       "offer o WHERE state IN ('accepted', 'arrived') AND NOT EXISTS (SELECT FROM incident_worker x WHERE x.until IS NULL AND o.incident_id = x.incident_id AND o.worker_id = x.worker_id AND o.lead = (x.relation = 'lead'))",
		"incidents with two leads":                     "(SELECT FROM offer WHERE lead AND state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived') GROUP BY incident_id HAVING count(*) > 1) x",
		"workers asked twice":                          "(SELECT FROM offer WHERE state IN ('offered', 'delivered', 'seen') GROUP BY worker_id HAVING count(*) > 1) x",
		"workers with more than they may have":         "(SELECT FROM offer WHERE state IN ('accepted', 'arrived') GROUP BY worker_id HAVING count(*) > 2) x",
		"offers in other states than their journal":    "offer o WHERE state <> (SELECT to_state FROM offer_journal j WHERE j.offer_id = o.id AND refused = '' ORDER BY n DESC LIMIT 1)",
		"gaps in journals of offers":                   "(SELECT from_state, refused, n, lag(to_state) OVER (PARTITION BY offer_id ORDER BY n) AS before FROM offer_journal) x WHERE n > 1 AND from_state IS DISTINCT FROM before",
		"incidents in other states than their journal": "incident i WHERE state <> (SELECT to_state FROM incident_journal j WHERE j.incident_id = i.id ORDER BY n DESC LIMIT 1)",
		"gaps in journals of incidents":                "(SELECT from_state, n, lag(to_state) OVER (PARTITION BY incident_id ORDER BY n) AS before FROM incident_journal) x WHERE n > 1 AND from_state IS DISTINCT FROM before",
	} {
		if n := w.count(t, where, ""); n != 0 {
			t.Fatalf("%d %s", n, what)
		}
	}
}

// explained holds the live state against the tables: the live offers and no other, each
// as it is, and each incident told to whose work it is.
func (w *world) offersExplained(t *testing.T) {
	t.Helper()
	w.sequence(t)
	_, st, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	want := w.count(t, "offer", "state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived')")
	for _, it := range st.Items() {
		switch it.Key.Kind {
		case "offer":
			want--
			var id int64
			_, _ = fmt.Sscan(it.Key.ID, &id)
			o, err := store.FindOffer(t.Context(), w.db.Pool, auth.System("test"), id)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := store.OfferPayload(o)
			if err != nil || !same(t, payload, it.Case) || it.Shared != nil || !slices.Equal(it.Audience.Workers, []int64{int64(o.Worker)}) {
				t.Errorf("offer %d: live state\n%s\nrow\n%s %v", id, it.Case, payload, err)
			}
		case "incident":
			var at []int64
			if err := w.db.Pool.QueryRow(t.Context(), "SELECT coalesce(array_agg(DISTINCT worker_id), '{}') FROM incident_worker WHERE incident_id = $1::text::bigint AND until IS NULL", it.Key.ID).Scan(&at); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(at, it.Audience.Workers) {
				t.Errorf("incident %s is told to %v, at it are %v", it.Key.ID, it.Audience.Workers, at)
			}
		}
	}
	if want != 0 {
		t.Errorf("%d live offers are not in the live state", want)
	}
}
