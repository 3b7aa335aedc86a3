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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clearRemains ends the PostgreSQL processes that still work on our data folder
// and removes the pid files they left. An earlier run may have been killed: its
// postmaster is then shutting down, or is dead while a backend works on and
// holds the shared memory. Only the holder of the lock may call this, with no
// postmaster of its own running.
func (c *cluster) clearRemains(ctx context.Context) error {
	if pid := c.readPid(); pid > 0 && c.works(pid) {
		c.log.Warn("an earlier database server is still there, shutting it down", "pid", pid)
		c.signalIfWorks(pid, fastShutdown)
		if err := c.waitGone(ctx, []int{pid}, 10*time.Second); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{immediate, time.Second}, {syscall.SIGKILL, 10 * time.Second}} {
		left := c.workers()
		if len(left) == 0 {
			break
		}
		c.log.Warn("ending orphaned database processes", "pids", left, "signal", step.sig.String())
		for _, pid := range left {
			c.signalIfWorks(pid, step.sig)
		}
		if err := c.waitGone(ctx, left, step.wait); err != nil {
			return err
		}
	}
	if left := c.workers(); len(left) > 0 {
		return fmt.Errorf("earlier database processes do not end: %v", left)
	}
	return c.removeStale()
}

// removeStale removes what names a process as the owner of the folder or the
// socket. No PostgreSQL works here, so they are stale whatever pid they hold: one
// that belongs to a stranger now, a zombie's, or none because the file was cut
// off. PostgreSQL itself would refuse to start.
func (c *cluster) removeStale() error {
	for _, path := range []string{
		filepath.Join(c.data, "postmaster.pid"),
		filepath.Join(c.sock, socketName+".lock"),
		filepath.Join(c.sock, socketName),
	} {
		err := os.Remove(path)
		if err == nil {
			c.log.Info("removed a file left by an earlier run", "file", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a stale file: %w", err)
		}
	}
	return nil
}

// readPid is the pid in postmaster.pid; 0 when there is none.
func (c *cluster) readPid() int {
	text, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// workers lists the PostgreSQL processes that work on our data folder.
func (c *cluster) workers() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && c.works(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// works tells whether pid is a PostgreSQL process of our data folder: its working
// directory, which each of them has there, and its program say so. A bare kill 0
// would take a zombie or a stranger with the same pid for one. A zombie has no
// working directory, an operator's shell in the folder another program.
func (c *cluster) works(pid int) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
	if err != nil || (cwd != c.data && cwd != c.data+".init") {
		return false
	}
	exe, err := os.Readlink(filepath.Join(proc, "exe"))
	if err != nil {
		return false
	}
	return filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == "postgres"
}

// signalIfWorks takes hold of the process before it looks at it, so that the
// signal cannot reach a stranger who got the pid in between.
func (c *cluster) signalIfWorks(pid int, sig syscall.Signal) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer func() { _ = p.Release() }()
	if c.works(pid) {
		_ = p.Signal(sig)
	}
}

// waitGone waits until none of pids works here any more, or for patience. Only
// the end of ctx is an error.
func (c *cluster) waitGone(ctx context.Context, pids []int, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for slices.ContainsFunc(pids, c.works) && time.Now().Before(deadline) {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
