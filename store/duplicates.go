// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
)

// maxAlike is how many incidents one is compared with: the nearest in time of those
// that lie near it.
const maxAlike = 400

// Alike returns the incidents in scope that one may be compared with for duplicates,
// newest first: reported within dispatch.DuplicateWindow of it, and, where it has a
// point, either near it or without a point themselves. cut says that there were more
// than are compared. What was merged away, voided or refused is left out. Only for
// readers of cases: the comparison tells of titles and texts.
func (db *DB) Alike(ctx context.Context, s auth.Scope, in Incident) (others []Incident, cut bool, err error) {
	window := dispatch.DuplicateWindow
	var q query
	q.add("SELECT "+incidentColumns+fromIncident+` WHERE i.id <> ? AND i.state NOT IN ('merged', 'void', 'refused')
		AND i.reported_at BETWEEN ? AND ? AND `, in.ID, in.ReportedAt.Add(-window), in.ReportedAt.Add(window)).incidentsInScope(s, "i")
	if p := in.Place.Point; p != nil {
		reach := dispatch.DuplicateRadiusM + accuracyOf(in)
		dLat := reach / 111_195
		dLon := dLat / max(0.01, math.Cos(p.Lat()*math.Pi/180))
		q.add(" AND i.geom && ST_MakeEnvelope(?, ?, ?, ?, 4326)", p.Lon()-dLon, p.Lat()-dLat, p.Lon()+dLon, p.Lat()+dLat)
	} else {
		q.add(" AND i.category IN (SELECT c.code FROM category c JOIN category o ON o.code = ? AND coalesce(c.parent_code, c.code) = coalesce(o.parent_code, o.code))", in.Category)
	}
	q.add(" ORDER BY abs(extract(epoch FROM i.reported_at - ?)), i.id LIMIT ?", in.ReportedAt, maxAlike+1)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, false, fmt.Errorf("store: incidents like %d: %w", in.ID, err)
	}
	others, err = pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, false, fmt.Errorf("store: incidents like %d: %w", in.ID, err)
	}
	if cut = len(others) > maxAlike; cut {
		others = others[:maxAlike]
	}
	return others, cut, nil
}

// maxMerged is how many of those that were merged into an incident are told.
const maxMerged = 50

// MergedInto returns the incidents in scope that were merged into one, newest first.
func (db *DB) MergedInto(ctx context.Context, s auth.Scope, v auth.View, id int64) ([]Incident, error) {
	q := selectIncidents(v).add(" WHERE i.merged_into = ? AND ", id).incidentsInScope(s, "i").add(" ORDER BY i.reported_at DESC, i.id DESC LIMIT ?", maxMerged)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: incidents merged into %d: %w", id, err)
	}
	out, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, fmt.Errorf("store: incidents merged into %d: %w", id, err)
	}
	return out, nil
}

// accuracyOf is how far from its point an incident may be, in metres.
func accuracyOf(in Incident) float64 {
	if f := in.Place.Found; f != nil {
		return min(f.AccuracyM, dispatch.DuplicateRadiusM)
	}
	return 0
}

// Matter is what is compared of an incident for duplicates.
func (c *Catalogue) Matter(in Incident) dispatch.Matter {
	top := in.Category
	if k := c.Now().Categories[in.Category]; k.Parent != "" {
		top = k.Parent
	}
	m := dispatch.Matter{
		ID: in.ID, Point: in.Place.Point, AccuracyM: accuracyOf(in), At: in.ReportedAt, Category: in.Category, Top: top,
		Title: in.Title, Text: in.Text, Address: in.Place.Address,
	}
	if f := in.Place.Found; f != nil && f.By != dispatch.ByArea {
		m.PlaceName = f.Name
	}
	return m
}
