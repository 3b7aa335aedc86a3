// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

// Regrid decides what it means for an open incident that a redraw of the grids puts
// its place into other grids: it is told in its journal and counts its version up.
// Whoever owes it stays on the same level as far as there are grids so deep; one
// that had moved up for want of a deeper grid goes down again to the level that
// handles its category.
func Regrid(in Incident, handling int, from, to Place, reason string) Change {
	after := in
	after.Version++
	if in.OwnerLevel == from.GridLevel {
		after.OwnerLevel = max(in.OwnerLevel, handling)
	}
	after.OwnerLevel = min(after.OwnerLevel, to.GridLevel)
	return Change{After: after, Event: "incident.changed", Step: Step{Kind: "regrid", From: in.State, To: in.State, Reason: reason}}
}
