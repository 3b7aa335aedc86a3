// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/mirror"
	"onemap/store"
)

// countingScopes are scopes of every kind that columns can tell, over the county's grids.
func (st *stand) countingScopes() (out []auth.Scope) {
	st.t.Helper()
	tree := st.s.catalogue.Now().Tree
	nodes := tree.Nodes()
	root := nodes[tree.Roots()[0]]
	half := root.No + (root.Last-root.No)/2
	for _, g := range []auth.Grant{
		{ID: "a", Role: auth.CountyLeader, Intervals: []auth.Interval{{Lo: root.No, Hi: root.Last}}},
		{ID: "b", Role: auth.TownOperator, Intervals: []auth.Interval{{Lo: root.No + 1, Hi: root.No + 40}, {Lo: half, Hi: half + 60}}},
		{ID: "c", Role: auth.VillageHead, Intervals: []auth.Interval{{Lo: half, Hi: half}}},
		{ID: "d", Role: auth.VillageHead},
	} {
		d, err := auth.Decide(auth.NewActor(g), auth.Read, auth.HotSpots)
		if err != nil {
			st.t.Fatal(err)
		}
		out = append(out, d.Scope)
	}
	return append(out, auth.System("a test"))
}

// TestCountsInMemoryAreTheDatabases: drawn scopes, periods, resolutions, categories, grids
// and cells, while incidents come, move, end, and lose their place.
func TestCountsInMemoryAreTheDatabases(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 3000)
	st.s.mirrorAgain()
	hall := st.token(auth.Dispatcher, "")
	located, without := st.everyIncident()
	scopes := st.countingScopes()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d: %d incidents with a place, %d without", seed, len(located), len(without))
	if len(without) == 0 {
		t.Fatal("every incident has a place: nothing is compared of those without")
	}
	rnd := rand.New(rand.NewPCG(seed, 15))
	rounds, counted, nowhere, why := 12, 0, 0, 0
	if soak() {
		rounds = 600
	}
	codes := slices.Sorted(maps.Keys(st.s.catalogue.Now().Categories)) // in one order, so that a seed draws the same again
	for range rounds {
		for range 1 + rnd.IntN(3) {
			at := located[rnd.IntN(len(located))].at
			switch rnd.IntN(3) {
			case 0:
				if a := st.report(hall, at.Lon(), at.Lat()); a.status != 201 {
					t.Fatalf("%d %s", a.status, a.body)
				}
			case 1:
				if a := st.call("POST", "/api/v1/incidents", hall, `{"category":"0301","title":"不知道在哪里","address":"说不清的地方"}`); a.status != 201 {
					t.Fatalf("%d %s", a.status, a.body)
				}
			case 2:
				st.s.mirrorAgain() // read anew meanwhile
			}
		}
		seq := st.settled()
		var v *mirror.View
		st.wait("the mirror to be there", func() (is bool) {
			var err error
			v, err = st.s.mirror.View()
			return err == nil && int(v.Seq) >= seq
		})
		for range 25 {
			scope := scopes[rnd.IntN(len(scopes))]
			f := store.CellFilter{Res: 6 + rnd.IntN(4)}
			if rnd.IntN(2) == 0 {
				for range 1 + rnd.IntN(4) {
					f.Categories = append(f.Categories, codes[rnd.IntN(len(codes))])
				}
			}
			for range rnd.IntN(3) {
				lo := located[rnd.IntN(len(located))].no
				f.Grids = append(f.Grids, auth.Interval{Lo: lo, Hi: lo + rnd.Int32N(50)})
			}
			if rnd.IntN(2) == 0 {
				f.Why, _ = h3.At(located[rnd.IntN(len(located))].at, f.Res)
			}
			var periods []analysis.Period
			for range 1 + rnd.IntN(3) {
				from := located[rnd.IntN(len(located))].reported.Add(-time.Duration(rnd.Int64N(int64(240 * time.Hour))))
				periods = append(periods, analysis.Period{From: from, To: from.Add(time.Duration(rnd.Int64N(int64(9000 * time.Hour))))})
			}
			want, err := st.s.db.CellCounts(t.Context(), scope, auth.CaseView, f, periods...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := v.CellCounts(scope, auth.CaseView, f, periods...)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%v, %d counts of %d", err, len(got), len(want))
			}
			for i, w := range want {
				if !got[i].Equal(w) || int(got[i].Seq) < seq {
					t.Fatalf("%+v, %v: %v, the database has %v", f, periods[i], got[i], w)
				}
				counted, nowhere, why = counted+len(w.Cells), nowhere+w.NotLocated, why+len(w.Categories)
			}
		}
	}
	t.Logf("%d cells, %d times without a place, %d categories of cells", counted, nowhere, why)
	if counted == 0 || nowhere == 0 || why == 0 {
		t.Error("nothing is compared")
	}
	for _, g := range []auth.Grant{{ID: "w", Role: auth.GridWorker, Worker: 5}, {ID: "h", Role: auth.DeptHandler, Department: 5}} {
		d, err := auth.Decide(auth.NewActor(g), auth.Read, auth.IncidentData)
		if err != nil {
			t.Fatal(err)
		}
		v, _ := st.s.mirror.View()
		if _, err := v.CellCounts(d.Scope, auth.CaseView, store.CellFilter{Res: 8}, analysis.Period{To: time.Now()}); !errors.Is(err, mirror.ErrNarrowed) {
			t.Errorf("%s: counted, %v", g.Role, err)
		}
	}
	v, _ := st.s.mirror.View()
	if _, err := v.CellCounts(scopes[0], auth.SharedView, store.CellFilter{Res: 8}); !errors.Is(err, store.ErrFinerThanView) {
		t.Errorf("the shared view: %v", err)
	}
	if _, err := v.CellCounts(scopes[0], auth.CaseView, store.CellFilter{Res: 10}); err == nil {
		t.Error("a resolution that nobody keeps is counted")
	}
}

// hotCount is how many incidents the API counts in the cell of a place, and as of when.
func (st *stand) hotCount(token string, at geo.WGS84) (n int, seq int64) {
	st.t.Helper()
	q := url.Values{"res": {"8"}, "from": {"2020-01-01T00:00:00Z"}, "to": {"2029-12-31T00:00:00Z"}, "method": {"count"}}
	a := st.get("/api/v1/hotspots?"+q.Encode(), token)
	var got struct {
		AsOf struct{ Seq int64 } `json:"as_of"`
		toldCells
	}
	if a.status != 200 || json.Unmarshal(a.body, &got) != nil {
		st.t.Fatalf("%d %.300s", a.status, a.body)
	}
	c, err := h3.At(at, 8)
	if err != nil {
		st.t.Fatal(err)
	}
	for _, k := range got.Cells {
		if k.Cell == c.String() {
			return k.Count, got.AsOf.Seq
		}
	}
	return 0, got.AsOf.Seq
}

// TestHotSpotsAreCountedInMemoryAndElseInTheDatabase: what was answered is counted by the
// next question; a row that changed behind the server's back is not seen in memory; and
// while incidents are read the database counts.
func TestHotSpotsAreCountedInMemoryAndElseInTheDatabase(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, leader := st.token(auth.Dispatcher, "C"), st.token(auth.CountyLeader, "C")
	at := geo.WGS84{107.2, 38.3}
	st.wait("the incidents to be read", func() bool { _, err := st.s.mirror.View(); return err == nil })
	var last string
	for i := 1; i <= 20; i++ {
		last = fmt.Sprint(st.report(hall, at.Lon(), at.Lat()).json(t)["id"])
		if n, _ := st.hotCount(leader, at); n != i {
			t.Fatalf("%d counted after %d were taken", n, i)
		}
	}
	st.settled()
	st.exec("UPDATE incident SET category = (SELECT code FROM category WHERE precision = 'none' LIMIT 1) WHERE id = $1::text::bigint", last)
	if n, _ := st.hotCount(leader, at); n != 20 {
		t.Errorf("%d: what changed behind the server's back was seen: the database was asked", n)
	}
	st.s.mirror.Forget()
	if n, seq := st.hotCount(leader, at); n != 19 || seq == 0 {
		t.Errorf("%d as of %d while incidents are read: the database has 19", n, seq)
	}
	st.s.mirrorAgain()
	st.wait("the incidents to be read again", func() bool { _, err := st.s.mirror.View(); return err == nil })
	if n, _ := st.hotCount(leader, at); n != 19 {
		t.Errorf("%d: the mirror was read again", n)
	}
}

// TestCountsThatAreWrongAreFound: categories change behind the server's back.
func TestCountsThatAreWrongAreFound(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	var last string
	for i := range 6 {
		last = fmt.Sprint(st.report(hall, 107.2+float64(i)/50, 38.3).json(t)["id"])
	}
	seq := st.settled()
	st.wait("the incidents in memory", func() bool { v, err := st.s.mirror.View(); return err == nil && int(v.Seq) >= seq })
	rnd := rand.New(rand.NewPCG(3, 4))
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { // the hall goes on, and no moment is without an event
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if a := st.call("POST", "/api/v1/incidents/"+last+"/notes", hall, `{"text":"还在路上"}`); a.status != 201 {
					t.Errorf("%d %s", a.status, a.body)
					return
				}
			}
		}
	})
	defer group.Wait()
	defer close(stop)
	for range 30 {
		if wrong, err := st.s.mirror.CheckCounts(t.Context(), rnd); wrong != "" || err != nil {
			t.Fatalf("nothing is wrong: %q, %v", wrong, err)
		}
	}
	st.exec("UPDATE incident SET category = '0101'")
	for range 60 {
		wrong, err := st.s.mirror.CheckCounts(t.Context(), rnd)
		if err != nil {
			t.Fatal(err)
		}
		if wrong != "" {
			t.Log(wrong)
			return
		}
	}
	t.Error("60 counts, and no difference was found")
}
