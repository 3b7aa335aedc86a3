// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/ewkb"
	"github.com/twpayne/go-geom"
	geomewkb "github.com/twpayne/go-geom/encoding/ewkb"

	"onemap/geo"
)

const wgs84SRID = 4326

// registerGeometry teaches a connection the geometry type, so that orb values
// (2D) and go-geom values (also Z and M) go in and out of geometry columns as
// binary EWKB. A database without PostGIS yet is left alone.
func registerGeometry(ctx context.Context, c *pgx.Conn) error {
	var oid, array *uint32
	err := c.QueryRow(ctx, "SELECT to_regtype('geometry')::oid, to_regtype('geometry[]')::oid").Scan(&oid, &array)
	if err != nil {
		return fmt.Errorf("store: find the geometry type: %w", err)
	}
	if oid == nil || array == nil {
		return nil
	}
	t := &pgtype.Type{Name: "geometry", OID: *oid, Codec: geometryCodec{}}
	c.TypeMap().RegisterType(t)
	c.TypeMap().RegisterType(&pgtype.Type{Name: "_geometry", OID: *array, Codec: &pgtype.ArrayCodec{ElementType: t}})
	return nil
}

func connectionGone(err error) bool {
	var ne net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &ne)
}

// geometryCodec is the pgtype.Codec of PostGIS geometry.
type geometryCodec struct{}

func (geometryCodec) FormatSupported(format int16) bool { return format == pgtype.BinaryFormatCode }
func (geometryCodec) PreferredFormat() int16            { return pgtype.BinaryFormatCode }

func (geometryCodec) PlanEncode(_ *pgtype.Map, _ uint32, format int16, value any) pgtype.EncodePlan {
	if format != pgtype.BinaryFormatCode {
		return nil
	}
	switch value.(type) {
	case geo.WGS84, orb.Geometry, geom.T:
		return encodeGeometry{}
	}
	return nil
}

type encodeGeometry struct{}

func (encodeGeometry) Encode(value any, buf []byte) ([]byte, error) {
	var raw []byte
	var err error
	switch v := value.(type) {
	case geo.WGS84:
		return appendPoint(buf, v.Orb()), nil
	case orb.Point:
		return appendPoint(buf, v), nil
	case orb.Geometry:
		raw, err = ewkb.Marshal(v, wgs84SRID)
	case geom.T:
		if v.SRID() != wgs84SRID {
			return nil, fmt.Errorf("store: geometry has SRID %d, want %d", v.SRID(), wgs84SRID)
		}
		raw, err = geomewkb.Marshal(v, binary.LittleEndian)
	}
	if err != nil {
		return nil, fmt.Errorf("store: encode geometry: %w", err)
	}
	return append(buf, raw...), nil
}

// appendPoint writes a little-endian EWKB point with SRID 4326.
func appendPoint(buf []byte, p orb.Point) []byte {
	buf = append(buf, 1)
	buf = binary.LittleEndian.AppendUint32(buf, 1|0x20000000)
	buf = binary.LittleEndian.AppendUint32(buf, wgs84SRID)
	buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(p[0]))
	return binary.LittleEndian.AppendUint64(buf, math.Float64bits(p[1]))
}

func (geometryCodec) PlanScan(_ *pgtype.Map, _ uint32, format int16, target any) pgtype.ScanPlan {
	if format != pgtype.BinaryFormatCode {
		return nil
	}
	switch target.(type) {
	case *geo.WGS84, *orb.Point, *orb.LineString, *orb.MultiPolygon, *orb.Polygon, *orb.Geometry, *geom.T:
		return scanGeometry{}
	}
	return nil
}

type scanGeometry struct{}

func (scanGeometry) Scan(src []byte, target any) error {
	if src == nil {
		return errors.New("store: cannot scan a null geometry into a value")
	}
	if t, ok := target.(*geom.T); ok {
		v, err := geomewkb.Unmarshal(src)
		if err != nil {
			return fmt.Errorf("store: decode geometry: %w", err)
		}
		*t = v
		return nil
	}
	g, err := decodeOrb(src)
	if err != nil {
		return err
	}
	switch t := target.(type) {
	case *orb.Geometry:
		*t = g
		return nil
	case *geo.WGS84:
		if p, ok := g.(orb.Point); ok {
			*t = geo.WGS84(p)
			return nil
		}
	case *orb.Point:
		if p, ok := g.(orb.Point); ok {
			*t = p
			return nil
		}
	case *orb.LineString:
		if l, ok := g.(orb.LineString); ok {
			*t = l
			return nil
		}
	case *orb.Polygon:
		if p, ok := g.(orb.Polygon); ok {
			*t = p
			return nil
		}
	case *orb.MultiPolygon:
		switch p := g.(type) {
		case orb.MultiPolygon:
			*t = p
			return nil
		case orb.Polygon:
			*t = orb.MultiPolygon{p}
			return nil
		}
	}
	return fmt.Errorf("store: cannot scan a %s into %T", g.GeoJSONType(), target)
}

// decodeOrb decodes 2D EWKB. orb reads Z and M values as further points without
// an error, and an empty point as NaN: both are refused here.
func decodeOrb(src []byte) (orb.Geometry, error) {
	if len(src) < 5 {
		return nil, errors.New("store: geometry is cut short")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if src[0] == 0 {
		order = binary.BigEndian
	}
	if order.Uint32(src[1:5])&0xC0000000 != 0 {
		return nil, errors.New("store: geometry has Z or M values: read it as a go-geom value")
	}
	g, _, err := ewkb.Unmarshal(src)
	if err != nil {
		return nil, fmt.Errorf("store: decode geometry: %w", err)
	}
	if p, ok := g.(orb.Point); ok && p[0] != p[0] {
		return nil, errors.New("store: geometry is an empty point")
	}
	return g, nil
}

func (geometryCodec) DecodeDatabaseSQLValue(_ *pgtype.Map, _ uint32, _ int16, src []byte) (driver.Value, error) {
	if src == nil {
		return nil, nil
	}
	return append([]byte(nil), src...), nil
}

func (geometryCodec) DecodeValue(_ *pgtype.Map, _ uint32, _ int16, src []byte) (any, error) {
	if src == nil {
		return nil, nil
	}
	return decodeOrb(src)
}
