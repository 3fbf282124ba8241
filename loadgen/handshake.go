package loadgen

import (
	"bytes"
	"errors"
	"net"
	"net/textproto"
	"strings"
)

// extensionsHeader is spelled as RFC 6455 does and not as package http would: gorilla refuses the latter, since it takes
// the extensions for its own.
const extensionsHeader = "Sec-WebSocket-Extensions"

// maxAnswer bounds the header of a handshake's answer.
const maxAnswer = 64 << 10

// handshakeConn lets the handshake read no further than the end of the server's answer, since what follows belongs to
// the frame reader and gorilla would keep it in a buffer of its own.
type handshakeConn struct {
	net.Conn
	seen []byte // the answer's last bytes so far, to find its end across reads
	done bool
	left []byte
	// deflate takes what the target answered to the offer of compression. That answer is kept from gorilla, which refuses
	// most of those that the RFC allows. It is nil where nothing was offered.
	deflate *deflateTerms
	answer  []byte // the header that gorilla gets, as far as it has not got it
}

var headerEnd = []byte("\r\n\r\n")

func (c *handshakeConn) Read(p []byte) (int, error) {
	if c.deflate != nil && !c.done {
		if err := c.readAnswer(); err != nil {
			return 0, err
		}
	}
	if len(c.answer) > 0 {
		n := copy(p, c.answer)
		c.answer = c.answer[n:]
		return n, nil
	}
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

var errLongAnswer = errors.New("the header of its answer does not end")

// readAnswer reads the whole header of the answer and takes the extensions out of it.
func (c *handshakeConn) readAnswer() error {
	buf := make([]byte, 1024)
	for {
		if at := bytes.Index(c.seen, headerEnd); at >= 0 {
			end := at + len(headerEnd)
			c.left = append([]byte(nil), c.seen[end:]...)
			header := c.seen[:end]
			c.done, c.seen = true, nil
			return c.takeExtensions(header)
		}
		if len(c.seen) > maxAnswer {
			return errLongAnswer
		}
		n, err := c.Conn.Read(buf)
		c.seen = append(c.seen, buf[:n]...)
		if err != nil && n == 0 {
			// What came without the header's end is gorilla's to judge.
			c.answer, c.done, c.seen = c.seen, true, nil
			if len(c.answer) == 0 {
				return err
			}
			return nil
		}
	}
}

// takeExtensions takes the extensions out of a header, and passes on the rest.
func (c *handshakeConn) takeExtensions(header []byte) (err error) {
	var extensions []string
	for line := range bytes.Lines(header) {
		name, value, _ := strings.Cut(string(line), ":")
		if textproto.CanonicalMIMEHeaderKey(name) != textproto.CanonicalMIMEHeaderKey(extensionsHeader) {
			c.answer = append(c.answer, line...)
			continue
		}
		extensions = append(extensions, strings.TrimSpace(value))
	}
	*c.deflate, err = parseDeflate(strings.Join(extensions, ", "))
	return err
}
