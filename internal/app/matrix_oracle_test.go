// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"onemap/auth"
)

// Rows of the matrix by the names it has.
const (
	rowGrids     = "grid tree, boundaries"
	rowIncident  = "incident core"
	rowReporter  = "reporter name/phone/ID"
	rowSensitive = "sensitive case types (家庭, 信访, 精神, 未成年)"
	rowPosition  = "worker live position (duty only)"
	rowTrack     = "worker track history"
	rowAssign    = "assign / reassign"
	rowHeat      = "H3 heat"
	rowTiles     = "MVT tiles"
	rowCamera    = "opening a camera"
	rowStream    = "WS channels"
	rowExport    = "export"
	rowAttached  = "attachments"
	rowUsers     = "users/roles"
	rowAudit     = "audit log"
)

// span is how far a cell goes.
type span int

const (
	nowhere span = iota
	county       // the whole county
	subtree      // S: the grids of the grant and all below
	own          // O: what is the actor's own
)

// cell is one cell of the matrix, read.
type cell struct {
	reach       span
	read, write bool
	words       map[string]bool
}

func (c cell) has(word string) bool { return c.words[word] }

// words of the matrix beside its capital letters, and what they mean to the
// oracle. A word that is not here fails the test: somebody changed the matrix.
var cellWords = []string{
	"by", "flag", "reveal", "reason", "while", "open", "own", "county", "town", "village", "me", "dept", "wall", "events", "gps", "snapshot", "only",
	"points", "propose", "routed", "type", "types", "icon", "without", "name", "no", "title", "for", "sensitive", "meta", "k", "5", "layer", "set",
	"with", "case", "order", "批示", "accept", "refuse", "logged", "audit", "2nd", "person", "leader", "auditor", "accounts", "grants", "tokens", "revoke",
	"second", "invite", "acts", "append", "remove",
}

var (
	letters = regexp.MustCompile(`^[RWSOMA]+$`)
	word    = regexp.MustCompile(`[\p{L}\p{N}]+`)
)

func parseCell(text string) (cell, error) {
	c := cell{words: map[string]bool{}}
	text = strings.TrimSuffix(text, "¹")
	if text == "–" {
		return c, nil
	}
	c.reach = county
	for i, w := range word.FindAllString(strings.ReplaceAll(text, "read-only", "only"), -1) {
		// "R, no title ..." begins with letters; "A own type" too. A word of
		// letters later on is a letter again only when it stands alone.
		if letters.MatchString(w) && (len(w) <= 3 || i == 0) {
			for _, l := range w {
				switch l {
				case 'R':
					c.read = true
				case 'W':
					c.write = true
				case 'S':
					c.reach = subtree
				case 'O':
					c.reach = own
				default:
					c.words[string(l)] = true
				}
			}
			continue
		}
		if !slices.Contains(cellWords, w) {
			return c, fmt.Errorf("unknown word %q in cell %q", w, text)
		}
		c.words[w] = true
		switch w {
		case "me", "own", "dept":
			c.reach = own
		}
	}
	// A reach alone, as "S" or "county", is a reading one.
	if !c.write && !c.has("M") && !c.has("A") && !c.has("reveal") && !c.has("invite") && !c.has("order") && !c.has("accept") && !c.has("only") || c.has("wall") {
		c.read = true
	}
	return c, nil
}

// rule is one line of routes.csv.
type line struct{ kind, method, path, resource, op, target, answer string }

func (l line) name() string { return strings.TrimSpace(l.method + " " + l.path) }

// oracle is the matrix as the tests ask it. It is read from testdata alone.
type oracle struct {
	cells     map[string]map[auth.Role]cell
	resources []string
	lines     []line
	fields    map[string]map[auth.Role]map[string]bool
}

func sheet(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return rows[1:]
}

func readOracle(t *testing.T) *oracle {
	t.Helper()
	o := &oracle{cells: map[string]map[auth.Role]cell{}, fields: map[string]map[auth.Role]map[string]bool{}}
	for _, r := range sheet(t, "matrix.csv") {
		text := r[2]
		if r[3] != "" {
			text = r[3]
		}
		c, err := parseCell(text)
		if err != nil {
			t.Fatalf("matrix.csv: %s, %s: %v", r[0], r[1], err)
		}
		if o.cells[r[0]] == nil {
			o.cells[r[0]] = map[auth.Role]cell{}
			o.resources = append(o.resources, r[0])
		}
		o.cells[r[0]][auth.Role(r[1])] = c
	}
	if len(o.resources) != 20 {
		t.Fatalf("matrix.csv has %d resources, want 20", len(o.resources))
	}
	for _, r := range o.resources {
		if len(o.cells[r]) != 11 {
			t.Fatalf("matrix.csv: %s has %d roles, want 11", r, len(o.cells[r]))
		}
	}
	for _, r := range sheet(t, "routes.csv") {
		o.lines = append(o.lines, line{r[0], r[1], r[2], r[3], r[4], r[5], r[6]})
	}
	o.readFields(t)
	return o
}

// readFields reads the allowed fields; "a=@b" puts the fields of b under a.
func (o *oracle) readFields(t *testing.T) {
	t.Helper()
	rows := sheet(t, "fields.csv")
	var of func(answer string, role auth.Role, prefix string, into map[string]bool)
	of = func(answer string, role auth.Role, prefix string, into map[string]bool) {
		for _, r := range rows {
			if r[0] != answer || r[1] != "*" && !slices.Contains(strings.Split(r[1], ";"), string(role)) {
				continue
			}
			for _, f := range strings.Fields(r[2]) {
				at, other, nested := strings.Cut(f, "=@")
				if nested {
					of(other, role, prefix+at+".", into)
				}
				parts := strings.Split(prefix+at, ".")
				for i := range parts { // the way to a field is allowed with it
					into[strings.Join(parts[:i+1], ".")] = true
				}
			}
		}
	}
	for _, r := range rows {
		if o.fields[r[0]] != nil {
			continue
		}
		o.fields[r[0]] = map[auth.Role]map[string]bool{}
		for _, role := range auth.Roles {
			m := map[string]bool{}
			of(r[0], role, "", m)
			o.fields[r[0]][role] = m
		}
	}
}

func (o *oracle) cell(row string, a *actor) cell { return o.cells[row][a.role] }

// inGrid reports whether a cell of this reach takes in a grid.
func (w *world) inGrid(r span, a *actor, key string) bool {
	switch r {
	case county, subtree, own: // a county's people are at home in the county itself
		return w.grids[key].within(w, a.home)
	}
	return false
}

// sees says what of an incident an actor may read: nothing, its shared view, or
// the case.
type sight int

const (
	hidden sight = iota
	meta
	whole
)

func (o *oracle) sees(w *world, a *actor, m *matter, row string) sight {
	c := o.cell(row, a)
	if c.reach == nowhere || w.grids[m.grid].county != w.grids[a.home].county {
		return hidden
	}
	if c.reach == own && !o.owns(a, m) || c.reach != own && !w.inGrid(c.reach, a, m.grid) || c.has("open") && m.closed {
		return hidden
	}
	s := whole
	if o.cell(rowIncident, a).has("meta") {
		s = meta
	}
	if m.sensitive {
		k := o.cell(rowSensitive, a)
		switch {
		case k.reach == nowhere, k.has("flag") && !a.flag, k.reach == own && !o.owns(a, m), k.reach == subtree && !w.inGrid(subtree, a, m.grid):
			return hidden
		case k.has("meta"):
			s = meta
		}
	}
	return s
}

func (o *oracle) owns(a *actor, m *matter) bool {
	switch a.role {
	case auth.GridWorker:
		return a.worker != 0 && a.worker == m.worker
	case auth.DeptHandler:
		return a.dept == m.dept || a.dept == m.assist
	}
	return false
}

// seesGrid: what is in reach must be told; the grids above it may be, because a
// path names them.
func (o *oracle) seesGrid(w *world, a *actor, key string) (must, may bool) {
	c := o.cell(rowGrids, a)
	must = c.read && c.reach != nowhere && w.inGrid(c.reach, a, key)
	above := c.read && w.grids[a.home].within(w, key)
	return must, must || above
}

// seesWorker is about live positions and tracks: of a reach of one's own, the
// actor alone.
func (o *oracle) seesWorker(w *world, a *actor, h *hand, row string) bool {
	c := o.cell(row, a)
	switch {
	case c.reach == nowhere, c.has("A"): // a number is not a worker
		return false
	case c.reach == own:
		return a.worker != 0 && a.worker == h.id
	}
	return w.inGrid(c.reach, a, h.grid)
}

// allowed answers whether a role may do what a line of routes.csv is about at all.
func (o *oracle) allowed(a *actor, l line) bool {
	switch l.resource {
	case "open", "self":
		return true
	}
	c := o.cell(l.resource, a)
	if c.reach == nowhere {
		return false
	}
	switch l.op {
	case "R":
		return c.read || l.resource == rowUsers && c.write
	case "W":
		return c.write
	case "W above": // a level above the owner's: nobody who has the work itself
		return c.write && c.reach != own
	case "R case":
		return c.read && !c.has("meta")
	case "decide":
		return c.write && c.reach == county || c.has("order")
	case "R journal":
		return c.read && a.role != auth.Wall
	case "R desk": // who reads of more than the own, signed in as a person
		return (c.read || c.has("A")) && c.reach != own && !c.has("meta") && a.role != auth.Wall && a.role != auth.Auditor
	case "A cases": // who is told numbers, and reads incidents one by one
		return (c.read || c.has("A")) && a.role != auth.Wall && a.role != auth.Auditor
	case "me":
		return c.reach == own
	case "call", "call or me": // who may call workers: who sees each of them, but for walls
		return c.read && a.role != auth.Wall && (c.reach != own || l.op == "call or me")
	case "M":
		return c.has("M") || c.has("reveal")
	case "reveal":
		return c.has("reveal")
	case "A":
		return c.read || c.write || c.has("A")
	case "rows":
		return c.write || c.read && !c.has("audit")
	case "track", "reason":
		return true
	case "own shift": // a worker's, as the own place is
		return c.reach == own
	case "answer": // who makes offers, and who says yes to them
		return c.write || c.has("accept")
	case "called": // the desk and the departments, and no worker
		return c.write || c.has("accept") && !c.has("refuse")
	case "word": // who goes there
		return !c.write && c.has("accept")
	case "R whole":
		return c.read && !c.has("acts")
	case "R tokens":
		return c.has("tokens") || c.read && c.reach == county
	}
	for _, w := range strings.Split(l.op, " or ") { // accounts, grants, tokens, revoke, second, invite
		if c.has(w) || w == "invite" && c.has("accounts") || w == "propose" && c.has("invite") {
			return true
		}
	}
	return false
}
