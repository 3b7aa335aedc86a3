// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store/ledger"
)

// door is what keeps guessers out and their guessing cheap for everybody else.
type door struct {
	account *auth.Throttle // tries to sign in with one login, there or not
	address *auth.Throttle // and from one address
	told    *auth.Throttle // failed tries that are audited, by login
	lock    *auth.Lockout  // wrong tries in a row, by login and address
	outside *queue         // of those who want in
	inside  *queue         // of those who have a session
}

// A password's check takes 7 MiB and tens of milliseconds of a processor. One at
// a time, and a sixth of the time, is enough for a hall's change of shift. Whoever has
// a session, to unlock it, has a queue apart: guessers keep no desk locked.
const (
	checksAtOnce  = 1
	checksWaiting = 7
	checkWait     = 2 * time.Second
	checkRest     = 5                      // times as long as it worked
	longestRest   = 300 * time.Millisecond // on a busy machine those who wait must come in too
)

// queue is where passwords are checked.
type queue struct {
	places chan struct{} // those who wait, and those at work
	work   chan struct{}
	rests  bool // between two checks, so that guessers get a sixth of one processor at most
}

func newQueue(rests bool) *queue {
	return &queue{places: make(chan struct{}, checksAtOnce+checksWaiting), work: make(chan struct{}, checksAtOnce), rests: rests}
}

func newDoor(l Limits) *door {
	return &door{
		account: auth.NewThrottle(l.LoginsPerMinute, time.Minute, maxCallers),
		address: auth.NewThrottle(l.AddressLoginsPerMinute, time.Minute, maxCallers),
		told:    auth.NewThrottle(1, time.Minute, maxCallers),
		lock:    auth.NewLockout(10, 15*time.Minute, 4*time.Hour, maxCallers),
		outside: newQueue(true),
		inside:  newQueue(false),
	}
}

// slowly runs f, which checks or hashes a password, when there is a place for it.
func (s *Server) slowly(ctx context.Context, q *queue, f func() error) error {
	full := func() error {
		s.count("busy_passwords")
		return retryLater("many people are signing in at the moment; try again in a moment")
	}
	select {
	case q.places <- struct{}{}:
	default:
		return full()
	}
	defer func() { <-q.places }()
	wait := time.NewTimer(checkWait)
	defer wait.Stop()
	select {
	case q.work <- struct{}{}:
	case <-wait.C:
		return full()
	case <-ctx.Done():
		return ctx.Err()
	}
	start := time.Now()
	defer func() {
		if !q.rests {
			<-q.work
			return
		}
		time.AfterFunc(min(checkRest*time.Since(start), longestRest), func() { <-q.work })
	}()
	return f()
}

// knock admits a try to sign in, or says when to come again. Whether there is such
// a login makes no difference.
func (s *Server) knock(ctx context.Context, login string) error {
	now, from := s.o.Now(), network(addressOf(ctx))
	for _, t := range []struct {
		rule string
		of   *auth.Throttle
		key  string
	}{{"logins_address", s.door.address, from}, {"logins_account", s.door.account, login}} {
		if t.key == "" {
			continue
		}
		if ok, wait := t.of.Allow(t.key, now); !ok {
			s.count(t.rule)
			return tooMany(wait, "too many tries to sign in")
		}
	}
	if login == "" { // codes of 160 bits are not guessed; a lock would shut out every wall of a hall
		return nil
	}
	if shut, wait := s.door.lock.Locked(login+" "+from, now); shut {
		s.count("logins_locked")
		return tooMany(wait, "too many wrong tries to sign in: wait, or ask an administrator")
	}
	return nil
}

// missed counts a wrong try, and notes it in the audit log once a minute.
func (s *Server) missed(ctx context.Context, login, object string) {
	now, from := s.o.Now(), network(addressOf(ctx))
	s.count("sign_in_failed")
	if login != "" {
		s.door.lock.Fail(login+" "+from, now)
	}
	about := login
	if about == "" {
		about = from
	}
	if ok, _ := s.door.told.Allow(about, now); !ok {
		return
	}
	err := s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		return ledger.Audit(ctx, tx, auth.Actor{ID: "nobody"}, requestID(ctx), "session.failed", object, "", map[string]any{"address": addressOf(ctx).String()})
	})
	if err != nil {
		s.o.Log.Warn("a failed sign-in is not in the audit log", "request", requestID(ctx), "err", err)
	}
}

// hashed hashes a password or a PIN when there is a place for it.
func (s *Server) hashed(ctx context.Context, q *queue, text string) (hash string, err error) {
	if text == "" {
		return "", nil
	}
	err = s.slowly(ctx, q, func() (err error) { hash, err = auth.HashPassword(text, rand.Reader); return err })
	return hash, err
}
