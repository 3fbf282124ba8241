package gateway

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// secureListener encrypts what is accepted where TLS is set, and shows the certificate that the files hold at the time
// of a handshake. HTTP/2 is not offered: a WebSocket begins with HTTP/1.1 (RFC 6455, section 4.1).
func secureListener(l net.Listener, cfg *settings.TLS, failures *atomic.Int64, log *slog.Logger) (net.Listener, error) {
	if cfg == nil {
		return l, nil
	}
	pair := &reloaded[*tls.Certificate]{
		what: "certificate", paths: []string{cfg.CertFile, cfg.KeyFile}, log: log, failures: failures,
		load: func() (*tls.Certificate, error) { return loadPair(cfg) },
	}
	if err := pair.start(time.Now()); err != nil {
		return nil, atSetting("tls.cert_file, tls.key_file", err)
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(time.Now()), nil },
	}), nil
}

func loadPair(cfg *settings.TLS) (*tls.Certificate, error) {
	cert, err := readSetting(cfg.CertFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	key, err := readSetting(cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate's key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", cfg.CertFile, cfg.KeyFile, err)
	}
	return &pair, nil
}

// rawConn is the connection under TLS, or conn itself.
func rawConn(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}
