package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/settings"
	"github.com/weirbench/weir/internal/testkit"
)

// servedPair is a certificate in files that the test changes.
type servedPair struct {
	t   *testing.T
	cfg settings.TLS
}

func newServedPair(t *testing.T, id testkit.Identity) *servedPair {
	dir := t.TempDir()
	p := &servedPair{t, settings.TLS{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}}
	p.put(id.CertFile, p.cfg.CertFile)
	p.put(id.KeyFile, p.cfg.KeyFile)
	return p
}

// put moves a copy of the file into place, as whoever renews certificates should.
func (p *servedPair) put(from, to string) {
	p.t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".new", content, 0o600)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// The certificate is that of the files once they have changed. One that does not fit its key changes nothing, and is told
// once.
func TestCertificateReload(t *testing.T) {
	pki := testkit.NewPKI(t, "ca")
	first, second := pki.Issue("first"), pki.Issue("second")
	p := newServedPair(t, first)
	var failures atomic.Int64
	var log lockedBuffer
	pair := &reloaded[*tls.Certificate]{
		what: "certificate", paths: []string{p.cfg.CertFile, p.cfg.KeyFile}, failures: &failures,
		log:  slog.New(slog.NewTextHandler(&log, nil)),
		load: func() (*tls.Certificate, error) { return loadPair(&p.cfg) },
	}
	now := time.Now()
	if err := pair.start(now); err != nil {
		t.Fatal(err)
	}
	want := func(id testkit.Identity, name string) {
		t.Helper()
		if got := pair.get(now); string(got.Certificate[0]) != string(id.Pair.Certificate[0]) {
			t.Errorf("got another certificate than the %s one", name)
		}
	}
	want(first, "first")
	p.put(second.CertFile, p.cfg.CertFile) // and not yet its key
	want(first, "first")                   // not looked at again so soon
	if failures.Load() != 0 {
		t.Error("the files were looked at again within a second")
	}
	for range 3 {
		now = now.Add(reloadInterval)
		want(first, "first")
	}
	if failures.Load() != 1 || !strings.Contains(log.String(), "the changed certificate can't be used: the old one stays in force") {
		t.Errorf("failures: got %d, log %s; want one", failures.Load(), log.String())
	}
	p.put(second.KeyFile, p.cfg.KeyFile)
	now = now.Add(reloadInterval)
	want(second, "second")
	if err := os.Remove(p.cfg.KeyFile); err != nil {
		t.Fatal(err)
	}
	now = now.Add(reloadInterval)
	want(second, "second")
	if failures.Load() != 2 {
		t.Errorf("failures: got %d; want 2", failures.Load())
	}
}

// Over TLS the gateway is what it is without: clients get what they should, are pinged and stay, are closed with a code;
// and a renewed certificate is shown to who comes then.
func TestGatewayOverTLS(t *testing.T) {
	t.Parallel()
	pki := testkit.NewPKI(t, "ca")
	first, second := pki.Issue("first"), pki.Issue("second")
	p := newServedPair(t, first)
	var log lockedBuffer
	g := startLogged(t, &log, func(c *Config) {
		c.TLS = &p.cfg
		c.Timeouts.Ping = 100 * time.Millisecond
		c.SlowPolicy = SlowDropOldest
	})
	trust := &tls.Config{RootCAs: pki.Pool, NextProtos: []string{"h2", "http/1.1"}}
	dial := func(cfg *tls.Config) (*websocket.Conn, error) {
		d := websocket.Dialer{TLSClientConfig: cfg}
		ws, resp, err := d.Dial("wss://"+g.addr+"/ws?channel=prices", nil)
		if resp != nil {
			resp.Body.Close()
		}
		return ws, err
	}
	ws, err := dial(&tls.Config{RootCAs: pki.Pool})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	pings := make(chan struct{}, 100)
	ws.SetPingHandler(func(string) error {
		pings <- struct{}{}
		return ws.WriteControl(websocket.PongMessage, nil, time.Now().Add(patience))
	})
	c := &testClient{t: t, ws: ws}
	c.read()
	c.read()
	ended := make(chan error, 1)
	go func() { _, err := c.tryRead(); ended <- err }()
	for range 5 { // more than an unanswered client gets
		select {
		case <-pings:
		case err := <-ended:
			t.Fatalf("the client did not stay: %v", err)
		case <-time.After(patience):
			t.Fatal("no ping")
		}
	}

	if _, err := dial(&tls.Config{RootCAs: pki.Pool, MaxVersion: tls.VersionTLS11}); err == nil { //nolint:gosec // the fault
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := dial(&tls.Config{RootCAs: x509.NewCertPool()}); err == nil {
		t.Error("a certificate of a foreign CA was trusted")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://" + g.addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	var ready readiness
	if err := json.NewDecoder(resp.Body).Decode(&ready); err != nil || ready.Status != statusReady || resp.ProtoMajor != 1 {
		t.Errorf("GET /readyz: got %+v, %v over %s", ready, err, resp.Proto)
	}
	resp.Body.Close()

	p.put(second.CertFile, p.cfg.CertFile)
	p.put(second.KeyFile, p.cfg.KeyFile)
	for deadline := time.Now().Add(patience); ; {
		conn, err := tls.Dial("tcp", g.addr, trust)
		if err != nil {
			t.Fatal(err)
		}
		name := conn.ConnectionState().PeerCertificates[0].Subject.CommonName
		conn.Close()
		if name == "second" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not shown")
		}
	}
	g.stop()
	if closed, ok := (<-ended).(*websocket.CloseError); !ok || CloseCode(closed.Code) != CloseServiceRestart {
		t.Errorf("end of connection: got %v; want close %d", closed, CloseServiceRestart)
	}
}

func TestBadCertificate(t *testing.T) {
	pki := testkit.NewPKI(t, "ca")
	id, other := pki.Issue("a"), pki.Issue("b")
	missing := filepath.Join(t.TempDir(), "x")
	for _, tt := range []struct {
		name string
		tls  settings.TLS
		want string
	}{
		{"another's key", settings.TLS{CertFile: id.CertFile, KeyFile: other.KeyFile}, "certificate " + id.CertFile + " with key " + other.KeyFile + ": tls: private key does not match public key"},
		{"no file", settings.TLS{CertFile: missing, KeyFile: id.KeyFile}, "read the certificate: stat " + missing + ": no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"x"}, Gateway: settings.Gateway{TLS: &tt.tls}}
			if err := Run(t.Context(), cfg, nil, nil); err == nil || err.Error() != "listen: tls.cert_file, tls.key_file: "+tt.want+" (mend the file, or its path)" {
				t.Errorf("got %v; want %s", err, tt.want)
			}
		})
	}
}
