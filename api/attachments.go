// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"onemap/auth"
	"onemap/internal/attach"
	"onemap/store"
	"onemap/store/ledger"
)

const attachmentsPath = "/api/v1/incidents/{id}/attachments"

func (s *Server) attachments() {
	route(s, need{auth.Read, auth.Attachment}, huma.Operation{
		OperationID: "list-attachments", Method: http.MethodGet, Path: attachmentsPath, Tags: []string{"attachments"},
		Summary: "What is attached to an incident, in order: whole, pending, refused and removed", Errors: []int{404},
	}, s.listAttachments)
	route(s, need{auth.Read, auth.Attachment}, huma.Operation{
		OperationID: "get-attachment", Method: http.MethodGet, Path: attachmentsPath + "/{n}/content", Tags: []string{"attachments"},
		Summary: "The file, without what tells its place; Range is understood", Errors: []int{404, 416},
		Description: "Always as a download, never as a page. Nobody is served the file as it was received.",
		Responses:   binaryAnswer("The file"),
	}, s.getAttachment)
	route(s, need{auth.Read, auth.Attachment}, huma.Operation{
		OperationID: "get-thumbnail", Method: http.MethodGet, Path: attachmentsPath + "/{n}/thumbnail", Tags: []string{"attachments"},
		Summary: "A photo made small, upright, as a JPEG", Errors: []int{404}, Responses: binaryAnswer("320 pixels on its longest side"),
	}, s.getThumbnail)
	route(s, need{auth.Remove, auth.Attachment}, huma.Operation{
		OperationID: "remove-attachment", Method: http.MethodDelete, Path: attachmentsPath + "/{n}", Tags: []string{"attachments"},
		Summary: "Take an attachment away, with a reason; or give up one's own upload", Errors: []int{403, 404, 409, 422}, DefaultStatus: http.StatusNoContent,
		Description: "Who sent it may, and the hall. It stands in the incident's journal and in the audit log; its files go a day later.",
	}, s.removeAttachment)
	s.uploads()
}

func binaryAnswer(what string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {Description: what, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
	}}}
}

// Attachment is a photo, a recording or a film of an incident.
type Attachment struct {
	N          int         `json:"n" doc:"Within its incident"`
	State      string      `json:"state" enum:"pending,ready,refused,expired,removed"`
	Kind       string      `json:"kind" enum:"photo,voice,video"`
	Type       string      `json:"type" doc:"The media type: as declared until it is ready, then as found"`
	Size       int64       `json:"size" doc:"Bytes of the file as it was received"`
	SHA256     string      `json:"sha256" doc:"Of the file as it was received, in hexadecimal"`
	Uploader   string      `json:"uploader"`
	ClientRef  string      `json:"client_ref,omitempty" doc:"The sender's own name for it; told to the sender alone"`
	BegunAt    time.Time   `json:"begun_at" doc:"When the server first heard of it"`
	ReadyAt    *time.Time  `json:"ready_at" doc:"When the server had all of it"`
	CapturedAt *time.Time  `json:"captured_at" doc:"When it was taken, by the sender's word"`
	Place      *[2]float64 `json:"place" doc:"Where it was taken by the sender's word: longitude and latitude in WGS-84"`
	FileTime   *time.Time  `json:"file_captured_at" doc:"When it was taken, as the file said"`
	FilePlaced bool        `json:"file_has_place" doc:"The file held a place, which is kept and served to nobody"`
	Width      int         `json:"width,omitempty"`
	Height     int         `json:"height,omitempty"`
	DurationS  float64     `json:"duration_s,omitempty"`
	Thumbnail  bool        `json:"thumbnail"`
	Refusal    string      `json:"refusal,omitempty" doc:"Why it was not taken, and what its sender may do"`
	Reason     string      `json:"reason,omitempty" doc:"Of its removal"`
}

func attachmentItem(a store.Attachment, asks auth.Actor) Attachment {
	out := Attachment{
		N: a.N, State: string(a.State), Kind: a.Kind, Type: a.DeclaredType, Size: a.Size, SHA256: a.SHA256.String(), Uploader: a.Uploader,
		BegunAt: a.BegunAt, CapturedAt: a.CapturedAt, Refusal: a.Refusal, Reason: a.Reason,
	}
	if a.Uploader == asks.ID {
		out.ClientRef = a.ClientRef
	}
	if a.Captured != nil {
		out.Place = &[2]float64{a.Captured.Lon(), a.Captured.Lat()}
	}
	if f := a.Found; f != nil {
		out.Type, out.ReadyAt, out.FileTime, out.FilePlaced = f.Type, &f.ReadyAt, f.CapturedAt, f.Place != nil
		out.Width, out.Height, out.DurationS, out.Thumbnail = f.Width, f.Height, f.Duration.Seconds(), f.Thumb != nil
	}
	return out
}

type attachmentsOutput struct {
	Body struct {
		Items []Attachment `json:"items"`
	}
}

func (s *Server) listAttachments(ctx context.Context, c caller, in *incidentID) (*attachmentsOutput, error) {
	all, err := s.o.Reads.Attachments(ctx, c.Scope, in.ID)
	if err != nil {
		return nil, err
	}
	out := &attachmentsOutput{}
	out.Body.Items = make([]Attachment, len(all))
	for i, a := range all {
		out.Body.Items[i] = attachmentItem(a, c.Actor)
	}
	return out, nil
}

// AttachmentID names one attachment.
type AttachmentID struct {
	ID int64 `path:"id" minimum:"1"`
	N  int   `path:"n" minimum:"1" maximum:"9999"`
}

// readyOne is an attachment that may be served.
func (s *Server) readyOne(ctx context.Context, c caller, in *AttachmentID) (*store.FoundFile, error) {
	a, err := s.o.Reads.Attachment(ctx, c.Scope, in.ID, in.N)
	if err == nil && a.State != store.Ready {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return a.Found, nil
}

// openFile opens a file that a row names.
func (s *Server) openFile(ctx context.Context, h store.FileHash) (*os.File, error) {
	f, err := s.o.Files.Open(h)
	if errors.Is(err, os.ErrNotExist) {
		s.o.Log.Error("a file of an attachment is missing: see onemap doctor", "request", requestID(ctx), "file", h.String())
		return nil, problem(http.StatusServiceUnavailable, "the file is not on the server's disk; tell whoever runs it that onemap doctor knows more")
	}
	return f, err
}

// FileHeaders are those of an answer that somebody else has made: no browser takes it for a
// page, nothing keeps it.
type FileHeaders struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	Cache       string `header:"Cache-Control"`
}

func headersOf(kind, disposition string) FileHeaders {
	return FileHeaders{kind, disposition, "default-src 'none'; sandbox", "private, no-store"}
}

type contentInput struct {
	AttachmentID
	Range string `header:"Range" doc:"Bytes of it alone"`
}

type contentOutput struct {
	FileHeaders
	Body func(huma.Context)
}

// endings are the ends of file names by media type.
var endings = map[string]string{
	"image/jpeg": "jpg", "image/png": "png", "audio/amr": "amr", "audio/amr-wb": "awb", "audio/mp4": "m4a", "audio/3gpp": "3gp", "audio/mpeg": "mp3", "audio/ogg": "ogg",
	"audio/wav": "wav", "audio/webm": "weba", "video/mp4": "mp4", "video/3gpp": "3gp", "video/quicktime": "mov", "video/webm": "webm",
}

func (s *Server) getAttachment(ctx context.Context, c caller, in *contentInput) (*contentOutput, error) {
	found, err := s.readyOne(ctx, c, &in.AttachmentID)
	if err != nil {
		return nil, err
	}
	leave, err := s.takeFor(ctx, files, c.ID) // until the last byte is sent, which may take a while
	if err != nil {
		return nil, err
	}
	f, err := s.openFile(ctx, found.Served)
	if err != nil {
		leave()
		return nil, err
	}
	name := fmt.Sprintf("%s-%d.%s", store.IncidentNumber(in.ID), in.N, endings[found.Type])
	out := &contentOutput{FileHeaders: headersOf(found.Type, `attachment; filename="`+name+`"`)}
	out.Body = func(hc huma.Context) {
		defer leave()
		defer f.Close()
		g := humagin.Unwrap(hc)
		http.ServeContent(&unhurried{g.Writer, http.NewResponseController(g.Writer)}, g.Request, "", time.Time{}, f)
	}
	return out, nil
}

// unhurried gives a slow line time for each piece of a long answer, but does not wait
// for one that takes nothing.
type unhurried struct {
	http.ResponseWriter
	c *http.ResponseController
}

// pieceTime is how long a piece of a file may take on its way.
const pieceTime = 30 * time.Second

func (w *unhurried) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var m int
		_ = w.c.SetWriteDeadline(time.Now().Add(pieceTime))
		m, err = w.ResponseWriter.Write(b[:min(len(b), 64<<10)])
		n, b = n+m, b[m:]
	}
	return n, err
}

type thumbnailOutput struct {
	FileHeaders
	Body []byte
}

func (s *Server) getThumbnail(ctx context.Context, c caller, in *AttachmentID) (*thumbnailOutput, error) {
	found, err := s.readyOne(ctx, c, in)
	if err == nil && found.Thumb == nil {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	f, err := s.openFile(ctx, *found.Thumb)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := &thumbnailOutput{FileHeaders: headersOf("image/jpeg", "inline")}
	out.Body, err = io.ReadAll(f)
	return out, err
}

type removeInput struct {
	AttachmentID
	Reason string `query:"reason" doc:"Why, in 4 to 500 characters; it is kept in the journal and the audit log. Giving up one's own upload needs none"`
}

func (s *Server) removeAttachment(ctx context.Context, c caller, in *removeInput) (*struct{}, error) {
	reason := ""
	if in.Reason != "" {
		var err error
		if reason, err = reasonOf(in.Reason); err != nil {
			return nil, err
		}
	}
	res, err := s.o.Ledger.Do(ctx, c.Actor, ledger.Command{RequestID: requestID(ctx), Attachment: &ledger.Attachment{
		Incident: in.ID, N: in.N, Remove: &ledger.AttachmentRemoval{Reason: reason},
	}})
	if err != nil {
		return nil, attachProblem(err)
	}
	if res.Attachment.Found == nil { // no more than a part has come
		if err := s.o.Files.Abandon(res.Attachment); err != nil {
			s.o.Log.Warn("a part is left over", "request", requestID(ctx), "err", err)
		}
	}
	return nil, nil
}

// attachProblem is what an error of an attachment is answered with.
func attachProblem(err error) error {
	var off *attach.OffsetError
	switch {
	case errors.Is(err, ledger.ErrNotTheirs):
		return problem(http.StatusForbidden, ledger.ErrNotTheirs.Error())
	case errors.Is(err, ledger.ErrNotPending):
		return problem(http.StatusConflict, ledger.ErrNotPending.Error()+": see its state in the list")
	case errors.Is(err, ledger.ErrIncidentArchived):
		return problem(http.StatusConflict, ledger.ErrIncidentArchived.Error())
	case errors.Is(err, ledger.ErrTooManyAttached):
		return problem(http.StatusUnprocessableEntity, ledger.ErrTooManyAttached.Error()+": remove one first, or go on tomorrow")
	case errors.Is(err, ledger.ErrIncidentFull):
		return problem(http.StatusUnprocessableEntity, ledger.ErrIncidentFull.Error()+": remove what is not needed first")
	case errors.As(err, &off):
		return huma.ErrorWithHeaders(problem(http.StatusConflict, off.Error()+": ask by HEAD, and go on from there"), http.Header{"Upload-Offset": {fmt.Sprint(off.Have)}})
	case errors.Is(err, attach.ErrBusy):
		return huma.ErrorWithHeaders(problem(http.StatusConflict, attach.ErrBusy.Error()+": ask by HEAD in a moment, and go on from there"), http.Header{"Retry-After": {"2"}})
	case errors.Is(err, attach.ErrLarge):
		return problem(http.StatusRequestEntityTooLarge, attach.ErrLarge.Error()+", as its size was declared: begin a new upload if the file has changed")
	case errors.Is(err, attach.ErrSum):
		return problem(statusChecksum, attach.ErrSum.Error()+": nothing of it was kept; send it again")
	case errors.Is(err, attach.ErrNoRoom):
		return huma.ErrorWithHeaders(problem(http.StatusInsufficientStorage, attach.ErrNoRoom.Error()+": the incident is kept, and the file stays pending; go on later"), http.Header{"Retry-After": {"300"}})
	}
	return err
}
