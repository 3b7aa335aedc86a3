// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package notify carries word of an offer to a worker whose page is in a pocket: to a
// gateway for SMS, voice or 政务微信, or into a file. What it carries names nobody but by
// badge.
package notify

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
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Notifier hands messages on.
type Notifier interface {
	// Notify hands one message over, several at a time. An error means that it is to be
	// sent again; the receiver tells repetitions by the message's key.
	Notify(ctx context.Context, m Message) error
}

// Message is what a Notifier carries.
type Message struct {
	ID       string     `json:"id"`   // the same in every try
	Kind     string     `json:"kind"` // "offer.made", "offer.withdrawn"
	OfferID  string     `json:"offer_id"`
	Worker   string     `json:"worker_id"`
	Badge    string     `json:"badge"`
	Text     string     `json:"text"`                 // as it is at the time of the try
	At       time.Time  `json:"at"`                   // when it came about
	Priority int        `json:"priority"`             // of the incident: 1 is most urgent
	Expires  *time.Time `json:"expires_at,omitempty"` // of an offer made: an answer is of use until then
}

// Key names one message for ever: a gateway that has a message with this key carries it
// no second time. Ids begin anew in another database; times do not.
func (m Message) Key() string { return fmt.Sprintf("%s-%d", m.ID, m.At.UnixMicro()) }

// Options say where messages go.
type Options struct {
	URL     string   // they are posted to; "" writes them to File
	Hosts   []string // that URL may name; none but those
	KeyFile string   // the key that what is posted is signed with
	File    string   // a message a line
	Now     func() time.Time
}

const (
	timeout  = 5 * time.Second // of one post
	fileMax  = 16 << 20
	leastKey = 32
)

// Timeout is how long one message takes at most.
const Timeout = timeout

// New makes the notifier that the options ask for. The errors name the flag of the
// program that is wrong, and never the key.
func New(o Options) (Notifier, error) {
	if o.URL == "" {
		return &file{path: o.File}, nil
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "":
		return nil, errors.New("--notify-url: it is an address such as https://sms.example/onemap")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("--notify-url: it has no user and no fragment: the signature says who sends")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("--notify-url: https, or http to this machine alone")
	case !slices.Contains(o.Hosts, u.Hostname()):
		return nil, fmt.Errorf("--notify-url: the host %s is not among --notify-hosts", u.Hostname())
	case o.KeyFile == "":
		return nil, errors.New("--notify-url is given without --notify-key-file: what is posted has to be signed; make a key by: openssl rand -hex 32 > FILE")
	}
	raw, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("--notify-key-file: %w", err)
	}
	key := bytes.TrimSpace(raw)
	if len(key) < leastKey {
		return nil, fmt.Errorf("--notify-key-file %s: a key has at least %d bytes; make one by: openssl rand -hex 32 > FILE", o.KeyFile, leastKey)
	}
	return &webhook{url: u.String(), key: key, now: o.Now, http: &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: timeout},
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

// Signature is what X-OneMap-Signature carries for a body sent at stamp.
func Signature(key []byte, stamp string, body []byte) string {
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
	req.Header.Set("Idempotency-Key", m.Key())
	req.Header.Set("X-OneMap-Timestamp", stamp)
	req.Header.Set("X-OneMap-Signature", Signature(w.key, stamp, body))
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

// file writes messages to a file, a line each: for a centre without a gateway,
// or whose gateway reads files. A file that has grown large is put beside as ".1".
type file struct {
	path string
	mu   sync.Mutex // one writes at a time
}

func (f *file) Notify(_ context.Context, m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if st, err := os.Stat(f.path); err == nil && st.Size() > fileMax {
		if err := os.Rename(f.path, f.path+".1"); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return errors.Join(err, out.Close())
}

// Why is an error as the record keeps it: without the address, whose path may be a
// secret of the gateway.
func Why(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}
