// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of the format: https://wiki.openstreetmap.org/wiki/PBF_Format, "File
// format". A block is unpacked in memory.
const (
	maxBlobHead = 64 << 10
	maxBlob     = 32 << 20
)

// Numbers of fields in the messages of osmformat.proto and fileformat.proto.
const (
	headType, headSize                         = 1, 3       // BlobHeader
	blobRaw, blobRawSize, blobZlib             = 1, 2, 3    // Blob
	headerFeature                              = 4          // HeaderBlock
	blockStrings, blockGroup, blockGranularity = 1, 2, 17   // PrimitiveBlock
	blockLatOffset, blockLonOffset             = 19, 20     //
	groupNode, groupDense, groupWay            = 1, 2, 3    // PrimitiveGroup
	nodeID, nodeLat, nodeLon                   = 1, 8, 9    // Node, and DenseNodes
	wayID, wayKeys, wayValues, wayRefs         = 1, 2, 3, 8 // Way
)

// understood are the features of a file that this reader can do with.
var understood = map[string]bool{"OsmSchema-V0.6": true, "DenseNodes": true}

// pbfFile reads the blocks of an .osm.pbf file:
//
//	u32 size | BlobHeader | Blob (zlib) | u32 size | BlobHeader | Blob ...
//
// It is our own because the Go library at hand links the C library zlib wherever
// cgo is in use, as it is here.
type pbfFile struct {
	in     io.Reader
	read   int64
	unpack io.ReadCloser // kept from block to block
	packed bytes.Reader
	block  []byte
}

// next returns the type and the content of the next block, which is good until
// the block after it; io.EOF at the end.
func (p *pbfFile) next() (string, []byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(p.in, size[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return "", nil, io.EOF
		}
		return "", nil, p.cutOff(err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxBlobHead {
		return "", nil, fmt.Errorf("no .osm.pbf: the head of a block has %d bytes at byte %d", n, p.read)
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(p.in, head); err != nil {
		return "", nil, p.cutOff(err)
	}
	kind, length := "", uint64(0)
	err := eachField(head, func(f protowire.Number, v uint64, raw []byte) error {
		switch f {
		case headType:
			kind = string(raw)
		case headSize:
			length = v
		}
		return nil
	})
	if err != nil || length > maxBlob {
		return "", nil, fmt.Errorf("no .osm.pbf: the head of the block at byte %d cannot be read", p.read)
	}
	blob := make([]byte, length)
	if _, err := io.ReadFull(p.in, blob); err != nil {
		return "", nil, p.cutOff(err)
	}
	content, err := p.content(blob)
	if err != nil {
		return "", nil, fmt.Errorf("the block at byte %d: %w", p.read, err)
	}
	p.read += 4 + int64(n) + int64(length)
	return kind, content, nil
}

func (p *pbfFile) cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("the file is cut off in the block at byte %d: copy it again", p.read)
	}
	return err
}

// content unpacks a Blob.
func (p *pbfFile) content(blob []byte) ([]byte, error) {
	var plain, packed []byte
	size := uint64(0)
	err := eachField(blob, func(f protowire.Number, v uint64, raw []byte) error {
		switch f {
		case blobRaw:
			plain = raw
		case blobRawSize:
			size = v
		case blobZlib:
			packed = raw
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case plain != nil:
		return plain, nil
	case packed == nil:
		return nil, errors.New("is packed in a way that is not understood: write the file with zlib")
	case size > maxBlob:
		return nil, fmt.Errorf("has %d bytes, more than the format allows", size)
	}
	p.packed.Reset(packed)
	if p.unpack == nil {
		if p.unpack, err = zlib.NewReader(&p.packed); err != nil {
			return nil, err
		}
	} else if err := p.unpack.(zlib.Resetter).Reset(&p.packed, nil); err != nil {
		return nil, err
	}
	p.block = slices.Grow(p.block[:0], int(size)+1)[:size+1] // one more to see the end
	if _, err := io.ReadFull(p.unpack, p.block[:size]); err != nil {
		return nil, fmt.Errorf("is damaged: %w", err)
	}
	switch _, err := io.ReadFull(p.unpack, p.block[size:]); { // checks the sum at the end
	case err == nil:
		return nil, fmt.Errorf("is damaged: it has more than the %d bytes that it says", size)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("is damaged: %w", err)
	}
	return p.block[:size], nil
}

// eachField visits the fields of a message: v of a number, raw of bytes.
func eachField(message []byte, visit func(f protowire.Number, v uint64, raw []byte) error) error {
	for len(message) > 0 {
		f, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var v uint64
		var raw []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			raw, n = protowire.ConsumeBytes(message)
			if n >= 0 && raw == nil {
				raw = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(f, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := visit(f, v, raw); err != nil {
			return err
		}
	}
	return nil
}

// numbers reads a packed list of varints.
func numbers(raw []byte) ([]uint64, error) {
	out := make([]uint64, 0, len(raw))
	for len(raw) > 0 {
		v, n := protowire.ConsumeVarint(raw)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		out, raw = append(out, v), raw[n:]
	}
	return out, nil
}

// differences reads a packed list of signed steps as the sums they lead to.
func differences(raw []byte) ([]int64, error) {
	steps, err := numbers(raw)
	out, sum := make([]int64, len(steps)), int64(0)
	for i, s := range steps {
		sum += protowire.DecodeZigZag(s)
		out[i] = sum
	}
	return out, err
}

// primitives is a PrimitiveBlock whose groups are read when they are asked for.
type primitives struct {
	strings              [][]byte
	groups               [][]byte
	granularity          int64
	latOffset, lonOffset int64
}

func readPrimitives(block []byte) (*primitives, error) {
	b := &primitives{granularity: 100}
	err := eachField(block, func(f protowire.Number, v uint64, raw []byte) error {
		switch f {
		case blockStrings:
			return eachField(raw, func(_ protowire.Number, _ uint64, s []byte) error {
				b.strings = append(b.strings, s)
				return nil
			})
		case blockGroup:
			b.groups = append(b.groups, raw)
		case blockGranularity:
			b.granularity = int64(v)
		case blockLatOffset:
			b.latOffset = int64(v)
		case blockLonOffset:
			b.lonOffset = int64(v)
		}
		return nil
	})
	return b, err
}

// each visits the messages of one kind in all groups.
func (b *primitives) each(kind protowire.Number, visit func(raw []byte) error) error {
	for _, g := range b.groups {
		err := eachField(g, func(f protowire.Number, _ uint64, raw []byte) error {
			if f != kind || raw == nil {
				return nil
			}
			return visit(raw)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// place is a latitude and a longitude of the block in degrees.
func (b *primitives) place(lat, lon int64) (latitude, longitude float64) {
	return 1e-9 * float64(b.latOffset+b.granularity*lat), 1e-9 * float64(b.lonOffset+b.granularity*lon)
}

// eachNode visits the nodes of a block.
func (b *primitives) eachNode(visit func(id int64, lat, lon float64)) error {
	one := func(raw []byte) error {
		var id, lat, lon int64
		err := eachField(raw, func(f protowire.Number, v uint64, _ []byte) error {
			switch f {
			case nodeID:
				id = protowire.DecodeZigZag(v)
			case nodeLat:
				lat = protowire.DecodeZigZag(v)
			case nodeLon:
				lon = protowire.DecodeZigZag(v)
			}
			return nil
		})
		y, x := b.place(lat, lon)
		visit(id, y, x)
		return err
	}
	many := func(raw []byte) error {
		var ids, lats, lons []int64
		err := eachField(raw, func(f protowire.Number, _ uint64, list []byte) (err error) {
			switch f {
			case nodeID:
				ids, err = differences(list)
			case nodeLat:
				lats, err = differences(list)
			case nodeLon:
				lons, err = differences(list)
			}
			return err
		})
		if err == nil && (len(ids) != len(lats) || len(ids) != len(lons)) {
			err = errors.New("nodes without a place")
		}
		if err != nil {
			return err
		}
		for i, id := range ids {
			y, x := b.place(lats[i], lons[i])
			visit(id, y, x)
		}
		return nil
	}
	if err := b.each(groupNode, one); err != nil {
		return err
	}
	return b.each(groupDense, many)
}

// pbfWay is a way as the file has it.
type pbfWay struct {
	id           int64
	keys, values []uint64
	refs         []int64
}

// eachWay visits the ways of a block.
func (b *primitives) eachWay(visit func(w pbfWay) error) error {
	return b.each(groupWay, func(raw []byte) error {
		var w pbfWay
		err := eachField(raw, func(f protowire.Number, v uint64, list []byte) (err error) {
			switch f {
			case wayID:
				w.id = int64(v)
			case wayKeys:
				w.keys, err = numbers(list)
			case wayValues:
				w.values, err = numbers(list)
			case wayRefs:
				w.refs, err = differences(list)
			}
			return err
		})
		if err == nil && len(w.keys) != len(w.values) {
			err = fmt.Errorf("way %d has %d keys and %d values", w.id, len(w.keys), len(w.values))
		}
		if err != nil {
			return err
		}
		return visit(w)
	})
}

// text is a string of the block's table.
func (b *primitives) text(i uint64) (string, error) {
	if i >= uint64(len(b.strings)) {
		return "", errors.New("a tag beyond the table of strings")
	}
	return string(b.strings[i]), nil
}

// checkHeader refuses a file that needs more than this reader can do.
func checkHeader(block []byte) error {
	return eachField(block, func(f protowire.Number, _ uint64, raw []byte) error {
		if f == headerFeature && !understood[string(raw)] {
			return fmt.Errorf("the file needs %q, which is not understood: take an extract without history", raw)
		}
		return nil
	})
}

// eachBlock visits the data of a file.
func eachBlock(in io.Reader, progress func(read int64) error, visit func(*primitives) error) error {
	p := &pbfFile{in: in}
	headed := false
	for {
		kind, content, err := p.next()
		if errors.Is(err, io.EOF) && headed {
			return nil
		}
		if err != nil {
			return err
		}
		switch kind {
		case "OSMHeader":
			headed = true
			err = checkHeader(content)
		case "OSMData":
			if !headed {
				return errors.New("no .osm.pbf: the data come without a header")
			}
			var b *primitives
			if b, err = readPrimitives(content); err == nil {
				err = visit(b)
			}
		}
		if err == nil {
			err = progress(p.read)
		}
		if err != nil {
			return fmt.Errorf("the block before byte %d: %w", p.read, err)
		}
	}
}
