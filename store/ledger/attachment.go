// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/store"
)

// Attachment is one step of an attachment's life: exactly one of Begin, Whole,
// Refuse, Expire and Remove. None moves the incident's version; that one came to be
// ready or was removed stands in the incident's journal.
type Attachment struct {
	Incident int64
	N        int // 0 for Begin

	Begin  *AttachmentBegin
	Whole  *store.FoundFile // its files are on the disk; who began it is who attached it
	Refuse string           // why its content is not taken
	Expire bool             // its sender did not go on
	Remove *AttachmentRemoval
}

// AttachmentBegin declares a file before its first byte.
type AttachmentBegin struct {
	ClientRef  string // a repetition by the same actor answers the first one; "" for none
	Kind, Type string
	Size       int64
	SHA256     store.FileHash
	CapturedAt *time.Time
	Place      *geo.Raw // a place of its datum: checked before
	Limits     AttachmentLimits
}

// AttachmentLimits are what one actor may begin.
type AttachmentLimits struct {
	Since    time.Time // begun at or after that time they count
	Day      int       // of any incident
	DayBytes int64
	Kind     int // of one incident and this kind
	Incident int // of one incident and everybody, whenever; those that came to nothing do not count
}

// AttachmentRemoval takes an attachment away.
type AttachmentRemoval struct{ Reason string }

// What a step of an attachment is refused for.
var (
	ErrTooManyAttached  = errors.New("no more files of this kind a day may be added to this incident by one sender")
	ErrIncidentFull     = errors.New("the incident has as many files as one may have")
	ErrDayFull          = errors.New("this account has sent as many files as one may a day")
	ErrIncidentArchived = errors.New("the incident is archived or came in by an import: nothing is added to it")
	ErrNotPending       = errors.New("the upload has ended")
	ErrNotTheirs        = errors.New("only who sent a file and the hall take it away")
)

// attachment carries out one step. The incident's row is locked first, so that
// numbers and limits hold.
func (l *Ledger) attachment(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	s := c.Attachment
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var d auth.Decision
		switch {
		case s.Begin != nil:
			d, err = auth.Decide(actor, auth.Write, auth.Attachment)
		case s.Remove != nil:
			d, err = auth.Decide(actor, auth.Remove, auth.Attachment)
		default: // its own work: who sent it had the right when the bytes came
			d.Scope = auth.System("an attachment that is whole, refused or too late")
		}
		if err != nil {
			return err
		}
		if res.Incident, err = store.FindIncident(ctx, tx, d.Scope, auth.CaseView, s.Incident, true); err != nil {
			return err
		}
		if s.Begin != nil {
			return l.beginAttachment(ctx, tx, actor, s.Begin, &res)
		}
		if res.Attachment, err = store.FindAttachment(ctx, tx, s.Incident, s.N); err != nil {
			return err
		}
		if s.Remove != nil {
			return l.removeAttachment(ctx, tx, actor, d, c, &res)
		}
		return l.endUpload(ctx, tx, c, &res)
	})
	return res, err
}

// beginAttachment makes the row of an upload to come, or finds the one that this
// actor began by the same name.
func (l *Ledger) beginAttachment(ctx context.Context, tx pgx.Tx, actor auth.Actor, b *AttachmentBegin, res *Result) error {
	in, now := res.Incident, l.o.Now()
	if b.ClientRef != "" {
		first, err := store.AttachmentByRef(ctx, tx, actor.ID, b.ClientRef)
		switch {
		case err == nil && (first.Incident != in.ID || first.SHA256 != b.SHA256 || first.Size != b.Size):
			return ErrKeyReused
		case err == nil:
			res.Attachment, res.Repeated = first, true
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	if in.History || in.State == dispatch.State("archived") {
		return ErrIncidentArchived
	}
	var day, sameKind, all int
	var dayBytes int64
	err := tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(size), 0)::bigint, count(*) FILTER (WHERE incident_id = $3 AND kind = $4 AND state IN ('pending', 'ready')),
		(SELECT count(*) FROM attachment WHERE incident_id = $3 AND state IN ('pending', 'ready')) FROM attachment WHERE uploader = $1 AND begun_at >= $2`,
		actor.ID, b.Limits.Since, in.ID, b.Kind).Scan(&day, &dayBytes, &sameKind, &all)
	switch {
	case err != nil:
		return err
	case day >= b.Limits.Day, dayBytes+b.Size > b.Limits.DayBytes:
		return ErrDayFull
	case sameKind >= b.Limits.Kind:
		return ErrTooManyAttached
	case all >= b.Limits.Incident:
		return ErrIncidentFull
	}
	var geom, lon, lat, datum, ref any
	if p := b.Place; p != nil {
		w, err := p.WGS84()
		if err != nil {
			return err
		}
		geom, lon, lat, datum = w, p.Lon, p.Lat, string(p.Datum)
	}
	if b.ClientRef != "" {
		ref = b.ClientRef
	}
	var n int
	err = tx.QueryRow(ctx, `INSERT INTO attachment (incident_id, n, uploader, client_ref, begun_at, kind, declared_type, size, sha256, captured_at,
		captured_geom, captured_lon, captured_lat, captured_datum)
		SELECT $1, coalesce(max(n), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM attachment WHERE incident_id = $1 RETURNING n`,
		in.ID, actor.ID, ref, now, b.Kind, b.Type, b.Size, b.SHA256[:], moment(b.CapturedAt), geom, lon, lat, datum).Scan(&n)
	if err != nil {
		return err
	}
	res.Attachment, err = store.FindAttachment(ctx, tx, in.ID, n)
	return err
}

// endUpload makes a pending attachment ready, refused or expired. One that is ready
// by the same bytes already is answered as it is.
func (l *Ledger) endUpload(ctx context.Context, tx pgx.Tx, c Command, res *Result) error {
	s, a, now := c.Attachment, res.Attachment, l.o.Now()
	if s.Whole != nil && a.State == store.Ready && a.Found.Served == s.Whole.Served {
		res.Repeated = true
		return nil
	}
	if a.State != store.Pending {
		return ErrNotPending
	}
	var err error
	switch {
	case s.Whole != nil:
		err = l.attached(ctx, tx, c, a, res.Incident)
	case s.Refuse != "":
		_, err = tx.Exec(ctx, "UPDATE attachment SET state = 'refused', refusal = $3, ended_at = $4 WHERE incident_id = $1 AND n = $2 AND state = 'pending'",
			a.Incident, a.N, s.Refuse, now)
	case s.Expire:
		_, err = tx.Exec(ctx, "UPDATE attachment SET state = 'expired', ended_at = $3 WHERE incident_id = $1 AND n = $2 AND state = 'pending'", a.Incident, a.N, now)
	default:
		err = errors.New("empty step of an attachment")
	}
	if err == nil {
		res.Attachment, err = store.FindAttachment(ctx, tx, a.Incident, a.N)
	}
	return err
}

// attached writes that an attachment is ready: its row, the journal, the audit.
func (l *Ledger) attached(ctx context.Context, tx pgx.Tx, c Command, a store.Attachment, in store.Incident) error {
	f, now := c.Attachment.Whole, l.o.Now()
	var lon, lat, datum, thumb any
	if p := f.Place; p != nil {
		lon, lat, datum = p.Lon, p.Lat, p.Datum
	}
	if f.Thumb != nil {
		thumb = f.Thumb[:]
	}
	_, err := tx.Exec(ctx, `UPDATE attachment SET state = 'ready', type = $3, width = nullif($4, 0), height = nullif($5, 0), duration_ms = nullif($6, 0),
		file_captured_at = $7, file_lon = $8, file_lat = $9, file_datum = $10, served_sha256 = $11, served_size = $12, thumb_sha256 = $13, ready_at = $14
		WHERE incident_id = $1 AND n = $2 AND state = 'pending'`,
		a.Incident, a.N, f.Type, f.Width, f.Height, int(f.Duration/time.Millisecond), moment(f.CapturedAt), lon, lat, datum, f.Served[:], f.ServedSize, thumb, now)
	if err != nil {
		return err
	}
	step := dispatch.Step{Kind: "attach", Reason: fmt.Sprintf("%s %d", a.Kind, a.N), DeviceAt: a.CapturedAt}
	return l.noteAttachment(ctx, tx, auth.Actor{ID: a.Uploader}, c, a, in, step, "incident.attach", "")
}

// removeAttachment takes one away: the row stays, the files go with the sweep.
func (l *Ledger) removeAttachment(ctx context.Context, tx pgx.Tx, actor auth.Actor, d auth.Decision, c Command, res *Result) error {
	a, reason := res.Attachment, c.Attachment.Remove.Reason
	own := a.Uploader == actor.ID
	switch {
	case d.Reach != auth.OwnGrids && !own:
		return ErrNotTheirs
	case a.State != store.Pending && a.State != store.Ready:
		return ErrNotPending
	case reason == "" && !(own && a.State == store.Pending): // giving up one's own upload needs no word
		return dispatch.ErrReasonMissing
	}
	_, err := tx.Exec(ctx, "UPDATE attachment SET state = 'removed', removed_by = $3, reason = $4, ended_at = $5 WHERE incident_id = $1 AND n = $2",
		a.Incident, a.N, actor.ID, reason, l.o.Now())
	if err == nil && a.State == store.Ready {
		step := dispatch.Step{Kind: "detach", Reason: reason}
		err = l.noteAttachment(ctx, tx, actor, c, a, res.Incident, step, "incident.detach", reason)
	}
	if err == nil {
		res.Attachment, err = store.FindAttachment(ctx, tx, a.Incident, a.N)
	}
	return err
}

// noteAttachment writes the journal entry and the audit entry of a step. The audit
// holds the hash of the file as it was received: its seal vouches for the bytes.
func (l *Ledger) noteAttachment(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command, a store.Attachment, in store.Incident, step dispatch.Step, action, reason string) error {
	var n int
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(n), 0) + 1 FROM incident_journal WHERE incident_id = $1", in.ID).Scan(&n); err != nil {
		return err
	}
	b := &pgx.Batch{}
	journal(b, in.ID, n, in.Version, step, actor.ID, l.o.Now())
	err := audit(b, actor, c.RequestID, action, fmt.Sprintf("incident/%d/attachment/%d", a.Incident, a.N), reason,
		map[string]any{"kind": a.Kind, "size": a.Size, "sha256": a.SHA256.String()})
	if err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}
