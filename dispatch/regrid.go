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
	after.OwnerLevel = ownerIn(in.OwnerLevel, handling, from.GridLevel, to.GridLevel)
	return Change{After: after, Event: "incident.changed", Step: Step{Kind: "regrid", From: in.State, To: in.State, Reason: reason}}
}

// ownerIn is the level that owes an incident whose deepest grid was of level from, once
// its deepest grid is of level to.
func ownerIn(owner, handling, from, to int) int {
	if owner == from {
		owner = max(owner, handling)
	}
	return min(owner, to)
}
