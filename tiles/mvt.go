// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"encoding/binary"
	"math"
)

// Fields of the vector tile format, version 2.1: number<<3 | wire type.
const (
	tileLayer       = 3<<3 | 2
	layerName       = 1<<3 | 2
	layerFeature    = 2<<3 | 2
	layerKey        = 3<<3 | 2
	layerValue      = 4<<3 | 2
	layerExtent     = 5 << 3
	layerVersion    = 15 << 3
	featureID       = 1 << 3
	featureTags     = 2<<3 | 2
	featureType     = 3 << 3
	featureGeometry = 4<<3 | 2
	valueString     = 1<<3 | 2
	valueDouble     = 3<<3 | 1
	valueUint       = 5 << 3
	valueSint       = 6 << 3
	valueBool       = 7 << 3

	typePoint   = 1
	typeLine    = 2
	typePolygon = 3

	moveOnce  = 1<<3 | 1 // the command MoveTo, once
	lineTo    = 2        // LineTo; how often is put before it
	closePath = 1<<3 | 7
)

// layerWriter writes a source layer as bytes, without a value made for each
// feature. Values are numbered as they come; it is used again for the next tile.
type layerWriter struct {
	name     string // of layers that are parts of a sheet, as keys
	keys     []string
	count    int // features
	features []byte
	values   []byte
	numbers  map[uint64]uint32 // of a value: its place among the values
	texts    map[string]uint32 // of those that came by word
	reals    map[uint64]uint32 // of those that came by real, by their bits
	tags     []uint32          // of the next feature that put writes
	one      []byte            // the feature being written
}

func (l *layerWriter) reset() {
	l.count, l.tags = 0, l.tags[:0]
	l.features, l.values = l.features[:0], l.values[:0]
	if l.numbers == nil {
		l.numbers, l.texts, l.reals = map[uint64]uint32{}, map[string]uint32{}, map[uint64]uint32{}
	}
	clear(l.numbers)
	clear(l.texts)
	clear(l.reals)
}

// next is the place of the next value.
func (l *layerWriter) next() uint32 { return uint32(len(l.numbers) + len(l.texts) + len(l.reals)) }

// number is the place of a whole number among the values.
func (l *layerWriter) number(n uint64) uint32 {
	i, known := l.numbers[n]
	if !known {
		i = l.next()
		l.numbers[n] = i
		l.values = append(l.values, layerValue, byte(1+sizeOf(n)), valueUint)
		l.values = binary.AppendUvarint(l.values, n)
	}
	return i
}

// text is the place of a text among the values. name tells it from every other
// value of the layer, number or text, and is above every number given.
func (l *layerWriter) text(name uint64, s string) uint32 {
	i, known := l.numbers[name]
	if !known {
		i = l.next()
		l.numbers[name] = i
		l.addText(s)
	}
	return i
}

func (l *layerWriter) addText(s string) {
	l.values = append(l.values, layerValue)
	l.values = binary.AppendUvarint(l.values, uint64(1+sizeOf(uint64(len(s)))+len(s)))
	l.values = appendText(append(l.values, valueString), s)
}

// word gives the next feature a text under the key in that place.
func (l *layerWriter) word(key uint32, s string) {
	i, known := l.texts[s]
	if !known {
		i = l.next()
		l.texts[s] = i
		l.addText(s)
	}
	l.tags = append(l.tags, key, i)
}

// whole gives the next feature a whole number, that may be negative, under the key in that place.
func (l *layerWriter) whole(key uint32, n int32) {
	name := 1<<32 | uint64(uint32(n)) // another than number's
	i, known := l.numbers[name]
	if !known {
		i = l.next()
		l.numbers[name] = i
		v := zigzag(n)
		l.values = binary.AppendUvarint(append(l.values, layerValue, byte(1+sizeOf(v)), valueSint), v)
	}
	l.tags = append(l.tags, key, i)
}

// real gives the next feature a number, exactly, under the key in that place.
func (l *layerWriter) real(key uint32, v float64) {
	bits := math.Float64bits(v)
	i, known := l.reals[bits]
	if !known {
		i = l.next()
		l.reals[bits] = i
		l.values = binary.LittleEndian.AppendUint64(append(l.values, layerValue, 1+8, valueDouble), bits)
	}
	l.tags = append(l.tags, key, i)
}

// truth gives the next feature yes or no under the key in that place.
func (l *layerWriter) truth(key uint32, yes bool) {
	v := byte(0)
	if yes {
		v = 1
	}
	name := 1<<62 | uint64(v) // another than number's and whole's
	i, known := l.numbers[name]
	if !known {
		i = l.next()
		l.numbers[name] = i
		l.values = append(l.values, layerValue, 2, valueBool, v)
	}
	l.tags = append(l.tags, key, i)
}

// put writes a feature with the tags it was given.
func (l *layerWriter) put(id int64, kind byte, geometry []byte) {
	l.write(uint64(id), kind, geometry, l.tags)
	l.tags = l.tags[:0]
}

// add writes a point. id 0 is left out; tags are places of keys and values in turn.
func (l *layerWriter) add(id uint64, x, y int32, tags ...uint32) {
	var room [1 + 2*binary.MaxVarintLen32]byte
	l.write(id, typePoint, appendDot(room[:0], unit{x, y}), tags)
}

func (l *layerWriter) write(id uint64, kind byte, geometry []byte, tags []uint32) {
	f := l.one[:0]
	if id != 0 {
		f = binary.AppendUvarint(append(f, featureID), id)
	}
	size := 0
	for _, t := range tags {
		size += sizeOf(uint64(t))
	}
	f = binary.AppendUvarint(append(f, featureTags), uint64(size))
	for _, t := range tags {
		f = binary.AppendUvarint(f, uint64(t))
	}
	f = binary.AppendUvarint(append(f, featureType, kind, featureGeometry), uint64(len(geometry)))
	f = append(f, geometry...)
	l.one = f
	l.count++
	l.features = append(l.features, layerFeature)
	l.features = append(binary.AppendUvarint(l.features, uint64(len(f))), f...)
}

// unit is a place in a tile's own units.
type unit struct{ x, y int32 }

// appendDot puts the geometry of a point behind dst.
func appendDot(dst []byte, u unit) []byte {
	dst = binary.AppendUvarint(append(dst, moveOnce), zigzag(u.x))
	return binary.AppendUvarint(dst, zigzag(u.y))
}

// pen writes the geometry of lines and polygons, whose places are told by how far
// they are from the one before.
type pen struct {
	out []byte
	at  unit
}

func (p *pen) reset() { p.out, p.at = p.out[:0], unit{} }

func (p *pen) line(us []unit) {
	for i, u := range us {
		switch i {
		case 0:
			p.out = append(p.out, moveOnce)
		case 1:
			p.out = binary.AppendUvarint(p.out, uint64(len(us)-1)<<3|lineTo)
		}
		p.out = binary.AppendUvarint(p.out, zigzag(u.x-p.at.x))
		p.out = binary.AppendUvarint(p.out, zigzag(u.y-p.at.y))
		p.at = u
	}
}

// ring writes a ring, given without its first place at the end again.
func (p *pen) ring(us []unit) {
	p.line(us)
	p.out = append(p.out, closePath)
}

// appendTo puts the layer behind dst; one without a feature is left out.
func (l *layerWriter) appendTo(dst []byte, name string, keys ...string) []byte {
	if len(l.features) == 0 {
		return dst
	}
	head := appendText([]byte{layerName}, name)
	for _, k := range keys {
		head = appendText(append(head, layerKey), k)
	}
	head = binary.AppendUvarint(append(head, layerExtent), Extent)
	head = append(head, layerVersion, 2)
	dst = binary.AppendUvarint(append(dst, tileLayer), uint64(len(head)+len(l.features)+len(l.values)))
	return append(append(append(dst, head...), l.features...), l.values...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// zigzag puts small negative numbers into few bytes.
func zigzag(n int32) uint64 { return uint64(uint32(n<<1) ^ uint32(n>>31)) }

// sizeOf is how many bytes a number takes.
func sizeOf(n uint64) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
