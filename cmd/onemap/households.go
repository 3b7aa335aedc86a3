// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"onemap/internal/app"
)

type importHouseholdsCmd struct {
	place
	sourceFlags
	File   string `arg:"" help:"CSV or XLSX with the columns grid (网格编码, of leaf grids) and households (户数)." type:"existingfile"`
	County string `help:"Code of the county the grids are of; needed where there are several."`
}

func (c *importHouseholdsCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	told, err := app.ImportHouseholds(ctx, db, c.File, c.options(), c.County, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "grids %d, households in them %d; the county's numbers are those of the file now\n", told.Grids, told.Households)
	if n := len(told.Lacking); n > 0 {
		fmt.Fprintf(out, "leaf grids without a number: %d, among them %s; cells that lie in one have no rate by households\n", n, strings.Join(told.Lacking[:min(n, 10)], ", "))
	}
	return nil
}
