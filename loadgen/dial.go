package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/scenarios"
)

// handshakeTimeout bounds a dial: connecting and the upgrade's answer.
const handshakeTimeout = 10 * time.Second

// call is one client's way to the target.
type call struct {
	url           string
	shown         string // in errors: the same for all clients
	header        http.Header
	from          string // local address; empty for the system's choice
	receiveBuffer int    // of the socket, bytes; 0 for the system's
	// deflate is where what the target agreed to is written; nil offers nothing.
	deflate *deflateTerms
}

// dialer opens WebSocket connections and hands over the bare connection behind them. It follows no redirect.
type dialer struct {
	websocket websocket.Dialer
	netDial   func(ctx context.Context, network, addr string) (net.Conn, error) // nil for the network
	allowed   []string
	resolver  *net.Resolver // nil for the system's
	tls       *tls.Config   // of targets that are reached over TLS
}

func newDialer(o Options, p *profile) *dialer {
	d := &dialer{netDial: o.NetDial, allowed: o.AllowTargets, websocket: websocket.Dialer{
		HandshakeTimeout: handshakeTimeout,
		ReadBufferSize:   1024,
		WriteBufferSize:  1024,
	}}
	if p.wire.Subprotocol != "" {
		d.websocket.Subprotocols = []string{p.wire.Subprotocol}
	}
	return d
}

// connect opens the connection of a call.
func (d *dialer) connect(ctx context.Context, to call, network, addr string) (net.Conn, error) {
	if d.netDial != nil {
		return d.netDial(ctx, network, addr)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	nd := net.Dialer{KeepAlive: -1, Resolver: d.resolver}
	if to.from != "" {
		nd.LocalAddr = &net.TCPAddr{IP: net.ParseIP(to.from)}
	}
	nd.ControlContext = func(_ context.Context, _, address string, raw syscall.RawConn) error {
		if err := hosts.Permit(host, address, d.allowed); err != nil {
			return err
		}
		var failed error
		if err := raw.Control(func(fd uintptr) { failed = prepareSocket(fd, to.from != "", to.receiveBuffer) }); err != nil {
			return err
		}
		return failed
	}
	conn, err := nd.DialContext(ctx, network, addr)
	if err != nil {
		return nil, sourceError(to.from, err)
	}
	if err := afterConnect(conn, to.receiveBuffer); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// sourceError names the source address where it is what failed.
func sourceError(from string, err error) error {
	if from != "" && errors.Is(err, syscall.EADDRNOTAVAIL) {
		return fmt.Errorf("connect from the source address %s: no port of it is free towards the target, or it is gone (list more source addresses): %w", from, plainError(err))
	}
	return err
}

// checkSources tries to bind each of the plan's source addresses.
func checkSources(plan *scenarios.Plan) error {
	var errs []error
	for i := range plan.Clients {
		g := &plan.Clients[i]
		for _, address := range g.SourceAddresses {
			if net.ParseIP(address) == nil {
				errs = append(errs, fmt.Errorf("group %s: source address %q is not an IP address (write 127.0.0.2)", g.Name, address))
				continue
			}
			l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
			if err != nil {
				errs = append(errs, fmt.Errorf("group %s: source address %s can't be bound (give it to an interface: ip addr add %s dev lo; or leave it out): %w", g.Name, address, address, plainError(err)))
				continue
			}
			_ = l.Close()
		}
	}
	return errors.Join(errs...)
}

// dial connects and upgrades. early holds bytes that the server sent right behind its answer.
func (d *dialer) dial(ctx context.Context, to call) (conn net.Conn, early []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	// gorilla takes the deadline from ctx and does not see it end earlier: a target that says nothing would hold up the
	// end of the run.
	stop := func() bool { return true }
	ws := d.websocket
	ws.NetDialContext = func(dialCtx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.connect(dialCtx, to, network, addr)
		if err != nil {
			return nil, err
		}
		if overTLS(to.url) {
			if conn, err = d.encrypt(dialCtx, conn, addr); err != nil {
				return nil, err
			}
		}
		h := &handshakeConn{Conn: conn, deflate: to.deflate}
		stop = context.AfterFunc(ctx, func() { _ = h.SetDeadline(time.Unix(1, 0)) })
		return h, nil
	}
	ws.NetDialTLSContext = ws.NetDialContext
	if to.deflate != nil {
		*to.deflate = deflateTerms{}
		to.header = to.header.Clone()
		to.header[extensionsHeader] = []string{deflateOffer}
	}
	opened, resp, err := ws.DialContext(ctx, to.url, to.header) //nolint:bodyclose // gorilla's answer needs no closing
	if !stop() && err == nil {
		_ = opened.Close()
		err = ctx.Err()
	}
	if err == nil && to.deflate == nil {
		if extensions := strings.Join(resp.Header.Values(extensionsHeader), ", "); extensions != "" {
			_ = opened.Close()
			resp, err = nil, unofferedError(extensions)
		}
	}
	if err != nil {
		return nil, nil, dialError(to.shown, resp, err)
	}
	h, ok := opened.UnderlyingConn().(*handshakeConn)
	if !ok {
		_ = opened.Close()
		return nil, nil, fmt.Errorf("connect to %s: the connection is not the one that was dialled", to.shown)
	}
	if err := h.SetDeadline(time.Time{}); err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", to.shown, err)
	}
	return h.Conn, h.left, nil
}

// dialError says what a failed upgrade most likely means.
func dialError(url string, resp *http.Response, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && resp != nil && resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("connect to %s: it answered HTTP %d, and redirects are not followed: give the address itself", url, resp.StatusCode)
	case errors.Is(err, websocket.ErrBadHandshake) && resp != nil:
		return fmt.Errorf("connect to %s: it answered HTTP %d instead of upgrading to a WebSocket: is this the gateway, and its path?", url, resp.StatusCode)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("connect to %s: no answer to the WebSocket handshake within %v: is this the gateway?", url, handshakeTimeout)
	}
	return fmt.Errorf("connect to %s: %w", url, plainError(err))
}
