// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestAdministratorsLetPeopleInAndOut goes the whole way in a browser
// (frontend/web/e2e/admin.mjs): from the secret of the first start to accounts,
// grants, the lock, an ended session and the audit log. `go test -artifacts` keeps
// its pictures.
func TestAdministratorsLetPeopleInAndOut(t *testing.T) {
	needBrowser(t)
	s := serve(t, dataFolder(t))
	secret := s.await(`(?s)one-time secret of the security administrator.*?\n +(\S+)\n.*?/admin#first`, time.Minute)[1]
	s.square()

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	start := time.Now()
	cmd := exec.CommandContext(ctx, "node", "e2e/admin.mjs", "--base", s.URL, "--secret", secret, "--grid", "990001", "--out", t.ArtifactDir(), "--chromium", chromium())
	cmd.Dir = webFolder
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	last := answer{}
	for line := range strings.Lines(string(out)) {
		last = answer{}
		if json.Unmarshal([]byte(line), &last) != nil {
			last = answer{Check: "a line that is no answer", Detail: line}
		}
		if last.OK {
			t.Logf("%s: %s", last.Check, last.Detail)
		} else {
			t.Errorf("failed: %s: %s", last.Check, last.Detail)
		}
	}
	if err != nil || last.Check != "walk" {
		t.Errorf("the walk ended early, at %q: %v\n%s", last.Check, err, said.String())
	}
	t.Logf("the walk took %s", time.Since(start).Round(100*time.Millisecond))
}
