// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
)

// Batcher runs several statements in one go: the pool or a transaction.
type Batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// adviceFacts are what the record says when advice on an incident is asked for.
type adviceFacts struct {
	seq  feed.Seq
	rule dispatch.AdviceRule
	work map[uint32]dispatch.WorkRecord // of whoever has any
}

// adviceColumns are what scanAdviceSetting reads.
const adviceColumns = "r.skills, r.w_travel, r.w_grid, r.w_load, r.w_fairness, r.w_cover, r.half_s, r.radius_m, r.max_load, r.max_duty_s"

const (
	adviceRuleRow = "SELECT " + adviceColumns + `
		FROM category c JOIN advice_rule r ON r.category IN (c.code, c.parent_code) WHERE c.code = $1 ORDER BY r.category = c.code`
	openWork = `SELECT iw.worker_id, count(DISTINCT iw.incident_id) FROM incident_worker iw JOIN incident i ON i.id = iw.incident_id
		WHERE iw.until IS NULL AND iw.relation <> 'reported' AND i.open AND i.state NOT IN ('resolved', 'verified') GROUP BY iw.worker_id`
	workOnIt = `SELECT worker_id, bool_or(until IS NULL) FROM incident_worker WHERE incident_id = $1 AND relation <> 'reported' GROUP BY worker_id`
	onOffer  = `SELECT worker_id, bool_or(incident_id = $1 AND state IN ('offered', 'delivered', 'seen', 'accepted', 'arrived')),
		bool_or(incident_id = $1 AND state IN ('declined', 'expired')), bool_or(incident_id <> $1 AND state IN ('offered', 'delivered', 'seen'))
		FROM offer WHERE incident_id = $1 OR state IN ('offered', 'delivered', 'seen') GROUP BY worker_id`
	lastWeek = `SELECT w, count(*) FILTER (WHERE a.at > $1::timestamptz - interval '24 hours'), count(*) FROM advice a, unnest(a.chosen) w
		WHERE a.at > $1::timestamptz - interval '7 days' AND a.at <= $1 GROUP BY w`
)

// factsForAdvice reads the facts in one go. The number is read first: the rest holds
// at least everything up to it.
func factsForAdvice(ctx context.Context, db Batcher, in dispatch.Incident, now time.Time) (adviceFacts, error) {
	f := adviceFacts{rule: dispatch.DefaultAdviceRule(in.Priority), work: map[uint32]dispatch.WorkRecord{}}
	var b pgx.Batch
	b.Queue("SELECT coalesce((SELECT seq FROM feed_head), 0)").QueryRow(func(row pgx.Row) error { return row.Scan(&f.seq) })
	b.Queue(adviceRuleRow, in.Category).Query(func(rows pgx.Rows) error { // the top category's first
		_, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
			s, err := scanAdviceSetting(row)
			f.rule = f.rule.With(s)
			return struct{}{}, err
		})
		return err
	})
	var id int64
	var n, more int
	var still bool
	b.Queue(openWork).Query(f.each([]any{&id, &n}, &id, func(w *dispatch.WorkRecord) { w.Load = n }))
	b.Queue(workOnIt, in.ID).Query(f.each([]any{&id, &still}, &id, func(w *dispatch.WorkRecord) { w.Has, w.Gave = still, !still }))
	var has, gave, waits bool
	b.Queue(onOffer, in.ID).Query(f.each([]any{&id, &has, &gave, &waits}, &id, func(w *dispatch.WorkRecord) {
		w.Has, w.Gave, w.Waiting = w.Has || has, w.Gave || gave, waits
	}))
	b.Queue(lastWeek, now).Query(f.each([]any{&id, &n, &more}, &id, func(w *dispatch.WorkRecord) { w.Day, w.Week = n, more }))
	if err := db.SendBatch(ctx, &b).Close(); err != nil {
		return f, fmt.Errorf("store: facts for advice on incident %d: %w", in.ID, err)
	}
	return f, nil
}

// each notes of every row's worker what it says.
func (f *adviceFacts) each(scan []any, id *int64, note func(*dispatch.WorkRecord)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, scan, func() error {
			w := f.work[uint32(*id)]
			note(&w)
			f.work[uint32(*id)] = w
			return nil
		})
		return err
	}
}

// scanAdviceSetting reads adviceColumns, after those that first takes.
func scanAdviceSetting(row pgx.CollectableRow, first ...any) (s dispatch.AdviceSetting, err error) {
	var w [5]*float64
	var duty *int
	if err := row.Scan(append(first, &s.Skills, &w[0], &w[1], &w[2], &w[3], &w[4], &s.HalfS, &s.RadiusM, &s.MaxLoad, &duty)...); err != nil {
		return s, err
	}
	if w[0] != nil { // then none is nil
		s.Weights = &dispatch.Weights{Travel: *w[0], Grid: *w[1], Load: *w[2], Fairness: *w[3], Cover: *w[4]}
	}
	if duty != nil {
		d := time.Duration(*duty) * time.Second
		s.MaxDuty = &d
	}
	return s, nil
}

// SaveAdviceSetting writes what advice on a category goes by, in the place of what
// was set before. It writes no audit row.
func SaveAdviceSetting(ctx context.Context, tx pgx.Tx, category string, s dispatch.AdviceSetting) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("store: advice on category %s: %w", category, err)
	}
	var w [5]*float64
	if s.Weights != nil {
		w = [5]*float64{&s.Weights.Travel, &s.Weights.Grid, &s.Weights.Load, &s.Weights.Fairness, &s.Weights.Cover}
	}
	var duty *int
	if s.MaxDuty != nil {
		n := int(s.MaxDuty.Seconds())
		duty = &n
	}
	_, err := tx.Exec(ctx, `INSERT INTO advice_rule (category, skills, w_travel, w_grid, w_load, w_fairness, w_cover, half_s, radius_m, max_load, max_duty_s)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (category) DO UPDATE SET skills = excluded.skills, w_travel = excluded.w_travel, w_grid = excluded.w_grid, w_load = excluded.w_load,
		w_fairness = excluded.w_fairness, w_cover = excluded.w_cover, half_s = excluded.half_s, radius_m = excluded.radius_m,
		max_load = excluded.max_load, max_duty_s = excluded.max_duty_s`,
		category, s.Skills, w[0], w[1], w[2], w[3], w[4], s.HalfS, s.RadiusM, s.MaxLoad, duty)
	if err != nil {
		return fmt.Errorf("store: advice on category %s: %w", category, err)
	}
	return nil
}

// adviceRow is one of the ranked as the record keeps it.
type adviceRow struct {
	Worker    uint32     `json:"worker"`
	Score     float64    `json:"score"`
	Parts     [5]float64 `json:"parts"` // travel, grid, load, fairness, cover
	TravelS   float64    `json:"travel_s"`
	DistanceM float64    `json:"distance_m"`
	By        string     `json:"by"`
	FixAgeS   float64    `json:"fix_age_s"`
	Load      int        `json:"load"`
}

// SaveAdvice keeps, in the transaction that makes the offers, what was advised on
// the incident and who was chosen: the workers an offer is made to in one act. It
// holds no personal data. Advice that was cut to fewer than are measured would look
// like an override: ask for dispatch.MaxMeasured.
func SaveAdvice(ctx context.Context, tx pgx.Tx, in dispatch.Incident, a Advised, actor string, chosen []uint32) (id int64, err error) {
	rows := make([]adviceRow, len(a.Ranked))
	for i, r := range a.Ranked {
		rows[i] = adviceRow{
			Worker: r.Worker, Score: r.Score, Parts: [5]float64{r.Parts.Travel, r.Parts.Grid, r.Parts.Load, r.Parts.Fairness, r.Parts.Cover},
			TravelS: r.Way.Seconds, DistanceM: r.Way.Metres, By: string(r.Way.By), FixAgeS: r.FixAge.Seconds(), Load: r.Record.Load,
		}
	}
	ranked, err := json.Marshal(rows)
	if err != nil {
		return 0, fmt.Errorf("store: keep advice on incident %d: %w", in.ID, err)
	}
	left, err := json.Marshal(a.Left)
	if err != nil {
		return 0, fmt.Errorf("store: keep advice on incident %d: %w", in.ID, err)
	}
	ids := make([]int64, len(chosen))
	for i, w := range chosen {
		ids[i] = int64(w)
	}
	ranks, overridden := a.Choice(chosen)
	err = tx.QueryRow(ctx, `INSERT INTO advice (incident_id, category, at, seq, actor, passed, measured, by_road, ranked, left_out, chosen, ranks, overridden)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`,
		in.ID, in.Category, a.At, int64(a.Seq), actor, a.Of, a.Measured, a.ByRoad, ranked, left, ids, ranks, overridden).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store: keep advice on incident %d: %w", in.ID, err)
	}
	return id, nil
}

// AdviceFigure says how often advice on a category was followed.
type AdviceFigure struct {
	Category   string
	Chosen     int // acts of choosing somebody
	Advised    int // of them: where anybody was advised
	Overridden int // of those: where somebody else was chosen
}

// AdviceFigures counts the advice of the period [from, to) on incidents in scope,
// ordered by category. The shared view is told of none whose category's place is not
// shown. Numbers may be small: who may be told of them is for the caller to say.
func (db *DB) AdviceFigures(ctx context.Context, s auth.Scope, v auth.View, from, to time.Time) ([]AdviceFigure, error) {
	var q query
	q.add(`SELECT a.category, count(*), count(*) FILTER (WHERE a.measured > 0), count(*) FILTER (WHERE a.overridden)
		FROM advice a JOIN incident i ON i.id = a.incident_id JOIN category c ON c.code = a.category WHERE a.at >= ? AND a.at < ? AND `, from, to)
	if !s.Sensitive() || v != auth.CaseView { // by its category then, and by the one it has now
		q.add("c.precision <> 'none' AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none') AND ")
	}
	q.incidentsInScope(s, "i").add(" GROUP BY 1 ORDER BY 1")
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: figures of advice: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AdviceFigure])
	if err != nil {
		return nil, fmt.Errorf("store: figures of advice: %w", err)
	}
	return out, nil
}
