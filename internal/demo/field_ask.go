// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	askTries  = 6
	askPause  = time.Second      // where a server that is busy does not say when to come again
	askAtMost = 20 * time.Second // that a Retry-After is waited for
)

// asker speaks to the API as one person: with a token of its own, waiting as long as
// the server asks for when that has too much to do.
type asker struct {
	c     *client
	token string
	wait  func() // told of each wait; nil for nobody
}

// refusal is an answer that a request has failed for good.
type refusal struct {
	status int
	what   string // method and path
	detail string // the server's own words
}

func (e *refusal) Error() string {
	return fmt.Sprintf("%s: the server answers %d: %s", e.what, e.status, e.detail)
}

// ask sends body as JSON, if it is not nil, and reads the answer into out, if that is
// not nil. It returns the answer's headers. A request the server has no time for (429,
// 503) or that gets no answer is sent again after a while; so whatever changes
// something needs a key in its headers or a client_ref. What is refused is a *refusal.
func (a asker) ask(ctx context.Context, method, path string, body, out any, header ...string) (http.Header, error) {
	var raw []byte
	send := map[string]string{"Accept": "application/json"}
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
		send["Content-Type"] = "application/json"
	}
	for i := 0; i+1 < len(header); i += 2 {
		send[header[i]] = header[i+1]
	}
	for try := 1; ; try++ {
		r, err := a.c.do(ctx, a.token, method, a.c.server+path, raw, send)
		if again := err != nil || r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable; again && try < askTries && ctx.Err() == nil {
			if a.wait != nil {
				a.wait()
			}
			if !sleep(ctx, retryAfter(r.header)) {
				return nil, ctx.Err()
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if r.status >= 300 {
			return nil, refused(r, method+" "+path)
		}
		if out != nil {
			if err := json.Unmarshal(r.body, out); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
		}
		return r.header, nil
	}
}

func refused(r reply, what string) *refusal {
	var p struct{ Detail string }
	if json.Unmarshal(r.body, &p) != nil || p.Detail == "" {
		p.Detail = http.StatusText(r.status)
	}
	return &refusal{r.status, what, p.Detail}
}

// retryAfter is how long a server asks to be left alone.
func retryAfter(h http.Header) time.Duration {
	s, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || s < 0 {
		return askPause
	}
	return min(time.Duration(s)*time.Second, askAtMost)
}
