// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"onemap/dispatch"
	"onemap/store"
)

// PossibleAct is an act that its reader may take on an incident now.
type PossibleAct struct {
	Action string   `json:"action"`
	Needs  []string `json:"needs" doc:"The fields that it must bring"`
	OneOf  []string `json:"one_of,omitempty" doc:"And one of these at least"`
}

// fieldsFor are the fields of an act's body that stand for a need: any one of them will do.
var fieldsFor = map[dispatch.Need][]string{
	dispatch.Reason: {"reason"}, dispatch.Level: {"level"}, dispatch.Until: {"until"}, dispatch.Into: {"into"},
	dispatch.Door: {"door", "door_department"}, dispatch.Edits: {"priority", "category", "location"}, dispatch.Owner: {"level", "department", "wrong"}, dispatch.Dept: {"department"},
}

func possibleActs(choices []dispatch.Choice) []PossibleAct {
	out := make([]PossibleAct, len(choices))
	for i, c := range choices {
		out[i] = PossibleAct{Action: string(c.Action), Needs: []string{}}
		for _, n := range c.Needs {
			if fields := fieldsFor[n]; len(fields) == 1 {
				out[i].Needs = append(out[i].Needs, fields...)
			} else {
				out[i].OneOf = append(out[i].OneOf, fields...) // no act has two such needs
			}
		}
	}
	return out
}

// ahead tells of one incident where its way goes on: by which acts of its reader, or by
// whose door.
func (s *Server) ahead(ctx context.Context, a caller, in store.Incident, out *Incident) error {
	choices, err := s.o.Ledger.Possible(ctx, s.reads(a), a.Actor, in)
	if err != nil {
		return err
	}
	out.Possible = possibleActs(choices)
	if in.State != dispatch.Refused && in.State != dispatch.Transferred {
		return nil
	}
	journal, err := s.reads(a).Journal(ctx, a.Scope, a.View, in.ID)
	for _, e := range journal {
		if door, ok := e.Data["door"].(string); ok {
			out.Door = door
		}
	}
	return err
}
