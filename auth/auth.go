// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package auth decides who may see and do what. Every read of the product takes
// a Scope, which only this package can make; the zero Scope sees nothing. The
// policy is one table (policy.go) of resource and action by role.
package auth

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

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
	SharedView View = "shared" // no title, no place finer than the category allows
	CaseView   View = "case"   // for those who handle it; personal fields stay apart
)

// Interval is a run of grid numbers, both ends included.
type Interval struct{ Lo, Hi int32 }

// Scope is a set of grid numbers that somebody may read, and of the incidents in
// them. Only this package makes one. The zero Scope sees nothing.
type Scope struct {
	all        bool
	why        string
	intervals  []Interval
	only       narrowing
	worker     uint32
	department int64
	sensitive  bool
	openOnly   bool
}

// narrowing says which incidents of its grids a Scope is confined to.
type narrowing uint8

const (
	anybody narrowing = iota
	workOf            // what its worker reported or was given
	deptOf            // what its department leads or assists with
)

// System is the whole-database scope of the product's own work (sweeps, caches,
// imports). why is kept for the reader of the code; archtest lists the callers.
func System(why string) Scope { return Scope{all: true, why: why} }

// Sees reports whether a grid with this number is in scope. What an entity there
// shows may be narrower: see SeesAudience.
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
func (s Scope) SeesAudience(a feed.Audience) bool {
	if s.all {
		return true
	}
	if a.Grid == 0 || !s.Sees(a.Grid) || a.Sensitive && !s.sensitive {
		return false
	}
	switch s.only {
	case workOf:
		return s.worker != 0 && slices.Contains(a.Workers, int64(s.worker))
	case deptOf:
		return s.department != 0 && slices.Contains(a.Departments, s.department)
	}
	return true
}

// SeesWorker reports whether a worker at home in this grid is in scope: for a
// worker's own scope it is that worker alone.
func (s Scope) SeesWorker(id uint32, home int32) bool {
	if s.only == workOf {
		return s.worker != 0 && s.worker == id
	}
	return s.only == anybody && s.Sees(home)
}

// All reports a whole-database scope. The other parts are then meaningless.
func (s Scope) All() bool { return s.all }

// Intervals returns the runs of grid numbers in scope, for queries. It is empty
// for a Scope that sees nothing and for a whole-database scope (see All).
func (s Scope) Intervals() []Interval { return s.intervals }

// Worker returns the worker whose incidents alone are in scope, if it is so
// narrowed. Worker 0 has none.
func (s Scope) Worker() (id uint32, narrowed bool) { return s.worker, s.only == workOf }

// Department returns the department whose incidents alone are in scope, if it is
// so narrowed. Department 0 has none.
func (s Scope) Department() (id int64, narrowed bool) { return s.department, s.only == deptOf }

// Sensitive reports whether incidents of sensitive categories are in scope.
func (s Scope) Sensitive() bool { return s.all || s.sensitive }

// OpenOnly reports whether only open incidents are in scope.
func (s Scope) OpenOnly() bool { return s.openOnly }

// Tag names the scope, the view and the policy in a few characters: two readers
// with the same tag are shown the same. Used in cache keys and in the live
// protocol.
func (s Scope) Tag(v View) string {
	b := append(make([]byte, 0, 256), v...)
	for _, yes := range []bool{s.all, s.sensitive, s.openOnly} {
		b = strconv.AppendBool(append(b, '|'), yes)
	}
	for _, n := range []int64{int64(policyVersion), int64(s.only), int64(s.worker), s.department} {
		b = strconv.AppendInt(append(b, '|'), n, 10)
	}
	for _, iv := range s.intervals {
		b = strconv.AppendInt(append(b, '|'), int64(iv.Lo), 10)
		b = strconv.AppendInt(append(b, '-'), int64(iv.Hi), 10)
	}
	h := fnv.New64a()
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// Actor is whoever asks: a person's session, a wall, a machine token, a sweep.
// The zero Actor is nobody.
type Actor struct {
	ID     string // "account:12", "token:12", "wall:hall-1", "system:sequencer"; never a name
	Role   Role
	Worker uint32 // whose own work it sees; 0 for none
	Locked bool   // the desk is locked: it may look on, no more

	machine    bool   // a token made over the web
	system     string // why the product itself acts
	role       int    // index in Roles; -1 for none
	view       View
	grids      []Interval
	county     []Interval
	department int64
	flag       bool
	layers     []Resource
}

// Grant is what a stored credential says: its role and how far it reaches.
type Grant struct {
	ID         string
	Role       Role
	Intervals  []Interval // the grids it is for, in every version
	County     []Interval // the counties these grids lie in, in every version
	Department int64
	Worker     uint32
	Sensitive  bool     // may handle sensitive categories
	Layers     []string // of a wall: the layers it shows; nil for all
	Locked     bool
	Machine    bool // a token made over the web: see personsOnly
}

// NewActor makes the Actor a verified credential stands for.
func NewActor(g Grant) Actor {
	a := Actor{
		ID: g.ID, Role: g.Role, Worker: g.Worker, Locked: g.Locked, machine: g.Machine, role: slices.Index(Roles, g.Role), view: views[g.Role],
		grids: sorted(g.Intervals), county: sorted(g.County), department: g.Department, flag: g.Sensitive,
	}
	if g.Layers != nil {
		a.layers = []Resource{}
		for _, l := range g.Layers {
			a.layers = append(a.layers, Resource("layer_"+l))
		}
	}
	return a
}

func sorted(iv []Interval) []Interval {
	iv = slices.Clone(iv)
	slices.SortFunc(iv, func(x, y Interval) int { return int(x.Lo) - int(y.Lo) })
	return iv
}

// SystemActor is the product itself acting, for example a demo load or a sweep.
func SystemActor(what string) Actor { return Actor{ID: "system:" + what, system: what, role: -1} }

// Home reports whether a grid with this number is among those the actor's grant
// is for.
func (a Actor) Home(no int32) bool { return Scope{intervals: a.grids}.Sees(no) }

// Stream is what the live stream shows an actor.
type Stream struct {
	Events    Scope
	View      View
	Positions Scope // the zero Scope: no positions at all
	Tag       string

	hidden uint8 // of kinds, by their place
}

// kinds are the entities of the stream that have a row of the policy of their own.
var kinds = []struct {
	name string
	of   Resource
}{{"offer", OfferData}, {"whistle", WhistleData}, {"notice", NoticeData}, {"rollcall", Call}, {"message", Call}}

// Shows reports whether entities of a kind are for the actor at all: who is refused a
// kind elsewhere is not told of it here.
func (s Stream) Shows(kind string) bool {
	for i, k := range kinds {
		if k.name == kind {
			return s.hidden&(1<<i) == 0
		}
	}
	return true
}

// StreamOf returns what the live stream shows an actor, or why it shows nothing.
func StreamOf(a Actor) (Stream, error) {
	e, err := Decide(a, Read, Events)
	if err != nil {
		return Stream{}, err
	}
	s := Stream{Events: e.Scope, View: e.View}
	if p, err := Decide(a, Read, Position); err == nil {
		s.Positions = p.Scope
	}
	for i, k := range kinds {
		if _, err := Decide(a, Read, k.of); err != nil {
			s.hidden |= 1 << i
		}
	}
	s.Tag = e.Scope.Tag(e.View) + s.Positions.Tag(NoView) + fmt.Sprintf("%02x", s.hidden)
	return s, nil
}
