// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/store"
)

// ClockMove is how many open stages go from one due time to another.
type ClockMove struct {
	Due, WouldBe                 time.Time
	Incidents, LateNow, LateThen int
}

// ClocksPreview is what counting open due times anew would change. It names no
// incident: whoever changes the calendar reads no case.
type ClocksPreview struct {
	Examined, Moved, Sooner, Later int
	LateThen                       int // late then that are not late now
	InTime                         int // in time then that are late now
	Moves                          []ClockMove
}

// recountPage is how many clocks are read at a time.
const recountPage = 2000

// PreviewClocks says what clocks would change if open due times were counted anew by
// them.
func (l *Ledger) PreviewClocks(ctx context.Context, actor auth.Actor, by store.Clocks) (p ClocksPreview, err error) {
	if _, err := auth.Decide(actor, auth.Write, auth.ClockSetting); err != nil {
		return p, err
	}
	now, moves := l.o.Now(), map[[2]int64]*ClockMove{}
	err = l.openClocks(ctx, func(c store.StageClock) error {
		after, moved := dispatch.Recounted(c.Clock, by.Calendar, now)
		p.Examined++
		if !moved || after.Due.Equal(c.Due) {
			return nil
		}
		p.Moved++
		key := [2]int64{c.Due.UnixMicro(), after.Due.UnixMicro()}
		m := moves[key]
		if m == nil {
			m = &ClockMove{Due: c.Due, WouldBe: after.Due}
			moves[key] = m
		}
		m.Incidents++
		was, then := !now.Before(c.Due), !now.Before(after.Due)
		if was {
			m.LateNow++
		}
		if then {
			m.LateThen++
		}
		switch {
		case then && !was:
			p.LateThen++
		case was && !then:
			p.InTime++
		}
		if after.Due.Before(c.Due) {
			p.Sooner++
		} else {
			p.Later++
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("ledger: preview of clocks: %w", err)
	}
	for _, m := range moves {
		p.Moves = append(p.Moves, *m)
	}
	slices.SortFunc(p.Moves, func(a, b ClockMove) int { return cmp.Or(a.Due.Compare(b.Due), a.WouldBe.Compare(b.WouldBe)) })
	return p, nil
}

// openClocks calls f with every open stage's clock.
func (l *Ledger) openClocks(ctx context.Context, f func(store.StageClock) error) error {
	for after := int64(0); ; {
		page, err := store.OpenClocks(ctx, l.o.DB.Pool, auth.System("every open clock, for a recount"), after, recountPage)
		if err != nil {
			return err
		}
		for _, c := range page {
			if err := f(c); err != nil {
				return err
			}
			after = c.Incident
		}
		if len(page) < recountPage {
			return nil
		}
	}
}

// Recount counts open due times anew by the calendar in force, one incident and one
// transaction after the other, for a while; done says that none is left. What moves
// gets a journal entry, an audit entry and an event. It may be cut off at any point
// and called again.
func (l *Ledger) Recount(ctx context.Context, actor auth.Actor, requestID, reason string, while time.Duration) (moved int, done bool, err error) {
	if _, err := auth.Decide(actor, auth.Write, auth.ClockSetting); err != nil {
		return 0, false, err
	}
	if reason == "" {
		return 0, false, dispatch.ErrReasonMissing
	}
	clocks, err := store.ReadClocks(ctx, l.o.DB.Pool) // this node's catalogue may not know of the last change yet
	if err != nil {
		return 0, false, fmt.Errorf("ledger: recount: %w", err)
	}
	begun, cal := time.Now(), clocks.Calendar
	errTime := errors.New("out of time")
	err = l.openClocks(ctx, func(c store.StageClock) error {
		if _, ok := dispatch.Recounted(c.Clock, cal, l.o.Now()); !ok {
			return nil
		}
		if time.Since(begun) > while {
			return errTime
		}
		ok, err := l.recountOne(ctx, actor, requestID, reason, c.Incident, cal)
		if ok {
			moved++
		}
		return err
	})
	if moved > 0 {
		l.o.Wake()
	}
	if errors.Is(err, errTime) {
		return moved, false, nil
	}
	if err != nil {
		return moved, false, fmt.Errorf("ledger: recount: %w", err)
	}
	return moved, true, nil
}

// recountOne counts one incident's open stage anew, if there is still reason to.
func (l *Ledger) recountOne(ctx context.Context, actor auth.Actor, requestID, reason string, incident int64, cal calendar.Calendar) (moved bool, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		system := auth.System("a recount of every open due time")
		in, err := store.FindIncident(ctx, tx, system, auth.CaseView, incident, true)
		if err != nil {
			return err
		}
		c, err := store.FindClock(ctx, tx, in)
		if err != nil || c.Stage == 0 || !in.State.Open() { // closed meanwhile
			return err
		}
		after, ok := dispatch.Recounted(c, cal, l.o.Now())
		if moved = ok; !ok {
			return nil
		}
		return l.clockMoved(ctx, tx, actor, requestID, in, c, after, "recalculate", reason)
	})
	return moved, err
}
