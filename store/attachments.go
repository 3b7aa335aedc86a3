// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo"
)

// AttachmentState is where an attachment stands.
type AttachmentState string

// The states of an attachment. Of one that ended before it was ready nothing is kept
// but its row; of a removed one the files go a day later.
const (
	Pending AttachmentState = "pending" // not all of its bytes are here, or not yet looked at
	Ready   AttachmentState = "ready"
	Refused AttachmentState = "refused" // its content is not taken
	Expired AttachmentState = "expired" // its sender did not go on in time
	Removed AttachmentState = "removed"
)

// FileHash is a SHA-256; in the data folder a file's name.
type FileHash [32]byte

func (h FileHash) String() string { return hex.EncodeToString(h[:]) }

// Attachment is a photo, a recording or a film of an incident.
type Attachment struct {
	Incident  int64
	N         int // within the incident
	State     AttachmentState
	Uploader  string // an actor's id
	ClientRef string // its sender's own name for it; "" for none
	BegunAt   time.Time

	Kind         string // photo, voice, video
	DeclaredType string
	Size         int64
	SHA256       FileHash // of the file as its sender declared it, and as it was received

	CapturedAt *time.Time // by the device's clock, where it was told
	Captured   *geo.WGS84
	RawPlace   *geo.Raw

	Found *FoundFile // nil until it is ready

	Refusal string // why it is not taken
	EndedAt *time.Time
	Reason  string // of a removal
}

// FoundFile is what a file turned out to be. Its time and place are what it said
// itself before that was taken out of what is served; nothing vouches for them.
type FoundFile struct {
	Type          string
	Width, Height int
	Duration      time.Duration
	CapturedAt    *time.Time
	Place         *FilePlace
	Served        FileHash // the copy that is served
	ServedSize    int64
	Thumb         *FileHash // of a photo
	ReadyAt       time.Time
}

// FilePlace is a place as it stands in a file. Its datum is what the file calls it,
// often nothing: it is never shown on a map.
type FilePlace struct {
	Lon, Lat float64
	Datum    string
}

const attachmentColumns = `a.incident_id, a.n, a.state, a.uploader, coalesce(a.client_ref, ''), a.begun_at, a.kind, a.declared_type, a.size, a.sha256,
 a.captured_at, a.captured_geom, a.captured_lon, a.captured_lat, a.captured_datum, coalesce(a.type, ''), coalesce(a.width, 0), coalesce(a.height, 0),
 coalesce(a.duration_ms, 0), a.file_captured_at, a.file_lon, a.file_lat, a.file_datum, a.served_sha256, coalesce(a.served_size, 0), a.thumb_sha256, a.ready_at,
 a.refusal, a.ended_at, a.reason`

func scanAttachment(row pgx.CollectableRow) (Attachment, error) {
	var a Attachment
	var f FoundFile
	var whole, served, thumb []byte
	var lon, lat, fileLon, fileLat *float64
	var datum, fileDatum *string
	var milli int64
	var ready *time.Time
	err := row.Scan(&a.Incident, &a.N, &a.State, &a.Uploader, &a.ClientRef, &a.BegunAt, &a.Kind, &a.DeclaredType, &a.Size, &whole,
		&a.CapturedAt, &a.Captured, &lon, &lat, &datum, &f.Type, &f.Width, &f.Height, &milli, &f.CapturedAt, &fileLon, &fileLat, &fileDatum,
		&served, &f.ServedSize, &thumb, &ready, &a.Refusal, &a.EndedAt, &a.Reason)
	if err != nil {
		return a, err
	}
	copy(a.SHA256[:], whole)
	if lon != nil && lat != nil && datum != nil {
		a.RawPlace = &geo.Raw{Lon: *lon, Lat: *lat, Datum: geo.Datum(*datum)}
	}
	if ready == nil {
		return a, nil
	}
	f.ReadyAt, f.Duration = *ready, time.Duration(milli)*time.Millisecond
	copy(f.Served[:], served)
	if thumb != nil {
		f.Thumb = (*FileHash)(thumb)
	}
	if fileLon != nil && fileLat != nil && fileDatum != nil {
		f.Place = &FilePlace{*fileLon, *fileLat, *fileDatum}
	}
	a.Found = &f
	return a, nil
}

// Attachments returns what is attached to an incident, in order, or ErrNotFound when
// the incident is out of scope.
func (db *DB) Attachments(ctx context.Context, s auth.Scope, incident int64) ([]Attachment, error) {
	if _, err := db.Incident(ctx, s, auth.CaseView, incident); err != nil {
		return nil, err
	}
	rows, err := db.Pool.Query(ctx, "SELECT "+attachmentColumns+" FROM attachment a WHERE a.incident_id = $1 ORDER BY a.n", incident)
	if err != nil {
		return nil, fmt.Errorf("store: attachments of incident %d: %w", incident, err)
	}
	out, err := pgx.CollectRows(rows, scanAttachment)
	if err != nil {
		return nil, fmt.Errorf("store: attachments of incident %d: %w", incident, err)
	}
	return out, nil
}

// Attachment returns one, or ErrNotFound when its incident is out of scope.
func (db *DB) Attachment(ctx context.Context, s auth.Scope, incident int64, n int) (Attachment, error) {
	if _, err := db.Incident(ctx, s, auth.CaseView, incident); err != nil {
		return Attachment{}, err
	}
	return FindAttachment(ctx, db.Pool, incident, n)
}

// FindAttachment is Attachment for who was let to its incident before.
func FindAttachment(ctx context.Context, tx Querier, incident int64, n int) (Attachment, error) {
	return oneAttachment(ctx, tx, "SELECT "+attachmentColumns+" FROM attachment a WHERE a.incident_id = $1 AND a.n = $2", incident, n)
}

// AttachmentByRef is the living attachment that an uploader calls ref, or ErrNotFound.
func AttachmentByRef(ctx context.Context, tx Querier, uploader, ref string) (Attachment, error) {
	return oneAttachment(ctx, tx, "SELECT "+attachmentColumns+" FROM attachment a WHERE a.uploader = $1 AND a.client_ref = $2 AND a.state IN ('pending', 'ready')", uploader, ref)
}

func oneAttachment(ctx context.Context, tx Querier, sql string, args ...any) (Attachment, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return Attachment{}, fmt.Errorf("store: attachment: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAttachment)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Attachment{}, fmt.Errorf("store: attachment: %w", err)
	}
	return a, nil
}

// HasEvidence reports whether something is attached to an incident, whole and not
// removed: what a step that needs evidence asks, under the lock of the incident's row.
func HasEvidence(ctx context.Context, tx Querier, incident int64) (has bool, err error) {
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM attachment WHERE incident_id = $1 AND state = 'ready')", incident).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("store: evidence of incident %d: %w", incident, err)
	}
	return has, nil
}

// PendingAttachments returns what is not whole yet, the oldest first.
func (db *DB) PendingAttachments(ctx context.Context) ([]Attachment, error) {
	rows, err := db.Pool.Query(ctx, "SELECT "+attachmentColumns+" FROM attachment a WHERE a.state = 'pending' ORDER BY a.begun_at")
	if err != nil {
		return nil, fmt.Errorf("store: pending attachments: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanAttachment)
	if err != nil {
		return nil, fmt.Errorf("store: pending attachments: %w", err)
	}
	return out, nil
}

// FilesOfAttachments returns the hash of every file that rows need: of those that are
// ready, and of those removed after a time.
func (db *DB) FilesOfAttachments(ctx context.Context, removedAfter time.Time) (map[FileHash]bool, error) {
	rows, err := db.Pool.Query(ctx, `SELECT f.hash FROM attachment a, LATERAL (VALUES (a.sha256), (a.served_sha256), (a.thumb_sha256)) AS f (hash)
		WHERE (a.state = 'ready' OR a.state = 'removed' AND a.ready_at IS NOT NULL AND a.ended_at > $1) AND f.hash IS NOT NULL`, removedAfter)
	if err != nil {
		return nil, fmt.Errorf("store: files of attachments: %w", err)
	}
	out := map[FileHash]bool{}
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&hash}, func() error {
		out[FileHash(hash)] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: files of attachments: %w", err)
	}
	return out, nil
}
