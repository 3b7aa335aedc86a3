// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/api"
	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/store/ledger"
)

// world is two counties in one database, with somebody of every role at home in
// the first of them, and the second as what nobody there may see.
//
//	      +0    +0.1   +0.2   +0.3   +0.4      +0.5   +0.6   +0.7        +1
//	+0.9 ┌──────────────────────────┐        ┌──────────────┐           ┐
//	     │ town 1 (strip)           │        │ town 2       │  county   │
//	+0.4 ├─────────────┬────────────┤        ├──────────────┤  (strip)  │
//	     │ 11 (strip)  │ 12         │        │ 21           │           │
//	+0.2 ├──────┬──────┼──────┬─────┤        ├──────┐       │           │
//	     │ 111  │ 112  │ 121  │ X9  │        │ 211  │       │           │
//	+0   └──────┴──────┴──────┴─────┘        └──────┴───────┘           ┘
//
// County P begins at 107 degrees east, county Q at 109; both at 38 north. Codes
// are the county's letter and the number; X9 is a code that both counties use.
type world struct {
	*stand
	log         *logBook
	url         string // of the database
	actors      []*actor
	incidents   []*matter
	workers     []*hand
	errands     []errand
	blasts      []blast
	slips       []slip
	papers      []paper
	walks       []beat
	cameras     []*lens
	tenants     []*tenant // contacts, one in every grid
	accounts    []*account
	grids       map[string]*place // by county and code: "P/X9"
	scan        *scanner
	hallQ       string            // token of the other county's hall
	secrets     map[string]string // of who signed in, by what they are
	numbersOnce sync.Once
	byNumber    map[int]string
	adminQ      string    // id of a credential of the other county
	adminP      string    // id of a credential of this county
	week        time.Time // Monday of the week it was made in

	supervised   sync.Once
	supervisions map[string]string // of each incident
}

// place is a grid as the design draws it, without the tree of the code.
type place struct {
	key, code, county, parent string // keys; parent "" for a county
	level                     int
	at                        [2]float64 // a point that lies in this grid and in none below
}

func (p *place) within(w *world, top string) bool {
	for p != nil {
		if p.key == top {
			return true
		}
		p = w.grids[p.parent]
	}
	return false
}

// actor is somebody who asks, with what the matrix has to know of them.
type actor struct {
	name   string
	role   auth.Role
	home   string // key of the grid of the grant
	flag   bool   // may handle sensitive categories
	worker int64
	dept   string // name
	layers []string
	token  string
	id     string // as the audit log names it
}

// matter is an incident of the world.
type matter struct {
	name, category, grid string // grid: key
	top                  string
	dept                 string
	assist               string // a department that assists
	worker               int64
	sensitive, closed    bool
	outside, past        bool
	when                 time.Time // reported
	id                   string
	title                string
	at                   [2]float64
	reporter             [3]string // name, phone, id number
}

type hand struct {
	id          int64
	badge, grid string
	name, phone string
	at          [2]float64
}

type lens struct {
	id         string
	name, grid string
	at         [2]float64
}

type account struct {
	login, grid string // grid: key of its grant; "" for none
	made        string // the county of who made it
	role        auth.Role
	id, grant   int64
}

// Departments of the default categories.
const (
	fireDept  = "消防救援" // of 0301
	womenDept = "妇联"   // of 0102
)

// categories used, with the top category and the department they go to.
var kinds = map[string]struct {
	top, dept string
	sensitive bool
}{
	"0501": {"05", "住房建设", false}, "0301": {"03", fireDept, false}, "0101": {"01", "村社区", false}, "0102": {"01", womenDept, true},
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{grids: map[string]*place{}, log: &logBook{}, url: pgtest.URL(t)}
	db, err := store.Open(t.Context(), w.url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	w.county(t, db, "P", 107)
	w.county(t, db, "Q", 109)
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	w.people(t, db)
	w.map_(t, db)
	w.beats(t, db)
	db.Close()
	lots := 1_000_000
	w.stand = startStand(t, Options{DatabaseURL: w.url, Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Limits: api.Limits{
		ReadsPerSecond: lots, ChangesPerSecond: lots, TilesPerSecond: lots, WrongSecrets: lots, RevealsPerDay: lots, ExportsPerDay: lots,
		Wait: 20 * time.Second,
	}})
	w.stand.http.Transport = &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(w.stand.http.CloseIdleConnections)
	w.scan = newScanner()
	w.cast(t)
	w.sealWorkers(t)
	w.staff(t)
	w.report(t)
	w.attach(t)
	w.accounts = w.makeAccounts(t, "")
	w.move(t)
	w.offer(t)
	w.whistle(t)
	w.slipping(t)
	w.printing(t)
	w.patrolling(t)
	return w
}

func (w *world) exec(t *testing.T, db *store.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
}

// county stores and enacts the county with this letter, its corner at x east.
func (w *world) county(t *testing.T, db *store.DB, c string, x float64) {
	t.Helper()
	const y = 38
	var drafts []grid.Draft
	add := func(code, parent string, level int, x0, y0, x1, y1, px, py float64) {
		d := grid.Draft{Code: grid.Code(code), Parent: grid.Code(parent), Level: level, Name: "格" + code, Geom: orb.MultiPolygon{{{
			{x + x0, y + y0}, {x + x1, y + y0}, {x + x1, y + y1}, {x + x0, y + y1}, {x + x0, y + y0},
		}}}}
		drafts = append(drafts, d)
		p := &place{key: c + "/" + code, code: code, county: c, level: level, at: [2]float64{x + px, y + py}}
		if parent != "" {
			p.parent = c + "/" + parent
		}
		w.grids[p.key] = p
	}
	add(c, "", 1, 0, 0, 1, 1, 0.8, 0.8)
	add(c+"1", c, 2, 0, 0, 0.4, 0.9, 0.2, 0.6)
	add(c+"2", c, 2, 0.5, 0, 0.7, 0.9, 0.6, 0.6)
	add(c+"11", c+"1", 3, 0, 0, 0.2, 0.4, 0.1, 0.3)
	add(c+"12", c+"1", 3, 0.2, 0, 0.4, 0.4, 0.3, 0.3)
	add(c+"21", c+"2", 3, 0.5, 0, 0.7, 0.4, 0.6, 0.3)
	add(c+"111", c+"11", 4, 0, 0, 0.1, 0.2, 0.05, 0.1)
	add(c+"112", c+"11", 4, 0.1, 0, 0.2, 0.2, 0.15, 0.1)
	add(c+"121", c+"12", 4, 0.2, 0, 0.3, 0.2, 0.25, 0.1)
	add("X9", c+"12", 4, 0.3, 0, 0.4, 0.2, 0.35, 0.1)
	add(c+"211", c+"21", 4, 0.5, 0, 0.6, 0.2, 0.55, 0.1)
	version, err := db.SaveDraft(t.Context(), drafts, true, "test")
	if err == nil {
		var cat *store.Catalogue
		if cat, err = store.NewCatalogue(t.Context(), db); err == nil {
			_, err = ledger.New(ledger.Options{DB: db, Catalogue: cat, Now: time.Now}).Enact(t.Context(), auth.SystemActor("test"), ledger.Enactment{Version: version, AcceptFaults: true})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) people(t *testing.T, db *store.DB) {
	t.Helper()
	for i, g := range []string{"P/P111", "P/P112", "P/P121", "P/P211", "Q/Q111", "Q/Q211"} {
		h := &hand{
			badge: fmt.Sprintf("B%02d", i+1), grid: g, name: fmt.Sprintf("%s工%d", birdName, i+1), phone: fmt.Sprintf("1885550%04d", i+1),
			at: w.grids[g].at,
		}
		if err := db.Pool.QueryRow(t.Context(), "INSERT INTO worker (badge) VALUES ($1) RETURNING id", h.badge).Scan(&h.id); err != nil {
			t.Fatal(err)
		}
		w.exec(t, db, "INSERT INTO worker_grid (worker_id, grid_code) VALUES ($1, $2)", h.id, w.grids[g].code)
		w.exec(t, db, "INSERT INTO rota (worker_id, weekday, start_min, end_min) SELECT $1, d, 0, 1440 FROM generate_series(1, 7) d", h.id)
		// Ten minutes a fix is fresh for: on a busy machine the asking takes longer than two.
		w.exec(t, db, "INSERT INTO device (id, unique_id, interval_s) OVERRIDING SYSTEM VALUE VALUES ($1, $2, 300)", h.id, "dev-"+h.badge)
		w.exec(t, db, "INSERT INTO device_binding (device_id, worker_id, valid_from) VALUES ($1, $1, now() - interval '1 day')", h.id)
		w.workers = append(w.workers, h)
	}
}

// map_ puts a camera and an address into every grid that a point lies in, and a road
// through both counties.
func (w *world) map_(t *testing.T, db *store.DB) {
	t.Helper()
	n := 0
	for key, p := range w.grids {
		n++
		c := &lens{name: "镜头" + key, grid: key, at: p.at}
		w.exec(t, db, "INSERT INTO camera (gb_code, name, geom) VALUES ($1, $2, ST_SetSRID(ST_MakePoint($3, $4), 4326))",
			fmt.Sprintf("%020d", 15062400001310000+n), c.name, p.at[0], p.at[1])
		w.cameras = append(w.cameras, c)
		w.layerPoint(t, db, p)
		w.exec(t, db, `INSERT INTO place (source, external_id, kind, name, root_code, geom, raw_lon, raw_lat, raw_datum)
			VALUES ('test', $1, 'address', $1, $2, ST_SetSRID(ST_MakePoint($3, $4), 4326), $3, $4, 'wgs84')`, wellIn(key), p.county, p.at[0], p.at[1])
	}
	for _, c := range w.cameras {
		if err := db.Pool.QueryRow(t.Context(), "SELECT id::text FROM camera WHERE name = $1", c.name).Scan(&c.id); err != nil {
			t.Fatal(err)
		}
	}
	w.exec(t, db, `INSERT INTO road (ext_id, name, class, geom) VALUES ('r1', '大路', 'trunk', ST_GeomFromText('LINESTRING(107 38.1, 110 38.1)', 4326))`)
}

// cast makes the actors: one of every role at least, all but one at home in county P.
func (w *world) cast(t *testing.T) {
	t.Helper()
	w1 := w.workers[0].id
	w.actors = []*actor{
		{name: "system admin", role: auth.SystemAdmin, home: "P/P"},
		{name: "security admin", role: auth.SecurityAdmin, home: "P/P"},
		{name: "auditor", role: auth.Auditor, home: "P/P"},
		{name: "auditor with the flag", role: auth.Auditor, home: "P/P", flag: true},
		{name: "leader", role: auth.CountyLeader, home: "P/P"},
		{name: "hall", role: auth.HallOperator, home: "P/P"},
		{name: "hall with the flag", role: auth.HallOperator, home: "P/P", flag: true},
		{name: "dispatcher", role: auth.Dispatcher, home: "P/P", flag: true},
		{name: "dispatcher without the flag", role: auth.Dispatcher, home: "P/P"},
		{name: "town", role: auth.TownOperator, home: "P/P1"},
		{name: "town with the flag", role: auth.TownOperator, home: "P/P1", flag: true},
		{name: "village", role: auth.VillageHead, home: "P/P11"},
		{name: "village with the flag", role: auth.VillageHead, home: "P/P11", flag: true},
		{name: "village of a shared code", role: auth.VillageHead, home: "P/X9"},
		{name: "village of that code in Q", role: auth.VillageHead, home: "Q/X9"},
		{name: "worker", role: auth.GridWorker, home: "P/P111", worker: w1},
		{name: "worker who is nobody's", role: auth.GridWorker, home: "P/P111"},
		{name: "fire department", role: auth.DeptHandler, home: "P/P", dept: fireDept},
		{name: "women's department", role: auth.DeptHandler, home: "P/P", dept: womenDept},
		{name: "wall", role: auth.Wall, home: "P/P"},
		{name: "wall of a town", role: auth.Wall, home: "P/P1", layers: []string{"grids"}},
	}
	for _, a := range w.actors {
		a.token, a.id = w.secret(t, a)
		w.scan.forbid(a.token)
	}
	w.adminP = strings.TrimPrefix(w.actors[5].id, "token:")
	q, id := w.secret(t, &actor{name: "hall of Q", role: auth.HallOperator, home: "Q/Q", flag: true})
	w.hallQ, w.adminQ = q, strings.TrimPrefix(id, "token:")
	w.scan.forbid(q)
}

// secret stores a credential for the actor.
func (w *world) secret(t *testing.T, a *actor) (token, id string) {
	t.Helper()
	g := w.grids[a.home]
	until := time.Now().Add(tokenLife)
	c := store.Credential{
		Kind: store.Token, Role: a.role, GridCode: g.code, RootCode: g.county, ExpiresAt: &until, Sensitive: a.flag, Worker: uint32(a.worker),
		Layers: a.layers, Note: a.name,
	}
	if a.dept != "" {
		c.Department = int64(w.count("SELECT id FROM department WHERE name = $1", a.dept))
	}
	secret := store.NewSecret()
	n, err := w.s.db.SaveCredential(t.Context(), w.s.db.Pool, secret, c)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	return secret, fmt.Sprintf("token:%d", n)
}

func (w *world) sealWorkers(t *testing.T) {
	t.Helper()
	for _, h := range w.workers {
		name, err1 := w.s.seal.Seal(fmt.Sprintf("worker/%d/name", h.id), h.name)
		phone, err2 := w.s.seal.Seal(fmt.Sprintf("worker/%d/phone", h.id), h.phone)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		w.exec(t, w.s.db, "UPDATE worker SET name_sealed = $2, phone_sealed = $3 WHERE id = $1", h.id, name, phone)
	}
}

// report sends the reports that make the world's incidents.
func (w *world) report(t *testing.T) {
	t.Helper()
	hallP := w.named("hall with the flag").token
	add := func(category, key string, worker int64, closed bool) *matter {
		g := w.grids[key]
		m := &matter{category: category, grid: key, worker: worker, closed: closed}
		k := kinds[category]
		m.top, m.dept, m.sensitive = k.top, k.dept, k.sensitive
		m.at = g.at
		token := hallP
		switch {
		case worker == w.workers[0].id:
			token = w.named("worker").token
		case g.county == "Q":
			token = w.hallQ
		}
		w.send(t, m, token, "")
		return m
	}
	for _, c := range []string{"P", "Q"} {
		for _, code := range []string{c, c + "1", c + "2", c + "11", c + "12", c + "111", c + "112", c + "121", "X9", c + "211"} {
			add("0501", c+"/"+code, 0, false)
		}
		for _, code := range []string{c + "111", c + "121", c + "211"} {
			add("0102", c+"/"+code, 0, false)
			add("0101", c+"/"+code, 0, false)
			add("0301", c+"/"+code, 0, false)
		}
		add("0301", c+"/"+c+"111", 0, true)
		add("0501", c+"/"+c+"112", 0, true)
	}
	w1 := w.workers[0].id
	add("0501", "P/P111", w1, false)
	add("0501", "P/P211", w1, false)
	add("0102", "P/P111", w1, false)
	add("0501", "P/P111", w1, true)
	out := &matter{category: "0501", grid: "P/P", top: "05", dept: kinds["0501"].dept, outside: true, at: [2]float64{105, 38.5}}
	w.send(t, out, hallP, "")
	for _, m := range w.incidents {
		if !m.closed {
			continue
		}
		token := hallP
		if w.grids[m.grid].county == "Q" {
			token = w.hallQ
		}
		a := w.call("POST", "/api/v1/incidents/"+m.id+"/actions", token, `{"action":"refuse","reason":"不属受理范围","door":"人民法院"}`, `If-Match: "1"`)
		if a.status != 200 {
			t.Fatalf("%s: %d %s", m.name, a.status, a.body)
		}
	}
	w.past(t, hallP)
	w.remarkOn(t)
}

// past are incidents of the last whole week, for what counts whole weeks: six, two
// and three of the open kind, and five that are sensitive.
func (w *world) past(t *testing.T, token string) {
	t.Helper()
	now := time.Now()
	w.week = monday(now)
	day := now.AddDate(0, 0, -7).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		key, category string
		n             int
	}{{"P/P111", "0501", 6}, {"P/P121", "0501", 2}, {"P/P211", "0501", 3}, {"P/P211", "0102", 5}, {"Q/Q111", "0501", 7}} {
		for range c.n {
			k := kinds[c.category]
			m := &matter{category: c.category, grid: c.key, top: k.top, dept: k.dept, sensitive: k.sensitive, at: w.grids[c.key].at}
			by := token
			if w.grids[c.key].county == "Q" {
				by = w.hallQ
			}
			w.send(t, m, by, day)
		}
	}
}

// send reports m, at a point of its own near the middle of its grid.
func (w *world) send(t *testing.T, m *matter, token, day string) {
	t.Helper()
	n := len(w.incidents) + 1
	m.at[0] += float64(n) * 0.0001
	m.at[0], m.at[1] = float64(int(m.at[0]*1e5+0.5))/1e5, float64(int(m.at[1]*1e5+0.5))/1e5
	m.name = fmt.Sprintf("incident %d (%s in %s)", n, m.category, m.grid)
	m.title = fmt.Sprintf("密题%03d号", n)
	m.reporter = [3]string{fmt.Sprintf("%s报%d", birdName, n), fmt.Sprintf("1992220%04d", n), fmt.Sprintf("15062419900101%03d", n)[:17] + "X"}
	when := ""
	if day != "" {
		when, m.past = fmt.Sprintf(`"reported_at":%q,`, day), true
	}
	a := w.call("POST", "/api/v1/incidents", token, fmt.Sprintf(
		`{"category":%q,"title":%q,"text":"密文%03d","address":"密址%03d",%s"location":{"lon":%v,"lat":%v,"crs":"wgs84"},"reporter":{"name":%q,"phone":%q,"id_number":%q}}`,
		m.category, m.title, n, n, when, m.at[0], m.at[1], m.reporter[0], m.reporter[1], m.reporter[2]))
	if a.status != 201 {
		t.Fatalf("%s: %d %s", m.name, a.status, a.body)
	}
	var err error
	if m.when, err = time.Parse(time.RFC3339, a.json(t)["reported_at"].(string)); err != nil {
		t.Fatal(err)
	}
	m.id = a.json(t)["id"].(string)
	w.incidents = append(w.incidents, m)
}

// move has every worker send a fix.
func (w *world) move(t *testing.T) {
	t.Helper()
	if err := w.s.fixes.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, h := range w.workers {
		form := url.Values{
			"id": {"dev-" + h.badge}, "lat": {fmt.Sprint(h.at[1])}, "lon": {fmt.Sprint(h.at[0])}, "timestamp": {fmt.Sprint(time.Now().Unix())}, "accuracy": {"8"},
		}
		res, err := http.PostForm(w.s.DeviceURL()+"/", form)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("fix of %s: %d", h.badge, res.StatusCode)
		}
	}
	w.wait("dots", func() bool { return len(w.s.fixes.Live().Dots()) == len(w.workers) })
}

// makeAccounts stores accounts with grants in both counties, and in both one without.
func (w *world) makeAccounts(t *testing.T, prefix string) (made []*account) {
	t.Helper()
	for _, a := range []*account{
		{login: "in.town1", grid: "P/P1", role: auth.TownOperator},
		{login: "in.p11", grid: "P/P11", role: auth.VillageHead},
		{login: "in.p111", grid: "P/P111", role: auth.GridWorker},
		{login: "in.p2", grid: "P/P2", role: auth.TownOperator},
		{login: "in.p", grid: "P/P", role: auth.Dispatcher},
		{login: "in.q", grid: "Q/Q1", role: auth.TownOperator},
		{login: "no.right", made: "P"},
		{login: "no.right.q", made: "Q"},
	} {
		a.login = prefix + a.login
		err := w.s.db.Pool.QueryRow(t.Context(), `INSERT INTO account (login, state, created_by, root_code)
			VALUES ($1, 'invited', 'token:1', nullif($2, '')) RETURNING id`, a.login, a.made).Scan(&a.id)
		if err == nil && a.grid != "" {
			g := w.grids[a.grid]
			err = w.s.db.Pool.QueryRow(t.Context(), `INSERT INTO account_grant (account_id, role, grid_code, root_code, state, proposed_by, security_by, active_at)
				VALUES ($1, $2, $3, $4, 'active', 'token:1', 'token:2', now()) RETURNING id`, a.id, a.role, g.code, g.county).Scan(&a.grant)
		}
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, a)
	}
	return made
}

func (w *world) named(name string) *actor {
	for _, a := range w.actors {
		if a.name == name {
			return a
		}
	}
	w.t.Fatalf("no actor %s", name)
	return nil
}
