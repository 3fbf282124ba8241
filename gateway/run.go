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
	hub := newHub(cfg.Topics, cfg.Conflate, cfg.Limits.ChannelsPerClient, &counters)
	srv := newServer(&cfg, hub, &counters, log)
	consumer, err := newConsumer(&cfg, hub, &counters, log)
	if err != nil {
		return fmt.Errorf("set up the Kafka client: %w", err)
	}
	publisher, err := newPublisher(&cfg, &counters, log)
	if err != nil {
		consumer.client.Close()
		return fmt.Errorf("set up the Kafka client for publishing: %w", err)
	}
	hub.publisher = publisher
	if !cfg.Resume.Off {
		hub.replayer = newReplayer(&cfg, hub, consumer.errors)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		consumer.client.Close()
		publisher.drain()
		publisher.close()
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("gateway listens", "addr", listener.Addr().String(), "config", cfg.String())

	web := srv.http(metricsHandler(hub, consumer, &counters))
	served := goErr(func() error { return web.Serve(listener) })
	consumeCtx, stopConsumer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopConsumer()
	consumed := goErr(func() error {
		if err := publisher.await(consumeCtx, srv.waitingFor); err != nil {
			consumer.client.Close()
			return err
		}
		return consumer.run(consumeCtx, srv.waitingFor, func() {
			srv.setReadiness(statusReady, "")
			log.Info("gateway is ready", "addr", listener.Addr().String())
			if ready != nil {
				ready(listener.Addr().String())
			}
		})
	})

	replayed := goErr(func() error { return hub.replayer.run(consumeCtx) })

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-served:
		failure = fmt.Errorf("serve HTTP: %w", failure)
	case failure = <-consumed:
		failure = fmt.Errorf("consume: %w", failure)
	case failure = <-replayed:
	}

	// 1. Readiness goes first: /readyz turns 503, so that balancers look
	//    elsewhere, and upgrades are refused. HTTP is answered until the end.
	//    What clients publish is refused.
	srv.setReadiness(statusDraining, "")
	publisher.drain()
	// 2. The consumer and the replays stop, so that no more records get into the
	//    queues.
	stopConsumer()
	err = errors.Join(<-consumed, <-replayed)
	// 3. Each client gets the answers to what it has published and what waits in
	//    its queue, and is closed with 1012. If that takes too long, publications
	//    are answered as undetermined, clients are closed without the rest, then
	//    cut off.
	drain(hub, publisher, &cfg, log)
	// 4. The producer closes, whose publications nobody waits for any more.
	publisher.close()
	// 5. The HTTP server closes: nobody uses it any more but for health checks.
	closeHTTP(web, cfg.Timeouts.Close)
	<-served // step 5 ended it, or it is the failure above
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

// drain returns when no client is left and no publication in flight, at the
// latest twice Timeouts.Close after Timeouts.Drain, or thrice where publications had
// to be given up.
func drain(h *hub, p *publisher, cfg *Config, log *slog.Logger) {
	h.drain()
	gone := make(chan struct{})
	go func() {
		h.wait()
		<-p.idle
		close(gone)
	}()
	if within(gone, cfg.Timeouts.Drain) {
		return
	}
	if p.busy() {
		log.Warn("drain timeout: giving up publications that Kafka has not acknowledged")
		p.close()
		if within(gone, cfg.Timeouts.Close) {
			return
		}
	}
	log.Warn("drain timeout: closing clients with their queues unwritten")
	h.close()
	if within(gone, 2*cfg.Timeouts.Close) {
		return
	}
	log.Warn("clients did not answer the close: cutting them off")
	h.sever()
	<-gone
}

// within reports whether done comes before d is over.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// closeHTTP lets requests that are being answered end, for a while.
func closeHTTP(web *http.Server, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := web.Shutdown(ctx); err != nil {
		_ = web.Close() // what is left is cut off; the listener is closed already
	}
}
