// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package base

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo"
)

const (
	block     = 64 // pixels that are shifted as one: within them the shift differs by less than half a pixel
	widest    = 1024
	doneSet   = "done"
	jpegShare = 88
	drawTime  = 15 * time.Second // one tile, until it is composed
	gathering = 32               // tiles whose pieces are in memory; who asked for them may have gone
)

// composed is a tile drawn from those of all sources, shifted where they are in GCJ-02:
// once for all who ask for it meanwhile, whoever of them goes away.
func (m *Map) composed(ctx context.Context, z, x, y int) (piece, error) {
	name := nameOf(doneSet, z, x, y)
	got := m.same.DoChan(name, func() (p any, err error) {
		defer func() {
			if e := recover(); e != nil { // out here it would be the end of the server
				p, err = piece{}, fmt.Errorf("base: tile %d/%d/%d cannot be drawn: %v", z, x, y, e)
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drawTime)
		defer cancel()
		return m.compose(ctx, name, z, x, y)
	})
	select {
	case r := <-got:
		return r.Val.(piece), r.Err
	case <-ctx.Done():
		return piece{}, ctx.Err()
	}
}

// compose draws a tile, or takes the one that was drawn.
func (m *Map) compose(ctx context.Context, name string, z, x, y int) (piece, error) {
	var old piece
	var there bool
	if m.done != nil {
		var fresh bool
		if old, fresh, there = m.done.get(name); there && fresh {
			return known(old)
		}
	}
	d := &drawn{ctx: ctx, m: m, z: z, tiles: map[[3]int]image.Image{}, photo: true}
	p, err := d.compose(x, y)
	switch {
	case err == nil && !d.old && !d.lacks && m.done != nil:
		_ = m.done.put(name, p) // see put
	case (d.lacks || err != nil && !errors.Is(err, ErrEmpty)) && there: // what it was drawn of may be kept no longer
		old.old = true
		return known(old)
	}
	return p, err
}

// drawn is one tile being drawn: z, and the pictures it is made of.
type drawn struct {
	ctx    context.Context
	m      *Map
	z      int
	pieces map[[3]int]piece // by source, x, y
	tiles  map[[3]int]image.Image
	size   int
	photo  bool // all are photographs, and the lowest layer has no hole: JPEG knows no clear pixel
	old    bool
	lacks  bool      // a server refused a piece, for now
	at     time.Time // of the oldest piece, zero for now
}

// compose gathers what lies under a tile and draws it.
func (d *drawn) compose(x, y int) (piece, error) {
	select {
	case d.m.pieces <- struct{}{}:
		defer func() { <-d.m.pieces }()
	case <-d.ctx.Done():
		return piece{}, d.ctx.Err()
	}
	if err := d.gather(x, y); err != nil {
		return piece{}, err
	}
	select {
	case d.m.drawing <- struct{}{}:
		defer func() { <-d.m.drawing }()
	case <-d.ctx.Done():
		return piece{}, d.ctx.Err()
	}
	return d.draw(x, y)
}

// gather gets all tiles that lie under this one, at the same time.
func (d *drawn) gather(x, y int) error {
	want := d.under(x, y)
	type answer struct {
		at  [3]int
		p   piece
		err error
	}
	got := make(chan answer, len(want))
	for _, at := range want {
		go func() {
			p, err := d.m.sources[at[0]].tile(d.ctx, d.z, at[1], at[2])
			got <- answer{at, p, err}
		}()
	}
	d.pieces = map[[3]int]piece{}
	var failed error
	for range want {
		a := <-got
		switch {
		case a.err == nil:
			d.pieces[a.at] = a.p
			d.old = d.old || a.p.old
			d.photo = d.photo && a.p.mime == "image/jpeg"
			if at := a.p.at; !at.IsZero() && (d.at.IsZero() || at.Before(d.at)) {
				d.at = at
			}
		case errors.Is(a.err, ErrEmpty):
			d.photo = d.photo && a.at[0] > 0
			d.lacks = d.lacks || errors.Is(a.err, errLacks)
		default:
			failed = a.err
		}
	}
	if failed == nil && len(d.pieces) == 0 {
		return ErrEmpty
	}
	return failed
}

// under lists the tiles that a tile is made of; one that is missed by less than two
// pixels is among them.
func (d *drawn) under(x, y int) (out [][3]int) {
	const parts, margin = 4, 2.0 / 256
	n := 1 << d.z
	seen := map[[2]int]bool{}
	add := func(tx, ty int) {
		at := [2]int{(tx%n + n) % n, ty}
		if ty < 0 || ty >= n || seen[at] {
			return
		}
		seen[at] = true
		for s := range d.m.sources {
			out = append(out, [3]int{s, at[0], at[1]})
		}
	}
	if !d.m.gcj {
		add(x, y)
		return out
	}
	for i := range parts * parts {
		mx, my := float64(x)+(float64(i%parts)+0.5)/parts, float64(y)+(float64(i/parts)+0.5)/parts
		dx, dy := d.shift(mx, my)
		for c := range 4 {
			reach := 0.5/parts + margin
			add(int(math.Floor(mx+dx+reach*float64(c%2*2-1))), int(math.Floor(my+dy+reach*float64(c/2*2-1))))
		}
	}
	return out
}

// shift is how far away the map has what lies at a place, both in tiles of this zoom.
func (d *drawn) shift(x, y float64) (dx, dy float64) {
	if !d.m.gcj {
		return 0, 0
	}
	n := math.Exp2(float64(d.z))
	lat := math.Atan(math.Sinh(math.Pi*(1-2*y/n))) * 180 / math.Pi
	w := geo.WGS84{x/n*360 - 180, lat}
	if !shifted(w) {
		return 0, 0
	}
	g := geo.Mercator(orb.Point(w.GCJ02()))
	return g[0]*n - x, g[1]*n - y
}

// shifted reports whether maps in GCJ-02 are shifted at a place at all: they are not
// far from China.
func shifted(p geo.WGS84) bool {
	return p[0] > 72.004 && p[0] < 137.8347 && p[1] > 0.8293 && p[1] < 55.8271
}

// draw puts the picture together from what was gathered.
func (d *drawn) draw(x, y int) (piece, error) {
	for at, p := range d.pieces {
		i, err := decode(p.data)
		if err != nil {
			return piece{}, err
		}
		if d.size == 0 {
			d.size = i.Bounds().Dx()
		}
		if i.Bounds().Dx() != d.size {
			return piece{}, errors.New("base: tiles of different sizes lie beside each other")
		}
		d.tiles[at] = i
	}
	out := image.NewNRGBA(image.Rect(0, 0, d.size, d.size))
	step := min(block, d.size)
	for s := range d.m.sources {
		for top := 0; top < d.size; top += step {
			for left := 0; left < d.size; left += step {
				d.block(out, s, x, y, image.Rect(left, top, min(left+step, d.size), min(top+step, d.size)))
			}
		}
	}
	var b bytes.Buffer
	p := piece{mime: "image/png", old: d.old, at: d.at}
	var err error
	if d.photo {
		p.mime = "image/jpeg"
		err = jpeg.Encode(&b, out, &jpeg.Options{Quality: jpegShare})
	} else {
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, out)
	}
	p.data = b.Bytes()
	return p, err
}

// block draws one block of one source, moved by the shift at its middle.
func (d *drawn) block(out draw.Image, s, x, y int, r image.Rectangle) {
	size, n := float64(d.size), 1<<d.z
	dx, dy := d.shift(float64(x)+float64(r.Min.X+r.Max.X)/2/size, float64(y)+float64(r.Min.Y+r.Max.Y)/2/size)
	from := r.Add(image.Pt(int(math.Round(dx*size)), int(math.Round(dy*size)))) // in pixels of tile x, y
	floor := func(v int) int { return int(math.Floor(float64(v) / size)) }
	for ty := floor(from.Min.Y); ty <= floor(from.Max.Y-1); ty++ {
		for tx := floor(from.Min.X); tx <= floor(from.Max.X-1); tx++ {
			tile := d.tiles[[3]int{s, ((x+tx)%n + n) % n, y + ty}]
			if tile == nil {
				continue
			}
			origin := image.Pt(tx*d.size, ty*d.size)
			part := from.Intersect(image.Rect(0, 0, d.size, d.size).Add(origin))
			to := part.Sub(from.Min).Add(r.Min)
			draw.Draw(out, to, tile, part.Min.Sub(origin).Add(tile.Bounds().Min), draw.Over)
		}
	}
}

// decode reads a picture that is square and of no more than so many pixels; its size
// is looked at before anything is unpacked.
func decode(data []byte) (image.Image, error) {
	c, kind, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("base: a tile is no picture in png or jpeg: %w", err)
	}
	if c.Width != c.Height || c.Width < 64 || c.Width > widest || kind != "png" && kind != "jpeg" {
		return nil, fmt.Errorf("base: a tile of %d x %d pixels is not drawn", c.Width, c.Height)
	}
	i, _, err := image.Decode(bytes.NewReader(data))
	return i, err
}
