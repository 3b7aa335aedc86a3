// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// TestHouseholdsAreWholeNumbers reads numbers of households as people write them, and
// refuses what would be read as another number.
func TestHouseholdsAreWholeNumbers(t *testing.T) {
	t.Parallel()
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("网格编码,户数\nA,12\n")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		"grid,households\nA,12\n": 12, "\ufeffgrid,households\r\nA,12\r\n": 12, gbk: 12, "grid,households\nA, 12 \n": 12, "grid,households\nA,0\n": 0,
		"grid,households\n\"A\",\"1,234\"\n": 1234, "grid,households\nA,\"1,000,000\"\n": 1_000_000, "grid,households\nA,007\n": 7,
	} {
		rows, err := readHouseholds(t, text)
		if err != nil || len(rows) != 1 || rows[0] != (HouseholdsRow{Line: 2, Grid: "A", Households: want}) {
			t.Errorf("%q: %v, %v, want %d", text, rows, err, want)
		}
	}
	for _, cell := range []string{
		"-1", "-0", "+5", "1e3", "0x10", "1_000", "1.5", "12.0", "NaN", "Inf", "=1+1", "１２", "十二", "12户", "", " ", "1000001", "9223372036854775808", strings.Repeat("9", 21),
		`"1,23"`, `"12,5"`, `",5"`, `"5,"`, `"1,2,3"`, `"0001,234"`, `"1,,234"`, `"1,234.0"`, `","`, "1 234",
	} {
		if rows, err := readHouseholds(t, "grid,households\nA,"+cell+"\n"); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q is read as %v, %v", cell, rows, err)
		}
	}
	for _, text := range []string{"grid,households\nA\n", "grid,households\nA,1,2\n", "grid,households\n,1\n", "grid,households\nA,1\nA,1\n", "grid,households\n", "grid\nA\n", "grid,households\n\"A,1\n", "", "grid,households\nA,1\x00\n", "grid,households\nA,\xff\xff\n"} {
		if rows, err := readHouseholds(t, text); err == nil {
			t.Errorf("%q is read as %v", text, rows)
		}
	}
}

func readHouseholds(t *testing.T, text string) ([]HouseholdsRow, error) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), 0, false, DefaultLimits)
	if err != nil {
		return nil, err
	}
	return ReadHouseholds(r)
}

// TestRowOfOtherColumnsIsRefused gives rows with fewer and more cells than the header has
// to those who read a file whole.
func TestRowOfOtherColumnsIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"code,name\na\n", "code,name\na,b,c\n", "code,name\na,b\n\"x\"y,c\n"} {
		r, err := NewReader(strings.NewReader(text), 0, false, DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := ReadSkills(r); err == nil || !strings.Contains(err.Error(), "nothing was stored") {
			t.Errorf("%q is read as %v, %v", text, rows, err)
		}
	}
}
