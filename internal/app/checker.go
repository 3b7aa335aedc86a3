// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"onemap/auth"
)

// checker checks passwords in a process of its own, at a low priority. A check
// leaves 7 MiB of garbage: made here, guessers would have this process collect
// garbage three times as often, and reports wait for it. Where there is no such
// process, checks are made here all the same.
type checker struct {
	command []string // nil: no process
	log     *slog.Logger

	mu     sync.Mutex // guards what follows: one check at a time
	cmd    *exec.Cmd
	ask    *os.File
	answer *os.File
	from   *json.Decoder // of answer
}

const (
	checkNice = 10              // how much lower the priority of the process is
	checkTime = 5 * time.Second // one that takes longer is stuck
)

// question is what the process is asked: whether text is the password of a hash.
type question struct{ Hash, Text string }

// CheckPasswords answers questions until in ends. It is the other process.
func CheckPasswords(in io.Reader, out io.Writer) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q question
		if err := from.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := to.Encode(auth.CheckPassword(q.Hash, q.Text)); err != nil {
			return err
		}
	}
}

// check is auth.CheckPassword.
func (c *checker) check(hash, text string) bool {
	right, err := c.askProcess(hash, text)
	if err != nil {
		c.log.Warn("a password is checked by the server itself", "err", err)
		return auth.CheckPassword(hash, text)
	}
	return right
}

func (c *checker) askProcess(hash, text string) (right bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.command) == 0 {
		return auth.CheckPassword(hash, text), nil
	}
	defer func() {
		if err != nil {
			c.end() // the next one begins anew
		}
	}()
	if err := c.begin(); err != nil {
		return false, err
	}
	by := time.Now().Add(checkTime)
	if err := errors.Join(c.ask.SetWriteDeadline(by), c.answer.SetReadDeadline(by)); err != nil {
		return false, err
	}
	if err := json.NewEncoder(c.ask).Encode(question{hash, text}); err != nil {
		return false, fmt.Errorf("ask: %w", err)
	}
	if err := c.from.Decode(&right); err != nil {
		return false, fmt.Errorf("answer: %w", err)
	}
	return right, nil
}

// begin starts the process unless it runs.
func (c *checker) begin() error {
	if c.cmd != nil {
		return nil
	}
	in, ask, err := os.Pipe()
	if err != nil {
		return err
	}
	answer, out, err := os.Pipe()
	if err != nil {
		_, _ = in.Close(), ask.Close()
		return err
	}
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = in, out, os.Stderr, []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the server; this one ends with its questions
	err = cmd.Start()
	_, _ = in.Close(), out.Close()
	if err != nil {
		_, _ = ask.Close(), answer.Close()
		return fmt.Errorf("start %s: %w", c.command[0], err)
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, checkNice) // where it may not, it is as urgent as all else
	c.cmd, c.ask, c.answer, c.from = cmd, ask, answer, json.NewDecoder(answer)
	return nil
}

// end ends the process, if there is one. The caller holds mu.
func (c *checker) end() {
	if c.cmd == nil {
		return
	}
	_, _ = c.ask.Close(), c.answer.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.cmd = nil
}

// stop ends the process; a later check is made here.
func (c *checker) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
	c.command = nil
}
