// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/mirror"
	"onemap/store/ledger"
)

// columns is the sorted part of the newest view: another one after everything was read anew.
func (st *stand) columns() *mirror.Columns {
	st.t.Helper()
	v, err := st.s.mirror.View()
	if err != nil {
		st.t.Fatal(err)
	}
	return v.Sorted
}

// TestWaitingForAnEventKeepsNobodyFromDrawing: more tiles wait for an event that does not
// come than there are places to draw; everybody else's are drawn meanwhile.
func TestWaitingForAnEventKeepsNobodyFromDrawing(t *testing.T) {
	t.Parallel()
	limits := plenty()
	limits.Tiles, limits.AtOnce = 2, 8
	st := newStandWith(t, Options{Limits: limits})
	waits, draws := st.token(auth.Dispatcher, "C"), st.token(auth.TownOperator, "A")
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			if a := st.get("/tiles/incidents/14/1/1.mvt?min_seq=9000000", waits); a.status != 503 {
				t.Errorf("a number that never comes: %d %s", a.status, a.body)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // all of them wait, for a second
	began := time.Now()
	for i := range 12 {
		if a := st.get(fmt.Sprintf("/tiles/grids/9/%d/196.mvt", 400+i), draws); a.status != 200 && a.status != 204 {
			t.Errorf("a tile of grids meanwhile: %d %s", a.status, a.body)
		}
	}
	t.Logf("12 tiles in %v", time.Since(began))
	group.Wait()
}

// TestWhatCannotBeReadAgainIsShownToNobody: an incident changes while the database does not
// answer. It is in no tile until everything has been read again, and the number stands.
func TestWhatCannotBeReadAgainIsShownToNobody(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	a := st.report(hall, 107.2, 38.3)
	id, _ := strconv.ParseInt(fmt.Sprint(a.json(t)["id"]), 10, 64)
	st.wait("the incident in its tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return dots[id] != "" })
	before, err := st.s.mirror.View()
	if err != nil {
		t.Fatal(err)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.s.mirror.Follow(dead, []int64{id}, before.Seq+100); err == nil {
		t.Fatal("read without a database")
	}
	if dots, _, _ := st.inTile(hall, at, nil); len(dots) != 0 {
		t.Errorf("still shown: %v", dots)
	}
	if v, _ := st.s.mirror.View(); v.Seq != before.Seq {
		t.Errorf("as of %d, and was as of %d", v.Seq, before.Seq)
	}
	st.s.mirrorAgain()
	st.wait("the incident back in its tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return dots[id] != "" })
}

// shownAt reports n incidents at 107.2, 38.3, and waits until the tile at that place has them.
func (st *stand) shownAt(hall string, at maptile.Tile, n int) (ids []int64) {
	st.t.Helper()
	for range n {
		id, err := strconv.ParseInt(fmt.Sprint(st.report(hall, 107.2, 38.3).json(st.t)["id"]), 10, 64)
		if err != nil {
			st.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	st.wait("the incidents in their tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return len(dots) == n })
	return ids
}

// TestWhatThereWasNoTimeForIsFollowedWithTheNext: an incident changes while the mirror waits
// for the database.
func TestWhatThereWasNoTimeForIsFollowedWithTheNext(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	ids := st.shownAt(hall, at, 2)
	seq := feed.Seq(st.settled())
	st.wait("the mirror", func() bool { v, err := st.s.mirror.View(); return err == nil && v.Seq >= seq })
	slow, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(context.Background()) }()
	if _, err := slow.Exec(t.Context(), "LOCK TABLE incident IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.Exec(t.Context(), "UPDATE incident SET category = (SELECT code FROM category WHERE precision = 'none' LIMIT 1) WHERE id = $1", ids[0]); err != nil {
		t.Fatal(err)
	}
	first := make(chan error, 1)
	go func() { first <- st.s.mirror.Follow(t.Context(), ids[1:], seq) }()
	st.wait("it to wait for the database", func() bool {
		return st.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	})
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := st.s.mirror.Follow(brief, ids[:1], seq); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("followed while it waits: %v", err)
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if err := st.s.mirror.Follow(t.Context(), ids[1:], seq); err != nil {
		t.Fatal(err)
	}
	if dots, _, _ := st.inTile(hall, at, nil); len(dots) != 1 || dots[ids[1]] == "" {
		t.Errorf("shown are %v, want %d alone", dots, ids[1])
	}
}

// TestOnlyOtherCategoriesHaveEveryIncidentReadAgain: others that hide their places, and no other
// setting.
func TestOnlyOtherCategoriesHaveEveryIncidentReadAgain(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	st.report(hall, 107.2, 38.3)
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	st.wait("the incident in its tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return len(dots) == 1 })
	before := st.columns()
	change := func() {
		t.Helper()
		err := st.s.db.InTx(t.Context(), func(tx pgx.Tx) error { return ledger.ConfigChanged(t.Context(), tx, time.Now()) })
		if err != nil {
			t.Fatal(err)
		}
		seq := st.settled()
		st.wait("the event", func() bool { v, err := st.s.mirror.View(); return err == nil && int(v.Seq) >= seq })
	}
	change()
	if st.columns() != before {
		t.Error("a setting had every incident read again")
	}
	all := dispatch.DefaultCategories()
	fires := slices.IndexFunc(all, func(c dispatch.Category) bool { return c.Code == "0301" })
	plain := all[fires]
	plain.Code = "0399"
	if err := st.s.db.SaveCategories(t.Context(), append(slices.Clone(all), plain)); err != nil {
		t.Fatal(err)
	}
	change()
	if st.s.catalogue.Now().Categories["0399"].Sensitive() || st.s.catalogue.Now().Categories["0399"].Code == "" || st.columns() != before {
		t.Error("a category that hides nothing had every incident read again")
	}
	all[fires].Precision = "none"
	if err := st.s.db.SaveCategories(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	slow, err := st.s.db.Pool.Begin(t.Context()) // nobody reads incidents for now
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(context.Background()) }()
	if _, err := slow.Exec(t.Context(), "LOCK TABLE incident IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if err := st.s.db.InTx(t.Context(), func(tx pgx.Tx) error { return ledger.ConfigChanged(t.Context(), tx, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	seq := st.settled()
	st.wait("the event", func() bool { return int(st.s.hub.Head()) >= seq })
	if a := st.get(fmt.Sprintf("/tiles/incidents/%d/%d/%d.mvt", at.Z, at.X, at.Y), hall); a.status != 503 {
		t.Errorf("by the categories of before: %d, %d bytes", a.status, len(a.body))
	}
	if err := slow.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.wait("the incidents to be read again", func() bool { _, err := st.s.mirror.View(); return err == nil })
	st.wait("the incident to be hidden", func() bool { dots, _, _ := st.inTile(hall, at, nil); return len(dots) == 0 })
	if st.columns() == before {
		t.Error("other categories, and nothing was read again")
	}
}

// TestTheFirstEventTellsOfOtherCategories: a category is hidden before anything else happens
// on a server that was started again.
func TestTheFirstEventTellsOfOtherCategories(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	st.report(st.token(auth.Dispatcher, "C"), 107.2, 38.3)
	before := st.settled()
	st.restart()
	hall := st.token(auth.Dispatcher, "C")
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	st.wait("the incident in its tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return len(dots) == 1 })
	if n := st.settled(); n != before {
		t.Fatalf("%d events after the start: another one is the first", n-before)
	}
	all := dispatch.DefaultCategories()
	fires := slices.IndexFunc(all, func(c dispatch.Category) bool { return c.Code == "0301" })
	all[fires].Precision = "none"
	if err := st.s.db.SaveCategories(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := st.s.db.InTx(t.Context(), func(tx pgx.Tx) error { return ledger.ConfigChanged(t.Context(), tx, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	seq := st.settled()
	st.wait("the event", func() bool { v, err := st.s.mirror.View(); return err == nil && int(v.Seq) >= seq })
	if dots, _, _ := st.inTile(hall, at, nil); len(dots) != 0 {
		t.Errorf("of a category whose place is hidden by now: %v", dots)
	}
}

// TestWhatHasNoNumberYetIsNoFault of the mirror's, when it is held against the database.
func TestWhatHasNoNumberYetIsNoFault(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	st.report(hall, 107.2, 38.3)
	seq := st.settled()
	st.wait("the mirror", func() bool { v, err := st.s.mirror.View(); return err == nil && int(v.Seq) >= seq })
	slow, err := st.s.db.Pool.Begin(t.Context()) // nothing gets a number for now
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Rollback(context.Background()) }()
	if _, err := slow.Exec(t.Context(), "LOCK TABLE feed IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if a := st.report(hall, 107.2, 38.3); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	if _, wrong, err := st.s.mirror.Check(t.Context(), rnd, 2000); !errors.Is(err, mirror.ErrNotNow) || len(wrong) > 0 {
		t.Errorf("checked incidents: %v, %v", wrong, err)
	}
	if wrong, err := st.s.mirror.CheckCounts(t.Context(), rnd); !errors.Is(err, mirror.ErrNotNow) || wrong != "" {
		t.Errorf("checked counts: %q, %v", wrong, err)
	}
}

// TestTilesWithAQueryThatCannotBeRead are refused, and the first moment of the clock is one.
func TestTilesWithAQueryThatCannotBeRead(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	st.report(hall, 107.2, 38.3)
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	st.wait("the incident in its tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return len(dots) == 1 })
	tile := fmt.Sprintf("/tiles/incidents/%d/%d/%d.mvt", at.Z, at.X, at.Y)
	for query, want := range map[string]int{"?state=all;from=2030-01-01T00:00:00Z": 400, "?from=2030-01-01T00:00:00Z%zz": 400, "?to=1970-01-01T00:00:00Z": 204, "?to=2100-01-01T00:00:00Z": 200} {
		if a := st.get(tile+query, hall); a.status != want {
			t.Errorf("%s: %d, want %d: %s", query, a.status, want, a.body)
		}
	}
	period := url.Values{"from": {"2026-01-01T00:00:00Z"}, "to": {"2026-02-01T00:00:00Z"}, "by": {"level"}, "category": {"nope"}}
	if a := st.get("/api/v1/figures?"+period.Encode(), hall); a.status != 422 || !strings.Contains(string(a.body), "nope") {
		t.Errorf("figures of a category that there is not: %d %s", a.status, a.body)
	}
}

// TestAMirrorThatIsWrongIsFoundAndReadAgain: rows change behind the server's back, as no
// event tells. The check finds them, says so, and nobody is shown what is wrong from then on.
func TestAMirrorThatIsWrongIsFoundAndReadAgain(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.Dispatcher, "C")
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	ids := st.shownAt(hall, at, 5)
	st.settled()
	stop := make(chan struct{})
	once := sync.OnceFunc(func() { close(stop) })
	var group sync.WaitGroup
	group.Go(func() { // the hall goes on
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				st.report(hall, 107.7, 38.3)
			}
		}
	})
	defer func() { once(); group.Wait() }()
	rnd := rand.New(rand.NewPCG(1, 2))
	if looked, wrong, err := st.s.mirror.Check(t.Context(), rnd, mirrorSample); err != nil || looked < 5 || len(wrong) > 0 {
		t.Errorf("of %d looked at %v are wrong, %v", looked, wrong, err)
	}
	st.close("id = $1", ids[0])
	st.exec("UPDATE incident SET category = '0101' WHERE id = $1", ids[1])
	st.exec("UPDATE incident SET priority = 4 WHERE id = $1", ids[2])
	if _, wrong, err := st.s.mirror.Check(t.Context(), rnd, mirrorSample); err != nil || !slices.Equal(wrong, ids[:3]) {
		t.Errorf("wrong are %v, want %v; %v", wrong, ids[:3], err)
	}
	if err := st.s.checkMirror(t.Context()); err != nil {
		t.Error(err)
	}
	once()
	group.Wait()
	metrics := httptest.NewRecorder()
	st.s.adminHandler().ServeHTTP(metrics, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	if !strings.Contains(metrics.Body.String(), "\nonemap_mirror_wrong_total 3\n") {
		t.Error("the alarm is not told")
	}
	st.wait("the tile to be right again", func() bool {
		a := st.get(fmt.Sprintf("/tiles/incidents/%d/%d/%d.mvt", at.Z, at.X, at.Y), hall)
		if a.status == 503 {
			return false
		}
		dots, _, _ := st.inTile(hall, at, nil)
		return len(dots) == 4 && strings.HasSuffix(dots[ids[1]], "0101")
	})
}
