// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"onemap/internal/tlsca"
)

func TestTLSInitSaysOnceHowADeviceTakesTheCAIn(t *testing.T) {
	data := t.TempDir()
	if _, said := onemap(t, 1, "tls", "init", "--data", data); !strings.Contains(said, "--host") {
		t.Errorf("without a host: %s", said)
	}
	ca := filepath.Join(data, "tls", "ca.crt")
	out, _ := onemap(t, 0, "tls", "init", "--data", data, "--host", "10.1.2.3", "--host", "onemap.county")
	for _, want := range []string{ca, "10.1.2.3, onemap.county, localhost", "受信任的根证书", "Trusted Root"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	if out, _ = onemap(t, 0, "tls", "init", "--data", data); !strings.Contains(out, "onemap.county") || strings.Contains(out, "Trusted Root") {
		t.Errorf("the second run: %s", out)
	}
	if _, err := tlsca.Load(filepath.Join(data, "tls")); err != nil {
		t.Error(err)
	}
}
