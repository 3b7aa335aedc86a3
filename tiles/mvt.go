// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import "encoding/binary"

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
	valueUint       = 5 << 3

	typePoint = 1
	moveOnce  = 1<<3 | 1 // the command MoveTo, once
)

// pointLayer writes a layer of points as bytes, without a value made for each
// feature. Values are numbered as they come; it is used again for the next tile.
type pointLayer struct {
	features []byte
	values   []byte
	numbers  map[uint64]uint32 // of a value: its place among the values
	one      []byte            // the feature being written
}

func (l *pointLayer) reset() {
	l.features, l.values = l.features[:0], l.values[:0]
	if l.numbers == nil {
		l.numbers = map[uint64]uint32{}
	}
	clear(l.numbers)
}

// number is the place of a whole number among the values.
func (l *pointLayer) number(n uint64) uint32 {
	i, known := l.numbers[n]
	if !known {
		i = uint32(len(l.numbers))
		l.numbers[n] = i
		l.values = append(l.values, layerValue, byte(1+sizeOf(n)), valueUint)
		l.values = binary.AppendUvarint(l.values, n)
	}
	return i
}

// text is the place of a text among the values. name tells it from every other
// value of the layer, number or text, and is above every number given.
func (l *pointLayer) text(name uint64, s string) uint32 {
	i, known := l.numbers[name]
	if !known {
		i = uint32(len(l.numbers))
		l.numbers[name] = i
		l.values = append(l.values, layerValue)
		l.values = binary.AppendUvarint(l.values, uint64(1+sizeOf(uint64(len(s)))+len(s)))
		l.values = appendText(append(l.values, valueString), s)
	}
	return i
}

// add writes a point. id 0 is left out; tags are places of keys and values in turn.
func (l *pointLayer) add(id uint64, x, y int32, tags ...uint32) {
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
	dx, dy := zigzag(x), zigzag(y)
	f = append(f, featureType, typePoint, featureGeometry, byte(1+sizeOf(dx)+sizeOf(dy)), moveOnce)
	f = binary.AppendUvarint(binary.AppendUvarint(f, dx), dy)
	l.one = f
	l.features = append(l.features, layerFeature)
	l.features = append(binary.AppendUvarint(l.features, uint64(len(f))), f...)
}

// appendTo puts the layer behind dst; one without a feature is left out.
func (l *pointLayer) appendTo(dst []byte, name string, keys ...string) []byte {
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
