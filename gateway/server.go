package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
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

	readiness atomic.Pointer[readiness]
}

func newServer(cfg *Config, h *hub, c *counters, log *slog.Logger) *server {
	s := &server{cfg: cfg, hub: h, counters: c, log: log}
	s.upgrader = websocket.Upgrader{HandshakeTimeout: cfg.Timeouts.Handshake, CheckOrigin: s.originAllowed}
	s.setReadiness(statusStarting, "")
	return s
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
	if ready := s.readiness.Load(); ready.Status != statusReady {
		w.Header().Set("Retry-After", "1")
		s.refuse(w, http.StatusServiceUnavailable, &requestError{ErrorNotReady, ready.String()})
		return
	}
	channels := r.URL.Query()["channel"]
	if err := s.hub.check(channels); err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return
	}
	ws, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.log.Debug("upgrade refused", "remote", r.RemoteAddr, "err", err)
		return // Upgrade has answered
	}
	// Only the socket is kept of gorilla's connection: its reader would answer
	// on its own and get between the frames of the writer.
	if s.cfg.SlowPolicy == SlowDropOldest {
		boundUnsent(ws.NetConn()) // else the oldest would wait in the kernel, where they can't be dropped
	}
	c := newClient(ws.NetConn(), s.cfg, s.hub)
	if !s.hub.add(c, channels) {
		c.refuse()
	}
}

// refuse closes a connection that was upgraded when the gateway began to drain.
func (c *client) refuse() {
	_ = c.writeFrames(closeFrame(CloseServiceRestart))
	c.sever()
}

// refuse answers with an error in the form of the protocol's.
func (s *server) refuse(w http.ResponseWriter, status int, err *requestError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(errorMessage(nil, err), '\n')) // fails if the client is gone
}

// originAllowed keeps a foreign web page from using its visitor's network
// access to the gateway. Only browsers send Origin, and a page cannot forge it.
func (s *server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.cfg.Origins.Allow, "*") {
		return true
	}
	if slices.ContainsFunc(s.cfg.Origins.Allow, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
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
