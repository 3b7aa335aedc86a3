// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"slices"
	"time"

	"onemap/auth"
)

// Choice is an act by hand that can be taken now, and what it has to bring.
type Choice struct {
	Action Action
	Needs  []Need // all of them
}

// Choices lists the acts by hand that a role may take on an incident, in the order of
// the machine: those whose guards let pass at least one act of the kind. Of what only the
// caller knows, such as the incident to merge into, they expect the best.
func Choices(f Facts, r auth.Role) []Choice {
	out := []Choice{}
	for _, t := range transitions {
		if !slices.Contains(t.from, f.Incident.State) || !slices.Contains(t.who, r) {
			continue
		}
		if t.guard != nil && t.guard(f.fittest(t.action)) != nil {
			continue
		}
		c := Choice{t.action, slices.Clone(t.needs)}
		switch t.action {
		case Route, Delegate, Reassign:
			if f.NoLiaison { // another department is another owner, too
				c.Needs = append(c.Needs, Dept)
			} else if t.action == Reassign {
				c.Needs = append(c.Needs, Owner)
			}
		}
		out = append(out, c)
	}
	return out
}

// fittest is the act of a kind that is refused last, and the facts it would be judged by.
func (f Facts) fittest(a Action) (Facts, Act) {
	act := Act{Action: a}
	f.NoLiaison = false // another department may have one
	switch a {
	case Delegate:
		act.Level = f.Incident.OwnerLevel + 1
	case Reassign:
		act.Wrong = true
	case Suspend:
		act.Until = f.Now.Add(time.Hour)
	case Merge:
		f.Target, f.SameCounty = &Incident{State: Accepted}, true
	}
	return f, act
}
