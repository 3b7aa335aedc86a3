// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package auth decides who may see and do what. Every read of the product takes
// a Scope, which only this package can make; the zero Scope sees nothing.
package auth

import (
	"fmt"
	"hash/fnv"
	"slices"

	"onemap/feed"
)

// Role is one of the product's fixed roles.
type Role string

const (
	SystemAdmin   Role = "system_admin"
	SecurityAdmin Role = "security_admin"
	Auditor       Role = "auditor"
	CountyLeader  Role = "county_leader"
	HallOperator  Role = "hall_operator"
	Dispatcher    Role = "dispatcher"
	TownOperator  Role = "town_operator"
	VillageHead   Role = "village_head"
	GridWorker    Role = "grid_worker"
	DeptHandler   Role = "dept_handler"
	Wall          Role = "wall"
)

// Roles lists every role in the order of the documentation.
var Roles = []Role{
	SystemAdmin, SecurityAdmin, Auditor, CountyLeader, HallOperator, Dispatcher,
	TownOperator, VillageHead, GridWorker, DeptHandler, Wall,
}

// ParseRole returns the role spelled s.
func ParseRole(s string) (Role, error) {
	if slices.Contains(Roles, Role(s)) {
		return Role(s), nil
	}
	return "", fmt.Errorf("auth: unknown role %q (one of %v)", s, Roles)
}

// View is how much of an entity an actor is shown.
type View string

const (
	NoView     View = ""       // nothing
	SharedView View = "shared" // for walls: no title, no place finer than the category allows
	CaseView   View = "case"   // for those who handle it; personal fields stay apart
)

// Interval is a run of grid numbers, both ends included.
type Interval struct{ Lo, Hi int32 }

// Scope is a set of grid numbers that somebody may read. Only this package makes
// one. The zero Scope sees nothing.
type Scope struct {
	all       bool
	why       string
	intervals []Interval
}

// policyVersion changes whenever what a role may see changes, so that no client
// or cache goes on under the old rule.
const policyVersion = 1

// System is the whole-database scope of the product's own work (sweeps, caches,
// imports). why is kept for the reader of the code; archtest lists the callers.
func System(why string) Scope { return Scope{all: true, why: why} }

// Sees reports whether the entity with this grid number is in scope.
func (s Scope) Sees(no int32) bool {
	if s.all {
		return true
	}
	for _, iv := range s.intervals {
		if iv.Lo <= no && no <= iv.Hi {
			return true
		}
	}
	return false
}

// SeesAudience reports whether the entity concerns somebody in scope.
func (s Scope) SeesAudience(a feed.Audience) bool { return s.all || (a.Grid != 0 && s.Sees(a.Grid)) }

// All reports a whole-database scope. Intervals are then meaningless.
func (s Scope) All() bool { return s.all }

// Intervals returns the runs of grid numbers in scope, for queries. It is empty
// for a Scope that sees nothing and for a whole-database scope (see All).
func (s Scope) Intervals() []Interval { return s.intervals }

// Tag names the scope, the view and the policy in a few characters: two readers
// with the same tag are shown the same. Used in cache keys and in the live
// protocol.
func (s Scope) Tag(v View) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d|%t|%v|%s", policyVersion, s.all, s.intervals, v)
	return fmt.Sprintf("%016x", h.Sum64())
}

// Actor is whoever asks: a person's session, a wall, a machine token, a sweep.
type Actor struct {
	ID    string // "token:12", "wall:3", "system:sequencer"; never a name
	Role  Role
	Scope Scope
}

// Grant is what a stored credential says: its role and the grid subtree (every
// version's interval of that grid) it reaches.
type Grant struct {
	ID        string
	Role      Role
	Intervals []Interval
}

// NewActor makes the Actor a verified credential stands for. A role that reads
// no case gets a Scope that sees nothing.
func NewActor(g Grant) Actor {
	a := Actor{ID: g.ID, Role: g.Role}
	if a.View() != NoView {
		iv := slices.Clone(g.Intervals)
		slices.SortFunc(iv, func(x, y Interval) int { return int(x.Lo) - int(y.Lo) })
		a.Scope = Scope{intervals: iv}
	}
	return a
}

// SystemActor is the product itself acting, for example a demo load or a sweep.
func SystemActor(what string) Actor {
	return Actor{ID: "system:" + what, Scope: System(what)}
}

// View is the view the actor's role is given of incidents.
func (a Actor) View() View {
	switch a.Role {
	case CountyLeader, HallOperator, Dispatcher, TownOperator, VillageHead:
		return CaseView
	case Wall:
		return SharedView
	}
	return NoView
}

// Act is something an actor may or may not do.
type Act string

const (
	ReadMap        Act = "map.read"        // grids, tiles, today's figures, the live stream
	ReadIncidents  Act = "incident.read"   // lists and single incidents in the case view
	ReportIncident Act = "incident.report" // open a new one
	ActOnIncident  Act = "incident.act"    // accept, route, ...
	ReadWorkers    Act = "worker.read"     // live positions as a list
	MakeWall       Act = "wall.make"       // hand out a wall's one-time link
)

// allowed is the role matrix as far as routes exist for it.
var allowed = map[Act][]Role{
	ReadMap:        {CountyLeader, HallOperator, Dispatcher, TownOperator, VillageHead, Wall},
	ReadIncidents:  {CountyLeader, HallOperator, Dispatcher, TownOperator, VillageHead},
	ReportIncident: {HallOperator, Dispatcher, TownOperator, VillageHead},
	ActOnIncident:  {HallOperator, Dispatcher, TownOperator, VillageHead},
	ReadWorkers:    {HallOperator, Dispatcher, TownOperator, VillageHead},
	MakeWall:       {SecurityAdmin},
}

// May reports whether the actor may do act at all; on what is a matter of Scope.
func (a Actor) May(act Act) bool {
	return a.Scope.why != "" || slices.Contains(allowed[act], a.Role)
}
