// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"onemap/internal/localpg"
)

// run is the one connection of this process to the shared cluster. Its lock has
// to live as long as the process, hence the package variable.
var run struct {
	sync.Mutex
	server *server
	users  *os.File // held shared, never closed
}

// shared finds or starts the cluster of this machine's user.
func shared(ctx context.Context) (*server, error) {
	run.Lock()
	defer run.Unlock()
	if run.server != nil {
		return run.server, nil
	}
	home, err := homeFolder(temporary())
	if err != nil {
		return nil, err
	}
	if run.users == nil {
		if run.users, err = lockFile(filepath.Join(home, "users.lock"), syscall.LOCK_SH); err != nil {
			return nil, err
		}
	}
	url, err := ensureKeeper(ctx, home)
	if err != nil {
		return nil, err
	}
	run.server = open(url)
	return run.server, nil
}

const (
	inMemory     = "/dev/shm" // a file system in memory
	memoryWanted = 8 << 30    // bytes that have to be free, there and in memory
)

// temporary is where the cluster's folder lies: in memory where there is much of that, as
// a database is made there in half the time, and no TMPDIR says otherwise. The millions of
// rows of a soak are for a disk.
func temporary() string {
	if os.Getenv("TMPDIR") != "" || os.Getenv("ONEMAP_SOAK") != "" {
		return os.TempDir()
	}
	if _, err := os.Stat(homeIn(inMemory)); err == nil { // one run uses it already
		return inMemory
	}
	var there syscall.Statfs_t
	if err := syscall.Statfs(inMemory, &there); err != nil || there.Bavail*uint64(there.Bsize) < memoryWanted || availableMemory() < memoryWanted {
		return os.TempDir()
	}
	return inMemory
}

// availableMemory is how many bytes of memory programs may still take; 0 where the system
// doesn't say so.
func availableMemory() (bytes uint64) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &bytes); err == nil {
			return bytes << 10
		}
	}
	return 0
}

// homeIn is what our folder in temp is called.
func homeIn(temp string) string {
	return filepath.Join(temp, fmt.Sprintf("onemap-pgtest-%d", os.Geteuid()))
}

// homeFolder is our folder in temp, or in /tmp where the database's user cannot
// enter temp. It must be ours: others may write to the temporary folder.
func homeFolder(temp string) (string, error) {
	if err := localpg.Reachable(temp); errors.Is(err, localpg.ErrUnreachable) {
		temp = "/tmp"
	}
	home := homeIn(temp)
	if err := os.Mkdir(home, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	st, err := os.Lstat(home)
	if err != nil {
		return "", err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder of ours: %w", home, fs.ErrPermission)
	}
	return home, os.Chmod(home, 0o711) // whatever the umask
}

// lockFile opens path and locks it for as long as the file is open.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// ensureKeeper returns the URL of the running cluster, starting a keeper if there
// is none. The caller holds users.lock shared, so no keeper can stop meanwhile.
func ensureKeeper(ctx context.Context, home string) (string, error) {
	start, err := lockFile(filepath.Join(home, "start.lock"), syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer func() { _ = start.Close() }()
	data := filepath.Join(home, "data")
	if url, running := localpg.Join(data); running && hasKeeper(data) {
		// It may be a keeper of an older program.
		return url, localpg.EnsureRoles(ctx, data)
	}
	if err := startKeeper(ctx, home); err != nil {
		return "", fmt.Errorf("start the test database: %w (see %s)", err, filepath.Join(home, "keeper.log"))
	}
	url, running := localpg.Join(data)
	if !running {
		return "", fmt.Errorf("the test database in %s does not answer", data)
	}
	return url, nil
}

// hasKeeper tells a living cluster from one that still answers while it follows
// its killed keeper: the keeper's lock is gone at once. The caller holds
// start.lock, so that no keeper can want the lock meanwhile.
func hasKeeper(data string) bool {
	f, err := os.Open(filepath.Join(data, "server.lock"))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// startKeeper runs this program again as the keeper and waits for its word. It
// has its own session and no part in our output: go test waits for that.
func startKeeper(ctx context.Context, home string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(home, "keeper.log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	word, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = word.Close() }()
	cmd := exec.Command(self)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), keeperVar+"="+home)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = tell.Close()
	if err != nil {
		return err
	}
	_ = cmd.Process.Release() // it outlives us
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(2 * time.Minute)
	}
	if err := word.SetReadDeadline(deadline); err != nil {
		return err
	}
	said, err := bufio.NewReader(word).ReadString('\n')
	if said = strings.TrimSpace(said); said == readyWord {
		return nil
	}
	return fmt.Errorf("keeper: %s: %w", said, err)
}
