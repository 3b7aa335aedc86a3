// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package base answers the tiles of the base map, which lies beneath a centre's own
// layers: a folder of tiles, a PMTiles file, or pictures that another server draws,
// asked for by this server and kept on its disk. A picture map in GCJ-02 is put where
// it belongs, tile by tile; our own places are never moved.
package base

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"onemap/geo"
)

var (
	// ErrOutOfRange says that there is no such tile on earth, or none at this zoom.
	ErrOutOfRange = errors.New("base: no such tile")
	// ErrEmpty says that the base map has nothing there.
	ErrEmpty = errors.New("base: nothing in this tile")
	// ErrAway says that the server of the base map doesn't answer, and that the tile
	// isn't kept here.
	ErrAway = errors.New("base: the base map is not reachable")
)

// Kind is where a base map comes from.
type Kind string

// The kinds of base maps. None is the centre's own grid alone.
const (
	None     Kind = "none"
	Folder   Kind = "folder"
	PMTiles  Kind = "pmtiles"
	XYZ      Kind = "xyz"
	Tianditu Kind = "tianditu"
)

// Settings say which base map there is. The zero Settings mean none.
type Settings struct {
	Kind        Kind
	Path        string // of the file or the folder
	URL         string // of XYZ: with {z}, {x}, {y}, and {key} if it has one; of Tianditu: the service, when it is another
	Layer       string // of Tianditu: vec (as when empty), img or ter
	Datum       geo.Datum
	KeyFile     string
	Attribution string
	Approval    string // 审图号
	MinZoom     int
	MaxZoom     int   // 18 when 0, for what doesn't say so itself
	CacheBytes  int64 // 512 MiB when 0
	CacheDir    string
	Now         func() time.Time
}

const (
	deepest    = 22
	usualZoom  = 18
	usualCache = 512 << 20
	maxTile    = 4 << 20
)

// Info describes a base map to whoever draws it. It has no address and no key.
type Info struct {
	Kind        Kind
	Vector      bool
	TileSize    int
	MinZoom     int
	MaxZoom     int
	Bounds      [4]float64
	Layers      []string // of a vector map
	Attribution string
	Approval    string
	Tag         string // another one when the map is another
	Away        bool   // its server doesn't answer: kept tiles are shown
}

// Tile is one tile as it is sent.
type Tile struct {
	Data []byte
	Type string // as in Content-Type
	Gzip bool   // Data is packed
	ETag string
	Kept bool // older than it should be, for its server doesn't answer
}

// piece is a tile as a source has it.
type piece struct {
	data []byte
	mime string
	gzip bool
	old  bool
	at   time.Time // when its server answered, of one that is kept; zero for now
}

// source is where tiles come from. It answers ErrEmpty where it has none.
type source interface {
	tile(ctx context.Context, z, x, y int) (piece, error)
}

// Map is a base map. The nil Map has no tile.
type Map struct {
	info    Info
	mime    string   // of the tiles of a folder or a file
	sources []source // drawn over each other
	gcj     bool
	done    *keep              // composed tiles; nil when none are composed
	same    singleflight.Group // of tiles being composed
	link    *link              // nil when nothing is asked for elsewhere
	pieces  chan struct{}      // who holds the pieces of a tile to be drawn
	drawing chan struct{}
	close   func()
}

// Open makes the base map of settings, or says what is wrong with them. It is nil
// when there is none.
func Open(s Settings) (*Map, error) {
	if s.CacheDir == "" && (s.Kind == XYZ || s.Kind == Tianditu) {
		return nil, errors.New("base map: there is no folder to keep tiles in")
	}
	m, err := open(s)
	if err != nil {
		return nil, fmt.Errorf("base map: %w", err)
	}
	return m, nil
}

// Check says what is wrong with settings, or what map they make, without keeping
// anything on the disk.
func Check(s Settings) (Info, error) {
	s.CacheDir = ""
	m, err := open(s)
	if err != nil {
		return Info{}, fmt.Errorf("base map: %w", err)
	}
	if m == nil {
		return Info{Kind: None}, nil
	}
	defer m.Close()
	return m.info, nil
}

func open(s Settings) (*Map, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.MaxZoom == 0 {
		s.MaxZoom = usualZoom
	}
	if s.MinZoom < 0 || s.MaxZoom > deepest || s.MinZoom > s.MaxZoom {
		return nil, fmt.Errorf("zooms are from 0 to %d, the least first", deepest)
	}
	m := &Map{info: Info{
		Kind: s.Kind, TileSize: 256, MinZoom: s.MinZoom, MaxZoom: s.MaxZoom, Attribution: s.Attribution, Approval: s.Approval,
		Bounds: [4]float64{-180, -85.0511, 180, 85.0511},
	}, pieces: make(chan struct{}, gathering), drawing: make(chan struct{}, 2), close: func() {}}
	switch s.Datum {
	case "", geo.DatumWGS84, geo.DatumCGCS2000: // the two differ by less than a metre
	case geo.DatumGCJ02:
		m.gcj = true
	default:
		return nil, fmt.Errorf("datum %q: a base map is in wgs84, cgcs2000 or gcj02", s.Datum)
	}
	if s.KeyFile != "" && s.Kind != XYZ && s.Kind != Tianditu {
		return nil, errors.New("only xyz and tianditu have a key")
	}
	switch s.Kind {
	case None, "":
		if s.Path != "" || s.URL != "" {
			return nil, errors.New("a path or an address is named, but no kind: say folder, pmtiles, xyz or tianditu")
		}
		return nil, nil
	case Folder, PMTiles:
		if s.Path == "" {
			return nil, fmt.Errorf("%s needs a path", s.Kind)
		}
		if err := m.openPath(s); err != nil {
			return nil, err
		}
	case XYZ, Tianditu:
		if err := m.openUpstream(s); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("unknown kind %.40q: say none, folder, pmtiles, xyz or tianditu", string(s.Kind))
	}
	if m.info.Vector && m.gcj {
		m.close()
		return nil, errors.New("a vector map in gcj02 cannot be shifted: convert it to wgs84 first")
	}
	if m.mime == "image/webp" && m.gcj {
		m.close()
		return nil, errors.New("pictures in webp cannot be shifted: convert them to png or jpeg first")
	}
	return m, nil
}

func (m *Map) openPath(s Settings) error {
	var err error
	var src source
	if s.Kind == Folder {
		src, err = openFolder(s.Path, m)
	} else {
		src, err = openArchive(s.Path, m)
	}
	if err != nil {
		return err
	}
	m.sources = []source{src}
	return nil
}

func (m *Map) openUpstream(s Settings) error {
	key, err := readKey(s)
	if err != nil {
		return err
	}
	addresses, err := addressesOf(s)
	if err != nil {
		return err
	}
	if s.Kind == Tianditu {
		m.info.MinZoom = max(1, m.info.MinZoom)
		if m.info.Attribution == "" {
			m.info.Attribution = "天地图"
		}
	}
	if s.CacheBytes == 0 {
		s.CacheBytes = usualCache
	}
	if s.CacheBytes < 1<<20 {
		return errors.New("the cache needs a MiB or more")
	}
	m.info.Tag = tagOf(strings.Join(addresses, " "), string(s.Datum))
	var k *keep
	if s.CacheDir != "" { // Check has none
		if k, err = openKeep(s.CacheDir, m.info.Tag, s.CacheBytes, s.Now); err != nil {
			return err
		}
	}
	m.link, err = newLink(addresses, key, m.gcj || len(addresses) > 1, s.Now)
	if err != nil {
		return err
	}
	for i := range addresses {
		m.sources = append(m.sources, &upstream{link: m.link, keep: k, at: i})
	}
	if m.gcj || len(m.sources) > 1 {
		m.done = k
	}
	m.close = m.link.stop
	return nil
}

// readKey reads the key of an upstream; what goes wrong is said without it.
func readKey(s Settings) (string, error) {
	wanted := s.Kind == Tianditu || strings.Contains(s.URL, "{key}")
	if s.KeyFile == "" {
		if wanted {
			return "", fmt.Errorf("%s needs a key: name its file", s.Kind)
		}
		return "", nil
	}
	if !wanted {
		return "", errors.New("there is a key file, but no {key} in the address")
	}
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		return "", fmt.Errorf("the key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" || len(key) > 256 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("the key file %s holds no key: one line of at most 256 letters and digits", filepath.Base(s.KeyFile))
	}
	return key, nil
}

// Close ends what is still being fetched.
func (m *Map) Close() {
	if m != nil {
		m.close()
	}
}

// Info says what the map is now. Asked while its server is away, it has it tried again.
func (m *Map) Info() Info {
	i := m.info
	if m.link != nil {
		i.Away = m.link.away()
		m.link.probe(m.sources)
	}
	return i
}

// Tile answers one tile.
func (m *Map) Tile(ctx context.Context, z, x, y int) (Tile, error) {
	if m == nil || z < m.info.MinZoom || z > m.info.MaxZoom || x < 0 || y < 0 || x >= 1<<z || y >= 1<<z {
		return Tile{}, ErrOutOfRange
	}
	var p piece
	var err error
	if m.gcj || len(m.sources) > 1 {
		p, err = m.composed(ctx, z, x, y)
	} else {
		p, err = m.sources[0].tile(ctx, z, x, y)
	}
	if err != nil {
		return Tile{}, err
	}
	return Tile{Data: p.data, Type: p.mime, Gzip: p.gzip, Kept: p.old, ETag: `"` + tagOf(string(p.data)) + `"`}, nil
}

// tagOf is a short name of what texts say.
func tagOf(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:", len(t))
		h.Write([]byte(t))
	}
	return hex.EncodeToString(h.Sum(nil))[:20]
}
