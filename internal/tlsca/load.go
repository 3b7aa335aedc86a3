// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tlsca

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// Exists reports whether the folder holds a server certificate or its key, so
// that a damaged pair is an error and never quietly plain HTTP.
func Exists(dir string) bool {
	for _, path := range []string{serverCert(dir), serverKey(dir)} {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}

// Life is from when to when a certificate is good.
type Life struct{ From, Until time.Time }

// Lives reads the server's certificate and the CA's; ca is nil when the folder has
// none.
func Lives(dir string) (server Life, ca *Life, err error) {
	c, err := readCert(serverCert(dir))
	if err != nil {
		return server, nil, err
	}
	server = Life{c.NotBefore, c.NotAfter}
	c, err = readCert(CACert(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return server, nil, nil
	}
	if err != nil {
		return server, nil, err
	}
	return server, &Life{c.NotBefore, c.NotAfter}, nil
}

// Load is LoadFiles for the pair that Init made in dir.
func Load(dir string) (*tls.Config, error) {
	c, err := LoadFiles(serverCert(dir), serverKey(dir))
	if errors.Is(err, errNoPair) && !errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; put the file back from a copy, or remove it and run onemap tls init", err)
	}
	return c, err
}

// errNoPair is what a server cannot serve with.
var errNoPair = errors.New("no certificate and its key")

// LoadFiles makes a server's configuration from a certificate (with its chain) and
// its key, TLS 1.2 or newer. Changed files are taken up at the next handshake
// without a restart; while they make no pair the one before serves on. A key that
// anybody but its owner and group may read is refused.
func LoadFiles(cert, key string) (*tls.Config, error) {
	p := &pair{cert: cert, key: key}
	if err := p.read(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil },
	}, nil
}

// pair is a certificate and its key as they lie on the disk.
type pair struct {
	cert, key string

	mu   sync.Mutex // guards the rest
	seen [2]stamp   // of the files when they were last looked at
	now  *tls.Certificate
}

// stamp tells whether a file changed.
type stamp struct {
	file uint64 // its inode: another after a rename
	at   time.Time
	size int64
}

// current is the newest good pair.
func (p *pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stamps() != p.seen {
		_ = p.read() // the pair before serves on; a later change is tried again
	}
	return p.now
}

func (p *pair) stamps() (s [2]stamp) {
	for i, path := range []string{p.cert, p.key} {
		if st, err := os.Stat(path); err == nil {
			s[i] = stamp{at: st.ModTime(), size: st.Size()}
			if sys, ok := st.Sys().(*syscall.Stat_t); ok {
				s[i].file = sys.Ino
			}
		}
	}
	return s
}

// read takes the stamps first: what changes while it reads is read again.
func (p *pair) read() error {
	p.seen = p.stamps()
	err := checkMode(p.key, openToOthers)
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	var got tls.Certificate
	if err == nil {
		got, err = tls.LoadX509KeyPair(p.cert, p.key)
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w: %w", p.cert, p.key, errNoPair, err)
	}
	p.now = &got
	return nil
}
