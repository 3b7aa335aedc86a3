// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/internal/pgtest"
	"onemap/migrations"
	"onemap/store"
)

func TestPlacesAreSavedOnceAndRead(t *testing.T) {
	t.Parallel()
	db := opened(t, pgtest.URL(t), "")
	save := func(batch ...store.Place) map[store.PlaceKey]bool {
		t.Helper()
		var written map[store.PlaceKey]bool
		if err := db.InTx(t.Context(), func(tx pgx.Tx) (err error) {
			if written, err = store.SavePlaces(t.Context(), tx, time.Now(), batch); err != nil {
				return err
			}
			_, err = store.SavePlaces(t.Context(), tx, time.Now(), nil) // twice in one transaction
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return written
	}
	a := store.Place{
		Source: "s", ExternalID: "1", Kind: "place", Name: "卫生院", Aliases: []string{"医院", "a,b\"c"}, Address: "人民路1号", Class: "医疗", AdminCode: "150623",
		Root: "C", Point: orb.Point{107.2, 38.4}, Raw: geo.Raw{Lon: 107.206, Lat: 38.4001, Datum: geo.DatumGCJ02},
	}
	b := a
	b.ExternalID, b.Name = "2", "学校"
	old := b
	old.Name = "老学校"
	if got := save(a, old, b); !reflect.DeepEqual(got, map[store.PlaceKey]bool{a.Key(): true, b.Key(): true}) {
		t.Errorf("first: %v", got)
	}
	if got := save(a, b); len(got) != 0 {
		t.Errorf("the same again: %v", got)
	}
	b.Raw.Lon, b.Point = 107.3, orb.Point{107.294, 38.4}
	if got := save(a, b); !reflect.DeepEqual(got, map[store.PlaceKey]bool{b.Key(): true}) {
		t.Errorf("one moved: %v", got)
	}
	b.Point = orb.Point{107.295, 38.4} // the same numbers, converted in another way
	if got := save(b); !got[b.Key()] {
		t.Error("a point that differs is not written")
	}
	got, err := db.Places(t.Context(), auth.System("test"))
	if err != nil || len(got) != 2 || got[0].ID == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	got[0].ID, got[1].ID = 0, 0
	if b.Aliases = a.Aliases; !reflect.DeepEqual(got, []store.Place{a, b}) {
		t.Errorf("read %+v\nwant %+v", got, []store.Place{a, b})
	}
	if _, err := db.Places(t.Context(), auth.Scope{}); err == nil {
		t.Error("places are read in a scope that sees nothing")
	}
}

// TestPlacesOfTwoListsMayNumberAlike: the same source and number is another place in
// another county, and so is an address.
func TestPlacesOfTwoListsMayNumberAlike(t *testing.T) {
	t.Parallel()
	db := opened(t, pgtest.URL(t), "")
	a := store.Place{
		Source: "s", ExternalID: "1", Kind: "place", Name: "卫生院", Aliases: []string{}, Root: "C", Point: orb.Point{107.2, 38.4},
		Raw: geo.Raw{Lon: 107.2, Lat: 38.4, Datum: geo.DatumWGS84},
	}
	b, c := a, a
	b.Kind, b.Name = "address", "人民路1号"
	c.Root, c.Name = "D", "学校"
	want := []store.Place{a, b, c}
	for _, p := range want {
		if err := db.InTx(t.Context(), func(tx pgx.Tx) error {
			written, err := store.SavePlaces(t.Context(), tx, time.Now(), []store.Place{p})
			if !reflect.DeepEqual(written, map[store.PlaceKey]bool{p.Key(): true}) {
				t.Errorf("%s: %v", p.Name, written)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.Places(t.Context(), auth.System("test"))
	for i := range got {
		got[i].ID = 0
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, want)
	}
}

// TestTheDemosAddressesMoveOver: what stood in the address table of an older schema
// is found among the places, but for rows that cannot be one.
func TestTheDemosAddressesMoveOver(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db := opened(t, url, "")
	if _, err := db.Pool.Exec(t.Context(), "DROP OWNED BY CURRENT_USER CASCADE"); err != nil { // all but the extension
		t.Fatal(err)
	}
	older := with(t, "") // the schema before the migration of places
	for name := range older {
		if name >= "00005" {
			delete(older, name)
		}
	}
	if err := store.Migrate(t.Context(), url, older); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO grid_version (root_code) VALUES ('150623')",
		"INSERT INTO address (ext_id, std, geom) VALUES ('demo-address-00001', '演示旗演东镇12号', ST_SetSRID(ST_MakePoint(107.2, 38.4), 4326))",
		"INSERT INTO address (ext_id, std, geom) VALUES ('empty', '', ST_SetSRID(ST_MakePoint(107.2, 38.4), 4326)), ('', 'x', ST_SetSRID(ST_MakePoint(107.2, 38.4), 4326))",
		"INSERT INTO address (ext_id, std, geom) VALUES (repeat('x', 129), 'x', ST_SetSRID(ST_MakePoint(107.2, 38.4), 4326)), ('far', 'x', ST_SetSRID(ST_MakePoint(200, 38.4), 4326))",
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := store.Migrate(t.Context(), url, migrations.FS); err != nil {
		t.Fatal(err)
	}
	got, err := db.Places(t.Context(), auth.System("test"))
	if err != nil || len(got) != 1 || got[0].Name != "演示旗演东镇12号" || got[0].Kind != "address" || got[0].Root != "150623" || got[0].ExternalID != "demo-address-00001" || got[0].Point != (orb.Point{107.2, 38.4}) {
		t.Errorf("%+v, %v", got, err)
	}
}
