// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
)

// linkIsGood is the check of docs/LAYERS.md, word for word.
func linkIsGood(key []byte, code, protocol, expires, session, sign string, now time.Time) bool {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, code+"\n"+protocol+"\n"+expires+"\n"+session)
	want, err := hex.DecodeString(sign)
	until, err2 := strconv.ParseInt(expires, 10, 64)
	if err != nil || err2 != nil || now.Unix() > until {
		return false
	}
	return hmac.Equal(h.Sum(nil), want)
}

func TestTheCheckOfTheDocsIsTheOneTested(t *testing.T) {
	doc, err := os.ReadFile("../../docs/LAYERS.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("cameralink_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(doc), "<!-- check -->\n```go\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 || !strings.Contains(string(own), code) {
		t.Errorf("docs/LAYERS.md shows another check:\n%s", code)
	}
}

const mediaKey = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

type cameraLink struct {
	URL, Protocol string
	ExpiresAt     time.Time `json:"expires_at"`
}

func TestOpeningACameraIsAuditedShortAndSigned(t *testing.T) {
	t.Parallel()
	clock, book := &testClock{at: time.Now()}, &logBook{}
	keyFile := writeFile(t, "key", mediaKey+"\n")
	st := newStandWith(t, Options{
		MediaGateway: "https://media.example:8443/{protocol}/{gb_code}?vhost=a", MediaKeyFile: keyFile, Now: clock.now,
		Log: slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug})), Limits: api.Limits{CameraLinksPerMinute: 4},
	})
	hall, townB := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "B")
	st.bringCameras(hall)
	id := func(code string) string {
		return fmt.Sprint(st.count("SELECT id FROM camera WHERE gb_code = $1", code))
	}
	const code = "15062401001320000001" // in town A
	path := "/api/v1/cameras/" + id(code) + "/link"
	const why = `{"reason":"核实占道情况","protocol":"flv"}`
	opened := func() int { return st.count("SELECT count(*) FROM audit_log WHERE action = 'camera.open'") }

	a := st.call("POST", path, hall, why)
	var l cameraLink
	if err := json.Unmarshal(a.body, &l); a.status != 200 || err != nil || l.Protocol != "flv" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	u, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	expires, session, sign := q.Get("expires"), q.Get("session"), q.Get("sign")
	if u.Host != "media.example:8443" || u.Path != "/flv/"+code || q.Get("vhost") != "a" || strings.Contains(l.URL, hall) || len(session) != 24 {
		t.Errorf("link %s", l.URL)
	}
	if left := l.ExpiresAt.Sub(clock.now()); left > time.Minute || left < 58*time.Second || expires != fmt.Sprint(l.ExpiresAt.Unix()) {
		t.Errorf("good for %s, %s", left, expires)
	}
	key, now := []byte(mediaKey), clock.now()
	if !linkIsGood(key, code, "flv", expires, session, sign, now) {
		t.Error("the gateway refuses a good link")
	}
	later := fmt.Sprint(l.ExpiresAt.Unix() + 3600)
	for what, good := range map[string]bool{
		"later":            linkIsGood(key, code, "flv", expires, session, sign, now.Add(61*time.Second)),
		"another camera":   linkIsGood(key, "15062401001310000002", "flv", expires, session, sign, now),
		"another protocol": linkIsGood(key, code, "hls", expires, session, sign, now),
		"a longer life":    linkIsGood(key, code, "flv", later, session, sign, now),
		"another session":  linkIsGood(key, code, "flv", expires, strings.Repeat("0", 24), sign, now),
		"another key":      linkIsGood([]byte(strings.Repeat("k", 64)), code, "flv", expires, session, sign, now),
		"no signature":     linkIsGood(key, code, "flv", expires, session, "", now),
	} {
		if good {
			t.Errorf("%s: the gateway takes it", what)
		}
	}
	if n := st.count(`SELECT count(*) FROM audit_log WHERE action = 'camera.open' AND reason = '核实占道情况' AND data ->> 'gb_code' = $1 AND data ->> 'session' = $2`, code, session); n != 1 {
		t.Errorf("%d audit rows", n)
	}

	var in struct{ ID string }
	if err := json.Unmarshal(st.report(hall, 107.2, 38.301).body, &in); err != nil {
		t.Fatal(err)
	}
	before := opened()
	for _, c := range []struct {
		what, token, path, body string
		want                    int
	}{
		{"without a reason", hall, path, `{"reason":" "}`, 422},
		{"an unknown protocol", hall, path, `{"reason":"核实情况","protocol":"rtsp"}`, 400},
		{"another town's", townB, path, why, 404},
		{"none", townB, "/api/v1/cameras/987654/link", why, 404},
		{"a leader", st.token(auth.CountyLeader, ""), path, why, 403},
		{"a village", st.token(auth.VillageHead, "A1"), path, why, 403},
		{"a wall", st.token(auth.Wall, ""), path, why, 403},
		{"an auditor", st.token(auth.Auditor, ""), path, why, 403},
		{"for an incident that is not there", hall, path, `{"reason":"核实情况","incident":"987654"}`, 422},
	} {
		if a := st.call("POST", c.path, c.token, c.body); a.status != c.want || strings.Contains(string(a.body), "media.example") {
			t.Errorf("%s: %d %s", c.what, a.status, a.body)
		}
	}
	if opened() != before {
		t.Errorf("%d refused openings are in the audit log as openings", opened()-before)
	}
	if a := st.call("POST", path, hall, `{"reason":"核实情况","incident":"`+in.ID+`"}`); a.status != 200 || !strings.Contains(string(a.body), "/hls/") {
		t.Errorf("for an incident: %d %s", a.status, a.body)
	}
	// What cannot be written down does not happen.
	st.exec("REVOKE INSERT ON audit_log FROM onemap_app")
	if a := st.call("POST", path, hall, why); a.status < 500 || strings.Contains(string(a.body), "media.example") {
		t.Errorf("without an audit row: %d %s", a.status, a.body)
	}
	st.exec("GRANT INSERT ON audit_log TO onemap_app")
	// A person opens so many a minute; the minute after, more.
	refused := 0
	for range 5 {
		if a := st.call("POST", path, hall, why); a.status == 429 && a.header.Get("Retry-After") != "" {
			refused++
		}
	}
	if refused < 3 {
		t.Errorf("%d of five more were refused", refused)
	}
	clock.move(61 * time.Second)
	if a := st.call("POST", path, hall, why); a.status != 200 {
		t.Errorf("a minute later: %d %s", a.status, a.body)
	}
	if log := book.String(); strings.Contains(log, mediaKey) || strings.Contains(log, sign) || strings.Contains(log, session) {
		t.Error("the log holds the key, a signature or a session's mark")
	}
}

func TestWithoutAGatewayNoCameraOpens(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall := st.token(auth.HallOperator, "")
	st.bringCameras(hall)
	path := fmt.Sprintf("/api/v1/cameras/%d/link", st.count("SELECT min(id) FROM camera"))
	if a := st.call("POST", path, hall, `{"reason":"核实情况"}`); a.status != 409 || !strings.Contains(string(a.body), "--media-gateway") {
		t.Errorf("%d %s", a.status, a.body)
	}
	key := writeFile(t, "key", mediaKey)
	short := writeFile(t, "short", "secret-and-short")
	for what, c := range map[string]struct {
		url, key string
		life     time.Duration
		want     string
	}{
		"no key":            {"https://m/{gb_code}", "", time.Minute, "--media-key-file"},
		"no gateway":        {"", key, time.Minute, "--media-gateway"},
		"no code":           {"https://m/{protocol}", key, time.Minute, "{gb_code}"},
		"no address":        {"media/{gb_code}", key, time.Minute, "https://"},
		"another scheme":    {"javascript://m/{gb_code}", key, time.Minute, "https://"},
		"a password":        {"https://a:b@m/{gb_code}", key, time.Minute, "no user"},
		"a parameter":       {"https://m/{gb_code}?sign=1", key, time.Minute, "added"},
		"a short key":       {"https://m/{gb_code}", short, time.Minute, "32"},
		"no file":           {"https://m/{gb_code}", key + "x", time.Minute, "--media-key-file"},
		"a life of a day":   {"https://m/{gb_code}", key, 24 * time.Hour, "--media-ttl"},
		"a life of a blink": {"https://m/{gb_code}", key, time.Second, "--media-ttl"},
	} {
		_, err := api.NewMedia(c.url, c.key, c.life)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret-and-short") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
