// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/internal/localpg"
	"onemap/internal/pgtest"
	"onemap/migrations"
	"onemap/store"
)

// doctor runs the command on a folder and the database at url, or the folder's
// own when that is "".
func doctor(t *testing.T, dir, url string) (code int, out, said string) {
	t.Helper()
	t.Setenv("DATABASE_URL", "")
	args := []string{"doctor", "--data", dir}
	if url != "" {
		args = append(args, "--database-url", url)
	}
	var stdout, stderr bytes.Buffer
	code = run(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// settled makes of the database at url and the folder what a first start of the
// server makes of them.
func settled(t *testing.T, dir, url string) {
	t.Helper()
	if err := store.Migrate(t.Context(), url, migrations.FS); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seal, err := store.OpenSealer(dir)
	if err == nil {
		err = db.CheckSealKey(t.Context(), seal)
	}
	if err == nil {
		err = store.Positions{DB: db}.EnsurePartitions(t.Context(), time.Now(), 8)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDoctorNamesWhatIsWrong(t *testing.T) {
	url, dir := pgtest.URL(t), t.TempDir()
	settled(t, dir, url)
	code, out, said := doctor(t, dir, url)
	if code != 0 || strings.Contains(out, "FAIL") || strings.Count(out, "\nOK ") < 15 {
		t.Fatalf("a healthy one: status %d\n%s%s", code, out, said)
	}
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	cert := func(from, to time.Time) []byte {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &pair.PublicKey, pair)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	now, key := time.Now(), filepath.Join(dir, "seal.key")
	right, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tls"), 0o755); err != nil {
		t.Fatal(err)
	}
	tlsKey, ca := filepath.Join(dir, "tls", "server.key"), filepath.Join(dir, "tls", "ca.crt")
	tlsText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if err := os.WriteFile(tlsKey, tlsText, 0o600); err != nil {
		t.Fatal(err)
	}
	year := cert(now.Add(-time.Hour), now.AddDate(1, 0, 0))
	if err := os.WriteFile(filepath.Join(dir, "tls", "server.crt"), year, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		text       []byte // nil: the file is gone
		mode       fs.FileMode
		code       int
		want       string
	}{
		{"a key all may read", key, right, 0o644, 1, "FAIL  the sealing key has mode 0644  -> chmod 600 " + key},
		{"another key", key, bytes.Repeat([]byte("ab"), 32), 0o600, 1, "FAIL  the sealing key is not the one of this database  -> put back the seal.key"},
		{"a damaged key", key, []byte("abc"), 0o600, 1, "is damaged"},
		{"no key", key, nil, 0, 1, "FAIL  no sealing key in " + dir},
		{"the right key", key, right, 0o600, 0, "OK    the sealing key can be read by its owner alone"},
		{"a certificate for a year", "", year, 0, 0, "OK    the certificate is good until "},
		{"a certificate for a week", "", cert(now.Add(-time.Hour), now.AddDate(0, 0, 7)), 0, 0, "  -> onemap tls init"},
		{"a certificate of yesterday", "", cert(now.AddDate(0, 0, -9), now.AddDate(0, 0, -1)), 0, 1, "FAIL  the certificate ended on "},
		{"a certificate of tomorrow", "", cert(now.AddDate(0, 0, 1), now.AddDate(1, 0, 0)), 0, 1, "FAIL  the certificate begins on "},
		{"a damaged certificate", "", []byte("abc"), 0, 1, "server.crt: the file is damaged  -> put it back from a copy"},
		{"no certificate", "", nil, 0, 1, "server.crt: no such file or directory"},
		{"the certificate again", "", year, 0, 0, "OK    the certificate is good until "},
		{"a certificate's key all may read", tlsKey, tlsText, 0o644, 1, "run chmod 600"},
		{"no key of the certificate", tlsKey, nil, 0, 1, "server.key: no such file or directory"},
		{"the key for a proxy of its group", tlsKey, tlsText, 0o640, 0, "OK    the certificate is good until "},
		{"a CA for a year", ca, year, 0o644, 0, "OK    the certificate is good until "},
		{"a CA for a week", ca, cert(now.Add(-time.Hour), now.AddDate(0, 0, 7)), 0o644, 0, "WARN  the local CA " + ca + " is good until "},
		{"a CA of yesterday", ca, cert(now.AddDate(0, 0, -9), now.AddDate(0, 0, -1)), 0o644, 1, "FAIL  the local CA " + ca + " ended on "},
		{"a damaged CA", ca, []byte("abc"), 0o644, 1, "ca.crt: the file is damaged"},
		{"no CA", ca, nil, 0, 0, "OK    the certificate is good until "},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, mode := c.file, c.mode
			if path == "" {
				path, mode = filepath.Join(dir, "tls", "server.crt"), 0o644
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if c.text != nil {
				if err := os.WriteFile(path, c.text, mode); err != nil {
					t.Fatal(err)
				}
			}
			code, out, said := doctor(t, dir, url)
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("status %d, want %d and %q\n%s%s", code, c.code, c.want, out, said)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "pg")); err == nil {
		t.Error("a private database was made")
	}
}

func TestDoctorWorksBesideARunningServerAndAlone(t *testing.T) {
	pgtest.URL(t) // skips without PostGIS
	base, err := os.MkdirTemp("", "onemap-doctor-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	if err := os.Chmod(base, 0o711); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "d")
	code, out, said := doctor(t, dir, "")
	if code != 1 || !strings.Contains(out, "FAIL  data folder "+dir) || !strings.Contains(out, "FAIL  no database in") || !strings.Contains(said, "3 of 4 checks failed") {
		t.Errorf("nothing there: status %d\n%s%s", code, out, said)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("the folder was made")
	}
	pg, err := localpg.Start(t.Context(), localpg.Options{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pg.Stop(context.Background()) }()
	code, out, _ = doctor(t, dir, "")
	if code != 1 || !strings.Contains(out, "FAIL  the database has no schema yet  -> onemap migrate") {
		t.Errorf("no schema: status %d\n%s", code, out)
	}
	settled(t, dir, pg.URL(localpg.Database))
	if code, out, said := doctor(t, dir, ""); code != 0 {
		t.Errorf("beside a server: status %d\n%s%s", code, out, said)
	}
	if err := pg.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, out, said = doctor(t, dir, ""); code != 0 || strings.Contains(out, "FAIL") {
		t.Errorf("alone: status %d\n%s%s", code, out, said)
	}
	if _, running := localpg.Join(dir); running {
		t.Error("the database still runs")
	}
	half := filepath.Join(dir, "restoring")
	if err := os.Mkdir(half, 0o711); err != nil {
		t.Fatal(err)
	}
	if code, out, _ = doctor(t, dir, ""); code != 1 || !strings.Contains(out, "FAIL  a restore into this data folder did not come to its end  -> run it again") {
		t.Errorf("a restore that was cut off: status %d\n%s", code, out)
	}
	if err := os.Remove(half); err != nil {
		t.Fatal(err)
	}
	code, out, _ = doctor(t, dir, "postgres://nobody@/none?host="+base)
	if code != 1 || !strings.Contains(out, "FAIL  the database does not answer") {
		t.Errorf("a database that is not there: status %d\n%s", code, out)
	}
}

func TestRoomOnTheDisk(t *testing.T) {
	for bytes, want := range map[uint64]store.Level{
		100 << 20: store.Fault, 200<<20 - 1: store.Fault, 200 << 20: store.Warning, 1<<30 - 1: store.Warning, 1 << 30: store.Good,
	} {
		if got := roomLeft("/data", bytes); got.Level != want || (got.Do == "") != (want == store.Good) {
			t.Errorf("%d MiB: %+v", bytes>>20, got)
		}
	}
}

func TestDoctorSaysWhatIsWrongWithTheBaseMap(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text.pmtiles")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no map "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    baseFlags
		want string
		is   store.Level
	}{
		{baseFlags{}, "no base map is configured", store.Good},
		{baseFlags{Kind: "pmtiles", Path: filepath.Join(dir, "gone")}, "no such file", store.Fault},
		{baseFlags{Kind: "pmtiles", Path: text}, "not a PMTiles file", store.Fault},
		{baseFlags{Kind: "folder", Path: filepath.Join(dir, "empty")}, "has no tiles", store.Fault},
		{baseFlags{Kind: "tianditu"}, "needs a key", store.Fault},
		{baseFlags{Kind: "xyz", URL: "https://tiles.example/{z}/{x}/{y}"}, "审图号", store.Warning},
	} {
		got := examineBase(c.f)
		if len(got) != 1 || got[0].Level != c.is || !strings.Contains(got[0].What, c.want) {
			t.Errorf("%+v: %+v", c.f, got)
		}
	}
}

// A cache larger than any disk is a large one, and not the usual one.
func TestALargeCacheOfABaseMapIsNoSmallOne(t *testing.T) {
	for _, mib := range []int64{1 << 30, 1 << 44, math.MaxInt64} {
		if got := (baseFlags{CacheMiB: mib}).settings().CacheBytes; got < 1<<50 {
			t.Errorf("%d MiB are %d bytes", mib, got)
		}
	}
}
