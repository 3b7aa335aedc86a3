// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onemap/internal/demo"
)

func TestReplayOfAFileEndsWithASummary(t *testing.T) {
	var seen atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.Add(int64(strings.Count(string(body), "phone-1")))
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "tracks.csv")
	csv := "user,track,lat,lon,alt_ft,time_utc\n" +
		"056,a,40.0,116.3,100,2008-05-01T02:00:00Z\n" +
		"056,a,40.001,116.3,100,2008-05-01T02:01:00Z\n" +
		"056,b,40.0,116.3,100,2008-05-02T02:00:00Z\n" +
		"057,c,40.0,116.3,100,2008-05-01T02:00:00Z\n"
	if err := os.WriteFile(file, []byte(csv), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := options{DevicesURL: srv.URL, DevicePattern: "phone-%d", Replay: file, ReplayUser: []string{"056"}, ReplayTimes: "today", Speedup: 600, For: time.Minute}
	if err := run(t.Context(), o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var got demo.Tally
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if got.Sent != 2 || got.Accepted != 2 || seen.Load() != 2 {
		t.Errorf("summary %+v, the server saw %d; the fullest day has 2 points", got, seen.Load())
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]options{
		"another machine": {Server: "http://192.0.2.1", DevicePattern: "d%d"},
		"no verb":         {Server: "http://127.0.0.1:1", DevicePattern: "d"},
		"no file":         {DevicePattern: "d%d", Replay: "/nowhere.csv"},
		"no dispatcher":   {Server: "http://127.0.0.1:1", DevicePattern: "d%d", Hall: true},
		"no server there": {Server: "http://127.0.0.1:1", DevicesURL: "http://127.0.0.1:1", DevicePattern: "d%d", For: time.Second},
	} {
		if err := run(t.Context(), o, io.Discard, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTokensOfWorkersAreRead(t *testing.T) {
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	got, err := readTokens(write("W0001 abc\n\nW0002\tdef\r\n"))
	if err != nil || len(got) != 2 || got["W0001"] != "abc" || got["W0002"] != "def" {
		t.Errorf("%v, error %v", got, err)
	}
	for name, text := range map[string]string{"empty": "\n", "one word": "W0001\n", "three": "W0001 a b\n", "twice": "W0001 a\nW0001 b\n"} {
		if _, err := readTokens(write(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
