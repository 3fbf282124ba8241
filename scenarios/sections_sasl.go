package scenarios

import "fmt"

// How a secured cluster is reached.

// saslFields is a sasl mapping as it was given.
type saslFields struct {
	mechanism, username, tokenURL, scope field[string]
	password, token                      field[Secret]
}

func decodeSASL(o *object) field[*SASL] {
	s, ok := o.section("sasl")
	if !ok {
		return field[*SASL]{}
	}
	hideURL(s, "token_url")
	f := saslFields{
		mechanism: s.oneOf("mechanism"), username: s.text("username", checkNotEmpty), tokenURL: s.text("token_url", checkPage),
		scope: s.text("scope", checkNotEmpty), password: s.secret("password"), token: s.secret("token"),
	}
	f.check(s)
	s.need("mechanism")
	s.finish()
	out := &SASL{
		Mechanism: f.mechanism.value, Username: f.username.value, Password: f.password.value, TokenURL: f.tokenURL.value, Scope: f.scope.value,
	}
	if f.token.state == given {
		out.Token = &f.token.value
	}
	return field[*SASL]{at: s.at, state: given, value: out}
}

// secret takes {env: NAME} or {file: PATH}.
func (o *object) secret(key string) field[Secret] {
	e, ok := o.take(key)
	if !ok {
		return field[Secret]{}
	}
	return field[Secret]{value: decodeSecret(o.r, e, o.of(key).example), at: e.at, state: given}
}

// check reports what is missing for the mechanism or has no meaning with it.
func (f saslFields) check(s *object) {
	tokens := f.token.state != absent || f.tokenURL.state != absent
	if f.mechanism.value != SASLOAuthBearer {
		if f.mechanism.state == given || !tokens {
			s.need("username", "password")
		}
		if f.mechanism.state == given {
			f.onlyOAuth(s)
		}
		return
	}
	switch {
	case f.token.state != absent && f.tokenURL.state != absent:
		s.r.addf(f.tokenURL.at, "stands beside token, and there can be one of them (remove one)")
	case f.token.state != absent:
		const got = "is for getting a token by token_url, and the token is named already (remove it)"
		for _, name := range []string{"username", "password", "scope"} {
			if e, ok := s.entries[name]; ok {
				s.r.addf(e.keyAt, got)
			}
		}
	case f.tokenURL.state != absent:
		s.need("username", "password")
	case s.ok && !s.strange():
		s.r.addf(s.at.under("token"), "is missing (write token: {env: KAFKA_TOKEN}, or token_url, username and password to get one by)")
	}
}

// onlyOAuth refuses what other mechanisms have no use for.
func (f saslFields) onlyOAuth(s *object) {
	message := fmt.Sprintf("is for mechanism: %s alone (remove it, or write mechanism: %s)", SASLOAuthBearer, SASLOAuthBearer)
	for _, name := range []string{"token", "token_url", "scope"} {
		if e, ok := s.entries[name]; ok {
			s.r.addf(e.keyAt, "%s", message)
		}
	}
}

// decodeRegistry takes where schemas are registered.
func decodeRegistry(o *object) *Registry {
	s, ok := o.section("registry")
	if !ok {
		return nil
	}
	hideURL(s, "url")
	username, password := s.text("username", checkNotEmpty), s.secret("password")
	out := &Registry{URL: s.text("url", checkPage).value, Username: username.value, CAFile: s.file("ca_file").value}
	if password.state == given {
		out.Password = &password.value
	}
	if (username.state == absent) != (password.state == absent) {
		s.need("username", "password")
	}
	s.need()
	s.finish()
	return out
}
