// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// dbfColumn is one column of a .dbf.
type dbfColumn struct {
	name   string
	kind   byte // C text, N and F numbers, D date, L yes or no
	at     int  // of its first byte in a row
	length int
}

// dbfReader reads the rows of a .dbf (dBase III and IV), the attributes of a
// Shapefile.
//
//	header: version, date, rows, bytes of the header, bytes of a row, ..., language at 29
//	columns of 32 bytes: name 11, kind, ..., length at 16; then 0x0D
//	row: a space or * (deleted), then the columns' text without any mark between
type dbfReader struct {
	in       io.Reader
	text     *attributeText
	fields   []dbfColumn
	names    []string // of all columns, those that are left out too
	left     []string // names and kinds of columns that are left out
	rows, n  int64
	row      []byte
	cutTexts int // values whose last character was cut in two by whoever wrote them
}

// dbfHeader reads the header. language is the byte that names a code page.
func dbfHeader(in io.Reader, lim Limits) (r *dbfReader, language byte, names [][]byte, err error) {
	var h [32]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return nil, 0, nil, fmt.Errorf("the .dbf has no whole header: %w", err)
	}
	headed, width := int(binary.LittleEndian.Uint16(h[8:])), int(binary.LittleEndian.Uint16(h[10:]))
	r = &dbfReader{in: in, rows: int64(binary.LittleEndian.Uint32(h[4:])), row: make([]byte, width)}
	switch {
	case headed < 33 || width < 1:
		return nil, 0, nil, errors.New("the .dbf has no column")
	case r.rows > lim.Rows:
		return nil, 0, nil, fmt.Errorf("the .dbf says it has %d rows, more than %d", r.rows, lim.Rows)
	}
	rest := make([]byte, headed-32)
	if _, err := io.ReadFull(in, rest); err != nil {
		return nil, 0, nil, fmt.Errorf("the .dbf breaks off in its header: %w", err)
	}
	at := 1
	for ; len(rest) >= 32 && rest[0] != '\r'; rest = rest[32:] {
		name, _, _ := bytes.Cut(rest[:11], []byte{0})
		c := dbfColumn{kind: rest[11], at: at, length: int(rest[16])}
		if at += c.length; at > width {
			return nil, 0, nil, fmt.Errorf("the columns of the .dbf are wider than its rows of %d bytes", width)
		}
		r.fields, names = append(r.fields, c), append(names, bytes.Clone(name))
	}
	switch {
	case len(r.fields) == 0:
		return nil, 0, nil, errors.New("the .dbf has no column")
	case len(r.fields) > lim.Columns:
		return nil, 0, nil, fmt.Errorf("the .dbf has more than %d columns", lim.Columns)
	}
	return r, h[29], names, nil
}

// name gives the columns their names and leaves out those of kinds that hold no
// text of their own.
func (r *dbfReader) name(names [][]byte, text *attributeText) error {
	r.text = text
	var kept []dbfColumn
	seen := map[string]bool{}
	for i, c := range r.fields {
		s, _, err := text.decode(names[i], false)
		if err != nil {
			return fmt.Errorf("the name of column %d of the .dbf: %w", i+1, err)
		}
		if c.name = strings.TrimSpace(s); c.name == "" {
			c.name = fmt.Sprintf("column%d", i+1)
		}
		switch {
		case seen[c.name]:
			return fmt.Errorf("two columns of the .dbf are named %q", c.name)
		case !strings.ContainsRune("CNFDL", rune(c.kind)):
			r.left = append(r.left, fmt.Sprintf("%s (kind %q)", c.name, c.kind))
		default:
			kept = append(kept, c)
		}
		seen[c.name] = true
		r.names = append(r.names, c.name)
	}
	r.fields = kept
	return nil
}

// next returns the next row as a JSON object. deleted rows are kept in the file
// by dBase until it is packed; nobody sees them.
func (r *dbfReader) next() (properties []byte, deleted bool, err error) {
	if r.n == r.rows {
		return nil, false, io.EOF
	}
	if _, err := io.ReadFull(r.in, r.row); err != nil {
		return nil, false, fmt.Errorf("the .dbf breaks off after row %d of %d: copy it again: %w", r.n, r.rows, err)
	}
	r.n++
	out := []byte{'{'}
	for i, c := range r.fields {
		v, err := r.value(c)
		if err != nil {
			return nil, false, fmt.Errorf("row %d of the .dbf, column %s: %w", r.n, c.name, err)
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendJSON(out, c.name), ':')
		out = append(out, v...)
	}
	return append(out, '}'), r.row[0] == '*', nil
}

// value is a cell as JSON.
func (r *dbfReader) value(c dbfColumn) ([]byte, error) {
	raw := r.row[c.at : c.at+c.length]
	if c.kind == 'C' {
		s, cut, err := r.text.decode(bytes.TrimRight(raw, " \x00"), len(raw) > 0 && raw[len(raw)-1] != ' ' && raw[len(raw)-1] != 0)
		if cut {
			r.cutTexts++
		}
		return appendJSON(nil, strings.ReplaceAll(s, "\x00", " ")), err
	}
	s := strings.Trim(string(raw), " \x00")
	switch c.kind {
	case 'L':
		switch s {
		case "T", "t", "Y", "y":
			return []byte("true"), nil
		case "F", "f", "N", "n":
			return []byte("false"), nil
		}
		return []byte("null"), nil
	case 'D':
		if len(s) != 8 || strings.Trim(s, "0123456789") != "" || s == "00000000" {
			return []byte("null"), nil
		}
		return appendJSON(nil, s[:4]+"-"+s[4:6]+"-"+s[6:]), nil
	}
	return []byte(plainDecimal(s)), nil
}

// plainDecimal is a number as JSON writes it; null for none, or for the stars of a
// number that was too long for its column. 150623.000 becomes 150623, for codes
// are often kept in columns of decimals.
func plainDecimal(s string) string {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(s, "xXpP_iI") {
		return "null"
	}
	if strings.ContainsAny(s, "eE") {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign = "-"
	}
	whole, part, _ := strings.Cut(strings.TrimLeft(s, "+-"), ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if part = strings.TrimRight(part, "0"); part != "" {
		part = "." + part
	}
	if whole+part == "0" {
		return "0"
	}
	return sign + whole + part
}

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("file: a string is no JSON: " + err.Error()) // it always is
	}
	return append(b, text...)
}
