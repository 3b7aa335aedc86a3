// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// TestARollIsCalledAnsweredAndCloses: who is inside is asked, each answers once, the
// desk sees it, nobody else does, and it closes by itself, once.
func TestARollIsCalledAnsweredAndCloses(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now})
	hall, townA, townB := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B")
	st.crew("A1", "A1", "B1")
	phone := func(n int) string {
		secret, until := store.NewSecret(), time.Now().Add(tokenLife)
		id := st.count("SELECT id FROM worker WHERE badge = 'W' || $1::int", n)
		_, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: auth.GridWorker, Worker: uint32(id), ExpiresAt: &until})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	w1, w2, w3 := phone(1), phone(2), phone(3)
	for n, lon := range []float64{107.2, 107.21, 107.7} {
		st.fix(n+1, lon, 38.3, clock.now())
	}
	st.wait("the fixes", func() bool {
		_, s := st.mark(hall, `{"crs":"wgs84","box":[107,38,108,38.5],"kinds":["workers"]}`)
		return s == "workers 3 W1 W2 W3"
	})
	watch := st.live(townA, `{"type":"hello","topics":["events"]}`)

	mark := `"crs":"wgs84","circle":{"lon":107.2,"lat":38.3,"radius_m":3000}`
	a := st.call("POST", "/api/v1/rollcalls", townA, `{`+mark+`,"minutes":5,"note":"汛期点名"}`)
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	type roll struct {
		ID, State        string
		Called, Answered int
		Workers          []struct {
			Badge      string
			AnsweredAt *string `json:"answered_at"`
		}
	}
	read := func(a answer) (r roll, says string) {
		if a.status != 200 && a.status != 201 {
			return r, fmt.Sprint(a.status)
		}
		if err := json.Unmarshal(a.body, &r); err != nil {
			t.Fatal(err)
		}
		says = fmt.Sprint(r.State, " ", r.Answered, "/", r.Called)
		for _, w := range r.Workers {
			says += " " + w.Badge
			if w.AnsweredAt != nil {
				says += "+"
			}
		}
		return r, says
	}
	r, says := read(a)
	if says != "open 0/2 W1 W2" {
		t.Fatal(says)
	}
	path := "/api/v1/rollcalls/" + r.ID
	answer := func(token string) string {
		_, s := read(st.call("POST", path+"/answer", token, `{}`))
		return s
	}
	var wg sync.WaitGroup
	for range 4 { // the same phone, sent again and again: one answer
		wg.Go(func() {
			if s := answer(w1); s != "open 1/2 W1+" {
				t.Error(s)
			}
		})
	}
	wg.Wait()
	if v := st.count("SELECT ver FROM roll_call"); v != 2 {
		t.Errorf("version %d after one worker's answers, want 2", v)
	}
	for _, c := range []struct{ who, name, want string }{
		{townA, "the caller", "open 1/2 W1+ W2"},
		{w2, "who has not answered", "open 1/2 W2"},
		{w1, "who has", "open 1/2 W1+"},
		{w3, "who was not called", "404"},
		{townB, "another town", "404"},
		{hall, "the hall above", "open 1/2 W1+ W2"},
		{st.token(auth.CountyLeader, ""), "a leader", "403"},
	} {
		if _, got := read(st.get(path, c.who)); got != c.want {
			t.Errorf("%s is shown %q, want %q", c.name, got, c.want)
		}
	}
	if s := answer(w3); s != "404" {
		t.Errorf("who was not called answers: %s", s)
	}
	clock.move(5*time.Minute + time.Second)
	if s := answer(w2); s != "409" {
		t.Errorf("an answer after the end: %s", s)
	}
	wg.Go(func() { _, _ = st.s.ledger.CloseRolls(t.Context()) })
	wg.Go(func() { _, _ = st.s.ledger.CloseRolls(t.Context()) })
	wg.Wait()
	st.wait("the end", func() bool { _, s := read(st.get(path, hall)); return s == "closed 1/2 W1+ W2" })
	var kinds []string
	for len(kinds) < 3 {
		m := watch.next()
		if m.Type == "event" && strings.HasPrefix(m.Kind, "rollcall.") {
			kinds = append(kinds, m.Kind)
			if strings.Contains(string(m.Data), "worker") {
				t.Errorf("an event names workers: %s", m.Data)
			}
		}
	}
	if got := strings.Join(kinds, " "); got != "rollcall.called rollcall.answered rollcall.closed" {
		t.Errorf("events %s", got)
	}
	if n := st.count("SELECT count(*) FROM live_state WHERE kind = 'rollcall'"); n != 0 {
		t.Errorf("%d closed roll calls in the live state", n)
	}

	a = st.call("POST", "/api/v1/messages", hall, `{`+mark+`,"text":"　下午三点到村委会集合 "}`)
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for range 2 { // pressed twice with one key: sent once
		if again := st.call("POST", "/api/v1/messages", townB, `{"crs":"wgs84","box":[107.5,38,108,38.5],"text":"撤回"}`, "Idempotency-Key: k1"); again.status != 201 {
			t.Fatalf("%d %s", again.status, again.body)
		}
	}
	if n := st.count("SELECT count(*) FROM message"); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	receipts := "/api/v1/messages/" + a.json(t)["id"].(string) + "/receipts"
	for _, c := range []struct {
		who, kind, want string
	}{
		{w1, "delivered", "200 1/0"}, {w1, "seen", "200 1/1"}, {w1, "delivered", "200 1/1"}, {w2, "seen", "200 2/2"}, {w3, "seen", "404"}, {hall, "seen", "403"},
	} {
		a := st.call("POST", receipts, c.who, `{"kind":"`+c.kind+`"}`)
		got := fmt.Sprint(a.status)
		if a.status == 200 {
			v := a.json(t)
			got += fmt.Sprint(" ", v["delivered"], "/", v["seen"])
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s: %s", c.kind, got, c.want, a.body)
		}
	}
	for token, want := range map[string]int{w1: 1, w3: 1, hall: 2, townB: 1, townA: 0} {
		var v struct{ Items []struct{ Text string } }
		if err := json.Unmarshal(st.get("/api/v1/messages", token).body, &v); err != nil || len(v.Items) != want {
			t.Errorf("%+v, want %d: %v", v, want, err)
		}
		for _, i := range v.Items {
			if i.Text != "下午三点到村委会集合" && i.Text != "撤回" {
				t.Errorf("text %q", i.Text)
			}
		}
	}
	if n := st.count("SELECT count(*) FROM feed WHERE case_view::text LIKE '%村委会%' OR shared IS NOT NULL AND entity_kind IN ('message', 'rollcall')"); n != 0 {
		t.Errorf("%d events hold the text, or are shown to walls", n)
	}
}
