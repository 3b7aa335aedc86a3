// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// MaskName keeps the first character of a name: 张*, 欧**. At most two stars
// follow, so that they don't tell its length. A name of one character is all star.
func MaskName(name string) string {
	runes := []rune(flat(name))
	switch len(runes) {
	case 0:
		return ""
	case 1:
		return "*"
	}
	return string(runes[0]) + strings.Repeat("*", min(len(runes)-1, 2))
}

// MaskPhone keeps 138****1234 of a number of eleven digits, +86 before it left
// out. Of a longer one it keeps the last four and up to the first three, never
// more than half; of a shorter one the last two, and of less than four digits
// nothing. Whatever is not a digit goes: a name may stand there too.
func MaskPhone(phone string) string {
	flatPhone := flat(phone)
	digits := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsDigit(r) {
			return -1
		}
		return r
	}, flatPhone))
	for _, prefix := range []string{"0086", "86"} {
		if rest, ok := strings.CutPrefix(string(digits), prefix); ok && len(digits) == len(prefix)+11 {
			digits = []rune(rest)
			break
		}
	}
	switch n := len(digits); {
	case flatPhone == "":
		return ""
	case n == 0:
		return "*" // something, but no number
	case n < 4:
		return stars(digits, 0, 0)
	case n < 11:
		return stars(digits, 0, 2)
	case n == 11:
		return stars(digits, 3, 4)
	default:
		return stars(digits, min(3, n/2-4), 4)
	}
}

// MaskID keeps the first three and the last two characters of an identity number
// and its length: 150*************12. A text of less than ten characters is all
// stars.
func MaskID(id string) string {
	runes := []rune(flat(id))
	if len(runes) < 10 {
		return stars(runes, 0, 0)
	}
	return stars(runes, 3, 2)
}

// stars is text with all but its first and last few characters starred.
func stars(text []rune, first, last int) string {
	return string(text[:first]) + strings.Repeat("*", len(text)-first-last) + string(text[len(text)-last:])
}

// flat is s in half-width characters, without blanks and what can't be seen.
func flat(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}
