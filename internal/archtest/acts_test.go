// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"onemap/dispatch"
)

// actCode is an act of the audit log, as the source names it.
var actCode = regexp.MustCompile(`["']((?:account|session|secret|invite|token|wall|grant|reporter|track|camera|export|incidents?|grids|overlays|layer|cameras|places|people|roads|backup|whistle|notice|patrol|visit)\.[a-z_]+)["']`)

// TestEveryActOfTheAuditLogHasAWord: the audit page tells acts in words of one
// catalogue; what the source writes into the log stands in it.
func TestEveryActOfTheAuditLogHasAWord(t *testing.T) {
	root, files := tree(t)
	raw, err := fs.ReadFile(root, "frontend/web/src/i18n/acts.zh-CN.ts")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	group := ""
	for line := range strings.Lines(string(raw)) {
		if m := regexp.MustCompile(`^  ([a-z]+): \{`).FindStringSubmatch(line); m != nil {
			group = m[1]
		} else if m := regexp.MustCompile(`^    ([a-z_]+): '.+'`).FindStringSubmatch(line); m != nil {
			words = append(words, group+"."+m[1])
		}
	}
	acts := []string{"incident.report", "incident.regrid"}
	for _, a := range dispatch.Actions() {
		acts = append(acts, "incident."+string(a))
	}
	for _, f := range files {
		if f.test {
			continue
		}
		for line := range strings.Lines(string(f.text)) {
			if low := strings.ToLower(line); !strings.Contains(low, "audit(") && !strings.Contains(low, "audit_log") {
				continue
			}
			for _, m := range actCode.FindAllStringSubmatch(line, -1) {
				acts = append(acts, m[1])
			}
		}
	}
	if len(acts) < 30 {
		t.Fatalf("only %d acts found", len(acts))
	}
	for _, a := range acts {
		if !slices.Contains(words, a) {
			t.Errorf("%s: no word for it in acts.zh-CN.ts", a)
		}
	}
}
