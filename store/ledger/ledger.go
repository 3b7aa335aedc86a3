// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package ledger is the one door through which the record changes. Each change
// is one transaction: the new state, its journal and audit entries and the
// outbox rows that become events. The sequencer turns the outbox into the feed.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/geo"
	"onemap/store"
)

// What Do refuses, besides the errors of package dispatch and store.ErrNotFound.
var (
	ErrKeyReused    = errors.New("this idempotency key was used with another request")
	ErrGridsChanged = errors.New("the grids changed since the place was looked up")
	ErrElsewhere    = errors.New("this external id is taken by an incident outside the sender's grids")
)

// VersionError refuses an act made against an older version than the record's.
type VersionError struct{ Have, Want int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the incident is at version %d, not %d", e.Have, e.Want)
}

// Options name what a Ledger works with; all are needed but Reports, Evidence, Staffed,
// Wake, Folded, ScopesKnow, Home, Where and Advice.
type Options struct {
	DB        *store.DB
	Reports   *store.DB // where reports are written, so that nothing else takes their connections; DB when nil
	Catalogue *store.Catalogue
	Sealer    *store.Sealer
	Now       func() time.Time
	// Evidence says whether something is attached to an incident; nil: nothing ever is.
	Evidence func(ctx context.Context, tx pgx.Tx, incident int64) (bool, error)
	// Staffed says whether a department has somebody in an incident's county who would see
	// what is routed to it; nil: every department has.
	Staffed func(ctx context.Context, tx pgx.Tx, department int64, in store.Incident, now time.Time) (bool, error)
	Wake    func() // called after each commit, so that the sequencer runs at once
	// Folded waits until this node has folded every event committed so far; nil where
	// no feed is followed.
	Folded func(context.Context) error
	// ScopesKnow is how long it takes from then on until everybody's scope holds the
	// numbers of a draft: longer than any node remembers what somebody may see. Default
	// 2.5 s.
	ScopesKnow time.Duration
	// Home is the number of a worker's home grid; false for nobody of that number. Nil
	// where any worker may be sent by anybody.
	Home func(worker uint32) (int32, bool)
	// Where is where a worker is, if a fresh fix tells. Nil where nobody knows.
	Where func(worker uint32) (geo.WGS84, bool)
	// Advice finds who is asked after an offer that expired, and is kept with whom the
	// desk asks; nil leaves both to the desk.
	Advice Candidates
}

// Ledger writes the record.
type Ledger struct{ o Options }

// New makes a Ledger.
func New(o Options) *Ledger {
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Folded == nil {
		o.Folded = func(context.Context) error { return nil }
	}
	if o.ScopesKnow == 0 {
		o.ScopesKnow = 2500 * time.Millisecond
	}
	if o.Reports == nil {
		o.Reports = o.DB
	}
	return &Ledger{o}
}

// Command is one change asked for: exactly one of Report, Act, Attachment, Supervise,
// Reply, Remark, Offer, OfferAct, Whistle, WhistleAct, Notice, NoticeAct, Patrol and
// VisitWord.
type Command struct {
	Key       string            // idempotency key; "" for none
	Request   [sha256.Size]byte // fingerprint of the request that carried the key
	RequestID string            // for the audit
	Report    *Report
	Act       *Act

	Attachment *Attachment
	Supervise  *Supervise
	Reply      *Reply
	Remark     *Remark
	Offer      *OfferCommand
	OfferAct   *OfferAct

	Whistle    *WhistleCommand
	WhistleAct *WhistleAct
	Notice     *NoticeCommand
	NoticeAct  *NoticeAct

	Patrol    *PatrolCommand
	VisitWord *VisitWord
}

// Report opens an incident.
type Report struct {
	dispatch.Report
	Reporter store.Reporter // personal: sealed
}

// Act moves an incident on.
type Act struct {
	Incident int64
	Version  int // the version the actor saw
	dispatch.Act
}

// Result is what a command led to.
type Result struct {
	Incident    store.Incident
	Attachment  store.Attachment  // of a step of one
	Supervision store.Supervision // that was opened or answered
	Repeated    bool              // an earlier request with the same key or external id did it
	Hidden      bool              // and what it made is out of the caller's sight by now: only its id is told
	N           int               // of a remark: its number among those of its kind; 0 for one without
	Offers      []store.Offer     // that the command made or changed
	Whistle     store.Whistle     // that the command made or changed
	Judged      dispatch.Judged   // what became of a department's word
	Notice      store.Notice      // that the command made or changed
	Patrol      store.Patrol      // that the command made or changed
	Visit       store.Visit       // that the command changed
}

// Do carries out one command in one transaction, exactly once for each
// idempotency key and each (source, external id).
//
// Whoever locks several rows does it in this order, so that no two wait for each other:
// the idempotency key; incidents, the lower number first; offers; workers by number.
// The grids (hold_grids) are waited for only with no incident locked: see
// store.TryHoldGrids. What is rolled back for a deadlock all the same is tried again.
func (l *Ledger) Do(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	for range deadlockTries {
		if res, err = l.attempt(ctx, actor, c); !store.Deadlocked(err) {
			break
		}
	}
	if err != nil {
		return Result{}, fmt.Errorf("ledger: %w", err)
	}
	if !res.Repeated {
		l.o.Wake()
	}
	return res, nil
}

// deadlockTries is how often a command is tried that a deadlock rolls back.
const deadlockTries = 3

// attempt carries out a command, in one transaction.
func (l *Ledger) attempt(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	switch {
	case c.Report != nil:
		res, err = l.report(ctx, actor, c)
	case c.Act != nil:
		res, err = l.act(ctx, actor, c)
	case c.Attachment != nil:
		res, err = l.attachment(ctx, actor, c)
	case c.Supervise != nil:
		res, err = l.supervise(ctx, actor, c)
	case c.Reply != nil:
		res, err = l.reply(ctx, actor, c)
	case c.Remark != nil:
		res, err = l.remark(ctx, actor, c)
	case c.Offer != nil:
		res, err = l.offer(ctx, actor, c)
	case c.OfferAct != nil:
		res, err = l.offerAct(ctx, actor, c)
	case c.Whistle != nil:
		res, err = l.whistle(ctx, actor, c)
	case c.WhistleAct != nil:
		res, err = l.whistleAct(ctx, actor, c)
	case c.Notice != nil:
		res, err = l.notice(ctx, actor, c)
	case c.NoticeAct != nil:
		res, err = l.noticeAct(ctx, actor, c)
	case c.Patrol != nil:
		res, err = l.patrol(ctx, actor, c)
	case c.VisitWord != nil:
		res, err = l.visitWord(ctx, actor, c)
	default:
		err = errors.New("empty command")
	}
	return res, err
}

// Wake makes the sequencer run at once, after a commit that the Ledger did not make
// itself.
func (l *Ledger) Wake() { l.o.Wake() }

// claim takes the idempotency key inside tx. When an earlier request has it, done
// is true and id is what that request made; a request still under way is waited for.
func (l *Ledger) claim(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command) (id int64, done bool, err error) {
	if c.Key == "" {
		return 0, false, nil
	}
	tag, err := tx.Exec(ctx, "INSERT INTO idempotency (actor, key, request, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		actor.ID, c.Key, c.Request[:], l.o.Now())
	if err != nil || tag.RowsAffected() == 1 {
		return 0, false, err
	}
	var request []byte
	var entity *int64
	if err := tx.QueryRow(ctx, "SELECT request, entity_id FROM idempotency WHERE actor = $1 AND key = $2", actor.ID, c.Key).Scan(&request, &entity); err != nil {
		return 0, false, err
	}
	id, err = c.made(request, entity)
	return id, true, err
}

// made is what an earlier request with c's key made: request is its fingerprint.
func (c Command) made(request []byte, entity *int64) (int64, error) {
	if string(request) != string(c.Request[:]) {
		return 0, ErrKeyReused
	}
	if entity == nil {
		return 0, errors.New("idempotency row without a result")
	}
	return *entity, nil
}

// keep notes what the request with c's key, claimed before, has made.
func (c Command) keep(b *pgx.Batch, actor auth.Actor, id int64) { c.keepNumbered(b, actor, id, 0) }

// keepNumbered is keep, with the number of what a remark made among those of its kind.
func (c Command) keepNumbered(b *pgx.Batch, actor auth.Actor, id int64, n int) {
	if c.Key != "" {
		b.Queue("UPDATE idempotency SET entity_id = $3, n = nullif($4, 0) WHERE actor = $1 AND key = $2", actor.ID, c.Key, id, n)
	}
}

// numbered is the number that the first remark with c's key was answered with.
func (c Command) numbered(ctx context.Context, tx pgx.Tx, actor auth.Actor) (n int, err error) {
	err = tx.QueryRow(ctx, "SELECT coalesce(n, 0) FROM idempotency WHERE actor = $1 AND key = $2", actor.ID, c.Key).Scan(&n)
	return n, err
}

// journal appends one entry to an incident's journal.
func journal(b *pgx.Batch, id int64, n, version int, s dispatch.Step, actor string, at time.Time) error {
	var data []byte
	if len(s.Data) > 0 {
		var err error
		if data, err = json.Marshal(s.Data); err != nil {
			return err
		}
	}
	b.Queue(`INSERT INTO incident_journal (incident_id, n, version, kind, from_state, to_state, actor, at, device_at, reason, data)
		VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, $8, $9, $10, $11)`,
		id, n, version, s.Kind, string(s.From), string(s.To), actor, at, s.DeviceAt, s.Reason, data)
	return nil
}

// Audit appends one entry to the audit log inside tx. data holds no personal field.
func Audit(ctx context.Context, tx pgx.Tx, actor auth.Actor, requestID, action, object, reason string, data any) error {
	b := &pgx.Batch{}
	if err := audit(b, actor, requestID, action, object, reason, data); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

func audit(b *pgx.Batch, actor auth.Actor, requestID, action, object, reason string, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	b.Queue("INSERT INTO audit_log (actor, request_id, action, object, reason, data) VALUES ($1, $2, $3, $4, $5, $6)",
		actor.ID, requestID, action, object, reason, raw)
	return nil
}

// outboxColumns are what an event is stored as, in the order of outboxRow.
var outboxColumns = []string{"kind", "entity_kind", "entity_id", "ver", "live", "occurred_at", "before_aud", "after_aud", "shared", "case_view"}

func outboxRow(e feed.Event) ([]any, error) {
	var before []byte
	var err error
	if e.Before.Grid != 0 {
		if before, err = json.Marshal(e.Before); err != nil {
			return nil, err
		}
	}
	after, err := json.Marshal(e.After)
	if err != nil {
		return nil, err
	}
	return []any{
		e.Kind, e.Entity.Kind, e.Entity.ID, int32(e.Ver), string(e.Live), e.OccurredAt, before, after, nullable(e.Shared), nullable(e.Case),
	}, nil
}

// emit puts one event into the outbox.
func emit(b *pgx.Batch, e feed.Event) error {
	row, err := outboxRow(e)
	if err != nil {
		return err
	}
	b.Queue(`INSERT INTO outbox (kind, entity_kind, entity_id, ver, live, occurred_at, before_aud, after_aud, shared, case_view)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, row...)
	return nil
}

func nullable(raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// Emit puts an event that belongs to no incident into the outbox inside tx: it gets
// its number only when tx has committed.
func Emit(ctx context.Context, tx pgx.Tx, e feed.Event) error {
	b := &pgx.Batch{}
	if err := emit(b, e); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return tx.SendBatch(ctx, b).Close()
}
