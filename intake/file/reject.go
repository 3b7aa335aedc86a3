// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"strconv"
	"strings"
)

// RejectHeader is the first record of a reject file for a file with these
// columns: row number, line, reason, then the columns as they were. The byte
// mark in front lets spreadsheets read the Chinese text.
func RejectHeader(columns []string) []byte {
	return append([]byte("\xef\xbb\xbf"), record(append([]string{"行号", "文件行", "原因"}, columns...))...)
}

// RejectRecord is one refused row as a record of the reject file. Cells that a
// spreadsheet would run as a formula get an apostrophe in front.
func RejectRecord(row Row, reasons []string) []byte {
	cells := []string{strconv.FormatInt(row.N, 10), strconv.FormatInt(row.Line, 10), strings.Join(reasons, "；")}
	return record(append(cells, row.Cells...))
}

// record writes cells as one RFC 4180 record.
func record(cells []string) []byte {
	var b []byte
	for i, c := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		c = harmless(c)
		if strings.ContainsAny(c, "\",\r\n") || c != strings.TrimSpace(c) {
			c = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
		}
		b = append(b, c...)
	}
	return append(b, "\r\n"...)
}

// harmless puts an apostrophe before a cell that could run as a formula. A plain
// number such as -95.36 can't, and stays a number.
func harmless(c string) string {
	if strings.HasPrefix(c, "\t") || strings.HasPrefix(c, "\r") || strings.HasPrefix(c, "\n") {
		return "'" + c
	}
	lead := strings.TrimSpace(c)
	for _, mark := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(lead, mark) && !plainNumber(lead) {
			return "'" + c
		}
	}
	return c
}

// plainNumber reports a number of digits, at most one sign in front and one dot.
func plainNumber(s string) bool {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 {
		return false
	}
	whole, part, _ := strings.Cut(digits, ".")
	return whole != "" && strings.Trim(whole+part, "0123456789") == ""
}
