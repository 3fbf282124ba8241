package kafkasec

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const secretCanary = "canary-4c1e"

// tokenServer gives tokens t1, t2, … that live for an hour, or does what answer
// says.
type tokenServer struct {
	*httptest.Server
	mu     sync.Mutex
	forms  []url.Values
	answer http.HandlerFunc
}

func newTokenServer(t *testing.T, answer http.HandlerFunc) *tokenServer {
	s := &tokenServer{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s: %v; want a form", r.Method, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forms = append(s.forms, r.PostForm)
		if s.answer != nil {
			s.answer(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprintf("t%d", len(s.forms)), "token_type": "Bearer", "expires_in": 3600})
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) source(now func() time.Time) *tokenSource {
	return &tokenSource{url: s.URL + "/token?tenant=" + secretCanary, id: "weir", secret: secretCanary, scope: "kafka", now: now}
}

// A token is asked for as OAuth says, and once for most of its life.
func TestTokenURL(t *testing.T) {
	s := newTokenServer(t, nil)
	now := time.Now()
	source := s.source(func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "t1"}, {48*time.Minute - 1, "t1"}, {1, "t2"}, {time.Minute, "t2"}} {
		now = now.Add(step.after)
		if got, err := source.get(t.Context()); got != step.want || err != nil {
			t.Fatalf("got %q, %v; want %s", got, err, step.want)
		}
	}
	want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"weir"}, "client_secret": {secretCanary}, "scope": {"kafka"}}
	if got := s.forms[0]; got.Encode() != want.Encode() {
		t.Errorf("form: got %v; want %v", got, want)
	}
}

// What a server does wrong is told without the secret, the query or its words.
func TestTokenURLFails(t *testing.T) {
	say := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	elsewhere := newTokenServer(t, nil)
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"refusal", say(401, `{"error":"`+secretCanary+`"}`), "answers 401 Unauthorized (is the client id, its secret and the scope right?)"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "answers 307"},
		{"no JSON", say(200, "<html>"+secretCanary), "no JSON with an access_token"},
		{"no token", say(200, `{"token_type":"bearer"}`), "no JSON with an access_token"},
		{"too large", say(200, `{"access_token":"`+strings.Repeat("a", maxTokenBytes)+`"}`), "too large"},
		{"another kind", say(200, `{"access_token":"a","token_type":"mac"}`), "no bearer token"},
		{"control characters", say(200, `{"access_token":"a\u0001b"}`), "characters that no bearer token has"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTokenServer(t, tt.answer)
			got, err := s.source(time.Now).get(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), s.URL+"/token") {
				t.Errorf("got %q, %v; want an error with %q and the URL", got, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secretCanary) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
	if len(elsewhere.forms) > 0 {
		t.Error("the secret went where the server has redirected")
	}
	gone := newTokenServer(t, nil)
	gone.Close()
	if _, err := gone.source(time.Now).get(t.Context()); err == nil || strings.Contains(err.Error(), secretCanary) {
		t.Errorf("nobody listens: got %v; want an error without the secret", err)
	}
}

// A token that says nothing of its life is not kept for long, and one that says
// too much not for ever.
func TestTokenLife(t *testing.T) {
	for _, tt := range []struct {
		expires string
		want    time.Duration
	}{{"", noExpiry}, {`,"expires_in":0`, noExpiry}, {`,"expires_in":-5`, noExpiry}, {`,"expires_in":60.5`, 60500 * time.Millisecond}, {`,"expires_in":1e300`, 24 * time.Hour}, {`,"expires_in":"90"`, 90 * time.Second}} {
		token, life, err := readTokenAnswer(strings.NewReader(`{"access_token":"a"` + tt.expires + `}`))
		if token != "a" || life != tt.want || err != nil {
			t.Errorf("%s: got %q, %s, %v; want %s", tt.expires, token, life, err, tt.want)
		}
	}
}

func FuzzTokenAnswer(f *testing.F) {
	f.Add(`{"access_token":"a.b-c","token_type":"Bearer","expires_in":3600}`)
	f.Add(`{"access_token":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		token, life, err := readTokenAnswer(strings.NewReader(text))
		if err == nil && (token == "" || strings.ContainsAny(token, "\x00\x01,\n ") || life <= 0 || life > 24*time.Hour) {
			t.Errorf("%q: got %q for %s", text, token, life)
		}
	})
}

// An environment variable and a file are read each time.
func TestTokenIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	places := map[string]*SASL{"env": {TokenEnv: "WEIR_TEST_TOKEN"}, "file": {TokenFile: file}}
	for _, text := range []string{"one", " two\n", "", "a,b"} {
		t.Setenv("WEIR_TEST_TOKEN", text)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, s := range places {
			got, err := s.token()(context.Background())
			if bad := text == "" || text == "a,b"; bad != (err != nil) || !bad && got != strings.TrimSpace(text) {
				t.Errorf("%s: got %q, %v of %q", name, got, err, text)
			}
		}
	}
}

func TestBadToken(t *testing.T) {
	tests := []struct {
		name string
		sasl SASL
		want string
	}{
		{"nowhere", SASL{}, "place is missing or doubled"},
		{"twice", SASL{TokenEnv: "A", TokenFile: "b"}, "place is missing or doubled"},
		{"scope without a URL", SASL{TokenEnv: "A", Scope: "kafka"}, "no token URL that it could be asked of"},
		{"no credentials", SASL{TokenURL: "https://auth.example/token"}, "client id as username"},
		{"plain text", SASL{TokenURL: "http://auth.example/token", Username: "a", Password: "b"}, "host auth.example would get the client secret in plain text (use https)"},
		{"no URL", SASL{TokenURL: "auth.example", Username: "a", Password: "b"}, "not a URL"},
		{"credentials in the URL", SASL{TokenURL: "https://u:" + secretCanary + "@auth.example/", Username: "a", Password: "b"}, "holds a user or a password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.sasl.Mechanism = OAuthBearer
			_, err := Settings{SASL: &tt.sasl}.Options()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secretCanary) {
				t.Errorf("got %v; want %q", err, tt.want)
			}
		})
	}
	for _, good := range []SASL{{TokenEnv: "A"}, {TokenFile: "a"}, {TokenURL: "http://127.0.0.1:1/", Username: "a", Password: "b"}, {TokenURL: "https://auth.example/", Username: "a", Password: "b", Scope: "s"}} {
		good.Mechanism = OAuthBearer
		if _, err := (Settings{SASL: &good}).Options(); err != nil {
			t.Errorf("%+v: got %v; want none", good, err)
		}
	}
}
