// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"onemap/internal/localpg"
	"onemap/internal/pgtest"
	"onemap/store"
)

var lesserRoles = []string{store.AppRole, store.TilesRole, store.AuditorRole}

func TestEveryConnectionOfAPoolWorksAsItsRole(t *testing.T) {
	if store.AppRole != localpg.AppRole || store.TilesRole != localpg.TilesRole || store.AuditorRole != localpg.AuditorRole {
		t.Error("the private cluster makes other roles than the store steps down to")
	}
	url := pgtest.URL(t)
	for _, role := range lesserRoles {
		db, err := store.Open(t.Context(), url, store.Options{Role: role, MaxConns: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		conns := db.Pool.AcquireAllIdle(t.Context())
		for range 3 - len(conns) {
			c, err := db.Pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			for _, sql := range []string{"SELECT 1", "RESET ROLE", "DISCARD ALL"} {
				if _, err := c.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
				var got string
				if err := c.QueryRow(t.Context(), "SELECT current_user", pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil || got != role {
					t.Errorf("after %s the connection works as %q, %v; want %s", sql, got, err, role)
				}
			}
			c.Release()
		}
	}
	if _, err := store.Open(t.Context(), url, store.Options{Role: "postgres"}); err == nil {
		t.Error("the owner stepped up to the superuser")
	}
}
