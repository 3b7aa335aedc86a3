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
	"onemap/store"
)

// Deactivation removes a worker from duty.
type Deactivation struct {
	Worker    uint32
	HandTo    uint32 // takes over the open work; 0 for nobody
	Reason    string
	RequestID string // for the audit
}

// HoldsWorkError refuses to remove a worker who holds open work: Incidents are those
// the actor may read, Hidden how many more there are.
type HoldsWorkError struct {
	Incidents []store.Incident
	Hidden    int
}

func (e *HoldsWorkError) Error() string {
	return fmt.Sprintf("this worker holds %d open incidents: name in hand_to who takes them over, or have them finished or reassigned first", len(e.Incidents)+e.Hidden)
}

// errWorkMoved says that the worker's open work changed while it was being locked.
var errWorkMoved = errors.New("the worker's open work changes at this moment")

// workTries is how often the worker's open work is looked at anew.
const workTries = 5

// DeactivateWorker makes a worker inactive: the shift and the terminals' bindings end,
// and the worker leaves the live state. Open work is handed over to another active
// worker in the actor's scope, with a journal entry each; without one it is refused
// with a *HoldsWorkError. It is store.ErrNotFound for whoever is not active or not in
// the actor's scope. It returns how many incidents were handed over.
func (l *Ledger) DeactivateWorker(ctx context.Context, actor auth.Actor, d Deactivation) (handed int, err error) {
	for range workTries {
		err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
			handed, err = l.deactivate(ctx, tx, actor, d)
			return err
		})
		if !errors.Is(err, errWorkMoved) {
			break
		}
	}
	if errors.Is(err, errWorkMoved) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	if err != nil {
		return 0, fmt.Errorf("ledger: deactivate worker %d: %w", d.Worker, err)
	}
	l.o.Wake()
	return handed, nil
}

// deactivate locks incidents first, then workers by id: the order of every change.
func (l *Ledger) deactivate(ctx context.Context, tx pgx.Tx, actor auth.Actor, d Deactivation) (int, error) {
	may, err := auth.Decide(actor, auth.Write, auth.Worker)
	if err != nil {
		return 0, err
	}
	now := l.o.Now()
	ids, err := openWork(ctx, tx, d.Worker)
	if err != nil {
		return 0, err
	}
	all := auth.System("a worker's open work is handed over whole, whatever the actor may read")
	offers, err := store.LiveOffersOf(ctx, tx, all, []int64{int64(d.Worker)})
	if err != nil {
		return 0, err
	}
	locked := map[int64]store.Incident{}
	for _, id := range slices.Sorted(maps.Keys(concerned(ids, offers))) {
		if locked[id], err = store.FindIncident(ctx, tx, all, auth.CaseView, id, true); err != nil {
			return 0, err
		}
	}
	held := make([]store.Incident, 0, len(ids))
	for _, id := range ids {
		held = append(held, locked[id])
	}
	badges, err := lockWorkers(ctx, tx, may.Scope, now, d.Worker, d.HandTo)
	if err != nil {
		return 0, err
	}
	if still, err := openWork(ctx, tx, d.Worker); err != nil || !slices.Equal(ids, still) {
		return 0, errors.Join(err, errWorkMoved)
	}
	if offers, err = store.LiveOffersOf(ctx, tx, all, []int64{int64(d.Worker)}); err != nil {
		return 0, err
	}
	for id := range concerned(nil, offers) {
		if _, ok := locked[id]; !ok {
			return 0, errWorkMoved
		}
	}
	if len(held) > 0 && d.HandTo == 0 {
		return 0, l.holdsWork(ctx, tx, actor, held)
	}
	before, err := Badges(ctx, tx, now, badges...)
	if err != nil {
		return 0, err
	}
	for _, o := range offers {
		if err := l.takeBack(ctx, tx, actor, d, o, locked[o.Incident]); err != nil {
			return 0, err
		}
	}
	for _, in := range held {
		if err := l.handOver(ctx, tx, actor, d, in); err != nil {
			return 0, err
		}
	}
	if _, err := store.EndShift(ctx, tx, d.Worker, store.EndedByRemoval, actor.ID, now); err != nil && !errors.Is(err, store.ErrNoShift) {
		return 0, err
	}
	b := &pgx.Batch{}
	b.Queue("UPDATE incident_worker SET until = $2 WHERE worker_id = $1 AND until IS NULL AND relation <> 'reported'", int64(d.Worker), now) // of what is closed
	b.Queue("DELETE FROM device_binding WHERE worker_id = $1 AND valid_from >= $2", int64(d.Worker), now)
	b.Queue("UPDATE device_binding SET valid_to = $2 WHERE worker_id = $1 AND valid_to > $2", int64(d.Worker), now)
	b.Queue("UPDATE worker SET active = false, ver = ver + 1 WHERE id = $1", int64(d.Worker))
	data := map[string]any{"handed_over": len(held)}
	if d.HandTo != 0 {
		data["to"] = d.HandTo
	}
	if err := audit(b, actor, d.RequestID, "worker.deactivate", fmt.Sprintf("worker/%d", d.Worker), d.Reason, data); err != nil {
		return 0, err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, err
	}
	return len(held), PeopleChanged(ctx, tx, before, now, badges[0])
}

// concerned is the incidents of a worker's open work and live offers.
func concerned(work []int64, offers []store.Offer) map[int64]bool {
	out := map[int64]bool{}
	for _, id := range work {
		out[id] = true
	}
	for _, o := range offers {
		out[o.Incident] = true
	}
	return out
}

// takeBack ends a live offer of a worker who is removed. One that waits for an answer
// is withdrawn like any other; of accepted work the incident goes on as it stands, with
// whoever it is handed over to.
func (l *Ledger) takeBack(ctx context.Context, tx pgx.Tx, actor auth.Actor, d Deactivation, o store.Offer, in store.Incident) error {
	if !o.State.Accepted() {
		act := &OfferAct{Offer: o.ID, OfferAct: dispatch.OfferAct{Kind: dispatch.WithdrawOffer, By: dispatch.ByRule}}
		_, refused, err := l.actOnOffer(ctx, tx, actor, Command{RequestID: d.RequestID, OfferAct: act}, in)
		return errors.Join(err, refused)
	}
	b := &pgx.Batch{}
	if err := l.endOffer(b, actor, d.RequestID, o, in, in.State, ""); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// openWork is the open incidents that a worker leads or assists with, by id.
func openWork(ctx context.Context, tx pgx.Tx, worker uint32) ([]int64, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT i.id FROM incident_worker iw JOIN incident i ON i.id = iw.incident_id AND i.open
		WHERE iw.worker_id = $1 AND iw.until IS NULL AND iw.relation IN ('lead', 'assist') ORDER BY i.id`, int64(worker))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// lockWorkers locks the rows of active workers in scope, by id, and returns their
// badges in the order asked; 0 is nobody.
func lockWorkers(ctx context.Context, tx pgx.Tx, s auth.Scope, now time.Time, ids ...uint32) ([]string, error) {
	wanted := make([]int64, 0, len(ids))
	for _, id := range ids {
		if id != 0 {
			wanted = append(wanted, int64(id))
		}
	}
	rows, err := tx.Query(ctx, "SELECT id, badge FROM worker WHERE id = ANY ($1) AND active ORDER BY id FOR NO KEY UPDATE", wanted)
	if err != nil {
		return nil, err
	}
	byID := map[uint32]string{}
	var id int64
	var badge string
	if _, err := pgx.ForEachRow(rows, []any{&id, &badge}, func() error { byID[uint32(id)] = badge; return nil }); err != nil {
		return nil, err
	}
	var badges []string
	for _, id := range wanted {
		badge, ok := byID[uint32(id)]
		if !ok {
			return nil, fmt.Errorf("worker %d: %w", id, store.ErrNotFound)
		}
		badges = append(badges, badge)
	}
	known, err := store.Workers(ctx, tx, s, now, badges...)
	if err == nil && len(known) < len(byID) {
		err = store.ErrNotFound
	}
	return badges, err
}

// holdsWork is the refusal, with what the actor may read of the work.
func (l *Ledger) holdsWork(ctx context.Context, tx pgx.Tx, actor auth.Actor, held []store.Incident) error {
	e := &HoldsWorkError{}
	read, err := auth.Decide(actor, auth.Read, auth.IncidentData)
	for _, in := range held {
		if err == nil {
			_, err := store.FindIncident(ctx, tx, read.Scope, auth.CaseView, in.ID, false)
			if err == nil {
				e.Incidents = append(e.Incidents, in)
				continue
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		e.Hidden++
	}
	return e
}

// handOver makes another worker lead or assist where this one did. The incident's
// state, owner and version stay: what changed is in its journal.
func (l *Ledger) handOver(ctx context.Context, tx pgx.Tx, actor auth.Actor, d Deactivation, in store.Incident) error {
	now, before := l.o.Now(), l.audience(in)
	rows, err := tx.Query(ctx, `WITH mine AS (UPDATE incident_worker SET until = $4 WHERE incident_id = $1 AND worker_id = $2 AND until IS NULL RETURNING relation)
		INSERT INTO incident_worker AS iw (incident_id, worker_id, relation, since)
		SELECT $1, $3, relation, $4 FROM mine WHERE relation IN ('lead', 'assist')
		ON CONFLICT (incident_id, worker_id, relation) DO UPDATE SET since = CASE WHEN iw.until IS NULL THEN iw.since ELSE excluded.since END, until = NULL
		RETURNING relation`, in.ID, int64(d.Worker), int64(d.HandTo), now)
	if err != nil {
		return err
	}
	if _, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	var n int
	err = tx.QueryRow(ctx, `SELECT coalesce(array_agg(DISTINCT worker_id), '{}'), (SELECT coalesce(max(n), 0) + 1 FROM incident_journal WHERE incident_id = $1)
		FROM incident_worker WHERE incident_id = $1 AND until IS NULL`, in.ID).Scan(&in.Workers, &n)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	reason := fmt.Sprintf("worker/%d -> worker/%d", d.Worker, d.HandTo)
	if d.Reason != "" {
		reason += ": " + d.Reason
	}
	if err := journal(b, in.ID, n, in.Version, dispatch.Step{Kind: "hand_over", Reason: reason}, actor.ID, now); err != nil {
		return err
	}
	err = audit(b, actor, d.RequestID, "incident.hand_over", fmt.Sprintf("incident/%d", in.ID), d.Reason, map[string]any{"from_worker": d.Worker, "to_worker": d.HandTo})
	if err != nil {
		return err
	}
	e, err := l.event(ctx, in, "incident.changed", before, now)
	if err != nil {
		return err
	}
	if err := emit(b, e); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// ActivateWorker makes a worker active again who was removed: who serves the grids
// still assigned and carries no terminal. It is store.ErrNotFound for whoever is
// active, or served no grid in the actor's scope.
func (l *Ledger) ActivateWorker(ctx context.Context, actor auth.Actor, worker uint32, reason, requestID string) error {
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		may, err := auth.Decide(actor, auth.Write, auth.Worker)
		if err != nil {
			return err
		}
		now := l.o.Now()
		var badge string
		err = tx.QueryRow(ctx, "UPDATE worker SET active = true, ver = ver + 1 WHERE id = $1 AND NOT active RETURNING badge", int64(worker)).Scan(&badge)
		if errors.Is(err, pgx.ErrNoRows) {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		if known, err := store.Workers(ctx, tx, may.Scope, now, badge); err != nil || len(known) == 0 {
			return errors.Join(err, store.ErrNotFound)
		}
		if err := Audit(ctx, tx, actor, requestID, "worker.activate", fmt.Sprintf("worker/%d", worker), reason, map[string]any{}); err != nil {
			return err
		}
		return PeopleChanged(ctx, tx, nil, now, badge)
	})
	if err != nil {
		return fmt.Errorf("ledger: activate worker %d: %w", worker, err)
	}
	l.o.Wake()
	return nil
}
