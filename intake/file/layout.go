// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// timeTokens are the parts of a time layout, longest first, and what they are in
// Go's layouts. Doubled letters ask for two digits, single ones take one or two.
var timeTokens = []struct {
	token, layout string
	zone          bool
}{
	{"yyyy", "2006", false},
	{"XXX", "Z07:00", true},
	{"MM", "01", false},
	{"M", "1", false},
	{"dd", "02", false},
	{"d", "2", false},
	{"HH", "15", false},
	{"H", "15", false},
	{"mm", "04", false},
	{"m", "4", false},
	{"ss", "05", false},
	{"s", "5", false},
}

// goLayout translates a layout as people write it (yyyy-MM-dd HH:mm:ss, XXX for
// an offset, or the word RFC3339) into Go's. Anything that is not a token must
// be a mark, a letter beyond ASCII (年) or a T.
func goLayout(s string) (layout string, zone bool, err error) {
	if s == "RFC3339" {
		return "2006-01-02T15:04:05Z07:00", true, nil
	}
	var b strings.Builder
	year := false
next:
	for s != "" {
		for _, t := range timeTokens {
			if rest, ok := strings.CutPrefix(s, t.token); ok {
				b.WriteString(t.layout)
				zone = zone || t.zone
				year = year || t.token == "yyyy"
				s = rest
				continue next
			}
		}
		c := rune(s[0])
		if c != 'T' && c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c) || c == '_') {
			return "", false, fmt.Errorf("%q is none of yyyy MM M dd d HH H mm m ss s XXX", s)
		}
		b.WriteByte(s[0])
		s = s[1:]
	}
	if !year {
		return "", false, errors.New("it has no yyyy")
	}
	return b.String(), zone, nil
}
