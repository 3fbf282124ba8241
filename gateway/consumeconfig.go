package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What Config says of Kafka, of publishing, of the drain and of being watched.

func (c *Config) setKafkaDefaults() {
	setDefault(&c.Consume.Protocol, protocolAuto)
	setDefault(&c.Publish.Dedup, 2*time.Minute)
	c.setBatchDefaults()
	if c.Trace.Endpoint != "" {
		setDefault(&c.Trace.Ratio, 0.01)
	}
}

func (c *Config) checkKafka() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{protocolAuto, protocolClassic, protocolConsumer}, c.Consume.Protocol) {
		bad("Consume.Protocol: %q is unknown (write %s, %s or %s)", c.Consume.Protocol, protocolAuto, protocolClassic, protocolConsumer)
	}
	if c.Consume.Group == "" && (c.Consume.Routed || c.Consume.Member != "") {
		bad("Consume.Group: empty, but Routed or Member is set (name the group, or leave them out)")
	}
	errs = append(errs, c.checkBatch()...)
	if c.Timeouts.DrainSpread < 0 {
		bad("Timeouts.DrainSpread: %s is negative (write 0 to close all clients at once)", c.Timeouts.DrainSpread)
	}
	if c.Publish.Dedup < time.Second || c.Publish.Dedup > 24*time.Hour {
		bad("Publish.Dedup: %s is not from 1s to 24h", c.Publish.Dedup)
	}
	for topic, key := range c.Publish.Keys {
		if c.Tokens == nil && strings.Contains(key, subjectMark) {
			bad("Publish.Keys: the key of topic %q names %s, and without Tokens nobody is asked who they are", topic, subjectMark)
		}
		if !slices.Contains(c.PublishTopics, topic) {
			bad("Publish.Keys: topic %q is not one of PublishTopics", topic)
		}
	}
	if c.Pprof != "" {
		if _, _, err := net.SplitHostPort(c.Pprof); err != nil {
			bad("Pprof: %q is not host:port", c.Pprof)
		}
	}
	if c.Trace.Ratio < 0 || c.Trace.Ratio > 1 || c.Trace.Ratio != c.Trace.Ratio {
		bad("Trace.Ratio: %v is not from 0 to 1", c.Trace.Ratio)
	}
	if u, err := url.Parse(c.Trace.Endpoint); err != nil || c.Trace.Endpoint != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		bad("Trace.Endpoint: not a URL (write http://host:4318)")
	} else if u.RawQuery != "" || u.Fragment != "" {
		bad("Trace.Endpoint: what follows ? or # would not be sent (give keys in a header: OTEL_EXPORTER_OTLP_HEADERS)")
	}
	return errors.Join(errs...)
}
