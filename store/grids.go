// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/geo/grid"
)

// Tolerance is the share of a grid that may overlap, lack or lie outside before
// enacting it needs a confirmation.
const Tolerance = 0.001

// FaultsError says that a boundary set has faults that keep it from being
// stored or enacted.
type FaultsError struct {
	Faults []grid.Fault
	What   string // what was refused
}

func (e *FaultsError) Error() string {
	text := fmt.Sprintf("%s: %d faults", e.What, len(e.Faults))
	if len(e.Faults) > 0 {
		text += ", the first: " + e.Faults[0].Text
	}
	return text
}

// LoadTree returns the tree of all enacted grids.
func (db *DB) LoadTree(ctx context.Context) (*grid.Tree, error) {
	versions, err := enactedVersions(ctx, db.Pool)
	if err != nil {
		return nil, err
	}
	t, err := treeOf(ctx, db.Pool, versions)
	if err != nil {
		return nil, fmt.Errorf("store: load the grid tree: %w", err)
	}
	return t, nil
}

// enactedVersions are the versions in force, one a county.
func enactedVersions(ctx context.Context, db Querier) ([]int32, error) {
	var versions []int32
	err := db.QueryRow(ctx, "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM grid_version WHERE state = 'enacted'").Scan(&versions)
	if err != nil {
		return nil, fmt.Errorf("store: grid versions in force: %w", err)
	}
	return versions, nil
}

// SaveDraft stores a boundary set as a new draft version and returns its
// number. madeUp marks boundaries drawn by a program. A set with structural
// faults, or one PostGIS calls invalid, is refused whole with a *FaultsError;
// overlaps and gaps are not looked for here.
func (db *DB) SaveDraft(ctx context.Context, ds []grid.Draft, madeUp bool, note string) (int32, error) {
	if len(ds) == 0 {
		return 0, errors.New("store: a boundary set without a grid")
	}
	if faults := grid.Check(ds); len(faults) > 0 {
		return 0, &FaultsError{Faults: faults, What: "the boundary set cannot be stored"}
	}
	root := ds[slices.IndexFunc(ds, func(d grid.Draft) bool { return d.Level == 1 })].Code
	var version int32
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if err := stageDrafts(ctx, tx, ds); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `INSERT INTO grid_version (root_code, made_up, note, base_id)
			VALUES ($1, $2, $3, (SELECT id FROM grid_version WHERE root_code = $1 AND state = 'enacted')) RETURNING id`, root, madeUp, note).Scan(&version)
		if err != nil {
			return fmt.Errorf("store: new grid version of %s: %w", root, err)
		}
		for level := 1; level <= grid.MaxLevel; level++ {
			_, err := tx.Exec(ctx, `INSERT INTO grid (version_id, level, code, name, parent_id, geom)
				SELECT $1, s.level, s.code, s.name, p.id, s.geom
				FROM draft_grid s LEFT JOIN grid p ON p.version_id = $1 AND p.code = s.parent
				WHERE s.level = $2 ORDER BY s.code COLLATE "C"`, version, level)
			if err != nil {
				return fmt.Errorf("store: grids of level %d of %s: %w", level, root, err)
			}
		}
		return nil
	})
	return version, err
}

// stageDrafts copies a set into a table of this transaction and lets PostGIS
// judge the boundaries before anything else sees them.
func stageDrafts(ctx context.Context, tx pgx.Tx, ds []grid.Draft) error {
	_, err := tx.Exec(ctx, `CREATE TEMP TABLE draft_grid (level smallint, code text, name text, parent text, geom geometry(MultiPolygon, 4326)) ON COMMIT DROP`)
	if err != nil {
		return fmt.Errorf("store: stage grids: %w", err)
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"draft_grid"}, []string{"level", "code", "name", "parent", "geom"},
		pgx.CopyFromSlice(len(ds), func(i int) ([]any, error) {
			d := ds[i]
			return []any{int16(d.Level), string(d.Code), d.Name, string(d.Parent), d.Geom}, nil
		}))
	if err != nil {
		return fmt.Errorf("store: stage grids: %w", err)
	}
	rows, err := tx.Query(ctx, `SELECT code, reason(d), ST_X(location(d)), ST_Y(location(d))
		FROM draft_grid, LATERAL (SELECT ST_IsValidDetail(geom) AS d) v WHERE NOT ST_IsValid(geom) ORDER BY level, code COLLATE "C"`)
	if err != nil {
		return fmt.Errorf("store: judge grids: %w", err)
	}
	faults, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (grid.Fault, error) {
		f := grid.Fault{Kind: grid.FaultInvalid}
		var reason string
		var x, y *float64
		if err := r.Scan(&f.Code, &reason, &x, &y); err != nil {
			return f, err
		}
		f.Text = fmt.Sprintf("grid %s: %s", f.Code, reason)
		if x != nil && y != nil {
			f.At = orb.Point{*x, *y}
			f.Text += fmt.Sprintf(" at %.6f,%.6f", *x, *y)
		}
		return f, nil
	})
	if err != nil {
		return fmt.Errorf("store: judge grids: %w", err)
	}
	if len(faults) > 0 {
		return &FaultsError{Faults: faults, What: "the boundary set cannot be stored"}
	}
	return nil
}

// areaFaults are the three questions about areas. Each answers kind, code,
// other, place, area in m2 and share; pieces below a square metre are rounding.
var areaFaults = map[grid.FaultKind]string{
	grid.FaultOverlap: `SELECT a.code, b.code, ST_PointOnSurface(i.geom), ST_Area(i.geom::geography) AS m2, least(a.area_m2, b.area_m2)
		FROM grid a JOIN grid b ON b.version_id = a.version_id AND b.parent_id = a.parent_id AND b.id > a.id AND b.geom && a.geom,
		LATERAL (SELECT ST_CollectionExtract(ST_Intersection(a.geom, b.geom), 3) AS geom) i
		WHERE a.version_id = $1`,
	grid.FaultGap: `SELECT p.code, '', ST_PointOnSurface(i.geom), ST_Area(i.geom::geography), p.area_m2
		FROM grid p,
		LATERAL (SELECT ST_Union(c.geom) AS geom FROM grid c WHERE c.parent_id = p.id HAVING count(*) > 0) u,
		LATERAL (SELECT ST_CollectionExtract(ST_Difference(p.geom, u.geom), 3) AS geom) i
		WHERE p.version_id = $1`,
	grid.FaultOutsideParent: `SELECT c.code, p.code, ST_PointOnSurface(i.geom), ST_Area(i.geom::geography), c.area_m2
		FROM grid c JOIN grid p ON p.id = c.parent_id,
		LATERAL (SELECT ST_CollectionExtract(ST_Difference(c.geom, p.geom), 3) AS geom) i
		WHERE c.version_id = $1`,
}

var faultTexts = map[grid.FaultKind]string{
	grid.FaultOverlap:       "grids %s and %s overlap by %.0f m2 (%.3f %% of the smaller) at %.6f,%.6f",
	grid.FaultGap:           "grid %s: %sits children leave %.0f m2 (%.3f %%) uncovered at %.6f,%.6f",
	grid.FaultOutsideParent: "grid %s lies outside its parent %s with %.0f m2 (%.3f %%) at %.6f,%.6f",
}

// CheckVersion has PostGIS compare the areas of a stored version: overlaps of
// siblings, gaps between the children of a grid, children outside their parent;
// the largest share first. An exact tiling gives none. The grids of a version never
// change, so it is done once and kept.
func (db *DB) CheckVersion(ctx context.Context, version int32) ([]grid.Fault, error) {
	if faults, known, err := db.KnownFaults(ctx, version); known || err != nil {
		return faults, err
	}
	faults := []grid.Fault{}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'"); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM grid WHERE version_id = $1", version).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("grid version %d: %w", version, ErrNotFound)
		}
		for _, kind := range []grid.FaultKind{grid.FaultOverlap, grid.FaultGap, grid.FaultOutsideParent} {
			found, err := findFaults(ctx, tx, kind, version)
			if err != nil {
				return err
			}
			faults = append(faults, found...)
		}
		slices.SortStableFunc(faults, func(a, b grid.Fault) int { return cmp.Compare(b.Share, a.Share) })
		data, err := json.Marshal(faults)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE grid_version SET faults = $2 WHERE id = $1", version, data)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: check grid version %d: %w", version, err)
	}
	return faults, nil
}

// KnownFaults is what CheckVersion found; known is false when it never looked. A
// version that is not there is ErrNotFound.
func (db *DB) KnownFaults(ctx context.Context, version int32) (faults []grid.Fault, known bool, err error) {
	var raw []byte
	err = db.Pool.QueryRow(ctx, "SELECT faults FROM grid_version WHERE id = $1", version).Scan(&raw)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ErrNotFound
	case err == nil && raw != nil:
		known = true
		err = json.Unmarshal(raw, &faults)
	}
	if err != nil {
		return nil, false, fmt.Errorf("store: faults of grid version %d: %w", version, err)
	}
	return faults, known, nil
}

func findFaults(ctx context.Context, tx pgx.Tx, kind grid.FaultKind, version int32) ([]grid.Fault, error) {
	rows, err := tx.Query(ctx, "SELECT * FROM ("+areaFaults[kind]+") AS f (code, other, at, m2, whole) WHERE m2 >= 1 ORDER BY m2 DESC, code, other", version)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (grid.Fault, error) {
		f := grid.Fault{Kind: kind}
		var whole float64
		err := r.Scan(&f.Code, &f.Other, &f.At, &f.AreaM2, &whole)
		f.Share = f.AreaM2 / max(whole, 1e-9)
		f.Text = fmt.Sprintf(faultTexts[kind], f.Code, f.Other, f.AreaM2, f.Share*100, f.At[0], f.At[1])
		return f, err
	})
}

// ErrOpenIncidents refuses to enact a version past the ledger: incidents that are
// still open would stay in grids that are no longer in force.
var ErrOpenIncidents = errors.New("the county has open incidents, which have to move with the redraw")

// Enact makes a draft version the boundaries of a county that has no open incident
// yet; package ledger enacts every other. Its grids get the next free numbers in
// pre-order, children by code, the version before is retired, and an event tells
// every node to load the tree again. Faults above Tolerance are a *FaultsError.
// Other errors: ErrNotFound, ErrNotDraft, ErrBase, ErrOpenIncidents.
func (db *DB) Enact(ctx context.Context, version int32) error {
	faults, err := db.CheckVersion(ctx, version)
	if err != nil {
		return err
	}
	if grave := Grave(faults, Tolerance); len(grave) > 0 {
		return &FaultsError{Faults: grave, What: fmt.Sprintf("grid version %d is not enacted", version)}
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		v, err := HoldDraft(ctx, tx, version)
		if err != nil {
			return err
		}
		if err := NumberDraft(ctx, tx, v); err != nil {
			return err
		}
		if err := HoldCounty(ctx, tx, v); err != nil {
			return err
		}
		switch open, err := OpenToMove(ctx, tx, v); {
		case err != nil:
			return err
		case len(open) > 0:
			return ErrOpenIncidents
		}
		if err := TellEnacted(ctx, tx, v); err != nil {
			return err
		}
		if err := PutInForce(ctx, tx, v); err != nil {
			return err
		}
		data, err := json.Marshal(map[string]any{"version": v.ID, "before": v.Base, "grids": v.Grids})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO audit_log (actor, action, object, data) VALUES ('system', 'grids.enact', $1, $2)", "grids/"+v.Root, data)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: enact grid version %d: %w", version, err)
	}
	return nil
}
