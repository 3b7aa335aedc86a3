// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"testing"
	"time"

	"onemap/auth"
)

func TestLifeAndPinningOfEveryRole(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	want := map[auth.Role]struct {
		life   auth.Life
		pinned bool
	}{
		auth.SystemAdmin:   {auth.Life{Absolute: 12 * hour, Idle: hour / 2}, true},
		auth.SecurityAdmin: {auth.Life{Absolute: 12 * hour, Idle: hour / 2}, true},
		auth.Auditor:       {auth.Life{Absolute: 12 * hour, Idle: hour / 2}, true},
		auth.CountyLeader:  {auth.Life{Absolute: 12 * hour, Idle: hour / 2}, true},
		auth.HallOperator:  {auth.Life{Absolute: 12 * hour, LockAfter: hour / 6}, true},
		auth.Dispatcher:    {auth.Life{Absolute: 12 * hour, LockAfter: hour / 6}, true},
		auth.TownOperator:  {auth.Life{Absolute: 12 * hour, LockAfter: hour / 6}, true},
		auth.VillageHead:   {auth.Life{Absolute: 12 * hour, Idle: hour / 2}, false},
		auth.GridWorker:    {auth.Life{Absolute: 30 * day, Idle: 7 * day}, false},
		auth.DeptHandler:   {auth.Life{Absolute: 12 * hour, Idle: hour / 2}, false},
		auth.Wall:          {auth.Life{Absolute: 90 * day}, true},
		"nobody":           {auth.Life{}, true},
	}
	for _, r := range append([]auth.Role{"nobody"}, auth.Roles...) {
		w, ok := want[r]
		if got := auth.LifeOf(r); !ok || got != w.life {
			t.Errorf("%s: %+v, want %+v", r, got, w.life)
		}
		if got := auth.Pinned(r); got != w.pinned {
			t.Errorf("%s: pinned %t", r, got)
		}
	}
}

func TestStateOfASession(t *testing.T) {
	const minute, hour, day, never = time.Minute, time.Hour, 24 * time.Hour, time.Duration(-1 << 62)
	for _, c := range []struct {
		name              string
		role              auth.Role
		seen, locked, now time.Duration // since it began
		want              auth.SessionState
	}{
		{"a desk that works", auth.Dispatcher, hour, never, hour + 10*minute - 1, auth.Live},
		{"a desk that was left", auth.Dispatcher, hour, never, hour + 10*minute, auth.Locked},
		{"a desk that was left for hours", auth.Dispatcher, hour, never, 12*hour - 1, auth.Locked},
		{"a desk after its shift, busy", auth.Dispatcher, 12*hour - 1, never, 12 * hour, auth.Ended},
		{"a desk after its shift, locked", auth.Dispatcher, hour, hour, 12 * hour, auth.Ended},
		{"a desk locked by hand", auth.HallOperator, hour, hour, hour + 1, auth.Locked},
		{"a desk locked by hand, then busy", auth.HallOperator, hour + minute, hour, hour + minute, auth.Locked},
		{"a desk nobody touched", auth.TownOperator, never, never, 10 * minute, auth.Locked},
		{"a desk just opened", auth.TownOperator, never, never, 0, auth.Live},

		{"an administrator", auth.SystemAdmin, hour, never, hour + 30*minute - 1, auth.Live},
		{"an administrator who left", auth.SystemAdmin, hour, never, hour + 30*minute, auth.Ended},
		{"an administrator's screen locked by hand", auth.SystemAdmin, hour, hour, hour + minute, auth.Locked},
		{"an administrator's day", auth.SystemAdmin, 12*hour - 1, never, 12 * hour, auth.Ended},
		{"a village head", auth.VillageHead, never, never, 30 * minute, auth.Ended},

		{"a phone in the field", auth.GridWorker, day, never, 8*day - 1, auth.Live},
		{"a phone left for a week", auth.GridWorker, day, never, 8 * day, auth.Ended},
		{"a phone's month", auth.GridWorker, 30*day - 1, never, 30 * day, auth.Ended},

		{"a wall", auth.Wall, never, never, 90*day - 1, auth.Live},
		{"a wall's quarter", auth.Wall, never, never, 90 * day, auth.Ended},

		{"the clock went back before it began", auth.Dispatcher, hour, never, -day, auth.Live},
		{"the clock went back before the last act", auth.SystemAdmin, hour, never, minute, auth.Live},
		{"seen by a clock that was behind", auth.Dispatcher, -hour, never, 10*minute - 1, auth.Live},
		{"seen by a clock that was behind, then idle", auth.SystemAdmin, -hour, never, 30 * minute, auth.Ended},
		{"locked by a clock that was ahead", auth.Dispatcher, hour, 2 * hour, hour, auth.Locked},

		{"a role nobody knows", "nobody", 0, never, 0, auth.Ended},
	} {
		at := func(d time.Duration) time.Time {
			if d == never {
				return time.Time{}
			}
			return noon.Add(d)
		}
		if got := auth.State(auth.LifeOf(c.role), noon, at(c.seen), at(c.locked), at(c.now)); got != c.want {
			t.Errorf("%s: state %d, want %d", c.name, got, c.want)
		}
	}
}
