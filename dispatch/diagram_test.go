// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"onemap/dispatch"
)

var update = flag.Bool("update", false, "write the generated part of docs/INCIDENTS.md")

// TestThePageShowsTheMachine: what docs/INCIDENTS.md draws is the table of the code.
func TestThePageShowsTheMachine(t *testing.T) {
	const path, begin, end = "../docs/INCIDENTS.md", "<!-- made by: go test ./dispatch -run Page -update -->\n", "<!-- end -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	was, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the marks of its generated part", path)
	}
	switch page := "\n" + dispatch.Page() + "\n"; {
	case was == page:
	case *update:
		if err := os.WriteFile(path, []byte(head+begin+page+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not show the machine as it is: go test ./dispatch -run Page -update", path)
	}
}
