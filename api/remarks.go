// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/intake"
	"onemap/store"
	"onemap/store/ledger"
)

func (s *Server) remarks() {
	write, made := need{auth.Write, auth.IncidentData}, http.StatusCreated
	post := func(id, path, summary string, status int, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodPost, Path: "/api/v1/incidents/{id}/" + path, Tags: []string{"incidents"}, Summary: summary, DefaultStatus: status,
			Errors: []int{404, 409, 422}, Description: description + " The incident's version stays; If-Match may be left out, and refuses an older version with 409.",
		}
	}
	route(s, write, post("ask-request", "requests", "Ask for what a second person has to approve", made,
		"void, extend (before it is due; by a limit counted from the due time) or suspend (by town, village, worker or department). One of a kind waits at a time."), s.askRequest)
	route(s, need{auth.Approve, auth.Request}, post("decide-request", "requests/{n}/decision", "Approve or refuse a request; an approval carries it out", http.StatusOK,
		"By another person than asked: a hall operator or dispatcher; the second extension of a stage by the county leader. Void and suspend move the incident, and its version."), s.decideRequest)
	route(s, write, post("write-note", "notes", "Write a note into the journal", made, "Assisting departments may too."), s.writeNote)
	route(s, need{auth.Write, auth.Instruction}, post("give-instruction", "instructions", "Give an instruction 批示; it never moves the owner", made, "Open until it is answered."), s.giveInstruction)
	route(s, write, post("answer-instruction", "instructions/{n}/reply", "Answer an instruction", http.StatusOK, "Once."), s.answerInstruction)
	route(s, write, post("call-session", "sessions", "Call a joint session 会商", made, "With a seat for each role of the centre; seats name posts or departments, no persons."), s.callSession)
	const seen = " ver is the session's as it was read: 409 names who has changed or confirmed it since."
	change := post("change-session", "sessions/{n}", "Change a joint session that is not confirmed, as a whole", http.StatusOK, "What is left out is empty then."+seen)
	change.Method = http.MethodPut
	route(s, write, change, s.changeSession)
	route(s, write, post("confirm-session", "sessions/{n}/confirm", "Confirm a joint session", http.StatusOK, "409 names the roles whose seats are open."+seen), s.confirmSession)
	route(s, write, post("assist-incident", "assistants", "Have a department assist 协办, or release it", http.StatusOK,
		"It reads the incident and writes notes; the lead department moves it on."), s.assistIncident)
	route(s, write, post("call-back", "callbacks/{n}/outcome", "Keep what came of calling a reporter back 回访", http.StatusOK,
		"The telephone number is revealed by a request of its own. After three calls that reached nobody it ends as unreached."), s.callBack)
	route(s, need{auth.Read, auth.Remark}, huma.Operation{
		OperationID: "get-remarks", Method: http.MethodGet, Path: "/api/v1/incidents/{id}/remarks", Tags: []string{"incidents"},
		Summary: "Requests, instructions, joint sessions, call-backs and assistants of an incident", Errors: []int{404},
	}, s.getRemarks)
	route(s, need{auth.Read, auth.Remark}, huma.Operation{
		OperationID: "list-open-remarks", Method: http.MethodGet, Path: "/api/v1/remarks", Tags: []string{"incidents"},
		Summary: "What is open in scope, of one kind, with counts of every kind",
	}, s.listRemarks)
}

// RemarkTo says to which incident a remark is made.
type RemarkTo struct {
	ID      int64  `path:"id" minimum:"1"`
	IfMatch string `header:"If-Match" doc:"The incident's version as its ETag gave it, in quotes; may be left out"`
	Key     string `header:"Idempotency-Key" maxLength:"255"`
}

// Numbered says which of its kind a remark is about.
type Numbered struct {
	N int `path:"n" minimum:"1" maximum:"32767"`
}

// RemarkAnswer is the answer to a remark.
type RemarkAnswer struct {
	N        int                  `json:"n,omitempty" doc:"The number of what was made or changed, among those of its kind of the incident"`
	Ver      int                  `json:"ver,omitempty" doc:"Of a joint session that was called or changed: its version after that"`
	Repeated bool                 `json:"repeated,omitempty" doc:"An earlier request with this key did it"`
	Incident store.PublicIncident `json:"incident"`
}

type remarkOutput struct {
	ETag string `header:"ETag"`
	Body RemarkAnswer
}

// setDown carries out a remark.
func (s *Server) setDown(ctx context.Context, a caller, to RemarkTo, what string, m ledger.Matter) (*remarkOutput, error) {
	version := 0
	if to.IfMatch != "" {
		var err error
		if version, err = strconv.Atoi(strings.Trim(to.IfMatch, "\"")); err != nil || version < 1 {
			return nil, problem(http.StatusBadRequest, "If-Match must be one version number in quotes")
		}
	}
	res, err := s.o.Ledger.Do(ctx, a.Actor, ledger.Command{
		Key: to.Key, Request: sha256.Sum256([]byte(fmt.Sprintf("%s %d %d\n%s", what, to.ID, version, bodyOf(ctx)))), RequestID: requestID(ctx),
		Remark: &ledger.Remark{Incident: to.ID, Version: version, Matter: m},
	})
	if err != nil {
		return nil, err
	}
	out, err := s.resultAnswer(ctx, res)
	if err == nil && !res.Hidden && a.View != auth.CaseView {
		out, err = s.incidentAnswer(ctx, res.Incident, a.View)
	}
	if err != nil {
		return nil, err
	}
	return &remarkOutput{out.ETag, RemarkAnswer{N: res.N, Repeated: res.Repeated, Incident: out.Body.PublicIncident}}, nil
}

// texts cleans texts in place, by the names they are known by to their sender.
func texts(named map[string]*string) error {
	for name, t := range named {
		clean, unclean := intake.Clean(*t)
		if unclean != "" {
			return problem(http.StatusBadRequest, name+" "+unclean)
		}
		*t = clean
	}
	return nil
}

// needed is texts, of which none may be empty.
func needed(named map[string]*string) error {
	if err := texts(named); err != nil {
		return err
	}
	for name, t := range named {
		if *t == "" {
			return problem(http.StatusUnprocessableEntity, name+" is needed")
		}
	}
	return nil
}

type askInput struct {
	RemarkTo
	Body struct {
		Kind   string    `json:"kind" enum:"void,extend,suspend"`
		Reason string    `json:"reason" maxLength:"1000"`
		Value  int       `json:"value,omitempty" minimum:"1" maximum:"366" doc:"Of extend: by how much"`
		Unit   string    `json:"unit,omitempty" enum:"nh,wh,wd,cd" doc:"Of extend: natural hours, working hours, working days (when left out), calendar days"`
		Until  time.Time `json:"until,omitempty" doc:"Of suspend: when it is looked at again"`
	}
}

func (s *Server) askRequest(ctx context.Context, a caller, in *askInput) (*remarkOutput, error) {
	b := in.Body
	if err := texts(map[string]*string{"reason": &b.Reason}); err != nil {
		return nil, err
	}
	if b.Unit == "" {
		b.Unit = string(calendar.WorkingDays)
	}
	r := dispatch.Request{Kind: dispatch.RequestKind(b.Kind), Reason: b.Reason, Until: b.Until, By: dispatch.Limit{Value: b.Value, Unit: calendar.Unit(b.Unit)}}
	return s.setDown(ctx, a, in.RemarkTo, "request", &ledger.Ask{Request: r})
}

type decideInput struct {
	RemarkTo
	Numbered
	Body struct {
		Decision string `json:"decision" enum:"approve,refuse"`
		Reason   string `json:"reason,omitempty" maxLength:"1000" doc:"Needed to refuse"`
	}
}

func (s *Server) decideRequest(ctx context.Context, a caller, in *decideInput) (*remarkOutput, error) {
	if err := texts(map[string]*string{"reason": &in.Body.Reason}); err != nil {
		return nil, err
	}
	return s.setDown(ctx, a, in.RemarkTo, fmt.Sprintf("decision %d", in.N), &ledger.Decision{N: in.N, Approve: in.Body.Decision == "approve", Reason: in.Body.Reason})
}

type noteInput struct {
	RemarkTo
	Body struct {
		Text string `json:"text" maxLength:"1000"`
	}
}

func (s *Server) writeNote(ctx context.Context, a caller, in *noteInput) (*remarkOutput, error) {
	if err := needed(map[string]*string{"text": &in.Body.Text}); err != nil {
		return nil, err
	}
	return s.setDown(ctx, a, in.RemarkTo, "note", &ledger.Note{Text: in.Body.Text})
}

type instructInput struct {
	RemarkTo
	Body struct {
		Text string    `json:"text" maxLength:"1000"`
		Due  time.Time `json:"due" doc:"By when it is to be answered"`
	}
}

func (s *Server) giveInstruction(ctx context.Context, a caller, in *instructInput) (*remarkOutput, error) {
	if err := needed(map[string]*string{"text": &in.Body.Text}); err != nil {
		return nil, err
	}
	return s.setDown(ctx, a, in.RemarkTo, "instruction", &ledger.Instruct{Text: in.Body.Text, Due: in.Body.Due})
}

type instructionAnswer struct {
	RemarkTo
	Numbered
	Body struct {
		Text string `json:"text" maxLength:"1000"`
	}
}

func (s *Server) answerInstruction(ctx context.Context, a caller, in *instructionAnswer) (*remarkOutput, error) {
	if err := needed(map[string]*string{"text": &in.Body.Text}); err != nil {
		return nil, err
	}
	return s.setDown(ctx, a, in.RemarkTo, fmt.Sprintf("reply %d", in.N), &ledger.InstructionReply{N: in.N, Text: in.Body.Text})
}

// SessionInput is a joint session as it is called.
type SessionInput struct {
	At       time.Time    `json:"at"`
	Place    string       `json:"place" maxLength:"100"`
	FollowUp string       `json:"follow_up,omitempty" maxLength:"60" doc:"The post or department that follows up what comes of it; needed to confirm"`
	Seats    []store.Seat `json:"seats,omitempty" maxItems:"20" doc:"Roles that are not named stay open"`
}

// SeenSession is the version of a joint session that the caller has read.
type SeenSession struct {
	Ver int `json:"ver" minimum:"1" doc:"The session's ver as it was read"`
}

type callSessionInput struct {
	RemarkTo
	Body SessionInput
}

type changeSessionInput struct {
	RemarkTo
	Numbered
	Body struct {
		SessionInput
		SeenSession
	}
}

func (s *Server) callSession(ctx context.Context, a caller, in *callSessionInput) (*remarkOutput, error) {
	return s.holdSession(ctx, a, in.RemarkTo, &ledger.Session{}, in.Body)
}

func (s *Server) changeSession(ctx context.Context, a caller, in *changeSessionInput) (*remarkOutput, error) {
	return s.holdSession(ctx, a, in.RemarkTo, &ledger.Session{N: in.N, Ver: in.Body.Ver}, in.Body.SessionInput)
}

// holdSession calls a session, or changes the one that m names.
func (s *Server) holdSession(ctx context.Context, a caller, to RemarkTo, m *ledger.Session, b SessionInput) (*remarkOutput, error) {
	if err := needed(map[string]*string{"place": &b.Place}); err != nil {
		return nil, err
	}
	if err := texts(map[string]*string{"follow_up": &b.FollowUp}); err != nil {
		return nil, err
	}
	for i := range b.Seats {
		if err := texts(map[string]*string{"role": &b.Seats[i].Role, "holder": &b.Seats[i].Holder}); err != nil {
			return nil, err
		}
	}
	m.At, m.Place, m.FollowUp, m.Seats = b.At, b.Place, b.FollowUp, b.Seats
	out, err := s.setDown(ctx, a, to, fmt.Sprintf("session %d", m.N), m)
	if err == nil {
		out.Body.Ver = m.Ver + 1
	}
	return out, err
}

type confirmInput struct {
	RemarkTo
	Numbered
	Body SeenSession
}

func (s *Server) confirmSession(ctx context.Context, a caller, in *confirmInput) (*remarkOutput, error) {
	return s.setDown(ctx, a, in.RemarkTo, fmt.Sprintf("confirm %d", in.N), &ledger.Confirm{N: in.N, Ver: in.Body.Ver})
}

type assistInput struct {
	RemarkTo
	Body struct {
		Department string `json:"department" maxLength:"100" doc:"By its name"`
		Release    bool   `json:"release,omitempty" doc:"It assists no more"`
	}
}

func (s *Server) assistIncident(ctx context.Context, a caller, in *assistInput) (*remarkOutput, error) {
	id, ok := s.o.Catalogue.Now().Departments[in.Body.Department]
	if !ok {
		return nil, problem(http.StatusUnprocessableEntity, fmt.Sprintf("there is no department %q", in.Body.Department))
	}
	return s.setDown(ctx, a, in.RemarkTo, "assist", &ledger.Assist{Department: id, Release: in.Body.Release})
}

type callBackInput struct {
	RemarkTo
	Numbered
	Body struct {
		Outcome string `json:"outcome" enum:"unreached,satisfied,basically,unsatisfied"`
		Text    string `json:"text,omitempty" maxLength:"1000" doc:"What was said; needed of one who is unsatisfied"`
	}
}

func (s *Server) callBack(ctx context.Context, a caller, in *callBackInput) (*remarkOutput, error) {
	of := map[string]*string{"text": &in.Body.Text}
	err := texts(of)
	if outcome := dispatch.CallBack(in.Body.Outcome); outcome == dispatch.Unsatisfied {
		err = needed(of)
	}
	if err != nil {
		return nil, err
	}
	return s.setDown(ctx, a, in.RemarkTo, fmt.Sprintf("call-back %d", in.N), &ledger.CalledBack{N: in.N, Outcome: dispatch.CallBack(in.Body.Outcome), Text: in.Body.Text})
}

// RemarkSet is what happens to an incident beside the moves of its machine.
type RemarkSet struct {
	Requests     []store.DossierRequest     `json:"requests"`
	Instructions []store.DossierInstruction `json:"instructions"`
	Sessions     []store.DossierSession     `json:"sessions"`
	CallBacks    []store.DossierCallBack    `json:"call_backs"`
	Assistants   []store.DossierAssistant   `json:"assistants"`
}

type remarksOutput struct{ Body RemarkSet }

func (s *Server) getRemarks(ctx context.Context, a caller, in *incidentID) (*remarksOutput, error) {
	rows, err := s.reads(a).Remarks(ctx, a.Scope, a.View, in.ID)
	if err != nil {
		return nil, err
	}
	d := s.o.Catalogue.Now().Remarks(rows)
	return &remarksOutput{RemarkSet{d.Requests, d.Instructions, d.Sessions, d.CallBacks, d.Assistants}}, nil
}

// OpenRemark is one open thing of one incident: the field of its kind is set.
type OpenRemark struct {
	Incident    string                    `json:"incident" doc:"Its id"`
	Number      string                    `json:"number"`
	Request     *store.DossierRequest     `json:"request,omitempty"`
	Instruction *store.DossierInstruction `json:"instruction,omitempty"`
	Session     *store.DossierSession     `json:"session,omitempty"`
	CallBack    *store.DossierCallBack    `json:"call_back,omitempty"`
	Review      *ReviewItem               `json:"review,omitempty"`
}

// ReviewItem says that a suspended incident's review date has passed.
type ReviewItem struct {
	ReviewAt   time.Time `json:"review_at"`
	OwnerLevel int       `json:"owner_level" doc:"The level that owns it"`
}

type openInput struct {
	Kind   string `query:"kind" required:"true" enum:"request,instruction,session,call_back,review" doc:"review: suspended incidents whose review date has passed"`
	Mine   string `query:"mine" enum:"true,false" doc:"Of call-backs: those that the caller owes, having been asked first; of requests: those that the caller may decide"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"64"`
}

type openOutput struct {
	Body struct {
		Counts store.OpenCounts `json:"counts"`
		Items  []OpenRemark     `json:"items" doc:"The oldest, or the soonest due, first"`
		Cursor *string          `json:"cursor" doc:"Send it back for the next page; null on the last"`
	}
}

// openCursor is the place of a row in the list of its kind.
func openCursor(c store.OpenCursor) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d.%d", c.At.UnixMicro(), c.Incident, c.N))
}

func parseOpenCursor(s string) (c store.OpenCursor, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	var at int64
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%d.%d.%d", &at, &c.Incident, &c.N)
	}
	if c.At = time.UnixMicro(at).UTC(); err != nil || openCursor(c) != s || c.N < 0 || c.N > math.MaxInt16 || c.At.Year() < 1970 || c.At.Year() > 9999 {
		return c, problem(http.StatusBadRequest, "cursor is not one this server gave out")
	}
	return c, nil
}

func (s *Server) listRemarks(ctx context.Context, a caller, in *openInput) (*openOutput, error) {
	out, db, f := &openOutput{}, s.reads(a), store.OpenFilter{Limit: in.Limit + 1} // one more tells whether there is a next page
	if in.Mine == "true" {
		f.OwedBy = a.ID
		f.Decider = &store.Decider{
			Actor: a.ID, Decides: dispatch.MayDecide(dispatch.ForVoid, 0, a.Role) == nil, PutsOff: dispatch.MayDecide(dispatch.ForExtension, 1, a.Role) == nil,
		}
	}
	if in.Cursor != "" {
		after, err := parseOpenCursor(in.Cursor)
		if err != nil {
			return nil, err
		}
		f.After = &after
	}
	out.Body.Items = []OpenRemark{}
	var last store.OpenCursor
	add := func(at time.Time, id int64, n int, r OpenRemark) {
		if len(out.Body.Items) == in.Limit {
			c := openCursor(last)
			out.Body.Cursor = &c
			return
		}
		last = store.OpenCursor{At: at, Incident: id, N: n}
		r.Incident, r.Number = fmt.Sprint(id), store.IncidentNumber(id)
		out.Body.Items = append(out.Body.Items, r)
	}
	var err, err2 error
	switch in.Kind {
	case "request":
		var rows []store.RequestRow
		rows, err = db.OpenRequests(ctx, a.Scope, f)
		for _, r := range rows {
			p := r.Public()
			add(r.AskedAt, r.Incident, r.N, OpenRemark{Request: &p})
		}
	case "instruction":
		var rows []store.Instruction
		rows, err = db.OpenInstructions(ctx, a.Scope, f)
		for _, r := range rows {
			p := r.Public()
			add(r.Due, r.Incident, r.N, OpenRemark{Instruction: &p})
		}
	case "session":
		var rows []store.JointSession
		rows, err = db.OpenSessions(ctx, a.Scope, f)
		for _, r := range rows {
			p := r.Public()
			add(r.At, r.Incident, r.N, OpenRemark{Session: &p})
		}
	case "review":
		var rows []store.Review
		rows, err = db.DueReviews(ctx, a.Scope, s.o.Now(), f)
		for _, r := range rows {
			add(r.ReviewAt, r.Incident, 0, OpenRemark{Review: &ReviewItem{r.ReviewAt.UTC(), r.OwnerLevel}})
		}
	default:
		var rows []store.CallBackRow
		rows, err = db.OpenCallBacks(ctx, a.Scope, f)
		for _, r := range rows {
			p := r.Public()
			add(r.Due, r.Incident, r.N, OpenRemark{CallBack: &p})
		}
	}
	out.Body.Counts, err2 = db.CountOpen(ctx, a.Scope, s.o.Now())
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return out, nil
}
