package gateway

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/settings"
)

// SlowPolicy says what happens to a client whose queue is full.
type SlowPolicy string

const (
	// SlowDisconnect closes the client with [CloseSlowClient]. What waited in
	// its queue is abandoned.
	SlowDisconnect SlowPolicy = "disconnect"
	// SlowDropOldest drops the records that have waited longest and tells the
	// client by notices which and exactly how many.
	SlowDropOldest SlowPolicy = "drop-oldest"
)

// Config says what a gateway consumes, where it listens and what it bounds. The
// zero value of each field but Brokers and Topics stands for a default, which
// [Config.WithDefaults] fills in.
type Config struct {
	// Gateway is what else can be set.
	settings.Gateway

	// Listen is the TCP address of the HTTP server, "127.0.0.1:0" by default;
	// port 0 picks a free one, which Run's ready function is told.
	Listen string
	// InstanceID is echoed by /readyz, /stats and the hello message, so that who
	// starts a gateway can tell that what answers is what it started.
	InstanceID string

	// Brokers are the Kafka bootstrap addresses, host:port.
	Brokers []string
	// Topics are the topics consumed, all partitions of each.
	Topics []string
	// Conflate are those of Topics that are conflated; none by default.
	Conflate []Conflation
	// PublishTopics are the topics that clients may publish to, consumed or not;
	// none by default.
	PublishTopics []string
	// MetadataInterval is how often new partitions are looked for, 5 s by default.
	MetadataInterval time.Duration

	// QueueBytes bounds what waits for one client, in bytes of WebSocket frames,
	// those being written included; 1 MiB by default, at least 1 KiB. A frame
	// larger than the bound passes only when nothing else waits.
	QueueBytes int
	// SlowPolicy is what happens when a queue is full; SlowDisconnect by default.
	SlowPolicy SlowPolicy

	// KafkaOpts are appended to the options of the Kafka client: TLS, SASL, a
	// dialer. They do not print.
	KafkaOpts []kgo.Opt `json:"-"`
}

// WithDefaults returns c with the defaults in place of zero values.
func (c Config) WithDefaults() Config {
	setDefault(&c.Listen, "127.0.0.1:0")
	setDefault(&c.MetadataInterval, 5*time.Second)
	setDefault(&c.QueueBytes, 1<<20)
	setDefault(&c.SlowPolicy, SlowDisconnect)
	setDefault(&c.Limits.ChannelsPerClient, 1000)
	setDefault(&c.Limits.PatternsPerClient, 100)
	setDefault(&c.Limits.MessageBytes, 64<<10)
	setDefault(&c.Publish.MaxInFlight, 256)
	setDefault(&c.Publish.BufferBytes, 64<<20)
	setDefault(&c.Timeouts.Handshake, 10*time.Second)
	setDefault(&c.Timeouts.Write, 10*time.Second)
	setDefault(&c.Timeouts.Ping, 25*time.Second)
	setDefault(&c.Timeouts.Close, time.Second)
	setDefault(&c.Timeouts.Drain, 10*time.Second)
	c.setSecurityDefaults()
	c.setKafkaDefaults()
	setResumeDefaults(&c.Resume)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports everything that is wrong with c, which has its defaults, as
// one error of a line each.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("Listen: %q is not host:port", c.Listen)
	}
	if len(c.Brokers) == 0 {
		bad("Brokers: empty (give at least one host:port)")
	}
	for i, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			bad("Brokers[%d]: %q is not host:port", i, b)
		}
	}
	if len(c.Topics)+len(c.PublishTopics) == 0 {
		bad("Topics: empty (give at least one topic)")
	}
	errs = append(errs, checkTopics("Topics", c.Topics)...)
	errs = append(errs, checkTopics("PublishTopics", c.PublishTopics)...)
	errs = append(errs, c.checkConflate()...)
	errs = append(errs, checkResume(c.Resume)...)
	errs = append(errs, c.checkBounds()...)
	errs = append(errs, c.checkSecurity()...)
	errs = append(errs, c.checkKafka())
	return errors.Join(errs...)
}

func (c *Config) checkConflate() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, cn := range c.Conflate {
		same := func(o Conflation) bool { return o.Topic == cn.Topic }
		switch {
		case !slices.Contains(c.Topics, cn.Topic):
			bad("Conflate[%d]: topic %q is not one of Topics", i, cn.Topic)
		case cn.Interval < time.Millisecond:
			bad("Conflate[%d]: %s is too short an interval (at least 1ms)", i, cn.Interval)
		case slices.IndexFunc(c.Conflate, same) < i:
			bad("Conflate[%d]: topic %q is named twice", i, cn.Topic)
		}
	}
	return errs
}

// checkBounds reports what is out of its range.
func (c *Config) checkBounds() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Publish.Linger < 0 || c.Publish.Linger > time.Second {
		bad("Publish.Linger: %s is not from 0 to 1s", c.Publish.Linger)
	}
	if c.SlowPolicy != SlowDisconnect && c.SlowPolicy != SlowDropOldest {
		bad("SlowPolicy: %q is unknown (write %q or %q)", c.SlowPolicy, SlowDisconnect, SlowDropOldest)
	}
	for _, f := range []struct {
		name       string
		value, min int
	}{
		{"QueueBytes", c.QueueBytes, 1 << 10},
		{"Limits.ChannelsPerClient", c.Limits.ChannelsPerClient, 1},
		{"Limits.PatternsPerClient", c.Limits.PatternsPerClient, 1},
		{"Limits.MessageBytes", c.Limits.MessageBytes, 128},
		{"Publish.MaxInFlight", c.Publish.MaxInFlight, 1},
		{"Publish.BufferBytes", c.Publish.BufferBytes, 1 << 20},
	} {
		if f.value < f.min {
			bad("%s: %d is too small (at least %d)", f.name, f.value, f.min)
		}
	}
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"MetadataInterval", c.MetadataInterval},
		{"Timeouts.Handshake", c.Timeouts.Handshake},
		{"Timeouts.Write", c.Timeouts.Write},
		{"Timeouts.Ping", c.Timeouts.Ping},
		{"Timeouts.Close", c.Timeouts.Close},
		{"Timeouts.Drain", c.Timeouts.Drain},
	} {
		if f.value <= 0 {
			bad("%s: %s is not a positive duration", f.name, f.value)
		}
	}
	return errs
}

func checkTopics(field string, topics []string) (errs []error) {
	for i, t := range topics {
		if !validTopic(t) {
			errs = append(errs, fmt.Errorf("%s[%d]: %q is not a topic name (1 to 249 of a-z A-Z 0-9 . _ -)", field, i, t))
		} else if slices.Index(topics, t) < i {
			errs = append(errs, fmt.Errorf("%s[%d]: %q is named twice", field, i, t))
		}
	}
	return errs
}

// ParseConflation reads TOPIC=INTERVAL, "prices=250ms".
func ParseConflation(s string) (Conflation, error) {
	topic, interval, ok := strings.Cut(s, "=")
	d, err := time.ParseDuration(interval)
	if !ok || err != nil {
		return Conflation{}, fmt.Errorf("%q is not TOPIC=INTERVAL (write prices=250ms)", s)
	}
	return Conflation{Topic: topic, Interval: d}, nil
}

// validTopic follows Kafka's rule for topic names. It also is what makes
// TOPIC/KEY unambiguous: a topic holds no slash.
func validTopic(t string) bool {
	if t == "" || len(t) > 249 || t == "." || t == ".." {
		return false
	}
	for _, r := range t {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return true
}

// String prints each field but KafkaOpts, which may hold secrets.
func (c Config) String() string {
	v := reflect.ValueOf(c)
	var b strings.Builder
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s:%+v", f.Name, v.Field(i).Interface())
	}
	return b.String()
}
