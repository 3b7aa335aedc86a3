// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// systemCallers are the packages that may read the whole database, and why.
var systemCallers = map[string]string{
	"store":           "names of a grid's former versions",
	"store/ledger":    "every worker's badge, told anew after a change of the configuration",
	"internal/app":    "the product's own loops: sequencer, sweeps, caches; the import of history",
	"internal/attach": "ends uploads in the name of the server: who sent one had the right",
	"internal/demo":   "loads the made-up county",
	"cmd/onemap":      "tokens and wall links, made by whoever owns the machine",
}

// sqlMade are functions that may build SQL from text, and why that is safe. DDL
// takes no parameters.
var sqlMade = map[string]string{
	"store.findFaults":                "one of our own statements, chosen by kind",
	"store.RemarksOf":                 "one of our own statements, chosen by kind",
	"store.openOf":                    "likewise",
	"store.CountOpen":                 "likewise",
	"store.makePartition":             "DDL; the name and the bounds are made of a date",
	"store.DropBefore":                "DDL; the name is made of a date",
	"store.give":                      "advice that doctor prints, never run by the program; names quoted by the database",
	"store.arm":                       "likewise; the trigger is of our own list",
	"store.take":                      "likewise",
	"store/ledger.makePartitions":     "DDL; the name and the bounds are made of a date",
	"internal/localpg.ensureDatabase": "DDL; the extensions are our own list",
	"internal/pgtest.tidy":            "DDL on databases of tests; names quoted",
	"internal/pgtest.clone":           "DDL on databases of tests; names quoted",
	"internal/pgtest.drop":            "DDL on databases of tests; names quoted",
	"internal/pgtest.Extension":       "DDL on databases of tests; the name quoted",
	"internal/pgtest.makeTemplate":    "DDL on databases of tests; names quoted",
}

// pending are packages of the ring table that need not be there.
var pending []string

func tree(t *testing.T) (fs.FS, []file) {
	t.Helper()
	root := os.DirFS("../..")
	files, err := parse(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("only %d Go files found", len(files))
	}
	return root, files
}

func table(t *testing.T) rings {
	t.Helper()
	text, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	r, err := readRings(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func report(t *testing.T, faults []string) {
	t.Helper()
	slices.Sort(faults)
	for _, f := range faults {
		t.Error(f)
	}
}

func TestRings(t *testing.T) {
	_, files := tree(t)
	report(t, checkRings(files, table(t), pending))
}

func TestForeignImports(t *testing.T) {
	_, files := tree(t)
	report(t, checkForeign(files, table(t)))
}

func TestInnerRingsAreStill(t *testing.T) {
	_, files := tree(t)
	report(t, checkPure(files, table(t)))
}

func TestHeadersAndPackageComments(t *testing.T) {
	_, files := tree(t)
	report(t, checkFiles(files))
}

func TestWhoReadsTheWholeDatabase(t *testing.T) {
	_, files := tree(t)
	report(t, checkSystem(files, systemCallers))
}

func TestSQLIsConstant(t *testing.T) {
	_, files := tree(t)
	report(t, checkSQL(files, sqlMade))
}

func TestTrackedFiles(t *testing.T) {
	root, _ := tree(t)
	paths := tracked(t, root)
	report(t, checkTop(paths))
	faults, err := checkMachine(root, paths)
	if err != nil {
		t.Fatal(err)
	}
	report(t, faults)
}

// tracked lists the files under version control, or, in an unpacked archive, all.
func tracked(t *testing.T, root fs.FS) (paths []string) {
	t.Helper()
	out, err := exec.Command("git", "-C", "../..", "ls-files", "-z").Output()
	if err == nil && len(out) > 0 {
		for p := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
			if _, err := os.Stat(filepath.Join("../..", p)); errors.Is(err, fs.ErrNotExist) {
				continue // deleted, not yet committed
			}
			paths = append(paths, p)
		}
		return paths
	}
	err = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && skipped[d.Name()] {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			paths = append(paths, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestGlossaryKnowsTheSchema wants every word of a table's name in the glossary.
func TestGlossaryKnowsTheSchema(t *testing.T) {
	glossary, err := os.ReadFile("../../docs/GLOSSARY.md")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("../../migrations/*.sql")
	if err != nil || len(paths) == 0 {
		t.Fatalf("migrations %v, %v", paths, err)
	}
	for _, p := range paths {
		sql, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		report(t, unknownWords(string(sql), string(glossary)))
	}
}
