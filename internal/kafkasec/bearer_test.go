package kafkasec_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/kafkasec"
)

// bearerCluster takes one token by OAUTHBEARER, which the fake Kafka does not
// know itself: the exchange is done for it. What it was sent first is kept.
func bearerCluster(t *testing.T, token string) (_ *kfake.Cluster, sent *[]string) {
	t.Helper()
	c := cluster(t)
	sent = new([]string)
	c.ControlKey(int16(kmsg.SASLHandshake), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
		if req.(*kmsg.SASLHandshakeRequest).Mechanism != kafkasec.OAuthBearer {
			resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		resp.SupportedMechanisms = []string{kafkasec.OAuthBearer}
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		got := string(req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
		*sent = append(*sent, got)
		if got != "n,,\x01auth=Bearer "+token+"\x01\x01" {
			resp.SASLAuthBytes = []byte(`{"status":"invalid_token","quoted":"` + token + `"}`)
		}
		return resp, nil, true
	})
	return c, sent
}

// A token is shown as RFC 7628 says, and what a broker answers to a wrong one is
// a refusal with its cause, without the token.
func TestOAuthBearer(t *testing.T) {
	const token = "header.canary-7b21.sig"
	tests := []struct {
		name, token, want string
	}{
		{"taken", token, ""},
		{"refused", "canary-other", "the cluster refused the token from the environment variable WEIR_TEST_TOKEN"},
		{"missing", "", "the OAUTHBEARER token is empty in the environment variable WEIR_TEST_TOKEN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("WEIR_TEST_TOKEN", tt.token)
			c, sent := bearerCluster(t, token)
			s := kafkasec.Settings{SASL: &kafkasec.SASL{Mechanism: kafkasec.OAuthBearer, TokenEnv: "WEIR_TEST_TOKEN"}}
			var log bytes.Buffer
			err := ask(t, s, c.ListenAddrs(), &log)
			told := fmt.Sprint(err) + " " + s.Cause(fmt.Errorf("reach Kafka: %w", orNone(err)))
			if (err == nil) != (tt.want == "") || !strings.Contains(told, tt.want) {
				t.Errorf("got %s; want %q", told, tt.want)
			}
			wantNoCanary(t, "the client's log", log.String()+told)
			if tt.name == "taken" && len(*sent) == 0 {
				t.Error("nothing was exchanged")
			}
		})
	}
}

func orNone(err error) error {
	if err == nil {
		return fmt.Errorf("nothing")
	}
	return err
}
