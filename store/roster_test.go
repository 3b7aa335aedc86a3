// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/pgtest"
	"onemap/people"
	"onemap/store"
)

// TestARosterTogetherIsARosterOneByOne draws rosters and saves them at once in one
// database, and row by row, grid by grid in another: what becomes of each row, and the
// record, is the same. What both do alike is held against a model: which grids end, how
// versions count, who leaves the quarantine.
func TestARosterTogetherIsARosterOneByOne(t *testing.T) {
	t.Parallel()
	seed, batches := uint64(7), 12
	if os.Getenv("ONEMAP_SOAK") == "1" {
		seed, batches = uint64(time.Now().UnixNano()), 600
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	seal, err := store.OpenSealer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var sides [2]*rosterSide
	for i := range sides {
		db, err := store.Open(t.Context(), pgtest.URL(t), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		sides[i] = &rosterSide{t: t, db: db, atOnce: i == 0, versions: map[string]int{}}
	}
	now := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	seen := map[string]int{}
	for batch := range batches {
		now = now.Add(time.Duration(r.IntN(60)) * time.Hour)
		rows := make([]store.RosterRow, 30)
		for i := range rows {
			rows[i] = drawRosterRow(r, now)
		}
		keep := drawKeeps(r)
		rebind := r.IntN(3) == 0
		var told [2]string
		for i, side := range sides {
			if batch%4 == 3 { // somebody has gone since
				side.exec("UPDATE worker SET active = false WHERE badge = 'W7'")
			}
			if batch == 5 { // of before grids had a county
				side.exec("UPDATE worker_grid SET root_code = NULL WHERE grid_code = 'D'")
			}
			side.exec(`INSERT INTO device_quarantine (unique_id) SELECT u.name FROM unnest($1::text[]) u (name) WHERE NOT EXISTS (SELECT FROM device d
				JOIN device_binding b ON b.device_id = d.id WHERE d.unique_id = u.name AND b.valid_from <= $2 AND b.valid_to > $2) ON CONFLICT DO NOTHING`, quarantined, now)
			saved, ended := side.take(rows, keep, &store.Roster{Seal: seal, Now: now, Today: people.Local(now).Format(time.DateOnly), Rebind: rebind})
			for _, x := range saved {
				told[i] += fmt.Sprintln(x.Changed, x.Refused)
				if i == 0 {
					seen[fmt.Sprint(x.Changed, x.Refused)]++
				}
			}
			seen["ended"] += len(ended)
			told[i] += fmt.Sprintln(ended) + rosterRecord(t, side.db, seal)
			side.checkVersions()
			seen["left the quarantine"] += side.checkQuarantine(now)
		}
		if told[0] != told[1] {
			t.Fatalf("batch %d, rebind %t\n%+v\nat once\n%s\none by one\n%s", batch, rebind, rows, told[0], told[1])
		}
	}
	if len(seen) < 7 || seen["ended"] == 0 || seen["left the quarantine"] == 0 { // changed, as it was, refused in three ways, and these two
		t.Errorf("only %v", seen)
	}
}

// rosterSide is a database that takes the drawn rosters at once, or else one by one.
type rosterSide struct {
	t        *testing.T
	db       *store.DB
	atOnce   bool
	versions map[string]int // what they must be by now, by badge
}

func (s *rosterSide) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.db.Pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// take saves the rows and ends other grids than those to keep, in one transaction.
func (s *rosterSide) take(rows []store.RosterRow, keep []store.Keep, to *store.Roster) (saved []store.Saved, ended map[string]bool) {
	s.t.Helper()
	err := s.db.InTx(s.t.Context(), func(tx pgx.Tx) (err error) {
		to.Tx, saved = tx, nil
		if saved, err = s.save(rows, to); err != nil {
			return err
		}
		want, wantEnded := endedByModel(servedIn(s.t, tx), keep, to.Today)
		if ended, err = s.endOthers(keep, to); err != nil {
			return err
		}
		if got := servedIn(s.t, tx); !slices.Equal(got, want) || !maps.Equal(ended, wantEnded) {
			s.t.Fatalf("today is %s, to be kept is %v\nserved\n%v\nended %v\nshould be\n%v\nended %v", to.Today, keep, got, ended, want, wantEnded)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for badge := range ended {
		s.versions[badge]++
	}
	return saved, ended
}

// save saves the rows at once; or each by itself, its first grid with all that it says
// and every other in a row that says nothing else.
func (s *rosterSide) save(rows []store.RosterRow, to *store.Roster) ([]store.Saved, error) {
	if s.atOnce {
		saved, err := to.Save(s.t.Context(), rows)
		for i, x := range saved {
			if x.Changed {
				s.versions[rows[i].Badge]++
			}
		}
		return saved, err
	}
	out := make([]store.Saved, len(rows))
	for i, row := range rows {
		grids := slices.Compact(slices.Sorted(slices.Values(row.Grids)))
		row.Grids = grids[:min(1, len(grids))]
		pieces := []store.RosterRow{row}
		for _, code := range grids[len(row.Grids):] {
			pieces = append(pieces, store.RosterRow{Badge: row.Badge, Root: row.Root, Role: row.Role, From: row.From, To: row.To, Grids: []string{code}})
		}
		for _, piece := range pieces {
			got, err := to.Save(s.t.Context(), []store.RosterRow{piece})
			if err != nil {
				return nil, err
			}
			if got[0].Changed {
				s.versions[row.Badge]++
			}
			out[i].Changed = out[i].Changed || got[0].Changed
			if out[i].Refused = got[0].Refused; out[i].Refused != nil {
				break
			}
		}
	}
	return out, nil
}

func (s *rosterSide) endOthers(keep []store.Keep, to *store.Roster) (map[string]bool, error) {
	if s.atOnce {
		return to.EndOthers(s.t.Context(), keep)
	}
	out := map[string]bool{}
	for _, k := range keep {
		ended, err := to.EndOthers(s.t.Context(), []store.Keep{k})
		if err != nil {
			return nil, err
		}
		maps.Copy(out, ended)
	}
	return out, nil
}

// checkVersions: a version counts what has changed.
func (s *rosterSide) checkVersions() {
	s.t.Helper()
	rows, err := s.db.Pool.Query(s.t.Context(), "SELECT badge, ver FROM worker")
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]int{}
	var badge string
	var ver int
	if _, err := pgx.ForEachRow(rows, []any{&badge, &ver}, func() error { got[badge] = ver; return nil }); err != nil {
		s.t.Fatal(err)
	}
	if !maps.Equal(got, s.versions) {
		s.t.Fatalf("versions %v, should be %v", got, s.versions)
	}
}

// quarantined are the devices that nobody had registered: those of the rosters, and one more.
var quarantined = []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "stranger"}

// checkQuarantine: a device is in quarantine until a worker carries it. It returns how
// many have left it.
func (s *rosterSide) checkQuarantine(now time.Time) int {
	s.t.Helper()
	rows, err := s.db.Pool.Query(s.t.Context(), `SELECT u.name, EXISTS (SELECT FROM device_quarantine WHERE unique_id = u.name), EXISTS (SELECT FROM device d
		JOIN device_binding b ON b.device_id = d.id WHERE d.unique_id = u.name AND b.valid_from <= $2 AND b.valid_to > $2) FROM unnest($1::text[]) u (name)`, quarantined, now)
	if err != nil {
		s.t.Fatal(err)
	}
	left := 0
	var id string
	var in, carried bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &in, &carried}, func() error {
		if in == carried {
			s.t.Errorf("device %s: carried %t, in quarantine %t", id, carried, in)
		}
		if !in {
			left++
		}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return left
}

// servedRow is a grid that a worker serves or did; to is "" without an end.
type servedRow struct{ badge, root, code, role, from, to string }

// servedIn reads who serves and served what.
func servedIn(t *testing.T, tx pgx.Tx) []servedRow {
	t.Helper()
	rows, err := tx.Query(t.Context(), `SELECT w.badge, coalesce(g.root_code, ''), g.grid_code, g.role, g.valid_from::text, coalesce(g.valid_to::text, '')
		FROM worker_grid g JOIN worker w ON w.id = g.worker_id ORDER BY w.badge, g.grid_code, g.valid_from`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x servedRow, err error) {
		return x, row.Scan(&x.badge, &x.root, &x.code, &x.role, &x.from, &x.to)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// endedByModel is what is served once every grid of a county has ended that its worker is
// not to keep, and of whom one did: those that begin later end where they begin.
func endedByModel(all []servedRow, keep []store.Keep, today string) (out []servedRow, ended map[string]bool) {
	ended = map[string]bool{}
	for _, x := range all {
		for _, k := range keep {
			end := max(x.from, today)
			if x.badge != k.Badge || x.root != "" && x.root != k.Root || slices.Contains(k.Grids, x.code) || x.to != "" && x.to <= end {
				continue
			}
			x.to, ended[x.badge] = end, true
		}
		out = append(out, x)
	}
	return out, ended
}

// drawKeeps draws what some of the workers are to keep, and somebody whom nobody knows.
func drawKeeps(r *rand.Rand) []store.Keep {
	out := []store.Keep{{Badge: "nobody", Root: "C", Grids: []string{"A"}}}
	for _, n := range r.Perm(7)[:3] {
		k := store.Keep{Badge: fmt.Sprintf("W%d", n), Root: "C", Grids: []string{"A", "B", "D"}}
		if r.IntN(4) == 0 {
			k.Root = "Q"
		}
		for len(k.Grids) == 3 || len(k.Grids) > 1 && r.IntN(2) == 0 {
			k.Grids = slices.Delete(k.Grids, 0, 1+r.IntN(len(k.Grids)-1))
		}
		out = append(out, k)
	}
	return out
}

// drawRosterRow draws a row of one of eight workers, of few grids and devices, with days
// around now.
func drawRosterRow(r *rand.Rand, now time.Time) store.RosterRow {
	some := func(of ...string) string { return of[r.IntN(len(of))] }
	day := func() string {
		if r.IntN(2) == 0 {
			return ""
		}
		return people.Local(now).AddDate(0, 0, r.IntN(9)-4).Format(time.DateOnly)
	}
	n := r.IntN(8)
	in := store.RosterRow{
		Badge: fmt.Sprintf("W%d", n), Root: "C", Role: some("worker", "deputy", "head"), Name: some("", "", "甲", "乙"), Phone: some("", "13900000000"),
		Department: some("", "", "应急", "水务"), Device: some("", "", fmt.Sprintf("d%d", n), fmt.Sprintf("d%d", r.IntN(8))), From: day(), To: day(),
	}
	if n == 6 && r.IntN(2) == 0 {
		in.Root = "Q"
	}
	if in.From != "" && in.To != "" && in.To < in.From {
		in.From, in.To = in.To, in.From
	}
	for range r.IntN(3) {
		in.Grids = append(in.Grids, some("A", "B", "D"))
	}
	if r.IntN(3) == 0 {
		in.Skills = []string{some("fire", "flood")}
	}
	if r.IntN(3) == 0 {
		in.Rota = people.Rota{{Weekday: time.Monday, Start: 480, End: 720 + 60*r.IntN(2)}, {Weekday: time.Tuesday, Start: 480, End: 720}}
	}
	return in
}

// rosterRecord is all that rosters write, by badge.
func rosterRecord(t *testing.T, db *store.DB, seal *store.Sealer) string {
	t.Helper()
	var out strings.Builder
	for _, sql := range []string{
		`SELECT format('%s %s %s %s', w.badge, w.skills, w.active, d.name) FROM worker w LEFT JOIN department d ON d.id = w.department_id ORDER BY w.badge`,
		"SELECT format('%s %s/%s %s %s-%s', w.badge, g.root_code, g.grid_code, g.role, g.valid_from, g.valid_to) FROM worker_grid g JOIN worker w ON w.id = g.worker_id ORDER BY 1",
		"SELECT format('%s %s %s-%s', w.badge, r.weekday, r.start_min, r.end_min) FROM rota r JOIN worker w ON w.id = r.worker_id ORDER BY 1",
		"SELECT format('%s %s %s-%s', d.unique_id, w.badge, b.valid_from, b.valid_to) FROM device d LEFT JOIN device_binding b ON b.device_id = d.id LEFT JOIN worker w ON w.id = b.worker_id ORDER BY 1",
	} {
		rows, err := db.Pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, strings.Join(lines, "\n"))
	}
	rows, err := db.Pool.Query(t.Context(), "SELECT id, badge, name_sealed, phone_sealed FROM worker ORDER BY badge")
	if err != nil {
		t.Fatal(err)
	}
	var id int64
	var badge string
	var name, phone []byte
	if _, err := pgx.ForEachRow(rows, []any{&id, &badge, &name, &phone}, func() error {
		n, err1 := seal.Open(store.WorkerField(id, "name"), name)
		p, err2 := seal.Open(store.WorkerField(id, "phone"), phone)
		fmt.Fprintln(&out, badge, n, p, err1, err2)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
