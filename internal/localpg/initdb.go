// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ensureData makes the cluster if the folder has none. It is made aside and
// renamed when it is whole, so that a half-made one is never used.
func (c *cluster) ensureData(ctx context.Context) error {
	half := c.data + ".init"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("remove a half-made cluster: %w", err)
	}
	if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.phase("initdb")
	begin := time.Now()
	if err := c.acct.ownFolder(half); err != nil {
		return err
	}
	if err := c.initdb(ctx, half); err != nil {
		_ = os.RemoveAll(half)
		return err
	}
	if err := os.Rename(half, c.data); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	if err := syncFolder(c.dir); err != nil {
		return err
	}
	c.log.Info("made a new database cluster", "folder", c.data, "took", time.Since(begin))
	return nil
}

func (c *cluster) initdb(ctx context.Context, into string) error {
	args := []string{
		"--pgdata=" + into, "--username=" + superuser,
		// C sorts by bytes everywhere alike; plain C would make pg_trgm blind to
		// Chinese.
		"--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums",
		"--auth=peer", "--no-instructions",
	}
	if c.opts.Unsafe {
		args = append(args, "--no-sync")
	}
	offset := c.out.size()
	cmd := c.acct.command(syscall.SIGKILL, c.bins.path("initdb"), args...)
	cmd.Stdout, cmd.Stderr = c.out.file, c.out.file
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("initdb: %w", err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		<-p.done
		return context.Cause(ctx)
	}
	if p.err != nil {
		return fmt.Errorf("initdb: %w: %s", p.err, c.out.complaint(offset))
	}
	return nil
}

// syncFolder makes renames in the folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
