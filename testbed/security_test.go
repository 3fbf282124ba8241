package testbed

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

const canary = "canary-5d07"

// secured is a cluster with TLS and SASL, its plan, and the file of the password.
type secured struct {
	*kfake.Cluster
	plan     scenarios.KafkaPlan
	password string
}

func startSecured(t *testing.T) *secured {
	t.Helper()
	pki := testkit.NewPKI(t, "ca")
	c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.EnableSASL(), kfake.Superuser(scenarios.SASLScramSHA512, "u", canary),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pki.Issue("broker").Pair}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &secured{c, scenarios.KafkaPlan{
		Provider: scenarios.ProviderExternal, Seeds: c.ListenAddrs(),
		Security: &scenarios.KafkaSecurity{
			TLS:  &scenarios.TLS{CAFile: pki.CAFile},
			SASL: &scenarios.SASL{Mechanism: scenarios.SASLScramSHA512, Username: "u", Password: scenarios.Secret{File: file}},
		},
	}, file}
}

// refuse makes the cluster turn everybody away, and quote a password at it.
func (c *secured) refuse() {
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, kmsg.StringPtr("bad password "+canary)
		return resp, nil, true
	})
}

func TestSecuredKafka(t *testing.T) {
	t.Parallel()
	c := startSecured(t)
	k, err := StartKafka(t.Context(), c.plan, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(k.Description, ", 2 brokers, TLS, SASL SCRAM-SHA-512") {
		t.Errorf("got description %q; want TLS and the mechanism", k.Description)
	}
	if len(k.ClientOpts) == 0 {
		t.Error("no options for other clients")
	}
	// The password's file may go once the run has begun: nothing reads it again.
	if err := os.Remove(c.password); err != nil {
		t.Fatal(err)
	}
	if err := k.EnsureTopics(t.Context(), []scenarios.Topic{{Name: "x", Partitions: 2, Replication: 2}}, nil); err != nil {
		t.Fatal(err)
	}
	if c.TopicInfo("x") == nil {
		t.Error("the topic was not created")
	}
	if err := k.DeleteTopics(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.TopicInfo("x") != nil {
		t.Error("the topic is still there")
	}
}

// TestSecuredKafkaRefused breaks one thing at a time: the error comes before anything else is started, and names it.
func TestSecuredKafkaRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, c *secured)
		want  []string
	}{
		{"variable not set", func(_ *testing.T, c *secured) {
			c.plan.Security.SASL.Password = scenarios.Secret{Env: "WEIR_NO_SUCH_VARIABLE"}
		}, []string{`Kafka user "u"`, "WEIR_NO_SUCH_VARIABLE", "export"}},
		{"no file", func(t *testing.T, c *secured) {
			if err := os.Remove(c.password); err != nil {
				t.Fatal(err)
			}
		}, []string{"/password", "no such file"}},
		{"no CA", func(_ *testing.T, c *secured) { c.plan.Security.TLS.CAFile = c.password }, []string{"/password", "no PEM certificate"}},
		{"system's CAs", func(_ *testing.T, c *secured) { c.plan.Security.TLS.CAFile = "" }, []string{"reach kafka at 127.0.0.1:", "kafka.tls.ca"}},
		{"password refused", func(_ *testing.T, c *secured) { c.refuse() }, []string{"SASL_AUTHENTICATION_FAILED", `user "u" by SCRAM-SHA-512`, "/password"}},
		{"password refused, other seeds down", func(t *testing.T, c *secured) {
			c.refuse()
			c.plan.Seeds = append(c.plan.Seeds[:1:1], closedPort(t), closedPort(t), closedPort(t))
		}, []string{"SASL_AUTHENTICATION_FAILED", `user "u" by SCRAM-SHA-512`}},
		{"plain text", func(_ *testing.T, c *secured) { c.plan.Security.TLS = nil }, []string{"set kafka.tls"}},
		{"nothing set", func(_ *testing.T, c *secured) { c.plan.Security = nil }, []string{"without TLS and SASL"}},
		{"another provider", func(_ *testing.T, c *secured) { c.plan.Provider = scenarios.ProviderEmbedded }, []string{"external", "drop kafka.tls"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := startSecured(t)
			tt.spoil(t, c)
			_, err := StartKafka(t.Context(), c.plan, options(t))
			wantText(t, err, tt.want...)
			if strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}
