// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
)

// maxRoadNodes is how many nodes the roads of one file may have: 32 bytes each.
const maxRoadNodes = 60_000_000

// osmRoads are the roads of an extract while their nodes are looked for.
type osmRoads struct {
	*roadReader
	ways  []osmWay
	nodes []osmNode // sorted by id
}

type osmWay struct {
	id   int64
	tags road.Tags
	refs []int64
}

type osmNode struct {
	id    int64
	p     orb.Point
	known bool
}

// readPBF reads the file twice: which nodes the roads have, then where they are.
func (r *roadReader) readPBF(f io.ReadSeeker) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	o := osmRoads{roadReader: r}
	for pass, visit := range []func(*primitives) error{o.takeWays, o.takeNodes} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		err := eachBlock(f, func(read int64) error {
			if r.Progress != nil {
				r.Progress((read+int64(pass)*size)/2, size)
			}
			return r.ctx.Err()
		}, visit)
		if err != nil {
			return err
		}
		if pass == 0 {
			o.sortNodes()
		}
	}
	for _, w := range o.ways {
		if err := r.add(o.line(w)); err != nil {
			return err
		}
	}
	return nil
}

// takeWays keeps the ways that are driven on and notes their nodes. Other ways
// with a highway are counted.
func (o *osmRoads) takeWays(b *primitives) error {
	return b.eachWay(func(w pbfWay) error {
		tags := road.Tags{}
		for i := range w.keys {
			k, err := b.text(w.keys[i])
			if err != nil {
				return err
			}
			if tags[k], err = b.text(w.values[i]); err != nil {
				return err
			}
		}
		if tags["highway"] == "" {
			return nil // a house, a river, ...: most of the file
		}
		if _, why := tags.Read(); why != "" {
			return o.add(roadLine{id: "w" + strconv.FormatInt(w.id, 10), tags: tags})
		}
		for _, id := range w.refs {
			o.nodes = append(o.nodes, osmNode{id: id})
		}
		if len(o.nodes) > maxRoadNodes || len(o.ways) > maxRoads {
			return errors.New("more roads than a county has: cut the file to the county first")
		}
		o.ways = append(o.ways, osmWay{w.id, tags, w.refs})
		return nil
	})
}

func (o *osmRoads) sortNodes() {
	slices.SortFunc(o.nodes, func(a, b osmNode) int { return cmp.Compare(a.id, b.id) })
	o.nodes = slices.CompactFunc(o.nodes, func(a, b osmNode) bool { return a.id == b.id })
}

func (o *osmRoads) find(id int64) *osmNode {
	i, ok := slices.BinarySearchFunc(o.nodes, id, func(n osmNode, id int64) int { return cmp.Compare(n.id, id) })
	if !ok {
		return nil
	}
	return &o.nodes[i]
}

func (o *osmRoads) takeNodes(b *primitives) error {
	return b.eachNode(func(id int64, lat, lon float64) {
		if n := o.find(id); n != nil {
			n.p, n.known = orb.Point{lon, lat}, true
		}
	})
}

// line gives a way its places. Where an extract was cut, nodes are missing: the
// way then falls into the parts that are there.
func (o *osmRoads) line(w osmWay) roadLine {
	l := roadLine{id: "w" + strconv.FormatInt(w.id, 10), tags: w.tags}
	var part orb.LineString
	end := func() {
		switch err := checkLine(part); {
		case err == nil:
			l.parts = append(l.parts, part)
		case !errors.Is(err, errOnePlace):
			l.fault = err.Error()
		}
		part = nil
	}
	for _, id := range w.refs {
		n := o.find(id)
		if n == nil || !n.known {
			end()
			continue
		}
		if !geo.OnEarth(n.p) {
			l.fault = fmt.Sprintf("node %d: %v, %v is no place on earth", id, n.p[0], n.p[1])
			return l
		}
		part = append(part, n.p)
	}
	if end(); len(l.parts) == 0 && l.fault == "" {
		l.fault = "fewer than two different places: its nodes are not in the file"
	}
	return l
}
