package scenarios

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weirbench/weir/internal/settings"
)

// The settings of weir's own gateway.

// settingsItem is settings with where they name topics.
type settingsItem struct {
	settings.Gateway
	at         place
	batched    []field[string] // topics that are served
	keyed      []field[string] // topics that are published to
	published  []string        // in a file of the gateway's own: the topics that clients may publish to
	queueTotal field[int64]
}

// decodeSettings takes the keys of settingsKeys from a mapping that has them among its own.
func decodeSettings(o *object) settingsItem {
	s := settingsItem{at: o.at}
	s.Compression = o.boolean("compression").value
	s.Resume, s.Consume = decodeResumeSettings(o), decodeConsume(o)
	s.Batch, s.batched = decodeBatch(o)
	decodePublishSettings(o, &s)
	s.Limits, s.queueTotal = decodeLimits(o)
	s.Timeouts, s.Origins = decodeTimeouts(o), decodeOrigins(o)
	s.TLS, s.Tokens = decodeServedTLS(o), decodeTokens(o)
	s.Permissions = decodePermissions(o)
	s.Trace = decodeTrace(o)
	s.Pprof = o.text("pprof", checkHostPort(0)).value
	return s
}

// section opens the mapping of a key; ok is false where it is not there.
func (o *object) section(key string) (s *object, ok bool) {
	e, ok := o.take(key)
	if !ok {
		return nil, false
	}
	return openObject(o.r, e.value, e.at, o.of(key).shape), true
}

func decodeConfig(o *object) field[settingsItem] {
	before := len(o.r.problems)
	c, ok := o.section("config")
	if !ok {
		return field[settingsItem]{}
	}
	s := decodeSettings(c)
	c.finish()
	return field[settingsItem]{value: s, at: c.at, state: stateSince(o.r, before)}
}

func decodeResumeSettings(o *object) settings.Resume {
	s, ok := o.section("resume")
	if !ok {
		return settings.Resume{}
	}
	out := settings.Resume{
		Off:            !s.boolean("enabled").or(true),
		MemoryBytes:    s.size("memory").value,
		Replays:        s.integer("replays").value,
		PositionsEvery: s.duration("positions_every").value,
	}
	s.finish()
	return out
}

func decodeConsume(o *object) settings.Consume {
	s, ok := o.section("consume")
	if !ok {
		return settings.Consume{}
	}
	group, member, protocol, routed := s.text("group", checkNotEmpty), s.text("member", checkNotEmpty), s.oneOf("protocol"), s.boolean("routed")
	if group.state == absent {
		const alone = "is for a consumer group (write group: NAME, or remove it)"
		for _, at := range []struct {
			is fieldState
			place
		}{{member.state, member.at}, {protocol.state, protocol.at}, {routed.state, routed.at}} {
			if at.is == given {
				s.r.addf(at.place, alone)
			}
		}
	}
	s.finish()
	return settings.Consume{Group: group.value, Member: member.value, Protocol: protocol.value, Routed: routed.value}
}

func decodeBatch(o *object) (batches []settings.Batch, topics []field[string]) {
	s, ok := openItems(o, "batch", batchShape)
	if !ok {
		return nil, nil
	}
	for _, topic := range s.order {
		e, _ := s.take(topic)
		b := openObject(s.r, e.value, e.at, batchTopicShape)
		interval, size := b.duration("interval"), b.size("size")
		b.need()
		b.finish()
		batches = append(batches, settings.Batch{Topic: topic, Interval: interval.value, Bytes: int(size.value)})
		topics = append(topics, field[string]{value: topic, at: e.keyAt, state: given})
	}
	s.finish()
	return batches, topics
}

func decodePublishSettings(o *object, out *settingsItem) {
	s, ok := o.section("publish")
	if !ok {
		return
	}
	out.Publish = settings.Publish{
		MaxInFlight: s.integer("max_in_flight").value,
		BufferBytes: int(s.size("buffer").value),
		Linger:      s.duration("linger").value,
		Dedup:       s.duration("deduplicate").value,
	}
	if keys, ok := openItems(s, "keys", publishKeysShape); ok {
		for _, topic := range keys.order {
			if out.Publish.Keys == nil {
				out.Publish.Keys = map[string]string{}
			}
			out.Publish.Keys[topic] = keys.text(topic, sendable([]string{"subject"})).value
			out.keyed = append(out.keyed, field[string]{value: topic, at: keys.entries[topic].keyAt, state: given})
		}
		keys.finish()
	}
	if _, listed := s.shape.key("topics"); listed {
		out.published = decodeTopics(s)
	}
	s.finish()
}

func decodeLimits(o *object) (settings.Limits, field[int64]) {
	s, ok := o.section("limits")
	if !ok {
		return settings.Limits{}, field[int64]{}
	}
	total := limitOf(s, "queue_total", "a size such as 1GiB", func(n *node, k key) (int64, error) { return sizeOf(n, k.low, k.high) })
	out := settings.Limits{
		Connections:          int(limitOf(s, "connections", "a whole number", countLimit).value),
		ConnectionsPerSource: int(limitOf(s, "connections_per_source", "a whole number", countLimit).value),
		ChannelsPerClient:    s.integer("channels_per_client").value,
		PatternsPerClient:    s.integer("patterns_per_client").value,
		MessageBytes:         int(s.size("message").value),
		FramesPerSecond:      int(limitOf(s, "frames", "a rate such as 100/s", rateLimit).value),
		SubscribesPerSecond:  int(limitOf(s, "subscribes", "a rate such as 100/s", rateLimit).value),
		QueueBytesTotal:      total.value,
	}
	s.finish()
	return out, total
}

// limitOf takes a bound, or unlimited, which is −1.
func limitOf(o *object, name, want string, parse func(*node, key) (int64, error)) field[int64] {
	k := o.of(name)
	return scalar(o, name, want+", or "+unlimited, func(n *node) (int64, error) {
		if n.value == unlimited {
			return -1, nil
		}
		value, err := parse(n, k)
		if err != nil && Nearest(n.value, []string{unlimited}) != "" {
			err = fmt.Errorf("%s is not known here (did you mean %s?)", quote(n.value), unlimited)
		}
		return value, err
	})
}

func countLimit(n *node, k key) (int64, error) {
	value, err := intOf(n)
	if err != nil {
		return 0, err
	}
	return int64(value), within(int64(value), k.low, k.high, func(n int64) string { return fmt.Sprint(n) })
}

// rateLimit takes a rate of whole frames a second.
func rateLimit(n *node, k key) (int64, error) {
	value, err := rateOf(n, float64(k.high))
	if err != nil {
		return 0, err
	}
	if rounded := math.Round(value); math.Abs(value-rounded) > 1e-9*value || rounded < float64(k.low) {
		return 0, fmt.Errorf("%s is no whole number a second (write %d/s)", quote(n.value), int64(max(math.Ceil(value), float64(k.low))))
	}
	return int64(math.Round(value)), nil
}

func decodeTimeouts(o *object) settings.Timeouts {
	s, ok := o.section("timeouts")
	if !ok {
		return settings.Timeouts{}
	}
	out := settings.Timeouts{
		Handshake: s.duration("handshake").value, Write: s.duration("write").value, Ping: s.duration("ping").value,
		Close: s.duration("close").value, Drain: s.duration("drain").value, DrainSpread: s.duration("drain_spread").value,
	}
	s.finish()
	return out
}

func decodeOrigins(o *object) settings.Origins {
	s, ok := o.section("origins")
	if !ok {
		return settings.Origins{}
	}
	out := settings.Origins{Allow: decodeTexts(s, "allow", checkOrigin), RefuseNone: s.oneOf("without").value == "refuse"}
	s.finish()
	return out
}

// file takes the path of a file, relative to the one that is read.
func (o *object) file(key string) field[string] {
	f := o.text(key, checkPath)
	if f.state == given {
		f.value = o.r.beside(f.value)
	}
	return f
}

func decodeServedTLS(o *object) *settings.TLS {
	s, ok := o.section("tls")
	if !ok {
		return nil
	}
	out := &settings.TLS{CertFile: s.file("cert_file").value, KeyFile: s.file("key_file").value}
	s.need()
	s.finish()
	return out
}

func decodeTokens(o *object) *settings.Tokens {
	s, ok := o.section("tokens")
	if !ok {
		return nil
	}
	hideURL(s, "jwks_url")
	hmac, file, address := s.file("hmac_file"), s.file("jwks_file"), s.text("jwks_url", checkPage)
	out := &settings.Tokens{
		HMACFile: hmac.value, JWKSFile: file.value, JWKSURL: address.value,
		Issuer: s.text("issuer", checkNotEmpty).value, Audience: s.text("audience", checkNotEmpty).value, Anonymous: s.boolean("anonymous").value,
	}
	if s.ok && hmac.state == absent && file.state == absent && address.state == absent && !s.strange() {
		s.r.addf(s.at, "names nothing that tokens are checked by (write hmac_file, jwks_file or jwks_url)")
	}
	if hmac.state != absent && file.state != absent || (hmac.state != absent || file.state != absent) && address.state != absent {
		s.r.addf(s.at, "names more than one thing that tokens are checked by (keep one of hmac_file, jwks_file and jwks_url)")
	}
	s.finish()
	return out
}

func decodePermissions(o *object) []settings.Permission {
	items, f := o.list("permissions")
	if len(items) > maxProfileItems {
		o.r.addf(f.at, "%d are too many (at most %d)", len(items), maxProfileItems)
		return nil
	}
	_, asked := o.entries["tokens"]
	var out []settings.Permission
	for _, i := range items {
		out = append(out, permissionOf(o.r, i, asked))
	}
	return out
}

// permissionOf takes one permission; asked is whether clients are asked who they are.
func permissionOf(r *reporter, i item, asked bool) settings.Permission {
	s := openObject(r, i.value, i.at, permissionShape)
	claim, value := s.text("claim", checkNotEmpty), s.text("value", checkNotEmpty)
	p := settings.Permission{Channels: decodeTexts(s, "channels", checkPattern), Claim: claim.value, Value: value.value}
	allowed := decodeWords(s, "allow")
	p.Subscribe, p.Publish, p.Presence = slices.Contains(allowed, "subscribe"), slices.Contains(allowed, "publish"), slices.Contains(allowed, "presence")
	p.Resume = slices.Contains(allowed, "resume")
	if (claim.state == absent) != (value.state == absent) {
		s.need("claim", "value")
	}
	const nobody = "is of a token, and clients are asked for none (write tokens, or remove it)"
	if claim.state == given && !asked {
		r.addf(claim.at, nobody)
	}
	if e, ok := s.entries["channels"]; ok && !asked {
		for at, pattern := range p.Channels {
			if strings.Contains(pattern, "{subject}") {
				r.addf(e.at.under(fmt.Sprint(at)), "{subject} "+nobody)
			}
		}
	}
	s.need()
	s.finish()
	return p
}

func checkPattern(text string) error {
	if text == "" {
		return fmt.Errorf("is empty, and no channel has that name (write ** for all)")
	}
	return checkPlaceholders(text, "subject")
}

// decodeWords takes a list of words.
func decodeWords(o *object, key string) []string {
	items, _ := o.list(key)
	words := o.of(key).item.words
	var out []string
	for _, i := range items {
		word := parseScalar(o.r, i.value, i.at, "one of "+strings.Join(words, ", "), func(n *node) (string, error) { return wordOf(n, words) })
		if word.state == given && slices.Contains(out, word.value) {
			o.r.addf(word.at, "%s stands here a second time (keep one)", quote(word.value))
		}
		out = append(out, word.value)
	}
	return out
}

func decodeTrace(o *object) settings.Trace {
	s, ok := o.section("trace")
	if !ok {
		return settings.Trace{}
	}
	hideURL(s, "endpoint")
	out := settings.Trace{Endpoint: s.text("endpoint", checkPage).value, Ratio: s.share("ratio").value}
	s.need()
	s.finish()
	return out
}
