package kafkasec

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Cause says what an error of a client with these settings most likely comes from and what mends it, in the words of a
// scenario (kafka.tls, kafka.sasl); "" where the error has nothing to do with how the cluster is secured.
func (s Settings) Cause(err error) string {
	for _, cause := range []func(error) string{s.saslCause, s.certificateCause, s.alertCause, s.mismatchCause} {
		if text := cause(err); text != "" {
			return text
		}
	}
	return ""
}

// saslCause is about who the client says it is.
func (s Settings) saslCause(err error) string {
	var who SASL
	if s.SASL != nil {
		who = *s.SASL
	}
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed) && s.SASL == nil:
		return "the listener wants SASL: set kafka.sasl"
	case errors.Is(err, kerr.SaslAuthenticationFailed) && who.Mechanism == OAuthBearer:
		return fmt.Sprintf("the cluster refused the token from %s: is it expired, signed by a key that the cluster does not know, "+
			"or of another issuer, audience or scope?", who.tokenFrom())
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, errHungUp):
		return fmt.Sprintf("the cluster refused user %q by %s, with the password from %s: mend the password, or create the user there for this mechanism",
			who.Username, who.Mechanism, who.PasswordFrom)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Sprintf("the listener does not take %s: mend kafka.sasl.mechanism, or the listener's sasl.enabled.mechanisms", who.Mechanism)
	case errors.Is(err, kerr.IllegalSaslState):
		return "the listener takes no SASL: drop kafka.sasl, or use the cluster's SASL listener"
	case errors.Is(err, errChallenge):
		return "don't trust that address: mend kafka.seeds"
	}
	return ""
}

// certificateCause is about the broker's certificate, which the client has refused.
func (s Settings) certificateCause(err error) string {
	if s.TLS == nil {
		return ""
	}
	trusted := "the system's CAs"
	if s.TLS.CAFile != "" {
		trusted = "the CA " + s.TLS.CAFile
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf("the broker's certificate is not vouched for by %s: name the file of the CA that signed it as kafka.tls.ca", trusted)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the broker's certificate is made out to another name: use that name in kafka.seeds and the cluster's advertised.listeners, " +
			"or set kafka.tls.server_name to it"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		return fmt.Sprintf("the broker's certificate, or its CA's, is valid from %s to %s: renew it, or set this machine's clock",
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the broker's certificate does not stand up to a check: mend it, or name the CA that signed it as kafka.tls.ca"
	}
	return ""
}

// alertCause is about what the broker said in TLS's own words. Go has no type for such an alert.
func (s Settings) alertCause(err error) string {
	text := err.Error()
	if s.TLS == nil || !strings.Contains(text, "remote error: tls: ") {
		return ""
	}
	switch {
	case strings.Contains(text, "protocol version"):
		return "the broker speaks no TLS that is safe: weir takes 1.2 and 1.3; mend the broker's ssl.enabled.protocols"
	case s.TLS.CertFile == "":
		return "the listener wants a client certificate: set kafka.tls.cert and kafka.tls.key"
	}
	return fmt.Sprintf("the broker refused the client certificate %s: is it signed by a CA that the broker trusts, and meant for clients?", s.TLS.CertFile)
}

// mismatchCause is about two sides of which one speaks TLS or SASL and the other does not.
func (s Settings) mismatchCause(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "what answers there does not speak TLS: drop kafka.tls, or use the cluster's TLS listener"
	}
	if s.TLS == nil && strings.Contains(err.Error(), "tls alert") {
		return "the listener speaks TLS: set kafka.tls"
	}
	if !closed(err) {
		if s.TLS != nil && timedOut(err) {
			return "it takes connections but doesn't answer, or a firewall drops them: is that a Kafka listener with TLS? If it has none, drop kafka.tls"
		}
		return ""
	}
	switch {
	case s.TLS == nil && s.SASL == nil:
		return "something closes the connection: is it a Kafka listener without TLS and SASL? If it has them, set kafka.tls or kafka.sasl"
	case s.TLS == nil:
		return "something closes the connection: is it a Kafka listener without TLS? If it has TLS, set kafka.tls"
	case s.SASL == nil:
		return "something closes the connection: is it a Kafka listener with TLS? If it has none, drop kafka.tls; if it wants SASL, set kafka.sasl"
	}
	return "something closes the connection: is it a Kafka listener with TLS? If it has none, drop kafka.tls"
}

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
