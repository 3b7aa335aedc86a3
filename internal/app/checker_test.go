// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"crypto/rand"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"onemap/auth"
)

// TestTheOtherProcess is what the tests below start: not a test by itself.
func TestTheOtherProcess(t *testing.T) {
	if os.Getenv("GOMAXPROCS") != "1" || !strings.Contains(strings.Join(os.Args, " "), "as-checker") {
		return
	}
	if err := CheckPasswords(os.Stdin, os.Stdout); err != nil {
		t.Error(err)
	}
}

func TestPasswordsAreCheckedByAnotherProcess(t *testing.T) {
	t.Parallel()
	hash, err := auth.HashPassword("敖勒召其 \"1\"\n", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	c := &checker{command: []string{os.Args[0], "-test.run=^TestTheOtherProcess$", "as-checker"}, log: slog.New(slog.NewTextHandler(log, nil))}
	defer c.stop()
	all := func() {
		t.Helper()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for text, want := range map[string]bool{"敖勒召其 \"1\"\n": true, "敖勒召其": false, "": false} {
					if got := c.check(hash, text); got != want {
						t.Errorf("%q: %t", text, got)
					}
				}
			})
		}
		wg.Wait()
		if c.check("", "") || c.check(auth.DummyHash, "x") {
			t.Error("what no password has is right")
		}
	}
	all()
	if c.cmd == nil || log.Len() > 0 {
		t.Fatalf("no other process: %s", log)
	}
	first := c.cmd.Process.Pid
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	all() // one check is made here, the others by a new process
	if c.cmd == nil || c.cmd.Process.Pid == first || strings.Count(log.String(), "checked by the server itself") != 1 {
		t.Errorf("after a kill: %s", log)
	}
	c.stop()
	log.Reset()
	all()
	if c.cmd != nil || log.Len() > 0 {
		t.Errorf("after the stop: %s", log)
	}
	c = &checker{command: []string{"/nowhere"}, log: c.log}
	all()
	if log.Len() == 0 {
		t.Error("nobody is told that there is no such process")
	}
}
