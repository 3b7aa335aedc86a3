// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// maxEntries is how many files a zip may hold.
const maxEntries = 1000

// openZip reads a zip's directory and refuses bombs by what it says. It can't lie
// to our harm: no more of a file is unpacked than the directory has announced.
func openZip(f io.ReaderAt, size int64, lim Limits) (*zip.Reader, error) {
	if size > lim.Unpacked {
		return nil, fmt.Errorf("the zip has more than %d MiB", lim.Unpacked>>20)
	}
	z, err := zip.NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("the zip is cut off or damaged: copy it again: %w", err)
	}
	if len(z.File) > maxEntries {
		return nil, fmt.Errorf("the zip holds %d files, more than %d", len(z.File), maxEntries)
	}
	var total uint64
	for _, e := range z.File {
		switch {
		case e.Flags&1 != 0:
			return nil, fmt.Errorf("%s in the zip has a password: pack it without one", e.Name)
		case e.Method != zip.Store && e.Method != zip.Deflate:
			return nil, fmt.Errorf("%s is packed by method %d, which few programs read: pack the zip anew", e.Name, e.Method)
		case e.UncompressedSize64 > ratioSlack && e.UncompressedSize64 > uint64(lim.Ratio)*e.CompressedSize64 && e.UncompressedSize64 <= uint64(lim.Unpacked):
			return nil, fmt.Errorf("%s in the zip unpacks to more than %d times its size", e.Name, lim.Ratio)
		case e.UncompressedSize64 > uint64(lim.Unpacked):
			total = e.UncompressedSize64
		default:
			total += e.UncompressedSize64
		}
		if total > uint64(lim.Unpacked) {
			return nil, fmt.Errorf("the zip unpacks to more than %d MiB", lim.Unpacked>>20)
		}
	}
	if total > ratioSlack && total > uint64(lim.Ratio)*uint64(size) {
		return nil, fmt.Errorf("the zip unpacks to more than %d times its size", lim.Ratio)
	}
	return z, nil
}

// zipFormat tells a workbook from a Shapefile.
func zipFormat(z *zip.Reader) (Format, error) {
	kinds := map[string]bool{}
	for _, e := range z.File {
		name := strings.ToLower(strings.ReplaceAll(e.Name, `\`, "/"))
		if name == "xl/workbook.xml" {
			return XLSX, nil
		}
		kinds[path.Ext(name)] = true
	}
	switch {
	case kinds[".shp"]:
		return Shapefile, nil
	case kinds[".kml"]:
		return "", errors.New("the zip holds KML: save it as GeoJSON or Shapefile")
	}
	return "", errors.New("the zip holds neither a Shapefile (.shp) nor a workbook (.xlsx)")
}

// parts finds the one Shapefile of a zip: its files by ending (".shp"), whatever
// folder they lie in. Another .shp beside it is an error that names them all.
func parts(z *zip.Reader) (map[string]*zip.File, error) {
	var stems []string
	found := map[string]map[string]*zip.File{}
	for _, e := range z.File {
		name := strings.ReplaceAll(e.Name, `\`, "/")
		if strings.HasSuffix(name, "/") || strings.HasPrefix(name, "__MACOSX/") {
			continue
		}
		ext := strings.ToLower(path.Ext(name))
		stem := strings.ToLower(name[:len(name)-len(ext)])
		if found[stem] == nil {
			found[stem] = map[string]*zip.File{}
		}
		if found[stem][ext] != nil {
			return nil, fmt.Errorf("the zip holds %s twice", name)
		}
		found[stem][ext] = e
		if ext == ".shp" {
			stems = append(stems, stem)
		}
	}
	if len(stems) != 1 {
		return nil, fmt.Errorf("the zip holds %d Shapefiles (%.200s): pack each into a zip of its own", len(stems), strings.Join(stems, ", "))
	}
	return found[stems[0]], nil
}

// whole reads a small file of a zip.
func whole(e *zip.File, most int64) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	case int64(len(b)) > most:
		return nil, fmt.Errorf("%s has more than %d bytes", e.Name, most)
	}
	return b, nil
}
