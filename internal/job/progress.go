// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// Progress says how far a job is.
type Progress struct {
	Counts      Counts        // over all runs of the job
	Skipped     int64         // of them committed by earlier runs
	Read, Total int64         // bytes of the file; Total 0 when unknown
	Rate        float64       // rows a second in this run
	Left        time.Duration // until the end at this pace; negative when unknown
}

// gauge measures the pace of one run from its first new row.
type gauge struct {
	now     func() time.Time
	bytes   func() (read, total int64)
	began   time.Time
	atStart int64 // bytes read when it began
}

func newGauge(now func() time.Time, bytes func() (read, total int64)) *gauge {
	if bytes == nil {
		bytes = func() (int64, int64) { return 0, 0 }
	}
	return &gauge{now: now, bytes: bytes}
}

func (g *gauge) start() {
	if g.began.IsZero() {
		g.began = g.now()
		g.atStart, _ = g.bytes()
	}
}

func (g *gauge) read(c Counts, skipped int64) Progress {
	p := Progress{Counts: c, Skipped: skipped, Left: -1}
	p.Read, p.Total = g.bytes()
	took := g.now().Sub(g.began)
	if took > 0 {
		p.Rate = float64(c.Rows()-skipped) / took.Seconds()
	}
	if done := p.Read - g.atStart; done > 0 && p.Total > 0 {
		p.Left = time.Duration(float64(took) * float64(p.Total-p.Read) / float64(done))
	}
	return p
}

// Printer shows Progress: on a terminal one line that is drawn over, elsewhere a
// line every few seconds. It is not safe for concurrent use.
type Printer struct {
	w    io.Writer
	tty  bool
	now  func() time.Time
	last time.Time
	open bool // a drawn line waits for its line end
}

// NewPrinter prints to w. tty says that w is a terminal (see IsTerminal).
func NewPrinter(w io.Writer, tty bool, now func() time.Time) *Printer {
	return &Printer{w: w, tty: tty, now: now}
}

// IsTerminal reports whether f is a terminal rather than a file or pipe.
func IsTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Show prints p unless a line was printed just before.
func (p *Printer) Show(at Progress) { p.Line(at.String) }

// Line shows a line of another kind at the same pace; text is asked only when it is
// its time.
func (p *Printer) Line(text func() string) {
	every := 5 * time.Second
	if p.tty {
		every = 200 * time.Millisecond
	}
	now := p.now()
	if !p.last.IsZero() && now.Sub(p.last) < every {
		return
	}
	p.last = now
	if p.tty {
		fmt.Fprintf(p.w, "\r%s\x1b[K", text())
		p.open = true
		return
	}
	fmt.Fprintln(p.w, text())
}

// End closes a drawn line, so that the next output starts on its own.
func (p *Printer) End() {
	if p.open {
		fmt.Fprintln(p.w)
		p.open = false
	}
}

// String is the progress line.
func (p Progress) String() string {
	s := "已处理 " + grouped(p.Counts.Rows()) + " 行"
	if p.Total > 0 {
		s += fmt.Sprintf("（%d%%）", 100*p.Read/p.Total)
	}
	s += "，" + grouped(int64(p.Rate)) + " 行/秒"
	if p.Left >= 0 {
		s += "，约剩 " + p.Left.Round(time.Second).String()
	}
	return s + "：" + p.Counts.String()
}

// String lists the counts that are not zero.
func (c Counts) String() string {
	s := "入格 " + grouped(c.InGrid)
	for _, part := range []struct {
		label string
		n     int64
	}{{"格外", c.Outside}, {"无位置", c.Unlocated}, {"重复", c.Repeated}, {"拒收", c.Rejected}} {
		if part.n > 0 {
			s += " " + part.label + " " + grouped(part.n)
		}
	}
	return s
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
