package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// profiles serves Go's profiles at an address of their own, and nothing else:
// they tell of everything in the process and slow it down, and nobody is asked
// who they are.
type profiles struct {
	web      *http.Server
	listener net.Listener
	served   <-chan error
}

// startProfiles listens at the address; a host that is left out is this machine's
// loopback. Empty is none, for which it returns nil.
func startProfiles(ctx context.Context, addr string) (*profiles, error) {
	if addr == "" {
		return nil, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("serve profiles: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("serve profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	p := &profiles{
		web:      &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute},
		listener: listener,
	}
	p.served = goErr(func() error { return p.web.Serve(listener) })
	return p, nil
}

// close ends it, whoever is reading a profile.
func (p *profiles) close() {
	if p == nil {
		return
	}
	_ = p.web.Close() // the listener and the connections are gone either way
	<-p.served
}
