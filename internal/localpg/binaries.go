// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// extensions are what the product needs, in the order of their creation.
var extensions = []string{"postgis", "btree_gist", "pg_trgm"}

// binaries is one installed PostgreSQL that has every extension we need.
type binaries struct {
	major int
	bin   string // folder of postgres and initdb
}

func (b binaries) path(name string) string { return filepath.Join(b.bin, name) }

// library is a shared library's file: each of the layouts has them beside bin.
func (b binaries) library(name string) string { return filepath.Join(b.bin, "..", "lib", name+".so") }

// layouts are the places where distributions put PostgreSQL, one folder for each
// major version: programs and extensions.
var layouts = []struct{ bin, ext string }{
	{"usr/lib/postgresql/*/bin", "usr/share/postgresql/%d/extension"}, // Debian, Ubuntu
	{"usr/pgsql-*/bin", "usr/pgsql-%d/share/extension"},               // the RPM packages
}

var digits = regexp.MustCompile(`[0-9]+`)

// findBinaries lists the usable installations below root ("/"), newest first.
func findBinaries(root string) []binaries {
	var found []binaries
	for _, l := range layouts {
		bins, err := filepath.Glob(filepath.Join(root, l.bin))
		if err != nil {
			continue
		}
		for _, bin := range bins {
			major, err := strconv.Atoi(digits.FindString(filepath.Base(filepath.Dir(bin))))
			if err != nil {
				continue
			}
			ext := filepath.Join(root, fmt.Sprintf(l.ext, major))
			if usable(bin, ext) {
				found = append(found, binaries{major: major, bin: bin})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	return found
}

func usable(bin, ext string) bool {
	need := []string{filepath.Join(bin, "postgres"), filepath.Join(bin, "initdb")}
	for _, e := range extensions {
		need = append(need, filepath.Join(ext, e+".control"))
	}
	return !slices.ContainsFunc(need, func(f string) bool {
		_, err := os.Stat(f)
		return err != nil
	})
}

// choose picks the installation for a cluster of major version have; 0 means
// that there is none yet and the newest serves.
func choose(found []binaries, have int) (binaries, error) {
	if len(found) == 0 {
		return binaries{}, fmt.Errorf("%w: on Debian, apt-get install postgresql-postgis", ErrNoPostGIS)
	}
	if have == 0 {
		return found[0], nil
	}
	if i := slices.IndexFunc(found, func(b binaries) bool { return b.major == have }); i >= 0 {
		return found[i], nil
	}
	return binaries{}, fmt.Errorf("%w: data of %d, installed with PostGIS is %d; install PostgreSQL %d with PostGIS, or dump the data there and restore it into a new folder",
		ErrWrongMajor, have, found[0].major, have)
}

// Available says whether this machine has a PostgreSQL with PostGIS; if not, the
// error is ErrNoPostGIS with what to install.
func Available() error {
	_, err := choose(findBinaries("/"), 0)
	return err
}
