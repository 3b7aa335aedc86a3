// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
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
	m.info.Vector = mimeOf[f.ext] == vectorType
	m.info.Tag = tagOf(path, f.ext)
	return f, nil
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
	file, err := f.root.Open(fmt.Sprintf("%d/%d/%d%s", z, x, y, f.ext))
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
