// Package settings holds what can be set at the reference gateway, as plain data, so that a scenario can name it and the
// gateway can be told without either depending on the other.
package settings

import (
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Gateway is what can be set at a gateway beside where it listens and what it serves. The zero value of each field is its
// default, as the gateway documents it. It marshals to JSON and back without loss. Durations are in nanoseconds, sizes in
// bytes.
type Gateway struct {
	// Compression offers permessage-deflate, without context takeover.
	Compression bool         `json:"compression,omitempty"`
	Resume      Resume       `json:"resume,omitzero"`
	Consume     Consume      `json:"consume,omitzero"`
	Batch       []Batch      `json:"batch,omitempty"`
	Publish     Publish      `json:"publish,omitzero"`
	Limits      Limits       `json:"limits,omitzero"`
	Timeouts    Timeouts     `json:"timeouts,omitzero"`
	Origins     Origins      `json:"origins,omitzero"`
	TLS         *TLS         `json:"tls,omitempty"`    // nil: plain text
	Tokens      *Tokens      `json:"tokens,omitempty"` // nil: nobody is asked who they are
	Permissions []Permission `json:"permissions,omitempty"`
	Trace       Trace        `json:"trace,omitzero"`
	// Pprof is the address, host:port, that profiles are served at, and nothing else; empty for none.
	Pprof string `json:"pprof,omitempty"`
}

// ResumesAny reports whether any client may be given what it missed.
func (g Gateway) ResumesAny() bool {
	return !g.Resume.Off && (len(g.Permissions) == 0 || slices.ContainsFunc(g.Permissions, func(p Permission) bool { return p.Resume }))
}

// Resume is how clients that come back get what they missed.
type Resume struct {
	Off bool `json:"off,omitempty"`
	// MemoryBytes bounds the recent records of all topics that are kept for replays; what is older is read from Kafka.
	// 64 MiB by default.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Replays is how many clients are given what they missed at a time; the others wait. 64 by default.
	Replays int `json:"replays,omitempty"`
	// PositionsEvery is how often a client is told how far it is, so that what it reads again is bounded; 10 s by default.
	PositionsEvery time.Duration `json:"positions_every_ns,omitempty"`
}

// Consume is how the gateway reads its topics.
type Consume struct {
	// Group is a consumer group that shares the partitions; empty reads all of them by direct assignment.
	Group string `json:"group,omitempty"`
	// Routed declares that clients are routed to the gateway that has their partitions: with a group and without it a
	// gateway that is not alone in the group refuses to serve, since its clients would miss the others' partitions.
	Routed bool `json:"routed,omitempty"`
	// Member is the group's static member id; empty for a dynamic one.
	Member string `json:"member,omitempty"`
	// Protocol is that of the group: classic, consumer (KIP-848), or auto, which is consumer where the brokers have it.
	Protocol string `json:"protocol,omitempty"`
}

// Batch says that a topic's records are written to a client together, several to a frame.
type Batch struct {
	Topic    string        `json:"topic"`
	Interval time.Duration `json:"interval_ns"` // how long a record waits for others
	Bytes    int           `json:"bytes"`       // a frame of so many is not waited with
}

// Publish is how clients' records are written.
type Publish struct {
	// MaxInFlight bounds a client's publish messages that have no answer yet, 256 by default.
	MaxInFlight int `json:"max_in_flight,omitempty"`
	// BufferBytes bounds the published records that wait for Kafka's acknowledgement, of all clients, each counted with 512
	// bytes beside its key and value; 64 MiB by default, at least 1 MiB.
	BufferBytes int `json:"buffer_bytes,omitempty"`
	// Linger is how long a published record waits for others to go with it, at most 1 s. It is 0 by default, which is right
	// for latency and costs little: while Kafka is busy with five requests a broker, records gather all the same.
	Linger time.Duration `json:"linger_ns,omitempty"`
	// Dedup is how long the ids of clients' messages are remembered, so that one that is sent again is written once; 0 is 2
	// minutes.
	Dedup time.Duration `json:"dedup_ns,omitempty"`
	// Keys are the keys of topics whose records get the same key whatever the client says, by topic: a text in which
	// {subject} stands for who the client is.
	Keys map[string]string `json:"keys,omitempty"`
}

// Limits bound what clients may cost. 0 is the default of each; −1 is no limit, where the gateway documents one.
type Limits struct {
	Connections          int   `json:"connections,omitempty"`            // none by default but the process's descriptors
	ConnectionsPerSource int   `json:"connections_per_source,omitempty"` // of one IP address; none by default
	ChannelsPerClient    int   `json:"channels_per_client,omitempty"`    // subscriptions of one client, 1,000 by default
	PatternsPerClient    int   `json:"patterns_per_client,omitempty"`    // of these, patterns of keys, 100 by default
	MessageBytes         int   `json:"message_bytes,omitempty"`          // of one message from a client, after inflation; 64 KiB by default
	FramesPerSecond      int   `json:"frames_per_s,omitempty"`           // of one client, control frames included; 10,000 by default
	SubscribesPerSecond  int   `json:"subscribes_per_s,omitempty"`       // channels that one client may subscribe to, leave or ask the presence of; 10,000 by default
	QueueBytesTotal      int64 `json:"queue_bytes_total,omitempty"`      // of all clients together; none by default
}

// Timeouts bound waiting.
type Timeouts struct {
	Handshake time.Duration `json:"handshake_ns,omitempty"`
	Write     time.Duration `json:"write_ns,omitempty"`
	Ping      time.Duration `json:"ping_ns,omitempty"`
	Close     time.Duration `json:"close_ns,omitempty"`
	Drain     time.Duration `json:"drain_ns,omitempty"`
	// DrainSpread spreads the closing of clients at a drain evenly over so long; 0 closes all at once.
	DrainSpread time.Duration `json:"drain_spread_ns,omitempty"`
}

// Origins says which browser pages may connect.
type Origins struct {
	Allow []string `json:"allow,omitempty"` // besides the gateway's own; "*" for all
	// RefuseNone refuses requests without an Origin header, which no browser sends.
	RefuseNone bool `json:"refuse_none,omitempty"`
}

// TLS is the certificate that the gateway shows; the files are PEM and are read again when they change.
type TLS struct {
	CertFile string `json:"cert_file"`
	KeyFile  string `json:"key_file"`
}

// Tokens is how clients say who they are: a JWT as "Authorization: Bearer …", or in the query "token". No secret is in it.
type Tokens struct {
	HMACFile  string `json:"hmac_file,omitempty"` // a file with the secret of HS256, HS384, HS512
	JWKSFile  string `json:"jwks_file,omitempty"` // a key set, read again when it changes
	JWKSURL   string `json:"jwks_url,omitempty"`  // a key set, fetched again when a key is not in it
	Issuer    string `json:"issuer,omitempty"`    // demanded of "iss" where set
	Audience  string `json:"audience,omitempty"`  // demanded in "aud" where set
	Anonymous bool   `json:"anonymous,omitempty"` // clients without a token are let in, as nobody
}

// String names the files, for logs that print what holds a pointer to them.
func (t *TLS) String() string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("{CertFile:%s KeyFile:%s}", t.CertFile, t.KeyFile)
}

// String is for logs: of the URL, which may hold a password, it gives the host alone.
func (t *Tokens) String() string {
	if t == nil {
		return "none"
	}
	host := ""
	if u, err := url.Parse(t.JWKSURL); err == nil {
		host = u.Host
	}
	return fmt.Sprintf("{HMACFile:%s JWKSFile:%s JWKSURL host:%s Issuer:%s Audience:%s Anonymous:%t}",
		t.HMACFile, t.JWKSFile, host, t.Issuer, t.Audience, t.Anonymous)
}

// Permission lets clients use channels. With any in the list, what none allows is refused.
type Permission struct {
	// Channels are patterns: a channel's name, in which * stands for any part without a slash and ** for any. {subject}
	// stands for the token's "sub".
	Channels []string `json:"channels"`
	// Claim and Value: the token must have the claim with this value, or a list that holds it. Empty: anybody.
	Claim     string `json:"claim,omitempty"`
	Value     string `json:"value,omitempty"`
	Subscribe bool   `json:"subscribe,omitempty"`
	Publish   bool   `json:"publish,omitempty"`
	Presence  bool   `json:"presence,omitempty"`
	// Resume allows to be given what Kafka has of the channels from any position on, where subscribing is allowed too.
	Resume bool `json:"resume,omitempty"`
}

// Trace is how sampled messages are followed from Kafka to the write.
type Trace struct {
	Endpoint string  `json:"endpoint,omitempty"` // OTLP over HTTP, a URL; empty for none
	Ratio    float64 `json:"ratio,omitempty"`    // share of records, by the traceparent header where there is one
}

// String is for logs: of the URL, which may hold a password, it gives the host alone.
func (t Trace) String() string {
	host := ""
	if u, err := url.Parse(t.Endpoint); err == nil {
		host = u.Host
	}
	return fmt.Sprintf("{Endpoint host:%s Ratio:%g}", host, t.Ratio)
}
