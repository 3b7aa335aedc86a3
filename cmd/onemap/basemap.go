// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"onemap/geo"
	"onemap/store"
	"onemap/tiles/base"
)

// baseFlags are the settings of the base map, see docs/BASEMAPS.md.
type baseFlags struct {
	Kind        string `name:"basemap" help:"Base map beneath the layers: none, folder, pmtiles, xyz or tianditu, see docs/BASEMAPS.md." default:"none" enum:"none,folder,pmtiles,xyz,tianditu" env:"ONEMAP_BASEMAP"`
	Path        string `name:"basemap-path" help:"The folder of tiles, or the PMTiles file." env:"ONEMAP_BASEMAP_PATH" placeholder:"PATH"`
	URL         string `name:"basemap-url" help:"Address of xyz tiles with {z}, {x}, {y} and, if need be, {key}; of tianditu the service, when it is another." env:"ONEMAP_BASEMAP_URL" placeholder:"URL"`
	Layer       string `name:"basemap-layer" help:"Of tianditu: vec, img or ter." default:"vec" enum:"vec,img,ter" env:"ONEMAP_BASEMAP_LAYER"`
	Datum       string `name:"basemap-datum" help:"What the tiles are in: wgs84, cgcs2000 or gcj02, which is shifted by the server." default:"wgs84" enum:"wgs84,cgcs2000,gcj02" env:"ONEMAP_BASEMAP_DATUM"`
	KeyFile     string `name:"basemap-key-file" help:"File of the key for tianditu or xyz; it never leaves the server." env:"ONEMAP_BASEMAP_KEY_FILE" placeholder:"FILE"`
	Attribution string `name:"basemap-attribution" help:"Whose map it is, shown on it." env:"ONEMAP_BASEMAP_ATTRIBUTION" placeholder:"TEXT"`
	Approval    string `name:"basemap-approval" help:"Its approval number (审图号), shown on it." env:"ONEMAP_BASEMAP_APPROVAL" placeholder:"TEXT"`
	MinZoom     int    `name:"basemap-minzoom" help:"The least zoom of xyz or tianditu." env:"ONEMAP_BASEMAP_MINZOOM"`
	MaxZoom     int    `name:"basemap-maxzoom" help:"The deepest zoom of xyz or tianditu." default:"18" env:"ONEMAP_BASEMAP_MAXZOOM"`
	CacheMiB    int64  `name:"basemap-cache" help:"How many MiB of xyz or tianditu are kept on the disk." default:"512" env:"ONEMAP_BASEMAP_CACHE"`
}

const mostCacheMiB = 1 << 40 // more than any disk; in bytes it is a number still

func (f baseFlags) settings() base.Settings {
	return base.Settings{
		Kind: base.Kind(f.Kind), Path: f.Path, URL: f.URL, Layer: f.Layer, Datum: geo.Datum(f.Datum), KeyFile: f.KeyFile,
		Attribution: f.Attribution, Approval: f.Approval, MinZoom: f.MinZoom, MaxZoom: f.MaxZoom, CacheBytes: min(f.CacheMiB, mostCacheMiB) << 20,
	}
}

// examineBase looks at the base map that is configured; it asks no other server.
func examineBase(f baseFlags) []store.Finding {
	if f.Kind == "" {
		f.Kind = string(base.None)
	}
	m, err := base.Check(f.settings())
	switch {
	case err != nil:
		return []store.Finding{{Level: store.Fault, What: err.Error(), Do: "mend the settings that begin with basemap: docs/BASEMAPS.md; the server does not start until then"}}
	case m.Kind == base.None:
		return []store.Finding{{Level: store.Good, What: "no base map is configured: the map is the centre's own grid"}}
	case m.Approval == "":
		return []store.Finding{{Level: store.Warning, What: "the base map (" + f.Kind + ") is shown without an approval number (审图号)", Do: "name it with --basemap-approval if others than this centre see the map"}}
	}
	return []store.Finding{{Level: store.Good, What: "the base map (" + f.Kind + ") can be read"}}
}
