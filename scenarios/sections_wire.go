package scenarios

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// TLS, and what wire profiles are made of, with the secrets that they name.

// decodeTLS takes true or {ca: …, cert: …, key: …, server_name: …}.
func decodeTLS(o *object) field[*TLS] {
	e, ok := o.entries["tls"]
	if !ok || e.value.kind != yaml.MappingNode {
		f := o.boolean("tls")
		out := field[*TLS]{at: f.at, state: f.state}
		if f.value {
			out.value = &TLS{}
		}
		return out
	}
	o.take("tls")
	t := openObject(o.r, e.value, e.at, tlsShape)
	ca, cert, key, name := t.text("ca", checkPath), t.text("cert", checkPath), t.text("key", checkPath), t.text("server_name", checkHost)
	if cert.state == absent && key.state != absent {
		t.need("cert")
	}
	if key.state == absent && cert.state != absent {
		t.need("key")
	}
	t.finish()
	beside := func(f field[string]) string {
		if f.state != given {
			return ""
		}
		return o.r.beside(f.value)
	}
	return field[*TLS]{at: e.at, state: given, value: &TLS{CAFile: beside(ca), CertFile: beside(cert), KeyFile: beside(key), ServerName: name.value}}
}

func checkHost(name string) error {
	if !hostForm.MatchString(name) {
		return fmt.Errorf("%s is not a host's name (write kafka.example.org)", quote(name))
	}
	return nil
}

// decodeSecret takes {env: NAME} or {file: PATH}. A secret that is written out is refused, and not repeated.
func decodeSecret(r *reporter, e entry, example string) Secret {
	if e.value.kind == yaml.SequenceNode || e.value.kind == yaml.ScalarNode && e.value.tag != "!!null" {
		writtenOut(r, e, example)
		return Secret{}
	}
	o := openObject(r, e.value, e.at, secretShape)
	_, _, one := o.only()
	hideUnlikely(o)
	s := Secret{Env: o.text("env", checkVariable).value}
	if file := o.text("file", checkPath); file.state == given {
		s.File = r.beside(file.value)
	}
	o.finish()
	if !one {
		return Secret{}
	}
	return s
}

// hideUnlikely hides what stands for a variable's name and can't be one: it may be the secret.
func hideUnlikely(o *object) {
	if e, ok := o.entries["env"]; ok && (e.value.kind != yaml.ScalarNode || !variableForm.MatchString(e.value.value)) {
		o.r.hide(e.at)
	}
}

func writtenOut(r *reporter, e entry, example string) {
	r.hide(e.at)
	at := e.at
	at.vars = ""
	r.addf(at, "is written out, and would stand in the run's record (write %s, or {file: PATH})", example)
}

func checkVariable(name string) error {
	if !variableForm.MatchString(name) {
		return fmt.Errorf("is not the name of a variable (write KAFKA_PASSWORD)") // not repeated: it may be the secret
	}
	return nil
}

func checkNotEmpty(text string) error {
	if text == "" {
		return fmt.Errorf("is empty")
	}
	return nil
}

// The placeholders of a profile's texts.
var (
	channelPlaceholders = []string{"client", "topic", "key", "channel", "channels"}
	greetPlaceholders   = []string{"client", "topic", "channels"}
	publishPlaceholders = []string{"client", "topic", "key", "channel", "id", "value"}
)

func sendable(known []string) func(string) error {
	return func(text string) error { return checkPlaceholders(text, known...) }
}

// decodeTexts takes a list of texts.
func decodeTexts(o *object, key string, check func(string) error) []string {
	items, f := o.list(key)
	if len(items) > maxProfileItems {
		o.r.addf(f.at, "%d are too many (at most %d)", len(items), maxProfileItems)
		return nil
	}
	var out []string
	for _, i := range items {
		text := parseScalar(o.r, i.value, i.at, o.of(key).item.want, func(n *node) (string, error) { return textOf(n, check) })
		out = append(out, text.value)
	}
	return out
}

// openItems takes a mapping of a profile whose keys the user names; ok is false where it is not there or has too many.
func openItems(o *object, key string, s *shape) (items *object, ok bool) {
	e, ok := o.take(key)
	if !ok {
		return nil, false
	}
	items = openObject(o.r, e.value, e.at, s)
	if len(items.order) > maxProfileItems {
		o.r.addf(e.at, "%d are too many (at most %d)", len(items.order), maxProfileItems)
		return nil, false
	}
	return items, true
}

func decodeQuery(o *object) []Pair {
	query, ok := openItems(o, "query", queryShape)
	if !ok {
		return nil
	}
	var out []Pair
	for _, name := range query.order {
		value, secret := secretOrText(query, name, secretQuery, sendable(channelPlaceholders))
		out = append(out, Pair{Name: name, Value: value, Secret: secret})
	}
	query.finish()
	return out
}

// secretQuery finds the names in a URL's query whose values are secrets.
var secretQuery = regexp.MustCompile(`(?i)token|secret|passw(or)?d|passphrase|pwd|credential|cookie|jwt|bearer|signature` +
	`|auth($|[^o]|ori[sz])|(^|[^a-z])(key|sig)($|[^a-z])|(access|api|app|auth|private|shared|user)[-_]?key`)

// secretInQuery returns the first name in a URL's query that is a secret's, with a value.
func secretInQuery(text string) (name string, ok bool) {
	_, query, _ := strings.Cut(text, "?")
	for _, pair := range strings.FieldsFunc(query, func(c rune) bool { return strings.ContainsRune("&;?#", c) }) {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if value != "" && secretQuery.MatchString(name) {
			return name, true
		}
	}
	return "", false
}

// secretHeader finds the names of headers whose values are secrets.
var secretHeader = regexp.MustCompile(`(?i)authorization|cookie|token|key|secret|passw(or)?d|credential`)

var headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")

// handshakeOwn are the headers that the WebSocket handshake sets itself.
var handshakeOwn = []string{"connection", "host", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version", "upgrade"}

func decodeHandshake(o *object) []HandshakeHeader {
	headers, ok := openItems(o, "headers", handshakeShape)
	if !ok {
		return nil
	}
	var out []HandshakeHeader
	for _, name := range headers.order {
		h := headers.entries[name]
		switch {
		case !headerForm.MatchString(name):
			o.r.addf(h.keyAt, "%s is not a header's name", quote(name))
		case slices.Contains(handshakeOwn, strings.ToLower(name)):
			o.r.addf(h.keyAt, "is a header that the handshake sets itself (remove it%s)", subprotocolMend(name))
		}
		out = append(out, handshakeHeader(headers, name))
	}
	headers.finish()
	return out
}

func subprotocolMend(name string) string {
	if strings.EqualFold(name, "Sec-WebSocket-Protocol") {
		return ", and write subprotocol"
	}
	return ""
}

func handshakeHeader(headers *object, name string) HandshakeHeader {
	value, secret := secretOrText(headers, name, secretHeader, checkHeaderValue)
	return HandshakeHeader{Name: name, Value: value, Secret: secret}
}

// secretOrText takes a text, or {env: NAME} or {file: PATH} with what stands before the secret. A text is refused, and
// not repeated, where the name is a secret's; but in a query {key} and the like are no secrets.
func secretOrText(o *object, name string, secretNames *regexp.Regexp, check func(string) error) (before string, secret *Secret) {
	r, e := o.r, o.entries[name]
	if e.value.kind != yaml.MappingNode {
		literal := e.value.tag != "!!null" && !e.value.unknown
		literal = literal && (secretNames == secretHeader || !placeholder.MatchString(e.value.value))
		if literal && secretNames.MatchString(name) {
			o.take(name)
			writtenOut(r, e, "{env: NAME}")
			return "", nil
		}
		return o.text(name, check).value, nil
	}
	o.take(name)
	s := openObject(r, e.value, e.at, prefixedSecretShape)
	hideUnlikely(s)
	env, file, prefix := s.text("env", checkVariable), s.text("file", checkPath), s.text("prefix", check)
	s.finish()
	switch {
	case env.state != absent && file.state != absent:
		r.addf(file.at, "stands beside env, and there can be one of them (remove one)")
	case env.state == absent && file.state == absent:
		r.addf(e.at, "names no secret (write {env: TOKEN}, or {file: PATH})")
	}
	secret = &Secret{Env: env.value}
	if file.state == given {
		secret.File = r.beside(file.value)
	}
	return prefix.value, secret
}

func checkHeaderValue(text string) error {
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return fmt.Errorf("%s has a control character, which no header may have", quote(text))
	}
	return checkPlaceholders(text, "client")
}

func decodePublishProfile(o *object) *PublishProfile {
	e, ok := o.take("publish")
	if !ok {
		return nil
	}
	p := openObject(o.r, e.value, e.at, publishProfileShape)
	frame := p.text("frame", sendable(publishPlaceholders))
	out := &PublishProfile{
		Frame:   frame.value,
		Acked:   p.text("acked", checkNotEmpty).value,
		Refused: p.text("refused", checkNotEmpty).value,
		Failed:  p.text("failed", checkNotEmpty).value,
		ID:      p.text("id", checkNotEmpty).value,
	}
	for _, needed := range []string{"{id}", "{value}"} {
		if frame.state == given && !strings.Contains(frame.value, needed) {
			o.r.addf(frame.at, "has no %s (put it where it must stand)", needed)
		}
	}
	p.need()
	p.finish()
	return out
}
