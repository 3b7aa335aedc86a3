// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onemap/store"
	"onemap/store/ledger"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check the seals of the audit log and name each fault. Exit status 0: as it was sealed; 1: faults; 2: it could not be checked, for example without the key or with another."`
}

type auditVerifyCmd struct{ place }

// cannotCheck is the exit status of a log of which nothing is known.
const cannotCheck = 2

// Run prints the faults, one a line, and fails when there are any. What it says
// beside them goes to the terminal.
func (c *auditVerifyCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	faults, err := c.check(ctx, out, say)
	if err != nil {
		return failure{err, cannotCheck}
	}
	if faults > 0 {
		return fmt.Errorf("the audit log is not as it was sealed; faults: %d", faults)
	}
	return nil
}

func (c *auditVerifyCmd) check(ctx context.Context, out io.Writer, say messages) (faults int, err error) {
	// The key comes first: without it nothing is started or made in the folder.
	seal, err := store.ReadSealer(c.dir())
	if errors.Is(err, store.ErrNoKey) {
		return 0, fmt.Errorf("no seal.key in %s: the seals are made with the key of the server's data folder; name it with --data, or restore the key from its backup", c.dir())
	}
	if err != nil {
		return 0, err
	}
	db, done, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := db.Pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return store.CompareSealKey(ctx, conn.Conn(), seal) }); err != nil {
		return 0, err
	}
	told := time.Now()
	found, err := ledger.VerifyAudit(ctx, db, seal.AuditKey(), filepath.Join(c.dir(), ledger.AnchorFile), func(n, total int64) {
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			fmt.Fprintf(say, "%d of %d seals\n", n, total)
		}
	})
	if err != nil {
		return 0, err
	}
	for _, f := range found {
		if f.Kind == ledger.AnchorToCome {
			fmt.Fprintln(say, f.Text)
			continue
		}
		faults++
		if _, err := fmt.Fprintln(out, f); err != nil {
			return 0, err
		}
	}
	st, err := db.AuditSealState(ctx)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(say, "%d rows are sealed, %d wait for their seal\n", st.Sealed, st.Waiting)
	return faults, nil
}
