package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/flate"
)

// deflateOffer offers permessage-deflate (RFC 7692), at best so that neither side keeps anything between messages; a
// target that insists on its context may. Nothing is compressed that is sent.
const deflateOffer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover, permessage-deflate; client_no_context_takeover"

// deflateTerms is what a target agreed to. The zero value is no compression.
type deflateTerms struct {
	agreed bool
	// takeover tells that the target refers back to earlier messages.
	takeover bool
}

// parseDeflate reads the extensions of a target's answer to deflateOffer (RFC 7692, section 7.1).
func parseDeflate(answer string) (terms deflateTerms, err error) {
	if strings.TrimSpace(answer) == "" {
		return terms, nil
	}
	name, params, _ := strings.Cut(answer, ";")
	if strings.Contains(answer, ",") || strings.TrimSpace(name) != "permessage-deflate" {
		return terms, extensionError(answer, "it is not the extension that was offered, or more than that")
	}
	terms = deflateTerms{agreed: true, takeover: true}
	seen := map[string]bool{}
	for param := range strings.SplitSeq(params, ";") {
		if params == "" {
			break
		}
		name, value, valued := strings.Cut(strings.TrimSpace(param), "=")
		name, value = strings.TrimSpace(name), strings.Trim(strings.TrimSpace(value), `"`)
		bits, notNumber := strconv.Atoi(value)
		switch {
		case seen[name]:
			return deflateTerms{}, extensionError(answer, name+" stands there twice")
		case name == "server_no_context_takeover" && !valued:
			terms.takeover = false
		case name == "client_no_context_takeover" && !valued:
		case name == "server_max_window_bits" && notNumber == nil && bits >= 8 && bits <= 15:
		default:
			return deflateTerms{}, extensionError(answer, fmt.Sprintf("%q was not offered, or has no such value", strings.TrimSpace(param)))
		}
		seen[name] = true
	}
	return terms, nil
}

func extensionError(answer, why string) error {
	return fmt.Errorf("the target answered the offer of permessage-deflate with %.200q: %s (RFC 7692, section 7.1; or leave deflate out of the profile)", answer, why)
}

const (
	// maxInflated bounds a message after inflation, so that a small frame can't fill the generator's memory.
	maxInflated = 16 << 20
	// keptInflated is how large the room for a message may be that is kept for the next.
	keptInflated = 1 << 20
	// deflateWindow is how far back a compressed message can refer (RFC 1951).
	deflateWindow = 32 << 10
)

// deflateTail completes a message: the end that the sender takes away (RFC 7692, section 7.2.2), and an empty last block,
// since a reader of a stream wants to see its end.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var errInflated = errors.New("a compressed message can't be read")

// inflater decompresses one message after the other. The zero value is ready; it is not safe for concurrent use.
type inflater struct {
	reader     io.Reader // a flate reader, made at the first message
	source     bytes.Reader
	compressed []byte // of the message, completed
	message    []byte
}

// inflate returns the message, which is valid until the next call. window is what was sent before, as far back as it can
// be referred to.
func (z *inflater) inflate(payload, window []byte) ([]byte, error) {
	z.compressed = append(append(z.compressed[:0], payload...), deflateTail...)
	z.source.Reset(z.compressed)
	if z.reader == nil {
		z.reader = flate.NewReaderDict(&z.source, window)
	} else if err := z.reader.(flate.Resetter).Reset(&z.source, window); err != nil {
		return nil, fmt.Errorf("%w: %w", errInflated, err)
	}
	if cap(z.compressed) > keptInflated {
		z.compressed = nil
	}
	if z.message = z.message[:0]; cap(z.message) == 0 || cap(z.message) > keptInflated {
		z.message = make([]byte, 0, 4<<10)
	}
	for {
		if len(z.message) == cap(z.message) {
			z.message = append(z.message, 0)[:len(z.message)]
		}
		n, err := z.reader.Read(z.message[len(z.message):min(cap(z.message), maxInflated+1)])
		z.message = z.message[:len(z.message)+n]
		switch {
		case len(z.message) > maxInflated:
			return nil, fmt.Errorf("%w: it has more than %d bytes after inflation", errInflated, maxInflated)
		case errors.Is(err, io.EOF):
			return z.message, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errInflated, err)
		}
	}
}

// remember returns the window after a message.
func remember(window, message []byte) []byte {
	if len(message) >= deflateWindow {
		return append(window[:0], message[len(message)-deflateWindow:]...)
	}
	if over := len(window) + len(message) - deflateWindow; over > 0 {
		window = window[:copy(window, window[over:])]
	}
	return append(window, message...)
}

// inflate returns the bytes of a compressed message. The worker is locked.
func (w *worker) inflate(c *client, payload []byte) ([]byte, error) {
	message, err := w.inflater.inflate(payload, c.rarely().window)
	if err == nil && c.deflate.takeover {
		r := c.rare()
		r.window = remember(r.window, message)
	}
	return message, err
}
