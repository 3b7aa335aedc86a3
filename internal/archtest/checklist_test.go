// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"onemap/api"
)

// clients are the packages that may open a connection of their own, and to whom.
// No other code fetches anything, so that no request can make it fetch.
var clients = map[string]string{
	"internal/demo":   "the pretend field sends to this very server; other machines are refused before the connection",
	"tiles/base":      "tiles of the base map, from the one host that whoever runs the server named; a redirect to another is refused, what comes back is a picture or nothing",
	"internal/notify": "word of offers, to the one address that whoever runs the server named and whose host they allowed; no redirect is followed",
}

// connecting are the names by which a connection is opened.
var connecting = map[string][]string{
	"net/http":                     {"Client", "DefaultClient", "Transport", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"net/http/httputil":            {"ReverseProxy", "NewSingleHostReverseProxy"},
	"net":                          {"Dial", "DialTimeout", "Dialer", "DialTCP", "DialUDP", "DialIP"},
	"net/smtp":                     {"Dial", "SendMail"},
	"net/rpc":                      {"Dial", "DialHTTP"},
	"crypto/tls":                   {"Dial", "DialWithDialer", "Dialer", "Client"},
	"github.com/gorilla/websocket": {"Dialer", "DefaultDialer", "NewClient"},
}

// checkClients finds code that opens connections outside allowed.
func checkClients(files []file, allowed map[string]string) (faults []string) {
	used := map[string]bool{}
	for _, f := range files {
		if f.test {
			continue
		}
		names := f.imports()
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || !slices.Contains(connecting[names[x.Name]], sel.Sel.Name) {
				return true
			}
			used[f.dir] = true
			if allowed[f.dir] == "" {
				faults = append(faults, fmt.Sprintf("%s: %s.%s, and %s is not among those who connect", f.at(n.Pos()), names[x.Name], sel.Sel.Name, f.dir))
			}
			return true
		})
	}
	for dir := range allowed {
		if !used[dir] {
			faults = append(faults, dir+": an exception that nothing needs; take it out")
		}
	}
	return faults
}

// serverNeeds are the fields every HTTP server of ours says.
var serverNeeds = []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout", "MaxHeaderBytes"}

// checkListeners finds HTTP servers that wait without end. It returns how many
// servers there are.
func checkListeners(files []file) (servers int, faults []string) {
	for _, f := range files {
		if f.test {
			continue
		}
		names := f.imports()
		of := func(e ast.Expr) string {
			if sel, ok := e.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] == "net/http" {
					return sel.Sel.Name
				}
			}
			return ""
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if name := of(n.Fun); slices.Contains([]string{"ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"}, name) {
					faults = append(faults, f.at(n.Pos())+": http."+name+" has no timeouts")
				}
			case *ast.CompositeLit:
				if n.Type == nil || of(n.Type) != "Server" {
					return true
				}
				servers++
				said := map[string]bool{}
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						if k, ok := kv.Key.(*ast.Ident); ok {
							said[k.Name] = true
						}
					}
				}
				for _, need := range serverNeeds {
					if !said[need] {
						faults = append(faults, f.at(n.Pos())+": a server without "+need)
					}
				}
			}
			return true
		})
	}
	return servers, faults
}

func TestOnlyTheNamedOpenConnections(t *testing.T) {
	_, files := tree(t)
	report(t, checkClients(files, clients))
}

func TestEveryListenerHasItsTimeouts(t *testing.T) {
	_, files := tree(t)
	servers, faults := checkListeners(files)
	if servers == 0 {
		t.Error("no server was found: the check sees nothing")
	}
	report(t, faults)
}

func TestClientAndListenerFaults(t *testing.T) {
	files := sources(t, map[string]string{
		"hub/a.go":      "package hub\nimport (\nx \"net\"\n\"net/http\"\n)\nvar _ = http.DefaultClient\nvar _ = x.Dialer{}\nvar _ http.Handler\nfunc F() { http.ListenAndServe(``, nil) }\n",
		"api/a.go":      "package api\nimport \"net/http\"\nvar _ = &http.Server{Addr: ``, ReadTimeout: 1, WriteTimeout: 1, IdleTimeout: 1, MaxHeaderBytes: 1}\n",
		"api/a_test.go": "package api\nimport \"net/http\"\nvar _ = http.Get\n",
	})
	want(t, checkClients(files, nil), "hub/a.go:9: net/http.DefaultClient", "hub/a.go:10: net.Dialer")
	want(t, checkClients(files, map[string]string{"hub": "a reason", "api": "a reason"}), "api: an exception that nothing needs")
	n, faults := checkListeners(files)
	if n != 1 {
		t.Errorf("%d servers", n)
	}
	want(t, faults, "hub/a.go:12: http.ListenAndServe", "a server without ReadHeaderTimeout")
}

// asMarkup matches what turns a text into a part of the page.
var asMarkup = regexp.MustCompile(`v-html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\.setHTML\(|createContextualFragment|DOMParser|srcdoc|\beval\(|new Function\(|javascript:|v-bind:href="[a-z]+\.`)

// TestPagesWriteTextAsText: whatever a citizen has typed is never markup.
func TestPagesWriteTextAsText(t *testing.T) {
	looked := 0
	err := fs.WalkDir(os.DirFS("../../frontend/web/src"), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".ts", ".vue", ".js", ".html"}, path.Ext(p)) {
			return err
		}
		looked++
		text, err := os.ReadFile(filepath.Join("../../frontend/web/src", p))
		if err != nil {
			return err
		}
		for n, line := range bytes.Split(text, []byte("\n")) {
			if m := asMarkup.Find(line); m != nil {
				t.Errorf("%s:%d: %s makes markup of a text", p, n+1, m)
			}
		}
		return nil
	})
	if err != nil || looked < 40 {
		t.Errorf("%d files, %v", looked, err)
	}
}

// licences are the beginnings of licences that go with Apache-2.0.
var licences = regexp.MustCompile(`(?i)MIT License|Permission is hereby granted, free of charge|Apache License|Redistribution and use in source and binary forms|ISC License|Permission to use, copy, modify, and/or distribute|Mozilla Public License|Unlicense|CC0`)

// TestEveryModuleHasALicence looks at what the programs are built from.
func TestEveryModuleHasALicence(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{if not .Main}}{{.Path}}	{{.Version}}	{{.Dir}}{{end}}{{end}}`, "./cmd/...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOPROXY=off")
	out, err := cmd.Output()
	if err != nil {
		unseen(t, "the modules are not on this machine: "+err.Error())
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 || seen[f[0]] {
			continue
		}
		seen[f[0]] = true
		if f[2] == "" {
			unseen(t, f[0]+" is not in the module cache: run `go mod download`")
		}
		text := ""
		for _, pattern := range []string{"LICEN[SC]E*", "licen[sc]e*", "COPYING*", "UNLICENSE*"} {
			found, _ := filepath.Glob(filepath.Join(f[2], pattern))
			for _, name := range found {
				b, _ := os.ReadFile(name)
				text += string(b)
			}
		}
		switch {
		case text == "":
			t.Errorf("%s %s has no licence", f[0], f[1])
		case !licences.MatchString(text):
			t.Errorf("%s %s: a licence this test does not know: %.100q", f[0], f[1], text)
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d modules were seen", len(seen))
	}
	var lock struct {
		Packages map[string]struct {
			License   string
			Dev       bool
			Optional  bool
			Integrity string
		}
	}
	raw, err := os.ReadFile("../../frontend/web/package-lock.json")
	if err == nil {
		err = json.Unmarshal(raw, &lock)
	}
	if err != nil {
		t.Fatal(err)
	}
	allowed := regexp.MustCompile(`^\(?(MIT|ISC|BSD-[23]-Clause|Apache-2\.0|OFL-1\.1|0BSD|CC0-1\.0|Unlicense)( OR .*|\))?$`)
	for name, p := range lock.Packages {
		if name != "" && !p.Dev && !allowed.MatchString(p.License) {
			t.Errorf("%s is delivered with the pages: licence %q", name, p.License)
		}
		if name != "" && p.Integrity == "" {
			t.Errorf("%s has no checksum in package-lock.json", name)
		}
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)\S*(jwt|jose|paseto)\S*`).Find(gomod); m != nil {
		t.Errorf("go.mod has %s: tokens are opaque, looked up by their hash", m)
	}
}

// literalSecret matches a secret written out. Names of files, variables and
// generated ones are none.
var literalSecret = regexp.MustCompile(`(?i)(passw(or)?d|secret|token|api_?key|seal\.?key)["']?\s*[:=]\s*["']?[A-Za-z0-9+_-][A-Za-z0-9+/_-]{7,}["']?\s*$`)

// TestNothingDeliveredHoldsASecret looks at what becomes an image or a service.
func TestNothingDeliveredHoldsASecret(t *testing.T) {
	found, _ := filepath.Glob("../../deploy/*")
	found = append(found, "../../docker-compose.yml")
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if literalSecret.MatchString(line) {
				t.Errorf("%s:%d: a secret is written out: %s", name, n+1, line)
			}
		}
	}
	image, err := os.ReadFile("../../deploy/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if users := regexp.MustCompile(`(?m)^USER (\S+)`).FindAllSubmatch(image, -1); len(users) == 0 || slices.Contains([]string{"root", "0"}, string(users[len(users)-1][1])) {
		t.Error("the image runs as root")
	}
	ignored, err := os.ReadFile("../../deploy/Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"data", ".git"} { // a data folder holds the key
		if !slices.Contains(strings.Fields(string(ignored)), dir) {
			t.Errorf("%s may get into the image", dir)
		}
	}
	for line, want := range map[string]bool{
		"POSTGRES_PASSWORD: hunter2hunter2": true, `"token": "abcdefgh1234"`: true, "POSTGRES_PASSWORD_FILE: /run/onemap/password": false, "- secret:/run/onemap:ro": false, "PGPASSFILE=/etc/onemap/pgpass": false,
	} {
		if literalSecret.MatchString(line) != want {
			t.Errorf("the check takes %q for the contrary", line)
		}
	}
}

func securityPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheSecurityPageHasThePolicy holds the page's table against the code's.
func TestTheSecurityPageHasThePolicy(t *testing.T) {
	_, files := tree(t)
	var code string
	for _, f := range files {
		if f.path != "auth/policy.go" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "table" {
				code, _ = strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			}
			return true
		})
	}
	_, page, _ := strings.Cut(securityPage(t), "```policy\n")
	page, _, _ = strings.Cut(page, "```")
	if strings.TrimSpace(code) == "" || strings.TrimSpace(code) != strings.TrimSpace(page) {
		t.Errorf("the table of docs/SECURITY.md is not that of auth/policy.go, which is:\n%s", code)
	}
}

// setting is a row of the page about a value of the code: "`dir: name = value`".
var setting = regexp.MustCompile("`([a-z][a-z/]*): ([A-Za-z_.]+) = ([^`]+)`")

// TestTheSecurityPageHasTheLimits holds the limits of the page against the code:
// those that are set by name, and those written out.
func TestTheSecurityPageHasTheLimits(t *testing.T) {
	page := securityPage(t)
	told := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9,]+) \\|").FindAllStringSubmatch(page, -1) {
		told[m[1]], _ = strconv.Atoi(strings.ReplaceAll(m[2], ",", ""))
	}
	if code := api.Defaults(); !maps.Equal(told, code) {
		t.Errorf("the page has the limits %v, the code %v", told, code)
	}
	_, files := tree(t)
	said := 0
	for _, m := range setting.FindAllStringSubmatch(page, -1) {
		said++
		if values := valuesOf(files, m[1], m[2]); !slices.Contains(values, m[3]) {
			t.Errorf("the page says %s: %s = %s, the code %v", m[1], m[2], m[3], values)
		}
	}
	if said < 15 {
		t.Errorf("the page has %d limits of the code", said)
	}
}

// valuesOf returns what is written after a name in a package: of constants and
// variables, of fields set, and of defaults given by orElse(&x.Name, value).
func valuesOf(files []file, dir, name string) (out []string) {
	for _, f := range files {
		if f.dir != dir || f.test {
			continue
		}
		text := func(e ast.Expr) string {
			var b bytes.Buffer
			_ = printer.Fprint(&b, f.fset, e)
			return b.String()
		}
		last := func(e ast.Expr) string {
			if u, ok := e.(*ast.UnaryExpr); ok {
				e = u.X
			}
			switch e := e.(type) {
			case *ast.Ident:
				return e.Name
			case *ast.SelectorExpr:
				return e.Sel.Name
			case *ast.IndexExpr:
				if l, ok := e.Index.(*ast.BasicLit); ok {
					return strings.Trim(l.Value, `"`)
				}
			}
			return ""
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, id := range n.Names {
					if id.Name == name && i < len(n.Values) {
						out = append(out, text(n.Values[i]))
					}
				}
			case *ast.KeyValueExpr:
				if last(n.Key) == name {
					out = append(out, text(n.Value))
				}
			case *ast.AssignStmt:
				if len(n.Lhs) == 1 && (n.Tok == token.ASSIGN || n.Tok == token.DEFINE) && last(n.Lhs[0]) == name {
					out = append(out, text(n.Rhs[0]))
				}
			case *ast.CallExpr:
				if last(n.Fun) == "orElse" && len(n.Args) == 2 && last(n.Args[0]) == name {
					out = append(out, text(n.Args[1]))
				}
			}
			return true
		})
	}
	return out
}

// checklistRow is a line of the page's checklist: what is checked, and by whom.
var (
	checklistRow = regexp.MustCompile(`(?m)^\| (C\d\d) \| ([^|]+) \| ([^|]+) \|$`)
	testName     = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.(Test|Fuzz)([A-Za-z0-9_]+)`")
	webTest      = regexp.MustCompile("`(frontend/web/[a-z0-9/]+\\.test\\.ts)`")
)

// checkChecklist holds the page's rows against the tests that are there.
func checkChecklist(page string, files []file, exists func(string) bool) (faults []string) {
	there := map[string]bool{}
	for _, f := range files {
		if !f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				there[f.dir+"."+fn.Name.Name] = true
			}
		}
	}
	rows := map[string]bool{}
	for _, row := range checklistRow.FindAllStringSubmatch(page, -1) {
		if rows[row[1]] {
			faults = append(faults, row[1]+" stands twice")
		}
		rows[row[1]] = true
		names := testName.FindAllStringSubmatch(row[3], -1)
		if len(names) == 0 {
			faults = append(faults, row[1]+" has no test")
		}
		for _, m := range names {
			if name := m[1] + "." + m[2] + m[3]; !there[name] {
				faults = append(faults, row[1]+": there is no test "+name)
			}
		}
		for _, m := range webTest.FindAllStringSubmatch(row[3], -1) {
			if !exists(m[1]) {
				faults = append(faults, row[1]+": there is no file "+m[1])
			}
		}
	}
	for i := 1; i <= 29; i++ {
		if id := fmt.Sprintf("C%02d", i); !rows[id] {
			faults = append(faults, id+" is missing")
		}
	}
	return faults
}

// TestEveryLineOfTheChecklistHasItsTests reads the table of docs/SECURITY.md.
func TestEveryLineOfTheChecklistHasItsTests(t *testing.T) {
	_, files := tree(t)
	report(t, checkChecklist(securityPage(t), files, func(p string) bool { _, err := os.Stat("../../" + p); return err == nil }))
}

func TestChecklistFaults(t *testing.T) {
	files := sources(t, map[string]string{"hub/a_test.go": "package hub\nfunc TestA(t int) {}\n", "hub/a.go": "package hub\nfunc TestB() {}\n"})
	page := ""
	for i := 1; i <= 28; i++ {
		page += fmt.Sprintf("| C%02d | what | `hub.TestA` |\n", i)
	}
	faults := checkChecklist(page+"| C28 | again | `hub.TestB`, `frontend/web/test/x.test.ts` |\n| C27 | no more | `hub.TestA`\n", files, func(string) bool { return false })
	want(t, faults, "C28 stands twice", "there is no test hub.TestB", "there is no file frontend", "C29 is missing")
	want(t, checkChecklist(page+"| C29 | none | by hand |\n", files, nil), "C29 has no test")
}

// unseen ends a test that cannot look at what it is about: at a desk only, where a
// change is judged that is a failure.
func unseen(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("ONEMAP_REQUIRE_DB") == "1" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED: " + what)
}
