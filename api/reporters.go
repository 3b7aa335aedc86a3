// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/intake"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
)

// MaskedReporter is who reported an incident, as everybody who handles it may
// know: enough to tell two apart.
type MaskedReporter struct {
	N        int    `json:"n" doc:"1 for the first; later ones came with merged incidents"`
	Name     string `json:"name" doc:"The first character alone"`
	Phone    string `json:"phone" doc:"Starred in the middle"`
	IDNumber string `json:"id_number" doc:"Starred in the middle; empty where none was asked for"`
}

type reportersOutput struct {
	Body struct {
		Items []MaskedReporter `json:"items"`
	}
}

// RevealedReporter is one reporter in full.
type RevealedReporter struct {
	Name     string `json:"name"`
	Phone    string `json:"phone"`
	IDNumber string `json:"id_number"`
}

type revealInput struct {
	ID   int64 `path:"id" minimum:"1"`
	N    int   `path:"n" minimum:"1" maximum:"32767"`
	Body struct {
		Reason string `json:"reason,omitempty" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
	}
}

type revealOutput struct{ Body RevealedReporter }

func (s *Server) reporters() {
	route(s, need{auth.Read, auth.Reporter}, huma.Operation{
		OperationID: "list-reporters", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/reporters", Tags: []string{"incidents"},
		Summary: "Who reported an incident, masked", Errors: []int{404},
	}, s.listReporters)
	route(s, need{auth.Reveal, auth.Reporter}, huma.Operation{
		OperationID: "reveal-reporter", Method: http.MethodPost, Path: "/api/v1/incidents/{id}/reporters/{n}/reveal", Tags: []string{"incidents"},
		Summary: "One reporter in full; needs a reason, is counted and audited", Errors: []int{404, 422, 429},
	}, s.revealReporter)
}

func (s *Server) listReporters(ctx context.Context, c caller, in *incidentID) (*reportersOutput, error) {
	out := &reportersOutput{}
	out.Body.Items = []MaskedReporter{}
	err := s.o.Reads.InTx(ctx, func(tx pgx.Tx) error {
		all, err := s.o.Reads.Reporters(ctx, tx, c.Scope, s.o.Sealer, in.ID)
		for _, r := range all {
			out.Body.Items = append(out.Body.Items, MaskedReporter{r.N, auth.MaskName(r.Name), auth.MaskPhone(r.Phone), auth.MaskID(r.IDNumber)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Server) revealReporter(ctx context.Context, c caller, in *revealInput) (*revealOutput, error) {
	reason, err := reasonOf(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	act := daily{name: "reporter.reveal", object: fmt.Sprintf("incident/%d/reporter/%d", in.ID, in.N), reason: reason, limit: s.o.Limits.RevealsPerDay}
	var found store.Reporter
	err = s.onceMore(ctx, s.o.DB, c, act, func(tx pgx.Tx) (any, error) {
		all, err := s.o.DB.Reporters(ctx, tx, c.Scope, s.o.Sealer, in.ID)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(r store.Reporter) bool { return r.N == in.N })
		if i < 0 {
			return nil, store.ErrNotFound
		}
		found = all[i]
		return map[string]any{"fields": given(found)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &revealOutput{RevealedReporter{found.Name, found.Phone, found.IDNumber}}, nil
}

// given names the fields a reporter has.
func given(r store.Reporter) []string {
	names := []string{}
	for _, f := range []struct{ name, text string }{{"name", r.Name}, {"phone", r.Phone}, {"id_number", r.IDNumber}} {
		if f.text != "" {
			names = append(names, f.name)
		}
	}
	return names
}

// daily is an act that a person may do so many times a day.
type daily struct {
	name   string // in the audit log, by which it is counted
	object string
	reason string
	limit  int
}

// onceMore does a daily act and writes it down in one transaction: do returns
// what the audit entry says of it. What do read may be answered only after
// onceMore has returned nil. Over the limit nothing is done; the refusal is
// written down, no more refusals a day than the limit itself, so that nobody
// fills the log with them.
func (s *Server) onceMore(ctx context.Context, db *store.DB, c caller, act daily, do func(pgx.Tx) (any, error)) error {
	today, tomorrow := dayOf(s.o.Now())
	over := false
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		done, err := db.CountActsToday(ctx, tx, c.ID, act.name, today)
		if err != nil {
			return err
		}
		if over = done >= act.limit; over {
			refused, err := db.CountActsToday(ctx, tx, c.ID, act.name+".refused", today)
			if err != nil || refused >= act.limit {
				return err
			}
			return ledger.Audit(ctx, tx, c.Actor, requestID(ctx), act.name+".refused", act.object, act.reason, map[string]any{"limit": act.limit})
		}
		data, err := do(tx)
		if err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, c.Actor, requestID(ctx), act.name, act.object, act.reason, data)
	})
	if err == nil && over {
		s.count(act.name)
		err = tooMany(tomorrow.Sub(s.o.Now()), fmt.Sprintf("no more than %d a day and person; the count begins anew at midnight", act.limit))
	}
	return err
}

// dayOf is the day of t on the clocks of China.
func dayOf(t time.Time) (from, to time.Time) {
	l := people.Local(t)
	from = time.Date(l.Year(), l.Month(), l.Day(), 0, 0, 0, 0, l.Location())
	return from, from.AddDate(0, 0, 1)
}

const minReason, maxReason = 4, 500

// reasonOf is a reason as the audit log keeps it.
func reasonOf(text string) (string, error) {
	text, unclean := intake.Clean(text)
	if unclean != "" {
		return "", problem(http.StatusBadRequest, "reason "+unclean)
	}
	seen := 0
	for _, r := range text {
		if unicode.IsGraphic(r) && !unicode.IsSpace(r) {
			seen++
		}
	}
	if seen < minReason || utf8.RuneCountInString(text) > maxReason {
		return "", problem(http.StatusUnprocessableEntity, fmt.Sprintf("reason: say why, in %d to %d characters; it is kept in the audit log", minReason, maxReason))
	}
	return text, nil
}
