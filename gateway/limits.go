package gateway

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// unlimited is the value of a limit that there is none.
const unlimited = -1

const (
	// defaultFramesPerSecond is far above what a client sends that publishes as fast as it gets answers.
	defaultFramesPerSecond = 10_000
	// defaultSubscribesPerSecond lets a client that comes back have ten times the channels it may have by default.
	defaultSubscribesPerSecond = 10_000
)

// setSecurityDefaults fills in what bounds clients and what they must prove.
func (c *Config) setSecurityDefaults() {
	setDefault(&c.Limits.Connections, unlimited)
	setDefault(&c.Limits.ConnectionsPerSource, unlimited)
	setDefault(&c.Limits.FramesPerSecond, defaultFramesPerSecond)
	setDefault(&c.Limits.SubscribesPerSecond, defaultSubscribesPerSecond)
	setDefault(&c.Limits.QueueBytesTotal, unlimited)
}

// checkSecurity reports what is wrong with the limits, TLS, tokens and permissions, the files apart.
func (c *Config) checkSecurity() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, l := range []struct {
		name       string
		value, min int64
	}{
		{"Limits.Connections", int64(c.Limits.Connections), 1},
		{"Limits.ConnectionsPerSource", int64(c.Limits.ConnectionsPerSource), 1},
		{"Limits.FramesPerSecond", int64(c.Limits.FramesPerSecond), 1},
		{"Limits.SubscribesPerSecond", int64(c.Limits.SubscribesPerSecond), 1},
		{"Limits.QueueBytesTotal", c.Limits.QueueBytesTotal, int64(c.QueueBytes)},
	} {
		if l.value < l.min && l.value != unlimited {
			bad("%s: %d is too small (at least %d, or -1 for no limit)", l.name, l.value, l.min)
		}
	}
	if t := c.TLS; t != nil && (t.CertFile == "" || t.KeyFile == "") {
		bad("TLS: CertFile and KeyFile are both needed")
	}
	if t := c.Tokens; t != nil {
		checkKeySource(bad, t.HMACFile, t.JWKSFile, t.JWKSURL)
	}
	for i, text := range c.Origins.Allow {
		if !isOriginPattern(text) {
			bad("Origins.Allow[%d]: %q is not an origin (write https://app.example.org, https://*.example.org, or * for all)", i, text)
		}
	}
	for i, p := range c.Permissions {
		switch {
		case len(p.Channels) == 0 || slices.Contains(p.Channels, ""):
			bad("Permissions[%d].Channels: a pattern is missing (write ** for all channels)", i)
		case actionsOf(p) == 0:
			bad("Permissions[%d]: allows nothing (set Subscribe, Publish, Presence or Resume)", i)
		case p.Value != "" && p.Claim == "":
			bad("Permissions[%d].Value: there is no Claim that could have it", i)
		}
	}
	return errs
}

func checkKeySource(bad func(format string, args ...any), hmacFile, jwksFile, jwksURL string) {
	given := 0
	for _, s := range []string{hmacFile, jwksFile, jwksURL} {
		if s != "" {
			given++
		}
	}
	if given != 1 {
		// More than one would have to be told apart by the token, which is not to be trusted before.
		bad("Tokens: %d of HMACFile, JWKSFile and JWKSURL are set (set one)", given)
	}
	if u, err := url.Parse(jwksURL); jwksURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		bad("Tokens.JWKSURL: not a URL that begins with https:// or http://")
	}
}

// bucket bounds a rate: what happens costs tokens, of which there are as many as a second's worth at most. It belongs to
// one goroutine. A nil bucket bounds nothing.
type bucket struct {
	perSecond float64
	tokens    float64
	filledAt  time.Time
}

func newBucket(perSecond int) *bucket {
	if perSecond == unlimited {
		return nil
	}
	return &bucket{perSecond: float64(perSecond), tokens: float64(perSecond), filledAt: time.Now()}
}

// take reports whether n may happen now. It may as long as there is a token: what costs more than there are is paid for
// later.
func (b *bucket) take(n int) bool {
	if b == nil {
		return true
	}
	now := time.Now()
	b.tokens = min(b.perSecond, b.tokens+now.Sub(b.filledAt).Seconds()*b.perSecond)
	b.filledAt = now
	if b.tokens < 1 {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// admission counts the open connections, in all and by the address that they come from.
type admission struct {
	most, mostPerSource int

	mu      sync.Mutex
	open    int
	sources map[netip.Addr]int
}

func newAdmission(most, mostPerSource int) *admission {
	return &admission{most: most, mostPerSource: mostPerSource, sources: make(map[netip.Addr]int)}
}

// enter counts a connection from remote, host:port, until leave is called, which may be more than once. Where it is
// refused, sourceFull tells whether it is the address that has too many.
func (a *admission) enter(remote string) (leave func(), sourceFull bool, refused *requestError) {
	source := sourceOf(remote)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.most != unlimited && a.open >= a.most {
		return nil, false, &requestError{ErrorTooManyConnections, fmt.Sprintf("the gateway has as many connections as it may (%d)", a.most)}
	}
	if a.mostPerSource != unlimited && a.sources[source] >= a.mostPerSource {
		return nil, true, &requestError{ErrorTooManyConnections, fmt.Sprintf("this address has as many connections as it may (%d)", a.mostPerSource)}
	}
	a.open++
	a.sources[source]++
	return sync.OnceFunc(func() { a.leave(source) }), false, nil
}

func (a *admission) leave(source netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if a.sources[source]--; a.sources[source] == 0 {
		delete(a.sources, source)
	}
}

// sourceOf is the address of host:port, without a zone; an IPv4 address is the same however it is written.
func sourceOf(remote string) netip.Addr {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap().WithZone("")
}

// queueTotal is what waits for all clients together, against Config.Limits.QueueBytesTotal. Once it is exceeded, a client
// for which more than an equal share of it waits is treated as one whose own queue is full; the others go on. So what
// waits is twice the limit at most, and a frame a client.
type queueTotal struct {
	limit   int64
	bytes   atomic.Int64
	clients atomic.Int64
}

// newQueueTotal returns nil where there is no limit.
func newQueueTotal(limit int64) *queueTotal {
	if limit == unlimited {
		return nil
	}
	return &queueTotal{limit: limit}
}

// bound is that of one queue, which is bound while the total is not exceeded by size more bytes.
func (t *queueTotal) bound(bound, size int) int {
	if t == nil || t.bytes.Load()+int64(size) <= t.limit {
		return bound
	}
	return min(bound, int(t.limit/max(1, t.clients.Load())))
}

// join makes what waits in the queue a part of the total, which may be nil.
func (q *queue) join(t *queueTotal) {
	q.mu.Lock()
	defer q.unlock()
	q.total = t
	if t != nil {
		t.clients.Add(1)
	}
}

// leave takes the queue, whose writer has ended, out of the total.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total != nil {
		q.total.clients.Add(-1)
		q.total.bytes.Add(-int64(q.counted))
		q.total, q.counted = nil, 0
	}
}

// unlock gives the queue's mutex back after what waits may have changed.
func (q *queue) unlock() {
	q.count()
	q.mu.Unlock()
}

// count tells the total what has changed since it was told last: once however many frames came or went.
func (q *queue) count() {
	if q.total != nil && q.bytes != q.counted {
		q.total.bytes.Add(int64(q.bytes - q.counted))
		q.counted = q.bytes
	}
}
