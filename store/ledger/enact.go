// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/geo/grid"
	"onemap/store"
)

// Enactment is a draft to be made the boundaries of its county.
type Enactment struct {
	Version      int32
	Reason       string  // kept in the audit and in the journal of what moves
	RequestID    string  // for the audit
	Tolerance    float64 // largest share of a fault; 0 is store.Tolerance
	AcceptFaults bool    // somebody has seen the faults and wants it all the same

	// Plan is the plan it carries out, nil for none: one that was cancelled or
	// replaced meanwhile is store.ErrNoPlan.
	Plan *store.GridPlan
}

// Enacted is what an enactment did.
type Enacted struct {
	Version, Before int32         // Before is 0 where no version was in force
	Grids           int           // of the new tree
	Open            int           // open incidents of the county: all of them have a new grid number
	Moved           int           // of Open: their path is another, and the journal says so
	Held            time.Duration // how long reports had to wait
}

const (
	moveBatch = 2000                   // how many incidents move in one statement
	moveTime  = 300 * time.Microsecond // what one takes at least, while reports come in
)

// Enact makes a draft the boundaries of its county, at one moment: in one
// transaction the version before is retired and every open incident of the county
// goes to the leaf of the new tree at its exact place, or to the county where none
// is. Closed ones keep the grid and number of their time.
//
// The draft gets its numbers first, in a transaction of its own, so that everybody's
// scope holds them when incidents begin to carry them. Reports go on until the last
// moment: what is open is moved first, and only then are they kept waiting, for
// those that came in since. Errors: *store.FaultsError, store.ErrNotFound,
// ErrNotDraft, ErrBase, ErrNoPlan.
func (l *Ledger) Enact(ctx context.Context, actor auth.Actor, e Enactment) (Enacted, error) {
	out, err := l.enact(ctx, actor, e)
	var faults *store.FaultsError
	if errors.As(err, &faults) {
		return Enacted{}, faults // it names the version itself
	}
	if err != nil {
		return Enacted{}, fmt.Errorf("ledger: enact grid version %d: %w", e.Version, err)
	}
	l.o.Wake()
	return out, nil
}

func (l *Ledger) enact(ctx context.Context, actor auth.Actor, e Enactment) (Enacted, error) {
	e.Tolerance = cmp.Or(e.Tolerance, store.Tolerance)
	faults, err := l.o.DB.CheckVersion(ctx, e.Version)
	if err != nil {
		return Enacted{}, err
	}
	grave := store.Grave(faults, e.Tolerance)
	if len(grave) > 0 && !e.AcceptFaults {
		return Enacted{}, &store.FaultsError{Faults: grave, What: fmt.Sprintf("grid version %d is not enacted", e.Version)}
	}
	v, err := l.announce(ctx, e.Version)
	if err != nil {
		return Enacted{}, err
	}
	known, err := l.everybodyKnows(ctx, v)
	if err != nil {
		return Enacted{}, err
	}
	next, err := l.o.Catalogue.TreeToCome(ctx, e.Version)
	if err != nil {
		return Enacted{}, err
	}
	r := redraw{l: l.over(next), actor: actor, e: e, next: next, known: known, out: Enacted{Version: e.Version, Grids: len(next.Nodes())}}
	if err := r.foresee(ctx, v); err != nil {
		return Enacted{}, err
	}
	// Whoever acts on what is being moved waits until it has committed.
	if err := sleepUntil(ctx, known.Add(-time.Duration(len(r.ahead))*moveTime)); err != nil {
		return Enacted{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error { return r.run(ctx, tx, len(grave)) })
	return r.out, err
}

func sleepUntil(ctx context.Context, t time.Time) error {
	wait(ctx, time.Until(t))
	return ctx.Err()
}

// announce numbers the draft.
func (l *Ledger) announce(ctx context.Context, version int32) (v store.GridVersion, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if v, err = store.HoldDraft(ctx, tx, version); err != nil {
			return err
		}
		return store.NumberDraft(ctx, tx, v)
	})
	if err == nil {
		l.o.Wake()
	}
	return v, err
}

// everybodyKnows says from when on everybody's scope holds the numbers of a draft.
func (l *Ledger) everybodyKnows(ctx context.Context, v store.GridVersion) (time.Time, error) {
	if v.Base == 0 { // nobody sees anything of a county without grids
		return time.Now(), nil
	}
	err := l.o.Folded(ctx)
	return time.Now().Add(l.o.ScopesKnow), err
}

// over is l with another tree in force.
func (l *Ledger) over(t *grid.Tree) *Ledger {
	o := l.o
	o.Catalogue = o.Catalogue.With(t)
	return &Ledger{o}
}

// redraw is the transaction of one enactment.
type redraw struct {
	l     *Ledger // sees the new tree
	actor auth.Actor
	e     Enactment
	next  *grid.Tree
	known time.Time // when everybody's scope holds the new numbers
	out   Enacted
	ahead map[int64]foreseen // what was worked out before the transaction
}

// foreseen is where an incident will stand in the new tree, as long as it stays as it was.
type foreseen struct {
	was store.Incident
	is  moved
}

// foresee works out where the open incidents will stand while there is time: everybody
// learns the new numbers meanwhile. Whatever changes after is worked out again.
func (r *redraw) foresee(ctx context.Context, v store.GridVersion) error {
	r.ahead = map[int64]foreseen{}
	var ids []int64
	err := r.l.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		ids, err = store.OpenToMove(ctx, tx, v)
		return err
	})
	for batch := range slices.Chunk(ids, moveBatch) {
		if err != nil {
			break
		}
		var ins []store.Incident
		err = r.l.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
			ins, err = store.OpenIncidents(ctx, tx, batch, false)
			return err
		})
		for _, in := range ins {
			var m moved
			if m, err = r.moveOne(ctx, in, r.l.o.Now()); err != nil {
				break
			}
			r.ahead[in.ID] = foreseen{in, m}
		}
	}
	return err
}

func (r *redraw) run(ctx context.Context, tx pgx.Tx, accepted int) error {
	if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '5min'"); err != nil {
		return err
	}
	v, err := store.HoldDraft(ctx, tx, r.e.Version)
	if err != nil {
		return err
	}
	r.out.Before = v.Base
	if r.e.Plan != nil {
		if err := store.TakePlan(ctx, tx, v.ID, *r.e.Plan); err != nil {
			return err
		}
	}
	homes, err := Badges(ctx, tx, r.l.o.Now())
	if err != nil {
		return err
	}
	if err := store.TellEnacted(ctx, tx, v); err != nil {
		return err
	}
	if err := r.move(ctx, tx, v); err != nil {
		return err
	}
	if err := sleepUntil(ctx, r.known); err != nil {
		return err
	}
	if err := store.HoldCounty(ctx, tx, v); err != nil {
		return err
	}
	held := time.Now()
	if err := r.move(ctx, tx, v); err != nil { // what came in meanwhile
		return err
	}
	if err := store.PutInForce(ctx, tx, v); err != nil {
		return err
	}
	if err := tellBadges(ctx, tx, told{workers: homes, movesOnly: true}, r.l.o.Now()); err != nil {
		return err
	}
	r.out.Held = time.Since(held)
	return Audit(ctx, tx, r.actor, r.e.RequestID, "grids.enact", "grids/"+v.Root, r.e.Reason, map[string]any{
		"version": v.ID, "before": v.Base, "undoes": v.Undoes, "grids": r.out.Grids, "tolerance": r.e.Tolerance, "faults_accepted": accepted,
		"open": r.out.Open, "moved": r.out.Moved,
	})
}

// move takes every open incident that stands in another version into the new one, and
// tells the live offers and running whistles of those to whoever sees them now.
func (r *redraw) move(ctx context.Context, tx pgx.Tx, v store.GridVersion) error {
	ids, err := store.OpenToMove(ctx, tx, v)
	if err != nil {
		return err
	}
	busy := map[int64]resettled{}
	for len(ids) > 0 {
		n := min(len(ids), moveBatch)
		ins, err := store.OpenIncidents(ctx, tx, ids[:n], true)
		if err != nil {
			return err
		}
		if err := r.moveBatch(ctx, tx, ins, busy); err != nil {
			return err
		}
		ids = ids[n:]
	}
	if len(busy) == 0 {
		return nil
	}
	return r.l.tellResettled(ctx, tx, busy)
}

// Settle moves the open incidents that stand in boundaries that are no longer in
// force into those that are, as Enact does, and says how many those were. Enact
// leaves none behind; servers before schema 7 enacted without moving anything. A
// county that fails keeps no other from being looked at.
func (l *Ledger) Settle(ctx context.Context, actor auth.Actor) (int, error) {
	all, err := store.GridVersions(ctx, l.o.DB.Pool, store.Counties{Every: true})
	if err != nil {
		return 0, fmt.Errorf("ledger: what stands in former grids: %w", err)
	}
	n := 0
	var failed []error
	for _, v := range all {
		if v.State != "enacted" {
			continue
		}
		open, err := l.settle(ctx, actor, v)
		n += open
		if err != nil {
			failed = append(failed, fmt.Errorf("ledger: what stands in former grids of %s: %w", v.Root, err))
		}
	}
	if n > 0 {
		l.o.Wake()
	}
	return n, errors.Join(failed...)
}

func (l *Ledger) settle(ctx context.Context, actor auth.Actor, v store.GridVersion) (int, error) {
	r := redraw{l: l, actor: actor, e: Enactment{Version: v.ID, Reason: regridReason}}
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		ids, err := store.OpenToMove(ctx, tx, v)
		if err != nil || len(ids) == 0 {
			return err
		}
		if still, err := store.HoldInForce(ctx, tx, v); err != nil || !still {
			return err // a redraw came in between, and it moves all that is open
		}
		if r.next, err = l.o.DB.VersionTree(ctx, store.Counties{Scope: auth.System("the tree in force"), Every: true}, v.ID); err != nil {
			return err
		}
		if err := r.move(ctx, tx, v); err != nil {
			return err
		}
		if r.out.Open == 0 { // another node was first
			return nil
		}
		return Audit(ctx, tx, actor, "", "grids.settle", "grids/"+v.Root, r.e.Reason, map[string]any{"version": v.ID, "open": r.out.Open, "moved": r.out.Moved})
	})
	if err != nil {
		return 0, err
	}
	return r.out.Open, nil
}

// moved is one incident on its way into the new tree.
type moved struct {
	store.Incident
	step  []byte // where it stood and where it stands, for its journal; nil where the path stays the same
	event feed.Event
}

// moveBatch moves some, and notes in busy those that may have offers and whistles.
func (r *redraw) moveBatch(ctx context.Context, tx pgx.Tx, ins []store.Incident, busy map[int64]resettled) error {
	now := r.l.o.Now()
	all := make([]moved, len(ins))
	for i, in := range ins {
		if f, ok := r.ahead[in.ID]; ok && reflect.DeepEqual(f.was, in) {
			all[i] = f.is
			all[i].event.OccurredAt = now
		} else {
			var err error
			if all[i], err = r.moveOne(ctx, in, now); err != nil {
				return err
			}
		}
		if in.State.HoldsOffers() || in.State.TakesWhistles() {
			busy[in.ID] = resettled{all[i].event.Before, all[i].Incident}
		}
		if all[i].step != nil {
			r.out.Moved++
		}
	}
	r.out.Open += len(all)
	return writeMoved(ctx, tx, all, r.actor.ID, r.e.Reason, now)
}

// moveOne says where an incident stands in the new tree. Where only the numbers of
// its grids are new, its version stays and its journal says nothing: nobody who
// works on it has to look again. Its event tells the new numbers all the same.
func (r *redraw) moveOne(ctx context.Context, in store.Incident, now time.Time) (moved, error) {
	before := r.l.audience(in)
	from, to := in.Place, r.place(in.Place)
	was, err := r.l.codes(ctx, from.GridID)
	if err != nil {
		return moved{}, err
	}
	is, err := r.l.codes(ctx, to.GridID)
	if err != nil {
		return moved{}, err
	}
	m := moved{Incident: in}
	m.Place = to
	kind := "incident.changed"
	if m.step, err = gridMove(from, to, was, is); err != nil {
		return moved{}, err
	}
	if m.step != nil {
		handling := r.l.o.Catalogue.Now().Categories[in.Category].HandlingLevel
		ch := dispatch.Regrid(in.Incident, handling, from, to, r.e.Reason)
		m.Incident.Incident, kind = ch.After, ch.Event
	}
	m.event, err = r.l.event(ctx, m.Incident, kind, before, now)
	return m, err
}

// place is p in the new tree: its leaf, or the county.
func (r *redraw) place(p dispatch.Place) dispatch.Place { return placeIn(r.next, r.next.Roots()[0], p) }

// placeIn is p in a tree: the leaf that it lies in of the county with this root, or the
// county itself.
func placeIn(t *grid.Tree, root int, p dispatch.Place) dispatch.Place {
	at := root
	if p.Point != nil {
		p.Kind = dispatch.Outside
		if f := t.Locate(*p.Point); f.Index >= 0 && t.Path(f.Index)[0] == root {
			at, p.Kind = f.Index, dispatch.InGrid
		}
	}
	n := t.Nodes()[at]
	p.GridID, p.GridNo, p.GridLevel, p.GridVersion = n.ID, n.No, n.Level, n.Version
	return p
}

// gridMove is the journal's data of a move from one place in the grids to another, by
// the codes of their paths; nil where only the numbers are new.
func gridMove(from, to dispatch.Place, was, is []string) ([]byte, error) {
	if from.Kind == to.Kind && slices.Equal(was, is) {
		return nil, nil
	}
	return json.Marshal(store.GridMove{
		From: store.GridStand{Version: from.GridVersion, Place: string(from.Kind), Path: was}, To: store.GridStand{Version: to.GridVersion, Place: string(to.Kind), Path: is},
	})
}

// regridReason is why what stands in former grids moves into those in force.
const regridReason = "按现行网格重新归格"

// codes are the codes of a grid's path, the county first.
func (l *Ledger) codes(ctx context.Context, gridID int64) ([]string, error) {
	path, err := l.o.Catalogue.Path(ctx, gridID)
	codes := make([]string, len(path))
	for i, g := range path {
		codes[i] = g.Code
	}
	return codes, err
}

// writeMoved stores where incidents stand now, their journal entries and events.
func writeMoved(ctx context.Context, tx pgx.Tx, all []moved, actor, reason string, now time.Time) error {
	var ids, grids []int64
	var nos, versions []int32
	var owners []int16
	var places []string
	var told struct {
		ids      []int64
		versions []int32
		states   []string
		data     []string
	}
	events := make([][]any, 0, len(all))
	for _, m := range all {
		p := m.Place
		ids, grids, nos, places = append(ids, m.ID), append(grids, p.GridID), append(nos, p.GridNo), append(places, string(p.Kind))
		versions, owners = append(versions, int32(m.Version)), append(owners, int16(m.OwnerLevel))
		if m.step != nil {
			told.ids, told.versions = append(told.ids, m.ID), append(told.versions, int32(m.Version))
			told.states, told.data = append(told.states, string(m.State)), append(told.data, string(m.step))
		}
		row, err := outboxRow(m.event)
		if err != nil {
			return err
		}
		events = append(events, row)
	}
	if _, err := tx.Exec(ctx, `UPDATE incident i SET grid_id = u.grid_id, grid_no = u.grid_no, place = u.place, version = u.version, owner_level = u.owner
		FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[], $5::integer[], $6::smallint[]) AS u (id, grid_id, grid_no, place, version, owner)
		WHERE i.id = u.id`, ids, grids, nos, places, versions, owners); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE incident_stage s SET level = u.owner FROM unnest($1::bigint[], $2::smallint[]) AS u (id, owner)
		WHERE s.incident_id = u.id AND s.ended_at IS NULL AND s.level <> u.owner`, ids, owners); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO incident_journal (incident_id, n, version, kind, from_state, to_state, actor, at, reason, data)
		SELECT u.id, (SELECT coalesce(max(j.n), 0) + 1 FROM incident_journal j WHERE j.incident_id = u.id), u.version, 'regrid', u.state, u.state, $5, $6, $7, u.data
		FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::jsonb[]) AS u (id, version, state, data)`,
		told.ids, told.versions, told.states, told.data, actor, now, reason); err != nil {
		return err
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"outbox"}, outboxColumns, pgx.CopyFromRows(events))
	return err
}
