// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/localpg"
)

// Extension puts an extension of PostgreSQL that tests alone use into the database
// of url, one of URL's. Without the extension on the machine t is skipped, or fails
// as URL does; install names what would bring it.
func Extension(t testing.TB, url, name, install string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	super, err := localpg.AsSuperuser(url)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	conn, err := pgx.Connect(ctx, super)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)", name).Scan(&there); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if !there {
		if required(os.Getenv) {
			t.Fatalf("pgtest: this run requires the extension %s: %s", name, install)
		}
		t.Skipf("SKIPPED, NOTHING TESTED: no extension %s: %s", name, install)
	}
	if _, err := conn.Exec(ctx, "CREATE EXTENSION "+quote(name)+" CASCADE"); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}
