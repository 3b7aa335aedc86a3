// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"fmt"
	"strings"
)

// piece is a part of a template: literal text, or the column whose cell goes
// there.
type piece struct{ text, column string }

// parseTemplate reads "{offense}：{address}". A brace can't be written as text.
func parseTemplate(s string) ([]piece, error) {
	var out []piece
	for s != "" {
		text, rest, found := strings.Cut(s, "{")
		if strings.Contains(text, "}") {
			return nil, fmt.Errorf("template: a } without {")
		}
		if text != "" {
			out = append(out, piece{text: text})
		}
		if !found {
			break
		}
		column, after, closed := strings.Cut(rest, "}")
		if !closed || column == "" || strings.Contains(column, "{") {
			return nil, fmt.Errorf("template: a { without a column name and }")
		}
		out = append(out, piece{column: column})
		s = after
	}
	return out, nil
}
