// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"onemap/intake/file"
	"onemap/store"
)

// rosterFlags are those of the imports of people: of workers, and of contacts below the grid.
type rosterFlags struct {
	place
	openFlags
	File    string `arg:"" help:"CSV (.gz too) or XLSX." type:"existingfile"`
	Map     string `help:"Column map, see docs/PEOPLE.md; without it columns are taken by their names." type:"existingfile"`
	Rejects string `help:"Where refused rows go, masked, each with its reason (default: beside FILE)." placeholder:"FILE"`
	County  string `help:"Code of the county whose grids the file names; needed where there are several."`
	DryRun  bool   `help:"Read and check the whole file, say what would come in, write nothing."`
}

// begin opens the database, and the seal of names and phones; that is nil for a dry run,
// which writes nothing.
func (c *rosterFlags) begin(ctx context.Context) (db *store.DB, seal *store.Sealer, done func(), err error) {
	if c.DryRun {
		db, done, err = c.open(ctx)
		return db, nil, done, err
	}
	if db, done, err = c.openToChange(ctx); err != nil {
		return nil, nil, nil, err
	}
	if seal, err = db.OpenSealer(ctx, c.dir()); err != nil {
		done()
		return nil, nil, nil, err
	}
	return db, seal, done, nil
}

// teller says in words how a row is read, names and telephone numbers masked.
type teller func(file.Row) (string, error)

// preview shows how the first rows of the file would be read. bind finds the columns, and
// says which field each is for where it can.
func (c *rosterFlags) preview(out io.Writer, bind func(header []string) (teller, []string, error)) error {
	r, err := file.OpenTable(c.File, c.options())
	if err != nil {
		return err
	}
	defer r.Close()
	tell, fields, err := bind(r.Header())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "file      %s\nformat    %s\nencoding  %s\ncolumns   %s\n", c.File, r.Format(), r.Encoding(), strings.Join(r.Header(), ", "))
	if len(fields) > 0 {
		fmt.Fprintf(out, "mapping   %s\n", strings.Join(fields, ", "))
	}
	rows, err := firstRows(r, int(c.Preview))
	if err != nil {
		return err
	}
	for _, row := range rows {
		told, err := tell(row)
		var bad *file.RowError
		if errors.As(err, &bad) {
			told, err = "REFUSED: "+strings.Join(bad.Reasons, "；"), nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "row %d (line %d): %s\n", row.N, row.Line, told)
	}
	_, err = fmt.Fprintf(out, "whether its grids are in force shows in --dry-run\n%s", nothingWritten)
	return err
}
