// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onemap/auth"
	"onemap/people"
)

// injections are texts that mean something to a database, a shell, a template or
// a spreadsheet, and nothing to us.
var injections = []string{
	`' OR '1'='1`, `' OR 1=1 --`, `1 OR 1=1`, `1) OR (1=1`, `1; DROP TABLE incident; --`, `'; DELETE FROM incident; --`, `'; SELECT pg_sleep(5); --`, `1 AND pg_sleep(5) IS NULL`,
	`'||pg_sleep(5)||'`, `' UNION SELECT login FROM account --`, `$$; SELECT pg_sleep(5) $$`, `\' OR 1=1 --`, `%' OR '%'='`, `%`, `_`, `%%%%`, `%.`, `____`, `\`, `\%`, `/**/OR/**/1=1`,
	`{"$gt":""}`, `'||(SELECT login FROM account LIMIT 1)||'`, `E'\x27' OR TRUE`, `＇ OR １＝１`, `ʼ OR 1=1`, `"; --`, "1\t\nOR\r1=1", `${jndi:ldap://x}`, `{{7*7}}`, `=HYPERLINK("http://x")`, `@SUM(1)`, `$(reboot)`, "`id`", `../../etc/passwd`,
}

// TestInjectionIsTextEverywhere puts what means something to a database into
// every parameter of every route: it is refused, or it is a text like any other.
func TestInjectionIsTextEverywhere(t *testing.T) {
	t.Parallel()
	st, _ := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	for i := range 6 {
		st.report(k[auth.HallOperator], 107.2+float64(i)/10, 38.2)
	}
	var sleepers atomic.Int64 // looks that found a statement asleep: the database obeyed a text
	watched := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			var asleep bool
			err := st.s.db.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')").Scan(&asleep)
			if err != nil && ctx.Err() == nil {
				t.Errorf("the look for sleepers: %v", err)
			}
			if asleep {
				sleepers.Add(1)
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond): // many a look while one sleeps for 5 s
			}
		}
	}()
	defer func() { cancel(); <-watched }()
	tried, taken, asleep := 0, 0, int64(0)
	for _, o := range st.contract() {
		token := st.opener(k, o)
		for _, p := range o.params {
			ask := func(v string) answer {
				q, path, headers := o.query(), o.filled(), []string(nil)
				switch p.In {
				case "query":
					q.Set(p.Name, v)
				case "path":
					path = strings.Replace(o.path, "{"+p.Name+"}", url.PathEscape(v), 1)
					path = operation{path: path}.filled()
				case "header":
					headers = []string{p.Name + ": " + strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(v)}
				}
				if len(q) > 0 {
					path += "?" + q.Encode()
				}
				return st.call(o.method, path, token, "", headers...)
			}
			plain := ask("zzzzzzzz")
			for _, v := range injections {
				tried++
				a := ask(v)
				if a.status >= 500 {
					t.Errorf("%s, %s %s=%q: %d %s", o, p.In, p.Name, v, a.status, a.body)
				}
				if n := sleepers.Load(); n > asleep {
					asleep = n
					t.Errorf("%s, %s %s=%q or one just before it let the database sleep", o, p.In, p.Name, v)
				}
				if m := inner.Find(bytes.ReplaceAll(a.body, []byte(v), nil)); m != nil && !strings.Contains(v, string(m)) && a.status >= 400 {
					t.Errorf("%s, %s %s=%q tells of the inside: %s", o, p.In, p.Name, v, a.body)
				}
				if a.status >= 300 || o.writes() {
					continue
				}
				taken++
				if plain.status != a.status || size(t, plain) != size(t, a) {
					t.Errorf("%s, %s %s=%q: %d with %d things; any other text %d with %d", o, p.In, p.Name, v, a.status, size(t, a), plain.status, size(t, plain))
				}
			}
		}
	}
	if n := st.count("SELECT count(*) FROM incident"); n != 6 {
		t.Errorf("%d incidents are left of 6", n)
	}
	if tried < 1500 || taken < 200 {
		t.Errorf("%d tried, %d taken as a text", tried, taken)
	}
	t.Logf("%d values tried, %d taken as a text", tried, taken)
	st.exec("SELECT pg_sleep(1.5)")
	st.wait("the sleep that was asked for", func() bool { return sleepers.Load() > asleep })
	// Kept, they come back as they were, and a search for one finds it alone.
	op := k[auth.HallOperator]
	for _, v := range injections {
		v = strings.Join(strings.Fields(v), " ")
		body := map[string]any{"category": "0301", "title": v, "text": v, "address": v, "external_id": "x" + v, "location": map[string]any{"lon": 107.2, "lat": 38.2, "crs": "wgs84"}}
		a := st.call("POST", "/api/v1/incidents", op, asJSON(t, body))
		if a.status != 201 || a.json(t)["title"] != v {
			t.Errorf("%q as a title: %d %s", v, a.status, a.body)
		}
	}
	for _, v := range []string{"%", "_", `\`, `' OR '1'='1`, "{{7*7}}", "%.", "'"} {
		var want int
		for _, s := range injections {
			if strings.Contains(strings.Join(strings.Fields(s), " "), v) {
				want++
			}
		}
		if a := st.get("/api/v1/incidents?limit=200&text="+url.QueryEscape(v), op); a.status != 200 || size(t, a) != want {
			t.Errorf("a search for %q: %d with %d, want %d", v, a.status, size(t, a), want)
		}
	}
}

// badTexts and badJSON are values that belong nowhere, or only just somewhere.
var (
	badTexts = []string{
		"\x00", "\xff", "\xc0\xae", "-1", "0", "9223372036854775808", "-9223372036854775809", "1e400", "NaN", "Infinity", "0x10", "1_000", " 1", "", strings.Repeat("9", 5000), strings.Repeat("的", 3000),
		"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99", "0000-01-01", "9999-12-31", "294277-01-01T00:00:00Z",
		"[]", "a,b,c,d", "1,2,3,4,5", "-180,-90,180,90", "💩", "\u202egnp.exe", "<script>alert(1)</script>", "true", "null", "%s%n%x", "\x1b[31m",
	}
	badJSON = []string{
		`null`, `true`, `0`, `-1`, `1e999`, `1e-999`, `9223372036854775808`, `1.5`, `""`, `" "`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `[]`, `[null]`, `{}`, `[[[[]]]]`, `[{}]`, `"💩"`, `"\u202e"`,
		`"0000-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"2026-02-30T00:00:00Z"`, `"294277-01-01T00:00:00Z"`, `"<script>alert(1)</script>"`, `"` + strings.Repeat("a", 100_000) + `"`, `"` + strings.Repeat("的", 250) + `"`,
		`undefined`, `'x'`, `NaN`, `01`, `"unclosed`, strings.Repeat("[", 40) + strings.Repeat("]", 40),
	}
)

// TestBadValuesAreNeverTheServersFault puts bad values into every parameter and
// every key of every route.
func TestBadValuesAreNeverTheServersFault(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	st.report(k[auth.HallOperator], 107.2, 38.2)
	tried := 0
	hold := func(o operation, what string, a answer) {
		tried++
		ok := a.status < 500 || a.status == 503 && a.header.Get("Retry-After") != "" && strings.Contains(string(a.body), "signing in")
		if !ok {
			t.Errorf("%s, %.120s: %d %s", o, what, a.status, a.body)
		}
		if a.status >= 400 {
			if m := inner.Find(a.body); m != nil {
				t.Errorf("%s, %.120s tells of the inside (%s): %.500s", o, what, m, a.body)
			}
			if kind := a.header.Get("Content-Type"); kind != "application/problem+json" && len(a.body) > 0 && o.path != "/tiles/{layer}/{z}/{x}/{y}.mvt" {
				t.Errorf("%s, %.120s: %d as %s", o, what, a.status, kind)
			}
		}
	}
	for _, o := range st.contract() {
		token := st.opener(k, o)
		for _, p := range o.params {
			for _, v := range badTexts {
				q, path := o.query(), o.filled()
				switch p.In {
				case "query":
					q.Set(p.Name, v)
				case "path":
					path = operation{path: strings.Replace(o.path, "{"+p.Name+"}", url.PathEscape(v), 1)}.filled()
				case "header":
					if strings.ContainsAny(v, "\x00\x1b") {
						continue // no client can send it
					}
					hold(o, p.Name+": "+v, st.call(o.method, path+"?"+q.Encode(), token, "{}", p.Name+": "+v))
					continue
				}
				hold(o, p.Name+"="+v, st.call(o.method, path+"?"+q.Encode(), token, ""))
			}
			if p.In == "query" {
				q := o.query()
				q.Add(p.Name, "a")
				q.Add(p.Name, "b")
				hold(o, p.Name+" twice", st.call(o.method, o.filled()+"?"+q.Encode(), token, ""))
			}
		}
		if o.body == nil {
			continue
		}
		for _, v := range append(badJSON, "", "\xef\xbb\xbf{}", "{", "{}{}", `{"a"}`, "\x00") {
			hold(o, "the whole "+v, st.call(o.method, o.filled(), token, v, "Content-Type: application/json"))
		}
		for name, p := range o.body.Properties {
			for _, v := range badJSON {
				if (name == "password" || name == "code" || name == "login") && len(v) > 30 {
					continue // each costs a hash
				}
				base, _ := sample(o.body).(map[string]any)
				delete(base, name)
				hold(o, name+": "+v, st.call(o.method, o.filled(), token, with(asJSON(t, base), name, v), `If-Match: "1"`))
			}
			for inner := range p.Properties {
				for _, v := range badJSON {
					base, _ := sample(o.body).(map[string]any)
					delete(base, name)
					object, _ := sample(p).(map[string]any)
					delete(object, inner)
					hold(o, name+"."+inner+": "+v, st.call(o.method, o.filled(), token, with(asJSON(t, base), name, with(asJSON(t, object), inner, v))))
				}
			}
		}
	}
	t.Logf("%d requests", tried)
	told := map[string]bool{} // one line of each kind
	for line := range strings.Lines(book.String()) {
		if _, err, _ := strings.Cut(line, " err="); strings.Contains(line, "level=ERROR") && !told[err] {
			told[err] = true
			t.Errorf("the log: %.400s", line)
		}
	}
	if a := st.report(k[auth.HallOperator], 107.2, 38.2); a.status != 201 {
		t.Errorf("a report after all that: %d %s", a.status, a.body)
	}
}

// monday is the day the week of t began, on the clocks of China.
func monday(t time.Time) time.Time {
	t = people.Local(t)
	return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
}
