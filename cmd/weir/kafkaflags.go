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
}

func (k *kafkaFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&k.useTLS, "kafka-tls", false, "speak TLS to Kafka; the flags kafka-tls-… imply it")
	f.StringVar(&k.tls.CAFile, "kafka-tls-ca", "", "PEM file of the CAs that vouch for the brokers (default the system's)")
	f.StringVar(&k.tls.CertFile, "kafka-tls-cert", "", "PEM file of the client certificate")
	f.StringVar(&k.tls.KeyFile, "kafka-tls-key", "", "PEM file of the client certificate's key")
	f.StringVar(&k.tls.ServerName, "kafka-tls-server-name", "", "name in the brokers' certificates (default the host that is dialled)")
	f.StringVar(&k.sasl.Mechanism, "kafka-sasl-mechanism", "", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	f.StringVar(&k.sasl.Username, "kafka-sasl-username", "", "Kafka user")
	f.StringVar(&k.sasl.Password.Env, "kafka-sasl-password-env", "", "environment variable that holds the Kafka user's password")
	f.StringVar(&k.sasl.Password.File, "kafka-sasl-password-file", "", "file that holds the Kafka user's password")
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
	if k.sasl.Username == "" {
		errs = append(errs, errors.New("--kafka-sasl-username is missing"))
	}
	if (k.sasl.Password.Env == "") == (k.sasl.Password.File == "") {
		errs = append(errs, errors.New("the Kafka password's place is missing or doubled: give one of --kafka-sasl-password-env and --kafka-sasl-password-file"))
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
