package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirbench/weir/internal/settings"
)

// keySource finds the keys that may have signed a token. No source has keys both for HMAC and for signatures, and each
// gives a key for the algorithms of its own alone, so that a public key can't be taken for a secret.
type keySource interface {
	algorithms() []string
	// keys returns jwt's keys for a token with that algorithm and key id. The error is errUnknownKey, or
	// errKeysUnavailable where it can't be said.
	keys(algorithm, id string) ([]jwt.VerificationKey, error)
}

var (
	errUnknownKey      = errors.New("no key fits the token")
	errKeysUnavailable = errors.New("the key set is not available")
)

// newKeySource reads what is in files; a key set at a URL is fetched when the first token comes.
func newKeySource(cfg *settings.Tokens, failures *atomic.Int64, log *slog.Logger) (keySource, error) {
	switch {
	case cfg.HMACFile != "":
		s := &secretSource{reloaded[[]byte]{
			what: "secret", paths: []string{cfg.HMACFile}, log: log, failures: failures,
			load: func() ([]byte, error) { return loadSecret(cfg.HMACFile) },
		}}
		return s, atSetting("tokens.hmac_file", s.secret.start(time.Now()))
	case cfg.JWKSFile != "":
		s := &fileSource{reloaded[keySet]{
			what: "key set", paths: []string{cfg.JWKSFile}, log: log, failures: failures,
			load: func() (keySet, error) { return loadKeySet(cfg.JWKSFile, log) },
		}}
		return s, atSetting("tokens.jwks_file", s.set.start(time.Now()))
	default:
		return &urlSource{url: cfg.JWKSURL, log: log, failures: failures}, nil
	}
}

// atSetting names the setting whose file was at fault when the gateway started.
func atSetting(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w (mend the file, or its path)", key, err)
}

// secretSource is a secret for HMAC in a file.
type secretSource struct{ secret reloaded[[]byte] }

// minSecretBytes is the least that HS256 may be used with (RFC 7518, section 3.2).
const minSecretBytes = 32

func loadSecret(path string) ([]byte, error) {
	text, err := readSetting(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	secret := bytes.TrimRight(text, "\r\n")
	if len(secret) < minSecretBytes {
		return nil, fmt.Errorf("the secret in %s has %d bytes, fewer than the %d of a safe one", path, len(secret), minSecretBytes)
	}
	return secret, nil
}

func (s *secretSource) algorithms() []string { return []string{"HS256", "HS384", "HS512"} }

func (s *secretSource) keys(algorithm, _ string) ([]jwt.VerificationKey, error) {
	secret := s.secret.get(time.Now())
	method, ok := jwt.GetSigningMethod(algorithm).(*jwt.SigningMethodHMAC)
	if !ok || len(secret) < method.Hash.Size() {
		return nil, errUnknownKey // too short for this hash (RFC 7518, section 3.2)
	}
	return []jwt.VerificationKey{secret}, nil
}

func signatureAlgorithms() []string { return []string{"RS256", "ES256", "EdDSA"} }

// fileSource is a key set in a file.
type fileSource struct{ set reloaded[keySet] }

func loadKeySet(path string, log *slog.Logger) (keySet, error) {
	text, err := readSetting(path)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	set, odd, err := parseKeySet(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	odd.logTo(log, path)
	return set, nil
}

func (s *fileSource) algorithms() []string { return signatureAlgorithms() }

func (s *fileSource) keys(algorithm, id string) ([]jwt.VerificationKey, error) {
	return publicKeys(s.set.get(time.Now()), algorithm, id)
}

func publicKeys(set keySet, algorithm, id string) ([]jwt.VerificationKey, error) {
	var keys []jwt.VerificationKey
	for _, k := range set.find(algorithm, id) {
		keys = append(keys, k.key)
	}
	if len(keys) == 0 {
		return nil, errUnknownKey
	}
	return keys, nil
}

const (
	// keySetFetchInterval is the least time between two fetches, however many tokens name keys that nobody has.
	keySetFetchInterval = 10 * time.Second
	// keySetMaxAge is when a set is fetched again though every key was in it: one that was taken out must go.
	keySetMaxAge = 10 * time.Minute
	// keySetTimeout bounds a fetch.
	keySetTimeout = 5 * time.Second
)

// urlSource is a key set at a URL. It is fetched by the handshakes that need it.
type urlSource struct {
	url      string
	log      *slog.Logger
	failures *atomic.Int64

	fetching sync.Mutex // held by the handshake that fetches

	mu        sync.Mutex
	set       keySet // nil before the first fetch
	triedAt   time.Time
	fetchedAt time.Time
}

func (s *urlSource) algorithms() []string { return signatureAlgorithms() }

func (s *urlSource) keys(algorithm, id string) ([]jwt.VerificationKey, error) {
	set, old := s.known()
	keys, err := publicKeys(set, algorithm, id)
	switch {
	case err != nil:
		s.fetching.Lock() // whoever fetches may fetch this key
		defer s.fetching.Unlock()
	case !old || !s.fetching.TryLock():
		return keys, nil
	default:
		defer s.fetching.Unlock()
	}
	s.refresh()
	set, _ = s.known()
	if set == nil {
		return nil, errKeysUnavailable
	}
	return publicKeys(set, algorithm, id)
}

func (s *urlSource) known() (set keySet, old bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set, time.Since(s.fetchedAt) > keySetMaxAge
}

// refresh fetches the set unless that was tried a moment ago. What fails leaves the old set in force.
func (s *urlSource) refresh() {
	s.mu.Lock()
	early := !s.triedAt.IsZero() && time.Since(s.triedAt) < keySetFetchInterval
	if !early {
		s.triedAt = time.Now()
	}
	s.mu.Unlock()
	if early {
		return
	}
	set, odd, err := fetchKeySet(s.url)
	if err != nil {
		s.failures.Add(1)
		s.log.Error("the key set can't be fetched: the old one stays in force", "host", hostOf(s.url), "err", withoutURL(err))
		return
	}
	odd.logTo(s.log, hostOf(s.url))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set, s.fetchedAt = set, time.Now()
}

func fetchKeySet(from string) (keySet, oddKeys, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keySetTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // else who can redirect chooses the keys
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("the answer is %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxSettingFile))
	if err != nil {
		return nil, nil, err
	}
	return parseKeySet(text)
}

// hostOf is what may be logged of a URL, which can hold a password.
func hostOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// withoutURL takes the URL out of an HTTP client's error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
