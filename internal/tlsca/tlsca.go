// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package tlsca makes a local certificate authority and the server's certificate,
// so that a hall without internet has HTTPS, and hands them to the server. Phones
// need HTTPS even on an intranet. The folder (tls in the data folder) holds:
//
//	ca.crt      what phones and PCs take in, once
//	ca.key      signs server certificates; mode 0600, never leaves the machine
//	server.crt  renewed under the same CA; nobody has to take in anything again
//	server.key  stays the same when the certificate is renewed, so that a renewal
//	            replaces one file, whole or not at all
package tlsca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// How long certificates are good for. Phones refuse a server's that is good for
// more than 398 days.
const (
	caDays     = 3653
	serverDays = 397
	renewDays  = 30 // Renew acts when fewer are left
	day        = 24 * time.Hour
	clockSlack = time.Hour // a client's clock may be behind ours
)

// ErrNoCAKey means that the CA's key is not there, so that nothing can be signed.
var ErrNoCAKey = errors.New("the key of the local CA is not there")

// NewCA says how to come to another CA.
const NewCA = "remove ca.crt and ca.key and run onemap tls init: every device has to take in the new ca.crt"

// openToOthers are the bits that the mode of the server's key must not have: a
// proxy of its group may read it. openToGroup are those of the CA's key.
const (
	openToOthers fs.FileMode = 0o027
	openToGroup  fs.FileMode = 0o077
)

// Made says what a folder holds after Init.
type Made struct {
	CA    string    // path of ca.crt
	NewCA bool      // made now: every device has to take it in
	Hosts []string  // the names and addresses the certificate is for
	Until time.Time // the end of the server's certificate
	Last  bool      // its CA ends as soon: there will be no other under it
}

// CACert is the path of the CA's certificate in a folder.
func CACert(dir string) string { return filepath.Join(dir, "ca.crt") }

func caKey(dir string) string      { return filepath.Join(dir, "ca.key") }
func serverCert(dir string) string { return filepath.Join(dir, "server.crt") }
func serverKey(dir string) string  { return filepath.Join(dir, "server.key") }

// Init makes what the folder lacks and a new server certificate for hosts (names
// or IP addresses), always for this machine's own too. Without hosts it takes
// those of the certificate before. Keys with too wide a mode are closed.
func Init(dir string, hosts []string, now time.Time) (Made, error) {
	if err := checkHosts(hosts); err != nil {
		return Made{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Made{}, fmt.Errorf("tls folder: %w", err)
	}
	if err := errors.Join(closeMode(caKey(dir), openToGroup), closeMode(serverKey(dir), openToOthers)); err != nil {
		return Made{}, fmt.Errorf("close the mode of a key: %w", err)
	}
	if len(hosts) == 0 {
		before, err := readCert(serverCert(dir))
		if err != nil {
			return Made{}, fmt.Errorf("say with --host by which names and addresses browsers reach this server (%w)", err)
		}
		hosts = hostsOf(before)
	}
	a, isNew, err := openOrMakeCA(dir, now)
	if err != nil {
		return Made{}, err
	}
	until, err := a.issue(dir, withOwn(hosts), now)
	if err != nil {
		return Made{}, err
	}
	return Made{CA: CACert(dir), NewCA: isNew, Hosts: withOwn(hosts), Until: until, Last: until.Equal(a.cert.NotAfter)}, nil
}

// closeMode takes the open bits from the mode of a key, if it is there.
func closeMode(path string, open fs.FileMode) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || st.Mode().Perm()&open == 0 {
		return err
	}
	return os.Chmod(path, st.Mode().Perm()&^open)
}

// Renew makes a new server certificate for the same hosts when fewer than 30 days
// are left of the old one; a running server takes it up by itself (see Load).
// Without the CA's key the error is ErrNoCAKey, then and only then. When the CA
// ends as soon, a new certificate would be no better and it is an error.
func Renew(dir string, now time.Time) (renewed bool, err error) {
	cert, err := readCert(serverCert(dir))
	if err != nil {
		return false, err
	}
	if cert.NotAfter.Sub(now) >= renewDays*day {
		return false, nil
	}
	a, err := openCA(dir)
	if err != nil {
		return false, fmt.Errorf("the server's certificate ends %s: %w", cert.NotAfter.Format(time.DateOnly), err)
	}
	if !a.cert.NotAfter.After(cert.NotAfter) {
		return false, fmt.Errorf("the server's certificate and the local CA %s end %s: %s", CACert(dir), cert.NotAfter.Format(time.DateOnly), NewCA)
	}
	_, err = a.issue(dir, hostsOf(cert), now)
	return err == nil, err
}

// authority is a CA whose key is at hand.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openOrMakeCA never makes a second CA over a half of the first: every device
// would have to take it in.
func openOrMakeCA(dir string, now time.Time) (a *authority, isNew bool, err error) {
	_, errCert := os.Lstat(CACert(dir))
	_, errKey := os.Lstat(caKey(dir))
	// A key without a certificate is a first run that was cut off: nobody knows it.
	if !errors.Is(errCert, fs.ErrNotExist) {
		a, err = openCA(dir)
		return a, false, err
	}
	var key *ecdsa.PrivateKey
	if errors.Is(errKey, fs.ErrNotExist) {
		key, err = makeKey(caKey(dir))
	} else if key, err = readKey(caKey(dir), openToGroup); errors.Is(err, errDamaged) {
		err = fmt.Errorf("%w: there is no ca.crt of it; remove it and run onemap tls init", err)
	}
	if err != nil {
		return nil, false, err
	}
	a, err = makeCA(dir, key, now)
	return a, true, err
}

func openCA(dir string) (*authority, error) {
	cert, err := readCert(CACert(dir))
	if err != nil {
		return nil, instead(err)
	}
	key, err := readKey(caKey(dir), openToGroup)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: put %s back from its copy, or %s", ErrNoCAKey, caKey(dir), NewCA)
	}
	if err != nil {
		return nil, instead(err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) || !cert.IsCA {
		return nil, fmt.Errorf("%s does not belong to %s: put the right one back from its copy, or %s", caKey(dir), CACert(dir), NewCA)
	}
	return &authority{cert, key}, nil
}

// instead says what to do about a damaged file of the CA.
func instead(err error) error {
	if errors.Is(err, errDamaged) {
		return fmt.Errorf("%w: put it back from its copy, or %s", err, NewCA)
	}
	return err
}

func makeCA(dir string, key *ecdsa.PrivateKey, now time.Time) (*authority, error) {
	name, _ := os.Hostname() // without one the name is only shorter
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"OneMap"}, CommonName: "OneMap local CA " + name + " " + now.Format(time.DateOnly)},
		NotBefore: now.Add(-clockSlack), NotAfter: now.Add(caDays * day),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(template, template, key, key)
	if err != nil {
		return nil, err
	}
	if err := writeCert(CACert(dir), der); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

// issue writes a server certificate for hosts, and makes the server's key when
// there is none: one that cannot be read may still be in use.
func (a *authority) issue(dir string, hosts []string, now time.Time) (until time.Time, err error) {
	until = now.Add(serverDays * day)
	if until.After(a.cert.NotAfter) {
		until = a.cert.NotAfter
	}
	if !now.Before(until) {
		return until, fmt.Errorf("the local CA %s ended %s: %s", CACert(dir), until.Format(time.DateOnly), NewCA)
	}
	key, err := readKey(serverKey(dir), openToOthers)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(serverKey(dir))
	}
	if errors.Is(err, errDamaged) {
		return until, fmt.Errorf("%w: put it back from a copy, or remove it and run onemap tls init", err)
	}
	if err != nil {
		return until, err
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"OneMap"}, CommonName: hosts[0]},
		NotBefore: now.Add(-clockSlack), NotAfter: until, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := sign(template, a.cert, key, a.key)
	if err != nil {
		return until, err
	}
	return until, writeCert(serverCert(dir), der)
}

func sign(template, parent *x509.Certificate, of, by *ecdsa.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, &of.PublicKey, by)
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return key, writeKey(path, key)
}

// own are the names of this machine to itself.
var own = []string{"localhost", "127.0.0.1", "::1"}

// withOwn is hosts, then our own, each once.
func withOwn(hosts []string) []string {
	var out []string
	for _, h := range slices.Concat(hosts, own) {
		if !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func hostsOf(cert *x509.Certificate) []string {
	hosts := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	// The first was the name of the certificate.
	if i := slices.Index(hosts, cert.Subject.CommonName); i > 0 {
		hosts = slices.Concat(hosts[i:i+1], hosts[:i], hosts[i+1:])
	}
	return withOwn(hosts)
}

var hostName = regexp.MustCompile(`^(\*\.)?([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

func checkHosts(hosts []string) error {
	for _, h := range hosts {
		if net.ParseIP(h) == nil && (!hostName.MatchString(h) || len(h) > 253) {
			return fmt.Errorf("host %q: give a name or an IP address alone, without https:// and port; a Chinese domain in its xn-- form", h)
		}
	}
	return nil
}
