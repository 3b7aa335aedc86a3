// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/store"
)

// AuditRecord is one act in the audit log.
type AuditRecord struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"`
	Actor     string          `json:"actor" doc:"account:12, token:3, wall:hall-1, system:...; never a name"`
	RequestID string          `json:"request_id"`
	Action    string          `json:"action"`
	Object    string          `json:"object"`
	Reason    string          `json:"reason"`
	Data      json.RawMessage `json:"data" doc:"What stood there before and after"`
	Sealed    bool            `json:"sealed" doc:"The chain holds it"`
}

func (s *Server) audit() {
	route(s, need{auth.Read, auth.AuditLog}, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/api/v1/audit", Tags: []string{"audit"},
		Summary: "The audit log, newest first: an auditor's whole, an administrator's own acts",
	}, s.listAudit)
	route(s, need{auth.Read, auth.AuditLog}, huma.Operation{
		OperationID: "audit-seal", Method: http.MethodGet, Path: "/api/v1/audit/seal", Tags: []string{"audit"},
		Summary: "How far the chain over the audit log reaches; for auditors",
	}, s.auditSeal)
}

type auditInput struct {
	From   time.Time `query:"from"`
	To     time.Time `query:"to"`
	Actor  string    `query:"actor" maxLength:"64"`
	Action string    `query:"action" maxLength:"64" doc:"One action, or all that begin with it when it ends in a dot"`
	Object string    `query:"object" maxLength:"64"`
	Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"100"`
	Cursor string    `query:"cursor" maxLength:"32"`
}

type auditOutput struct {
	Body struct {
		Items  []AuditRecord `json:"items"`
		Cursor *string       `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

func (s *Server) listAudit(ctx context.Context, a caller, in *auditInput) (*auditOutput, error) {
	f := store.AuditFilter{From: in.From, To: in.To, Actor: in.Actor, Action: in.Action, Object: in.Object, Limit: in.Limit}
	if in.Cursor != "" {
		var err error
		if f.After, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || f.After <= 0 {
			return nil, problem(http.StatusBadRequest, "this cursor is not one of this list")
		}
	}
	list, err := s.o.Reads.AuditEntries(ctx, a.Decision, a.ID, f)
	if err != nil {
		return nil, err
	}
	out := &auditOutput{}
	out.Body.Items = make([]AuditRecord, len(list))
	for i, e := range list {
		out.Body.Items[i] = AuditRecord{
			ID: strconv.FormatInt(e.ID, 10), At: e.At, Actor: e.Actor, RequestID: e.RequestID, Action: e.Action, Object: e.Object,
			Reason: e.Reason, Data: e.Data, Sealed: e.Sealed,
		}
	}
	if len(list) == in.Limit {
		next := out.Body.Items[len(list)-1].ID
		out.Body.Cursor = &next
	}
	return out, nil
}

type sealOutput struct {
	Body struct {
		Sealed  int64      `json:"sealed" doc:"Rows in the chain"`
		Waiting int64      `json:"waiting" doc:"Rows that have no seal yet"`
		Hash    string     `json:"hash" doc:"Of the last seal, in hexadecimal digits: write it down elsewhere"`
		At      *time.Time `json:"at"`
	}
}

func (s *Server) auditSeal(ctx context.Context, a caller, _ *struct{}) (*sealOutput, error) {
	if a.Reach != auth.Everything {
		return nil, auth.ErrForbidden
	}
	st, err := s.o.Reads.AuditSealState(ctx)
	if err != nil {
		return nil, err
	}
	out := &sealOutput{}
	out.Body.Sealed, out.Body.Waiting, out.Body.Hash, out.Body.At = st.Sealed, st.Waiting, hex.EncodeToString(st.Hash), st.At
	return out, nil
}
