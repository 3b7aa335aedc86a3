// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/store"
	"onemap/store/ledger"
)

// ContactOptions name a file of contacts below the grid and how to read it.
type ContactOptions struct {
	DB       *store.DB
	Sealer   *store.Sealer
	File     string // rows: what file.OpenTable reads
	Open     file.Options
	Map      string // column map, see docs/PEOPLE.md; "" takes columns by their names
	Rejects  string // where refused rows go, masked; "" is FILE.rejects.csv
	Root     string // code of the county the grids are of; "" is the only one
	Replace  bool   // contacts of the county that the file does not have are deleted
	DryRun   bool   // read, check and count; write nothing, no reject file either
	Now      func() time.Time
	Progress func(job.Progress)
}

// contactRow is a row of the file as a contact, or why it is refused.
type contactRow struct {
	row     file.Row // masked: it is for the reject file
	contact store.Contact
	why     []string
}

// contactImport is one run of ImportContacts.
type contactImport struct {
	o       ContactOptions
	root    string
	header  []string
	all     []contactRow
	refused bool // one of them at least
}

// ImportContacts brings in who heads units and buildings, going on where an earlier
// run of the same file stopped, and anew where one had to refuse rows. A contact is
// known again by grid, role, building, unit and its own number. It returns the path of
// the reject file as well and, of a dry run, the first refused rows. Counts: InGrid is
// new or changed.
func ImportContacts(ctx context.Context, o ContactOptions) (res job.Result, rejects string, told []Told, err error) {
	im := &contactImport{o: o}
	columns, err := im.read(ctx)
	if err != nil {
		return res, "", nil, err
	}
	if o.DryRun {
		for _, r := range im.all {
			if len(r.why) == 0 {
				res.Counts.InGrid++
			} else if res.Counts.Rejected++; len(told) < maxTold {
				told = append(told, Told{r.row.N, r.row.Line, r.why})
			}
		}
		return res, "", told, nil
	}
	print, err := job.Fingerprint(o.File, columns, "contacts", im.root, fmt.Sprint(o.Replace), o.Open.Encoding, o.Open.Sheet)
	if err != nil {
		return res, "", nil, err
	}
	if o.Rejects == "" {
		o.Rejects = strings.TrimSuffix(o.File, ".gz")
		o.Rejects = strings.TrimSuffix(o.Rejects, filepath.Ext(o.Rejects)) + ".rejects.csv"
	}
	rows := func(yield func(contactRow, error) bool) {
		for _, r := range im.all {
			if !yield(r, nil) {
				return
			}
		}
	}
	res, err = job.Run(ctx, o.DB.Pool, job.Options[contactRow]{
		Kind: "contacts", Fingerprint: print, FileName: filepath.Base(o.File), Rows: iter.Seq2[contactRow, error](rows), Commit: im.commit, Rejects: o.Rejects,
		RejectHeader: file.RejectHeader(im.header), BatchRows: 1000, Progress: o.Progress, Now: o.Now, Again: true,
	})
	return res, o.Rejects, nil, err
}

// ContactMapOf is the column map in the file called path and its text; without a path
// columns are taken by their names.
func ContactMapOf(path string, header []string) (m file.ContactMap, columns []byte, err error) {
	if path == "" {
		m, err = file.GuessContactMap(header)
		return m, nil, err
	}
	if columns, err = os.ReadFile(path); err != nil {
		return m, nil, fmt.Errorf("column map: %w", err)
	}
	m, err = file.ParseContactMap(bytes.NewReader(columns))
	return m, columns, err
}

// read reads and checks the whole file; it returns the text of the column map.
func (im *contactImport) read(ctx context.Context) (columns []byte, err error) {
	table, err := file.OpenTable(im.o.File, im.o.Open)
	if err != nil {
		return nil, err
	}
	defer table.Close()
	im.header = table.Header()
	if len(file.IdentityColumns(im.header)) > 0 { // before anything is asked about columns
		_, err := file.ContactMap{}.Bind(im.header)
		return nil, err
	}
	m, columns, err := ContactMapOf(im.o.Map, im.header)
	if err != nil {
		return nil, err
	}
	mp, err := m.Bind(im.header)
	if err != nil {
		return nil, err
	}
	known, root, err := gridCodes(ctx, im.o.DB, im.o.Root)
	if err != nil {
		return nil, err
	}
	im.root = root
	first := map[store.Contact]int64{}
	for {
		row, err := table.Next()
		if errors.Is(err, io.EOF) {
			return columns, nil
		}
		if err != nil {
			return nil, err
		}
		if len(im.all) == maxRoster {
			return nil, fmt.Errorf("line %d: a file of more than %d contacts", row.Line, maxRoster)
		}
		r := contactRow{row: mp.Masked(row)}
		c, err := mp.Apply(row)
		var bad *file.RowError
		key := store.Contact{Root: root, Grid: c.Grid, Role: c.Role, Building: c.Building, Unit: c.Unit, ExternalID: c.ExternalID}
		switch {
		case errors.As(err, &bad):
			r.why = bad.Reasons
		case err != nil:
			return nil, err
		case !known[c.Grid]:
			r.why = []string{fmt.Sprintf("grid “%s”不在现行网格中", c.Grid)}
		case first[key] > 0:
			r.why = []string{fmt.Sprintf("building 与第 %d 行是同一楼栋、单元和角色；确有两人时用编号 (external_id) 区分", first[key])}
		default:
			first[key] = row.N
		}
		r.contact = key
		r.contact.Name, r.contact.Phone = c.Name, c.Phone
		im.refused = im.refused || len(r.why) > 0
		im.all = append(im.all, r)
	}
}

// gridCodes are the codes of the grids in force of a county, "" for the only one, and
// the county's code.
func gridCodes(ctx context.Context, db *store.DB, county string) (known map[string]bool, root string, err error) {
	cat, err := store.NewCatalogue(ctx, db)
	if err != nil {
		return nil, "", err
	}
	at, err := rootOf(cat.Now(), county)
	if err != nil {
		return nil, "", err
	}
	tree := cat.Now().Tree
	known = map[string]bool{}
	for i, n := range tree.Nodes() {
		if tree.Path(i)[0] == at {
			known[string(n.Code)] = true
		}
	}
	return known, string(tree.Nodes()[at].Code), nil
}

// commit stores one batch and its audit entry, and moves the job's cursor, in one
// transaction. The last one deletes who is no more, unless a row was refused: it may
// be anybody's.
func (im *contactImport) commit(ctx context.Context, b *job.Batch[contactRow]) error {
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		changed, gone := 0, int64(0)
		var good []store.Contact
		for _, r := range b.Rows {
			if len(r.why) > 0 {
				b.Reject(file.RejectRecord(r.row, r.why))
				continue
			}
			good = append(good, r.contact)
		}
		did, err := store.SaveContacts(ctx, tx, im.o.Sealer, im.root, good, im.o.Now())
		if err != nil {
			return err
		}
		for _, c := range did {
			if c {
				changed++
			}
		}
		b.Counts.InGrid, b.Counts.Repeated = int64(changed), int64(len(did)-changed)
		if last := b.First+int64(len(b.Rows)) > int64(len(im.all)); last && im.o.Replace && !im.refused {
			keep := make([]store.Contact, len(im.all))
			for i, r := range im.all {
				keep[i] = r.contact
			}
			if gone, err = store.KeepContacts(ctx, tx, im.root, keep); err != nil {
				return err
			}
		}
		if changed > 0 || gone > 0 {
			data := map[string]any{"contacts": changed, "deleted": gone, "rows_from": b.First, "county": im.root}
			if err := ledger.Audit(ctx, tx, auth.SystemActor("import of contacts"), "", "contacts.import", fmt.Sprintf("import_job/%d", b.Job()), "", data); err != nil {
				return err
			}
		}
		return b.Advance(ctx, tx)
	})
}

// ImportSkills adds the skills of a file to the catalogue and renames those it has. It
// returns how many there are in the file, how many workers had one by its name and have
// it by its code now, and which skills workers have that the catalogue lacks.
func ImportSkills(ctx context.Context, db *store.DB, path string, open file.Options, now time.Time) (n, recoded int, unknown []string, err error) {
	table, err := file.OpenTable(path, open)
	if err != nil {
		return 0, 0, nil, err
	}
	defer table.Close()
	rows, err := file.ReadSkills(table)
	if err != nil {
		return 0, 0, nil, err
	}
	list := make([]store.Skill, len(rows))
	for i, r := range rows {
		list[i] = store.Skill(r)
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		var badges []string
		if badges, unknown, err = store.SaveSkills(ctx, tx, list); err != nil {
			return err
		}
		recoded = len(badges)
		err := ledger.Audit(ctx, tx, auth.SystemActor("import of skills"), "", "skills.import", "skills", "", map[string]any{"skills": len(list), "workers": recoded})
		if err != nil || recoded == 0 {
			return err
		}
		before, err := ledger.Badges(ctx, tx, now, badges...)
		if err != nil {
			return err
		}
		return ledger.PeopleChanged(ctx, tx, before, now, badges...)
	})
	return len(list), recoded, unknown, err
}
