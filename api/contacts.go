// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
)

// ContactItem is who heads a unit or a building, masked.
type ContactItem struct {
	ID       string `json:"id"`
	Role     string `json:"role" enum:"unit_head,building_head"`
	Building string `json:"building"`
	Unit     string `json:"unit"`
	Name     string `json:"name" doc:"The first character alone"`
	Phone    string `json:"phone" doc:"Starred in the middle"`
}

type (
	contactsInput struct {
		Code   string `path:"code" maxLength:"64"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"200"`
		Cursor string `query:"cursor" maxLength:"32"`
		County string `query:"county" maxLength:"64" doc:"Code of the grid's county, where two use the same code"`
	}
	contactsOutput struct {
		Body struct {
			Items  []ContactItem `json:"items" doc:"By building and unit"`
			Cursor *string       `json:"cursor"`
		}
	}
	revealContactInput struct {
		ID   int64 `path:"id" minimum:"1"`
		Body struct {
			Reason string `json:"reason,omitempty" doc:"Why, in 4 to 500 characters; it is kept in the audit log"`
		}
	}
	revealContactOutput struct {
		Body struct {
			Name  string `json:"name"`
			Phone string `json:"phone"`
		}
	}
)

func (s *Server) contacts() {
	route(s, need{auth.Read, auth.Contact}, huma.Operation{
		OperationID: "grid-contacts", Method: http.MethodGet, Path: "/api/v1/grids/{code}/contacts", Tags: []string{"staff"},
		Summary: "Who heads the units and buildings of a grid, masked", Errors: []int{404, 422},
	}, s.gridContacts)
	route(s, need{auth.Reveal, auth.Contact}, huma.Operation{
		OperationID: "reveal-contact", Method: http.MethodPost, Path: "/api/v1/contacts/{id}/reveal", Tags: []string{"staff"},
		Summary: "One contact in full; needs a reason, is counted and audited", Errors: []int{404, 422, 429},
	}, s.revealContact)
}

func (s *Server) gridContacts(ctx context.Context, a caller, in *contactsInput) (*contactsOutput, error) {
	n, root, err := s.gridNamed(a.Scope, in.Code, in.County)
	if err != nil {
		return nil, err
	}
	var after int64
	if in.Cursor != "" {
		if after, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || after <= 0 {
			return nil, problem(http.StatusBadRequest, "this cursor is not one of this list")
		}
	}
	list, err := store.GridContacts(ctx, s.o.Reads.Pool, a.Scope, s.o.Sealer, string(root.Code), string(n.Code), n.No, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := &contactsOutput{}
	out.Body.Items = []ContactItem{}
	for i, c := range list {
		if i == in.Limit {
			out.Body.Cursor = &out.Body.Items[i-1].ID
			break
		}
		out.Body.Items = append(out.Body.Items, ContactItem{fmt.Sprint(c.ID), c.Role, c.Building, c.Unit, auth.MaskName(c.Name), auth.MaskPhone(c.Phone)})
	}
	return out, nil
}

func (s *Server) revealContact(ctx context.Context, c caller, in *revealContactInput) (*revealContactOutput, error) {
	reason, err := reasonOf(in.Body.Reason)
	if err != nil {
		return nil, err
	}
	act := daily{name: "contact.reveal", object: fmt.Sprintf("contact/%d", in.ID), reason: reason, limit: s.o.Limits.RevealsPerDay}
	out := &revealContactOutput{}
	err = s.onceMore(ctx, s.o.DB, c, act, func(tx pgx.Tx) (any, error) {
		found, err := store.FindContact(ctx, tx, c.Scope, s.o.Sealer, in.ID)
		if err != nil {
			return nil, err
		}
		out.Body.Name, out.Body.Phone = found.Name, found.Phone
		return map[string]any{"fields": []string{"name", "phone"}}, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
