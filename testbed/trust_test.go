package testbed

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// TestTargetOverTLS: the probe trusts as the wire profile says, and where it does not, names the field.
func TestTargetOverTLS(t *testing.T) {
	pki := testkit.NewPKI(t, "ca")
	client := pki.Issue("client")
	var upgrader websocket.Upgrader
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			_, _, _ = conn.ReadMessage()
			_ = conn.Close()
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pki.Issue("server").Pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pki.Pool}
	server.StartTLS()
	t.Cleanup(server.Close)
	plan := scenarios.GatewayPlan{Target: scenarios.TargetExternal, URL: "wss" + strings.TrimPrefix(server.URL, "https"), ReadyIn: 5 * time.Second}
	for name, c := range map[string]struct {
		tls  *scenarios.TLS
		want string
	}{
		"trusted":    {&scenarios.TLS{CAFile: pki.CAFile, CertFile: client.CertFile, KeyFile: client.KeyFile}, ""},
		"the system": {nil, "gateway.profile.tls.ca;"},
		"no such":    {&scenarios.TLS{CAFile: "no-such.pem"}, "gateway.profile.tls"},
	} {
		plan.Profile = scenarios.WireProfile{TLS: c.tls}
		_, err := StartTarget(t.Context(), plan, nil, nil, Options{})
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want %q in it", name, err, c.want)
		}
	}
}
