package kafkasec

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxPEMBytes bounds a file of certificates; a system's bundle of CAs has a few hundred kilobytes.
const maxPEMBytes = 4 << 20

// config reads the files. The standard library's errors about what is in them are replaced, since some quote it.
func (t *TLS) config(now time.Time) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	var errs []error
	if t.CAFile != "" {
		pool, err := readCAs(t.CAFile, now)
		errs = append(errs, err)
		config.RootCAs = pool
	}
	switch {
	case t.CertFile != "" && t.KeyFile != "":
		pair, err := readPair(t.CertFile, t.KeyFile, now)
		errs = append(errs, err)
		config.Certificates = []tls.Certificate{pair}
	case t.CertFile != "":
		errs = append(errs, fmt.Errorf("the client certificate %s has no key (name its key file, too)", t.CertFile))
	case t.KeyFile != "":
		errs = append(errs, fmt.Errorf("the client key %s has no certificate (name its certificate file, too)", t.KeyFile))
	}
	return config, errors.Join(errs...)
}

// readCAs returns the certificates that are trusted. At least one must be valid now.
func readCAs(file string, now time.Time) (*x509.CertPool, error) {
	certs, err := readCertificates("CA", file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	var stale error
	valid := 0
	for _, cert := range certs {
		pool.AddCert(cert)
		if err := checkDates("CA", file, cert, now); err != nil {
			stale = err
			continue
		}
		valid++
	}
	if valid == 0 {
		return nil, stale
	}
	return pool, nil
}

// readPair returns the client's certificate with its key.
func readPair(certFile, keyFile string, now time.Time) (tls.Certificate, error) {
	certs, err := readCertificates("client certificate", certFile)
	key, keyErr := readKey(keyFile)
	if err := errors.Join(err, keyErr); err != nil {
		return tls.Certificate{}, err
	}
	var chain []byte
	for _, cert := range certs {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(key))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the key %s does not fit the first certificate of %s "+
			"(give the key that the certificate was made for, and the client's own certificate before its CA's)", keyFile, certFile)
	}
	return pair, checkDates("client certificate", certFile, certs[0], now)
}

func readCertificates(what, file string) ([]*x509.Certificate, error) {
	data, err := readPEM(what, file)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the %s %s: certificate %d in it can't be parsed (is the file whole?)", what, file, len(certs)+1)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("read the %s %s: it holds no PEM certificate (it must have a block -----BEGIN CERTIFICATE-----; "+
			"convert a Java keystore with keytool -exportcert -rfc)", what, file)
	}
	return certs, nil
}

func readKey(file string) (*pem.Block, error) {
	data, err := readPEM("client key", file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, fmt.Errorf("read the client key %s: it is locked by a passphrase (write it without one: openssl pkey -in FILE -out NEW)", file)
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return block, nil
		}
	}
	return nil, fmt.Errorf("read the client key %s: it holds no PEM private key (it must have a block -----BEGIN PRIVATE KEY-----)", file)
}

func readPEM(what, file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read the %s: %s is not a file", what, file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEMBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the %s: %w", what, err)
	}
	if len(data) > maxPEMBytes {
		return nil, fmt.Errorf("read the %s: %s has more than %d bytes and is no file of certificates", what, file, maxPEMBytes)
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

func checkDates(what, file string, cert *x509.Certificate, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("the %s %s expired at %s (renew it)", what, file, cert.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("the %s %s is valid only from %s on (is this machine's clock right?)", what, file, cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return nil
}
