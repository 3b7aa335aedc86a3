// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
)

// Dossier is what is known of one incident, put together. It holds no personal field.
type Dossier struct {
	Incident     PublicIncident       `json:"incident"`
	FirstAsked   string               `json:"first_asked" doc:"Who took it in"`
	Stages       []DossierStage       `json:"stages"`
	Journal      []DossierEntry       `json:"journal"`
	Requests     []DossierRequest     `json:"requests"`
	Instructions []DossierInstruction `json:"instructions"`
	Sessions     []DossierSession     `json:"sessions"`
	CallBacks    []DossierCallBack    `json:"call_backs"`
	Assistants   []DossierAssistant   `json:"assistants"`
}

// DossierStage is the time that one owner had the incident.
type DossierStage struct {
	N           int        `json:"n"`
	Level       int        `json:"level"`
	Department  string     `json:"department,omitempty"`
	StartedAt   time.Time  `json:"started_at"`
	Due         *time.Time `json:"due"`
	DueRule     string     `json:"due_rule,omitempty"`
	Provisional bool       `json:"provisional,omitempty"`
	EndedAt     *time.Time `json:"ended_at"`
}

// DossierEntry is one act in the journal.
type DossierEntry struct {
	N        int            `json:"n"`
	Version  int            `json:"version"`
	Kind     string         `json:"kind"`
	From     string         `json:"from,omitempty"`
	To       string         `json:"to,omitempty"`
	Actor    string         `json:"actor"`
	At       time.Time      `json:"at"`
	DeviceAt *time.Time     `json:"device_at,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Moved    *GridMove      `json:"moved,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
}

// DossierRequest is what one person asked for and another decided.
type DossierRequest struct {
	N         int        `json:"n"`
	Kind      string     `json:"kind" enum:"void,extend,suspend"`
	State     string     `json:"state" enum:"open,approved,refused,lapsed"`
	Reason    string     `json:"reason"`
	Value     *int       `json:"value,omitempty"`
	Unit      *string    `json:"unit,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	AskedBy   string     `json:"asked_by"`
	AskedAt   time.Time  `json:"asked_at"`
	DecidedBy *string    `json:"decided_by"`
	DecidedAt *time.Time `json:"decided_at"`
	Answer    string     `json:"answer,omitempty"`
}

// DossierInstruction is what a leader wrote, and the reply.
type DossierInstruction struct {
	N         int        `json:"n"`
	Text      string     `json:"text"`
	Due       time.Time  `json:"due"`
	GivenBy   string     `json:"given_by"`
	GivenAt   time.Time  `json:"given_at"`
	Reply     *string    `json:"reply"`
	RepliedBy *string    `json:"replied_by"`
	RepliedAt *time.Time `json:"replied_at"`
}

// DossierSession is a joint session.
type DossierSession struct {
	N           int        `json:"n"`
	At          time.Time  `json:"at"`
	Place       string     `json:"place"`
	FollowUp    string     `json:"follow_up"`
	Seats       []Seat     `json:"seats"`
	CalledBy    string     `json:"called_by"`
	CalledAt    time.Time  `json:"called_at"`
	ConfirmedBy *string    `json:"confirmed_by"`
	ConfirmedAt *time.Time `json:"confirmed_at"`
	Ver         int        `json:"ver" doc:"Moves with every change, from 1; send it back to change or confirm it"`
	ChangedBy   *string    `json:"changed_by" doc:"Who changed it last; null where nobody did, or before versions were kept"`
	ChangedAt   *time.Time `json:"changed_at"`
}

// DossierCallBack is what a reporter is owed after the end, and what came of it.
type DossierCallBack struct {
	N        int        `json:"n"`
	Reporter int        `json:"reporter" doc:"n of the reporter"`
	Closes   string     `json:"closes" doc:"The incident whose end it is about: this one, or the one it was merged into"`
	OwedBy   string     `json:"owed_by" doc:"Who was asked first"`
	Due      time.Time  `json:"due"`
	Tries    int        `json:"tries" doc:"Calls that reached nobody"`
	DoneAt   *time.Time `json:"done_at"`
	DoneBy   *string    `json:"done_by"`
	Outcome  *string    `json:"outcome" doc:"unreached, satisfied, basically, unsatisfied; null while it is owed"`
	Text     string     `json:"text,omitempty"`
}

// DossierAssistant is a department that assists, or did.
type DossierAssistant struct {
	Department string     `json:"department"`
	Since      time.Time  `json:"since"`
	Until      *time.Time `json:"until"`
}

// Dossier puts together what is known of an incident, which the caller may see whole.
func (c *Catalogue) Dossier(ctx context.Context, tx Querier, in Incident) (d Dossier, err error) {
	if d.Incident, err = c.Public(ctx, in, auth.CaseView); err != nil {
		return d, err
	}
	if err = tx.QueryRow(ctx, "SELECT first_asked FROM incident WHERE id = $1", in.ID).Scan(&d.FirstAsked); err != nil {
		return d, fmt.Errorf("store: dossier of incident %d: %w", in.ID, err)
	}
	stages, err := stagesOf(ctx, tx, in.ID)
	if err != nil {
		return d, err
	}
	journal, err := journalOf(ctx, tx, in.ID)
	if err != nil {
		return d, err
	}
	m, err := RemarksOf(ctx, tx, in.ID)
	if err != nil {
		return d, err
	}
	d.Stages, d.Journal = []DossierStage{}, []DossierEntry{}
	for _, s := range stages {
		d.Stages = append(d.Stages, DossierStage{s.N, s.Level, c.Now().DeptNames[s.Department], s.StartedAt, s.Due, s.Rule, s.Provisional, s.EndedAt})
	}
	for _, e := range journal {
		d.Journal = append(d.Journal, DossierEntry(e))
	}
	d.remarks(c.Now(), m)
	return d, nil
}

// remarks fills in the remarks.
func (d *Dossier) remarks(c *Catalog, m Remarks) {
	d.Requests, d.Instructions, d.Sessions = []DossierRequest{}, []DossierInstruction{}, []DossierSession{}
	d.CallBacks, d.Assistants = []DossierCallBack{}, []DossierAssistant{}
	for _, r := range m.Requests {
		d.Requests = append(d.Requests, r.Public())
	}
	for _, r := range m.Instructions {
		d.Instructions = append(d.Instructions, r.Public())
	}
	for _, r := range m.Sessions {
		d.Sessions = append(d.Sessions, r.Public())
	}
	for _, r := range m.CallBacks {
		d.CallBacks = append(d.CallBacks, r.Public())
	}
	for _, r := range m.Assistants {
		d.Assistants = append(d.Assistants, DossierAssistant{c.DeptNames[r.Department], r.Since.UTC(), inUTC(r.Until)})
	}
}

// Remarks is the part of a dossier that no act of the machine makes.
func (c *Catalog) Remarks(m Remarks) (d Dossier) {
	d.remarks(c, m)
	return d
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// Public is r as answers carry it.
func (r RequestRow) Public() DossierRequest {
	return DossierRequest{r.N, r.Kind, r.State, r.Reason, r.Value, r.Unit, inUTC(r.Until), r.AskedBy, r.AskedAt.UTC(), r.DecidedBy, inUTC(r.DecidedAt), r.Answer}
}

// Public is r as answers carry it.
func (r Instruction) Public() DossierInstruction {
	return DossierInstruction{r.N, r.Text, r.Due.UTC(), r.GivenBy, r.GivenAt.UTC(), r.Reply, r.RepliedBy, inUTC(r.RepliedAt)}
}

// Public is r as answers carry it.
func (r JointSession) Public() DossierSession {
	return DossierSession{r.N, r.At.UTC(), r.Place, r.FollowUp, r.Seats, r.CalledBy, r.CalledAt.UTC(), r.ConfirmedBy, inUTC(r.ConfirmedAt), r.Ver, r.ChangedBy, inUTC(r.ChangedAt)}
}

// Public is r as answers carry it.
func (r CallBackRow) Public() DossierCallBack {
	return DossierCallBack{r.N, r.Reporter, fmt.Sprint(r.Closes), r.OwedBy, r.Due.UTC(), r.Tries, inUTC(r.DoneAt), r.DoneBy, r.Outcome, r.Text}
}

// Filed is the dossier that was stored when an incident was archived, and its hash in
// the journal; nil for one that is not archived.
type Filed struct {
	Body   []byte
	SHA256 string // hexadecimal, as the journal has it
	At     time.Time
}

// DossierOf is the dossier of an incident: as it was stored for an archived one, else
// as it stands. ErrNotFound when it is out of scope.
func (db *DB) DossierOf(ctx context.Context, c *Catalogue, s auth.Scope, id int64) (d Dossier, f *Filed, err error) {
	err = db.readOnly(ctx, func(tx pgx.Tx) error {
		in, err := FindIncident(ctx, tx, s, auth.CaseView, id, false)
		if err != nil {
			return err
		}
		f = &Filed{}
		err = tx.QueryRow(ctx, `SELECT d.body, d.at, j.data ->> 'dossier' FROM dossier d JOIN incident_journal j ON j.incident_id = d.incident_id AND j.kind = 'archive'
			WHERE d.incident_id = $1`, id).Scan(&f.Body, &f.At, &f.SHA256)
		if err == nil || in.State == dispatch.Archived && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		f = nil
		d, err = c.Dossier(ctx, tx, in)
		return err
	})
	if err != nil {
		return d, nil, fmt.Errorf("store: dossier of incident %d: %w", id, err)
	}
	return d, f, nil
}
