// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/paulmach/orb/encoding/mvt"
)

// folder is a folder of tiles: {z}/{x}/{y}.png, as most tools write them. Nothing
// outside of it is read, whatever links lie in it.
type folder struct {
	root *os.Root
	ext  string
}

// mimeOf are the kinds of files that are tiles.
var mimeOf = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
	".mvt": vectorType, ".pbf": vectorType,
}

const vectorType = "application/vnd.mapbox-vector-tile"

func openFolder(path string, m *Map) (*folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root}
	zooms := numbers(root.FS(), ".")
	for _, z := range zooms {
		if f.ext == "" {
			f.ext = firstTile(root.FS(), strconv.Itoa(z))
		}
	}
	if f.ext == "" {
		root.Close()
		return nil, fmt.Errorf("%s has no tiles: they are to lie in it as {z}/{x}/{y}.png (or jpg, webp, mvt, pbf)", path)
	}
	m.close = func() { root.Close() }
	m.info.MinZoom, m.info.MaxZoom = zooms[0], zooms[len(zooms)-1]
	if m.info.Vector = mimeOf[f.ext] == vectorType; m.info.Vector {
		if m.info.Layers = f.layersTold(); m.info.Layers == nil {
			m.info.Layers = f.layersSeen(zooms)
		}
	}
	m.mime = mimeOf[f.ext]
	m.info.Tag = tagOf(path, f.ext)
	return f, nil
}

// layersTold are the layers that metadata.json names: as TileJSON has them, or in a text
// of its own, as MBTiles and GDAL do.
func (f *folder) layersTold() (ids []string) {
	file, err := f.root.Open("metadata.json")
	if err != nil {
		return nil
	}
	defer file.Close()
	type told struct {
		Layers []struct {
			ID string `json:"id"`
		} `json:"vector_layers"`
		JSON string `json:"json"`
	}
	var all, inner told
	if json.NewDecoder(io.LimitReader(file, maxTile)).Decode(&all) != nil {
		return nil
	}
	_ = json.Unmarshal([]byte(all.JSON), &inner) // a text that is none has no layers
	for _, l := range append(all.Layers, inner.Layers...) {
		ids = append(ids, l.ID)
	}
	return ids
}

// layersLooked is how many tiles of a zoom are looked into for their layers.
const layersLooked = 40

// layersSeen are the layers of some tiles of the least and the greatest zoom.
func (f *folder) layersSeen(zooms []int) (ids []string) {
	for _, z := range []int{zooms[0], zooms[len(zooms)-1]} {
		looked := 0
		for _, x := range numbers(f.root.FS(), strconv.Itoa(z)) {
			list, _ := fs.ReadDir(f.root.FS(), fmt.Sprintf("%d/%d", z, x))
			for _, e := range list {
				y, err := strconv.Atoi(strings.TrimSuffix(e.Name(), f.ext))
				if err != nil || looked == layersLooked {
					continue
				}
				looked++
				p, err := f.tile(context.Background(), z, x, y)
				if err != nil {
					continue
				}
				read := mvt.Unmarshal
				if p.gzip {
					read = mvt.UnmarshalGzipped
				}
				layers, _ := read(p.data) // one that cannot be read names none
				for _, l := range layers {
					if !slices.Contains(ids, l.Name) {
						ids = append(ids, l.Name)
					}
				}
			}
		}
	}
	return ids
}

// numbers are the folders named by a number, in order.
func numbers(in fs.FS, dir string) (out []int) {
	list, _ := fs.ReadDir(in, dir)
	for _, e := range list {
		if n, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() && n >= 0 && (dir != "." || n <= deepest) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// firstTile is the ending of the first tile of a zoom.
func firstTile(in fs.FS, z string) string {
	for _, x := range numbers(in, z) {
		list, _ := fs.ReadDir(in, z+"/"+strconv.Itoa(x))
		for _, e := range list {
			dot := strings.LastIndexByte(e.Name(), '.')
			if dot < 0 {
				continue
			}
			if _, err := strconv.Atoi(e.Name()[:dot]); err == nil && mimeOf[e.Name()[dot:]] != "" {
				return e.Name()[dot:]
			}
		}
	}
	return ""
}

func (f *folder) tile(_ context.Context, z, x, y int) (piece, error) {
	name := fmt.Sprintf("%d/%d/%d%s", z, x, y, f.ext)
	if st, err := f.root.Stat(name); errors.Is(err, fs.ErrNotExist) || err == nil && !st.Mode().IsRegular() { // opening a pipe would wait for ever
		return piece{}, ErrEmpty
	}
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return piece{}, ErrEmpty
	}
	if err != nil {
		return piece{}, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxTile+1))
	if err != nil {
		return piece{}, err
	}
	if len(data) > maxTile {
		return piece{}, fmt.Errorf("base: tile %d/%d/%d is larger than %d MiB", z, x, y, maxTile>>20)
	}
	if len(data) == 0 {
		return piece{}, ErrEmpty
	}
	p := piece{data: data, mime: mimeOf[f.ext]}
	p.gzip = p.mime == vectorType && isGzip(data)
	return p, nil
}

func isGzip(data []byte) bool { return len(data) > 2 && data[0] == 0x1f && data[1] == 0x8b }
