// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/store"
)

func TestANewCentreCountsByTheProgramsClocks(t *testing.T) {
	t.Parallel()
	db := open(t)
	got, err := store.ReadClocks(t.Context(), db.Pool)
	if err != nil {
		t.Fatal(err)
	}
	want := store.DefaultClocks()
	if !reflect.DeepEqual(got.Levels, want.Levels) {
		t.Errorf("levels %v, want %v", got.Levels, want.Levels)
	}
	start := time.Date(2026, 2, 13, 9, 0, 0, 0, calendar.Zone())
	for i, o := range got.Ladder {
		if w := want.Ladder[i]; o.Remind != w.Remind || o.Reply != w.Reply || o.Supervise.Value != 0 {
			t.Errorf("priority %d: %+v, want %+v", i+1, o, w)
		}
	}
	if a, b := got.Calendar.Due(start, 3, "wd"), want.Calendar.Due(start, 3, "wd"); a.Rule != b.Rule || !a.At.Equal(b.At) {
		t.Errorf("%v, want %v", a, b)
	}
}

func TestClocksAreKeptAsTheyWereSaved(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := store.DefaultClocks()
	festival := calendar.Date{Year: 2026, Month: 7, Day: 6}
	c.Calendar.Overrides = map[calendar.Date]bool{festival: false, {Year: 2027, Month: 1, Day: 2}: true}
	c.Notes = map[calendar.Date]string{festival: "那达慕"}
	c.Calendar.Seasons = []calendar.Season{{Month: 4, Day: 1, Hours: []calendar.Span{{From: 480, To: 720}, {From: 900, To: 1110}}}, {Month: 11, Day: 1, Hours: []calendar.Span{{From: 540, To: 1020}}}}
	c.Calendar.LateFrom, c.Calendar.LateUntil = 21*60, 10*60
	c.Levels = dispatch.Limits{1: {Value: 10, Unit: "wd"}, 3: {Value: 2, Unit: "cd"}}
	c.Ladder[0].Remind = dispatch.Limit{}
	c.Ladder[3].Supervise = dispatch.Limit{Value: 1, Unit: "wd"}
	for want := 1; want <= 2; want++ {
		inTx(t, db, func(tx pgx.Tx) error {
			if _, err := store.HoldClocks(t.Context(), tx); err != nil {
				return err
			}
			revision, err := store.SaveClocks(t.Context(), tx, c, "account:1", time.Now())
			if err == nil && revision != want {
				t.Errorf("revision %d, want %d", revision, want)
			}
			return err
		})
	}
	got, err := store.ReadClocks(t.Context(), db.Pool)
	if err != nil {
		t.Fatal(err)
	}
	c.Calendar.Revision = 2
	c.Ladder[0].Remind.Unit = got.Ladder[0].Remind.Unit // of none, some unit
	for i := range 3 {
		c.Ladder[i].Supervise.Unit = got.Ladder[i].Supervise.Unit
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("read\n%+v\nwant\n%+v", got, c)
	}
}

func TestClocksThatCannotBeCountedAreRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*store.Clocks){
		"limit of level 2":      func(c *store.Clocks) { c.Levels[2] = dispatch.Limit{Value: 3, Unit: "moons"} },
		"reply of priority 1":   func(c *store.Clocks) { c.Ladder[0].Reply = dispatch.Limit{} },
		"remind of priority 4":  func(c *store.Clocks) { c.Ladder[3].Remind = dispatch.Limit{Value: 1, Unit: "sd"} },
		"late_from":             func(c *store.Clocks) { c.Calendar.LateFrom = -1 },
		"supervise of priority": func(c *store.Clocks) { c.Ladder[1].Supervise = dispatch.Limit{Value: -1, Unit: "wd"} },
	} {
		c := store.DefaultClocks()
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestTheDutyAboveAGrid: the table of duty officers says who has it, by their time;
// who has a right to the grid and no duty is not asked.
func TestTheDutyAboveAGrid(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	system, now := auth.System("test"), time.Now().UTC().Truncate(time.Second)
	var no int32
	var town string
	if err := db.Pool.QueryRow(t.Context(), "SELECT no, code FROM grid WHERE level = 2 ORDER BY code LIMIT 1").Scan(&no, &town); err != nil {
		t.Fatal(err)
	}
	posts := func(after time.Duration, sensitive bool) string {
		t.Helper()
		p, err := store.DutyPosts(t.Context(), db.Pool, system, no, 3, now.Add(after), sensitive)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(p)
	}
	holes := func(after time.Duration) int {
		t.Helper()
		h, err := store.DutyHoles(t.Context(), db.Pool, system, now.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return len(h)
	}
	root := rootCode(t, db)
	if _, err := grant(t, db, a, auth.Dispatcher, root, "account:90", ""); err != nil {
		t.Fatal(err)
	}
	me := fmt.Sprintf("account:%d", a.ID)
	for _, v := range []struct {
		grid string
		from time.Duration
	}{{root, time.Hour}, {town, 2 * time.Hour}} {
		inTx(t, db, func(tx pgx.Tx) error {
			_, err := store.SaveDutyOfficer(t.Context(), tx, store.DutyOfficer{
				Root: root, Grid: v.grid, Staff: store.Staff{Account: a.ID}, From: now.Add(v.from), To: now.Add(3 * time.Hour),
			}, "test", now)
			return err
		})
	}
	for _, v := range []struct {
		after     time.Duration
		sensitive bool
		want      string
	}{
		{0, false, "[{2 []} {1 []}]"},
		{90 * time.Minute, false, "[{2 []} {1 [" + me + "]}]"},
		{150 * time.Minute, false, "[{2 [" + me + "]} {1 [" + me + "]}]"},
		{150 * time.Minute, true, "[{2 []} {1 []}]"}, // may not know of sensitive matters
		{3 * time.Hour, false, "[{2 []} {1 []}]"},
	} {
		if got := posts(v.after, v.sensitive); got != v.want {
			t.Errorf("after %s, sensitive %v: %s, want %s", v.after, v.sensitive, got, v.want)
		}
	}
	if a, b := holes(0), holes(90*time.Minute); a != 1 || b != 0 {
		t.Errorf("%d grids with grids below had no officer, then %d", a, b)
	}
	if _, err := db.Pool.Exec(t.Context(), "UPDATE account_grant SET sensitive = true"); err != nil {
		t.Fatal(err)
	}
	if got := posts(90*time.Minute, true); got != "[{2 []} {1 ["+me+"]}]" {
		t.Errorf("of a sensitive matter, by who may handle such: %s", got)
	}
	if _, err := db.Pool.Exec(t.Context(), "UPDATE account SET state = 'disabled'"); err != nil {
		t.Fatal(err)
	}
	if got := posts(150*time.Minute, false); got != "[{2 []} {1 []}]" {
		t.Errorf("who is gone has the duty: %s", got)
	}
}

func rootCode(t *testing.T, db *store.DB) (code string) {
	t.Helper()
	if err := db.Pool.QueryRow(t.Context(), "SELECT code FROM grid WHERE level = 1").Scan(&code); err != nil {
		t.Fatal(err)
	}
	return code
}
