// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// helperVar makes this test binary run a server in that folder until SIGTERM, so
// that tests can kill a whole server.
const helperVar = "ONEMAP_LOCALPG_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperVar); dir != "" {
		os.Exit(helper(dir))
	}
	code := m.Run()
	if seed.dir != "" {
		_ = os.RemoveAll(seed.dir)
	}
	os.Exit(code)
}

func helper(dir string) int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	signal.Ignore(syscall.SIGINT) // a drain that takes its time
	s, err := Start(context.Background(), Options{Dir: dir, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("url", s.URL(Database))
	<-term
	if err := s.Stop(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// startHelper runs a server in a process of its own and group; it returns the
// URL or what the server complained about.
func startHelper(t *testing.T, cmd *exec.Cmd, dir string) (url, complaint string) {
	t.Helper()
	cmd.Env = append(os.Environ(), helperVar+"="+dir)
	cmd.Stderr = os.Stderr
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("helper said nothing: %v", err)
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word == "error" {
		return "", rest
	}
	return rest, ""
}

func selfCommand(t *testing.T) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(self)
}

func needPostGIS(t *testing.T) {
	t.Helper()
	err := Available()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("ONEMAP_REQUIRE_DB") == "1" {
		t.Fatalf("this run requires a database: %v", err)
	}
	t.Skipf("SKIPPED, NOTHING TESTED: %v", err)
}

// baseFolder is an empty folder that the user postgres can enter, which
// t.TempDir is not.
func baseFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "onemap-localpg-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// seed is a cluster made once and copied for each test.
var seed struct {
	sync.Once
	dir string
	err error
}

// madeFolder is a data folder with a stopped cluster in it.
func madeFolder(t testing.TB) string {
	t.Helper()
	seed.Do(func() {
		if seed.dir, seed.err = os.MkdirTemp("", "onemap-localpg-seed-"); seed.err != nil {
			return
		}
		if seed.err = os.Chmod(seed.dir, 0o711); seed.err != nil {
			return
		}
		s, err := Start(context.Background(), Options{Dir: filepath.Join(seed.dir, "d")})
		if err == nil {
			err = s.Stop(context.Background())
		}
		seed.err = err
	})
	if seed.err != nil {
		t.Fatal(seed.err)
	}
	dir := filepath.Join(baseFolder(t), "d")
	if err := copyTree(filepath.Join(seed.dir, "d"), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// testLog sends the log to the test's output.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// start starts a server that is stopped at the end of the test.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = testLog(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// query returns one value as text, over a new connection.
func query(url, sql string, args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	var text string
	err = conn.QueryRow(ctx, sql, args...).Scan(&text)
	return text, err
}

// keepRow makes a table with one row, which keptRow finds again.
func keepRow(t testing.TB, url string) {
	t.Helper()
	mustExec(t, url, "CREATE TABLE kept AS SELECT 'yes' AS v")
}

func keptRow(t testing.TB, url string) {
	t.Helper()
	if got := mustQuery(t, url, "SELECT v FROM kept"); got != "yes" {
		t.Errorf("the row that was kept is %q", got)
	}
}

func mustExec(t testing.TB, url, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func mustQuery(t testing.TB, url, sql string, args ...any) string {
	t.Helper()
	text, err := query(url, sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// eventually polls until ok, at most for limit; it returns the time it took.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-tick.C
	}
	return time.Since(begin)
}

func answers(url string) func() bool {
	return func() bool {
		_, err := query(url, "SELECT 'yes'")
		return err == nil
	}
}

// look is a view of a folder's processes for tests that have no Server.
func look(dir string) *cluster {
	return &cluster{data: filepath.Join(dir, "pg"), sock: filepath.Join(dir, "run"), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func kill(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to kill: %d", pid)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

func copyTree(from, to string) error {
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	return nil
}

// logCatcher keeps a log for the test to read.
type logCatcher struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
}

func (l *logCatcher) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logCatcher) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logCatcher) contains(s string) bool { return strings.Contains(l.String(), s) }

func (l *logCatcher) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
