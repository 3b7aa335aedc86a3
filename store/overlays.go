// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/geo/grid"
)

// OverlayKinds are what an overlay may be: beats of the police, grids of a
// department, anything else.
var OverlayKinds = []string{"police", "professional", "other"}

// Overlay is a set of areas beside the grid tree of a county.
type Overlay struct {
	Code, Name string
	Kind       string // of OverlayKinds
	Department string // code of the department whose areas they are; "" for none
	Root       string // code of the county
	From, To   string // first and last day, 2026-11-22, of the county's calendar; "" without an end
	Note       string
	Areas      []OverlayArea // by code
}

// OverlayArea is a stored area with what a reader's scope is compared with.
type OverlayArea struct {
	grid.Area
	Label orb.Point // a place inside, for its name
	Grids []int32   // numbers of the enacted grids of its county, of any level, that it has ground in common with
}

// InForce says whether the overlay is in force at a time.
func (o *Overlay) InForce(at time.Time) bool { return o.inForce(Day(at)) }

func (o *Overlay) inForce(day string) bool {
	return (o.From == "" || o.From <= day) && (o.To == "" || day <= o.To)
}

// Day is the county's day at a time, as Overlay has it.
func Day(at time.Time) string { return at.In(calendar.Zone()).Format(time.DateOnly) }

// OverlaySet is all overlays of the database, as of one reading. It never changes.
type OverlaySet struct {
	overlays []Overlay // by county and code
	cover    *grid.Cover
	of       [][2]int32 // of each shape in cover: its overlay and its area there
}

// All returns the overlays by county and code. The caller must not change them.
func (s *OverlaySet) All() []Overlay { return s.overlays }

// OverlayHit is an area that covers a place.
type OverlayHit struct {
	Overlay *Overlay
	Area    *OverlayArea
	OnEdge  bool
}

// At returns the areas in force at a time that cover a place, by county, overlay
// and area; on a border all that touch it.
func (s *OverlaySet) At(p geo.WGS84, at time.Time) []OverlayHit {
	var out []OverlayHit
	day := Day(at)
	for _, h := range s.cover.At(nil, p) {
		o := &s.overlays[s.of[h.Index][0]]
		if o.inForce(day) {
			out = append(out, OverlayHit{o, &o.Areas[s.of[h.Index][1]], h.OnEdge})
		}
	}
	return out
}

// Overlays reads all overlays, in force or not. Each reader's scope is compared
// with the grids of the areas afterwards, so only the server's own loop may ask.
func (db *DB) Overlays(ctx context.Context, s auth.Scope) (*OverlaySet, error) {
	if !s.All() {
		return nil, errors.New("store: overlays are read whole, and cut to a scope afterwards")
	}
	set := &OverlaySet{}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		// of one moment, however long the areas take
		if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '1min'"); err != nil { // thousands of areas over thousands of grids
			return err
		}
		rows, err := tx.Query(ctx, `SELECT o.id, o.code, o.name, o.kind, coalesce(d.code, ''), o.root_code,
			coalesce(to_char(o.valid_from, 'YYYY-MM-DD'), ''), coalesce(to_char(o.valid_to, 'YYYY-MM-DD'), ''), o.note
			FROM overlay o LEFT JOIN department d ON d.id = o.department_id ORDER BY o.root_code COLLATE "C", o.code`)
		if err != nil {
			return err
		}
		place := map[int64]int{}
		set.overlays, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (o Overlay, err error) {
			var id int64
			err = r.Scan(&id, &o.Code, &o.Name, &o.Kind, &o.Department, &o.Root, &o.From, &o.To, &o.Note)
			place[id] = len(place)
			return o, err
		})
		if err != nil {
			return err
		}
		return set.readAreas(ctx, tx, place)
	})
	if err != nil {
		return nil, fmt.Errorf("store: overlays: %w", err)
	}
	var shapes []orb.MultiPolygon
	for i, o := range set.overlays {
		for k, a := range o.Areas {
			shapes, set.of = append(shapes, a.Geom), append(set.of, [2]int32{int32(i), int32(k)})
		}
	}
	set.cover = grid.NewCover(shapes)
	return set, nil
}

// areasSQL reads the areas with the grids they share ground with. Where borders
// alone meet, nothing is shared; ST_Relate says so, but it goes through every side
// of both shapes, for each pair anew. Two tests that PostGIS prepares for a shape it
// is asked of again and again leave it the pairs whose borders meet: grid by grid,
// the areas inside; area by area, the grids inside, and those it covers the middle of.
const areasSQL = `WITH enacted AS MATERIALIZED (
		SELECT g.no, g.geom, v.root_code FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted'
	), inside AS MATERIALIZED (
		SELECT k.id, array_agg(g.no) AS nos FROM enacted g CROSS JOIN LATERAL (
			SELECT a.id FROM overlay_area a JOIN overlay o ON o.id = a.overlay_id AND o.root_code = g.root_code
			WHERE ST_Contains(g.geom, a.geom) OFFSET 0
		) k GROUP BY k.id
	)
	SELECT a.overlay_id, a.code, a.name, coalesce(a.parent, ''), a.geom, a.label_pt,
		coalesce(i.nos, '{}') || ARRAY(SELECT g.no FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' AND v.root_code = o.root_code
			WHERE g.no <> ALL (coalesce(i.nos, '{}')) AND ST_Intersects(a.geom, g.geom)
				AND (ST_Contains(a.geom, g.geom) OR ST_Contains(a.geom, g.label_pt) OR ST_Relate(g.geom, a.geom, 'T********')))
	FROM overlay_area a JOIN overlay o ON o.id = a.overlay_id LEFT JOIN inside i ON i.id = a.id ORDER BY a.overlay_id, a.code`

// readAreas reads the areas with the grids they share ground with.
func (s *OverlaySet) readAreas(ctx context.Context, tx pgx.Tx, place map[int64]int) error {
	rows, err := tx.Query(ctx, areasSQL)
	if err != nil {
		return err
	}
	var id int64
	var a OverlayArea
	_, err = pgx.ForEachRow(rows, []any{&id, &a.Code, &a.Name, &a.Parent, &a.Geom, &a.Label, &a.Grids}, func() error {
		o := &s.overlays[place[id]]
		slices.Sort(a.Grids)
		o.Areas = append(o.Areas, a)
		a = OverlayArea{} // nothing is shared with the next
		return nil
	})
	return err
}

// OverlayImport is an overlay as a file brings it.
type OverlayImport struct {
	Overlay     // Areas and Root "" apart
	Brought     []grid.Area
	Actor, File string // for the audit
}

// OverlayChange says what an import did to the areas.
type OverlayChange struct {
	New                  bool // the overlay was not there before
	Added, Changed, Same int
	Gone                 []string // codes of areas that the import no longer names
}

// overlayLock keeps two imports of overlays apart.
const overlayLock = 0x6f766c79

// maxGoneTold is how many codes of areas that are gone an audit row names.
const maxGoneTold = 200

// ReplaceOverlay stores an overlay in place of the one of its county and code,
// whole or not at all, with an audit row and an event that makes every node read
// the overlays again. Areas keep their ids by their codes. Faults of the areas are
// a *FaultsError. ErrNotFound says that the county or the department is not there.
func (db *DB) ReplaceOverlay(ctx context.Context, in OverlayImport) (OverlayChange, error) {
	var c OverlayChange
	if faults := grid.CheckAreas(in.Brought); len(faults) > 0 {
		return c, &FaultsError{Faults: faults, What: "the overlay cannot be stored"}
	}
	if len(in.Brought) == 0 {
		return c, errors.New("store: an overlay without an area")
	}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		c = OverlayChange{}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", overlayLock); err != nil {
			return err
		}
		ds := make([]grid.Draft, len(in.Brought))
		for i, a := range in.Brought {
			ds[i] = grid.Draft{Code: a.Code, Level: 1, Name: a.Name, Parent: a.Parent, Geom: a.Geom}
		}
		if err := stageDrafts(ctx, tx, ds); err != nil {
			return err
		}
		id, err := saveOverlay(ctx, tx, &in.Overlay, &c)
		if err != nil {
			return err
		}
		if err := saveAreas(ctx, tx, id, &c); err != nil {
			return err
		}
		return tellOverlay(ctx, tx, &in, &c)
	})
	var fe *FaultsError
	if err != nil && !errors.As(err, &fe) {
		err = fmt.Errorf("store: overlay %s: %w", in.Code, err)
	}
	return c, err
}

// saveOverlay writes what is said of an overlay, and returns its id.
func saveOverlay(ctx context.Context, tx pgx.Tx, o *Overlay, c *OverlayChange) (id int64, err error) {
	var known bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM grid_version WHERE root_code = $1 AND state = 'enacted')", o.Root).Scan(&known); err != nil {
		return 0, err
	}
	if !known {
		return 0, fmt.Errorf("county %q: %w", o.Root, ErrNotFound)
	}
	var department *int64
	if o.Department != "" {
		err := tx.QueryRow(ctx, "SELECT id FROM department WHERE code = $1", o.Department).Scan(&department)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, fmt.Errorf("department %q: %w", o.Department, ErrNotFound)
		}
		if err != nil {
			return 0, err
		}
	}
	err = tx.QueryRow(ctx, `INSERT INTO overlay (root_code, code, name, kind, department_id, valid_from, valid_to, note)
		VALUES ($1, $2, $3, $4, $5, nullif($6, '')::date, nullif($7, '')::date, $8)
		ON CONFLICT (root_code, code) DO UPDATE SET name = excluded.name, kind = excluded.kind, department_id = excluded.department_id,
			valid_from = excluded.valid_from, valid_to = excluded.valid_to, note = excluded.note, updated_at = now()
		RETURNING id, xmax = 0`, o.Root, o.Code, o.Name, o.Kind, department, o.From, o.To, o.Note).Scan(&id, &c.New)
	return id, err
}

// saveAreas puts the staged areas in place of an overlay's own.
func saveAreas(ctx context.Context, tx pgx.Tx, id int64, c *OverlayChange) error {
	rows, err := tx.Query(ctx, `DELETE FROM overlay_area a WHERE overlay_id = $1
		AND NOT EXISTS (SELECT FROM draft_grid s WHERE s.code = a.code) RETURNING code`, id)
	if err != nil {
		return err
	}
	if c.Gone, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return err
	}
	slices.Sort(c.Gone)
	var staged int
	err = tx.QueryRow(ctx, `WITH saved AS (
			INSERT INTO overlay_area (overlay_id, code, name, parent, geom)
			SELECT $1, code, name, nullif(parent, ''), geom FROM draft_grid ORDER BY code COLLATE "C"
			ON CONFLICT (overlay_id, code) DO UPDATE SET name = excluded.name, parent = excluded.parent, geom = excluded.geom
			WHERE (overlay_area.name, coalesce(overlay_area.parent, ''), ST_AsEWKB(overlay_area.geom))
				IS DISTINCT FROM (excluded.name, coalesce(excluded.parent, ''), ST_AsEWKB(excluded.geom))
			RETURNING xmax = 0 AS fresh)
		SELECT (SELECT count(*) FROM draft_grid), count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM saved`, id).Scan(&staged, &c.Added, &c.Changed)
	c.Same = staged - c.Added - c.Changed
	return err
}

// tellOverlay writes the audit row and the event.
func tellOverlay(ctx context.Context, tx pgx.Tx, in *OverlayImport, c *OverlayChange) error {
	data, err := json.Marshal(map[string]any{
		"county": in.Root, "file": in.File, "kind": in.Kind, "department": in.Department, "valid_from": in.From, "valid_to": in.To,
		"areas": len(in.Brought), "added": c.Added, "changed": c.Changed, "gone": len(c.Gone), "gone_codes": c.Gone[:min(len(c.Gone), maxGoneTold)],
	})
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue("INSERT INTO audit_log (actor, action, object, data) VALUES ($1, 'overlays.import', $2, $3)", in.Actor, "overlays/"+in.Code, data)
	b.Queue(`INSERT INTO outbox (kind, entity_kind, entity_id, ver, live, occurred_at, after_aud)
		VALUES ('config.changed', 'config', 'overlays', 1, 'none', now(), '{}')`)
	return tx.SendBatch(ctx, b).Close()
}
