// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/internal/backup"
	"onemap/internal/job"
	"onemap/store"
	"onemap/store/ledger"
)

type backupCmd struct {
	place
	Out    string `help:"File to write." placeholder:"FILE"`
	Force  bool   `help:"Replace the file when it is there."`
	KeyOut string `help:"Copy the sealing key to this file too: keep it apart from the backups." placeholder:"FILE"`
	Check  string `help:"Only read a backup through and compare its hashes." placeholder:"FILE"`
}

func (c *backupCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	if (c.Out == "") == (c.Check == "") {
		return errors.New("say --out FILE to make a backup, or --check FILE to read one through")
	}
	key, err := backup.OpenKey(c.dir())
	if err != nil {
		return err
	}
	if c.Check != "" {
		m, err := backup.Check(ctx, c.Check, key)
		if err != nil {
			return err
		}
		return tellManifest(out, "备份完好 · the backup is whole", m)
	}
	if err := backup.MayWrite(c.Out, c.Force); err != nil {
		return err
	}
	if err := backup.KeepApart(c.dir(), c.Out, c.KeyOut); err != nil {
		return err
	}
	if err := backup.Unfinished(c.dir()); err != nil {
		return err
	}
	if c.DatabaseURL == "" {
		if err := c.hasCluster(); err != nil {
			return err // nothing to save: no cluster is made
		}
	}
	d, err := backup.Open(ctx, c.dir(), c.DatabaseURL)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.CheckKey(ctx, key); err != nil {
		return err
	}
	if err := c.audit(ctx, d.URL); err != nil {
		return err
	}
	if c.KeyOut != "" {
		if err := backup.CopyKey(c.dir(), c.KeyOut); err != nil {
			return err
		}
	}
	c.tellKey(say, key)
	show := newWritten(say)
	m, err := d.Write(ctx, backup.Options{
		Data: c.dir(), Key: key, Out: c.Out, Force: c.Force, Program: version, Now: time.Now, Progress: show.at,
	})
	show.end(err == nil)
	if err != nil {
		return err
	}
	return tellManifest(out, c.Out, m)
}

// tellKey says at every backup what it does not hold.
func (c *backupCmd) tellKey(say messages, key *store.Sealer) {
	fmt.Fprintf(say, "密钥不在备份里：没有 %s 的副本，任何备份都无法恢复。\nThe key is not in the backup: without a copy of %[1]s nothing can be restored. Key %s.\n",
		backup.KeyFile(c.dir()), key.Fingerprint())
	if c.KeyOut != "" {
		fmt.Fprintf(say, "密钥副本 · copy of the key: %s （与备份分开保管 · keep it apart from the backups）\n", c.KeyOut)
	} else {
		fmt.Fprintln(say, "用 --key-out FILE 另存一份，与备份分开保管。 --key-out FILE makes a copy; keep it apart from the backups.")
	}
}

// audit notes that somebody takes a copy of everything, and of the key, before it
// is taken.
func (c *backupCmd) audit(ctx context.Context, url string) error {
	db, err := store.Open(ctx, url, store.Options{MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	data := map[string]any{"file": filepath.Base(c.Out)}
	if c.KeyOut != "" {
		data["key_copy"] = filepath.Base(c.KeyOut)
	}
	return db.InTx(ctx, func(tx pgx.Tx) error {
		return ledger.Audit(ctx, tx, auth.SystemActor("command line"), "", "backup.create", "", "", data)
	})
}

func tellManifest(out io.Writer, what string, m backup.Manifest) error {
	_, err := fmt.Fprintf(out, "%s: %s, schema %d, %d incidents, %d audit rows, key %s\n",
		what, m.At.Local().Format("2006-01-02 15:04:05"), m.Schema, m.Rows["incident"], m.Rows["audit_log"], m.Key)
	return err
}

// written shows how much has been written: in place on a terminal, now and then
// elsewhere.
type written struct {
	w    io.Writer
	tty  bool
	last time.Time
	n    int64
}

func newWritten(say messages) *written {
	f, ok := say.Writer.(*os.File)
	return &written{w: say, tty: ok && job.IsTerminal(f), last: time.Now()}
}

func (p *written) at(n int64) {
	every := 5 * time.Second
	if p.tty {
		every = 200 * time.Millisecond
	}
	p.n = n
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	p.show()
}

func (p *written) show() {
	line := fmt.Sprintf("已写 · written %.1f MB", float64(p.n)/1e6)
	if p.tty {
		fmt.Fprint(p.w, "\r", line, "\x1b[K")
	} else {
		fmt.Fprintln(p.w, line)
	}
}

// end shows the last number of a whole backup and closes a drawn line.
func (p *written) end(whole bool) {
	if whole {
		p.show()
	}
	if p.tty && p.n > 0 {
		fmt.Fprintln(p.w)
	}
}

type restoreCmd struct {
	place
	File string `arg:"" help:"The backup." type:"existingfile"`
	Key  string `help:"The copy of the sealing key." required:"" type:"existingfile" placeholder:"FILE"`
}

func (c *restoreCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	begun := time.Now()
	m, err := backup.Restore(ctx, backup.RestoreOptions{
		File: c.File, KeyFile: c.Key, Data: c.dir(), DatabaseURL: c.DatabaseURL, Actor: auth.SystemActor("command line"),
		Phase: func(what string) { fmt.Fprintf(say, "%6.1f s  %s\n", time.Since(begun).Seconds(), phases[what]) },
	})
	if err != nil {
		return err
	}
	if err := tellManifest(out, "已恢复 · restored", m); err != nil {
		return err
	}
	fmt.Fprintf(say, "%6.1f s  完成。备份之后撤销的账号、令牌、大屏又有效了，请重新撤销。\nDone. What was revoked after %s is valid again: revoke it anew.\n",
		time.Since(begun).Seconds(), m.At.Local().Format("2006-01-02 15:04"))
	return nil
}

// phases are the steps of a restore as a person reads them.
var phases = map[string]string{
	"check":       "检查备份 · reading the backup through",
	"database":    "准备数据库 · making the database",
	"rows":        "写入数据 · restoring the rows",
	"attachments": "写入附件 · restoring the attachments",
	"compare":     "核对行数 · comparing the counts",
	"schema":      "更新结构 · bringing the schema up to date",
}
