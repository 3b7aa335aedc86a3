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

// What SaveRosterRow refuses; nothing of the row is then stored.
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

// Save writes one row and reports whether anything was not there just so.
func (r *Roster) Save(ctx context.Context, in RosterRow) (changed bool, err error) {
	w, err := r.worker(ctx, in)
	if err != nil {
		return false, fmt.Errorf("store: roster: %w", err)
	}
	for _, step := range []func(context.Context, int64, RosterRow) (bool, error){r.grids, r.rota, r.device} {
		did, err := step(ctx, w.id, in)
		if err != nil {
			return false, fmt.Errorf("store: roster: worker %d: %w", w.id, err)
		}
		w.changed = w.changed || did
	}
	if w.changed && !w.fresh {
		if _, err := r.Tx.Exec(ctx, "UPDATE worker SET ver = ver + 1 WHERE id = $1", w.id); err != nil {
			return false, fmt.Errorf("store: roster: worker %d: %w", w.id, err)
		}
	}
	return w.changed, nil
}

type rosterWorker struct {
	id             int64
	fresh, changed bool
}

// worker finds or makes the worker, and writes what is the worker's own.
func (r *Roster) worker(ctx context.Context, in RosterRow) (w rosterWorker, err error) {
	var name, phone []byte
	var skills []string
	department, elsewhere, taken, active := int64(0), false, false, true
	err = r.Tx.QueryRow(ctx, `SELECT id, name_sealed, phone_sealed, skills, coalesce(department_id, 0), active,
		EXISTS (SELECT FROM worker_grid g WHERE g.worker_id = worker.id AND g.root_code <> $2 AND (g.valid_to IS NULL OR g.valid_to > $3))
		FROM worker WHERE badge = $1 FOR UPDATE`, in.Badge, in.Root, r.Today).Scan(&w.id, &name, &phone, &skills, &department, &active, &elsewhere)
	w.fresh = errors.Is(err, pgx.ErrNoRows)
	switch {
	case err != nil && !w.fresh:
		return w, err
	case elsewhere:
		return w, ErrOtherCounty
	case !active:
		return w, ErrRemoved
	}
	if in.Device != "" && !r.Rebind { // before anything is written
		err := r.Tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM device d JOIN device_binding b ON b.device_id = d.id
			WHERE d.unique_id = $1 AND b.worker_id <> $2 AND b.valid_to > $3)`, in.Device, w.id, r.Now).Scan(&taken)
		if err != nil {
			return w, err
		}
		if taken {
			return w, ErrDeviceTaken
		}
	}
	if w.fresh {
		if err := r.Tx.QueryRow(ctx, "INSERT INTO worker (badge) VALUES ($1) RETURNING id", in.Badge).Scan(&w.id); err != nil {
			return w, err
		}
		w.changed = true
	}
	for _, f := range []struct {
		field, text string
		sealed      *[]byte
	}{{"name", in.Name, &name}, {"phone", in.Phone, &phone}} {
		did, err := r.reseal(w.id, f.field, f.text, f.sealed)
		if err != nil {
			return w, err
		}
		w.changed = w.changed || did
	}
	if in.Skills != nil && !slices.Equal(in.Skills, skills) {
		skills, w.changed = in.Skills, true
	}
	if skills == nil {
		skills = []string{}
	}
	if in.Department != "" {
		id, err := r.department(ctx, in.Department)
		if err != nil {
			return w, err
		}
		w.changed = w.changed || id != department
		department = id
	}
	if w.changed {
		_, err = r.Tx.Exec(ctx, "UPDATE worker SET name_sealed = $2, phone_sealed = $3, skills = $4, department_id = nullif($5::bigint, 0) WHERE id = $1",
			w.id, name, phone, skills, department)
		return w, err
	}
	return w, nil
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

// grids notes that the worker serves the grids of the row.
func (r *Roster) grids(ctx context.Context, worker int64, in RosterRow) (changed bool, err error) {
	for _, code := range in.Grids {
		did, err := r.grid(ctx, worker, code, in)
		if err != nil {
			return false, err
		}
		changed = changed || did
	}
	return changed, nil
}

func (r *Roster) grid(ctx context.Context, worker int64, code string, in RosterRow) (bool, error) {
	var from, to, role string
	err := r.Tx.QueryRow(ctx, `SELECT valid_from::text, coalesce(valid_to::text, ''), role FROM worker_grid
		WHERE worker_id = $1 AND grid_code = $2 AND coalesce(root_code, $3) = $3 AND (valid_from::text = $4 OR $4 = '' AND (valid_to IS NULL OR valid_to > $5))
		ORDER BY valid_from DESC LIMIT 1`, worker, code, in.Root, in.From, r.Today).Scan(&from, &to, &role)
	served := !errors.Is(err, pgx.ErrNoRows)
	if err != nil && served {
		return false, err
	}
	if served && to != "" && to <= r.Today && to > from && role != in.Role { // it stays as it was: another role begins where it ended
		in.From = to
		return r.grid(ctx, worker, code, in)
	}
	if served && in.To != "" && in.To <= r.Today { // it ends as what it was
		in.Role = role
	}
	want := in.From
	switch {
	case want == "" && served && (role == in.Role || from >= r.Today || in.To != "" && in.To <= r.Today):
		want = from
	case want == "":
		want = r.Today
	}
	end := in.To
	switch {
	case end == "" || end > want:
	case !served:
		return false, nil // gone before: nothing to end
	default:
		end = want // it ends where it began: never served
	}
	if served && want == from && role == in.Role && (end == "" || end == to) {
		return false, nil
	}
	// What was served until now ends where this begins. When it was to end is read as it
	// was before: this ends then too unless the row says when, but not beyond what begins later.
	_, err = r.Tx.Exec(ctx, `WITH before AS (
			UPDATE worker_grid SET valid_to = $5 WHERE worker_id = $1 AND grid_code = $2 AND coalesce(root_code, $3) = $3
			AND valid_from < $5 AND (valid_to IS NULL OR valid_to > $5))
		INSERT INTO worker_grid (worker_id, grid_code, root_code, role, valid_from, valid_to)
		SELECT $1, $2, $3, $4, $5::date, coalesce(nullif($6, '')::date,
			least(min(o.valid_from) FILTER (WHERE o.valid_from > $5), max(o.valid_to) FILTER (WHERE o.valid_from < $5 AND o.valid_to > $5)))
		FROM worker_grid o WHERE o.worker_id = $1 AND o.grid_code = $2 AND coalesce(o.root_code, $3) = $3
		ON CONFLICT (worker_id, grid_code, valid_from) DO UPDATE SET root_code = excluded.root_code, role = excluded.role,
			valid_to = CASE WHEN $6 = '' THEN worker_grid.valid_to ELSE excluded.valid_to END`,
		worker, code, in.Root, in.Role, want, end)
	return true, err
}

// EndOthers ends today every grid of this county that the worker serves and keep does
// not name, and reports whether there was one.
func (r *Roster) EndOthers(ctx context.Context, badge, root string, keep []string) (bool, error) {
	tag, err := r.Tx.Exec(ctx, `UPDATE worker_grid g SET valid_to = greatest(g.valid_from, $4::date) FROM worker w
		WHERE w.badge = $1 AND g.worker_id = w.id AND coalesce(g.root_code, $2) = $2 AND g.grid_code <> ALL ($3)
		AND (g.valid_to IS NULL OR g.valid_to > greatest(g.valid_from, $4::date))`, badge, root, keep, r.Today)
	if err == nil && tag.RowsAffected() > 0 {
		_, err = r.Tx.Exec(ctx, "UPDATE worker SET ver = ver + 1 WHERE badge = $1", badge)
	}
	if err != nil {
		return false, fmt.Errorf("store: roster: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// rota puts the row's duty hours in the place of the worker's.
func (r *Roster) rota(ctx context.Context, worker int64, in RosterRow) (bool, error) {
	if len(in.Rota) == 0 {
		return false, nil
	}
	text := func(weekday, start, end int) []byte { return fmt.Appendf(nil, "%d %d %d;", weekday, start, end) }
	var have, want []byte
	rows, err := r.Tx.Query(ctx, "SELECT weekday, start_min, end_min FROM rota WHERE worker_id = $1 ORDER BY weekday, start_min", worker)
	if err != nil {
		return false, err
	}
	var weekday, start, end int
	if _, err := pgx.ForEachRow(rows, []any{&weekday, &start, &end}, func() error { have = append(have, text(weekday, start, end)...); return nil }); err != nil {
		return false, err
	}
	b := &pgx.Batch{}
	b.Queue("DELETE FROM rota WHERE worker_id = $1", worker)
	for _, h := range in.Rota { // in the order of the days
		iso := int(h.Weekday+6)%7 + 1
		want = append(want, text(iso, h.Start, h.End)...)
		b.Queue("INSERT INTO rota (worker_id, weekday, start_min, end_min) VALUES ($1, $2, $3, $4)", worker, iso, h.Start, h.End)
	}
	if bytes.Equal(have, want) {
		return false, nil
	}
	return true, r.Tx.SendBatch(ctx, b).Close()
}

// device binds the row's device to the worker from now on.
func (r *Roster) device(ctx context.Context, worker int64, in RosterRow) (bool, error) {
	if in.Device == "" {
		return false, nil
	}
	var device int64
	var bound bool
	err := r.Tx.QueryRow(ctx, `INSERT INTO device AS d (unique_id) VALUES ($1) ON CONFLICT (unique_id) DO UPDATE SET unique_id = d.unique_id
		RETURNING id, EXISTS (SELECT FROM device_binding b WHERE b.device_id = d.id AND b.worker_id = $2 AND b.valid_from <= $3 AND b.valid_to > $3)`,
		in.Device, worker, r.Now).Scan(&device, &bound)
	if err != nil || bound {
		return false, err
	}
	b := &pgx.Batch{}
	b.Queue("DELETE FROM device_binding WHERE device_id = $1 AND valid_from >= $2", device, r.Now) // of a time to come
	b.Queue("UPDATE device_binding SET valid_to = $2 WHERE device_id = $1 AND valid_to > $2", device, r.Now)
	b.Queue("INSERT INTO device_binding (device_id, worker_id, valid_from) VALUES ($1, $2, $3)", device, worker, r.Now)
	b.Queue("DELETE FROM device_quarantine WHERE unique_id = $1", in.Device)
	return true, r.Tx.SendBatch(ctx, b).Close()
}
