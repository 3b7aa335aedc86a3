// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"onemap/geo"
)

// parsePRJ finds the datum a .prj describes: WGS 84 or CGCS2000 in degrees, or a
// Gauss-Kruger zone of CGCS2000. It goes by the parameters, which decide what the
// numbers mean, and takes the name only for what they leave open. A GIS file has
// the easting first, whatever the register says. Anything else is refused by its
// name.
func parsePRJ(raw []byte) (geo.Datum, error) {
	root, err := parseWKT(strings.TrimSpace(strings.TrimPrefix(string(raw), "\ufeff")))
	if err != nil {
		return "", fmt.Errorf("the .prj can't be read: %w", err)
	}
	d, why := root.datum()
	if why != "" {
		return "", fmt.Errorf("the .prj says that the coordinates are in %q (%s): convert the file to WGS 84 or CGCS2000 first, "+
			"or leave the .prj out of the zip and name the datum with --crs if the .prj is wrong", root.text(0), why)
	}
	return d, nil
}

// node is an element of well-known text: PROJCS["name",GEOGCS[...],PARAMETER["x",0]].
type node struct {
	word string
	args []any // string, float64 or *node
}

func (n *node) text(i int) string {
	if i < len(n.args) {
		if s, ok := n.args[i].(string); ok {
			return s
		}
	}
	return ""
}

func (n *node) number(i int) float64 {
	if i < len(n.args) {
		if v, ok := n.args[i].(float64); ok {
			return v
		}
	}
	return math.NaN()
}

// child is the first element named word, or an empty one.
func (n *node) child(word string) *node {
	for _, a := range n.args {
		if c, ok := a.(*node); ok && c.word == word {
			return c
		}
	}
	return &node{}
}

// parameter is a PARAMETER by its name, def when it is not there.
func (n *node) parameter(name string, def float64) float64 {
	for _, a := range n.args {
		if c, ok := a.(*node); ok && c.word == "PARAMETER" && letters(c.text(0)) == name {
			return c.number(1)
		}
	}
	return def
}

// letters keeps letters and digits, in lower case: Gauss-Kruger, Gauss_Kruger.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

func near(a, b, by float64) bool { return math.Abs(a-b) <= by } // false for NaN

// datum returns what root describes, or why it is none we know.
func (n *node) datum() (d geo.Datum, why string) {
	if n.word == "COMPD_CS" {
		return n.child("PROJCS").orElse(n.child("GEOGCS")).datum()
	}
	if n.word == "GEOGCS" {
		return n.degrees()
	}
	if n.word != "PROJCS" {
		return "", "neither GEOGCS nor PROJCS"
	}
	if d, why := n.child("GEOGCS").degrees(); why != "" || d != geo.DatumCGCS2000 {
		if why == "" {
			why = "a projection of WGS 84"
		}
		return "", why
	}
	return n.zone()
}

func (n *node) orElse(o *node) *node {
	if n.word == "" {
		return o
	}
	return n
}

// degrees is the datum of a GEOGCS.
func (n *node) degrees() (geo.Datum, string) {
	datum := n.child("DATUM")
	spheroid := datum.child("SPHEROID")
	name := strings.TrimPrefix(letters(datum.text(0)), "d")
	switch {
	case !near(n.child("PRIMEM").orElse(&node{args: []any{"", 0.0}}).number(1), 0, 1e-9):
		return "", "another prime meridian than Greenwich"
	case !near(n.child("UNIT").number(1), math.Pi/180, 1e-9):
		return "", "another unit than degrees"
	case !near(spheroid.number(1), 6378137, 1e-3):
		return "", "datum " + datum.text(0)
	}
	switch name {
	case "wgs1984", "wgs84", "worldgeodeticsystem1984":
		if near(spheroid.number(2), 298.257223563, 1e-5) {
			return geo.DatumWGS84, ""
		}
	case "china2000", "cgcs2000", "chinageodeticcoordinatesystem2000":
		if near(spheroid.number(2), 298.257222101, 1e-5) {
			return geo.DatumCGCS2000, ""
		}
	}
	return "", "datum " + datum.text(0)
}

// zone is the Gauss-Kruger zone of a PROJCS of CGCS2000.
func (n *node) zone() (geo.Datum, string) {
	projection := letters(n.child("PROJECTION").text(0))
	switch {
	case projection != "gausskruger" && projection != "transversemercator":
		return "", "projection " + n.child("PROJECTION").text(0)
	case !near(n.child("UNIT").number(1), 1, 1e-9):
		return "", "another unit than metres"
	case !near(n.parameter("scalefactor", 1), 1, 1e-12), !near(n.parameter("falsenorthing", 0), 0, 1e-6),
		!near(n.parameter("latitudeoforigin", 0), 0, 1e-9):
		return "", "a zone of its own making: another scale, false northing or latitude of origin than a standard one"
	}
	meridian, easting := n.parameter("centralmeridian", math.NaN()), n.parameter("falseeasting", math.NaN())
	prefix := (easting - 500_000) / 1e6
	for _, width := range n.widths() {
		number := meridian / float64(width)
		if width == 6 {
			number = (meridian + 3) / 6
		}
		z := geo.Zone{Width: width, Number: int(math.Round(number)), Prefixed: prefix != 0}
		if !near(z.Meridian(), meridian, 1e-9) || z.Prefixed && !near(prefix, float64(z.Number), 1e-9) {
			continue
		}
		if d := geo.ZoneDatum(z, false); d != "" {
			return d, ""
		}
	}
	return "", fmt.Sprintf("no standard zone: central meridian %v, false easting %v", meridian, easting)
}

// widths are the zone widths to try. Without a prefix the numbers of a zone of 6
// degrees and of the one of 3 degrees with the same middle are the same; only the
// name tells which was meant.
func (n *node) widths() []int {
	name := letters(n.text(0))
	if strings.Contains(name, "3degree") {
		return []int{3, 6}
	}
	return []int{6, 3}
}

// maxDepth is how deep the elements of a .prj may lie in one another; a real one
// has four or five levels.
const maxDepth = 20

// parseWKT reads one element of well-known text.
func parseWKT(s string) (*node, error) {
	n, rest, err := element(s, 0)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(rest) != "" {
		return nil, fmt.Errorf("something follows the first element: %.40q", rest)
	}
	return n, nil
}

func element(s string, depth int) (*node, string, error) {
	i := strings.IndexAny(s, "[(")
	if i <= 0 || depth > maxDepth {
		return nil, "", fmt.Errorf("no element at %.40q", s)
	}
	n := &node{word: strings.ToUpper(strings.TrimSpace(s[:i]))}
	if strings.ContainsAny(n.word, `",])`) {
		return nil, "", fmt.Errorf("no element at %.40q", s)
	}
	s = s[i+1:]
	for {
		arg, rest, err := argument(strings.TrimSpace(s), depth)
		if err != nil {
			return nil, "", err
		}
		n.args = append(n.args, arg)
		rest = strings.TrimSpace(rest)
		switch {
		case strings.HasPrefix(rest, ","):
			s = rest[1:]
		case strings.HasPrefix(rest, "]"), strings.HasPrefix(rest, ")"):
			return n, rest[1:], nil
		default:
			return nil, "", errors.New("a bracket is not closed")
		}
	}
}

// argument reads a text, a number, an element or a bare word (an axis: EAST).
func argument(s string, depth int) (any, string, error) {
	if text, rest, closed := strings.Cut(strings.TrimPrefix(s, `"`), `"`); strings.HasPrefix(s, `"`) {
		if !closed {
			return nil, "", errors.New("a text is not closed")
		}
		return text, rest, nil
	}
	end := strings.IndexAny(s, ",[]()")
	if end < 0 {
		return nil, "", errors.New("a bracket is not closed")
	}
	if s[end] == '[' || s[end] == '(' {
		return inner(s, depth+1)
	}
	word := strings.TrimSpace(s[:end])
	if v, err := strconv.ParseFloat(word, 64); err == nil {
		return v, s[end:], nil
	}
	return word, s[end:], nil
}

// inner is element with its result as an argument.
func inner(s string, depth int) (any, string, error) {
	n, rest, err := element(s, depth)
	if err != nil {
		return nil, "", err
	}
	return n, rest, nil
}
