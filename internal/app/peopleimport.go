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
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
)

// PeopleOptions name a roster of grid workers and how to read it.
type PeopleOptions struct {
	DB           *store.DB
	Sealer       *store.Sealer
	File         string // rows: what file.OpenTable reads
	Open         file.Options
	Map          string // column map, see docs/PEOPLE.md; "" takes columns by their names
	Rejects      string // where refused rows go, masked; "" is FILE.rejects.csv
	Root         string // code of the county the grids are of; "" is the only one
	ReplaceGrids bool   // a worker of the file no longer serves grids that the file does not name
	Rebind       bool   // takes devices from who carries them now
	DryRun       bool   // read, check and count; write nothing, no reject file either
	Now          func() time.Time
	Progress     func(job.Progress)
}

// maxRoster is how many rows a roster may have: it is looked at whole.
const maxRoster = 100_000

// rosterRow is a row of the file as a worker, or why it is refused.
type rosterRow struct {
	row    file.Row // masked: it is for the reject file
	person file.Person
	why    []string
	last   bool // no later row has its badge
}

type peopleImport struct {
	o     PeopleOptions
	root  string
	table *file.Reader
	all   []rosterRow
	// serves are the grids that the file names for each badge, broken the badges with a
	// refused row; the badge "" is a refused row that may be anybody's.
	serves map[string][]string
	broken map[string]bool
	skills map[string]string // codes of the catalogue by code and name; empty: any skill
}

// ImportPeople brings in a roster of grid workers, going on where an earlier run of
// the same file stopped, and anew where one had to refuse rows: what they name may be
// there by now. With ReplaceGrids a run that stopped after a refusal is begun anew too.
// A worker is known again by badge; who is not in the file stays as stored. It returns
// the path of the reject file as well and, of a dry run, the first refused rows. Counts:
// InGrid is new or changed with grids, Unlocated without.
func ImportPeople(ctx context.Context, o PeopleOptions) (res job.Result, rejects string, told []Told, err error) {
	im := &peopleImport{o: o, serves: map[string][]string{}, broken: map[string]bool{}}
	columns, err := im.read(ctx)
	if err != nil {
		return res, "", nil, err
	}
	if o.DryRun {
		for _, r := range im.all {
			switch {
			case len(r.why) > 0:
				if res.Counts.Rejected++; len(told) < maxTold {
					told = append(told, Told{r.row.N, r.row.Line, r.why})
				}
			case len(r.person.Grids) > 0:
				res.Counts.InGrid++
			default:
				res.Counts.Unlocated++
			}
		}
		return res, "", told, nil
	}
	print, err := job.Fingerprint(o.File, columns, im.root, fmt.Sprint(o.ReplaceGrids, o.Rebind), o.Open.Encoding, o.Open.Sheet)
	if err != nil {
		return res, "", nil, err
	}
	if o.Rejects == "" {
		o.Rejects = strings.TrimSuffix(o.File, ".gz")
		o.Rejects = strings.TrimSuffix(o.Rejects, filepath.Ext(o.Rejects)) + ".rejects.csv"
	}
	res, err = job.Run(ctx, o.DB.Pool, job.Options[rosterRow]{
		Kind: "people", Fingerprint: print, FileName: filepath.Base(o.File), Rows: im.rows(), Commit: im.commit, Rejects: o.Rejects,
		RejectHeader: file.RejectHeader(im.table.Header()), BatchRows: 1000, Progress: o.Progress, Now: o.Now, Again: true,
		Whole: o.ReplaceGrids, // of whoever has a refused row, before the stop too, no grid is ended
	})
	return res, o.Rejects, nil, err
}

func (im *peopleImport) rows() iter.Seq2[rosterRow, error] {
	return func(yield func(rosterRow, error) bool) {
		for _, r := range im.all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// PersonMapOf is the column map in the file called path and its text; without a path
// columns are taken by their names.
func PersonMapOf(path string, header []string) (m file.PersonMap, columns []byte, err error) {
	if path == "" {
		m, err = file.GuessPersonMap(header)
		return m, nil, err
	}
	if columns, err = os.ReadFile(path); err != nil {
		return m, nil, fmt.Errorf("column map: %w", err)
	}
	m, err = file.ParsePersonMap(bytes.NewReader(columns))
	return m, columns, err
}

// read reads and checks the whole file; it returns the text of the column map.
func (im *peopleImport) read(ctx context.Context) (columns []byte, err error) {
	if im.table, err = file.OpenTable(im.o.File, im.o.Open); err != nil {
		return nil, err
	}
	defer im.table.Close()
	if ids := file.IdentityColumns(im.table.Header()); len(ids) > 0 && im.o.Map == "" { // before anything is asked about columns
		_, err := file.PersonMap{}.Bind(im.table.Header())
		return nil, err
	}
	m, columns, err := PersonMapOf(im.o.Map, im.table.Header())
	if err != nil {
		return nil, err
	}
	mp, err := m.Bind(im.table.Header())
	if err != nil {
		return nil, err
	}
	known, root, err := gridCodes(ctx, im.o.DB, im.o.Root)
	if err == nil {
		im.root, err = root, im.skillCodes(ctx)
	}
	if err != nil {
		return nil, err
	}
	first, devices, lastOf := map[string]file.Person{}, map[string]string{}, map[string]int{}
	for {
		row, err := im.table.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(im.all) == maxRoster {
			return nil, fmt.Errorf("line %d: a roster of more than %d rows", row.Line, maxRoster)
		}
		r := rosterRow{row: mp.Masked(row)}
		p, err := mp.Apply(row)
		var bad *file.RowError
		if errors.As(err, &bad) {
			r.why = bad.Reasons
		} else if err != nil {
			return nil, err
		}
		r.person = p
		im.coded(&r)
		im.check(&r, known, first, devices)
		badge := r.person.Badge
		lastOf[badge] = len(im.all)
		im.broken[badge] = im.broken[badge] || len(r.why) > 0
		im.all = append(im.all, r)
	}
	for _, i := range lastOf {
		im.all[i].last = true
	}
	return columns, nil
}

// skillCodes reads the catalogue: codes by code and by name.
func (im *peopleImport) skillCodes(ctx context.Context) error {
	list, err := store.Skills(ctx, im.o.DB.Pool)
	im.skills = map[string]string{}
	for _, s := range list {
		if im.skills[s.Code] = s.Code; im.skills[s.Name] == "" {
			im.skills[s.Name] = s.Code
		}
	}
	return err
}

// coded puts codes in the place of names of skills, once there is a catalogue; one
// that it lacks refuses the row.
func (im *peopleImport) coded(r *rosterRow) {
	if len(im.skills) == 0 {
		return
	}
	for i, s := range r.person.Skills {
		code, ok := im.skills[s]
		if !ok {
			r.why = append(r.why, fmt.Sprintf("skills “%s”不在技能目录中（onemap import skills）", s))
			continue
		}
		r.person.Skills[i] = code
	}
}

// check holds a row against the grids in force and the rows before it.
func (im *peopleImport) check(r *rosterRow, known map[string]bool, first map[string]file.Person, devices map[string]string) {
	if len(r.why) > 0 {
		return
	}
	p := r.person
	for _, code := range p.Grids {
		if !known[code] {
			r.why = append(r.why, fmt.Sprintf("grids “%s”不在现行网格中", code))
		}
	}
	if f, ok := first[p.Badge]; ok {
		for _, d := range []struct{ name, a, b string }{
			{"name", f.Name, p.Name},
			{"phone", f.Phone, p.Phone},
			{"department", f.Department, p.Department},
			{"skills", strings.Join(f.Skills, " "), strings.Join(p.Skills, " ")},
			{"hours", rotaText(f.Rota), rotaText(p.Rota)},
		} {
			if d.a != d.b && d.a != "" && d.b != "" {
				r.why = append(r.why, fmt.Sprintf("%s 与第 %d 行同一工号的不同", d.name, f.Row))
			}
		}
	}
	if by, ok := devices[p.Device]; p.Device != "" && ok && by != p.Badge {
		r.why = append(r.why, fmt.Sprintf("device 在本文件中也属工号 %s", by))
	}
	if len(r.why) > 0 {
		return
	}
	if _, ok := first[p.Badge]; !ok {
		first[p.Badge] = p
	}
	if p.Device != "" {
		devices[p.Device] = p.Badge
	}
	im.serves[p.Badge] = append(im.serves[p.Badge], p.Grids...)
}

// rotaText tells one rota from another; "" for none.
func rotaText(r people.Rota) string {
	if len(r) == 0 {
		return ""
	}
	return fmt.Sprint(r)
}

// commit stores one batch, its audit entry and the word to every node, and moves the
// job's cursor, in one transaction.
func (im *peopleImport) commit(ctx context.Context, b *job.Batch[rosterRow]) error {
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		now := im.o.Now()
		to := &store.Roster{Tx: tx, Seal: im.o.Sealer, Now: now, Today: people.Local(now).Format(time.DateOnly), Rebind: im.o.Rebind}
		changedBy, here := map[string]bool{}, map[string]bool{}
		for _, r := range b.Rows {
			here[r.person.Badge] = true
		}
		before, err := ledger.Badges(ctx, tx, now, slices.Collect(maps.Keys(here))...)
		if err != nil {
			return err
		}
		saved, err := im.save(ctx, to, b.Rows)
		if err != nil {
			return err
		}
		for i, r := range b.Rows {
			why := r.why
			switch err := saved[i].Refused; {
			case errors.Is(err, store.ErrDeviceTaken):
				why = []string{"device 现由另一工号使用；确需更换时加 --rebind"}
			case errors.Is(err, store.ErrRemoved):
				why = []string{"badge 已停用；确需恢复时由调度台恢复（workers/{id}/activate），再导入"}
			case errors.Is(err, store.ErrOtherCounty):
				why = []string{"badge 已属另一县的网格员"}
			}
			if len(why) > 0 {
				b.Reject(file.RejectRecord(r.row, why))
				continue
			}
			switch {
			case !saved[i].Changed:
				b.Counts.Repeated++
			case len(r.person.Grids) > 0:
				b.Counts.InGrid++
			default:
				b.Counts.Unlocated++
			}
			if saved[i].Changed {
				changedBy[r.person.Badge] = true
			}
		}
		if len(changedBy) > 0 {
			data := map[string]any{"workers": len(changedBy), "rows_from": b.First, "county": im.root, "replace_grids": im.o.ReplaceGrids}
			if err := ledger.Audit(ctx, tx, auth.SystemActor("import of people"), "", "people.import", fmt.Sprintf("import_job/%d", b.Job()), "", data); err != nil {
				return err
			}
			if err := ledger.PeopleChanged(ctx, tx, before, now, slices.Collect(maps.Keys(changedBy))...); err != nil {
				return err
			}
		}
		return b.Advance(ctx, tx)
	})
}

// save writes the rows that are not refused yet, and says of every row what became of it.
func (im *peopleImport) save(ctx context.Context, to *store.Roster, rows []rosterRow) ([]store.Saved, error) {
	var good []int
	var in []store.RosterRow
	for i, r := range rows {
		if len(r.why) == 0 {
			good, in = append(good, i), append(in, im.rosterOf(r.person))
		}
	}
	got, err := to.Save(ctx, in)
	if err != nil {
		return nil, err
	}
	out := make([]store.Saved, len(rows))
	for i, at := range good {
		out[at] = got[i]
		if got[i].Refused != nil {
			im.broken[rows[at].person.Badge] = true
		}
	}
	return out, im.endOthers(ctx, to, rows, out)
}

// endOthers ends the grids of workers that the file does not name, at the worker's last
// row. It ends none of a worker with a refused row, or without any grid in the file, and
// none at all where the badge of a refused row can't be read.
func (im *peopleImport) endOthers(ctx context.Context, to *store.Roster, rows []rosterRow, saved []store.Saved) error {
	if !im.o.ReplaceGrids || im.broken[""] {
		return nil
	}
	var all []store.Keep
	for _, r := range rows {
		if keep := im.serves[r.person.Badge]; r.last && !im.broken[r.person.Badge] && len(keep) > 0 {
			all = append(all, store.Keep{Badge: r.person.Badge, Root: im.root, Grids: slices.Compact(slices.Sorted(slices.Values(keep)))})
		}
	}
	ended, err := to.EndOthers(ctx, all)
	for i, r := range rows {
		saved[i].Changed = saved[i].Changed || r.last && ended[r.person.Badge]
	}
	return err
}

func (im *peopleImport) rosterOf(p file.Person) store.RosterRow {
	return store.RosterRow{
		Badge: p.Badge, Name: p.Name, Phone: p.Phone, Skills: p.Skills, Department: p.Department, Root: im.root,
		Grids: p.Grids, Role: p.Role, From: p.From, To: p.To, Device: p.Device, Rota: p.Rota,
	}
}
