// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

// RollCall is a roll call 点名 and how far it has come.
type RollCall struct {
	ID       string         `json:"id"`
	State    string         `json:"state" enum:"open,closed"`
	Role     string         `json:"role" doc:"Of who called"`
	Note     string         `json:"note,omitempty"`
	CalledAt time.Time      `json:"called_at"`
	ClosesAt time.Time      `json:"closes_at"`
	ClosedAt *time.Time     `json:"closed_at"`
	Called   int            `json:"called"`
	Answered int            `json:"answered"`
	Mine     *time.Time     `json:"my_answer,omitempty" doc:"To a worker: when they answered"`
	Workers  []CalledWorker `json:"workers,omitempty" doc:"Of one roll call, by badge; to a worker their own row"`
}

// CalledWorker is a worker of a roll call.
type CalledWorker struct {
	WorkerID   string     `json:"worker_id"`
	Badge      string     `json:"badge"`
	AnsweredAt *time.Time `json:"answered_at"`
}

// SentMessage is a message to workers and its receipts.
type SentMessage struct {
	ID        string          `json:"id"`
	Role      string          `json:"role" doc:"Of who sent it"`
	Text      string          `json:"text"`
	SentAt    time.Time       `json:"sent_at"`
	To        int             `json:"to" doc:"To how many workers"`
	Delivered int             `json:"delivered"`
	Seen      int             `json:"seen"`
	MySeen    *time.Time      `json:"my_seen,omitempty" doc:"To a worker: when their phone said it was seen"`
	Workers   []MessageWorker `json:"workers,omitempty" doc:"Of one message, by badge; to a worker their own row"`
}

// MessageWorker is a worker whom a message went to, as their phone tells it.
type MessageWorker struct {
	WorkerID    string     `json:"worker_id"`
	Badge       string     `json:"badge"`
	DeliveredAt *time.Time `json:"delivered_at"`
	SeenAt      *time.Time `json:"seen_at"`
}

type rollInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Makes a repetition of the same request safe"`
	Body struct {
		Marked
		Note    string `json:"note,omitempty" maxLength:"500"`
		Minutes int    `json:"minutes,omitempty" minimum:"1" maximum:"120" default:"10" doc:"After which it closes"`
	}
}

type rollOutput struct{ Body RollCall }

type rollList struct {
	Body struct {
		Items []RollCall `json:"items" doc:"The newest 50"`
	}
}

type messageInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"Makes a repetition of the same request safe"`
	Body struct {
		Marked
		Text string `json:"text" minLength:"1" maxLength:"1000"`
	}
}

type messageOutput struct{ Body SentMessage }

type messageList struct {
	Body struct {
		Items []SentMessage `json:"items" doc:"The newest 50"`
	}
}

type callID struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *Server) calls() {
	tags := []string{"map"}
	route(s, need{auth.Write, auth.Call}, huma.Operation{
		OperationID: "call-roll", Method: http.MethodPost, Path: "/api/v1/rollcalls", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Call the roll of who is on duty inside something marked: each answers by the phone", Errors: []int{413, 422}, MaxBodyBytes: maxDrawnBody,
	}, s.callRoll)
	route(s, need{auth.Read, auth.Call}, huma.Operation{
		OperationID: "list-rollcalls", Method: http.MethodGet, Path: "/api/v1/rollcalls", Tags: tags, Summary: "Roll calls of the own grids; to a worker those they were called in",
	}, s.listRolls)
	route(s, need{auth.Read, auth.Call}, huma.Operation{
		OperationID: "rollcall", Method: http.MethodGet, Path: "/api/v1/rollcalls/{id}", Tags: tags, Summary: "A roll call: who has answered", Errors: []int{404},
	}, func(ctx context.Context, a caller, in *callID) (*rollOutput, error) {
		return s.roll(ctx, a.Scope, in.ID)
	})
	route(s, need{auth.Write, auth.CallAnswer}, huma.Operation{
		OperationID: "answer-rollcall", Method: http.MethodPost, Path: "/api/v1/rollcalls/{id}/answer", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "A worker answers a roll call; said twice, the first counts", Errors: []int{404, 409},
	}, s.answerRoll)
	route(s, need{auth.Write, auth.Call}, huma.Operation{
		OperationID: "send-message", Method: http.MethodPost, Path: "/api/v1/messages", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Send a text to who is on duty inside something marked", Errors: []int{413, 422}, MaxBodyBytes: maxDrawnBody,
	}, s.sendMessage)
	route(s, need{auth.Read, auth.Call}, huma.Operation{
		OperationID: "list-messages", Method: http.MethodGet, Path: "/api/v1/messages", Tags: tags, Summary: "Messages sent from the own grids; to a worker those they got",
	}, s.listMessages)
	route(s, need{auth.Read, auth.Call}, huma.Operation{
		OperationID: "message", Method: http.MethodGet, Path: "/api/v1/messages/{id}", Tags: tags, Summary: "A message and its receipts", Errors: []int{404},
	}, func(ctx context.Context, a caller, in *callID) (*messageOutput, error) {
		return s.message(ctx, a.Scope, in.ID)
	})
	route(s, need{auth.Write, auth.CallAnswer}, huma.Operation{
		OperationID: "receipt", Method: http.MethodPost, Path: "/api/v1/messages/{id}/receipts", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "A phone says that a message was delivered, or seen", Errors: []int{404},
	}, s.receipt)
}

// calling is whom a roll call or message goes to. Nobody inside is refused.
func (s *Server) calling(ctx context.Context, a caller, what, key string, m *Marked, text string) (ledger.Calling, error) {
	c := ledger.Calling{RequestID: requestID(ctx), Key: key, Request: sha256.Sum256([]byte(what + "\n" + string(bodyOf(ctx))))}
	var unclean string
	if c.Text, unclean = intake.Clean(text); unclean != "" {
		return c, problem(http.StatusBadRequest, "the text "+unclean)
	}
	region, record, err := s.region(ctx, a.Actor, m)
	if err != nil {
		return c, err
	}
	d, err := auth.Decide(a.Actor, auth.Read, auth.Position)
	if err != nil {
		return c, err
	}
	inside := s.workersInside(d.Scope, region, s.o.Now())
	if len(inside) == 0 {
		return c, problem(http.StatusUnprocessableEntity, "nobody is on duty inside what is marked")
	}
	for _, w := range inside {
		id, err := strconv.ParseInt(w.WorkerID, 10, 64)
		if err != nil {
			return c, err
		}
		c.Workers = append(c.Workers, id)
	}
	c.Marked, c.GridNo = record, s.homeAbove(a.Actor, uint32(c.Workers[0]))
	return c, nil
}

// homeAbove is the number of the highest of the actor's grids above a worker's: those
// who see it are the colleagues of the actor's desk.
func (s *Server) homeAbove(a auth.Actor, worker uint32) int32 {
	tree := s.o.Catalogue.Now().Tree
	w, _ := s.o.People().Worker(worker)
	if i, ok := tree.ByNo(w.Grid); ok {
		return highest(tree, i, a)
	}
	return w.Grid
}

func highest(tree *grid.Tree, i int, a auth.Actor) int32 {
	for _, k := range tree.Path(i) {
		if no := tree.Nodes()[k].No; a.Home(no) {
			return no
		}
	}
	return tree.Nodes()[i].No
}

func (s *Server) callRoll(ctx context.Context, a caller, in *rollInput) (*rollOutput, error) {
	c, err := s.calling(ctx, a, "rollcall", in.Key, &in.Body.Marked, in.Body.Note)
	if err != nil {
		return nil, err
	}
	if c.For = time.Duration(in.Body.Minutes) * time.Minute; c.For == 0 {
		c.For = 10 * time.Minute
	}
	id, err := s.o.Ledger.CallRoll(ctx, a.Actor, c)
	if err != nil {
		return nil, err
	}
	return s.roll(ctx, a.Scope, id)
}

func (s *Server) roll(ctx context.Context, scope auth.Scope, id int64) (*rollOutput, error) {
	found, err := s.o.DB.RollCalls(ctx, scope, false, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, store.ErrNotFound
	}
	out := &rollOutput{rollCall(found[0])}
	who, err := s.o.DB.RollCallWorkers(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	for _, w := range who {
		out.Body.Workers = append(out.Body.Workers, CalledWorker{fmt.Sprint(w.Worker), w.Badge, w.Answered})
	}
	return out, nil
}

func rollCall(r store.RollCall) RollCall {
	state := "open"
	if r.ClosedAt != nil {
		state = "closed"
	}
	return RollCall{
		ID: fmt.Sprint(r.ID), State: state, Role: r.Role, Note: r.Note, CalledAt: r.CalledAt, ClosesAt: r.ClosesAt, ClosedAt: r.ClosedAt,
		Called: r.Called, Answered: r.Answered, Mine: r.Mine,
	}
}

type listRollsInput struct {
	Open string `query:"open" enum:"true,false" doc:"Only those that have not closed"`
}

func (s *Server) listRolls(ctx context.Context, a caller, in *listRollsInput) (*rollList, error) {
	found, err := s.o.Reads.RollCalls(ctx, a.Scope, in.Open == "true", 0)
	if err != nil {
		return nil, err
	}
	out := &rollList{}
	out.Body.Items = []RollCall{}
	for _, r := range found {
		out.Body.Items = append(out.Body.Items, rollCall(r))
	}
	return out, nil
}

type answerInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		DeviceAt *time.Time `json:"at,omitempty" doc:"The phone's own clock"`
	}
}

func (s *Server) answerRoll(ctx context.Context, a caller, in *answerInput) (*rollOutput, error) {
	if err := s.o.Ledger.AnswerRoll(ctx, a.Actor, in.ID, in.Body.DeviceAt); err != nil {
		return nil, err
	}
	return s.roll(ctx, a.Scope, in.ID)
}

func (s *Server) sendMessage(ctx context.Context, a caller, in *messageInput) (*messageOutput, error) {
	c, err := s.calling(ctx, a, "message", in.Key, &in.Body.Marked, in.Body.Text)
	if err != nil {
		return nil, err
	}
	if c.Text == "" {
		return nil, problem(http.StatusUnprocessableEntity, "the text is empty")
	}
	id, err := s.o.Ledger.SendMessage(ctx, a.Actor, c)
	if err != nil {
		return nil, err
	}
	return s.message(ctx, a.Scope, id)
}

func (s *Server) message(ctx context.Context, scope auth.Scope, id int64) (*messageOutput, error) {
	found, err := s.o.DB.Messages(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, store.ErrNotFound
	}
	out := &messageOutput{sentMessage(found[0])}
	who, err := s.o.DB.MessageWorkers(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	for _, w := range who {
		out.Body.Workers = append(out.Body.Workers, MessageWorker{fmt.Sprint(w.Worker), w.Badge, w.First, w.Answered})
	}
	return out, nil
}

func sentMessage(m store.Message) SentMessage {
	return SentMessage{
		ID: fmt.Sprint(m.ID), Role: m.Role, Text: m.Text, SentAt: m.SentAt, To: m.To, Delivered: m.Delivered, Seen: m.Seen, MySeen: m.MySeen,
	}
}

func (s *Server) listMessages(ctx context.Context, a caller, _ *struct{}) (*messageList, error) {
	found, err := s.o.Reads.Messages(ctx, a.Scope, 0)
	if err != nil {
		return nil, err
	}
	out := &messageList{}
	out.Body.Items = []SentMessage{}
	for _, m := range found {
		out.Body.Items = append(out.Body.Items, sentMessage(m))
	}
	return out, nil
}

type receiptInput struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Kind string `json:"kind" enum:"delivered,seen"`
	}
}

func (s *Server) receipt(ctx context.Context, a caller, in *receiptInput) (*messageOutput, error) {
	if err := s.o.Ledger.Receipt(ctx, a.Actor, in.ID, in.Body.Kind == "seen"); err != nil {
		return nil, err
	}
	return s.message(ctx, a.Scope, in.ID)
}
