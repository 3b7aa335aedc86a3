// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/road"
)

// Road is one road line, for the map and for travel times.
type Road struct {
	ID          int64
	Class, Name string // class: of OpenStreetMap's key highway
	Oneway      bool
	Kmh         float32        // speed driven
	Geom        orb.LineString // WGS-84
}

// Roads lists every road: the segments that were imported, and those of the
// made-up county. Roads belong to no grid: whoever may read the map sees them, so
// the scope only has to be one.
func (db *DB) Roads(ctx context.Context, s auth.Scope) ([]Road, error) {
	if !s.All() && len(s.Intervals()) == 0 {
		return nil, nil
	}
	rows, err := db.Pool.Query(ctx, `SELECT id, class, name, oneway, 0::real, geom FROM road
		UNION ALL SELECT id, class, name, oneway, kmh, geom FROM road_segment ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store: roads: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Road])
	if err != nil {
		return nil, fmt.Errorf("store: roads: %w", err)
	}
	for i, r := range out {
		if v, ok := road.Class(r.Class).Kmh(); ok && r.Kmh == 0 {
			out[i].Kmh = float32(v)
		}
	}
	return out, nil
}

// RoadSegment is one segment of a road set that is brought in.
type RoadSegment struct {
	ExtID  string // unique in its source
	Class  road.Class
	Name   string
	Oneway bool // from the first point to the last
	Kmh    float64
	Geom   orb.LineString // WGS-84, two points or more
}

// RoadSet is all segments of one source.
type RoadSet struct {
	Source   string // a name of letters, digits, dots and dashes
	Actor    string // who brings it in, for the audit
	File     string // where it comes from, for the audit
	Segments []RoadSegment
	Progress func(stored int) // optional: called after every batch
}

// roadBatch is how many segments are sent at a time.
const roadBatch = 5000

// ReplaceRoads stores a set in place of the one its source had before, whole or
// not at all, with an audit row and an event that makes every node read the roads
// again. It returns how many segments the source had before.
func (db *DB) ReplaceRoads(ctx context.Context, set RoadSet) (before int64, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", roadLock); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "DELETE FROM road_segment WHERE source = $1", set.Source)
		if err != nil {
			return err
		}
		before = tag.RowsAffected()
		if err := copyRoads(ctx, tx, set); err != nil {
			return err
		}
		return tellRoads(ctx, tx, set, before)
	})
	if err != nil {
		return 0, fmt.Errorf("store: roads of %s: %w", set.Source, err)
	}
	if _, err := db.Pool.Exec(ctx, "ANALYZE road_segment"); err != nil {
		return before, fmt.Errorf("store: statistics of roads: %w", err)
	}
	return before, nil
}

// roadLock keeps two imports of roads apart.
const roadLock = 0x726f6164

func copyRoads(ctx context.Context, tx pgx.Tx, set RoadSet) error {
	columns := []string{"source", "ext_id", "class", "name", "oneway", "kmh", "geom"}
	for first := 0; first < len(set.Segments); first += roadBatch {
		batch := set.Segments[first:min(first+roadBatch, len(set.Segments))]
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"road_segment"}, columns, pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) {
			s := batch[i]
			return []any{set.Source, s.ExtID, string(s.Class), s.Name, s.Oneway, float32(s.Kmh), s.Geom}, nil
		}))
		if err != nil {
			return err
		}
		if set.Progress != nil {
			set.Progress(first + len(batch))
		}
	}
	return nil
}

// tellRoads writes the audit row and the event.
func tellRoads(ctx context.Context, tx pgx.Tx, set RoadSet, before int64) error {
	data, err := json.Marshal(map[string]any{"file": set.File, "segments": len(set.Segments), "before": before})
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue("INSERT INTO audit_log (actor, action, object, data) VALUES ($1, 'roads.import', $2, $3)", set.Actor, "roads/"+set.Source, data)
	b.Queue(`INSERT INTO outbox (kind, entity_kind, entity_id, ver, live, occurred_at, after_aud)
		VALUES ('config.changed', 'config', 'roads', 1, 'none', now(), '{}')`)
	return tx.SendBatch(ctx, b).Close()
}

// sourceName is the rule of the column source.
var sourceName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._-]{0,39}$`)

// SourceName reports whether s may name a road set.
func SourceName(s string) bool { return sourceName.MatchString(s) }
