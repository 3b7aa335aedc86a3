// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// fieldStand is a stand with n workers at home in A1, each with a device.
func fieldStand(t testing.TB, o Options, n int) *stand {
	t.Helper()
	return newStandWith(t, o,
		fmt.Sprintf("INSERT INTO worker (badge) SELECT 'W' || lpad(n::text, 3, '0') FROM generate_series(1, %d) n", n),
		"INSERT INTO worker_grid (worker_id, grid_code, root_code) SELECT id, 'A1', 'C' FROM worker",
		"INSERT INTO rota (worker_id, weekday, start_min, end_min) SELECT id, d, 0, 1440 FROM worker, generate_series(1, 7) d",
		"INSERT INTO device (unique_id, interval_s) SELECT 'dev-' || badge, 10 FROM worker",
		"INSERT INTO device_binding (device_id, worker_id, valid_from) SELECT d.id, w.id, now() - interval '1 day' FROM device d JOIN worker w ON d.unique_id = 'dev-' || w.badge",
	)
}

// phone is the token of the worker with this id.
func (st *stand) phone(worker int) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(time.Hour)
	c := store.Credential{Kind: store.Token, Role: auth.GridWorker, GridCode: "A1", RootCode: "C", ExpiresAt: &until, Worker: uint32(worker)}
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, c); err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// want calls and demands a status.
func (st *stand) want(status int, method, path, token, body string, headers ...string) answer {
	st.t.Helper()
	a := st.call(method, path, token, body, headers...)
	if a.status != status {
		st.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}

// routed reports an incident in A1 and routes it; it is then at version 3.
func (st *stand) routed(token string) string {
	st.t.Helper()
	a := st.report(token, 107.2, 38.4)
	id, ok := a.json(st.t)["id"].(string)
	if !ok {
		st.t.Fatalf("report: %d %s", a.status, a.body)
	}
	st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", token, `{"action":"accept"}`, `If-Match: "1"`)
	st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", token, `{"action":"route"}`, `If-Match: "2"`)
	return id
}

// offered is the one item of an answer of offers.
func offered(t testing.TB, a answer) map[string]any {
	t.Helper()
	items, _ := a.json(t)["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("%d offers: %s", len(items), a.body)
	}
	return items[0].(map[string]any)
}

func (st *stand) state(token, incident string) string {
	st.t.Helper()
	return st.want(200, "GET", "/api/v1/incidents/"+incident, token, "").json(st.t)["state"].(string)
}

func TestAnOfferTakesAnIncidentFromTheDeskToItsEnd(t *testing.T) {
	st := fieldStand(t, Options{}, 3)
	desk, phone, other := st.token(auth.Dispatcher, ""), st.phone(1), st.phone(2)
	id := st.routed(desk)
	offers := "/api/v1/incidents/" + id + "/offers"
	st.want(428, "POST", offers, desk, `{"worker_ids":["1"],"lead":true}`)
	a := st.want(201, "POST", offers, desk, `{"worker_ids":["1"],"lead":true,"expires_s":120}`, `If-Match: "3"`, "Idempotency-Key: k1")
	o := offered(t, a)
	if o["state"] != "offered" || o["badge"] != "W001" || st.state(desk, id) != "dispatched" || a.header.Get("ETag") != `"4"` {
		t.Fatalf("%v, ETag %s: %s", o, a.header.Get("ETag"), a.body)
	}
	if again := st.want(201, "POST", offers, desk, `{"worker_ids":["1"],"lead":true,"expires_s":120}`, `If-Match: "3"`, "Idempotency-Key: k1"); offered(t, again)["id"] != o["id"] {
		t.Errorf("sent again: %s", again.body)
	}
	// Another desk is late: it is told who was first.
	late := st.want(409, "POST", offers, st.token(auth.HallOperator, ""), `{"worker_ids":["2"],"lead":true}`, `If-Match: "3"`).json(t)
	if w, _ := late["winner"].(map[string]any); w["offer_id"] != o["id"] || w["badge"] != "W001" || w["made_by"] != o["made_by"] {
		t.Errorf("the loser is told %v", late)
	}
	acts := "/api/v1/offers/" + o["id"].(string) + "/acts"
	st.want(403, "POST", acts, desk, `{"kind":"accept"}`)
	st.want(404, "POST", acts, other, `{"kind":"accept"}`)
	st.want(404, "GET", "/api/v1/incidents/"+id, phone, "") // not theirs before they say yes
	if mine := offered(t, st.want(200, "GET", "/api/v1/offers", phone, "")); mine["incident"].(map[string]any)["title"] != "消防通道占堵" {
		t.Errorf("a worker is told %v", mine)
	}
	st.want(200, "POST", acts, phone, `{"kind":"delivered","client_ref":"a"}`)
	st.want(200, "POST", acts, phone, `{"kind":"seen","client_ref":"b"}`)
	for _, s := range []struct{ kind, state, incident string }{{"accept", "accepted", "acknowledged"}, {"arrive", "arrived", "on_scene"}, {"finish", "finished", "resolved"}} {
		a := st.want(200, "POST", acts, phone, fmt.Sprintf(`{"kind":%q,"client_ref":%q}`, s.kind, s.kind)).json(t)
		again := st.want(200, "POST", acts, phone, fmt.Sprintf(`{"kind":%q,"client_ref":%q}`, s.kind, s.kind)).json(t)
		if a["state"] != s.state || again["state"] != s.state || again["ver"] != a["ver"] || again["repeated"] != true || st.state(desk, id) != s.incident {
			t.Errorf("%s: %v, again %v, incident %s", s.kind, a, again, st.state(desk, id))
		}
		if s.kind == "accept" {
			st.want(200, "GET", "/api/v1/incidents/"+id, phone, "")
		}
	}
	refused := st.want(409, "POST", acts, phone, `{"kind":"accept"}`).json(t)
	if now, _ := refused["now"].(map[string]any); now["offer"] != "finished" || now["incident"] != "resolved" {
		t.Errorf("%v", refused)
	}
	st.want(404, "GET", "/api/v1/incidents/"+id, phone, "")
	if all := offered(t, st.want(200, "GET", offers, desk, "")); all["state"] != "finished" {
		t.Errorf("%v", all)
	}
	if items := st.want(200, "GET", "/api/v1/offers", desk, "").json(t)["items"].([]any); len(items) != 0 {
		t.Errorf("live offers %v", items)
	}
}

var (
	_ = bufio.NewScanner
	_ = json.Marshal
	_ = http.Post
	_ = url.Parse
	_ = os.Open
	_ = filepath.Join
	_ = strings.Cut
)
