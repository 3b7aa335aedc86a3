// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFirstStartMakesEverything(t *testing.T) {
	needPostGIS(t)
	// None of these may sway PostgreSQL or initdb.
	for name, value := range map[string]string{
		"PGPORT": "1", "PGHOST": "/nowhere", "PGDATA": "/nowhere", "PGUSER": "nobody", "PGOPTIONS": "-c nonsense=1",
		"LC_ALL": "xx_XX.GBK", "LANG": "xx_XX", "HOME": "/nowhere",
	} {
		t.Setenv(name, value)
	}
	dir := filepath.Join(baseFolder(t), "not", "there", "yet")
	var phases []string
	begin := time.Now()
	s := start(t, Options{
		Dir: dir, Phase: func(p string) { phases = append(phases, p) },
		Settings: map[string]string{"statement_timeout": "1234ms", "onemap.note": `it's \ here`},
	})
	t.Logf("first start took %v", time.Since(begin))
	if got := strings.Join(phases, " "); got != "initdb start database ready" {
		t.Errorf("phases %q", got)
	}
	url := s.URL(Database)
	for _, tc := range []struct{ sql, want string }{
		{"SHOW listen_addresses", ""},
		{"SHOW data_checksums", "on"},
		{"SHOW lc_ctype", "C.UTF-8"},
		{"SHOW server_encoding", "UTF8"},
		{"SHOW jit", "off"},
		{"SHOW statement_timeout", "1234ms"},
		{"SHOW onemap.note", `it's \ here`},
		{"SELECT current_user::text", Role},
		{"SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user", "false"},
		{"SELECT array_length(show_trgm('固阳县'), 1)::text", "4"},
		{"SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'", "btree_gist pg_trgm postgis"},
		{"SELECT ST_AsText(ST_SetSRID(ST_MakePoint(107.5, 38.2), 4326))", "POINT(107.5 38.2)"},
	} {
		if got := mustQuery(t, url, tc.sql); got != tc.want {
			t.Errorf("%s = %q, want %q", tc.sql, got, tc.want)
		}
	}
	joined, running := Join(dir)
	if !running || joined != url {
		t.Errorf("Join = %q, %v; want %q", joined, running, url)
	}
	// Nothing of what makes the clusters of tests quick, and unsafe, is in one for real work.
	for name, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "wal_level": "replica",
		"shared_preload_libraries": "", "session_preload_libraries": "", "local_preload_libraries": "",
	} {
		if got := mustQuery(t, socketURL(s.c.sock, superuser, Database), "SHOW "+name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestStopAndSecondStartKeepTheData(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	dir := madeFolder(t)
	s := start(t, Options{Dir: dir})
	keepRow(t, s.URL(Database))
	if err := os.WriteFile(filepath.Join(dir, "pg", "local.conf"), []byte("work_mem = '7MB'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Logf("stop took %v", time.Since(begin))
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "pg", "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pid file after Stop: %v", err)
	}
	if url, running := Join(dir); running {
		t.Errorf("Join after Stop = %q", url)
	}
	select {
	case <-s.Done():
		t.Error("Done is closed after Stop")
	default:
	}
	// What was half made by a start that was killed is thrown away.
	if err := os.MkdirAll(filepath.Join(dir, "pg.init", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	s = start(t, Options{Dir: dir})
	t.Logf("later start took %v", time.Since(begin))
	keptRow(t, s.URL(Database))
	if got := mustQuery(t, s.URL(Database), "SHOW work_mem"); got != "7MB" {
		t.Errorf("the operator's own setting: %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "pg.init")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the half-made cluster is still there: %v", err)
	}
}

// TestTheLesserRoles wants them in every cluster, one of an older program too.
func TestTheLesserRoles(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	dir := madeFolder(t)
	s := start(t, Options{Dir: dir, Unsafe: true})
	drop := func() {
		t.Helper()
		for _, role := range []string{AppRole, TilesRole, AuditorRole} {
			mustExec(t, socketURL(s.c.sock, superuser, Database), "DROP ROLE "+role)
		}
	}
	check := func() {
		t.Helper()
		for _, role := range []string{AppRole, TilesRole, AuditorRole} {
			got := mustQuery(t, socketURL(s.c.sock, role, Database), `SELECT concat(current_user, rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls)
				FROM pg_roles WHERE rolname = current_user`)
			if got != role+"f" {
				t.Errorf("%s signs in as %s", role, got)
			}
			mustExec(t, s.URL(Database), "SET ROLE "+role)
		}
	}
	check()
	drop()
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir, Unsafe: true})
	check()
	drop() // and beside a server of an older program
	for range 2 {
		if err := EnsureRoles(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	check()
}

func TestStopOutOfPatienceEndsHardAndKeepsTheRows(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	dir := madeFolder(t)
	s := start(t, Options{Dir: dir})
	keepRow(t, s.URL(Database))
	// A stopped postmaster cannot shut down in any way but the last.
	pm := s.c.readPid()
	kill(t, pm, syscall.SIGSTOP)
	defer func() { _ = syscall.Kill(pm, syscall.SIGCONT) }()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop = %v", err)
	}
	s = start(t, Options{Dir: dir})
	keptRow(t, s.URL(Database))
}

func TestSecondServerOnAFolderIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	dir := madeFolder(t)
	s := start(t, Options{Dir: dir})
	begin := time.Now()
	_, err := Start(context.Background(), Options{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second Start: %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second { // a start takes longer than that on a machine this busy
		t.Errorf("the refusal took %v", took)
	}
	// Neither by another path to it.
	link := filepath.Join(baseFolder(t), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(context.Background(), Options{Dir: link}); !errors.Is(err, ErrInUse) {
		t.Errorf("Start by a link: %v", err)
	}
	if !answers(s.URL(Database))() {
		t.Error("the first server suffered")
	}
}

// TestStaleFiles starts over files that name a process which is none of ours.
func TestStaleFiles(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	dir := madeFolder(t)
	acct, err := findAccount()
	if err != nil {
		t.Fatal(err)
	}
	// A live process of the very user: plain PostgreSQL would refuse to start.
	stranger := acct.command(syscall.SIGKILL, "/bin/sleep", "600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	zombie := acct.command(syscall.SIGKILL, "/bin/true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = zombie.Wait() }()
	eventually(t, 10*time.Second, "zombie", func() bool {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(zombie.Process.Pid), "cmdline"))
		return err == nil && len(text) == 0
	})
	full := func(pid int) string {
		return strconv.Itoa(pid) + "\n" + dir + "/pg\n1700000000\n5432\n" + dir + "/run\n\n  5432001         0\nready   \n"
	}
	data, run := filepath.Join(dir, "pg", "postmaster.pid"), filepath.Join(dir, "run", socketName+".lock")
	for _, tc := range []struct{ name, file, text string }{
		{"a stranger of the same user", data, full(stranger.Process.Pid)},
		{"a zombie", data, full(zombie.Process.Pid)},
		{"ourselves", data, full(os.Getpid())},
		{"cut off after the pid", data, strconv.Itoa(stranger.Process.Pid)},
		{"empty", data, ""},
		{"garbage", data, "\x00\xff-17\n"},
		{"the socket's lock of a stranger", run, full(stranger.Process.Pid)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(tc.file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(tc.file, acct.uid, acct.gid); err != nil {
				t.Fatal(err)
			}
			s := start(t, Options{Dir: dir})
			if !answers(s.URL(Database))() {
				t.Error("no answer")
			}
		})
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was hurt: %v", err)
	}
}

// snapshot lists a tree with what tells a change.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		if !d.IsDir() && d.Name() != "server.lock" {
			b.WriteString(path + " " + st.ModTime().String() + " " + strconv.FormatInt(st.Size(), 10) + "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRefusalsTouchNothing(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	chown := func(t *testing.T, path string, uid int) {
		t.Helper()
		if os.Geteuid() != 0 {
			t.Skip("SKIPPED: needs root")
		}
		if err := os.Lchown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  error
		says  string
	}{
		{"data of another major", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "pg", "PG_VERSION"), []byte("14\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrWrongMajor, "data of 14"},
		{"a version nobody wrote", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "pg", "PG_VERSION"), []byte("banana\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrWrongMajor, "banana"},
		{"something else in pg/", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "pg", "PG_VERSION")); err != nil {
				t.Fatal(err)
			}
		}, ErrNotOurs, "PG_VERSION"},
		{"data of another user", func(t *testing.T, dir string) { chown(t, filepath.Join(dir, "pg"), 65534) }, ErrNotOurs, "mode 0700"},
		{"data open to all", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "pg"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, ErrNotOurs, "mode 0700"},
		{"the socket's folder is a link", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/tmp", filepath.Join(dir, "run")); err != nil {
				t.Fatal(err)
			}
		}, ErrNotOurs, "run"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := madeFolder(t)
			tc.spoil(t, dir)
			before := snapshot(t, dir)
			s, err := Start(context.Background(), Options{Dir: dir})
			if s != nil || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("Start = %v, %v; want %v saying %q", s, err, tc.want, tc.says)
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas:\n%s", after, before)
			}
		})
	}
}

func TestFolderBelowAPrivateHomeIsRefusedBeforeInitdb(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root steps down to another user")
	}
	home := filepath.Join(baseFolder(t), "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Start(context.Background(), Options{Dir: filepath.Join(home, "a", "onemap")})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), home) {
		t.Errorf("Start = %v", err)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 0 {
		t.Errorf("left in the home: %v, %v", entries, err)
	}
	if err := Reachable(home); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Reachable = %v", err)
	}
}

func TestPathTooLongForASocket(t *testing.T) {
	needPostGIS(t)
	short := madeFolder(t)
	dir := filepath.Join(filepath.Dir(short), strings.Repeat("long", 30), "数据,夹 with blanks")
	if err := os.Mkdir(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(short, dir); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Dir: dir})
	t.Cleanup(func() { _ = os.RemoveAll(s.c.sock) })
	if !answers(s.URL(Database))() || strings.HasPrefix(s.c.sock, dir) {
		t.Errorf("socket in %s", s.c.sock)
	}
	st, err := os.Stat(s.c.sock)
	if err != nil || st.Mode().Perm() != 0o700 || int(st.Sys().(*syscall.Stat_t).Uid) != s.c.acct.uid {
		t.Errorf("folder of the socket: %v, %v", st, err)
	}
	t.Setenv("TMPDIR", baseFolder(t)) // a command with another temp folder
	if url, running := Join(dir); !running || url != s.URL(Database) {
		t.Errorf("Join = %q, %v", url, running)
	}
}

func TestEndOfContextBreaksTheStartOff(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	dir := filepath.Join(baseFolder(t), "d")
	for _, phase := range []string{"initdb", "start", "database"} {
		ctx, cancel := context.WithCancel(context.Background())
		s, err := Start(ctx, Options{Dir: dir, Unsafe: true, Phase: func(p string) {
			if p == phase {
				cancel()
			}
		}})
		cancel()
		if s != nil || !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: Start = %v, %v", phase, s, err)
		}
		if left := look(dir).workers(); len(left) > 0 {
			t.Errorf("%s: processes left: %v", phase, left)
		}
	}
	s := start(t, Options{Dir: dir, Unsafe: true})
	if !answers(s.URL(Database))() {
		t.Error("no answer after broken starts")
	}
}

// TestOrdinaryUser runs the server without root, and as a user without a name.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	needPostGIS(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to become others; every other test already runs as an ordinary user")
	}
	base := baseFolder(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(base, "server") // go test keeps its own where only root can enter
	if out, err := exec.Command("cp", self, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, tc := range []struct {
		name string
		uid  uint32
		says string
	}{
		{"nobody", 65534, ""},
		{"a user without a name", 54321, "uid 54321 has none in /etc/passwd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			home := filepath.Join(base, strconv.Itoa(int(tc.uid)))
			if err := os.Mkdir(home, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(home, int(tc.uid), int(tc.uid)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(copied)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tc.uid, Gid: tc.uid}}
			url, complaint := startHelper(t, cmd, filepath.Join(home, "d"))
			if !strings.Contains(complaint, tc.says) || (url == "") != (tc.says != "") {
				t.Fatalf("url %q, complaint %q", url, complaint)
			}
			if url == "" {
				return
			}
			if joined, running := Join(filepath.Join(home, "d")); !running || joined != url {
				t.Errorf("Join as root = %q, %v", joined, running)
			}
			kill(t, cmd.Process.Pid, syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("helper: %v", err)
			}
		})
	}
}
