// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MediaProtocols are the ways in which a gateway may show a camera.
var MediaProtocols = []string{"hls", "flv", "webrtc"}

// Media makes links to a media gateway. It moves no pictures itself: a viewer takes
// them from the gateway, which checks the link by the key that both have. nil is no
// gateway.
type Media struct {
	template string
	key      []byte
	life     time.Duration
}

// How long the key of a gateway has to be, in bytes, and a link's life.
const (
	leastMediaKey = 32
	mostMediaKey  = 4096
	leastMediaTTL = 5 * time.Second
	mostMediaTTL  = 10 * time.Minute
)

// NewMedia makes a Media of the flags of the same names; without a gateway it is
// nil. The errors name the flag that is wrong, and never the key.
func NewMedia(gateway, keyFile string, life time.Duration) (*Media, error) {
	switch {
	case gateway == "" && keyFile == "":
		return nil, nil
	case gateway == "":
		return nil, errors.New("--media-key-file is given without --media-gateway: say where the gateway is")
	case keyFile == "":
		return nil, errors.New("--media-gateway is given without --media-key-file: links have to be signed; make a key by: openssl rand -hex 32 > FILE")
	case life < leastMediaTTL || life > mostMediaTTL:
		return nil, fmt.Errorf("--media-ttl %s: it is %s to %s", life, leastMediaTTL, mostMediaTTL)
	}
	m := &Media{template: gateway, life: life}
	u, err := url.Parse(m.fill("0", MediaProtocols[0]))
	switch {
	case err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme):
		return nil, errors.New("--media-gateway: it is an address such as https://media.example:8443/{protocol}/{gb_code}")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("--media-gateway: it has no user and no fragment: what signs a viewer in is the signature")
	case !strings.Contains(gateway, "{gb_code}"):
		return nil, errors.New("--media-gateway: {gb_code} is missing in it")
	case slices.ContainsFunc([]string{"expires", "session", "sign"}, u.Query().Has):
		return nil, errors.New("--media-gateway: expires, session and sign are added to it: leave them out")
	}
	raw, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("--media-key-file: %w", err)
	}
	m.key = []byte(strings.TrimSpace(string(raw)))
	if len(m.key) < leastMediaKey || len(m.key) > mostMediaKey {
		return nil, fmt.Errorf("--media-key-file %s: a key has %d to %d bytes; make one by: openssl rand -hex 32 > FILE", keyFile, leastMediaKey, mostMediaKey)
	}
	return m, nil
}

func (m *Media) fill(code, protocol string) string {
	return strings.NewReplacer("{gb_code}", code, "{protocol}", protocol).Replace(m.template)
}

// link is a link to a camera: good for m.life from now on, for one protocol, and
// marked with its asker's session.
func (m *Media) link(code, protocol, session string, now time.Time) (link string, expires time.Time) {
	expires = now.Add(m.life).Truncate(time.Second)
	until := strconv.FormatInt(expires.Unix(), 10)
	q := url.Values{"expires": {until}, "session": {session}, "sign": {m.sign(code, protocol, until, session)}}
	link = m.fill(code, protocol)
	if strings.Contains(link, "?") {
		return link + "&" + q.Encode(), expires
	}
	return link + "?" + q.Encode(), expires
}

// sign is the signature of docs/LAYERS.md.
func (m *Media) sign(code, protocol, expires, session string) string {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(strings.Join([]string{code, protocol, expires, session}, "\n")))
	return hex.EncodeToString(h.Sum(nil))
}

// session marks whose link it is, so that a gateway may count a session's viewers
// and this server's audit may be found by it. It tells nothing to whoever has no key,
// and no secret is made of it.
func (m *Media) session(credential int64, actor string) string {
	h := hmac.New(sha256.New, m.key)
	fmt.Fprintf(h, "session\n%d\n%s", credential, actor)
	return hex.EncodeToString(h.Sum(nil)[:12])
}
