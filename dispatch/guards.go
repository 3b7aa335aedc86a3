// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
)

// What the guards of the machine refuse. Each says what to do instead.
var (
	ErrNotOnTheSpot  = errors.New("only the worker who reported it, in a grid of their own and of a category that allows it, may resolve it on the spot")
	ErrNoEvidence    = errors.New("resolving on the spot needs evidence: attach a picture first")
	ErrNoParent      = errors.New("the county owns it already: nobody is above")
	ErrNoGridSoDeep  = errors.New("there is no grid at that level where it lies")
	ErrSameOwner     = errors.New("name another level or another department than the one that has it")
	ErrNotDeeper     = errors.New("delegate to a level below the one that owns it")
	ErrNotAhead      = errors.New("the review date must lie ahead")
	ErrNotMergeable  = errors.New("it can only be merged into another incident of the same county that is not itself merged, void, refused or transferred")
	ErrNotApproved   = errors.New("voiding needs the approval of a second person: ask for it first")
	ErrNotReopenable = errors.New("it is reopened once, after a call-back that was not satisfied")
	ErrNoLiaison     = errors.New("this department has no liaison officer now: nobody would see it; name one, or route to another")
)

// guarded reports whether err is a guard's: what a request may be refused for.
func guarded(err error) error { return &GuardError{Err: err} }

// GuardError refuses an act that the state allows and the circumstances do not.
type GuardError struct{ Err error }

func (e *GuardError) Error() string { return e.Err.Error() }
func (e *GuardError) Unwrap() error { return e.Err }

func onTheSpot(f Facts, _ Act) error {
	if !f.OwnReport || !f.OwnGrid || !f.Category.OnTheSpot {
		return guarded(ErrNotOnTheSpot)
	}
	if f.Category.Evidence && !f.Evidence {
		return guarded(ErrNoEvidence)
	}
	return nil
}

// routable: the level is one that the place has a grid at.
func routable(f Facts, a Act) error {
	if a.Level > f.Depth {
		return guarded(fmt.Errorf("level %d: %w", a.Level, ErrNoGridSoDeep))
	}
	if f.NoLiaison {
		return guarded(ErrNoLiaison)
	}
	return nil
}

func reassignable(f Facts, a Act) error {
	if (a.Level == 0 || a.Level == f.Incident.OwnerLevel) && (a.Department == 0 || a.Department == f.Stage.Department) && !a.Wrong {
		return guarded(ErrSameOwner)
	}
	return routable(f, a)
}

func hasParent(f Facts, _ Act) error {
	if f.Incident.OwnerLevel <= 1 {
		return guarded(ErrNoParent)
	}
	return nil
}

func deeper(f Facts, a Act) error {
	if a.Level <= f.Incident.OwnerLevel {
		return guarded(ErrNotDeeper)
	}
	return routable(f, a)
}

func ahead(f Facts, a Act) error {
	if !a.Until.After(f.Now) {
		return guarded(ErrNotAhead)
	}
	return nil
}

func mergeable(f Facts, a Act) error {
	t := f.Target
	if t == nil || t.ID == f.Incident.ID || !f.SameCounty {
		return guarded(ErrNotMergeable)
	}
	switch t.State {
	case Merged, Void, Refused, Transferred:
		return guarded(ErrNotMergeable)
	}
	return nil
}

func approved(f Facts, _ Act) error {
	if !f.Approved {
		return guarded(ErrNotApproved)
	}
	return nil
}

func reopenable(f Facts, _ Act) error {
	if f.Incident.Reopened > 0 || !f.Unsatisfied {
		return guarded(ErrNotReopenable)
	}
	return nil
}
