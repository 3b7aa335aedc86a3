// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pquerna/otp/totp"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
)

const goodPassword = "correct horse battery"

// patient limits let a test sign in as often as it likes.
var patient = api.Limits{LoginsPerMinute: 1000, AddressLoginsPerMinute: 1000}

// desk is a browser at an address, with the cookie it was given.
type desk struct {
	st     *stand
	from   string
	cookie string
}

func (st *stand) deskAt(from string) *desk { return &desk{st: st, from: from} }

// at is the same cookie at another address.
func (d *desk) at(from string) *desk { return &desk{d.st, from, d.cookie} }

func (d *desk) call(method, path, body string, headers ...string) answer {
	d.st.t.Helper()
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.from)}, Timeout: 10 * time.Second}
	tr := &http.Transport{DialContext: dial.DialContext, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(d.st.t.Context(), method, d.st.url+path, strings.NewReader(body))
	if err != nil {
		d.st.t.Fatal(err)
	}
	req.Header.Set("Origin", d.st.url)
	if d.cookie != "" {
		req.Header.Set("Cookie", d.cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		d.st.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.st.t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, raw}
	if c := a.header.Get("Set-Cookie"); c != "" && a.status < 300 {
		d.cookie, _, _ = strings.Cut(c, ";")
	}
	return a
}

// want calls and demands a status.
func (d *desk) want(status int, method, path, body string) answer {
	d.st.t.Helper()
	a := d.call(method, path, body)
	if a.status != status {
		d.st.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}

// live opens the stream with the desk's cookie.
func (d *desk) live() *live {
	d.st.t.Helper()
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.from)}}
	ws := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second, NetDialContext: dial.DialContext}
	c, res, err := ws.DialContext(d.st.t.Context(), "ws"+strings.TrimPrefix(d.st.url, "http")+"/api/v1/live", http.Header{"Cookie": {d.cookie}, "Origin": {d.st.url}})
	if err != nil {
		d.st.t.Fatalf("%v (%v)", err, res)
	}
	d.st.t.Cleanup(func() { _ = c.Close() })
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","topics":["events"]}`)); err != nil {
		d.st.t.Fatal(err)
	}
	return &live{t: d.st.t, c: c}
}

// someone is an account whose password and second factor the test knows.
type someone struct {
	id     int64
	login  string
	secret string // of the second factor
}

// clerk makes an account with an active grant straight in the database.
func (st *stand) clerk(login string, role auth.Role, gridCode string, worker uint32) *someone {
	st.t.Helper()
	ctx, s := st.t.Context(), st.s
	hash, err := auth.HashPassword(goodPassword, rndReader{})
	if err != nil {
		st.t.Fatal(err)
	}
	who := &someone{login: login, secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}
	tx, err := s.db.Pool.Begin(ctx)
	if err != nil {
		st.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if who.id, err = store.CreateAccount(ctx, tx, login, worker, "test"); err != nil {
		st.t.Fatal(err)
	}
	sealed, err := s.seal.Seal(store.TOTPField(who.id), who.secret)
	if err == nil {
		err = store.TakeUp(ctx, tx, who.id, store.Secrets{Password: hash, TOTP: sealed})
	}
	g := store.Grant{Role: role, GridCode: gridCode, ProposedBy: "test:1", SecurityBy: "test:1"}
	if auth.TwoAgree(role) {
		g.SystemBy = "test:2"
	}
	if err == nil && role != "" {
		if err = store.CheckGrant(ctx, tx, &g, "", worker); err == nil {
			g.Account = who.id
			_, err = store.SaveGrant(ctx, tx, g, s.o.Now())
		}
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		st.t.Fatal(err)
	}
	return who
}

// rndReader is salt for a test.
type rndReader struct{}

func (rndReader) Read(b []byte) (int, error) { return copy(b, "0123456789abcdef0123456789abcdef"), nil }

func (w *someone) code(t testing.TB, now time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(w.secret, now)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// signIn signs somebody in at a new desk, with the second factor.
func (st *stand) signIn(w *someone, from string) *desk {
	st.t.Helper()
	d := st.deskAt(from)
	a := d.call("POST", "/api/v1/session", fmt.Sprintf(`{"login":%q,"password":%q,"totp":%q}`, w.login, goodPassword, w.code(st.t, st.s.o.Now())))
	if a.status != 200 || d.cookie == "" {
		st.t.Fatalf("%s can't sign in: %d %s", w.login, a.status, a.body)
	}
	return d
}

func (w *someone) path(rest string) string { return fmt.Sprintf("/api/v1/accounts/%d%s", w.id, rest) }

// account reads one account as an administrator sees it; nil when it is not shown.
func (d *desk) account(login string) map[string]any {
	d.st.t.Helper()
	for _, x := range d.want(200, "GET", "/api/v1/accounts", "").json(d.st.t)["items"].([]any) {
		if m := x.(map[string]any); m["login"] == login {
			return m
		}
	}
	return nil
}

func codeOf(t testing.TB, link string) string {
	t.Helper()
	_, code, ok := strings.Cut(link, "/admin#invite=")
	if !ok {
		t.Fatalf("no invitation: %s", link)
	}
	return code
}
