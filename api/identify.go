// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"onemap/auth"
	"onemap/store"
)

// The session's cookie. Over https its name binds it to this very host.
const (
	plainCookie  = "onemap_session"
	secureCookie = "__Host-onemap"
)

// known is what a secret stands for, as it was looked up a moment ago.
type known struct {
	cred  store.Credential
	actor auth.Actor
	at    time.Time // when it was looked up
}

func (k known) stale(now time.Time) bool { return now.Sub(k.at) >= knownFor }

// knowledge remembers secrets' holders for a moment, so that a screen that asks
// for a hundred tiles is looked up once, and one who asks every second seldom
// waits for it. Whatever ends or changes a credential forgets all; other nodes
// follow within two moments: less than ledger.Options.ScopesKnow.
type knowledge struct {
	mu       sync.Mutex // guards what follows
	by       map[[sha256.Size]byte]known
	forgot   int // how often all was forgotten
	renewing map[[sha256.Size]byte]bool
	good     map[[sha256.Size]byte]time.Time // when a secret was last good; outlives forget
}

const (
	knownFor = time.Second // then it is looked up anew, and counts once as long while that is done
	goodFor  = 24 * time.Hour
	maxKnown = 20_000
)

func (k *knowledge) get(key [sha256.Size]byte, now time.Time) (known, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.by[key]
	return v, ok && now.Sub(v.at) < 2*knownFor
}

// maxRenewals is how many secrets are looked up anew at a time beside the requests.
const maxRenewals = 4

// renew reports whether it falls to the caller to look key up anew; done ends that.
func (k *knowledge) renew(key [sha256.Size]byte) (mine bool, done func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.renewing[key] || len(k.renewing) >= maxRenewals {
		return false, nil
	}
	if k.renewing == nil {
		k.renewing = map[[sha256.Size]byte]bool{}
	}
	k.renewing[key] = true
	return true, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.renewing, key)
	}
}

// turn is what put wants to be told of when the look-up began.
func (k *knowledge) turn() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.forgot
}

// drop forgets a secret that is nobody's any more.
func (k *knowledge) drop(key [sha256.Size]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.by, key)
}

// put remembers v, unless all was forgotten since its look-up began: then v may be
// of before the change.
func (k *knowledge) put(key [sha256.Size]byte, v known, turn int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if turn != k.forgot {
		return
	}
	if _, there := k.by[key]; k.by == nil || !there && len(k.by) >= maxKnown {
		k.by = map[[sha256.Size]byte]known{}
	}
	k.by[key] = v
	if _, there := k.good[key]; k.good == nil || !there && len(k.good) >= maxKnown {
		k.good = map[[sha256.Size]byte]time.Time{}
	}
	k.good[key] = v.at
}

// lately reports whether a secret was good within the last day. It may have ended
// since.
func (k *knowledge) lately(key [sha256.Size]byte, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.good[key]
	return ok && now.Sub(at) < goodFor
}

// forget is called by whatever changes who may do what.
func (k *knowledge) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.by = nil
	k.forgot++
}

// identify finds out who asks: a Bearer token, else the session cookie. A wrong
// secret is nobody. Pages and health checks are for everybody and never wait for
// the database: a wall that loads its page anew while the database is away must
// get the page, which goes on asking.
func (s *Server) identify(c *gin.Context) {
	ctx := c.Request.Context()
	who := ctx.Value(keyAsking).(*asking) // see begin
	who.address, who.secure = s.address(c), s.overTLS(c)
	secret, kind := credentialOf(c.Request)
	path := c.Request.URL.Path
	if secret == "" || !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/tiles/") {
		c.Next()
		return
	}
	// Another site's was refused already (ownPages): a browser names itself with any change.
	if kind == store.Session && !safeMethod(c.Request.Method) && c.Request.Header.Get("Origin") == "" {
		refuse(c, problem(http.StatusForbidden, "this request came from another site"))
		return
	}
	k, err := s.holder(ctx, secret, kind, classOf(c.Request.Method, path))
	switch {
	case err == nil:
		who.actor, who.cred = k.actor, k.cred
	case !errors.Is(err, store.ErrNotFound):
		refuse(c, s.answer(ctx, err))
		return
	}
	c.Next()
}

// holder looks up a secret's credential and the actor it stands for, in bounded
// time and on the connections of the request's class. Used from an address it
// does not belong to, a secret is nobody's.
func (s *Server) holder(ctx context.Context, secret string, kind store.CredentialKind, of class) (known, error) {
	now, from := s.o.Now(), addressOf(ctx)
	key := sha256.Sum256([]byte(string(kind) + " " + secret))
	k, ok := s.known.get(key, now)
	if !ok {
		leave, err := s.entry(ctx, key, of)
		if err != nil {
			return k, err
		}
		defer leave()
		// Who waited for the place may find that another has looked it up meanwhile.
		if k, ok = s.known.get(key, s.o.Now()); !ok {
			if k, err = s.learn(ctx, s.poolOf(of), key, secret, kind); err != nil {
				if errors.Is(err, store.ErrNotFound) {
					s.unknown.Fail(network(from), now)
				}
				return k, err
			}
		}
	}
	if !k.cred.From(from) {
		s.count("other_address")
		return known{}, store.ErrNotFound
	}
	if k.stale(now) {
		s.renew(ctx, key, secret, kind)
	}
	return k, nil
}

// renew looks a secret up anew beside the request, which goes on with what is
// known. When too much is renewed already, a later request waits for it instead.
func (s *Server) renew(ctx context.Context, key [sha256.Size]byte, secret string, kind store.CredentialKind) {
	mine, done := s.known.renew(key)
	if !mine {
		return
	}
	go func() { // ends by its deadline; nobody waits for it
		defer done()
		defer func() {
			if r := recover(); r != nil {
				s.o.Log.Error("panic while a secret was looked up", "panic", r)
			}
		}()
		_, _ = s.learn(context.WithoutCancel(ctx), s.o.Care, key, secret, kind)
	}()
}

// learn looks a secret up and remembers its holder.
func (s *Server) learn(ctx context.Context, db *store.DB, key [sha256.Size]byte, secret string, kind store.CredentialKind) (known, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline(http.MethodGet))
	defer cancel()
	turn, at := s.known.turn(), s.o.Now()
	k, err := s.lookUp(ctx, db, secret, kind)
	switch {
	case errors.Is(err, store.ErrNotFound):
		s.known.drop(key)
	case err == nil:
		k.at = at
		s.known.put(key, k, turn)
	}
	return k, err
}

// entry waits for a place to look a secret up. From an address that sends many
// wrong ones, those that were good lately are looked up like any other; for the
// rest there are two places, whatever they ask for.
func (s *Server) entry(ctx context.Context, key [sha256.Size]byte, of class) (leave func(), err error) {
	shut, wait := s.unknown.Locked(network(addressOf(ctx)), s.o.Now())
	if !shut || s.known.lately(key, s.o.Now()) {
		return s.take(ctx, of)
	}
	if s.await(ctx, s.strangers, "unknown_secrets") != nil {
		return nil, tooMany(wait, "too many requests with a wrong secret from this address")
	}
	return func() { <-s.strangers }, nil
}

// lookUp is holder without what it remembers.
func (s *Server) lookUp(ctx context.Context, db *store.DB, secret string, kind store.CredentialKind) (k known, err error) {
	now := s.o.Now()
	if k.cred, err = db.FindCredential(ctx, secret, now, kind); err != nil {
		return k, err
	}
	if kind == store.Session {
		if err := s.lively(&k.cred, now); err != nil {
			return k, err
		}
	}
	k.actor, err = db.Actor(ctx, k.cred, now)
	return k, err
}

// lively holds a session to the life of its role: one that nobody has used for
// too long has ended, or is locked.
func (s *Server) lively(c *store.Credential, now time.Time) error {
	seen := c.CreatedAt
	if c.SeenAt != nil {
		seen = *c.SeenAt
	}
	var locked time.Time
	if c.LockedAt != nil {
		locked = *c.LockedAt
	}
	switch auth.State(auth.LifeOf(c.Role), c.CreatedAt, seen, locked, now) {
	case auth.Ended:
		return store.ErrNotFound
	case auth.Locked:
		if c.LockedAt == nil {
			c.LockedAt = &now
		}
	}
	return nil
}

// poolOf is where requests of a class read and write.
func (s *Server) poolOf(c class) *store.DB {
	switch c {
	case reports:
		return s.o.Reports
	case changes:
		return s.o.DB
	}
	return s.o.Reads
}

// reads is where a caller's reads go: a wall's on connections whose role of the
// database reaches no personal field.
func (s *Server) reads(c caller) *store.DB {
	if c.Role == auth.Wall {
		return s.o.WallReads
	}
	return s.o.Reads
}

func credentialOf(r *http.Request) (string, store.CredentialKind) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return strings.TrimSpace(token), store.Token
	}
	// Over https the plain name does not count: anybody on the line can set it.
	name := plainCookie
	if secureOf(r.Context()) {
		name = secureCookie
	}
	if ck, err := r.Cookie(name); err == nil {
		return ck.Value, store.Session
	}
	return "", ""
}

func safeMethod(m string) bool { return m == http.MethodGet || m == http.MethodHead }

// address is where the request comes from: the connection's other end, or what a
// trusted proxy says.
func (s *Server) address(c *gin.Context) netip.Addr {
	a, err := netip.ParseAddr(c.ClientIP())
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// network is what limits count an address as: itself, or the 64 bits of an IPv6
// network, whose host may take any address in it.
func network(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// Address is where a request that came through this package's handler comes from,
// as limits count it.
func Address(r *http.Request) string { return network(addressOf(r.Context())) }

func addressOf(ctx context.Context) netip.Addr { return askingOf(ctx).address }

// overTLS reports whether the request came by https: to this server, or to a
// trusted proxy before it.
func (s *Server) overTLS(c *gin.Context) bool {
	if c.Request.TLS != nil {
		return true
	}
	from, err := netip.ParseAddr(c.RemoteIP())
	return err == nil && slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) }) &&
		c.GetHeader("X-Forwarded-Proto") == "https"
}

func secureOf(ctx context.Context) bool { return askingOf(ctx).secure }
