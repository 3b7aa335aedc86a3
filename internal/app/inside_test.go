// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
	"onemap/track"
)

// TestTheLogTellsNoSecretAndForgesNoLine makes the server log as much as it can.
func TestTheLogTellsNoSecretAndForgesNoLine(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	const forged = "\r\nlevel=ERROR msg=forged\x1b[31mred"
	const phone, password = "13900001234", "correct-horse-battery"
	escaped := strings.NewReplacer("\r", "%0d", "\n", "%0a", "\x1b", "%1b", " ", "+", "=", "%3D").Replace(forged)
	st.get("/api/v1/incidents/"+escaped+"?phone="+phone, op)
	st.get("/nothing/"+escaped+phone, "")
	st.get("/tiles/grids/"+escaped+"/1/1.mvt", op)
	st.call("POST", "/api/v1/session", "", asJSON(t, map[string]string{"login": "li" + forged, "password": password}))
	st.call("POST", "/api/v1/session", "", asJSON(t, map[string]string{"code": password + phone}))
	st.call("GET", "/api/v1/incidents", op, "", "User-Agent: "+phone, "X-Request-Id: "+phone, "Cookie: onemap_session="+password)
	st.call("GET", "/api/v1/incidents", password, "")
	// An error of the database inside a request is logged: with the place, without
	// the row.
	if _, err := st.s.db.Pool.Exec(t.Context(), `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.title LIKE '%now%' THEN RAISE EXCEPTION 'broken' USING ERRCODE = 'XX000', DETAIL = NEW.title; END IF; RETURN NEW; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION fail();
		ALTER TABLE incident ADD CONSTRAINT not_this CHECK (title NOT LIKE '%never%')`); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"now", "never"} {
		body := `{"category":"0301","title":"` + word + phone + `","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"},"reporter":{"name":"张三丰","phone":"` + phone + `"}}`
		if a := st.call("POST", "/api/v1/incidents", op, body); a.status < 400 || strings.Contains(string(a.body), phone) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	// Bytes that are no HTTP at all.
	for _, addr := range []string{st.s.main.Addr().String(), st.s.device.Addr().String()} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "GET /"+phone+" HTTP/1.1\r\nHost: x\r\nUser-Agent: \x1b[31m"+phone+"\r\nno header\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	text := book.String()
	if !strings.Contains(text, "broken") {
		t.Fatalf("the log has nothing of the error: %s", text)
	}
	for what, s := range map[string]string{"a phone": phone, "a password": password, "a token": op, "a name": "张三丰", "an escape character": "\x1b", "a carriage return": "\r"} {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("the log has %s: %q", what, text[max(0, i-200):min(len(text), i+100)])
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "time=") {
			t.Errorf("a line that the log did not begin: %q", line)
		}
	}
}

func TestEveryConnectionOfTheDatabaseHasItsTimeouts(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	for name, db := range map[string]*store.DB{
		"owner": st.s.db, "reports": st.s.pools.reports, "changes": st.s.pools.changes, "reads": st.s.pools.reads, "walls": st.s.pools.walls, "care": st.s.pools.care,
	} {
		for setting, most := range map[string]time.Duration{"statement_timeout": 30 * time.Second, "lock_timeout": 5 * time.Second, "idle_in_transaction_session_timeout": time.Minute} {
			var ms int64
			if err := db.Pool.QueryRow(t.Context(), `SELECT setting::bigint FROM pg_settings WHERE name = $1`, setting).Scan(&ms); err != nil {
				t.Fatal(err)
			}
			if d := time.Duration(ms) * time.Millisecond; d <= 0 || d > most {
				t.Errorf("%s: %s is %s, want at most %s", name, setting, d, most)
			}
		}
	}
}

// inner matches what belongs to the inside of the program.
var inner = regexp.MustCompile(`(?i)SQLSTATE|pgx|pgconn|goroutine \d|runtime error|runtime\.|\.go:\d|panic|\bSELECT .* FROM\b|INSERT INTO|\bpg_|relation "|column "|constraint "|/usr/|/home/|/tmp/|/var/|/root/|postgres`)

// apiWith is an API of its own over the stand's server, with other options.
func (st *stand) apiWith(change func(*api.Options)) http.Handler {
	s := st.s
	o := api.Options{
		DB: s.pools.changes, Reports: s.pools.reports, Reads: s.pools.reads, WallReads: s.pools.walls, Sealer: s.seal, Catalogue: s.catalogue, Ledger: s.ledger,
		Hub: s.hub, Tiles: s.tiles, Dots: s.fixes.Live().Dots, Roads: s.roads, People: s.fixes.Directory, Now: time.Now, Log: s.o.Log, Pages: os.DirFS(st.t.TempDir()),
		Ready: s.isReady, Status: func() api.Loading { return api.Loading{} }, Link: s.URL, Limits: plenty(),
		TasksKnown: func() bool { return true },
	}
	change(&o)
	return api.New(o).Handler()
}

// TestAPanicIsAnsweredAndTheServerLives: one broken answer takes neither the
// server nor a place of the next request.
func TestAPanicIsAnsweredAndTheServerLives(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.Dispatcher, "")
	var broken atomic.Bool
	broken.Store(true)
	book := &logBook{}
	h := st.apiWith(func(o *api.Options) {
		o.Log = slog.New(slog.NewTextHandler(book, nil))
		o.Dots = func() []track.Dot {
			if broken.Load() {
				panic("the secret inside: SELECT * FROM reporter")
			}
			return nil
		}
	})
	srv := httptest.NewServer(h)
	defer srv.Close()
	st.url = srv.URL
	for range 40 { // more than there are places for reads
		a := st.get("/api/v1/workers/live", op)
		id := a.header.Get("X-Request-Id")
		if a.status != 500 || a.header.Get("Content-Type") != "application/problem+json" || id == "" || !strings.Contains(string(a.body), id) {
			t.Fatalf("%d %v %s", a.status, a.header, a.body)
		}
		if m := inner.Find(a.body); m != nil {
			t.Fatalf("the answer tells of the inside: %s in %s", m, a.body)
		}
		if !strings.Contains(book.String(), id) {
			t.Fatal("the log has nothing under the request's id")
		}
	}
	broken.Store(false)
	if a := st.get("/api/v1/workers/live", op); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

func TestTheInsideIsShownOnAnAddressOfItsOwnAlone(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	var o Options
	o.setDefaults()
	for name, listen := range map[string]string{"main": o.Listen, "devices": o.DeviceListen, "admin": o.AdminListen} {
		if a, err := netip.ParseAddrPort(listen); err != nil || !a.Addr().IsLoopback() {
			t.Errorf("the %s listener is on %s unless told otherwise", name, listen)
		}
	}
	admin := httptest.NewServer(st.s.adminHandler())
	defer admin.Close()
	for _, path := range []string{
		"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/vars", "/debug/requests", "/admin/metrics", "/api/v1/metrics", "/server-status",
	} {
		if a := st.get(path, st.token(auth.SystemAdmin, "")); a.status != 404 {
			t.Errorf("the main listener answers %s with %d", path, a.status)
		}
	}
	get := func(base, path string) answer {
		was := st.url
		defer func() { st.url = was }()
		st.url = base
		return st.get(path, "")
	}
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if a := get(st.s.DeviceURL(), path); strings.Contains(string(a.body), "goroutine") {
			t.Errorf("the device listener shows %s", path)
		}
	}
	for path, want := range map[string]int{
		"/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 404, "/debug/pprof/symbol": 404, "/debug/vars": 404, "/api/v1/incidents": 404,
	} {
		if a := get(admin.URL, path); a.status != want {
			t.Errorf("the admin listener answers %s with %d, want %d", path, a.status, want)
		}
	}
}

// TestNoSecretIsShownByTheInside: neither the address of the database nor what
// the environment holds.
func TestNoSecretIsShownByTheInside(t *testing.T) {
	const canary = "CANARY-9f2c41d7"
	t.Setenv("ONEMAP_SOME_SECRET", canary)
	st, book := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	st.call("POST", "/api/v1/session", "", `{"code":"`+canary+`"}`)
	st.report(op, 107.2, 38.2)
	admin := httptest.NewServer(st.s.adminHandler())
	defer admin.Close()
	shown := map[string]string{"the log": book.String()}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/threadcreate?debug=1", "/debug/pprof/trace?seconds=0.1"} {
		was := st.url
		st.url = admin.URL
		shown[path] = string(st.get(path, "").body)
		st.url = was
	}
	shown["/api/v1/status"] = string(st.get("/api/v1/status", op).body)
	shown["/readyz"] = string(st.get("/readyz", "").body)
	for what, text := range shown {
		for name, s := range map[string]string{"the environment": canary, "a token": op, "the database's address": st.s.o.DatabaseURL} {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %s", what, name)
			}
		}
	}
}

// TestAStoppedServerLeavesNothingRunning looks for goroutines of our packages. It
// counts those of the whole process, so nothing runs beside it.
func TestAStoppedServerLeavesNothingRunning(t *testing.T) {
	ours := func() (out []string) {
		buf := make([]byte, 8<<20)
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "onemap/") && !strings.Contains(g, "testing.") && !strings.Contains(g, "onemap/internal/pgtest") {
				out = append(out, g)
			}
		}
		return out
	}
	before := len(ours())
	t.Run("a day's work", func(t *testing.T) {
		st := newStand(t)
		op := st.token(auth.HallOperator, "")
		l := st.live(op, `{"type":"hello"}`)
		l.next()
		st.report(op, 107.2, 38.2)
		st.get("/tiles/grids/8/204/98.mvt", op)
		c, err := net.Dial("tcp", st.s.main.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, "GET /api/v1/incidents HTTP/1.1\r\nHost: x\r\n")
		if len(ours()) <= before {
			t.Error("the count sees nothing of a running server")
		}
	})
	var left []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if left = ours(); len(left) <= before {
			return
		}
	}
	t.Errorf("%d goroutines are left, %d before; the last:\n%s", len(left), before, left[len(left)-1])
}
