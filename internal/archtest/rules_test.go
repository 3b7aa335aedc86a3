// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"strings"
	"testing"
	"testing/fstest"
)

const spdx = "// SPDX-FileCopyrightText: The OneMap authors\n// SPDX-License-Identifier: Apache-2.0\n\n"

const smallTable = "text\n| ring | packages |\n|---|---|\n| 0 words | `geo` (places) · `feed` (events, see `geo`) |\n| 2 rules | `auth` · `track` |\n| 4 views | `hub` · `api` |\n"

// sources makes parsed files of path -> body; the header is put in front.
func sources(t *testing.T, bodies map[string]string) []file {
	t.Helper()
	root := fstest.MapFS{}
	for p, body := range bodies {
		root[p] = &fstest.MapFile{Data: []byte(spdx + body)}
	}
	files, err := parse(root)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func small(t *testing.T) rings {
	t.Helper()
	r, err := readRings(smallTable)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// want checks that exactly one fault per part came out, in any order.
func want(t *testing.T, faults []string, parts ...string) {
	t.Helper()
	if len(faults) != len(parts) {
		t.Fatalf("%d faults, want %d: %q", len(faults), len(parts), faults)
	}
	for _, part := range parts {
		if !strings.Contains(strings.Join(faults, "\n"), part) {
			t.Errorf("no fault says %q: %q", part, faults)
		}
	}
}

func TestReadRings(t *testing.T) {
	r := small(t)
	if len(r) != 6 || r["feed"] != (place{0, 1}) || r["hub"] != (place{4, 0}) {
		t.Errorf("rings %v", r)
	}
	for _, bad := range []string{"nothing", "| 0 words | geo |", "| 0 words | `geo` · `geo` |"} {
		if _, err := readRings(bad); err == nil {
			t.Errorf("%q is taken as a table", bad)
		}
	}
}

func TestRingFaults(t *testing.T) {
	ok := map[string]string{
		"geo/a.go": "package geo\n", "feed/a.go": "package feed\nimport _ \"onemap/geo\"\n", "auth/a.go": "package auth\nimport _ \"onemap/feed\"\n",
		"track/a.go": "package track\n", "hub/a.go": "package hub\n", "api/a.go": "package api\nimport \"onemap/hub\"\nvar _ = hub.X\n",
		"geo/a_test.go": "package geo_test\nimport _ \"onemap/hub\"\n",
	}
	want(t, checkRings(sources(t, ok), small(t), nil))
	tests := []struct{ name, path, body, fault string }{
		{"a later ring", "geo/b.go", "package geo\nimport _ \"onemap/hub\"\n", "ring 0 imports hub of ring 4"},
		{"to the right in its ring", "hub/b.go", "package hub\nimport x \"onemap/api\"\nvar _ = x.Y\n", "not to its left"},
		{"a package of no ring", "extra/a.go", "package extra\n", "not in the ring table"},
		{"an import of no ring", "hub/b.go", "package hub\nimport _ \"onemap/extra\"\n", "which is not in the ring table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bodies := map[string]string{tt.path: tt.body}
			for p, b := range ok {
				bodies[p] = b
			}
			want(t, checkRings(sources(t, bodies), small(t), nil), tt.fault)
		})
	}
	delete(ok, "api/a.go")
	want(t, checkRings(sources(t, ok), small(t), nil), "no such package")
	want(t, checkRings(sources(t, ok), small(t), []string{"api"}))
}

func TestForeignFaults(t *testing.T) {
	files := sources(t, map[string]string{
		"auth/a.go":       "package auth\nimport (\n_ \"github.com/jackc/pgx/v5\"\n_ \"net/http\"\n_ \"net/url\"\n)\n",
		"hub/a.go":        "package hub\nimport (\n_ \"github.com/gorilla/websocket\"\n_ \"net/http\"\n)\n",
		"api/a.go":        "package api\nimport _ \"github.com/uber/h3-go/v4\"\n",
		"api/a_test.go":   "package api\nimport _ \"github.com/gorilla/websocket\"\n",
		"track/a.go":      "package track\nimport _ \"github.com/gorilla/websocket\"\n",
		"geo/cell/a.go":   "package cell\nimport _ \"github.com/uber/h3-go/v4\"\n",
		"track/x_test.go": "package track\nimport _ \"net\"\n",
	})
	want(t, checkForeign(files, small(t)),
		"auth/a.go: ring 2 imports github.com/jackc/pgx/v5", "auth/a.go: ring 2 imports net/http",
		"api/a.go: imports github.com/uber/h3-go/v4", "track/a.go: imports github.com/gorilla", "track/a.go: ring 2 imports github.com/gorilla")
}

func TestPureFaults(t *testing.T) {
	body := "package track\nimport \"time\"\nfunc F() { go F(); _ = time.Now(); _ = time.Unix(0, 0) }\n"
	files := sources(t, map[string]string{"track/a.go": body, "track/a_test.go": body, "hub/a.go": strings.Replace(body, "track", "hub", 1)})
	want(t, checkPure(files, small(t)), "a goroutine", "time.Now")
}

func TestFileFaults(t *testing.T) {
	good := sources(t, map[string]string{"geo/a.go": "// Package geo is places.\npackage geo\n", "geo/b.go": "package geo\n"})
	want(t, checkFiles(good))
	bad := sources(t, map[string]string{"geo/a.go": "package geo\n"})
	bad[0].text = []byte("package geo\n")
	want(t, checkFiles(bad), "SPDX", "no comment")
}

func TestSystemFaults(t *testing.T) {
	body := "package hub\nimport a \"onemap/auth\"\nvar _ = a.System(\"x\")\nvar f = a.SystemActor\nvar _ = other.System\n"
	files := sources(t, map[string]string{"hub/a.go": body, "hub/a_test.go": body})
	want(t, checkSystem(files, nil), "hub/a.go:6: auth.System,", "auth.SystemActor")
	want(t, checkSystem(files, map[string]string{"hub": "a reason"}))
	want(t, checkSystem(files, map[string]string{"hub": "a reason", "api": "a reason"}), "api: an exception that nothing needs")
}

func TestSQLFaults(t *testing.T) {
	tests := []struct {
		name, code string
		bad        bool
	}{
		{"a constant statement", "q(`SELECT 1`)", false},
		{"joined constants", "const cols = `a, b`\nq(`SELECT ` + cols + ` FROM t`)", false},
		{"words that are no SQL", "q(fmt.Sprintf(`SELECTED %d`, 1))", false},
		{"prose", "q(fmt.Sprintf(`select what you like, %s`, name))", false},
		{"a statement printed without arguments", "fmt.Sprintf(`SELECT 1`)", false},
		{"formatted", "q(fmt.Sprintf(`SELECT %s`, name))", true},
		{"formatted over two literals", "q(fmt.Sprintf(`DELETE FROM t `+`WHERE a = %s`, name))", true},
		{"written", "fmt.Fprintf(w, `\n UPDATE t SET a = %s`, name)", true},
		{"joined to a variable", "q(`INSERT INTO ` + name)", true},
		{"joined to a call", "q(`SELECT ` + f() + ` FROM t`)", true},
		{"joined in the middle", "q(`WITH x AS (` + `SELECT 1` + name + `)`)", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := sources(t, map[string]string{"hub/a.go": "package hub\nimport \"fmt\"\nfunc Use(name string) {\n" + tt.code + "\n}\n"})
			faults := checkSQL(files, nil)
			if (len(faults) == 1) != tt.bad || len(faults) > 1 {
				t.Errorf("faults %q", faults)
			}
			excepted := checkSQL(files, map[string]string{"hub.Use": "a reason"})
			if tt.bad {
				want(t, excepted)
			} else {
				want(t, excepted, "hub.Use: an exception that nothing needs")
			}
		})
	}
}

func TestTopFaults(t *testing.T) {
	want(t, checkTop([]string{"geo/geo.go", "go.mod", ".ci/run"}))
	want(t, checkTop([]string{"utils/a.go", "utils/b.go", "notes.txt"}), "utils", "notes.txt")
}

func TestMachineFaults(t *testing.T) {
	root := fstest.MapFS{}
	var paths []string
	add := func(p, text string) {
		root[p] = &fstest.MapFile{Data: []byte(text)}
		paths = append(paths, p)
	}
	add("ok.md", "see network/paths, /var/lib/onemap, ../shared/data and homework/x\n")
	add("ok.sql", strings.ReplaceAll(spdx, "//", "--"))
	add("picture.png", "/wo"+"rk/x")
	add("a.md", "first\nin /wo"+"rk/main\n")
	add("b.sh", "cd /ro"+"ot/x\n")
	add("c.json", `"resolved": "https://registry.`+`npmjs.org/x"`)
	add("d.sql", "SELECT 1;\n")
	faults, err := checkMachine(root, paths)
	if err != nil {
		t.Fatal(err)
	}
	want(t, faults, "a.md:2", "b.sh:1", "c.json:1", "d.sql: does not begin")
}

func TestUnknownWords(t *testing.T) {
	sql := "CREATE TABLE grid (\n);\n  -- CREATE TABLE no\nCREATE TABLE grid_dog (\n);\n"
	want(t, unknownWords(sql, "| grid | 网格 |\n"), `table grid_dog: the glossary has no word "dog"`)
	want(t, unknownWords(sql, "Grids and dogs"))
}
