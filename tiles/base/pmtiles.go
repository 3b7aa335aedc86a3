// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
)

// archive is a PMTiles file of version 3, as its published specification describes
// it: a header of 127 bytes, directories of entries sorted by the number of a tile on
// Hilbert's curve, and the tiles.
type archive struct {
	file io.ReaderAt
	size int64
	head header
	root []entry

	mu     sync.Mutex // guards the rest
	leaves map[uint64][]entry
	kept   int // entries of all leaves
}

type header struct {
	rootAt, rootLen, metaAt, metaLen, leafAt, leafLen, dataAt, dataLen uint64
	packing, tilePacking, kind                                         byte
	minZoom, maxZoom                                                   int
	bounds                                                             [4]float64
}

// entry says where a run of tiles lies; of a run of 0, where a leaf directory does.
type entry struct {
	first, at   uint64
	length, run uint32
}

const (
	headerLen = 127
	maxDir    = 8 << 20 // bytes of a directory, unpacked
	maxMeta   = 4 << 20
	mostKept  = 2 << 20 // entries of leaves in memory, of 24 bytes each
	maxDepth  = 4

	packUnknown, packNone, packGzip = 0, 1, 2
)

var errNotPMTiles = errors.New("not a PMTiles file of version 3")

// archiveTypes are the types of tiles, by their number in the header.
var archiveTypes = []string{"", vectorType, "image/png", "image/jpeg", "image/webp"}

func openArchive(path string, m *Map) (*archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := file.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errNotPMTiles
	}
	var a *archive
	if err == nil {
		a, err = readArchive(file, st.Size())
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.close = func() { file.Close() }
	m.info.MinZoom, m.info.MaxZoom = a.head.minZoom, a.head.maxZoom
	if b := a.head.bounds; b[0] >= -180 && b[0] < b[2] && b[2] <= 180 && b[1] >= -90 && b[1] < b[3] && b[3] <= 90 { // else it doesn't say
		m.info.Bounds = b
	}
	m.mime = archiveTypes[a.head.kind]
	m.info.Vector = archiveTypes[a.head.kind] == vectorType
	m.info.Tag = tagOf(path, fmt.Sprint(st.Size(), st.ModTime().UnixNano()))
	var words string
	if m.info.Layers, words = a.told(); m.info.Attribution == "" {
		m.info.Attribution = words
	}
	return a, nil
}

func readArchive(file io.ReaderAt, size int64) (*archive, error) {
	b := make([]byte, headerLen)
	if size < headerLen {
		return nil, errNotPMTiles
	}
	if _, err := file.ReadAt(b, 0); err != nil {
		return nil, err
	}
	if string(b[:7]) != "PMTiles" || b[7] != 3 {
		return nil, errNotPMTiles
	}
	u := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	deg := func(at int) float64 { return float64(int32(binary.LittleEndian.Uint32(b[at:]))) / 1e7 }
	h := header{
		rootAt: u(8), rootLen: u(16), metaAt: u(24), metaLen: u(32), leafAt: u(40), leafLen: u(48), dataAt: u(56), dataLen: u(64),
		packing: b[97], tilePacking: b[98], kind: b[99], minZoom: int(b[100]), maxZoom: int(b[101]),
		bounds: [4]float64{deg(102), deg(106), deg(110), deg(114)},
	}
	a := &archive{file: file, size: size, head: h, leaves: map[uint64][]entry{}}
	switch {
	case h.kind == 0 || int(h.kind) >= len(archiveTypes):
		return nil, fmt.Errorf("tiles of type %d are not served: mvt, png, jpeg and webp are", h.kind)
	case h.packing != packNone && h.packing != packGzip || h.tilePacking > packGzip:
		return nil, errors.New("packed by something else than gzip: write it anew with gzip")
	case h.minZoom > h.maxZoom || h.maxZoom > deepest:
		return nil, fmt.Errorf("%w: zooms %d to %d", errNotPMTiles, h.minZoom, h.maxZoom)
	}
	for _, part := range [][2]uint64{{h.rootAt, h.rootLen}, {h.metaAt, h.metaLen}, {h.leafAt, h.leafLen}, {h.dataAt, h.dataLen}} {
		if part[0] > uint64(size) || part[1] > uint64(size)-part[0] {
			return nil, errors.New("cut short: its header speaks of more bytes than it has")
		}
	}
	var err error
	a.root, err = a.directory(h.rootAt, h.rootLen)
	return a, err
}

// told reads what the archive says of itself: the layers of a vector map, and whose
// it is.
func (a *archive) told() (layers []string, attribution string) {
	text, err := a.read(a.head.metaAt, a.head.metaLen, maxMeta, a.head.packing)
	if err != nil {
		return nil, ""
	}
	var meta struct {
		Attribution string `json:"attribution"`
		Layers      []struct {
			ID string `json:"id"`
		} `json:"vector_layers"`
	}
	if json.Unmarshal(text, &meta) != nil {
		return nil, ""
	}
	for _, l := range meta.Layers {
		if l.ID != "" && len(layers) < 100 {
			layers = append(layers, l.ID)
		}
	}
	return layers, plain(meta.Attribution)
}

// plain is text without the tags of HTML.
func plain(text string) string {
	var out []rune
	in := false
	for _, r := range text {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
		case !in && len(out) < 300:
			out = append(out, r)
		}
	}
	return string(out)
}

// read reads and unpacks a part of the file.
func (a *archive) read(at, length, limit uint64, packing byte) ([]byte, error) {
	if length > limit || at > uint64(a.size) || length > uint64(a.size)-at {
		return nil, errors.New("a part of the PMTiles file lies outside of it or is too large")
	}
	b := make([]byte, length)
	if _, err := a.file.ReadAt(b, int64(at)); err != nil && (!errors.Is(err, io.EOF) || length > 0) {
		return nil, err
	}
	if packing != packGzip {
		return b, nil
	}
	return unpack(b, int64(limit))
}

// unpack is gzip read up to a limit.
func unpack(b []byte, limit int64) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(out)) > limit {
		err = errors.New("unpacks to too much")
	}
	return out, err
}

// directory reads a directory: a count, then column by column the numbers (as steps),
// the runs, the lengths and the places (0: right after the one before).
func (a *archive) directory(at, length uint64) ([]entry, error) {
	b, err := a.read(at, length, maxDir, a.head.packing)
	if err != nil {
		return nil, fmt.Errorf("a directory: %w", err)
	}
	broken := fmt.Errorf("%w: a directory is broken", errNotPMTiles)
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, false
		}
		b = b[n:]
		return v, true
	}
	count, ok := next()
	if !ok || count == 0 || count > uint64(len(b))/4 { // each entry takes four bytes or more
		return nil, broken
	}
	out := make([]entry, count)
	number := uint64(0)
	for column := range 4 {
		for i := range out {
			v, ok := next()
			if !ok {
				return nil, broken
			}
			e := &out[i]
			switch column {
			case 0:
				if number+v < number || i > 0 && v == 0 {
					return nil, broken
				}
				number += v
				e.first = number
			case 1:
				e.run = uint32(v)
			case 2:
				e.length = uint32(v)
			case 3:
				switch {
				case v > 0:
					e.at = v - 1
				case i > 0:
					e.at = out[i-1].at + uint64(out[i-1].length)
				default:
					return nil, broken
				}
			}
			if column < 3 && column > 0 && v > 1<<32-1 || column == 2 && v == 0 {
				return nil, broken
			}
		}
	}
	return out, nil
}

func (a *archive) leaf(e entry) ([]entry, error) {
	a.mu.Lock()
	kept, ok := a.leaves[e.at]
	a.mu.Unlock()
	if ok {
		return kept, nil
	}
	if e.at > a.head.leafLen || uint64(e.length) > a.head.leafLen-e.at {
		return nil, fmt.Errorf("%w: a leaf lies outside of its part", errNotPMTiles)
	}
	list, err := a.directory(a.head.leafAt+e.at, uint64(e.length))
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.leaves[e.at]; there { // another has read it meanwhile
		return list, nil
	}
	if a.kept += len(list); a.kept > mostKept {
		clear(a.leaves)
		a.kept = len(list)
	}
	a.leaves[e.at] = list
	return list, nil
}

func (a *archive) tile(_ context.Context, z, x, y int) (piece, error) {
	number, list := tileNumber(z, x, y), a.root
	for range maxDepth {
		i := sort.Search(len(list), func(i int) bool { return list[i].first > number }) - 1
		if i < 0 {
			return piece{}, ErrEmpty
		}
		e := list[i]
		if e.run > 0 {
			if number >= e.first+uint64(e.run) {
				return piece{}, ErrEmpty
			}
			return a.cut(e)
		}
		var err error
		if list, err = a.leaf(e); err != nil {
			return piece{}, err
		}
	}
	return piece{}, fmt.Errorf("%w: directories lie too deep", errNotPMTiles)
}

// cut reads an entry's tile. A vector tile stays packed; a picture never is.
func (a *archive) cut(e entry) (piece, error) {
	if e.at > a.head.dataLen || uint64(e.length) > a.head.dataLen-e.at {
		return piece{}, fmt.Errorf("%w: a tile lies outside of its part", errNotPMTiles)
	}
	p := piece{mime: archiveTypes[a.head.kind]}
	packing := byte(packNone)
	if p.gzip = p.mime == vectorType && a.head.tilePacking == packGzip; !p.gzip {
		packing = a.head.tilePacking
	}
	var err error
	p.data, err = a.read(a.head.dataAt+e.at, uint64(e.length), maxTile, packing)
	if a.head.tilePacking == packUnknown && p.mime == vectorType {
		p.gzip = isGzip(p.data)
	}
	return p, err
}

// tileNumber is the place of a tile on Hilbert's curves of all zooms, one after the other.
func tileNumber(z, x, y int) uint64 {
	number := (uint64(1)<<(2*z) - 1) / 3
	for half := 1 << z >> 1; half > 0; half >>= 1 {
		right, down := 0, 0
		if x&half > 0 {
			right = 1
		}
		if y&half > 0 {
			down = 1
		}
		number += uint64(half) * uint64(half) * uint64((3*right)^down)
		if down == 0 {
			if right == 1 {
				x, y = half-1-x&(half-1), half-1-y&(half-1)
			}
			x, y = y, x
		}
	}
	return number
}
