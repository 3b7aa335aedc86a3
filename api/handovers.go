// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

// HandoverItem is what one turn of a county's desk tells the next.
type HandoverItem struct {
	ID         string       `json:"id"`
	County     string       `json:"county"`
	Text       string       `json:"text"`
	P1         int          `json:"p1" doc:"How many of the incidents have priority 1"`
	P2         int          `json:"p2"`
	Incidents  []UrgentItem `json:"incidents" doc:"Priority 1 and 2, open when it was made; those the reader may see, as they stand now"`
	MadeBy     string       `json:"made_by"`
	MadeAt     time.Time    `json:"made_at"`
	AcceptedBy *string      `json:"accepted_by"`
	AcceptedAt *time.Time   `json:"accepted_at"`
}

type (
	handoverInput struct {
		Body struct {
			County string `json:"county,omitempty" maxLength:"64" doc:"Code of the county; needed where the caller sees several"`
			Text   string `json:"text" minLength:"1" maxLength:"5000"`
		}
	}
	handoverOutput  struct{ Body HandoverItem }
	handoversOutput struct {
		Body struct {
			Items  []HandoverItem `json:"items" doc:"The newest first"`
			Cursor *string        `json:"cursor"`
		}
	}
)

// maxUrgent is how many open P1 and P2 a hand-over takes; a county with more has
// other worries.
const maxUrgent = 2000

// unacknowledged are the states in which nobody has signed for an incident yet.
var unacknowledged = []dispatch.State{dispatch.Reported, dispatch.Accepted, dispatch.Routed, dispatch.Dispatched}

func (s *Server) handovers() {
	route(s, need{auth.Write, auth.Handover}, huma.Operation{
		OperationID: "make-handover", Method: http.MethodPost, Path: "/api/v1/handovers", Tags: []string{"staff"},
		Summary: "Hand the desk of a county over to the next turn; refused while nobody has signed for an incident of priority 1", DefaultStatus: http.StatusCreated,
		Errors: []int{409, 422},
	}, s.makeHandover)
	route(s, need{auth.Read, auth.Handover}, huma.Operation{
		OperationID: "list-handovers", Method: http.MethodGet, Path: "/api/v1/handovers", Tags: []string{"staff"},
		Summary: "The hand-overs of the counties in scope, the newest first",
	}, s.listHandovers)
	route(s, need{auth.Write, auth.Handover}, huma.Operation{
		OperationID: "accept-handover", Method: http.MethodPost, Path: "/api/v1/handovers/{id}/accept", Tags: []string{"staff"},
		Summary: "Take the desk over from the turn before", Errors: []int{404, 409},
	}, s.acceptHandover)
}

func handoverItem(h store.Handover) HandoverItem {
	out := HandoverItem{
		ID: fmt.Sprint(h.ID), County: h.Root, Text: h.Note, Incidents: urgentItems(h.Incidents), MadeBy: h.MadeBy, MadeAt: h.MadeAt.UTC(),
		AcceptedBy: orNull(h.AcceptedBy), AcceptedAt: h.AcceptedAt,
	}
	for _, in := range h.Incidents {
		if in.Priority == 1 {
			out.P1++
		} else {
			out.P2++
		}
	}
	return out
}

func (s *Server) makeHandover(ctx context.Context, a caller, in *handoverInput) (*handoverOutput, error) {
	root, err := s.oneCounty(a, in.Body.County)
	if err != nil {
		return nil, err
	}
	text, unclean := intake.Clean(in.Body.Text)
	if unclean != "" || text == "" {
		return nil, problem(http.StatusBadRequest, "text "+unclean)
	}
	read, err := auth.Decide(a.Actor, auth.Read, auth.IncidentData)
	if err != nil {
		return nil, err
	}
	h := store.Handover{Root: string(root.Code), Note: text, MadeBy: a.ID, MadeAt: s.o.Now().UTC().Truncate(time.Microsecond)}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if h.Incidents, err = store.UrgentIncidents(ctx, tx, read.Scope, auth.Interval{Lo: root.No, Hi: root.Last}, maxUrgent); err != nil {
			return err
		}
		var waiting []store.Incident
		for _, i := range h.Incidents {
			if i.Priority == 1 && slices.Contains(unacknowledged, i.State) {
				waiting = append(waiting, i)
			}
		}
		if len(waiting) > 0 {
			p := problem(http.StatusConflict, fmt.Sprintf("nobody has signed for %d incidents of priority 1: see to them before the desk is handed over", len(waiting)))
			p.Incidents = urgentItems(waiting[:min(len(waiting), maxShown)])
			return p
		}
		if h.ID, err = store.SaveHandover(ctx, tx, h); err != nil {
			return err
		}
		return s.auditHandover(ctx, tx, a, "handover.make", h, map[string]any{"county": h.Root, "incidents": len(h.Incidents)})
	})
	if err != nil {
		return nil, err
	}
	return &handoverOutput{handoverItem(h)}, nil
}

func (s *Server) auditHandover(ctx context.Context, tx pgx.Tx, a caller, act string, h store.Handover, data map[string]any) error {
	return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), act, fmt.Sprintf("handover/%d", h.ID), "", data)
}

// deskRoots are the counties in scope whole.
func (s *Server) deskRoots(a caller) (roots []string) {
	t := s.o.Catalogue.Now().Tree
	for _, i := range t.Roots() {
		if n := &t.Nodes()[i]; a.Scope.Sees(n.No) {
			roots = append(roots, string(n.Code))
		}
	}
	return roots
}

// readHandovers reads hand-overs as the caller may see them.
func (s *Server) readHandovers(ctx context.Context, tx store.Querier, a caller, id, before int64, limit int) ([]store.Handover, error) {
	read, err := auth.Decide(a.Actor, auth.Read, auth.IncidentData)
	if err != nil {
		return nil, err
	}
	return store.Handovers(ctx, tx, read.Scope, s.deskRoots(a), id, before, limit)
}

func (s *Server) listHandovers(ctx context.Context, a caller, in *pageInput) (*handoversOutput, error) {
	var before int64
	var err error
	if in.Cursor != "" {
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before <= 0 {
			return nil, problem(http.StatusBadRequest, "this cursor is not one of this list")
		}
	}
	limit := min(in.Limit, 50)
	list, err := s.readHandovers(ctx, s.o.Reads.Pool, a, 0, before, limit+1)
	if err != nil {
		return nil, err
	}
	out := &handoversOutput{}
	out.Body.Items = []HandoverItem{}
	for i, h := range list {
		if i == limit {
			out.Body.Cursor = &out.Body.Items[i-1].ID
			break
		}
		out.Body.Items = append(out.Body.Items, handoverItem(h))
	}
	return out, nil
}

func (s *Server) acceptHandover(ctx context.Context, a caller, in *entityInput) (*handoverOutput, error) {
	var list []store.Handover
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		h, err := store.AcceptHandover(ctx, tx, func(root string) bool { return s.seesRoot(a, root) }, in.ID, a.ID, s.o.Now())
		if err != nil {
			return err
		}
		if err := s.auditHandover(ctx, tx, a, "handover.accept", h, map[string]any{"county": h.Root, "made_by": h.MadeBy}); err != nil {
			return err
		}
		list, err = s.readHandovers(ctx, tx, a, h.ID, 0, 1)
		if err == nil && len(list) != 1 {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &handoverOutput{handoverItem(list[0])}, nil
}
