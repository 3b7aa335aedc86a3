// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Command prove runs go test for make test and keeps count of what ran, because the
// proof is made in parts: whole packages or single tests under the race detector,
// the rest without it.
//
//	prove [-last] FILE [go test's arguments]
//
// It shows what go test shows and writes to FILE, behind those of the parts before,
// a line for each test: what became of it, its package and name with a dot between,
// why it was skipped, and the seconds it took, with tabs between; and such a line for
// each package, which has no name behind the dot. With -last it then says which tests
// were skipped and why and where the time went, fails when a test of this module ran
// in no part, or when -skip left out one that did not pass before, and ends with go
// test's own lines.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	args := os.Args[1:]
	last := len(args) > 0 && args[0] == "-last"
	if last {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "prove: say in which file the results are kept")
		os.Exit(2)
	}
	if err := prove(args[0], args[1:], last, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

// module is the path before a folder's in an import path.
const module = "onemap/"

func prove(file string, args []string, last bool, out io.Writer) error {
	kept, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = kept.Close() }()
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	end := out
	held := &strings.Builder{}
	if last {
		end = held
	}
	failed, err := follow(pipe, out, end, kept)
	err = errors.Join(err, cmd.Wait())
	if last {
		_, err2 := kept.Seek(0, io.SeekStart)
		left, err4 := leftOut(args)
		never, err3 := summary(kept, os.DirFS("."), left, out)
		err = errors.Join(err, err2, err3, err4)
		for _, name := range never {
			fmt.Fprintln(out, "never run:", name)
			err = errors.Join(err, errors.New(name+" ran in no part of the proof"))
		}
		_, _ = io.WriteString(out, held.String())
	}
	if failed || err != nil {
		fmt.Fprintln(out, "FAIL")
	}
	return err
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds, without the wait of a parallel test for its turn
}

// aside are lines that only go test -v shows.
var aside = regexp.MustCompile(`^\s*(=== (RUN|PAUSE|CONT|NAME)\s|--- PASS: )`)

// follow reads go test's events. Of a test that failed it writes everything to out,
// of a package its line to end, and of each test its result to kept.
func follow(in io.Reader, out, end, kept io.Writer) (failed bool, err error) {
	told := map[[2]string]*strings.Builder{}
	for dec := json.NewDecoder(in); ; {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return failed, nil
		} else if err != nil {
			return true, fmt.Errorf("go test -json: %w", err)
		}
		top, _, _ := strings.Cut(e.Test, "/")
		key := [2]string{e.Package, top}
		switch e.Action {
		case "build-output":
			_, _ = io.WriteString(out, e.Output)
		case "output":
			if e.Test == "" && result.MatchString(e.Output) {
				if strings.HasPrefix(e.Output, "FAIL") { // of a test broken off there is no result
					for k, b := range told {
						if k[0] == e.Package {
							_, _ = io.WriteString(out, b.String())
						}
					}
				}
				_, _ = io.WriteString(end, e.Output)
				continue
			}
			if told[key] == nil {
				told[key] = &strings.Builder{}
			}
			if !aside.MatchString(e.Output) {
				told[key].WriteString(e.Output)
			}
		case "pass", "fail", "skip":
			failed = failed || e.Action == "fail"
			said := ""
			if b := told[key]; b != nil {
				said = b.String()
			}
			reason := ""
			if e.Action == "skip" && e.Test != "" {
				reason = why(said)
			}
			if _, err := fmt.Fprintf(kept, "%s\t%s.%s\t%s\t%.2f\n", e.Action, e.Package, e.Test, reason, e.Elapsed); err != nil {
				return true, err
			}
			if e.Test != top {
				continue // its test shows it, or forgets it
			}
			if e.Action == "fail" && e.Test != "" {
				_, _ = io.WriteString(out, said)
			}
			delete(told, key)
		}
	}
}

// result is the one line of a package.
var result = regexp.MustCompile(`^(ok  |FAIL|\?   )?\t\S+`)

// reasoned is a line by which a test says why it is skipped.
var reasoned = regexp.MustCompile(`(?m)^\s+[\w.]+\.go:\d+: (.*)$`)

// why takes the reason out of what a skipped test has said: its last line.
func why(said string) string {
	all := reasoned.FindAllStringSubmatch(said, -1)
	if len(all) == 0 {
		return "no reason given"
	}
	return strings.ReplaceAll(all[len(all)-1][1], "\t", " ")
}

// leftOut is what go test's -skip leaves out; nil is nothing.
func leftOut(args []string) (*regexp.Regexp, error) {
	for i, a := range args {
		name, value, joined := strings.Cut(strings.TrimPrefix(a, "-"), "=")
		if name != "-skip" && name != "skip" || !strings.HasPrefix(a, "-") {
			continue
		}
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		return regexp.Compile(value)
	}
	return nil, nil
}

// summary writes which tests were skipped in every part, by reason, and which took
// longest, and returns
// those of tree that are in no part: a test that the last part left out must have
// run in one before, where it is not enough that it was skipped.
func summary(kept io.Reader, tree fs.FS, left *regexp.Regexp, out io.Writer) (never []string, err error) {
	raw, err := io.ReadAll(kept)
	if err != nil {
		return nil, err
	}
	seen, skipped := map[string]bool{}, map[string]string{}
	var packages, single []took
	for line := range strings.Lines(string(raw)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("no result of a test: %q", line)
		}
		seconds, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			return nil, fmt.Errorf("no result of a test: %q", line)
		}
		_, test, _ := strings.Cut(f[1], ".")
		run := took{seconds, strings.TrimSuffix(strings.TrimPrefix(f[1], module), ".")}
		if test == "" {
			packages = append(packages, run)
			continue
		}
		if !strings.Contains(test, "/") { // its time holds that of its parts
			single = append(single, run)
		}
		if f[0] == "skip" && !seen[f[1]] {
			skipped[f[1]] = f[2]
			continue
		}
		seen[f[1]] = true
		delete(skipped, f[1])
	}
	by := map[string][]string{}
	for name, reason := range skipped {
		by[reason] = append(by[reason], strings.TrimPrefix(name, module))
	}
	fmt.Fprintf(out, "== %d tests ran, %d were skipped\n", len(seen), len(skipped))
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[reason])
		fmt.Fprintf(out, "skipped: %s: %s\n", strings.Join(by[reason], ", "), reason)
	}
	slowest(out, "packages", packages)
	slowest(out, "tests", single)
	all, err := tests(tree)
	for _, name := range all {
		short := name[strings.LastIndex(name, ".")+1:]
		if !seen[name] && (skipped[name] == "" || left != nil && left.MatchString(short)) {
			never = append(never, name)
		}
	}
	return never, err
}

// took is how long a package or a test ran in one part.
type took struct {
	seconds float64
	name    string
}

// slowest writes the twenty of runs that took longest.
func slowest(out io.Writer, what string, runs []took) {
	slices.SortStableFunc(runs, func(a, b took) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprintf(out, "slowest %s, in seconds:", what)
	for _, r := range runs[:min(20, len(runs))] {
		fmt.Fprintf(out, " %s %.1f", r.name, r.seconds)
	}
	fmt.Fprintln(out)
}

// testFunc is the beginning of a test.
var testFunc = regexp.MustCompile(`(?m)^func (Test[^a-z\s(]\w*)\(\w+ \*testing\.T\)`)

// tests lists the tests in the Go files of tree, as package.Test.
func tests(tree fs.FS) (names []string, err error) {
	err = fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && p != "." && (name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(tree, p)
		for _, m := range testFunc.FindAllSubmatch(src, -1) {
			names = append(names, module+path.Dir(p)+"."+string(m[1]))
		}
		return err
	})
	return names, err
}
