// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
)

// Candidates is the advice on whom to send, as far as offers need it.
type Candidates interface {
	// Next returns the best worker for an incident besides those of exclude, who were
	// asked before; false when there is none.
	Next(ctx context.Context, incident int64, exclude []uint32) (worker uint32, ok bool, err error)
	// Chosen keeps the advice on an incident together with whom the actor asks, inside
	// tx, which has written no offer yet.
	Chosen(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, workers []uint32) error
}

// offerSweepLock lets one server at a time look for offers whose time is over.
const offerSweepLock = 0x6f66666572

// sweepAtOnce is how many offers one look takes up; the rest is left to the next.
const sweepAtOnce = 200

// SweptOffers is what one look did.
type SweptOffers struct{ Expired, Passed, NotReached int }

// SweepOffers ends the offers whose time is over, passes the lead on to the next
// candidate where the centre's rules say so, and tells of offers that nobody is known
// to have got. Each is done exactly once, however many servers sweep: the offer's own
// row says so, in the transaction that changes it. Of several servers one sweeps; what
// somebody is busy with is left to the next look.
func (l *Ledger) SweepOffers(ctx context.Context, actor auth.Actor) (out SweptOffers, err error) {
	var failed error
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(offerSweepLock)).Scan(&mine); err != nil || !mine {
			return err
		}
		// In transactions of their own: this one only keeps the other servers away.
		err = l.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
			out.NotReached, err = l.tellUnreached(ctx, tx, actor)
			return err
		})
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, incident_id FROM offer WHERE state IN ('offered', 'delivered', 'seen') AND expires_at < $1
			ORDER BY expires_at LIMIT $2`, l.o.Now(), sweepAtOnce)
		if err != nil {
			return err
		}
		due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dueOffer])
		if err != nil {
			return err
		}
		for _, d := range due {
			expired, passed, err := l.expire(ctx, actor, d)
			if err != nil { // one that cannot be ended keeps no other from its end
				failed = errors.Join(failed, fmt.Errorf("offer %d: %w", d.ID, err))
			}
			if expired {
				out.Expired++
			}
			if passed {
				out.Passed++
			}
		}
		return nil
	})
	if out != (SweptOffers{}) {
		l.o.Wake()
	}
	if err = errors.Join(err, failed); err != nil {
		return out, fmt.Errorf("ledger: sweep offers: %w", err)
	}
	return out, nil
}

type dueOffer struct{ ID, Incident int64 }

// expire ends one offer in a transaction of its own, and passes the lead on.
func (l *Ledger) expire(ctx context.Context, actor auth.Actor, d dueOffer) (expired, passed bool, err error) {
	next, adviceErr := l.nextCandidate(ctx, d) // without advice it ends all the same, and the desk is asked
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		in, ok, err := l.takeIncident(ctx, tx, d.Incident)
		if !ok || err != nil {
			return err
		}
		act := &OfferAct{Offer: d.ID, OfferAct: dispatch.OfferAct{Kind: dispatch.ExpireOffer, By: dispatch.ByRule}}
		res, _, err := l.actOnOffer(ctx, tx, actor, Command{OfferAct: act}, in)
		var refused *OfferRefusal
		if errors.As(err, &refused) {
			return nil // answered meanwhile
		}
		if err != nil {
			return err
		}
		expired = true
		if next == 0 || !res.Offers[0].Lead {
			return nil
		}
		was := res.Offers[0]
		passed, err = l.passOn(ctx, tx, actor, res.Incident, next, was.ExpiresAt.Sub(was.MadeAt))
		return err
	})
	if err != nil {
		return false, false, errors.Join(err, adviceErr)
	}
	return expired, passed, adviceErr
}

// takeIncident locks an incident that nobody else is busy with.
func (l *Ledger) takeIncident(ctx context.Context, tx pgx.Tx, id int64) (store.Incident, bool, error) {
	var got int64
	err := tx.QueryRow(ctx, "SELECT id FROM incident WHERE id = $1 FOR UPDATE SKIP LOCKED", id).Scan(&got)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Incident{}, false, nil
	}
	if err != nil {
		return store.Incident{}, false, err
	}
	in, err := store.FindIncident(ctx, tx, whole, auth.CaseView, id, true)
	return in, err == nil, err
}

// nextCandidate is who is asked after an offer that expires, by the centre's rules; 0
// for nobody: then the desk decides.
func (l *Ledger) nextCandidate(ctx context.Context, d dueOffer) (uint32, error) {
	if !l.o.Catalogue.Now().Offers.Next || l.o.Advice == nil {
		return 0, nil
	}
	var asked []int64
	if err := l.o.DB.Pool.QueryRow(ctx, "SELECT array_agg(DISTINCT worker_id) FROM offer WHERE incident_id = $1", d.Incident).Scan(&asked); err != nil {
		return 0, err
	}
	exclude := make([]uint32, len(asked))
	for i, w := range asked {
		exclude[i] = uint32(w)
	}
	w, ok, err := l.o.Advice.Next(ctx, d.Incident, exclude)
	if err != nil || !ok {
		return 0, err
	}
	return w, nil
}

// passOn offers the lead to the next candidate, who has as long to answer as the one
// before. Where that one cannot be asked any more, the desk decides: false.
func (l *Ledger) passOn(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, worker uint32, expires time.Duration) (bool, error) {
	sub, err := tx.Begin(ctx)
	if err != nil {
		return false, err
	}
	c := Command{Offer: &OfferCommand{Incident: in.ID, Offering: dispatch.Offering{Workers: []uint32{worker}, Lead: true, Expires: expires}}}
	_, err = l.makeOffers(ctx, sub, actor, c, whole, in)
	if err == nil {
		return true, sub.Commit(ctx)
	}
	if rerr := sub.Rollback(ctx); rerr != nil {
		return false, rerr
	}
	var first *TakenError
	var guard *dispatch.GuardError
	var state *dispatch.StateError
	if errors.As(err, &first) || errors.As(err, &guard) || errors.As(err, &state) || errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return false, err
}

// tellUnreached marks the offers of which no phone has said a word in time, and tells
// of them.
func (l *Ledger) tellUnreached(ctx context.Context, tx pgx.Tx, actor auth.Actor) (int, error) {
	now := l.o.Now()
	rows, err := tx.Query(ctx, `WITH quiet AS (SELECT id FROM offer WHERE state = 'offered' AND NOT not_reached AND delivered_at IS NULL AND seen_at IS NULL
			AND made_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
		UPDATE offer o SET not_reached = true, ver = o.ver + 1 FROM quiet WHERE o.id = quiet.id RETURNING o.id`, now.Add(-dispatch.NotReachedAfter), sweepAtOnce)
	if err != nil {
		return 0, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	b := &pgx.Batch{}
	for _, id := range ids {
		o, err := store.FindOffer(ctx, tx, whole, id)
		if err != nil {
			return 0, err
		}
		b.Queue(`INSERT INTO offer_journal (offer_id, n, kind, from_state, to_state, actor, at)
			SELECT $1, coalesce(max(n), 0) + 1, 'not_reached', $2, $2, $3, $4 FROM offer_journal WHERE offer_id = $1`, id, string(o.State), actor.ID, now)
		if err := l.emitOffer(b, o, o.About, "offer.changed", o.Ver-1); err != nil {
			return 0, err
		}
	}
	return len(ids), tx.SendBatch(ctx, b).Close()
}

// ArrivedByFixes notes that two fixes, the second measured at, saw the worker of an
// offer at the place. Where the worker's word has not come, it is the arrival.
func (l *Ledger) ArrivedByFixes(ctx context.Context, actor auth.Actor, offer int64, at time.Time) error {
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		o, err := store.FindOffer(ctx, tx, whole, offer)
		if err != nil {
			return err
		}
		in, err := store.FindIncident(ctx, tx, whole, auth.CaseView, o.Incident, true)
		if err != nil {
			return err
		}
		act := &OfferAct{Offer: offer, OfferAct: dispatch.OfferAct{Kind: dispatch.ArriveThere, By: dispatch.ByRule, FixAt: &at}}
		_, _, err = l.actOnOffer(ctx, tx, actor, Command{OfferAct: act}, in)
		var refused *OfferRefusal
		if errors.As(err, &refused) {
			return nil // noted before, or over
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("ledger: arrival by fixes: offer %d: %w", offer, err)
	}
	l.o.Wake()
	return nil
}

// resettled is an incident that is seen by others than before: its place or its category
// is another.
type resettled struct {
	before feed.Audience
	now    store.Incident
}

// tellResettled tells the live offers and running whistles of such incidents to whoever
// sees those now, and whoever saw them before that they are gone.
func (l *Ledger) tellResettled(ctx context.Context, tx pgx.Tx, all map[int64]resettled) error {
	ids := slices.Sorted(maps.Keys(all))
	// The sweep marks offers as not reached without their incident: held, they stay as they are told.
	if _, err := tx.Exec(ctx, "SELECT id FROM offer WHERE incident_id = ANY($1) AND state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived') ORDER BY id FOR UPDATE", ids); err != nil {
		return err
	}
	offers, err := store.LiveOffersOn(ctx, tx, whole, ids)
	if err != nil {
		return err
	}
	whistles, err := store.RunningWhistlesOn(ctx, tx, whole, ids)
	if err != nil || len(offers)+len(whistles) == 0 {
		return err
	}
	b := &pgx.Batch{}
	tell := func(e feed.Event, err error, incident int64) error {
		if err != nil {
			return err
		}
		e.Before = e.After
		e.Before.Grid, e.Before.Sensitive = all[incident].before.Grid, all[incident].before.Sensitive
		return emit(b, e)
	}
	for _, o := range offers {
		e, err := l.offerEvent(o, o.About, "offer.changed")
		if err := tell(e, err, o.Incident); err != nil {
			return err
		}
	}
	for _, w := range whistles {
		e, err := l.whistleEvent(w, all[w.Incident].now, "whistle.changed")
		if err := tell(e, err, w.Incident); err != nil {
			return err
		}
	}
	return tx.SendBatch(ctx, b).Close()
}

// emitOffer puts an offer's event into the outbox: to whoever sees its incident, and to
// its worker.
func (l *Ledger) emitOffer(b *pgx.Batch, o store.Offer, at store.OfferedIncident, kind string, verBefore int) error {
	e, err := l.offerEvent(o, at, kind)
	if err != nil {
		return err
	}
	if verBefore > 0 {
		e.Before = e.After
	}
	return emit(b, e)
}

// offerEvent makes the event that tells an offer's state.
func (l *Ledger) offerEvent(o store.Offer, at store.OfferedIncident, kind string) (feed.Event, error) {
	full, err := store.OfferPayload(o)
	if err != nil {
		return feed.Event{}, err
	}
	aud := feed.Audience{Grid: at.GridNo, Workers: []int64{int64(o.Worker)}, Sensitive: l.o.Catalogue.Now().Categories[at.Category].Sensitive()}
	e := feed.Event{
		Kind: kind, Entity: feed.Key{Kind: "offer", ID: fmt.Sprint(o.ID)}, Ver: o.Ver, Live: feed.Put, OccurredAt: l.o.Now(), After: aud, Case: full,
	}
	if !o.State.Live() {
		e.Live = feed.End
	}
	return e, nil
}

// notify leaves word of an offer for the messenger outside: ids, and a text that names
// nobody and no place. How long there is left to answer is said when it is sent.
func (l *Ledger) notify(b *pgx.Batch, o store.Offer, in store.Incident, kind string) {
	now := l.o.Now()
	category := l.o.Catalogue.Now().Categories[in.Category]
	what := category.NameZH
	if category.Sensitive() {
		what = store.Undisclosed
	}
	number := store.IncidentNumber(in.ID)
	text := fmt.Sprintf("派单 %s %s，%d 级", number, what, in.Priority)
	useless := o.ExpiresAt
	if kind == "offer.withdrawn" {
		text, useless = fmt.Sprintf("派单 %s %s 已撤回", number, what), now.Add(time.Hour)
	}
	b.Queue("INSERT INTO notification (kind, offer_id, worker_id, text, made_at, useless_at, next_at) VALUES ($1, $2, $3, $4, $5, $6, $5)",
		kind, o.ID, int64(o.Worker), text, now, useless)
}
