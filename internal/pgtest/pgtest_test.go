// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"testing"
)

func TestPoolHasSchemaAndExtensions(t *testing.T) {
	pool := Pool(t)
	var similar float64
	var tables int
	err := pool.QueryRow(context.Background(), `SELECT similarity('固阳县', '固阳县城'),
		(SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'setting')`).Scan(&similar, &tables)
	if err != nil {
		t.Fatal(err)
	}
	if similar == 0 || tables != 1 {
		t.Errorf("similarity %v, tables %d", similar, tables)
	}
}
