package loadgen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/weirbench/weir/internal/scrub"
	"github.com/weirbench/weir/scenarios"
)

// profile is a wire profile made ready: its texts are cut at their placeholders, its prefixes are bytes.
type profile struct {
	wire                *scenarios.WireProfile
	path                template
	query               []template
	headers             []template
	secrets             []string // by header; empty until they are read
	querySecrets        []string // by pair of the query; empty until they are read
	channel, keyChannel template
	greet               []template
	subscribe           template
	opcode              byte // of the messages that are sent
	separator           []byte
	control             [][]byte
	refusal, notices    []byte
	ping                []byte
	pong                []byte // its whole frame
	receivedAt          mark
	queuedAt            mark
	resume              *resumeProfile // nil where the profile has none
	joined              []byte         // begins the answer that puts subscriptions in force; nil where join markers do
	framing             framing
	framed              bool // messages come in one that is not plain
	form                valueForm
	acknowledge         *acknowledgement // nil for none, and where the framing does it
}

// profileError names the field of the profile that can't be used.
func profileError(field, format string, args ...any) error {
	return fmt.Errorf("gateway.profile.%s: %s", field, fmt.Sprintf(format, args...))
}

// compileProfile makes the plan's wire profile ready. The error tells of every field that can't be used.
func compileProfile(plan *scenarios.Plan) (*profile, error) {
	w := &plan.Gateway.Profile
	p := &profile{
		wire: w, path: parseTemplate(w.Path), channel: parseTemplate(w.Channel), keyChannel: parseTemplate(w.KeyChannel),
		subscribe: parseTemplate(w.Subscribe), secrets: make([]string, len(w.Headers)), querySecrets: make([]string, len(w.Query)), opcode: opText,
		separator: bytesOf(w.Separator), refusal: bytesOf(w.Refusal), notices: bytesOf(w.Notice), ping: bytesOf(w.Ping),
		receivedAt: newMark(w.ReceivedAt), queuedAt: newMark(w.QueuedAt),
	}
	if w.Binary {
		p.opcode = opBinary
	}
	if w.Pong != "" {
		p.pong = appendClientFrame(nil, p.opcode, []byte(w.Pong))
	}
	for _, g := range w.Greet {
		p.greet = append(p.greet, parseTemplate(g))
	}
	for _, q := range w.Query {
		p.query = append(p.query, parseTemplate(q.Value))
	}
	for _, h := range w.Headers {
		p.headers = append(p.headers, parseTemplate(h.Value))
	}
	for _, c := range w.Control {
		p.control = append(p.control, []byte(c))
	}
	return p, errors.Join(p.compileWire(), p.checkNames(plan), p.checkURL(plan), p.checkHeaders(), p.checkMessages(), p.compileResume(plan), p.compileJoined())
}

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// checkNames: what names channels can't hold them, and is there where they are asked for.
func (p *profile) checkNames(plan *scenarios.Plan) error {
	var errs []error
	if p.channel.has(holeKey, holeChannel, holeChannels) {
		errs = append(errs, profileError("channel", "only {topic} and {client} can stand in the name of a topic's channel"))
	}
	if p.keyChannel.has(holeChannel, holeChannels) {
		errs = append(errs, profileError("key_channel", "only {topic}, {key} and {client} can stand in the name of a key's channel"))
	}
	if !p.asksForChannels() {
		return errors.Join(errs...)
	}
	for i := range plan.Clients {
		sub := &plan.Clients[i].Subscribe
		switch {
		case sub.Topic == "":
		case sub.All && len(p.channel) == 0:
			errs = append(errs, profileError("channel", "clients of group %s follow a whole topic, and nothing says what its channel is called (write {topic})", plan.Clients[i].Name))
		case !sub.All && !p.keyChannel.has(holeKey):
			errs = append(errs, profileError("key_channel", "clients of group %s follow keys, and the name of a key's channel does not hold {key} (write {topic}/{key})", plan.Clients[i].Name))
		}
	}
	return errors.Join(errs...)
}

func (p *profile) asksForChannels() bool {
	named := p.subscribe.has(holeChannel, holeChannels) || p.path.has(holeChannel, holeChannels) ||
		p.wire.Framing == framingSTOMP || p.wire.Event != ""
	for _, texts := range [][]template{p.query, p.greet} {
		for _, t := range texts {
			named = named || t.has(holeChannel, holeChannels)
		}
	}
	return named
}

// checkURL: what is added to the target's URL must be a URL's.
func (p *profile) checkURL(plan *scenarios.Plan) error {
	var errs []error
	if strings.ContainsAny(p.wire.Path, "?#") {
		errs = append(errs, profileError("path", "%q holds a ? or # (what follows a ? goes into query)", p.wire.Path))
	} else if _, err := url.Parse("ws://host/" + p.path.expand(&terms{}, url.PathEscape, true)); err != nil || strings.ContainsAny(p.wire.Path, " \r\n\t") {
		errs = append(errs, profileError("path", "%q is not a URL's path (escape it as in a URL)", p.wire.Path))
	}
	for i := range plan.Clients {
		g := &plan.Clients[i]
		if p.path.has(holeChannel, holeKey) && (g.Subscribe.Topic == "" || !g.Subscribe.All && g.Subscribe.Keys != 1) {
			errs = append(errs, profileError("path", "{channel} and {key} stand for one channel, and clients of group %s do not follow exactly one (use query or subscribe)", g.Name))
		}
	}
	for i, q := range p.wire.Query {
		if q.Name == "" {
			errs = append(errs, profileError(fmt.Sprintf("query[%d]", i), "it has no name"))
		}
	}
	return errors.Join(errs...)
}

// checkHeaders: names are tokens (RFC 9110, section 5.6.2) and none of those that make the handshake.
func (p *profile) checkHeaders() error {
	var errs []error
	for i, h := range p.wire.Headers {
		name := http.CanonicalHeaderKey(h.Name)
		switch {
		case !isToken(h.Name):
			errs = append(errs, profileError(fmt.Sprintf("headers[%d]", i), "%q is not the name of a header", h.Name))
		case name == "Upgrade" || name == "Connection" || strings.HasPrefix(name, "Sec-Websocket-"):
			errs = append(errs, profileError(fmt.Sprintf("headers[%d]", i), "%s belongs to the handshake itself (a subprotocol goes into subprotocol)", h.Name))
		case !isHeaderValue(h.Value):
			errs = append(errs, profileError(fmt.Sprintf("headers[%d]", i), "the value of %s holds control characters", h.Name))
		case p.headers[i].has(holeKey, holeChannel):
			errs = append(errs, profileError(fmt.Sprintf("headers[%d]", i), "{channel} and {key} have no place in a header, which is sent once (use {channels})"))
		}
	}
	if s := p.wire.Subprotocol; s != "" && !isToken(s) {
		errs = append(errs, profileError("subprotocol", "%q is not the name of one", s))
	}
	return errors.Join(errs...)
}

func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

func isHeaderValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// checkMessages: what is sent once is not about one channel, and no prefix is empty, since every message begins so.
func (p *profile) checkMessages() error {
	var errs []error
	for i, g := range p.greet {
		if g.has(holeChannel, holeKey) {
			errs = append(errs, profileError(fmt.Sprintf("greet[%d]", i), "{channel} and {key} have no place in what is sent once (use {channels}, or subscribe)"))
		}
	}
	for i, c := range p.control {
		if len(c) == 0 {
			errs = append(errs, profileError(fmt.Sprintf("control[%d]", i), "every message begins with an empty text"))
		}
	}
	switch {
	case len(p.ping) > 0 && len(p.pong) == 0:
		errs = append(errs, profileError("pong", "ping is set, and nothing says how to answer it"))
	case len(p.ping) == 0 && len(p.pong) > 0:
		errs = append(errs, profileError("ping", "pong is set, and nothing says what it answers"))
	}
	return errors.Join(errs...)
}

// readSecrets reads the secrets of the headers and of the query and returns what takes them out of texts. No error holds any.
func (p *profile) readSecrets() (*scrub.Scrubber, error) {
	var errs []error
	for i, h := range p.wire.Headers {
		if h.Secret == nil {
			continue
		}
		secret, err := h.Secret.Read()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("gateway.profile.headers[%d]: the secret of %s: %w", i, h.Name, err))
		case !isHeaderValue(secret):
			errs = append(errs, profileError(fmt.Sprintf("headers[%d]", i), "the secret of %s holds control characters and can't be sent in a header", h.Name))
		}
		p.secrets[i] = secret
	}
	for i, q := range p.wire.Query {
		if q.Secret == nil {
			continue
		}
		secret, err := q.Secret.Read()
		if err != nil {
			errs = append(errs, fmt.Errorf("gateway.profile.query[%d]: the secret of %s: %w", i, q.Name, err))
		}
		p.querySecrets[i] = secret
	}
	return scrub.New(slices.Concat(p.secrets, p.querySecrets)...), errors.Join(errs...)
}

// termsOf is what the profile's placeholders stand for with a client, {key} and {channel} apart, and the keys of its
// channels.
func (s *swarm) termsOf(c *client) (t terms, keys []string) {
	g := &s.topo.groups[c.group]
	t.client = fmt.Sprintf("%s-%d", g.plan.Name, s.number(c))
	if g.plan.Subscribe.Topic == "" {
		return t, nil
	}
	t.topic = s.topicName(g.plan.Subscribe.Topic)
	if g.plan.Subscribe.All {
		t.channels, keys = []string{s.profile.channel.plain(&t)}, []string{""}
		return t, keys
	}
	for _, k := range scenarios.ClientKeys(g.plan.Subscribe, c.index, g.keys) {
		of := t
		of.key = scenarios.KeyName(k)
		keys = append(keys, of.key)
		t.channels = append(t.channels, s.profile.keyChannel.plain(&of))
	}
	return t, keys
}

// each calls f with the terms of each channel.
func (t terms) each(keys []string, f func(*terms)) {
	for i := range t.channels {
		one := t
		one.channel, one.key = t.channels[i], keys[i]
		f(&one)
	}
}

// greeting is what a client sends once connected, as frames; empty for nothing.
func (s *swarm) greeting(c *client) []byte { return s.profile.framing.greeting(s, c) }

// callOf is how a client calls the target.
func (s *swarm) callOf(c *client) call {
	p, g := s.profile, &s.topo.groups[c.group].plan
	with, keys := s.termsOf(c)
	base := s.instanceOf(c).url
	to := call{url: s.urlFor(base, with, keys), shown: joinPath(base, p.wire.Path), header: http.Header{}, from: s.sourceOf(c)}
	for i, h := range p.wire.Headers {
		to.header.Add(h.Name, p.headers[i].message(&with)+p.secrets[i])
	}
	if g.Slow != nil {
		to.receiveBuffer = g.Slow.ReceiveBuffer
	}
	if p.wire.Deflate {
		to.deflate = &c.deflate
	}
	return to
}

// urlFor is the target's URL with the profile's path and query.
func (s *swarm) urlFor(base string, with terms, keys []string) string {
	p := s.profile
	one := with
	if len(with.channels) == 1 {
		one.channel, one.key = with.channels[0], keys[0]
	}
	var query []string
	for i, q := range p.query {
		add := func(t *terms) {
			query = append(query, url.QueryEscape(p.wire.Query[i].Name)+"="+url.QueryEscape(q.plain(t)+p.querySecrets[i]))
		}
		if q.has(holeChannel, holeKey) {
			with.each(keys, add)
		} else {
			add(&with)
		}
	}
	whole := joinPath(base, p.path.expand(&one, url.PathEscape, true))
	if len(query) == 0 {
		return whole
	}
	if strings.Contains(whole, "?") {
		return whole + "&" + strings.Join(query, "&")
	}
	return whole + "?" + strings.Join(query, "&")
}

// joinPath puts a path behind that of a URL, in front of the URL's own query.
func joinPath(base, path string) string {
	if path == "" {
		return base
	}
	base, query, asked := strings.Cut(base, "?")
	whole := strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(path, "/")
	if asked {
		whole += "?" + query
	}
	return whole
}

// keyOf is the key id that a channel's name stands for, or −1.
func (s *swarm) keyOf(c *client, channel string) int {
	with, _ := s.termsOf(c)
	const mark = "\x00"
	with.key = mark
	before, behind, _ := strings.Cut(s.profile.keyChannel.plain(&with), mark)
	name, begins := strings.CutPrefix(channel, before)
	name, ends := strings.CutSuffix(name, behind)
	if !begins || !ends {
		return -1
	}
	return keyOf(name)
}

// meaning is what a message without a stamp is.
type meaning uint8

const (
	meansForeign meaning = iota
	meansControl
	meansRefusal
	meansNotice
	meansPing
)

func (p *profile) meaning(payload []byte) meaning {
	switch {
	case len(p.ping) > 0 && bytes.Equal(payload, p.ping):
		return meansPing
	case len(p.refusal) > 0 && bytes.HasPrefix(payload, p.refusal):
		return meansRefusal
	case len(p.notices) > 0 && bytes.HasPrefix(payload, p.notices):
		return meansNotice
	}
	for _, c := range p.control {
		if bytes.HasPrefix(payload, c) {
			return meansControl
		}
	}
	return meansForeign
}

// The kinds of notices that are more than a remark.
const (
	noticeDropped = "dropped"
	noticeSlow    = "slow" // the client's queue fills up
)

// notice is what a target tells a client beside its messages: what it dropped for it, or that it soon will.
type notice struct {
	Kind      string `json:"kind"`
	Channel   string `json:"channel"`
	Partition int    `json:"partition"`
	Count     int64  `json:"count"`
}

func parseNotice(payload []byte) (notice, error) {
	var n notice
	if err := json.Unmarshal(payload, &n); err != nil {
		return n, fmt.Errorf("parse a notice: %w", err)
	}
	return n, nil
}
