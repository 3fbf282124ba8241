package kafkasec

import (
	"crypto/tls"
	"time"
)

// Config checks the settings and returns them as those of a TLS client, 1.2 and up, for what is not a Kafka client. The
// files are read now and not again; everything that is wrong is told at once.
func (t TLS) Config() (*tls.Config, error) { return t.config(time.Now()) }
