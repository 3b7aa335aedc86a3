// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/people"
)

// RosterRow is what one row of a roster says of a worker; what is empty it leaves
// as it is stored.
type RosterRow struct {
	Badge       string
	Name, Phone string // personal: sealed
	Skills      []string
	Department  string // made when there is none of that name
	Root        string // code of the county the grids are of
	Grids       []string
	Role        string // in Grids: worker, deputy or head
	From, To    string // days, yyyy-MM-dd; From "" is today for a grid not served yet
	Device      string // as it names itself; registered when nobody knows it
	Rota        people.Rota
}

// What Roster.Save refuses; nothing of the row is then stored.
var (
	ErrOtherCounty = errors.New("a worker of another county has this badge")
	ErrDeviceTaken = errors.New("another worker carries this device now")
	ErrRemoved     = errors.New("the worker with this badge was removed")
)

// Roster writes workers inside one transaction.
type Roster struct {
	Tx    pgx.Tx
	Seal  *Sealer
	Now   time.Time
	Today string // the day of Now in China, yyyy-MM-dd
	// Rebind takes a device from the worker who carries it now.
	Rebind bool
}

// Saved is what became of one row: whether anything was not there just so, or why it
// was refused.
type Saved struct {
	Changed bool
	Refused error // ErrOtherCounty, ErrDeviceTaken or ErrRemoved
}

// Save writes rows as if one after the other, and says of each what became of it. It asks
// the database once for many rows: what it does for each by itself is mostly waiting.
func (r *Roster) Save(ctx context.Context, in []RosterRow) ([]Saved, error) {
	out := make([]Saved, len(in))
	for _, round := range rounds(in) {
		rows := make([]*rosterWorker, len(round))
		for i, at := range round {
			rows[i] = &rosterWorker{RosterRow: in[at]}
		}
		if err := r.saveRound(ctx, rows); err != nil {
			return nil, fmt.Errorf("store: roster: %w", err)
		}
		for i, at := range round {
			out[at] = Saved{rows[i].changed, rows[i].refused}
		}
	}
	return out, nil
}

// rounds puts rows apart so that none of a round has to know of another: a worker, and a
// device, is in each once at most, and comes in the order of the rows.
func rounds(in []RosterRow) (out [][]int) {
	badges, devices := map[string]int{}, map[string]int{} // the next round of each
	for i, row := range in {
		n := badges[row.Badge]
		if row.Device != "" {
			n = max(n, devices[row.Device])
			devices[row.Device] = n + 1
		}
		badges[row.Badge] = n + 1
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], i)
	}
	return out
}

// rosterWorker is a row with the worker it is of, as stored.
type rosterWorker struct {
	RosterRow
	id            int64
	name, phone   []byte
	skills        []string
	department    int64
	fresh         bool // was not there before
	own           bool // something of the worker's own has changed
	changed       bool
	refused       error
	gridsOf       map[string][]servedGrid // by code, the latest first
	rotaText      []byte
	deviceID      int64
	deviceIsBound bool
}

// servedGrid is a grid that a worker serves or did, in days.
type servedGrid struct{ from, to, role string }

func (r *Roster) saveRound(ctx context.Context, rows []*rosterWorker) error {
	for _, step := range []func(context.Context, []*rosterWorker) error{r.find, r.refuseTaken} {
		if err := step(ctx, rows); err != nil {
			return err
		}
	}
	kept := slices.DeleteFunc(slices.Clone(rows), func(w *rosterWorker) bool { return w.refused != nil })
	for _, step := range []func(context.Context, []*rosterWorker) error{r.hire, r.departments, r.own, r.grids, r.rotas, r.devices, r.countUp} {
		if err := step(ctx, kept); err != nil {
			return err
		}
	}
	return nil
}

// find reads who is there, and holds them; who may not be written is refused.
func (r *Roster) find(ctx context.Context, rows []*rosterWorker) error {
	badges, roots := make([]string, len(rows)), make([]string, len(rows))
	byBadge := map[string]*rosterWorker{}
	for i, w := range rows {
		badges[i], roots[i], byBadge[w.Badge] = w.Badge, w.Root, w
		w.fresh = true
	}
	found, err := r.Tx.Query(ctx, `SELECT w.id, w.badge, w.name_sealed, w.phone_sealed, w.skills, coalesce(w.department_id, 0), w.active,
			EXISTS (SELECT FROM worker_grid g WHERE g.worker_id = w.id AND g.root_code <> u.root AND (g.valid_to IS NULL OR g.valid_to > $3))
		FROM worker w JOIN unnest($1::text[], $2::text[]) u (badge, root) ON u.badge = w.badge ORDER BY w.id FOR UPDATE OF w`, badges, roots, r.Today)
	if err != nil {
		return err
	}
	var w rosterWorker
	var active, elsewhere bool
	_, err = pgx.ForEachRow(found, []any{&w.id, &w.Badge, &w.name, &w.phone, &w.skills, &w.department, &active, &elsewhere}, func() error {
		at := byBadge[w.Badge]
		at.id, at.name, at.phone, at.skills, at.department, at.fresh = w.id, w.name, w.phone, w.skills, w.department, false
		switch {
		case elsewhere:
			at.refused = ErrOtherCounty
		case !active:
			at.refused = ErrRemoved
		}
		w.name, w.phone, w.skills = nil, nil, nil // the next row must not write into these
		return nil
	})
	return err
}

// refuseTaken refuses the rows whose device another worker carries, before anything of
// them is written.
func (r *Roster) refuseTaken(ctx context.Context, rows []*rosterWorker) error {
	byDevice := map[string]*rosterWorker{}
	var devices []string
	var workers []int64
	for _, w := range rows {
		if w.Device != "" && w.refused == nil {
			byDevice[w.Device] = w
			devices, workers = append(devices, w.Device), append(workers, w.id)
		}
	}
	if r.Rebind || len(devices) == 0 {
		return nil
	}
	taken, err := r.Tx.Query(ctx, `SELECT DISTINCT u.device FROM unnest($1::text[], $2::bigint[]) u (device, worker) JOIN device d ON d.unique_id = u.device
		JOIN device_binding b ON b.device_id = d.id AND b.worker_id <> u.worker AND b.valid_to > $3`, devices, workers, r.Now)
	if err != nil {
		return err
	}
	var device string
	_, err = pgx.ForEachRow(taken, []any{&device}, func() error {
		byDevice[device].refused = ErrDeviceTaken
		return nil
	})
	return err
}

// hire makes the workers that are not there yet.
func (r *Roster) hire(ctx context.Context, rows []*rosterWorker) error {
	byBadge := map[string]*rosterWorker{}
	var badges []string
	for _, w := range rows {
		if w.fresh {
			byBadge[w.Badge] = w
			badges = append(badges, w.Badge)
		}
	}
	if len(badges) == 0 {
		return nil
	}
	made, err := r.Tx.Query(ctx, "INSERT INTO worker (badge) SELECT unnest($1::text[]) RETURNING id, badge", badges)
	if err != nil {
		return err
	}
	var id int64
	var badge string
	_, err = pgx.ForEachRow(made, []any{&id, &badge}, func() error {
		byBadge[badge].id, byBadge[badge].changed = id, true
		return nil
	})
	return err
}

// departments finds or makes the departments that are named.
func (r *Roster) departments(ctx context.Context, rows []*rosterWorker) error {
	ids := map[string]int64{}
	for _, w := range rows {
		if w.Department == "" {
			continue
		}
		id, known := ids[w.Department]
		if !known {
			var err error
			if id, err = r.department(ctx, w.Department); err != nil {
				return err
			}
			ids[w.Department] = id
		}
		w.own = w.own || id != w.department
		w.department = id
	}
	return nil
}

// own writes what is the workers' own.
func (r *Roster) own(ctx context.Context, rows []*rosterWorker) error {
	b := &pgx.Batch{}
	for _, w := range rows {
		for _, f := range []struct {
			field, text string
			sealed      *[]byte
		}{{"name", w.Name, &w.name}, {"phone", w.Phone, &w.phone}} {
			did, err := r.reseal(w.id, f.field, f.text, f.sealed)
			if err != nil {
				return fmt.Errorf("worker %d: %w", w.id, err)
			}
			w.own = w.own || did
		}
		if w.Skills != nil && !slices.Equal(w.Skills, w.skills) {
			w.skills, w.own = w.Skills, true
		}
		if w.skills == nil {
			w.skills = []string{}
		}
		if w.own {
			w.changed = true
			b.Queue("UPDATE worker SET name_sealed = $2, phone_sealed = $3, skills = $4, department_id = nullif($5::bigint, 0) WHERE id = $1",
				w.id, w.name, w.phone, w.skills, w.department)
		}
	}
	return r.Tx.SendBatch(ctx, b).Close()
}

// countUp counts the version up of whoever was there and has changed.
func (r *Roster) countUp(ctx context.Context, rows []*rosterWorker) error {
	var ids []int64
	for _, w := range rows {
		if w.changed && !w.fresh {
			ids = append(ids, w.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := r.Tx.Exec(ctx, "UPDATE worker SET ver = ver + 1 WHERE id = ANY ($1)", ids)
	return err
}

// reseal puts text into sealed unless it is what lies there.
func (r *Roster) reseal(worker int64, field, text string, sealed *[]byte) (bool, error) {
	if text == "" {
		return false, nil
	}
	field = WorkerField(worker, field)
	old, err := r.Seal.Open(field, *sealed)
	if err != nil || old == text {
		return false, err
	}
	*sealed, err = r.Seal.Seal(field, text)
	return true, err
}

// WorkerField names a sealed field, name or phone, of a worker: see Sealer.Seal.
func WorkerField(worker int64, field string) string {
	return "worker/" + strconv.FormatInt(worker, 10) + "/" + field
}

func (r *Roster) department(ctx context.Context, name string) (id int64, err error) {
	if _, err := r.Tx.Exec(ctx, "INSERT INTO department (code, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", name); err != nil {
		return 0, err
	}
	err = r.Tx.QueryRow(ctx, "SELECT id FROM department WHERE name = $1 OR code = $1 ORDER BY name <> $1 LIMIT 1", name).Scan(&id)
	return id, err
}

// grids notes that the workers serve the grids of their rows.
func (r *Roster) grids(ctx context.Context, rows []*rosterWorker) error {
	if err := r.served(ctx, rows); err != nil {
		return err
	}
	var open, ended gridWrites
	for _, w := range rows {
		for _, code := range slices.Compact(slices.Sorted(slices.Values(w.Grids))) {
			x, changed := r.grid(w.gridsOf[code], w.RosterRow)
			if !changed {
				continue
			}
			w.changed = true
			if x.to == "" {
				open.add(w, code, x)
			} else {
				ended.add(w, code, x)
			}
		}
	}
	if err := open.write(ctx, r.Tx, false); err != nil {
		return err
	}
	return ended.write(ctx, r.Tx, true)
}

// served reads which grids the workers serve in their rows' county, or did.
func (r *Roster) served(ctx context.Context, rows []*rosterWorker) error {
	byID := map[int64]*rosterWorker{}
	var ids []int64
	var roots []string
	for _, w := range rows {
		if len(w.Grids) > 0 && !w.fresh {
			byID[w.id] = w
			ids, roots = append(ids, w.id), append(roots, w.Root)
			w.gridsOf = map[string][]servedGrid{}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := r.Tx.Query(ctx, `SELECT g.worker_id, g.grid_code, g.valid_from::text, coalesce(g.valid_to::text, ''), g.role
		FROM unnest($1::bigint[], $2::text[]) u (worker, root) JOIN worker_grid g ON g.worker_id = u.worker AND coalesce(g.root_code, u.root) = u.root
		ORDER BY g.worker_id, g.grid_code, g.valid_from DESC`, ids, roots)
	if err != nil {
		return err
	}
	var id int64
	var code string
	var g servedGrid
	_, err = pgx.ForEachRow(found, []any{&id, &code, &g.from, &g.to, &g.role}, func() error {
		byID[id].gridsOf[code] = append(byID[id].gridsOf[code], g)
		return nil
	})
	return err
}

// grid is what has to be written for a row about a grid that its worker serves or did as
// has says; false for nothing.
func (r *Roster) grid(has []servedGrid, in RosterRow) (write servedGrid, changed bool) {
	at := slices.IndexFunc(has, func(g servedGrid) bool {
		return g.from == in.From || in.From == "" && (g.to == "" || g.to > r.Today)
	})
	served := at >= 0
	var g servedGrid
	if served {
		g = has[at]
	}
	if served && g.to != "" && g.to <= r.Today && g.to > g.from && g.role != in.Role { // it stays as it was: another role begins where it ended
		in.From = g.to
		return r.grid(has, in)
	}
	if served && in.To != "" && in.To <= r.Today { // it ends as what it was
		in.Role = g.role
	}
	want := in.From
	switch {
	case want == "" && served && (g.role == in.Role || g.from >= r.Today || in.To != "" && in.To <= r.Today):
		want = g.from
	case want == "":
		want = r.Today
	}
	end := in.To
	switch {
	case end == "" || end > want:
	case !served:
		return write, false // gone before: nothing to end
	default:
		end = want // it ends where it began: never served
	}
	if served && want == g.from && g.role == in.Role && (end == "" || end == g.to) {
		return write, false
	}
	return servedGrid{want, end, in.Role}, true
}

// gridWrites are grids to be written, in columns.
type gridWrites struct {
	workers                       []int64
	codes, roots, roles, from, to []string
}

func (x *gridWrites) add(w *rosterWorker, code string, g servedGrid) {
	x.workers, x.codes, x.roots = append(x.workers, w.id), append(x.codes, code), append(x.roots, w.Root)
	x.roles, x.from, x.to = append(x.roles, g.role), append(x.from, g.from), append(x.to, g.to)
}

// write writes those that have an end, or those that have none. What was served until now
// ends where these begin. When it was to end is read as it was before: these end then too
// unless the row says when, but not beyond what begins later.
func (x *gridWrites) write(ctx context.Context, tx pgx.Tx, ends bool) error {
	if len(x.workers) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `WITH u AS MATERIALIZED (
			SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]::date[], $6::text[]) u (worker, code, root, role, begins, ends)),
		before AS (
			UPDATE worker_grid g SET valid_to = u.begins FROM u WHERE g.worker_id = u.worker AND g.grid_code = u.code AND coalesce(g.root_code, u.root) = u.root
			AND g.valid_from < u.begins AND (g.valid_to IS NULL OR g.valid_to > u.begins))
		INSERT INTO worker_grid (worker_id, grid_code, root_code, role, valid_from, valid_to)
		SELECT u.worker, u.code, u.root, u.role, u.begins, coalesce(nullif(u.ends, '')::date,
			(SELECT least(min(o.valid_from) FILTER (WHERE o.valid_from > u.begins), max(o.valid_to) FILTER (WHERE o.valid_from < u.begins AND o.valid_to > u.begins))
				FROM worker_grid o WHERE o.worker_id = u.worker AND o.grid_code = u.code AND coalesce(o.root_code, u.root) = u.root))
		FROM u
		ON CONFLICT (worker_id, grid_code, valid_from) DO UPDATE SET root_code = excluded.root_code, role = excluded.role,
			valid_to = CASE WHEN $7 THEN excluded.valid_to ELSE worker_grid.valid_to END`,
		x.workers, x.codes, x.roots, x.roles, x.from, x.to, ends)
	return err
}

// Keep is which grids of a county a worker goes on serving.
type Keep struct {
	Badge, Root string
	Grids       []string
}

// EndOthers ends today every grid of a county that a worker serves and Keep does not
// name, and returns the badges of those of whom there was one.
func (r *Roster) EndOthers(ctx context.Context, all []Keep) (map[string]bool, error) {
	out := map[string]bool{}
	b := &pgx.Batch{}
	for _, k := range all {
		b.Queue(`WITH ended AS (UPDATE worker_grid g SET valid_to = greatest(g.valid_from, $4::date) FROM worker w
				WHERE w.badge = $1 AND g.worker_id = w.id AND coalesce(g.root_code, $2) = $2 AND g.grid_code <> ALL ($3)
				AND (g.valid_to IS NULL OR g.valid_to > greatest(g.valid_from, $4::date)) RETURNING g.worker_id)
			UPDATE worker SET ver = ver + 1 WHERE id IN (SELECT worker_id FROM ended)`, k.Badge, k.Root, k.Grids, r.Today).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() > 0 {
				out[k.Badge] = true
			}
			return nil
		})
	}
	if err := r.Tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("store: roster: %w", err)
	}
	return out, nil
}

// rotas puts the rows' duty hours in the place of the workers'.
func (r *Roster) rotas(ctx context.Context, rows []*rosterWorker) error {
	byID := map[int64]*rosterWorker{}
	var ids []int64
	for _, w := range rows {
		if len(w.Rota) > 0 {
			byID[w.id] = w
			ids = append(ids, w.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := r.Tx.Query(ctx, "SELECT worker_id, weekday, start_min, end_min FROM rota WHERE worker_id = ANY ($1) ORDER BY worker_id, weekday, start_min", ids)
	if err != nil {
		return err
	}
	text := func(weekday, start, end int) []byte { return fmt.Appendf(nil, "%d %d %d;", weekday, start, end) }
	var id int64
	var weekday, start, end int
	if _, err := pgx.ForEachRow(found, []any{&id, &weekday, &start, &end}, func() error {
		byID[id].rotaText = append(byID[id].rotaText, text(weekday, start, end)...)
		return nil
	}); err != nil {
		return err
	}
	var anew, of []int64
	var weekdays, starts, ends []int16
	for _, id := range ids {
		w := byID[id]
		var want []byte
		for _, h := range w.Rota { // in the order of the days
			want = append(want, text(isoWeekday(h.Weekday), h.Start, h.End)...)
		}
		if bytes.Equal(w.rotaText, want) {
			continue
		}
		w.changed = true
		anew = append(anew, id)
		for _, h := range w.Rota {
			of, weekdays = append(of, id), append(weekdays, int16(isoWeekday(h.Weekday)))
			starts, ends = append(starts, int16(h.Start)), append(ends, int16(h.End))
		}
	}
	if len(anew) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue("DELETE FROM rota WHERE worker_id = ANY ($1)", anew)
	b.Queue("INSERT INTO rota (worker_id, weekday, start_min, end_min) SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::smallint[])", of, weekdays, starts, ends)
	return r.Tx.SendBatch(ctx, b).Close()
}

// isoWeekday is 1 for Monday to 7 for Sunday.
func isoWeekday(d time.Weekday) int { return int(d+6)%7 + 1 }

// devices binds the rows' devices to the workers from now on.
func (r *Roster) devices(ctx context.Context, rows []*rosterWorker) error {
	byDevice := map[string]*rosterWorker{}
	var names []string
	for _, w := range rows {
		if w.Device != "" {
			byDevice[w.Device] = w
			names = append(names, w.Device)
		}
	}
	if len(names) == 0 {
		return nil
	}
	known, err := r.Tx.Query(ctx, "INSERT INTO device AS d (unique_id) SELECT unnest($1::text[]) ON CONFLICT (unique_id) DO UPDATE SET unique_id = d.unique_id RETURNING id, unique_id", names)
	if err != nil {
		return err
	}
	var id int64
	var name string
	if _, err := pgx.ForEachRow(known, []any{&id, &name}, func() error { byDevice[name].deviceID = id; return nil }); err != nil {
		return err
	}
	ids, workers := make([]int64, len(names)), make([]int64, len(names))
	for i, name := range names {
		ids[i], workers[i] = byDevice[name].deviceID, byDevice[name].id
	}
	bound, err := r.Tx.Query(ctx, `SELECT d.unique_id FROM unnest($1::bigint[], $2::bigint[]) u (device, worker) JOIN device d ON d.id = u.device
		WHERE EXISTS (SELECT FROM device_binding b WHERE b.device_id = u.device AND b.worker_id = u.worker AND b.valid_from <= $3 AND b.valid_to > $3)`, ids, workers, r.Now)
	if err != nil {
		return err
	}
	if _, err := pgx.ForEachRow(bound, []any{&name}, func() error { byDevice[name].deviceIsBound = true; return nil }); err != nil {
		return err
	}
	ids, workers = ids[:0], workers[:0]
	names = slices.DeleteFunc(names, func(name string) bool { return byDevice[name].deviceIsBound })
	for _, name := range names {
		w := byDevice[name]
		w.changed = true
		ids, workers = append(ids, w.deviceID), append(workers, w.id)
	}
	if len(names) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue("DELETE FROM device_binding WHERE device_id = ANY ($1) AND valid_from >= $2", ids, r.Now) // of a time to come
	b.Queue("UPDATE device_binding SET valid_to = $2 WHERE device_id = ANY ($1) AND valid_to > $2", ids, r.Now)
	b.Queue("INSERT INTO device_binding (device_id, worker_id, valid_from) SELECT u.device, u.worker, $3 FROM unnest($1::bigint[], $2::bigint[]) u (device, worker)", ids, workers, r.Now)
	b.Queue("DELETE FROM device_quarantine WHERE unique_id = ANY ($1)", names)
	return r.Tx.SendBatch(ctx, b).Close()
}
