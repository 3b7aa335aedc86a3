// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tlsca_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/internal/tlsca"
)

const days = 24 * time.Hour

func made(t *testing.T, dir string, hosts ...string) tlsca.Made {
	t.Helper()
	m, err := tlsca.Init(dir, hosts, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// listen serves handshakes with c until t ends.
func listen(t *testing.T, c *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when the listener closes
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

func load(t *testing.T, dir string) *tls.Config {
	t.Helper()
	c, err := tlsca.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dial makes a handshake as a device that trusts the CA files given, and returns
// the server's certificate.
func dial(t *testing.T, addr, host string, trusts ...string) (*x509.Certificate, error) {
	t.Helper()
	pool := x509.NewCertPool()
	for _, path := range trusts {
		text, err := os.ReadFile(path)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			t.Fatalf("%s: %v", path, err)
		}
	}
	d := &net.Dialer{Timeout: 5 * time.Second}
	conn, err := tls.DialWithDialer(d, "tcp", addr, &tls.Config{RootCAs: pool, ServerName: host})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

func TestOnlyWhoTrustsTheCAConnectsAndOnlyByAHostOfTheCertificate(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "tls"), t.TempDir()
	m := made(t, dir, "onemap.county", "10.1.2.3")
	if !m.NewCA || m.CA != tlsca.CACert(dir) {
		t.Errorf("made %+v", m)
	}
	addr := listen(t, load(t, dir))
	for _, host := range []string{"onemap.county", "10.1.2.3", "localhost", "127.0.0.1", "::1"} {
		if _, err := dial(t, addr, host, m.CA); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	var wrongName x509.HostnameError
	if _, err := dial(t, addr, "elsewhere.county", m.CA); !errors.As(err, &wrongName) {
		t.Errorf("a host that is not in it: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := dial(t, addr, "localhost"); !errors.As(err, &unknown) {
		t.Errorf("a device without the CA: %v", err)
	}
	if _, err := dial(t, addr, "localhost", made(t, other, "a").CA); !errors.As(err, &unknown) {
		t.Errorf("a device with another CA: %v", err)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", addr, old); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func TestLifetimesAndModes(t *testing.T) {
	dir := t.TempDir()
	m := made(t, dir, "a")
	for name, want := range map[string]fs.FileMode{"ca.key": 0o600, "server.key": 0o600, "ca.crt": 0o644, "server.crt": 0o644} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	leaf, err := dial(t, listen(t, load(t, dir)), "a", m.CA)
	if err != nil {
		t.Fatal(err)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 398*days || life < 397*days {
		t.Errorf("the server's certificate is good for %s", life)
	}
	late, err := tlsca.Init(dir, nil, time.Now().Add(3600*days))
	if err != nil || late.Until.After(time.Now().Add(3654*days)) {
		t.Errorf("a certificate may not outlive its CA: %v, %v", late.Until, err)
	}
	if _, err := tlsca.Init(dir, nil, time.Now().Add(3700*days)); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("after the CA's end: %v", err)
	}
}

func TestARenewedCertificateIsTakenUpWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	m := made(t, dir, "onemap.county", "10.1.2.3")
	addr := listen(t, load(t, dir))
	first, err := dial(t, addr, "10.1.2.3", m.CA)
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := tlsca.Renew(dir, time.Now().Add((397-30)*days-time.Hour)); renewed || err != nil {
		t.Errorf("with 30 days left: %v, %v", renewed, err)
	}
	if renewed, err := tlsca.Renew(dir, time.Now().Add((397-30)*days+time.Hour)); !renewed || err != nil {
		t.Errorf("with less than 30 days left: %v, %v", renewed, err)
	}
	// The new one begins far ahead, so the device needs a later clock too.
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	second := conn.ConnectionState().PeerCertificates[0]
	_ = conn.Close()
	if second.SerialNumber.Cmp(first.SerialNumber) == 0 || !slices.Equal(first.DNSNames, second.DNSNames) || len(second.IPAddresses) != len(first.IPAddresses) {
		t.Errorf("served %v %v, was %v %v", second.DNSNames, second.IPAddresses, first.DNSNames, first.IPAddresses)
	}
	again := made(t, dir, "second.county")
	if again.NewCA {
		t.Error("a second run made another CA")
	}
	if _, err := dial(t, addr, "second.county", m.CA); err != nil {
		t.Errorf("the device that trusts the CA of the first run: %v", err)
	}
	if again = made(t, dir); !slices.Contains(again.Hosts, "second.county") || slices.Contains(again.Hosts, "10.1.2.3") {
		t.Errorf("without hosts: %v", again.Hosts)
	}
}

func TestWithoutTheCAKeyRenewSaysSoOnlyWhenItIsNeeded(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, "a")
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if renewed, err := tlsca.Renew(dir, time.Now()); renewed || err != nil {
		t.Errorf("fresh: %v, %v", renewed, err)
	}
	if _, err := tlsca.Renew(dir, time.Now().Add(390*days)); !errors.Is(err, tlsca.ErrNoCAKey) {
		t.Errorf("ending: %v", err)
	}
	if _, err := tlsca.Init(dir, []string{"a"}, time.Now()); !errors.Is(err, tlsca.ErrNoCAKey) {
		t.Errorf("a second CA over the first: %v", err)
	}
	load(t, dir)
}

func TestWhatIsDamagedOrOpenIsNamed(t *testing.T) {
	spoil := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	mode := func(name string, m fs.FileMode) func(string) error {
		return func(dir string) error { return os.Chmod(filepath.Join(dir, name), m) }
	}
	const empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
	for name, c := range map[string]struct {
		spoil      func(dir string) error
		load, init string // what the error says; "" for none
	}{
		"server.crt garbage": {spoil("server.crt", "junk"), "server.crt", ""},
		"server.crt empty":   {spoil("server.crt", empty), "server.crt", ""},
		"server.key garbage": {spoil("server.key", "junk"), "remove it and run onemap tls init", "server.key: the file is damaged: put it back from a copy, or remove it"},
		"server.key a folder": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "server.key")), os.Mkdir(filepath.Join(dir, "server.key"), 0o700))
		}, "server.key: the file is damaged", "server.key: the file is damaged"},
		"server.key missing": {func(dir string) error { return os.Remove(filepath.Join(dir, "server.key")) }, "run onemap tls init", ""},
		"server.key open":    {mode("server.key", 0o644), "chmod 600", ""},
		"ca.crt garbage":     {spoil("ca.crt", "junk"), "", "ca.crt: the file is damaged: put it back from its copy, or remove ca.crt and ca.key"},
		"ca.key garbage":     {spoil("ca.key", "junk"), "", "ca.key: the file is damaged: put it back from its copy, or remove ca.crt and ca.key"},
		"ca.key open":        {mode("ca.key", 0o640), "", ""},
		"server.crt missing": {func(dir string) error { return os.Remove(filepath.Join(dir, "server.crt")) }, "server.crt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			made(t, dir, "a")
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			if !tlsca.Exists(dir) {
				t.Error("half a pair counts as none")
			}
			_, err := tlsca.Load(dir)
			wantSaid(t, "Load", err, c.load)
			_, err = tlsca.Init(dir, []string{"a"}, time.Now())
			wantSaid(t, "Init", err, c.init)
			if c.init == "" {
				load(t, dir)
			}
			if st, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("ca.key: %v, %v", st.Mode(), err)
			}
		})
	}
}

func TestAKeyThatCannotBeReadIsNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, "a")
	key := filepath.Join(dir, "server.key")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o644, 0o400} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		renewed, err := tlsca.Renew(dir, time.Now().Add(390*days))
		if want := mode != 0o644; renewed != want || (err == nil) != want {
			t.Errorf("mode %04o: renewed %v, %v", mode, renewed, err)
		}
		made(t, dir, "a")
		st, err := os.Stat(key)
		if err != nil || st.Mode().Perm() != mode&^0o027 {
			t.Errorf("mode %04o: Init leaves %v, %v", mode, st.Mode(), err)
		}
		if after, err := os.ReadFile(key); err != nil || !slices.Equal(before, after) {
			t.Errorf("mode %04o: the key was replaced, %v", mode, err)
		}
	}
	if err := os.WriteFile(key, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if renewed, err := tlsca.Renew(dir, time.Now().Add(390*days)); renewed || err == nil {
		t.Errorf("a damaged key: %v, %v", renewed, err)
	}
	if after, err := os.ReadFile(key); err != nil || string(after) != "junk" {
		t.Errorf("a damaged key was replaced: %q, %v", after, err)
	}
}

func TestACertificateIsNotRenewedToTheSameEnd(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, "a")
	at := func(n time.Duration) time.Time { return time.Now().Add(n * days) }
	if renewed, err := tlsca.Renew(dir, at(3600)); !renewed || err != nil {
		t.Fatalf("53 days before the CA's end: %v, %v", renewed, err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := tlsca.Renew(dir, at(3640)); renewed || err == nil || !strings.Contains(err.Error(), tlsca.CACert(dir)) || !strings.Contains(err.Error(), tlsca.NewCA) {
		t.Errorf("13 days before it: %v, %v", renewed, err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "server.crt")); err != nil || !slices.Equal(before, after) {
		t.Errorf("the certificate was replaced, %v", err)
	}
	server, ca, err := tlsca.Lives(dir)
	if err != nil || !server.Until.Equal(ca.Until) {
		t.Errorf("Lives = %v, %v, %v", server, ca, err)
	}
	if m, err := tlsca.Init(dir, []string{"b"}, at(3640)); err != nil || !m.Last {
		t.Errorf("another host all the same: %+v, %v", m, err)
	}
	for _, name := range []string{"ca.crt", "ca.key"} { // what the error says
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := tlsca.Init(dir, nil, at(3640)); err != nil || !m.NewCA || m.Last || m.Hosts[0] != "b" {
		t.Errorf("a new CA: %+v, %v", m, err)
	}
}

func TestAPairFromElsewhereIsNotSentToTLSInit(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, "a")
	if err := os.WriteFile(filepath.Join(dir, "server.crt"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := tlsca.LoadFiles(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err == nil || strings.Contains(err.Error(), "tls init") || !strings.Contains(err.Error(), "server.crt") {
		t.Errorf("LoadFiles = %v", err)
	}
}

func wantSaid(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s = %v, want %q", what, err, want)
	}
}

func TestACAKeyOpenToOthersSignsNothing(t *testing.T) {
	dir := t.TempDir()
	made(t, dir, "a")
	if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if renewed, err := tlsca.Renew(dir, time.Now().Add(390*days)); renewed || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Renew = %v, %v", renewed, err)
	}
}

func TestAPairThatDoesNotFitLeavesTheOneBeforeServing(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	m := made(t, dir, "a")
	made(t, other, "a")
	addr := listen(t, load(t, dir))
	copyOver := func(name string) {
		text, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyOver("server.crt")
	if _, err := dial(t, addr, "a", m.CA); err != nil {
		t.Errorf("between the two files: %v", err)
	}
	copyOver("server.key")
	if _, err := dial(t, addr, "a", tlsca.CACert(other)); err != nil {
		t.Errorf("after both: %v", err)
	}
}

func TestHostsThatCannotBeAreRefusedBeforeAnythingIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	for _, h := range []string{"https://a", "a:8443", "a b", "", "大屏.cn", "-a", "a/b", strings.Repeat("a", 64)} {
		if _, err := tlsca.Init(dir, []string{h}, time.Now()); err == nil || !strings.Contains(err.Error(), "host") {
			t.Errorf("%q: %v", h, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	if _, err := tlsca.Init(dir, nil, time.Now()); err == nil || !strings.Contains(err.Error(), "--host") {
		t.Errorf("no host at the first run: %v", err)
	}
	if tlsca.Exists(dir) {
		t.Error("something was made")
	}
}
