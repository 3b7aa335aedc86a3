// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/store"
	fixes "onemap/track"
)

// VisitWord is somebody's word that they made a visit.
type VisitWord struct {
	Visit int64
	At    *time.Time // when it was, by the phone's clock; nil for now
	Text  string
}

// visitWord takes a word. The first one counts; it is kept apart from what fixes say,
// with where a fresh fix has the speaker.
func (l *Ledger) visitWord(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.VisitAnswer)
	if err != nil {
		return Result{}, err
	}
	w, now := c.VisitWord, l.o.Now()
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		_, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		v, err := store.FindVisit(ctx, tx, d.Scope, w.Visit, now, true)
		if err != nil {
			return err
		}
		res.Visit, res.Repeated = v, true
		if done {
			return nil
		}
		at := now
		if w.At != nil {
			at = *w.At
		}
		changed := false
		if v.Visit, changed, err = dispatch.VisitSaid(v.Visit, at, now); err != nil {
			return err
		}
		b := &pgx.Batch{}
		c.keep(b, actor, v.ID)
		if changed {
			v.SaidGotAt, v.SaidBy, v.SaidWorker, v.SaidText = &now, actor.ID, actor.Worker, w.Text
			v.SaidThere, v.SaidM = l.whereSpeaks(actor.Worker, v, now.Sub(at))
			var worker any
			if v.SaidWorker != 0 {
				worker = int64(v.SaidWorker)
			}
			v.Settle()
			b.Queue(`UPDATE visit SET state = $2, said_at = $3, said_got_at = $4, said_by = $5, said_worker = $6, said_text = $7, said_there = $8, said_m = $9 WHERE id = $1`,
				v.ID, string(v.State()), v.SaidAt, v.SaidGotAt, v.SaidBy, worker, v.SaidText, v.SaidThere, v.SaidM)
			err := audit(b, actor, c.RequestID, "visit.said", fmt.Sprintf("visit/%d", v.ID), "",
				map[string]any{"patrol": v.Patrol, "state": v.State(), "at": v.SaidAt, "there": v.SaidThere})
			if err != nil {
				return err
			}
			res.Repeated = false
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		res.Visit, err = store.FindVisit(ctx, tx, d.Scope, v.ID, now, false)
		return err
	})
	return res, err
}

// whereSpeaks is whether a fresh fix has the speaker at the target, and how far from a
// point; nil where nobody knows. A fix of now says nothing of what was longer ago than
// one stays fresh.
func (l *Ledger) whereSpeaks(worker uint32, v store.Visit, ago time.Duration) (there *bool, metres *float64) {
	if worker == 0 || l.o.Where == nil || ago > fixes.FreshFor(0) {
		return nil, nil
	}
	p, ok := l.o.Where(worker)
	if !ok {
		return nil, nil
	}
	yes, m := l.VisitPlace(v).At(dispatch.NearFix{P: p, AccuracyM: -1})
	return &yes, m
}

// VisitPlace is where a visit is made, ready to be asked.
type VisitPlace struct {
	point    *geo.WGS84
	radius   float64
	locate   func(geo.WGS84) int32 // the number of the grid that holds a place; 0 for none
	no, last int32
}

// VisitPlace makes the place of a visit by the grids in force.
func (l *Ledger) VisitPlace(v store.Visit) VisitPlace {
	t := l.o.Catalogue.Now().Tree
	x := VisitPlace{point: v.Point, radius: v.RadiusM, locate: func(p geo.WGS84) int32 {
		if i := t.Locate(p).Index; i >= 0 {
			return t.Nodes()[i].No
		}
		return 0
	}}
	if i, ok := t.ByNo(v.GridNo); ok {
		x.no, x.last = t.Nodes()[i].No, t.Nodes()[i].Last
	}
	return x
}

// At reports whether a fix lies at the place: no farther from a point than the radius
// and its accuracy, or in the grid. metres is how far from the point.
func (x VisitPlace) At(f dispatch.NearFix) (there bool, metres *float64) {
	if x.point == nil {
		no := x.locate(f.P)
		return no != 0 && no >= x.no && no <= x.last, nil
	}
	m := geo.Distance(f.P, *x.point)
	return f.Near(*x.point, x.radius), &m
}

// SeenVisit is a visit that fixes have shown.
type SeenVisit struct {
	Visit    int64
	Worker   uint32
	From, At time.Time // of the two fixes
	Metres   *float64  // of a point: how far off the second was
}

// VisitsSeen notes visits that fixes have shown, each once: what another server noted
// before stays. noted is how many.
func (l *Ledger) VisitsSeen(ctx context.Context, actor auth.Actor, seen []SeenVisit) (noted int, err error) {
	now := l.o.Now()
	for _, s := range seen {
		err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
			v, err := store.FindVisit(ctx, tx, anyPatrol, s.Visit, now, true)
			if err != nil {
				return err
			}
			changed := false
			if v.Visit, changed = dispatch.VisitSeen(v.Visit, s.From, s.At); !changed {
				return nil
			}
			v.Settle()
			b := &pgx.Batch{}
			b.Queue("UPDATE visit SET state = $2, seen_from = $3, seen_at = $4, seen_by = $5, seen_m = $6 WHERE id = $1",
				v.ID, string(v.State()), v.SeenFrom, v.SeenAt, int64(s.Worker), s.Metres)
			err = audit(b, actor, "", "visit.seen", fmt.Sprintf("visit/%d", v.ID), "",
				map[string]any{"patrol": v.Patrol, "worker": s.Worker, "at": v.SeenAt, "was_missed": v.MissedAt != nil})
			if err != nil {
				return err
			}
			noted++
			return tx.SendBatch(ctx, b).Close()
		})
		if err != nil {
			return noted, fmt.Errorf("ledger: visit %d: %w", s.Visit, err)
		}
	}
	return noted, nil
}

// CloseVisits marks the visits as missed whose period ended before a time and that
// nothing has proved, each once. missed is how many.
func (l *Ledger) CloseVisits(ctx context.Context, actor auth.Actor, before time.Time) (missed int, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `WITH over AS (UPDATE visit SET state = 'missed', missed_at = $2 WHERE id IN
			(SELECT id FROM visit WHERE state = 'due' AND closes_at <= $1 ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING patrol_id, period)
			SELECT o.patrol_id, p.grid_code, o.period, count(*) FROM over o JOIN patrol p ON p.id = o.patrol_id GROUP BY 1, 2, 3 ORDER BY 1, 3`, before, l.o.Now())
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		var p store.Patrol
		var period time.Time
		var n int
		if _, err := pgx.ForEachRow(rows, []any{&p.ID, &p.GridCode, &period, &n}, func() error {
			missed += n
			return audit(b, actor, "", "patrol.missed", fmt.Sprintf("patrol/%d", p.ID), "",
				map[string]any{"grid": p.GridCode, "period": calendar.Date{Year: period.Year(), Month: period.Month(), Day: period.Day()}.String(), "visits": n})
		}); err != nil {
			return err
		}
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: close visits: %w", err)
	}
	return missed, nil
}

// FollowGrids takes patrols, and visits that are due or that late fixes may still prove,
// along into the grids in force: a grid by its code, a point by where it lies. A visit
// that is due and whose grid is gone, or whose point lies in none, is nobody's any more.
func (l *Ledger) FollowGrids(ctx context.Context) error {
	back := l.o.Now().Add(-store.VisitLooksBack)
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE patrol p SET grid_no = n.no FROM grid n JOIN grid_version nv ON nv.id = n.version_id AND nv.state = 'enacted'
				WHERE p.ended_at IS NULL AND nv.root_code = p.root_code AND n.code = p.grid_code AND p.grid_no <> n.no`)
		if err != nil {
			return err
		}
		for _, sql := range []string{
			`UPDATE visit v SET grid_id = n.id, grid_no = n.no FROM grid o JOIN grid_version ov ON ov.id = o.version_id AND ov.state = 'retired'
				JOIN grid_version nv ON nv.root_code = ov.root_code AND nv.state = 'enacted' JOIN grid n ON n.version_id = nv.id
				WHERE (v.state = 'due' OR v.seen_at IS NULL AND v.void_at IS NULL AND v.closes_at > $1) AND o.id = v.grid_id AND v.geom IS NULL AND n.code = o.code`,
			`UPDATE visit v SET grid_id = n.id, grid_no = n.no FROM visit w JOIN grid o ON o.id = w.grid_id
				JOIN grid_version ov ON ov.id = o.version_id AND ov.state = 'retired' JOIN grid_version nv ON nv.root_code = ov.root_code AND nv.state = 'enacted'
				CROSS JOIN LATERAL (SELECT i.id, i.no FROM grid i WHERE i.version_id = nv.id AND i.no = i.last_no AND ST_Covers(i.geom, w.geom) ORDER BY i.code LIMIT 1) n
				WHERE (w.state = 'due' OR w.seen_at IS NULL AND w.void_at IS NULL AND w.closes_at > $1) AND w.geom IS NOT NULL AND v.id = w.id`,
		} {
			if _, err := tx.Exec(ctx, sql, back); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE visit v SET state = 'void', void_at = $1 FROM grid o JOIN grid_version ov ON ov.id = o.version_id AND ov.state = 'retired'
			JOIN grid_version nv ON nv.root_code = ov.root_code AND nv.state = 'enacted' WHERE v.state = 'due' AND o.id = v.grid_id`, l.o.Now())
		return err
	})
	if err != nil {
		return fmt.Errorf("ledger: patrols follow the grids: %w", err)
	}
	return nil
}

// patrolSweepLock keeps two servers from looking at once: "ompat".
const patrolSweepLock = 0x6f6d706174

// LookAtFixes runs f, which notes what fixes received since a time prove and says as it
// goes which visits it has looked at, while this is the only server that does; and keeps
// that those received before now are looked at. What f fails at is looked at again.
func (l *Ledger) LookAtFixes(ctx context.Context, f func(ctx context.Context, since, now time.Time, looked func([]int64) error) error) error {
	_, err := l.sweepAlone(ctx, patrolSweepLock, func(ctx context.Context) error {
		since, err := l.o.DB.FixesLookedAt(ctx)
		if err != nil {
			return err
		}
		now := l.o.Now()
		err = f(ctx, since, now, func(visits []int64) error {
			_, err := l.o.DB.Pool.Exec(ctx, "UPDATE visit SET looked = true WHERE id = ANY ($1) AND NOT looked", visits)
			return err
		})
		if err != nil {
			return err
		}
		_, err = l.o.DB.Pool.Exec(ctx, "UPDATE patrol_look SET received = greatest(received, $1)", now)
		return err
	})
	if err != nil {
		return fmt.Errorf("ledger: fixes for visits: %w", err)
	}
	return nil
}
