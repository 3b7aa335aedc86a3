// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Signals by which a postmaster shuts down.
const (
	fastShutdown = syscall.SIGINT  // sessions end, then a checkpoint
	immediate    = syscall.SIGQUIT // at once; the next start recovers
)

// hardWait is how long an immediate shutdown may take before SIGKILL.
const hardWait = 3 * time.Second

var (
	errSharedMemory = errors.New("an earlier process still holds the shared memory")
	errDiskFull     = errors.New("the disk is full")
)

// process is a child that was started; done is closed after it has been reaped,
// err is then what Wait said.
type process struct {
	pid  int
	done chan struct{}
	err  error
}

// startProcess starts cmd from a thread that stays until the child has ended:
// Pdeathsig is tied to the thread that forked, and Go ends threads as it likes.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// signal reaches the process as long as it has not been reaped.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(p.pid, sig)
	}
}

// postmaster is the main process of PostgreSQL.
type postmaster struct {
	*process
}

// end shuts it down fast; after patience it is made to end at once, and at last
// it is killed.
func (p *postmaster) end(patience time.Duration) {
	for _, step := range []struct {
		sig  syscall.Signal
		wait time.Duration
	}{{fastShutdown, patience}, {immediate, hardWait}} {
		p.signal(step.sig)
		select {
		case <-p.done:
			return
		case <-time.After(step.wait):
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (c *cluster) launch() (*postmaster, error) {
	cmd := c.acct.command(fastShutdown, c.bins.path("postgres"), "-D", c.data,
		"-c", "listen_addresses=", "-c", "port="+socketPort,
		"-c", "unix_socket_directories="+c.sock, "-c", "unix_socket_permissions=0700")
	cmd.Stdout, cmd.Stderr = c.out.file, c.out.file
	p, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return &postmaster{p}, nil
}

// launchUntilReady clears what an earlier run left, starts PostgreSQL and waits
// until it answers; recovery may take its time. It tries again as long as only
// the shared memory of a dying process stands in the way.
func (c *cluster) launchUntilReady(ctx context.Context) (*postmaster, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		if err := c.clearRemains(ctx); err != nil {
			return nil, err
		}
		offset := c.out.size()
		p, err := c.launch()
		if err != nil {
			return nil, err
		}
		err = c.waitReady(ctx, p, offset)
		if err == nil {
			return p, nil
		}
		p.end(5 * time.Second)
		if !errors.Is(err, errSharedMemory) || time.Now().After(deadline) {
			return nil, err
		}
		c.log.Warn("an earlier database process is still ending, trying again")
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (c *cluster) waitReady(ctx context.Context, p *postmaster, offset int64) error {
	url := socketURL(c.sock, superuser, "postgres")
	said := time.Now()
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		conn, err := connect(try, url)
		if err == nil {
			_ = conn.Close(try)
			cancel()
			return nil
		}
		cancel()
		if refused(err) {
			return fmt.Errorf("PostgreSQL runs but refuses us: %w", err)
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			c.log.Info("waiting for the database, it may be recovering", "error", err)
		}
		select {
		case <-p.done:
			return c.whyExited(p, offset)
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w (last: %w)", context.Cause(ctx), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// refused tells an answer that will not change by waiting from "starting up" and
// from no answer.
func refused(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && !strings.HasPrefix(pe.Code, "57") && !strings.HasPrefix(pe.Code, "53")
}

// walSegment is what a start needs on the disk at the least.
const walSegment = 16 << 20

// freeBytes is the room left on the disk of a folder. The log alone would not do:
// it lies on the same disk and stays silent when that is full.
func freeBytes(dir string) uint64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return math.MaxUint64
	}
	return st.Bavail * uint64(st.Bsize)
}

// whyExited turns the log after offset into an error.
func (c *cluster) whyExited(p *postmaster, offset int64) error {
	text, said := c.out.since(offset), c.out.complaint(offset)
	switch {
	case strings.Contains(text, "pre-existing shared memory block"):
		return fmt.Errorf("postgres ended: %w: %s", errSharedMemory, said)
	case strings.Contains(text, "No space left on device") || freeBytes(c.data) < walSegment:
		return fmt.Errorf("postgres ended: %w: %s", errDiskFull, said)
	}
	return fmt.Errorf("postgres ended: %v: %s", p.err, said)
}

// pause waits for d or the end of ctx, whichever is first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
