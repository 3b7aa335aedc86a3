// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// module is the import path of the repository's root.
const module = "onemap"

// skipped names folders that hold no source of ours.
var skipped = map[string]bool{".git": true, "node_modules": true, "testdata": true, "dist": true, "bin": true, "data": true}

// file is one parsed Go file.
type file struct {
	path string // from the root, with slashes
	dir  string // the package: path without the file name
	test bool
	text []byte
	ast  *ast.File
	fset *token.FileSet
}

// at is where pos lies, for a message.
func (f file) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(pos).Line)
}

// imports maps the names under which f knows the packages it imports to their
// paths.
func (f file) imports() map[string]string {
	out := map[string]string{}
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it: can't be
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
			if name == "_" || name == "." {
				name += p // keeps several apart
			}
		}
		out[name] = p
	}
	return out
}

// parse reads every Go file under root.
func parse(root fs.FS) ([]file, error) {
	var out []file
	fset := token.NewFileSet()
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped[d.Name()]:
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		text, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, file{path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), text: text, ast: tree, fset: fset})
		return nil
	})
	return out, err
}
