package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
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
	i, err := newInstance(ctx, &cfg, log)
	if err != nil {
		return err
	}
	return i.run(ctx, ready)
}

// instance is a gateway with all it consists of.
type instance struct {
	cfg       *Config
	log       *slog.Logger
	counters  counters
	hub       *hub
	server    *server
	consumer  *consumer
	publisher *publisher
	listener  net.Listener
	profiles  *profiles // nil for none
	tracer    *tracer   // nil for none
}

// newInstance sets a gateway up. It listens when it returns, and nobody answers
// yet.
func newInstance(ctx context.Context, cfg *Config, log *slog.Logger) (_ *instance, err error) {
	i := &instance{cfg: cfg, log: log}
	i.hub = newHub(cfg.Topics, cfg.Conflate, cfg.Limits.ChannelsPerClient, &i.counters)
	i.hub.maxPatterns = cfg.Limits.PatternsPerClient
	i.hub.batchTopics(cfg.Batch)
	i.hub.queues = newQueueTotal(cfg.Limits.QueueBytesTotal)
	if i.hub.polls, err = newPolls(i.hub); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.hub.polls.close()
		}
	}()
	if i.server, err = newServer(cfg, i.hub, &i.counters, log); err != nil {
		return nil, fmt.Errorf("set up the authentication of clients: %w", err)
	}
	if i.tracer, err = newTracer(ctx, cfg, log); err != nil {
		return nil, err
	}
	if i.consumer, err = newConsumer(cfg, i.hub, &i.counters, log); err != nil {
		return nil, fmt.Errorf("set up the Kafka client: %w", err)
	}
	if i.publisher, err = newPublisher(cfg, &i.counters, log); err != nil {
		i.consumer.client.Close()
		return nil, fmt.Errorf("set up the Kafka client for publishing: %w", err)
	}
	i.hub.publisher = i.publisher
	if !cfg.Resume.Off && cfg.Consume.Group == "" {
		i.hub.replayer = newReplayer(cfg, i.hub, i.consumer.errors)
	}
	if i.listener, err = listen(ctx, cfg, &i.counters, log); err != nil {
		i.consumer.client.Close()
		i.publisher.drain()
		i.publisher.close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	if i.profiles, err = startProfiles(ctx, cfg.Pprof); err != nil {
		i.consumer.client.Close()
		i.publisher.drain()
		i.publisher.close()
		_ = i.listener.Close() // nobody has come yet
		return nil, err
	}
	i.consumer.tracer = i.tracer
	log.Info("gateway listens", "addr", i.listener.Addr().String(), "config", cfg.String())
	return i, nil
}

// run serves until ctx ends, or something fails, and shuts down.
func (i *instance) run(ctx context.Context, ready func(addr string)) error {
	defer i.profiles.close()
	defer i.startTracing(ctx)()
	carried := goErr(func() error { i.hub.polls.run(); return nil })
	web := i.server.http(metricsHandler(i.hub, i.consumer, &i.counters))
	served := goErr(func() error { return web.Serve(i.listener) })
	consumeCtx, stopConsumer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopConsumer()
	consumed := goErr(func() error { return i.consume(consumeCtx, ready) })
	replayed := goErr(func() error { return i.hub.replayer.run(consumeCtx) })

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
	i.server.setReadiness(statusDraining, "")
	// 2. Clients are closed with 1012, evenly over Timeouts.DrainSpread, each as in
	//    step 5. Who is not yet closed gets records and may publish. After a
	//    failure there is nothing to wait for.
	if failure == nil {
		i.hub.spreadDrain(i.cfg.Timeouts.DrainSpread)
	}
	// 3. What clients publish is refused.
	i.publisher.drain()
	// 4. The consumer and the replays stop, so that no more records get into the
	//    queues. In a group the consumer commits and leaves.
	stopConsumer()
	err := errors.Join(<-consumed, <-replayed)
	// 5. Each client gets the answers to what it has published and what waits in
	//    its queue, and is closed with 1012. If that takes too long, publications
	//    are answered as undetermined, clients are closed without the rest, then
	//    cut off.
	drain(i.hub, i.publisher, i.cfg, i.log)
	i.hub.polls.close()
	<-carried
	// 6. The producer closes, whose publications nobody waits for any more.
	i.publisher.close()
	// 7. The HTTP server closes: nobody uses it any more but for health checks.
	closeHTTP(web, i.cfg.Timeouts.Close)
	<-served // step 7 ended it, or it is the failure above
	i.log.Info("gateway has drained")
	return errors.Join(failure, err)
}

func listen(ctx context.Context, cfg *Config, c *counters, log *slog.Logger) (net.Listener, error) {
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	listener, err := secureListener(plain, cfg.TLS, &c.reloadFailures, log)
	if err != nil {
		_ = plain.Close()
	}
	return listener, err
}

// startTracing exports spans until the function that it returns is called.
func (i *instance) startTracing(ctx context.Context) (stop func()) {
	if i.tracer == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := goErr(func() error {
		i.tracer.run(ctx, i.cfg.Timeouts.Close)
		return nil
	})
	return func() {
		cancel()
		<-done
	}
}

// consume reads from Kafka until ctx ends, and tells of the gateway's readiness.
func (i *instance) consume(ctx context.Context, ready func(addr string)) error {
	if err := i.publisher.await(ctx, i.server.waitingFor); err != nil {
		i.consumer.client.Close()
		return err
	}
	var once sync.Once
	return i.consumer.run(ctx, i.server.waitingFor, func() {
		i.server.setReadiness(statusReady, "")
		once.Do(func() {
			addr := i.listener.Addr().String()
			i.log.Info("gateway is ready", "addr", addr)
			if ready != nil {
				ready(addr)
			}
		})
	})
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
