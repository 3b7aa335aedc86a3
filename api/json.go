// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// What a body may be made of: no request needs nearly as much, and to read more
// would cost a sender little and the server much.
const (
	maxDepth  = 32
	maxValues = 2000
	// maxDrawn is of a body that may hold a polygon, with some room: of three numbers a
	// vertex.
	maxDrawn = 10_000
)

// small refuses a text that is nested too deep or has too many values, at one
// look at its bytes. Whether it is JSON at all is seen later.
func small(data []byte, values int) error {
	depth, seen, quoted := 0, 1, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return fmt.Errorf("nested deeper than %d", maxDepth)
			}
		case c == ']' || c == '}':
			depth--
		case c == ',':
			if seen++; seen > values {
				return fmt.Errorf("more than %d values", values)
			}
		}
	}
	return nil
}

// noDoubleKeys refuses a JSON text with a doubled key, with more after its end,
// or of more than so many values.
func noDoubleKeys(data []byte, values int) error {
	if err := small(data, values); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := walk(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more text after the end of the JSON value")
	}
	return nil
}

func walk(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('['):
		for d.More() {
			if err := walk(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := k.(string)
			if seen[name] {
				return fmt.Errorf("key %q stands twice", name)
			}
			seen[name] = true
			if err := walk(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}
