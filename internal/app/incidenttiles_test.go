// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
	"onemap/tiles"
)

// onMap is an incident with a place as a test sees it that goes by brute force.
type onMap struct {
	seen
	id       int64
	open     bool
	state    string
	priority int
}

func (st *stand) everyOnMap() (out []onMap) {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT i.id, ST_X(i.geom), ST_Y(i.geom), i.grid_no, i.category, c.precision = 'none', i.reported_at, i.open, i.state, i.priority
		FROM incident i JOIN category c ON c.code = i.category WHERE i.geom IS NOT NULL`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p onMap
		if err := rows.Scan(&p.id, &p.at[0], &p.at[1], &p.no, &p.category, &p.hidden, &p.reported, &p.open, &p.state, &p.priority); err != nil {
			st.t.Fatal(err)
		}
		out = append(out, p)
	}
	if rows.Err() != nil {
		st.t.Fatal(rows.Err())
	}
	return out
}

// settled waits until every change has its number, and answers the newest.
func (st *stand) settled() (seq int) {
	st.t.Helper()
	st.wait("every change to be numbered", func() bool { return st.count("SELECT count(*) FROM outbox") == 0 })
	return st.count("SELECT seq FROM feed_head")
}

// inTile asks a tile of incidents: the dots by id, and the counts by place.
func (st *stand) inTile(token string, at maptile.Tile, q url.Values) (dots map[int64]string, counts map[[2]int]int, a answer) {
	st.t.Helper()
	path := fmt.Sprintf("/tiles/incidents/%d/%d/%d.mvt?%s", at.Z, at.X, at.Y, q.Encode())
	for a = st.get(path, token); a.status == 503 && strings.Contains(string(a.body), "are being read"); a = st.get(path, token) {
		time.Sleep(5 * time.Millisecond) // the server has just started
	}
	dots, counts = map[int64]string{}, map[[2]int]int{}
	if a.status == 204 {
		return dots, counts, a
	}
	layers, _, err := unpack(a)
	if a.status != 200 || err != nil {
		st.t.Fatalf("%v %s: %d %.200s %v", at, q.Encode(), a.status, a.body, err)
	}
	for _, l := range layers {
		for _, f := range l.Features {
			p := f.Geometry.(orb.Point)
			switch l.Name {
			case "incidents":
				dots[int64(f.ID.(float64))] = fmt.Sprint(p[0], p[1], f.Properties["state"], f.Properties["priority"], f.Properties["category"])
			case "counts":
				counts[[2]int{int(p[0]), int(p[1])}] += int(f.Properties["count"].(float64))
			}
		}
	}
	return dots, counts, a
}

// unitsIn puts a place into a tile's units, rounded down.
func unitsIn(at maptile.Tile, p orb.Point) [2]int {
	m, n := geo.Mercator(p), math.Exp2(float64(at.Z))
	return [2]int{int(math.Floor((m[0]*n - float64(at.X)) * tiles.Extent)), int(math.Floor((m[1]*n - float64(at.Y)) * tiles.Extent))}
}

// TestTilesOfIncidentsHoldWhatAWalkOverEveryIncidentFinds asks for drawn tiles, periods
// and categories as a leader, a dispatcher, a town and a village, while incidents are
// reported, moved and ended, and looks at each incident by itself.
func TestTilesOfIncidentsHoldWhatAWalkOverEveryIncidentFinds(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 3000)
	tree := st.s.catalogue.Now().Tree
	var town, village string
	for _, n := range tree.Nodes() {
		if n.Level == 2 && town == "" {
			town = string(n.Code)
		}
		if n.Level == 3 {
			village = string(n.Code)
		}
	}
	root := string(tree.Nodes()[tree.Roots()[0]].Code)
	hall := st.token(auth.Dispatcher, root)
	askers := []struct {
		token, code string
		sensitive   bool
	}{
		{st.token(auth.CountyLeader, root), root, true},
		{hall, root, false},
		{st.token(auth.TownOperator, town), town, false},
		{st.token(auth.VillageHead, village), village, false},
	}
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 12))
	rounds := 60
	if soak() {
		rounds = 3000
	}
	t.Logf("seed %d", seed)
	first := time.Now().AddDate(-1, 0, 0)
	some := func(rows []onMap) onMap { return rows[rnd.IntN(len(rows))] }
	all := st.everyOnMap()
	shown, apart := 0, 0
	for round := range rounds {
		switch p := some(all); round % 3 { // something changes
		case 0:
			st.want(201, "POST", "/api/v1/incidents", hall, fmt.Sprintf(`{"category":"0301","title":"草场冒烟","location":{"lon":%f,"lat":%f,"crs":"wgs84"}}`, p.at[0], p.at[1]))
		case 1:
			if p.open && !p.hidden {
				a := st.get(fmt.Sprintf("/api/v1/incidents/%d", p.id), hall)
				to := some(all).at
				st.call("POST", fmt.Sprintf("/api/v1/incidents/%d/actions", p.id), hall,
					fmt.Sprintf(`{"action":"correct","reason":"更正位置","location":{"lon":%f,"lat":%f,"crs":"wgs84"}}`, to[0], to[1]), "If-Match: "+a.header.Get("ETag"))
			}
		}
		if rnd.IntN(4) == 0 {
			st.s.mirrorAgain() // and while that goes on the next one changes
		}
		seq := st.settled()
		all = st.everyOnMap()
		who := askers[rnd.IntN(len(askers))]
		n, _ := tree.ByCode(grid.Code(who.code))
		node := tree.Nodes()[n]
		zoom := 5 + rnd.IntN(tiles.DotsFrom-5)
		if rnd.IntN(2) == 0 {
			zoom = tiles.DotsFrom + rnd.IntN(3)
		}
		at := maptile.At(orb.Point(some(all).at), maptile.Zoom(zoom))
		q := url.Values{"min_seq": {strconv.Itoa(seq)}}
		from, to, category, closed := time.Time{}, time.Now().Add(time.Hour), "", rnd.IntN(3) > 0
		if closed {
			q.Set("state", "all")
		}
		if rnd.IntN(2) == 0 {
			from = first.Add(time.Duration(rnd.Int64N(int64(360 * 24 * time.Hour)))).Truncate(time.Second)
			to = from.Add(time.Duration(1 + rnd.Int64N(int64(200*24*time.Hour)))).Truncate(time.Second).Add(time.Second)
			q.Set("from", from.Format(time.RFC3339))
			q.Set("to", to.Format(time.RFC3339))
		}
		if rnd.IntN(2) == 0 {
			category = some(all).category[:2+2*rnd.IntN(2)]
			q.Set("category", category)
		}
		hiding := rnd.IntN(3) == 0
		if hiding {
			q.Set("shown", "true")
		}
		want, cells := map[int64]string{}, map[[2]int]int{}
		for _, p := range all {
			if p.no < node.No || p.no > node.Last || p.hidden && (hiding || !who.sensitive) || !p.open && !closed || !strings.HasPrefix(p.category, category) || p.reported.Before(from) || !p.reported.Before(to) {
				continue
			}
			if at.Z >= tiles.DotsFrom {
				if u := unitsIn(at, orb.Point(p.at)); u[0] >= 0 && u[0] < tiles.Extent && u[1] >= 0 && u[1] < tiles.Extent {
					want[p.id] = fmt.Sprint(float64(u[0]), float64(u[1]), p.state, float64(p.priority), p.category)
				}
				continue
			}
			c, err := h3.At(p.at, tiles.CellsAt(int(at.Z)))
			if err != nil {
				t.Fatal(err)
			}
			centre, err := c.Centre()
			if err != nil {
				t.Fatal(err)
			}
			if u := unitsIn(at, orb.Point(centre)); u[0] >= 0 && u[0] < tiles.Extent && u[1] >= 0 && u[1] < tiles.Extent {
				cells[u]++
			}
		}
		dots, counts, a := st.inTile(who.token, at, q)
		if !maps.Equal(dots, want) || !maps.Equal(counts, cells) {
			t.Fatalf("round %d, tile %v %s for %s: %d dots, %d cells; a walk finds %d and %d\n%v\n%v\n%v\n%v", round, at, q.Encode(), who.code, len(dots), len(counts), len(want), len(cells), dots, want, counts, cells)
		}
		if got, _ := strconv.Atoi(a.header.Get("X-Onemap-Seq")); got < seq {
			t.Fatalf("as of %d, asked for %d", got, seq)
		}
		if etag := a.header.Get("ETag"); a.status == 200 {
			if b := st.call("GET", fmt.Sprintf("/tiles/incidents/%d/%d/%d.mvt?%s", at.Z, at.X, at.Y, q.Encode()), who.token, "", "If-None-Match: "+etag); b.status != 304 {
				t.Fatalf("the same tile again: %d", b.status)
			}
		}
		shown += min(1, len(dots))
		apart += min(1, len(counts))
	}
	if shown < rounds/20 || apart < rounds/20 {
		t.Errorf("of %d tiles %d have dots and %d counts: nothing is compared", rounds, shown, apart)
	}
}

// TestANewIncidentIsInItsTile follows one from the report to the tile, and away.
func TestANewIncidentIsInItsTile(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, other := st.token(auth.Dispatcher, "C"), st.token(auth.TownOperator, "B")
	at := maptile.At(orb.Point{107.2, 38.3}, 14)
	if _, _, a := st.inTile(hall, at, nil); a.status != 204 {
		t.Fatalf("a tile of nothing: %d", a.status)
	}
	var made struct{ ID string }
	began := time.Now()
	if a := st.report(hall, 107.2, 38.3); a.status != 201 || json.Unmarshal(a.body, &made) != nil {
		t.Fatalf("%d %.200s", a.status, a.body)
	}
	id, _ := strconv.ParseInt(made.ID, 10, 64)
	st.wait("the incident in its tile", func() bool { dots, _, _ := st.inTile(hall, at, nil); return dots[id] != "" })
	t.Logf("in its tile after %v", time.Since(began).Round(time.Millisecond))
	if dots, _, _ := st.inTile(other, at, url.Values{"min_seq": {strconv.Itoa(st.settled())}}); len(dots) > 0 {
		t.Error("another town sees it")
	}
	st.close("id = $1", id)
	st.s.mirrorAgain() // the row was changed behind the server's back
	st.wait("the closed incident to leave", func() bool { dots, _, _ := st.inTile(hall, at, nil); return len(dots) == 0 })
	if dots, _, _ := st.inTile(hall, at, url.Values{"state": {"all"}}); len(dots) != 1 {
		t.Errorf("of all states: %v", slices.Collect(maps.Keys(dots)))
	}
	if dots, _, _ := st.inTile(hall, at, url.Values{"state": {"all"}, "shown": {"true"}, "category": {"0801"}}); len(dots) != 0 {
		t.Errorf("of a category whose place is never shown: %v", dots) // all categories of the query, which are none, are not all there are
	}

	for path, want := range map[string]int{
		"/tiles/incidents/14/1/-1.mvt":                                                        404,
		"/tiles/incidents/14/1/9223372036854775808.mvt":                                       400,
		"/tiles/incidents/1e3/0/0.mvt":                                                        400,
		"/tiles/incidents/19/0/0.mvt":                                                         404,
		"/tiles/incidents/9/0/0.mvt?state=closed":                                             400,
		"/tiles/incidents/9/0/0.mvt?shown=false":                                              400,
		"/tiles/incidents/9/0/0.mvt?nonsense=1":                                               400,
		"/tiles/incidents/9/0/0.mvt?state=all&state=open":                                     400,
		"/tiles/incidents/9/0/0.mvt?category=nothing":                                         422,
		"/tiles/incidents/9/0/0.mvt?from=yesterday":                                           400,
		"/tiles/incidents/9/0/0.mvt?from=2026-09-14T00:00:00Z&to=2026-09-14T00:00:00%2B08:00": 422,
		"/tiles/incidents/9/0/0.mvt?min_seq=-1":                                               400,
		"/tiles/incidents/9/0/0.mvt?min_seq=1000000":                                          503,
		"/tiles/incidents/9/0/0.mvt":                                                          204,
		"/tiles/incidents.json":                                                               200,
	} {
		if a := st.get(path, hall); a.status != want {
			t.Errorf("%s: %d, want %d: %.200s", path, a.status, want, a.body)
		}
	}
}
