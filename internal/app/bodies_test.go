// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onemap/auth"
)

// counted counts what is read of an endless body.
type counted struct {
	n     atomic.Int64
	limit int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.n.Load() >= c.limit {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'a'
	}
	if c.n.Load() == 0 {
		copy(p, `{"title":"`)
	}
	c.n.Add(int64(len(p)))
	return len(p), nil
}

func TestALargeBodyIsRefusedBeforeItIsRead(t *testing.T) {
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	const size = 64 << 20
	send := func(method, url, token string, length int64) (status int, read int64) {
		body := &counted{limit: size}
		req, err := http.NewRequestWithContext(t.Context(), method, url, struct{ io.Reader }{body})
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(req)
		if err != nil { // the server closed while we were still sending
			return 0, body.n.Load()
		}
		_ = res.Body.Close()
		return res.StatusCode, body.n.Load()
	}
	start, routes := time.Now(), 0
	for _, o := range st.contract() {
		if o.body == nil {
			continue
		}
		routes++
		for _, length := range []int64{size, -1} { // said before, and in chunks
			status, read := 0, int64(0)
			for _, r := range []auth.Role{auth.HallOperator, auth.SecurityAdmin, auth.SystemAdmin, auth.CountyLeader, auth.GridWorker} {
				for range 3 { // a connection may be cut before its answer is read
					if status, read = send(o.method, st.url+o.filled(), k[r], length); status != 0 {
						break
					}
				}
				if status != 403 {
					break
				}
			}
			most := int64(8 << 20) // what lies on its way counts too
			if o.String() == "POST /api/v1/grids/locate" && length < 0 {
				most += 5 << 20 // a batch may be so long
			}
			if status != 413 || read > most {
				t.Errorf("%s: 64 MiB (length %d): %d after %d KiB", o, length, status, read>>10)
			}
		}
	}
	if took := time.Since(start); routes < 8 || took > 30*time.Second {
		t.Errorf("%d routes took %s", routes, took)
	}
	// Who may not send a body is told so at once.
	if status, read := send("POST", st.url+"/api/v1/incidents", "", size); status != 401 || read > 8<<20 {
		t.Errorf("nobody's 64 MiB: %d after %d KiB", status, read>>10)
	}
	if status, read := send("POST", st.s.DeviceURL()+"/", "", size); status != 413 || read > 8<<20 {
		t.Errorf("a device's 64 MiB: %d after %d KiB", status, read>>10)
	}
	if a := st.call("GET", "/api/v1/grids", k[auth.HallOperator], "", "X-Padding: "+strings.Repeat("a", 64<<10)); a.status != 431 {
		t.Errorf("64 KiB of headers: %d", a.status)
	}
	if a := st.report(k[auth.HallOperator], 107.2, 38.2); a.status != 201 {
		t.Errorf("a report after that: %d %s", a.status, a.body)
	}
}

// TestABodyHasEveryKeyOnceAndByItsName goes over all JSON routes: a key that the
// contract does not name, names twice or spells otherwise is refused, so that
// nobody sets what was not meant to be set.
func TestABodyHasEveryKeyOnceAndByItsName(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	tables := `SELECT (SELECT count(*) FROM incident) + (SELECT count(*) FROM account) + (SELECT count(*) FROM account_grant) + (SELECT count(*) FROM credential)
		+ (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM idempotency)`
	before := st.count(tables)
	tried := 0
	refused := func(o operation, body, says string) {
		tried++
		if a := st.asked(k, o, o.filled(), body); a.status != 400 || !strings.Contains(string(a.body), says) {
			t.Errorf("%s %.300s: %d, want 400 that says %s: %.400s", o, body, a.status, says, a.body)
		}
	}
	for _, o := range st.contract() {
		if o.body == nil {
			continue
		}
		// levels are the objects of the body, each with the way to put it into the whole.
		type level struct {
			of   *schema
			wrap func(text string) string
		}
		levels := []level{{o.body, func(s string) string { return s }}}
		for name, p := range o.body.Properties {
			if p.is("object") {
				levels = append(levels, level{p, func(s string) string { return with(asJSON(t, sample(o.body)), name, s) }})
			}
		}
		for _, l := range levels {
			base := asJSON(t, sample(l.of))
			for _, key := range []string{
				"zzz", "role", "grid_no", "status", "state", "created_by", "id", "version", "worker", "account", "sensitive", "token_epoch", "security_by", "sealed", "__proto__", "",
			} {
				if l.of.Properties[key] == nil {
					refused(o, l.wrap(with(base, key, `"1"`)), "unexpected property")
				}
			}
			for name, p := range l.of.Properties {
				if name == "$schema" {
					continue
				}
				v := asJSON(t, sample(p))
				for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], name + " "} {
					refused(o, l.wrap(with(base, other, v)), "unexpected property")
				}
				refused(o, l.wrap(with(with(base, name, v), name, v)), "twice")
				refused(o, l.wrap(with(with(base, name, v), fmt.Sprintf(`\u%04x`, name[0])+name[1:], v)), "twice")
			}
		}
	}
	if now := st.count(tables); now != before {
		t.Errorf("%d rows were stored", now-before)
	}
	if tried < 300 {
		t.Errorf("only %d bodies were tried", tried)
	}
	t.Logf("%d bodies", tried)
}

// TestOneRouteTakesFiles: the parts of attachments, which are checked as those need.
// A batch of places may be packed; it is read into numbers and kept nowhere.
func TestOneRouteTakesFiles(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	for _, o := range st.contract() {
		slices.Sort(o.kinds)
		if o.String() == "PATCH /api/v1/incidents/{id}/attachments/{n}" {
			if !slices.Equal(o.kinds, []string{"application/offset+octet-stream"}) {
				t.Errorf("%s takes %v", o, o.kinds)
			}
			o.kinds = []string{"application/offset+octet-stream"}
		}
		packed := o.String() == "POST /api/v1/grids/locate" && slices.Equal(o.kinds, []string{"application/json", "application/octet-stream"})
		if o.kinds != nil && !packed && o.method != "PATCH" && !slices.Equal(o.kinds, []string{"application/json"}) {
			t.Errorf("%s takes %v", o, o.kinds)
		}
		for _, kind := range []string{"multipart/form-data; boundary=x", "application/octet-stream", "image/jpeg", "application/zip", "application/cbor"} {
			if a := st.asked(k, o, o.filled(), "--x", "Content-Type: "+kind); o.kinds != nil && a.status != 415 && !(packed && a.status == 400 && slices.Contains(o.kinds, kind)) {
				t.Errorf("%s: %s is answered %d: %s", o, kind, a.status, a.body)
			}
		}
	}
}

// TestWhatTheDatabaseRefusesIsTheSendersMatter: values the schema does not take
// are no fault of the server's, and its words are not passed on.
func TestWhatTheDatabaseRefusesIsTheSendersMatter(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	if _, err := st.s.db.Pool.Exec(t.Context(), `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'invalid input in relation "incident"' USING ERRCODE = NEW.title; END $$;
		CREATE TRIGGER fail BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION fail()`); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]int{
		"22P02": 422, "22003": 422, "22007": 422, "22008": 422, "23502": 422, "23514": 422, "23505": 409, "23503": 409, "23P01": 409, "22021": 400,
		"57014": 503, "40001": 503, "40P01": 503, "53300": 503, "XX000": 500, "42P01": 500, "42501": 500,
	} {
		a := st.call("POST", "/api/v1/incidents", op, `{"category":"0301","title":"`+code+`","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}}`)
		if a.status != want || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, want %d: %s", code, a.status, want, a.body)
		}
		if m := inner.Find(a.body); m != nil || strings.Contains(string(a.body), code) {
			t.Errorf("%s: the answer tells of the inside: %s in %s", code, m, a.body)
		}
		if want != 400 && want != 503 && !strings.Contains(book.String(), a.header.Get("X-Request-Id")) {
			t.Errorf("%s: the log has nothing under the request's id", code)
		}
	}
}

// TestABrokenBodyIsTheSendersFault: a body that ends too early or is framed wrong.
func TestABrokenBodyIsTheSendersFault(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	op := st.token(auth.HallOperator, "")
	for name, rest := range map[string]string{
		"a chunk that is none":  "Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
		"a length and chunks":   "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
		"two lengths":           "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"a length that is none": "Content-Length: -1\r\n\r\n",
	} {
		c, err := net.Dial("tcp", st.s.main.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = fmt.Fprintf(c, "POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s", op, rest)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		_ = c.Close()
	}
}

// TestABodyIsJudgedByWhateverName: what is read as JSON is judged as JSON.
func TestABodyIsJudgedByWhateverName(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	const place, twice = `"location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}`, `"category":"0301","category":"0302"`
	for _, kind := range []string{
		"application/json", "application/json; charset=utf-8", "application/json;;;", "application/problem+json", "application/x+json", "text/plain+json; a=b", "+json",
		"application/JSON", "text/plain", "application/octet-stream", "multipart/form-data",
	} {
		a := st.call("POST", "/api/v1/incidents", op, `{`+twice+`,"title":"x",`+place+`}`, "Content-Type: "+kind)
		if a.status != 400 && a.status != 415 {
			t.Errorf("%s: a doubled key is answered by %d %s", kind, a.status, a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM incident"); n != 0 {
		t.Errorf("%d incidents are stored", n)
	}
	if a := st.call("POST", "/api/v1/incidents", op, `{"category":"0301","title":"x",`+place+`}`, "Content-Type: application/x+json"); a.status != 201 {
		t.Errorf("a good one: %d %s", a.status, a.body)
	}
}

// TestFewLargeBodiesAreReadAtATime: whoever sends many of them slowly fills no
// memory, and holds up no small one.
func TestFewLargeBodiesAreReadAtATime(t *testing.T) {
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	host := strings.TrimPrefix(st.url, "http://")
	for path, c := range map[string]struct {
		length       string // of a slow body; chunked says none
		large, small string
		status       int // of both
	}{
		locate:              {"Content-Length: 4000000", `{"crs":"wgs84","points":[` + strings.Repeat(" ", 300<<10) + `]}`, `{"crs":"wgs84","points":[[107.2,38.2]]}`, 200},
		"/api/v1/incidents": {"Transfer-Encoding: chunked", `{"category":` + strings.Repeat(" ", 20<<10) + `"none"}`, `{"category":"none"}`, 400},
	} {
		slow := func() {
			conn, err := net.Dial("tcp", host)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s\r\n\r\n1", path, host, op, c.length); err != nil {
				t.Fatal(err)
			}
		}
		for range 8 {
			slow()
		}
		st.wait("the ninth to be put off", func() bool {
			a := st.call("POST", path, op, c.large)
			if a.status == c.status { // it may have taken the place of a slow one, which was put off instead
				slow()
			}
			return a.status == 503 && a.header.Get("Retry-After") != ""
		})
		if a := st.call("POST", path, op, c.small); a.status != c.status {
			t.Errorf("a small one to %s meanwhile: %d %s", path, a.status, a.body)
		}
		if a := st.call("POST", path, "", c.large); a.status != 401 {
			t.Errorf("nobody: %d %s", a.status, a.body)
		}
	}
}
