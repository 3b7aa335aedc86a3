// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"

	"onemap/geo/grid"
)

const geoType = "application/geo+json"

// shapesFile is the figures of grids with their shapes, of those that the reader may see: a
// grid of another county may have the code of one.
func (s *Server) shapesFile(c caller, name string, in *periodExportInput, f PeriodFigures) (*fileOutput, error) {
	shapes := map[string]orb.Geometry{}
	tree := s.o.Catalogue.Now().Tree
	for i, n := range tree.Nodes() {
		if below(tree, i, in.Grid) && c.Scope.Sees(n.No) {
			shapes[string(n.Code)] = n.Geom
		}
	}
	var fs []*geojson.Feature
	for _, g := range f.Groups {
		one := geojson.NewFeature(shapes[g.Code])
		one.Properties = figureProperties(g.FigureLine)
		one.Properties["code"], one.Properties["name"] = g.Code, g.Name
		fs = append(fs, one)
	}
	all := features(fs)
	all.ExtraMembers = geojson.Properties{"as_of": f.AsOf, "from": f.From, "to": f.To, "total": figureProperties(f.Total)}
	for _, p := range in.said() {
		all.ExtraMembers[p[0]] = p[1]
	}
	body, err := all.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return &fileOutput{ContentType: geoType, Disposition: `attachment; filename="` + name + `"`, Policy: "sandbox", Body: body}, nil
}

// below says whether node i is next below the grid with this code; next below a county
// for none.
func below(t *grid.Tree, i int, code string) bool {
	path := t.Path(i)
	if len(path) < 2 {
		return false
	}
	return code == "" && len(path) == 2 || code != "" && string(t.Nodes()[path[len(path)-2]].Code) == code
}

// figureProperties are the figures of one group, flat as programs of maps read them: a
// share of on_time is on_time, on_time_of and on_time_rate.
func figureProperties(l FigureLine) geojson.Properties {
	p := geojson.Properties{}
	for _, r := range figureRows("", "", "", l) {
		name := strings.ReplaceAll(r[3].(string), ".", "_")
		p[name] = r[4]
		if r[5] != nil {
			p[name+"_of"] = r[5]
		}
		if r[6] != nil {
			p[name+"_rate"] = r[6]
		}
	}
	return p
}
