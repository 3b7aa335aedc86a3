// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"

	"onemap/internal/tlsca"
)

// certificate is how the main listener proves who it is: by the files named, else
// by what tls init made in the data folder. Without either it is nil: plain HTTP.
func (s *Server) certificate() (*tls.Config, error) {
	switch {
	case (s.o.TLSCert == "") != (s.o.TLSKey == ""):
		return nil, errors.New("a certificate needs its key: give both --tls-cert and --tls-key")
	case s.o.TLSCert != "":
		return tlsca.LoadFiles(s.o.TLSCert, s.o.TLSKey)
	}
	dir := filepath.Join(s.o.Data, "tls")
	if !tlsca.Exists(dir) {
		return nil, nil
	}
	if err := s.renew(); err != nil {
		s.o.Log.Warn("starting with the certificate there is", "err", err)
	}
	return tlsca.Load(dir)
}

// renew makes a new certificate before the data folder's own one ends; whoever
// connects next is shown it.
func (s *Server) renew() error {
	dir := filepath.Join(s.o.Data, "tls")
	if s.o.TLSCert != "" || !tlsca.Exists(dir) {
		return nil
	}
	renewed, err := tlsca.Renew(dir, s.o.Now())
	if renewed {
		s.o.Log.Info("the certificate was renewed")
	}
	return err
}

// itself is how a client in this process recognises this server: by the very
// certificate it serves, whatever name stands in it. Nil without TLS.
func (s *Server) itself() *tls.Config {
	if s.secure == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the certificate itself is compared instead
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			own, err := s.secure.GetCertificate(&tls.ClientHelloInfo{})
			if err != nil {
				return err
			}
			if len(raw) == 0 || len(own.Certificate) == 0 || !bytes.Equal(raw[0], own.Certificate[0]) {
				return errors.New("another server answers at our address")
			}
			return nil
		},
	}
}
