package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// kafkaFlags is how the gateway reaches a secured cluster. There is no flag for a password: the command line of a process
// can be read by every user of its machine.
type kafkaFlags struct {
	useTLS bool
	tls    scenarios.TLS
	sasl   scenarios.SASL
	token  scenarios.Secret
}

func (k *kafkaFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&k.useTLS, "kafka-tls", false, "speak TLS to Kafka; the flags kafka-tls-… imply it")
	f.StringVar(&k.tls.CAFile, "kafka-tls-ca", "", "PEM file of the CAs that vouch for the brokers (default the system's)")
	f.StringVar(&k.tls.CertFile, "kafka-tls-cert", "", "PEM file of the client certificate")
	f.StringVar(&k.tls.KeyFile, "kafka-tls-key", "", "PEM file of the client certificate's key")
	f.StringVar(&k.tls.ServerName, "kafka-tls-server-name", "", "name in the brokers' certificates (default the host that is dialled)")
	f.StringVar(&k.sasl.Mechanism, "kafka-sasl-mechanism", "", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER")
	f.StringVar(&k.sasl.Username, "kafka-sasl-username", "", "Kafka user")
	f.StringVar(&k.sasl.Password.Env, "kafka-sasl-password-env", "", "environment variable that holds the Kafka user's password")
	f.StringVar(&k.sasl.Password.File, "kafka-sasl-password-file", "", "file that holds the Kafka user's password")
	f.StringVar(&k.token.Env, "kafka-sasl-token-env", "", "environment variable that holds an OAUTHBEARER token")
	f.StringVar(&k.token.File, "kafka-sasl-token-file", "", "file that holds an OAUTHBEARER token, read at each authentication")
	f.StringVar(&k.sasl.TokenURL, "kafka-sasl-token-url", "", "URL of OAUTHBEARER tokens for the Kafka user as client id and its password as secret")
	f.StringVar(&k.sasl.Scope, "kafka-sasl-scope", "", "scope that OAUTHBEARER tokens are asked for with")
}

// settings reads the password. What the flags say of TLS or of SASL takes the place of what the file says of it; the file may be
// nil.
func (k *kafkaFlags) settings(file *scenarios.KafkaSecurity) (kafkasec.Settings, error) {
	var plan scenarios.KafkaSecurity
	if file != nil {
		plan = *file
	}
	if k.useTLS || k.tls != (scenarios.TLS{}) {
		plan.TLS = &k.tls
	}
	if k.token != (scenarios.Secret{}) {
		k.sasl.Token = &k.token
	}
	if k.sasl != (scenarios.SASL{}) {
		if err := k.checkSASL(); err != nil {
			return kafkasec.Settings{}, err
		}
		plan.SASL = &k.sasl
	}
	return testbed.SecuritySettings(&plan)
}

func (k *kafkaFlags) checkSASL() error {
	var errs []error
	if k.sasl.Mechanism == "" {
		errs = append(errs, errors.New("--kafka-sasl-mechanism is missing"))
	}
	if k.sasl.Mechanism == scenarios.SASLOAuthBearer && k.sasl.TokenURL == "" {
		return errors.Join(append(errs, k.checkToken())...)
	}
	if k.sasl.Token != nil || k.sasl.TokenURL != "" && k.sasl.Mechanism != scenarios.SASLOAuthBearer {
		errs = append(errs, errors.New("--kafka-sasl-token-env, -file and -url are for OAUTHBEARER, of which one is given"))
	}
	if k.sasl.Username == "" {
		errs = append(errs, errors.New("--kafka-sasl-username is missing"))
	}
	if (k.sasl.Password.Env == "") == (k.sasl.Password.File == "") {
		errs = append(errs, errors.New("the Kafka password's place is missing or doubled: give one of --kafka-sasl-password-env and --kafka-sasl-password-file"))
	}
	return errors.Join(errs...)
}

// checkToken is about a token that is not got by a URL.
func (k *kafkaFlags) checkToken() error {
	var errs []error
	if (k.token.Env == "") == (k.token.File == "") {
		errs = append(errs, errors.New("the OAUTHBEARER token's place is missing or doubled: "+
			"give one of --kafka-sasl-token-env, --kafka-sasl-token-file and --kafka-sasl-token-url"))
	}
	if k.sasl.Username != "" || k.sasl.Password != (scenarios.Secret{}) {
		errs = append(errs, errors.New("--kafka-sasl-username and the password are for --kafka-sasl-token-url: a token says itself who it is of"))
	}
	return errors.Join(errs...)
}

// explain adds to a gateway's error what it comes from, where the cluster does not let it in.
func explain(err error, secured kafkasec.Settings) error {
	if errors.Is(err, kerr.SaslAuthenticationFailed) {
		return fmt.Errorf("%w (%s)", err, secured.Cause(err))
	}
	return err
}
