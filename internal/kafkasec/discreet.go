package kafkasec

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	authenticateKey = 36       // SaslAuthenticate, as the protocol numbers it
	maxAnswerBytes  = 64 << 10 // of an answer to it
)

// errHungUp is what some brokers and proxies do instead of refusing a password. It is a connection's end, too, which the
// client tries again a few times.
var errHungUp = errors.New("the broker closed the connection instead of answering the SASL authentication")

// discreet makes connections on which a broker's answer to an authentication comes without the broker's own words. With
// PLAIN the broker has the password, and some login modules quote what they were given: the client would put that into
// its errors and its log.
func discreet(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &discreetConn{Conn: conn}, nil
	}
}

// discreetConn watches for a SaslAuthenticate request among what is written. The client writes a request by one Write and
// sends nothing else before it has read the answer to this one.
type discreetConn struct {
	net.Conn
	// awaited is 1 + the version of the request whose answer is the next thing to be read; 0 for none.
	awaited atomic.Int32
	answer  []byte // read, rewritten and not yet taken; of the reader alone
}

func (c *discreetConn) Write(p []byte) (int, error) {
	// A request: size, key, version, correlation id, …
	if len(p) >= 12 && binary.BigEndian.Uint16(p[4:]) == authenticateKey && int64(binary.BigEndian.Uint32(p)) == int64(len(p)-4) {
		c.awaited.Store(1 + int32(binary.BigEndian.Uint16(p[6:])))
	}
	return c.Conn.Write(p)
}

func (c *discreetConn) Read(p []byte) (int, error) {
	if version := c.awaited.Swap(0); version > 0 {
		answer, err := readAnswer(c.Conn, int16(version-1))
		if err != nil {
			return 0, err
		}
		c.answer = answer
	}
	if len(c.answer) > 0 {
		n := copy(p, c.answer)
		c.answer = c.answer[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// readAnswer reads one answer to a SaslAuthenticate request and returns it, size included, without its error message.
func readAnswer(r io.Reader, version int16) ([]byte, error) {
	var size [4]byte
	if n, err := io.ReadFull(r, size[:]); err != nil {
		if n == 0 && closed(err) {
			err = fmt.Errorf("%w: %w", errHungUp, err)
		}
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxAnswerBytes {
		return nil, fmt.Errorf("the answer to a SASL authentication is no Kafka broker's: %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return withoutMessage(body, version)
}

// withoutMessage encodes an answer anew, without its error message.
func withoutMessage(body []byte, version int16) ([]byte, error) {
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(version)
	header := 4 // the correlation id
	if resp.IsFlexible() {
		header++ // no tags: brokers send none there
	}
	if len(body) < header || header == 5 && body[4] != 0 || resp.ReadFrom(body[header:]) != nil {
		return nil, fmt.Errorf("the answer to a SASL authentication is no Kafka broker's: its %d bytes can't be read", len(body))
	}
	resp.ErrorMessage = nil
	out := append(make([]byte, 4, len(body)+8), body[:header]...)
	out = resp.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out, nil
}
