// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

// SupervisionItem is a 督办: a level's duty officer asks the owner of an incident's
// stage for an answer by a limit.
type SupervisionItem struct {
	ID         string     `json:"id"`
	Incident   string     `json:"incident"`
	Number     string     `json:"number" doc:"Of the incident, as people read it out"`
	N          int        `json:"n" doc:"Number of the supervision of this incident, from 1"`
	Stage      int        `json:"stage"`
	OwnerLevel int        `json:"owner_level" doc:"The level that is asked"`
	Level      int        `json:"level" doc:"The level that asks"`
	Officers   []string   `json:"officers" doc:"Who had the duty of that level when it was opened; none: nobody had"`
	Skipped    []int      `json:"skipped" doc:"Levels in between that had no duty officer: holes to fill"`
	Reason     string     `json:"reason,omitempty"`
	OpenedAt   time.Time  `json:"opened_at"`
	OpenedBy   string     `json:"opened_by"`
	ReplyDue   time.Time  `json:"reply_due" doc:"Without an answer by then the incident moves up a level"`
	Reply      string     `json:"reply,omitempty"`
	RepliedAt  *time.Time `json:"replied_at"`
	RepliedBy  string     `json:"replied_by,omitempty"`
	Closed     bool       `json:"closed"`
	ClosedAt   *time.Time `json:"closed_at"`
	Outcome    string     `json:"outcome,omitempty" enum:"ended,moved_up" doc:"ended: the stage it asked of ended; moved_up: for want of an answer"`
	MayReply   *bool      `json:"may_reply,omitempty" doc:"In the list of one incident: whether the caller may answer it now"`
	Repeated   bool       `json:"repeated,omitempty" doc:"An earlier request with the same key did it"`
}

// SupervisionList is a page of supervisions with the counts of all in scope.
type SupervisionList struct {
	Items      []SupervisionItem `json:"items"`
	Open       int               `json:"open"`
	Closed     int               `json:"closed"`
	Unanswered int               `json:"unanswered" doc:"Open, without an answer and past its limit"`
	Cursor     *string           `json:"cursor" doc:"Send it back for the next page; null on the last"`
}

type supervisionsInput struct {
	Incident int64  `query:"incident" minimum:"1" doc:"Of this incident alone"`
	Open     string `query:"open" enum:"true,false"`
	Limit    int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor   string `query:"cursor" maxLength:"20"`
}

type supervisionsOutput struct{ Body SupervisionList }

type superviseInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Reason string     `json:"reason" minLength:"1" maxLength:"1000"`
		Reply  *LimitItem `json:"reply,omitempty" doc:"The limit of the answer; the ladder's when left out"`
	}
}

type replyInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"2000"`
	}
}

type supervisionOutput struct{ Body SupervisionItem }

func (s *Server) supervisions() {
	route(s, need{auth.Read, auth.Supervision}, huma.Operation{
		OperationID: "list-supervisions", Method: http.MethodGet, Path: "/api/v1/supervisions", Tags: []string{"clocks"},
		Summary: "Supervisions 督办, the newest first, with the counts of open and closed ones",
	}, s.listSupervisions)
	route(s, need{auth.Write, auth.Supervision}, huma.Operation{
		OperationID: "open-supervision", Method: http.MethodPost, Path: "/api/v1/incidents/{id}/supervisions", Tags: []string{"clocks"},
		Summary: "Open a supervision of an incident that a level below owes", DefaultStatus: http.StatusCreated, Errors: []int{404, 409, 422},
	}, s.openSupervision)
	route(s, need{auth.Write, auth.IncidentData}, huma.Operation{
		OperationID: "reply-to-supervision", Method: http.MethodPost, Path: "/api/v1/supervisions/{id}/reply", Tags: []string{"clocks"},
		Summary: "Answer a supervision: its incident does not move up for it any more", Errors: []int{404, 409, 422},
	}, s.replyToSupervision)
}

func orBlank(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func supervisionItem(x store.Supervision, v auth.View) SupervisionItem {
	i := SupervisionItem{
		ID: strconv.FormatInt(x.ID, 10), Incident: strconv.FormatInt(x.Incident, 10), Number: store.IncidentNumber(x.Incident), N: x.N, Stage: x.Stage,
		OwnerLevel: x.OwnerLevel, Level: x.Level, Officers: x.Officers, Skipped: x.Skipped, Reason: x.Reason, OpenedAt: x.OpenedAt, OpenedBy: x.OpenedBy,
		ReplyDue: x.ReplyDue, Reply: orBlank(x.Answer), RepliedAt: x.RepliedAt, RepliedBy: orBlank(x.RepliedBy), Closed: x.ClosedAt != nil, ClosedAt: x.ClosedAt,
		Outcome: orBlank(x.Outcome),
	}
	if v != auth.CaseView {
		i.Reason, i.Reply = "", "" // they tell of the case
	}
	return i
}

func (s *Server) listSupervisions(ctx context.Context, a caller, in *supervisionsInput) (*supervisionsOutput, error) {
	f := store.SupervisionFilter{Incident: in.Incident, Open: flag(in.Open), Limit: in.Limit + 1}
	if in.Cursor != "" {
		var err error
		if f.Before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil {
			return nil, problem(http.StatusBadRequest, "cursor is not one this server gave out")
		}
	}
	rows, err := s.reads(a).Supervisions(ctx, a.Scope, f)
	if err != nil {
		return nil, err
	}
	n, err := s.reads(a).CountSupervisions(ctx, a.Scope, f, s.o.Now())
	if err != nil {
		return nil, err
	}
	out := &supervisionsOutput{SupervisionList{Items: []SupervisionItem{}, Open: n.Open, Closed: n.Closed, Unanswered: n.Unanswered}}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		c := strconv.FormatInt(rows[in.Limit-1].ID, 10)
		out.Body.Cursor = &c
	}
	for _, r := range rows {
		item := supervisionItem(r, a.View)
		if in.Incident != 0 {
			may, err := s.o.Ledger.MayReply(ctx, a.Actor, r)
			if err != nil {
				return nil, err
			}
			item.MayReply = &may
		}
		out.Body.Items = append(out.Body.Items, item)
	}
	return out, nil
}

func (s *Server) openSupervision(ctx context.Context, a caller, in *superviseInput) (*supervisionOutput, error) {
	reason, unclean := intake.Clean(in.Body.Reason)
	if unclean != "" {
		return nil, problem(http.StatusBadRequest, "reason "+unclean)
	}
	ask := &ledger.Supervise{Incident: in.ID, Reason: reason}
	if r := in.Body.Reply; r != nil {
		ask.Reply = dispatch.Limit{Value: r.Value, Unit: calendar.Unit(r.Unit)}
		if err := ask.Reply.Check(); err != nil || ask.Reply.Unit == calendar.SameDay {
			return nil, problem(http.StatusUnprocessableEntity, "reply: a limit in min, nh, wh, wd or cd, of a thousand days at most")
		}
	}
	res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("supervise %d\n%s", in.ID, bodyOf(ctx)))), RequestID: requestID(ctx), Supervise: ask,
	})
	return s.supervisionAnswer(a, res, err)
}

func (s *Server) replyToSupervision(ctx context.Context, a caller, in *replyInput) (*supervisionOutput, error) {
	text, unclean := intake.Clean(in.Body.Text)
	if unclean != "" {
		return nil, problem(http.StatusBadRequest, "text "+unclean)
	}
	res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("reply %d\n%s", in.ID, bodyOf(ctx)))), RequestID: requestID(ctx),
		Reply: &ledger.Reply{Supervision: in.ID, Text: text},
	})
	return s.supervisionAnswer(a, res, err)
}

func (s *Server) supervisionAnswer(a caller, res ledger.Result, err error) (*supervisionOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &supervisionOutput{supervisionItem(res.Supervision, a.View)}
	out.Body.Repeated = res.Repeated
	return out, nil
}

// supervisionRefused is what the sender of a supervision or an answer is told.
func supervisionRefused(err error) string {
	for _, known := range []error{ledger.ErrNotAbove, ledger.ErrAnswered, ledger.ErrOwnWord, ledger.ErrNotAsked, ledger.ErrNotOpen} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "not possible now"
}
