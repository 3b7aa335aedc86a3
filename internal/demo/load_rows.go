// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/cell"
	"onemap/geo/grid"
	"onemap/layer"
	"onemap/store"
	"onemap/store/ledger"
)

// furnish stores the categories and, in one transaction, workers, devices,
// roads, addresses and cameras, unless an earlier load has.
func (l *loader) furnish(ctx context.Context) error {
	if l.loaded.Furnished {
		return nil
	}
	if err := l.DB.SaveCategories(ctx, dispatch.DefaultCategories()); err != nil {
		return err
	}
	if err := l.Catalogue.Reload(ctx); err != nil {
		return err
	}
	next := l.loaded
	next.Furnished = true
	err := l.DB.InTx(ctx, func(tx pgx.Tx) error {
		c := copier{tx: tx}
		l.copyPeople(ctx, &c)
		l.copyDuty(ctx, &c)
		l.copyPlaces(ctx, &c)
		c.copy(ctx, "advice_rule", []string{"category", "skills"}, neededSkills())
		if c.err != nil {
			return c.err
		}
		if err := ledger.ConfigChanged(ctx, tx, l.Until); err != nil {
			return err
		}
		if err := ledger.PlacesChanged(ctx, tx, l.Until); err != nil {
			return err
		}
		return saveLoaded(ctx, tx, next)
	})
	if err != nil {
		return fmt.Errorf("demo: furnish: %w", err)
	}
	l.loaded = next
	return nil
}

// neededSkills are the skills that some categories need: rows of advice_rule.
func neededSkills() (rows [][]any) {
	for _, n := range [][2]string{
		{"01", "mediation"},
		{"0301", "fire"},
		{"0401", "fire"},
		{"0402", "flood"},
		{"0703", "livestock"},
		{"0704", "livestock"},
		{"0805", "first_aid"},
		{"0901", "traffic"},
		{"0902", "traffic"},
	} {
		rows = append(rows, []any{n[0], []string{n[1]}})
	}
	return rows
}

// copier runs COPY after COPY until one fails.
type copier struct {
	tx  pgx.Tx
	err error
}

func (c *copier) copy(ctx context.Context, table string, columns []string, rows [][]any) {
	if c.err == nil {
		_, c.err = c.tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	}
}

// copyPeople gives worker n the id n, so that the same seed gives the same
// record; the device too.
func (l *loader) copyPeople(ctx context.Context, c *copier) {
	var workers, devices, grids, rotas, bindings [][]any
	since := l.Until.AddDate(-2, 0, -2)
	for i, w := range l.banner.Workers {
		id := int64(i + 1)
		workers = append(workers, []any{id, w.Badge, w.Skills})
		devices = append(devices, []any{id, w.Device, "m/s", int32(DeviceInterval)})
		bindings = append(bindings, []any{id, id, since})
		for _, p := range w.Grids {
			grids = append(grids, []any{id, string(p.Grid), p.Role, since, string(l.banner.Tree.Nodes()[0].Code)})
		}
		for _, d := range w.Rota {
			rotas = append(rotas, []any{id, int16(d.Weekday), int16(d.Start), int16(d.End)})
		}
	}
	c.copy(ctx, "worker", []string{"id", "badge", "skills"}, workers)
	c.copy(ctx, "device", []string{"id", "unique_id", "speed_unit", "interval_s"}, devices)
	c.copy(ctx, "worker_grid", []string{"worker_id", "grid_code", "role", "valid_from", "root_code"}, grids)
	c.copy(ctx, "rota", []string{"worker_id", "weekday", "start_min", "end_min"}, rotas)
	c.copy(ctx, "device_binding", []string{"device_id", "worker_id", "valid_from"}, bindings)
	for _, table := range []string{"worker", "device"} {
		if c.err == nil {
			_, c.err = c.tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, 'id'), $2)", table, len(l.banner.Workers))
		}
	}
}

func (l *loader) copyPlaces(ctx context.Context, c *copier) {
	var roads, addresses, cameras [][]any
	for _, r := range l.banner.Roads {
		roads = append(roads, []any{r.ExtID, r.Name, r.Class, r.Oneway, r.Line})
	}
	for _, a := range l.banner.Points {
		addresses = append(addresses, []any{"demo", a.ExtID, "address", a.Std, string(l.banner.Tree.Nodes()[0].Code), a.Point, a.Point[0], a.Point[1], "wgs84"})
	}
	for _, k := range l.banner.Cameras {
		cameras = append(cameras, []any{k.Code, k.Name, int16(k.Heading), int16(k.FOV), int32(k.RangeM), RootCode, k.Point})
	}
	c.copy(ctx, "road", []string{"ext_id", "name", "class", "oneway", "geom"}, roads)
	c.copy(ctx, "place", []string{"source", "external_id", "kind", "name", "root_code", "geom", "raw_lon", "raw_lat", "raw_datum"}, addresses)
	c.copy(ctx, "camera", []string{"gb_code", "name", "heading", "fov", "range_m", "root_code", "geom"}, cameras)
	l.copyLayer(ctx, c)
}

// resourceLayer is the demo's named layer.
var resourceLayer = layer.Layer{
	Code: "resources", Name: "演示资源点", Geometry: layer.Point, Style: layer.Style{Colour: "#d46b08", Icon: "station", Label: "name"},
	MinZoom: 9, MaxZoom: layer.MaxZoom, Access: auth.LayerAccess{auth.Walls}, Root: RootCode, Source: "演示数据：虚构的资源点",
}

// copyLayer stores the resource points as a named layer.
func (l *loader) copyLayer(ctx context.Context, c *copier) {
	if c.err != nil {
		return
	}
	var id int64
	if id, c.err = store.SaveLayer(ctx, c.tx, resourceLayer, l.Until); c.err != nil {
		return
	}
	var rows [][]any
	for _, r := range l.banner.Resources {
		rows = append(rows, []any{id, r.ExtID, r.Name, string(r.Kind), string(r.Duty), r.Point, r.Point[0], r.Point[1], "wgs84"})
	}
	c.copy(ctx, "layer_feature", []string{"layer_id", "external_id", "name", "kind", "duty_mode", "geom", "raw_lon", "raw_lat", "raw_datum"}, rows)
}

// converter makes the ledger's rows of made-up incidents.
type converter struct {
	nodes       []grid.Node // the stored grid of each of the banner's
	departments map[string]int64
	actors      map[string]string // a lead department as an actor
}

func newConverter(b *Banner, cat *store.Catalog) *converter {
	c := &converter{departments: cat.Departments, actors: map[string]string{}}
	for name, id := range cat.Departments {
		c.actors[name] = "department:" + strconv.FormatInt(id, 10)
	}
	for _, d := range b.Drafts {
		var n grid.Node
		if i, ok := cat.Tree.ByCode(d.Code); ok {
			n = cat.Tree.Nodes()[i]
		}
		c.nodes = append(c.nodes, n)
	}
	return c
}

func (c *converter) past(in Incident) (ledger.Past, error) {
	n := c.nodes[in.Grid]
	if n.ID == 0 {
		return ledger.Past{}, fmt.Errorf("demo: incident %d lies in a grid that is not stored", in.Number)
	}
	var p ledger.Past
	p.Incident = store.Incident{
		Incident: dispatch.Incident{
			State: in.State, Priority: in.Priority, OwnerLevel: in.OwnerLevel, Category: in.Category.Code,
			ReportedAt: in.ReportedAt, AckDue: when(in.AckDue), StageDue: when(in.StageDue), DueRule: in.DueRule,
			AcknowledgedAt: when(in.AcknowledgedAt), OnSceneAt: when(in.OnSceneAt),
			ResolvedAt: when(in.ResolvedAt), ClosedAt: when(in.ClosedAt),
		},
		Title: in.Title, Text: in.Text, Source: in.Source, ExternalID: in.ExternalID,
		Place: dispatch.Place{
			Kind: in.Place, Address: in.Address,
			GridID: n.ID, GridNo: n.No, GridLevel: n.Level, GridVersion: n.Version,
		},
		Department: c.departments[in.Category.LeadDept],
		OccurredAt: when(in.OccurredAt),
	}
	if in.Place != dispatch.NoPlace {
		p.Place.Raw, p.Place.Point = &in.Raw, &in.Point
		for i := range p.Place.Cells {
			k, err := cell.At(in.Point, 6+i)
			if err != nil {
				return ledger.Past{}, fmt.Errorf("demo: incident %d: %w", in.Number, err)
			}
			p.Place.Cells[i] = k
		}
	}
	p.Steps = make([]ledger.PastStep, len(in.Steps))
	for i, s := range in.Steps {
		actor := s.Actor
		if actor == byDepartment {
			actor = c.actors[in.Category.LeadDept]
		}
		p.Steps[i] = ledger.PastStep{Kind: s.Kind, From: s.From, To: s.To, Actor: actor, At: s.At, Reason: s.Reason}
	}
	return p, nil
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
