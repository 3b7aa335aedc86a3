// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Style is how a layer is drawn. Zero fields leave it to the screen.
type Style struct {
	Colour      string   `json:"colour,omitempty" pattern:"^#[0-9a-f]{6}$" doc:"As #rrggbb"`
	Icon        string   `json:"icon,omitempty" enum:"dot,square,triangle,diamond,star,cross,centre,station,department" doc:"Of points"`
	Width       float64  `json:"width,omitempty" minimum:"0.5" maximum:"12" doc:"Of lines and outlines, in pixels"`
	FillOpacity *float64 `json:"fill_opacity,omitempty" minimum:"0" maximum:"1" doc:"Of polygons"`
	Label       string   `json:"label,omitempty" maxLength:"64" doc:"The property that is written beside a feature; its name when left out"`
}

// Icons lists the icons that screens know.
var Icons = []string{"dot", "square", "triangle", "diamond", "star", "cross", "centre", "station", "department"}

var colour = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// Check says what is wrong with a style.
func (s Style) Check() error {
	switch {
	case s.Colour != "" && !colour.MatchString(s.Colour):
		return errors.New("style: colour is #rrggbb in small letters")
	case s.Icon != "" && !slices.Contains(Icons, s.Icon):
		return fmt.Errorf("style: icon is one of %s", strings.Join(Icons, ", "))
	case s.Width != 0 && !(s.Width >= 0.5 && s.Width <= 12):
		return errors.New("style: width is 0.5 to 12 pixels")
	case s.FillOpacity != nil && !(*s.FillOpacity >= 0 && *s.FillOpacity <= 1):
		return errors.New("style: fill_opacity is 0 to 1")
	case len([]rune(s.Label)) > 64 || strings.ContainsRune(s.Label, 0):
		return errors.New("style: label names a property in at most 64 characters")
	}
	return nil
}

// ParseStyle reads a style as JSON. Unknown names are refused.
func ParseStyle(raw []byte) (Style, error) {
	var s Style
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields()
	if err := in.Decode(&s); err != nil {
		return Style{}, fmt.Errorf("style: %w", err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return Style{}, errors.New("style: something follows the JSON object")
	}
	return s, s.Check()
}
