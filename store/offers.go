// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/track"
)

// Offer is an offer as the record holds it, with what its reader has to know of the
// incident. It has no personal field but what people wrote: the reason and the title.
type Offer struct {
	dispatch.Offer
	Badge    string
	MadeBy   string // the actor
	SentWith int64  // the first of the offers that one request made; 0 for that one
	About    OfferedIncident
}

// OfferedIncident is what a worker is told of an incident before saying yes.
type OfferedIncident struct {
	CalledTo
	Version    int
	Department int64
}

const offerColumns = `o.id, o.incident_id, o.worker_id, o.lead, o.state, o.ver, o.made_at, o.expires_at, o.delivered_at, o.seen_at, o.answered_at,
 o.arrived_at, o.arrived_m, o.arrived_fix_at, o.finished_at, o.ended_at, o.not_reached, o.reason, w.badge, o.made_by, coalesce(o.sent_with, 0),
 i.category, i.priority, i.state, i.version, i.title, i.address, i.geom, i.grid_id, i.grid_no, coalesce(i.department_id, 0)`

const fromOffer = " FROM offer o JOIN worker w ON w.id = o.worker_id JOIN incident i ON i.id = o.incident_id "

// liveOffer is the states of dispatch.OfferState.Live, as the unique indexes have them.
const liveOffer = "o.state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived')"

func scanOffer(row pgx.CollectableRow) (o Offer, err error) {
	var worker int64
	err = row.Scan(&o.ID, &o.Incident, &worker, &o.Lead, &o.State, &o.Ver, &o.MadeAt, &o.ExpiresAt, &o.DeliveredAt, &o.SeenAt, &o.AnsweredAt,
		&o.ArrivedAt, &o.ArrivedM, &o.ArrivedFixAt, &o.FinishedAt, &o.EndedAt, &o.NotReached, &o.Reason, &o.Badge, &o.MadeBy, &o.SentWith,
		&o.About.Category, &o.About.Priority, &o.About.State, &o.About.Version, &o.About.Title, &o.About.Address, &o.About.Point, &o.About.GridID, &o.About.GridNo, &o.About.Department)
	o.Worker = uint32(worker)
	o.Settle()
	return o, err
}

// Settle rounds every time as the database keeps it, like Incident.Settle.
func (o *Offer) Settle() {
	for _, t := range []**time.Time{&o.DeliveredAt, &o.SeenAt, &o.AnsweredAt, &o.ArrivedAt, &o.ArrivedFixAt, &o.FinishedAt, &o.EndedAt} {
		if *t != nil {
			at := (*t).UTC().Truncate(time.Microsecond)
			*t = &at
		}
	}
	o.MadeAt, o.ExpiresAt = o.MadeAt.UTC().Truncate(time.Microsecond), o.ExpiresAt.UTC().Truncate(time.Microsecond)
}

// offersInScope adds the condition that the offer o of the incident i lies in s: for a
// worker's own scope the offers made to that worker, else those of incidents in scope.
func (q *query) offersInScope(s auth.Scope) *query {
	if worker, only := s.Worker(); only {
		return q.add(" o.worker_id = ? AND ", int64(worker)).inScope(s, "i.grid_no")
	}
	return q.incidentsInScope(s, "i")
}

// FindOffer returns the offer with this id, or ErrNotFound when there is none or it is
// out of scope.
func FindOffer(ctx context.Context, tx Querier, s auth.Scope, id int64) (Offer, error) {
	var q query
	q.add("SELECT "+offerColumns+fromOffer+"WHERE o.id = ? AND ", id).offersInScope(s)
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Offer{}, fmt.Errorf("store: offer %d: %w", id, err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOffer)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Offer{}, fmt.Errorf("store: offer %d: %w", id, err)
	}
	return o, nil
}

// HoldOffers returns the live offers of an incident that tx has locked, and the one
// with this id whatever its state, and holds their rows until its end.
func HoldOffers(ctx context.Context, tx pgx.Tx, incident, id int64) ([]Offer, error) {
	return offersBy(ctx, tx, "SELECT "+offerColumns+fromOffer+"WHERE o.incident_id = $1 AND ("+liveOffer+" OR o.id = $2) ORDER BY o.id FOR UPDATE OF o", incident, id)
}

// OffersSentWith are the offers that one request made, of which first was the first.
func OffersSentWith(ctx context.Context, tx Querier, s auth.Scope, first int64) ([]Offer, error) {
	var q query
	q.add("SELECT "+offerColumns+fromOffer+"WHERE (o.id = ? OR o.sent_with = ? AND o.incident_id = (SELECT f.incident_id FROM offer f WHERE f.id = ?)) AND ", first, first, first).offersInScope(s)
	q.add(" ORDER BY o.id")
	return offersBy(ctx, tx, q.sql.String(), q.args...)
}

// LiveOffersOf are the live offers of these workers, whatever the incident, in the
// order they were made.
func LiveOffersOf(ctx context.Context, tx Querier, _ auth.Scope, workers []int64) ([]Offer, error) {
	return offersBy(ctx, tx, "SELECT "+offerColumns+fromOffer+"WHERE o.worker_id = ANY ($1) AND "+liveOffer+" ORDER BY o.id", workers)
}

// LiveOffersOn are the live offers of these incidents.
func LiveOffersOn(ctx context.Context, tx Querier, _ auth.Scope, incidents []int64) ([]Offer, error) {
	return offersBy(ctx, tx, "SELECT "+offerColumns+fromOffer+"WHERE o.incident_id = ANY ($1) AND "+liveOffer+" ORDER BY o.id", incidents)
}

func offersBy(ctx context.Context, tx Querier, sql string, args ...any) ([]Offer, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("store: offers: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanOffer)
	if err != nil {
		return nil, fmt.Errorf("store: offers: %w", err)
	}
	return out, nil
}

// LiveOffers lists the live offers in scope, oldest first, after the one with id after.
func (db *DB) LiveOffers(ctx context.Context, s auth.Scope, after int64, limit int) ([]Offer, error) {
	var q query
	q.add("SELECT "+offerColumns+fromOffer+"WHERE "+liveOffer+" AND o.id > ? AND ", after).offersInScope(s).add(" ORDER BY o.id LIMIT ?", limit)
	return offersBy(ctx, db.Pool, q.sql.String(), q.args...)
}

// OffersOf lists every offer of an incident, oldest first. It is ErrNotFound when the
// incident is out of scope; for a worker's own scope, when it was never offered.
func (db *DB) OffersOf(ctx context.Context, s auth.Scope, incident int64) ([]Offer, error) {
	var q query
	q.add("SELECT "+offerColumns+fromOffer+"WHERE o.incident_id = ? AND ", incident).offersInScope(s).add(" ORDER BY o.id")
	out, err := offersBy(ctx, db.Pool, q.sql.String(), q.args...)
	if err != nil || len(out) > 0 {
		return out, err
	}
	if _, only := s.Worker(); only {
		return nil, fmt.Errorf("store: offers of incident %d: %w", incident, ErrNotFound)
	}
	_, err = db.Incident(ctx, s, auth.CaseView, incident)
	return out, err
}

// PublicOffer is an offer as events and answers carry it: its whole public state. It
// names a worker by id and badge alone, and holds nothing that anybody wrote.
type PublicOffer struct {
	ID           string     `json:"id"`
	IncidentID   string     `json:"incident_id"`
	Number       string     `json:"number" doc:"Of the incident"`
	WorkerID     string     `json:"worker_id"`
	Badge        string     `json:"badge"`
	Lead         bool       `json:"lead" doc:"Whose work it is; the others assist"`
	State        string     `json:"state" enum:"offered,delivered,seen,accepted,declined,expired,withdrawn,arrived,finished"`
	Live         bool       `json:"live"`
	Ver          int        `json:"ver"`
	MadeBy       string     `json:"made_by" doc:"The actor, as the journal names it"`
	MadeAt       time.Time  `json:"made_at"`
	ExpiresAt    time.Time  `json:"expires_at"`
	DeliveredAt  *time.Time `json:"delivered_at" doc:"As the phone says; never assumed"`
	SeenAt       *time.Time `json:"seen_at"`
	AnsweredAt   *time.Time `json:"answered_at"`
	ArrivedAt    *time.Time `json:"arrived_at" doc:"By the worker's word"`
	ArrivedM     *float64   `json:"arrived_m" doc:"How many metres from the place a fresh fix then was"`
	ArrivedFixAt *time.Time `json:"arrived_fix_at" doc:"By two trusted fixes near the place"`
	FinishedAt   *time.Time `json:"finished_at"`
	EndedAt      *time.Time `json:"ended_at"`
	NotReached   bool       `json:"not_reached" doc:"No word that it is on the phone, 30 seconds on"`
}

// Public renders an offer for events and answers.
func (o Offer) Public() PublicOffer {
	return PublicOffer{
		ID: fmt.Sprint(o.ID), IncidentID: fmt.Sprint(o.Incident), Number: IncidentNumber(o.Incident), WorkerID: fmt.Sprint(o.Worker), Badge: o.Badge,
		Lead: o.Lead, State: string(o.State), Live: o.State.Live(), Ver: o.Ver, MadeBy: o.MadeBy, MadeAt: o.MadeAt, ExpiresAt: o.ExpiresAt, DeliveredAt: o.DeliveredAt,
		SeenAt: o.SeenAt, AnsweredAt: o.AnsweredAt, ArrivedAt: o.ArrivedAt, ArrivedM: o.ArrivedM, ArrivedFixAt: o.ArrivedFixAt, FinishedAt: o.FinishedAt,
		EndedAt: o.EndedAt, NotReached: o.NotReached,
	}
}

// OfferPayload encodes an offer for an event. A wall is told nothing of offers: there
// is no shared view of one.
func OfferPayload(o Offer) (json.RawMessage, error) {
	raw, err := json.Marshal(o.Public())
	if err != nil {
		return nil, fmt.Errorf("store: encode offer %d: %w", o.ID, err)
	}
	return raw, nil
}

// WorkersOnTask are the workers who have accepted work now.
func (db *DB) WorkersOnTask(ctx context.Context) (map[uint32]bool, error) {
	rows, err := db.Pool.Query(ctx, "SELECT DISTINCT worker_id FROM offer WHERE state IN ('accepted', 'arrived')")
	if err != nil {
		return nil, fmt.Errorf("store: workers on accepted work: %w", err)
	}
	out := map[uint32]bool{}
	var id int64
	if _, err = pgx.ForEachRow(rows, []any{&id}, func() error { out[uint32(id)] = true; return nil }); err != nil {
		return nil, fmt.Errorf("store: workers on accepted work: %w", err)
	}
	return out, nil
}

// AwaitedArrival is an accepted lead offer whose worker no fixes have seen arrive.
type AwaitedArrival struct {
	Offer    int64
	Worker   int64
	Since    time.Time // when it was accepted
	Category string
	Point    geo.WGS84
}

// AwaitedArrivals lists the accepted lead offers whose worker no fixes have seen
// arrive, of incidents whose place is known.
func (db *DB) AwaitedArrivals(ctx context.Context, _ auth.Scope) ([]AwaitedArrival, error) {
	rows, err := db.Pool.Query(ctx, `SELECT o.id, o.worker_id, o.answered_at, i.category, i.geom FROM offer o JOIN incident i ON i.id = o.incident_id
		WHERE o.lead AND o.state IN ('accepted', 'arrived') AND o.arrived_fix_at IS NULL AND i.geom IS NOT NULL ORDER BY o.id`)
	if err != nil {
		return nil, fmt.Errorf("store: awaited arrivals: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AwaitedArrival])
	if err != nil {
		return nil, fmt.Errorf("store: awaited arrivals: %w", err)
	}
	return out, nil
}

// arrivalLooksBack is how far back fixes are looked at: what a phone sends later than
// that is history.
const arrivalLooksBack = 6 * time.Hour

// FixesNear returns the trusted fixes of the worker of a since its acceptance, in order
// of time.
func (db *DB) FixesNear(ctx context.Context, _ auth.Scope, a AwaitedArrival, now time.Time) ([]dispatch.NearFix, error) {
	since := a.Since
	if back := now.Add(-arrivalLooksBack); since.Before(back) {
		since = back
	}
	// By the devices that the worker carried, and the own page: the fixes of a device lie together.
	rows, err := db.Pool.Query(ctx, `SELECT p.fix_at, p.lon_e7, p.lat_e7, coalesce(p.accuracy_m, -1) FROM `+carriedByOne+` b
		JOIN worker_position p ON p.device_id = b.device_id AND p.fix_at >= greatest(b.valid_from, $2) AND p.fix_at < b.valid_to AND p.fix_at <= $3
		WHERE b.valid_to > $2 AND p.worker_id = $1 AND p.verdict = ANY ($4) AND NOT p.mock ORDER BY p.fix_at`,
		a.Worker, since, now, []string{string(track.OK), string(track.Late)})
	if err != nil {
		return nil, fmt.Errorf("store: fixes of worker %d: %w", a.Worker, err)
	}
	var out []dispatch.NearFix
	var at time.Time
	var lon, lat int32
	var acc float32
	_, err = pgx.ForEachRow(rows, []any{&at, &lon, &lat, &acc}, func() error {
		out = append(out, dispatch.NearFix{At: at, P: geo.WGS84{float64(lon) / 1e7, float64(lat) / 1e7}, AccuracyM: float64(acc)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: fixes of worker %d: %w", a.Worker, err)
	}
	return out, nil
}
