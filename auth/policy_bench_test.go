// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"testing"

	"onemap/auth"
)

// benchActors is one actor of every role, each with a few grids.
func benchActors() (actors []auth.Actor) {
	for _, r := range auth.Roles {
		actors = append(actors, auth.NewActor(auth.Grant{
			ID: "account:1", Role: r, Intervals: []auth.Interval{{Lo: 10, Hi: 20}, {Lo: 40, Hi: 45}}, County: []auth.Interval{{Lo: 1, Hi: 300}},
			Department: 3, Worker: 7, Sensitive: true, Layers: []string{"grids", "roads", "cameras"},
		}))
	}
	return actors
}

var (
	benchResources = []auth.Resource{
		auth.Grid, auth.IncidentData, auth.Reporter, auth.Position, auth.WorkerCount, auth.Track, auth.Figures, auth.Events, auth.RowExport, auth.CountExport,
		auth.LayerGrids, auth.LayerRoads, auth.LayerCameras, auth.Account, auth.GrantData, auth.TokenData, auth.AuditLog, auth.ServerStatus,
	}
	benchActions = []auth.Action{auth.Read, auth.Write, auth.Reveal, auth.Approve}
)

// BenchmarkDecide is one decision, over every role, action and resource in turn.
func BenchmarkDecide(b *testing.B) {
	actors := benchActors()
	b.ReportAllocs()
	i, allowed := 0, 0
	for b.Loop() {
		a := actors[i%len(actors)]
		if _, err := auth.Decide(a, benchActions[i/len(actors)%len(benchActions)], benchResources[i%len(benchResources)]); err == nil {
			allowed++
		}
		i++
	}
	if allowed == 0 {
		b.Fatal("nothing is allowed")
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	actors := benchActors()
	if n := testing.AllocsPerRun(10, func() {
		for _, a := range actors {
			for _, action := range benchActions {
				for _, r := range benchResources {
					_, _ = auth.Decide(a, action, r)
				}
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
