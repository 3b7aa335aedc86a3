// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
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
// database, and row by row in another: what becomes of each row, and the record, is the
// same.
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
	var dbs [2]*store.DB
	for i := range dbs {
		if dbs[i], err = store.Open(t.Context(), pgtest.URL(t), store.Options{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(dbs[i].Close)
	}
	now := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	seen := map[string]int{}
	for batch := range batches {
		now = now.Add(time.Duration(r.IntN(60)) * time.Hour)
		rows := make([]store.RosterRow, 30)
		for i := range rows {
			rows[i] = drawRosterRow(r, now)
		}
		rebind := r.IntN(3) == 0
		if batch%4 == 3 { // somebody has gone since
			for _, db := range dbs {
				if _, err := db.Pool.Exec(t.Context(), "UPDATE worker SET active = false WHERE badge = 'W7'"); err != nil {
					t.Fatal(err)
				}
			}
		}
		var told [2]string
		for i, db := range dbs {
			err := db.InTx(t.Context(), func(tx pgx.Tx) error {
				to := &store.Roster{Tx: tx, Seal: seal, Now: now, Today: people.Local(now).Format(time.DateOnly), Rebind: rebind}
				size := 1
				if i == 0 {
					size = len(rows)
				}
				for some := range slices.Chunk(rows, size) {
					got, err := to.Save(t.Context(), some)
					if err != nil {
						return err
					}
					for _, x := range got {
						told[i] += fmt.Sprintln(x.Changed, x.Refused)
						if i == 0 {
							seen[fmt.Sprint(x.Changed, x.Refused)]++
						}
					}
				}
				ended, err := to.EndOthers(t.Context(), []store.Keep{{Badge: "W1", Root: "C", Grids: []string{"A"}}, {Badge: "W2", Root: "C", Grids: []string{"B", "D"}}})
				told[i] += fmt.Sprintln(ended)
				return err
			})
			if err != nil {
				t.Fatalf("batch %d: %v", batch, err)
			}
			told[i] += rosterRecord(t, db, seal)
		}
		if told[0] != told[1] {
			t.Fatalf("batch %d, rebind %t\n%+v\nat once\n%s\none by one\n%s", batch, rebind, rows, told[0], told[1])
		}
	}
	if len(seen) < 5 { // changed, as it was, and refused in three ways
		t.Errorf("only %v", seen)
	}
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
		`SELECT format('%s %s %s %s %s', w.badge, w.skills, w.ver, w.active, d.name) FROM worker w LEFT JOIN department d ON d.id = w.department_id ORDER BY w.badge`,
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
