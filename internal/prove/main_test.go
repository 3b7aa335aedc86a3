// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// moduleWith makes a module called onemap with these files, Go files less a tab
// before their lines, and works in it; the tab keeps tests in them from being taken
// for some of this module.
func moduleWith(t *testing.T, files map[string]string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files["go.mod"] = "module onemap\n\ngo 1.26\n"
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".go") {
			text = strings.ReplaceAll(text, "\n\t", "\n")
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "-vet=off")
}

func TestThePartsOfAProofAreCountedTogether(t *testing.T) {
	moduleWith(t, map[string]string{
		"a/a_test.go": `package a
	import "testing"
	func TestGood(t *testing.T) { t.Log("unseen"); t.Run("part", func(t *testing.T) { t.Skip("no part of it") }) }
	func TestShort(t *testing.T) { if testing.Short() { t.Skip("too long") } }
	func TestBare(t *testing.T) { t.SkipNow() }
`,
		"b/b_test.go": "package b\nimport \"testing\"\nfunc TestOther(t *testing.T) {}\nfunc TestMain(m *testing.M) { m.Run() }\n",
	})
	out := &strings.Builder{}
	if err := prove("results", []string{"-short", "./a"}, false, out); err != nil || !strings.HasPrefix(out.String(), "ok  \tonemap/a\t") || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	out.Reset()
	if err := prove("results", []string{"-run", "Short", "./a"}, true, out); err == nil || !strings.Contains(out.String(), "never run: onemap/b.TestOther\n") || !strings.HasSuffix(out.String(), "\nFAIL\n") {
		t.Errorf("a test of no part is not missed: %v: %s", err, out)
	}
	out.Reset()
	if err := prove("results", []string{"./b"}, true, out); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "== 3 tests ran, 2 were skipped\nskipped: a.TestGood/part: no part of it\nskipped: a.TestBare: no reason given\nslowest packages, in seconds: "
	if !strings.HasPrefix(out.String(), want) || !strings.Contains(out.String(), "\nok  \tonemap/b\t") {
		t.Errorf("got %s, want %s", out, want)
	}
}

// A test that the last part leaves out because another ran it did run there.
func TestWhatTheLastPartLeavesOutHasRun(t *testing.T) {
	moduleWith(t, map[string]string{"a/a_test.go": `package a
	import "testing"
	func TestShort(t *testing.T) { if testing.Short() { t.Skip("too long") } }
	func TestQuick(t *testing.T) {}
	func TestBare(t *testing.T) { t.Skip("no data") }
`, "b/b_test.go": `package b
	import "testing"
	func TestQuickToo(t *testing.T) {}
	func TestBoth(t *testing.T) {}
`, "c/c_test.go": "package c\nimport \"testing\"\nfunc TestBoth(t *testing.T) {}\n"})
	if err := prove("results", []string{"-short", "./a", "./b"}, false, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string // run in no part
	}{
		{[]string{"-skip=Both", "./c"}, "onemap/c.TestBoth"}, // b's ran, not this one
		{[]string{"-skip", "^(TestShort|TestQuick)$", "./a", "./c"}, "onemap/a.TestShort"},
		{[]string{"--skip=Short", "./a"}, "onemap/a.TestShort"},
		{[]string{"-skip=Quick", "./a"}, ""},
	} {
		out := &strings.Builder{}
		err := prove("results", c.args, true, out)
		if c.want == "" && err != nil || c.want != "" && (err == nil || strings.Count(out.String(), "never run: ") != 1 || !strings.Contains(out.String(), "never run: "+c.want+"\n")) {
			t.Errorf("%v: %v: %s", c.args, err, out)
		}
	}
}

func TestTheSlowestAreNamed(t *testing.T) {
	kept := &strings.Builder{}
	fmt.Fprint(kept, "pass\tonemap/a.TestOld/1.5\t\t9.00\npass\tonemap/a.TestOld\t\t9.04\nskip\tonemap/a.TestNew\tno data\t0.01\npass\tonemap/a.\t\t12.00\n")
	for i := range 25 {
		fmt.Fprintf(kept, "pass\tonemap/b/c.Test%02d\t\t%d.5\n", i, i)
	}
	fmt.Fprint(kept, "pass\tonemap/b/c.\t\t300.25\nskip\tonemap/d.\t\t0.00\n")
	out := &strings.Builder{}
	if _, err := summary(strings.NewReader(kept.String()), fstest.MapFS{}, nil, out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "== 27 tests ran, 1 ") || lines[2] != "slowest packages, in seconds: b/c 300.2 a 12.0 d 0.0" ||
		!strings.HasPrefix(lines[3], "slowest tests, in seconds: b/c.Test24 24.5 ") || !strings.Contains(lines[3], " b/c.Test09 9.5 a.TestOld 9.0 b/c.Test08 8.5 ") ||
		strings.Count(lines[3], "Test") != 20 {
		t.Errorf("%s", out)
	}
	if _, err := summary(strings.NewReader("pass\tonemap/a.TestOld\t\n"), fstest.MapFS{}, nil, out); err == nil {
		t.Error("a line without a time is no result")
	}
}

// make test leaves out of its last part no test of a file that heeds -short: under
// the race detector it may have done less.
func TestShortenedTestsAreNotLeftOut(t *testing.T) {
	dir := t.TempDir()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"Makefile":                   string(makefile) + "\nshow:\n\t@echo '$(RACED)'\n",
		"internal/app/full_test.go":  "package app\nfunc TestSocket(t *testing.T) {}\n",
		"store/full_test.go":         "package store\nfunc TestTwoWriters(t *testing.T) {}\nfunc TestPlaces(t *testing.T) {}\n",
		"store/ledger/full_test.go":  "package ledger\nfunc TestRowsAreSeals(t *testing.T) {}\n",
		"store/ledger/short_test.go": "package ledger\nfunc TestSealsInFull(t *testing.T) { if testing.Short() { return } }\n",
		"internal/app/alone_test.go": "package app\nfunc TestABatchOfPlacesIsAnsweredAsOneByOne(t *testing.T) {}\n",
		"internal/app/short_test.go": "package app\nfunc TestSocketInFull(t *testing.T) { if testing.Short() { return } }\n",
	} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("make", "-s", "show")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != "^(TestSocket|TestTwoWriters|TestRowsAreSeals)$" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAFailureIsShownAndFails(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"a test":    {"func TestBad(t *testing.T) { t.Run(\"x\", func(t *testing.T) { t.Error(\"the fault\") }) }", "the fault"},
		"a panic":   {"func TestBad(t *testing.T) { panic(\"the fault\") }", "the fault"},
		"an exit":   {"func TestBad(t *testing.T) { println(\"the fault\"); os.Exit(3) }", "the fault"},
		"no end":    {"func TestBad(t *testing.T) { t.Log(\"the fault\"); select {} }", "the fault"},
		"no build":  {"func TestBad(t *testing.T) { theFault() }", "undefined: theFault"},
		"a package": {"func TestMain(m *testing.M) { os.Exit(m.Run() + 1) }", "FAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			moduleWith(t, map[string]string{"a/a_test.go": "package a\nimport (\n\"os\"\n\"testing\"\n)\nvar _ = os.Args\n" + c.src + "\n"})
			last, out := len(name)%2 == 0, &strings.Builder{}
			err := prove("results", []string{"-timeout", "2s", "./a"}, last, out)
			if text := out.String(); err == nil || !strings.Contains(text, c.want) || !strings.Contains(text, "\nFAIL\tonemap/a") || !strings.HasSuffix(text, "\nFAIL\n") {
				t.Errorf("last %v: %v: %s", last, err, text)
			}
		})
	}
}

func TestTestsAreFoundInTheFiles(t *testing.T) {
	names, err := tests(fstest.MapFS{
		"a/x_test.go":              {Data: []byte("func TestA(t *testing.T) {\nfunc TestMain(m *testing.M) {\nfunc Testing(t *testing.T) {\nfunc helper(t *testing.T) {\nfunc (s) TestB(t *testing.T) {\n")},
		"a/x.go":                   {Data: []byte("func TestC(t *testing.T) {\n")},
		"a/testdata/b/x_test.go":   {Data: []byte("func TestD(t *testing.T) {\n")},
		"node_modules/b/x_test.go": {Data: []byte("func TestE(t *testing.T) {\n")},
	})
	if err != nil || strings.Join(names, " ") != "onemap/a.TestA" {
		t.Errorf("%v, %v", names, err)
	}
}
