package loadgen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// overTLS tells a target that is reached over TLS.
func overTLS(target string) bool { return strings.HasPrefix(strings.ToLower(target), "wss:") }

// ReceiveStampsFor says what a read time is in a run against the target: what the kernel had is not yet a message's bytes
// where they are encrypted, so that their time is when the program had decrypted them.
func ReceiveStampsFor(target string) string {
	if overTLS(target) {
		return "program"
	}
	return ReceiveStamps
}

// tlsConfig is how a target is trusted; nil trusts the system's authorities. The certificate is verified always.
func tlsConfig(from *scenarios.TLS) (*tls.Config, error) {
	if from == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}, nil
	}
	config, err := kafkasec.TLS(*from).Config()
	if err != nil {
		return nil, fmt.Errorf("gateway.profile.tls: %w", err)
	}
	return config, nil
}

// encrypt makes the TLS handshake with what answered at addr.
func (d *dialer) encrypt(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	config := d.tls.Clone()
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		config.ServerName = host
	}
	encrypted := tls.Client(conn, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, tlsError(err, config.ServerName, len(config.Certificates) > 0)
	}
	return encrypted, nil
}

// tlsError says what a failed handshake most likely means and what mends it.
func tlsError(err error, name string, certified bool) error {
	var mend string
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case unknown:
		mend = "name the file of the CA that signed the target's certificate: gateway.profile.tls.ca"
	case otherName:
		mend = fmt.Sprintf("the certificate is not made out to %s: dial the name that it is made out to, or set gateway.profile.tls.server_name to it", name)
	case invalid:
		mend = "mend the target's certificate, or this machine's clock"
	case plain:
		mend = "what answers there does not speak TLS: plain text wants ws://"
	case strings.Contains(err.Error(), "remote error: tls:") && !certified:
		mend = "does the target want a client's certificate? Set gateway.profile.tls.cert and key"
	case strings.Contains(err.Error(), "remote error: tls:"):
		mend = "is the client's certificate signed by a CA that the target trusts, and does the target speak TLS 1.2 or 1.3?"
	default:
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return fmt.Errorf("TLS handshake: %w (%s)", err, mend)
}
