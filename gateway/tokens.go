package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/weirbench/weir/internal/settings"
)

// tokenLeeway is how far the clock of who issues tokens may be ahead of the gateway's.
const tokenLeeway = 5 * time.Second

// authenticator finds out who a client is. A token (RFC 7519) comes as "Authorization: Bearer …" or, since browsers
// can't set a header of a WebSocket's handshake, in the query as "token". What a token holds is neither logged nor
// answered with.
type authenticator struct {
	tokens      *settings.Tokens // nil: nobody is asked
	permissions []settings.Permission
	source      keySource
	parser      *jwt.Parser
}

func newAuthenticator(cfg *Config, failures *atomic.Int64, log *slog.Logger) (*authenticator, error) {
	a := &authenticator{tokens: cfg.Tokens, permissions: cfg.Permissions}
	if a.tokens == nil {
		return a, nil
	}
	var err error
	if a.source, err = newKeySource(a.tokens, failures, log); err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(a.source.algorithms()),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithJSONNumber(),
	}
	if a.tokens.Issuer != "" {
		options = append(options, jwt.WithIssuer(a.tokens.Issuer))
	}
	if a.tokens.Audience != "" {
		options = append(options, jwt.WithAudience(a.tokens.Audience))
	}
	a.parser = jwt.NewParser(options...)
	return a, nil
}

// identify returns who sends the request, or what it is refused with: ErrorUnauthorized, or ErrorNotReady where that
// can't be found out now.
func (a *authenticator) identify(r *http.Request) (*identity, *requestError) {
	token, given := bearerToken(r)
	switch {
	case a.tokens == nil, !given && a.tokens.Anonymous:
		return &identity{rights: rightsOf(a.permissions, "", nil)}, nil
	case !given:
		return nil, &requestError{ErrorUnauthorized, `a token is needed (as "Authorization: Bearer …", or in the query as "token")`}
	}
	who, err := a.verify(token)
	if errors.Is(err, errKeysUnavailable) {
		return nil, &requestError{ErrorNotReady, "the key set for tokens can't be fetched"}
	}
	if err != nil {
		return nil, &requestError{ErrorUnauthorized, tokenFault(err)}
	}
	return who, nil
}

// bearerToken finds the token. A header counts before the query.
func bearerToken(r *http.Request) (token string, given bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, rest, _ := strings.Cut(header, " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(rest), true
		}
		return "", true // of another scheme: no token that could be valid, and not nobody either
	}
	query := r.URL.Query()
	return query.Get("token"), query.Has("token")
}

var errCritical = errors.New("the token has a critical header that is not supported")

func (a *authenticator) verify(text string) (*identity, error) {
	claims := jwt.MapClaims{}
	_, err := a.parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		if _, ok := t.Header["crit"]; ok { // must not be ignored (RFC 7515, section 4.1.11)
			return nil, errCritical
		}
		id, _ := t.Header["kid"].(string)
		keys, err := a.source.keys(t.Method.Alg(), id)
		return jwt.VerificationKeySet{Keys: keys}, err
	})
	if err != nil {
		return nil, err
	}
	if !plausibleTimes(claims) {
		return nil, jwt.ErrTokenInvalidClaims
	}
	expiresAt, err := claims.GetExpirationTime()
	if err != nil || expiresAt == nil {
		return nil, jwt.ErrTokenRequiredClaimMissing
	}
	if !time.Now().Before(expiresAt.Time) {
		return nil, jwt.ErrTokenExpired // the leeway is for the token's beginning alone
	}
	subject, err := claims.GetSubject()
	if err != nil {
		return nil, jwt.ErrTokenInvalidClaims
	}
	return &identity{
		subject:   subject,
		expiresAt: expiresAt.Time,
		rights:    rightsOf(a.permissions, subject, claims),
	}, nil
}

// maxTokenTime is the end of the year 9999, in s since the epoch.
const maxTokenTime = 253402300799

// plausibleTimes reports whether the token's times are of a calendar: much larger ones overflow, and would make what is
// not valid yet valid since long ago.
func plausibleTimes(claims jwt.MapClaims) bool {
	for _, name := range []string{"exp", "nbf", "iat"} {
		if n, ok := claims[name].(json.Number); ok {
			if s, err := n.Float64(); err != nil || s < 0 || s > maxTokenTime {
				return false
			}
		}
	}
	return true
}

// tokenFault says what is wrong with a token, in words that hold nothing of it.
func tokenFault(err error) string {
	for _, f := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenExpired, "the token has expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "the token is not valid yet"},
		{jwt.ErrTokenInvalidIssuer, "the token is of another issuer"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks a claim that is demanded (exp, and iss and aud where set)"},
		{errCritical, errCritical.Error()},
		{errUnknownKey, "the token is signed with a key that is not known"},
		{jwt.ErrTokenSignatureInvalid, "the token's signature or its algorithm is not accepted"},
		{jwt.ErrTokenMalformed, "what was given is not a token"},
	} {
		if errors.Is(err, f.err) {
			return f.text
		}
	}
	return "the token is not valid"
}
