// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// mergedInto is an incident and all that were merged into it, and into those.
const mergedInto = `WITH RECURSIVE down AS (SELECT $1::bigint AS id UNION SELECT i.id FROM incident i JOIN down ON i.merged_into = down.id) SELECT id FROM down`

// callBacks owes each reporter of an incident that has just ended a call, and those of
// all that were merged into it. One merged into what has ended by then is told at once.
// A call still owed since an end before waits for the new one: for where it was merged
// into, too.
func (l *Ledger) callBacks(ctx context.Context, tx pgx.Tx, b *pgx.Batch, in store.Incident, was dispatch.State, now time.Time) error {
	if in.State.Open() || !was.Open() {
		return nil // it goes on, or had ended before
	}
	closes := in.ID
	if in.State == dispatch.Merged {
		// Follows what it was merged into to where that was merged into in turn.
		over := false
		err := tx.QueryRow(ctx, `WITH RECURSIVE up AS (SELECT id, merged_into, open FROM incident WHERE id = $1
			UNION SELECT i.id, i.merged_into, i.open FROM incident i JOIN up ON i.id = up.merged_into)
			SELECT id, NOT open FROM up WHERE merged_into IS NULL`, in.MergedInto).Scan(&closes, &over)
		if err != nil {
			return err
		}
		if !over {
			b.Queue("UPDATE call_back SET closes_id = $2 WHERE done_at IS NULL AND incident_id IN ("+mergedInto+")", in.ID, closes)
			return nil
		}
	}
	rows, err := tx.Query(ctx, mergedInto+" ORDER BY id", in.ID)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	due := dispatch.CallBackDue(l.o.Catalogue.Now().Clocks.Calendar, now)
	for _, id := range ids {
		b.Queue("UPDATE call_back SET closes_id = $2, due = $3 WHERE incident_id = $1 AND done_at IS NULL", id, closes, due)
		b.Queue("SELECT set_config('onemap.reporter_of', $1, true)", strconv.FormatInt(id, 10))
		b.Queue(`INSERT INTO call_back (incident_id, n, reporter_n, closes_id, owed_by, due)
			SELECT $1, (SELECT coalesce(max(c.n), 0) FROM call_back c WHERE c.incident_id = $1) + row_number() OVER (ORDER BY r.n), r.n, $2, i.first_asked, $3
			FROM reporter r JOIN incident i ON i.id = r.incident_id
			WHERE r.incident_id = $1 AND NOT EXISTS (SELECT FROM call_back c WHERE c.incident_id = $1 AND c.reporter_n = r.n AND c.done_at IS NULL)`, id, closes, due)
	}
	return nil
}

// CalledBack keeps what came of calling a reporter back.
type CalledBack struct {
	N       int
	Outcome dispatch.CallBack
	Text    string
}

func (*CalledBack) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *CalledBack) set(ctx context.Context, p *pen) error {
	var owedBy string
	var done, over bool
	var tries int
	err := p.tx.QueryRow(ctx, `SELECT c.owed_by, c.done_at IS NOT NULL, c.tries, NOT i.open FROM call_back c JOIN incident i ON i.id = c.closes_id
		WHERE c.incident_id = $1 AND c.n = $2`, p.in.ID, m.N).Scan(&owedBy, &done, &tries, &over)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNotFound
	case err != nil:
		return err
	case owedBy != p.actor.ID && !dispatch.MayCallBack(p.actor.Role):
		return &dispatch.RoleError{Action: "call_back", Role: p.actor.Role}
	case done:
		return refuse("this reporter was called back already")
	case !over:
		return refuse("the incident is open again: call back when it is over")
	}
	p.n, p.kind, p.text = m.N, "call_back", m.Text
	p.data["call_back"], p.data["outcome"] = m.N, m.Outcome
	if m.Outcome == dispatch.Unreached && tries+1 < dispatch.CallBackTry {
		p.b.Queue("UPDATE call_back SET tries = tries + 1, body = $3 WHERE incident_id = $1 AND n = $2", p.in.ID, m.N, m.Text)
		return nil
	}
	if m.Outcome == dispatch.Unreached {
		tries++
	}
	p.b.Queue("UPDATE call_back SET tries = $3, done_at = $4, done_by = $5, outcome = $6, body = $7 WHERE incident_id = $1 AND n = $2",
		p.in.ID, m.N, tries, p.now, p.actor.ID, string(m.Outcome), m.Text)
	return nil
}

// file stores the dossier of an incident that is being archived, as it stood before,
// and puts its hash into the journal entry of the change.
func (l *Ledger) file(ctx context.Context, tx pgx.Tx, in store.Incident, ch *dispatch.Change) error {
	d, err := l.o.Catalogue.Dossier(ctx, tx, in)
	if err != nil {
		return err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if ch.Step.Data == nil {
		ch.Step.Data = map[string]any{}
	}
	ch.Step.Data["dossier"] = hex.EncodeToString(sum[:])
	_, err = tx.Exec(ctx, "INSERT INTO dossier (incident_id, body, at) VALUES ($1, $2, $3)", in.ID, body, l.o.Now())
	return err
}
