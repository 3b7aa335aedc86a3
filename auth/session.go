// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import "time"

// Life is how long a session goes on. A span of 0 is never, but a session whose
// Absolute is 0 has ended before it began.
type Life struct {
	Absolute  time.Duration // ends so long after it began, whatever happens
	Idle      time.Duration // ends so long after its person's last act
	LockAfter time.Duration // is locked so long after its person's last act
}

const day = 24 * time.Hour

// LifeOf returns the life of a role's sessions. Desks stay on through a shift and
// are locked instead of ended; a phone in the field stays signed in while it is
// used every week.
func LifeOf(r Role) Life {
	switch r {
	case HallOperator, Dispatcher, TownOperator:
		return Life{Absolute: 12 * time.Hour, LockAfter: 10 * time.Minute}
	case GridWorker:
		return Life{Absolute: 30 * day, Idle: 7 * day}
	case VillageHead, DeptHandler, CountyLeader, SystemAdmin, SecurityAdmin, Auditor:
		return Life{Absolute: 12 * time.Hour, Idle: 30 * time.Minute}
	case Wall:
		return Life{Absolute: 90 * day}
	}
	return Life{}
}

// SessionState is what a session is good for at a time.
type SessionState int

const (
	Ended  SessionState = iota // for nothing
	Locked                     // looks on, until its person gives the PIN
	Live                       // for all that its role may do
)

// State returns the state at now of a session that began then. seen is its
// person's last act, the zero Time if there was none yet; lockedAt is when it was
// locked by hand, the zero Time if it is not. A clock that went back makes a
// session neither older nor idle.
func State(l Life, began, seen, lockedAt, now time.Time) SessionState {
	if seen.Before(began) {
		seen = began
	}
	age, rest := now.Sub(began), now.Sub(seen)
	switch {
	case l.Absolute <= 0 || age >= l.Absolute || l.Idle > 0 && rest >= l.Idle:
		return Ended
	case !lockedAt.IsZero() || l.LockAfter > 0 && rest >= l.LockAfter:
		return Locked
	}
	return Live
}

// Pinned reports whether a role's sessions hold only at the address they began
// from. Those of people who move about don't; a role nobody knows is pinned.
func Pinned(r Role) bool {
	switch r {
	case GridWorker, VillageHead, DeptHandler:
		return false
	}
	return true
}
