// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/layer"
	"onemap/store"
)

// What the imports of layers, cameras and places have in common: rows of a file that
// are judged one by one and known again by a key.

// judged is a row of a file and what was found out about it.
type judged struct {
	row    file.Row
	inGrid bool
	why    []string // it is refused
}

func (j *judged) refuse(why string) {
	if len(j.why) == 0 {
		j.why = []string{why}
	}
}

func (j judged) verdict() judged { return j }

// keyed is a judged row and by what it is known again.
type keyed interface {
	verdict() judged
	key() string
}

// tally counts the rows of a batch that has been stored: refused ones go to the
// reject file, of the others those are new or changed whose keys were written. It
// returns how many these are.
func tally[R keyed](b *job.Batch[R], written map[string]bool) int64 {
	for _, r := range b.Rows {
		switch v := r.verdict(); {
		case len(v.why) > 0:
			b.Reject(file.RejectRecord(v.row, v.why))
		case !written[r.key()]:
			b.Counts.Repeated++
		case v.inGrid:
			b.Counts.InGrid++
		default:
			b.Counts.Outside++
		}
	}
	return b.Counts.InGrid + b.Counts.Outside
}

// maxTold is how many refused rows a dry run tells of.
const maxTold = 20

// Told is a refused row of a dry run.
type Told struct {
	Row, Line int64
	Why       []string
}

// ofCounty is the county that rows are of.
type ofCounty struct {
	tree  *grid.Tree
	grids []auth.Interval
	root  string // its code
}

// openCounty finds the county with this code; "" is the only one.
func openCounty(ctx context.Context, db *store.DB, code string) (c ofCounty, err error) {
	cat, err := store.NewCatalogue(ctx, db)
	if err != nil {
		return c, err
	}
	c.tree = cat.Now().Tree
	at, err := rootOf(cat.Now(), code)
	if err != nil {
		return c, err
	}
	c.root = string(c.tree.Nodes()[at].Code)
	c.grids, _ = countyOf(c.tree, c.root)
	return c, nil
}

// touches reports whether a shape has a place in a grid of the county.
func (c ofCounty) touches(g orb.Geometry) bool { return len(layer.GridsOf(c.tree, g, c.grids, 0)) > 0 }

// rowReader is what reads the file of an import.
type rowReader interface {
	Progress() (read, total int64)
	Notes() []string
	Close() error
}

// rowImport is one import on its way.
type rowImport[R keyed] interface {
	reader() rowReader
	rows() iter.Seq2[R, error]
	run(ctx context.Context, rejects string) (job.Result, error)
	set() store.Set // what the file is the whole of, where it replaces
	// retired writes the audit row of what the file lacks and the word to every node.
	retired(ctx context.Context, tx pgx.Tx, gone []string) error
}

// bringing is what the options of every such import say.
type bringing struct {
	db            *store.DB
	file, rejects string
	dry           bool
	replace       *int
	now           func() time.Time
	progress      func(job.Progress)
	note          func(string)
}

// bring runs an import. A dry run, and one that replaces before it writes anything,
// reads the whole file and compares it with what is there.
func bring[R keyed, I rowImport[R]](ctx context.Context, b bringing, open func() (I, error)) (res job.Result, rejects string, told []Told, err error) {
	im, err := open()
	if err != nil {
		return res, "", nil, err
	}
	defer func() { _ = im.reader().Close() }()
	var have []string
	if b.dry || b.replace != nil {
		res.Counts, told, have, err = countRows(ctx, b, im.rows(), im.reader().Progress)
		if err == nil {
			err = b.compare(ctx, im.set(), have, res.Counts.Rejected)
		}
		if err != nil {
			return res, "", told, err
		}
	}
	if !b.dry {
		if b.replace != nil { // from the first row
			_ = im.reader().Close()
			if im, err = open(); err != nil {
				return res, "", nil, err
			}
			told = nil
		}
		rejects = rejectsBeside(b.file, b.rejects)
		res, err = im.run(ctx, rejects)
		if err == nil && b.replace != nil {
			err = b.retire(ctx, im.set(), have, im.retired)
		}
	}
	for _, note := range im.reader().Notes() {
		b.tell(note)
	}
	return res, rejects, told, err
}

func (b bringing) tell(note string) {
	if b.note != nil {
		b.note(note)
	}
}

// rejectsBeside is the reject file of a file: as named, or beside it.
func rejectsBeside(path, named string) string {
	if named != "" {
		return named
	}
	path = strings.TrimSuffix(path, ".gz")
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".rejects.csv"
}

// countRows counts what an import of all rows would do, but for what is there
// already, and returns the keys of those it would take.
func countRows[R keyed](ctx context.Context, b bringing, rows iter.Seq2[R, error], read func() (int64, int64)) (c job.Counts, told []Told, have []string, err error) {
	began := b.now()
	for r, err := range rows {
		if err != nil {
			return c, told, nil, err
		}
		v := r.verdict()
		if len(v.why) == 0 {
			have = append(have, r.key())
		}
		switch {
		case len(v.why) > 0:
			if c.Rejected++; len(told) < maxTold {
				told = append(told, Told{v.row.N, v.row.Line, v.why})
			}
		case v.inGrid:
			c.InGrid++
		default:
			c.Outside++
		}
		if c.Rows()%1000 == 0 {
			if ctx.Err() != nil {
				return c, told, nil, ctx.Err()
			}
			if b.progress != nil {
				done, total := read()
				b.progress(job.Progress{Counts: c, Read: done, Total: total, Rate: float64(c.Rows()) / max(b.now().Sub(began).Seconds(), 0.001), Left: -1})
			}
		}
	}
	return c, told, have, nil
}

// compare looks at what is there and the file lacks. A dry run tells it; an import
// that replaces is refused when it is not what somebody has been told, or when a row
// is: it may be one of them.
func (b bringing) compare(ctx context.Context, set store.Set, have []string, rejected int64) error {
	gone, err := set.Lacking(ctx, b.db.Pool, have)
	switch {
	case err != nil:
		return err
	case b.dry && len(gone) > 0:
		b.tell(fmt.Sprintf("%d of those that are there are not in the file, and stay: %s", len(gone), someOf(gone)))
		if rejected == 0 {
			b.tell(fmt.Sprintf("--replace %d would take them out", len(gone)))
		}
		return nil
	case b.dry:
		return nil
	case rejected > 0:
		return fmt.Errorf("nothing is done: %d rows are refused, and what they name would be taken out; mend them, or import without --replace", rejected)
	}
	return b.asTold(gone)
}

// asTold refuses to take out another number than was said.
func (b bringing) asTold(gone []string) error {
	if len(gone) != *b.replace {
		return fmt.Errorf("nothing is taken out: the file lacks %d of those that are there, not %d (%s); look with --dry-run, then say --replace %d",
			len(gone), *b.replace, someOf(gone), len(gone))
	}
	return nil
}

// retire takes out what the file lacks, in one transaction with its audit row.
func (b bringing) retire(ctx context.Context, set store.Set, have []string, retired func(context.Context, pgx.Tx, []string) error) error {
	return b.db.InTx(ctx, func(tx pgx.Tx) error {
		gone, err := set.Retire(ctx, tx, have)
		if err != nil || len(gone) == 0 && *b.replace == 0 {
			return err
		}
		if err := b.asTold(gone); err != nil {
			return err
		}
		b.tell(fmt.Sprintf("%d that the file lacks are taken out: %s", len(gone), someOf(gone)))
		return retired(ctx, tx, gone)
	})
}

// someOf names the first of many keys.
func someOf(keys []string) string {
	const most = 10
	if len(keys) > most {
		return strings.Join(keys[:most], ", ") + ", ..."
	}
	return strings.Join(keys, ", ")
}

// maxRetiredTold is how many keys an audit row names.
const maxRetiredTold = 1000

// retiredData is what the audit row of a retirement says.
func retiredData(gone []string, what, of string) map[string]any {
	return map[string]any{what: of, "retired": len(gone), "external_ids": gone[:min(len(gone), maxRetiredTold)]}
}
