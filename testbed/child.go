package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// ErrParentGone is the cause of a ChildContext's end when standard input ended: weir closed it or died.
var ErrParentGone = errors.New("standard input ended")

// ChildContext returns a context that also ends when stdin does, as it does when the parent dies, however it dies. What
// comes on stdin is discarded. The goroutine that reads stdin ends with stdin, which cancel can't bring about: it is
// meant for a process's own standard input.
func ChildContext(ctx context.Context, stdin io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		cancel(ErrParentGone)
	}()
	return ctx, func() { cancel(nil) }
}

// KafkaChild configures the embedded Kafka's process: `weir child kafka --brokers N --run-id X`.
type KafkaChild struct {
	Brokers int    // at least 1
	RunID   string // names the cluster
}

// kafkaReady is the one line that the embedded Kafka writes to standard output.
type kafkaReady struct {
	Ready bool     `json:"ready"`
	Seeds []string `json:"seeds"`
}

// ServeKafka runs the embedded Kafka in this process: it listens on 127.0.0.1 at ports that the system chooses, writes a
// ready line with its seeds to stdout and returns nil when stdin or ctx ends.
func ServeKafka(ctx context.Context, cfg KafkaChild, stdin io.Reader, stdout io.Writer) error {
	if cfg.Brokers < 1 {
		return fmt.Errorf("start embedded kafka: %d brokers (give 1 or more)", cfg.Brokers)
	}
	ctx, cancel := ChildContext(ctx, stdin)
	defer cancel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(cfg.Brokers), kfake.ClusterID("weir-"+cfg.RunID))
	if err != nil {
		return fmt.Errorf("start embedded kafka: %w", err)
	}
	defer cluster.Close()
	line, err := json.Marshal(kafkaReady{Ready: true, Seeds: cluster.ListenAddrs()})
	if err != nil {
		return err
	}
	if _, err := stdout.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write ready line: %w", err)
	}
	retain(ctx, cluster.ApplyRetention)
	return nil
}

// The embedded Kafka does all its work on one goroutine, so a retention pass is a stall for its clients: microseconds
// where there is nothing to drop, else in proportion to the batches that stay. The pause after a pass grows with it, so
// that passes take 1% of the broker's time, up to a longest pause, since what comes in meanwhile stays in memory.
const (
	retentionPause   = 200 * time.Millisecond
	retentionLongest = 2 * time.Second
	retentionShare   = 100
)

// retain applies retention until ctx ends.
func retain(ctx context.Context, apply func()) {
	t := time.NewTimer(retentionPause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		start := time.Now()
		apply()
		t.Reset(min(max(retentionPause, retentionShare*time.Since(start)), retentionLongest))
	}
}
