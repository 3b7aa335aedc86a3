// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/people"
)

// What a draft does to a grid. Of several, the first of this list is said.
const (
	GridNew     = "new"     // the code is not in force now
	GridGone    = "gone"    // the draft has no such code
	GridMoved   = "moved"   // it hangs below another parent, or on another level
	GridRedrawn = "redrawn" // its border is another, by a square metre or more
	GridRenamed = "renamed"
	GridSame    = "same"
)

// GridChange is what a draft changes about one grid, found by its code. What is not
// on one of the sides is zero there.
type GridChange struct {
	Code                 string
	Name, NameBefore     string
	Level                int
	Parent, ParentBefore string // codes; "" for the county
	Change               string
	Area, AreaBefore     float64 // m2 on the ellipsoid
	Open, OpenBefore     int     // open incidents in it, grids below it included
	Recent, RecentBefore int     // incidents reported in the last RecentDays, likewise
	Workers              int     // who serve this very grid today
}

// RecentDays is how far back a preview counts reports.
const RecentDays = 30

// GridTotals sums a preview up.
type GridTotals struct {
	Before, After                            int // grids
	New, Gone, Redrawn, Renamed, Moved, Same int
	Open                                     int // open incidents of the county
	OpenMoving                               int // of Open: their path changes; OpenLeaving and OpenEntering among them
	OpenLeaving                              int // of Open: in a grid now, outside every grid then
	OpenEntering                             int // of Open: outside every grid now, in one then
	Stranded                                 int // workers all of whose grids are gone: they would serve nothing
}

// GridPiece is a piece of land that another leaf grid gets. "" stands for no leaf.
type GridPiece struct {
	From, To string // codes of leaf grids
	Area     float64
	Geom     orb.Geometry
}

// maxPieces bounds what a map of the changes shows: the largest ones.
const maxPieces = 5000

// GridDiff is what two boundary sets differ in, whatever lies in them. Both never
// change, so it is worked out once.
type GridDiff struct {
	Changes []GridChange // parents before children; without counts
	Pieces  []GridPiece  // the largest first
	Cut     bool         // there are more pieces
}

// DiffGrids has PostGIS compare a draft with the version before it; before 0 is
// none, and everything is new then. Nothing is mended: both sets are stored as
// valid polygons.
func (db *DB) DiffGrids(ctx context.Context, before, draft int32) (*GridDiff, error) {
	d := &GridDiff{}
	err := db.readOnly(ctx, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '2min'"); err != nil {
			return err
		}
		if d.Changes, err = diffGrids(ctx, tx, before, draft); err != nil {
			return err
		}
		d.Pieces, d.Cut, err = diffPieces(ctx, tx, before, draft)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: compare grid versions %d and %d: %w", before, draft, err)
	}
	return d, nil
}

func diffGrids(ctx context.Context, tx pgx.Tx, before, draft int32) ([]GridChange, error) {
	rows, err := tx.Query(ctx, `SELECT coalesce(a.code, b.code), coalesce(a.name, ''), coalesce(b.name, ''), coalesce(a.level, b.level),
		coalesce(ap.code, ''), coalesce(bp.code, ''), coalesce(a.area_m2, 0), coalesce(b.area_m2, 0),
		CASE WHEN b.id IS NULL THEN 'new' WHEN a.id IS NULL THEN 'gone'
			WHEN a.level <> b.level OR ap.code IS DISTINCT FROM bp.code THEN 'moved'
			WHEN NOT a.geom = b.geom AND (abs(a.area_m2 - b.area_m2) >= 1
				OR ST_Area(ST_CollectionExtract(ST_SymDifference(a.geom, b.geom), 3)::geography) >= 1) THEN 'redrawn'
			WHEN a.name <> b.name THEN 'renamed' ELSE 'same' END
		FROM (SELECT * FROM grid WHERE version_id = $2) a FULL JOIN (SELECT * FROM grid WHERE version_id = $1) b ON b.code = a.code
		LEFT JOIN grid ap ON ap.id = a.parent_id LEFT JOIN grid bp ON bp.id = b.parent_id
		ORDER BY coalesce(a.level, b.level), coalesce(a.code, b.code) COLLATE "C"`, before, draft)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (g GridChange, err error) {
		err = r.Scan(&g.Code, &g.Name, &g.NameBefore, &g.Level, &g.Parent, &g.ParentBefore, &g.Area, &g.AreaBefore, &g.Change)
		return g, err
	})
}

// diffPieces are the pieces of leaf area that change hands. Leaves that are the
// same on both sides are not looked at against each other.
func diffPieces(ctx context.Context, tx pgx.Tx, before, draft int32) (out []GridPiece, cut bool, err error) {
	rows, err := tx.Query(ctx, `WITH leaf AS MATERIALIZED (
			SELECT g.version_id, g.code, g.geom, EXISTS (SELECT FROM grid o WHERE o.version_id = CASE g.version_id WHEN $1 THEN $2 ELSE $1 END AND o.code = g.code AND o.geom = g.geom
				AND NOT EXISTS (SELECT FROM grid c WHERE c.parent_id = o.id)) AS same
			FROM grid g WHERE g.version_id IN ($1, $2) AND NOT EXISTS (SELECT FROM grid c WHERE c.parent_id = g.id)
		), piece AS (
			SELECT b.code AS was, a.code AS is, ST_CollectionExtract(ST_Intersection(b.geom, a.geom), 3) AS geom
			FROM leaf b JOIN leaf a ON a.version_id = $2 AND a.geom && b.geom AND a.code <> b.code AND NOT (a.same AND b.same) WHERE b.version_id = $1
			UNION ALL
			SELECT b.code, '', ST_CollectionExtract(ST_Difference(b.geom, u.geom), 3)
			FROM leaf b, LATERAL (SELECT coalesce(ST_Union(a.geom), ST_SetSRID('POLYGON EMPTY'::geometry, 4326)) AS geom FROM leaf a WHERE a.version_id = $2 AND a.geom && b.geom) u
			WHERE b.version_id = $1 AND NOT b.same
			UNION ALL
			SELECT '', a.code, ST_CollectionExtract(ST_Difference(a.geom, u.geom), 3)
			FROM leaf a, LATERAL (SELECT coalesce(ST_Union(b.geom), ST_SetSRID('POLYGON EMPTY'::geometry, 4326)) AS geom FROM leaf b WHERE b.version_id = $1 AND b.geom && a.geom) u
			WHERE a.version_id = $2 AND NOT a.same
		), measured AS (SELECT was, "is", ST_Area(geom::geography) AS m2, geom FROM piece WHERE NOT ST_IsEmpty(geom))
		SELECT was, "is", m2, geom FROM measured WHERE m2 >= 1 ORDER BY m2 DESC, was, "is" LIMIT $3`, before, draft, maxPieces+1)
	if err != nil {
		return nil, false, err
	}
	out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[GridPiece])
	if len(out) > maxPieces {
		return out[:maxPieces], true, err
	}
	return out, false, err
}

// GridPreview is what enacting a draft would change now.
type GridPreview struct {
	Version, Before int32 // Before is 0 where no version is in force
	Totals          GridTotals
	Changes         []GridChange // parents before children
}

// PreviewGrids counts what enacting a draft would do to the incidents and the
// workers of its county, which the caller has found in s. It reads counts alone: no
// incident's id, place or text leaves it. diff is DiffGrids of the version in force and the draft.
func (db *DB) PreviewGrids(ctx context.Context, s auth.Scope, v GridVersion, before int32, diff *GridDiff, now time.Time) (GridPreview, error) {
	p := GridPreview{Version: v.ID, Before: before, Changes: slices.Clone(diff.Changes)}
	fail := func(err error) (GridPreview, error) {
		return GridPreview{}, fmt.Errorf("store: preview grid version %d: %w", v.ID, err)
	}
	county := Counties{Scope: s, Every: true} // v's, which its reader was shown to see
	old, err := db.VersionTree(ctx, county, before)
	if err != nil {
		return fail(err)
	}
	next, err := db.VersionTree(ctx, county, v.ID)
	if err != nil {
		return fail(err)
	}
	p.sumChanges(len(old.Nodes()), len(next.Nodes()))
	at := make(map[string]*GridChange, len(p.Changes))
	for i := range p.Changes {
		at[p.Changes[i].Code] = &p.Changes[i]
	}
	if err := p.countIncidents(ctx, db, s, v.Root, old, next, at, now); err != nil {
		return fail(err)
	}
	if err := p.countWorkers(ctx, db, v, before, at, now); err != nil {
		return fail(err)
	}
	return p, nil
}

func (p *GridPreview) sumChanges(before, after int) {
	t := &p.Totals
	t.Before, t.After = before, after
	by := map[string]*int{GridNew: &t.New, GridGone: &t.Gone, GridMoved: &t.Moved, GridRedrawn: &t.Redrawn, GridRenamed: &t.Renamed, GridSame: &t.Same}
	for _, c := range p.Changes {
		*by[c.Change]++
	}
}

// countIncidents files the open and the recent incidents of the county into both
// trees. An open one stands where it is stored.
func (p *GridPreview) countIncidents(ctx context.Context, db *DB, s auth.Scope, root string, old, next *grid.Tree, at map[string]*GridChange, now time.Time) error {
	var q query
	q.add(`SELECT i.place, i.geom, i.grid_id, i.open, i.reported_at >= ? FROM incident i
		WHERE (i.open OR i.reported_at >= ?) AND `, now.AddDate(0, 0, -RecentDays), now.AddDate(0, 0, -RecentDays)).ofCounty(root, "i.grid_no").add(" AND ").inScope(s, "i.grid_no")
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var place dispatch.PlaceKind
	var point *geo.WGS84
	var gridID int64
	var open, recent bool
	_, err = pgx.ForEachRow(rows, []any{&place, &point, &gridID, &open, &recent}, func() error {
		was, wasIn := filed(old, point)
		if i, ok := old.ByID(gridID); ok && open {
			was, wasIn = old.Path(i), place == dispatch.InGrid
		}
		will, willIn := filed(next, point)
		for _, i := range was {
			if g := at[string(old.Nodes()[i].Code)]; g != nil {
				g.OpenBefore += asCount(open)
				g.RecentBefore += asCount(recent)
			}
		}
		for _, i := range will {
			if g := at[string(next.Nodes()[i].Code)]; g != nil {
				g.Open += asCount(open)
				g.Recent += asCount(recent)
			}
		}
		if !open {
			return nil
		}
		p.Totals.Open++
		switch {
		case wasIn == willIn && slices.Equal(codesOf(old, was), codesOf(next, will)):
			return nil
		case wasIn && !willIn:
			p.Totals.OpenLeaving++
		case !wasIn && willIn:
			p.Totals.OpenEntering++
		}
		p.Totals.OpenMoving++
		return nil
	})
	return err
}

func asCount(b bool) int {
	if b {
		return 1
	}
	return 0
}

// filed is the path of grids a point is kept under, and whether it lies in a grid;
// what lies in none is kept under the county.
func filed(t *grid.Tree, p *geo.WGS84) (path []int, in bool) {
	if p != nil {
		if f := t.Locate(*p); f.Index >= 0 {
			return t.Path(f.Index), true
		}
	}
	return t.Roots(), false
}

func codesOf(t *grid.Tree, path []int) (codes []grid.Code) {
	for _, i := range path {
		codes = append(codes, t.Nodes()[i].Code)
	}
	return codes
}

// ofCounty adds the condition that column is a grid number of a county, in any of
// its versions.
func (q *query) ofCounty(root, column string) *query {
	return q.add("EXISTS (SELECT FROM grid rg JOIN grid_version rv ON rv.id = rg.version_id WHERE rv.root_code = ? AND rg.level = 1 AND ", root).
		add(column).add(" BETWEEN rg.no AND rg.last_no)")
}

// countWorkers counts who serves each grid today, and who would serve none. A
// worker's code may be said to be a county's: it is no other county's then.
func (p *GridPreview) countWorkers(ctx context.Context, db *DB, v GridVersion, before int32, at map[string]*GridChange, now time.Time) error {
	rows, err := db.Pool.Query(ctx, `WITH served AS (
			SELECT w.id, wg.grid_code, wg.root_code, coalesce(wg.root_code, $4) = $4 AS here FROM worker_grid wg JOIN worker w ON w.id = wg.worker_id AND w.active
			WHERE wg.valid_from <= $3 AND (wg.valid_to IS NULL OR wg.valid_to > $3)
		), elsewhere AS (
			SELECT g.code, gv.root_code FROM grid g JOIN grid_version gv ON gv.id = g.version_id AND gv.state = 'enacted' AND gv.root_code <> $4
		)
		SELECT s.grid_code, count(DISTINCT s.id)::int, 0 FROM served s WHERE s.here AND s.grid_code IN (SELECT code FROM grid WHERE version_id IN ($1, $2)) GROUP BY 1
		UNION ALL
		SELECT '', 0, count(*)::int FROM (SELECT s.id FROM served s GROUP BY s.id
			HAVING bool_or(s.here AND s.grid_code IN (SELECT code FROM grid WHERE version_id = $1))
			AND NOT bool_or(s.here AND s.grid_code IN (SELECT code FROM grid WHERE version_id = $2))
			AND NOT bool_or(EXISTS (SELECT FROM elsewhere e WHERE e.code = s.grid_code AND e.root_code = coalesce(s.root_code, e.root_code)))) x`,
		before, v.ID, people.Local(now).Format(time.DateOnly), v.Root)
	if err != nil {
		return err
	}
	var code string
	var n, stranded int
	_, err = pgx.ForEachRow(rows, []any{&code, &n, &stranded}, func() error {
		if g := at[code]; g != nil {
			g.Workers = n
		}
		p.Totals.Stranded += stranded
		return nil
	})
	return err
}

// Worth are the changes somebody has to look at: all but grids that stay as they
// are with the same counts.
func (p GridPreview) Worth() []GridChange {
	return slices.DeleteFunc(slices.Clone(p.Changes), func(g GridChange) bool {
		return g.Change == GridSame && g.Open == g.OpenBefore && g.Recent == g.RecentBefore
	})
}
