// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"

	"onemap/geo/grid"
)

// Worker is a grid worker: a badge, never a name. Worker n (from 1) has the
// badge W000n and carries the device demo-000n.
type Worker struct {
	Badge  string
	Device string
	Skills []string
	Grids  []Post
	Rota   []Duty
}

// Post is a grid a worker serves, and as what: worker or deputy.
type Post struct {
	Grid grid.Code
	Role string
}

// Duty is a weekly duty hour: ISO weekday (Monday is 1) and minutes after
// midnight, Asia/Shanghai; an end past 1440 runs into the next day.
type Duty struct{ Weekday, Start, End int }

// DeviceInterval is how often a demo device sends, in seconds.
const DeviceInterval = 10

// The three kinds of shift: how many workers are on each.
const (
	nightWorkers   = 60
	eveningWorkers = 74
)

// employ gives every leaf a worker and the busy ones a second, and each worker
// skills and duty hours.
func (b *Banner) employ() {
	r := stream(b.Seed, "people", 0)
	b.staff = make([][]int, len(b.leaves))
	hire := func(l int) {
		n := len(b.Workers)
		b.staff[l] = append(b.staff[l], n)
		b.Workers = append(b.Workers, Worker{
			Badge: fmt.Sprintf("W%04d", n+1), Device: fmt.Sprintf("demo-%04d", n+1),
			Grids: []Post{{b.leafCode(l), "worker"}},
		})
	}
	for i := range b.leaves {
		hire(i)
	}
	for _, t := range b.towns { // seats first, then villages, until all are hired
		for range 2 {
			hire(t.leaf)
		}
	}
	for i := 0; len(b.Workers) < Workers; i++ {
		hire(b.villages[(i*5)%len(b.villages)].leaf)
	}
	skills := []string{"first_aid", "fire", "livestock", "flood", "traffic", "driving"}
	for i, kind := range r.Perm(len(b.Workers)) {
		w := &b.Workers[i]
		w.Skills = []string{"mediation"}
		for _, s := range skills {
			if chance(r, 0.3) {
				w.Skills = append(w.Skills, s)
			}
		}
		if chance(r, 0.2) {
			own := w.Grids[0].Grid
			at, _ := b.Tree.ByCode(own)
			village := b.villageLeaves(b.leaves[b.leafOf[at]].village)
			if next := b.leafCode(pick(r, village)); next != own {
				w.Grids = append(w.Grids, Post{next, "deputy"})
			}
		}
		w.Rota = rota(kind)
	}
}

func (b *Banner) leafCode(l int) grid.Code { return b.Drafts[b.leaves[l].node].Code }

func (b *Banner) villageLeaves(v int) []int {
	var out []int
	for i, l := range b.leaves {
		if l.village == v {
			out = append(out, i)
		}
	}
	return out
}

// rota is the week of the n-th worker in a shuffled order: nights, evenings,
// then days. Nights and evenings have two days off that turn with n. Most day
// workers work Monday to Friday; a hundred work at weekends instead of two
// weekdays.
func rota(n int) []Duty {
	var out []Duty
	on := func(start, end int, off ...int) {
		for day := 1; day <= 7; day++ {
			free := false
			for _, o := range off {
				free = free || day == o
			}
			if !free {
				out = append(out, Duty{day, start, end})
			}
		}
	}
	turn := func(k int) int { return k%7 + 1 }
	switch {
	case n < nightWorkers:
		on(22*60, 32*60, turn(n), turn(n+1))
	case n < nightWorkers+eveningWorkers:
		on(14*60, 22*60+30, turn(n), turn(n+1))
	default:
		start := []int{480, 510, 420, 480}[n%4]
		if n < nightWorkers+eveningWorkers+100 {
			on(start, start+570, n%5+1, (n+2)%5+1)
		} else {
			on(start, start+570, 6, 7)
		}
	}
	return out
}
