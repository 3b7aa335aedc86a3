// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/store"
	fixes "onemap/track"
)

// OfferCommand sends offers of one incident to workers.
type OfferCommand struct {
	Incident int64
	Version  int // of the incident, as the actor saw it
	dispatch.Offering
}

// OfferAct is an act on an offer. It names the offer and is judged by the offer's
// state, never by a version: a phone may send it hours later.
type OfferAct struct {
	Offer     int64
	ClientRef string // the sender's own name of this act; sent again it gets the same answer; "" for none
	dispatch.OfferAct
}

// TakenError refuses an offer because somebody was first.
type TakenError struct {
	Lead   bool   // the incident's lead is taken; else the worker is
	Winner *Taken // nil where it is none of the caller's business
}

// Taken is the offer that was first.
type Taken struct {
	Offer    int64
	Incident int64
	Badge    string
	MadeBy   string
	MadeAt   time.Time
}

func (e *TakenError) Error() string {
	what := "the worker has an offer that is not answered yet"
	if e.Lead {
		what = "somebody has the lead of this incident already"
	}
	if w := e.Winner; w != nil {
		return fmt.Sprintf("%s: offer %d of incident %s to %s, made by %s at %s", what, w.Offer, store.IncidentNumber(w.Incident), w.Badge, w.MadeBy, w.MadeAt.UTC().Format(time.RFC3339))
	}
	return what + ", made by another desk"
}

func taken(o store.Offer, lead bool) *TakenError {
	return &TakenError{lead, &Taken{o.ID, o.Incident, o.Badge, o.MadeBy, o.MadeAt}}
}

// OfferRefusal refuses an act on an offer and says how things are by now.
type OfferRefusal struct {
	Err      error // of package dispatch
	Offer    dispatch.OfferState
	Incident dispatch.State
	Possible []dispatch.OfferKind
}

func (e *OfferRefusal) Error() string {
	return fmt.Sprintf("%v; by now the offer is %s and the incident %s", e.Err, e.Offer, e.Incident)
}
func (e *OfferRefusal) Unwrap() error { return e.Err }

// whole is the scope in which an offer's own incident and workers are looked at; who
// may act on the offer was decided before.
var whole = auth.System("an offer's own incident, and whatever else its worker is asked")

// offer makes offers.
func (l *Ledger) offer(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.OfferData)
	if err != nil {
		return Result{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		first, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			res.Repeated = true
			res.Offers, err = store.OffersSentWith(ctx, tx, d.Scope, first)
			return err
		}
		in, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, c.Offer.Incident, true)
		if err != nil {
			return err
		}
		res, err = l.makeOffers(ctx, tx, actor, c, d.Scope, in)
		return err
	})
	return res, err
}

// makeOffers makes offers of an incident that tx has locked. scope is what the actor
// may be told of.
func (l *Ledger) makeOffers(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, scope auth.Scope, in store.Incident) (res Result, err error) {
	cmd, rules := c.Offer, l.o.Catalogue.Now().Offers
	there, err := store.HoldOffers(ctx, tx, in.ID, 0)
	if err != nil {
		return res, err
	}
	f := dispatch.OfferingFacts{Incident: in.Incident, Rules: rules, Now: l.o.Now()}
	for _, o := range there {
		switch {
		case o.Lead && cmd.Lead:
			return res, taken(o, true)
		case slices.Contains(cmd.Workers, o.Worker):
			return res, taken(o, false)
		case o.State.Unanswered():
			f.Waiting++
		}
		f.HasLead = f.HasLead || o.Lead
	}
	if cmd.Version != 0 && in.Version != cmd.Version {
		return res, &VersionError{Have: in.Version, Want: cmd.Version}
	}
	made, action, err := dispatch.DecideOffering(f, cmd.Offering)
	if err != nil {
		return res, err
	}
	badges, err := l.holdWorkers(ctx, tx, scope, cmd.Workers, rules)
	if err != nil {
		return res, err
	}
	if l.o.Advice != nil {
		if err := l.o.Advice.Chosen(ctx, tx, actor, in, cmd.Workers); err != nil {
			return res, err
		}
	}
	for _, m := range made {
		o := store.Offer{Offer: m, Badge: badges[m.Worker], MadeBy: actor.ID}
		o.Settle()
		res.Offers = append(res.Offers, o)
	}
	if err := insertOffers(ctx, tx, res.Offers); err != nil {
		return res, err
	}
	if action != "" {
		in, err = l.bring(ctx, tx, actor, c, in, dispatch.Act{Action: action}, res.Offers[0], nil)
		if err != nil {
			return res, err
		}
	}
	b := &pgx.Batch{}
	for i := range res.Offers {
		o := &res.Offers[i]
		o.About = about(in)
		noteOffer(b, o.ID, 1, dispatch.OfferStep{Kind: "offer", To: o.State}, actor.ID, f.Now, "", "")
		if err := l.recordOffer(b, actor, c.RequestID, *o, in, "offer.made", "", 0); err != nil {
			return res, err
		}
		l.notify(b, *o, in, "offer.made")
	}
	c.keep(b, actor, res.Offers[0].ID)
	res.Incident = in
	return res, tx.SendBatch(ctx, b).Close()
}

// holdWorkers holds the rows of workers, by id, so that what each has accepted is
// counted by one at a time, and refuses whoever cannot be asked now. It returns their
// badges. The lock leaves those alone who merely refer to the worker.
func (l *Ledger) holdWorkers(ctx context.Context, tx pgx.Tx, scope auth.Scope, workers []uint32, rules dispatch.OfferRules) (map[uint32]string, error) {
	ids := make([]int64, len(workers))
	for i, w := range workers {
		if ids[i] = int64(w); l.o.Home != nil && !scope.All() {
			home, ok := l.o.Home(w)
			if !ok || !scope.Sees(home) {
				return nil, fmt.Errorf("worker %d: %w", w, store.ErrNotFound)
			}
		}
	}
	rows, err := tx.Query(ctx, "SELECT id, badge FROM worker WHERE id = ANY ($1) AND active ORDER BY id FOR NO KEY UPDATE", ids)
	if err != nil {
		return nil, err
	}
	badges := map[uint32]string{}
	var id int64
	var badge string
	if _, err := pgx.ForEachRow(rows, []any{&id, &badge}, func() error { badges[uint32(id)] = badge; return nil }); err != nil {
		return nil, err
	}
	if len(badges) != len(ids) {
		return nil, fmt.Errorf("workers %v: %w", workers, store.ErrNotFound)
	}
	// Only now, so that it sees what whoever held the rows before has left.
	theirs, err := store.LiveOffersOf(ctx, tx, whole, ids)
	if err != nil {
		return nil, err
	}
	load := map[uint32]int{}
	for _, o := range theirs {
		if o.State.Unanswered() {
			e := taken(o, false)
			if _, err := store.FindOffer(ctx, tx, scope, o.ID); err != nil {
				e.Winner = nil
			}
			return nil, e
		}
		if load[o.Worker]++; load[o.Worker] >= rules.Work {
			return nil, &dispatch.GuardError{Err: fmt.Errorf("%s: %w", badges[o.Worker], dispatch.ErrWorkLimit)}
		}
	}
	return badges, nil
}

// insertOffers writes new offers and gives them their ids.
func insertOffers(ctx context.Context, tx pgx.Tx, offers []store.Offer) error {
	for i := range offers {
		o := &offers[i]
		var with any
		if i > 0 {
			o.SentWith = offers[0].ID
			with = o.SentWith
		}
		err := tx.QueryRow(ctx, `INSERT INTO offer (incident_id, worker_id, lead, made_by, made_at, sent_with, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`, o.Incident, int64(o.Worker), o.Lead, o.MadeBy, o.MadeAt, with, o.ExpiresAt).Scan(&o.ID)
		switch {
		case refusedBy(err, "offer_one_lead"):
			return &TakenError{Lead: true}
		case refusedBy(err, "offer_one_unanswered"), refusedBy(err, "offer_once_each"):
			return &TakenError{}
		case err != nil:
			return err
		}
	}
	return nil
}

func about(in store.Incident) store.OfferedIncident {
	return store.OfferedIncident{CalledTo: calledTo(in), Version: in.Version, Department: in.Department}
}

// offerAct takes an act on an offer.
func (l *Ledger) offerAct(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.OfferAnswer)
	if err != nil {
		return Result{}, err
	}
	var refused error // of an act that is kept all the same
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		o, err := store.FindOffer(ctx, tx, d.Scope, c.OfferAct.Offer)
		if err != nil {
			return err
		}
		if c.OfferAct.By, err = party(actor, o, c.OfferAct.Kind); err != nil {
			return err
		}
		in, err := store.FindIncident(ctx, tx, whole, auth.CaseView, o.Incident, true)
		if err != nil {
			return err
		}
		res, refused, err = l.actOnOffer(ctx, tx, actor, c, in)
		return err
	})
	if err == nil {
		err = refused
	}
	return res, err
}

// party is as who an actor does something with an offer. A worker answers for nobody
// else, and nobody for a worker.
func party(actor auth.Actor, o store.Offer, k dispatch.OfferKind) (dispatch.OfferParty, error) {
	_, desk := auth.Decide(actor, auth.Write, auth.OfferData)
	switch {
	case actor.Worker != 0 && actor.Worker == o.Worker && k != dispatch.WithdrawOffer:
		return dispatch.ByWorker, nil
	case desk == nil && k == dispatch.WithdrawOffer:
		return dispatch.ByDesk, nil
	}
	return "", auth.ErrForbidden
}

// actOnOffer takes an act on an offer of an incident that tx has locked. refused is
// why it changed nothing, where that is kept, to be answered again.
func (l *Ledger) actOnOffer(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, in store.Incident) (res Result, refused, err error) {
	a := c.OfferAct
	held, err := store.HoldOffers(ctx, tx, in.ID, a.Offer)
	if err != nil {
		return res, nil, err
	}
	i := slices.IndexFunc(held, func(o store.Offer) bool { return o.ID == a.Offer })
	if i < 0 {
		return res, nil, store.ErrNotFound
	}
	o := held[i]
	f := dispatch.OfferFacts{Offer: o.Offer, Incident: in.State, Rules: l.o.Catalogue.Now().Offers, Now: l.o.Now()}
	for j, other := range held {
		if j != i && other.State.Live() {
			f.Others++
			f.Busy = f.Busy || other.Worker == o.Worker
		}
	}
	n, again, err := l.saidBefore(ctx, tx, o, a)
	if again != nil || err != nil {
		res = Result{Incident: in, Offers: []store.Offer{o}, Repeated: true}
		if again != nil && again.refused != "" {
			refused = refusal(errors.New(again.refused), f, a.By)
		}
		return res, refused, err
	}
	if a.Kind == dispatch.AcceptOffer {
		if err := l.holdLoad(ctx, tx, o, &f); err != nil {
			return res, nil, err
		}
	}
	if said := a.DeviceAt; a.Kind == dispatch.ArriveThere && a.By == dispatch.ByWorker && (said == nil || f.Now.Sub(*said) <= fixes.FreshFor(0)) { // a fix of now says nothing of then
		a.OfferAct.DistanceM = l.distance(o, in)
	}
	ch, err := dispatch.DecideOffer(f, a.OfferAct)
	if err != nil {
		return l.refuseOffer(ctx, tx, actor, c, f, n, err)
	}
	o.Offer = ch.After
	o.Settle()
	if ch.Event != "" {
		if err := saveOffer(ctx, tx, o); err != nil {
			return res, nil, err
		}
	}
	if in, err = l.follow(ctx, tx, actor, c, in, o, f, ch); err != nil {
		return res, nil, err
	}
	o.About = about(in)
	b := &pgx.Batch{}
	if ch.Event != "" || a.ClientRef != "" {
		noteOffer(b, o.ID, n, ch.Step, actor.ID, f.Now, a.ClientRef, "")
	}
	if ch.Event != "" {
		if err := l.recordOffer(b, actor, c.RequestID, o, in, ch.Event, ch.Step.Reason, f.Offer.Ver); err != nil {
			return res, nil, err
		}
		if ch.Step.Kind == dispatch.WithdrawOffer {
			l.notify(b, o, in, "offer.withdrawn")
		}
	}
	return Result{Incident: in, Offers: []store.Offer{o}}, nil, tx.SendBatch(ctx, b).Close()
}

// said is an act on an offer that its sender had sent before.
type said struct{ refused string }

// saidBefore looks for an act with the same client_ref, and says which number the next
// entry of the offer's journal has.
func (l *Ledger) saidBefore(ctx context.Context, tx pgx.Tx, o store.Offer, a *OfferAct) (n int, again *said, err error) {
	var kind, refused *string
	err = tx.QueryRow(ctx, `SELECT (SELECT coalesce(max(n), 0) + 1 FROM offer_journal WHERE offer_id = $1), j.kind, j.refused
		FROM (VALUES (1)) AS one LEFT JOIN offer_journal j ON j.offer_id = $1 AND j.client_ref = nullif($2, '')`, o.ID, a.ClientRef).Scan(&n, &kind, &refused)
	switch {
	case err != nil || kind == nil:
		return n, nil, err
	case *kind != string(a.Kind):
		return n, nil, ErrKeyReused
	}
	return n, &said{*refused}, nil
}

// holdLoad holds the worker's row and counts what the worker has accepted besides o,
// and looks whether somebody else was asked after o.
func (l *Ledger) holdLoad(ctx context.Context, tx pgx.Tx, o store.Offer, f *dispatch.OfferFacts) error {
	if _, err := tx.Exec(ctx, "SELECT FROM worker WHERE id = $1 FOR NO KEY UPDATE", int64(o.Worker)); err != nil {
		return err
	}
	return tx.QueryRow(ctx, `SELECT (SELECT count(*) FROM offer WHERE worker_id = $1 AND state IN ('accepted', 'arrived')),
		EXISTS (SELECT FROM offer WHERE incident_id = $2 AND lead AND id > $3) OR EXISTS (SELECT FROM incident_stage WHERE incident_id = $2 AND started_at > $4)`,
		int64(o.Worker), o.Incident, o.ID, o.MadeAt).Scan(&f.Load, &f.LeadSince)
}

// distance is how far a worker with a fresh fix is from an incident, in metres; nil
// where either place is unknown.
func (l *Ledger) distance(o store.Offer, in store.Incident) *float64 {
	if l.o.Where == nil || in.Place.Point == nil {
		return nil
	}
	at, ok := l.o.Where(o.Worker)
	if !ok {
		return nil
	}
	m := geo.Distance(at, *in.Place.Point)
	return &m
}

// refusal is err with how things are by now, where it speaks of that.
func refusal(err error, f dispatch.OfferFacts, p dispatch.OfferParty) error {
	return &OfferRefusal{err, f.Offer.State, f.Incident, dispatch.PossibleOfferActs(f.Offer.State, p)}
}

// refuseOffer refuses an act. An answer that came too late is kept under its sender's
// name for it: sent again it must not be judged by what has become of things since.
func (l *Ledger) refuseOffer(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, f dispatch.OfferFacts, n int, why error) (Result, error, error) {
	var guard *dispatch.GuardError
	var state *dispatch.OfferStateError
	a := c.OfferAct
	switch {
	case errors.As(why, &guard) && a.ClientRef != "":
		b := &pgx.Batch{}
		step := dispatch.OfferStep{Kind: a.Kind, From: f.Offer.State, To: f.Offer.State, Reason: a.Reason, DeviceAt: a.DeviceAt}
		noteOffer(b, f.Offer.ID, n, step, actor.ID, f.Now, a.ClientRef, guard.Error())
		return Result{}, refusal(why, f, a.By), tx.SendBatch(ctx, b).Close()
	case errors.As(why, &guard), errors.As(why, &state):
		return Result{}, nil, refusal(why, f, a.By)
	}
	return Result{}, nil, why
}

// saveOffer writes an offer's new state over the one that tx holds.
func saveOffer(ctx context.Context, tx pgx.Tx, o store.Offer) error {
	b := &pgx.Batch{}
	queueOffer(b, o)
	err := tx.SendBatch(ctx, b).Close()
	if refusedBy(err, "offer_one_lead") || refusedBy(err, "offer_once_each") {
		return &dispatch.GuardError{Err: dispatch.ErrLeadTaken}
	}
	return err
}

func queueOffer(b *pgx.Batch, o store.Offer) {
	var metres any
	if o.ArrivedM != nil {
		metres = float32(*o.ArrivedM)
	}
	b.Queue(`UPDATE offer SET ver = $2, state = $3, delivered_at = $4, seen_at = $5, answered_at = $6, arrived_at = $7, arrived_m = $8,
		arrived_fix_at = $9, finished_at = $10, ended_at = $11, not_reached = $12, reason = $13 WHERE id = $1`,
		o.ID, int32(o.Ver), string(o.State), o.DeliveredAt, o.SeenAt, o.AnsweredAt, o.ArrivedAt, metres, o.ArrivedFixAt, o.FinishedAt, o.EndedAt, o.NotReached, o.Reason)
}

// follow carries out what a change of an offer brings about: whose work the incident
// is, and its own step.
func (l *Ledger) follow(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, in store.Incident, o store.Offer, f dispatch.OfferFacts, ch dispatch.OfferChange) (store.Incident, error) {
	was, is := f.Offer.State.Accepted(), o.State.Accepted()
	workers := in.Workers
	if was != is {
		var err error
		if workers, err = l.turnWork(ctx, tx, in, o, is); err != nil {
			return in, err
		}
	}
	if ch.Incident != "" {
		// A return needs words; a worker's own or the desk's are there.
		return l.bring(ctx, tx, actor, c, in, dispatch.Act{Action: ch.Incident, Reason: ch.Step.Reason, DeviceAt: ch.Step.DeviceAt}, o, workers)
	}
	if was == is || slices.Equal(workers, in.Workers) {
		return in, nil
	}
	before := l.audience(in)
	in.Workers = workers
	e, err := l.event(ctx, in, "incident.changed", before, l.o.Now()) // nothing of it changed but who is told of it
	if err != nil {
		return in, err
	}
	return in, Emit(ctx, tx, e)
}

// turnWork notes that an incident is a worker's work from now on, or is not any more,
// and returns whose it then is.
func (l *Ledger) turnWork(ctx context.Context, tx pgx.Tx, in store.Incident, o store.Offer, on bool) ([]int64, error) {
	b := &pgx.Batch{}
	relation := "assist"
	if o.Lead {
		relation = "lead"
	}
	if on {
		b.Queue(`INSERT INTO incident_worker (incident_id, worker_id, relation, since) VALUES ($1, $2, $3, $4)
			ON CONFLICT (incident_id, worker_id, relation) DO UPDATE SET since = excluded.since, until = NULL`, in.ID, int64(o.Worker), relation, l.o.Now())
	} else {
		b.Queue("UPDATE incident_worker SET until = $4 WHERE incident_id = $1 AND worker_id = $2 AND relation = $3 AND until IS NULL", in.ID, int64(o.Worker), relation, l.o.Now())
	}
	return whose(ctx, tx, b, in.ID)
}

// whose carries out b and then returns whose work the incident is.
func whose(ctx context.Context, tx pgx.Tx, b *pgx.Batch, incident int64) (workers []int64, err error) {
	workers = []int64{}
	b.Queue("SELECT coalesce(array_agg(DISTINCT worker_id), '{}') FROM incident_worker WHERE incident_id = $1 AND until IS NULL", incident).QueryRow(func(row pgx.Row) error {
		return row.Scan(&workers)
	})
	return workers, tx.SendBatch(ctx, b).Close()
}

// bring takes the step on an incident that an offer brings about.
func (l *Ledger) bring(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, in store.Incident, a dispatch.Act, o store.Offer, workers []int64) (store.Incident, error) {
	f, err := l.facts(ctx, tx, actor, in, a)
	if err != nil {
		return in, err
	}
	ch, err := dispatch.Decide(f, a)
	if err != nil {
		return in, err
	}
	if ch.Step.Data == nil {
		ch.Step.Data = map[string]any{}
	}
	ch.Step.Data["offer"], ch.Step.Data["worker"] = fmt.Sprint(o.ID), o.Badge
	ch.Workers = workers
	c.Key = "" // kept for the offer
	return l.write(ctx, tx, actor, c, in, f.Stage, ch)
}

// endOffers ends every live offer of an incident that becomes after, and returns whose
// work it then is. It is told of an act on the incident itself.
func (l *Ledger) endOffers(ctx context.Context, tx pgx.Tx, actor auth.Actor, requestID string, in store.Incident, after dispatch.State, reason string) ([]int64, error) {
	held, err := store.HoldOffers(ctx, tx, in.ID, 0)
	if err != nil {
		return nil, err
	}
	b, now := &pgx.Batch{}, l.o.Now()
	for _, o := range held {
		if err := l.endOffer(b, actor, requestID, o, in, after, reason); err != nil {
			return nil, err
		}
	}
	b.Queue("UPDATE incident_worker SET until = $2 WHERE incident_id = $1 AND relation IN ('lead', 'assist') AND until IS NULL", in.ID, now)
	return whose(ctx, tx, b, in.ID)
}

// endOffer ends one live offer, by rule, of an incident that becomes after. The incident
// does not follow from it.
func (l *Ledger) endOffer(b *pgx.Batch, actor auth.Actor, requestID string, o store.Offer, in store.Incident, after dispatch.State, reason string) error {
	now := l.o.Now()
	f := dispatch.OfferFacts{Offer: o.Offer, Incident: after, Rules: l.o.Catalogue.Now().Offers, Now: now}
	ch, err := dispatch.DecideOffer(f, dispatch.OfferAct{Kind: dispatch.OverWith(after, o.State), By: dispatch.ByRule, Reason: reason})
	if err != nil {
		return err
	}
	o.Offer = ch.After
	o.Settle()
	queueOffer(b, o)
	b.Queue(`INSERT INTO offer_journal (offer_id, n, kind, from_state, to_state, actor, at, reason)
		SELECT $1, coalesce(max(n), 0) + 1, $2, $3, $4, $5, $6, $7 FROM offer_journal WHERE offer_id = $1`,
		o.ID, string(ch.Step.Kind), string(ch.Step.From), string(ch.Step.To), actor.ID, now, reason)
	if err := l.recordOffer(b, actor, requestID, o, in, ch.Event, "", f.Offer.Ver); err != nil {
		return err
	}
	if o.State == dispatch.OfferWithdrawn {
		l.notify(b, o, in, "offer.withdrawn")
	}
	return nil
}

// noteOffer appends one entry to an offer's journal.
func noteOffer(b *pgx.Batch, id int64, n int, s dispatch.OfferStep, actor string, at time.Time, ref, refused string) {
	b.Queue(`INSERT INTO offer_journal (offer_id, n, kind, from_state, to_state, actor, at, device_at, reason, client_ref, refused)
		VALUES ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, $9, nullif($10, ''), $11)`,
		id, n, string(s.Kind), string(s.From), string(s.To), actor, at, s.DeviceAt, s.Reason, ref, refused)
}

// recordOffer writes what every change of an offer leaves behind besides its journal:
// its audit entry and its event. verBefore is 0 for a new one.
func (l *Ledger) recordOffer(b *pgx.Batch, actor auth.Actor, requestID string, o store.Offer, in store.Incident, kind, reason string, verBefore int) error {
	err := audit(b, actor, requestID, kind, fmt.Sprintf("offer/%d", o.ID), reason,
		map[string]any{"incident": o.Incident, "worker": o.Worker, "lead": o.Lead, "state": o.State})
	if err != nil {
		return err
	}
	return l.emitOffer(b, o, about(in), kind, verBefore)
}
