// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
	"onemap/store/ledger"
)

// act notes that the person of a session did something, which keeps it from being
// locked or ended. It fails no request.
func (s *Server) act(ctx context.Context, of class) {
	c, now := credentialIn(ctx), s.o.Now()
	if c.Kind != store.Session || c.LockedAt != nil || c.SeenAt != nil && now.Sub(*c.SeenAt) < time.Minute {
		return
	}
	var since time.Time
	life := auth.LifeOf(c.Role)
	if rest := max(life.LockAfter, life.Idle); rest > 0 {
		since = now.Add(-rest)
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if err := s.poolOf(of).Touch(ctx, c.ID, now, since); err != nil {
		s.o.Log.Debug("an act was not noted", "request", requestID(ctx), "err", err)
	}
}

func (s *Server) lock(ctx context.Context, a caller, _ *struct{}) (*struct{}, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, err
	}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		first, err := store.LockSession(ctx, tx, c.ID, s.o.Now())
		if err != nil || !first {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "session.lock", sessionName(c.ID), "", nil)
	})
	s.known.forget()
	return nil, err
}

type unlockInput struct {
	Body struct {
		PIN      string `json:"pin,omitempty" maxLength:"32"`
		Password string `json:"password,omitempty" maxLength:"512" doc:"For an account without a PIN"`
	}
}

// unlock opens a locked session. Every try is counted before it is looked at.
func (s *Server) unlock(ctx context.Context, a caller, in *unlockInput) (*struct{}, error) {
	c, err := person(ctx)
	if err != nil {
		return nil, err
	}
	if (in.Body.PIN == "") == (in.Body.Password == "") {
		return nil, problem(http.StatusBadRequest, "send the PIN, or the password of an account without one")
	}
	secrets, err := store.AccountSecrets(ctx, s.o.DB.Pool, c.Account)
	if err != nil {
		return nil, err
	}
	hash := secrets.PIN
	if in.Body.Password != "" {
		hash = secrets.Password
	}
	left, right := 0, false
	err = s.slowly(ctx, s.door.inside, func() (err error) {
		if left, err = s.o.DB.TryPIN(ctx, c.ID); err == nil && left >= 0 {
			right = auth.CheckPassword(hash, in.Body.PIN+in.Body.Password)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !right && left <= 0:
		s.count("sign_in_failed")
		if err := s.endSession(ctx, a.Actor, c, "too many wrong PINs"); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		return nil, problem(http.StatusUnauthorized, "too many wrong PINs: sign in again")
	case !right:
		s.count("sign_in_failed")
		return nil, problem(http.StatusForbidden, fmt.Sprintf("wrong PIN; %d more tries", left))
	}
	err = s.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.UnlockSession(ctx, tx, c.ID, s.o.Now()); err != nil {
			return err
		}
		return ledger.Audit(ctx, tx, a.Actor, requestID(ctx), "session.unlock", sessionName(c.ID), "", nil)
	})
	s.known.forget()
	return nil, err
}

// alive needs no more than to be a change: see act.
func (s *Server) alive(_ context.Context, a caller, _ *struct{}) (*struct{}, error) {
	if a.Locked {
		return nil, auth.ErrLocked
	}
	return nil, nil
}
