// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Category is one row of the list of matters a centre takes in (事项准入清单).
// A row without a Parent is a top category.
type Category struct {
	Code          string // letters and digits, at most 16
	Parent        string // code of the top category, empty for a top category
	NameZH        string
	NameEN        string
	Priority      int    // 1 (most urgent) to 4
	AckMinutes    int    // limit to sign for it, minutes
	SLAValue      int    // limit of the stage at HandlingLevel, in SLAUnit
	SLAUnit       string // nh, wh, wd, sd, cd: see package dispatch/calendar
	HandlingLevel int    // level of the tree that handles it: grid 4, village 3, town 2, county 1
	LeadDept      string // Chinese name of the department in the lead
	Precision     string // how finely shared screens may show its place: exact, grid, none
	Note          string
	OnTheSpot     bool // the worker who reported such a matter may resolve it there and then (即报即办)
	Evidence      bool // which needs something attached
}

// Sensitive reports whether the place of its incidents is never shown: families,
// petitions, illness of mind, minors. Who may see such incidents at all is a
// matter of its own (package auth).
func (c Category) Sensitive() bool { return c.Precision == "none" }

// spotRule is what OnTheSpot is where a list does not say: what a village or a grid
// handles, that is neither urgent nor sensitive.
func (c Category) spotRule() bool { return c.HandlingLevel >= 3 && c.Priority >= 2 && !c.Sensitive() }

//go:embed categories.csv
var defaultCategories []byte

// DefaultCategories returns the list that a new centre starts with, parents
// before their children.
func DefaultCategories() []Category {
	cs, err := ParseCategories(bytes.NewReader(defaultCategories))
	if err != nil {
		panic("dispatch: embedded categories.csv: " + err.Error()) // held by a test
	}
	return cs
}

// categoryColumns is the header line of a category file, in order.
var categoryColumns = []string{
	"code", "parent_code", "name_zh", "name_en", "priority", "ack_minutes", "sla_value", "sla_unit",
	"handling_level", "lead_dept_zh", "display_precision", "note", "on_the_spot", "evidence",
}

// olderColumns is how many of them a list had before it said what may be resolved on
// the spot: then that follows from level, priority and precision, with evidence.
const olderColumns = 12

// handlingLevels spells the levels of the default four-level tree.
var handlingLevels = map[string]int{"G": 4, "V": 3, "T": 2, "C": 1}

// Largest values a row may carry: a year of minutes and a year of days or hours.
const (
	maxAckMinutes = 366 * 24 * 60
	maxSLAValue   = 366 * 24
)

// ParseCategories reads a category file: UTF-8 CSV (a byte order mark is taken)
// with exactly the columns code, parent_code, name_zh, name_en, priority (P1 to
// P4), ack_minutes, sla_value, sla_unit, handling_level (G, V, T, C),
// lead_dept_zh, display_precision, note, on_the_spot and evidence (yes or no; both may
// be left out with their columns). It is strict: an unknown word, a code
// given twice, a parent that does not come earlier as a top category, or a list
// without a row is refused, and the error names the line.
func ParseCategories(r io.Reader) ([]Category, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("categories: %w", err)
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("categories: not UTF-8 text")
	}
	cr := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	head, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("categories: header: %w", err)
	}
	if !slices.Equal(head, categoryColumns) && !slices.Equal(head, categoryColumns[:olderColumns]) {
		return nil, fmt.Errorf("categories: header is %q, want %q", head, categoryColumns)
	}
	var out []Category
	top := map[string]bool{} // code -> is a top category
	for {
		rec, err := cr.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("categories: %w", err)
		}
		line, _ := cr.FieldPos(0)
		c, err := parseCategory(rec)
		if err != nil {
			return nil, fmt.Errorf("categories: line %d: %w", line, err)
		}
		if _, ok := top[c.Code]; ok {
			return nil, fmt.Errorf("categories: line %d: code %q is given twice", line, c.Code)
		}
		if c.Parent != "" && !top[c.Parent] {
			return nil, fmt.Errorf("categories: line %d: parent %q is not an earlier top category", line, c.Parent)
		}
		top[c.Code] = c.Parent == ""
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("categories: no row")
	}
	return out, nil
}

func parseCategory(rec []string) (Category, error) {
	c := Category{
		Code: rec[0], Parent: rec[1], NameZH: rec[2], NameEN: rec[3],
		SLAUnit: rec[7], LeadDept: rec[9], Precision: rec[10], Note: rec[11],
	}
	var err error
	if c.AckMinutes, err = positive("ack_minutes", rec[5], maxAckMinutes); err != nil {
		return c, err
	}
	if c.SLAValue, err = positive("sla_value", rec[6], maxSLAValue); err != nil {
		return c, err
	}
	c.Priority = slices.Index([]string{"P1", "P2", "P3", "P4"}, rec[4]) + 1
	c.HandlingLevel = handlingLevels[rec[8]]
	switch {
	case !validCategoryCode(c.Code):
		return c, fmt.Errorf("code %q: 1 to 16 letters or digits", c.Code)
	case c.Priority == 0:
		return c, fmt.Errorf("priority %q: one of P1 P2 P3 P4", rec[4])
	case !slices.Contains([]string{"nh", "wh", "wd", "sd", "cd"}, c.SLAUnit):
		return c, fmt.Errorf("sla_unit %q: one of nh wh wd sd cd", c.SLAUnit)
	case c.HandlingLevel == 0:
		return c, fmt.Errorf("handling_level %q: one of G V T C", rec[8])
	case !slices.Contains([]string{"exact", "grid", "none"}, c.Precision):
		return c, fmt.Errorf("display_precision %q: one of exact grid none", c.Precision)
	}
	for i, text := range rec {
		if strings.TrimSpace(text) != text || strings.ContainsFunc(text, unicode.IsControl) {
			return c, fmt.Errorf("%s %q: blanks at an end or a control character", categoryColumns[i], text)
		}
	}
	c.OnTheSpot, c.Evidence = c.spotRule(), c.spotRule()
	if len(rec) > olderColumns {
		var err1, err2 error
		c.OnTheSpot, err1 = yesNo("on_the_spot", rec[olderColumns])
		c.Evidence, err2 = yesNo("evidence", rec[olderColumns+1])
		if err := errors.Join(err1, err2); err != nil {
			return c, err
		}
	}
	if c.NameZH == "" || c.NameEN == "" || c.LeadDept == "" {
		return c, errors.New("name_zh, name_en and lead_dept_zh are required")
	}
	return c, nil
}

func yesNo(column, s string) (bool, error) {
	if s != "yes" && s != "no" {
		return false, fmt.Errorf("%s %q: yes or no", column, s)
	}
	return s == "yes", nil
}

func validCategoryCode(s string) bool {
	for _, b := range []byte(s) {
		if (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 16
}

// positive reads a plain decimal number from 1 to limit.
func positive(column, s string, limit int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 || n > uint64(limit) || s[0] == '0' {
		return 0, fmt.Errorf("%s %q: a whole number from 1 to %d", column, s, limit)
	}
	return int(n), nil
}
