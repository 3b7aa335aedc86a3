// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package config reads settings from a JSON file for the command line: a flag
// wins over its ONEMAP_... variable, which wins over the file.
package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/alecthomas/kong"
)

// File is a kong.ConfigurationLoader: one JSON object whose keys are flag names
// ("listen", "database-url"). A key that is no flag is refused, so that a typing
// error cannot pass for a setting.
func File(r io.Reader) (kong.Resolver, error) {
	text, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	values := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return nil, fmt.Errorf("config: not a JSON object: %w", err)
	}
	return resolver(values), nil
}

type resolver map[string]any

// Validate refuses keys that are no flag of any command.
func (r resolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var visit func(*kong.Node)
	visit = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	visit(app.Node)
	var unknown []string
	for k := range r {
		if !known[k] {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return fmt.Errorf("config: unknown settings: %s", strings.Join(unknown, ", "))
	}
	return nil
}

// Resolve returns the file's value of a flag; nil when it has none, or when a
// variable names one, which kong would let the file override.
func (r resolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	v, ok := r[flag.Name]
	if !ok {
		return nil, nil
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	return fmt.Sprint(v), nil
}
