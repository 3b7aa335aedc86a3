// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mutant is one deliberate break of the policy.
type mutant struct{ name, what, file, old, new string }

// readMutant reads a file of testdata/mutants: a line that says what leaks, a line
// "file: ...", then the exact text between "--- old" and "--- new", and the text
// that takes its place.
func readMutant(path string) (mutant, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return mutant{}, err
	}
	what, rest, _ := strings.Cut(string(raw), "\n")
	file, rest, _ := strings.Cut(rest, "\n")
	rest, ok := strings.CutPrefix(rest, "--- old\n")
	before, after, both := strings.Cut(rest, "--- new\n")
	if file, ok2 := strings.CutPrefix(file, "file: "); ok && ok2 && both {
		return mutant{filepath.Base(path), what, file, strings.TrimSuffix(before, "\n"), strings.TrimSuffix(after, "\n")}, nil
	}
	return mutant{}, fmt.Errorf("%s is no mutant", path)
}

// TestBrokenPoliciesAreNoticed breaks the policy in a dozen ways and expects the
// matrix to find each: a test that can't fail proves nothing. All of them with
// ONEMAP_SOAK=1; else one, of a seed that is printed (ONEMAP_SEED takes it again).
func TestBrokenPoliciesAreNoticed(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/mutants/*.txt")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d mutants, want ten or more (%v)", len(paths), err)
	}
	var all []mutant
	for _, p := range paths {
		m, err := readMutant(p)
		if err != nil {
			t.Fatal(err)
		}
		src, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), m.old); n != 1 {
			t.Errorf("%s: its old text stands %d times in %s, want once: the code has changed, so must the mutant", m.name, n, m.file)
		}
		all = append(all, m)
	}
	if t.Failed() || testing.Short() {
		return
	}
	if !soak() {
		seed := uint64(time.Now().UnixNano())
		if s, err := strconv.ParseUint(os.Getenv("ONEMAP_SEED"), 10, 64); err == nil {
			seed = s
		}
		t.Logf("ONEMAP_SEED=%d", seed)
		i := seed % uint64(len(all))
		all = all[i : i+1]
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) { m.mustBeFound(t) })
	}
}

func (m mutant) mustBeFound(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(root, m.file)
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: broken}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	bin := filepath.Join(dir, "app.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-overlay", list, "-o", bin, "./internal/app")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s does not compile: %v\n%.2000s", m.name, err, out)
	}
	run := exec.CommandContext(ctx, bin, "-test.run", "^TestMatrix$", "-test.timeout", "4m")
	run.Env = append(os.Environ(), firstLeakVar+"=1")
	out, err := run.CombinedOutput()
	if err == nil {
		t.Fatalf("%s (%s) passes: the matrix does not see it", m.name, m.what)
	}
	first := ""
	for _, l := range strings.Split(string(out), "\n") {
		if strings.Contains(l, "leak | ") {
			first = strings.TrimSpace(l)
			break
		}
	}
	if first == "" {
		t.Fatalf("%s (%s) fails, but for no leak:\n%.3000s", m.name, m.what, out)
	}
	t.Logf("%s is found: %.200s", m.what, first)
}
