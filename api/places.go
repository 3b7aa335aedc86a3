// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/gazetteer"
)

// PlaceItem is a place that a text may mean.
type PlaceItem struct {
	ID         string             `json:"id,omitempty" doc:"Left out for a town or village as a whole"`
	Kind       gazetteer.Kind     `json:"kind" enum:"place,address,area"`
	Name       string             `json:"name"`
	Address    string             `json:"address,omitempty"`
	Class      string             `json:"class,omitempty" doc:"As its source classes it"`
	Point      [2]float64         `json:"point" doc:"WGS-84, longitude first; of a relative place the place meant"`
	AccuracyM  float64            `json:"accuracy_m" doc:"How far from point the place meant may be"`
	Confidence float64            `json:"confidence" minimum:"0" maximum:"1"`
	Reasons    []gazetteer.Reason `json:"reasons" doc:"Why it is offered and how sure that is; the words are those of docs/PLACES.md"`
	DistanceM  *float64           `json:"distance_m,omitempty" doc:"From near"`
}

// PlacePart is an administrative part of the text.
type PlacePart struct {
	Name string `json:"name"`
	Code string `json:"code,omitempty" doc:"Left out for a name that only looks like one"`
	Said bool   `json:"said" doc:"It stands in the text; else it follows from a part that does"`
}

// PlaceParts is one way to read the text.
type PlaceParts struct {
	Province *PlacePart `json:"province,omitempty"`
	City     *PlacePart `json:"city,omitempty"`
	County   *PlacePart `json:"county,omitempty"`
	Town     *PlacePart `json:"town,omitempty"`
	Village  *PlacePart `json:"village,omitempty"`
	Road     string     `json:"road,omitempty"`
	Number   string     `json:"number,omitempty"`
	POI      string     `json:"poi,omitempty"`
	Rest     string     `json:"rest,omitempty"`
}

// PlacesFound is the answer to a search.
type PlacesFound struct {
	Items []PlaceItem  `json:"items" doc:"The likeliest first; empty when nothing is known"`
	Parts []PlaceParts `json:"parts" doc:"The text taken apart, the likeliest reading first"`
}

type placesInput struct {
	Q     string `query:"q" required:"true" minLength:"1" maxLength:"64" doc:"What the place is called, or its address, or a place relative to another (城川镇 东 3 公里)"`
	Near  string `query:"near" maxLength:"60" doc:"lon,lat: of what fits as well the nearest comes first"`
	CRS   string `query:"crs" maxLength:"40" doc:"What near is, as in a report: wgs84, ..., EPSG:4545-en; needed with near"`
	Limit int    `query:"limit" minimum:"1" maximum:"40" default:"10"`
}

type placesOutput struct{ Body PlacesFound }

// DescribedPlace is a point in words.
type DescribedPlace struct {
	Spoken    string       `json:"spoken" doc:"How one says it over the radio: 昂素嘎查 东北 1.2 公里; empty when nothing near has a name"`
	From      string       `json:"from,omitempty" doc:"What spoken starts from"`
	Direction string       `json:"direction,omitempty" doc:"From there, one of eight"`
	DistanceM *float64     `json:"distance_m,omitempty" doc:"From there"`
	Address   *NearAddress `json:"address" doc:"The nearest within 500 m; null for none"`
}

// NearAddress is the address nearest to a point.
type NearAddress struct {
	ID        string         `json:"id"`
	Kind      gazetteer.Kind `json:"kind" enum:"place,address"`
	Name      string         `json:"name"`
	Address   string         `json:"address,omitempty"`
	Point     [2]float64     `json:"point" doc:"WGS-84, longitude first"`
	DistanceM float64        `json:"distance_m"`
}

type reverseOutput struct{ Body DescribedPlace }

// maxPlaceReadings is how many ways to read a text are told.
const maxPlaceReadings = 5

func (s *Server) places() {
	route(s, need{auth.Read, auth.PlaceData}, huma.Operation{
		OperationID: "search-places", Method: http.MethodGet, Path: "/api/v1/places/search", Tags: []string{"places"},
		Summary: "Places and addresses by text, with how sure each is and why", Errors: []int{422},
	}, s.searchPlaces)
	route(s, need{auth.Read, auth.PlaceData}, huma.Operation{
		OperationID: "reverse-places", Method: http.MethodGet, Path: "/api/v1/places/reverse", Tags: []string{"places"},
		Summary: "A place in words: the nearest address and how one says it", Errors: []int{422},
	}, s.reversePlace)
}

// nearOf reads near=lon,lat; nil when it is not given.
func nearOf(near, crs string) (*geo.WGS84, error) {
	if near == "" {
		if crs != "" {
			return nil, problem(http.StatusBadRequest, "crs says what near is: give near=lon,lat too, or leave crs out")
		}
		return nil, nil
	}
	a, b, ok := strings.Cut(near, ",")
	lon, err1 := strconv.ParseFloat(a, 64)
	lat, err2 := strconv.ParseFloat(b, 64)
	if !ok || err1 != nil || err2 != nil {
		return nil, problem(http.StatusBadRequest, "near: two numbers with a comma between are wanted, longitude first: near=107.48,38.18")
	}
	if crs == "" {
		return nil, problem(http.StatusBadRequest, "near needs crs: say what its numbers are: "+geo.DatumNames)
	}
	_, p, err := placeOf(lon, lat, crs)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func (s *Server) searchPlaces(_ context.Context, a caller, in *placesInput) (*placesOutput, error) {
	near, err := nearOf(in.Near, in.CRS)
	if err != nil {
		return nil, err
	}
	if len([]rune(gazetteer.Normalise(in.Q))) < 2 {
		return nil, problem(http.StatusUnprocessableEntity, "q: at least two characters are needed to search by")
	}
	x := s.o.Places()
	out := &placesOutput{PlacesFound{Items: []PlaceItem{}, Parts: []PlaceParts{}}}
	for _, c := range x.Search(in.Q, gazetteer.Options{Sees: a.Scope.Sees, Near: near, Limit: in.Limit}) {
		i := placeItem(c)
		if near != nil {
			d := math.Round(c.DistanceM)
			i.DistanceM = &d
		}
		out.Body.Items = append(out.Body.Items, i)
	}
	for _, p := range x.Library().Parse(in.Q, a.Scope.Sees) {
		if len(out.Body.Parts) == maxPlaceReadings {
			break
		}
		out.Body.Parts = append(out.Body.Parts, PlaceParts{
			placePart(p.Province), placePart(p.City), placePart(p.County), placePart(p.Town), placePart(p.Village), p.Road, p.Number, p.POI, p.Rest,
		})
	}
	return out, nil
}

func placeItem(c gazetteer.Candidate) PlaceItem {
	return PlaceItem{
		ID: placeID(c.Entry), Kind: c.Entry.Kind, Name: c.Entry.Name, Address: c.Entry.Address, Class: c.Entry.Class, Point: c.Point,
		AccuracyM: math.Round(c.AccuracyM), Confidence: math.Round(c.Confidence*100) / 100, Reasons: c.Reasons,
	}
}

func placeID(e *gazetteer.Entry) string {
	if e.ID == 0 {
		return ""
	}
	return strconv.FormatInt(e.ID, 10)
}

func placePart(p gazetteer.Part) *PlacePart {
	if p.Name == "" {
		return nil
	}
	return &PlacePart{p.Name, p.Code, p.Said}
}

func (s *Server) reversePlace(_ context.Context, a caller, in *locateInput) (*reverseOutput, error) {
	_, p, err := placeOf(in.Lon, in.Lat, in.CRS)
	if err != nil {
		return nil, err
	}
	d := s.o.Places().Reverse(p, a.Scope.Sees)
	out := &reverseOutput{DescribedPlace{Spoken: d.Spoken, Direction: d.Direction}}
	if d.From != nil {
		m := math.Round(d.DistanceM)
		out.Body.From, out.Body.DistanceM = d.From.Name, &m
	}
	if e := d.Address; e != nil {
		out.Body.Address = &NearAddress{placeID(e), e.Kind, e.Name, e.Address, e.Point, math.Round(d.AddressDistanceM)}
	}
	return out, nil
}
