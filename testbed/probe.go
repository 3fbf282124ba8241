package testbed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/scenarios"
)

const (
	probeTimeout = 5 * time.Second // for one handshake
	probePause   = 100 * time.Millisecond
)

// probe waits until a WebSocket handshake with the URL succeeds, for at most within. What may pass while a target comes
// up is tried again: a refused connection, one closed at once (a port published for a container that isn't up yet), no
// answer, a status of 500 and above. Anything else is final. Bare means that the clients' handshakes are like the probe's;
// where they add a path, a query, headers or a subprotocol a status of 400 to 499 says that the target is there. trust is how
// a target that is reached over TLS is trusted; nil trusts the system's authorities.
func probe(ctx context.Context, target string, within time.Duration, allowed []string, bare bool, trust *tls.Config) error {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return errors.New("it is no WebSocket URL (write ws://host:port/path)")
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := checkHost(ctx, u.Hostname(), allowed); err != nil {
		return err
	}
	var last error
	for {
		final, err := handshake(ctx, u, allowed, trust)
		if !bare && isRefusal(err) {
			return nil
		}
		if err == nil || final {
			return err
		}
		if last == nil || !cutShort(ctx) {
			last = err // an attempt that was cut short by the deadline says less than the one before
		}
		t := time.NewTimer(probePause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("not ready within %v: %w", within, last)
		}
	}
}

// cutShort reports whether an attempt that has just failed was ended by the context. A dial ends at its deadline by itself, a
// moment before the context says so.
func cutShort(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

// isBare reports whether the clients' handshakes are like the probe's: with no path, query, header or subprotocol of theirs.
func isBare(w *scenarios.WireProfile) bool {
	return w.Path == "" && len(w.Query) == 0 && len(w.Headers) == 0 && w.Subprotocol == ""
}

// isRefusal reports whether a handshake was answered with a status of 400 to 499: who answers is there, and may answer
// handshakes that are not bare in another way.
func isRefusal(err error) bool {
	var answered *statusError
	return errors.As(err, &answered) && answered.code >= 400 && answered.code < 500
}

// checkHost refuses to aim at another machine unless it is allowed.
func checkHost(ctx context.Context, host string, allowed []string) error {
	err := hosts.Check(ctx, nil, host, allowed)
	if errors.Is(err, hosts.ErrUnknown) {
		return fmt.Errorf("%w (mend gateway.url)", err)
	}
	return err
}

// handshake tries once and says whether trying again is in vain.
func handshake(ctx context.Context, u *url.URL, allowed []string, trust *tls.Config) (final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	connected := false
	d := websocket.Dialer{TLSClientConfig: trust, NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := hosts.Dial(ctx, network, addr, allowed)
		connected = err == nil
		return c, err
	}}
	conn, resp, err := d.DialContext(ctx, u.String(), nil) //nolint:bodyclose // gorilla's answer needs no closing
	if err == nil {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)) // only a courtesy
		return true, conn.Close()
	}
	if !connected {
		return false, dialTrouble(u, err)
	}
	if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
		return statusTrouble(u, resp)
	}
	return answerTrouble(err)
}

func dialTrouble(u *url.URL, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("connect: %w: nothing listens at %s (start the gateway, or mend gateway.url)", err, u.Host)
	case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("connect: %w: %s takes no connections (a firewall, or a full accept queue?)", err, u.Host)
	}
	return fmt.Errorf("connect: %w (mend gateway.url)", err)
}

func statusTrouble(u *url.URL, resp *http.Response) (final bool, err error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return true, errors.New("it switches protocols, but not to WebSocket: its handshake answer is wrong (RFC 6455, 4.2.2)")
	}
	cause := "is " + path(u) + " the WebSocket endpoint?"
	switch resp.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		cause = "does it want a token or an Origin?"
	case http.StatusBadRequest, http.StatusUpgradeRequired:
		cause = "does it want a subprotocol?"
	}
	return resp.StatusCode < 500, &statusError{resp.StatusCode, resp.Status, cause}
}

// statusError is an HTTP answer that is no handshake's.
type statusError struct {
	code          int
	status, cause string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("it answers HTTP %s to the WebSocket handshake (%s)", e.status, e.cause)
}

func path(u *url.URL) string {
	if u.Path == "" {
		return "/"
	}
	return u.Path
}

// answerTrouble is for connections that were made and gave no HTTP answer.
func answerTrouble(err error) (final bool, _ error) {
	switch text := err.Error(); {
	case strings.Contains(text, "malformed HTTP"):
		return true, fmt.Errorf("what listens there speaks no HTTP: %s (is the port another service's, or TLS?)", cut(text, 200))
	case strings.Contains(text, "tls:"), strings.Contains(text, "x509:"):
		return true, fmt.Errorf("TLS handshake: %w (name its CA as gateway.profile.tls.ca; plain text wants ws://)", err)
	case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return false, errors.New("it takes the connection and gives no answer to the WebSocket handshake (is it stopped, or another protocol's server?)")
	}
	return false, fmt.Errorf("it closes the connection during the WebSocket handshake: %w (is it starting up, or another protocol's server?)", err)
}
