// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// topLevel is everything that may lie in the repository's root.
var topLevel = []string{
	".ci", ".editorconfig", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
	"docker-compose.yml", "go.mod", "go.sum",
	"analysis", "api", "auth", "cmd", "deploy", "dispatch", "docs", "feed", "frontend", "geo", "hub", "intake", "internal", "layer",
	"migrations", "mirror", "people", "store", "tiles", "track",
}

// checkTop finds paths that lie under no allowed name of the root.
func checkTop(paths []string) (faults []string) {
	for _, p := range paths {
		top, _, _ := strings.Cut(p, "/")
		if !slices.Contains(topLevel, top) {
			f := top + ": not among the names allowed in the root folder"
			if !slices.Contains(faults, f) {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

// machine matches what belongs to one machine or one network: absolute paths of
// work folders and homes, hosts of package registries. The parts are joined here
// so that this file does not match itself.
var machine = regexp.MustCompile(strings.Join([]string{
	`(^|[\s"'=:(])/(work|workspace|Users)` + `/[a-z]`,
	`(^|[\s"'=:(])/root` + `/[a-zA-Z.]`,
	`(^|[\s"'=:(])/home` + `/[a-z]`,
	`registry\.` + `npm`, `npm` + `mirror`, `proxy\.` + `golang`, `go` + `proxy\.`, `deb\.` + `debian\.org`, `sum\.` + `golang`,
}, "|"))

// binary lists endings of files that hold no text.
var binary = []string{".png", ".ico", ".woff2", ".mvt", ".gz", ".pbf"}

// checkMachine finds traces of one machine in the text of paths, and SQL and shell
// files without the header.
func checkMachine(root fs.FS, paths []string) (faults []string, err error) {
	for _, p := range paths {
		if slices.Contains(binary, path.Ext(p)) {
			continue
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return nil, err
		}
		for n, line := range bytes.Split(text, []byte("\n")) {
			if m := machine.Find(line); m != nil {
				faults = append(faults, fmt.Sprintf("%s:%d: %q belongs to one machine or network", p, n+1, m))
			}
		}
		if path.Ext(p) == ".sql" && !hasHeader(text, "-- ") {
			faults = append(faults, p+": does not begin with the two SPDX lines")
		}
	}
	return faults, nil
}
