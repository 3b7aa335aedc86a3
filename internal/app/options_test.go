// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestSettingsArePrintedWithoutSecrets(t *testing.T) {
	for _, url := range []string{
		"postgres://chief:geheim-1@db.example:5432/onemap?sslmode=require&password=geheim-2",
		"host=db.example user=chief password=geheim-1",
		"postgres://chief:geheim-1@[::bad",
	} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("starting", "options", Options{DatabaseURL: url})
		if strings.Contains(out.String(), "geheim") || strings.Contains(out.String(), "chief") {
			t.Errorf("%s", out.String())
		}
	}
}
