// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"strings"
	"testing"
)

// size is depth and number of values of a JSON value, by the library's own parse:
// a key counts with its value, an empty list or object as one.
func size(v any) (depth, values int) {
	var parts []any
	switch v := v.(type) {
	case []any:
		parts = v
	case map[string]any:
		for _, x := range v {
			parts = append(parts, x)
		}
	default:
		return 0, 1
	}
	for _, p := range parts {
		d, n := size(p)
		depth, values = max(depth, d), values+n
	}
	return depth + 1, max(values, 1)
}

func FuzzABodyIsMeasuredByItsBytes(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2,{"b":"x,[{"}],"c":"\"[,"}`, `[]`, `"[[[["`, `{"a\\":"\\",":1}`, `[[],[],{}]`,
		strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 33) + strings.Repeat("]", 33),
		"[" + strings.Repeat("1,", 1999) + "1]", "[" + strings.Repeat("1,", 2000) + "1]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := small(data, maxValues)
		var v any
		d := json.NewDecoder(strings.NewReader(string(data)))
		if d.Decode(&v) != nil || d.More() {
			return // no JSON: refused later
		}
		depth, values := size(v)
		// Doubled keys hide values from the parse, never from the bytes.
		if tooMuch := depth > maxDepth || values > maxValues; tooMuch && err == nil {
			t.Errorf("depth %d and %d values are let through", depth, values)
		}
		if err != nil && depth <= maxDepth && strings.Count(string(data), ",") < maxValues && strings.Count(string(data), "[")+strings.Count(string(data), "{") <= maxDepth {
			t.Errorf("depth %d and %d values: %v", depth, values, err)
		}
	})
}
