// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/store"
)

// file writes text into a file of the test and returns its path.
func (st *stand) file(name, text string) string {
	st.t.Helper()
	path := filepath.Join(st.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		st.t.Fatal(err)
	}
	return path
}

func (st *stand) workerID(badge string) int {
	return st.count("SELECT id FROM worker WHERE badge = $1", badge)
}

// TestWhoHeadsAGridAtATime: by validity and activity; and grids that nobody serves.
func TestWhoHeadsAGridAtATime(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	_, _, _, err := st.roster(`badge,grids,role,valid_from,valid_to
W1,A1,网格长,2026-01-01,2026-06-01
W2,A1,网格长,2026-06-01,
W3,A1,,2026-01-01,
W4,A1,副网格长,2026-01-01,
W5,A2,,2026-01-01,2026-03-01
W6,B1、B2,,2026-01-01,
`, PeopleOptions{Now: func() time.Time { return time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	hall, town := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	heads := func(token, grid, at string) (out string) {
		for _, i := range st.want(200, "GET", "/api/v1/grids/"+grid+"/heads?at="+at, token, "").json(t)["items"].([]any) {
			out += fmt.Sprint(i.(map[string]any)["role"], " ", i.(map[string]any)["badge"], "; ")
		}
		return out
	}
	if got := heads(town, "A1", "2026-05-31T15:59:59Z"); got != "head W1; deputy W4; worker W3; " {
		t.Errorf("the last second of May in China: %s", got)
	}
	if got := heads(hall, "A1", "2026-05-31T16:00:00Z"); got != "head W2; deputy W4; worker W3; " {
		t.Errorf("the first of June in China: %s", got)
	}
	st.want(404, "GET", "/api/v1/grids/B1/heads", town, "")
	unstaffed := func(token, query string) (out string) {
		for _, i := range st.want(200, "GET", "/api/v1/grids/unstaffed?"+query, token, "").json(t)["items"].([]any) {
			out += fmt.Sprint(i.(map[string]any)["code"], " ")
		}
		return out
	}
	st.exec("UPDATE worker SET active = false WHERE badge = 'W6'")
	for _, c := range []struct{ token, query, want string }{
		{hall, "at=2026-02-01T00:00:00Z", "B1 B2 "},
		{hall, "at=2026-04-01T00:00:00Z", "A2 B1 B2 "},
		{town, "at=2026-04-01T00:00:00Z", "A2 "},
		{hall, "at=2026-04-01T00:00:00Z&level=2", "A B "},
	} {
		if got := unstaffed(c.token, c.query); got != c.want {
			t.Errorf("without a worker (%s): %s, want %s", c.query, got, c.want)
		}
	}
}

// TestTheDutyOfficerIsFoundUpward: the grid's own, else that of the next grid above,
// with the holes told; one at a time.
func TestTheDutyOfficerIsFoundUpward(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	if _, _, _, err := st.roster("badge,grids\nW1,A1\nW2,B1\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	st.exec("INSERT INTO account (login, state, password, created_by) VALUES ('duty.c', 'active', 'none', 'test'), ('gone.c', 'disabled', NULL, 'test')")
	st.exec(`INSERT INTO account_grant (account_id, role, grid_code, root_code, state, proposed_by, security_by, active_at)
		SELECT id, 'dispatcher', 'C', 'C', 'active', 'test', 'test', now() FROM account WHERE login = 'duty.c'`)
	hall, town := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	now := time.Now().UTC()
	post := func(status int, token, grid, who string, from, to time.Duration) answer {
		t.Helper()
		return st.want(status, "POST", "/api/v1/duty-officers", token, fmt.Sprintf(`{"grid":%q,%s,"from":%q,"to":%q}`, grid, who, now.Add(from).Format(time.RFC3339), now.Add(to).Format(time.RFC3339)))
	}
	const w1, login = `"badge":"W1"`, `"login":"duty.c"`
	post(201, town, "A", w1, time.Hour, 3*time.Hour)
	id := post(201, hall, "C", login, 2*time.Hour, 4*time.Hour).json(t)["id"].(string)
	post(409, hall, "A", w1, 2*time.Hour, 4*time.Hour) // somebody is there
	post(201, hall, "A", w1, 3*time.Hour, 4*time.Hour) // from when that one ends
	for _, c := range []struct {
		token, grid, who string
		from, to         time.Duration
	}{
		{town, "C", w1, time.Hour, 2 * time.Hour},                 // above the own grids
		{town, "B1", w1, time.Hour, 2 * time.Hour},                // beside them
		{hall, "B", `"login":"gone.c"`, time.Hour, 2 * time.Hour}, // disabled
		{hall, "B", `"badge":"W9"`, time.Hour, 2 * time.Hour},     // nobody
		{hall, "B", w1 + "," + login, time.Hour, 2 * time.Hour},   // two people
		{hall, "B", w1, -2 * time.Hour, -time.Hour},               // the past
		{hall, "B", w1, 2 * time.Hour, time.Hour},                 // backwards
	} {
		post(422, c.token, c.grid, c.who, c.from, c.to)
	}
	officer := func(grid string, after time.Duration) string {
		v := st.want(200, "GET", "/api/v1/grids/"+grid+"/duty-officer?at="+now.Add(after).Format(time.RFC3339), hall, "").json(t)
		if v["officer"] == nil {
			return fmt.Sprint("nobody ", v["holes"])
		}
		o := v["officer"].(map[string]any)
		s := o["staff"].(map[string]any)
		return fmt.Sprint(o["grid"], " ", s["badge"], s["login"], " ", v["holes"])
	}
	for _, c := range []struct {
		grid  string
		after time.Duration
		want  string
	}{
		{"A1", 30 * time.Minute, "nobody [A1 A C]"},
		{"A1", 90 * time.Minute, "A W1<nil> [A1]"},
		{"A", 90 * time.Minute, "A W1<nil> []"},
		{"B1", 90 * time.Minute, "nobody [B1 B C]"},
		{"B1", 150 * time.Minute, "C <nil>duty.c [B1 B]"},
	} {
		if got := officer(c.grid, c.after); got != c.want {
			t.Errorf("%s after %s: %s, want %s", c.grid, c.after, got, c.want)
		}
	}
	st.exec("UPDATE worker SET active = false WHERE badge = 'W1'")
	if got := officer("A1", 150*time.Minute); got != "C <nil>duty.c [A1 A]" {
		t.Errorf("whoever is gone does not answer: %s", got)
	}
	// The clocks ask by number, of any version of the grids.
	no := st.count("SELECT g.no FROM grid g WHERE g.code = 'B1'")
	o, holes, err := store.OfficerOf(t.Context(), st.s.db.Pool, int32(no), now.Add(150*time.Minute))
	if err != nil || o == nil || o.Staff.Login != "duty.c" || len(holes) != 2 || holes[0].Grid != "B1" || holes[1].Level != 2 {
		t.Errorf("%+v %+v %v", o, holes, err)
	}
	if a := st.get("/api/v1/duty-officers?from="+now.Format(time.RFC3339)+"&to="+now.Add(9*time.Hour).Format(time.RFC3339), town); strings.Count(string(a.body), `"id"`) != 2 {
		t.Errorf("a town sees its own two: %s", a.body)
	}
	st.want(404, "DELETE", "/api/v1/duty-officers/"+id, town, "")
	st.want(200, "DELETE", "/api/v1/duty-officers/"+id, hall, "")
	if got := officer("B1", 150*time.Minute); got != "nobody [B1 B C]" {
		t.Errorf("taken back: %s", got)
	}
}

// TestADepartmentIsReachedByItsLiaison: without one, or with one who is gone, routing
// is told so; the backup steps in.
func TestADepartmentIsReachedByItsLiaison(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	if _, _, _, err := st.roster("badge,grids\nW1,A1\nW2,B1\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	hall, dept := st.token(auth.HallOperator, ""), st.count("SELECT id FROM department WHERE name = '消防救援'")
	reach := func() string {
		l, err := store.LiaisonOf(t.Context(), st.s.db.Pool, int64(dept), "C", time.Now())
		var none *store.NoLiaisonError
		if errors.As(err, &none) {
			return none.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		return l.Role + " " + l.Staff.Badge
	}
	if got := reach(); !strings.Contains(got, "department 消防救援 has no liaison officer") {
		t.Error(got)
	}
	name := func(status int, role, badge string) answer {
		t.Helper()
		return st.want(status, "POST", "/api/v1/liaisons", hall, fmt.Sprintf(`{"department":"消防救援","role":%q,"badge":%q}`, role, badge))
	}
	name(201, "backup", "W2")
	if got := reach(); got != "backup W2" {
		t.Error(got)
	}
	id := name(201, "liaison", "W1").json(t)["id"].(string)
	name(409, "liaison", "W2")
	name(422, "liaison", "W9")
	if got := reach(); got != "liaison W1" {
		t.Error(got)
	}
	st.exec("UPDATE worker SET active = false WHERE badge = 'W1'")
	if got := reach(); got != "backup W2" {
		t.Error(got)
	}
	st.want(403, "POST", "/api/v1/liaisons", st.token(auth.VillageHead, "A1"), `{"department":"消防救援","role":"backup","badge":"W2"}`)
	st.want(422, "PUT", "/api/v1/departments/消防救援/duty", hall, `{"duty_mode":"rotating"}`)
	st.want(422, "PUT", "/api/v1/departments/消防救援/duty", hall, `{"duty_mode":"resident","days":[1]}`)
	st.want(404, "PUT", "/api/v1/departments/没有/duty", hall, `{"duty_mode":"resident"}`)
	st.want(204, "PUT", "/api/v1/departments/消防救援/duty", hall, `{"duty_mode":"rotating","days":[5,1,1]}`)
	list := string(st.want(200, "GET", "/api/v1/departments", st.token(auth.TownOperator, "A"), "").body)
	if !strings.Contains(list, `"name":"消防救援","duty_mode":"rotating","days":[1,5],`) || !strings.Contains(list, `"reached":true,"liaisons":[{"id":"`+id) || !strings.Contains(list, `"duty_mode":null`) {
		t.Error(list)
	}
	st.want(200, "DELETE", "/api/v1/liaisons/"+id, hall, "")
	st.want(404, "DELETE", "/api/v1/liaisons/"+id, hall, "")
	name(201, "liaison", "W2") // the same day
}

// TestNothingIsRoutedPastAMissingLiaison: named or not, once the county names liaisons
// at all; a centre that names none is not held up.
func TestNothingIsRoutedPastAMissingLiaison(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	if _, _, _, err := st.roster("badge,grids\nW1,A1\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	hall := st.token(auth.HallOperator, "")
	accepted := func() *teller {
		x := st.matter(t, hall, lane) // led by 消防救援 by its category
		x.walk(hall, "accept")
		return x
	}
	first := accepted()
	first.walk(hall, "route") // nobody is named for any department
	st.want(201, "POST", "/api/v1/liaisons", hall, `{"department":"妇联","role":"liaison","badge":"W1"}`)
	first.act(hall, `{"action":"reassign","reason":"上提","level":1}`, 409, "liaison officer")
	second := accepted()
	second.act(hall, `{"action":"route"}`, 409, "liaison officer")
	second.act(hall, `{"action":"route","department":"消防救援"}`, 409, "liaison officer")
	second.act(hall, `{"action":"route","department":"妇联"}`, 200, "")
	st.want(201, "POST", "/api/v1/liaisons", hall, `{"department":"消防救援","role":"backup","badge":"W1"}`)
	first.act(hall, `{"action":"reassign","reason":"上提","level":1}`, 200, "")
	accepted().walk(hall, "route")
	st.exec("UPDATE worker SET active = false")
	accepted().act(hall, `{"action":"route"}`, 409, "liaison officer")
}

const contactsCSV = `网格编码,角色,楼栋,单元,姓名,手机
A1,楼栋长,3号楼,,欧阳一,13800000001
A1,单元长,3号楼,1单元,赵二,13800000002
A1,单元长,3号楼,1单元,钱三,13800000003
A2,站长,3号楼,,孙四,13800000004
ZZ,楼栋长,3号楼,,李五,13800000005
B1,楼栋长,5号楼,,周六,
`

// TestContactsBelowTheGrid: imported, listed masked in scope, revealed with a reason.
func TestContactsBelowTheGrid(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	bring := func(text string, replace bool) (job.Counts, string) {
		t.Helper()
		res, rejects, _, err := ImportContacts(t.Context(), ContactOptions{DB: st.s.db, Sealer: st.s.seal, File: st.file("contacts.csv", text), Replace: replace, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return res.Counts, rejects
	}
	counts, rejects := bring(contactsCSV, false)
	if counts != (job.Counts{InGrid: 3, Rejected: 3}) {
		t.Errorf("%+v", counts)
	}
	text, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"与第 2 行是同一", "role 不是", "“ZZ”不在现行网格中", "钱*,138****0003"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("reject file lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "13800000") || strings.Contains(string(text), "钱三") {
		t.Errorf("reject file tells who: %s", text)
	}
	// Keep --replace from deleting while a row is refused; then what is gone goes.
	if c, _ := bring(contactsCSV+"\n", true); c.Repeated != 3 || st.count("SELECT count(*) FROM contact") != 3 {
		t.Errorf("again: %+v", c)
	}
	if c, _ := bring("grid,role,building,name,phone\nA1,building_head,3号楼,欧阳一,13800000009\nB1,building_head,5号楼,吴七,\n", true); c.InGrid != 2 || st.count("SELECT count(*) FROM contact") != 2 {
		t.Errorf("replaced: %+v", c)
	}
	if _, _, _, err := ImportContacts(t.Context(), ContactOptions{DB: st.s.db, Sealer: st.s.seal, File: st.file("c.csv", "grid,role,building,name,身份证号\n"), Now: time.Now}); err == nil || !strings.Contains(err.Error(), "身份证号") {
		t.Errorf("identity numbers: %v", err)
	}
	village := st.token(auth.VillageHead, "A1")
	list := st.want(200, "GET", "/api/v1/grids/A1/contacts", village, "").json(t)["items"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["name"] != "欧**" || list[0].(map[string]any)["phone"] != "138****0009" {
		t.Fatalf("%v", list)
	}
	reveal := "/api/v1/contacts/" + list[0].(map[string]any)["id"].(string) + "/reveal"
	st.want(404, "GET", "/api/v1/grids/B1/contacts", village, "")
	st.want(404, "POST", reveal, st.token(auth.TownOperator, "B"), `{"reason":"燃气泄漏疏散"}`)
	st.want(422, "POST", reveal, village, `{"reason":""}`)
	st.want(403, "POST", reveal, st.token(auth.CountyLeader, ""), `{"reason":"燃气泄漏疏散"}`)
	if v := st.want(200, "POST", reveal, village, `{"reason":"燃气泄漏疏散"}`).json(t); v["name"] != "欧阳一" || v["phone"] != "13800000009" {
		t.Errorf("%v", v)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'contact.reveal' AND reason = '燃气泄漏疏散'"); n != 1 {
		t.Errorf("%d audit rows", n)
	}
	if n := st.count("SELECT count(*) FROM contact c WHERE encode(c.name_sealed, 'escape') ~ '欧阳' OR c.phone_sealed IS NOT NULL AND c.grid_code = 'B1'"); n != 0 {
		t.Error("a name is stored as it is, or another's phone stays")
	}
	// Pages, by building and unit; several thousand come in at once.
	var many strings.Builder
	many.WriteString("grid,role,building,unit,name,phone\n")
	for i := range 3000 {
		fmt.Fprintf(&many, "A2,unit_head,%d号楼,%d单元,楼长%d,139%08d\n", i/6, i%6, i, i)
	}
	begin := time.Now()
	if c, _ := bring(many.String(), false); c.InGrid != 3000 {
		t.Errorf("%+v", c)
	}
	t.Logf("3,000 contacts in %s", time.Since(begin).Round(time.Millisecond))
	seen, cursor := map[string]bool{}, ""
	for range 30 {
		page := st.want(200, "GET", "/api/v1/grids/A2/contacts?cursor="+cursor, st.token(auth.HallOperator, ""), "").json(t)
		for _, i := range page["items"].([]any) {
			seen[i.(map[string]any)["id"].(string)] = true
		}
		if page["cursor"] == nil {
			break
		}
		cursor = page["cursor"].(string)
	}
	if len(seen) != 3000 {
		t.Errorf("%d of 3,000 on the pages", len(seen))
	}
}

// TestTheDeskIsHandedOver: not while a P1 waits for its signature; by one, to another.
func TestTheDeskIsHandedOver(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	one, two := st.token(auth.Dispatcher, ""), st.token(auth.HallOperator, "")
	report := func(priority int) string {
		return st.want(201, "POST", "/api/v1/incidents", one, fmt.Sprintf(`{"category":"0301","title":"占堵","priority":%d,"location":{"lon":107.1,"lat":38.1,"crs":"wgs84"}}`, priority)).json(t)["id"].(string)
	}
	p1, p2 := report(1), report(2)
	report(3)
	const body = `{"text":"夜间有雷雨，留意低洼路段"}`
	if a := st.want(409, "POST", "/api/v1/handovers", one, body); !strings.Contains(string(a.body), `"incidents":[{"id":"`+p1+`"`) || strings.Contains(string(a.body), `"`+p2+`"`) {
		t.Errorf("the one in the way is named: %s", a.body)
	}
	for i, act := range []string{"accept", "route", "acknowledge"} {
		if a := st.call("POST", "/api/v1/incidents/"+p1+"/actions", one, `{"action":"`+act+`"}`, fmt.Sprintf(`If-Match: "%d"`, i+1)); a.status != 200 {
			t.Fatalf("%s: %s", act, a.body)
		}
		want := 409
		if act == "acknowledge" {
			want = 201
		}
		if a := st.call("POST", "/api/v1/handovers", one, body); a.status != want {
			t.Fatalf("after %s: %d %s", act, a.status, a.body)
		}
	}
	item := st.want(200, "GET", "/api/v1/handovers", two, "").json(t)["items"].([]any)[0].(map[string]any)
	if item["p1"] != 1.0 || item["p2"] != 1.0 || len(item["incidents"].([]any)) != 2 || item["accepted_by"] != nil || item["county"] != "C" {
		t.Errorf("%v", item)
	}
	accept := "/api/v1/handovers/" + item["id"].(string) + "/accept"
	st.want(409, "POST", accept, one, "")
	st.want(403, "POST", accept, st.token(auth.TownOperator, "A"), "")
	st.want(404, "POST", accept, st.token(auth.Dispatcher, "A"), "") // a desk is a county's
	if v := st.want(200, "POST", accept, two, "").json(t); v["accepted_by"] == nil || v["p1"] != 1.0 {
		t.Errorf("%v", v)
	}
	st.want(409, "POST", accept, st.token(auth.Dispatcher, ""), "")
	if n := st.count("SELECT count(*) FROM audit_log WHERE action IN ('handover.make', 'handover.accept')"); n != 2 {
		t.Errorf("%d audit rows", n)
	}
}

// TestWhoHoldsWorkIsNotJustRemoved: refused with the list, or handed over; then the
// worker leaves screens, terminals and duty.
func TestWhoHoldsWorkIsNotJustRemoved(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	if _, _, _, err := st.roster("badge,grids,hours,device\nW1,A1,每天 00:00-24:00,d1\nW2,A2,每天 00:00-24:00,d2\nW3,B1,,\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	hall, town := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	var ids []string
	for range 3 {
		ids = append(ids, st.report(hall, 107.1, 38.1).json(t)["id"].(string))
	}
	w1, w2 := st.workerID("W1"), st.workerID("W2")
	st.exec("INSERT INTO incident_worker (incident_id, worker_id, relation) VALUES ($1, $4, 'lead'), ($2, $4, 'assist'), ($2, $5, 'lead'), ($3, $4, 'reported')", ids[0], ids[1], ids[2], w1, w2)
	st.exec("INSERT INTO device (unique_id) VALUES ('shared')")
	st.want(201, "POST", "/api/v1/shifts", st.workerToken("W1", "A1"), `{"device":"shared"}`)
	screen := st.live(town, `{"type":"hello"}`)
	screen.next()
	path := fmt.Sprintf("/api/v1/workers/%d/deactivate", w1)
	a := st.want(409, "POST", path, town, `{"reason":"调离本镇"}`)
	if body := string(a.body); strings.Count(body, `"number"`) != 2 || !strings.Contains(body, `"id":"`+ids[0]+`"`) || !strings.Contains(body, `"id":"`+ids[1]+`"`) {
		t.Errorf("%s", body)
	}
	st.want(422, "POST", path, town, `{"reason":"调离本镇","hand_to":"W3"}`) // of another town
	st.want(422, "POST", path, town, `{"reason":"调离本镇","hand_to":"W1"}`)
	st.want(404, "POST", path, st.token(auth.TownOperator, "B"), `{"reason":"调离本镇"}`)
	if st.count("SELECT count(*) FROM worker WHERE active") != 3 {
		t.Fatal("a refusal removes somebody")
	}
	if v := st.want(200, "POST", path, town, `{"reason":"调离本镇","hand_to":"W2"}`).json(t); v["handed_over"] != 2.0 {
		t.Errorf("%v", v)
	}
	if n := st.count(`SELECT count(*) FROM incident_worker WHERE until IS NULL AND relation <> 'reported' AND (worker_id, incident_id, relation)
		IN (($3, $1, 'lead'), ($3, $2, 'lead'), ($3, $2, 'assist'))`, ids[0], ids[1], w2); n != 3 {
		t.Errorf("W2 holds %d of 3", n)
	}
	if n := st.count("SELECT count(*) FROM incident_worker WHERE until IS NULL AND relation <> 'reported' AND worker_id = $1", w1); n != 0 {
		t.Errorf("W1 still holds %d", n)
	}
	if n := st.count("SELECT count(*) FROM incident_journal WHERE kind = 'hand_over' AND incident_id IN ($1, $2)", ids[0], ids[1]); n != 2 {
		t.Errorf("%d journal entries", n)
	}
	for m := screen.next(); m.Kind != "worker.ended"; m = screen.next() {
	}
	st.wait("the worker out of the live state", func() bool {
		return st.count("SELECT count(*) FROM live_state WHERE kind = 'worker' AND id = $1", fmt.Sprint(w1)) == 0
	})
	if n := st.count("SELECT count(*) FROM device_binding WHERE worker_id = $1 AND valid_to > now()", w1); n != 0 {
		t.Error("terminals are still bound")
	}
	if n := st.count("SELECT count(*) FROM shift WHERE worker_id = $1 AND ended_how = 'removed'", w1); n != 1 {
		t.Error("the shift goes on")
	}
	st.want(404, "POST", path, town, `{"reason":"调离本镇"}`) // gone already
	st.wait("its fixes are refused", func() bool { return st.sends("d1", time.Now()) == 0 })
	// A roster does not bring back who was removed; the hall does.
	if res, rejects, _, err := st.roster("badge,grids\nW1,A1\n", PeopleOptions{}); err != nil || res.Counts.Rejected != 1 {
		t.Errorf("%+v %s %v", res.Counts, rejects, err)
	}
	st.want(404, "POST", fmt.Sprintf("/api/v1/workers/%d/activate", w1), st.token(auth.TownOperator, "B"), `{"reason":"调回本镇"}`)
	st.want(204, "POST", fmt.Sprintf("/api/v1/workers/%d/activate", w1), town, `{"reason":"调回本镇"}`)
	for m := screen.next(); m.Kind != "worker.changed" || !strings.Contains(string(m.Data), `"W1"`); m = screen.next() {
	}
	// Nobody else's work is in the way of who holds none.
	st.want(200, "POST", fmt.Sprintf("/api/v1/workers/%d/deactivate", w1), hall, `{"reason":"退休离岗"}`)
}

// TestSkillsAreACatalogue: once there is one a roster names no other skill, by code or
// by name; and who has one is asked for by its code.
func TestSkillsAreACatalogue(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	if _, _, _, err := st.roster("badge,grids,skills\nW1,A1,急救、木工\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	n, recoded, unknown, err := ImportSkills(t.Context(), st.s.db, st.file("skills.csv", "编码,名称\nfirst_aid,急救\ndriving,驾驶\n"), file.Options{}, time.Now())
	if n != 2 || recoded != 1 || len(unknown) != 1 || unknown[0] != "木工" || err != nil {
		t.Errorf("%d %d %v %v", n, recoded, unknown, err)
	}
	if _, _, _, err := ImportSkills(t.Context(), st.s.db, st.file("skills.csv", "code,name\na,急救\na,驾驶\n"), file.Options{}, time.Now()); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("a code twice: %v", err)
	}
	res, rejects, _, err := st.roster("badge,grids,skills\nW2,A1,急救；driving\nW3,A1,飞行\n", PeopleOptions{})
	text, _ := os.ReadFile(rejects)
	if err != nil || res.Counts.InGrid != 1 || res.Counts.Rejected != 1 || !strings.Contains(string(text), "“飞行”不在技能目录中") {
		t.Errorf("%+v %v %s", res.Counts, err, text)
	}
	hall := st.token(auth.HallOperator, "")
	if a := st.want(200, "GET", "/api/v1/skills", hall, ""); string(a.body) != `{"items":[{"code":"driving","name":"驾驶"},{"code":"first_aid","name":"急救"}]}`+"\n" {
		t.Errorf("%s", a.body)
	}
	st.wait("who has a skill", func() bool {
		aid, driving := st.get("/api/v1/workers/live?skill=first_aid", hall), st.get("/api/v1/workers/live?skill=driving", hall)
		return strings.Count(string(aid.body), `"badge"`) == 2 && strings.Count(string(driving.body), `"badge"`) == 1 && strings.Contains(string(driving.body), `"W2"`)
	})
}
