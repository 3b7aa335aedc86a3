// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"onemap/internal/app"
	"onemap/internal/job"
)

// newBar shows how far something is: in place on a terminal, line by line elsewhere.
func newBar(say messages) *job.Printer {
	f, isFile := say.Writer.(*os.File)
	return job.NewPrinter(say, isFile && job.IsTerminal(f), time.Now)
}

// ended is how an import in batches came to its end.
type ended struct {
	bar     *job.Printer
	notes   []string // what was left out of the file
	res     job.Result
	rejects string // path of the reject file; "" for a dry run
	told    []app.Told
	err     error
}

// finish tells the user how an import ended, stopped and failed ones too: counts
// words what came of the rows, same what makes a second run the same.
func finish(out io.Writer, say messages, e ended, same string, counts func(job.Counts) string) error {
	e.bar.End()
	for _, note := range e.notes {
		fmt.Fprintln(say, note)
	}
	if errors.Is(e.err, job.ErrStopped) {
		return fmt.Errorf("%w (%s so far)", e.err, e.res.Counts)
	}
	var pe *fs.PathError
	if errors.As(e.err, &pe) && e.rejects != "" && pe.Path == e.rejects {
		return fmt.Errorf("%w; name another place for refused rows with --rejects, the import goes on from there", e.err)
	}
	if e.err != nil {
		return e.err
	}
	n := e.res.Counts
	if e.rejects == "" {
		fmt.Fprintf(out, "dry run, nothing was written: rows %d: %s\n", n.Rows(), counts(n))
		for _, t := range e.told {
			fmt.Fprintf(out, "row %d (line %d): %s\n", t.Row, t.Line, strings.Join(t.Why, "；"))
		}
		return nil
	}
	if e.res.AlreadyDone {
		fmt.Fprintf(say, "this file was imported before %s; nothing was done\n", same)
	}
	if e.res.RejectsLost > 0 {
		fmt.Fprintf(say, "%d refused rows of an earlier run are no longer in %s\n", e.res.RejectsLost, e.rejects)
	}
	fmt.Fprintf(out, "rows %d: %s\n", n.Rows(), counts(n))
	if _, err := os.Stat(e.rejects); n.Rejected > 0 && err == nil {
		fmt.Fprintf(out, "rejected rows and why: %s\n", e.rejects)
	}
	return nil
}
