// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"onemap/geo"
)

// mediaType is a content type without its parameters.
func mediaType(s string) string {
	if s == jsonForm || s == binaryForm {
		return s
	}
	t, _, err := mime.ParseMediaType(s)
	if err != nil {
		return ""
	}
	return t
}

// readJSON reads {"crs":"..","points":[[a,b],..]}: exactly this shape, the keys
// in any order.
func (b *batch) readJSON(body []byte) error {
	crs, points, err := scanPoints(body)
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case err != nil:
		return problem(http.StatusBadRequest, err.Error())
	}
	if b.datum, err = geo.ParseDatum(crs); err != nil {
		return problem(http.StatusBadRequest, "crs: "+err.Error())
	}
	b.places = pairs(points)
	return nil
}

// scanPoints reads the JSON form of a batch.
func scanPoints(body []byte) (crs string, points [][2]float64, err error) {
	s := scanner{in: body}
	var hasCRS, hasPoints bool
	s.take('{')
	for first := true; s.err == nil && !s.skip('}'); first = false {
		if !first {
			s.take(',')
		}
		key := s.text()
		s.take(':')
		switch {
		case s.err != nil:
		case key == "crs" && !hasCRS:
			crs, hasCRS = s.text(), true
		case key == "points" && !hasPoints:
			points, hasPoints = s.points(), true
		case key == "crs" || key == "points":
			s.fail("key %q stands twice", key)
		default:
			s.fail("unexpected property %.40q: the body is {\"crs\": .., \"points\": [[lon,lat], ..]}", key)
		}
	}
	if s.space(); s.err == nil && s.i < len(s.in) {
		s.fail("more text after the end of the JSON value")
	}
	switch {
	case s.err != nil:
		return "", nil, s.err
	case !hasCRS:
		return "", nil, errors.New("crs is missing: say what the numbers are; " + geo.DatumNames)
	case !hasPoints:
		return "", nil, errors.New("points is missing")
	}
	return crs, points, nil
}

// scanner walks over a JSON text. After its first error it stands still.
type scanner struct {
	in  []byte
	i   int
	err error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format+", at byte %d", append(args, s.i)...)
	}
}

// space skips white space.
func (s *scanner) space() {
	for s.i < len(s.in) {
		switch s.in[s.i] {
		case ' ', '\n', '\t', '\r':
			s.i++
		default:
			return
		}
	}
}

// skip passes over a mark when it comes next.
func (s *scanner) skip(mark byte) bool {
	s.space()
	if s.err == nil && s.i < len(s.in) && s.in[s.i] == mark {
		s.i++
		return true
	}
	return false
}

// take wants a mark.
func (s *scanner) take(mark byte) {
	if !s.skip(mark) {
		s.fail("%q is wanted", mark)
	}
}

// text reads a string.
func (s *scanner) text() string {
	s.space()
	if s.i >= len(s.in) || s.in[s.i] != '"' {
		s.fail("a string is wanted")
		return ""
	}
	end := s.i + 1
	for ; end < len(s.in) && s.in[end] != '"'; end++ {
		if s.in[end] == '\\' {
			end++
		}
	}
	if s.err != nil || end >= len(s.in) {
		s.fail("a string does not end")
		return ""
	}
	var out string
	if err := json.Unmarshal(s.in[s.i:end+1], &out); err != nil {
		s.fail("%v", err)
	}
	s.i = end + 1
	return out
}

// points reads a list of pairs.
func (s *scanner) points() [][2]float64 {
	s.take('[')
	if s.skip(']') {
		return [][2]float64{}
	}
	out := make([][2]float64, 0, min(len(s.in)/8+1, maxPlaces))
	for s.err == nil {
		var p [2]float64
		s.take('[')
		p[0] = s.number()
		s.take(',')
		p[1] = s.number()
		s.take(']')
		if len(out) == maxPlaces {
			s.err = tooManyPlaces(s.count(len(out)))
			return nil
		}
		out = append(out, p)
		if s.skip(']') {
			return out
		}
		s.take(',')
	}
	return nil
}

// count says how many pairs there are in all when n have been read: at least one
// more, else by the brackets that follow.
func (s *scanner) count(n int) int64 {
	total := int64(n) + 1
	for _, c := range s.in[s.i:] {
		if c == '[' {
			total++
		}
	}
	return total
}

// powers are the powers of ten that a float64 holds exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// number reads a JSON number. Up to 15 digits and without an exponent, as nearly
// all coordinates are, digits and power of ten are both exact and so is their
// quotient's rounding: the same float64 as strconv's.
func (s *scanner) number() float64 {
	s.space()
	in, i := s.in, s.i
	negative := i < len(in) && in[i] == '-'
	if negative {
		i++
	}
	whole := i
	var mantissa uint64
	for ; i < len(in) && in[i]-'0' < 10; i++ {
		mantissa = mantissa*10 + uint64(in[i]-'0')
	}
	digits, decimals := i-whole, 0
	if digits == 0 || digits > 1 && in[whole] == '0' {
		s.fail("a number is wanted")
		return 0
	}
	if i < len(in) && in[i] == '.' {
		i++
		dot := i
		for ; i < len(in) && in[i]-'0' < 10; i++ {
			mantissa = mantissa*10 + uint64(in[i]-'0')
		}
		if decimals = i - dot; decimals == 0 {
			s.fail("a digit is wanted after the point")
			return 0
		}
	}
	slow := digits+decimals > 15
	if i < len(in) && in[i]|0x20 == 'e' {
		slow = true
		if i++; i < len(in) && (in[i] == '+' || in[i] == '-') {
			i++
		}
		exponent := i
		for ; i < len(in) && in[i]-'0' < 10; i++ {
		}
		if i == exponent {
			s.fail("a digit is wanted in the exponent")
			return 0
		}
	}
	if s.err != nil {
		return 0
	}
	if slow {
		v, err := strconv.ParseFloat(string(in[s.i:i]), 64)
		if err != nil {
			s.fail("%.40q is beyond any number", in[s.i:i])
		}
		s.i = i
		return v
	}
	s.i = i
	v := float64(mantissa) / powers[decimals]
	if negative {
		return -v
	}
	return v
}
