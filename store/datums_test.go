// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"onemap/geo"
)

// TestGaussKruegerAgreesWithPostGIS: PROJ inside the database is another writing
// of the same projection. PostGIS wants easting first, whatever the register says.
func TestGaussKruegerAgreesWithPostGIS(t *testing.T) {
	t.Parallel()
	db := open(t)
	rng := rand.New(rand.NewPCG(4, 7))
	worst := 0.0
	for _, k := range []struct {
		first, count int
		zone         geo.Zone
	}{
		{4491, 11, geo.Zone{Width: 6, Number: 13, Prefixed: true}},
		{4502, 11, geo.Zone{Width: 6, Number: 13}},
		{4513, 21, geo.Zone{Width: 3, Number: 25, Prefixed: true}},
		{4534, 21, geo.Zone{Width: 3, Number: 25}},
	} {
		for i := range k.count {
			z, srid := k.zone, k.first+i
			z.Number += i
			var lons, lats []float64
			for n := range 40 {
				off := rng.Float64() - 0.5
				if n < 2 {
					off = float64(n) - 0.5 // the zone's edges
				}
				lons, lats = append(lons, z.Meridian()+off*float64(z.Width)), append(lats, 3+51*rng.Float64())
			}
			rows, err := db.Pool.Query(t.Context(), `SELECT ST_X(g), ST_Y(g) FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS p (lon, lat, n),
				LATERAL (SELECT ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4490), $3::int) AS g) AS t ORDER BY n`, lons, lats, srid)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for ; rows.Next(); n++ {
				var east, north float64
				if err := rows.Scan(&east, &north); err != nil {
					t.Fatal(err)
				}
				p := geo.CGCS2000{lons[n], lats[n]}
				g := p.GaussKruger(z)
				d := math.Hypot(g.East-east, g.North-north)
				worst = max(worst, d)
				if !(d < 1e-3) {
					t.Errorf("EPSG:%d of %v: east %.4f north %.4f, PostGIS says %.4f %.4f", srid, p, g.East, g.North, east, north)
				}
				back, err := geo.Raw{Lon: east, Lat: north, Datum: geo.ZoneDatum(z, false)}.WGS84()
				if err != nil || !(geo.Distance(back, p.WGS84()) < 1e-3) {
					t.Errorf("EPSG:%d: %.4f %.4f is %v, %v; want %v", srid, east, north, back, err, p)
				}
			}
			if err := rows.Err(); err != nil || n != len(lons) {
				t.Fatalf("EPSG:%d: %d rows, %v", srid, n, err)
			}
		}
	}
	t.Logf("at most %.2g m apart", worst)
}

// TestTheSchemaKnowsTheNamesOfDatums keeps the check of the database and the
// names of the program equal.
func TestTheSchemaKnowsTheNamesOfDatums(t *testing.T) {
	t.Parallel()
	db := open(t)
	var check string
	if err := db.Pool.QueryRow(t.Context(), `SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint
		WHERE conrelid = 'incident'::regclass AND conname LIKE '%raw_datum%'`).Scan(&check); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(check, "'"+geo.DatumPattern+"'") {
		t.Errorf("the database checks %s, the program %s", check, geo.DatumPattern)
	}
}
