package scenarios

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/weirbench/weir/internal/settings"
)

// YAML writes the file in its canonical form: what has its zero value is left out, the keys come in the language's order, and
// paths are made absolute, so that the file may lie anywhere. LoadGatewayFile reads it back as it was.
func (f GatewayFile) YAML() []byte {
	root := newMapping()
	root.text("listen", f.Listen)
	root.text("instance_id", f.InstanceID)
	root.texts("brokers", f.Brokers)
	if f.Security != nil {
		root.under("kafka", func(m *mapping) { writeSecurity(m, *f.Security) })
	}
	root.texts("topics", f.Topics)
	root.under("conflate", func(m *mapping) {
		for _, c := range f.Conflate {
			m.duration(c.Topic, c.Interval)
		}
	})
	root.size("queue", f.QueueBytes)
	root.text("slow_clients", f.SlowPolicy)
	writeSettings(root, f.Settings, f.PublishTopics)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root.node); err != nil {
		panic(err) // to memory, of nodes made here
	}
	return b.Bytes()
}

func writeSecurity(m *mapping, s KafkaSecurity) {
	if t := s.TLS; t != nil && *t == (TLS{}) {
		m.flag("tls", true)
	} else if t != nil {
		m.under("tls", func(m *mapping) {
			m.file("ca", t.CAFile)
			m.file("cert", t.CertFile)
			m.file("key", t.KeyFile)
			m.text("server_name", t.ServerName)
		})
	}
	if s := s.SASL; s != nil {
		m.under("sasl", func(m *mapping) {
			m.text("mechanism", s.Mechanism)
			m.text("username", s.Username)
			m.secret("password", &s.Password)
			m.secret("token", s.Token)
			m.text("token_url", s.TokenURL)
			m.text("scope", s.Scope)
		})
	}
}

func writeSettings(m *mapping, s settings.Gateway, publishTopics []string) {
	m.flag("compression", s.Compression)
	m.under("resume", func(m *mapping) {
		if s.Resume.Off {
			m.plain("enabled", "!!bool", "false")
		}
		m.size("memory", s.Resume.MemoryBytes)
		m.count("replays", s.Resume.Replays)
		m.duration("positions_every", s.Resume.PositionsEvery)
	})
	m.under("consume", func(m *mapping) {
		m.text("group", s.Consume.Group)
		m.text("member", s.Consume.Member)
		m.text("protocol", s.Consume.Protocol)
		m.flag("routed", s.Consume.Routed)
	})
	m.under("batch", func(m *mapping) {
		for _, b := range s.Batch {
			m.under(b.Topic, func(m *mapping) {
				m.duration("interval", b.Interval)
				m.size("size", int64(b.Bytes))
			})
		}
	})
	m.under("publish", func(m *mapping) {
		m.texts("topics", publishTopics)
		m.count("max_in_flight", s.Publish.MaxInFlight)
		m.size("buffer", int64(s.Publish.BufferBytes))
		m.duration("linger", s.Publish.Linger)
		m.duration("deduplicate", s.Publish.Dedup)
		m.under("keys", func(m *mapping) {
			for _, topic := range slices.Sorted(maps.Keys(s.Publish.Keys)) {
				m.plain(topic, "!!str", escapeVariables(s.Publish.Keys[topic]))
			}
		})
	})
	writeBounds(m, s)
	writeAccess(m, s)
	m.under("trace", func(m *mapping) {
		if s.Trace != (settings.Trace{}) {
			m.text("endpoint", s.Trace.Endpoint)
			m.plain("ratio", "!!float", strconv.FormatFloat(s.Trace.Ratio, 'f', -1, 64))
		}
	})
	m.text("pprof", s.Pprof)
}

func writeBounds(m *mapping, s settings.Gateway) {
	l, t := s.Limits, s.Timeouts
	m.under("limits", func(m *mapping) {
		m.limit("connections", l.Connections, m.count)
		m.limit("connections_per_source", l.ConnectionsPerSource, m.count)
		m.count("channels_per_client", l.ChannelsPerClient)
		m.count("patterns_per_client", l.PatternsPerClient)
		m.size("message", int64(l.MessageBytes))
		m.limit("frames", l.FramesPerSecond, m.perSecond)
		m.limit("subscribes", l.SubscribesPerSecond, m.perSecond)
		m.limit("queue_total", int(l.QueueBytesTotal), func(key string, n int) { m.size(key, int64(n)) })
	})
	m.under("timeouts", func(m *mapping) {
		m.duration("handshake", t.Handshake)
		m.duration("write", t.Write)
		m.duration("ping", t.Ping)
		m.duration("close", t.Close)
		m.duration("drain", t.Drain)
		m.duration("drain_spread", t.DrainSpread)
	})
}

func writeAccess(m *mapping, s settings.Gateway) {
	m.under("origins", func(m *mapping) {
		m.texts("allow", s.Origins.Allow)
		if s.Origins.RefuseNone {
			m.text("without", "refuse")
		}
	})
	if t := s.TLS; t != nil {
		m.under("tls", func(m *mapping) {
			m.file("cert_file", t.CertFile)
			m.file("key_file", t.KeyFile)
		})
	}
	if t := s.Tokens; t != nil {
		m.under("tokens", func(m *mapping) {
			m.file("hmac_file", t.HMACFile)
			m.file("jwks_file", t.JWKSFile)
			m.text("jwks_url", t.JWKSURL)
			m.text("issuer", t.Issuer)
			m.text("audience", t.Audience)
			m.flag("anonymous", t.Anonymous)
		})
	}
	permissions := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, p := range s.Permissions {
		item := newMapping()
		item.texts("channels", p.Channels)
		item.text("claim", p.Claim)
		item.text("value", p.Value)
		var allowed []string
		for i, is := range []bool{p.Subscribe, p.Publish, p.Presence, p.Resume} {
			if is {
				allowed = append(allowed, permissionWords[i])
			}
		}
		item.texts("allow", allowed)
		permissions.Content = append(permissions.Content, item.node)
	}
	if len(s.Permissions) > 0 {
		m.put("permissions", permissions)
	}
}

// mapping is a YAML mapping being written. What has its zero value is not.
type mapping struct{ node *yaml.Node }

func newMapping() *mapping { return &mapping{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}} }

func (m *mapping) put(key string, value *yaml.Node) {
	m.node.Content = append(m.node.Content, scalarNode("!!str", key), value)
}

// plainText is what needs no quotes, where YAML takes it for no number, date or the like.
var plainText = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9_./:+@?&=-]*$`)

// scalarNode is a scalar that reads as of that tag: a text that could be anything else stands in quotes.
func scalarNode(tag, value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
	if tag == "!!str" && (!plainText.MatchString(value) || (&yaml.Node{Kind: yaml.ScalarNode, Value: value}).ShortTag() != tag) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func (m *mapping) plain(key, tag, value string) { m.put(key, scalarNode(tag, value)) }

// escapeVariables keeps a text from being taken for one with variables in it.
func escapeVariables(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func (m *mapping) text(key, value string) {
	if value != "" {
		m.plain(key, "!!str", escapeVariables(value))
	}
}

func (m *mapping) file(key, path string) { m.text(key, fromHere(path)) }

func (m *mapping) texts(key string, values []string) {
	if len(values) == 0 {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, v := range values {
		list.Content = append(list.Content, scalarNode("!!str", escapeVariables(v)))
	}
	m.put(key, list)
}

func (m *mapping) flag(key string, value bool) {
	if value {
		m.plain(key, "!!bool", "true")
	}
}

func (m *mapping) count(key string, n int) {
	if n != 0 {
		m.plain(key, "!!int", strconv.Itoa(n))
	}
}

func (m *mapping) perSecond(key string, n int) {
	if n != 0 {
		m.text(key, fmt.Sprintf("%d/s", n))
	}
}

// limit writes a bound, or unlimited.
func (m *mapping) limit(key string, n int, write func(string, int)) {
	if n < 0 {
		m.text(key, unlimited)
		return
	}
	write(key, n)
}

// size writes a number of bytes in the largest unit that it is a whole number of.
func (m *mapping) size(key string, n int64) {
	unit, scale := "B", int64(1)
	for _, u := range []string{"KiB", "MiB", "GiB"} {
		if n%(scale<<10) == 0 {
			unit, scale = u, scale<<10
		}
	}
	if n != 0 {
		m.text(key, fmt.Sprintf("%d%s", n/scale, unit))
	}
}

func (m *mapping) duration(key string, d time.Duration) {
	if d != 0 {
		m.text(key, formatDuration(d))
	}
}

func (m *mapping) secret(key string, s *Secret) {
	if s == nil || *s == (Secret{}) {
		return
	}
	m.under(key, func(m *mapping) {
		m.text("env", s.Env)
		m.file("file", s.File)
	})
}

// under writes a mapping, unless nothing is in it.
func (m *mapping) under(key string, write func(*mapping)) {
	inner := newMapping()
	write(inner)
	if len(inner.node.Content) > 0 {
		m.put(key, inner.node)
	}
}
