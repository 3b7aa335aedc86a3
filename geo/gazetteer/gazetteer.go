// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package gazetteer finds places by what people call them: it brings address text
// into one form (Normalise), takes it apart by a library of administrative names
// (Parse), finds entries by their bigrams with a confidence and the reasons for
// it (Index.Search), and says in words where a point lies (Index.Reverse). An
// Index is built once and then only read: any number of goroutines may use it.
package gazetteer

import "onemap/geo"

// Kind is what sort of thing an entry is.
type Kind string

const (
	Place   Kind = "place"   // something with a name of its own: a school, a well, a shop
	Address Kind = "address" // an entry of the address library
	Area    Kind = "area"    // a town or village, found as a whole
)

// Entry is one thing that may be found.
type Entry struct {
	ID      int64 // the caller's; 0 for an Area
	Kind    Kind
	Name    string   // of an Address the address as people read it
	Aliases []string // other names for it
	Address string   // of a Place; may be empty
	Class   string   // the source's own classification, shown and not searched
	Point   geo.WGS84
	// No is the number of the grid it lies in, by which Options.Sees judges.
	No int32
	// Area is the deepest area of the library that it lies in, -1 if not known.
	Area int
	// RadiusM is how far from Point it may be meant, in metres; 0 is PointRadius.
	RadiusM float64
}

// PointRadius is the accuracy in metres of an entry that does not say its own: a
// house, its yard and the mapper's hand.
const PointRadius = 30

func (e *Entry) radius() float64 {
	if e.RadiusM > 0 {
		return e.RadiusM
	}
	return PointRadius
}

// Reason is one word of why a candidate is offered and how sure that is.
type Reason string

const (
	ExactName     Reason = "exact_name"      // its name is the text, but for the administrative part
	ExactAlias    Reason = "exact_alias"     // one of its other names is the text
	ExactAddress  Reason = "exact_address"   // its address is the text
	ContainsName  Reason = "name_in_text"    // the text holds its whole name
	PartOfName    Reason = "part_of_name"    // the text is part of its name
	SimilarName   Reason = "similar_name"    // its name shares much with the text
	SimilarWhere  Reason = "similar_address" // its address shares much with the text
	SameNumber    Reason = "number_agrees"   // the house number is the one named
	OtherNumber   Reason = "number_differs"  // the street agrees, the house number does not
	NumberUnknown Reason = "number_unknown"  // a house number is named and the entry has none
	NoNumber      Reason = "no_number_given" // the entry is one house of the street named
	SameArea      Reason = "area_agrees"     // it lies in the area named
	OtherArea     Reason = "area_differs"    // it lies in another area than the one named
	Ambiguous     Reason = "ambiguous"       // others fit as well and lie elsewhere
	Relative      Reason = "relative"        // offset from it by a direction and a distance
	NextTo        Reason = "next_to"         // somewhere near it, as the text says
	FellBack      Reason = "fell_back"       // nothing finer was found: the middle of the area named
)

// Candidate is one answer to a search.
type Candidate struct {
	Entry *Entry
	// Point is the place meant: the entry's own, or one offset from it.
	Point geo.WGS84
	// AccuracyM is how far from Point the place meant may be, in metres.
	AccuracyM float64
	// Confidence, 0 to 1, is how sure it is that the entry is the one meant. It
	// depends on the text and on the entries the asker may see; which rivals of those
	// are looked at may depend on how much of the library has its commonest bigrams.
	Confidence float64
	Reasons    []Reason
	// DistanceM is from Options.Near to Point in metres; -1 when Near is not given.
	DistanceM float64
}
