// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
)

// Clocks is what due times and the ladder are counted by in this centre.
type Clocks struct {
	Calendar calendar.Calendar
	Notes    map[calendar.Date]string // why a day of the calendar is as it is
	Levels   dispatch.Limits
	Ladder   dispatch.Ladder
}

// DefaultClocks are a new centre's.
func DefaultClocks() Clocks {
	return Clocks{Calendar: calendar.Default(), Levels: dispatch.DefaultLimits(), Ladder: dispatch.DefaultLadder()}
}

// calendarLock is the key of the advisory lock that whoever changes the clocks holds
// until its commit: "omcal".
const calendarLock = 0x6f6d63616c

// ReadClocks reads the clocks as one statement batch sees them.
func ReadClocks(ctx context.Context, q interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
},
) (Clocks, error) {
	c := Clocks{Notes: map[calendar.Date]string{}, Levels: dispatch.Limits{}, Ladder: dispatch.DefaultLadder()}
	b := &pgx.Batch{}
	b.Queue("SELECT revision, NOT office_hours, late_from, late_until FROM calendar_rule").QueryRow(func(row pgx.Row) error {
		err := row.Scan(&c.Calendar.Revision, &c.Calendar.NoOfficeHours, &c.Calendar.LateFrom, &c.Calendar.LateUntil)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	b.Queue("SELECT day, working, note FROM calendar_day").Query(func(rows pgx.Rows) error {
		var day time.Time
		var working bool
		var note string
		_, err := pgx.ForEachRow(rows, []any{&day, &working, &note}, func() error {
			if c.Calendar.Overrides == nil {
				c.Calendar.Overrides = map[calendar.Date]bool{}
			}
			d := calendar.Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
			if c.Calendar.Overrides[d] = working; note != "" {
				c.Notes[d] = note
			}
			return nil
		})
		return err
	})
	b.Queue("SELECT month, day, hours FROM calendar_season ORDER BY month, day").Query(func(rows pgx.Rows) error {
		var month, day int
		var raw []byte
		_, err := pgx.ForEachRow(rows, []any{&month, &day, &raw}, func() error {
			var pairs [][2]int
			if err := json.Unmarshal(raw, &pairs); err != nil {
				return err
			}
			s := calendar.Season{Month: time.Month(month), Day: day}
			for _, p := range pairs {
				s.Hours = append(s.Hours, calendar.Span{From: p[0], To: p[1]})
			}
			c.Calendar.Seasons = append(c.Calendar.Seasons, s)
			return nil
		})
		return err
	})
	b.Queue("SELECT level, value, unit FROM level_limit").Query(func(rows pgx.Rows) error {
		var level int
		var l dispatch.Limit
		_, err := pgx.ForEachRow(rows, []any{&level, &l.Value, &l.Unit}, func() error { c.Levels[level] = l; return nil })
		return err
	})
	b.Queue("SELECT priority, remind_value, remind_unit, supervise_value, supervise_unit, reply_value, reply_unit FROM ladder_offset").Query(func(rows pgx.Rows) error {
		var priority int
		var o dispatch.Offsets
		_, err := pgx.ForEachRow(rows, []any{&priority, &o.Remind.Value, &o.Remind.Unit, &o.Supervise.Value, &o.Supervise.Unit, &o.Reply.Value, &o.Reply.Unit},
			func() error { c.Ladder[priority-1] = o; return nil })
		return err
	})
	err := q.SendBatch(ctx, b).Close()
	if err == nil {
		err = c.Calendar.Check()
	}
	if err != nil {
		return c, fmt.Errorf("store: clocks: %w", err)
	}
	return c, nil
}

// HoldClocks reads the clocks inside tx and lets nobody else change them before its
// end.
func HoldClocks(ctx context.Context, tx pgx.Tx) (Clocks, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(calendarLock)); err != nil {
		return Clocks{}, fmt.Errorf("store: hold the clocks: %w", err)
	}
	return ReadClocks(ctx, tx)
}

// Check says what of the clocks cannot be used, or nil.
func (c Clocks) Check() error {
	if err := c.Calendar.Check(); err != nil {
		return err
	}
	for level := 1; level <= 6; level++ {
		if l, ok := c.Levels[level]; ok {
			if err := l.Check(); err != nil {
				return fmt.Errorf("limit of level %d: %w", level, err)
			}
		}
	}
	for i, o := range c.Ladder {
		for _, x := range []struct {
			what string
			l    dispatch.Limit
			need bool
		}{{"remind", o.Remind, false}, {"supervise", o.Supervise, false}, {"reply", o.Reply, true}} {
			if !x.need && x.l.Value == 0 {
				continue
			}
			err := x.l.Check()
			if err == nil && x.l.Unit == calendar.SameDay {
				err = errors.New(`unit "sd": one of min nh wh wd cd`)
			}
			if err != nil {
				return fmt.Errorf("%s of priority %d: %w", x.what, i+1, err)
			}
		}
	}
	return nil
}

// SaveClocks puts clocks that Check has passed in force inside tx, as the next
// revision, which it returns. The caller holds the clocks.
func SaveClocks(ctx context.Context, tx pgx.Tx, c Clocks, by string, now time.Time) (revision int, err error) {
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO calendar_rule (revision, office_hours, late_from, late_until, changed_at, changed_by) VALUES (1, $1, $2, $3, $4, $5)
		ON CONFLICT (one) DO UPDATE SET revision = calendar_rule.revision + 1, office_hours = excluded.office_hours, late_from = excluded.late_from,
		late_until = excluded.late_until, changed_at = excluded.changed_at, changed_by = excluded.changed_by RETURNING revision`,
		!c.Calendar.NoOfficeHours, c.Calendar.LateFrom, c.Calendar.LateUntil, now, by).QueryRow(func(row pgx.Row) error { return row.Scan(&revision) })
	b.Queue("DELETE FROM calendar_day")
	for _, d := range slices.SortedFunc(maps.Keys(c.Calendar.Overrides), func(a, b calendar.Date) int { return a.Compare(b) }) {
		b.Queue("INSERT INTO calendar_day (day, working, note) VALUES ($1, $2, $3)",
			time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC), c.Calendar.Overrides[d], c.Notes[d])
	}
	b.Queue("DELETE FROM calendar_season")
	for _, s := range c.Calendar.Seasons {
		pairs := [][2]int{}
		for _, h := range s.Hours {
			pairs = append(pairs, [2]int{h.From, h.To})
		}
		raw, err := json.Marshal(pairs)
		if err != nil {
			return 0, fmt.Errorf("store: save clocks: %w", err)
		}
		b.Queue("INSERT INTO calendar_season (month, day, hours) VALUES ($1, $2, $3)", int(s.Month), s.Day, raw)
	}
	b.Queue("DELETE FROM level_limit")
	for _, level := range slices.Sorted(maps.Keys(c.Levels)) {
		b.Queue("INSERT INTO level_limit (level, value, unit) VALUES ($1, $2, $3)", level, c.Levels[level].Value, string(c.Levels[level].Unit))
	}
	for i, o := range c.Ladder {
		b.Queue(`INSERT INTO ladder_offset (priority, remind_value, remind_unit, supervise_value, supervise_unit, reply_value, reply_unit)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (priority) DO UPDATE SET remind_value = excluded.remind_value, remind_unit = excluded.remind_unit,
			supervise_value = excluded.supervise_value, supervise_unit = excluded.supervise_unit, reply_value = excluded.reply_value, reply_unit = excluded.reply_unit`,
			i+1, o.Remind.Value, unitOf(o.Remind), o.Supervise.Value, unitOf(o.Supervise), o.Reply.Value, unitOf(o.Reply))
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return 0, fmt.Errorf("store: save clocks: %w", err)
	}
	return revision, nil
}

// unitOf is a limit's unit as it is kept; of none, some unit.
func unitOf(l dispatch.Limit) string {
	if l.Unit == "" {
		return string(calendar.WorkingDays)
	}
	return string(l.Unit)
}
