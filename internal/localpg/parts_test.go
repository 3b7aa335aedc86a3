// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package localpg

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func fakeInstall(t *testing.T, root, bin, ext string, withPostGIS bool) {
	t.Helper()
	files := []string{bin + "/postgres", bin + "/initdb", ext + "/btree_gist.control", ext + "/pg_trgm.control"}
	if withPostGIS {
		files = append(files, ext+"/postgis.control")
	}
	for _, f := range files {
		path := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewestInstallationThatHasPostGIS(t *testing.T) {
	root := t.TempDir()
	if got := findBinaries(root); len(got) != 0 {
		t.Fatalf("found %v in an empty root", got)
	}
	fakeInstall(t, root, "usr/lib/postgresql/9.6/bin", "usr/share/postgresql/9/extension", true)
	fakeInstall(t, root, "usr/lib/postgresql/14/bin", "usr/share/postgresql/14/extension", true)
	fakeInstall(t, root, "usr/lib/postgresql/17/bin", "usr/share/postgresql/17/extension", false)
	fakeInstall(t, root, "usr/pgsql-16/bin", "usr/pgsql-16/share/extension", true)
	found := findBinaries(root)
	for _, tc := range []struct {
		name string
		have int
		want int
		err  error
	}{
		{"a new cluster takes the newest with PostGIS", 0, 16, nil},
		{"an older cluster takes its own", 14, 14, nil},
		{"17 has no PostGIS", 17, 0, ErrWrongMajor},
		{"15 is not installed", 15, 0, ErrWrongMajor},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := choose(found, tc.have)
			if b.major != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("choose(%d) = %d, %v; want %d, %v", tc.have, b.major, err, tc.want, tc.err)
			}
		})
	}
	if _, err := choose(nil, 0); !errors.Is(err, ErrNoPostGIS) || !strings.Contains(err.Error(), "postgresql-postgis") {
		t.Errorf("without any: %v", err)
	}
}

func TestSocketFolderFitsTheKernel(t *testing.T) {
	const limit = socketMax - len("/run/"+socketName)
	fits := "/" + strings.Repeat("a", limit-1)
	for _, tc := range []struct {
		name, dir, temp, want string
	}{
		{"short", "/var/lib/onemap", "/tmp", "/var/lib/onemap/run"},
		{"the longest that fits", fits, "/tmp", fits + "/run"},
		{"one byte more", fits + "b", "/var/tmp", "/var/tmp/onemap-"},
		{"bytes count, not letters", "/" + strings.Repeat("网", 31), "/tmp", "/tmp/onemap-"},
		{"a comma separates hosts", "/srv/a,b", "/tmp", "/tmp/onemap-"},
		{"temp too long as well", fits + "b", fits, "/tmp/onemap-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := socketFolder(tc.dir, tc.temp)
			if err != nil || !strings.HasPrefix(got, tc.want) || len(got+"/"+socketName) > socketMax {
				t.Errorf("socketFolder(%q, %q) = %q, %v; want %s…", tc.dir, tc.temp, got, err, tc.want)
			}
			again, _ := socketFolder(tc.dir, tc.temp)
			other, _ := socketFolder(tc.dir+"c", tc.temp)
			if got != again || got == other {
				t.Errorf("%q, again %q, another folder's %q", got, again, other)
			}
		})
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, tc := range []struct {
		name, value string
		ok          bool
	}{
		{"statement_timeout", "30s", true},
		{"pg_stat_statements.max", "it's \\ fine", true},
		{"", "1", false},
		{"a = 1\nfsync", "off", false},
		{"work_mem", "1MB'\nfsync = 'off", false},
		{"Work_Mem", "1MB", false},
	} {
		if err := checkSettings(map[string]string{tc.name: tc.value}); (err == nil) != tc.ok {
			t.Errorf("%q = %q: %v", tc.name, tc.value, err)
		}
	}
}

func TestLogStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pg.log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.max = 1000
	for i := range 200 {
		line := strings.Repeat(string(rune('a'+i%26)), 59) + "\n"
		if i%50 == 49 {
			line = strings.Repeat("x", 3000) + "\n" // a burst
		}
		if _, err := l.file.WriteString(line); err != nil {
			t.Fatal(err)
		}
		if err := l.rotate(); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, path + ".1"} {
			if st, err := os.Stat(p); err == nil && st.Size() > 1000 {
				t.Fatalf("step %d: %s has %d bytes", i, p, st.Size())
			}
		}
	}
	if st, err := os.Stat(path + ".1"); err != nil || st.Size() == 0 {
		t.Errorf("nothing was kept: %v", err)
	}
}

func TestComplaintNamesWhatMatters(t *testing.T) {
	l, err := openLog(filepath.Join(t.TempDir(), "pg.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	_, _ = l.file.WriteString("old FATAL:  not this\n")
	from := l.size()
	if got := l.complaint(from); got != "it said nothing" {
		t.Errorf("empty: %q", got)
	}
	_, _ = l.file.WriteString("LOG:  starting\nFATAL:  this\nLOG:  stopping\n")
	if got := l.complaint(from); got != "FATAL:  this" {
		t.Errorf("got %q", got)
	}
}
