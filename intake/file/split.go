// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"fmt"
	"strings"
)

// quotes follows RFC 4180 quoting over the bytes of one record, so that a line
// break inside quotes does not end it. Neither a comma nor a quote nor a line
// break is ever part of a longer character in UTF-8 or GB18030, so bytes do.
//
//	a,"b ""c""
//	d",e          one record, two lines, three cells
type quotes struct {
	atStart bool // the next byte starts a cell
	in      bool // inside quotes
	maybe   bool // a quote was seen inside quotes: the end, or half of ""
}

// scan goes over b and reports whether a quoted cell is open at its end.
func (q *quotes) scan(b []byte) bool {
	if !q.in && bytes.IndexByte(b, '"') < 0 {
		return false // the common case: nothing quoted in this line
	}
	for _, c := range b {
		switch {
		case q.in && q.maybe:
			q.maybe = false
			if c != '"' {
				q.in = false
				q.atStart = c == ','
			}
		case q.in:
			q.maybe = c == '"'
		case q.atStart && c == '"':
			q.in, q.atStart = true, false
		default:
			q.atStart = c == ','
		}
	}
	return q.in && !q.maybe
}

// split cuts one record into cells. fault says why the quoting is not RFC 4180.
func split(rec string, maxColumns int) (cells []string, fault string) {
	cells = make([]string, 0, strings.Count(rec, ",")+1)
	for {
		if len(cells) == maxColumns {
			return nil, fmt.Sprintf("超过 %d 列", maxColumns)
		}
		cell, rest, more, fault := cut(rec)
		if fault != "" {
			return nil, fault
		}
		cells = append(cells, cell)
		if !more {
			return cells, ""
		}
		rec = rest
	}
}

// cut takes the first cell off rec. more is false when it was the last.
func cut(rec string) (cell, rest string, more bool, fault string) {
	if !strings.HasPrefix(rec, `"`) {
		cell, rest, more = strings.Cut(rec, ",")
		if strings.Contains(cell, `"`) {
			return "", "", false, "引号出现在未加引号的单元格中"
		}
		return cell, rest, more, ""
	}
	for i := 1; i < len(rec); i++ {
		if rec[i] != '"' {
			continue
		}
		switch {
		case i+1 < len(rec) && rec[i+1] == '"':
			i++ // a quote written twice is one quote
		case i+1 == len(rec):
			return unquote(rec[1:i]), "", false, ""
		case rec[i+1] == ',':
			return unquote(rec[1:i]), rec[i+2:], true, ""
		default:
			return "", "", false, "引号结束后还有文字"
		}
	}
	return "", "", false, "引号没有结束"
}

// unquote makes each doubled quote single.
func unquote(s string) string { return strings.ReplaceAll(s, `""`, `"`) }
