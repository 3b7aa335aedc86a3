// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/grid"
)

// Catalogue is the configuration every part of a node needs at hand: the enacted
// grid tree, the categories, the departments, the clocks and the names of this centre. Reads
// are lock-free; Reload swaps all of it at once.
type Catalogue struct {
	db      *DB
	now     atomic.Pointer[Catalog]
	reading chan struct{}       // held by who reads the configuration
	looking chan struct{}       // held by who reads a tree ahead
	mu      sync.Mutex          // guards what follows
	paths   map[int64][]GridRef // paths of grids that are no longer enacted
	ahead   *Catalog            // a tree that is about to be in force
}

// Catalog is one consistent reading of the configuration. It is never changed.
type Catalog struct {
	Tree        *grid.Tree
	versions    []int32 // that Tree is made of
	Categories  map[string]dispatch.Category
	Order       []string         // category codes in order
	Departments map[string]int64 // by name
	DeptNames   map[int64]string
	Centre      Centre
	Clocks      Clocks
	Offers      dispatch.OfferRules
}

// Centre is what this centre calls itself and its levels.
type Centre struct {
	Name   string   `json:"name"`
	Levels []string `json:"levels"` // names of grid levels 1, 2, ...
	Demo   bool     `json:"demo"`   // all data is made up
}

// Level is the local name of grid level n.
func (c Centre) Level(n int) string {
	if n >= 1 && n <= len(c.Levels) {
		return c.Levels[n-1]
	}
	return fmt.Sprint(n)
}

// NewCatalogue loads the configuration.
func NewCatalogue(ctx context.Context, db *DB) (*Catalogue, error) {
	c := &Catalogue{db: db, paths: map[int64][]GridRef{}, reading: make(chan struct{}, 1), looking: make(chan struct{}, 1)}
	return c, c.Reload(ctx)
}

// With is c as it would be with another tree in force. It stays as it is.
func (c *Catalogue) With(t *grid.Tree) *Catalogue {
	n := *c.Now()
	n.Tree, n.versions = t, nil
	w := &Catalogue{db: c.db, paths: map[int64][]GridRef{}, reading: make(chan struct{}, 1), looking: make(chan struct{}, 1)}
	w.now.Store(&n)
	return w
}

// Renew is Reload for whoever found seen to be out of date: of many at a time one
// reads.
func (c *Catalogue) Renew(ctx context.Context, seen *Catalog) error {
	return c.reload(ctx, func() bool { return c.Now() != seen })
}

// Prepare reads the tree that will be in force once a draft is, so that the change
// itself takes no time. Of many who ask for one draft one reads.
func (c *Catalogue) Prepare(ctx context.Context, draft int32) error {
	_, err := c.prepare(ctx, draft)
	return err
}

// TreeToCome is the tree of a draft alone, without those of other counties.
func (c *Catalogue) TreeToCome(ctx context.Context, draft int32) (*grid.Tree, error) {
	ahead, err := c.prepare(ctx, draft)
	if err != nil {
		return nil, err
	}
	if slices.Equal(ahead.versions, []int32{draft}) { // a database of one county
		return ahead.Tree, nil
	}
	return c.db.VersionTree(ctx, Counties{Scope: auth.System("the tree to come"), Every: true}, draft)
}

func (c *Catalogue) prepare(ctx context.Context, draft int32) (*Catalog, error) {
	select {
	case c.looking <- struct{}{}:
		defer func() { <-c.looking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var versions []int32
	err := c.db.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(v.id ORDER BY v.id), '{}') FROM grid_version v, grid_version d
		WHERE d.id = $1 AND (v.id = d.id OR v.state = 'enacted' AND v.root_code <> d.root_code)`, draft).Scan(&versions)
	if err != nil {
		return nil, fmt.Errorf("store: prepare grid version %d: %w", draft, err)
	}
	c.mu.Lock()
	ahead := c.ahead
	c.mu.Unlock()
	if ahead != nil && slices.Equal(ahead.versions, versions) {
		return ahead, nil
	}
	t, err := treeOf(ctx, c.db.Pool, versions)
	if err != nil {
		return nil, fmt.Errorf("store: prepare grid version %d: %w", draft, err)
	}
	ahead = &Catalog{Tree: t, versions: versions}
	c.mu.Lock()
	c.ahead = ahead
	c.mu.Unlock()
	return ahead, nil
}

// tree is the tree in force: one that is at hand, or read anew. The grids of a
// version never change.
func (c *Catalogue) tree(ctx context.Context) (*grid.Tree, []int32, error) {
	versions, err := enactedVersions(ctx, c.db.Pool)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	ahead := c.ahead
	c.mu.Unlock()
	for _, at := range []*Catalog{c.Now(), ahead} {
		if at != nil && slices.Equal(at.versions, versions) {
			return at.Tree, versions, nil
		}
	}
	t, err := treeOf(ctx, c.db.Pool, versions)
	if err != nil {
		return nil, nil, fmt.Errorf("store: load the grid tree: %w", err)
	}
	return t, versions, nil
}

// Now returns the newest configuration.
func (c *Catalogue) Now() *Catalog { return c.now.Load() }

// Reload reads the configuration again. On an error the old one stays.
func (c *Catalogue) Reload(ctx context.Context) error {
	return c.reload(ctx, func() bool { return false })
}

// reload reads the configuration, one at a time, unless that is needless by then.
func (c *Catalogue) reload(ctx context.Context, needless func() bool) error {
	select {
	case c.reading <- struct{}{}:
		defer func() { <-c.reading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if needless() {
		return nil
	}
	n := &Catalog{Categories: map[string]dispatch.Category{}, Departments: map[string]int64{}, DeptNames: map[int64]string{}}
	var err error
	if n.Tree, n.versions, err = c.tree(ctx); err != nil {
		return err
	}
	cats, err := c.db.Categories(ctx)
	if err != nil {
		return err
	}
	for _, k := range cats {
		n.Categories[k.Code] = k
		n.Order = append(n.Order, k.Code)
	}
	rows, err := c.db.Pool.Query(ctx, "SELECT id, name FROM department ORDER BY id")
	if err != nil {
		return fmt.Errorf("store: departments: %w", err)
	}
	var id int64
	var name string
	if _, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		n.Departments[name], n.DeptNames[id] = id, name
		return nil
	}); err != nil {
		return fmt.Errorf("store: departments: %w", err)
	}
	n.Centre = Centre{Name: "综治中心", Levels: []string{"县（旗）", "乡镇", "村（社区）", "网格"}}
	if err := c.db.Setting(ctx, "centre", &n.Centre); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if n.Clocks, err = ReadClocks(ctx, c.db.Pool); err != nil {
		return err
	}
	var offers OfferSetting
	if err := c.db.Setting(ctx, "offers", &offers); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	n.Offers = offers.rules()
	c.now.Store(n)
	return nil
}

// Categories lists the categories by code.
func (db *DB) Categories(ctx context.Context) ([]dispatch.Category, error) {
	rows, err := db.Pool.Query(ctx, `SELECT code, coalesce(parent_code, ''), name_zh, name_en, priority, ack_minutes, sla_value,
		sla_unit, handling_level, lead_dept, precision, note, on_the_spot, evidence FROM category ORDER BY code COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("store: categories: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (k dispatch.Category, err error) {
		err = r.Scan(&k.Code, &k.Parent, &k.NameZH, &k.NameEN, &k.Priority, &k.AckMinutes, &k.SLAValue, &k.SLAUnit, &k.HandlingLevel, &k.LeadDept, &k.Precision, &k.Note, &k.OnTheSpot, &k.Evidence)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: categories: %w", err)
	}
	return out, nil
}

// SaveCategories writes the categories and the departments that lead them;
// an existing code takes the new values.
func (db *DB) SaveCategories(ctx context.Context, cats []dispatch.Category) error {
	return db.InTx(ctx, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		for i, k := range cats {
			var parent *string
			if k.Parent != "" {
				parent = &cats[i].Parent
			}
			b.Queue(`INSERT INTO category (code, parent_code, name_zh, name_en, priority, ack_minutes, sla_value, sla_unit, handling_level, lead_dept, precision, note, on_the_spot, evidence)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
				ON CONFLICT (code) DO UPDATE SET parent_code = excluded.parent_code, name_zh = excluded.name_zh, name_en = excluded.name_en,
				priority = excluded.priority, ack_minutes = excluded.ack_minutes, sla_value = excluded.sla_value, sla_unit = excluded.sla_unit,
				handling_level = excluded.handling_level, lead_dept = excluded.lead_dept, precision = excluded.precision, note = excluded.note, on_the_spot = excluded.on_the_spot, evidence = excluded.evidence`,
				k.Code, parent, k.NameZH, k.NameEN, k.Priority, k.AckMinutes, k.SLAValue, k.SLAUnit, k.HandlingLevel, k.LeadDept, k.Precision, k.Note, k.OnTheSpot, k.Evidence)
			b.Queue("INSERT INTO department (code, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", k.LeadDept)
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return fmt.Errorf("store: save categories: %w", err)
		}
		return nil
	})
}

// Setting reads the setting named key into v, or returns ErrNotFound.
func (db *DB) Setting(ctx context.Context, key string, v any) error {
	var raw []byte
	err := db.Pool.QueryRow(ctx, "SELECT value FROM setting WHERE key = $1", key).Scan(&raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("store: setting %s: %w", key, ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		return fmt.Errorf("store: setting %s: %w", key, err)
	}
	return nil
}

// SaveSetting writes the setting named key.
func (db *DB) SaveSetting(ctx context.Context, key string, v any) error {
	return SetSetting(ctx, db.Pool, key, v)
}

// Execer is what changes run on: the pool or a transaction.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// SetSetting is SaveSetting inside a transaction.
func SetSetting(ctx context.Context, tx Execer, key string, v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		_, err = tx.Exec(ctx, "INSERT INTO setting (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, raw)
	}
	if err != nil {
		return fmt.Errorf("store: save setting %s: %w", key, err)
	}
	return nil
}

// Path returns the grids from the county down to the grid with this id, also
// when that grid's version is no longer enacted.
func (c *Catalogue) Path(ctx context.Context, gridID int64) ([]GridRef, error) {
	t := c.Now().Tree
	if i, ok := t.ByID(gridID); ok {
		var out []GridRef
		for _, j := range t.Path(i) {
			n := t.Nodes()[j]
			out = append(out, GridRef{n.Level, string(n.Code), n.Name})
		}
		return out, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.paths[gridID]; ok {
		return p, nil
	}
	p, err := c.db.gridPath(ctx, auth.System("grid names of a former version"), gridID)
	if err == nil && len(c.paths) < 10_000 {
		c.paths[gridID] = p
	}
	return p, err
}

func (db *DB) gridPath(ctx context.Context, _ auth.Scope, id int64) ([]GridRef, error) {
	rows, err := db.Pool.Query(ctx, `WITH RECURSIVE up AS (
		SELECT id, parent_id, level, code, name FROM grid WHERE id = $1
		UNION ALL SELECT g.id, g.parent_id, g.level, g.code, g.name FROM grid g JOIN up ON g.id = up.parent_id)
		SELECT level, code, name FROM up ORDER BY level`, id)
	if err != nil {
		return nil, fmt.Errorf("store: path of grid %d: %w", id, err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[GridRef])
}
