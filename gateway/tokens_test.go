package gateway

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirbench/weir/internal/settings"
)

const testSecret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func writeSecret(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sign(t *testing.T, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signHMAC(t *testing.T, claims map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodHS256, []byte(testSecret), nil, claims)
}

func testAuthenticator(t *testing.T, tokens settings.Tokens) *authenticator {
	t.Helper()
	a, err := newAuthenticator(&Config{Gateway: settings.Gateway{Tokens: &tokens}}, new(atomic.Int64), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func jwkOf(t *testing.T, id string, key crypto.PublicKey) map[string]any {
	t.Helper()
	switch k := key.(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": id, "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		return map[string]any{"kty": "EC", "crv": "P-256", "kid": id, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])}
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": id, "x": b64(k)}
	}
	t.Fatalf("a key of type %T", key)
	return nil
}

func keySetText(t *testing.T, keys ...map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// testKeys are one of each kind.
type testKeys struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

func newTestKeys(t *testing.T) (k testKeys) {
	t.Helper()
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, minRSABits); err != nil {
		t.Fatal(err)
	}
	if k.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, k.ed25519, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k testKeys) set(t *testing.T) []byte {
	return keySetText(t, jwkOf(t, "r", k.rsa.Public()), jwkOf(t, "e", k.ecdsa.Public()), jwkOf(t, "d", k.ed25519.Public()),
		map[string]any{"kty": "oct", "k": b64([]byte(testSecret)), "kid": "o", "alg": "HS256"})
}

// What is wrong with a token is found, and said without anything of the token.
func TestHMACTokens(t *testing.T) {
	a := testAuthenticator(t, settings.Tokens{HMACFile: writeSecret(t, testSecret), Issuer: "idp", Audience: "weir"})
	now := time.Now().Unix()
	claims := func(change map[string]any) map[string]any {
		c := map[string]any{"sub": "bob", "iss": "idp", "aud": []string{"other", "weir"}, "exp": now + 60}
		maps.Copy(c, change)
		for name, value := range c {
			if value == nil {
				delete(c, name)
			}
		}
		return c
	}
	hmac := func(m jwt.SigningMethod, change map[string]any) string {
		return sign(t, m, []byte(testSecret), nil, claims(change))
	}
	keys := newTestKeys(t)
	good := hmac(jwt.SigningMethodHS256, nil)
	for _, tt := range []struct{ name, token, want string }{
		{"HS256", good, ""},
		{"HS384", hmac(jwt.SigningMethodHS384, nil), ""},
		{"HS512", hmac(jwt.SigningMethodHS512, nil), ""},
		{"nbf within the leeway", hmac(jwt.SigningMethodHS256, map[string]any{"nbf": now + 3}), ""},
		{"nbf", hmac(jwt.SigningMethodHS256, map[string]any{"nbf": now + 30}), "the token is not valid yet"},
		{"expired", hmac(jwt.SigningMethodHS256, map[string]any{"exp": now - 1}), "the token has expired"},
		{"expired long ago", hmac(jwt.SigningMethodHS256, map[string]any{"exp": now - 1000}), "the token has expired"},
		{"no exp", hmac(jwt.SigningMethodHS256, map[string]any{"exp": nil}), "the token lacks a claim that is demanded (exp, and iss and aud where set)"},
		{"exp is a text", hmac(jwt.SigningMethodHS256, map[string]any{"exp": "soon"}), "the token is not valid"},
		{"issuer", hmac(jwt.SigningMethodHS256, map[string]any{"iss": "me"}), "the token is of another issuer"},
		{"audience", hmac(jwt.SigningMethodHS256, map[string]any{"aud": "other"}), "the token is for another audience"},
		{"another secret", sign(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), nil, claims(nil)), "the token's signature or its algorithm is not accepted"},
		{"none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, claims(nil)), "the token's signature or its algorithm is not accepted"},
		{"RS256", sign(t, jwt.SigningMethodRS256, keys.rsa, nil, claims(nil)), "the token's signature or its algorithm is not accepted"},
		{"without signature", good[:strings.LastIndexByte(good, '.')+1], "the token's signature or its algorithm is not accepted"},
		{"critical header", sign(t, jwt.SigningMethodHS256, []byte(testSecret), map[string]any{"crit": []string{"b64"}}, claims(nil)), errCritical.Error()},
		{"garbage", "not.a.token", "what was given is not a token"},
		{"empty", "", "what was given is not a token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who, err := a.verify(tt.token)
			if tt.want == "" {
				if err != nil || who.subject != "bob" || who.expiresAt.Unix() != now+60 {
					t.Errorf("got %+v, %v; want bob until %d", who, err, now+60)
				}
				return
			}
			if err == nil || tokenFault(err) != tt.want {
				t.Errorf("got %v, said as %q; want %q", err, tokenFault(err), tt.want)
			}
		})
	}
}

// A key of a set is good for its own algorithm alone, and never for HMAC.
func TestKeySetTokens(t *testing.T) {
	t.Parallel()
	keys := newTestKeys(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, keys.set(t), 0o600); err != nil {
		t.Fatal(err)
	}
	a := testAuthenticator(t, settings.Tokens{JWKSFile: path})
	claims := map[string]any{"sub": "bob", "exp": inAnHour()}
	der, err := x509.MarshalPKIXPublicKey(keys.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	kid := func(id string) map[string]any { return map[string]any{"kid": id} }
	const unaccepted = "the token's signature or its algorithm is not accepted"
	for _, tt := range []struct{ name, token, want string }{
		{"RS256", sign(t, jwt.SigningMethodRS256, keys.rsa, kid("r"), claims), ""},
		{"ES256", sign(t, jwt.SigningMethodES256, keys.ecdsa, kid("e"), claims), ""},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, keys.ed25519, kid("d"), claims), ""},
		{"without kid", sign(t, jwt.SigningMethodES256, keys.ecdsa, nil, claims), ""},
		{"RS512", sign(t, jwt.SigningMethodRS512, keys.rsa, kid("r"), claims), unaccepted},
		{"PS256", sign(t, jwt.SigningMethodPS256, keys.rsa, kid("r"), claims), unaccepted},
		{"the public key as a secret", sign(t, jwt.SigningMethodHS256, publicPEM, kid("r"), claims), unaccepted},
		{"the modulus as a secret", sign(t, jwt.SigningMethodHS256, keys.rsa.N.Bytes(), kid("r"), claims), unaccepted},
		{"a secret of the set", sign(t, jwt.SigningMethodHS256, []byte(testSecret), kid("o"), claims), unaccepted},
		{"none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid("r"), claims), unaccepted},
		{"the key of another algorithm", sign(t, jwt.SigningMethodES256, keys.ecdsa, kid("r"), claims), "the token is signed with a key that is not known"},
		{"unknown kid", sign(t, jwt.SigningMethodES256, keys.ecdsa, kid("x"), claims), "the token is signed with a key that is not known"},
		{"another key", sign(t, jwt.SigningMethodES256, newTestKeys(t).ecdsa, kid("e"), claims), unaccepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who, err := a.verify(tt.token)
			if tt.want == "" && (err != nil || who.subject != "bob") || tt.want != "" && (err == nil || tokenFault(err) != tt.want) {
				t.Errorf("got %+v, %v; want %q", who, err, tt.want)
			}
		})
	}
}

func TestParseKeySet(t *testing.T) {
	keys := newTestKeys(t)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("this Go makes no short keys: %v", err)
	}
	with := func(key map[string]any, name string, value any) map[string]any { key[name] = value; return key }
	ec := func() map[string]any { return jwkOf(t, "e", keys.ecdsa.Public()) }
	const useless = "the key set has no key for RS256, ES256 or EdDSA signatures: key 0 (kid "
	for _, tt := range []struct {
		name string
		text []byte
		want string
	}{
		{"for signatures", keySetText(t, with(ec(), "use", "sig")), ""},
		{"for encryption", keySetText(t, with(ec(), "use", "enc")), useless + `"e"): other_use: it is not for verifying signatures`},
		{"for signing alone", keySetText(t, with(ec(), "key_ops", []string{"sign"})), useless + `"e"): other_use: it is not for verifying signatures`},
		{"for verifying", keySetText(t, with(ec(), "key_ops", []string{"verify"})), ""},
		{"for another algorithm", keySetText(t, with(ec(), "alg", "ES384")), useless + `"e"): unsupported: its alg is not supported`},
		{"empty", keySetText(t), "the key set has no keys"},
		{"short RSA key", keySetText(t, jwkOf(t, "s", short.Public())), useless + `"s"): weak: an RSA key of 1024 bits is too short (at least 2048)`},
		{"RSA exponent", keySetText(t, with(jwkOf(t, "r", keys.rsa.Public()), "e", "AQ")), useless + `"r"): weak: e is no exponent of RSA`},
		{"not on the curve", keySetText(t, with(ec(), "x", b64(make([]byte, 32)))), useless + `"e"): malformed: x and y are no point of P-256`},
		{"not base64url", keySetText(t, with(ec(), "y", "=")), useless + `"e"): malformed: y is not base64url`},
		{"Ed25519 of another size", keySetText(t, with(jwkOf(t, "d", keys.ed25519.Public()), "x", "AAAA")), useless + `"d"): malformed: x has 3 bytes, want 32`},
		{"unknown kind", keySetText(t, map[string]any{"kty": "PQ", "kid": "q"}), useless + `"q"): unsupported: its kty or crv is not supported`},
		{"of a huge modulus", keySetText(t, with(jwkOf(t, "r", keys.rsa.Public()), "n", b64(bytes.Repeat([]byte{255}, maxRSABits/8+1)))),
			useless + `"r"): unsupported: an RSA key of 16392 bits is too long (at most 16384)`},
		{"not an object", []byte(`{"keys":["CANARY"]}`), useless + `""): malformed: it is not an object of a key's fields`},
		{"no list", []byte(`{"keys":{"CANARY":1}}`), "the key set is not a JSON object with a list of keys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, _, err := parseKeySet(tt.text)
			if tt.want == "" && (err != nil || len(set) != 1) || tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want)) {
				t.Errorf("got %d keys, %v; want %q", len(set), err, tt.want)
			}
		})
	}
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"AA","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, odd, err := parseKeySet(text)
		if (err == nil) != (len(set) > 0) {
			t.Errorf("got %d keys and %v", len(set), err)
		}
		if told := odd.String(); len(told) > (maxOddKeysTold+1)*400 {
			t.Errorf("%d bytes tell of odd keys: %s", len(told), told)
		}
		for _, k := range set {
			if len(set.find(k.algorithm, k.id)) == 0 || k.key == nil {
				t.Errorf("key %+v is not found", k)
			}
		}
	})
}

// A key set at a URL is fetched when it is needed: again when a key is not in it, but not by everybody who asks for one
// that does not exist, and again when it is old, so that a key that was taken out goes.
func TestKeySetURL(t *testing.T) {
	old, next := newTestKeys(t), newTestKeys(t)
	var mu sync.Mutex
	status, body, fetches := http.StatusServiceUnavailable, []byte(nil), 0
	serve := func(s int, b []byte) { mu.Lock(); defer mu.Unlock(); status, body = s, b }
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fetches++
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	defer web.Close()
	fetched := func() int { mu.Lock(); defer mu.Unlock(); return fetches }
	var failures atomic.Int64
	var log bytes.Buffer
	secretURL := strings.Replace(web.URL, "http://", "http://user:hunter2@", 1) + "/keys"
	s := &urlSource{url: secretURL, failures: &failures, log: slog.New(slog.NewTextHandler(&log, nil))}
	later := func(d time.Duration) { // as if so much time had passed
		s.mu.Lock()
		defer s.mu.Unlock()
		s.triedAt, s.fetchedAt = s.triedAt.Add(-d), s.fetchedAt.Add(-d)
	}
	find := func(id string, want error) {
		t.Helper()
		if _, err := s.keys("ES256", id); err != want {
			t.Errorf("key %q: got %v; want %v", id, err, want)
		}
	}
	wantFetches := func(want int) {
		t.Helper()
		if got := fetched(); got != want {
			t.Errorf("fetches: got %d; want %d", got, want)
		}
	}

	find("old", errKeysUnavailable)
	find("old", errKeysUnavailable) // not asked again at once
	wantFetches(1)
	if failures.Load() != 1 || !strings.Contains(log.String(), "503") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("failures: got %d, log %s; want one, without the password", failures.Load(), &log)
	}
	serve(http.StatusOK, keySetText(t, jwkOf(t, "old", old.ecdsa.Public())))
	later(keySetFetchInterval)
	find("old", nil)
	find("old", nil)
	wantFetches(2)

	serve(http.StatusOK, keySetText(t, jwkOf(t, "next", next.ecdsa.Public())))
	for range 100 {
		find("next", errUnknownKey) // just fetched
	}
	wantFetches(2)
	later(keySetFetchInterval)
	find("next", nil)
	find("old", errUnknownKey)
	wantFetches(3)

	later(keySetMaxAge)
	serve(http.StatusInternalServerError, nil)
	find("next", nil) // the old set stays in force
	serve(http.StatusOK, keySetText(t, jwkOf(t, "third", old.ecdsa.Public())))
	later(keySetFetchInterval)
	find("next", errUnknownKey) // was taken out
	wantFetches(5)
}

// Who has no valid token is refused with 401, and is told how to come by one; the token is in no answer and no log.
func TestHandshakeTokens(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	g := startLogged(t, &log, func(c *Config) {
		c.Tokens = &settings.Tokens{HMACFile: writeSecret(t, testSecret)}
		c.Origins.Allow = []string{"https://app.example.com"}
	})
	good := signHMAC(t, map[string]any{"sub": "bob-the-secret-subject", "exp": inAnHour()})
	bad := signHMAC(t, map[string]any{"sub": "bob-the-secret-subject", "exp": 1})
	const plain, invalid = `Bearer realm="weir"`, `Bearer realm="weir", error="invalid_token"`
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	for _, tt := range []struct {
		name, query string
		header      http.Header
		challenge   string
	}{
		{"no token", "", nil, plain},
		{"expired, in the header", "", bearer(bad), invalid},
		{"expired, in the query", "token=" + bad, nil, invalid},
		{"empty", "token=", nil, invalid},
		{"a good one in the query does not mend a bad one in the header", "token=" + good, bearer(bad), invalid},
		{"another scheme", "", http.Header{"Authorization": {"Basic Ym9iOnB3"}}, invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := g.wantRefused(t, tt.query, tt.header, http.StatusUnauthorized, ErrorUnauthorized)
			if got := h.Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate: got %q; want %q", got, tt.challenge)
			}
		})
	}
	g.wantRefused(t, "token="+good, http.Header{"Origin": {"https://evil.example.com"}}, http.StatusForbidden, ErrorForbidden)
	g.dialAs(good, "prices")
	if metrics, _ := g.metrics(); metrics[`weir_gateway_refused_handshakes_total{status="401"}`] != "6" ||
		metrics[`weir_gateway_refused_handshakes_total{status="403"}`] != "1" {
		t.Errorf("refused handshakes are not counted: %v", metrics)
	}
	g.shutDown()
	for _, part := range strings.Split(good+"."+bad, ".") {
		if strings.Contains(log.String(), part) {
			t.Errorf("the log has a part of a token:\n%s", log.String())
		}
	}
	if strings.Contains(log.String(), "secret-subject") || log.String() == "" {
		t.Errorf("log: got %q; want one without the subject", log.String())
	}
}

func TestAnonymousClients(t *testing.T) {
	g := start(t, func(c *Config) {
		c.Tokens = &settings.Tokens{HMACFile: writeSecret(t, testSecret), Anonymous: true}
		c.Permissions = []settings.Permission{{Channels: []string{"chat"}, Subscribe: true}, {Channels: []string{"prices/{subject}"}, Subscribe: true}}
	})
	g.dial("chat")
	g.wantRefused(t, "channel=prices/", nil, http.StatusForbidden, ErrorForbidden)
	g.wantRefused(t, "token=x", nil, http.StatusUnauthorized, ErrorUnauthorized) // a bad token is worse than none
}

// When its token expires, an open connection is closed; the others are not.
func TestTokenExpiresOnOpenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBubbleHub()
		expiring, stays := h.joinPipe(t, time.Now().Add(90*time.Second)), h.joinPipe(t, time.Now().Add(time.Hour))
		startedAt := time.Now()
		if code := expiring.awaitClose(); code != CloseTokenExpired || time.Since(startedAt) != 90*time.Second {
			t.Errorf("got close %d after %s; want %d after 90 s", code, time.Since(startedAt), CloseTokenExpired)
		}
		expiring.conn.Close()
		<-time.After(time.Minute) // of false time
		if n := h.counters.connections.Load(); n != 1 {
			t.Errorf("connections: got %d; want the one whose token is good", n)
		}
		if got := h.counters.stats("").Closes["token_expired"]; got != 1 {
			t.Errorf("closes: got %d of token_expired; want 1", got)
		}
		stays.conn.Close()
		h.wait()
	})
}

func TestBadTokenSettings(t *testing.T) {
	dir := t.TempDir()
	short := writeSecret(t, "too short")
	empty := filepath.Join(dir, "keys.json")
	if err := os.WriteFile(empty, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		tokens settings.Tokens
		want   string
	}{
		{"short secret", settings.Tokens{HMACFile: short}, "tokens.hmac_file: the secret in " + short + " has 9 bytes, fewer than the 32 of a safe one"},
		{"no file", settings.Tokens{HMACFile: dir + "/x"}, "tokens.hmac_file: read the secret: stat " + dir + "/x: no such file or directory"},
		{"no keys", settings.Tokens{JWKSFile: empty}, "tokens.jwks_file: " + empty + ": the key set has no keys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"x"}, Gateway: settings.Gateway{Tokens: &tt.tokens}}
			if err := Run(t.Context(), cfg, nil, nil); err == nil || err.Error() != "set up the authentication of clients: "+tt.want+" (mend the file, or its path)" {
				t.Errorf("got %v; want %s", err, tt.want)
			}
		})
	}
	if got := (&settings.Tokens{JWKSURL: "https://user:hunter2@idp/keys"}).String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "idp") || !strings.Contains(got, url.QueryEscape("idp")) {
		t.Errorf("got %s; want the host without the password", got)
	}
}

// A key set is taken from the address that is configured, and from nowhere that it redirects to.
func TestKeySetRedirect(t *testing.T) {
	keys := newTestKeys(t)
	text := keySetText(t, jwkOf(t, "theirs", keys.ecdsa.Public()))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	defer other.Close()
	web := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer web.Close()
	if set, _, err := fetchKeySet(web.URL); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v, %v; want an error that names the answer", set, err)
	}
}
