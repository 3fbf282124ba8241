package testbed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/scenarios"
)

// readiness is how a target that was started is found to serve.
type readiness struct {
	url     *url.URL // where clients connect
	within  time.Duration
	allowed []string
	bare    bool        // the clients' handshakes are like the probe's
	trust   *tls.Config // of a target that is reached over TLS; nil trusts the system's authorities

	page   *url.URL       // answers 200; nil for none
	port   bool           // the port is listened on
	line   *regexp.Regexp // a line of its output; nil for none
	logged chan struct{}  // closed at the first such line

	ended      <-chan struct{} // closed when the target has
	endedEarly func() error
	tail       func() string
	// listened tells whether the target itself takes connections at the host and port: not yet, yes, or a *strangerError.
	listened func(host string, port int) (bool, error)
	// inside tells, for a port that is published, whether it is listened at behind that: a published one takes connections
	// before. Where that can't be seen the WebSocket URL must answer. nil where nothing is published.
	inside func() (listens, known bool)
}

// newReadiness reads what the plan says, its placeholders filled in.
func newReadiness(target string, r scenarios.Ready, plan *scenarios.GatewayPlan, allowed []string) (*readiness, error) {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Hostname() == "" || u.Port() == "" {
		return nil, fmt.Errorf("its url %q is no WebSocket address with a port (write ws://127.0.0.1:{port}/ws)", target)
	}
	c := &readiness{
		url: u, within: plan.ReadyIn, allowed: allowed, port: r.Port, logged: make(chan struct{}), bare: isBare(&plan.Profile),
	}
	if c.trust, err = trustOf(plan.Profile.TLS); err != nil {
		return nil, err
	}
	if r.URL != "" {
		if c.page, err = url.Parse(r.URL); err != nil || c.page.Scheme != "http" && c.page.Scheme != "https" || c.page.Hostname() == "" {
			return nil, fmt.Errorf("its ready.url %q is no address (write http://127.0.0.1:{port}/ready)", r.URL)
		}
	}
	if r.Log != "" {
		if c.line, err = regexp.Compile(r.Log); err != nil {
			return nil, fmt.Errorf("its ready.log is no regular expression: %w", err)
		}
	}
	return c, nil
}

// watch sees each line of the target's output, one at a time.
func (c *readiness) watch(line string) {
	if c.line == nil || !c.line.MatchString(line) {
		return
	}
	select {
	case <-c.logged:
	default:
		close(c.logged)
	}
}

// await returns when the target is ready, or why it is not.
func (c *readiness) await(ctx context.Context) error {
	for _, u := range []*url.URL{c.url, c.page} {
		if u == nil {
			continue
		}
		if err := checkHost(ctx, u.Hostname(), c.allowed); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	var last error
	for {
		final, err := c.ask(ctx)
		if err == nil {
			return nil
		}
		if final {
			return fmt.Errorf("%w%s", err, c.tail())
		}
		if last == nil || !cutShort(ctx) {
			last = err // an attempt that was cut short by the deadline says less than the one before
		}
		select {
		case <-tick.C:
		case <-c.ended:
			return c.endedEarly()
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("not ready within %v: %w%s", c.within, last, c.tail())
		}
	}
}

// ask asks once. That it is not ready yet is an error that may pass, unless it is final.
func (c *readiness) ask(ctx context.Context) (final bool, _ error) {
	if c.line != nil {
		select {
		case <-c.logged:
		default:
			return false, fmt.Errorf("no line of its output matches %q", c.line)
		}
	}
	for _, u := range []*url.URL{c.url, c.page} {
		if err := c.own(u); err != nil {
			var stranger *strangerError
			return errors.As(err, &stranger), err
		}
	}
	switch {
	case c.page != nil:
		return false, c.askPage(ctx)
	case c.line != nil, c.port && c.inside == nil:
		return false, nil
	case c.port:
		if listens, known := c.inside(); known && !listens {
			return false, errors.New("nothing listens at its port inside the container, but on the container's own loopback at most")
		} else if known {
			return false, nil
		}
	}
	final, err := handshake(ctx, c.url, c.allowed, c.trust)
	refused := isRefusal(err)
	if refused && !c.bare {
		return false, nil
	}
	return final && !refused, err // its routes may come up behind its port
}

// own checks that the target itself listens where the address says, as far as that is on this machine.
func (c *readiness) own(u *url.URL) error {
	if u == nil || !hosts.Loopback(u.Hostname()) {
		return nil
	}
	text := u.Port()
	switch {
	case text != "":
	case u.Scheme == "https":
		text = "443"
	default:
		text = "80"
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("read the port of %s: %w", u.Redacted(), err)
	}
	ours, err := c.listened(u.Hostname(), port)
	if err == nil && !ours {
		err = fmt.Errorf("it does not listen at port %d", port)
	}
	return err
}

// askPage wants the answer 200.
func (c *readiness) askPage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.page.String(), nil)
	if err != nil {
		return err
	}
	resp, err := permittedClient(c.allowed, c.trust).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s: %s", c.page.Redacted(), resp.Status, cut(string(body), 200))
	}
	return nil
}

// permittedClient connects to hosts that may be loaded alone, through no proxy and following no redirect. trust is for
// pages over TLS; nil trusts the system's authorities.
func permittedClient(allowed []string, trust *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   trust,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return hosts.Dial(ctx, network, addr, allowed)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
