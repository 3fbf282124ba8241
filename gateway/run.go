package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Run serves until ctx ends, then drains and returns nil. It calls ready, if
// not nil, with the address it listens on once every partition of every topic
// has a start offset, so that what is produced after that is delivered. A topic
// that does not exist yet and brokers that do not answer are waited for; what
// waiting does not mend, such as a refused authorization, is an error. log may
// be nil.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(addr string)) error {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("gateway configuration: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var counters counters
	hub := newHub(cfg.Topics, cfg.MaxChannelsPerClient, &counters)
	srv := newServer(&cfg, hub, &counters, log)
	consumer, err := newConsumer(&cfg, hub, &counters, log)
	if err != nil {
		return fmt.Errorf("set up the Kafka client: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		consumer.client.Close()
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("gateway listens", "addr", listener.Addr().String(), "config", cfg.String())

	web := srv.http()
	served := goErr(func() error { return web.Serve(listener) })
	consumeCtx, stopConsumer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopConsumer()
	consumed := goErr(func() error {
		return consumer.run(consumeCtx, srv.waitingFor, func() {
			srv.setReadiness(statusReady, "")
			log.Info("gateway is ready", "addr", listener.Addr().String())
			if ready != nil {
				ready(listener.Addr().String())
			}
		})
	})

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-served:
		failure = fmt.Errorf("serve HTTP: %w", failure)
	case failure = <-consumed:
		failure = fmt.Errorf("consume: %w", failure)
	}

	// 1. Readiness goes first: /readyz turns 503, so that balancers look
	//    elsewhere, and upgrades are refused. HTTP is answered until the end.
	srv.setReadiness(statusDraining, "")
	// 2. The consumer stops, so that nothing more gets into the queues.
	stopConsumer()
	err = <-consumed
	// 3. The clients' queues are written out and each is closed with 1012; those
	//    that take too long are closed without the rest, then cut off.
	drain(hub, &cfg, log)
	// 4. The HTTP server closes: nobody uses it any more but for health checks.
	closeHTTP(web, cfg.CloseTimeout)
	<-served // step 4 ended it, or it is the failure above
	log.Info("gateway has drained")
	return errors.Join(failure, err)
}

// goErr runs f in a goroutine. The channel gives its result once, and nil to who
// asks again.
func goErr(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		defer close(done)
		done <- f()
	}()
	return done
}

// drain returns when no client is left, at the latest twice CloseTimeout after
// DrainTimeout.
func drain(h *hub, cfg *Config, log *slog.Logger) {
	h.close(true)
	gone := make(chan struct{})
	go func() {
		h.wait()
		close(gone)
	}()
	for _, late := range []struct {
		after time.Duration
		what  string
		do    func()
	}{
		{cfg.DrainTimeout, "drain timeout: closing clients with their queues unwritten", func() { h.close(false) }},
		{2 * cfg.CloseTimeout, "clients did not answer the close: cutting them off", h.sever},
	} {
		timer := time.NewTimer(late.after)
		select {
		case <-gone:
			timer.Stop()
			return
		case <-timer.C:
			log.Warn(late.what)
			late.do()
		}
	}
	<-gone
}

// closeHTTP lets requests that are being answered end, for a while.
func closeHTTP(web *http.Server, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		_ = web.Close() // what is left is cut off; the listener is closed already
	}
}
