// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	h3 "onemap/geo/cell"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) notices() {
	route(s, need{auth.Write, auth.NoticeData}, huma.Operation{
		OperationID: "make-notice", Method: http.MethodPost, Path: "/api/v1/notices", Tags: []string{"notices"},
		Summary: "Direct a notice of an area to a unit", DefaultStatus: http.StatusCreated, Errors: []int{404, 409, 422},
		Description: "The unit is a department, or the desk of the area's own grid, or with level of the grid above it at that level. " +
			"Unread at remind_at it is reminded of; without a reply when it is due it is supervised.",
	}, s.makeNotice)
	route(s, need{auth.Read, auth.NoticeData}, huma.Operation{
		OperationID: "list-notices", Method: http.MethodGet, Path: "/api/v1/notices", Tags: []string{"notices"},
		Summary: "The notices in scope, newest first; a department sees those directed to it", Errors: []int{404},
	}, s.listNotices)
	route(s, need{auth.Read, auth.NoticeData}, huma.Operation{
		OperationID: "get-notice", Method: http.MethodGet, Path: "/api/v1/notices/{id}", Tags: []string{"notices"},
		Summary: "A notice as it stands", Errors: []int{404},
	}, s.getNotice)
	for _, act := range []struct {
		path, summary string
		kind          ledger.NoticeKind
		of            auth.Resource
	}{
		{"read", "Say that the unit has read a notice", ledger.ReadNotice, auth.NoticeAnswer},
		{"reply", "Answer a notice, once; late is better than never", ledger.ReplyNotice, auth.NoticeAnswer},
		{"withdraw", "Take a notice back: it counts in no rate", ledger.WithdrawNotice, auth.NoticeData},
	} {
		route(s, need{auth.Write, act.of}, huma.Operation{
			OperationID: act.path + "-notice", Method: http.MethodPost, Path: "/api/v1/notices/{id}/" + act.path, Tags: []string{"notices"},
			Summary: act.summary, Errors: []int{404, 409, 422},
		}, func(ctx context.Context, a caller, in *noticeActInput) (*noticeOutput, error) {
			return s.actOnNotice(ctx, a, in, act.kind)
		})
	}
	route(s, need{auth.Read, auth.Figures}, huma.Operation{
		OperationID: "notice-figures", Method: http.MethodGet, Path: "/api/v1/notices/figures", Tags: []string{"notices"},
		Summary: "How units answer: of the notices that were due in a period, how many in time", Errors: []int{422},
	}, s.noticeFigures)
}

// NoticeItem is a notice as answers carry it.
type NoticeItem struct {
	store.PublicNotice
	Text         string `json:"text,omitempty"`
	Reply        string `json:"reply,omitempty"`
	RepliedBy    string `json:"replied_by,omitempty" doc:"The actor, as the audit names it"`
	Reason       string `json:"reason,omitempty" doc:"Why it was withdrawn"`
	Readers      int    `json:"readers" doc:"How many of the unit have read it"`
	Own          bool   `json:"own" doc:"It is directed to the caller's own unit, which alone reads and answers it"`
	Signed       bool   `json:"signed" doc:"The caller has read it: the receipt is kept"`
	Withdrawable bool   `json:"withdrawable" doc:"The caller may withdraw it, while it is not answered"`
}

// noticeItems are notices as their caller is told of them.
func (s *Server) noticeItems(ctx context.Context, a caller, rows ...store.Notice) ([]NoticeItem, error) {
	out, ids, names := make([]NoticeItem, len(rows)), make([]int64, len(rows)), s.o.Catalogue.Now().DeptNames
	for i, n := range rows {
		ids[i] = n.ID
	}
	directs, refused := auth.Decide(a.Actor, auth.Write, auth.NoticeData)
	signed, err := s.reads(a).ReadBy(ctx, a.Actor.ID, ids)
	if err != nil {
		return nil, err
	}
	for i, n := range rows {
		out[i] = NoticeItem{
			PublicNotice: n.Public(names), Text: n.Body, Reply: n.Reply, RepliedBy: n.RepliedBy, Reason: n.Reason, Readers: n.ReceiptCount,
			Own: ledger.OfUnit(a.Scope, n), Signed: slices.Contains(signed, n.ID),
			Withdrawable: refused == nil && n.Open() && directs.Scope.Sees(n.GridNo) && ledger.MayWithdraw(a.Actor, directs.Scope, n),
		}
	}
	return out, nil
}

func (s *Server) noticeAnswer(ctx context.Context, a caller, n store.Notice, repeated bool) (*noticeOutput, error) {
	items, err := s.noticeItems(ctx, a, n)
	if err != nil {
		return nil, err
	}
	out := &noticeOutput{}
	out.Body.NoticeItem, out.Body.Repeated = items[0], repeated
	return out, nil
}

type makeNoticeInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Grid       string    `json:"grid" minLength:"1" maxLength:"64" doc:"Code of the area"`
		Department string    `json:"department,omitempty" maxLength:"100" doc:"The unit, by its name"`
		Level      int       `json:"level,omitempty" minimum:"1" maximum:"6" doc:"Else the level of the grid whose desk is the unit; the area's own when left out"`
		Title      string    `json:"title" minLength:"1" maxLength:"200"`
		Text       string    `json:"text,omitempty" maxLength:"4000"`
		Due        time.Time `json:"due" doc:"By when it is answered"`
		RemindAt   time.Time `json:"remind_at,omitempty" doc:"Unread then, it is reminded of; half way to due when left out"`
		Cell       string    `json:"cell,omitempty" maxLength:"16" doc:"The H3 cell whose count it is made from, of resolution 6 to 9; a part of it lies in the area"`
	}
}

type noticeOutput struct {
	Body struct {
		NoticeItem
		Repeated bool `json:"repeated,omitempty" doc:"An earlier request with this key did it"`
	}
}

func (s *Server) makeNotice(ctx context.Context, a caller, in *makeNoticeInput) (*noticeOutput, error) {
	n, err := s.noticeOf(a, in)
	if err != nil {
		return nil, err
	}
	return s.doNotice(ctx, a, ledger.Command{
		Key: in.Key, Request: sha256.Sum256(append([]byte("notice\n"), bodyOf(ctx)...)), Notice: &ledger.NoticeCommand{Notice: n},
	})
}

// noticeOf reads a new notice, and finds its area and unit among the grids in scope.
func (s *Server) noticeOf(a caller, in *makeNoticeInput) (n store.Notice, err error) {
	b, cat := in.Body, s.o.Catalogue.Now()
	n.Notice = dispatch.Notice{Due: b.Due, RemindAt: b.RemindAt}
	if n.Title, err = cleanText("title", b.Title); err != nil {
		return n, err
	}
	if n.Body, err = cleanText("text", b.Text); err != nil {
		return n, err
	}
	if strings.TrimSpace(n.Title) == "" {
		return n, problem(http.StatusUnprocessableEntity, "title: say what the notice is about")
	}
	at, err := oneGrid(cat.Tree, a, b.Grid)
	if err != nil {
		return n, err
	}
	path := cat.Tree.Path(at)
	area := cat.Tree.Nodes()[at]
	n.GridID, n.GridNo = area.ID, area.No
	switch {
	case b.Department != "" && b.Level != 0:
		return n, problem(http.StatusUnprocessableEntity, "name a department or a level, not both")
	case b.Department != "":
		if n.Department, err = s.department(b.Department); err != nil {
			return n, err
		}
	default:
		if err := unitOf(&n, cat, path, b.Level); err != nil {
			return n, err
		}
	}
	if b.Cell == "" {
		return n, nil
	}
	if n.Cell, err = h3.Parse(b.Cell); err != nil {
		return n, problem(http.StatusUnprocessableEntity, "cell: "+err.Error())
	}
	meets, err := n.Cell.Meets(area.Geom)
	switch {
	case err != nil:
		return n, problem(http.StatusUnprocessableEntity, "cell: "+err.Error())
	case n.Cell.Res() < 6 || n.Cell.Res() > 9:
		return n, problem(http.StatusUnprocessableEntity, "cell must be an H3 index of resolution 6 to 9")
	case !meets:
		return n, problem(http.StatusUnprocessableEntity, "cell: no part of it lies in this grid: name one of those that it lies in")
	}
	return n, nil
}

// unitOf makes the desk of a grid on path the unit: of the one at this level, of the last
// for 0.
func unitOf(n *store.Notice, cat *store.Catalog, path []int, level int) error {
	for i, at := range path {
		node := cat.Tree.Nodes()[at]
		if node.Level == level || level == 0 && i == len(path)-1 {
			n.Level, n.UnitID, n.UnitNo = node.Level, node.ID, node.No
			if i > 0 {
				n.AboveNo = cat.Tree.Nodes()[path[i-1]].No
			}
			return nil
		}
	}
	return problem(http.StatusUnprocessableEntity, "level: the area has no grid of this level above it")
}

func (s *Server) doNotice(ctx context.Context, a caller, c ledger.Command) (*noticeOutput, error) {
	c.RequestID = requestID(ctx)
	res, err := s.o.Ledger.Do(ctx, a.Actor, c)
	if err != nil {
		return nil, err
	}
	return s.noticeAnswer(ctx, a, res.Notice, res.Repeated)
}

type noticeActInput struct {
	ID   int64  `path:"id" minimum:"1"`
	Key  string `header:"Idempotency-Key" maxLength:"255"`
	Body struct {
		Text string `json:"text,omitempty" maxLength:"4000" doc:"Of reply the answer, of withdraw why; needed for both"`
	}
}

func (s *Server) actOnNotice(ctx context.Context, a caller, in *noticeActInput, kind ledger.NoticeKind) (*noticeOutput, error) {
	text, err := cleanText("text", in.Body.Text)
	if err != nil {
		return nil, err
	}
	return s.doNotice(ctx, a, ledger.Command{
		Key: in.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("notice %s %d\n%s", kind, in.ID, bodyOf(ctx)))),
		NoticeAct: &ledger.NoticeAct{Notice: in.ID, Kind: kind, Text: text},
	})
}

type noticesInput struct {
	IDPage
	State   string `query:"state" enum:"sent,read,replied,withdrawn"`
	Overdue string `query:"overdue" enum:"true" doc:"Those that were due without a reply and still have none"`
	Grid    string `query:"grid" maxLength:"64" doc:"Code of a grid, with all below it"`
}

type noticesOutput struct {
	Body struct {
		Items  []NoticeItem `json:"items"`
		Cursor *string      `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

// numbersSeen are the numbers, in every version, of the grids with this code that the
// caller sees or that lie above what they see.
func (s *Server) numbersSeen(ctx context.Context, a caller, code string) (out []auth.Interval, err error) {
	t := s.o.Catalogue.Now().Tree
	grids := visible(t, a.Scope, code)
	if len(grids) == 0 {
		return nil, errNoGrid
	}
	for _, i := range grids {
		numbers, err := s.o.Reads.NumbersOf(ctx, string(t.Nodes()[t.Path(i)[0]].Code), code)
		if err != nil {
			return nil, err
		}
		out = append(out, numbers...)
	}
	return out, nil
}

func (s *Server) listNotices(ctx context.Context, a caller, in *noticesInput) (*noticesOutput, error) {
	before, err := in.afterID()
	if err != nil {
		return nil, err
	}
	f := store.NoticeFilter{State: in.State, Overdue: in.Overdue == "true", Before: before, Limit: in.Limit + 1} // one more tells whether there is a next page
	if in.Grid != "" {
		if f.Grids, err = s.numbersSeen(ctx, a, in.Grid); err != nil {
			return nil, err
		}
	}
	rows, err := s.reads(a).Notices(ctx, a.Scope, f)
	if err != nil {
		return nil, err
	}
	out := &noticesOutput{}
	rows, out.Body.Cursor = cutPage(in.IDPage, rows, func(n store.Notice) int64 { return n.ID })
	out.Body.Items, err = s.noticeItems(ctx, a, rows...)
	return out, err
}

func (s *Server) getNotice(ctx context.Context, a caller, in *entityInput) (*noticeOutput, error) {
	n, err := store.FindNotice(ctx, s.reads(a).Pool, a.Scope, in.ID, false)
	if err != nil {
		return nil, err
	}
	return s.noticeAnswer(ctx, a, n, false)
}

type noticeFiguresInput struct {
	From time.Time `query:"from" required:"true" doc:"Due at or after"`
	To   time.Time `query:"to" required:"true" doc:"Due before; what is not due yet does not count"`
}

// NoticeFigure is how one unit, or all of them, answered.
type NoticeFigure struct {
	Department string   `json:"department,omitempty"`
	Grid       string   `json:"grid,omitempty" doc:"Code of the grid whose desk it is"`
	Name       string   `json:"name,omitempty"`
	Level      int      `json:"level,omitempty"`
	Due        int      `json:"due" doc:"Notices that were due in the period"`
	Read       int      `json:"read"`
	InTime     int      `json:"in_time" doc:"Answered by their due time"`
	Late       int      `json:"late" doc:"Answered after it"`
	Rate       *float64 `json:"rate" doc:"in_time of due, 0 to 1; null when none was due"`
}

type noticeFiguresOutput struct {
	Body struct {
		From  time.Time      `json:"from"`
		To    time.Time      `json:"to"`
		Total NoticeFigure   `json:"total"`
		Units []NoticeFigure `json:"units" doc:"Most notices first"`
	}
}

// longestFigures is the longest period that is counted.
const longestFigures = 367 * 24 * time.Hour

func (s *Server) noticeFigures(ctx context.Context, a caller, in *noticeFiguresInput) (*noticeFiguresOutput, error) {
	if !in.From.Before(in.To) || in.To.Sub(in.From) > longestFigures {
		return nil, problem(http.StatusUnprocessableEntity, "the period must end after it begins, and within a year")
	}
	to := in.To
	if now := s.o.Now(); now.Before(to) {
		to = now
	}
	rows, err := s.reads(a).NoticeRates(ctx, a.Scope, in.From, to)
	if err != nil {
		return nil, err
	}
	out := &noticeFiguresOutput{}
	out.Body.From, out.Body.To, out.Body.Units = in.From, in.To, []NoticeFigure{}
	names, total := s.o.Catalogue.Now().DeptNames, &out.Body.Total
	for _, r := range rows {
		f := NoticeFigure{Department: names[r.Department], Grid: r.Grid, Name: r.Name, Level: r.Level, Due: r.Due, Read: r.Read, InTime: r.In, Late: r.Late}
		f.count()
		total.Due, total.Read, total.InTime, total.Late = total.Due+f.Due, total.Read+f.Read, total.InTime+f.InTime, total.Late+f.Late
		out.Body.Units = append(out.Body.Units, f)
	}
	total.count()
	return out, nil
}

func (f *NoticeFigure) count() {
	if f.Due > 0 {
		rate := float64(f.InTime) / float64(f.Due)
		f.Rate = &rate
	}
}
