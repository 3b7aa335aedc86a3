// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo/grid"
)

// GridVersion is one boundary set of one county.
type GridVersion struct {
	ID         int32
	Root       string // the county's code
	Name       string // the county's name in this set
	State      string // draft, enacted or retired
	MadeUp     bool   // drawn by a program, not surveyed
	Note       string
	Grids      int
	CreatedAt  time.Time
	EnactedAt  *time.Time
	RetiredAt  *time.Time
	Base       int32 // the version in force when it came in; 0 for none
	Replaced   int32 // the version it took the place of; 0 for none
	Undoes     int32 // the version whose redraw it takes back; 0 for none
	NumberedAt *time.Time
	Plan       *GridPlan
}

// GridPlan is an enactment to come, or one that failed.
type GridPlan struct {
	At           time.Time
	Made         time.Time // when it was planned; with At it tells a plan from the one that took its place
	By           string    // id of the actor who planned it
	Reason       string
	RequestID    string
	Tolerance    float64 // largest share of a fault; 0 is the default Tolerance
	AcceptFaults bool    // somebody has seen the faults and wants it all the same
	Failed       string  // why it could not be carried out; it is not tried again
}

// Why a version is not enacted, cancelled or undone.
var (
	ErrNotDraft   = errors.New("only a draft can be enacted")
	ErrBase       = errors.New("the boundaries in force are no longer those this draft came in over: import the set again and look at its preview")
	ErrNotInForce = errors.New("only the version in force can be undone")
	ErrNothing    = errors.New("it took the place of no other version: there is nothing to go back to")
	ErrNoPlan     = errors.New("no enactment of this version is planned")
)

// Counties says of which counties a scope may see the boundary sets. A set is a
// whole county's: who sees a part of the county sees none. Of a county that never
// had a set in force only who reaches every county sees the drafts.
type Counties struct {
	Scope auth.Scope
	Every bool // counties to come as well
}

const selectVersions = `SELECT v.id, v.root_code, coalesce((SELECT g.name FROM grid g WHERE g.version_id = v.id AND g.level = 1), ''), v.state,
	v.made_up, v.note, (SELECT count(*) FROM grid g WHERE g.version_id = v.id), v.created_at, v.enacted_at, v.retired_at, coalesce(v.base_id, 0),
	coalesce(v.replaced_id, 0), coalesce(v.undoes_id, 0), v.numbered_at, p.enact_at, p.planned_at, coalesce(p.planned_by, ''), coalesce(p.reason, ''),
	coalesce(p.request_id, ''), coalesce(p.tolerance, 0), coalesce(p.accept_faults, false), coalesce(p.failed, '')
	FROM grid_version v LEFT JOIN grid_plan p ON p.version_id = v.id WHERE `

func scanVersion(row pgx.CollectableRow) (v GridVersion, err error) {
	var p GridPlan
	var at, made *time.Time
	err = row.Scan(&v.ID, &v.Root, &v.Name, &v.State, &v.MadeUp, &v.Note, &v.Grids, &v.CreatedAt, &v.EnactedAt, &v.RetiredAt, &v.Base,
		&v.Replaced, &v.Undoes, &v.NumberedAt, &at, &made, &p.By, &p.Reason, &p.RequestID, &p.Tolerance, &p.AcceptFaults, &p.Failed)
	if at != nil {
		p.At, p.Made = *at, *made
		v.Plan = &p
	}
	return v, err
}

// inCounties adds the condition that a version's county, by its root code, is
// among those c may see.
func (q *query) inCounties(c Counties, root string) *query {
	if c.Every {
		return q.add(" true ")
	}
	return q.add(" EXISTS (SELECT FROM grid cg JOIN grid_version cv ON cv.id = cg.version_id WHERE cg.level = 1 AND cg.no IS NOT NULL AND cv.root_code = ").
		add(root).add(" AND ").inScope(c.Scope, "cg.no").add(") ")
}

// GridVersions lists the boundary sets of the counties in scope, the newest first.
func GridVersions(ctx context.Context, db Querier, c Counties) ([]GridVersion, error) {
	var q query
	q.add(selectVersions).inCounties(c, "v.root_code").add(" ORDER BY v.id DESC")
	rows, err := db.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: grid versions: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanVersion)
	if err != nil {
		return nil, fmt.Errorf("store: grid versions: %w", err)
	}
	return out, nil
}

// FindGridVersion returns one boundary set, or ErrNotFound when there is none or
// its county is out of scope.
func FindGridVersion(ctx context.Context, db Querier, c Counties, id int32) (GridVersion, error) {
	var q query
	q.add(selectVersions+"v.id = ? AND", id).inCounties(c, "v.root_code")
	rows, err := db.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return GridVersion{}, fmt.Errorf("store: grid version %d: %w", id, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanVersion)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return GridVersion{}, fmt.Errorf("store: grid version %d: %w", id, err)
	}
	return v, nil
}

// VersionInForce is the version of a county that is enacted, 0 for none.
func VersionInForce(ctx context.Context, db Querier, root string) (int32, error) {
	var id int32
	err := db.QueryRow(ctx, "SELECT coalesce((SELECT id FROM grid_version WHERE root_code = $1 AND state = 'enacted'), 0)", root).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store: the version in force of %s: %w", root, err)
	}
	return id, nil
}

// Enactable says why v can't be enacted now: it is no draft (ErrNotDraft), or it
// came in over boundaries that are no longer in force (ErrBase).
func (v GridVersion) Enactable(ctx context.Context, db Querier) error {
	if v.State != "draft" {
		return fmt.Errorf("grid version %d is %s: %w", v.ID, v.State, ErrNotDraft)
	}
	now, err := VersionInForce(ctx, db, v.Root)
	if err == nil && now != v.Base {
		err = fmt.Errorf("grid version %d came in over version %d, and version %d is in force: %w", v.ID, v.Base, now, ErrBase)
	}
	return err
}

// Grave are those of faults that are above a tolerance; 0 is the default Tolerance.
func Grave(faults []grid.Fault, tolerance float64) []grid.Fault {
	if tolerance == 0 {
		tolerance = Tolerance
	}
	return slices.DeleteFunc(slices.Clone(faults), func(f grid.Fault) bool { return f.Share <= tolerance })
}

const selectTree = `SELECT g.id, g.version_id, g.level, g.code, g.name, coalesce(g.parent_id, 0), coalesce(g.no, 0), coalesce(g.last_no, 0), g.geom, g.label_pt
	FROM grid g WHERE g.version_id = ANY($1) ORDER BY g.no, g.level, g.code COLLATE "C"`

// treeOf reads the grids of some versions, parents before children.
func treeOf(ctx context.Context, db Querier, versions []int32) (*grid.Tree, error) {
	rows, err := db.Query(ctx, selectTree, versions)
	if err != nil {
		return nil, err
	}
	place := map[int64]int{}
	nodes, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (n grid.Node, err error) {
		var parent int64
		err = r.Scan(&n.ID, &n.Version, &n.Level, &n.Code, &n.Name, &parent, &n.No, &n.Last, &n.Geom, &n.Label)
		n.Parent = -1
		if i, ok := place[parent]; ok {
			n.Parent = i
		}
		place[n.ID] = len(place)
		return n, err
	})
	if err != nil {
		return nil, err
	}
	return grid.NewTree(nodes)
}

// VersionTree returns the whole tree of one version, in force or not, of a county
// among c; of any other it is a tree without grids. The grids of a draft may have no
// numbers yet: a set is seen as a whole or not at all, so no interval is asked.
func (db *DB) VersionTree(ctx context.Context, c Counties, version int32) (*grid.Tree, error) {
	if !c.Every && version != 0 {
		if _, err := FindGridVersion(ctx, db.Pool, c, version); errors.Is(err, ErrNotFound) {
			version = 0
		} else if err != nil {
			return nil, err
		}
	}
	t, err := treeOf(ctx, db.Pool, []int32{version})
	if err != nil {
		return nil, fmt.Errorf("store: the tree of grid version %d: %w", version, err)
	}
	return t, nil
}

// NumbersOf are the grid numbers of a code of a county, in every version.
func (db *DB) NumbersOf(ctx context.Context, root, code string) ([]auth.Interval, error) {
	found, err := db.NumbersOfEach(ctx, root, []string{code})
	return found[code], err
}

// NumbersOfEach are those of several codes, by code.
func (db *DB) NumbersOfEach(ctx context.Context, root string, codes []string) (map[string][]auth.Interval, error) {
	rows, err := db.Pool.Query(ctx, `SELECT g.code, g.no, g.last_no FROM grid g JOIN grid_version v ON v.id = g.version_id
		WHERE g.code = ANY($2) AND v.root_code = $1 AND g.no IS NOT NULL ORDER BY g.no`, root, codes)
	if err != nil {
		return nil, fmt.Errorf("store: numbers of grids of %s: %w", root, err)
	}
	out := map[string][]auth.Interval{}
	var code string
	var iv auth.Interval
	if _, err := pgx.ForEachRow(rows, []any{&code, &iv.Lo, &iv.Hi}, func() error {
		out[code] = append(out[code], iv)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("store: numbers of grids of %s: %w", root, err)
	}
	return out, nil
}
