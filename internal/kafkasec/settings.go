// Package kafkasec makes a Kafka client speak TLS and SASL, and says what went wrong where that fails.
//
// It takes plain settings, so that the harness and the gateway can both use it without knowing each other, starts no
// goroutine and keeps nothing. No error of it, and no error or log line that a client gets through it, holds a secret,
// the content of a file, or what a broker answers to a refused password.
package kafkasec

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Settings is how a cluster is reached. The zero value is plain text without authentication.
type Settings struct {
	TLS  *TLS  // nil: plain text
	SASL *SASL // nil: no authentication, or that of the client's certificate
	// DialTimeout bounds a connection's making, the TLS handshake included; 0 is 10 s.
	DialTimeout time.Duration
}

// TLS says whom to trust and, with CertFile and KeyFile, what to show. All files are PEM.
type TLS struct {
	CAFile     string // empty: the system's
	CertFile   string
	KeyFile    string
	ServerName string // what the brokers' certificates must be made out to; empty: the host that is dialled
}

// SASL is who the client is.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	Username  string
	Password  Password
	// PasswordFrom says in errors where the password was found: "environment variable X", "file /run/secrets/x".
	PasswordFrom string

	// Of OAUTHBEARER: where the token is, one of the three, without the others above for the first two. An environment
	// variable and a file are read at each authentication. TokenURL gives tokens for Username and Password, as client id
	// and secret, by OAuth's client-credentials grant, with Scope where there is one; one is kept for 80% of its life.
	TokenEnv, TokenFile, TokenURL, Scope string
}

// Password is a secret that prints as a placeholder, whatever prints it.
type Password string

const hidden = "[hidden]"

// Format implements fmt.Formatter for every verb.
func (Password) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText hides the password from JSON, YAML and logs.
func (Password) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const defaultDialTimeout = 10 * time.Second

// Options checks the settings and returns the options of a client that follows them. Everything that is wrong is told at
// once. The files are read now and not again: a client outlives their change.
func (s Settings) Options() ([]kgo.Opt, error) {
	if s.TLS == nil && s.SASL == nil {
		return nil, nil
	}
	var errs []error
	dialer := &net.Dialer{Timeout: s.DialTimeout}
	if dialer.Timeout <= 0 {
		dialer.Timeout = defaultDialTimeout
	}
	dial := dialer.DialContext
	if s.TLS != nil {
		config, err := s.TLS.config(time.Now())
		errs = append(errs, err)
		dial = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext // its timeout bounds the handshake, too
	}
	var opts []kgo.Opt
	if s.SASL != nil {
		mechanism, err := s.SASL.mechanism()
		errs = append(errs, err)
		opts = append(opts, kgo.SASL(mechanism))
		dial = discreet(dial)
	}
	return append(opts, kgo.Dialer(dial)), errors.Join(errs...)
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// String names what is in use, without a secret: "TLS with a client certificate, SASL SCRAM-SHA-512".
func (s Settings) String() string {
	var parts []string
	if s.TLS != nil {
		text := "TLS"
		if s.TLS.CertFile != "" {
			text += " with a client certificate"
		}
		parts = append(parts, text)
	}
	if s.SASL != nil {
		parts = append(parts, "SASL "+s.SASL.Mechanism)
	}
	if len(parts) == 0 {
		return "plain text"
	}
	return strings.Join(parts, ", ")
}
