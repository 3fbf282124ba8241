package testbed

import (
	"fmt"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
)

// SecuritySettings reads the password of a plan's security and returns what a client is made from; nil is plain text
// without authentication. The error names the variable or the file.
func SecuritySettings(plan *scenarios.KafkaSecurity) (kafkasec.Settings, error) {
	var s kafkasec.Settings
	if plan == nil {
		return s, nil
	}
	if t := plan.TLS; t != nil {
		s.TLS = &kafkasec.TLS{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName}
	}
	if a := plan.SASL; a != nil {
		s.SASL = &kafkasec.SASL{Mechanism: a.Mechanism, Username: a.Username, TokenURL: a.TokenURL, Scope: a.Scope}
		if a.Token != nil { // which is read when it is asked for
			s.SASL.TokenEnv, s.SASL.TokenFile = a.Token.Env, a.Token.File
			return s, nil
		}
		password, err := a.Password.Read()
		if err != nil {
			return s, fmt.Errorf("find the password of the Kafka user %q: %w", a.Username, err)
		}
		s.SASL.Password, s.SASL.PasswordFrom = kafkasec.Password(password), passwordFrom(a.Password)
	}
	return s, nil
}

func passwordFrom(secret scenarios.Secret) string {
	if secret.Env != "" {
		return "the environment variable " + secret.Env
	}
	return "the file " + secret.File
}
