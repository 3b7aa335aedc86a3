// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Kinds of shapes in a .shp ("ESRI Shapefile Technical Description", 1998). The
// kinds with heights (Z) are these and 10, those with measures (M) these and 20.
const (
	shpNull       = 0
	shpPoint      = 1
	shpLine       = 3
	shpPolygon    = 5
	shpMultiPoint = 8
	shpMultiPatch = 31
)

// maxPieces is how many pieces a line may have.
const maxPieces = 100_000

// shpKinds names what a shape is, without heights and measures.
var shpKinds = map[int32]string{
	shpNull: "nothing", shpPoint: "a point", shpLine: "a line", shpPolygon: "a polygon", shpMultiPoint: "points",
}

// shpShape is one record of a .shp: points in the numbers of the file, Z and M
// values left out.
type shpShape struct {
	kind  int32         // one of shpKinds
	parts [][]orb.Point // rings of a polygon, pieces of a line; one part for points
	z, m  bool          // heights and measures were left out
	fault string        // why the shape can't be used
}

// shpReader reads the records of a .shp in the order they lie in.
//
//	header 100 bytes: 9994, length in words, 1000, kind, boxes
//	record: number and length in words (big end first), then
//	  kind, box, number of parts and points, first point of each part, points
type shpReader struct {
	in   io.Reader
	left int64 // bytes after what was read, as the header says
	kind int32 // of all shapes but null ones
	n    int32 // records read
	buf  bytes.Buffer
}

// newShpReader reads the header. size is the number of bytes of the .shp.
func newShpReader(in io.Reader, size int64) (*shpReader, error) {
	var h [100]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return nil, fmt.Errorf("the .shp has no whole header: %w", err)
	}
	if code := binary.BigEndian.Uint32(h[0:]); code != 9994 {
		return nil, fmt.Errorf("the .shp begins with %d, not 9994: it is no Shapefile", code)
	}
	r := &shpReader{in: in, kind: int32(binary.LittleEndian.Uint32(h[32:]))}
	length := 2 * int64(binary.BigEndian.Uint32(h[24:]))
	if length < 100 || length > size {
		return nil, fmt.Errorf("the .shp has %d bytes and says it has %d: copy it again", size, length)
	}
	if size-length >= 12 { // a record has 12 bytes at least
		return nil, fmt.Errorf("the .shp has %d bytes and says it has only %d, so shapes would be lost: open it in a GIS and save it anew", size, length)
	}
	r.left = length - 100
	if _, _, _, err := plainKind(r.kind); err != nil {
		return nil, err
	}
	return r, nil
}

// plainKind takes Z and M off a kind.
func plainKind(kind int32) (plain int32, z, m bool, err error) {
	plain, z, m = kind, kind > 10 && kind < 20, kind > 20 && kind < 30
	if z {
		plain -= 10
	}
	if m {
		plain -= 20
	}
	switch {
	case kind == shpMultiPatch:
		err = errors.New("the Shapefile holds multipatches (bodies in space): save them as polygons")
	case shpKinds[plain] == "" || plain == shpNull && kind != shpNull:
		err = fmt.Errorf("the Shapefile holds shapes of the unknown kind %d", kind)
	}
	return plain, z, m, err
}

// next returns the next record, io.EOF after the last. A shape that can't be used
// comes with its fault and reading goes on; an error ends it.
func (r *shpReader) next() (shpShape, error) {
	if r.left == 0 {
		return shpShape{}, io.EOF
	}
	var h [8]byte
	if r.left < 8 {
		return shpShape{}, fmt.Errorf("the .shp has %d bytes behind record %d that are no record", r.left, r.n)
	}
	if _, err := io.ReadFull(r.in, h[:]); err != nil {
		return shpShape{}, fmt.Errorf("the .shp breaks off after record %d: %w", r.n, err)
	}
	r.left -= 8
	number, length := int32(binary.BigEndian.Uint32(h[0:])), 2*int64(binary.BigEndian.Uint32(h[4:]))
	switch {
	case number != r.n+1:
		return shpShape{}, fmt.Errorf("record %d of the .shp has the number %d: it was mended by some program; open it in a GIS and save it anew", r.n+1, number)
	case length < 4 || length > r.left:
		return shpShape{}, fmt.Errorf("record %d of the .shp has %d bytes, %d are left: copy it again", number, length, r.left)
	}
	r.n, r.left = number, r.left-length
	r.buf.Reset()
	if _, err := io.CopyN(&r.buf, r.in, length); err != nil {
		return shpShape{}, fmt.Errorf("the .shp breaks off in record %d: %w", number, err)
	}
	s, err := r.shape(r.buf.Bytes())
	if err != nil {
		return s, fmt.Errorf("record %d of the .shp: %w", number, err)
	}
	if s.fault == "" {
		s.fault = s.notNumbers()
	}
	return s, nil
}

var errShort = errors.New("the record is shorter than the shape in it")

// shape decodes the content of a record.
func (r *shpReader) shape(b []byte) (shpShape, error) {
	kind := int32(binary.LittleEndian.Uint32(b))
	var s shpShape
	var err error
	if s.kind, s.z, s.m, err = plainKind(kind); err != nil {
		return s, err
	}
	if kind != shpNull && kind != r.kind {
		return s, fmt.Errorf("a shape of kind %d in a file of kind %d", kind, r.kind)
	}
	b = b[4:]
	switch s.kind {
	case shpNull:
		return s, nil
	case shpPoint:
		if len(b) < 16 {
			return s, errShort
		}
		s.parts = [][]orb.Point{shpPoints(b, 1)}
		return s, nil
	case shpMultiPoint:
		if len(b) < 36 {
			return s, errShort
		}
		n := int64(binary.LittleEndian.Uint32(b[32:]))
		if int64(len(b)) < 36+16*n {
			return s, errShort
		}
		s.parts = [][]orb.Point{shpPoints(b[36:], int(n))}
		return s, nil
	}
	if len(b) < 40 {
		return s, errShort
	}
	parts, points := int64(binary.LittleEndian.Uint32(b[32:])), int64(binary.LittleEndian.Uint32(b[36:]))
	switch {
	case parts > points: // each has one at least
		return s, fmt.Errorf("it has %d parts of %d points", parts, points)
	case int64(len(b)) < 40+4*parts+16*points:
		return s, errShort
	case s.kind == shpPolygon:
		if err := tooLarge(int(parts), int(points), geo.BoundaryLimits); err != nil {
			s.fault = err.Error()
			return s, nil
		}
	case parts > maxPieces:
		s.fault = fmt.Sprintf("the line has %d pieces, more than the limit of %d", parts, maxPieces)
		return s, nil
	}
	return s, s.split(b[40:], int(parts), int(points))
}

// split cuts the points of a line or polygon into its parts.
func (s *shpShape) split(b []byte, parts, points int) error {
	all := shpPoints(b[4*parts:], points)
	first := make([]int, parts+1)
	for i := range parts {
		first[i] = int(binary.LittleEndian.Uint32(b[4*i:]))
	}
	first[parts] = points
	for i := range parts {
		if i == 0 && first[i] != 0 || first[i] > first[i+1] {
			return fmt.Errorf("part %d begins at point %d of %d", i+1, first[i]+1, points)
		}
		s.parts = append(s.parts, all[first[i]:first[i+1]:first[i+1]])
	}
	return nil
}

func shpPoints(b []byte, n int) []orb.Point {
	out := make([]orb.Point, n)
	for i := range out {
		out[i] = orb.Point{
			math.Float64frombits(binary.LittleEndian.Uint64(b[16*i:])),
			math.Float64frombits(binary.LittleEndian.Uint64(b[16*i+8:])),
		}
	}
	return out
}

// notNumbers names the first coordinate that is no number.
func (s shpShape) notNumbers() string {
	for i, part := range s.parts {
		for k, p := range part {
			if math.IsNaN(p[0]+p[1]) || math.IsInf(p[0], 0) || math.IsInf(p[1], 0) {
				return fmt.Sprintf("ring %d, point %d (%v, %v) is no place", i+1, k+1, p[0], p[1])
			}
		}
	}
	return ""
}
