// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"onemap/dispatch"
)

// chosenActs are the acts of the functions that write what they are told to into the
// audit log, by package, receiver and function. A function that does so and is not here
// fails the test, so that nothing is written without a word.
var chosenActs = map[string][]string{
	"api.EndCredential":               {"token.revoke", "session.revoke", "wall.revoke", "invite.revoke", "secret.revoke"},
	"api.Server.setState":             {"account.disable", "account.enable"},
	"api.Server.shiftMoved":           {"shift.start", "shift.end"},
	"api.Server.changeRules":          {"rules.advice", "rules.offers"},
	"api.Server.auditHandover":        {"handover.make", "handover.accept"},
	"api.Server.onceMore":             {"reporter.reveal", "contact.reveal", "export.rows", "export.counts"}, // and each with ".refused", which the page says by itself
	"cmd/onemap.note":                 {"account.create", "account.disable"},
	"internal/backup.Database.settle": {"backup.restore"},

	"store/ledger.Ledger.record": incidentActs(),
	"store/ledger.Ledger.tell": {
		"incident.unsigned", "incident.remind", "incident.late", "incident.supervise", "incident.escalate", "incident.leader", "incident.review",
		"incident.recalculate", "incident.reply",
	},
	"store/ledger.pen.record": {
		"incident.note", "incident.request", "incident.decision", "incident.extend", "incident.instruction", "incident.reply", "incident.session",
		"incident.session_confirmed", "incident.assist", "incident.release", "incident.call_back",
	},
	"store/ledger.Ledger.noteAttachment":  {"incident.attach", "incident.detach"},
	"store/ledger.Ledger.recordOffer":     {"offer.made", "offer.changed", "offer.ended"},
	"store/ledger.Ledger.recordWhistleAs": {"whistle.made", "whistle.reported", "whistle.said", "whistle.arrived", "whistle.late", "whistle.ended"},
	"store/ledger.auditPatrol":            {"patrol.made", "patrol.changed", "patrol.ended", "patrol.opened"},
	"store/ledger.Ledger.recordNotice":    {"notice.made", "notice.read", "notice.replied", "notice.reminded", "notice.overdue", "notice.withdrawn"},
}

// incidentActs are the acts of the machine, by hand and by offers, and a report.
func incidentActs() []string {
	acts := []string{"incident.report", "incident.regrid", "incident.dispatch", "incident.withdraw"}
	for _, a := range dispatch.Actions() {
		acts = append(acts, "incident."+string(a))
	}
	return acts
}

// actPlace is where the act stands among the arguments of what writes to the audit log,
// by how many those are: ledger.Audit and ledger's own audit.
var actPlace = map[int]int{8: 4, 7: 3}

// writtenActs are the acts that a file writes by their names, and the functions of it
// that are told by their callers what they write.
func writtenActs(f file) (acts, told []string) {
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil || f.dir == "store/ledger" && fn.Name.Name == "Audit" {
			continue
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			called := ""
			switch fun := call.Fun.(type) {
			case *ast.Ident:
				called = fun.Name
			case *ast.SelectorExpr:
				called = fun.Sel.Name
			}
			at, ok := actPlace[len(call.Args)]
			if !ok || called != "Audit" && called != "audit" {
				return true
			}
			if lit, ok := call.Args[at].(*ast.BasicLit); ok {
				acts = append(acts, strings.Trim(lit.Value, `"`))
			} else {
				told = append(told, f.dir+"."+receiver(fn)+fn.Name.Name)
			}
			return true
		})
	}
	return acts, told
}

// receiver is the name of a method's receiver with a dot, "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// inserted is an act in a statement that writes the audit log without package ledger.
var inserted = regexp.MustCompile(`INSERT INTO audit_log .*VALUES \([^)]*'([a-z]+\.[a-z_]+)'`)

// TestEveryActOfTheAuditLogHasAWord: the audit page tells acts in words of one
// catalogue; what the source writes into the log stands in it, in both languages.
func TestEveryActOfTheAuditLogHasAWord(t *testing.T) {
	root, files := tree(t)
	var acts []string
	seen := map[string]bool{}
	for _, f := range files {
		if f.test {
			continue
		}
		named, told := writtenActs(f)
		acts = append(acts, named...)
		for _, fn := range told {
			if _, ok := chosenActs[fn]; !ok {
				t.Errorf("%s writes an act into the audit log that its callers choose: list its acts in chosenActs", fn)
			}
			seen[fn] = true
		}
		for _, m := range inserted.FindAllSubmatch(f.text, -1) {
			acts = append(acts, string(m[1]))
		}
	}
	for fn, list := range chosenActs {
		if !seen[fn] {
			t.Errorf("%s writes no act that its callers choose any more: take it out of chosenActs", fn)
		}
		acts = append(acts, list...)
	}
	if len(acts) < 100 {
		t.Fatalf("only %d acts found", len(acts))
	}
	slices.Sort(acts)
	for _, name := range []string{"acts.zh-CN.ts", "acts.en.ts"} {
		words := actWords(t, root, name)
		for _, a := range slices.Compact(slices.Clone(acts)) {
			if !slices.Contains(words, a) {
				t.Errorf("%s: no word for it in %s", a, name)
			}
		}
	}
}

// actWords are the acts that a catalogue of the page has words for.
func actWords(t *testing.T, root fs.FS, name string) (words []string) {
	t.Helper()
	raw, err := fs.ReadFile(root, "frontend/web/src/i18n/"+name)
	if err != nil {
		t.Fatal(err)
	}
	group := ""
	for line := range strings.Lines(string(raw)) {
		if m := regexp.MustCompile(`^  ([a-z]+): \{`).FindStringSubmatch(line); m != nil {
			group = m[1]
		} else if m := regexp.MustCompile(`^    ([a-z_]+): '.+'`).FindStringSubmatch(line); m != nil {
			words = append(words, group+"."+m[1])
		}
	}
	return words
}
