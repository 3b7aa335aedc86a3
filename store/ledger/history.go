// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
)

// Past is an incident of the past, as an import or the demo brings it: placed by
// intake, with the stage times it had. Its ID and Version are set by the import.
type Past struct {
	store.Incident
	Steps []PastStep // its acts, oldest first; empty makes one entry, "import"
}

// PastStep is one act in a past incident's life.
type PastStep struct {
	Kind     string
	From, To dispatch.State
	Actor    string
	At       time.Time
	Reason   string
}

// Imported counts what one batch came to.
type Imported struct {
	Fresh    []Past // stored; their ids are set
	Repeated int    // (source, external id) was there already
}

// History brings in the batches of one import, one after the other. It is not safe
// for concurrent use.
type History struct {
	l *Ledger
	// blank holds, for each source met, whether the record had nothing of it when
	// it was first met: then only seen needs to be asked.
	blank map[string]bool
	seen  map[externalKey]struct{} // stored by this History, of blank sources
}

type externalKey struct{ source, id string }

// History begins an import of past incidents.
func (l *Ledger) History() *History {
	return &History{l: l, blank: map[string]bool{}, seen: map[externalKey]struct{}{}}
}

// Import stores a batch of past incidents in one transaction: incidents and
// journal by COPY, one audit entry, and one event "incidents.imported" a county.
// Those still open also enter the live state, each marked as history so that no
// screen announces it. also, if not nil, runs after that in the same transaction (an
// import keeps its place there). ErrGridsChanged when an open one was placed in grids
// that are no longer in force: nothing is stored then. Live reports never take this way.
func (h *History) Import(ctx context.Context, actor auth.Actor, note string, batch []Past, also func(context.Context, pgx.Tx, Imported) error) (Imported, error) {
	done, err := h.try(ctx, actor, note, batch, also)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == uniqueViolation && len(h.seen) > 0 {
		// Somebody else brought in a source that was blank: ask the record from now on.
		clear(h.seen)
		for source := range h.blank {
			h.blank[source] = false
		}
		done, err = h.try(ctx, actor, note, batch, also)
	}
	if err != nil {
		return Imported{}, fmt.Errorf("ledger: import history: %w", err)
	}
	for _, p := range done.Fresh {
		if p.ExternalID != "" && h.blank[p.Source] {
			h.seen[externalKey{p.Source, p.ExternalID}] = struct{}{}
		}
	}
	h.l.o.Wake()
	return done, nil
}

const uniqueViolation = "23505"

func (h *History) try(ctx context.Context, actor auth.Actor, note string, batch []Past, also func(context.Context, pgx.Tx, Imported) error) (Imported, error) {
	var done Imported
	err := h.l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		fresh, err := h.unknown(ctx, tx, batch)
		if err != nil {
			return err
		}
		done = Imported{Fresh: fresh, Repeated: len(batch) - len(fresh)}
		if len(fresh) > 0 {
			if err := h.l.copyPast(ctx, tx, actor, note, fresh); err != nil {
				return err
			}
		}
		if also != nil {
			if err := also(ctx, tx, done); err != nil {
				return err
			}
		}
		return holdOpen(ctx, tx, fresh)
	})
	return done, err
}

// unknown drops the rows whose (source, external id) is stored already or stands
// earlier in the batch.
func (h *History) unknown(ctx context.Context, tx pgx.Tx, batch []Past) ([]Past, error) {
	bySource := map[string][]string{}
	for _, p := range batch {
		if p.ExternalID != "" {
			bySource[p.Source] = append(bySource[p.Source], p.ExternalID)
		}
	}
	known := map[externalKey]bool{}
	for source, ids := range bySource {
		ask, err := h.mustAsk(ctx, tx, source)
		if err != nil {
			return nil, err
		}
		if !ask {
			continue
		}
		stored, err := storedIDs(ctx, tx, source, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range stored {
			known[externalKey{source, id}] = true
		}
	}
	out := make([]Past, 0, len(batch))
	for _, p := range batch {
		k := externalKey{p.Source, p.ExternalID}
		if p.ExternalID != "" {
			if _, mine := h.seen[k]; mine || known[k] {
				continue
			}
			known[k] = true
		}
		out = append(out, p)
	}
	return out, nil
}

// mustAsk reports whether the record may hold incidents of source that this
// History did not store.
func (h *History) mustAsk(ctx context.Context, tx pgx.Tx, source string) (bool, error) {
	blank, met := h.blank[source]
	if !met {
		err := tx.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM incident WHERE source = $1 AND external_id IS NOT NULL)", source).Scan(&blank)
		if err != nil {
			return false, err
		}
		h.blank[source] = blank
	}
	return !blank, nil
}

// storedIDs returns those of ids that source has in the record.
func storedIDs(ctx context.Context, tx pgx.Tx, source string, ids []string) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT i.external_id FROM unnest($2::text[]) AS given(id)
		JOIN incident i ON i.source = $1 AND i.external_id = given.id`, source, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (l *Ledger) copyPast(ctx context.Context, tx pgx.Tx, actor auth.Actor, note string, batch []Past) error {
	ids, err := takeIDs(ctx, tx, len(batch))
	if err != nil {
		return err
	}
	now := l.o.Now()
	for i := range batch {
		p := &batch[i]
		p.ID, p.Version, p.History, p.ReceivedAt = ids[i], max(1, len(p.Steps)), true, now
		if p.ResolvedAt != nil && p.ResolvedLevel == 0 {
			p.ResolvedLevel = p.OwnerLevel
		}
		p.Settle()
	}
	near := make([]int, len(batch)) // neighbours on the map one after the other: the spatial index fills twice as fast
	for i := range near {
		near[i] = i
	}
	slices.SortStableFunc(near, func(a, b int) int { return cmp.Compare(batch[a].Place.Cells[3], batch[b].Place.Cells[3]) })
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"incident"}, append([]string{"id"}, incidentColumns...),
		pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) {
			p := batch[near[i]]
			return append([]any{p.ID}, columnsOf(p.Incident)...), nil
		}))
	if err != nil {
		return err
	}
	if err := copyStages(ctx, tx, batch); err != nil {
		return err
	}
	if err := copySteps(ctx, tx, actor, note, batch, now); err != nil {
		return err
	}
	b := &pgx.Batch{}
	data := map[string]any{"incidents": len(batch), "first": ids[0], "last": ids[len(ids)-1]}
	if err := audit(b, actor, "", "incidents.import", note, "", data); err != nil {
		return err
	}
	if err := l.emitHistory(ctx, b, batch, now); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// holdOpen keeps the grids that open incidents of a batch were placed in from being
// replaced until they are stored; ErrGridsChanged when they have been. It comes last
// in their transaction: an enactment waits for whoever holds the grids, and all
// reports wait behind it.
func holdOpen(ctx context.Context, tx pgx.Tx, batch []Past) error {
	versions := map[int32]bool{}
	for _, p := range batch {
		if p.State.Open() {
			versions[p.Place.GridVersion] = true
		}
	}
	for v := range versions {
		if _, err := tx.Exec(ctx, "SELECT hold_grids($1)", v); err != nil {
			return gridsChanged(err)
		}
	}
	return nil
}

func takeIDs(ctx context.Context, tx pgx.Tx, n int) ([]int64, error) {
	rows, err := tx.Query(ctx, "SELECT nextval('incident_id') FROM generate_series(1, $1)", n)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// copyStages begins the stage of those still open: whoever owns them now is taken to
// have had them from the start.
func copyStages(ctx context.Context, tx pgx.Tx, batch []Past) error {
	var rows [][]any
	for _, p := range batch {
		if !p.State.Open() {
			continue
		}
		var dept any
		if p.Department != 0 {
			dept = p.Department
		}
		rows = append(rows, []any{p.ID, int16(1), int16(p.OwnerLevel), dept, p.ReportedAt, moment(p.AckDue), moment(p.StageDue), p.DueRule})
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"incident_stage"},
		[]string{"incident_id", "n", "level", "department_id", "started_at", "ack_due", "due", "due_rule"}, pgx.CopyFromRows(rows))
	return err
}

func copySteps(ctx context.Context, tx pgx.Tx, actor auth.Actor, note string, batch []Past, now time.Time) error {
	i, n := 0, -1
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"incident_journal"},
		[]string{"incident_id", "n", "version", "kind", "from_state", "to_state", "actor", "at", "reason"},
		pgx.CopyFromFunc(func() ([]any, error) {
			n++
			for i < len(batch) && n >= max(1, len(batch[i].Steps)) {
				i, n = i+1, 0
			}
			if i == len(batch) {
				return nil, nil
			}
			p := batch[i]
			if len(p.Steps) == 0 {
				return []any{p.ID, int32(1), int32(1), "import", nil, string(p.State), actor.ID, now, note}, nil
			}
			s := p.Steps[n]
			return []any{p.ID, int32(n + 1), int32(n + 1), s.Kind, text(s.From), text(s.To), s.Actor, s.At, s.Reason}, nil
		}))
	return err
}

func text(s dispatch.State) any {
	if s == "" {
		return nil
	}
	return string(s)
}

// emitHistory puts the open incidents into the live state and tells each county
// that history came in.
func (l *Ledger) emitHistory(ctx context.Context, b *pgx.Batch, batch []Past, now time.Time) error {
	tree := l.o.Catalogue.Now().Tree
	counts := map[int]int{} // by root node
	for _, p := range batch {
		if i, ok := tree.ByID(p.Place.GridID); ok {
			counts[tree.Path(i)[0]]++
		}
		if !p.State.Open() {
			continue
		}
		e, err := l.event(ctx, p.Incident, "incident.opened", feed.Audience{}, p.ReportedAt)
		if err != nil {
			return err
		}
		if err := emit(b, e); err != nil {
			return err
		}
	}
	for _, root := range slices.Sorted(maps.Keys(counts)) {
		n := tree.Nodes()[root]
		data := json.RawMessage(`{"count":` + strconv.Itoa(counts[root]) + `}`)
		err := emit(b, feed.Event{
			Kind: "incidents.imported", Entity: feed.Key{Kind: "incidents", ID: string(n.Code)}, Ver: 1, Live: feed.None,
			OccurredAt: now, After: feed.Audience{Grid: n.No}, Shared: data, Case: data,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
