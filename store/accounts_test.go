// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
)

const aHash = "$argon2id$test"

// county is a database with a county of two towns and one account that was taken up.
func county(t *testing.T) (*store.DB, store.Account) {
	t.Helper()
	db := open(t)
	if err := db.Enact(t.Context(), save(t, db, twoTowns())); err != nil {
		t.Fatal(err)
	}
	var a store.Account
	inTx(t, db, func(tx pgx.Tx) error {
		id, err := store.CreateAccount(t.Context(), tx, "wang", 0, "test")
		if err == nil {
			err = store.TakeUp(t.Context(), tx, id, store.Secrets{Password: aHash})
		}
		if err == nil {
			a, err = store.FindAccount(t.Context(), tx, id, true)
		}
		return err
	})
	return db, a
}

func inTx(t *testing.T, db *store.DB, f func(pgx.Tx) error) {
	t.Helper()
	if err := db.InTx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// grant gives a right to the account, agreed to by security and, if any, system.
func grant(t *testing.T, db *store.DB, a store.Account, r auth.Role, gridCode, security, system string) (store.Grant, error) {
	t.Helper()
	g := store.Grant{Account: a.ID, Role: r, GridCode: gridCode, ProposedBy: security, SecurityBy: security, SystemBy: system}
	err := db.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := store.FindAccount(t.Context(), tx, a.ID, true); err != nil {
			return err
		}
		if err := store.CheckGrant(t.Context(), tx, &g, "", 0); err != nil {
			return err
		}
		var err error
		g, err = store.SaveGrant(t.Context(), tx, g, time.Now())
		return err
	})
	return g, err
}

func reread(t *testing.T, db *store.DB, a store.Account) store.Account {
	t.Helper()
	now, err := store.FindAccount(t.Context(), db.Pool, a.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func TestANewGrantTakesThePlaceOfTheOld(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	for _, code := range []string{"C2", "C10", ""} {
		before := reread(t, db, a)
		if _, err := grant(t, db, a, auth.HallOperator, code, "account:7", ""); err != nil {
			t.Fatal(err)
		}
		after := reread(t, db, a)
		if after.Active == nil || after.Active.GridCode != code || after.Epoch != before.Epoch+1 {
			t.Errorf("%q: %+v after %+v", code, after, before)
		}
	}
	if g := reread(t, db, a).Active; g.RootCode != "" || g.No != 0 {
		t.Errorf("a grant for every county is of %q, number %d", g.RootCode, g.No)
	}
	for _, c := range []struct {
		role auth.Role
		grid string
		want error
	}{
		{auth.HallOperator, "nowhere", store.ErrNoGrid},
		{auth.TownOperator, "", store.ErrGrantShape},
		{auth.GridWorker, "C2", store.ErrGrantShape},
		{auth.DeptHandler, "", store.ErrGrantShape},
	} {
		if _, err := grant(t, db, a, c.role, c.grid, "account:7", ""); !errors.Is(err, c.want) {
			t.Errorf("%s of %q: %v, want %v", c.role, c.grid, err, c.want)
		}
	}
}

func TestALeaderWaitsForTheSecondPerson(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	g, err := grant(t, db, a, auth.CountyLeader, "C", "account:7", "")
	if err != nil || g.State != "proposed" || len(g.Needs()) != 1 || g.Needs()[0] != auth.SystemAdmin {
		t.Fatalf("%+v, %v", g, err)
	}
	if _, err := grant(t, db, a, auth.Auditor, "C", "account:7", ""); !errors.Is(err, store.ErrProposed) {
		t.Errorf("a second proposal: %v", err)
	}
	agree := func(by string) error {
		return db.InTx(t.Context(), func(tx pgx.Tx) error {
			g.SystemBy = by
			got, err := store.AgreeToGrant(t.Context(), tx, g, time.Now())
			if err == nil {
				g = got
			}
			return err
		})
	}
	if err := agree("account:7"); err == nil {
		t.Error("the database takes one person for two")
	}
	if err := agree("account:8"); err != nil || reread(t, db, a).Active == nil {
		t.Errorf("agreed by two: %v", err)
	}
}

// session opens a session and returns its secret and id.
func session(t *testing.T, db *store.DB, a store.Account, step int64) (string, int64, error) {
	t.Helper()
	secret, now := store.NewSecret(), time.Now()
	until := now.Add(time.Hour)
	var id int64
	err := db.InTx(t.Context(), func(tx pgx.Tx) (err error) {
		id, err = db.OpenSession(t.Context(), tx, a, aHash, step, secret, store.Credential{ExpiresAt: &until}, now)
		return err
	})
	return secret, id, err
}

func TestACodeOpensOneSession(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	if _, err := grant(t, db, a, auth.Dispatcher, "", "account:7", ""); err != nil {
		t.Fatal(err)
	}
	a = reread(t, db, a)
	var won, taken atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, _, err := session(t, db, a, 1000); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, store.ErrCodeTaken):
				taken.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || taken.Load() != 7 {
		t.Errorf("%d sessions of one code, %d refused", won.Load(), taken.Load())
	}
	if _, _, err := session(t, db, a, 999); !errors.Is(err, store.ErrCodeTaken) {
		t.Errorf("an older code: %v", err)
	}
	if _, _, err := session(t, db, a, 1001); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

func TestASessionLivesAsLongAsItsAccountsRight(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	for _, c := range []struct {
		what string
		end  func(tx pgx.Tx) error
	}{
		{"a revoked grant", func(tx pgx.Tx) error {
			return store.RevokeGrant(t.Context(), tx, *reread(t, db, a).Active, "test", time.Now())
		}},
		{"a disabled account", func(tx pgx.Tx) error { return store.DisableAccount(t.Context(), tx, a.ID, time.Now()) }},
	} {
		if _, err := grant(t, db, a, auth.HallOperator, "C2", "account:7", ""); err != nil {
			t.Fatal(err)
		}
		before := reread(t, db, a)
		secret, id, err := session(t, db, before, 0)
		if err != nil {
			t.Fatal(err)
		}
		cred, err := db.FindCredential(t.Context(), secret, time.Now(), store.Session)
		if err != nil || cred.ID != id || cred.Role != auth.HallOperator || cred.GridCode != "C2" || cred.Login != "wang" {
			t.Fatalf("%+v, %v", cred, err)
		}
		inTx(t, db, c.end)
		if _, err := db.FindCredential(t.Context(), secret, time.Now(), store.Session); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s leaves its session: %v", c.what, err)
		}
		if _, _, err := session(t, db, before, 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: who was being let in meanwhile: %v", c.what, err)
		}
	}
	// Coming back opens no old session.
	inTx(t, db, func(tx pgx.Tx) error { return store.EnableAccount(t.Context(), tx, a.ID) })
	if n := len(live(t, db)); n != 0 {
		t.Errorf("%d credentials are alive", n)
	}
}

func live(t *testing.T, db *store.DB) []store.LiveCredential {
	t.Helper()
	list, err := db.LiveCredentials(t.Context(), time.Now(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestANewPasswordKeepsOneSession(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	if _, err := grant(t, db, a, auth.HallOperator, "C2", "account:7", ""); err != nil {
		t.Fatal(err)
	}
	a = reread(t, db, a)
	var keep int64
	for range 3 {
		var err error
		if _, keep, err = session(t, db, a, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(live(t, db)); n != 3 {
		t.Fatalf("%d sessions", n)
	}
	inTx(t, db, func(tx pgx.Tx) error { return store.SetPassword(t.Context(), tx, a.ID, aHash, "$argon2id$new", keep) })
	if list := live(t, db); len(list) != 1 || list[0].ID != keep || list[0].No == 0 {
		t.Errorf("left: %+v", list)
	}
	err := db.InTx(t.Context(), func(tx pgx.Tx) error { return store.SetPassword(t.Context(), tx, a.ID, aHash, "$argon2id$third", keep) })
	if !errors.Is(err, store.ErrPasswordChanged) {
		t.Errorf("with the old password: %v", err)
	}
	err = db.InTx(t.Context(), func(tx pgx.Tx) error { return store.SetPIN(t.Context(), tx, a.ID, aHash, "$argon2id$pin") })
	if !errors.Is(err, store.ErrPasswordChanged) {
		t.Errorf("a PIN with the old password: %v", err)
	}
}

func TestOneUseIsOneUse(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	secret, until := store.NewSecret(), time.Now().Add(time.Hour)
	c := store.Credential{Kind: store.Invite, Role: auth.GridWorker, Account: a.ID, ExpiresAt: &until}
	if _, err := db.SaveCredential(t.Context(), db.Pool, secret, c); err != nil {
		t.Fatal(err)
	}
	var used atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := db.InTx(t.Context(), func(tx pgx.Tx) error {
				_, err := db.Use(t.Context(), tx, secret, time.Now(), store.Invite)
				return err
			})
			if err == nil {
				used.Add(1)
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
}

func TestTriesOfAPINAreCountedWhenTheyComeAtOnce(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	if _, err := grant(t, db, a, auth.HallOperator, "", "account:7", ""); err != nil {
		t.Fatal(err)
	}
	_, id, err := session(t, db, reread(t, db, a), 0)
	if err != nil {
		t.Fatal(err)
	}
	var allowed atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if left, err := db.TryPIN(t.Context(), id); err != nil {
				t.Error(err)
			} else if left >= 0 {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	if allowed.Load() != store.PINTries {
		t.Errorf("%d tries, want %d", allowed.Load(), store.PINTries)
	}
}

func TestActsOfASessionAreNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	db, a := county(t)
	if _, err := grant(t, db, a, auth.HallOperator, "", "account:7", ""); err != nil {
		t.Fatal(err)
	}
	secret, id, err := session(t, db, reread(t, db, a), 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := func() time.Time {
		c, err := db.FindCredential(t.Context(), secret, time.Now(), store.Session)
		if err != nil {
			t.Fatal(err)
		}
		return *c.SeenAt
	}
	first := seen()
	for _, c := range []struct {
		after  time.Duration
		locked bool
		moves  bool
	}{
		{30 * time.Second, false, false},
		{70 * time.Second, false, true},
		{71 * time.Second, false, false},
		{12 * time.Minute, false, false}, // it has rested too long: it is locked by now
		{3 * time.Minute, true, false},
	} {
		before, now := seen(), first.Add(c.after)
		if c.locked {
			inTx(t, db, func(tx pgx.Tx) error { _, err := store.LockSession(t.Context(), tx, id, now); return err })
		}
		if err := db.Touch(t.Context(), id, now, now.Add(-10*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if moved := !seen().Equal(before); moved != c.moves {
			t.Errorf("after %v: moved %t", c.after, moved)
		}
	}
}
