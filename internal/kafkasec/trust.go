package kafkasec

import (
	"crypto/tls"
	"time"
)

// TrustCAs returns how to dial by TLS what is not a broker, trusting the CAs of a PEM file alone.
func TrustCAs(file string) (*tls.Config, error) {
	return (&TLS{CAFile: file}).config(time.Now())
}
