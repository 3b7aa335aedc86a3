// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/geo/cell"
	"onemap/geo/grid"
)

// Limits on the texts of a report, in characters.
const (
	MaxTitle   = 200
	MaxText    = 5000
	MaxAddress = 300
	MaxSource  = 32
)

// Sources lists the ways a live report comes in.
var Sources = []string{"phone", "field", "hotline", "petition", "app", "device"}

// DefaultSource is the way in of a report that does not say.
const DefaultSource = "phone"

// identityNumber is an 18-digit resident identity number in running text.
var identityNumber = regexp.MustCompile(`(^|[^0-9])([1-9][0-9]{2})[0-9]{13}([0-9])([0-9Xx])($|[^0-9])`)

func texts(_ *Env, d *draft) *Problem {
	for _, t := range []struct {
		field string
		in    string
		max   int
		out   *string
	}{
		{"title", d.in.Title, MaxTitle, &d.out.Title},
		{"text", d.in.Text, MaxText, &d.out.Text},
		{"address", d.in.Address, MaxAddress, &d.out.Place.Address},
		{"external_id", d.in.ExternalID, MaxTitle, &d.out.ExternalID},
	} {
		s, msg := Clean(t.in)
		if msg != "" {
			return &Problem{Field: t.field, Message: msg, Form: true}
		}
		if utf8.RuneCountInString(s) > t.max {
			return &Problem{Field: t.field, Message: fmt.Sprintf("is longer than %d characters", t.max)}
		}
		*t.out = s
	}
	if d.out.Title == "" {
		return &Problem{Field: "title", Message: "is empty: say in a few words what is the matter"}
	}
	return nil
}

// Clean trims a text, drops control characters and masks identity numbers, which
// have no place in running text. A text that cannot be kept at all answers why.
func Clean(s string) (text, problem string) {
	if !utf8.ValidString(s) {
		return "", "is not valid UTF-8"
	}
	if strings.ContainsRune(s, 0) {
		return "", "contains a NUL character"
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.IsControl(r) {
			return r
		}
		return -1
	}, s))
	if manyDigits(s) {
		for range 2 { // a match takes the character after it along, which the next number needs before it
			s = identityNumber.ReplaceAllString(s, "$1$2*************$3$4$5")
		}
	}
	return s, ""
}

// manyDigits reports whether 17 digits stand in a row, as in every identity
// number. It spares most texts the slower look.
func manyDigits(s string) bool {
	run := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			run = 0
		} else if run++; run == 17 {
			return true
		}
	}
	return false
}

func source(e *Env, d *draft) *Problem {
	d.out.Source = d.in.Source
	if d.out.Source == "" {
		d.out.Source = DefaultSource
	}
	if slices.Contains(Sources, d.out.Source) {
		return nil
	}
	if e.Past && len(d.out.Source) <= MaxSource {
		return nil // a past system's own name for its way in
	}
	return &Problem{Field: "source", Message: fmt.Sprintf("%q is unknown: say one of %s", d.in.Source, strings.Join(Sources, ", "))}
}

func category(e *Env, d *draft) *Problem {
	k, ok := e.Categories[d.in.Category]
	if !ok {
		return &Problem{Field: "category", Message: fmt.Sprintf("%q is not in the category table", d.in.Category)}
	}
	d.out.Category = k
	d.out.Department = e.Departments[k.LeadDept]
	return nil
}

func priority(_ *Env, d *draft) *Problem {
	if d.in.Priority < 0 || d.in.Priority > 4 {
		return &Problem{Field: "priority", Message: "must be 1 (most urgent) to 4"}
	}
	d.out.Priority = d.in.Priority
	if d.out.Priority == 0 {
		d.out.Priority = d.out.Category.Priority
	}
	return nil
}

// aheadAllowed is how far a sender's clock may run ahead of ours. A worker's phone may
// run ahead by more: nobody can mend it out there, so its live report is of now.
const aheadAllowed = 5 * time.Minute

// fromField is the way in of reports by a worker's phone.
const fromField = "field"

// lettersFrom are the ways in by which a letter comes with a limit of its own.
var lettersFrom = []string{"petition", "hotline"}

func limit(_ *Env, d *draft) *Problem {
	l := d.in.Limit
	if l == nil {
		return nil
	}
	most, known := map[calendar.Unit]int{
		calendar.NaturalHours: 366 * 24, calendar.WorkingHours: 366 * 24, calendar.WorkingDays: 366, calendar.CalendarDays: 366, calendar.SameDay: 1,
	}[l.Unit]
	switch {
	case !slices.Contains(lettersFrom, d.in.Source):
		return &Problem{Field: "limit", Message: "only a letter brings a limit of its own: source must be one of " + strings.Join(lettersFrom, ", ")}
	case !known:
		return &Problem{Field: "limit.unit", Message: fmt.Sprintf("%q is unknown: say one of nh, wh, wd, sd, cd", l.Unit)}
	case l.Value < 1 || l.Value > most:
		return &Problem{Field: "limit.value", Message: fmt.Sprintf("must be 1 to %d", most)}
	}
	d.out.Outside = l
	return nil
}

func when(e *Env, d *draft) *Problem {
	d.out.ReportedAt, d.out.OccurredAt = e.Now, d.in.OccurredAt
	ahead := e.Now.Add(aheadAllowed)
	if at := d.in.ReportedAt; at != nil && (d.in.Source != fromField || e.Past || !at.After(ahead)) {
		d.out.ReportedAt = *at
	}
	oldest := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, t := range []struct {
		field string
		at    *time.Time
	}{{"reported_at", &d.out.ReportedAt}, {"occurred_at", d.out.OccurredAt}} {
		switch {
		case t.at == nil:
		case t.at.After(ahead):
			return &Problem{Field: t.field, Message: "lies in the future: check the sender's clock"}
		case t.at.Before(oldest):
			return &Problem{Field: t.field, Message: "lies before 1970"}
		}
	}
	return nil
}

func datum(_ *Env, d *draft) *Problem {
	if d.in.Lon == nil && d.in.Lat == nil {
		if d.out.Place.Point != nil {
			return nil // found by its address
		}
		if d.out.Place.Address == "" {
			return &Problem{Field: "location", Message: "a place is needed: location (lon, lat, crs) or address"}
		}
		d.out.Place.Kind = dispatch.NoPlace
		return nil
	}
	if d.in.Lon == nil || d.in.Lat == nil {
		return &Problem{Field: "location", Message: "lon and lat are needed together", Form: true}
	}
	dat, err := geo.ParseDatum(d.in.CRS)
	if err != nil {
		return &Problem{Field: "location.crs", Message: err.Error(), Form: true}
	}
	raw := geo.Raw{Lon: *d.in.Lon, Lat: *d.in.Lat, Datum: dat}
	p, err := raw.WGS84()
	if err != nil {
		return &Problem{Field: "location", Message: err.Error()}
	}
	d.out.Place.Raw, d.out.Place.Point = &raw, &p
	return nil
}

// intoGrid finds the deepest grid. A point outside every grid is kept, marked
// and counted under the county whose door it came through.
func intoGrid(e *Env, d *draft) *Problem {
	if len(e.Tree.Nodes()) == 0 {
		return &Problem{Field: "location", Message: "this centre has no grids yet: import or draft them first"}
	}
	at, place := e.Root, &d.out.Place
	if place.Point != nil {
		place.Kind = dispatch.InGrid
		if found := e.Tree.Locate(*place.Point); found.Index >= 0 {
			at = found.Index
		} else {
			place.Kind = dispatch.Outside
			d.out.Notes = append(d.out.Notes, e.Tree.OutsideNote(*place.Raw, func(*grid.Node) bool { return true }))
		}
	}
	n := e.Tree.Nodes()[at]
	place.GridID, place.GridNo, place.GridLevel, place.GridVersion = n.ID, n.No, n.Level, n.Version
	return nil
}

func cells(_ *Env, d *draft) *Problem {
	if d.out.Place.Point == nil {
		return nil
	}
	for i := range d.out.Place.Cells {
		c, err := cell.At(*d.out.Place.Point, firstResolution+i)
		if err != nil {
			return &Problem{Field: "location", Message: err.Error()}
		}
		d.out.Place.Cells[i] = c
	}
	return nil
}

// firstResolution is the coarsest of the four H3 resolutions kept with an incident.
const firstResolution = 6
