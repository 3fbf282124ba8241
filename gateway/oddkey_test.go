package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirbench/weir/internal/settings"
)

// A key that is odd once took the whole set away, so that nobody could come in. The others verify, and the log says which
// one is passed over and why, with nothing of what it holds.
func TestOddKeysArePassedOver(t *testing.T) {
	const canary = "CANARYcanary"
	keys := newTestKeys(t)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("this Go makes no short keys: %v", err)
	}
	text := keySetText(t,
		jwkOf(t, "short", short.Public()),
		map[string]any{"kty": "PQ", "kid": "later", "x": canary},
		map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "broken", "x": canary},
		map[string]any{"kty": 7, "kid": "number", "x": canary},
		map[string]any{"kty": "EC", "crv": "P-256", "kid": "point", "x": canary, "y": canary},
		map[string]any{"kty": "oct", "kid": "secret", "k": canary},
		jwkOf(t, "e", keys.ecdsa.Public()),
	)
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	defer web.Close()
	for name, cfg := range map[string]settings.Tokens{"file": {JWKSFile: path}, "URL": {JWKSURL: web.URL}} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			a, err := newAuthenticator(&Config{Gateway: settings.Gateway{Tokens: &cfg}}, new(atomic.Int64), slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			claims := map[string]any{"sub": "bob", "exp": inAnHour()}
			kid := func(id string) map[string]any { return map[string]any{"kid": id} }
			who, err := a.verify(sign(t, jwt.SigningMethodES256, keys.ecdsa, kid("e"), claims))
			if err != nil || who.subject != "bob" {
				t.Fatalf("the good key: got %+v, %v; want bob", who, err)
			}
			if _, err := a.verify(sign(t, jwt.SigningMethodRS256, short, kid("short"), claims)); err == nil {
				t.Error("the weak key is used")
			}
			for _, want := range []string{
				`count=6`, `kid \"short\"): weak: an RSA key of 1024 bits`, `kid \"later\"): unsupported: `, `kid \"broken\"): malformed: x has 9 bytes`,
				`kid \"number\"): malformed: `, `kid \"point\"): malformed: `, `kid \"secret\"): unsupported: `,
			} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("log: got %s; want %s", &log, want)
				}
			}
			if strings.Contains(log.String(), canary) {
				t.Errorf("the log has a key's material: %s", &log)
			}
		})
	}
}

// However many keys of a set are odd, a line tells of them.
func TestOddKeysAreToldBriefly(t *testing.T) {
	list := make([]map[string]any, 1000)
	for i := range list {
		list[i] = map[string]any{"kid": strings.Repeat("k", 1000)}
	}
	_, _, err := parseKeySet(keySetText(t, list...))
	if err == nil || !strings.HasSuffix(err.Error(), "; 992 more") || len(err.Error()) > 1500 {
		t.Errorf("got %v; want the first 8 and how many more", err)
	}
}
