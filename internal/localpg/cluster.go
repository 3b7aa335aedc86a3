// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	socketPort = "5432"
	socketName = ".s.PGSQL." + socketPort
	// socketMax is the longest path of a socket that the kernel takes: 108 bytes
	// with the closing zero.
	socketMax = 107
)

// cluster is a data folder that this process has locked.
type cluster struct {
	dir  string // absolute, links resolved
	data string // the cluster: dir/pg
	sock string // folder of the socket
	acct account
	bins binaries
	opts Options
	log  *slog.Logger
	lock *os.File // server.lock, locked until it is closed
	out  *logFile
}

func (c *cluster) phase(name string) {
	if c.opts.Phase != nil {
		c.opts.Phase(name)
	}
}

// openCluster checks and locks the folder. Nothing of PostgreSQL's is touched
// before the lock is held.
func openCluster(o Options) (*cluster, error) {
	acct, err := findAccount()
	if err != nil {
		return nil, err
	}
	found := findBinaries("/")
	newest, err := choose(found, 0)
	if err != nil {
		return nil, err
	}
	if err := checkSettings(o.Settings); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return nil, fmt.Errorf("data folder %q: %w", o.Dir, errors.Join(err, fs.ErrInvalid))
	}
	if err := acct.makeFolder(dir, newest); err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	c := &cluster{dir: dir, data: filepath.Join(dir, "pg"), acct: acct, opts: o, log: o.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.lock, err = takeLock(dir); err != nil {
		return nil, err
	}
	if err := c.openLocked(found); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// openLocked settles what may only be looked at under the lock.
func (c *cluster) openLocked(found []binaries) error {
	have, err := majorOf(c.data)
	if err != nil {
		return err
	}
	if c.bins, err = choose(found, have); err != nil {
		return err
	}
	if have != 0 {
		if err := c.acct.ownFolder(c.data); err != nil { // it exists: only checked
			return err
		}
	}
	if c.sock, err = socketFolder(c.dir, os.TempDir()); err != nil {
		return err
	}
	if err := c.acct.ownFolder(c.sock); err != nil {
		return fmt.Errorf("folder of the socket: %w", err)
	}
	if err := noteSocket(c.lock, c.sock); err != nil {
		return err
	}
	c.out, err = openLog(filepath.Join(c.dir, "pg.log"))
	return err
}

// close gives the folder free.
func (c *cluster) close() {
	if c.out != nil {
		c.out.close()
	}
	_ = c.lock.Close() // the lock goes with it
}

// takeLock locks dir/server.lock for the life of this process. The kernel drops
// the lock even at kill -9, so that a file left behind means nothing.
func takeLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "server.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	defer func() { _ = f.Close() }()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	holder := ""
	if text, err := os.ReadFile(path); err == nil {
		holder, _, _ = strings.Cut(string(text), "\n")
	}
	return nil, fmt.Errorf("%w: %s (process %s)", ErrInUse, dir, holder)
}

// noteSocket writes our pid and the socket's folder into the lock file, where
// the refusal of a second server and Join read them.
func noteSocket(lock *os.File, sock string) error {
	text := fmt.Sprintf("%d\n%s\n", os.Getpid(), sock)
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("write %s: %w", lock.Name(), err)
	}
	if _, err := lock.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write %s: %w", lock.Name(), err)
	}
	return nil
}

// majorOf reads the major version of the cluster in data; 0 when there is none.
func majorOf(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(data)
		if err == nil && len(entries) > 0 {
			return 0, fmt.Errorf("%w: %s is not empty, but has no PG_VERSION", ErrNotOurs, data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("data folder: %w", err)
		}
		return 0, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return 0, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	if err != nil {
		return 0, fmt.Errorf("data folder: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%w: PG_VERSION says %q", ErrWrongMajor, text)
	}
	return major, nil
}

// socketFolder is dir/run, or, where that path is too long for a socket or holds
// a sign that separates hosts, a short folder in temp (or /tmp) named by dir's
// hash.
func socketFolder(dir, temp string) (string, error) {
	fits := func(folder string) bool {
		return len(filepath.Join(folder, socketName)) <= socketMax && !strings.ContainsAny(folder, ",\"'\\\n\r\t")
	}
	if run := filepath.Join(dir, "run"); fits(run) {
		return run, nil
	}
	sum := sha256.Sum256([]byte(dir))
	for _, t := range []string{temp, "/tmp"} {
		if short := filepath.Join(t, fmt.Sprintf("onemap-%x", sum[:8])); fits(short) {
			return short, nil
		}
	}
	return "", fmt.Errorf("no folder with a path short enough for a socket: %w", fs.ErrInvalid)
}

// Join finds the running cluster of a data folder by its socket, for a command
// beside the server. running is false when nothing answers there, or not to this
// user; url is then empty.
func Join(dir string) (url string, running bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", false
	}
	sock, err := socketFolder(dir, os.TempDir())
	if text, e := os.ReadFile(filepath.Join(dir, "server.lock")); e == nil {
		// The server's temp folder may be another than ours.
		if _, rest, ok := strings.Cut(string(text), "\n"); ok {
			sock, err = strings.TrimSuffix(rest, "\n"), nil
		}
	}
	if err != nil || !sameOwner(sock, filepath.Join(dir, "pg")) {
		return "", false
	}
	url = socketURL(sock, Role, Database)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := connect(ctx, url)
	if err != nil {
		return "", false
	}
	_ = conn.Close(ctx)
	return url, true
}

// sameOwner guards against a stranger who made our short folder in the temporary
// folder after ours was cleaned away.
func sameOwner(sock, data string) bool {
	a, errA := os.Lstat(sock)
	b, errB := os.Lstat(data)
	if errA != nil || errB != nil {
		return false
	}
	sysA, okA := a.Sys().(*syscall.Stat_t)
	sysB, okB := b.Sys().(*syscall.Stat_t)
	return okA && okB && a.IsDir() && sysA.Uid == sysB.Uid
}

// Reachable checks that a data folder in dir, which exists, could be entered by
// the user that PostgreSQL would run as; if not, the error is ErrUnreachable.
func Reachable(dir string) error {
	acct, err := findAccount()
	if err != nil {
		return err
	}
	b, err := choose(findBinaries("/"), 0)
	if err != nil {
		return err
	}
	return acct.reach(dir, b)
}
