// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"onemap/auth"
)

// Notifier carries word of an offer to a worker whose page is in a pocket: through a
// gateway to SMS, voice or 政务微信. What it carries names nobody but by badge.
type Notifier interface {
	// Notify hands one message over. An error means that it is to be sent again; the
	// receiver tells repetitions by the message's id.
	Notify(ctx context.Context, m Message) error
}

// Message is what a Notifier carries.
type Message struct {
	ID      string    `json:"id"`   // the same in every try
	Kind    string    `json:"kind"` // "offer.made", "offer.withdrawn"
	OfferID string    `json:"offer_id"`
	Worker  string    `json:"worker_id"`
	Badge   string    `json:"badge"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

const (
	notifyFile    = "notifications.ndjson"
	notifyEvery   = time.Second
	notifyAtOnce  = 20
	notifyTimeout = 5 * time.Second
	notifyTries   = 6
	notifyFileMax = 16 << 20
	leastKey      = 32
)

// newNotifier makes the notifier that the options ask for.
func newNotifier(o Options) (Notifier, error) {
	if o.NotifyURL == "" {
		return &fileNotifier{path: filepath.Join(o.Data, notifyFile)}, nil
	}
	u, err := url.Parse(o.NotifyURL)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("--notify-url: it is an address such as https://sms.example/onemap")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("--notify-url: it has no user and no fragment: the signature says who sends")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("--notify-url: https, or http to this machine alone")
	case !slices.Contains(o.NotifyHosts, u.Hostname()):
		return nil, fmt.Errorf("--notify-url: the host %s is not among --notify-hosts", u.Hostname())
	case o.NotifyKeyFile == "":
		return nil, errors.New("--notify-url is given without --notify-key-file: what is posted has to be signed; make a key by: openssl rand -hex 32 > FILE")
	}
	raw, err := os.ReadFile(o.NotifyKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--notify-key-file: %w", err)
	}
	key := bytes.TrimSpace(raw)
	if len(key) < leastKey {
		return nil, fmt.Errorf("--notify-key-file %s: a key has at least %d bytes; make one by: openssl rand -hex 32 > FILE", o.NotifyKeyFile, leastKey)
	}
	return &webhook{url: u.String(), key: key, now: o.Now, http: &http.Client{
		Timeout:       notifyTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: notifyTimeout},
	}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webhook posts messages as JSON. X-OneMap-Timestamp is the second of sending, and
// X-OneMap-Signature the hex HMAC-SHA256, under the shared key, of that timestamp, a
// dot and the body.
type webhook struct {
	url  string
	key  []byte
	now  func() time.Time
	http *http.Client
}

// signature is what X-OneMap-Signature carries for a body sent at stamp.
func signature(key []byte, stamp string, body []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(stamp + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

func (w *webhook) Notify(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(w.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-OneMap-Timestamp", stamp)
	req.Header.Set("X-OneMap-Signature", signature(w.key, stamp, body))
	res, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the gateway answers %d", res.StatusCode)
	}
	return nil
}

// fileNotifier writes messages to a file, a line each: for a centre without a gateway,
// or whose gateway reads files. A file that has grown large is put beside as ".1".
type fileNotifier struct{ path string }

func (f *fileNotifier) Notify(_ context.Context, m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if st, err := os.Stat(f.path); err == nil && st.Size() > notifyFileMax {
		if err := os.Rename(f.path, f.path+".1"); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}

// notify sends what waits in the record, until the end.
func (s *Server) notify(ctx context.Context) {
	s.every(ctx, notifyEvery, "notifications", s.notifyOnce)
}

// notifyOnce sends what is due. Each message is taken by one server at a time; one that
// does not come to say how it went is sent again, by another.
func (s *Server) notifyOnce(ctx context.Context) error {
	for {
		due, err := s.pools.care.TakeNotifications(ctx, auth.System("word of offers, by badge"), s.o.Now(), 2*notifyAtOnce*notifyTimeout, notifyAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, n := range due {
			err := s.notifier.Notify(ctx, Message{
				ID: fmt.Sprint(n.ID), Kind: n.Kind, OfferID: fmt.Sprint(n.Offer), Worker: fmt.Sprint(n.Worker), Badge: n.Badge, Text: n.Text, At: n.MadeAt,
			})
			if ctx.Err() != nil {
				return ctx.Err() // sent again once hold is over
			}
			now := s.o.Now()
			var again time.Time
			failed := ""
			if err != nil {
				failed = why(err)
				if n.Tries < notifyTries {
					again = now.Add(backoff(n.Tries))
				} else {
					s.o.Log.Warn("word of an offer was given up", "notification", n.ID, "tries", n.Tries, "err", failed)
				}
			}
			if err := s.pools.care.Notified(ctx, n.ID, now, again, failed); err != nil {
				return err
			}
		}
	}
}

// why is an error as the record keeps it: without the address, whose path may be a
// secret of the gateway.
func why(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// backoff is how long to wait after try n: 1, 2, 4, ... seconds.
func backoff(n int) time.Duration { return time.Second << (n - 1) }
