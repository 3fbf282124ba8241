package kafkasec_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/internal/testkit"
)

const (
	user     = "weir"
	password = "canary-9f1c,=\"é"
)

// cluster starts a fake Kafka of one broker.
func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// saslCluster knows the user by each mechanism.
func saslCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	opts = append(opts, kfake.EnableSASL())
	for _, m := range []string{kafkasec.Plain, kafkasec.ScramSHA256, kafkasec.ScramSHA512} {
		opts = append(opts, kfake.Superuser(m, user, password))
	}
	return cluster(t, opts...)
}

func login(mechanism string) *kafkasec.SASL {
	return &kafkasec.SASL{Mechanism: mechanism, Username: user, Password: password, PasswordFrom: "the environment variable PW"}
}

// serve is a broker's TLS.
func serve(id testkit.Identity) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{id.Pair}, MinVersion: tls.VersionTLS12}
}

// mutual is a broker's TLS that wants a client certificate of the CA.
func mutual(id testkit.Identity, ca *testkit.PKI) *tls.Config {
	c := serve(id)
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool
	return c
}

// ask makes a client and asks the cluster one question. log takes what the client logs, down to its debugging lines.
func ask(t *testing.T, s kafkasec.Settings, seeds []string, log *bytes.Buffer) error {
	t.Helper()
	s.DialTimeout = time.Second // a fake broker without TLS waits for the rest of what it takes for a size
	opts, err := s.Options()
	if err != nil {
		t.Fatalf("options of %v: %v", s, err)
	}
	if log == nil {
		log = &bytes.Buffer{}
	}
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(seeds...), kgo.RequestRetries(1),
		kgo.WithLogger(kgo.BasicLogger(log, kgo.LogLevelDebug, nil)),
		kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a hang fails the test
	defer cancel()
	_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if ctx.Err() != nil {
		t.Fatalf("no answer and no error within 30 s: %v", err)
	}
	return err
}

func TestConnect(t *testing.T) {
	pki := testkit.NewPKI(t, "ca")
	broker, client := pki.Issue("broker"), pki.Issue("client")
	elsewhere := pki.Issue("elsewhere", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"kafka.example"}, nil })
	trust := kafkasec.TLS{CAFile: pki.CAFile}
	shown, named := trust, trust
	shown.CertFile, shown.KeyFile = client.CertFile, client.KeyFile
	named.ServerName = "kafka.example"
	tests := []struct {
		name     string
		settings kafkasec.Settings
		cluster  *kfake.Cluster
		want     string // as the settings print
	}{
		{"plain text", kafkasec.Settings{}, cluster(t), "plain text"},
		{"TLS", kafkasec.Settings{TLS: &trust}, cluster(t, kfake.TLS(serve(broker))), "TLS"},
		{"server name", kafkasec.Settings{TLS: &named}, cluster(t, kfake.TLS(serve(elsewhere))), "TLS"},
		{"mTLS", kafkasec.Settings{TLS: &shown}, cluster(t, kfake.TLS(mutual(broker, pki))), "TLS with a client certificate"},
		{"PLAIN without TLS", kafkasec.Settings{SASL: login("PLAIN")}, saslCluster(t), "SASL PLAIN"},
		{"PLAIN", kafkasec.Settings{TLS: &trust, SASL: login("PLAIN")}, saslCluster(t, kfake.TLS(serve(broker))), "TLS, SASL PLAIN"},
		{"SCRAM-SHA-256", kafkasec.Settings{TLS: &trust, SASL: login("SCRAM-SHA-256")}, saslCluster(t, kfake.TLS(serve(broker))), "TLS, SASL SCRAM-SHA-256"},
		{"SCRAM-SHA-512", kafkasec.Settings{TLS: &shown, SASL: login("SCRAM-SHA-512")}, saslCluster(t, kfake.TLS(mutual(broker, pki))), "TLS with a client certificate, SASL SCRAM-SHA-512"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			if err := ask(t, tt.settings, tt.cluster.ListenAddrs(), &log); err != nil {
				t.Errorf("got %v; want an answer", err)
			}
			if got := tt.settings.String(); got != tt.want {
				t.Errorf("String: got %q; want %q", got, tt.want)
			}
			wantNoCanary(t, "the client's log", log.String())
		})
	}
}

// TestCause breaks what two sides have to agree on, one thing at a time.
func TestCause(t *testing.T) {
	pki, other := testkit.NewPKI(t, "ca"), testkit.NewPKI(t, "other-ca")
	broker, client, stranger := pki.Issue("broker"), pki.Issue("client"), other.Issue("stranger")
	expiredAt := time.Now().Add(-time.Minute)
	old := pki.Issue("old", testkit.Expired(expiredAt))
	elsewhere := pki.Issue("elsewhere", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"kafka.example"}, nil })
	trust := &kafkasec.TLS{CAFile: pki.CAFile}
	ancient := serve(broker)
	ancient.MinVersion, ancient.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	wrong := login("PLAIN")
	wrong.Password = "another"

	refusing := saslCluster(t)
	refuse(refusing, "SaslAuthenticate", kerr.SaslAuthenticationFailed)
	picky := saslCluster(t)
	refuse(picky, "SaslHandshake", kerr.UnsupportedSaslMechanism)
	without := cluster(t)
	refuse(without, "SaslHandshake", kerr.IllegalSaslState)

	tests := []struct {
		name     string
		settings kafkasec.Settings
		cluster  *kfake.Cluster
		want     []string
	}{
		{"CA of somebody else", kafkasec.Settings{TLS: &kafkasec.TLS{CAFile: other.CAFile}}, cluster(t, kfake.TLS(serve(broker))), []string{other.CAFile, "kafka.tls.ca"}},
		{"no CA named", kafkasec.Settings{TLS: &kafkasec.TLS{}}, cluster(t, kfake.TLS(serve(broker))), []string{"the system's CAs", "kafka.tls.ca"}},
		{"other host", kafkasec.Settings{TLS: trust}, cluster(t, kfake.TLS(serve(elsewhere))), []string{"another name", "kafka.tls.server_name"}},
		{"broker's certificate expired", kafkasec.Settings{TLS: trust}, cluster(t, kfake.TLS(serve(old))), []string{expiredAt.UTC().Format(time.RFC3339), "renew"}},
		{"no client certificate", kafkasec.Settings{TLS: trust}, cluster(t, kfake.TLS(mutual(broker, pki))), []string{"wants a client certificate", "kafka.tls.cert"}},
		{
			"client certificate of a stranger",
			kafkasec.Settings{TLS: &kafkasec.TLS{CAFile: pki.CAFile, CertFile: stranger.CertFile, KeyFile: stranger.KeyFile}},
			cluster(t, kfake.TLS(mutual(broker, pki))), []string{"refused the client certificate", stranger.CertFile},
		},
		{"old TLS", kafkasec.Settings{TLS: trust}, cluster(t, kfake.TLS(ancient)), []string{"1.2 and 1.3", "ssl.enabled.protocols"}},
		{"TLS to plain text", kafkasec.Settings{TLS: trust}, cluster(t), []string{"kafka.tls", "listener with TLS"}},
		{"plain text to TLS", kafkasec.Settings{}, cluster(t, kfake.TLS(serve(broker))), []string{"set kafka.tls"}},
		{"SASL and plain text to TLS", kafkasec.Settings{SASL: login("PLAIN")}, saslCluster(t, kfake.TLS(serve(broker))), []string{"set kafka.tls"}},
		{"no SASL", kafkasec.Settings{}, saslCluster(t), []string{"kafka.sasl"}},
		{"TLS and no SASL", kafkasec.Settings{TLS: trust}, saslCluster(t, kfake.TLS(serve(broker))), []string{"kafka.sasl"}},
		{"client certificate and no SASL", kafkasec.Settings{TLS: &kafkasec.TLS{CAFile: pki.CAFile, CertFile: client.CertFile, KeyFile: client.KeyFile}}, saslCluster(t, kfake.TLS(serve(broker))), []string{"kafka.sasl"}},
		{"hung up on the password", kafkasec.Settings{SASL: wrong}, saslCluster(t), []string{`user "weir" by PLAIN`, "the environment variable PW"}},
		{"password refused", kafkasec.Settings{SASL: login("SCRAM-SHA-256")}, refusing, []string{`user "weir" by SCRAM-SHA-256`, "the environment variable PW"}},
		{"mechanism not offered", kafkasec.Settings{SASL: login("SCRAM-SHA-512")}, picky, []string{"SCRAM-SHA-512", "kafka.sasl.mechanism"}},
		{"SASL not offered", kafkasec.Settings{SASL: login("PLAIN")}, without, []string{"takes no SASL", "drop kafka.sasl"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			err := ask(t, tt.settings, tt.cluster.ListenAddrs(), &log)
			if err == nil {
				t.Fatal("got an answer; want an error")
			}
			cause := tt.settings.Cause(err)
			for _, want := range tt.want {
				if !strings.Contains(cause, want) {
					t.Errorf("cause of %q: got %q; want %q in it", err, cause, want)
				}
			}
			wantNoCanary(t, "the error", err.Error()+cause)
			wantNoCanary(t, "the client's log", log.String())
		})
	}
	if got := (kafkasec.Settings{TLS: trust, SASL: wrong}).Cause(kerr.UnknownTopicOrPartition); got != "" {
		t.Errorf("cause of a missing topic: got %q; want none", got)
	}
}

// refuse makes a cluster answer each request of a kind with an error, and quote the password in its words where the answer
// has any, as a careless login module does.
func refuse(c *kfake.Cluster, kind string, with *kerr.Error) {
	key := map[string]int16{"SaslHandshake": 17, "SaslAuthenticate": 36}[kind]
	c.ControlKey(key, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		switch resp := req.ResponseKind().(type) {
		case *kmsg.SASLHandshakeResponse:
			resp.ErrorCode = with.Code
			return resp, nil, true
		case *kmsg.SASLAuthenticateResponse:
			resp.ErrorCode = with.Code
			resp.ErrorMessage = kmsg.StringPtr("no user " + user + " with password " + password)
			return resp, nil, true
		}
		return nil, nil, false
	})
}

// forms are the ways in which the password may stand in a text.
func forms() []string {
	quoted, _ := json.Marshal(password) // a string always encodes
	return []string{password, "9f1c", base64.StdEncoding.EncodeToString([]byte(password)), string(quoted), fmt.Sprintf("%x", password)}
}

func wantNoCanary(t *testing.T, where, text string) {
	t.Helper()
	for _, form := range forms() {
		if strings.Contains(text, form) {
			t.Errorf("%s holds the password as %s: %s", where, form, text)
		}
	}
}

// TestBrokerQuotesPassword shows that a broker's own words reach the client's log and errors unless they are taken out.
func TestBrokerQuotesPassword(t *testing.T) {
	c := saslCluster(t)
	refuse(c, "SaslAuthenticate", kerr.SaslAuthenticationFailed)
	settings := kafkasec.Settings{SASL: login("PLAIN")}
	opts, err := settings.Options()
	if err != nil {
		t.Fatal(err)
	}
	// The same client on bare connections.
	opts = append(opts, kgo.Dialer(nil))
	var log bytes.Buffer
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...), kgo.WithLogger(kgo.BasicLogger(&log, kgo.LogLevelDebug, nil)))...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), client)
	client.Close()
	if err == nil || !strings.Contains(err.Error(), password) || !strings.Contains(log.String(), password) {
		t.Errorf("on a bare connection: got error %v, log %q; want the password in both, or this test shows nothing", err, log.String())
	}
	log.Reset()
	err = ask(t, settings, c.ListenAddrs(), &log)
	if err == nil || !strings.Contains(err.Error(), "SASL_AUTHENTICATION_FAILED") {
		t.Errorf("got %v; want the refusal's code", err)
	}
	wantNoCanary(t, "the error", fmt.Sprint(err))
	wantNoCanary(t, "the client's log", log.String())
}

// TestScramImpostor lets a broker that does not know the password end the exchange: the client's error must not show the
// signature that it expected, which the password can be guessed from.
func TestScramImpostor(t *testing.T) {
	c := saslCluster(t)
	c.ControlKey(36, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		auth := req.(*kmsg.SASLAuthenticateRequest)
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		if _, nonce, first := strings.Cut(string(auth.SASLAuthBytes), ",r="); first && strings.HasPrefix(string(auth.SASLAuthBytes), "n,") {
			resp.SASLAuthBytes = []byte("r=" + nonce + "x,s=c2FsdA==,i=4096")
		} else {
			resp.SASLAuthBytes = []byte("v=aW1wb3N0b3I=")
		}
		return resp, nil, true
	})
	var log bytes.Buffer
	settings := kafkasec.Settings{SASL: login("SCRAM-SHA-256")}
	err := ask(t, settings, c.ListenAddrs(), &log)
	if err == nil || !strings.Contains(err.Error(), "broker's side of the SASL exchange is wrong") {
		t.Fatalf("got %v; want the broker's side blamed", err)
	}
	if all := err.Error() + log.String(); strings.Contains(all, "signature") || strings.Contains(all, "aW1wb3N0b3I=") {
		t.Errorf("the exchange is quoted: %s", all)
	}
	if got := settings.Cause(err); !strings.Contains(got, "don't trust") {
		t.Errorf("cause: got %q; want a warning of that address", got)
	}
}

// TestBadFiles requires that each error names the file and the mend and quotes nothing of what is in it.
func TestBadFiles(t *testing.T) {
	pki, other := testkit.NewPKI(t, "ca"), testkit.NewPKI(t, "other-ca")
	client, stranger := pki.Issue("client"), other.Issue("stranger")
	at := time.Now().Add(-time.Minute)
	old := pki.Issue("old", testkit.Expired(at))
	future := pki.Issue("future", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := file("secret", password+"\n")
	garbled := file("garbled", "-----BEGIN CERTIFICATE-----\nY2FuYXJ5LTlmMWM=\n-----END CERTIFICATE-----\n")
	locked := file("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nY2FuYXJ5LTlmMWM=\n-----END ENCRYPTED PRIVATE KEY-----\n")
	big := file("big", strings.Repeat("x", 5<<20))
	missing := filepath.Join(dir, "missing")
	tests := []struct {
		name string
		tls  kafkasec.TLS
		want []string
	}{
		{"CA missing", kafkasec.TLS{CAFile: missing}, []string{missing, "no such file"}},
		{"CA is a directory", kafkasec.TLS{CAFile: dir}, []string{dir, "is not a file"}},
		{"CA without certificates", kafkasec.TLS{CAFile: secret}, []string{secret, "no PEM certificate"}},
		{"CA garbled", kafkasec.TLS{CAFile: garbled}, []string{garbled, "certificate 1", "whole"}},
		{"CA too big", kafkasec.TLS{CAFile: big}, []string{big, "more than"}},
		{"CA expired", kafkasec.TLS{CAFile: old.CertFile}, []string{old.CertFile, "expired at " + at.UTC().Format(time.RFC3339)}},
		{"certificate expired", kafkasec.TLS{CertFile: old.CertFile, KeyFile: old.KeyFile}, []string{old.CertFile, "expired at " + at.UTC().Format(time.RFC3339), "renew"}},
		{"certificate of tomorrow", kafkasec.TLS{CertFile: future.CertFile, KeyFile: future.KeyFile}, []string{future.CertFile, "valid only from", "clock"}},
		{"key of another", kafkasec.TLS{CertFile: client.CertFile, KeyFile: stranger.KeyFile}, []string{stranger.KeyFile, "does not fit", client.CertFile}},
		{"key is a certificate", kafkasec.TLS{CertFile: client.CertFile, KeyFile: client.CertFile}, []string{client.CertFile, "no PEM private key"}},
		{"certificate is a key", kafkasec.TLS{CertFile: client.KeyFile, KeyFile: client.KeyFile}, []string{client.KeyFile, "no PEM certificate"}},
		{"key locked", kafkasec.TLS{CertFile: client.CertFile, KeyFile: locked}, []string{locked, "passphrase", "openssl pkey"}},
		{"key is a password", kafkasec.TLS{CertFile: client.CertFile, KeyFile: secret}, []string{secret, "no PEM private key"}},
		{"certificate alone", kafkasec.TLS{CertFile: client.CertFile}, []string{client.CertFile, "no key"}},
		{"key alone", kafkasec.TLS{KeyFile: client.KeyFile}, []string{client.KeyFile, "no certificate"}},
		{"all at once", kafkasec.TLS{CAFile: missing, CertFile: garbled, KeyFile: locked}, []string{missing, garbled, locked}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := kafkasec.Settings{TLS: &tt.tls}.Options()
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q; want %q in it", err, want)
				}
			}
			wantNoCanary(t, "the error", err.Error())
			if strings.Contains(err.Error(), "Y2FuYXJ5") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
	// One stale CA beside a valid one is what a rotation looks like.
	ca, err := os.ReadFile(pki.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	stale, err := os.ReadFile(old.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (kafkasec.Settings{TLS: &kafkasec.TLS{CAFile: file("bundle", string(stale)+string(ca))}}).Options(); err != nil {
		t.Errorf("a bundle with one expired CA: got %v; want it taken", err)
	}
}

func TestBadSASL(t *testing.T) {
	_, err := kafkasec.Settings{SASL: &kafkasec.SASL{Mechanism: "GSSAPI"}}.Options()
	for _, want := range []string{`"GSSAPI" is unknown`, "SCRAM-SHA-512", "no username", "no password"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q in it", err, want)
		}
	}
	nul := login("PLAIN")
	nul.Password += "\x00admin"
	_, err = kafkasec.Settings{SASL: nul}.Options()
	if err == nil || !strings.Contains(err.Error(), "NUL") {
		t.Errorf("got %v; want the NUL character refused", err)
	}
	wantNoCanary(t, "the error", fmt.Sprint(err))
}

// TestPasswordDoesNotPrint prints settings in every way that a log may.
func TestPasswordDoesNotPrint(t *testing.T) {
	s := login("PLAIN")
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d", *s, *s, *s, s.Password, s.Password, s.Password, s.Password)
	encoded, err := json.Marshal(kafkasec.Settings{SASL: s})
	if err != nil {
		t.Fatal(err)
	}
	wantNoCanary(t, "the print", all+string(encoded))
	if !strings.Contains(all, "[hidden]") || !strings.Contains(string(encoded), "[hidden]") {
		t.Errorf("got %s %s; want a placeholder", all, encoded)
	}
}
