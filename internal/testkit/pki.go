package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// PKI is a CA for tests, with its files in a directory of the test.
type PKI struct {
	CAFile string
	Pool   *x509.CertPool

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Identity is a certificate with its key, in PEM files.
type Identity struct {
	CertFile, KeyFile string
	// KeystoreFile holds both, as Kafka's PEM key stores do.
	KeystoreFile string
	Pair         tls.Certificate
}

// NewPKI makes a CA of that name.
func NewPKI(t testing.TB, name string) *PKI {
	t.Helper()
	p := &PKI{t: t, dir: t.TempDir(), Pool: x509.NewCertPool()}
	template := certificate(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	p.key = p.newKey()
	p.cert = p.sign(template, template, p.key, p.key)
	p.Pool.AddCert(p.cert)
	p.CAFile = p.write(name+".pem", certPEM(p.cert))
	return p
}

// Issue makes a certificate for localhost and 127.0.0.1, after edit has changed what it says.
func (p *PKI) Issue(name string, edit ...func(*x509.Certificate)) Identity {
	p.t.Helper()
	template := certificate(name)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.DNSNames, template.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, e := range edit {
		e(template)
	}
	key := p.newKey()
	cert := p.sign(template, p.cert, key, p.key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	p.check(err)
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return Identity{
		CertFile:     p.write(name+".cert.pem", certPEM(cert)),
		KeyFile:      p.write(name+".key.pem", keyPEM),
		KeystoreFile: p.write(name+".keystore.pem", append(keyPEM, certPEM(cert)...)),
		Pair:         tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key},
	}
}

// Expired is an edit for Issue.
func Expired(at time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at.Add(-time.Hour), at }
}

func certificate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // never fails (crypto/rand)
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func (p *PKI) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.check(err)
	return key
}

func (p *PKI) sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	p.check(err)
	cert, err := x509.ParseCertificate(der)
	p.check(err)
	return cert
}

func (p *PKI) write(name string, data []byte) string {
	file := filepath.Join(p.dir, name)
	p.check(os.WriteFile(file, data, 0o600))
	return file
}

func (p *PKI) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("make certificates for the test: %v", err)
	}
}

func certPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
