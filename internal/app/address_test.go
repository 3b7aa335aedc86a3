// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
)

// TestWrongSecretsShutOutNobodyElse: a device with an ended token that asks again
// and again must not take the hall behind the same address with it.
func TestWrongSecretsShutOutNobodyElse(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now, Limits: api.Limits{WrongSecrets: 5}})
	op, fresh := st.token(auth.HallOperator, ""), st.token(auth.Dispatcher, "")
	if a := st.get("/api/v1/incidents", op); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for i := range 8 {
		st.get("/api/v1/incidents", fmt.Sprint("wrong", i))
	}
	clock.move(2 * time.Second) // what was looked up a moment ago is forgotten
	if a := st.get("/api/v1/incidents", op); a.status != 200 {
		t.Errorf("a desk beside the guesser: %d %s", a.status, a.body)
	}
	if a := st.report(op, 107.2, 38.2); a.status != 201 {
		t.Errorf("its report: %d %s", a.status, a.body)
	}
	if a := st.get("/api/v1/incidents", fresh); a.status != 200 {
		t.Errorf("a token never seen before: %d %s", a.status, a.body)
	}
}

// addresses are the addresses the audit log has for wrong sign-ins, oldest first.
func (st *stand) addresses() (out []string) {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT data->>'address' FROM audit_log WHERE action = 'session.failed' ORDER BY id`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a string
		if err := rows.Scan(&a); err != nil {
			st.t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// TestOnlyATrustedProxyMovesAnAddress: what a caller says of where it comes from
// counts for nothing, neither for limits nor in the audit log.
func TestOnlyATrustedProxyMovesAnAddress(t *testing.T) {
	t.Parallel()
	forged := func(i int, of string) []string {
		a := fmt.Sprintf("198.51.100.%d", i)
		return []string{of + strings.NewReplacer("%", a).Replace(map[string]string{
			"X-Forwarded-For: ": "%", "X-Real-IP: ": "%", "Forwarded: ": "for=%;proto=https", "X-Client-IP: ": "%", "True-Client-IP: ": "%", "CF-Connecting-IP: ": "%",
			"X-Forwarded-Host: ": "%", "X-Original-Forwarded-For: ": "%",
		}[of])}
	}
	wrong := func(st *stand, c *http.Client, login string, headers ...string) answer {
		was := st.http
		defer func() { st.http = was }()
		st.http = c
		return st.call("POST", "/api/v1/session", "", `{"login":"`+login+`","password":"certainly wrong"}`, headers...)
	}
	t.Run("no proxy", func(t *testing.T) {
		t.Parallel()
		limits := plenty()
		limits.AddressLoginsPerMinute = 8
		clock := &testClock{at: time.Now()} // it stands: tries that take long on a busy machine are no fewer within the minute
		st, _ := checkedStand(t, Options{Limits: limits, Now: clock.now})
		headers := []string{"X-Forwarded-For: ", "X-Real-IP: ", "Forwarded: ", "X-Client-IP: ", "True-Client-IP: ", "CF-Connecting-IP: ", "X-Forwarded-Host: ", "X-Original-Forwarded-For: "}
		for i, h := range headers {
			if a := wrong(st, st.http, fmt.Sprint("guess", i), forged(i+1, h)...); a.status != 401 {
				t.Fatalf("%s: %d %s", h, a.status, a.body)
			}
		}
		if a := wrong(st, st.http, "guess9", forged(99, "X-Forwarded-For: ")...); a.status != 429 || a.header.Get("Retry-After") == "" {
			t.Errorf("a ninth try from the same address under another name: %d %s", a.status, a.body)
		}
		if a := wrong(st, from(t, "127.0.0.9"), "guess10"); a.status != 401 {
			t.Errorf("the first try from another address: %d", a.status)
		}
		want := append(slices.Repeat([]string{"127.0.0.1"}, len(headers)), "127.0.0.9")
		if got := st.addresses(); !slices.Equal(got, want) {
			t.Errorf("the audit log has %v", got)
		}
		if c := st.call("POST", "/api/v1/session", "", `{"code":"x"}`, "X-Forwarded-Proto: https").header.Get("Set-Cookie"); c != "" {
			t.Errorf("cookie %s", c)
		}
	})
	t.Run("a proxy", func(t *testing.T) {
		t.Parallel()
		st, _ := checkedStand(t, Options{Limits: plenty(), TrustedProxies: []string{"127.0.0.2", "10.0.0.0/8"}})
		proxy, other := from(t, "127.0.0.2"), from(t, "127.0.0.3")
		for i, c := range []struct {
			by   *http.Client
			says string
			want string
		}{
			{proxy, "198.51.100.7", "198.51.100.7"},
			{proxy, "203.0.113.66, 198.51.100.7", "198.51.100.7"},           // what the caller itself claimed stands to the left
			{proxy, "203.0.113.66, 198.51.100.7, 10.1.2.3", "198.51.100.7"}, // a second trusted hop
			{proxy, "not an address, 198.51.100.7", "198.51.100.7"},
			{proxy, "2001:db8::7", "2001:db8::7"},
			{other, "198.51.100.7", "127.0.0.3"}, // not the proxy
		} {
			if a := wrong(st, c.by, fmt.Sprint("guess", i), "X-Forwarded-For: "+c.says); a.status != 401 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if got := st.addresses(); len(got) != i+1 || got[i] != c.want {
				t.Errorf("X-Forwarded-For %q: the audit log has %v, want %s", c.says, got, c.want)
			}
		}
	})
}

// TestACookieIsWorthNothingAtAnotherAddress: stolen, it opens neither list
// nor map nor stream.
func TestACookieIsWorthNothingAtAnotherAddress(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	cookie := st.cookie(auth.Dispatcher, "127.0.0.1")
	thief := from(t, "127.0.0.7")
	for _, path := range []string{"/api/v1/incidents", "/api/v1/session", "/tiles/grids.json", "/api/v1/live", "/api/v1/figures/today"} {
		if a := st.call("GET", path, "", "", cookie); a.status == 401 {
			t.Errorf("%s: its holder is refused: %s", path, a.body)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", st.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
		req.Header.Set("X-Forwarded-For", "127.0.0.1")
		res, err := thief.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 401 {
			t.Errorf("%s: a thief gets %d", path, res.StatusCode)
		}
	}
}
