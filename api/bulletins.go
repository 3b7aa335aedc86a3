// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) bulletins() {
	route(s, need{auth.Write, auth.BulletinData}, huma.Operation{
		Metadata:    map[string]any{patient: countTime},
		OperationID: "make-bulletin", Method: http.MethodPost, Path: "/api/v1/bulletins", Tags: []string{"figures"},
		Summary: "Make the bulletin of a week that is over: its figures as they are now, never to change again", DefaultStatus: http.StatusCreated, Errors: []int{404, 422},
		Description: "All of it is counted in one snapshot and stored as told. Another one of the same week and grid has a number of its own and names the one before, " +
			"which it corrects. Sensitive matters are not counted. docs/FIGURES.md has the rest.",
	}, s.makeBulletin)
	route(s, need{auth.Read, auth.BulletinData}, huma.Operation{
		OperationID: "list-bulletins", Method: http.MethodGet, Path: "/api/v1/bulletins", Tags: []string{"figures"},
		Summary: "The bulletins of the grids in scope, newest first", Errors: []int{404, 422},
	}, s.listBulletins)
	route(s, need{auth.Read, auth.BulletinData}, huma.Operation{
		OperationID: "get-bulletin", Method: http.MethodGet, Path: "/api/v1/bulletins/{id}", Tags: []string{"figures"},
		Summary: "A bulletin as it was told when it was made", Errors: []int{404},
	}, s.getBulletin)
}

// BulletinItem is a weekly bulletin, without what it tells.
type BulletinItem struct {
	ID          string    `json:"id"`
	County      string    `json:"county"`
	Grid        string    `json:"grid" doc:"Code of the grid"`
	GridName    string    `json:"grid_name" doc:"As it was called then"`
	Week        string    `json:"week" format:"date" doc:"Its Monday"`
	MadeBy      string    `json:"made_by" doc:"The actor, as the audit names it"`
	MadeAt      time.Time `json:"made_at" doc:"The moment it is as of"`
	Seq         int64     `json:"seq" doc:"It holds every event up to this number"`
	Corrects    *string   `json:"corrects" doc:"The bulletin before it of the same week and grid; null for the first"`
	CorrectedBy *string   `json:"corrected_by" doc:"The bulletin after it"`
}

func bulletinItem(b store.Bulletin) BulletinItem {
	number := func(id int64) *string {
		if id == 0 {
			return nil
		}
		text := fmt.Sprint(id)
		return &text
	}
	return BulletinItem{
		fmt.Sprint(b.ID), b.Root, b.Grid, b.Name, b.Week.Format(time.DateOnly), b.MadeBy, b.MadeAt.UTC(), int64(b.Seq), number(b.Corrects), number(b.CorrectedBy),
	}
}

// BulletinAnswer is a bulletin with what it tells.
type BulletinAnswer struct {
	BulletinItem
	Told     json.RawMessage `json:"told" doc:"week, grid, as_of, weeks, hot, notices: the very text whose hash is sha256 (docs/FIGURES.md)"`
	SHA256   string          `json:"sha256" doc:"Of told; the audit log has it too"`
	Outside  json.RawMessage `json:"outside" doc:"What may be told to everybody, without numbers from 1 to 4; null where nothing may: of a grid below the county, and of a correction"`
	Repeated bool            `json:"repeated,omitempty" doc:"An earlier request with this key made it"`
}

func bulletinAnswer(b store.Bulletin, repeated bool) *bulletinOutput {
	sum := sha256.Sum256(b.Body)
	outside := json.RawMessage("null")
	if b.Outside != nil {
		outside = b.Outside
	}
	return &bulletinOutput{BulletinAnswer{bulletinItem(b), b.Body, hex.EncodeToString(sum[:]), outside, repeated}}
}

type (
	makeBulletinInput struct {
		Key  string `header:"Idempotency-Key" maxLength:"255"`
		Body struct {
			Grid string `json:"grid" minLength:"1" maxLength:"64" doc:"Code of the grid, with all below it"`
			Week string `json:"week" format:"date" doc:"The Monday of a week that is over, on the clocks of China"`
		}
	}
	bulletinOutput struct{ Body BulletinAnswer }
)

func (s *Server) makeBulletin(ctx context.Context, a caller, in *makeBulletinInput) (*bulletinOutput, error) {
	if _, err := oneGrid(s.o.Catalogue.Now().Tree, a, in.Body.Grid); err != nil {
		return nil, err
	}
	monday, err := time.ParseInLocation(time.DateOnly, in.Body.Week, people.Local(s.o.Now()).Location())
	if err != nil {
		return nil, errOneWeek
	}
	after := monday.AddDate(0, 0, 7)
	if _, _, err := s.oneWeek(in.Body.Week, after.Format(time.DateOnly)); err != nil {
		return nil, err
	}
	if err := s.await(ctx, s.counting, "busy_figures"); err != nil {
		return nil, err
	}
	defer func() { <-s.counting }()
	cat := s.o.Catalogue.Now() // whoever waited may meet another tree than at first
	node, err := oneGrid(cat.Tree, a, in.Body.Grid)
	if err != nil {
		return nil, err
	}
	w, err := s.newBulletinWriter(ctx, a, cat, node, monday)
	if err != nil {
		return nil, err
	}
	b, repeated, err := s.o.Ledger.MakeBulletin(ctx, a.Decision, a.Actor, ledger.BulletinCommand{
		Key: in.Key, Request: sha256.Sum256(append([]byte("bulletin\n"), bodyOf(ctx)...)), RequestID: requestID(ctx),
		Tell: func(ctx context.Context, tx pgx.Tx) (store.Bulletin, error) { return w.tell(ctx, tx) },
	})
	if err != nil {
		return nil, err
	}
	return bulletinAnswer(b, repeated), nil
}

// oneGrid is the place in t of the one grid in scope with this code; in another tree it
// is another grid's.
func oneGrid(t *grid.Tree, a caller, code string) (int, error) {
	var found []int
	for i, n := range t.Nodes() {
		if string(n.Code) == code && a.Scope.Sees(n.No) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return 0, errNoGrid
	case 1:
		return found[0], nil
	}
	return 0, problem(http.StatusUnprocessableEntity, "grid: several counties use this code: act for one of them")
}

type (
	bulletinsInput struct {
		IDPage
		Grid string `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
		Week string `query:"week" format:"date" doc:"The Monday of a week"`
	}
	bulletinsOutput struct {
		Body struct {
			Items  []BulletinItem `json:"items"`
			Cursor *string        `json:"cursor" doc:"Send it back for the next page; null on the last"`
		}
	}
)

func (s *Server) listBulletins(ctx context.Context, a caller, in *bulletinsInput) (*bulletinsOutput, error) {
	before, err := in.afterID()
	if err != nil {
		return nil, err
	}
	f := store.BulletinFilter{Before: before, Limit: in.Limit + 1} // one more tells whether there is a next page
	if in.Week != "" {
		if f.Week, err = time.Parse(time.DateOnly, in.Week); err != nil || f.Week.Weekday() != time.Monday {
			return nil, problem(http.StatusUnprocessableEntity, "week is the Monday of a week, as 2026-03-02")
		}
	}
	if in.Grid != "" {
		if f.Grids, err = s.numbersSeen(ctx, a, in.Grid); err != nil {
			return nil, err
		}
	}
	rows, err := s.reads(a).Bulletins(ctx, a.Scope, f)
	if err != nil {
		return nil, err
	}
	out := &bulletinsOutput{}
	rows, out.Body.Cursor = cutPage(in.IDPage, rows, func(b store.Bulletin) int64 { return b.ID })
	out.Body.Items = make([]BulletinItem, len(rows))
	for i, b := range rows {
		out.Body.Items[i] = bulletinItem(b)
	}
	return out, nil
}

func (s *Server) getBulletin(ctx context.Context, a caller, in *entityInput) (*bulletinOutput, error) {
	b, err := store.FindBulletin(ctx, s.reads(a).Pool, a.Scope, in.ID)
	if err != nil {
		return nil, err
	}
	return bulletinAnswer(b, false), nil
}
