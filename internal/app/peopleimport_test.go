// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/internal/job"
	"onemap/store"
)

// roster imports text as a roster.
func (st *stand) roster(text string, o PeopleOptions) (job.Result, string, []Told, error) {
	st.t.Helper()
	path := filepath.Join(st.t.TempDir(), "roster.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		st.t.Fatal(err)
	}
	o.DB, o.File, o.Sealer = st.s.db, path, st.s.seal
	if o.Now == nil {
		o.Now = time.Now
	}
	result, reason, told, err := ImportPeople(st.t.Context(), o)
	if err == nil {
		st.knowsAll()
	}
	return result, reason, told, err
}

// knowsAll waits until the server knows every worker of the record, as it does soon after
// an import.
func (st *stand) knowsAll() {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), "SELECT id, active FROM worker")
	if err != nil {
		st.t.Fatal(err)
	}
	type worker struct {
		ID     uint32
		Active bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[worker])
	if err != nil {
		st.t.Fatal(err)
	}
	st.wait("the server to know the workers", func() bool {
		for _, w := range all {
			if got, known := st.s.fixes.Directory().Worker(w.ID); known && got.Active != w.Active || !known && w.Active {
				return false
			}
		}
		return true
	})
}

// served is what the record has of who serves which grid: "W1 A1 worker 2026-01-01-".
func (st *stand) served() string {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT format('%s %s/%s %s %s-%s', w.badge, g.root_code, g.grid_code, g.role, g.valid_from, g.valid_to)
		FROM worker_grid g JOIN worker w ON w.id = g.worker_id ORDER BY 1`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			st.t.Fatal(err)
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

const rosterCSV = `工号,姓名,手机,技能,网格编码,职务,起始日期,结束日期,部门,终端,值班时间,备注
W1,赵一,13800000001,急救、驾驶,A1、A2,,2026-01-01,,综治中心,dev-1,周一至周五 08:00-17:30,
W1,,,,B1,网格长,2026-02-01,2026-12-31,,,,
W2,钱二,0477-7620000,,B2,副网格长,,,,,,
W3,孙三,13800000003,,ZZ,,,,,,,家里还有13800000009
W4,李四,1.38E+10,,A1,站长,,,,,全年,
W5,周五,13800000005,,A1,,,,,dev-1,,
W1,赵大,13800000001,急救、驾驶,A1,,,,综治中心,,周一至周五 08:00-17:30,
`

func TestARosterComesInOnce(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	at := func() time.Time { return time.Date(2026, 11, 20, 17, 0, 0, 0, time.UTC) } // the 21st in China
	res, _, told, err := st.roster(rosterCSV, PeopleOptions{Now: at, DryRun: true})
	if err != nil || res.Counts.InGrid != 3 || res.Counts.Rejected != 4 || len(told) != 4 || st.count("SELECT count(*) FROM worker") != 0 {
		t.Fatalf("dry run: %+v %v %v", res.Counts, told, err)
	}
	res, rejects, _, err := st.roster(rosterCSV, PeopleOptions{Now: at})
	if err != nil || res.Counts.InGrid != 3 || res.Counts.Rejected != 4 || res.Counts.Repeated != 0 {
		t.Fatalf("%+v %v", res.Counts, err)
	}
	want := `W1 C/A1 worker 2026-01-01-
W1 C/A2 worker 2026-01-01-
W1 C/B1 head 2026-02-01-2026-12-31
W2 C/B2 deputy 2026-11-21-`
	if got := st.served(); got != want {
		t.Errorf("served:\n%s\nwant\n%s", got, want)
	}
	// Refused rows are told masked, in a file for its owner alone.
	text, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"“ZZ”不在现行网格中", "孙*,138****0003", "138******09", "phone 不是电话号码", "role 不是", "hours “全年”", "device 在本文件中也属工号 W1", "name 与第 1 行同一工号的不同"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("reject file lacks %q:\n%s", want, text)
		}
	}
	for _, personal := range []string{"孙三", "李四", "周五,", "赵大", "13800000"} {
		if strings.Contains(strings.ReplaceAll(string(text), "周一至周五", ""), personal) {
			t.Errorf("reject file tells %s:\n%s", personal, text)
		}
	}
	if info, err := os.Stat(rejects); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("reject file: %v %v", info.Mode(), err)
	}
	// Names and phones are sealed, and opened by the key alone.
	var id int64
	var name, phone []byte
	if err := st.s.db.Pool.QueryRow(t.Context(), "SELECT id, name_sealed, phone_sealed FROM worker WHERE badge = 'W2'").Scan(&id, &name, &phone); err != nil {
		t.Fatal(err)
	}
	n, err1 := st.s.seal.Open(store.WorkerField(id, "name"), name)
	p, err2 := st.s.seal.Open(store.WorkerField(id, "phone"), phone)
	if n != "钱二" || p != "0477-7620000" || err1 != nil || err2 != nil || strings.Contains(string(name), "钱") {
		t.Errorf("%s %s %v %v", n, p, err1, err2)
	}
	if n := st.count(`SELECT count(*) FROM worker w JOIN department d ON d.id = w.department_id JOIN device_binding b ON b.worker_id = w.id JOIN device v ON v.id = b.device_id
		WHERE w.badge = 'W1' AND d.name = '综治中心' AND v.unique_id = 'dev-1' AND w.skills = '{急救,驾驶}' AND (SELECT count(*) FROM rota r WHERE r.worker_id = w.id) = 5`); n != 1 {
		t.Error("W1 lacks department, device, skills or rota")
	}
	// One audit row, without anything personal; and every node is told.
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'people.import' AND data ->> 'workers' = '2' AND data::text !~ '赵|钱|138'"); n != 1 {
		t.Errorf("%d audit rows", n)
	}
	st.wait("workers known to the server", func() bool {
		a := st.get("/api/v1/workers/live", st.token(auth.HallOperator, ""))
		return strings.Contains(string(a.body), `"W1"`) && strings.Contains(string(a.body), `"W2"`)
	})
	// Again: by badge, nothing twice, and what is not said stays.
	before := st.count("SELECT sum(ver) FROM worker")
	res, _, _, err = st.roster(strings.Replace(rosterCSV, "备注", "说明", 1), PeopleOptions{Now: func() time.Time { return at().AddDate(0, 0, 3) }})
	if err != nil || res.Counts.Repeated != 3 || res.Counts.InGrid != 0 || st.served() != want || st.count("SELECT sum(ver) FROM worker") != before {
		t.Errorf("again: %+v %v\n%s", res.Counts, err, st.served())
	}
	// Only badges that changed are told, each once.
	if _, _, _, err = st.roster("badge,phone\nW1,0477-7620001\n", PeopleOptions{Now: at}); err != nil {
		t.Fatal(err)
	}
	st.wait("every event handed on", func() bool { return st.count("SELECT count(*) FROM outbox") == 0 })
	if n := st.count("SELECT count(*) FROM feed WHERE kind = 'worker.changed'"); n != 3 {
		t.Errorf("%d badges are told of two new workers and one with another number", n)
	}
}

// TestWhoSawAWorkerIsToldOfTheMove: a worker who leaves a town leaves its screens, and
// comes to those of the other; whoever stays is told all the same.
func TestWhoSawAWorkerIsToldOfTheMove(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	bring := func(row string) {
		t.Helper()
		if _, _, _, err := st.roster("badge,grids,valid_from,skills\n"+row, PeopleOptions{ReplaceGrids: true, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
	}
	bring("W1,A1,2026-01-01,\n")
	townA, townB := st.live(st.token(auth.TownOperator, "A"), `{"type":"hello"}`), st.live(st.token(auth.TownOperator, "B"), `{"type":"hello"}`)
	townA.next()
	townB.next()
	wait := func(l *live, is func(message) bool) { // fails when nothing comes
		t.Helper()
		for m := l.next(); !is(m); m = l.next() {
		}
	}
	bring("W1,A1,2026-01-01,电工\n")
	wait(townA, func(m message) bool { return m.Kind == "worker.changed" && strings.Contains(string(m.Data), "电工") })
	bring("W1,B1,2026-02-01,电工\n")
	wait(townA, func(m message) bool { return m.Type == "gone" && m.Kind == "worker" })
	wait(townB, func(m message) bool { return m.Kind == "worker.changed" && strings.Contains(string(m.Data), "B1") })
}

// TestADayAloneMovesAWorker: nobody brings a roster in on the day on which a grid
// begins to be served, or ends.
func TestADayAloneMovesAWorker(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Date(2026, 11, 22, 15, 59, 30, 0, time.UTC)} // half a minute before midnight there
	st := newStandWith(t, Options{Now: clock.now})
	_, _, _, err := st.roster("badge,grids,valid_from,valid_to\nW1,A1,2026-01-01,2026-11-23\nW1,B1,2026-11-23,\nW2,A1,2026-01-01,\n", PeopleOptions{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	told := func(badge, grid string) bool {
		return st.count("SELECT count(*) FROM live_state WHERE kind = 'worker' AND shared->>'badge' = $1 AND shared->'grid'->>'code' = $2", badge, grid) == 1
	}
	st.wait("the day before", func() bool { return told("W1", "A1") && told("W2", "A1") })
	clock.move(time.Minute)
	st.wait("the next day", func() bool { return told("W1", "B1") })
	if n := st.count("SELECT count(*) FROM feed WHERE kind = 'worker.changed' AND before_aud IS NOT NULL AND before_aud->'grid' <> after_aud->'grid'"); n != 1 || !told("W2", "A1") {
		t.Errorf("%d workers are told to have moved", n)
	}
}

func TestARosterMovesWorkers(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	day := func(d int) func() time.Time {
		return func() time.Time { return time.Date(2026, 11, d, 4, 0, 0, 0, time.UTC) }
	}
	bring := func(d int, text string, o PeopleOptions) job.Counts {
		t.Helper()
		o.Now = day(d)
		res, _, _, err := st.roster("badge,grids,role,valid_from,device,phone\n"+text, o)
		if err != nil {
			t.Fatal(err)
		}
		return res.Counts
	}
	bring(1, "W1,A1,,,d1,123456\nW2,B1,,,d2,\n", PeopleOptions{})
	bring(2, "W1,A1,head,,,\n", PeopleOptions{})       // another role from today
	bring(3, "W1,A2,,2026-12-01,,\n", PeopleOptions{}) // one more, later
	bring(4, "W1,A2,,2026-12-01,,\n", PeopleOptions{ReplaceGrids: true})
	bring(4, "W2,B1,deputy,2026-10-01,,\n", PeopleOptions{}) // what was before
	want := `W1 C/A1 head 2026-11-02-2026-11-04
W1 C/A1 worker 2026-11-01-2026-11-02
W1 C/A2 worker 2026-12-01-
W2 C/B1 deputy 2026-10-01-2026-11-01
W2 C/B1 worker 2026-11-01-`
	if got := st.served(); got != want { // W2 is not in the file, and stays
		t.Errorf("served:\n%s\nwant\n%s", got, want)
	}
	// Nothing is ended for a row refused for its form, nor for anybody by one without a badge.
	bring(5, "W4,A1,,,,\nW4,A2,,,,\nW5,A1,,2026-01-01,,\n", PeopleOptions{})
	bring(6, "W4,A1,,,,\nW4,A2,,someday,,\n", PeopleOptions{ReplaceGrids: true})
	bring(6, "W4,A1,,,,\n,A2,,,,\n", PeopleOptions{ReplaceGrids: true})
	bring(6, "W4,A1,,,,\nW4,A2,,,\n", PeopleOptions{ReplaceGrids: true}) // a cell is missing
	if n := st.count("SELECT count(*) FROM worker_grid g JOIN worker w ON w.id = g.worker_id WHERE w.badge = 'W4' AND g.valid_to IS NULL"); n != 2 {
		t.Errorf("W4 serves %d grids, not 2:\n%s", n, st.served())
	}
	if bring(6, "W4,A1,,,,\n", PeopleOptions{ReplaceGrids: true}); !strings.Contains(st.served(), "W4 C/A2 worker 2026-11-05-2026-11-06") {
		t.Errorf("W4 still serves A2:\n%s", st.served())
	}
	carrier := func(d int) string {
		t.Helper()
		var badge string
		if err := st.s.db.Pool.QueryRow(t.Context(), `SELECT w.badge FROM device d JOIN device_binding b ON b.device_id = d.id JOIN worker w ON w.id = b.worker_id
			WHERE d.unique_id = 'd1' AND $1 >= b.valid_from AND $1 < b.valid_to`, day(d)()).Scan(&badge); err != nil {
			t.Fatal(err)
		}
		return badge
	}
	if c := bring(5, "W2,,,,d1,\n", PeopleOptions{}); c.Rejected != 1 || carrier(6) != "W1" {
		t.Errorf("a device that W1 carries: %+v, carried by %s", c, carrier(6))
	}
	if c := bring(6, "W2,,,,d1,\n", PeopleOptions{Rebind: true}); c.Unlocated != 1 || carrier(5) != "W1" || carrier(7) != "W2" {
		t.Errorf("taken from W1: %+v, carried by %s, then %s", c, carrier(5), carrier(7))
	}
	// The same file is looked at again while rows of it are refused.
	if c := bring(7, "W6,,,,d1,\n", PeopleOptions{}); c.Rejected != 1 {
		t.Errorf("a device that W2 carries: %+v", c)
	}
	st.exec("UPDATE device_binding SET valid_to = '2026-11-08' WHERE valid_to = 'infinity' AND device_id = (SELECT id FROM device WHERE unique_id = 'd1')")
	for range 2 { // the second time it is done
		if c := bring(9, "W6,,,,d1,\n", PeopleOptions{}); c != (job.Counts{Unlocated: 1}) || carrier(10) != "W6" {
			t.Errorf("a device given back: %+v", c)
		}
	}
}

// TestARosterBrokenOffForgetsNoRefusal: a worker with a refused row keeps every grid, also
// when the import stops after that row and goes on with the worker's last one.
func TestARosterBrokenOffForgetsNoRefusal(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	if _, _, _, err := st.roster("badge,grids,device\nW1,A1、A2,\nW2,B1、B2,\nW3,,d3\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("badge,grids,device\nW1,A1,d3\n") // another carries d3: the database refuses it
	for i := range 1200 {
		fmt.Fprintf(&text, "F%d,,\n", i)
	}
	text.WriteString("W1,A1,\nW2,B1,\n")
	path := filepath.Join(t.TempDir(), "roster.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	o := PeopleOptions{DB: st.s.db, Sealer: st.s.seal, File: path, ReplaceGrids: true, Now: time.Now, Progress: func(job.Progress) { stop() }}
	if res, _, _, err := ImportPeople(ctx, o); !errors.Is(err, job.ErrStopped) || res.Counts.Rejected != 1 || res.Counts.Rows() > 1200 {
		t.Fatalf("stopped: %+v %v", res, err)
	}
	res, rejects, _, err := ImportPeople(t.Context(), o)
	if err != nil || res.Counts.Rejected != 1 || res.Counts.Rows() != 1203 {
		t.Fatalf("%+v %v", res, err)
	}
	open := func(badge string) int {
		return st.count("SELECT count(*) FROM worker_grid g JOIN worker w ON w.id = g.worker_id WHERE w.badge = $1 AND g.valid_to IS NULL", badge)
	}
	if open("W1") != 2 || open("W2") != 1 {
		t.Errorf("W1, with a refused row, serves %d grids, W2 %d:\n%s", open("W1"), open("W2"), st.served())
	}
	list, err := os.ReadFile(rejects)
	if n := strings.Count(string(list), "W1"); err != nil || n != 1 {
		t.Errorf("the list of refused rows tells W1's %d times, %v:\n%s", n, err, list)
	}
}

// TestARosterKeepsDays: an end that is stored stays until the roster says another, and
// who was gone before is not written again.
func TestARosterKeepsDays(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	bring := func(d int, text string) job.Counts {
		t.Helper()
		res, _, _, err := st.roster("badge,grids,role,valid_from,valid_to\n"+text, PeopleOptions{Now: func() time.Time { return time.Date(2026, 11, d, 4, 0, 0, 0, time.UTC) }})
		if err != nil {
			t.Fatal(err)
		}
		return res.Counts
	}
	bring(1, "W1,A1,,2026-01-01,2026-12-31\nW2,A1,,2026-01-01,2026-12-31\nW3,A1,,,\nW5,A1,,2026-12-01,\n")
	bring(2, "W1,A1,head,,\nW2,A1,head,2026-11-10,\nW3,A1,head,,2026-10-01\nW5,A1,,,2026-10-01\n")
	if c := bring(3, "W4,A1,,,2026-10-01\n"); c.InGrid != 1 {
		t.Errorf("a worker is new: %+v", c)
	}
	for d := range 2 {
		if c := bring(4+d, strings.Repeat("\n", d)+"W4,A1,,,2026-10-01\nW3,A1,head,,2026-10-01\nW5,A1,,,2026-10-01\n"); c.Repeated != 3 {
			t.Errorf("gone before: %+v", c)
		}
	}
	want := `W1 C/A1 head 2026-11-02-2026-12-31
W1 C/A1 worker 2026-01-01-2026-11-02
W2 C/A1 head 2026-11-10-2026-12-31
W2 C/A1 worker 2026-01-01-2026-11-10
W3 C/A1 worker 2026-11-01-2026-11-01
W5 C/A1 worker 2026-12-01-2026-12-01`
	if got := st.served(); got != want {
		t.Errorf("served:\n%s\nwant\n%s", got, want)
	}
}

// TestARosterRewritesNoRoleThatWasServed: who ends, or has ended, was what the record
// says, whatever the roster calls them now.
func TestARosterRewritesNoRoleThatWasServed(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	bring := func(d int, text string) job.Counts {
		t.Helper()
		res, _, _, err := st.roster("badge,grids,role,valid_from,valid_to\n"+text, PeopleOptions{Now: func() time.Time { return time.Date(2026, 11, d, 4, 0, 0, 0, time.UTC) }})
		if err != nil {
			t.Fatal(err)
		}
		return res.Counts
	}
	bring(1, "W1,A1,head,2026-01-01,\nW2,A1,head,2026-01-01,\nW3,A1,worker,2026-01-01,2026-06-01\nW4,A1,worker,2026-01-01,2026-06-01\nW5,A1,worker,2026-01-01,2026-06-01\n")
	ended := "W1,A1,,,2026-10-01\nW2,A1,,2026-01-01,2026-10-01\nW3,A1,head,2026-01-01,\nW4,A1,head,2026-01-01,2026-05-01\nW5,A1,head,2026-01-01,2026-09-01\n"
	bring(2, ended)
	if c := bring(3, "\n"+ended); c.Repeated != 5 {
		t.Errorf("the second time: %+v", c)
	}
	want := `W1 C/A1 head 2026-01-01-2026-10-01
W2 C/A1 head 2026-01-01-2026-10-01
W3 C/A1 head 2026-06-01-
W3 C/A1 worker 2026-01-01-2026-06-01
W4 C/A1 worker 2026-01-01-2026-06-01
W5 C/A1 head 2026-06-01-2026-09-01
W5 C/A1 worker 2026-01-01-2026-06-01`
	if got := st.served(); got != want {
		t.Errorf("served:\n%s\nwant\n%s", got, want)
	}
}

// TestAGridCodeIsOfOneCounty: two counties of one database may use the same code.
func TestAGridCodeIsOfOneCounty(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	st.exec(`INSERT INTO grid_version (root_code, state, enacted_at) VALUES ('D', 'enacted', now())`)
	st.exec(`WITH v AS (SELECT id FROM grid_version WHERE root_code = 'D'), r AS (
		INSERT INTO grid (version_id, level, code, name, no, last_no, geom) SELECT id, 1, 'D', '邻县', 1001, 1002, ST_Multi(ST_MakeEnvelope(109, 38, 110, 39, 4326)) FROM v RETURNING id, version_id)
		INSERT INTO grid (version_id, level, code, name, parent_id, no, last_no, geom) SELECT version_id, 2, 'A1', '同码', id, 1002, 1002, ST_Multi(ST_MakeEnvelope(109, 38, 110, 39, 4326)) FROM r`)
	if _, _, _, err := st.roster("badge,grids\nW1,A1\n", PeopleOptions{}); err == nil || !strings.Contains(err.Error(), "--county") {
		t.Errorf("no county is named: %v", err)
	}
	for i, county := range []string{"C", "D"} {
		if _, _, _, err := st.roster(fmt.Sprintf("badge,grids\nW%d,A1\n", i+1), PeopleOptions{Root: county}); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := st.s.db.Directory(t.Context(), auth.System("test"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range dir.Workers() {
		if inD := w.Grid == 1002; inD != (w.Badge == "W2") || w.Grid == 0 {
			t.Errorf("%s is at home in grid %d", w.Badge, w.Grid)
		}
	}
	if res, rejects, _, err := st.roster("badge,grids\nW2,A1\n", PeopleOptions{Root: "C"}); err != nil || res.Counts.Rejected != 1 {
		t.Errorf("the other county's worker: %+v %s %v", res.Counts, rejects, err)
	}
}

// longRoster is a roster of n workers, the part-th of a county's.
func longRoster(n, part int) string {
	var text strings.Builder
	text.WriteString("badge,name,phone,skills,grids,role,valid_from,device,hours\n")
	for i := part * n; i < (part+1)*n; i++ {
		fmt.Fprintf(&text, "W%05d,网格员%d,139%08d,急救、驾驶,%s,,2026-01-01,dev-%05d,周一至周五 08:00-12:00 14:00-18:00\n", i, i, i, []string{"A1", "A2", "B1", "B2"}[i%4], i)
	}
	return text.String()
}

// TestALongRosterComesIn: 18,000 workers of a large county with ONEMAP_SOAK=1, a
// hundredth of it otherwise; the second time nothing changes.
func TestALongRosterComesIn(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	n := 180
	if soak() {
		n = 18_000
	}
	text := longRoster(n, 0)
	for i, say := range []string{"new", "there already"} {
		begin := time.Now()
		res, _, _, err := st.roster(text+strings.Repeat("\n", i), PeopleOptions{})
		if err != nil || res.Counts.Rejected != 0 || res.Counts.InGrid+res.Counts.Repeated != int64(n) || (res.Counts.Repeated == int64(n)) != (i == 1) {
			t.Fatalf("%s: %+v %v", say, res.Counts, err)
		}
		d := time.Since(begin)
		t.Logf("%d rows %s in %s: %.0f rows/s", n, say, d.Round(time.Millisecond), float64(n)/d.Seconds())
	}
}

// BenchmarkRoster brings in a roster of the size of a large county's, once new and once
// as it is there already.
func BenchmarkRoster(b *testing.B) {
	for _, again := range []bool{false, true} {
		name := map[bool]string{false: "new", true: "there already"}[again]
		b.Run(name, func(b *testing.B) {
			st := newStand(b)
			n, rows := 0, 0
			for b.Loop() {
				text := longRoster(2000, n)
				if n++; again && n > 1 {
					text = longRoster(2000, 0) + strings.Repeat("\n", n)
				}
				if res, _, _, err := st.roster(text, PeopleOptions{}); err != nil || res.Counts.Rejected != 0 {
					b.Fatal(res.Counts, err)
				}
				rows += 2000
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
