// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"slices"
	"strings"
)

// Page is the machine as docs/INCIDENTS.md shows it: a diagram of states and a table of
// acts, in Markdown. A test holds the page to it.
func Page() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> reported\n")
	for _, m := range Moves() {
		fmt.Fprintf(&b, "    %s --> %s: %s\n", m.From, m.To, strings.Join(labels(m), ", "))
	}
	for _, s := range States {
		if !slices.ContainsFunc(Moves(), func(m Move) bool { return m.From == s }) {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	b.WriteString("```\n\n| act | from | to | who | brings | only if |\n|---|---|---|---|---|---|\n")
	for _, t := range transitions {
		to, who := string(t.to), words(t.who)
		if to == "" {
			to = "stays"
		}
		if len(t.who) == 0 {
			who = "an offer’s own acts"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", t.action, words(t.from), to, who, words(t.needs), t.when)
	}
	return b.String()
}

// labels are the acts that bring a move about.
func labels(m Move) (out []string) {
	for _, t := range transitions {
		if t.to == m.To && slices.Contains(t.from, m.From) && !slices.Contains(out, string(t.action)) {
			out = append(out, string(t.action))
		}
	}
	return out
}

func words[S ~string](list []S) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
