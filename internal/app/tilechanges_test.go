// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/store"
)

// TestTilesFollowARedrawEndsAndRevokedRights: while two towns ask for their warm tiles, the
// border between them is redrawn; incidents end; and a right is revoked. What events tell of
// is followed in a moment; of a right nothing is shown from the answer on.
func TestTilesFollowARedrawEndsAndRevokedRights(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	admin, desk := st.token(auth.SystemAdmin, ""), st.token(auth.HallOperator, "")
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	credential, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: auth.TownOperator, GridCode: "B", ExpiresAt: &until})
	if err != nil {
		t.Fatal(err)
	}
	townA, townB := st.token(auth.TownOperator, "A"), secret
	places := map[string]orb.Point{"stays": {107.2, 38.3}, "moves": {107.2, 38.1}, "falls": {107.55, 38.4}}
	ids, tiles := map[string]int64{}, map[string]maptile.Tile{}
	for name, p := range places {
		ids[name], _ = strconv.ParseInt(fmt.Sprint(st.report(desk, p[0], p[1]).json(t)["id"]), 10, 64)
		tiles[name] = maptile.At(p, 14)
	}
	shown := func(token, name string) bool {
		dots, _, _ := st.inTile(token, tiles[name], nil)
		return dots[ids[name]] != ""
	}
	sees := func(when string, want map[string]string) {
		t.Helper()
		for name, who := range want {
			st.wait(when+": "+name, func() bool { return shown(townA, name) == (who == "A") && shown(townB, name) == (who == "B") })
		}
	}
	sees("before", map[string]string{"stays": "A", "moves": "A", "falls": "B"})

	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, token := range []string{townA, townB, townA, townB} { // the tiles stay warm
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				time.Sleep(5 * time.Millisecond)
				for _, at := range tiles {
					for _, layer := range []string{"incidents", "grids"} {
						if a := st.get(fmt.Sprintf("/tiles/%s/%d/%d/%d.mvt", layer, at.Z, at.X, at.Y), token); a.status >= 500 && a.status != 503 {
							t.Errorf("%s %v meanwhile: %d %s", layer, at, a.status, a.body)
						}
					}
				}
			}
		})
	}
	once := sync.OnceFunc(func() { close(stop); group.Wait() })
	defer once()
	v := st.draft(redraw())
	if a := st.call("POST", fmt.Sprintf("/api/v1/grid-versions/%d/enact", v), admin, `{"reason":"撤并"}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	st.whenLive(v, time.Now())
	sees("redrawn", map[string]string{"stays": "A", "moves": "B", "falls": "A"})
	if shown(townA, "moves") || shown(townB, "falls") {
		t.Error("a town is shown again what it has lost")
	}
	for token, want := range map[string]bool{townA: true, townB: false} {
		at := maptile.At(places["moves"], 10)
		a := st.get(fmt.Sprintf("/tiles/grids/10/%d/%d.mvt", at.X, at.Y), token)
		layers, _, err := unpack(a)
		if a.status != 200 || err != nil {
			t.Fatalf("%d %v", a.status, err)
		}
		names := map[any]bool{}
		for _, l := range layers {
			for _, f := range l.Features {
				names[f.Properties["name"]] = true
			}
		}
		if names["甲三"] != want || names["甲二"] == want {
			t.Errorf("town A %v is shown the grids %v", want, names)
		}
	}

	a := st.get(fmt.Sprintf("/api/v1/incidents/%d", ids["falls"]), desk)
	if a := st.call("POST", fmt.Sprintf("/api/v1/incidents/%d/actions", ids["falls"]), desk, fmt.Sprintf(`{"action":"merge","into":"%d","reason":"同一件"}`, ids["stays"]), "If-Match: "+a.header.Get("ETag")); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	began := time.Now()
	st.wait("the merged one to be gone", func() bool { return !shown(townA, "falls") })
	t.Logf("a merged incident was gone from its tile after %v", time.Since(began).Round(time.Millisecond))
	if dots, _, _ := st.inTile(townA, tiles["falls"], map[string][]string{"state": {"all"}}); dots[ids["falls"]] == "" {
		t.Error("a merged incident is in no tile of all states")
	}

	once()
	if !shown(townB, "moves") {
		t.Fatal("town B is not shown what it has")
	}
	if a := st.call("DELETE", fmt.Sprintf("/api/v1/credentials/%d", credential), st.token(auth.SecurityAdmin, ""), ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, layer := range []string{"incidents", "grids", "roads"} {
		at := tiles["moves"]
		if a := st.get(fmt.Sprintf("/tiles/%s/%d/%d/%d.mvt", layer, at.Z, at.X, at.Y), townB); a.status != 401 || len(a.header.Get("ETag")) > 0 {
			t.Errorf("%s after the right was revoked: %d", layer, a.status)
		}
	}
}
