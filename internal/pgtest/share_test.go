// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/localpg"
)

// childVar makes TestChild play one test process among several: "pass", "fail"
// or "hang".
const childVar = "ONEMAP_PGTEST_CHILD"

// TestChild is what the other tests run in processes of their own.
func TestChild(t *testing.T) {
	play := os.Getenv(childVar)
	if play == "" {
		t.Skip("only run by the other tests")
	}
	for range 2 {
		url := URL(t)
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(context.Background(), "INSERT INTO setting VALUES ('mine', '1')"); err != nil {
			t.Fatal(err) // a second one would break the primary key
		}
		if play != "forget" {
			_ = conn.Close(context.Background())
		}
		t.Logf("URL=%s", url)
	}
	switch play {
	case "fail":
		t.Error("on purpose")
	case "hang":
		_, _ = os.Stdout.WriteString("hanging\n")
		select {}
	}
}

// stage is a temporary folder in which child processes share a cluster.
type stage struct {
	t    *testing.T
	temp string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	requirePostGIS(t)
	temp, err := os.MkdirTemp("", "onemap-pgtest-stage-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(temp, 0o711); err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, temp: temp}
	t.Cleanup(func() {
		for _, pid := range s.keepers() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		s.eventually("everything gone", func() bool { return len(s.processes()) == 0 })
		_ = os.RemoveAll(temp)
	})
	return s
}

func (s *stage) home() string { return homeIn(s.temp) }

func (s *stage) child(play, linger string) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestChild$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), "TMPDIR="+s.temp, childVar+"="+play, lingerVar+"="+linger)
	return cmd
}

// run runs a child to its end and returns its output.
func (s *stage) run(play, linger string) (string, error) {
	out, err := s.child(play, linger).CombinedOutput()
	return string(out), err
}

// processes lists all that work in the stage's folder, keeper and PostgreSQL.
func (s *stage) processes() []int {
	return findProcesses(func(proc string) bool {
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		return strings.HasPrefix(cwd, s.temp)
	}, s.keepers())
}

// keepers are known by their environment.
func (s *stage) keepers() []int {
	return findProcesses(func(proc string) bool {
		env, _ := os.ReadFile(filepath.Join(proc, "environ"))
		return bytes.Contains(env, []byte(keeperVar+"="+s.home()+"\x00"))
	}, nil)
}

func findProcesses(is func(proc string) bool, more []int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return more
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && is(filepath.Join("/proc", e.Name())) {
			more = append(more, pid)
		}
	}
	return more
}

func (s *stage) eventually(what string, ok func() bool) time.Duration {
	s.t.Helper()
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begin) > 30*time.Second {
			s.t.Fatalf("%s: not within 30 s; keeper said:\n%s", what, s.keeperLog())
		}
		<-tick.C
	}
	return time.Since(begin)
}

func (s *stage) keeperLog() string {
	text, err := os.ReadFile(filepath.Join(s.home(), "keeper.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// seed is the stage of a finished run, with its cluster and its template, which is
// made once.
var seed struct {
	sync.Mutex
	temp string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if seed.temp != "" {
		_ = os.RemoveAll(seed.temp)
	}
	os.Exit(code)
}

// laterStage is a stage in which there was a run before.
func laterStage(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	seed.Lock()
	defer seed.Unlock()
	if seed.temp == "" {
		if out, err := s.run("pass", "0s"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		s.eventually("cluster gone", func() bool { return len(s.processes()) == 0 })
		temp, err := os.MkdirTemp("", "onemap-pgtest-seed-")
		if err != nil {
			t.Fatal(err)
		}
		copyTree(t, s.home(), homeIn(temp))
		seed.temp = temp
		return s
	}
	copyTree(t, homeIn(seed.temp), s.home())
	return s
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

var urlLine = regexp.MustCompile(`URL=(\S+)`)

func TestProcessesShareOneClusterAndItEndsAfterThem(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const n = 4
	type result struct {
		out string
		err error
	}
	results := make(chan result, n)
	begin := time.Now()
	for i := range n {
		play := "pass"
		if i == 0 {
			play = "forget" // a connection left open must not keep the database
		}
		go func() {
			out, err := s.run(play, "200ms")
			results <- result{out, err}
		}()
	}
	var urls []string
	for range n {
		r := <-results
		if r.err != nil {
			t.Errorf("child: %v\n%s", r.err, r.out)
		}
		for _, m := range urlLine.FindAllStringSubmatch(r.out, -1) {
			urls = append(urls, m[1])
		}
	}
	t.Logf("%d processes, %d databases: %v", n, len(urls), time.Since(begin))
	slices.Sort(urls)
	if len(slices.Compact(urls)) != 2*n {
		t.Errorf("databases: %q", urls)
	}
	gone := s.eventually("cluster gone", func() bool { return len(s.processes()) == 0 })
	t.Logf("cluster gone %v after the last", gone)
	if n := strings.Count(s.keeperLog(), "made a new database cluster"); n > 1 {
		t.Errorf("%d clusters were made", n)
	}

	// A second run finds the folder and its template.
	begin = time.Now()
	if out, err := s.run("pass", "0s"); err != nil {
		t.Errorf("second run: %v\n%s", err, out)
	}
	t.Logf("second run: %v", time.Since(begin))
	if strings.Contains(s.keeperLog(), "made a new") {
		t.Error("the second run made the cluster anew")
	}
}

func TestKilledProcessDoesNotKeepTheCluster(t *testing.T) {
	t.Parallel()
	s := laterStage(t)
	cmd := s.child("hang", "50ms")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(said.String(), "hanging"); {
		n, err := out.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
	}
	url := urlLine.FindStringSubmatch(said.String())[1]
	if !answers(url) {
		t.Error("no cluster while its user lives")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone := s.eventually("cluster gone", func() bool { return len(s.processes()) == 0 })
	t.Logf("cluster gone %v after kill -9 of its user", gone)
}

func answers(url string) bool {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		return false
	}
	_ = conn.Close(context.Background())
	return true
}

func TestLeftoversOfACrashedRun(t *testing.T) {
	t.Parallel()
	s := laterStage(t)
	if out, err := s.run("pass", "10m"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, tc := range []struct {
		name  string
		spoil func()
		anew  bool
	}{
		{"everything killed", func() {
			for _, pid := range s.processes() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}, false},
		{"the keeper killed and its successor started at once", func() {
			for _, pid := range s.keepers() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}, false},
		{"the cluster's files broken", func() {
			for _, pid := range s.processes() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			if err := os.WriteFile(filepath.Join(s.home(), "data", "pg", "global", "pg_control"), []byte("cut"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spoil()
			if out, err := s.run("pass", "10m"); err != nil {
				t.Fatalf("%v\n%s\nkeeper: %s", err, out, s.keeperLog())
			}
			if anew := strings.Contains(s.keeperLog(), "made a new"); anew != tc.anew {
				t.Errorf("made anew: %v, want %v", anew, tc.anew)
			}
			if n := len(s.keepers()); n != 1 {
				t.Errorf("%d keepers", n)
			}
		})
	}
}

func TestDatabaseOfAFailedTestIsKeptAndNamed(t *testing.T) {
	t.Parallel()
	s := laterStage(t)
	out, err := s.run("fail", "10m")
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the child should fail: %v\n%s", err, out)
	}
	kept := regexp.MustCompile(`is kept: psql "(\S+)"`).FindAllStringSubmatch(out, -1)
	if len(kept) != 2 {
		t.Fatalf("kept %q in:\n%s", kept, out)
	}
	for _, k := range kept {
		if !answers(k[1]) {
			t.Errorf("%s is gone", k[1])
		}
	}
	passed, err := s.run("pass", "10m")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range urlLine.FindAllStringSubmatch(passed, -1) {
		if answers(m[1]) {
			t.Errorf("%s of a passed test is still there", m[1])
		}
	}
}

// ourServer is the shared cluster, with another schema.
func ourServer(t *testing.T, schema fstest.MapFS) *server {
	t.Helper()
	requirePostGIS(t)
	c, err := shared(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return newServer(c.base, schema)
}

// exists tells whether a database exists and whether it is marked as a template.
func (s *server) exists(t *testing.T, name string) (there, marked bool) {
	t.Helper()
	err := s.admin(context.Background(), func(conn *pgx.Conn) error {
		return conn.QueryRow(context.Background(), "SELECT true, datistemplate FROM pg_database WHERE datname = $1", name).Scan(&there, &marked)
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return there, marked
}

func migration(sql string) fstest.MapFS {
	return fstest.MapFS{"00001_a.sql": {Data: []byte("-- +goose Up\n" + sql + "\n-- " + strconv.Itoa(os.Getpid()) + "\n")}}
}

func dropTemplate(t *testing.T, s *server, name string) {
	t.Cleanup(func() {
		err := s.admin(context.Background(), func(conn *pgx.Conn) error {
			_, err := conn.Exec(context.Background(), "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE false")
			return err
		})
		if err = errors.Join(err, s.drop(context.Background(), name)); err != nil {
			t.Error(err)
		}
	})
}

func TestHalfMadeTemplateIsMadeAgain(t *testing.T) {
	s := ourServer(t, migration("CREATE TABLE whole (a int);"))
	ctx := context.Background()
	hash, err := hashFS(s.schema)
	if err != nil {
		t.Fatal(err)
	}
	name := "tpl_" + hash
	err = s.admin(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(localpg.Database))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.template(ctx)
	if err != nil || got != name {
		t.Fatalf("template = %q, %v; want %q", got, err, name)
	}
	dropTemplate(t, s, name)
	if there, marked := s.exists(t, name); !there || !marked {
		t.Errorf("there %v, marked %v", there, marked)
	}
	db, err := s.clone(ctx, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, s.url(db))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "SELECT a FROM whole"); err != nil {
		t.Error(err)
	}
	if err := s.drop(ctx, db); err != nil { // with conn still open
		t.Error(err)
	}
	if there, _ := s.exists(t, db); there {
		t.Error("the dropped database is there")
	}
}

func TestFailedMigrationLeavesNoTemplate(t *testing.T) {
	s := ourServer(t, migration("CREATE TABLE fine (a int); SELECT 1/0;"))
	for range 2 {
		name, err := s.template(context.Background())
		if err == nil || !strings.Contains(err.Error(), "division by zero") {
			t.Fatalf("template = %q, %v", name, err)
		}
		if _, marked := s.exists(t, name); marked {
			t.Error("the half-made template is marked as whole")
		}
		if err := s.drop(context.Background(), name); err != nil {
			t.Error(err)
		}
	}
}

func TestHashFollowsNamesAndContents(t *testing.T) {
	seen := map[string]string{}
	for _, tree := range []fstest.MapFS{
		{},
		{"a.sql": {Data: []byte("x")}},
		{"b.sql": {Data: []byte("x")}},
		{"a.sql": {Data: []byte("y")}},
		{"a.sql": {Data: []byte("x")}, "b.sql": {Data: []byte("")}},
		{"a.sql": {Data: []byte("")}, "b.sql": {Data: []byte("x")}},
	} {
		hash, err := hashFS(tree)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := hashFS(tree)
		if other, ok := seen[hash]; ok || hash != again {
			t.Errorf("%v: %s, as %s; again %s", tree, hash, other, again)
		}
		seen[hash] = hash
	}
}

func TestMissingPostGISSkipsAtADeskAndFailsInTheGate(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"CI": "true"}, true},
		{map[string]string{"CI": "false"}, false},
		{map[string]string{"ONEMAP_REQUIRE_DB": "1"}, true},
		{map[string]string{"ONEMAP_REQUIRE_DB": "0"}, false},
	} {
		if got := required(func(name string) string { return tc.env[name] }); got != tc.want {
			t.Errorf("%v: required = %v", tc.env, got)
		}
	}
}

func TestForeignHomeFolderIsRefused(t *testing.T) {
	requirePostGIS(t)
	temp, err := os.MkdirTemp("", "onemap-pgtest-stage-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	if err := os.Chmod(temp, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(temp, "onemap-pgtest-"+strconv.Itoa(os.Geteuid()))); err != nil {
		t.Fatal(err)
	}
	if home, err := homeFolder(temp); !errors.Is(err, os.ErrPermission) {
		t.Errorf("homeFolder = %q, %v", home, err)
	}
}

func BenchmarkURL(b *testing.B) {
	requirePostGIS(b)
	c, err := shared(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		name, err := c.clone(context.Background(), b.Name())
		if err != nil {
			b.Fatal(err)
		}
		if err := c.drop(context.Background(), name); err != nil {
			b.Fatal(err)
		}
	}
}
