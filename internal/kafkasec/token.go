package kafkasec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/weirbench/weir/internal/hosts"
)

const (
	maxTokenBytes = 64 << 10 // of a token, and of an answer that holds one
	tokenTimeout  = 10 * time.Second
	// tokenAge is how much of a token's life is used before another is got.
	tokenAge = 0.8
	// noExpiry is how long a token of which nobody says how long it lives is used.
	noExpiry = time.Minute
)

// tokenFunc gives a bearer token. Its errors hold no secret.
type tokenFunc = func(ctx context.Context) (string, error)

// checkToken checks what OAUTHBEARER is set to.
func (s *SASL) checkToken() error {
	var errs []error
	places := 0
	for _, set := range []bool{s.TokenEnv != "", s.TokenFile != "", s.TokenURL != ""} {
		if set {
			places++
		}
	}
	if places != 1 {
		errs = append(errs, errors.New("the OAUTHBEARER token's place is missing or doubled: "+
			"give one of an environment variable, a file and a token URL"))
	}
	if s.TokenURL == "" {
		if s.Scope != "" {
			errs = append(errs, errors.New("OAUTHBEARER has a scope but no token URL that it could be asked of"))
		}
		return errors.Join(errs...)
	}
	if s.Username == "" || s.Password == "" {
		errs = append(errs, errors.New("OAUTHBEARER by a token URL needs the client id as username and the client secret as password"))
	}
	return errors.Join(append(errs, checkTokenURL(s.TokenURL))...)
}

// checkTokenURL wants https, since a secret goes there, but for this machine.
func checkTokenURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the OAUTHBEARER token URL is not a URL (write https://host/path)")
	case u.User != nil:
		return errors.New("the OAUTHBEARER token URL holds a user or a password (give them as username and password)")
	case u.Scheme == "http" && !hosts.Loopback(u.Hostname()):
		return fmt.Errorf("the OAUTHBEARER token URL's host %s would get the client secret in plain text (use https)", u.Hostname())
	}
	return nil
}

// tokenFrom says in errors where tokens come from.
func (s *SASL) tokenFrom() string {
	switch {
	case s.TokenEnv != "":
		return "the environment variable " + s.TokenEnv
	case s.TokenFile != "":
		return "the file " + s.TokenFile
	}
	return (&tokenSource{url: s.TokenURL}).place()
}

// token is where tokens come from.
func (s *SASL) token() tokenFunc {
	switch {
	case s.TokenEnv != "":
		return func(context.Context) (string, error) {
			return cleanToken(os.Getenv(s.TokenEnv), s.tokenFrom())
		}
	case s.TokenFile != "":
		return func(context.Context) (string, error) { return readToken(s.TokenFile) }
	}
	source := &tokenSource{url: s.TokenURL, id: s.Username, secret: s.Password, scope: s.Scope, now: time.Now}
	return source.get
}

func readToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the OAUTHBEARER token: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
	if err != nil {
		return "", fmt.Errorf("read the OAUTHBEARER token: %w", err)
	}
	return cleanToken(string(text), "the file "+file)
}

// cleanToken takes a token as it is found and checks that it is one (RFC 6750,
// section 2.1): what it holds else would break out of the SASL message.
func cleanToken(text, from string) (string, error) {
	token := strings.TrimSpace(text)
	switch {
	case token == "":
		return "", fmt.Errorf("the OAUTHBEARER token is empty in %s", from)
	case len(token) > maxTokenBytes:
		return "", fmt.Errorf("the OAUTHBEARER token has more than %d bytes in %s", maxTokenBytes, from)
	}
	for _, c := range []byte(token) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~+/=", c) >= 0:
		default:
			return "", fmt.Errorf("the OAUTHBEARER token has characters that no bearer token has in %s", from)
		}
	}
	return token, nil
}

// tokenSource gets tokens from an authorization server by the client-credentials
// grant of OAuth 2.0 (RFC 6749, section 4.4), the credentials in the form, and
// keeps one until most of its life is over.
type tokenSource struct {
	url, id, scope string
	secret         Password
	now            func() time.Time

	mu      sync.Mutex // held while a token is got, so that one is got for all who wait
	token   string
	renewAt time.Time
}

func (t *tokenSource) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && t.now().Before(t.renewAt) {
		return t.token, nil
	}
	askedAt := t.now()
	token, life, err := t.ask(ctx)
	if err != nil {
		return "", fmt.Errorf("get an OAUTHBEARER token of %s: %w", t.place(), err)
	}
	t.token, t.renewAt = token, askedAt.Add(time.Duration(float64(life)*tokenAge))
	return token, nil
}

// place is the URL without a query, which may hold what is nobody's business.
func (t *tokenSource) place() string {
	u, err := url.Parse(t.url)
	if err != nil {
		return "the token URL"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// ask gets a token. What the server says is not repeated: it may quote what it
// was sent.
func (t *tokenSource) ask(ctx context.Context) (token string, life time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {t.id}, "client_secret": {string(t.secret)}}
	if t.scope != "" {
		form.Set("scope", t.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, errors.New("it is not a URL")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	client := &http.Client{
		// It is asked once in a while: no connection is kept.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		// The secret is for this server alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the error itself quotes the URL
		}
		return "", 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", 0, fmt.Errorf("it answers %d %s (is the client id, its secret and the scope right?)", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return readTokenAnswer(resp.Body)
}

func readTokenAnswer(body io.Reader) (token string, life time.Duration, err error) {
	text, err := io.ReadAll(io.LimitReader(body, maxTokenBytes+1))
	if err != nil {
		return "", 0, err
	}
	var answer struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   json.Number `json:"expires_in"`
	}
	if len(text) > maxTokenBytes || json.Unmarshal(text, &answer) != nil || answer.AccessToken == "" {
		return "", 0, errors.New("its answer is no JSON with an access_token, or too large")
	}
	if answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "bearer") {
		return "", 0, errors.New("its answer holds a token that is no bearer token")
	}
	life = noExpiry
	if seconds, err := answer.ExpiresIn.Float64(); err == nil && seconds > 0 {
		const most = 24 * time.Hour
		life = time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
	}
	token, err = cleanToken(answer.AccessToken, "the answer")
	return token, life, err
}
