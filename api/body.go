// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
)

// How large the body of a JSON request may be, in bytes: of one who has signed
// in, and of anybody.
const (
	maxBody  = 256 << 10
	openBody = 16 << 10
	// maxDrawnBody is of a request with a polygon that somebody drew.
	maxDrawnBody = 1 << 20
)

// largeAtOnce is how many bodies of more than openBody are read at a time, and of
// those above maxBody, which are batches of places: each takes several times its
// size until it is judged, whoever sends it.
const largeAtOnce = 8

// bodyTime is how long a body may take to arrive.
const bodyTime = 10 * time.Second

// body reads the body of a request: one that says it is too large is not read, and
// of large ones few are read at a time, those that do not say how large they are
// among them; such a place is kept until leave. What is no JSON, or too much of
// it, is refused. Handlers find the bytes by bodyOf.
//
// The library that checks requests reads bodies into buffers it uses again, kept
// as large as they ever were and held while a handler looks at them: it is handed
// what is here already, and holds a buffer for a moment.
func (s *Server) body(hc huma.Context, most int64) (with huma.Context, leave func(), err error) {
	r := humagin.Unwrap(hc).Request
	size := r.ContentLength // -1: not said
	large, places := most > openBody && (size < 0 || size > openBody), s.large
	if size > maxBody || size < 0 && most > maxBody {
		places = s.batches
	}
	switch {
	case size == 0:
		return hc, func() {}, nil
	case size > most:
		return hc, nil, tooLarge(most)
	case large:
		if err := s.await(hc.Context(), places, "busy_body"); err != nil {
			return hc, nil, err
		}
		leave = func() { <-places }
	default:
		leave = func() {}
	}
	_ = hc.SetReadDeadline(time.Now().Add(bodyTime))
	text, err := readBody(r.Body, size, most, large)
	values := maxValues
	if most > maxBody {
		values = maxDrawn
	}
	if err == nil && most != maxPlacesBody && strings.Contains(r.Header.Get("Content-Type"), "json") {
		if wrong := noDoubleKeys(text, values); wrong != nil {
			err = &Problem{
				Type: "about:blank", Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: "the body is not the JSON that is asked for",
				Errors: []ProblemItem{{"body", wrong.Error()}},
			}
		}
	}
	if err != nil {
		leave()
		return hc, nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	return huma.WithValue(hc, keyBody, text), leave, nil
}

// readBody reads a body of size bytes, -1 when that is not known, and of at most
// most. Room for all of it is made at once only where few do so at a time.
func readBody(r io.Reader, size, most int64, large bool) (text []byte, err error) {
	if large && size > 0 {
		text = make([]byte, size)
		_, err = io.ReadFull(r, text)
	} else {
		text, err = io.ReadAll(io.LimitReader(r, most+1))
	}
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return nil, problem(http.StatusRequestTimeout, fmt.Sprintf("the body did not arrive within %s", bodyTime))
	case err != nil:
		return nil, problem(http.StatusBadRequest, "the body ends too early or is framed wrong: "+err.Error())
	case int64(len(text)) > most:
		return nil, tooLarge(most)
	}
	return text, nil
}

func tooLarge(most int64) error {
	return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes, which is the most that is read", most))
}

// bodyOf is the request's body as it came; nil when there is none.
func bodyOf(ctx context.Context) []byte {
	text, _ := ctx.Value(keyBody).([]byte)
	return text
}
