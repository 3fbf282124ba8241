package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// errorLogInterval is the least time between two lines of an errorLog. A broker
// that is down fails hundreds of times a minute.
const errorLogInterval = time.Second

// errorLog counts every error and logs some of them.
type errorLog struct {
	log     *slog.Logger
	counter *atomic.Int64

	mu         sync.Mutex
	loggedAt   time.Time
	suppressed int
}

func (e *errorLog) record(what string, err error) {
	e.counter.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if !e.loggedAt.IsZero() && now.Sub(e.loggedAt) < errorLogInterval {
		e.suppressed++
		return
	}
	e.log.Warn("kafka error, retrying", "doing", what, "err", err, "not_logged", e.suppressed)
	e.loggedAt, e.suppressed = now, 0
}

// connectionErrors records the connection failures that the Kafka client
// retries by itself and otherwise keeps to itself.
type connectionErrors struct{ errors *errorLog }

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h connectionErrors) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	h.record("connect to a broker", err)
}

// OnBrokerRead implements kgo.HookBrokerRead.
func (h connectionErrors) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	h.record("read from a broker", err)
}

func (h connectionErrors) record(what string, err error) {
	// Brokers close idle connections, and the client cancels requests at its end.
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) {
		return
	}
	h.errors.record(what, err)
}

// kafkaLog passes the Kafka client's warnings and errors on.
type kafkaLog struct{ log *slog.Logger }

// Level implements kgo.Logger.
func (kafkaLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements kgo.Logger.
func (l kafkaLog) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	at := slog.LevelWarn
	if level == kgo.LogLevelError {
		at = slog.LevelError
	}
	l.log.Log(context.Background(), at, "kafka client: "+msg, keyvals...)
}
