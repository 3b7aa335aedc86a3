// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package job

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestGaugeTellsPaceAndTimeLeftOfThisRunOnly(t *testing.T) {
	now := time.Unix(1000, 0)
	read := int64(400)
	g := newGauge(func() time.Time { return now }, func() (int64, int64) { return read, 1000 })
	g.start()
	now, read = now.Add(2*time.Second), 600
	g.start() // only the first start counts
	p := g.read(Counts{InGrid: 5000, Rejected: 1000}, 4000)
	if p.Rate != 1000 || p.Left != 4*time.Second {
		t.Errorf("rate %v, left %v, want 1000 and 4s", p.Rate, p.Left)
	}
	if got, want := p.String(), "已处理 6,000 行（60%），1,000 行/秒，约剩 4s：入格 5,000 拒收 1,000"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	if q := newGauge(func() time.Time { return now }, nil).read(Counts{}, 0); q.Left >= 0 {
		t.Errorf("time left of a file of unknown size: %v", q.Left)
	}
}

func TestPrinter(t *testing.T) {
	for _, tt := range []struct {
		name string
		tty  bool
		want string
	}{
		{"terminal", true, "\r已处理 1 行，0 行/秒：入格 1\x1b[K\r已处理 2 行，0 行/秒：入格 2\x1b[K\n"},
		{"file", false, "已处理 1 行，0 行/秒：入格 1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			var out bytes.Buffer
			p := NewPrinter(&out, tt.tty, func() time.Time { return now })
			p.Show(Progress{Counts: Counts{InGrid: 1}, Left: -1})
			p.Show(Progress{Counts: Counts{InGrid: 9}, Left: -1}) // too soon after the first
			now = now.Add(time.Second)
			p.Show(Progress{Counts: Counts{InGrid: 2}, Left: -1})
			p.End()
			p.End()
			if out.String() != tt.want {
				t.Errorf("printed %q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	sum := func(path, m string, opts ...string) string {
		b, err := Fingerprint(path, []byte(m), opts...)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	a, b, c := write("a", "x"), write("b", "x"), write("c", "y")
	if sum(a, "m", "o") != sum(b, "m", "o") {
		t.Error("the same content under another name is another import")
	}
	seen := map[string]bool{}
	for _, s := range []string{sum(a, "m", "o"), sum(c, "m", "o"), sum(a, "n", "o"), sum(a, "m"), sum(a, "m", "o", ""), sum(a, "mo")} {
		if seen[s] {
			t.Error("two different imports have one fingerprint")
		}
		seen[s] = true
	}
	if _, err := Fingerprint(filepath.Join(dir, "none"), nil); err == nil {
		t.Error("a missing file has a fingerprint")
	}
}
