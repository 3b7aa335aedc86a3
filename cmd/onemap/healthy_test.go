// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
)

func TestTheContainersCheckKnowsBothKindsOfServer(t *testing.T) {
	for _, need := range []string{"bash", "openssl", "timeout"} {
		if _, err := exec.LookPath(need); err != nil {
			if os.Getenv("CI") == "true" || os.Getenv("ONEMAP_REQUIRE_DB") == "1" {
				t.Fatalf("missing: %v (run `make deps-test` first)", err)
			}
			t.Skipf("SKIPPED, missing: %v", err)
		}
	}
	var status atomic.Int32
	status.Store(http.StatusOK)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status.Store(http.StatusNotFound)
		}
		w.WriteHeader(int(status.Load()))
	})
	plain, secure := httptest.NewServer(h), httptest.NewUnstartedServer(h)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	gone := httptest.NewServer(h)
	gone.Close()
	healthy := func(s *httptest.Server) bool {
		c := exec.CommandContext(t.Context(), "bash", "../../deploy/healthy")
		c.Env = append(os.Environ(), "ONEMAP_LISTEN="+s.Listener.Addr().String())
		return c.Run() == nil
	}
	for _, want := range []bool{true, false} {
		if healthy(plain) != want || healthy(secure) != want {
			t.Errorf("with status %d: HTTP %v, HTTPS %v", status.Load(), healthy(plain), healthy(secure))
		}
		status.Store(http.StatusServiceUnavailable)
	}
	plain.Close()
	secure.Close()
	if healthy(gone) {
		t.Error("no server is healthy")
	}
}
