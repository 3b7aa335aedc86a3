// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo"
)

func TestAWalkerGoesWhereItIsSentAndComesHome(t *testing.T) {
	h := newHall(t)
	home, ok := newTerritory(h.grids["g2"])
	if !ok {
		t.Fatal("no territory")
	}
	w, ok := newWalker(stream(3, "errand", 1), home)
	if !ok {
		t.Fatal("no place to start")
	}
	to, from := orb.Point{107.02, 38.09}, w.p
	w.send(to, 40)
	whole := geo.Distance(geo.WGS84(from), geo.WGS84(to))
	seconds := 0
	for before := w.p; !w.there(); seconds++ {
		w.step(1)
		if d := geo.Distance(geo.WGS84(before), geo.WGS84(w.p)); d > 40.5 {
			t.Fatalf("%.1f m in a second", d)
		}
		if before = w.p; seconds > 1000 {
			t.Fatalf("not there after %d s, %.0f m off", seconds, geo.Distance(geo.WGS84(w.p), geo.WGS84(to)))
		}
	}
	if least := int(whole / 40); seconds < least-1 || seconds > least+3 || w.p != to {
		t.Errorf("%d s for %.0f m at 40 m/s, at %v", seconds, whole, w.p)
	}
	w.step(60)
	if w.p != to {
		t.Error("it left before it was released")
	}
	w.release()
	w.step(600)
	if !home.contains(w.p) || w.errand != nil {
		t.Errorf("released it is at %v, errand %v", w.p, w.errand)
	}
}

func TestWhoAsksWaitsAsLongAsTheServerWants(t *testing.T) {
	var keys []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		switch {
		case r.URL.Path == "/late":
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"detail":"somebody was first"}`))
		case len(keys) < 3:
			w.Header().Set("Retry-After", []string{"0", "1"}[len(keys)-1])
			w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[len(keys)-1])
		default:
			_, _ = w.Write([]byte(`{"id":"7"}`))
		}
	}))
	defer srv.Close()
	c, err := newClient(srv.URL, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	waits := 0
	me := asker{c, "secret", func() { waits++ }}
	var got struct{ ID string }
	began := time.Now()
	if _, err := me.ask(t.Context(), http.MethodPost, "/do", map[string]int{"n": 1}, &got, "Idempotency-Key", "k"); err != nil || got.ID != "7" {
		t.Fatalf("%+v, error %v", got, err)
	}
	if waits != 2 || len(keys) != 3 || keys[2] != "k" || time.Since(began) < time.Second {
		t.Errorf("%d waits, keys %q, after %s", waits, keys, time.Since(began))
	}
	var no *refusal
	if _, err = me.ask(t.Context(), http.MethodGet, "/late", nil, nil); !errors.As(err, &no) || no.status != http.StatusConflict || no.detail != "somebody was first" {
		t.Errorf("error %v", err)
	}
}

func TestWhatAWorkOrAHallCannotBe(t *testing.T) {
	some := func(string) string { return "t" }
	for name, o := range map[string]FieldOptions{
		"no tokens":      {Work: &WorkOptions{}},
		"too fast":       {Work: &WorkOptions{Token: some, Pace: 50}},
		"shares over 1":  {Work: &WorkOptions{Token: some, Decline: 0.6, Ignore: 0.6}},
		"a share over 1": {Work: &WorkOptions{Token: some, Photo: 2}},
		"no dispatcher":  {Hall: &HallOptions{}},
		"short answer":   {Hall: &HallOptions{Tokens: []string{"t"}, Answer: time.Second}},
		"too many halls": {Hall: &HallOptions{Tokens: make([]string, 33)}},
		"far":            {Near: 1e6},
	} {
		o.Server, o.Devices = "http://127.0.0.1:1", "http://127.0.0.1:1"
		if _, err := NewField(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
