// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/people"
)

// Shift is one actual turn of duty of a worker.
type Shift struct {
	ID         int64
	Worker     uint32
	Device     string // signed on for it, as it names itself; "" for none
	StartedAt  time.Time
	PlannedEnd time.Time
	EndsAt     time.Time // until somebody ends it, the planned end
	EndedHow   string    // hand, dispatcher or removed; "" while it runs, or when it ended as planned
}

// What StartShift and EndShift refuse; nothing is stored then.
var (
	ErrInShift       = errors.New("this worker is in a shift with another terminal, or without one: end that shift first")
	ErrNoShift       = errors.New("this worker is in no shift")
	ErrDeviceUnknown = errors.New("no terminal with this number is registered: have it registered, or start without one")
	ErrDeviceBlocked = errors.New("this terminal is blocked: take another one")
	ErrDeviceInUse   = errors.New("somebody else is signed on with this terminal: have that shift ended first, by its worker or the dispatcher")
)

const shiftColumns = `s.id, s.worker_id, coalesce(d.unique_id, ''), s.started_at, s.planned_end, s.ends_at, coalesce(s.ended_how, '')
	FROM shift s LEFT JOIN device d ON d.id = s.device_id `

func scanShift(row pgx.CollectableRow) (s Shift, err error) {
	var worker int64
	err = row.Scan(&s.ID, &worker, &s.Device, &s.StartedAt, &s.PlannedEnd, &s.EndsAt, &s.EndedHow)
	s.Worker = uint32(worker)
	return s, err
}

// CurrentShift is the shift a worker in scope is in at now. It is ErrNoShift when
// there is none, and ErrNotFound for a worker beyond the scope.
func CurrentShift(ctx context.Context, tx Querier, s auth.Scope, w people.Worker, now time.Time) (Shift, error) {
	if !s.SeesWorker(w.ID, w.Grid) {
		return Shift{}, fmt.Errorf("store: shift of worker %d: %w", w.ID, ErrNotFound)
	}
	return currentShift(ctx, tx, w.ID, now)
}

func currentShift(ctx context.Context, tx Querier, worker uint32, now time.Time) (Shift, error) {
	rows, err := tx.Query(ctx, "SELECT "+shiftColumns+"WHERE s.worker_id = $1 AND s.started_at <= $2 AND s.ends_at > $2", int64(worker), now)
	if err != nil {
		return Shift{}, fmt.Errorf("store: shift of worker %d: %w", worker, err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, scanShift)
	if errors.Is(err, pgx.ErrNoRows) {
		return Shift{}, ErrNoShift
	}
	if err != nil {
		return Shift{}, fmt.Errorf("store: shift of worker %d: %w", worker, err)
	}
	return found, nil
}

// holdWorker locks an active worker's row until the end of tx.
func holdWorker(ctx context.Context, tx pgx.Tx, worker uint32) error {
	err := tx.QueryRow(ctx, "SELECT id FROM worker WHERE id = $1 AND active FOR NO KEY UPDATE", int64(worker)).Scan(new(int64))
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("store: worker %d: %w", worker, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("store: hold worker %d: %w", worker, err)
	}
	return nil
}

// StartShift begins a shift of an active worker. device, as it names itself, is a
// terminal that several workers share: it is bound to this worker for the shift
// alone. "" is none. Asked for again it answers the shift that runs, repeated.
func StartShift(ctx context.Context, tx pgx.Tx, worker uint32, device, by string, now time.Time) (out Shift, repeated bool, err error) {
	now = now.UTC().Truncate(time.Microsecond)
	if err := holdWorker(ctx, tx, worker); err != nil {
		return Shift{}, false, err
	}
	switch out, err = currentShift(ctx, tx, worker, now); {
	case err == nil && out.Device != device:
		return Shift{}, false, ErrInShift
	case err == nil:
		return out, true, nil
	case !errors.Is(err, ErrNoShift):
		return Shift{}, false, err
	}
	rota, err := rotaOf(ctx, tx, worker)
	if err != nil {
		return Shift{}, false, fmt.Errorf("store: start a shift of worker %d: %w", worker, err)
	}
	out = Shift{Worker: worker, Device: device, StartedAt: now, PlannedEnd: rota.PlannedEnd(now)}
	out.EndsAt = out.PlannedEnd
	bind := false
	var deviceID int64
	if device != "" {
		if deviceID, bind, err = freeDevice(ctx, tx, out); err != nil {
			return Shift{}, false, err
		}
	}
	how := "page"
	if device != "" {
		how = "device"
	}
	err = tx.QueryRow(ctx, `INSERT INTO shift (worker_id, began_by, device_id, started_at, planned_end, ends_at, started_by)
		VALUES ($1, $2, nullif($3::bigint, 0), $4, $5, $5, $6) RETURNING id`, int64(worker), how, deviceID, now, out.PlannedEnd, by).Scan(&out.ID)
	if err == nil && bind {
		_, err = tx.Exec(ctx, "INSERT INTO device_binding (device_id, worker_id, valid_from, valid_to, shift_id) VALUES ($1, $2, $3, $4, $5)",
			deviceID, int64(worker), now, out.EndsAt, out.ID)
	}
	if err != nil {
		return Shift{}, false, fmt.Errorf("store: start a shift of worker %d: %w", worker, err)
	}
	return out, false, nil
}

// freeDevice locks a terminal and says whether it has to be bound for the shift: not
// where it is the worker's own in any case.
func freeDevice(ctx context.Context, tx pgx.Tx, s Shift) (id int64, bind bool, err error) {
	var blocked bool
	err = tx.QueryRow(ctx, "SELECT id, state = 'blocked' FROM device WHERE unique_id = $1 FOR NO KEY UPDATE", s.Device).Scan(&id, &blocked)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, false, ErrDeviceUnknown
	case err != nil:
		return 0, false, fmt.Errorf("store: terminal of a shift: %w", err)
	case blocked:
		return 0, false, ErrDeviceBlocked
	}
	var others, mine bool
	err = tx.QueryRow(ctx, `SELECT coalesce(bool_or(worker_id <> $2), false), coalesce(bool_or(worker_id = $2), false) FROM device_binding
		WHERE device_id = $1 AND valid_from < $4 AND valid_to > $3`, id, int64(s.Worker), s.StartedAt, s.EndsAt).Scan(&others, &mine)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("store: terminal of a shift: %w", err)
	case others:
		return 0, false, ErrDeviceInUse
	}
	return id, !mine, nil
}

func rotaOf(ctx context.Context, tx Querier, worker uint32) (rota people.Rota, err error) {
	rows, err := tx.Query(ctx, "SELECT weekday, start_min, end_min FROM rota WHERE worker_id = $1", int64(worker))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (h people.Hours, err error) {
		var weekday int
		err = row.Scan(&weekday, &h.Start, &h.End)
		h.Weekday = time.Weekday(weekday % 7)
		return h, err
	})
}

// How a shift is ended before its planned end.
const (
	EndedByHand       = "hand"
	EndedByDispatcher = "dispatcher"
	EndedByRemoval    = "removed"
)

// EndShift ends the shift a worker is in now, and the binding it made. It is
// ErrNoShift when there is none: it has ended by itself, or was ended before.
func EndShift(ctx context.Context, tx pgx.Tx, worker uint32, how, by string, now time.Time) (Shift, error) {
	now = now.UTC().Truncate(time.Microsecond)
	if err := holdWorker(ctx, tx, worker); err != nil {
		return Shift{}, err
	}
	out, err := currentShift(ctx, tx, worker, now)
	if err != nil {
		return Shift{}, err
	}
	out.EndsAt, out.EndedHow = now, how
	b := &pgx.Batch{}
	b.Queue("UPDATE shift SET ends_at = $2, ended_how = $3, ended_by = $4 WHERE id = $1", out.ID, now, how, by)
	b.Queue("DELETE FROM device_binding WHERE shift_id = $1 AND valid_from >= $2", out.ID, now)
	b.Queue("UPDATE device_binding SET valid_to = $2 WHERE shift_id = $1 AND valid_to > $2", out.ID, now)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Shift{}, fmt.Errorf("store: end the shift of worker %d: %w", worker, err)
	}
	return out, nil
}

// shiftsKnown is how far back the directory knows shifts: of an older fix that
// comes late the rota alone says whether it was on duty.
const shiftsKnown = 8 * 24 * time.Hour

func directoryShifts(ctx context.Context, db Querier, now time.Time) (map[uint32][]people.Shift, error) {
	rows, err := db.Query(ctx, "SELECT worker_id, started_at, ends_at, ended_how IS NOT NULL FROM shift WHERE ends_at > $1 ORDER BY worker_id, started_at", now.Add(-shiftsKnown))
	if err != nil {
		return nil, err
	}
	out := map[uint32][]people.Shift{}
	var worker int64
	var s people.Shift
	_, err = pgx.ForEachRow(rows, []any{&worker, &s.Start, &s.End, &s.ByHand}, func() error {
		out[uint32(worker)] = append(out[uint32(worker)], s)
		return nil
	})
	return out, err
}
