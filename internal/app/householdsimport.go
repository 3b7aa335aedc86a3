// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb/geo"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/store"
	"onemap/store/ledger"
)

// HouseholdsTold says what an import of households stored.
type HouseholdsTold struct {
	Grids, Households int
	Lacking           []string // codes of the county's leaf grids that the file does not have
}

// ImportHouseholds puts the numbers of a file in place of those that the county with this
// code has; "" is the only one. A row of a grid that is no leaf of the county refuses the
// file: of larger grids nobody knows where in them people live.
func ImportHouseholds(ctx context.Context, db *store.DB, path string, open file.Options, county string, now time.Time) (told HouseholdsTold, err error) {
	table, err := file.OpenTable(path, open)
	if err != nil {
		return told, err
	}
	defer table.Close()
	rows, err := file.ReadHouseholds(table)
	if err != nil {
		return told, err
	}
	c, err := openCounty(ctx, db, county)
	if err != nil {
		return told, err
	}
	var codes []string
	leaves := map[string]*grid.Node{}
	for i := range c.tree.Nodes() {
		n := &c.tree.Nodes()[i]
		if root := c.tree.Nodes()[c.tree.Path(i)[0]]; string(root.Code) == c.root && len(c.tree.Children(i)) == 0 {
			leaves[string(n.Code)] = n
			codes = append(codes, string(n.Code))
		}
	}
	var list []store.GridHouseholds
	for _, r := range rows {
		n := leaves[r.Grid]
		if n == nil {
			return told, fmt.Errorf("line %d: county %s has no leaf grid %q in force: nothing was stored; mend the file and run the command again", r.Line, c.root, r.Grid)
		}
		list = append(list, store.GridHouseholds{Root: c.root, Grid: r.Grid, Households: r.Households, AreaM2: geo.Area(n.Geom), StoredAt: now, Lon: &n.Label[0], Lat: &n.Label[1]})
		told.Grids++
		told.Households += r.Households
		delete(leaves, r.Grid)
	}
	for _, code := range codes {
		if leaves[code] != nil {
			told.Lacking = append(told.Lacking, code)
		}
	}
	return told, db.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.SaveHouseholds(ctx, tx, c.root, list); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, auth.SystemActor("import of households"), "", "households.import", "households/"+c.root, "",
			map[string]any{"grids": told.Grids, "households": told.Households, "lacking": len(told.Lacking)})
	})
}
