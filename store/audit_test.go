// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/internal/pgtest"
	"onemap/store"
)

// openAudit makes an audit log of ten entries, one a minute from begin on, and
// returns it as its owner and as its auditor see it.
func openAudit(t *testing.T) (owner, auditor *store.DB, begin time.Time) {
	t.Helper()
	url := pgtest.URL(t)
	open := func(role string) *store.DB {
		db, err := store.Open(t.Context(), url, store.Options{Role: role})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return db
	}
	owner, auditor = open(""), open(store.AuditorRole)
	begin = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	_, err := owner.Pool.Exec(t.Context(), `INSERT INTO audit_log (at, actor, request_id, action, object, reason, data)
		SELECT $1::timestamptz + make_interval(mins => k), 'account:' || k % 2, 'r' || k,
			(ARRAY['incident.act', 'incident.open', 'incidents.export', 'session.begin'])[k % 4 + 1], 'incident/' || k / 2, 'because',
			CASE WHEN k % 2 = 0 THEN '{"k": 1}'::jsonb END FROM generate_series(1, 10) k`, begin)
	if err != nil {
		t.Fatal(err)
	}
	return owner, auditor, begin
}

func TestAuditEntries(t *testing.T) {
	t.Parallel()
	owner, auditor, begin := openAudit(t)
	_, err := owner.Pool.Exec(t.Context(), "INSERT INTO audit_seal (n, audit_id, hash) SELECT id, id, decode(repeat('00', 32), 'hex') FROM audit_log WHERE id <= 4")
	if err != nil {
		t.Fatal(err)
	}
	at := func(min int) time.Time { return begin.Add(time.Duration(min) * time.Minute) }
	tests := []struct {
		name string
		f    store.AuditFilter
		want string
	}{
		{"everything", store.AuditFilter{}, "10 9 8 7 6 5 4 3 2 1"},
		{"a page", store.AuditFilter{Limit: 3}, "10 9 8"},
		{"the next", store.AuditFilter{Limit: 3, After: 8}, "7 6 5"},
		{"from and to", store.AuditFilter{From: at(3), To: at(6)}, "5 4 3"},
		{"an actor", store.AuditFilter{Actor: "account:1"}, "9 7 5 3 1"},
		{"an action", store.AuditFilter{Action: "incident.open"}, "9 5 1"},
		{"actions of one kind", store.AuditFilter{Action: "incident."}, "9 8 5 4 1"},
		{"no part of a word", store.AuditFilter{Action: "incident"}, ""},
		{"no pattern", store.AuditFilter{Action: "inciden_."}, ""},
		{"an object", store.AuditFilter{Object: "incident/2"}, "5 4"},
		{"all of it", store.AuditFilter{From: at(2), To: at(9), Action: "incident.", Object: "incident/4", Actor: "account:0", After: 10}, "8"},
	}
	reads := func(r auth.Role) auth.Decision {
		d, err := auth.Decide(auth.NewActor(auth.Grant{ID: "account:0", Role: r}), auth.Read, auth.AuditLog)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	all := reads(auth.Auditor)
	for _, c := range []struct {
		d    auth.Decision
		f    store.AuditFilter
		want int
	}{{reads(auth.SystemAdmin), store.AuditFilter{}, 5}, {reads(auth.SystemAdmin), store.AuditFilter{Actor: "account:1"}, 0}, {auth.Decision{}, store.AuditFilter{}, 0}} {
		if got, err := auditor.AuditEntries(t.Context(), c.d, "account:0", c.f); err != nil || len(got) != c.want {
			t.Errorf("reach %d: %d entries, want %d: %v", c.d.Reach, len(got), c.want, err)
		}
	}
	for _, tt := range tests {
		got, err := auditor.AuditEntries(t.Context(), all, "account:9", tt.f)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var ids []string
		for _, e := range got {
			ids = append(ids, fmt.Sprint(e.ID))
			if e.Sealed != (e.ID <= 4) || (e.Data == nil) != (e.ID%2 == 1) {
				t.Errorf("%s: %+v", tt.name, e)
			}
		}
		if s := strings.Join(ids, " "); s != tt.want {
			t.Errorf("%s: entries %s, want %s", tt.name, s, tt.want)
		}
	}
	one, err := auditor.AuditEntries(t.Context(), all, "account:9", store.AuditFilter{After: 3, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	e := one[0]
	if !e.At.Equal(at(2)) || e.Actor != "account:0" || e.RequestID != "r2" || e.Action != "incidents.export" || e.Object != "incident/1" || e.Reason != "because" || string(e.Data) != `{"k": 1}` {
		t.Errorf("entry %+v", e)
	}
}

func TestAuditSealState(t *testing.T) {
	t.Parallel()
	owner, auditor, _ := openAudit(t)
	st, err := auditor.AuditSealState(t.Context())
	if err != nil || st.Sealed != 0 || st.Waiting != 10 || st.Hash != nil || st.At != nil {
		t.Fatalf("without a seal: %+v, %v", st, err)
	}
	_, err = owner.Pool.Exec(t.Context(), `INSERT INTO audit_seal (n, audit_id, hash) VALUES
		(1, 1, decode(repeat('01', 32), 'hex')), (2, 9, decode(repeat('02', 32), 'hex')), (3, 4, decode(repeat('03', 32), 'hex'))`)
	if err != nil {
		t.Fatal(err)
	}
	st, err = auditor.AuditSealState(t.Context())
	if err != nil || st.Sealed != 3 || st.Waiting != 7 || st.At == nil || len(st.Hash) != 32 || st.Hash[0] != 3 {
		t.Fatalf("with three: %+v, %v", st, err)
	}
}

func TestTheAuditorReachesNothingElse(t *testing.T) {
	t.Parallel()
	_, auditor, _ := openAudit(t)
	for _, sql := range []string{"SELECT count(*) FROM incident", "SELECT count(*) FROM credential", "SELECT last_value FROM audit_log_id_seq"} {
		if _, err := auditor.Pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestActsOfADayAreCountedOneByOne: of many at once exactly as many as are allowed
// get through, and other people and other acts don't count.
func TestActsOfADayAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	owner, _, begin := openAudit(t)
	db, err := store.Open(t.Context(), owner.Pool.Config().ConnString(), store.Options{Role: store.AppRole})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const limit = 5
	errEnough := errors.New("enough for today")
	var through atomic.Int32
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			err := db.InTx(t.Context(), func(tx pgx.Tx) error {
				n, err := db.CountActsToday(t.Context(), tx, "account:7", "reporter.reveal", begin)
				if err != nil {
					return err
				}
				if n >= limit {
					return errEnough
				}
				_, err = tx.Exec(t.Context(), `INSERT INTO audit_log (at, actor, action) VALUES
					($1, 'account:7', 'reporter.reveal'), ($1, 'account:8', 'reporter.reveal'), ($1, 'account:7', 'incidents.export')`, begin)
				return err
			})
			if err == nil {
				through.Add(1)
			} else if !errors.Is(err, errEnough) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if through.Load() != limit {
		t.Errorf("%d acts got through, want %d", through.Load(), limit)
	}
	err = db.InTx(t.Context(), func(tx pgx.Tx) error {
		n, err := db.CountActsToday(t.Context(), tx, "account:7", "reporter.reveal", begin.Add(time.Second))
		if n != 0 {
			t.Errorf("%d acts since later, want 0", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
