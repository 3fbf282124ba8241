package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// securedBroker is one broker of Apache Kafka with a listener for each way of getting in.
type securedBroker struct {
	ca               *testkit.PKI
	client, stranger testkit.Identity
	// The listeners' addresses.
	plain, tls, mutual, sasl string
}

// startBroker starts it from the distribution that WEIR_KAFKA_DIR names.
func startBroker(t *testing.T) *securedBroker {
	t.Helper()
	kafka := os.Getenv("WEIR_KAFKA_DIR")
	if kafka == "" {
		t.Skip("WEIR_KAFKA_DIR is not set: the tests on a secured broker are skipped (set it to an Apache Kafka distribution)")
	}
	b := &securedBroker{ca: testkit.NewPKI(t, "ca")}
	b.client, b.stranger = b.ca.Issue("client"), testkit.NewPKI(t, "other-ca").Issue("stranger")
	dir := t.TempDir()
	config := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(config, []byte(b.properties(t, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	script := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(kafka, "bin", name), args...)
		cmd.Env = append(os.Environ(), "KAFKA_HEAP_OPTS=-Xms256m -Xmx256m")
		return cmd
	}
	const clusterID = "d2VpcndlaXJ3ZWlyd2Vpcg"
	format := script("kafka-storage.sh", "format", "-t", clusterID, "-c", config,
		"--add-scram", "SCRAM-SHA-256=[name="+kafkaUser+",password="+canary+"]",
		"--add-scram", "SCRAM-SHA-512=[name="+kafkaUser+",password="+canary+"]")
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("format the broker's storage: %v\n%s", err, out)
	}
	b.run(t, script("kafka-server-start.sh", config))
	return b
}

// run starts the broker and returns when it says that it has started.
func (b *securedBroker) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var log syncBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails only where it has ended
		<-ended
		if t.Failed() {
			lines := strings.Split(log.String(), "\n")
			t.Logf("the broker's last lines:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	testkit.Eventually(t, "the broker has started", func() bool {
		select {
		case <-ended:
			t.Fatal("the broker ended before it had started")
		default:
		}
		return strings.Contains(log.String(), "Kafka Server started")
	})
}

// properties chooses the addresses and writes the broker's configuration.
func (b *securedBroker) properties(t *testing.T, dir string) string {
	t.Helper()
	controller := freeAddress(t)
	b.plain, b.tls, b.mutual, b.sasl = freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	listeners := fmt.Sprintf("PLAIN://%s,TLS://%s,MUTUAL://%s,SASL://%s", b.plain, b.tls, b.mutual, b.sasl)
	scram := "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	return strings.Join([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"log.dirs=" + filepath.Join(dir, "logs"),
		"listeners=" + listeners + ",CONTROLLER://" + controller,
		"advertised.listeners=" + listeners,
		"listener.security.protocol.map=PLAIN:PLAINTEXT,TLS:SSL,MUTUAL:SSL,SASL:SASL_SSL,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=PLAIN",
		"controller.listener.names=CONTROLLER",
		"controller.quorum.voters=1@" + controller,
		"offsets.topic.replication.factor=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + b.ca.Issue("broker").KeystoreFile,
		"ssl.truststore.type=PEM",
		"ssl.truststore.location=" + b.ca.CAFile,
		"listener.name.mutual.ssl.client.auth=required",
		"listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required " +
			"user_" + kafkaUser + `="` + canary + `";`,
		"listener.name.sasl.scram-sha-256.sasl.jaas.config=" + scram,
		"listener.name.sasl.scram-sha-512.sasl.jaas.config=" + scram,
		"listener.name.sasl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required " +
			`unsecuredLoginStringClaim_sub="broker";`,
		// It takes a token without a signature, of whom it says it is and until when.
		"listener.name.sasl.oauthbearer.sasl.server.callback.handler.class=" +
			"org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler",
		"",
	}, "\n")
}

// freeAddress finds a port on loopback below the ephemeral range, where a client's connection can't take it meanwhile.
func freeAddress(t *testing.T) string {
	t.Helper()
	const lowest, ephemeral = 20000, 32768
	for range 50 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(ephemeral-lowest)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("found no free port")
	return ""
}

// TestRealExternalSecured goes through each listener of a real broker with the whole program.
func TestRealExternalSecured(t *testing.T) {
	b := startBroker(t)
	trust := &scenarios.TLS{CAFile: b.ca.CAFile}
	shown := &scenarios.TLS{CAFile: b.ca.CAFile, CertFile: b.client.CertFile, KeyFile: b.client.KeyFile}
	fromEnv, fromFile := scenarios.Secret{Env: passwordEnv}, scenarios.Secret{File: secretFile(t, canary)}
	runs := []struct {
		name, seed string
		security   scenarios.KafkaSecurity
	}{
		{"TLS", b.tls, scenarios.KafkaSecurity{TLS: trust}},
		{"mTLS", b.mutual, scenarios.KafkaSecurity{TLS: shown}},
		{"PLAIN", b.sasl, scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLPlain, fromEnv)}},
		{"SCRAM-SHA-256", b.sasl, scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLScramSHA256, fromFile)}},
		{"SCRAM-SHA-512", b.sasl, scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLScramSHA512, fromEnv)}},
	}
	for _, tt := range runs {
		t.Run(tt.name, func(t *testing.T) {
			w := startSecured(t, []string{tt.seed}, &tt.security, passwordEnv+"="+canary)
			w.carried()
			w.keepsSecret(canary, "")
		})
	}
	b.refusals(t, trust)
	b.tokens(t, trust)
}

// unsignedToken is a JWT without a signature that is good until an instant.
func unsignedToken(until time.Time) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":"weir","iat":%d,"exp":%d}`, time.Now().Add(-time.Hour).Unix(), until.Unix())) + "."
}

// tokens shows a real broker tokens that it takes and that it does not, from a file and from a server.
func (b *securedBroker) tokens(t *testing.T, trust *scenarios.TLS) {
	good, stale := unsignedToken(time.Now().Add(time.Hour)), unsignedToken(time.Now().Add(-time.Minute))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("client_secret") != canary || r.PostFormValue("scope") != "kafka" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": good, "token_type": "Bearer", "expires_in": 3600})
	}))
	t.Cleanup(server.Close)
	file := func(text string) *scenarios.Secret { return &scenarios.Secret{File: secretFile(t, text)} }
	byURL := func(secret string) scenarios.SASL {
		return scenarios.SASL{Username: "weir", Password: *file(secret), TokenURL: server.URL, Scope: "kafka"}
	}
	tests := []struct {
		name, want string // of the error, or empty
		sasl       scenarios.SASL
	}{
		{"file", "", scenarios.SASL{Token: file(good)}},
		{"token URL", "", byURL(canary)},
		{"stale", "the cluster refused the token", scenarios.SASL{Token: file(stale)}},
		{"no token", "the cluster refused the token", scenarios.SASL{Token: file("not.a.token")}},
		{"secret refused", "answers 401", byURL("canary-wrong")},
	}
	for _, tt := range tests {
		t.Run("OAUTHBEARER, "+tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a hang fails the test
			defer cancel()
			tt.sasl.Mechanism = scenarios.SASLOAuthBearer
			kafka, err := testbed.StartKafka(ctx, scenarios.KafkaPlan{
				Provider: scenarios.ProviderExternal, Seeds: []string{b.sasl}, Security: &scenarios.KafkaSecurity{TLS: trust, SASL: &tt.sasl},
			}, testbed.Options{})
			if err == nil {
				err = kafka.Stop(ctx)
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), stale)) {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

// refusals requires that what a real broker does with who comes in by the wrong door gets its cause named.
func (b *securedBroker) refusals(t *testing.T, trust *scenarios.TLS) {
	wrong := scenarios.Secret{File: secretFile(t, "canary-wrong")}
	unknown := sasl(scenarios.SASLScramSHA256, wrong)
	unknown.Username = "nobody"
	strange := &scenarios.TLS{CAFile: b.ca.CAFile, CertFile: b.stranger.CertFile, KeyFile: b.stranger.KeyFile}
	tests := []struct {
		name, seed string
		security   *scenarios.KafkaSecurity
		want       []string
	}{
		{"plain text to TLS", b.tls, nil, []string{"set kafka.tls"}},
		{"plain text to SASL", b.sasl, nil, []string{"set kafka.tls"}},
		{"TLS to plain text", b.plain, &scenarios.KafkaSecurity{TLS: trust}, []string{"drop kafka.tls"}},
		{"CA not known", b.tls, &scenarios.KafkaSecurity{TLS: &scenarios.TLS{}}, []string{"the system's CAs", "kafka.tls.ca"}},
		{"no client certificate", b.mutual, &scenarios.KafkaSecurity{TLS: trust}, []string{"wants a client certificate", "kafka.tls.cert"}},
		{"stranger's certificate", b.mutual, &scenarios.KafkaSecurity{TLS: strange}, []string{"refused the client certificate", b.stranger.CertFile}},
		{"no SASL", b.sasl, &scenarios.KafkaSecurity{TLS: trust}, []string{"set kafka.sasl"}},
		{"SASL to TLS", b.tls, &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLPlain, wrong)}, []string{"takes no SASL", "drop kafka.sasl"}},
		{"PLAIN, wrong password", b.sasl, &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLPlain, wrong)}, []string{"SASL_AUTHENTICATION_FAILED", `user "weir" by PLAIN`, wrong.File}},
		{"SCRAM-SHA-256, wrong password", b.sasl, &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLScramSHA256, wrong)}, []string{"SASL_AUTHENTICATION_FAILED", "by SCRAM-SHA-256", wrong.File}},
		{"SCRAM-SHA-512, wrong password", b.sasl, &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLScramSHA512, wrong)}, []string{"SASL_AUTHENTICATION_FAILED", "by SCRAM-SHA-512", wrong.File}},
		{"no such user", b.sasl, &scenarios.KafkaSecurity{TLS: trust, SASL: unknown}, []string{"SASL_AUTHENTICATION_FAILED", `user "nobody"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a hang fails the test
			defer cancel()
			_, err := testbed.StartKafka(ctx, scenarios.KafkaPlan{
				Provider: scenarios.ProviderExternal, Seeds: []string{tt.seed}, Security: tt.security,
			}, testbed.Options{})
			if err == nil || ctx.Err() != nil {
				t.Fatalf("got %v; want an error at once", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q; want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}
