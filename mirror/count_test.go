// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"testing"
	"time"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo/cell"
	"onemap/store"
)

// TestACellIsAskedAboutWhereNoIncidentHasAPlace: in a new county, say, whose first reports
// came by phone.
func TestACellIsAskedAboutWhereNoIncidentHasAPlace(t *testing.T) {
	numbers := &CellNumbers{}
	b := newBuilder(&View{}, numbers)
	b.add(&store.Mirrored{ID: 1, Category: "0301", State: "reported", Open: true, Reported: time.UnixMicro(5)})
	v := &View{Sorted: b.c.sorted(), Tail: &Columns{}, Categories: b.wordsTold, States: b.statesTold, Cells: numbers.Cells}
	why, err := cell.Parse("8831aa4e51fffff")
	if err != nil {
		t.Fatal(err)
	}
	found, err := v.CellCounts(auth.System("a test"), auth.CaseView, store.CellFilter{Res: 8, Why: why}, analysis.Period{From: time.UnixMicro(0), To: time.UnixMicro(9)})
	if err != nil {
		t.Fatal(err)
	}
	if c := found[0]; c.NotLocated != 1 || len(c.Cells) != 0 || len(c.Categories) != 0 {
		t.Errorf("%+v, want one incident without a place", c)
	}
}
