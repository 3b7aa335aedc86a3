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

	"onemap/store"
	"onemap/store/ledger"
)

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Check the seals of the audit log and name each fault."`
}

type auditVerifyCmd struct{ place }

// Run prints the faults, one a line, and fails when there are any. What it says
// beside them goes to the terminal.
func (c *auditVerifyCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	// The key comes first: without it nothing is started or made in the folder.
	seal, err := store.ReadSealer(c.dir())
	if errors.Is(err, store.ErrNoKey) {
		return fmt.Errorf("no seal.key in %s: the seals are made with the key of the server's data folder; name it with --data, or restore the key from its backup", c.dir())
	}
	if err != nil {
		return err
	}
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	told := time.Now()
	faults, err := ledger.VerifyAudit(ctx, db, seal.AuditKey(), filepath.Join(c.dir(), ledger.AnchorFile), func(n, total int64) {
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			fmt.Fprintf(say, "%d of %d seals\n", n, total)
		}
	})
	if err != nil {
		return err
	}
	for _, f := range faults {
		if _, err := fmt.Fprintln(out, f); err != nil {
			return err
		}
	}
	st, err := db.AuditSealState(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(say, "%d rows are sealed, %d wait for their seal\n", st.Sealed, st.Waiting)
	if len(faults) > 0 {
		return fmt.Errorf("the audit log is not as it was sealed; faults: %d", len(faults))
	}
	return nil
}
