package kafkasec

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
)

// mechanism returns the client's side of the authentication.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == OAuthBearer {
		return bearerMechanism{s.token()}, s.checkToken()
	}
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
		errs = append(errs, fmt.Errorf("SASL mechanism %q is unknown (%s, %s, %s or %s)",
			s.Mechanism, Plain, ScramSHA256, ScramSHA512, OAuthBearer))
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

// errToken is what a broker's challenge comes to that answers a token instead of nothing: its refusal (RFC 7628, section
// 3.2.2), whose text may hold anything.
var errToken = fmt.Errorf("the broker refused the OAUTHBEARER token: %w", kerr.SaslAuthenticationFailed)

// bearerMechanism asks for a token at each authentication, those again within a connection included.
type bearerMechanism struct{ token tokenFunc }

// Name implements sasl.Mechanism.
func (bearerMechanism) Name() string { return OAuthBearer }

// Authenticate implements sasl.Mechanism.
func (b bearerMechanism) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	token, err := b.token(ctx)
	if err != nil {
		return nil, nil, err
	}
	_, first, err := oauth.Auth{Token: token}.AsMechanism().Authenticate(ctx, host)
	return bearerSession{}, first, err
}

type bearerSession struct{}

// Challenge implements sasl.Session.
func (bearerSession) Challenge(challenge []byte) (done bool, answer []byte, err error) {
	if len(challenge) > 0 {
		return false, nil, errToken
	}
	return true, nil, nil
}
