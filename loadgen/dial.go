package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// handshakeTimeout bounds a dial: connecting and the upgrade's answer.
const handshakeTimeout = 10 * time.Second

// dialer opens WebSocket connections and hands over the bare connection behind them.
type dialer struct {
	websocket websocket.Dialer
}

// newDialer returns a dialer. netDial may be nil for the network.
func newDialer(netDial func(ctx context.Context, network, addr string) (net.Conn, error)) *dialer {
	if netDial == nil {
		netDial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	return &dialer{websocket.Dialer{
		HandshakeTimeout: handshakeTimeout,
		ReadBufferSize:   1024,
		WriteBufferSize:  1024,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := netDial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &handshakeConn{Conn: conn}, nil
		},
	}}
}

// dial connects and upgrades. early holds bytes that the server sent right behind its answer.
func (d *dialer) dial(ctx context.Context, url string) (conn net.Conn, early []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	// gorilla takes the deadline from ctx and does not see it end earlier: a target that says nothing would hold up the
	// end of the run.
	stop := func() bool { return true }
	ws := d.websocket
	netDial := ws.NetDialContext
	ws.NetDialContext = func(dialCtx context.Context, network, addr string) (net.Conn, error) {
		conn, err := netDial(dialCtx, network, addr)
		if err == nil {
			stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
		}
		return conn, err
	}
	opened, resp, err := ws.DialContext(ctx, url, nil) //nolint:bodyclose // gorilla's answer needs no closing
	if !stop() && err == nil {
		_ = opened.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, nil, dialError(url, resp, err)
	}
	h, ok := opened.UnderlyingConn().(*handshakeConn)
	if !ok {
		_ = opened.Close()
		return nil, nil, fmt.Errorf("connect to %s: the connection is not the one that was dialled", url)
	}
	if err := h.SetDeadline(time.Time{}); err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	return h.Conn, h.left, nil
}

// dialError says what a failed upgrade most likely means.
func dialError(url string, resp *http.Response, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && resp != nil:
		return fmt.Errorf("connect to %s: it answered HTTP %d instead of upgrading to a WebSocket: is this the gateway, and its path?", url, resp.StatusCode)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("connect to %s: no answer to the WebSocket handshake within %v: is this the gateway?", url, handshakeTimeout)
	}
	return fmt.Errorf("connect to %s: %w", url, err)
}

// handshakeConn lets the handshake read no further than the end of the server's answer, since what follows belongs to
// the frame reader and gorilla would keep it in a buffer of its own.
type handshakeConn struct {
	net.Conn
	seen []byte // the answer's last bytes so far, to find its end across reads
	done bool
	left []byte
}

var headerEnd = []byte("\r\n\r\n")

func (c *handshakeConn) Read(p []byte) (int, error) {
	if c.done && len(c.left) > 0 {
		n := copy(p, c.left)
		c.left = c.left[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if c.done || n == 0 {
		return n, err
	}
	before := len(c.seen)
	c.seen = append(c.seen, p[:n]...)
	if at := bytes.Index(c.seen, headerEnd); at >= 0 {
		end := at + len(headerEnd) - before
		c.left = append([]byte(nil), p[end:n]...)
		c.done, c.seen = true, nil
		return end, err
	}
	if keep := len(headerEnd) - 1; len(c.seen) > keep {
		c.seen = c.seen[len(c.seen)-keep:]
	}
	return n, err
}
