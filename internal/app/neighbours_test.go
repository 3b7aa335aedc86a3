// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"onemap/auth"
)

// TestNeighboursOfAGrid through the door: the corners of the stand are no common
// borders, and nobody is told of a grid beyond their scope.
func TestNeighboursOfAGrid(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, town, grid := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.GridWorker, "B1")
	for _, c := range []struct{ token, code, want string }{
		{hall, "C", ""},
		{hall, "A", "B of C 56 km"},
		{hall, "A1", "A2 of A 44 km, B1 of B 28 km"},
		{hall, "B2", "B1 of B 44 km, A2 of A 28 km"},
		{town, "A1", "A2 of A 44 km"},
		{town, "A", ""},
		{grid, "B1", ""},
		{grid, "B", "404"}, // above its scope
		{town, "B1", "404"},
		{town, "nothing", "404"},
	} {
		a := st.get("/api/v1/grids/"+c.code+"/neighbours", c.token)
		var v struct {
			Items []struct {
				Code, Name, Parent string
				Level              int
				SharedM            float64 `json:"shared_m"`
			}
		}
		if err := json.Unmarshal(a.body, &v); err != nil {
			t.Fatalf("%v in %s", err, a.body)
		}
		var got []string
		for _, i := range v.Items {
			got = append(got, fmt.Sprintf("%s of %s %.0f km", i.Code, i.Parent, i.SharedM/1000))
		}
		text := strings.Join(got, ", ")
		if a.status != 200 {
			text = fmt.Sprint(a.status)
		}
		if text != c.want {
			t.Errorf("%s: %q, want %q: %s", c.code, text, c.want, a.body)
		}
	}
}
