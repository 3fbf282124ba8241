package loadgen

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// receiveSlowly reads conn as slowly as the plan says until it or ctx ends, or returns nil once the load is over: what has come meanwhile waits in the kernel,
// whose buffer is small, and then at the target. Replies are sent between the reads, so that a target that takes none
// holds up this client alone.
func receiveSlowly(ctx context.Context, conn net.Conn, slow *scenarios.SlowReading, over <-chan struct{}, lock sync.Locker, handle receiver) error {
	buf := make([]byte, max(slow.Bytes, 1))
	var replies bytes.Buffer
	for {
		timer := time.NewTimer(slow.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-over:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		n, err := conn.Read(buf)
		if n > 0 {
			lock.Lock()
			failed := handle(buf[:n], 0, time.Now().UnixNano(), &replies)
			lock.Unlock()
			if _, wrote := replies.WriteTo(conn); failed == nil {
				failed = wrote
			}
			if failed != nil {
				return failed
			}
		}
		if err != nil {
			return err
		}
	}
}
