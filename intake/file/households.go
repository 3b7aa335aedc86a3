// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// HouseholdsRow is how many households live in the grid with that code.
type HouseholdsRow struct {
	Line       int64
	Grid       string
	Households int
}

const mostHouseholds = 1_000_000 // of one grid

// ReadHouseholds reads a table with the columns grid (网格编码) and households (户数): a row
// for each grid. One row that is wrong refuses the file.
func ReadHouseholds(r *Reader) ([]HouseholdsRow, error) {
	at := guessFields(map[string][]string{"grid": {"grid", "code", "网格", "网格编码", "编码"}, "households": {"households", "户数", "户"}}, r.Header())
	if len(at) < 2 {
		return nil, fmt.Errorf("numbers of households have the columns grid (网格编码) and households (户数); this file has %q", r.Header())
	}
	mp, err := Map{fields: at, withoutPlace: "keep"}.Bind(r.Header())
	if err != nil {
		return nil, err
	}
	var out []HouseholdsRow
	seen := map[string]int64{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		mp.reasons = nil
		h, n := HouseholdsRow{Line: row.Line}, 0
		if row.Fault != "" { // its cells may not be those of the columns
			mp.reasons = []string{row.Fault}
		} else {
			h.Grid = mp.required(row, "grid", 64)
			n, err = wholeNumber(mp.required(row, "households", 20))
		}
		switch {
		case len(mp.reasons) > 0:
		case err != nil || n > mostHouseholds:
			mp.fault("households", fmt.Sprintf("不是 0 到 %d 的整数", mostHouseholds))
		case seen[h.Grid] > 0:
			mp.fault("grid", fmt.Sprintf("与第 %d 行相同", seen[h.Grid]))
		}
		if len(mp.reasons) > 0 {
			return nil, fmt.Errorf("line %d: %s: nothing was stored; mend the file and run the command again", row.Line, strings.Join(mp.reasons, "；"))
		}
		h.Households, seen[h.Grid] = n, row.Line
		out = append(out, h)
	}
	if len(out) == 0 {
		return nil, errors.New("the file has no rows")
	}
	return out, nil
}

// commas are those that a number may have: between thousands. Elsewhere they may stand for
// a point, or between two numbers.
var commas = regexp.MustCompile(`^[1-9][0-9]{0,2}(,[0-9]{3})+$`)

// wholeNumber reads a number of 0 or more, without a sign.
func wholeNumber(text string) (int, error) {
	if commas.MatchString(text) {
		text = strings.ReplaceAll(text, ",", "")
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}
