package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// maxHTTPHeader bounds a request's header, URL included, in bytes.
const maxHTTPHeader = 32 << 10

// readiness is what /readyz answers. The gateway is ready when Status is
// statusReady.
type readiness struct {
	Status   string `json:"status"`
	Instance string `json:"instance"`
	Reason   string `json:"reason,omitempty"`
}

func (r *readiness) String() string {
	if r.Reason == "" {
		return "the gateway is " + r.Status
	}
	return "the gateway is " + r.Status + ": " + r.Reason
}

const (
	statusStarting = "starting"
	statusReady    = "ready"
	statusDraining = "draining"
	// statusIncomplete is that of a member of a consumer group that lacks
	// partitions.
	statusIncomplete = "incomplete"
)

// server answers HTTP requests and turns those to /ws into clients of the hub.
type server struct {
	cfg      *Config
	hub      *hub
	counters *counters
	log      *slog.Logger
	upgrader websocket.Upgrader

	admission     *admission
	authenticator *authenticator

	readiness atomic.Pointer[readiness]
}

// newServer reads what tokens are verified with, if that is in files.
func newServer(cfg *Config, h *hub, c *counters, log *slog.Logger) (*server, error) {
	s := &server{cfg: cfg, hub: h, counters: c, log: log}
	var err error
	if s.authenticator, err = newAuthenticator(cfg, &c.reloadFailures, log); err != nil {
		return nil, err
	}
	s.admission = newAdmission(cfg.Limits.Connections, cfg.Limits.ConnectionsPerSource)
	s.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.Timeouts.Handshake,
		CheckOrigin:      func(*http.Request) bool { return true }, // admit has checked it
	}
	s.setReadiness(statusStarting, "")
	return s, nil
}

// setReadiness changes what /readyz answers. A server that drains stays so,
// though the consumer, which has not heard of it yet, may just have got ready.
func (s *server) setReadiness(status, reason string) {
	next := &readiness{Status: status, Instance: s.cfg.InstanceID, Reason: reason}
	for {
		old := s.readiness.Load()
		if old != nil && old.Status == statusDraining || s.readiness.CompareAndSwap(old, next) {
			return
		}
	}
}

// waitingFor notes what keeps the gateway from being ready.
func (s *server) waitingFor(err error) {
	status := statusStarting
	if _, ok := errors.AsType[*incompleteError](err); ok {
		status = statusIncomplete
	}
	s.setReadiness(status, err.Error())
}

// http returns the HTTP server. Timeouts bound everything before the upgrade;
// after it the connection is the client's.
func (s *server) http(metrics http.Handler) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.serveWebSocket)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReadiness)
	mux.HandleFunc("GET /stats", s.serveStats)
	mux.Handle("GET /metrics", metrics)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: s.cfg.Timeouts.Handshake,
		ReadTimeout:       s.cfg.Timeouts.Handshake,
		WriteTimeout:      s.cfg.Timeouts.Handshake,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHTTPHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// serveWebSocket upgrades the connection, hands it to the hub, and returns, so
// that the HTTP server's buffers and goroutine go.
func (s *server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	who, leave, ok := s.admit(w, r)
	if !ok {
		return
	}
	conn, deflate, err := s.upgrade(w, r)
	if err != nil {
		leave()
		s.counters.refusedHandshake(http.StatusBadRequest)
		s.log.Debug("upgrade refused", "remote", r.RemoteAddr, "err", err)
		return // upgrade has answered
	}
	if s.cfg.SlowPolicy == SlowDropOldest {
		boundUnsent(rawConn(conn)) // else the oldest would wait in the kernel, where they can't be dropped
	}
	c := newClient(conn, s.cfg, s.hub)
	c.who, c.leave = who, leave
	c.useDeflate(deflate)
	if !s.hub.add(c, r.URL.Query()["channel"]) {
		c.refuse()
	}
}

// upgrade answers the handshake. Only the socket is kept of gorilla's
// connection: its reader would answer on its own and get between the frames of
// the writer.
func (s *server) upgrade(w http.ResponseWriter, r *http.Request) (net.Conn, *deflateTerms, error) {
	header := http.Header{}
	var terms *deflateTerms
	if s.cfg.Compression {
		if terms = negotiateDeflate(r.Header.Values("Sec-WebSocket-Extensions")); terms != nil {
			// Not in the canonical form, in which gorilla keeps the header for itself.
			header["Sec-WebSocket-Extensions"] = []string{terms.String()}
		}
	}
	ws, err := s.upgrader.Upgrade(w, r, header)
	if err != nil {
		return nil, nil, err
	}
	return ws.NetConn(), terms, nil
}

// refuse closes a connection that was upgraded when the gateway began to drain.
func (c *client) refuse() {
	defer c.leave()
	_ = c.writeFrames(closeFrame(CloseServiceRestart))
	c.sever()
}

// refuse answers with an error in the form of the protocol's.
func (s *server) refuse(w http.ResponseWriter, status int, err *requestError) {
	s.counters.refusedHandshake(status)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(errorMessage(nil, err), '\n')) // fails if the client is gone
}

// originAllowed keeps a foreign web page from using its visitor's network
// access to the gateway. Only browsers send Origin, and a page cannot forge it.
func (s *server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return !s.cfg.Origins.RefuseNone
	}
	return originIn(s.cfg.Origins.Allow, origin) || isOwnOrigin(origin, r.Host)
}

// serveHealth answers as long as the process does.
func (s *server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, readiness{Status: "ok", Instance: s.cfg.InstanceID})
}

func (s *server) serveReadiness(w http.ResponseWriter, _ *http.Request) {
	ready := s.readiness.Load()
	status := http.StatusServiceUnavailable
	if ready.Status == statusReady {
		status = http.StatusOK
	}
	s.reply(w, status, ready)
}

func (s *server) serveStats(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, s.counters.stats(s.cfg.InstanceID))
}

func (s *server) reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails if the client is gone
}
