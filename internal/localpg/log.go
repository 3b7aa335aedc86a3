// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// logMax is the size in bytes at which pg.log becomes pg.log.1.
const logMax = 16 << 20

// logFile is the file that PostgreSQL writes to by itself, so that neither a
// stopped server of ours nor a full pipe can hold it up. It is opened for append;
// rotation copies it aside and empties it in place.
type logFile struct {
	file *os.File
	max  int64
}

func openLog(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of PostgreSQL: %w", err)
	}
	return &logFile{file: f, max: logMax}, nil
}

func (l *logFile) close() { _ = l.file.Close() }

func (l *logFile) size() int64 {
	st, err := l.file.Stat()
	if err != nil {
		return 0
	}
	return st.Size()
}

// rotate keeps the log bounded. Lines written between the copy and the cut are
// lost, which a log may.
func (l *logFile) rotate() error {
	size := l.size()
	if size < l.max {
		return nil
	}
	old, err := os.OpenFile(l.file.Name()+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		from := max(0, size-l.max) // a burst may have grown it far beyond
		_, err = io.Copy(old, io.NewSectionReader(l.file, from, size-from))
		if e := old.Close(); err == nil {
			err = e
		}
	}
	// Emptied even if the copy failed: the disk may be full.
	if e := l.file.Truncate(0); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("rotate the log of PostgreSQL: %w", err)
	}
	return nil
}

// since is what was written after offset, at most the last 64 KiB.
func (l *logFile) since(offset int64) string {
	size := l.size()
	offset = max(0, offset, size-64<<10)
	if offset >= size {
		return ""
	}
	var b bytes.Buffer
	_, _ = io.Copy(&b, io.NewSectionReader(l.file, offset, size-offset))
	return b.String()
}

// complaint is what the log after offset says about a failure, in a few lines.
func (l *logFile) complaint(offset int64) string {
	var grave, all []string
	for line := range strings.Lines(l.since(offset)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		all = append(all, line)
		for _, mark := range []string{"FATAL:", "PANIC:", "HINT:", "error:"} {
			if strings.Contains(line, mark) {
				grave = append(grave, line)
				break
			}
		}
	}
	if len(grave) == 0 {
		grave = all
	}
	if len(grave) == 0 {
		return "it said nothing"
	}
	return strings.Join(grave[max(0, len(grave)-4):], " | ")
}
