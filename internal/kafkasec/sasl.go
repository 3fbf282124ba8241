package kafkasec

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// mechanism returns the client's side of the authentication.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	var errs []error
	if s.Username == "" {
		errs = append(errs, errors.New("SASL has no username"))
	}
	if s.Password == "" {
		errs = append(errs, errors.New("SASL has no password"))
	}
	if strings.ContainsRune(s.Username, 0) || strings.ContainsRune(string(s.Password), 0) {
		errs = append(errs, errors.New("the SASL username or password holds a NUL character, which no mechanism can carry"))
	}
	var m sasl.Mechanism
	switch s.Mechanism {
	case Plain:
		m = plain.Auth{User: s.Username, Pass: string(s.Password)}.AsMechanism()
	case ScramSHA256:
		m = scram.Auth{User: s.Username, Pass: string(s.Password)}.AsSha256Mechanism()
	case ScramSHA512:
		m = scram.Auth{User: s.Username, Pass: string(s.Password)}.AsSha512Mechanism()
	default:
		errs = append(errs, fmt.Errorf("SASL mechanism %q is unknown (%s, %s or %s)", s.Mechanism, Plain, ScramSHA256, ScramSHA512))
	}
	return quietMechanism{m}, errors.Join(errs...)
}

// errChallenge is what a broker's challenge that can't be answered comes to.
var errChallenge = errors.New("the broker's side of the SASL exchange is wrong: it is no Kafka broker, or does not know this user's password itself")

// quietMechanism drops the text of errors about the exchange: they quote what was exchanged, and signatures made from
// the password.
type quietMechanism struct{ sasl.Mechanism }

func (q quietMechanism) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := q.Mechanism.Authenticate(ctx, host)
	if err != nil {
		return nil, nil, err // about its own settings alone
	}
	return quietSession{session}, first, nil
}

type quietSession struct{ sasl.Session }

func (q quietSession) Challenge(challenge []byte) (bool, []byte, error) {
	done, answer, err := q.Session.Challenge(challenge)
	if err != nil {
		return false, nil, errChallenge
	}
	return done, answer, nil
}
