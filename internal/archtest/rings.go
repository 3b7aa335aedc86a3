// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// place is where the table puts a package.
type place struct{ ring, column int }

// rings is the table of docs/ARCHITECTURE.md.
type rings map[string]place

var (
	ringRow  = regexp.MustCompile(`^\|\s*(\d)\s+\w+\s*\|(.*)\|\s*$`)
	ringItem = regexp.MustCompile("^\\s*`([a-z0-9/]+)`")
)

// readRings reads the table out of the text of docs/ARCHITECTURE.md.
func readRings(text string) (rings, error) {
	out := rings{}
	for line := range strings.Lines(text) {
		row := ringRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			continue
		}
		for column, item := range strings.Split(row[2], "·") {
			name := ringItem.FindStringSubmatch(item)
			if name == nil {
				return nil, fmt.Errorf("ring %s, item %q does not begin with a package in backticks", row[1], item)
			}
			if _, twice := out[name[1]]; twice {
				return nil, fmt.Errorf("package %s is in the table twice", name[1])
			}
			out[name[1]] = place{ring: int(row[1][0] - '0'), column: column}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no ring table found")
	}
	return out, nil
}

// checkRings holds the table and the packages against each other, both ways, and
// every import against the table. pending are packages of the table that may be
// missing.
func checkRings(files []file, r rings, pending []string) (faults []string) {
	seen := map[string]bool{}
	for _, f := range files {
		if !seen[f.dir] {
			seen[f.dir] = true
			if _, ok := r[f.dir]; !ok {
				faults = append(faults, f.dir+": not in the ring table of docs/ARCHITECTURE.md")
			}
		}
		if !f.test {
			faults = append(faults, checkImports(f, r)...)
		}
	}
	for name := range r {
		if !seen[name] && !slices.Contains(pending, name) {
			faults = append(faults, name+": in the ring table of docs/ARCHITECTURE.md, but there is no such package")
		}
	}
	return faults
}

// checkImports holds one file's imports of our own packages against the table.
func checkImports(f file, r rings) (faults []string) {
	from, ok := r[f.dir]
	if !ok {
		return nil // said by checkRings
	}
	for _, p := range f.imports() {
		name, ours := strings.CutPrefix(p, module+"/")
		if !ours {
			continue
		}
		to, ok := r[name]
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("%s: imports %s, which is not in the ring table", f.path, name))
		case to.ring > from.ring:
			faults = append(faults, fmt.Sprintf("%s: ring %d imports %s of ring %d", f.path, from.ring, name, to.ring))
		case to.ring == from.ring && to.column >= from.column:
			faults = append(faults, fmt.Sprintf("%s: imports %s, which is not to its left in ring %d", f.path, name, to.ring))
		}
	}
	return faults
}

// pureRings is the last ring without SQL, sockets, goroutines and clocks.
const pureRings = 2

// impure are imports that rings 0 to 2 may not have, themselves or below.
var impure = []string{
	"database/sql", "net", "os/exec", "os/signal", "syscall",
	"github.com/jackc", "github.com/pressly", "github.com/gorilla", "github.com/gin-gonic", "github.com/danielgtaylor",
}

// mayUse lists packages that only some of ours may import, tests apart.
var mayUse = map[string][]string{
	"github.com/uber/h3-go":      {"geo/cell"},
	"github.com/gorilla":         {"hub", "cmd/fieldsim", "internal/e2e", "internal/demo"}, // a server, and clients
	"github.com/gin-gonic":       {"api", "internal/app"},
	"github.com/danielgtaylor":   {"api", "internal/app"},
	"github.com/alecthomas/kong": {"internal/config", "cmd/onemap", "cmd/fieldsim"},
	"github.com/pressly/goose":   {"store", "internal/app", "internal/pgtest"},
	"pgregory.net/rapid":         {}, // tests only
	"go.uber.org/goleak":         {},
	"github.com/prometheus":      {"api", "hub", "store", "tiles", "track/osmand", "internal/app"},
	"github.com/twpayne/go-geom": {"store", "track", "geo"},
}

// below reports whether import path p is parent or lies under it.
func below(p, parent string) bool { return p == parent || strings.HasPrefix(p, parent+"/") }

// checkForeign holds the imports of foreign packages against mayUse, and those of
// the inner rings against impure.
func checkForeign(files []file, r rings) (faults []string) {
	for _, f := range files {
		if f.test {
			continue
		}
		at, known := r[f.dir]
		for _, p := range f.imports() {
			for parent, users := range mayUse {
				if below(p, parent) && !slices.Contains(users, f.dir) {
					faults = append(faults, fmt.Sprintf("%s: imports %s, which only %v may", f.path, p, users))
				}
			}
			if !known || at.ring > pureRings {
				continue
			}
			for _, parent := range impure {
				if below(p, parent) && p != "net/url" {
					faults = append(faults, fmt.Sprintf("%s: ring %d imports %s", f.path, at.ring, p))
				}
			}
		}
	}
	return faults
}

// checkPure finds goroutines and clocks in the inner rings.
func checkPure(files []file, r rings) (faults []string) {
	for _, f := range files {
		at, ok := r[f.dir]
		if f.test || !ok || at.ring > pureRings {
			continue
		}
		names := f.imports()
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				faults = append(faults, f.at(n.Pos())+": a goroutine in ring "+fmt.Sprint(at.ring))
			case *ast.CallExpr:
				if p, name := called(n, names); p == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc"}, name) {
					faults = append(faults, fmt.Sprintf("%s: time.%s in ring %d; the clock is a parameter", f.at(n.Pos()), name, at.ring))
				}
			}
			return true
		})
	}
	return faults
}

// called names the package and function of a call such as fmt.Sprintf(...).
func called(call *ast.CallExpr, imports map[string]string) (pkg, name string) {
	fun := call.Fun
	switch f := fun.(type) { // a generic function with its type written out
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return imports[x.Name], sel.Sel.Name
}
