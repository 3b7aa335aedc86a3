// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"errors"
	"strings"
	"testing"

	"onemap/feed"
)

func grant(r Role) Grant {
	return Grant{
		ID: "token:1", Role: r, Intervals: []Interval{{Lo: 2, Hi: 4}}, County: []Interval{{Lo: 1, Hi: 9}}, Department: 7, Worker: 5,
	}
}

func TestWhoSeesWhichIncident(t *testing.T) {
	for _, c := range []struct {
		name string
		role Role
		flag bool
		a    feed.Audience
		want bool
	}{
		{"in the own grids", Dispatcher, false, feed.Audience{Grid: 3}, true},
		{"beside them", Dispatcher, false, feed.Audience{Grid: 5}, false},
		{"above them", Dispatcher, false, feed.Audience{Grid: 1}, false},
		{"sensitive", Dispatcher, false, feed.Audience{Grid: 3, Sensitive: true}, false},
		{"sensitive, with the flag", Dispatcher, true, feed.Audience{Grid: 3, Sensitive: true}, true},
		{"sensitive beside, with the flag", Dispatcher, true, feed.Audience{Grid: 5, Sensitive: true}, false},
		{"a village head has no flag", VillageHead, true, feed.Audience{Grid: 3, Sensitive: true}, false},
		{"a leader needs none", CountyLeader, false, feed.Audience{Grid: 3, Sensitive: true}, true},
		{"a worker's own, in the county", GridWorker, false, feed.Audience{Grid: 9, Workers: []int64{4, 5}}, true},
		{"a worker's own, in another county", GridWorker, false, feed.Audience{Grid: 10, Workers: []int64{5}}, false},
		{"a colleague's, in the own grid", GridWorker, false, feed.Audience{Grid: 3, Workers: []int64{4}}, false},
		{"a department's own", DeptHandler, false, feed.Audience{Grid: 3, Departments: []int64{7}, Sensitive: true}, true},
		{"a department's own, beside the grids of its right", DeptHandler, false, feed.Audience{Grid: 9, Departments: []int64{7}}, false},
		{"another department's", DeptHandler, false, feed.Audience{Grid: 3, Departments: []int64{8}}, false},
	} {
		g := grant(c.role)
		g.Sensitive = c.flag
		d, err := Decide(NewActor(g), Read, IncidentData)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := d.Scope.SeesAudience(c.a); got != c.want {
			t.Errorf("%s: sees %v, want %v", c.name, got, c.want)
		}
	}
	if (Scope{}).SeesAudience(feed.Audience{Grid: 1}) || (Scope{}).Sees(0) || (Scope{}).SeesWorker(1, 1) {
		t.Error("the zero scope sees something")
	}
	for _, r := range []Role{GridWorker, DeptHandler} {
		g := grant(r)
		g.Worker, g.Department = 0, 0
		d, err := Decide(NewActor(g), Read, IncidentData)
		if err != nil || d.Scope.SeesAudience(feed.Audience{Grid: 3, Workers: []int64{0}, Departments: []int64{0}}) {
			t.Errorf("%s of nobody sees something: %v", r, err)
		}
	}
}

func TestNobodyAndStrangersMayNothing(t *testing.T) {
	for s := range policy {
		if _, err := Decide(Actor{}, s.a, s.r); !errors.Is(err, ErrNobody) {
			t.Errorf("nobody, %s %s: %v", s.a, s.r, err)
		}
		if _, err := Decide(NewActor(Grant{ID: "token:1", Role: "king"}), s.a, s.r); !errors.Is(err, ErrForbidden) {
			t.Errorf("an unknown role, %s %s: %v", s.a, s.r, err)
		}
	}
	if _, err := Decide(NewActor(grant(Dispatcher)), Read, "weather"); !errors.Is(err, ErrForbidden) {
		t.Errorf("an unknown resource: %v", err)
	}
}

func TestALockedDeskLooksOn(t *testing.T) {
	g := grant(Dispatcher)
	g.Locked = true
	a := NewActor(g)
	for s, rules := range policy {
		if rules[a.role].reach == Nothing {
			continue
		}
		_, err := Decide(a, s.a, s.r)
		looks := s.a == Read && s.r != Reporter && !rules[a.role].reason
		if looks != (err == nil) || !looks && !errors.Is(err, ErrLocked) {
			t.Errorf("%s %s: %v", s.a, s.r, err)
		}
	}
}

func TestATokenOfTheWebIsNoPerson(t *testing.T) {
	for _, r := range Roles {
		g := grant(r)
		g.Sensitive = true
		person := NewActor(g)
		g.Machine = true
		machine := NewActor(g)
		for s := range policy {
			want, denied := Decide(person, s.a, s.r)
			got, err := Decide(machine, s.a, s.r)
			if s == (subject{Reporter, Reveal}) || s == (subject{Contact, Reveal}) || s == (subject{RowExport, Read}) || s == (subject{Track, Read}) || s == (subject{CameraLink, Reveal}) {
				if !errors.Is(err, ErrForbidden) {
					t.Errorf("%s, %s %s: %v", r, s.a, s.r, err)
				}
				continue
			}
			if !errors.Is(err, denied) || got.Reach != want.Reach || got.Scope.Sensitive() {
				t.Errorf("%s, %s %s: %+v, %v; a person %+v, %v", r, s.a, s.r, got, err, want, denied)
			}
		}
	}
}

func TestAWallShowsItsLayersAlone(t *testing.T) {
	g := grant(Wall)
	g.Layers = []string{"grids"}
	a := NewActor(g)
	if _, err := Decide(a, Read, LayerGrids); err != nil {
		t.Error(err)
	}
	if _, err := Decide(a, Read, LayerCameras); !errors.Is(err, ErrForbidden) {
		t.Errorf("cameras: %v", err)
	}
	if _, err := Decide(a, Read, Figures); err != nil {
		t.Error(err)
	}
}

func TestReadersOfDifferentThingsHaveDifferentTags(t *testing.T) {
	seen := map[string]string{}
	for _, r := range Roles {
		for _, flag := range []bool{false, true} {
			g := grant(r)
			g.Sensitive = flag
			st, err := StreamOf(NewActor(g))
			if err != nil {
				continue
			}
			what := string(st.View) + st.Events.Tag(st.View) + st.Positions.Tag(NoView)
			if other, ok := seen[st.Tag]; ok && other != what {
				t.Errorf("%s shares its tag with a reader of other things", r)
			}
			seen[st.Tag] = what
		}
	}
	if len(seen) < 6 {
		t.Errorf("%d tags", len(seen))
	}
}

func TestABadTableIsRefused(t *testing.T) {
	head := strings.SplitN(strings.TrimSpace(table), "\n", 2)[0]
	row := "grid read" + strings.Repeat(" grid", len(Roles))
	if _, err := parsePolicy(head + "\n" + row); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a missing role":  strings.Replace(head, "wall", "door", 1) + "\n" + row,
		"a short row":     head + "\n" + strings.TrimSuffix(row, " grid"),
		"a doubled row":   head + "\n" + row + "\n" + row,
		"an unknown cell": head + "\n" + strings.Replace(row, "grid grid", "grid town", 1),
		"an unknown mark": head + "\n" + strings.Replace(row, "grid grid", "grid grid+x", 1),
	} {
		if _, err := parsePolicy(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
