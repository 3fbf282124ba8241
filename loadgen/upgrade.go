package loadgen

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 names it
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"
)

// upgrade is one WebSocket handshake (RFC 6455, section 4.1), apart from the connection that it is made on.
type upgrade struct {
	request []byte // what of it is still to be sent
	accept  string // the answer to the request's key
	answer  []byte // what has come of it
	offered bool   // compression
}

// acceptSuffix is appended to the key in the answer (RFC 6455, section 1.3).
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// handshakeHeaders are the handshake's own.
var handshakeHeaders = []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions"}

// protocolName is what every answer begins with.
var protocolName = []byte("HTTP/1.")

// longLine is how much is quoted of an answer that is something else.
const longLine = 128

// newUpgrade writes the request of a call.
func newUpgrade(to call, subprotocols []string) (*upgrade, error) {
	u, err := url.Parse(to.url)
	if err != nil {
		return nil, errors.New("its address can't be read") // err has the whole, which may hold secrets
	}
	if u.User != nil {
		return nil, errors.New("a WebSocket address has no user name")
	}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	sum := sha1.Sum([]byte(key + acceptSuffix)) //nolint:gosec // see above
	up := &upgrade{accept: base64.StdEncoding.EncodeToString(sum[:]), offered: to.deflate != nil}

	u.Scheme = "http"
	request := http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: to.header.Clone()}
	for _, name := range handshakeHeaders {
		if _, given := request.Header[name]; given {
			return nil, fmt.Errorf("the header %s is the handshake's own: leave it out of the profile", name)
		}
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Protocol": strings.Join(subprotocols, ", "),
	} {
		if value != "" {
			request.Header[name] = []string{value}
		}
	}
	if up.offered {
		request.Header[extensionsHeader] = []string{deflateOffer}
	}
	var text bytes.Buffer
	if err := request.Write(&text); err != nil {
		return nil, err
	}
	up.request = text.Bytes()
	return up, nil
}

// take takes bytes of the answer. done tells that the header has come to its end; early are the bytes behind it, and terms
// what was agreed. An error is gorilla's, as an *answerError where the target answered something else.
func (u *upgrade) take(p []byte) (done bool, early []byte, terms deflateTerms, err error) {
	u.answer = append(u.answer, p...)
	at := bytes.Index(u.answer, headerEnd)
	known := u.answer[:min(len(u.answer), len(protocolName))]
	switch {
	case !bytes.HasPrefix(protocolName, known): // its end may never come, but its first line is to
		line := bytes.IndexByte(u.answer, '\n')
		if line < 0 && len(u.answer) < longLine {
			return false, nil, terms, nil
		}
		if line < 0 {
			line = longLine
		}
		at = len(bytes.TrimRight(u.answer[:line], "\r"))
		u.answer = append(u.answer[:at], headerEnd...)
	case at < 0 && len(u.answer) > maxAnswer:
		return false, nil, terms, errLongAnswer
	case at < 0:
		return false, nil, terms, nil
	}
	header, early := u.answer[:at+len(headerEnd)], u.answer[at+len(headerEnd):]
	resp, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(header), 512), nil) //nolint:bodyclose // it is not read
	if err != nil {
		return false, nil, terms, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || !hasToken(resp.Header, "Upgrade", "websocket") ||
		!hasToken(resp.Header, "Connection", "upgrade") || resp.Header.Get("Sec-Websocket-Accept") != u.accept {
		return false, nil, terms, &answerError{resp, websocket.ErrBadHandshake}
	}
	extensions := strings.Join(resp.Header.Values(extensionsHeader), ", ")
	if extensions != "" && !u.offered {
		return false, nil, terms, unofferedError(extensions)
	}
	terms, err = parseDeflate(extensions)
	return err == nil, early, terms, err
}

// unofferedError refuses an answer with extensions that nobody offered (RFC 6455, section 4.1).
func unofferedError(extensions string) error {
	return fmt.Errorf("the target answered with the extension %.200q, and none was offered", extensions)
}

// answerError is a handshake that the target refused.
type answerError struct {
	resp *http.Response
	err  error
}

func (e *answerError) Error() string { return e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }

// hasToken reports whether a header that is a list of tokens has this one, however it is spelled.
func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for word := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(word), token) {
				return true
			}
		}
	}
	return false
}
