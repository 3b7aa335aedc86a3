// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating system's user that PostgreSQL runs as. PostgreSQL
// refuses to run as root.
type account struct {
	name     string
	uid, gid int
	drop     bool // we are root and step down for it
}

// findAccount is the user postgres when we are root, else ourselves.
func findAccount() (account, error) {
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return account{}, fmt.Errorf("running as root needs the user postgres, which the PostgreSQL package makes: %w", err)
		}
		return newAccount(u, true)
	}
	u, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL needs a user name, but uid %d has none in /etc/passwd: %w", os.Geteuid(), err)
	}
	return newAccount(u, false)
}

func newAccount(u *user.User, drop bool) (account, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", u.Username, err)
	}
	return account{name: u.Username, uid: uid, gid: gid, drop: drop}, nil
}

// command prepares a program of PostgreSQL: as the account, in its own process
// group (Ctrl-C in a terminal must not reach it before we have drained), in a
// folder it can always enter, with an environment that cannot sway it. It gets
// onDeath when the thread that started it ends.
func (a account) command(onDeath syscall.Signal, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = "/"
	cmd.Env = []string{}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath}
	if a.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{
			Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: []uint32{},
		}
	}
	return cmd
}

// folderMode lets the account pass through a folder of ours without listing it.
func (a account) folderMode() fs.FileMode {
	if a.drop {
		return 0o711
	}
	return 0o700
}

// makeFolder makes dir and what is missing above it, and makes sure that the
// account can enter. Nothing is made when a folder above shuts it out.
func (a account) makeFolder(dir string, b binaries) error {
	var missing []string
	above := dir
	for {
		_, err := os.Stat(above)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("data folder: %w", err)
		}
		missing = append(missing, above)
		above = filepath.Dir(above)
	}
	if err := a.reach(above, b); err != nil {
		return err
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], a.folderMode()); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("data folder: %w", err)
		}
		if err := os.Chmod(missing[i], a.folderMode()); err != nil { // whatever the umask
			return fmt.Errorf("data folder: %w", err)
		}
	}
	return a.reach(dir, b)
}

// reach tries, as the account, to enter dir; only the kernel knows every rule.
func (a account) reach(dir string, b binaries) error {
	cmd := a.command(syscall.SIGKILL, b.path("postgres"), "--version")
	cmd.Dir = dir
	err := cmd.Run()
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: user %s cannot enter %s; choose a folder outside private homes, or chmod o+x the folder that shuts it out (%s)",
			ErrUnreachable, a.name, dir, a.closedFolder(dir))
	}
	if err != nil {
		return fmt.Errorf("%s as user %s in %s: %w", b.path("postgres"), a.name, dir, err)
	}
	return nil
}

// closedFolder names the topmost folder on the way to dir whose mode shuts the
// account out; a guess for the message only.
func (a account) closedFolder(dir string) string {
	closed := dir
	for p := dir; ; p = filepath.Dir(p) {
		if st, err := os.Stat(p); err == nil && !a.mayEnter(st) {
			closed = p
		}
		if p == filepath.Dir(p) {
			return closed
		}
	}
}

func (a account) mayEnter(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case int(sys.Uid) == a.uid:
		return st.Mode()&0o100 != 0
	case int(sys.Gid) == a.gid:
		return st.Mode()&0o010 != 0
	}
	return st.Mode()&0o001 != 0
}

// ownFolder makes path, if missing, as a private folder of the account; an
// existing one that is not exactly that is refused.
func (a account) ownFolder(path string) error {
	err := os.Mkdir(path, 0o700)
	switch {
	case err == nil:
		if err := os.Chmod(path, 0o700); err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(sys.Uid) != a.uid || st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s must be a folder of user %s with mode 0700", ErrNotOurs, path, a.name)
	}
	return nil
}
