// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// header is how every source file begins, behind its comment marks.
var header = []string{"SPDX-FileCopyrightText: The OneMap authors", "SPDX-License-Identifier: Apache-2.0"}

// hasHeader reports whether text begins with the header behind comment marks.
func hasHeader(text []byte, mark string) bool {
	want := mark + header[0] + "\n" + mark + header[1] + "\n"
	return bytes.HasPrefix(text, []byte(want))
}

// checkFiles finds Go files without the header and packages without a comment.
func checkFiles(files []file) (faults []string) {
	doc := map[string]bool{}
	for _, f := range files {
		if !hasHeader(f.text, "// ") {
			faults = append(faults, f.path+": does not begin with the two SPDX lines")
		}
		doc[f.dir] = doc[f.dir] || f.ast.Doc != nil && len(strings.TrimSpace(f.ast.Doc.Text())) > 0
	}
	for dir, ok := range doc {
		if !ok {
			faults = append(faults, dir+": the package has no comment")
		}
	}
	return faults
}

// checkSystem finds calls of auth.System and auth.SystemActor outside callers,
// a list of packages and why each reads the whole database; and entries of that
// list that are no longer needed.
func checkSystem(files []file, callers map[string]string) (faults []string) {
	used := map[string]bool{}
	for _, f := range files {
		if f.test {
			continue
		}
		names := f.imports()
		ast.Inspect(f.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "System" && sel.Sel.Name != "SystemActor" {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); !ok || names[x.Name] != module+"/auth" {
				return true
			}
			used[f.dir] = true
			if callers[f.dir] == "" {
				faults = append(faults, fmt.Sprintf("%s: auth.%s, and %s is not among its callers", f.at(n.Pos()), sel.Sel.Name, f.dir))
			}
			return true
		})
	}
	return append(faults, unused(callers, used)...)
}

// unused finds exceptions that nothing needs any more.
func unused(exceptions map[string]string, used map[string]bool) (faults []string) {
	for name := range exceptions {
		if !used[name] {
			faults = append(faults, name+": an exception that nothing needs; take it out")
		}
	}
	return faults
}

// sqlStart is how a statement of SQL begins; only capitals are SQL here.
var sqlStart = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|COPY|CREATE|ALTER|DROP|TRUNCATE|SET|LISTEN|NOTIFY)\s`)

// checkSQL finds SQL made of text that is not constant: formatted into a
// statement, or joined to one. allowed maps "package.Function" to a reason; an
// entry that is no longer needed is a fault too.
func checkSQL(files []file, allowed map[string]string) (faults []string) {
	consts, used := constants(files), map[string]bool{}
	for _, f := range files {
		if f.test {
			continue
		}
		names := f.imports()
		for _, decl := range f.ast.Decls {
			fn := f.dir
			if d, ok := decl.(*ast.FuncDecl); ok {
				fn += "." + d.Name.Name
			}
			found := madeSQL(f, decl, names, consts[f.dir])
			if len(found) > 0 && allowed[fn] != "" {
				used[fn] = true
				continue
			}
			for _, at := range found {
				faults = append(faults, at+" ("+fn+")")
			}
		}
	}
	return append(faults, unused(allowed, used)...)
}

// madeSQL finds the places in decl where SQL is made of text that is not constant.
func madeSQL(f file, decl ast.Decl, names map[string]string, consts map[string]bool) (found []string) {
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if formatsSQL(n, names) {
				found = append(found, f.at(n.Pos())+": SQL made by formatting; use parameters")
			}
		case *ast.BinaryExpr:
			if n.Op == token.ADD && joinsSQL(n, consts) {
				found = append(found, f.at(n.Pos())+": SQL joined to text that is not constant; use parameters")
				return false
			}
		}
		return true
	})
	return found
}

// constants lists the names of constants by package, local ones included.
func constants(files []file) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, f := range files {
		if out[f.dir] == nil {
			out[f.dir] = map[string]bool{}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
				for _, s := range d.Specs {
					for _, name := range s.(*ast.ValueSpec).Names {
						out[f.dir][name.Name] = true
					}
				}
			}
			return true
		})
	}
	return out
}

// formatsSQL reports a fmt call with a statement as its format and arguments.
func formatsSQL(call *ast.CallExpr, names map[string]string) bool {
	p, name := called(call, names)
	if p != "fmt" || !slices.Contains([]string{"Sprintf", "Fprintf", "Appendf"}, name) {
		return false
	}
	for i, a := range call.Args {
		if i < len(call.Args)-1 && isSQL(a) {
			return true
		}
	}
	return false
}

// isSQL reports a literal, or a sum that begins with one, that starts a statement.
func isSQL(e ast.Expr) bool {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.BinaryExpr:
			e = x.X
		case *ast.BasicLit:
			s, err := strconv.Unquote(x.Value)
			return err == nil && x.Kind == token.STRING && sqlStart.MatchString(s)
		default:
			return false
		}
	}
}

// joinsSQL reports a sum that begins with a statement and has a part that is no
// constant of the package.
func joinsSQL(sum *ast.BinaryExpr, consts map[string]bool) bool {
	return isSQL(sum) && !constant(sum, consts)
}

// constant reports an expression of literals and the package's constants only.
func constant(e ast.Expr, consts map[string]bool) bool {
	switch x := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return consts[x.Name]
	case *ast.ParenExpr:
		return constant(x.X, consts)
	case *ast.BinaryExpr:
		return constant(x.X, consts) && constant(x.Y, consts)
	}
	return false
}

// tableName finds tables; a partition is none of its own.
var tableName = regexp.MustCompile(`(?m)^CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+) \(`)

// unknownWords finds words in names of tables that the glossary does not have.
func unknownWords(sql, glossary string) (faults []string) {
	for _, m := range tableName.FindAllStringSubmatch(sql, -1) {
		for word := range strings.SplitSeq(m[1], "_") {
			if !regexp.MustCompile(`(?i)\b` + word).MatchString(glossary) {
				faults = append(faults, fmt.Sprintf("table %s: the glossary has no word %q", m[1], word))
			}
		}
	}
	return faults
}
