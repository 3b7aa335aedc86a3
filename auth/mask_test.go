// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"onemap/auth"
)

func TestMasks(t *testing.T) {
	for _, c := range []struct {
		name string
		mask func(string) string
		in   string
		want string
	}{
		{"name", auth.MaskName, "", ""},
		{"name", auth.MaskName, " \u200b", ""},
		{"name", auth.MaskName, "张", "*"},
		{"name", auth.MaskName, "张三", "张*"},
		{"name", auth.MaskName, " 张　三 ", "张*"},
		{"name", auth.MaskName, "欧阳修", "欧**"},
		{"name", auth.MaskName, "巴图孟和", "巴**"},
		{"name", auth.MaskName, "13812345678", "1**"},

		{"phone", auth.MaskPhone, "", ""},
		{"phone", auth.MaskPhone, "13812341234", "138****1234"},
		{"phone", auth.MaskPhone, "138 1234 1234", "138****1234"},
		{"phone", auth.MaskPhone, "138-1234-1234", "138****1234"},
		{"phone", auth.MaskPhone, "+86 138 1234 1234", "138****1234"},
		{"phone", auth.MaskPhone, "+8613812341234", "138****1234"},
		{"phone", auth.MaskPhone, "008613812341234", "138****1234"},
		{"phone", auth.MaskPhone, "（＋８６）１３８１２３４１２３４", "138****1234"},
		{"phone", auth.MaskPhone, "1３8\u200b1234\u00a01234", "138****1234"},
		{"phone", auth.MaskPhone, "0471-1234567", "047****4567"},
		{"phone", auth.MaskPhone, "0471-12345678", "04******5678"},
		{"phone", auth.MaskPhone, "1234567", "*****67"},
		{"phone", auth.MaskPhone, "1381234123", "********23"},
		{"phone", auth.MaskPhone, "1234", "**34"},
		{"phone", auth.MaskPhone, "110", "***"},
		{"phone", auth.MaskPhone, "张三 13812341234", "138****1234"},
		{"phone", auth.MaskPhone, "13812341234、13956785678", "138***************5678"},
		{"phone", auth.MaskPhone, "一三八一二三四", "*"},
		{"phone", auth.MaskPhone, "无", "*"},

		{"id", auth.MaskID, "", ""},
		{"id", auth.MaskID, "150102199001011212", "150*************12"},
		{"id", auth.MaskID, "15010219900101121X", "150*************1X"},
		{"id", auth.MaskID, "１５０１０２ 19900101 1212", "150*************12"},
		{"id", auth.MaskID, "150102900101121", "150**********21"},
		{"id", auth.MaskID, "E12345678", "*********"},
		{"id", auth.MaskID, "1501021990", "150*****90"},
		{"id", auth.MaskID, "12", "**"},
	} {
		if got := c.mask(c.in); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

// personal draws what people write into such fields.
func personal() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`(\+86|86|0086)? ?[0-9０-９]{0,40}`),
		rapid.StringMatching(`[0-9 \-+()（）０-９Xx张三᠑᠓①²]{0,60}`),
		rapid.String(),
	)
}

var sixDigits = regexp.MustCompile(`\p{Nd}{6}`)

// No mask tells six digits in a row, more than five characters of an identity
// number, or, a number of eleven digits apart, more than half of a phone number;
// only nothing gives nothing.
func TestNoMaskTellsTooMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := personal().Draw(t, "text")
		known := func(mask string) int { return utf8.RuneCountInString(strings.ReplaceAll(mask, "*", "")) }
		name, phone, id := auth.MaskName(in), auth.MaskPhone(in), auth.MaskID(in)
		for _, mask := range []string{name, phone, id} {
			if sixDigits.MatchString(mask) {
				t.Fatalf("%q: mask %q tells six digits in a row", in, mask)
			}
			if (mask == "") != (name == "") {
				t.Fatalf("%q: masks %q, %q, %q", in, name, phone, id)
			}
		}
		digits := 0
		for _, r := range norm.NFKC.String(in) {
			if unicode.IsDigit(r) {
				digits++
			}
		}
		if n := known(phone); n > digits/2 && utf8.RuneCountInString(phone) != 11 || n > 7 {
			t.Fatalf("%q: mask %q tells %d of %d digits", in, phone, n, digits)
		}
		if n := known(id); n > 5 {
			t.Fatalf("%q: mask %q tells %d characters", in, id, n)
		}
		if n := utf8.RuneCountInString(name); n > 3 || known(name) > 1 && !strings.HasPrefix(in, "*") {
			t.Fatalf("%q: mask %q", in, name)
		}
	})
}
