// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"onemap/auth"
	"onemap/geo"
	"onemap/internal/attach"
	"onemap/internal/attach/media"
	"onemap/store"
	"onemap/store/ledger"
)

// The resumable upload protocol tus 1.0: creation, parts, checksum, expiration,
// termination.
const (
	tusVersion     = "1.0.0"
	partType       = "application/offset+octet-stream"
	statusChecksum = 460 // of tus: a part did not arrive as it was sent
)

// How many files one sender may add to one incident a day, by kind, and how many an
// incident may have in all.
const (
	photosOfOne      = 6
	recordingsOfOne  = 4
	filmsOfOne       = 2
	filesPerIncident = 60
)

// How long one request may bring parts, and how long it may bring nothing.
const (
	uploadTime   = 5 * time.Minute
	completeTime = 45 * time.Second // to look into a whole file
)

// streamed marks operations whose body is read as it comes.
const streamed = "streamed"

func (s *Server) uploads() {
	route(s, need{auth.Write, auth.Attachment}, huma.Operation{
		OperationID: "begin-attachment", Method: http.MethodPost, Path: attachmentsPath, Tags: []string{"attachments"},
		Summary: "Begin an upload (tus 1.0, creation): the answer's Location takes the parts", DefaultStatus: http.StatusCreated, Errors: []int{404, 409, 412, 413, 415, 422, 429},
		Description: "Upload-Metadata names the file by pairs of a key and a value in base64: filetype and sha256 (hexadecimal, of the whole file) have to be there; captured_at, " +
			"lon, lat with crs, and client_ref may. The same client_ref by the same sender answers the first upload. See docs/ATTACHMENTS.md.",
	}, s.beginAttachment)
	route(s, need{auth.Write, auth.Attachment}, huma.Operation{
		OperationID: "attachment-offset", Method: http.MethodHead, Path: attachmentsPath + "/{n}", Tags: []string{"attachments"},
		Summary: "How much of one's own upload has come (tus 1.0)", Errors: []int{404, 410}, DefaultStatus: http.StatusOK,
	}, s.attachmentOffset)
	route(s, need{auth.Write, auth.Attachment}, huma.Operation{
		OperationID: "send-part", Method: http.MethodPatch, Path: attachmentsPath + "/{n}", Tags: []string{"attachments"},
		Summary: "Send the next part of one's own upload (tus 1.0)", DefaultStatus: http.StatusNoContent, Errors: []int{404, 408, 409, 410, 412, 413, 415, 422, statusChecksum, 507},
		Description: "A part that breaks off is kept as far as it came, unless it has a checksum. The answer to the last part tells whether the file is taken.",
		Metadata:    map[string]any{streamed: true},
		RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{partType: {Schema: &huma.Schema{Type: "string", Format: "binary"}}}},
	}, s.sendPart)
}

// TusInput is the version of the protocol that a client speaks; it may leave it out.
type TusInput struct {
	Version string `header:"Tus-Resumable" doc:"1.0.0"`
}

// spoken refuses a client of another version of the protocol.
func (t TusInput) spoken() error {
	if t.Version != "" && t.Version != tusVersion {
		return huma.ErrorWithHeaders(problem(http.StatusPreconditionFailed, "this server speaks tus "+tusVersion), http.Header{"Tus-Version": {tusVersion}})
	}
	return nil
}

type beginInput struct {
	TusInput
	ID       int64  `path:"id" minimum:"1"`
	Length   string `header:"Upload-Length" doc:"Bytes of the whole file"`
	Metadata string `header:"Upload-Metadata" maxLength:"4000"`
}

type beginOutput struct {
	Tus      string `header:"Tus-Resumable"`
	Location string `header:"Location"`
	Expires  string `header:"Upload-Expires"`
	Offset   int64  `header:"Upload-Offset"`
	Status   int
	Body     Attachment
}

func (s *Server) beginAttachment(ctx context.Context, c caller, in *beginInput) (*beginOutput, error) {
	if err := in.spoken(); err != nil {
		return nil, err
	}
	b, err := s.declared(in)
	if err != nil {
		return nil, err
	}
	res, err := s.o.Ledger.Do(ctx, c.Actor, ledger.Command{RequestID: requestID(ctx), Attachment: &ledger.Attachment{Incident: in.ID, Begin: b}})
	if errors.Is(err, ledger.ErrDayFull) {
		_, tomorrow := dayOf(s.o.Now())
		s.count("attachments_day")
		return nil, tooMany(tomorrow.Sub(s.o.Now()), ledger.ErrDayFull.Error()+"; the count begins anew at midnight")
	}
	if err != nil {
		return nil, attachProblem(err)
	}
	have, err := s.o.Files.Offset(res.Attachment)
	if err != nil {
		return nil, err
	}
	out := &beginOutput{
		Tus: tusVersion, Location: fmt.Sprintf("/api/v1/incidents/%d/attachments/%d", in.ID, res.Attachment.N), Offset: have,
		Status: http.StatusCreated, Body: attachmentItem(res.Attachment, c.Actor),
	}
	if !res.Repeated {
		out.Expires = s.expires()
	}
	return out, nil
}

// expires is when an upload that does not go on from now is given up.
func (s *Server) expires() string {
	return s.o.Now().Add(attach.KeepPartial).UTC().Format(http.TimeFormat)
}

// declared reads what is said of a file before it comes.
func (s *Server) declared(in *beginInput) (*ledger.AttachmentBegin, error) {
	size, err := strconv.ParseInt(in.Length, 10, 64)
	if err != nil || size < 1 {
		return nil, problem(http.StatusBadRequest, "Upload-Length: say how many bytes the file has; its length cannot be told later")
	}
	said, err := metadata(in.Metadata)
	if err != nil {
		return nil, err
	}
	today, _ := dayOf(s.o.Now())
	b := &ledger.AttachmentBegin{ClientRef: said["client_ref"], Size: size, Limits: ledger.AttachmentLimits{
		Since: today, Day: s.o.Limits.AttachmentsPerDay, DayBytes: int64(s.o.Limits.AttachmentMiBPerDay) << 20, Incident: filesPerIncident,
	}}
	b.Type, _, _ = strings.Cut(strings.ToLower(said["filetype"]), ";")
	kind, ok := media.DeclaredKind(b.Type)
	if !ok {
		return nil, problem(http.StatusUnsupportedMediaType, fmt.Sprintf("filetype %q is not taken: %s", b.Type, media.WhichTypes()))
	}
	b.Kind, b.Limits.Kind = string(kind), map[media.Kind]int{media.Photo: photosOfOne, media.Voice: recordingsOfOne, media.Video: filmsOfOne}[kind]
	if most := media.MaxSize[kind]; size > most {
		return nil, problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("a %s has at most %d MiB", kind, most>>20))
	}
	sum, err := hex.DecodeString(said["sha256"])
	if err != nil || len(sum) != sha256.Size {
		return nil, problem(http.StatusBadRequest, "sha256 in Upload-Metadata: give the SHA-256 of the whole file in hexadecimal")
	}
	b.SHA256 = store.FileHash(sum)
	if n := len(b.ClientRef); n > 100 || strings.ContainsFunc(b.ClientRef, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, problem(http.StatusBadRequest, "client_ref: up to 100 letters, digits and signs of ASCII")
	}
	if text := said["captured_at"]; text != "" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.Year() < 1990 || t.Year() > 2200 {
			return nil, problem(http.StatusBadRequest, "captured_at: a time as 2026-11-22T15:04:05+08:00")
		}
		b.CapturedAt = &t
	}
	b.Place, err = saidPlace(said)
	return b, err
}

// metadata reads Upload-Metadata: "key base64,key base64".
func metadata(text string) (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(value)
		_, twice := out[key]
		if err != nil || twice {
			return nil, problem(http.StatusBadRequest, fmt.Sprintf("Upload-Metadata: %.40q stands twice or is no base64", key))
		}
		switch key {
		case "filetype", "sha256", "captured_at", "lon", "lat", "crs", "client_ref":
			out[key] = string(raw)
		case "filename", "name", "relativePath": // many clients send them; nobody's file name is kept
		default:
			return nil, problem(http.StatusBadRequest, fmt.Sprintf("Upload-Metadata: unknown key %.40q", key))
		}
	}
	return out, nil
}

// saidPlace is where something was taken by its sender's word; nil when not told.
func saidPlace(said map[string]string) (*geo.Raw, error) {
	if said["lon"] == "" && said["lat"] == "" && said["crs"] == "" {
		return nil, nil
	}
	lon, err1 := strconv.ParseFloat(said["lon"], 64)
	lat, err2 := strconv.ParseFloat(said["lat"], 64)
	if err1 != nil || err2 != nil || math.IsNaN(lon+lat) || math.IsInf(lon+lat, 0) {
		return nil, problem(http.StatusBadRequest, "lon, lat: two numbers, with crs")
	}
	datum, err := geo.ParseDatum(said["crs"])
	if err != nil {
		return nil, problem(http.StatusBadRequest, "crs: "+err.Error())
	}
	raw := geo.Raw{Lon: lon, Lat: lat, Datum: datum}
	if _, err := raw.WGS84(); err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "lon, lat: "+err.Error())
	}
	return &raw, nil
}

// ownUpload is an upload of the caller's own that goes on or is whole. Another's is
// not there.
func (s *Server) ownUpload(ctx context.Context, c caller, in AttachmentID) (store.Attachment, error) {
	a, err := s.o.Reads.Attachment(ctx, c.Scope, in.ID, in.N)
	switch {
	case err != nil:
		return a, err
	case a.Uploader != c.ID:
		return a, store.ErrNotFound
	case a.State != store.Pending && a.State != store.Ready:
		return a, problem(http.StatusGone, "the upload has ended ("+string(a.State)+"): begin a new one")
	}
	return a, nil
}

type offsetInput struct {
	TusInput
	AttachmentID
}

type offsetOutput struct {
	Tus    string `header:"Tus-Resumable"`
	Offset int64  `header:"Upload-Offset"`
	Length int64  `header:"Upload-Length"`
}

func (s *Server) attachmentOffset(ctx context.Context, c caller, in *offsetInput) (*offsetOutput, error) {
	if err := in.spoken(); err != nil {
		return nil, err
	}
	a, err := s.ownUpload(ctx, c, in.AttachmentID)
	if err != nil {
		return nil, err
	}
	have, err := s.o.Files.Offset(a)
	if err != nil {
		return nil, err
	}
	return &offsetOutput{tusVersion, have, a.Size}, nil
}

type partInput struct {
	TusInput
	AttachmentID
	Type     string `header:"Content-Type" doc:"application/offset+octet-stream"`
	Offset   string `header:"Upload-Offset" doc:"Where the part begins: what HEAD says"`
	Checksum string `header:"Upload-Checksum" maxLength:"200" doc:"sha256 or sha1 of the part, a blank, and the sum in base64"`
}

type partOutput struct {
	Tus     string `header:"Tus-Resumable"`
	Offset  int64  `header:"Upload-Offset"`
	Expires string `header:"Upload-Expires"`
}

func (s *Server) sendPart(ctx context.Context, c caller, in *partInput) (*partOutput, error) {
	if err := in.spoken(); err != nil {
		return nil, err
	}
	if mediaType(in.Type) != partType {
		return nil, problem(http.StatusUnsupportedMediaType, "a part is sent as "+partType)
	}
	off, err := strconv.ParseInt(in.Offset, 10, 64)
	if err != nil || off < 0 {
		return nil, problem(http.StatusBadRequest, "Upload-Offset: say at which byte the part begins")
	}
	sum, err := partSum(in.Checksum)
	if err != nil {
		return nil, err
	}
	a, err := s.ownUpload(ctx, c, in.AttachmentID)
	if err != nil {
		return nil, err
	}
	body, _ := ctx.Value(keyStream).(*partBody)
	have := off
	switch {
	case body == nil:
		return nil, errors.New("a part without a body to read")
	case a.State == store.Ready && off != a.Size, off > a.Size:
		return nil, attachProblem(&attach.OffsetError{Have: a.Size})
	case body.size > a.Size-off:
		return nil, attachProblem(attach.ErrLarge)
	case a.State == store.Ready:
	default:
		if have, err = s.o.Files.Append(a, off, body, sum); err != nil {
			return nil, partProblem(err, have)
		}
		if have == a.Size {
			if err := s.complete(ctx, a); err != nil {
				return nil, err
			}
		}
	}
	return &partOutput{tusVersion, have, s.expires()}, nil
}

// partProblem is what a part that did not come whole is answered with.
func partProblem(err error, have int64) error {
	var late net.Error
	var broken *brokenOff
	known := attachProblem(err)
	switch {
	case !errors.As(err, &broken):
	case errors.As(err, &late) && late.Timeout():
		known = problem(http.StatusRequestTimeout, "the part came too slowly: ask by HEAD, and go on from there")
	default:
		known = problem(http.StatusBadRequest, "the part ended too early: ask by HEAD, and go on from there")
	}
	var p *Problem
	if errors.As(known, &p) && p.Status != http.StatusConflict && p.Status != http.StatusInsufficientStorage {
		return huma.ErrorWithHeaders(p, http.Header{"Upload-Offset": {fmt.Sprint(have)}})
	}
	return known
}

// complete looks into a file whose bytes are all here. It goes on when its sender
// hangs up. What cannot be done now stays pending and is done by the sweep.
func (s *Server) complete(ctx context.Context, a store.Attachment) error {
	wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), completeTime)
	defer cancel()
	done, err := s.o.Files.Complete(wctx, requestID(ctx), a)
	switch {
	case errors.Is(err, ledger.ErrNotPending), errors.Is(err, store.ErrNotFound):
		return attachProblem(err)
	case err != nil:
		s.o.Log.Warn("a whole upload waits to be looked into", "request", requestID(ctx), "attachment", fmt.Sprintf("%d/%d", a.Incident, a.N), "err", err)
	case done.State == store.Refused:
		return problem(http.StatusUnprocessableEntity, done.Refusal)
	}
	return nil
}

// sumOf is a checksum of tus.
type sumOf struct {
	hash.Hash
	want string
}

// Right reports whether what was written has the sum that was sent.
func (s *sumOf) Right() bool { return string(s.Sum(nil)) == s.want }

// partSum reads Upload-Checksum; nil when there is none.
func partSum(text string) (attach.Sum, error) {
	if text == "" {
		return nil, nil
	}
	name, value, _ := strings.Cut(text, " ")
	made := map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New}[name]
	raw, err := base64.StdEncoding.DecodeString(value)
	if made == nil || err != nil {
		return nil, problem(http.StatusBadRequest, "Upload-Checksum: sha256 or sha1, a blank, and the sum in base64")
	}
	return &sumOf{made(), string(raw)}, nil
}

// partBody is the body of a part: read as it comes, and given up when nothing comes.
type partBody struct {
	r    io.Reader
	size int64 // -1 when it is not said
	wait func(time.Time) error
	end  time.Time
}

// newPartBody makes the body of a request readable for longer than others.
func newPartBody(r *http.Request, wait func(time.Time) error, answer func(time.Time) error) *partBody {
	end := time.Now().Add(uploadTime)
	_ = answer(end.Add(completeTime + pieceTime))
	return &partBody{r: r.Body, size: r.ContentLength, wait: wait, end: end}
}

func (b *partBody) Read(p []byte) (int, error) {
	by := time.Now().Add(bodyTime)
	if by.After(b.end) {
		by = b.end
	}
	_ = b.wait(by)
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = &brokenOff{err}
	}
	return n, err
}

// brokenOff is the end of a body before its end.
type brokenOff struct{ why error }

func (e *brokenOff) Error() string { return "the body broke off: " + e.why.Error() }
func (e *brokenOff) Unwrap() error { return e.why }
