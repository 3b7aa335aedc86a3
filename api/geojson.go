// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/store/ledger"
)

// wantsFeatures reports whether a caller asks for GeoJSON.
func wantsFeatures(accept string) bool { return strings.Contains(accept, "application/geo+json") }

// listOrFeatures documents an answer that is a list, or GeoJSON when asked for.
func (s *Server) listOrFeatures(list reflect.Type) map[string]*huma.Response {
	schema := s.huma.OpenAPI().Components.Schemas.Schema(list, true, list.Name())
	return map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/json":     {Schema: schema},
		"application/geo+json": {Schema: &huma.Schema{Type: "object", Description: "A GeoJSON FeatureCollection (RFC 7946)"}},
	}}}
}

// features is a FeatureCollection; orb's own leaves "features" null when empty.
func features(fs []*geojson.Feature) *geojson.FeatureCollection {
	c := geojson.NewFeatureCollection()
	c.Features = append([]*geojson.Feature{}, fs...)
	return c
}

func incidentFeatures(l IncidentList) *geojson.FeatureCollection {
	var out []*geojson.Feature
	for _, p := range l.Items {
		if p.Point == nil {
			continue // a feature without a place is of no use on a map; the list has it
		}
		f := geojson.NewFeature(orb.Point(*p.Point))
		f.ID = p.ID
		f.Properties = geojson.Properties{
			"number": p.Number, "category": p.Category, "category_name": p.CategoryName, "priority": p.Priority,
			"state": p.State, "reported_at": p.ReportedAt, "precision": p.Precision,
		}
		if p.CaseFields != nil {
			f.Properties["title"] = p.Title
		}
		if p.AccuracyM != nil {
			f.Properties["accuracy_m"] = *p.AccuracyM
		}
		out = append(out, f)
	}
	return features(out)
}

func isGridsChanged(err error) bool { return errors.Is(err, ledger.ErrGridsChanged) }
